/*
 * What is measured for Prometheus: one table. It makes the page, docs/metrics.md, and which tables of `show` are asked for: each
 * measurement is a key of a row there, so that both tell the same. Names and labels are never changed after a release.
 *
 *	name     after "plaingate_"; counters end in _total
 *	table    of `show`; "" of export itself
 *	key      whose value is taken
 *	how      NUMBER; MICRO: of microseconds, served as seconds; AGO: seconds that have passed, served as the time then;
 *		 START: the same, where 0 is nothing; UTC: a time as text; IS: 1 where it is one of `word`, else 0; ONE: 1
 *	word     of IS: words, with | between them
 *	only     "key=value": of rows where it is so; "key=value-": of those where it begins so, and the label of that key is the rest
 *	labels   "label" or "label:key", separated by commas. A row that lacks one has no such measurement, but for "?label"
 *	more     FIRST: of several rows with the same labels the first counts; SUM, MOST: their sum, the largest
 */
#ifndef EXPORT_METRICS_TABLE_H
#define EXPORT_METRICS_TABLE_H

/* clang-format off */
#define METRICS_DROPS(M) \
	M(drops_total, COUNTER, "counters", "value", NUMBER, "", "counter=drop-", "reason:counter", FIRST, "packets dropped, by the reasons of `show counters`")

#define METRICS_COUNTER(M, name, counter, help) \
	M(name, COUNTER, "counters", "value", NUMBER, "", "counter=" counter, "", FIRST, help)
#define METRICS_GAUGE(M, name, counter, help) \
	M(name, GAUGE, "counters", "value", NUMBER, "", "counter=" counter, "", FIRST, help)

#define METRICS_TRAFFIC(M) \
	METRICS_COUNTER(M, packets_received_total, "packets-in", "packets received from links, tunnels and the host") \
	METRICS_COUNTER(M, bytes_received_total, "bytes-in", "their octets, from the IP header on") \
	METRICS_COUNTER(M, packets_sent_total, "packets-out", "packets sent") \
	METRICS_COUNTER(M, bytes_sent_total, "bytes-out", "their octets, from the IP header on") \
	METRICS_DROPS(M) \
	METRICS_GAUGE(M, sessions, "sessions-now", "sessions in the table") \
	METRICS_GAUGE(M, sessions_half_open, "half-open-now", "TCP sessions whose handshake is not complete") \
	METRICS_GAUGE(M, sessions_limit, "session-limit", "sessions that the table may hold") \
	METRICS_COUNTER(M, sessions_created_total, "sessions-created", "sessions begun") \
	METRICS_COUNTER(M, sessions_ended_total, "sessions-ended", "sessions ended, for all reasons") \
	M(sessions_ended_by_reason_total, COUNTER, "counters", "value", NUMBER, "", "counter=sessions-ended-", "reason:counter", FIRST, "sessions ended, by the reasons of the session log") \
	METRICS_COUNTER(M, sessions_evicted_half_open_total, "half-open-evicted", "half-open sessions evicted to make room") \
	METRICS_COUNTER(M, sessions_evicted_unanswered_total, "unanswered-evicted", "other unanswered sessions evicted to make room") \
	METRICS_COUNTER(M, sessions_evicted_over_share_total, "over-share-evicted", "sessions beyond the share of their source or zone, evicted to make room") \
	METRICS_COUNTER(M, sessions_evicted_limit_total, "limit-evicted", "sessions evicted by a commit that lowered session-limit") \
	METRICS_COUNTER(M, sessions_aged_early_total, "sessions-aged-early", "sessions ended by early ageing") \
	METRICS_GAUGE(M, sessions_carried, "carried-sessions", "sessions that the kernel carries") \
	METRICS_COUNTER(M, carried_packets_total, "carried-packets", "packets that the kernel has forwarded; they are among those received and sent") \
	METRICS_COUNTER(M, carried_no_room_total, "carried-no-room", "sessions that found no place in the kernel's table") \
	METRICS_COUNTER(M, session_records_lost_total, "session-records-lost", "session records that export did not take") \
	METRICS_COUNTER(M, log_records_suppressed_total, "log-records-suppressed", "log records of rules and zones beyond their rate") \
	METRICS_COUNTER(M, trains_handed_over_total, "trains-handed-over", "trains that went on with another worker than the one where they arrived") \
	METRICS_COUNTER(M, error_replies_sent_total, "error-replies-sent", "ICMP errors and TCP resets sent") \
	METRICS_COUNTER(M, error_replies_suppressed_total, "error-replies-suppressed", "ICMP errors and TCP resets not sent, beyond their rate") \
	METRICS_GAUGE(M, nat_bindings, "nat-bindings-now", "bindings of persistent NAT") \
	METRICS_GAUGE(M, nat_blocks, "nat-blocks-now", "dynamic blocks of ports that inside hosts have") \
	METRICS_GAUGE(M, policy_rules, "policy-rules-now", "policy rules; those beyond `rules` of the configuration have no measurements of their own") \
	METRICS_GAUGE(M, routes, "routes-now", "routes of the main table")

