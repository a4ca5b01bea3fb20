"""plaingate-witness as a client sees it: over HTTP, in a network namespace of its own, killed at any moment.

The log here is a second implementation: trees, proofs and signatures by the recursion of RFC 9162 and python3-cryptography, so
that nothing is checked by the code that made it.
"""
import base64
import ctypes
import hashlib
import http.client
import os
import random
import re
import signal
import socket
import struct
import subprocess
import threading
import time
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from kit import wait_for

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("PLAINGATE_LAB_BUILD", ROOT / "build"))
PROGRAM = BUILD / "src/proc/witness/plaingate-witness"
PORT = 7380
SIZE_TYPE = "text/x.tlog.size"
DASH = "\u2014 "
libc = ctypes.CDLL(None, use_errno=True)


# --- a log ---

def sha256(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def root(leaves):
    if not leaves:
        return sha256()
    if len(leaves) == 1:
        return leaves[0]
    k = 1 << (len(leaves) - 1).bit_length() - 1
    return sha256(b"\1", root(leaves[:k]), root(leaves[k:]))


def subproof(m, leaves, whole):
    n = len(leaves)
    if m == n:
        return [] if whole else [root(leaves)]
    k = 1 << (n - 1).bit_length() - 1
    if m <= k:
        return subproof(m, leaves[:k], whole) + [root(leaves[k:])]
    return subproof(m - k, leaves[k:], False) + [root(leaves[:k])]


def b64(octets):
    return base64.b64encode(octets).decode()


def raw(public_key):
    return public_key.public_bytes(Encoding.Raw, PublicFormat.Raw)


class Log:
    """A log with any number of histories; two agree in the leaves before `fork`."""

    def __init__(self, origin, seed=1, fork=9, name=None):
        self.origin, self.fork, self.name = origin, fork, name or origin
        self.key = Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32)
        public = raw(self.key.public_key())
        self.id = sha256(self.name.encode(), b"\n\1", public)[:4]
        self.vkey = f"{self.name}+{self.id.hex()}+{b64(bytes([1]) + public)}"

    def leaves(self, size, history=0):
        return [sha256(b"\0", struct.pack("!II", i, history if i >= self.fork else 0)) for i in range(size)]

    def note(self, size, history=0, root_hash=None):
        text = f"{self.origin}\n{size}\n{b64(root_hash or root(self.leaves(size, history)))}\n"
        return f"{text}\n{DASH}{self.name} {b64(self.id + self.key.sign(text.encode()))}\n"

    def request(self, old, size, history=0, note=None, proof=None):
        if proof is None:
            proof = subproof(old, self.leaves(size, history), True) if 0 < old <= size else []
        return "".join([f"old {old}\n", *[b64(h) + "\n" for h in proof], "\n", note or self.note(size, history)]).encode()

    @property
    def path(self):
        return f"/{sha256(self.origin.encode()).hex()}/checkpoint"


def cosigned_at(vkey, note, line):
    """The time of a cosignature over the note's text; InvalidSignature or AssertionError if it is not valid."""
    name, key_id, key = vkey.split("+", 2)
    public = base64.b64decode(key)
    assert public[0] == 4 and sha256(name.encode(), b"\n", public)[:4].hex() == key_id
    assert line.startswith(f"{DASH}{name} ") and line.endswith("\n") and line.count("\n") == 1
    blob = base64.b64decode(line.split(" ")[2])
    assert len(blob) == 76 and blob[:4].hex() == key_id
    seconds = struct.unpack("!Q", blob[4:12])[0]
    text = note[:note.rindex("\n\n") + 1]
    Ed25519PublicKey.from_public_bytes(public[1:]).verify(blob[12:], f"cosignature/v1\ntime {seconds}\n{text}".encode())
    return seconds


# --- a witness in its own network ---

