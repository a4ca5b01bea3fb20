#include "route/fib.h"

#include <assert.h>
#include <stdlib.h>

#define SLOTS (1u << FIB_STRIDE)

/* A node has at most 62 inner prefixes (the root one more), 64 exact ones and 64 children. */
_Static_assert(SLOTS * sizeof(struct fib_node) + (SLOTS - 1 + SLOTS) * sizeof(uint32_t) <= BLOCKS_SIZE_MAX,
	"the largest block of a node");
_Static_assert(sizeof(struct fib_node) == BLOCKS_GRAIN, "no node crosses a cache line");
_Static_assert(FIB_STRIDE *FIB_LEVELS >= 128 && FIB_STRIDE == 6, "words of 64 bits");

/* The inner prefixes that hold a slot, by its upper five bits: heap numbers 1, 2..3, 4..7, 8..15, 16..31,
 * 32..63. */
#define HOLD(s)                                                                                              \
	(1ull << 1 | 1ull << (2 | (s) >> 4) | 1ull << (4 | (s) >> 3) | 1ull << (8 | (s) >> 2) |              \
		1ull << (16 | (s) >> 1) | 1ull << (32 | (s)))
#define HOLD4(s) HOLD(s), HOLD((s) + 1), HOLD((s) + 2), HOLD((s) + 3)
static const uint64_t holding[32] = { HOLD4(0), HOLD4(4), HOLD4(8), HOLD4(12), HOLD4(16), HOLD4(20),
	HOLD4(24), HOLD4(28) };

/* --- addresses as six bits a level --- */

/* The bits of an address that are still to come, the next ones uppermost. */
struct key {
	uint64_t high, low;
};

static inline struct key key_of(const struct ip_addr *a)
{
	/* What follows an IPv4 address is zero. */
	return (struct key){ load_be64(a->b), load_be64(a->b + 8) };
}

static inline uint32_t key_slot(struct key k)
{
	return (uint32_t)(k.high >> (64 - FIB_STRIDE));
}

static inline struct key key_next(struct key k)
{
	return (struct key){ k.high << FIB_STRIDE | k.low >> (64 - FIB_STRIDE), k.low << FIB_STRIDE };
}

static uint32_t slot_at(const struct ip_addr *a, uint32_t level)
{
	uint32_t bit = level * FIB_STRIDE;
	uint32_t two = (uint32_t)a->b[bit / 8] << 8 | (bit / 8 + 1 < sizeof a->b ? a->b[bit / 8 + 1] : 0);

	return two >> (16 - FIB_STRIDE - bit % 8) & (SLOTS - 1);
}

static void slot_put(struct ip_addr *a, uint32_t level, uint32_t slot)
{
	uint32_t bit = level * FIB_STRIDE, two = slot << (16 - FIB_STRIDE - bit % 8);
	uint32_t gone = (SLOTS - 1) << (16 - FIB_STRIDE - bit % 8);

	assert(level < FIB_LEVELS && slot < SLOTS);
	a->b[bit / 8] = (uint8_t)((a->b[bit / 8] & ~(gone >> 8)) | two >> 8);
	if (bit / 8 + 1 < sizeof a->b)
		a->b[bit / 8 + 1] = (uint8_t)((a->b[bit / 8 + 1] & ~gone) | two);
}

/* Where a prefix ends: the level of the node, and its place there: a heap number, or SLOTS + slot. */
struct spot {
	uint32_t level, place;
};

static struct spot spot_of(const struct ip_prefix *p)
{
	struct spot s = { p->bits == 0 ? 0 : (p->bits - 1) / FIB_STRIDE, 0 };
	uint32_t n = p->bits - s.level * FIB_STRIDE; /* bits in this node: 1 to 6, or 0 */

	s.place = 1u << n | slot_at(&p->addr, s.level) >> (FIB_STRIDE - n);
	return s;
}

/* The prefix at a place of the node whose address is in *p up to its level. */
static void prefix_from(struct ip_prefix *p, uint32_t level, uint32_t place)
{
	assert(place > 0 && place < 2 * SLOTS);
	uint32_t n = 31 - (uint32_t)__builtin_clz(place);

	slot_put(&p->addr, level, (place ^ 1u << n) << (FIB_STRIDE - n));
	for (uint32_t l = level + 1; l < FIB_LEVELS; l++)
		slot_put(&p->addr, l, 0);
	p->bits = level * FIB_STRIDE + n;
}

