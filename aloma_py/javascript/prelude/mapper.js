// internal.mapper(): an object made from parts of another, told as pairs of paths, as the engine's own mapper does:
//
//   mapper().map('customer.name').to('contact.fullName').map('lines[].sku').to('skus').execute(order)
//
// - `map('a.b').to('c.d')` copies the value at a.b to c.d; a source that is missing writes nothing.
// - `.to('c', function)` writes what the function makes of the value; `.to('c', undefined, 0)`, or
//   `.to('c', {transform, default: 0})`, fills in for a missing source.
// - `.map('a').or('b', 'c').to('d')` takes the first source that is there and not null.
// - `.map(['a', 'b']).to('c', (a, b) => …)` calls the function with all values, undefined for what is missing; without
//   a function the values that are there are written as an array.
// - `.map('a')` without `to` keeps the path. `.map().to('c', () => 1)` writes without a source.
// - `lines[].sku` takes sku of every element of lines that has one. As a target, `skus[]` writes the array at skus, and
//   `rows[].code` writes each value as code of the row of the same position.

const {inputError, quoted} = internal;
const {parse, get, put, format, isObject} = internal.paths;
const {isArray} = Array;
const {isFinite} = Number;
const {isView} = ArrayBuffer;
const {apply} = Reflect;
const {keys, defineProperty} = Object;
const describe = Object.prototype.toString;
const EACH = '[]';
const MAX_DEPTH = 64;

// --- plain JSON ----------------------------------------------------------------------------------------------------

const CURES = {
  __proto__: null,
  function: 'call it, and keep what it gives', symbol: 'write its .description', Promise: 'write await before it',
  Map: 'write Object.fromEntries(…)', Set: 'write [...it]', WeakMap: 'write its parts', WeakSet: 'write its parts',
  RegExp: 'write its .source', Error: 'write its .message', ArrayBuffer: 'write its bytes as a text',
  DataView: 'write its bytes as a text',
};

const resultError = (message) => defineProperty(new Error(message), 'name', {
  value: 'ResultError', writable: true, enumerable: false, configurable: true,
});

const placeOf = (root, path) => {
  const inner = format(path);
  return inner === '' || inner.startsWith('[') ? `${root}${inner}` : `${root}.${inner}`;
};

const refused = (root, path, kind, cure) => {
  const article = /^[aeiou]/i.test(kind) ? 'an' : 'a';
  return resultError(`${placeOf(root, path)} is ${article} ${kind}, which JSON does not know: ${cure}`);
};

const refuseUnusual = (value, root, path) => {
  const kind = typeof value === 'object' ? apply(describe, value, []).slice(8, -1) : typeof value;
  const cure = isView(value) ? 'write Array.from(…)' : CURES[kind];
  if (cure !== undefined) throw refused(root, path, kind, cure);
};

// A deep copy that shares nothing with `value`, in the types that JSON has. Members that are undefined are left out.
const plain = (value, root, path = [], inside = new Map()) => {
  if (typeof value === 'object' && value !== null && typeof value.toJSON === 'function') value = value.toJSON();
  if (typeof value === 'number' && !isFinite(value)) {
    throw resultError(`${placeOf(root, path)} is ${value}, which is no number in JSON: write null`);
  }
  refuseUnusual(value, root, path);
  if (typeof value !== 'object' || value === null) return value;
  if (inside.has(value)) {
    const where = placeOf(root, inside.get(value));
    throw resultError(`${placeOf(root, path)} is ${where} itself, which JSON cannot show: `
      + 'write a copy of the part that is needed');
  }
  if (path.length >= MAX_DEPTH) {
    throw resultError(`${placeOf(root, path.slice(0, 3))}… is more than ${MAX_DEPTH} levels deep; `
      + `at most ${MAX_DEPTH} objects and arrays may stand inside each other`);
  }
  inside.set(value, path);
  const made = isArray(value) ? [] : {};
  if (isArray(value)) {
    for (let index = 0; index < value.length; index++) {
      made.push(plain(value[index], root, [...path, index], inside) ?? null);
    }
  } else {
    for (const name of keys(value)) {
      const member = plain(value[name], root, [...path, name], inside);
      if (member === undefined) continue;
      defineProperty(made, name, {value: member, writable: true, enumerable: true, configurable: true});
    }
  }
  inside.delete(value);
  return made;
};

// --- reading and writing -------------------------------------------------------------------------------------------

const checkedPath = (text) => {
  if (typeof text === 'string' && text !== '') return text;
  throw inputError(`a path is a text such as 'order.id', not ${quoted(text)}`);
};

