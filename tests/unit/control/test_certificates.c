/* Certificate files of a configuration in control: refused with what is wrong, stored with the text, and back after a restart. */
#include "control_fixture.h"

#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define PKI                                                                                                                                                          \
	"zones { zone a { interfaces e0; host-inbound ping; } } pki { ca-profile a { file a.crt; } } ike { proposal p { encryption aes256gcm16; dh-group ecp256; } " \
	"peer x { remote-address 192.0.2.1; remote-id \"%s\"; local-certificate gw; trusted-ca a; proposals p; } }\n"
#define PEM(digits) "-----BEGIN CERTIFICATE-----\n" digits "\n-----END CERTIFICATE-----\n"

#define SIGNER                                                                                               \
	"system { administrators { administrator a { role engineer; "                                        \
	"key \"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBjz1RVFmSG5ns3cfjse+7qpZlEXRnTeDgonBTefaAvT a\"; } "     \
	"administrator b { role security-officer; key \""                                                    \
	"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAINcTHsk2Jrs0IA53zPwBbahAJdybzysFx94uCT1Fqy0u b\"; } } "         \
	"commit { path pki { signatures-required 1; } } }\n"

static char text[sizeof PKI + sizeof SIGNER + 80];

static void file_write(const char *name, const char *what)
{
	char path[200];
	FILE *f;

	snprintf(path, sizeof path, "%s/%s", dir, name);
	f = fopen(path, "w");
	assert_non_null(f);
	fputs(what, f);
	fclose(f);
}

static void says_what_is_wrong(void **state)
{
	static const struct {
		const char *a, *gw, *id, *says;
	} rows[] = {
		{ NULL, NULL, "x.example",
			"it does not exist: put it into /etc/plaingate/certificates; certificate file 'a.crt' of ca-profile 'a'" },
		{ "nothing", NULL, "x.example", "it holds no certificate" },
		{ PEM("MAAB"), "-----BEGIN PRIVATE KEY-----\n", "x.example", "private key" },
		{ PEM("MAAB"), PEM("MAAB"), "XY=nothing", "remote-id of peer 'x'" },
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct ipc_link l;
		if (rows[i].a)
			file_write("a.crt", rows[i].a);
		if (rows[i].gw)
			file_write("gw.crt", rows[i].gw);
		snprintf(text, sizeof text, PKI, rows[i].id);
		l = commit(text);
		enter(LEDGER_CONFIG_REFUSED, RC_OK, "\"");
		struct ipc_frame *f = expect(&l, IPC_CLI_END);
		if (f->u.CLI_END.rc == RC_OK || !strstr(f->u.CLI_END.text, rows[i].says))
			fail_msg("'%s' expected, not '%s'", rows[i].says, f->u.CLI_END.text);
		ipc_link_close(&l);
		pump();
	}
	file_is("running.conf", NULL);
}

/* Of the first file that the snapshot of that generation has, as the keeper gets it. */
static void keeper_gets(uint64_t generation, uint8_t octet)
{
	struct ipc_frame *f = expect(&peers[PROC_KEEPER], IPC_SNAPSHOT);
	struct msg_result r = { .rc = RC_OK };
	int fd = ipc_frame_take(f);
	const struct snapshot *s = mmap(NULL, f->u.SNAPSHOT.bytes, PROT_READ, MAP_SHARED, fd, 0);

	assert_ptr_not_equal(s, MAP_FAILED);
	assert_int_equal(s->generation, generation);
	assert_int_equal(s->certificates.count, 2);
	assert_int_equal(snap_certificate_der(s, &snap_certificates(s)[0])[2], octet);
	munmap((void *)(uintptr_t)s, f->u.SNAPSHOT.bytes);
	close(fd);
	assert_int_equal(ipc_send_SNAPSHOT_TAKEN(&peers[PROC_KEEPER], f->head.tag, &r), RC_OK);
}

static void all_get(uint64_t generation, uint8_t octet)
{
	for (size_t i = 0; i < COUNT_OF(receivers); i++)
		if (receivers[i] == PROC_KEEPER)
			keeper_gets(generation, octet);
		else
			take_snapshot(receivers[i], generation, true, RC_OK);
}

