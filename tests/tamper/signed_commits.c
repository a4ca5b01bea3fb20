/*
 * What somebody can do to a history of configurations whose commits are signed, with the gateway and its ledger's key in hand, and whether `verify
 * config` finds it: a row for each way, in its words. Keys and signatures are ssh-keygen's.
 */
#include "admin/signed.h"
#include "ledger/entry.h"
#include "verify/signed_commits.h"

#include "../unit/admin/ssh_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define EVENTS_MAX 32
#define TEXTS_MAX  12
#define GOOD	   "" /* nothing is found */

enum { ALICE, BOB, CAROL, DAVE, EVE, PEOPLE };

static const char *const names[PEOPLE] = { "alice", "bob", "carol", "dave", "eve" };
static const char *const roles[PEOPLE] = { "engineer", "engineer", "security-officer", "security-officer",
	"auditor" };
static char keys[PEOPLE][2048];

struct event {
	enum ledger_type type;
	size_t n;
	char body[LEDGER_BODY_TEXT_MAX];
};

static struct world {
	size_t events_n, texts_n;
	struct event event[EVENTS_MAX];
	struct {
		char text[8192];
		uint8_t sha256[SHA256_SIZE];
		bool gone;
	} text[TEXTS_MAX];
	unsigned now;			   /* text that runs */
	uint8_t certificates[SHA256_SIZE]; /* of the next commit, as signers have them */
	uint32_t entered_options;
	uint64_t generation;
} w;

/* ---- the world ---- */

/* A configuration: who is there, how many must sign, and a name to tell texts apart. */
static unsigned text_make(unsigned without, unsigned required, const char *more, const char *host)
{
	char *to = w.text[w.texts_n].text;
	size_t size = sizeof w.text[0].text, at;

	at = (size_t)snprintf(to, size, "system {\n    host-name %s;\n    administrators {\n", host);
	for (unsigned i = 0; i < PEOPLE; i++)
		if (i != without)
			at += (size_t)snprintf(to + at, size - at,
				"        administrator %s {\n            role %s;\n            key \"%s\";\n        }\n",
				names[i], roles[i], keys[i]);
	at += (size_t)snprintf(to + at, size - at,
		"    }\n    commit {\n        signatures-required %u;\n%s    }\n}\n", required, more);
	assert_true(at < size);
	sha256(w.text[w.texts_n].sha256, to, at);
	return (unsigned)w.texts_n++;
}

static struct event *event_add(const struct ledger_body *b, size_t n)
{
	struct event *e = &w.event[w.events_n++];

	assert_true(w.events_n <= EVENTS_MAX && n > 0);
	e->type = b->type;
	e->n = n;
	memcpy(e->body, b->text, n);
	return e;
}

static void loaded(unsigned text, uint64_t generation)
{
	struct ledger_body b;
	char hex[65];

	ledger_body_begin(&b, LEDGER_CONFIG_LOAD);
	ledger_body_u64(&b, "generation", generation);
	ledger_body_str(&b, "sha256", hex_from_bytes(hex, w.text[text].sha256, 32));
	event_add(&b, ledger_body_done(&b));
	w.now = text;
	w.generation = generation;
}

/* Signed by the key of that person over this statement, for the commit of `text`. */
static void signed_over(unsigned person, const struct signed_statement *s, const char *name_space,
	unsigned text, uint64_t generation)
{
	char statement[SIGNED_STATEMENT_MAX], armor[SSHSIG_ARMOR_MAX], hex[65],
		digits[BASE64_SIZE(SSHSIG_BLOB_MAX)];
	uint8_t blob[SSHSIG_BLOB_MAX];
	struct ledger_body b;
	size_t n;

	ssh_file_write("statement", statement, signed_statement_text(statement, s));
	assert_int_equal(ssh_run(armor, sizeof armor, "ssh-keygen -q -Y sign -n %s -f %s <statement",
				 name_space, names[person]),
		0);
	assert_int_equal(sshsig_from_armor(blob, &n, armor, strlen(armor), NULL), RC_OK);
	n = base64_from_bytes(digits, blob, n);
	assert_true(n < 760);
	ledger_body_begin(&b, LEDGER_CONFIG_SIGNATURE);
	ledger_body_str(&b, "admin", names[person]);
	ledger_body_str(&b, "certificates", ""); /* verify goes by config_certificates */
	ledger_body_u64(&b, "confirm_within", s->confirm_minutes);
	ledger_body_u64(&b, "generation", generation);
	ledger_body_str(&b, "key", "SHA256:x");
	ledger_body_str(&b, "options", signed_options_text(w.entered_options));
	ledger_body_str(&b, "sha256", hex_from_bytes(hex, w.text[text].sha256, 32));
	ledger_body_str(&b, "signature_0", digits);
	ledger_body_str(&b, "signature_1", "");
	event_add(&b, ledger_body_done(&b));
}

