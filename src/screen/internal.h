/* What the files of the room share. */
#ifndef SCREEN_INTERNAL_H
#define SCREEN_INTERNAL_H

#include "base/rd.h"
#include "screen/screen.h"

#define SCREEN_IP6_HEADERS_MAX 32 /* of one packet; more are malformed */

/* The screens that a packet meets, of all there are. */
struct met {
	struct screen_set set;
	uint32_t headers; /* IPv6 extension headers */
	bool segments; /* a train or a first fragment: lengths within it are those of one segment, of the whole or of none */
	struct ip_addr outer; /* destination */
	struct ip_addr outer_src;
};

static inline void meets(struct met *m, enum screen i)
{
	screen_add(&m->set, i);
}

/* The payload of a header of this family says that it is a tunnel. */
void met_in_tunnel(struct met *m, uint8_t family, uint8_t proto, struct rd r);
void met_in_teredo(struct met *m, struct rd r);

#endif