/* Control is started, and runs the text with the certificate of that octet. */
static void starts_with(uint64_t generation, uint8_t octet)
{
	start();
	take_snapshot(PROC_SUPERVISOR, generation, true, RC_OK);
	expect(&peers[PROC_SUPERVISOR], IPC_READY);
	for (size_t i = 1; i < COUNT_OF(receivers); i++)
		if (receivers[i] == PROC_KEEPER)
			keeper_gets(generation, octet);
		else
			take_snapshot(receivers[i], generation, true, RC_OK);
	enter(LEDGER_CONFIG_LOAD, RC_OK, "\"sha256\":\"");
}

static uint8_t running_octet(void)
{
	const struct snapshot *s = control.running.block;

	assert_int_equal(s->certificates.count, 2);
	return snap_certificate_der(s, &snap_certificates(s)[0])[2];
}

#define BOTH "\"certificates\":2,\"files\":\"a.crt gw.crt\""

/* Both files have certificates of that octet, "MAAB" is 30 00 01 and so on. */
static void files_are(uint8_t octet)
{
	char pem[200];

	snprintf(pem, sizeof pem, PEM("MAA%c"), 'A' + octet);
	file_write("a.crt", pem);
	file_write("gw.crt", pem);
}

static struct ipc_link commit_as(const char *name, uint32_t minutes)
{
	struct msg_cli_request q = { .command = CLI_COMMIT, .confirm_minutes = minutes };
	int fd = memory_of(text);
	struct ipc_link l;

	snprintf(q.name, sizeof q.name, "%s", name);
	l = ask(q, fd);
	close(fd);
	return l;
}

/* No certifier runs in these tests: each commit of certificates is warned of both. */
static void warned(struct ipc_link *l)
{
	for (int i = 0; i < 2; i++)
		assert_non_null(
			strstr(expect(l, IPC_CLI_ROW)->u.CLI_ROW.json, "does not run, or did not answer"));
}

static void commits_as(const char *name, uint32_t minutes, uint64_t generation, uint8_t octet)
{
	struct ipc_link l = commit_as(name, minutes);

	enter(LEDGER_CONFIG_CERTIFICATES, RC_OK, BOTH);
	enter(LEDGER_CONFIG_COMMIT, RC_OK, "\"admin\"");
	all_get(generation, octet);
	if (config_store_is_history(name))
		assert_non_null(
			strstr(expect(&l, IPC_CLI_ROW)->u.CLI_ROW.json, "those that ran with this text"));
	warned(&l);
	ends(&l, RC_OK, "is running");
}

/* The same text with other files: what `pki` needs, it needs as well. */
static void certificates_need_signatures(void **state)
{
	snprintf(text, sizeof text, SIGNER PKI, "CN=*");
	files_are(1);
	commits_as("site.conf", 0, 1, 1);
	commits_as("site.conf", 0, 2, 1); /* nothing is others than what runs */
	files_are(2);
	struct ipc_link l = commit_as("site.conf", 0);
	enter(LEDGER_CONFIG_PROPOSAL, RC_OK, "\"event\":\"proposed\"");
	warned(&l);
	ends(&l, RC_OK, "nothing is changed until 1 administrators have signed it");
	stop();
	starts_with(2, 1);
	enter(LEDGER_CONFIG_CERTIFICATES, RC_OK, BOTH);
}

static void is_there(const char *name, bool wanted)
{
	char path[200];

	snprintf(path, sizeof path, "%s/%s", dir, name);
	for (int i = 0; i < 200 && (access(path, F_OK) == 0) != wanted; i++)
		pump();
	assert_int_equal(access(path, F_OK) == 0, wanted);
}

