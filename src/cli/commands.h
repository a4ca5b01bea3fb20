/*
 * The command line of `plaingate`: commands, options, and the columns that `show` prints. Each is one table,
 * from which parsing, help and docs/cli.md are made.
 */
#ifndef CLI_COMMANDS_H
#define CLI_COMMANDS_H

#include <stdbool.h>

#include "cli/limits.h"
#include "ipc/messages.h"

#define CLI_SOCKET_DEFAULT  "/run/plaingate/control.sock"
#define CLI_SOCKET_ENV	    "PLAINGATE_SOCKET"
#define CLI_COLUMNS_ENV	    "PLAINGATE_COLUMNS" /* of the terminal that shows what is printed into a pipe */
#define TRACE_COUNT_DEFAULT 10

/* `verify` has more: VERIFY_STATUSES of verify/verify.h. */
enum { STATUS_OK = 0, STATUS_FAILED = 1, STATUS_USAGE = 2 };

/* clang-format off */
#define CLI_OPTIONS(O)	/* id, word, value ("" for none), text */							\
	O(SOCKET,  "--socket",  "PATH",   "the gateway's socket; default: $PLAINGATE_SOCKET, or " CLI_SOCKET_DEFAULT)	\
	O(JSON,    "--json",    "",       "print one JSON array of objects instead of a table")		\
	O(LIMIT,   "--limit",   "N",      "at most N rows")							\
	O(NONZERO, "--nonzero", "",       "of `show counters`, `show ike counters`, `show policy` and `show nat`: only rows that have counted something")	\
	SESSION_FILTERS(O)												\
	O(ICMP_TYPE, "--icmp-type", "N",  "of an ICMP query to be tested: its type; default: an echo request")	\
	O(ICMP_CODE, "--icmp-code", "N",  "of an ICMP query to be tested: its code; default: 0")	\
	O(BY,      "--by",      "WHOM",   "talkers are sources, destinations or both: source, destination, pair; default: source")	\
	O(ORDER,   "--order",   "MEASURE", "talkers with most bytes, packets or sessions; default: bytes")	\
	O(OR,      "--or",      "",       "begins another filter of packets: those that one of the filters selects; 8 at most")	\
	O(COUNT,   "--count",   "N",      "stop after N packets; default: 10")			\
	O(COMMENT, "--comment", "TEXT",   "the reason, for the ledger's entry")		\
	O(CLOSE_ALL, "--close-all", "",   "accept a configuration that permits nothing, such as an empty one")	\
	O(CONFIRM, "--confirm-within", "MINUTES", "restore the previous configuration unless `plaingate confirm` is run within that time")	\
	O(CUT_OFF, "--cut-off", "",       "accept a configuration that does not permit the connection over which this commit is made")	\
	O(KEY,     "--key",     "KEY",   "the ledger's verifier key, as you noted it elsewhere; of `pki authority`: its key in a token or TPM (pkcs11:..., handle:..., tpm2tss:FILE); of `commit sign`: the file of the public key")		\
	O(SIGNATURE, "--signature", "FILE", "of `commit sign`: a signature that `ssh-keygen -Y sign -n plaingate-commit` made of the statement; - for standard input")	\
	O(POLICY,  "--policy",  "FILE",   "whose cosignatures the head must have (C2SP tlog-policy); its log lines say which keys are valid") \
	O(SIGNERS, "--signers", "FILE",   "who may sign a release, and how many must: lines `maintainers N`, `rebuilders N`, `maintainer NAME KEY`, `rebuilder NAME KEY` (keys of SSH)") \
	O(ABOVE,   "--above",   "N",      "the number of the release that you have: that one and older ones are refused") \
	O(MAX_AGE, "--max-age",   "TIME",  "how old the quorum's cosignatures may be: seconds, or 90m, 12h, 7d, any; default: 1h, of a bundle any") \
	O(MAX_UNCOSIGNED, "--max-uncosigned", "N", "how many entries the quorum need not have cosigned: a number or any; default: 256, of a bundle's range 0") \
	O(CHECKPOINT, "--checkpoint", "FILE", "a head that you kept: the ledger must still have all that it covers")	\
	O(SINCE,   "--since",   "FILE",   "begin after the head that --keep wrote there when you last verified")	\
	O(KEEP,    "--keep",    "FILE",   "if nothing is wrong (status 0), write there how far you have verified, for --since")	\
	O(LEDGER,  "--ledger",  "DIR",    "the ledger that has the log's hashes, or the entries of the configurations; default: `ledger` beside DIR")	\
	O(CAPTURE, "--capture", "FILE",   "packets of the wire, as tcpdump or Wireshark write them (pcap, pcapng): their handshakes are compared")	\
	O(OURS,    "--ours",    "ADDRESSES", "addresses of this gateway, separated by commas: the ledger must know what they sent in the capture")	\
	O(ARCHIVE, "--archive", "ARCHIVE", "where old entries were moved to: a directory or an address")	\
	O(EXPLAIN, "--explain", "",       "state what is proved and what is not")		\
	O(FROM,    "--from",    "TIME",   "the first moment: 2026-11-23, 2026-11-23T08:00 or 2026-11-23T08:00:00, all UTC")	\
	O(TO,      "--to",      "TIME-OR-DIR", "the last moment, included (a day: up to its end); for `archive`: the directory") \
	O(BEFORE,  "--before",  "TIME",   "entries from before this moment")					\
	O(OUTPUT,  "-o",        "FILE",   "the file to write; an existing file is kept")			\
	O(CONFIG,  "--config",  "FILE-OR-DIR", "for `replay`: the configuration; for `investigate`: the directory of the configurations' texts; default: `config` beside the ledger")	\
	O(STAGE,   "--stage",   "STAGES", "where packets are captured: received, sent, decrypted (of tunnels), or several with commas; default: received,sent")	\
	O(FILES,   "--files",   "N",      "keep the N newest files of a capture: FILE, FILE.1 and so on; with --file-size")	\
	O(FILE_SIZE, "--file-size", "BYTES", "begin another file when one is larger; with --files")	\
	O(ROUTES,  "--routes",  "FILE",   "what (ip route show table all; ip -6 route show table all) prints on the gateway")	\
	O(INGRESS, "--ingress", "NAME",   "the interface by which all packets come; default: the capture's, else the one towards which the source is routed")	\
	O(SUBJECT, "--subject", "NAME",   "whose certificate it is: parts such as \"CN=gw.example.net, O=Example\"")	\
	O(SAN,     "--san",     "NAMES",  "its other names (subjectAltName), by which peers know it: dns:NAME, ip:ADDRESS, email:ADDRESS, separated by commas")	\
	O(USE,     "--use",     "WHAT",   "what it is good for: gateway, or client (which cannot pass for a gateway); default: gateway")	\
	O(DAYS,    "--days",    "N",      "how long it is valid; default: 3650 of an authority, 365 of a certificate, 30 of a list")	\
	O(KEY_TYPE, "--key-type", "TYPE", "of a key that is made: ecdsa-p256, ecdsa-p384, ed25519, rsa-3072, rsa-4096; default: ecdsa-p384 of an authority, else ecdsa-p256")	\
	O(PIN_FILE, "--pin-file", "FILE", "the PIN of a key in a token or TPM, alone in a file that only its owner may read; without it, it is asked for on the terminal")	\
	O(INTERFACES, "--interfaces", "NAMES", "of `import`: what the source's interfaces are called here: ge-0/0/0.0=lan0,ge-0/0/1.0=wan0")	\
	O(REASON,  "--reason",  "WORD",   "why it is revoked: unspecified, keyCompromise, affiliationChanged, superseded, cessationOfOperation")

