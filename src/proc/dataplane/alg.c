/*
 * Joins the application layer gateways (src/alg) to the sessions of the firewall: the text of a session that passes
 * is read, and what it lets expect is told to the firewall. After fw_apply(), so only what fits the connection is
 * read; ports are those of the server itself.
 */
#include "alg/ftp.h"
#include "alg/tftp.h"
#include "proc/dataplane/limits.h"
#include "proc/dataplane/stages.h"
#include "wire/ip.h"

#include <assert.h>
#include <stdlib.h>

enum { FTP_PORT_NUMBER = 21, TFTP_PORT_NUMBER = 69 };

struct alg_state {
	/* of the session whose control channel it is; id 0: free */
	uint32_t session[ALG_FTP_MAX], id[ALG_FTP_MAX];
	struct ip_addr source[ALG_FTP_MAX];
	uint16_t zone[ALG_FTP_MAX]; /* that the client was in when it began */
	struct ftp ftp[ALG_FTP_MAX];
};

struct alg_state *alg_new(void)
{
	return calloc(1, sizeof(struct alg_state));
}

/* The state of the session with this number; NULL: its beginning was not seen, or there was no room. */
static struct ftp *ftp_find(struct alg_state *a, uint32_t session, uint32_t id)
{
	for (uint32_t i = 0; i < ALG_FTP_MAX; i++)
		if (a->session[i] == session && a->id[i] == id)
			return &a->ftp[i];
	return NULL;
}

/* All are in use: the oldest of the zone whose clients have most is not read any more. */
static uint32_t ftp_give_way(struct pipeline *p)
{
	struct alg_state *a = p->alg;
	uint32_t of_zone[ZONES_MAX + 1] = { 0 }, most = 0, victim = ALG_FTP_MAX;

	for (uint32_t i = 0; i < ALG_FTP_MAX; i++)
		if (++of_zone[a->zone[i]] > of_zone[most])
			most = a->zone[i];
	for (uint32_t i = 0; i < ALG_FTP_MAX; i++)
		if (a->zone[i] == most && (victim == ALG_FTP_MAX || (int32_t)(a->id[i] - a->id[victim]) < 0))
			victim = i;
	assert(victim < ALG_FTP_MAX);
	p->alg_full++;
	return victim;
}

/* A fresh one; a source has half of all. */
static struct ftp *ftp_new(struct pipeline *p, uint32_t session, const struct fw_session *s)
{
	struct alg_state *a = p->alg;
	struct ip_addr source = addr_source(fw_key_src(&s->key[0]));
	uint32_t free = ALG_FTP_MAX, of_source = 0;

	for (uint32_t i = 0; i < ALG_FTP_MAX; i++) {
		const struct fw_session *owner = a->id[i] ? fw_session(p->fw, a->session[i]) : NULL;
		if (!owner || owner->id != a->id[i] || a->session[i] == session) {
			a->id[i] = 0;
			free = i;
		} else {
			of_source += addr_equal(&a->source[i], &source);
		}
	}
	if (of_source >= ALG_FTP_MAX / 2) {
		p->alg_full++;
		return NULL;
	}
	if (free == ALG_FTP_MAX)
		free = ftp_give_way(p);
	a->session[free] = session;
	a->id[free] = s->id;
	a->source[free] = source;
	a->zone[free] = MIN_OF(s->zones.zone[0], (uint16_t)ZONES_MAX);
	memset(&a->ftp[free], 0, sizeof a->ftp[free]);
	return &a->ftp[free];
}

bool alg_opens(const struct pipeline *p, const struct train *t)
{
	if (!p->snapshot || !(p->snapshot->algs & ALG_FTP) || t->drop || t->session == TRAIN_NONE ||
		t->flags & (TRAIN_ICMP_ERROR | TRAIN_FRAGMENT | TRAIN_REPLY))
		return false;
	const struct fw_session *s = fw_session(p->fw, t->session);
	return s && s->tcp_state == FW_TCP_SYN_RECEIVED;
}

