#include "model/certificates.h"

#include "base/bytes.h"
#include "model/vec.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char begins[] = "-----BEGIN ", ends[] = "-----END ", dashes[] = "-----";

struct adding {
	struct vec certificates, octets;
	char *text, *digits; /* CERTIFICATE_TEXT_MAX octets each */
};

/* A cursor over the lines of a text. */
struct lines {
	const char *at, *end;
};

static bool line_next(struct lines *l, const char **ret_line, size_t *ret_n)
{
	const char *feed;

	if (l->at == l->end)
		return false;
	*ret_line = l->at;
	feed = memchr(l->at, '\n', (size_t)(l->end - l->at));
	*ret_n = (size_t)((feed ? feed : l->end) - l->at);
	l->at = feed ? feed + 1 : l->end;
	while (*ret_n > 0 && ((*ret_line)[*ret_n - 1] == '\r' || (*ret_line)[*ret_n - 1] == ' '))
		(*ret_n)--;
	return true;
}

/* "-----BEGIN X-----": the X. */
static bool is_boundary(const char *line, size_t n, const char *word, const char **ret_label, size_t *ret_n)
{
	size_t word_n = strlen(word), dashes_n = sizeof dashes - 1;

	if (n < word_n + dashes_n || memcmp(line, word, word_n) != 0 ||
		memcmp(line + n - dashes_n, dashes, dashes_n) != 0)
		return false;
	*ret_label = line + word_n;
	*ret_n = n - word_n - dashes_n;
	return true;
}

static bool label_ends(const char *label, size_t n, const char *end)
{
	size_t end_n = strlen(end);

	return n >= end_n && memcmp(label + n - end_n, end, end_n) == 0;
}

static enum rc label_check(const char *label, size_t n, struct err *e)
{
	if (n == 11 && memcmp(label, "CERTIFICATE", 11) == 0)
		return RC_OK;
	if (label_ends(label, n, "PRIVATE KEY"))
		return err_add(e, RC_DENIED,
			"it holds a private key, which all processes would see: take it out of this file, put it into "
			"the directory of keys as NAME.pem, and replace it if others could read it here");
	if (label_ends(label, n, "CRL"))
		return err_add(
			e, RC_MALFORMED, "it holds a CRL, which belongs into a file of its own, NAME.crl");
	return err_add(e, RC_MALFORMED,
		"it holds '%.*s', expected certificates alone ('-----BEGIN CERTIFICATE-----')",
		(int)MIN_OF(n, (size_t)40), label);
}

/* The base64 up to the END line, without line feeds. */
static enum rc body_gather(struct lines *l, char *ret_digits, size_t *ret_n, struct err *e)
{
	const char *line, *label;
	size_t n, label_n;

	*ret_n = 0;
	while (line_next(l, &line, &n)) {
		if (is_boundary(line, n, ends, &label, &label_n) && label_n == 11 &&
			memcmp(label, "CERTIFICATE", 11) == 0)
			return RC_OK;
		memcpy(ret_digits + *ret_n, line, n); /* never more than the text has */
		*ret_n += n;
	}
	return err_add(e, RC_MALFORMED, "a certificate is cut off: expected '-----END CERTIFICATE-----'");
}

static enum rc certificate_add(struct adding *a, const char *digits, size_t digits_n, struct err *e)
{
	size_t max = digits_n / 4 * 3, n = 0;
	uint8_t *der = malloc(max + 1);
	struct snap_certificate *c = vec_add(&a->certificates);
	enum rc rc = RC_OK;

	if (!der || !c) {
		free(der);
		return err_add(e, RC_INTERNAL, "out of memory");
	}
	*c = (struct snap_certificate){ .first = (uint32_t)a->octets.n };
	if (!base64_to_bytes(der, max, &n, digits, digits_n) || n == 0)
		rc = err_add(e, RC_MALFORMED, "a certificate is not base64");
	else if (der[0] != 0x30 || n > CERTIFICATE_BYTES_MAX)
		rc = err_add(e, RC_MALFORMED,
			"what stands there as a certificate is not one, or longer than %u octets",
			CERTIFICATE_BYTES_MAX);
	c->n = (uint32_t)n;
	for (size_t at = 0; at < n && rc == RC_OK; at += 8) {
		struct snap_octets *o = vec_add(&a->octets);
		if (o)
			memcpy(o->at, der + at, MIN_OF(n - at, sizeof o->at));
		else
			rc = err_add(e, RC_INTERNAL, "out of memory");
	}
	free(der);
	return rc;
}

