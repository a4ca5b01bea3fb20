/* The interface stands in model/keeper_api.h: include that. This forwarding header is removed when nobody
 * uses it. */
#include "model/keeper_api.h"
