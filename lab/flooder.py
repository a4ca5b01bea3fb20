#!/usr/bin/python3
"""flooder KIND RATE SECONDS [ARGUMENT...]: runs on a machine of the lab, started by lab/floods.py, for the lab's network only: sends packets,
connects, or acts as a peer with a valid key that requests more and more. Prints one line when it begins, and ends by itself after SECONDS."""
import hashlib
import hmac
import itertools
import os
import random
import socket
import struct
import subprocess
import sys
import time

HQ, HQ_LAN, HQ_LAN6 = "198.51.100.2", "10.1.0.", "fd00:1::"
HOST_A, WEB = "10.1.0.2", "192.0.2.80"
PORTS = range(5201, 5211)  # what the lab's policies call iperf-udp
SPOOFED = [f"198.18.{i >> 8}.{i & 255}" for i in range(1, 4000)]  # RFC 2544: unassigned; nobody answers from there


# --- packets ---

def checksum(octets):
    octets += bytes(len(octets) % 2)
    total = sum(struct.unpack(f"!{len(octets) // 2}H", octets))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def ipv4(src, dst, proto, body, ttl=64, ident=0, fragment=0):
    """The kernel fills in length and checksum."""
    return (dst, struct.pack("!BBHHHBBH4s4s", 0x45, 0, 0, ident, fragment, ttl, proto, 0, socket.inet_aton(src), socket.inet_aton(dst)) + body)


def udp(src_port, dst_port, payload=b"x" * 20):
    return struct.pack("!HHHH", src_port, dst_port, 8 + len(payload), 0) + payload


def syn(src, dst, src_port, dst_port):
    def head(check):
        return struct.pack("!HHIIBBHHH", src_port, dst_port, 1, 0, 0x50, 2, 65535, check, 0)
    pseudo = socket.inet_aton(src) + socket.inet_aton(dst) + struct.pack("!HH", 6, 20)
    return ipv4(src, dst, 6, head(checksum(pseudo + head(0))))


def echo(ident):
    def head(check):
        return struct.pack("!BBHHH", 8, 0, check, ident, 1) + b"x" * 16
    return head(checksum(head(0)))


def ipv6_udp(src, dst, src_port, dst_port):
    payload = b"x" * 20
    a, b, n = socket.inet_pton(socket.AF_INET6, src), socket.inet_pton(socket.AF_INET6, dst), 8 + len(payload)

    def body(check):
        return struct.pack("!HHHH", src_port, dst_port, n, check) + payload
    check = checksum(a + b + struct.pack("!IHBB", n, 0, 0, 17) + body(0))
    return (dst, struct.pack("!IHBB", 6 << 28, n, 17, 64) + a + b + body(check))


def some(low=1024):
    return random.randrange(low, 65536)


# --- IKE ---

KEY = 36  # octets, with the salt


def raw(public_key):
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
    return public_key.public_bytes(Encoding.Raw, PublicFormat.Raw)


def prf(key, data):
    return hmac.new(key, data, "sha384").digest()


def prf_plus(key, seed, n):
    out = block = b""
    for i in itertools.count(1):
        if len(out) >= n:
            return out[:n]
        block = prf(key, block + seed + bytes([i]))
        out += block


def payloads_of(first, data):
    found = {}
    while first:
        following, _, n = struct.unpack_from("!BBH", data)
        found.setdefault(first, data[4:n])
        first, data = following, data[n:]
    return found


def payloads(*parts):
    """(type of the first, octets) of [(type, body)]"""
    out = b""
    for i, (_, body) in enumerate(parts):
        out += struct.pack("!BBH", parts[i + 1][0] if i + 1 < len(parts) else 0, 0, 4 + len(body)) + body
    return parts[0][0], out


def proposal(proto, spi, *transforms):
    body = b""
    for i, (kind, number, bits) in enumerate(transforms):
        attribute = struct.pack("!HH", 0x800e, bits) if bits else b""
        body += struct.pack("!BBHBBH", 0 if i + 1 == len(transforms) else 3, 0, 8 + len(attribute), kind, 0, number) + attribute
    return struct.pack("!BBHBBBB", 0, 0, 8 + len(spi) + len(body), 1, proto, len(spi), len(transforms)) + spi + body


def selectors(network):
    first = socket.inet_aton(network)
    return struct.pack("!BBBBBBHHH", 1, 0, 0, 0, 7, 0, 16, 0, 65535) + first + first[:3] + b"\xff"


IKE_PROPOSAL = proposal(1, b"", (1, 20, 256), (2, 6, 0), (4, 31, 0))  # aes256gcm16, prfsha384, x25519


def ike_sa_init(spi, public, nonce, cookie=None):
    first, body = payloads(*([(41, cookie)] if cookie else []), (33, IKE_PROPOSAL), (34, struct.pack("!HH", 31, 0) + public), (40, nonce))
    return spi + bytes(8) + struct.pack("!BBBBII", first, 0x20, 34, 8, 0, 28 + len(body)) + body


