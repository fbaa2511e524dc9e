/*
 * Several fields that belong together are changed under one guard. Two entry
 * calls in a row, each right by itself, show others the state between them.
 *
 * A teller withdraws money; who overdraws pays a fee. In the middle of every
 * withdrawal an auditor, another thread, looks at the account. Prints how often
 * it saw an overdraft without its fee:
 *     two_entries seen_between=N get_mut seen_between=0
 */
#include <cmap.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>

enum { OPENING = 500, AMOUNT = 10, FEE = 3, WITHDRAWALS = 100 };

struct account {
  int64_t balance;
  int64_t fees;         /* paid so far, FEE for each overdraft */
  int32_t overdrafts;   /* withdrawals that ended below zero */
  int32_t transactions; /* withdrawals */
};

CMAP_DEFINE(bank, CMAP_STRING, struct account);

static struct bank bank;
static sem_t look, looked; /* the teller posts the first, the auditor both */
static bool closed;        /* written before the last `look` */
static int seen_between;   /* the auditor's */

static void must(enum cmap_status status)
{
  if (status == CMAP_OK)
    return;
  fprintf(stderr, "%s\n", cmap_status_text(status));
  exit(1);
}

static void wait_for(sem_t *semaphore)
{
  while (sem_wait(semaphore) != 0)
    ; /* a signal came */
}

static bool is_settled(const struct account *a)
{
  return a->fees == (int64_t)FEE * a->overdrafts &&
         a->balance == OPENING - (int64_t)AMOUNT * a->transactions - a->fees;
}

/* Does not wait: the teller, who may hold the account, waits for this. */
static void *audit(void *unused)
{
  const struct cmap_how try = cmap_how_try();

  for (wait_for(&look); !closed; wait_for(&look)) {
    struct account account;
    enum cmap_status status = bank_get(bank, "ada", &account, &try);

    if (status == CMAP_OK)
      seen_between += !is_settled(&account);
    else if (status !=
             CMAP_BUSY) /* busy: it is held, there is nothing to see */
      must(status);
    sem_post(&looked);
  }
  return unused;
}

static void let_the_auditor_look(void)
{
  sem_post(&look);
  wait_for(&looked);
}

static enum cmap_status withdraw(const char *owner, struct account *a,
                                 void *ctx)
{
  (void)owner;
  (void)ctx;
  a->balance -= AMOUNT;
  a->transactions++;
  a->overdrafts += a->balance < 0;
  return CMAP_OK;
}

static enum cmap_status charge(const char *owner, struct account *a, void *ctx)
{
  (void)owner;
  (void)ctx;
  if (a->balance < 0) {
    a->balance -= FEE;
    a->fees += FEE;
  }
  return CMAP_OK;
}

/* One chain on the entry. The write lock is held inside, and only there. */
static void change_by_entry(bank_value_fn *change)
{
  const struct account opening = {.balance = OPENING};
  CMAP_AUTO(bank_entry, entry);

  must(bank_entry_begin(bank, "ada", &entry, NULL));
  must(bank_entry_or_insert(bank_entry_and_modify(&entry, change, NULL),
                            opening));
}

/* WRONG: between the two chains nothing is locked. */
static void withdraw_by_two_entries(void)
{
  change_by_entry(withdraw);
  let_the_auditor_look();
  change_by_entry(charge);
}

/* RIGHT: the write lock is held from get_mut to the closing brace. */
static void withdraw_by_get_mut(void)
{
  CMAP_AUTO(bank_write_guard, guard);

  must(bank_get_mut(bank, "ada", &guard, NULL));
  must(withdraw(guard.key, guard.value, NULL));
  let_the_auditor_look();
  must(charge(guard.key, guard.value, NULL));
}

/* How often the auditor saw a state between. */
static int audited(void (*withdraw_once)(void))
{
  struct account account = {.balance = OPENING};
  pthread_t auditor;

  closed = false;
  seen_between = 0;
  must(bank_create(NULL, &bank));
  must(bank_put(bank, "ada", account));
  if (pthread_create(&auditor, NULL, audit, NULL) != 0)
    exit(1);
  for (int i = 0; i < WITHDRAWALS; i++)
    withdraw_once();
  closed = true;
  sem_post(&look);
  pthread_join(auditor, NULL);
  must(bank_find(bank, "ada", &account));
  if (!is_settled(&account) || account.transactions != WITHDRAWALS)
    exit(1);
  bank_destroy(bank);
  return seen_between;
}

int main(void)
{
  int two_entries, get_mut;

  if (sem_init(&look, 0, 0) != 0 || sem_init(&looked, 0, 0) != 0)
    return 1;
  two_entries = audited(withdraw_by_two_entries);
  get_mut = audited(withdraw_by_get_mut);
  printf("two_entries seen_between=%d get_mut seen_between=%d\n", two_entries,
         get_mut);
  return two_entries > 0 && get_mut == 0 ? 0 : 1;
}
