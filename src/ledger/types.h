/*
 * The types of ledger entries: one table of types, one of their fields. Bodies are built, checked and documented from it.
 *
 * An entry is one line of canonical JSON (base/json.h), keys in byte order:
 *   {"body":{…},"boot":"<hex>","mono":<us>,"n":<count>,"run":<count>,"source":"<process>","type":"<name>",
 *    "utc":"<time>"}
 * The source sends type and body; the ledger adds who it was (known from the socket), its gap-free counter as checked and the
 * run that it counts, the boot's identity and both clocks. Every field of a type is always there; what does not apply is an
 * empty text or 0.
 */
#ifndef LEDGER_TYPES_H
#define LEDGER_TYPES_H

#include "base/err.h"
#include "base/json.h"
#include "ledger/canonical.h"

#define LEDGER_ENTRY_MAX     4096
#define LEDGER_BODY_TEXT_MAX 3072 /* LEDGER_BODY_MAX of ipc/messages.h */

/* clang-format off */
#define LEDGER_TYPES(T)	/* id, name, sources, text */									\
	T(LEDGER_START,      "ledger_start",      "ledger",         "the ledger was opened; a new boot begins")		\
	T(SEAL_EPOCH,        "seal_epoch",        "ledger",         "one-time keys that sign the checkpoints from here on")	\
	T(COUNTER_GAP,       "counter_gap",       "ledger",         "numbers of a source under which no entry stands")	\
	T(COUNTERS,          "counters",          "ledger",         "how the counters of all sources stand: a start reads from here on")	\
	T(RECOVERY_EPOCH,    "recovery_epoch",    "ledger",         "a witness has seen a log that this disk does not continue: a new log begins")	\
	T(WITNESS_MISSING,   "witness_missing",   "ledger",         "a witness has not cosigned for three heartbeats")	\
	T(WITNESS_BACK,      "witness_back",      "ledger",         "a witness that was missing cosigns again")		\
	T(PROCESS_START,     "process_start",     "supervisor",     "a measured executable is about to run")		\
	T(KNOWN_ANSWERS,     "known_answers",     "supervisor",     "the file by which the keeper is about to check its functions")	\
	T(PROCESS_EXIT,      "process_exit",      "supervisor",     "a process ended")					\
	T(CONFIG_LOAD,       "config_load",       "control",        "the stored configuration was loaded at start")	\
	T(CONFIG_COMMIT,     "config_commit",     "control",        "a configuration is about to be applied")		\
	T(PEER_SILENT,       "peer_silent",       "ledger",         "nothing of a peer's ledger that is cosigned here was cosigned for three heartbeats")	\
	T(PEER_BACK,         "peer_back",         "ledger",         "one that was silent is cosigned again")			\
	T(PEER_FORKED,       "peer_forked",       "ledger",         "one has signed two histories; the proof is kept")	\
	T(WITNESSES_CHANGE,  "witnesses_change",  "control",        "the witnesses, or what waits for them, are about to change")	\
	T(CONFIG_OVERRIDE,   "config_override",   "control",        "a safety check of the commit that follows is overridden")	\
	T(CONFIG_REFUSED,    "config_refused",    "control",        "a configuration was refused; nothing changed")	\
	T(ADMIN_ACT,         "admin_act",         "control",        "an administrator is about to act")			\
	T(ADMIN_ACT_ABORTED,      "admin_act_aborted",      "control",        "an action of an administrator was aborted, whether or not its admin_act stands here")	\
	T(ENTROPY_START,     "entropy_start",       "entropy",        "the second source of secrets has passed its start-up tests")	\
	T(ENTROPY_FAILED,     "entropy_failed",     "entropy keeper", "a source of secrets failed a test: no secret is made from here on")	\
	T(KEY_USED,          "key_used",          "keeper",         "our key is about to prove us to a peer that has not proven itself")	\
	T(IKE_SA_UP,         "ike_sa_up",         "keeper",         "a peer proved its identity")			\
	T(IKE_SA_REKEYED,    "ike_sa_rekeyed",    "keeper",         "a new IKE SA replaces one, under the same proof")	\
	T(IKE_SA_DOWN,       "ike_sa_down",       "keeper",         "an IKE SA ended")					\
	T(SA_INSTALL,        "sa_install",        "keeper",         "a pair of ESP SAs is about to be installed")	\
	T(SA_REMOVE,         "sa_remove",         "keeper",         "a pair of ESP SAs was removed")			\
	T(KEYS_DROPPED,      "keys_dropped",      "keeper",         "ike was lost; the secrets of its IKE SAs were wiped")	\
	T(EXCHANGE_FAILED,   "exchange_failed",   "keeper",         "values and leaves whose exchanges came to nothing")	\
	T(PUBLIC_EPOCH,      "public_epoch",      "keeper",         "the key (VRF) that nonces and SPIs are derived from, from here on")	\
	T(PUBLIC_EPOCH_END,  "public_epoch_end",  "keeper",         "that key is disclosed: every value it derived can be recomputed")	\
	T(LEAF_BATCH,        "leaf_batch",        "keeper",         "commitment to ephemeral keys, before any of them is used")	\
	T(LEAF_HASHES,       "leaf_hashes",       "keeper",         "hashes of a batch's leaves, which make its root")	\
	T(LEAF_CHALLENGE,    "leaf_challenge",    "keeper",         "which leaves of a batch are opened follows from this")	\
	T(LEAVES_OPENED,     "leaves_opened",     "keeper",         "opened leaves, never used for a key exchange")	\
	T(LEAF_BATCH_END,    "leaf_batch_end",    "keeper",         "no leaf of this batch is used any more")		\
	T(HANDSHAKE_REFUSED, "handshake_refused", "ike keeper",     "a negotiation was refused")			\
	T(GAP,               "gap",               "supervisor keeper ike dataplane control entropy", "the ledger was away meanwhile")

