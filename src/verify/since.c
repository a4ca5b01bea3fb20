/*
 * Verifying from a kept head on. Who has verified a log keeps where the walk stood at its checkpoint: the
 * signed head, the hashes of the tiles that were not full yet, and what the next entries are held to (boot,
 * clocks, counters, one-time keys, how the log began). The next walk begins there and reads what came since.
 *
 * The hashes make the head's root, which is checked, and the log's key has signed the head; so the tree that
 * grows from them is the same log's, or its root is not the one that the newest checkpoint signs. What else
 * the file says is the word of whoever verified and kept it: its digest is against accidents alone.
 *
 *   plaingate/verified/1
 *   version <of the program that verified>
 *   head <base64 of the signed note>
 *   tile <level> <hashes in hex>			of each level that has an open tile, ascending
 *   boot <hex> <mono> <utc> <UTC - mono, hex of 64 bits>
 *   counters <as in a LEDGER_COUNTERS entry>
 *   start closed|open					open: seal_epoch is due
 *   seals none | <root> <begins> <next> <sealed>
 *   recovery none | <base64 of the entry>
 *   sha256 <of all before this line>
 */
#include "base/bytes.h"
#include "base/tw.h"
#include "merkle/lines.h"
#include "verify/internal.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#define FORM_BEGINS "plaingate/verified/"
#define FORM	    FORM_BEGINS "1"
#define DIGEST_LINE (sizeof "sha256 \n" - 1 + 2 * SHA256_SIZE)

typedef unsigned long long ull;

static uint32_t open_width(const struct walk *w, unsigned level)
{
	return (uint32_t)((w->edge.size >> (8 * level)) % TILE_WIDTH);
}

/* ---- keeping ---- */

static void say_base64(struct tw *t, const void *bytes, size_t n)
{
	char *text = malloc(BASE64_SIZE(n));

	if (text)
		base64_from_bytes(text, bytes, n);
	tw_say(t, "%s\n", text ? text : "");
	t->bad |= !text;
	free(text);
}

static void say_tiles(struct tw *t, const struct walk *w)
{
	char hex[2 * SHA256_SIZE + 1];

	for (unsigned level = 0; level < TILE_LEVELS; level++) {
		uint32_t width = open_width(w, level);
		if (width > 0)
			tw_say(t, "tile %u ", level);
		for (uint32_t i = 0; i < width; i++)
			tw_say(t, "%s%s", hex_from_bytes(hex, w->open[level][i].b, SHA256_SIZE),
				i + 1 < width ? "" : "\n");
	}
}

static void say_order(struct tw *t, const struct walk *w)
{
	char boot[2 * LEDGER_BOOT_SIZE + 1], root[2 * SHA256_SIZE + 1], text[LEDGER_COUNTERS_TEXT_MAX];
	const struct seals *s = &w->seals;

	ledger_counters_text(&w->counters, text);
	tw_say(t, "boot %s %llu %llu %016llx\ncounters %s\nstart %s\n",
		hex_from_bytes(boot, w->boot, sizeof w->boot), (ull)w->last_mono, (ull)w->last_utc,
		(ull)w->clock_offset, text, w->start_open ? "open" : "closed");
	if (s->any) /* one that was read and not checked is after this head */
		tw_say(t, "seals %s %llu %u %llu\n", hex_from_bytes(root, s->root.b, SHA256_SIZE),
			(ull)s->begins, (unsigned)(s->expected - s->more), (ull)s->sealed);
	else
		tw_say(t, "seals none\n");
}

void since_keep(struct walk *w)
{
	const struct verify_options *o = w->options;
	const struct signed_head *head = &w->heads[HEAD_CHECKPOINT];
	char *text = o->keep && w->edge.size > 0 ? malloc(VERIFY_SINCE_MAX) : NULL;
	char hex[2 * SHA256_SIZE + 1];
	uint8_t hash[SHA256_SIZE];

	if (!text)
		return;
	assert(head->any && head->c.size == w->edge.size);
	struct tw t = tw_over(text, VERIFY_SINCE_MAX);
	tw_say(&t, "%s\nversion %s\nhead ", FORM, o->program);
	say_base64(&t, head->bytes, head->bytes_n);
	say_tiles(&t, w);
	say_order(&t, w);
	tw_say(&t, "recovery ");
	if (w->recovery.any)
		say_base64(&t, w->recovery.text, w->recovery.text_n);
	else
		tw_say(&t, "none\n");
	size_t n = tw_done(&t);
	sha256(hash, text, n);
	tw_say(&t, "sha256 %s\n", hex_from_bytes(hex, hash, sizeof hash));
	if ((n = tw_done(&t)) > 0)
		o->keep(o->context, text, n);
	free(text);
}

