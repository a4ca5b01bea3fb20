/*
 * What the programs of carry.bpf.c ask of the kernel: its headers and libbpf's when they are compiled for it, and the same
 * names as ordinary functions when they are compiled for a test or a fuzzer, which implements them.
 */
#ifndef CARRY_KERNEL_H
#define CARRY_KERNEL_H

#include "carry/layout.h"

#include <linux/bpf.h>
#include <linux/pkt_cls.h>

#ifdef __bpf__

#include <bpf/bpf_helpers.h>

#define MAP(name, kind, flags, entries, key_type, value_type)                                                \
	struct {                                                                                             \
		__uint(type, kind);                                                                          \
		__uint(map_flags, flags);                                                                    \
		__uint(max_entries, entries);                                                                \
		__type(key, key_type);                                                                       \
		__type(value, value_type);                                                                   \
	} name SEC(".maps")

/* Nothing that is read after it is read before it. Other processors than x86 reorder reads; an atomic operation whose
 * result is used is a full barrier. */
#ifdef __TARGET_ARCH_x86
#define read_barrier(word) __asm__ volatile("" ::: "memory")
#else
#define read_barrier(word) (void)__sync_fetch_and_add(word, 0)
#endif

/* The compiler does not know the value: what is compared is what the verifier then knows the bounds of. */
#define opaque(number) __asm__ volatile("" : "+r"(number))

/* A function that the verifier looks at once, and not behind each way that leads to it. It knows nothing of the arguments but
 * that a pointer is to its type or NULL. */
#define VERIFIED_ALONE __attribute__((noinline))

/* A loop that would take too much of the stack, of which a program and what it calls have 512 octets. */
#define NOT_UNROLLED _Pragma("clang loop unroll(disable)")

#else

#define VERIFIED_ALONE static
#define NOT_UNROLLED

#define opaque(number) (void)(number)
#define SEC(name)
#undef __always_inline
#define __always_inline inline __attribute__((always_inline))
#define MAP(name, kind, flags, entries, key_type, value_type)                                                \
	struct carry_map_of name = { sizeof(value_type), entries }
#define read_barrier(word) __sync_synchronize()

struct carry_map_of {
	uint32_t value, entries;
};

void *bpf_map_lookup_elem(void *map, const void *key);
long bpf_skb_load_bytes(const void *skb, uint32_t offset, void *to, uint32_t n);
long bpf_skb_store_bytes(
	struct __sk_buff *skb, uint32_t offset, const void *from, uint32_t n, uint64_t flags);
long bpf_l4_csum_replace(struct __sk_buff *skb, uint32_t offset, uint64_t from, uint64_t to, uint64_t flags);
long bpf_csum_update(struct __sk_buff *skb, uint32_t sum);
long bpf_skb_change_tail(struct __sk_buff *skb, uint32_t n, uint64_t flags);
long bpf_redirect(uint32_t interface, uint64_t flags);
uint64_t bpf_ktime_get_coarse_ns(void);

int tap(struct __sk_buff *skb);
int carry(struct __sk_buff *skb);

#endif

#endif
