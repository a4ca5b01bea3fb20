#include "resolve/name.h"

#include <stdio.h>
#include <string.h>

static bool is_private(const struct ip_addr *a)
{
	if (a->family == ADDR_V6)
		return (a->b[0] & 0xfe) == 0xfc; /* RFC 4193 */
	return a->b[0] == 10 || (a->b[0] == 172 && (a->b[1] & 0xf0) == 16) ||
	       (a->b[0] == 192 && a->b[1] == 168) ||
	       (a->b[0] == 100 && (a->b[1] & 0xc0) == 64); /* RFC 1918, RFC 6598 */
}

/* No host elsewhere has it: whoever answers so wants a rule to mean this machine, or everybody on a link. */
static bool is_nobodys(const struct ip_addr *a)
{
	static const uint8_t zeros[12], mapped[12] = { [10] = 0xff, [11] = 0xff };

	if (addr_is_link_local(a))
		return true;
	if (a->family == ADDR_V4)
		return a->b[0] == 0 || a->b[0] == 127 || a->b[0] >= 224;
	/* ::, ::1 and IPv4 addresses in IPv6's forms all begin so */
	return memcmp(a->b, zeros, sizeof zeros) == 0 || memcmp(a->b, mapped, sizeof mapped) == 0 ||
	       a->b[0] == 0xff;
}

const char *name_address_fault(const struct snap_dynamic *d, const struct ip_addr *a)
{
	if (is_nobodys(a))
		return "loopback, multicast, link-local or unspecified";
	return d->flags & DYNAMIC_REFUSE_PRIVATE && is_private(a) ? "private (refuse-private)" : NULL;
}

static void entry_remove(struct name *x, uint32_t i)
{
	x->at[i] = x->at[--x->n];
}

/* For a new address that the last answer has; of those that it does not have the one that goes first makes room. */
static struct name_address *entry_room(struct name *x)
{
	uint32_t first = x->n;

	if (x->n < NAME_ADDRESSES_MAX)
		return &x->at[x->n++];
	for (uint32_t i = 0; i < x->n; i++)
		if (x->at[i].until != 0 && (first == x->n || x->at[i].until < x->at[first].until))
			first = i;
	return first < x->n ? &x->at[first] : NULL;
}

/* True: it was not in the set. */
static bool address_enter(struct name *x, const struct ip_addr *a)
{
	struct name_address *at = NULL;

	for (uint32_t i = 0; i < x->n && !at; i++)
		if (addr_equal(&x->at[i].addr, a))
			at = &x->at[i];
	if (at) {
		at->until = 0;
		return false;
	}
	if (!(at = entry_room(x))) {
		x->left_out++;
		return false;
	}
	*at = (struct name_address){ .addr = *a };
	return true;
}

/* What the last answer of this family had is held from now on; of an answer that was cut nobody knows what it lacks. */
static void family_hold(struct name *x, uint8_t family, mono_ns until)
{
	for (uint32_t i = 0; i < x->n; i++)
		if (x->at[i].addr.family == family && x->at[i].until == 0)
			x->at[i].until = until;
}

static void next_by_failures(struct name *x, mono_ns now)
{
	uint32_t s = NAME_RETRY_MIN_S;

	for (uint32_t i = 1; i < x->failures && s < NAME_RETRY_MAX_S; i++)
		s *= 2;
	x->next = now + (s < NAME_RETRY_MAX_S ? s : NAME_RETRY_MAX_S) * NS_PER_S;
}

void name_failed(struct name *x, const char *why, mono_ns now)
{
	char text[NAME_WHY_BYTES];

	snprintf(text, sizeof text, "%.*s", (int)sizeof text - 1, why); /* it may be x->why */
	memcpy(x->why, text, sizeof text);
	x->failures++;
	next_by_failures(x, now);
}

bool name_answer_take(struct name *x, const struct snap_dynamic *d, const struct name_answer *a, mono_ns now)
{
	uint32_t usable = 0, refused = 0;
	const char *fault = NULL;
	bool changed = false;

	for (int k = 0; k < 2; k++)
		for (size_t i = 0; a->answered[k] && i < a->n[k]; i++) {
			const char *why = name_address_fault(d, &a->addr[k][i]);
			usable += !why;
			refused += why != NULL;
			fault = why ? why : fault;
		}
	if (usable == 0) {
		char text[NAME_WHY_BYTES];
		snprintf(
			text, sizeof text, "its only addresses are %s, and are not used", fault ? fault : "");
		name_failed(x, refused ? text : "the name has no address", now);
		return false;
	}
	uint32_t ttl = a->ttl_s < d->ttl_min_s	 ? d->ttl_min_s
		       : a->ttl_s > d->ttl_max_s ? d->ttl_max_s
						 : a->ttl_s;
	x->answered = now;
	x->next = now + ttl * NS_PER_S;
	x->failures = x->left_out = 0;
	x->refused = refused;
	x->why[0] = '\0';
	if (refused)
		snprintf(x->why, sizeof x->why, "%u addresses in the answer are %s, and are not used",
			refused, fault);
	for (int k = 0; k < 2; k++) {
		if (!a->answered[k])
			continue;
		family_hold(x, k == 0 ? ADDR_V6 : ADDR_V4,
			now + (d->kind == DYNAMIC_PEER ? ttl : d->hold_s) * NS_PER_S);
		for (size_t i = 0; i < a->n[k]; i++)
			if (!name_address_fault(d, &a->addr[k][i]))
				changed |= address_enter(x, &a->addr[k][i]);
	}
	if (a->cut && !x->why[0])
		snprintf(x->why, sizeof x->why,
			"the answer was cut: the name has more addresses than it could hold");
	return name_expire(x, now) || changed;
}

bool name_expire(struct name *x, mono_ns now)
{
	bool changed = false;

	for (uint32_t i = 0; i < x->n;)
		if (x->at[i].until != 0 && x->at[i].until <= now) {
			entry_remove(x, i);
			changed = true;
		} else {
			i++;
		}
	return changed;
}

uint32_t name_ranges(const struct name *x, struct ip_range ret[NAME_ADDRESSES_MAX])
{
	for (uint32_t i = 0; i < x->n; i++)
		ret[i] = (struct ip_range){ x->at[i].addr, x->at[i].addr };
	return ranges_join(ret, x->n);
}
