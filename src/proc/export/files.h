/* The files of the session log in their directory: which there are, and how one begins and ends. Callers: local.c. */
#ifndef PROC_EXPORT_FILES_H
#define PROC_EXPORT_FILES_H

#include "base/err.h"
#include "export/line.h"

/* The numbers of the oldest and the newest; both 0: there is none. */
enum rc log_files_list(int dir, uint32_t *ret_first, uint32_t *ret_last, struct err *e);
const char *log_file_name(char ret_name[SESSION_FILE_NAME_MAX], uint32_t number);
/* For appending. make: it must not exist. -1 and errno. */
int log_file_open(int dir, uint32_t number, bool make);

/* How far the chain has come at the end of the file, and its size up to the last whole line. RC_NOT_FOUND: no whole line.
 * RC_MALFORMED: that is not one of ours. */
enum rc log_file_end(int fd, struct export_chain *ret_chain, uint64_t *ret_bytes, struct err *e);
/* Of the file's first line. */
enum rc log_file_begin(int dir, uint32_t number, uint64_t *ret_line,
	char ret_log[2 * SESSION_LOG_ID_BYTES + 1], struct err *e);

#endif