#define CLI_COMMANDS(C)	/* id, words, arguments, options, text */						\
	C(CHECK,         "check",          "FILE",  OPT(CLOSE_ALL) | OPT(JSON),							\
	  "Checks whether the configuration in FILE is valid. Needs no running gateway.")			\
	C(COMMIT_STATEMENT, "commit statement", "ID", OPT(SOCKET),						\
	  "Prints what a signature of the proposal ID is over, for `ssh-keygen -Y sign -n plaingate-commit`, after comparing it with the texts.")	\
	C(COMMIT_TEXT,   "commit text",    "ID",    OPT(SOCKET), "Prints the configuration of the proposal ID.")		\
	C(COMMIT_SIGN,   "commit sign",    "ID",    OPT(SOCKET) | OPT(KEY) | OPT(SIGNATURE),				\
	  "Signs the proposal ID with a key of the ssh-agent, or gives it the signature in a file. It becomes the running configuration when enough administrators have signed.")	\
	C(COMMIT_WITHDRAW, "commit withdraw", "ID", OPT(SOCKET), "Removes the proposal ID.")			\
	C(COMMIT,        "commit",         "FILE",  OPT(SOCKET) | OPT(JSON) | OPT(COMMENT) | OPT(CLOSE_ALL) | OPT(CUT_OFF) | OPT(CONFIRM),	\
	  "Makes FILE the running configuration, or changes nothing. FILE may be - for standard input.")	\
	C(CONFIRM,       "confirm",        "",      OPT(SOCKET), "Keeps a configuration that was committed with --confirm-within.")	\
	C(SHOW_CONFIG,   "show configuration", "",  OPT(SOCKET) | OPT(JSON),				\
	  "Prints the running configuration as it was committed.")						\
	C(SHOW_SHADOWED, "show policy shadowed", "", OPT(SOCKET) | OPT(JSON),				\
	  "Prints the rules of the running configuration that never match, and the rules before them which match all that they could.")	\
	C(SHOW,          "show",           "TABLE [NAME]", OPT(SOCKET) | OPT(JSON) | OPT(LIMIT) | OPT(NONZERO) | OPT(BY) | OPT(ORDER) | OPT_FILTER,	\
	  "Prints a table of the running gateway; with NAME only the rows that have it (a peer, a tunnel, an interface), "	\
	  "each value on a line of its own. Filters are for sessions, their summary and talkers, and --src, --nat-src and --nat-port for nat blocks; all that are given must hold.")					\
	C(TRACE,         "trace",          "",      OPT(SOCKET) | OPT(JSON) | OPT(COUNT) | OPT_PACKETS | OPT(OR),	\
	  "Follows packets that match through the data plane and prints each stage's decision. Options of one filter must all hold; "	\
	  "after --or another filter begins.")		\
	C(TEST_POLICY,   "test policy",    "",      OPT(SOCKET) | OPT(JSON) | OPT_PACKETS | OPT(ICMP_TYPE) | OPT(ICMP_CODE) | OPT(FROM_ZONE) | OPT(INTERFACE) | OPT(TUNNEL),	\
	  "Says what the gateway would do now with the first packet of a session (rule, NAT, route, tunnel, log), by the functions that "	\
	  "decide about packets. Needs --src, --dst, --proto, and --dport of TCP, UDP and SCTP. Where it comes in is said by "	\
	  "--from-zone, --interface or --tunnel; without one of them it follows from the source. Changes nothing.")	\
	C(CLEAR_SESSIONS, "clear sessions", "",     OPT(SOCKET) | OPT_FILTER,				\
	  "Ends the sessions that match all filters; without a filter all of them.")					\
	C(CLEAR_HIT_COUNT, "clear hit-count", "",   OPT(SOCKET),					\
	  "Begins the counters of all rules of policy again: hits, packets and octets of `show policy`, whose counted_s is their age. Those of `show counters` go on.")	\
	C(IKE_INITIATE,  "ike initiate",   "NAME",  OPT(SOCKET), "Brings up the tunnel or the peer NAME.")	\
	C(IKE_REKEY,     "ike rekey",      "NAME",  OPT(SOCKET), "Rekeys the IKE SA of the peer NAME.")	\
	C(IKE_REKEY_CHILD, "ike rekey-child", "NAME", OPT(SOCKET), "Rekeys the child SA of the tunnel NAME.")	\
	C(IKE_REAUTHENTICATE, "ike reauthenticate", "NAME", OPT(SOCKET), "Makes a new IKE SA with the peer NAME in place of the old one, by its keys, with new child SAs; nothing is lost.")	\
	C(IKE_REDIRECT,  "ike redirect",   "NAME to GATEWAY", OPT(SOCKET), "Sends the established peer NAME to another gateway, by its address or name (RFC 5685), if it has announced that it follows.")	\
	C(IKE_TERMINATE, "ike terminate",  "NAME",  OPT(SOCKET), "Takes down the tunnel or the peer NAME, until `ike initiate` or the peer brings it up again.")	\
	C(VPN_UP,        "vpn up",         "NAME",  OPT(SOCKET), "Brings up the tunnel or the peer NAME, as `ike initiate` does.")	\
	C(VPN_DOWN,      "vpn down",       "NAME",  OPT(SOCKET), "Takes down the tunnel or the peer NAME, as `ike terminate` does.")	\
	C(VPN_REKEY,     "vpn rekey",      "NAME",  OPT(SOCKET), "Rekeys the IKE SA of the peer NAME, as `ike rekey` does.")	\
	C(VPN_REAUTHENTICATE, "vpn reauthenticate", "NAME", OPT(SOCKET), "Makes a new IKE SA with the peer NAME, as `ike reauthenticate` does.")	\
	C(VPN_REDIRECT,  "vpn redirect",   "NAME to GATEWAY", OPT(SOCKET), "Sends the established peer NAME to another gateway, as `ike redirect` does.")	\
	C(VPN_EXPLAIN,   "vpn explain",    "NAME",  OPT(SOCKET) | OPT(JSON),				\
	  "Says step by step why the tunnels of the peer (or the tunnel) NAME are up or down: configuration, addresses, routes, keys, IKE, "	\
	  "child SAs, traffic, policy; and what to change. Status 1 if a step does not hold. Changes nothing.")	\
	C(VERIFY_LEDGER, "verify ledger",  "DIR",							\
	  OPT(JSON) | OPT(KEY) | OPT(POLICY) | OPT(MAX_AGE) | OPT(MAX_UNCOSIGNED) | OPT(CHECKPOINT) | OPT(SINCE) | OPT(KEEP) | OPT(ARCHIVE) | \
	  OPT(EXPLAIN),										\
	  "Checks whether the ledger in DIR is what was signed; names the first invalid entry. Needs no running gateway. "	\
	  "DIR may be an evidence bundle (a file) or an address (https://... or http://...).")			\
	C(VERIFY_RANDOMNESS, "verify randomness", "DIR", OPT(JSON) | OPT(KEY) | OPT(POLICY) | OPT(CAPTURE) | OPT(OURS) | OPT(ARCHIVE),	\
	  "Recomputes the proofs that nonces and SPIs are derived (VRF), and the ephemeral keys that were disclosed. "	\
	  "Needs no running gateway.")		\
	C(VERIFY_LOG,    "verify log",     "DIR",						\
	  OPT(JSON) | OPT(KEY) | OPT(POLICY) | OPT(MAX_AGE) | OPT(MAX_UNCOSIGNED) | OPT(LEDGER) | OPT(ARCHIVE),	\
	  "Checks whether the session log in DIR is what the ledger says of it: that no line was changed, removed, added or moved "	\
	  "up to the last hour's entry. Needs no running gateway.")	\
	C(VERIFY_RELEASE, "verify release", "DIR", OPT(JSON) | OPT(POLICY) | OPT(SIGNERS) | OPT(ABOVE),	\
	  "Checks whether the release in DIR is in the project's log, cosigned by witnesses, signed by enough maintainers and rebuilders, newer than "	\
	  "--above, and whether its files are those that were released. Needs --policy and --signers, and neither a gateway nor a network.")	\
	C(VERIFY_CONFIG, "verify config",  "DIR",						\
	  OPT(JSON) | OPT(KEY) | OPT(POLICY) | OPT(MAX_AGE) | OPT(MAX_UNCOSIGNED) | OPT(LEDGER) | OPT(ARCHIVE),	\
	  "Checks whether each configuration that was ever in force is signed as the one before it demanded; names the first that is not. DIR has their "	\
	  "texts (/var/lib/plaingate/config). Needs no running gateway.")					\
	C(INVESTIGATE,   "investigate",    "DIR",							\
	  OPT(FROM) | OPT(TO) | OPT(OUTPUT) | OPT(KEY) | OPT(ARCHIVE) | OPT(CONFIG),			\
	  "Writes all entries of a time in the ledger in DIR into one file, with the proof: an evidence bundle for "	\
	  "`verify ledger`.")										\
	C(ARCHIVE,       "archive",        "DIR",   OPT(BEFORE) | OPT(TO) | OPT(KEY),			\
	  "Moves old entries of the ledger in DIR to an archive. With the archive the ledger stays verifiable as a "	\
	  "whole.")											\
	C(CAPTURE,       "capture",        "",      OPT(SOCKET) | OPT(OUTPUT) | OPT(STAGE) | OPT(COUNT) | OPT(FILES) | OPT(FILE_SIZE) | OPT_PACKETS | OPT(OR),	\
	  "Writes packets of the running gateway into a file (pcapng), each with verdict and rule as its comment, until --count or an interrupt. "	\
	  "It is entered in the ledger before it begins.")						\
	C(REPLAY,        "replay",         "CAPTURE [CAPTURE]...", OPT(CONFIG) | OPT(ROUTES) | OPT(INGRESS) | OPT(OUTPUT) | OPT(JSON),	\
	  "Prints what a configuration decides about the packets of captures (pcap, pcapng), by the data plane's own code; with -o writes them "	\
	  "with each verdict as the packet's comment. Needs no running gateway, and no privilege.")		\
	C(PKI_AUTHORITY, "pki authority",  "DIR",   OPT(SUBJECT) | OPT(DAYS) | OPT(KEY_TYPE) | OPT(KEY) | OPT(PIN_FILE),			\
	  "Makes a certificate authority in the directory DIR, for VPN gateways and clients. It needs no gateway, and is best kept off one. "	\
	  "With --key its key is in a token or TPM, and made there where there is none of that name.")	\
	C(PKI_REQUEST,   "pki request",    "KEY",   OPT(SUBJECT) | OPT(SAN) | OPT(KEY_TYPE) | OPT(OUTPUT) | OPT(PIN_FILE),		\
	  "Writes a certificate request for the private key in the file KEY, which is made where there is none; or for one in a token or TPM: "	\
	  "KEY is then pkcs11:..., handle:0x81... or tpm2tss:FILE.")	\
	C(PKI_ISSUE,     "pki issue",      "DIR REQUEST", OPT(SUBJECT) | OPT(SAN) | OPT(USE) | OPT(DAYS) | OPT(OUTPUT) | OPT(PIN_FILE),	\
	  "Issues a certificate of the authority in DIR for the key of a request. The authority says for whom: of the request's own words none is taken over.")	\
	C(PKI_REVOKE,    "pki revoke",     "DIR CERTIFICATE", OPT(REASON) | OPT(DAYS) | OPT(PIN_FILE),			\
	  "Revokes a certificate (its file, or its serial number) of the authority in DIR, and makes the next list of the revoked (CRL).")	\
	C(PKI_CRL,       "pki crl",        "DIR",   OPT(DAYS) | OPT(PIN_FILE),					\
	  "Makes the next list of the revoked (CRL) of the authority in DIR: before the last one's time is over.")	\
	C(PKI_SHOW,      "pki show",       "FILE",  OPT(JSON),							\
	  "Says what is in a certificate, a request or a list of the revoked (PEM).")				\
	C(IMPORT_JUNOS,  "import junos-set", "FILE", OPT(OUTPUT) | OPT(INTERFACES) | OPT(JSON),				\
	  "Translates a configuration of Junos (SRX; set lines, or with braces) into one of this gateway, and says of each statement what became of it. "	\
	  "Needs no running gateway.")									\
	C(IMPORT_SCREENOS, "import screenos", "FILE", OPT(OUTPUT) | OPT(INTERFACES) | OPT(JSON),			\
	  "The same for ScreenOS, from what `get config` prints.")					\
	C(VERSION,       "version",        "",      0, "Prints the program's version.")			\
	C(HELP,          "help",           "[COMMAND] [WORD]", 0, "Prints all commands, tables and options; with COMMAND, as `show --help` does too, that one and its options.")
