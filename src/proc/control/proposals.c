/*
 * Commits that need signatures (admin/signed.h): what is proposed is kept on the disk until enough administrators have signed it, somebody
 * withdraws it, a week is over, or another configuration runs. The configuration that runs says how many must sign, and whose signature counts; who
 * carries a signature here says nothing. Each is checked again when the commit is made.
 *
 * A proposal is a file `proposal.SLOT`:
 *	ID BASE-GENERATION CREATED CONFIRM-MINUTES FLAGS SIGNATURES BASE-SHA256 TEXT-SHA256 CERTIFICATES-SHA256 LF
 *	author LF comment LF name LF
 *	ADMINISTRATOR FINGERPRINT BASE64 LF	for each signature
 *	the text
 */
#include "base/json.h"
#include "base/log.h"
#include "ledger/types.h"
#include "model/difference.h"
#include "proc/control/control.h"
#include "proc/control/limits.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

struct proposal *proposal_find(struct control *k, uint64_t id)
{
	for (size_t i = 0; i < WAITING_MAX; i++)
		if (k->proposals[i].id != 0 && k->proposals[i].id == id)
			return &k->proposals[i];
	return NULL;
}

static unsigned slot_of(const struct control *k, const struct proposal *p)
{
	return (unsigned)(p - k->proposals) + 1;
}

/* Nothing waits for it: what is proven stands before the commit. */
void entry_proposal(
	struct control *k, const struct proposal *p, const char *who, const char *event, const char *key)
{
	struct ledger_body b;
	char text[65];

	ledger_body_begin(&b, LEDGER_CONFIG_PROPOSAL);
	ledger_body_str(&b, "admin", who);
	ledger_body_str(&b, "event", event);
	ledger_body_str(&b, "key", key);
	ledger_body_u64(&b, "proposal", p->id);
	ledger_body_u64(&b, "required", p->required);
	ledger_body_str(&b, "sha256", hex_from_bytes(text, p->statement.text, 32));
	ledger_body_u64(&b, "signatures", p->signed_by.n);
	if (entry_send(k, LEDGER_ASYNC, &b, NULL, 0))
		log_error("proposal %" PRIu64 ": '%s' cannot be entered in the ledger", p->id, event);
}

/* ---- what is stored ---- */

static void line_put(char *to, size_t size, const char *text)
{
	snprintf(to, size, "%s", text);
	for (char *at = to; *at; at++)
		if (*at == '\n')
			*at = ' ';
}

enum rc proposal_store(struct control *k, const struct proposal *p, const char *text, size_t n, struct err *e)
{
	char *all = malloc(PROPOSAL_HEAD_MAX + n), base[65], of[65], set[65],
	     digits[BASE64_SIZE(SSHSIG_BLOB_MAX)];
	size_t at;
	enum rc rc;

	if (!all)
		return err_add(e, RC_INTERNAL, "out of memory");
	at = (size_t)snprintf(all, PROPOSAL_HEAD_MAX,
		"%" PRIu64 " %" PRIu64 " %" PRIu64 " %u %u %u %s %s %s\n%s\n%s\n%s\n", p->id,
		p->statement.base_generation, (uint64_t)p->created, p->statement.confirm_minutes, p->flags,
		p->signed_by.n, hex_from_bytes(base, p->statement.base, 32),
		hex_from_bytes(of, p->statement.text, 32), hex_from_bytes(set, p->statement.certificates, 32),
		p->author, p->comment, p->name);
	for (uint32_t i = 0; i < p->signed_by.n && at < PROPOSAL_HEAD_MAX; i++) {
		base64_from_bytes(digits, p->signature[i].blob, p->signature[i].n);
		at += (size_t)snprintf(all + at, PROPOSAL_HEAD_MAX - at, "%s %s %s\n", p->signature[i].admin,
			p->signature[i].key, digits);
	}
	if (at >= PROPOSAL_HEAD_MAX) {
		free(all);
		return err_add(e, RC_LIMIT, "a proposal's head has no room");
	}
	memcpy(all + at, text, n);
	rc = config_store_proposal_write(k->config_dir, slot_of(k, p), all, at + n, e);
	free(all);
	return rc;
}

