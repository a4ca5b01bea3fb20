/*
 * Our side of the tests with foreign readers.
 *
 *	foreign_ledger make DIR    writes a ledger of 70,000 entries, its older heads, and a file of cases
 *	foreign_ledger judge       reads cases, answers each with a line "yes" or "no", by src/merkle
 *
 * A case is a line of words; octets in hexadecimal, a list of hashes with commas between or "-":
 *
 *	note VKEY NOTE                          is the note signed by this key?
 *	record INDEX SIZE LEAF ROOT HASHES      RFC 9162 2.1.3.2
 *	tree OLD SIZE OLDROOT ROOT HASHES       RFC 9162 2.1.4.2
 *	proof VKEY ENTRY FILE                   a .tlog-proof of this entry in the log of this key?
 *
 * DIR/log is a ledger's directory, DIR/heads/SIZE the checkpoints on the way there, DIR/cases all that is
 * true of them, DIR/cosigned the same of notes and proofs whose checkpoints two witnesses have cosigned.
 * Called by test_foreign.py.
 */
#include "../unit/ledger/ledger_fixture.h"
#include "../unit/ledger/memory.h"

#include "base/bytes.h"
#include "merkle/cosign.h"
#include "merkle/proof.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define LINE_MAX_ (1u << 20)

static void stop(const char *what)
{
	fprintf(stderr, "foreign_ledger: %s\n", what);
	exit(1);
}

/* ---- make ---- */

/* Around the widths of tiles and powers of two; the last one has three levels of tiles. */
static const uint64_t sizes[] = { 1, 2, 3, 8, 255, 256, 257, 1000, 4096, 65535, 65536, 65537, 70000 };

static struct disk disk;
static char *leaf_text[70000]; /* each entry in hexadecimal, for the cases */
static struct merkle_hash leaf[70000];

static void file_write(const char *path, const void *bytes, size_t n)
{
	char folder[512];
	FILE *f;

	snprintf(folder, sizeof folder, "%s", path);
	for (char *slash = folder; (slash = strchr(slash + 1, '/')) != NULL; *slash = '/') {
		*slash = '\0';
		if (mkdir(folder, 0755) != 0 && errno != EEXIST)
			stop(folder);
	}
	f = fopen(path, "w");
	if (!f || fwrite(bytes, 1, n, f) != n || fclose(f) != 0)
		stop(path);
}

static bool tile_from_disk(
	void *context, uint32_t level, uint64_t n, uint32_t width, struct merkle_hash *ret_hashes)
{
	char path[TILE_PATH_MAX];
	size_t got;
	const uint8_t *bytes = memory_get(&disk.files, tile_path(path, level, n, width), &got);

	if (!bytes || got != width * sizeof *ret_hashes)
		return false;
	memcpy(ret_hashes, bytes, got);
	return true;
}

static void put_hex(FILE *out, const void *bytes, size_t n)
{
	const uint8_t *b = bytes;

	for (size_t i = 0; i < n; i++)
		fprintf(out, "%02x", b[i]);
}

static void put_proof(FILE *out, const struct merkle_proof *p)
{
	if (p->n == 0)
		fputc('-', out);
	for (size_t i = 0; i < p->n; i++) {
		fputs(i ? "," : "", out);
		put_hex(out, p->hash[i].b, SHA256_SIZE);
	}
	fputc('\n', out);
}

static void put_note(FILE *out, const char *note, size_t n, const char *vkey)
{
	fprintf(out, "note %s ", vkey);
	put_hex(out, note, n);
	fputc('\n', out);
}

/* The record's proof, from our tiles at the moment when they had this size. */
static void record_prove(struct merkle_proof *ret, uint64_t index, uint64_t size)
{
	struct tile_source tiles = { .size = size, .read = tile_from_disk };

	if (merkle_prove_inclusion(tile_source_subtree, &tiles, index, size, ret) != RC_OK)
		stop("a record's proof cannot be made");
}

static void put_record(FILE *out, uint64_t index, const struct checkpoint *c)
{
	struct merkle_proof path;

	record_prove(&path, index, c->size);
	fprintf(out, "record %" PRIu64 " %" PRIu64 " ", index, c->size);
	put_hex(out, leaf[index].b, SHA256_SIZE);
	fputc(' ', out);
	put_hex(out, c->root.b, SHA256_SIZE);
	fputc(' ', out);
	put_proof(out, &path);
}

/* The same as a .tlog-proof, with the note under it. */
static void put_file(
	FILE *out, uint64_t index, uint64_t size, const char *note, size_t note_n, const char *vkey)
{
	static struct tlog_proof file;
	static char text[TLOG_PROOF_BYTES_MAX];

	file = (struct tlog_proof){ .index = index, .note = note, .note_n = note_n };
	record_prove(&file.path, index, size);
	size_t n = tlog_proof_text(&file, text, sizeof text);
	if (n == 0)
		stop("a proof's file cannot be written");
	fprintf(out, "proof %s %s ", vkey, leaf_text[index]);
	put_hex(out, text, n);
	fputc('\n', out);
}

