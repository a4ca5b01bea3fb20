"""`plaingate pki` with keys that are in no file: in a token of PKCS#11 (SoftHSM) and in a TPM (swtpm), by the providers that Debian has.

Whatever is missing is skipped: Debian 12 has no pkcs11-provider.
"""
import os
import pty
import re
import select
import shutil
import signal
import subprocess
import termios
import time
from pathlib import Path

import pytest
from test_pki import BUILD, PROGRAM

JUDGE = BUILD / "tests/unit/pki/judge"
SOFTHSM = next((p for p in Path("/usr/lib").glob("**/libsofthsm2.so")), None)
PIN, WRONG = "271828", "314159"

pytestmark = pytest.mark.skipif(not PROGRAM.is_file() or not JUDGE.is_file(), reason=f"{PROGRAM} or {JUDGE} is not built")


def provider(name):
    told = subprocess.run(["openssl", "version", "-m"], capture_output=True, text=True)
    return any(Path(folder, f"{name}.so").is_file() for folder in re.findall(r'"(.+)"', told.stdout))


class Place:
    """Where keys are, in an environment of their own."""

    def __init__(self, folder):
        self.folder = folder
        self.env = {**os.environ, "HOME": str(folder)}
        for name, pin in ("pin", PIN), ("wrong", WRONG):
            (folder / name).write_text(pin + "\n")
            (folder / name).chmod(0o600)

    def pki(self, *words, status=0):
        done = subprocess.run([PROGRAM, "pki", *words], cwd=self.folder, env=self.env, capture_output=True, text=True, timeout=60,
                              stdin=subprocess.DEVNULL, start_new_session=True)
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout if status == 0 else done.stderr

    def pki_on_terminal(self, *words, at_prompt=lambda: None, pin=PIN):
        """What is printed, and the status; the PIN is typed when it is asked for, after at_prompt()."""
        pid, terminal = pty.fork()
        self.pid = pid
        if pid == 0:
            os.chdir(self.folder)
            os.execve(PROGRAM, [PROGRAM, "pki", *words], self.env)
        said, typed, end = b"", False, time.monotonic() + 60
        while time.monotonic() < end:
            if not select.select([terminal], [], [], 1)[0]:
                continue
            try:
                said += os.read(terminal, 4096)
            except OSError:
                break
            if not typed and re.search(rb"PIN of .*: $", said):
                at_prompt()
                while termios.tcgetattr(terminal)[3] & termios.ECHO and time.monotonic() < end:
                    time.sleep(0.005)  # the prompt comes before the echo goes
                os.write(terminal, pin.encode() + b"\n")
                typed = True
        os.close(terminal)
        return said.decode(), os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    def files(self):
        return {p: p.read_bytes() for p in self.folder.rglob("*") if p.is_file() and "state" not in p.parts}


class Token(Place):
    def __init__(self, folder):
        super().__init__(folder)
        (folder / "state").mkdir()
        (folder / "softhsm.conf").write_text(f"directories.tokendir = {folder}/state\n")
        self.env["SOFTHSM2_CONF"] = str(folder / "softhsm.conf")
        subprocess.run(["softhsm2-util", "--init-token", "--free", "--label", "hsm", "--pin", PIN, "--so-pin", "12345678"], env=self.env,
                       check=True, capture_output=True)

    def key(self, name):
        return f"pkcs11:token=hsm;object={name}?module-path={SOFTHSM}"

    def pull(self):
        (self.folder / "state").rename(self.folder.parent / "pulled-state")

    def stop(self):
        pass


