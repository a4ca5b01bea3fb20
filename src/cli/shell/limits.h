/* The shell's limits. */
#ifndef CLI_SHELL_LIMITS_H
#define CLI_SHELL_LIMITS_H

#define SHELL_LINE_MAX	  65536	 /* octets of a line */
#define SHELL_WORDS_MAX	  128	 /* of an operational command */
#define SHELL_PIPES_MAX	  8	 /* `|` in one line */
#define SHELL_HISTORY_MAX 500	 /* lines that are remembered */
#define SHELL_OFFERS_MAX  400	 /* completions of a word */
#define SHELL_LAST_MAX	  100000 /* lines of `| last` */
#define SHELL_COUNT_MAX	  100000 /* packets of ping */
#define SHELL_MONITOR_S	  2	 /* between two looks of monitor */
#define SHELL_WIDTH_MIN	  20	 /* a terminal that says that it has less columns has this many */

#define LOGIN_KEY_MAX 8192 /* octets of a key's or certificate's base64 */

#endif
