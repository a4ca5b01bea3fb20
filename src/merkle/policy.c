#include "merkle/policy.h"
#include "base/bytes.h"
#include "merkle/lines.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

_Static_assert(POLICY_WITNESSES_MAX <= 64, "signed_mask has a bit for each");
_Static_assert(POLICY_WITNESSES_MAX + POLICY_GROUPS_MAX <= UINT8_MAX, "threshold and members_n are octets");

struct word {
	const char *at;
	size_t n;
};

/* One line, and what the lines before it have made. */
struct reader {
	struct policy *p;
	struct err *e;
	size_t line; /* from 1 */
	struct word rest;
	bool quorum_seen;
	/* what is a member already */
	bool witness_listed[POLICY_WITNESSES_MAX], group_listed[POLICY_GROUPS_MAX];
};

/* For the text of an error: what stands there, cut to a length that leaves room for the rest. */
#define FOUND(w) (int)MIN_OF((w).n, 80u), (w).at

static enum rc wrong(struct reader *r, enum rc rc, struct word found, const char *expected)
{
	if (found.n == 0)
		return err_add(
			r->e, rc, "line %zu: found the end of the line, expected %s", r->line, expected);
	return err_add(r->e, rc, "line %zu: found '%.*s', expected %s", r->line, FOUND(found), expected);
}

static bool blank(char c)
{
	return c == ' ' || c == '\t';
}

/* The next item of the line; n = 0 at its end. */
static struct word next(struct reader *r)
{
	struct word w;

	while (r->rest.n > 0 && blank(r->rest.at[0])) {
		r->rest.at++;
		r->rest.n--;
	}
	w.at = r->rest.at;
	for (w.n = 0; w.n < r->rest.n && !blank(w.at[w.n]); w.n++)
		;
	r->rest.at += w.n;
	r->rest.n -= w.n;
	return w;
}

static bool is(struct word w, const char *text)
{
	return w.n == strlen(text) && memcmp(w.at, text, w.n) == 0;
}

/* Copies an item; false when it is too long for the place. */
static bool keep(char *ret, size_t max, struct word w)
{
	if (w.n >= max)
		return false;
	memcpy(ret, w.at, w.n);
	ret[w.n] = '\0';
	return true;
}

static struct policy_ref find(const struct policy *p, struct word name)
{
	for (size_t i = 0; i < p->witnesses_n; i++)
		if (is(name, p->witness[i].name))
			return (struct policy_ref){ POLICY_WITNESS, (uint8_t)i };
	for (size_t i = 0; i < p->groups_n; i++)
		if (is(name, p->group[i].name))
			return (struct policy_ref){ POLICY_GROUP, (uint8_t)i };
	return (struct policy_ref){ POLICY_NONE, 0 };
}

static enum rc read_key(struct reader *r, struct note_key *ret_key, enum note_key_type type)
{
	struct word w = next(r);
	const char *expected = type == NOTE_ED25519 ? "a log's verifier key (type 01)"
						    : "a witness's verifier key (type 04 or 06)";

	if (w.n == 0 || note_key_parse(ret_key, w.at, w.n, NULL) != RC_OK || ret_key->type != type)
		return wrong(r, RC_MALFORMED, w, expected);
	return RC_OK;
}

/*
 * Witnesses may sign with ML-DSA-44 (C2SP tlog-cosignature): "The key ID for ML-DSA-44 cosignatures MUST be
 * computed as SHA-256(<name> || "\n" || 0x06 || 1312-byte ML-DSA-44 cosigner public key)[:4]". A policy that
 * names one is as good as without it: the others can still be a quorum.
 */
static bool large_key_parse(struct policy_witness *ret, struct word w)
{
	const char *end = w.at + w.n, *first = memchr(w.at, '+', w.n);
	const char *second = first ? memchr(first + 1, '+', (size_t)(end - first - 1)) : NULL;
	uint8_t blob[1 + POLICY_ML_DSA_44_SIZE], digest[SHA256_SIZE], id[SHA256_SIZE];
	char name[NOTE_NAME_MAX], hex[9];
	size_t blob_n;

	if (!second || second - first != 9 ||
		!keep(name, sizeof name, (struct word){ w.at, (size_t)(first - w.at) }) ||
		!base64_to_bytes(blob, sizeof blob, &blob_n, second + 1, (size_t)(end - second - 1)) ||
		blob_n != sizeof blob || blob[0] != NOTE_COSIGNATURE_ML_DSA_44)
		return false;
	sha256(digest, blob + 1, POLICY_ML_DSA_44_SIZE);
	sha256_parts(
		id, (const struct sha256_part[]){ { name, strlen(name) }, { "\n", 1 }, { blob, blob_n } }, 3);
	if (note_key_make(&ret->key, name, NOTE_COSIGNATURE_ML_DSA_44, digest) != RC_OK ||
		memcmp(hex_from_bytes(hex, id, 4), first + 1, 8) != 0)
		return false;
	memcpy(ret->key.id, id, sizeof ret->key.id);
	memcpy(ret->large, blob + 1, sizeof ret->large);
	return true;
}

