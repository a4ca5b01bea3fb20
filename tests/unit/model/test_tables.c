/*
 * One fact stands in one table: the model's keywords and the tables of src/model say the same.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "model/algorithms.h"
#include "model/applications.h"
#include "model/model.h"
#include "model/schema.h"
#include "model/snapshot.h"

static const struct lysc_node *node_at(const char *path)
{
	const struct lysc_node *node = NULL;

	assert_int_equal(schema_init(NULL), RC_OK);
	while (*path) {
		size_t n = strcspn(path, "/");
		node = schema_child(node, path, n);
		assert_non_null(node);
		path += n + (path[n] == '/');
	}
	return node;
}

/* The type's enumeration is exactly the words, in any order. */
static void names_are(const char *path, const struct lysc_type *type, const char *const *words, size_t n)
{
	const struct lysc_type_enum *names = (const struct lysc_type_enum *)type;
	LY_ARRAY_COUNT_TYPE i;
	size_t found = 0;

	assert_int_equal(type->basetype, LY_TYPE_ENUM);
	LY_ARRAY_FOR(names->enums, i)
	{
		size_t j = 0;
		while (j < n && strcmp(words[j], names->enums[i].name) != 0)
			j++;
		if (j == n)
			fail_msg("%s: '%s' is in no table", path, names->enums[i].name);
		found++;
	}
	if (found != n)
		fail_msg("%s: %zu names in the model, %zu in the table", path, found, n);
}

static void enumeration_is(const char *path, const char *const *words, size_t n)
{
	names_are(path, schema_type(node_at(path)), words, n);
}

static void host_services(void **state)
{
	static const char *const rows[] = {
#define E(word, proto, first, last) word,
		HOST_SERVICES(E)
#undef E
	};
	const char *words[COUNT_OF(rows)];
	size_t n = 0;

	for (size_t i = 0; i < COUNT_OF(rows); i++) /* rows of one word stand together */
		if (i == 0 || strcmp(rows[i], rows[i - 1]) != 0)
			words[n++] = rows[i];
	const struct lysc_node *keys[SCHEMA_KEYS_MAX];
	assert_int_equal(schema_keys(node_at("zones/zone/host-inbound"), keys), 1);
	const struct lysc_type *type = schema_type(keys[0]); /* or ports of one's own */
	assert_int_equal(type->basetype, LY_TYPE_UNION);
	names_are("host-inbound", ((const struct lysc_type_union *)type)->types[0], words, n);
}

static void algorithms(void **state)
{
#define ENCR(id, number, bits, word) word,
#define PRF(id, number, bytes, word) word,
	static const char *const encrs[] = { ENCR_ALGORITHMS(ENCR) };
	static const char *const prfs[] = { PRF_ALGORITHMS(PRF) };
	static const char *const groups[] = { DH_GROUPS(PRF) };

	enumeration_is("ike/proposal/encryption", encrs, sizeof encrs / sizeof encrs[0]);
	enumeration_is("ipsec/proposal/encryption", encrs, sizeof encrs / sizeof encrs[0]);
	enumeration_is("ike/proposal/prf", prfs, sizeof prfs / sizeof prfs[0]);
	enumeration_is("ike/proposal/dh-group", groups, sizeof groups / sizeof groups[0]);
}

static void maxima(void **state)
{
	assert_int_equal(((const struct lysc_node_list *)node_at("zones/zone"))->max, ZONES_MAX);
	assert_int_equal(((const struct lysc_node_list *)node_at("ike/peer"))->max, PEERS_MAX);
	assert_int_equal(((const struct lysc_node_list *)node_at("ipsec/tunnel"))->max, TUNNELS_MAX);
	assert_int_equal(((const struct lysc_node_list *)node_at("nat/source/rule"))->max, NAT_RULES_MAX);
	assert_int_equal(
		((const struct lysc_node_leaflist *)node_at("ipsec/tunnel/local"))->max, SELECTORS_MAX);
	assert_int_equal(
		((const struct lysc_node_leaflist *)node_at("ipsec/tunnel/remote"))->max, SELECTORS_MAX);
	assert_int_equal(
		((const struct lysc_node_leaflist *)node_at("ike/peer/proposals"))->max, PROPOSALS_EACH_MAX);
	assert_true(PROPOSALS_MAX >= PEERS_MAX * PROPOSALS_EACH_MAX);
	assert_true(PROPOSALS_MAX >= TUNNELS_MAX * PROPOSALS_EACH_MAX);
}

static void built_in_applications(void **state)
{
	static const struct {
		const char *name;
		unsigned proto, first, last;
	} rows[] = {
#define E(name, proto, first, last) { name, proto, first, last },
		BUILT_IN_APPLICATIONS(E)
#undef E
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		assert_true(rows[i].proto > 0 && rows[i].proto < 256);
		assert_true(rows[i].first <= rows[i].last && rows[i].last <= UINT16_MAX);
		if (i > 0) /* sorted, so that the rows of a name stand together */
			assert_true(strcmp(rows[i - 1].name, rows[i].name) <= 0);
	}
}

static size_t described;

static LY_ERR is_described(struct lysc_node *node, void *data, ly_bool *dfs_continue)
{
	if (!node->dsc && !(node->nodetype & (LYS_CASE | LYS_CHOICE)))
		fail_msg("'%s' has no description", node->name);
	described++;
	return LY_SUCCESS;
}

/* The reference page is made of descriptions. */
static void everything_is_described(void **state)
{
	assert_int_equal(schema_init(NULL), RC_OK);
	assert_int_equal(lysc_module_dfs_full(schema_module(), is_described, NULL), LY_SUCCESS);
	assert_true(described > 100);
}

/* Where two statements have one word, the first one is meant. */
static void words_lead_to_statements(const struct lysc_node *parent, unsigned *n)
{
	for (const struct lysc_node *child = NULL, *first; (child = schema_next(parent, child)); ++*n) {
		const char *word = schema_keyword(child);
		for (first = schema_next(parent, NULL); strcmp(schema_keyword(first), word) != 0;)
			first = schema_next(parent, first);
		assert_ptr_equal(schema_child(parent, word, strlen(word)), first);
		assert_ptr_not_equal(schema_child(parent, word, strlen(word) - 1), first);
		if (child->nodetype & (LYS_CONTAINER | LYS_LIST))
			words_lead_to_statements(child, n);
		else
			assert_null(schema_child(child, word, strlen(word)));
	}
}

static void statements_are_found(void **state)
{
	unsigned n = 0;

	assert_int_equal(schema_init(NULL), RC_OK);
	words_lead_to_statements(NULL, &n);
	assert_true(n > 300);
	assert_null(schema_child(NULL, "", 0));
	assert_null(schema_child(NULL, "rule", 4)); /* is one further in */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(statements_are_found),
		cmocka_unit_test(host_services),
		cmocka_unit_test(algorithms),
		cmocka_unit_test(maxima),
		cmocka_unit_test(built_in_applications),
		cmocka_unit_test(everything_is_described),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	model_done();
	return failed;
}
