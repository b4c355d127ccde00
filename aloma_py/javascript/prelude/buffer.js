// Buffer, as far as code that is not about files and sockets uses it.

const {utf8, base64, bytesOf, textOfUnits} = internal;
const {isView} = ArrayBuffer;
const {isArray} = Array;
const {toHex, subarray, set: setBytes} = Uint8Array.prototype;
const {apply} = Reflect;
const toNumber = parseInt;
const {isInteger} = Number;

const ENCODINGS = new Map([
  ['utf8', 'utf8'], ['utf-8', 'utf8'], ['base64', 'base64'], ['base64url', 'base64url'], ['hex', 'hex'],
  ['latin1', 'latin1'], ['binary', 'latin1'], ['ascii', 'ascii'], ['utf16le', 'utf16le'], ['utf-16le', 'utf16le'],
  ['ucs2', 'utf16le'], ['ucs-2', 'utf16le'],
]);

const failure = (Type, code, message) => Object.assign(new Type(message), {code});
const badType = (name, value) =>
  failure(TypeError, 'ERR_INVALID_ARG_TYPE', `The "${name}" argument is of the wrong type (${typeof value})`);
const outOfRange = (name) => failure(RangeError, 'ERR_OUT_OF_RANGE', `The value of "${name}" is out of range`);

const encodingOf = (name) => {
  if (name === undefined || name === null || name === '') return 'utf8';
  const encoding = ENCODINGS.get(`${name}`.toLowerCase());
  if (encoding === undefined) throw failure(TypeError, 'ERR_UNKNOWN_ENCODING', `Unknown encoding: ${name}`);
  return encoding;
};

const fromUnits = (text) => {
  const bytes = new Uint8Array(text.length);
  for (let index = 0; index < text.length; index++) bytes[index] = text.charCodeAt(index);
  return bytes;
};

// What a text means in an encoding. As in Node, characters that do not belong are passed over or end the text.
const DECODERS = {
  utf8: utf8.encode,
  latin1: fromUnits,
  ascii: fromUnits,
  base64: (text) => {
    const end = text.indexOf('=');
    const kept = (end < 0 ? text : text.slice(0, end))
      .replace(/[^A-Za-z0-9+/\-_]/g, '').replaceAll('-', '+').replaceAll('_', '/');
    return base64.decode(kept.length % 4 === 1 ? kept.slice(0, -1) : kept);
  },
  hex: (text) => {
    const digits = /^(?:[0-9a-f]{2})*/i.exec(text)[0];
    const bytes = new Uint8Array(digits.length / 2);
    for (let index = 0; index < bytes.length; index++) {
      bytes[index] = toNumber(digits.slice(index * 2, index * 2 + 2), 16);
    }
    return bytes;
  },
  utf16le: (text) => {
    const bytes = new Uint8Array(text.length * 2);
    for (let index = 0; index < text.length; index++) {
      bytes[index * 2] = text.charCodeAt(index);
      bytes[index * 2 + 1] = text.charCodeAt(index) >> 8;
    }
    return bytes;
  },
};
DECODERS.base64url = DECODERS.base64;

const ENCODERS = {
  utf8: utf8.decode,
  latin1: (bytes) => textOfUnits(bytes),
  ascii: (bytes) => textOfUnits(bytes.map((byte) => byte & 0x7f)),
  base64: (bytes) => base64.encode(bytes),
  base64url: (bytes) => base64.encode(bytes, 'base64url', true),
  hex: (bytes) => apply(toHex, bytes, []),
  utf16le: (bytes) => {
    const units = new Uint16Array(bytes.length >> 1);
    for (let index = 0; index < units.length; index++) units[index] = bytes[index * 2] | (bytes[index * 2 + 1] << 8);
    return textOfUnits(units);
  },
};

const decode = (text, encoding) => DECODERS[encodingOf(encoding)](text);

// A Buffer on the memory of bytes.
const wrap = (bytes) => new Buffer(bytes.buffer, bytes.byteOffset, bytes.byteLength);

