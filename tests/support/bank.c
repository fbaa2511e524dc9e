#include "bank.h"

#include <string.h>

#include "random.h"

enum { ACCOUNTS = 400, NAMES = 2 * ACCOUNTS, OTHERS = 20000 };
#define MONEY      UINT64_C(1000)
#define OTHER_BASE (UINT64_C(1) << 32)

static void move(struct cmap *bank, struct random *random)
{
  uint64_t from = random_below(random, NAMES), to = random_below(random, NAMES);
  struct cmap_want wants[2] = {{bank, cmap_key_u64(&from), CMAP_WRITE, CMAP_OK},
                               {bank, cmap_key_u64(&to), CMAP_WRITE, CMAP_OK}};
  CMAP_AUTO(cmap_multi, held);
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
  struct bank *bank = ctx;
  struct cmap *map = bank->map;
  struct random random;

  random_begin(&random, index);
  while (!atomic_load(&bank->stop)) {
    uint64_t a = random_below(&random, NAMES), b = random_below(&random, NAMES);
    switch (random_below(&random, 4)) {
    case 0: {
      enum cmap_status status =
          cmap_rename(map, cmap_key_u64(&a), cmap_key_u64(&b), NULL);
      CHECK(status == CMAP_OK || status == CMAP_NOT_FOUND ||
            status == CMAP_EXISTS);
      break;
    }
    case 1: {
      enum cmap_status status =
          cmap_swap_values(map, cmap_key_u64(&a), cmap_key_u64(&b), NULL);
      CHECK(status == CMAP_OK || status == CMAP_NOT_FOUND);
      break;
    }
    default:
      move(map, &random);
    }
  }
}

void bank_churn(struct cmap *map, uint64_t n)
{
  for (uint64_t i = 0; i < n; i++) {
    uint64_t key = OTHER_BASE + i;
    CHECK_OK(cmap_insert(map, cmap_key_u64(&key), &i, NULL, NULL, NULL));
  }
  for (uint64_t i = 0; i < n; i++) {
    uint64_t key = OTHER_BASE + i;
    (void)!cmap_remove(map, cmap_key_u64(&key), NULL, NULL);
  }
  CHECK_OK(cmap_shrink_to_fit(map, NULL));
}

/* Others come and go, so that shards are split and merged. */
static void churn_on(unsigned index, void *ctx)
{
  struct bank *bank = ctx;

  (void)index;
  while (!atomic_load(&bank->stop))
    bank_churn(bank->map, OTHERS);
}

bool bank_is_right(struct cmap *map)
{
  struct cmap_snapshot *snapshot;
  uint64_t sum = 0, accounts = 0;

  if (cmap_snapshot_create(map, CMAP_KEYS_AND_VALUES, &snapshot, NULL) !=
      CMAP_OK)
    return false;
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
  return accounts == ACCOUNTS && sum == ACCOUNTS * MONEY;
}

void bank_begin(struct bank *bank)
{
  struct cmap_options options;

  cmap_options_init(&options, CMAP_U64, sizeof(uint64_t));
  options.shard_groups = 2; /* many shards */
  assert_ok(cmap_create(&options, &bank->map));
  for (uint64_t i = 0; i < ACCOUNTS; i++) {
    uint64_t money = MONEY;
    assert_ok(
        cmap_insert(bank->map, cmap_key_u64(&i), &money, NULL, NULL, NULL));
  }
  atomic_init(&bank->stop, false);
  for (unsigned i = 0; i < BANK_MOVERS; i++)
    thread_start(&bank->threads[i], move_on, i, bank);
  thread_start(&bank->threads[BANK_MOVERS], churn_on, BANK_MOVERS, bank);
}

void bank_end(struct bank *bank)
{
  atomic_store(&bank->stop, true);
  for (unsigned i = 0; i <= BANK_MOVERS; i++)
    thread_join(&bank->threads[i]);
  checks_assert();
  assert_ok(cmap_check(bank->map, NULL, NULL));
  assert_true(bank_is_right(bank->map));
  cmap_destroy(bank->map);
}
