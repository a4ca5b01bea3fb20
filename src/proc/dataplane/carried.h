/*
 * What a pipeline knows of the sessions that the kernel carries (carried.c): part of struct pipeline.
 */
#ifndef DATAPLANE_CARRIED_H
#define DATAPLANE_CARRIED_H

#include "carry/carry.h"
#include "firewall/firewall.h"
#include "proc/dataplane/limits.h"

struct carried {
	struct carry *carry; /* NULL: the kernel carries nothing */
	struct carry_tables tables;
	struct fw_carrier carrier;
	uint64_t generation;	       /* pipeline_generation() that the present epoch stands for */
	mono_ns now, beat_at, pass_at; /* when the next one is due */
	bool walking;
	uint32_t cursor;
	/* sessions of this burst that may be carried */
	uint32_t offers[TRAIN_BURST_MAX], offers_n;
	/* Neighbours that carried sessions are sent to; epoch: in which they were, else the place is free. */
	struct carried_neighbour {
		uint32_t epoch, link;
		struct ip_addr addr;
		uint8_t mac[6];
	} neighbours[CARRIED_NEIGHBOUR_SETS][CARRIED_NEIGHBOUR_WAYS];
	uint32_t neighbours_lost; /* the last epoch in which one found no place, and one more; 0: none */
	uint64_t packets, placed, taken_back, no_room;
};

#endif