/* A commit that fails when it is written leaves the certificates that run, of the same text as well: for the next start too. */
static void failed_commit_of_the_same_text(void **state)
{
	static const char *const in_the_way[] = { "running.conf.new", "certificates.new",
		"rollback.1.certificates.new", "rollback.1.new" };
	char path[200];

	snprintf(text, sizeof text, PKI, "CN=*");
	files_are(1);
	commits_as("site.conf", 0, 1, 1);
	files_are(2);
	for (size_t i = 0; i < COUNT_OF(in_the_way); i++) {
		struct ipc_link l;
		snprintf(path, sizeof path, "%s/%s", dir, in_the_way[i]);
		assert_int_equal(mkdir(path, 0700), 0);
		l = commit_as("site.conf", 0);
		enter(LEDGER_CONFIG_CERTIFICATES, RC_OK, BOTH);
		enter(LEDGER_CONFIG_COMMIT, RC_OK, "\"admin\"");
		warned(&l);
		ends(&l, RC_IO, "nothing is changed");
		enter(LEDGER_CONFIG_REFUSED, RC_OK, in_the_way[i]);
		assert_int_equal(rmdir(path), 0);
		stop();
		starts_with(1, 1);
		enter(LEDGER_CONFIG_CERTIFICATES, RC_OK, BOTH);
	}
	is_there("rollback.2", false);
	commits_as("site.conf", 0, 2, 2);
	stop();
	starts_with(2, 2);
	enter(LEDGER_CONFIG_CERTIFICATES, RC_OK, BOTH);
}

/* Killed between its renames, a commit of another text has both sets on the disk: what running.conf says counts. */
static void killed_between(void **state)
{
	char before[1000] = "", after[1000] = "", path[200];
	FILE *f;

	snprintf(path, sizeof path, "%s/certificates", dir);
	for (uint8_t i = 1; i <= 2; i++) {
		snprintf(text, sizeof text, PKI, i == 1 ? "CN=*" : "C=*");
		files_are(i);
		commits_as("site.conf", 0, i, i);
		f = fopen(path, "r");
		assert_non_null(f);
		char *to = i == 1 ? before : after;
		to[fread(to, 1, sizeof before - 1, f)] = '\0';
		fclose(f);
	}
	stop();
	f = fopen(path, "w");
	fprintf(f, "%s%s", before, after);
	fclose(f);
	starts_with(2, 2);
	enter(LEDGER_CONFIG_CERTIFICATES, RC_OK, BOTH);
	stop();
	snprintf(text, sizeof text, PKI, "CN=*");
	file_write("running.conf", text);
	starts_with(3, 1);
	enter(LEDGER_CONFIG_CERTIFICATES, RC_OK, BOTH);
}

/* Text and certificates come back together, whatever the directory has, and over the end of control. */
static void unconfirmed(void **state)
{
	char path[200], stored[4000] = "";
	FILE *f;

	snprintf(text, sizeof text, PKI, "CN=*");
	files_are(1);
	commits_as("site.conf", 0, 1, 1);
	files_are(2);
	commits_as("site.conf", 5, 2, 2);
	files_are(3);
	commits_as("site.conf", 5, 3, 3); /* what comes back stays what ran before the first of them */
	stop();
	snprintf(path, sizeof path, "%s/unconfirmed", dir);
	f = fopen(path, "r");
	assert_non_null(f);
	stored[fread(stored, 1, sizeof stored - 1, f)] = '\0';
	fclose(f);
	f = fopen(path, "w");
	fprintf(f, "# 1 5\n%s", strchr(stored, '\n') + 1);
	fclose(f);
	starts_with(3, 3);
	enter(LEDGER_CONFIG_CERTIFICATES, RC_OK, BOTH);
	enter(LEDGER_CONFIG_CERTIFICATES, RC_OK, BOTH ",\"generation\":4");
	enter(LEDGER_CONFIG_COMMIT, RC_OK, "not confirmed");
	all_get(4, 1);
	is_there("unconfirmed", false);
	is_there("unconfirmed.certificates", false);
	stop();
	starts_with(4, 1);
	enter(LEDGER_CONFIG_CERTIFICATES, RC_OK, BOTH);
	file_write("gw.crt", "spoiled");
}

