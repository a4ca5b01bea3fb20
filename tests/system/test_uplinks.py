"""Two uplinks by one default route with two next hops, as the kernel has it (ECMP), in both families and with source NAT by interface: sessions
are spread, each keeps its uplink and its translated address, and when an uplink dies only its own sessions end or begin anew. Then policy
routing: rules choose the table, and with it the uplink."""
import socket
import threading

import pytest
from kit import HQ_WAN, WEB, config_of, connect, counter, drops, own_lab, show, wait_for
from nodes import link

WEB6, TCP_PORT, UDP_PORT, FLOWS = "2001:db8:80::80", 5201, 5202, 24
WAN0 = {HQ_WAN, "2001:db8:1::2"}
WAN1 = {"198.51.101.2", "2001:db8:9::2"}


def serve(node):
    """web answers each block and datagram with the address and the port that it sees."""
    tcp, udp = node.socket(socket.AF_INET6, socket.SOCK_STREAM), node.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    for s, port in ((tcp, TCP_PORT), (udp, UDP_PORT)):
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        s.bind(("::", port))
    tcp.listen(128)

    def seen(address):
        return f"{address[0].removeprefix('::ffff:')} {address[1]}".encode()

    def connection(peer, address):
        try:
            while peer.recv(4096):
                peer.sendall(seen(address))
        except OSError:
            pass

    def connections():
        while True:
            peer, address = tcp.accept()
            threading.Thread(target=connection, args=(peer, address), daemon=True).start()

    def datagrams():
        while True:
            address = udp.recvfrom(4096)[1]
            udp.sendto(seen(address), address)

    for work in (connections, datagrams):
        threading.Thread(target=work, daemon=True).start()


def address_add(lab):
    for node, interface, addresses in (("hq", "wan1", ("198.51.101.2/24", "2001:db8:9::2/64")), ("internet", "hq1", ("198.51.101.1/24", "2001:db8:9::1/64"))):
        for address in addresses:
            lab[node].run(f"ip addr replace {address} dev {interface}{' nodad' if ':' in address else ''}")


def routes_set(lab):
    for family, one, other in (("-4", "198.51.100.1", "198.51.101.1"), ("-6", "2001:db8:1::1", "2001:db8:9::1")):
        lab["hq"].run(f"ip {family} route del default", check=False)
        lab["hq"].run(f"ip {family} route add default nexthop via {one} dev wan0 nexthop via {other} dev wan1")


def default_routes(lab, prefix):
    return {(row["interface"], row["gateway"], int(row["weight"])) for row in show(lab, "hq", "routes")
            if row["kind"] == "route" and row["prefix"] == prefix and "weight" in row}


@pytest.fixture(scope="module")
def lab():
    two_sites = own_lab("upl")
    two_sites.up("on")
    try:
        link(two_sites["hq"], "wan1", two_sites["internet"], "hq1", "on")
        address_add(two_sites)
        routes_set(two_sites)
        two_sites.commit("hq", config_of("hq", ("interfaces wan0;", "interfaces [ wan0 wan1 ];")), "two uplinks")
        serve(two_sites["web"])
        wait_for(lambda: two_sites["host-a"].run(f"ping -c 1 -W 1 {WEB}", check=False).returncode == 0, 5, "web")
        yield two_sites
    finally:
        two_sites.down()


class Flow:
    def __init__(self, lab, address, kind):
        self.lab, self.kind, self.to = lab, kind, (address, TCP_PORT if kind == socket.SOCK_STREAM else UDP_PORT)
        if kind == socket.SOCK_STREAM:
            self.socket = connect(lab, "host-a", *self.to)
            assert isinstance(self.socket, socket.socket), (self.socket, drops(lab, "hq"))
        else:
            self.socket = lab["host-a"].socket(socket.AF_INET6 if ":" in address else socket.AF_INET, kind)
            self.socket.connect(self.to)
        self.socket.settimeout(2)
        self.seen = self.ask()

    def ask(self):
        """As whom web sees it; None: no answer."""
        try:
            self.socket.send(b"who")
            return self.socket.recv(100).decode() or None
        except OSError:
            return None

    def uplink(self):
        if not self.seen:
            return None
        address = self.seen.split()[0]
        assert address in WAN0 | WAN1
        return "wan1" if address in WAN1 else "wan0"


def flows(lab, address, kind):
    made = [Flow(lab, address, kind) for _ in range(FLOWS)]
    assert all(f.seen for f in made), drops(lab, "hq")
    return made


def both_again(lab, address):
    made = [Flow(lab, address, socket.SOCK_DGRAM) for _ in range(FLOWS)]  # the first ones may wait for the link's neighbours
    return all(f.seen for f in made) and {f.uplink() for f in made} == {"wan0", "wan1"}


def test_the_routes_are_mirrored(lab):
    assert default_routes(lab, "0.0.0.0/0") == {("wan0", "198.51.100.1", 1), ("wan1", "198.51.101.1", 1)}
    assert default_routes(lab, "::/0") == {("wan0", "2001:db8:1::1", 1), ("wan1", "2001:db8:9::1", 1)}


