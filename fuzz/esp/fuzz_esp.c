/*
 * ESP from strangers and from a peer that means harm. The first octet chooses:
 *   0: the rest arrives as it is (headers, lengths, SPI lookup, replay)
 *   1: the rest was sealed by the peer (trailer, inner headers, selectors, ECN): what a peer with keys can
 *      reach; 3: by AES-CBC with HMAC
 * What comes out is joined into trains and parsed, as the data plane does.
 */
#include "esp/state.h"

#include <assert.h>
#include <stdlib.h>

#define PAIRS 6

static struct esp *esp;
static uint64_t sequence;

static void add(uint32_t spi, uint16_t encr, uint16_t key_n, uint32_t flags)
{
	struct sa_install sa = { .spi_in = spi,
		.spi_out = spi,
		.encr = encr,
		.encr_bits = 256,
		.key_n = key_n,
		.flags = flags,
		.local_n = 2,
		.remote_n = 2 };

	sa.local.addr.family = sa.remote.addr.family = ADDR_V4;
	for (int i = 0; i < 2; i++) {
		struct selector ts = { .port_last = UINT16_MAX, .proto = spi & 1 ? 17 : 0 };
		ts.addrs.first.family = ts.addrs.last.family = i ? ADDR_V6 : ADDR_V4;
		memset(ts.addrs.last.b, 0xff, addr_size(&ts.addrs.last));
		sa.local_ts[i] = sa.remote_ts[i] = ts;
	}
	enum rc rc = esp_install(esp, &sa, "t", 64, NULL, 1, NULL);
	assert(rc == RC_OK);
}

static void begin(void)
{
	size_t tables_n = (esp_tables_size(PAIRS) + 63) & ~63ul;
	void *tables = aligned_alloc(64, tables_n),
	     *state = aligned_alloc(64, (esp_state_size(PAIRS) + 63) & ~63ul);
	bool resumed;

	memset(tables, 0, tables_n);
	memset(state, 0, esp_state_size(PAIRS));
	esp = esp_new(state, esp_state_size(PAIRS), tables, tables_n, PAIRS, 1, &resumed, NULL);
	assert(esp);
	add(0x61616161, ENCR_AES_GCM_16, 36, 0);
	add(0x61616162, ENCR_CHACHA20_POLY1305, 36, 0);
	add(0x61616163, ENCR_AES_GCM_16, 36, CHILD_ESN);
	add(0x61616165, ENCR_AES_CBC_SHA256, 64, 0);
	add(0x61616164, ENCR_AES_CBC_SHA512, 96, CHILD_ESN);
}

/* As the peer seals: by the pair's inbound key. */
static size_t seal(const uint8_t *plain, size_t n, uint8_t *out)
{
	uint8_t aad[8];

	store_be32(out, 0x61616161);
	store_be32(out + 4, (uint32_t)++sequence);
	store_be64(out + 8, sequence);
	memcpy(aad, out, 8);
	esp_key_seal(
		esp->mgr[0], &esp_pair_keys(esp, &esp->pair[0])->in, out + 8, aad, 8, plain, n, out + 16);
	return n + 32;
}

/* The same by the pair that has AES-CBC, with as many octets as make whole blocks. */
static size_t seal_cbc(const uint8_t *plain, size_t n, uint8_t *out)
{
	uint32_t whole = (uint32_t)(n / CBC_BLOCK_SIZE * CBC_BLOCK_SIZE);

	if (whole == 0)
		return 0;
	store_be32(out, 0x61616165);
	store_be32(out + 4, (uint32_t)++sequence);
	memcpy(out + ESP_CBC_HEAD, plain + n - whole, whole);
	esp_cbc_seal(esp->mgr[0], &esp_pair_keys(esp, &esp->pair[3])->in.cbc, out, whole, sequence, false);
	esp_cbc_finish(esp->mgr[0]);
	return ESP_CBC_HEAD + whole + 16;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static uint8_t packet[4096], buffer[16384];
	static struct segment_joiner j;

	if (!esp)
		begin();
	if (n < 2 || n > 2048)
		return 0;
	size_t packet_n = n - 2;
	if ((data[0] & 3) == 3)
		packet_n = seal_cbc(data + 2, n - 2, packet);
	else if (data[0] & 1)
		packet_n = seal(data + 2, n - 2, packet);
	else
		memcpy(packet, data + 2, n - 2);
	segment_join_begin(&j, buffer, sizeof buffer);
	for (int round = 0; round < 2; round++) { /* the second is a replay */
		struct esp_opened o;
		uint8_t *spot = segment_join_spot(&j, (uint32_t)packet_n);
		assert(spot);
		esp_open(esp, packet, (uint32_t)packet_n, data[1], spot, 1, &o);
		assert(round == 0 || o.drop != DROP_NONE);
		if (o.drop == DROP_NONE)
			segment_join_take(&j, spot, o.n, o.pair);
		else
			segment_join_leave(&j, spot);
	}
	segment_join_end(&j);
	for (uint32_t i = 0; i < j.n; i++) {
		struct train t = { .ip = j.list[i].ip, .len = j.list[i].len };
		train_parse(&t);
	}
	return 0;
}
