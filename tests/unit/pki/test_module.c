/* Which modules of tokens are loaded: files that root alone can exchange, by the path that was looked at. */
#include "pki/internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define ROOTS "/etc/passwd" /* any file of root's, in directories of root's */

static char folder[] = "/tmp/pki-module-XXXXXX", inside[sizeof folder + 16];

static int folder_make(void **state)
{
	(void)state;
	if (!mkdtemp(folder))
		return -1;
	snprintf(inside, sizeof inside, "%s/module.so", folder);
	return 0;
}

static int folder_remove(void **state)
{
	(void)state;
	unlink(inside);
	return rmdir(folder);
}

static void refused(const char *module, const char *why)
{
	char path[PATH_MAX];
	struct err e = { 0 };

	if (pki_module_of_root(path, module, &e) != RC_DENIED || !strstr(e.text, "is not loaded") ||
		!strstr(e.text, why))
		fail_msg("'%s': %s", module, e.text);
}

static void a_file_of_roots(void **state)
{
	char path[PATH_MAX];
	struct err e = { 0 };

	(void)state;
	assert_int_equal(RC_OK, pki_module_of_root(path, ROOTS, &e));
	assert_string_equal(ROOTS, path);
	assert_int_equal(RC_OK, pki_module_of_root(path, "/etc/../etc/./passwd", &e));
	assert_string_equal(ROOTS, path);
}

/* Whoever exchanges the link afterwards changes nothing: its name is not used again. */
static void a_link_counts_as_what_it_leads_to(void **state)
{
	char path[PATH_MAX];
	struct err e = { 0 };

	(void)state;
	assert_int_equal(0, symlink(ROOTS, inside));
	assert_int_equal(RC_OK, pki_module_of_root(path, inside, &e));
	assert_string_equal(ROOTS, path);
	unlink(inside);
	assert_int_equal(0, symlink("/nonexistent/module.so", inside));
	refused(inside, "No such file");
	unlink(inside);
}

/* Of root, too: the directory above it belongs to root and is closed, but one above that is everybody's. */
static void a_file_below_a_directory_of_everybodys(void **state)
{
	FILE *f = fopen(inside, "w");

	(void)state;
	assert_non_null(f);
	fclose(f);
	assert_int_equal(0, chmod(inside, 0644));
	refused(inside, geteuid() == 0 ? "'/tmp' is not so" : "module.so' is not so");
	assert_int_equal(0, chmod(inside, 0664));
	refused(inside, "module.so' is not so");
	unlink(inside);
}

static void what_is_no_file(void **state)
{
	(void)state;
	refused("module.so", "expected a whole path");
	refused("", "expected a whole path");
	refused("/", "'/' is not so");
	refused("/usr/lib", "/lib' is not so");
	refused("/nonexistent/module.so", "No such file");
	refused("/etc/passwd/module.so", "Not a directory");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_file_of_roots),
		cmocka_unit_test(a_link_counts_as_what_it_leads_to),
		cmocka_unit_test(a_file_below_a_directory_of_everybodys),
		cmocka_unit_test(what_is_no_file),
	};

	return cmocka_run_group_tests(tests, folder_make, folder_remove);
}
