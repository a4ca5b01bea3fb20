"""The lab and the tests' own instruments, with the kernel forwarding in place of the gateways: what the instruments have to detect must be
detected here; otherwise their detecting nothing there would prove nothing."""
import os
import socket
import struct

import pytest
from kit import (HOST_A, HOST_B, HOST_B6, LAN_FILTER, WEB, Capture, LabError, TcpStream, UdpStream, host_pid, memory_holds, own_lab,
                 wait_for)


@pytest.fixture(scope="module")
def kernel_lab():
    two_sites = own_lab("pgk")
    two_sites.up("on", "kernel")
    try:
        yield two_sites
    finally:
        two_sites.down()


@pytest.mark.parametrize("address, page", [(HOST_B, "host-b"), (WEB, "web"), (f"[{HOST_B6}]", "host-b")])
def test_pages(kernel_lab, address, page):
    assert f"served by {page}" in kernel_lab["host-a"].run(["curl", "-sS", "-g", "--max-time", "5", f"http://{address}/"]).stdout


def test_capture_sees_clear_text(kernel_lab):
    with Capture(kernel_lab, "internet", "hq0") as seen:
        kernel_lab["host-a"].run(f"curl -sS --max-time 5 http://{HOST_B}/")
    assert seen.count(LAN_FILTER) > 0 and seen.holds(b"served by host-b") and seen.lost == 0


def test_streams_count(kernel_lab):
    with UdpStream(kernel_lab, "host-a", "host-b", HOST_B) as udp, TcpStream(kernel_lab, "host-a", "host-b", HOST_B) as tcp:
        udp.wait_flowing()
        tcp.wait_flowing()
    assert not udp.lost() and not udp.twice() and udp.longest_silence() < 0.5 and not tcp.failure


def test_streams_see_loss(kernel_lab):
    with UdpStream(kernel_lab, "host-a", "host-b", HOST_B) as udp:
        udp.wait_flowing()
        kernel_lab["hq"].sysctl({"net.ipv4.ip_forward": 0})
        with pytest.raises(LabError):
            udp.wait_flowing(timeout=0.4)
        kernel_lab["hq"].sysctl({"net.ipv4.ip_forward": 1})
        udp.wait_flowing()
    assert len(udp.lost()) > 50 and udp.longest_silence() > 0.03  # by a clock that is slower on a loaded machine


def test_sockets_stand_in_their_node(kernel_lab):
    with kernel_lab["host-a"].socket(socket.AF_INET, socket.SOCK_STREAM) as s:
        s.settimeout(5)
        s.connect((HOST_B, 80))
        assert s.getsockname()[0] == HOST_A


def test_capture_parses_esp(kernel_lab):
    sent = [(0x11223344, n, struct.pack("!II", 0x11223344, n) + bytes(40)) for n in (1, 2, 2)]
    with Capture(kernel_lab, "internet", "hq0") as seen, kernel_lab["hq"].socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind(("198.51.100.2", 4500))
        for _, _, packet in sent:
            s.sendto(packet, ("203.0.113.2", 4500))
        s.sendto(bytes(4) + b"an IKE message" * 4, ("203.0.113.2", 4500))
    assert list(seen.esp()) == sent


def test_memory_search_finds(kernel_lab):
    secret = os.urandom(32)
    process = kernel_lab["hq"].popen(["env", f"SECRET={secret.hex()}", "sleep", "30"])
    try:
        pid = process.inner_pid()
        wait_for(lambda: b"sleep" in open(f"/proc/{pid}/cmdline", "rb").read().split(b"\0")[0], 5, "the command itself", pause=0.01)
        numbers = next(line for line in open(f"/proc/{pid}/status") if line.startswith("NSpid:")).split()
        assert host_pid(kernel_lab["hq"], int(numbers[-1])) == pid
        assert memory_holds(pid, {"it": secret.hex().encode(), "else": os.urandom(32)}) == {"it"}
    finally:
        process.kill()
        process.wait(5)


def test_exec_is_on_the_machine(kernel_lab):
    assert kernel_lab["branch"].run("hostname").stdout == "branch\n"
    assert len(kernel_lab["branch"].run("ps ax").stdout.splitlines()) < 6, "only its own processes are seen"
