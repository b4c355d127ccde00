// atob and btoa, and for the other modules:
// internal.base64 = {encode(bytes, alphabet?, omitPadding?), decode(text)}; text with anything but the alphabet, white
// space and right padding is refused with a SyntaxError. The alphabet is 'base64' or 'base64url'.

const {apply} = Reflect;
const {fromBase64} = Uint8Array;
const {toBase64} = Uint8Array.prototype;
const {textOfUnits} = internal;
const Bytes = Uint8Array;

const encode = (bytes, alphabet = 'base64', omitPadding = false) => apply(toBase64, bytes, [{alphabet, omitPadding}]);
const decode = (text) => apply(fromBase64, Bytes, [text]);

// DOMException belongs to the events, which come later.
const invalid = (message) => {
  const {DOMException} = internal;
  if (DOMException) return new DOMException(message, 'InvalidCharacterError');
  const error = new Error(message);
  error.name = 'InvalidCharacterError';
  error.code = 5;
  return error;
};

const atob = (...given) => {
  if (given.length === 0) throw new TypeError('The "data" argument must be specified');
  try {
    return textOfUnits(decode(`${given[0]}`));
  } catch (error) {
    if (error instanceof SyntaxError) throw invalid('The string to be decoded is not correctly encoded.');
    throw error;
  }
};

const btoa = (...given) => {
  if (given.length === 0) throw new TypeError('The "data" argument must be specified');
  const text = `${given[0]}`;
  const bytes = new Bytes(text.length);
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index);
    if (code > 0xff) throw invalid('Invalid character');
    bytes[index] = code;
  }
  return encode(bytes);
};

internal.base64 = {encode, decode};
define('atob', atob);
define('btoa', btoa);
