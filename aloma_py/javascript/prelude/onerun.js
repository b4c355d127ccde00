// One run: its copy of the data, what it asked for, and what it has to say to the engine.
const { stringify } = JSON;
const { hasOwn, defineProperty, getOwnPropertyDescriptor } = Object;
const { after } = internal;
const NativePromise = Promise;
const PENDING_CALLS = 10_000;
const MOST_SAID = 30_000;           // messages of a run in one turn: the engine has others to hear
const MOST_SAID_LENGTH = 16 << 20;

const touched = new Set();   // the runs that something was done of in this turn: their own, or another's
const stashing = new Set();  // the keys of the steps whose code names data.$stash; null: a library's does

// The promise of a call: it knows whether somebody has asked for what came of it.
class Answer extends NativePromise {
  #asked = false;
  static wasAsked = answer => answer.#asked;
  static get [Symbol.species]() { return NativePromise }
  then(...handlers) { this.#asked = true; return super.then(...handlers) }
}
const { wasAsked } = Answer;
delete Answer.wasAsked;

class Run {
  constructor(id, spec) {
    this.id = id;
    this.spec = spec;
    this.before = spec.data;
    this.data = internal.copy(spec.data);
    if (stashing.has(spec.key) || stashing.has(null)) withStash(this.data);
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
    this.said = [];            // the messages of this turn, and their length
    this.saidLength = 0;
    this.stash = stringify(spec.data.$stash);  // as the engine knows it
    this.most = spec.limits.dataBytes * 2 + 100_000;  // characters of a message
    this.floats = 0;           // promises under way that the code does not wait for
    this.returned = false;
    this.ended = false;
    this.idle = false;
  }

  // Has the answer of the call that was made last be what `shape` makes of it.
  shape(answer, shape) {
    const handlers = this.calls.get(this.lastCall);
    const [resolve, reject] = handlers;
    handlers[0] = value => {
      try { value = shape(value) } catch (error) { reject(error); return }
      resolve(value);
    };
    return answer;
  }

  open() {
    if (!this.ended) return;
    throw new Error(`the run of step '${this.spec.step.name}' has ended; what its code asks for now is refused`);
  }

  say(kind, ...rest) {
    const told = stringify([kind, this.id, ...rest]);
    this.saidLength += told.length;
    if (told.length > this.most) {
      const { dataBytes } = this.spec.limits;
      throw new internal.ResultError(`a call's arguments are more than the limit of ${dataBytes} bytes`);
    }
    if (this.said.length >= MOST_SAID || this.saidLength > MOST_SAID_LENGTH) {
      throw new RangeError('the step asks for too much at once; await some of it before it goes on');
    }
    this.said.push([kind, told]);
    touched.add(this);
  }

  // A promise that the code does not wait for has come to its end.
  landed() {
    this.floats--;
    touched.add(this);
  }

  // What was said in this turn goes out at its end; of a run that failed in it, only its log.
  flush(whole, outbox) {
    if (!whole || this.said.length) this.tellStash(outbox);
    for (const [kind, told] of this.said) if (whole || kind === 'log') outbox.push(told);
    this.said = [];
    this.saidLength = 0;
  }

  // What is confidential goes out before what may have it in it.
  tellStash(outbox) {
    try {
      const value = getOwnPropertyDescriptor(this.data, '$stash')?.value;
      const stash = value === undefined ? this.stash : stringify(internal.plain(value, [], this.spec.limits.depth + 4));
      if (stash === this.stash || stash.length > this.most) return;
      this.stash = stash;
      outbox.push(`["stash",${this.id},${stash}]`);
    } catch { }  // it is no data: the run fails of it
  }

  op(name, ...args) {
    this.open();
    if (this.ops.length >= PENDING_CALLS * 10) throw new RangeError('the step asks for too many things in one run');
    const wish = [name, internal.plain(args, [], this.spec.limits.depth + 4)];
    if (!name.startsWith('audit')) wish.push(new Error().stack);  // the engine may refuse it, and says where it was
    this.ops.push(wish);
  }

  log(level, line) {
    if (this.ended || this.lines < 0) return;
    this.bytes -= line.length;
    if (--this.lines < 0 || this.bytes < 0) { this.lines = -1; level = 'full'; line = '' }
    this.say('log', level, line);
  }

  call(kind, ...args) {
    this.open();
    if (this.calls.size >= PENDING_CALLS) {
      throw new RangeError(`more than ${PENDING_CALLS} calls are under way; await some before the next`);
    }
    const id = ++this.lastCall;
    const site = new Error();  // its stack is only written down when it is asked for
    const answer = new Answer((resolve, reject) => this.calls.set(id, [resolve, reject, site]));
    this.say('call', id, kind, internal.plain(args, [], this.spec.limits.depth + 4));
    const ended = after(answer, () => { this.answers.delete(ended); touched.add(this) }, error => {
      this.answers.delete(ended);
      touched.add(this);
      this.failed.push([answer, error]);
    });
    this.answers.add(ended);
    return answer;
  }
}
Object.freeze(Answer);
Object.freeze(Answer.prototype);
Object.assign(internal, { Answer, Run, touched, wasAsked, namesStash: key => { stashing.add(key) } });

// `data.$stash` is there without being made.
const withStash = data => {
  if (!hasOwn(data, '$stash')) {
    defineProperty(data, '$stash', {
      get() { const made = {}; set(this, made); return made },
      set(value) { set(this, value) },
      configurable: true, enumerable: false,
    });
  }
};
const set = (object, value) =>
  defineProperty(object, '$stash', { value, writable: true, configurable: true, enumerable: true });
