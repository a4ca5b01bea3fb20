"""A gateway and its witnesses: the ledger's checkpoints are cosigned as entries come, actions wait for that where required, silence is
entered, and a disk that was restored or wiped is detected before anything is signed over it.

The witnesses are plaingate-witness on the machine `web`; what they sign is checked by python3-cryptography."""
import base64
import hashlib
import json
import os
import signal
import struct
import subprocess
import time

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from kit import bundle_entries, calm_time, config_of, journal_records, ledger_entries, own_lab, processes, show, verify_ledger, wait_for

ADDRESS, HEARTBEAT = "192.0.2.80", 2
DASH = "\u2014 "


class Witness:
    def __init__(self, lab, name, port):
        self.lab, self.name, self.port, self.process = lab, name, port, None
        self.directory = lab["web"].state / f"witness-{name}"
        self.directory.mkdir()
        self.program = lab.build / "src/proc/witness/plaingate-witness"
        self.vkey = lab["web"].run([self.program, "--key", self.directory / "key", "--new-key", f"witness.example/{name}"]).stdout.strip()
        self.logs = []

    def start(self, *logs):
        """Knows these logs from now on, in addition to those it knew."""
        self.stop()
        self.logs += [log for log in logs if log not in self.logs]
        log_file = self.directory / "log"
        said = log_file.stat().st_size if log_file.exists() else 0
        self.process = self.lab["web"].daemon(
            [self.program, "--key", self.directory / "key", "--db", self.directory / "db", "--listen", f"0.0.0.0:{self.port}",
             *[word for log in self.logs for word in ("--log", log)]], log_file)
        wait_for(lambda: b"listening on" in log_file.read_bytes()[said:], 10, f"the witness {self.name} to listen: {log_file}")

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
        if self.process:
            self.process.wait(10)

    def text(self):
        return f'    witness {self.name} {{\n        address {ADDRESS};\n        port {self.port};\n        key "{self.vkey}";\n    }}\n'


def with_witnesses(gateway, witnesses, *more):
    body = "".join(w.text() for w in witnesses) + "".join(f"    {line}\n" for line in (f"heartbeat {HEARTBEAT};", *more))
    return config_of(gateway) + "\nevidence {\n" + body + "}\n"


@pytest.fixture(scope="module")
def lab():
    two_sites = own_lab("pgn")
    two_sites.up("on")
    try:
        two_sites.wait_for_tunnel()
        two_sites.one, two_sites.two = Witness(two_sites, "one", 7381), Witness(two_sites, "two", 7382)
        for witness in (two_sites.one, two_sites.two):
            witness.start(*[vkey(two_sites, gateway) for gateway in ("hq", "branch")])
        two_sites.commit("hq", with_witnesses("hq", (two_sites.one, two_sites.two)), "two witnesses")
        two_sites.commit("branch", with_witnesses("branch", (two_sites.two,)), "one witness")
        yield two_sites
        for gateway in ("hq", "branch"):
            verify_ledger(two_sites, gateway)
    finally:
        two_sites.down()


# --- what is observed ---

def log_row(lab, gateway="hq"):
    return show(lab, gateway, "ledger")[0]


def vkey(lab, gateway):
    return log_row(lab, gateway)["vkey"]


def witness_row(lab, name, gateway="hq"):
    return next(row for row in show(lab, gateway, "ledger")[1:] if row["witness"] == name)


def directory(lab, gateway="hq"):
    return lab[gateway].state / "lib/ledger"


def checkpoint(lab, gateway="hq", file="checkpoint"):
    """(text, size, signature lines)"""
    text, lines = (directory(lab, gateway) / file).read_text(encoding="utf-8").split("\n\n")
    return text + "\n", int(text.split("\n")[1]), lines.splitlines()


