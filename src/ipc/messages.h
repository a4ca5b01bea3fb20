/*
 * What processes (base/procs.h) may say to each other: one table. It makes the enum, the admission rules that both ends check, and one
 * typed sender per message, so that a wrong body does not compile. docs/architecture.md draws the processes it connects.
 *
 * The sender's identity is the socket's, never the message's. Bodies hold no pointers and no padding. Frames are
 * SOCK_SEQPACKET datagrams: struct ipc_head, then the body; files travel beside it.
 */
#ifndef IPC_MESSAGES_H
#define IPC_MESSAGES_H

#include "base/procs.h"
#include "model/certify_api.h"
#include "model/host_access.h"
#include "model/keeper_api.h"
#include "model/packet_filter.h"
#include "model/peer_name.h"
#include "model/sa.h"
#include "model/session_filter.h"
#include "model/session_record.h"
#include "model/show_tables.h"
#include "model/snapshot.h"

#define FROM(p)		  (1u << PROC_##p)
#define FROM_CERTIFIERS	  (FROM(CERTIFIER_OPENSSL) | FROM(CERTIFIER_GNUTLS))
#define FROM_ALL_SERVICES (((1u << PROC_COUNT) - 1) & ~(FROM(SUPERVISOR) | FROM(CLI)))

/* clang-format off */
#define IPC_MESSAGES(M)	/* id, senders, receivers, body, files */									\
	/* life: the supervisor starts processes and hands out what they may hold */								\
	M(LINK,            FROM(SUPERVISOR), FROM_ALL_SERVICES, struct msg_link, 1)	/* a socket to another process */	\
	M(RESOURCE,        FROM(SUPERVISOR), FROM_ALL_SERVICES, struct msg_resource, 1)	/* a file, device or socket */		\
	M(RESOURCE_GONE,   FROM(SUPERVISOR), FROM_ALL_SERVICES, struct msg_resource, 0)						\
	M(START,           FROM(SUPERVISOR), FROM_ALL_SERVICES, struct msg_start, 0)	/* all is handed over */		\
	M(READY,           FROM_ALL_SERVICES, FROM(SUPERVISOR), struct msg_ready, 0)							\
	M(PROGRESS,        FROM_ALL_SERVICES, FROM(SUPERVISOR), struct msg_progress, 0)	/* not ready yet, and at work */	\
	M(STOP,            FROM(SUPERVISOR), FROM_ALL_SERVICES, struct msg_empty, 0)	/* end in order */			\
	/* configuration: control gives every process the same snapshot, after the ledger's receipt */						\
	M(SNAPSHOT,        FROM(CONTROL), FROM(SUPERVISOR) | FROM(KEEPER) | FROM(IKE) | FROM(DATAPLANE) | FROM_CERTIFIERS, struct msg_snapshot, 1) \
	M(SNAPSHOT_TAKEN,  FROM(SUPERVISOR) | FROM(KEEPER) | FROM(IKE) | FROM(DATAPLANE) | FROM_CERTIFIERS, FROM(CONTROL), struct msg_result, 0)	\
	/* who may log in by ssh, and where it listens: struct ssh_setup (ssh/setup.h) in a sealed file */						\
	M(SSH_SETUP,       FROM(CONTROL), FROM(SSH), struct msg_snapshot, 1)									\
	M(SSH_TAKEN,       FROM(SSH), FROM(CONTROL), struct msg_result, 0)									\
	/* ledger: an entry in, a receipt out; nothing privileged before it */									\
	M(LEDGER_APPEND,   FROM(SUPERVISOR) | FROM(KEEPER) | FROM(IKE) | FROM(DATAPLANE) | FROM(CONTROL) | FROM(ENTROPY) | FROM(EXPORT) | FROM(RESOLVER) | FROM(SSH), FROM(LEDGER), struct msg_ledger_append, 0) \
	M(LEDGER_RECEIPT,  FROM(LEDGER), FROM(SUPERVISOR) | FROM(KEEPER) | FROM(IKE) | FROM(DATAPLANE) | FROM(CONTROL) | FROM(ENTROPY) | FROM(EXPORT) | FROM(RESOLVER) | FROM(SSH), struct msg_ledger_receipt, 0) \
	/* who has cosigned what covers an entry: the keeper makes a challenge of it */								\
	M(COSIGNED_ASK,    FROM(KEEPER), FROM(LEDGER), struct msg_cosigned_ask, 0)							\
	M(COSIGNED,        FROM(LEDGER), FROM(KEEPER), struct msg_cosigned, 0)	/* the quorum, or who had when the time was over */	\
	/* gateways that witness each other: what their ledgers say, carried by IKE (ike/ike.h, enum ike_peer_message) */				\
	M(PEER_MESSAGE,       FROM(LEDGER) | FROM(IKE), FROM(LEDGER) | FROM(IKE), struct msg_peer_message, 0)					\
	M(PEER_MESSAGE_TAKEN, FROM(IKE), FROM(LEDGER), struct msg_result, 0)								\
	/* the ledger's witnesses: the supervisor says who they are and opens connections to them and to no other host */			\
	M(WITNESSES,       FROM(SUPERVISOR), FROM(LEDGER) | FROM(COURIER), struct snap_evidence, 0)					\
	M(WITNESS_CONNECT, FROM(LEDGER) | FROM(COURIER), FROM(SUPERVISOR), struct endpoint, 0)						\
	M(WITNESS_SOCKET,  FROM(SUPERVISOR), FROM(LEDGER) | FROM(COURIER), struct endpoint, 1)	/* its connection is under way */	\
	M(WITNESS_REFUSED, FROM(SUPERVISOR), FROM(LEDGER) | FROM(COURIER), struct msg_result, 0)					\
	/* those with a URL: the courier knows names and TLS, and the ledger does not */							\
	M(WITNESS_ASK,     FROM(LEDGER), FROM(COURIER), struct msg_witness_ask, 0)							\
	M(WITNESS_ANSWER,  FROM(COURIER), FROM(LEDGER), struct msg_witness_answer, 0)							\
	M(NAMES_ASK,       FROM(COURIER) | FROM(RESOLVER), FROM(SUPERVISOR), struct msg_empty, 0)	/* sockets to the name servers */	\
	M(NAMES_SOCKET,    FROM(SUPERVISOR), FROM(COURIER) | FROM(RESOLVER), struct endpoint, 1)	/* one, connected */			\
	M(NAMES_END,       FROM(SUPERVISOR), FROM(COURIER) | FROM(RESOLVER), struct msg_result, 0)	/* there are no more */			\
	/* feeds: the supervisor opens the file, or connects, of a feed of the configuration and of nothing else */					\
	M(FEED_OPEN,       FROM(RESOLVER), FROM(SUPERVISOR), struct msg_feed, 0)								\
	M(FEED_FILE,       FROM(SUPERVISOR), FROM(RESOLVER), struct msg_feed, 1)								\
	M(FEED_CONNECT,    FROM(RESOLVER), FROM(SUPERVISOR), struct msg_feed, 0)	/* of one with a URL: FEED_FILE has the authorities */	\
	M(FEED_SOCKET,     FROM(SUPERVISOR), FROM(RESOLVER), struct msg_feed, 1)	/* its connection is under way */				\
	M(FEED_REFUSED,    FROM(SUPERVISOR), FROM(RESOLVER), struct msg_result, 0)							\
	/* CRLs that are fetched: only certifiers read them. Both say whether NAME.crl.new may become NAME.crl, in a directory of the resolver's */		\
	M(CRL_OFFER,       FROM(RESOLVER), FROM_CERTIFIERS, struct msg_crl, 0)									\
	M(CRL_JUDGED,      FROM_CERTIFIERS, FROM(RESOLVER), struct msg_result, 0)								\
	M(CRL_STATE,       FROM(RESOLVER), FROM(CERTIFIER_OPENSSL), struct msg_crl, 0)	/* for `show pki` */					\
	/* OCSP: a certifier asks the responder of an authority through the resolver, which reads no more than HTTP; the tag returns */			\
	M(OCSP_ASK,        FROM_CERTIFIERS, FROM(RESOLVER), struct msg_ocsp_ask, 0)								\
	M(OCSP_ANSWER,     FROM(RESOLVER), FROM_CERTIFIERS, struct msg_ocsp_answer, 0)								\
	/* addresses that change without a commit: control says of what, in memory that both share (model/dynamic.h), and has the last word */	\
	M(DYNAMICS,        FROM(CONTROL), FROM(RESOLVER), struct msg_dynamics, 1)								\
	M(DYNAMICS_FOUND,  FROM(RESOLVER), FROM(CONTROL), struct msg_dynamics_found, 0)	/* control reads, the resolver does not write */	\
	M(DYNAMICS_TAKEN,  FROM(CONTROL), FROM(RESOLVER), struct msg_result, 0)	/* it may write again */					\
	/* IKE peers by name: what the resolver has found, when it is another answer and when ike asks (model/peer_name.h) */				\
	M(PEER_NAME_ASK,   FROM(IKE), FROM(RESOLVER), struct peer_name_ask, 0)									\
	M(PEER_NAME,       FROM(RESOLVER), FROM(IKE), struct peer_name_told, 0)									\
	/* keys by name: ike asks, the keeper answers (model/keeper_api.h) */									\
	M(EXCHANGE_BEGIN,    FROM(IKE), FROM(KEEPER), struct keeper_exchange_begin, 0)							\
	M(EXCHANGE_BEGUN,    FROM(KEEPER), FROM(IKE), struct keeper_exchange_begun, 0)							\
	M(EXCHANGE_FINISH,   FROM(IKE), FROM(KEEPER), struct keeper_exchange_finish, 0)							\
	M(EXCHANGE_FINISHED, FROM(KEEPER), FROM(IKE), struct keeper_exchange_finished, 0)						\
	M(EXCHANGE_ANSWER,   FROM(IKE), FROM(KEEPER), struct keeper_exchange_answer, 0)							\
	M(EXCHANGE_ANSWERED, FROM(KEEPER), FROM(IKE), struct keeper_exchange_answered, 0)						\
	M(ADDITIONAL_BEGIN,    FROM(IKE), FROM(KEEPER), struct keeper_additional_begin, 0)						\
	M(ADDITIONAL_BEGUN,    FROM(KEEPER), FROM(IKE), struct keeper_additional_begun, 0)						\
	M(ADDITIONAL_FINISH,   FROM(IKE), FROM(KEEPER), struct keeper_additional_finish, 0)						\
	M(ADDITIONAL_FINISHED, FROM(KEEPER), FROM(IKE), struct keeper_additional_finished, 0)					\
	M(AUTH_SIGN,         FROM(IKE), FROM(KEEPER), struct keeper_auth_sign, 0)							\
	M(AUTH_SIGNED,       FROM(KEEPER), FROM(IKE), struct keeper_auth_signed, 0)							\
	M(AUTH_VERIFY,       FROM(IKE), FROM(KEEPER), struct keeper_auth_verify, 0)							\
	M(AUTH_VERIFIED,     FROM(KEEPER), FROM(IKE), struct keeper_auth_verified, 0)							\
	M(CHILD_BEGIN,       FROM(IKE), FROM(KEEPER), struct keeper_child_begin, 0)							\
	M(CHILD_BEGUN,       FROM(KEEPER), FROM(IKE), struct keeper_child_begun, 0)							\
	M(CHILD_ADDITIONAL_BEGIN,    FROM(IKE), FROM(KEEPER), struct keeper_child_additional_begin, 0)					\
	M(CHILD_ADDITIONAL_BEGUN,    FROM(KEEPER), FROM(IKE), struct keeper_additional_begun, 0)					\
	M(CHILD_ADDITIONAL_FINISH,   FROM(IKE), FROM(KEEPER), struct keeper_child_additional_finish, 0)				\
	M(CHILD_ADDITIONAL_FINISHED, FROM(KEEPER), FROM(IKE), struct keeper_child_additional_finished, 0)				\
	M(CHILD_INSTALL,     FROM(IKE), FROM(KEEPER), struct keeper_child_install, 0)							\
	M(CHILD_INSTALLED,   FROM(KEEPER), FROM(IKE), struct keeper_child_installed, 0)							\
	M(CHILD_REMOVE,      FROM(IKE), FROM(KEEPER), struct keeper_child_remove, 0)							\
	M(CHILD_REMOVED,     FROM(KEEPER), FROM(IKE), struct keeper_child_removed, 0)							\
	M(DROP,              FROM(IKE), FROM(KEEPER), struct keeper_drop, 0)								\
	M(DROPPED,           FROM(KEEPER), FROM(IKE), struct keeper_dropped, 0)								\
	M(IKE_SA_ENDED,      FROM(KEEPER), FROM(IKE), struct keeper_ended, 0)	/* its peer's key was replaced */			\
	/* certificates of peers: ike asks both certifiers the same, and each tells the keeper (model/certify_api.h) */				\
	M(CERTIFY_ASK,       FROM(IKE), FROM_CERTIFIERS, struct certify_ask, 0)								\
	M(CERTIFY_VERDICT,   FROM_CERTIFIERS, FROM(KEEPER), struct certify_told, 0)							\
	M(CERTIFY_REVOKED,   FROM_CERTIFIERS, FROM(KEEPER), struct certify_revoked, 0)	/* what it has accepted before */			\
	/* before a commit: whether each library can read what the configuration gives it; SNAPSHOT's body, of one that may never be in force */	\
	M(CERTIFY_CHECK,     FROM(CONTROL), FROM_CERTIFIERS, struct msg_snapshot, 1)							\
	M(CERTIFY_CHECKED,   FROM_CERTIFIERS, FROM(CONTROL), struct msg_result, 0)							\
	/* the second source of secrets: shares in advance, one a message */									\
	M(ENTROPY_ASK,      FROM(KEEPER), FROM(ENTROPY), struct msg_entropy_ask, 0)							\
	M(ENTROPY_SHARE,            FROM(ENTROPY), FROM(KEEPER), struct msg_entropy_share, 0)								\
	M(ENTROPY_END,      FROM(ENTROPY), FROM(KEEPER), struct msg_result, 0)	/* a health test failed: there are no more */	\
	/* SAs: keys go from the keeper straight to the data plane */										\
	M(SA_INSTALL,      FROM(KEEPER), FROM(DATAPLANE), struct sa_install, 0)								\
	M(SA_INSTALLED,    FROM(DATAPLANE), FROM(KEEPER), struct sa_result, 0)								\
	M(SA_REMOVE,       FROM(KEEPER), FROM(DATAPLANE), struct sa_ref, 0)								\
	M(SA_REMOVED,      FROM(DATAPLANE), FROM(KEEPER), struct sa_result, 0)								\
	M(SA_ACTIVATE,     FROM(IKE), FROM(DATAPLANE), struct sa_ref, 0)	/* send on it from now on */			\
	M(SA_ACTIVATED,    FROM(DATAPLANE), FROM(IKE), struct sa_ref, 0)	/* with the number of the SA_ACTIVATE */		\
	M(SA_ENDPOINT,     FROM(IKE), FROM(DATAPLANE), struct sa_endpoint, 0)								\
	M(SA_USAGE,        FROM(DATAPLANE), FROM(IKE), struct sa_usage, 0)								\
	M(SA_ACQUIRE,      FROM(DATAPLANE), FROM(IKE), struct sa_acquire, 0)	/* traffic that no SA of its tunnel takes */		\
	M(IKE_DATAGRAM,    FROM(DATAPLANE), FROM(IKE), struct msg_datagram, 0)	/* came to port 4500 with the non-ESP marker */	\
	M(IKE_DATAGRAM_SHORT, FROM(DATAPLANE), FROM(IKE), struct msg_datagram_short, 0)	/* the same, of one packet's size */		\
	M(SERVER,          FROM(SUPERVISOR), FROM(DATAPLANE), struct msg_server, 0)	/* of destination NAT: it answers, or not any more */	\
	M(UPLINK,          FROM(SUPERVISOR) | FROM(DATAPLANE), FROM(SUPERVISOR) | FROM(DATAPLANE), struct msg_uplink, 0)	/* is down or up; to a new data plane, that it was down */	\
	M(DETOUR,          FROM(DATAPLANE), FROM(SUPERVISOR), struct msg_detour, 0)	/* where the host's own default route goes while an uplink is down */	\
	M(CARRIER,         FROM(DATAPLANE), FROM(SUPERVISOR), struct msg_carrier, 0)	/* of a tunnel's interface: up, down, or not used any more */	\
	M(NEIGHBOUR,       FROM(DATAPLANE), FROM(SUPERVISOR), struct msg_neighbour, 0)	/* ask the kernel to resolve or confirm it */	\
	/* what the firewall did, for those outside: bounded in the data plane, and counted where there is no room */				\
	M(SESSION_RECORD,  FROM(DATAPLANE), FROM(EXPORT), struct msg_session_record, 0)							\
	/* collectors: the supervisor says which there are and opens connections to them and to nobody else */					\
	M(LOG_STREAMS,     FROM(SUPERVISOR), FROM(EXPORT), struct msg_log_streams, 0)								\
	M(STREAM_CONNECT,  FROM(EXPORT), FROM(SUPERVISOR), struct msg_stream, 0)								\
	M(STREAM_SOCKET,   FROM(SUPERVISOR), FROM(EXPORT), struct msg_stream, 1)	/* its connection is under way */				\
	M(STREAM_REFUSED,  FROM(SUPERVISOR), FROM(EXPORT), struct msg_result, 0)								\
	/* questions: control asks the owner of a table; rows come back as JSON objects, one a message */					\
	M(SHOW,            FROM(CONTROL), FROM(SUPERVISOR) | FROM(KEEPER) | FROM(IKE) | FROM(DATAPLANE) | FROM(LEDGER) | FROM(EXPORT) | FROM(RESOLVER) | FROM(CERTIFIER_OPENSSL) | FROM(SSH), struct msg_show, 0) \
	M(SHOW_ROW,        FROM(SUPERVISOR) | FROM(KEEPER) | FROM(IKE) | FROM(DATAPLANE) | FROM(LEDGER) | FROM(EXPORT) | FROM(RESOLVER) | FROM(CERTIFIER_OPENSSL) | FROM(SSH), FROM(CONTROL), struct msg_row, 0) \
	M(SHOW_END,        FROM(SUPERVISOR) | FROM(KEEPER) | FROM(IKE) | FROM(DATAPLANE) | FROM(LEDGER) | FROM(EXPORT) | FROM(RESOLVER) | FROM(CERTIFIER_OPENSSL) | FROM(SSH), FROM(CONTROL), struct msg_result, 0) \
	/* export serves measurements: it asks control for pieces of these tables, METRICS_TABLES, and of no others */				\
	M(METRICS,         FROM(SUPERVISOR), FROM(EXPORT), struct snap_metrics, 0)								\
	M(METRICS_ASK,     FROM(EXPORT), FROM(CONTROL), struct msg_show, 0)	/* its table, limit and from */				\
	M(METRICS_ROW,     FROM(CONTROL), FROM(EXPORT), struct msg_row, 0)									\
	M(METRICS_END,     FROM(CONTROL), FROM(EXPORT), struct msg_result, 0)								\
	M(CLEAR_SESSIONS,  FROM(CONTROL), FROM(DATAPLANE), struct session_filter, 0)								\
	M(CLEAR_HIT_COUNT, FROM(CONTROL), FROM(DATAPLANE), struct msg_empty, 0)								\
	M(CLEARED,         FROM(DATAPLANE), FROM(CONTROL), struct msg_result, 0)								\
	M(IKE_COMMAND,     FROM(CONTROL), FROM(IKE), struct msg_ike_command, 0)	/* initiate, rekey, terminate */		\
	M(IKE_COMMANDED,   FROM(IKE), FROM(CONTROL), struct msg_result, 0)								\
	M(TRACE,           FROM(CONTROL), FROM(DATAPLANE), struct packet_filters, 0) /* count 0 in it: stop */				\
	M(CAPTURE,         FROM(CONTROL), FROM(DATAPLANE), struct msg_capture, 1)	/* the memory: ipc/capture_ring.h */	\
	M(CAPTURE_END,     FROM(CONTROL), FROM(DATAPLANE), struct msg_empty, 0)								\
	M(CAPTURE_ENDED,   FROM(DATAPLANE), FROM(CONTROL), struct msg_result, 0)	/* it could not begin */			\
	M(TRACE_LINE,      FROM(DATAPLANE), FROM(CONTROL), struct msg_row, 0)								\
	/* the administrator's program */													\
	M(CLI_REQUEST,     FROM(CLI), FROM(CONTROL), struct msg_cli_request, 0)								\
	M(CLI_MEMORY,      FROM(CONTROL), FROM(CLI), struct msg_memory, 1)	/* to be filled, or with what was asked for */	\
	M(CLI_FILLED,      FROM(CLI), FROM(CONTROL), struct msg_empty, 0)	/* it is; nobody takes a file from the program */	\
	M(CLI_ROW,         FROM(CONTROL), FROM(CLI), struct msg_row, 0)									\
	M(CLI_END,         FROM(CONTROL), FROM(CLI), struct msg_result, 0)