/* The note with the lines of two witnesses behind the log's. */
static size_t cosigned(char ret_note[NOTE_BYTES_MAX], const char *bytes, size_t n, const struct note *note)
{
	memcpy(ret_note, bytes, n);
	for (uint8_t w = 1; w <= 2; w++) {
		uint8_t seed[ED25519_SEED_SIZE] = { 0x77, w }, public_key[ED25519_PUBLIC_SIZE];
		struct note_key key;
		ed25519_public(public_key, seed);
		if (note_key_make(&key, w == 1 ? "witness.example/1" : "witness.example/2",
			    NOTE_COSIGNATURE_ED25519, public_key) != RC_OK)
			stop("a witness's key");
		size_t more = cosign_line(
			ret_note + n, NOTE_BYTES_MAX - n, note->text, note->text_n, &key, seed, 1450375200);
		if (more == 0)
			stop("a cosignature");
		n += more;
	}
	return n;
}

static void put_head(
	FILE *out, FILE *out_cosigned, const char *dir, struct checkpoint *heads, size_t at, const char *vkey)
{
	static char more[NOTE_BYTES_MAX];
	struct tile_source tiles = { .size = sizes[at], .read = tile_from_disk };
	struct checkpoint *c = &heads[at];
	struct note note;
	char path[512];
	size_t n;
	const char *bytes = (const char *)memory_get(&disk.files, LEDGER_PATH_CHECKPOINT, &n);

	if (!bytes || note_parse(&note, bytes, n, NULL) != RC_OK ||
		checkpoint_parse(c, note.text, note.text_n, NULL) != RC_OK || c->size != sizes[at])
		stop("the checkpoint is not as expected");
	snprintf(path, sizeof path, "%s/heads/%" PRIu64, dir, c->size);
	file_write(path, bytes, n);
	size_t more_n = cosigned(more, bytes, n, &note);
	put_note(out, bytes, n, vkey);
	put_note(out_cosigned, more, more_n, vkey);
	const uint64_t some[] = { 0, 1, c->size / 3, c->size / 2, c->size - 2, c->size - 1 };
	for (size_t i = 0; i < COUNT_OF(some); i++)
		if (some[i] < c->size && (i == 0 || some[i] > some[i - 1])) {
			put_record(out, some[i], c);
			put_file(out, some[i], c->size, bytes, n, vkey);
			put_file(out_cosigned, some[i], c->size, more, more_n, vkey);
		}
	for (size_t old = 0; old <= at; old++) {
		struct merkle_proof p;
		if (merkle_prove_consistency(tile_source_subtree, &tiles, sizes[old], c->size, &p) != RC_OK)
			stop("a proof of consistency cannot be made");
		fprintf(out, "tree %" PRIu64 " %" PRIu64 " ", sizes[old], c->size);
		put_hex(out, heads[old].root.b, SHA256_SIZE);
		fputc(' ', out);
		put_hex(out, c->root.b, SHA256_SIZE);
		fputc(' ', out);
		put_proof(out, &p);
	}
}

static void entry_add(struct ledger_log *l, uint64_t i)
{
	char text[LEDGER_ENTRY_MAX];
	uint64_t index;
	size_t n = fixture_entry(text, i, i % 40);

	if (ledger_batch_n(l) == LEDGER_BATCH_MAX && ledger_commit(l, NULL) != RC_OK)
		stop("commit");
	if (ledger_add(l, text, n, &index) != RC_OK || index != i)
		stop("add an entry");
	leaf[i] = merkle_leaf(text, n);
	leaf_text[i] = malloc(2 * n + 1);
	if (!leaf_text[i])
		stop("memory");
	hex_from_bytes(leaf_text[i], text, n);
}

static int make(const char *dir)
{
	struct ledger_store store = disk_store(&disk);
	struct note_key key = fixture_key();
	struct checkpoint heads[COUNT_OF(sizes)];
	struct ledger_opened opened;
	struct ledger_log *l;
	char vkey[NOTE_VKEY_MAX], path[512];
	uint64_t i = 0;
	FILE *out, *out_cosigned;

	note_key_text(vkey, &key);
	snprintf(path, sizeof path, "%s/cases", dir);
	file_write(path, "", 0);
	out = fopen(path, "w");
	snprintf(path, sizeof path, "%s/cosigned", dir);
	out_cosigned = fopen(path, "w");
	if (!out || !out_cosigned || ledger_open(&l, &store, &key, fixture_seed, &opened, NULL) != RC_OK)
		stop("open");
	for (size_t at = 0; at < COUNT_OF(sizes); at++) {
		for (; i < sizes[at]; i++)
			entry_add(l, i);
		if (ledger_commit(l, NULL) != RC_OK || ledger_publish(l, NULL) != RC_OK)
			stop("publish");
		put_head(out, out_cosigned, dir, heads, at, vkey);
	}
	ledger_close(l);
	for (size_t f = 0; f < disk.files.n; f++) {
		size_t n;
		const uint8_t *bytes = memory_get(&disk.files, disk.files.file[f].path, &n);
		snprintf(path, sizeof path, "%s/log/%s", dir, disk.files.file[f].path);
		file_write(path, bytes, n);
	}
	memory_done(&disk.files);
	for (i = 0; i < COUNT_OF(leaf_text); i++)
		free(leaf_text[i]);
	return fclose(out) | fclose(out_cosigned) ? 1 : 0;
}

