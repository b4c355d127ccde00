"""The web's globals that V8 lacks: as Node has them, and some of it said outright."""

# ruff: noqa: E501 - the tables

from __future__ import annotations

import base64
import json
import random
from typing import Any, Final
from urllib.parse import urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from .node import differences, needs_node, run_in_v8

MODULES: Final = ("encoding", "base64", "events", "urlparams", "url", "clone", "buffer")


def lines(text: str) -> list[str]:
    return [line for line in text.strip().splitlines() if line and not line.startswith("#")]


def show(value: Any) -> str:
    """A JavaScript literal."""
    return "undefined" if value is None else json.dumps(value)


BYTES: Final = """
new TextEncoder().encode('')
[...new TextEncoder().encode('aé€😀\\u0000')]
[...new TextEncoder().encode('\\ud800a\\udc00')]
[...new TextEncoder().encode('\\ud83d')]
[...new TextEncoder().encode()]
[...new TextEncoder().encode(12)]
[...new TextEncoder().encode('x'.repeat(20000) + '€')].length
new TextEncoder().encode(Symbol())
(b => [new TextEncoder().encodeInto('a€😀', b), [...b]])(new Uint8Array(5))
(b => [new TextEncoder().encodeInto('a€😀', b), [...b]])(new Uint8Array(8))
(b => [new TextEncoder().encodeInto('\\ud800', b), [...b]])(new Uint8Array(3))
new TextEncoder().encoding
new TextDecoder().decode()
new TextDecoder().encoding
new TextDecoder(' UTF8\\n').encoding
new TextDecoder('utf-16').encoding
new TextDecoder('latin1').encoding
new TextDecoder('nope')
new TextDecoder('')
new TextDecoder().decode('text')
new TextDecoder().decode(null)
new TextDecoder().decode(Uint8Array.of(0xef, 0xbb, 0xbf, 97))
new TextDecoder().decode(Uint8Array.of(0xef, 0xbb, 0xbf, 0xef, 0xbb, 0xbf))
new TextDecoder('utf-8', {ignoreBOM: true}).decode(Uint8Array.of(0xef, 0xbb, 0xbf, 97))
new TextDecoder().decode(Uint8Array.of(0xff, 97, 0xc3, 0xe2, 0x82, 0xac, 0xf0, 0x9f))
new TextDecoder().decode(Uint8Array.of(0xed, 0xa0, 0x80, 0xc0, 0x80, 0xf4, 0x90, 0x80, 0x80, 0xe0, 0x80, 0x80))
new TextDecoder('utf-8', {fatal: true}).decode(Uint8Array.of(97, 0xc3))
new TextDecoder('utf-8', {fatal: true}).decode(Uint8Array.of(0xff))
new TextDecoder('utf-8', {fatal: true}).decode(Uint8Array.of(0xc3, 0xa9))
(d => [d.decode(Uint8Array.of(0xe2, 0x82), {stream: true}), d.decode(Uint8Array.of(0xac, 0xf0), {stream: true}), d.decode()])(new TextDecoder())
(d => [d.decode(Uint8Array.of(0xef), {stream: true}), d.decode(Uint8Array.of(0xbb, 0xbf, 97), {stream: true}), d.decode()])(new TextDecoder())
(d => [d.decode(Uint8Array.of(97), {stream: true}), d.decode(Uint8Array.of(0xef, 0xbb, 0xbf)), d.decode(Uint8Array.of(0xef, 0xbb, 0xbf, 98))])(new TextDecoder())
new TextDecoder().decode(new Uint8Array(50000).fill(97)).length
new TextDecoder().decode(Uint8Array.of(97, 98, 99).buffer)
new TextDecoder().decode(new DataView(Uint8Array.of(97, 98, 99).buffer, 1, 1))
new TextDecoder().decode(Uint16Array.of(0x6261))
new TextDecoder('utf-16le').decode(Uint8Array.of(97, 0, 0x3d, 0xd8, 0, 0xde))
new TextDecoder('utf-16le').decode(Uint8Array.of(0xff, 0xfe, 97, 0, 0x3d, 0xd8))
new TextDecoder('utf-16le').decode(Uint8Array.of(0, 0xde, 97, 0, 1))
(d => [d.decode(Uint8Array.of(97), {stream: true}), d.decode(Uint8Array.of(0, 0x3d, 0xd8), {stream: true}), d.decode(Uint8Array.of(0, 0xde))])(new TextDecoder('utf-16le'))
new TextDecoder('utf-16be').decode(Uint8Array.of(0, 97))
new TextDecoder('utf-16le', {fatal: true}).decode(Uint8Array.of(0, 0xde))
new TextDecoder('latin1').decode(Uint8Array.of(97, 0xe9, 0xff))
Object.prototype.toString.call(new TextEncoder()) + Object.prototype.toString.call(new TextDecoder())
new TextDecoder('utf-8', {fatal: 1}).fatal
# base64
btoa('')
btoa('a\\xff\\x00')
btoa('€')
btoa(12)
btoa()
btoa(null)
atob('YQ==')
atob('YQ')
atob(' Y Q = = \\n')
atob('YR==')
atob('YQ=')
atob('YQ===')
atob('Y')
atob('=')
atob('')
atob('YWI=')
atob('YWJj')
atob('YWJj=')
atob('a-_b')
atob('/+8=')
atob('YQ\\u00a0==')
atob(null)
atob()
(() => { try { atob('*') } catch (e) { return [e.name, e.code, e instanceof DOMException, e instanceof Error] } })()
(() => { try { btoa('€') } catch (e) { return [e.name, e.code, String(e).startsWith('InvalidCharacterError: ')] } })()
"""

