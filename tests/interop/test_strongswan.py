"""Plaingate at hq against strongSwan of this machine's Debian at the branch, both as initiator and as responder, with numbered datagrams flowing both ways
across each step. strongSwan's ESP is that of its kernel-libipsec, see lab/strongswan.py for what it cannot do.
"""
import json
import os
import signal
import threading
import time

import pytest
from kit import HOST_A, HOST_B, LAN_FILTER, Capture, LabError, UdpStream, ledger_entries, processes, show, wait_for
from sites import flowing

PEER = ("strongSwan", "charon-systemd")
COMBINATIONS = [("psk", "aes"), ("psk", "chacha"), ("ecdsa", "aes"), ("ecdsa", "chacha")]


@pytest.mark.row("{auth}, {cipher}: established, data both ways")
@pytest.mark.parametrize("initiator", ["plaingate", "strongswan"])
@pytest.mark.parametrize("auth, cipher", COMBINATIONS)
def test_established_and_carries_data(sites, auth, cipher, initiator):
    both = sites(auth=auth, cipher=cipher)
    with Capture(both.lab, "internet", "hq0") as seen:
        both.start_from(initiator)
        with flowing(both) as udp, UdpStream(both.lab, "host-b", "host-a", HOST_A, port=5205) as back:
            udp.wait_flowing()
            back.wait_flowing()
        assert not udp.lost() and not back.lost()
    assert seen.count(LAN_FILTER) == 0 and seen.count("udp port 4500 and udp[8:4] != 0") > 0
    assert both.settled(), (both.child_spis(), both.our_spis())
    kinds = {entry["type"] for entry in ledger_entries(both.lab, "hq")}
    assert {"ike_sa_up", "sa_install"} <= kinds
    # We authenticate to a peer that has not authenticated itself only if we begin; otherwise the peer's authentication comes first.
    assert ("key_used" in kinds) == (initiator == "plaingate")


@pytest.mark.row("proposals of a peer that names none")
def test_a_peer_without_proposals(sites):
    """Where libcrypto has ML-KEM it is offered first; a peer that does not know it takes the same without."""
    both = sites(more=[("proposals modern;", "")])
    for initiator in ("plaingate", "strongswan"):
        both.start_from(initiator)
        with flowing(both) as udp:
            udp.wait_flowing()
        assert not udp.lost()
        named = [row["algorithms"] for row in show(both.lab, "hq", "ike") if row["state"] == "established"]
        assert named == ["aes256gcm16-prfsha384-x25519"], named
        both.swan.swanctl("--terminate --ike hq")
        wait_for(lambda: not both.ours() and not both.swan.sas(), 10, "both sides to forget the tunnel", pause=0.1)


@pytest.mark.row("rekey of {what}, by either side: nothing lost")
@pytest.mark.parametrize("by", ["plaingate", "strongswan"])
@pytest.mark.parametrize("what", ["child", "ike"])
@pytest.mark.parametrize("auth, cipher, initiator", [("psk", "aes", "plaingate"), ("ecdsa", "chacha", "strongswan")])
def test_rekey_loses_nothing(sites, auth, cipher, initiator, what, by):
    both = sites(auth=auth, cipher=cipher)
    both.start_from(initiator)
    before_ike, before_child = both.ike_spis(), both.child_spis()
    with flowing(both) as udp:
        udp.wait_flowing()
        if by == "strongswan":
            both.swan.swanctl("--rekey --child lan" if what == "child" else "--rekey --ike hq")
        else:
            both.plaingate("ike rekey-child branch" if what == "child" else "ike rekey branch")

        def new():
            return both.settled() and (not both.child_spis() & before_child if what == "child" else not both.ike_spis() & before_ike)

        wait_for(new, 15, f"the rekey: {both.swan.sas()} {show(both.lab, 'hq', 'ike')}; charon: {both.swan.log()[-800:]}", pause=0.1)
        udp.wait_flowing()
        time.sleep(1)
    assert not udp.lost() and not udp.twice(), f"{len(udp.lost())} of {len(udp.sent)} lost"
    if what == "ike":
        assert both.child_spis() == before_child, "the child moved to the new IKE SA as it was"


