"""Evidence of a real gateway for a third party: a bundle about a period, a ledger that a web server offers while it is written to, and old
entries in an archive. Everything is verified outside the gateway, by the program alone."""
import hashlib
import html
import http.server
import json
import os
import random
import re
import shutil
import signal
import ssl
import subprocess
import tarfile
import threading
import time
from datetime import datetime, timedelta, timezone
from ipaddress import ip_address

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from kit import config_of, ledger_entries, own_lab, processes, show, wait_for

ACTS = 820  # entries of administrators: three bundles of 256 and more, of which one is kept
CUT_SHORT = "bytes remaining|unexpected eof"  # what OpenSSL reports, before and since 3.2, for a connection that ends in the middle
COMMENT = "<script>alert(1)</script> \"open\" & 'Übergang'"


def now():
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def stop(lab, gateway="hq"):
    lab.daemons[gateway].send_signal(signal.SIGTERM)
    lab.daemons[gateway].wait(15)


@pytest.fixture(scope="module")
def lab():
    two_sites = own_lab("pge")
    two_sites.up("on")
    try:
        two_sites.wait_for_tunnel()
        yield two_sites
    finally:
        two_sites.down()


@pytest.fixture(scope="module")
def case(lab, tmp_path_factory):
    """What happened: many actions, a commit, more actions, a restart. Returns the time of the middle part, and a directory."""
    lab["hq"].run(["sh", "-c", f"for i in $(seq {ACTS}); do plaingate clear sessions --dport 9 >/dev/null; done"], timeout=120)
    time.sleep(0.01)
    begin = now()
    lab.commit("hq", config_of("hq"), COMMENT)
    lab["hq"].run("plaingate clear sessions --dport 7")
    end = now()
    time.sleep(0.01)
    lab["hq"].run("plaingate clear sessions --dport 11")
    vkey = show(lab, "hq", "ledger")[0]["vkey"]
    stop(lab)
    lab.start_gateway("hq")
    lab.wait_for_tunnel()
    return {"from": begin, "to": end, "vkey": vkey, "path": tmp_path_factory.mktemp("evidence"),
            "ledger": lab["hq"].state / "lib/ledger"}


def program(lab, *words):
    """On this machine, outside all gateways."""
    return subprocess.run([str(lab.build / "src/cli/plaingate"), *map(str, words)], capture_output=True, text=True, timeout=60)


def verify(lab, what, *options, status=0):
    done = program(lab, "verify", "ledger", what, "--json", *options)
    assert done.returncode == status, f"{done.stdout}{done.stderr}"
    return json.loads(done.stdout)[0] if done.stdout else done.stderr


def investigate(lab, case, name, *options, status=0):
    file = case["path"] / name
    done = lab["hq"].run(["plaingate", "investigate", "/var/lib/plaingate/ledger", "--from", case["from"], "--to", case["to"],
                          "-o", str(file), *options], check=False)
    assert done.returncode == status, done.stdout + done.stderr
    return file if status == 0 else done.stderr


@pytest.fixture(scope="module")
def bundle(lab, case):
    return investigate(lab, case, "case.bundle")


# --- a bundle ---

def test_a_bundle_is_checked_without_the_gateway(lab, case, bundle):
    report = verify(lab, bundle, "--key", case["vkey"])
    assert report["evidence_bundle"] and report["complete"] and report["vkey_given"]
    assert report["range"]["from"] == case["from"] and report["range"]["to"] == case["to"]
    made = {check["name"]: check["count"] for check in report["checks"]}
    assert made["range"] == 2 and made["timeline"] == 1 and made["configurations"] >= 1 and made["seals"] >= 1, made
    inside = [entry for entry in ledger_entries(lab, "hq") if case["from"] <= entry["utc"] <= case["to"]]
    assert report["range"]["end"] - report["range"]["first"] == len(inside) >= 2
    assert {"config_commit", "admin_act"} <= {entry["type"] for entry in inside}
    # With another key it does not verify; and the explanation names the time.
    done = program(lab, "verify", "ledger", bundle, "--key", "example.com/log+33d7b496+AeHTu4Q3hEIMHNqc6fASMsq3rKNx280NI+oO5xCFkkSx")
    assert done.returncode in (1, 2) and "good:" not in done.stdout
    done = program(lab, "verify", "ledger", bundle, "--key", case["vkey"], "--explain")
    assert done.returncode == 0 and case["from"] in done.stdout and "What is not proved" in done.stdout
    assert "not in the bundle" in done.stdout and "no cosignature was checked" in done.stdout


