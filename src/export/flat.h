/*
 * Reader of one row of `show`: a JSON object without objects in it, as base/json.h writes them. What is not one is refused as a
 * whole. Values are copied, so that the row may be in a message; a list has no value.
 */
#ifndef EXPORT_FLAT_H
#define EXPORT_FLAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FLAT_FIELDS_MAX 48
#define FLAT_BYTES_MAX	4096 /* of a row: ROW_MAX fits */

struct flat_field {
	const char *key, *text; /* of a number and of true and false: as they stand there */
	uint64_t number;
	bool is_number; /* also of a string of digits, as large numbers are written */
};

struct flat {
	struct flat_field field[FLAT_FIELDS_MAX];
	size_t n;
	char text[FLAT_BYTES_MAX + 1];
};

bool flat_read(struct flat *ret_row, const char *json, size_t n);
/* NULL: the row has no such key. */
const struct flat_field *flat_find(const struct flat *row, const char *key);

#endif
