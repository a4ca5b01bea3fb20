#include "verify/signed_commits.h"

#include "admin/signed.h"
#include "base/json.h"
#include "base/tw.h"
#include "ledger/entry.h"
#include "model/difference.h"
#include "model/model.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* An entry config_signature, until the commit that it belongs to. */
struct signature {
	uint64_t generation;
	uint32_t confirm_minutes, options;
	bool is_first_form; /* its statement has no certificates and no options */
	uint8_t sha256[SHA256_SIZE], blob[SSHSIG_BLOB_MAX];
	size_t n;
};

struct in_force {
	bool known; /* the ledger has said what runs */
	uint64_t generation;
	uint8_t sha256[SHA256_SIZE];
	bool certificates_known;
	uint8_t certificates[SHA256_SIZE]; /* all zero: it has none */
};

/* An entry config_certificates, until the commit that it belongs to. */
struct certificates {
	bool is_there, is_known;
	uint64_t generation;
	uint8_t set[SHA256_SIZE];
};

struct signed_commits_check {
	signed_text_fn *text;
	void *context;
	struct signed_commits_report report;
	struct in_force now,
		before; /* before: until the commit that was entered last, for one that was not carried out */
	struct in_force base; /* comes back unless somebody confirms; not known: nothing does */
	/* All of it as it was until the commit that was entered last: its verdict stands once it is known not to have been refused. */
	struct in_force base_before;
	struct signed_commits_report report_before;
	bool just_committed;
	struct certificates certificates;
	struct signature signature[SIGNED_REQUIRED_MAX];
	size_t signatures_n;
	bool too_many;
	uint64_t index; /* of the entry at hand */
};

/* A configuration that was in force, as its text says. */
struct rules {
	char *text;
	size_t n;
	struct administrators *administrators;
};

struct signed_commits_check *signed_commits_check_new(signed_text_fn *text, void *context)
{
	struct signed_commits_check *c = calloc(1, sizeof *c);

	if (c) {
		c->text = text;
		c->context = context;
	}
	return c;
}

void signed_commits_check_free(struct signed_commits_check *c)
{
	free(c);
}

void signed_commits_check_restart(struct signed_commits_check *c)
{
	*c = (struct signed_commits_check){ .text = c->text, .context = c->context };
}

static void __attribute__((format(printf, 2, 3))) finding(
	struct signed_commits_check *c, const char *fmt, ...)
{
	va_list ap;

	if (c->report.findings++ > 0)
		return;
	va_start(ap, fmt);
	vsnprintf(c->report.finding, sizeof c->report.finding, fmt, ap);
	va_end(ap);
	c->report.entry = c->index;
}

static void rules_done(struct rules *r)
{
	administrators_free(r->administrators);
	free(r->text);
	*r = (struct rules){ 0 };
}

/* RC_NOT_FOUND: the text is not there; RC_MALFORMED: this program does not take it. */
static enum rc rules_of(
	struct signed_commits_check *c, const uint8_t *sha256_wanted, struct rules *ret, struct err *e)
{
	uint8_t sha[SHA256_SIZE];
	struct faults faults;
	void *block = NULL;
	size_t bytes;
	enum rc rc = c->text(c->context, sha256_wanted, &ret->text, &ret->n);

	if (rc)
		return rc == RC_NOT_FOUND ? rc : err_add(e, rc, "a text cannot be read");
	sha256(sha, ret->text, ret->n);
	if (memcmp(sha, sha256_wanted, sizeof sha) != 0)
		return RC_NOT_FOUND;
	rc = model_read_administrators(
		ret->text, ret->n, "configuration", 0, sha, &block, &bytes, &ret->administrators, &faults, e);
	free(block);
	return rc;
}

static bool sha256_read(const struct ledger_entry *entry, const char *key, uint8_t *ret)
{
	return ledger_entry_hex(entry, key, ret, SHA256_SIZE);
}

static bool field_is(const struct ledger_entry *entry, const char *key, const char *text)
{
	size_t n;
	const char *value = ledger_entry_field(entry, key, &n);

	return value && n == strlen(text) && memcmp(value, text, n) == 0;
}

/* ---- signatures ---- */

