"""The sources of randomness in running gateways: what the ledger says about them, and that no secret is made if one is missing."""
import base64
import hashlib
import json
import os
import signal
import time
from pathlib import Path

import pytest
from kit import ROOT, ledger_entries, memory, memory_holds, own_lab, processes, show, verify_ledger, wait_for


@pytest.fixture(scope="module")
def lab():
    two_sites = own_lab("pgr")
    two_sites.up("off")
    try:
        two_sites.wait_for_tunnel()
        yield two_sites
        verify_ledger(two_sites, "hq")
    finally:
        two_sites.down()


def entries_of(lab, kind, gateway="hq"):
    return [entry for entry in ledger_entries(lab, gateway) if entry["type"] == kind]


def test_the_ledger_names_both_the_source_and_the_answers(lab):
    file = (ROOT / "share/known-answers.json").read_bytes()
    order = [entry["type"] + "/" + entry["body"].get("process", "") for entry in ledger_entries(lab, "hq")]
    assert order.index("known_answers/") < order.index("process_start/keeper")
    assert entries_of(lab, "known_answers")[0]["body"] == {"file": "known-answers.json", "sha256": hashlib.sha256(file).hexdigest()}
    assert entries_of(lab, "entropy_start")[0]["body"]["sources"].startswith("processor jitter")
    assert not entries_of(lab, "entropy_failed")


def row_of(lab, gateway, process):
    return next(row for row in show(lab, gateway, "status") if row["process"] == process)


def verified(lab, gateway="hq"):
    """What `plaingate verify randomness` says of the running gateway's ledger."""
    directory = show(lab, gateway, "ledger")[0]["directory"]
    done = lab[gateway].run(["plaingate", "verify", "randomness", directory, "--json"], check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)[0]


def test_every_exchange_names_its_leaf(lab):
    for _ in range(5):
        lab["hq"].run("plaingate ike rekey branch")
        time.sleep(0.5)
    lab.wait_for_tunnel()
    for gateway in ("hq", "branch"):
        said = verified(lab, gateway)
        assert said["failures"] == 0 and said["leaves_unnamed"] == 0, said
        # An honest gateway uses its values in order, and enters which exchanges failed.
        assert said["weak"] == "" and said["order_late"] <= 1 and said["order_named"] >= said["leaves_named"], said
        assert said["values_unaccounted"] == 0 and said["leaves_unaccounted"] == 0, said
        assert said["leaves_named"] >= 6 and said["leaves_opened"] >= 128 and said["leaves_opened"] % 64 == 0, said
        assert said["escape"][0] == {"bad": 1, "chance": "0.75", "leaves": 256, "opened": 64}
        assert said["batches_weak"] == said["leaves_opened"] // 64


def test_shares_of_used_leaves_are_gone_from_the_keeper(lab):
    """The ledger has the SHA-256 of each share of a leaf that was used: nothing in the keeper's memory has that hash afterwards, although
    the same search found both shares before."""
    before = {}
    pid = processes(lab, "hq")["keeper"][0]
    for _, part in memory(pid, own_only=True):
        for at in range(0, len(part) - 31, 8):
            half = part[at:at + 32]
            if len(set(half)) > 20:  # 32 octets by chance are some 30 different ones
                before[hashlib.sha256(half).digest()] = half
    known = {entry["body"]["leaf_batch"] + str(entry["body"]["leaf_index"]) for entry in ledger_entries(lab, "hq") if entry["body"].get("leaf")}
    lab["hq"].run("plaingate ike rekey branch")

    def used():
        return [entry["body"] for entry in ledger_entries(lab, "hq") if entry["type"] == "ike_sa_rekeyed"
                and entry["body"]["leaf_batch"] + str(entry["body"]["leaf_index"]) not in known]

    wait_for(used, 20, "the entry of the rekey")
    hashes = [base64.b64decode(body["leaf"])[:64] for body in used()]
    shares = {}
    for number, both in enumerate(hashes):
        for name, digest in (("a", both[:32]), ("b", both[32:])):
            assert digest in before, f"the search must find half {name} where it was"
            shares[f"{number} {name}"] = before[digest]
    for process, (of, _) in processes(lab, "hq").items():
        assert not memory_holds(of, shares), process


def test_a_burst_is_seen_to_its_end(lab):
    """More exchanges than two batches can serve: each has its leaf, and the next batch is ready in time."""
    before = verified(lab, "hq")
    for _ in range(450):
        lab["hq"].run("plaingate ike rekey branch", check=False)
    time.sleep(2)
    lab.wait_for_tunnel(60)
    after = verified(lab, "hq")
    assert after["failures"] == 0 and after["leaves_named"] > before["leaves_named"] and after["weak"] == "", after


def test_a_keeper_with_other_answers_does_not_run(lab):
    """The file was replaced before the start: no secrets until it is correct. On a running machine it is not read again."""
    def start_again():
        lab["branch"].run(["sh", "-c", "kill $(cat /run/plaingate/plaingated.pid)"])
        lab.daemons["branch"].wait(20)
        lab.start_gateway("branch")

    share = lab.state / "share/known-answers.json"
    good = share.read_text()
    body = json.loads(good)
    body["answers"][0]["output"] = body["answers"][0]["output"][::-1]
    rows = ",\n".join(json.dumps(row, separators=(",", ":")) for row in body["answers"])
    share.write_text('{"answers":[\n' + rows + "\n]}\n")
    before = len(entries_of(lab, "known_answers", "branch"))
    try:
        start_again()
        wait_for(lambda: len(entries_of(lab, "known_answers", "branch")) >= before + 2, 15, "two tries to start the keeper")
        assert row_of(lab, "branch", "keeper")["state"] != "ready"
        wrong = entries_of(lab, "known_answers", "branch")[-1]["body"]["sha256"]
        assert wrong == hashlib.sha256(share.read_bytes()).hexdigest()
        assert "sha-256 does not give the known answer" in Path(lab["branch"].state / "plaingated.log").read_text(errors="replace")
    finally:
        share.write_text(good)
    start_again()
    wait_for(lambda: row_of(lab, "branch", "keeper")["state"] == "ready", 20, "the keeper")
    lab.wait_for_tunnel(60)


def established(lab, gateway):
    return any(row["state"] == "established" for row in show(lab, gateway, "ike"))


def test_without_the_second_source_no_secret_is_made(lab):
    """Its process is suspended, and the keeper restarts without any share from it: no handshake until it continues."""
    pid = processes(lab, "hq")["entropy"][0]
    os.kill(pid, signal.SIGSTOP)
    try:
        before = row_of(lab, "hq", "keeper")["restarts"]
        os.kill(processes(lab, "hq")["keeper"][0], signal.SIGKILL)
        wait_for(lambda: row_of(lab, "hq", "keeper")["restarts"] > before and row_of(lab, "hq", "keeper")["state"] == "ready", 15, "a new keeper")
        time.sleep(5)
        assert not established(lab, "hq"), "an IKE SA without the second source"
    finally:
        os.kill(pid, signal.SIGCONT)
    wait_for(lambda: established(lab, "hq"), 60, "an IKE SA, now that both sources are there")
    lab.wait_for_tunnel(60)


def test_a_new_second_source_is_tested_anew(lab):
    before = len(entries_of(lab, "entropy_start"))
    os.kill(processes(lab, "hq")["entropy"][0], signal.SIGKILL)
    wait_for(lambda: len(entries_of(lab, "entropy_start")) == before + 1, 15, "the entry of its start")
    lab["hq"].run("plaingate ike rekey branch")
    lab.wait_for_tunnel(60)
