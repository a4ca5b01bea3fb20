"""The gateway as a host: the kernel forwards nothing, and nothing reaches its ports that no zone opens. Every port is tried; what
answers at all, with a reset or an ICMP error too, was reached."""
import random
import socket
import struct
import time

import pytest
from kit import (BRANCH_WAN, HOST_A, HOST_B, HQ_WAN, WEB, Capture, TcpStream, connect, counter, drops, listener, own_mac, processes,
                 send_frames, wait_for)

HOST_PORTS = range(32768, 40960)
SCANS = (("host-a", HOST_A, "10.1.0.1", "hq", "lan0"), ("web", WEB, HQ_WAN, "internet", "web0"))


@pytest.fixture(scope="module")
def open_handed(lab):
    """hq's kernel answers every probe that reaches it, at any rate."""
    lab["hq"].sysctl({"net.ipv4.icmp_ratelimit": 0, "net.ipv4.icmp_msgs_per_sec": 1000000, "net.ipv4.icmp_msgs_burst": 1000000})
    return lab


def next_hop_mac(lab, node, gateway, interface):
    return bytes.fromhex(own_mac(lab, gateway, interface).replace(":", "")), bytes.fromhex(own_mac(lab, node).replace(":", ""))


def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def probes(source, target, protocol, macs, sport):
    """One frame for each port: a SYN, or an empty datagram."""
    src, dst = socket.inet_aton(source), socket.inet_aton(target)
    n = 20 if protocol == 6 else 8
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + n, 0, 0x4000, 64, protocol, 0)
    head = head[:10] + struct.pack("!H", checksum(head + src + dst)) + src + dst
    pseudo = src + dst + struct.pack("!BBH", 0, protocol, n)
    for port in range(1, 65536):
        if protocol == 6:
            body = struct.pack("!HHIIBBHHH", sport, port, port, 0, 0x50, 2, 1024, 0, 0)
            body = body[:16] + struct.pack("!H", checksum(pseudo + body)) + body[18:]
        else:
            body = struct.pack("!HHHH", sport, port, 8, 0)
            body = body[:6] + struct.pack("!H", checksum(pseudo + body) or 0xffff)
        yield macs[0] + macs[1] + b"\x08\x00" + head + body


def scan(lab, scanner, protocol):
    """The ports of the target that answered in any way."""
    node, source, target, gateway, interface = scanner
    reached, sport = set(), 50000
    with Capture(lab, node, "eth0", f"src host {target}", octets=128) as seen, lab[node].socket(socket.AF_PACKET, socket.SOCK_RAW) as s:
        s.bind(("eth0", 0))
        for n, frame in enumerate(probes(source, target, protocol, next_hop_mac(lab, node, gateway, interface), sport)):
            s.send(frame)
            if n % 256 == 0:
                time.sleep(0.004)  # queues on the way hold a thousand frames
        time.sleep(0.5)
    assert seen.lost == 0
    for _, frame in seen.frames():
        ip = frame[14:]
        if frame[12:14] != b"\x08\x00":
            continue
        body = ip[(ip[0] & 15) * 4:]
        if ip[9] == protocol and struct.unpack_from("!H", body, 2)[0] == sport:
            reached.add(struct.unpack_from("!H", body)[0])
        elif ip[9] == 1 and body[0] == 3:
            quoted = body[8:]
            reached.add(struct.unpack_from("!H", quoted, (quoted[0] & 15) * 4 + 2)[0])
    return reached


@pytest.mark.parametrize("scanner, open_", [(SCANS[0], {22}), (SCANS[1], set())], ids=["trust", "untrust"])
def test_every_tcp_port(open_handed, scanner, open_):
    lab = open_handed
    before = counter(lab, "hq", "host-inbound")
    with listener(lab, "hq", 8080), listener(lab, "hq", 33333), listener(lab, "hq", 50001):
        assert scan(lab, scanner, socket.IPPROTO_TCP) == open_
    assert counter(lab, "hq", "host-inbound") >= before + 65535 - len(open_), drops(lab, "hq")


@pytest.mark.parametrize("scanner", SCANS, ids=["trust", "untrust"])
def test_every_udp_port(open_handed, scanner):
    """Answers to the host's own datagrams are told by the range of its ports; nothing else is reached but IKE from untrust, which does
    not answer an empty datagram."""
    lab = open_handed
    with listener(lab, "hq", 5000, socket.SOCK_DGRAM), listener(lab, "hq", 50001, socket.SOCK_DGRAM):
        reached = scan(lab, scanner, socket.IPPROTO_UDP)
    assert reached <= set(HOST_PORTS), sorted(reached - set(HOST_PORTS))[:20]
    assert len(reached) > 8000, "the kernel's answers from its own range show that the scan sees what it reaches"


def test_tunnel_zone_opens_ping_only(lab):
    """Through the tunnel the gateway's own address is a host of the zone vpn."""
    lab["host-b"].run("ping -c 2 -i 0.2 -W 2 10.1.0.1")
    with listener(lab, "hq", 22):
        assert isinstance(connect(lab, "host-b", "10.1.0.1", 22, timeout=1.5), OSError)


def test_kernel_does_not_forward(lab):
    for gateway in ("hq", "branch"):
        for name in ("net.ipv4.ip_forward", "net.ipv4.conf.all.forwarding", "net.ipv6.conf.all.forwarding", "net.ipv4.conf.lan0.forwarding",
                     "net.ipv6.conf.lan0.forwarding"):
            assert lab[gateway].run(f"sysctl -n {name}").stdout.strip() == "0", f"{name} of {gateway}"
        rules = lab[gateway].run("nft list ruleset").stdout
        assert "hook forward priority filter; policy drop" in rules and rules.count("hook ingress") == 2


