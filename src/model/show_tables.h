/* The tables of `show`, and whose each is: of the messages (ipc/messages.h), the command line, and roles, which name them. */
#ifndef MODEL_SHOW_TABLES_H
#define MODEL_SHOW_TABLES_H

/* clang-format off */
#define SHOW_TABLES(S)	/* id, keyword, owner, text */						\
	S(STATUS,     "status",     SUPERVISOR, "processes, their measurements, restarts")	\
	S(INTERFACES, "interfaces", DATAPLANE,  "links with zone, addresses, counters")		\
	S(ROUTES,     "routes",     DATAPLANE,  "routes and neighbours as mirrored")		\
	S(UPLINKS,    "uplinks",    DATAPLANE,  "uplinks whose health is checked, and their targets")	\
	S(POLICY,     "policy",     DATAPLANE,  "rules in order with hit counts")		\
	S(SESSIONS,   "sessions",   DATAPLANE,  "the session table")				\
	S(SESSIONS_SUMMARY, "sessions summary", DATAPLANE, "sessions counted by protocol, state and zones")	\
	S(TALKERS,    "talkers",    DATAPLANE,  "sources, destinations or pairs with most octets, packets or sessions")	\
	S(NAT,        "nat",        DATAPLANE,  "NAT rules and their bindings")		\
	S(NAT_BLOCKS, "nat blocks", DATAPLANE,  "blocks of ports by inside host: who has an address and port")	\
	S(SCREENS,    "screens",    DATAPLANE,  "what the screens of each zone have recognised")	\
	S(SERVERS,    "servers",    SUPERVISOR, "servers of destination NAT whose health is checked")	\
	S(IKE,        "ike",        IKE,        "IKE SAs and configured peers that are down")	\
	S(IKE_COUNTERS, "ike counters", IKE,    "what was demanded of those who begin IKE SAs: cookies, puzzles")	\
	S(IPSEC,      "ipsec",      DATAPLANE,  "child SAs with counters; with a rekey they begin again")			\
	S(TUNNELS,    "tunnels",    DATAPLANE,  "tunnels with counters over all their SAs, those that are gone among them")	\
	S(WORKERS,    "workers",    DATAPLANE,  "workers of the data plane: packets, sessions, processor time, queues")	\
	S(COUNTERS,   "counters",   DATAPLANE,  "drops by reason and pipeline counters")	\
	S(LEDGER,     "ledger",     LEDGER,     "size, root, directory, witnesses")			\
	S(RESOLVER,   "resolver",   RESOLVER,   "address objects that change without a commit: state, age, and what failed")	\
	S(ADDRESS,    "address",    RESOLVER,   "their addresses; with NAME those of one object")	\
	S(EXPORT,     "export",     EXPORT,     "the session log, and where else records go: queues and losses")	\
	S(KEYS,       "keys",       KEEPER,     "names of keys held, never their values")			\
	S(PKI,        "pki",        CERTIFIER_OPENSSL, "certificates of authorities, their CRLs, our own certificates: until when")	\
	S(SSH,        "system ssh", SSH,        "the gateway's own sshd: host key, administrators, attempts that failed")	\
	S(USERS,      "system users", CONTROL,  "administrators who are logged in by ssh: since when, from where, by which key")	\
	S(LINKS,      "links",      SUPERVISOR, "what the kernel and the driver count of the zones' links: errors, drops")		\
	S(COMMITS,    "system commit", CONTROL,   "the running configuration and those before it: when, who, why, and the ledger's entry")	\
	S(ADMINISTRATORS, "system administrators", CONTROL, "administrators with role, keys and account, and which of them asks")	\
	S(PROPOSALS,  "system commit proposals", CONTROL, "commits that wait for signatures, and who has signed them")
/* clang-format on */

#endif
