/* Which session is read by which application layer gateway (alg.h). */
#include "proc/dataplane/alg.h"
#include "alg/tftp.h"
#include "wire/ip.h"

#include <assert.h>
#include <stdlib.h>

enum { FTP_PORT_NUMBER = 21, TFTP_PORT_NUMBER = 69, SIP_PORT_NUMBER = 5060 };

struct alg_state *alg_new(void)
{
	return calloc(1, sizeof(struct alg_state));
}

void alg_burst(struct pipeline *p)
{
	p->alg->copies_n = 0;
}

bool alg_may_read(const struct pipeline *p, const struct fw_session *s)
{
	uint32_t on = p->snapshot->algs;
	uint16_t port = s->key[1].src_port;

	if (s->key[0].proto == IP_TCP)
		return on & ALG_FTP && port == FTP_PORT_NUMBER;
	return (on & ALG_TFTP && port == TFTP_PORT_NUMBER) || (on & ALG_SIP && port == SIP_PORT_NUMBER);
}

/* If t passes, it completes the handshake of a connection that may be read. */
static bool opens(const struct pipeline *p, const struct train *t, const struct fw_session *s)
{
	return p->snapshot && p->snapshot->algs & ALG_FTP && s->state == FW_TCP_SYN_RECEIVED &&
	       !(t->flags & (TRAIN_ICMP_ERROR | TRAIN_REPLY));
}

void alg_before(struct pipeline *p, struct train *t, struct alg_pass *pass)
{
	*pass = (struct alg_pass){ 0 };
	if (t->drop || t->session == TRAIN_NONE || t->flags & TRAIN_FRAGMENT)
		return;
	const struct fw_session *s = fw_session(p->fw, t->session);
	if (!s || s->key[0].proto != IP_TCP || fw_is_nat64(s))
		return;
	pass->opens = opens(p, t, s);
	pass->shifted = s->tcp[0].shift || s->tcp[1].shift;
	if (pass->shifted)
		alg_ftp_before(p, t, s, pass);
}

static enum drop_reason tftp_read(struct pipeline *p, const struct train *t, const struct fw_session *s)
{
	struct endpoint client = { .addr = fw_key_src(&s->key[0]), .port = s->key[0].src_port }, told;
	struct ip_addr server = fw_key_dst(&s->key[0]);
	struct expectation e;

	/* A published server answers from its own address, which its clients do not know. */
	if (t->flags & TRAIN_REPLY || t->segment_size || fw_session_end_translated(s, 1))
		return DROP_NONE;
	switch (tftp_datagram(t->ip + t->payload_offset, t->len - t->payload_offset, &client, &server, &e)) {
	case ALG_EXPECT:
		alg_expect(p, t, &e, &told);
		break;
	case ALG_REFUSE:
		return DROP_ALG_REFUSED;
	case ALG_PASS:
	case ALG_AGAIN:
	case ALG_CUT:
		break;
	}
	return DROP_NONE;
}

void alg_read(struct pipeline *p, struct train *t, const struct alg_pass *pass)
{
	uint32_t on = p->snapshot ? p->snapshot->algs : 0;

	if ((!on && !pass->shifted) || t->drop || t->session == TRAIN_NONE ||
		t->flags & (TRAIN_ICMP_ERROR | TRAIN_FRAGMENT))
		return;
	const struct fw_session *s = fw_session(p->fw, t->session);
	assert(s); /* it was applied just now */
	if (fw_is_nat64(s))
		return;			    /* the text would tell addresses of the other family */
	uint16_t port = s->key[1].src_port; /* the server's own */
	bool ftp = t->proto == IP_TCP && port == FTP_PORT_NUMBER && on & ALG_FTP;
	if (ftp || pass->shifted)
		t->drop = alg_ftp_read(p, t, s, ftp, pass);
	else if (t->proto == IP_UDP && port == TFTP_PORT_NUMBER && on & ALG_TFTP)
		t->drop = tftp_read(p, t, s);
	else if (t->proto == IP_UDP && port == SIP_PORT_NUMBER && on & ALG_SIP)
		t->drop = alg_sip_read(p, t, s);
}
