"""SCTP between two stacks of usrsctp, through the gateway: an association from inside, with its address translated, and one to inside through
the tunnel; what a stranger forges does not end it. The kernel needs no SCTP."""
import os
import signal
import socket
import struct
import subprocess
import threading
import time

import pytest
from kit import BY_WORKERS, HOST_A, HOST_B, HQ_WAN, WEB, config_of, counter, drops, lab_by_workers, processes, show, wait_for

PROGRAMS = "/usr/lib/usrsctp"
PORT = 7  # of echo_server

pytestmark = pytest.mark.skipif(not os.path.exists(f"{PROGRAMS}/echo_server"), reason="usrsctp's programs are not installed (libusrsctp-examples)")

ECHO = ("applications {\n", "applications { application echo-sctp { protocol sctp; destination-port 7; }\n")
OUT = ("application [ http https dns ping traceroute iperf-tcp iperf-udp ];", "application [ http https dns ping traceroute iperf-tcp iperf-udp echo-sctp ];")
OFFICE = ("application [ http https ssh ping iperf-tcp iperf-udp ];", "application [ http https ssh ping iperf-tcp iperf-udp echo-sctp ];")


@pytest.fixture(**BY_WORKERS)
def lab(request):
    with lab_by_workers("sct", request.param) as two_sites:
        two_sites.commit("hq", config_of("hq", ECHO, OUT, OFFICE), "sctp")
        two_sites.commit("branch", config_of("branch", ECHO, OFFICE), "sctp")
        two_sites.wait_for_tunnel()
        for node in ("web", "host-b"):
            two_sites[node].daemon([f"{PROGRAMS}/echo_server"], two_sites[node].state / "echo.log")
        for node, address in (("web", WEB), ("host-b", HOST_B)):
            wait_for(lambda node=node, address=address: listens(two_sites[node], address), 10, f"the echo server of {node}")
        yield two_sites


def associations(lab):
    return [row for row in show(lab, "hq", "sessions") if row["proto"] == "sctp"]


class Client:
    """Of usrsctp: it sends the lines of its standard input, and prints what it receives."""

    def __init__(self, lab, address, port, to=PORT):
        self.process = lab["host-a"].popen([f"{PROGRAMS}/client", address, str(to), str(port), "0", "0"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                           stderr=subprocess.DEVNULL, text=True)
        self.came = []
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        for line in self.process.stdout:
            line = line.rstrip("\n")
            if " x" in line or line.endswith(" "):
                self.came.append(line)

    def say_all(self, word):
        lines = [f"{word} {i} {'x' * 40 * i}" for i in range(10)]
        for line in lines:
            self.process.stdin.write(line + "\n")
            self.process.stdin.flush()
            time.sleep(0.02)  # each in a message of its own
        return lines

    def end(self, n):
        """What came back, so many lines. It closes the association when its input ends."""
        try:
            wait_for(lambda: len(self.came) >= n, 10, f"{n} lines")
            self.process.stdin.close()
            self.process.wait(60)
        finally:
            self.process.kill()
        self.reader.join(10)
        return self.came


def association(lab, **wanted):
    """The row of the one from this port, once it is as wanted."""
    found = []

    def look():
        found[:] = [row for row in associations(lab) if all(row.get(key) == value for key, value in wanted.items())]
        return found
    wait_for(look, 10, f"an association {wanted}; {associations(lab)}, {drops(lab, 'hq')}")
    return found[0]


def crc32c(data):
    crc = 0xffffffff
    for octet in data:
        crc ^= octet
        for _ in range(8):
            crc = crc >> 1 ^ (0x82f63b78 if crc & 1 else 0)
    return crc ^ 0xffffffff


def packet_of(from_port, to_port, tag, chunk):
    head = struct.pack("!HHI", from_port, to_port, tag)
    return head + struct.pack("<I", crc32c(head + bytes(4) + chunk)) + chunk


def listens(node, address):
    """Whether the server answers an INIT, sent beside it: before it listens its stack answers each with an ABORT."""
    init = struct.pack("!BBHIIHHI", 1, 0, 20, 0x5ca1ab1e, 65536, 1, 1, 1)
    with node.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_SCTP) as s:
        s.settimeout(0.3)
        s.sendto(packet_of(3999, PORT, 0, init), (address, 0))
        try:
            while True:
                answer = s.recv(2048)[20:]  # behind the IPv4 header; our own INIT comes too
                if len(answer) > 12 and answer[:4] == struct.pack("!HH", PORT, 3999):
                    return answer[12] == 2  # INIT ACK
        except socket.timeout:
            return False


def forge(lab, from_port, to_port, tag, chunk):
    """In the server's name, to the client's address outside."""
    packet = packet_of(from_port, to_port, tag, chunk)
    with lab["web"].socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_SCTP) as s:
        s.sendto(packet, (HQ_WAN, 0))


def test_through_source_nat(lab):
    """From several ports, and so at several workers; one at a time: each stack sees all packets of the host, and answers those of others by an ABORT."""
    for port in range(4000, 4004):
        client = Client(lab, WEB, port)
        lines = client.say_all("nat")
        row = association(lab, src=f"{HOST_A}:{port}", state="established")
        assert row["nat_src"] == f"{HQ_WAN}:{port}" and int(row["packets_reply"]) > 2
        assert client.end(len(lines)) == lines
        association(lab, src=f"{HOST_A}:{port}", state="shutdown-complete")


def test_through_the_tunnel(lab):
    client = Client(lab, HOST_B, 4100)
    lines = client.say_all("tunnel")
    row = association(lab, src=f"{HOST_A}:4100", state="established")
    assert row["to"] == "vpn" and "nat_src" not in row
    assert client.end(len(lines)) == lines


def test_a_stranger_ends_nothing(lab):
    client = Client(lab, WEB, 4200)
    first = client.say_all("before")
    association(lab, src=f"{HOST_A}:4200", state="established")
    before = counter(lab, "hq", "sctp-state")
    for tag in range(1, 9):
        forge(lab, PORT, 4200, tag, struct.pack("!BBH", 6, tag & 1, 4))  # ABORT, with and without the T bit
        forge(lab, PORT, 4200, tag, struct.pack("!BBHI", 7, 0, 8, 0))  # SHUTDOWN
        forge(lab, PORT, 4200, tag, struct.pack("!BBH", 14, tag & 1, 4))  # SHUTDOWN COMPLETE
    wait_for(lambda: counter(lab, "hq", "sctp-state") >= before + 24, 5, "the forged packets to be dropped")
    association(lab, src=f"{HOST_A}:4200", state="established")
    second = client.say_all("after")
    assert client.end(len(first + second)) == first + second


def test_it_outlives_the_data_plane(lab):
    client = Client(lab, WEB, 4300)
    first = client.say_all("before")
    association(lab, src=f"{HOST_A}:4300", state="established")
    os.kill(processes(lab, "hq")["dataplane"][0], signal.SIGKILL)
    second = client.say_all("after")
    assert client.end(len(first + second)) == first + second
    association(lab, src=f"{HOST_A}:4300", state="shutdown-complete")


def test_what_no_rule_permits(lab):
    before = counter(lab, "hq", "policy-deny")
    client = Client(lab, WEB, 4400, to=9)
    wait_for(lambda: counter(lab, "hq", "policy-deny") > before, 10, f"a denied INIT; {drops(lab, 'hq')}")
    assert not [row for row in associations(lab) if row["src"] == f"{HOST_A}:4400"]
    client.process.kill()
    client.process.wait(10)
