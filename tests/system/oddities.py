"""Packets for test_screens.py: for each screen some that meet it, from `web` or who is named to host-a, of IPv4 and of IPv6 where both exist."""
import itertools

from kit import HOST_A, HOST_A6
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import ICMPv6EchoRequest, ICMPv6ND_NS, IPv6, IPv6ExtHdrFragment
from scapy.layers.l2 import GRE
from scapy.packet import Raw

WEB4, WEB6 = "192.0.2.80", "2001:db8:80::80"
V4, V6 = IP(src=WEB4, dst=HOST_A), IPv6(src=WEB6, dst=HOST_A6)
DATAGRAM, PAD = UDP(sport=4000, dport=53) / b"datagram", b"\x01\x04\0\0\0\0"
SMALL4, SMALL6 = IP(src="10.9.0.1", dst="10.9.0.2") / DATAGRAM, IPv6(src="2001:db8:9::1", dst="2001:db8:9::2") / DATAGRAM
OUTER = {4: V4, 6: V6}


def ip4(**fields):
    return IP(src=WEB4, dst=HOST_A, **fields)


def ip6(**fields):
    return IPv6(src=WEB6, dst=HOST_A6, **fields)


def checksum(head):
    total = sum(int.from_bytes(head[i:i + 2], "big") for i in range(0, len(head), 2))
    total = (total >> 16) + (total & 0xffff)
    return (~(total + (total >> 16)) & 0xffff).to_bytes(2, "big")


def option(*octets):
    """IPv4 with this option."""
    head = bytes(ip4(ihl=8, len=48, proto=17, chksum=0)) + bytes(octets).ljust(12, b"\0")
    return Raw(head[:10] + checksum(head) + head[12:] + bytes(DATAGRAM))


def chain(*kinds, first=PAD):
    """IPv6 with these extension headers of eight octets each."""
    body = b"".join(bytes([after, 0]) + (PAD if i else first) for i, after in enumerate((*kinds[1:], 17)))
    return ip6(nh=kinds[0]) / Raw(body + bytes(DATAGRAM))


def piece(nh, offset, more, octets, number=1):
    """A fragment of IPv6; offset in units of eight octets, as in IPv4."""
    return ip6() / IPv6ExtHdrFragment(nh=nh, offset=offset, m=more, id=number) / Raw(octets)


NUMBERS = itertools.count(100)


