/*
 * A page whose reference part is made by a program: the part between two marker lines is compared with what
 * is made now, or written anew. Used by config_reference.c and, for docs/cli.md, by cli_reference.c.
 */
#ifndef TESTS_MODEL_PAGE_H
#define TESTS_MODEL_PAGE_H

/*
 * argv: PROGRAM --check|--update FILE. Takes `made` over. Returns the exit status: 0 when the part is the
 * same, or was written.
 */
int page_main(int argc, char **argv, const char *begin_mark, char *made);

#define PAGE_END "<!-- end of the reference -->\n"

#endif