/* clang-format on */

enum ipc_id {
#define E(id, from, to, body, files) IPC_##id,
	IPC_MESSAGES(E) IPC_ID_COUNT
#undef E
};

struct msg_empty {
	uint64_t zero;
};

struct msg_link {
	uint32_t peer; /* enum proc at the other end; replaces an older link to it */
	uint32_t run;  /* starts of it before this one, in this boot: the ledger holds its entries to that */
};

/* clang-format off */
#define RESOURCES(R)	/* id, holder, text */										\
	R(IKE_SOCKET,     IKE,       "UDP port 500; index 4 or 6 is the family")					\
	R(NAT_SOCKET,     IKE,       "UDP port 4500, to send only; index 4 or 6")					\
	R(CRASH_KEY,      IKE,       "the secret of crash tokens (RFC 6290)")						\
	R(ESP_UDP_SOCKET, DATAPLANE, "UDP port 4500 with UDP_GRO; index 4 or 6")					\
	R(ESP_SOCKET,     DATAPLANE, "raw socket, protocol 50; index 4 or 6")						\
	R(INTERFACE,      DATAPLANE, "AF_PACKET socket of a zone's interface; index is the kernel's")			\
	R(TUN,            DATAPLANE, "the host's TUN device with virtio headers")					\
	R(TUNNEL_DEVICE,  DATAPLANE, "TUN device of a tunnel with an interface; index is the kernel's")		\
	R(ROUTES,         DATAPLANE, "rtnetlink socket, read only, joined to link, address, route, neighbour groups")	\
	R(STATE,          DATAPLANE, "memory of SAs and sessions that outlives the process")				\
	R(CARRY,          DATAPLANE, "maps and tap of sessions that the kernel carries; index is enum carry_part")		\
	R(LEDGER_DIR,     LEDGER,    "the ledger's directory")								\
	R(LEDGER_KEY,     LEDGER,    "the ledger's private key file")							\
	R(KEY_DIR,        KEEPER,    "the directory of private and pre-shared keys")					\
	R(KNOWN_ANSWERS,  KEEPER,    "known answers of its functions, sealed; the ledger has their SHA-256")		\
	R(CONFIG_DIR,     CONTROL,   "the directory of the running configuration and its history")			\
	R(CLI_SOCKET,     CONTROL,   "the listening socket of the command line")					\
	R(CERTIFICATE_DIR, CONTROL,  "the directory of certificates, which the administrator keeps")			\
	R(FEED_DIR,       RESOLVER,  "the directory of the last good feeds")						\
	R(FETCHED_CRL_DIR, RESOLVER, "the directory of the last good CRLs that were fetched")				\
	R(LOG_DIR,        EXPORT,    "the directory of the session log")						\
	R(METRICS_SOCKET, EXPORT,    "listening TCP socket at which measurements are served")				\
	R(STREAM_AUTHORITIES, EXPORT, "certificates of the authorities of a TLS collector, in PEM; index is the stream")	\
	R(CRL_DIR_OPENSSL, CERTIFIER_OPENSSL, "the directory of certificates and CRLs")					\
	R(CRL_DIR_GNUTLS, CERTIFIER_GNUTLS, "the directory of certificates and CRLs")					\
	R(FETCHED_CRL_DIR_OPENSSL, CERTIFIER_OPENSSL, "the directory of the last good CRLs that were fetched, read only")	\
	R(FETCHED_CRL_DIR_GNUTLS, CERTIFIER_GNUTLS, "the directory of the last good CRLs that were fetched, read only")	\
	R(SHELL_PROGRAM,  SSH,       "the administrator's program, sealed; the ledger has its SHA-256")			\
	R(AUTHORITIES,    COURIER,   "certificates of the authorities that the system trusts, in PEM")
