#include "proc/ledger/shell.h"
#include "base/log.h"
#include "proc/ledger/append.h"
#include "proc/ledger/batch.h"
#include "proc/ledger/opening.h"
#include "proc/ledger/publish.h"

#include <stdio.h>
#include <unistd.h>

static struct ledger_shell *shell_of(struct child *c)
{
	return c->context;
}

static enum rc key_read(struct ledger_shell *s, int fd, struct err *e)
{
	uint8_t public_key[ED25519_PUBLIC_SIZE];
	char origin[NOTE_NAME_MAX];
	ssize_t n = pread(fd, s->seed, sizeof s->seed, 0);

	close(fd);
	if (n != (ssize_t)sizeof s->seed)
		return err_add(e, RC_MALFORMED,
			"the ledger's key file has %zd octets, expected a seed of %zu", n, sizeof s->seed);
	ed25519_public(public_key, s->seed);
	s->have_key = true;
	return note_key_make(&s->key, recovery_origin(origin, public_key), NOTE_ED25519, public_key);
}

static enum rc on_resource(struct child *c, const struct msg_resource *r, int fd, struct err *e)
{
	struct ledger_shell *s = shell_of(c);

	if (r->kind == RESOURCE_LEDGER_KEY)
		return key_read(s, fd, e);
	if (r->kind != RESOURCE_LEDGER_DIR) {
		close(fd);
		return err_add(e, RC_DENIED, "resource %s is not for the ledger",
			resource_name((enum resource)r->kind));
	}
	s->dir = fd;
	return RC_OK;
}

static void show(struct ledger_shell *s, uint64_t tag)
{
	struct msg_row row = { 0 };
	struct msg_result end = { 0 };
	struct merkle_hash root = ledger_root(s->log);
	char when[UTC_TEXT_MAX], vkey[NOTE_VKEY_MAX], cosigner_vkey[NOTE_VKEY_MAX];
	struct jw w = jw_over(row.json, sizeof row.json, true);

	jw_object(&w, NULL);
	jw_str(&w, "cosigner_vkey", peers_vkey(&s->peers, cosigner_vkey));
	jw_str(&w, "directory", s->directory);
	jw_u64(&w, "disk_write_failures", s->failures);
	jw_u64(&w, "disk_writes", s->commits);
	jw_str(&w, "last_checkpoint", s->last_checkpoint ? utc_text(when, s->last_checkpoint) : "");
	jw_str(&w, "origin", s->key.name);
	jw_u64(&w, "published_size", ledger_published(s->log));
	jw_hex(&w, "root", root.b, sizeof root.b);
	jw_u64(&w, "size", ledger_size(s->log));
	jw_str(&w, "vkey", note_key_text(vkey, &s->key));
	jw_end(&w);
	row.n = (uint32_t)jw_done(&w);
	ipc_send_SHOW_ROW(child_link(s->child, PROC_CONTROL), tag, &row);
	end.count = 1 + witnesses_show(&s->witnesses, tag) + peers_show(&s->peers, tag);
	ipc_send_SHOW_END(child_link(s->child, PROC_CONTROL), tag, &end);
}

/* A connection could not be opened, or a message to a peer could not be sent. */
static void request_refused(struct ledger_shell *s, enum proc by, uint64_t tag, struct msg_result *r)
{
	r->text[sizeof r->text - 1] = '\0';
	if (r->rc != RC_OK)
		witnesses_refused(&s->witnesses, by, tag, r->text);
}

static void supervisor_message(struct ledger_shell *s, struct ipc_frame *f)
{
	struct err e = { 0 };

	switch (f->head.id) {
	case IPC_WITNESSES:
		if (snapshot_evidence_check(&f->u.WITNESSES, &e) == RC_OK) {
			witnesses_configure(&s->witnesses, &f->u.WITNESSES);
			peers_configure(&s->peers, &f->u.WITNESSES);
		} else {
			log_error("the supervisor's list of witnesses is invalid: %s", e.text);
		}
		break;
	case IPC_WITNESS_SOCKET:
		witnesses_connected(&s->witnesses, f->head.tag, ipc_frame_take(f));
		break;
	default:
		request_refused(s, PROC_SUPERVISOR, f->head.tag, &f->u.WITNESS_REFUSED);
	}
}

/* From ike: a peer's ledger answers, or asks for a cosignature. */
static void peer_message(struct ledger_shell *s, const struct msg_peer_message *m)
{
	char peer[NAME_MAX_BYTES + 1] = "";
	size_t n = MIN_OF((size_t)m->n, sizeof m->bytes);

	memcpy(peer, m->peer, sizeof m->peer);
	if (m->kind == PEER_MESSAGE_ANSWER)
		witnesses_peer_answer(&s->witnesses, peer, m->bytes, n);
	else if (m->kind == PEER_MESSAGE_ASK)
		peers_answer(&s->peers, peer, m->bytes, n);
}