static struct signed_statement statement_of(
	unsigned base, unsigned text, uint64_t base_generation, uint32_t minutes)
{
	struct signed_statement s = { .base_generation = base_generation, .confirm_minutes = minutes };

	memcpy(s.base, w.text[base].sha256, 32);
	memcpy(s.text, w.text[text].sha256, 32);
	memcpy(s.certificates, w.certificates, 32);
	return s;
}

static void signs(unsigned person, unsigned text, uint32_t minutes)
{
	struct signed_statement s = statement_of(w.now, text, w.generation, minutes);

	signed_over(person, &s, SIGNED_NAMESPACE, text, w.generation + 1);
}

static void committed(const char *admin, unsigned text, uint32_t minutes)
{
	struct ledger_body b;
	char hex[65];

	ledger_body_begin(&b, LEDGER_CONFIG_COMMIT);
	ledger_body_str(&b, "admin", admin);
	ledger_body_str(&b, "comment", "");
	ledger_body_strf(&b, "confirm_within", "%u", minutes);
	ledger_body_u64(&b, "generation", ++w.generation);
	ledger_body_str(&b, "previous", hex_from_bytes(hex, w.text[w.now].sha256, 32));
	ledger_body_str(&b, "sha256", hex_from_bytes(hex, w.text[text].sha256, 32));
	event_add(&b, ledger_body_done(&b));
	w.now = text;
}

static enum rc text_find(void *context, const uint8_t wanted[SHA256_SIZE], char **ret_text, size_t *ret_n)
{
	for (size_t i = 0; i < w.texts_n; i++)
		if (!w.text[i].gone && memcmp(w.text[i].sha256, wanted, SHA256_SIZE) == 0) {
			*ret_text = strdup(w.text[i].text);
			*ret_n = strlen(w.text[i].text);
			return RC_OK;
		}
	*ret_text = NULL;
	return RC_NOT_FOUND;
}

static struct signed_commits_report verify(void)
{
	struct signed_commits_check *c = signed_commits_check_new(text_find, NULL);
	struct signed_commits_report r;

	for (size_t i = 0; i < w.events_n; i++) {
		struct ledger_entry entry = {
			.type = w.event[i].type, .body = w.event[i].body, .body_n = w.event[i].n
		};
		assert_int_equal(ledger_body_check(entry.type, entry.body, entry.body_n, NULL), RC_OK);
		assert_int_equal(signed_commits_check_entry(c, &entry, i), RC_OK);
	}
	signed_commits_check_end(c, &r);
	signed_commits_check_free(c);
	return r;
}

/* ---- the history: nothing demanded, then two signatures, then commits under it ---- */

enum { FREE, SIGNED, NEXT, LATER, WITHOUT_BOB, LOWERED, PATHS, NEXT_WITHOUT_BOB, PKI, PKI_LATER, TEXTS };

static void begin(void)
{
	memset(&w, 0, sizeof w);
	text_make(PEOPLE, 0, "", "free");
	text_make(PEOPLE, 2, "", "signed");
	text_make(PEOPLE, 2, "", "next");
	text_make(PEOPLE, 2, "", "later");
	text_make(BOB, 2, "", "signed");
	text_make(PEOPLE, 1, "", "signed");
	text_make(PEOPLE, 2,
		"        path \"system host-name\" {\n            signatures-required 1;\n        }\n",
		"signed");
	text_make(BOB, 2, "", "next");
	text_make(PEOPLE, 0, "        path pki {\n            signatures-required 2;\n        }\n", "signed");
	text_make(PEOPLE, 0, "        path pki {\n            signatures-required 2;\n        }\n", "later");
	assert_int_equal(w.texts_n, TEXTS);
	loaded(FREE, 1);
	committed("root (console)", SIGNED, 0);
}

/* Two engineers change the name. */
static void good_commit(unsigned text)
{
	signs(ALICE, text, 0);
	signs(BOB, text, 0);
	committed("alice (ssh)", text, 0);
}

static void nothing(void)
{
	good_commit(NEXT);
	good_commit(LATER);
}