class Tpm(Place):
    def __init__(self, folder):
        super().__init__(folder)
        (folder / "state").mkdir()
        socket = folder / "state/tpm"
        tcti = f"swtpm:path={socket}"
        self.env |= {"TPM2OPENSSL_TCTI": tcti, "TPM2TOOLS_TCTI": tcti}
        self.tpm = subprocess.Popen(["swtpm", "socket", "--tpm2", "--tpmstate", f"dir={folder}/state", "--server", f"type=unixio,path={socket}",
                                     "--ctrl", f"type=unixio,path={socket}.ctrl", "--flags", "not-need-init,startup-clear"],
                                    stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        end = time.monotonic() + 60
        while not (socket.exists() and Path(f"{socket}.ctrl").exists()) and time.monotonic() < end:
            time.sleep(0.01)

    def key(self, name):
        return f"tpm2tss:{name}.key"

    def pull(self):
        self.stop()

    def stop(self):
        self.tpm.send_signal(signal.SIGKILL)
        self.tpm.wait(60)


def token(folder):
    if not (provider("pkcs11") and SOFTHSM and shutil.which("softhsm2-util")):
        pytest.skip("pkcs11-provider and softhsm2 are not installed")
    return Token(folder)


def tpm(folder):
    if not (provider("tpm2") and shutil.which("swtpm")):
        pytest.skip("tpm2-openssl and swtpm are not installed")
    # the path of a socket is short
    return Tpm(folder)


@pytest.fixture(params=[token, tpm])
def place(request, tmp_path):
    folder = tmp_path / "p"
    folder.mkdir()
    made = request.param(folder)
    yield made
    made.stop()


def make(place, *more):
    return place.pki("authority", "ca", "--key", place.key("vpn-ca"), "--subject", "CN=VPN CA, O=Example", "--pin-file", "pin", *more)


def issue(place, request, name, *more, **how):
    return place.pki("issue", "ca", request, "--subject", f"CN={name}", "--san", f"dns:{name}", "-o", f"{name}.crt", "--pin-file", "pin", *more, **how)


def judged(place, name, *crl):
    return subprocess.run([JUDGE, "ca/ca.crt", f"{name}.crt", name, *crl], cwd=place.folder, capture_output=True, text=True, check=True).stdout.split("\n")[:2]


def test_the_whole_life_of_an_authority(place):
    assert "a key was made" in make(place)
    assert not (place.folder / "ca/ca.pem").exists() and PIN not in (place.folder / "ca/ca.uri").read_text()
    place.pki("request", "a.pem", "--subject", "CN=a", "-o", "a.csr")
    place.pki("request", place.key("gw"), "--subject", "CN=b", "-o", "b.csr", *(["--pin-file", "pin"] if isinstance(place, Token) else []))
    for name in "a", "b":
        issue(place, f"{name}.csr", f"{name}.example.net")
    place.pki("revoke", "ca", "b.example.net.crt", "--pin-file", "pin")
    place.pki("crl", "ca", "--pin-file", "pin")
    accepted = judged(place, "a.example.net")
    assert accepted == judged(place, "a.example.net", "ca/ca.crl") and accepted[0] == accepted[1]
    assert judged(place, "b.example.net") == accepted
    refused = judged(place, "b.example.net", "ca/ca.crl")
    assert refused != accepted and all("revoked" in said for said in refused)
    checks = [["openssl", "verify", "-CAfile", "ca/ca.crt", "-CRLfile", "ca/ca.crl", "-crl_check"]]
    if shutil.which("certtool"):
        checks.append(["certtool", "--verify", "--load-ca-certificate", "ca/ca.crt", "--load-crl", "ca/ca.crl", "--infile"])
    for words in checks:
        for name, good in ("a", True), ("b", False):
            done = subprocess.run([*words, f"{name}.example.net.crt"], cwd=place.folder, capture_output=True, text=True)
            assert (done.returncode == 0) == good, done.stdout + done.stderr


def test_a_key_is_not_made_twice(place):
    make(place)
    again = ("authority", "other", "--key", place.key("vpn-ca"), "--subject", "CN=Other", "--pin-file", "pin")
    assert "exists already, and --key-type is for a new key" in place.pki(*again, "--key-type", "ecdsa-p256", status=1)
    assert not (place.folder / "other").exists()
    assert "a key was made" not in place.pki(*again)


def test_a_wrong_pin_is_tried_once(place):
    make(place)
    before = place.files()
    said = place.pki("crl", "ca", "--pin-file", "wrong", status=1)
    assert "did not accept the PIN, and it was not tried again" in said and place.files() == before
    if isinstance(place, Tpm):  # it locks itself after three
        assert "did not accept the PIN" in place.pki("crl", "ca", "--pin-file", "wrong", status=1)
        assert "did not accept the PIN" in place.pki("crl", "ca", "--pin-file", "wrong", status=1) and place.files() == before
        assert "is locked after wrong PINs" in place.pki("crl", "ca", "--pin-file", "pin", status=1)
    else:
        assert "is list " in place.pki("crl", "ca", "--pin-file", "pin")


def test_the_pin_is_asked_for_on_the_terminal_only(place):
    make(place)
    assert "there is no terminal to ask for it: use --pin-file" in place.pki("crl", "ca", status=1)
    said, status = place.pki_on_terminal("crl", "ca")
    assert status == 0 and "is list " in said and PIN not in said and said.count("PIN of") == 1
    said, status = place.pki_on_terminal("crl", "ca", pin=WRONG)
    assert status == 1 and "did not accept the PIN" in said and said.count("PIN of") == 1
    (place.folder / "crlf").write_text(PIN + "\r\n")
    (place.folder / "crlf").chmod(0o600)
    assert "none of them a control character" in place.pki("crl", "ca", "--pin-file", "crlf", status=1)
    for path, mode in ("pin", 0o640), ("pin", 0o604):
        (place.folder / path).chmod(mode)
        assert "not a file that is yours alone" in place.pki("crl", "ca", "--pin-file", path, status=1)


def test_no_pin_gets_into_swap(place):
    """What a provider loads and copies is locked in memory, for who may do that without a limit (root, CAP_IPC_LOCK)."""
    mine = int(re.search(r"CapEff:\s+(\w+)", Path("/proc/self/status").read_text())[1], 16)
    if not mine >> 14 & 1 or b"__asan_init" in PROGRAM.read_bytes():
        pytest.skip("no memory can be locked here without a limit, or sanitizers keep it from being locked")
    make(place)
    told = []
    said, status = place.pki_on_terminal("crl", "ca", at_prompt=lambda: told.append(Path(f"/proc/{place.pid}/status").read_text()))
    assert status == 0, said
    size, locked = (int(re.search(rf"{name}:\s+(\d+) kB", told[0])[1]) for name in ("VmRSS", "VmLck"))
    assert locked > size / 2, told[0]


def test_a_token_that_is_pulled_leaves_nothing_half_written(place):
    make(place)
    place.pki("request", "a.pem", "--subject", "CN=a", "-o", "a.csr")
    issue(place, "a.csr", "a.example.net")
    before = place.files()
    said, status = place.pki_on_terminal("revoke", "ca", "a.example.net.crt", at_prompt=place.pull)
    assert status == 1 and "plaingate: " in said, said
    assert place.files() == before
    assert status == 1 and "revoked: " not in said
    issue(place, "a.csr", "b.example.net", status=1)
    assert place.files() == before


@pytest.mark.parametrize("name, expected", [
    ("pkcs11:token=hsm;object=ca?pin-value=1234", "pin-value or pin-source"),
    ("pkcs11:token=hsm;object=ca;pin-source=file:/x", "pin-value or pin-source"),
    ("pkcs11:object=ca", "does not say which token"),
    ("pkcs11:token=my hsm;object=ca", "is not one of a URI"),
    ("handle:0x40000001", "expected a persistent handle"),
    ("tpm2tss:", "needs the name of a file"),
    ("ca.pem", "expected a key in a token or TPM"),
])
def test_names_that_are_none(tmp_path, name, expected):
    done = subprocess.run([PROGRAM, "pki", "authority", "ca", "--key", name, "--subject", "CN=x"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 1 and expected in done.stderr and not any(tmp_path.iterdir()), done.stderr


@pytest.mark.parametrize("name, package", [("pkcs11:token=hsm;object=ca", "pkcs11-provider"), ("handle:0x81000001", "tpm2-openssl")])
def test_without_a_provider_its_package_is_named(tmp_path, name, package):
    done = subprocess.run([PROGRAM, "pki", "request", name, "--subject", "CN=x", "-o", "x.csr"], cwd=tmp_path, capture_output=True, text=True,
                          env={**os.environ, "OPENSSL_MODULES": str(tmp_path)})
    assert done.returncode == 1 and f"install the package {package}" in done.stderr and not any(tmp_path.iterdir()), done.stderr


@pytest.mark.parametrize("module", ["module.so", "{}/module.so", "{}/link.so", "{}/none.so"])
def test_a_directory_of_somebody_else_runs_no_code(tmp_path, module):
    """Who may exchange it, or put it there, is asked of what links lead to, and of all directories above that."""
    (tmp_path / "link.so").symlink_to(tmp_path / "module.so")
    (tmp_path / "module.so").touch()
    (tmp_path / "module.so").chmod(0o666)
    name = f"pkcs11:token=hsm;object=ca?module-path={module.format(tmp_path)}"
    done = subprocess.run([PROGRAM, "pki", "request", name, "--subject", "CN=x", "-o", "x.csr"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 1 and "is not loaded: " in done.stderr and not (tmp_path / "x.csr").exists(), done.stderr


def test_a_key_in_a_file_has_no_pin(tmp_path):
    done = subprocess.run([PROGRAM, "pki", "request", "a.pem", "--subject", "CN=x", "-o", "x.csr", "--pin-file", "pin"], cwd=tmp_path,
                          capture_output=True, text=True)
    assert done.returncode == 1 and "is for a key in a token or TPM" in done.stderr and not any(tmp_path.iterdir())


def test_keys_that_a_token_has_already(tmp_path):
    t = token(tmp_path)
    for kind, name in ("EC:secp256k1", "odd"), ("rsa:3072", "rsa"), ("EC:secp256r1", "twice"), ("EC:secp256r1", "twice"):
        if not shutil.which("pkcs11-tool"):
            pytest.skip("opensc is not installed")
        subprocess.run(["pkcs11-tool", "--module", SOFTHSM, "--login", "--pin", PIN, "--token-label", "hsm", "--keypairgen", "--key-type", kind,
                        "--label", name, "--id", os.urandom(4).hex()], env=t.env, check=True, capture_output=True)
    words = ("--subject", "CN=x", "-o", "x.csr", "--pin-file", "pin")
    assert "the key is EC on secp256k1" in t.pki("request", t.key("odd"), *words, status=1)
    assert "fits several private keys" in t.pki("request", t.key("twice"), *words, status=1)
    assert "no such token is there; tokens that are there: 'hsm'" in t.pki(
        "request", t.key("rsa").replace("token=hsm", "token=other"), *words, status=1)
    assert "cannot be loaded" in t.pki("request", "pkcs11:token=hsm;object=rsa?module-path=/etc/passwd", *words, status=1)
    assert "say what it is to be called" in t.pki("request", f"pkcs11:token=hsm;id=%99?module-path={SOFTHSM}", *words, status=1)
    assert not (tmp_path / "x.csr").exists()
    t.pki("request", t.key("rsa"), *words)


def test_a_handle_of_a_tpm(tmp_path):
    if not shutil.which("tpm2_evictcontrol"):
        pytest.skip("tpm2-tools is not installed")
    t = tpm(tmp_path)
    try:
        for words in (["tpm2_createprimary", "-Q", "-C", "o", "-G", "ecc256:ecdsa", "-p", PIN, "-c", "p.ctx",
                       "-a", "fixedtpm|fixedparent|sensitivedataorigin|userwithauth|sign"],
                      ["tpm2_evictcontrol", "-Q", "-C", "o", "-c", "p.ctx", "0x81000001"], ["tpm2_flushcontext", "-t"]):
            subprocess.run(words, cwd=tmp_path, env=t.env, check=True, capture_output=True)
        words = ("--subject", "CN=VPN CA", "--pin-file", "pin")
        assert "write ?pass behind its handle" in t.pki("authority", "ca", "--key", "handle:0x81000001", *words, status=1)
        assert "no such key" in t.pki("authority", "ca", "--key", "handle:0x81000002?pass", *words, status=1)
        assert not (tmp_path / "ca").exists()
        t.pki("authority", "ca", "--key", "handle:0x81000001?pass", *words)
        assert "is list " in t.pki("crl", "ca", "--pin-file", "pin")
    finally:
        t.stop()
