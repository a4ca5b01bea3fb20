/* Reading pcap and pcapng files of real traffic, as far as the tests need: packets one after the other. */
#ifndef TESTS_WIRE_CAPTURE_H
#define TESTS_WIRE_CAPTURE_H

#include "base/bytes.h"

struct capture {
	uint8_t *bytes; /* the file */
	size_t n, at;
	bool swapped, block_file; /* block_file: pcapng */
	uint32_t link_type;
};

/* False: not there, or no capture file. */
bool capture_open(struct capture *c, const char *path);
void capture_close(struct capture *c);
/* The next packet's IP octets (behind the link header); *ret_ip NULL: another protocol. False: no more
 * packets. */
bool capture_next(struct capture *c, const uint8_t **ret_ip, size_t *ret_n);

/* The folder of real captures, or NULL when it is not there. */
const char *captures_folder(void);

#endif
