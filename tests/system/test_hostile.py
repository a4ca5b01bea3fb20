"""Servers that want the worst: of lists and names for the resolver, collectors and readers of measurements for export; and disks without room. What is known stays, each says why,
nobody holds up who is honest, and no process becomes larger than its limits let it."""
import socket
import ssl
import struct
import subprocess
import threading
import time
from pathlib import Path

import pytest
from kit import config_of, own_lab, processes, show, verify_ledger, wait_for
from test_courier import Authority, NameServer
from test_metrics import AT, METRICS, OPEN
from test_session_log import lines, refused
from test_witnessed import ADDRESS

NAME = "feeds.example.org"
DISKS = ("/var/lib/plaingate/log", "/var/lib/plaingate/feeds", "/var/lib/plaingate/crls")
GOOD = b"192.0.2.0/25\n"
OK = b"HTTP/1.1 200 OK\r\n"


def endless(write, piece, first=b""):
    write(first)
    while True:
        write(piece)


def trickle(write):
    """A line of the headers a second, for as long as somebody listens."""
    write(OK)
    while True:
        time.sleep(1)
        write(b"X-More: to come\r\n")


# What a server says when it was asked, by name, and the words of the reason.
FEEDS = {
    "endless": (lambda w: endless(w, bytes(1 << 16), OK + b"\r\n"), "too long"),
    "trickle": (trickle, ""),  # its time is a minute: until then there is no reason
    "larger": (lambda w: w(OK + b"Content-Length: 99999999999\r\n\r\n1.1.1.1\n"), "too long"),
    "shorter": (lambda w: w(OK + b"Content-Length: 99\r\n\r\n" + GOOD), "TLS: the server ended the connection"),
    "two-lengths": (lambda w: w(OK + b"Content-Length: 13\r\nContent-Length: 12\r\n\r\n" + GOOD), "Content-Length"),
    "redirect": (lambda w: w(b"HTTP/1.1 302 Found\r\nLocation: https://192.0.2.80:1/\r\nContent-Length: 0\r\n\r\n"), "status 302"),
    "gzip": (lambda w: w(OK + b"Content-Encoding: gzip\r\nContent-Length: 4\r\n\r\n\x1f\x8b\x08\0"), "'gzip'"),
    "compressed": (lambda w: w(OK + b"Content-Length: 9\r\n\r\n\x1f\x8b\x08\0\0\0\0\0\0"), "line 1"),
    "headers": (lambda w: endless(w, b"X-A: b\r\n" * 999, OK), "headers are too long"),
    "header": (lambda w: endless(w, b"a" * 9999, OK + b"X: "), "too long"),
    "http2": (lambda w: w(b"\0\0\x12\x04\0\0\0\0\0" + bytes(18)), "malformed HTTP answer"),
    "chunks": (lambda w: endless(w, b"1\r\n1\r\n" * 9999, OK + b"Transfer-Encoding: chunked\r\n\r\n"), "too long"),
    "interim": (lambda w: endless(w, b"HTTP/1.1 100 Continue\r\n\r\n" * 999), "too long"),
    "closes": (lambda w: None, "ended"),
    "name": (lambda w: w(OK + b"Content-Length: 13\r\n\r\n" + GOOD), "certificate"),
    "garbage": (lambda w: None, "TLS"),
    "honest": (lambda w: w(OK + b"Content-Length: 13\r\n\r\n" + GOOD), ""),
}


class Feeds:
    """HTTPS at a port for each; `name` has the certificate of another name, `garbage` speaks no TLS."""

    def __init__(self, lab, directory):
        self.ports, self.good, self.sockets = {}, True, []
        contexts = {file: ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER) for file in ("good", "other")}
        for file, context in contexts.items():
            context.load_cert_chain(directory / f"{file}.pem", directory / f"{file}.key")
        for n, (name, (says, _)) in enumerate(FEEDS.items()):
            s = lab["web"].socket(socket.AF_INET, socket.SOCK_STREAM)
            s.bind((ADDRESS, 8500 + n))
            s.listen(9)
            self.ports[name] = 8500 + n
            self.sockets.append(s)
            threading.Thread(target=self.accept, args=(s, contexts, name, says), daemon=True).start()

    def accept(self, s, contexts, name, says):
        while True:
            try:
                peer, _ = s.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(peer, contexts, name, says), daemon=True).start()

    def serve(self, peer, contexts, name, says):
        try:
            peer.settimeout(90)
            if name == "garbage" and not self.good:
                peer.sendall(b"\x16\x03\x01" + b"\xff" * 99)
            with contexts["other" if name == "name" and not self.good else "good"].wrap_socket(peer, server_side=True) as tls:
                tls.recv(4096)
                if self.good or name in ("name", "garbage"):
                    tls.sendall(OK + b"Content-Length: 13\r\n\r\n" + GOOD)
                else:
                    says(tls.sendall)
        except OSError:
            pass

    def close(self):
        for s in self.sockets:
            s.shutdown(socket.SHUT_RDWR)
            s.close()


