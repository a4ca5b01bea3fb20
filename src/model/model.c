#include "model/model.h"
#include "model/compile.h"
#include "model/schema.h"

#include <stdio.h>
#include <stdlib.h>

void model_done(void)
{
	schema_done();
}

void model_free(struct model *m)
{
	if (!m)
		return;
	lyd_free_siblings(m->tree);
	lyd_free_siblings(m->written);
	many_done(&m->many);
	lost_done(&m->lost);
	free(m);
}

/* model_load_text() with its faults. prints: model_print() is called afterwards. */
static enum rc load(const char *text, size_t n, const char *name, bool prints, struct model **ret_model,
	struct faults *f, struct err *e)
{
	enum rc rc = schema_init(e);

	*ret_model = NULL;
	if (rc)
		return rc;
	if (n > CONFIG_TEXT_MAX)
		return err_add(e, RC_LIMIT, "%s: the text is longer than %u bytes", name, CONFIG_TEXT_MAX);
	struct model *m = calloc(1, sizeof *m);
	if (!m)
		return err_add(e, RC_INTERNAL, "out of memory");
	snprintf(m->name, sizeof m->name, "%s", name);
	bool lost = false;
	rc = parse_text(text, n, m, f, &lost, e);
	if (!rc || (rc == RC_MALFORMED && !lost && f->n))
		rc = tree_drop_inactive(m, prints, e);
	if (!rc)
		rc = tree_validate(m, f, e);
	if (rc) {
		model_free(m);
		return rc;
	}
	*ret_model = m;
	return RC_OK;
}

enum rc model_load_text(const char *text, size_t n, const char *name, struct model **ret_model, struct err *e)
{
	struct faults f = { 0 };
	enum rc rc = load(text, n, name, true, ret_model, &f, e);

	faults_to_err(&f, name, e);
	return rc;
}

enum rc model_compile(const struct model *m, uint64_t generation, const uint8_t *text_sha256,
	void **ret_block, size_t *ret_bytes, struct err *e)
{
	struct faults f = { 0 };
	enum rc rc = compile_model(m, generation, text_sha256, ret_block, ret_bytes, NULL, &f, e);

	faults_to_err(&f, m->name, e);
	return rc;
}

enum rc model_read_administrators(const char *text, size_t n, const char *name, uint64_t generation,
	const uint8_t *text_sha256, void **ret_block, size_t *ret_bytes,
	struct administrators **ret_administrators, struct faults *ret_faults, struct err *e)
{
	struct model *m = NULL;
	enum rc rc;

	*ret_block = NULL;
	*ret_bytes = 0;
	*ret_faults = (struct faults){ 0 };
	rc = load(text, n, name, false, &m, ret_faults, e);
	if (!rc)
		rc = compile_model(
			m, generation, text_sha256, ret_block, ret_bytes, ret_administrators, ret_faults, e);
	faults_to_err(ret_faults, name, e);
	model_free(m);
	return rc;
}

enum rc model_read(const char *text, size_t n, const char *name, uint64_t generation,
	const uint8_t *text_sha256, void **ret_block, size_t *ret_bytes, struct faults *ret_faults,
	struct err *e)
{
	return model_read_administrators(
		text, n, name, generation, text_sha256, ret_block, ret_bytes, NULL, ret_faults, e);
}
