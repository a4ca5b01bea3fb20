"""Plaingate at hq against strongSwan of the next Debian release at the branch, which runs in a root directory of its own: it has hybrid
key exchange with ML-KEM (RFC 9370), as this gateway where libcrypto is 3.5 or later (Debian 13), and child SAs per processor (RFC 9611).
"""
import ssl
import time

import pytest
from kit import LAN_FILTER, Capture, LabError, ledger_entries, show, wait_for
from peer_root import PeerRoot
from sites import flowing

PEER = ("strongSwan", "charon-systemd", "forky")
PLAIN = "aes256gcm16-prfsha384-x25519"
HYBRID = "aes256gcm16-prfsha384-x25519-ke1_mlkem768"


@pytest.fixture(scope="module")
def root():
    try:
        return PeerRoot("strongswan")
    except LabError as error:
        pytest.skip(str(error)[:300])


# What Plaingate runs with is this machine's libcrypto, as Python does.
with_mlkem = pytest.mark.skipif(ssl.OPENSSL_VERSION_INFO < (3, 5), reason="ML-KEM needs libcrypto 3.5")


def with_additional(words):
    return [("dh-group x25519;", f"dh-group x25519;\n        additional-key-exchange {words};")]


def offering(both, proposals, esp=None):
    text = both.swan.config.read_text().replace(f"proposals = {PLAIN}", f"proposals = {proposals}", 1)
    if esp:
        text = text.replace("esp_proposals = aes256gcm16-x25519-noesn", f"esp_proposals = {esp}")
    both.swan.load(text)


@pytest.mark.row("{auth}, {cipher}: established, data both ways")
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


@pytest.mark.row("rekey of {what}, by either side: nothing lost")
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


@pytest.mark.row("delete, by either side")
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


@with_mlkem
@pytest.mark.row("hybrid key exchange {ours}, {auth}")
@pytest.mark.parametrize("initiator", ["plaingate", "strongswan"])
@pytest.mark.parametrize("ours, theirs, auth", [("ml-kem-768", "ke1_mlkem768", "psk"), ("ml-kem-1024", "ke1_mlkem1024", "ecdsa"),
                                                ("[ ml-kem-1024 ml-kem-768 ]", "ke1_mlkem1024-ke2_mlkem768", "psk")])
def test_hybrid_key_exchange(sites, root, ours, theirs, auth, initiator):
    both = sites(root=root, auth=auth, more=with_additional(ours))
    offering(both, f"{PLAIN}-{theirs}")
    both.start_from(initiator)
    with flowing(both) as udp:
        udp.wait_flowing()
    assert not udp.lost()
    named = [row["algorithms"] for row in show(both.lab, "hq", "ike") if row["state"] == "established"]
    assert named == [f"{PLAIN}-{ours.strip('[] ').replace(' ', '-')}"]
    assert theirs.split("_mlkem")[1].split("-")[0] in both.swan.swanctl("--list-sas").stdout
    entered = [entry["body"]["proposal"] for entry in ledger_entries(both.lab, "hq") if entry["type"] == "ike_sa_up"]
    assert entered[-1:] == named


@with_mlkem
@pytest.mark.parametrize("ours, theirs", [("ml-kem-768", "ke1_mlkem768"), ("[ ml-kem-1024 ml-kem-768 ]", "ke1_mlkem1024-ke2_mlkem768")])
def test_a_hybrid_rekey_loses_nothing(sites, root, ours, theirs):
    """Both ways, one after the other: IKE_FOLLOWUP_KE (RFC 9370) where the peer takes no rekey without it."""
    both = sites(root=root, more=with_additional(ours))
    offering(both, f"{PLAIN}-{theirs}")
    both.start_from("plaingate")
    with flowing(both) as udp:
        udp.wait_flowing()
        for by in ("plaingate", "strongswan"):
            before = both.ike_spis()
            if by == "strongswan":
                both.swan.swanctl("--rekey --ike hq")
            else:
                both.plaingate("ike rekey branch")
            wait_for(lambda: both.settled() and not both.ike_spis() & before, 30,
                     f"the rekey by {by}: {both.swan.sas()} {show(both.lab, 'hq', 'ike')}", pause=0.1)
            assert theirs.split("_mlkem")[1].split("-")[0] in both.swan.swanctl("--list-sas").stdout
        udp.wait_flowing()
    assert not udp.lost() and not udp.twice()
    types = [entry["type"] for entry in ledger_entries(both.lab, "hq")]
    assert types.count("ike_sa_up") == 1 and types.count("ike_sa_rekeyed") == 2, types


