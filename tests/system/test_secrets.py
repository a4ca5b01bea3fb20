"""No private key and no child SA key is ever in the memory of plaingate-ike. The same search finds them where they belong, and that a
candidate is a key is proved: it decrypts a packet that was captured on the wire."""
import base64
import hmac
import re
import struct

import pytest
from kit import (GATEWAYS, HOST_B, Capture, UdpStream, config_of, ledger_entries, memory, memory_holds, own_lab, processes, show,
                 verify_ledger, wait_for)

PSK = "hq-branch.psk"
KEY_BYTES = 36  # AES-256 and its salt
SK_D_BYTES = 48  # of the PRF HMAC-SHA-384


@pytest.fixture(scope="module")
def lab():
    two_sites = own_lab("pgm")
    two_sites.up("off")
    try:
        two_sites.wait_for_tunnel()
        yield two_sites
        verify_ledger(two_sites, "hq")
    finally:
        two_sites.down()


def opens(key, packet):
    """Whether key and salt open the ESP packet: the integrity check says so. Without or with extended sequence numbers (high half 0)."""
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM
    for aad in (packet[:8], packet[:4] + bytes(4) + packet[4:8]):
        try:
            AESGCM(key[:32]).decrypt(key[32:36] + packet[8:16], packet[16:], aad)
            return True
        except InvalidTag:
            continue
    return False


def opens_cbc(key, packet):
    """The same of AES-CBC with HMAC-SHA-256: whether the second half of the two keys is the integrity key."""
    return any(hmac.digest(key[32:], packet[:-16] + high, "sha256")[:16] == packet[-16:] for high in (b"", bytes(4)))


def keys_that_open(pid, packets, key_bytes=KEY_BYTES, opens=opens):
    """{SPI: key and salt}: every place of the memory that the data plane shares with its successor is tried on the packets."""
    found = {}
    for _, part in memory(pid, shared_only=True):
        for run in re.finditer(rb"(?:(?!\0{8})[\s\S]){28,}", part) if part.strip(b"\0") else ():
            for at in range(max(0, run.start() - run.start() % 4 - 4), run.end(), 4):
                key = part[at:at + key_bytes]
                if len(key) < key_bytes or len(set(key[:32])) < 20:  # 32 octets by chance are some 30 different ones
                    continue
                for spi, packet in packets.items():
                    if spi not in found and opens(key, packet):
                        found[spi] = key
                if len(found) == len(packets):
                    return found
    return found


def traffic_of_one_second(lab):
    """{SPI: one captured packet} of both directions."""
    with Capture(lab, "internet", "hq0") as seen, UdpStream(lab, "host-a", "host-b", HOST_B, rate=50) as udp:
        udp.wait_flowing()
    packets = {spi: packet for spi, _, packet in seen.esp()}
    assert len(packets) == 2, f"one pair of SAs was expected, there are {len(packets)} SPIs"
    return packets


def test_psk_is_with_the_keeper_alone(lab):
    psk = (lab["hq"].state / "etc/keys" / PSK).read_text().strip()
    secrets = {"text": psk.encode(), "octets": bytes.fromhex(psk)}
    held = {name: memory_holds(pid, secrets) for name, (pid, _) in processes(lab, "hq").items()}
    assert held.pop("keeper"), "the search must find it where it is"
    assert not any(held.values()), held


def test_child_keys_are_with_the_data_plane_and_not_with_ike(lab):
    packets, pids = traffic_of_one_second(lab), processes(lab, "hq")
    found = keys_that_open(pids["dataplane"][0], packets)
    assert set(found) == set(packets), "the keys of both directions must be found in the data plane"
    secrets = {f"{spi:08x}": key[:32] for spi, key in found.items()}
    assert memory_holds(pids["dataplane"][0], secrets) == set(secrets)
    for name in ("ike", "control", "ledger", "certifier-openssl", "certifier-gnutls"):
        assert not memory_holds(pids[name][0], secrets), name