static bool blob_read(const struct ledger_entry *entry, struct signature *s)
{
	char digits[BASE64_SIZE(SSHSIG_BLOB_MAX)];
	size_t first_n, rest_n;
	const char *first = ledger_entry_field(entry, "signature_0", &first_n),
		   *rest = ledger_entry_field(entry, "signature_1", &rest_n);

	if (!first || !rest || first_n + rest_n > sizeof digits)
		return false;
	memcpy(digits, first, first_n);
	memcpy(digits + first_n, rest, rest_n);
	return base64_to_bytes(s->blob, sizeof s->blob, &s->n, digits, first_n + rest_n);
}

static void signature_take(struct signed_commits_check *c, const struct ledger_entry *entry)
{
	struct signature s = { .generation = ledger_entry_number(entry, "generation"),
		.confirm_minutes = (uint32_t)ledger_entry_number(entry, "confirm_within") };
	size_t n;

	s.is_first_form = ledger_entry_field(entry, "options", &n) == NULL;
	for (uint32_t options = 0; options <= SIGNED_OPTIONS; options++)
		s.options |= field_is(entry, "options", signed_options_text(options)) ? options : 0;

	if (c->signatures_n == COUNT_OF(c->signature) || !sha256_read(entry, "sha256", s.sha256) ||
		!blob_read(entry, &s))
		c->too_many =
			true; /* what a commit of ours does not have: it is said when the commit comes */
	else
		c->signature[c->signatures_n++] = s;
}

/* ---- a commit ---- */

static bool path_take(void *context, const char *path, const char *where)
{
	return admin_words_add_new(context, path);
}

/* The signatures that were entered before the commit, over what it is. False: a finding. */
static bool signatures_good(struct signed_commits_check *c, const struct administrators *a,
	const struct in_force *next, const struct admin_words *paths, uint32_t required)
{
	struct signed_statement s = { .base_generation = next->generation - 1 };
	struct signed_count count = { 0 };
	char key[SSH_FINGERPRINT_SIZE];
	const struct administrator *who;
	struct err e = { 0 };

	memcpy(s.base, c->now.sha256, sizeof s.base);
	memcpy(s.text, next->sha256, sizeof s.text);
	memcpy(s.certificates, next->certificates, sizeof s.certificates);
	if (c->too_many)
		return finding(c, "generation %llu: its signatures are malformed, or more than %d",
			       (unsigned long long)next->generation, SIGNED_REQUIRED_MAX),
		       false;
	for (size_t i = 0; i < c->signatures_n; i++) {
		const struct signature *of = &c->signature[i];
		s.confirm_minutes = of->confirm_minutes;
		s.options = of->options;
		s.is_first_form = of->is_first_form;
		if (of->generation != next->generation ||
			memcmp(of->sha256, next->sha256, sizeof of->sha256) != 0 ||
			of->confirm_minutes != c->signature[0].confirm_minutes)
			err_add(&e, RC_DENIED, "a signature of another commit stands before it");
		else
			signed_count_add(&count, a, &s, paths, of->blob, of->n, key, &who, &e);
		if (e.rc)
			return finding(c, "generation %llu: %s", (unsigned long long)next->generation,
				       e.text),
			       false;
	}
	if (count.n < required)
		return finding(c,
			       "generation %llu has %u signatures, and the configuration before it demands %u",
			       (unsigned long long)next->generation, count.n, required),
		       false;
	c->report.was_signed += required > 0;
	c->report.free += required == 0;
	c->report.signatures += count.n;
	return true;
}

static void unreadable(struct signed_commits_check *c, const char *which, const struct in_force *of,
	enum rc rc, const struct err *e)
{
	char sha[2 * SHA256_SIZE + 1];

	if (rc == RC_NOT_FOUND)
		finding(c, "the configuration %s generation %llu is missing: no text has the SHA-256 %s",
			which, (unsigned long long)of->generation,
			hex_from_bytes(sha, of->sha256, sizeof of->sha256));
	else
		finding(c, "the configuration %s generation %llu cannot be judged: %s", which,
			(unsigned long long)of->generation, e->text);
}

/* What the commit changes, certificates as well. */
static enum rc paths_of(struct signed_commits_check *c, const struct rules *base, const struct in_force *next,
	struct admin_words *ret_paths, struct err *e)
{
	struct rules text = { 0 };
	enum rc rc = c->text(c->context, next->sha256, &text.text, &text.n);