def cosigned_at(witness, text, line):
    """The time of a cosignature, which must be valid."""
    name, key_id, key = witness.vkey.split("+", 2)
    assert line.startswith(f"{DASH}{name} ")
    blob, public = base64.b64decode(line.split(" ")[2]), base64.b64decode(key)
    assert public[0] == 4 and blob[:4].hex() == key_id
    assert hashlib.sha256(name.encode() + b"\n" + public).hexdigest()[:8] == key_id
    seconds = struct.unpack("!Q", blob[4:12])[0]
    Ed25519PublicKey.from_public_bytes(public[1:]).verify(blob[12:], f"cosignature/v1\ntime {seconds}\n{text}".encode())
    return seconds


def cosignatures(lab, gateway="hq"):
    """{name: time} in the published checkpoint, and its size."""
    text, size, lines = checkpoint(lab, gateway)
    found = {}
    for witness in (lab.one, lab.two):
        for line in lines[1:]:
            if line.startswith(f"{DASH}witness.example/{witness.name} "):
                found[witness.name] = cosigned_at(witness, text, line)
    assert len(found) == len(lines) - 1
    return found, size


def wait_cosigned(lab, names, gateway="hq", timeout=10):
    wait_for(lambda: set(cosignatures(lab, gateway)[0]) == set(names) and
             cosignatures(lab, gateway)[1] == log_row(lab, gateway)["size"], timeout, f"cosignatures of {names}")


def last_entry(lab, type_, gateway="hq"):
    found = [(i, e) for i, e in enumerate(ledger_entries(lab, gateway)) if e["type"] == type_]
    return found[-1] if found else (-1, None)


def entries_after(lab, first, type_):
    """Those of a type behind so many entries."""
    return [(i, e) for i, e in enumerate(ledger_entries(lab, "hq")) if i >= first and e["type"] == type_]


def commit(lab, text, comment, gateway="hq"):
    (lab[gateway].state / f"etc/{gateway}.conf").write_text(text, encoding="utf-8")
    return lab[gateway].run(["plaingate", "commit", f"/etc/plaingate/{gateway}.conf", "--comment", comment], check=False, timeout=20)


def entry_time(entry):
    seconds, micro = entry["utc"].rstrip("Z").split(".")
    return time.mktime(time.strptime(seconds, "%Y-%m-%dT%H:%M:%S")) - time.timezone + int(micro) / 1e6


# --- tests ---

def test_cosigned_within_a_second(lab):
    wait_cosigned(lab, ["one", "two"])
    took = []
    for i in range(5):
        text = with_witnesses("hq", (lab.one, lab.two))
        done = commit(lab, text, f"again {i}")
        assert done.returncode == 0, done.stderr
        index, entry = last_entry(lab, "config_commit")
        assert entry["body"]["comment"] == f"again {i}"
        wait_for(lambda: cosignatures(lab)[1] > index and len(cosignatures(lab)[0]) == 2, 5, "both cosignatures", pause=0.01)
        took.append(time.time() - entry_time(entry))
    # from the entry's own time until we have read the file; the wait above would last 5 s
    print(f"from the entry to the cosignatures: {took}")
    assert sorted(took)[2] < 1, f"from the entry to the cosignatures: {took}"
    row = witness_row(lab, "two")
    assert row["cosigned_size"] >= index + 1 and row["last_contact_s"] <= HEARTBEAT + 1 and row["error"] == "", row


def test_each_witness_knows_both_gateways(lab):
    wait_cosigned(lab, ["one", "two"])
    wait_cosigned(lab, ["two"], "branch")
    rows = show(lab, "branch", "ledger")
    assert [row["witness"] for row in rows[1:]] == ["two"]


