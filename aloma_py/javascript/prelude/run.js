// The runs of an isolate. The host posts messages, each is handled with all that follows from it (the microtasks) before
// the next, and what the runs have to say is collected in the outbox.
const { parse, stringify } = JSON;
const { is, hasOwn, defineProperty, freeze, create } = Object;
const { isArray } = Array;
const now = Date.now.bind(Date);
const NativePromise = Promise;
const resolved = NativePromise.resolve.bind(NativePromise);
internal.rawJSON = JSON.rawJSON;
internal.isRawJSON = JSON.isRawJSON;
const isView = ArrayBuffer.isView;
const PENDING_CALLS = 10_000;
const TIMER_MILLIS = 0.5;  // what a timer counts for at least: turns too short to measure must end too

// A BigInt is a whole number in JSON.
defineProperty(BigInt.prototype, 'toJSON', { value() { return internal.rawJSON(String(this)) } });

// Stacks show the user's files, and none of the prelude's frames.
Error.stackTraceLimit = 20;
Error.prepareStackTrace = (error, frames) => {
  let head;
  try { head = String(error) } catch { head = 'Error' }
  const lines = [head];
  for (const frame of frames) {
    const file = frame.getScriptNameOrSourceURL();
    if (file && file !== '<anonymous>') lines.push(`    at ${frame}`);
  }
  return lines.join('\n');
};

const [MESSAGE, RUN, BATCH, STOP] = [0, 1, 2, 3];
const stopping = Atomics.load;
const progress = new Int32Array(internal.progress = new SharedArrayBuffer(16));
const modules = new Map();   // key -> factory of a step
const libraries = create(null);  // namespace -> its exports
const runs = new Map();
let current = null;          // the run whose message is handled
let outbox = [];
let inbox = [];
let handled = 0;             // messages of the engine so far
let connectorNames = new Map();
const emit = message => { outbox.push(stringify(message)) };

const text = value => { try { return String(value) } catch { return 'an error that cannot be shown' } };
const describe = error => {
  try {
    if (error !== null && typeof error === 'object' && 'message' in error) {
      const status = error.status;
      return { name: text(error.name || 'Error'), message: text(error.message), stack: text(error.stack ?? ''),
               status: Number.isInteger(status) ? status : null };
    }
    const shown = typeof error === 'string' ? error : internal.show(error);
    return { name: 'Error', message: `thrown: ${shown}`, stack: '', status: null };
  } catch {
    return { name: 'Error', message: 'an error that cannot be shown', stack: '', status: null };
  }
};

class CallError extends Error {
  // `site` is an error made where the call was: its stack has the author's line, the answer's turn has none.
  constructor({ name, message, status }, site) {
    super(message);
    defineProperty(this, 'name', { value: name || 'CallError', configurable: true, writable: true });
    if (status !== null && status !== undefined) this.status = status;
    const [, ...frames] = site.stack.split('\n');
    defineProperty(this, 'stack', { value: [`${this.name}: ${message}`, ...frames].join('\n'), configurable: true, writable: true });
  }
}

// The promise of a call: it knows whether somebody has asked for what came of it.
class Answer extends NativePromise {
  asked = false;
  static get [Symbol.species]() { return NativePromise }
  then(...handlers) { this.asked = true; return super.then(...handlers) }
}

class Run {
  constructor(id, spec) {
    this.id = id;
    this.spec = spec;
    this.before = spec.data;
    this.data = withStash(internal.copy(spec.data));
    this.calls = new Map();    // call -> [resolve, reject]
    this.answers = new Set();  // promises of the ends of the calls under way
    this.timers = new Map();
    this.failed = [];          // calls that failed and nobody may have asked for
    this.ops = [];
    this.lines = spec.limits.logLines;
    this.bytes = spec.limits.logBytes;
    this.used = 0;
    this.lastCall = 0;
    this.missing = null;
    this.ended = false;
    this.idle = false;
  }

  open() {
    if (this.ended) throw new Error(`the run of step '${this.spec.step.name}' has ended; what its code asks for now is refused`);
  }

  op(name, ...args) {
    this.open();
    if (this.ops.length >= PENDING_CALLS * 10) throw new RangeError('the step asks for too many things in one run');
    this.ops.push([name, internal.plain(args, [], this.spec.limits.depth + 4)]);
  }

