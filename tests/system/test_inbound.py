"""What `host-inbound` opens: each service by its own packets, in both families, to those it is meant for, and to nobody else."""
import re
import socket
import struct
import time

import pytest
from kit import HOST_A, HOST_A6, HQ_WAN, config_of, connect, counter, drops, listener, own_mac, send_frames, wait_for

LAN, LAN6 = "10.1.0.1", "fd00:1::1"


def opens(lab, *inbound, book="", zone="trust"):
    """hq with these statements in place of the zone's own."""
    own = {"trust": "        host-inbound [ ping ssh ];", "untrust": "        host-inbound [ ike ping ];"}[zone]
    lab.commit("hq", config_of("hq", (own, "\n".join(f"        host-inbound {one}" for one in inbound)),
                               ("address-book {", f"address-book {{\n{book}")), "services")


@pytest.fixture()
def hq(lab):
    yield lab
    lab.commit("hq", config_of("hq"), "as before")
    lab.wait_for_tunnel()


def reached(lab, node, address, port, kind=socket.SOCK_STREAM):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with listener(lab, "hq", port, kind, family) as s:
        if kind == socket.SOCK_STREAM:
            client = connect(lab, node, address, port, timeout=0.4)
            if isinstance(client, OSError):
                return False
            client.close()
            return True
        s.settimeout(0.4)
        with lab[node].socket(family, kind) as out:
            out.sendto(b"question", (address, port))
            try:
                _, peer = s.recvfrom(100)
            except TimeoutError:
                return False
            s.sendto(b"answer", peer)
            out.settimeout(1)
            return out.recv(100) == b"answer"


def test_dns_by_tcp_too(hq):
    opens(hq, "dns;")
    for address in (LAN, LAN6):
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
            assert reached(hq, "host-a", address, 53, kind)
    assert not reached(hq, "host-a", LAN, 22)


def test_ports_of_ones_own(hq):
    opens(hq, "[ tcp/2222 udp/9100-9102 tcp/39000 ];")
    for address in (LAN, LAN6):
        assert reached(hq, "host-a", address, 2222) and reached(hq, "host-a", address, 39000)
        assert not reached(hq, "host-a", address, 2222, socket.SOCK_DGRAM)
        for port, open_ in ((9099, False), (9100, True), (9102, True), (9103, False)):
            assert reached(hq, "host-a", address, port, socket.SOCK_DGRAM) == open_, port
            assert not reached(hq, "host-a", address, port)
    before = counter(hq, "hq", "host-inbound")
    assert not reached(hq, "host-a", LAN, 2223)
    assert counter(hq, "hq", "host-inbound") > before, drops(hq, "hq")
    for address in (HQ_WAN, "2001:db8:1::2"):
        assert not reached(hq, "web", address, 2222), "another zone"


def test_services_for_some(hq):
    """By source: one address, a set of both families; services without `from` are open to all."""
    book = """    address admin {
        prefix 10.1.0.77;
    }
    address others {
        prefix [ 10.1.0.0/26 fd00:1::/124 ];
    }
    address-set staff {
        address [ admin others ];
    }
"""
    hq["host-a"].run("ip addr add 10.1.0.77/24 dev eth0")
    hq["host-a"].run("ip addr add fd00:1::77/64 dev eth0 nodad")
    try:
        opens(hq, "ping;", "ssh {\n from admin;\n}", "tcp/2222 {\n from staff;\n}", "dns {\n from [ admin others ];\n}", book=book)

        def by(source, port):
            address = LAN6 if ":" in source else LAN
            with listener(hq, "hq", port, family=socket.AF_INET6 if ":" in source else socket.AF_INET):
                client = connect(hq, "host-a", address, port, timeout=0.4, bind=(source, 0))
            return not isinstance(client, OSError)

        assert by("10.1.0.77", 22) and not by(HOST_A, 22) and not by(HOST_A6, 22)
        for port in (2222, 53):
            assert by("10.1.0.77", port) and by(HOST_A, port) and by(HOST_A6, port) and not by("fd00:1::77", port)
        hq["host-a"].run(f"ping -c 1 -W 1 {LAN}")
        # The data plane counts what the filter drops, and logs it.
        before = counter(hq, "hq", "host-inbound")
        assert not by(HOST_A, 22)
        assert counter(hq, "hq", "host-inbound") > before
        # A connection that the host itself begins from the port of a service for others: its answers pass.
        with listener(hq, "host-a", 5203) as server, hq["hq"].socket(socket.AF_INET, socket.SOCK_STREAM) as s:
            s.settimeout(2)
            s.bind((LAN, 22))
            s.connect((HOST_A, 5203))
            server.accept()[0].close()
    finally:
        for address in ("10.1.0.77/24", "fd00:1::77/64"):
            hq["host-a"].run(f"ip addr del {address} dev eth0")