def cut(packet, size):
    """The packet in fragments of so many octets."""
    v4, number = packet.version == 4, next(NUMBERS)
    octets = bytes(packet)[20 if v4 else 40:]
    for at in range(0, len(octets), size):
        part, more, proto = octets[at:at + size], at + size < len(octets), packet.proto if v4 else packet.nh
        yield (ip4(proto=proto, flags="MF" if more else 0, frag=at // 8, id=number) / Raw(part) if v4 else
               piece(proto, at // 8, more, part, number))


def behind_options(packet):
    """Two fragments, the first of which holds destination options alone."""
    return [piece(60, 0, 1, bytes([packet.nh, 0]) + PAD, number := next(NUMBERS)), piece(60, 1, 0, bytes(packet)[40:], number)]


def tcp(flags, port=80):
    return [ip / TCP(sport=4000, dport=port, flags=flags) for ip in OUTER.values()]


SYN = bytes(tcp("S")[0])[20:] + bytes(4)
HEADERS = {  # by what one packet says; it meets this screen before any other
    "icmp-ping-death": [ip4(frag=8190) / ICMP() / Raw(bytes(64)), piece(58, 8190, 0, bytes(64))],
    "tcp-land": [IP(src=HOST_A, dst=HOST_A) / TCP(dport=80), IPv6(src=HOST_A6, dst=HOST_A6) / TCP(dport=80)],
    "tcp-winnuke": tcp("UA", 139),
    "tcp-syn-frag": [ip4(flags="MF", proto=6) / Raw(SYN), piece(6, 0, 1, SYN)],
    "tcp-no-flag": tcp(""),
    "tcp-syn-fin": tcp("SF"),
    "tcp-fin-no-ack": tcp("F"),
    "tunnel-bad-inner-header": [ip / IP(src="127.0.0.1", dst="10.9.0.2") / DATAGRAM for ip in OUTER.values()],
    "tunnel-nested": [V4 / IP(src="10.9.0.1", dst="10.9.0.2") / SMALL4, V6 / IPv6(src="2001:db8:9::1", dst="2001:db8:9::2") / SMALL6],
    "tunnel-6to4": [V4 / IPv6(src="2002:c000:201::1", dst="2001:db8:9::2") / DATAGRAM],
    "tunnel-isatap": [V4 / IPv6(src="2001:db8:9::200:5efe:c000:201", dst="2001:db8:9::2") / DATAGRAM],
    "tunnel-ds-lite": [V6 / IP(src="192.0.0.2", dst="10.9.0.2") / DATAGRAM],
    "tunnel-teredo": [ip / UDP(sport=3544, dport=3544) / SMALL6 for ip in OUTER.values()],
    "icmp-fragment": [ip4(flags="MF") / ICMP() / Raw(bytes(16)), piece(58, 0, 1, bytes(16))],
    "icmp-large": [V4 / ICMP() / Raw(bytes(1200)), V6 / ICMPv6EchoRequest(data=bytes(1200))],
    "icmpv6-malformed": [ip6(hlim=64) / ICMPv6ND_NS(tgt=HOST_A6), ip6(nh=58) / Raw(b"\x80\0\0")],
    "ip-bad-option": [option(7, 200)],
    "ip-record-route": [option(7, 11, 4)],
    "ip-timestamp": [option(68, 12, 5)],
    "ip-security": [option(130, 11), option(133, 8), option(134, 8)],
    "ip-stream": [option(136, 4)],
    "ip-loose-source-route": [option(131, 11, 4)],
    "ip-strict-source-route": [option(137, 11, 4)],
    "ip-source-route": [chain(43, first=b"\0\x01\0\0\0\0")],  # of IPv4 it is a loose or a strict one
    "ip-block-frag": [ip4(frag=100, proto=17) / Raw(bytes(16)), piece(17, 100, 0, bytes(16))],
    "ip-spoofing": [IP(src="10.1.0.77", dst=HOST_A) / DATAGRAM, IPv6(src="fd00:1::77", dst=HOST_A6) / DATAGRAM],
    "ip-unknown-protocol": [ip4(proto=137) / Raw(b"abcd"), ip6(nh=200) / Raw(b"abcd")],
    "ipv6-malformed-header": [ip6(plen=900) / DATAGRAM, chain(60, first=b"\x1e\x09\0\0\0\0")],
    "ipv6-extension-header-limit": [chain(60, 60, 60, 60)],
    "ipv6-hop-by-hop": [chain(0)],
    "ipv6-routing": [chain(43, first=b"\x02\0\0\0\0\0")],
    "ipv6-fragment": [piece(17, 0, 0, bytes(DATAGRAM))],
    "ipv6-destination": [chain(60)],
    "ipv6-ah": [ip6(nh=51) / Raw(b"\x11\x01" + bytes(10) + bytes(DATAGRAM))],
    "ipv6-esp": [ip6(nh=50) / Raw(bytes(24))],
    "ipv6-mobility": [ip6(nh=135) / Raw(bytes(24))],
    "ipv6-hip": [ip6(nh=139) / Raw(bytes(24))],
    "ipv6-shim6": [ip6(nh=140) / Raw(bytes(24))],
    "ipv6-no-next": [ip6(nh=59)],
    **{f"ipv6-{name}": [chain(header, first=bytes([kind, 4, 0, 0, 0, 0]))] for name, kind, header in (
        ("jumbo-payload", 0xc2, 0), ("router-alert", 5, 0), ("quick-start", 0x26, 60), ("calipso", 7, 60), ("smf-dpd", 8, 0),
        ("tunnel-encapsulation-limit", 4, 60), ("home-address", 0xc9, 60), ("ilnp-nonce", 0x8b, 60), ("line-identification", 0x8c, 60))},
    **{f"tunnel-gre-{a}in{b}": [OUTER[b] / GRE() / {4: SMALL4, 6: SMALL6}[a]] for a in (4, 6) for b in (4, 6)},
    **{f"tunnel-ipip-{a}in{b}": [OUTER[b] / {4: SMALL4, 6: SMALL6}[a]] for a in (4, 6) for b in (4, 6)},
}
FRAGMENTS = {  # what is known of fragments, the first of them or the whole, where no screen takes all of them
    "ip-tear-drop": [ip4(proto=17, flags="MF") / Raw(b"a" * 24), ip4(proto=17, frag=1) / Raw(b"b" * 24), piece(17, 0, 1, b"a" * 24),
                     piece(17, 1, 0, b"b" * 24)],
    "tcp-syn-frag": [*cut(tcp("S")[0], 16), *behind_options(tcp("S")[1])],
    "tcp-fin-no-ack": [*cut(tcp("F")[0], 16), *behind_options(tcp("F")[1])],
    "icmp-large": [part for packet in (V4 / ICMP(id=1) / Raw(bytes(1200)), V6 / ICMPv6EchoRequest(data=bytes(1200))) for part in cut(packet, 400)],
    "tunnel-ipip-6in4": list(cut(V4 / SMALL6, 48)),
    "tunnel-gre-4in6": list(cut(V6 / GRE() / SMALL4, 32)),
    "ipv6-hop-by-hop": [ip6(nh=0) / Raw(b"\x2c\0" + PAD + bytes(IPv6ExtHdrFragment(nh=17, m=1, id=99)) + bytes(24))],
}
FRAGMENTS_MET = {name: 1 if name.startswith(("tunnel", "ipv6")) else 2 for name in FRAGMENTS}


def counted(family):
    """(screen, packets that meet it, others that they meet as well): sources and destinations by number, IPv6 sources by network."""
    def ip(source, to, **fields):
        if family == 4:
            return IP(src=f"198.18.{source >> 8}.{source & 255}", dst=f"10.1.0.{100 + to}", **fields)
        return IPv6(src=f"2001:db8:{source:x}::1", dst=f"fd00:1::{100 + to:x}", **{"nh" if key == "proto" else key: value for key, value in fields.items()})

    def syn(source, to, port, sport=4000):
        return ip(source, to) / TCP(sport=sport, dport=port, flags="S")

    def ask(source, to):
        return ip(source, to) / (ICMP() if family == 4 else ICMPv6EchoRequest())

    def datagram(source, to, port, sport=4000):
        return ip(source, to) / UDP(sport=sport, dport=port) / b"datagram"

    return (
        ("icmp-flood", [ask(1, 1)] * 25, ()),
        ("icmp-ip-sweep", [ask(2, to) for to in range(10, 20)], ()),
        ("udp-flood", [datagram(0x100 + i, 2, 9) for i in range(25)], ()),
        ("udp-port-scan", [datagram(3, 3, 3000 + i) for i in range(10)], ()),
        ("udp-sweep", [datagram(4, to, 9) for to in range(20, 30)], ()),
        ("tcp-port-scan", [syn(5, 4, 3000 + i) for i in range(10)], ()),
        ("tcp-sweep", [syn(6, to, 80) for to in range(30, 40)], ()),
        ("tcp-syn-flood-source", [syn(7, 5, 80, 4000 + i) for i in range(13)], ()),
        ("tcp-syn-flood-alarm", [syn(0x200 + i, 6, 80) for i in range(18)], ()),
        ("tcp-syn-flood-attack", [syn(0x300 + i, 7, 80) for i in range(24)], ("tcp-syn-flood-alarm",)),
        ("tcp-syn-flood-destination", [syn(0x400 + i, 8, 3000 + i) for i in range(28)], ()),
        ("source-sessions", [datagram(8, 9, 9, 4000 + i) for i in range(6)], ()),
        ("destination-sessions", [ip(0x500 + i, 50, proto=99) / Raw(b"octets") for i in range(45)], ()),
        ("source-session-rate", [ip(9, 51, proto=proto) / Raw(b"octets") for proto in range(90, 125)], ("source-sessions",)),
    )
