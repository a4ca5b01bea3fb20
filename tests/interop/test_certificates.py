"""Plaingate at hq and strongSwan at the branch with certificates of one authority: each side begins, data flows, and a certificate that the authority
has revoked lets nobody in any more."""
import pytest
from kit import HOST_B, LabError, ledger_entries, show, wait_for

PEER = ("strongSwan", "charon-systemd")

@pytest.mark.row("certificate {key_type}; a revoked one is refused")
@pytest.mark.parametrize("initiator, key_type", [("plaingate", "ecdsa-p384"), ("strongswan", "rsa-3072")])
def test_a_revoked_certificate_lets_nobody_in(sites, initiator, key_type):
    both = sites(auth=f"certificate-{key_type}")
    both.start_from(initiator)
    both.lab["host-a"].run(f"ping -c 2 -i 0.2 -W 2 {HOST_B}")
    assert both.settled(), (both.child_spis(), both.our_spis())
    up = [entry["body"] for entry in ledger_entries(both.lab, "hq") if entry["type"] == "ike_sa_up"]
    assert len(up) == 1 and "branch.example.net" in str(up[0]), up
    both.swan.swanctl("--terminate --ike hq")
    wait_for(lambda: not both.ours() and not both.swan.sas(), 30, "both sides to forget the tunnel", pause=0.1)
    both.authority.pki("revoke", "ca", "branch.crt")
    both.lab.write_certificate("hq", "ca.crl", both.authority.file("ca/ca.crl").read_text())
    with pytest.raises(LabError):
        both.swan.initiate("lan", timeout=5)

    def refusals():
        return [str(entry["body"]) for entry in ledger_entries(both.lab, "hq") if entry["type"] == "handshake_refused"]

    wait_for(lambda: any("revoked" in said for said in refusals()), 30, "a refusal that says so", pause=0.2)
    assert not both.ours() and not both.swan.sas()
    assert any("revoked" in str(row) for row in show(both.lab, "hq", "ike")), show(both.lab, "hq", "ike")