def test_a_stranger_with_a_policy_file(lab):
    """With the directory and the keys, anyone can see how far the witnesses have cosigned; an additional witness that was never asked is
    reported as missing."""
    policy = f"log {vkey(lab, 'hq')}\nwitness one {lab.one.vkey}\nwitness two {lab.two.vkey}\n"
    stranger = Witness(lab, "stranger", 7383)
    wait_cosigned(lab, ["one", "two"])
    for quorum, status in (("group all all one two\nquorum all\n", 0),
                           (f"witness three {stranger.vkey}\ngroup all all one two three\nquorum all\n", 1)):
        (lab["hq"].state / "etc/policy").write_text(policy + quorum, encoding="utf-8")
        done = lab["hq"].run("plaingate verify ledger /var/lib/plaingate/ledger --policy /etc/plaingate/policy", check=False)
        assert done.returncode == status, done.stdout + done.stderr
    kept = checkpoint(lab, file="cosigned")
    assert len(kept[2]) == 3 and all(cosigned_at(w, kept[0], line) for w, line in zip((lab.one, lab.two), kept[2][1:]))


def next_challenge(lab):
    """The keeper restarts, and with it the batches of ephemeral keys: (seconds from its first batch to the challenge, what the challenge came
    from). Everything that the challenge picks is disclosed then."""
    def of_type(type_, **body):
        return [e for e in ledger_entries(lab, "hq") if e["type"] == type_ and body.items() <= e["body"].items()]

    # A keeper's first batch follows none; the old one may die amid its next batch, whose challenge is then the last that is heard of it.
    before = len(of_type("leaf_batch", previous=""))
    os.kill(processes(lab, "hq")["keeper"][0], signal.SIGKILL)
    batch = wait_for(lambda: of_type("leaf_batch", previous="")[before:], 20, "the next keeper's first batch")[0]
    root = batch["body"]["root"]
    challenge = wait_for(lambda: of_type("leaf_challenge", batch=root), 20, "that batch's challenge")[0]
    wait_for(lambda: len(of_type("leaves_opened", batch=root)) == 2, 10, "64 leaves in two entries")
    return entry_time(challenge) - entry_time(batch), challenge["body"]["attestation"]


def judged_by(lab, quorum):
    """What `verify randomness` says of hq's batches with this policy."""
    policy = "/etc/plaingate/policy"
    options = ["--policy", policy] if quorum else []
    (lab["hq"].state / "etc/policy").write_text(f"witness one {lab.one.vkey}\nwitness two {lab.two.vkey}\n{quorum}", encoding="utf-8")
    done = lab["hq"].run(["plaingate", "verify", "randomness", "/var/lib/plaingate/ledger", "--json", *options], check=False)
    assert done.returncode in (0, 5), done.stdout + done.stderr  # 5: less is proved than was asked for, as of the first batches
    said = json.loads(done.stdout)[0]
    assert said["failures"] == 0
    return said


BOTH, ONE = "group both all one two\nquorum both\n", "quorum one\n"


def test_ephemeral_keys_are_challenged_by_the_witnesses(lab):
    wait_cosigned(lab, ["one", "two"])
    before = judged_by(lab, BOTH)
    took, later = next_challenge(lab)
    assert len(later.split(" ")) == 3, f"the size and two cosignatures: {later}"
    assert took < 2, f"no witness was waited for in vain: {took}"
    wait_cosigned(lab, ["one", "two"])
    both, nobody = judged_by(lab, BOTH), judged_by(lab, "")
    assert both["batches_cosigned"] > before["batches_cosigned"]
    assert both["challenge_wait_s"] <= 3 and 4 <= both["challenge_wait_entries"] < 64, "behind the batch's hashes, and not for long"
    assert nobody["batches_unchecked"] >= both["batches_cosigned"] and nobody["batches_cosigned"] == 0
    assert nobody["batches_weak"] >= 1, "the first batch came before there were witnesses"
    assert judged_by(lab, "quorum none\n")["batches_cosigned"] == 0
    took, later = next_challenge(lab)
    assert len(later.split(" ")) == 3 and took < 2


