// internal.random = {seed(hexText), bytes(n), block(key, counter, nonce)}: random bytes from ChaCha20 (RFC 8439).
// The host seeds it with 32 bytes of its own randomness, as 64 hexadecimal digits; without that, V8 has no source that
// is good enough for keys. Each request begins with a new key made by the old one, which is then overwritten: whoever
// sees the memory later cannot compute what was given before.

const {fromHex} = Uint8Array;
const {isSafeInteger} = Number;
const Bytes = Uint8Array;
const Words = Uint32Array;
const View = DataView;
const BLOCK = 64;
const KEY = 32;
const START = [0x61707865, 0x3320646e, 0x79622d32, 0x6b206574];  // "expand 32-byte k"
const NONCE = new Words(3);

const quarter = (x, a, b, c, d) => {
  x[a] += x[b];
  let mixed = x[d] ^ x[a];
  x[d] = (mixed << 16) | (mixed >>> 16);
  x[c] += x[d];
  mixed = x[b] ^ x[c];
  x[b] = (mixed << 12) | (mixed >>> 20);
  x[a] += x[b];
  mixed = x[d] ^ x[a];
  x[d] = (mixed << 8) | (mixed >>> 24);
  x[c] += x[d];
  mixed = x[b] ^ x[c];
  x[b] = (mixed << 7) | (mixed >>> 25);
};

// The 64 bytes of one block, written to `out` at `offset`; what does not fit is left out.
const writeBlock = (key, counter, nonce, out, offset) => {
  const start = new Words(16);
  start.set(START);
  start.set(key, 4);
  start[12] = counter;
  start.set(nonce, 13);
  const x = Words.from(start);
  for (let round = 0; round < 10; round++) {
    quarter(x, 0, 4, 8, 12);
    quarter(x, 1, 5, 9, 13);
    quarter(x, 2, 6, 10, 14);
    quarter(x, 3, 7, 11, 15);
    quarter(x, 0, 5, 10, 15);
    quarter(x, 1, 6, 11, 12);
    quarter(x, 2, 7, 8, 13);
    quarter(x, 3, 4, 9, 14);
  }
  const end = out.length < offset + BLOCK ? out.length : offset + BLOCK;
  for (let index = offset; index < end; index++) {
    const word = (index - offset) >> 2;
    out[index] = (x[word] + start[word]) >>> (8 * (index & 3));
  }
  start.fill(0);
  x.fill(0);
};

const wordsOf = (bytes) => {
  const view = new View(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Words.from({length: bytes.length / 4}, (_, index) => view.getUint32(4 * index, true));
};

const key = new Words(KEY / 4);
let seeded = false;

const seed = (text) => {
  if (typeof text !== 'string' || !/^[0-9a-fA-F]{64}$/.test(text)) {
    throw new Error('a seed is 32 bytes, written as 64 hexadecimal digits');
  }
  key.set(wordsOf(fromHex.call(Bytes, text)));
  seeded = true;
};

const bytes = (count) => {
  if (!seeded) throw new Error('there are no random numbers yet: the host has not seeded the generator');
  if (!isSafeInteger(count) || count < 0) throw new RangeError(`${count} is no number of bytes`);
  const stream = new Bytes(KEY + count);
  for (let offset = 0; offset < stream.length; offset += BLOCK) {
    writeBlock(key, offset / BLOCK, NONCE, stream, offset);
  }
  key.set(wordsOf(stream.subarray(0, KEY)));
  const made = stream.slice(KEY);
  stream.fill(0);
  return made;
};

// One block by itself; key, counter and nonce are words.
const block = (words, counter, nonce) => {
  const out = new Bytes(BLOCK);
  writeBlock(words, counter, nonce, out, 0);
  return out;
};

internal.random = Object.freeze({seed, bytes, block});
