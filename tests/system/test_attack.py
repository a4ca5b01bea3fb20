"""An attacker on the Internet between the gateways: replayed, altered and forged packets. None of them arrives, each is counted, no
process dies, and traffic flows."""
import os
import random
import struct
import time

import pytest
from kit import (GATEWAYS, HOST_B, HQ_WAN, Capture, UdpStream, counter, drops, own_lab, own_mac, processes, send_frames, show,
                 verify_ledger, wait_for)


@pytest.fixture(scope="module")
def lab():
    two_sites = own_lab("pga")
    two_sites.up("off")
    try:
        two_sites.wait_for_tunnel()
        yield two_sites
        for gateway in GATEWAYS:
            verify_ledger(two_sites, gateway)
    finally:
        two_sites.down()


@pytest.fixture(scope="module")
def sealed(lab):
    """Whole frames of branch's ESP packets to hq, as they left the router, of three echo answers."""
    with Capture(lab, "internet", "hq0", f"dst host {HQ_WAN} and udp port 4500") as seen:
        lab["host-a"].run(f"ping -c 3 -i 0.1 -W 2 {HOST_B}")
    frames = [frame for _, frame in seen.frames() if frame[42:46] != bytes(4)]
    assert len(frames) == 3
    return frames


def attack(lab, frames, reason, least):
    """Sends them to hq from the router; they must be counted under the drop reason, and nothing may reach the LAN."""
    before = counter(lab, "hq", reason)
    with Capture(lab, "host-a", "eth0", f"icmp and src {HOST_B}") as seen:
        send_frames(lab, "internet", frames, "hq0")
        wait_for(lambda: counter(lab, "hq", reason) >= before + least, 3, f"{least} more of {reason}; there are {drops(lab, 'hq')}")
    assert seen.count() == 0, seen.lines()


def changed(frame, at, octets):
    """The frame with octets of its ESP packet replaced, and without a UDP checksum."""
    data = bytearray(frame)
    data[42 + at:42 + at + len(octets)] = octets
    data[40:42] = bytes(2)
    return bytes(data)


def test_repeated(lab, sealed):
    attack(lab, sealed, "esp-replay", 3)


def test_altered(lab, sealed):
    """One bit of each part, with sequence numbers that were not used yet."""
    frames = []
    for n, at in enumerate((8, 16, 40, len(sealed[0]) - 42 - 1)):  # the IV, the first and a middle octet, the tag
        frame = changed(sealed[0], 4, struct.pack("!I", 100000 + n))
        frames.append(changed(frame, at, bytes([frame[42 + at] ^ 1])))
    attack(lab, frames, "esp-auth", len(frames))


def test_unknown(lab, sealed):
    attack(lab, [changed(frame, 0, b"\x12\x34\x56\x78") for frame in sealed], "esp-unknown-spi", 3)


def test_far_ahead_numbers_do_not_move_the_window(lab, sealed):
    """A forged high sequence number must not make genuine packets look old."""
    with UdpStream(lab, "host-a", "host-b", HOST_B) as udp:
        udp.wait_flowing()
        attack(lab, [changed(frame, 4, b"\x7f\xff\xff\xf0") for frame in sealed], "esp-auth", 3)
        udp.wait_flowing()
    assert not udp.lost()


def test_truncated(lab, sealed):
    from scapy.all import IP, UDP, Ether, Raw
    mac = {"dst": own_mac(lab, "hq", "wan0"), "src": own_mac(lab, "internet", "hq0")}
    spi = sealed[0][42:46]
    outer = Ether(**mac) / IP(src="203.0.113.2", dst=HQ_WAN) / UDP(sport=4500, dport=4500)
    frames = [outer / Raw(spi + bytes(n)) for n in (0, 4, 12, 20, 27)]
    attack(lab, frames, "esp-truncated", 3)


def test_clear_packets_inside_of_the_marker_and_garbage(lab):
    """Random datagrams to both IKE ports, with and without the marker: no process dies, the tunnel stays up, and the peer is unaffected."""
    from scapy.all import IP, UDP, Ether, Raw
    noise = random.Random(7)
    before, spis = {g: processes(lab, g) for g in GATEWAYS}, {row["spi_in"] for row in show(lab, "hq", "ipsec")}
    ike = [row for row in show(lab, "hq", "ike") if row["state"] == "established"][0]
    head = bytes.fromhex(ike["spi_i"] + ike["spi_r"])
    mac = {"dst": own_mac(lab, "hq", "wan0"), "src": own_mac(lab, "internet", "hq0")}
    frames = []
    for n in range(600):
        body = noise.randbytes(noise.randrange(0, 1200))
        exchange, flags = noise.choice((34, 35, 36, 37, 0, 255)), noise.choice((0, 8, 0x20, 0x28))
        message = head + bytes([noise.choice((0, 33, 41, 42, 46)), 0x20, exchange, flags]) + \
            struct.pack("!II", noise.randrange(4), 28 + len(body)) + body
        port = 500 if n % 2 else 4500
        data = noise.choice((body, message, bytes(4) + body, bytes(4) + message))
        source = "203.0.113.2" if n % 3 else "192.0.2.80"
        frames.append(Ether(**mac) / IP(src=source, dst=HQ_WAN) / UDP(sport=port, dport=port) / Raw(data))
    with UdpStream(lab, "host-a", "host-b", HOST_B) as udp:
        udp.wait_flowing()
        send_frames(lab, "internet", frames, "hq0")
        time.sleep(1.5)
        udp.wait_flowing()
    assert not udp.lost() and not udp.twice()
    assert {g: processes(lab, g) for g in GATEWAYS} == before, "a process was started anew"
    assert spis <= {row["spi_in"] for row in show(lab, "hq", "ipsec")}
    assert [row for row in show(lab, "hq", "ike") if row["state"] == "established" and row["spi_i"] == ike["spi_i"]]