class Network:
    def __init__(self, name):
        self.name = name
        subprocess.run(["ip", "netns", "add", name], check=True)
        subprocess.run(["ip", "-n", name, "link", "set", "lo", "up"], check=True)

    def close(self):
        subprocess.run(["ip", "netns", "del", self.name], check=True)

    def socket(self):
        """A socket of that network, made by a thread that enters it for a moment."""
        made = []

        def enter():
            with open(f"/run/netns/{self.name}", "rb") as ns:
                if libc.setns(ns.fileno(), 0x40000000) == 0:
                    made.append(socket.socket(socket.AF_INET, socket.SOCK_STREAM))

        thread = threading.Thread(target=enter)
        thread.start()
        thread.join()
        return made[0]


class Connection(http.client.HTTPConnection):
    def __init__(self, network, source="127.0.0.1", timeout=10):
        super().__init__("127.0.0.1", PORT, timeout=timeout)
        self.network, self.source = network, source

    def connect(self):
        self.sock = self.network.socket()
        self.sock.settimeout(self.timeout)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock.bind((self.source, 0))
        self.sock.connect(("127.0.0.1", PORT))


class Witness:
    def __init__(self, network, directory, logs, name="witness.example/one"):
        self.network, self.directory, self.logs = network, directory, logs
        self.key, self.db, self.log_file = directory / "key", directory / "db", directory / "log"
        self.process, self.environment = None, {}
        self.vkey = subprocess.run([PROGRAM, "--key", self.key, "--new-key", name], check=True, capture_output=True,
                                   text=True).stdout.strip()

    def command(self, *options, key=None, db=None, listen=f"127.0.0.1:{PORT}"):
        return ["ip", "netns", "exec", self.network.name, PROGRAM, "--key", key or self.key, "--db", db or self.db, "--listen", listen,
                *[word for log in self.logs for word in ("--log", log.vkey)], *options]

    def start(self, *options):
        said = self.log_file.stat().st_size if self.log_file.exists() else 0
        with open(self.log_file, "ab") as out:
            # `ip netns exec` becomes the program, so the pid is the witness's own
            self.process = subprocess.Popen([str(w) for w in self.command(*options)], stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                                            env={**os.environ, **self.environment})
        end = time.monotonic() + 30
        while b"listening on" not in self.log_file.read_bytes()[said:]:
            assert self.process.poll() is None and time.monotonic() < end, self.log_file.read_text()
            time.sleep(0.01)
        return self

    def kill(self, how=signal.SIGKILL):
        if self.process and self.process.poll() is None:
            self.process.send_signal(how)
        if self.process:
            self.process.wait(10)

    def connection(self, **kwargs):
        return Connection(self.network, **kwargs)

    def ask(self, method, path, body=None, connection=None, headers=None):
        """(status, text, headers)"""
        c = connection or self.connection()
        try:
            c.request(method, path, body=body, headers=headers or {})
            answer = c.getresponse()
            return answer.status, answer.read().decode(), answer.headers
        finally:
            if not connection:
                c.close()

    def post(self, body, connection=None):
        status, text, _ = self.ask("POST", "/add-checkpoint", body, connection)
        return status, text

    def seen(self, log):
        """The size in the note that monitors receive, None if there is none; both signatures in it are checked."""
        status, note, _ = self.ask("GET", log.path)
        if status == 404:
            return None
        assert status == 200
        text, lines = note.rsplit("\n\n", 1)
        origin, size, _ = (text + "\n").splitlines()
        assert origin == log.origin
        by_log, by_witness = lines.splitlines(keepends=True)
        blob = base64.b64decode(by_log.split(" ")[2])
        log.key.public_key().verify(blob[4:], (text + "\n").encode())
        cosigned_at(self.vkey, note, by_witness)
        return int(size)


@pytest.fixture(scope="module")
def network():
    assert os.geteuid() == 0, "namespaces need root"
    assert PROGRAM.exists(), f"{PROGRAM} is not built"
    n = Network(f"pgw{os.getpid()}")
    try:
        yield n
    finally:
        n.close()


@pytest.fixture
def log():
    return Log("log.example/one")


@pytest.fixture
def witness(network, tmp_path, log):
    w = Witness(network, tmp_path, [log, Log("log.example/two", seed=2)])
    try:
        yield w
    finally:
        w.kill()