EVENTS: Final = """
new DOMException().name
(e => [e.name, e.message, e.code, String(e), Object.keys(e), e.stack.split('\\n')[0]])(new DOMException('m', 'AbortError'))
(e => [e.name, e.code])(new DOMException('m', 'Mine'))
(e => [e.name, e.cause])(new DOMException('m', {name: 'TimeoutError', cause: 1}))
[DOMException.ABORT_ERR, DOMException.INVALID_CHARACTER_ERR, DOMException.DATA_CLONE_ERR, DOMException.URL_MISMATCH_ERR, DOMException.INUSE_ATTRIBUTE_ERR]
new DOMException() instanceof Error
new Event()
(e => [e.type, e.bubbles, e.cancelable, e.composed, e.defaultPrevented, e.target, e.currentTarget, e.eventPhase, e.composedPath()])(new Event('x'))
(e => [e.bubbles, e.cancelable])(new Event('x', {bubbles: true, cancelable: 1}))
(e => (e.preventDefault(), e.defaultPrevented))(new Event('x', {cancelable: true}))
(e => (e.preventDefault(), e.defaultPrevented))(new Event('x'))
(e => [e.detail, e instanceof Event])(new CustomEvent('x', {detail: 5}))
new CustomEvent('x').detail
(t => { const log = []; t.addEventListener('x', e => log.push(e.type, e.target === t, e.currentTarget === t, e.eventPhase)); const e = new Event('x'); return [t.dispatchEvent(e), log, e.currentTarget, e.target === t] })(new EventTarget())
(t => { const log = []; const f = () => log.push(1); t.addEventListener('x', f); t.addEventListener('x', f); t.dispatchEvent(new Event('x')); t.removeEventListener('x', f); t.dispatchEvent(new Event('x')); return log })(new EventTarget())
(t => { const log = []; t.addEventListener('x', () => log.push(1), {once: true}); t.dispatchEvent(new Event('x')); t.dispatchEvent(new Event('x')); return log })(new EventTarget())
(t => { const log = []; t.addEventListener('x', {handleEvent(e) { log.push(this !== undefined, e.type) }}); t.dispatchEvent(new Event('x')); return log })(new EventTarget())
(t => { const log = []; t.addEventListener('x', e => { log.push(1); e.stopImmediatePropagation() }); t.addEventListener('x', () => log.push(2)); t.dispatchEvent(new Event('x')); return log })(new EventTarget())
(t => { const log = []; t.addEventListener('x', () => t.removeEventListener('x', g)); const g = () => log.push(2); t.addEventListener('x', g); t.dispatchEvent(new Event('x')); return log })(new EventTarget())
(t => { t.addEventListener('x', e => e.preventDefault()); return [t.dispatchEvent(new Event('x', {cancelable: true})), t.dispatchEvent(new Event('x'))] })(new EventTarget())
(t => { const log = []; const c = new AbortController(); t.addEventListener('x', () => log.push(1), {signal: c.signal}); c.abort(); t.dispatchEvent(new Event('x')); return log })(new EventTarget())
(t => { t.addEventListener('x', null); return t.dispatchEvent(new Event('x')) })(new EventTarget())
new EventTarget().dispatchEvent({type: 'x'})
new EventTarget().addEventListener('x')
(t => { let caught; t.addEventListener('x', e => { try { t.dispatchEvent(e) } catch (error) { caught = error.name === 'InvalidStateError' || error.code === 'ERR_EVENT_RECURSION' } }); t.dispatchEvent(new Event('x')); return caught })(new EventTarget())
(class extends EventTarget {}).name === '' && new (class extends EventTarget {})().dispatchEvent(new Event('x'))
new AbortSignal()
(c => [c.signal.aborted, c.signal.reason, c.signal === c.signal])(new AbortController())
(c => { c.abort(); return [c.signal.aborted, c.signal.reason.name, c.signal.reason.message, c.signal.reason.code] })(new AbortController())
(c => { c.abort('why'); c.abort('late'); return c.signal.reason })(new AbortController())
(c => { const log = []; c.signal.addEventListener('abort', e => log.push(e.type)); c.signal.onabort = () => log.push('on'); c.abort(); c.abort(); return log })(new AbortController())
(c => { const log = []; c.signal.onabort = () => log.push(1); c.signal.onabort = () => log.push(2); c.abort(); return log })(new AbortController())
(c => { c.abort(new TypeError('x')); c.signal.throwIfAborted() })(new AbortController())
new AbortController().signal.throwIfAborted()
AbortSignal.abort().reason.name
AbortSignal.abort(0).reason
AbortSignal.timeout(100000).aborted
AbortSignal.timeout(-1)
AbortSignal.any([]).aborted
AbortSignal.any([AbortSignal.abort(1), AbortSignal.abort(2)]).reason
(c => { const s = AbortSignal.any([new AbortController().signal, c.signal]); const log = []; s.addEventListener('abort', () => log.push(s.reason)); c.abort(3); return [s.aborted, log] })(new AbortController())
(c => { const s = AbortSignal.any([AbortSignal.any([c.signal])]); c.abort(3); return [s.aborted, s.reason] })(new AbortController())
AbortSignal.any([1])
queueMicrotask()
queueMicrotask(5)
(async () => { const log = []; queueMicrotask(() => log.push(2)); log.push(1); await null; await null; return log })()
Object.prototype.toString.call(new AbortController().signal)
"""

