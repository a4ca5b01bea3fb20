"""Plaingate at hq against strongSwan of the next Debian release at the branch, which runs in a root directory of its own: it offers hybrid
key exchange with ML-KEM (RFC 9370), which this gateway does not have, and child SAs per processor (RFC 9611).
"""
import time

import pytest
from kit import LAN_FILTER, Capture, LabError, ledger_entries, show, wait_for
from peer_root import PeerRoot
from sites import flowing

PLAIN = "aes256gcm16-prfsha384-x25519"
HYBRID = "aes256gcm16-prfsha384-x25519-ke1_mlkem768"


@pytest.fixture(scope="module")
def root():
    try:
        return PeerRoot("strongswan")
    except LabError as error:
        pytest.skip(str(error)[:300])


def offering(both, proposals, esp=None):
    text = both.swan.config.read_text().replace(f"proposals = {PLAIN}", f"proposals = {proposals}", 1)
    if esp:
        text = text.replace("esp_proposals = aes256gcm16-x25519-noesn", f"esp_proposals = {esp}")
    both.swan.load(text)


@pytest.mark.parametrize("initiator", ["plaingate", "strongswan"])
@pytest.mark.parametrize("auth, cipher", [("psk", "aes"), ("ecdsa", "chacha")])
def test_established_and_carries_data(sites, root, auth, cipher, initiator):
    both = sites(auth=auth, cipher=cipher, root=root)
    with Capture(both.lab, "internet", "hq0") as seen:
        both.start_from(initiator)
        with flowing(both) as udp:
            udp.wait_flowing()
        assert not udp.lost()
    assert seen.count(LAN_FILTER) == 0 and both.settled()


@pytest.mark.parametrize("by", ["plaingate", "strongswan"])
@pytest.mark.parametrize("what", ["child", "ike"])
def test_rekey_loses_nothing(sites, root, what, by):
    both = sites(root=root)
    both.start_from("plaingate")
    before_ike, before_child = both.ike_spis(), both.child_spis()
    with flowing(both) as udp:
        udp.wait_flowing()
        if by == "strongswan":
            both.swan.swanctl("--rekey --child lan" if what == "child" else "--rekey --ike hq")
        else:
            both.plaingate("ike rekey-child branch" if what == "child" else "ike rekey branch")
        wait_for(lambda: both.settled() and (not both.child_spis() & before_child if what == "child" else not both.ike_spis() & before_ike),
                 15, f"the rekey: {both.swan.sas()} {show(both.lab, 'hq', 'ike')}", pause=0.1)
        udp.wait_flowing()
        time.sleep(1)
    assert not udp.lost() and not udp.twice()


@pytest.mark.parametrize("by", ["plaingate", "strongswan"])
def test_delete(sites, root, by):
    both = sites(root=root)
    both.start_from("strongswan")
    if by == "strongswan":
        both.swan.swanctl("--terminate --ike hq")
    else:
        both.plaingate("ike terminate branch")
    wait_for(lambda: not both.ours() and not both.swan.sas(), 10, "both sides to forget the tunnel", pause=0.1)


def test_a_peer_that_offers_a_hybrid_first_and_a_plain_exchange_second(sites, root):
    both = sites(root=root)
    offering(both, f"{HYBRID},{PLAIN}")
    for initiator in ("strongswan", "plaingate"):
        both.start_from(initiator)
        with flowing(both) as udp:
            udp.wait_flowing()
        assert not udp.lost() and "ML_KEM_768" not in both.swan.swanctl("--list-sas").stdout
        both.swan.swanctl("--terminate --ike hq")
        wait_for(lambda: not both.ours() and not both.swan.sas(), 10, "both sides to forget the tunnel", pause=0.1)


def test_a_peer_that_demands_a_hybrid_exchange_is_refused_in_plain_words(sites, root):
    """If ML-KEM is required there is no tunnel, and the ledger names what was proposed."""
    both = sites(root=root)
    offering(both, HYBRID)
    with pytest.raises(LabError):
        both.swan.initiate("lan", timeout=5)
    assert "NO_PROP" in both.swan.log() and not both.ours()
    refused = [entry["body"] for entry in ledger_entries(both.lab, "hq") if entry["type"] == "handshake_refused"]
    assert refused, "the refusal is entered"


def test_a_peer_with_a_child_for_each_processor(sites, root):
    """RFC 9611: the peer requests more child SAs with the same selectors; whatever the gateway does with them, nothing is lost."""
    both = sites(root=root)
    text = both.swan.config.read_text()
    both.swan.load(text.replace("dpd_action = clear", "dpd_action = clear\n\t\t\t\tper_cpu_sas = yes"))
    both.start_from("strongswan")
    with flowing(both) as udp:
        udp.wait_flowing()
        both.plaingate("ike rekey-child branch")
        time.sleep(1)
    assert not udp.lost() and both.up()