# --- tests ---

def test_a_log_that_grows(witness, log):
    witness.start()
    assert witness.seen(log) is None
    before, old = int(time.time()), 0
    c = witness.connection()  # one connection for all
    for size in (0, 0, 1, 2, 2, 7, 8, 20, 33, 33):
        status, line, headers = witness.ask("POST", "/add-checkpoint", log.request(old, size), c)
        assert status == 200 and headers["Content-Type"].startswith("text/plain"), line
        assert before <= cosigned_at(witness.vkey, log.note(size), line) <= time.time() + 1
        with pytest.raises(InvalidSignature):
            cosigned_at(witness.vkey, log.note(size, root_hash=bytes(32)), line)
        assert witness.seen(log) == size
        old = size
    other = witness.logs[1]
    assert witness.seen(other) is None
    assert witness.post(other.request(0, 3))[0] == 200
    assert (witness.seen(other), witness.seen(log)) == (3, 33)
    # an orderly end, and a start from what is on the disk
    witness.kill(signal.SIGTERM)
    assert witness.process.returncode == 0
    witness.start()
    assert (witness.seen(other), witness.seen(log)) == (3, 33)


def test_every_answer(witness, log):
    witness.start("--rate", "0")
    stranger, thief = Log("log.example/unknown"), Log(log.origin, seed=3)
    assert witness.post(log.request(0, 20))[0] == 200

    def answers(body, want):
        status, text, headers = witness.ask("POST", "/add-checkpoint", body)
        assert status == want, text
        assert DASH not in text
        assert (headers["Content-Type"] == SIZE_TYPE) == (status == 409)
        assert witness.seen(log) == 20
        return text

    assert answers(log.request(0, 25), 409) == "20\n"
    assert answers(log.request(19, 25), 409) == "20\n"
    assert answers(log.request(3, 5), 409) == "20\n"
    assert answers(log.request(21, 25), 409) == "20\n"
    answers(log.request(20, 19), 400)
    answers(b"", 400)
    answers(b"old 20\n", 400)
    answers(log.request(20, 25)[:-1], 400)
    answers(log.request(20, 25).replace(b"old 20", b"old 020"), 400)
    answers(b"old 20\n" + b"A" * 43 + b"=\n" * 64 + b"\n" + log.note(25).encode(), 400)
    answers(log.request(20, 25, proof=[bytes(32)] * 64), 400)
    answers(log.request(20, 25).replace(b"\n25\n", b"\n26\n"), 403)
    answers(thief.request(20, 25), 403)
    answers(log.request(20, 25, note=log.note(25).rsplit("\n\n", 1)[0] + f"\n\n{DASH}someone AAAAAAE=\n"), 403)
    answers(stranger.request(0, 5), 404)
    answers(log.request(20, 20, history=1), 422)
    answers(log.request(20, 25, history=1), 422)
    answers(log.request(20, 25, proof=[]), 422)
    answers(log.request(20, 25, proof=subproof(20, log.leaves(25), True)[:-1]), 422)
    answers(log.request(20, 25, proof=subproof(20, log.leaves(25), True) + [bytes(32)]), 422)
    answers(log.request(20, 20, proof=[bytes(32)]), 422)
    # a contradiction signed by the log's own key is kept and reported; what strangers send is neither
    assert answers(log.request(5, 20, history=2), 409) == "20\n"  # it grew again, to other entries
    # and once for each checkpoint: anybody can invent the proofs that come with it
    said = witness.log_file.read_text()
    assert len(re.findall(r"warn: .* of 'log\.example/one' are not cosigned: .*; the request is kept", said)) == 2
    assert len(re.findall(r"warn: the key of 'log\.example/one' has signed two roots for 20 entries; the request is kept", said)) == 2
    assert "unknown" not in witness.log_file.read_text()
    status, kept, _ = witness.ask("GET", log.path.replace("checkpoint", "refused"))
    assert (status, kept.encode()) == (200, log.request(20, 20, history=1))
    assert witness.ask("GET", witness.logs[1].path.replace("checkpoint", "refused"))[0] == 404
    witness.kill(signal.SIGTERM)
    witness.start("--rate", "0")
    assert "1 logs were cosigned before; 4 refused requests" in witness.log_file.read_text()
    assert witness.post(log.request(20, 25))[0] == 200
    witness.kill(signal.SIGTERM)
    witness.start("--rate", "0")  # what is cosigned later is not evidence
    assert "1 logs were cosigned before; 3 refused requests" in witness.log_file.read_text()