static enum rc read_witness_key(struct reader *r, struct policy_witness *w)
{
	struct reader before = *r;

	if (large_key_parse(w, next(r)))
		return RC_OK;
	*r = before;
	return read_key(r, &w->key, NOTE_COSIGNATURE_ED25519);
}

/* The optional URL, then the end of the line. */
static enum rc read_url(struct reader *r, char ret_url[POLICY_URL_MAX])
{
	struct word url = next(r), more = next(r);

	if (!keep(ret_url, POLICY_URL_MAX, url))
		return wrong(r, RC_LIMIT, url, "a URL of less than 256 octets");
	return more.n == 0 ? RC_OK : wrong(r, RC_MALFORMED, more, "the end of the line");
}

/* A name that this line defines. */
static enum rc read_new_name(struct reader *r, char ret_name[NOTE_NAME_MAX])
{
	struct word w = next(r);

	if (w.n == 0 || is(w, "none"))
		return wrong(r, RC_MALFORMED, w, "a name other than 'none'");
	if (!keep(ret_name, NOTE_NAME_MAX, w))
		return wrong(r, RC_LIMIT, w, "a name of less than 128 octets");
	if (find(r->p, w).kind != POLICY_NONE)
		return wrong(r, RC_EXISTS, w, "a name that is not defined yet");
	return RC_OK;
}

static enum rc read_log(struct reader *r)
{
	struct policy *p = r->p;
	struct policy_log *l = &p->log[p->logs_n];

	if (p->logs_n == POLICY_LOGS_MAX)
		return err_add(
			r->e, RC_LIMIT, "line %zu: too many logs, at most %d", r->line, POLICY_LOGS_MAX);
	enum rc rc = read_key(r, &l->key, NOTE_ED25519);
	if (rc == RC_OK)
		rc = read_url(r, l->url);
	for (size_t i = 0; rc == RC_OK && i < p->logs_n; i++)
		if (memcmp(p->log[i].key.public_key, l->key.public_key, sizeof l->key.public_key) == 0)
			rc = err_add(r->e, RC_EXISTS,
				"line %zu: the public key is already used by log '%s'; put another name of "
				"this key into another file",
				r->line, p->log[i].key.name);
	if (rc == RC_OK)
		p->logs_n++;
	return rc;
}

static enum rc read_witness(struct reader *r)
{
	struct policy *p = r->p;
	struct policy_witness *w = &p->witness[p->witnesses_n];

	if (p->witnesses_n == POLICY_WITNESSES_MAX)
		return err_add(r->e, RC_LIMIT, "line %zu: too many witnesses, at most %d", r->line,
			POLICY_WITNESSES_MAX);
	enum rc rc = read_new_name(r, w->name);
	if (rc == RC_OK)
		rc = read_witness_key(r, w);
	if (rc == RC_OK)
		rc = read_url(r, w->url);
	for (size_t i = 0; rc == RC_OK && i < p->witnesses_n; i++)
		if (memcmp(p->witness[i].key.public_key, w->key.public_key, sizeof w->key.public_key) == 0)
			rc = err_add(r->e, RC_EXISTS,
				"line %zu: the public key is already used by witness '%s'", r->line,
				p->witness[i].name);
	if (rc == RC_OK)
		p->witnesses_n++;
	return rc;
}

static bool read_threshold(struct word w, size_t *ret)
{
	*ret = 0;
	if (w.n == 0 || w.n > 3 || w.at[0] == '0')
		return false;
	for (size_t i = 0; i < w.n; i++) {
		if (w.at[i] < '0' || w.at[i] > '9')
			return false;
		*ret = *ret * 10 + (size_t)(w.at[i] - '0');
	}
	return true;
}