CLONE: Final = """
structuredClone()
structuredClone(undefined)
structuredClone(null)
structuredClone('a')
structuredClone(5n) === 5n
Object.is(structuredClone(-0), -0)
structuredClone({a: {b: [1, , 3]}, [Symbol('s')]: 1})
1 in structuredClone([1, , 3])
structuredClone(Object.assign([1], {x: 2})).x
(o => (o.self = o, (c => c.self === c && c !== o)(structuredClone(o))))({})
(o => (c => c[0] === c[1])(structuredClone([o, o])))({})
(c => [c instanceof Map, [...c]])(structuredClone(new Map([[{a: 1}, new Set([1])]])))
(m => (m.set(m, m), (c => c.get(c) === c)(structuredClone(m))))(new Map())
(c => [c instanceof Set, [...c]])(structuredClone(new Set([1, 'a'])))
(c => [c instanceof Date, +c])(structuredClone(new Date(5)))
Number.isNaN(+structuredClone(new Date(NaN)))
(c => [c instanceof RegExp, String(c), c.lastIndex])(structuredClone(Object.assign(/a+/gi, {lastIndex: 3})))
(c => [c instanceof ArrayBuffer, c.byteLength, [...new Uint8Array(c)]])(structuredClone(Uint8Array.of(1, 2).buffer))
(c => [c.constructor.name, [...c], c.byteOffset, c.buffer.byteLength])(structuredClone(new Uint8Array(Uint8Array.of(1, 2, 3).buffer, 1, 1)))
(c => [c.constructor.name, c.byteLength, c.getUint8(0)])(structuredClone(new DataView(Uint8Array.of(1, 2, 3).buffer, 1)))
(b => (c => c[0].buffer === c[1].buffer)(structuredClone([new Uint8Array(b), new Int8Array(b)])))(new ArrayBuffer(4))
[...structuredClone(BigInt64Array.of(5n))].map(String)
[...structuredClone(Float64Array.of(1.5))]
structuredClone(Buffer.from('a')).constructor.name
(e => [e instanceof RangeError, e.name, e.message, typeof e.stack])(structuredClone(new RangeError('m')))
(e => [e instanceof Error, e.name, e.message])(structuredClone(Object.assign(new Error('m'), {name: 'Mine', extra: 1})))
structuredClone(Object.assign(new Error('m'), {extra: 1})).extra
structuredClone(new Error('m', {cause: {a: 1}})).cause
Object.keys(structuredClone(new Error('m')))
(class A { x = 1; get y() { return 2 } }, (c => [c.constructor === Object, c])(structuredClone(new (class A { x = 1; get y() { return 2 } })())))
structuredClone({get a() { return 5 }})
structuredClone(Object.create({inherited: 1}))
structuredClone(Object.create(null))
typeof structuredClone(Object(1n)) + typeof structuredClone(Object('a')) + structuredClone(Object(false))
structuredClone(() => 1)
structuredClone({f() {}})
structuredClone(Symbol())
structuredClone(Object(Symbol()))
structuredClone([Symbol.iterator])
structuredClone(Promise.resolve())
structuredClone(new WeakMap())
structuredClone(new WeakSet())
structuredClone(new WeakRef({}))
(() => { try { structuredClone(() => 1) } catch (e) { return [e.name, e.code, e instanceof DOMException] } })()
structuredClone(Object.defineProperty({}, 'hidden', {value: 1}))
Object.getOwnPropertyNames(structuredClone(JSON.parse('{"__proto__": 1, "b": 2}')))
(b => [structuredClone(b, {transfer: [b]}).byteLength, b.byteLength])(new ArrayBuffer(3))
structuredClone(1, {transfer: [1]})
structuredClone({a: NaN, b: Infinity, c: undefined})
'c' in structuredClone({c: undefined})
"""

ENCODINGS: Final = (
    "utf8",
    "utf-8",
    "base64",
    "base64url",
    "hex",
    "latin1",
    "binary",
    "ascii",
    "utf16le",
    "UCS2",
    "nope",
)
TEXTS: Final = (
    "",
    "a",
    "ab",
    "aé€😀",
    "YQ==",
    "YQ",
    "Y-_8",
    "Y Q\n=*x",
    "ab=cd",
    "6162",
    "616",
    "6x61",
    "\ud800",
    "ÿĀ",
)

