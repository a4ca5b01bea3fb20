/* The control channel of FTP: lines, the dialogue, addresses, and their replacement. */
#include "alg/ftp.h"
#include "alg/text.h"

#include <assert.h>
#include <stdio.h>

enum { FTP_TCP = 6, TELNET_IAC = 255, TELNET_WILL = 251, TELNET_DONT = 254 };

/* What a client says: RFC 959, 2228, 2389, 2428, 2640, 3659, 7151, and the X forms of RFC 1123. */
static const char commands[] =
	"user pass acct cwd cdup smnt quit rein port pasv type stru mode retr stor stou appe allo "
	"rest rnfr rnto abor dele rmd mkd pwd list nlst site syst stat help noop auth adat pbsz "
	"prot ccc mic conf enc feat opts eprt epsv lang mdtm mlsd mlst size host xcwd xcup xmkd "
	"xpwd xrmd clnt ";

/* A segment while it is read. */
struct reading {
	struct ftp *f;
	const struct ip_addr *ends;
	size_t line_at; /* where the present line begins in the segment */
	bool line_here; /* it begins in this segment, and holds no Telnet command */
	bool found;
	struct ftp_found *ret_found;
};

void ftp_begin(struct ftp *f, uint32_t direction, uint32_t next)
{
	assert(direction < 2);
	f->side[direction].next = next;
	f->side[direction].begun = true;
}

/* ---- addresses ---- */

/* h1,h2,h3,h4,p1,p2 */
static bool commas_read(struct rd *r, struct endpoint *ret)
{
	uint8_t v[6];

	for (size_t i = 0; i < COUNT_OF(v); i++) {
		v[i] = (uint8_t)text_number(r, 255);
		if (i < 5 && !text_skip(r, ','))
			r->bad = true;
	}
	if (r->bad)
		return false;
	*ret = (struct endpoint){ .addr = addr_v4(v), .port = load_be16(v + 4) };
	return true;
}

/* |1|192.0.2.1|5282| */
static bool extended_read(struct rd *r, struct endpoint *ret)
{
	uint8_t d = rd_u8(r);

	if (r->bad || d < 33 || d > 126 || text_is_digit(d))
		return false;
	uint32_t family = text_number(r, 2);
	if (r->bad || !text_skip(r, d))
		return false;
	const uint8_t *at = r->at, *end = rd_left(r) ? memchr(at, d, rd_left(r)) : NULL;
	if (!end || !text_addr(&ret->addr, at, (size_t)(end - at)))
		return false;
	r->at = end + 1;
	ret->port = (uint16_t)text_number(r, UINT16_MAX);
	ret->scope = 0;
	return !r->bad && text_skip(r, d) && ret->addr.family == (family == 1 ? ADDR_V4 : ADDR_V6);
}

/* |||6446|, of which the port alone says something */
static bool port_only_read(struct rd *r, uint16_t *ret_port)
{
	uint8_t d = rd_u8(r);

	if (r->bad || d < 33 || d > 126 || text_is_digit(d) || !text_skip(r, d) || !text_skip(r, d))
		return false;
	*ret_port = (uint16_t)text_number(r, UINT16_MAX);
	return !r->bad && text_skip(r, d);
}

/* The text from..to of the line tells where a data connection will go, to `side`. */
static void address_found(struct reading *g, enum ftp_form form, uint32_t side, uint16_t port,
	const uint8_t *line, const uint8_t *from, const uint8_t *to)
{
	struct ftp_found *o = g->ret_found;

	assert(!g->found); /* one in a direction until the other side has answered */
	g->found = true;
	*o = (struct ftp_found){ .form = form };
	o->expectation = (struct expectation){ .src = g->ends[1 - side],
		.dst = g->ends[side],
		.dst_port = port,
		.proto = FTP_TCP,
		.alg = EXPECTATION_FTP,
		.from = (uint8_t)(1 - side),
		.lifetime_s = FTP_LIFETIME_S };
	if (g->line_here) {
		o->at = g->line_at + (size_t)(from - line);
		o->n = (size_t)(to - from);
	}
}

/* ---- lines of the client ---- */

static bool is_command(const uint8_t *verb, size_t n)
{
	char word[6];

	if (n < 3 || n > 4)
		return false;
	for (size_t i = 0; i < n; i++)
		word[i] = (char)text_lower(verb[i]);
	word[n] = ' ';
	word[n + 1] = 0;
	for (const char *at = commands; (at = strstr(at, word)); at += n)
		if (at == commands || at[-1] == ' ')
			return true;
	return false;
}

static void ask(struct ftp *f, enum ftp_asked what)
{
	if (f->asked != FTP_NOTHING)
		return;
	f->asked = (uint8_t)what;
	f->ahead = f->unanswered - 1;
}

