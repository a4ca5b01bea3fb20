#include "proc/ledger/sealer.h"
#include "base/bytes.h"
#include "proc/ledger/limits.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

void sealer_init(struct sealer *s, int dir, const struct ledger_store *store)
{
	*s = (struct sealer){ .dir = dir, .store = store };
}

static void epoch_free(struct seal_epoch **epoch)
{
	if (!*epoch)
		return;
	seal_epoch_end(*epoch);
	munmap(*epoch, sizeof **epoch);
	*epoch = NULL;
}

void sealer_done(struct sealer *s)
{
	epoch_free(&s->epoch);
	epoch_free(&s->coming);
}

bool sealer_due(const struct sealer *s)
{
	return !s->epoch || s->epoch->next >= SEAL_KEYS - SEALER_KEYS_LEFT_MIN;
}

static enum rc epoch_make(struct sealer *s, struct err *e)
{
	uint8_t seed[SEAL_SEED_SIZE];
	void *room =
		mmap(NULL, sizeof *s->coming, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (room == MAP_FAILED)
		return err_errno(e, RC_LIMIT, "allocate memory for one-time keys");
	s->coming = room;
	enum rc rc = mlock(room, sizeof *s->coming) == 0 && getrandom(seed, sizeof seed, 0) == sizeof seed
			     ? seal_epoch_begin(s->coming, seed)
			     : RC_IO;
	bytes_wipe(seed, sizeof seed);
	if (rc == RC_OK)
		return RC_OK;
	epoch_free(&s->coming);
	return err_errno(e, rc, "make one-time keys");
}

enum rc sealer_prepare(struct sealer *s, struct merkle_hash *ret_root, struct err *e)
{
	char path[SEAL_PATH_MAX];
	enum rc rc = s->coming ? RC_OK : epoch_make(s, e);

	if (rc == RC_OK)
		rc = s->store->replace(s->store->context, seal_path_keys(path, &s->coming->root),
			s->coming->publics, sizeof s->coming->publics, e);
	if (rc == RC_OK)
		rc = s->store->replace(s->store->context, seal_path_seals(path, &s->coming->root), "", 0, e);
	if (rc == RC_OK)
		*ret_root = s->coming->root;
	return rc;
}

void sealer_change(struct sealer *s)
{
	if (!s->coming)
		return;
	epoch_free(&s->epoch);
	s->epoch = s->coming;
	s->coming = NULL;
	s->pending = false;
	s->sealed = (struct checkpoint){ 0 };
}

/* At its place by its index: a record that was torn is written over. */
static enum rc record_write(struct sealer *s, struct err *e)
{
	char path[SEAL_PATH_MAX];
	off_t at = (off_t)load_be32(s->record) * SEAL_RECORD_SIZE;
	int fd = openat(s->dir, seal_path_seals(path, &s->epoch->root), O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
	bool good = fd >= 0 && pwrite(fd, s->record, sizeof s->record, at) == sizeof s->record &&
		    fdatasync(fd) == 0;
	enum rc rc = good ? RC_OK : err_errno(e, RC_IO, "write '%s'", path);

	if (fd >= 0)
		close(fd);
	s->pending = !good;
	return rc;
}

enum rc sealer_seal(struct sealer *s, const struct checkpoint *c, struct err *e)
{
	if (s->pending) {
		enum rc rc = record_write(s, e);
		if (rc != RC_OK)
			return rc;
	}
	if (s->sealed.size == c->size && s->epoch->next > 0)
		return RC_OK;
	enum rc rc = seal_sign(s->epoch, c, s->record);
	if (rc != RC_OK)
		return err_add(e, rc, "the checkpoint cannot be sealed: no one-time key is left");
	s->sealed = *c;
	return record_write(s, e);
}