/* --- nodes --- */

static inline uint32_t rank(uint64_t bits, uint32_t below)
{
	return (uint32_t)__builtin_popcountll(bits & ((1ull << below) - 1));
}

static inline uint32_t count(uint64_t bits)
{
	return (uint32_t)__builtin_popcountll(bits);
}

static inline uint32_t values_count(const struct fib_node *n)
{
	return count(n->inner) + count(n->exact);
}

static inline size_t block_size(const struct fib_node *n)
{
	return count(n->child) * sizeof(struct fib_node) + values_count(n) * sizeof(uint32_t);
}

static inline struct fib_node *node_block(const struct fib_node *n)
{
	return __atomic_load_n(&n->block, __ATOMIC_ACQUIRE);
}

static inline uint32_t *values_of(const struct fib_node *n)
{
	return (uint32_t *)(node_block(n) + count(n->child));
}

static inline struct fib_node *child_at(const struct fib_node *n, uint32_t slot)
{
	return n->child >> slot & 1 ? node_block(n) + rank(n->child, slot) : NULL;
}

static bool place_used(const struct fib_node *n, uint32_t place)
{
	return place < SLOTS ? n->inner >> place & 1 : n->exact >> (place - SLOTS) & 1;
}

static inline uint32_t value_index(const struct fib_node *n, uint32_t place)
{
	return place < SLOTS ? rank(n->inner, place) : count(n->inner) + rank(n->exact, place - SLOTS);
}

static inline uint32_t value_load(const struct fib_node *n, uint32_t place)
{
	return __atomic_load_n(values_of(n) + value_index(n, place), __ATOMIC_RELAXED);
}

/* --- lookups --- */

/* Of the longest prefix of the node that holds the slot; there is one. */
static inline const uint32_t *best_value(const struct fib_node *best, uint32_t slot)
{
	uint32_t place = best->exact >> slot & 1
				 ? SLOTS + slot
				 : 63 - (uint32_t)__builtin_clzll(best->inner & holding[slot >> 1]);

	return values_of(best) + value_index(best, place);
}

static inline __attribute__((always_inline)) uint32_t look(const struct fib *f, const struct ip_addr *addr)
{
	const struct fib_node *n = node_block(&f->top), *best = NULL;
	struct key k = key_of(addr);
	uint32_t best_slot = 0;

	for (;;) {
		uint32_t slot = key_slot(k);
		uint64_t match = (n->inner & holding[slot >> 1]) | (n->exact >> slot & 1);
		best = match ? n : best;
		best_slot = match ? slot : best_slot;
		if (!(n->child >> slot & 1))
			break;
		n = node_block(n) + rank(n->child, slot);
		k = key_next(k);
	}
	return best ? __atomic_load_n(best_value(best, best_slot), __ATOMIC_RELAXED) : FIB_NONE;
}

/* One of the lookups of a burst. */
struct walk {
	const struct fib_node *node, *best;
	struct key key;
	uint32_t best_slot, i;
};

/* One node of each address, then the next one of each: while one comes from memory the others are asked for. */
static inline __attribute__((always_inline)) void look_burst(
	const struct fib *f, const struct ip_addr *const *addrs, uint32_t n, uint32_t *ret_values)
{
	struct walk walks[FIB_BURST];
	const uint32_t *value[FIB_BURST];
	uint32_t left = n;

	assert(n <= FIB_BURST);
	for (uint32_t i = 0; i < n; i++)
		walks[i] = (struct walk){ node_block(&f->top), NULL, key_of(addrs[i]), 0, i };
	while (left > 0) {
		uint32_t on = 0;
		for (uint32_t i = 0; i < left; i++) {
			struct walk w = walks[i];
			uint32_t slot = key_slot(w.key);
			uint64_t match = (w.node->inner & holding[slot >> 1]) | (w.node->exact >> slot & 1);
			w.best = match ? w.node : w.best;
			w.best_slot = match ? slot : w.best_slot;
			if (!(w.node->child >> slot & 1)) {
				value[w.i] = w.best ? best_value(w.best, w.best_slot) : NULL;
				__builtin_prefetch(value[w.i]);
				continue;
			}
			w.node = node_block(w.node) + rank(w.node->child, slot);
			__builtin_prefetch(w.node);
			w.key = key_next(w.key);
			walks[on++] = w;
		}
		left = on;
	}
	for (uint32_t i = 0; i < n; i++)
		ret_values[i] = value[i] ? __atomic_load_n(value[i], __ATOMIC_RELAXED) : FIB_NONE;
}