#define METRICS_INTERFACE "interface,zone"
#define METRICS_INTERFACES(M) \
	M(interface_up, GAUGE, "interfaces", "state", IS, "up", "", METRICS_INTERFACE, FIRST, "whether the interface is up") \
	M(interface_mtu_bytes, GAUGE, "interfaces", "mtu", NUMBER, "", "", METRICS_INTERFACE, FIRST, "its MTU") \
	M(interface_receive_packets_total, COUNTER, "interfaces", "rx_packets", NUMBER, "", "", METRICS_INTERFACE, FIRST, "packets received by it") \
	M(interface_receive_bytes_total, COUNTER, "interfaces", "rx_bytes", NUMBER, "", "", METRICS_INTERFACE, FIRST, "their octets, from the IP header on") \
	M(interface_transmit_packets_total, COUNTER, "interfaces", "tx_packets", NUMBER, "", "", METRICS_INTERFACE, FIRST, "packets sent by it") \
	M(interface_transmit_bytes_total, COUNTER, "interfaces", "tx_bytes", NUMBER, "", "", METRICS_INTERFACE, FIRST, "their octets, from the IP header on") \
	M(link_receive_errors_total, COUNTER, "links", "rx_errors", NUMBER, "", "", METRICS_INTERFACE, FIRST, "frames that the driver could not receive") \
	M(link_receive_dropped_total, COUNTER, "links", "rx_dropped", NUMBER, "", "", METRICS_INTERFACE, FIRST, "frames that the kernel or the driver dropped on receipt, what nobody on this machine wanted among them") \
	M(link_receive_missed_total, COUNTER, "links", "rx_missed", NUMBER, "", "", METRICS_INTERFACE, FIRST, "frames that the card had no room for") \
	M(link_transmit_errors_total, COUNTER, "links", "tx_errors", NUMBER, "", "", METRICS_INTERFACE, FIRST, "frames that could not be sent") \
	M(link_transmit_dropped_total, COUNTER, "links", "tx_dropped", NUMBER, "", "", METRICS_INTERFACE, FIRST, "frames that the kernel or the driver dropped instead of sending them") \
	M(link_carrier_changes_total, COUNTER, "links", "carrier_changes", NUMBER, "", "", METRICS_INTERFACE, FIRST, "times that the link lost or found its carrier") \
	M(uplink_up, GAUGE, "uplinks", "state", IS, "up", "", "uplink,interface", FIRST, "whether the uplink is used") \
	M(uplink_changes_total, COUNTER, "uplinks", "changes", NUMBER, "", "", "uplink,interface", FIRST, "times that it went down or came back") \
	M(uplink_target_up, GAUGE, "uplinks", "target_state", IS, "answers", "", "uplink,target,by", FIRST, "whether the target answers") \
	M(uplink_probes_total, COUNTER, "uplinks", "probes", NUMBER, "", "", "uplink,target,by", FIRST, "probes sent to the target") \
	M(uplink_probes_lost_total, COUNTER, "uplinks", "lost", NUMBER, "", "", "uplink,target,by", FIRST, "probes without an answer") \
	M(uplink_round_trip_seconds, GAUGE, "uplinks", "rtt_us", MICRO, "", "", "uplink,target,by", FIRST, "time to the last answer") \
	M(server_up, GAUGE, "servers", "state", IS, "up", "", "server", FIRST, "whether a server of destination NAT whose health is checked answers") \
	M(server_checks_total, COUNTER, "servers", "checks", NUMBER, "", "", "server", FIRST, "checks made") \
	M(server_check_failures_total, COUNTER, "servers", "failures", NUMBER, "", "", "server", FIRST, "checks that failed")