/* Its own address, or the one that the other side knows it by. */
static bool is_own(const struct reading *g, uint32_t side, const struct ip_addr *a)
{
	return addr_equal(a, &g->ends[side]) ||
	       (g->f->seen[side].family != ADDR_NONE && addr_equal(a, &g->f->seen[side]));
}

/* PORT and EPRT: the client's own address, and a port that is not well known. */
static enum alg_verdict active_mode(struct reading *g, enum ftp_asked what, struct rd r, const uint8_t *line)
{
	const uint8_t *from = r.at;
	struct endpoint e = { 0 };

	bool read = what == FTP_PORT ? commas_read(&r, &e) : extended_read(&r, &e);
	if (!read || rd_end(&r) != RC_OK || g->f->asked != FTP_NOTHING || g->f->epsv_all ||
		!is_own(g, 0, &e.addr) || e.port < ALG_PORT_MIN)
		return ALG_REFUSE;
	ask(g->f, what);
	address_found(g, what == FTP_PORT ? FTP_COMMAS : FTP_EXTENDED, 0, e.port, line, from, r.at);
	return ALG_EXPECT;
}

static enum alg_verdict command(struct reading *g, const uint8_t *line, size_t n, bool whole)
{
	struct ftp *f = g->f;
	size_t verb_n = 0;

	while (verb_n < n && text_lower(line[verb_n]) >= 'a' && text_lower(line[verb_n]) <= 'z')
		verb_n++;
	bool formed = verb_n >= 3 && verb_n <= 4 && (verb_n == n || line[verb_n] == ' ');
	/* A client waits for the greeting, and its first word is one of FTP. */
	if (!formed || !f->greeted || (!f->spoken && !is_command(line, verb_n)) ||
		f->unanswered >= FTP_PIPELINE_MAX)
		f->foreign = true;
	f->spoken = true;
	if (f->foreign)
		return ALG_PASS;
	f->unanswered++;
	struct rd r = rd_over(line, n);
	if (text_word(&r, "port ") || text_word(&r, "eprt "))
		return whole ? active_mode(g, text_lower(line[0]) == 'p' ? FTP_PORT : FTP_EPRT, r, line)
			     : ALG_REFUSE;
	if (!whole)
		return ALG_PASS;
	if (text_word(&r, "pasv") && rd_left(&r) == 0 && !f->epsv_all)
		ask(f, FTP_PASV);
	r = rd_over(line, n);
	if (text_word(&r, "epsv all") && rd_left(&r) == 0)
		f->epsv_all = true;
	r = rd_over(line, n);
	if (text_word(&r, "epsv") && (rd_left(&r) == 0 || (rd_left(&r) == 2 && text_is_digit(r.at[1]))))
		ask(f, FTP_EPSV);
	r = rd_over(line, n);
	if (text_word(&r, "auth "))
		ask(f, FTP_AUTH);
	return ALG_PASS;
}

/* ---- lines of the server ---- */

static enum alg_verdict passive_mode(struct reading *g, const uint8_t *line, size_t n, bool extended)
{
	struct rd r = rd_over(line, n);
	struct endpoint e = { .addr = g->ends[1] };

	/* RFC 1123 section 4.1.2.6: the parentheses are not to be relied on; in RFC 2428 they are. */
	rd_take(&r, 4);
	while (rd_left(&r) && !(extended ? text_peek(&r) == '(' : text_is_digit(text_peek(&r))))
		rd_take(&r, 1);
	if (extended)
		rd_take(&r, 1);
	const uint8_t *from = r.at;
	bool read = extended ? port_only_read(&r, &e.port) : commas_read(&r, &e);
	/* Another address than the server's own is for nobody to connect to: it opens nothing. */
	if (!read || text_peek(&r) == ',' || (extended && text_peek(&r) != ')') || !is_own(g, 1, &e.addr) ||
		e.port < ALG_PORT_MIN)
		return ALG_PASS;
	address_found(g, extended ? FTP_PORT_ONLY : FTP_COMMAS, 1, e.port, line, from, r.at);
	return ALG_EXPECT;
}

static enum alg_verdict reply_final(
	struct reading *g, uint16_t code, const uint8_t *line, size_t n, bool may_tell)
{
	struct ftp *f = g->f;

