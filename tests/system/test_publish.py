"""A server behind the gateway is published: by a port of the gateway's own address, by an address of its own, one to one; for clients outside
and inside, in both families. The gateway itself does not answer there, whatever host-inbound opens."""
import socket
import threading
import time

import pytest
from kit import HOST_A, HOST_A6, HQ_WAN, WEB, connect, config_of, counter, drops, own_lab, show, verify_ledger, wait_for

HQ_WAN6, WEB6, PUBLIC, PUBLIC6 = "2001:db8:1::2", "2001:db8:80::80", "198.51.100.77", "2001:db8:1::77"
STATIC, STATIC6 = "198.51.100.88", "2001:db8:1::88"
BOOK = ("address-book {\n", f"""address-book {{
    address published {{ prefix [ {PUBLIC} {PUBLIC6} ]; }}
    address server {{ prefix [ {HOST_A} {HOST_A6} ]; }}
""")
APPLICATIONS = ("applications {\n", """applications {
    application alt { protocol tcp; destination-port 8000; }
    application echo { protocol udp; destination-port 7000-7009; }
    application names { protocol udp; destination-port 53; }
    application served { protocol udp; destination-port 9000-9009; }
""")
RULE = "rule served { match { source any; destination server; application [ http ssh served ping ]; } then { permit; count; log { session-close; } } }"
POLICY = ("policy {\n", f"policy {{ from untrust to trust {{ {RULE} }} from trust to trust {{ {RULE} }}\n")
NAT = ("nat {\n", f"""nat {{
    static {{
        rule one {{ from untrust; match {{ destination {STATIC}; }} then {{ static-nat {HOST_A}; }} }}
        rule one6 {{ from untrust; match {{ destination {STATIC6}; }} then {{ static-nat {HOST_A6}; }} }}
    }}
    destination {{
        rule web {{ match {{ destination-interface wan0; application alt; }} then {{ destination-nat {HOST_A}; port 80; }} }}
        rule web6 {{ match {{ destination-interface wan0; application alt; }} then {{ destination-nat {HOST_A6}; port 80; }} }}
        rule names {{ match {{ destination-interface wan0; application names; }} then {{ destination-nat {HOST_A}; port 9004; }} }}
        rule shell {{ match {{ destination-interface wan0; application ssh; }} then {{ destination-nat {HOST_A}; }} }}
        rule echo {{ match {{ destination published; application echo; }} then {{ destination-nat {HOST_A}; port 9000-9009; }} }}
        rule echo6 {{ match {{ destination published; application echo; }} then {{ destination-nat {HOST_A6}; port 9000-9009; }} }}
        rule ping {{ match {{ destination published; application ping; }} then {{ destination-nat {HOST_A}; }} }}
        rule ping6 {{ match {{ destination published; application ping; }} then {{ destination-nat {HOST_A6}; }} }}
    }}
""")
SSH_OPEN = ("host-inbound [ ike ping ]", "host-inbound [ ike ping ssh dns ]")


class Server:
    """Accepts connections and datagrams; answers who it is and whom it sees."""

    def __init__(self, lab, node, port, kind=socket.SOCK_STREAM, name=b"server"):
        self.socket = lab[node].socket(socket.AF_INET6, kind)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        self.socket.bind(("::", port))
        self.kind, self.name, self.seen = kind, name, []
        if kind == socket.SOCK_STREAM:
            self.socket.listen(64)
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                if self.kind == socket.SOCK_STREAM:
                    peer, address = self.socket.accept()
                    self.seen.append(address[0].removeprefix("::ffff:"))
                    threading.Thread(target=self._echo, args=(peer,), daemon=True).start()
                else:
                    data, address = self.socket.recvfrom(4096)
                    self.seen.append(address[0].removeprefix("::ffff:"))
                    self.socket.sendto(self.name + data, address)
            except OSError:
                return

    def _echo(self, peer):
        while data := peer.recv(65536):
            peer.sendall(self.name + data)


