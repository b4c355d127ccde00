// TextEncoder and TextDecoder, and for the other modules:
// internal.bytesOf(source): a Uint8Array on the memory of an ArrayBuffer or a view, undefined for anything else.
// internal.utf8 = {encode(text), decode(bytes), length(text)}; decoding puts U+FFFD where the bytes are wrong.
// internal.textOfUnits(units): the string of an array of UTF-16 code units.

const {isView} = ArrayBuffer;
const {fromCharCode} = String;
const {apply} = Reflect;
const toStringTag = Symbol.toStringTag;
const REPLACEMENT = 0xfffd;
const CHUNK = 8192;  // arguments of one call of fromCharCode; many more would overflow the stack

const sizeOf = Object.getOwnPropertyDescriptor(ArrayBuffer.prototype, 'byteLength').get;
const sizeOfShared = Object.getOwnPropertyDescriptor(SharedArrayBuffer.prototype, 'byteLength').get;

const isBuffer = (value) => {
  for (const size of [sizeOf, sizeOfShared]) {
    try {
      apply(size, value, []);
      return true;
    } catch {
      // the other kind, or none
    }
  }
  return false;
};

const bytesOf = (source) => {
  if (isView(source)) return new Uint8Array(source.buffer, source.byteOffset, source.byteLength);
  return typeof source === 'object' && source !== null && isBuffer(source) ? new Uint8Array(source) : undefined;
};

const textOfUnits = (units) => {
  if (units.length <= CHUNK) return apply(fromCharCode, undefined, units);
  const parts = [];
  for (let start = 0; start < units.length; start += CHUNK) {
    parts.push(apply(fromCharCode, undefined, units.slice(start, start + CHUNK)));
  }
  return parts.join('');
};

// The code point at `index`; a surrogate without its partner becomes U+FFFD.
const scalarAt = (text, index) => {
  const code = text.codePointAt(index);
  return code >= 0xd800 && code <= 0xdfff ? REPLACEMENT : code;
};

const width = (code) => (code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4);

const putCode = (bytes, at, code, size) => {
  if (size === 1) {
    bytes[at] = code;
    return;
  }
  for (let index = size - 1; index > 0; index--) {
    bytes[at + index] = 0x80 | (code & 0x3f);
    code >>= 6;
  }
  bytes[at] = (size === 2 ? 0xc0 : size === 3 ? 0xe0 : 0xf0) | code;
};

// Writes as many whole characters as fit; gives [code units read, bytes written].
const encodeInto = (text, bytes) => {
  let read = 0;
  let written = 0;
  while (read < text.length) {
    const code = scalarAt(text, read);
    const size = width(code);
    if (written + size > bytes.length) break;
    putCode(bytes, written, code, size);
    written += size;
    read += size === 4 ? 2 : 1;
  }
  return [read, written];
};

const utf8Length = (text) => {
  let length = 0;
  for (let index = 0; index < text.length; index++) {
    const size = width(scalarAt(text, index));
    length += size;
    if (size === 4) index++;
  }
  return length;
};

const encodeUtf8 = (text) => {
  const bytes = new Uint8Array(utf8Length(text));
  encodeInto(text, bytes);
  return bytes;
};

// Decoders take (bytes, last, wrong) and keep between calls what an unfinished character needs; `wrong` is called for
// each malformed sequence and gives the code unit to use for it.

class Utf8 {
  code = 0;
  needed = 0;
  lower = 0x80;
  upper = 0xbf;

  begin(byte, wrong) {
    if (byte >= 0xc2 && byte <= 0xdf) {
      this.needed = 1;
      this.code = byte & 0x1f;
    } else if (byte >= 0xe0 && byte <= 0xef) {
      this.lower = byte === 0xe0 ? 0xa0 : 0x80;  // no longer forms than needed
      this.upper = byte === 0xed ? 0x9f : 0xbf;  // no surrogates
      this.needed = 2;
      this.code = byte & 0xf;
    } else if (byte >= 0xf0 && byte <= 0xf4) {
      this.lower = byte === 0xf0 ? 0x90 : 0x80;
      this.upper = byte === 0xf4 ? 0x8f : 0xbf;  // nothing above U+10FFFF
      this.needed = 3;
      this.code = byte & 7;
    } else {
      return wrong();
    }
    return -1;
  }

  decode(bytes, last, wrong) {
    const units = new Uint16Array(bytes.length + 4);
    let length = 0;
    for (let index = 0; index < bytes.length; index++) {
      const byte = bytes[index];
      let code = byte;
      if (this.needed === 0) {
        if (byte >= 0x80) code = this.begin(byte, wrong);
      } else if (byte < this.lower || byte > this.upper) {
        this.reset();
        code = wrong();
        index--;  // the byte may begin the next character
      } else {
        this.lower = 0x80;
        this.upper = 0xbf;
        this.code = (this.code << 6) | (byte & 0x3f);
        code = --this.needed === 0 ? this.code : -1;
      }
      if (code >= 0x10000) {
        units[length++] = 0xd7c0 + (code >> 10);
        units[length++] = 0xdc00 | (code & 0x3ff);
      } else if (code >= 0) {
        units[length++] = code;
      }
    }
    if (last && this.needed !== 0) {
      this.reset();
      units[length++] = wrong();
    }
    return units.subarray(0, length);
  }

  reset() {
    this.needed = 0;
    this.lower = 0x80;
    this.upper = 0xbf;
  }
}