def test_a_stranger_does_not_take_the_room_for_evidence(witness, log):
    """The cosigned note, as anybody can get it, with invalid proofs, more often than requests are kept; and then a genuine fork."""
    witness.start("--rate", "0")
    assert witness.post(log.request(0, 20))[0] == 200
    for i in range(120):
        assert witness.post(log.request(20, 20, proof=[i.to_bytes(32, "big")]))[0] == 422
        assert witness.post(log.request(20, 25, proof=[i.to_bytes(32, "big")]))[0] == 422
    forked = log.request(20, 30, history=1)
    assert witness.post(forked)[0] == 422
    said = witness.log_file.read_text()
    assert len(re.findall(r"warn: 25 entries of .*; the request is kept", said)) == 1
    assert len(re.findall(r"warn: 30 entries of .*; the request is kept", said)) == 1
    assert "20 entries" not in said
    assert witness.post(log.request(20, 25))[0] == 200
    assert witness.ask("GET", log.path.replace("checkpoint", "refused"))[1].encode() == forked


def test_a_log_that_falls_silent(witness, log):
    """Reported once, with its return; also for a log that was cosigned before this start, but not for one that never was."""
    witness.start("--silence", "2")
    assert witness.post(log.request(0, 3))[0] == 200
    told = re.compile(r"warn: log 'log\.example/one' has had nothing cosigned for (\d+) s")
    end = time.monotonic() + 60
    while not told.search(witness.log_file.read_text()):
        assert time.monotonic() < end, witness.log_file.read_text()
        time.sleep(0.1)
    assert int(told.search(witness.log_file.read_text())[1]) >= 2
    assert witness.post(log.request(3, 3))[0] == 200
    assert re.search(r"info: log 'log\.example/one' is cosigned again, after \d+ s", witness.log_file.read_text())
    witness.kill()
    witness.start("--silence", "2")
    while len(told.findall(witness.log_file.read_text())) < 2:
        assert time.monotonic() < end + 10, witness.log_file.read_text()
        time.sleep(0.1)
    time.sleep(1.5)
    assert len(told.findall(witness.log_file.read_text())) == 2 and "log.example/two' has" not in witness.log_file.read_text()


def test_other_requests(witness, log):
    witness.start("--rate", "0")
    assert witness.post(log.request(0, 5))[0] == 200
    large = log.request(5, 5) + b"x" * 20000
    rows = [
        ("GET", "/", None, 404), ("POST", "/", b"x", 404), ("GET", "/checkpoint", None, 404), ("GET", log.path + "/", None, 404),
        ("GET", log.path.replace("checkpoint", "Checkpoint"), None, 404), ("GET", log.path[:-12].upper() + "/checkpoint", None, 404),
        ("GET", "/" + "0" * 64 + "/checkpoint", None, 404), ("GET", "/../" + log.path, None, 404),
        ("GET", "/add-checkpoint", None, 405), ("PUT", "/add-checkpoint", b"x", 405), ("DELETE", log.path, None, 405),
        ("POST", log.path, b"x", 405), ("POST", "/add-checkpoint", large, 413), ("GET", log.path, None, 200), ("HEAD", log.path, None, 200),
    ]
    for method, path, body, want in rows:
        status, text, headers = witness.ask(method, path, body)
        assert status == want, f"{method} {path}: {status} {text}"
        assert status != 405 or headers["Allow"]
    # a body of unknown length, as long as it may be and longer
    for body, want in ((log.request(5, 6), 200), (large, 413)):
        c = witness.connection()
        c.request("POST", "/add-checkpoint", body=iter([body[i:i + 100] for i in range(0, len(body), 100)]), encode_chunked=True,
                  headers={"Transfer-Encoding": "chunked"})
        assert c.getresponse().status == want
        c.close()
    # no HTTP at all
    for octets in (b"\0" * 100, b"GET\r\n\r\n", b"POST /add-checkpoint HTTP/1.1\r\nContent-Length: -5\r\n\r\n", b"\xff" * 40000,
                   b"POST /add-checkpoint HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999999\r\n\r\n"):
        s = witness.network.socket()
        s.settimeout(1)  # an incomplete request gets no answer; its connection ends after SERVER_IDLE_S
        s.connect(("127.0.0.1", PORT))
        try:
            s.sendall(octets)
            s.shutdown(socket.SHUT_WR)
            assert b" 200 " not in s.recv(4096)
        except OSError:
            pass
        s.close()
    assert witness.seen(log) == 6 and witness.process.poll() is None


