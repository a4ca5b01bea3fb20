"""Published addresses that no interface has and nobody routes to the gateway: a neighbour with nothing but the route on the link resolves
them, in both families; a neighbour that knew them at another link address follows; somebody else who has one is reported."""
import re
import time

import pytest
from kit import HOST_A, HOST_A6, config_of, counter, drops, own_lab, show, verify_ledger, wait_for
from nodes import LabError

STATIC, STATIC6, POOL, POOL6, TAKEN, TAKEN6 = ("198.51.100.88", "2001:db8:1::88", "198.51.100.90", "2001:db8:1::90", "198.51.100.95",
                                               "2001:db8:1::95")
RULE = "rule in { match { source any; destination any; application any; } then { permit; } }"
POLICY = ("policy {\n", f"policy {{ from untrust to trust {{ {RULE} }}\n")
NAT = """nat {
    proxy-arp wan0 { address [ 198.51.100.88 198.51.100.90-198.51.100.95 ]; }
    proxy-ndp wan0 { address [ 2001:db8:1::88 2001:db8:1::90-2001:db8:1::95 ]; }
    static {
        rule one { from untrust; match { destination 198.51.100.88; } then { static-nat %s; } }
        rule one6 { from untrust; match { destination 2001:db8:1::88; } then { static-nat %s; } }
    }
    source {
        rule pool { from trust; to untrust; then { source-nat %s; } }
        rule pool6 { from trust; to untrust; then { source-nat %s; } }
    }
""" % ("10.1.0.3", "fd00:1::3", POOL, POOL6)
HQ_NAT = re.compile(r"nat \{\n.*?\n\}\n", re.S)


def config():
    text = config_of("hq", POLICY)
    assert HQ_NAT.search(text)
    return HQ_NAT.sub(lambda _: NAT + "}\n", text)


@pytest.fixture(scope="module")
def lab():
    two_sites = own_lab("prx")
    two_sites.up("on")
    try:
        two_sites["host-a"].run("ip addr add 10.1.0.3/24 dev eth0")
        two_sites["host-a"].run("ip addr add fd00:1::3/64 dev eth0 nodad preferred_lft 0")
        two_sites.commit("hq", config(), "answer for them")
        yield two_sites
        verify_ledger(two_sites, "hq")
    finally:
        two_sites.down()


def mac(lab, node, interface):
    return re.search(r"link/ether (\S+)", lab[node].run(f"ip link show {interface}").stdout)[1]


def neighbour(lab, address):
    """What the neighbour's kernel knows: the link address, or ''."""
    found = re.search(r"lladdr (\S+)", lab["internet"].run(f"ip neigh show {address} dev hq0").stdout)
    return found[1] if found else ""


@pytest.mark.parametrize("address", [STATIC, STATIC6])
def test_a_neighbour_resolves_them(lab, address):
    assert " via " not in lab["internet"].run(f"ip route get {address}").stdout  # the link's own route
    before = int(counter(lab, "hq", "proxy-answers"))
    lab["internet"].run(f"ip neigh flush dev hq0")
    lab["internet"].run(f"ping -c 2 -i 0.2 -W 2 {address}")
    lab["web"].run(f"ping -c 2 -i 0.2 -W 2 {address}")
    assert neighbour(lab, address) == mac(lab, "hq", "wan0")
    assert int(counter(lab, "hq", "proxy-answers")) > before
    rows = [row for row in show(lab, "hq", "nat") if row["type"].startswith("proxy")]
    assert {(row["type"], row["interface"]) for row in rows} == {("proxy-arp", "wan0"), ("proxy-ndp", "wan0")}


@pytest.mark.parametrize("pool, inside, outside", [(POOL, HOST_A, "198.51.100.1"), (POOL6, HOST_A6, "2001:db8:1::1")])
def test_answers_to_a_pool_come_back(lab, pool, inside, outside):
    """The other end of the link talks to an inside host: it knows no route to the pool but the link."""
    lab["internet"].run(f"ip neigh flush dev hq0")
    lab["host-a"].run(f"ping -c 2 -i 0.2 -W 2 -I {inside} {outside}")
    assert neighbour(lab, pool) == mac(lab, "hq", "wan0"), drops(lab, "hq")


