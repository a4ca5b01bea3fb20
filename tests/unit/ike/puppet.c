/* The peer whose strings the test holds; see puppet.h. */
#include "puppet.h"

#include "crypto/sha1.h"

#include <assert.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- the configuration ---- */

static struct span place(const struct puppet *p, const void *at, uint32_t n)
{
	return (struct span){ (uint32_t)((const uint8_t *)at - (const uint8_t *)&p->config), n };
}

static struct selector net(uint8_t site, uint8_t i)
{
	struct selector s = { .port_last = 65535 };

	s.addrs.first = addr_v4((const uint8_t[]){ 10, site, i, 0 });
	s.addrs.last = addr_v4((const uint8_t[]){ 10, site, i, 255 });
	return s;
}

static void set_id(struct snap_id *id, const char *text)
{
	id->type = ID_FQDN;
	id->len = (uint8_t)strlen(text);
	memcpy(id->data, text, id->len);
}

void puppet_init(struct puppet *p)
{
	struct snapshot *s = &p->config.head;
	struct snap_peer *peer = &p->config.peers[0];

	memset(p, 0, offsetof(struct puppet, asked));
	*s = (struct snapshot){ .magic = SNAPSHOT_MAGIC, .bytes = sizeof p->config, .generation = 1 };
	s->ike_proposals = place(p, p->config.ike, 2);
	s->esp_proposals = place(p, p->config.esp, 2);
	s->peers = place(p, p->config.peers, 1);
	s->selectors = place(p, p->config.selectors, 4);
	s->tunnels = place(p, p->config.tunnels, 2);
	p->config.ike[0] =
		(struct snap_ike_proposal){ "i0", ENCR_AES_GCM_16, 256, PRF_HMAC_SHA2_256, DH_CURVE25519 };
	p->config.ike[1] =
		(struct snap_ike_proposal){ "i1", ENCR_AES_GCM_16, 256, PRF_HMAC_SHA2_256, DH_ECP_256 };
	p->config.esp[0] = (struct snap_esp_proposal){ "e0", ENCR_AES_GCM_16, 256, DH_NONE, 0 };
	p->config.esp[1] = (struct snap_esp_proposal){ "e1", ENCR_AES_GCM_16, 256, DH_ECP_256, 0 };
	snprintf(peer->name, sizeof peer->name, "puppet");
	snprintf(peer->key_name, sizeof peer->key_name, "key");
	peer->local = addr_v4((const uint8_t[]){ 192, 0, 2, 1 });
	peer->remote = addr_v4((const uint8_t[]){ 192, 0, 2, 2 });
	set_id(&peer->local_id, PUPPET_OUR_ID);
	set_id(&peer->remote_id, PUPPET_ID);
	peer->start = PEER_START_NEVER;
	peer->proposals = (struct span){ 0, 2 };
	for (uint32_t i = 0; i < 2; i++) {
		p->config.selectors[2 * i] = net(1, (uint8_t)i);
		p->config.selectors[2 * i + 1] = net(2, (uint8_t)i);
		snprintf(p->config.tunnels[i].name, NAME_MAX_BYTES, "t%u", i);
		p->config.tunnels[i].proposals = (struct span){ i, 1 };
		p->config.tunnels[i].local = (struct span){ 2 * i, 1 };
		p->config.tunnels[i].remote = (struct span){ 2 * i + 1, 1 };
	}
	p->setup = (struct ike_setup){ .seed = 1, .cookie_above = 64, .has_crash_secret = true };
	p->now = NS_PER_S;
	p->nonce = 0x40;
	p->spis = 0x1000;
	p->at = (struct endpoint){ .addr = peer->remote, .port = 500 };
	p->core_at = (struct endpoint){ .addr = peer->local, .port = 500 };
}

static void certificate_set(struct puppet *p, uint32_t i, const void *der, size_t n)
{
	p->config.certificates[i] = (struct snap_certificate){ .first = 4 * i, .n = (uint32_t)n };
	memcpy(p->config.octets[4 * i].at, der, n);
	p->config.files[i].certificates = (struct span){ i, 1 };
	snprintf(p->config.files[i].name, NAME_MAX_BYTES, "%s", i ? "ca.crt" : "ours.crt");
}