/* clang-format on */

enum resource {
#define E(id, holder, text) RESOURCE_##id,
	RESOURCES(E) RESOURCE_COUNT
#undef E
};

struct msg_resource {
	uint32_t kind; /* enum resource */
	uint32_t index;
	uint32_t worker; /* of an interface: which of the data plane's reads this socket */
	uint32_t zero;
	char name[NAME_MAX_BYTES];
	uint8_t mac[6]; /* of an interface */
	uint16_t mtu;
};

struct msg_start {
	uint8_t boot_id[16];  /* of this start of the supervisor */
	uint64_t restarts;    /* of this process since then */
	char state_path[256]; /* where the ledger's directory is, for people and `show ledger` */
};

struct msg_ready {
	uint32_t pid, zero;
};

struct msg_progress {
	uint64_t done, all;
};

/* In a tag beside the generation: no commit, but addresses that have changed. */
#define SNAPSHOT_ADDRESSES (1ull << 63)

struct msg_snapshot {
	uint64_t generation, bytes;
};

struct msg_feed {
	char name[NAME_MAX_BYTES];
	struct endpoint to; /* FEED_CONNECT */
	uint32_t
		kind; /* DYNAMIC_FEED, _CRL, _OCSP (FEED_CONNECT alone) or _COUNTRY: of the latter the file of the database */
};

