"""A ledger written by somebody who has its key, from the documentation alone (docs/evidence.md): any entries, dates, heads, journals,
seals and cosignatures. With these the tests try what verification says about the worst ledger that fits a statement."""
import base64
import hashlib
import json
import shutil
import struct
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

TILE = 256
SEAL_KEYS = 4096
BOOT = "00112233445566778899aabbccddeeff"
LOG, WITNESS, WITNESS_ML_DSA_44 = 1, 4, 6  # signature types of C2SP signed-note


def sha256(data):
    return hashlib.sha256(data).digest()


def leaf_hash(data):
    return sha256(b"\0" + data)


def tree_root(hashes):
    """RFC 9162, 2.1.1."""
    if len(hashes) < 2:
        return hashes[0] if hashes else sha256(b"")
    left = 1 << (len(hashes) - 1).bit_length() - 1
    return sha256(b"\1" + tree_root(hashes[:left]) + tree_root(hashes[left:]))


def name_line(name, key_id, signature):
    return f"\u2014 {name} {base64.b64encode(key_id + signature).decode()}\n"


class Key:
    def __init__(self, name, seed, kind=LOG):
        self.name, self.seed = name, seed
        self.private = Ed25519PrivateKey.from_private_bytes(seed)
        self.public = self.private.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        blob = bytes([kind]) + self.public
        self.id = sha256(name.encode() + b"\n" + blob)[:4]
        self.vkey = f"{name}+{self.id.hex()}+{base64.b64encode(blob).decode()}"

    def renamed(self, name):
        return Key(name, self.seed)

    def sign(self, text):
        return name_line(self.name, self.id, self.private.sign(text.encode()))

    def cosign(self, text, time_s):
        signature = self.private.sign(f"cosignature/v1\ntime {time_s}\n{text}".encode())
        return name_line(self.name, self.id, struct.pack(">Q", time_s) + signature)


class Seals:
    """One epoch of one-time keys."""
    made = {}  # the keys of an epoch are the same in each ledger: 4096 of them take a while

    def __init__(self, epoch):
        if epoch not in Seals.made:
            Seals.made[epoch] = [Key("seal", sha256(b"%d %d" % (epoch, i))) for i in range(SEAL_KEYS)]
        self.keys = Seals.made[epoch]
        self.root = tree_root([leaf_hash(key.public) for key in self.keys])
        self.records = b""
        self.index = 0

    def seal(self, head, size, root):
        text = f"plaingate/seal/v1\n{self.root.hex()}\n{self.index}\n{head}"
        self.records += struct.pack(">IQ", self.index, size) + root + self.keys[self.index].private.sign(text.encode())
        self.index += 1


class Log:
    def __init__(self, key):
        self.key, self.entries, self.numbers, self.epochs, self.mono = key, [], {}, [], 0

    def add(self, kind, source, body, utc, boot=BOOT, mono=None, run=0):
        """mono: microseconds; by default one more than in the entry before."""
        number = self.numbers[boot, source, run] = self.numbers.get((boot, source, run), 0) + 1
        self.mono = self.mono + 1 if mono is None else mono
        entry = {"body": body, "boot": boot, "mono": self.mono, "n": number, "run": run, "source": source, "type": kind, "utc": utc}
        self.entries.append(json.dumps(entry, separators=(",", ":"), sort_keys=True, ensure_ascii=False).encode())

    def start(self, utc="2026-11-23T08:00:00.000000Z", seals=True, recovery=None, **more):
        self.add("ledger_start", "ledger", {"key": self.key.vkey, "origin": self.key.name, "recovered": len(self.entries), "torn_bytes": 0},
                 utc, **more)
        if recovery:
            self.add("ledger_recovery", "ledger", recovery, utc, **more)
        if seals:
            self.epochs.append((len(self.entries), Seals(len(self.epochs))))
            self.add("seal_epoch", "ledger", {"keys": SEAL_KEYS, "root": self.epochs[-1][1].root.hex()}, utc, **more)

    def act(self, utc, detail="x", **more):
        self.add("admin_act", "control", {"act": "clear sessions", "admin": "root", "detail": detail}, utc, **more)

    def acts(self, count, first="2026-11-23T08:%02d:%02d.000000Z", **more):
        for i in range(count):
            second = i + 1
            self.act(first % (second // 60, second % 60), mono=second * 1000000, **more)

    def root(self, size=None):
        return tree_root([leaf_hash(entry) for entry in self.entries[:len(self.entries) if size is None else size]])

    def head(self, size=None):
        size = len(self.entries) if size is None else size
        return f"{self.key.name}\n{size}\n{base64.b64encode(self.root(size)).decode()}\n"

    def note(self, size=None, lines=""):
        return self.head(size) + "\n" + self.key.sign(self.head(size)) + lines

    def cosigned(self, witness, time_s, size=None):
        return self.note(size, witness.cosign(self.head(size), time_s))

    def record(self, first, count, note=None):
        """One record of the journal."""
        entries = b"".join(struct.pack(">H", len(entry)) + entry for entry in self.entries[first:first + count])
        note = (note or self.note(first + count)).encode()
        body = struct.pack(">QII", first, count, len(note)) + entries + note
        head = struct.pack(">II", 0x50474A31, len(body) + 32) + body
        return head + sha256(head)

    def write(self, folder, published=None, lines="", cosigned=None, journal=b"", checkpoint=None, sealed=()):
        """sealed: sizes at which it was published before."""
        folder = Path(folder)
        shutil.rmtree(folder, ignore_errors=True)
        published = len(self.entries) if published is None else published

        def put(path, data):
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(data if isinstance(data, bytes) else data.encode())

        put("log.vkey", self.key.vkey + "\n")
        put("checkpoint", checkpoint or self.note(published, lines))
        put("journal", journal)
        if cosigned:
            put("cosigned", cosigned)
        self.write_tiles(put, published)
        ends = [begins for begins, _ in self.epochs[1:]] + [published]
        for (begins, seals), end in zip(self.epochs, ends):
            if begins >= published:
                continue
            seals.records, seals.index = b"", 0
            size = min(end, published)
            for at in sorted({at for at in sealed if begins < at < size} | {size}):
                seals.seal(self.head(at), at, self.root(at))
            put(f"seal/{seals.root.hex()[:16]}.keys", b"".join(key.public for key in seals.keys))
            put(f"seal/{seals.root.hex()[:16]}.seals", seals.records)
        return folder

    def write_tiles(self, put, published):
        def tile(level, index, parts):
            name = f"{index % 1000:03d}"
            while index >= 1000:
                index //= 1000
                name = f"x{index % 1000:03d}/{name}"
            put(f"tile/{level}/{name}" + ("" if len(parts) == TILE else f".p/{len(parts)}"), b"".join(parts))

        bundles = [struct.pack(">H", len(entry)) + entry for entry in self.entries[:published]]
        hashes = [leaf_hash(entry) for entry in self.entries[:published]]
        for at in range(0, published, TILE):
            tile("entries", at // TILE, bundles[at:at + TILE])
        level = 0
        while hashes:
            for at in range(0, len(hashes), TILE):
                tile(level, at // TILE, hashes[at:at + TILE])
            hashes = [tree_root(hashes[at:at + TILE]) for at in range(0, len(hashes) // TILE * TILE, TILE)]
            level += 1
