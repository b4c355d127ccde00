"""Hashes, HMAC and random bytes in V8, against Python's, the RFC's and Node's."""

from __future__ import annotations

import hashlib
import hmac
import json
import random
from collections.abc import Iterator
from typing import Any

import pytest
from py_mini_racer import JSEvalException, MiniRacer, init_mini_racer

from aloma_py.javascript.prelude import prelude_source

from .node import FLAGS, differences, needs_node, run_in_v8

MODULES = ("encoding", "base64", "events", "buffer", "hashes", "random", "crypto")
ALGORITHMS = ("md5", "sha1", "sha256", "sha384", "sha512")
BORDERS = (0, 1, 3, 55, 56, 57, 63, 64, 65, 111, 112, 113, 119, 120, 127, 128, 129, 183, 191, 192, 1000, 4097)
SEED = "internal.random.seed('07'.repeat(32)), "


@pytest.fixture(scope="module")
def engine() -> Iterator[MiniRacer]:
    init_mini_racer(flags=FLAGS, ignore_duplicate_init=True)
    with MiniRacer() as made:
        made.eval(f"globalThis.internal = {prelude_source(MODULES)}; 0")
        yield made


def value(engine: MiniRacer, expression: str) -> Any:
    return json.loads(str(engine.eval(f"JSON.stringify({expression})")))


def results(*expressions: str) -> list[str]:
    return run_in_v8([SEED + expression for expression in expressions], MODULES)


def content(length: int) -> bytes:
    return bytes((7 * index + (index >> 8)) & 255 for index in range(length))


CONTENT = "(length => Uint8Array.from({length}, (_, index) => (7 * index + (index >> 8)) & 255))"


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_hashes_are_those_of_python_at_all_borders_of_blocks(engine, algorithm):
    lengths = [*BORDERS, *range(105, 135)]
    found = value(engine, f"{lengths}.map(n => crypto.createHash('{algorithm}').update({CONTENT}(n)).digest('hex'))")
    assert found == [hashlib.new(algorithm, content(length)).hexdigest() for length in lengths]


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_it_does_not_matter_how_the_content_is_cut(engine, algorithm):
    choose = random.Random(algorithm)
    cuts = [[choose.choice((0, 1, 5, 63, 64, 65, 127, 128, 129, 300)) for _ in range(9)] for _ in range(25)]
    found = value(
        engine,
        f"""{cuts}.map(cuts => {{
          const all = {CONTENT}(cuts.reduce((a, b) => a + b, 0)), hash = internal.hashes.{algorithm}();
          let at = 0;
          for (const size of cuts) {{
            hash.copy().digest();
            hash.update(all.subarray(at, at += size));
          }}
          return hash.copy().digest().toHex() + hash.digest().toHex();
        }})""",
    )
    assert found == [2 * hashlib.new(algorithm, content(sum(sizes))).hexdigest() for sizes in cuts]


def test_a_megabyte(engine):
    found = value(
        engine, f"{list(ALGORITHMS)}.map(a => internal.hashes[a]().update({CONTENT}(1 << 20)).digest().toHex())"
    )
    assert found == [hashlib.new(algorithm, content(1 << 20)).hexdigest() for algorithm in ALGORITHMS]


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_hmac_is_that_of_python_for_short_and_long_keys(engine, algorithm):
    sizes = [0, 1, 20, 63, 64, 65, 127, 128, 129, 300]
    expression = f"crypto.createHmac('{algorithm}', {CONTENT}(n)).update({CONTENT}(2 * n)).digest('base64')"
    found = value(engine, f"{sizes}.map(n => Buffer.from({expression}, 'base64').toString('hex'))")
    assert found == [hmac.new(content(size), content(2 * size), algorithm).hexdigest() for size in sizes]


