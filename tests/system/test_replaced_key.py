"""A key that is replaced because it leaked: with the next configuration the IKE SA that was made with it ends, and nobody can connect with
it again; with the new key on both sides the tunnel comes back."""
import pytest
from kit import HOST_B, config_of, ledger_entries, own_lab, show, wait_for

PSK = "hq-branch.psk"


@pytest.fixture(scope="module")
def lab():
    two_sites = own_lab("pgk")
    two_sites.up("off")
    try:
        two_sites.wait_for_tunnel()
        yield two_sites
    finally:
        two_sites.down()


def replace(lab, gateway, key):
    lab.write_key(gateway, PSK, key + "\n")
    # The same configuration again: a commit causes the keys to be read.
    (lab[gateway].state / "etc/again.conf").write_text(config_of(gateway))
    lab[gateway].run("plaingate commit /etc/plaingate/again.conf --comment another-key", timeout=20)


def spis(lab, gateway):
    return {row["spi_i"] for row in show(lab, gateway, "ike") if row["state"] == "established"}


@pytest.mark.parametrize("gateway, other, key", [("hq", "branch", "drawn by chance: 5c1f0b77aa"), ("branch", "hq", "drawn by chance: 90ee12d4b1")])
def test_it_ends_what_it_made(lab, gateway, other, key):
    """On one side only: whoever has the old key stays out, including the honest peer until it has the new one. hq initiates, branch responds."""
    before = spis(lab, gateway)
    assert before
    replace(lab, gateway, key)
    wait_for(lambda: not spis(lab, gateway) & before and not spis(lab, other) & before, 10, "the end of the IKE SA on both sides")
    down = [entry["body"] for entry in ledger_entries(lab, gateway) if entry["type"] == "ike_sa_down"]
    assert any("was replaced or removed" in body["reason"] for body in down), down
    lab["host-a"].run(f"ping -c 2 -i 0.2 -W 1 {HOST_B}", check=False)
    assert not spis(lab, gateway), "nobody comes in with the old key"
    wait_for(lambda: any("authentication failed" in entry["body"]["reason"] for side in (gateway, other) for entry in ledger_entries(lab, side)
                         if entry["type"] == "handshake_refused" and entry["source"] == "keeper"), 30, "the keeper's entry of the failed proof")
    replace(lab, other, key)
    lab.wait_for_tunnel(60)
    lab["host-a"].run(f"ping -c 2 -i 0.2 -W 2 {HOST_B}")
