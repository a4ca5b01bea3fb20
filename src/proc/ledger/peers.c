#include "proc/ledger/peers.h"
#include "base/log.h"
#include "ledger/types.h"
#include "proc/ledger/batch.h"
#include "proc/ledger/shell.h"

#include <stdio.h>

#define SILENCE_CHECK_NS NS_PER_S
#define US_PER_S	 1000000u

static mono_ns now_of(const struct peers *p)
{
	return p->shell->child->loop.now;
}

/* ---- messages ---- */

bool peers_message_send(
	struct peers *p, uint64_t tag, const char *peer, uint16_t kind, const void *bytes, size_t n)
{
	static struct msg_peer_message m;

	if (n > sizeof m.bytes)
		return false;
	memset(&m, 0, sizeof m);
	snprintf(m.peer, sizeof m.peer, "%s", peer);
	m.kind = kind;
	m.n = (uint16_t)n;
	memcpy(m.bytes, bytes, n);
	return ipc_send_PEER_MESSAGE(child_link(p->shell->child, PROC_IKE), tag, &m) == RC_OK;
}

/* The name that entries and `show ledger` give a ledger that is cosigned here. */
static const char *name_of(const struct peers *p, const struct peer_witness_log *log)
{
	for (uint32_t i = 0; i < p->config.cosign_count; i++)
		if (strcmp(p->config.cosign[i].peer, log->peer) == 0)
			return p->config.cosign[i].name;
	return "";
}

static void peer_entry(
	struct peers *p, enum ledger_type type, const struct peer_witness_log *log, mono_ns silent)
{
	struct ledger_body b;
	char path[PEER_WITNESS_PATH_MAX];

	ledger_body_begin(&b, type);
	ledger_body_u64(&b, "cosigned", log->size);
	if (type == LEDGER_PEER_LEDGER_FORKED)
		ledger_body_strf(&b, "file", "%s.fork", peer_witness_path(path, log->key.name));
	ledger_body_str(&b, "ledger", name_of(p, log));
	ledger_body_str(&b, "peer", log->peer);
	if (type != LEDGER_PEER_LEDGER_FORKED)
		ledger_body_u64(&b, "silent_s", silent / NS_PER_S);
	batch_own_entry_add(p->shell, &b);
}

void peers_answer(struct peers *p, const char *peer, const void *ask, size_t n)
{
	static char answer[PEER_MESSAGE_MAX];
	const struct peer_witness_log *log;
	enum peer_witness_news news;
	mono_ns heard[PEER_WITNESS_LOGS_MAX];

	if (!p->begun)
		return;
	for (size_t i = 0; i < p->peer_witness.logs_n; i++)
		heard[i] = p->peer_witness.logs[i].heard_at;
	size_t answer_n = peer_witness_answer(&p->peer_witness, peer, ask, n, clock_utc() / US_PER_S,
		now_of(p), answer, sizeof answer, &news, &log);
	if (answer_n == 0)
		return;
	if (news == PEER_WITNESS_RETURNED) {
		log_info("the ledger %s of peer %s is cosigned again", name_of(p, log), peer);
		peer_entry(
			p, LEDGER_PEER_LEDGER_RETURNED, log, now_of(p) - heard[log - p->peer_witness.logs]);
	} else if (news == PEER_WITNESS_FORKED) {
		log_error("the ledger %s of peer %s has signed two histories; the second is kept as proof",
			name_of(p, log), peer);
		peer_entry(p, LEDGER_PEER_LEDGER_FORKED, log, 0);
	}
	peers_message_send(p, 0, peer, PEER_MESSAGE_ANSWER, answer, answer_n);
}

/* ---- configuration ---- */

void peers_configure(struct peers *p, const struct snap_evidence *config)
{
	struct peer_witness_log logs[PEER_WITNESS_LOGS_MAX] = { 0 };
	size_t n = 0;

	p->config = *config;
	for (uint32_t i = 0; i < config->cosign_count && n < PEER_WITNESS_LOGS_MAX; i++) {
		const struct snap_cosign *c = &config->cosign[i];
		struct err e = { 0 };
		if (note_key_parse(&logs[n].key, c->key, strlen(c->key), &e) != RC_OK) {
			log_error("the ledger %s is not cosigned: %s", c->name,
				e.text); /* control accepts no such configuration */
			continue;
		}
		snprintf(logs[n++].peer, sizeof logs[0].peer, "%s", c->peer);
	}
	if (p->begun)
		peer_witness_set(&p->peer_witness, logs, n, config->heartbeat_s * NS_PER_S, now_of(p));
}

static void on_silence_check(struct loop *l, struct timer *t)
{
	struct peers *p = t->context;
	const struct peer_witness_log *log;

	while (p->shell->log && (log = peer_witness_silence(&p->peer_witness, l->now))) {
		log_error("nothing of the ledger %s of peer %s was cosigned for %llu s", name_of(p, log),
			log->peer, (unsigned long long)((l->now - log->heard_at) / NS_PER_S));
		peer_entry(p, LEDGER_PEER_LEDGER_SILENT, log, l->now - log->heard_at);
	}
}

void peers_init(struct peers *p, struct ledger_shell *s)
{
	*p = (struct peers){ .shell = s };
	p->silence = (struct timer){ .fn = on_silence_check, .context = p };
}

enum rc peers_begin(struct peers *p)
{
	struct ledger_shell *s = p->shell;
	const struct snap_evidence config = p->config;
	enum rc rc = peer_witness_begin(&p->peer_witness, &s->files, &s->key, s->seed);

	if (rc != RC_OK)
		return rc;
	p->begun = true;
	peers_configure(p, &config);
	loop_arm(&s->child->loop, &p->silence, SILENCE_CHECK_NS, SILENCE_CHECK_NS);
	return RC_OK;
}

void peers_done(struct peers *p)
{
	if (p->begun)
		peer_witness_done(&p->peer_witness);
	p->begun = false;
	loop_disarm(&p->shell->child->loop, &p->silence);
}

/* ---- show ---- */

char *peers_vkey(const struct peers *p, char *ret_vkey)
{
	return note_key_text(ret_vkey, &p->peer_witness.witness.key);
}

unsigned peers_show(struct peers *p, uint64_t tag)
{
	for (size_t i = 0; i < p->peer_witness.logs_n; i++) {
		const struct peer_witness_log *log = &p->peer_witness.logs[i];
		struct msg_row row = { 0 };
		struct jw j = jw_over(row.json, sizeof row.json, false);
		char vkey[NOTE_VKEY_MAX];
		jw_object(&j, NULL);
		jw_str(&j, "cosigned_ledger", name_of(p, log));
		jw_str(&j, "via", log->peer);
		jw_str(&j, "state",
			log->forked   ? "forked"
			: log->silent ? "silent"
			: log->size   ? "cosigned"
				      : "awaited");
		jw_u64(&j, "cosigned_size", log->size);
		jw_u64(&j, "last_contact_s", (now_of(p) - log->heard_at) / NS_PER_S);
		jw_str(&j, "key", note_key_text(vkey, &log->key));
		jw_end(&j);
		row.n = (uint32_t)jw_done(&j);
		ipc_send_SHOW_ROW(child_link(p->shell->child, PROC_CONTROL), tag, &row);
	}
	return (unsigned)p->peer_witness.logs_n;
}
