"""Plaingate at hq against strongSwan 5.9 at the branch, both as initiator and as responder, with numbered datagrams flowing both ways
across each step. strongSwan's ESP is that of its kernel-libipsec, see lab/strongswan.py for what it cannot do.
"""
import base64
import os
import signal
import threading
import time

import pytest
from kit import (HOST_A, HOST_B, LAN_FILTER, Capture, LabError, UdpStream, config_of, ledger_entries, own_lab, processes, show, verify_ledger,
                 wait_for)
from two_sites import FORWARD
from nodes import run
from strongswan import StrongSwan, raw_key_pair

ENCRYPTION = {"aes": "aes256gcm16", "aes128": "aes128gcm16", "chacha": "chacha20poly1305"}
CONNECTION = """connections {{
	hq {{
		version = 2
		local_addrs = 203.0.113.2
		remote_addrs = 198.51.100.2
		proposals = {encryption}-{prf}-{group}
		rekey_time = 0
		dpd_delay = {dpd}
		local {{
			auth = {auth}
			id = branch.example.net
			{local_key}
		}}
		remote {{
			auth = {auth}
			id = hq.example.net
			{remote_key}
		}}
		children {{
			lan {{
				local_ts = 10.2.0.0/24
				remote_ts = 10.1.0.0/24
				esp_proposals = {encryption}{pfs}-noesn
				rekey_time = 0
				dpd_action = clear
			}}
		}}
	}}
}}
{secrets}
"""


class Sites:
    """The lab with Plaingate at hq and strongSwan at the branch."""

    def __init__(self, auth="psk", cipher="aes", dpd=0, hq_start="never", hq_dpd=30, group="x25519", prf="prfsha384", pfs=True):
        self.lab = own_lab("pgi")
        self.lab.up("on", {"hq": "plaingate", "branch": "none"}, {"hq": "system {\n    host-name hq;\n}\n"})
        branch = self.lab["branch"]
        branch.sysctl(FORWARD)
        self.swan = StrongSwan(branch)
        self.swan.start()
        encryption = ENCRYPTION[cipher]
        changes = [("local [ 10.1.0.0/24 fd00:1::/64 ]", "local 10.1.0.0/24"), ("remote [ 10.2.0.0/24 fd00:2::/64 ]", "remote 10.2.0.0/24"),
                   ("encryption aes256gcm16", f"encryption {encryption}"), ("encryption aes256gcm16", f"encryption {encryption}")]
        if encryption == "aes256gcm16":
            changes = changes[:2]
        changes += [("start always", f"start {hq_start}"), ("dpd 10", f"dpd {hq_dpd}"), ("dh-group x25519", f"dh-group {group}"),
                    ("prf prfsha384", f"prf {prf}"), ("pfs x25519", f"pfs {group}" if pfs else "pfs none")]
        local_key = remote_key = secrets = ""
        if auth == "psk":
            psk = (self.lab["hq"].state / "etc/keys/hq-branch.psk").read_text().strip()
            secrets = f"secrets {{\n\tike-1 {{\n\t\tsecret = {psk}\n\t}}\n}}"
        else:
            keys = {side: raw_key_pair(self.lab.state, side, auth) for side in ("hq", "branch")}
            self.swan.private_key(keys["branch"][0])
            local_key, remote_key = (f"pubkeys = {keys[side][1]}" for side in ("branch", "hq"))
            self.lab.write_key("hq", "hq.pem", keys["hq"][0].read_text())
            der = run(["openssl", "pkey", "-pubin", "-in", keys["branch"][1], "-outform", "DER"], text=False).stdout
            changes += [("pre-shared-key hq-branch;", f'private-key hq;\n        public-key "{base64.b64encode(der).decode()}";')]
        self.swan.load(CONNECTION.format(encryption=encryption, auth="psk" if auth == "psk" else "pubkey", local_key=local_key, dpd=f"{dpd}s",
                                         remote_key=remote_key, secrets=secrets, prf=prf, group=group, pfs=f"-{group}" if pfs else ""))
        self.lab.commit("hq", config_of("hq", *changes), "interop")

    def down(self):
        self.swan.stop()
        self.lab.down()

    def ours(self):
        return [row for row in show(self.lab, "hq", "ipsec") if row["state"] == "active"]

    def up(self):
        return self.ours() and [child for _, children in self.swan.sas() for child in children if child["state"] == "INSTALLED"]

    def start_from(self, initiator):
        if initiator == "plaingate":
            self.plaingate("ike initiate branch")
        else:
            self.swan.initiate("lan")
        wait_for(self.up, 15, f"the tunnel, started by {initiator}; charon: {self.swan.log()[-600:]}", pause=0.1)

    def plaingate(self, words):
        return self.lab["hq"].run(f"plaingate {words}")

    def child_spis(self):
        """What strongSwan has installed: the two must agree crosswise."""
        return {(child["spi_in"], child["spi_out"]) for _, children in self.swan.sas() for child in children if child["state"] == "INSTALLED"}

    def our_spis(self):
        return {(int(str(row["spi_out"]), 16), int(str(row["spi_in"]), 16)) for row in self.ours()}

    def ike_spis(self):
        return {spis for spis, _ in self.swan.sas()}

    def settled(self):
        """One IKE SA and one child, the same on both sides."""
        return len(self.ike_spis()) == 1 and len(self.child_spis()) == 1 and self.child_spis() == self.our_spis()


