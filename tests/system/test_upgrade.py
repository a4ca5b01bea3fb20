"""A package is upgraded while the gateway runs: other executables are at their paths, with another message table. What runs continues with
what was measured at its start, including restarted processes; a program of the other version is refused with the reason."""
import hashlib
import os
import re
import shutil
import signal
from pathlib import Path

import pytest
from kit import HOST_B, PROCESSES, LabError, UdpStream, ledger_entries, processes, show, verify_ledger, wait_for

PROGRAM = "plaingate"
SERVICES = ("plaingated", *(f"plaingate-{name}" for name in PROCESSES))


def of_another_version(lab, name):
    """As from a build whose message table has one more row."""
    text = (lab.build / "src/ipc/ipc_table.h").read_text(encoding="ascii")
    ours = int(re.search(r"0x([0-9a-f]{16})ull", text).group(1), 16).to_bytes(8, "little")
    data = (lab.state / "before" / name).read_bytes()
    assert ours in data, f"the digest of the message table is not in {name}"
    return data.replace(ours, bytes(b ^ 0xff for b in ours))


def install(lab, name, data):
    """As dpkg does it."""
    new = lab.state / "bin" / f"{name}.dpkg-new"
    new.write_bytes(data)
    new.chmod(0o755)
    new.rename(lab.state / "bin" / name)


def write_in_place(lab, name, data):
    """As somebody in a hurry does it."""
    (lab.state / "bin" / name).write_bytes(data)


@pytest.fixture()
def lab_before(lab):
    """Restores after the test what is installed and what runs."""
    shutil.copytree(lab.state / "bin", lab.state / "before")
    shutil.copytree(lab.state / "share", lab.state / "share-before")
    yield lab
    for name in (PROGRAM, *SERVICES):
        install(lab, name, (lab.state / "before" / name).read_bytes())
    shutil.copy2(lab.state / "share-before/known-answers.json", lab.state / "share/known-answers.json")
    shutil.rmtree(lab.state / "before")
    shutil.rmtree(lab.state / "share-before")
    stop(lab)
    lab.start_gateway("hq")
    lab.wait_for_tunnel()


def stop(lab):
    lab.daemons["hq"].terminate()
    lab["hq"].run(["sh", "-c", "kill $(cat /run/plaingate/plaingated.pid)"], check=False)
    lab.daemons["hq"].wait(20)


def row_of(lab, process):
    return next(row for row in show(lab, "hq", "status") if row["process"] == process)


def restart(lab, name):
    pid, restarts = processes(lab, "hq")[name]
    os.kill(pid, signal.SIGKILL)

    def back():
        try:
            row = row_of(lab, name)
        except LabError:  # control itself was killed
            return False
        return row["state"] == "ready" and int(row["restarts"]) > restarts
    wait_for(back, 15, f"{name} to be back")


@pytest.mark.parametrize("how", [install, write_in_place])
def test_restarted_processes_are_what_was_measured(lab_before, how):
    lab = lab_before
    sums = {row["process"]: row["sha256"] for row in show(lab, "hq", "status")}
    entries = len(ledger_entries(lab, "hq"))
    for name in SERVICES if how == install else SERVICES[1:]:  # plaingated runs as the file that it is, and cannot be written to
        how(lab, name, of_another_version(lab, name))
    answers = lab.state / "share/known-answers.json"
    answers.write_text(answers.read_text(encoding="utf-8").replace("sha-256", "sha-257"), encoding="utf-8")
    with UdpStream(lab, "host-a", "host-b", HOST_B, rate=200) as stream:
        stream.wait_flowing()
        for name in PROCESSES:
            restart(lab, name)
            stream.wait_flowing()
    assert len(stream.lost()) <= 5, f"{len(stream.lost())} of {len(stream.sent)} lost"  # packets that were in the data plane
    for name, (pid, _) in processes(lab, "hq").items():
        assert row_of(lab, name)["sha256"] == sums[name]
        assert hashlib.sha256(Path(f"/proc/{pid}/exe").read_bytes()).hexdigest() == sums[name], name
    since = ledger_entries(lab, "hq")[entries:]
    starts = [entry["body"] for entry in since if entry["type"] == "process_start"]
    assert {start["process"] for start in starts} == set(PROCESSES)
    assert all(start["sha256"] == sums[start["process"]] for start in starts)
    known = {entry["body"]["sha256"] for entry in since if entry["type"] == "known_answers"}
    assert known == {hashlib.sha256((lab.state / "share-before/known-answers.json").read_bytes()).hexdigest()}
    lab["hq"].run("plaingate ike rekey branch")  # keeper and ike understand each other
    lab.wait_for_tunnel()


def test_a_restart_takes_what_is_installed(lab_before):
    lab = lab_before
    for name in (PROGRAM, *SERVICES):
        install(lab, name, of_another_version(lab, name))
    stop(lab)
    lab.start_gateway("hq")
    lab.wait_for_tunnel(gateways=("hq",))  # branch continues with what it measured, and the program here is of another version
    for process in PROCESSES:
        assert row_of(lab, process)["sha256"] == hashlib.sha256(of_another_version(lab, f"plaingate-{process}")).hexdigest()
    verify_ledger(lab, "hq")


def test_a_program_of_another_version_is_told_so(lab_before):
    lab = lab_before
    file = lab["hq"].state / "etc/another"
    file.write_bytes(of_another_version(lab, PROGRAM))
    file.chmod(0o755)
    try:
        for command in (["show", "status"], ["commit", "/etc/plaingate/hq.conf"], ["clear", "sessions"]):
            done = lab["hq"].run(["/etc/plaingate/another", *command], check=False)
            assert done.returncode == 1 and "control is of another version" in done.stderr and "restart plaingated" in done.stderr, done.stderr
    finally:
        file.unlink()
    wait_for(lambda: "client (uid 0): cli is of another version" in lab.log_end("hq"), 5, "the other side's word of it")
    assert show(lab, "hq", "status")


@pytest.mark.parametrize("process", ["dataplane", "keeper"])
def test_two_versions_do_not_start_together(lab_before, process):
    """A half-installed package. Nothing that does not understand the supervisor runs, and both sides say why."""
    lab, name = lab_before, f"plaingate-{process}"
    stop(lab)
    install(lab, name, of_another_version(lab, name))
    log = lab["hq"].state / "plaingated.log"
    said = len(log.read_text(errors="replace"))
    lab.start_gateway("hq")
    wait_for(lambda: f"{process} error: supervisor is of another version" in log.read_text(errors="replace")[said:] and
             f"{process} is of another version" in log.read_text(errors="replace")[said:], 10, "both sides' words of it")
    assert row_of(lab, process)["state"] != "ready"