class Names(NameServer):
    """What it says of the names below, and the address of NAME."""

    def answers(self, query):
        at, labels = 12, []
        while query[at]:
            labels.append(query[at + 1:at + 1 + query[at]].decode())
            at += 1 + query[at]
        question, kind = query[12:at + 5], struct.unpack_from("!H", query, at + 1)[0]
        says = NAMES.get(labels[0], (None,))[0]
        if not says:
            yield from super().answers(query)
        else:
            yield from says(query[:2], question, kind)


def answer(number, question, *rows, flags=0x8180, questions=1):
    return number + struct.pack("!HHHHH", flags, questions, len(rows), 0, 0) + question + b"".join(rows)


def a_row(address, ttl=1, name=b"\xc0\x0c"):
    return name + struct.pack("!HHIH", 1, 1, ttl, 4) + socket.inet_aton(address)


def alias_row(to, name=b"\xc0\x0c"):
    return name + struct.pack("!HHIH", 5, 1, 1, len(to)) + to


def wrong_number(number, question, kind):
    for n in range(300):
        yield answer(struct.pack("!H", n), question, a_row("192.0.2.66"))


def an_answer(*rows, **more):
    return lambda number, question, kind: [answer(number, question, *(rows if kind == 1 else ()), **more)]


# Name, what is answered, its addresses, the words of the reason.
NAMES = {
    "wrong-number": (wrong_number, set(), "no answer"),
    "other-name": (an_answer(a_row("192.0.2.66", name=b"\x01x\x01y\0")), set(), ""),
    "loop": (an_answer(alias_row(b"\x01b\0"), alias_row(b"\xc0\x0c", b"\x01b\0")), set(), ""),
    "cut": (an_answer(a_row("192.0.2.1"), flags=0x8380), {"192.0.2.1"}, "cut"),
    "no-question": (lambda number, question, kind: [answer(number, b"", a_row("192.0.2.66"), questions=0)], set(), "no answer"),
    "many": (an_answer(*(a_row(f"192.0.2.{n}") for n in range(1, 73))), None, ""),
    "ttl-none": (an_answer(a_row("192.0.2.1", 0)), {"192.0.2.1"}, ""),
    "ttl-endless": (an_answer(a_row("192.0.2.1", 1 << 31)), {"192.0.2.1"}, ""),
    "honest": (an_answer(a_row("192.0.2.7")), {"192.0.2.7"}, ""),
}


@pytest.fixture(scope="module")
def lab():
    two_sites = own_lab("hst")

    def prepare(lab):
        resolv = lab["hq"].state / "resolv"
        resolv.write_text(f"nameserver {ADDRESS}\n", encoding="utf-8")
        lab["hq"].run(["mount", "--bind", resolv, "/etc/resolv.conf"])
        lab.directory = lab["web"].state / "servers"
        lab.directory.mkdir()
        authority = Authority("corp")
        authority.server(lab.directory, "good", names=(NAME,))
        authority.server(lab.directory, "other", names=("other.example.org",))
        trust = lab["hq"].state / "etc/trust"
        trust.mkdir(exist_ok=True)
        (trust / "corp.pem").write_bytes(authority.pem())
        for name in DISKS:
            lab["hq"].run(f"sh -c 'mkdir -p {name} && mount -t tmpfs -o size=4m,mode=755 tmpfs {name}'")

    try:
        two_sites.up("on", prepare=prepare)
        yield two_sites
        verify_ledger(two_sites, "hq")
    finally:
        two_sites.down()


def addresses(lab, name):
    return {r["address"] for r in show(lab, "hq", "address") if r["object"] == name}


def peak_mb(lab, process):
    return int(Path(f"/proc/{processes(lab, 'hq')[process][0]}/status").read_text().split("VmHWM:")[1].split()[0]) // 1024


def rows(lab):
    return {r["value"].split(".")[0] if r["kind"] == "fqdn" else r["object"][3:]: r for r in show(lab, "hq", "resolver")}


