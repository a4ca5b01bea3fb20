/*
 * The parser and the translator for against_scapy.py: a line in, a line out.
 *	parse HEX    -> "DROP proto src dst sport dport l4 payload flags" of train_parse()
 *	through HEX  -> "DROP HEX" of a firewall with source NAT; its sessions go on from line to line
 *	clear        -> "ok": the sessions end
 */
#include "world.h"

#include <stdio.h>
#include <stdlib.h>

#define LINE (2 * TRAIN_BYTES_MAX + 64)

static struct world w;
static uint8_t bytes[TRAIN_BYTES_MAX];
static char line[LINE], text[LINE];

static void parse(size_t n)
{
	char src[ADDR_TEXT_MAX] = "", dst[ADDR_TEXT_MAX] = "";
	struct train t = { .ip = bytes, .len = (uint32_t)n };

	if (train_parse(&t) == DROP_NONE) {
		addr_text(src, &t.src);
		addr_text(dst, &t.dst);
	}
	const char *sum = t.drop ? "-" : train_verify_l4(&t) == DROP_NONE ? "right" : "wrong";
	printf("%s %u %s %s %u %u %u %u %u %u %s\n", t.drop && *sum == '-' ? drop_name(t.drop) : "none",
		t.proto, src, dst, t.src_port, t.dst_port, t.l4_offset, t.payload_offset, t.len,
		!!(t.flags & TRAIN_FRAGMENT), sum);
}

static void through(size_t n)
{
	uint8_t *ip = w.packet.room + TRAIN_HEAD_ROOM;

	fw_reassemble_done(w.fw);
	memcpy(ip, bytes, n);
	w.t = (struct train){
		.ip = ip, .len = (uint32_t)n, .tunnel = TRAIN_NONE, .session = TRAIN_NONE, .rule = TRAIN_NONE
	};
	enum drop_reason d = world_run(&w);
	if (d || (w.t.flags & TRAIN_FRAGMENT))
		printf("%s -\n", d ? drop_name(d) : "kept");
	else
		printf("none %s\n", hex_from_bytes(text, w.t.ip, w.t.len));
}

static void clear(void)
{
	for (uint32_t cursor = 0; fw_session_next(w.fw, &cursor);)
		fw_session_end(w.fw, cursor - 1, w.now);
	printf("ok\n");
}

int main(void)
{
	struct policy p;

	world_init(&w, 4096);
	policy_init(&p);
	policy_rule(&p, "out", TRUST, UNTRUST, "any", "any", "any", RULE_PERMIT);
	policy_nat(&p, "all", TRUST, UNTRUST, "any", "any", NAT_INTERFACE, NULL);
	policy_nat(&p, "all6", TRUST, UNTRUST, "any", "any", NAT_INTERFACE6, NULL);
	world_load(&w, &p);
	policy_done(&p);
	while (fgets(line, sizeof line, stdin)) {
		line[strcspn(line, "\n")] = '\0';
		char *hex = strchr(line, ' ');
		size_t n = hex ? strlen(hex + 1) / 2 : 0;
		if (hex && (n > sizeof bytes || !hex_to_bytes(bytes, n, hex + 1)))
			return 1;
		if (strncmp(line, "parse ", 6) == 0)
			parse(n);
		else if (strncmp(line, "through ", 8) == 0)
			through(n);
		else
			clear();
		fflush(stdout);
	}
	world_done(&w);
	return 0;
}
