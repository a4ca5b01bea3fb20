"""`plaingate replay` as a program: rows, what is written, what is wrong with a file, and what tshark reads of it."""
import json
import os
import shutil
import struct
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("PLAINGATE_LAB_BUILD", ROOT / "build"))
CONFIG = """system { host-name gate; }
zones { zone trust { interfaces lan0; } zone untrust { interfaces wan0; } }
policy { from trust to untrust { rule out { match { source any; destination any; application any; } then { permit; } } } }
"""
ROUTES = """default via 203.0.113.1 dev wan0
10.1.0.0/24 dev lan0 proto kernel scope link src 10.1.0.1
203.0.113.0/24 dev wan0 proto kernel scope link src 203.0.113.2
"""


def checksum(octets):
    total = sum(struct.unpack(f">{len(octets) // 2}H", octets))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def ping(src, dst, kind=8):
    icmp = struct.pack(">BBHHH", kind, 0, 0, 7, 1)
    icmp = icmp[:2] + struct.pack(">H", checksum(icmp)) + icmp[4:]
    head = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(icmp), 1, 0, 64, 1, 0, bytes(map(int, src.split("."))), bytes(map(int, dst.split("."))))
    return head[:10] + struct.pack(">H", checksum(head)) + head[12:] + icmp


def syn(src, dst, partial, wrong=0):
    """TCP; partial: its checksum is the sum of the pseudo-header, as a kernel leaves it to the card."""
    tcp = struct.pack(">HHIIBBHHH", 40000, 80, 1, 0, 0x50, 2, 1024, 0, 0)
    ends = bytes(map(int, (src + "." + dst).split(".")))
    pseudo = ends + struct.pack(">BBH", 0, 6, len(tcp))
    field = (checksum(pseudo) ^ 0xffff if partial else checksum(pseudo + tcp)) ^ wrong
    head = struct.pack(">BBHHHBBH8s", 0x45, 0, 20 + len(tcp), 1, 0, 64, 6, 0, ends)
    return head[:10] + struct.pack(">H", checksum(head)) + head[12:] + tcp[:16] + struct.pack(">H", field) + tcp[18:]


def pcap(*packets, link=101):
    return struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 65535, link) + b"".join(
        struct.pack("<IIII", 1000 + i, 0, len(p), len(p)) + p for i, p in enumerate(packets))


@pytest.fixture(name="replay")
def fixture_replay(tmp_path):
    tmp_path.chmod(0o755)
    (tmp_path / "gate.conf").write_text(CONFIG)
    (tmp_path / "routes").write_text(ROUTES)

    def run(*arguments):
        return subprocess.run([BUILD / "src/cli/plaingate", "replay", "--config", "gate.conf", "--routes", "routes", *arguments],
                              capture_output=True, text=True, timeout=60, check=False, cwd=tmp_path)
    run.path = tmp_path
    return run


THREE = (ping("10.1.0.2", "192.0.2.80"), ping("192.0.2.80", "10.1.0.2", 0), ping("192.0.2.81", "10.1.0.2"))


def test_rows_have_verdicts_and_reasons(replay):
    (replay.path / "raw").write_bytes(pcap(*THREE))
    # tagged, not IP, and sent by who captured it
    ether = bytes(12) + b"\x81\x00\x00\x07\x08\x00" + THREE[0]
    (replay.path / "ether").write_bytes(pcap(ether, bytes(12) + b"\x08\x06" + bytes(28), link=1))
    (replay.path / "cooked").write_bytes(pcap(b"\x00\x04" + bytes(12) + b"\x08\x00" + THREE[0], link=113))
    done = replay("--json", "raw", "ether", "cooked")
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)
    assert [(r["capture"], r["frame"], r["verdict"], r.get("drop"), r.get("rule"), r["in_interface"]) for r in rows] == [
        ("raw", 1, "pass", None, "out", "lan0"), ("raw", 2, "pass", None, "out", "wan0"), ("raw", 3, "drop", "default-deny", None, "wan0"),
        ("ether", 1, "pass", None, "out", "lan0")]
    assert rows[2]["reason"] == "no policy rule permits it" and rows[0]["time_us"] == 1000 * 10**6
    said = replay("raw", "ether", "cooked").stdout
    assert "raw:3  192.0.2.81:7 > 10.1.0.2:7  drop default-deny; untrust to trust; in wan0; out lan0 (no policy rule permits it)" in said
    assert said.splitlines()[-1] == ("4 packets: pass 3, drop default-deny 1; not replayed: 1 that are no IP packets, "
                                     "0 of links that are not supported, 1 that were sent by who captured them")
    assert json.loads(replay("--json", "--ingress", "wan0", "raw").stdout)[0]["drop"] == "spoofed"


def test_checksums_that_were_left_to_the_card(replay):
    """As captures on the sender have them, of virtual machines too. A wrong one is wrong."""
    ends = [(f"10.1.0.{i}", "192.0.2.80") for i in (2, 3, 4, 5)]
    (replay.path / "raw").write_bytes(pcap(syn(*ends[0], False), syn(*ends[1], True), syn(*ends[2], False, 1), syn(*ends[3], True, 1)))
    verdicts = [(row["verdict"], row.get("drop")) for row in json.loads(replay("--json", "raw").stdout)]
    assert verdicts == [("pass", None)] * 2 + [("drop", "l4-checksum")] * 2


def test_bad_files_are_told_and_what_was_readable_is_kept(replay):
    (replay.path / "cut").write_bytes(pcap(*THREE)[:-5])
    (replay.path / "none").write_text("no capture")
    (replay.path / "raw").write_bytes(pcap(THREE[0]))
    done = replay("cut", "none", "raw")
    assert done.returncode == 1
    assert "the capture is truncated in frame 3, at octet 112; in the capture 'cut'" in done.stderr
    assert "the file is not a capture: expected pcapng or libpcap's classic format; in the capture 'none'" in done.stderr
    assert done.stdout.splitlines()[-1].startswith("3 packets: ")
    assert "open 'nowhere': No such file" in replay("nowhere").stderr
    assert "no zone has an interface 'dmz0'" in replay("--ingress", "dmz0", "raw").stderr
    (replay.path / "routes").write_text("10.1.0.0/24 dev lan0\nwhat\n")
    assert "line 2 of the routes: destination 'what' found" in replay("raw").stderr


def test_verdicts_are_comments_that_others_read(replay):
    (replay.path / "raw").write_bytes(pcap(*THREE))
    assert replay("-o", "told", "raw").returncode == 0
    assert "File exists" in replay("-o", "told", "raw").stderr
    (replay.path / "told").chmod(0o644)
    again = json.loads(replay("--json", "told").stdout)
    assert [r["verdict"] for r in again] == ["pass", "pass", "drop"] and again[0]["time_us"] == 1000 * 10**6
    if not shutil.which("tshark"):
        pytest.skip("tshark is not installed (tools/install-packages)")
    read = subprocess.run(["tshark", "-r", replay.path / "told", "-T", "fields", "-e", "frame.time_epoch", "-e", "ip.src", "-e", "frame.comment"],
                          capture_output=True, text=True, timeout=60, check=True).stdout.splitlines()
    assert [line.split("\t") for line in read] == [
        ["1000.000000000", "10.1.0.2", "pass; rule out of trust to untrust; session 1; in lan0; out wan0"],
        ["1001.000000000", "192.0.2.80", "pass; rule out of trust to untrust; session 1, reply; in wan0; out lan0"],
        ["1002.000000000", "192.0.2.81", "drop default-deny; untrust to trust; in wan0; out lan0"]]
