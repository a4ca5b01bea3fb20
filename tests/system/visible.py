"""What an observer sees of IKE and ESP, octet by octet, compared with the table of src/verify/visible.h, and public values recomputed from
a ledger by independent code: libsodium's group and Python, nothing from src/.
"""
import base64
import ctypes
import hashlib
import hmac
import signal
import struct
import subprocess

from kit import GATEWAYS, entries_in, ledger_directory

REFERENCE = "tests/unit/docs/evidence_reference"
sodium = ctypes.CDLL("libsodium.so.23")
SUITE = b"\xffc2sp.org/vrf-r255"
LABEL = b"plaingate/public-values/v1"
ORDER = 2**252 + 27742317777372353535851937790883648493


# What lab/two-sites has: addresses, and the offer of aes256gcm16, prfsha384, x25519.
WAN = {"hq": bytes([198, 51, 100, 2]), "branch": bytes([203, 0, 113, 2])}
OFFER = bytes.fromhex("00000024" "01010003" "0300000c" "01000014" "800e0100" "03000008" "02000006" "00000008" "0400001f")
X25519, HASH_ALGORITHMS = 31, bytes.fromhex("0002000300040005")


# --- public values out of a ledger ---

def group(function, *operands):
    """An operation of libsodium on ristretto255 that yields 32 octets."""
    result = ctypes.create_string_buffer(32)
    assert getattr(sodium, function)(result, *operands) == 0, function
    return result.raw


def scalar(number):
    return (number % ORDER).to_bytes(32, "little")


def point_of(key, count):
    """The point that the function's output is a multiple of, for this key and count."""
    alpha = LABEL + key + struct.pack("!Q", count)
    return group("crypto_core_ristretto255_from_hash", hashlib.sha512(SUITE + b"\x82" + key + alpha).digest())


def times(k, point):
    return group("crypto_scalarmult_ristretto255", scalar(k), point)


def leaf_public(body, roots):
    """The public value of the leaf that the entry names, which must lead to the root of a batch that was committed to. Of the
    groups X25519 stands last."""
    data, path = base64.b64decode(body["leaf"]), base64.b64decode(body["leaf_path"])
    assert body["leaf_batch"] in roots and len(path) == 8 * 32, "a batch has 256 leaves"
    node, index = hashlib.sha256(b"\0" + data).digest(), body["leaf_index"]
    for at in range(0, len(path), 32):
        beside = path[at:at + 32]
        node = hashlib.sha256(b"\1" + (beside + node if index & 1 else node + beside)).digest()
        index >>= 1
    assert index == 0 and node.hex() == body["leaf_batch"]
    return data[-32:]


def output(gamma):
    return hashlib.sha512(SUITE + b"\x03" + gamma + b"\0").digest()


def proved(key, count, proof):
    """The 64 octets that the proof belongs to; None when it does not hold."""
    gamma, c, s = proof[:32], int.from_bytes(proof[32:48], "little"), int.from_bytes(proof[48:], "little")
    h = point_of(key, count)
    try:
        u = group("crypto_core_ristretto255_sub", group("crypto_scalarmult_ristretto255_base", scalar(s)), times(c, key))
        v = group("crypto_core_ristretto255_sub", times(s, h), times(c, gamma))
    except AssertionError:  # no point, or the identity
        return None
    again = hashlib.sha512(SUITE + b"\x02" + key + h + gamma + u + v + b"\0").digest()[:16]
    return output(gamma) if again == proof[32:48] else None


class Derived:
    """The public values of a gateway's ledger, each recomputed."""

    def __init__(self, entries):
        self.nonces, self.ike_spis, self.esp_spis, self.proofs, self.opened = set(), set(), set(), 0, 0
        self.publics = {}  # public value of X25519 in the leaf that an IKE SA's entry names, by our SPI
        keys, roots = [], set()
        for entry in entries:
            body = entry["body"]
            if entry["type"] == "vrf_epoch":
                keys.append(bytes.fromhex(body["key"]))
            elif entry["type"] == "vrf_epoch_end":
                self.lay_open(bytes.fromhex(body["key"]), bytes.fromhex(body["scalar"]), body["count"])
            elif entry["type"] in ("ike_sa_up", "ike_sa_rekeyed", "sa_install"):
                values = [v for v in (proved(key, body["vrf_count"], bytes.fromhex(body["vrf_proof"])) for key in keys) if v]
                assert len(values) == 1, f"the proof of {entry['type']} holds under {len(values)} keys"
                self.take(values[0])
                self.proofs += 1
                if entry["type"] == "ike_sa_up" and body["leaf"]:
                    self.publics[bytes.fromhex(body["spi_i" if body["role"] == "initiator" else "spi_r"])] = leaf_public(body, roots)
            elif entry["type"] == "leaf_batch":
                roots.add(body["root"])

    def lay_open(self, key, secret, count):
        """All values derived with the key, also of failed exchanges."""
        k = int.from_bytes(secret, "little")
        assert group("crypto_scalarmult_ristretto255_base", scalar(k)) == key
        for number in range(1, count + 1):
            self.take(output(times(k, point_of(key, number))))
            self.opened += 1

    def take(self, octets):
        self.nonces.add(octets[:32])
        self.ike_spis.add(octets[32:40])
        self.esp_spis |= {octets[at:at + 4] for at in range(32, 64, 4) if octets[at:at + 3] != b"\0\0\0"}


