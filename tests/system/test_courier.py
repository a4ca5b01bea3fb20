"""A witness by URL: names, TLS and HTTP through the courier, with a real front end for plaingate-witness and the test's own name server.
Failures are reported in `show ledger`, and cost cosignatures and nothing else.

On the machine `web`: plaingate-witness on a port of its own, behind nginx under a path prefix, with certificates of an authority that only
the gateway's list contains."""
import datetime
import hashlib
import ipaddress
import os
import select
import signal
import socket
import struct
import threading
import time

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from kit import calm_time, config_of, own_lab, processes, show, verify_ledger, wait_for
from test_processes import sockets
from test_witnessed import ADDRESS, HEARTBEAT, Witness, commit, last_entry, vkey, wait_cosigned, witness_row

HOST, ADDRESS6 = "witness.example.org", "2001:db8:80::80"
GOOD, EXPIRED, WRONG_NAME, STRANGER, CLEAR, BUSY, MOVED, GARBAGE, STALL = 443, 8443, 8444, 8445, 8446, 8447, 8448, 8449, 8450
RETRY_S = 6


# --- an authority ---

class Authority:
    def __init__(self, name):
        self.key, self.name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.certificate = self.sign(self.name, self.key, 3650, None)

    def sign(self, subject, key, days, alternatives):
        now = datetime.datetime(2026, 1, 1) if days < 0 else datetime.datetime.utcnow() - datetime.timedelta(days=2)
        made = (x509.CertificateBuilder().subject_name(subject).issuer_name(self.name).public_key(key.public_key())
                .serial_number(x509.random_serial_number()).not_valid_before(now - datetime.timedelta(days=365))
                .not_valid_after(datetime.datetime.utcnow() + datetime.timedelta(days=days))
                .add_extension(x509.BasicConstraints(ca=alternatives is None, path_length=None), critical=True))
        if alternatives is not None:
            made = made.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        return made.sign(self.key, hashes.SHA256())

    def pem(self):
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    def server(self, directory, file, days=90, names=(HOST,)):
        """Writes FILE.pem and FILE.key. Returns the SHA-256 of the public key."""
        key = ec.generate_private_key(ec.SECP256R1())
        alternatives = [x509.DNSName(n) for n in names]
        made = self.sign(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a server")]), key, days, alternatives)
        (directory / f"{file}.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
        (directory / f"{file}.key").write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                                                  serialization.NoEncryption()))
        public = key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        return hashlib.sha256(public).hexdigest()


# --- a name server ---

class NameServer:
    """UDP on the machine `web`: names to addresses, or "silent", "garbage", or the number of an error."""

    def __init__(self, lab):
        self.records, self.asked, self.running = {}, [], True
        self.socket = lab["web"].socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((ADDRESS, 53))
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def close(self):
        self.running = False
        self.thread.join()
        self.socket.close()

    def serve(self):
        while self.running:
            if select.select([self.socket], [], [], 0.1)[0]:
                query, client = self.socket.recvfrom(512)
                for answer in self.answers(query):
                    self.socket.sendto(answer, client)

    def answers(self, query):
        labels, at = [], 12
        while query[at]:
            labels.append(query[at + 1:at + 1 + query[at]].decode())
            at += 1 + query[at]
        question, kind = query[12:at + 5], struct.unpack_from("!H", query, at + 1)[0]
        name = ".".join(labels)
        found = self.records.get(name, 3)
        self.asked.append((name, kind))
        if found == "silent":
            return
        if found == "garbage":
            yield os.urandom(40)
            yield query[:2] + b"\x81\x80" + b"\xff" * 60
            return
        addresses = [] if isinstance(found, int) else [ipaddress.ip_address(a) for a in found]
        of_kind = [a.packed for a in addresses if (a.version == 4) == (kind == 1)]
        alias = b"\x05alias\xc0\x0c"  # the name leads to another one, whose addresses follow
        rows = b"\xc0\x0c" + struct.pack("!HHIH", 5, 1, 60, len(alias)) + alias if of_kind else b""
        rows += b"".join(b"\x05alias\xc0\x0c" + struct.pack("!HHIH", kind, 1, 60, len(a)) + a for a in of_kind)
        code = found if isinstance(found, int) else 0
        # an answer forged by somebody else arrives before it
        yield struct.pack("!HHHHHH", struct.unpack_from("!H", query)[0] ^ 1, 0x8180, 1, 0, 0, 0) + question
        yield query[:2] + struct.pack("!HHHHH", 0x8180 | code, 1, len(of_kind) + bool(of_kind), 0, 0) + question + rows