static void cosigned_question(struct ledger_shell *s, uint64_t tag, uint64_t index)
{
	if (s->witnesses.n > 0 && ledger_size(s->log) > ledger_published(s->log))
		publish_checkpoint(s);
	cosigned_ask(&s->witnesses, tag, index);
}

static void on_message(struct child *c, enum proc peer, struct ipc_frame *f)
{
	struct ledger_shell *s = shell_of(c);

	if (f->head.id == IPC_WITNESSES || f->head.id == IPC_WITNESS_SOCKET ||
		f->head.id == IPC_WITNESS_REFUSED)
		supervisor_message(s, f);
	/* ipc/child.c reads from nobody before START. If it ever does: nothing is entered, no receipt is sent. */
	else if (!s->log)
		log_error("a message arrived before the ledger was opened; it is ignored");
	else if (f->head.id == IPC_LEDGER_APPEND && s->opening)
		opening_keep(s, peer, f);
	else if (f->head.id == IPC_LEDGER_APPEND)
		append_entry(s, peer, f->head.tag, &f->u.LEDGER_APPEND);
	else if (f->head.id == IPC_COSIGNED_ASK && !s->opening)
		cosigned_question(s, f->head.tag, f->u.COSIGNED_ASK.index);
	else if (f->head.id == IPC_WITNESS_ANSWER)
		witnesses_answer(&s->witnesses, f->head.tag, &f->u.WITNESS_ANSWER);
	else if (f->head.id == IPC_PEER_MESSAGE)
		peer_message(s, &f->u.PEER_MESSAGE);
	else if (f->head.id == IPC_PEER_MESSAGE_TAKEN)
		request_refused(s, PROC_IKE, f->head.tag, &f->u.PEER_MESSAGE_TAKEN);
	else if (f->head.id == IPC_SHOW)
		show(s, f->head.tag);
}

/*
 * The witnesses' turn. All decisions are taken here, from the loop alone: whoever changes something calls
 * witnesses_wake(). So no log is closed while its caller works on it.
 */
static void on_witnesses_turn(struct loop *l, struct timer *t)
{
	struct witnesses *w = t->context;
	struct ledger_shell *s = w->shell;

	(void)l;
	if (!s->log)
		return;
	if (w->seen.witness[0]) {
		struct seen_note seen = w->seen;
		w->seen.witness[0] = '\0';
		opening_recover(s, &seen);
		return;
	}
	witnesses_turn(w);
	opening_check(s);
	witnesses_turn_arm(w);
}

static enum rc on_start(struct child *c, const struct msg_start *m, struct err *e)
{
	struct ledger_shell *s = shell_of(c);

	snprintf(s->directory, sizeof s->directory, "%.*s", (int)sizeof s->directory - 1, m->state_path);
	if (!s->have_key || s->dir < 0)
		return err_add(e, RC_NOT_FOUND, "the supervisor did not hand over the ledger's %s",
			s->have_key ? "directory" : "key");
	return opening_begin(s, m->boot_id, e);
}

/* The other processes have ended before this one, and their last messages may still be in the sockets, after the
 * order to stop. */
static void last_messages_read(struct child *c)
{
	struct err e = { 0 };

	for (int round = 0; round < 16; round++) {
		c->loop.stop = false; /* else a round ends before the first of them */
		if (loop_once(&c->loop, 0, &e) != RC_OK)
			return;
	}
}

static void on_stop(struct child *c)
{
	struct ledger_shell *s = shell_of(c);

	if (s->log && !s->opening) {
		last_messages_read(c);
		batch_commit(s);
		publish_checkpoint(s);
	}
	witnesses_done(&s->witnesses);
	peers_done(&s->peers);
	ledger_close(s->log);
	sealer_done(&s->sealer);
	ledger_files_done(&s->store);
	bytes_wipe(s->seed, sizeof s->seed);
}

static void on_link(struct child *c, enum proc peer)
{
	if (peer == PROC_COURIER)
		witnesses_courier(&shell_of(c)->witnesses, true);
}

static void on_link_lost(struct child *c, enum proc peer)
{
	if (peer == PROC_COURIER)
		witnesses_courier(&shell_of(c)->witnesses, false);
}

const struct child_ops ledger_shell_ops = {
	.on_resource = on_resource,
	.on_link = on_link,
	.on_link_lost = on_link_lost,
	.on_start = on_start,
	.on_message = on_message,
	.on_stop = on_stop,
};

void ledger_shell_init(struct ledger_shell *s, struct child *c)
{
	memset(s, 0, sizeof *s);
	s->child = c;
	s->dir = -1;
	s->store.journal = -1;
	batch_init(s);
	publish_init(s);
	opening_init(s);
	witnesses_init(&s->witnesses, s, on_witnesses_turn);
	peers_init(&s->peers, s);
}
