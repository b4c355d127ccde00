// Conditions: described once, when they are loaded, and asked what only their code can tell.
const { isArray } = Array;
const { stringify } = JSON;
const NativePromise = Promise;
const { text, describe } = internal;

const nothing = new Proxy(function () {}, {
  get(_, key) { throw new Error(`a condition looks at data only; it has no ${text(key)} to use`) },
});
const withoutRun = data => ({
  data, task: nothing, step: nothing, connectors: nothing, lib: internal.libraries, audit: nothing, graph: nothing,
  mapper: internal.mapper, file: nothing, blob: nothing, user: nothing, config: nothing, fetch: nothing,
  console: internal.console(() => {}), setTimeout: nothing, setInterval: nothing, setImmediate: nothing,
  clearTimeout: nothing, clearInterval: nothing,
});

const judgeable = (factory, data, computed) => {
  const parts = new Map();
  const collect = (part, call) => { parts.set(part, call); return { [PART]: part } };
  const condition = factory(withoutRun(data), value => value, collect).condition();
  return { condition, part: part => computed(part, parts.get(part)) };
};
const PART = Symbol('part');

const judgeOne = ({ condition, part }, question) => {
  try {
    if (question.part !== undefined && !question.call) return { value: describePattern(part(question.part), [], part) };
    const call = question.part !== undefined ? walk(part(question.part), question.path)
      : question.regex !== undefined ? undefined : walk(condition, question.path);
    if (question.regex !== undefined) return { value: new RegExp(question.regex[0], question.regex[1]).test(question.value) };
    return { value: Boolean(call(question.value)) };
  } catch (error) {
    return { error: describe(error).message };
  }
};
const walk = (value, path) => path.reduce((at, key) => at[key], value);

const TYPES = new Map([[String, 'String'], [Number, 'Number'], [Boolean, 'Boolean'], [Array, 'Array'], [Object, 'Object']]);

// A pattern as JSON that says what each leaf is: ["v", value] ["n"] ["t", type] ["r", source, flags] ["f", text, path]
// ["c", part] ["o", [[key, pattern], …]] ["a", [pattern, …]] ["x", what it is].
const describePattern = (value, path) => {
  if (path.length > 100) return ['x', 'an object that holds itself'];
  if (value === null || value === undefined) return ['n'];
  switch (typeof value) {
    case 'string': case 'boolean': return ['v', value];
    case 'number': return Number.isFinite(value) ? ['v', value] : ['x', `${value}`];
    case 'bigint': return ['v', value];
    case 'function': return TYPES.has(value) ? ['t', TYPES.get(value)]
      : /^class\b/.test(Function.prototype.toString.call(value)) || value.name in globalThis
        ? ['x', `the class ${value.name}`] : ['f', Function.prototype.toString.call(value), path];
    case 'symbol': return ['x', 'a symbol'];
  }
  if (value[PART] !== undefined) return ['c', value[PART]];
  if (value instanceof RegExp) return ['r', value.source, value.flags];
  if (isArray(value)) return ['a', value.map((one, n) => describePattern(one, [...path, n]))];
  if (value instanceof Date || value instanceof Map || value instanceof Set || value instanceof NativePromise) {
    return ['x', `a ${value.constructor.name}`];
  }
  return ['o', Object.keys(value).map(key => [key, describePattern(value[key], [...path, key])])];
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
internal.conditionOf = factory => {
  const { condition } = judgeable(factory, {}, () => { throw new Error('not now') });
  return stringify(describePattern(condition, []));
};
