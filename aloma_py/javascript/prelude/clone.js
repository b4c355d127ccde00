// structuredClone. A proxy cannot be told from its target here and is copied as the target is; functions, symbols,
// promises, weak collections and the like are a DataCloneError.

const {isView} = ArrayBuffer;
const {apply, ownKeys} = Reflect;
const {defineProperty, getOwnPropertyDescriptor, prototype: plain} = Object;
const {isArray} = Array;
const {DOMException} = internal;
const {isError} = Error;
const TypedArray = Object.getPrototypeOf(Uint8Array);
const typeOf = getOwnPropertyDescriptor(TypedArray.prototype, Symbol.toStringTag).get;
const isEnumerable = plain.propertyIsEnumerable;

const getter = (owner, name) => getOwnPropertyDescriptor(owner.prototype, name).get;

// Only a real Map has what Map's getter reads, whatever its prototype says; so for the others.
const probes = {
  map: getter(Map, 'size'),
  set: getter(Set, 'size'),
  date: Date.prototype.getTime,
  regexp: getter(RegExp, 'source'),
  buffer: getter(ArrayBuffer, 'byteLength'),
  shared: getter(SharedArrayBuffer, 'byteLength'),
  boolean: Boolean.prototype.valueOf,
  number: Number.prototype.valueOf,
  string: String.prototype.valueOf,
  bigint: BigInt.prototype.valueOf,
  symbol: Symbol.prototype.valueOf,
  weakRef: WeakRef.prototype.deref,
  weakMap: (function () { apply(WeakMap.prototype.has, this, [plain]); }),
  weakSet: (function () { apply(WeakSet.prototype.has, this, [plain]); }),
};
const kinds = Object.entries(probes);

const kindOf = (value) => {
  if (isView(value)) return 'view';
  if (isArray(value)) return 'array';
  if (isError(value)) return 'error';
  // Most are plain: no probing, each miss of which makes an error.
  const prototype = Object.getPrototypeOf(value);
  if (prototype === plain || prototype === null) return 'object';
  for (const [kind, probe] of kinds) {
    if (value === RegExp.prototype) break;
    try {
      apply(probe, value, []);
      return kind;
    } catch {
      // something else
    }
  }
  return value instanceof Promise || value instanceof FinalizationRegistry ? 'promise' : 'object';
};

const VIEWS = new Map(
  [Int8Array, Uint8Array, Uint8ClampedArray, Int16Array, Uint16Array, Int32Array, Uint32Array, Float16Array,
    Float32Array, Float64Array, BigInt64Array, BigUint64Array].map((type) => [type.name, type]),
);
const ERRORS = new Map(
  [Error, EvalError, RangeError, ReferenceError, SyntaxError, TypeError, URIError].map((type) => [type.name, type]),
);

const refuse = (what) => new DOMException(`${what} could not be cloned.`, 'DataCloneError');
const put = (target, key, value) =>
  defineProperty(target, key, {value, writable: true, enumerable: true, configurable: true});
const hide = (target, key, value) =>
  defineProperty(target, key, {value, writable: true, enumerable: false, configurable: true});

const cloneMembers = (value, copy, clone) => {
  for (const key of ownKeys(value)) {
    if (typeof key === 'string' && apply(isEnumerable, value, [key])) put(copy, key, clone(value[key]));
  }
};

const cloneError = (value, clone, seen) => {
  if (value instanceof DOMException) {
    const copy = new DOMException(value.message, value.name);
    hide(copy, 'stack', value.stack);
    seen.set(value, copy);
    return copy;
  }
  const copy = new (ERRORS.get(`${value.name}`) ?? Error)();
  seen.set(value, copy);
  const message = getOwnPropertyDescriptor(value, 'message');
  if (message && 'value' in message) hide(copy, 'message', `${message.value}`);
  hide(copy, 'stack', typeof value.stack === 'string' ? value.stack : undefined);
  if (Object.hasOwn(value, 'cause')) hide(copy, 'cause', clone(value.cause));
  return copy;
};

const cloneView = (value, clone) => {
  const buffer = clone(value.buffer);
  const type = apply(typeOf, value, []);
  return type === undefined
    ? new DataView(buffer, value.byteOffset, value.byteLength)
    : new (VIEWS.get(type))(buffer, value.byteOffset, value.length);
};

// Copies that hold nothing else.
const leaves = {
  view: cloneView,
  date: (value) => new Date(apply(probes.date, value, [])),
  regexp: (value) => new RegExp(value.source, value.flags),
  buffer: (value) => value.slice(0),
  shared: (value) => value,
  boolean: (value) => Object(apply(probes.boolean, value, [])),
  number: (value) => Object(apply(probes.number, value, [])),
  string: (value) => Object(apply(probes.string, value, [])),
  bigint: (value) => Object(apply(probes.bigint, value, [])),
};

const cloneObject = (value, clone, seen) => {
  const kind = kindOf(value);
  if (kind === 'error') return cloneError(value, clone, seen);
  let copy = leaves[kind]?.(value, clone);
  if (copy === undefined) {
    if (kind === 'map') copy = new Map();
    else if (kind === 'set') copy = new Set();
    else if (kind === 'array') copy = new Array(value.length);
    else if (kind === 'object') copy = {};
    else throw refuse(`#<${value.constructor?.name ?? 'Object'}>`);
  }
  seen.set(value, copy);
  // Entries are taken before anything is copied: a getter may change the original.
  if (kind === 'map') for (const [key, item] of [...value]) copy.set(clone(key), clone(item));
  else if (kind === 'set') for (const item of [...value]) copy.add(clone(item));
  else if (kind === 'array' || kind === 'object') cloneMembers(value, copy, clone);
  return copy;
};

const structuredClone = (...given) => {
  if (given.length === 0) throw new TypeError('The "value" argument must be specified');
  const [value, options] = given;
  const seen = new Map();
  const clone = (item) => {
    if (typeof item === 'function' || typeof item === 'symbol') {
      throw refuse(typeof item === 'symbol' ? item.toString() : `${item}`);
    }
    if (typeof item !== 'object' || item === null) return item;
    return seen.has(item) ? seen.get(item) : cloneObject(item, clone, seen);
  };
  const transfer = [...(options?.transfer ?? [])];
  for (const buffer of transfer) {
    if (Object(buffer) !== buffer) throw new TypeError('Only objects are transferred');
    if (kindOf(buffer) !== 'buffer') throw refuse('A value that is not transferable');
    if (buffer.detached || seen.has(buffer)) throw refuse('A detached or repeated ArrayBuffer');
    seen.set(buffer, buffer.slice(0));
  }
  const copy = clone(value);
  for (const buffer of transfer) buffer.transfer(0);  // only now: nothing is lost when the copy failed
  return copy;
};

define('structuredClone', structuredClone);
