"""An FTP server behind head office's destination NAT: its replies tell where it is published, and its clients reach it there, in passive
mode of both kinds; in active mode it calls from its published address. With one worker and with two."""
import ftplib
import io
import shutil
import socket
import subprocess

import pytest
from kit import HOST_A, HQ_WAN, WEB, config_of, counter, drops, own_lab, show, wait_for
from test_alg import FTP_SERVER

SIZE = 1 << 20


def config(alg):
    rule = "rule ftp { match { source any; destination any; application ftp-control; } then { permit; } }"
    return config_of(
        "hq", ("    host-name hq;\n", "    host-name hq;\n" + alg),
        ("applications {\n", "applications {\n    application ftp-control { protocol tcp; destination-port 21; }\n"),
        ("policy {\n", f"policy {{ from untrust to trust {{ {rule} }}\n"),
        ("nat {\n", f"""nat {{
    destination {{ rule ftp {{ match {{ destination-interface wan0; application ftp-control; }} then {{ destination-nat {HOST_A}; }} }} }}
"""))


@pytest.fixture(scope="module", params=[1, 2], ids=["one worker", "two workers"])
def lab(request):
    if subprocess.run(["/usr/bin/python3", "-c", "import pyftpdlib"], stderr=subprocess.DEVNULL, check=False).returncode:
        pytest.skip("needs python3-pyftpdlib")
    two_sites, servers = own_lab("pgp"), []
    two_sites.workers = request.param
    try:
        two_sites.up("on", configs={"hq": config("    alg { ftp; }\n")})
        folder = two_sites["host-a"].state / "files"
        folder.mkdir(exist_ok=True)
        folder.chmod(0o777)
        (folder / "much.bin").write_bytes(bytes(range(256)) * (SIZE // 256))
        (folder / "much.bin").chmod(0o644)
        servers.append(two_sites["host-a"].popen(["/usr/bin/python3", "-c", FTP_SERVER, str(folder), HOST_A]))
        wait_for(lambda: "LISTEN" in two_sites["host-a"].run("ss -ltn sport = :21").stdout, 10, "the FTP server")
        yield two_sites
    finally:
        for server in servers:
            server.terminate()
        two_sites.down()


class Client(ftplib.FTP):
    """Believes what it is told, and whose sockets are the web machine's."""
    trust_server_pasv_ipv4_address = True

    def __init__(self, lab, extended, passive):
        super().__init__()
        self.lab, self.extended, self.told = lab, extended, []
        self.set_pasv(passive)
        self.af = socket.AF_INET
        self.sock = self._socket()
        self.sock.connect((HQ_WAN, 21))
        self.file = self.sock.makefile("r", encoding="utf-8")
        self.welcome = self.getresp()
        self.login()

    def _socket(self):
        s = self.lab["web"].socket(socket.AF_INET, socket.SOCK_STREAM)
        s.settimeout(8)
        return s

    def ntransfercmd(self, cmd, rest=None):
        if self.passiveserver:
            host, port = ftplib.parse229(self.sendcmd("EPSV"), (HQ_WAN, 21)) if self.extended else ftplib.parse227(self.sendcmd("PASV"))
            self.told.append((host, port))
            data = self._socket()
            data.connect((host, port))
            assert self.sendcmd(cmd)[0] == "1"
            return data, None
        with self._socket() as listening:
            listening.bind((WEB, 0))
            listening.listen(1)
            port = listening.getsockname()[1]
            self.sendeprt(WEB, port) if self.extended else self.sendport(WEB, port)
            assert self.sendcmd(cmd)[0] == "1"
            data, peer = listening.accept()
            self.told.append(peer)
            data.settimeout(8)
            return data, None

    def fetch(self):
        got = io.BytesIO()
        self.retrbinary("RETR much.bin", got.write)
        return got.getvalue() == bytes(range(256)) * (SIZE // 256)


@pytest.mark.parametrize("extended", [False, True], ids=["PASV", "EPSV"])
def test_passive(lab, extended):
    client = Client(lab, extended, True)
    for _ in range(3):
        assert client.fetch(), drops(lab, "hq")
        assert client.told[-1][0] == HQ_WAN and client.told[-1][1] >= 40960
    assert client.quit().startswith("221")


@pytest.mark.parametrize("extended", [False, True], ids=["PORT", "EPRT"])
def test_active(lab, extended):
    client = Client(lab, extended, False)
    for _ in range(3):
        assert client.fetch(), drops(lab, "hq")
        assert client.told[-1][0] == HQ_WAN
    assert client.quit().startswith("221")


def test_what_was_told_is_for_its_client_and_once(lab):
    client = Client(lab, True, True)
    port = ftplib.parse229(client.sendcmd("EPSV"), (HQ_WAN, 21))[1]
    with lab["internet"].socket(socket.AF_INET, socket.SOCK_STREAM) as stranger:
        stranger.settimeout(2)
        with pytest.raises(OSError):
            stranger.connect((HQ_WAN, port))
    first, second = client._socket(), client._socket()
    first.connect((HQ_WAN, port))
    second.settimeout(2)
    with pytest.raises(OSError):
        second.connect((HQ_WAN, port))
    rows = [row for row in show(lab, "hq", "sessions") if row.get("alg") == "ftp"]
    assert any(row["dst"] == f"{HQ_WAN}:{port}" and row["nat_dst"].startswith(HOST_A) for row in rows), rows
    first.close()


def test_a_commit_keeps_what_is_open(lab):
    client = Client(lab, False, True)
    client.voidcmd("TYPE I")
    data = client.transfercmd("RETR much.bin")
    lab.commit("hq", config("    alg { ftp; }\n"), "the same rules")
    got = b""
    while piece := data.recv(1 << 16):
        got += piece
    assert len(got) == SIZE, drops(lab, "hq")
    assert client.voidresp().startswith("226")


def test_real_clients(lab):
    got = lab["web"].state / "got.bin"
    for options in ([], ["--disable-epsv", "--no-ftp-skip-pasv-ip"], ["-P", WEB]):
        got.unlink(missing_ok=True)
        lab["web"].run(["curl", "-sS", "--max-time", "8", "-o", str(got), *options, f"ftp://{HQ_WAN}/much.bin"])
        assert got.stat().st_size == SIZE
    if shutil.which("lftp"):
        got.unlink()
        lab["web"].run(["timeout", "15", "lftp", "-e", f"set net:max-retries 1; set ftp:prefer-epsv no; get much.bin -o {got}; quit", f"ftp://{HQ_WAN}"])
        assert got.stat().st_size == SIZE


def test_a_split_command(lab):
    """Typed by hand: what arrives without its end comes again with it."""
    client = Client(lab, False, True)
    client.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for piece in (b"PA", b"S", b"V\r\n"):
        client.sock.sendall(piece)
    assert ftplib.parse227(client.getresp())[0] == HQ_WAN
    assert counter(lab, "hq", "alg-refused") == 0