static enum rc read_member(struct reader *r, struct policy_group *g, struct word w)
{
	struct policy_ref ref = find(r->p, w);

	if (ref.kind == POLICY_NONE)
		return wrong(r, RC_NOT_FOUND, w, "a witness or a group that is defined before this line");
	bool *listed =
		ref.kind == POLICY_WITNESS ? &r->witness_listed[ref.index] : &r->group_listed[ref.index];
	if (*listed)
		return wrong(r, RC_EXISTS, w, "a name that is not in a group yet");
	*listed = true;
	assert(g->members_n < COUNT_OF(g->member)); /* each name once, so there is room for all */
	g->member[g->members_n++] = ref;
	return RC_OK;
}

static enum rc read_group(struct reader *r)
{
	struct policy *p = r->p;
	struct policy_group *g = &p->group[p->groups_n];
	size_t k = 0;

	if (p->groups_n == POLICY_GROUPS_MAX)
		return err_add(
			r->e, RC_LIMIT, "line %zu: too many groups, at most %d", r->line, POLICY_GROUPS_MAX);
	enum rc rc = read_new_name(r, g->name);
	if (rc != RC_OK)
		return rc;
	struct word rule = next(r), member;
	if (!is(rule, "all") && !is(rule, "any") && !read_threshold(rule, &k))
		return wrong(r, RC_MALFORMED, rule, "'all', 'any' or a number from 1 on");
	g->members_n = 0;
	while ((member = next(r)).n > 0)
		if ((rc = read_member(r, g, member)) != RC_OK)
			return rc;
	if (g->members_n == 0)
		return wrong(r, RC_MALFORMED, member, "at least one member");
	if (k > g->members_n)
		return wrong(r, RC_RANGE, rule, "at most the number of members");
	g->threshold = is(rule, "all") ? g->members_n : is(rule, "any") ? 1 : (uint8_t)k;
	assert(g->threshold >= 1 && g->threshold <= g->members_n);
	p->groups_n++; /* only now: a group is no member of itself */
	return RC_OK;
}

static enum rc read_quorum(struct reader *r)
{
	struct word w = next(r), more = next(r);

	if (r->quorum_seen)
		return err_add(
			r->e, RC_EXISTS, "line %zu: found a second quorum line, expected one", r->line);
	if (w.n == 0)
		return wrong(r, RC_MALFORMED, w, "'none', a witness or a group");
	if (more.n > 0)
		return wrong(r, RC_MALFORMED, more, "the end of the line");
	r->p->quorum = find(r->p, w);
	if (r->p->quorum.kind == POLICY_NONE && !is(w, "none"))
		return wrong(r, RC_NOT_FOUND, w,
			"'none', or a witness or a group that is defined before this line");
	r->quorum_seen = true;
	return RC_OK;
}

static enum rc read_line(struct reader *r)
{
	static const struct {
		const char *keyword;
		enum rc (*read)(struct reader *r);
	} rows[] = {
		{ "log", read_log },
		{ "witness", read_witness },
		{ "group", read_group },
		{ "quorum", read_quorum },
	};
	struct word w = next(r);

	if (w.n == 0 || w.at[0] == '#')
		return RC_OK;
	for (size_t i = 0; i < COUNT_OF(rows); i++)
		if (is(w, rows[i].keyword))
			return rows[i].read(r);
	return wrong(r, RC_MALFORMED, w, "'log', 'witness', 'group' or 'quorum'");
}

enum rc policy_parse(struct policy *ret_policy, const char *text, size_t n, struct err *e)
{
	struct reader r = { .p = ret_policy, .e = e };
	const char *at = text, *end = text + n;

	memset(ret_policy, 0, sizeof *ret_policy);
	if (n > POLICY_BYTES_MAX)
		return err_add(e, RC_LIMIT, "the policy is too long: %zu octets, at most %d are read", n,
			POLICY_BYTES_MAX);
	while (at < end) {
		const char *lf = memchr(at, '\n', (size_t)(end - at));
		r.line++;
		/* A file that was cut short could read as a weaker policy: "quorum a" of "quorum abc". */
		if (!lf)
			return err_add(e, RC_MALFORMED,
				"line %zu: found the end of the file, expected a line feed", r.line);
		const char *control = line_control(at, (size_t)(lf - at));
		if (control)
			return err_add(e, RC_MALFORMED,
				"line %zu: found the control character %02x, expected text", r.line,
				(unsigned char)*control);
		r.rest = (struct word){ at, (size_t)(lf - at) };
		enum rc rc = read_line(&r);
		if (rc != RC_OK)
			return rc;
		at = lf + 1;
	}
	if (!r.quorum_seen)
		return err_add(e, RC_MALFORMED, "line %zu: found the end of the file, expected a quorum line",
			r.line + 1);
	return RC_OK;
}