void puppet_certify(struct puppet *p)
{
	/* version, serial number, four empty sequences, the key */
	static const char ca[] =
		"\x30\x17\x30\x15\xa0\x03\x02\x01\x02\x02\x01\x01\x30\0\x30\0\x30\0\x30\0" PUPPET_CA_KEY;
	struct snapshot *s = &p->config.head;
	struct snap_peer *peer = &p->config.peers[0];

	certificate_set(p, 0, PUPPET_OUR_CERTIFICATE, sizeof PUPPET_OUR_CERTIFICATE - 1);
	certificate_set(p, 1, ca, sizeof ca - 1);
	snprintf(p->config.authorities[0].name, NAME_MAX_BYTES, "ca");
	p->config.authorities[0].file = 1;
	s->certificate_files = place(p, p->config.files, 2);
	s->authorities = place(p, p->config.authorities, 1);
	s->trusted = place(p, p->config.trusted, 1);
	s->certificates = place(p, p->config.certificates, 2);
	s->certificate_octets = place(p, p->config.octets, 8);
	peer->auth = PEER_AUTH_CERTIFICATE;
	peer->certificate = 1;
	peer->trusted = (struct span){ 0, 1 };
}

void puppet_start(struct puppet *p)
{
	p->core = ike_core_new(&p->setup);
	ike_config(p->core, p->now, &p->config.head);
	puppet_settle(p);
}

void puppet_done(struct puppet *p)
{
	ike_core_free(p->core);
	p->core = NULL;
}

/* ---- the keeper ---- */

static uint16_t ke_size(uint16_t group)
{
	return group == DH_ECP_256 ? 64 : group == DH_ECP_384 ? 96 : group == DH_CURVE25519 ? 32 : 0;
}

static void begin_exchange(struct puppet *p, const struct keeper_request *q, struct keeper_exchange_begun *b)
{
	b->handle = ++p->handles;
	store_be64(b->ike_spi, 0xc0de000000000000u + b->handle);
	b->nonce_n = KEEPER_NONCE_SIZE;
	memset(b->nonce, p->nonce, sizeof b->nonce);
	b->ke_n = ke_size(q->u.EXCHANGE_BEGIN.dh_group);
	memset(b->ke, 0x11, b->ke_n);
}

static void answer_exchange(
	struct puppet *p, const struct keeper_request *q, struct keeper_exchange_answered *a)
{
	a->handle = ++p->handles;
	store_be64(a->ike_spi, 0xc0de000000000000u + a->handle);
	a->nonce_n = KEEPER_NONCE_SIZE;
	memset(a->nonce, p->nonce, sizeof a->nonce);
	a->ke_n = ke_size(q->u.EXCHANGE_ANSWER.dh_group);
	memset(a->ke, 0x11, a->ke_n);
	a->sk_e.n = (uint16_t)aead_material_size(q->u.EXCHANGE_ANSWER.encr, q->u.EXCHANGE_ANSWER.encr_bits);
}

static void begin_child(struct puppet *p, const struct keeper_request *q, struct keeper_child_begun *b)
{
	b->child = ++p->handles;
	b->spi_in = ++p->spis;
	b->nonce_n = KEEPER_NONCE_SIZE;
	memset(b->nonce, p->nonce, sizeof b->nonce);
	b->ke_n = ke_size(q->u.CHILD_BEGIN.dh_group);
	memset(b->ke, 0x11, b->ke_n);
}