def test_the_block_of_the_rfc(engine):
    """RFC 8439, 2.3.2."""
    found = value(
        engine,
        """(() => {
          const key = new Uint32Array(Uint8Array.from({length: 32}, (_, index) => index).buffer);
          const nonce = new Uint32Array(Uint8Array.of(0, 0, 0, 9, 0, 0, 0, 0x4a, 0, 0, 0, 0).buffer);
          return internal.random.block(key, 1, nonce).toHex();
        })()""",
    )
    assert found == (
        "10f1e7e4d13b5915500fdd1fa32071c4c7d1f4c733c068030422aa9ac3d46c4e"
        "d2826446079faa0914c2d705d98b02a2b5129cd1de164eb9cbd083e8a2503c4e"
    )


def chacha20(key: bytes, length: int) -> bytes:
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms

    return Cipher(algorithms.ChaCha20(key, bytes(16)), mode=None).encryptor().update(bytes(length))


def test_each_request_begins_with_a_new_key(engine):
    sizes = [0, 1, 31, 32, 33, 64, 96, 97, 500, 16]
    key = bytes(range(100, 132))
    expected = []
    for size in sizes:
        stream = chacha20(key, 32 + size)
        key = stream[:32]
        expected.append(stream[32:].hex())
    engine.eval(f"internal.random.seed('{bytes(range(100, 132)).hex()}')")
    assert value(engine, f"{sizes}.map(size => internal.random.bytes(size).toHex())") == expected


@pytest.mark.parametrize(
    "use", ["crypto.randomUUID()", "crypto.randomBytes(1)", "crypto.getRandomValues(new Int8Array(1))"]
)
def test_without_a_seed_there_are_no_random_numbers(use):
    init_mini_racer(flags=FLAGS, ignore_duplicate_init=True)
    with MiniRacer() as made:
        made.eval(f"globalThis.internal = {prelude_source(MODULES)}; 0")
        with pytest.raises(JSEvalException, match="the host has not seeded the generator"):
            made.eval(use)
        with pytest.raises(JSEvalException, match="64 hexadecimal digits"):
            made.eval("internal.random.seed('07')")
        with pytest.raises(JSEvalException, match="has not seeded"):
            made.eval(use)


def test_random_values_have_their_forms():
    uuid = "/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/"
    found = results(
        f"Array.from({{length: 300}}, () => crypto.randomUUID()).every(id => {uuid}.test(id))",
        "new Set(Array.from({length: 300}, () => crypto.randomUUID())).size",
        "(a => crypto.getRandomValues(a) === a && a.some(n => n > 255) && a.length)(new Uint16Array(50))",
        "(a => (crypto.getRandomValues(a.subarray(1, 2)), [a[0], a[1] !== 0n, a[2]].join()))(new BigInt64Array(3))",
        "crypto.randomBytes(1.5).length",
        "crypto.getRandomValues(new Uint8ClampedArray(65536)).length",
        "crypto.getRandomValues(Buffer.alloc(4)).length",
        "(b => [Buffer.isBuffer(b), b.length])(crypto.randomBytes(12))",
        "crypto.randomBytes(20).toString('hex').length",
        "new Promise(done => crypto.randomBytes(3, (error, bytes) => done([error, bytes.length])))",
    )
    assert found == ["true", "300", "50", '"0,true,0"', "1", "65536", "4", "[true,12]", "40", "[null,3]"]


NODE = "(typeof require === 'function' ? require('crypto') : crypto)"
SUBTLE = "(typeof require === 'function' ? require('crypto').webcrypto : crypto).subtle"
KEY = (
    f"{SUBTLE}.importKey('raw', new Uint8Array([1, 2, 3]), {{name: 'HMAC', hash: 'SHA-256'}}, false,"
    " ['sign', 'verify'])"
)
HEX = "bytes => Buffer.from(bytes).toString('hex')"


def told(expression: str) -> str:
    return (
        f"(() => {{ try {{ return {expression} }}"
        " catch (e) { return [e.constructor.name, e.name, e.code, e.message] } })()"
    )


