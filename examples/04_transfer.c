/*
 * Two accounts are changed together: lock_many holds both. Guards inside one
 * another are refused with CMAP_EDEADLK (or, with CMAP_TRY, CMAP_BUSY) now and
 * then, and must be let go and taken again.
 *
 *     04_transfer [TRANSFERS]
 *
 * Eight threads make 1,000,000 (or TRANSFERS) random transfers between 64
 * accounts, in three ways. Prints for each way what the accounts hold together,
 * which must not change, and what it met:
 *     lock_many total=64000 expected=64000 missing=64 to_itself=ok
 *     nested total=64000 expected=64000 ... edeadlk=... retried=... gave_up=...
 *     back_off total=64000 expected=64000 ... busy=... retried=... gave_up=...
 */
#include <cmap.h>
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

enum { THREADS = 8, ACCOUNTS = 64, OPENING = 1000, TRIES = 3 };

CMAP_DEFINE(bank, CMAP_U32, int64_t); /* cents by account number */

struct transfer {
  uint32_t from;
  uint32_t to;
  int64_t cents;
  uint32_t missing; /* out, with CMAP_NOT_FOUND: the account that is absent */
};

/* How often a way of doing it was told to let go, and what it did then. */
struct refusals {
  unsigned long refused; /* CMAP_EDEADLK, or CMAP_BUSY */
  unsigned long retried; /* began again */
  unsigned long gave_up; /* went to lock_many instead */
};

typedef enum cmap_status transfer_fn(struct bank bank, struct transfer *t,
                                     struct refusals *met);

static void must(enum cmap_status status)
{
  if (status == CMAP_OK)
    return;
  fprintf(stderr, "%s\n", cmap_status_text(status));
  exit(1);
}

/* ------------------------------------------------------------------------
 * lock_many
 * ------------------------------------------------------------------------ */

/* RIGHT. Both accounts are held to write from cmap_lock_many to the closing
   brace; if it fails, none is. That they are one and the same is no problem. */
static enum cmap_status by_lock_many(struct bank bank, struct transfer *t,
                                     struct refusals *met)
{
  struct cmap_want wants[2] = {bank_want(bank, &t->from, CMAP_WRITE),
                               bank_want(bank, &t->to, CMAP_WRITE)};
  CMAP_AUTO(cmap_multi, held);
  enum cmap_status status = cmap_lock_many(wants, 2, &held, NULL);

  (void)met;
  if (status == CMAP_NOT_FOUND)
    t->missing = wants[0].status == CMAP_NOT_FOUND ? t->from : t->to;
  if (status == CMAP_OK) {
    *bank_multi_value(&held, 0) -= t->cents;
    *bank_multi_value(&held, 1) += t->cents;
  }
  return status;
}

/* ------------------------------------------------------------------------
 * Guards inside one another
 * ------------------------------------------------------------------------ */

/*
 * One attempt: a guard, and inside it a second one, which is waited for as
 * `how` says. However it ends, both are released at the closing brace.
 *
 * While the first is held, the second may be refused for two reasons. Another
 * thread holds it and waits for the first: that passes. Or both accounts lie in
 * the same shard, which this very thread has locked (so it is always when they
 * are the same account): then it will be refused the next time, too.
 */
static enum cmap_status attempt(struct bank bank, struct transfer *t,
                                const struct cmap_how *how)
{
  CMAP_AUTO(bank_write_guard, payer);
  CMAP_AUTO(bank_write_guard, payee);
  enum cmap_status status = bank_get_mut(bank, t->from, &payer, NULL);

  t->missing = t->from;
  if (status != CMAP_OK)
    return status;
  status = bank_get_mut(bank, t->to, &payee, how);
  t->missing = t->to;
  if (status != CMAP_OK)
    return status;
  *payer.value -= t->cents;
  *payee.value += t->cents;
  return CMAP_OK;
}

/* The last resort, with nothing held. Others may still hold one account in a
   guard and wait for the second: then this call can be the one refused. */
static enum cmap_status give_up(struct bank bank, struct transfer *t,
                                struct refusals *met)
{
  enum cmap_status status = by_lock_many(bank, t, met);

  met->gave_up++;
  while (status == CMAP_EDEADLK) {
    met->refused++;
    met->retried++;
    status = by_lock_many(bank, t, met);
  }
  return status;
}

/* NAIVE. Waits for the second account; refused where that would never end. */
static enum cmap_status by_nested_guards(struct bank bank, struct transfer *t,
                                         struct refusals *met)
{
  enum cmap_status status = attempt(bank, t, NULL);

  for (int tries = 1; status == CMAP_EDEADLK; tries++) {
    met->refused++;
    if (tries == TRIES)
      return give_up(bank, t, met);
    met->retried++;
    status = attempt(bank, t, NULL);
  }
  return status;
}

/* Never waits for anything while it holds something: no circle can close. */
static enum cmap_status by_backing_off(struct bank bank, struct transfer *t,
                                       struct refusals *met)
{
  const struct cmap_how try = cmap_how_try();
  enum cmap_status status = attempt(bank, t, &try);

  for (int tries = 1; status == CMAP_BUSY; tries++) {
    met->refused++;
    if (tries == TRIES)
      return give_up(bank, t, met);
    met->retried++;
    sched_yield(); /* nothing is held: let the others finish */
    status = attempt(bank, t, &try);
  }
  return status;
}

