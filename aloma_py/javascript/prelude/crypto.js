// `crypto`: what Web Crypto and Node's module of that name have in common use. Hashes, HMAC and random bytes, in
// JavaScript: internal.hashes and internal.random do the work. Errors are those of Node, by name and code.

const {hashes, random, bytesOf, utf8, textOfUnits, base64, DOMException} = internal;
const Buffer = internal.Buffer ?? globalThis.Buffer;
const {
  freeze, keys, values, entries, hasOwn, defineProperty, getPrototypeOf, getOwnPropertyDescriptor,
  getOwnPropertyDescriptors,
} = Object;
const {isView} = ArrayBuffer;
const {apply} = Reflect;
const {floor} = Math;
const {isArray} = Array;
const {toHex} = Uint8Array.prototype;
const Bytes = Uint8Array;
const SharedPromise = Promise;
const toStringTag = Symbol.toStringTag;
const kindOfView = getOwnPropertyDescriptor(getPrototypeOf(Bytes.prototype), toStringTag).get;
const QUOTA = 65536;
const MAX_SIZE = 2147483647;
const VIEWS = 'Buffer, TypedArray, or DataView';
const INTEGERS = freeze([
  'Int8Array', 'Uint8Array', 'Uint8ClampedArray', 'Int16Array', 'Uint16Array', 'Int32Array', 'Uint32Array',
  'BigInt64Array', 'BigUint64Array',
]);

const failure = (Kind, code, message) => {
  const error = new Kind(message);
  error.code = code;
  return error;
};

const received = (value) => {
  if (value === undefined || value === null) return `Received ${value}`;
  if (typeof value === 'function') return `Received function ${value.name}`;
  if (typeof value === 'object') return `Received an instance of ${value.constructor?.name ?? 'Object'}`;
  const text = String(value);
  const shown = typeof value === 'string' ? `'${text.length > 25 ? `${text.slice(0, 25)}...` : text}'` : text;
  return `Received type ${typeof value} (${shown})`;
};

const wrongType = (name, expected, value) =>
  failure(TypeError, 'ERR_INVALID_ARG_TYPE', `The "${name}" argument must be ${expected}. ${received(value)}`);

// --- bytes in, bytes out -------------------------------------------------------------------------------------------

const ofText = (text, encoding) => {
  const name = typeof encoding === 'string' ? encoding.toLowerCase() : 'utf8';
  if (name === 'utf8' || name === 'utf-8' || !Buffer?.isEncoding(name)) return utf8.encode(text);
  if (name === 'hex' && text.length % 2 === 1) {
    const message = `The argument 'encoding' is invalid for data of length ${text.length}. Received '${encoding}'`;
    throw failure(TypeError, 'ERR_INVALID_ARG_VALUE', message);
  }
  return Buffer.from(text, name);
};

const ofData = (data, encoding) => {
  if (typeof data === 'string') return ofText(data, encoding);
  if (isView(data)) return bytesOf(data);
  throw wrongType('data', `of type string or an instance of ${VIEWS}`, data);
};

const asBuffer = (bytes) => (Buffer ? Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength) : bytes);

const written = (bytes, encoding) => {
  switch (typeof encoding === 'string' ? encoding.toLowerCase() : undefined) {
    case 'hex': return apply(toHex, bytes, []);
    case 'base64': return base64.encode(bytes);
    case 'base64url': return base64.encode(bytes, 'base64url', true);
    case 'latin1': case 'binary': return textOfUnits(bytes);
    default: return Buffer?.isEncoding(encoding) ? asBuffer(bytes).toString(encoding) : asBuffer(bytes);
  }
};

// --- hashes --------------------------------------------------------------------------------------------------------

// The name in `hashes` of an algorithm as Node spells it ("sha256", "SHA-256", "RSA-SHA256"), or undefined.
const hashName = (algorithm) => {
  const name = algorithm.toLowerCase().replace(/^(?:rsa-)?sha-?(?=\d)/, 'sha');
  return hasOwn(hashes, name) ? name : undefined;
};

const finalized = () => failure(Error, 'ERR_CRYPTO_HASH_FINALIZED', 'Digest already called');

class Hash {
  #hash;

  constructor(hash) {
    this.#hash = hash;
  }

