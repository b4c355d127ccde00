// Built-ins cannot be changed: a step that could would reach its neighbours. Objects that inherit from them may still
// have members of the same names (`data.constructor = "ACME"`): a plain frozen prototype would refuse that assignment.
const { freeze, getOwnPropertyDescriptor, getOwnPropertyDescriptors, defineProperty, getPrototypeOf } = Object;
const { ownKeys } = Reflect;

// Shared memory is the watchdog's; timers and the console are each run's own.
const gone = ['SharedArrayBuffer', 'Atomics', 'WebAssembly', 'setTimeout', 'clearTimeout', 'console', '__timer_manager'];
for (const name of gone) if (!Reflect.deleteProperty(globalThis, name)) globalThis[name] = undefined;

const lenient = prototype => {
  for (const key of ownKeys(prototype)) {
    const found = getOwnPropertyDescriptor(prototype, key);
    if (!('value' in found) || !found.configurable || typeof key === 'symbol') continue;
    const value = found.value;
    defineProperty(prototype, key, {
      get() { return value },
      set(other) {
        if (this === prototype) throw new TypeError(`Cannot assign to read only property '${key}' of a built-in object`);
        defineProperty(this, key, { value: other, writable: true, enumerable: true, configurable: true });
      },
      enumerable: found.enumerable,
      configurable: false,
    });
  }
};

const errors = [Error, TypeError, RangeError, SyntaxError, ReferenceError, EvalError, URIError, AggregateError];
lenient(Object.prototype);
lenient(Function.prototype);
for (const kind of errors) lenient(kind.prototype);

const seen = new Set();
const pending = [];
const reach = value => {
  if (value !== null && (typeof value === 'object' || typeof value === 'function') && !seen.has(value)) {
    seen.add(value);
    pending.push(value);
  }
};
for (const key of ownKeys(globalThis)) {
  const found = getOwnPropertyDescriptor(globalThis, key);
  if ('value' in found && found.value !== globalThis) reach(found.value);
}
// What no global leads to: iterators, generators, async functions and the like.
const samples = [
  [][Symbol.iterator](), ''[Symbol.iterator](), new Map()[Symbol.iterator](), new Set()[Symbol.iterator](),
  'a'.matchAll(/a/g), function* () {}, async function* () {}, async function () {}, (function* () {})(),
  (async function* () {})(), Iterator.from({ next() {} }),
];
for (const sample of samples) reach(getPrototypeOf(sample));
for (let value; (value = pending.pop());) {
  reach(getPrototypeOf(value));
  for (const found of Object.values(getOwnPropertyDescriptors(value))) {
    if ('value' in found) reach(found.value);
    else { reach(found.get); reach(found.set) }
  }
}
const views = getPrototypeOf(Uint8Array);
for (const value of seen) if (!(value instanceof views)) freeze(value);
freeze(internal);
for (const key of ownKeys(globalThis)) {
  const found = getOwnPropertyDescriptor(globalThis, key);
  if (found.configurable && 'value' in found && found.value !== globalThis) {
    defineProperty(globalThis, key, { writable: false, configurable: false });
  }
}
Object.preventExtensions(globalThis);
