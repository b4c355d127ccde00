// Paths into JSON data, as the engine reads them: "order.items.0.sku" is ["order", "items", 0, "sku"].
// internal.paths = {parse(text), format(path), get(data, path), put(data, path, value), isObject(value)}.
// "There is no such member" is undefined.
// internal.freezeClass(Class): it, its prototype and methods; runs share them, and no global leads to them.

const {isArray} = Array;
const {isSafeInteger} = Number;
const {hasOwn, defineProperty, freeze, values, getOwnPropertyDescriptors} = Object;
const {stringify} = JSON;
const MAX_INDEX = 100_000;  // the largest array index that put makes room for
const DIGITS = /^[0-9]+$/;

// What is a dict in the engine: an object that is neither an array nor null.
const isObject = (value) => typeof value === 'object' && value !== null && !isArray(value);

// A number too large to be exact stays one of all its digits: it may be a member's name.
const numberOf = (digits) => (isSafeInteger(Number(digits)) ? Number(digits) : BigInt(digits));

const parse = (text) => text.split('.').map((part) => (DIGITS.test(part) ? numberOf(part) : part));

const format = (path) => {
  let text = '';
  for (const part of path) {
    if (typeof part === 'string' && (part === '' || part.includes('.') || DIGITS.test(part))) {
      text += `[${stringify(part)}]`;
    } else {
      text += text === '' ? part : `.${part}`;
    }
  }
  return text;
};

const get = (data, path) => {
  for (const part of path) {
    if (isArray(data)) {
      if (typeof part === 'string') return undefined;
      data = part >= 0 && part < data.length ? data[part] : undefined;
    } else {
      if (!isObject(data)) return undefined;
      data = hasOwn(data, `${part}`) ? data[`${part}`] : undefined;
    }
  }
  return data;
};

const set = (data, part, value) => {
  if (isObject(data)) {
    const name = `${part}`;
    // An assignment would set the prototype.
    if (name !== '__proto__') data[name] = value;
    else defineProperty(data, name, {value, writable: true, enumerable: true, configurable: true});
    return;
  }
  if (typeof part === 'string' || !isArray(data)) throw new RangeError(`'${part}' is no index of an array`);
  if (part > MAX_INDEX) throw new RangeError(`the index ${part} is above ${MAX_INDEX}`);
  while (data.length < part) data.push(null);
  data[part] = value;
};

// Makes missing parents: an array where the next part is a number, else an object. What stands in the way is replaced,
// gaps in an array are filled with null. Throws a RangeError for an empty path or an index above MAX_INDEX.
const put = (data, path, value) => {
  if (path.length === 0) throw new RangeError('an empty path cannot be written to');
  for (let index = 0; index < path.length - 1; index++) {
    const inArray = typeof path[index + 1] !== 'string';
    let child = get(data, [path[index]]);
    if (typeof child !== 'object' || child === null || (isArray(child) && !inArray)) {
      child = inArray ? [] : {};
      set(data, path[index], child);
    }
    data = child;
  }
  set(data, path[path.length - 1], value);
};

const freezeClass = (kind) => {
  freeze(kind);
  freeze(kind.prototype);
  for (const {value, get} of values(getOwnPropertyDescriptors(kind.prototype))) freeze(value ?? get);
};

internal.freezeClass = freezeClass;
internal.paths = freeze({parse, format, get, put, isObject});