/* Text outside of BEGIN and END is passed over, as openssl's `-text` writes it. */
static enum rc text_take(struct adding *a, const char *text, size_t n, uint32_t *ret_count, struct err *e)
{
	struct lines l = { text, text + n };
	const char *line, *label;
	size_t line_n, label_n, digits_n;
	enum rc rc;

	while (line_next(&l, &line, &line_n)) {
		if (!is_boundary(line, line_n, begins, &label, &label_n))
			continue;
		if ((rc = label_check(label, label_n, e)) ||
			(rc = body_gather(&l, a->digits, &digits_n, e)) ||
			(rc = certificate_add(a, a->digits, digits_n, e)))
			return rc;
		++*ret_count;
	}
	if (*ret_count > 0)
		return RC_OK;
	return err_add(e, RC_MALFORMED,
		n > 0 && (uint8_t)text[0] == 0x30
			? "it is not PEM, and looks like DER: convert it by 'openssl x509 -inform der -in OLD -out NEW'"
			: "it holds no certificate: expected PEM ('-----BEGIN CERTIFICATE-----')");
}

static enum rc file_bounds(const struct adding *a, const struct span *of, uint32_t max, struct err *e)
{
	const struct snap_certificate *c = (const void *)a->certificates.at;
	uint64_t bytes = 0;

	for (uint32_t i = of->first; i < of->first + of->count; i++)
		bytes += c[i].n;
	if (of->count > max)
		return err_add(e, RC_LIMIT, "it has %u certificates; at most %u are allowed", of->count, max);
	if (bytes > CERTIFICATE_BYTES_MAX)
		return err_add(e, RC_LIMIT, "its certificates have %llu octets; at most %u are allowed",
			(unsigned long long)bytes, CERTIFICATE_BYTES_MAX);
	if (a->certificates.n > CERTIFICATES_MAX || a->octets.n > CERTIFICATE_PIECES_MAX)
		return err_add(e, RC_LIMIT,
			"all files together have more than %d certificates or %u octets of them",
			CERTIFICATES_MAX, CERTIFICATE_PIECES_MAX * 8);
	return RC_OK;
}

/* Of one file, and who needs it. */
static enum rc file_take(struct adding *a, const struct snapshot *s, uint32_t index,
	certificate_read_fn *read, void *context, struct span *ret_span, struct err *e)
{
	const char *name = snap_certificate_files(s)[index].name, *kind = "ca-profile", *whose = "";
	uint32_t max = CERTIFICATE_ANCHORS;
	size_t n = 0;
	enum rc rc;

	for (uint32_t i = 0; i < s->authorities.count; i++)
		if (snap_authorities(s)[i].file == index)
			whose = snap_authorities(s)[i].name;
	for (uint32_t i = 0; i < s->peers.count; i++)
		if (snap_peers(s)[i].certificate == index + 1) {
			kind = "peer";
			whose = snap_peers(s)[i].name;
			max = CERTIFICATE_CHAIN_MAX;
		}
	*ret_span = (struct span){ .first = (uint32_t)a->certificates.n };
	rc = read(context, name, a->text, &n, e);
	if (rc == RC_OK)
		rc = text_take(a, a->text, n, &ret_span->count, e);
	if (rc == RC_OK)
		rc = file_bounds(a, ret_span, max, e);
	if (rc != RC_OK)
		err_add(e, rc, "certificate file '%s' of %s '%s'", name, kind, whose);
	return rc;
}

static void take_back(struct adding *a, struct span *span, size_t certificates, size_t octets)
{
	a->certificates.n = certificates;
	a->octets.n = octets;
	*span = (struct span){ 0 };
}

static enum rc files_take(struct adding *a, const struct snapshot *s, certificate_read_fn *read,
	void *context, certificate_fault_fn *lenient, struct span *ret_spans, struct err *e)
{
	for (uint32_t i = 0; i < s->certificate_files.count; i++) {
		size_t certificates = a->certificates.n, octets = a->octets.n;
		struct err why = { 0 };
		enum rc rc = file_take(a, s, i, read, context, &ret_spans[i], lenient ? &why : e);
		if (rc != RC_OK && !lenient)
			return rc;
		if (rc != RC_OK) {
			lenient(context, why.text);
			take_back(a, &ret_spans[i], certificates, octets);
		}
	}
	return RC_OK;
}

