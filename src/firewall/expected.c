/*
 * The table of expected sessions (expect.c), by their destination. It is private to the process: what was expected when
 * it ends is asked for again by the application.
 *
 * With several workers an expectation stands at the one that has its parent, and the first packet may be at home at any
 * of them, because its source port is not known. So all others are told (FW_NOTE_EXPECT) before the packet that
 * announces it is sent on; they keep it among their redirects (away.c), by a key without a source port, and send on to the
 * owner what may begin such a session. The owner decides: what it is told about in vain it takes as any first packet. The session
 * is then away, in both directions. What has ended is taken back; a note that gets lost is written again.
 */
#include "firewall/internal.h"

#include <assert.h>

/* Of both tables. */
static uint32_t bucket_of(const struct firewall *fw, const struct ip_addr *dst, uint16_t port, uint8_t proto)
{
	struct fw_key k = { .dst_port = port, .family = dst->family, .proto = proto };

	memcpy(k.dst, dst->b, 16);
	return (uint32_t)(fw_key_hash(fw, &k) % FW_EXPECT_MAX);
}

void fw_expected_init(struct firewall *fw)
{
	memset(fw->expect_bucket, 0xff, sizeof fw->expect_bucket);
	memset(fw->told_bucket, 0xff, sizeof fw->told_bucket);
	memset(fw->own_bucket, 0xff, sizeof fw->own_bucket);
	memset(fw->expect_until, 0xff, sizeof fw->expect_until);
	fw->expect_soonest = UINT64_MAX;
	for (uint32_t i = 0; i < FW_EXPECT_MAX; i++)
		fw->expected[i].own_next = i + 1 < FW_EXPECT_MAX ? i + 1 : FW_NONE;
}

uint32_t fw_expected_own_first(const struct firewall *fw, uint32_t parent)
{
	return fw->own_bucket[parent % FW_EXPECT_MAX];
}

static uint16_t source_slot(const struct firewall *fw, const struct fw_expected *x)
{
	return (uint16_t)(siphash13(fw->limits.hash_key, x->source.b, sizeof x->source.b) %
			  FW_EXPECT_SOURCES);
}

uint32_t fw_expected_of_source(const struct firewall *fw, const struct fw_expected *x)
{
	return fw->expect_of_source[source_slot(fw, x)];
}

/* Of its parent's first packet; one that is gone ends with the sweep. */
static uint16_t zone_of(const struct firewall *fw, const struct fw_expected *x)
{
	uint32_t zone = fw_zone_now(fw, &fw->sessions[x->parent], 0);

	return (uint16_t)MIN_OF(zone, (uint32_t)ZONES_MAX);
}

void fw_expected_renumber(struct firewall *fw)
{
	memset(fw->expect_of_zone, 0, sizeof fw->expect_of_zone);
	for (uint32_t i = 0; i < FW_EXPECT_MAX; i++) {
		struct fw_expected *x = &fw->expected[i];
		if (!x->used)
			continue;
		x->zone = fw->expect_zone[i] = zone_of(fw, x);
		fw->expect_of_zone[x->zone]++;
	}
}

uint32_t fw_expected_first(const struct firewall *fw, const struct ip_addr *dst, uint16_t port, uint8_t proto)
{
	return fw->expect_bucket[bucket_of(fw, dst, port, proto)];
}

uint32_t fw_expected_told_first(
	const struct firewall *fw, const struct ip_addr *to, uint16_t port, uint8_t proto)
{
	return fw->told_bucket[bucket_of(fw, to, port, proto)];
}

/* ---- what the others know of it ---- */

static struct fw_key key_of(const struct fw_expected *x)
{
	struct fw_key k = {
		.dst_port = x->dst_port, .family = x->dst.family, .proto = x->proto, .kind = FW_KEY_EXPECTED
	};

	memcpy(k.src, x->src.b, sizeof k.src);
	memcpy(k.dst, x->dst.b, sizeof k.dst);
	return k;
}

/* False: there was no room for all notes. */
static bool others_told(struct firewall *fw, const struct fw_expected *x, enum fw_note_kind kind)
{
	const struct fw_note note = { .kind = kind,
		.owner = fw->limits.worker,
		.until_s = (uint32_t)(x->until / NS_PER_S) + 1,
		.key = key_of(x) };
	bool told = true;

	for (uint32_t i = 0; i < fw->limits.workers; i++)
		told &= i == fw->limits.worker || fw_note_put(fw, i, &note);
	return told;
}

static void announce(struct firewall *fw, struct fw_expected *x)
{
	x->announced = others_told(fw, x, FW_NOTE_EXPECT);
	fw->expect_unannounced |= !x->announced;
}

/* Another one that the others know by the same key. */
static bool has_twin(const struct firewall *fw, const struct fw_expected *x)
{
	struct fw_key k = key_of(x);

	for (uint32_t i = fw_expected_first(fw, &x->dst, x->dst_port, x->proto); i != FW_NONE;
		i = fw->expected[i].next) {
		struct fw_key other = key_of(&fw->expected[i]);
		if (&fw->expected[i] != x && fw_key_equal(&k, &other))
			return true;
	}
	return false;
}

void fw_expected_lost(struct firewall *fw, const struct fw_key *k)
{
	struct ip_addr dst = fw_key_dst(k);

	for (uint32_t i = fw_expected_first(fw, &dst, k->dst_port, k->proto); i != FW_NONE;
		i = fw->expected[i].next) {
		struct fw_key own = key_of(&fw->expected[i]);
		if (fw_key_equal(&own, k)) {
			fw->expected[i].announced = false;
			fw->expect_unannounced = true;
		}
	}
}