def test_a_witness_that_is_away_holds_up_no_batch(lab):
    lab.two.stop()
    try:
        took, later = next_challenge(lab)
        assert took < 3 and len(later.split(" ")) == 2, f"what the other one signed: {took} s, {later}"
    finally:
        lab.two.start()
    wait_cosigned(lab, ["one", "two"], timeout=20)
    one, both = judged_by(lab, ONE), judged_by(lab, BOTH)
    assert one["batches_cosigned"] > both["batches_cosigned"], "good enough for who trusts the one alone"


def test_heartbeat(lab):
    """Nothing is entered, and the witnesses sign repeatedly: with a later time, over the same tree."""
    wait_cosigned(lab, ["one", "two"])
    for _ in range(10):  # something may be entered by itself meanwhile, such as a rekey, and one of them sign before the other
        first, size = cosignatures(lab)
        time.sleep(2 * HEARTBEAT + 1)
        later, size_later = cosignatures(lab)
        if size == size_later and len(first) == len(later) == 2:
            break
    assert size == size_later and len(first) == len(later) == 2, (first, later, size, size_later)
    assert all(later[name] - first[name] >= HEARTBEAT for name in ("one", "two")), (first, later)


def test_silence_and_return(lab):
    wait_cosigned(lab, ["one", "two"])  # on a busy machine it may have been missing before
    wait_for(lambda: witness_row(lab, "two")["state"] != "missing", 10, "the return of the witness")
    first = len(ledger_entries(lab, "hq"))
    lab.two.stop()
    try:
        index, entry = wait_for(lambda: entries_after(lab, first, "witness_missing"), 5 * HEARTBEAT + 5,
                                "the entry of a witness that is missing")[0]
        body = entry["body"]
        assert body["witness"] == "two" and body["silent_s"] >= 3 * HEARTBEAT and "refused" in body["error"], body
        row = witness_row(lab, "two")
        assert row["state"] == "missing" and "refused" in row["error"], row
        # the other one has it
        wait_for(lambda: cosignatures(lab)[1] > index and "one" in cosignatures(lab)[0], 5, "the other's cosignature of that entry")
    finally:
        lab.two.start()
    _, entry = wait_for(lambda: entries_after(lab, first, "witness_returned"), 20, "the entry of its return")[0]
    assert entry["body"]["witness"] == "two" and entry["body"]["silent_s"] >= 3 * HEARTBEAT, entry
    wait_cosigned(lab, ["one", "two"])
    assert len(entries_after(lab, first, "witness_missing")) == 1, "one silence, one entry"


def test_required_commit_waits(lab):
    text = with_witnesses("hq", (lab.one, lab.two), "required [ commit witnesses act ];")
    done = commit(lab, text, "from now on")
    assert done.returncode == 0, done.stderr
    _, entry = last_entry(lab, "witnesses_change")
    assert "required nothing" in entry["body"]["before"] and "required commit witnesses act" in entry["body"]["after"], entry
    # with both there
    done = commit(lab, text, "witnessed")
    assert done.returncode == 0, done.stderr
    index, _ = last_entry(lab, "config_commit")
    assert all(witness_row(lab, name)["cosigned_size"] > index for name in ("one", "two")), "the receipt came before the cosignatures"
    assert lab["hq"].run("plaingate clear sessions --dport 5299", check=False).returncode == 0


