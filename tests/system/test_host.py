"""The gateway as a host: the kernel forwards nothing, and nothing reaches a port that no zone opens. Every port is tried; any answer,
including a reset or an ICMP error, means that the port was reached."""
import errno
import ipaddress
import random
import re
import socket
import struct
import time

import pytest
from kit import (BRANCH_WAN, HOST_A, HOST_A6, HOST_B, HQ_WAN, WEB, Capture, TcpStream, config_of, connect, counter, drops, falls_silent, listener,
                 own_mac, processes, send_frames, wait_for)

HQ6 = "2001:db8:1::2"
HOST_PORTS = range(32768, 40960)
SCANS = (("host-a", HOST_A, "10.1.0.1", "hq", "lan0"), ("web", WEB, HQ_WAN, "internet", "web0"))


@pytest.fixture(scope="module")
def open_handed(lab):
    """hq's kernel answers every probe that reaches it, without rate limit."""
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
                time.sleep(0.004)  # queues on the path hold a thousand frames
        falls_silent(lambda: seen.file.stat().st_size)
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
    """Only what the zone opens is reached: the kernel's answers from these ports show that the scan detects what it reaches. IKE does not
    answer an empty datagram. A port with a connection of the host's own is not open to others."""
    lab = open_handed
    change = ("host-inbound [ ping ssh ];", "host-inbound [ ping ssh traceroute ];") if scanner is SCANS[0] else \
        ("host-inbound [ ike ping ];", "host-inbound [ ike ping traceroute ];")
    lab.commit("hq", config_of("hq", change), "traceroute to the gateway")
    try:
        with listener(lab, "hq", 5000, socket.SOCK_DGRAM), listener(lab, "hq", 40000, socket.SOCK_DGRAM) as own, \
                listener(lab, "hq", 50001, socket.SOCK_DGRAM):
            own.sendto(b"question", ("198.51.100.1", 9))
            own.sendto(b"question", ("10.1.0.77", 9))
            reached = scan(lab, scanner, socket.IPPROTO_UDP)
    finally:
        lab.commit("hq", config_of("hq"), "as before")
    assert reached == set(range(33434, 33535)), sorted(reached ^ set(range(33434, 33535)))[:20]


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
    """A careless sysctl opens nothing: transit traffic never reaches the kernel's forwarding."""
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


def test_filter_is_kept_though_a_configuration_could_not_be_applied(lab):
    """The rule set of the previous one remains then, and is restored like any other."""
    hq = lab["hq"]
    (hq.state / "etc/try.conf").write_text(config_of("hq", ("host-inbound [ ping ssh ];", "host-inbound ping;")), encoding="utf-8")
    hq.run("mount --bind /bin/false /usr/sbin/nft")
    try:
        refused = hq.run("plaingate commit /etc/plaingate/try.conf", check=False)
        assert refused.returncode == 1 and "refused by supervisor" in refused.stderr, refused.stderr
    finally:
        hq.run("umount /usr/sbin/nft")
    try:
        hq.run("nft flush ruleset")
        wait_for(lambda: "policy drop" in hq.run("nft list ruleset").stdout, 3, "the filter to be there again")
        assert "tcp dport 22 accept" in hq.run("nft list table inet plaingate").stdout
    finally:
        lab.commit("hq", config_of("hq"), "as before")
        lab.wait_for_tunnel()


def test_answers_to_own_connections_pass(lab):
    hq = lab["hq"]
    assert "served by web" in hq.run(f"curl -sS --max-time 5 http://{WEB}/").stdout
    assert "served by web" in hq.run("curl -gsS --max-time 5 http://[2001:db8:80::80]/").stdout
    assert "served by host-b" in hq.run(f"curl -sS --max-time 5 --interface 10.1.0.1 http://{HOST_B}/").stdout
    for address in (BRANCH_WAN, WEB, HOST_A, HOST_B, "2001:db8:80::80", HOST_A6):
        hq.run(f"ping -c 2 -i 0.2 -W 2 {address}")
    assert "exceeded" in hq.run(f"ping -c 1 -t 1 -W 2 {WEB}", check=False).stdout
    with hq.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:  # as traceroute does
        s.settimeout(2)
        s.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, 1)
        s.setsockopt(socket.IPPROTO_IP, 11, 1)  # IP_RECVERR
        s.connect((WEB, 33434))
        s.send(b"probe")
        with pytest.raises(OSError) as error:
            s.recv(100)
    assert error.value.errno == errno.EHOSTUNREACH


