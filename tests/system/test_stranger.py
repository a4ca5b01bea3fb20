"""The effect of a stranger's single packets on the gateway's own kernel, which keeps addresses, routes and path MTUs for the data plane;
and what the host itself sends when no process is there to encrypt it."""
import time

import pytest
from kit import BRANCH_WAN, HOST_B, HQ_WAN, Capture, config_of, counter, own_lab, wait_for

PYTHON = "/usr/bin/python3"

TOO_BIG = f"""
import socket, struct
def checksum(b):
    s = sum(struct.unpack("!%dH" % (len(b) // 2), b))
    s = (s >> 16) + (s & 0xffff)
    return ~(s + (s >> 16)) & 0xffff
ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 1400, 1, 0x4000, 60, 17, 0, socket.inet_aton("{HQ_WAN}"), socket.inet_aton("{BRANCH_WAN}"))
quoted = ip + struct.pack("!HHHHII", 4500, 4500, 1380, 0, 0x12345678, 1)
head = lambda c: struct.pack("!BBHHH", 3, 4, c, 0, 68)
s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
s.sendto(head(checksum(head(0) + quoted)) + quoted, ("{HQ_WAN}", 0))
"""

SYN_ON_LO = """
import socket, struct
def checksum(b):
    s = sum(struct.unpack("!%dH" % (len(b) // 2), b))
    s = (s >> 16) + (s & 0xffff)
    return ~(s + (s >> 16)) & 0xffff
a, b = socket.inet_aton("10.2.0.9"), socket.inet_aton("10.1.0.1")
tcp = lambda c: struct.pack("!HHIIBBHHH", 3333, 8088, 1, 0, 0x50, 2, 65535, c, 0)
tcp = tcp(checksum(a + b + struct.pack("!HH", 6, 20) + tcp(0)))
ip = lambda c: struct.pack("!BBHHHBBH4s4s", 0x45, 0, 40, 1, 0, 64, 6, c, a, b)
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
s.bind(("wan0", 0))
s.sendto(bytes(12) + b"\\x08\\x00" + ip(checksum(ip(0))) + tcp, ("lo", 0x800))
"""

SERVER = """
import socket
s = socket.create_server(("", 8088))
while True:
    c, _ = s.accept()
    c.sendall(b"HTTP/1.0 200 OK\\r\\n\\r\\n")
    c.close()
"""


@pytest.fixture(scope="module")
def lab():
    """Its supervisors are killed, so no other test shares this lab."""
    two_sites = own_lab("pgx")
    two_sites.up("on")
    try:
        two_sites.wait_for_tunnel()
        yield two_sites
    finally:
        two_sites.down()


def pinged(lab, size):
    return lab["host-a"].run(["ping", "-c", "3", "-i", "0.2", "-W", "1", "-s", str(size), "-M", "dont", HOST_B], check=False).returncode == 0


def test_forged_too_big_does_not_stop_the_tunnel(lab):
    assert pinged(lab, 560)
    lab["web"].run([PYTHON, "-c", TOO_BIG])
    learnt = wait_for(lambda: "mtu" in (said := lab["hq"].run(["ip", "route", "get", BRANCH_WAN]).stdout) and said, 5,
                      "the forged error to be looked at; otherwise this proves nothing")
    for size in (560, 1000, 1400):
        assert pinged(lab, size), f"{size} octets do not pass: {learnt}, {counter(lab, 'hq', 'tunnel-send-failed')} were not sent"


def test_somebody_else_in_the_dataplane_reaches_no_more_of_the_host_than_tunnels_do(lab):
    rules = lab["hq"].run(["nft", "list", "chain", "inet", "plaingate", "input"]).stdout
    assert 'iifname "pg0" jump zone_' in rules and '"pg0" }' not in rules and '"pg0" accept' not in rules, rules
    zone = rules.split('iifname "pg0" jump ')[1].split()[0]
    chain = lab["hq"].run(["nft", "list", "chain", "inet", "plaingate", zone]).stdout
    assert "icmp type echo-request accept" in chain and "tcp" not in chain, chain
    assert lab["hq"].run(["sysctl", "-n", "net.ipv6.conf.pg0.accept_ra"]).stdout.strip() == "0"


