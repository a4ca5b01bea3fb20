/* The importer's parts, which each translate some sections of the tree, and what they share. */
#ifndef IMPORT_TRANSLATE_H
#define IMPORT_TRANSLATE_H

#include "base/addr.h"
#include "import/tree.h"

/* Text in the making: a section of the configuration. */
struct out {
	char *at;
	size_t n, size;
	unsigned depth;
};

/* clang-format off */
#define SECTIONS(S)	/* in the order of the text: id, its keyword, or "" where each statement brings its own */	\
	S(SYSTEM,       "system")	\
	S(SCREENS,      "screens")	\
	S(ZONES,        "zones")	\
	S(ADDRESSES,    "address-book")	\
	S(APPLICATIONS, "applications")	\
	S(SCHEDULERS,   "schedulers")	\
	S(POLICY,       "policy")	\
	S(NAT,          "nat")		\
	S(PKI,          "pki")		\
	S(IKE,          "ike")		\
	S(IPSEC,        "ipsec")
/* clang-format on */

enum section {
#define SECTION_ID(id, word) SECTION_##id,
	SECTIONS(SECTION_ID) SECTION_COUNT
#undef SECTION_ID
};

struct import {
	enum import_kind kind;
	struct tree tree;
	struct out sections[SECTION_COUNT], whole;
	struct out policy_nat;	 /* rules of source NAT that rules of policy asked for */
	const char *interfaces;	 /* how they are called here */
	struct node *names;	 /* of objects, by kind and name: so that no two have one */
	unsigned nested;	 /* sets that are being made */
	bool any_ipv4, any_ipv6; /* these addresses are used */
};

/* ---- text.c ---- */
void out_line(struct out *o, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void out_open(struct out *o, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void out_close(struct out *o);
/* Lines that were collected apart; and their end. */
void out_lines(struct out *o, const struct out *lines);
void out_free(struct out *o);
/* A comment of one line, whatever is in the text. */
void out_remark(struct out *o, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* A description's statement, if the node has one; what cannot stand in it is left out. */
void out_description(struct import *m, struct out *o, const struct node *n);

/* What became of the node, unless something worse is known already. */
void say(struct import *m, struct node *n, enum import_outcome o, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
/* It is translated: only of this end, not of what is below. */
void done(struct node *n);
/* The same of all below. */
void done_all(struct node *n);

/* The value of the statement `word` below n, the last one if it was said again; NULL: there is none. It is translated. */
const char *value(struct import *m, const struct node *n, const char *word);
/* Its node, not translated yet. */
struct node *value_node(const struct node *n, const char *word);
/* The switch `word`, which is translated. */
bool is_set(const struct node *n, const char *word);
/* Whether it, or what it stands in, was deactivated; says so. */
bool left_out(struct import *m, struct node *n);

/* A name that objects here may have, that no other one of this kind has. */
const char *object_name(struct import *m, const char *kind, const char *word);
/* The same without asking for others. */
const char *letters_of(struct import *m, const char *word, const char *also, size_t max);
/* How an interface is called here; NULL: there is no name of this length. */
const char *interface_name(struct import *m, const char *word);
bool is_number(const char *text, uint64_t from, uint64_t to);
/* A prefix whose host bits are zero, or an address, in the words of this text; NULL: it is neither. */
const char *prefix_of(struct import *m, const char *text);
const char *address_of(struct import *m, const char *text);
/* A name that DNS may have, and no address. */
bool is_domain(const char *text);
/* Two addresses of one family, the lower first. */
bool in_order(const char *first, const char *last);

/* ---- zones.c ---- */
void translate_system(struct import *m);
void translate_zones(struct import *m);
/* The zone of this name; NULL: there is none. Its `as` is its name here. */
struct node *zone_named(const struct import *m, const char *word);
/* The zone that has the interface; *ret_alone: it has no other one. */
struct node *zone_of_interface(const struct import *m, const char *interface, bool *ret_alone);

/* ---- objects.c ---- */
void translate_addresses(struct import *m);
/* What a name of the zone's address book is called here; NULL: nothing, with the reason in *ret_why. zone NULL: of the global one alone. */
const char *address_as(struct import *m, const struct node *zone, const char *word, const char **ret_why);
/* An address object for a prefix that a rule has by itself. NULL: it is no prefix. */
const char *address_for(struct import *m, const char *prefix);

/* ---- applications.c ---- */
void translate_applications(struct import *m);
const char *application_as(struct import *m, const char *word, const char **ret_why);
/* An application for a protocol (tcp, udp) and a port or range. */
const char *application_for(struct import *m, const char *protocol, const char *ports);

/* ---- the others ---- */
void translate_administrators(struct import *m);
void translate_screens(struct import *m);
void translate_policy(struct import *m);
void translate_nat(struct import *m);
void translate_vpn(struct import *m);
void translate_rest(struct import *m);

#endif
