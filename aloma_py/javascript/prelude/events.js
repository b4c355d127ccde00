// DOMException, Event, CustomEvent, EventTarget, AbortController, AbortSignal, queueMicrotask.
// internal.DOMException is for the other modules. Errors in listeners and microtasks go to internal.report(error),
// which a later module sets: they belong to nobody's promise and would be lost.

const {apply} = Reflect;
const {captureStackTrace} = Error;
const {then} = Promise.prototype;
const {now} = Date;
const toStringTag = Symbol.toStringTag;
const settled = Promise.resolve();

const report = (error) => {
  internal.report?.(error);
};

const CODES = {
  IndexSizeError: 1, HierarchyRequestError: 3, WrongDocumentError: 4, InvalidCharacterError: 5,
  NoModificationAllowedError: 7, NotFoundError: 8, NotSupportedError: 9, InUseAttributeError: 10,
  InvalidStateError: 11, SyntaxError: 12, InvalidModificationError: 13, NamespaceError: 14, InvalidAccessError: 15,
  TypeMismatchError: 17, SecurityError: 18, NetworkError: 19, AbortError: 20, URLMismatchError: 21,
  QuotaExceededError: 22, TimeoutError: 23, InvalidNodeTypeError: 24, DataCloneError: 25,
};
const codes = new Map(Object.entries(CODES));
const names = new WeakMap();  // not a private member: Error's constructor asks for the name before there is one

class DOMException extends Error {
  constructor(message = '', options = 'Error') {
    super(message);
    const named = typeof options === 'object' && options !== null;
    names.set(this, `${(named ? options.name : options) ?? 'Error'}`);
    if (named && 'cause' in options) {
      Object.defineProperty(this, 'cause', {value: options.cause, writable: true, configurable: true});
    }
    captureStackTrace(this, new.target);  // once more: the first line holds the name
  }

  get name() {
    return names.get(this) ?? 'Error';
  }

  get code() {
    return codes.get(names.get(this)) ?? 0;
  }

  get [toStringTag]() {
    return 'DOMException';
  }
}

for (const [name, code] of codes) {
  const constant = name.replace(/Error$/, '').replace(/(?<=[a-z])(?=[A-Z])/g, '_').toUpperCase() + '_ERR';
  const spelled = constant.replace('URLMISMATCH', 'URL_MISMATCH').replace('IN_USE', 'INUSE');
  for (const owner of [DOMException, DOMException.prototype]) {
    Object.defineProperty(owner, spelled, {value: code, enumerable: true});
  }
}

const states = new WeakMap();  // of events: what the dispatch knows and their users cannot change

class Event {
  static NONE = 0;
  static CAPTURING_PHASE = 1;
  static AT_TARGET = 2;
  static BUBBLING_PHASE = 3;

  #type;
  #bubbles;
  #cancelable;
  #composed;
  #timeStamp = now();

  constructor(type, options = undefined) {
    if (arguments.length === 0) throw new TypeError('The "type" argument must be specified');
    this.#type = `${type}`;
    this.#bubbles = Boolean(options?.bubbles);
    this.#cancelable = Boolean(options?.cancelable);
    this.#composed = Boolean(options?.composed);
    states.set(this, {target: null, current: null, prevented: false, halted: false, stopped: false, passive: false});
  }

