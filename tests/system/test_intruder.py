"""An intruder with root on a gateway: he reads a key file, opens a rule, clears sessions, and restores the disk as it was, including the
ledger. Then a stranger, who has a policy file, the answers of the witness at another site, and a copy of the ledger that somebody made
meanwhile: he finds out that it happened, when, what was done and by whom. Without the copy he finds that it happened, when, and how much is
missing. What nothing shows is asserted as well."""
import base64
import hashlib
import json
import os
import signal
import struct
import subprocess
import tarfile
import time
from datetime import datetime, timezone

import pytest
from kit import entries_in, ledger_entries, own_lab, processes, show, wait_for
from test_witnessed import Witness, with_witnesses

SEEN = """
import hashlib, http.client, sys
c = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]), timeout=5)
c.request("GET", "/" + hashlib.sha256(sys.argv[2].encode()).hexdigest() + "/checkpoint")
sys.stdout.write(c.getresponse().read().decode())
"""


def now():
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


class Case:
    """What happened on hq, and the stranger's files."""

    def __init__(self, lab, stranger):
        self.lab, self.stranger = lab, stranger
        self.witness = Witness(lab, "elsewhere", 7384)
        self.vkey = show(lab, "hq", "ledger")[0]["vkey"]
        self.witness.start(self.vkey)
        self.honest = with_witnesses("hq", (self.witness,))
        lab.commit("hq", self.honest, "a witness elsewhere")
        self.wait_cosigned()
        self.policy = stranger / "policy"
        self.policy.write_text(f"log {self.vkey}\nwitness elsewhere {self.witness.vkey}\nquorum elsewhere\n", encoding="utf-8")
        self.intrude()
        self.note = stranger / "seen"
        self.note.write_text(lab["web"].run(["/usr/bin/python3", "-c", SEEN, self.witness.port, self.vkey.split("+")[0]]).stdout,
                             encoding="utf-8")

    def wait_cosigned(self):
        wait_for(lambda: (row := show(self.lab, "hq", "ledger"))[1]["cosigned_size"] == row[0]["size"], 15, "the witness's cosignature")

    def intrude(self):
        hq, lib = self.lab["hq"], self.lab["hq"].state / "lib"
        self.disk = self.lab.state / "disk-before"
        subprocess.run(["cp", "-a", lib, self.disk], check=True)
        time.sleep(0.01)
        self.begin = now()
        hq.run("cat /etc/plaingate/keys/hq-branch.psk")
        self.opened = self.honest.replace("                reject;", "                permit;", 1)
        assert self.opened != self.honest
        self.lab.commit("hq", self.opened, "")
        hq.run("plaingate clear sessions --dport 23")
        self.end = now()
        self.wait_cosigned()
        # He kills the gateway, so that it enters nothing more. The copy is what the site's own backup has by then.
        pids = [pid for pid, _ in processes(self.lab, "hq").values()]
        self.lab.daemons["hq"].send_signal(signal.SIGKILL)
        self.lab.daemons["hq"].wait(10)
        wait_for(lambda: not any(os.path.exists(f"/proc/{pid}/ns/net") for pid in pids), 5, "the children to end")
        self.copy = self.stranger / "copy"
        subprocess.run(["cp", "-a", lib, self.copy], check=True)
        hq.run("find /var/lib/plaingate -mindepth 1 -delete", check=False)
        hq.run(["cp", "-a", f"{self.disk}/.", "/var/lib/plaingate/"])
        self.lab.start_gateway("hq")

    def plaingate(self, *words):
        """On the stranger's machine: no gateway is asked."""
        return subprocess.run([str(self.lab.build / "src/cli/plaingate"), *map(str, words)], capture_output=True, text=True, timeout=60,
                              check=False)


@pytest.fixture(scope="module")
def case(tmp_path_factory):
    lab = own_lab("pgo")
    lab.up("on")
    try:
        lab.wait_for_tunnel()
        yield Case(lab, tmp_path_factory.mktemp("stranger"))
    finally:
        lab.down()


