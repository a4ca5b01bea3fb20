"""How the system tests observe a running lab: tables, captures, streams of numbered packets, memory of processes."""
import contextlib
import json
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "lab"))
from nodes import LabError, calm_time, wait_for  # noqa: E402
from two_sites import CONFIGS, GATEWAYS, TwoSites  # noqa: E402,F401

HOST_A, HOST_B, WEB, HQ_WAN, BRANCH_WAN = "10.1.0.2", "10.2.0.2", "192.0.2.80", "198.51.100.2", "203.0.113.2"
HOST_A6, HOST_B6 = "fd00:1::2", "fd00:2::2"
LAN_FILTER = "net 10.0.0.0/8 or net fd00::/8"
PROCESSES = ("keeper", "ike", "dataplane", "ledger", "control", "entropy", "courier", "export", "resolver", "certifier-openssl", "certifier-gnutls", "ssh")


def own_lab(name, kind=TwoSites):
    """A lab for this run only, so that parallel runs do not collide. What a killed run left behind is taken down first."""
    for left in (ROOT / "lab/.state").glob(f"{name}-[0-9]*"):
        if not os.path.exists(f"/proc/{left.name.rsplit('-', 1)[1]}"):
            kind(f"{left.name}-").down()
    return kind(f"{name}-{os.getpid()}-")


# Of a fixture of a lab: every test runs with one worker, then with two.
BY_WORKERS = {"scope": "module", "params": [1, 2], "ids": lambda n: f"{n} workers"}


@contextlib.contextmanager
def lab_by_workers(name, workers):
    """A lab with two sites that is up; in the end hq's ledger is verified."""
    lab = own_lab(name)
    lab.workers = workers
    try:
        lab.up("on")
        yield lab
        verify_ledger(lab, "hq")
    finally:
        lab.down()


# --- what the gateway reports ---

def show(lab, gateway, table, *options):
    return lab.show(gateway, table, *options)


def counter(lab, gateway, name):
    """A counter by its name, or the drops for a reason."""
    values = {row["counter"]: int(row["value"]) for row in show(lab, gateway, "counters")}
    assert name in values or f"drop-{name}" in values, f"there is no counter {name}"
    return values[name] if name in values else values[f"drop-{name}"]


def drops(lab, gateway):
    """Non-zero counters, for the text of a failed assertion."""
    return {row["counter"]: row["value"] for row in show(lab, gateway, "counters") if int(row["value"])}


def hits(lab, gateway):
    return {row["rule"]: int(row["hits"]) for row in show(lab, gateway, "policy")}


def processes(lab, gateway):
    """{name: (pid on this machine, restarts)}"""
    for _ in range(20):
        try:
            return {row["process"]: (host_pid(lab[gateway], int(row["pid"])), int(row["restarts"]))
                    for row in show(lab, gateway, "status") if int(row["pid"])}
        except NoProcess:  # it ended after the table was made
            time.sleep(0.05)
    raise LabError(f"{gateway} shows processes that are not there")


class NoProcess(LabError):
    """A process of the table is not there."""


def host_pid(node, pid):
    """The pid on this machine of the process that has this pid on the node."""
    ours = os.stat(f"/proc/{node.holder()}/ns/pid").st_ino
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                if os.stat(f"/proc/{entry}/ns/pid").st_ino == ours:
                    numbers = re.search(r"^NSpid:\s+(.*)$", Path(f"/proc/{entry}/status").read_text(), re.M)[1].split()
                    if int(numbers[-1]) == pid:
                        return int(entry)
            except (FileNotFoundError, ProcessLookupError, PermissionError):  # ended meanwhile, or unknown
                continue
    raise NoProcess(f"{node.name} has no process {pid}")


def verify_ledger(lab, gateway):
    directory = show(lab, gateway, "ledger")[0]["directory"]
    done = lab[gateway].run(["plaingate", "verify", "ledger", directory], check=False)
    assert done.returncode == 0, f"ledger of {gateway}: {done.stdout}{done.stderr}"


def config_of(gateway, *changes):
    """The lab's configuration with each (old, new) replaced; each old text must occur."""
    text = (CONFIGS / f"{gateway}.conf").read_text(encoding="utf-8")
    for old, new in changes:
        assert old in text, f"{gateway}.conf holds no {old!r}"
        text = text.replace(old, new, 1)
    return text


