/* What randomness.h found, as text for people and as one JSON object. */
#include "base/json.h"
#include "base/tw.h"
#include "verify/randomness.h"

#include <math.h>

typedef unsigned long long ull;

static const uint32_t bad_shown[] = { 1, 4, 16, 64 };

static bool many(uint64_t late, uint64_t of)
{
	return late >= RANDOMNESS_LATE_LEAST && late > of / RANDOMNESS_LATE_SHARE;
}

const char *randomness_weak(const struct randomness_report *r, bool policy)
{
	const struct leaves_report *l = &r->leaves;

	if (r->values_unaccounted + l->unaccounted > 0)
		return "values or leaves were used that no entry accounts for";
	if (policy && l->weak > 0 && l->cosigned == 0)
		return "no challenge of ephemeral keys is derived from cosignatures of the policy's quorum";
	if (many(r->order.late, r->order.named))
		return "entries name more values out of order than peers that connect one by one would cause";
	if (many(r->wire_late, r->wire_ordered))
		return "handshakes were sent in another order than that of their values";
	return NULL;
}

/* Both orders follow from when exchanges began; how much they could say if they did not. */
static double value_bits(const struct randomness_report *r)
{
	return order_bits(r->order.named, r->order.late, r->order.distance, r->values_unnamed);
}

static double leaf_bits(const struct randomness_report *r)
{
	return order_bits(r->leaves.named, 0, 0, r->leaves.skipped);
}

static void say_order(struct tw *t, const struct randomness_report *r)
{
	tw_say(t,
		"  not named    %llu values: %llu of failed exchanges, %llu still in progress, %llu "
		"unaccounted for\n"
		"  order        %llu of %llu exchanges were named after a later one, at most %llu entries "
		"and %llu s late;\n"
		"               %llu leaves were skipped. A keeper that lies could have put at most %.0f "
		"bits into the\n"
		"               order of values, and %.0f into that of leaves\n",
		(ull)r->values_unnamed, (ull)r->values_failed,
		(ull)(r->values_unnamed - r->values_failed - r->values_unaccounted),
		(ull)r->values_unaccounted, (ull)r->order.late, (ull)r->order.named, (ull)r->order.distance,
		(ull)r->order.late_s, (ull)r->leaves.skipped, ceil(value_bits(r)), ceil(leaf_bits(r)));
}

static void say_public(struct tw *t, const struct randomness_report *r)
{
	tw_say(t,
		"  epochs       %llu, keys disclosed: %llu; values that can be recomputed: %llu\n"
		"  skipped      %llu SPI candidates, which were in use according to the keeper\n",
		(ull)r->epochs, (ull)r->epochs_disclosed, (ull)r->values_disclosed,
		(ull)r->spi_candidates_skipped);
}

static void say_leaves(struct tw *t, const struct leaves_report *l)
{
	tw_say(t,
		"Ephemeral keys: %llu leaves of %llu batches were opened.\n"
		"  exchanges    %llu name a leaf of their batch; %llu name none: nothing is proved of "
		"those\n",
		(ull)l->opened, (ull)(l->batches - l->unopened - l->abandoned), (ull)l->named,
		(ull)l->unnamed);
	if (l->abandoned > 0)
		tw_say(t, "  batches      %llu were abandoned before their challenge: a keeper ended\n",
			(ull)l->abandoned);
	if (l->unopened > 0)
		tw_say(t,
			"  batches      %llu were challenged and NOT opened: a keeper ended at that moment, "
			"or withheld them\n",
			(ull)l->unopened);
	if (l->uncomputed > 0)
		tw_say(t,
			"  leaves       %llu were opened and NOT recomputed: they have keys of ML-KEM, for which "
			"verify needs libcrypto 3.5\n",
			(ull)l->uncomputed);
	if (l->leaves == 0)
		return;
	tw_say(t,
		"  chance       that m leaves of %u, made otherwise than specified, all escaped the %u "
		"opened ones:\n"
		"              ",
		l->leaves, l->opens);
	for (size_t i = 0; i < COUNT_OF(bad_shown); i++)
		tw_say(t, "%s m = %u: %.2g", i ? "," : "", bad_shown[i],
			leaves_escape(l->leaves, l->opens, bad_shown[i]));
	tw_say(t, "\n");
	if (l->cosigned > 0)
		tw_say(t,
			"  challenges   %llu from cosignatures of the policy's quorum, made after the batch: "
			"the device could\n"
			"               not know them before; at most %llu s and %llu entries after it\n",
			(ull)l->cosigned, (ull)l->wait_s, (ull)l->wait_entries);
	if (l->unchecked > 0)
		tw_say(t,
			"  challenges   %llu from cosignatures that were not checked: give the policy that "
			"names the\n"
			"               witnesses with --policy\n",
			(ull)l->unchecked);
	if (l->weak > 0)
		tw_say(t,
			"  weaker       %llu challenges from the root alone, or from fewer witnesses than "
			"the quorum: the\n"
			"               device could have made batches until one hid what it wanted\n",
			(ull)l->weak);
}