static void expected(struct pipeline *p, const struct train *t, const struct expectation *e)
{
	bool made = fw_expect(p->fw, t->session, e, p->now);

	if (train_is_traced(t)) {
		char src[ADDR_TEXT_MAX], dst[ENDPOINT_TEXT_MAX];
		struct endpoint to = { e->dst, e->dst_port, 0 };
		trace_say(p, t, "alg", "%s a session from %s to %s",
			made ? "lets expect" : "cannot let expect", addr_text(src, &e->src),
			endpoint_text(dst, &to));
	}
}

/*
 * opens: the client's segment that completes the handshake. Only then there is a state, because whoever has not seen the
 * server's answer cannot send it: SYNs of forged sources hold none.
 */
static enum drop_reason ftp_read(
	struct pipeline *p, const struct train *t, const struct fw_session *s, bool opens)
{
	uint32_t d = t->flags & TRAIN_REPLY ? 1 : 0, seq = load_be32(t->ip + t->l4_offset + 4);
	struct ftp *f = NULL;
	struct ip_addr ends[2] = { fw_key_src(&s->key[0]), fw_key_dst(&s->key[0]) };
	struct ftp_found found;

	if (t->tcp_flags & TCP_SYN)
		return DROP_NONE;
	if (!opens || s->tcp_state == FW_TCP_SYN_RECEIVED)
		f = ftp_find(p->alg, t->session, s->id);
	else if ((f = ftp_new(p, t->session, s))) {
		ftp_begin(f, 0, seq);
		ftp_begin(f, 1, load_be32(t->ip + t->l4_offset + 8));
	}
	if (!f)
		return DROP_NONE;
	switch (ftp_segment(
		f, ends, d, seq, t->ip + t->payload_offset, t->len - t->payload_offset, false, &found)) {
	case ALG_PASS:
		break;
	case ALG_EXPECT:
		expected(p, t, &found.expectation);
		break;
	case ALG_AGAIN:
		return DROP_ALG_ORDER;
	case ALG_REFUSE:
		return DROP_ALG_REFUSED;
	}
	return DROP_NONE;
}

static enum drop_reason tftp_read(struct pipeline *p, const struct train *t, const struct fw_session *s)
{
	struct endpoint client = { .addr = fw_key_src(&s->key[0]), .port = s->key[0].src_port };
	struct ip_addr server = fw_key_dst(&s->key[0]);
	struct expectation e;

	if (t->flags & TRAIN_REPLY || t->segment_size)
		return DROP_NONE;
	switch (tftp_datagram(t->ip + t->payload_offset, t->len - t->payload_offset, &client, &server, &e)) {
	case ALG_EXPECT:
		expected(p, t, &e);
		break;
	case ALG_REFUSE:
		return DROP_ALG_REFUSED;
	case ALG_PASS:
	case ALG_AGAIN:
		break;
	}
	return DROP_NONE;
}

void alg_read(struct pipeline *p, struct train *t, bool opens)
{
	uint32_t on = p->snapshot ? p->snapshot->algs : 0;

	if (!on || t->drop || t->session == TRAIN_NONE || t->flags & (TRAIN_ICMP_ERROR | TRAIN_FRAGMENT))
		return;
	const struct fw_session *s = fw_session(p->fw, t->session);
	assert(s); /* it was applied just now */
	uint16_t port = s->key[1].src_port;
	/* A published server tells its own address, which its clients do not know. */
	if (port != s->key[0].dst_port || memcmp(s->key[0].dst, s->key[1].src, sizeof s->key[0].dst) != 0)
		return;
	if (t->proto == IP_TCP && port == FTP_PORT_NUMBER && on & ALG_FTP)
		t->drop = ftp_read(p, t, s, opens);
	else if (t->proto == IP_UDP && port == TFTP_PORT_NUMBER && on & ALG_TFTP)
		t->drop = tftp_read(p, t, s);
}