	if (!f->greeted) {
		f->greeted = true;
		return ALG_PASS;
	}
	if (f->unanswered == 0)
		return ALG_PASS; /* 421, before the server closes */
	f->unanswered--;
	if (f->asked == FTP_NOTHING)
		return ALG_PASS;
	if (f->ahead > 0) {
		f->ahead--;
		return ALG_PASS;
	}
	enum ftp_asked asked = f->asked;
	f->asked = FTP_NOTHING;
	if (asked == FTP_AUTH && code == 234)
		f->opaque = true;
	if ((asked == FTP_PASV && code == 227) || (asked == FTP_EPSV && code == 229))
		return may_tell ? passive_mode(g, line, n, asked == FTP_EPSV) : ALG_PASS;
	return ALG_PASS;
}

static enum alg_verdict reply(struct reading *g, const uint8_t *line, size_t n, bool whole)
{
	struct ftp *f = g->f;
	struct rd r = rd_over(line, MIN_OF(n, (size_t)3));
	bool three = n >= 3 && text_is_digit(line[0]) && text_is_digit(line[1]) && text_is_digit(line[2]);
	uint16_t code = three ? (uint16_t)text_number(&r, 999) : 0;
	bool ends = three && (n == 3 || line[3] == ' ');

	if (f->foreign)
		return ALG_PASS;
	if (f->multi) { /* anything may stand in it, until the same code with a space */
		if (!ends || code != f->multi)
			return ALG_PASS;
		f->multi = 0;
		return code < 200 ? ALG_PASS : reply_final(g, code, line, n, false);
	}
	if (code < 100 || code >= 700 || (!ends && line[3] != '-')) {
		f->foreign = true;
		return ALG_PASS;
	}
	if (!ends)
		f->multi = code;
	return !ends || code < 200 ? ALG_PASS : reply_final(g, code, line, n, whole);
}

/* ---- octets ---- */

/* A Telnet command within the stream (RFC 854); true: the octet belongs to one. */
static bool telnet_skip(struct ftp_side *s, uint8_t c)
{
	switch (s->iac) {
	case 0:
		s->iac = c == TELNET_IAC;
		return s->iac;
	case 1:
		s->iac = c >= TELNET_WILL && c <= TELNET_DONT ? 2 : 0;
		return c != TELNET_IAC; /* twice: the octet itself */
	default:
		s->iac = 0;
		return true;
	}
}

static enum alg_verdict line_end(struct reading *g, uint32_t direction)
{
	struct ftp_side *s = &g->f->side[direction];
	bool whole = s->n > 0 && s->line[s->n - 1] == '\r' && !s->overlong;
	size_t n = s->n > 0 && s->line[s->n - 1] == '\r' ? s->n - 1u : s->n;

	enum alg_verdict v = direction == 0 ? command(g, s->line, n, whole) : reply(g, s->line, n, whole);
	s->n = 0;
	s->overlong = s->cooked = false;
	return v;
}

/* Is what stands of the line the beginning of one that tells an address, in this state? */
static bool may_tell_address(const struct ftp *f, uint32_t direction)
{
	static const char *const beginnings[] = { "port ", "eprt ", "227 ", "229 " };
	const struct ftp_side *s = &f->side[direction];

	if (f->foreign || s->n == 0)
		return false;
	if (direction == 1 && f->asked != FTP_PASV && f->asked != FTP_EPSV)
		return false;
	for (size_t i = 2 * direction; i < 2 * direction + 2; i++) {
		size_t n = MIN_OF((size_t)s->n, strlen(beginnings[i])), k = 0;
		while (k < n && text_lower(s->line[k]) == (uint8_t)beginnings[i][k])
			k++;
		if (k == n)
			return true;
	}
	return false;
}

static enum alg_verdict octets_read(
	struct reading *g, uint32_t direction, const uint8_t *bytes, size_t n, size_t from, bool translated)
{
	struct ftp_side *s = &g->f->side[direction];
	enum alg_verdict verdict = ALG_PASS;

	g->line_here = false;
	for (size_t i = from; i < n && !g->f->opaque; i++) {
		if (telnet_skip(s, bytes[i])) {
			s->cooked = true;
			continue;
		}
		if (s->n == 0 && !s->overlong && !s->cooked) {
			g->line_at = i;
			g->line_here = true;
		}
		if (bytes[i] != '\n') {
			if (s->n < sizeof s->line)
				s->line[s->n++] = bytes[i];
			else
				s->overlong = true;
			continue;
		}
		g->line_here &= !s->cooked;
		enum alg_verdict v = line_end(g, direction);
		if (v == ALG_REFUSE)
			return v;
		if (v == ALG_EXPECT && translated && g->ret_found->n == 0)
			return ALG_REFUSE; /* a Telnet command in the midst of it */
		verdict = v == ALG_EXPECT ? v : verdict;
		g->line_here = false;
	}
	if (!translated || g->f->opaque || !may_tell_address(g->f, direction))
		return verdict;
	if (verdict == ALG_EXPECT || !g->line_here || g->line_at == 0)
		return ALG_AGAIN;
	/* Not all of it again: if the sender cuts its segments in the same way, the line would never be whole. */
	s->n = 0;
	s->iac = 0;
	s->overlong = s->cooked = false;
	*g->ret_found = (struct ftp_found){ .at = g->line_at };
	return ALG_CUT;
}