class Peer:
    """The initiator of an IKE SA with a pre-shared key, which never answers."""

    def __init__(self, psk, identity):
        from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM
        self.new_key, self.public_key, self.aead = X25519PrivateKey.generate, X25519PublicKey.from_public_bytes, AESGCM
        self.psk, self.identity, self.iv, self.number = psk, identity, 0, 0
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.settimeout(2)
        self.socket.connect((HQ, 500))
        self.init()

    def key_exchange(self):
        self.key = self.new_key()
        return raw(self.key.public_key())

    def init(self):
        self.spi, nonce, public, cookie = os.urandom(8), os.urandom(32), self.key_exchange(), None
        while True:
            request = ike_sa_init(self.spi, public, nonce, cookie)
            self.socket.send(request)
            answer = self.socket.recv(65536)
            found = payloads_of(answer[16], answer[28:])
            if answer[:8] == self.spi and 34 in found:
                break
            cookie = found.get(41, cookie)
        self.spis = answer[:16]
        secret = self.key.exchange(self.public_key(found[34][4:]))
        nonces = nonce + found[40]
        keys = prf_plus(prf(nonces, secret), nonces + self.spis, 3 * 48 + 2 * KEY)
        self.seal_key, pi = keys[48:48 + KEY], keys[48 + 2 * KEY:96 + 2 * KEY]
        signed = request + found[40] + prf(pi, b"\2\0\0\0" + self.identity)
        self.auth = prf(prf(self.psk, b"Key Pad for IKEv2"), signed)

    def request(self, exchange, *parts):
        """Sends; returns True if an answer came in time."""
        self.number += 1
        first, plain = payloads(*parts)
        plain += b"\0"
        self.iv += 1
        iv, n = struct.pack("!Q", self.iv), 28 + 4 + 8 + len(plain) + 16
        head = self.spis + struct.pack("!BBBBIIBBH", 46, 0x20, exchange, 8, self.number, n, first, 0, n - 28)
        self.socket.send(head + iv + self.aead(self.seal_key[:32]).encrypt(self.seal_key[32:] + iv, plain, head))
        end = time.monotonic() + 2
        while time.monotonic() < end:
            try:
                got = self.socket.recv(65536)
            except TimeoutError:
                return False
            if got[:16] == self.spis and got[19] & 0x20 and struct.unpack_from("!I", got, 20)[0] == self.number:
                return True
        return False

    def child(self, first):
        spi = struct.pack("!I", random.randrange(1 << 20, 1 << 31))
        networks = (44, selectors("10.9.0.0")), (45, selectors("10.1.0.0"))
        esp = [(1, 20, 256), (5, 0, 0)] if first else [(1, 20, 256), (4, 31, 0), (5, 0, 0)]
        sa = 33, proposal(3, spi, *esp)
        if first:
            identity = b"\2\0\0\0" + self.identity
            return self.request(35, (35, identity), (39, b"\2\0\0\0" + self.auth), sa, *networks)
        return self.request(36, sa, (40, os.urandom(32)), (34, struct.pack("!HH", 31, 0) + self.key_exchange()), *networks)


# --- the kinds ---

def become_nobody():
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)


def send_packets(packets, rate, seconds):
    """(destination, octets from the IP header on), over and over."""
    packets = list(packets)
    out = {4: socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)}
    if any(":" in to for to, _ in packets):
        out[6] = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_RAW)
        out[6].setsockopt(socket.IPPROTO_IPV6, 36, 1)  # IPV6_HDRINCL
    begun, sent = time.monotonic(), 0
    for to, octets in itertools.cycle(packets):
        try:
            out[6 if ":" in to else 4].sendto(octets, (to, 0))
        except OSError:  # no buffer space, or no route at the moment
            pass
        sent += 1
        if sent % 64 == 0:
            ahead = sent / rate - (time.monotonic() - begun)
            if time.monotonic() - begun > seconds:
                return
            if ahead > 0:
                time.sleep(ahead)


def sessions_of_one_source():
    return (ipv4(HOST_A, WEB, 17, udp(port, to)) for port in range(2000, 10000) for to in PORTS[:2])


def sessions_of_one_zone():
    return (ipv4(f"{HQ_LAN}{host}", WEB, 17, udp(port, to)) for port in range(2000, 2020) for to in PORTS for host in range(10, 200))


def syns():
    return (syn(src, HOST_A, some(), 80) for src in SPOOFED for _ in range(3))


def ike_sa_inits(peer):
    """Half of them in the name of that peer, which has to solve a puzzle then."""
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
    public = raw(X25519PrivateKey.generate().public_key())
    return (ipv4(src, HQ, 17, udp(500, 500, ike_sa_init(os.urandom(8), public, os.urandom(32)))) for other in SPOOFED for src in (other, peer))


