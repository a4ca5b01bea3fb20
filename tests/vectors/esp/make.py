#!/usr/bin/env python3
"""Makes known.txt: ESP packets as RFC 4303, 4106, 7634, 3602 and 4868 describe them, by another implementation of the algorithms
(Python's cryptography, which uses OpenSSL). Run by hand; the file stands in the tree so that a changed constant in the
program cannot bring its own changed expectation."""
import struct
import sys
from cryptography.hazmat.primitives import hashes, hmac
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305

# of the integrity algorithm: hash, octets of its key, of the ICV; AES-CBC has it above the octet of its own number
INTEGRITY = {12: (hashes.SHA256(), 32, 16), 13: (hashes.SHA384(), 48, 24), 14: (hashes.SHA512(), 64, 32)}

IPV4_UDP = bytes.fromhex(
    "4500002d123400003d1157860a0100020a0200020009000900190000"
    "000102030405060708090a0b0c0d0e0f10")
IPV6_ICMP = bytes.fromhex(
    "6000000000143a40" "20010db8000100000000000000000002" "20010db8000200000000000000000002"
    "8000000000010002" "000102030405060708090a0b")


def cbc(key, iv, plain):
    encryptor = Cipher(algorithms.AES(key), modes.CBC(iv)).encryptor()
    return encryptor.update(plain) + encryptor.finalize()


def seal_cbc(encr, bits, keymat, spi, sequence, esn, inner):
    digest, _, icv_n = INTEGRITY[encr >> 8]
    key = keymat[:bits // 8]
    pad = -(len(inner) + 2) % 16
    plain = inner + bytes(range(1, pad + 1)) + bytes([pad, 4 if inner[0] >> 4 == 4 else 41])
    iv = cbc(key, bytes(16), bytes(8) + struct.pack(">Q", sequence))
    packet = struct.pack(">II", spi, sequence & 0xffffffff) + iv + cbc(key, iv, plain)
    mac = hmac.HMAC(keymat[bits // 8:], digest)
    mac.update(packet + (struct.pack(">I", sequence >> 32) if esn else b""))
    return packet + mac.finalize()[:icv_n]


def seal(encr, bits, keymat, spi, sequence, esn, inner):
    key, salt = keymat[:-4], keymat[-4:]
    pad = -(len(inner) + 2) % 4
    plain = inner + bytes(range(1, pad + 1)) + bytes([pad, 4 if inner[0] >> 4 == 4 else 41])
    iv = struct.pack(">Q", sequence)
    aad = struct.pack(">IQ", spi, sequence) if esn else struct.pack(">II", spi, sequence)
    aead = AESGCM(key) if encr == 20 else ChaCha20Poly1305(key)
    return struct.pack(">II", spi, sequence & 0xffffffff) + iv + aead.encrypt(salt + iv, plain, aad)


def main():
    out = ["# name encr bits keymat spi sequence esn inner sealed; made by make.py"]
    cbcs = [(12 | integ << 8, bits, f"aes{bits}cbc{row[0].name}") for integ, row in INTEGRITY.items() for bits in (128, 256)]
    for encr, bits, word in [(20, 128, "aes128gcm16"), (20, 256, "aes256gcm16"), (28, 256, "chacha20poly1305"), *cbcs]:
        keymat = bytes((7 * i + bits) & 255 for i in range(bits // 8 + (INTEGRITY[encr >> 8][1] if encr >> 8 else 4)))
        for esn, sequence in ((0, 1), (0, 0x12345678), (1, 1), (1, 0x1_0000_0001), (1, 0xabcdef_00000005)):
            for text, inner in (("ipv4", IPV4_UDP), ("ipv6", IPV6_ICMP)):
                spi = 0xc0de0000 + encr + esn
                sealed = (seal_cbc if encr >> 8 else seal)(encr, bits, keymat, spi, sequence, esn, inner)
                out.append(f"{word}-{text}-{'esn' if esn else 'plain'}-{sequence:x} {encr} {bits} {keymat.hex()} "
                           f"{spi:08x} {sequence:016x} {esn} {inner.hex()} {sealed.hex()}")
    sys.stdout.write("\n".join(out) + "\n")


main()
