"""Our ledgers, read by programs that share no code with ours: Go's sumdb packages (golang-golang-x-mod-dev) and npm's @sigstore/verify.

They must accept what we produce, and refuse it if it is altered. Our own code judges each altered case as well: what we accept, they
accept; what they accept and we do not is named here with its reason.
"""
import base64
import hashlib
import os
import random
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
BUILD = Path(os.environ.get("PLAINGATE_LAB_BUILD", ROOT / "build"))
OURS = BUILD / "tests/foreign/foreign_ledger"
GO_PACKAGES = Path("/usr/share/gocode")
SIZE = 70000
DASH = "\u2014 "


def run(command, **options):
    return subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=240, check=False, **options)


def answers(command, cases, **options):
    """One bool per case."""
    done = run(command, input="".join(case + "\n" for case in cases), **options)
    assert done.returncode == 0, done.stderr[-2000:]
    said = done.stdout.splitlines()
    assert len(said) == len(cases) and set(said) <= {"yes", "no"}, said[:3]
    return [word == "yes" for word in said]


def ours(cases):
    return answers([OURS, "judge"], cases)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    directory = tmp_path_factory.mktemp("foreign")
    done = run([OURS, "make", directory])
    assert done.returncode == 0, done.stderr
    return directory


@pytest.fixture(scope="module")
def vkey(made):
    return (made / "log/log.vkey").read_text().strip()


@pytest.fixture(scope="module")
def cases(made):
    """{kind: lines}, all of them true."""
    kinds = {}
    for line in (made / "cases").read_text().splitlines():
        kinds.setdefault(line.split(" ", 1)[0], []).append(line)
    assert {kind: len(lines) > 10 for kind, lines in kinds.items()} == dict.fromkeys(("note", "record", "tree", "proof"), True)
    return kinds


@pytest.fixture(scope="module")
def go():
    """The Go program, built once per version of its source."""
    if not shutil.which("go") or not (GO_PACKAGES / "src/golang.org/x/mod/sumdb/tlog").is_dir():
        pytest.skip("golang-go or golang-golang-x-mod-dev is not installed")
    source = HERE / "reader.go"
    program = ROOT / "build/foreign" / f"reader-{hashlib.sha256(source.read_bytes()).hexdigest()[:16]}"
    if not program.exists():
        program.parent.mkdir(parents=True, exist_ok=True)
        environment = {**os.environ, "GO111MODULE": "off", "GOPATH": str(GO_PACKAGES), "GOFLAGS": "", "CGO_ENABLED": "0",
                       "GOCACHE": str(program.parent / "go-cache"), "HOME": str(program.parent)}
        done = run(["go", "build", "-o", program, source], env=environment)
        assert done.returncode == 0, done.stderr
    return program


