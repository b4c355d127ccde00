// `fetch`, and the answers of the connector of that name: usable as the connector gives them (`body` is parsed) and as
// a Response (`json()`, `text()`, `headers.get()`). Answers of other connectors are what those connectors say.
const { stringify, parse } = JSON;
const { hasOwn, defineProperty, entries, fromEntries } = Object;
const { isView } = ArrayBuffer;
const { apply } = Reflect;
const NativePromise = Promise;

class Headers {
  #map = new Map();
  constructor(init = {}) {
    const pairs = typeof init[Symbol.iterator] === 'function' ? init : entries(init);
    for (const [name, value] of pairs) this.append(name, value);
  }
  append(name, value) {
    const key = String(name).toLowerCase();
    this.#map.set(key, this.#map.has(key) ? `${this.#map.get(key)}, ${value}` : String(value));
  }
  set(name, value) { this.#map.set(String(name).toLowerCase(), String(value)) }
  get(name) { return this.#map.get(String(name).toLowerCase()) ?? null }
  has(name) { return this.#map.has(String(name).toLowerCase()) }
  delete(name) { this.#map.delete(String(name).toLowerCase()) }
  forEach(call, self) { for (const [name, value] of this) call.call(self, value, name, this) }
  entries() { return new Map([...this.#map].sort()).entries() }
  keys() { return new Map([...this.#map].sort()).keys() }
  values() { return new Map([...this.#map].sort()).values() }
  [Symbol.iterator]() { return this.entries() }
}
define('Headers', Headers);

// A member beside those of the answer, where JSON and Object.keys do not see it. What the answer has itself stays.
const beside = (object, name, value) => {
  if (!hasOwn(object, name)) defineProperty(object, name, { value, writable: true, configurable: true });
};

// The connector parses what is JSON, so a text may be the value of a JSON text ("hello") or what came as it is. The
// length of what came tells them apart, where it is known.
const isParsed = (body, headers) => {
  const length = headers.get('content-length');
  if (length === null || headers.has('content-encoding')) return false;
  return /json/.test(headers.get('content-type') ?? '') && Number(length) !== internal.utf8.encode(body).length;
};

const respond = (answer, asText) => {
  if (answer === null || typeof answer !== 'object' || !hasOwn(answer, 'body')) return answer;
  beside(answer, 'status', 200);
  beside(answer, 'ok', answer.status >= 200 && answer.status < 300);
  beside(answer, 'statusText', '');
  beside(answer, 'headers', {});
  const { headers } = answer;
  const known = new Headers(headers !== null && typeof headers === 'object' ? headers : {});
  if (headers !== null && typeof headers === 'object') {
    for (const name of ['get', 'has', 'entries', 'keys', 'values', 'forEach']) {
      beside(headers, name, (...args) => known[name](...args));
    }
  }
  const { body } = answer;
  const raw = typeof body === 'string' && (asText || !isParsed(body, known));
  beside(answer, 'json', async () => (raw ? parse(answer.body) : answer.body));
  beside(answer, 'text', async () => (raw ? answer.body : stringify(answer.body)));
  return answer;
};

// A body as the connector takes it: a text, or what it sends as JSON. Bytes travel as the text that they are.
const bodyOf = body => {
  if (body instanceof URLSearchParams) return String(body);
  if (!isView(body) && !(body instanceof ArrayBuffer)) return body;
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(body);
  } catch {
    throw new TypeError('fetch sends text and JSON; a body of bytes that are no UTF-8 text cannot be sent');
  }
};

// What browsers and Node take and what means nothing here.
const WITHOUT_MEANING = new Set([
  'cache', 'credentials', 'duplex', 'integrity', 'keepalive', 'mode', 'priority', 'referrer', 'referrerPolicy',
  'window',
]);
const OF_A_REQUEST = new Set(['method', 'headers', 'body', 'signal', 'redirect', ...WITHOUT_MEANING]);

// The arguments of `fetch(url, options)`, of `fetch(request)` and of `fetch({url, options})` as those of
// `connectors.fetch`, with the signal and `into` apart.
const argumentsOf = (target, options) => {
  let [url, given] = [target, options ?? {}];
  const more = {};
  if (target !== null && typeof target === 'object' && typeof target.url === 'string' && !('href' in target)) {
    const { url: address, options: within, ...rest } = target;
    const request = { ...within };
    for (const [name, value] of entries(rest)) (OF_A_REQUEST.has(name) ? request : more)[name] = value;
    [url, given] = [address, { ...request, ...options }];
  }
  const { signal, ...plain } = given;
  for (const name of WITHOUT_MEANING) delete plain[name];
  if (plain.redirect === 'follow') delete plain.redirect;
  const { headers, body } = plain;
  if (headers && typeof headers[Symbol.iterator] === 'function') plain.headers = fromEntries(new Headers(headers));
  if (body instanceof URLSearchParams && !new Headers(plain.headers ?? {}).has('content-type')) {
    plain.headers = { ...plain.headers, 'content-type': 'application/x-www-form-urlencoded' };
  }
  if (body !== undefined) plain.body = bodyOf(body);
  const { into = null, ...rest } = more;
  return [signal, { url: String(url), options: plain, ...rest }, into];
};

// Ends the call `id` when the signal says so: the code gets the reason, and the request is given up.
const endWith = (run, signal, id) => {
  const handlers = run.calls.get(id);
  const [resolve, reject] = handlers;
  const stop = () => {
    if (!run.calls.delete(id)) return;
    run.say('clear', id);
    reject(signal.reason);
  };
  const settle = done => value => { signal.removeEventListener('abort', stop); done(value) };
  signal.addEventListener('abort', stop);
  handlers[0] = settle(resolve);
  handlers[1] = settle(reject);
};

// The answer of a call of the connector `fetch`, as a Response too.
internal.responding = (run, answer, given) =>
  (given?.bodyOnly ? answer : run.shape(answer, value => respond(value, Boolean(given?.options?.text))));

internal.makeFetch = run => (target, options) => {
  try {
    const [signal, given, into] = argumentsOf(target, options);
    signal?.throwIfAborted();
    const answer = internal.responding(run, run.call('connector', 'fetch', 'fetch', given, into), given);
    if (signal) endWith(run, signal, run.lastCall);
    return answer;
  } catch (error) {
    return NativePromise.reject(error);
  }
};