// "a[].b[].c" is ["a", true, "b[].c"], "a" is ["a", false, ""].
const split = (text) => {
  const at = text.indexOf(EACH);
  if (at < 0) return [text, false, ''];
  const rest = text.slice(at + EACH.length);
  return [text.slice(0, at), true, rest.startsWith('.') ? rest.slice(1) : rest];
};

const read = (source, text) => {
  const [head, each, rest] = split(text);
  const value = head === '' ? source : get(source, parse(head));
  if (!each) return value;
  if (!isArray(value)) return undefined;
  if (rest === '') return [...value];
  let found = value.map((element) => read(element, rest));
  if (rest.includes(EACH)) found = found.flatMap((values) => values ?? []);  // arrays of arrays become one array
  return found.filter((inner) => inner !== undefined);
};

const write = (target, text, value) => {
  const [head, each, rest] = split(text);
  const path = parse(head);
  if (rest === '') {
    put(target, path, value);
    return;
  }
  if (rest.includes(EACH) || head === '') {
    const expected = "a target may hold one '[]', after the name of an array as in 'rows[].code'";
    throw inputError(`${expected}, not ${quoted(text)}`);
  }
  const rows = isArray(value) ? value : [value];
  rows.forEach((element, index) => put(target, [...path, index, ...parse(rest)], element));
};

// The first value that is there and not null; else the first that is there.
const first = (values) => values.find((value) => value !== undefined && value !== null)
  ?? values.find((value) => value !== undefined);

// `rule`: {sources, alternatives, several, target, transform, fallback}; `several` where the sources came as an array.
const valueOf = (rule, source) => {
  let found = rule.sources.map((path) => read(source, path));
  if (!rule.several && found.length > 0) {
    found = [first([...found, ...rule.alternatives.map((path) => read(source, path))])];
  }
  const missing = found.every((value) => value === undefined);
  if (missing && (found.length > 0 || rule.transform === undefined)) return rule.fallback;
  if (rule.transform !== undefined) return rule.transform(...found);
  return rule.several ? found.filter((value) => value !== undefined) : found[0];
};

const targetOf = ({target, sources}) => {
  if (target !== undefined) return target;
  if (sources.length === 1) return sources[0];
  throw inputError(`map(${quoted(sources)}) needs a to(…) that says where its value goes`);
};

// The second and third argument of to(): a function and a default, or both as an object.
const options = (transform, fallback) => {
  if (!isObject(transform)) return [transform ?? undefined, fallback];
  const unknown = keys(transform).find((name) => name !== 'transform' && name !== 'default');
  if (unknown !== undefined) {
    throw inputError(`to() knows the options 'transform' and 'default', not ${quoted(unknown)}`);
  }
  return [transform.transform ?? undefined, transform.default];
};

// --- the mapper ----------------------------------------------------------------------------------------------------

class Mapper {
  #rules = [];

  map(source) {
    const several = isArray(source);
    if (!several && typeof source !== 'string' && source !== undefined && source !== null) {
      throw inputError(`map() takes a path such as 'order.id' or a list of paths, not ${quoted(source)}`);
    }
    const paths = several ? source : typeof source === 'string' ? [source] : [];
    this.#rules.push({sources: paths.map(checkedPath), several, alternatives: []});
    return this;
  }

  or(...sources) {
    this.#last('or()').alternatives.push(...sources.map(checkedPath));
    return this;
  }

  to(target, transform, fallback) {
    const rule = this.#last('to()');
    const [make, otherwise] = options(transform, fallback);
    if (make !== undefined && typeof make !== 'function') {
      throw inputError(`the second argument of to() is a function of the value, not ${quoted(make)}`);
    }
    const path = target === undefined || target === null ? undefined : checkedPath(target);
    if (path === undefined && rule.sources.length !== 1) {
      throw inputError("to() needs a path such as 'contact.name' where map() does not name exactly one");
    }
    rule.target = path;
    rule.transform = make;
    rule.fallback = otherwise;
    return this;
  }

  // A new object: `into`, copied, with what the rules take from `source`. It shares nothing with either.
  execute(source, into) {
    if (into && !isObject(into)) throw inputError(`execute() adds to an object, not to ${quoted(into)}`);
    const target = plain(into || {}, 'into');
    for (const rule of this.#rules) {
      const value = valueOf(rule, source);
      if (value !== undefined) write(target, targetOf(rule), plain(value, 'the mapped value'));
    }
    return target;
  }

  #last(word) {
    const rule = this.#rules[this.#rules.length - 1];
    if (rule === undefined) throw inputError(`${word} comes after map(): mapper().map('a').to('b')`);
    return rule;
  }
}
internal.freezeClass(Mapper);

internal.mapper = () => new Mapper();