def test_killed_between_answers(witness, log):
    """What was answered is on the disk when the answer arrives: after each kill -9 the witness knows the last tree it cosigned."""
    size = 0
    for step in range(1, 21):
        witness.start()
        if size:
            assert witness.seen(log) == size
            assert witness.post(log.request(size - 1, size + 5, history=1)) == (409, f"{size}\n")
        assert witness.post(log.request(size, size + step))[0] == 200
        witness.kill()
        size += step
    witness.start()
    assert witness.seen(log) == size


def test_killed_at_any_moment(witness, log):
    """Killed while requests are in progress: what it knows afterwards is what it answered last, or the one after it."""
    rng, answered = random.Random(7380), 0
    for _ in range(15):
        witness.start("--rate", "0")
        known = witness.seen(log) or 0
        assert known in (answered, answered + 1), "a cosigned tree was forgotten, or one that was never sent is there"
        answered, stop = known, threading.Event()

        def grow():
            nonlocal answered
            c = witness.connection()
            try:
                while not stop.is_set():
                    status, text = witness.post(log.request(answered, answered + 1), c)
                    assert status == 200, text
                    answered += 1
            except (OSError, http.client.HTTPException):
                pass  # it was killed

        worker = threading.Thread(target=grow)
        worker.start()
        time.sleep(rng.uniform(0.01, 0.12))
        witness.kill()
        stop.set()
        worker.join(10)
    assert answered > 50, "too few requests between the kills to say anything"


def test_two_at_once(witness, log):
    """Requests that race for the same log: of each set from the same old size one is cosigned, whatever tree it asks for."""
    witness.start("--rate", "0", "--connections", "100")
    clients = [witness.connection() for _ in range(6)]
    size, both = 8, 0
    assert witness.post(log.request(0, size))[0] == 200
    history = None
    for _ in range(40):
        # after the fork each client asks for a history of its own until one is cosigned
        bodies = [log.request(size, size + 1 + i % 3, history=i if history is None else history) for i in range(len(clients))]
        answers, barrier = [None] * len(clients), threading.Barrier(len(clients))

        def race(i):
            barrier.wait(10)
            answers[i] = witness.post(bodies[i], clients[i])

        threads = [threading.Thread(target=race, args=(i,)) for i in range(len(clients))]
        for t in threads:
            t.start()
        for t in threads:
            t.join(10)
        winners = [i for i, answer in enumerate(answers) if answer[0] == 200]
        assert len(winners) == 1, answers
        grown = size + 1 + winners[0] % 3
        assert all(answer == (409, f"{grown}\n") for i, answer in enumerate(answers) if i != winners[0]), answers
        if history is None and grown > log.fork:
            history, both = winners[0], both + 1
        size = grown
        assert witness.seen(log) == size
    assert both == 1
    # nobody can continue a history that lost
    assert witness.post(log.request(size, size + 1, history=history + 1))[0] == 422


