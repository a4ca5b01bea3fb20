"""Sessions that the kernel carries, as their hosts see them: whatever changes, every packet is decided by what is true now."""
import os
import re
import signal
import socket
import struct

import pytest
from kit import (BY_WORKERS, WEB, Capture, LabError, TcpStream, UdpStream, config_of, counter, falls_silent, lab_by_workers, own_mac,
                 processes, send_frames, show, wait_for)

MARK = b"a stranger's segment"


@pytest.fixture(**BY_WORKERS)
def lab(request):
    with lab_by_workers("crd", request.param) as two_sites:
        offload = next(row for row in show(two_sites, "hq", "status") if row["process"] == "offload")
        if offload["state"] == "not available":
            pytest.skip(f"the kernel carries nothing here: {offload.get('reason')}")
        yield two_sites


def sessions(lab, proto):
    return show(lab, "hq", "sessions", "--proto", proto, "--dst", WEB)


def carried(lab, proto):
    return [row for row in sessions(lab, proto) if row.get("carried")]


def wait_carried(lab, proto):
    wait_for(lambda: carried(lab, proto), 10, f"the {proto} session to be carried")
    return carried(lab, proto)[0]


def packets_carried(lab):
    """More are carried now than there were."""
    before = counter(lab, "hq", "carried-packets")
    wait_for(lambda: counter(lab, "hq", "carried-packets") > before + 20, 5, "packets that the kernel carries")


def is_back(lab, restarts):
    try:
        row = next(row for row in show(lab, "hq", "status") if row["process"] == "dataplane")
        return row["state"] == "ready" and int(row["restarts"]) > restarts and show(lab, "hq", "counters")
    except LabError:
        return False


def test_a_connection_outlives_the_data_plane(lab):
    """Its numbers have gone on without the session table; the next process finds them. Every octet is compared."""
    with TcpStream(lab, "host-a", "web", WEB) as tcp:
        for _ in range(2):
            row = wait_carried(lab, "tcp")
            assert row["nat_src"].startswith("198.51.100.2:")
            packets_carried(lab)
            pid, restarts = processes(lab, "hq")["dataplane"]
            os.kill(pid, signal.SIGKILL)
            wait_for(lambda n=restarts: is_back(lab, n), 15, "a new data plane")
            tcp.wait_flowing()
        wait_carried(lab, "tcp")
        packets_carried(lab)
        row = sessions(lab, "tcp")[0]
        assert int(row["packets_forward"]) > tcp.blocks and int(row["bytes"]) > 2 * 4096 * tcp.blocks
    wait_for(lambda: not carried(lab, "tcp"), 5, "the end of the connection to take the session back")
    assert not tcp.failure, tcp.failure


def ended_at(lab):
    return [row for row in sessions(lab, "tcp") if row["dst"].endswith(":5203")]


def test_short_connections(lab):
    """Of each the data plane sees the SYN; the answer, the octet and the end, by reset or by FINs, pass in the kernel and close the session."""
    count = 20
    with lab["web"].socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
        listener.bind(("0.0.0.0", 5203))
        listener.listen()
        listener.settimeout(10)
        for n in range(count + 1):
            if n == 1:  # the neighbours are known
                before = counter(lab, "hq", "carried-packets")
            with lab["host-a"].socket(socket.AF_INET, socket.SOCK_STREAM) as client:
                client.settimeout(10)
                if n % 2:
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                client.connect((WEB, 5203))
                server, _ = listener.accept()
                server.sendall(b"x")
                assert client.recv(1) == b"x"
            server.close()  # after the client's reset or FIN
    wait_for(lambda: counter(lab, "hq", "carried-packets") >= before + 4 * count, 5, "all packets but the first of each to be carried")
    wait_for(lambda: all(row["state"] in ("closed", "time-wait") for row in ended_at(lab)), 5, "the end of all")
    ended = ended_at(lab)
    assert len(ended) >= count and {row["state"] for row in ended} == {"closed", "time-wait"}
    wait_for(lambda: not any(row.get("carried") for row in ended_at(lab)), 5, "their records to be given back")


def test_a_commit_that_denies(lab):
    with UdpStream(lab, "host-a", "web", WEB) as udp:
        wait_carried(lab, "udp")
        lab.commit("hq", config_of("hq", ("traceroute iperf-tcp iperf-udp ]", "traceroute iperf-tcp ]")), "no more UDP")
        falls_silent(lambda: len(udp.arrived))
        assert not sessions(lab, "udp")
        lab.commit("hq", config_of("hq"), "as it was")
        udp.wait_flowing()
        wait_carried(lab, "udp")