enum alg_verdict ftp_segment(struct ftp *f, const struct ip_addr ends[2], uint32_t direction, uint32_t seq,
	const uint8_t *bytes, size_t n, bool translated, struct ftp_found *ret_found)
{
	struct ftp after = *f;
	struct reading g = { .f = &after, .ends = ends, .ret_found = ret_found };

	assert(direction < 2);
	if (f->opaque || f->foreign || n == 0)
		return ALG_PASS;
	if (!f->side[direction].begun) { /* its beginning was not seen */
		f->foreign = f->opaque = true;
		return ALG_PASS;
	}
	if (alg_seq_before(f->side[direction].next, seq))
		return ALG_AGAIN;
	size_t old = f->side[direction].next - seq;
	if (old >= n)
		return ALG_PASS;
	enum alg_verdict v = octets_read(&g, direction, bytes, n, old, translated);
	if (v == ALG_AGAIN || v == ALG_REFUSE)
		return v;
	after.side[direction].next = seq + (uint32_t)(v == ALG_CUT ? ret_found->at : n);
	*f = after;
	return v;
}

/* ---- replacement ---- */

static size_t text_make(char *text, enum ftp_form form, const struct ip_addr *a, uint16_t port)
{
	char addr[ADDR_TEXT_MAX];
	int n = 0;

	switch (form) {
	case FTP_COMMAS:
		n = snprintf(text, FTP_TEXT_MAX, "%u,%u,%u,%u,%u,%u", a->b[0], a->b[1], a->b[2], a->b[3],
			port >> 8, port & 0xff);
		break;
	case FTP_EXTENDED:
		n = snprintf(text, FTP_TEXT_MAX, "|%u|%s|%u|", a->family == ADDR_V4 ? 1 : 2,
			addr_text(addr, a), port);
		break;
	case FTP_PORT_ONLY:
		n = snprintf(text, FTP_TEXT_MAX, "|||%u|", port);
		break;
	}
	assert(n > 0 && n < FTP_TEXT_MAX);
	return (size_t)n;
}

static bool splice(
	uint8_t *bytes, size_t *n, size_t room, size_t at, size_t old_n, const void *text, size_t new_n)
{
	assert(at + old_n <= *n);
	if (*n - old_n + new_n > room)
		return false;
	memmove(bytes + at + new_n, bytes + at + old_n, *n - at - old_n);
	memcpy(bytes + at, text, new_n);
	*n = *n - old_n + new_n;
	return true;
}

bool ftp_rewrite(struct ftp *f, uint32_t direction, uint32_t seq, uint8_t *bytes, size_t *n, size_t room,
	const struct ftp_found *found, const struct ip_addr *addr, uint16_t port)
{
	char text[FTP_TEXT_MAX];
	struct ftp_replaced *r = &f->replaced[direction];

	assert(direction < 2 && found->n > 0 && found->expectation.dst.family == addr->family);
	size_t new_n = text_make(text, found->form, addr, port);
	if (!splice(bytes, n, room, found->at, found->n, text, new_n))
		return false;
	uint32_t start = seq + (uint32_t)found->at;
	alg_offset_add(&f->offset[direction], start, start + (uint32_t)found->n, (uint32_t)new_n);
	memcpy(r->text, text, new_n);
	r->n = (uint8_t)new_n;
	return true;
}

bool ftp_repeats(const struct ftp *f, uint32_t direction, uint32_t seq, size_t n)
{
	const struct alg_offset *o = &f->offset[direction];

	return f->replaced[direction].n > 0 && alg_seq_before(seq, o->end) &&
	       alg_seq_before(o->start, seq + (uint32_t)n);
}

enum alg_verdict ftp_repeat(
	const struct ftp *f, uint32_t direction, uint32_t seq, uint8_t *bytes, size_t *n, size_t room)
{
	const struct alg_offset *o = &f->offset[direction];
	const struct ftp_replaced *r = &f->replaced[direction];
	uint32_t end = seq + (uint32_t)*n;

	if (!ftp_repeats(f, direction, seq, *n))
		return ALG_PASS;
	if (alg_seq_before(o->start, seq) || alg_seq_before(end, o->end))
		return ALG_AGAIN;
	return splice(bytes, n, room, o->start - seq, o->end - o->start, r->text, r->n) ? ALG_PASS
											: ALG_AGAIN;
}
