// Built-ins cannot be changed: a step that could would reach its neighbours. Objects that inherit from them may still
// have members of the same names (`data.constructor = "ACME"`): a plain frozen prototype would refuse that assignment.
const { freeze, getOwnPropertyDescriptor, defineProperty, getPrototypeOf } = Object;
const { ownKeys } = Reflect;
const { isView } = ArrayBuffer;

// Code that a text becomes is what no reader of a step sees: V8 refuses it, and here it is told what to do instead.
const refuseText = what => function () {
  const instead = 'write the function in the step, or in a library';
  throw new EvalError(`${what} makes code of a text, which steps cannot; ${instead}`);
};
const makers = [function () {}, async function () {}, function* () {}, async function* () {}];
for (const made of makers) {
  const prototype = getPrototypeOf(made);
  const name = prototype.constructor.name;
  const constructor = defineProperty(refuseText(`new ${name}(…)`), 'name', { value: name });
  defineProperty(constructor, 'prototype', { value: prototype, writable: false });  // what instanceof asks for
  defineProperty(prototype, 'constructor', { value: constructor, writable: true, configurable: true });
}
define('Function', Function.prototype.constructor);
define('eval', defineProperty(refuseText('eval(…)'), 'name', { value: 'eval' }));

// V8 calls back when it has collected an object, between the turns, where nobody would stop a loop. To call back never
// is allowed by the language.
const Registry = class FinalizationRegistry {
  constructor(cleanup) { if (typeof cleanup !== 'function') throw new TypeError('cleanup must be a function') }
  register() {}
  unregister() { return false }
};
defineProperty(Registry.prototype, Symbol.toStringTag, { value: 'FinalizationRegistry', configurable: true });
define('FinalizationRegistry', Registry);

// A number that the engine could not read again.
const DIGITS = 4300;
const { rawJSON } = JSON;
const readable = text => {
  const shown = String(text);
  if (/^-?\d/.test(shown)) {
    const whole = /^-?\d+$/.test(shown);
    const what = whole && shown.length > DIGITS ? `a number of more than ${DIGITS} digits`
      : whole || Number.isFinite(Number(shown)) ? null : 'an infinite number';
    if (what) throw new RangeError(`${what} cannot be kept in JSON`);
  }
  return rawJSON(shown);
};
internal.rawJSON = readable;
defineProperty(JSON, 'rawJSON', { value: { rawJSON: readable }.rawJSON });

// What one run matched is not the next one's to set.
for (const name of ['input', '$_']) {
  const { get } = getOwnPropertyDescriptor(RegExp, name);
  defineProperty(RegExp, name, { get, set: undefined });
}

// Shared memory is the watchdog's; timers and the console are each run's own.
const timers = ['setTimeout', 'clearTimeout', '__timer_manager'];
for (const name of ['SharedArrayBuffer', 'Atomics', 'WebAssembly', 'console', ...timers]) {
  if (!Reflect.deleteProperty(globalThis, name)) globalThis[name] = undefined;
}

const lenient = prototype => {
  for (const key of ownKeys(prototype)) {
    const found = getOwnPropertyDescriptor(prototype, key);
    if (!('value' in found) || !found.configurable || typeof key === 'symbol') continue;
    const value = found.value;
    defineProperty(prototype, key, {
      get() { return value },
      set(other) {
        if (this === prototype) {
          throw new TypeError(`Cannot assign to read only property '${key}' of a built-in object`);
        }
        defineProperty(this, key, { value: other, writable: true, enumerable: true, configurable: true });
      },
      enumerable: found.enumerable,
      configurable: false,
    });
  }
};

const errors = [Error, TypeError, RangeError, SyntaxError, ReferenceError, EvalError, URIError, AggregateError];
lenient(Object.prototype);
lenient(Function.prototype);
for (const kind of errors) lenient(kind.prototype);

const seen = new Set();
const pending = [];
const reach = value => {
  if (value !== null && (typeof value === 'object' || typeof value === 'function') && !seen.has(value)) {
    seen.add(value);
    pending.push(value);
  }
};
for (const key of ownKeys(globalThis)) {
  const found = getOwnPropertyDescriptor(globalThis, key);
  if ('value' in found && found.value !== globalThis) reach(found.value);
}
// What calls and their errors are made of, and what all runs are handed; not what V8 shares with the host.
for (const key of ownKeys(internal)) if (key !== 'libraries' && key !== 'progress') reach(internal[key]);
// What no global leads to: iterators, generators, async functions and the like.
const samples = [
  [][Symbol.iterator](), ''[Symbol.iterator](), new Map()[Symbol.iterator](), new Set()[Symbol.iterator](),
  'a'.matchAll(/a/g), function* () {}, async function* () {}, async function () {}, (function* () {})(),
  (async function* () {})(), Iterator.from({ next() {} }), [][Symbol.iterator]().map(value => value),
  new Headers().entries(), new URLSearchParams().entries(), globalThis,
];
const segments = new Intl.Segmenter().segment('');
samples.push(segments, segments[Symbol.iterator]());
for (const sample of samples) reach(getPrototypeOf(sample));
for (let value; (value = pending.pop());) {
  reach(getPrototypeOf(value));
  for (const key of ownKeys(value)) {
    const found = getOwnPropertyDescriptor(value, key);
    if ('value' in found) reach(found.value);
    else { reach(found.get); reach(found.set) }
  }
}
// V8 freezes no view that has elements, and a frozen pattern could not search.
for (const value of seen) if (!isView(value) && !(value instanceof RegExp)) freeze(value);
freeze(internal);
for (const key of ownKeys(globalThis)) {
  const found = getOwnPropertyDescriptor(globalThis, key);
  if ('value' in found) defineProperty(globalThis, key, { writable: false, configurable: false });
}
Object.preventExtensions(globalThis);