def test_required_commit_fails_without_its_witness(lab):
    text = with_witnesses("hq", (lab.one, lab.two), "required [ commit witnesses act ];")
    running = lab["hq"].run("plaingate show configuration").stdout
    generation = last_entry(lab, "config_commit")[1]["body"]["generation"]
    lab.two.stop()
    try:
        begun = calm_time()
        done = commit(lab, text.replace("host-name hq;", "host-name elsewhere;"), "alone")
        assert done.returncode == 1 and calm_time() - begun < 10, done
        assert "did not cosign" in done.stderr and "nothing is changed" in done.stderr, done.stderr
        assert "two (" in done.stderr and "one (" not in done.stderr, done.stderr
        assert lab["hq"].run("plaingate show configuration").stdout == running
        _, refused = last_entry(lab, "config_refused")
        assert "two (" in refused["body"]["error"], refused
        # neither can a commit remove the unreachable witness, nor is an action done
        done = commit(lab, with_witnesses("hq", (lab.one,)), "without it")
        assert done.returncode == 1 and "two (" in done.stderr, done
        act = lab["hq"].run("plaingate clear sessions --dport 5299", check=False, timeout=20)
        assert act.returncode == 1 and "two (" in act.stderr, act
        given_up = wait_for(lambda: last_entry(lab, "admin_act_aborted")[1], 5, "the entry of the act that was not done")
        assert given_up["body"]["entry"] == last_entry(lab, "admin_act")[1]["n"] and "two (" in given_up["body"]["reason"], given_up
        assert lab["hq"].run("plaingate show configuration").stdout == running
    finally:
        lab.two.start()
    done = commit(lab, text, "together")
    assert done.returncode == 0, done.stderr
    assert last_entry(lab, "config_commit")[1]["body"]["generation"] == generation + 1, "a refused commit counts for nothing"


def test_one_of_two_suffices(lab):
    """quorum 1: an action that requires the quorum waits for one of them."""
    done = commit(lab, with_witnesses("hq", (lab.one, lab.two), "quorum 1;", "required commit;"), "one is enough")
    assert done.returncode == 0, done.stderr
    lab.two.stop()
    try:
        done = commit(lab, with_witnesses("hq", (lab.one, lab.two), "quorum 1;", "required commit;"), "with one")
        assert done.returncode == 0, done.stderr
    finally:
        lab.two.start()
    wait_cosigned(lab, ["one", "two"], timeout=20)


def test_keys_that_are_none_are_refused(lab):
    text = with_witnesses("hq", (lab.one, lab.two))
    for broken in (text.replace(lab.one.vkey, lab.one.vkey.replace("witness.example", "witness.elsewhere")),  # the id is another name's
                   text.replace(lab.one.vkey, vkey(lab, "hq"))):  # a log's key
        done = commit(lab, broken, "broken")
        assert done.returncode == 1 and "witness" in done.stderr and "one" in done.stderr, done


def stop_gateway(lab, gateway="hq"):
    lab.daemons[gateway].send_signal(signal.SIGTERM)
    lab.daemons[gateway].wait(15)


def all_entries(path):
    """A copy of a ledger that is not being written to, including the journal."""
    entries, bundles = [], {}
    for file in (p for p in (path / "tile/entries").rglob("*") if p.is_file()):
        whole, _, width = str(file.relative_to(path / "tile/entries")).partition(".p/")
        bundles.setdefault(whole, []).append((int(width) if width else 256, file))
    for whole in sorted(bundles):
        entries += bundle_entries(max(bundles[whole])[1].read_bytes())
    for first, more in journal_records((path / "journal").read_bytes()):
        entries += more[len(entries) - first:]
    return entries


def begin_again(lab, before):
    """The gateway is started over a disk that is behind; checks the new log, and lets the witnesses know it. Returns the entry."""
    said = (lab["hq"].state / "plaingated.log").stat().st_size
    lab.start_gateway("hq")
    row = wait_for(lambda: log_row(lab)["origin"] != before["origin"] and log_row(lab), 10, "a new log")
    told = (lab["hq"].state / "plaingated.log").read_text(encoding="utf-8")[said:]
    assert "does not continue" in told and "truncated, changed or restored" in told, told
    assert row["origin"].startswith(before["origin"].split("/20")[0] + "/20"), row
    entry = next(e for e in ledger_entries(lab, "hq")[:4] if e["type"] == "ledger_recovery")["body"]
    assert entry["origin"] == before["origin"], entry
    assert (entry["seen_size"], entry["seen_root"]) == before[entry["witness"]] and abs(entry["seen_time"] - time.time()) < 120, entry
    # the witnesses do not know it yet, and say so
    assert wait_for(lambda: "does not know" in witness_row(lab, "one")["error"] and witness_row(lab, "one"), 10, "an unknown log")
    for witness in (lab.one, lab.two):
        witness.start(row["vkey"])
    wait_cosigned(lab, ["one", "two"], timeout=20)
    verify_ledger(lab, "hq")
    return entry