def test_a_bundle_can_be_read_by_people(lab, case, bundle):
    with tarfile.open(bundle) as tar:
        files = {member.name: tar.extractfile(member).read() for member in tar}
    page = files["timeline.html"].decode()
    entries = {entry["type"]: entry for entry in ledger_entries(lab, "hq") if case["from"] <= entry["utc"] <= case["to"]}
    assert page.count("<tr class=k>") >= 2 and "config_commit" in page and "admin_act" in page
    assert html.escape(COMMENT).split(" ")[0].replace("&lt;", "&#60;").replace("&gt;", "&#62;") in page, "the comment, escaped"
    assert "Übergang" in page and "<script" not in page and "http" not in page.split("</head>")[-1].lower().replace("http-equiv", "")
    sha256 = entries["config_commit"]["body"]["sha256"]
    text = files[f"config/{sha256}.conf"]
    assert text.decode() == config_of("hq") and hashlib.sha256(text).hexdigest() == sha256
    assert sha256 in page and "README.txt" in files and files["log.vkey"].decode().strip() == case["vkey"]


def test_an_altered_bundle_is_found(lab, case, bundle):
    good = bundle.read_bytes()
    readme = good.index(b"Evidence from a Plaingate ledger")  # reports nothing as proved
    places = random.Random(7)
    file = case["path"] / "altered.bundle"
    for _ in range(60):
        at = places.randrange(len(good))
        if readme <= at < readme + 1024:
            continue
        file.write_bytes(good[:at] + bytes([good[at] ^ 1 << places.randrange(8)]) + good[at + 1:])
        done = program(lab, "verify", "ledger", file, "--key", case["vkey"])
        assert done.returncode in (1, 2) and "is good" not in done.stdout, f"octet {at}: {done.stdout}"
    for size in (0, 511, 512, 5000, len(good) // 2, len(good) - 1024, len(good) - 1):
        file.write_bytes(good[:size])
        assert program(lab, "verify", "ledger", file).returncode == 2, f"cut to {size}"


def test_a_configuration_that_is_not_the_one_entered(lab, case, bundle):
    """Another text, packed under the hash of the one that was running."""
    with tarfile.open(bundle) as tar:
        name = next(member for member in tar.getnames() if member.startswith("config/"))
        data, size = tar.getmember(name).offset_data, tar.getmember(name).size
    good = bundle.read_bytes()
    file = case["path"] / "configuration.bundle"
    text = good[data:data + size].replace(b"reject", b"permit", 1)
    assert text != good[data:data + size] and len(text) == size
    file.write_bytes(good[:data] + text + good[data + size:])
    report = verify(lab, file, status=1)
    assert report["class"] == "evidence_bundle" and name in report["finding"] and report["checks"] == []


# --- an address ---

class Served:
    """A web server for a directory; `answer` may take over."""

    def __init__(self, directory, answer=None, certificate=None):
        class Handler(http.server.SimpleHTTPRequestHandler):
            def __init__(self, *args):
                super().__init__(*args, directory=str(directory))

            def do_GET(self):
                if not (answer and answer(self)):
                    super().do_GET()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.scheme = "https" if certificate else "http"
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return f"{self.scheme}://127.0.0.1:{self.server.server_address[1]}"

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


def test_a_ledger_at_an_address_while_it_is_written_to(lab, case):
    enough = case["path"] / "enough"
    acts = lab["hq"].popen(["sh", "-c", f"for i in $(seq 3000); do [ -e {enough} ] || plaingate clear sessions --dport 9 >/dev/null; done"])
    sizes = []

    def grown():
        report = verify(lab, address, "--key", case["vkey"])
        assert "stray_files" not in {check["name"] for check in report["checks"]}
        sizes.append(report["size"])
        return len(sizes) >= 5 and len(set(sizes)) >= 3

    with Served(case["ledger"]) as address:
        try:
            wait_for(grown, 60, "a ledger that grows while it is verified")
        finally:
            enough.touch()
            assert acts.wait(60) == 0
        assert sizes == sorted(sizes), sizes
        # The kept head, and the ledger at the address now.
        kept = case["path"] / "kept"
        shutil.copy(case["ledger"] / "checkpoint", kept)
        lab["hq"].run("plaingate clear sessions --dport 9")
        report = verify(lab, address + "/", "--key", case["vkey"], "--checkpoint", str(kept))
        assert "kept_head" in {check["name"] for check in report["checks"]}


def test_what_an_address_may_answer(lab, case):
    copy = case["path"] / "copy"
    shutil.copytree(case["ledger"], copy, ignore=shutil.ignore_patterns("*.tmp"))  # it is in use
    bundle = copy / "tile/entries/000"
    data = bundle.read_bytes()
    with Served(copy) as address:
        verify(lab, address, "--key", case["vkey"])
        bundle.write_bytes(data[:3000] + bytes([data[3000] ^ 1]) + data[3001:])
        assert verify(lab, address, status=1)["class"] == "entry"
        bundle.unlink()
        assert verify(lab, address, status=1)["class"] == "entry_bundle"
        bundle.write_bytes(data)

    def fails(handler):
        if handler.path.startswith("/tile"):
            handler.send_error(500)
            return True
        return False

    def elsewhere(handler):
        handler.send_response(302)
        handler.send_header("Location", "file:///etc/passwd")
        handler.end_headers()
        return True

    for answer, said in ((fails, "500"), (elsewhere, "302")):
        with Served(copy, answer) as address:
            assert said in verify(lab, address, status=2)


class Authority:
    """Certificates for web servers, and the file of the authority that signed them."""

    def __init__(self, path):
        self.path, self.key, self.name = path, ec.generate_private_key(ec.SECP256R1()), "an authority of this test"
        self.file = path / "authority.pem"
        self.file.write_bytes(self.sign(self.name, self.key.public_key(), x509.BasicConstraints(ca=True, path_length=0), 0, 1))

    def sign(self, name, public_key, extension, first_day, last_day):
        today = datetime.now(timezone.utc)
        return (x509.CertificateBuilder().serial_number(x509.random_serial_number()).public_key(public_key)
                .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
                .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, self.name)]))
                .not_valid_before(today + timedelta(days=first_day - 1)).not_valid_after(today + timedelta(days=last_day))
                .add_extension(extension, critical=True).sign(self.key, hashes.SHA256())
                .public_bytes(serialization.Encoding.PEM))

    def server(self, address, first_day=0, last_day=1):
        """(certificate, key) as files."""
        key = ec.generate_private_key(ec.SECP256R1())
        files = self.path / "server.pem", self.path / "server.key"
        files[0].write_bytes(self.sign("a server", key.public_key(), x509.SubjectAlternativeName([x509.IPAddress(ip_address(address))]),
                                       first_day, last_day))
        files[1].write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
        return files


