"""share/known-answers.json compared with another implementation: Python's hashes, OpenSSL's ciphers and curves through `cryptography`, and
the constructions implemented a second time from their descriptions (src/crypto/leaf.h, src/proc/keeper/generator.h). The answer of vrf-r255
is the one of its specification (C2SP), which is not computed here.

	test_known_answers.py --print     prints the file's contents; a release contains the file, and the ledger its SHA-256
"""
import hashlib
import hmac
import json
import sys
import unittest
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec, x25519
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

FILE = Path(__file__).resolve().parents[2] / "share/known-answers.json"
ORDERS = {
    19: 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551,
    20: 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFC7634D81F4372DDF581A0DB248B0A77AECEC196ACCC52973,
}
CURVES = {19: ec.SECP256R1(), 20: ec.SECP384R1()}
VRF = (  # c2sp.org/vrf-r255, test vector
    "3431c2b03533e280b23232e280b34e2c3132c2b03238e280b23131e280b34500", "633273702e6f72672f7672662d72323535",
    "54136cd90d99fbd1d4e855d9556efea87ba0337f2a6ce22028d0f5726fcb854e"
    "0a97d961262fb549b4175c5117860f42ae44a123f93c476c439eddd1c0cff9265c805525233e2284dbed45e593b8eea3"
    "1d5ca9734d72bcbba9738d5237f955f3b2422351149d1312503b6441a47c940c"
    "dd653f0879b48c3ef69e13551239bec4cbcc1c18fe8894de2e9e1c790e18273603bf1c6c25d7a797aeff3c43fd32b974d3fcbd4bcce916007097922a3ea3a794")


def hkdf_expand(key, info, n):
    out, block = b"", b""
    for i in range(1, n // 32 + 2):
        block = hmac.digest(key, block + info + bytes([i]), "sha256")
        out += block
    return out[:n]


def hkdf(salt, material, info, n):
    return hkdf_expand(hmac.digest(salt, material, "sha256"), info, n)


def generator(label, *seeds):
    key, out = bytes(32), b""
    for seed in seeds:
        key = hmac.digest(key, label + seed, "sha256")
        stream = Cipher(algorithms.ChaCha20(key, bytes(16)), None).encryptor().update(bytes(32 + 96))
        key, out = stream[:32], out + stream[32:]
    return out


def pi_digits(bits):
    """Floor of 2**bits times pi, by Machin's formula."""
    one = 1 << bits + 64
    def arctan(n):
        term, total, k = one // n, one // n, 1
        while term:
            term //= n * n
            total += -(term // (2 * k + 1)) if k & 1 else term // (2 * k + 1)
            k += 1
        return total
    return 4 * (4 * arctan(5) - arctan(239)) >> 64


def modp_prime(group):
    """RFC 3526: 2^n - 2^(n - 64) - 1 + 2^64 * ([2^(n - 130) pi] + offset)."""
    n, offset = {14: (2048, 124476), 15: (3072, 1690314), 16: (4096, 240904)}[group]
    return 2 ** n - 2 ** (n - 64) - 1 + 2 ** 64 * (pi_digits(n - 130) + offset)


def leaf_public(seed, group):
    secret = hkdf_expand(seed, b"key exchange" + group.to_bytes(2, "big"), 64)
    if group in (14, 15, 16):
        p = modp_prime(group)
        return hashlib.sha256(pow(2, int.from_bytes(secret[:48], "big"), p).to_bytes(p.bit_length() // 8, "big")).digest()
    if group == 31:
        return x25519.X25519PrivateKey.from_private_bytes(secret[:32]).public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    scalar = int.from_bytes(secret, "big") % (ORDERS[group] - 1) + 1
    return ec.derive_private_key(scalar, CURVES[group]).public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)[1:]


def leaf(a, b, groups=(14, 15, 16, 19, 20, 31)):
    seed = hmac.digest(b"plaingate/leaf/v1", a + b, "sha256")
    return hashlib.sha256(a).digest() + hashlib.sha256(b).digest() + b"".join(leaf_public(seed, group) for group in groups)


def challenge(root, later, n, k):
    def numbers():
        block = 0
        while True:
            digest = hashlib.sha256(b"plaingate/leaf-challenge/v1" + root + len(later).to_bytes(4, "big") + later
                                    + block.to_bytes(4, "big")).digest()
            yield from (int.from_bytes(digest[at:at + 4], "big") for at in range(0, 32, 4))
            block += 1
    stream, places = numbers(), list(range(n))
    for i in range(k):
        left = n - i
        number = next(x for x in stream if x < 2 ** 32 // left * left)
        at = i + number % left
        places[i], places[at] = places[at], places[i]
    return bytes(places[:k])


def octets(first, n):
    return bytes((first + i) % 256 for i in range(n))


def rows():
    """(function, inputs, output)"""
    yield "sha-256", [b"abc"], hashlib.sha256(b"abc").digest()
    yield "hkdf-sha256", [octets(0, 13), b"\x0b" * 22, octets(0xf0, 10)], hkdf(octets(0, 13), b"\x0b" * 22, octets(0xf0, 10), 42)  # RFC 5869 A.1
    yield "hkdf-sha256", [octets(0x60, 80), octets(0, 80), octets(0xb0, 80)], hkdf(octets(0x60, 80), octets(0, 80), octets(0xb0, 80), 82)  # A.2
    for label in (b"secret", b"public"):
        yield "generator", [label, octets(0, 32), octets(1, 32)], generator(label, octets(0, 32), octets(1, 32))
    yield "vrf-r255", [bytes.fromhex(VRF[0]), bytes.fromhex(VRF[1])], bytes.fromhex(VRF[2])
    yield "kernel-share", [octets(5, 32)], hashlib.sha256(b"plaingate/kernel-share/v1" + octets(5, 32)).digest()
    for first in (0, 128):
        yield "leaf", [octets(first, 32), octets(first + 64, 32)], leaf(octets(first, 32), octets(first + 64, 32))
    yield "leaf-challenge", [octets(0, 32), b"", bytes([255]), bytes([64])], challenge(octets(0, 32), b"", 255, 64)
    yield "leaf-challenge", [octets(7, 32), b"came later", bytes([100]), bytes([100])], challenge(octets(7, 32), b"came later", 100, 100)


def text():
    made = [json.dumps({"function": function, "input": " ".join(part.hex() or "-" for part in inputs), "output": output.hex()},
                       separators=(",", ":")) for function, inputs, output in rows()]
    return '{"answers":[\n' + ",\n".join(made) + "\n]}\n"


class KnownAnswers(unittest.TestCase):
    def test_the_file_is_what_another_implementation_computes(self):
        self.assertEqual(FILE.read_text(encoding="ascii"), text())

    def test_the_second_writing_agrees_with_the_standards(self):
        self.assertEqual(hkdf(octets(0, 13), b"\x0b" * 22, octets(0xf0, 10), 42).hex(),
                         "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865")  # RFC 5869 A.1
        self.assertEqual(sorted(challenge(octets(7, 32), b"", 100, 100)), list(range(100)))


if __name__ == "__main__":
    if "--print" in sys.argv:
        sys.stdout.write(text())
    else:
        unittest.main(verbosity=1, argv=[sys.argv[0]])
