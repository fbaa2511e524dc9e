/*
 * Snapshots under load: of a bank that is never still, every snapshot has all
 * accounts, and the whole sum.
 */
#include "bank.h"
#include "settings.h"

static void every_sum_is_right(void **state)
{
  struct bank bank;

  (void)state;
  bank_begin(&bank);
  for (size_t n = test_scale(5000); n > 0; n--)
    assert_true(bank_is_right(bank.map));
  bank_end(&bank);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_sum_is_right),
  };

  return cmocka_run_group_tests_name("snapshot_sum", tests, NULL, NULL);
}