	if (!rc)
		rc = model_difference(base->text, base->n, text.text, text.n, path_take, ret_paths, e);
	if (!rc && c->now.certificates_known && next->certificates_known &&
		memcmp(c->now.certificates, next->certificates, sizeof next->certificates) != 0 &&
		!admin_words_add_new(ret_paths, "pki"))
		rc = RC_INTERNAL;
	rules_done(&text);
	return rc;
}

/* A base that comes back: the statement that its successor's signers signed says so, or nobody had to sign what it takes back. */
static void restored(struct signed_commits_check *c, const struct in_force *next, uint32_t required)
{
	bool is_base =
		c->base.known && memcmp(c->base.sha256, next->sha256, sizeof next->sha256) == 0 &&
		(!c->base.certificates_known || !next->certificates_known ||
			memcmp(c->base.certificates, next->certificates, sizeof next->certificates) == 0);

	if (is_base || required == 0)
		c->report.restored++;
	else
		finding(c,
			"generation %llu came back without signatures, and no commit before it was to be confirmed over this text",
			(unsigned long long)next->generation);
}

/* By the configuration that runs until then. ret_required: the signatures that it needed. */
static enum rc judge(struct signed_commits_check *c, const struct rules *base, const struct in_force *next,
	bool restores, uint32_t *ret_required)
{
	struct admin_words paths = { 0 };
	struct err e = { 0 };
	enum rc rc = RC_OK;
	bool demands = signed_demands(base->administrators);

	*ret_required = 0;
	if (demands && (rc = paths_of(c, base, next, &paths, &e)) == RC_OK)
		*ret_required = signed_required(base->administrators, &paths);
	if (rc)
		unreadable(c, "of", next, rc, &e);
	else if (restores)
		restored(c, next, *ret_required);
	else if (demands)
		signatures_good(c, base->administrators, next, &paths, *ret_required);
	else
		c->report.free++;
	admin_words_done(&paths);
	return rc == RC_INTERNAL ? rc : RC_OK;
}

/* What may come back without a signature. Of a commit that needed some, those who signed it say so; and nothing comes back over a signed one. */
static void base_take(struct signed_commits_check *c, uint32_t required, uint32_t entry_minutes)
{
	uint32_t minutes = required > 0 && c->signatures_n ? c->signature[0].confirm_minutes : entry_minutes;

	if (required > 0 && !c->signatures_n)
		minutes = 0;
	if (required > 0)
		c->base.known = false;
	if (minutes > 0 && !c->base.known)
		c->base = c->now;
}

static enum rc commit_judge(
	struct signed_commits_check *c, const struct in_force *next, bool restores, uint32_t confirm_minutes)
{
	struct rules base = { 0 };
	struct err e = { 0 };
	uint32_t required = 0;
	enum rc rc = rules_of(c, c->now.sha256, &base, &e);

	if (rc == RC_NOT_FOUND && c->report.first_seen == 0) {
		c->report.unseen++;
		rc = RC_OK;
	} else if (rc && rc != RC_INTERNAL) {
		unreadable(c, "before", next, rc, &e);
		rc = RC_OK;
	} else if (!rc) {
		if (c->report.first_seen == 0)
			c->report.first_seen = next->generation;
		rc = judge(c, &base, next, restores, &required);
	}
	if (restores)
		c->base.known = false;
	else
		base_take(c, required, confirm_minutes);
	rules_done(&base);
	return rc;
}

static uint32_t confirm_minutes(const struct ledger_entry *entry)
{
	size_t n;
	const char *text = ledger_entry_field(entry, "confirm_within", &n);
	char digits[12] = "";

	if (text && n < sizeof digits)
		memcpy(digits, text, n);
	return (uint32_t)strtoul(digits, NULL, 10);
}

static enum rc commit_take(struct signed_commits_check *c, const struct ledger_entry *entry)
{
	struct in_force next = { .known = true, .generation = ledger_entry_number(entry, "generation") };
	uint8_t previous[SHA256_SIZE];
	enum rc rc = RC_OK;
	size_t admin_n = 0;
	const char *admin = ledger_entry_field(entry, "admin", &admin_n);

