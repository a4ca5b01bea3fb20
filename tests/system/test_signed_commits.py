"""Signed commits: what runs demands signatures of the next configuration; ssh-keygen and an ssh-agent make them; `verify config` proves them."""
import json
import os
import shutil
import signal
import subprocess

import pytest
from kit import config_of, ledger_directory, ledger_entries, processes, show, wait_for

PEOPLE = {"alice": "engineer", "bob": "engineer", "carol": "security-officer", "dave": "security-officer"}
UIDS = {name: str(4101 + i) for i, name in enumerate(PEOPLE)}
NAMESPACE = "plaingate-commit"


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    """A key of each administrator, and one of nobody's."""
    folder = tmp_path_factory.mktemp("keys")
    for name in [*PEOPLE, "mallory"]:
        subprocess.run(["ssh-keygen", "-q", "-N", "", "-C", name, "-t", "ed25519", "-f", folder / name], check=True)
    return folder


@pytest.fixture()
def agent(keys):
    """An ssh-agent; add(NAME) gives it a key."""
    path = keys / "agent"
    path.unlink(missing_ok=True)
    process = subprocess.Popen(["ssh-agent", "-D", "-a", path], stdout=subprocess.DEVNULL)
    try:
        wait_for(path.exists, 10, "the agent")

        def add(name):
            subprocess.run(["ssh-add", "-q", keys / name], env={**os.environ, "SSH_AUTH_SOCK": str(path)}, check=True)
            return str(path)
        yield add
    finally:
        process.terminate()
        process.wait(10)


def configuration(keys, required, more="", host="hq"):
    people = "\n".join(f'administrator {name} {{ role {role}; uid {UIDS[name]}; key "{(keys / name).with_suffix(".pub").read_text().strip()}"; }}'
                       for name, role in PEOPLE.items())
    return config_of("hq", ("host-name hq;", f"host-name {host};\nadministrators {{ {people} }}\ncommit {{ signatures-required {required}; {more} }}"))


def proposals(lab):
    return json.loads(lab["hq"].run(["plaingate", "show", "system", "commit", "proposals", "--json"]).stdout)


def runs(lab):
    return lab["hq"].run(["plaingate", "show", "configuration"]).stdout


def propose(lab, text, comment="a test", *options):
    file = lab["hq"].state / "etc" / "proposed.conf"
    file.write_text(text, encoding="utf-8")
    before = runs(lab)
    said = lab["hq"].run(["plaingate", "commit", "/etc/plaingate/proposed.conf", "--comment", comment, *options]).stdout
    assert "nothing is changed until" in said and runs(lab) == before
    return proposals(lab)[-1]["proposal"]


def sign(lab, keys, number, name, namespace=NAMESPACE, statement=None):
    """Elsewhere, and brought here as a file."""
    text = statement or lab["hq"].run(["plaingate", "commit", "statement", str(number)]).stdout
    signature = subprocess.run(["ssh-keygen", "-q", "-Y", "sign", "-n", namespace, "-f", keys / name], input=text, capture_output=True,
                               text=True, check=True).stdout
    (lab["hq"].state / "etc" / "signature").write_text(signature, encoding="utf-8")
    return lab["hq"].run(["plaingate", "commit", "sign", str(number), "--signature", "/etc/plaingate/signature"], check=False)


def verify(lab, *options, directory=None):
    state = show(lab, "hq", "ledger")[0]["directory"].removesuffix("ledger")
    done = lab["hq"].run(["plaingate", "verify", "config", directory or state + "config", "--ledger", state + "ledger", "--json", *options],
                         check=False)
    return done, json.loads(done.stdout)[0] if done.stdout else {}


def test_two_of_four_sign(lab, keys):
    lab.commit("hq", configuration(keys, 2), "signatures from here on")
    number = propose(lab, configuration(keys, 2, host="hq-two"))
    row = proposals(lab)[-1]
    assert (row["required"], row["signatures"], row["signed_by"]) == (2, 0, "")
    done = sign(lab, keys, number, "alice")
    assert done.returncode == 0 and "1 of 2" in done.stdout
    for name, why in (("alice", "has signed this already"), ("mallory", "no administrator's"), ("carol", "may not change")):
        done = sign(lab, keys, number, name)
        assert done.returncode == 1 and why in done.stderr, (name, done.stderr)
    done = sign(lab, keys, number, "bob", namespace="file")
    assert done.returncode == 1 and "another purpose" in done.stderr
    done = sign(lab, keys, number, "bob", statement="plaingate-commit v1\n")
    assert done.returncode == 1 and "not this key's over this message" in done.stderr
    assert "hq-two" not in runs(lab)
    done = sign(lab, keys, number, "bob")
    assert done.returncode == 0 and "is running" in done.stdout, done.stdout + done.stderr
    assert "hq-two" in runs(lab) and proposals(lab) == []


def test_an_agent_signs(lab, keys, agent):
    number = propose(lab, configuration(keys, 2, host="hq-three"))
    environment = ["env", f"SSH_AUTH_SOCK={agent('mallory')}"]
    done = lab["hq"].run([*environment, "plaingate", "commit", "sign", str(number)], check=False)
    assert done.returncode == 1 and "no administrator's" in done.stderr
    agent("alice")  # the second key of the agent
    assert "1 of 2" in lab["hq"].run([*environment, "plaingate", "commit", "sign", str(number)]).stdout
    agent("bob")
    done = lab["hq"].run([*environment, "plaingate", "commit", "sign", str(number), "--key", str(keys / "bob.pub")], check=False)
    assert done.returncode == 0 and "is running" in done.stdout, done.stderr