@pytest.mark.parametrize("address", [WEB, WEB6])
def test_sessions_keep_their_uplink(lab, address):
    made = flows(lab, address, socket.SOCK_STREAM) + flows(lab, address, socket.SOCK_DGRAM)
    for half in (made[:FLOWS], made[FLOWS:]):
        assert {f.uplink() for f in half} == {"wan0", "wan1"}
    hq = lab["hq"]
    changes = ("ip route add 10.77.0.0/16 via 198.51.100.1", "ip route del 10.77.0.0/16", "ip -6 route add fd00:77::/64 via 2001:db8:9::1",
               # Weights of the kernel: new sessions follow them, those that are there stay.
               "ip route replace default nexthop via 198.51.101.1 dev wan1 weight 200 nexthop via 198.51.100.1 dev wan0",
               "ip -6 route replace default nexthop via 2001:db8:9::1 dev wan1 weight 200 nexthop via 2001:db8:1::1 dev wan0")
    for change in changes:
        hq.run(change)
        assert [f.ask() for f in made] == [f.seen for f in made], change
    assert default_routes(lab, "0.0.0.0/0") == {("wan0", "198.51.100.1", 1), ("wan1", "198.51.101.1", 200)}
    assert sum(f.uplink() == "wan1" for f in flows(lab, address, socket.SOCK_DGRAM)) > FLOWS - 6
    hq.run("ip -6 route del fd00:77::/64")
    routes_set(lab)


@pytest.mark.parametrize("address", [WEB, WEB6])
def test_an_uplink_dies(lab, address):
    """Without carrier: the kernel keeps the route."""
    tcp, udp = flows(lab, address, socket.SOCK_STREAM), flows(lab, address, socket.SOCK_DGRAM)
    before = counter(lab, "hq", "nat-address-changed")
    lab["internet"].run("ip link set hq1 down")
    try:
        wait_for(lambda: next(row for row in show(lab, "hq", "interfaces") if row["interface"] == "wan1")["state"] != "up", 5, "wan1 down")
        states = {(row["prefix"], row["interface"]): row.get("state") for row in show(lab, "hq", "routes") if row["kind"] == "route" and "weight" in row}
        assert states == {(prefix, link): "link down" if link == "wan1" else None for prefix in ("0.0.0.0/0", "::/0") for link in ("wan0", "wan1")}
        for f in udp:
            now = f.ask()
            assert now and now.split()[0] in WAN0, (f.seen, now, drops(lab, "hq"))
            assert f.uplink() == "wan1" or now == f.seen
        for f in tcp:
            f.socket.settimeout(2 if f.uplink() == "wan0" else 0.2)
            assert f.ask() == (f.seen if f.uplink() == "wan0" else None), drops(lab, "hq")
        assert counter(lab, "hq", "nat-address-changed") > before
        assert {f.uplink() for f in flows(lab, address, socket.SOCK_STREAM)} == {"wan0"}
    finally:
        lab["internet"].run("ip link set hq1 up")
        address_add(lab)
    wait_for(lambda: both_again(lab, address), 10, "both uplinks again")
    assert [f.ask() for f in tcp if f.uplink() == "wan0"] == [f.seen for f in tcp if f.uplink() == "wan0"], "nobody moves back"


@pytest.mark.parametrize("address", [WEB, WEB6])
def test_an_uplink_is_taken_down(lab, address):
    """By ip link: IPv6 routes go with it, of the IPv4 route the kernel keeps the next hop as a dead one."""
    tcp = flows(lab, address, socket.SOCK_STREAM)
    lab["hq"].run("ip link set wan1 down")
    try:
        assert {f.uplink() for f in flows(lab, address, socket.SOCK_STREAM)} == {"wan0"}
        assert [f.ask() for f in tcp if f.uplink() == "wan0"] == [f.seen for f in tcp if f.uplink() == "wan0"]
    finally:
        lab["hq"].run("ip link set wan1 up")
        address_add(lab)
        routes_set(lab)
    wait_for(lambda: both_again(lab, address), 10, "both uplinks again")


POLICIES = {"source": "from {lan}", "interface": "iif lan0", "destination": "to {web}", "ports": "ipproto udp dport 5202", "not": "not to {lan}"}


@pytest.mark.parametrize("address", [WEB, WEB6])
@pytest.mark.parametrize("by", POLICIES)
def test_policy_routing(lab, address, by):
    """ip rule: what fits goes by another table, which has wan1 alone; the rest, and all of it afterwards, as main says, which has wan0 alone."""
    six = ":" in address
    family, lan, gateways = ("-6", "fd00:1::/64", ("2001:db8:1::1", "2001:db8:9::1")) if six else ("-4", "10.1.0.0/24", ("198.51.100.1", "198.51.101.1"))
    rule = POLICIES[by].format(lan=lan, web=address)
    hq = lab["hq"]
    hq.run(f"ip {family} route del default")
    hq.run(f"ip {family} route add default via {gateways[0]} dev wan0")
    hq.run(f"ip {family} route add default via {gateways[1]} dev wan1 table 77")
    before = Flow(lab, address, socket.SOCK_STREAM)
    try:
        wait_for(lambda: Flow(lab, address, socket.SOCK_DGRAM).uplink() == "wan0", 5, "main")
        hq.run(f"ip {family} rule add priority 500 {rule} table 77")
        wait_for(lambda: Flow(lab, address, socket.SOCK_DGRAM).uplink() == "wan1", 5, f"table 77: {show(lab, 'hq', 'routes')}")
        assert Flow(lab, address, socket.SOCK_STREAM).uplink() == ("wan0" if by == "ports" else "wan1")
        # The connection that began by wan0 is translated to its address: it does not go on from another one.
        assert before.ask() == (before.seen if by == "ports" else None)
        hq.run(f"ip {family} rule add priority 400 {rule} prohibit")
        wait_for(lambda: Flow(lab, address, socket.SOCK_DGRAM).seen is None, 5, "prohibited")
        hq.run(f"ip {family} rule del priority 400")
    finally:
        hq.run(f"ip {family} rule del priority 500", check=False)
        hq.run(f"ip {family} route flush table 77")
        wait_for(lambda: Flow(lab, address, socket.SOCK_DGRAM).uplink() == "wan0", 10, "main again")
        routes_set(lab)