@pytest.mark.parametrize("server, client, port", [("192.0.2.80", HQ_WAN, None), ("2001:db8:80::80", HQ6, None), (WEB, HQ_WAN, 5353),
                                                  (WEB, HQ_WAN, 68), (HOST_B, "10.1.0.1", None)])
def test_answers_come_from_whom_was_asked(lab, server, client, port):
    """From any port of the host, by any route; and nobody else can send to that port."""
    family = socket.AF_INET6 if ":" in server else socket.AF_INET
    node = "host-b" if server == HOST_B else "web"
    with listener(lab, node, 5203, socket.SOCK_DGRAM, family) as asked, lab["hq"].socket(family, socket.SOCK_DGRAM) as s:
        s.settimeout(1)
        s.bind((client, port or 0))
        s.sendto(b"question", (server, 5203))
        data, peer = asked.recvfrom(100)
        assert peer[0] == client and (peer[1] == port if port else peer[1] in HOST_PORTS)
        asked.sendto(b"answer", peer)
        assert s.recv(100) == b"answer"
        with listener(lab, node, 5204, socket.SOCK_DGRAM, family) as other:
            other.sendto(b"from elsewhere", peer)
        with pytest.raises(TimeoutError):
            s.recv(100)


WAYS = {  # the tunnel's own side at hq, another address of it, the far gateway's
    "IPv4": ("10.1.0.1/24", "10.1.0.7/24", "10.2.0.1"),
    "IPv6": ("fd00:1::1/64", "fd00:1::7/64", "fd00:2::1"),
}


@pytest.mark.parametrize("own, other, far", WAYS.values(), ids=WAYS)
def test_the_hosts_own_way_into_a_tunnel_follows_its_address(lab, own, other, far):
    """At a boot the address is configured after the configuration is loaded, and it may be replaced, or be removed and added again at
    once. No other address matches the peer's selectors: pg0 has none, and the kernel would use the uplink's."""
    hq = lab["hq"]
    v6 = ":" in own

    def comes(address):
        hq.run(f"ip addr add {address} dev lan0{' nodad' if v6 else ''}")

    def leads_from(address):
        return f" src {address.partition('/')[0]} " in hq.run(f"ip {'-6' if v6 else '-4'} route show table 20551 dev pg0").stdout + " "

    def is_used(address):
        wait_for(lambda: leads_from(address), 5, f"the route from {address}")
        wait_for(lambda: hq.run(f"ping -c 1 -W 1 {far}", check=False).returncode == 0, 5, f"{far} from {address}")

    lab.wait_for_tunnel()
    is_used(own)
    try:
        hq.run(f"ip addr del {own} dev lan0")
        lab.commit("hq", config_of("hq") + "# without the address\n", "as at a boot")
        comes(other)
        is_used(other)
        hq.run(f"ip addr del {other} dev lan0")
        comes(own)
        is_used(own)
        hq.run(f"ip addr del {own} dev lan0")
        comes(own)
        time.sleep(1.5)
        is_used(own)
    finally:
        hq.run(f"ip addr del {other} dev lan0", check=False)
        hq.run(f"ip addr add {own} dev lan0{' nodad' if v6 else ''}", check=False)
        lab.commit("hq", config_of("hq"), "as before")
    is_used(own)


def test_a_port_of_source_nat_is_closed_to_its_own_answers(lab):
    """The kernel sees a copy of the answers to a translated session."""
    with listener(lab, "web", 5203, socket.SOCK_DGRAM) as asked, lab["hq"].socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(0.5)
        s.bind((HQ_WAN, 50002))
        s.sendto(b"question", (WEB, 5203))
        asked.sendto(b"answer", asked.recvfrom(100)[1])
        with pytest.raises(TimeoutError):
            s.recv(100)


def test_the_path_mtu_is_learned(lab):
    """An error about a connection of the host's own, in both families."""
    for address, flag in ((WEB, "-4"), ("2001:db8:80::80", "-6")):
        lab["internet"].run("ip link set web0 mtu 1400")
        try:
            wait_for(lambda: "mtu" in lab["hq"].run(f"ping {flag} -c 1 -W 1 -M do -s 1440 {address}", check=False).stdout.lower() or
                     "mtu 1400" in lab["hq"].run(f"ip route get {address}").stdout, 5, "the smaller MTU")
        finally:
            lab["internet"].run("ip link set web0 mtu 1500")
            lab["hq"].run(f"ip {flag} route flush cache")