@pytest.fixture(scope="module")
def sigstore():
    """The command and directory of the program for node, with the packages that package-lock.json names by their hashes."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if not node or not npm:
        pytest.skip("node or npm is not installed")
    folder = ROOT / "build/foreign/node"
    lock = (HERE / "package-lock.json").read_bytes()
    stamp = folder / "node_modules/installed"
    if not stamp.exists() or stamp.read_bytes() != lock:
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("package.json", "package-lock.json"):
            shutil.copy(HERE / name, folder / name)
        try:
            done = run([npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--fetch-retries=1", "--fetch-retry-mintimeout=1000"],
                       cwd=folder)
        except subprocess.TimeoutExpired:
            pytest.skip("npm's packages cannot be had here: no answer")
        if done.returncode != 0:
            said = [line for line in done.stderr.splitlines() if "error" in line.lower()]
            pytest.skip(f"npm's packages cannot be had here: {(said or ['no reason given'])[0][:120]}")
        stamp.write_bytes(lock)
    return {"command": [node, HERE / "reader.cjs"], "cwd": folder}


@pytest.fixture(scope="module")
def cosigned(made):
    """The notes and proofs again, each checkpoint with the lines of two witnesses that none of the readers knows."""
    lines = (made / "cosigned").read_text().splitlines()
    return {kind: [line for line in lines if line.startswith(kind)] for kind in ("note", "proof")}


# --- Go reads a whole ledger ---

def go_read(go, made, key):
    return run([go, "read", made / "log", key])


def test_go_reads_the_ledger(go, made, vkey):
    done = go_read(go, made, vkey)
    assert done.returncode == 0, done.stderr
    size, root = done.stdout.split()
    assert int(size) == SIZE
    assert base64.b64decode((made / "log/checkpoint").read_text().split("\n")[2]).hex() == root


def test_go_refuses_another_key(go, made, vkey):
    name, key_id, key = vkey.split("+", 2)
    other = bytes([1]) + bytes(range(32))
    other_id = hashlib.sha256(name.encode() + b"\n" + other).hexdigest()[:8]
    assert go_read(go, made, f"{name}+{other_id}+{base64.b64encode(other).decode()}").returncode == 1
    assert go_read(go, made, f"{name}x+{key_id}+{key}").returncode == 1


@pytest.mark.parametrize("name", ["checkpoint", "tile/0/000", "tile/0/273.p/112", "tile/1/000", "tile/1/001.p/17", "tile/2/000.p/1",
                                  "tile/entries/000", "tile/entries/200", "tile/entries/273.p/112"])
def test_go_refuses_an_altered_file(go, made, vkey, name):
    file = made / "log" / name
    whole = file.read_bytes()
    chance = random.Random(name)
    try:
        for at in [0, len(whole) - 4, *(chance.randrange(len(whole) - 3) for _ in range(4))]:
            file.write_bytes(whole[:at] + bytes([whole[at] ^ 1 << chance.randrange(8)]) + whole[at + 1:])
            assert go_read(go, made, vkey).returncode == 1, f"octet {at} of {name}"
        file.write_bytes(whole[:-1])
        assert go_read(go, made, vkey).returncode == 1, f"{name} without its last octet"
        file.unlink()
        assert go_read(go, made, vkey).returncode == 1, f"no {name}"
    finally:
        file.write_bytes(whole)
    assert go_read(go, made, vkey).returncode == 0


# --- both judge genuine and altered cases ---

def test_all_take_what_is_true(go, cases):
    everything = [line for kind in cases.values() for line in kind]
    assert all(ours(everything))
    assert all(answers([go, "judge"], everything))


def test_sigstore_takes_what_is_true(sigstore, cases):
    assert all(answers(sigstore["command"], cases["proof"], cwd=sigstore["cwd"]))


def test_all_take_what_witnesses_cosigned(go, sigstore, cosigned):
    """Lines by keys that they do not know change nothing for them."""
    everything = cosigned["note"] + cosigned["proof"]
    assert len(cosigned["proof"]) > 50
    assert all(ours(everything))
    assert all(answers([go, "judge"], everything))
    assert all(answers(sigstore["command"], cosigned["proof"], cwd=sigstore["cwd"]))


def flip(chance, digits):
    """A bit of octets in hexadecimal."""
    octets = bytearray.fromhex(digits)
    octets[chance.randrange(len(octets))] ^= 1 << chance.randrange(8)
    return octets.hex()


def altered_paths(chance, path):
    """Lists of hashes that differ from this one."""
    hashes = [] if path == "-" else path.split(",")
    for i in range(len(hashes)):
        yield hashes[:i] + [flip(chance, hashes[i])] + hashes[i + 1:]
        yield hashes[:i] + hashes[i + 1:]
        yield hashes[:i] + [hashes[i]] + hashes[i:]
        if i and hashes[i] != hashes[i - 1]:
            yield hashes[:i - 1] + [hashes[i], hashes[i - 1]] + hashes[i + 1:]
    yield hashes + ["00" * 32]
    yield ["00" * 32] + hashes


def altered(chance, line):
    """The case with one thing changed: number, hash, path. None of them is valid."""
    kind, a, b, first, second, path = line.split(" ")
    for hashes in altered_paths(chance, path):
        yield " ".join([kind, a, b, first, second, ",".join(hashes) or "-"])
    for wrong in {int(a) + 1, int(a) - 1, int(a) ^ 2, int(b)} - {int(a)}:
        if wrong >= 0:
            yield f"{kind} {wrong} {b} {first} {second} {path}"
    # A path may fit several sizes, so another size alone is not a forgery: its root is signed with it. Both must give the same verdict on these.
    for wrong in (int(b) + 1, int(b) - 1, int(b) * 2, int(a)):
        yield f"{kind} {a} {max(wrong, 0)} {first} {second} {path}"
    yield f"{kind} {a} {b} {flip(chance, first)} {second} {path}"
    yield f"{kind} {a} {b} {first} {flip(chance, second)} {path}"


@pytest.mark.parametrize("kind", ["record", "tree"])
def test_go_and_we_say_the_same_of_altered_proofs(go, cases, kind):
    chance = random.Random(kind)
    lines = [wrong for line in cases[kind] for wrong in altered(chance, line)]
    we, they = ours(lines), answers([go, "judge"], lines)
    assert len(lines) > 1000
    assert [line for line, a, b in zip(lines, we, they) if a != b] == []
    true = {tuple(line.split(" ")[i] for i in (1, 3, 4, 5)) for line in cases[kind]}
    for line, taken in zip(lines, we):
        words = line.split(" ")
        assert not taken or tuple(words[i] for i in (1, 3, 4, 5)) in true, line  # only the size differs


def test_go_and_we_say_the_same_of_altered_notes(go, cases):
    lines, chance = [], random.Random("note")
    for number, line in enumerate(cases["note"]):
        kind, key, digits = line.split(" ")
        octets = bytes.fromhex(digits)
        bits = range(8 * len(octets)) if number == 0 else chance.sample(range(8 * len(octets)), 60)
        for bit in bits:
            wrong = bytearray(octets)
            wrong[bit // 8] ^= 1 << bit % 8
            lines.append((octets, f"{kind} {key} {wrong.hex()}"))
        for wrong in (octets[:-1], octets + b"\n", octets + b" ", octets.replace(b"\n\n", b"\n"), b"\n" + octets, octets[octets.index(b"\n\n"):]):
            lines.append((octets, f"{kind} {key} {wrong.hex()}"))
    we, they = ours([line for _, line in lines]), answers([go, "judge"], [line for _, line in lines])
    assert len(lines) > 1500 and not any(we)
    lax = [(whole, bytes.fromhex(line.split(" ")[2])) for (whole, line), taken in zip(lines, they) if taken]
    for whole, taken in lax:
        # Go's base64 ignores the unused bits of the last digit; the octets are the same.
        text, _, signature = whole.rpartition(b"\n\n")
        assert taken.rpartition(b"\n\n")[0] == text
        assert base64.b64decode(taken.split()[-1]) == base64.b64decode(whole.split()[-1])
        assert taken.rpartition(b"\n\n")[2][:-5] == signature[:-5]
    assert len(lax) <= 4 * len(cases["note"])


def test_go_and_we_say_the_same_of_altered_cosigned_notes(go, cosigned):
    """A bit of a line by an unknown key: both still accept the note, unless it is no longer a note."""
    _, key, digits = cosigned["note"][-1].split(" ")
    octets = bytes.fromhex(digits)
    lines, begin = [], octets.index(b"\n", octets.index(b"\n\n") + 2) + 1
    for bit in range(8 * begin, 8 * len(octets)):
        wrong = bytearray(octets)
        wrong[bit // 8] ^= 1 << bit % 8
        lines.append((bytes(wrong), f"note {key} {wrong.hex()}"))
    we, they = ours([line for _, line in lines]), answers([go, "judge"], [line for _, line in lines])
    assert len(lines) > 2000 and 100 < sum(we) < len(lines)
    for (wrong, _), a, b in zip(lines, we, they):
        # What Go accepts and we do not: unused bits of the last base64 digit, as above, and DEL in a name, which would reach terminals.
        assert a == b or (b and (b"\x7f" in wrong or not b64_strict(wrong))), wrong


def b64_strict(note):
    """Whether each signature is in the canonical encoding of its octets."""
    blobs = [line.split(b" ")[2] for line in note.splitlines() if line.startswith(DASH.encode()) and line.count(b" ") == 2]
    return all(base64.b64encode(base64.b64decode(blob)) == blob for blob in blobs)


def proof_file(file):
    """(lines of the head, note) of a .tlog-proof"""
    head, note = bytes.fromhex(file).decode().split("\n\n", 1)
    return head.split("\n"), note


def proof_line(key, entry, head, note):
    return f"proof {key} {entry} " + ("\n".join(head) + "\n\n" + note).encode().hex()


def altered_proofs(chance, cases):
    for line in cases:
        _, key, entry, file = line.split(" ")
        head, note = proof_file(file)
        path = ",".join(base64.b64decode(h).hex() for h in head[2:]) or "-"
        index = int(head[1].split(" ")[1])
        for hashes in altered_paths(chance, path):
            yield proof_line(key, entry, head[:2] + [base64.b64encode(bytes.fromhex(h)).decode() for h in hashes], note)
        for wrong in {index + 1, index ^ 1, index + SIZE}:
            yield proof_line(key, entry, [head[0], f"index {wrong}", *head[2:]], note)
        yield proof_line(key, flip(chance, entry), head, note)
        yield proof_line(key, entry[:-2], head, note)
        text, signature = note.split("\n\n")
        name, size, root = text.split("\n")
        for wrong in ((name, str(int(size) + 1), root), (name, str(int(size) - 1), root), (name + "x", size, root),
                      (name, size, base64.b64encode(bytes(32)).decode())):
            yield proof_line(key, entry, head, "\n".join(wrong) + "\n\n" + signature)
        blob = base64.b64decode(signature.split(" ")[2])
        for _ in range(6):
            wrong = base64.b64encode(bytes.fromhex(flip(chance, blob.hex()))).decode()
            yield proof_line(key, entry, head, f"{text}\n\n{DASH}{name} {wrong}\n")
        yield proof_line(key, entry, head, text + "\n\n")


def test_go_refuses_altered_proof_files(go, cases):
    lines = list(altered_proofs(random.Random("go"), cases["proof"]))
    assert len(lines) > 1000
    assert not any(ours(lines))
    assert not any(answers([go, "judge"], lines))


def test_sigstore_refuses_altered_proof_files(sigstore, cases):
    lines = list(altered_proofs(random.Random("sigstore"), cases["proof"]))
    assert len(lines) > 1000
    assert not any(ours(lines))
    assert not any(answers(sigstore["command"], lines, cwd=sigstore["cwd"]))