def raw(lab, family, protocol, group=None, interface="lan0"):
    """A raw socket of hq, in a multicast group where one is named."""
    s = lab["hq"].socket(family, socket.SOCK_RAW, protocol)
    s.settimeout(0.5)
    index = int(lab["hq"].run(f"cat /sys/class/net/{interface}/ifindex").stdout)
    if group and family == socket.AF_INET6:
        s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, socket.inet_pton(family, group) + struct.pack("@I", index))
    elif group:
        s.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, socket.inet_aton(group) + struct.pack("@4si", b"\0\0\0\0", index))
    return s


def multicast(lab):
    """Frames of host-a, by the service that they need, with the socket of hq that waits for it."""
    from scapy.all import IP, UDP, VRRP, DHCP6_Solicit, Ether, ICMPv6MLReport2, ICMPv6ND_RS, IPv6, IPv6ExtHdrHopByHop, Raw, RouterAlert
    mac = own_mac(lab, "host-a")
    link_local = "fe80::77"

    def ether(group):
        last = socket.inet_pton(socket.AF_INET6, group)[-4:] if ":" in group else socket.inet_aton(group)[-3:]
        dst = (b"\x33\x33" + last) if ":" in group else (b"\x01\x00\x5e" + bytes([last[0] & 127]) + last[1:])
        return Ether(src=mac, dst=dst.hex(":"))

    six, four = socket.AF_INET6, socket.AF_INET
    return {
        "vrrp": [(raw(lab, four, 112, "224.0.0.18"), ether("224.0.0.18") / IP(src=HOST_A, dst="224.0.0.18", ttl=255, proto=112) / VRRP(vrid=1)),
                 (raw(lab, six, 112, "ff02::12"), ether("ff02::12") / IPv6(src=link_local, dst="ff02::12", hlim=255, nh=112) / Raw(b"\x31" + bytes(23)))],
        "ospf": [(raw(lab, four, 89, "224.0.0.5"), ether("224.0.0.5") / IP(src=HOST_A, dst="224.0.0.5", ttl=1, proto=89) / Raw(b"\2\1" + bytes(42))),
                 (raw(lab, six, 89, "ff02::5"), ether("ff02::5") / IPv6(src=link_local, dst="ff02::5", hlim=1, nh=89) / Raw(b"\3\1" + bytes(34)))],
        "igmp": [(raw(lab, four, 2, "224.0.0.22"), ether("224.0.0.22") / IP(src=HOST_A, dst="224.0.0.22", ttl=1, proto=2) /
                  Raw(bytes.fromhex("16000904e0000016")))],
        "router-discovery": [(raw(lab, six, 58, "ff02::2"), ether("ff02::2") / IPv6(src=link_local, dst="ff02::2", hlim=255) / ICMPv6ND_RS())],
        "mld": [(raw(lab, six, 58, "ff02::16"), ether("ff02::16") / IPv6(src=link_local, dst="ff02::16", hlim=1) /
                 IPv6ExtHdrHopByHop(options=[RouterAlert()]) / ICMPv6MLReport2())],
        "dhcpv6": [(datagrams(lab, 547, "ff02::1:2"), ether("ff02::1:2") / IPv6(src=link_local, dst="ff02::1:2") / UDP(sport=546, dport=547) / DHCP6_Solicit())],
        "dhcp": [(datagrams(lab, 67), Ether(src=mac, dst="ff:ff:ff:ff:ff:ff") / IP(src="0.0.0.0", dst="255.255.255.255") / UDP(sport=68, dport=67) / Raw(b"\1" * 240))],
    }


def datagrams(lab, port, group=None):
    s = listener(lab, "hq", port, socket.SOCK_DGRAM, socket.AF_INET6 if group else socket.AF_INET)
    s.settimeout(0.5)
    if group:
        index = int(lab["hq"].run("cat /sys/class/net/lan0/ifindex").stdout)
        s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, socket.inet_pton(socket.AF_INET6, group) + struct.pack("@I", index))
    return s


