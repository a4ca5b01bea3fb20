#include "ipc/snapshot_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

static enum rc file_check(int fd, uint64_t bytes, struct err *e)
{
	int seals = fd < 0 ? -1 : fcntl(fd, F_GET_SEALS);
	struct stat st;

	if (seals < 0 || (seals & SEALS) != SEALS)
		return err_add(e, RC_DENIED, "the configuration is not in a sealed file");
	if (fstat(fd, &st) < 0)
		return err_errno(e, RC_IO, "stat of the configuration");
	if (bytes < sizeof(struct snapshot) || bytes > SNAPSHOT_BYTES_MAX || (uint64_t)st.st_size != bytes)
		return err_add(e, RC_RANGE, "the configuration has %lld octets, %llu were announced",
			(long long)st.st_size, (unsigned long long)bytes);
	return RC_OK;
}

enum rc snapshot_file_map(struct snapshot_file *ret_file, int fd, uint64_t bytes, struct err *e)
{
	enum rc rc = file_check(fd, bytes, e);

	*ret_file = (struct snapshot_file){ 0 };
	if (rc == RC_OK) {
		void *at = mmap(NULL, bytes, PROT_READ, MAP_SHARED, fd, 0);
		if (at == MAP_FAILED)
			rc = err_errno(e, RC_IO, "map the configuration");
		else
			*ret_file = (struct snapshot_file){ at, bytes };
	}
	if (fd >= 0)
		close(fd);
	return rc;
}

enum rc snapshot_file_take(struct snapshot_file *ret_file, int fd, uint64_t bytes, struct err *e)
{
	enum rc rc = snapshot_file_map(ret_file, fd, bytes, e);

	if (rc == RC_OK)
		rc = snapshot_check(ret_file->snapshot, bytes, e);
	if (rc != RC_OK)
		snapshot_file_done(ret_file);
	return rc;
}

void snapshot_file_done(struct snapshot_file *f)
{
	if (f->snapshot)
		munmap((void *)(uintptr_t)f->snapshot, f->bytes);
	*f = (struct snapshot_file){ 0 };
}