static const char *name_of(const struct policy *p, struct policy_ref ref)
{
	assert(ref.kind != POLICY_WITNESS || ref.index < p->witnesses_n);
	assert(ref.kind != POLICY_GROUP || ref.index < p->groups_n);
	return ref.kind == POLICY_WITNESS ? p->witness[ref.index].name
	       : ref.kind == POLICY_GROUP ? p->group[ref.index].name
					  : "none";
}

/* A text that grows; bad once something did not fit. */
struct text {
	char *at, *end;
	bool bad;
};

static void put(struct text *t, const char *first, const char *second);

static void put_witness_key(struct text *t, const struct policy_witness *w)
{
	uint8_t blob[1 + POLICY_ML_DSA_44_SIZE] = { w->key.type };
	char vkey[NOTE_VKEY_MAX], id[9], base64[BASE64_SIZE(sizeof blob)];

	if (policy_counts(w)) {
		put(t, " ", note_key_text(vkey, &w->key));
		return;
	}
	memcpy(blob + 1, w->large, sizeof w->large);
	base64_from_bytes(base64, blob, sizeof blob);
	put(t, " ", w->key.name);
	put(t, "+", hex_from_bytes(id, w->key.id, sizeof w->key.id));
	put(t, "+", base64);
}

static void put(struct text *t, const char *first, const char *second)
{
	int n = t->bad ? 0 : snprintf(t->at, (size_t)(t->end - t->at), "%s%s", first, second);

	t->bad |= n < 0 || n >= t->end - t->at;
	if (!t->bad)
		t->at += n;
}

size_t policy_text(const struct policy *p, char *ret_text, size_t max)
{
	struct text t = { ret_text, ret_text + max, max == 0 };
	char vkey[NOTE_VKEY_MAX], k[8];

	for (size_t i = 0; i < p->logs_n; i++) {
		put(&t, "log ", note_key_text(vkey, &p->log[i].key));
		put(&t, p->log[i].url[0] ? " " : "", p->log[i].url);
		put(&t, "\n", "");
	}
	for (size_t i = 0; i < p->witnesses_n; i++) {
		put(&t, "witness ", p->witness[i].name);
		put_witness_key(&t, &p->witness[i]);
		put(&t, p->witness[i].url[0] ? " " : "", p->witness[i].url);
		put(&t, "\n", "");
	}
	for (size_t i = 0; i < p->groups_n; i++) {
		const struct policy_group *g = &p->group[i];
		snprintf(k, sizeof k, "%u", g->threshold);
		put(&t, "group ", g->name);
		put(&t, " ", g->threshold == g->members_n ? "all" : g->threshold == 1 ? "any" : k);
		for (size_t m = 0; m < g->members_n; m++)
			put(&t, " ", name_of(p, g->member[m]));
		put(&t, "\n", "");
	}
	put(&t, "quorum ", name_of(p, p->quorum));
	put(&t, "\n", "");
	return t.bad ? 0 : (size_t)(t.at - ret_text);
}

/* Is the note's first line this name? A log speaks for its own origin only. */
static bool of_origin(const struct note *note, const char *origin)
{
	size_t n = strlen(origin);

	return note->text_n > n && memcmp(note->text, origin, n) == 0 && note->text[n] == '\n';
}

static enum rc judge_logs(
	const struct policy *p, const struct note *note, struct policy_verdict *v, struct err *e)
{
	for (size_t i = 0; i < p->logs_n; i++) {
		if (!of_origin(note, p->log[i].key.name))
			continue;
		enum rc rc = note_verify(note, &p->log[i].key, NULL);
		if (rc == RC_AUTH)
			return err_add(
				e, RC_AUTH, "the signature of log '%s' does not verify", p->log[i].key.name);
		if (rc == RC_OK && !v->log_signed) {
			v->log_signed = true;
			v->log = i;
		}
	}
	return RC_OK;
}