def test_a_trace_sees_it(lab):
    with UdpStream(lab, "host-a", "web", WEB) as udp:
        wait_carried(lab, "udp")
        seen = lab["hq"].run(["plaingate", "trace", "--proto", "udp", "--dst", WEB, "--count", "3"], timeout=60).stdout
        assert len(re.findall("ingress", seen)) == 3 and "egress" in seen, seen
        udp.wait_flowing()
        wait_carried(lab, "udp")
        assert not udp.twice()
    assert not udp.lost()


def test_routes_and_neighbours(lab):
    hq, internet = lab["hq"], lab["internet"]
    before = own_mac(lab, "internet", "hq0")
    with UdpStream(lab, "host-a", "web", WEB) as udp:
        wait_carried(lab, "udp")
        hq.run(f"ip route add blackhole {WEB}/32")
        falls_silent(lambda: len(udp.arrived))  # it has no route
        hq.run(f"ip route del blackhole {WEB}/32")
        udp.wait_flowing()
        wait_carried(lab, "udp")
        internet.run("sysctl -qw net.ipv4.conf.hq0.arp_notify=1")
        internet.run("ip link set hq0 address 02:00:00:00:77:01")
        try:
            udp.wait_flowing()
            wait_carried(lab, "udp")
            packets_carried(lab)
        finally:
            internet.run(f"ip link set hq0 address {before}")
        udp.wait_flowing()
        wait_carried(lab, "udp")


def forged(lab, row, **fields):
    """A segment of the carried connection in host-a's name, with numbers that nobody expects. A reset may by chance lie in the window, and is let
    through for the host to challenge (RFC 5961): it has another mark."""
    from scapy.all import IP, TCP, Ether, Raw
    address, port = row["src"].rsplit(":", 1)
    return (Ether(src=own_mac(lab, "host-a"), dst=own_mac(lab, "hq", "lan0")) / IP(src=address, dst=WEB) /
            TCP(sport=int(port), dport=5202, window=1000, **fields) / Raw(b"a reset" if "R" in fields["flags"] else MARK))


def test_forged_segments(lab):
    with TcpStream(lab, "host-a", "web", WEB) as tcp, Capture(lab, "web", "eth0", "tcp port 5202") as capture:
        row = wait_carried(lab, "tcp")
        refused = counter(lab, "hq", "tcp-state")
        numbers = [0x10000000 * k for k in range(16)]
        send_frames(lab, "host-a", [forged(lab, row, flags=flags, seq=seq, ack=seq) for seq in numbers for flags in ("A", "PA", "RA", "FA")])
        tcp.wait_flowing()
        wait_for(lambda: counter(lab, "hq", "tcp-state") >= refused + 48, 5, "the data plane to refuse them")
        wait_carried(lab, "tcp")
    assert not capture.holds(MARK)
    assert not tcp.failure, tcp.failure


def datagram(lab, row, link, mark=MARK, **ip):
    """One of the carried session, in host-a's name."""
    from scapy.all import IP, UDP, Raw
    address, port = row["src"].rsplit(":", 1)
    return link / IP(src=address, dst=WEB, **ip) / UDP(sport=int(port), dport=5201) / Raw(mark)


def test_odd_datagrams(lab):
    """None of these is forwarded, though all have the session's addresses and ports."""
    from scapy.all import Dot1Q, Ether
    ours = Ether(src=own_mac(lab, "host-a"), dst=own_mac(lab, "hq", "lan0"))
    to = [Ether(src=ours.src, dst=dst) for dst in ("ff:ff:ff:ff:ff:ff", "02:00:00:00:99:99", "01:00:5e:00:00:01")]
    links = [ours / Dot1Q(vlan=5), ours / Dot1Q(vlan=5) / Dot1Q(vlan=6), *to]
    headers = [{"ttl": 1}, {"chksum": 0x1234}, {"flags": "MF"}, {"frag": 8}, {"version": 5}, {"ihl": 4}, {"len": 300}]
    outside = Ether(src=own_mac(lab, "internet", "hq0"), dst=own_mac(lab, "hq", "wan0"))
    with UdpStream(lab, "host-a", "web", WEB) as udp, Capture(lab, "web", "eth0", "udp port 5201") as capture:
        row = wait_carried(lab, "udp")
        send_frames(lab, "host-a", [datagram(lab, row, link) for link in links] * 2)
        send_frames(lab, "host-a", [datagram(lab, row, ours, **fields) for fields in headers] * 2)
        send_frames(lab, "internet", [datagram(lab, row, outside)] * 2, interface="hq0")
        send_frames(lab, "host-a", [datagram(lab, row, ours, mark=b"an ordinary one ")])
        udp.wait_flowing()
        packets_carried(lab)
    assert capture.holds(b"an ordinary one ")
    assert not capture.holds(MARK)