static void as_security_officers(void)
{
	signs(CAROL, WITHOUT_BOB, 0);
	signs(DAVE, WITHOUT_BOB, 0);
	committed("carol (ssh)", WITHOUT_BOB, 0);
}

static void one_short(void)
{
	signs(ALICE, NEXT, 0);
	committed("alice (ssh)", NEXT, 0);
}

static void unsigned_by_root(void)
{
	committed("root (console)", NEXT, 0);
}

static void twice_by_the_same(void)
{
	signs(ALICE, NEXT, 0);
	signs(ALICE, NEXT, 0);
	committed("alice (ssh)", NEXT, 0);
}

static void of_another_text(void)
{
	struct signed_statement s = statement_of(w.now, LATER, w.generation, 0);

	signs(ALICE, NEXT, 0);
	signed_over(BOB, &s, SIGNED_NAMESPACE, NEXT, w.generation + 1);
	committed("alice (ssh)", NEXT, 0);
}

static void of_another_base(void)
{
	struct signed_statement s = statement_of(FREE, NEXT, w.generation, 0);

	signs(ALICE, NEXT, 0);
	signed_over(BOB, &s, SIGNED_NAMESPACE, NEXT, w.generation + 1);
	committed("alice (ssh)", NEXT, 0);
}

static void of_another_time(void)
{
	struct signed_statement s = statement_of(w.now, NEXT, w.generation - 1, 0);

	signs(ALICE, NEXT, 0);
	signed_over(BOB, &s, SIGNED_NAMESPACE, NEXT, w.generation + 1);
	committed("alice (ssh)", NEXT, 0);
}

static void for_another_purpose(void)
{
	struct signed_statement s = statement_of(w.now, NEXT, w.generation, 0);

	signs(ALICE, NEXT, 0);
	signed_over(BOB, &s, "file", NEXT, w.generation + 1);
	committed("alice (ssh)", NEXT, 0);
}

static void by_somebody_removed(void)
{
	as_security_officers();
	signs(ALICE, NEXT_WITHOUT_BOB, 0);
	signs(BOB, NEXT_WITHOUT_BOB, 0);
	committed("alice (ssh)", NEXT_WITHOUT_BOB, 0);
}

static void by_whom_it_adds(void)
{
	as_security_officers();
	signs(CAROL, SIGNED, 0);
	signs(BOB, SIGNED, 0);
	committed("carol (ssh)", SIGNED, 0);
}

static void by_a_role_that_may_not(void)
{
	signs(ALICE, NEXT, 0);
	signs(EVE, NEXT, 0);
	committed("alice (ssh)", NEXT, 0);
}

static void by_a_role_for_other_places(void)
{
	signs(ALICE, WITHOUT_BOB, 0);
	signs(CAROL, WITHOUT_BOB, 0);
	committed("alice (ssh)", WITHOUT_BOB, 0);
}

static void lowered_at_once(void)
{
	signs(CAROL, LOWERED, 0);
	committed("carol (ssh)", LOWERED, 0);
}

static void lowered_as_demanded(void)
{
	signs(CAROL, LOWERED, 0);
	signs(DAVE, LOWERED, 0);
	committed("carol (ssh)", LOWERED, 0);
	signs(ALICE, NEXT, 0); /* one is enough for the name, but two texts differ in the number as well */
	committed("alice (ssh)", NEXT, 0);
}

static void path_as_demanded(void)
{
	signs(CAROL, PATHS, 0);
	signs(DAVE, PATHS, 0);
	committed("carol (ssh)", PATHS, 0);
	/* The name alone needs one signature; a text that takes the path away again, those of two who may. */
	char *name = strstr(w.text[NEXT].text, "    }\n}\n");
	strcpy(name,
		"        path \"system host-name\" {\n            signatures-required 1;\n        }\n    }\n}\n");
	sha256(w.text[NEXT].sha256, w.text[NEXT].text, strlen(w.text[NEXT].text));
	signs(BOB, NEXT, 0);
	committed("bob (ssh)", NEXT, 0);
}

static void path_lowers_nothing_else(void)
{
	signs(CAROL, PATHS, 0);
	signs(DAVE, PATHS, 0);
	committed("carol (ssh)", PATHS, 0);
	signs(CAROL, LOWERED, 0);
	committed("carol (ssh)", LOWERED, 0);
}

static void text_missing(void)
{
	nothing();
	w.text[NEXT].gone = true;
}

static void last_text_missing(void)
{
	nothing();
	w.text[LATER].gone = true;
}