@pytest.fixture(scope="module")
def lab():
    two_sites = own_lab("dnt")
    two_sites.up("on")
    try:
        two_sites.commit("hq", config_of("hq", BOOK, APPLICATIONS, POLICY, NAT, SSH_OPEN), "publish")
        # The addresses that nobody has are routed to the gateway.
        for address in (PUBLIC, STATIC):
            two_sites["internet"].run(f"ip route add {address} via {HQ_WAN}")
        for address in (PUBLIC6, STATIC6):
            two_sites["internet"].run(f"ip route add {address} via {HQ_WAN6}")
        yield two_sites
        verify_ledger(two_sites, "hq")
    finally:
        two_sites.down()


@pytest.fixture(scope="module")
def servers(lab):
    return {"web": Server(lab, "host-a", 80), "udp": Server(lab, "host-a", 9004, socket.SOCK_DGRAM), "ssh": Server(lab, "host-a", 22),
            "gateway": Server(lab, "hq", 22, name=b"gateway"), "gateway-web": Server(lab, "hq", 8000, name=b"gateway"),
            "gateway-names": Server(lab, "hq", 53, socket.SOCK_DGRAM, name=b"gateway")}


def ask(lab, node, address, port, bind=None):
    s = connect(lab, node, address, port, bind=bind)
    assert isinstance(s, socket.socket), (s, drops(lab, "hq"))
    with s:
        s.sendall(b" hello")
        return s.recv(64)


def ask_udp(lab, node, address, port, n=6):
    with lab[node].socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(3)
        s.sendto(b" hello".ljust(n), (address, port))
        data, source = s.recvfrom(4096)
        assert source[:2] == (address, port)
        return data.rstrip()


@pytest.mark.parametrize("address, client", [(HQ_WAN, WEB), (HQ_WAN6, WEB6)])
def test_web_server(lab, servers, address, client):
    assert ask(lab, "web", address, 8000) == b"server hello", drops(lab, "hq")
    assert servers["web"].seen[-1] == client
    rows = [row for row in show(lab, "hq", "sessions") if row.get("nat_dst", "").endswith(":80")]
    assert rows and all("nat_src" not in row for row in rows)
    rule = "web6" if ":" in address else "web"
    assert [int(row["hits"]) > 0 for row in show(lab, "hq", "nat") if row["rule"] == rule] == [True]


def test_datagrams_and_ping(lab, servers):
    for address in (PUBLIC, PUBLIC6):
        assert ask_udp(lab, "web", address, 7004) == b"server hello", drops(lab, "hq")
        lab["web"].run(f"ping -c 2 -i 0.2 -W 2 {address}")
        lab["web"].run(f"ping -c 2 -i 0.2 -W 2 -s 3000 {address}")


def test_the_gateway_does_not_answer(lab, servers):
    """Port 22 is open for the gateway itself, and a program listens at it; the rule takes it."""
    assert ask(lab, "web", HQ_WAN, 22) == b"server hello", drops(lab, "hq")
    assert ask(lab, "web", HQ_WAN6, 22) == b"gateway hello"  # the rule has no IPv6 server
    # A segment of no connection gets no reset from the kernel, whose copy it would be.
    before = counter(lab, "hq", "no-session")
    lab["web"].run(["python3", "-c", f"""
import socket, struct, time
s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_TCP)
h = struct.pack("!HHIIBBHHH", 1234, 8000, 5, 5, 0x50, 0x10, 1000, 0, 0)
p = socket.inet_aton("{WEB}") + socket.inet_aton("{HQ_WAN}") + struct.pack("!BBH", 0, 6, 20)
x = sum(struct.unpack("!16H", p + h)); x = (x >> 16) + (x & 0xffff); x += x >> 16
h = h[:16] + struct.pack("!H", ~x & 0xffff) + h[18:]
s.sendto(h, ("{HQ_WAN}", 0))
end = time.monotonic() + 1
while (left := end - time.monotonic()) > 0:  # the socket sees the end of earlier connections as well
    s.settimeout(left)
    try:
        answer = s.recv(100)
    except socket.timeout:
        break
    if answer[22:24] == struct.pack("!H", 1234):
        raise SystemExit(answer.hex())
"""])
    assert counter(lab, "hq", "no-session") > before
    assert servers["gateway-web"].seen == []


