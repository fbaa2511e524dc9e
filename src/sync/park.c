/*
 * What both ways of parking have in common.
 */
#include "sync/park.h"

void (*cmap__park_begins)(void);
