/*
 * What the files of the application layer gateways share. They join the readers of src/alg to the sessions of the
 * firewall: the text of a session that passes is read, and what it lets expect is told to the firewall. After fw_apply(),
 * so only what fits the connection is read; ports are those of the server itself.
 *
 *	alg_text.c   text of another length: a copy of the packet, its numbers, its checksums; what is found
 *	alg_ftp.c    FTP: its control connections
 *	alg_sip.c    SIP over UDP
 *	alg.c        which session is read by what
 */
#ifndef DATAPLANE_ALG_H
#define DATAPLANE_ALG_H

#include "alg/ftp.h"
#include "proc/dataplane/limits.h"
#include "proc/dataplane/stages.h"

struct alg_state {
	/* of the session whose control channel it is; id 0: free */
	uint32_t session[ALG_FTP_MAX], id[ALG_FTP_MAX];
	struct ip_addr source[ALG_FTP_MAX];
	uint16_t zone[ALG_FTP_MAX]; /* that the client was in when it began */
	struct ftp ftp[ALG_FTP_MAX];
	/* sessions of SIP that are kept; id 0: free */
	struct {
		uint32_t session, id;
		struct ip_addr source;
	} kept[ALG_SIP_MAX];
	/* packets of this burst whose text has grown, each with room around */
	uint32_t copies_n;
	uint8_t copy[TRAIN_BURST_MAX][TRAIN_HEAD_ROOM + ALG_TEXT_PACKET_MAX + TRAIN_TAIL_ROOM];
};

/* alg_text.c */
/* Moves t where its payload has room for ALG_TEXT_PACKET_MAX octets together with its headers, until the end of the burst.
 * False: it is longer, or its checksum is wrong (t->drop). */
bool alg_text_room(struct pipeline *p, struct train *t);
static inline size_t alg_text_room_n(const struct train *t)
{
	return ALG_TEXT_PACKET_MAX - t->payload_offset;
}
/* Acknowledgements (and SACK) of what side 1 - d has sent, as that side counts. */
void alg_text_acks_in(struct train *t, const struct alg_offset *o);
/* The sequence number of t as its receiver counts. */
void alg_text_seq_out(struct train *t, const struct alg_offset *o);

/* Tells the firewall, and the trace. False: it is not expected. */
bool alg_expect(
	struct pipeline *p, const struct train *t, const struct expectation *e, struct endpoint *ret_told);

/* alg_ftp.c */
/* Before the checks of TCP. */
void alg_ftp_before(struct pipeline *p, struct train *t, const struct fw_session *s, struct alg_pass *pass);
/* After them: t is read; its numbers become those that the receiver counts by. */
enum drop_reason alg_ftp_read(struct pipeline *p, struct train *t, const struct fw_session *s, bool reads,
	const struct alg_pass *pass);

/* alg_sip.c */
enum drop_reason alg_sip_read(struct pipeline *p, struct train *t, const struct fw_session *s);

#endif