#define METRICS_RULE "from,to,rule,id"
#define METRICS_NAT  "type,from,?to,rule"
#define METRICS_POLICY(M) \
	M(rule_sessions_total, COUNTER, "policy", "hits", NUMBER, "", "", METRICS_RULE, FIRST, "sessions that the rule decided about, denied packets among them") \
	M(rule_packets_total, COUNTER, "policy", "packets", NUMBER, "", "", METRICS_RULE, FIRST, "packets of its sessions; with `count` in the rule") \
	M(rule_bytes_total, COUNTER, "policy", "bytes", NUMBER, "", "", METRICS_RULE, FIRST, "their octets; with `count` in the rule") \
	M(rule_last_hit_timestamp_seconds, GAUGE, "policy", "last_hit_s", AGO, "", "", METRICS_RULE, FIRST, "when it last decided; to a second") \
	M(rule_counted_since_timestamp_seconds, GAUGE, "policy", "counted_s", AGO, "", "", METRICS_RULE, FIRST, "since when its counters count; to a second") \
	M(nat_rule_hits_total, COUNTER, "nat", "hits", NUMBER, "", "", METRICS_NAT, FIRST, "sessions that the NAT rule translated; only source NAT has a label `to`") \
	M(nat_rule_sessions, GAUGE, "nat", "sessions", NUMBER, "", "", METRICS_NAT, FIRST, "sessions that have an address and port by the rule") \
	M(nat_rule_pool_addresses, GAUGE, "nat", "pool_addresses", NUMBER, "", "", METRICS_NAT, FIRST, "addresses of its pool") \
	M(nat_rule_ports_per_address, GAUGE, "nat", "ports_each", NUMBER, "", "", METRICS_NAT, FIRST, "ports that each address gives to connections with the same destination address and port; others may have the same port at the same time") \
	M(nat_rule_bindings, GAUGE, "nat", "bindings", NUMBER, "", "", METRICS_NAT, FIRST, "its bindings of persistent NAT") \
	M(nat_rule_blocks, GAUGE, "nat", "blocks", NUMBER, "", "", METRICS_NAT, FIRST, "its dynamic blocks of ports that are in use") \
	M(nat_rule_exhausted_total, COUNTER, "nat", "exhausted", NUMBER, "", "", METRICS_NAT, FIRST, "sessions dropped because no port was free") \
	M(nat_rule_servers_down, GAUGE, "nat", "servers_down", NUMBER, "", "", METRICS_NAT, FIRST, "servers of the rule that do not answer") \
	M(screen_packets_total, COUNTER, "screens", "packets", NUMBER, "", "", "zone,screen,recognises", FIRST, "packets that the screen recognised")

#define METRICS_TUNNEL "tunnel,peer"
#define METRICS_VPN(M) \
	M(tunnel_up, GAUGE, "tunnels", "state", IS, "up", "", METRICS_TUNNEL, FIRST, "whether the tunnel has an SA that sends") \
	M(tunnel_child_sas, GAUGE, "tunnels", "sas", NUMBER, "", "", METRICS_TUNNEL, FIRST, "pairs of its child SAs") \
	M(tunnel_receive_packets_total, COUNTER, "tunnels", "packets_in", NUMBER, "", "", METRICS_TUNNEL, FIRST, "packets received, over all SAs that it ever had") \
	M(tunnel_receive_bytes_total, COUNTER, "tunnels", "bytes_in", NUMBER, "", "", METRICS_TUNNEL, FIRST, "their octets, with padding") \
	M(tunnel_transmit_packets_total, COUNTER, "tunnels", "packets_out", NUMBER, "", "", METRICS_TUNNEL, FIRST, "packets sent, over all SAs that it ever had") \
	M(tunnel_transmit_bytes_total, COUNTER, "tunnels", "bytes_out", NUMBER, "", "", METRICS_TUNNEL, FIRST, "their octets") \
	M(tunnel_rekeys_total, COUNTER, "tunnels", "rekeys", NUMBER, "", "", METRICS_TUNNEL, FIRST, "pairs of SAs that replaced another one") \
	M(tunnel_replayed_total, COUNTER, "tunnels", "replayed", NUMBER, "", "", METRICS_TUNNEL, FIRST, "packets dropped: received before, or left of the replay window") \
	M(tunnel_unauthentic_total, COUNTER, "tunnels", "unauthentic", NUMBER, "", "", METRICS_TUNNEL, FIRST, "packets dropped: the integrity check failed") \
	M(tunnel_refused_total, COUNTER, "tunnels", "refused", NUMBER, "", "", METRICS_TUNNEL, FIRST, "authentic packets whose content was dropped: padding, form, selectors") \
	M(tunnel_dropped_down_total, COUNTER, "tunnels", "dropped", NUMBER, "", "", METRICS_TUNNEL, FIRST, "packets dropped because there was no SA") \
	M(ike_peer_up, GAUGE, "ike", "state", IS, "established", "", "peer", MOST, "whether there is an IKE SA with the peer") \
	M(ike_sas, GAUGE, "ike", "spi_i", ONE, "", "", "peer,state", SUM, "IKE SAs with the peer in this state") \
	M(ike_last_received_timestamp_seconds, GAUGE, "ike", "last_received_s", AGO, "", "", "peer", MOST, "when the peer was last heard, answers to dead peer detection among it; to a second")

