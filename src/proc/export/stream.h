/*
 * One collector: a bounded queue of records, and a connection that the supervisor opens, begun again with growing pauses. A
 * message is sent as a whole or again as a whole on the next connection; what the kernel had taken when a connection broke is
 * lost and nobody can know, because syslog has no answers. What the collector says is read and thrown away. Callers:
 * streams.c. One thread.
 */
#ifndef PROC_EXPORT_STREAM_H
#define PROC_EXPORT_STREAM_H

#include "export/ipfix.h"
#include "export/journal.h"
#include "export/syslog.h"
#include "ipc/loop.h"
#include "crypto/trust.h"

#define STREAM_QUEUE_MAX	 4096 /* records, some 3 MB */
#define STREAM_CONNECT_NS	 (10 * NS_PER_S)
#define STREAM_PAUSE_MIN_NS	 NS_PER_S
#define STREAM_PAUSE_MAX_NS	 (60 * NS_PER_S)
/* Of UDP and the journal, where one datagram asks whether somebody listens again, and costs him nothing. */
#define STREAM_PAUSE_DATAGRAM_NS (4 * NS_PER_S)
#define STREAM_TEMPLATES_EVERY	 64 /* records over UDP, where one may be lost (RFC 7011 section 8.4) */
#define STREAM_EACH_ROUND	 64 /* messages, before other files are looked at */
/* A connection that stood so long begins the pauses again: whoever accepts and ends at once is asked less and less. */
#define STREAM_STEADY_NS	 (10 * NS_PER_S)
#define STREAM_STALLED_NS                                                                                    \
	(10 * NS_PER_S) /* without an octet that the collector took, while something waits */

enum stream_state {
	STREAM_OFF,
	STREAM_PAUSED, /* until the timer begins the next connection */
	STREAM_ASKED,  /* the supervisor, for a connection */
	STREAM_HELLO,  /* it is under way, and TLS on it */
	STREAM_OPEN,
};

struct stream {
	struct loop *loop;
	bool (*connect)(struct stream *s); /* asks the supervisor for a connection */
	void *context;
	enum stream_state state;
	struct snap_log_stream config;
	uint32_t index; /* in the configuration, by which the supervisor knows it */
	char host_name[NAME_MAX_BYTES];
	uint64_t awaited; /* tag of what the supervisor was asked */
	SSL_CTX *trust;	  /* of TLS; NULL: none yet */
	unsigned authorities;
	SSL *ssl;
	struct watch conn; /* fd -1: none */
	struct timer timer;
	mono_ns pause, opened_at, moved_at; /* moved: when octets left, or began to wait */
	struct session_record *queue;	    /* STREAM_QUEUE_MAX */
	uint32_t head, queued;
	uint64_t sent, lost, unsaid;
	bool full_said;			 /* in the log, since it was empty */
	char message[JOURNAL_ENTRY_MAX]; /* the largest of the formats */
	size_t message_n, message_at;
	bool templates;	   /* the message is no record, but IPFIX's templates */
	uint32_t sequence; /* of IPFIX: records in this connection */
	uint32_t since_templates;
	utc_us (*clock)(void); /* clock_utc(); tests have another */
	char why[160];
};

void stream_init(struct stream *s, struct loop *l, bool (*connect)(struct stream *s), void *context);
/* Of a new configuration. What is queued stays, and a connection too where nothing has changed. False: out of memory. */
bool stream_begin(
	struct stream *s, const struct snap_log_stream *config, uint32_t index, const char *host_name);
/* PEM of the authorities; connections that stand are kept. */
enum rc stream_trust(struct stream *s, const char *pem, size_t n, struct err *e);
/* What waits is lost. */
void stream_end(struct stream *s);
void stream_put(struct stream *s, const struct session_record *r);
/* The supervisor's answers; takes fd over. */
void stream_connected(struct stream *s, int fd);
void stream_refused(struct stream *s, const char *why);
const char *stream_state_text(const struct stream *s);
/* How long the collector has taken nothing of what waits; 0: it does. */
mono_ns stream_stalled(const struct stream *s);

#endif
