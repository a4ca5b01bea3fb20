/*
 * The ledger's witnesses to records. Part of the compiler. Whether a key's id belongs to its key needs a
 * hash, and is checked by control before it takes the configuration (proc/control/commit.c).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/url.h"
#include "model/compile.h"

static uint32_t required_bit(const char *word)
{
	if (strcmp(word, "commit") == 0)
		return REQUIRED_COMMIT;
	return strcmp(word, "witnesses") == 0 ? REQUIRED_WITNESSES : REQUIRED_ACT;
}

/* What follows the second '+': the key. A name has no '+'. */
static const char *key_of(const char *vkey)
{
	const char *id = strchr(vkey, '+');

	return id ? id + sizeof "+01234567+" - 1 : vkey;
}

static enum rc server_key(
	struct compiler *c, const struct lyd_node *leaf, const struct url *u, struct snap_witness *ret)
{
	if (!u->tls)
		return tree_fault(c->faults, leaf, "server-key needs an https url, and this one is http");
	tree_hex(leaf, ret->server_key, sizeof ret->server_key);
	return RC_OK;
}

static enum rc by_url(struct compiler *c, const struct lyd_node *node, const struct lyd_node *leaf,
	struct snap_witness *ret)
{
	const struct lyd_node *key = tree_child(c->m, node, "server-key");
	struct err e = { 0 };
	struct url u;

	if (url_parse(&u, lyd_get_value(leaf), &e) != RC_OK)
		return tree_fault(c->faults, leaf, "%s", e.text);
	snprintf(ret->url, sizeof ret->url, "%s", lyd_get_value(leaf));
	return key ? server_key(c, key, &u, ret) : RC_OK;
}

/* By an address, through IKE, or by a name of the network. */
static enum rc reached(struct compiler *c, const struct lyd_node *node, struct snap_witness *ret)
{
	const struct lyd_node *address = tree_child(c->m, node, "address");
	const struct lyd_node *peer = tree_child(c->m, node, "peer");
	const struct lyd_node *url = tree_child(c->m, node, "url");
	const struct lyd_node *port = tree_child(c->m, node, "port");
	const struct lyd_node *key = tree_child(c->m, node, "server-key");

	if (!!address + !!peer + !!url != 1)
		return tree_fault(c->faults, node, "a witness has exactly one of: address, peer, url");
	if (!address && port && !(port->flags & LYD_DEFAULT))
		return tree_fault(c->faults, port, "port needs an address: the port of a url is part of it");
	if (url)
		return by_url(c, node, url, ret);
	if (key)
		return tree_fault(c->faults, key, "server-key needs a url");
	if (peer) {
		snprintf(ret->peer, sizeof ret->peer, "%s", lyd_get_value(peer));
		return RC_OK;
	}
	ret->at.port = (uint16_t)value_number(node, "port");
	return value_address(c, address, &ret->at.addr);
}

static enum rc cosign(struct compiler *c, const struct lyd_node *node)
{
	struct snap_evidence *v = &c->head.evidence;
	struct snap_cosign *w = &v->cosign[v->cosign_count];

	if (v->cosign_count == WITNESSES_MAX)
		return tree_fault(c->faults, node,
			"more than %d ledgers to cosign: at most that many are supported", WITNESSES_MAX);
	snprintf(w->name, sizeof w->name, "%s", tree_value(node, "name"));
	snprintf(w->peer, sizeof w->peer, "%s", tree_value(node, "peer"));
	snprintf(w->key, sizeof w->key, "%s", tree_value(node, "key"));
	for (uint32_t i = 0; i < v->cosign_count; i++)
		if (strcmp(v->cosign[i].peer, w->peer) == 0)
			return tree_fault(c->faults, tree_child(c->m, node, "peer"),
				"the ledger of peer '%s' is cosigned already, as '%s'", w->peer,
				v->cosign[i].name);
	v->cosign_count++;
	return RC_OK;
}

static enum rc witness(struct compiler *c, const struct lyd_node *node)
{
	struct snap_evidence *v = &c->head.evidence;
	struct snap_witness *w = &v->witness[v->count];
	enum rc rc;

	if (v->count == WITNESSES_MAX)
		return tree_fault(c->faults, node, "more than %d witnesses: at most that many are supported",
			WITNESSES_MAX);
	snprintf(w->name, sizeof w->name, "%s", tree_value(node, "name"));
	snprintf(w->key, sizeof w->key, "%s", tree_value(node, "key"));
	w->interval_s = (uint32_t)value_number(node, "interval");
	if ((rc = reached(c, node, w)))
		return rc;
	/* A name is not signed: two names of one key would be one witness that counts twice. */
	for (uint32_t i = 0; i < v->count; i++)
		if (strcmp(key_of(v->witness[i].key), key_of(w->key)) == 0)
			return tree_fault(c->faults, tree_child(c->m, node, "key"),
				"witness '%s' has this key already", v->witness[i].name);
	v->count++;
	return RC_OK;
}

static uint32_t quick_count(const struct snap_evidence *v)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < v->count; i++)
		n += v->witness[i].interval_s <= WITNESS_SLOW_S;
	return n;
}

enum rc compile_evidence(struct compiler *c)
{
	const struct lyd_node *evidence = tree_child(c->m, NULL, "evidence");
	const struct lyd_node *node = tree_child(c->m, evidence, "witness");
	const struct lyd_node *required = tree_child(c->m, evidence, "required");
	const struct lyd_node *quorum = tree_child(c->m, evidence, "quorum");
	struct snap_evidence *v = &c->head.evidence;
	enum rc rc = RC_OK;

	for (; node && compile_continues(c, rc); node = tree_next(node))
		rc = faults_join(rc, witness(c, node));
	for (node = tree_child(c->m, evidence, "cosign"); node && compile_continues(c, rc);
		node = tree_next(node))
		rc = faults_join(rc, cosign(c, node));
	if (rc)
		return rc;
	v->heartbeat_s = (uint32_t)value_number(evidence, "heartbeat");
	v->quorum = quorum ? (uint32_t)value_number(evidence, "quorum") : v->count;
	if (v->quorum > v->count)
		return tree_fault(c->faults, quorum, "quorum is %u, but the number of witnesses is %u",
			v->quorum, v->count);
	if (required && v->count == 0)
		return tree_fault(c->faults, required, "required needs at least one witness");
	if (required && quick_count(v) < v->quorum)
		return tree_fault(c->faults, required,
			"required with a quorum of %u depends on witnesses with an interval above %d s, which "
			"are not waited for: set quorum to %u at most",
			v->quorum, WITNESS_SLOW_S, quick_count(v));
	for (; required; required = tree_next(required))
		v->required |= required_bit(lyd_get_value(required));
	return RC_OK;
}