/* The same of a text of the history; another file with that text takes the directory's. */
static void history(void **state)
{
	snprintf(text, sizeof text, PKI, "CN=*");
	for (uint8_t i = 1; i <= 3; i++) {
		files_are(i);
		commits_as("site.conf", 0, i, i);
	}
	commits_as("rollback.2", 0, 4, 1);
	commits_as("rollback.1", 0, 5, 3);
	commits_as("rollback.1", 0, 6, 1);
	stop();
	starts_with(6, 1);
	enter(LEDGER_CONFIG_CERTIFICATES, RC_OK, BOTH);
	commits_as("site.conf", 0, 7, 3);
	commit_good(GOOD, 8); /* a text without certificates has none beside it */
	commit_good(OTHER, 9);
	is_there("certificates", false);
	is_there("rollback.1.certificates", false);
	is_there("rollback.2.certificates", true);
	commits_as("rollback.2", 0, 10, 3);
}

/* The certificates are entered, and then the commit. */
static void commit_with(uint64_t generation)
{
	struct ipc_link l = commit(text);

	enter(LEDGER_CONFIG_CERTIFICATES, RC_OK, BOTH);
	enter(LEDGER_CONFIG_COMMIT, RC_OK, "\"admin\"");
	take_all(generation);
	for (int i = 0; i < 2; i++)
		expect(&l, IPC_CLI_ROW);
	ends(&l, RC_OK, "is running");
}

/* What was committed is what runs after a restart, whatever the directory has then. */
static void restarts(void **state)
{
	char path[200];

	file_write("a.crt", PEM("MAAB"));
	file_write("gw.crt", PEM("MAAC"));
	snprintf(text, sizeof text, PKI, "CN=*");
	commit_with(1);
	stop();
	file_write("a.crt", PEM("MAAD"));
	file_write("gw.crt", "spoiled");
	started(1);
	/* SHA-256 of 30 00 01 30 00 02 */
	enter(LEDGER_CONFIG_CERTIFICATES, RC_OK,
		BOTH
		",\"generation\":1,\"set\":\"cb1ae77abe84af129e1eccb468e739f4a1cab156df2469313b46332783daa35c\","
		"\"sha256\":\"cabe031e510da7d903ea732a0895772de6130e60895e4d81caa56142dfd15bcd\"");
	if (look_inside())
		assert_int_equal(running_octet(), 1);
	stop();
	/* Lost: what of the directory can be used, and the rest of the configuration. */
	snprintf(path, sizeof path, "%s/certificates", dir);
	assert_int_equal(unlink(path), 0);
	started(1);
	enter(LEDGER_CONFIG_CERTIFICATES, RC_OK, "\"certificates\":1");
	if (look_inside()) {
		const struct snapshot *s = control.running.block;
		assert_int_equal(s->certificates.count, 1);
		assert_int_equal(s->peers.count, 1);
	}
	/* Another commit of the same text is what takes the new files. */
	file_write("gw.crt", PEM("MAAE"));
	commit_with(2);
	if (look_inside())
		assert_int_equal(running_octet(), 3);
}

static void certifier_gets(enum proc p, uint32_t rc, const char *says)
{
	struct msg_result r = { .rc = rc };
	struct ipc_frame *f = expect(&peers[p], IPC_CERTIFY_CHECK);
	int fd = ipc_frame_take(f);
	const struct snapshot *s = mmap(NULL, f->u.CERTIFY_CHECK.bytes, PROT_READ, MAP_SHARED, fd, 0);

	assert_ptr_not_equal(s, MAP_FAILED);
	assert_int_equal(snapshot_check(s, f->u.CERTIFY_CHECK.bytes, NULL), RC_OK);
	assert_int_equal(s->certificates.count, 2);
	munmap((void *)(uintptr_t)s, f->u.CERTIFY_CHECK.bytes);
	close(fd);
	snprintf(r.text, sizeof r.text, "%s", says);
	assert_int_equal(ipc_send_CERTIFY_CHECKED(&peers[p], f->head.tag, &r), RC_OK);
}

static struct ipc_link checks(void)
{
	int fd = memory_of(text);
	struct ipc_link l = ask((struct msg_cli_request){ .command = CLI_CHECK, .name = "site.conf" }, fd);

