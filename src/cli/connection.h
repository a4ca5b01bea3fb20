/* The TCP connection on which whoever runs this program sits, for `commit`: ssh, or any other. */
#ifndef CLI_CONNECTION_H
#define CLI_CONNECTION_H

#include "model/host_access.h"

/* Family ADDR_NONE in it when there is none, as at the console. */
void connection_find(struct host_connection *ret_connection);

#endif