static void keeper(struct puppet *p, const struct keeper_request *q)
{
	struct keeper_reply r = { .op = q->op, .tag = q->tag };
	uint32_t rc = p->fail[q->op];

	p->count[q->op]++;
	/* `rc` is the first member of every reply. */
	memcpy(&r.u, &rc, sizeof rc);
	if (rc == RC_OK && q->op == KEEPER_EXCHANGE_BEGIN)
		begin_exchange(p, q, &r.u.EXCHANGE_BEGIN);
	else if (rc == RC_OK && q->op == KEEPER_EXCHANGE_FINISH)
		r.u.EXCHANGE_FINISH.sk_e.n = 36;
	else if (rc == RC_OK && q->op == KEEPER_EXCHANGE_ANSWER)
		answer_exchange(p, q, &r.u.EXCHANGE_ANSWER);
	else if (rc == RC_OK && q->op == KEEPER_ADDITIONAL_BEGIN)
		r.u.ADDITIONAL_BEGIN.ke_n = q->u.ADDITIONAL_BEGIN.message_n ? 1088 : 1184;
	else if (rc == RC_OK && q->op == KEEPER_ADDITIONAL_FINISH)
		r.u.ADDITIONAL_FINISH.sk_e.n = 36;
	else if (rc == RC_OK && q->op == KEEPER_CHILD_ADDITIONAL_BEGIN)
		r.u.CHILD_ADDITIONAL_BEGIN.ke_n = q->u.CHILD_ADDITIONAL_BEGIN.peer_ke_n ? 1088 : 1184;
	else if (rc == RC_OK && q->op == KEEPER_AUTH_SIGN)
		r.u.AUTH_SIGN.method = AUTH_SHARED_KEY, r.u.AUTH_SIGN.auth_n = 32;
	else if (rc == RC_OK && q->op == KEEPER_CHILD_BEGIN)
		begin_child(p, q, &r.u.CHILD_BEGIN);
	if (q->op == KEEPER_AUTH_SIGN)
		p->both_n[0] = q->u.AUTH_SIGN.other_n ? q->u.AUTH_SIGN.other_n + q->u.AUTH_SIGN.message_n : 0;
	if (q->op == KEEPER_AUTH_VERIFY)
		p->both_n[1] =
			q->u.AUTH_VERIFY.other_n ? q->u.AUTH_VERIFY.other_n + q->u.AUTH_VERIFY.message_n : 0;
	if (q->op == KEEPER_CHILD_INSTALL)
		p->last_install = q->u.CHILD_INSTALL;
	ike_input_keeper(p->core, p->now, &r);
}

void puppet_answer_keeper_at(struct puppet *p, uint32_t i)
{
	struct keeper_request q;

	if (i >= p->asked_n)
		return;
	q = p->asked[i];
	memmove(p->asked + i, p->asked + i + 1, (--p->asked_n - i) * sizeof *p->asked);
	keeper(p, &q);
	puppet_settle(p);
}

void puppet_answer_keeper(struct puppet *p)
{
	puppet_answer_keeper_at(p, 0);
}

/* ---- what the core wants ---- */

static void keep_datagram(struct puppet *p, const struct ike_action *a)
{
	struct puppet_datagram *d;

	if (p->sent_n == PUPPET_SENT_MAX || a->n > sizeof d->bytes)
		return;
	d = &p->sent[p->sent_n++];
	d->local = a->local;
	d->remote = a->remote;
	d->n = a->n;
	memcpy(d->bytes, a->bytes, a->n);
}

