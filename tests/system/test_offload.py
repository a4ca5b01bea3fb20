"""Sessions carried by the kernel: the programs as the supervisor loads, attaches, replaces and removes them; what they forward, and that
they stop when the data plane does."""
import hashlib
import os
import re
import signal
import struct

import pytest
from kit import WEB, LabError, UdpStream, config_of, counter, falls_silent, ledger_entries, own_lab, processes, show, wait_for


@pytest.fixture(scope="module")
def lab():
    two_sites = own_lab("ofl")
    two_sites.up("on")
    # What kernels before 6.7 allow by default; they have one number for all namespaces, which cannot be set here.
    two_sites["hq"].run("sysctl -w net.core.optmem_max=20480", check=False)
    try:
        yield two_sites
    finally:
        two_sites.down()


def status(lab):
    return next(row for row in show(lab, "hq", "status") if row["process"] == "offload")


def ready(lab):
    wait_for(lambda: status(lab)["state"] == "ready", 15, "the programs to be loaded")


def programs(lab, interface):
    """Numbers of the kernel for our programs at this ingress."""
    return re.findall(r"handle 0x5047 carry:\[(\d+)\]", lab["hq"].run(f"tc filter show dev {interface} ingress").stdout)


def is_carried(lab):
    try:
        rows = show(lab, "hq", "sessions")
    except LabError:  # a data plane that has just started
        return []
    return [row for row in rows if row.get("carried") and row["proto"] == "udp"]


def forwarded(stream):
    """Datagrams that reached the server."""
    return len(stream.arrived)


def test_loaded_after_the_ledger_has_its_digest(lab):
    ready(lab)
    digest = hashlib.sha256((lab.state / "bin/carry.bpf.o").read_bytes()).hexdigest()
    assert status(lab)["sha256"] == digest
    entered = [entry for entry in ledger_entries(lab, "hq") if entry["type"] == "kernel_program"]
    assert entered and entered[0]["body"] == {"file": "carry.bpf.o", "sha256": digest}, entered
    assert len(programs(lab, "lan0")) == len(programs(lab, "wan0")) == 1


def test_a_download_is_carried(lab):
    ready(lab)
    want = (lab["web"].state / "www/1m.bin").read_bytes() * 12
    before = counter(lab, "hq", "carried-packets")
    urls = " ".join([f"http://{WEB}/1m.bin"] * 12)
    got = lab["host-a"].state / "got"
    lab["host-a"].run(["sh", "-c", f"curl -sf --limit-rate 6M {urls} >{got}"], timeout=30)
    assert got.read_bytes() == want
    wait_for(lambda: counter(lab, "hq", "carried-packets") > before + 1000, 5, "most of it to be carried")


def test_nothing_two_seconds_after_the_data_plane(lab):
    """It is suspended, so that no other one is started. Afterwards the session goes on, and is carried again."""
    ready(lab)
    with UdpStream(lab, "host-a", "web", WEB) as udp:
        wait_for(lambda: is_carried(lab), 10, "the session to be carried")
        pid = processes(lab, "hq")["dataplane"][0]
        os.kill(pid, signal.SIGSTOP)
        try:
            at = forwarded(udp)
            wait_for(lambda: forwarded(udp) > at + 50, 5, "the kernel to carry while its worker's last beat is young", pause=0.01)
            falls_silent(lambda: forwarded(udp), seconds=1)
        finally:
            os.kill(pid, signal.SIGCONT)
        udp.wait_flowing()
        wait_for(lambda: is_carried(lab), 10, "the session to be carried again")


def test_a_dead_data_plane_and_the_next_one(lab):
    ready(lab)
    with UdpStream(lab, "host-a", "web", WEB) as udp:
        wait_for(lambda: is_carried(lab), 10, "the session to be carried")
        os.kill(processes(lab, "hq")["dataplane"][0], signal.SIGKILL)
        udp.wait_flowing()
        wait_for(lambda: is_carried(lab), 10, "the session to be carried by the next one's records")
    assert "attach the " not in (lab["hq"].state / "plaingated.log").read_text(encoding="utf-8")