def test_somebody_else_in_the_dataplane_does_not_get_in_by_loopback(lab):
    """A packet socket that is bound to a link can send on lo as well, with the address of a host behind the tunnel: the gateway's answer
    would come back through pg0."""
    hq = lab["hq"]
    with hq.popen([PYTHON, "-c", SERVER]) as server:
        try:
            wait_for(lambda: ":8088" in hq.run(["ss", "-ltn"]).stdout, 5, "a server on the host")
            with Capture(lab, "hq", "pg0", "tcp port 8088") as answers, Capture(lab, "hq", "lo", "tcp port 8088") as sent:
                hq.run([PYTHON, "-c", SYN_ON_LO])
                assert hq.run(["curl", "-s", "-m", "2", "http://10.1.0.1:8088/"], check=False).returncode != 28, "the host itself is let in"
            assert sent.count("src host 10.2.0.9") > 0, "nothing was sent, so this proves nothing"
            assert answers.count() == 0, answers.lines()
        finally:
            server.terminate()


def test_sockets_of_ike_do_not_speak_to_the_host_itself(lab):
    heard = lab["hq"].run([PYTHON, "-c", """
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("127.0.0.1", 9999))
s.settimeout(0.5)
for mark in (0, 0x5047):
    c = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    c.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, mark)
    try:
        c.sendto(b"marked" if mark else b"plain", ("127.0.0.1", 9999))
        print(s.recv(100).decode())
    except (socket.timeout, PermissionError):
        pass
"""]).stdout.split()
    assert heard == ["plain"]


def test_host_sends_nothing_in_clear_while_plaingated_is_dead(lab):
    hq = lab["hq"]
    assert hq.run(["ping", "-c", "1", "-W", "2", HOST_B], check=False).returncode == 0
    with Capture(lab, "internet", "hq0", f"host {HOST_B}") as capture:
        hq.run(["sh", "-c", "kill -9 $(cat /run/plaingate/plaingated.pid)"])
        wait_for(lambda: hq.run(["ip", "link", "show", "pg0"], check=False).returncode != 0, 5, "the end of pg0")
        assert hq.run(["ping", "-c", "2", "-W", "1", HOST_B], check=False).returncode != 0
    assert capture.lost == 0 and capture.count() == 0, capture.lines()
    lab.daemons.pop("hq").wait(10)
    lab.start_gateway("hq")
    lab.wait_for_tunnel()
    assert hq.run(["ping", "-c", "1", "-W", "2", HOST_B], check=False).returncode == 0


def test_the_filter_is_set_again_when_somebody_flushes_it(lab):
    hq = lab["hq"]
    before = hq.run(["nft", "list", "ruleset"]).stdout
    assert "interface_1" in before
    hq.run(["nft", "flush", "ruleset"])
    wait_for(lambda: hq.run(["nft", "list", "ruleset"]).stdout == before, 5, "the filter")
    # It does not mistake its own changes for another program's.
    log = hq.state / "plaingated.log"
    said = log.read_text().count("nftables ruleset was changed by another program")
    time.sleep(3)
    assert log.read_text().count("nftables ruleset was changed by another program") == said


def test_a_lost_configuration_closes_the_host(lab):
    """What is stored is damaged while plaingated is away. An empty policy must not mean an open host."""
    hq = lab["hq"]
    hq.run(["sh", "-c", "kill $(cat /run/plaingate/plaingated.pid)"])
    lab.daemons.pop("hq").wait(20)
    hq.run(["sh", "-c", "echo damaged > /var/lib/plaingate/config/running.conf"])
    with hq.popen([PYTHON, "-c", SERVER]) as server:
        try:
            wait_for(lambda: ":8088" in hq.run(["ss", "-ltn"]).stdout, 5, "a server on the host")
            lab.start_gateway("hq")
            wait_for(lambda: "all is denied" in hq.run("plaingate show configuration").stdout or
                     "could not be used" in hq.run("plaingate show configuration").stdout, 5, "the built-in configuration")
            time.sleep(0.5)
            curl = ["curl", "-s", "-m", "2", f"http://{HQ_WAN}:8088/"]
            assert lab["internet"].run(curl, check=False).returncode == 28, "the host's own server is open to strangers"
            own = hq.run(["curl", "-s", "-m", "2", f"http://{HQ_WAN}:8088/"], check=False)
            assert own.returncode != 28, "there is no server, so this proves nothing"
        finally:
            server.terminate()
    lab.commit("hq", config_of("hq"), "as it was")
    lab.wait_for_tunnel()


def test_the_end_leaves_no_routes(lab):
    hq = lab["hq"]
    assert "unreachable 10.2.0.0/24" in hq.run(["ip", "route", "show", "table", "20551"]).stdout
    hq.run(["sh", "-c", "kill $(cat /run/plaingate/plaingated.pid)"])
    lab.daemons.pop("hq").wait(20)
    hq.run(["plaingated", "--flush"])
    assert hq.run(["ip", "route", "show", "table", "20551"], check=False).stdout == ""
    assert hq.run(["ip", "-6", "route", "show", "table", "20551"], check=False).stdout == ""