/* ---- going on ---- */

/* Lines and the words on them; sticky. */
struct lines {
	const char *at, *end; /* of the file */
	const char *word, *line_end;
	bool bad;
};

/* The next line begins with this word. */
static void line_begin(struct lines *l, const char *key)
{
	const char *line = NULL;
	size_t n = 0, key_n = strlen(key);

	l->bad = l->bad || !line_take(&l->at, l->end, &line, &n) || n <= key_n ||
		 memcmp(line, key, key_n) != 0 || line[key_n] != ' ';
	l->word = l->bad ? NULL : line + key_n + 1;
	l->line_end = l->bad ? NULL : line + n;
}

/* One word up to the next space, or the rest of the line. */
static const char *word_take(struct lines *l, bool rest, size_t *ret_n)
{
	const char *word = l->word, *space = NULL;

	*ret_n = 0;
	if (l->bad || !word) {
		l->bad = true;
		return "";
	}
	if (!rest)
		space = memchr(word, ' ', (size_t)(l->line_end - word));
	const char *end = space ? space : l->line_end;
	l->word = space ? space + 1 : NULL;
	*ret_n = (size_t)(end - word);
	return word;
}

static uint64_t number_take(struct lines *l)
{
	uint64_t v = 0;
	size_t n;
	const char *word = word_take(l, false, &n);

	l->bad = l->bad || !line_decimal(word, n, &v);
	return v;
}

static void hex_take(struct lines *l, void *ret, size_t octets)
{
	char text[2 * SHA256_SIZE + 1];
	size_t n;
	const char *word = word_take(l, false, &n);

	l->bad = l->bad || octets > SHA256_SIZE || n != 2 * octets;
	if (l->bad)
		return;
	memcpy(text, word, n);
	text[n] = '\0';
	l->bad = !hex_to_bytes(ret, octets, text);
}

/* False: there is none, says the word. Else allocated, or l->bad. */
static bool base64_take(struct lines *l, uint8_t **ret, size_t *ret_n)
{
	size_t n;
	const char *word = word_take(l, false, &n);

	if (l->bad || (n == strlen("none") && memcmp(word, "none", n) == 0))
		return false;
	*ret = malloc(n + 1);
	l->bad = !*ret || !base64_to_bytes(*ret, n, ret_n, word, n);
	return !l->bad;
}

/* The tree as it stood: its open tiles, and the edge that they make. */
static void tiles_take(struct lines *l, struct walk *w, uint64_t size)
{
	w->edge.size = size;
	for (unsigned level = 0; level < TILE_LEVELS; level++)
		w->hashes[level] = size >> (8 * level);
	for (unsigned level = 0; level < TILE_LEVELS; level++) {
		struct merkle_edge open = { 0 };
		uint32_t width = open_width(w, level);
		char one[2 * SHA256_SIZE + 1];
		size_t n = 0;
		if (width == 0)
			continue;
		line_begin(l, "tile");
		l->bad |= number_take(l) != level;
		const char *hex = word_take(l, true, &n);
		l->bad |= n != width * (size_t)2 * SHA256_SIZE;
		for (uint32_t i = 0; i < width && !l->bad; i++) {
			memcpy(one, hex + i * (size_t)2 * SHA256_SIZE, sizeof one - 1);
			one[sizeof one - 1] = '\0';
			l->bad |= !hex_to_bytes(w->open[level][i].b, SHA256_SIZE, one);
			merkle_edge_add(&open, &w->open[level][i]);
		}
		for (unsigned k = 0; k < 8; k++)
			w->edge.subtree[8 * level + k] = open.subtree[k];
	}
}