@pytest.mark.row("reauthentication by {by}, make before break")
@pytest.mark.parametrize("by", ["plaingate", "strongswan"])
def test_reauthentication(sites, by):
    """A new IKE SA with a new child SA takes the place of the old ones. By strongSwan nothing is lost. Where we begin, strongSwan sends by the
    new child SA before we have its answer, whose keys that makes: what comes until then cannot be opened, some milliseconds at most."""
    both = sites(make_before_break="yes")
    both.start_from("plaingate" if by == "plaingate" else "strongswan")
    before_ike, before_child = both.ike_spis(), both.child_spis()
    with flowing(both) as udp:
        udp.wait_flowing()
        if by == "strongswan":
            both.swan.swanctl("--rekey --ike hq --reauth")
        else:
            both.plaingate("ike reauthenticate branch")
        wait_for(lambda: both.settled() and not both.ike_spis() & before_ike and not both.child_spis() & before_child, 15,
                 f"the new IKE SA: {both.swan.sas()} {show(both.lab, 'hq', 'ike')}; charon: {both.swan.log()[-800:]}", pause=0.1)
        udp.wait_flowing()
        time.sleep(1)
    assert not udp.twice()
    if by == "strongswan":
        assert not udp.lost(), f"{udp.lost_where()}; charon: {both.swan.log()[-3000:]}"
    ends = [entry["body"]["reason"] for entry in ledger_entries(both.lab, "hq") if entry["type"] == "ike_sa_down"]
    assert any(("reauthentication" if by == "plaingate" else "made a newer one") in reason for reason in ends), ends


@pytest.mark.row("AUTH_LIFETIME (RFC 4478)")
def test_the_time_is_announced(sites):
    """strongSwan hears how long its authentication is good for, and schedules its own."""
    both = sites(more=[("dpd 30", "dpd 30;\n        reauthentication 300")])
    both.start_from("strongswan")
    assert "received AUTH_LIFETIME of" in both.swan.log(), both.swan.log()[-1500:]
    row = next(row for row in show(both.lab, "hq", "ike") if row["state"] == "established")
    assert 0 < row["authentication_ends_in_s"] <= 310


@pytest.mark.slow
def test_rekeys_one_after_the_other(sites):
    """Both sides in turn, child and IKE SA, under one stream."""
    both = sites()
    both.start_from("plaingate")
    with flowing(both) as udp:
        udp.wait_flowing()
        for _ in range(3):
            for rekey in (lambda: both.swan.swanctl("--rekey --child lan"), lambda: both.plaingate("ike rekey-child branch"),
                          lambda: both.swan.swanctl("--rekey --ike hq"), lambda: both.plaingate("ike rekey branch")):
                rekey()
                time.sleep(0.3)
                wait_for(both.settled, 10, "both sides to agree", pause=0.1)
    assert not udp.lost()


@pytest.mark.row("rekey of {what}, by both at once")
@pytest.mark.parametrize("what", ["child", "ike"])
def test_both_rekey_at_once(sites, what):
    """Both sides are told to rekey at the same moment, repeatedly: they come to the same result, and nothing is lost."""
    both = sites()
    both.start_from("plaingate")
    theirs, ours = ("--rekey --child lan", "ike rekey-child branch") if what == "child" else ("--rekey --ike hq", "ike rekey branch")
    # charon's ESP stands still with it: what comes meanwhile has room in its socket for two seconds at this rate
    with flowing(both, rate=125) as udp:
        udp.wait_flowing()
        our_ike = processes(both.lab, "hq")["ike"][0]
        for turn in range(8):
            before = both.child_spis() if what == "child" else both.ike_spis()
            # one of the two is suspended for a moment: the other's request waits in its socket while it is told to send its own
            held = our_ike if turn % 2 else both.swan.process.inner_pid()
            os.kill(held, signal.SIGSTOP)
            threads = [threading.Thread(target=run_it, args=[words]) for run_it, words in ((both.swan.swanctl, theirs), (both.plaingate, ours))]
            for thread in threads:
                thread.start()
            time.sleep(0.1)
            os.kill(held, signal.SIGCONT)
            os.kill(both.swan.process.pid, signal.SIGCONT)  # nsenter stops together with what it waits for
            for thread in threads:
                thread.join()
            time.sleep(0.3)
            wait_for(lambda: both.settled() and not before & (both.child_spis() if what == "child" else both.ike_spis()), 20,
                     f"both sides to agree: {both.swan.sas()} {show(both.lab, 'hq', 'ipsec')}; charon: {both.swan.log()[-2000:]}", pause=0.1)
        udp.wait_flowing()
    assert not udp.lost() and not udp.twice(), f"{len(udp.lost())} of {len(udp.sent)} lost"