/* Entries that witnesses are asked about within a quarter of a second; all others within a second. */
#define LEDGER_PRIORITY(S)										\
	S(SEAL_EPOCH) S(RECOVERY_EPOCH) S(PROCESS_START) S(KNOWN_ANSWERS) S(CONFIG_LOAD)		\
	S(CONFIG_COMMIT) S(WITNESSES_CHANGE) S(ADMIN_ACT) S(PUBLIC_EPOCH) S(PUBLIC_EPOCH_END)	\
	S(LEAF_BATCH)

#define LEDGER_FIELDS(F)	/* type, key, kind, text; keys in byte order within a type */			\
	F(LEDGER_START,      "key",        STRING, "verifier key of this log")					\
	F(LEDGER_START,      "origin",     STRING, "name of this log")						\
	F(LEDGER_START,      "recovered",  NUMBER, "entries found whole on the disk")				\
	F(LEDGER_START,      "torn_bytes", NUMBER, "cut off the journal: a batch that nobody got a receipt for")	\
	F(SEAL_EPOCH,        "keys",       NUMBER, "how many")						\
	F(SEAL_EPOCH,        "root",       STRING, "Merkle root of their public halves")			\
	F(COUNTER_GAP,       "first",      NUMBER, "the first missing number")					\
	F(COUNTER_GAP,       "last",       NUMBER, "the last one")						\
	F(COUNTER_GAP,       "run",        NUMBER, "which start of the source counted them")			\
	F(COUNTER_GAP,       "source",     STRING, "whose")							\
	F(COUNTER_GAP,       "why",        STRING, "what the ledger knows about it")				\
	F(COUNTERS,          "last",       STRING, "source, run and last number, before this entry, of each: `control 0 17, keeper 2 65536`")	\
	F(RECOVERY_EPOCH,    "archive",    STRING, "folder in which the log that was on the disk is kept, if there was one")	\
	F(RECOVERY_EPOCH,    "disk_root",  STRING, "its root")							\
	F(RECOVERY_EPOCH,    "disk_size",  NUMBER, "its entries")						\
	F(RECOVERY_EPOCH,    "origin",     STRING, "name of that log")						\
	F(RECOVERY_EPOCH,    "seen_note",  ADDED,  "the witness's note: the head, signed by this log's own key and cosigned; empty: too long")	\
	F(RECOVERY_EPOCH,    "seen_root",  STRING, "root that the witness cosigned, signed by this log's own key")	\
	F(RECOVERY_EPOCH,    "seen_size",  NUMBER, "entries of it")						\
	F(RECOVERY_EPOCH,    "seen_time",  NUMBER, "when, in seconds since 1970 by the witness's clock")	\
	F(RECOVERY_EPOCH,    "witness",    STRING, "its name in the configuration")				\
	F(WITNESS_MISSING,   "cosigned",   NUMBER, "entries of the last checkpoint that it cosigned")		\
	F(WITNESS_MISSING,   "error",      STRING, "what came of the last question")				\
	F(WITNESS_MISSING,   "silent_s",   NUMBER, "seconds since then")					\
	F(WITNESS_MISSING,   "witness",    STRING, "its name in the configuration")				\
	F(WITNESS_BACK,      "cosigned",   NUMBER, "entries of the checkpoint that it has cosigned now")	\
	F(WITNESS_BACK,      "silent_s",   NUMBER, "seconds that it was silent")				\
	F(WITNESS_BACK,      "witness",    STRING, "its name in the configuration")				\
	F(PEER_SILENT,       "cosigned",   NUMBER, "entries of the last checkpoint that was cosigned in this run")	\
	F(PEER_SILENT,       "ledger",     STRING, "its name in the configuration")				\
	F(PEER_SILENT,       "peer",       STRING, "whose")							\
	F(PEER_SILENT,       "silent_s",   NUMBER, "seconds since then")					\
	F(PEER_BACK,         "cosigned",   NUMBER, "entries of the checkpoint that is cosigned now")		\
	F(PEER_BACK,         "ledger",     STRING, "its name in the configuration")				\
	F(PEER_BACK,         "peer",       STRING, "whose")							\
	F(PEER_BACK,         "silent_s",   NUMBER, "seconds that it was silent")				\
	F(PEER_FORKED,       "cosigned",   NUMBER, "entries of the last checkpoint that was cosigned in this run")	\
	F(PEER_FORKED,       "kept",       STRING, "the note of the other history, beside the one that was cosigned")	\
	F(PEER_FORKED,       "ledger",     STRING, "its name in the configuration")				\
	F(PEER_FORKED,       "peer",       STRING, "whose")							\
	F(PROCESS_START,     "executable", STRING, "name of the executable")					\
	F(PROCESS_START,     "process",    STRING, "which process")						\
	F(PROCESS_START,     "restarts",   NUMBER, "how many times it was started before")			\
	F(PROCESS_START,     "sha256",     STRING, "of the executable, as copied for running")			\
	F(KNOWN_ANSWERS,     "file",       STRING, "its name")						\
	F(KNOWN_ANSWERS,     "sha256",     STRING, "of what the keeper is given")				\
	F(PROCESS_EXIT,      "pid",        NUMBER, "process id")						\
	F(PROCESS_EXIT,      "process",    STRING, "which process")						\
	F(PROCESS_EXIT,      "why",        STRING, "exit status or signal")					\
	F(CONFIG_LOAD,       "generation", NUMBER, "count of commits")						\
	F(CONFIG_LOAD,       "sha256",     STRING, "of the configuration's text")				\
	F(CONFIG_COMMIT,     "admin",      STRING, "who")							\
	F(CONFIG_COMMIT,     "comment",    STRING, "why, in the administrator's words")				\
	F(CONFIG_COMMIT,     "generation", NUMBER, "count of commits, this one included")			\
	F(CONFIG_COMMIT,     "previous",   STRING, "SHA-256 of the text it replaces")				\
	F(CONFIG_COMMIT,     "sha256",     STRING, "of the configuration's text")				\
	F(WITNESSES_CHANGE,  "admin",      STRING, "who")							\
	F(WITNESSES_CHANGE,  "after",      STRING, "quorum, what is required, names and key ids, as committed")	\
	F(WITNESSES_CHANGE,  "before",     STRING, "the same as it runs")					\
	F(WITNESSES_CHANGE,  "generation", NUMBER, "of the configuration that brings the change")		\
	F(CONFIG_OVERRIDE,   "admin",      STRING, "who")							\
	F(CONFIG_OVERRIDE,   "generation", NUMBER, "of the configuration that is about to be applied")	\
	F(CONFIG_OVERRIDE,   "option",     STRING, "of commit, by which it was asked for")			\
	F(CONFIG_OVERRIDE,   "warning",    STRING, "what the check said")					\
	F(CONFIG_REFUSED,    "admin",      STRING, "who")							\
	F(CONFIG_REFUSED,    "error",      STRING, "what was wrong")						\
	F(CONFIG_REFUSED,    "sha256",     STRING, "of the refused text")					\
	F(ADMIN_ACT,         "act",        STRING, "what")							\
	F(ADMIN_ACT,         "admin",      STRING, "who")							\
	F(ADMIN_ACT,         "detail",     STRING, "on what")							\
	F(ADMIN_ACT_ABORTED,      "admin",      STRING, "who")							\
	F(ADMIN_ACT_ABORTED,      "entry",      NUMBER, "n of the admin_act, in this run of control")			\
	F(ADMIN_ACT_ABORTED,      "why",        STRING, "why not")							\
	F(ENTROPY_START,     "samples",    NUMBER, "tested of each source before the first was used")		\
	F(ENTROPY_START,     "sources",    STRING, "what the shares are made of")				\
	F(ENTROPY_FAILED,     "samples",    NUMBER, "tested up to the failure")					\
	F(ENTROPY_FAILED,     "source",     STRING, "which source")						\
	F(ENTROPY_FAILED,     "test",       STRING, "which test of SP 800-90B section 4.4")			\
	F(KEY_USED,          "auth",       STRING, "how we prove our identity")				\
	F(KEY_USED,          "peer",       STRING, "its name in the configuration")				\
	F(KEY_USED,          "spi_i",      STRING, "initiator's SPI")						\
	F(KEY_USED,          "spi_r",      STRING, "responder's SPI")						\
	F(IKE_SA_UP,         "auth",       STRING, "how the peer proved its identity")				\
	F(IKE_SA_UP,         "id",         STRING, "the peer's identity")					\
	F(IKE_SA_UP,         "leaf",       STRING, "leaf of our key exchange, base64; empty: of no batch")	\
	F(IKE_SA_UP,         "leaf_batch", STRING, "root of its batch")						\
	F(IKE_SA_UP,         "leaf_index", NUMBER, "its place in the batch")					\
	F(IKE_SA_UP,         "leaf_path",  STRING, "inclusion proof, base64")					\
	F(IKE_SA_UP,         "local",      STRING, "our address and port")					\
	F(IKE_SA_UP,         "peer",       STRING, "its name in the configuration")				\
	F(IKE_SA_UP,         "proposal",   STRING, "algorithms of the IKE SA")					\
	F(IKE_SA_UP,         "public_count", NUMBER, "which value of the epoch our nonce and SPI are cut from")	\
	F(IKE_SA_UP,         "public_proof", STRING, "vrf-r255's proof of it")				\
	F(IKE_SA_UP,         "remote",     STRING, "its address and port")					\
	F(IKE_SA_UP,         "role",       STRING, "initiator or responder: which of the SPIs is ours")	\
	F(IKE_SA_UP,         "spi_i",      STRING, "initiator's SPI")						\
	F(IKE_SA_UP,         "spi_r",      STRING, "responder's SPI")						\
	F(IKE_SA_REKEYED,    "leaf",       STRING, "leaf of our key exchange, base64; empty: of no batch")	\
	F(IKE_SA_REKEYED,    "leaf_batch", STRING, "root of its batch")						\
	F(IKE_SA_REKEYED,    "leaf_index", NUMBER, "its place in the batch")					\
	F(IKE_SA_REKEYED,    "leaf_path",  STRING, "inclusion proof, base64")					\
	F(IKE_SA_REKEYED,    "peer",       STRING, "name in the configuration")					\
	F(IKE_SA_REKEYED,    "proposal",   STRING, "algorithms of the new IKE SA")				\
	F(IKE_SA_REKEYED,    "public_count", NUMBER, "which value of the epoch our nonce and SPI are cut from")	\
	F(IKE_SA_REKEYED,    "public_proof", STRING, "vrf-r255's proof of it")				\
	F(IKE_SA_REKEYED,    "rekeys_spi_i", STRING, "initiator's SPI of the old one")				\
	F(IKE_SA_REKEYED,    "rekeys_spi_r", STRING, "responder's SPI of the old one")				\
	F(IKE_SA_REKEYED,    "role",       STRING, "initiator or responder of the rekey")			\
	F(IKE_SA_REKEYED,    "spi_i",      STRING, "initiator's SPI")						\
	F(IKE_SA_REKEYED,    "spi_r",      STRING, "responder's SPI")						\
	F(IKE_SA_DOWN,       "peer",       STRING, "name in the configuration")					\
	F(IKE_SA_DOWN,       "reason",     STRING, "why")							\
	F(IKE_SA_DOWN,       "spi_i",      STRING, "initiator's SPI")						\
	F(IKE_SA_DOWN,       "spi_r",      STRING, "responder's SPI")						\
	F(SA_INSTALL,        "deferred",   NUMBER, "1: went ahead of this entry, because the ledger was away")	\
	F(SA_INSTALL,        "leaf",       STRING, "leaf of our key exchange, base64; empty: of no batch, or there was none")	\
	F(SA_INSTALL,        "leaf_batch", STRING, "root of its batch")						\
	F(SA_INSTALL,        "leaf_index", NUMBER, "its place in the batch")					\
	F(SA_INSTALL,        "leaf_path",  STRING, "inclusion proof, base64")					\
	F(SA_INSTALL,        "local",      STRING, "our address and port")					\
	F(SA_INSTALL,        "local_ts",   STRING, "our side's addresses")					\
	F(SA_INSTALL,        "peer",       STRING, "name in the configuration")					\
	F(SA_INSTALL,        "proposal",   STRING, "algorithms")						\
	F(SA_INSTALL,        "public_count", NUMBER, "which value of the epoch the inbound SPI (and nonce) is cut from")	\
	F(SA_INSTALL,        "public_proof", STRING, "vrf-r255's proof of it")				\
	F(SA_INSTALL,        "rekeys",     STRING, "inbound SPI of the pair that it replaces")			\
	F(SA_INSTALL,        "remote",     STRING, "the peer's address and port")				\
	F(SA_INSTALL,        "remote_ts",  STRING, "the other side's addresses")				\
	F(SA_INSTALL,        "spi_in",     STRING, "inbound SPI")						\
	F(SA_INSTALL,        "spi_out",    STRING, "outbound SPI")						\
	F(SA_INSTALL,        "tunnel",     STRING, "name in the configuration")					\
	F(SA_REMOVE,         "peer",       STRING, "name in the configuration")					\
	F(SA_REMOVE,         "reason",     STRING, "why")							\
	F(SA_REMOVE,         "spi_in",     STRING, "inbound SPI")						\
	F(SA_REMOVE,         "tunnel",     STRING, "name in the configuration")					\
	F(KEYS_DROPPED,      "count",      NUMBER, "IKE SAs")							\
	F(KEYS_DROPPED,      "reason",     STRING, "why")							\
	F(EXCHANGE_FAILED,   "batch",      STRING, "root of the batch that the leaves are of; empty: there are none")	\
	F(EXCHANGE_FAILED,   "counts",     STRING, "values, as numbers and ranges of them")			\
	F(EXCHANGE_FAILED,   "key",        STRING, "public key of the epoch that the values are of; empty: there are none")	\
	F(EXCHANGE_FAILED,   "leaves",     STRING, "places in the batch, as numbers and ranges of them")	\
	F(PUBLIC_EPOCH,      "key",        STRING, "public key of the verifiable random function")		\
	F(PUBLIC_EPOCH_END,  "count",      NUMBER, "values derived from the key")				\
	F(PUBLIC_EPOCH_END,  "key",        STRING, "public key of the epoch")					\
	F(PUBLIC_EPOCH_END,  "scalar",     STRING, "its secret half, of no further use to anybody")		\
	F(LEAF_BATCH,        "groups",     STRING, "whose public values each leaf holds")			\
	F(LEAF_BATCH,        "leaves",     NUMBER, "how many")						\
	F(LEAF_BATCH,        "opens",      NUMBER, "how many of them are going to be opened")		\
	F(LEAF_BATCH,        "previous",   STRING, "root of the batch before; empty: the keeper has begun anew, what was left is lost")	\
	F(LEAF_BATCH,        "root",       STRING, "Merkle root of the leaves")				\
	F(LEAF_HASHES,       "batch",      STRING, "its root")						\
	F(LEAF_HASHES,       "first",      NUMBER, "index of the first of these leaves")			\
	F(LEAF_HASHES,       "hashes_0",   STRING, "16 leaf hashes, base64")				\
	F(LEAF_HASHES,       "hashes_1",   STRING, "16 more")						\
	F(LEAF_HASHES,       "hashes_2",   STRING, "16 more")						\
	F(LEAF_HASHES,       "hashes_3",   STRING, "16 more")						\
	F(LEAF_CHALLENGE,    "batch",      STRING, "its root")						\
	F(LEAF_CHALLENGE,    "later",      STRING, "size and cosignatures of a checkpoint that covers the batch; empty: from the root alone")	\
	F(LEAVES_OPENED,     "batch",      STRING, "its root")						\
	F(LEAVES_OPENED,     "first",      NUMBER, "place of the first of these leaves in the challenge's order")	\
	F(LEAVES_OPENED,     "shares_0",   STRING, "both shares of 8 leaves, base64")			\
	F(LEAVES_OPENED,     "shares_1",   STRING, "8 more")						\
	F(LEAVES_OPENED,     "shares_2",   STRING, "8 more")						\
	F(LEAVES_OPENED,     "shares_3",   STRING, "8 more")						\
	F(LEAF_BATCH_END,    "batch",      STRING, "its root")						\
	F(LEAF_BATCH_END,    "unused",     NUMBER, "leaves that were wiped unused")			\
	F(LEAF_BATCH_END,    "used",       NUMBER, "leaves that served an exchange, whatever became of it")	\
	F(HANDSHAKE_REFUSED, "configured", STRING, "what our side would have taken")				\
	F(HANDSHAKE_REFUSED, "id",         STRING, "the identity the other side gave, if it came so far")	\
	F(HANDSHAKE_REFUSED, "left_out",   NUMBER, "refusals before this one that were too many to enter")	\
	F(HANDSHAKE_REFUSED, "local",      STRING, "our address and port")					\
	F(HANDSHAKE_REFUSED, "offered",    STRING, "what the other side offered")				\
	F(HANDSHAKE_REFUSED, "peer",       STRING, "name in the configuration, if known")			\
	F(HANDSHAKE_REFUSED, "reason",     STRING, "why")							\
	F(HANDSHAKE_REFUSED, "remote",     STRING, "the other side's address and port")				\
	F(GAP,               "late",       NUMBER, "entries that follow late")					\
	F(GAP,               "lost",       NUMBER, "entries that found no room to wait")			\
	F(GAP,               "refused",    NUMBER, "acts refused meanwhile")					\
	F(GAP,               "unknown",    NUMBER, "entries whose receipt was lost: they may stand before this")