def fragments():
    return (ipv4(WEB, HOST_A, 17, udp(some(), PORTS[0], b"x" * 64), ident=i, fragment=0x2000) for i in range(1, 65536, 5))


def absent_neighbours():
    for i in range(8000):
        yield ipv4(SPOOFED[i % 1000], f"{HQ_LAN}{210 + i % 40}", 17, udp(some(), PORTS[0]))
        yield ipv6_udp(f"2001:db8:80:{i % 500:x}::1", f"{HQ_LAN6}{i + 4096:x}", some(), PORTS[0])


def denied():
    return (ipv4(src, HOST_A, 17, udp(some(), 4000)) for src in SPOOFED)


def icmp():
    for i, src in enumerate(SPOOFED):
        yield ipv4(src, HQ, 1, echo(i))
        yield ipv4(src, HOST_A, 17, udp(some(), PORTS[0]), ttl=1)


def port_4500(spi):
    for i, src in enumerate(SPOOFED):
        yield ipv4(WEB, HQ, 17, udp(4500, 4500, bytes(4) + os.urandom(60)))  # IKE, from one source
        yield ipv4(src, HQ, 17, udp(4500, 4500, os.urandom(80)))             # ESP of no SA
        yield ipv4(src, HQ, 17, udp(4500, 4500, bytes.fromhex(spi) + struct.pack("!I", 100000 + i) + os.urandom(80)))
        yield ipv4(src, HQ, 50, os.urandom(80))


def one_peer(key_file, identity, seconds):
    """IKE SAs without end, each with more child SAs than it may have."""
    with open(key_file, encoding="ascii") as file:
        psk = file.read().strip().encode()
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            peer = Peer(psk, identity.encode())
            for i in range(12):
                if not peer.child(i == 0):
                    break
        except OSError:
            continue


def hold_connections(addresses, count, seconds, sources=(None,)):
    """That many connections, each to the next address from the next source, which send nothing; a connection that is closed is opened again."""
    end, held = time.monotonic() + seconds, [None] * count
    while time.monotonic() < end:
        for i, s in enumerate(held):
            try:
                if s is None:
                    address = addresses[i % len(addresses)]
                    s = held[i] = socket.socket(socket.AF_UNIX if isinstance(address, str) else socket.AF_INET,
                                                socket.SOCK_SEQPACKET if isinstance(address, str) else socket.SOCK_STREAM)
                    s.settimeout(0.2)
                    if sources[i % len(sources)]:
                        s.bind((sources[i % len(sources)], 0))
                    s.connect(address)
                    s.setblocking(False)
                elif not s.recv(100):
                    raise ConnectionError
            except BlockingIOError:
                pass
            except OSError:
                s.close()
                held[i] = None
        time.sleep(0.02)


def readers(count, seconds):
    """Programs that request a large table and whose output nobody reads; the oldest makes room for the next."""
    end, running = time.monotonic() + seconds, []
    while time.monotonic() < end:
        # pylint: disable=consider-using-with
        running.append(subprocess.Popen(["plaingate", "show", "sessions", "--json"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL))
        if len(running) > count:
            running.pop(0).kill()
        time.sleep(0.05)


def echo_server(seconds):
    """Answers datagrams to PORTS."""
    import select
    end, servers = time.monotonic() + seconds, []
    for port in PORTS:
        servers.append(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        servers[-1].bind(("", port))
        servers[-1].setblocking(False)
    while time.monotonic() < end:
        for s in select.select(servers, [], [], 0.2)[0]:
            try:
                for _ in range(64):
                    data, who = s.recvfrom(2048)
                    s.sendto(data, who)
            except OSError:
                pass


PACKETS = {f.__name__: f for f in (sessions_of_one_source, sessions_of_one_zone, syns, ike_sa_inits, fragments, absent_neighbours, denied,
                                   icmp, port_4500)}
OTHERS = {f.__name__: f for f in (one_peer, readers, echo_server)}


def main():
    kind, rate, seconds, *more = sys.argv[1:]
    rate, seconds = int(rate), float(seconds)
    if kind in PACKETS:
        packets = list(PACKETS[kind](*more))
        print("begins", flush=True)
        send_packets(packets, rate, seconds)
        return
    print("begins", flush=True)
    if kind in ("control_clients", "readers"):
        become_nobody()
    if kind == "control_clients":
        hold_connections(more, 160, seconds)
    elif kind == "witness_clients":
        hold_connections([("127.0.0.1", int(more[0]))], 700, seconds, [f"127.0.{i >> 8}.{i & 255}" for i in range(2, 700)])
    elif kind == "readers":
        readers(96, seconds)
    else:
        OTHERS[kind](*more, seconds)


if __name__ == "__main__":
    main()
