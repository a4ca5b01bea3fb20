/* What all files have in common that are read again and again: when one is due, what is said of it, and its octets. */
#include "proc/resolver/shell.h"

#include "base/log.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

void feed_put_off(struct resolver *x, struct feed_of *f, uint32_t interval_s, const char *why)
{
	uint32_t s = 1;

	snprintf(f->why, sizeof f->why, "%.*s", (int)sizeof f->why - 1, why);
	for (uint32_t i = 0; i < f->failures && s < NAME_RETRY_MAX_S; i++)
		s *= 2;
	f->failures++;
	f->awaited = 0;
	f->next = x->child->loop.now + MIN_OF(MIN_OF(s, (uint32_t)NAME_RETRY_MAX_S), interval_s) * NS_PER_S;
}

void feed_failed(struct resolver *x, struct entry *e, const char *why)
{
	bool crl = e->of.kind == DYNAMIC_CRL;

	if (strncmp(e->feed.why, why, sizeof e->feed.why - 1) != 0)
		log_warn("%s '%s' is not used, %s: %s", crl ? "the CRL of ca-profile" : "feed", e->of.name,
			e->feed.known ? "the last good one stays"
			: crl	      ? "and there is no other"
				      : "and no address of it is known yet",
			why);
	e->untold_state = true;
	feed_put_off(x, &e->feed, e->of.interval_s, why);
}

void feed_succeeded(struct resolver *x, struct entry *e)
{
	struct feed_of *f = &e->feed;

	f->read_at = clock_utc();
	f->why[0] = '\0';
	f->failures = 0;
	f->awaited = 0;
	f->next = x->child->loop.now + e->of.interval_s * NS_PER_S;
	e->untold_state = true;
}

bool feed_write_all(int fd, const char *text, size_t n)
{
	while (n > 0) {
		ssize_t part = write(fd, text, n);
		if (part < 0 && errno == EINTR)
			continue;
		if (part <= 0)
			return false;
		text += part;
		n -= (size_t)part;
	}
	return true;
}

char *feed_file_read(int fd, size_t *ret_n, utc_us *ret_written, struct err *e)
{
	struct stat st;
	size_t n = 0;

	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size > FEED_BYTES_MAX) {
		err_add(e, RC_LIMIT, "not a file of at most %u octets", FEED_BYTES_MAX);
		return NULL;
	}
	char *text = malloc((size_t)st.st_size + 1);
	while (text && n < (size_t)st.st_size) {
		ssize_t part = pread(fd, text + n, (size_t)st.st_size - n, (off_t)n);
		if (part < 0 && errno == EINTR)
			continue;
		if (part < 0) {
			err_errno(e, RC_IO, "read");
			free(text);
			return NULL;
		}
		if (part == 0)
			break; /* it has become shorter meanwhile */
		n += (size_t)part;
	}
	if (!text)
		err_add(e, RC_LIMIT, "out of memory for %zu octets", (size_t)st.st_size);
	*ret_n = n;
	*ret_written = (utc_us)st.st_mtim.tv_sec * 1000000;
	return text;
}