@pytest.mark.row("raw public key {auth}")
@pytest.mark.parametrize("auth", ["ed25519", "ecdsa384"])
def test_other_keys(sites, auth):
    both = sites(auth=auth)
    for initiator in ("plaingate", "strongswan"):
        both.start_from(initiator)
        with flowing(both) as udp:
            udp.wait_flowing()
        assert not udp.lost()
        both.swan.swanctl("--terminate --ike hq")
        wait_for(lambda: not both.ours() and not both.swan.sas(), 10, "both sides to forget the tunnel", pause=0.1)


@pytest.mark.row("group {group}, {prf}")
@pytest.mark.parametrize("group, prf, pfs", [("ecp256", "prfsha256", True), ("ecp384", "prfsha384", True), ("x25519", "prfsha256", False),
                                             ("modp2048", "prfsha256", True)])
def test_other_groups(sites, group, prf, pfs):
    both = sites(group=group, prf=prf, pfs=pfs, cipher="aes128")
    both.start_from("plaingate")
    with flowing(both) as udp:
        udp.wait_flowing()
        both.plaingate("ike rekey-child branch")
        time.sleep(0.5)
        wait_for(both.settled, 10, "both sides to agree", pause=0.1)
        both.swan.swanctl("--rekey --child lan")
        time.sleep(0.5)
        wait_for(both.settled, 10, "both sides to agree", pause=0.1)
    assert not udp.lost()
    # what is for old peers is marked
    marked = group.startswith("modp")
    assert all(row["algorithms"].endswith(" (legacy)") == marked for row in show(both.lab, "hq", "ike"))
    proposals = [entry["body"]["proposal"] for entry in ledger_entries(both.lab, "hq") if entry["type"] in ("ike_sa_up", "sa_install")]
    assert any(text.endswith(f"-{group} (legacy)") for text in proposals) == marked


@pytest.mark.row("old peer, {cipher}: established, rekeys of child and IKE SA by either side")
@pytest.mark.parametrize("cipher, initiator", [("cbc128", "plaingate"), ("cbc256", "strongswan")])
def test_old_peer(sites, cipher, initiator):
    """AES-CBC with HMAC-SHA-2, for IKE and ESP; strongSwan's is always in UDP. Each use is marked."""
    both = sites(cipher=cipher)
    with Capture(both.lab, "internet", "hq0") as seen:
        both.start_from(initiator)
        with flowing(both) as udp, UdpStream(both.lab, "host-b", "host-a", HOST_A, port=5205) as back:
            udp.wait_flowing()
            back.wait_flowing()
            for rekey in (lambda: both.plaingate("ike rekey-child branch"), lambda: both.swan.swanctl("--rekey --child lan"),
                          lambda: both.plaingate("ike rekey branch"), lambda: both.swan.swanctl("--rekey --ike hq")):
                before = both.ike_spis() | both.child_spis()
                rekey()
                wait_for(lambda: both.settled() and (both.ike_spis() | both.child_spis()) - before, 15, "the rekey", pause=0.1)
            udp.wait_flowing()
            back.wait_flowing()
        assert not udp.lost() and not back.lost()
    assert seen.count(LAN_FILTER) == 0 and seen.count("udp port 4500 and udp[8:4] != 0") > 0
    word = {"cbc128": "aes128cbcsha256", "cbc256": "aes256cbcsha512"}[cipher]
    assert {row["algorithms"] for row in show(both.lab, "hq", "ike")} == {f"{word}-prfsha384-x25519 (legacy)"}
    assert {row["algorithm"] for row in show(both.lab, "hq", "ipsec")} == {f"{word} (legacy)"}
    named = {entry["body"]["proposal"] for entry in ledger_entries(both.lab, "hq") if entry["type"] in ("ike_sa_up", "sa_install")}
    assert named == {f"{word}-prfsha384-x25519 (legacy)", f"{word}-none in UDP (legacy)", f"{word}-x25519 in UDP (legacy)"}, named


