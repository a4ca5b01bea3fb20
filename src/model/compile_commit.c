/* How many signatures commits need (admin/signed_rules.h). Part of the compiler. */
#include <stdio.h>
#include <string.h>

#include "admin/signed.h"
#include "model/compile.h"
#include "model/schema.h"

static enum rc path_rule(struct compiler *c, const struct lyd_node *node)
{
	struct signed_rules *r = &c->administrators->signatures;
	const char *words = tree_value(node, "name");

	if (!schema_has_path(words))
		return tree_fault(c->faults, node,
			"'%s' is not a place of the configuration: expected words of statements without names, such as policy or "
			"\"zones zone host-inbound\"",
			words);
	if (r->n == SIGNED_PATHS_MAX)
		return fault_is_limit(tree_fault(c->faults, node, "more than %d paths", SIGNED_PATHS_MAX));
	snprintf(r->at[r->n].path, sizeof r->at[r->n].path, "%s", words);
	r->at[r->n++].required = (uint32_t)value_number(node, "signatures-required");
	return RC_OK;
}

/* What nobody can sign is closed for ever, and what demands it most of all. */
static enum rc can_be_signed(
	struct compiler *c, const struct lyd_node *at, const char *path, uint32_t required)
{
	uint32_t can = signed_signers(c->administrators, path);

	if (required <= can)
		return RC_OK;
	return tree_fault(c->faults, at,
		"%u signatures are required for '%s', and %u administrators can give one: expected at least as many with a key of their own that can sign (RSA: at most 4096 bits) and a role that "
		"may commit this",
		required, path, can);
}

enum rc compile_commit(struct compiler *c)
{
	const struct lyd_node *in = tree_child(c->m, tree_child(c->m, NULL, "system"), "commit");
	struct signed_rules *r = &c->administrators->signatures;
	enum rc rc;

	if (!in)
		return RC_OK;
	r->required = (uint32_t)value_number(in, "signatures-required");
	rc = compile_each(c, "system", "commit", "path", path_rule);
	uint32_t most = r->required;
	for (uint32_t i = 0; i < r->n && rc == RC_OK; i++) {
		most = MAX_OF(most, r->at[i].required);
		rc = can_be_signed(c, in, r->at[i].path, r->at[i].required);
	}
	return rc == RC_OK ? can_be_signed(c, in, "system commit", most) : rc;
}
