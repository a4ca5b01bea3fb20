/*
 * A table of `show` on its way to control, in pieces. For each SHOW the table's owner sends one piece at most
 * and says in SHOW_END where the next one begins; control asks for it when its client has read this one. So
 * no table is too long, no owner works long on one, and no process stores it. The owner keeps no state between
 * two pieces: a position is a section (a table may have several kinds of rows, one kind after the other) and
 * an index in it, in the owner's order. Rows that appear, go or move meanwhile may be missing or repeated;
 * each row is whole.
 */
#ifndef IPC_ROWS_H
#define IPC_ROWS_H

#include "base/json.h"
#include "ipc/link.h"

/* Rows in a piece: some tens of microseconds of work, 64 KB at most of them in the usual size. */
#define ROWS_PIECE_MAX	64
#define ROWS_LOOKED_MAX 4096 /* places that a piece looks at, whether a row comes of them or not */

struct rows_piece {
	struct ipc_link *link;
	uint64_t tag, from, next; /* next 0: the table's end */
	uint32_t count, limit, looked;
	bool over; /* this piece takes no more */
	enum rc rc;
	struct jw jw;
	char text[ROW_MAX]; /* the row that is being written */
	struct msg_row frame;
};

/* Begins the piece that q asks for. The struct is large: static, or on the heap. */
void rows_begin(struct rows_piece *p, struct ipc_link *link, uint64_t tag, const struct msg_show *q);

/* The first index of this section that the piece looks at; UINT32_MAX when the piece begins after the section. */
uint32_t rows_first(const struct rows_piece *p, uint32_t section);

/* May this place be looked at? Asked before each one, in rising order; false: the piece ends here, and all
 * later ones are false. */
bool rows_look(struct rows_piece *p, uint32_t section, uint32_t index);

/* A row of that place: an object is begun; rows_add() ends it. A row that is larger than ROW_MAX is left out
 * (names are bounded). */
struct jw *rows_row(struct rows_piece *p);
void rows_add(struct rows_piece *p);
/* The same of an object that is written already; n 0: no row. */
void rows_add_text(struct rows_piece *p, const char *json, size_t n);

/* Sends what is left, and SHOW_END. */
void rows_end(struct rows_piece *p);

/* In place of rows: the request cannot be answered. */
void rows_refuse(struct ipc_link *link, uint64_t tag, enum rc rc, const char *why);

#endif