void puppet_settle(struct puppet *p)
{
	const struct ike_action *a;
	struct keeper_request q;
	uint64_t activated = 0;

	while ((a = ike_action_next(p->core)) != NULL) {
		switch (a->kind) {
		case IKE_SEND:
			keep_datagram(p, a);
			break;
		case IKE_KEEPALIVE:
			p->keepalives++;
			break;
		case IKE_ASK:
			q = *a->keeper;
			if (p->untaken_n > 0) {
				p->untaken_n--;
				ike_input_keeper_untaken(p->core, p->now, &q, p->untaken);
			} else if (p->hold && p->asked_n < PUPPET_ASKED_MAX)
				p->asked[p->asked_n++] = q;
			else
				keeper(p, &q);
			break;
		case IKE_CERTIFY:
			p->certify = *a->certify;
			p->certify_n++;
			break;
		case IKE_REFUSED:
			p->refusal = *a->refusal;
			p->refusals++;
			break;
		case IKE_ACTIVATE:
			p->activated++;
			p->last_activated = a->sa;
			activated = a->number;
			break;
		case IKE_RESOLVE:
			p->resolve_asked++;
			break;
		case IKE_REDIRECTED:
			p->redirected++;
			snprintf(p->last_redirected, sizeof p->last_redirected, "%s%s", a->redirected.to,
				a->redirected.authenticated ? "" : " (not authenticated)");
			break;
		case IKE_ENDPOINT:
			p->moved++;
			p->last_moved = a->endpoint;
			break;
		case IKE_PEER_MESSAGE:
			p->messages++;
			p->last_message = a->message.kind;
			p->last_word_n = MIN_OF(a->n, sizeof p->last_message_bytes);
			memcpy(p->last_message_bytes, a->bytes, p->last_word_n);
			snprintf(p->last_word_peer, sizeof p->last_word_peer, "%s", a->message.peer);
			break;
		case IKE_LOG:
			snprintf(p->last_log, sizeof p->last_log, "%s", a->log.text);
			break;
		}
	}
	if (activated == 0 || p->silent)
		return;
	ike_input_activated(p->core, p->now, activated);
	puppet_settle(p);
	if (ike_deadline(p->core) == p->now + IKE_FLIGHT_MS * NS_PER_MS)
		puppet_run(p, IKE_FLIGHT_MS); /* a message waits for what is on its way */
}

void puppet_run(struct puppet *p, uint32_t ms)
{
	mono_ns end = p->now + ms * NS_PER_MS, at;

	while (p->now < end) {
		at = ike_deadline(p->core);
		p->now = at == 0 || at > end ? end : MAX_OF(at, p->now + NS_PER_MS);
		ike_tick(p->core, p->now);
		puppet_settle(p);
	}
}

void puppet_forget(struct puppet *p)
{
	p->sent_n = 0;
}

void puppet_usage(struct puppet *p, uint32_t spi_in, uint32_t idle_in_ms)
{
	struct sa_usage u = { .spi_in = spi_in, .idle_in_ms = idle_in_ms, .idle_out_ms = UINT32_MAX };

	ike_input_usage(p->core, p->now, &u);
	puppet_settle(p);
}

void puppet_usage_from(struct puppet *p, uint32_t spi_in, uint32_t idle_in_ms, const struct endpoint *seen)
{
	struct sa_usage u = { .spi_in = spi_in,
		.idle_in_ms = idle_in_ms,
		.idle_out_ms = UINT32_MAX,
		.flags = SA_MOVED,
		.seen = *seen };

	ike_input_usage(p->core, p->now, &u);
	puppet_settle(p);
}

/* ---- speaking ---- */

struct aead_key puppet_key(void)
{
	static const uint8_t zero[AEAD_KEY_MAX];
	struct aead_key k;

	if (aead_key_init(&k, ENCR_AES_GCM_16, 256, zero, sizeof zero) != RC_OK)
		abort();
	return k;
}

static struct ike_header header(const struct puppet *p, uint8_t exchange, bool response, uint32_t id)
{
	struct ike_header h = { .version = 0x20, .exchange = exchange, .message_id = id };

	memcpy(h.spi_i, p->spi_i, 8);
	memcpy(h.spi_r, p->spi_r, 8);
	h.flags = (p->initiator ? IKE_FLAG_INITIATOR : 0) | (response ? IKE_FLAG_RESPONSE : 0);
	return h;
}

struct ike_out *puppet_begin(struct puppet *p, uint8_t exchange, bool response, uint32_t id)
{
	struct ike_header h = header(p, exchange, response, id);

	p->out = ike_out_begin(p->buffer, sizeof p->buffer, &h);
	if (exchange != EX_IKE_SA_INIT)
		ike_out_sk_begin(&p->out, AEAD_IV_SIZE);
	return &p->out;
}

struct ike_out *puppet_request(struct puppet *p, uint8_t exchange)
{
	return puppet_begin(p, exchange, false, p->own_id++);
}

struct ike_out *puppet_response(struct puppet *p)
{
	return puppet_begin(p, p->header.exchange, true, p->header.message_id);
}

