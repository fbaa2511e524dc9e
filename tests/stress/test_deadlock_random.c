/*
 * Threads that take holds in any order, over several small maps: what they do
 * must end in deadlocks again and again, and none may hang. Whoever is refused
 * releases all it holds and begins again with something else.
 *
 * The maps are full of accounts. A transaction takes some holds, of all kinds
 * and with and without deadlines, makes other calls under them, and moves money
 * between the accounts that it holds to write. No money is lost. Other keys
 * come and go meanwhile, so that shards are split and merged.
 */
#include "calls.h"
#include "numbers.h"
#include "random.h"
#include "settings.h"
#include "threads.h"

#include <sched.h>
#include <stdio.h>
#include <string.h>

#define ROUNDS        1000
#define MAPS          3
#define ACCOUNTS      UINT64_C(16)
#define MONEY         UINT64_C(1000) /* in each account at first */
#define OTHER_KEYS    UINT64_C(60)
#define TRANSACTIONS  3
#define HOLDS         5
#define PATIENCE_NS   UINT64_C(1000000)
/* A transaction that fails so often makes no progress. */
#define MOST_ATTEMPTS 100000

struct hold {
  struct cmap_read_guard read; /* one of them is not CMAP_INIT */
  struct cmap_write_guard write;
  struct cmap_entry entry;
  struct cmap_multi many;
};

struct round {
  struct cmap *maps[MAPS];
  size_t count; /* of maps */
  uint64_t number;
};

struct worker {
  struct round *round;
  struct random random;
  struct hold holds[HOLDS];
  size_t held;
  uint64_t *accounts[2 * HOLDS]; /* held to write */
  size_t writable;
};

static atomic_size_t deadlocks, timeouts, transactions;

static struct cmap *any_map(struct worker *w)
{
  return w->round->maps[random_below(&w->random, w->round->count)];
}

static void let_go(struct worker *w)
{
  for (size_t i = 0; i < HOLDS; i++) {
    cmap_multi_release(&w->holds[i].many);
    cmap_read_guard_release(&w->holds[i].read);
    cmap_entry_release(&w->holds[i].entry);
    cmap_write_guard_release(&w->holds[i].write);
  }
  w->held = w->writable = 0;
}

/* A third each: no limit, a deadline, a try. */
static const struct cmap_how *any_how(struct worker *w, struct cmap_how *how)
{
  switch (random_below(&w->random, 4)) {
  case 0:
    *how = cmap_how_within(random_below(&w->random, PATIENCE_NS));
    return how;
  case 1:
    if (!random_once_in(&w->random, 4))
      return NULL;
    *how = cmap_how_try();
    return how;
  default:
    return NULL;
  }
}

static enum cmap_status take_two(struct worker *w, struct hold *hold,
                                 const struct cmap_how *how)
{
  struct cmap_want wants[2];
  uint64_t ids[2];
  enum cmap_status status;
  bool write = random_once_in(&w->random, 2);

  for (int i = 0; i < 2; i++) {
    ids[i] = random_below(&w->random, ACCOUNTS);
    wants[i] = (struct cmap_want){any_map(w), cmap_key_u64(&ids[i]),
                                  write ? CMAP_WRITE : CMAP_READ, CMAP_OK};
  }
  status = cmap_lock_many(wants, 2, &hold->many, how);
  for (size_t i = 0; status == CMAP_OK && write && i < 2; i++)
    w->accounts[w->writable++] = cmap_multi_value(&hold->many, i);
  return status;
}

/* One more hold. */
static enum cmap_status take_one(struct worker *w)
{
  struct hold *hold = &w->holds[w->held];
  struct cmap *map = any_map(w);
  uint64_t id = random_below(&w->random, ACCOUNTS);
  struct cmap_key key = cmap_key_u64(&id);
  struct cmap_how given;
  const struct cmap_how *how = any_how(w, &given);
  enum cmap_status status;

  memset(hold, 0, sizeof *hold);
  switch (random_below(&w->random, 5)) {
  case 0:
    status = cmap_get_ref(map, key, &hold->read, how);
    break;
  case 1:
    status = cmap_entry_begin(map, key, &hold->entry, how);
    if (status == CMAP_OK)
      w->accounts[w->writable++] = hold->entry.value;
    break;
  case 2:
    status = take_two(w, hold, how);
    break;
  default:
    status = cmap_get_mut(map, key, &hold->write, how);
    if (status == CMAP_OK)
      w->accounts[w->writable++] = hold->write.value;
  }
  if (status == CMAP_OK)
    w->held++;
  return status;
}

static enum cmap_status see(struct cmap_key key, const void *value, void *ctx)
{
  (void)key, (void)value, (void)ctx;
  return CMAP_OK;
}

/* In the callback of alter: a call on another map, under its lock. */
static enum cmap_status call_on(struct cmap_key key, void *value, void *ctx)
{
  struct worker *w = ctx;
  uint64_t id = ACCOUNTS + random_below(&w->random, OTHER_KEYS);

