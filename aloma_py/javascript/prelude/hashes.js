// internal.hashes = {md5, sha1, sha256, sha384, sha512}: each a function that begins a hash (RFC 1321, FIPS 180-4):
// {update(bytes), digest(), copy()} with blockSize and digestSize in bytes. update takes a Uint8Array any number of
// times; digest gives a new Uint8Array and ends the hash: nothing may be called on it afterwards.

const {floor, abs, sin} = Math;
const {freeze} = Object;
const {parseInt} = Number;
const Bytes = Uint8Array;
const Words = Int32Array;
const WORD = 0x1_0000_0000;

// The 32-bit words of hexadecimal text, the higher half of each 64-bit number first.
const words = (text) => Words.from(text.match(/[0-9a-f]{8}/g), (digits) => parseInt(digits, 16));

// The fractions of the cube roots of the first 80 primes; SHA-256 takes the higher halves of the first 64.
const ROUNDS = words(`
    428a2f98d728ae22 7137449123ef65cd b5c0fbcfec4d3b2f e9b5dba58189dbbc 3956c25bf348b538 59f111f1b605d019
    923f82a4af194f9b ab1c5ed5da6d8118 d807aa98a3030242 12835b0145706fbe 243185be4ee4b28c 550c7dc3d5ffb4e2
    72be5d74f27b896f 80deb1fe3b1696b1 9bdc06a725c71235 c19bf174cf692694 e49b69c19ef14ad2 efbe4786384f25e3
    0fc19dc68b8cd5b5 240ca1cc77ac9c65 2de92c6f592b0275 4a7484aa6ea6e483 5cb0a9dcbd41fbd4 76f988da831153b5
    983e5152ee66dfab a831c66d2db43210 b00327c898fb213f bf597fc7beef0ee4 c6e00bf33da88fc2 d5a79147930aa725
    06ca6351e003826f 142929670a0e6e70 27b70a8546d22ffc 2e1b21385c26c926 4d2c6dfc5ac42aed 53380d139d95b3df
    650a73548baf63de 766a0abb3c77b2a8 81c2c92e47edaee6 92722c851482353b a2bfe8a14cf10364 a81a664bbc423001
    c24b8b70d0f89791 c76c51a30654be30 d192e819d6ef5218 d69906245565a910 f40e35855771202a 106aa07032bbd1b8
    19a4c116b8d2d0c8 1e376c085141ab53 2748774cdf8eeb99 34b0bcb5e19b48a8 391c0cb3c5c95a63 4ed8aa4ae3418acb
    5b9cca4f7763e373 682e6ff3d6b2b8a3 748f82ee5defb2fc 78a5636f43172f60 84c87814a1f0ab72 8cc702081a6439ec
    90befffa23631e28 a4506cebde82bde9 bef9a3f7b2c67915 c67178f2e372532b ca273eceea26619c d186b8c721c0c207
    eada7dd6cde0eb1e f57d4f7fee6ed178 06f067aa72176fba 0a637dc5a2c898a6 113f9804bef90dae 1b710b35131c471b
    28db77f523047d84 32caab7b40c72493 3c9ebe0a15c9bebc 431d67c49c100d4c 4cc5d4becb3e42b6 597f299cfc657e2a
    5fcb6fab3ad6faec 6c44198c4a475817
`);

// The fractions of the square roots of the first eight primes, and of the eight after them.
const ROOTS_512 = words(`
    6a09e667f3bcc908 bb67ae8584caa73b 3c6ef372fe94f82b a54ff53a5f1d36f1 510e527fade682d1 9b05688c2b3e6c1f
    1f83d9abfb41bd6b 5be0cd19137e2179
`);
const ROOTS_384 = words(`
    cbbb9d5dc1059ed8 629a292a367cd507 9159015a3070dd17 152fecd8f70e5939 67332667ffc00b31 8eb44a8768581511
    db0c2e0d64f98fa7 47b5481dbefa4fa4
`);

// --- what all of them share: blocks, padding, words to bytes -------------------------------------------------------