#define MSG_CRL_WHY_BYTES 160

struct msg_crl {
	char name[NAME_MAX_BYTES];   /* of the authority */
	char why[MSG_CRL_WHY_BYTES]; /* CRL_STATE: why it was not read since; empty: it was */
};

struct msg_ocsp_ask {
	char name[NAME_MAX_BYTES]; /* of the authority */
	uint32_t n, zero;
	uint8_t request[OCSP_REQUEST_MAX];
};

struct msg_ocsp_answer {
	char why[MSG_CRL_WHY_BYTES]; /* n 0: why there is none */
	uint32_t n, zero;
	uint8_t octets[OCSP_ANSWER_MAX];
};

struct msg_dynamics {
	uint32_t count; /* of the records that stand in the memory */
	uint32_t zero;
};

struct msg_dynamics_found {
	uint32_t count; /* for so many records: those of the memory that it was written to */
	uint32_t zero;
};

/* So many shares more than those that were asked for before. */
struct msg_entropy_ask {
	uint32_t count, zero;
};

#define SHARE_BYTES 32

struct msg_entropy_share {
	uint8_t share[SHARE_BYTES];
};

struct msg_result {
	uint32_t rc; /* enum rc */
	uint32_t count;
	uint64_t next; /* SHOW_END: where the next piece of the table begins; 0: this was the last */
	char text[ERR_TEXT_MAX];
};

