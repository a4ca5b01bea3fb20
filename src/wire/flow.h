/*
 * Which worker a packet belongs to: a keyed hash of its flow that is the same in both directions, and the program by
 * which a PACKET_FANOUT group delivers most packets to that worker's socket in the first place.
 *
 * A flow is two ends (address and port) and a protocol; of ICMP queries both ports are the identifier, of protocols
 * without ports they are zero. An ICMP error belongs to the flow of the packet that it quotes. Fragments are hashed by
 * their addresses alone, ports and protocol zero: so all of a datagram meet, and the whole one goes on from there. (In
 * IPv6 only the first of them says the protocol.)
 *
 * The hash is made of what classic BPF has (32 bits; multiply, exclusive or, shift, add), so that flow_program() computes
 * the same. A packet that it judges otherwise (extension headers, ICMP errors) costs a hand-over between workers and
 * nothing else.
 *
 * What an attacker can do. The hash is keyed but no pseudo-random function: its use is to spread, and nothing but the load
 * of workers depends on it. Tables are searched by other keys (SipHash). Who does not know the key cannot choose flows
 * for one worker in advance: each end is mixed with secret odd multipliers before the two are added, so no two flows
 * share a worker for every key but those that exchange their ends' whole (address, port). Who can observe which
 * flows share a worker learns about the key: source NAT tells an inside host a little of it by the ports that it chooses,
 * and delays tell everybody something. Who knows the key, or the number of workers, can put all flows of its own on
 * one worker; without either, one heavy flow does the same. The harm has the same bound in each case: that worker is as
 * busy as a gateway with one worker, its queues are full (drops of its own), and the others do not notice. Its sessions
 * are limited as ever, by source and by zone.
 */
#ifndef WIRE_FLOW_H
#define WIRE_FLOW_H

#include "wire/train.h"

#include <linux/filter.h>

struct flow_key {
	uint32_t start, by_word, by_port, by_sum; /* multipliers are odd */
};

/* From 16 random octets. */
struct flow_key flow_key_make(const uint8_t secret[16]);

uint32_t flow_hash(const struct flow_key *k, const struct ip_addr *a, uint16_t a_port,
	const struct ip_addr *b, uint16_t b_port, uint8_t proto);
/* Of one end alone. */
uint32_t flow_end_hash(const struct flow_key *k, const struct ip_addr *a, uint16_t port);
/* Of a parsed train. */
uint32_t flow_hash_train(const struct flow_key *k, const struct train *t);

/* Among so many workers, at most 65,536. */
static inline uint32_t flow_home(uint32_t hash, uint32_t workers)
{
	return (hash >> 16) * workers >> 16;
}

/*
 * Classic BPF for PACKET_FANOUT_CBPF. It returns the home of an IP
 * packet by the offsets from its network header, so that it does not matter whether the socket sees the link header; 0 for
 * what is neither IPv4 nor IPv6. The members of the group have the numbers of their workers in the order in which they
 * joined. Returns its length.
 */
#define FLOW_PROGRAM_MAX 192
uint32_t flow_program(
	const struct flow_key *k, uint32_t workers, struct sock_filter ret_program[FLOW_PROGRAM_MAX]);

#endif
