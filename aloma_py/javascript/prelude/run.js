// The runs of an isolate. The host posts messages, each is handled with all that follows from it (the microtasks) before
// the next, and what the runs have to say is collected in the outbox.
const { parse, stringify } = JSON;
const { defineProperty, create, keys } = Object;
const { describe, advise, CallError, after, Run, touched, wasAsked, namesStash } = internal;
const now = Date.now.bind(Date);
const NativePromise = Promise;
const resolved = NativePromise.resolve.bind(NativePromise);
const TIMER_MILLIS = 0.5;  // what a timer counts for at least: turns too short to measure must end too

// A BigInt is a whole number in JSON.
defineProperty(BigInt.prototype, 'toJSON', { value() { return internal.rawJSON(String(this)) } });

const [MESSAGE, RUN, BATCH, STOP, SLOWEST] = [0, 1, 2, 3, 4];
const stopping = Atomics.load;
const progress = new Int32Array(internal.progress = new SharedArrayBuffer(20));
const modules = new Map();   // key -> factory of a step
const libraries = create(null);  // namespace -> its exports
const runs = new Map();
let current = null;          // the run whose message is handled
let verdict = null;          // what is to be said of a condition when the turn has ended well
let outbox = [];
let inbox = [];
let handled = 0;             // messages of the engine so far
const emit = message => { outbox.push(stringify(message)) };

// What library code is given: the same, of the run at work.
const ofCurrent = name => new Proxy(function () {}, {
  get(_, key) {
    const given = need()[name];
    const value = given[key];
    return typeof value === 'function' && name !== 'connectors' ? value.bind(given) : value;
  },
  has: (_, key) => key in need()[name],
  apply: (_, __, args) => need()[name](...args),
});
const need = () => {
  if (!current) throw new Error('a library can use task, connectors and the like only while a step calls it');
  return current.given;
};

internal.later = (call, wait) => need().setTimeout(call, wait);

// ── messages ────────────────────────────────────────────────────────────────────────────────────────────────────

const execute = async run => {
  const factory = modules.get(run.spec.key);
  run.given = internal.givenTo(run);
  const made = factory(run.given, run.floating);
  await made.content(run.data);
  run.returned = true;
  touched.add(run);
};

// After a turn, when no microtask is left: a run whose code has returned ends when nothing that it began is under way.
const conclude = run => {
  while (run.returned && !run.ended && !run.answers.size && !run.floats) {
    const left = run.failed.find(([answer]) => !wasAsked(answer));
    if (left) finish(run, { error: left[1] });
    else if (run.failure) finish(run, run.failure);
    else if (!holdsPromise(run.data, new Set())) finish(run);
    else {
      run.floats++;
      settle(run.data, new Set()).then(() => run.landed(), error => { fail(run, error); run.landed() });
      %PerformMicrotaskCheckpoint();
    }
  }
};
const fail = (run, error) => { if (!run.failure) run.failure = { error } };
internal.fail = fail;
internal.report = error => { if (current) fail(current, error) };

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
  const names = keys(value);
  for (let n = 0; n < names.length; n++) {
    const member = value[names[n]];
    if (member !== null && typeof member === 'object' && holdsPromise(member, seen)) return true;
  }
  return false;
};

const finish = (run, error) => {
  if (run.ended) return;
  run.timers.clear();
  let message;
  if (!error) {
    try {
      message = stringify(['done', run.id, internal.patch(run.before, run.data, run.spec.limits.depth), run.ops]);
      if (message.length > run.most) {
        throw new internal.ResultError(`the data is more than the limit of ${run.spec.limits.dataBytes} bytes`);
      }
    } catch (trouble) {
      error = { error: trouble };
    }
  }
  if (error) {
    const told = advise(describe(error.error));
    if (run.missing && told.name === 'TypeError' && told.message.includes('of undefined')) {
      const [kind, name] = run.missing;
      const there = kind === 'library' ? Object.keys(libraries) : internal.namesOfConnectors();
      told.message += `: there is no ${kind} '${name}'; there are: ${there.sort().join(', ') || 'none'}`;
    }
    message = stringify(['fail', run.id, told]);
  }
  run.flush(!error, outbox);
  run.ended = true;
  runs.delete(run.id);
  outbox.push(message);
};

const dispatch = {
  start(id, spec) {
    const run = current = new Run(id, spec);
    runs.set(id, run);
    resolved().then(() => execute(run)).catch(error => finish(run, { error }));
  },
  ok(id, call, value) {
    const run = current = runs.get(id) ?? null;
    if (!run) return;
    run.idle = false;
    const timer = run.timers.get(call);
    if (timer) {
      if (timer.repeat) run.say('call', call, 'timer', [timer.after]);
      else run.timers.delete(call);
      run.used += TIMER_MILLIS;
      resolved().then(() => timer.call(...timer.args)).catch(error => finish(run, { error }));
      return;
    }
    const handlers = run.calls.get(call);
    run.calls.delete(call);
    handlers?.[0](value);
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
    if (run) {
      run.flush(false, outbox);
      run.ended = true;
      for (const left of [run.calls, run.timers, run.answers]) left.clear();
    }
  },
  setup(_, { connectors }) { internal.setConnectors(connectors) },
  judge(id, key, data, questions) {
    verdict = ['judged', id, internal.judge(modules.get(key), data, questions)];
  },
};