static enum rc judge_witnesses(const struct policy *p, const struct note *note, uint64_t now_s,
	struct policy_verdict *v, struct err *e)
{
	assert(p->witnesses_n <= POLICY_WITNESSES_MAX);
	for (size_t i = 0; i < p->witnesses_n; i++) {
		if (!policy_counts(&p->witness[i]))
			continue;
		enum rc rc = cosign_verify(note, &p->witness[i].key, &v->time_s[i], NULL);
		if (rc == RC_AUTH)
			return err_add(e, RC_AUTH, "the cosignature of witness '%s' does not verify",
				p->witness[i].name);
		if (rc == RC_OK)
			*(v->time_s[i] > now_s ? &v->future_mask : &v->signed_mask) |= 1ull << i;
	}
	return RC_OK;
}

/* When somebody has witnessed, and by when all who it takes had. */
struct witnessed {
	bool yes;
	uint64_t time_s;
};

static struct witnessed witnessed_by(
	const struct policy_verdict *v, const struct witnessed *groups, struct policy_ref ref)
{
	if (ref.kind == POLICY_GROUP)
		return groups[ref.index];
	if (ref.kind == POLICY_WITNESS)
		return (struct witnessed){ v->signed_mask >> ref.index & 1, v->time_s[ref.index] };
	return (struct witnessed){ true, 0 };
}

/* The k latest of a group's members: the earliest of these is the group's time. */
static struct witnessed group_witnessed(
	const struct policy_group *g, const struct policy_verdict *v, const struct witnessed *groups)
{
	uint64_t latest[POLICY_WITNESSES_MAX + POLICY_GROUPS_MAX];
	size_t n = 0;

	assert(g->threshold >= 1 && g->threshold <= g->members_n);
	for (size_t m = 0; m < g->members_n; m++) {
		struct witnessed w = witnessed_by(v, groups, g->member[m]);
		if (!w.yes)
			continue;
		size_t at = n++;
		for (; at > 0 && latest[at - 1] < w.time_s; at--)
			latest[at] = latest[at - 1];
		latest[at] = w.time_s;
	}
	if (n < g->threshold)
		return (struct witnessed){ false, 0 };
	return (struct witnessed){ true, latest[g->threshold - 1] };
}

static enum rc witnesses_at(const struct policy *p, const struct note *note, uint64_t now_s,
	struct policy_verdict *ret_verdict, struct err *e)
{
	struct witnessed groups[POLICY_GROUPS_MAX];

	memset(ret_verdict, 0, sizeof *ret_verdict);
	enum rc rc = judge_witnesses(p, note, now_s, ret_verdict, e);
	if (rc != RC_OK)
		return rc;
	assert((ret_verdict->signed_mask & ret_verdict->future_mask) == 0);
	for (size_t i = 0; i < p->groups_n; i++)
		groups[i] = group_witnessed(&p->group[i], ret_verdict, groups);
	struct witnessed q = witnessed_by(ret_verdict, groups, p->quorum);
	ret_verdict->quorum = q.yes;
	ret_verdict->quorum_time_s = q.yes ? q.time_s : 0;
	return RC_OK;
}

enum rc policy_witnesses(
	const struct policy *p, const struct note *note, struct policy_verdict *ret_verdict, struct err *e)
{
	return witnesses_at(p, note, UINT64_MAX, ret_verdict, e);
}

enum rc policy_evaluate(
	const struct policy *p, const struct note *note, struct policy_verdict *ret_verdict, struct err *e)
{
	return policy_evaluate_at(p, note, UINT64_MAX, ret_verdict, e);
}

enum rc policy_evaluate_at(const struct policy *p, const struct note *note, uint64_t now_s,
	struct policy_verdict *ret_verdict, struct err *e)
{
	enum rc rc = witnesses_at(p, note, now_s, ret_verdict, e);

	rc = rc ? rc : judge_logs(p, note, ret_verdict, e);
	if (rc != RC_OK)
		return rc;
	if (p->logs_n > 0 && !ret_verdict->log_signed)
		return err_add(e, RC_AUTH, "the checkpoint is not signed by a log of the policy");
	if (!ret_verdict->quorum)
		return err_add(e, RC_AUTH,
			"the quorum '%s' is not reached: %d of the policy's %zu witnesses cosigned",
			name_of(p, p->quorum), __builtin_popcountll(ret_verdict->signed_mask),
			p->witnesses_n);
	return RC_OK;
}
