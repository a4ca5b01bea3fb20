"""Administrators who are users of the machine: each by the account that the kernel says, on the gateway's real socket."""
import inspect
import json
import os
import socket
import struct

import pexpect
import pytest
from kit import config_of, ledger_entries, wait_for

ACCOUNTS = {"watcher": 4001, "operator": 4002, "engineer": 4003, "officer": 4004, "auditor": 4005}
ROLES = {"watcher": "read-only", "operator": "operator", "engineer": "engineer", "officer": "security-officer", "auditor": "auditor"}
STRANGER = 4009
ADMINISTRATORS = "\n".join(f"administrator {name} {{ role {ROLES[name]}; uid {uid}; }}" for name, uid in ACCOUNTS.items())


SPAWNED = []


def spawn(*words, **kwargs):
    """A program on a terminal; it ends with the test, else its zombie keeps its machine from ending."""
    SPAWNED.append(pexpect.spawn(*words, **kwargs))
    return SPAWNED[-1]


@pytest.fixture(autouse=True)
def spawned_end():
    yield
    while SPAWNED:
        SPAWNED.pop().close(force=True)


def configuration(more=""):
    return config_of("hq", ("host-name hq;", f"host-name hq;\nadministrators {{\n{ADMINISTRATORS}\n{more}\n}}"))


@pytest.fixture(scope="module")
def hq(lab):
    # the lab has no group plaingate-view: what its members may, everybody may
    lab["hq"].run("chmod 0666 /run/plaingate/control.sock")
    lab.commit("hq", configuration(), "administrators")
    return lab["hq"]


PROGRAM = "/usr/libexec/plaingate/plaingate"


def as_user(hq, who, *words):
    uid = str(ACCOUNTS.get(who, STRANGER))
    return hq.run(["setpriv", "--reuid", uid, "--regid", "65534", "--clear-groups", PROGRAM, *words], check=False)


def commit_as(hq, who, text, *options):
    """The text goes through a pipe: the account may not read root's files."""
    file = hq.state / "etc/proposed.conf"
    file.write_text(text, encoding="utf-8")
    uid = str(ACCOUNTS.get(who, STRANGER))
    return hq.run(["sh", "-c", 'cat /etc/plaingate/proposed.conf | setpriv --reuid "$1" --regid 65534 --clear-groups "$2" commit - $3', "sh", uid, PROGRAM,
                   " ".join(options)], check=False)


def last(lab, kind):
    return [e for e in ledger_entries(lab, "hq") if e["type"] == kind][-1]["body"]


# In the order of the columns: what is permitted to whom, beside looking.
COMMANDS = {
    ("clear", "hit-count"): ("operator", "engineer"),
    ("clear", "sessions", "--src", "203.0.113.199"): ("operator", "engineer"),
    ("vpn", "rekey", "nobody-of-this-name"): ("operator", "engineer"),
    ("confirm",): ("engineer", "officer"),
}


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_each_role_each_command(lab, hq, words):
    for who in (*ACCOUNTS, "stranger"):
        done = as_user(hq, who, *words)
        refused = "does not permit" in done.stderr
        assert refused == (who not in COMMANDS[words]), (who, done)
        assert not refused or done.returncode != 0


@pytest.mark.parametrize("words", [("show", "status"), ("show", "sessions"), ("show", "configuration"), ("show", "system", "commit"),
                                   ("show", "system", "administrators")], ids=" ".join)
def test_everybody_looks(hq, words):
    for who in (*ACCOUNTS, "stranger"):
        done = as_user(hq, who, *words)
        assert done.returncode == 0, (who, done)


def test_a_refusal_is_explained_and_entered(lab, hq):
    done = as_user(hq, "watcher", "vpn", "down", "branch")
    assert "watcher (local) has the role read-only, which does not permit 'vpn down': operator, engineer or root may" in done.stderr, done
    wait_for(lambda: last(lab, "admin_refused")["command"] == "vpn down", 10, "the entry of the refusal")
    assert last(lab, "admin_refused")["admin"] == "watcher (local)"
    done = as_user(hq, "stranger", "confirm")
    assert f"uid {STRANGER}, who is no administrator" in done.stderr


