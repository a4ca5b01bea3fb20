/*
 * The types of ledger entries: one table of types, one of their fields. Bodies are built, checked and
 * documented from it.
 *
 * An entry is one line of canonical JSON (base/json.h), keys in byte order:
 *   {"body":{…},"boot":"<hex>","mono":<us>,"n":<count>,"run":<count>,"source":"<process>","type":"<name>",
 *    "utc":"<time>"}
 * The source sends type and body; the ledger adds the source (known from the socket), its checked gap-free
 * counter and run, the boot's id and both clocks. Every field of a type is always present; what does not
 * apply is an empty text or 0.
 */
#ifndef LEDGER_TYPES_H
#define LEDGER_TYPES_H

#include "base/err.h"
#include "base/json.h"
#include "ledger/canonical.h"

#define LEDGER_ENTRY_MAX     4096
#define LEDGER_BODY_TEXT_MAX 3072 /* LEDGER_BODY_MAX of ipc/messages.h */

/* clang-format off */
#define LEDGER_TYPES(T)	/* id, name, sources, text */	\
	T(LEDGER_START,          "ledger_start",          "ledger",         "the ledger was opened: the first entry of a start")	\
	T(SEAL_EPOCH,            "seal_epoch",            "ledger",         "commitment to the one-time keys that sign the checkpoints from here on")	\
	T(COUNTER_GAP,           "counter_gap",           "ledger",         "numbers of a source that no entry has and none will have")	\
	T(COUNTERS,              "counters",              "ledger",         "the counters of all sources at this point; a restart reads the log from here on")	\
	T(LEDGER_RECOVERY,       "ledger_recovery",       "ledger",         "a witness has cosigned a log that this disk does not continue: a new log begins")	\
	T(WITNESS_MISSING,       "witness_missing",       "ledger",         "a witness has not cosigned for three heartbeats")	\
	T(WITNESS_RETURNED,      "witness_returned",      "ledger",         "a witness that was missing cosigns again")	\
	T(PROCESS_START,         "process_start",         "supervisor",     "a measured executable is about to run")	\
	T(KNOWN_ANSWERS,         "known_answers",         "supervisor",     "the file of known answers that the keeper is about to test its functions with")	\
	T(KERNEL_PROGRAM,        "kernel_program",        "supervisor",     "the programs that carry sessions in the kernel are about to be loaded into it")	\
	T(PROCESS_EXIT,          "process_exit",          "supervisor",     "a process ended")	\
	T(CONFIG_LOAD,           "config_load",           "control",        "the stored configuration was loaded at start")	\
	T(CONFIG_COMMIT,         "config_commit",         "control",        "a configuration is about to be applied")	\
	T(CONFIG_SIGNATURE,      "config_signature",      "control",        "an administrator has signed the commit that follows")	\
	T(CONFIG_PROPOSAL,       "config_proposal",       "control",        "a commit that needs signatures was proposed, signed by somebody, or removed; nothing changed")	\
	T(PEER_LEDGER_SILENT,    "peer_ledger_silent",    "ledger",         "a peer's ledger that this gateway cosigns has had nothing cosigned for three heartbeats")	\
	T(PEER_LEDGER_RETURNED,  "peer_ledger_returned",  "ledger",         "a peer's ledger that was silent is cosigned again")	\
	T(PEER_LEDGER_FORKED,    "peer_ledger_forked",    "ledger",         "a peer's ledger has signed two histories; both notes are kept as proof")	\
	T(WITNESSES_CHANGE,      "witnesses_change",      "control",        "the witnesses, the quorum or the actions that require it are about to change")	\
	T(CONFIG_OVERRIDE,       "config_override",       "control",        "a safety check of the commit that follows is overridden")	\
	T(CONFIG_CERTIFICATES,   "config_certificates",   "control",        "the certificates of a configuration that is about to be applied, or was loaded at a start")	\
	T(CONFIG_REFUSED,        "config_refused",        "control",        "a configuration was refused; nothing changed")	\
	T(ADMIN_ACT,             "admin_act",             "control",        "an administrator is about to act")	\
	T(ADMIN_ACT_ABORTED,     "admin_act_aborted",     "control",        "an action of an administrator was aborted, whether or not its admin_act is in the ledger")	\
	T(ADMIN_REFUSED,         "admin_refused",         "control",        "somebody asked for what the role does not permit; at most one a second, after 32 at once")	\
	T(SSH_START,             "ssh_start",             "ssh",            "the gateway's own sshd is about to be started")	\
	T(ADMIN_LOGIN,           "admin_login",           "control",        "an administrator has come by ssh: his session is about to begin")	\
	T(ADMIN_COMMAND,         "admin_command",         "control",        "an administrator by ssh looks at something; what acts has its own entry before it does")	\
	T(ADMIN_LOGOUT,          "admin_logout",          "control",        "a session of an administrator has ended")	\
	T(ADMIN_FAILED,          "admin_failed",          "ssh",            "attempts of a source to log in by ssh that failed: the first at once, then their sum once a minute")	\
	T(ENTROPY_START,         "entropy_start",         "entropy",        "the second source of secrets has passed its start-up tests")	\
	T(ENTROPY_FAILED,        "entropy_failed",        "entropy keeper", "a source of secrets failed a health test: no secret is made from here on")	\
	T(KEY_USED,              "key_used",              "keeper",         "our key is about to authenticate us to a peer that has not authenticated itself yet")	\
	T(IKE_SA_UP,             "ike_sa_up",             "keeper",         "a peer has authenticated itself: an IKE SA is established")	\
	T(IKE_SA_REKEYED,        "ike_sa_rekeyed",        "keeper",         "a new IKE SA replaces an old one, under the same authentication")	\
	T(IKE_SA_DOWN,           "ike_sa_down",           "keeper",         "an IKE SA ended")	\
	T(SA_INSTALL,            "sa_install",            "keeper",         "a pair of ESP SAs is about to be installed")	\
	T(SA_REMOVE,             "sa_remove",             "keeper",         "a pair of ESP SAs was removed")	\
	T(KEYS_WIPED,            "keys_wiped",            "keeper",         "the ike process was lost; the secrets of its IKE SAs were wiped")	\
	T(EXCHANGE_FAILED,       "exchange_failed",       "keeper",         "public values and leaves of exchanges that failed")	\
	T(VRF_EPOCH,             "vrf_epoch",             "keeper",         "the key of the verifiable random function that nonces and SPIs are derived from, from here on")	\
	T(VRF_EPOCH_END,         "vrf_epoch_end",         "keeper",         "that key is disclosed: every value that was derived from it can be recomputed")	\
	T(LEAF_BATCH,            "leaf_batch",            "keeper",         "commitment to ephemeral keys, before any of them is used")	\
	T(LEAF_HASHES,           "leaf_hashes",           "keeper",         "hashes of a batch's leaves, from which its root follows")	\
	T(LEAF_CHALLENGE,        "leaf_challenge",        "keeper",         "determines which leaves of a batch are opened")	\
	T(LEAVES_OPENED,         "leaves_opened",         "keeper",         "opened leaves, never used for a key exchange")	\
	T(LEAF_BATCH_END,        "leaf_batch_end",        "keeper",         "no further leaf of this batch will be used")	\
	T(HANDSHAKE_REFUSED,     "handshake_refused",     "ike keeper",     "a negotiation was refused")	\
	T(IKE_REDIRECTED,        "ike_redirected",        "ike",            "a peer has sent this gateway to another one, which is called now in its place")	\
	T(UPLINK_STATE,          "uplink_state",          "supervisor",     "an uplink whose health is checked has gone down or come back")	\
	T(SERVER_STATE,          "server_state",          "supervisor",     "a server of destination NAT whose health is checked has gone down or come back")	\
	T(SESSION_LOG,           "session_log",           "export",         "how far the session log has come: all its lines up to here are what they were")	\
	T(ADDRESS_FEED,          "address_feed",          "resolver",       "a feed of addresses was read and is another one than before, or it was read for the first time since the start")	\
	T(CRL_IN_FORCE,          "crl_in_force",          "resolver",       "a CRL that was fetched replaces the one before it, as both certifiers have accepted it; or one was found on the disk at a start")	\
	T(COUNTRY_DATABASE,      "country_database",      "resolver",       "the database of countries was read and is another one than before, or other countries of it are asked for")	\
	T(LEDGER_OUTAGE,         "ledger_outage",         "supervisor keeper ike dataplane control entropy export resolver", "the ledger could not be reached for some time")

