"""`plaingate pki` as a program: an authority in a directory, what others' programs say of what it makes, and what it keeps when it is disturbed."""
import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("PLAINGATE_LAB_BUILD", ROOT / "build"))
PROGRAM = BUILD / "src/cli/plaingate"

pytestmark = pytest.mark.skipif(not PROGRAM.is_file(), reason=f"{PROGRAM} is not built")


def run(folder, *words, status=0):
    done = subprocess.run([PROGRAM, "pki", *words], cwd=folder, capture_output=True, text=True, timeout=60)
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout if status == 0 else done.stderr


@pytest.fixture
def authority(tmp_path):
    run(tmp_path, "authority", "ca", "--subject", "CN=VPN CA, O=Example")
    run(tmp_path, "request", "gw.pem", "--subject", "CN=asked", "--san", "dns:asked.example.net", "-o", "gw.csr")
    return tmp_path


def issue(folder, name, *more):
    return run(folder, "issue", "ca", "gw.csr", "--subject", f"CN={name}, O=Example", "--san", f"dns:{name}", "-o", f"{name}.crt", *more)


def read(path, kind=x509.load_pem_x509_certificate):
    return kind(path.read_bytes())


def crl_number(folder):
    return read(folder / "ca/ca.crl", x509.load_pem_x509_crl).extensions.get_extension_for_class(x509.CRLNumber).value.crl_number


def test_another_reader_sees_what_was_meant(authority):
    issue(authority, "gw.example.net")
    issue(authority, "laptop.example.net", "--use", "client", "--days", "30")
    ca, gateway, client = (read(authority / name) for name in ("ca/ca.crt", "gw.example.net.crt", "laptop.example.net.crt"))
    key = load_pem_private_key((authority / "gw.pem").read_bytes(), None).public_key().public_numbers()
    for c in gateway, client:
        ca.public_key().verify(c.signature, c.tbs_certificate_bytes, ec.ECDSA(c.signature_hash_algorithm))
        assert c.issuer == ca.subject and c.public_key().public_numbers() == key
        assert not c.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert gateway.extensions.get_extension_for_class(x509.SubjectAlternativeName).value.get_values_for_type(x509.DNSName) == ["gw.example.net"]
    purposes = {name: {o.dotted_string for o in c.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value}
                for name, c in (("gateway", gateway), ("client", client))}
    assert purposes["gateway"] - purposes["client"] == {"1.3.6.1.5.5.7.3.1"}
    assert gateway.serial_number != client.serial_number and gateway.serial_number.bit_length() == 127
    shown = json.loads(run(authority, "show", "gw.example.net.crt", "--json"))
    assert shown["names"] == "dns:gw.example.net" and shown["sha256"] == gateway.fingerprint(hashes.SHA256()).hex()
    assert os.stat(authority / "gw.pem").st_mode & 0o777 == 0o600 == os.stat(authority / "ca/ca.pem").st_mode & 0o777


def test_the_authority_says_whom_it_certifies(authority):
    said = run(authority, "issue", "ca", "gw.csr", "-o", "gw.crt", status=1)
    assert '--subject "CN=asked" --san dns:asked.example.net' in said and not (authority / "gw.crt").exists()
    assert (authority / "ca/index.txt").read_text() == ""


def test_lists_of_the_revoked(authority):
    issue(authority, "a.example.net")
    issue(authority, "b.example.net")
    begun = int(time.time())
    run(authority, "revoke", "ca", "a.example.net.crt", "--reason", "keyCompromise")
    first = crl_number(authority)
    b = read(authority / "b.example.net.crt")
    run(authority, "revoke", "ca", f"{b.serial_number:x}")
    assert "is revoked already, since" in run(authority, "revoke", "ca", "a.example.net.crt", status=1)
    assert "not a serial number in" in run(authority, "revoke", "ca", "00AB", status=1)
    run(authority, "authority", "other", "--subject", "CN=VPN CA, O=Example")
    assert "not issued by this authority" in run(authority, "revoke", "other", "a.example.net.crt", status=1)
    crl = read(authority / "ca/ca.crl", x509.load_pem_x509_crl)
    assert crl.is_signature_valid(read(authority / "ca/ca.crt").public_key())
    assert {r.serial_number for r in crl} == {read(authority / "a.example.net.crt").serial_number, b.serial_number}
    assert crl_number(authority) > first >= begun
    (authority / "ca/ca.crl").write_text("nothing\n")
    assert "whose number the next list must exceed" in run(authority, "crl", "ca", status=1)


