"""The sources of secrets in running gateways: what the ledger says of them, and that nothing is made when one is missing."""
import hashlib
import json
import os
import signal
import time
from pathlib import Path

import pytest
from kit import ROOT, ledger_entries, own_lab, processes, show, verify_ledger, wait_for


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
    assert entries_of(lab, "noise_start")[0]["body"]["sources"].startswith("processor jitter")
    assert not entries_of(lab, "source_failed")


def test_a_keeper_with_other_answers_does_not_run(lab):
    """The file is replaced on the running machine, and the keeper started anew: no secrets until it is what it should be."""
    share = lab.state / "share/known-answers.json"
    good = share.read_text()
    body = json.loads(good)
    body["answers"][0]["output"] = body["answers"][0]["output"][::-1]
    rows = ",\n".join(json.dumps(row, separators=(",", ":")) for row in body["answers"])
    share.write_text('{"answers":[\n' + rows + "\n]}\n")
    before = len(entries_of(lab, "known_answers", "branch"))
    try:
        os.kill(processes(lab, "branch")["keeper"][0], signal.SIGKILL)
        wait_for(lambda: len(entries_of(lab, "known_answers", "branch")) >= before + 2, 15, "two tries to start the keeper")
        assert next(row for row in show(lab, "branch", "status") if row["process"] == "keeper")["state"] != "ready"
        wrong = entries_of(lab, "known_answers", "branch")[-1]["body"]["sha256"]
        assert wrong == hashlib.sha256(share.read_bytes()).hexdigest()
        assert "sha-256 does not give the known answer" in Path(lab["branch"].state / "plaingated.log").read_text(errors="replace")
    finally:
        share.write_text(good)
    wait_for(lambda: next(row for row in show(lab, "branch", "status") if row["process"] == "keeper")["state"] == "ready", 20, "the keeper")
    lab.wait_for_tunnel(60)


def established(lab, gateway):
    return any(row["state"] == "established" for row in show(lab, gateway, "ike"))


def test_without_the_second_source_no_secret_is_made(lab):
    """Its process stands still, and the keeper begins anew without anything from it: no handshake until it goes on."""
    pid = processes(lab, "hq")["entropy"][0]
    os.kill(pid, signal.SIGSTOP)
    try:
        before = processes(lab, "hq")["keeper"][1]
        os.kill(processes(lab, "hq")["keeper"][0], signal.SIGKILL)
        wait_for(lambda: processes(lab, "hq").get("keeper", (0, before))[1] > before, 15, "a new keeper")
        time.sleep(5)
        assert not established(lab, "hq"), "an IKE SA without the second source"
    finally:
        os.kill(pid, signal.SIGCONT)
    wait_for(lambda: established(lab, "hq"), 60, "an IKE SA, now that both sources are there")
    lab.wait_for_tunnel(60)


def test_a_new_second_source_is_tested_anew(lab):
    before = len(entries_of(lab, "noise_start"))
    os.kill(processes(lab, "hq")["entropy"][0], signal.SIGKILL)
    wait_for(lambda: len(entries_of(lab, "noise_start")) == before + 1, 15, "the entry of its start")
    lab["hq"].run("plaingate ike rekey branch")
    lab.wait_for_tunnel(60)