def tracing(lab, arguments, gateway="hq"):
    """`plaingate trace`, once it follows packets."""
    trace = lab[gateway].popen(f"plaingate trace {arguments}", stdout=subprocess.PIPE, text=True)
    wait_for(lambda: counter(lab, gateway, "traces-now") or trace.poll() is not None, 10, "the trace to begin")
    return trace


# --- captures ---

class Capture:
    """tcpdump on a node's interface during the block; afterwards frames, lines and a search."""
    made = 0

    def __init__(self, lab, node, interface, filter_="", octets=0):
        """octets: maximum captured of each packet, 0 for all; many small packets fit the kernel's buffer only with a limit."""
        Capture.made += 1
        self.octets = octets
        self.node, self.interface, self.filter = lab[node], interface, filter_
        self.file = lab.state / f"capture-{Capture.made}.pcap"

    def __enter__(self):
        self.tcpdump = self.node.popen(["tcpdump", "-i", self.interface, "--immediate-mode", "-s", str(self.octets), "-B", "65536", "-U",
                                        "-Z", "root", "-w", str(self.file), *self.filter.split()], stderr=subprocess.PIPE, text=True)
        for line in self.tcpdump.stderr:
            if "listening on" in line:
                return self
        raise LabError("tcpdump did not start")

    def __exit__(self, *_):
        time.sleep(0.3)
        self._read_out()
        self.tcpdump.terminate()
        said = self.tcpdump.stderr.read()
        self.tcpdump.wait(10)
        lost = re.search(r"(\d+) packets? dropped by kernel", said)
        self.lost = int(lost[1]) if lost else 0

    def _read_out(self):
        """Until tcpdump has read what the kernel has for it: of a busy machine's processors it may have had none for a while."""
        same, before = 0, None
        while self.tcpdump.poll() is None and same < 3:
            self.tcpdump.send_signal(signal.SIGUSR1)  # it tells how many there are
            said = re.search(r"(\d+) packets? captured, (\d+) packets? received", self.tcpdump.stderr.readline())
            if not said or int(said[1]) >= int(said[2]):
                return
            same = same + 1 if said[0] == before else 0
            before = said[0]
            time.sleep(0.1)

    def wait(self, n=1, filter_="", what="packets in the capture"):
        """During the block: until so many are in the file, which tcpdump writes packet by packet."""
        def there():
            said = self.node.run(["tcpdump", "-nn", "-r", str(self.file), filter_], check=False).stdout  # the last may be there in part
            return sum(not line.startswith("\t") for line in said.splitlines()) >= n
        wait_for(there, 10, f"{n} {what}")

    def lines(self, filter_="", *options):
        return self.node.run(["tcpdump", "-nn", *options, "-r", str(self.file), filter_]).stdout.splitlines()

    def count(self, filter_=""):
        return len([line for line in self.lines(filter_) if not line.startswith("\t")])

    def holds(self, octets):
        return octets in self.file.read_bytes()

    def frames(self):
        """(seconds, octets) of each frame."""
        data = self.file.read_bytes()
        at = 24
        while at + 16 <= len(data):
            sec, frac, n, _ = struct.unpack_from("<IIII", data, at)
            yield sec + frac / 1e6, data[at + 16:at + 16 + n]
            at += 16 + n

    def esp(self):
        """(SPI, sequence number, packet from the SPI on) of each ESP packet in UDP or plain, IPv4 outside. Only for links
        without offloads: with them one frame may hold several."""
        for _, frame in self.frames():
            if frame[12:14] != b"\x08\x00":
                continue
            ip = frame[14:]
            head, total = (ip[0] & 15) * 4, struct.unpack_from("!H", ip, 2)[0]
            body = ip[head:total]
            if ip[9] == 17 and 4500 in struct.unpack_from("!HH", body) and body[8:12] != b"\0\0\0\0" and len(body) > 16:
                body = body[8:]
            elif ip[9] != 50:
                continue
            yield struct.unpack_from("!II", body) + (body,)


# --- streams of numbered packets ---

SO_RCVBUFFORCE = 33  # not in Python's socket


