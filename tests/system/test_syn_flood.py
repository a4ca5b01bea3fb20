"""A flood of SYNs with forged sources, and real clients beside it: SYN cookies answer, nothing is kept for the forged ones, all honest connections
succeed, and a download through a joined connection has its timestamps, SACK and window scale on both ends, over the death of the data plane too."""
import os
import signal
import socket
import threading
import time

import pytest
from kit import BY_WORKERS, WEB, config_of, connect, counter, listener, own_lab, processes, show, verify_ledger
from nodes import wait_for

PORT, SIZE = 5201, 4 << 20
SCREEN = """screens {
    screen inside {
        tcp { syn-flood { attack-threshold 20; destination-threshold 1000000; source-threshold 1000000; } syn-ack-ack-proxy { threshold 2000; } }
    }
}
"""
FLOOD = f"""
import random, socket, struct, time
def checksum(b):
    s = sum(struct.unpack("!%dH" % (len(b) // 2), b))
    s = (s >> 16) + (s & 0xffff)
    return ~(s + (s >> 16)) & 0xffff
def syn(src, sport, dport):
    s, d = bytes(src), socket.inet_aton("{WEB}")
    tcp = struct.pack("!HHIIBBHHH", sport, dport, random.getrandbits(32), 0, 5 << 4, 2, 64240, 0, 0)
    tcp = tcp[:16] + struct.pack("!H", checksum(s + d + struct.pack("!HH", 6, len(tcp)) + tcp)) + tcp[18:]
    return struct.pack("!BBHHHBBH4s4s", 0x45, 0, 40, 0, 0x4000, 64, 6, 0, s, d) + tcp
packets = [syn((10, 1, 0, random.randrange(100, 250)), random.randrange(1024, 65536), port) for _ in range(2000) for port in ({PORT}, 80)]
out = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
while True:
    for i, p in enumerate(packets):
        out.sendto(p, ("{WEB}", 0))
        if i % 20 == 19:
            time.sleep(0.005)
"""


@pytest.fixture(name="lab", **BY_WORKERS)
def fixture_lab(request):
    two_sites = own_lab("syn")
    two_sites.workers = request.param
    text = config_of("hq", ("zone trust {", "zone trust {\n        screen inside;"), ("zones {\n", SCREEN + "zones {\n"))
    try:
        two_sites.up("on", {"hq": "plaingate", "branch": "none"}, {"hq": text})
        yield two_sites
        verify_ledger(two_sites, "hq")
    finally:
        two_sites.down()


@pytest.fixture(scope="module")
def flood(lab):
    process = lab["host-a"].popen(["/usr/bin/python3", "-c", FLOOD])
    try:
        wait_for(lambda: answers(lab) > 1000, 10, "SYN cookies")
        yield process
    finally:
        process.kill()
        process.wait()


def answers(lab):
    """SYNs that were answered, or would have been if their sources were there: nobody has the forged addresses."""
    return counter(lab, "hq", "syn-cookies-sent") + counter(lab, "hq", "syn-cookies-unsent")


def agreed(s):
    """Are timestamps, SACK and scaled windows in use, and by how many bits does it read the other's windows?"""
    info = s.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)
    return info[5] & 7 == 7, info[6] & 15


def test_honest_connections_succeed(lab, flood):
    """99 of 100 of them, with one worker and with two."""
    accepted = counter(lab, "hq", "syn-cookies-returned")
    failed = []
    for i in range(200):
        s = connect(lab, "host-a", WEB, 80)
        if not isinstance(s, socket.socket):
            failed.append(s)
            continue
        with s:
            s.sendall(b"HEAD / HTTP/1.0\r\n\r\n")
            if not s.recv(1 << 12).startswith(b"HTTP/1.1 200"):
                failed.append("no answer")
    assert len(failed) <= 2, failed
    assert counter(lab, "hq", "syn-cookies-returned") - accepted >= 190
    assert {row["recognises"]: row["action"] for row in show(lab, "hq", "screens")}["tcp-syn-flood-attack"] == "cookie"


def test_nothing_is_kept_for_forged_ones(lab, flood):
    """Below the threshold a few begin each second at most; sessions of answered ones are those of clients."""
    sent = answers(lab)
    before = counter(lab, "hq", "sessions-created")
    begun = time.monotonic()
    time.sleep(1)
    wait_for(lambda: answers(lab) - sent > 300, 10, "answers")
    assert counter(lab, "hq", "sessions-created") - before < 60 * (time.monotonic() - begun)


def test_download_with_options(lab, flood):
    with listener(lab, "web", PORT) as server:
        s = connect(lab, "host-a", WEB, PORT)
        assert isinstance(s, socket.socket), s
        peer, _ = server.accept()
        with s, peer:
            # The client scales by what the gateway announced (TCP_JOIN_SCALE), the server by what the client did.
            assert agreed(s) == (True, 7) and agreed(peer)[0]
            sender = threading.Thread(target=lambda: (peer.sendall(bytes(range(256)) * (SIZE // 256)), peer.shutdown(socket.SHUT_WR)))
            sender.start()
            s.settimeout(20)
            data = b""
            while len(data) < SIZE // 2:
                data += s.recv(1 << 16)
            os.kill(processes(lab, "hq")["dataplane"][0], signal.SIGKILL)
            while more := s.recv(1 << 16):
                data += more
            sender.join()
            s.sendall(b"read")
            assert data == bytes(range(256)) * (SIZE // 256) and peer.recv(9) == b"read"


def test_nobody_listens(lab, flood):
    """The client has been answered; the server's refusal reaches it, perhaps before connect() has returned."""
    wait_for(lambda: counter(lab, "hq", "syn-cookies-sent") > 10, 10, "SYN cookies of the new process")
    s = connect(lab, "host-a", WEB, PORT)
    if isinstance(s, socket.socket):
        with s, pytest.raises(ConnectionResetError):
            s.recv(1)
    else:
        assert isinstance(s, (ConnectionResetError, ConnectionRefusedError)), s