#define LEDGER_BODY_MAX 3072

/* The tag of the frame returns with the receipt. body: canonical JSON object of the type's own fields. */
struct msg_ledger_append {
	uint64_t n;    /* counter of this source since its start, from 1, without gaps */
	uint16_t type; /* enum ledger_type */
	uint16_t body_n;
	uint32_t run; /* starts of this source before this one, in this boot */
	char body[LEDGER_BODY_MAX];
};

struct msg_ledger_receipt {
	uint32_t rc; /* RC_OK: durable. Else the act must not happen */
	uint32_t zero;
	uint64_t index, size;
	uint8_t leaf_hash[32];
	char text[256]; /* who has not cosigned, and why, is the longest */
};

struct msg_cosigned_ask {
	uint64_t index; /* of the entry; the tag of the frame returns with the answer */
};

#define COSIGNED_TEXT_MAX 768 /* as ATTEST_TEXT_MAX */

struct msg_cosigned {
	uint32_t n, zero;
	char text[COSIGNED_TEXT_MAX]; /* an attestation (merkle/attest.h), or nothing */
};

#define WITNESS_QUESTION_MAX 8192 /* a note and the hashes of a proof have less than 6,000 octets */
#define WITNESS_ANSWER_MAX   8192 /* a witness's note or its signature lines have less than 2,000 */
#define WITNESS_AT_MAX	     96	  /* the path after the URL's, with its terminator */
#define WITNESS_WHY_MAX	     160