def test_commits_are_judged_by_what_they_change(lab, hq):
    renamed = ("host-name hq;", "host-name hq2;")
    text = configuration().replace(*renamed, 1)
    for who in ("watcher", "operator", "auditor", "stranger"):
        assert "does not permit 'commit'" in commit_as(hq, who, text).stderr
    assert "does not permit to change 'system host-name'" in commit_as(hq, "officer", text).stderr
    done = commit_as(hq, "engineer", text)
    assert done.returncode == 0, done
    assert last(lab, "config_commit")["admin"] == "engineer (local)"
    row = json.loads(hq.run(["plaingate", "show", "system", "commit", "--json"]).stdout)[0]
    assert row["admin"] == "engineer (local)"

    more = "administrator late { role security-officer; uid 4010; }"
    smuggled = configuration(more)  # takes the name back as well, which an engineer may
    done = commit_as(hq, "engineer", smuggled)
    assert done.returncode != 0 and "administrator 'late'" in done.stderr and "security-officer or root may" in done.stderr, done
    assert "late" not in hq.run("plaingate show configuration").stdout
    entry = last(lab, "config_refused")
    assert entry["admin"] == "engineer (local)" and "late" in entry["error"]
    done = commit_as(hq, "officer", configuration(more).replace(*renamed, 1))
    assert done.returncode == 0, done
    rows = json.loads(as_user(hq, "auditor", "show", "system", "administrators", "--json").stdout)
    assert {row["name"] for row in rows} == {*ACCOUNTS, "late"}
    assert [row["name"] for row in rows if row["self"]] == ["auditor"]


def test_one_confirms_what_another_has_committed(lab, hq):
    text = hq.run("plaingate show configuration").stdout
    done = commit_as(hq, "engineer", text.replace("host-name hq2;", "host-name hq3;"), "--confirm-within", "10")
    assert done.returncode == 0, done
    assert as_user(hq, "operator", "confirm").returncode != 0
    done = as_user(hq, "officer", "confirm")
    assert done.returncode == 0 and "is confirmed" in done.stdout + done.stderr, done
    act = last(lab, "admin_act")
    assert act["act"] == "confirm" and act["admin"] == "officer (local)"


def test_the_shell_says_who_one_is(hq):
    """On a terminal: the prompt has the name, and what the role does not permit is not offered; control would refuse it all the same."""
    words = hq.words(["setpriv", "--reuid", str(ACCOUNTS["auditor"]), "--regid", "65534", "--clear-groups", PROGRAM])
    shell = spawn(words[0], words[1:], encoding="utf-8", timeout=60, dimensions=(200, 160), env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "TERM": "dumb"})
    try:
        shell.expect("auditor: auditor\r\n")
        shell.expect("auditor@hq> ")
        shell.send("?")
        shell.expect("trace")
        shell.expect("auditor@hq> ")
        assert "clear" not in shell.before
        shell.sendline("clear hit-count")
        shell.expect("does not permit 'clear hit-count'")
    finally:
        shell.close(force=True)


def test_who_is_removed_is_out(lab, hq):
    assert as_user(hq, "engineer", "clear", "hit-count").returncode == 0
    text = hq.run("plaingate show configuration").stdout
    gone = text.replace(f"administrator engineer {{ role engineer; uid {ACCOUNTS['engineer']}; }}", "")
    assert gone != text
    assert commit_as(hq, "officer", gone).returncode == 0
    assert "who is no administrator" in as_user(hq, "engineer", "clear", "hit-count").stderr
    lab.commit("hq", config_of("hq"), "without administrators")
    assert last(lab, "config_commit")["admin"] == "root (console)"


def stubborn():
    """A connection whose close waits for an hour: its peer reads nothing, so that what it has sent never arrives."""
    listener = socket.create_server(("127.0.0.1", 0))
    client = socket.create_connection(listener.getsockname())
    client.setblocking(False)
    try:
        while True:
            client.send(bytes(1 << 20))
    except BlockingIOError:
        pass
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 3600))
    return listener, client


def test_a_file_does_not_stop_control(hq):
    """Who may connect may send nothing that has to be closed: control would wait for it."""
    if tuple(int(n) for n in os.uname().release.split("-")[0].split(".")[:2]) < (6, 16):
        pytest.skip("this kernel cannot refuse files at a socket (SO_PASSRIGHTS)")
    script = f"""
import array, os, socket, struct, subprocess, sys
{inspect.getsource(stubborn)}
listener, client = stubborn()
os.setuid({STRANGER})
s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
s.connect("/run/plaingate/control.sock")
try:
    s.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [client.fileno()]))])
    client.close()
except PermissionError:
    print("refused", flush=True)
os._exit(subprocess.run(["timeout", "20", "plaingate", "show", "status"], stdout=subprocess.DEVNULL).returncode)
"""
    done = hq.run(["/usr/bin/python3", "-c", script], check=False)
    assert (done.returncode, done.stdout.strip()) == (0, "refused"), done.stderr