/* clang-format on */

enum cli_option {
#define E(id, word, value, text) OPTION_##id,
	CLI_OPTIONS(E) OPTIONS_N
#undef E
};

typedef unsigned __int128 cli_options_set;
_Static_assert(OPTIONS_N <= 128, "a set of options is one number");

/* A set has more than 64: no builtin of GCC counts it. */
#define OPT_BIT(option)			((cli_options_set)1 << (option))
#define OPT(id)				OPT_BIT(OPTION_##id)
#define OPT_PACKETS			(OPT(SRC) | OPT(DST) | OPT(PROTO) | OPT(SPORT) | OPT(DPORT))
#define OPT_BLOCKS			(OPT(SRC) | OPT(NAT_SRC) | OPT(NAT_PORT)) /* of show nat blocks */
#define OPT_OR(id, option, value, text) | OPT(id)
#define OPT_FILTER			((cli_options_set)0 SESSION_FILTERS(OPT_OR))

enum cli_command_id {
#define E(id, words, arguments, options, text) COMMAND_##id,
	CLI_COMMANDS(E) COMMANDS_N
#undef E
};

struct cli_command_row {
	const char *words, *arguments;
	cli_options_set options;
	const char *text;
};

struct cli_option_row {
	const char *word, *value, *text;
};