/* The next line of at most size - 1 octets, terminated. */
static bool line_take(const char **at, const char *end, char *ret, size_t size)
{
	const char *lf = memchr(*at, '\n', (size_t)(end - *at));

	if (!lf || (size_t)(lf - *at) >= size)
		return false;
	memcpy(ret, *at, (size_t)(lf - *at));
	ret[lf - *at] = '\0';
	*at = lf + 1;
	return true;
}

static bool signature_parse(struct signed_by *s, const char *line)
{
	char digits[BASE64_SIZE(SSHSIG_BLOB_MAX)];

	_Static_assert(sizeof digits == 1536 + 1, "as sscanf is told");
	return sscanf(line, "%31s %50s %1536s", s->admin, s->key, digits) == 3 &&
	       base64_to_bytes(s->blob, sizeof s->blob, &s->n, digits, strlen(digits));
}

/* What a file says; *ret_text is where the text begins. False: it is none of ours. */
static bool head_parse(struct proposal *p, const char *all, size_t n, const char **ret_text)
{
	const char *at = all, *end = all + n;
	char line[PROPOSAL_LINE_MAX], base[65], text[65], set[65];
	uint64_t created;

	*p = (struct proposal){ 0 };
	if (!line_take(&at, end, line, sizeof line) ||
		sscanf(line,
			"%" SCNu64 " %" SCNu64 " %" SCNu64 " %u %u %u %64[0-9a-f] %64[0-9a-f] %64[0-9a-f]",
			&p->id, &p->statement.base_generation, &created, &p->statement.confirm_minutes,
			&p->flags, &p->signed_by.n, base, text, set) != 9 ||
		p->id == 0 || p->signed_by.n > SIGNED_REQUIRED_MAX ||
		!hex_to_bytes(p->statement.base, 32, base) || !hex_to_bytes(p->statement.text, 32, text) ||
		!hex_to_bytes(p->statement.certificates, 32, set) ||
		!line_take(&at, end, p->author, sizeof p->author) ||
		!line_take(&at, end, p->comment, sizeof p->comment) ||
		!line_take(&at, end, p->name, sizeof p->name))
		return false;
	p->created = created;
	p->statement.options = p->flags & SIGNED_OPTIONS;
	for (uint32_t i = 0; i < p->signed_by.n; i++)
		if (!line_take(&at, end, line, sizeof line) || !signature_parse(&p->signature[i], line))
			return false;
	*ret_text = at;
	return true;
}

enum rc proposal_text(
	struct control *k, const struct proposal *p, char **ret_text, size_t *ret_n, struct err *e)
{
	struct proposal *same = malloc(sizeof *same);
	const char *text = NULL;
	char *all = NULL;
	size_t n = 0;
	enum rc rc =
		same ? config_store_proposal_read(k->config_dir, slot_of(k, p), &all, &n, e) : RC_INTERNAL;

	*ret_text = NULL;
	if (!rc && (!head_parse(same, all, n, &text) || same->id != p->id))
		rc = err_add(e, RC_MALFORMED, "proposal %" PRIu64 " is damaged on the disk", p->id);
	free(same);
	if (rc) {
		free(all);
		return rc;
	}
	*ret_n = (size_t)(all + n - text);
	memmove(all, text, *ret_n);
	all[*ret_n] = '\0';
	*ret_text = all;
	return RC_OK;
}

void proposal_remove(struct control *k, struct proposal *p, const char *who, const char *event)
{
	if (event)
		entry_proposal(k, p, who, event, "");
	config_store_proposal_remove(k->config_dir, slot_of(k, p));
	*p = (struct proposal){ 0 };
}

/* Those whose time is over, and those over another configuration than the one that runs. */
void proposals_sweep(struct control *k)
{
	utc_us now = clock_utc();

	for (size_t i = 0; i < WAITING_MAX; i++) {
		struct proposal *p = &k->proposals[i];
		if (p->id == 0)
			continue;
		if (p->statement.base_generation != k->running.generation ||
			memcmp(p->statement.base, k->running.sha256, 32) != 0)
			proposal_remove(k, p, "", "replaced");
		else if (now > p->created + PROPOSAL_LIFE_US)
			proposal_remove(k, p, "", "expired");
	}
}

void proposals_committed(struct control *k, uint64_t id)
{
	struct proposal *p = proposal_find(k, id);

	if (p)
		proposal_remove(k, p, "", NULL); /* its commit is in the ledger */
	proposals_sweep(k);
}

