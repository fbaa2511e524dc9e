/*
 * Snapshots under load: money moves between accounts, which are renamed and
 * exchanged as well, while other keys come and go and shards split and merge.
 * Every snapshot has all accounts, and the whole sum.
 */
#include "random.h"
#include "settings.h"
#include "threads.h"

#include <string.h>

enum { ACCOUNTS = 400, NAMES = 2 * ACCOUNTS, MOVERS = 2, OTHERS = 20000 };
#define MONEY      UINT64_C(1000)
#define OTHER_BASE (UINT64_C(1) << 32)

static struct cmap *bank;
static atomic_bool stop;

static void move(struct random *random)
{
  uint64_t from = random_below(random, NAMES), to = random_below(random, NAMES);
  struct cmap_want wants[2] = {{bank, cmap_key_u64(&from), CMAP_WRITE, CMAP_OK},
                               {bank, cmap_key_u64(&to), CMAP_WRITE, CMAP_OK}};
  CMAP_SCOPED(cmap_multi) held = CMAP_INIT;
  enum cmap_status status = cmap_lock_many(wants, 2, &held, NULL);
  uint64_t *a, *b, amount;

  CHECK(status == CMAP_OK || status == CMAP_NOT_FOUND);
  if (status != CMAP_OK)
    return;
  a = cmap_multi_value(&held, 0);
  b = cmap_multi_value(&held, 1);
  amount = random_below(random, *a + 1);
  *a -= amount;
  *b += amount;
}

static void move_on(unsigned index, void *ctx)
{
  struct random random;

  (void)ctx;
  random_begin(&random, index);
  while (!atomic_load(&stop)) {
    uint64_t a = random_below(&random, NAMES), b = random_below(&random, NAMES);
    switch (random_below(&random, 4)) {
    case 0: {
      enum cmap_status status =
          cmap_rename(bank, cmap_key_u64(&a), cmap_key_u64(&b), NULL);
      CHECK(status == CMAP_OK || status == CMAP_NOT_FOUND ||
            status == CMAP_EXISTS);
      break;
    }
    case 1: {
      enum cmap_status status =
          cmap_swap_values(bank, cmap_key_u64(&a), cmap_key_u64(&b), NULL);
      CHECK(status == CMAP_OK || status == CMAP_NOT_FOUND);
      break;
    }
    default:
      move(&random);
    }
  }
}

/* Others come and go, so that shards are split and merged. */
static void churn(unsigned index, void *ctx)
{
  (void)ctx;
  (void)index;
  while (!atomic_load(&stop)) {
    for (uint64_t i = 0; i < OTHERS && !atomic_load(&stop); i++) {
      uint64_t key = OTHER_BASE + i;
      CHECK_OK(cmap_insert(bank, cmap_key_u64(&key), &i, NULL, NULL, NULL));
    }
    for (uint64_t i = 0; i < OTHERS; i++) {
      uint64_t key = OTHER_BASE + i;
      (void)!cmap_remove(bank, cmap_key_u64(&key), NULL, NULL);
    }
    CHECK_OK(cmap_shrink_to_fit(bank, NULL));
  }
}

static void take_snapshots(size_t count)
{
  for (size_t n = 0; n < count; n++) {
    struct cmap_snapshot *snapshot;
    uint64_t sum = 0, accounts = 0;

    assert_ok(
        cmap_snapshot_create(bank, CMAP_KEYS_AND_VALUES, &snapshot, NULL));
    for (size_t i = 0; i < cmap_snapshot_count(snapshot); i++) {
      uint64_t key, value;
      memcpy(&key, cmap_snapshot_key(snapshot, i).data, sizeof key);
      memcpy(&value, cmap_snapshot_value(snapshot, i), sizeof value);
      if (key >= OTHER_BASE)
        continue;
      sum += value;
      accounts++;
    }
    cmap_snapshot_destroy(snapshot);
    assert_int_equal(accounts, ACCOUNTS);
    assert_true(sum == ACCOUNTS * MONEY);
  }
}

static void every_sum_is_right(void **state)
{
  struct thread threads[MOVERS + 1];
  struct cmap_options options;

  (void)state;
  cmap_options_init(&options, CMAP_U64, sizeof(uint64_t));
  options.shard_groups = 2; /* many shards */
  assert_ok(cmap_create(&options, &bank));
  for (uint64_t i = 0; i < ACCOUNTS; i++) {
    uint64_t money = MONEY;
    assert_ok(cmap_insert(bank, cmap_key_u64(&i), &money, NULL, NULL, NULL));
  }
  for (unsigned i = 0; i < MOVERS; i++)
    thread_start(&threads[i], move_on, i, NULL);
  thread_start(&threads[MOVERS], churn, MOVERS, NULL);
  take_snapshots(test_scale(5000));
  atomic_store(&stop, true);
  for (unsigned i = 0; i <= MOVERS; i++)
    thread_join(&threads[i]);
  checks_assert();
  assert_ok(cmap_check(bank, NULL, NULL));
  cmap_destroy(bank);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_sum_is_right),
  };

  return cmocka_run_group_tests_name("snapshot_sum", tests, NULL, NULL);
}
