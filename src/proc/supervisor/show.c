/* `show status`: a row per process, and one for what the kernel runs. */
#include "base/json.h"
#include "proc/supervisor/supervisor.h"

#include <stdio.h>
#include <unistd.h>

static const char *const lives[] = {
	[LIFE_DOWN] = "down",
	[LIFE_ENTERING] = "waiting for the ledger",
	[LIFE_STARTING] = "starting",
	[LIFE_READY] = "ready",
	[LIFE_BACKOFF] = "restarting",
};

static const char *reason(const struct supervisor *s, const struct child_process *c)
{
	if (c->id == PROC_LEDGER && s->ledger.full)
		return s->ledger.why[0] ? s->ledger.why : "the ledger accepts no entries";
	return c->id == PROC_SUPERVISOR ? "" : c->why;
}

/* 0: the process has ended meanwhile. */
static uint64_t resident_bytes(pid_t pid)
{
	unsigned long long all, resident = 0;
	char path[64];

	snprintf(path, sizeof path, "/proc/%d/statm", (int)pid);
	FILE *f = fopen(path, "re");
	if (f && fscanf(f, "%llu %llu", &all, &resident) != 2)
		resident = 0;
	if (f)
		fclose(f);
	return resident * (unsigned long long)sysconf(_SC_PAGESIZE);
}

static void row(struct supervisor *s, const struct child_process *c, struct msg_row *ret_row)
{
	bool own = c->id == PROC_SUPERVISOR;
	bool runs = own || c->pid > 0;
	struct jw w = jw_over(ret_row->json, sizeof ret_row->json, false);

	jw_object(&w, NULL);
	jw_str(&w, "process", proc_name(c->id));
	jw_u64(&w, "pid", own ? (uint64_t)getpid() : (uint64_t)c->pid);
	jw_str(&w, "state", own ? "ready" : lives[c->life]);
	jw_str(&w, "reason", reason(s, c));
	jw_u64(&w, "restarts", c->starts > 1 ? c->starts - 1 : 0);
	jw_u64(&w, "uptime_s", runs ? (s->loop.now - (own ? s->started : c->since)) / NS_PER_S : 0);
	jw_u64(&w, "memory_bytes", runs ? resident_bytes(own ? getpid() : c->pid) : 0);
	jw_hex(&w, "sha256", own ? s->own_sha256 : c->measured.sha256, SHA256_SIZE);
	jw_end(&w);
	ret_row->n = (uint32_t)jw_done(&w);
}

/* The programs that carry sessions in the kernel: measured as the executables are, but no process. */
static void row_offload(const struct supervisor *s, struct msg_row *ret_row)
{
	const struct carry_programs *c = &s->carry;
	bool off = s->snapshot && !s->snapshot->offload;
	struct jw w = jw_over(ret_row->json, sizeof ret_row->json, false);

	jw_object(&w, NULL);
	jw_str(&w, "process", "offload");
	jw_u64(&w, "pid", 0);
	jw_str(&w, "state",
		off			    ? "off"
		: c->life == CARRY_UP	    ? "ready"
		: c->life == CARRY_FAILED   ? "not available"
		: c->life == CARRY_ENTERING ? lives[LIFE_ENTERING]
					    : lives[LIFE_DOWN]);
	jw_str(&w, "reason", off ? "" : c->why);
	jw_u64(&w, "restarts", 0);
	jw_u64(&w, "uptime_s", 0);
	jw_hex(&w, "sha256", c->sha256, SHA256_SIZE);
	jw_end(&w);
	ret_row->n = (uint32_t)jw_done(&w);
}

void show_status(struct supervisor *s, struct child_process *to, uint64_t tag, const struct msg_show *m)
{
	struct msg_result end = { 0 };
	static struct msg_row r;
	enum proc p;

	if (m->table != SHOW_STATUS) {
		end.rc = RC_UNSUPPORTED;
		snprintf(end.text, sizeof end.text, "the supervisor has no table of this number");
	}
	for (unsigned place = 1; end.rc == RC_OK && (p = proc_at(PROC_ORDER_SHOW, place)) != PROC_COUNT;
		place++) {
		memset(&r, 0, sizeof r);
		row(s, child_of(s, p), &r);
		if (ipc_send_SHOW_ROW(&to->port.link, tag, &r) == RC_OK)
			end.count++;
	}
	if (end.rc == RC_OK) {
		memset(&r, 0, sizeof r);
		row_offload(s, &r);
		if (ipc_send_SHOW_ROW(&to->port.link, tag, &r) == RC_OK)
			end.count++;
	}
	ipc_send_SHOW_END(&to->port.link, tag, &end);
}