void proposals_load(struct control *k)
{
	struct err e = { 0 };
	const char *text;
	char *all;
	size_t n;

	k->proposal_last = config_store_proposal_last(k->config_dir);
	for (unsigned i = 0; i < WAITING_MAX; i++) {
		struct proposal *p = &k->proposals[i];
		if (config_store_proposal_read(k->config_dir, i + 1, &all, &n, &e) != RC_OK) {
			if (e.rc != RC_NOT_FOUND)
				log_warn("%s; a proposal is lost", e.text);
			err_clear(&e);
			continue;
		}
		if (!head_parse(p, all, n, &text)) {
			log_warn("proposal.%u is malformed; it is removed", i + 1);
			config_store_proposal_remove(k->config_dir, i + 1);
			*p = (struct proposal){ 0 };
		}
		k->proposal_last = MAX_OF(k->proposal_last, p->id);
		free(all);
	}
	proposals_sweep(k);
}

/* ---- what a commit needs ---- */

static bool path_take(void *context, const char *path, const char *where)
{
	return admin_words_add_new(context, path);
}

enum rc proposals_needed(struct control *k, const char *text, size_t n, const uint8_t certificates[32],
	struct admin_words *ret_paths, uint32_t *ret_required, struct err *e)
{
	const struct running *r = &k->running;
	enum rc rc = RC_OK;

	*ret_required = 0;
	if (!r->administrators || !signed_demands(r->administrators))
		return RC_OK;
	rc = model_difference(r->text, r->n, text, n, path_take, ret_paths, e);
	if (!rc && memcmp(certificates, r->certificates_sha256, 32) != 0 &&
		!admin_words_add_new(ret_paths, "pki"))
		rc = err_add(e, RC_INTERNAL, "out of memory");
	if (!rc)
		*ret_required = signed_required(r->administrators, ret_paths);
	return rc;
}

/* NULL: all are taken, or the author has enough of them. */
static struct proposal *place_for(struct control *k, const char *author, struct err *e)
{
	struct proposal *free_one = NULL;
	unsigned own = 0;

	for (size_t i = 0; i < WAITING_MAX; i++) {
		if (k->proposals[i].id == 0 && !free_one)
			free_one = &k->proposals[i];
		else if (k->proposals[i].id != 0)
			own += speakers_are_one(k->proposals[i].author, author);
	}
	if (own >= WAITING_EACH_MAX)
		err_add(e, RC_LIMIT, "%s has %u proposals: withdraw one first (show system commit proposals)",
			author, own);
	else if (!free_one)
		err_add(e, RC_LIMIT,
			"there are %d proposals: one has to be signed or withdrawn first (show system commit proposals)",
			WAITING_MAX);
	return own < WAITING_EACH_MAX ? free_one : NULL;
}

void proposals_add(struct control *k, struct commit *m, const struct client *c, uint32_t required)
{
	struct proposal *p = NULL;
	struct err e = { 0 };

	proposals_sweep(k);
	if (!(p = place_for(k, c->who, &e)) ||
		config_store_proposal_last_write(k->config_dir, k->proposal_last + 1, &e)) {
		client_end(m->client, e.rc, 0, "%s, so nothing is proposed", e.text);
		return;
	}
	*p = (struct proposal){ .id = ++k->proposal_last,
		.created = clock_utc(),
		.required = required,
		.flags = c->request.flags };
	p->statement = (struct signed_statement){ .base_generation = k->running.generation,
		.confirm_minutes = m->confirm_minutes,
		.options = p->flags & SIGNED_OPTIONS };
	memcpy(p->statement.certificates, m->next.certificates_sha256, 32);
	memcpy(p->statement.base, k->running.sha256, 32);
	memcpy(p->statement.text, m->next.sha256, 32);
	snprintf(p->author, sizeof p->author, "%s", c->who);
	line_put(p->comment, sizeof p->comment, m->comment);
	line_put(p->name, sizeof p->name, c->request.name);
	if (proposal_store(k, p, m->next.text, m->next.n, &e)) {
		*p = (struct proposal){ 0 };
		client_end(m->client, e.rc, 0, "%s, so nothing is proposed", e.text);
		return;
	}
	entry_proposal(k, p, p->author, "proposed", "");
	log_info("proposal %" PRIu64 " by %s needs %u signatures", p->id, p->author, required);
	client_end(m->client, RC_OK, (uint32_t)p->id,
		"proposal %" PRIu64
		": nothing is changed until %u administrators have signed it (plaingate commit sign %" PRIu64
		")",
		p->id, required, p->id);
}

