#include "witness/names.h"
#include "base/wr.h"

#include <arpa/nameser.h>
#include <string.h>
#include <strings.h>

static uint16_t kind_of(const struct names_question *q)
{
	return q->v6 ? ns_t_aaaa : ns_t_a;
}

size_t names_query(uint8_t ret_bytes[NAMES_QUERY_MAX], const struct names_question *q)
{
	/* recursion desired, one question */
	const uint8_t head[NS_HFIXEDSZ] = { (uint8_t)(q->id >> 8), (uint8_t)q->id, 1, 0, 0,
		1, [11] = q->large };
	const uint8_t tail[] = { 0, 0, (uint8_t)kind_of(q), 0, ns_c_in };
	static const uint8_t edns[] = { 0, 0, ns_t_opt, NAMES_ANSWER_MAX >> 8, NAMES_ANSWER_MAX & 0xff, 0, 0,
		0, 0, 0, 0 };
	struct wr w = wr_over(ret_bytes, NAMES_QUERY_MAX);
	const char *label = q->host;

	wr_bytes(&w, head, sizeof head);
	for (;; label++) {
		size_t n = strcspn(label, ".");
		if (n == 0 || n > NS_MAXLABEL)
			return 0;
		wr_u8(&w, (uint8_t)n);
		wr_bytes(&w, label, n);
		label += n;
		if (*label == '\0')
			break;
	}
	wr_bytes(&w, tail, sizeof tail);
	if (!w.bad && wr_len(&w) > NS_HFIXEDSZ + NS_MAXCDNAME + 4)
		return 0;
	if (q->large)
		wr_bytes(&w, edns, sizeof edns);
	return w.bad ? 0 : wr_len(&w);
}

static bool is_answer_to(ns_msg *m, const struct names_question *q)
{
	ns_rr rr;

	return ns_msg_id(*m) == q->id && ns_msg_getflag(*m, ns_f_qr) == 1 &&
	       ns_msg_getflag(*m, ns_f_opcode) == ns_o_query && ns_msg_count(*m, ns_s_qd) == 1 &&
	       ns_parserr(m, ns_s_qd, 0, &rr) == 0 && ns_rr_type(rr) == kind_of(q) &&
	       ns_rr_class(rr) == ns_c_in && strcasecmp(ns_rr_name(rr), q->host) == 0;
}

static void ttl_lower(struct names_found *f, uint32_t ttl)
{
	if (ttl > NAMES_TTL_MAX_S) /* RFC 2181 section 8: as if it were zero */
		ttl = 0;
	if (ttl < f->ttl_s)
		f->ttl_s = ttl;
}

/* The name that `name` is an alias of, in its place. False: it is none. */
static bool alias_follow(ns_msg *m, char name[NS_MAXDNAME], struct names_found *f)
{
	ns_rr rr;

	for (int i = 0; i < ns_msg_count(*m, ns_s_an); i++) {
		char next[NS_MAXDNAME];
		if (ns_parserr(m, ns_s_an, i, &rr) != 0)
			return false;
		if (ns_rr_type(rr) != ns_t_cname || ns_rr_class(rr) != ns_c_in ||
			strcasecmp(ns_rr_name(rr), name) != 0)
			continue;
		if (ns_name_uncompress(ns_msg_base(*m), ns_msg_end(*m), ns_rr_rdata(rr), next, sizeof next) <
			0)
			return false;
		memcpy(name, next, sizeof next);
		ttl_lower(f, ns_rr_ttl(rr));
		return true;
	}
	return false;
}

/* Of an answer that was cut what is there counts. */
static void addresses_read(ns_msg *m, const struct names_question *q, struct names_found *f)
{
	size_t size = q->v6 ? 16 : 4;
	char name[NS_MAXDNAME] = "";
	ns_rr rr;

	strncat(name, q->host, sizeof name - 1);
	for (int i = 0; i < NAMES_ALIASES_MAX && alias_follow(m, name, f); i++)
		;
	for (int i = 0; i < ns_msg_count(*m, ns_s_an); i++) {
		if (ns_parserr(m, ns_s_an, i, &rr) != 0)
			break;
		if (ns_rr_type(rr) != kind_of(q) || ns_rr_class(rr) != ns_c_in || ns_rr_rdlen(rr) != size ||
			strcasecmp(ns_rr_name(rr), name) != 0)
			continue;
		f->cut |= f->n == NAMES_ALL_MAX;
		if (f->n == NAMES_ALL_MAX)
			break;
		f->addr[f->n++] = q->v6 ? addr_v6(ns_rr_rdata(rr)) : addr_v4(ns_rr_rdata(rr));
		ttl_lower(f, ns_rr_ttl(rr));
	}
	if (f->n == 0)
		f->ttl_s = NAMES_TTL_MAX_S;
}

enum rc names_answer(
	struct names_found *ret, const struct names_question *q, const void *bytes, size_t n, struct err *e)
{
	ns_msg m;

	*ret = (struct names_found){ .ttl_s = NAMES_TTL_MAX_S };
	if (n > NAMES_ANSWER_MAX || ns_initparse(bytes, (int)n, &m) != 0)
		return err_add(e, RC_MALFORMED, "malformed DNS answer of a name server");
	if (!is_answer_to(&m, q))
		return err_add(e, RC_DENIED, "the DNS answer is not to this question");
	switch (ns_msg_getflag(m, ns_f_rcode)) {
	case ns_r_noerror:
		break;
	case ns_r_nxdomain:
		return err_add(e, RC_NOT_FOUND, "the name '%.100s' does not exist", q->host);
	case ns_r_servfail:
		return err_add(e, RC_AGAIN, "the name server could not resolve it (SERVFAIL)");
	case ns_r_refused:
		return err_add(e, RC_AGAIN, "the name server refuses to answer (REFUSED)");
	default:
		return err_add(e, RC_AGAIN, "the name server answered with the error %d",
			ns_msg_getflag(m, ns_f_rcode));
	}
	ret->cut = ns_msg_getflag(m, ns_f_tc) == 1;
	addresses_read(&m, q, ret);
	return RC_OK;
}
