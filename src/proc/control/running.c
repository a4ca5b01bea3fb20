/*
 * The running configuration: compiled, and loaded when control starts.
 */
#include "base/log.h"
#include "proc/control/control.h"
#include "witness/configured.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

enum rc snapshot_memfd(int *ret_fd, const void *block, size_t bytes, struct err *e)
{
	int fd = memfd_create("snapshot", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	size_t written = 0;

	*ret_fd = -1;
	while (fd >= 0 && written < bytes) {
		ssize_t part = write(fd, (const char *)block + written, bytes - written);
		if (part < 0 && errno == EINTR)
			continue;
		if (part <= 0)
			break;
		written += (size_t)part;
	}
	if (fd < 0 || written < bytes ||
		fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) != 0) {
		err_errno(e, RC_IO, "copy the compiled configuration to a memfd");
		if (fd >= 0)
			close(fd);
		return RC_IO;
	}
	*ret_fd = fd;
	return RC_OK;
}

void running_done(struct running *r)
{
	free(r->text);
	free(r->block);
	free(r->certificates);
	administrators_free(r->administrators);
	if (r->memory >= 0)
		close(r->memory);
	*r = (struct running){ .memory = -1 };
}

enum rc running_compile(struct control *k, struct running *r, char *text, size_t n, const char *name,
	enum certificates_from from, struct faults *ret_faults, struct err *e)
{
	enum rc rc;

	r->text = text;
	r->n = n;
	crypto_hash_sha256(r->sha256, (const unsigned char *)text, n);
	rc = model_read_administrators(text, n, name, r->generation, r->sha256, &r->block, &r->bytes,
		&r->administrators, ret_faults, e);
	if (!rc)
		rc = configured_keys_check(&((const struct snapshot *)r->block)->evidence, name, e);
	if (!rc)
		rc = control_certificates(k, r, name, from, e);
	if (!rc)
		rc = snapshot_memfd(&r->memory, r->block, r->bytes, e);
	return rc;
}

/*
 * Nothing is permitted, to the host as well: a machine whose configuration is gone cannot be told from one
 * that never had one. lost: there is one, and it cannot be used; the count of generations goes on.
 */
static enum rc running_empty(struct control *k, bool lost, struct err *e)
{
	static const char
		fresh[] = "# No configuration has been committed yet: all is denied, to the host as well.\n",
		closed[] =
			"# The stored configuration could not be used: all is denied, to the host as well.\n";
	struct running *r = &k->running;
	char *text = strdup(lost ? closed : fresh);
	struct faults none;
	uint64_t generation = 0;

	running_done(r);
	if (!text)
		return err_add(e, RC_INTERNAL, "out of memory");
	if (lost) {
		crypto_hash_sha256(r->sha256, (const unsigned char *)text, strlen(text));
		generation = config_store_generation(k->config_dir, r->sha256);
	}
	r->generation = generation;
	return running_compile(k, r, text, strlen(text), "built-in", CERTIFICATES_FILES, &none, e);
}

enum rc running_load(struct control *k, struct err *e)
{
	struct err fault = { 0 };
	struct running *r = &k->running;
	struct faults faults;
	char *text = NULL;
	size_t n = 0;
	enum rc rc = config_store_read(k->config_dir, &text, &n, &fault);

	if (!rc) {
		crypto_hash_sha256(r->sha256, (const unsigned char *)text, n);
		r->generation = config_store_generation(k->config_dir, r->sha256);
		rc = running_compile(k, r, text, n, "running.conf", CERTIFICATES_STORED, &faults, &fault);
		if (!rc) {
			if (snapshot_check_not_closed(r->block, "running.conf", &fault))
				log_warn("%s", fault.text);
			entry_config_load(k);
			entry_config_certificates(k, r);
			return RC_OK;
		}
		entry_config_refused(k, NULL, r->sha256, 0, fault.text);
	}
	log_line(rc == RC_NOT_FOUND ? LOG_WARN : LOG_ERROR,
		"%s; all traffic is denied, to the host as well, until a configuration is committed",
		rc == RC_NOT_FOUND ? "there is no stored configuration" : fault.text);
	rc = running_empty(k, rc != RC_NOT_FOUND, e);
	if (!rc)
		entry_config_load(k);
	return rc;
}