def ended(lab):
    """Commits something, stops the gateway in an orderly way, and returns what the witnesses have seen last."""
    assert commit(lab, with_witnesses("hq", (lab.one, lab.two)), "to be lost").returncode == 0
    lab.wait_for_tunnel()
    wait_cosigned(lab, ["one", "two"])
    stop_gateway(lab)
    before = {"origin": origin_of(lab)}
    for witness in (lab.one, lab.two):
        _, size, root = json.loads(lab["web"].run(["/usr/bin/python3", "-c", SEEN, witness.port, before["origin"]]).stdout)
        before[witness.name] = (int(size), base64.b64decode(root).hex())
    return before


SEEN = """
import hashlib, http.client, json, sys
c = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]), timeout=5)
c.request("GET", "/" + hashlib.sha256(sys.argv[2].encode()).hexdigest() + "/checkpoint")
print(json.dumps(c.getresponse().read().decode().split("\\n")[:3]))
"""


def origin_of(lab):
    return checkpoint(lab)[0].split("\n")[0]


def test_a_wiped_ledger_is_found_at_the_start(lab):
    before = ended(lab)
    lab["hq"].run("find /var/lib/plaingate/ledger -mindepth 1 -delete")
    entry = begin_again(lab, before)
    assert entry["disk_size"] == 0
    lab.wait_for_tunnel()


def test_a_restored_disk_is_found_at_the_start(lab):
    stop_gateway(lab)
    snapshot = lab.state / "snapshot"
    subprocess.run(["cp", "-a", directory(lab), snapshot], check=True)
    lab.start_gateway("hq")
    before = ended(lab)
    lost = all_entries(directory(lab))
    held = all_entries(snapshot)
    assert len(held) < len(lost) and before["one"][0] > len(held)
    lab["hq"].run("rm -rf /var/lib/plaingate/ledger/tile /var/lib/plaingate/ledger/seal")
    lab["hq"].run(["cp", "-a", f"{snapshot}/.", "/var/lib/plaingate/ledger/"])
    entry = begin_again(lab, before)
    # what was on the disk is kept unchanged: nothing was signed over it
    archive = directory(lab) / entry["archive"]
    assert entry["disk_size"] == len(held) and all_entries(archive) == held
    assert checkpoint(lab, file=entry["archive"] + "/checkpoint")[1] == len(held)
    assert (archive / "checkpoint").read_bytes().split(b"\n\n")[0] == (snapshot / "checkpoint").read_bytes().split(b"\n\n")[0]
    assert (archive / "seen").read_text(encoding="utf-8").split("\n")[1] == str(entry["seen_size"])
    done = lab["hq"].run(["plaingate", "verify", "ledger", f"/var/lib/plaingate/ledger/{entry['archive']}"], check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    lab.wait_for_tunnel()


def test_a_start_without_witnesses_is_not_held_up(lab):
    """None of them answers: the gateway starts all the same, and reports that."""
    stop_gateway(lab)
    for witness in (lab.one, lab.two):
        witness.stop()
    said = (lab["hq"].state / "plaingated.log").stat().st_size
    begun = calm_time()
    lab.start_gateway("hq")
    assert calm_time() - begun < 10
    told = (lab["hq"].state / "plaingated.log").read_text(encoding="utf-8")[said:]
    assert "starting without an answer from all witnesses" in told, told
    for witness in (lab.one, lab.two):
        witness.start()
    wait_cosigned(lab, ["one", "two"], timeout=20)
    lab.wait_for_tunnel()
