// URL and URLSearchParams, after the URL standard.
//
// A record is what the standard calls a URL: {scheme, username, password, host, port, path, query, fragment}; host,
// port, query and fragment are null where there is none (an empty host is ''), path is an array of segments, or the
// text of an opaque path. Parsing gives undefined where the standard says failure.

const {utf8} = internal;
const {fromCharCode} = String;
const {iterator: iteratorSymbol, toStringTag} = Symbol;
const encodeURIPart = encodeURIComponent;
const toNumber = parseInt;

const PORTS = new Map([['http', 80], ['https', 443], ['ws', 80], ['wss', 443], ['ftp', 21], ['file', null]]);
const isSpecial = (url) => PORTS.has(url.scheme);

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

// --- paths ---

const isDrive = (segment) => /^[a-z][:|]$/i.test(segment);
const startsWithDrive = (text) => /^[a-z][:|]([/\\]|$)/i.test(text);
const isDot = (segment) => /^(\.|%2e)$/i.test(segment);
const isDoubleDot = (segment) => /^(\.|%2e){2}$/i.test(segment);

const shorten = (url) => {
  if (url.scheme !== 'file' || url.path.length !== 1 || !/^[a-z]:$/i.test(url.path[0])) url.path.pop();
};

// Appends the segments of a text whose first slash is gone already.
const appendPath = (url, text) => {
  const segments = text.split(isSpecial(url) ? /[/\\]/ : '/');
  segments.forEach((segment, index) => {
    const last = index === segments.length - 1;
    if (isDoubleDot(segment)) shorten(url);
    if (isDoubleDot(segment) || isDot(segment)) {
      if (last) url.path.push('');
      return;
    }
    const drive = url.scheme === 'file' && url.path.length === 0 && isDrive(segment);
    url.path.push(drive ? `${segment[0]}:` : encode(segment, PATH));
  });
  return url;
};

