/*
 * The process's secret, and what is made of it.
 */
#include "table/seed.h"

#include "base/atomics.h"
#include "base/random.h"

enum { UNKNOWN, BEING_SET, KNOWN };

static _Atomic uint32_t state; /* atomic, one of the above */
static struct cmap__hash_key
    secret;                    /* written while BEING_SET, read when KNOWN */
static _Atomic uint64_t seeds; /* atomic: how many were made of it */

bool cmap__seed_next(struct cmap__hash_key *seed)
{
  uint32_t unknown = UNKNOWN;
  uint64_t number[2];

  if (cmap__load_acquire(&state) != KNOWN) { /* from the release below */
    struct cmap__hash_key fresh;

    if (!cmap__random_bytes(&fresh, sizeof fresh))
      return false;
    if (!cmap__cas_strong_acquire(&state, &unknown, BEING_SET)) {
      *seed = fresh; /* another thread is at it: what we have will do */
      return true;
    }
    secret = fresh;
    cmap__store_release(&state, KNOWN);
  }
  /* Relaxed: only that no two are alike. */
  number[0] = cmap__add_relaxed(&seeds, 1);
  number[1] = 0;
  seed->k0 = cmap__hash_siphash13(&secret, number, sizeof number);
  number[1] = 1;
  seed->k1 = cmap__hash_siphash13(&secret, number, sizeof number);
  return true;
}

void cmap__seed_forget(void)
{
  cmap__store_relaxed(&state, UNKNOWN); /* nobody else is there */
}