def test_integrity_keys_are_with_the_data_plane_and_not_with_ike(lab):
    """Of AES-CBC with HMAC, for old peers: both keys."""
    cbc = [("encryption aes256gcm16", "encryption aes256cbcsha256;\n        legacy-algorithms")] * 2
    for gateway in GATEWAYS:
        lab.commit(gateway, config_of(gateway, *cbc), "old peers")
    lab["hq"].run("plaingate ike terminate branch")
    wait_for(lambda: not lab.tunnel_up(["hq"]), 10, "the end of the tunnel")
    lab["hq"].run("plaingate ike initiate branch")

    def old():
        rows = {gateway: [row.get("algorithm") for row in show(lab, gateway, "ipsec")] for gateway in GATEWAYS}
        return all(names == ["aes256cbcsha256 (legacy)"] for names in rows.values())

    try:
        wait_for(old, 30, "the tunnel with AES-CBC", pause=0.2)
        packets, pids = traffic_of_one_second(lab), processes(lab, "hq")
        found = keys_that_open(pids["dataplane"][0], packets, 64, opens_cbc)
        assert set(found) == set(packets), "the keys of both directions must be found in the data plane"
        secrets = {f"{spi:08x} {part}": key[at:at + 32] for spi, key in found.items() for part, at in (("encryption", 0), ("integrity", 32))}
        assert memory_holds(pids["dataplane"][0], secrets) == set(secrets)
        for name in ("ike", "control", "ledger", "certifier-openssl", "certifier-gnutls"):
            assert not memory_holds(pids[name][0], secrets), name
    finally:
        for gateway in GATEWAYS:
            lab.commit(gateway, config_of(gateway), "as before")
        lab["hq"].run("plaingate ike terminate branch")
        wait_for(lambda: not lab.tunnel_up(["hq"]), 10, "the end of the tunnel")
        lab["hq"].run("plaingate ike initiate branch")
        wait_for(lambda: lab.tunnel_up() and not old(), 30, "the tunnel as before", pause=0.2)


def nonces_of_init(capture):
    """Ni and Nr of the last IKE_SA_INIT that was answered: RFC 7296 section 3.1 to 3.9."""
    found = {}
    for _, frame in capture.frames():
        if frame[12:14] != b"\x08\x00" or frame[23] != 17:
            continue
        udp = frame[14 + (frame[14] & 15) * 4:]
        message = udp[8:] if 500 in struct.unpack_from("!HH", udp) else udp[12:] if udp[8:12] == bytes(4) else b""
        if len(message) < 28 or message[18] != 34:
            continue
        kind, at = message[16], 28
        while kind and at + 4 <= len(message):
            following, n = message[at], struct.unpack_from("!H", message, at + 2)[0]
            if kind == 40:
                found["r" if message[19] & 0x20 else "i"] = message[at + 4:at + n]
            kind, at = following, at + max(n, 4)
    return found["i"], found["r"]


def find_sk_d(pid, ni, nr, child_key):
    """SK_d and both nonces give the first child SA's keys (RFC 7296 section 2.17): each position of the keeper's memory is tried."""
    seed = ni + nr + b"\x01"
    for _, part in memory(pid, own_only=True):
        for run in re.finditer(rb"(?:(?!\0{16})[\s\S]){40,}", part):
            for at in range(max(0, run.start() - 8), run.end()):
                key = part[at:at + SK_D_BYTES]
                if len(key) == SK_D_BYTES and len(set(key)) > 24 and hmac.digest(key, seed, "sha384")[:32] == child_key:
                    return key
    return None


def test_sk_d_is_with_the_keeper_alone(lab):
    with Capture(lab, "internet", "hq0") as seen:
        lab["hq"].run("plaingate ike terminate branch")
        wait_for(lambda: not lab.tunnel_up(["hq"]), 10, "the end of the tunnel")
        lab["hq"].run("plaingate ike initiate branch")
        lab.wait_for_tunnel()
        with UdpStream(lab, "host-a", "host-b", HOST_B, rate=50) as udp:
            udp.wait_flowing()
    out = next(row["spi_out"] for row in show(lab, "hq", "ipsec") if row["state"] == "active")
    packets = {spi: packet for spi, _, packet in seen.esp() if f"{spi:08x}" == out}
    pids = processes(lab, "hq")
    child_key = keys_that_open(pids["dataplane"][0], packets)[int(out, 16)]  # hq began: its sending keys come first
    sk_d = find_sk_d(pids["keeper"][0], *nonces_of_init(seen), child_key[:32])
    assert sk_d, "the search must find it where it is"
    assert memory_holds(pids["keeper"][0], {"SK_d": sk_d}) == {"SK_d"}
    for name in ("ike", "dataplane", "control", "ledger"):
        assert not memory_holds(pids[name][0], {"SK_d": sk_d, "child": child_key[:32]} if name != "dataplane" else {"SK_d": sk_d}), name


