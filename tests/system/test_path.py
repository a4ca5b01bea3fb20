"""What a correct router does: hop limits, path MTU, MSS, fragments, and errors that reach the right host."""
import re
import socket
import struct
import time

import pytest
from kit import HOST_A, HOST_B, HOST_B6, HQ_WAN, WEB, Capture, counter, drops, own_mac, send_frames, show, wait_for


def icmp_answer(lab, command):
    return lab["host-a"].run(command, check=False, timeout=15).stdout


@pytest.mark.parametrize("ttl, who, target", [(1, "10.1.0.1", WEB), (2, "198.51.100.1", WEB), (1, "10.1.0.1", HOST_B), (1, "fd00:1::1", HOST_B6)])
def test_hop_limit(lab, ttl, who, target):
    said = icmp_answer(lab, f"ping -c 1 -W 2 -t {ttl} {target}")
    assert re.search(rf"From {re.escape(who)}\b.*(Time to live|Hop limit)", said), said


def test_hop_limit_ends_behind_the_tunnel(lab):
    """Two gateways process the packet; the tunnel is not a hop of its own."""
    said = icmp_answer(lab, f"ping -c 1 -W 2 -t 2 {HOST_B}")
    assert "Time to live" in said and "From 10.2.0.1" in said, said
    assert " 0% packet loss" in icmp_answer(lab, f"ping -c 1 -W 2 -t 3 {HOST_B}")


SO_EE_ORIGIN_ICMP = (2, 3)  # and of ICMPv6
IP_RECVERR, IPV6_RECVERR = 11, 25