def test_filter_holds_though_somebody_switches_forwarding_on(lab):
    """A careless sysctl opens nothing: transit traffic never reaches the kernel."""
    with Capture(lab, "internet", "hq0", f"host {WEB} and icmp") as seen:
        lab["hq"].sysctl({"net.ipv4.ip_forward": 1})
        try:
            with TcpStream(lab, "host-a", "host-b", HOST_B, port=5205) as tcp:
                lab["host-a"].run(f"ping -c 5 -i 0.1 -W 1 {WEB}")
                tcp.wait_flowing()
        finally:
            lab["hq"].sysctl({"net.ipv4.ip_forward": 0})
    requests = [line for line in seen.lines() if "echo request" in line]
    assert len(requests) == 5, f"each packet went once, by the data plane alone: {requests}"


def test_answers_to_own_connections_pass(lab):
    assert "served by web" in lab["hq"].run(f"curl -sS --max-time 5 http://{WEB}/").stdout
    lab["hq"].run(f"ping -c 2 -i 0.2 -W 2 {BRANCH_WAN}")
    with listener(lab, "web", 5203, socket.SOCK_DGRAM) as server, lab["hq"].socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(3)
        s.sendto(b"question", (WEB, 5203))
        data, peer = server.recvfrom(100)
        assert peer[0] == HQ_WAN and peer[1] in HOST_PORTS
        server.sendto(b"answer", peer)
        assert s.recv(100) == b"answer"


def test_own_multicast_and_broadcast_are_not_forwarded(lab):
    from scapy.all import ICMP, IP, Ether
    before = counter(lab, "hq", "multicast")
    mac, own = own_mac(lab, "hq", "lan0"), own_mac(lab, "host-a")
    with Capture(lab, "internet", "hq0", "icmp") as seen:
        send_frames(lab, "host-a", [Ether(dst=mac, src=own) / IP(src=HOST_A, dst=dst) / ICMP() for dst in ("224.1.2.3", "239.1.1.1")])
        time.sleep(0.3)
    assert seen.count() == 0 and counter(lab, "hq", "multicast") >= before + 2, drops(lab, "hq")
    assert processes(lab, "hq")["dataplane"][1] == 0


# --- fragments ---

HQ6 = "2001:db8:1::2"


def received(lab, node, family):
    """Datagrams that the node's UDP sockets have taken in."""
    lines = lab[node].run("cat /proc/net/snmp6" if family == socket.AF_INET6 else "cat /proc/net/snmp").stdout.splitlines()
    if family == socket.AF_INET6:
        return next(int(line.split()[1]) for line in lines if line.startswith("Udp6InDatagrams"))
    names, values = [line.split() for line in lines if line.startswith("Udp:")]
    return int(values[names.index("InDatagrams")])


def send_datagrams(lab, node, address, port, sizes):
    """Datagrams of random octets, of these sizes; the node's kernel cuts them."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with lab[node].socket(family, socket.SOCK_DGRAM) as s:
        if family == socket.AF_INET:
            s.setsockopt(socket.IPPROTO_IP, 10, 0)  # IP_MTU_DISCOVER: no DF
        for size in sizes:
            s.sendto(random.Random(size).randbytes(size), (address, port))
            time.sleep(0.002)


@pytest.mark.parametrize("address", [HQ_WAN, HQ6], ids=["IPv4", "IPv6"])
def test_fragmented_datagrams_reach_the_gateway_whole(lab, address):
    """IKE with certificates is longer than a packet. Whatever the octets of a fragment are, none is taken for a port."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    for size in (2500, 5500, 9000):
        before = received(lab, "hq", family)
        send_datagrams(lab, "web", address, 4500, range(size, size + 100))
        wait_for(lambda: received(lab, "hq", family) >= before + 100, 5, f"100 datagrams of {size} octets, {drops(lab, 'hq')}")
    for node in ("web", "host-a"):
        lab[node].run(f"ping -c 3 -i 0.2 -W 2 -s 3000 {address}")


@pytest.mark.parametrize("address", [HQ_WAN, HQ6], ids=["IPv4", "IPv6"])
def test_fragments_open_nothing(lab, address):
    """Neither a port that no zone opens nor one of source NAT, however the datagram is cut; a part alone least of all."""
    from scapy.all import IP, UDP, Ether, IPv6, IPv6ExtHdrFragment, Raw, fragment, fragment6
    family, v6 = (socket.AF_INET6, True) if ":" in address else (socket.AF_INET, False)
    macs = {"dst": own_mac(lab, "internet", "web0"), "src": own_mac(lab, "web")}
    source = "2001:db8:80::80" if v6 else WEB
    for port in (5000, 50001):
        with listener(lab, "hq", port, socket.SOCK_DGRAM, family) as s:
            s.settimeout(0.5)
            send_datagrams(lab, "web", address, port, range(3000, 3020))
            frames = []
            for ident in range(20):
                udp = UDP(sport=4500, dport=port) / Raw(bytes(100))
                if v6:
                    frames += fragment6(IPv6(src=source, dst=address) / IPv6ExtHdrFragment(id=ident) / udp, 1280)
                    head = IPv6(src=source, dst=address)
                    frames += [head / IPv6ExtHdrFragment(nh=17, id=100 + ident, offset=1, m=m) / Raw(bytes([port >> 8, port & 255]) * 8) for m in (0, 1)]
                else:
                    frames += fragment(IP(src=source, dst=address, id=ident) / udp, 8)
                    frames += [IP(src=source, dst=address, id=100 + ident, proto=17, frag=1, flags=m) / Raw(bytes([port >> 8, port & 255]) * 8)
                               for m in (0, 1)]
            send_frames(lab, "web", [Ether(**macs) / f for f in frames])
            with pytest.raises(TimeoutError):
                s.recv(100)