BUFFER: Final = """
Buffer.from([1, 256, -1, 1.9, '3', NaN])
Buffer.from({type: 'Buffer', data: [1, 2]})
Buffer.from({length: 2, 0: 5})
Buffer.from(new String('ab')).toString()
Buffer.from(Uint16Array.of(1, 300))
Buffer.from(Uint8Array.of(1, 2).buffer, 1)
Buffer.from(Uint8Array.of(1, 2, 3).buffer, 1, 1)
Buffer.from(Uint8Array.of(1, 2, 3).buffer, 4)
Buffer.from(Uint8Array.of(1, 2, 3).buffer, 1, 5)
(b => { const a = Buffer.from(b); b[0] = 9; return a })(Uint8Array.of(1))
(b => { const a = Buffer.from(b); new Uint8Array(b)[0] = 9; return a })(new ArrayBuffer(1))
Buffer.from(5)
Buffer.from(null)
Buffer.from()
Buffer.from({})
Buffer.alloc(3)
Buffer.alloc(5, 'ab')
Buffer.alloc(3, 1)
Buffer.alloc(3, '6162', 'hex')
Buffer.alloc(-1)
Buffer.alloc('1')
Buffer.allocUnsafe(2).length
Buffer.of(1, 2)
Buffer.concat([])
Buffer.concat([Buffer.from('a'), Uint8Array.of(98)])
Buffer.concat([Buffer.from('abc')], 2)
Buffer.concat([Buffer.from('abc'), Buffer.from('d')], 6)
Buffer.concat('a')
Buffer.concat(['a'])
Buffer.byteLength('é€')
Buffer.byteLength('YQ==', 'base64')
Buffer.byteLength('abc', 'hex')
Buffer.byteLength('abc', 'utf16le')
Buffer.byteLength('abc', 'nope')
Buffer.byteLength(new ArrayBuffer(3))
Buffer.byteLength(5)
[Buffer.isBuffer(Buffer.alloc(1)), Buffer.isBuffer(new Uint8Array(1)), Buffer.isBuffer('a')]
['utf8', 'UTF-8', 'hex', 'binary', 'nope', 5, undefined].map(e => Buffer.isEncoding(e))
Buffer.compare(Buffer.from('a'), Buffer.from('b'))
Buffer.compare(Buffer.from('ab'), Buffer.from('a'))
Buffer.compare(Buffer.from('a'), 'a')
[Buffer.from('abc').compare(Buffer.from('abc')), Buffer.from('abc').compare(Buffer.from('xbc'), 1, 3, 1, 3)]
Buffer.from('abcdef').toString('utf8', 1, 3)
Buffer.from('abcdef').toString('utf8', -1, 30)
Buffer.from('abcdef').toString(undefined, 4, 2)
Buffer.from('abcdef').toString('nope')
String(Buffer.from('é'))
JSON.stringify({b: Buffer.from('a')})
Buffer.from('a').equals(Uint8Array.of(97))
Buffer.from('a').equals(Buffer.from('ab'))
Buffer.from('a').equals('a')
(b => { b.slice(1)[0] = 120; return b.toString() })(Buffer.from('abc'))
(b => { b.subarray(1, 2)[0] = 120; return [b.toString(), Buffer.isBuffer(b.subarray(0))] })(Buffer.from('abc'))
Buffer.from('abc').slice(-2, -1).toString()
Buffer.isBuffer(Buffer.from('abc').map(x => x + 1))
(b => [b.write('é€'), b])(Buffer.alloc(4))
(b => [b.write('ab', 3), b])(Buffer.alloc(4))
(b => [b.write('6162', 1, 'hex'), b])(Buffer.alloc(4))
(b => [b.write('abcd', 1, 2, 'latin1'), b])(Buffer.alloc(4))
(b => [b.write('abcd', 'utf16le'), b])(Buffer.alloc(5))
Buffer.alloc(4).write('a', 5)
Buffer.alloc(4).write(5)
Buffer.from([1, 2, 3, 4, 5, 6, 7, 8]).readUInt16BE(1)
Buffer.from([1, 2, 3, 4, 5, 6, 7, 8]).readUInt16LE()
Buffer.from([0xff, 0xfe, 0xfd, 0xfc]).readInt32BE(0)
Buffer.from([0xff, 0xfe, 0xfd, 0xfc]).readUint32LE(0)
Buffer.from([0xff]).readInt8()
Buffer.from([1, 2, 3, 4, 5, 6, 7, 8]).readDoubleBE()
Buffer.from([1, 2, 3, 4, 5, 6, 7, 8]).readFloatLE(2)
String(Buffer.from([0xff, 2, 3, 4, 5, 6, 7, 8]).readBigInt64BE())
String(Buffer.from([0xff, 2, 3, 4, 5, 6, 7, 8]).readBigUInt64LE())
Buffer.from([1]).readUInt16BE()
Buffer.from([1]).readUInt8(1)
Buffer.from([1]).readUInt8(-1)
Buffer.from([1]).readUInt8(0.5)
Buffer.from([1]).readUInt8('0')
(b => [b.writeUInt16BE(258, 1), b.writeInt8(-1), b])(Buffer.alloc(4))
(b => [b.writeDoubleLE(1.5), b])(Buffer.alloc(8))
(b => [b.writeBigInt64BE(-2n), b])(Buffer.alloc(8))
(b => [b.writeUInt32LE(4294967295), b])(Buffer.alloc(4))
Buffer.alloc(4).writeUInt8(256)
Buffer.alloc(4).writeInt16LE(40000)
Buffer.alloc(4).writeUInt8(1, 4)
Buffer.from('abcabc').indexOf('c')
Buffer.from('abcabc').indexOf('c', 3)
Buffer.from('abcabc').indexOf('c', -1)
Buffer.from('abcabc').indexOf('bc', -100)
Buffer.from('abcabc').indexOf(98)
Buffer.from('abcabc').indexOf(Buffer.from('ca'))
Buffer.from('abcabc').indexOf('')
Buffer.from('abcabc').indexOf('', 10)
Buffer.from('abcabc').indexOf('6263', 0, 'hex')
Buffer.from('abcabc').indexOf('6263', 'hex')
Buffer.from('abcabc').indexOf('x')
Buffer.from('abcabc').indexOf({})
Buffer.from('abcabc').lastIndexOf('abc')
Buffer.from('abcabc').lastIndexOf('abc', 2)
Buffer.from('abcabc').lastIndexOf('abc', -4)
Buffer.from('abcabc').includes('cab')
Buffer.from('abcabc').includes('x')
Buffer.from('abcdef').fill('xy').toString()
Buffer.from('abcdef').fill('xy', 1, 4).toString()
Buffer.from('abcdef').fill(0x161).toString()
Buffer.from('abcdef').fill('').toString('hex')
Buffer.from('abcdef').fill('zz', 'hex')
Buffer.from('abcdef').fill(1, 7)
(b => [Buffer.from('abc').copy(b), b.toString('latin1')])(Buffer.alloc(5, '.'))
(b => [Buffer.from('abc').copy(b, 3), b.toString('latin1')])(Buffer.alloc(5, '.'))
(b => [Buffer.from('abc').copy(b, 1, 1, 2), b.toString('latin1')])(Buffer.alloc(5, '.'))
(b => [b.copy(b, 1), b.toString('latin1')])(Buffer.from('abcde'))
Buffer.from('abc').copy(Buffer.alloc(1), 0, 4)
Buffer.from('abc').copy('x')
Buffer.from('abc') instanceof Uint8Array
[...Buffer.from('ab').entries()]
Buffer.from('ab').length
Object.keys(Buffer.from('ab'))
Buffer.from(Buffer.from('é').toString('base64'), 'base64').toString()
"""