def trace_route(lab, address, port):
    """[(address that answered, ICMP type)] of datagrams with one hop more each."""
    v6 = ":" in address
    hops = []
    for ttl in range(1, 8):
        with lab["host-a"].socket(socket.AF_INET6 if v6 else socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.setsockopt(socket.IPPROTO_IPV6 if v6 else socket.IPPROTO_IP, IPV6_RECVERR if v6 else IP_RECVERR, 1)
            s.setsockopt(socket.IPPROTO_IPV6 if v6 else socket.IPPROTO_IP, socket.IPV6_UNICAST_HOPS if v6 else socket.IP_TTL, ttl)
            s.sendto(b"who is there?", (address, port))
            error = wait_for(lambda s=s: error_of(s), 3, f"an answer of hop {ttl} to {address}; there is {hops}", pause=0.01)
        hops.append(error)
        if error[1] not in (11, 3) or error[0] == address:
            break
    return hops


def error_of(s):
    try:
        _, control, _, _ = s.recvmsg(100, 1000, socket.MSG_ERRQUEUE | socket.MSG_DONTWAIT)
    except BlockingIOError:
        return None
    for _, _, data in control:
        origin, type_ = struct.unpack_from("4xBB", data)
        if origin in SO_EE_ORIGIN_ICMP:
            family = struct.unpack_from("H", data, 16)[0]
            return (socket.inet_ntop(family, data[20:24] if family == socket.AF_INET else data[24:40]), type_)
    return None


@pytest.mark.parametrize("address, port, hops", [
    (WEB, 33440, [("10.1.0.1", 11), ("198.51.100.1", 11), (WEB, 3)]),
    (HOST_B, 5209, [("10.1.0.1", 11), ("10.2.0.1", 11), (HOST_B, 3)]),
    (HOST_B6, 5209, [("fd00:1::1", 3), ("fd00:2::1", 3), (HOST_B6, 1)])], ids=["nat", "tunnel", "tunnel-v6"])
def test_traceroute(lab, address, port, hops):
    assert trace_route(lab, address, port) == hops


def test_too_big_for_the_tunnel_is_told(lab):
    said = icmp_answer(lab, f"ping -c 2 -i 0.3 -W 2 -M do -s 1472 {HOST_B}")
    mtu = re.search(r"mtu = ?(\d+)", said)
    assert mtu and 1280 <= int(mtu[1]) < 1500, said
    size = int(mtu[1]) - 28
    assert " 0% packet loss" in icmp_answer(lab, f"ping -c 1 -W 2 -M do -s {size} {HOST_B}")


def test_too_big_in_ipv6(lab):
    said = icmp_answer(lab, f"ping -c 2 -i 0.3 -W 2 -M do -s 1452 {HOST_B6}")
    assert re.search(r"(mtu ?=? ?\d+|too big)", said, re.I), said
    assert " 0% packet loss" in icmp_answer(lab, f"ping -c 2 -i 0.3 -W 2 -s 1200 {HOST_B6}")


@pytest.mark.parametrize("url, head", [(HOST_B, 40), (f"[{HOST_B6}]", 60)])
def test_mss_fits_the_tunnel(lab, url, head):
    """Changed in both directions: the SYN as host-b receives it, the answer as host-a receives it."""
    mtu = int(show(lab, "hq", "ipsec")[0]["mtu"])
    for host in ("host-a", "host-b"):  # what they had learned about this path before
        lab[host].run("ip route flush cache")
        lab[host].run("ip -6 route flush cache")
    with Capture(lab, "host-b", "eth0", "port 80") as there, Capture(lab, "host-a", "eth0", "port 80") as here:
        lab["host-a"].run(["curl", "-sS", "-g", "--max-time", "5", f"http://{url}/"])

    def mss(capture, flags):
        return [int(n) for n in re.findall(rf"Flags \[{flags}\].*mss (\d+)", "\n".join(capture.lines()))]
    assert mss(here, "S") == mss(there, r"S\.") == [1500 - head], "what the hosts say"
    assert mss(there, "S") == mss(here, r"S\.") == [mtu - head], f"the tunnel's packets have {mtu} octets"


@pytest.mark.parametrize("interface, gateway", [("branch0", "203.0.113.2"), ("hq0", "198.51.100.2")])
def test_a_narrow_link_on_the_way(lab, interface, gateway):
    """The router between the gateways reports that ESP packets are too big: the hosts are told a smaller size, and nothing stalls. By the
    route's MTU, because a veth with a small MTU would also silently drop what it receives."""
    before = int(show(lab, "hq", "ipsec")[0]["mtu"])
    lab["internet"].run(f"ip route add {gateway}/32 dev {interface} mtu lock 1300")
    try:
        lab["host-a"].run(f"curl -sS --max-time 10 -o {lab.state}/got.bin http://{HOST_B}/1m.bin")
        lab["host-a"].run(f"curl -sS -g --max-time 10 -o {lab.state}/got6.bin http://[{HOST_B6}]/1m.bin")
        for name in ("got.bin", "got6.bin"):
            assert (lab.state / name).read_bytes() == (lab.state / "host-b/www/1m.bin").read_bytes()
        if interface == "branch0":
            said = icmp_answer(lab, f"ping -c 3 -i 0.3 -W 2 -M do -s 1380 {HOST_B}")
            said += icmp_answer(lab, f"ping -c 3 -i 0.3 -W 2 -M do -s 1300 {HOST_B}")
            assert min(int(n) for n in re.findall(r"mtu = ?(\d+)", said)) < 1300, said
            assert int(show(lab, "hq", "ipsec")[0]["mtu"]) < 1300 < before
    finally:
        lab["internet"].run(f"ip route del {gateway}/32 dev {interface}")


@pytest.mark.parametrize("target", [HOST_B, WEB, HOST_B6])
def test_fragments_pass_whole(lab, target):
    if ":" in target:  # routers do not fragment IPv6: each end is told once the MTU of its path (RFC 8200 section 4.5)
        for host in ("host-a", "host-b"):
            lab[host].run("ip -6 route flush cache")
        mtu = max(int(show(lab, "hq", "ipsec")[0]["mtu"]), 1280)
        said = icmp_answer(lab, f"ping -c 3 -i 0.2 -W 2 -s 4000 {target}")
        assert f"Packet too big: mtu={mtu}" in said and said.count("too big") == 1, said
    said = icmp_answer(lab, f"ping -c 3 -i 0.2 -W 2 -s 4000 {target}")
    assert " 0% packet loss" in said, f"{said} {drops(lab, 'hq')}"


def frames_of(lab, packet, size):
    from scapy.all import Ether, fragment
    return [Ether(dst=own_mac(lab, "hq", "lan0"), src=own_mac(lab, "host-a")) / part for part in fragment(packet, fragsize=size)]


def test_fragments_in_any_order(lab):
    from scapy.all import IP, UDP, Raw
    with lab["web"].socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("", 5205))
        server.settimeout(3)
        data = bytes(range(256)) * 12
        frames = frames_of(lab, IP(src=HOST_A, dst=WEB, id=4242) / UDP(sport=4000, dport=5205) / Raw(data), 800)
        send_frames(lab, "host-a", frames[::-1])
        got, (address, _) = server.recvfrom(65536)
        assert got == data and address == HQ_WAN


