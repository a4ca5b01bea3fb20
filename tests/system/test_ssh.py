"""Administrators by ssh: the real client against the gateway's own sshd. Who has a key of the configuration gets the gateway's shell, and nothing else; who has none
gets nothing; both are entered."""
import os
import re
import signal
import subprocess
from pathlib import Path

import pexpect
import pytest
from kit import config_of, ledger_entries, processes, show, wait_for
from nodes import LabError

TIMEOUT = 60
GATEWAY = "10.1.0.1"
BACK_DOOR = "<<< %s(un='%s') = %u"
KEYS = ("alice", "bob", "stranger", "authority", "second", "foreign", "visitor")
PLAIN = ["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR", "-o", "ConnectTimeout=20"]


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


class Client:
    """host-a, with keys in its own directory."""

    def __init__(self, lab, keys=KEYS):
        self.node, self.directory = lab["host-a"], lab["host-a"].state / "ssh"
        self.directory.mkdir()
        for name in keys:
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(self.directory / name)], check=True)

    def public(self, name):
        return " ".join((self.directory / f"{name}.pub").read_text().split()[:2])

    def fingerprint(self, name):
        return subprocess.run(["ssh-keygen", "-lf", str(self.directory / f"{name}.pub")], capture_output=True, text=True, check=True).stdout.split()[1]

    def words(self, user, *options, key=None, command=()):
        identity = ["-o", "IdentitiesOnly=yes", "-i", str(self.directory / (key or user))]
        return ["ssh", *self.named(user), *PLAIN, "-o", "BatchMode=yes", *identity, *options, GATEWAY, *command]

    def named(self, user):
        """The client takes only harmless names from its command line, and from 10.0 on expands % in its file."""
        version = int(re.search(r"OpenSSH_(\d+)", subprocess.run(["ssh", "-V"], capture_output=True, text=True, check=True).stderr)[1])
        name = user.replace("%", "%%") if version >= 10 else user
        file = self.directory / "config"
        file.write_text(f'Host *\n    User "{name}"\n')
        return ["-F", str(file)]

    def run(self, user, *options, key=None, command=(), timeout=TIMEOUT, **more):
        return subprocess.run(self.node.words("env") + self.words(user, *options, key=key, command=command), capture_output=True, text=True, timeout=timeout, check=False, **more)

    def shell(self, user, *options):
        words = self.node.words("env") + self.words(user, "-tt", *options)
        child = spawn(words[0], words[1:], encoding="utf-8", timeout=TIMEOUT, dimensions=(60, 160), env={"PATH": "/usr/bin:/bin", "TERM": "dumb"})
        child.expect(f"{user}@hq> ")
        return child

    def certificate(self, name, principal, authority, *options):
        """NAME-cert.pub beside the key."""
        subprocess.run(["ssh-keygen", "-q", "-s", str(self.directory / authority), "-I", "an identity from 1.2.3.4 port 1", "-n", principal, *options,
                        str(self.directory / f"{name}.pub")], check=True)


def configuration(client, alice=True, key="alice", more="", authority="authority"):
    one = f'administrator alice {{ role engineer; key "{client.public(key)}"; }}' if alice else ""
    return config_of("hq", ("    host-name hq;\n", f"""    host-name hq;
    ssh;
    administrators {{
        {one}
        administrator bob {{ role read-only; key "{client.public('bob')}"; }}
        administrator visitor {{ role read-only; }}
        authority "{client.public(authority)}";
        {more}
    }}
"""))


@pytest.fixture(scope="module")
def client(lab):
    one = Client(lab)
    lab.commit("hq", configuration(one), "ssh")
    wait_for(lambda: show(lab, "hq", "system", "ssh")[0]["state"] == "running", TIMEOUT, "sshd to run")
    wait_for(lambda: one.run("alice", command=["show", "system", "ssh"]).returncode == 0, TIMEOUT, "sshd to answer")
    return one


def entries(lab, kind):
    return [entry["body"] for entry in ledger_entries(lab, "hq") if entry["type"] == kind]