@with_mlkem
@pytest.mark.row("rekeys of child SAs by {theirs}, by either side: nothing lost")
@pytest.mark.parametrize("ours, theirs", [("ml-kem-768", "ke1_mlkem768"), ("[ ml-kem-1024 ml-kem-768 ]", "ke1_mlkem1024-ke2_mlkem768")])
def test_a_hybrid_rekey_of_child_sas_loses_nothing(sites, root, ours, theirs):
    """IKE_FOLLOWUP_KE for child SAs (RFC 9370), both ways one after the other, and a child SA that is made by CREATE_CHILD_SA."""
    both = sites(root=root, more=[("pfs x25519;", f"pfs x25519;\n        additional-key-exchange {ours};")])
    offering(both, PLAIN, f"aes256gcm16-x25519-{theirs}-noesn")
    both.start_from("plaingate")
    with flowing(both) as udp:
        udp.wait_flowing()
        for by in ("plaingate", "strongswan", "plaingate"):
            before = both.child_spis()
            if by == "strongswan":
                both.swan.swanctl("--rekey --child lan")
            else:
                both.plaingate("ike rekey-child branch")
            wait_for(lambda: both.settled() and not both.child_spis() & before, 30,
                     f"the rekey by {by}: {both.swan.sas()} {show(both.lab, 'hq', 'ike')} {both.swan.log()[-3000:]}", pause=0.1)
        udp.wait_flowing()
    assert not udp.lost() and not udp.twice()
    entered = [entry["body"]["proposal"] for entry in ledger_entries(both.lab, "hq") if entry["type"] == "sa_install"]
    word = "-x25519-" + ours.strip("[] ").replace(" ", "-")
    assert len(entered) == 4 and word not in entered[0] and all(word in proposal for proposal in entered[1:]), entered


def for_workers(both):
    """Our child SAs for one worker each, if the peer has them as well."""
    theirs = {(spi_out, spi_in) for spi_in, spi_out in both.child_spis()}
    return [row for row in show(both.lab, "hq", "ipsec")
            if row["resource"] == "worker" and (int(str(row["spi_in"]), 16), int(str(row["spi_out"]), 16)) in theirs]


@pytest.mark.row("a child for each processor (RFC 9611)")
def test_a_child_for_each_processor(sites, root):
    """RFC 9611: without `per-worker-sas` the peer's wish is declined; with it each worker gets a child, which is rekeyed and carries data."""
    both = sites(root=root)
    text = both.swan.config.read_text()
    both.swan.load(text.replace("dpd_action = clear", "dpd_action = clear\n\t\t\t\tper_cpu_sas = yes"))
    both.start_from("strongswan")
    with flowing(both) as udp:
        udp.wait_flowing()
        both.plaingate("ike rekey-child branch")
        time.sleep(1)
    assert not udp.lost() and both.up()
    assert for_workers(both) == []
    running = both.lab["hq"].run("plaingate show configuration").stdout
    both.lab.commit("hq", running.replace("host-name hq;", "host-name hq; workers 2;", 1).replace("remote 10.2.0.0/24;", "remote 10.2.0.0/24; per-worker-sas;", 1),
                    "a child for each worker")
    both.plaingate("ike terminate branch")
    wait_for(lambda: not both.ours() and not both.swan.sas(), 10, "both sides to forget the tunnel", pause=0.1)
    both.start_from("plaingate")
    with flowing(both) as udp:
        udp.wait_flowing()
        wait_for(lambda: {row["worker"] for row in for_workers(both)} == {0, 1}, 20,
                 f"a child for each worker: {show(both.lab, 'hq', 'ipsec')} {both.swan.sas()}", pause=0.1)
        before = {row["spi_in"] for row in for_workers(both)}
        both.plaingate("ike rekey-child branch")
        wait_for(lambda: {row["worker"] for row in for_workers(both) if row["spi_in"] not in before} == {0, 1}, 20, "the rekeys", pause=0.1)
        udp.wait_flowing()
        wait_for(lambda: any(row["packets_out"] for row in for_workers(both) if row["spi_in"] not in before), 20, "data by one of them", pause=0.1)
    assert not udp.lost()
