// What the code of one run is given: `task`, `connectors`, `audit` and the others, made for that run.
const { defineProperty, freeze, create, hasOwn } = Object;
const { text } = internal;
const isView = ArrayBuffer.isView;
const NativePromise = Promise;
const MOST_TIMERS = 10_000;
// As `then`, but nobody who asks: what came of a call is looked at by the code only.
const after = (promise, ...handlers) => NativePromise.prototype.then.call(promise, ...handlers);
internal.after = after;
let connectorNames = new Map();  // namespace -> the method that calling it means
internal.setConnectors = names => { connectorNames = new Map(names) };
internal.namesOfConnectors = () => [...connectorNames.keys()].sort();

const bytes = value => {
  if (value instanceof ArrayBuffer) return bytes(new Uint8Array(value));
  if (!isView(value)) return value;
  return { $bytes: internal.base64.encode(new Uint8Array(value.buffer, value.byteOffset, value.byteLength)) };
};
const content = value => (value !== null && typeof value === 'object' && typeof value.$bytes === 'string'
  ? Buffer.from(value.$bytes, 'base64') : value);

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
    config: makers.config(run),
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
    run.missing = known === undefined ? ['connector', namespace] : null;
    return known === undefined ? undefined : method(run, namespace, '', known);
  },
  has: (_, namespace) => connectorNames.has(namespace),
  ownKeys: () => [...connectorNames.keys()],
  getOwnPropertyDescriptor(_, namespace) {
    if (!connectorNames.has(namespace)) return undefined;
    const value = method(run, namespace, '', connectorNames.get(namespace));
    return { value, enumerable: true, configurable: true };
  },
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
    const answer = run.call('connector', namespace, called, given, into);
    return namespace === 'fetch' ? internal.responding(run, answer, given) : answer;
  },
  set() { throw new TypeError('connectors cannot be changed') },
});

// As in browsers and Node: what is no time, or longer than they can count, is no wait.
const LONGEST_WAIT = 2 ** 31 - 1;
const waitOf = (wait, repeat) => {
  const millis = Number(wait) || 0;
  return Math.max(millis > LONGEST_WAIT ? 1 : millis, repeat ? 1 : 0);
};

const makeTimers = run => {
  const start = (repeat, call, wait, args) => {
    if (typeof call !== 'function') throw new TypeError('a timer needs a function');
    run.open();
    if (run.timers.size >= MOST_TIMERS) throw new RangeError(`more than ${MOST_TIMERS} timers are under way`);
    const id = ++run.lastCall;
    const after = waitOf(wait, repeat);
    run.timers.set(id, { repeat, call, after, args });
    run.say('call', id, 'timer', [after]);
    return id;
  };
  const clear = id => { if (run.timers.delete(id)) run.say('clear', id) };
  return {
    setTimeout: (call, wait, ...args) => start(false, call, wait, args),
    setInterval: (call, wait, ...args) => start(true, call, wait, args),
    setImmediate: (call, ...args) => start(false, call, 0, args),
    clearTimeout: clear,
    clearInterval: clear,
  };
};

const makeFloating = run => value => {
  if (typeof value === 'function') {
    return function (...args) { return run.floating(value.apply(this, args)) };
  }
  if (value instanceof internal.Answer) return value;  // calls are looked after anyway
  if (value instanceof NativePromise) {
    run.floats++;
    after(value, () => run.landed(), error => { internal.fail(run, error); run.landed() });
  }
  return value;
};

const makeAudit = run => {
  const trail = run.spec.audit;
  const given = [];
  return {
    log(line, details) {
      const msg = internal.show(line);
      run.op('audit.log', msg, details ?? null);
      given.push(internal.copy(details === undefined ? { msg } : { msg, details }));
    },
    reference(reference) {
      run.op('audit.reference', reference);
      given.push(internal.copy(reference));
    },
    get: () => internal.copy([...trail, ...given]),
  };
};

const makers = {
  task: makeTask,
  step: run => ({ name: run.spec.step.name, attempt: run.spec.step.attempt, redo: () => run.op('redo') }),
  connectors: makeConnectors,
  lib: () => internal.libraries,
  audit: makeAudit,
  graph: run => internal.graph(run.data),
  mapper: () => internal.mapper,
  file: run => ({
    write: (name, value) => run.call('file.write', text(name), bytes(value)),
    read: name => run.shape(run.call('file.read', text(name)), content),
  }),
  blob: run => ({
    create({ content: value, ...about } = {}) {
      if (value === undefined || value === null) throw new TypeError('blob.create takes {content, name, …}');
      return run.call('blob.create', { ...about, content: bytes(value) });
    },
    get: id => run.call('blob.get', text(id)),
    getContent: id => run.shape(run.call('blob.getContent', text(id)), content),
  }),
  user: run => ({ conversation: options => run.op('conversation', options ?? {}) }),
  config: run => key => (hasOwn(run.spec.config, key) ? run.spec.config[key] : undefined),
  fetch: internal.makeFetch,
  console: run => internal.console((level, line) => run.log(level, line)),
  timers: makeTimers,
};

// What a run's code can use; each is made when it is asked for the first time.
class Given {
  made = create(null);
  constructor(run) {
    this.run = run;
    this.data = run.data;
  }
}
const lazily = (name, make) => defineProperty(Given.prototype, name, {
  get() { return this.made[name] ??= make(this) },
});
for (const [name, make] of Object.entries(makers)) lazily(name, given => make(given.run));
for (const name of ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'setImmediate']) {
  lazily(name, given => given.timers[name]);
}

internal.givenTo = run => {
  run.floating = makeFloating(run);
  return new Given(run);
};