def awaited(lab, kind, **fields):
    """An entry with these fields."""
    def there():
        return [body for body in entries(lab, kind) if all(body[name] == value for name, value in fields.items())]

    wait_for(there, TIMEOUT, f"an entry {kind} with {fields}")
    return there()[-1]


def refused(done):
    assert done.returncode == 255 and ("ermission denied" in done.stderr or "invalid characters" in done.stderr), done
    assert not done.stdout


# --- who has a key ---

def test_an_administrator_gets_the_shell(lab, client):
    child = client.shell("alice")
    child.sendline("show system users | match alice | no-more")
    child.expect("engineer")
    child.expect("alice@hq> ")
    child.sendline("exit")
    child.expect(pexpect.EOF)
    login = awaited(lab, "admin_login", admin="alice")
    assert login["role"] == "engineer" and login["source"] == "10.1.0.2"
    assert login["key"] == client.fingerprint("alice")
    awaited(lab, "admin_command", admin="alice", command="show system users")
    awaited(lab, "admin_logout", admin="alice", session=login["session"])


def test_what_is_not_confirmed_is_announced(lab, client):
    """To who is logged in and to who logs in; not to whom it does not wait for any more."""
    child = client.shell("alice")
    file = lab["hq"].state / "etc" / "unconfirmed.conf"
    file.write_text(configuration(client) + "# another\n", encoding="utf-8")
    lab["hq"].run(["plaingate", "commit", "/etc/plaingate/unconfirmed.conf", "--comment", "x", "--confirm-within", "5"])
    child.expect(r"generation \d+ by root \(console\) is not confirmed: what ran before it comes back at 2")
    said = client.run("bob", command=["show", "system", "ssh"])
    assert said.returncode == 0 and "by root (console) is not confirmed" in said.stderr and re.search(r"in [1-5] min", said.stderr)
    lab["hq"].run(["plaingate", "confirm"])
    said = client.run("bob", command=["show", "system", "ssh"])
    assert said.returncode == 0 and "confirmed" not in said.stderr
    child.sendline("exit")
    child.expect(pexpect.EOF)


def test_one_command(client):
    done = client.run("alice", command=["show", "system", "ssh"])
    assert done.returncode == 0 and "running" in done.stdout, done
    assert client.run("alice", command=["show", "nothing-of-the-kind"]).returncode != 0


def test_the_host_key_is_the_gateways_own(lab, client):
    row = show(lab, "hq", "system", "ssh")[0]
    scanned = subprocess.run(client.node.words("ssh-keyscan") + ["-T", "20", "-t", "ed25519", GATEWAY], capture_output=True, text=True, check=True).stdout
    found = subprocess.run(["ssh-keygen", "-lf", "-"], input=scanned, capture_output=True, text=True, check=True).stdout.split()[1]
    assert found == row["host_key"] == entries(lab, "ssh_start")[-1]["fingerprint"]


def test_a_certificate_names_its_administrator(lab, client):
    client.certificate("visitor", "visitor", "authority", "-V", "+1h")
    assert "running" in client.run("visitor", command=["show", "system", "ssh"]).stdout
    assert awaited(lab, "admin_login", admin="visitor")["key"] == f"{client.fingerprint('visitor')} (certificate of {client.fingerprint('authority')})"


# --- attempts to get in ---

@pytest.mark.parametrize("user", ["root", "sshd", "plaingate-control", "nobody", "daemon", BACK_DOOR, "alice from 192.0.2.1 port 1", "a" * 300])
def test_nobody_else_exists(lab, client, user):
    refused(client.run(user, key="alice"))


def test_what_failed_is_entered(lab, client):
    """By its source; within a minute the first one, then their sum."""
    assert show(lab, "hq", "system", "ssh")[0]["failed"] > 0 or refused(client.run("root", key="alice")) is None
    failed = awaited(lab, "admin_failed", source="10.1.0.2")
    assert failed["count"] > 0 and failed["reason"]