def test_overlapping_fragments_are_dropped(lab):
    from scapy.all import IP, UDP, Raw
    before = counter(lab, "hq", "fragment-overlap")
    frames = frames_of(lab, IP(src=HOST_A, dst=WEB, id=4243) / UDP(sport=4001, dport=5205) / Raw(bytes(3000)), 800)
    evil = frames[1].copy()
    evil["IP"].frag -= 8
    with Capture(lab, "internet", "hq0", "udp port 5205") as seen:
        send_frames(lab, "host-a", [frames[0], evil, *frames[1:]])
        wait_for(lambda: counter(lab, "hq", "fragment-overlap") > before, 2, f"the counter; there are {drops(lab, 'hq')}")
    assert seen.count() == 0


def test_the_inner_fragment_of_a_tunnel_is_checked_by_policy(lab):
    """A denied port cannot hide in a second fragment: the datagram is reassembled before the policy is applied."""
    from scapy.all import IP, UDP, Raw
    frames = frames_of(lab, IP(src=HOST_A, dst=HOST_B, id=4244) / UDP(sport=4002, dport=9999) / Raw(bytes(3000)), 800)
    with Capture(lab, "host-b", "eth0", f"host {HOST_A}") as seen:
        send_frames(lab, "host-a", frames)
        time.sleep(0.5)
    assert seen.count() == 0


def test_unreachable_network_is_told(lab):
    """192.0.3.0/24 has a route to the Internet, where it is unreachable. The error comes back through source NAT."""
    said = icmp_answer(lab, "ping -c 1 -W 2 192.0.3.1")
    assert "Unreachable" in said or "unreachable" in said, said


def test_no_route_is_told(lab):
    before = counter(lab, "hq", "no-route")
    lab["hq"].run("ip route add unreachable 192.0.4.0/24")
    try:
        wait_for(lambda: [row for row in show(lab, "hq", "routes") if row["prefix"] == "192.0.4.0/24"], 3, "the kernel's route in the mirror")
        said = icmp_answer(lab, "ping -c 2 -i 0.3 -W 2 192.0.4.1")
    finally:
        lab["hq"].run("ip route del unreachable 192.0.4.0/24")
    assert re.search(r"From 10\.1\.0\.1 .*Unreachable", said) and counter(lab, "hq", "no-route") >= before + 2, f"{said} {drops(lab, 'hq')}"


def test_a_neighbour_that_is_not_there_is_counted(lab):
    """198.51.100.77 is on hq's link, but nobody has it."""
    before = counter(lab, "hq", "neighbour-unresolved")
    said = icmp_answer(lab, "ping -c 3 -i 0.5 -W 4 198.51.100.77")
    assert "100% packet loss" in said
    wait_for(lambda: counter(lab, "hq", "neighbour-unresolved") > before, 5, f"the counter; there are {drops(lab, 'hq')}")


def test_bad_checksum_is_dropped(lab):
    from scapy.all import ICMP, IP, Ether
    before = counter(lab, "hq", "ip-checksum")
    frame = Ether(dst=own_mac(lab, "hq", "lan0"), src=own_mac(lab, "host-a")) / IP(src=HOST_A, dst=WEB, chksum=0x1234) / ICMP()
    send_frames(lab, "host-a", [frame])
    wait_for(lambda: counter(lab, "hq", "ip-checksum") > before, 2, f"the counter; there are {drops(lab, 'hq')}")


def test_source_routes_are_dropped(lab):
    from scapy.all import ICMP, IP, Ether, IPOption_LSRR
    before = counter(lab, "hq", "source-route")
    frame = Ether(dst=own_mac(lab, "hq", "lan0"), src=own_mac(lab, "host-a")) / \
        IP(src=HOST_A, dst=WEB, options=[IPOption_LSRR(routers=["192.0.2.1"])]) / ICMP()
    send_frames(lab, "host-a", [frame])
    wait_for(lambda: counter(lab, "hq", "source-route") > before, 2, f"the counter; there are {drops(lab, 'hq')}")
