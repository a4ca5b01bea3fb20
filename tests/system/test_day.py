"""A day with the gateway as a transcript: root sets two administrators up and an auditor, and from then on everything comes by ssh: a change, a mistake that locks
everybody out and comes back by itself, a zone renamed under a living connection, a change that takes two, an import, a rollback, an audit that may change nothing."""
import re
import subprocess

import pexpect
import pytest
from kit import HOST_B, WEB, TcpStream, ledger_entries, show, verify_ledger, wait_for
from test_shell import Session
from test_ssh import GATEWAY, TIMEOUT, Client, spawn, spawned_end  # noqa: F401 (a fixture)

pytestmark = pytest.mark.slow  # a minute without anybody
PEOPLE = {"alice": "engineer", "bob": "engineer", "carol": "security-officer", "dave": "security-officer", "erin": "auditor"}


class Person:
    """An administrator at a terminal, by ssh."""

    def __init__(self, client, name):
        self.name, self.child = name, client.shell(name)

    def does(self, line, prompt="# "):
        """What the line prints, without its echo."""
        self.child.sendline(line)
        self.child.expect(f"{self.name}@hq{prompt}")
        return "\n".join(self.child.before.replace("\r", "").split("\n")[1:])

    def leaves(self):
        self.child.sendline("exit")
        self.child.expect(pexpect.EOF)


@pytest.fixture(scope="module")
def client(lab):
    return Client(lab, PEOPLE)


def web(lab):
    return lab["host-a"].run(f"curl -sS --max-time 3 http://{WEB}/", check=False).returncode


def enters(client, name):
    """One that hangs, because the door closes meanwhile, is none."""
    words = ["timeout", "10", *client.words(name, command=["show", "system", "ssh"])]
    return subprocess.run(client.node.words("env") + words, capture_output=True, timeout=TIMEOUT, check=False).returncode == 0


def signs(client, name, number):
    """With a key that stays at host-a: the statement comes and the signature goes by ssh."""
    statement = client.run(name, command=["commit", "statement", number]).stdout
    signature = subprocess.run(["ssh-keygen", "-q", "-Y", "sign", "-n", "plaingate-commit", "-f", client.directory / name], input=statement,
                               capture_output=True, text=True, check=True).stdout
    return client.run(name, command=["commit", "sign", number, "--signature", "-"], input=signature)


def takes_two(client, said):
    """A commit that has become a proposal, and runs when both have signed it."""
    assert "proposal" in said, said
    number = re.search(r"proposal (\d+)", said)[1]
    first, second = signs(client, "alice", number), signs(client, "bob", number)
    assert first.returncode == 0 and "1 of 2" in first.stdout, first
    assert second.returncode == 0 and "is running" in second.stdout, second


def test_root_sets_people_up(lab, client):
    console = Session(lab)
    console.does("configure")
    console.does("set system ssh")
    for name, role in PEOPLE.items():
        console.does(f"set system administrators administrator {name} role {role}")
        console.does(f"set system administrators administrator {name} key \"{client.public(name)}\"")
    done = console.does("commit comment \"people with names\"")
    assert "generation" in done, done
    console.close()
    wait_for(lambda: show(lab, "hq", "system", "ssh")[0]["state"] == "running", TIMEOUT, "sshd to run")
    wait_for(lambda: enters(client, "alice"), TIMEOUT, "sshd to answer")


def test_a_change(lab, client):
    alice = Person(client, "alice")
    alice.does("configure")
    for part in ("match source any", "match destination any", "match application http", "then reject"):
        alice.does(f"set policy from trust to untrust rule no-web {part}")
    alice.does("insert policy from trust to untrust rule no-web before rule no-telnet")
    assert "+  rule no-web {" in alice.does("show | compare")
    assert web(lab) == 0
    assert "generation" in alice.does("commit comment \"no web until Monday\"")
    assert web(lab) != 0
    alice.does("exit", "> ")
    assert re.search(r"admin +alice \(ssh\)\s+comment +no web until Monday", alice.does("show system commit", "> "))
    alice.leaves()