size_t puppet_end(struct puppet *p)
{
	struct aead_key k = puppet_key();
	uint8_t *iv, *plain;
	size_t plain_n, n;

	if (!p->out.sk)
		return ike_out_end(&p->out);
	n = ike_out_sk_end(&p->out, AEAD_IV_SIZE, AEAD_ICV_SIZE, &iv, &plain, &plain_n);
	if (n == 0)
		return 0;
	store_be64(iv, ++p->iv);
	if (aead_seal(&k, iv, p->buffer, (size_t)(iv - p->buffer), plain, plain_n, plain) != RC_OK)
		return 0;
	return n;
}

void puppet_send_bytes(struct puppet *p, const void *bytes, size_t n)
{
	ike_input_datagram(p->core, p->now, &p->core_at, &p->at, bytes, n);
	puppet_settle(p);
}

void puppet_send(struct puppet *p)
{
	size_t n = puppet_end(p);

	assert(n > 0);
	puppet_send_bytes(p, p->buffer, n);
}

void puppet_send_plain(struct puppet *p, uint8_t exchange, bool response, uint32_t id, uint8_t first,
	const void *plain, size_t n)
{
	struct ike_header h = header(p, exchange, response, id);
	struct aead_key k = puppet_key();
	uint8_t bytes[IKE_MESSAGE_MAX];
	struct wr w;
	uint8_t *iv, *sealed;
	size_t total = IKE_HEADER_SIZE + IKE_PAYLOAD_HEADER_SIZE + AEAD_IV_SIZE + n + AEAD_ICV_SIZE;
	struct ike_out o = ike_out_begin(bytes, sizeof bytes, &h);

	if (total > sizeof bytes)
		return;
	bytes[16] = PL_SK;
	w = o.w;
	wr_u8(&w, first);
	wr_u8(&w, 0);
	wr_u16(&w, (uint16_t)(total - IKE_HEADER_SIZE));
	iv = wr_room(&w, AEAD_IV_SIZE);
	sealed = wr_room(&w, n + AEAD_ICV_SIZE);
	if (!iv || !sealed)
		return;
	store_be64(iv, ++p->iv);
	store_be32(bytes + 24, (uint32_t)total);
	if (n > 0)
		memcpy(sealed, plain, n);
	if (aead_seal(&k, iv, bytes, (size_t)(iv - bytes), sealed, n, sealed) == RC_OK)
		puppet_send_bytes(p, bytes, total);
}

/* Octet by octet as the figures of RFC 7296 3.1 and RFC 7383 2.5 show it, not by the core's writer. */
size_t puppet_seal_part(struct puppet *p, uint8_t *ret_bytes, size_t size, uint8_t exchange, bool response,
	uint32_t id, uint8_t first, uint16_t number, uint16_t total, const void *content, size_t n)
{
	enum { HEADS = IKE_HEADER_SIZE + 8 };
	struct aead_key k = puppet_key();
	struct ike_header h = header(p, exchange, response, id);
	uint8_t *b = ret_bytes, *plain = b + HEADS + AEAD_IV_SIZE;
	size_t length = HEADS + AEAD_IV_SIZE + n + 1 + AEAD_ICV_SIZE;

	if (length > size)
		return 0;
	ike_out_begin(b, size, &h);
	b[16] = PL_SKF;
	store_be32(b + 24, (uint32_t)length);
	b[28] = first;
	b[29] = 0;
	store_be16(b + 30, (uint16_t)(length - IKE_HEADER_SIZE));
	store_be16(b + 32, number);
	store_be16(b + 34, total);
	store_be64(b + HEADS, ++p->iv);
	if (n > 0)
		memcpy(plain, content, n);
	plain[n] = 0;
	return aead_seal(&k, b + HEADS, b, HEADS, plain, n + 1, plain) == RC_OK ? length : 0;
}