// A whole number from what was given for a position, kept in 0..length.
const clamp = (value, missing, length) => {
  const whole = value === undefined ? missing : Math.trunc(Number(value)) || 0;
  return Math.min(Math.max(whole, 0), length);
};

const byteValue = (value) => Number(value) & 255;

const fromObject = (value, encoding) => {
  if (value === null || (typeof value !== 'object' && typeof value !== 'function')) throw badType('first', value);
  if (value.type === 'Buffer' && isArray(value.data)) return wrap(Uint8Array.from(value.data, byteValue));
  const primitive = value.valueOf?.();
  if (primitive !== null && primitive !== undefined && primitive !== value) return Buffer.from(primitive, encoding);
  if (typeof value.length === 'number') return wrap(Uint8Array.from(value, byteValue));
  const text = value[Symbol.toPrimitive]?.('string');
  if (typeof text === 'string') return Buffer.from(text, encoding);
  throw badType('first', value);
};

const checkSize = (size) => {
  if (typeof size !== 'number') throw badType('size', size);
  if (!(size >= 0 && size <= Number.MAX_SAFE_INTEGER)) throw outOfRange('size');
};

const needBytes = (name, value) => {
  if (!(value instanceof Uint8Array)) throw badType(name, value);
  return value;
};

const compareBytes = (one, other) => {
  const length = Math.min(one.length, other.length);
  for (let index = 0; index < length; index++) {
    if (one[index] !== other[index]) return one[index] < other[index] ? -1 : 1;
  }
  return Math.sign(one.length - other.length);
};

// The bytes that indexOf() and its like look for.
const needle = (value, encoding) => {
  if (typeof value === 'number') return Uint8Array.of(value);
  if (typeof value === 'string') return decode(value, encoding);
  return needBytes('value', value);
};

const search = (bytes, wanted, start, step) => {
  for (let at = start; at >= 0 && at + wanted.length <= bytes.length; at += step) {
    let index = 0;
    while (index < wanted.length && bytes[at + index] === wanted[index]) index++;
    if (index === wanted.length) return at;
  }
  return -1;
};

// Where a search begins; below 0 counts from the end.
const startOf = (offset, missing, length) => {
  const number = Number(offset);
  if (offset === undefined || Number.isNaN(number)) return missing;
  const whole = Math.trunc(number);
  return whole < 0 ? whole + length : whole;
};

// How many of the first `room` bytes are whole characters.
const wholeLength = (bytes, room, encoding) => {
  if (encoding === 'utf16le') return room & ~1;
  while (encoding === 'utf8' && room > 0 && (bytes[room] & 0xc0) === 0x80) room--;
  return room;
};

class Buffer extends Uint8Array {
  static poolSize = 8192;

  constructor(value, offset = undefined, length = undefined) {
    if (typeof value === 'string') super(decode(value, offset));
    else super(value, offset, length);
  }

  static from(value, encoding = undefined, length = undefined) {
    if (typeof value === 'string') return wrap(decode(value, encoding));
    if (isArray(value)) return wrap(Uint8Array.from(value, byteValue));
    if (isView(value)) return wrap(Uint8Array.from(value, byteValue));
    if (bytesOf(value) === undefined) return fromObject(value, encoding);
    const offset = Math.trunc(Number(encoding)) || 0;
    if (offset > value.byteLength || offset < 0) throw outOfRange('offset');
    const rest = value.byteLength - offset;
    const size = length === undefined ? rest : Math.max(Math.trunc(Number(length)) || 0, 0);
    if (size > rest) throw outOfRange('length');
    return new Buffer(value, offset, size);
  }

  static of(...values) {
    return Buffer.from(values);
  }

  static alloc(size, fill = undefined, encoding = undefined) {
    checkSize(size);
    const buffer = new Buffer(size);
    return fill === undefined || fill === 0 ? buffer : buffer.fill(fill, encoding);
  }

  static allocUnsafe(size) {
    return Buffer.alloc(size);
  }

  static allocUnsafeSlow(size) {
    return Buffer.alloc(size);
  }

