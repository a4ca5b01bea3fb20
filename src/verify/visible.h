/*
 * Every field of IKE and ESP that an observer of the wire sees, and what determines it. An octet that nothing
 * determines could carry a message or the state of a generator: that is how the VPN of 2015 was read. One
 * table: the page is made from it (docs/evidence.md), and tests/system/test_visible.py walks captured
 * handshakes, rekeys and traffic with it, octet by octet, and checks each field against what is stated here.
 *
 * Not in it: IP and UDP headers (addresses and ports are the configuration's, the rest is the kernel's), and
 * when a packet is sent and how long it is.
 */
#ifndef VERIFY_VISIBLE_H
#define VERIFY_VISIBLE_H

/* clang-format off */
#define VISIBLE_SOURCES(F)	/* id, text */										\
	F(PROTOCOL,      "a constant of the protocol")									\
	F(COMPUTED,      "computed from other visible octets")								\
	F(CONFIGURATION, "the configuration, which is in the ledger")							\
	F(COUNTER,       "a counter without gaps")									\
	F(VRF,           "derived (VRF); the proof is in the ledger")					\
	F(LEAF,          "a leaf that was committed to before; the entry names it")								\
	F(CIPHERTEXT,    "the keys of this SA: ciphertext or its tag")							\
	F(ECHO,          "what the other side sent before")								\
	F(MAC,           "a keyed hash of what the other side sent")

#define VISIBLE_FIELDS(V)	/* id, where, field, what determines it, how */						\
	V(IKE_SPI_I,       "IKE header",   "initiator's SPI",       VRF,           "octets 32 to 39 of the output that the entry's proof belongs to")	\
	V(IKE_SPI_R,       "IKE header",   "responder's SPI",       VRF,           "the same; zero in the first request and in a refusal of it")	\
	V(IKE_NEXT,        "IKE header",   "next payload",          PROTOCOL,      "each message has one order of payloads; of what is encrypted the first one's type is seen")	\
	V(IKE_VERSION,     "IKE header",   "version",               PROTOCOL,      "2.0")			\
	V(IKE_EXCHANGE,    "IKE header",   "exchange type",         PROTOCOL,      "34 to 37; a message of another version is refused under its own exchange type, message id and SPIs")			\
	V(IKE_FLAGS,       "IKE header",   "flags",                 PROTOCOL,      "who began the IKE SA, request or response")	\
	V(IKE_MESSAGE_ID,  "IKE header",   "message id",            COUNTER,       "from 0 in each direction; a response has its request's")	\
	V(IKE_LENGTH,      "IKE header",   "length",                COMPUTED,      "of the message")		\
	V(PAYLOAD_NEXT,    "any payload",  "next payload",          PROTOCOL,      "SA, KE, Nonce, then notifies in one order")	\
	V(PAYLOAD_FLAGS,   "any payload",  "critical bit, reserved", PROTOCOL,     "zero")			\
	V(PAYLOAD_LENGTH,  "any payload",  "length",                COMPUTED,      "of the payload")		\
	V(SA_OFFER,        "SA",           "proposals, transforms", CONFIGURATION, "the peer's proposals in their order; in a response the one that was chosen")	\
	V(KE_GROUP,        "KE",           "group",                 CONFIGURATION, "of the first proposal, or of the chosen one")	\
	V(KE_RESERVED,     "KE",           "reserved",              PROTOCOL,      "zero")			\
	V(KE_VALUE,        "KE",           "public value",          LEAF,          "of a batch by cut and choose: some leaves were opened, each of the others is used once")	\
	V(NONCE,           "Nonce",        "nonce",                 VRF,           "octets 0 to 31 of the same output as the SPI's")	\
	V(NOTIFY_HEAD,     "N",            "protocol, SPI size, type", PROTOCOL,   "zero, zero, a number of the registry; a refusal has one notify alone")	\
	V(NOTIFY_NAT,      "N",            "NAT detection",         COMPUTED,      "SHA-1 over SPIs, address, port; with forced encapsulation of address and port zero")	\
	V(NOTIFY_HASHES,   "N",            "signature hashes",      PROTOCOL,      "those that we check, ascending")	\
	V(NOTIFY_GROUP,    "N",            "group of INVALID_KE_PAYLOAD", CONFIGURATION, "of the chosen proposal")	\
	V(NOTIFY_CRITICAL, "N",            "type of UNSUPPORTED_CRITICAL_PAYLOAD", ECHO, "of the payload that is refused")	\
	V(NOTIFY_SECRET,   "N",            "cookie, demanded: first octet", COUNTER, "number of the secret: one more with each new one")	\
	V(NOTIFY_PUZZLE,   "N",            "puzzle, and its copy in the cookie: PRF, difficulty", ECHO, "the first PRF of the request that is known here; a difficulty of 10 to 18 by the number of IKE SAs that are half-open or have failed lately (below); without a puzzle zero")	\
	V(NOTIFY_BEFORE,   "N",            "cookie, demanded: fourth octet", COUNTER,   "demands before this one whose cookie was returned and did not suffice")	\
	V(NOTIFY_COOKIE,   "N",            "cookie, demanded: the rest", MAC,           "with a secret that exists for some minutes, in ike only; it cannot be checked later")	\
	V(NOTIFY_TOKEN,    "N",            "QCD_TOKEN beside INVALID_IKE_SPI", MAC,     "over both SPIs, with a secret that ike has over restarts; it cannot be checked later")	\
	V(NOTIFY_ECHO,     "N",            "cookie, returned",  ECHO,          "as the responder made it")	\
	V(PS_SOLUTION,     "PS",           "solution of a puzzle", COMPUTED,     "of the numbers from 0 on the first four that solve it, as keys of four octets")	\
	V(SK_IV,           "SK",           "initialization vector", COUNTER,       "from 1 for each key")		\
	V(SK_CIPHERTEXT,   "SK",           "encrypted payloads",    CIPHERTEXT,    "no padding; the pad length inside is zero")	\
	V(SK_TAG,          "SK",           "integrity check value", CIPHERTEXT,    "16 octets")			\
	V(MARKER,          "UDP 4500",     "marker of IKE",         PROTOCOL,      "four octets of zero")		\
	V(KEEPALIVE,       "UDP 4500",     "NAT keepalive",         PROTOCOL,      "one octet, ff")		\
	V(ESP_SPI,         "ESP",          "SPI",                   VRF,           "one of the eight candidates in octets 32 to 63 of the receiver's output; each skipped one is counted")	\
	V(ESP_SEQUENCE,    "ESP",          "sequence number",       COUNTER,       "from 1 for each SA")		\
	V(ESP_IV,          "ESP",          "initialization vector", COUNTER,       "the sequence number, in 64 bits")	\
	V(ESP_CIPHERTEXT,  "ESP",          "inner packet, padding, trailer", CIPHERTEXT, "padding to 4 octets, inside: 1, 2, 3")	\
	V(ESP_TAG,         "ESP",          "integrity check value", CIPHERTEXT,    "16 octets")
