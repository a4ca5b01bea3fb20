"""`plaingate capture`: what tshark reads of it, where it is entered, and that nothing is captured before the entry."""
import shutil
import signal
import subprocess

import pytest
from kit import HOST_A, HOST_B, WEB, connect, counter, ledger_entries, wait_for


def read(file):
    if not shutil.which("tshark"):
        pytest.skip("tshark is not installed (tools/install-packages)")
    said = subprocess.run(["tshark", "-r", file, "-T", "fields", "-e", "frame.interface_name", "-e", "ip.src", "-e", "ip.dst", "-e", "frame.comment"],
                          capture_output=True, text=True, timeout=60, check=True).stdout
    return [line.split("\t") for line in said.splitlines()]


def begun(lab, arguments, file):
    capture = lab["hq"].popen(f"plaingate capture -o {file} {arguments}", stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    wait_for(lambda: counter(lab, "hq", "captures-now") or capture.poll() is not None, 10, "the capture to begin")
    return capture


def test_verdicts_in_a_file_that_others_read(lab, tmp_path):
    file = tmp_path / "told.pcapng"
    capture = begun(lab, f"--dst {WEB} --dport 25 --or --proto icmp --dst {WEB}", file)
    connect(lab, "host-a", WEB, 25, timeout=1)
    lab["host-a"].run(f"ping -c 1 -W 2 {WEB}", check=False)
    wait_for(lambda: b"drop policy-deny" in file.read_bytes() and file.read_bytes().count(b"pass; ") >= 2, 10, "the packets in the file")
    capture.send_signal(signal.SIGINT)
    said, wrong = capture.communicate(timeout=30)
    assert capture.returncode == 0 and "packets captured, 0 lost" in said, (said, wrong)
    packets = read(file)
    assert any(p[0] == "lan0" and p[1] == HOST_A and p[3].startswith("drop policy-deny; rule rest of trust to untrust") for p in packets), packets
    assert any(p[0] == "wan0" and p[1] != HOST_A and p[3].startswith("pass; ") for p in packets), packets


def test_inside_a_tunnel_and_in_a_ring_of_files(lab, tmp_path):
    file = tmp_path / "inside.pcapng"
    capture = begun(lab, f"--stage decrypted --proto icmp --src {HOST_A} --count 6 --files 2 --file-size 400", file)
    lab["host-a"].run(f"ping -c 6 -i 0.2 -W 2 {HOST_B}")
    said, wrong = capture.communicate(timeout=30)
    assert said.startswith("6 packets captured"), (said, wrong)
    assert sorted(f.name for f in tmp_path.iterdir()) == ["inside.pcapng", "inside.pcapng.1"]
    packets = read(file)
    assert packets and all(p[0].startswith("tunnel:") and p[1:3] == [HOST_A, HOST_B] for p in packets), packets
    entries = [e["body"] for e in ledger_entries(lab, "hq") if e["type"] == "admin_act" and e["body"]["act"] == "capture"]
    assert entries[-1]["detail"] == f"decrypted: --src {HOST_A}/32 --proto 1", entries
    assert "exists" in lab["hq"].run(f"plaingate capture -o {file}", check=False).stderr
