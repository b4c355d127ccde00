// What the parts of a URL are made of, after the URL standard: percent-encoding, hosts, and the parameters of a query
// (URLSearchParams).

const {utf8} = internal;
const {fromCharCode} = String;
const {iterator: iteratorSymbol, toStringTag} = Symbol;
const encodeURIPart = encodeURIComponent;
const toNumber = parseInt;

// --- percent-encoding ---

const CONTROLS = /[^\x20-\x7e]/gu;
const FRAGMENT = /[^\x20-\x7e]|[ "<>`]/gu;
const QUERY = /[^\x20-\x7e]|[ "#<>]/gu;
const SPECIAL_QUERY = /[^\x20-\x7e]|[ "#<>']/gu;
const PATH = /[^\x20-\x7e]|[ "#<>?^`{}]/gu;
const USERINFO = /[^\x20-\x7e]|[ "#<>?`{}/:;=@[\\\]^|]/gu;
const FORM = /[^A-Za-z0-9*\-._]/gu;

const percent = (code) => `%${code < 16 ? '0' : ''}${code.toString(16).toUpperCase()}`;
const escapeOne = (char) => (char < '\x80' ? percent(char.charCodeAt(0)) : encodeURIPart(char));
const encode = (text, set) => text.replace(set, escapeOne);
const formEncode = (text) => text.replace(FORM, (char) => (char === ' ' ? '+' : escapeOne(char)));

const decodePercents = (text) => {
  if (!text.includes('%')) return text;
  const bytes = utf8.encode(text);
  let length = 0;
  for (let index = 0; index < bytes.length; index++, length++) {
    const digits = bytes[index] === 0x25 ? fromCharCode(bytes[index + 1], bytes[index + 2]) : '';
    const escaped = /^[0-9a-f]{2}$/i.test(digits);
    bytes[length] = escaped ? toNumber(digits, 16) : bytes[index];
    if (escaped) index += 2;
  }
  return utf8.decode(bytes.subarray(0, length));
};

// --- hosts ---

// Punycode (RFC 3492) of one label.
const adapt = (delta, count, first) => {
  delta = first ? Math.floor(delta / 700) : delta >> 1;
  delta += Math.floor(delta / count);
  let steps = 0;
  for (; delta > 455; steps += 36) delta = Math.floor(delta / 35);
  return steps + Math.floor((36 * delta) / (delta + 38));
};

const digit = (value) => fromCharCode(value < 26 ? 97 + value : 22 + value);

const digitsOf = (delta, bias) => {
  let text = '';
  for (let base = 36; ; base += 36) {
    const least = Math.min(Math.max(base - bias, 1), 26);
    if (delta < least) return text + digit(delta);
    text += digit(least + ((delta - least) % (36 - least)));
    delta = Math.floor((delta - least) / (36 - least));
  }
};

const punycode = (label) => {
  const codes = Array.from(label, (char) => char.codePointAt(0));
  const basic = codes.filter((code) => code < 0x80);
  let text = fromCharCode(...basic) + (basic.length > 0 ? '-' : '');
  let [current, delta, bias, done] = [0x80, 0, 72, basic.length];
  while (done < codes.length) {
    const next = codes.reduce((least, code) => (code >= current && code < least ? code : least), Infinity);
    delta += (next - current) * (done + 1);
    current = next;
    for (const code of codes) {
      if (code < current) delta++;
      if (code !== current) continue;
      text += digitsOf(delta, bias);
      bias = adapt(delta, ++done, done - 1 === basic.length);
      delta = 0;
    }
    delta++;
    current++;
  }
  return text;
};

const IGNORED = /[\u00ad\u034f\u180b-\u180f\u200b\u2060\u2064\ufe00-\ufe0f\ufeff]/g;

// The names that the tables of IDNA would refuse are mostly let through.
const toAscii = (domain) => {
  if (/^[\x00-\x7f]*$/.test(domain)) return domain.toLowerCase();
  const mapped = domain.replace(IGNORED, '').toLowerCase().normalize('NFKC').toLowerCase().normalize('NFC');
  const labels = mapped.replace(/[\u3002\uff0e\uff61]/g, '.').split('.');
  if (labels.some((label) => /[\ufffd\p{Cc}\p{Cs}\p{Cn}\p{Co}\p{Z}]/u.test(label) || /^\p{M}/u.test(label))) return '';
  return labels.map((label) => (/^[\x00-\x7f]*$/.test(label) ? label : `xn--${punycode(label)}`)).join('.');
};

const ipv4Number = (part) => {
  if (/^0x[0-9a-f]*$/i.test(part)) return part.length === 2 ? 0 : toNumber(part, 16);
  if (/^0[0-7]+$/.test(part)) return toNumber(part, 8);
  return /^(0|[1-9][0-9]*)$/.test(part) ? toNumber(part, 10) : undefined;
};

const ipv4Parts = (host) => {
  const parts = host.split('.');
  if (parts.length > 1 && parts.at(-1) === '') parts.pop();
  return parts;
};

const isIpv4 = (host) => /^([0-9]+|0x[0-9a-f]*)$/i.test(ipv4Parts(host).at(-1));

const parseIpv4 = (host) => {
  const numbers = ipv4Parts(host).map(ipv4Number);
  const last = numbers.pop();
  if (numbers.length > 3 || last === undefined || last >= 256 ** (4 - numbers.length)) return undefined;
  if (numbers.some((number) => number === undefined || number > 255)) return undefined;
  let address = last;
  numbers.forEach((number, index) => (address += number * 256 ** (3 - index)));
  return [24, 16, 8, 0].map((shift) => Math.floor(address / 2 ** shift) % 256).join('.');
};

const pieces = (text) => (text === '' ? [] : text.split(':'));

const parseIpv6 = (text) => {
  const dotted = /^(.*:)((?:0|[1-9]\d{0,2})(?:\.(?:0|[1-9]\d{0,2})){3})$/.exec(text);
  if (dotted) {
    const [a, b, c, d] = dotted[2].split('.').map(Number);
    if (Math.max(a, b, c, d) > 255) return undefined;
    text = `${dotted[1]}${(a * 256 + b).toString(16)}:${(c * 256 + d).toString(16)}`;
  }
  const halves = text.split('::');
  if (halves.length > 2) return undefined;
  const [left, right] = [pieces(halves[0]), pieces(halves[1] ?? '')];
  const gap = 8 - left.length - right.length;
  if (halves.length === 2 ? gap < 1 : gap !== 0) return undefined;
  const all = [...left, ...Array(gap).fill('0'), ...right];
  return all.every((piece) => /^[0-9a-f]{1,4}$/i.test(piece)) ? all.map((piece) => toNumber(piece, 16)) : undefined;
};

const ipv6Text = (address) => {
  let [start, length] = [-1, 1];
  for (let from = 0; from < 8; from++) {
    let to = from;
    while (address[to] === 0) to++;
    if (to - from > length) [start, length] = [from, to - from];
  }
  const text = (part) => part.map((piece) => piece.toString(16)).join(':');
  return start < 0 ? text(address) : `${text(address.slice(0, start))}::${text(address.slice(start + length))}`;
};

const FORBIDDEN = /[\0\t\n\r #/:<>?@[\\\]^|]/;
const FORBIDDEN_DOMAIN = /[\0-\x20"#%/:<>?@[\\\]^`{|}\x7f]/;

const parseHost = (text, special) => {
  if (text.startsWith('[')) {
    const address = text.endsWith(']') ? parseIpv6(text.slice(1, -1)) : undefined;
    return address && `[${ipv6Text(address)}]`;
  }
  if (!special) return FORBIDDEN.test(text) ? undefined : encode(text, CONTROLS);
  const domain = toAscii(decodePercents(text));
  if (domain === '' || FORBIDDEN_DOMAIN.test(domain)) return undefined;
  return isIpv4(domain) ? parseIpv4(domain) : domain;
};

// --- URLSearchParams ---

const lists = new WeakMap();  // of parameters: arrays of [name, value]
const owners = new WeakMap();  // of parameters: what to call after a change

const parseForm = (text) => {
  const decode = (part) => decodePercents(part.replaceAll('+', ' '));
  return text.split('&').filter((part) => part !== '').map((part) => {
    const [, name, value] = /^([^=]*)=?([^]*)$/.exec(part);
    return [decode(name), decode(value)];
  });
};

const string = (value) => `${value}`.toWellFormed();

const pairsOf = (init) => {
  if ((typeof init !== 'object' || init === null) && typeof init !== 'function') {
    return parseForm(string(init).replace(/^\?/, ''));
  }
  const iterate = init[iteratorSymbol];
  if (iterate === undefined || iterate === null) {
    const pairs = new Map();  // two names may become one when they are made well-formed
    for (const name of Reflect.ownKeys(init)) {
      if (!Object.prototype.propertyIsEnumerable.call(init, name)) continue;
      pairs.set(string(name), string(init[name]));
    }
    return [...pairs];
  }
  return Array.from(init, (pair) => {
    if (typeof pair !== 'object' || pair === null) throw new TypeError('Each query pair must be a [name, value] tuple');
    const [name, value, ...more] = [...pair];
    if ([...pair].length !== 2 || more.length > 0) throw new TypeError('Each query pair must be a [name, value] tuple');
    return [string(name), string(value)];
  });
};

const need = (given, count) => {
  if (given.length < count) throw new TypeError(`${count} argument${count > 1 ? 's' : ''} must be specified`);
};

class URLSearchParams {
  constructor(init = '') {
    lists.set(this, pairsOf(init ?? ''));  // null is nothing, as in Node
  }

  get size() {
    return lists.get(this).length;
  }

  append(name, value) {
    need(arguments, 2);
    lists.get(this).push([string(name), string(value)]);
    owners.get(this)?.();
  }

  delete(name, value = undefined) {
    need(arguments, 1);
    const [key, wanted] = [string(name), value === undefined ? undefined : string(value)];
    replace(this, (list) => list.filter((pair) => pair[0] !== key || (wanted !== undefined && pair[1] !== wanted)));
  }

  get(name) {
    need(arguments, 1);
    const key = string(name);
    return lists.get(this).find((pair) => pair[0] === key)?.[1] ?? null;
  }

  getAll(name) {
    need(arguments, 1);
    const key = string(name);
    return lists.get(this).filter((pair) => pair[0] === key).map((pair) => pair[1]);
  }

  has(name, value = undefined) {
    need(arguments, 1);
    const [key, wanted] = [string(name), value === undefined ? undefined : string(value)];
    return lists.get(this).some((pair) => pair[0] === key && (wanted === undefined || pair[1] === wanted));
  }

  set(name, value) {
    need(arguments, 2);
    const pair = [string(name), string(value)];
    replace(this, (list) => {
      const first = list.findIndex((each) => each[0] === pair[0]);
      if (first < 0) return [...list, pair];
      return list.filter((each, index) => index <= first || each[0] !== pair[0]).with(first, pair);
    });
  }

  sort() {
    replace(this, (list) => list.toSorted(([one], [other]) => (one < other ? -1 : one > other ? 1 : 0)));
  }

  forEach(callback, receiver = undefined) {
    if (typeof callback !== 'function') throw new TypeError('The "callback" argument must be a function');
    for (const [name, value] of this) callback.call(receiver, value, name, this);
  }

  // By index, as the standard has it: changes made under way are seen.
  *entries() {
    for (let index = 0; index < lists.get(this).length; index++) yield [...lists.get(this)[index]];
  }

  *keys() {
    for (const [name] of this.entries()) yield name;
  }

  *values() {
    for (const [, value] of this.entries()) yield value;
  }

  [iteratorSymbol]() {
    return this.entries();
  }

  toString() {
    return lists.get(this).map(([name, value]) => `${formEncode(name)}=${formEncode(value)}`).join('&');
  }

  get [toStringTag]() {
    return 'URLSearchParams';
  }
}

const replace = (parameters, change) => {
  lists.set(parameters, change(lists.get(parameters)));
  owners.get(parameters)?.();
};

// The parameters of a query, bound to a URL: `changed` is called after each change.
const bindParameters = (query, changed) => {
  const parameters = new URLSearchParams(query);
  owners.set(parameters, changed);
  return parameters;
};
const setQuery = (parameters, query) => lists.set(parameters, parseForm(query));

internal.URLSearchParams = URLSearchParams;
internal.urlParts = {
  encode, CONTROLS, FRAGMENT, QUERY, SPECIAL_QUERY, PATH, USERINFO, parseHost, bindParameters, setQuery, string, need,
};
define('URLSearchParams', URLSearchParams);