	c->report_before = c->report;
	c->base_before = c->base;
	c->report.commits++;
	next.certificates_known = true;
	if (c->certificates.is_there && c->certificates.generation == next.generation) {
		next.certificates_known = c->certificates.is_known;
		memcpy(next.certificates, c->certificates.set, sizeof next.certificates);
	}
	c->certificates.is_there = false;
	if (!sha256_read(entry, "sha256", next.sha256) || !sha256_read(entry, "previous", previous)) {
		finding(c,
			"the entry of generation %llu is malformed: expected the SHA-256 of its text and of the one before",
			(unsigned long long)next.generation);
		return RC_OK;
	}
	if (!c->now.known)
		c->now = (struct in_force){ .known = true, .generation = next.generation - 1 },
		memcpy(c->now.sha256, previous, sizeof previous);
	if (memcmp(previous, c->now.sha256, sizeof previous) != 0)
		finding(c,
			"generation %llu says that another configuration ran before it than the ledger: an entry is missing, or out of order",
			(unsigned long long)next.generation);
	else
		rc = commit_judge(c, &next, admin && admin_n == 0, confirm_minutes(entry));
	c->before = c->now;
	c->now = next;
	c->just_committed = true;
	c->signatures_n = 0;
	c->too_many = false;
	return rc;
}

/* ---- what else the ledger says about configurations ---- */

/* A commit that was entered and then not carried out: what ran before it runs, and what was found about it is nothing. */
static void refused(struct signed_commits_check *c)
{
	c->now = c->before;
	c->base = c->base_before;
	c->report = c->report_before;
	c->just_committed = false;
}

static void load_take(struct signed_commits_check *c, const struct ledger_entry *entry)
{
	struct in_force loaded = { .known = true, .generation = ledger_entry_number(entry, "generation") };

	if (!sha256_read(entry, "sha256", loaded.sha256))
		return;
	/* The machine may have stopped between the entry of a commit and its text: then the one before it was stored. */
	bool was_before = c->just_committed && c->before.known &&
			  memcmp(loaded.sha256, c->before.sha256, SHA256_SIZE) == 0;
	if (c->now.known && memcmp(loaded.sha256, c->now.sha256, SHA256_SIZE) != 0 && !was_before)
		finding(c,
			"a configuration was loaded (generation %llu) that was never committed: its file was changed, removed or damaged",
			(unsigned long long)loaded.generation);
	if (was_before)
		refused(c);
	if (c->now.known && memcmp(loaded.sha256, c->now.sha256, SHA256_SIZE) == 0) {
		loaded.certificates_known = c->now.certificates_known;
		memcpy(loaded.certificates, c->now.certificates, sizeof loaded.certificates);
	}
	c->now = loaded;
	c->just_committed = false;
}

/* Ahead of a commit, or behind the load of what was committed. */
static enum rc certificates_take(struct signed_commits_check *c, const struct ledger_entry *entry)
{
	struct certificates set = { .is_there = true,
		.generation = ledger_entry_number(entry, "generation") };
	struct rules rules = { 0 };
	struct err e = { 0 };
	enum rc rc = RC_OK;

	set.is_known = sha256_read(entry, "set", set.set);
	if (!c->now.known || set.generation != c->now.generation) {
		c->certificates = set;
		return RC_OK;
	}
	if (set.is_known && c->now.certificates_known &&
		memcmp(set.set, c->now.certificates, sizeof set.set) != 0) {
		rc = rules_of(c, c->now.sha256, &rules, &e);
		if (!rc && signed_demands(rules.administrators))
			finding(c,
				"generation %llu was loaded with other certificates than it was committed with: its files were changed, removed or damaged",
				(unsigned long long)c->now.generation);
		rules_done(&rules);
	}
	c->now.certificates_known = set.is_known;
	memcpy(c->now.certificates, set.set, sizeof set.set);
	return rc == RC_INTERNAL ? rc : RC_OK;
}

/* The commit whose entry is the last of a configuration; entries from before refusals had a generation name its text alone. */
static bool refuses_last(const struct signed_commits_check *c, const struct ledger_entry *entry)
{
	uint8_t sha[SHA256_SIZE];
	char digits[24] = "";
	size_t n;
	const char *generation = ledger_entry_field(entry, "generation", &n);

	if (!c->just_committed || !c->before.known || !sha256_read(entry, "sha256", sha) ||
		memcmp(sha, c->now.sha256, sizeof sha) != 0)
		return false;
	if (!generation)
		return true;
	if (n < sizeof digits)
		memcpy(digits, generation, n);
	return strtoull(digits, NULL, 10) == c->now.generation;
}