@pytest.mark.parametrize("password", [BACK_DOOR, "", "x" * 100000], ids=["back door", "empty", "long"])
@pytest.mark.parametrize("user", ["root", "alice", BACK_DOOR])
def test_there_are_no_passwords(client, user, password):
    script = client.directory / "password"
    script.write_text(f"#!/bin/sh\ncat {client.directory}/secret\n")
    script.chmod(0o755)
    (client.directory / "secret").write_text(password)
    words = ["ssh", *client.named(user), *PLAIN, "-o", "PubkeyAuthentication=no", "-o", "PreferredAuthentications=password,keyboard-interactive,gssapi-with-mic,hostbased", GATEWAY]
    done = subprocess.run(client.node.words("env") + words, capture_output=True, text=True, timeout=TIMEOUT, check=False, stdin=subprocess.DEVNULL,
                          env={"PATH": "/usr/bin:/bin:/usr/sbin:/sbin", "SSH_ASKPASS": str(script), "SSH_ASKPASS_REQUIRE": "force", "DISPLAY": ":0"})
    refused(done)
    assert "(publickey)" in done.stderr or "invalid characters" in done.stderr, "the only method that is offered"


def test_a_key_of_nobody(client):
    refused(client.run("alice", key="stranger"))
    refused(client.run("alice", key="bob"))


@pytest.mark.parametrize("principal, authority, options", [
    ("alice", "foreign", ()),
    ("alice", "authority", ("-V", "20200101:20200102")),
    ("alice", "authority", ("-V", "20900101:20910102")),
    ("bob", "authority", ()),
    ("root", "authority", ()),
    ("alice", "authority", ("-O", "critical:nobody-knows@example.com=1")),
], ids=["foreign", "expired", "not yet", "of another", "root", "unknown condition"])
def test_certificates_that_are_not_good(client, principal, authority, options):
    client.certificate("stranger", principal, authority, *options)
    try:
        refused(client.run("root" if principal == "root" else "alice", key="stranger"))
    finally:
        (client.directory / "stranger-cert.pub").unlink()


# --- what a session has ---

@pytest.mark.parametrize("line", [
    "show system ssh; id", "show system ssh && id", "$(id)", "`id`", "show system ssh | sh", "show system ssh\nid", "show system ssh | match $(id)", "! id", "!sh",
    "/bin/sh", "sh -c id", "run id", "ping $(id)", "ping -f 127.0.0.1", "show configuration > /tmp/x",
])
def test_commands_are_the_shells_alone(client, line):
    done = client.run("alice", command=[line])
    assert "uid=" not in done.stdout + done.stderr, done


def test_no_shell_is_there(lab, client):
    """Whatever a program could be talked into executing."""
    child = client.shell("alice")
    node = lab["hq"]
    root = Path(f"/proc/{session_pids(lab)[0]}/root")
    assert (root / "shell/plaingate").is_file()
    programs = {path.name for folder in ("usr/bin", "usr/sbin") for path in (root / folder).iterdir()}
    assert programs <= {"ssh-keygen", "ssh-add", "ping", "traceroute", "sshd", "nologin"}, programs
    for name in ("etc/shadow", "etc/passwd"):
        text = (root / name).read_text()
        assert "alice" in text and "plaingate-control" not in text
    assert not (root / "var/lib").exists() and not (root / "etc/plaingate").exists()
    child.send("\x1bx")  # libedit's own commands, by which an editor could be bound to a key
    child.sendline("bind -v")
    child.expect("@hq> ")
    assert "uid=" not in child.before
    child.close(force=True)
    assert node


def session_pids(lab, uid_first=58000):
    """Processes of administrators."""
    holder = processes(lab, "hq")["ssh"][0]
    inside = os.stat(f"/proc/{holder}/root").st_dev
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and uid_first <= entry.stat().st_uid < uid_first + 1024 and os.stat(entry / "root").st_dev == inside:
                found.append(int(entry.name))
        except OSError:
            continue
    return found


def test_a_session_has_no_privilege(lab, client):
    child = client.shell("alice")
    pids = session_pids(lab)
    assert pids
    for pid in pids:
        said = dict(re.findall(r"^(\w+):[ \t]*(.*)$", Path(f"/proc/{pid}/status").read_text(), re.M))
        assert said["NoNewPrivs"] == "1" and said["Seccomp"] == "2" and int(said["CapEff"], 16) == int(said["CapPrm"], 16) == 0
        assert len(set(said["Uid"].split())) == 1 and said["Uid"].split()[0] != "0"
    child.close(force=True)


