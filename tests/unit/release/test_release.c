/* The form of release.json and of the file of signers, where a fuzzer would not look: what is refused says where and why. */
#include "release/release.h"

#include "base/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define ZEROS	 "0000000000000000000000000000000000000000000000000000000000000000"
#define COMMIT	 "0123456789abcdef0123456789abcdef01234567"
#define FILES	 "{\"bytes\":3,\"name\":\"a.deb\",\"sha256\":\"" ZEROS "\"}"
#define PROGRAMS "{\"name\":\"/usr/bin/plaingate\",\"sha256\":\"" ZEROS "\"}"
#define TEXT(commit, down_to, files, format, number, programs, source, version)                              \
	"{\"commit\":\"" commit "\",\"down_to\":" down_to ",\"files\":[" files "],\"format\":\"" format      \
	"\",\"number\":" number ",\"programs\":[" programs "],\"source\":\"" source                          \
	"\",\"version\":\"" version "\"}\n"
#define WHOLE TEXT(COMMIT, "2", FILES, "plaingate-release v1", "3", PROGRAMS, ZEROS, "0.1.0")

static struct release release;

static void is_whole(void **state)
{
	(void)state;
	assert_int_equal(release_parse(&release, WHOLE, sizeof WHOLE - 1, NULL), RC_OK);
	assert_int_equal(release.number, 3);
	assert_int_equal(release.down_to, 2);
	assert_int_equal(release.files_n, 1);
	assert_int_equal(release.file[0].bytes, 3);
	assert_string_equal(release.file[0].name, "a.deb");
	assert_string_equal(release.program[0].name, "/usr/bin/plaingate");
	assert_string_equal(release.commit, COMMIT);
	assert_string_equal(release.version, "0.1.0");
}