/* The tag of the frame returns with the answer. A question to a witness that is asked already takes the place of
 * the one before, which gets no answer. */
struct msg_witness_ask {
	char witness[NAME_MAX_BYTES];
	char at[WITNESS_AT_MAX];
	uint32_t post; /* 0: GET, and there is no body */
	uint32_t body_n;
	uint8_t body[WITNESS_QUESTION_MAX];
};

struct msg_witness_answer {
	uint32_t status;	/* of HTTP; 0: there is no answer, and why says what happened */
	uint32_t retry_after_s; /* 0: not said */
	uint32_t body_n, zero;
	char why[WITNESS_WHY_MAX];
	uint8_t body[WITNESS_ANSWER_MAX];
};

#define DATAGRAM_MAX 8192

struct msg_datagram {
	struct endpoint local, remote;
	uint32_t n, zero;
	uint8_t bytes[DATAGRAM_MAX]; /* after the non-ESP marker */
};

#define DATAGRAM_SHORT_MAX 1480

struct msg_datagram_short {
	struct endpoint local, remote;
	uint32_t n, zero;
	uint8_t bytes[DATAGRAM_SHORT_MAX];
};

struct msg_server {
	struct endpoint at;
	uint32_t up; /* 0 or 1; a server that was never named is up */
	uint32_t zero;
};