@pytest.fixture
def sites(request):
    made = []

    def make(**kwargs):
        made.append(Sites(**kwargs))
        return made[-1]

    yield make
    for each in made:
        try:
            verify_ledger(each.lab, "hq")
        finally:
            each.down()


def flowing(sites_):
    return UdpStream(sites_.lab, "host-a", "host-b", HOST_B, rate=500)


COMBINATIONS = [("psk", "aes"), ("psk", "chacha"), ("ecdsa", "aes"), ("ecdsa", "chacha")]


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
    # Our key proves us to somebody who has not proven himself only when we begin; else the peer's proof comes first.
    assert ("key_used" in kinds) == (initiator == "plaingate")


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


@pytest.mark.parametrize("what", ["child", "ike"])
def test_both_rekey_at_once(sites, what):
    """Both sides are told to rekey at the same moment, again and again: they come to the same verdict, and nothing is lost."""
    both = sites()
    both.start_from("plaingate")
    theirs, ours = ("--rekey --child lan", "ike rekey-child branch") if what == "child" else ("--rekey --ike hq", "ike rekey branch")
    with flowing(both) as udp:
        udp.wait_flowing()
        our_ike = processes(both.lab, "hq")["ike"][0]
        for turn in range(8):
            before = both.child_spis() if what == "child" else both.ike_spis()
            # one of the two is held for a moment: the other's request waits in its socket while it is told to make its own
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


@pytest.mark.parametrize("group, prf, pfs", [("ecp256", "prfsha256", True), ("ecp384", "prfsha384", True), ("x25519", "prfsha256", False)])
def test_other_groups(sites, group, prf, pfs):
    both = sites(group=group, prf=prf, pfs=pfs, cipher="aes128")
    both.start_from("plaingate")
    with flowing(both) as udp:
        udp.wait_flowing()
        both.plaingate("ike rekey-child branch")
        time.sleep(0.5)
        wait_for(both.settled, 10, "both sides to agree", pause=0.1)
    assert not udp.lost()


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
    """strongSwan vanishes without a word; hq notices, and the tunnel comes back with it."""
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
    time.sleep(4)
    log = both.swan.log()
    assert "sending DPD request" in log and "giving up" not in log
    assert both.ike_spis() == before and both.settled()


def test_refusals_say_why(sites):
    """strongSwan offers what hq does not take; hq's ledger says what was offered and what would have been taken."""
    both = sites()
    text = both.swan.config.read_text()
    both.swan.load(text.replace("aes256gcm16-prfsha384-x25519", "aes128gcm16-prfsha256-ecp256"))
    with pytest.raises(LabError):
        both.swan.initiate("lan", timeout=5)
    refused = [entry["body"] for entry in ledger_entries(both.lab, "hq") if entry["type"] == "handshake_refused"]
    assert refused and "128" in refused[-1]["offered"] and "256" in refused[-1]["configured"], refused
    assert "NO_PROP" in both.swan.log()


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