INPUTS: Final = [
    "http://example.com",
    "http://EXAMPLE.com:80/a/../b/./c?q#f",
    "https://example.com:443",
    "https://example.com:8443/",
    "https://user:pass@example.com:99/p",
    "https://u%40:p:a@ss@host/",
    "https://@host/",
    "https://:@host/",
    "https://user@/",
    "https://:80/",
    "http://",
    "http:///a",
    "http:a",
    "http:/a",
    "http:\\\\a\\b?c\\d#e\\f",
    "//other/x",
    "\\\\other\\x",
    "/abs?x",
    "rel/../../up",
    "../",
    ".",
    "..",
    "./",
    "%2e%2E/x",
    "a/%2e",
    "?q=1",
    "#frag",
    "#",
    "?",
    " http://a b/",
    "  http://trim/  ",
    "ht\ttp://\ra/b",
    "http://a:65535",
    "http://a:65536",
    "http://a:",
    "http://a:b",
    "http://a:0",
    "http://a:00080",
    "http://1.2.3.4",
    "http://1.2.3",
    "http://256",
    "http://0x7f.1",
    "http://0300.1",
    "http://1.2.3.4.5",
    "http://1.2.3.256",
    "http://09.1",
    "http://a.1",
    "http://1.",
    "http://4294967296",
    "http://0x",
    "http://[::1]",
    "http://[1:0:0:2::3]",
    "http://[1:0:0:2:0:0:0:3]",
    "http://[::ffff:1.2.3.4]",
    "http://[1:2:3:4:5:6:7:8]:80/",
    "http://[::1",
    "http://[::1]x",
    "http://[1:2:3]",
    "http://[1::2::3]",
    "http://[12345::]",
    "http://[::1.2.3]",
    "http://[::1.2.3.04]",
    "http://[0:1:0:1:0:1:0:1]",
    "http://[1:2:3:4:5:6:7::]",
    "http://[ABCD::]",
    "http://bücher.de/ü?ü#ü",
    "http://BÜCHER.de",
    "http://日本語.jp",
    "http://faß.de",
    "http://xn--bcher-kva.de",
    "http://ex%41mple.com",
    "http://a%00b",
    "http://a%20b",
    "http://a<b",
    "http://a|b",
    "http://a_b.c",
    "http://a.b.",
    "http://..",
    "http://ｅｘ．com",
    "http://a\xadb.com",
    "http://a。b",
    "http://😀.com",
    "http://a^b",
    "http://%zz",
    "http://a/%zz%41 \"<>`{}|'",
    "http://a/?%zz%41 \"<>`{}|^'",
    "http://a/#%zz%41 \"<>`{}|^'",
    "http://a?�",
    "http://a/[]\\x",
    "http://a/;,=@:&+$!*()~",
    "http://u|^[]{};=:p/x@a",
    "file:///a/b",
    "file:///C:/a/../..",
    "file:///C|/a",
    "file:c:\\foo",
    "file:C|/x",
    "file://host/a",
    "file://localhost/a",
    "file://C:/a",
    "file:a",
    "file:/a",
    "file:",
    "file:?q",
    "file:#f",
    "file:..",
    "file://1.2.3.4:80/",
    "file:///./../C:/",
    "/C:/x",
    "C|/y",
    "//server/file",
    "mailto:a@b.c",
    "mailto:x y?z w#f g",
    "javascript:alert(1) ",
    "data:text/plain,a b",
    "foo://host/p",
    "foo://HOST:80/p?q'#f",
    "foo://ho st",
    "foo://a%41",
    "foo://ü/",
    "foo:///p",
    "foo://",
    "foo:/a/../b",
    "foo:/..//p",
    "foo:/.//p",
    "foo:a/../b",
    "foo:",
    "foo:?q",
    "foo:#f",
    "foo://u:p@h/",
    "foo://:80",
    "foo://u@",
    "foo://[::1]/",
    "foo://a^b",
    "web+demo:/.//not-a-host/",
    "1http://a",
    ":a",
    "-:a",
    "http//a",
    "blob:https://a.b:81/x",
    "blob:foo:x",
    "blob:ftp://a/",
    "ws://a:80/",
    "wss://a:443",
    "ftp://a:21/x",
    "https:b",
    "",
]

BASES: Final = (
    None, "http://b.c/d/e?f#g", "https://u:p@b.c:1/d/", "file:///C:/d/e", "file://h/d", "foo://h/a/b?q", "foo:/a/b", "mailto:x", "bad"
)  # fmt: skip

SETTER_URLS: Final = (
    "http://u:p@a.b:81/c/d?e=f#g", "https://a/", "file:///C:/x", "file://h/x", "foo://h:80/p", "foo:/p", "mailto:x", "foo:///p"
)  # fmt: skip

NODE_SETS_NO_HOST: Final = ("foo:/p", "foo:///p")
"""Here Node 20 forgets the port or the host."""