/* Entries that witnesses are asked about within a quarter of a second; all others within a second. */
#define LEDGER_PRIORITY(S)										\
	S(SEAL_EPOCH) S(LEDGER_RECOVERY) S(PROCESS_START) S(KNOWN_ANSWERS) S(KERNEL_PROGRAM) S(CONFIG_LOAD) \
	S(CONFIG_COMMIT) S(WITNESSES_CHANGE) S(ADMIN_ACT) S(VRF_EPOCH) S(VRF_EPOCH_END)	\
	S(LEAF_BATCH)

#define LEDGER_FIELDS(F)	/* type, key, kind, text; keys in byte order within a type */	\
	F(LEDGER_START,          "key",          STRING, "verifier key of this log")	\
	F(LEDGER_START,          "origin",       STRING, "name of this log")	\
	F(LEDGER_START,          "recovered",    NUMBER, "intact entries found on the disk")	\
	F(LEDGER_START,          "torn_bytes",   NUMBER, "octets cut off the end of the journal: an incomplete batch, for which no receipt was given")	\
	F(SEAL_EPOCH,            "keys",         NUMBER, "number of keys")	\
	F(SEAL_EPOCH,            "root",         STRING, "Merkle root of their public keys")	\
	F(COUNTER_GAP,           "first",        NUMBER, "first missing number")	\
	F(COUNTER_GAP,           "last",         NUMBER, "last missing number")	\
	F(COUNTER_GAP,           "reason",       STRING, "what the ledger knows about it")	\
	F(COUNTER_GAP,           "run",          NUMBER, "which start of the source counted them")	\
	F(COUNTER_GAP,           "source",       STRING, "process whose numbers they are")	\
	F(COUNTERS,              "last",         STRING, "source, run and last number, before this entry, of each source: `control 0 17, keeper 2 65536`")	\
	F(LEDGER_RECOVERY,       "archive",      STRING, "folder in which the previous log is kept, if there was one")	\
	F(LEDGER_RECOVERY,       "disk_root",    STRING, "root of the previous log as the disk had it")	\
	F(LEDGER_RECOVERY,       "disk_size",    NUMBER, "entries of the previous log as the disk had it")	\
	F(LEDGER_RECOVERY,       "origin",       STRING, "name of the previous log")	\
	F(LEDGER_RECOVERY,       "seen_note",    ADDED,  "the witness's note: the checkpoint, signed by this log's key and cosigned; empty if too long for an entry")	\
	F(LEDGER_RECOVERY,       "seen_root",    STRING, "root that the witness cosigned, signed by this log's key")	\
	F(LEDGER_RECOVERY,       "seen_size",    NUMBER, "entries that the witness cosigned")	\
	F(LEDGER_RECOVERY,       "seen_time",    NUMBER, "time of the cosignature, seconds since 1970 by the witness's clock")	\
	F(LEDGER_RECOVERY,       "witness",      STRING, "its name in the configuration")	\
	F(WITNESS_MISSING,       "cosigned",     NUMBER, "entries of the last checkpoint that it cosigned")	\
	F(WITNESS_MISSING,       "error",        STRING, "result of the last request")	\
	F(WITNESS_MISSING,       "silent_s",     NUMBER, "seconds since its last cosignature")	\
	F(WITNESS_MISSING,       "witness",      STRING, "its name in the configuration")	\
	F(WITNESS_RETURNED,      "cosigned",     NUMBER, "entries of the checkpoint that it has cosigned now")	\
	F(WITNESS_RETURNED,      "silent_s",     NUMBER, "seconds without a cosignature")	\
	F(WITNESS_RETURNED,      "witness",      STRING, "its name in the configuration")	\
	F(PEER_LEDGER_SILENT,    "cosigned",     NUMBER, "entries of its last checkpoint that was cosigned since this start")	\
	F(PEER_LEDGER_SILENT,    "ledger",       STRING, "its name in the configuration")	\
	F(PEER_LEDGER_SILENT,    "peer",         STRING, "peer whose ledger it is")	\
	F(PEER_LEDGER_SILENT,    "silent_s",     NUMBER, "seconds since the last cosignature")	\
	F(PEER_LEDGER_RETURNED,  "cosigned",     NUMBER, "entries of the checkpoint that is cosigned now")	\
	F(PEER_LEDGER_RETURNED,  "ledger",       STRING, "its name in the configuration")	\
	F(PEER_LEDGER_RETURNED,  "peer",         STRING, "peer whose ledger it is")	\
	F(PEER_LEDGER_RETURNED,  "silent_s",     NUMBER, "seconds without a cosignature")	\
	F(PEER_LEDGER_FORKED,    "cosigned",     NUMBER, "entries of its last checkpoint that was cosigned since this start")	\
	F(PEER_LEDGER_FORKED,    "file",         STRING, "file with the note of the other history, beside the one that was cosigned")	\
	F(PEER_LEDGER_FORKED,    "ledger",       STRING, "its name in the configuration")	\
	F(PEER_LEDGER_FORKED,    "peer",         STRING, "peer whose ledger it is")	\
	F(PROCESS_START,         "executable",   STRING, "name of the executable")	\
	F(PROCESS_START,         "process",      STRING, "name of the process")	\
	F(PROCESS_START,         "restarts",     NUMBER, "number of earlier starts")	\
	F(PROCESS_START,         "sha256",       STRING, "of the executable, as copied for running")	\
	F(KNOWN_ANSWERS,         "file",         STRING, "name of the file")	\
	F(KNOWN_ANSWERS,         "sha256",       STRING, "of the content that the keeper is given")	\
	F(KERNEL_PROGRAM,        "file",         STRING, "name of the file")	\
	F(KERNEL_PROGRAM,        "sha256",       STRING, "of its content, as copied for loading")	\
	F(PROCESS_EXIT,          "pid",          NUMBER, "process id")	\
	F(PROCESS_EXIT,          "process",      STRING, "name of the process")	\
	F(PROCESS_EXIT,          "reason",       STRING, "exit status or signal")	\
	F(CONFIG_LOAD,           "generation",   NUMBER, "number of commits")	\
	F(CONFIG_LOAD,           "sha256",       STRING, "of the configuration's text")	\
	F(CONFIG_COMMIT,         "admin",        STRING, "who commits: root (console), the name of an administrator with (local) or (ssh), or a user such as uid 1000; empty: an unconfirmed commit is rolled back")	\
	F(CONFIG_COMMIT,         "comment",      STRING, "the administrator's comment")	\
	F(CONFIG_COMMIT,         "confirm_within", ADDED, "minutes in which it has to be confirmed; 0: it stays")	\
	F(CONFIG_COMMIT,         "generation",   NUMBER, "number of commits, this one included")	\
	F(CONFIG_COMMIT,         "previous",     STRING, "SHA-256 of the text it replaces")	\
	F(CONFIG_COMMIT,         "sha256",       STRING, "of the configuration's text")	\
	F(CONFIG_SIGNATURE,      "admin",        STRING, "the administrator whose key it is, in the configuration that runs until then")	\
	F(CONFIG_SIGNATURE,      "certificates", ADDED,  "the set of config_certificates that was signed with the text; empty: none")	\
	F(CONFIG_SIGNATURE,      "confirm_within", NUMBER, "minutes in which the commit has to be confirmed; 0: it stays")	\
	F(CONFIG_SIGNATURE,      "generation",   NUMBER, "of the commit")	\
	F(CONFIG_SIGNATURE,      "key",          STRING, "its fingerprint, as `ssh-keygen -l` prints it")	\
	F(CONFIG_SIGNATURE,      "options",      ADDED,  "of the commit: close-all, cut-off, both, or none")	\
	F(CONFIG_SIGNATURE,      "sha256",       STRING, "of the configuration's text")	\
	F(CONFIG_SIGNATURE,      "signature_0",  STRING, "the signature (SSHSIG), base64, its first 760 digits")	\
	F(CONFIG_SIGNATURE,      "signature_1",  STRING, "the rest")	\
	F(CONFIG_PROPOSAL,       "admin",        STRING, "who did it; empty: the gateway itself")	\
	F(CONFIG_PROPOSAL,       "event",        STRING, "proposed, signed, withdrawn, expired, or replaced: another configuration runs")	\
	F(CONFIG_PROPOSAL,       "key",          STRING, "of a signature: the fingerprint of its key; else empty")	\
	F(CONFIG_PROPOSAL,       "proposal",     NUMBER, "its number")	\
	F(CONFIG_PROPOSAL,       "required",     NUMBER, "how many signatures it needs")	\
	F(CONFIG_PROPOSAL,       "sha256",       STRING, "of its text")	\
	F(CONFIG_PROPOSAL,       "signatures",   NUMBER, "how many it has now")	\
	F(WITNESSES_CHANGE,      "admin",        STRING, "who, as in config_commit")	\
	F(WITNESSES_CHANGE,      "after",        STRING, "quorum, actions that require it, names and key ids, as committed")	\
	F(WITNESSES_CHANGE,      "before",       STRING, "the same as in force until now")	\
	F(WITNESSES_CHANGE,      "generation",   NUMBER, "of the configuration that brings the change")	\
	F(CONFIG_OVERRIDE,       "admin",        STRING, "who, as in config_commit")	\
	F(CONFIG_OVERRIDE,       "generation",   NUMBER, "of the configuration that is about to be applied")	\
	F(CONFIG_OVERRIDE,       "option",       STRING, "option of `commit` that overrides the check")	\
	F(CONFIG_OVERRIDE,       "warning",      STRING, "result of the check")	\
	F(CONFIG_CERTIFICATES,   "certificates", NUMBER, "how many there are")	\
	F(CONFIG_CERTIFICATES,   "files",        STRING, "their files, in order; the number of those that have no room")	\
	F(CONFIG_CERTIFICATES,   "generation",   NUMBER, "of the configuration")	\
	F(CONFIG_CERTIFICATES,   "set",          ADDED,  "SHA-256 of the names of the files and their certificates, as they are stored with the text: what signers sign")	\
	F(CONFIG_CERTIFICATES,   "sha256",       STRING, "of their octets (DER), one after the other, file by file")	\
	F(CONFIG_REFUSED,        "admin",        STRING, "who, as in config_commit")	\
	F(CONFIG_REFUSED,        "error",        STRING, "why it was refused")	\
	F(CONFIG_REFUSED,        "generation",   ADDED,  "that it would have been; 0: the stored one was refused at a start")	\
	F(CONFIG_REFUSED,        "sha256",       STRING, "of the refused text")	\
	F(ADMIN_ACT,             "act",          STRING, "the action")	\
	F(ADMIN_ACT,             "admin",        STRING, "who, as in config_commit")	\
	F(ADMIN_ACT,             "detail",       STRING, "object of the action")	\
	F(ADMIN_ACT_ABORTED,     "admin",        STRING, "who, as in config_commit")	\
	F(ADMIN_ACT_ABORTED,     "entry",        NUMBER, "n of the admin_act, in this run of control")	\
	F(ADMIN_ACT_ABORTED,     "reason",       STRING, "why it was aborted")	\
	F(ADMIN_REFUSED,         "admin",        STRING, "who asked, as in config_commit")	\
	F(ADMIN_REFUSED,         "command",      STRING, "what for, in words")	\
	F(ADMIN_REFUSED,         "role",         STRING, "the role")	\
	F(ADMIN_REFUSED,         "unentered",    NUMBER, "refusals since the entry before that have none")	\
	F(SSH_START,             "fingerprint",  STRING, "of the host key")	\
	F(SSH_START,             "port",         NUMBER, "TCP port")	\
	F(SSH_START,             "program",      STRING, "SHA-256 of the administrator's program that a login runs")	\
	F(SSH_START,             "sshd",         STRING, "SHA-256 of sshd, or of sshd-session where there is one")	\
	F(ADMIN_LOGIN,           "admin",        STRING, "the administrator's name")	\
	F(ADMIN_LOGIN,           "key",          STRING, "fingerprint of the key that was shown; of a certificate that of its key and of its authority")	\
	F(ADMIN_LOGIN,           "role",         STRING, "the administrator's role then")	\
	F(ADMIN_LOGIN,           "session",      NUMBER, "of this run of control")	\
	F(ADMIN_LOGIN,           "source",       STRING, "address that the administrator came from")	\
	F(ADMIN_COMMAND,         "admin",        STRING, "the administrator's name")	\
	F(ADMIN_COMMAND,         "command",      STRING, "the command in words")	\
	F(ADMIN_COMMAND,         "session",      NUMBER, "as in admin_login")	\
	F(ADMIN_COMMAND,         "unentered",    NUMBER, "commands of this session that only looked, were too many in a minute and have no entry")	\
	F(ADMIN_LOGOUT,          "admin",        STRING, "the administrator's name")	\
	F(ADMIN_LOGOUT,          "reason",       STRING, "why it ended")	\
	F(ADMIN_LOGOUT,          "session",      NUMBER, "as in admin_login")	\
	F(ADMIN_LOGOUT,          "unentered",    NUMBER, "commands without an entry since the last admin_command")	\
	F(ADMIN_FAILED,          "count",        NUMBER, "attempts since the last entry about this source")	\
	F(ADMIN_FAILED,          "key",          STRING, "fingerprint of the key that was refused last; empty: none came so far")	\
	F(ADMIN_FAILED,          "name",         STRING, "the name that was given last")	\
	F(ADMIN_FAILED,          "reason",       STRING, "why the last one failed")	\
	F(ADMIN_FAILED,          "source",       STRING, "address that it came from")	\
	F(ENTROPY_START,         "samples",      NUMBER, "number of samples of each source that were tested before the first was used")	\
	F(ENTROPY_START,         "sources",      STRING, "what the shares are made of")	\
	F(ENTROPY_FAILED,        "samples",      NUMBER, "number of samples tested up to the failure")	\
	F(ENTROPY_FAILED,        "source",       STRING, "source that failed")	\
	F(ENTROPY_FAILED,        "test",         STRING, "test of SP 800-90B section 4.4 that it failed")	\
	F(KEY_USED,              "auth",         STRING, "our authentication method")	\
	F(KEY_USED,              "peer",         STRING, "its name in the configuration")	\
	F(KEY_USED,              "spi_i",        STRING, "initiator's SPI")	\
	F(KEY_USED,              "spi_r",        STRING, "responder's SPI")	\
	F(IKE_SA_UP,             "auth",         STRING, "the peer's authentication method")	\
	F(IKE_SA_UP,             "id",           STRING, "the peer's identity")	\
	F(IKE_SA_UP,             "key",          ADDED,  "SHA-256 of the public key by which the peer authenticated itself, of its certificate or of the configuration (SubjectPublicKeyInfo, DER); empty: pre-shared key")	\
	F(IKE_SA_UP,             "leaf",         STRING, "leaf of our key exchange, base64; empty: of no batch")	\
	F(IKE_SA_UP,             "leaf_batch",   STRING, "root of its batch")	\
	F(IKE_SA_UP,             "leaf_index",   NUMBER, "its index in the batch")	\
	F(IKE_SA_UP,             "leaf_path",    STRING, "inclusion proof, base64")	\
	F(IKE_SA_UP,             "local",        STRING, "our address and port")	\
	F(IKE_SA_UP,             "peer",         STRING, "its name in the configuration")	\
	F(IKE_SA_UP,             "proposal",     STRING, "algorithms of the IKE SA; behind the group its additional key exchanges; \"-ppk\": a post-quantum pre-shared key is in its keys; \" (legacy)\" at the end: one of them is for old peers")	\
	F(IKE_SA_UP,             "remote",       STRING, "the peer's address and port")	\
	F(IKE_SA_UP,             "role",         STRING, "ours, initiator or responder: which of the SPIs is ours")	\
	F(IKE_SA_UP,             "spi_i",        STRING, "initiator's SPI")	\
	F(IKE_SA_UP,             "spi_r",        STRING, "responder's SPI")	\
	F(IKE_SA_UP,             "transcript",   ADDED,  "full: AUTH of both sides is over both messages of IKE_SA_INIT (IKE_SA_INIT_FULL_TRANSCRIPT_AUTH); own: each over the one that its side sent, since the peer has not offered more")	\
	F(IKE_SA_UP,             "vrf_count",    NUMBER, "number, within its epoch, of the value that our nonce and SPI are cut from")	\
	F(IKE_SA_UP,             "vrf_proof",    STRING, "its vrf-r255 proof")	\
	F(IKE_SA_REKEYED,        "leaf",         STRING, "leaf of our key exchange, base64; empty: of no batch")	\
	F(IKE_SA_REKEYED,        "leaf_batch",   STRING, "root of its batch")	\
	F(IKE_SA_REKEYED,        "leaf_index",   NUMBER, "its index in the batch")	\
	F(IKE_SA_REKEYED,        "leaf_path",    STRING, "inclusion proof, base64")	\
	F(IKE_SA_REKEYED,        "peer",         STRING, "its name in the configuration")	\
	F(IKE_SA_REKEYED,        "proposal",     STRING, "algorithms of the new IKE SA, and what is in its keys from the one that it replaces: additional key exchanges, \"-ppk\"")	\
	F(IKE_SA_REKEYED,        "rekeys_spi_i", STRING, "initiator's SPI of the old IKE SA")	\
	F(IKE_SA_REKEYED,        "rekeys_spi_r", STRING, "responder's SPI of the old IKE SA")	\
	F(IKE_SA_REKEYED,        "role",         STRING, "ours in the rekey, initiator or responder")	\
	F(IKE_SA_REKEYED,        "spi_i",        STRING, "initiator's SPI")	\
	F(IKE_SA_REKEYED,        "spi_r",        STRING, "responder's SPI")	\
	F(IKE_SA_REKEYED,        "vrf_count",    NUMBER, "number, within its epoch, of the value that our nonce and SPI are cut from")	\
	F(IKE_SA_REKEYED,        "vrf_proof",    STRING, "its vrf-r255 proof")	\
	F(IKE_SA_DOWN,           "peer",         STRING, "its name in the configuration")	\
	F(IKE_SA_DOWN,           "reason",       STRING, "why it ended")	\
	F(IKE_SA_DOWN,           "spi_i",        STRING, "initiator's SPI")	\
	F(IKE_SA_DOWN,           "spi_r",        STRING, "responder's SPI")	\
	F(SA_INSTALL,            "deferred",     NUMBER, "1: the SAs were installed before this entry, because the ledger could not be reached")	\
	F(SA_INSTALL,            "leaf",         STRING, "leaf of our key exchange, base64; empty: of no batch, or without a key exchange")	\
	F(SA_INSTALL,            "leaf_batch",   STRING, "root of its batch")	\
	F(SA_INSTALL,            "leaf_index",   NUMBER, "its index in the batch")	\
	F(SA_INSTALL,            "leaf_path",    STRING, "inclusion proof, base64")	\
	F(SA_INSTALL,            "local",        STRING, "our address and port")	\
	F(SA_INSTALL,            "local_ts",     STRING, "local traffic selectors")	\
	F(SA_INSTALL,            "peer",         STRING, "its name in the configuration")	\
	F(SA_INSTALL,            "proposal",     STRING, "algorithms; behind the group its additional key exchanges; \" (legacy)\" at the end: one of them is for old peers")	\
	F(SA_INSTALL,            "rekeys",       STRING, "inbound SPI of the pair that it replaces; empty: none")	\
	F(SA_INSTALL,            "remote",       STRING, "the peer's address and port")	\
	F(SA_INSTALL,            "remote_ts",    STRING, "remote traffic selectors")	\
	F(SA_INSTALL,            "spi_in",       STRING, "inbound SPI")	\
	F(SA_INSTALL,            "spi_out",      STRING, "outbound SPI")	\
	F(SA_INSTALL,            "tunnel",       STRING, "its name in the configuration")	\
	F(SA_INSTALL,            "vrf_count",    NUMBER, "number, within its epoch, of the value that the inbound SPI (and nonce) is cut from")	\
	F(SA_INSTALL,            "vrf_proof",    STRING, "its vrf-r255 proof")	\
	F(SA_REMOVE,             "peer",         STRING, "its name in the configuration")	\
	F(SA_REMOVE,             "reason",       STRING, "why it was removed")	\
	F(SA_REMOVE,             "spi_in",       STRING, "inbound SPI")	\
	F(SA_REMOVE,             "tunnel",       STRING, "its name in the configuration")	\
	F(KEYS_WIPED,            "count",        NUMBER, "number of IKE SAs")	\
	F(KEYS_WIPED,            "reason",       STRING, "why they were wiped")	\
	F(EXCHANGE_FAILED,       "batch",        STRING, "root of the batch that the leaves belong to; empty: no leaves")	\
	F(EXCHANGE_FAILED,       "counts",       STRING, "numbers of the public values, single or as ranges")	\
	F(EXCHANGE_FAILED,       "key",          STRING, "public key of the epoch that the values belong to; empty: no values")	\
	F(EXCHANGE_FAILED,       "leaves",       STRING, "indices of the leaves in the batch, single or as ranges")	\
	F(VRF_EPOCH,             "key",          STRING, "public key of the verifiable random function")	\
	F(VRF_EPOCH_END,         "count",        NUMBER, "number of values derived from the key")	\
	F(VRF_EPOCH_END,         "key",          STRING, "public key of the epoch")	\
	F(VRF_EPOCH_END,         "scalar",       STRING, "its private key, which is not used any more")	\
	F(LEAF_BATCH,            "groups",       STRING, "Diffie-Hellman groups, and sets of ML-KEM, that each leaf has a public value of")	\
	F(LEAF_BATCH,            "leaves",       NUMBER, "number of leaves")	\
	F(LEAF_BATCH,            "opens",        NUMBER, "number of leaves that are going to be opened")	\
	F(LEAF_BATCH,            "previous",     STRING, "root of the previous batch; empty: the first of this start of the keeper, earlier unused leaves are lost")	\
	F(LEAF_BATCH,            "root",         STRING, "Merkle root of the leaves")	\
	F(LEAF_HASHES,           "batch",        STRING, "root of the batch")	\
	F(LEAF_HASHES,           "first",        NUMBER, "index of the first of these leaves")	\
	F(LEAF_HASHES,           "hashes_0",     STRING, "16 leaf hashes, base64")	\
	F(LEAF_HASHES,           "hashes_1",     STRING, "16 more")	\
	F(LEAF_HASHES,           "hashes_2",     STRING, "16 more")	\
	F(LEAF_HASHES,           "hashes_3",     STRING, "16 more")	\
	F(LEAF_CHALLENGE,        "attestation",  STRING, "size and cosignatures of a checkpoint that covers the batch; empty: the challenge follows from the root alone")	\
	F(LEAF_CHALLENGE,        "batch",        STRING, "root of the batch")	\
	F(LEAVES_OPENED,         "batch",        STRING, "root of the batch")	\
	F(LEAVES_OPENED,         "first",        NUMBER, "position of the first of these leaves in the challenge's order")	\
	F(LEAVES_OPENED,         "shares_0",     STRING, "both shares of 8 leaves, base64")	\
	F(LEAVES_OPENED,         "shares_1",     STRING, "8 more")	\
	F(LEAVES_OPENED,         "shares_2",     STRING, "8 more")	\
	F(LEAVES_OPENED,         "shares_3",     STRING, "8 more")	\
	F(LEAF_BATCH_END,        "batch",        STRING, "root of the batch")	\
	F(LEAF_BATCH_END,        "unused",       NUMBER, "leaves that were wiped without being used")	\
	F(LEAF_BATCH_END,        "used",         NUMBER, "leaves that were used by an exchange, successful or not")	\
	F(HANDSHAKE_REFUSED,     "configured",   STRING, "what our configuration allows")	\
	F(HANDSHAKE_REFUSED,     "id",           STRING, "the peer's identity, if it was received")	\
	F(HANDSHAKE_REFUSED,     "left_out",     NUMBER, "earlier refusals that were not entered, because of the rate limit")	\
	F(HANDSHAKE_REFUSED,     "local",        STRING, "our address and port")	\
	F(HANDSHAKE_REFUSED,     "offered",      STRING, "what the peer proposed")	\
	F(HANDSHAKE_REFUSED,     "peer",         STRING, "its name in the configuration, if known")	\
	F(HANDSHAKE_REFUSED,     "reason",       STRING, "why it was refused")	\
	F(HANDSHAKE_REFUSED,     "remote",       STRING, "the peer's address and port")	\
	F(IKE_REDIRECTED,        "authenticated", NUMBER, "1: it came by the keys of an IKE SA; 0: anybody who saw our IKE_SA_INIT can have sent it")	\
	F(IKE_REDIRECTED,        "from",         STRING, "address and port that it came from")	\
	F(IKE_REDIRECTED,        "peer",         STRING, "its name in the configuration")	\
	F(IKE_REDIRECTED,        "to",           STRING, "the other gateway, as it was named: an address or a name of DNS")	\
	F(UPLINK_STATE,          "reason",       STRING, "why it is down; empty: it is up")	\
	F(UPLINK_STATE,          "state",        STRING, "down or up")	\
	F(UPLINK_STATE,          "uplink",       STRING, "its name in the configuration")	\
	F(SERVER_STATE,          "reason",       STRING, "why it is down; empty: it is up")	\
	F(SERVER_STATE,          "server",       STRING, "its address and port")	\
	F(SERVER_STATE,          "state",        STRING, "down or up")	\
	F(SESSION_LOG,           "count",        NUMBER, "lines since the previous such entry of this start of export")	\
	F(SESSION_LOG,           "last",         NUMBER, "number of the last line")	\
	F(SESSION_LOG,           "log",          STRING, "identifier of the log")	\
	F(SESSION_LOG,           "lost",         NUMBER, "records that were lost since the previous such entry")	\
	F(SESSION_LOG,           "oldest",       NUMBER, "number of the oldest line that is kept; what is before it was deleted for want of room")	\
	F(SESSION_LOG,           "sha256",       STRING, "of the last line, which holds that of the line before, and so on")	\
	F(ADDRESS_FEED,          "addresses",    NUMBER, "addresses, prefixes and ranges in it, those that touch counted once")	\
	F(ADDRESS_FEED,          "from",         STRING, "where it was read: the last good copy on the disk, a file, or a URL")	\
	F(ADDRESS_FEED,          "name",         STRING, "of the feed in the configuration")	\
	F(ADDRESS_FEED,          "object",       STRING, "the address object that has these addresses")	\
	F(ADDRESS_FEED,          "sha256",       STRING, "of its text as it was read")	\
	F(CRL_IN_FORCE,          "authority",    STRING, "the ca-profile whose CRL it is")	\
	F(CRL_IN_FORCE,          "from",         STRING, "where it was read: its URL, or, at a start of the process, the last good copy on the disk")	\
	F(CRL_IN_FORCE,          "sha256",       STRING, "of the file as it was read")	\
	F(COUNTRY_DATABASE,      "addresses",    NUMBER, "networks of these countries in it, those that touch counted once")	\
	F(COUNTRY_DATABASE,      "built",        STRING, "when it was made, as it says itself; empty: it does not")	\
	F(COUNTRY_DATABASE,      "countries",    STRING, "codes of the countries that address objects name, now or before")	\
	F(COUNTRY_DATABASE,      "from",         STRING, "where it was read: the last good copy on the disk, or a file")	\
	F(COUNTRY_DATABASE,      "sha256",       STRING, "of the file as it was read")	\
	F(LEDGER_OUTAGE,         "late",         NUMBER, "entries that follow late")	\
	F(LEDGER_OUTAGE,         "lost",         NUMBER, "entries lost because the queue was full")	\
	F(LEDGER_OUTAGE,         "refused",      NUMBER, "actions refused meanwhile")	\
	F(LEDGER_OUTAGE,         "unknown",      NUMBER, "entries whose receipt was lost: they may precede this one")