enum rc proposals_read(struct control *k, uint32_t id, char ret_statement[SIGNED_STATEMENT_MAX],
	char **ret_text, size_t *ret_n, struct err *e)
{
	const struct proposal *p;

	proposals_sweep(k);
	if (!(p = proposal_find(k, id)))
		return err_add(e, RC_NOT_FOUND,
			"there is no proposal %u: show system commit proposals lists them", id);
	signed_statement_text(ret_statement, &p->statement);
	return proposal_text(k, p, ret_text, ret_n, e);
}

/* Ahead of config_commit, whose receipt stands for them as well. */
enum rc entry_config_signatures(struct control *k, const struct commit *m)
{
	char digits[BASE64_SIZE(SSHSIG_BLOB_MAX)], text[65];
	struct ledger_body b;

	for (uint32_t i = 0; i < m->signatures_n; i++) {
		const struct signed_by *s = &m->signature[i];
		base64_from_bytes(digits, s->blob, s->n);
		ledger_body_begin(&b, LEDGER_CONFIG_SIGNATURE);
		ledger_body_str(&b, "admin", s->admin);
		ledger_body_str(&b, "certificates",
			m->next.certificates ? hex_from_bytes(text, m->next.certificates_sha256, 32) : "");
		ledger_body_u64(&b, "confirm_within", m->confirm_minutes);
		ledger_body_u64(&b, "generation", m->next.generation);
		ledger_body_str(&b, "key", s->key);
		ledger_body_str(&b, "options", signed_options_text(m->options));
		ledger_body_str(&b, "sha256", hex_from_bytes(text, m->next.sha256, 32));
		ledger_body_strf(&b, "signature_0", "%.*s", SIGNATURE_FIELD, digits);
		ledger_body_str(
			&b, "signature_1", strlen(digits) > SIGNATURE_FIELD ? digits + SIGNATURE_FIELD : "");
		if (entry_send(k, LEDGER_ASYNC, &b, NULL, 0)) {
			log_error("a signature of generation %llu cannot be entered in the ledger",
				(unsigned long long)m->next.generation);
			return RC_DENIED;
		}
	}
	return RC_OK;
}

/* ---- show system commit proposals ---- */

static void proposal_row(struct client *c, const struct proposal *p)
{
	char time[UTC_TEXT_MAX], until[UTC_TEXT_MAX], text[65],
		by[SIGNED_REQUIRED_MAX * (ADMIN_NAME_MAX + 2)] = "";
	struct msg_row row = { 0 };
	struct jw w = jw_over(row.json, sizeof row.json, false);
	size_t at = 0;

	for (uint32_t i = 0; i < p->signed_by.n; i++)
		at += (size_t)snprintf(by + at, sizeof by - at, "%s%s", i ? " " : "", p->signature[i].admin);
	jw_object(&w, NULL);
	jw_u64(&w, "proposal", p->id);
	jw_str(&w, "time", utc_text(time, p->created));
	jw_str(&w, "admin", p->author);
	jw_str(&w, "comment", p->comment);
	jw_u64(&w, "base", p->statement.base_generation);
	jw_u64(&w, "required", p->required);
	jw_u64(&w, "signatures", p->signed_by.n);
	jw_str(&w, "signed_by", by);
	jw_u64(&w, "confirm_within", p->statement.confirm_minutes);
	jw_str(&w, "options", signed_options_text(p->flags));
	jw_str(&w, "until", utc_text(until, p->created + PROPOSAL_LIFE_US));
	jw_str(&w, "sha256", hex_from_bytes(text, p->statement.text, 32));
	jw_end(&w);
	row.n = (uint32_t)jw_done(&w);
	if (row.n > 0)
		client_row(c, &row);
}

void proposals_show(struct client *c)
{
	struct control *k = c->control;
	uint32_t limit = c->request.show.limit, rows = 0;

	proposals_sweep(k);
	for (size_t i = 0; i < WAITING_MAX && (limit == 0 || rows < limit); i++) {
		if (k->proposals[i].id == 0)
			continue;
		proposal_row(c, &k->proposals[i]);
		rows++;
	}
	client_end(c, RC_OK, rows, "%s", "");
}