SETTERS: Final[dict[str, tuple[str, ...]]] = {
    "href": ("http://n/?x=1", "bad", ""),
    "protocol": ("https", "https:", "ftp:rest", "foo", "file", "1a", "", "HTTPS", "ws", "b ar"),
    "username": ("", "me", "m:e@/é"),
    "password": ("", "secret", "a:b@c é"),
    "host": (
        "x", "x:82", "x:", "x:80", "x:y", "x:99999", "x:8a", "", "x/y", "x?y", "x#y", "x\\y", "a b", "[::1]", "[::1]:5", "[",
        "localhost", "1.2", "u@x",
    ),
    "hostname": ("x", "x:82", "", "x/y", "[::1]", "[::1", "EXAMPLE", "é", "a b", ":"),
    "port": ("", "82", "80", "443", "8a", "65536", "-1", " 9", "8\t2", "00", "80/x"),
    "pathname": ("", "/", "x", "/a/../b", "a?b#c", "\\x\\y", "//x", "/C|/y", "é x", "%2e%2e/x"),
    "search": ("", "?", "x=1", "?x='<#>", "?a?b", "é \t"),
    "hash": ("", "#", "x", "#x y`", "##", "é"),
}  # fmt: skip

PARTS: Final = (
    "[u.href, u.origin, u.protocol, u.username, u.password, u.host, u.hostname, u.port, u.pathname, u.search, u.hash]"
)

URL_API: Final = """
new URL()
new URL(undefined)
URL.canParse('a')
URL.canParse('a', 'http://b')
URL.canParse('http://a', 'bad')
URL.canParse()
(u => [String(u), JSON.stringify(u), Object.prototype.toString.call(u)])(new URL('http://a'))
new URL(new URL('b', 'http://a/')).href
new URL('b', new URL('http://a/')).href
(u => { u.searchParams.append('b', 'c d'); return [u.href, u.search, u.searchParams === u.searchParams] })(new URL('http://a/?x=%20'))
(u => { const p = u.searchParams; u.search = '?n=1'; return [p.get('n'), p.size] })(new URL('http://a/?x'))
(u => { const p = u.searchParams; u.href = 'http://b/?n=2'; return [p.get('n')] })(new URL('http://a/?x'))
(u => { u.searchParams.delete('x'); return u.href })(new URL('http://a/?x#f'))
(u => { u.searchParams.delete('nothing'); return u.href })(new URL('http://a/?x'))
(u => { u.searchParams.sort(); return u.href })(new URL('http://a/?b=1&a=2&b=0'))
(u => { u.searchParams.set('é', '~!*()\\''); return u.href })(new URL('http://a/'))
(u => { u.search = ''; return [u.href, u.searchParams.size] })(new URL('http://a/?b#c'))
(u => { u.port = 8080; u.hash = null; return u.href })(new URL('http://a/'))
(() => { try { new URL('x') } catch (e) { return [e.name, e.message, e.code, e.input] } })()
"""

PARAMS: Final = """
new URLSearchParams()
String(new URLSearchParams())
String(new URLSearchParams('?a=b&c'))
String(new URLSearchParams('??a'))
String(new URLSearchParams('a=b=c&=&&=x&y='))
[...new URLSearchParams('a=%zz%41+%2B&%F0%9F%98%80=%ff')]
String(new URLSearchParams({a: 1, b: [1, 2], c: null}))
String(new URLSearchParams([['a', 'b'], ['a', 'c']]))
String(new URLSearchParams(new Map([['x', 'y z']])))
String(new URLSearchParams(new URLSearchParams('q=1')))
new URLSearchParams([['a']])
new URLSearchParams([['a', 'b', 'c']])
new URLSearchParams(['ab'])
new URLSearchParams([5])
String(new URLSearchParams(null))
String(new URLSearchParams(undefined))
String(new URLSearchParams(5))
String(new URLSearchParams([]))
new URLSearchParams(Symbol())
(p => [p.get('a'), p.get('z'), p.getAll('a'), p.getAll('z'), p.has('a'), p.has('a', '2'), p.has('a', '9'), p.size])(new URLSearchParams('a=1&a=2&b=3'))
(p => (p.set('a', 9), String(p)))(new URLSearchParams('a=1&b=3&a=2'))
(p => (p.set('n', 9), String(p)))(new URLSearchParams('a=1'))
(p => (p.delete('a'), String(p)))(new URLSearchParams('a=1&b=3&a=2'))
(p => (p.delete('a', '2'), String(p)))(new URLSearchParams('a=1&b=3&a=2'))
(p => (p.sort(), String(p)))(new URLSearchParams('z=1&a=2&z=0&\\ufffd=1&😀=2'))
(p => { const log = []; p.forEach(function (v, k, all) { log.push(v, k, all === p, this.x) }, {x: 1}); return log })(new URLSearchParams('a=1&b=2'))
(p => [[...p.keys()], [...p.values()], [...p.entries()]])(new URLSearchParams('a=1&b=2'))
(p => { const seen = []; for (const [k] of p) { seen.push(k); p.delete(k) } return seen })(new URLSearchParams('a=1&b=2&c=3'))
new URLSearchParams().append('a')
new URLSearchParams().get()
new URLSearchParams().forEach(5)
String(new URLSearchParams([['a*-._~!()', "é'\\u0000\\n"]]))
String(new URLSearchParams([['\\ud800', 'x']]))
Object.prototype.toString.call(new URLSearchParams())
Object.fromEntries(new URLSearchParams('a=1&b=2'))
String(new URLSearchParams({toString() { return 'x' }, a: 1}).get('a'))
"""