/* clang-format on */

enum ledger_type {
#define E(id, name, sources, text) LEDGER_##id,
	LEDGER_TYPES(E) LEDGER_TYPE_COUNT
#undef E
};

/* LEDGER_ADDED: a text that entries of an older version lack; those of this one always have it. */
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
bool ledger_type_priority(enum ledger_type t);
/* The type's fields, in order. */
const struct ledger_field *ledger_type_fields(enum ledger_type t, size_t *ret_n);

/*
 * Builder of a body: fields in the table's order, each of them, or ledger_body_done() returns 0. A text is
 * cut where, as it is written, it would take more than a quarter of the room, or the room that later
 * fields need: so no text from outside, however long or odd, can keep an entry from being written.
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

/* A field of a body, as it is written there. */
struct ledger_value {
	struct canonical_text key, value,
		whole; /* value: between the quotes, or digits; whole: with quotes */
	bool string;   /* in quotes: a text, or a number from 2^53 on */
};
/* The next field of the body, after its '{'; *ret is the previous one, zero at first. False: the end, or
 * c->bad. */
bool ledger_body_next(struct canonical *c, struct ledger_value *ret);
bool ledger_value_named(const struct ledger_value *v, const char *key);

/* A valid name of a type or a field, in this version or another. */
#define LEDGER_WORD_MAX 40
bool ledger_word_good(const char *text, size_t n);

/*
 * Strict: exactly the type's fields, in order, canonical; those of LEDGER_ADDED may be missing. Says which
 * field is wrong. RC_UNSUPPORTED: all of that, and fields that this version does not know.
 */
enum rc ledger_body_check(enum ledger_type type, const char *text, size_t n, struct err *e);

#endif