#if defined(__x86_64__)
/* The same with the instruction, which the oldest processors of the architecture lack. */
__attribute__((target("popcnt,bmi2"))) static uint32_t look_popcnt(
	const struct fib *f, const struct ip_addr *addr)
{
	return look(f, addr);
}

__attribute__((target("popcnt,bmi2"))) static void look_burst_popcnt(
	const struct fib *f, const struct ip_addr *const *addrs, uint32_t n, uint32_t *ret_values)
{
	look_burst(f, addrs, n, ret_values);
}

static bool has_popcnt(void)
{
	return __builtin_cpu_supports("popcnt") && __builtin_cpu_supports("bmi2");
}

uint32_t fib_lookup(const struct fib *f, const struct ip_addr *addr)
{
	return has_popcnt() ? look_popcnt(f, addr) : look(f, addr);
}

void fib_lookup_burst(
	const struct fib *f, const struct ip_addr *const *addrs, uint32_t n, uint32_t *ret_values)
{
	if (has_popcnt())
		look_burst_popcnt(f, addrs, n, ret_values);
	else
		look_burst(f, addrs, n, ret_values);
}
#else
uint32_t fib_lookup(const struct fib *f, const struct ip_addr *addr)
{
	return look(f, addr);
}

void fib_lookup_burst(
	const struct fib *f, const struct ip_addr *const *addrs, uint32_t n, uint32_t *ret_values)
{
	look_burst(f, addrs, n, ret_values);
}
#endif

uint32_t fib_lookup_within(
	const struct fib *f, const struct ip_addr *addr, uint32_t bits_max, uint32_t *ret_bits)
{
	const struct fib_node *n = node_block(&f->top);
	uint32_t value = FIB_NONE;

	for (uint32_t level = 0; n && level * FIB_STRIDE <= bits_max; level++) {
		uint32_t slot = slot_at(addr, level),
			 most = MIN_OF(bits_max - level * FIB_STRIDE, FIB_STRIDE);
		for (uint32_t bits = most + 1; bits-- > 0;) {
			uint32_t place = 1u << bits | slot >> (FIB_STRIDE - bits);
			if (!place_used(n, place))
				continue;
			value = value_load(n, place);
			*ret_bits = level * FIB_STRIDE + bits;
			break;
		}
		n = child_at(n, slot);
	}
	return value;
}

uint32_t fib_find(const struct fib *f, const struct ip_prefix *prefix)
{
	struct spot s = spot_of(prefix);
	const struct fib_node *n = node_block(&f->top);

	for (uint32_t level = 0; n && level < s.level; level++)
		n = child_at(n, slot_at(&prefix->addr, level));
	return n && place_used(n, s.place) ? value_load(n, s.place) : FIB_NONE;
}

/* --- changes --- */

/* What a change has made and nobody has seen yet; given back when memory ends. */
struct made {
	struct {
		void *block;
		size_t size;
	} list[FIB_LEVELS + 2];
	uint32_t n;
};

/* A block for what the node's words say; false: out of memory. */
static bool block_make(struct fib *f, struct made *made, struct fib_node *n)
{
	size_t size = block_size(n);

	n->block = size > 0 ? blocks_get(&f->blocks, size) : NULL;
	if (size == 0)
		return true;
	if (!n->block)
		return false;
	assert(made->n < COUNT_OF(made->list));
	made->list[made->n].block = n->block;
	made->list[made->n++].size = size;
	return true;
}

static enum rc made_undo(struct fib *f, struct made *made)
{
	while (made->n-- > 0)
		blocks_put(&f->blocks, made->list[made->n].block, made->list[made->n].size);
	return RC_LIMIT;
}

static void block_retire(struct fib *f, const struct fib_node *n)
{
	if (n->block && n->block != &f->none)
		blocks_retire(&f->blocks, n->block, block_size(n));
}

/* The nodes from the root down along an address, as far as there are any, at most to `level`. */
struct path {
	struct fib_node *node[FIB_LEVELS];
	uint32_t slot[FIB_LEVELS];
	uint32_t n;
};