def rest_of(directory):
    """Of a file system, filled with octets until there is no room; what was filled in."""
    filled = directory / "filled"
    try:
        with filled.open("wb", buffering=0) as file:
            while file.write(b"x" * 65536):
                pass
    except OSError:
        pass
    return filled


def test_no_role_can_fill_what_all_share(lab, client):
    """Where sshd has to write to begin a session no session writes; at home it does, and that is its own."""
    child = client.shell("bob")
    child.sendline("configure")
    child.expect("bob@hq# ")
    for place in ("/tmp/here", "/run/here", "/homes/00/here"):
        child.sendline(f"save {place}")
        child.expect("bob@hq# ")
        assert "ermission denied" in child.before, child.before
    child.sendline("save here")
    child.expect("bob@hq# ")
    assert "ermission denied" not in child.before, child.before
    root = Path(f"/proc/{session_pids(lab)[0]}/root")
    assert not list((root / "tmp").glob("here")) and (root / "home/bob").is_symlink()
    homes = {os.stat(root / str((root / "home" / name).readlink()).lstrip("/")).st_dev for name in ("alice", "bob", "visitor")}
    assert len(homes) == 3, "each has a file system of its own"
    home = root / str((root / "home/bob").readlink()).lstrip("/")
    assert (home / "here").is_file()
    rest_of(home)
    assert os.statvfs(home).f_bavail == 0
    assert client.run("alice", command=["show", "system", "ssh"]).returncode == 0
    lab.commit("hq", configuration(client, more=f'administrator carol {{ role read-only; key "{client.public("foreign")}"; }}'), "another one")
    assert client.run("carol", key="foreign", command=["show", "system", "ssh"]).returncode == 0
    assert client.run("bob", command=["show", "system", "ssh"]).returncode == 0, "nor is he locked out himself"
    child.close(force=True)
    lab.commit("hq", configuration(client), "and back")


def test_an_account_that_cannot_be_written_holds_up_no_other(lab, client):
    """And is written once it can be."""
    holder = processes(lab, "hq")["ssh"][0]
    keys = Path(f"/proc/{holder}/root/etc/ssh/keys")
    obstacle = keys / "aaron.new"  # alphabetically first; the process ssh makes a file of this name
    obstacle.mkdir()
    more = f'administrator aaron {{ role read-only; key "{client.public("foreign")}"; }} administrator zoe {{ role read-only; key "{client.public("stranger")}"; }}'
    with pytest.raises(LabError, match="is committed, but refused by ssh: make '/etc/ssh/keys/aaron.new'"):
        lab.commit("hq", configuration(client, more=more), "two more")
    assert client.run("zoe", key="stranger", command=["show", "system", "ssh"]).returncode == 0
    refused(client.run("aaron", key="foreign"))
    assert "aaron" in show(lab, "hq", "system", "ssh")[0]["last_error"]
    obstacle.rmdir()
    wait_for(lambda: client.run("aaron", key="foreign", command=["show", "system", "ssh"]).returncode == 0, TIMEOUT, "the account that could not be written")
    lab.commit("hq", configuration(client), "and back")


def test_a_session_has_a_limit_of_memory(lab, client):
    child = client.shell("bob")
    for pid in session_pids(lab):
        limits = Path(f"/proc/{pid}/limits").read_text()
        assert re.search(r"^Max data size +268435456 +268435456 ", limits, re.M), limits
    child.close(force=True)


def test_environment_is_not_taken(lab, client):
    done = client.run("alice", "-o", "SetEnv=PLAINGATE_SOCKET=/tmp/none LD_PRELOAD=/tmp/none.so SSH_ORIGINAL_COMMAND=id SSH_CONNECTION=1.2.3.4", command=["show", "system", "ssh"])
    assert done.returncode == 0 and "running" in done.stdout and "preload" not in done.stderr, done
    assert {body["source"] for body in entries(lab, "admin_login")} == {"10.1.0.2"}


