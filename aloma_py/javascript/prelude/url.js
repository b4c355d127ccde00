// URL, after the URL standard.
//
// A record is what the standard calls a URL: {scheme, username, password, host, port, path, query, fragment}; host,
// port, query and fragment are null where there is none (an empty host is ''), path is an array of segments, or the
// text of an opaque path. Parsing gives undefined where the standard says failure.

const {encode, CONTROLS, FRAGMENT, QUERY, SPECIAL_QUERY, PATH, USERINFO} = internal.urlParts;
const {parseHost, bindParameters, setQuery, string, need} = internal.urlParts;
const {toStringTag} = Symbol;

const PORTS = new Map([['http', 80], ['https', 443], ['ws', 80], ['wss', 443], ['ftp', 21], ['file', null]]);
const isSpecial = (url) => PORTS.has(url.scheme);

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

// --- URL ---

const parseBoth = (input, base) => {
  const against = base === undefined ? undefined : parse(`${base}`);
  return base === undefined || against ? parse(`${input}`, against) : undefined;
};

const hasNoAuthority = (url) => !url.host || url.scheme === 'file';

const KEY = Symbol('url');  // who has it may make a URL of a record

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
    return (this.#parameters ??= bindParameters(this.#url.query ?? '', () => {
      this.#url.query = this.#parameters.toString() || null;
    }));
  }

  #follow() {
    if (this.#parameters) setQuery(this.#parameters, this.#url.query ?? '');
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

internal.URL = URL;
define('URL', URL);