class Sink:
    """Accepts connections on the machine `web`, sends something or nothing, and holds them."""

    def __init__(self, lab, port, says=b""):
        self.listening, self.taken, self.says = lab["web"].socket(socket.AF_INET, socket.SOCK_STREAM), [], says
        self.listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listening.bind((ADDRESS, port))
        self.listening.listen(16)
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        try:
            while True:
                connection, _ = self.listening.accept()
                self.taken.append(connection)
                connection.sendall(self.says)
        except OSError:
            pass

    def close(self):
        self.listening.shutdown(socket.SHUT_RDWR)
        for each in [self.listening, *self.taken]:
            each.close()


# --- the front ---

def front(port, certificate, body):
    tls = f"ssl_certificate {{d}}/{certificate}.pem; ssl_certificate_key {{d}}/{certificate}.key;" if certificate else ""
    ssl = " ssl" if certificate else ""
    return f"server {{{{ listen {port}{ssl}; listen [::]:{port}{ssl}; server_name {HOST}; {tls} {body} }}}}\n"


def start_nginx(lab, directory, backend):
    # the parts that are included by the server are sent in chunks: their length is not known before
    to_witness = (f"location /log/v0/ {{{{ proxy_pass http://127.0.0.1:{backend}/; }}}} "
                  f"location /chunked/ {{{{ ssi on; ssi_types *; proxy_pass http://127.0.0.1:{backend}/; }}}} ")
    servers = (front(GOOD, "good", to_witness) + front(EXPIRED, "expired", to_witness) + front(WRONG_NAME, "wrong", to_witness) +
               front(STRANGER, "stranger", to_witness) + front(CLEAR, None, to_witness) +
               front(BUSY, "good", f"add_header Retry-After {RETRY_S} always; location / {{{{ return 429; }}}}") +
               front(MOVED, "good", f"location / {{{{ return 301 https://{HOST}/log/v0/; }}}}"))
    paths = " ".join(f"{kind}_temp_path {directory}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    (directory / "nginx.conf").write_text(f"""worker_processes 1;
pid {directory}/nginx.pid;
error_log {directory}/error.log;
events {{ worker_connections 256; }}
http {{
    ssl_protocols TLSv1.2 TLSv1.3;
    log_format lab '$server_port $ssl_protocol "$request" $status';
    access_log {directory}/access.log lab;
    {paths}
    {servers.format(d=directory)}
}}
""", encoding="utf-8")
    lab["web"].run(["nginx", "-e", f"{directory}/error.log", "-c", f"{directory}/nginx.conf", "-g", "user root;"])


def front_log(lab):
    file = lab.front / "access.log"
    return file.read_text(encoding="utf-8").splitlines() if file.exists() else []


def asked(lab, port):
    return len([line for line in front_log(lab) if line.startswith(f"{port} ")])


@pytest.fixture(scope="module")
def lab():
    two_sites = own_lab("pgc")
    authority, stranger = Authority("an authority"), Authority("a stranger")

    def prepare(lab):
        lab.front = lab["web"].state / "front"
        lab.front.mkdir()
        lab.pins = {"good": authority.server(lab.front, "good"), "expired": authority.server(lab.front, "expired", days=-1),
                    "wrong": authority.server(lab.front, "wrong", names=("other.example.org",)),
                    "stranger": stranger.server(lab.front, "stranger")}
        for file, text in (("authorities", authority.pem()), ("resolv", f"# the lab's\nnameserver {ADDRESS}\n".encode())):
            (lab.front / file).write_bytes(text)
        for file, there in (("authorities", "/etc/ssl/certs/ca-certificates.crt"), ("resolv", "/etc/resolv.conf")):
            lab["hq"].run(["mount", "--bind", lab.front / file, there])
        lab.names = NameServer(lab)

    try:
        two_sites.up("on", prepare=prepare)
        two_sites.names.records[HOST] = [ADDRESS]
        two_sites.one, two_sites.two = Witness(two_sites, "one", 7381), Witness(two_sites, "two", 7382)
        for witness in (two_sites.one, two_sites.two):
            witness.start(vkey(two_sites, "hq"))
        start_nginx(two_sites, two_sites.front, 7381)
        two_sites.sinks = [Sink(two_sites, GARBAGE, os.urandom(4000)), Sink(two_sites, STALL)]
        yield two_sites
        verify_ledger(two_sites, "hq")
    finally:
        for sink in getattr(two_sites, "sinks", ()):
            sink.close()
        if "names" in vars(two_sites):
            two_sites.names.close()
        two_sites.down()


def one_by(lab, url, *more):
    return f'    witness one {{\n        url "{url}";\n        key "{lab.one.vkey}";\n' + "".join(f"        {m};\n" for m in more) + "    }\n"


def committed(lab, *parts, why="witnesses"):
    text = config_of("hq") + "\nevidence {\n" + "".join(parts) + f"    heartbeat {HEARTBEAT};\n}}\n"
    done = commit(lab, text, why)
    assert done.returncode == 0, done.stderr


def wait_error(lab, *words, timeout=20):
    def there():
        said = witness_row(lab, "one")["error"]
        return said if all(word in said for word in words) else None
    try:
        return wait_for(there, timeout, "an error")
    except Exception as error:
        raise AssertionError(f"not {words}: {witness_row(lab, 'one')}") from error


def url(port=GOOD, host=HOST, path="/log/v0", scheme="https"):
    return f"{scheme}://{host}{'' if port == 443 else f':{port}'}{path}"


# --- tests ---

def test_idle_without_a_url(lab):
    pid, restarts = processes(lab, "hq")["courier"]
    assert restarts == 0 and not lab.names.asked
    assert {s.family for s in sockets(pid)} == {socket.AF_UNIX}
    row = next(r for r in show(lab, "hq", "status") if r["process"] == "courier")
    assert row["state"] == "ready", row


def test_by_name_over_tls_under_a_prefix(lab):
    committed(lab, one_by(lab, url() + "/"))
    wait_cosigned(lab, ["one"])
    row = witness_row(lab, "one")
    assert row["via"] == url() + "/" and row["state"] == "cosigned" and row["error"] == "", row
    assert {kind for name, kind in lab.names.asked if name == HOST} == {1, 28}
    lines = [line for line in front_log(lab) if "POST /log/v0/add-checkpoint HTTP/1.1" in line]
    assert lines and all(line.startswith("443 TLSv1.3") for line in lines), front_log(lab)
    _, entry = last_entry(lab, "witnesses_change")
    assert url() in entry["body"]["after"], entry
    # between two questions it holds no connection
    pid = processes(lab, "hq")["courier"][0]
    wait_for(lambda: {s.family for s in sockets(pid)} == {socket.AF_UNIX}, 5, "no connection")


@pytest.mark.parametrize("what", ["chunks", "clear", "IPv6 literal", "server key", "TLS 1.2"])
def test_other_ways_to_it(lab, what):
    if what == "TLS 1.2":
        conf = lab.front / "nginx.conf"
        conf.write_text(conf.read_text().replace("TLSv1.2 TLSv1.3;", "TLSv1.2;"))
        lab["web"].run(["nginx", "-e", f"{lab.front}/error.log", "-c", f"{lab.front}/nginx.conf", "-s", "reload"])
        time.sleep(0.5)
    before = asked(lab, GOOD)
    if what == "chunks":
        committed(lab, one_by(lab, url(path="/chunked")), why=what)
    elif what == "clear":
        committed(lab, one_by(lab, url(CLEAR, scheme="http")), why=what)
    elif what == "IPv6 literal":
        committed(lab, one_by(lab, url(STRANGER, host=f"[{ADDRESS6}]"), f"server-key {lab.pins['stranger']}"), why=what)
    elif what == "server key":
        committed(lab, one_by(lab, url(EXPIRED), f"server-key {lab.pins['expired']}"), why=what)
    else:
        committed(lab, one_by(lab, url()), why=what)
    index, _ = last_entry(lab, "config_commit")
    wait_for(lambda: witness_row(lab, "one")["cosigned_size"] > index and not witness_row(lab, "one")["error"], 10, f"a cosignature: {what}")
    wait_cosigned(lab, ["one"])
    assert witness_row(lab, "one")["cosigned_at"] >= show(lab, "hq", "ledger")[0]["last_checkpoint"][:11]
    if what == "TLS 1.2":
        assert asked(lab, GOOD) > before and front_log(lab)[-1].startswith("443 TLSv1.2"), front_log(lab)[-1]


def test_each_address_is_tried(lab):
    """Of a name with four addresses the last one works: one has no host, one no listener, and our own addresses are not contacted."""
    lab.names.records[HOST] = ["127.0.0.1", "::1", "192.0.2.1", ADDRESS]
    try:
        committed(lab, one_by(lab, url()), why="addresses")
        index, _ = last_entry(lab, "config_commit")
        wait_for(lambda: witness_row(lab, "one")["cosigned_size"] > index, 20, "a cosignature")
        lab.names.records[HOST] = [ADDRESS6]
        committed(lab, one_by(lab, url(), "interval 1"), why="IPv6 alone")
        index, _ = last_entry(lab, "config_commit")
        wait_for(lambda: witness_row(lab, "one")["cosigned_size"] > index, 20, "a cosignature")
        lab.names.records[HOST] = ["127.0.0.1"]
        committed(lab, one_by(lab, url()), why="our own")
        wait_error(lab, "127.0.0.1", "is not a witness of the configuration")
    finally:
        lab.names.records[HOST] = [ADDRESS]


@pytest.mark.parametrize("port, words", [
    (EXPIRED, ("TLS", "certificate is not trusted", "expired")),
    (WRONG_NAME, ("TLS", "certificate is not trusted", "hostname mismatch")),
    (STRANGER, ("TLS", "certificate is not trusted", "issuer certificate")),
    (CLEAR, ("TLS", "does not speak TLS")),
    (GARBAGE, ("TLS",)),
    (STALL, ("no TLS handshake",)),
    (8499, ("Connection refused",)),
    (MOVED, ("301", "redirect")),
])
def test_what_goes_wrong_is_said(lab, port, words):
    taken = len(front_log(lab))
    committed(lab, one_by(lab, url(port)), why=f"port {port}")
    wait_error(lab, *words)
    # and nothing was sent to a server other than the intended one
    assert port == MOVED or not [line for line in front_log(lab)[taken:] if "add-checkpoint" in line and line.startswith(f"{port} ")]


def test_another_key_than_the_server_key(lab):
    committed(lab, one_by(lab, url(), f"server-key {lab.pins['wrong']}"), why="another key")
    wait_error(lab, "TLS", "does not match server-key")


@pytest.mark.parametrize("record, words", [
    ("silent", ("no answer from the name servers", HOST)), ("garbage", ("no answer from the name servers",)),
    (3, ("does not exist", HOST)), (2, ("SERVFAIL",)), (5, ("REFUSED",)), ([], ("has no address",)),
])
def test_names_that_lead_nowhere(lab, record, words):
    lab.names.records[HOST] = record
    try:
        committed(lab, one_by(lab, url()), why=f"name {record}")
        wait_error(lab, *words)
    finally:
        lab.names.records[HOST] = [ADDRESS]


def test_it_is_left_alone_for_as_long_as_it_wants(lab):
    before = asked(lab, BUSY)
    committed(lab, one_by(lab, url(BUSY)), why="busy")
    said = wait_error(lab, "429")
    assert f"for {RETRY_S} s" in said
    begun = time.monotonic()
    count = asked(lab, BUSY) - before
    while time.monotonic() - begun < RETRY_S - 2:  # the heartbeat is shorter, and entries come
        committed(lab, one_by(lab, url(BUSY)), why="meanwhile")
        time.sleep(1)
    assert asked(lab, BUSY) - before == count <= 2, front_log(lab)[-5:]
    wait_for(lambda: asked(lab, BUSY) - before > count, RETRY_S + 3, "the next question")


def test_what_is_required_waits_for_the_quick_ones_alone(lab):
    """The witness by URL stalls, and counts as slow because of its interval; the other one answers."""
    parts = (one_by(lab, url(STALL), "interval 60"), lab.two.text(), "    quorum 1;\n    required commit;\n")
    committed(lab, *parts, why="mixed")
    begun = calm_time()
    for i in range(3):
        committed(lab, *parts, why=f"mixed {i}")
    assert calm_time() - begun < 8
    index, _ = last_entry(lab, "config_commit")
    assert witness_row(lab, "two")["cosigned_size"] > index >= witness_row(lab, "one")["cosigned_size"]
    # and a configuration that depends on it is refused
    text = config_of("hq") + "\nevidence {\n" + "".join(parts).replace("quorum 1", "quorum 2") + "}\n"
    done = commit(lab, text, "both")
    assert done.returncode != 0 and "set quorum to 1 at most" in done.stderr, done.stderr
    # while it is asked, the courier holds that one connection and no other socket of the network
    pid = processes(lab, "hq")["courier"][0]
    os.kill(pid, signal.SIGKILL)  # a courier that was restarted gets requests again at once
    wait_for(lambda: processes(lab, "hq").get("courier", (pid,))[0] != pid, 10, "another courier")
    pid = processes(lab, "hq")["courier"][0]
    assert wait_for(lambda: connections(pid), 10, "the connection") == [(ADDRESS, STALL)]


def connections(pid):
    """Where the process has connections to, over the network."""
    found = []
    for s in sockets(pid):
        if s.family != socket.AF_UNIX and s.type == socket.SOCK_STREAM:
            try:
                found.append(s.getpeername()[:2])
            except OSError:  # not yet, or no more
                continue
    return found


def test_killed_and_back(lab):
    """The supervisor restarts it; the ledger continues, and what was missed is cosigned."""
    committed(lab, one_by(lab, url()), why="before it is killed")
    wait_cosigned(lab, ["one"])
    before = processes(lab, "hq")
    for _ in range(3):
        os.kill(processes(lab, "hq")["courier"][0], signal.SIGKILL)
        committed(lab, one_by(lab, url()), why="without a courier")
        index, _ = last_entry(lab, "config_commit")
        wait_for(lambda: witness_row(lab, "one")["cosigned_size"] > index, 20, "a cosignature")
    after = processes(lab, "hq")
    assert {n: p for n, p in before.items() if n != "courier"} == {n: p for n, p in after.items() if n != "courier"}
    assert after["courier"][1] >= before["courier"][1] + 3
    wait_cosigned(lab, ["one"])


def test_an_old_disk_is_found(lab):
    """The start does not wait for a witness by URL, but what that witness has seen ends the log all the same."""
    committed(lab, one_by(lab, url()), why="before the copy")
    wait_cosigned(lab, ["one"])
    origin = show(lab, "hq", "ledger")[0]["origin"]
    lib = lab["hq"].state / "lib"
    stop(lab)
    lab["hq"].run(["cp", "-a", "/var/lib/plaingate/ledger", "/var/lib/plaingate/kept"])
    lab.start_gateway("hq")
    committed(lab, one_by(lab, url()), why="behind the copy")
    wait_cosigned(lab, ["one"])
    stop(lab)
    lab["hq"].run(["rm", "-r", "/var/lib/plaingate/ledger"])
    lab["hq"].run(["mv", "/var/lib/plaingate/kept", "/var/lib/plaingate/ledger"])
    assert (lib / "ledger").exists()
    lab.start_gateway("hq")
    row = wait_for(lambda: show(lab, "hq", "ledger")[0]["origin"] != origin and show(lab, "hq", "ledger")[0], 20, "another log")
    assert last_entry(lab, "ledger_recovery")[1]["body"]["origin"] == origin
    lab.one.start(row["vkey"])
    wait_cosigned(lab, ["one"], timeout=30)


def stop(lab):
    daemon = lab.daemons["hq"]
    daemon.send_signal(signal.SIGTERM)
    daemon.wait(20)