// `kind`: {blockSize, lengthSize, digestSize, little, start, compress(state, bytes, offset)}.
class Hash {
  #kind;
  #state;
  #block;
  #filled = 0;
  #total = 0;

  constructor(kind) {
    this.#kind = kind;
    this.#state = Words.from(kind.start);
    this.#block = new Bytes(kind.blockSize);
  }

  get blockSize() {
    return this.#kind.blockSize;
  }

  get digestSize() {
    return this.#kind.digestSize;
  }

  update(bytes) {
    const {blockSize, compress} = this.#kind;
    let offset = 0;
    this.#total += bytes.length;
    if (this.#filled > 0) {
      offset = blockSize - this.#filled;
      this.#block.set(bytes.subarray(0, offset), this.#filled);
      if (bytes.length < offset) {
        this.#filled += bytes.length;
        return this;
      }
      compress(this.#state, this.#block, 0);
    }
    for (; offset + blockSize <= bytes.length; offset += blockSize) compress(this.#state, bytes, offset);
    this.#block.set(bytes.subarray(offset));
    this.#filled = bytes.length - offset;
    return this;
  }

  digest() {
    const {blockSize, lengthSize, digestSize, little, compress} = this.#kind;
    const block = this.#block;
    block[this.#filled] = 0x80;
    block.fill(0, this.#filled + 1);
    if (this.#filled + 1 > blockSize - lengthSize) {
      compress(this.#state, block, 0);
      block.fill(0);
    }
    for (let index = 0, rest = this.#total * 8; index < 8; index++, rest = floor(rest / 256)) {
      block[little ? blockSize - 8 + index : blockSize - 1 - index] = rest % 256;
    }
    compress(this.#state, block, 0);
    const made = new Bytes(digestSize);
    for (let index = 0; index < digestSize; index++) {
      made[index] = this.#state[index >> 2] >>> 8 * (little ? index & 3 : 3 - (index & 3));
    }
    return made;
  }

  copy() {
    const made = new Hash(this.#kind);
    made.#state.set(this.#state);
    made.#block.set(this.#block);
    made.#filled = this.#filled;
    made.#total = this.#total;
    return made;
  }
}

const bigEndian = (bytes, at) => (bytes[at] << 24) | (bytes[at + 1] << 16) | (bytes[at + 2] << 8) | bytes[at + 3];
const littleEndian = (bytes, at) => bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24);

// --- MD5 -----------------------------------------------------------------------------------------------------------

const SINES = Words.from({length: 64}, (_, index) => floor(abs(sin(index + 1)) * WORD));
const TURNS = [7, 12, 17, 22, 5, 9, 14, 20, 4, 11, 16, 23, 6, 10, 15, 21];
const schedule32 = new Words(80);

const compressMd5 = (state, bytes, offset) => {
  const block = schedule32;
  for (let index = 0; index < 16; index++) block[index] = littleEndian(bytes, offset + 4 * index);
  let a = state[0], b = state[1], c = state[2], d = state[3];
  for (let index = 0; index < 64; index++) {
    const round = index >> 4;
    let mixed, place;
    if (round === 0) {
      mixed = (b & c) | (~b & d);
      place = index;
    } else if (round === 1) {
      mixed = (b & d) | (c & ~d);
      place = 5 * index + 1;
    } else if (round === 2) {
      mixed = b ^ c ^ d;
      place = 3 * index + 5;
    } else {
      mixed = c ^ (b | ~d);
      place = 7 * index;
    }
    const sum = (a + mixed + SINES[index] + block[place & 15]) | 0;
    const turn = TURNS[4 * round + (index & 3)];
    a = d;
    d = c;
    c = b;
    b = (b + ((sum << turn) | (sum >>> (32 - turn)))) | 0;
  }
  state[0] += a;
  state[1] += b;
  state[2] += c;
  state[3] += d;
};

// --- SHA-1 and SHA-256 ---------------------------------------------------------------------------------------------

const compressSha1 = (state, bytes, offset) => {
  const block = schedule32;
  for (let index = 0; index < 16; index++) block[index] = bigEndian(bytes, offset + 4 * index);
  for (let index = 16; index < 80; index++) {
    const mixed = block[index - 3] ^ block[index - 8] ^ block[index - 14] ^ block[index - 16];
    block[index] = (mixed << 1) | (mixed >>> 31);
  }
  let a = state[0], b = state[1], c = state[2], d = state[3], e = state[4];
  for (let index = 0; index < 80; index++) {
    let mixed;
    if (index < 20) mixed = ((b & c) | (~b & d)) + 0x5a827999;
    else if (index < 40) mixed = (b ^ c ^ d) + 0x6ed9eba1;
    else if (index < 60) mixed = ((b & c) | (b & d) | (c & d)) + 0x8f1bbcdc;
    else mixed = (b ^ c ^ d) + 0xca62c1d6;
    const sum = (((a << 5) | (a >>> 27)) + mixed + e + block[index]) | 0;
    e = d;
    d = c;
    c = (b << 30) | (b >>> 2);
    b = a;
    a = sum;
  }
  state[0] += a;
  state[1] += b;
  state[2] += c;
  state[3] += d;
  state[4] += e;
};

const ROUNDS_256 = ROUNDS.filter((_, index) => index % 2 === 0);

const compressSha256 = (state, bytes, offset) => {
  const block = schedule32;
  for (let index = 0; index < 16; index++) block[index] = bigEndian(bytes, offset + 4 * index);
  let a = state[0], b = state[1], c = state[2], d = state[3];
  let e = state[4], f = state[5], g = state[6], h = state[7];
  for (let index = 0; index < 64; index++) {
    if (index >= 16) {
      const near = block[(index - 2) & 15], far = block[(index - 15) & 15];
      const nearMixed = ((near >>> 17) | (near << 15)) ^ ((near >>> 19) | (near << 13)) ^ (near >>> 10);
      const farMixed = ((far >>> 7) | (far << 25)) ^ ((far >>> 18) | (far << 14)) ^ (far >>> 3);
      block[index & 15] += nearMixed + block[(index - 7) & 15] + farMixed;
    }
    const eMixed = ((e >>> 6) | (e << 26)) ^ ((e >>> 11) | (e << 21)) ^ ((e >>> 25) | (e << 7));
    const first = (h + eMixed + ((e & f) ^ (~e & g)) + ROUNDS_256[index] + block[index & 15]) | 0;
    const aMixed = ((a >>> 2) | (a << 30)) ^ ((a >>> 13) | (a << 19)) ^ ((a >>> 22) | (a << 10));
    const second = (aMixed + ((a & b) ^ (a & c) ^ (b & c))) | 0;
    h = g;
    g = f;
    f = e;
    e = (d + first) | 0;
    d = c;
    c = b;
    b = a;
    a = (first + second) | 0;
  }
  state[0] += a;
  state[1] += b;
  state[2] += c;
  state[3] += d;
  state[4] += e;
  state[5] += f;
  state[6] += g;
  state[7] += h;
};

// --- SHA-384 and SHA-512: each number is two words, the higher first -----------------------------------------------

const schedule64 = new Words(160);

// Sums of lower words are exact as doubles; what is above 32 bits is carried into the higher ones.
const fillSchedule = (block, bytes, offset) => {
  for (let index = 0; index < 32; index++) block[index] = bigEndian(bytes, offset + 4 * index);
  for (let index = 32; index < 160; index += 2) {
    const nh = block[index - 4], nl = block[index - 3], fh = block[index - 30], fl = block[index - 29];
    const nearHigh = ((nh >>> 19) | (nl << 13)) ^ ((nl >>> 29) | (nh << 3)) ^ (nh >>> 6);
    const nearLow = ((nl >>> 19) | (nh << 13)) ^ ((nh >>> 29) | (nl << 3)) ^ ((nl >>> 6) | (nh << 26));
    const farHigh = ((fh >>> 1) | (fl << 31)) ^ ((fh >>> 8) | (fl << 24)) ^ (fh >>> 7);
    const farLow = ((fl >>> 1) | (fh << 31)) ^ ((fl >>> 8) | (fh << 24)) ^ ((fl >>> 7) | (fh << 25));
    const low = (nearLow >>> 0) + (block[index - 13] >>> 0) + (farLow >>> 0) + (block[index - 31] >>> 0);
    block[index] = nearHigh + block[index - 14] + farHigh + block[index - 32] + floor(low / WORD);
    block[index + 1] = low;
  }
};

const compressSha512 = (state, bytes, offset) => {
  const block = schedule64;
  fillSchedule(block, bytes, offset);
  let ah = state[0], al = state[1], bh = state[2], bl = state[3], ch = state[4], cl = state[5];
  let dh = state[6], dl = state[7], eh = state[8], el = state[9], fh = state[10], fl = state[11];
  let gh = state[12], gl = state[13], hh = state[14], hl = state[15];
  for (let index = 0; index < 160; index += 2) {
    const eHigh = ((eh >>> 14) | (el << 18)) ^ ((eh >>> 18) | (el << 14)) ^ ((el >>> 9) | (eh << 23));
    const eLow = ((el >>> 14) | (eh << 18)) ^ ((el >>> 18) | (eh << 14)) ^ ((eh >>> 9) | (el << 23));
    const chosenLow = ((el & fl) ^ (~el & gl)) >>> 0;
    let low = (hl >>> 0) + (eLow >>> 0) + chosenLow + (ROUNDS[index + 1] >>> 0) + (block[index + 1] >>> 0);
    const carry = floor(low / WORD);
    const firstHigh = (hh + eHigh + ((eh & fh) ^ (~eh & gh)) + ROUNDS[index] + block[index] + carry) | 0;
    const firstLow = low >>> 0;
    const aHigh = ((ah >>> 28) | (al << 4)) ^ ((al >>> 2) | (ah << 30)) ^ ((al >>> 7) | (ah << 25));
    const aLow = ((al >>> 28) | (ah << 4)) ^ ((ah >>> 2) | (al << 30)) ^ ((ah >>> 7) | (al << 25));
    const majorityHigh = (ah & bh) ^ (ah & ch) ^ (bh & ch);
    const secondLow = (aLow >>> 0) + (((al & bl) ^ (al & cl) ^ (bl & cl)) >>> 0);
    hh = gh, hl = gl, gh = fh, gl = fl, fh = eh, fl = el;
    low = (dl >>> 0) + firstLow;
    eh = (dh + firstHigh + floor(low / WORD)) | 0, el = low | 0;
    dh = ch, dl = cl, ch = bh, cl = bl, bh = ah, bl = al;
    low = firstLow + secondLow;
    ah = (firstHigh + aHigh + majorityHigh + floor(low / WORD)) | 0, al = low | 0;
  }
  add(state, 0, ah, al);
  add(state, 2, bh, bl);
  add(state, 4, ch, cl);
  add(state, 6, dh, dl);
  add(state, 8, eh, el);
  add(state, 10, fh, fl);
  add(state, 12, gh, gl);
  add(state, 14, hh, hl);
};

const add = (state, at, high, low) => {
  const sum = (state[at + 1] >>> 0) + (low >>> 0);
  state[at] += high + floor(sum / WORD);
  state[at + 1] = sum;
};

// --- all together --------------------------------------------------------------------------------------------------

const short = {blockSize: 64, lengthSize: 8, little: false};
const long = {blockSize: 128, lengthSize: 16, little: false, compress: compressSha512};
const COMMON = words('67452301 efcdab89 98badcfe 10325476 c3d2e1f0');

const KINDS = {
  md5: {...short, digestSize: 16, little: true, start: COMMON.subarray(0, 4), compress: compressMd5},
  sha1: {...short, digestSize: 20, start: COMMON, compress: compressSha1},
  sha256: {
    ...short, digestSize: 32, start: ROOTS_512.filter((_, index) => index % 2 === 0), compress: compressSha256,
  },
  sha384: {...long, digestSize: 48, start: ROOTS_384},
  sha512: {...long, digestSize: 64, start: ROOTS_512},
};

internal.hashes = {__proto__: null};
for (const [name, kind] of Object.entries(KINDS)) internal.hashes[name] = () => new Hash(kind);
freeze(internal.hashes);