/* clang-format on */

/* What nothing determines, and who could put a message for a listener into it. Bits: the capacity of one. */
/* clang-format off */
#define VISIBLE_FREE(V)	/* what, bits, by whom, what prevents or counts it */				\
	V("order in which values are used",  "none, except for exchanges that overlap", "keeper", "leaves must follow values; those out of order are counted, with a bound in bits: `order_late`, `order_bits`")	\
	V("values and leaves that are skipped", "at most `order_bits` and `leaf_order_bits` in all", "keeper, or a stranger who initiates exchanges", "each is in an entry: `values_failed`, `leaves_failed`; those that are not are `values_unaccounted`, `leaves_unaccounted`")	\
	V("candidates of a child SA's SPI",  "3 for each child", "keeper", "skipped ones are counted: `spi_candidates_skipped`")	\
	V("an epoch's key, opened shares",   "the logarithm of the number of tries", "keeper; in the ledger, not on the wire", "counted: `epochs`; a share is a hash of the kernel's output, so it has no generator's state")	\
	V("nonce, SPI and public value of a failed exchange", "up to 1,088 (with P-384)", "keeper, ike", "once the epoch's key is disclosed, `--capture` with `--ours` finds those that are not among its values; the public value is not compared")	\
	V("cookie that is demanded",         "256 for each, on anybody's request", "ike", "nothing: its secret exists for some minutes in ike and is not disclosed. It is sent only above the threshold of half-open IKE SAs")	\
	V("difficulty of a puzzle",          "3 for each cookie with a puzzle", "ike", "nothing: it follows the number of IKE SAs that are half-open or have failed lately")	\
	V("token of an IKE SA that is gone", "128 for each, on anybody's request", "ike", "nothing: its secret is in ike and in a file, and is not disclosed. At most 500 a second are sent, and 500 at once")	\
	V("time of a retransmission",      "8 for each (0.9 to 1.1 of its time, in thousandths)", "ike", "nothing")	\
	V("time of a rekey",                 "6 for each (60 thousandths of the lifetime), and more at a clock's full resolution", "ike", "nothing")	\
	V("time of the next attempt after a refusal", "11 to 16 for each (milliseconds)", "ike", "nothing")	\
	V("when a packet is sent, how long it is, whether it is sent", "not bounded", "ike, data plane, kernel", "nothing")	\
	V("IP and UDP headers: identification, TTL, DSCP, flow label", "24 to 44 for each packet", "kernel; for inner packets in clear the data plane", "nothing")	\
	V("sequence numbers and ports of the connections to witnesses", "32 and 16 for each", "kernel", "nothing")	\
	V("TLS and DNS for witnesses that have a URL: randoms, session ids, key shares, numbers of questions", "some 800 for each question (with X25519)", "courier, kernel", "nothing: that process has no secrets other than the keys of these connections")	\
	V("ports of source NAT; ICMP errors and resets that the gateway makes", "16 for each session; what they quote", "data plane", "nothing")
/* clang-format on */

enum visible_source {
#define E(id, text) VISIBLE_##id,
	VISIBLE_SOURCES(E)
#undef E
};

#endif
