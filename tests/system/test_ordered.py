"""Order as a covert channel: keepers that make every key and value as promised, but choose which of them they use next
(tests/biased/ordered.c). A stranger reads the message from public values alone; anybody with the ledger detects that leaves and values were
not used in order. test_randomness.py checks that an honest gateway shows nothing of this."""
import base64
import hashlib
import json
import shutil

import pytest
from kit import GATEWAYS, ledger_entries, own_lab, show, wait_for

REKEYS = 24
MESSAGE = "".join(f"{octet:08b}" for octet in b"This is the state of a generator. ")


@pytest.fixture(scope="module")
def lab():
    two_sites = own_lab("pgo")
    try:
        two_sites.up("off", prepare=lambda lab: shutil.copy2(lab.build / "tests/biased/plaingate-keeper-ordered", lab.state / "bin/plaingate-keeper"))
        two_sites.wait_for_tunnel()
        for _ in range(REKEYS):
            before = {row["spi_i"] for row in show(two_sites, "hq", "ike")}
            two_sites["hq"].run("plaingate ike rekey branch")
            wait_for(lambda: {row["spi_i"] for row in show(two_sites, "hq", "ike")} - before, 10, "a rekey")  # noqa: B023
        yield two_sites
    finally:
        two_sites.down()


def test_a_stranger_reads_it(lab):
    """Five bits of each public value of X25519, which IKE_SA_INIT shows in clear."""
    for gateway in GATEWAYS:
        used = [base64.b64decode(entry["body"]["leaf"])[-32:] for entry in ledger_entries(lab, gateway) if entry["body"].get("leaf")]
        read = [f"{hashlib.sha256(public).digest()[0] >> 3:05b}" for public in used]
        said = [MESSAGE[at:at + 5] for at in range(0, 5 * len(read), 5)]
        right = sum(a == b for a, b in zip(read, said))
        assert len(read) >= REKEYS and right >= 0.75 * len(read), f"{right} of {len(read)}"


def test_the_order_gives_it_away(lab):
    for gateway in GATEWAYS:
        directory = show(lab, gateway, "ledger")[0]["directory"]
        assert lab[gateway].run(["plaingate", "verify", "ledger", directory], check=False).returncode == 0, "the ledger itself is as it was signed"
        done = lab[gateway].run(["plaingate", "verify", "randomness", directory, "--json"], check=False)
        said = json.loads(done.stdout)[0]
        assert done.returncode == 1 and "its leaf of ephemeral keys is out of order" in said["finding"], said
        # Leaving the leaves in order would not help either.
        assert said["order_late"] > said["order_named"] / 2 and said["order_bits"] > 2 * said["order_named"], said
        assert said["leaves_skipped"] > said["leaves_named"], said
