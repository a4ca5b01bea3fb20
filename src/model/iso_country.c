#include "model/iso_country.h"

#include "base/bytes.h"

#include <string.h>

/* clang-format off */
static const char assigned[] =
	"AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL "
	"BM BN BO BQ BR BS BT BV BW BY BZ CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV "
	"CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK FM FO FR GA GB GD "
	"GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM "
	"IN IO IQ IR IS IT JE JM JO JP KE KG KH KI KM KN KP KR KW KY KZ LA LB LC LI LK "
	"LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS MT MU MV MW "
	"MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR "
	"PS PT PW PY QA RE RO RS RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS "
	"ST SV SX SY SZ TC TD TF TG TH TJ TK TL TM TN TO TR TT TV TW TZ UA UG UM US UY "
	"UZ VA VC VE VG VI VN VU WF WS YE YT ZA ZM ZW";
/* clang-format on */

static const char beside[] = "AP EU XK";

/* Codes of the European Union's own, of the Internet's domains, and of what has another name today. */
static const char *const meant[][2] = { { "UK", "GB" }, { "EL", "GR" }, { "EN", "GB" }, { "JA", "JP" },
	{ "KO", "KR" }, { "SU", "RU" }, { "TP", "TL" }, { "YU", "RS" } };

static bool has(const char *codes, const char *code)
{
	for (const char *at = codes;; at += 3) {
		if (at[0] == code[0] && at[1] == code[1])
			return true;
		if (!at[2])
			return false;
	}
}

bool iso_country_is_assigned(const char *code)
{
	return strlen(code) == 2 && (has(assigned, code) || has(beside, code));
}

const char *iso_country_meant(const char *code)
{
	for (size_t i = 0; i < COUNT_OF(meant); i++)
		if (strcmp(meant[i][0], code) == 0)
			return meant[i][1];
	return NULL;
}