@needs_node
@pytest.mark.parametrize(
    "table",
    [BYTES, EVENTS, CLONE, BUFFER, URL_API, PARAMS],
    ids=["bytes", "events", "clone", "buffer", "url", "params"],
)
def test_as_in_node(table: str) -> None:
    assert differences(lines(table), MODULES) == []


@needs_node
def test_buffer_texts_as_in_node() -> None:
    decoded = [f"Buffer.from({show(text)}, {show(encoding)})" for encoding in ENCODINGS for text in TEXTS]
    encoded = [
        f"Buffer.from({show('x' + text)}).toString({show(encoding)})" for encoding in ENCODINGS for text in TEXTS
    ]
    assert differences(decoded + encoded, MODULES) == []


@needs_node
def test_urls_as_in_node() -> None:
    expressions = [f"(u => {PARTS})(new URL({show(text)}, {show(base)}))" for base in BASES for text in INPUTS]
    assert differences(expressions, MODULES) == []


@needs_node
def test_url_setters_as_in_node() -> None:
    expressions = [
        f"(u => {{ u.{name} = {show(value)}; return {PARTS} }})(new URL({show(url)}))"
        for url in SETTER_URLS
        for name, values in SETTERS.items()
        for value in values
        if not (name.startswith("host") and url in NODE_SETS_NO_HOST)
    ]
    assert differences(expressions, MODULES) == []


SAID: Final = [
    # Where Node 20 is not what the standards say.
    ("new TextDecoder('latin1').decode(Uint8Array.of(0x80, 0x9f, 0x81, 0xa0))", "€Ÿ\x81\xa0"),
    ("new URL('http://a/^').href", "http://a/%5E"),
    ("new URL('../../../..', 'foo://h/a/b').href", "foo://h/"),
    ("URL.canParse('x#f', 'mailto:y')", False),
    ("new URL('#f', 'mailto:y').href", "mailto:y#f"),
    ("(u => { u.port = 'a8'; return u.href })(new URL('http://a:81/'))", "http://a:81/"),
    ("(u => { u.host = ':1'; return u.href })(new URL('foo://h:80/p'))", "foo://h:80/p"),
    ("(u => { u.host = 'x:82'; return u.href })(new URL('foo:/p'))", "foo://x:82/p"),
    ("(c => { c.signal.onabort = 5; return c.signal.onabort })(new AbortController())", None),
    (
        "(t => { const log = []; t.addEventListener('x', () => { log.push(1); t.addEventListener('x', () => log.push(2)) });"
        " t.dispatchEvent(new Event('x')); return log })(new EventTarget())",
        [1],
    ),
    ("URL.parse('b', 'http://a').href", "http://a/b"),
    ("URL.parse('b')", None),
    # What Node says too, for where it is not at hand.
    ("new TextEncoder().encode('é€😀').join()", "195,169,226,130,172,240,159,152,128"),
    ("new TextDecoder().decode(Uint8Array.of(0xef, 0xbb, 0xbf, 0xc3, 0xa9, 0xff))", "é\ufffd"),
    ("[btoa('a\\xff'), atob(' YQ')]", ["Yf8=", "a"]),
    ("new URL('../x?q=é#f', 'HTTP://ü@BÜcher.de:80/a/b/c').href", "http://%C3%BC@xn--bcher-kva.de/a/x?q=%C3%A9#f"),
    ("new URL('http://0x7f.1/').host", "127.0.0.1"),
    ("new URL('http://[1:0:0:2::3]/').host", "[1:0:0:2::3]"),
    ("new URL('file:///C|/a/../..').href", "file:///C:/"),
    ("(u => { u.searchParams.append('a', 'b c'); return u.href })(new URL('http://h/?x#f'))", "http://h/?x=&a=b+c#f"),
    ("URL.canParse('nothing')", False),
    ("structuredClone({d: new Date(0), m: [1]})", {"d": "1970-01-01T00:00:00.000Z", "m": [1]}),
    ("(o => (o.o = o, (c => c !== o && c.o === c)(structuredClone(o))))({})", True),
    ("Buffer.from('aé').toString('hex')", "61c3a9"),
    ("Buffer.from('YWI', 'base64').toString()", "ab"),
    ("Buffer.concat([Buffer.from('a'), Buffer.alloc(1, 'b')])", {"type": "Buffer", "data": [97, 98]}),
]


def test_said_outright() -> None:
    results = run_in_v8([expression for expression, _ in SAID], MODULES)
    for (expression, expected), result in zip(SAID, results, strict=True):
        assert not result.startswith("ERR"), (expression, result)
        assert json.loads(result) == expected, expression


@pytest.mark.parametrize(
    ("expression", "name"),
    [
        ("atob('*')", "InvalidCharacterError"),
        ("btoa('€')", "InvalidCharacterError"),
        ("new URL('x')", "TypeError"),
        ("structuredClone(() => 1)", "DataCloneError"),
        ("structuredClone(Symbol())", "DataCloneError"),
        ("new TextDecoder('utf-8', {fatal: true}).decode(Uint8Array.of(255))", "TypeError"),
        ("new TextDecoder('utf-7')", "RangeError"),
        ("AbortSignal.abort().throwIfAborted()", "AbortError"),
        ("Buffer.alloc(1).readUInt16BE()", "RangeError"),
    ],
)
def test_errors(expression: str, name: str) -> None:
    assert run_in_v8([expression], MODULES) == [f"ERR {name}"]


def test_base64_alone_has_errors_like_those_of_the_web() -> None:
    name = "(() => { try { atob('*') } catch (e) { return [e.name, e.code] } })()"
    assert run_in_v8([name], ("encoding", "base64")) == ['["InvalidCharacterError",5]']


