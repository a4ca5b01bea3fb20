/*
 * The configuration: text in, checked tree, snapshot out.
 *
 * `struct model` is one parsed and validated text. Parsing, printing and the reference pages all walk the
 * schema that libyang compiles out of yang/plaingate.yang (embedded at build time), so there is one list of
 * keywords. Callers: proc/control (commit), cli (check), the tests and the fuzzer; one thread. The only state
 * outside a model is libyang's context, which the first load makes and model_done() frees.
 */
#ifndef MODEL_MODEL_H
#define MODEL_MODEL_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "model/faults.h"

#define CONFIG_TEXT_MAX	 (64u << 20) /* bytes of a configuration's text */
#define CONFIG_VALUE_MAX 2048	 /* bytes of one word or quoted string: a public key of RSA and its comment */
#define CONFIG_DEPTH_MAX 16	 /* nested braces */
#define CONFIG_NODES_MAX 4000000 /* statements and values */

struct model;
struct administrators;

/* Frees libyang's context, which the first load makes. */
void model_done(void);

/*
 * Parses and validates (for tests: control and `check` use model_read(), which finds more faults). `name` is
 * what error texts call the file: "NAME:LINE:COLUMN: ...". On RC_OK *ret_model is the caller's, to be freed by
 * model_free(). RC_MALFORMED, RC_LIMIT (size, depth) and RC_RANGE are about the text.
 */
enum rc model_load_text(
	const char *text, size_t n, const char *name, struct model **ret_model, struct err *e);

/*
 * Loads and compiles, as the two functions above and below do, and finds all faults that can be found in one
 * reading: of the grammar, and in what was understood what is missing, names and numbers. Only after a brace that is missing or too many, or
 * a word that cannot be read, nothing more is said: what follows may belong anywhere. RC_OK: *ret_block is the
 * caller's. Else *ret_faults has what is wrong with the text; e has it as a text, or what is not about places.
 */
enum rc model_read(const char *text, size_t n, const char *name, uint64_t generation,
	const uint8_t *text_sha256, void **ret_block, size_t *ret_bytes, struct faults *ret_faults,
	struct err *e);

/* The same with the administrators, which the processes do not get: *ret_administrators is the caller's, too. */
enum rc model_read_administrators(const char *text, size_t n, const char *name, uint64_t generation,
	const uint8_t *text_sha256, void **ret_block, size_t *ret_bytes,
	struct administrators **ret_administrators, struct faults *ret_faults, struct err *e);

/* NULL is fine (for tests: what model_load_text() gave). */
void model_free(struct model *m);

/*
 * The text form of a model (for tests: parsing and printing agree): schema order, without comments and
 * defaults. Terminated; the caller frees it with free(). Parsing it again and printing gives the same text.
 * NULL when out of memory.
 */
char *model_print(const struct model *m, size_t *ret_n);

/*
 * Compiles (for tests, as model_load_text()) into a snapshot (model/snapshot.h) that snapshot_check() accepts;
 * the caller frees *ret_block with free(). What YANG cannot say is checked here, with the same form of error
 * text. text_sha256: 32 bytes, of the text that the model came from (this room has no hash function of its
 * own), or NULL for zeroes.
 */
enum rc model_compile(const struct model *m, uint64_t generation, const uint8_t *text_sha256,
	void **ret_block, size_t *ret_bytes, struct err *e);

#endif