@pytest.mark.row("delete, by either side")
@pytest.mark.parametrize("by", ["plaingate", "strongswan"])
def test_delete(sites, by):
    both = sites()
    both.start_from("strongswan")
    with flowing(both) as udp:
        udp.wait_flowing()
        if by == "strongswan":
            both.swan.swanctl("--terminate --ike hq")
        else:
            both.plaingate("ike terminate branch")
        wait_for(lambda: not both.ours() and not both.swan.sas(), 10, "both sides to forget the tunnel", pause=0.1)
        time.sleep(0.3)
    assert udp.lost(), "after the delete nothing may pass"
    lost = both.lab["host-a"].run(f"ping -c 1 -W 1 {HOST_B}", check=False)
    assert lost.returncode != 0
    both.start_from("plaingate")
    both.lab["host-a"].run(f"ping -c 2 -i 0.2 -W 2 {HOST_B}")


def test_our_dead_peer_detection(sites):
    """strongSwan disappears silently; hq notices, and the tunnel comes back with it."""
    both = sites(hq_dpd=2)
    both.start_from("plaingate")
    with flowing(both) as udp:
        udp.wait_flowing()
    both.swan.process.kill()
    both.swan.process.wait(5)
    wait_for(lambda: not both.ours(), 60, f"hq to notice; {show(both.lab, 'hq', 'ike')}", pause=0.5)


def test_their_dead_peer_detection_is_answered(sites):
    both = sites(dpd=1)
    both.start_from("strongswan")
    with flowing(both) as udp:
        udp.wait_flowing()
    assert not udp.lost()
    before = both.ike_spis()
    wait_for(lambda: "sending DPD request" in both.swan.log(), 10, "strongSwan to ask")
    time.sleep(2)
    assert "giving up" not in both.swan.log()
    assert both.ike_spis() == before and both.settled()


def test_refusals_say_why(sites):
    """strongSwan proposes what hq does not accept; hq's ledger says what was proposed and what would have been accepted, `vpn explain` too."""
    both = sites()

    def explained():
        done = both.lab["hq"].run("plaingate vpn explain branch --json", check=False)
        assert done.stdout, done.stderr
        steps = [row for row in json.loads(done.stdout) if row["state"] != "ok"]
        return done.returncode, {row["step"]: f"{row['text']} -> {row['mend']}" for row in steps}

    assert "the peer has not begun" in explained()[1]["IKE SA"]
    text = both.swan.config.read_text()
    both.swan.load(text.replace("aes256gcm16-prfsha384-x25519", "aes128gcm16-prfsha256-ecp256"))
    with pytest.raises(LabError):
        both.swan.initiate("lan", timeout=5)
    refused = [entry["body"] for entry in ledger_entries(both.lab, "hq") if entry["type"] == "handshake_refused"]
    assert refused and "128" in refused[-1]["offered"] and "256" in refused[-1]["configured"], refused
    assert "NO_PROP" in both.swan.log()
    status, steps = explained()
    assert status == 1 and "it offered" in steps["refused"] and "configured is" in steps["refused"] and "proposals" in steps["refused"], steps
    both.plaingate("vpn up branch")
    wait_for(lambda: "NO_PROPOSAL_CHOSEN" in explained()[1]["IKE SA"], 10, "the peer's refusal to be explained")
    assert "the proposals of peer and tunnel" in explained()[1]["IKE SA"]
    both.swan.load(text)
    both.plaingate("vpn up branch")
    wait_for(both.up, 15, "the tunnel")
    status, steps = explained()
    assert status == 0 and not {"IKE SA", "child SA", "refused"} & set(steps), steps
    both.plaingate("vpn rekey branch")
    wait_for(both.settled, 15, "both sides to agree", pause=0.1)
    both.plaingate("vpn down branch")
    wait_for(lambda: not both.ours(), 10, "the tunnel to be down")
    assert "administrator -> plaingate vpn up" in explained()[1]["IKE SA"]