	close(fd);
	return l;
}

/* What one of the certifiers cannot use is refused, by check and commit; one that does not answer prevents neither. */
static void certifiers_are_asked(void **state)
{
	struct ipc_link l;

	give_link(PROC_CERTIFIER_OPENSSL);
	take_snapshot(PROC_CERTIFIER_OPENSSL, 0, false, RC_OK);
	give_link(PROC_CERTIFIER_GNUTLS);
	take_snapshot(PROC_CERTIFIER_GNUTLS, 0, false, RC_OK);
	snprintf(text, sizeof text, PKI, "CN=*");
	files_are(1);
	for (int who = 0; who < 2; who++)
		for (int commits = 0; commits < 2; commits++) {
			l = commits ? commit_as("site.conf", 0) : checks();
			certifier_gets(PROC_CERTIFIER_OPENSSL, who == 0 ? RC_MALFORMED : RC_OK,
				"file 'a.crt', by one");
			expect_nothing(&peers[PROC_LEDGER]);
			certifier_gets(PROC_CERTIFIER_GNUTLS, who == 1 ? RC_MALFORMED : RC_OK,
				"file 'a.crt', by one");
			if (commits)
				enter(LEDGER_CONFIG_REFUSED, RC_OK, "file 'a.crt', by one");
			ends(&l, RC_MALFORMED, "file 'a.crt', by one");
		}
	file_is("running.conf", NULL);
	l = checks();
	certifier_gets(PROC_CERTIFIER_OPENSSL, RC_OK, "");
	certifier_gets(PROC_CERTIFIER_GNUTLS, RC_OK, "");
	ends(&l, RC_OK, "is valid");
	/* one ends meanwhile */
	l = commit_as("site.conf", 0);
	certifier_gets(PROC_CERTIFIER_OPENSSL, RC_OK, "");
	ipc_link_close(&peers[PROC_CERTIFIER_GNUTLS]);
	enter(LEDGER_CONFIG_CERTIFICATES, RC_OK, BOTH);
	enter(LEDGER_CONFIG_COMMIT, RC_OK, "");
	take_all(1);
	take_snapshot(PROC_CERTIFIER_OPENSSL, 1, true, RC_OK);
	assert_non_null(strstr(expect(&l, IPC_CLI_ROW)->u.CLI_ROW.json, "certifier-gnutls does not run"));
	ends(&l, RC_OK, "is running");
	/* the client goes, and the commit goes on */
	l = commit_as("site.conf", 0);
	struct ipc_frame *f = expect(&peers[PROC_CERTIFIER_OPENSSL], IPC_CERTIFY_CHECK);
	struct msg_result r = { .rc = RC_OK };
	uint64_t tag = f->head.tag;
	ipc_link_close(&l);
	pump();
	assert_int_equal(ipc_send_CERTIFY_CHECKED(&peers[PROC_CERTIFIER_OPENSSL], tag, &r), RC_OK);
	enter(LEDGER_CONFIG_CERTIFICATES, RC_OK, BOTH);
	enter(LEDGER_CONFIG_COMMIT, RC_OK, "");
	take_all(2);
	take_snapshot(PROC_CERTIFIER_OPENSSL, 2, true, RC_OK);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(says_what_is_wrong, fresh, cleared),
		cmocka_unit_test_setup_teardown(restarts, fresh, cleared),
		cmocka_unit_test_setup_teardown(failed_commit_of_the_same_text, fresh, cleared),
		cmocka_unit_test_setup_teardown(killed_between, fresh, cleared),
		cmocka_unit_test_setup_teardown(unconfirmed, fresh, cleared),
		cmocka_unit_test_setup_teardown(history, fresh, cleared),
		cmocka_unit_test_setup_teardown(certificates_need_signatures, fresh, cleared),
		cmocka_unit_test_setup_teardown(certifiers_are_asked, fresh, cleared),
	};

	if (!executable_from(argc, argv))
		return 77;
	return cmocka_run_group_tests_name("control certificates", tests, NULL, NULL);
}