size_t randomness_report_text(
	const struct randomness_report *r, struct randomness_asked asked, char *ret_text, size_t size)
{
	const char *weak = randomness_weak(r, asked.policy);
	struct tw t = tw_over(ret_text, size);

	if (r->failures > 0)
		tw_say(&t,
			"The public values are NOT all derived (VRF), or ephemeral keys are not as "
			"specified: %s.\n"
			"  failures     %llu\n",
			r->finding, (ull)r->failures);
	else
		tw_say(&t, "Every public value that the ledger names is derived (VRF): %llu proofs hold.\n",
			(ull)r->proofs_checked);
	if (asked.capture)
		tw_say(&t,
			"  on the wire  %llu messages of handshakes in the capture, one of each side: %llu "
			"nonces and %llu\n"
			"               public values compared, the others are not of this ledger\n",
			(ull)r->messages_captured, (ull)r->nonces_compared, (ull)r->keys_compared);
	if (r->wire_ordered > 0 || r->ours_unknown > 0)
		tw_say(&t,
			"  sent by us   %llu in the order of their values, %llu after a later one; %llu of "
			"no known value%s\n",
			(ull)(r->wire_ordered - r->wire_late), (ull)r->wire_late, (ull)r->ours_unknown,
			r->epochs_disclosed < r->epochs ? ": possibly of a key that is not disclosed" : "");
	say_public(&t, r);
	say_order(&t, r);
	say_leaves(&t, &r->leaves);
	if (weak)
		tw_say(&t, "Less is proved than was asked for: %s.\n", weak);
	tw_say(&t,
		"This proves that SPIs and nonces of these exchanges were not chosen, and that the opened "
		"leaves are\n"
		"derived from their two shares. It does not prove how the key of an epoch was generated, that a "
		"source\n"
		"of shares was unpredictable, or that exchanges failed by themselves: docs/threat-model.md.\n");
	if (!asked.capture)
		tw_say(&t,
			"Whether these values are the ones that were sent is shown by a capture of the wire: "
			"--capture.\n");
	return tw_done(&t);
}

size_t randomness_report_json(
	const struct randomness_report *r, struct randomness_asked asked, char *ret_text, size_t size)
{
	const char *weak = randomness_weak(r, asked.policy);
	const struct leaves_report *l = &r->leaves;
	struct jw w = jw_over(ret_text, size, true);

	jw_object(&w, NULL);
	jw_u64(&w, "batches", l->batches);
	jw_u64(&w, "batches_abandoned", l->abandoned);
	jw_u64(&w, "batches_cosigned", l->cosigned);
	jw_u64(&w, "batches_unchecked", l->unchecked);
	jw_u64(&w, "batches_unopened", l->unopened);
	jw_u64(&w, "batches_weak", l->weak);
	jw_u64(&w, "challenge_wait_entries", l->wait_entries);
	jw_u64(&w, "challenge_wait_s", l->wait_s);
	jw_u64(&w, "entries_unproved", r->entries_unproved);
	jw_u64(&w, "epochs", r->epochs);
	jw_u64(&w, "epochs_disclosed", r->epochs_disclosed);
	jw_array(&w, "escape");
	for (size_t i = 0; i < COUNT_OF(bad_shown) && l->leaves > 0; i++) {
		jw_object(&w, NULL);
		jw_u64(&w, "bad", bad_shown[i]);
		jw_strf(&w, "chance", "%.6g", leaves_escape(l->leaves, l->opens, bad_shown[i]));
		jw_u64(&w, "leaves", l->leaves);
		jw_u64(&w, "opened", l->opens);
		jw_end(&w);
	}
	jw_end(&w);
	jw_u64(&w, "failures", r->failures);
	jw_str(&w, "finding", r->finding);
	jw_u64(&w, "keys_compared", r->keys_compared);
	jw_u64(&w, "leaf_order_bits", (uint64_t)ceil(leaf_bits(r)));
	jw_u64(&w, "leaves_failed", l->failed);
	jw_u64(&w, "leaves_named", l->named);
	jw_u64(&w, "leaves_opened", l->opened);
	jw_u64(&w, "leaves_skipped", l->skipped);
	jw_u64(&w, "leaves_unaccounted", l->unaccounted);
	jw_u64(&w, "leaves_uncomputed", l->uncomputed);
	jw_u64(&w, "leaves_unnamed", l->unnamed);
	jw_u64(&w, "messages_captured", r->messages_captured);
	jw_u64(&w, "nonces_compared", r->nonces_compared);
	jw_u64(&w, "order_bits", (uint64_t)ceil(value_bits(r)));
	jw_u64(&w, "order_distance", r->order.distance);
	jw_u64(&w, "order_late", r->order.late);
	jw_u64(&w, "order_late_s", r->order.late_s);
	jw_u64(&w, "order_named", r->order.named);
	jw_u64(&w, "ours_unknown", r->ours_unknown);
	jw_u64(&w, "proofs_checked", r->proofs_checked);
	jw_u64(&w, "spi_candidates_skipped", r->spi_candidates_skipped);
	jw_u64(&w, "values_disclosed", r->values_disclosed);
	jw_u64(&w, "values_failed", r->values_failed);
	jw_u64(&w, "values_unaccounted", r->values_unaccounted);
	jw_u64(&w, "values_unnamed", r->values_unnamed);
	jw_str(&w, "weak", weak ? weak : "");
	jw_u64(&w, "wire_late", r->wire_late);
	jw_u64(&w, "wire_ordered", r->wire_ordered);
	jw_end(&w);
	return jw_done(&w);
}