def test_wrong_key_is_refused(sites):
    both = sites()
    text = both.swan.config.read_text()
    psk = (both.lab["hq"].state / "etc/keys/hq-branch.psk").read_text().strip()
    both.swan.load(text.replace(psk, "0" * 64))
    with pytest.raises(LabError):
        both.swan.initiate("lan", timeout=5)
    assert not both.ours()
    entries = ledger_entries(both.lab, "hq")
    assert "ike_sa_up" not in {entry["type"] for entry in entries}
    assert [entry for entry in entries if entry["type"] == "handshake_refused"]


def test_childless(sites):
    """strongSwan insists on an IKE SA without a child SA in IKE_AUTH (RFC 6023), and makes that later."""
    both = sites()
    both.swan.load(both.swan.config.read_text().replace("version = 2", "version = 2\n\t\tchildless = force"))
    both.start_from("strongswan")
    with flowing(both) as udp:
        udp.wait_flowing()
    assert not udp.lost() and both.settled()
    kinds = [entry["type"] for entry in ledger_entries(both.lab, "hq")]
    assert kinds.index("ike_sa_up") < kinds.index("sa_install")


@pytest.mark.row("{ours}")
@pytest.mark.parametrize("initiator", ["plaingate", "strongswan"])
@pytest.mark.parametrize("ours", ["ppk lab-ppk;", "ppk lab-ppk; require-post-quantum;"])
def test_ppk(sites, initiator, ours):
    """A post-quantum pre-shared key (RFC 8784), which strongSwan requires; then another one of that name, with which nothing comes up."""
    both = sites(auth="ecdsa")
    secret = "0x" + os.urandom(32).hex()
    text = both.swan.config.read_text(encoding="utf-8").replace("version = 2", "version = 2\n\t\tppk_id = lab-ppk\n\t\tppk_required = yes")
    both.swan.load(text + f"secrets {{\n\tppk-1 {{\n\t\tid = lab-ppk\n\t\tsecret = {secret}\n\t}}\n}}\n")
    both.lab.write_key("hq", "lab-ppk.ppk", secret + "\n")
    running = both.lab["hq"].run("plaingate show configuration").stdout
    both.lab.commit("hq", running.replace("dpd 30;", f"dpd 30; {ours}"), "with a PPK")
    both.start_from(initiator)
    with flowing(both) as udp:
        udp.wait_flowing()
        both.plaingate("ike rekey branch")
        wait_for(both.settled, 15, "both sides to agree", pause=0.1)
        both.plaingate("ike rekey-child branch")
        wait_for(both.settled, 15, "both sides to agree", pause=0.1)
        udp.wait_flowing()
    assert not udp.lost()
    assert all(row["algorithms"].endswith("-ppk") for row in show(both.lab, "hq", "ike") if row["state"] == "established")
    entries = [entry["body"] for entry in ledger_entries(both.lab, "hq") if entry["type"] == "ike_sa_up"]
    assert entries and all(body["proposal"].endswith("-ppk") for body in entries)
    both.swan.swanctl("--terminate --ike hq")
    wait_for(lambda: not both.ours() and not both.swan.sas(), 10, "both sides to forget the tunnel", pause=0.1)
    both.lab.write_key("hq", "lab-ppk.ppk", "0x" + os.urandom(32).hex() + "\n")
    both.lab.commit("hq", running.replace("dpd 30;", f"dpd 30; {ours}"), "another one")
    with pytest.raises(LabError):
        both.swan.initiate("lan", timeout=5)
    assert not both.ours()
