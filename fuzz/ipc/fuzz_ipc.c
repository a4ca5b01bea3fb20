/*
 * Frames of a hostile process into ipc_recv(): over a real socket pair, with files beside them. The input
 * picks the two ends and cuts itself into datagrams. What comes out must be what the table allows, whole,
 * with exactly its files; nothing leaks.
 */
#include "ipc/link.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct {
	uint32_t from, to, body_n, files;
} rows[IPC_ID_COUNT] = {
#define E(id, from, to, body, files) { from, to, sizeof(body), files },
	IPC_MESSAGES(E)
#undef E
};

#define FILES_MAX 10

static void must(bool held, const char *what)
{
	if (!held) {
		fprintf(stderr, "not held: %s\n", what);
		abort();
	}
}

static void send_raw(int fd, const uint8_t *bytes, size_t n, size_t files_n)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int) * FILES_MAX)];
		struct cmsghdr align;
	} control = { 0 };
	struct iovec iov = { .iov_base = (void *)(uintptr_t)bytes, .iov_len = n };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (files_n > 0) {
		m.msg_control = control.bytes;
		m.msg_controllen = CMSG_SPACE(sizeof(int) * files_n);
		struct cmsghdr *c = CMSG_FIRSTHDR(&m);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int) * files_n);
		for (size_t i = 0; i < files_n; i++)
			memcpy(CMSG_DATA(c) + i * sizeof(int), &fd, sizeof(int));
	}
	sendmsg(fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* The lowest number that the next file would get: unchanged when nothing leaked. */
static int next_file(void)
{
	int fd = fcntl(0, F_DUPFD_CLOEXEC, 0);

	must(fd >= 0, "a file can be opened");
	close(fd);
	return fd;
}

static void receive(struct ipc_link *l)
{
	static struct ipc_frame f;
	struct err e = { 0 };
	enum rc rc;

	while ((rc = ipc_recv(l, &f, &e)) == RC_OK) {
		must(f.head.id < IPC_ID_COUNT, "a known message");
		must(rows[f.head.id].from >> l->peer & 1 && rows[f.head.id].to >> l->self & 1,
			"sender and receiver");
		must(f.head.body_n == rows[f.head.id].body_n, "the whole body");
		must((f.file >= 0) == (rows[f.head.id].files == 1), "its file");
		ipc_frame_done(&f);
	}
	must(rc == RC_AGAIN || (l->dead && e.text[0] != '\0'), "an error that says what was wrong");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int before = next_file(), fds[2];
	struct ipc_link l;

	if (size < 1 || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0)
		return 0;
	ipc_link_open(&l, fds[1], data[0] % PROC_COUNT, data[0] / PROC_COUNT % PROC_COUNT);
	data++, size--;
	/* control byte: how many files; then a length; length 0xffff: the exact size of the message that is
	 * named */
	while (size >= 3 && !l.dead) {
		size_t files_n = data[0] % (FILES_MAX + 1), n = load_be16(data + 1);
		static uint8_t frame[sizeof(struct ipc_head) + sizeof(union ipc_body) + 64];
		data += 3, size -= 3;
		size_t given = MIN_OF(MIN_OF(n, size), sizeof frame);
		memset(frame, 0, sizeof frame);
		memcpy(frame, data, given);
		data += given, size -= given;
		if (n == 0xffff) {
			struct ipc_head h;
			memcpy(&h, frame, sizeof h);
			h.id %= IPC_ID_COUNT;
			h.body_n = rows[h.id].body_n;
			h.files = (uint16_t)rows[h.id].files;
			h.table = ipc_table();
			memcpy(frame, &h, sizeof h);
			n = sizeof h + h.body_n;
		} else {
			n = MIN_OF(n, sizeof frame);
		}
		send_raw(fds[0], frame, n, files_n);
		receive(&l);
	}
	ipc_link_close(&l);
	close(fds[0]);
	must(next_file() == before, "no file leaked");
	return 0;
}