void puppet_offer_ike(struct puppet *p, const uint8_t *spi)
{
	struct ike_offer o = { 0 };

	ike_offer_add(&o, IKE_PROTO_IKE, spi, spi ? 8 : 0);
	ike_offer_add_transform(&o, TT_ENCR, ENCR_AES_GCM_16, 256);
	ike_offer_add_transform(&o, TT_PRF, PRF_HMAC_SHA2_256, 0);
	ike_offer_add_transform(&o, TT_DH, DH_CURVE25519, 0);
	if (p->additional)
		ike_offer_add_transform(&o, TT_ADDKE_FIRST, p->additional, 0);
	ike_out_offer(&p->out, &o);
}

void puppet_offer_esp(struct puppet *p, uint32_t spi, uint16_t dh)
{
	struct ike_offer o = { 0 };
	uint8_t bytes[4];

	store_be32(bytes, spi);
	ike_offer_add(&o, IKE_PROTO_ESP, bytes, 4);
	ike_offer_add_transform(&o, TT_ENCR, ENCR_AES_GCM_16, 256);
	if (dh != DH_NONE)
		ike_offer_add_transform(&o, TT_DH, dh, 0);
	if (dh != DH_NONE && p->child_additional)
		ike_offer_add_transform(&o, TT_ADDKE_FIRST, p->child_additional, 0);
	ike_offer_add_transform(&o, TT_ESN, 0, 0);
	ike_out_offer(&p->out, &o);
}

void puppet_ke(struct puppet *p, uint16_t group)
{
	uint8_t value[96];

	memset(value, 0x22, sizeof value);
	ike_out_ke(&p->out, group, value, ke_size(group));
}

void puppet_nonce(struct puppet *p, uint8_t value)
{
	uint8_t nonce[32];

	memset(nonce, value, sizeof nonce);
	ike_out_payload(&p->out, PL_NONCE, nonce, sizeof nonce);
}

static void nat_notify(struct puppet *p, uint16_t type, const struct endpoint *e, bool fits)
{
	uint8_t port[2], hash[20];
	struct prf_part parts[] = { { p->spi_i, 8 }, { p->spi_r, 8 }, { e->addr.b, addr_size(&e->addr) },
		{ port, 2 } };

	store_be16(port, e->port);
	sha1_run(parts, COUNT_OF(parts), hash);
	hash[0] ^= (uint8_t)!fits;
	ike_out_notify(&p->out, type, hash, sizeof hash);
}

void puppet_nat(struct puppet *p)
{
	if (!p->natted && !p->core_natted)
		return;
	nat_notify(p, NTF_NAT_DETECTION_SOURCE_IP, &p->at, !p->natted);
	nat_notify(p, NTF_NAT_DETECTION_DESTINATION_IP, &p->core_at, !p->core_natted);
}

static void offer_extensions(struct puppet *p)
{
	if (p->ppk)
		ike_out_notify(&p->out, NTF_USE_PPK, NULL, 0);
	if (p->redirect)
		ike_out_notify(&p->out, NTF_REDIRECT_SUPPORTED, NULL, 0);
	if (p->redirected_from) {
		uint8_t from[6] = { GATEWAY_IPV4, 4 };

		memcpy(from + 2, p->redirected_from, 4);
		ike_out_notify(&p->out, NTF_REDIRECTED_FROM, from, sizeof from);
	}
	if (p->additional)
		ike_out_notify(&p->out, NTF_INTERMEDIATE_EXCHANGE_SUPPORTED, NULL, 0);
	if (p->transcript)
		ike_out_notify(
			&p->out, NTF_IKE_SA_INIT_FULL_TRANSCRIPT_AUTH, "for later", p->padding > 0 ? 9 : 0);
	if (p->fragments)
		ike_out_notify(&p->out, NTF_IKEV2_FRAGMENTATION_SUPPORTED, NULL, 0);
	if (p->padding > 0)
		ike_out_payload(&p->out, PL_VENDOR, (const uint8_t[KEEPER_MESSAGE_MAX]){ 0 }, p->padding);
}

static void float_port(struct puppet *p)
{
	if (p->natted || p->core_natted)
		p->at.port = p->core_at.port = 4500;
}