def derived_in_the_end(lab):
    """{address: Derived} of gateways that are stopped here. An orderly end discloses the keys of public values: then those of exchanges
    that came to nothing are known as well."""
    directories = {gateway: ledger_directory(lab, gateway) for gateway in GATEWAYS}
    for gateway in GATEWAYS:
        lab.daemons[gateway].send_signal(signal.SIGTERM)
        lab.daemons[gateway].wait(15)
    return {WAN[gateway]: Derived(entries_in(directories[gateway])) for gateway in GATEWAYS}


# --- examining captures ---

SA, KE, NONCE, NOTIFY, SK, PS = 33, 34, 40, 41, 46, 54
PUZZLE = 16434
NAT_SOURCE, NAT_DESTINATION, COOKIE, CHILDLESS, FRAGMENTATION, HASHES, OTHER_GROUP, CRITICAL = 16388, 16389, 16390, 16418, 16430, 16431, 17, 1
TRANSCRIPT = 16447
REFUSALS = {COOKIE, OTHER_GROUP, CRITICAL, 7, 14}  # to IKE_SA_INIT, each alone: INVALID_SYNTAX, NO_PROPOSAL_CHOSEN
SA_INIT, AUTH, CREATE_CHILD, INFORMATIONAL = 34, 35, 36, 37
# The types of the first payload that is encrypted, by exchange.
FIRST_INSIDE = {AUTH: {35, 36, NOTIFY}, CREATE_CHILD: {SA, NOTIFY}, INFORMATIONAL: {0, NOTIFY, 42}}
INITIATOR, RESPONSE = 8, 32


PUZZLE_HASHES = {5: "sha256", 6: "sha384"}


def solution_of(cookie):
    """RFC 8019 section 7.1.3: of the numbers from 0 on the first four that are keys under which the cookie's PRF ends with so many zero bits."""
    keys, number, mask = b"", 0, (1 << cookie[2]) - 1
    while len(keys) < 16:
        key = struct.pack("!I", number)
        if not int.from_bytes(hmac.digest(key, cookie, PUZZLE_HASHES[cookie[1]]), "big") & mask:
            keys += key
        number += 1
    return keys


def fields_of_the_table(build):
    """{field: the value that determines it}"""
    said = subprocess.run([str(build / REFERENCE), "--fields"], capture_output=True, text=True, check=True).stdout
    return dict(line.split() for line in said.splitlines())


def udp_packets(frames):
    """((address, port) from, to, payload) of the IPv4 datagrams in frames."""
    for frame in frames:
        ip = frame[14:]
        if frame[12:14] != b"\x08\x00" or ip[9] != 17:
            continue
        head, total = (ip[0] & 15) * 4, struct.unpack_from("!H", ip, 2)[0]
        source, destination, length = struct.unpack_from("!HHH", ip, head)
        assert length == total - head
        yield (ip[12:16], source), (ip[16:20], destination), ip[head + 8:total]


class Bad(Exception):
    """A field that differs from what determines it."""