def test_a_neighbour_confirms_what_it_knows(lab):
    """Unicast requests, as caches send them before an entry ends."""
    for address in (STATIC, STATIC6):
        lab["internet"].run(f"ping -c 1 -W 2 {address}")
        lab["internet"].run(f"ip neigh change {address} dev hq0 lladdr {mac(lab, 'hq', 'wan0')} nud probe")
        wait_for(lambda: "REACHABLE" in lab["internet"].run(f"ip neigh show {address} dev hq0").stdout, 5, f"{address} to be confirmed")


def test_who_knew_another_link_address_follows(lab):
    """The commit that begins it, and a new data plane, announce the addresses."""
    def stale():
        for address in (STATIC, STATIC6):
            lab["internet"].run(f"ip neigh replace {address} dev hq0 lladdr 02:00:00:00:0b:ad nud stale")

    def followed():
        return all(neighbour(lab, address) == mac(lab, "hq", "wan0") for address in (STATIC, STATIC6))

    def begins():
        """A neighbour that is just looking for the wrong one, or has given it up, hears no announcement: then once more."""
        lab.commit("hq", config_of("hq", POLICY), "not any more")
        stale()
        lab.commit("hq", config(), "again")
        try:
            return wait_for(followed, 4, "the neighbour to follow")
        except LabError:
            return False

    wait_for(begins, 15, "the neighbour to follow the announcements of a commit")
    time.sleep(5)  # the announcements are over
    stale()
    (pid,) = [row["pid"] for row in show(lab, "hq", "status") if row["process"] == "dataplane"]
    lab["hq"].run(f"kill -9 {pid}")
    wait_for(followed, 15, "the neighbour to follow the announcements of a new data plane")


def test_an_address_of_somebody_else_is_reported(lab):
    before = int(counter(lab, "hq", "proxy-conflicts"))
    lab["internet"].run(f"ip addr add {TAKEN}/24 dev hq0")
    lab["internet"].run(f"ip addr add {TAKEN6}/64 dev hq0 nodad")
    try:
        # It resolves somebody with this address as its own.
        lab["internet"].run("ip neigh flush dev hq0")
        lab["internet"].run(f"ping -c 1 -W 2 -I {TAKEN} 198.51.100.2", check=False)
        lab["internet"].run(f"ping -c 1 -W 2 -I {TAKEN6} 2001:db8:1::2", check=False)
        wait_for(lambda: int(counter(lab, "hq", "proxy-conflicts")) >= before + 2, 5, "the conflicts")
        log = "".join(path.read_text(errors="replace") for path in lab.state.rglob("*log*") if path.is_file())
        for address in (TAKEN, TAKEN6):
            assert f"address {address} of proxy-" in log
    finally:
        lab["internet"].run(f"ip addr del {TAKEN}/24 dev hq0")
        lab["internet"].run(f"ip addr del {TAKEN6}/64 dev hq0")


def test_a_storm_of_requests(lab):
    """Neighbours that ask for everything get no more than the rate, and traffic goes on."""
    lab["internet"].run(["python3", "-c", f"""
import socket, time
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
s.bind(("hq0", 0))
own = s.getsockname()[4]
frame = b"\\xff" * 6 + own + bytes.fromhex("08060001080006040001") + own + socket.inet_aton("198.51.100.1") + bytes(6) + socket.inet_aton("{STATIC}")
end = time.monotonic() + 1
while time.monotonic() < end:
    s.send(frame)
"""])
    assert int(counter(lab, "hq", "proxy-suppressed")) > 0
    lab["web"].run(f"ping -c 2 -i 0.2 -W 2 {STATIC}")
