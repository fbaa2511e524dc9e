#include "reference.h"

struct account {
  int64_t cents;
};
CMAP_DEFINE(bank, CMAP_STRING, struct account);
CMAP_DEFINE_SET(names, CMAP_STRING);

static enum cmap_status deposit(const char *owner, struct account *account,
                                void *cents)
{
  (void)owner;
  account->cents += *(const int64_t *)cents;
  return CMAP_OK;
}

int main(void)
{
  struct bank bank;
  struct names names;
  struct account account = {100};
  int64_t cents = 5;

  is(bank_create(NULL, &bank), CMAP_OK);
  is(bank_insert(bank, "ada", account, NULL, NULL, NULL), CMAP_OK);
  is(bank_alter(bank, "ada", deposit, &cents, NULL), CMAP_OK);
  is(bank_get(bank, "ada", &account, NULL), CMAP_OK);
  so(account.cents == 105);
  { /* released at the end of the block */
    CMAP_AUTO(bank_write_guard, guard);
    is(bank_get_mut(bank, "ada", &guard, NULL), CMAP_OK);
    guard.value->cents = 0;
  }
  is(bank_put(bank, "bob", account), CMAP_OK); /* the short forms: no tails */
  is(bank_change(bank, "bob", deposit, &cents), CMAP_OK);
  is(bank_find(bank, "bob", &account), CMAP_OK);
  so(account.cents == 110 && bank_has(bank, "ada"));
  bank_drop(bank, "ada");
  bank_destroy(bank);

  is(names_create(NULL, &names), CMAP_OK);
  is(names_add(names, "ada", NULL), CMAP_OK);
  is(names_add(names, "ada", NULL), CMAP_EXISTS);
  names_destroy(names);
  return 0;
}
