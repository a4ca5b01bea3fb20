/*
 * Lists whose links are members of the objects: nothing is allocated, removing needs no search. A link
 * of zeros is in no list; a head is a link of its own and must be made by list_init(), and may not be moved
 * while it has members.
 */
#ifndef IKE_LIST_H
#define IKE_LIST_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>

struct link {
	struct link *next, *prev;
};

static inline void list_init(struct link *head)
{
	head->next = head->prev = head;
}

static inline bool list_empty(const struct link *head)
{
	return head->next == head;
}

static inline bool link_used(const struct link *l)
{
	return l->next != NULL;
}

/* After `where`, which is a member or the head (then it comes first). */
static inline void link_behind(struct link *where, struct link *l)
{
	assert(!l->next); /* in one list at most */
	l->prev = where;
	l->next = where->next;
	where->next->prev = l;
	where->next = l;
}

static inline void link_last(struct link *head, struct link *l)
{
	link_behind(head->prev, l);
}

static inline void link_out(struct link *l)
{
	if (!l->next)
		return;
	assert(l->prev->next == l && l->next->prev == l);
	l->prev->next = l->next;
	l->next->prev = l->prev;
	l->next = l->prev = NULL;
}

#define LINK_OWNER(l, type, member)    ((type *)(void *)((char *)(l) - offsetof(type, member)))
/* The first, and the one after `at`; NULL: none. */
#define LIST_FIRST(head, type, member) (list_empty(head) ? NULL : LINK_OWNER((head)->next, type, member))
#define LIST_NEXT(at, head, type, member)                                                                    \
	((at)->member.next == (head) ? NULL : LINK_OWNER((at)->member.next, type, member))

#define LIST_FOR(type, at, head, member)                                                                     \
	for (type *at = LIST_FIRST(head, type, member); at; at = LIST_NEXT(at, head, type, member))
/* The same; `at` may be removed and freed in the body, others may not. */
#define LIST_FOR_SAFE(type, at, after, head, member)                                                         \
	for (type *at = LIST_FIRST(head, type, member), *after;                                              \
		at && ((after = LIST_NEXT(at, head, type, member)), true); at = after)

#endif