def test_a_disk_that_fails(witness, log, tmp_path):
    """No cosignature for what could not be synced."""
    source, shim, fail = tmp_path / "fail.c", tmp_path / "fail.so", tmp_path / "fail-now"
    source.write_text("""
        #include <errno.h>
        #include <stdlib.h>
        #include <sys/syscall.h>
        #include <unistd.h>
        static int sync_or_fail(int fd)
        {
            if (access(getenv("FAIL_SYNC"), F_OK) == 0) { errno = EIO; return -1; }
            return (int)syscall(SYS_fsync, fd);
        }
        int fsync(int fd) { return sync_or_fail(fd); }
        int fdatasync(int fd) { return sync_or_fail(fd); }
    """)
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", shim, source], check=True)
    witness.environment = {"LD_PRELOAD": str(shim), "FAIL_SYNC": str(fail)}
    if "asan" in subprocess.run(["ldd", PROGRAM], capture_output=True, text=True).stdout:
        pytest.skip("the address sanitizer wants to be the first library")
    witness.start()
    assert witness.post(log.request(0, 5))[0] == 200
    fail.touch()
    for _ in range(3):
        status, text = witness.post(log.request(5, 9))
        assert status == 500 and DASH not in text
        assert witness.seen(log) == 5
    fail.unlink()
    assert witness.post(log.request(5, 12))[0] == 200
    witness.kill()
    witness.start()
    assert witness.seen(log) == 12


def taken_connection(witness):
    """An open one. A closed one may still be counted until the server notices, and this one refused in its place."""
    for _ in range(20):
        connection = witness.connection()
        connection.connect()
        connection.sock.settimeout(0.5)
        try:
            connection.sock.recv(1)
        except TimeoutError:
            return connection
        except OSError:
            pass
        connection.close()
    raise AssertionError("the server takes no connection")


def test_limits_of_a_client(witness, log):
    witness.start("--rate", "5", "--burst", "10", "--connections", "4")
    assert witness.post(log.request(0, 5))[0] == 200
    statuses = [witness.post(log.request(5, 5))[0] for _ in range(30)]
    assert statuses[:9] == [200] * 9 and statuses.count(429) >= 15, statuses
    # another address is another client
    assert witness.post(log.request(5, 6), witness.connection(source="127.0.0.2"))[0] == 200
    time.sleep(0.5)
    assert witness.post(log.request(6, 7))[0] == 200
    # four open connections, a fifth gets no answer; the other address does
    held = [taken_connection(witness) for _ in range(4)]
    with pytest.raises((OSError, http.client.HTTPException)):
        witness.ask("GET", log.path, connection=witness.connection(timeout=2))
    status, _, _ = witness.ask("GET", log.path, connection=witness.connection(source="127.0.0.2"))
    assert status == 200
    for c in held:
        c.close()
    def seen():
        try:
            return witness.seen(log)
        except (OSError, http.client.HTTPException):  # what was closed may still be counted
            return None
    wait_for(lambda: seen() == 7, 10, "an answer")


@pytest.mark.slow
def test_clients_that_drip(witness, log):
    """A client that sends nothing is disconnected after 20 s, one that sends a little at a time after some 30 s; others are served meanwhile."""
    witness.start()
    silent, slow, headless = (witness.network.socket() for _ in range(3))
    began = time.monotonic()
    for s in (silent, slow, headless):
        s.settimeout(0.2)
        s.connect(("127.0.0.1", PORT))
    slow.sendall(b"POST /add-checkpoint HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n")
    headless.sendall(b"POST /add-checkpoint HTTP/1.1\r\nHost: ")  # a head that does not end
    ended = {}
    while len(ended) < 3 and time.monotonic() < began + 120:
        for s in (silent, slow, headless):
            if s in ended:
                continue
            try:
                if s is not silent:
                    s.sendall(b"o")
                if not s.recv(100):
                    ended[s] = time.monotonic() - began
            except TimeoutError:
                pass
            except ConnectionError:
                ended[s] = time.monotonic() - began
        assert witness.ask("GET", log.path)[0] == 404
        time.sleep(0.5)
    assert 15 < ended[silent] and 25 < ended[slow] and 25 < ended[headless] and len(ended) == 3, ended


