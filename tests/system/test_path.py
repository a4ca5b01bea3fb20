"""What an honest router owes: hop limits, path MTU, MSS, fragments, and errors that reach the right one."""
import re
import socket
import time

import pytest
from kit import HOST_A, HOST_B, HOST_B6, HQ_WAN, WEB, Capture, counter, drops, own_mac, send_frames, wait_for


def icmp_answer(lab, command):
    return lab["host-a"].run(command, check=False, timeout=15).stdout


@pytest.mark.parametrize("ttl, who, target", [(1, "10.1.0.1", WEB), (2, "198.51.100.1", WEB), (1, "10.1.0.1", HOST_B), (1, "fd00:1::1", HOST_B6)])
def test_hop_limit(lab, ttl, who, target):
    said = icmp_answer(lab, f"ping -c 1 -W 2 -t {ttl} {target}")
    assert re.search(rf"From {re.escape(who)}\b.*(Time to live|Hop limit)", said), said


def test_hop_limit_ends_behind_the_tunnel(lab):
    """Two gateways see the packet, the tunnel is no hop of its own."""
    said = icmp_answer(lab, f"ping -c 1 -W 2 -t 2 {HOST_B}")
    assert "Time to live" in said and "From 10.2.0.1" in said, said
    assert " 0% packet loss" in icmp_answer(lab, f"ping -c 1 -W 2 -t 3 {HOST_B}")


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


def test_mss_fits_the_tunnel(lab):
    with Capture(lab, "host-b", "eth0", "tcp port 80") as seen:
        lab["host-a"].run(f"curl -sS --max-time 5 http://{HOST_B}/")
    mss = [int(n) for n in re.findall(r"Flags \[S\].*mss (\d+)", "\n".join(seen.lines()))]
    assert mss and max(mss) <= 1500 - 40 - 50, mss
    answer = [int(n) for n in re.findall(r"Flags \[S\.\].*mss (\d+)", "\n".join(seen.lines()))]
    assert answer, "the server's answer was captured before the gateway changed it"


@pytest.mark.parametrize("target", [HOST_B, WEB, HOST_B6])
def test_fragments_pass_whole(lab, target):
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
    """A denied port cannot hide in a second fragment: the whole is put together before the policy looks."""
    from scapy.all import IP, UDP, Raw
    frames = frames_of(lab, IP(src=HOST_A, dst=HOST_B, id=4244) / UDP(sport=4002, dport=9999) / Raw(bytes(3000)), 800)
    with Capture(lab, "host-b", "eth0", f"host {HOST_A}") as seen:
        send_frames(lab, "host-a", frames)
        time.sleep(0.5)
    assert seen.count() == 0


def test_unreachable_network_is_told(lab):
    """192.0.3.0/24 has a route to the Internet; there nobody knows it. The error comes back through source NAT."""
    said = icmp_answer(lab, "ping -c 1 -W 2 192.0.3.1")
    assert "Unreachable" in said or "unreachable" in said, said


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