  (void)key, (void)value;
  return cmap_insert(any_map(w), cmap_key_u64(&id), &id, NULL, NULL, NULL);
}

/* A call that holds nothing afterwards. */
static enum cmap_status other_call(struct worker *w)
{
  struct cmap *map = any_map(w);
  uint64_t account = random_below(&w->random, ACCOUNTS);
  uint64_t id = ACCOUNTS + random_below(&w->random, OTHER_KEYS);
  struct cmap_key key = cmap_key_u64(&id);
  struct cmap_how given;
  const struct cmap_how *how = any_how(w, &given);
  size_t len;
  bool equal;

  switch (random_below(&w->random, 10)) {
  case 0:
    return cmap_len_exact(map, &len, how);
  case 1:
    return cmap_equal(map, any_map(w), &equal, how);
  case 2:
    return cmap_view(map, cmap_key_u64(&account), see, NULL, how);
  case 3:
    return cmap_view_all(map, see, NULL, how);
  case 4:
    return cmap_alter(map, cmap_key_u64(&account), call_on, w, how);
  case 5:
    return cmap_shrink_to_fit(map, how);
  case 6:
  case 7:
    return cmap_remove(map, key, NULL, how);
  default:
    return cmap_insert(map, key, &id, NULL, NULL, how);
  }
}

static void move_money(struct worker *w)
{
  for (size_t i = 1; i < w->writable; i++) {
    uint64_t amount = random_below(&w->random, 50);
    *w->accounts[i - 1] -= amount; /* wraps, and so does the sum */
    *w->accounts[i] += amount;
  }
}

/* Has the attempt failed? Only for a reason that the header names. */
static bool is_refused(enum cmap_status status)
{
  if (status == CMAP_EDEADLK)
    atomic_fetch_add(&deadlocks, 1);
  else if (status == CMAP_TIMEDOUT)
    atomic_fetch_add(&timeouts, 1);
  else if (status != CMAP_BUSY)
    CHECK(status == CMAP_OK || status == CMAP_NOT_FOUND);
  return status != CMAP_OK && status != CMAP_NOT_FOUND;
}

static bool attempt(struct worker *w)
{
  size_t wanted = 1 + (size_t)random_below(&w->random, HOLDS);

  while (w->held < wanted) {
    if (is_refused(take_one(w)) ||
        (random_once_in(&w->random, 3) && is_refused(other_call(w))))
      return false;
    if (random_once_in(&w->random, 2))
      sched_yield(); /* so that others meet what is held */
  }
  move_money(w);
  return true;
}

static void work(unsigned index, void *ctx)
{
  struct worker w = {.round = ctx};

  random_begin(&w.random, w.round->number * THREADS_MAX + index);
  for (int done = 0; done < TRANSACTIONS && !checks_failed(); done++) {
    size_t attempts = 0;
    bool ok;
    do {
      ok = attempt(&w);
      let_go(&w);
      (void)is_refused(other_call(&w));
    } while (!ok && ++attempts < MOST_ATTEMPTS);
    CHECK(ok);
    atomic_fetch_add(&transactions, 1);
  }
}

static void check_money(const struct round *round)
{
  uint64_t sum = 0;

  for (size_t i = 0; i < round->count; i++) {
    for (uint64_t id = 0; id < ACCOUNTS; id++)
      sum += numbers_get(round->maps[i], id);
  }
  assert_true(sum == round->count * ACCOUNTS * MONEY);
}

static void run_round(struct round *round, struct random *random)
{
  round->count = 2 + (size_t)random_below(random, MAPS - 1);
  for (size_t i = 0; i < round->count; i++) {
    round->maps[i] = numbers_open_small();
    for (uint64_t id = 0; id < ACCOUNTS; id++)
      numbers_put(round->maps[i], id, MONEY);
  }
  threads_run(2 + (unsigned)random_below(random, 15), work, round);
  check_money(round);
  for (size_t i = 0; i < round->count; i++)
    cmap_destroy(round->maps[i]);
}

static void nobody_hangs(void **state)
{
  struct round round = {.number = 0};
  struct random random;
  struct soak soak;

  (void)state;
  random_begin(&random, 0);
  soak_begin(&soak, 1);
  do {
    for (size_t n = test_scale(ROUNDS); n > 0; n--) {
      round.number++;
      run_round(&round, &random);
    }
  } while (soak_again(&soak));
  printf("%zu transactions, %zu deadlocks, %zu timeouts\n",
         atomic_load(&transactions), atomic_load(&deadlocks),
         atomic_load(&timeouts));
  /* Else this was no test. */
  assert_true(atomic_load(&deadlocks) > 0);
  checks_assert();
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(nobody_hangs),
  };

  return cmocka_run_group_tests_name("deadlock_random", tests, NULL, NULL);
}