class Utf16 {
  byte = -1;
  lead = -1;

  constructor(big) {
    this.big = big;
  }

  decode(bytes, last, wrong) {
    const units = new Uint16Array((bytes.length >> 1) + 3);
    let length = 0;
    for (const byte of bytes) {
      if (this.byte < 0) {
        this.byte = byte;
        continue;
      }
      const unit = this.big ? (this.byte << 8) | byte : (byte << 8) | this.byte;
      this.byte = -1;
      const trails = unit >= 0xdc00 && unit <= 0xdfff;
      if (this.lead >= 0) {
        units[length++] = trails ? this.lead : wrong();
        this.lead = -1;
        if (trails) {
          units[length++] = unit;
          continue;
        }
      }
      if (unit >= 0xd800 && unit <= 0xdbff) this.lead = unit;
      else units[length++] = trails ? wrong() : unit;
    }
    if (last && (this.byte >= 0 || this.lead >= 0)) {
      this.byte = this.lead = -1;
      units[length++] = wrong();
    }
    return units.subarray(0, length);
  }
}

const UPPER_1252 =
  '\u20ac\x81\u201a\u0192\u201e\u2026\u2020\u2021\u02c6\u2030\u0160\u2039\u0152\x8d\u017d\x8f' +
  '\x90\u2018\u2019\u201c\u201d\u2022\u2013\u2014\u02dc\u2122\u0161\u203a\u0153\x9d\u017e\u0178';

class Windows1252 {
  decode(bytes) {
    const units = Uint16Array.from(bytes);
    for (let index = 0; index < units.length; index++) {
      const byte = units[index];
      if (byte >= 0x80 && byte < 0xa0) units[index] = UPPER_1252.charCodeAt(byte - 0x80);
    }
    return units;
  }
}

const decodeUtf8 = (bytes) => textOfUnits(new Utf8().decode(bytes, true, () => REPLACEMENT));

const LABELS = new Map();
for (const [name, labels] of [
  ['utf-8', 'unicode-1-1-utf-8 unicode11utf8 unicode20utf8 utf-8 utf8 x-unicode20utf8'],
  ['utf-16le', 'csunicode iso-10646-ucs-2 ucs-2 unicode unicodefeff utf-16 utf-16le'],
  ['utf-16be', 'unicodefffe utf-16be'],
  ['windows-1252', 'ansi_x3.4-1968 ascii cp1252 cp819 csisolatin1 ibm819 iso-8859-1 iso-ir-100 iso8859-1 iso88591' +
    ' iso_8859-1 iso_8859-1:1987 l1 latin1 us-ascii windows-1252 x-cp1252'],
]) {
  for (const label of labels.split(' ')) LABELS.set(label, name);
}

const makeDecoder = (encoding) => {
  if (encoding === 'utf-8') return new Utf8();
  return encoding === 'windows-1252' ? new Windows1252() : new Utf16(encoding === 'utf-16be');
};

class TextDecoder {
  #encoding;
  #fatal;
  #ignoreBOM;
  #decoder;
  #started = false;  // whether the place where a byte order mark may stand is behind

  constructor(label = 'utf-8', options = undefined) {
    const encoding = LABELS.get(`${label}`.replace(/^[\t\n\f\r ]+|[\t\n\f\r ]+$/g, '').toLowerCase());
    if (encoding === undefined) throw new RangeError(`The "${label}" encoding is not supported`);
    this.#encoding = encoding;
    this.#fatal = Boolean(options?.fatal);
    this.#ignoreBOM = Boolean(options?.ignoreBOM);
  }

  get encoding() {
    return this.#encoding;
  }

  get fatal() {
    return this.#fatal;
  }

  get ignoreBOM() {
    return this.#ignoreBOM;
  }

  decode(input = new Uint8Array(0), options = undefined) {
    const bytes = bytesOf(input);
    if (bytes === undefined) throw new TypeError('The input must be an ArrayBuffer or a view on one');
    const last = !options?.stream;
    const decoder = (this.#decoder ??= makeDecoder(this.#encoding));
    let wrongs = 0;
    let units = decoder.decode(bytes, last, () => (wrongs++, REPLACEMENT));
    if (!this.#started && units.length > 0) {
      this.#started = true;
      if (units[0] === 0xfeff && !this.#ignoreBOM && this.#encoding !== 'windows-1252') units = units.subarray(1);
    }
    const failed = this.#fatal && wrongs > 0;
    if (last || failed) {
      this.#decoder = undefined;
      this.#started = false;
    }
    if (failed) throw new TypeError(`The encoded data was not valid for encoding ${this.#encoding}`);
    return textOfUnits(units);
  }

  get [toStringTag]() {
    return 'TextDecoder';
  }
}

class TextEncoder {
  get encoding() {
    return 'utf-8';
  }

  encode(text = '') {
    return encodeUtf8(`${text}`);
  }

  encodeInto(text, bytes) {
    if (!(bytes instanceof Uint8Array)) throw new TypeError('The destination must be a Uint8Array');
    const [read, written] = encodeInto(`${text}`, bytes);
    return {read, written};
  }

  get [toStringTag]() {
    return 'TextEncoder';
  }
}

internal.bytesOf = bytesOf;
internal.textOfUnits = textOfUnits;
internal.utf8 = {encode: encodeUtf8, decode: decodeUtf8, length: utf8Length};
define('TextEncoder', TextEncoder);
define('TextDecoder', TextDecoder);