def test_a_lost_list_does_not_begin_the_numbers_again(authority):
    """Gateways hold the last one and refuse what is older."""
    before = int(time.time())
    run(authority, "crl", "ca")
    (authority / "ca/ca.crl").unlink()
    issue(authority, "a.example.net")
    run(authority, "revoke", "ca", "a.example.net.crt")
    assert crl_number(authority) >= before
    old = (authority / "ca/ca.crl").read_bytes()
    run(authority, "crl", "ca")
    last = crl_number(authority)
    (authority / "ca/ca.crl").write_bytes(old)
    run(authority, "crl", "ca")
    assert crl_number(authority) >= last


@pytest.mark.parametrize("words, expected", [
    (("authority", "ca", "--subject", "CN=x"), "has an authority already"),
    (("authority", "new"), "--subject is missing"),
    (("request", "gw.pem", "--subject", "CN=x", "-o", "gw.csr"), "exists already and is kept"),
    (("request", "gw.pem", "--subject", "CN=x", "-o", "n.csr", "--key-type", "ed25519"), "--key-type is for a new key"),
    (("request", "gw.csr", "--subject", "CN=x", "-o", "n.csr"), "no private key in PEM"),
    (("issue", "ca", "gw.pem", "--subject", "CN=x", "-o", "n.crt"), "no certificate request in PEM"),
    (("issue", "ca", "absent", "--subject", "CN=x", "-o", "n.crt"), "open 'absent': No such file"),
    (("issue", "absent", "gw.csr", "--subject", "CN=x", "-o", "n.crt"), "open the authority 'absent': No such file"),
    (("issue", "ca", "gw.csr", "--subject", "CN=x"), "-o is missing"),
    (("issue", "ca", "gw.csr", "--subject", "CN=x", "-o", "n.crt", "--days", "4000"), "for longer than that of the authority"),
    (("show", "gw.pem"), "no certificate, request or CRL in PEM"),
])
def test_mistakes(authority, words, expected):
    before = {p: p.read_bytes() for p in authority.rglob("*") if p.is_file()}
    assert expected in run(authority, *words, status=1)
    assert before == {p: p.read_bytes() for p in authority.rglob("*") if p.is_file()}


def test_what_is_no_file(authority):
    os.mkfifo(authority / "fifo")
    (authority / "empty").touch()
    (authority / "huge").write_bytes(bytes(2 << 20))
    for name, expected in (("fifo", "is not a file of at most"), (".", "is not a file of at most"), ("huge", "is not a file of at most"), ("empty", "was found; in 'empty'")):
        assert expected in run(authority, "show", name, status=1)


def test_two_at_once_and_killed(authority):
    """Whoever has a certificate is in the index, and no entry is lost."""
    def begin(i):
        return subprocess.Popen([PROGRAM, "pki", "issue", "ca", "gw.csr", "--subject", f"CN=n{i}", "-o", f"n{i}.crt"], cwd=authority,
                                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    children = [begin(i) for i in range(12)]
    for i, child in enumerate(children[:4]):
        time.sleep(0.002 * i)
        child.send_signal(signal.SIGKILL)
    for child in children:
        child.wait(60)
    serials = [line.split("\t")[3] for line in (authority / "ca/index.txt").read_text().splitlines()]
    assert len(serials) == len(set(serials)) >= 8
    made = [p for p in authority.glob("n*.crt")]
    assert len(made) >= 8
    assert {f"{read(p).serial_number:X}" for p in made} <= set(serials)
    issue(authority, "after.example.net")
