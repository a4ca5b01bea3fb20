#include "proc/witness/conns.h"
#include "base/bytes.h"

bool conns_allow(const struct conns *c, const struct sockaddr *client)
{
	uint8_t who[LIMIT_CLIENT_SIZE];
	unsigned count = 0;

	if (c->each_max == 0 || !client || !limit_client(who, client))
		return true;
	for (size_t i = 0; i < CONNS_MAX; i++)
		count += c->conn[i].used && c->conn[i].ip && memcmp(c->conn[i].client, who, sizeof who) == 0;
	return count < c->each_max;
}

struct conn *conns_add(struct conns *c, const struct sockaddr *client, int fd, mono_ns now)
{
	for (size_t i = 0; i < CONNS_MAX; i++) {
		struct conn *k = &c->conn[i];

		if (k->used)
			continue;
		*k = (struct conn){ .used = true, .owes = true, .since = now, .fd = fd };
		k->ip = client && limit_client(k->client, client);
		c->n++;
		return k;
	}
	return NULL;
}

void conns_remove(struct conns *c, struct conn *which)
{
	if (!which || !which->used)
		return;
	which->used = false;
	c->n--;
}

void conn_asked(struct conn *c)
{
	if (c)
		c->owes = false;
}

void conn_answered(struct conn *c, mono_ns now)
{
	if (!c)
		return;
	c->owes = true;
	c->since = now;
}

struct conn *conns_late(struct conns *c, mono_ns longest, mono_ns now)
{
	for (size_t i = 0; i < CONNS_MAX; i++) {
		struct conn *k = &c->conn[i];

		if (!k->used || k->ended || !k->owes || now < k->since + longest)
			continue;
		k->ended = true;
		return k;
	}
	return NULL;
}

struct conn *conns_crowded(struct conns *c)
{
	struct conn *oldest = NULL;
	size_t n = 0;

	for (size_t i = 0; i < CONNS_MAX; i++) {
		struct conn *k = &c->conn[i];

		if (!k->used || k->ended)
			continue;
		n++;
		if (!oldest || k->since < oldest->since)
			oldest = k;
	}
	if (n <= CONNS_MAX - CONNS_SPARE)
		return NULL;
	oldest->ended = true;
	return oldest;
}