static void first_text_missing(void)
{
	nothing();
	w.text[FREE].gone = true;
}

static void entry_removed(void)
{
	nothing();
	/* load, commit, and two signatures with a commit twice: the first of them goes. */
	memmove(&w.event[2], &w.event[5], 3 * sizeof w.event[0]);
	w.events_n -= 3;
}

static void order_changed(void)
{
	struct event swap[3];

	nothing();
	memcpy(swap, &w.event[2], sizeof swap);
	memcpy(&w.event[2], &w.event[5], sizeof swap);
	memcpy(&w.event[5], swap, sizeof swap);
}

static void signature_moved(void)
{
	nothing();
	w.event[5] = w.event[2];
}

static void file_changed(void)
{
	nothing();
	loaded(FREE, w.generation + 1);
	committed("root (console)", LOWERED, 0);
}

static void restart(void)
{
	nothing();
	loaded(LATER, w.generation);
}

static void came_back(void)
{
	signs(ALICE, NEXT, 10);
	signs(BOB, NEXT, 10);
	committed("alice (ssh)", NEXT, 10);
	committed("", SIGNED, 0);
	good_commit(LATER);
}

static void came_back_unforeseen(void)
{
	good_commit(NEXT);
	committed("", SIGNED, 0);
}

static void came_back_to_another(void)
{
	signs(ALICE, NEXT, 10);
	signs(BOB, NEXT, 10);
	committed("alice (ssh)", NEXT, 10);
	committed("", FREE, 0);
}

static void confirmed_and_came_back(void)
{
	struct ledger_body b;

	signs(ALICE, NEXT, 10);
	signs(BOB, NEXT, 10);
	committed("alice (ssh)", NEXT, 10);
	ledger_body_begin(&b, LEDGER_ADMIN_ACT);
	ledger_body_str(&b, "act", "confirm");
	ledger_body_str(&b, "admin", "alice (ssh)");
	ledger_body_str(&b, "detail", "generation 3");
	event_add(&b, ledger_body_done(&b));
	committed("", SIGNED, 0);
}

/* The entry says ten minutes, and who signed did not. */
static void confirm_added(void)
{
	signs(ALICE, NEXT, 0);
	signs(BOB, NEXT, 0);
	committed("alice (ssh)", NEXT, 10);
	committed("", SIGNED, 0);
}

static void refused(unsigned text, uint64_t generation)
{
	struct ledger_body b;
	char hex[65];

	ledger_body_begin(&b, LEDGER_CONFIG_REFUSED);
	ledger_body_str(&b, "admin", "alice (ssh)");
	ledger_body_str(&b, "error", "the disk is full");
	ledger_body_strf(&b, "generation", "%llu", (unsigned long long)generation);
	ledger_body_str(&b, "sha256", hex_from_bytes(hex, w.text[text].sha256, 32));
	event_add(&b, ledger_body_done(&b));
}

/* As entries were before they had what is ADDED now: that field goes. */
static void field_drop(const char *key)
{
	struct event *v = &w.event[w.events_n - 1];
	char name[40], *at, *end;

	snprintf(name, sizeof name, "\"%s\":\"", key);
	assert_non_null(at = strstr(v->body, name));
	assert_non_null(end = strchr(at + strlen(name), '"'));
	end += end[1] == ',' ? 2 : 1;
	memmove(at, end, strlen(end) + 1);
	v->n = strlen(v->body);
}

static void refused_after_its_entry(void)
{
	good_commit(NEXT);
	refused(NEXT, w.generation);
	w.now = SIGNED;
	w.generation--;
	good_commit(LATER);
}

/* By a gateway of before: the text says which. */
static void refused_without_a_generation(void)
{
	good_commit(NEXT);
	refused(NEXT, w.generation);
	field_drop("generation");
	w.now = SIGNED;
	w.generation--;
	good_commit(LATER);
}

/* Its text was never stored, so it is nowhere. */
static void refused_and_not_kept(void)
{
	refused_after_its_entry();
	w.text[NEXT].gone = true;
}

/* What runs is committed once more, and refused before it is entered. */
static void refused_of_the_same_text(void)
{
	good_commit(NEXT);
	refused(NEXT, w.generation + 1);
	good_commit(LATER);
}

static void first_form(unsigned person, unsigned text)
{
	struct signed_statement s = statement_of(w.now, text, w.generation, 0);

	s.is_first_form = true;
	signed_over(person, &s, SIGNED_NAMESPACE, text, w.generation + 1);
	field_drop("certificates");
	field_drop("options");
}

