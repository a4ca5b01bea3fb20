"""The attack of 2015 on a whole gateway: its keeper was rebuilt with an attacker's generator for the nonces (tests/dual_ec). The listener
recovers the generator's state from one handshake and knows every later nonce. He gets no key, because keys come from a generator that
shares nothing with it; and anybody who examines the ledger, or the wire together with the ledger, detects it."""
import shutil
import subprocess

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from kit import GATEWAYS, HOST_B, Capture, own_lab, show, wait_for
from visible import HASH_ALGORITHMS, OFFER, SA_INIT, WAN, X25519, Bad, Walk, fields_of_the_table, derived_in_the_end, udp_packets

DRAWS = 24  # that the listener looks ahead: those of children and rekeys are not seen, and lie between two handshakes


class Rigged:
    """A lab in which both gateways run the modified keeper, with two captured handshakes and the ledgers."""

    def __init__(self, lab, keeper):
        self.lab, self.build = lab, lab.build
        lab.up("off", prepare=lambda lab: shutil.copy2(lab.build / "tests/dual_ec" / keeper, lab.state / "bin/plaingate-keeper"))
        lab.wait_for_tunnel()
        self.before = {bytes.fromhex(row["spi_i"] + row["spi_r"]) for gateway in GATEWAYS for row in show(lab, gateway, "ike")}
        with Capture(lab, "internet", "hq0", "udp port 500 or udp port 4500") as capture:
            for _ in range(2):
                lab["hq"].run("plaingate ike terminate branch")
                wait_for(lambda: not lab.tunnel_up(["hq"]) and not lab.tunnel_up(["branch"]), 10, "the end of the tunnel")
                lab["hq"].run("plaingate ike initiate branch", check=False)
                lab.wait_for_tunnel()
            lab["host-a"].run(f"ping -c 3 -i 0.1 -W 2 {HOST_B}")
        self.datagrams = list(udp_packets(frame for _, frame in capture.frames()))
        self.verified = {gateway: self.verify_randomness(gateway) for gateway in GATEWAYS}
        self.compared = {gateway: self.verify_randomness(gateway, "--capture", capture.file) for gateway in GATEWAYS}
        self.derived = derived_in_the_end(lab)

    def handshakes(self, address):
        """(SPI, KE value, nonce) of each IKE_SA_INIT that this side sent, in order."""
        found = []
        for source, _, data in self.datagrams:
            if source == (address, 500) and data[18] == SA_INIT and len(data) > 200:
                at = data.index(b"\0\x28\0\x1f\0\0") + 6
                values = data[8:16] if data[19] & 32 else data[:8], data[at:at + 32], data[at + 36:at + 68]
                if values not in found:
                    found.append(values)
        assert len(found) >= 2
        return found

    def listen(self, seen):
        """What he expects after it, one text for each possible state."""
        done = subprocess.run([str(self.build / "tests/dual_ec/dual_ec_listener"), seen.hex(), str(DRAWS)], capture_output=True, text=True,
                              timeout=900, check=False)  # his computation, on a machine with other work
        return [bytes.fromhex(line) for line in done.stdout.split()]

    def verify_randomness(self, gateway, *options):
        directory = show(self.lab, gateway, "ledger")[0]["directory"]
        return self.lab[gateway].run(["plaingate", "verify", "randomness", directory, *options], check=False)

    def walk(self):
        walk = Walk(fields_of_the_table(self.build), self.derived, OFFER, X25519, HASH_ALGORITHMS, frozenset(self.before))
        for datagram in self.datagrams:
            walk.datagram(*datagram)


@pytest.fixture(scope="module", params=["plaingate-keeper-dual-ec", "plaingate-keeper-dual-ec-nonce"])
def rigged(request):
    lab = own_lab("pgd")
    try:
        yield Rigged(lab, request.param), request.param.endswith("nonce")
    finally:
        lab.down()


def test_the_listener_knows_what_comes_and_no_key(rigged):
    world, nonce_only = rigged
    (spi, _, nonce), *later = world.handshakes(WAN["hq"])
    known = [octets for octets in world.listen(nonce if nonce_only else nonce + spi) if later[-1][2] in octets]
    assert len(known) == 1, "one state explains both nonces"
    assert all(value in known[0] for _, _, value in later)
    if not nonce_only:
        assert all(value in known[0] for value, _, _ in later)
    # If the key had come from the same generator, it would be among what he expects.
    publics = {key for _, key, _ in world.handshakes(WAN["hq"])}
    for at in range(len(known[0]) - 32):
        made = X25519PrivateKey.from_private_bytes(known[0][at:at + 32]).public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        assert made not in publics


def test_the_ledger_shows_it(rigged):
    """From the ledger alone, if an SPI is not derived. A device that leaves the SPIs honest is not detected in this way: a nonce is not in
    an entry."""
    world, nonce_only = rigged
    for gateway in GATEWAYS:
        done = world.verified[gateway]
        if nonce_only:
            assert done.returncode == 0, done.stdout + done.stderr
        else:
            assert done.returncode == 1 and "NOT all derived (VRF)" in done.stdout and "its SPI is not" in done.stdout, done.stdout + done.stderr


def test_the_ledger_and_a_capture_show_it(rigged):
    """With a capture of the wire it is detected in either case, by the command and by the table of visible fields."""
    world, nonce_only = rigged
    for gateway in GATEWAYS:
        done = world.compared[gateway]
        assert done.returncode == 1 and "NOT all derived (VRF)" in done.stdout, done.stdout + done.stderr
        assert ("the nonce in the capture is not" if nonce_only else "its SPI is not") in done.stdout
    with pytest.raises(Bad, match="NONCE" if nonce_only else "IKE_SPI_I"):
        world.walk()
