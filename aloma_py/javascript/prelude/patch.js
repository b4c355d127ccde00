// What a run changed in its data: a list of ["s", path, value], ["d", path], ["a", path, elements], ["l", path, length].
// Comparing here keeps what JavaScript cannot tell apart or write down (1.0 and 1, the order of members) as it was.
const { is, hasOwn, keys } = Object;
const { isArray } = Array;
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

// A JSON value of anything, as JSON.stringify takes it; a cycle or too deep a value is told with its place.
const plain = (value, path, depth, inside = new Set()) => {
  if (value !== null && typeof value === 'object' && typeof value.toJSON === 'function') value = value.toJSON();
  switch (typeof value) {
    case 'string': case 'boolean': case 'bigint': return value;
    case 'number': return Number.isFinite(value) ? (is(value, -0) ? internal.rawJSON('-0.0') : value) : null;
    case 'object': break;
    default: return undefined;
  }
  if (value === null) return null;
  if (internal.isRawJSON(value)) return value;
  if (value instanceof Number) return plain(unboxed.number.call(value), path, depth, inside);
  if (value instanceof String) return unboxed.string.call(value);
  if (value instanceof Boolean) return unboxed.boolean.call(value);
  if (inside.has(value)) throw new ResultError(`${place(path)} holds itself, which JSON cannot show`);
  if (path.length >= depth) throw new ResultError(`${place(path.slice(0, 3))}… is more than ${depth} levels deep`);
  inside.add(value);
  let made;
  if (isArray(value)) {
    made = [];
    for (let n = 0; n < value.length; n++) made[n] = plain(value[n], [...path, n], depth, inside) ?? null;
  } else {
    made = Object.create(null);  // so that __proto__ is a member like any other
    for (const key of keys(value)) {
      const member = plain(value[key], [...path, key], depth, inside);
      if (member !== undefined) made[key] = member;
    }
  }
  inside.delete(value);
  return made;
};
internal.plain = plain;

const isPlain = value => value !== null && typeof value === 'object' && typeof value.toJSON !== 'function';

const compare = (before, after, path, depth, out) => {
  if (is(before, after)) return;
  if (isPlain(before) && isPlain(after) && path.length < depth && isArray(before) === isArray(after)) {
    (isArray(before) ? compareArrays : compareObjects)(before, after, path, depth, out);
    return;
  }
  const value = plain(after, path, depth);
  if (value === undefined) out.push(['d', path]);
  else if (!is(value, before)) out.push(['s', path, value]);
};

const compareObjects = (before, after, path, depth, out) => {
  if (after instanceof Map || after instanceof Set) {
    out.push(['s', path, {}]);
    return;
  }
  for (const key of keys(before)) if (!hasOwn(after, key)) out.push(['d', [...path, key]]);
  for (const key of keys(after)) {
    const member = after[key];
    if (hasOwn(before, key)) {
      if (!is(before[key], member)) compare(before[key], member, [...path, key], depth, out);
    } else {
      const value = plain(member, [...path, key], depth);
      if (value !== undefined) out.push(['s', [...path, key], value]);
    }
  }
};

const compareArrays = (before, after, path, depth, out) => {
  const both = Math.min(before.length, after.length);
  for (let n = 0; n < both; n++) {
    if (after[n] === undefined || typeof after[n] === 'function') {
      if (before[n] !== null) out.push(['s', [...path, n], null]);
    } else if (!is(before[n], after[n])) compare(before[n], after[n], [...path, n], depth, out);
  }
  if (after.length < before.length) out.push(['l', path, after.length]);
  if (after.length > both) {
    const added = [];
    for (let n = both; n < after.length; n++) added.push(plain(after[n], [...path, n], depth) ?? null);
    out.push(['a', path, added]);
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
  if (isArray(value)) return value.map(copy);
  const made = {};
  for (const key of keys(value)) {
    if (key === '__proto__') Object.defineProperty(made, key,
      { value: copy(value[key]), writable: true, configurable: true, enumerable: true });
    else made[key] = copy(value[key]);
  }
  return made;
};
internal.copy = copy;
