// `fetch` and the answer that it and `connectors.fetch` give: usable as the connector's answer (`body` is parsed) and
// as a Response (`json()`, `text()`, `headers.get()`).
const { stringify, parse } = JSON;

class Headers {
  #map = new Map();
  constructor(init = {}) {
    const pairs = typeof init[Symbol.iterator] === 'function' ? init : Object.entries(init);
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

// Methods beside the members, where JSON and Object.keys do not see them.
const hidden = (object, name, value) =>
  Object.defineProperty(object, name, { value, writable: true, configurable: true, enumerable: false });

internal.answer = answer => {
  if (answer === null || typeof answer !== 'object' || !('body' in answer)) return answer;
  const text = () => (typeof answer.body === 'string' ? answer.body : stringify(answer.body ?? ''));
  hidden(answer, 'json', async () => (typeof answer.body === 'string' ? parse(answer.body) : answer.body));
  hidden(answer, 'text', async () => text());
  const headers = answer.headers;
  if (headers && typeof headers === 'object') {
    for (const name of ['get', 'has', 'entries', 'keys', 'values', 'forEach']) {
      if (!(name in headers)) hidden(headers, name, (...args) => new Headers(headers)[name](...args));
    }
  }
  return answer;
};

// The arguments of `fetch(url, options)` as those of `connectors.fetch`.
internal.fetchArguments = (url, options = {}) => {
  if (url !== null && typeof url === 'object' && typeof url.url === 'string' && !('href' in url)) return url;
  const { method, headers, body, signal, redirect, ...rest } = options;
  if (signal?.aborted) throw signal.reason;
  const plain = { ...rest };
  if (method !== undefined) plain.method = method;
  if (headers !== undefined) plain.headers = headers instanceof Headers ? Object.fromEntries(headers) : headers;
  if (body !== undefined) plain.body = body instanceof URLSearchParams ? String(body) : body;
  if (body instanceof URLSearchParams && !new Headers(plain.headers ?? {}).has('content-type')) {
    plain.headers = { ...plain.headers, 'content-type': 'application/x-www-form-urlencoded' };
  }
  return { url: String(url), options: plain };
};
