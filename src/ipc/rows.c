#include "ipc/rows.h"

#include <assert.h>
#include <stdio.h>

static uint64_t position(uint32_t section, uint32_t index)
{
	return (uint64_t)section << 32 | index;
}

void rows_begin(struct rows_piece *p, struct ipc_link *link, uint64_t tag, const struct msg_show *q)
{
	p->link = link;
	p->tag = tag;
	p->from = q->from;
	p->next = 0;
	p->count = p->looked = 0;
	p->limit = q->limit && q->limit < ROWS_PIECE_MAX ? q->limit : ROWS_PIECE_MAX;
	p->over = false;
	p->rc = RC_OK;
	p->frame.n = p->frame.zero = 0;
}

uint32_t rows_first(const struct rows_piece *p, uint32_t section)
{
	uint32_t begun = (uint32_t)(p->from >> 32);

	return section < begun ? UINT32_MAX : section == begun ? (uint32_t)p->from : 0;
}

bool rows_look(struct rows_piece *p, uint32_t section, uint32_t index)
{
	if (!p->over && (p->count >= p->limit || p->looked >= ROWS_LOOKED_MAX)) {
		p->over = true;
		p->next = position(section, index);
	}
	p->looked++;
	return !p->over;
}

struct jw *rows_row(struct rows_piece *p)
{
	p->jw = jw_over(p->text, sizeof p->text, false);
	jw_object(&p->jw, NULL);
	return &p->jw;
}

static void frame_send(struct rows_piece *p)
{
	assert(p->frame.n <= ROW_MAX);
	if (p->frame.n > 0 && p->rc == RC_OK)
		p->rc = ipc_send_SHOW_ROW(p->link, p->tag, &p->frame);
	p->frame.n = 0;
}

void rows_add_text(struct rows_piece *p, const char *json, size_t n)
{
	if (n == 0 || n > ROW_MAX)
		return;
	if (p->frame.n > 0 && p->frame.n + 1 + n > ROW_MAX)
		frame_send(p);
	if (p->frame.n > 0)
		p->frame.json[p->frame.n++] = '\n';
	memcpy(p->frame.json + p->frame.n, json, n);
	p->frame.n += (uint32_t)n;
	p->count++;
}

void rows_add(struct rows_piece *p)
{
	jw_end(&p->jw);
	rows_add_text(p, p->text, jw_done(&p->jw));
}

void rows_end(struct rows_piece *p)
{
	struct msg_result end = { 0 };

	frame_send(p);
	end.rc = (uint32_t)p->rc;
	end.count = p->count;
	end.next = p->next;
	if (p->rc)
		snprintf(end.text, sizeof end.text, "the rows could not be sent to control: %s",
			rc_text(p->rc));
	ipc_send_SHOW_END(p->link, p->tag, &end);
}

void rows_refuse(struct ipc_link *link, uint64_t tag, enum rc rc, const char *why)
{
	struct msg_result end = { .rc = (uint32_t)rc };

	snprintf(end.text, sizeof end.text, "%s", why);
	ipc_send_SHOW_END(link, tag, &end);
}
