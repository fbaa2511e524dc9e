/*
 * The head of each thread's list of holds.
 */
#include "sync/hold.h"

_Thread_local struct cmap__hold *cmap__holds
    __attribute__((tls_model("initial-exec")));