  static concat(list, length = undefined) {
    if (!isArray(list)) throw badType('list', list);
    const total = list.reduce((sum, bytes) => sum + needBytes('list', bytes).length, 0);
    const all = Buffer.alloc(length === undefined ? total : length);
    let at = 0;
    for (const bytes of list) {
      if (at >= all.length) break;
      const room = all.length - at;
      const part = bytes.length > room ? apply(subarray, bytes, [0, room]) : bytes;
      apply(setBytes, all, [part, at]);
      at += part.length;
    }
    return all;
  }

  static byteLength(value, encoding = undefined) {
    if (typeof value !== 'string') {
      const bytes = bytesOf(value);
      if (bytes === undefined) throw badType('string', value);
      return bytes.length;
    }
    const known = ENCODINGS.get(`${encoding}`.toLowerCase()) ?? 'utf8';
    if (known === 'utf8') return utf8.length(value);
    if (known === 'hex') return value.length >>> 1;
    if (!known.startsWith('base64')) return known === 'utf16le' ? value.length * 2 : value.length;
    const padding = value.endsWith('==') ? 2 : value.endsWith('=') ? 1 : 0;
    return ((value.length - padding) * 3) >>> 2;
  }

  static isBuffer(value) {
    return value instanceof Buffer;
  }

  static isEncoding(name) {
    return typeof name === 'string' && ENCODINGS.has(name.toLowerCase());
  }

  static compare(one, other) {
    return compareBytes(needBytes('buf1', one), needBytes('buf2', other));
  }

  get parent() {
    return this.buffer;
  }

  toString(encoding = undefined, start = undefined, end = undefined) {
    const from = clamp(start, 0, this.length);
    const to = clamp(end, this.length, this.length);
    return ENCODERS[encodingOf(encoding)](new Uint8Array(this.buffer, this.byteOffset + from, Math.max(to - from, 0)));
  }

  toLocaleString(encoding = undefined, start = undefined, end = undefined) {
    return this.toString(encoding, start, end);
  }

  toJSON() {
    return {type: 'Buffer', data: Array.from(this)};
  }

  equals(other) {
    return compareBytes(this, needBytes('otherBuffer', other)) === 0;
  }

  compare(target, start = 0, end = undefined, from = 0, to = undefined) {
    needBytes('target', target);
    return compareBytes(wrap(this).subarray(from, to), wrap(target).subarray(start, end));
  }

  slice(start = undefined, end = undefined) {
    return this.subarray(start, end);
  }

  write(text, offset = undefined, length = undefined, encoding = undefined) {
    if (typeof text !== 'string') throw badType('string', text);
    if (typeof offset === 'string') [offset, length, encoding] = [undefined, undefined, offset];
    else if (typeof length === 'string') [length, encoding] = [undefined, length];
    const at = offset === undefined ? 0 : checkOffset(offset, this.length);
    const room = Math.min(length === undefined ? Infinity : checkOffset(length, this.length), this.length - at);
    const kind = encodingOf(encoding);
    let bytes = decode(text, kind);
    if (bytes.length > room) bytes = bytes.subarray(0, wholeLength(bytes, room, kind));
    apply(setBytes, this, [bytes, at]);
    return bytes.length;
  }

  fill(value, start = undefined, end = undefined, encoding = undefined) {
    if (typeof start === 'string') [start, end, encoding] = [undefined, undefined, start];
    else if (typeof end === 'string') [end, encoding] = [undefined, end];
    const from = start === undefined ? 0 : checkOffset(start, Infinity);
    const to = end === undefined ? this.length : checkOffset(end, this.length);
    const ownBytes = value instanceof Uint8Array ? value : undefined;
    const pattern = typeof value === 'string' ? decode(value, encoding) : ownBytes;
    if (pattern?.length === 0) {
      if (value !== '') throw failure(TypeError, 'ERR_INVALID_ARG_VALUE', 'There is nothing to fill with');
      return super.fill(0, from, to);
    }
    if (pattern === undefined) return super.fill(byteValue(value), from, to);
    for (let index = from; index < to; index++) this[index] = pattern[(index - from) % pattern.length];
    return this;
  }

