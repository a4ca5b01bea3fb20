#include "export/flat.h"

#include "base/rd.h"

#include <string.h>

struct flat_reader {
	struct rd in;
	struct flat *row;
	size_t n; /* of row->text */
};

static void byte_put(struct flat_reader *r, uint8_t byte)
{
	if (r->n < FLAT_BYTES_MAX)
		r->row->text[r->n++] = (char)byte;
	else
		r->in.bad = true;
}

static const char *text_end(struct flat_reader *r, size_t from)
{
	byte_put(r, '\0');
	return r->row->text + from;
}

static uint8_t peek(const struct flat_reader *r)
{
	return rd_left(&r->in) > 0 ? r->in.at[0] : 0;
}

static void expect(struct flat_reader *r, char c)
{
	r->in.bad |= rd_u8(&r->in) != (uint8_t)c;
}

static uint32_t hex_digit(struct flat_reader *r)
{
	uint8_t c = rd_u8(&r->in);

	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10u;
	r->in.bad = true;
	return 0;
}

/* \u00NN: a control character, or an octet that is no UTF-8. As UTF-8; NUL, which would end the text, as a space. */
static void escape_read(struct flat_reader *r)
{
	static const char letters[] = "\"\"\\\\b\bt\tn\nf\fr\r";
	uint8_t c = rd_u8(&r->in);

	for (size_t i = 0; i < sizeof letters - 1; i += 2)
		if (c == (uint8_t)letters[i]) {
			byte_put(r, (uint8_t)letters[i + 1]);
			return;
		}
	uint32_t high = 0, code = 0;
	r->in.bad |= c != 'u';
	for (int i = 0; i < 2; i++)
		high = high << 4 | hex_digit(r);
	for (int i = 0; i < 2; i++)
		code = code << 4 | hex_digit(r);
	r->in.bad |= high != 0;
	if (code >= 0x80) {
		byte_put(r, (uint8_t)(0xc0 | code >> 6));
		code = 0x80 | (code & 0x3f);
	}
	byte_put(r, code == 0 ? ' ' : (uint8_t)code);
}

static const char *string_read(struct flat_reader *r)
{
	size_t from = r->n;

	expect(r, '"');
	while (!r->in.bad && peek(r) != '"') {
		uint8_t c = rd_u8(&r->in);
		if (c == '\\')
			escape_read(r);
		else if (c < 0x20)
			r->in.bad = true;
		else
			byte_put(r, c);
	}
	expect(r, '"');
	return text_end(r, from);
}

/* A number, true, false. */
static const char *word_read(struct flat_reader *r)
{
	size_t from = r->n;

	for (uint8_t c = peek(r); (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z'); c = peek(r))
		byte_put(r, rd_u8(&r->in));
	const char *text = text_end(r, from);
	bool number = text[0] >= '0' && text[0] <= '9';
	r->in.bad |= text[strspn(text, number ? "0123456789" : "abcdefghijklmnopqrstuvwxyz")] != '\0' ||
		     (!number && strcmp(text, "true") != 0 && strcmp(text, "false") != 0);
	return text;
}

/* Of texts; none of them is kept. */
static const char *list_read(struct flat_reader *r)
{
	size_t from = r->n;

	expect(r, '[');
	for (bool first = true; !r->in.bad && peek(r) != ']'; first = false) {
		if (!first)
			expect(r, ',');
		string_read(r);
		r->n = from;
	}
	expect(r, ']');
	return text_end(r, from);
}

static void number_of(struct flat_field *f)
{
	uint64_t sum = 0;
	const char *at = f->text;

	for (; *at >= '0' && *at <= '9'; at++)
		if (__builtin_mul_overflow(sum, 10, &sum) || __builtin_add_overflow(sum, *at - '0', &sum))
			return;
	f->is_number = at > f->text && *at == '\0';
	f->number = f->is_number ? sum : 0;
}

static void field_read(struct flat_reader *r)
{
	struct flat_field f = { .key = string_read(r) };

	expect(r, ':');
	f.text = peek(r) == '"' ? string_read(r) : peek(r) == '[' ? list_read(r) : word_read(r);
	if (r->row->n == FLAT_FIELDS_MAX)
		r->in.bad = true;
	if (r->in.bad)
		return;
	number_of(&f);
	r->row->field[r->row->n++] = f;
}

bool flat_read(struct flat *ret_row, const char *json, size_t n)
{
	struct flat_reader r = { .in = rd_over(json, n), .row = ret_row };

	ret_row->n = 0;
	expect(&r, '{');
	for (bool first = true; !r.in.bad && peek(&r) != '}'; first = false) {
		if (!first)
			expect(&r, ',');
		field_read(&r);
	}
	expect(&r, '}');
	if (r.in.bad || rd_left(&r.in) > 0)
		ret_row->n = 0;
	return !r.in.bad && rd_left(&r.in) == 0;
}

const struct flat_field *flat_find(const struct flat *row, const char *key)
{
	for (size_t i = 0; i < row->n; i++)
		if (strcmp(row->field[i].key, key) == 0)
			return &row->field[i];
	return NULL;
}