static void of_the_first_form(void)
{
	first_form(ALICE, NEXT);
	first_form(BOB, NEXT);
	committed("alice (ssh)", NEXT, 0);
}

/* ---- certificates ---- */

static void certificates(uint64_t generation, uint8_t which)
{
	struct ledger_body b;
	char hex[65];

	memset(w.certificates, which, sizeof w.certificates);
	ledger_body_begin(&b, LEDGER_CONFIG_CERTIFICATES);
	ledger_body_u64(&b, "certificates", 1);
	ledger_body_str(&b, "files", "a.crt");
	ledger_body_u64(&b, "generation", generation);
	ledger_body_str(&b, "set", hex_from_bytes(hex, w.certificates, 32));
	ledger_body_str(&b, "sha256", hex);
	event_add(&b, ledger_body_done(&b));
}

static void certificates_signed(void)
{
	certificates(w.generation + 1, 1);
	good_commit(NEXT);
	certificates(w.generation, 1); /* a restart */
	certificates(w.generation + 1, 2);
	good_commit(NEXT);
}

/* The text is the same, and needs two signatures as well: only what is signed differs. */
static void certificates_exchanged(void)
{
	certificates(w.generation + 1, 1);
	signs(ALICE, NEXT, 0);
	signs(BOB, NEXT, 0);
	certificates(w.generation + 1, 2);
	committed("alice (ssh)", NEXT, 0);
}

static void certificates_loaded(void)
{
	certificates(w.generation + 1, 1);
	good_commit(NEXT);
	loaded(NEXT, w.generation);
	certificates(w.generation, 2);
}

static void certificates_unsigned(void)
{
	signs(CAROL, PKI, 0);
	signs(DAVE, PKI, 0);
	committed("carol (ssh)", PKI, 0); /* from here on only pki needs signatures */
	committed("alice (ssh)", PKI_LATER, 0);
	certificates(w.generation + 1, 1);
	committed("alice (ssh)", PKI, 0);
}

/* ---- what comes back ---- */

static void free_place(void)
{
	signs(CAROL, PKI, 0);
	signs(DAVE, PKI, 0);
	committed("carol (ssh)", PKI, 0);
	committed("alice (ssh)", PKI_LATER, 10);
}

static void free_place_came_back(void)
{
	free_place();
	committed("", PKI, 0);
}

static void came_back_over_a_signed_one(void)
{
	signs(ALICE, NEXT, 10);
	signs(BOB, NEXT, 10);
	committed("alice (ssh)", NEXT, 10);
	good_commit(LATER);
	committed("", SIGNED, 0);
}

static void options_added(void)
{
	w.entered_options = SIGNED_CUT_OFF;
	good_commit(NEXT);
}