def test_timeout_uses_the_timer_of_the_moment() -> None:
    code = """(() => {
      let due;
      const kept = globalThis.setTimeout;
      globalThis.setTimeout = (callback, delay) => { due = [callback, delay]; };
      const signal = AbortSignal.timeout(25);
      globalThis.setTimeout = kept;
      const before = signal.aborted;
      due[0]();
      return [before, due[1], signal.aborted, signal.reason.name, signal.reason.code];
    })()"""
    assert run_in_v8([code], MODULES) == ['[false,25,true,"TimeoutError",23]']


def test_errors_that_nobody_awaits_are_reported() -> None:
    code = """(async () => {
      const errors = [];
      internal.report = (error) => errors.push(error.message);
      queueMicrotask(() => { throw new Error('in a microtask'); });
      const target = new EventTarget();
      const heard = [];
      target.addEventListener('x', () => { throw new Error('in a listener'); });
      target.addEventListener('x', () => heard.push(1));
      target.dispatchEvent(new Event('x'));
      await null;
      await null;
      return [errors, heard];
    })()"""
    assert run_in_v8([code], MODULES) == ['[["in a listener","in a microtask"],[1]]']


def test_nothing_but_the_globals_is_left_behind() -> None:
    code = "Object.keys(globalThis).filter((name) => name !== 'internal')"
    assert run_in_v8([code], MODULES) == run_in_v8([code], ())


def literals(values: list[Any]) -> str:
    return f"JSON.parse({json.dumps(json.dumps(values))})"


@settings(max_examples=20)
@given(st.lists(st.binary(max_size=40), max_size=50))
def test_bytes_as_in_python(values: list[bytes]) -> None:
    given_bytes = literals([list(value) for value in values])
    bytes_of = f"{given_bytes}.map((bytes) => Uint8Array.from(bytes))"
    expected = [
        [value.decode("utf-8-sig", "replace") for value in values],
        [base64.b64encode(value).decode() for value in values],
        [base64.urlsafe_b64encode(value).decode().rstrip("=") for value in values],
        [value.hex() for value in values],
    ]
    results = run_in_v8(
        [
            f"{bytes_of}.map((bytes) => new TextDecoder().decode(bytes))",
            f"{bytes_of}.map((bytes) => btoa(String.fromCharCode(...bytes)))",
            f"{bytes_of}.map((bytes) => Buffer.from(bytes).toString('base64url'))",
            f"{bytes_of}.map((bytes) => Buffer.from(atob(btoa(String.fromCharCode(...bytes))), 'latin1').toString('hex'))",
        ],
        MODULES,
    )
    assert [json.loads(result) for result in results] == expected


@settings(max_examples=20)
@given(st.lists(st.lists(st.binary(max_size=6), max_size=6), max_size=30))
def test_a_stream_of_pieces_is_their_whole(streams: list[list[bytes]]) -> None:
    code = f"""{literals([[list(piece) for piece in pieces] for pieces in streams])}.map((pieces) => {{
      const decoder = new TextDecoder();
      return pieces.map((piece) => decoder.decode(Uint8Array.from(piece), {{stream: true}})).join('') + decoder.decode();
    }})"""
    expected = [b"".join(pieces).decode("utf-8-sig", "replace") for pieces in streams]
    assert json.loads(run_in_v8([code], MODULES)[0]) == expected


@settings(max_examples=20)
@given(st.lists(st.lists(st.tuples(st.text(max_size=8), st.text(max_size=8)), max_size=5), max_size=30))
def test_parameters_survive_their_text(lists: list[list[tuple[str, str]]]) -> None:
    code = f"{literals(lists)}.map((pairs) => [...new URLSearchParams(String(new URLSearchParams(pairs)))])"
    texts = f"{literals(lists)}.map((pairs) => String(new URLSearchParams(pairs)))"
    back, written = (json.loads(result) for result in run_in_v8([code, texts], MODULES))
    assert back == [[list(pair) for pair in pairs] for pairs in lists]
    assert written == [urlencode(pairs, safe="*").replace("~", "%7E") for pairs in lists]


@settings(max_examples=20)
@given(st.lists(st.text("abcäöüßøłπжя中文字かな", min_size=1, max_size=12), min_size=1, max_size=30))
def test_international_labels_as_in_python(labels: list[str]) -> None:
    code = f"{literals(labels)}.map((label) => new URL(`http://${{label}}/`).host)"
    expected = [label if label.isascii() else f"xn--{label.encode('punycode').decode()}" for label in labels]
    assert json.loads(run_in_v8([code], MODULES)[0]) == expected


URL_PIECES: Final = ["http:", "file:", "foo:", "//", "/", "\\", "..", ".", "a", "B", "C|", "?", "#", "@", ":", "80", "[::1]", "%41", "%2e", "é", "1", "0x", "x.y", " "]  # fmt: skip


def node_errs(text: str, base: str | None) -> bool:
    """Whether Node 20 may be wrong: more than a fragment for an opaque base, ".." above the root of unknown schemes."""
    return base == "mailto:x" or (".." in text.replace("%2e", ".") and "foo:" in f"{text}{base}")


@needs_node
def test_made_urls_as_in_node() -> None:
    dice = random.Random(1)  # many in one process: starting one for each example takes too long
    made = [("".join(dice.choices(URL_PIECES, k=dice.randrange(1, 9))), dice.choice(BASES)) for _ in range(2000)]
    cases = [(text, base) for text, base in made if not node_errs(text, base)]
    expressions = [f"(u => {PARTS})(new URL({show(text)}, {show(base)}))" for text, base in cases]
    assert differences(expressions, MODULES) == []