def test_what_it_refuses_to_start_with(witness, log):
    def refused(*options, says, **kwargs):
        done = subprocess.run([str(w) for w in witness.command(*options, **kwargs)], capture_output=True, text=True, timeout=10)
        assert done.returncode == 1 and says in done.stderr, done.stderr

    witness.start()
    # its own file, held by the first
    refused(says="in use by another process", listen="127.0.0.1:0")
    refused(says="Address already in use", db=witness.directory / "db2")
    witness.kill(signal.SIGTERM)
    # a key that others may read, no key, somebody else's file, no log, a policy with a mistake
    witness.key.chmod(0o640)
    refused(says="chmod 600")
    witness.key.chmod(0o600)
    refused(says="open", key=witness.directory / "none")
    second = witness.directory / "second"
    subprocess.run([PROGRAM, "--key", second, "--new-key", "witness.example/two"], check=True, capture_output=True)
    refused(says="the file belongs to the witness 'witness.example/one", key=second)
    again = subprocess.run([PROGRAM, "--key", second, "--new-key", "x"], capture_output=True, text=True, check=False)
    assert again.returncode == 1 and "File exists" in again.stderr
    policy = witness.directory / "policy"
    policy.write_text("quorum all\n")
    refused("--policy", policy, says="line 1: found 'all'")
    witness.logs = []
    policy.write_text("quorum none\n")
    refused("--policy", policy, says="no log is configured")
    refused("--log", log.vkey[:-1], says="verifier key")
    policy.write_text(f"log {log.vkey}\nquorum none\n")
    witness.start("--policy", policy)
    assert witness.post(log.request(0, 5))[0] == 200


def test_a_log_whose_origin_is_not_the_name_of_its_key(witness):
    """As in the largest public logs: a first line with spaces, under a key of another name. No other key is accepted for it."""
    log, stranger = Log("go.sum database + tree", name="sum.example.org"), Log("go.sum database + tree", seed=2, name="sum.example.org")
    witness.logs = []
    witness.start("--log", f"{log.vkey} {log.origin}")
    assert witness.post(Log("sum.example.org").request(0, 5))[0] == 404
    assert witness.post(stranger.request(0, 5))[0] == 403
    assert witness.post(log.request(0, 5))[0] == 200
    assert witness.post(log.request(5, 9))[0] == 200
    assert witness.seen(log) == 9
    witness.kill(signal.SIGTERM)
    witness.start("--log", f"{log.vkey} {log.origin}")
    assert witness.post(log.request(9, 12))[0] == 200


def test_a_log_that_began_anew(witness, log):
    """As described in docs/witness.md: the same key under a new name is in a second policy file, and what was cosigned remains."""
    anew = Log(log.origin + "/20151217T180000Z")
    assert anew.vkey.rsplit("+", 1)[1] == log.vkey.rsplit("+", 1)[1]
    witness.logs = []
    first, second = witness.directory / "policy", witness.directory / "policy-2"
    first.write_text(f"log {log.vkey}\nquorum none\n")
    witness.start("--policy", first)
    assert witness.post(log.request(0, 5))[0] == 200
    assert witness.post(anew.request(0, 3))[0] == 404
    witness.kill(signal.SIGTERM)
    second.write_text(f"log {log.vkey}\nlog {anew.vkey}\nquorum none\n")
    done = subprocess.run([str(w) for w in witness.command("--policy", second)], capture_output=True, text=True, timeout=10)
    assert done.returncode == 1 and "put another name of this key into another file" in done.stderr, done.stderr
    second.write_text(f"log {anew.vkey}\nquorum none\n")
    witness.start("--policy", first, "--policy", second)
    assert witness.post(anew.request(0, 3))[0] == 200
    assert witness.seen(log) == 5 and witness.seen(anew) == 3
    assert witness.post(log.request(0, 6)) == (409, "5\n")