/* clang-format on */

enum ledger_type {
#define E(id, name, sources, text) LEDGER_##id,
	LEDGER_TYPES(E) LEDGER_TYPE_COUNT
#undef E
};

/* LEDGER_ADDED: a text that entries of an older version have not; those of this one always have it. */
enum ledger_kind { LEDGER_STRING, LEDGER_NUMBER, LEDGER_ADDED };

struct ledger_field {
	enum ledger_type type;
	const char *key;
	enum ledger_kind kind;
	const char *text;
};

const char *ledger_type_name(enum ledger_type t);
const char *ledger_type_text(enum ledger_type t);
/* LEDGER_TYPE_COUNT: no such type. */
enum ledger_type ledger_type_by_name(const char *name, size_t n);
/* May a process of this name ("keeper") write entries of the type? */
bool ledger_type_allowed(enum ledger_type t, const char *source);
/* Is it one of LEDGER_PRIORITY? */
bool ledger_type_soon(enum ledger_type t);
/* The type's fields, in order. */
const struct ledger_field *ledger_type_fields(enum ledger_type t, size_t *ret_n);

/*
 * Builder of a body: fields in the table's order, each of them, or ledger_body_done() returns 0. A text is cut where, as it is
 * written, it takes a quarter of the room or what the fields behind it need: so no text from a stranger, however long or odd,
 * can keep an entry from being written.
 */
