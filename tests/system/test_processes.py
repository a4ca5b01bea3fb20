"""The running processes are confined as designed, according to the kernel and not to the processes themselves."""
import ctypes
import hashlib
import os
import pwd
import re
import socket
from pathlib import Path

import pytest
from kit import PROCESSES, processes, show

CONFINED = [name for name in PROCESSES if name != "ssh"]  # which stays root of a place of its own: test_ssh.py
APART = ("mnt", "net", "ipc", "uts", "cgroup")
SYS_PIDFD_OPEN, SYS_PIDFD_GETFD = 434, 438
FAMILIES = {  # of sockets that each may hold; links between processes are AF_UNIX
    "keeper": {socket.AF_UNIX},
    "ledger": {socket.AF_UNIX},
    "control": {socket.AF_UNIX},
    "entropy": {socket.AF_UNIX},
    "export": {socket.AF_UNIX},
    "resolver": {socket.AF_UNIX},
    "certifier-openssl": {socket.AF_UNIX},
    "certifier-gnutls": {socket.AF_UNIX},
    "courier": {socket.AF_UNIX},  # of the network: only while a witness is asked (test_courier.py)
    "ike": {socket.AF_UNIX, socket.AF_INET, socket.AF_INET6},
    "dataplane": {socket.AF_UNIX, socket.AF_INET, socket.AF_INET6, socket.AF_PACKET, socket.AF_NETLINK},
}
libc = ctypes.CDLL(None, use_errno=True)


def status(pid, task=None):
    file = f"/proc/{pid}/task/{task}/status" if task else f"/proc/{pid}/status"
    return dict(re.findall(r"^(\w+):[ \t]*(.*)$", Path(file).read_text(), re.M))


def files(pid):
    """{descriptor: the kernel's name for it}"""
    found = {}
    for fd in os.listdir(f"/proc/{pid}/fd"):
        try:
            found[int(fd)] = os.readlink(f"/proc/{pid}/fd/{fd}")
        except FileNotFoundError:  # closed meanwhile
            continue
    return found


def sockets(pid):
    """A copy of each socket of the process, to query its type."""
    pidfd = libc.syscall(SYS_PIDFD_OPEN, pid, 0)
    assert pidfd >= 0
    try:
        for fd, name in files(pid).items():
            if name.startswith("socket:"):
                copy = libc.syscall(SYS_PIDFD_GETFD, pidfd, fd, 0)
                assert copy >= 0, os.strerror(ctypes.get_errno())
                with socket.socket(fileno=copy) as s:
                    yield s
    finally:
        os.close(pidfd)


@pytest.mark.parametrize("name", CONFINED)
def test_confined(lab, name):
    pid = processes(lab, "hq")[name][0]
    user = pwd.getpwnam(f"plaingate-{name}")
    for task in os.listdir(f"/proc/{pid}/task"):
        said = status(pid, task)
        assert set(said["Uid"].split()) == {str(user.pw_uid)} and set(said["Gid"].split()) == {str(user.pw_gid)}, said["Uid"]
        assert said.get("Groups", "").split() in ([], [str(user.pw_gid)])
        for kind in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
            assert int(said[kind], 16) == 0, f"{kind} of task {task} is {said[kind]}"
        assert said["NoNewPrivs"] == "1" and said["Seccomp"] == "2", said


@pytest.mark.parametrize("name", CONFINED)
def test_apart(lab, name):
    node, pid = lab["hq"], processes(lab, "hq")[name][0]
    for ns in APART:
        assert os.stat(f"/proc/{pid}/ns/{ns}").st_ino != os.stat(f"/proc/{node.holder()}/ns/{ns}").st_ino, f"{name} shares {ns}"
    assert os.listdir(f"/proc/{pid}/root") == [], "its root directory is not empty"
    assert os.path.samefile(f"/proc/{pid}/root", f"/proc/{pid}/cwd")
    assert Path(f"/proc/{pid}/net/dev").read_text().count(":") <= 1, "its own network is empty"  # at most a loopback device that is down


def test_every_process_is_another_user(lab):
    uids = [status(pid)["Uid"].split()[0] for name, (pid, _) in processes(lab, "hq").items() if name != "ssh"]
    assert len(uids) == len(set(uids)) == len(CONFINED) + 1


@pytest.mark.parametrize("name", CONFINED)
def test_holds_only_its_own_sockets_and_files(lab, name):
    pid = processes(lab, "hq")[name][0]
    families = {s.family for s in sockets(pid)}
    assert families <= FAMILIES[name], f"{name} holds sockets of {families}"
    if name in ("ike", "dataplane"):
        assert families >= {socket.AF_INET, socket.AF_INET6}, "the test sees the sockets that are there"
    plain = {fd: path for fd, path in files(pid).items() if path.startswith("/") and not path.startswith(("/memfd:", "/dev/null"))}
    allowed = {"dataplane": ("/dev/net/tun",), "ledger": ("/",), "keeper": ("/",), "control": ("/",), "ike": (), "entropy": (), "courier": (), "export": ("/",), "resolver": ("/",),
               "certifier-openssl": ("/",), "certifier-gnutls": ("/",)}[name]
    log = str(lab["hq"].state / "plaingated.log")
    wrong = {fd: path for fd, path in plain.items() if path != log and not path.startswith(allowed)}
    assert not wrong, wrong
    if name in ("ike", "dataplane", "entropy", "courier"):
        assert not [path for fd, path in plain.items() if fd > 2 and os.path.isdir(f"/proc/{pid}/fd/{fd}")], "a directory leads out"


def test_supervisor_gave_up_what_it_does_not_need(lab):
    said = status(processes(lab, "hq")["supervisor"][0])
    assert said["Seccomp"] == "2", "ptrace, bpf, modules: never needed to start and to measure"


def test_what_runs_is_what_was_measured(lab):
    rows = {row["process"]: row for row in show(lab, "hq", "status")}
    for name, (pid, _) in processes(lab, "hq").items():
        running = hashlib.sha256(Path(f"/proc/{pid}/exe").read_bytes()).hexdigest()
        assert rows[name]["sha256"] == running, name
        file = "plaingated" if name == "supervisor" else f"plaingate-{name}"
        assert hashlib.sha256((lab.state / "bin" / file).read_bytes()).hexdigest() == running


def test_nobody_else_can_look_into_them(lab):
    """Not dumpable: another process of the same user cannot read its memory or its files."""
    for name, (pid, _) in processes(lab, "hq").items():
        assert os.stat(f"/proc/{pid}/mem").st_uid == 0, f"{name} is dumpable"