static void is_refused(void **state)
{
	static const struct {
		const char *text, *why;
	} rows[] = {
		{ WHOLE " ", "something follows" },
		{ TEXT("0123", "2", FILES, "plaingate-release v1", "3", PROGRAMS, ZEROS, "0.1.0"),
			"the commit is not" },
		{ TEXT("0123456789ABCDEF0123456789abcdef01234567", "2", FILES, "plaingate-release v1", "3",
			  PROGRAMS, ZEROS, "0.1.0"),
			"the commit is not" },
		{ TEXT(COMMIT, "4", FILES, "plaingate-release v1", "3", PROGRAMS, ZEROS, "0.1.0"),
			"may not go back" },
		{ TEXT(COMMIT, "0", FILES, "plaingate-release v1", "3", PROGRAMS, ZEROS, "0.1.0"),
			"may not go back" },
		{ TEXT(COMMIT, "1", FILES, "plaingate-release v1", "1000000001", PROGRAMS, ZEROS, "0.1.0"),
			"its number" },
		{ TEXT(COMMIT, "2", FILES, "plaingate-release v2", "3", PROGRAMS, ZEROS, "0.1.0"),
			"another version" },
		{ TEXT(COMMIT, "2", "", "plaingate-release v1", "3", PROGRAMS, ZEROS, "0.1.0"), "no files" },
		{ TEXT(COMMIT, "2", FILES, "plaingate-release v1", "3", "", ZEROS, "0.1.0"),
			"no files or no programs" },
		{ TEXT(COMMIT, "2", FILES "," FILES, "plaingate-release v1", "3", PROGRAMS, ZEROS, "0.1.0"),
			"ascending order" },
		{ TEXT(COMMIT, "2", FILES ",", "plaingate-release v1", "3", PROGRAMS, ZEROS, "0.1.0"),
			"one form" },
		{ TEXT(COMMIT, "2", FILES, "plaingate-release v1", "3", PROGRAMS, "00", "0.1.0"),
			"64 digits" },
		{ TEXT(COMMIT, "2", FILES, "plaingate-release v1", "3", PROGRAMS, ZEROS, "0 1"), "visible" },
		{ TEXT(COMMIT, "2", FILES, "plaingate-release v1", "3", PROGRAMS, ZEROS, ""), "empty" },
		{ TEXT(COMMIT, "2", FILES, "plaingate-release v1", "3",
			  "{\"name\":\"/a/../b\",\"sha256\":\"" ZEROS "\"}", ZEROS, "1"),
			"by its path" },
		{ TEXT(COMMIT, "2", FILES, "plaingate-release v1", "3",
			  "{\"name\":\"b\",\"sha256\":\"" ZEROS "\"}", ZEROS, "1"),
			"by its path" },
		{ "", "octet 0" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct err e = { 0 };
		enum rc rc = release_parse(&release, rows[i].text, strlen(rows[i].text), &e);
		if (rc != RC_MALFORMED || !strstr(e.text, rows[i].why))
			fail_msg("row %zu: %d, '%s'", i, rc, e.text);
	}
}

static void has_limits(void **state)
{
	static char text[RELEASE_TEXT_MAX + 2];
	struct err e = { 0 };

	(void)state;
	assert_int_equal(release_parse(&release, text, sizeof text, &e), RC_LIMIT);
	for (size_t files = RELEASE_FILES_MAX; files <= RELEASE_FILES_MAX + 1; files++) {
		struct jw w = jw_over(text, sizeof text, true);
		uint8_t zeros[SHA256_SIZE] = { 0 };
		char name[32];
		jw_object(&w, NULL);
		jw_str(&w, "commit", COMMIT);
		jw_u64(&w, "down_to", 1);
		jw_array(&w, "files");
		for (size_t i = 0; i < files; i++) {
			snprintf(name, sizeof name, "file-%03zu", i);
			jw_object(&w, NULL);
			jw_u64(&w, "bytes", i);
			jw_str(&w, "name", name);
			jw_hex(&w, "sha256", zeros, sizeof zeros);
			jw_end(&w);
		}
		jw_end(&w);
		size_t n = strlen(text);
		n += (size_t)snprintf(text + n, sizeof text - n,
			",\"format\":\"plaingate-release v1\",\"number\":1,\"programs\":[" PROGRAMS
			"],\"source\":\"" ZEROS "\",\"version\":\"1\"}\n");
		enum rc rc = release_parse(&release, text, n, &e);
		assert_int_equal(rc, files <= RELEASE_FILES_MAX ? RC_OK : RC_MALFORMED);
	}
	assert_non_null(strstr(e.text, "too many files"));
}

#define KEY	"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIODq1gg5abcybj1+1tpfVMtUJdgx+xLFqYCb6j+Gw+Uo"
#define SIGNERS "maintainers 1\nrebuilders 0\nmaintainer one " KEY "\n"

/* A name with a NUL would be another one where it is compared than where it was counted. */
static void signers_are_text(void **state)
{
	static const struct {
		const char *text;
		size_t n;
		const char *why;
	} rows[] = {
#define ROW(text, why) { text, sizeof text - 1, why }
		ROW(SIGNERS, NULL),
		ROW(SIGNERS " # of the test\n", NULL),
		ROW("maintainers\t1 \nrebuilders 0\nmaintainer one\t" KEY " of one\n", NULL),
		ROW("maintainers 1\nrebuilders 0\nmaintainer \0one " KEY "\n",
			"line 3: found the control character 00"),
		ROW("maintainers 1\nrebuilders 0\nmaintainer o\033ne " KEY "\n",
			"line 3: found the control character 1b"),
		ROW(SIGNERS "# \0\n", "line 4: found the control character 00"),
		ROW("maintainers 1 2\n", "line 1: one number"),
		ROW("maintainers 1 abcdefghijkl\n", "line 1: one number"),
		ROW("maintainers 01\n", "line 1: one number"),
		ROW("maintainers\n", "line 1: one number"),
		ROW(SIGNERS "maintainer two " KEY "\n", "line 4: the name or the key"),
		ROW("maintainers 2\nrebuilders 0\nmaintainer one " KEY "\n", "2 maintainers are needed"),
		ROW("maintainers 1\nmaintainer one " KEY "\n", "'rebuilders N'"),
		ROW("maintainers 1\nrebuilders 0\nmaintainer one " KEY, "line 3: its line feed"),
#undef ROW
	};
	static struct release_signers signers;

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct err e = { 0 };
		enum rc rc = release_signers_parse(&signers, rows[i].text, rows[i].n, &e);
		if ((rc == RC_OK) != !rows[i].why || (rows[i].why && !strstr(e.text, rows[i].why)))
			fail_msg("row %zu: %d, '%s'", i, rc, e.text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(is_whole),
		cmocka_unit_test(is_refused),
		cmocka_unit_test(has_limits),
		cmocka_unit_test(signers_are_text),
	};

	return cmocka_run_group_tests_name("release", tests, NULL, NULL);
}
