#include "typed_unit.h"

#include "checks.h"

enum cmap_status typed_unit_open(struct bank *bank)
{
  return bank_create(NULL, bank);
}

/* Has the name of a callback of the test, which is another function. */
static enum cmap_status deposit(const char *owner, struct account *account,
                                void *ctx)
{
  (void)owner;
  account->cents += *(const int64_t *)ctx;
  account->visits++;
  return CMAP_OK;
}

enum cmap_status typed_unit_deposit(struct bank bank, const char *owner,
                                    int64_t cents)
{
  return bank_alter(bank, owner, deposit, &cents, NULL);
}

static enum cmap_status add(const char *owner, const struct account *account,
                            void *ctx)
{
  (void)owner;
  *(int64_t *)ctx += account->cents;
  return CMAP_OK;
}

int64_t typed_unit_total(struct bank bank)
{
  int64_t total = 0;

  CHECK_OK(bank_view_all(bank, add, &total, NULL));
  return total;
}
