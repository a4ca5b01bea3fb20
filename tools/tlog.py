"""A log of tiles (C2SP tlog-tiles) in a directory, for those who publish one: entries in, a signed checkpoint and proofs out.

The gateway verifies what comes from here with other code (src/merkle). The log's key is an Ed25519 key in PEM, which openssl(1) uses; it need not
be readable as a file here if openssl reaches it otherwise.
"""
import base64
import hashlib
import http.client
import os
import re
import struct
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

TILE = 256
DASH = "\u2014"
SIGNATURES_MAX = 16


class LogError(Exception):
    """What went wrong, as one sentence."""


def leaf_hash(entry):
    return hashlib.sha256(b"\0" + entry).digest()


def node_hash(left, right):
    return hashlib.sha256(b"\1" + left + right).digest()


def split(n):
    """The largest power of two below n."""
    return 1 << (n - 1).bit_length() - 1


def root(leaves):
    if len(leaves) < 2:
        return leaves[0] if leaves else hashlib.sha256().digest()
    k = split(len(leaves))
    return node_hash(root(leaves[:k]), root(leaves[k:]))


def inclusion(index, leaves):
    """RFC 9162 section 2.1.3.1: hashes from the leaf's sibling up."""
    if len(leaves) == 1:
        return []
    k = split(len(leaves))
    if index < k:
        return inclusion(index, leaves[:k]) + [root(leaves[k:])]
    return inclusion(index - k, leaves[k:]) + [root(leaves[:k])]


def consistency(old, leaves, whole=True):
    """RFC 9162 section 2.1.4.1."""
    if old == len(leaves):
        return [] if whole else [root(leaves)]
    k = split(len(leaves))
    if old <= k:
        return consistency(old, leaves[:k], whole) + [root(leaves[k:])]
    return consistency(old - k, leaves[k:], False) + [root(leaves[:k])]


def number_path(n):
    """1234067 is x001/x234/067."""
    parts = [f"{n % 1000:03}"]
    while n >= 1000:
        n //= 1000
        parts.insert(0, f"x{n % 1000:03}")
    return "/".join(parts)


class Key:
    """An Ed25519 key in PEM, and the name by which notes are signed."""

    def __init__(self, name, pem):
        self.name, self.pem = name, pem
        der = self.openssl("pkey", "-in", pem, "-pubout", "-outform", "DER")
        if len(der) != 44:
            raise LogError(f"{pem}: it is no Ed25519 key")
        self.public = b"\1" + der[-32:]
        self.id = hashlib.sha256(name.encode() + b"\n" + self.public).digest()[:4]
        self.vkey = f"{name}+{self.id.hex()}+{base64.b64encode(self.public).decode()}"

    @staticmethod
    def openssl(*words, **kwargs):
        done = subprocess.run(["openssl", *map(str, words)], capture_output=True, check=False, **kwargs)
        if done.returncode:
            raise LogError(f"openssl {words[0]}: {done.stderr.decode(errors='replace').strip()[-300:]}")
        return done.stdout

    def note(self, text):
        """The text as a signed note (C2SP signed-note)."""
        message = memfd(text.encode())
        try:
            signature = self.openssl("pkeyutl", "-sign", "-rawin", "-inkey", self.pem, "-in", f"/proc/self/fd/{message}", pass_fds=[message])
        finally:
            os.close(message)
        return f"{text}\n{DASH} {self.name} {base64.b64encode(self.id + signature).decode()}\n"


    def signed(self, text, lines):
        """One of the lines of a note is this key's signature of its text."""
        for name, octets in lines:
            if name != self.name or octets[:4] != self.id:
                continue
            message, signature = memfd(text.encode()), memfd(octets[4:])
            try:
                done = subprocess.run(["openssl", "pkeyutl", "-verify", "-rawin", "-inkey", self.pem, "-in", f"/proc/self/fd/{message}",
                                       "-sigfile", f"/proc/self/fd/{signature}"], capture_output=True, check=False, pass_fds=[message, signature])
            finally:
                os.close(message)
                os.close(signature)
            return done.returncode == 0
        return False


def signature_lines(text):
    """(name, octets) of each signature line of a note (C2SP signed-note); None: there are others, or none."""
    lines = []
    for line in text.split("\n")[:-1]:
        form = re.fullmatch(DASH + r" ([^\s+]+) ([A-Za-z0-9+/]+={0,2})", line)
        try:
            octets = base64.b64decode(form.group(2), validate=True) if form else b""
        except ValueError:
            octets = b""
        if len(octets) < 5:
            return None
        lines.append((form.group(1), octets))
    return lines if text.endswith("\n") and 0 < len(lines) <= SIGNATURES_MAX else None


def memfd(data):
    """openssl signs what it can measure, so no pipe."""
    fd = os.memfd_create("note")
    os.write(fd, data)
    os.lseek(fd, 0, os.SEEK_SET)
    return fd