  update(data, encoding) {
    if (this.#hash === undefined) throw finalized();
    this.#hash.update(ofData(data, encoding));
    return this;
  }

  digest(encoding) {
    if (this.#hash === undefined) throw finalized();
    const made = this.#hash.digest();
    this.#hash = undefined;
    return written(made, encoding);
  }

  copy() {
    if (this.#hash === undefined) throw finalized();
    return new Hash(this.#hash.copy());
  }
}

// RFC 2104: begun with the inner key, ended with the outer one.
const beginHmac = (name, key) => {
  const inner = hashes[name]();
  const outer = hashes[name]();
  const padded = new Bytes(inner.blockSize);
  padded.set(key.length > inner.blockSize ? hashes[name]().update(key).digest() : key);
  inner.update(padded.map((byte) => byte ^ 0x36));
  outer.update(padded.map((byte) => byte ^ 0x5c));
  return {
    update: (bytes) => inner.update(bytes),
    digest: () => outer.update(inner.digest()).digest(),
  };
};

class Hmac {
  #hmac;

  constructor(hmac) {
    this.#hmac = hmac;
  }

  update(data, encoding) {
    if (this.#hmac === undefined) throw finalized();
    this.#hmac.update(ofData(data, encoding));
    return this;
  }

  // As in Node, a second digest is empty and no error.
  digest(encoding) {
    const made = this.#hmac?.digest() ?? new Bytes(0);
    this.#hmac = undefined;
    return written(made, encoding);
  }
}

const keyBytes = (key) => {
  if (typeof key === 'string') return utf8.encode(key);
  const bytes = key instanceof CryptoKey ? secretOf(key) : bytesOf(key);
  if (bytes !== undefined) return bytes;
  const kinds = 'ArrayBuffer, Buffer, TypedArray, DataView, KeyObject, or CryptoKey';
  throw wrongType('key', `of type string or an instance of ${kinds}`, key);
};

const createHash = (algorithm) => {
  if (typeof algorithm !== 'string') throw wrongType('algorithm', 'of type string', algorithm);
  const name = hashName(algorithm);
  if (name === undefined) throw new Error('Digest method not supported');
  return new Hash(hashes[name]());
};

const createHmac = (algorithm, key) => {
  if (typeof algorithm !== 'string') throw wrongType('hmac', 'of type string', algorithm);
  const bytes = keyBytes(key);
  const name = hashName(algorithm);
  if (name === undefined) throw failure(TypeError, 'ERR_CRYPTO_INVALID_DIGEST', `Invalid digest: ${algorithm}`);
  return new Hmac(beginHmac(name, bytes));
};

const getHashes = () => keys(hashes);

// --- random values and comparing -----------------------------------------------------------------------------------

const getRandomValues = (array) => {
  const kind = isView(array) ? apply(kindOfView, array, []) : undefined;
  if (!INTEGERS.includes(kind)) {
    throw new DOMException('The data argument must be an integer-type TypedArray', 'TypeMismatchError');
  }
  if (array.byteLength > QUOTA) {
    throw new DOMException(`The requested length exceeds ${QUOTA} bytes`, 'QuotaExceededError');
  }
  bytesOf(array).set(random.bytes(array.byteLength));
  return array;
};

const randomUUID = () => {
  const bytes = random.bytes(16);
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const text = apply(toHex, bytes, []);
  return [text.slice(0, 8), text.slice(8, 12), text.slice(12, 16), text.slice(16, 20), text.slice(20)].join('-');
};

const randomBytes = (size, callback) => {
  if (typeof size !== 'number') throw wrongType('size', 'of type number', size);
  if (!(size >= 0 && size <= MAX_SIZE)) {
    const message = `The value of "size" is out of range. It must be >= 0 && <= ${MAX_SIZE}. Received ${size}`;
    throw failure(RangeError, 'ERR_OUT_OF_RANGE', message);
  }
  const made = asBuffer(random.bytes(floor(size)));
  if (callback === undefined) return made;
  if (typeof callback !== 'function') throw wrongType('callback', 'of type function', callback);
  SharedPromise.resolve().then(() => callback(null, made));
  return undefined;
};

const timingSafeEqual = (one, other) => {
  const [first, second] = [one, other].map((given, index) => {
    const bytes = bytesOf(given);
    if (bytes === undefined) throw wrongType(`buf${index + 1}`, `an instance of ArrayBuffer, ${VIEWS}`, given);
    return bytes;
  });
  if (first.length !== second.length) {
    const message = 'Input buffers must have the same byte length';
    throw failure(RangeError, 'ERR_CRYPTO_TIMING_SAFE_EQUAL_LENGTH', message);
  }
  let different = 0;
  for (let index = 0; index < first.length; index++) different |= first[index] ^ second[index];
  return different === 0;
};

// --- crypto.subtle -------------------------------------------------------------------------------------------------

const WEB_NAMES = freeze({
  __proto__: null, 'SHA-1': 'sha1', 'SHA-256': 'sha256', 'SHA-384': 'sha384', 'SHA-512': 'sha512',
});
const USAGES = freeze(['sign', 'verify']);
const THERE_IS =
  "there is digest for SHA-1, SHA-256, SHA-384 and SHA-512, and importKey('raw'), sign and verify for HMAC";

const unsupported = (what) => new DOMException(`${what} is not supported here: ${THERE_IS}`, 'NotSupportedError');

let secretOf;

class CryptoKey {
  #bytes;
  #algorithm;
  #extractable;
  #usages;

  constructor(bytes, hash, extractable, usages) {
    this.#bytes = bytes;
    this.#algorithm = freeze({name: 'HMAC', length: bytes.length * 8, hash: freeze({name: hash})});
    this.#extractable = extractable;
    this.#usages = freeze(usages);
  }

  get type() {
    return 'secret';
  }

  get algorithm() {
    return this.#algorithm;
  }

  get extractable() {
    return this.#extractable;
  }

  get usages() {
    return this.#usages;
  }

  get [toStringTag]() {
    return 'CryptoKey';
  }

  static {
    secretOf = (key) => key.#bytes;
  }
}

const algorithmName = (algorithm) => {
  const name = typeof algorithm === 'object' && algorithm !== null ? algorithm.name : algorithm;
  if (name === undefined) throw new TypeError('The algorithm needs a name');
  return `${name}`.toUpperCase();
};

const webHash = (algorithm) => {
  const name = algorithmName(algorithm);
  if (!hasOwn(WEB_NAMES, name)) throw unsupported(`The algorithm ${name}`);
  return name;
};

const wantHmac = (algorithm) => {
  const name = algorithmName(algorithm);
  if (name !== 'HMAC') throw unsupported(`The algorithm ${name}`);
};

// A copy: what the caller writes into its memory afterwards changes nothing.
const copyOf = (source) => {
  const bytes = bytesOf(source);
  if (bytes === undefined) throw new TypeError(`The data must be an instance of ArrayBuffer, ${VIEWS}`);
  return bytes.slice();
};

const checkedUsages = (usages) => {
  if (!isArray(usages) || usages.length === 0) {
    throw new DOMException('Usages cannot be empty when importing a secret key.', 'SyntaxError');
  }
  if (!usages.every((usage) => USAGES.includes(usage))) {
    throw new DOMException("An HMAC key is used to 'sign' or to 'verify'", 'SyntaxError');
  }
  return USAGES.filter((usage) => usages.includes(usage));
};

const mac = (algorithm, key, data, usage) => {
  wantHmac(algorithm);
  if (!(key instanceof CryptoKey)) throw new TypeError('The key must be a CryptoKey, as importKey gives it');
  const bytes = copyOf(data);
  if (!key.usages.includes(usage)) throw new DOMException(`Unable to use this key to ${usage}`, 'InvalidAccessError');
  const hmac = beginHmac(WEB_NAMES[key.algorithm.hash.name], secretOf(key));
  hmac.update(bytes);
  return hmac.digest();
};

// The methods are async so that whatever is wrong rejects, as in every other place with Web Crypto.
class SubtleCrypto {
  async digest(algorithm, data) {
    const name = webHash(algorithm);
    return hashes[WEB_NAMES[name]]().update(copyOf(data)).digest().buffer;
  }

  async importKey(format, data, algorithm, extractable, usages) {
    wantHmac(algorithm);
    if (format !== 'raw') throw unsupported(`importKey('${format}')`);
    if (algorithm.hash === undefined) throw new TypeError("The algorithm of an HMAC key needs a 'hash'");
    const hash = webHash(algorithm.hash);
    const allowed = checkedUsages(usages);
    const bytes = copyOf(data);
    if (bytes.length === 0) throw new DOMException('Zero-length key is not supported', 'DataError');
    const {length} = algorithm;
    if (length !== undefined && length !== bytes.length * 8) throw new DOMException('Invalid key length', 'DataError');
    return new CryptoKey(bytes, hash, !!extractable, allowed);
  }

  async sign(algorithm, key, data) {
    return mac(algorithm, key, data, 'sign').buffer;
  }

  async verify(algorithm, key, signature, data) {
    const given = copyOf(signature);
    const made = mac(algorithm, key, data, 'verify');
    return given.length === made.length && timingSafeEqual(given, made);
  }

  get [toStringTag]() {
    return 'SubtleCrypto';
  }
}

for (const name of [
  'encrypt', 'decrypt', 'generateKey', 'deriveKey', 'deriveBits', 'exportKey', 'wrapKey', 'unwrapKey',
]) {
  const value = {async [name]() { throw unsupported(`crypto.subtle.${name}`) }}[name];
  defineProperty(SubtleCrypto.prototype, name, {value});
}

class Crypto {
  get [toStringTag]() {
    return 'Crypto';
  }
}

const methods = {
  subtle: freeze(new SubtleCrypto()),
  getRandomValues, randomUUID, createHash, createHmac, getHashes, randomBytes, timingSafeEqual,
};
for (const [name, value] of entries(methods)) defineProperty(Crypto.prototype, name, {value});
// No global leads to the classes, and runs share them.
for (const kind of [Hash, Hmac, CryptoKey, SubtleCrypto, Crypto]) {
  freeze(kind);
  freeze(kind.prototype);
  for (const {value, get} of values(getOwnPropertyDescriptors(kind.prototype))) freeze(value ?? get);
}
define('crypto', freeze(new Crypto()));