/* ---- judge ---- */

/* The next word of the line as octets; false: it is none. The room is the caller's to give enough of. */
static bool octets(char **line, void *ret, size_t max, size_t *ret_n)
{
	char *word = strsep(line, " ");

	*ret_n = word ? strlen(word) / 2 : 0;
	return word && *ret_n <= max && strlen(word) % 2 == 0 && hex_to_bytes(ret, *ret_n, word);
}

static bool hash(char **line, struct merkle_hash *ret)
{
	size_t n;
	return octets(line, ret->b, sizeof ret->b, &n) && n == sizeof ret->b;
}

/* A number that any program of this test can hold. */
static bool number(char **line, uint64_t *ret)
{
	char *word = strsep(line, " "), *end;

	if (!word || !*word)
		return false;
	*ret = strtoull(word, &end, 10);
	return *end == '\0' && *ret <= INT64_MAX;
}

static bool hashes(char **line, struct merkle_proof *ret)
{
	char *words = strsep(line, " "), *word;

	ret->n = 0;
	if (words && strcmp(words, "-") == 0)
		return true;
	while ((word = strsep(&words, ",")) != NULL)
		if (ret->n == MERKLE_PROOF_MAX || !hash(&word, &ret->hash[ret->n++]))
			return false;
	return true;
}

static bool judge_note(char *line)
{
	static uint8_t bytes[NOTE_BYTES_MAX];
	char *vkey = strsep(&line, " ");
	struct note_key key;
	struct note note;
	size_t n;

	return note_key_parse(&key, vkey, strlen(vkey), NULL) == RC_OK &&
	       octets(&line, bytes, sizeof bytes, &n) && note_parse(&note, bytes, n, NULL) == RC_OK &&
	       note_verify(&note, &key, NULL) == RC_OK;
}

static bool judge_record(char *line)
{
	struct merkle_hash entry, root;
	struct merkle_proof p;
	uint64_t index, size;

	return number(&line, &index) && number(&line, &size) && hash(&line, &entry) && hash(&line, &root) &&
	       hashes(&line, &p) && merkle_check_inclusion(&p, index, size, &entry, &root) == RC_OK;
}

static bool judge_tree(char *line)
{
	struct merkle_hash old_root, root;
	struct merkle_proof p;
	uint64_t old, size;

	return number(&line, &old) && number(&line, &size) && hash(&line, &old_root) && hash(&line, &root) &&
	       hashes(&line, &p) && merkle_check_consistency(&p, old, size, &old_root, &root) == RC_OK;
}

static bool judge_proof(char *line)
{
	static uint8_t entry[LEDGER_ENTRY_MAX], bytes[TLOG_PROOF_BYTES_MAX];
	static struct tlog_proof_verdict verdict;
	static struct tlog_proof proof;
	static struct policy policy;
	char *vkey = strsep(&line, " "), text[NOTE_VKEY_MAX + 32];
	size_t entry_n, n;
	int text_n = snprintf(text, sizeof text, "log %s\nquorum none\n", vkey);

	if (policy_parse(&policy, text, (size_t)text_n, NULL) != RC_OK ||
		!octets(&line, entry, sizeof entry, &entry_n) || !octets(&line, bytes, sizeof bytes, &n) ||
		tlog_proof_parse(&proof, bytes, n, NULL) != RC_OK)
		return false;
	struct merkle_hash h = merkle_leaf(entry, entry_n);
	return tlog_proof_check(&proof, &h, &policy, &verdict, NULL) == RC_OK;
}

static int judge(void)
{
	char *line = malloc(LINE_MAX_);

	if (!line)
		stop("memory");
	while (fgets(line, LINE_MAX_, stdin)) {
		char *rest = line;
		line[strcspn(line, "\n")] = '\0';
		const char *kind = strsep(&rest, " ");
		bool yes = strcmp(kind, "note") == 0	 ? judge_note(rest)
			   : strcmp(kind, "record") == 0 ? judge_record(rest)
			   : strcmp(kind, "tree") == 0	 ? judge_tree(rest)
							 : judge_proof(rest);
		puts(yes ? "yes" : "no");
	}
	free(line);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 3 && strcmp(argv[1], "make") == 0)
		return make(argv[2]);
	if (argc == 2 && strcmp(argv[1], "judge") == 0)
		return judge();
	stop("make DIR, or judge");
	return 1;
}