def test_what_node_says_is_known_without_node():
    found = results(
        told("crypto.createHash('whirlpool')"),
        told("crypto.createHmac('whirlpool', 'k')"),
        "crypto.createHash('sha256').update('grüße').digest('hex')",
        f"{SUBTLE}.digest('SHA-1', new Uint8Array(3)).then({HEX})",
        f"{KEY}.then(key => {SUBTLE}.sign('HMAC', key, new Uint8Array(4))).then({HEX})",
        f"{SUBTLE}.encrypt().catch(error => [error.name, error.message])",
        told("crypto.getRandomValues(new Uint8Array(65537))"),
        "crypto.getHashes()",
        "crypto",
    )
    assert [json.loads(text) for text in found] == [
        ["Error", "Error", None, "Digest method not supported"],
        ["TypeError", "TypeError", "ERR_CRYPTO_INVALID_DIGEST", "Invalid digest: whirlpool"],
        hashlib.sha256("grüße".encode()).hexdigest(),
        hashlib.sha1(bytes(3)).hexdigest(),
        hmac.new(b"\1\2\3", bytes(4), "sha256").hexdigest(),
        [
            "NotSupportedError",
            "crypto.subtle.encrypt is not supported here: there is digest for SHA-1, SHA-256, SHA-384 and SHA-512, "
            "and importKey('raw'), sign and verify for HMAC",
        ],
        ["DOMException", "QuotaExceededError", 22, "The requested length exceeds 65536 bytes"],
        list(ALGORITHMS),
        {},
    ]


def test_what_runs_share_is_frozen(engine):
    kinds = "[crypto.createHash('md5'), crypto.createHmac('md5', ''), crypto, crypto.subtle]"
    parts = "Object.getOwnPropertyNames(kind).map(name => kind[name])"
    assert engine.eval(f"{kinds}.map(Object.getPrototypeOf).every(kind => [kind, ...{parts}].every(Object.isFrozen))")


@needs_node
def test_hashes_and_hmac_are_used_as_in_node():
    expressions = [
        *(
            f"{NODE}.createHash('{name}').update('a').digest('hex')"
            for name in ("SHA256", "sha-512", "RSA-SHA1", "Md5")
        ),
        *(
            f"{NODE}.createHash('sha1').update('aé\\ud800😀').update('6162zz', '{encoding}').digest('base64')"
            for encoding in ("utf8", "hex", "HEX", "latin1", "base64", "base64url", "binary", "ucs2", "bogus")
        ),
        *(
            f"{NODE}.createHmac('sha384', 'key').update('a').digest('{encoding}')"
            for encoding in ("hex", "Hex", "base64", "base64url", "latin1", "binary", "buffer", "bogus", "ucs2")
        ),
        f"{NODE}.createHash('sha1').update(new DataView(new ArrayBuffer(3))).digest()",
        f"{NODE}.createHash('sha1').update(new Uint16Array([1, 500]).subarray(1)).digest()",
        f"{NODE}.createHmac('sha1', new ArrayBuffer(3)).update(Buffer.from('a')).digest('hex')",
        f"{NODE}.createHmac('sha1', Buffer.from('key')).digest('hex')",
        f"(h => [h.copy().digest('hex'), h.update('b').digest('hex')])({NODE}.createHash('md5').update('a'))",
        f"(h => [h.update('a').digest('hex').length, h.digest('hex')])({NODE}.createHmac('md5', 'k'))",
        f"{NODE}.timingSafeEqual(Buffer.from('abc'), new Uint8Array([97, 98, 99]))",
        f"{NODE}.timingSafeEqual(Buffer.from('abc'), Buffer.from('abd'))",
        *(
            told(f"{NODE}.{call}")
            for call in (
                "createHash('whirlpool2')",
                "createHash()",
                "createHash('md5').update(3)",
                "createHash('md5').update()",
                "createHash('md5').update(new ArrayBuffer(3))",
                "createHash('md5').update('abc', 'hex')",
                "createHmac('foo', 'k')",
                "createHmac('md5')",
                "createHmac('md5', 3)",
                "randomBytes(-1)",
                "randomBytes('a')",
                "randomBytes(NaN)",
                "randomBytes(2147483648)",
                "timingSafeEqual(Buffer.alloc(3), Buffer.alloc(2))",
                "getRandomValues(new Float32Array(5))",
                "createHmac(3, 'k')",
                "createHash('md5').update({a: 1})",
            )
        ),
        told(f"(h => (h.digest(), h.digest()))({NODE}.createHash('md5'))"),
        told(f"(h => (h.digest(), h.update('a')))({NODE}.createHash('md5'))"),
        told(f"(h => (h.digest(), h.update('a')))({NODE}.createHmac('md5', 'k'))"),
    ]
    assert differences(expressions, MODULES) == []