class UdpStream:
    """Numbered datagrams from one node to another at a steady rate, each answered: what is lost, and the longest pause between answers."""

    def __init__(self, lab, source, sink, address, port=5201, rate=500, size=200):
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self.out = lab[source].socket(family, socket.SOCK_DGRAM)
        self.server = lab[sink].socket(family, socket.SOCK_DGRAM)
        self.server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        for s in (self.out, self.server):
            s.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 1 << 22)
            s.settimeout(0.1)
        self.server.bind(("::" if family == socket.AF_INET6 else "0.0.0.0", port))
        self.to, self.rate, self.size = (address, port), rate, size
        self.sent, self.arrived, self.answered, self.peers = [], {}, {}, set()
        self.running = True
        self.threads = [threading.Thread(target=work, daemon=True) for work in (self._send, self._serve, self._answers)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self, drain=0.5):
        """Stops sending and waits for what is in flight; for several streams, stop each before waiting."""
        if self.running:
            self.sending = False
            self.threads[0].join()
            self.stopped = self.stopped or time.monotonic()
            time.sleep(max(self.stopped + drain - time.monotonic(), 0))
            # On a busy machine, packets that are not lost may arrive even later: until none has come for a while.
            came, until = 0, self.stopped + drain + 5
            while self.lost() and time.monotonic() < until:
                if len(self.answered) != came:
                    came, until = len(self.answered), time.monotonic() + 5
                time.sleep(0.05)
            self.running = False
            for thread in self.threads[1:]:
                thread.join()
            self.out.close()
            self.server.close()

    sending, stopped = True, None

    def hush(self):
        """Stops sending."""
        self.sending = False
        self.threads[0].join()
        self.stopped = time.monotonic()

    def _send(self):
        start, n = time.monotonic(), 0
        while self.sending:
            now = time.monotonic()
            while n < (now - start) * self.rate:
                self.sent.append(time.monotonic())
                try:
                    self.out.sendto(struct.pack("!Q", n).ljust(self.size, b"+"), self.to)
                except OSError:  # an ICMP error of an earlier one
                    pass
                n += 1
            time.sleep(0.5 / self.rate)

    def _serve(self):
        while self.running:
            try:
                data, peer = self.server.recvfrom(65536)
                self.arrived.setdefault(struct.unpack_from("!Q", data)[0], []).append(time.monotonic())
                self.peers.add(peer[:2])
                self.server.sendto(data, peer)
            except OSError:
                continue

    def _answers(self):
        while self.running:
            try:
                data = self.out.recv(65536)
                self.answered.setdefault(struct.unpack_from("!Q", data)[0], []).append(calm_time())
            except OSError:
                continue

    def wait_flowing(self, timeout=30):
        """The limit is beyond a handshake that meets the other side's commit: it is repeated when IKE_AUTH had no answer for 40 s."""
        before = len(self.answered)
        wait_for(lambda: len(self.answered) >= before + 20, timeout, "answers of the UDP stream", pause=0.02)

    def lost_where(self):
        """What is lost, in words: on the way there or back, and when it was sent."""
        lost, there = self.lost(), [n for n in self.lost() if n not in self.arrived]
        return f"{len(lost)} of {len(self.sent)} lost, {len(there)} on the way there; sent at {[round(self.sent[n] - self.sent[0], 3) for n in lost[:9]]} s"

    def lost(self):
        """Numbers without an answer."""
        return [n for n in range(len(self.sent)) if n not in self.answered]

    def twice(self):
        return [n for n, times in list(self.arrived.items()) if len(times) > 1]

    def longest_silence(self):
        """The longest time between two answers, by calm_time()."""
        times = sorted(at for all_ in self.answered.values() for at in all_)
        return max((b - a for a, b in zip(times, times[1:])), default=float("inf"))