def test_lists(lab):
    """All are good at first, and the list of then stays."""
    server, names = Feeds(lab, lab.directory), Names(lab)
    names.records[NAME] = [ADDRESS]
    try:
        feeds = "".join(f'feed {n} {{ url "https://{NAME}:{port}/"; authorities corp; update-interval 1; }}\n' for n, port in server.ports.items())
        objects = "".join(f"address at-{n} {{ feed {n}; }}\n" for n in server.ports)
        lab.commit("hq", config_of("hq", ("address-book {", f"dynamic-address {{ {feeds} }}\naddress-book {{ {objects}")), "lists")
        wait_for(lambda: all(r["state"] == "current" for r in rows(lab).values()), 30, "all lists")
        server.good = False
        for name, (_, words) in FEEDS.items():
            if name not in ("honest", "trickle"):
                wait_for(lambda name=name, words=words: words in rows(lab)[name]["reason"] and rows(lab)[name]["state"] == "stale", 20, f"{name}: {words}, not {rows(lab)[name]['reason']}")
        assert rows(lab)["honest"]["state"] == "current"
        assert all(r["addresses"] == 1 and "handshake" not in r["reason"] for r in rows(lab).values())
        assert peak_mb(lab, "resolver") < 64 * 2 + 64  # two lists, each as long as one may be
    finally:
        names.close()
        server.close()


def test_names(lab):
    names = Names(lab)
    try:
        objects = "".join(f"address at-{n} {{ fqdn {n}.example.org; }}\n" for n in NAMES)
        lab.commit("hq", config_of("hq", ("address-book {", f"dynamic-address {{ dns {{ minimum-ttl 1; }} }}\naddress-book {{ {objects}")), "names")
        for name, (_, found, words) in NAMES.items():
            wait_for(lambda name=name, words=words: words in rows(lab)[name]["reason"], 20, f"{name}: {words}, not {rows(lab)[name]['reason']}")
            wait_for(lambda name=name, found=found: len(addresses(lab, f"at-{name}")) > 9 if found is None else addresses(lab, f"at-{name}") == found, 20, f"addresses of {name}, not {addresses(lab, f'at-{name}')}")
    finally:
        names.close()


# ---- collectors ----

def resets(peer):
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def garbage(peer):
    while True:
        peer.sendall(b"garbage" * 999)


def holds(peer):
    time.sleep(99)


# What a collector does with a connection, whether by TLS, and the words of state and reason.
COLLECTORS = {
    "closes": (lambda peer: None, "tcp", "ended"),
    "resets": (resets, "tcp", "reset"),
    "garbage": (garbage, "tcp", "connected"),
    "reads-nothing": (holds, "tcp", "connected"),
    "says-nothing": (holds, "tls", "connecting"),
    "is-another": (None, "tls", "certificate"),
    "changes": (None, "tls", "certificate"),
    "honest": (None, "tcp", "connected"),
}


class Collectors:
    def __init__(self, lab):
        self.lab, self.read, self.certificate, self.peers = lab, b"", "good", []
        self.ports = {name: 8600 + n for n, name in enumerate(COLLECTORS)}
        self.sockets = []
        for name, port in self.ports.items():
            s = lab["web"].socket(socket.AF_INET, socket.SOCK_STREAM)
            s.bind((ADDRESS, port))
            s.listen(9)
            self.sockets.append(s)
            threading.Thread(target=self.accept, args=(s, name), daemon=True).start()

    def accept(self, s, name):
        while True:
            try:
                peer, _ = s.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(peer, name), daemon=True).start()

    def serve(self, peer, name):
        does, transport, _ = COLLECTORS[name]
        try:
            with peer:
                if does:
                    does(peer)
                elif transport == "tls":
                    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                    file = self.certificate if name == "changes" else "other"
                    context.load_cert_chain(self.lab.directory / f"{file}.pem", self.lab.directory / f"{file}.key")
                    with context.wrap_socket(peer, server_side=True) as tls:
                        self.peers.append(peer)
                        while self.certificate == file:
                            tls.recv(1)
                else:
                    while more := peer.recv(9999):
                        self.read += more
        except OSError:
            pass

    def close(self):
        for s in self.sockets:
            s.shutdown(socket.SHUT_RDWR)
            s.close()


def stream(lab, name):
    return next(r for r in show(lab, "hq", "export") if r["name"] == name)


def test_collectors_and_readers(lab):
    server, slow = Collectors(lab), []
    try:
        streams = "".join(f"stream {n} {{ host {ADDRESS}; port {server.ports[n]}; transport {t}; {'server-name ' + NAME + '; authorities corp;' if t == 'tls' else ''} }}\n"
                          for n, (_, t, _) in COLLECTORS.items())
        lab.commit("hq", config_of("hq", METRICS, OPEN) + f"log {{ {streams} }}\n", "collectors")
        wait_for(lambda: stream(lab, "changes")["state"] == "connected", 20, "the one that is good yet")
        server.certificate = "other"
        for _ in range(60):  # they say a part of a request, and then nothing
            s = lab["host-a"].socket(socket.AF_INET, socket.SOCK_STREAM)
            s.connect(("10.1.0.1", 9105))
            s.sendall(b"GET /metrics HTTP/1.1\r\nHost: a")
            slow.append(s)
        for n in range(5):
            refused(lab)
            wait_for(lambda n=n: server.read.count(b"session-deny") > n, 10, "the record at the honest one")
        for name, (_, _, words) in COLLECTORS.items():
            wait_for(lambda name=name, words=words: words in stream(lab, name)["state"] + stream(lab, name)["reason"], 20, f"{name}: {words}, not {stream(lab, name)}")
        assert int(stream(lab, "honest")["lost"]) == 0 and int(stream(lab, "session-log")["lost"]) == 0
        assert "plaingate_" in lab["host-a"].run(["curl", "-sS", "--fail", "-m", "20", AT]).stdout
        assert peak_mb(lab, "export") < 64
    finally:
        for s in slow:
            s.close()
        server.close()