def comes(lab, s, frame, expected):
    """The frame's octets after its IP header; a raw socket receives others of its protocol, too."""
    s.setblocking(False)
    try:
        while True:
            s.recv(2000)
    except BlockingIOError:
        pass
    octets = bytes(frame)  # once: scapy draws new identifiers each time
    send_frames(lab, "host-a", [octets])
    end = time.monotonic() + (20 if expected else 0.6)
    while (left := end - time.monotonic()) > 0:
        s.settimeout(left)
        try:
            data = s.recv(2000)
        except TimeoutError:
            return False
        if data[-4:] == octets[-4:]:
            return True
    return False


def test_what_the_link_speaks(hq):
    """Multicast of routers, hosts and DHCP: each passes by its own service, and by no other."""
    frames = multicast(hq)
    for word in [None, *frames]:
        opens(hq, f"{word};" if word else "ssh;")
        for other, packets in frames.items():
            for s, frame in packets:
                assert comes(hq, s, frame, other == word) == (other == word), f"{frame.summary()} with host-inbound {word}"
    for packets in frames.values():
        for s, _ in packets:
            s.close()


def test_a_dhcpv6_client_on_the_wan(hq):
    """The server's answer comes from an address that was not asked."""
    from scapy.all import UDP, DHCP6_Advertise, Ether, IPv6
    local = re.search(r"inet6 (fe80\S+)/", hq["hq"].run("ip -6 addr show dev wan0").stdout)[1]
    frame = Ether(src=own_mac(hq, "internet", "hq0"), dst=own_mac(hq, "hq", "wan0")) / IPv6(src="fe80::1", dst=local) / \
        UDP(sport=547, dport=546) / DHCP6_Advertise()
    for inbound, passes in (("[ ike ping ];", False), ("[ ike ping dhcpv6 ];", True)):
        opens(hq, inbound, zone="untrust")
        with listener(hq, "hq", 546, socket.SOCK_DGRAM, socket.AF_INET6) as s:
            s.settimeout(20 if passes else 0.7)
            send_frames(hq, "internet", [frame], "hq0")
            if passes:
                assert s.recv(2000)
            else:
                with pytest.raises(TimeoutError):
                    s.recv(2000)


def advertise(lab, node, interface, prefix):
    from scapy.all import Ether, ICMPv6ND_RA, ICMPv6NDOptPrefixInfo, IPv6
    send_frames(lab, node, [Ether(dst="33:33:00:00:00:01", src=own_mac(lab, node, interface)) / IPv6(src="fe80::9", dst="ff02::1", hlim=255) /
                            ICMPv6ND_RA(routerlifetime=1800) / ICMPv6NDOptPrefixInfo(prefix=prefix, prefixlen=64, L=1, A=0)], interface)
    time.sleep(0.5)


@pytest.mark.parametrize("accept_ra", [1, 2])
def test_router_advertisements(hq, accept_ra):
    """A host on a link cannot give the gateway routes, whether the link is in a zone or not; the administrator decides from where."""
    node = hq["hq"]
    node.run("ip link add dum0 type veth peer name dum1")  # a link of no zone
    try:
        for name in ("dum0", "dum1"):
            node.run(f"ip link set {name} up")

        def routes():
            return [line for line in node.run("ip -6 route").stdout.splitlines() if "proto ra" in line or "2001:db8:99" in line]

        node.sysctl({f"net.ipv6.conf.{name}.accept_ra": accept_ra for name in ("wan0", "lan0", "dum0")})
        advertise(hq, "hq", "dum1", "2001:db8:99:1::")
        advertise(hq, "internet", "hq0", "2001:db8:99:2::")
        assert not routes()
        opens(hq, "[ ike ping router-advertisement ];", zone="untrust")
        node.sysctl({f"net.ipv6.conf.{name}.accept_ra": accept_ra for name in ("wan0", "lan0", "dum0")})
        advertise(hq, "hq", "dum1", "2001:db8:99:1::")
        advertise(hq, "host-a", "eth0", "2001:db8:99:3::")
        assert not routes()
        advertise(hq, "internet", "hq0", "2001:db8:99:2::")
        wait_for(lambda: len(routes()) == 2, 10, f"routes: {routes()}")
        assert all("wan0" in line for line in routes()), routes()
        opens(hq, "[ ike ping ];", zone="untrust")
        for name in ("wan0", "lan0", "dum0"):
            assert node.run(f"sysctl -n net.ipv6.conf.{name}.accept_ra").stdout.strip() == "0"
    finally:
        node.run("ip link del dum0")
        for line in routes():
            node.run(f"ip -6 route del {' '.join(line.split()[:5])}", check=False)
        node.run("ip -6 route replace default via 2001:db8:1::1")