  get type() { return this.#type; }
  get bubbles() { return this.#bubbles; }
  get cancelable() { return this.#cancelable; }
  get composed() { return this.#composed; }
  get timeStamp() { return this.#timeStamp; }
  get isTrusted() { return false; }
  get target() { return states.get(this).target; }
  get srcElement() { return states.get(this).target; }
  get currentTarget() { return states.get(this).current; }
  get eventPhase() { return states.get(this).current === null ? 0 : 2; }
  get defaultPrevented() { return states.get(this).prevented; }
  get returnValue() { return !states.get(this).prevented; }
  get cancelBubble() { return states.get(this).stopped; }
  set cancelBubble(value) { if (value) this.stopPropagation(); }

  composedPath() {
    const {current} = states.get(this);
    return current === null ? [] : [current];
  }

  preventDefault() {
    const state = states.get(this);
    if (this.#cancelable && !state.passive) state.prevented = true;
  }

  stopPropagation() {
    states.get(this).stopped = true;
  }

  stopImmediatePropagation() {
    const state = states.get(this);
    state.stopped = state.halted = true;
  }

  get [toStringTag]() {
    return 'Event';
  }
}

class CustomEvent extends Event {
  #detail;

  constructor(type, options = undefined) {
    super(...(arguments.length === 0 ? [] : [type, options]));
    this.#detail = options?.detail ?? null;
  }

  get detail() {
    return this.#detail;
  }

  get [toStringTag]() {
    return 'CustomEvent';
  }
}

const listeners = new WeakMap();  // of targets: lists of {type, callback, capture, once, passive, removed}

const listenersOf = (target) => {
  let list = listeners.get(target);
  if (list === undefined) listeners.set(target, (list = []));
  return list;
};

const captures = (options) => (typeof options === 'boolean' ? options : Boolean(options?.capture));

const call = (entry, target, event) => {
  const {callback} = entry;
  try {
    if (typeof callback === 'function') apply(callback, target, [event]);
    else callback.handleEvent(event);
  } catch (error) {
    report(error);
  }
};

class EventTarget {
  addEventListener(type, callback, options = undefined) {
    if (arguments.length < 2) throw new TypeError('The "type" and "listener" arguments must be specified');
    const signal = options?.signal;
    if (signal !== undefined && !(signal instanceof AbortSignal)) throw new TypeError('signal is no AbortSignal');
    if (callback === null || callback === undefined || signal?.aborted) return;
    if (typeof callback !== 'function' && typeof callback !== 'object') {
      throw new TypeError('The "listener" argument must be a function or an object with handleEvent');
    }
    const name = `${type}`;
    const capture = captures(options);
    const list = listenersOf(this);
    if (list.some((known) => known.type === name && known.callback === callback && known.capture === capture)) return;
    const once = Boolean(options?.once);
    list.push({type: name, callback, capture, once, passive: Boolean(options?.passive), removed: false});
    signal?.addEventListener('abort', () => this.removeEventListener(name, callback, {capture}), {once: true});
  }

  removeEventListener(type, callback, options = undefined) {
    const list = listenersOf(this);
    const name = `${type}`;
    const capture = captures(options);
    const index = list.findIndex(
      (known) => known.type === name && known.callback === callback && known.capture === capture,
    );
    if (index >= 0) list.splice(index, 1)[0].removed = true;
  }

  dispatchEvent(event) {
    const state = states.get(event);
    if (state === undefined) throw new TypeError('The "event" argument must be an instance of Event');
    if (state.current !== null) throw new DOMException('The event is already being dispatched', 'InvalidStateError');
    state.target = state.current = this;
    const list = listenersOf(this);
    const called = list.filter((entry) => entry.type === event.type);
    for (const entry of [...called.filter((one) => one.capture), ...called.filter((one) => !one.capture)]) {
      if (state.halted) break;
      if (entry.removed) continue;
      if (entry.once) this.removeEventListener(entry.type, entry.callback, {capture: entry.capture});
      state.passive = entry.passive;
      call(entry, this, event);
    }
    state.current = null;
    state.halted = state.stopped = state.passive = false;
    return !state.prevented;
  }

  get [toStringTag]() {
    return 'EventTarget';
  }
}

const KEY = Symbol('signal');  // who has it may make signals
const signals = new WeakMap();  // of signals: {aborted, reason, handler, dependents}

const makeSignal = () => new AbortSignal(KEY);

const abortSignal = (signal, reason) => {
  const state = signals.get(signal);
  if (state.aborted) return;
  const dependents = [...state.dependents].filter((one) => !signals.get(one).aborted);
  for (const one of [signal, ...dependents]) {
    // All are aborted before the first listener hears of it.
    const each = signals.get(one);
    each.aborted = true;
    each.reason = reason;
    each.dependents.clear();
  }
  for (const one of [signal, ...dependents]) one.dispatchEvent(new Event('abort'));
};

const aborted = () => new DOMException('This operation was aborted', 'AbortError');

class AbortSignal extends EventTarget {
  constructor(key) {
    if (key !== KEY) throw new TypeError('Illegal constructor');
    super();
    signals.set(this, {aborted: false, reason: undefined, handler: null, dependents: new Set()});
  }

  static abort(reason = aborted()) {
    const signal = makeSignal();
    abortSignal(signal, reason);
    return signal;
  }

  static timeout(milliseconds) {
    if (typeof milliseconds !== 'number' || !(milliseconds >= 0 && milliseconds <= Number.MAX_SAFE_INTEGER)) {
      throw new RangeError('The "delay" argument must be a number of milliseconds');
    }
    const signal = makeSignal();
    const late = () => new DOMException('The operation was aborted due to timeout', 'TimeoutError');
    const later = internal.later ?? globalThis.setTimeout;  // timers are each run's own
    later(() => abortSignal(signal, late()), milliseconds);
    return signal;
  }

  static any(sources) {
    const given = [...sources];
    if (!given.every((one) => signals.has(one))) throw new TypeError('Every one must be an AbortSignal');
    const signal = makeSignal();
    const over = given.find((one) => one.aborted);
    if (over) abortSignal(signal, over.reason);
    else for (const one of given) follow(signal, one);
    return signal;
  }

  get aborted() { return signals.get(this).aborted; }
  get reason() { return signals.get(this).reason; }
  get onabort() { return signals.get(this).handler; }

  set onabort(handler) {
    const state = signals.get(this);
    if (state.listener) this.removeEventListener('abort', state.listener);
    state.handler = typeof handler === 'function' ? handler : null;
    state.listener = state.handler && ((event) => apply(handler, this, [event]));
    if (state.listener) this.addEventListener('abort', state.listener);
  }

  throwIfAborted() {
    if (this.aborted) throw this.reason;
  }

  get [toStringTag]() {
    return 'AbortSignal';
  }
}

// A signal made by any() hangs on the signals that its sources were made of, so that a chain aborts as one.
const follow = (signal, source) => {
  const {sources} = signals.get(source);
  const roots = sources ?? [source];
  const own = (signals.get(signal).sources ??= []);
  for (const root of roots) {
    own.push(root);
    signals.get(root).dependents.add(signal);
  }
};

class AbortController {
  #signal = makeSignal();

  get signal() {
    return this.#signal;
  }

  abort(reason = aborted()) {
    abortSignal(this.#signal, reason);
  }

  get [toStringTag]() {
    return 'AbortController';
  }
}

const queueMicrotask = (callback) => {
  if (typeof callback !== 'function') throw new TypeError('The "callback" argument must be a function');
  apply(then, settled, [() => {
    try {
      callback();
    } catch (error) {
      report(error);
    }
  }]);
};

internal.DOMException = DOMException;
for (const [name, value] of Object.entries({
  DOMException, Event, CustomEvent, EventTarget, AbortController, AbortSignal, queueMicrotask,
})) {
  define(name, value);
}