@needs_node
def test_subtle_is_used_as_in_node():
    key = f"{SUBTLE}.importKey"
    bytes3 = "new Uint8Array(3)"
    expressions = [
        *(
            f"{SUBTLE}.digest({name}, {bytes3}.buffer).then({HEX})"
            for name in ("'sha-256'", "{name: 'SHA-512'}", "'SHA-384'")
        ),
        *(
            f"{SUBTLE}.digest({args})"
            for args in (f"'MD5', {bytes3}", f"'SHA256', {bytes3}", "'SHA-256', 'a'", "'SHA-256'")
        ),
        f"{KEY}.then(key => [key.type, key.extractable, key.usages, key.algorithm.hash, key.algorithm.length, key])",
        f"{KEY}.then(key => Object.prototype.toString.call(key))",
        f"{KEY}.then(key => {SUBTLE}.sign({{name: 'hmac'}}, key, new Uint16Array([1, 2]))).then({HEX})",
        f"{KEY}.then(key => {SUBTLE}.sign('AES-CBC', key, {bytes3}))",
        f"{KEY}.then(key => {SUBTLE}.sign('HMAC', key, 'a'))",
        f"{SUBTLE}.sign('HMAC', {{}}, {bytes3})",
        f"{KEY}.then(async key => ["
        f" await {SUBTLE}.verify('HMAC', key, await {SUBTLE}.sign('HMAC', key, {bytes3}), {bytes3}),"
        f" await {SUBTLE}.verify('HMAC', key, {bytes3}, {bytes3}),"
        f" await {SUBTLE}.verify('HMAC', key, new Uint8Array(32), {bytes3})])",
        *(
            f"{key}('raw', new Uint8Array({size}), {algorithm}, true, {usages}).then(key => [...key.usages].sort())"
            for size, algorithm, usages in (
                (3, "{name: 'HMAC', hash: {name: 'sha-1'}}", "['verify', 'sign']"),
                (0, "{name: 'HMAC', hash: 'SHA-1'}", "['sign']"),
                (3, "{name: 'HMAC', hash: 'SHA-1'}", "[]"),
                (3, "{name: 'HMAC', hash: 'SHA-1'}", "['encrypt']"),
                (3, "{name: 'HMAC', hash: 'MD5'}", "['sign']"),
                (3, "{name: 'HMAC'}", "['sign']"),
                (3, "{name: 'HMAC', hash: 'SHA-1', length: 24}", "['sign']"),
                (3, "{name: 'HMAC', hash: 'SHA-1', length: 20}", "['sign']"),
                (3, "'FOO'", "['sign']"),
            )
        ),
        f"{key}('raw', {bytes3}, {{name: 'HMAC', hash: 'SHA-1'}}, false, ['sign'])"
        f".then(key => {SUBTLE}.verify('HMAC', key, {bytes3}, {bytes3}))",
    ]
    assert differences(expressions, MODULES) == []