@pytest.mark.parametrize("options", [("-L", "5900:127.0.0.1:22"), ("-D", "5901"), ("-R", "5902:127.0.0.1:22"), ("-W", "127.0.0.1:22"), ("-w", "0:0"), ("-R", "/tmp/s:127.0.0.1:22")],
                         ids=["-L", "-D", "-R", "-W", "-w", "-R path"])
def test_nothing_is_forwarded(client, options):
    if options[0] in ("-L", "-D"):
        child = client.shell("alice", *options)
        port = options[1].split(":")[0]
        probe = ("import socket; s = socket.create_connection(('127.0.0.1', %s), 20); s.settimeout(20)\n" % port +
                 ("s.sendall(bytes([5, 1, 0])); s.recv(2); s.sendall(bytes([5, 1, 0, 1, 127, 0, 0, 1, 0, 22]))\n" if options[0] == "-D" else "") +
                 "b = b''\nwhile True:\n    part = s.recv(100)\n    if not part: break\n    b += part\nprint(b)")
        done = client.node.run(["python3", "-c", probe], check=False)
        assert "SSH-2.0" not in done.stdout, done.stdout
        child.close(force=True)
    else:
        done = client.run("alice", "-o", "ExitOnForwardFailure=yes", *options, command=() if options[0] == "-W" else ["show", "system", "ssh"], stdin=subprocess.DEVNULL)
        assert done.returncode != 0 and "SSH-2.0" not in done.stdout, done


def test_x11_and_subsystems(client):
    done = client.run("alice", "-s", command=["sftp"])
    assert done.returncode != 0 and "subsystem request failed" in done.stderr, done
    sftp = subprocess.run(client.node.words("sftp") + ["-F", "none", *PLAIN, "-b", "-", "-i", str(client.directory / "alice"), f"alice@{GATEWAY}"],
                          input="ls /\n", capture_output=True, text=True, timeout=TIMEOUT, check=False)
    assert sftp.returncode != 0 and "shell" not in sftp.stdout
    copied = client.directory / "copied"
    subprocess.run(client.node.words("scp") + ["-O", "-F", "none", *PLAIN, "-i", str(client.directory / "alice"), f"alice@{GATEWAY}:/etc/passwd", str(copied)],
                   capture_output=True, timeout=TIMEOUT, check=False)
    assert not copied.exists()


# --- ends ---

def test_a_key_that_is_removed_ends_its_session(lab, client):
    child = client.shell("alice")
    lab.commit("hq", configuration(client, key="stranger"), "alice's key is replaced")
    child.expect("the session is ended: the configuration does not have this administrator's key any more")
    child.expect(pexpect.EOF)
    refused(client.run("alice"))
    assert client.run("alice", key="stranger", command=["show", "system", "ssh"]).returncode == 0
    lab.commit("hq", configuration(client), "and back")
    assert client.run("alice", command=["show", "system", "ssh"]).returncode == 0


@pytest.mark.parametrize("user, gone, why", [
    ("visitor", {"authority": "foreign"}, "the configuration does not have the authority of this certificate any more"),
    ("alice", {"key": "stranger"}, "the configuration does not have this administrator's key any more"),
], ids=["authority", "key"])
def test_a_connection_that_stands_begins_no_session_by_what_is_removed(lab, client, user, gone, why):
    """Over one connection (ControlMaster), whose sshd has long let it in; another authority beside it changes nothing."""
    if user == "visitor":
        client.certificate("visitor", "visitor", "authority", "-V", "+1h")
    shared = ["-o", f"ControlPath={client.directory}/shared"]
    command = ["show", "system", "ssh"]
    master = spawn(client.node.words("env")[0], client.node.words("env")[1:] + client.words(user, "-M", "-N", *shared), encoding="utf-8", timeout=TIMEOUT)
    wait_for(lambda: (client.directory / "shared").exists(), TIMEOUT, "the connection")
    child = client.shell(user, *shared)
    assert client.run(user, *shared, command=command).returncode == 0
    lab.commit("hq", configuration(client, more=f'authority "{client.public("second")}";'), "one authority more")
    assert client.run(user, *shared, command=command).returncode == 0
    child.sendline("show system ssh | no-more")
    child.expect("running")
    lab.commit("hq", configuration(client, **gone), "gone")
    child.expect(f"the session is ended: {why}")
    done = client.run(user, *shared, command=command)
    assert done.returncode != 0 and why in done.stderr and not done.stdout, done
    master.close(force=True)
    wait_for(lambda: not (client.directory / "shared").exists() or (client.directory / "shared").unlink() is None, TIMEOUT, "its end")
    lab.commit("hq", configuration(client), "and back")
    assert client.run(user, command=command).returncode == 0