void puppet_id(struct puppet *p, uint8_t type, const char *text)
{
	uint8_t body[4 + 512] = { ID_FQDN };
	size_t n = strlen(text);

	memcpy(body + 4, text, n);
	ike_out_payload(&p->out, type, body, 4 + n);
}

void puppet_selectors(struct puppet *p, uint32_t tunnel)
{
	ike_out_selectors(&p->out, PL_TSI, p->behind ? p->behind : &p->config.selectors[2 * tunnel + 1], 1);
	ike_out_selectors(&p->out, PL_TSR, &p->config.selectors[2 * tunnel], 1);
}

void puppet_selectors_back(struct puppet *p, uint32_t tunnel)
{
	ike_out_selectors(&p->out, PL_TSI, &p->config.selectors[2 * tunnel], 1);
	ike_out_selectors(&p->out, PL_TSR, p->behind ? p->behind : &p->config.selectors[2 * tunnel + 1], 1);
}

void puppet_auth_payloads(struct puppet *p, uint32_t spi)
{
	static const uint8_t auth[32];

	puppet_id(p, p->initiator ? PL_IDI : PL_IDR, p->id ? p->id : PUPPET_ID);
	ike_out_auth(&p->out, AUTH_SHARED_KEY, auth, sizeof auth);
	puppet_offer_esp(p, spi, DH_NONE);
	if (p->initiator)
		puppet_selectors(p, 0);
	else
		puppet_selectors_back(p, 0);
	if (p->vendor)
		ike_out_payload(&p->out, PL_VENDOR, p->vendor, strlen(p->vendor));
}

/* ---- listening ---- */

static bool open_sk(struct puppet *p, const uint8_t *bytes)
{
	struct aead_key k = puppet_key();
	struct rd sk = rd_over(p->payloads.sk.at, p->payloads.sk.n);
	uint8_t first = p->payloads.sk_first;
	const uint8_t *iv = rd_take(&sk, AEAD_IV_SIZE), *sealed;
	size_t n = rd_left(&sk);

	sealed = rd_take(&sk, n);
	if (!iv || !sealed || n < AEAD_ICV_SIZE + 1 ||
		aead_open(&k, iv, bytes, (size_t)(iv - bytes), sealed, n, p->read_bytes) != RC_OK)
		return false;
	return ike_payloads_read(&p->payloads, first, p->read_bytes, n - AEAD_ICV_SIZE - 1, true, NULL) ==
	       RC_OK;
}

bool puppet_read(struct puppet *p, uint32_t i)
{
	const struct puppet_datagram *d = &p->sent[i];

	if (i >= p->sent_n || ike_header_read(&p->header, d->bytes, d->n, NULL) != RC_OK ||
		ike_payloads_read(&p->payloads, p->header.next_payload, d->bytes + IKE_HEADER_SIZE,
			d->n - IKE_HEADER_SIZE, false, NULL) != RC_OK)
		return false;
	return p->header.exchange == EX_IKE_SA_INIT
		       ? !(p->payloads.present & IKE_HAS(SK))
		       : (p->payloads.present & IKE_HAS(SK)) && open_sk(p, d->bytes);
}

bool puppet_read_last(struct puppet *p)
{
	return p->sent_n > 0 && puppet_read(p, p->sent_n - 1);
}

bool puppet_says(struct puppet *p, uint16_t notify)
{
	return ike_notify_find(&p->payloads, notify);
}

struct ike_delete puppet_delete(const struct puppet *p)
{
	struct ike_walk at = ike_walk_over(&p->payloads);
	struct ike_delete d = { 0 };

	ike_delete_next(&at, &d);
	return d;
}

uint32_t puppet_deletes(const struct puppet *p)
{
	struct ike_walk at = ike_walk_over(&p->payloads);
	struct ike_delete d;
	uint32_t n = 0;

	while (ike_delete_next(&at, &d))
		n++;
	return n;
}

/* ---- whole stretches ---- */

