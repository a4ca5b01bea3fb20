/* The files of the session log: what export writes and verify reads. */
#ifndef MODEL_SESSION_LOG_H
#define MODEL_SESSION_LOG_H

#define SESSION_LINE_MAX     4096u /* of a line, with its line feed; names of the configuration have 63 octets */
#define SESSION_LOG_ID_BYTES 16

/* Files are numbered from 1 as they begin; the highest is being written. */
#define SESSION_FILE_PREFIX   "sessions-"
#define SESSION_FILE_ENDING   ".log"
#define SESSION_FILE_DIGITS   10
#define SESSION_FILE_NAME_MAX (sizeof SESSION_FILE_PREFIX + SESSION_FILE_DIGITS + sizeof SESSION_FILE_ENDING)

#define SESSION_FILE_BYTES_MAX (64u << 20) /* a file that is larger is followed by another */
#define SESSION_FILES_MAX      16	   /* the oldest is deleted beyond that */

#endif
