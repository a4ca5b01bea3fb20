/*
 * Collectors of session records, and where measurements are served, in snapshot_check().
 */
#include "model/snapshot_check.h"

static bool endpoint_ok(const struct endpoint *x)
{
	return (x->addr.family == ADDR_V4 || x->addr.family == ADDR_V6) && x->port != 0 && x->scope == 0 &&
	       bytes_zero(x->addr.zero, sizeof x->addr.zero) &&
	       bytes_zero(x->addr.b + addr_size(&x->addr), sizeof x->addr.b - addr_size(&x->addr));
}

static const char *stream_fault(const struct snap_log_stream *x)
{
	static const struct endpoint none;
	bool key = !bytes_zero(x->server_key, sizeof x->server_key);
	bool tls = x->transport == STREAM_TLS;

	if (!name_ok(x->name, sizeof x->name))
		return "its name is empty or not terminated";
	if (x->transport == STREAM_JOURNAL)
		return memcmp(&x->to, &none, sizeof none) != 0 || x->format != 0 || key ||
				       x->server_name[0] || x->authorities[0]
			       ? "the journal has no address"
			       : NULL;
	if (!endpoint_ok(&x->to))
		return "not an address and a port";
	if (x->transport >= STREAM_TRANSPORT_COUNT || x->format >= STREAM_FORMAT_COUNT)
		return "an unknown transport or format";
	if (!memchr(x->server_name, '\0', sizeof x->server_name) ||
		!memchr(x->authorities, '\0', sizeof x->authorities) || strchr(x->authorities, '/'))
		return "a name is not terminated, or is not that of a file";
	return !tls && (key || x->server_name[0] || x->authorities[0]) ? "what only TLS has" : NULL;
}

enum rc snapshot_log_check(const struct snap_log *v, struct err *e)
{
	static const struct snap_log_stream none;

	if (v->count > LOG_STREAMS_MAX || v->zero)
		return err_add(e, RC_MALFORMED, "snapshot: the number of log streams is out of range");
	for (uint32_t i = 0; i < LOG_STREAMS_MAX; i++) {
		const char *what = i < v->count ? stream_fault(&v->stream[i])
				   : memcmp(&v->stream[i], &none, sizeof none) != 0 ? "stray bytes"
										    : NULL;
		if (what)
			return bad(e, "log stream", i, what);
	}
	return RC_OK;
}

enum rc snapshot_metrics_check(const struct snap_metrics *v, struct err *e)
{
	static const struct snap_metrics none;
	bool ok = v->on ? v->on == 1 && endpoint_ok(&v->listen) && v->rules <= METRICS_RULES_MAX
			: memcmp(v, &none, sizeof none) == 0;

	return ok ? RC_OK : err_add(e, RC_MALFORMED, "snapshot: malformed metrics");
}
