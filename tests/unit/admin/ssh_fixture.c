#include "ssh_fixture.h"

#include "must.h"

#include <stdarg.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static char directory[] = "/tmp/plaingate-ssh-XXXXXX";
static int made;

const char *ssh_directory(void)
{
	if (!made) {
		MUST(mkdtemp(directory));
		made = 1;
	}
	return directory;
}

int ssh_run(char *ret_text, size_t max, const char *fmt, ...)
{
	char command[2048], whole[2300], rest[256];
	size_t n = 0, got;
	va_list args;

	va_start(args, fmt);
	int command_n = vsnprintf(command, sizeof command, fmt, args);
	va_end(args);
	MUST(command_n > 0 && (size_t)command_n < sizeof command);
	snprintf(whole, sizeof whole, "cd '%s' && { %s\n}", ssh_directory(), command);
	FILE *out = popen(whole, "r");
	MUST(out);
	while (ret_text && n + 1 < max && (got = fread(ret_text + n, 1, max - 1 - n, out)) > 0)
		n += got;
	while (fread(rest, 1, sizeof rest, out) > 0)
		;
	if (ret_text)
		ret_text[n] = '\0';
	int status = pclose(out);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static FILE *file_open(const char *name, const char *mode)
{
	char path[512];

	snprintf(path, sizeof path, "%s/%s", ssh_directory(), name);
	FILE *f = fopen(path, mode);
	MUST(f);
	return f;
}

size_t ssh_file_read(const char *name, char *ret_bytes, size_t max)
{
	FILE *f = file_open(name, "rb");
	size_t n = fread(ret_bytes, 1, max - 1, f);

	MUST(n < max - 1 && fclose(f) == 0);
	ret_bytes[n] = '\0';
	return n;
}

void ssh_file_write(const char *name, const void *bytes, size_t n)
{
	FILE *f = file_open(name, "wb");

	MUST(fwrite(bytes, 1, n, f) == n && fclose(f) == 0);
}

size_t ssh_key_make(const char *name, const char *type_and_options, char *ret_public, size_t max)
{
	char file[300];

	MUST(ssh_run(NULL, 0, "ssh-keygen -q -N '' -C 'alice@laptop 1' -f '%s' -t %s >&2", name,
		     type_and_options) == 0);
	snprintf(file, sizeof file, "%s.pub", name);
	size_t n = ssh_file_read(file, ret_public, max);
	MUST(n > 0 && ret_public[n - 1] == '\n');
	ret_public[n - 1] = '\0';
	return n - 1;
}

void ssh_done(void)
{
	if (made)
		MUST(ssh_run(NULL, 0, "rm -rf '%s'", directory) == 0);
	made = 0;
}
