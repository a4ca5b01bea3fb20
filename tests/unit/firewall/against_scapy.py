"""against_scapy.py ORACLE: packets made by scapy against our parser and our translator (oracle.c). Another hand wrote scapy: what it
says of a packet's fields and what it computes as checksums must be what we say and compute, octet for octet.

Seeds are fixed, so that a failure comes again. Ends with 77 (skipped) where scapy is missing.
"""
import random
import subprocess
import sys
import unittest

try:
    from scapy.all import (ICMP, IP, TCP, UDP, ICMPv6DestUnreach, ICMPv6EchoReply, ICMPv6EchoRequest, ICMPv6PacketTooBig,
                           ICMPv6TimeExceeded, IPOption_Router_Alert, IPv6, IPv6ExtHdrDestOpt, IPv6ExtHdrFragment,
                           IPv6ExtHdrHopByHop, PadN, Raw, RouterAlert, fragment, fragment6)
except ImportError:
    sys.exit(77)

GATE, GATE6 = "203.0.113.1", "2001:db8:3::1"
INSIDE, OUTSIDE = ("10.0.0.2", "10.9.8.7"), ("198.51.100.9", "192.0.2.80")
INSIDE6, OUTSIDE6 = ("2001:db8:1::2", "2001:db8:1::ffff:7"), ("2001:db8:99::9", "2001:db8:aaaa:bbbb:cccc:dddd:eeee:ffff")


class Oracle:
    def __init__(self, program):
        self.process = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().rstrip("\n").split(" ")

    def parse(self, data):
        return self.ask("parse " + bytes(data).hex())

    def through(self, data):
        drop, out = self.ask("through " + bytes(data).hex())
        return drop, bytes.fromhex(out) if out != "-" else b""

    def clear(self):
        self.ask("clear")


def extensions(rng):
    """A chain of IPv6 extension headers that may be forwarded."""
    chain = None
    for make in (lambda: IPv6ExtHdrHopByHop(options=[RouterAlert()]),
                 lambda: IPv6ExtHdrDestOpt(options=[PadN(optdata=bytes(rng.randrange(20)))]),
                 lambda: IPv6ExtHdrFragment(offset=0, m=0, id=rng.getrandbits(32))):
        if rng.random() < .3:
            chain = chain / make() if chain else make()
    return chain


def upper(rng, v6):
    """A header above IP that begins a session, and its protocol number."""
    kind = rng.choice(("tcp", "udp", "echo"))
    sport, dport = rng.randrange(1, 65536), rng.randrange(1, 65536)
    if kind == "tcp":
        options = rng.choice(([], [("MSS", 1460)],
                              [("MSS", 1460), ("SAckOK", b""), ("Timestamp", (1, 0)), ("NOP", None), ("WScale", 7)]))
        return TCP(sport=sport, dport=dport, flags="S", seq=rng.getrandbits(32), options=options)
    if kind == "udp":
        return UDP(sport=sport, dport=dport)
    return ICMPv6EchoRequest(id=sport, seq=dport) if v6 else ICMP(type=8, id=sport, seq=dport)


def payload(rng):
    return Raw(rng.randbytes(rng.choice((0, 1, 2, 3, 8, 33, 100, 1200))))


def packet(rng, v6):
    ttl = rng.randrange(2, 256)
    if v6:
        head = IPv6(src=rng.choice(INSIDE6), dst=rng.choice(OUTSIDE6), hlim=ttl, tc=rng.randrange(256), fl=rng.getrandbits(20))
        chain = extensions(rng)
        head = head / chain if chain else head
    else:
        options = rng.choice(([], [], [IPOption_Router_Alert()]))
        head = IP(src=rng.choice(INSIDE), dst=rng.choice(OUTSIDE), ttl=ttl, tos=rng.randrange(256), id=rng.getrandbits(16),
                  flags=rng.choice((0, "DF")), options=options)
    return head / upper(rng, v6) / payload(rng)


def again(p):
    """The same packet with every length and checksum computed anew by scapy."""
    p = p.copy()
    layer = p
    while layer:
        for field in ("chksum", "cksum", "len", "plen"):
            if field in layer.fields:
                del layer.fields[field]
        layer = layer.payload
    return bytes(p)


def kind(data):
    return IPv6(data) if data[0] >> 4 == 6 else IP(data)


def transport(p):
    return next((p[k] for k in (TCP, UDP, ICMP, ICMPv6EchoRequest, ICMPv6EchoReply) if k in p))