static void refusal_take(struct signed_commits_check *c, const struct ledger_entry *entry)
{
	if (refuses_last(c, entry))
		refused(c);
	c->certificates.is_there = false;
	c->signatures_n = 0;
	c->too_many = false;
}

enum rc signed_commits_check_entry(
	struct signed_commits_check *c, const struct ledger_entry *entry, uint64_t index)
{
	c->index = index;
	switch (entry->type) {
	case LEDGER_CONFIG_COMMIT:
		return commit_take(c, entry);
	case LEDGER_CONFIG_SIGNATURE:
		signature_take(c, entry);
		break;
	case LEDGER_CONFIG_CERTIFICATES:
		return certificates_take(c, entry);
	case LEDGER_CONFIG_LOAD:
		load_take(c, entry);
		break;
	case LEDGER_CONFIG_REFUSED:
		refusal_take(c, entry);
		break;
	case LEDGER_ADMIN_ACT:
		if (field_is(entry, "act", "confirm"))
			c->base.known = false;
		break;
	default:
		break;
	}
	return RC_OK;
}

void signed_commits_check_end(struct signed_commits_check *c, struct signed_commits_report *ret)
{
	struct rules last = { 0 };
	struct err e = { 0 };
	enum rc rc;

	c->report.in_force = c->now.generation;
	if (c->now.known) {
		hex_from_bytes(c->report.sha256, c->now.sha256, sizeof c->now.sha256);
		rc = rules_of(c, c->now.sha256, &last, &e);
		if (rc)
			unreadable(c, "of", &c->now, rc, &e);
		else
			c->report.required = last.administrators->signatures.required;
		rules_done(&last);
	}
	c->report.good = c->report.findings == 0 && c->report.unseen == 0;
	c->report.unknown = c->report.findings == 0 && c->report.unseen > 0;
	*ret = c->report;
	model_done();
}

/* ---- the report ---- */

size_t signed_commits_report_text(const struct signed_commits_report *r, char *ret_text, size_t size)
{
	struct tw w = tw_over(ret_text, size);

	if (r->good)
		tw_say(&w, "configurations: good\n");
	else if (r->unknown)
		tw_say(&w,
			"configurations: NOT KNOWN\n%llu configurations before generation %llu are not there: whether they demanded "
			"signatures is not known\n",
			(unsigned long long)r->unseen, (unsigned long long)r->first_seen);
	else
		tw_say(&w, "configurations: NOT GOOD\nentry %llu of the ledger: %s\n",
			(unsigned long long)r->entry, r->finding);
	if (r->staleness[0])
		tw_say(&w, "NOT PROVED: whoever has the ledger's key may have left entries out: %s\n",
			r->staleness);
	if (r->findings > 1)
		tw_say(&w, "%llu more findings\n", (unsigned long long)r->findings - 1);
	tw_say(&w,
		"%llu commits: %llu signed as the configuration before demanded (%llu signatures), %llu for which it demanded none, "
		"%llu that came back unconfirmed\n",
		(unsigned long long)r->commits, (unsigned long long)r->was_signed,
		(unsigned long long)r->signatures, (unsigned long long)r->free,
		(unsigned long long)r->restored);
	if (r->sha256[0])
		tw_say(&w, "in force: generation %llu, SHA-256 %s, which demands %u signatures\n",
			(unsigned long long)r->in_force, r->sha256, r->required);
	return tw_done(&w);
}

size_t signed_commits_report_json(const struct signed_commits_report *r, char *ret_text, size_t size)
{
	struct jw w = jw_over(ret_text, size, true);

	jw_object(&w, NULL);
	jw_u64(&w, "commits", r->commits);
	if (r->findings)
		jw_u64(&w, "entry", r->entry);
	jw_str(&w, "finding", r->finding);
	jw_u64(&w, "findings", r->findings);
	jw_u64(&w, "first_seen", r->first_seen);
	jw_u64(&w, "free", r->free);
	jw_bool(&w, "good", r->good);
	jw_u64(&w, "in_force", r->in_force);
	jw_u64(&w, "required", r->required);
	jw_u64(&w, "restored", r->restored);
	jw_str(&w, "sha256", r->sha256);
	jw_u64(&w, "signatures", r->signatures);
	jw_u64(&w, "signed", r->was_signed);
	jw_str(&w, "staleness", r->staleness);
	jw_u64(&w, "unseen", r->unseen);
	jw_end(&w);
	return jw_done(&w);
}
