"""FTP and TFTP through head office's source NAT, with servers and clients of others: what the application layer gateways open, and that
nothing passes where they are off. The policy permits the control port and the port of requests only."""
import shutil
import socket
import subprocess
import time

import pytest
from kit import HOST_A, WEB, config_of, counter, drops, own_lab, wait_for

FTP_SERVER = """
import sys
from pyftpdlib.authorizers import DummyAuthorizer
from pyftpdlib.handlers import FTPHandler
from pyftpdlib.servers import FTPServer
authorizer = DummyAuthorizer()
authorizer.add_anonymous(sys.argv[1], perm="elradfmw")
class Handler(FTPHandler):
    pass
Handler.authorizer = authorizer
Handler.permit_foreign_addresses = True
FTPServer((sys.argv[2], 21), Handler).serve_forever()
"""
SIZE = 3_000_000


def config(alg, nat=True):
    files = """    application ftp-control { protocol tcp; destination-port 21; }
    application tftp-requests { protocol udp; destination-port 69; }
    application-set office {"""
    text = config_of("hq", ("    host-name hq;\n", "    host-name hq;\n" + alg), ("    application-set office {", files),
                     ("application [ http https dns ping traceroute", "application [ ftp-control tftp-requests http https dns ping traceroute"))
    return text if nat else text.replace("source-nat interface;", "source-nat off;")


@pytest.fixture(scope="module", params=["on", "off", "on without NAT", "on with two workers", "on with two workers without NAT"])
def lab(request):
    if not shutil.which("atftpd") or subprocess.run(["/usr/bin/python3", "-c", "import pyftpdlib"], stderr=subprocess.DEVNULL, check=False).returncode:
        pytest.skip("needs atftpd and python3-pyftpdlib")
    two_sites = own_lab("pga")
    two_sites.alg, servers = request.param.replace(" with two workers", ""), []
    two_sites.workers = 2 if "workers" in request.param else 1

    def prepare(lab):
        if two_sites.alg == "on without NAT":  # what the Internet would not do
            lab["internet"].run("ip route add 10.1.0.0/24 via 198.51.100.2")

    try:
        two_sites.up("on", configs={"hq": config("" if two_sites.alg == "off" else "    alg { ftp; tftp; }\n", two_sites.alg != "on without NAT")},
                     prepare=prepare)
        folder = two_sites["web"].state / "files"
        folder.mkdir(exist_ok=True)
        folder.chmod(0o777)
        (folder / "much.bin").write_bytes(bytes(range(256)) * (SIZE // 256))
        (folder / "much.bin").chmod(0o644)
        servers.append(two_sites["web"].popen(["/usr/bin/python3", "-c", FTP_SERVER, str(folder), WEB]))
        servers.append(two_sites["web"].popen(["atftpd", "--daemon", "--no-fork", "--user", "root", "--group", "root", "--bind-address", WEB,
                                               "--verbose=5", str(folder)]))
        wait_for(lambda: "LISTEN" in two_sites["web"].run("ss -ltn sport = :21").stdout, 10, "the FTP server")
        wait_for(lambda: ":69" in two_sites["web"].run("ss -lun").stdout, 10, "the TFTP server")
        yield two_sites
    finally:
        for server in servers:
            server.terminate()
        two_sites.down()


def fetch(lab, *options, seconds=8):
    """Whether host-a gets the file, whole."""
    got = lab["host-a"].state / "got.bin"
    got.unlink(missing_ok=True)
    done = lab["host-a"].run(["curl", "-sS", "--max-time", str(seconds), "-o", str(got), *options], check=False)
    whole = got.exists() and got.read_bytes() == (lab["web"].state / "files/much.bin").read_bytes()
    assert whole or done.returncode, "curl says that it succeeded"
    return whole


FTP_URL = f"ftp://{WEB}/much.bin"


@pytest.mark.parametrize("mode", [(), ("--disable-epsv",)], ids=["EPSV", "PASV"])
def test_passive(lab, mode):
    assert fetch(lab, *mode, FTP_URL, seconds=8 if lab.alg != "off" else 3) == (lab.alg != "off"), drops(lab, "hq")


@pytest.mark.parametrize("mode", [(), ("--disable-eprt",)], ids=["EPRT", "PORT"])
def test_active(lab, mode):
    """The server calls the client; where that is translated, at an address and port of the gateway."""
    for _ in range(3):
        assert fetch(lab, *mode, "-P", HOST_A, FTP_URL, seconds=8 if lab.alg != "off" else 3) == (lab.alg != "off"), drops(lab, "hq")
        if lab.alg == "off":
            return


def test_upload(lab):
    if lab.alg == "off":
        return
    source = lab["web"].state / "files/much.bin"
    lab["host-a"].run(["curl", "-sS", "--max-time", "8", "-T", str(source), f"ftp://{WEB}/stored.bin"])
    assert (lab["web"].state / "files/stored.bin").read_bytes() == source.read_bytes()


def test_bounce(lab):
    """A client that names somebody else's address: the command does not come to the server."""
    if lab.alg == "off":
        return
    before = counter(lab, "hq", "alg-refused")
    with lab["host-a"].socket(socket.AF_INET, socket.SOCK_STREAM) as s:
        s.settimeout(3)
        s.connect((WEB, 21))
        assert s.recv(200).startswith(b"220")
        s.sendall(b"PORT 10,1,0,77,156,64\r\n")
        with pytest.raises(TimeoutError):
            s.recv(200)
    assert counter(lab, "hq", "alg-refused") > before


def test_tftp(lab):
    assert fetch(lab, f"tftp://{WEB}/much.bin", seconds=15 if lab.alg != "off" else 3) == (lab.alg != "off"), drops(lab, "hq")


def test_lftp(lab):
    if lab.alg == "off" or not shutil.which("lftp"):
        return
    got = lab["host-a"].state / "lftp.bin"
    got.unlink(missing_ok=True)
    lab["host-a"].run(["timeout", "15", "lftp", "-e", f"set net:max-retries 1; get much.bin -o {got}; quit", f"ftp://{WEB}"])
    assert got.read_bytes() == (lab["web"].state / "files/much.bin").read_bytes()


def test_a_commit_in_the_midst_of_a_transfer(lab):
    """The data connection is permitted by its parent's rule, so it outlives a commit that keeps that rule."""
    if lab.alg == "off":
        return
    got = lab["host-a"].state / "slow.bin"
    got.unlink(missing_ok=True)
    client = lab["host-a"].popen(["curl", "-sS", "--max-time", "20", "--limit-rate", "700k", "-o", str(got), FTP_URL])
    wait_for(lambda: got.exists() and got.stat().st_size > 0, 5, "the transfer")
    time.sleep(0.3)
    lab.commit("hq", config("    alg { ftp; tftp; }\n", lab.alg == "on"), "the same rules")
    assert client.wait(20) == 0
    assert got.stat().st_size == SIZE // 256 * 256