def test_the_search_sees_all_of_ike(lab):
    """What ike does know is found in its memory: the peer's identity and both SPIs of the tunnel."""
    packets, pid = traffic_of_one_second(lab), processes(lab, "hq")["ike"][0]
    known = {f"SPI {spi:08x}": struct.pack("<I", spi) for spi in packets} | {"identity": b"branch.example.net"}
    swapped = {name: octets[::-1] for name, octets in known.items() if name.startswith("SPI")}
    assert "identity" in memory_holds(pid, known)
    assert memory_holds(pid, known) | memory_holds(pid, swapped) >= {name for name in known if name.startswith("SPI")}


def test_after_a_rekey_too(lab):
    def active(gateway):
        return {row["spi_in"] for row in show(lab, gateway, "ipsec") if row["state"] == "active"}

    before = {gateway: active(gateway) for gateway in GATEWAYS}
    lab["hq"].run("plaingate ike rekey-child branch")
    lab["hq"].run("plaingate ike rekey branch")
    wait_for(lambda: all(len(active(gateway)) == 1 and not active(gateway) & before[gateway] for gateway in GATEWAYS), 10, "the new pair alone in use")
    packets, pids = traffic_of_one_second(lab), processes(lab, "hq")
    found = keys_that_open(pids["dataplane"][0], packets)
    assert set(found) == set(packets)
    assert not memory_holds(pids["ike"][0], {f"{spi:08x}": key[:32] for spi, key in found.items()})


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa"])
def test_private_key_is_with_the_keeper_alone(lab, kind):
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519
    make = {"ed25519": ed25519.Ed25519PrivateKey.generate, "ecdsa": lambda: ec.generate_private_key(ec.SECP256R1())}[kind]
    keys = {side: make() for side in ("hq", "branch")}
    pem = {side: key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()).decode()
           for side, key in keys.items()}
    public = {side: base64.b64encode(key.public_key().public_bytes(serialization.Encoding.DER,
                                                                   serialization.PublicFormat.SubjectPublicKeyInfo)).decode()
              for side, key in keys.items()}
    for side, other in (("hq", "branch"), ("branch", "hq")):
        lab.write_key(side, f"{side}-{kind}.pem", pem[side])
    for side, other in (("branch", "hq"), ("hq", "branch")):
        text = config_of(side, ("pre-shared-key hq-branch;", f'private-key {side}-{kind};\n        public-key "{public[other]}";'))
        lab.commit(side, text, f"keys of kind {kind}")
    wait_for(lambda: any(row["state"] == "established" and row["role"] == "initiator" for row in show(lab, "hq", "ike")), 30,
             f"an IKE SA by {kind}; there is {show(lab, 'hq', 'ike')}")
    lab.wait_for_tunnel()
    traffic_of_one_second(lab)
    up = [entry for entry in ledger_entries(lab, "hq") if entry["type"] == "ike_sa_up"][-1]
    assert up["body"]["auth"] == "digital signature" and up["body"]["id"] == "branch.example.net", up
    if kind == "ecdsa":
        scalar = keys["hq"].private_numbers().private_value.to_bytes(32, "big")
    else:
        scalar = keys["hq"].private_bytes(serialization.Encoding.Raw, serialization.PrivateFormat.Raw, serialization.NoEncryption())
    secrets = {"as written": scalar, "as a number of this machine": scalar[::-1], "as text": pem["hq"].splitlines()[1][:48].encode()}
    held = {name: memory_holds(pid, secrets) for name, (pid, _) in processes(lab, "hq").items()}
    assert held.pop("keeper"), "the search must find it where it is"
    assert not any(held.values()), held