static void path_follow(
	const struct fib *f, const struct ip_addr *addr, uint32_t level, struct path *ret_path)
{
	struct fib_node *n = f->top.block;

	ret_path->n = 0;
	for (; n && ret_path->n <= level; n = child_at(n, ret_path->slot[ret_path->n++])) {
		ret_path->node[ret_path->n] = n;
		ret_path->slot[ret_path->n] = slot_at(addr, ret_path->n);
	}
	assert(ret_path->n > 0); /* there is always a root */
}

/*
 * Puts `node`, whose block is complete, in the place of the path's node of that level: in a copy of the block
 * that it stands in, which readers get by one store. False: out of memory, nothing is changed.
 */
static bool node_replace(struct fib *f, struct made *made, const struct path *path, uint32_t level,
	const struct fib_node *node)
{
	struct fib_node *old = path->node[level], *parent = level > 0 ? path->node[level - 1] : &f->top;
	struct fib_node copy = *parent;

	assert(old >= parent->block && old < parent->block + count(parent->child));
	if (!block_make(f, made, &copy))
		return false;
	memcpy(copy.block, parent->block, block_size(parent));
	copy.block[old - parent->block] = *node;
	block_retire(f, old);
	block_retire(f, parent);
	__atomic_store_n(&parent->block, copy.block, __ATOMIC_RELEASE);
	return true;
}

/* A new node that is old with a child more or less; the block holds all but the new child. */
static bool node_with_child(struct fib *f, struct made *made, const struct fib_node *old, uint32_t slot,
	bool there, struct fib_node *ret_node)
{
	uint32_t index = rank(old->child, slot), was = count(old->child);

	assert((old->child >> slot & 1) != there);
	*ret_node = *old;
	ret_node->child = there ? old->child | 1ull << slot : old->child & ~(1ull << slot);
	if (!block_make(f, made, ret_node))
		return false;
	if (!ret_node->block || !old->block)
		return true;
	memcpy(ret_node->block, old->block, index * sizeof *old);
	if (there)
		memcpy(ret_node->block + index + 1, old->block + index, (was - index) * sizeof *old);
	else
		memcpy(ret_node->block + index, old->block + index + 1, (was - index - 1) * sizeof *old);
	memcpy(values_of(ret_node), values_of(old), values_count(old) * sizeof(uint32_t));
	return true;
}

/* A new node that is old with a prefix more or less. */
static bool node_with_value(struct fib *f, struct made *made, const struct fib_node *old, uint32_t place,
	bool there, uint32_t value, struct fib_node *ret_node)
{
	uint32_t index = value_index(old, place), was = values_count(old);
	uint64_t *word = place < SLOTS ? &ret_node->inner : &ret_node->exact, bit = 1ull << place % SLOTS;

	assert(place_used(old, place) != there);
	*ret_node = *old;
	*word = there ? *word | bit : *word & ~bit;
	if (!block_make(f, made, ret_node))
		return false;
	if (old->block && ret_node->block) {
		uint32_t *to = values_of(ret_node), *from = values_of(old);
		memcpy(ret_node->block, old->block, count(old->child) * sizeof *old);
		memcpy(to, from, index * sizeof *to);
		if (there)
			memcpy(to + index + 1, from + index, (was - index) * sizeof *to);
		else
			memcpy(to + index, from + index + 1, (was - index - 1) * sizeof *to);
	}
	if (there)
		values_of(ret_node)[index] = value;
	return true;
}

enum rc fib_set(struct fib *f, const struct ip_prefix *prefix, uint32_t value)
{
	struct spot s = spot_of(prefix);
	struct made made = { .n = 0 };
	struct path path;
	struct fib_node new, above;

	assert(prefix->addr.family == f->family && value != FIB_NONE);
	path_follow(f, &prefix->addr, s.level, &path);
	uint32_t last = path.n - 1;
	struct fib_node *n = path.node[last];
	if (last == s.level) {
		if (place_used(n, s.place)) {
			__atomic_store_n(values_of(n) + value_index(n, s.place), value, __ATOMIC_RELEASE);
			return RC_OK;
		}
		if (!node_with_value(f, &made, n, s.place, true, value, &new))
			return made_undo(f, &made);
	} else {
		/* The nodes that are missing, from the prefix's upwards, each the only child of the one
		 * above it. */
		if (!node_with_value(f, &made, &(struct fib_node){ 0 }, s.place, true, value, &new))
			return made_undo(f, &made);
		for (uint32_t level = s.level - 1; level > last; level--, new = above) {
			above = (struct fib_node){ .child = 1ull << slot_at(&prefix->addr, level) };
			if (!block_make(f, &made, &above))
				return made_undo(f, &made);
			above.block[0] = new;
		}
		if (!node_with_child(f, &made, n, path.slot[last], true, &above))
			return made_undo(f, &made);
		above.block[rank(above.child, path.slot[last])] = new;
		new = above;
	}
	if (!node_replace(f, &made, &path, last, &new))
		return made_undo(f, &made);
	f->n++;
	return RC_OK;
}

