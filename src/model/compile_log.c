/*
 * Collectors of session records to records, and where measurements are served. Part of the compiler.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/compile.h"

static const struct {
	const char *word;
	uint16_t port, ipfix_port; /* RFC 5425, RFC 3195, RFC 5426; RFC 7011 section 10.3.4 */
} transports[STREAM_TRANSPORT_COUNT] = {
	[STREAM_TLS] = { "tls", 6514, 4740 },
	[STREAM_TCP] = { "tcp", 601, 4739 },
	[STREAM_UDP] = { "udp", 514, 4739 },
	[STREAM_JOURNAL] = { "journal", 0, 0 },
};

static uint32_t transport_of(const char *word)
{
	uint32_t t = 0;

	while (t < STREAM_TRANSPORT_COUNT - 1 && strcmp(transports[t].word, word) != 0)
		t++;
	return t;
}

static enum rc stream_tls(struct compiler *c, const struct lyd_node *node, struct snap_log_stream *ret)
{
	static const char *const words[] = { "server-name", "server-key", "authorities" };
	const struct lyd_node *key = tree_child(c->m, node, "server-key");

	for (size_t i = 0; i < COUNT_OF(words) && ret->transport != STREAM_TLS; i++)
		if (tree_child(c->m, node, words[i]))
			return tree_fault(c->faults, tree_child(c->m, node, words[i]),
				"%s needs transport tls, and this one is %s", words[i],
				transports[ret->transport].word);
	if (key && tree_child(c->m, node, "authorities"))
		return tree_fault(c->faults, key,
			"server-key is given beside authorities: with a key only that key counts, remove one of them");
	if (tree_child(c->m, node, "server-name"))
		snprintf(ret->server_name, sizeof ret->server_name, "%s", tree_value(node, "server-name"));
	if (tree_child(c->m, node, "authorities"))
		snprintf(ret->authorities, sizeof ret->authorities, "%s", tree_value(node, "authorities"));
	if (key)
		tree_hex(key, ret->server_key, sizeof ret->server_key);
	return RC_OK;
}

/* It is on this machine, and has one format. */
static enum rc journal(struct compiler *c, const struct lyd_node *node)
{
	static const char *const words[] = { "host", "port", "server-name", "server-key", "authorities" };

	for (size_t i = 0; i < COUNT_OF(words); i++)
		if (tree_child(c->m, node, words[i]))
			return tree_fault(c->faults, tree_child(c->m, node, words[i]),
				"%s is not for transport journal, which is on this machine", words[i]);
	return strcmp(tree_value(node, "format"), "ipfix") == 0
		       ? tree_fault(c->faults, tree_child(c->m, node, "format"),
				 "ipfix is not for transport journal, which has a format of its own: remove format")
		       : RC_OK;
}

static enum rc stream(struct compiler *c, const struct lyd_node *node)
{
	struct snap_log *v = &c->head.log;
	struct snap_log_stream *x = &v->stream[v->count];
	enum rc rc;

	if (v->count == LOG_STREAMS_MAX)
		return tree_fault(c->faults, node, "more than %d streams: at most that many are supported",
			LOG_STREAMS_MAX);
	snprintf(x->name, sizeof x->name, "%s", tree_value(node, "name"));
	x->transport = transport_of(tree_value(node, "transport"));
	if (x->transport == STREAM_JOURNAL) {
		if ((rc = journal(c, node)))
			memset(x, 0, sizeof *x);
		else
			v->count++;
		return rc;
	}
	if (!tree_child(c->m, node, "host"))
		return tree_fault(c->faults, node, "host is missing: the address of the collector");
	x->to.port = (uint16_t)value_number(node, "port");
	x->format = strcmp(tree_value(node, "format"), "ipfix") == 0 ? STREAM_IPFIX : STREAM_RFC5424;
	if (x->to.port == 0)
		x->to.port = x->format == STREAM_IPFIX ? transports[x->transport].ipfix_port
						       : transports[x->transport].port;
	if ((rc = value_address(c, tree_child(c->m, node, "host"), &x->to.addr)) ||
		(rc = stream_tls(c, node, x))) {
		memset(x, 0, sizeof *x);
		return rc;
	}
	v->count++;
	return RC_OK;
}

enum rc compile_log(struct compiler *c)
{
	const struct lyd_node *node = tree_child(c->m, tree_child(c->m, NULL, "log"), "stream");
	enum rc rc = RC_OK;

	for (; node && compile_continues(c, rc); node = tree_next(node))
		rc = faults_join(rc, stream(c, node));
	return rc;
}

enum rc compile_metrics(struct compiler *c)
{
	const struct lyd_node *node = tree_child(c->m, tree_child(c->m, NULL, "system"), "metrics");
	struct snap_metrics *v = &c->head.metrics;
	enum rc rc;

	if (!node)
		return RC_OK;
	if ((rc = value_address(c, tree_child(c->m, node, "listen"), &v->listen.addr)))
		return rc;
	if (value_is_no_host(&v->listen.addr))
		return tree_fault(c->faults, tree_child(c->m, node, "listen"),
			"%s is not an address that the gateway can have", tree_value(node, "listen"));
	v->listen.port = (uint16_t)value_number(node, "port");
	if (v->listen.port >= c->head.nat_port_first && v->listen.port <= c->head.nat_port_last)
		return tree_fault(c->faults, tree_child(c->m, node, "port"),
			"port %u is among nat-ports, which source NAT uses: expected another one",
			v->listen.port);
	v->rules = (uint32_t)value_number(node, "rules");
	v->on = 1;
	return RC_OK;
}