void fw_expected_announce(struct firewall *fw, mono_ns now)
{
	if (!fw->expect_unannounced || fw->expect_told_s == now / NS_PER_S)
		return;
	fw->expect_told_s = now / NS_PER_S;
	fw->expect_unannounced = false;
	for (uint32_t i = 0; i < FW_EXPECT_MAX; i++)
		if (fw->expected[i].used && !fw->expected[i].announced && fw->expected[i].until > now)
			announce(fw, &fw->expected[i]);
}

bool fw_expected_may_begin(const struct train *t)
{
	return !(t->flags & (TRAIN_FRAGMENT | TRAIN_ICMP_ERROR | TRAIN_FROM_HOST)) &&
	       (t->proto == IP_UDP ||
		       (t->proto == IP_TCP && (t->tcp_flags & (TCP_SYN | TCP_ACK)) == TCP_SYN));
}

uint32_t fw_expected_owner(const struct firewall *fw, const struct train *t, const struct fw_key *k)
{
	struct fw_key any = *k;
	uint32_t owner, index, direction;

	if (fw->counters.expectations_elsewhere == 0 || !fw_expected_may_begin(t))
		return FW_NONE;
	any.src_port = 0;
	any.vrf = 0;
	any.kind = FW_KEY_EXPECTED;
	if ((owner = fw_redirect_find(fw, &any)) == FW_NONE) { /* from anybody? */
		memset(any.src, 0, sizeof any.src);
		owner = fw_redirect_find(fw, &any);
	}
	if (owner == FW_NONE)
		return FW_NONE;
	index = fw_index_find(fw, k, fw_key_hash(fw, k), &direction);
	return index == FW_NONE || fw_is_closed(&fw->sessions[index]) ? owner : FW_NONE;
}

/* ---- beginning and end ---- */

static uint32_t *bucket_at(struct firewall *fw, const struct fw_expected *x)
{
	return &fw->expect_bucket[bucket_of(fw, &x->dst, x->dst_port, x->proto)];
}

static uint32_t *told_bucket_at(struct firewall *fw, const struct fw_expected *x)
{
	return &fw->told_bucket[bucket_of(fw, &x->to, x->to_port, x->proto)];
}

void fw_expected_begin(struct firewall *fw, const struct fw_expected *made)
{
	uint32_t index = fw->expect_free;
	struct fw_expected *x = &fw->expected[index];
	uint32_t *bucket = bucket_at(fw, made), *told = told_bucket_at(fw, made),
		 *own = &fw->own_bucket[made->parent % FW_EXPECT_MAX];

	assert(index < FW_EXPECT_MAX && made->used && !x->used &&
		fw->place[made->parent].expects < fw_expected_of_parent(made));
	fw->expect_free = x->own_next;
	*x = *made;
	x->next = *bucket;
	*bucket = index;
	x->own_next = *own;
	*own = index;
	if (x->to.family != ADDR_NONE) {
		x->told_next = *told;
		*told = index;
	}
	x->zone = fw->expect_zone[index] = zone_of(fw, x);
	x->source_slot = source_slot(fw, x);
	fw->expect_of_zone[x->zone]++;
	fw->expect_of_source[x->source_slot]++;
	fw->expect_until[index] = x->until;
	fw->expect_soonest = MIN_OF(fw->expect_soonest, x->until);
	fw->place[x->parent].expects++;
	fw->counters.expectations_now++;
	fw->counters.expectations_made++;
	if (fw->limits.workers > 1)
		announce(fw, x);
}

/* Out of one of its chains. Its own links stay as they are, for who goes along them and has just ended it. */
static void unlink_from(struct firewall *fw, uint32_t *at, uint32_t index, size_t link)
{
	uint32_t *next = at;

	while (*next != index) {
		assert(*next < FW_EXPECT_MAX);
		next = (uint32_t *)(void *)((uint8_t *)&fw->expected[*next] + link);
	}
	memcpy(next, (uint8_t *)&fw->expected[index] + link, sizeof *next);
}

void fw_expected_end(struct firewall *fw, uint32_t index)
{
	struct fw_expected *x = &fw->expected[index];

	assert(x->used && fw->counters.expectations_now > 0 && fw->place[x->parent].expects > 0);
	unlink_from(fw, bucket_at(fw, x), index, offsetof(struct fw_expected, next));
	unlink_from(fw, &fw->own_bucket[x->parent % FW_EXPECT_MAX], index,
		offsetof(struct fw_expected, own_next));
	if (x->to.family != ADDR_NONE)
		unlink_from(fw, told_bucket_at(fw, x), index, offsetof(struct fw_expected, told_next));
	x->used = false;
	x->own_next = fw->expect_free;
	fw->expect_free = index;
	fw->expect_until[index] = UINT64_MAX;
	fw->expect_of_zone[x->zone]--;
	fw->expect_of_source[x->source_slot]--;
	fw->place[x->parent].expects--;
	fw->counters.expectations_now--;
	if (fw->limits.workers > 1 && !has_twin(fw, x))
		others_told(fw, x, FW_NOTE_END);
}

void fw_expected_end_of(struct firewall *fw, uint32_t parent)
{
	uint32_t i = fw->place[parent].expects > 0 ? fw_expected_own_first(fw, parent) : FW_NONE;

	for (uint32_t next; i != FW_NONE; i = next) {
		next = fw->expected[i].own_next;
		if (fw->expected[i].parent == parent)
			fw_expected_end(fw, i);
	}
	assert(fw->place[parent].expects == 0);
}