#define UPLINK_WHY_BYTES 128

struct msg_uplink {
	char name[NAME_MAX_BYTES];
	uint32_t up; /* 0 or 1 */
	char why[UPLINK_WHY_BYTES];
};

enum carrier {
	CARRIER_DOWN,
	CARRIER_UP,
	CARRIER_UNUSED, /* no tunnel of the configuration that the data plane decides by has this interface */
	CARRIER_COUNT
};

struct msg_carrier {
	uint32_t link;	     /* the kernel's index of the tunnel's interface */
	uint32_t carrier;    /* enum carrier */
	uint64_t generation; /* of the configuration that the data plane decides by */
};

struct msg_detour {
	uint32_t family;	/* ADDR_V4 or ADDR_V6 */
	uint32_t link;		/* the kernel's index; 0: none, it goes as the kernel has it */
	struct ip_addr gateway; /* ADDR_NONE: of a link without link addresses */
};

struct msg_session_record {
	uint64_t lost; /* records before this one for which there was no room, or nobody to take them */
	struct session_record record;
};

struct msg_log_streams {
	char host_name[NAME_MAX_BYTES];
	struct snap_log log;
};

struct msg_stream {
	uint32_t stream, zero; /* its place in LOG_STREAMS */
};

struct msg_neighbour {
	uint32_t interface; /* the kernel's index */
	struct ip_addr addr;
	uint32_t zero;
};

enum show_table {
#define E(id, word, owner, text) SHOW_##id,
	SHOW_TABLES(E) SHOW_COUNT,
#undef E
	SHOW_TEST_POLICY = SHOW_COUNT /* of the data plane, and no table: one row answers `test policy` */
};

