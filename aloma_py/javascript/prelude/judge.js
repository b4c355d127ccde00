// Conditions: described once, when they are loaded, and asked what only their code can tell.
const { isArray } = Array;
const { stringify } = JSON;
const { getPrototypeOf, getOwnPropertySymbols, hasOwn } = Object;
const { toString: textOf } = Function.prototype;
const NativePromise = Promise;
const { text, describe } = internal;

// What only a run has. The top of a file is read for its condition too, and so has none of it either.
const absent = name => {
  const refuse = () => {
    const why = 'a condition, and the top of a file, look at data only; use it in the content';
    throw new Error(`${name} is not there: ${why}`);
  };
  return new Proxy(function () {}, { get: refuse, has: refuse, apply: refuse, ownKeys: refuse, set: refuse });
};
const WITHOUT_RUN = Object.fromEntries([
  'task', 'step', 'connectors', 'audit', 'graph', 'file', 'blob', 'user', 'config', 'fetch', 'setTimeout',
  'setInterval', 'setImmediate', 'clearTimeout', 'clearInterval',
].map(name => [name, absent(name)]));
const ABSENT = new Set(Object.values(WITHOUT_RUN));
const withoutRun = data => ({
  ...WITHOUT_RUN, data, lib: internal.libraries, mapper: internal.mapper, console: internal.console(() => {}),
});

const PART = Symbol('part');
const judgeable = (factory, data, computed) => {
  const parts = new Map();
  const collect = (part, call) => { parts.set(part, call); return { [PART]: part } };
  const made = factory(withoutRun(data), value => value, collect).condition;
  // A condition that is computed as a whole is a part itself, which gives the function that gives it.
  const whole = typeof made !== 'function';
  const call = part => (whole ? parts.get(part)() : parts.get(part));
  return { condition: whole ? made : made(), part: part => computed(part, call(part)) };
};

const judgeOne = ({ condition, part }, question) => {
  try {
    if (question.part !== undefined && !question.call) return { value: describePattern(part(question.part), [], part) };
    const call = question.part !== undefined ? walk(part(question.part), question.path)
      : question.regex !== undefined ? undefined : walk(condition, question.path);
    if (question.regex !== undefined) return { value: new RegExp(...question.regex).test(question.value) };
    const held = call(question.value);
    if (held instanceof NativePromise) throw new TypeError('it gives a promise, and a condition does not wait');
    return { value: Boolean(held) };
  } catch (error) {
    return { error: describe(error).message };
  }
};
const LARGEST = 10n ** 4000n;  // a longer one cannot be read in Python
const walk = (value, path) => path.reduce((at, key) => at[key], value);

const TYPES = new Map([String, Number, Boolean, Array, Object].map(type => [type, type.name]));
const TESTS = new Set([Array.isArray, Number.isFinite, Number.isInteger, Number.isNaN, Number.isSafeInteger]);
const JSON_ONLY = 'expected String, Number, Boolean, Array or Object';
const INSTEAD = new Map([
  [Date, 'a time in JSON is text: String'], [RegExp, 'write the regular expression itself: /…/'],
  [Function, 'write the function itself: x => …'], [BigInt, 'a BigInt is a Number here'],
]);

// Why a function is no predicate; undefined where it is one.
const noPredicate = value => {
  if (ABSENT.has(value)) return 'what only a run has (task, connectors, fetch and the like)';
  const name = text(value.name);
  const source = textOf.call(value);
  if (/^class\b/.test(source) || (hasOwn(value, 'prototype') && isNative(source) && !name.startsWith('bound '))) {
    return [`the class ${name || 'without a name'} is no pattern; ${INSTEAD.get(value) ?? JSON_ONLY}`];
  }
  if (TESTS.has(value)) return undefined;
  if (globalThis[name] === value || (isNative(source) && !name.startsWith('bound '))) {
    return [`the built-in function ${name} is no pattern; write a function of your own: x => …`];
  }
  if (WAITING.has(getPrototypeOf(value))) {
    return ['a function that is async or a generator is no pattern; write one that returns true or false'];
  }
};
const WAITING = new Set([async () => {}, function* () {}, async function* () {}].map(getPrototypeOf));
const isNative = source => source.endsWith('{ [native code] }');