bool puppet_init_as_initiator(struct puppet *p, bool with_cookie)
{
	uint8_t cookie[IKE_COOKIE_MAX];
	size_t cookie_n = 0;

	p->initiator = true;
	store_be64(p->spi_i, 0xabcdef00u + p->handles + 1);
	memset(p->spi_r, 0, 8);
	/* Of fresh cookies one is now and then taken for one that was served: then there is another. */
	for (int again = 0; again <= 2 * with_cookie; again++) {
		puppet_forget(p);
		puppet_begin(p, EX_IKE_SA_INIT, false, 0);
		if (cookie_n > 0)
			ike_out_notify(&p->out, NTF_COOKIE, cookie, cookie_n);
		puppet_offer_ike(p, NULL);
		puppet_ke(p, DH_CURVE25519);
		puppet_nonce(p, 0x50);
		puppet_nat(p);
		offer_extensions(p);
		puppet_send(p);
		if (!puppet_read_last(p))
			return false;
		if (p->payloads.present & IKE_HAS(KE))
			break;
		if (with_cookie && puppet_says(p, NTF_COOKIE)) {
			cookie_n = ike_notify_find(&p->payloads, NTF_COOKIE)->data.n;
			memcpy(cookie, ike_notify_find(&p->payloads, NTF_COOKIE)->data.at, cookie_n);
		}
	}
	memcpy(p->spi_r, p->header.spi_r, 8);
	p->own_id = 1;
	float_port(p);
	return p->payloads.present & IKE_HAS(KE);
}

bool puppet_init_as_responder(struct puppet *p)
{
	p->initiator = false;
	p->own_id = 0;
	if (!puppet_read_last(p) || p->header.exchange != EX_IKE_SA_INIT)
		return false;
	memcpy(p->spi_i, p->header.spi_i, 8);
	store_be64(p->spi_r, 0xfedcba0000000000u + p->handles);
	puppet_forget(p);
	puppet_response(p);
	puppet_offer_ike(p, NULL);
	puppet_ke(p, DH_CURVE25519);
	puppet_nonce(p, 0x50);
	puppet_nat(p);
	offer_extensions(p);
	puppet_send(p);
	float_port(p);
	return puppet_read_last(p) && p->header.exchange == EX_IKE_AUTH;
}

bool puppet_up(struct puppet *p, bool initiator)
{
	struct ike_child_view v;
	uint32_t cursor = 0;

	if (initiator) {
		if (!puppet_init_as_initiator(p, false))
			return false;
		puppet_request(p, EX_IKE_AUTH);
	} else {
		if (ike_input_order(p->core, p->now, IKE_ORDER_INITIATE, "t0", NULL) != RC_OK)
			return false;
		puppet_settle(p);
		if (!puppet_init_as_responder(p))
			return false;
		puppet_response(p);
	}
	puppet_auth_payloads(p, 0x2000);
	puppet_send(p);
	if (!ike_view_child(p->core, &cursor, &v) || v.spi_out != 0x2000)
		return false;
	p->child_in = v.spi_in;
	p->child_out = v.spi_out;
	puppet_forget(p);
	return true;
}

uint32_t puppet_ike_sas(const struct puppet *p)
{
	struct ike_sa_view v;
	uint32_t cursor = 0, n = 0;

	while (ike_view_sa(p->core, &cursor, &v))
		n++;
	return n;
}

uint32_t puppet_children(const struct puppet *p)
{
	struct ike_child_view v;
	uint32_t cursor = 0, n = 0;

	while (ike_view_child(p->core, &cursor, &v))
		n += !v.replaced;
	return n;
}

const char *puppet_state(const struct puppet *p, uint32_t i)
{
	static char row[4096], state[64];
	uint32_t cursor = 0;
	const char *at, *end;

	state[0] = '\0';
	do {
		if (ike_show(p->core, p->now, &cursor, row, sizeof row) == 0)
			return state;
	} while (i-- > 0);
	at = strstr(row, "\"state\":");
	at = at ? strchr(at + 8, '"') : NULL;
	end = at ? strchr(at + 1, '"') : NULL;
	if (end && (size_t)(end - at) <= sizeof state && strstr(row, "\"spi_i\""))
		snprintf(state, sizeof state, "%.*s", (int)(end - at - 1), at + 1);
	return state;
}
