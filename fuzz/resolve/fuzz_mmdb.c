/*
 * Databases of countries: whatever libmaxminddb opens, each country has a sorted and disjoint list of networks, or there is none
 * at all and a reason.
 */
#include "resolve/country.h"

#include "must.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static struct countries c;
	struct err e = { 0 };
	uint64_t total = 0;
	char path[64];
	MMDB_s db;
	int fd = memfd_create("countries", MFD_CLOEXEC);

	MUST(fd >= 0 && write(fd, data, n) == (ssize_t)n);
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	int status = MMDB_open(path, MMDB_MODE_MMAP, &db);
	close(fd);
	if (status != MMDB_SUCCESS)
		return 0;
	memset(c.wanted, true, sizeof c.wanted);
	enum rc rc = countries_parse(&c, &db, &e);
	MUST((rc == RC_OK) == (e.text[0] == '\0'));
	for (uint32_t k = 0; k < COUNTRIES; k++) {
		const struct feed *f = &c.of[k];
		MUST(rc == RC_OK || f->n == 0);
		for (uint32_t i = 0; i < f->n; i++, total++)
			MUST(!range_is_wildcard(&f->range[i]) &&
				addr_compare(&f->range[i].first, &f->range[i].last) <= 0 &&
				(i == 0 || addr_compare(&f->range[i - 1].last, &f->range[i].first) < 0));
	}
	MUST(rc != RC_OK || total > 0);
	countries_done(&c);
	MMDB_close(&db);
	return 0;
}