class Scapy(unittest.TestCase):
    def setUp(self):
        oracle.clear()

    def test_fields(self):
        rng = random.Random(1)
        for _ in range(500):
            p = kind(bytes(packet(rng, rng.random() < .5)))
            l4 = transport(p)
            data = bytes(p)
            at = len(data) - len(bytes(l4))
            number = 58 if isinstance(l4, ICMPv6EchoRequest) else {TCP: 6, UDP: 17, ICMP: 1}[type(l4)]
            ports = (l4.sport, l4.dport) if number in (6, 17) else (l4.id, l4.id)
            head = {6: lambda: 4 * l4.dataofs, 17: lambda: 8, 1: lambda: 8, 58: lambda: 8}[number]()
            want = ["none", str(number), p.src, p.dst, str(ports[0]), str(ports[1]), str(at), str(at + head), str(len(data)), "0",
                    "right"]
            self.assertEqual(oracle.parse(data), want, p.summary())

    def test_wrong_sums(self):
        rng = random.Random(2)
        for _ in range(300):
            p = kind(bytes(packet(rng, rng.random() < .5)))
            l4 = transport(p)
            field = "cksum" if isinstance(l4, ICMPv6EchoRequest) else "chksum"
            setattr(l4, field, getattr(l4, field) ^ (1 << rng.randrange(16)) or 1)
            self.assertEqual(oracle.parse(bytes(p))[-1], "wrong", p.summary())

    def translated(self, p):
        """Sends p; returns what came out after comparing it with what scapy makes of the same change."""
        drop, out = oracle.through(bytes(p))
        self.assertEqual(drop, "none", p.summary())
        v6 = IPv6 in p
        l4 = transport(kind(out))
        want = kind(bytes(p))
        want.src = GATE6 if v6 else GATE
        if v6:
            want.hlim -= 1
        else:
            want.ttl -= 1
        mine = transport(want)
        if isinstance(mine, (TCP, UDP)):
            port = mine.sport = l4.sport
        else:
            port = mine.id = l4.id
        self.assertTrue(40960 <= port <= 65535, p.summary())
        self.assertEqual(out.hex(), again(want).hex(), p.summary())
        return kind(out)

    def test_translation_and_answers(self):
        rng = random.Random(3)
        for _ in range(500):
            p = packet(rng, rng.random() < .5)
            oracle.clear()
            out = self.translated(p)
            l4, v6 = transport(out), IPv6 in out
            ip = IPv6(src=out.dst, dst=out.src) if v6 else IP(src=out.dst, dst=out.src)
            if isinstance(l4, TCP):
                back = TCP(sport=l4.dport, dport=l4.sport, flags="SA", seq=rng.getrandbits(32), ack=l4.seq + 1 & 0xffffffff)
            elif isinstance(l4, UDP):
                back = UDP(sport=l4.dport, dport=l4.sport) / payload(rng)
            else:
                back = ICMPv6EchoReply(id=l4.id, seq=l4.seq) if v6 else ICMP(type=0, id=l4.id, seq=l4.seq)
            answer = kind(bytes(ip / back))
            if isinstance(l4, TCP) and len(l4.payload):
                answer[TCP].ack = l4.seq + 1 & 0xffffffff
                answer = kind(again(answer))
            drop, got = oracle.through(bytes(answer))
            self.assertEqual(drop, "none", answer.summary())
            want = answer.copy()
            want.dst = p.src
            if v6:
                want.hlim -= 1
            else:
                want.ttl -= 1
            mine = transport(want)
            if isinstance(mine, (TCP, UDP)):
                mine.dport = transport(p).sport
            else:
                mine.id = transport(p).id
            self.assertEqual(got.hex(), again(want).hex(), answer.summary())

    def test_errors_about_translated(self):
        rng = random.Random(4)
        for _ in range(500):
            v6 = rng.random() < .5
            p = packet(rng, v6)
            oracle.clear()
            out = bytes(self.translated(p))
            l4 = transport(kind(out))
            ports_end = len(out) - len(bytes(l4)) + (18 if isinstance(l4, TCP) else 8)  # with the whole checksum
            n = len(out) if rng.random() < .5 else rng.randrange(ports_end, len(out) + 1)
            if v6:
                head = IPv6(src="2001:db8:77::1", dst=GATE6) / rng.choice((ICMPv6DestUnreach(code=4), ICMPv6PacketTooBig(mtu=1280),
                                                                        ICMPv6TimeExceeded()))
            else:
                head = IP(src="192.0.2.1", dst=GATE) / rng.choice((ICMP(type=3, code=1), ICMP(type=3, code=4, nexthopmtu=1400),
                                                                   ICMP(type=11)))
            error = kind(bytes(head / Raw(out[:n])))
            drop, got = oracle.through(bytes(error))
            self.assertEqual(drop, "none", p.summary())
            # Inside, the quoted packet is the one that was sent, one hop on: scapy makes it from the original.
            sent = kind(bytes(p))
            if v6:
                sent.hlim -= 1
            else:
                sent.ttl -= 1
            quote = again(sent)[:n]
            want = head.copy()
            want.dst = p.src
            if v6:
                want.hlim -= 1
            else:
                want.ttl -= 1
            self.assertEqual(got.hex(), bytes(want / Raw(quote)).hex(), f"{p.summary()} quoted {n} of {len(out)}")

    def test_fragments(self):
        rng = random.Random(5)
        for _ in range(200):
            oracle.clear()
            size = rng.randrange(100, 4000)
            data = Raw(rng.randbytes(size))
            if rng.random() < .5:
                whole = IP(src=INSIDE[0], dst=OUTSIDE[0], id=rng.getrandbits(16)) / UDP(sport=1000, dport=9) / data
                pieces = fragment(whole, fragsize=8 * rng.randrange(10, 90))
            else:
                whole = IPv6(src=INSIDE6[0], dst=OUTSIDE6[0]) / IPv6ExtHdrFragment(id=rng.getrandbits(32)) / UDP(sport=1000, dport=9) / data
                pieces = fragment6(whole, 1280)
                whole = IPv6(src=INSIDE6[0], dst=OUTSIDE6[0]) / UDP(sport=1000, dport=9) / data
            rng.shuffle(pieces)
            for i, piece in enumerate(pieces):
                drop, got = oracle.through(bytes(piece))
                if len(pieces) > 1 and i + 1 < len(pieces):
                    self.assertEqual(drop, "kept")
            self.assertEqual(drop, "none")
            out = kind(got)
            self.assertEqual(bytes(out[UDP].payload), bytes(data))
            self.assertEqual(got.hex(), again(out).hex())


oracle = Oracle(sys.argv.pop(1))
unittest.main()