def test_an_administrator_who_is_removed_is_gone(lab, client):
    child = client.shell("alice")
    assert session_pids(lab)
    lab.commit("hq", configuration(client, alice=False), "alice leaves")
    child.expect(pexpect.EOF)
    wait_for(lambda: not session_pids(lab), TIMEOUT, "her processes to end")
    refused(client.run("alice"))
    lab.commit("hq", configuration(client), "alice is back")
    assert client.run("alice", command=["show", "system", "ssh"]).returncode == 0


@pytest.mark.parametrize("process", ["ssh", "control"])
def test_a_process_that_dies_leaves_nobody_in(lab, client, process):
    child = client.shell("alice")
    os.kill(processes(lab, "hq")[process][0], signal.SIGKILL)
    child.expect(["the session is ended", pexpect.EOF])
    wait_for(lambda: show_or_none(lab), TIMEOUT, "sshd to run again")
    wait_for(lambda: client.run("alice", command=["show", "system", "ssh"]).returncode == 0, TIMEOUT, "a login after the death of a process")
    child.close(force=True)


def show_or_none(lab):
    try:
        return show(lab, "hq", "system", "ssh")[0]["state"] == "running"
    except Exception:  # noqa: BLE001: control is not there yet
        return False


def test_a_control_that_hangs_lets_nobody_in(lab, client):
    pid = processes(lab, "hq")["control"][0]
    os.kill(pid, signal.SIGSTOP)
    try:
        words = client.node.words("env") + client.words("alice", command=["show", "system", "ssh"])
        waiting = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        with pytest.raises(subprocess.TimeoutExpired):
            waiting.communicate(timeout=3)
    finally:
        os.kill(pid, signal.SIGCONT)
    out, _ = waiting.communicate(timeout=TIMEOUT)
    assert "running" in out, "once it goes on it answers"


def test_a_forwarded_agent_signs_a_commit(lab, client):
    """The last one here: from then on a commit needs a signature. The key never leaves the person's own machine."""
    officer = f'administrator carol {{ role security-officer; key "{client.public("foreign")}"; }}'
    signed = configuration(client, more=officer).replace("    ssh;\n", "    ssh;\n    commit { signatures-required 1; }\n")
    lab.commit("hq", signed, "signatures from here on")
    file = lab["hq"].state / "etc" / "proposed.conf"
    file.write_text(signed.replace("host-name hq;", "host-name hq-signed;"), encoding="utf-8")
    lab["hq"].run(["plaingate", "commit", "/etc/plaingate/proposed.conf"])
    number = str(show(lab, "hq", "system", "commit", "proposals")[0]["proposal"])
    path = client.directory / "agent"
    agent = subprocess.Popen(["ssh-agent", "-D", "-a", path], stdout=subprocess.DEVNULL)
    try:
        wait_for(path.exists, TIMEOUT, "the agent")
        environment = {**os.environ, "SSH_AUTH_SOCK": str(path)}
        subprocess.run(["ssh-add", "-q", client.directory / "alice"], env=environment, check=True)
        done = client.run("alice", command=["commit", "sign", number], env=environment)
        assert done.returncode != 0 and "forward one" in done.stdout + done.stderr, done
        done = client.run("alice", "-o", "ForwardAgent=yes", command=["commit", "sign", number], env=environment)
        assert done.returncode == 0 and "is running" in done.stdout, done
    finally:
        agent.terminate()
        agent.wait(TIMEOUT)
    assert "host-name hq-signed;" in lab["hq"].run(["plaingate", "show", "configuration"]).stdout
    assert awaited(lab, "config_signature", admin="alice")