def verified(case, directory, *options, status=0):
    done = case.plaingate("verify", "ledger", directory, "--json", "--policy", case.policy, *options)
    assert done.returncode == status, done.stdout + done.stderr
    return json.loads(done.stdout)[0]


def seen(case):
    """Size of the head that the witness saw last, and when."""
    text, lines = case.note.read_text(encoding="utf-8").split("\n\n")
    line = next(line for line in lines.splitlines() if line.startswith("\u2014 witness.example/elsewhere "))
    return int(text.split("\n")[1]), struct.unpack("!Q", base64.b64decode(line.split(" ")[2])[4:12])[0]


def utc(seconds):
    return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S")


def test_the_gateway_says_it_at_its_start(case):
    """It does not continue from the state of the disk: another log begins, and its entry says how much is gone."""
    size, _ = seen(case)
    entry = next(e for e in ledger_entries(case.lab, "hq") if e["type"] == "ledger_recovery")["body"]
    assert entry["origin"] == case.vkey.split("+")[0] and entry["seen_size"] == size > entry["disk_size"], entry
    assert entry["disk_size"] == len(entries_in(case.disk / "ledger"))


def test_a_stranger_finds_that_the_disk_was_put_back(case):
    size, time_s = seen(case)
    # By itself the restored ledger is whole: nothing in it is wrong.
    report = verified(case, case.disk / "ledger")
    assert report["good"] and report["quorum"]
    # The witness knows better: how much is missing, and in which time it happened.
    found = verified(case, case.disk / "ledger", "--checkpoint", case.note, status=1)
    assert not found["good"] and found["class"] == "head", found
    assert report["size"] < size and report["last_utc"] < case.begin and case.begin[:19] <= utc(time_s), (report["last_utc"], time_s)


def test_with_a_copy_he_finds_what_when_and_by_whom(case):
    report = verified(case, case.copy / "ledger", "--checkpoint", case.note)
    size, time_s = seen(case)
    assert report["good"] and report["quorum"] and report["cosigned_size"] == size
    # What is reported is within what the witness saw, and not later than it saw it.
    told = [(i, e) for i, e in enumerate(entries_in(case.copy / "ledger")) if case.begin <= e["utc"] <= case.end]
    assert told and all(i < size and e["utc"][:19] <= utc(time_s) for i, e in told)
    commit = [e["body"] for _, e in told if e["type"] == "config_commit"]
    assert len(commit) == 1 and commit[0]["admin"] == "root (console)", told
    assert commit[0]["sha256"] == hashlib.sha256(case.opened.encode()).hexdigest()
    assert commit[0]["previous"] == hashlib.sha256(case.honest.encode()).hexdigest()
    acts = [e["body"] for _, e in told if e["type"] == "admin_act" and e["body"]["act"] == "clear sessions"]
    assert len(acts) == 1 and acts[0]["admin"] == "root (console)" and "23" in acts[0]["detail"], told
    # As a bundle for a third party, with the text that was committed.
    bundle = case.stranger / "case.bundle"
    done = case.plaingate("investigate", case.copy / "ledger", "--from", case.begin, "--to", case.end, "-o", bundle, "--key", case.vkey)
    assert done.returncode == 0, done.stdout + done.stderr
    checked = verified(case, bundle, "--checkpoint", case.note)
    assert checked["good"] and checked["evidence_bundle"], checked
    with tarfile.open(bundle) as tar:
        assert tar.extractfile(f"config/{commit[0]['sha256']}.conf").read().decode() == case.opened


def test_what_nothing_shows(case):
    """That root read a file is entered by nobody, and is not detected."""
    told = [e for e in entries_in(case.copy / "ledger") if case.begin <= e["utc"] <= case.end]
    assert not any("hq-branch.psk" in json.dumps(e) for e in told), told