struct ledger_body {
	enum ledger_type type;
	size_t next;
	bool bad;
	struct jw w;
	char text[LEDGER_BODY_TEXT_MAX];
};

/* The struct must not move until ledger_body_done(). */
void ledger_body_begin(struct ledger_body *b, enum ledger_type type);
void ledger_body_str(struct ledger_body *b, const char *key, const char *value);
void ledger_body_strf(struct ledger_body *b, const char *key, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
void ledger_body_u64(struct ledger_body *b, const char *key, uint64_t value);
/* Length of b->text, or 0: a field was missing, of the wrong kind or order, or it did not fit. */
size_t ledger_body_done(struct ledger_body *b);

/* A field of a body as it stands there. */
struct ledger_value {
	struct canonical_text key, value,
		whole; /* value: between the quotes, or digits; whole: with quotes */
	bool string;   /* in quotes: a text, or a number from 2^53 on */
};
/* The next field of the body, behind its '{'; *ret is the one before, zero at first. False: the end, or
 * c->bad. */
bool ledger_body_next(struct canonical *c, struct ledger_value *ret);
bool ledger_value_named(const struct ledger_value *v, const char *key);

/* A word for a type or a field, as this or another version may have it. */
#define LEDGER_WORD_MAX 40
bool ledger_word_good(const char *text, size_t n);

/*
 * Strict: exactly the type's fields, in order, canonical; one of LEDGER_ADDED may be missing. Says which
 * field is wrong. RC_UNSUPPORTED: all of that, and fields that this version does not know.
 */
enum rc ledger_body_check(enum ledger_type type, const char *text, size_t n, struct err *e);

#endif