/* clang-format off */
static const struct row {
	void (*tamper)(void);
	const char *text, *found;
} rows[] = {
	{ nothing, "nothing: two commits by two engineers", GOOD },
	{ as_security_officers, "nothing: an administrator removed by two security officers", GOOD },
	{ lowered_as_demanded, "a lower number as two security officers signed it; then one signature for more than it holds for", "generation 4" },
	{ path_as_demanded, "nothing: a place that needs one signature, with one", GOOD },
	{ restart, "nothing: a restart", GOOD },
	{ came_back, "nothing: a signed commit that nobody confirmed comes back", GOOD },
	{ refused_after_its_entry, "nothing: a commit that was entered and not carried out", GOOD },
	{ refused_without_a_generation, "nothing: the same of a gateway whose refusals had no generation", GOOD },
	{ refused_and_not_kept, "nothing: the same, and its text was never stored", GOOD },
	{ refused_of_the_same_text, "nothing: what runs was committed once more, and refused", GOOD },
	{ of_the_first_form, "nothing: statements of the first form", GOOD },
	{ certificates_signed, "nothing: certificates, a restart, and others that were signed", GOOD },
	{ free_place_came_back, "nothing: an unconfirmed commit of a place that needs no signature comes back", GOOD },
	{ certificates_exchanged, "other certificates than were signed with the text", "not this key's over this message" },
	{ certificates_loaded, "other certificates at a start than were committed", "loaded with other certificates" },
	{ certificates_unsigned, "other certificates without the signatures that `pki` needs", "has 0 signatures" },
	{ options_added, "a guard overridden that the signers did not sign", "not this key's over this message" },
	{ came_back_over_a_signed_one, "what comes back undoes a signed commit that came after it", "came back without signatures" },
	{ one_short, "one signature less", "has 1 signatures, and the configuration before it demands 2" },
	{ unsigned_by_root, "no signature, by root", "has 0 signatures" },
	{ twice_by_the_same, "two signatures of one administrator", "'alice' has signed this already" },
	{ of_another_text, "a signature of another text", "not this key's over this message; in the signature of 'bob'" },
	{ of_another_base, "a signature over another base", "not this key's over this message; in the signature of 'bob'" },
	{ of_another_time, "a signature of an earlier time over the same texts", "not this key's over this message; in the signature of 'bob'" },
	{ for_another_purpose, "a signature for another purpose", "for another purpose" },
	{ by_somebody_removed, "a signature of an administrator who was removed", "no administrator's" },
	{ by_whom_it_adds, "a signature of an administrator whom this commit adds", "no administrator's" },
	{ by_a_role_that_may_not, "a signature of an auditor", "the role auditor may not commit" },
	{ by_a_role_for_other_places, "a signature of an engineer for a change of administrators", "the role engineer may not change 'system" },
	{ lowered_at_once, "the number lowered in the commit that needs it", "has 1 signatures, and the configuration before it demands 2" },
	{ path_lowers_nothing_else, "one signature for the number itself, where a place needs only one", "demands 2" },
	{ text_missing, "a configuration removed from the history", "is missing" },
	{ last_text_missing, "the configuration that runs removed from the history", "is missing" },
	{ first_text_missing, "the first configuration removed from the history", "not known" },
	{ entry_removed, "a commit with its signatures removed from the ledger", "another configuration ran before it" },
	{ order_changed, "two commits in another order", "another configuration ran before it" },
	{ signature_moved, "a signature moved to the next commit", "a signature of another commit" },
	{ file_changed, "the stored configuration replaced while the gateway was down", "never committed" },
	{ came_back_unforeseen, "an earlier configuration comes back, which nobody signed for", "came back without signatures" },
	{ came_back_to_another, "another configuration comes back than the one before", "came back without signatures" },
	{ confirmed_and_came_back, "a commit that was confirmed comes back", "came back without signatures" },
	{ confirm_added, "a commit comes back whose signers did not sign that it may", "came back without signatures" },
};
/* clang-format on */

static void each_way(void **state)
{
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		begin();
		rows[i].tamper();
		struct signed_commits_report r = verify();
		if (rows[i].found[0] == '\0') {
			assert_string_equal(r.finding, "");
			assert_true(r.good);
		} else if (r.unknown) {
			assert_string_equal(rows[i].found, "not known");
			assert_false(r.good);
		} else {
			if (!strstr(r.finding, rows[i].found))
				fail_msg("%s: found '%s', expected '%s'", rows[i].text, r.finding,
					rows[i].found);
			assert_false(r.good);
		}
	}
}

/* What the page says is what is tested. */
static void the_page(void **state)
{
	const char *path = getenv("TAMPERINGS");
	static char page[262144], line[256];
	FILE *f = fopen(path, "r");

	assert_non_null(f);
	page[fread(page, 1, sizeof page - 1, f)] = '\0';
	fclose(f);
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		if (strncmp(rows[i].text, "nothing", 7) == 0)
			continue;
		snprintf(line, sizeof line, "\n| %s | ", rows[i].text);
		if (!strstr(page, line))
			fail_msg("docs/tamperings.md has no row '%s'", rows[i].text);
	}
}

static void counts(void **state)
{
	char text[SIGNED_COMMITS_TEXT_MAX];

	begin();
	nothing();
	struct signed_commits_report r = verify();
	assert_int_equal(r.commits, 3);
	assert_int_equal(r.free, 1);
	assert_int_equal(r.was_signed, 2);
	assert_int_equal(r.signatures, 4);
	assert_int_equal(r.in_force, 4);
	assert_int_equal(r.required, 2);
	assert_true(signed_commits_report_text(&r, text, sizeof text) > 0);
	assert_non_null(strstr(text, "configurations: good"));
	assert_true(signed_commits_report_json(&r, text, sizeof text) > 0);
}

static int people_make(void **state)
{
	for (unsigned i = 0; i < PEOPLE; i++)
		ssh_key_make(names[i], "ed25519", keys[i], sizeof keys[i]);
	return 0;
}

static int people_done(void **state)
{
	ssh_done();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_way),
		cmocka_unit_test(the_page),
		cmocka_unit_test(counts),
	};
	return cmocka_run_group_tests(tests, people_make, people_done);
}
