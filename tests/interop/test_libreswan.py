"""Plaingate at hq against libreswan of Debian 13 at the branch, IKE only: what happens to the child SAs depends on the kernel of the
test machine (lab/libreswan.py), so nothing here looks at traffic.
"""
import time

import pytest
from kit import LabError, config_of, ledger_entries, own_lab, show, verify_ledger, wait_for
from libreswan import Libreswan
from peer_root import PeerRoot
from sites import NO_TUNNEL
from two_sites import FORWARD

PEER = ("libreswan", "libreswan", "trixie")

@pytest.fixture(scope="module")
def root():
    try:
        return PeerRoot("libreswan")
    except LabError as error:
        pytest.skip(str(error)[:300])


class Sites:
    """The lab with Plaingate at hq and libreswan at the branch."""

    def __init__(self, root, ike="aes_gcm256-sha2_384-dh31", changes=(), psk=None):
        self.lab = own_lab("pgl")
        self.lab.up("on", {"hq": "plaingate", "branch": "none"}, {"hq": NO_TUNNEL})
        self.lab["branch"].sysctl(FORWARD)
        self.swan = Libreswan(self.lab["branch"], root)
        self.swan.start(psk or (self.lab["hq"].state / "etc/keys/hq-branch.psk").read_text(encoding="ascii").strip(), ike=ike)
        self.lab.commit("hq", config_of("hq", ("local [ 10.1.0.0/24 fd00:1::/64 ]", "local 10.1.0.0/24"),
                                        ("remote [ 10.2.0.0/24 fd00:2::/64 ]", "remote 10.2.0.0/24"), ("start always", "start never"), *changes),
                        "interop")

    def down(self):
        self.swan.stop()
        self.lab.down()

    def begin(self, initiator):
        if initiator == "plaingate":
            self.lab["hq"].run("plaingate ike initiate branch")
        else:
            self.swan.whack("--initiate --name hq --asynchronous", check=False)

    def established(self):
        return [row for row in show(self.lab, "hq", "ike") if row["state"] == "established"]

    def start_from(self, initiator):
        self.begin(initiator)
        wait_for(self.established, 15, f"the IKE SA, started by {initiator}; pluto: {self.swan.log()[-800:]}", pause=0.1)
        assert "established IKE SA" in self.swan.whack("--status").stdout

    def entries(self, kind):
        return [entry["body"] for entry in ledger_entries(self.lab, "hq") if entry["type"] == kind]


@pytest.fixture
def sites(root):
    made = []

    def make(**kwargs):
        made.append(Sites(root, **kwargs))
        return made[-1]

    yield make
    for each in made:
        try:
            verify_ledger(each.lab, "hq")
        finally:
            each.down()


@pytest.mark.row("psk, aes: IKE SA established")
@pytest.mark.parametrize("initiator", ["plaingate", "libreswan"])
def test_established(sites, initiator):
    both = sites()
    both.start_from(initiator)
    assert len(both.entries("ike_sa_up")) == 1 and not both.entries("handshake_refused")
    # If its kernel accepts no child SA, libreswan refuses ours, and repeatedly asks for one and deletes it: the IKE SA survives that.
    before = both.established()[0]["spi_i"]
    if initiator == "libreswan":
        wait_for(lambda: both.entries("sa_install"), 10, "a child SA")
    time.sleep(2)
    assert [row["spi_i"] for row in both.established()] == [before]


@pytest.mark.row("group {group}, {prf}")
@pytest.mark.parametrize("ike, group, prf", [("aes_gcm256-sha2_256-dh19", "ecp256", "prfsha256"), ("aes_gcm256-sha2_384-dh20", "ecp384", "prfsha384")])
def test_other_groups(sites, ike, group, prf):
    both = sites(ike=ike, changes=[("dh-group x25519", f"dh-group {group}"), ("prf prfsha384", f"prf {prf}")])
    both.start_from("libreswan")


@pytest.mark.row("rekey of ike, by either side")
@pytest.mark.parametrize("by", ["plaingate", "libreswan"])
def test_ike_rekey(sites, by):
    both = sites()
    both.start_from("libreswan")
    before = both.established()[0]["spi_i"]
    if by == "plaingate":
        both.lab["hq"].run("plaingate ike rekey branch")
    else:
        both.swan.whack("--rekey-ike --name hq --asynchronous", check=False)
    wait_for(lambda: [row["spi_i"] for row in both.established()] not in ([before], []), 15,
             f"the new IKE SA; {both.established()}; pluto: {both.swan.log()[-1500:]}", pause=0.1)
    wait_for(lambda: len(both.established()) == 1, 15, "the old one to go", pause=0.1)
    assert both.entries("ike_sa_rekeyed")


@pytest.mark.row("delete, by either side")
@pytest.mark.parametrize("by", ["plaingate", "libreswan"])
def test_delete(sites, by):
    both = sites()
    both.start_from("plaingate")
    if by == "plaingate":
        both.lab["hq"].run("plaingate ike terminate branch")
    else:
        both.swan.whack("--terminate --name hq")
    wait_for(lambda: not both.established(), 10, "hq to forget the IKE SA", pause=0.1)
    assert both.entries("ike_sa_down")


@pytest.mark.row("wrong key is refused")
def test_a_wrong_key_is_refused(sites):
    both = sites(psk="0" * 64)
    both.begin("libreswan")
    wait_for(lambda: both.entries("handshake_refused"), 15, f"the refusal; pluto: {both.swan.log()[-800:]}")
    assert "AUTHENTICATION_FAILED" in both.swan.log() and not both.entries("ike_sa_up")
