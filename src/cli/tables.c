/*
 * The columns of each table that `show` prints: the key in the row object, the header, and the alignment. A
 * column whose key no row has is left out; a key that is not listed here gets a column of its own at the end,
 * so that nothing an owner sends is hidden.
 */
#include <assert.h>
#include <string.h>

#include "cli/commands.h"

#define LEFT  false
#define RIGHT true

/* clang-format off */
static const struct cli_column status_columns[] = {
	{ "process",   "process",   LEFT },  { "state",    "state",    LEFT },  { "pid",    "pid",    RIGHT },
	{ "restarts",  "restarts",  RIGHT }, { "uptime_s", "up (s)",   RIGHT }, { "memory_bytes", "memory (bytes)", RIGHT }, { "sha256", "SHA-256", LEFT },
	{ "reason",    "reason",    LEFT },
};
static const struct cli_column commits_columns[] = {
	{ "rollback", "rollback", RIGHT }, { "generation", "generation", RIGHT }, { "time", "time", LEFT }, { "admin", "admin", LEFT }, { "comment", "comment", LEFT },
	{ "entry", "ledger entry", RIGHT }, { "sha256", "SHA-256", LEFT }, { "reason", "reason", LEFT },
};
static const struct cli_column administrators_columns[] = {
	{ "name", "name", LEFT }, { "role", "role", LEFT }, { "uid", "uid", RIGHT }, { "keys", "keys", LEFT }, { "self", "you", LEFT },
};
static const struct cli_column proposals_columns[] = {
	{ "proposal", "proposal", RIGHT }, { "time", "time", LEFT }, { "admin", "admin", LEFT }, { "comment", "comment", LEFT },
	{ "base", "over generation", RIGHT }, { "required", "required", RIGHT }, { "signatures", "signatures", RIGHT },
	{ "signed_by", "signed by", LEFT }, { "confirm_within", "confirm (min)", RIGHT },
	{ "options", "options", LEFT }, { "until", "until", LEFT }, { "sha256", "SHA-256", LEFT },
};
static const struct cli_column export_columns[] = {
	{ "name", "name", LEFT }, { "state", "state", LEFT }, { "to", "to", LEFT }, { "records", "records", RIGHT }, { "lost", "lost", RIGHT },
	{ "queued", "queued", RIGHT }, { "lines", "lines", RIGHT }, { "reason", "reason", LEFT },
};
static const struct cli_column resolver_columns[] = {
	{ "object", "object", LEFT }, { "kind", "kind", LEFT }, { "value", "value", LEFT }, { "state", "state", LEFT },
	{ "addresses", "addresses", RIGHT }, { "age_s", "age (s)", RIGHT }, { "next_s", "next (s)", RIGHT }, { "sha256", "SHA-256", LEFT },
	{ "questions", "questions", RIGHT }, { "answers", "answers", RIGHT },
	{ "reason", "reason", LEFT },
};
static const struct cli_column address_columns[] = {
	{ "object", "object", LEFT }, { "kind", "kind", LEFT }, { "value", "value", LEFT }, { "address", "address", LEFT },
	{ "state", "state", LEFT }, { "ends_s", "ends in (s)", RIGHT },
};
static const struct cli_column interfaces_columns[] = {
	{ "interface",  "interface",  LEFT },  { "zone",       "zone",       LEFT },  { "state",     "state",     LEFT },
	{ "mtu",        "MTU",        RIGHT }, { "mac",        "MAC",        LEFT },  { "addresses", "addresses", LEFT },
	{ "rx_packets", "rx packets", RIGHT }, { "rx_bytes",   "rx bytes",   RIGHT },
	{ "tx_packets", "tx packets", RIGHT }, { "tx_bytes",   "tx bytes",   RIGHT },
};
static const struct cli_column links_columns[] = {
	{ "interface", "interface", LEFT }, { "zone", "zone", LEFT }, { "rx_packets", "rx packets", RIGHT }, { "rx_errors", "rx errors", RIGHT },
	{ "rx_dropped", "rx dropped", RIGHT }, { "rx_missed", "rx missed", RIGHT }, { "tx_packets", "tx packets", RIGHT }, { "tx_errors", "tx errors", RIGHT },
	{ "tx_dropped", "tx dropped", RIGHT }, { "carrier_changes", "carrier changes", RIGHT },
};
static const struct cli_column routes_columns[] = {
	{ "kind",   "kind",   LEFT }, { "prefix",    "prefix",    LEFT }, { "gateway", "gateway", LEFT },
	{ "interface", "interface", LEFT }, { "mac", "MAC", LEFT }, { "state", "state", LEFT }, { "metric", "metric", RIGHT },
	{ "weight", "weight", RIGHT }, { "table", "table", RIGHT },
};
static const struct cli_column policy_columns[] = {
	{ "from",    "from",    LEFT },  { "to",      "to",      LEFT },  { "rule",  "rule",  LEFT }, { "id", "id", LEFT },
	{ "action",  "action",  LEFT },  { "dscp",    "DSCP",    RIGHT }, { "hits",    "hits",    RIGHT }, { "packets", "packets", RIGHT },
	{ "bytes",   "bytes",   RIGHT }, { "last_hit_s", "last hit (s ago)", RIGHT }, { "counted_s", "counted for (s)", RIGHT },
	{ "scheduler", "scheduler", LEFT }, { "state", "state", LEFT },
	{ "description", "description", LEFT },
};
static const struct cli_column sessions_columns[] = {
	{ "proto",   "proto",   LEFT },  { "src",     "source",  LEFT },  { "dst",     "destination", LEFT },
	{ "from",    "from",    LEFT },  { "to",      "to",      LEFT },  { "rule",    "rule",        LEFT }, { "rule_id", "rule id", LEFT },
	{ "state",   "state",   LEFT },  { "nat_src", "NAT source", LEFT }, { "nat_dst", "NAT destination", LEFT },
	{ "tunnel", "tunnel",     LEFT }, { "alg", "ALG", LEFT }, { "carried", "carried", LEFT },
	{ "interface", "interface", LEFT }, { "reply_interface", "reply interface", LEFT },
	{ "packets_forward", "packets forward", RIGHT }, { "packets_reply", "packets reply", RIGHT },
	{ "bytes",   "bytes",   RIGHT }, { "age_s", "age (s)", RIGHT }, { "idle_s", "idle (s)", RIGHT },
	{ "expires_in_s", "expires in (s)", RIGHT }, { "id", "id", RIGHT },
};
static const struct cli_column sessions_summary_columns[] = {
	{ "by", "by", LEFT }, { "value", "value", LEFT }, { "sessions", "sessions", RIGHT },
	{ "packets", "packets", RIGHT }, { "bytes", "bytes", RIGHT },
};
static const struct cli_column talkers_columns[] = {
	{ "src", "source", LEFT }, { "dst", "destination", LEFT }, { "sessions", "sessions", RIGHT },
	{ "packets", "packets", RIGHT }, { "bytes", "bytes", RIGHT }, { "overcount", "overcount", RIGHT },
};
static const struct cli_column nat_columns[] = {
	{ "type",   "type",   LEFT }, { "rule", "rule", LEFT }, { "from", "from", LEFT }, { "to", "to", LEFT },
	{ "interface", "interface", LEFT }, { "published", "published", LEFT }, { "action", "action", LEFT }, { "pool", "pool", LEFT }, { "port", "port", LEFT }, { "ports", "ports", LEFT },
	{ "pool_addresses", "addresses", RIGHT }, { "ports_each", "ports each", RIGHT },
	{ "persistent", "persistent", LEFT }, { "hits", "hits", RIGHT }, { "servers_down", "servers down", RIGHT }, { "sessions", "sessions", RIGHT }, { "bindings", "bindings", RIGHT }, { "blocks", "blocks", RIGHT }, { "exhausted", "exhausted", RIGHT },
};
static const struct cli_column nat_blocks_columns[] = {
	{ "type", "type", LEFT }, { "rule", "rule", LEFT }, { "from", "from", LEFT }, { "src", "inside host", LEFT }, { "nat_src", "outside address", LEFT },
	{ "ports", "ports", LEFT }, { "users", "users", RIGHT }, { "age_s", "age (s)", RIGHT }, { "expires_in_s", "expires in (s)", RIGHT }, { "block", "block", RIGHT },
};
static const struct cli_column screens_columns[] = {
	{ "zone", "zone", LEFT }, { "screen", "screen", LEFT }, { "recognises", "recognises", LEFT }, { "action", "action", LEFT },
	{ "threshold", "threshold", RIGHT }, { "packets", "packets", RIGHT }, { "text", "what it is", LEFT },
};
static const struct cli_column servers_columns[] = {
	{ "server", "server", LEFT }, { "state", "state", LEFT }, { "since_s", "since (s)", RIGHT }, { "checks", "checks", RIGHT },
	{ "failures", "failures", RIGHT }, { "interval_s", "interval (s)", RIGHT }, { "reason", "reason", LEFT },
};
static const struct cli_column uplinks_columns[] = {
	{ "uplink", "uplink", LEFT }, { "state", "state", LEFT }, { "since_s", "since (s)", RIGHT }, { "interface", "interface", LEFT },
	{ "next_hop", "next hop", LEFT }, { "target", "target", LEFT }, { "by", "by", LEFT }, { "target_state", "target state", LEFT },
	{ "probes", "probes", RIGHT }, { "lost", "lost", RIGHT }, { "rtt_us", "round trip (us)", RIGHT },
	{ "changes", "changes", RIGHT }, { "reason", "reason", LEFT },
};
static const struct cli_column ike_columns[] = {
	{ "peer",     "peer",     LEFT }, { "tunnels",  "tunnels",  LEFT }, { "state",    "state",  LEFT },
	{ "role",     "role",     LEFT }, { "local",    "local",    LEFT }, { "remote",   "remote", LEFT },
	{ "algorithms", "algorithms", LEFT }, { "age_s", "age (s)", RIGHT }, { "rekey_in_s", "rekey in (s)", RIGHT },
	{ "last_received_s", "last received (s ago)", RIGHT }, { "nat", "NAT",     LEFT }, { "udp_encapsulation", "UDP "
	"encapsulation", LEFT },
	{ "fragmentation", "IKE fragmentation", LEFT }, { "full_transcript", "full transcript", LEFT },
	{ "spi_i",    "SPI i",    LEFT }, { "spi_r",    "SPI r",    LEFT }, { "spis_in", "child SPIs in", LEFT }, { "wanted",   "wanted", LEFT },
	{ "redirected_from", "redirected from", LEFT },
	{ "retry_in_s", "retry in (s)", RIGHT }, { "reason", "reason", LEFT },
	{ "refused",  "refused",  LEFT }, { "refused_s", "refused (s ago)", RIGHT }, { "offered", "offered by the peer", LEFT },
	{ "configured", "configured", LEFT },
};
static const struct cli_column ipsec_columns[] = {
	{ "tunnel",   "tunnel",   LEFT },  { "peer",      "peer",      LEFT },  { "state",   "state",   LEFT },
	{ "spi_in",   "SPI in",   LEFT },  { "spi_out",   "SPI out",   LEFT },  { "algorithm", "algorithm", LEFT },
	{ "encapsulation", "encapsulation", LEFT }, { "local_ts", "local selectors", LEFT }, { "remote_ts", "remote "
	"selectors", LEFT },
	{ "local",    "local",    LEFT },  { "remote",    "remote",    LEFT },
	{ "packets_in", "packets in", RIGHT }, { "bytes_in", "bytes in", RIGHT },
	{ "packets_out", "packets out", RIGHT }, { "bytes_out", "bytes out", RIGHT },
	{ "seq_out",  "sequence", RIGHT }, { "mtu",       "MTU",       RIGHT }, { "age_s",     "age (s)", RIGHT },
	{ "esn",      "ESN",      LEFT },  { "replay_window", "replay window", RIGHT },
	{ "worker",   "worker", RIGHT }, { "resource", "resource", LEFT }, { "dropped", "dropped", RIGHT },
};
static const struct cli_column workers_columns[] = {
	{ "worker", "worker", RIGHT }, { "packets_in", "packets in", RIGHT }, { "packets_out", "packets out", RIGHT }, { "sessions", "sessions", RIGHT },
	{ "handed_over", "trains handed over", RIGHT }, { "queued_bytes", "bytes queued", RIGHT }, { "cpu_us", "CPU (us)", RIGHT },
	{ "longest_us", "longest round (us)", RIGHT },
};
static const struct cli_column tunnels_columns[] = {
	{ "tunnel", "tunnel", LEFT }, { "peer", "peer", LEFT }, { "interface", "interface", LEFT }, { "state", "state", LEFT }, { "sas", "SAs", RIGHT },
	{ "packets_in", "packets in", RIGHT }, { "bytes_in", "bytes in", RIGHT }, { "packets_out", "packets out", RIGHT }, { "bytes_out", "bytes out", RIGHT },
	{ "rekeys", "rekeys", RIGHT }, { "replayed", "replayed", RIGHT }, { "unauthentic", "unauthentic", RIGHT }, { "refused", "refused", RIGHT },
	{ "dropped", "dropped while down", RIGHT },
};
static const struct cli_column counters_columns[] = {
	{ "counter", "counter", LEFT }, { "value", "value", RIGHT }, { "text", "what it counts", LEFT },
};
static const struct cli_column ledger_columns[] = {
	{ "origin", "origin", LEFT }, { "size", "entries", RIGHT }, { "published_size", "published", RIGHT },
	{ "last_checkpoint", "last checkpoint", LEFT }, { "disk_writes", "disk writes", RIGHT },
	{ "disk_write_failures", "failed writes", RIGHT }, { "directory", "directory", LEFT }, { "root", "root", LEFT },
	{ "vkey", "verifier key", LEFT },
	{ "cosigner_vkey", "cosigner key", LEFT },
	{ "witness", "witness", LEFT }, { "cosigned_ledger", "cosigned ledger", LEFT }, { "via", "via", LEFT }, { "state", "state", LEFT },
	{ "cosigned_size", "cosigned", RIGHT }, { "last_contact_s", "last contact (s ago)", RIGHT }, { "cosigned_at", "last cosignature", LEFT }, { "error", "error", LEFT },
	{ "key", "verifier key", LEFT },
};
static const struct cli_column keys_columns[] = {
	{ "name", "name", LEFT }, { "kind", "kind", LEFT }, { "state", "state", LEFT },
	{ "fingerprint", "fingerprint", LEFT }, { "error", "error", LEFT },
};
static const struct cli_column pki_columns[] = {
	{ "kind", "kind", LEFT }, { "name", "name", LEFT }, { "file", "file", LEFT }, { "serial", "serial", LEFT }, { "state", "state", LEFT },
	{ "valid_from", "valid from", LEFT }, { "valid_until", "valid until", LEFT }, { "updated", "updated", LEFT }, { "next_update", "next update", LEFT },
	{ "age_s", "age (s)", RIGHT }, { "subject", "subject or issuer", LEFT },
	{ "source", "source", LEFT }, { "reason", "reason", LEFT },
};
static const struct cli_column ssh_columns[] = {
	{ "state", "state", LEFT }, { "port", "port", RIGHT }, { "host_key", "host key", LEFT }, { "administrators", "administrators", RIGHT },
	{ "authorities", "authorities", RIGHT }, { "failed", "failed logins", RIGHT }, { "last_error", "last error", LEFT },
};
static const struct cli_column users_columns[] = {
	{ "session", "session", RIGHT }, { "name", "name", LEFT }, { "role", "role", LEFT }, { "since", "since", LEFT }, { "source", "from", LEFT },
	{ "key", "key", LEFT },
};
static const struct cli_column test_policy_columns[] = {
	{ "verdict", "verdict", LEFT }, { "drop", "drop", LEFT }, { "reason", "reason", LEFT },
	{ "proto", "proto", LEFT }, { "protocol", "protocol", RIGHT }, { "src", "source", LEFT }, { "dst", "destination", LEFT }, { "icmp_type", "ICMP type", RIGHT }, { "icmp_code", "ICMP code", RIGHT },
	{ "from", "from", LEFT }, { "interface", "interface", LEFT }, { "from_tunnel", "from tunnel", LEFT },
	{ "to", "to", LEFT }, { "tunnel", "tunnel", LEFT }, { "egress", "egress", LEFT }, { "next_hop", "next hop", LEFT },
	{ "rule", "rule", LEFT }, { "rule_from", "rule from", LEFT }, { "rule_to", "rule to", LEFT }, { "dscp", "DSCP", RIGHT },
	{ "nat_dst", "NAT destination", LEFT }, { "nat_dst_rule", "by rule", LEFT }, { "nat_src", "NAT source", LEFT }, { "nat_src_rule", "by rule", LEFT },
	{ "log", "log", LEFT }, { "timeout_s", "timeout (s)", RIGHT }, { "expected", "expected by an ALG", LEFT }, { "session", "session", RIGHT },
};
static const struct {
	const struct cli_column *columns;
	size_t n;
} columns_of[SHOW_COUNT + 1] = {
	[SHOW_TEST_POLICY] = { test_policy_columns, COUNT_OF(test_policy_columns) },
#define E(id, name) [SHOW_##id] = { name##_columns, COUNT_OF(name##_columns) },
	E(STATUS, status) E(INTERFACES, interfaces) E(ROUTES, routes) E(UPLINKS, uplinks) E(POLICY, policy) E(SESSIONS, sessions)
	E(SESSIONS_SUMMARY, sessions_summary) E(TALKERS, talkers)
	E(NAT, nat) E(NAT_BLOCKS, nat_blocks) E(SCREENS, screens) E(SERVERS, servers) E(IKE, ike)
	E(IKE_COUNTERS, counters) E(IPSEC, ipsec) E(TUNNELS, tunnels) E(WORKERS, workers)
	E(COUNTERS, counters) E(LEDGER, ledger) E(EXPORT, export) E(RESOLVER, resolver) E(ADDRESS, address) E(KEYS, keys) E(PKI, pki)
	E(LINKS, links) E(COMMITS, commits) E(ADMINISTRATORS, administrators) E(PROPOSALS, proposals) E(SSH, ssh) E(USERS, users)
#undef E
};
/* clang-format on */

static const char *const keywords[SHOW_COUNT + 1] = { [SHOW_TEST_POLICY] = "test policy",
#define E(id, word, owner, text) [SHOW_##id] = word,
	SHOW_TABLES(E)
#undef E
};

static const char *const texts[SHOW_COUNT + 1] = {
	[SHOW_TEST_POLICY] = "what the gateway would do with a packet",
#define E(id, word, owner, text) [SHOW_##id] = text,
	SHOW_TABLES(E)
#undef E
};

struct cli_table cli_table(enum show_table table)
{
	assert(table <= SHOW_TEST_POLICY && columns_of[table].n > 0);
	return (struct cli_table){ keywords[table], texts[table], columns_of[table].columns,
		columns_of[table].n };
}

bool cli_table_named(const char *keyword, enum show_table *ret_table)
{
	for (unsigned i = 0; i < SHOW_COUNT; i++) {
		if (strcmp(keywords[i], keyword) == 0) {
			*ret_table = (enum show_table)i;
			return true;
		}
	}
	return false;
}