def test_a_mistake_locks_everybody_out_for_a_minute(lab, client):
    alice = Person(client, "alice")
    alice.does("configure")
    said = alice.does("delete zones zone trust host-inbound ssh")
    assert "-  " in alice.does("show | compare"), said
    assert "no longer be admitted" in alice.does("commit confirmed 1 comment \"a mistake\"")
    alice.child.sendline("commit confirmed 1 cut-off comment \"a mistake\"")  # against better advice
    wait_for(lambda: not enters(client, "bob"), TIMEOUT, "the door to be closed")
    wait_for(lambda: enters(client, "bob"), 150, "the configuration from before")
    bob = Person(client, "bob")
    assert "host-inbound" in bob.does("show configuration zones zone trust", "> ")
    assert "mistake" in bob.does("show system commit", "> ")
    bob.leaves()


def test_a_zone_is_renamed_under_a_connection(lab, client):
    bob = Person(client, "bob")
    bob.does("configure")
    with TcpStream(lab, "host-a", "host-b", HOST_B, port=5207) as tcp:
        tcp.wait_flowing()
        for old, new in (("trust", "office"), ("office", "trust")):
            assert re.search(r"[1-9]\d* uses of the name follow", bob.does(f"rename zones zone {old} to zone {new}"))
            assert "generation" in bob.does("commit")
            wait_for(lambda zone=new: any(row["zone"] == zone for row in show(lab, "hq", "interfaces")), 10, "the interface in the renamed zone")
            tcp.wait_flowing()
        assert not tcp.failure
    bob.does("exit", "> ")  # the ssh session lives as well
    bob.leaves()


def test_from_here_on_it_takes_two(lab, client):
    alice = Person(client, "alice")
    alice.does("configure")
    alice.does("set system commit signatures-required 2")
    refused = alice.does("commit")
    assert "does not permit to change" in refused, refused
    alice.does("rollback")
    carol = Person(client, "carol")
    carol.does("configure")
    carol.does("set system commit signatures-required 2")
    assert "generation" in carol.does("commit and-quit comment \"two of them\"", "> ")
    carol.leaves()
    alice.does("exit", "> ")
    alice.leaves()
    alice = Person(client, "alice")
    alice.does("configure")
    alice.does("delete policy from trust to untrust rule no-web")
    said = alice.does("commit comment \"it is Monday\"")
    assert web(lab) != 0
    takes_two(client, said)
    assert web(lab) == 0
    alice.child.sendline("exit")  # the candidate's base has been replaced, by itself
    alice.child.expect("not committed")
    alice.does("yes", "> ")
    alice.leaves()


def test_an_import_and_a_rollback(lab, client):
    old = lab["hq"].state / "etc" / "old.conf"
    old.write_text("set security address-book global address printer 10.9.9.9/32\n", encoding="utf-8")
    text = lab["hq"].run("plaingate import junos-set /etc/plaingate/old.conf", check=False).stdout
    assert "printer" in text, text
    alice = Person(client, "alice")
    alice.does("configure")
    alice.child.sendline("load merge terminal")
    for line in [*text.splitlines(), "."]:
        alice.child.sendline(line)
    alice.child.expect("load complete")
    alice.child.expect("alice@hq# ")
    assert "10.9.9.9" in alice.does("show | compare")
    takes_two(client, alice.does("commit comment \"from the old one\""))
    assert "prefix 10.9.9.9" in alice.does("run show configuration | match 10.9.9.9")
    alice.does("rollback")  # the base of the candidate is what runs now
    alice.does("rollback 1")
    takes_two(client, alice.does("commit comment \"not yet\""))
    assert "prefix" not in alice.does("run show configuration | match 10.9.9.9")


def test_an_audit(lab, client):
    auditor = Person(client, "erin")
    history = auditor.does("show system commit | no-more", "> ")
    for comment in ("people with names", "no web until Monday", "it is Monday", "from the old one", "not yet"):
        assert comment in history, history
    for line in ("clear sessions", "ike terminate branch"):
        assert "does not permit" in auditor.does(line, "> "), line
    auditor.does("configure")  # a candidate is a private matter
    auditor.does("set system host-name mine")
    assert "does not permit 'commit'" in auditor.does("commit")
    auditor.does("rollback")
    auditor.does("exit", "> ")
    auditor.leaves()
    assert "host-name hq;" in lab["hq"].run("plaingate show configuration").stdout
    verify_ledger(lab, "hq")
    state = show(lab, "hq", "ledger")[0]["directory"].removesuffix("ledger")
    done = lab["hq"].run(["plaingate", "verify", "config", state + "config", "--ledger", state + "ledger"], check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    signers = [entry["body"]["admin"] for entry in ledger_entries(lab, "hq") if entry["type"] == "config_signature"]
    assert signers == ["alice", "bob"] * 3, signers
