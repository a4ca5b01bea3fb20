"""ICMP errors that anybody may send about a session in the tunnel: they end nothing, move nothing into the clear, and those of routers on
the path reach the end host whatever their own address is."""
import socket
import time

import pytest
from kit import HOST_A, HOST_A6, HOST_B, HOST_B6, LAN_FILTER, Capture, config_of, connect, counter, own_mac, send_frames, show, wait_for
from scapy.all import ICMP, IP, UDP, Ether, ICMPv6DestUnreach, ICMPv6PacketTooBig, IPv6, Raw, TCP

SECRET = b"PLAINTEXT-OF-THE-TUNNEL-" * 4
WITHOUT_NAT = ("source-nat interface;", "source-nat off;")


def error(router, to, about, too_big=0):
    if ":" in to:
        return IPv6(src=router, dst=to) / (ICMPv6PacketTooBig(mtu=too_big) if too_big else ICMPv6DestUnreach(code=3)) / about
    return IP(src=router, dst=to) / ICMP(type=3, code=4 if too_big else 1, nexthopmtu=too_big) / about


def from_lan(lab, node, gateway, packet):
    send_frames(lab, node, [Ether(src=own_mac(lab, node), dst=own_mac(lab, gateway, "lan0")) / packet])


def routes_change(lab, gateway):
    """Any change of the tables: forwarding decisions are looked up again."""
    for verb in ("replace", "del"):
        lab[gateway].run(f"ip route {verb} 192.0.2.210/32 via 198.51.100.1")
    time.sleep(0.3)


@pytest.fixture(params=["translated", "plain"])
def nat(request, lab):
    """The Internet with source NAT, and without: then policy alone would let the error out."""
    if request.param == "plain":
        lab.commit("hq", config_of("hq", WITHOUT_NAT), "without NAT")
    yield
    if request.param == "plain":
        lab.commit("hq", config_of("hq"), "back")


def test_an_error_from_inside_ends_and_moves_nothing(lab, nat):
    s = connect(lab, "host-a", HOST_B, 80)
    assert isinstance(s, socket.socket), s
    port = s.getsockname()[1]
    with s, Capture(lab, "internet", "hq0", LAN_FILTER) as wan:
        routes_change(lab, "hq")
        about = IP(src=HOST_B, dst=HOST_A) / TCP(sport=80, dport=port, flags="A", seq=1, ack=1) / Raw(SECRET)
        from_lan(lab, "host-a", "hq", error("8.8.8.8", HOST_B, about))
        time.sleep(0.3)
        spoofed = IP(src=HOST_B, dst=HOST_A) / TCP(sport=80, dport=port, flags="R", seq=1)
        send_frames(lab, "internet", [Ether(src=own_mac(lab, "internet", "hq0"), dst=own_mac(lab, "hq", "wan0")) / spoofed], "hq0")
        time.sleep(0.3)
        s.settimeout(4)
        s.send(b"GET / HTTP/1.0\r\n\r\n")
        assert s.recv(100)
    assert not wan.holds(SECRET)
    assert wan.count(f"dst host {HOST_B}") == 0


@pytest.mark.parametrize("ends", [(HOST_A, HOST_B, "10.99.0.1"), (HOST_A6, HOST_B6, "fd00:99::1")])
def test_a_router_behind_the_peer_is_heard(lab, ends):
    """Its address is in no selector: RFC 4301 section 6.2. Without it the path's MTU stays unknown."""
    ours, theirs, router = ends
    ip = IPv6 if ":" in ours else IP
    about = ip(src=ours, dst=theirs) / UDP(sport=4444, dport=5201) / Raw(SECRET)
    from_lan(lab, "host-a", "hq", about)
    wait_for(lambda: any("4444" in row["src"] for row in show(lab, "branch", "sessions", "--dst", theirs, "--dport", "5201")), 10, "its session")
    before = counter(lab, "hq", "icmp-unrelated")
    with Capture(lab, "host-a", "eth0", f"src host {router}") as seen, Capture(lab, "internet", "hq0", f"host {router}") as wan:
        from_lan(lab, "host-b", "branch", error(router, ours, about, too_big=1300))
        seen.wait(1)
    assert seen.count() == 1, (counter(lab, "hq", "icmp-unrelated") - before, counter(lab, "branch", "esp-selector"))
    assert wan.count() == 0