def test_proposals_outlive_control(lab, keys):
    number = propose(lab, configuration(keys, 2, host="hq-four"), "before a death")
    assert sign(lab, keys, number, "alice").returncode == 0
    pid = processes(lab, "hq")["control"][0]
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: lab["hq"].run(["plaingate", "show", "status"], check=False).returncode == 0
             and processes(lab, "hq").get("control", (pid,))[0] != pid, 20, "another control")
    row = proposals(lab)[-1]
    assert (row["proposal"], row["signed_by"], row["comment"]) == (number, "alice", "before a death")
    other = propose(lab, configuration(keys, 2, host="hq-five"))
    assert sign(lab, keys, number, "bob").returncode == 0 and "hq-four" in runs(lab)
    assert proposals(lab) == [], "what was proposed over another base is gone"
    assert sign(lab, keys, other, "bob", statement="x").returncode == 1


def test_numbers_are_given_once(lab, keys):
    numbers = [propose(lab, configuration(keys, 2, host=f"hq-n{i}")) for i in range(4)]
    done = lab["hq"].run(["plaingate", "commit", "/etc/plaingate/proposed.conf"], check=False)
    assert done.returncode == 1 and "root (console) has 4 proposals" in done.stderr
    for number in numbers:
        lab["hq"].run(["plaingate", "commit", "withdraw", str(number)])
    pid = processes(lab, "hq")["control"][0]
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: lab["hq"].run(["plaingate", "show", "status"], check=False).returncode == 0
             and processes(lab, "hq").get("control", (pid,))[0] != pid, 20, "another control")
    number = propose(lab, configuration(keys, 2, host="hq-n4"))
    assert number == numbers[-1] + 1
    lab["hq"].run(["plaingate", "commit", "withdraw", str(number)])


def test_who_withdraws(lab, keys):
    lab["hq"].run("chmod 0666 /run/plaingate/control.sock")
    number = propose(lab, configuration(keys, 2, host="hq-of-root"), "a test", "--cut-off")
    assert proposals(lab)[-1]["options"] == "cut-off"
    statement = lab["hq"].run(["plaingate", "commit", "statement", str(number)]).stdout
    assert "plaingate-commit v2" in statement and "certificates none" in statement and "options cut-off" in statement

    def withdraw(who):
        return lab["hq"].run(["setpriv", "--reuid", UIDS[who], "--regid", "65534", "--clear-groups", "/usr/libexec/plaingate/plaingate", "commit",
                              "withdraw", str(number)], check=False)
    done = withdraw("carol")
    assert done.returncode == 1 and "only who has proposed it or may sign it" in done.stderr
    assert withdraw("alice").returncode == 0 and proposals(lab) == []


def test_fewer_signatures_need_those_of_before(lab, keys):
    number = propose(lab, configuration(keys, 1, host="hq-four"))
    assert "may not change" in sign(lab, keys, number, "alice").stderr
    assert "1 of 2" in sign(lab, keys, number, "carol").stdout
    lab["hq"].run(["plaingate", "commit", "withdraw", str(number)])
    assert proposals(lab) == []


def test_what_is_not_confirmed_comes_back(lab, keys):
    before = runs(lab)
    number = propose(lab, configuration(keys, 2, host="hq-six"), "for a minute", "--confirm-within", "1")
    for name in ("alice", "bob"):
        assert sign(lab, keys, number, name).returncode == 0
    assert "hq-six" in runs(lab)
    other = propose(lab, configuration(keys, 2, host="hq-seven"))
    assert sign(lab, keys, other, "alice").returncode == 0
    done = sign(lab, keys, other, "bob")
    assert done.returncode == 1 and "waits until" in done.stderr and "hq-six" in runs(lab), "what comes back undoes no signed commit"
    wait_for(lambda: runs(lab) == before, 90, "the configuration from before")


def test_all_of_it_is_proved(lab, keys):
    done, report = verify(lab)
    assert done.returncode == 0 and report["good"], done.stdout + done.stderr
    assert (report["signed"], report["signatures"], report["restored"], report["required"]) == (4, 8, 1, 2)
    entries = [e["body"] for e in ledger_entries(lab, "hq") if e["type"] == "config_signature"]
    assert [e["admin"] for e in entries] == ["alice", "bob"] * 4
    events = [e["body"]["event"] for e in ledger_entries(lab, "hq") if e["type"] == "config_proposal"]
    assert {"proposed", "signed", "withdrawn", "replaced"} <= set(events)


def test_a_missing_text_is_found(lab, keys):
    config = ledger_directory(lab, "hq").parent / "config"
    copy = config.parent / "config-copy"
    shutil.copytree(config, copy)
    (copy / "rollback.1").unlink()  # the one that came and went
    state = show(lab, "hq", "ledger")[0]["directory"].removesuffix("ledger")
    done, report = verify(lab, directory=state + "config-copy")
    assert done.returncode == 1 and "is missing" in report["finding"], done.stdout
