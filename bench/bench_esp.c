/*
 * What sealing and opening cost beside the library's own share: trains of 44 packets of 1420 octets go
 * through a gateway's pipeline into its tunnel, in one process, and another's SA opens each batch and joins
 * it again. One JSON object a line, with the name of the figure to divide by. Run by bench/run.
 *
 * Each figure is the best of many rounds, which alternate: what disturbs a round only ever makes it longer.
 */
#include "esp/crypt.h"
#include "gate.h"
#include "wire/segment.h"

#include <stdio.h>
#include <stdlib.h>

#define ROUNDS	     40
#define REPEATS	     50	  /* bursts in a round */
#define SEGMENTS     44	  /* as many as one datagram takes when they are sealed */
#define SEGMENT_SIZE 1392 /* with its headers 1420 octets of IPv4 */
#define PACKET_SIZE  1420

#define MUST(x)                                                                                              \
	do {                                                                                                 \
		if (!(x)) {                                                                                  \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #x);                              \
			exit(1);                                                                             \
		}                                                                                            \
	} while (0)

static struct gate sealing, opening;
static struct packet packet;
static uint8_t *joined;
static struct segment_joiner joiner;
static mono_ns opened_for; /* of the present round */

/* One train; its headers are fresh each time, for the pipeline has changed them the time before. */
static void burst(const struct train *made, const uint8_t *head)
{
	struct train t = *made;

	memcpy(t.ip, head, IP4_HEADER_SIZE + UDP_HEADER_SIZE);
	pipeline_train_from_link(&sealing.p, &t, gate_interface(&sealing, GATE_LAN));
	t.segment_size = SEGMENT_SIZE;
	t.csum = TRAIN_CSUM_PARTIAL;
	pipeline_burst(&sealing.p, &t, 1, sealing.now);
	MUST(t.drop == DROP_NONE);
}

/* Nanoseconds for each packet of a round, sealed and opened. */
static double there(void)
{
	struct packet_spec s = { .src = "10.1.0.2",
		.dst = "10.2.0.2",
		.proto = IP_UDP,
		.src_port = 1000,
		.dst_port = 9,
		.payload_n = SEGMENTS * SEGMENT_SIZE,
		.partial = true };
	struct train made = packet_make(&packet, &s);
	uint8_t head[IP4_HEADER_SIZE + UDP_HEADER_SIZE];

	memcpy(head, made.ip, sizeof head);
	burst(&made, head); /* begins the session */
	opened_for = 0;
	mono_ns from = clock_mono();
	for (uint32_t i = 0; i < REPEATS; i++)
		burst(&made, head);
	return (double)(clock_mono() - from) / (REPEATS * SEGMENTS);
}

/* In place of sending: the other gateway opens the batch and makes it a train again. */
static enum drop_reason open_batch(void *context, const struct esp_view *pair, const struct esp_batch *batch)
{
	struct gate *g = &opening;
	mono_ns from = clock_mono();

	(void)context;
	(void)pair;
	segment_join_begin(&joiner, joined, 1u << 20);
	for (uint32_t at = 0; at < batch->n; at += batch->packet_size) {
		uint32_t n = MIN_OF(batch->packet_size, batch->n - at);
		uint8_t *spot = segment_join_spot(&joiner, n);
		struct esp_opened o;
		esp_open(g->esp, batch->bytes + at, n, 0, spot, g->now, &o);
		MUST(o.drop == DROP_NONE);
		segment_join_take(&joiner, spot, o.n, o.tunnel);
	}
	segment_join_end(&joiner);
	MUST(joiner.n == 1);
	opened_for += clock_mono() - from;
	return DROP_NONE;
}

static double best(double a, double b)
{
	return a == 0 || b < a ? b : a;
}

/* The library alone, as many octets. */
static double library(IMB_MGR *mgr, const struct esp_key *key, uint8_t *src, uint8_t *dst)
{
	uint8_t iv[AEAD_IV_SIZE] = { 0 }, aad[12] = { 0 };
	mono_ns from = clock_mono();

	for (uint32_t i = 0; i < REPEATS; i++)
		for (uint32_t k = 0; k < SEGMENTS; k++)
			esp_key_seal(mgr, key, iv, aad, sizeof aad, src + k * PACKET_SIZE, PACKET_SIZE,
				dst + k * (PACKET_SIZE + 64));
	return (double)(clock_mono() - from) / (REPEATS * SEGMENTS);
}

static void print(const char *name, double ns, const char *reference)
{
	printf("{\"name\": \"%s\", \"value\": %.1f, \"unit\": \"ns/packet\", \"reference\": ", name, ns);
	printf(reference ? "\"%s\"}\n" : "null}\n", reference);
}

int main(void)
{
	static struct esp_key key;
	static uint8_t keymat[36] = { 1, 2, 3 };
	double seal = 0, open = 0, aead = 0;
	IMB_MGR *mgr = alloc_mb_mgr(0);
	uint8_t *room = aligned_alloc(64, 1u << 20);

	joined = aligned_alloc(64, 1u << 20);
	MUST(mgr && room && joined);
	memset(room, 1, 1u << 20);
	init_mb_mgr_auto(mgr, NULL);
	MUST(esp_key_set(mgr, &key, ENCR_AES_GCM_16, 256, keymat, sizeof keymat) == RC_OK);
	gate_init(&sealing, gate_text, "", 4096);
	gate_init(&opening, gate_text, "", 4096);
	sealing.counts_only = opening.counts_only = true;
	gate_sa(&sealing, false);
	gate_sa(&opening, true);
	sealing.p.io.tunnel_send = open_batch;
	for (int round = 0; round < ROUNDS; round++) {
		double both = there(), one = (double)opened_for / (REPEATS * SEGMENTS);
		open = best(open, one);
		seal = best(seal, both - one);
		aead = best(aead, library(mgr, &key, room, room + (512u << 10)));
	}
	print("esp.aead", aead, NULL);
	print("esp.seal", seal, "esp.aead");
	print("esp.open", open, "esp.aead");
	gate_done(&sealing);
	gate_done(&opening);
	free_mb_mgr(mgr);
	free(room);
	free(joined);
	return 0;
}