def test_a_dhcp_offer_reaches_the_client(lab):
    """It is sent to an address that the machine does not have yet; clients listen by a packet socket for IP."""
    from scapy.all import BOOTP, DHCP, IP, UDP, Ether
    with lab["hq"].socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(0x800)) as s:
        s.bind(("wan0", 0x800))
        s.settimeout(3)
        offer = IP(src="198.51.100.1", dst="198.51.100.99") / UDP(sport=67, dport=68) / BOOTP(op=2) / DHCP(options=[("message-type", "offer"), "end"])
        send_frames(lab, "internet", [Ether(dst=own_mac(lab, "hq", "wan0"), src=own_mac(lab, "internet", "hq0")) / offer], "hq0")
        while True:
            data = s.recv(2000)
            if data[16:20] == socket.inet_aton("198.51.100.99"):
                break


def tracked(lab, node="hq"):
    return lab[node].run("cat /proc/net/nf_conntrack").stdout.splitlines()


def flow(line):
    return tuple(re.findall(r"(?:src|dst|sport|dport|id)=\S+", line))


def test_only_the_hosts_own_connections_are_tracked(lab):
    """Neither forwarded traffic, nor IKE and ESP, nor strangers' calls to a service: they cannot fill the kernel's table."""
    before = {flow(line) for line in tracked(lab)}  # of an address, perhaps, that the host had in another test
    lab.commit("hq", config_of("hq", ("host-inbound [ ike ping ];", "host-inbound [ ike ping dns ];")), "a service for strangers")
    try:
        with listener(lab, "hq", 53, socket.SOCK_DGRAM) as server, TcpStream(lab, "host-a", "host-b", HOST_B) as stream:
            stream.wait_flowing()
            lab["host-a"].run(f"ping -c 2 -i 0.2 {WEB}")
            for n in range(200):
                with lab["web"].socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
                    s.sendto(b"question", (HQ_WAN, 53))
                _, peer = server.recvfrom(100)
                server.sendto(b"answer", peer)
            for address in (HQ_WAN, HQ6):
                lab["web"].run(f"ping -c 3 -i 0.2 {address}")
            with lab["web"].socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
                s.sendto(b"no IKE", (HQ_WAN, 500))
            connect(lab, "host-a", "10.1.0.1", 22, timeout=0.3)
            entries = tracked(lab)
    finally:
        lab.commit("hq", config_of("hq"), "as before")
    own = {address.split("/")[0] for address in re.findall(r"inet6? (\S+)", lab["hq"].run("ip addr show").stdout)}
    for line in entries:
        if flow(line) in before:
            continue
        begins = str(ipaddress.ip_address(re.search(r"src=(\S+)", line)[1]))
        assert begins in own and not re.search(r"port=(53|22|500|4500|5202) ", line), line
    with listener(lab, "web", 5203, socket.SOCK_DGRAM), lab["hq"].socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.sendto(b"question", (WEB, 5203))
        assert any("dport=5203" in line for line in tracked(lab)), "the host's own are"


def test_a_service_that_is_closed_is_closed_at_once(lab):
    """For an established connection as well."""
    with listener(lab, "hq", 22) as server:
        client = connect(lab, "host-a", "10.1.0.1", 22)
        served = server.accept()[0]
        served.sendall(b"hello")
        client.settimeout(2)
        assert client.recv(10) == b"hello"
        lab.commit("hq", config_of("hq", ("host-inbound [ ping ssh ];", "host-inbound ping;")), "no ssh")
        try:
            served.settimeout(2)
            served.sendall(b"more")  # what the host sends opens no return path
            assert client.recv(10) == b"more"
            client.sendall(b"anybody?")
            with pytest.raises(TimeoutError):
                served.recv(10)
        finally:
            lab.commit("hq", config_of("hq"), "as before")
        served.close()
        client.close()


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

def received(lab, node, family):
    """Datagrams that the node's UDP sockets have received."""
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
    """IKE with certificates is longer than a packet. Whatever the octets of a fragment are, none is mistaken for a port."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    for size in (2500, 5500, 9000):
        before = received(lab, "hq", family)
        send_datagrams(lab, "web", address, 4500, range(size, size + 100))
        wait_for(lambda: received(lab, "hq", family) >= before + 100, 5, f"100 datagrams of {size} octets, {drops(lab, 'hq')}")
    for node in ("web", "host-a"):
        lab[node].run(f"ping -c 3 -i 0.2 -W 2 -s 3000 {address}")


@pytest.mark.parametrize("address", [HQ_WAN, HQ6], ids=["IPv4", "IPv6"])
def test_fragments_open_nothing(lab, address):
    """Neither a port that no zone opens nor one of source NAT, however the datagram is fragmented; a single fragment least of all."""
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