  copy(target, targetStart = 0, start = 0, end = this.length) {
    needBytes('target', target);
    const at = Math.trunc(Number(targetStart)) || 0;
    const from = Math.trunc(Number(start)) || 0;
    const to = Math.trunc(Number(end)) || 0;
    if (at < 0) throw outOfRange('targetStart');
    if (from < 0 || from > this.length) throw outOfRange('sourceStart');
    if (to < 0) throw outOfRange('sourceEnd');
    const count = Math.min(to - from, this.length - from, target.length - at);
    if (count <= 0) return 0;
    apply(setBytes, target, [this.subarray(from, from + count), at]);
    return count;
  }

  indexOf(value, offset = undefined, encoding = undefined) {
    if (typeof offset === 'string') [offset, encoding] = [undefined, offset];
    const wanted = needle(value, encoding);
    const start = Math.max(startOf(offset, 0, this.length), 0);
    return wanted.length === 0 ? Math.min(start, this.length) : search(this, wanted, start, 1);
  }

  lastIndexOf(value, offset = undefined, encoding = undefined) {
    if (typeof offset === 'string') [offset, encoding] = [undefined, offset];
    const wanted = needle(value, encoding);
    const start = Math.min(startOf(offset, this.length, this.length), this.length - wanted.length);
    return search(this, wanted, start, -1);
  }

  includes(value, offset = undefined, encoding = undefined) {
    return this.indexOf(value, offset, encoding) !== -1;
  }
}

const checkOffset = (offset, most) => {
  if (typeof offset !== 'number') throw badType('offset', offset);
  if (!isInteger(offset) || offset < 0 || offset > most) throw outOfRange('offset');
  return offset;
};

const method = (name, value) =>
  Object.defineProperty(Buffer.prototype, name, {value, writable: true, configurable: true, enumerable: false});

// A view on the bytes of a number at `offset`.
const numberView = (buffer, offset, size) => {
  checkOffset(offset, buffer.length - size);
  return new DataView(buffer.buffer, buffer.byteOffset + offset, size);
};

const checkValue = (value, least, most) => {
  if (typeof value !== typeof least) throw badType('value', value);
  if (value < least || value > most) throw outOfRange('value');
};

// readUInt8, readInt16LE, writeDoubleBE and all of their kind; [name, name in DataView, bytes, least, most].
for (const [name, kind, size, least, most] of [
  ['UInt8', 'Uint8', 1, 0, 0xff],
  ['Int8', 'Int8', 1, -0x80, 0x7f],
  ['UInt16', 'Uint16', 2, 0, 0xffff],
  ['Int16', 'Int16', 2, -0x8000, 0x7fff],
  ['UInt32', 'Uint32', 4, 0, 0xffffffff],
  ['Int32', 'Int32', 4, -0x80000000, 0x7fffffff],
  ['BigUInt64', 'BigUint64', 8, 0n, 2n ** 64n - 1n],
  ['BigInt64', 'BigInt64', 8, -(2n ** 63n), 2n ** 63n - 1n],
  ['Float', 'Float32', 4, undefined, undefined],
  ['Double', 'Float64', 8, undefined, undefined],
]) {
  const get = DataView.prototype[`get${kind}`];
  const set = DataView.prototype[`set${kind}`];
  for (const order of size === 1 ? [''] : ['LE', 'BE']) {
    const read = function (offset = 0) {
      return apply(get, numberView(this, offset, size), [0, order === 'LE']);
    };
    const write = function (value, offset = 0) {
      const number = typeof least === 'bigint' ? value : Number(value);
      if (least !== undefined) checkValue(number, least, most);
      apply(set, numberView(this, offset, size), [0, number, order === 'LE']);
      return offset + size;
    };
    for (const spelled of new Set([name, name.replace('UInt', 'Uint')])) {
      method(`read${spelled}${order}`, read);
      method(`write${spelled}${order}`, write);
    }
  }
}

define('Buffer', Buffer);
