"""A biased generator of secrets on a whole gateway: its keeper was modified (tests/biased), so that half of its ephemeral keys come from
sixteen bits. Tunnels come up and everything looks normal; a listener finds the keys of every second handshake by a short search; and the
leaves that the keeper has to disclose expose it to anybody who has the ledger."""
import base64
import hashlib
import hmac
import json
import shutil

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from kit import GATEWAYS, ledger_entries, own_lab, show, wait_for

REKEYS = 12  # on either side a biased key with a probability of one half


@pytest.fixture(scope="module")
def lab():
    two_sites = own_lab("pgb")
    try:
        two_sites.up("off", prepare=lambda lab: shutil.copy2(lab.build / "tests/biased/plaingate-keeper-biased", lab.state / "bin/plaingate-keeper"))
        two_sites.wait_for_tunnel()
        for number in range(REKEYS):
            two_sites["hq"].run("plaingate ike rekey branch")
            wait_for(lambda n=number: len(exchanges(two_sites, "hq")) >= n + 2, 20, "a rekey")
        yield two_sites
    finally:
        two_sites.down()


def exchanges(lab, gateway):
    """The public values of IKE's key exchanges as given by their leaves: of X25519, which is last in a leaf."""
    return [base64.b64decode(entry["body"]["leaf"])[-32:] for entry in ledger_entries(lab, gateway)
            if entry["type"] in ("ike_sa_up", "ike_sa_rekeyed")]


def test_whoever_built_it_has_the_keys(lab):
    seen, broken = set(exchanges(lab, "hq")) | set(exchanges(lab, "branch")), set()
    for number in range(1 << 16):
        seed = hashlib.sha256(number.to_bytes(2, "big")).digest()
        secret = hmac.digest(seed, b"key exchange" + (31).to_bytes(2, "big") + b"\1", "sha256")
        public = X25519PrivateKey.from_private_bytes(secret).public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        if public in seen:
            broken.add(public)
            if len(broken) == 3:
                break
    assert broken and broken != seen, f"{len(broken)} of {len(seen)}"


def test_the_opened_leaves_give_it_away(lab):
    for gateway in GATEWAYS:
        directory = show(lab, gateway, "ledger")[0]["directory"]
        assert lab[gateway].run(["plaingate", "verify", "ledger", directory], check=False).returncode == 0, "the ledger itself is as it was signed"
        done = lab[gateway].run(["plaingate", "verify", "randomness", directory, "--json"], check=False)
        said = json.loads(done.stdout)[0]
        assert done.returncode == 1 and said["failures"] > 0, said
        assert "is not derived from the shares that are disclosed for it" in said["finding"], said