def test_an_address_with_tls(lab, case, monkeypatch):
    authority = Authority(case["path"])

    def cut(handler):
        """A whole bundle is announced, and half of it arrives."""
        if not handler.path.startswith("/tile/entries"):
            return False
        handler.send_response(200)
        handler.send_header("Content-Length", "100000")
        handler.end_headers()
        handler.wfile.write(b"x" * 50000)
        return True

    def elsewhere(handler):
        handler.send_response(301)
        handler.send_header("Location", "https://127.0.0.1:1/")
        handler.send_header("Content-Length", "0")  # otherwise its end is the end of the connection, which newer OpenSSL takes for a truncation
        handler.end_headers()
        return True

    good = authority.server("127.0.0.1")
    with Served(case["ledger"], certificate=good) as address:
        assert "certificate" in verify(lab, address, status=2).lower(), "nobody vouches for it"
        monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
        report = verify(lab, address, "--key", case["vkey"])
        assert report["good"] and report["complete"] and report["size"] > ACTS
        monkeypatch.setenv("SSL_CERT_FILE", str(case["path"] / "is-not-there"))
        assert "is-not-there" in verify(lab, address, status=2)
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    for server, answer, said in ((("127.0.0.2",), None, "127.0.0.1"), (("127.0.0.1", -8, -7), None, "expired"),
                                 (("127.0.0.1",), cut, CUT_SHORT), (("127.0.0.1",), elsewhere, "301")):
        with Served(case["ledger"], answer, authority.server(*server)) as address:
            text = verify(lab, address, status=2)
            assert re.search(said, text.replace(address, ""))


