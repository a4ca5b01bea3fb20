/*
 * Signed notes and checkpoints (C2SP signed-note 1.0, tlog-checkpoint 1.0). Pure: text in, views and verdicts
 * out.
 *
 *   <text, ends in LF>
 *   <empty line>
 *   — <name> <base64 of key id || signature>        one or more lines
 */
#ifndef MERKLE_NOTE_H
#define MERKLE_NOTE_H

#include "crypto/ed25519.h"
#include "merkle/tree.h"

#define NOTE_BYTES_MAX	       16384	    /* of notes that we sign or keep, and of any note's text */
#define NOTE_FOREIGN_BYTES_MAX (256 * 1024) /* with lines of 64 witnesses, 3.4 KB each with ML-DSA-44 */
#define NOTE_SIGNATURES_MAX    80
#define NOTE_NAME_MAX	       128
#define NOTE_VKEY_MAX	       (NOTE_NAME_MAX + 64) /* name, two +, 8 hex digits, 44 digits of base64 */

/* NOTE_COSIGNATURE_ML_DSA_44: its lines are read and not verified (C2SP tlog-cosignature). */
enum note_key_type { NOTE_ED25519 = 1, NOTE_COSIGNATURE_ED25519 = 4, NOTE_COSIGNATURE_ML_DSA_44 = 6 };

/* A verifier key: "name+hex8(key id)+base64(type || public key)". */
struct note_key {
	char name[NOTE_NAME_MAX];
	uint8_t type; /* enum note_key_type */
	uint8_t id[4];
	uint8_t public_key[ED25519_PUBLIC_SIZE];
};

/* The id follows from name, type and key. RC_MALFORMED: a name that is empty, too long, or holds white space
 * or '+'. */
enum rc note_key_make(struct note_key *ret_key, const char *name, enum note_key_type type,
	const uint8_t public_key[ED25519_PUBLIC_SIZE]);
enum rc note_key_parse(struct note_key *ret_key, const char *text, size_t n, struct err *e);
/* ret_text holds NOTE_VKEY_MAX. */
char *note_key_text(char *ret_text, const struct note_key *k);

struct note_signature {
	const char *name;
	size_t name_n;
	uint8_t id[4];
	uint8_t bytes[72]; /* after the id: 64 of Ed25519; 8 of time and 64 for a cosignature */
	size_t bytes_n;	   /* 0: of another size, so by a type that we do not know */
};

/* Views into the note's bytes. */
struct note {
	const char *text;
	size_t text_n; /* with its final LF */
	size_t signatures_n;
	struct note_signature signature[NOTE_SIGNATURES_MAX];
};

/* RC_MALFORMED, RC_LIMIT: more than NOTE_BYTES_MAX, or too many lines. */
enum rc note_parse(struct note *ret_note, const void *bytes, size_t n, struct err *e);
/* The same up to NOTE_FOREIGN_BYTES_MAX: lines of others may be large. */
enum rc note_parse_foreign(struct note *ret_note, const void *bytes, size_t n, struct err *e);

/* RC_OK: signed by the key. RC_NOT_FOUND: no line of this key. RC_AUTH: a line of this key is wrong. */
enum rc note_verify(const struct note *n, const struct note_key *key, struct err *e);

/* Writes text, empty line and one Ed25519 signature line of the key into ret_bytes. The secret is of
 * ed25519_secret(). Returns the length, 0: does not fit. */
size_t note_secret_sign(char *ret_bytes, size_t max, const char *text, size_t text_n,
	const struct note_key *key, const uint8_t secret[ED25519_SECRET_SIZE]);
/* for tests: the same, with the seed; who signs often keeps the secret */
size_t note_sign(char *ret_bytes, size_t max, const char *text, size_t text_n, const struct note_key *key,
	const uint8_t seed[ED25519_SEED_SIZE]);

#define NOTE_DASH "\xe2\x80\x94 " /* U+2014, space: begins a line of signature */

struct checkpoint {
	char origin[NOTE_NAME_MAX];
	uint64_t size;
	struct merkle_hash root;
};

/* The text of a checkpoint, strict: three lines, no extension lines. */
enum rc checkpoint_parse(struct checkpoint *ret_checkpoint, const char *text, size_t n, struct err *e);
/* The same for anyone's log: extension lines may follow, none of them empty. What they say is not looked at.
 */
enum rc checkpoint_parse_foreign(
	struct checkpoint *ret_checkpoint, const char *text, size_t n, struct err *e);
/* Returns the length of the text, 0: does not fit. */
size_t checkpoint_text(char *ret_text, size_t max, const struct checkpoint *c);

#endif