static void order_take(struct lines *l, struct walk *w)
{
	struct seals *s = &w->seals;
	uint8_t offset[8] = { 0 };
	size_t n;

	line_begin(l, "boot");
	hex_take(l, w->boot, sizeof w->boot);
	w->last_mono = number_take(l);
	w->last_utc = number_take(l);
	hex_take(l, offset, sizeof offset);
	w->clock_offset = (int64_t)load_be64(offset);
	line_begin(l, "counters");
	const char *text = word_take(l, true, &n);
	l->bad = l->bad || !ledger_counters_read(text, n, &w->counters);
	line_begin(l, "start");
	text = word_take(l, false, &n);
	w->start_open = n == strlen("open") && memcmp(text, "open", n) == 0;
	line_begin(l, "seals");
	if (!l->bad && l->line_end - l->word == (ptrdiff_t)strlen("none"))
		return;
	s->any = true;
	hex_take(l, s->root.b, sizeof s->root.b);
	s->begins = number_take(l);
	uint64_t next = number_take(l);
	s->sealed = number_take(l);
	s->expected = (uint32_t)next;
	l->bad |= next > SEAL_KEYS || s->begins >= w->edge.size || s->sealed > w->edge.size;
}

/* How the log began: judged again, by the policy of today. */
static void recovery_resume(struct lines *l, struct walk *w)
{
	struct verify_recovery *r = &w->recovery;
	struct ledger_entry entry;
	uint8_t *text = NULL;
	size_t n = 0;

	line_begin(l, "recovery");
	bool there = base64_take(l, &text, &n);
	if (there) {
		l->bad = ledger_entry_parse(&entry, (const char *)text, n, NULL) != RC_OK ||
			 entry.type != LEDGER_LEDGER_RECOVERY;
		if (!l->bad)
			recovery_entry(w, &entry, 1, text, n);
		l->bad |= !r->whole;
		w->report->recoveries = 1;
	}
	free(text);
}

static enum rc digest_check(const char *text, size_t n, struct err *e)
{
	char hex[2 * SHA256_SIZE + 1], line[DIGEST_LINE + 1];
	uint8_t hash[SHA256_SIZE];
	size_t begins_n = strlen(FORM_BEGINS), form_n = strlen(FORM);

	if (n < begins_n || memcmp(text, FORM_BEGINS, begins_n) != 0)
		return err_add(e, RC_MALFORMED, "expected a file written by --keep");
	if (n <= form_n || memcmp(text, FORM "\n", form_n + 1) != 0)
		return err_add(e, RC_UNSUPPORTED,
			"it was written by another version of Plaingate: verify the whole log once and write "
			"it again with --keep");
	if (n > DIGEST_LINE) {
		sha256(hash, text, n - DIGEST_LINE);
		snprintf(line, sizeof line, "sha256 %s\n", hex_from_bytes(hex, hash, sizeof hash));
		if (memcmp(text + n - DIGEST_LINE, line, DIGEST_LINE) == 0)
			return RC_OK;
	}
	return err_add(e, RC_MALFORMED, "it was truncated or altered: its last line is not its digest");
}

/* Its signed head, which must be one of this log. */
static enum rc head_take(struct walk *w, struct lines *l, struct err *e)
{
	struct signed_head *h = &w->heads[HEAD_SINCE];
	struct err why = { 0 };
	size_t n;

	line_begin(l, "version");
	const char *version = word_take(l, true, &n);
	snprintf(w->report->since_version, sizeof w->report->since_version, "%.*s",
		(int)MIN_OF(n, (size_t)64), version);
	line_begin(l, "head");
	if (!base64_take(l, &h->bytes, &h->bytes_n))
		return err_add(e, RC_MALFORMED, "its head is missing");
	if (head_load_given(w, HEAD_SINCE, h->bytes, h->bytes_n, &why) != RC_OK)
		return err_add(e, RC_MALFORMED, "%s", why.text);
	return h->c.size > 0 ? RC_OK : err_add(e, RC_MALFORMED, "its head covers no entries");
}

enum rc since_load(struct walk *w, struct err *e)
{
	const struct verify_options *o = w->options;
	struct lines l = { .at = o->since };
	struct err why = { 0 };