extern const struct cli_command_row cli_commands[COMMANDS_N];
extern const struct cli_option_row cli_options[OPTIONS_N];

#define CLI_OURS_MAX 16

/* A parsed command line. */
struct cli_line {
	enum cli_command_id command;
	const char *argument; /* FILE, TABLE, NAME or DIR */
	const char *name;     /* the second argument, or NULL */
	const char *third;    /* likewise */
	cli_options_set given;
	const char *socket, *comment, *key, *policy, *checkpoint, *since, *keep, *archive, *capture, *ledger;
	const char *signature; /* of commit sign */
	const char *from, *to, *before, *output, *config, *routes, *ingress, *stage, *subject, *names;
	const char *interfaces;			/* of import */
	const char *signers;			/* of verify release */
	uint32_t above;				/* likewise; 0: none */
	const char *pin_file;			/* of pki */
	uint32_t files, file_size;		/* of capture; 0: not given */
	const char *captures[CLI_CAPTURES_MAX]; /* of replay */
	size_t captures_n;
	struct ip_addr ours[CLI_OURS_MAX];
	size_t ours_n;
	uint32_t limit, count, confirm_minutes;
	uint64_t max_age_s, max_uncosigned; /* VERIFY_DEFAULT when not given */
	uint32_t by, order;		    /* enum talker_by, enum talker_order */
	uint32_t icmp_type, icmp_code;
	uint32_t days, key_type, use, reason; /* of pki/pki.h; days 0: not given */
	struct session_filter filter;
	struct packet_filters packets; /* of trace; without its count */
};

/* RC_MALFORMED, with a text for the user: the line is not one of the tables'. */
enum rc cli_line_parse(struct cli_line *ret_line, int argc, char *const *argv, struct err *e);

/* The command's first words are these (second: NULL, or its second one). */
bool cli_command_begins(enum cli_command_id id, const char *first, const char *second);

/* A column of a table: the row object's key, its header, and whether values are aligned right. */
struct cli_column {
	const char *key, *header;
	bool right;
};

struct cli_table {
	const char *keyword, *text;
	const struct cli_column *columns;
	size_t n;
};

struct cli_table cli_table(
	enum show_table table); /* that of SHOW_TEST_POLICY, too, which `show` does not list */

/* false: there is no such table. */
bool cli_table_named(const char *keyword, enum show_table *ret_table);

#endif