const slash = (url) => (isSpecial(url) ? /^[/\\]/ : /^\//);

const startPath = (url, text) => {
  url.path = [];
  return text === '' && !isSpecial(url) ? url : appendPath(url, text.replace(slash(url), ''));
};

// --- parsing ---

const parsePort = (url, digits) => {
  if (Number(digits) > 65535) return undefined;
  url.port = Number(digits) === PORTS.get(url.scheme) ? null : Number(digits);
  return url;
};

// Host and port of "host:port"; with `only` no port may follow.
const parseHostPort = (url, text, only = false) => {
  const [, name, , port] = /^((?:\[[^\]]*\]?|[^:[])*)(:([^]*))?$/.exec(text) ?? [];
  if (name === undefined || (name === '' && (isSpecial(url) || port !== undefined))) return undefined;
  if (only && port !== undefined) return undefined;
  const host = name === '' ? '' : parseHost(name, isSpecial(url));
  if (host === undefined) return undefined;
  url.host = host;
  return {url, port: port ?? ''};
};

const parseAuthority = (url, text) => {
  const end = text.search(isSpecial(url) ? /[/\\]/ : /\//);
  const authority = end < 0 ? text : text.slice(0, end);
  const at = authority.lastIndexOf('@');
  if (at >= 0) {
    const [, name, password] = /^([^:]*):?([^]*)$/.exec(authority.slice(0, at));
    url.username = encode(name, USERINFO);
    url.password = encode(password, USERINFO);
    if (at === authority.length - 1) return undefined;
  }
  const parsed = parseHostPort(url, authority.slice(at + 1));
  if (!parsed || !/^[0-9]*$/.test(parsed.port)) return undefined;
  if (parsed.port !== '' && !parsePort(url, parsed.port)) return undefined;
  return startPath(url, end < 0 ? '' : text.slice(end));
};

const parseFileHost = (url, name) => {
  const host = name === '' ? '' : parseHost(name, true);
  if (host === undefined) return undefined;
  url.host = host === 'localhost' ? '' : host;
  return url;
};

const inherit = (url, base) => Object.assign(url, {
  username: base.username, password: base.password, host: base.host, port: base.port, path: [...base.path],
});

// What follows the scheme, or all, of a URL of the scheme of its base.
const parseRelative = (url, text, base) => {
  const begins = slash(url);
  if (begins.test(text)) {
    const rest = text.slice(1);
    if (begins.test(rest)) return parseAuthority(url, isSpecial(url) ? rest.replace(/^[/\\]+/, '') : rest.slice(1));
    return startPath(inherit(url, base), text);
  }
  inherit(url, base);
  if (text === '') {
    url.query ??= base.query;
    return url;
  }
  shorten(url);
  return appendPath(url, text);
};

const parseFile = (url, text, base) => {
  url.host = '';
  const from = base?.scheme === 'file' ? base : undefined;
  if (/^[/\\]{2}/.test(text)) {
    const [, name, rest] = /^([^/\\]*)([^]*)$/.exec(text.slice(2));
    if (isDrive(name)) return startPath(url, text.slice(2));
    return parseFileHost(url, name) && startPath(url, rest);
  }
  if (/^[/\\]/.test(text)) {
    url.path = [];
    if (from) url.host = from.host;
    if (from && !startsWithDrive(text.slice(1)) && /^[a-z]:$/i.test(from.path[0])) url.path.push(from.path[0]);
    return appendPath(url, text.slice(1));
  }
  if (!from) return startPath(url, text);
  if (!startsWithDrive(text)) return parseRelative(url, text, from);
  url.host = from.host;
  return startPath(url, text);
};

const blank = (scheme) => (
  {scheme, username: '', password: '', host: null, port: null, path: [], query: null, fragment: null}
);

const clean = (text) => text.toWellFormed().replace(/[\t\n\r]/g, '');

// Whether a path begins with two slashes for a URL without a host is for the writer, not for the parser.
const parseRest = (url, text, base, relative) => {
  if (url.scheme === 'file') return parseFile(url, text, base);
  if (isSpecial(url)) {
    if (base?.scheme === url.scheme && (relative || !text.startsWith('//'))) return parseRelative(url, text, base);
    return parseAuthority(url, text.replace(/^[/\\]+/, ''));
  }
  if (relative) return parseRelative(url, text, base);
  if (text.startsWith('//')) return parseAuthority(url, text.slice(2));
  if (text.startsWith('/')) return startPath(url, text);
  url.path = encode(text, CONTROLS);
  return url;
};

const parse = (input, base) => {
  const [, scheme, text, query, fragment] = /^(?:([a-z][a-z0-9+\-.]*):)?([^?#]*)(?:\?([^#]*))?(?:#([^]*))?$/i.exec(
    clean(input.replace(/^[\0-\x20]+|[\0-\x20]+$/g, '')),
  );
  const relative = scheme === undefined;
  if (relative && !base) return undefined;
  const url = blank(relative ? base.scheme : scheme.toLowerCase());
  if (query !== undefined) url.query = encode(query, isSpecial(url) ? SPECIAL_QUERY : QUERY);
  if (fragment !== undefined) url.fragment = encode(fragment, FRAGMENT);
  if (!relative || typeof base.path !== 'string') return parseRest(url, text, base, relative);
  // Only a fragment can be put to a base like "mailto:x".
  if (text !== '' || query !== undefined || fragment === undefined) return undefined;
  return {...base, fragment: url.fragment};
};

const pathText = ({path}) => (typeof path === 'string' ? path : path.map((segment) => `/${segment}`).join(''));
const hostText = ({host, port}) => (host ?? '') + (port === null ? '' : `:${port}`);

const write = (url) => {
  let text = `${url.scheme}:`;
  if (url.host !== null) {
    text += '//';
    if (url.username || url.password) text += `${url.username}${url.password && `:${url.password}`}@`;
    text += hostText(url);
  } else if (typeof url.path !== 'string' && url.path.length > 1 && url.path[0] === '') {
    text += '/.';  // what follows would be read as a host otherwise
  }
  text += pathText(url);
  return `${text}${url.query === null ? '' : `?${url.query}`}${url.fragment === null ? '' : `#${url.fragment}`}`;
};

// --- URLSearchParams ---

const KEY = Symbol('url');  // who has it may bind parameters to a URL
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
  constructor(init = '', key = undefined, changed = undefined) {
    lists.set(this, pairsOf(init ?? ''));  // null is nothing, as in Node
    if (key === KEY) owners.set(this, changed);
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

// --- URL ---

const parseBoth = (input, base) => {
  const against = base === undefined ? undefined : parse(`${base}`);
  return base === undefined || against ? parse(`${input}`, against) : undefined;
};

const hasNoAuthority = (url) => !url.host || url.scheme === 'file';

class URL {
  #url;
  #parameters;

  constructor(input, base = undefined) {
    need(arguments, 1);
    this.#url = input === KEY ? base : parseBoth(input, base);
    if (!this.#url) {
      const error = new TypeError('Invalid URL');
      error.code = 'ERR_INVALID_URL';
      error.input = `${input}`;
      throw error;
    }
  }

  static canParse(input, base = undefined) {
    need(arguments, 1);
    return parseBoth(input, base) !== undefined;
  }

  static parse(input, base = undefined) {
    need(arguments, 1);
    const url = parseBoth(input, base);
    return url ? new URL(KEY, url) : null;
  }

  get href() { return write(this.#url); }
  get protocol() { return `${this.#url.scheme}:`; }
  get username() { return this.#url.username; }
  get password() { return this.#url.password; }
  get host() { return hostText(this.#url); }
  get hostname() { return this.#url.host ?? ''; }
  get port() { return `${this.#url.port ?? ''}`; }
  get pathname() { return pathText(this.#url); }
  get search() { return this.#url.query ? `?${this.#url.query}` : ''; }
  get hash() { return this.#url.fragment ? `#${this.#url.fragment}` : ''; }

  get origin() {
    const url = this.#url;
    if (url.scheme === 'blob') {
      const inner = parse(pathText(url));
      return inner && /^https?$/.test(inner.scheme) ? `${inner.scheme}://${hostText(inner)}` : 'null';
    }
    return isSpecial(url) && url.scheme !== 'file' ? `${url.scheme}://${hostText(url)}` : 'null';
  }

  get searchParams() {
    return (this.#parameters ??= new URLSearchParams(this.#url.query ?? '', KEY, () => {
      this.#url.query = this.#parameters.toString() || null;
    }));
  }

  #follow() {
    if (this.#parameters) lists.set(this.#parameters, parseForm(this.#url.query ?? ''));
  }

  set href(value) {
    const url = parse(`${value}`);
    if (!url) throw new TypeError('Invalid URL');
    this.#url = url;
    this.#follow();
  }

  set protocol(value) {
    const url = this.#url;
    const scheme = /^([a-z][a-z0-9+\-.]*):/i.exec(`${clean(`${value}`)}:`)?.[1].toLowerCase();
    if (scheme === undefined || PORTS.has(scheme) !== isSpecial(url)) return;
    if (scheme === 'file' && (url.username || url.password || url.port !== null)) return;
    if (url.scheme === 'file' && !url.host) return;
    url.scheme = scheme;
    if (url.port === PORTS.get(scheme)) url.port = null;
  }

  set username(value) {
    if (!hasNoAuthority(this.#url)) this.#url.username = encode(string(value), USERINFO);
  }

  set password(value) {
    if (!hasNoAuthority(this.#url)) this.#url.password = encode(string(value), USERINFO);
  }

  #setHost(value, only) {
    const url = {...this.#url};
    if (typeof url.path === 'string') return;
    const text = clean(`${value}`).replace(isSpecial(url) ? /[/?#\\][^]*$/ : /[/?#][^]*$/, '');
    if (url.scheme === 'file') {
      if (parseFileHost(url, text)) this.#url = url;
      return;
    }
    const parsed = parseHostPort(url, text, only);
    if (!parsed || (url.host === '' && (url.username || url.password || url.port !== null))) return;
    const digits = /^[0-9]*/.exec(parsed.port)[0];
    if (digits !== '') parsePort(url, digits);  // one that is too large leaves the old one
    this.#url = url;
  }

  set host(value) { this.#setHost(value, false); }
  set hostname(value) { this.#setHost(value, true); }

  set port(value) {
    if (hasNoAuthority(this.#url)) return;
    const text = clean(`${value}`);
    const digits = /^[0-9]*/.exec(text)[0];
    if (digits !== '') parsePort(this.#url, digits);
    else if (text === '') this.#url.port = null;
  }

  set pathname(value) {
    const url = this.#url;
    if (typeof url.path === 'string') return;
    const text = clean(`${value}`);
    startPath(url, text);
    if (text === '' && url.host === null && !isSpecial(url)) url.path = [''];
  }

  set search(value) {
    const text = clean(`${value}`);
    const set = isSpecial(this.#url) ? SPECIAL_QUERY : QUERY;
    this.#url.query = text === '' ? null : encode(text.replace(/^\?/, ''), set);
    this.#follow();
  }

  set hash(value) {
    const text = clean(`${value}`);
    this.#url.fragment = text === '' ? null : encode(text.replace(/^#/, ''), FRAGMENT);
  }

  toString() {
    return this.href;
  }

  toJSON() {
    return this.href;
  }

  get [toStringTag]() {
    return 'URL';
  }
}

internal.URLSearchParams = URLSearchParams;
internal.URL = URL;
define('URL', URL);
define('URLSearchParams', URLSearchParams);