class Log:
    def __init__(self, directory, key):
        self.dir, self.key = Path(directory), key
        self.entries = self.read_entries()

    def read_entries(self):
        """All entries, by the checkpoint's size; the checkpoint must be of this log's key."""
        if not (self.dir / "checkpoint").exists():
            return []
        text, lines = self.note()
        origin, size, head = text.split("\n")[:3]
        if origin != self.key.name:
            raise LogError(f"{self.dir}: the log's origin is '{origin}', and the key's name '{self.key.name}'")
        if not self.key.signed(text, lines or []):
            raise LogError(f"{self.dir}: its checkpoint is not signed by the log's key; nothing is added to it, and no witness is asked")
        found = []
        while len(found) < int(size):
            n, width = len(found) // TILE, min(TILE, int(size) - len(found))
            data = self.tile_file("entries", n, width).read_bytes()
            for _ in range(width):
                length, = struct.unpack(">H", data[:2])
                found.append(data[2:2 + length])
                data = data[2 + length:]
        if base64.b64encode(root([leaf_hash(e) for e in found])).decode() != head:
            raise LogError(f"{self.dir}: its entries do not lead to its checkpoint's root; nothing is added to it")
        return found

    def note(self):
        """The checkpoint's text and its signature lines."""
        text, _, signatures = (self.dir / "checkpoint").read_text(encoding="utf-8").rpartition("\n\n")
        return text + "\n", signature_lines(signatures)

    def tile_file(self, level, n, width):
        name = number_path(n) + ("" if width == TILE else f".p/{width}")
        return self.dir / "tile" / str(level) / name

    def write(self, path, data):
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(path.name + ".part")
        with open(part, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        part.rename(path)

    def add(self, entry):
        """Appends an entry and publishes; the checkpoint is the last file that is written. Returns the entry's index."""
        if len(entry) > 65535:
            raise LogError(f"an entry of {len(entry)} octets: at most 65535 fit")
        self.entries.append(entry)
        first = (len(self.entries) - 1) // TILE * TILE
        last = self.entries[first:]
        self.write(self.tile_file("entries", first // TILE, len(last)), b"".join(struct.pack(">H", len(e)) + e for e in last))
        hashes, level = [leaf_hash(e) for e in self.entries], 0
        while hashes:
            first = (len(hashes) - 1) // TILE * TILE
            self.write(self.tile_file(level, first // TILE, len(hashes) - first), b"".join(hashes[first:]))
            hashes = [root(hashes[n:n + TILE]) for n in range(0, len(hashes) // TILE * TILE, TILE)]
            level += 1
        self.write(self.dir / "checkpoint", self.key.note(self.head()).encode())
        return len(self.entries) - 1

    def head(self):
        return f"{self.key.name}\n{len(self.entries)}\n{base64.b64encode(root([leaf_hash(e) for e in self.entries])).decode()}\n"

    def cosign(self, url):
        """Asks a witness (C2SP tlog-witness), and adds its lines to the checkpoint."""
        leaves = [leaf_hash(e) for e in self.entries]
        note = (self.dir / "checkpoint").read_text(encoding="utf-8")
        text, lines = self.note()
        if text != self.head() or not self.key.signed(text, lines or []):
            raise LogError(f"{self.dir}: its checkpoint is not that of its entries, signed by the log's key: no witness is asked")
        old = 0
        for _ in range(2):  # the second time with the size that the witness has
            proof = [base64.b64encode(h).decode() for h in (consistency(old, leaves) if old else [])]
            status, body = post(url, "\n".join([f"old {old}", *proof, "", note]))
            if status != 409:
                break
            old = int(body)
            if old > len(leaves):
                raise LogError(f"{url}: the witness has seen {old} entries of this log, and here are {len(leaves)}: this is not the whole log")
        if status != 200:
            raise LogError(f"{url}: status {status}: {body.strip()[:200]}")
        own = (self.key.name, self.key.id)
        fresh = signature_lines(body)
        if not fresh or any((name, octets[:4]) == own for name, octets in fresh) or len(lines) + len(fresh) > SIGNATURES_MAX:
            raise LogError(f"{url}: its answer is not signature lines of a note, of other keys than the log's: {body[:200]!r}")
        replaced = {(name, octets[:4]) for name, octets in fresh}
        kept = [line for line in lines if (line[0], line[1][:4]) not in replaced]
        signatures = "".join(f"{DASH} {name} {base64.b64encode(octets).decode()}\n" for name, octets in kept + fresh)
        self.write(self.dir / "checkpoint", f"{text}\n{signatures}".encode())

    def proof(self, index):
        """The .tlog-proof of an entry under the checkpoint as it is now (C2SP tlog-proof)."""
        path = inclusion(index, [leaf_hash(e) for e in self.entries])
        lines = ["c2sp.org/tlog-proof@v1", f"index {index}", *(base64.b64encode(h).decode() for h in path), ""]
        return "\n".join(lines) + "\n" + (self.dir / "checkpoint").read_text(encoding="utf-8")


def post(url, body):
    where = urlsplit(url)
    kind = http.client.HTTPSConnection if where.scheme == "https" else http.client.HTTPConnection
    connection = kind(where.hostname, where.port, timeout=20)
    try:
        connection.request("POST", where.path.rstrip("/") + "/add-checkpoint", body.encode())
        answer = connection.getresponse()
        return answer.status, answer.read(65536).decode(errors="replace")
    except OSError as why:
        raise LogError(f"{url}: {why}") from why
    finally:
        connection.close()