  log(level, line) {
    if (this.ended || this.lines < 0) return;
    this.bytes -= line.length;
    if (--this.lines < 0 || this.bytes < 0) { this.lines = -1; level = 'full'; line = '' }
    emit(['log', this.id, level, line]);
  }

  call(kind, ...args) {
    this.open();
    if (this.calls.size >= PENDING_CALLS) {
      throw new RangeError(`more than ${PENDING_CALLS} calls are under way; await some before the next`);
    }
    const id = ++this.lastCall;
    const site = new Error();  // its stack is only written down when it is asked for
    const answer = new Answer((resolve, reject) => this.calls.set(id, [resolve, reject, site]));
    emit(['call', this.id, id, kind, internal.plain(args, [], this.spec.limits.depth + 4)]);
    const ended = after(answer, () => this.answers.delete(ended), error => {
      this.answers.delete(ended);
      this.failed.push([answer, error]);
    });
    this.answers.add(ended);
    return answer;
  }
}
// As `then`, but nobody who asks: what came of a call is looked at by the code only.
const after = (promise, ...handlers) => NativePromise.prototype.then.call(promise, ...handlers);

// `data.$stash` is there without being made.
const withStash = data => {
  if (!hasOwn(data, '$stash')) {
    defineProperty(data, '$stash', {
      get() { const made = {}; set(this, made); return made },
      set(value) { set(this, value) },
      configurable: true, enumerable: false,
    });
  }
  return data;
};
const set = (object, value) =>
  defineProperty(object, '$stash', { value, writable: true, configurable: true, enumerable: true });

const bytes = value => (isView(value) ? { $bytes: internal.base64.encode(value) } : value);
const content = value => (value !== null && typeof value === 'object' && typeof value.$bytes === 'string'
  ? Buffer.from(value.$bytes, 'base64') : value);

// ── what a run's code is given ──────────────────────────────────────────────────────────────────────────────────

const makeTask = run => {
  const { task } = run.spec;
  let { name } = task;
  let tags = task.tags;
  let children = 0;
  const id = freeze(defineProperty(defineProperty(() => task.id, 'toString', { value: () => task.id }),
                                   'toJSON', { value: () => task.id }));
  return {
    id,
    name(value) { if (value !== undefined) { run.op('name', value); name = text(value) } return name },
    tags(value) { if (value !== undefined) { run.op('tags', value); tags = [...value] } return [...tags] },
    createdAt: task.createdAt,
    workspace: () => task.workspace,
    region: () => task.region,
    config: key => run.spec.config[key],
    complete: result => run.op('complete', result ?? null),
    completeOnExpire: result => run.op('completeOnExpire', result ?? null),
    timeout: after => run.op('timeout', after),
    ignore: () => run.op('ignore'),
    park: after => run.op('park', after ?? null),
    subtask(title, data, options) {
      run.op('subtask', title, data ?? {}, options ?? {});
      return `${run.spec.child}-${++children}`;
    },
    visualize: picture => run.op('visualize', picture),
    getData: async () => internal.copy(run.data),
  };
};

const makeConnectors = run => new Proxy(create(null), {
  get(_, namespace) {
    if (typeof namespace === 'symbol') return undefined;
    const known = connectorNames.get(namespace);
    run.missing = known === undefined ? namespace : null;
    return known === undefined ? undefined : method(run, namespace, '', known);
  },
  has: (_, namespace) => connectorNames.has(namespace),
  ownKeys: () => [...connectorNames.keys()],
  getOwnPropertyDescriptor: (_, namespace) => connectorNames.has(namespace)
    ? { value: method(run, namespace, '', connectorNames.get(namespace)), enumerable: true, configurable: true } : undefined,
  set() { throw new TypeError('connectors cannot be changed') },
});