def test_several_workers(lab):
    """Their sockets of a link are a group, each with the tap. Another number ends all sessions, and opens other sockets."""
    ready(lab)
    text = config_of("hq")
    lab.commit("hq", text.replace("host-name hq;", "host-name hq;\n    workers 2;", 1), "two workers")
    try:
        streams = [UdpStream(lab, "host-a", "web", WEB, port=5201 + i, rate=200) for i in range(6)]
        for udp in streams:
            udp.__enter__()
        wait_for(lambda: len(is_carried(lab)) == 6, 15, "all sessions to be carried")
        at = counter(lab, "hq", "carried-packets")
        wait_for(lambda: counter(lab, "hq", "carried-packets") > at + 500, 10, "their packets to be counted")
        for udp in streams:
            udp.wait_flowing()
            udp.stop()
        assert not any(udp.twice() for udp in streams)
    finally:
        lab.commit("hq", text, "one worker")


def test_off_and_on(lab):
    ready(lab)
    text = config_of("hq")
    with UdpStream(lab, "host-a", "web", WEB) as udp:
        wait_for(lambda: is_carried(lab), 10, "the session to be carried")
        lab.commit("hq", text.replace("host-name hq;", "host-name hq;\n    offload off;", 1), "off")
        wait_for(lambda: not is_carried(lab), 5, "the session to be the data plane's")
        assert status(lab)["state"] == "off" and not programs(lab, "lan0") and not programs(lab, "wan0")
        carried = counter(lab, "hq", "carried-packets")
        udp.wait_flowing()
        assert counter(lab, "hq", "carried-packets") == carried
        lab.commit("hq", text, "on")
        wait_for(lambda: is_carried(lab), 10, "the session to be carried")
        udp.wait_flowing()
    assert not udp.lost()


def test_a_killed_supervisor_leaves_nothing_that_forwards(lab):
    ready(lab)
    (old,) = programs(lab, "lan0")
    with UdpStream(lab, "host-a", "web", WEB) as udp:
        wait_for(lambda: is_carried(lab), 10, "the session to be carried")
        daemon = lab.daemons["hq"]
        os.kill(processes(lab, "hq")["supervisor"][0], signal.SIGKILL)
        daemon.wait(10)
        falls_silent(lambda: forwarded(udp))  # its children end with it, and without a packet socket nothing is taken
        assert programs(lab, "lan0") == [old]
        lab.start_gateway("hq")
        udp.wait_flowing()
        ready(lab)
        wait_for(lambda: is_carried(lab), 10, "the session to be carried")
    (new,) = programs(lab, "lan0")
    assert new != old


def other_version(octets):
    """The object with half as many records: the number of elements of an array of BTF (kind 3), as libbpf reads `max_entries`."""
    array = re.compile(rb"(\0{4}\0\0\0\x03\0{4}.{8})" + re.escape(struct.pack("<I", 65536)), re.DOTALL)
    found, n = array.subn(rb"\g<1>" + struct.pack("<I", 32768), octets)
    assert n == 1
    return found


def other_layout(octets):
    """The object of another layout.h, with structures of the same sizes: the digest of its text is another one."""
    found, n = re.subn(rb"(?<![0-9a-f])[0-9a-f]{32}\0", b"0" * 32 + b"\0", octets)
    assert n == 1
    return found


@pytest.mark.parametrize("change, reason", [(lambda octets: octets[:1000], "open carry.bpf.o"),
                                            (other_version, "carry.bpf.o, which is not of this version"),
                                            (other_layout, "carry.bpf.o, which is not of this version")],
                         ids=["damaged", "of another version", "of another layout"])
def test_without_the_programs(lab, change, reason):
    """As where the kernel does not take them: everything works, and the reason is told. The orderly end leaves no program."""
    lab.daemons["hq"].terminate()
    lab.daemons["hq"].wait(10)
    assert not programs(lab, "lan0") and not programs(lab, "wan0")
    file = lab.state / "bin/carry.bpf.o"
    octets = file.read_bytes()
    file.write_bytes(change(octets))
    try:
        lab.start_gateway("hq")
        with UdpStream(lab, "host-a", "web", WEB) as udp:
            udp.wait_flowing()
            wait_for(lambda: status(lab)["state"] == "not available", 10, "the object to be refused")
            assert reason in status(lab)["reason"]
            assert not is_carried(lab)
    finally:
        file.write_bytes(octets)