// ── the doors for the host ──────────────────────────────────────────────────────────────────────────────────────

const unchanging = () => { throw new TypeError('lib cannot be changed') };
const UNCHANGING = {
  set: unchanging, defineProperty: unchanging, deleteProperty: unchanging, setPrototypeOf: unchanging,
  preventExtensions: unchanging,
};
internal.libraries = new Proxy(libraries, {
  get(_, namespace) {
    if (current && typeof namespace === 'string') {
      current.missing = namespace in libraries ? null : ['library', namespace];
    }
    return libraries[namespace];
  },
  ...UNCHANGING,
});
internal.pump = (acknowledged, messages, exact, batch) => {
  if (acknowledged) outbox = [];
  inbox.push(...(exact ? parse(messages, wholeNumbers) : parse(messages)));
  progress[BATCH] = batch;
  let longest = 0;
  progress[SLOWEST] = -1;    // the run whose turn was the longest
  for (let message; (message = inbox.shift());) {
    current = verdict = null;
    progress[RUN] = message[1];
    progress[MESSAGE]++;
    if (message[0] !== 'kill' || !message[2]) handled++;
    const began = now();
    dispatch[message[0]](...message.slice(1));
    %PerformMicrotaskCheckpoint();
    if (current) touched.add(current);
    for (const run of touched) {
      if (run.ended) continue;
      try { conclude(run) } catch (error) { finish(run, { error }) }  // a getter in the data may throw
    }
    if (stopping(progress, STOP)) return '';  // the turn was stopped in a microtask: V8 goes on after those
    if (verdict) emit(verdict);
    const took = now() - began;
    if (took >= longest) [longest, progress[SLOWEST]] = [took, message[1]];
    for (const run of touched) if (!run.ended) run.flush(true, outbox);
    touched.clear();
    const run = current;
    current = null;
    if (run && !run.ended) account(run, took);
  }
  progress[RUN] = -1;
  return `[["seen",${handled}]${outbox.length ? "," + outbox.join(",") : ""}]`;
};
const account = (run, took) => {
  run.used += took;
  if (run.used > run.spec.limits.runMillis) {
    const message = `step '${run.spec.step.name}' ran longer than its time limit of ${run.spec.limits.runMillis} ms`;
    finish(run, { error: { name: 'StepTimeout', message } });
  } else if (run.failure) {
    finish(run, run.failure);
  } else if (!run.calls.size && !run.timers.size && !run.idle) {
    run.idle = true;
    emit(['idle', run.id]);
  }
};
const wholeNumbers = (_, value, context) => {
  if (typeof value !== 'number' || Number.isSafeInteger(value)) return value;
  return /^-?\d+$/.test(context?.source ?? '') ? BigInt(context.source) : value;
};

const notFound = file => name => {
  const why = 'steps have no modules; shared code goes into a library (lib.…)';
  throw new Error(`${file} asks for the module '${name}': ${why}`);
};
const STEP_NAMES = [
  'data', 'task', 'step', 'connectors', 'lib', 'audit', 'graph', 'mapper', 'file', 'blob', 'user', 'fetch', 'console',
  'config', 'setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'setImmediate',
];
internal.load = (key, file, factory) => {
  // What the text does not name is not made: there is no other way to a name.
  const source = sourceOf.call(factory);
  const body = source.slice(source.indexOf('{'));
  if (body.includes('stash')) namesStash(key);
  const named = name => body.includes(name) || body.includes('\\u') || body.includes('arguments');
  const used = STEP_NAMES.map(name => (named(name) ? name : null));
  modules.set(key, (given, floating, computed = computeNow) => {
    const module = { exports: {} };
    const values = used.map(name => (name === null ? undefined : given[name]));
    return factory(computed, ...values, module, module.exports, notFound(file), floating);
  });
};
const computeNow = (_, call) => call();
const sourceOf = Function.prototype.toString;
internal.library = (namespace, file, factory) => {
  const module = { exports: {} };
  const [task, connectors, audit, logger] = ['task', 'connectors', 'audit', 'console'].map(ofCurrent);
  const later = name => (...args) => need()[name](...args);
  factory(task, connectors, internal.libraries, audit, logger, later('config'), later('fetch'), later('setTimeout'),
    later('clearTimeout'), later('setInterval'), later('clearInterval'), later('setImmediate'),
    module, module.exports, notFound(file), value => (current ? current.floating(value) : value));
  if (sourceOf.call(factory).includes('stash')) namesStash(null);
  const known = create(Object.prototype, Object.getOwnPropertyDescriptors(libraries[namespace] ?? {}));
  Object.defineProperties(known, Object.getOwnPropertyDescriptors(module.exports));
  libraries[namespace] = Object.freeze(known);  // a step that changed it would change it for all that follow
  return Object.keys(module.exports).join(',');
};
// What could not be loaded says so where it is used.
internal.unloaded = (kind, key, reason) => {
  const refuse = () => { throw new Error(`${kind} '${key}' could not be loaded: ${reason}`) };
  if (kind === 'library') libraries[key] = new Proxy({}, { get: refuse, has: refuse });
  else modules.set(key, refuse);
};
internal.describeCondition = key => internal.conditionOf(modules.get(key));