# --- an archive; last, because it changes the ledger ---

def test_old_entries_in_an_archive(lab, case, bundle):
    archive = case["path"] / "archive"
    before = {path.relative_to(case["ledger"]) for path in case["ledger"].rglob("*") if path.is_file()}
    done = lab["hq"].run(["plaingate", "archive", "/var/lib/plaingate/ledger", "--before", now(), "--to", str(archive)], check=False)
    assert done.returncode == 0 and "moved" in done.stdout, done.stdout + done.stderr
    moved = {path.relative_to(archive) for path in archive.rglob("*") if path.is_file()}
    assert {"000", "001"} <= {path.name for path in moved if "entries" in path.parts} and len(moved) >= 4
    assert all(path in before for path in moved)
    assert not [path for path in moved if path.name != "log.vkey" and (case["ledger"] / path).exists()]
    # With the archive everything is seen; without it, the report names what is not.
    report = verify(lab, case["ledger"], "--key", case["vkey"], "--archive", str(archive))
    assert report["complete"] and report["entries_unseen"] == 0 and report["entries"] == report["size"]
    part = verify(lab, case["ledger"], "--key", case["vkey"], status=3)
    assert not part["complete"] and part["good"] and part["holes"] == [{"first": 0, "end": part["entries_unseen"]}]
    assert part["entries_unseen"] == part["archived"] >= 512 and part["entries_unseen"] % 256 == 0
    done = program(lab, "verify", "ledger", case["ledger"])
    assert done.returncode == 3 and "NOT READ" in done.stdout
    with Served(archive) as address:
        assert verify(lab, case["ledger"], "--archive", address)["complete"]
    # The gateway continues, also when its ledger is restarted, and after a restart of everything.
    ledger, starts = processes(lab, "hq")["ledger"]
    os.kill(ledger, signal.SIGKILL)
    wait_for(lambda: {row["process"]: int(row["restarts"]) for row in show(lab, "hq", "status")}["ledger"] > starts, 15,
             "the ledger's restart")
    wait_for(lambda: lab["hq"].run("plaingate clear sessions --dport 9", check=False).returncode == 0, 15, "an act that is entered")
    stop(lab)
    lab.start_gateway("hq")
    again = verify(lab, case["ledger"], "--key", case["vkey"], "--archive", str(archive))
    assert again["complete"] and again["size"] > report["size"]
    # What went to the archive can still be shown, and only with it.
    assert "--archive" in investigate(lab, case, "without.bundle", status=2)
    later = investigate(lab, case, "with.bundle", "--archive", str(archive))
    assert verify(lab, later, "--key", case["vkey"])["range"]["first"] == verify(lab, bundle)["range"]["first"]
    # An archive that was altered is found.
    old = archive / "tile/entries/000"
    data = old.read_bytes()
    old.write_bytes(data[:2000] + bytes([data[2000] ^ 4]) + data[2001:])
    assert verify(lab, case["ledger"], "--archive", str(archive), status=1)["class"] == "entry"
    old.write_bytes(data)
