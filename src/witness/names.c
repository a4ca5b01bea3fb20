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
	const uint8_t head[NS_HFIXEDSZ] = { (uint8_t)(q->id >> 8), (uint8_t)q->id, 1, 0, 0, 1 };
	const uint8_t tail[] = { 0, 0, (uint8_t)kind_of(q), 0, ns_c_in };
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

enum rc names_answer(struct ip_addr ret_addrs[NAMES_EACH_MAX], size_t *ret_n, const struct names_question *q,
	const void *bytes, size_t n, struct err *e)
{
	size_t size = q->v6 ? 16 : 4;
	ns_msg m;
	ns_rr rr;

	*ret_n = 0;
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
	/* Of an answer that was cut what is there counts. */
	for (int i = 0; i < ns_msg_count(m, ns_s_an) && *ret_n < NAMES_EACH_MAX; i++) {
		if (ns_parserr(&m, ns_s_an, i, &rr) != 0)
			break;
		if (ns_rr_type(rr) != kind_of(q) || ns_rr_class(rr) != ns_c_in || ns_rr_rdlen(rr) != size)
			continue;
		ret_addrs[(*ret_n)++] = q->v6 ? addr_v6(ns_rr_rdata(rr)) : addr_v4(ns_rr_rdata(rr));
	}
	return RC_OK;
}