/* ------------------------------------------------------------------------
 * The threads, and the outcome
 * ------------------------------------------------------------------------ */

struct clerk {
  pthread_t thread;
  struct bank bank;
  transfer_fn *transfer;
  unsigned long transfers;
  uint64_t random; /* not 0 */
  struct refusals met;
};

/* 0 to n - 1. Marsaglia's xorshift. */
static uint32_t random_below(struct clerk *clerk, uint32_t n)
{
  clerk->random ^= clerk->random << 13;
  clerk->random ^= clerk->random >> 7;
  clerk->random ^= clerk->random << 17;
  return (uint32_t)(clerk->random >> 32) % n;
}

static void *clerk_run(void *arg)
{
  struct clerk *clerk = arg;

  for (unsigned long i = 0; i < clerk->transfers; i++) {
    struct transfer t = {.from = random_below(clerk, ACCOUNTS),
                         .to = random_below(clerk, ACCOUNTS),
                         .cents = random_below(clerk, 100)};
    must(clerk->transfer(clerk->bank, &t, &clerk->met));
  }
  return NULL;
}

/* All transfers, divided among the threads. */
static struct refusals run_clerks(struct bank bank, transfer_fn *transfer,
                                  unsigned long transfers)
{
  struct clerk clerks[THREADS];
  struct refusals all = {0, 0, 0};

  for (unsigned i = 0; i < THREADS; i++) {
    clerks[i] = (struct clerk){.bank = bank,
                               .transfer = transfer,
                               .transfers = transfers / THREADS +
                                            (i < transfers % THREADS),
                               .random = 0x9e3779b97f4a7c15u * (i + 1)};
    if (pthread_create(&clerks[i].thread, NULL, clerk_run, &clerks[i]) != 0)
      exit(1);
  }
  for (unsigned i = 0; i < THREADS; i++) {
    pthread_join(clerks[i].thread, NULL);
    all.refused += clerks[i].met.refused;
    all.retried += clerks[i].met.retried;
    all.gave_up += clerks[i].met.gave_up;
  }
  return all;
}

/* The account that a transfer between them misses; ACCOUNTS + 9 if none. */
static uint32_t missing_of(struct bank bank, transfer_fn *transfer,
                           uint32_t from, uint32_t to)
{
  struct transfer t = {.from = from, .to = to, .cents = 5};
  struct refusals met = {0, 0, 0};
  enum cmap_status status = transfer(bank, &t, &met);

  if (status == CMAP_NOT_FOUND)
    return t.missing;
  must(status);
  return ACCOUNTS + 9;
}

static bool to_itself(struct bank bank, transfer_fn *transfer,
                      struct refusals *met)
{
  struct transfer t = {.from = 7, .to = 7, .cents = 5};
  int64_t before = 0, after = -1;

  must(bank_find(bank, 7, &before));
  must(transfer(bank, &t, met));
  must(bank_find(bank, 7, &after));
  return before == after;
}

/* Runs one way of doing it, and prints its line. Was it right? `refusal` is
   NULL for a way that must meet none. */
static bool show(const char *name, transfer_fn *transfer,
                 unsigned long transfers, const char *refusal)
{
  struct cmap_options options = CMAP_INIT;
  struct bank bank = CMAP_INIT;
  struct refusals met;
  const int64_t expected = (int64_t)ACCOUNTS * OPENING;
  int64_t total = 0;
  uint32_t missing;
  bool itself;

  options.size = sizeof options;
  options.capacity = 10000; /* room for more: 64 alone would share one shard */
  must(bank_create(&options, &bank));
  for (uint32_t i = 0; i < ACCOUNTS; i++)
    must(bank_insert_new(bank, i, OPENING, NULL, NULL));
  met = run_clerks(bank, transfer, transfers);
  missing = missing_of(bank, transfer, 3, ACCOUNTS);
  if (missing_of(bank, transfer, ACCOUNTS, 3) != missing)
    missing = 0;
  itself = to_itself(bank, transfer, &met);
  for (uint32_t i = 0; i < ACCOUNTS; i++) {
    int64_t cents = 0;
    must(bank_find(bank, i, &cents));
    total += cents;
  }
  bank_destroy(bank);

  printf("%s total=%" PRId64 " expected=%" PRId64 " missing=%" PRIu32
         " to_itself=%s",
         name, total, expected, missing, itself ? "ok" : "wrong");
  if (refusal != NULL)
    printf(" %s=%lu retried=%lu gave_up=%lu", refusal, met.refused, met.retried,
           met.gave_up);
  putchar('\n');
  return total == expected && missing == ACCOUNTS && itself &&
         (refusal != NULL) == (met.refused > 0);
}

int main(int argc, char **argv)
{
  unsigned long transfers = argc > 1 ? strtoul(argv[1], NULL, 10) : 1000000;
  bool right = transfers > 0;

  right &= show("lock_many", by_lock_many, transfers, NULL);
  right &= show("nested", by_nested_guards, transfers, "edeadlk");
  right &= show("back_off", by_backing_off, transfers, "busy");
  return right ? 0 : 1;
}
