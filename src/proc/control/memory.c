/*
 * Texts and memory between control and a client. Control makes the memory and gives it; no file of a client is taken (ipc/link.c): to read
 * one, to ask for its size and even to close it can take as long as its maker likes. Memory that a client fills is read once, into a copy.
 */
#include "proc/control/control.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define SIZE_SEALS (F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL)

/* The memory is the client's from now on; our own end of it stays in c->memory. */
static enum rc give(struct client *c, int fd, uint64_t bytes, struct err *e)
{
	const struct msg_memory m = { .bytes = bytes };
	enum rc rc = ipc_send_CLI_MEMORY(&c->port.link, 1, &m, fd);

	c->memory = fd;
	return rc ? err_add(e, rc, "the client does not take the memory for its request") : RC_OK;
}

enum rc client_memory_give(struct client *c, uint64_t bytes, struct err *e)
{
	int fd = memfd_create("client", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	client_memory_forget(c);
	if (fd >= 0 && ftruncate(fd, (off_t)bytes) == 0 && fcntl(fd, F_ADD_SEALS, SIZE_SEALS) == 0)
		return give(c, fd, bytes, e);
	err_errno(e, RC_IO, "make memory for a client");
	if (fd >= 0)
		close(fd);
	return RC_IO;
}

enum rc client_memory_answer(struct client *c, const char *text, size_t n, struct err *e)
{
	int fd;
	enum rc rc = snapshot_memfd(&fd, text, n, e);

	client_memory_forget(c);
	return rc ? rc : give(c, fd, n, e);
}

enum rc client_memory_read(struct client *c, char **ret_text, size_t *ret_n, struct err *e)
{
	size_t n = 0, bytes = (size_t)c->request.bytes;
	char *text = c->memory < 0 ? NULL : malloc(bytes + 1);
	ssize_t part = 1;

	*ret_text = NULL;
	if (!text)
		return err_add(e, RC_INTERNAL, "out of memory");
	while (n < bytes && part > 0) {
		part = pread(c->memory, text + n, bytes - n, (off_t)n);
		if (part > 0)
			n += (size_t)part;
		else if (part < 0 && errno == EINTR)
			part = 1;
	}
	client_memory_forget(c);
	if (n < bytes) {
		free(text);
		return err_errno(e, RC_IO, "read the memory of a client");
	}
	text[n] = '\0';
	*ret_text = text;
	*ret_n = n;
	return RC_OK;
}

void client_memory_forget(struct client *c)
{
	if (c->memory >= 0)
		close(c->memory);
	c->memory = -1;
}