/* Neither sessions nor hosts: a reader of measurements has no use for them, and export none either. */
#define METRICS_TABLES                                                                                       \
	(1u << SHOW_STATUS | 1u << SHOW_INTERFACES | 1u << SHOW_UPLINKS | 1u << SHOW_POLICY |                \
		1u << SHOW_NAT | 1u << SHOW_SCREENS | 1u << SHOW_SERVERS | 1u << SHOW_IKE |                  \
		1u << SHOW_TUNNELS | 1u << SHOW_COUNTERS | 1u << SHOW_LEDGER | 1u << SHOW_EXPORT |           \
		1u << SHOW_KEYS | 1u << SHOW_WORKERS | 1u << SHOW_LINKS)

struct msg_show {
	uint32_t table;	    /* enum show_table */
	uint32_t limit;	    /* rows at the most, 0: all */
	uint64_t from;	    /* 0: from the table's beginning; else what SHOW_END said (ipc/rows.h) */
	uint32_t by, order; /* TALKERS: enum talker_by, enum talker_order */
	uint32_t icmp_type, icmp_code; /* TEST_POLICY; type 0: an echo request */
	struct session_filter
		filter; /* SESSIONS, SESSIONS_SUMMARY, TALKERS; TEST_POLICY: the packet, and where it comes in */
};

struct msg_capture {
	struct packet_filters packets; /* its count is the program's to keep */
	uint32_t stages;	       /* bits of enum capture_stage */
	uint32_t zero;
};

#define ROW_MAX 3968

/* Whole JSON objects, a line feed between two of them and none after the last. */
struct msg_row {
	uint32_t n, zero;
	char json[ROW_MAX];
};

#define PEER_MESSAGE_MAX 4096

enum peer_message { PEER_MESSAGE_ASK, PEER_MESSAGE_ANSWER }; /* as enum ike_peer_message */

struct msg_peer_message {
	char peer[NAME_MAX_BYTES];
	uint16_t kind, n;
	uint32_t zero;
	uint8_t bytes[PEER_MESSAGE_MAX];
};

enum ike_command {
	IKE_INITIATE,
	IKE_REKEY_IKE,
	IKE_REKEY_CHILD,
	IKE_TERMINATE,
	IKE_REAUTHENTICATE,
	IKE_REDIRECT
};

struct msg_ike_command {
	uint32_t command, zero;
	char name[NAME_MAX_BYTES]; /* of a tunnel or peer */
	char gateway[256];	   /* of IKE_REDIRECT: an address or a name of DNS */
};

enum cli_command {
	CLI_SHOW,
	CLI_CHECK,
	CLI_COMMIT,
	CLI_CLEAR_SESSIONS,
	CLI_CLEAR_HIT_COUNT,
	CLI_TRACE,
	CLI_IKE,
	CLI_CONFIG,
	CLI_CONFIRM,
	CLI_CAPTURE,
	CLI_PROPOSAL, /* the text of a proposal, and its statement */
	CLI_SIGN,     /* a signature for one, in a file */
	CLI_WITHDRAW,
	CLI_LOGIN /* by ssh: the connection stays, and is the session; comment: by which key (admin/ssh_certificate.h) */
};

enum commit_flags {
	COMMIT_CLOSE_ALL = 1 << 0, /* a configuration that closes everything */
	COMMIT_CUT_OFF = 1 << 1,   /* one that does not admit `from` any more */
	COMMIT_BASE = 1 << 2,	   /* only over the text whose digest is `base` */
};

#define CONFIRM_MINUTES_MAX 1440

struct msg_memory {
	uint64_t bytes;
};

struct msg_cli_request {
	uint32_t command; /* enum cli_command */
	uint32_t ike_command;
	uint32_t flags;		  /* enum commit_flags */
	uint32_t confirm_minutes; /* of a commit; 0: it needs no confirmation */
	uint32_t
		rollback; /* of CLI_CONFIG: which text of the history, 0: the running one; else which proposal */
	struct host_connection from; /* a commit: on which the administrator sits, as the program says */
	struct msg_show show;
	struct packet_filters packets; /* of a trace or capture */
	uint32_t stages;	       /* of a capture */
	uint32_t zero_2;
	uint64_t bytes; /* of the text that it is about: a configuration, a signature */
	char name[NAME_MAX_BYTES];
	char comment[256]; /* of a commit; of IKE_REDIRECT: the gateway */
	uint8_t base[32];  /* with COMMIT_BASE: the SHA-256 of the text that this one was made from */
};

#endif