class Walk:
    """Judges datagrams in the order in which they were sent. derived: {address in four octets: Derived}; offer: the proposals of the SA
    payload as the configuration has them; hashes: what SIGNATURE_HASH_ALGORITHMS holds."""

    def __init__(self, table, derived, offer, group_number, hashes, begun_before=frozenset()):
        """begun_before: SPIs of SAs, of IKE both together, whose first packets were sent before the capture."""
        self.table, self.derived, self.offer, self.group, self.hashes = table, derived, offer, group_number, hashes
        self.begun_before = begun_before
        self.octets = dict.fromkeys(table, 0)
        self.counters = {}     # the last value of each counter
        self.seen = set()      # datagrams, so that one that was sent again is known
        self.cookies = set()   # that responders demanded
        self.secrets = {}      # the secret that they were last made with
        self.kinds = set()     # (exchange, response)
        self.leaves = 0        # public values that were compared: failed exchanges name no leaf
        self.requests = set()  # (IKE SA, sender, message id, exchange)
        self.initiators = {}   # IKE SA by its SPIs: the address of the sender of its IKE_SA_INIT, whose first message id here is 1

    def field(self, name, octets, good):
        if name not in self.table:
            raise Bad(f"{name} is not in the table")
        if not good:
            raise Bad(f"{name}: {octets.hex()}")
        self.octets[name] += len(octets)

    def counter(self, name, octets, of, first=1):
        """Increases by one; an SA that began before the capture continues from where it is first seen."""
        number, last = int.from_bytes(octets, "big"), self.counters.get((name, of))
        self.field(name, octets, number == last + 1 if last is not None else first is None or number == first)
        self.counters[name, of] = number

    def datagram(self, source, destination, data):
        if (source, destination, data) in self.seen:
            return
        if 4500 not in (source[1], destination[1]):
            self.ike(source, destination, data)
        elif len(data) == 1:
            self.field("KEEPALIVE", data, data == b"\xff")
        elif data[:4] == b"\0\0\0\0":
            self.field("MARKER", data[:4], True)
            self.ike(source, destination, data[4:])
        else:
            self.esp(source, destination, data)
        self.seen.add((source, destination, data))

    # --- ESP ---

    def esp(self, source, destination, data):
        if len(data) < 16 + 4 + 16:
            raise Bad("ESP: too short")
        spi, sequence, iv, inner, tag = data[:4], data[4:8], data[8:16], data[16:-16], data[-16:]
        self.field("ESP_SPI", spi, spi in self.derived[destination[0]].esp_spis)
        self.counter("ESP_SEQUENCE", sequence, spi, None if spi in self.begun_before else 1)
        self.field("ESP_IV", iv, iv == b"\0\0\0\0" + sequence)
        self.field("ESP_CIPHERTEXT", inner, len(inner) % 4 == 0)
        self.field("ESP_TAG", tag, True)

    # --- IKE ---

    def ike(self, source, destination, data):
        if len(data) < 28:
            raise Bad("IKE: too short")
        spi_i, spi_r, (following, version, exchange, flags) = data[:8], data[8:16], data[16:20]
        message_id, length = data[20:24], data[24:28]
        response = flags & RESPONSE
        began, other = (source, destination) if flags & INITIATOR else (destination, source)  # of the IKE SA
        self.field("IKE_SPI_I", spi_i, spi_i in self.derived[began[0]].ike_spis)
        first = exchange == SA_INIT and (not response or (following == NOTIFY and self.notify_type(data[32:]) in REFUSALS and data[28] == 0))
        self.field("IKE_SPI_R", spi_r, spi_r in self.derived[other[0]].ike_spis if not first else spi_r == bytes(8))
        self.field("IKE_VERSION", data[17:18], version == 0x20)
        self.field("IKE_EXCHANGE", data[18:19], exchange in (SA_INIT, *FIRST_INSIDE))
        self.field("IKE_FLAGS", data[19:20], flags & ~(INITIATOR | RESPONSE) == 0)
        self.field("IKE_LENGTH", length, int.from_bytes(length, "big") == len(data))
        if exchange == SA_INIT:
            if bool(flags & INITIATOR) == bool(response):
                raise Bad("IKE_FLAGS: IKE_SA_INIT")
            self.field("IKE_MESSAGE_ID", message_id, message_id == bytes(4))
            self.init(source, destination, data, following, response)
            if response:
                self.initiators[spi_i + spi_r] = destination[0]
        else:
            self.message_id(spi_i + spi_r, source, message_id, response, exchange)
            self.field("IKE_NEXT", data[16:17], following == SK)
            self.encrypted(spi_i + spi_r, source, data[28:], exchange)
        self.kinds.add((exchange, bool(response)))

    def message_id(self, sa, source, octets, response, exchange):
        """A request's id increases by one; a response's is that of a request of the other side, in the same exchange."""
        number = int.from_bytes(octets, "big")
        if response:
            self.field("IKE_MESSAGE_ID", octets, any((sa, other, number, exchange) in self.requests for other in self.derived if other != source[0]))
            return
        first = 1 if self.initiators.get(sa) == source[0] else 0  # the number 0 was that of its IKE_SA_INIT
        self.counter("IKE_MESSAGE_ID", octets, (sa, source[0]), None if sa in self.begun_before else first)
        self.requests.add((sa, source[0], number, exchange))

    def encrypted(self, sa, source, data, exchange):
        if len(data) < 4 + 8 + 1 + 16:
            raise Bad("SK: too short")
        self.field("PAYLOAD_NEXT", data[:1], data[0] in FIRST_INSIDE[exchange])
        self.field("PAYLOAD_FLAGS", data[1:2], data[1] == 0)
        self.field("PAYLOAD_LENGTH", data[2:4], int.from_bytes(data[2:4], "big") == len(data))
        self.counter("SK_IV", data[4:12], (sa, source[0]), None if sa in self.begun_before else 1)
        self.field("SK_CIPHERTEXT", data[12:-16], True)
        self.field("SK_TAG", data[-16:], True)

    def init(self, source, destination, data, following, response):
        payloads, at = [], 28
        self.field("IKE_NEXT", data[16:17], following in (SA, NOTIFY))
        while following:
            if at + 4 > len(data):
                raise Bad("PAYLOAD_NEXT: a payload that is not there")
            n = int.from_bytes(data[at + 2:at + 4], "big")
            self.field("PAYLOAD_LENGTH", data[at + 2:at + 4], 4 <= n <= len(data) - at)
            self.field("PAYLOAD_FLAGS", data[at + 1:at + 2], data[at + 1] == 0)
            self.field("PAYLOAD_NEXT", data[at:at + 1], data[at] in (0, SA, KE, NONCE, NOTIFY, PS))
            payloads.append((following, data[at + 4:at + n]))
            following, at = data[at], at + n
        if at != len(data):
            raise Bad("PAYLOAD_LENGTH: octets behind the last payload")
        order = [self.notify_type(body) if kind == NOTIFY else kind for kind, body in payloads]
        whole = [SA, KE, NONCE, NAT_SOURCE, NAT_DESTINATION, HASHES, FRAGMENTATION, TRANSCRIPT] + [CHILDLESS] * bool(response)
        refusal = response and (order == [COOKIE, PUZZLE] or len(order) == 1 and order[0] in REFUSALS)
        if order not in (whole, [COOKIE, *whole], [COOKIE, PS, *whole]) and not refusal:
            raise Bad(f"PAYLOAD_NEXT: payloads in the order {order}")
        self.demanded = bytes(2)  # what the cookie says of a puzzle, and the puzzle beside it
        if PUZZLE in order:
            self.demanded = payloads[1][1][5:]
        for kind, body in payloads:
            self.payload(source, destination, data, kind, body, response)

    @staticmethod
    def notify_type(body):
        return int.from_bytes(body[2:4], "big")

    def payload(self, source, destination, data, kind, body, response):
        if kind == SA:
            self.field("SA_OFFER", body, body == self.offer)
        elif kind == KE:
            self.field("KE_GROUP", body[:2], int.from_bytes(body[:2], "big") == self.group)
            self.field("KE_RESERVED", body[2:4], body[2:4] == b"\0\0")
            publics, spi = self.derived[source[0]].publics, data[8:16] if response else data[:8]
            self.field("KE_VALUE", body[4:], len(body) == 4 + 32 and publics.get(spi, body[4:]) == body[4:])
            self.leaves += spi in publics
        elif kind == NONCE:
            self.field("NONCE", body, body in self.derived[source[0]].nonces)
        elif kind == PS:
            self.field("PS_SOLUTION", body, body == solution_of(self.returned))
        else:
            self.notify(source, destination, data[:16], body, response)

    def notify(self, source, destination, spis, body, response):
        kind, data = self.notify_type(body), body[4:]
        self.field("NOTIFY_HEAD", body[:4], body[:2] == b"\0\0")
        if kind in (NAT_SOURCE, NAT_DESTINATION):
            where = [source, (bytes(4), 0)] if kind == NAT_SOURCE else [destination]
            self.field("NOTIFY_NAT", data, data in [hashlib.sha1(spis + a + struct.pack("!H", p)).digest() for a, p in where])
        elif kind == HASHES:
            self.field("NOTIFY_HASHES", data, data == self.hashes)
        elif kind == OTHER_GROUP:
            self.field("NOTIFY_GROUP", data, int.from_bytes(data, "big") == self.group)
        elif kind == CRITICAL:
            self.field("NOTIFY_CRITICAL", data, len(data) == 1)
        elif kind in REFUSALS - {COOKIE} | {FRAGMENTATION, TRANSCRIPT, CHILDLESS}:
            self.field("NOTIFY_HEAD", data, data == b"")
        elif kind == PUZZLE:
            self.field("NOTIFY_PUZZLE", data, data == b"\0" + self.demanded and data[1] in PUZZLE_HASHES and 10 <= data[2] <= 18)
        elif response:
            self.field("NOTIFY_SECRET", data[:1], self.secrets.get(source[0], data[0]) in (data[0], (data[0] - 1) % 256))
            self.secrets[source[0]] = data[0]
            self.field("NOTIFY_PUZZLE", data[1:3], data[1:3] == self.demanded)
            self.field("NOTIFY_BEFORE", data[3:4], not data[3] or any(data[3] == one[3] + 1 for one in self.cookies))
            self.field("NOTIFY_COOKIE", data[4:], len(data) == 36)
            self.cookies.add(data)
        else:
            self.returned = data
            self.field("NOTIFY_ECHO", data, data in self.cookies)