const method = (run, namespace, path, fallback) => new Proxy(function () {}, {
  get(_, name) {
    if (typeof name === 'symbol' || name === 'then' || name === 'toJSON') return undefined;
    return method(run, namespace, path ? `${path}.${name}` : name, null);
  },
  apply(_, __, args) {
    const called = path || fallback;
    if (!called) throw new TypeError(`connector '${namespace}' is not called itself: call one of its methods`);
    if (args.length > 1 && !(args.length === 2 && typeof args[0] === 'string')) {
      throw new TypeError(`${namespace}.${called} takes one object; ${args.length} arguments were given`);
    }
    let given = args.length === 2 ? { url: args[0], options: args[1] } : args[0] ?? {};
    let into = null;
    if (given !== null && typeof given === 'object' && typeof given.into === 'string') ({ into, ...given } = given);
    return run.call('connector', namespace, called, given, into);
  },
  set() { throw new TypeError('connectors cannot be changed') },
});

const makeTimers = run => {
  const start = (repeat, call, wait, args) => {
    if (typeof call !== 'function') throw new TypeError('a timer needs a function');
    run.open();
    if (run.timers.size >= PENDING_CALLS) throw new RangeError(`more than ${PENDING_CALLS} timers are under way`);
    const id = ++run.lastCall;
    const after = Math.max(Number(wait) || 0, repeat ? 1 : 0);
    run.timers.set(id, { repeat, call, after, args });
    emit(['call', run.id, id, 'timer', [after]]);
    return id;
  };
  const clear = id => { if (run.timers.delete(id)) emit(['clear', run.id, id]) };
  return {
    setTimeout: (call, wait, ...args) => start(false, call, wait, args),
    setInterval: (call, wait, ...args) => start(true, call, wait, args),
    setImmediate: (call, ...args) => start(false, call, 0, args),
    clearTimeout: clear,
    clearInterval: clear,
  };
};

const fail = (run, error) => { if (!run.failure) run.failure = { error } };

const makeFloating = run => value => {
  if (typeof value === 'function') {
    return function (...args) { return run.floating(value.apply(this, args)) };
  }
  if (value instanceof Answer) return value;  // calls are looked after anyway
  if (value instanceof NativePromise) after(value, undefined, error => fail(run, error));
  return value;
};

const globalsOf = run => {
  run.floating = makeFloating(run);
  const connectors = makeConnectors(run);
  const task = makeTask(run);
  const trail = run.spec.audit;
  const given = [];
  return {
    data: run.data,
    task,
    step: { name: run.spec.step.name, attempt: run.spec.step.attempt, redo: () => run.op('redo') },
    connectors,
    lib: internal.libraries,
    audit: {
      log(line, details) { run.op('audit.log', internal.show(line), details ?? null); given.push(internal.copy(details === undefined ? { msg: internal.show(line) } : { msg: internal.show(line), details })) },
      reference(reference) { run.op('audit.reference', reference); given.push(internal.copy(reference)) },
      get: () => internal.copy([...trail, ...given]),
    },
    graph: internal.graph(run.data),
    mapper: internal.mapper,
    file: {
      write: (name, value) => run.call('file.write', text(name), bytes(value)),
      read: name => after(run.call('file.read', text(name)), content),
    },
    blob: {
      create: ({ content: value, ...about }) => run.call('blob.create', { ...about, content: bytes(value) }),
      get: id => run.call('blob.get', id),
      getContent: id => after(run.call('blob.getContent', id), content),
    },
    user: { conversation: options => run.op('conversation', options ?? {}) },
    config: task.config,
    fetch: (url, options) => run.call('connector', 'fetch', 'fetch', internal.fetchArguments(url, options), null),
    console: internal.console((level, line) => run.log(level, line)),
    ...makeTimers(run),
  };
};

// What library code is given: the same, of the run at work.
const of_current = name => new Proxy(function () {}, {
  get: (_, key) => { const value = need()[name][key]; return typeof value === 'function' && name !== 'connectors' ? value.bind(need()[name]) : value },
  has: (_, key) => key in need()[name],
  apply: (_, __, args) => need()[name](...args),
});
const need = () => {
  if (!current) throw new Error('a library can use task, connectors and the like only while a step calls it');
  return current.globals;
};

internal.later = (call, wait) => need().setTimeout(call, wait);

// ── messages ────────────────────────────────────────────────────────────────────────────────────────────────────

const execute = async run => {
  const factory = modules.get(run.spec.key);
  run.globals = globalsOf(run);
  const made = factory(run.globals, run.floating);
  await made.content(run.data);
  for (;;) {
    while (run.answers.size) await NativePromise.allSettled([...run.answers]);
    const [left] = run.failed.filter(([answer]) => !answer.asked);
    if (left) throw left[1];
    if (run.failure) throw run.failure.error;
    await settle(run.data, new Set());
    if (!run.answers.size) break;
  }
};