def test_unprotected_delete_ends_nothing(lab):
    """Notifies and deletes in clear, with the right SPIs, from the peer's address."""
    from scapy.all import IP, UDP, Ether, Raw
    ike = [row for row in show(lab, "hq", "ike") if row["state"] == "established"][0]
    head = bytes.fromhex(ike["spi_i"] + ike["spi_r"])
    mac = {"dst": own_mac(lab, "hq", "wan0"), "src": own_mac(lab, "internet", "hq0")}
    notify = struct.pack("!BBHBBH", 0, 0, 8, 0, 0, 24)  # AUTHENTICATION_FAILED
    delete = struct.pack("!BBHBBH", 0, 0, 8, 1, 0, 0)
    frames = []
    for message_id in range(8):
        for kind, payload in ((41, notify), (42, delete)):
            for flags in (0, 0x20, 0x08, 0x28):
                message = head + bytes([kind, 0x20, 37, flags]) + struct.pack("!II", message_id, 28 + len(payload)) + payload
                frames.append(Ether(**mac) / IP(src="203.0.113.2", dst=HQ_WAN) / UDP(sport=4500, dport=4500) / Raw(bytes(4) + message))
    send_frames(lab, "internet", frames, "hq0")
    time.sleep(0.5)
    assert [row["spi_i"] for row in show(lab, "hq", "ike") if row["state"] == "established"] == [ike["spi_i"]]
    lab["host-a"].run(f"ping -c 2 -i 0.2 -W 2 {HOST_B}")


def test_many_that_begin_a_handshake(lab):
    """Thousands of strangers send IKE_SA_INIT; ike answers with cookies or not at all, and a rekey with the real peer succeeds."""
    ke = struct.pack("!BBHHH", 40, 0, 40, 31, 0) + os.urandom(32)
    nonce = struct.pack("!BBH", 0, 0, 36) + os.urandom(32)
    # AES-GCM-16 with 256 bits, PRF HMAC-SHA-384, group 31: what hq's proposal says (RFC 7296 section 3.3)
    transforms = struct.pack("!BBHBBHHH", 3, 0, 12, 1, 0, 20, 0x800e, 256) + struct.pack("!BBHBBH", 3, 0, 8, 2, 0, 6) + \
        struct.pack("!BBHBBH", 0, 0, 8, 4, 0, 31)
    n = len(transforms)
    body = struct.pack("!BBH", 34, 0, 12 + n) + struct.pack("!BBHBBBB", 0, 0, 8 + n, 1, 1, 0, 3) + transforms + ke + nonce
    from scapy.all import IP, UDP, Ether, Raw
    mac = {"dst": own_mac(lab, "hq", "wan0"), "src": own_mac(lab, "internet", "hq0")}
    before = processes(lab, "hq")
    frame = bytes(Ether(**mac) / IP(src="203.0.113.2", dst=HQ_WAN) / UDP(sport=500, dport=500, chksum=0) / Raw(bytes(28) + body))
    frames = []
    for n in range(3000):
        data = bytearray(frame)
        data[26:30] = bytes([192, 0, 2, 100 + n % 100])
        data[24:26] = bytes(2)
        total = sum(struct.unpack("!10H", data[14:34]))
        total = (total & 0xffff) + (total >> 16)
        data[24:26] = struct.pack("!H", ~((total & 0xffff) + (total >> 16)) & 0xffff)
        data[40:42] = bytes(2)
        data[42:70] = os.urandom(8) + bytes(8) + bytes([33, 0x20, 34, 0x08]) + struct.pack("!II", 0, 28 + len(body))
        frames.append(bytes(data))
    with UdpStream(lab, "host-a", "host-b", HOST_B) as udp:
        udp.wait_flowing()
        old = {row["spi_in"] for row in show(lab, "hq", "ipsec")}
        send_frames(lab, "internet", frames, "hq0")
        lab["hq"].run("plaingate ike rekey-child branch")
        wait_for(lambda: {row["spi_in"] for row in show(lab, "hq", "ipsec")} - old, 10, "a rekey in the midst of it")
        udp.wait_flowing()
    assert not udp.lost()
    assert processes(lab, "hq") == before, "a process was started anew"