enum rc fib_clear(struct fib *f, const struct ip_prefix *prefix)
{
	struct spot s = spot_of(prefix);
	struct made made = { .n = 0 };
	struct path path;
	struct fib_node new;

	assert(prefix->addr.family == f->family);
	path_follow(f, &prefix->addr, s.level, &path);
	uint32_t level = s.level;
	if (path.n <= level || !place_used(path.node[level], s.place))
		return RC_OK;
	/* With its last prefix the node goes, and with it every node above that has no other use. */
	if (path.node[level]->child == 0 && values_count(path.node[level]) == 1)
		while (level > 0 &&
			(level == s.level || block_size(path.node[level]) == sizeof(struct fib_node)))
			level--;
	bool made_it = level == s.level
			       ? node_with_value(f, &made, path.node[level], s.place, false, 0, &new)
			       : node_with_child(f, &made, path.node[level], path.slot[level], false, &new);
	if (!made_it || !node_replace(f, &made, &path, level, &new))
		return made_undo(f, &made);
	for (uint32_t l = level + 1; l <= s.level; l++)
		block_retire(f, path.node[l]);
	assert(f->n > 0);
	f->n--;
	return RC_OK;
}

void fib_reclaim(struct fib *f)
{
	blocks_reclaim(&f->blocks);
}

void fib_init(struct fib *f, uint8_t family)
{
	*f = (struct fib){ .top = { .child = 1 }, .family = family };
	f->top.block = &f->none;
}

void fib_done(struct fib *f)
{
	blocks_done(&f->blocks);
	fib_init(f, f->family);
}

/* --- a walk --- */

/* The first place after `place` that holds a prefix; 0: there is none. Places begin at 1. */
static uint32_t place_next(const struct fib_node *n, uint32_t place)
{
	uint64_t inner = place + 1 < SLOTS ? n->inner >> (place + 1) << (place + 1) : 0;

	if (inner)
		return (uint32_t)__builtin_ctzll(inner);
	uint32_t slot = place + 1 > SLOTS ? place + 1 - SLOTS : 0;
	uint64_t exact = slot < SLOTS ? n->exact >> slot << slot : 0;
	return exact ? SLOTS + (uint32_t)__builtin_ctzll(exact) : 0;
}

/* The first child from this slot on; SLOTS: there is none. */
static uint32_t child_from(const struct fib_node *n, uint32_t slot)
{
	uint64_t child = slot < SLOTS ? n->child >> slot << slot : 0;

	return child ? (uint32_t)__builtin_ctzll(child) : SLOTS;
}

/* The order: a node's own prefixes by their places, then its children by their slots. */
bool fib_next(const struct fib *f, const struct ip_prefix *prefix, struct ip_prefix *ret_prefix,
	uint32_t *ret_value)
{
	struct ip_prefix at = prefix ? *prefix : (struct ip_prefix){ .addr.family = f->family };
	struct spot s = prefix ? spot_of(prefix) : (struct spot){ 0, 0 };
	struct path path;
	uint32_t slot = 0; /* the next child to look at */

	path_follow(f, &at.addr, s.level, &path);
	uint32_t level = path.n - 1, place = s.place;
	if (level < s.level) { /* its node is gone: on with the children after the one it would be in */
		place = 2 * SLOTS;
		slot = path.slot[level] + 1;
	}
	for (;;) {
		const struct fib_node *n = path.node[level];
		if ((place = place_next(n, place)) != 0) {
			*ret_value = value_load(n, place);
			prefix_from(&at, level, place);
			*ret_prefix = at;
			return true;
		}
		while ((slot = child_from(path.node[level], slot)) == SLOTS) {
			if (level-- == 0)
				return false;
			slot = path.slot[level] + 1;
		}
		assert(level + 1 < FIB_LEVELS);
		path.slot[level] = slot;
		slot_put(&at.addr, level, slot);
		path.node[level + 1] = child_at(path.node[level], slot);
		level++;
		place = slot = 0;
	}
}