#define METRICS_GATEWAY(M) \
	M(process_up, GAUGE, "status", "state", IS, "ready", "", "process", FIRST, "whether the process is ready") \
	M(process_info, GAUGE, "status", "sha256", ONE, "", "", "process,sha256", FIRST, "always 1: the SHA-256 of the executable, as measured before it ran") \
	M(process_start_time_seconds, GAUGE, "status", "uptime_s", START, "", "", "process", FIRST, "when it was started, to a second: its counters began at zero then, but for those of tunnels") \
	M(process_restarts_total, COUNTER, "status", "restarts", NUMBER, "", "", "process", FIRST, "its restarts by this supervisor") \
	M(process_resident_memory_bytes, GAUGE, "status", "memory_bytes", NUMBER, "", "", "process", FIRST, "memory that it occupies") \
	M(worker_packets_total, COUNTER, "workers", "packets_in", NUMBER, "", "", "worker", FIRST, "packets received by the worker of the data plane") \
	M(worker_sessions, GAUGE, "workers", "sessions", NUMBER, "", "", "worker", FIRST, "sessions of the worker") \
	M(worker_cpu_seconds_total, COUNTER, "workers", "cpu_us", MICRO, "", "", "worker", FIRST, "processor time that it has used") \
	M(worker_queue_bytes, GAUGE, "workers", "queued_bytes", NUMBER, "", "", "worker", FIRST, "octets that wait for it in rings from other workers") \
	M(worker_longest_round_seconds, GAUGE, "workers", "longest_us", MICRO, "", "", "worker", FIRST, "longest time between two looks at its links, since it was started") \
	M(ledger_entries, GAUGE, "ledger", "size", NUMBER, "", "", "origin", FIRST, "entries of the ledger") \
	M(ledger_published_entries, GAUGE, "ledger", "published_size", NUMBER, "", "", "origin", FIRST, "entries that its last checkpoint covers") \
	M(ledger_disk_writes_total, COUNTER, "ledger", "disk_writes", NUMBER, "", "", "origin", FIRST, "batches written") \
	M(ledger_disk_write_failures_total, COUNTER, "ledger", "disk_write_failures", NUMBER, "", "", "origin", FIRST, "batches that could not be written") \
	M(ledger_checkpoint_timestamp_seconds, GAUGE, "ledger", "last_checkpoint", UTC, "", "", "origin", FIRST, "when the last checkpoint was signed") \
	M(witness_cosigned_entries, GAUGE, "ledger", "cosigned_size", NUMBER, "", "", "witness,via", FIRST, "entries of the ledger that the witness has cosigned") \
	M(witness_last_contact_timestamp_seconds, GAUGE, "ledger", "last_contact_s", AGO, "", "", "witness,via", FIRST, "when the witness last answered; to a second") \
	M(witness_cosigned_timestamp_seconds, GAUGE, "ledger", "cosigned_at", UTC, "", "", "witness,via", FIRST, "when the witness last cosigned the ledger, by its own clock") \
	M(log_up, GAUGE, "export", "state", IS, "connected|writing", "", "name", FIRST, "whether records go there: to the file of the session log, or to the collector of this name; 0 also where it takes nothing") \
	M(log_written_total, COUNTER, "export", "records", NUMBER, "", "", "name", FIRST, "session records written or sent") \
	M(log_lost_total, COUNTER, "export", "lost", NUMBER, "", "", "name", FIRST, "session records lost") \
	M(log_queued, GAUGE, "export", "queued", NUMBER, "", "", "name", FIRST, "session records that wait for the collector") \
	M(key_loaded, GAUGE, "keys", "state", IS, "loaded|loaded; short", "", "name,kind", FIRST, "whether the keeper holds the key")

/* Of export itself. */
#define METRICS_OWN(M) \
	M(build_info, GAUGE, "", "version", ONE, "", "", "version", FIRST, "always 1: the version") \
	M(table_up, GAUGE, "", "up", NUMBER, "", "", "table", FIRST, "whether this table of `show` was answered; if not, its measurements are missing") \
	M(samples_left_out, GAUGE, "", "left_out", NUMBER, "", "", "", FIRST, "measurements left out because there are too many")

#define METRICS(M) METRICS_OWN(M) METRICS_GATEWAY(M) METRICS_TRAFFIC(M) METRICS_INTERFACES(M) METRICS_POLICY(M) METRICS_VPN(M)
/* clang-format on */

enum metric {
#define E(name, type, table, key, how, word, only, labels, more, help) METRIC_##name,
	METRICS(E) METRIC_COUNT
#undef E
};

#endif
