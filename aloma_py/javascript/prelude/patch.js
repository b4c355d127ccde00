// What a run changed in its data: a list of ["s", path, value], ["d", path], ["a", path, elements], ["l", path, length].
// Comparing here keeps what JavaScript cannot tell apart or write down (1.0 and 1, the order of members) as it was.
const { is, hasOwn, keys, getPrototypeOf, defineProperty } = Object;
const { isArray } = Array;
const { isFinite } = Number;
const objects = Object.prototype;
const arrays = Array.prototype;
internal.rawJSON = JSON.rawJSON;
internal.isRawJSON = JSON.isRawJSON;

class ResultError extends Error {
  get name() { return 'ResultError' }
}
Object.freeze(ResultError);
Object.freeze(ResultError.prototype);
internal.ResultError = ResultError;

const unboxed = {
  number: Number.prototype.valueOf, string: String.prototype.valueOf, boolean: Boolean.prototype.valueOf,
};

const place = path => path.reduce((text, part) => text + (typeof part === 'number' ? `[${part}]` : `.${part}`), 'data');

// Values are walked with one path, which grows and shrinks: `path` is copied only where something is told of it. Loops
// count, since iterators of frozen prototypes are slow.

// A JSON value of anything, as JSON.stringify takes it; a cycle or too deep a value is told with its place. `inside` are
// the objects that lead to the value.
const plain = (value, path, depth, inside = []) => {
  if (value !== null && typeof value === 'object' && typeof value.toJSON === 'function') value = value.toJSON();
  switch (typeof value) {
    case 'string': case 'boolean': case 'bigint': return value;
    case 'number': return isFinite(value) ? (is(value, -0) ? internal.rawJSON('-0.0') : value) : null;
    case 'object': break;
    default: return undefined;
  }
  if (value === null) return null;
  const above = getPrototypeOf(value);
  if (above !== objects && above !== arrays) {
    if (internal.isRawJSON(value)) return value;
    if (value instanceof Number) return plain(unboxed.number.call(value), path, depth, inside);
    if (value instanceof String) return unboxed.string.call(value);
    if (value instanceof Boolean) return unboxed.boolean.call(value);
  }
  if (inside.includes(value)) throw new ResultError(`${place(path)} holds itself, which JSON cannot show`);
  if (path.length >= depth) throw new ResultError(`${place(path.slice(0, 3))}… is more than ${depth} levels deep`);
  inside.push(value);
  const made = isArray(value) ? plainArray(value, path, depth, inside) : plainObject(value, path, depth, inside);
  inside.pop();
  return made;
};
internal.plain = plain;

const plainArray = (value, path, depth, inside) => {
  const made = [];
  for (let n = 0; n < value.length; n++) {
    path.push(n);
    made[n] = plain(value[n], path, depth, inside) ?? null;
    path.pop();
  }
  return made;
};

const plainObject = (value, path, depth, inside) => {
  const made = Object.create(null);  // so that __proto__ is a member like any other
  const names = keys(value);
  for (let n = 0; n < names.length; n++) {
    path.push(names[n]);
    const member = plain(value[names[n]], path, depth, inside);
    path.pop();
    if (member !== undefined) made[names[n]] = member;
  }
  return made;
};

const isPlain = value => value !== null && typeof value === 'object' && typeof value.toJSON !== 'function';

const compare = (before, after, path, depth, out) => {
  if (isPlain(before) && isPlain(after) && path.length < depth && isArray(before) === isArray(after)) {
    (isArray(before) ? compareArrays : compareObjects)(before, after, path, depth, out);
    return;
  }
  const value = plain(after, path, depth);
  if (value === undefined) out.push(['d', path.slice()]);
  else if (!is(value, before)) out.push(['s', path.slice(), value]);
};

const compareObjects = (before, after, path, depth, out) => {
  if (after instanceof Map || after instanceof Set) {
    out.push(['s', path.slice(), {}]);
    return;
  }
  const known = keys(before);
  for (let n = 0; n < known.length; n++) if (!hasOwn(after, known[n])) out.push(['d', [...path, known[n]]]);
  const names = keys(after);
  for (let n = 0; n < names.length; n++) {
    const key = names[n];
    const member = after[key];
    if (!hasOwn(before, key)) {
      path.push(key);
      const value = plain(member, path, depth);
      if (value !== undefined) out.push(['s', path.slice(), value]);
      path.pop();
    } else if (!is(before[key], member)) {
      path.push(key);
      compare(before[key], member, path, depth, out);
      path.pop();
    }
  }
};

const compareArrays = (before, after, path, depth, out) => {
  const both = Math.min(before.length, after.length);
  for (let n = 0; n < both; n++) {
    if (is(before[n], after[n])) continue;
    path.push(n);
    if (after[n] === undefined || typeof after[n] === 'function') {
      if (before[n] !== null) out.push(['s', path.slice(), null]);
    } else compare(before[n], after[n], path, depth, out);
    path.pop();
  }
  if (after.length < before.length) out.push(['l', path.slice(), after.length]);
  if (after.length > both) {
    const added = [];
    for (let n = both; n < after.length; n++) {
      path.push(n);
      added.push(plain(after[n], path, depth) ?? null);
      path.pop();
    }
    out.push(['a', path.slice(), added]);
  }
};

internal.patch = (before, after, depth) => {
  const out = [];
  compareObjects(before, after, [], depth, out);
  return out;
};

// A copy of a JSON value that shares nothing with it.
const copy = value => {
  if (value === null || typeof value !== 'object') return value;
  if (isArray(value)) {
    const made = [];
    for (let n = 0; n < value.length; n++) made[n] = copy(value[n]);
    return made;
  }
  const made = {};
  const names = keys(value);
  for (let n = 0; n < names.length; n++) {
    const key = names[n];
    if (key !== '__proto__') made[key] = copy(value[key]);
    else defineProperty(made, key, { value: copy(value[key]), writable: true, configurable: true, enumerable: true });
  }
  return made;
};
internal.copy = copy;