// A promise left in the data is replaced by what comes of it.
const settle = async (value, seen) => {
  if (value === null || typeof value !== 'object' || seen.has(value)) return;
  seen.add(value);
  for (const key of Object.keys(value)) {
    if (value[key] instanceof NativePromise) value[key] = await value[key];
    else await settleNow(value[key], seen);
  }
};
const settleNow = (value, seen) => (value !== null && typeof value === 'object' && holdsPromise(value, new Set())
  ? settle(value, seen) : undefined);
const holdsPromise = (value, seen) => {
  if (value === null || typeof value !== 'object' || seen.has(value)) return false;
  if (value instanceof NativePromise) return true;
  seen.add(value);
  for (const key of Object.keys(value)) if (holdsPromise(value[key], seen)) return true;
  return false;
};

const finish = (run, error) => {
  if (run.ended) return;
  run.timers.clear();
  let message;
  if (!error) {
    try {
      message = stringify(['done', run.id, internal.patch(run.before, run.data, run.spec.limits.depth), run.ops]);
      const most = run.spec.limits.dataBytes * 2 + 100_000;
      if (message.length > most) throw new RangeError(`the data is more than the limit of ${run.spec.limits.dataBytes} bytes`);
    } catch (trouble) {
      error = { error: trouble };
    }
  }
  if (error) {
    const told = describe(error.error);
    if (run.missing && told.name === 'TypeError' && told.message.includes('of undefined')) {
      const names = [...connectorNames.keys()].sort().join(', ');
      told.message += `: there is no connector '${run.missing}'; there are: ${names}`;
      told.missing = true;
    }
    message = stringify(['fail', run.id, told]);
  }
  run.ended = true;
  runs.delete(run.id);
  outbox.push(message);
};

const dispatch = {
  start(id, spec) {
    const run = current = new Run(id, spec);
    runs.set(id, run);
    resolved().then(() => execute(run)).then(() => finish(run), error => finish(run, { error }));
  },
  ok(id, call, value) {
    const run = current = runs.get(id) ?? null;
    if (!run) return;
    run.idle = false;
    const timer = run.timers.get(call);
    if (timer) {
      if (timer.repeat) emit(['call', run.id, call, 'timer', [timer.after]]);
      else run.timers.delete(call);
      run.used += TIMER_MILLIS;
      resolved().then(() => timer.call(...timer.args)).catch(error => finish(run, { error }));
      return;
    }
    const handlers = run.calls.get(call);
    run.calls.delete(call);
    handlers?.[0](internal.answer(value));
  },
  no(id, call, error) {
    const run = current = runs.get(id) ?? null;
    if (!run) return;
    run.idle = false;
    const handlers = run.calls.get(call);
    run.calls.delete(call);
    handlers?.[1](new CallError(error, handlers[2]));
  },
  kill(id) {
    const run = runs.get(id);
    runs.delete(id);
    if (run) { run.ended = true; run.calls.clear(); run.timers.clear(); run.answers.clear() }
  },
  setup(_, { connectors }) { connectorNames = new Map(connectors) },
  judge(id, key, data, questions) {
    const computed = (part, call) => call();
    const answers = [];
    resolved().then(() => {
      const found = judgeable(key, data, computed);
      for (const question of questions) answers.push(judgeOne(found, question));
    }).catch(error => { while (answers.length < questions.length) answers.push({ error: describe(error).message }) })
      .then(() => emit(['judged', id, answers]));
  },
};

// ── conditions ──────────────────────────────────────────────────────────────────────────────────────────────────

const nothing = new Proxy(function () {}, {
  get(_, key) { throw new Error(`a condition looks at data only; it has no ${text(key)} to use`) },
});
const withoutRun = data => ({
  data, task: nothing, step: nothing, connectors: nothing, lib: internal.libraries, audit: nothing, graph: nothing,
  mapper: internal.mapper, file: nothing, blob: nothing, user: nothing, config: nothing, fetch: nothing,
  console: internal.console(() => {}), setTimeout: nothing, setInterval: nothing, setImmediate: nothing,
  clearTimeout: nothing, clearInterval: nothing,
});

