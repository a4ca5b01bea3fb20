/*
 * getrandom as code of the vDSO, without a system call (Linux 6.11): what a filter of system calls cannot
 * refuse. Shown in the real sandbox of the entropy process: a process that drew before the filter goes on
 * drawing behind it, and finds that out; one that did not cannot begin to. The C library of glibc 2.41 does
 * as this test does by hand. Needs root, the users of tools/make-users and such a kernel.
 */
#include "proc/entropy/shell.h"
#include "sandbox/sandbox.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <elf.h>
#include <errno.h>
#include <pwd.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* Linux, Documentation of vgetrandom_opaque_params: what a caller asks with a length of all ones. */
struct params {
	uint32_t state_size, mmap_prot, mmap_flags, reserved[13];
};

typedef ssize_t vdso_fn(void *bytes, size_t n, unsigned flags, void *state, size_t state_n);

static vdso_fn *vdso;
static void *state_page;
static size_t state_n;

/* NULL: this kernel has none. */
static vdso_fn *vdso_find(void)
{
	const uint8_t *base = (const uint8_t *)getauxval(AT_SYSINFO_EHDR); /* NOLINT */
	const Elf64_Ehdr *head = (const void *)base;
	const Elf64_Shdr *sections;

	if (!base || head->e_shoff == 0)
		return NULL;
	sections = (const void *)(base + head->e_shoff);
	for (unsigned i = 0; i < head->e_shnum; i++) {
		if (sections[i].sh_type != SHT_DYNSYM)
			continue;
		const Elf64_Sym *symbols = (const void *)(base + sections[i].sh_offset);
		const char *names = (const char *)base + sections[sections[i].sh_link].sh_offset;
		for (size_t k = 0; k < sections[i].sh_size / sizeof *symbols; k++)
			if (strcmp(names + symbols[k].st_name, "__vdso_getrandom") == 0)
				return (vdso_fn *)(uintptr_t)(base + symbols[k].st_value);
	}
	return NULL;
}

static bool vdso_prepare(void)
{
	struct params p = { 0 };

	vdso = vdso_find();
	if (!vdso || vdso(NULL, 0, 0, &p, ~(size_t)0) != 0)
		return false;
	state_n = p.state_size;
	state_page = mmap(NULL, 4096, (int)p.mmap_prot, (int)p.mmap_flags, -1, 0);
	return state_page != MAP_FAILED;
}

static ssize_t draw(void *ret_bytes, size_t n, unsigned flags)
{
	return vdso(ret_bytes, n, flags, state_page, state_n);
}

static ssize_t call(void *ret_bytes, size_t n, unsigned flags)
{
	return syscall(SYS_getrandom, ret_bytes, n, flags);
}

enum { APART, NOT_APART, NO_SANDBOX, CALL_GIVES };

/* What an entropy process finds once its filter is in force. */
static int confined(bool drew_before)
{
	const struct entropy_calls ways = { draw, call };
	uint8_t octets[32];
	int status;

	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		if (!vdso_prepare() || (drew_before && draw(octets, sizeof octets, 0) != sizeof octets) ||
			sandbox_enter(PROC_ENTROPY, NULL) != RC_OK)
			_exit(NO_SANDBOX);
		if (call(octets, sizeof octets, 0) >= 0)
			_exit(CALL_GIVES);
		_exit(entropy_is_apart(&ways, NULL) == RC_OK ? APART : NOT_APART);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void the_filter_alone_does_not_show_it(void **state)
{
	assert_int_equal(confined(true), NOT_APART);
	assert_int_equal(confined(false), APART);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(the_filter_alone_does_not_show_it) };

	if (geteuid() != 0 || !getpwnam("plaingate-entropy") || !vdso_prepare()) {
		fprintf(stderr, "skipped: needs root, the users that tools/make-users creates, and a kernel "
				"whose vDSO has "
				"getrandom\n");
		return 77;
	}
	alarm(50);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