def test_nor_to_fragments(lab, servers):
    """Port 53 is open for the gateway itself as well; a rule takes it, for IPv4."""
    for n in (6, 3000):
        assert ask_udp(lab, "web", HQ_WAN, 53, n) == b"server hello", drops(lab, "hq")
        assert servers["gateway-names"].seen == []
    for n in (6, 3000):
        assert ask_udp(lab, "web", HQ_WAN6, 53, n) == b"gateway hello", drops(lab, "hq")
        servers["gateway-names"].seen.clear()


def test_from_inside(lab, servers):
    """The same addresses and rules; the server sees the gateway, so that its answers come back."""
    lab["host-a"].run("ip addr add 10.1.0.3/24 dev eth0")
    lab["host-a"].run("ip addr add fd00:1::3/64 dev eth0 nodad preferred_lft 0")
    for address, client, gateway in ((HQ_WAN, "10.1.0.3", "10.1.0.1"), (HQ_WAN6, "fd00:1::3", "fd00:1::1")):
        assert ask(lab, "host-a", address, 8000, bind=(client, 0)) == b"server hello", drops(lab, "hq")
        assert servers["web"].seen[-1] == gateway
        assert ask_udp(lab, "host-a", PUBLIC6 if ":" in address else PUBLIC, 7004) == b"server hello"


@pytest.mark.parametrize("public, real, outside, kind", [(STATIC, HOST_A, WEB, socket.AF_INET), (STATIC6, HOST_A6, WEB6, socket.AF_INET6)])
def test_one_to_one(lab, servers, public, real, outside, kind):
    assert ask(lab, "web", public, 80) == b"server hello", drops(lab, "hq")
    seen = Server(lab, "web", 5205 if kind == socket.AF_INET else 5206)
    assert ask(lab, "host-a", outside, 5205 if kind == socket.AF_INET else 5206, bind=(real, 0)) == b"server hello"
    assert seen.seen == [public]


def test_show_nat_has_the_published_prefix(lab, servers):
    rows = {row["rule"]: (row["published"], row["pool"]) for row in show(lab, "hq", "nat") if row["type"] == "static"}
    assert rows == {"one": (f"{STATIC}/32", f"{HOST_A}/32"), "one6": (f"{STATIC6}/128", f"{HOST_A6}/128")}


def test_restart_keeps_sessions_and_a_commit_ends_them(lab, servers):
    s = connect(lab, "web", HQ_WAN, 8000)
    s.sendall(b"1")
    assert s.recv(64) == b"server1"
    (pid,) = [row["pid"] for row in show(lab, "hq", "status") if row["process"] == "dataplane"]
    lab["hq"].run(f"kill -9 {pid}")
    wait_for(lambda: [row["pid"] for row in show(lab, "hq", "status") if row["process"] == "dataplane" and row["pid"] not in ("0", 0, pid)],
             10, "a new data plane")
    s.sendall(b"2")
    s.settimeout(10)
    assert s.recv(64) == b"server2"
    without = NAT[1].replace("        rule web {", "        rule other {").replace("application alt; } then { destination-nat 10", "application ssh; } then { destination-nat 10")
    lab.commit("hq", config_of("hq", BOOK, APPLICATIONS, POLICY, (NAT[0], without), SSH_OPEN), "withdrawn")
    s.settimeout(1.5)
    s.sendall(b"3")
    with pytest.raises(OSError):
        s.recv(64)
    s.close()
    assert not isinstance(connect(lab, "web", HQ_WAN, 8000, timeout=1.5), socket.socket)
    time.sleep(0.1)
    lab.commit("hq", config_of("hq", BOOK, APPLICATIONS, POLICY, NAT, SSH_OPEN), "again")
    assert ask(lab, "web", HQ_WAN, 8000) == b"server hello"