# ---- full disks ----

def of(lab, event):
    """Lines of the session log, whose directory is another disk of the gateway's."""
    return [line for line in lines(Path(f"/proc/{lab['hq'].holder()}/root{DISKS[0]}")) if line["event"] == event]


def serve_list(lab, *first):
    """The next CRL of an authority, at a real HTTP server. first: what makes the authority."""
    for words in (*first, ("crl", "ca")):
        subprocess.run([lab.state / "bin/plaingate", "pki", *words], cwd=lab.directory, check=True, capture_output=True)
    served, crl = lab["web"].state / "www/list.crl", (lab.directory / "ca/ca.crl").read_bytes()
    served.with_suffix(".new").write_bytes(crl)
    served.with_suffix(".new").rename(served)
    return crl


def test_full_disks(lab):
    """What has come is in use, what is lost is counted, both say so; and all goes on when there is room, without a restart or another list. A CRL that
    there is no room for is not in use, because the certifiers read it from there: the one before it is."""
    crl = serve_list(lab, ("authority", "ca", "--subject", "CN=ca"))
    lab.write_certificate("hq", "list.crt", (lab.directory / "ca/ca.crt").read_text())
    authority = 'pki { ca-profile at-crl { file list.crt; crl-url "http://192.0.2.80/list.crl"; update-interval 1; } }\n'
    kept = Path(f"/proc/{lab['hq'].holder()}/root{DISKS[2]}/at-crl.crl")
    feeds = lab["hq"].state / "etc/feeds"
    feeds.mkdir(exist_ok=True)
    (feeds / "list").write_text("192.0.2.1\n", encoding="utf-8")
    lab.commit("hq", authority + config_of("hq", ("address-book {", "dynamic-address { feed file { file list; update-interval 1; } }\naddress-book { address at-file { feed file; }\n")),
               "a file and a CRL")
    wait_for(lambda: addresses(lab, "at-file") == {"192.0.2.1/32"}, 10, f"the list, not {rows(lab)}")
    wait_for(lambda: kept.exists() and kept.read_bytes() == crl, 20, "the CRL")
    for disk in DISKS:
        lab["hq"].run(f"sh -c 'cat /dev/zero >{disk}/filler'", check=False)
    lost = int(stream(lab, "session-log")["lost"])
    # A short line may still have room where a longer one had none.
    row = wait_for(lambda: refused(lab) or next((r for r in [stream(lab, "session-log")] if r["state"] == "failed"), None), 20, "the log to be full")
    assert "No space left" in row["reason"] and int(row["lost"]) > lost, row
    (feeds / "new").write_text("192.0.2.2\n", encoding="utf-8")
    (feeds / "new").rename(feeds / "list")
    wait_for(lambda: addresses(lab, "at-file") == {"192.0.2.2/32"}, 10, "the next list")
    crl = serve_list(lab)
    wait_for(lambda: "could not be written" in rows(lab)["crl"]["reason"], 20, "the fault of the CRL")
    assert kept.exists() and kept.read_bytes() != crl
    said = lab["hq"].state / "plaingated.log"
    wait_for(lambda: "was not kept for the next start: No space left" in said.read_text(encoding="utf-8"), 10, "the fault")
    for disk in DISKS:
        lab["hq"].run(f"rm {disk}/filler")
    wait_for(lambda: refused(lab) or stream(lab, "session-log")["state"] == "writing", 10, "the log to go on")
    wait_for(lambda: of(lab, "records-lost"), 10, "what was lost in the log")
    assert sum(line["count"] for line in of(lab, "records-lost")) == int(stream(lab, "session-log")["lost"]) - lost
    wait_for(lambda: kept.read_bytes() == crl, 20, "the next CRL")
    copy = f"/proc/{lab['hq'].holder()}/root{DISKS[1]}/at-file@file"
    wait_for(lambda: Path(copy).read_text(encoding="utf-8") == "192.0.2.2\n", 10, "the copy of the list")