	if (w->report->bundle && (o->since || o->keep))
		return err_add(e, RC_MALFORMED,
			"--since and --keep are for a log that grows: an evidence bundle is verified as a "
			"whole");
	if (!o->since)
		return RC_OK;
	enum rc rc = digest_check(o->since, o->since_n, &why);
	if (rc == RC_OK) {
		l.at += strlen(FORM "\n");
		l.end = (const char *)o->since + o->since_n - DIGEST_LINE;
		rc = head_take(w, &l, &why);
	}
	if (rc == RC_OK) {
		struct signed_head *h = &w->heads[HEAD_SINCE];
		tiles_take(&l, w, h->c.size);
		struct merkle_hash root = merkle_edge_root(&w->edge);
		order_take(&l, w);
		recovery_resume(&l, w);
		if (l.bad || l.at != l.end || !merkle_equal(&root, &h->c.root))
			rc = err_add(&why, RC_MALFORMED,
				"malformed, or its tree does not have the root of its head");
	}
	if (rc != RC_OK)
		return err_add(e, rc, "the file of --since: %s", why.text);
	w->report->since = w->edge.size;
	w->report->boots = 1;
	w->report->sealed = w->seals.sealed;
	w->report->seal_epochs = w->seals.any;
	w->heads[HEAD_SINCE].confirmed = true;
	w->report->made[VERIFY_CHECK_KEPT]++;
	if (w->seals.any)
		seals_load(w);
	return RC_OK;
}

/* ---- heads that are older ---- */

struct nodes {
	struct walk *w;
	enum rc rc;
};

/* As ledger/read.c: from the tiles of the newest checkpoint. Nothing of it is believed: a proof is made of
 * it. */
static bool node_find(void *context, unsigned level, uint64_t index, struct merkle_hash *ret_hash)
{
	struct nodes *nodes = context;
	unsigned tiles = level / 8, rest = level % 8;
	uint64_t size = nodes->w->report->published, first = index << rest, tile = first / TILE_WIDTH;
	uint32_t width = tile < tile_full(tiles, size) ? TILE_WIDTH : tile_partial(tiles, size);
	size_t count = (size_t)1 << rest, at = first % TILE_WIDTH, n = 0;
	struct merkle_edge edge = { 0 };
	char path[TILE_PATH_MAX];
	uint8_t *bytes = NULL;

	if (at + count > width)
		return false;
	nodes->rc = tile_read(nodes->w, tiles, tile, width, path, &bytes, &n);
	bool there = nodes->rc == RC_OK && n == width * sizeof(struct merkle_hash);
	for (size_t i = 0; there && i < count; i++) {
		struct merkle_hash h;
		memcpy(h.b, bytes + (at + i) * sizeof h, sizeof h.b);
		merkle_edge_add(&edge, &h);
	}
	if (there)
		*ret_hash = merkle_edge_root(&edge);
	free(bytes);
	return there;
}

bool since_check_consistency(struct walk *w, const struct checkpoint *c, const char *name)
{
	const struct checkpoint *kept = &w->heads[HEAD_SINCE].c;
	struct nodes nodes = { w, RC_OK };
	struct merkle_proof proof;

	enum rc rc = merkle_prove_consistency(node_find, &nodes, c->size, kept->size, &proof);
	if (rc == RC_OK)
		rc = merkle_check_consistency(&proof, c->size, kept->size, &c->root, &kept->root);
	if (rc == RC_OK)
		return true;
	if (nodes.rc != RC_IO) /* else it is noted */
		report_finding(&w->head, VERIFY_HEAD,
			"the tiles do not prove that the kept head of %llu entries extends the %llu entries "
			"of %s: the tiles were altered, or the log's key has signed two histories",
			(unsigned long long)kept->size, (unsigned long long)c->size, name);
	return false;
}

enum rc since_check_older_heads(struct walk *w)
{
	const struct checkpoint *newest = &w->heads[HEAD_CHECKPOINT].c;

	if (newest->size < w->report->since)
		return report_finding(&w->head, VERIFY_HEAD,
			"the head of --since covers %llu entries, the checkpoint only %llu: the ledger was "
			"truncated, or this is an older copy",
			(unsigned long long)w->report->since, (unsigned long long)newest->size);
	for (int i = HEAD_COSIGNED; i <= HEAD_KEPT; i++) {
		struct signed_head *h = &w->heads[i];
		if (!h->any || h->c.size == 0 || h->c.size >= w->report->since)
			continue;
		h->confirmed = since_check_consistency(w, &h->c, head_name(i));
		w->report->made[VERIFY_CHECK_KEPT] += h->confirmed && i == HEAD_KEPT;
	}
	return RC_OK;
}