/* The two arrays behind all else. */
static enum rc lay_out(
	void **block, size_t *bytes, const struct adding *a, const struct span *spans, struct err *e)
{
	size_t certificates_n = a->certificates.n * sizeof(struct snap_certificate),
	       octets_n = a->octets.n * sizeof(struct snap_octets), all = *bytes + certificates_n + octets_n;
	uint8_t *next = all > SNAPSHOT_BYTES_MAX ? NULL : malloc(all);
	struct snapshot *s = (void *)next;
	enum rc rc;

	_Static_assert(sizeof(struct snap_certificate) == 8, "the octets begin on 8 bytes");
	if (!next)
		return err_add(
			e, RC_LIMIT, "the configuration and its certificates need more memory than there is");
	memcpy(next, *block, *bytes);
	if (a->certificates.n) {
		memcpy(next + *bytes, a->certificates.at, certificates_n);
		memcpy(next + *bytes + certificates_n, a->octets.at, octets_n);
	}
	s->certificates = (struct span){ (uint32_t)*bytes, (uint32_t)a->certificates.n };
	s->certificate_octets = (struct span){ (uint32_t)(*bytes + certificates_n), (uint32_t)a->octets.n };
	s->bytes = (uint32_t)all;
	for (uint32_t i = 0; i < s->certificate_files.count; i++) {
		uint8_t *file = next + s->certificate_files.first + i * sizeof(struct snap_certificate_file);
		((struct snap_certificate_file *)(void *)file)->certificates = spans[i];
	}
	rc = snapshot_check(next, all, e);
	if (rc != RC_OK) {
		free(next);
		return err_add(e, rc, "after its certificates were added");
	}
	free(*block);
	*block = next;
	*bytes = all;
	return RC_OK;
}

static struct span *span_of(const struct snapshot *s, uint32_t trusted, struct span *spans)
{
	return &spans[snap_authorities(s)[snap_trusted(s)[trusted].authority].file];
}

/* In words what snapshot_check() would refuse. */
static enum rc anchors_bounded(const struct snapshot *s, void *context, certificate_fault_fn *lenient,
	struct span *spans, struct err *e)
{
	for (uint32_t i = 0; i < s->peers.count; i++) {
		const struct snap_peer *p = &snap_peers(s)[i];
		uint32_t n = 0, end = p->trusted.first + p->trusted.count;
		struct err why = { 0 };
		for (uint32_t k = p->trusted.first; k < end; k++)
			n += span_of(s, k, spans)->count;
		if (n <= CERTIFICATE_ANCHORS)
			continue;
		err_add(lenient ? &why : e, RC_LIMIT,
			"the authorities of peer '%s' have %u certificates together; at most %d are allowed",
			p->name, n, CERTIFICATE_ANCHORS);
		if (!lenient)
			return RC_LIMIT;
		lenient(context, why.text);
		for (uint32_t k = p->trusted.first; k < end; k++)
			span_of(s, k, spans)->count = 0;
	}
	return RC_OK;
}

enum rc certificates_add(void **block, size_t *bytes, certificate_read_fn *read, void *context,
	certificate_fault_fn *lenient, struct err *e)
{
	const struct snapshot *s = *block;
	uint32_t files = s->certificate_files.count;
	struct adding a = { .certificates.record = sizeof(struct snap_certificate),
		.octets.record = sizeof(struct snap_octets) };
	struct span *spans;
	enum rc rc;

	if (files == 0)
		return RC_OK;
	spans = calloc(files, sizeof *spans);
	a.text = malloc(CERTIFICATE_TEXT_MAX);
	a.digits = malloc(CERTIFICATE_TEXT_MAX);
	rc = spans && a.text && a.digits ? files_take(&a, s, read, context, lenient, spans, e)
					 : err_add(e, RC_INTERNAL, "out of memory");
	if (rc == RC_OK)
		rc = anchors_bounded(s, context, lenient, spans, e);
	if (rc == RC_OK)
		rc = lay_out(block, bytes, &a, spans, e);
	vec_done(&a.certificates);
	vec_done(&a.octets);
	free(spans);
	free(a.text);
	free(a.digits);
	return rc;
}