const judgeable = (key, data, computed) => {
  const parts = new Map();
  const collect = (part, call) => { parts.set(part, call); return { [PART]: part } };
  const condition = modules.get(key)(withoutRun(data), value => value, collect).condition();
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

// ── the doors for the host ──────────────────────────────────────────────────────────────────────────────────────

internal.libraries = new Proxy(libraries, {
  get(_, namespace) { if (current && !(namespace in libraries) && typeof namespace !== 'symbol') current.missing = null; return libraries[namespace] },
  set() { throw new TypeError('lib cannot be changed') },
});
internal.pump = (acknowledged, messages, exact, batch) => {
  if (acknowledged) outbox = [];
  inbox.push(...(exact ? parse(messages, wholeNumbers) : parse(messages)));
  progress[BATCH] = batch;
  let longest = 0;
  let slowest = -1;          // the run whose turn was the longest
  for (let message; (message = inbox.shift());) {
    current = null;
    progress[RUN] = message[1];
    progress[MESSAGE]++;
    if (message[0] !== 'kill' || !message[2]) handled++;
    const began = now();
    dispatch[message[0]](...message.slice(1));
    %PerformMicrotaskCheckpoint();
    if (stopping(progress, STOP)) return '';  // the turn was stopped in a microtask: V8 goes on after those
    const took = now() - began;
    if (took >= longest) [longest, slowest] = [took, message[1]];
    const run = current;
    current = null;
    if (run && !run.ended) account(run, took);
  }
  progress[RUN] = -1;
  return `[["seen",${handled},${slowest}]${outbox.length ? "," + outbox.join(",") : ""}]`;
};
const account = (run, took) => {
  run.used += took;
  if (run.used > run.spec.limits.runMillis) {
    finish(run, { error: { name: 'StepTimeout', message: `step '${run.spec.step.name}' ran longer than its time limit of ${run.spec.limits.runMillis} ms` } });
  } else if (run.failure) {
    finish(run, run.failure);
  } else if (!run.calls.size && !run.timers.size && !run.idle) {
    run.idle = true;
    emit(['idle', run.id]);
  }
};
const wholeNumbers = (_, value, context) =>
  typeof value === 'number' && !Number.isSafeInteger(value) && /^-?\d+$/.test(context?.source ?? '') ? BigInt(context.source) : value;

const notFound = file => name => {
  throw new Error(`${file} asks for the module '${name}': steps have no modules; shared code goes into a library (lib.…)`);
};
internal.load = (key, file, factory) => {
  modules.set(key, (given, floating, computed) => {
    const module = { exports: {} };
    return factory(computed ?? ((_, call) => call()), given.data, given.task, given.step, given.connectors, given.lib, given.audit,
      given.graph, given.mapper, given.file, given.blob, given.user, given.fetch, given.console, given.config,
      given.setTimeout, given.clearTimeout, given.setInterval, given.clearInterval, given.setImmediate,
      module, module.exports, notFound(file), floating);
  });
};
internal.library = (namespace, file, factory) => {
  const module = { exports: {} };
  const [task, connectors, audit, logger] = ['task', 'connectors', 'audit', 'console'].map(of_current);
  const later = name => (...args) => need()[name](...args);
  factory(task, connectors, internal.libraries, audit, logger, later('config'), later('fetch'), later('setTimeout'),
    later('clearTimeout'), later('setInterval'), later('clearInterval'), later('setImmediate'),
    module, module.exports, notFound(file), value => (current ? current.floating(value) : value));
  const known = libraries[namespace] ?? (libraries[namespace] = {});
  Object.defineProperties(known, Object.getOwnPropertyDescriptors(module.exports));
  return Object.keys(module.exports).join(',');
};
// What could not be loaded says so where it is used.
internal.unloaded = (kind, key, reason) => {
  const refuse = () => { throw new Error(`${kind} '${key}' could not be loaded: ${reason}`) };
  if (kind === 'library') libraries[key] = new Proxy({}, { get: refuse, has: refuse });
  else modules.set(key, refuse);
};
internal.describeCondition = key => {
  const { condition } = judgeable(key, {}, () => { throw new Error('not now') });
  return stringify(describePattern(condition, []));
};