class TcpStream:
    """One TCP connection that echoes numbered blocks until it is stopped; every octet is compared."""

    def __init__(self, lab, source, sink, address, port=5202):
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self.listener = lab[sink].socket(family, socket.SOCK_STREAM)
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind(("::" if family == socket.AF_INET6 else "0.0.0.0", port))
        self.listener.listen()
        self.listener.settimeout(30)
        self.out = lab[source].socket(family, socket.SOCK_STREAM)
        self.out.settimeout(30)
        self.out.connect((address, port))
        self.server, self.peer = self.listener.accept()
        self.server.settimeout(60)
        self.out.settimeout(60)
        self.blocks, self.failure, self.times, self.running = 0, None, [], True
        self.threads = [threading.Thread(target=work, daemon=True) for work in (self._echo, self._ask)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def _echo(self):
        try:
            while data := self.server.recv(65536):
                self.server.sendall(data)
        except OSError as error:
            if self.running:
                self.failure = self.failure or f"server: {error}"

    def _ask(self):
        try:
            while self.running:
                block = struct.pack("!Q", self.blocks) * 512
                self.out.sendall(block)
                got = b""
                while len(got) < len(block):
                    part = self.out.recv(len(block) - len(got))
                    if not part:
                        raise OSError("the connection ended")
                    got += part
                if got != block:
                    raise OSError(f"block {self.blocks} came back changed")
                self.blocks += 1
                self.times.append(calm_time())
                time.sleep(0.005)
        except OSError as error:
            self.failure = self.failure or f"client: {error}"

    def stop(self):
        self.running = False
        self.threads[1].join(20)
        self.out.close()
        self.threads[0].join(20)
        self.server.close()
        self.listener.close()

    def abandon(self):
        """Ends both threads at once, for a connection that is stuck."""
        self.running = False
        for s in (self.out, self.server):
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def wait_flowing(self, timeout=30):
        before = self.blocks
        wait_for(lambda: self.failure or self.blocks >= before + 5, timeout, "the TCP stream to move", pause=0.02)
        assert not self.failure, self.failure

    def longest_silence(self):
        return max((b - a for a, b in zip(self.times, self.times[1:])), default=float("inf"))


def falls_silent(count, seconds=0.5, timeout=10):
    """Waits until count() has not changed for so long; what was on its way may still come before."""
    last, since = count(), time.monotonic()

    def still():
        nonlocal last, since
        if count() != last:
            last, since = count(), time.monotonic()
        return time.monotonic() - since >= seconds
    wait_for(still, timeout, "nothing more to come")


# --- single connections and frames ---

def connect(lab, node, address, port, timeout=10, bind=None):
    """A connected socket of the node, or the exception raised instead."""
    s = lab[node].socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
    s.settimeout(timeout)
    try:
        if bind:
            s.bind(bind)
        s.connect((address, port))
        return s
    except OSError as error:
        s.close()
        return error


def listener(lab, node, port, kind=socket.SOCK_STREAM, family=socket.AF_INET):
    s = lab[node].socket(family, kind)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind(("", port))
    s.settimeout(10)
    if kind == socket.SOCK_STREAM:
        s.listen()
    return s


@contextlib.contextmanager
def serving(lab, node, port, n=200000, family=socket.AF_INET6):
    """A TCP server that says whom it sees and n octets more, and reads until the client ends. Yields a list of how many octets each has sent."""
    server, read = listener(lab, node, port, family=family), []
    server.settimeout(None)

    def work():
        while True:
            try:
                peer, address = server.accept()
                with peer:
                    peer.sendall(address[0].encode() + b" " + bytes(n))
                    peer.shutdown(socket.SHUT_WR)
                    total = 0
                    while more := peer.recv(1 << 16):
                        total += len(more)
                    read.append(total)
            except OSError:
                return
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        yield read
    finally:
        server.shutdown(socket.SHUT_RDWR)  # ends accept()
        thread.join(5)
        server.close()


def ask_server(lab, node, address, port, sends=0, bind=None):
    """What a server that is serving() says to who sends it so many octets."""
    s = connect(lab, node, address, port, bind=bind)
    assert isinstance(s, socket.socket), (s, drops(lab, "hq"))
    data = b""
    with s:
        s.settimeout(20)
        sender = threading.Thread(target=lambda: (s.sendall(bytes(sends)), s.shutdown(socket.SHUT_WR)), daemon=True)
        sender.start()
        while more := s.recv(1 << 16):
            data += more
        sender.join(20)
    return data


def is_refused(lab, node, address, port=5203):
    """Does an ICMP error come for a datagram of IPv6 to a port where nobody listens?"""
    with lab[node].socket(socket.AF_INET6, socket.SOCK_DGRAM) as s:
        s.settimeout(3)
        s.connect((address, port))
        s.send(b"nobody listens")
        try:
            s.recv(64)
        except ConnectionRefusedError:
            return True
        except TimeoutError:
            pass
    return False


def own_mac(lab, node, interface="eth0"):
    return lab[node].run(f"cat /sys/class/net/{interface}/address").stdout.strip()


def send_frames(lab, node, frames, interface="eth0"):
    with lab[node].socket(socket.AF_PACKET, socket.SOCK_RAW) as s:
        s.bind((interface, 0))
        for frame in frames:
            s.send(bytes(frame))


# --- memory of a process ---

def holes_left_out(pid, span, offset, size):
    """The ranges of a memory-mapped file that have contents, as (first, last) from the start of the mapping. Holes were never written;
    reading them through the process would fill them."""
    file = os.open(f"/proc/{pid}/map_files/{span}", os.O_RDONLY)
    try:
        at = offset
        while at < offset + size:
            try:
                first = os.lseek(file, at, os.SEEK_DATA)
            except OSError:  # nothing after it
                return
            if first >= offset + size:
                return
            at = os.lseek(file, first, os.SEEK_HOLE)
            yield first - offset, min(at - offset, size)
    finally:
        os.close(file)


def memory(pid, own_only=False, shared_only=False):
    """Every readable part of a process's memory, as (start, octets); own_only: writable and not backed by a file; shared_only: memory
    files that other processes may share."""
    with open(f"/proc/{pid}/maps", encoding="utf-8") as maps, open(f"/proc/{pid}/mem", "rb", buffering=0) as mem:
        for line in maps:
            span, rights, offset, _, _, *name = line.split()
            if "r" not in rights or name[:1] in (["[vvar]"], ["[vsyscall]"], ["[vvar_vclock]"]):
                continue
            if own_only and ("w" not in rights or (name and not name[0].startswith(("[", "/memfd:")))):
                continue
            if shared_only and not (name and name[0].startswith("/memfd:")):
                continue
            start, end = (int(x, 16) for x in span.split("-"))
            parts = [(0, end - start)]
            if name and name[0].startswith("/memfd:"):
                parts = holes_left_out(pid, span, int(offset, 16), end - start)
            for first, last in parts:
                for at in range(start + first, start + last, 1 << 22):
                    try:
                        mem.seek(at)
                        part = mem.read(min(start + last - at, 1 << 22))
                    except (OSError, ValueError):
                        break
                    if part:
                        yield at, part


def memory_holds(pid, secrets):
    """Which of {name: octets} occur in the process's memory. Parts are searched with an overlap, so that none is missed at a boundary."""
    longest = max(len(s) for s in secrets.values())
    found, tail, expected = set(), b"", None
    for start, part in memory(pid):
        text = (tail if start == expected else b"") + part
        found |= {name for name, secret in secrets.items() if secret in text}
        tail, expected = part[-longest:], start + len(part)
    return found


# --- the ledger's files ---

def bundle_entries(data):
    """The entries of an entry bundle: each preceded by its length in two octets."""
    at = 0
    while at + 2 <= len(data):
        n = struct.unpack_from("!H", data, at)[0]
        yield json.loads(data[at + 2:at + 2 + n])
        at += 2 + n


def journal_records(data):
    """(index of the first entry, entries) of each whole record of the journal."""
    at = 0
    while at + 8 <= len(data):
        magic, n = struct.unpack_from("!4sI", data, at)
        if magic != b"PGJ1" or at + 8 + n > len(data):
            return
        first, count, note_n = struct.unpack_from("!QII", data, at + 8)
        entries = list(bundle_entries(data[at + 24:at + 8 + n - note_n - 32]))
        assert len(entries) == count
        yield first, entries
        at += 8 + n


def ledger_directory(lab, gateway):
    """The path of the gateway's ledger on this machine; it remains when the gateway is stopped."""
    return Path(f"/proc/{lab[gateway].holder()}/root") / show(lab, gateway, "ledger")[0]["directory"].lstrip("/")


def ledger_entries(lab, gateway):
    return entries_in(ledger_directory(lab, gateway))


def entries_in(directory):
    """The entries as objects: first those in the tiles, then those in the journal. The journal is read first: what is removed from it
    meanwhile is then in the tiles."""
    entries, bundles = [], {}
    journal = (directory / "journal").read_bytes() if (directory / "journal").exists() else b""
    for file in (p for p in (directory / "tile/entries").rglob("*") if p.is_file() and not p.name.endswith((".new", ".tmp"))):
        name = str(file.relative_to(directory / "tile/entries"))
        whole, _, width = name.partition(".p/")
        bundles.setdefault(whole, []).append((int(width) if width else 256, file))
    for whole in sorted(bundles, key=lambda name: int(re.sub(r"[^0-9]", "", name))):
        entries += bundle_entries(max(bundles[whole])[1].read_bytes())
    for first, more in journal_records(journal):
        assert first <= len(entries), f"the journal goes on at entry {first}, the tiles end at {len(entries)}"
        entries += more[len(entries) - first:]
    return entries