const article = name => `${/^[AEIO]/.test(name) ? 'an' : 'a'} ${name}`;
// Why an object is no pattern; undefined where it is one: a plain object, with a prototype or without.
const noMembers = value => {
  for (const [kind, name] of [[String, 'string'], [Number, 'number'], [Boolean, 'boolean']]) {
    if (value instanceof kind) return [`a boxed ${name} (new ${kind.name}) is no pattern; write the ${name} itself`];
  }
  const above = getPrototypeOf(value);
  const [symbol] = getOwnPropertySymbols(value);
  if (symbol) return `an object that has ${text(symbol)} as a key`;
  if (above === null || above === Object.prototype) return undefined;
  if (value instanceof Date) return ['a Date is no pattern; a time in JSON is text, compare with that'];
  const name = text(value.constructor?.name ?? '');
  if (value instanceof Set) return ['a Set is no pattern; for one of several values write {$in: […]}'];
  return name && name !== 'Object' ? [`${article(name)} is no pattern; write a plain object: {…}`]
    : 'an object that inherits from another';
};

// A pattern as JSON that says what each leaf is: ["v", value] ["n"] ["t", type] ["r", source, flags] ["f", text, path]
// ["c", part] ["o", [[key, pattern], …]] ["a", [pattern, …]]; what is no pattern is ["x", what it is], or ["e", why] where
// there is more to say. The text of a $regex that cannot be read is ["v", text, why], a whole condition that is computed
// and gives no pattern ["c", part, the type of what it gives].
const describePattern = (value, path) => {
  if (path.length > 100) return ['x', 'an object that holds itself'];
  if (value === null || value === undefined) return ['n'];
  switch (typeof value) {
    case 'string': case 'boolean': return ['v', value];
    case 'number': return Number.isFinite(value) ? ['v', value] : ['e', `${value} is no number that JSON has`];
    case 'bigint': return value < LARGEST && value > -LARGEST ? ['v', value] : ['x', 'a number of 4,000 digits'];
    case 'function': return TYPES.has(value) ? ['t', TYPES.get(value)]
      : refused(noPredicate(value)) ?? ['f', textOf.call(value), path];
    case 'symbol': return ['x', 'a symbol'];
  }
  if (value[PART] !== undefined) return ['c', value[PART]];
  if (value instanceof RegExp) return ['r', value.source, value.flags];
  if (isArray(value)) return ['a', Array.from(value, (one, n) => describePattern(one, [...path, n]))];
  return refused(noMembers(value)) ?? ['o', Object.keys(value).map(key => [key, describeMember(value, key, path)])];
};
const refused = why => (why === undefined ? undefined : isArray(why) ? ['e', ...why] : ['x', why]);
const describeMember = (object, key, path) => {
  const found = describePattern(object[key], [...path, key]);
  if (key !== '$regex') return found;
  const [kind, source] = found;
  const flags = object.$options ?? '';
  if ((kind !== 'v' && kind !== 'r') || typeof source !== 'string' || typeof flags !== 'string') return found;
  try {
    new RegExp(source, kind === 'r' && !hasOwn(object, '$options') ? found[2] : flags);
  } catch (error) {
    const why = /^Invalid regular expression: .*: (.*?)$/s.exec(describe(error).message);
    if (why) return ['v', source, why[1]];  // flags that there are not are told with those that there are
  }
  return found;
};

internal.judge = (factory, data, questions) => {
  const answers = [];
  try {
    const found = judgeable(factory, data, (part, call) => call());
    for (const question of questions) answers.push(judgeOne(found, question));
  } catch (error) {
    while (answers.length < questions.length) answers.push({ error: describe(error).message });
  }
  return answers;
};

// Data of any shape, to see what kind of thing a condition that is computed as a whole gives.
const BOOLEAN = new Set(['endsWith', 'every', 'has', 'hasOwnProperty', 'includes', 'some', 'startsWith']);
const anything = key => new Proxy(() => {}, {
  get: (_, name) => (name === Symbol.toPrimitive ? hint => (hint === 'number' ? NaN : '')
    : name === Symbol.iterator ? () => [][Symbol.iterator]() : anything(name)),
  has: () => true,
  ownKeys: () => [],
  getOwnPropertyDescriptor: () => undefined,
  apply: () => BOOLEAN.has(key) || anything(),
});
internal.conditionOf = factory => {
  const { condition } = judgeable(factory, {}, () => { throw new Error('not now') });
  if (condition?.[PART] === undefined) return stringify(describePattern(condition, []));
  let given;
  try {
    const found = judgeable(factory, anything(), (_, call) => call());
    given = found.part(found.condition[PART]);
  } catch {
    // it needs more than can be guessed: what it gives is looked at when there is a task
  }
  const pattern = given === undefined || given === null || typeof given === 'object' || typeof given === 'function';
  return stringify(pattern ? ['c', condition[PART]] : ['c', condition[PART], typeof given]);
};
