/* CMAP_DEFINE: what each wrapper passes on, in both directions. */
#include "checks.h"
#include "typed_unit.h"

#include <string.h>

/* A second name for the same types. */
CMAP_DEFINE(vault, CMAP_STRING, struct account);

#define USER ((enum cmap_status)USER_STATUS)

/* What a callback is given, besides the entry. */
struct call {
  const char *owner; /* expected key */
  int64_t cents;     /* expected value, or the one to store */
  enum cmap_action action;
  bool answer;
  size_t calls;
  enum cmap_status status;
};

static struct bank open_bank(void)
{
  struct bank bank = CMAP_INIT;

  assert_ok(bank_create(NULL, &bank));
  assert_non_null(bank.map);
  return bank;
}

static struct account account_of(int64_t cents)
{
  struct account account = {cents, 0};

  return account;
}

static void put(struct bank bank, const char *owner, int64_t cents)
{
  assert_ok(bank_insert(bank, owner, account_of(cents), NULL, NULL, NULL));
}

static int64_t cents_of(struct bank bank, const char *owner)
{
  struct account account = {-1, 0};

  assert_ok(bank_get(bank, owner, &account, NULL));
  return account.cents;
}

/* ------------------------------------------------------------------------
 * Callbacks
 * ------------------------------------------------------------------------ */

static enum cmap_status look(const char *owner, const struct account *account,
                             void *ctx)
{
  struct call *call = ctx;

  call->calls++;
  CHECK(strcmp(owner, call->owner) == 0);
  CHECK(account->cents == call->cents);
  return call->status;
}

static enum cmap_status make(const char *owner, struct account *account,
                             void *ctx)
{
  struct call *call = ctx;

  call->calls++;
  CHECK(strcmp(owner, call->owner) == 0);
  CHECK(account->cents == 0 && account->visits == 0);
  account->cents = call->cents;
  return call->status;
}

static enum cmap_status deposit(const char *owner, struct account *account,
                                void *ctx)
{
  struct call *call = ctx;

  call->calls++;
  CHECK(call->owner == NULL || strcmp(owner, call->owner) == 0);
  account->cents += call->cents;
  return call->status;
}

static bool test(const char *owner, struct account *account, void *ctx)
{
  struct call *call = ctx;

  call->calls++;
  CHECK(call->owner == NULL || strcmp(owner, call->owner) == 0);
  account->visits++;
  return call->answer;
}

static bool is_rich(const char *owner, struct account *account, void *ctx)
{
  (void)owner;
  (void)ctx;
  return account->cents >= 100;
}

static enum cmap_status compute(const char *owner, const struct account *old,
                                struct account *fresh, enum cmap_action *action,
                                void *ctx)
{
  struct call *call = ctx;

  call->calls++;
  CHECK(strcmp(owner, call->owner) == 0);
  fresh->cents = (old ? old->cents : 0) + call->cents;
  *action = call->action;
  return call->status;
}

static enum cmap_status add_up(const char *owner, struct account *account,
                               const struct account *other, void *ctx)
{
  struct call *call = ctx;

  call->calls++;
  CHECK(strcmp(owner, call->owner) == 0);
  account->cents += other->cents;
  return call->status;
}

/* ------------------------------------------------------------------------
 * Tests
 * ------------------------------------------------------------------------ */

static void reading(void **state)
{
  struct bank bank = open_bank();
  struct call call = {.owner = "ada", .cents = 5, .status = USER};
  struct account account = {-1, 0};

  (void)state;
  assert_status(bank_get(bank, "ada", &account, NULL), CMAP_NOT_FOUND);
  assert_status(bank_contains(bank, "ada", NULL), CMAP_NOT_FOUND);
  assert_status(bank_view(bank, "ada", look, &call, NULL), CMAP_NOT_FOUND);
  assert_int_equal(account.cents, -1);
  assert_int_equal(call.calls, 0);
  put(bank, "ada", 5);
  assert_ok(bank_get(bank, "ada", &account, NULL));
  assert_ok(bank_get(bank, "ada", NULL, NULL));
  assert_ok(bank_contains(bank, "ada", NULL));
  assert_int_equal(account.cents, 5);
  assert_status(bank_view(bank, "ada", look, &call, NULL), USER);
  assert_int_equal(call.calls, 1);
  assert_status(bank_get(bank, NULL, &account, NULL), CMAP_EINVAL);
  bank_destroy(bank);
  checks_assert();
}

static void inserting(void **state)
{
  struct bank bank = open_bank();
  enum cmap_event event = NO_EVENT;
  struct account account = account_of(-1);

  (void)state;
  assert_ok(bank_insert(bank, "ada", account_of(5), &account, &event, NULL));
  assert_int_equal(event, CMAP_INSERTED);
  assert_int_equal(account.cents, -1);
  assert_ok(bank_insert(bank, "ada", account_of(6), &account, &event, NULL));
  assert_int_equal(event, CMAP_UPDATED);
  assert_int_equal(account.cents, 5);
  assert_status(bank_insert_new(bank, "ada", account_of(7), &account, NULL),
                CMAP_EXISTS);
  assert_int_equal(account.cents, 6);
  assert_ok(bank_insert_new(bank, "bob", account_of(7), NULL, NULL));
  account = account_of(8);
  assert_ok(bank_get_or_insert(bank, "bob", &account, &event, NULL));
  assert_int_equal(event, CMAP_FOUND);
  assert_int_equal(account.cents, 7);
  account = account_of(8);
  assert_ok(bank_get_or_insert(bank, "eve", &account, &event, NULL));
  assert_int_equal(event, CMAP_INSERTED);
  assert_int_equal(account.cents, 8);
  assert_int_equal(cents_of(bank, "eve"), 8);
  assert_status(bank_get_or_insert(bank, "eve", NULL, NULL, NULL), CMAP_EINVAL);
  bank_destroy(bank);
}

static void making(void **state)
{
  struct bank bank = open_bank();
  struct call call = {.owner = "ada", .cents = 5, .status = USER};
  enum cmap_event event = NO_EVENT;
  struct account account = {-1, 0};

  (void)state;
  assert_status(
      bank_get_or_insert_with(bank, "ada", &account, &event, make, &call, NULL),
      USER);
  call.status = CMAP_OK;
  assert_ok(bank_get_or_insert_with(bank, "ada", &account, &event, make, &call,
                                    NULL));
  assert_int_equal(event, CMAP_INSERTED);
  assert_int_equal(account.cents, 5);
  call.owner = "bob";
  assert_ok(bank_get_or_insert_with_unlocked(bank, "bob", &account, &event,
                                             make, &call, NULL));
  assert_int_equal(event, CMAP_INSERTED);
  assert_int_equal(call.calls, 3);
  assert_ok(bank_get_or_insert_with_unlocked(bank, "ada", NULL, &event, make,
                                             &call, NULL));
  assert_int_equal(event, CMAP_FOUND);
  assert_int_equal(call.calls, 3);
  bank_destroy(bank);
  checks_assert();
}

static void removing(void **state)
{
  struct bank bank = open_bank();
  struct call call = {.owner = "bob"};
  struct account account = {-1, 0};

  (void)state;
  put(bank, "ada", 5);
  assert_ok(bank_remove(bank, "ada", &account, NULL));
  assert_int_equal(account.cents, 5);
  assert_status(bank_remove(bank, "ada", NULL, NULL), CMAP_NOT_FOUND);
  put(bank, "bob", 6);
  assert_status(bank_remove_if(bank, "bob", test, &call, &account, NULL),
                CMAP_MISMATCH);
  call.answer = true;
  assert_ok(bank_remove_if(bank, "bob", test, &call, &account, NULL));
  assert_int_equal(account.cents, 6);
  assert_int_equal(account.visits, 2);
  put(bank, "eve", 7);
  assert_status(bank_remove_if_equal(bank, "eve", account_of(8), NULL),
                CMAP_MISMATCH);
  assert_ok(bank_remove_if_equal(bank, "eve", account_of(7), NULL));
  assert_true(bank_is_empty(bank));
  bank_destroy(bank);
  checks_assert();
}

static void exchanging(void **state)
{
  struct bank bank = open_bank();
  struct call call = {.owner = "ada"};
  enum cmap_event event = NO_EVENT;
  struct account account = {-1, 0};

  (void)state;
  put(bank, "ada", 5);
  assert_status(
      bank_compare_exchange(bank, "ada", account_of(4), account_of(6), NULL),
      CMAP_MISMATCH);
  assert_ok(
      bank_compare_exchange(bank, "ada", account_of(5), account_of(6), NULL));
  assert_int_equal(cents_of(bank, "ada"), 6);
  assert_status(
      bank_replace_if(bank, "ada", test, &call, account_of(7), &account, NULL),
      CMAP_MISMATCH);
  call.answer = true;
  assert_ok(
      bank_replace_if(bank, "ada", test, &call, account_of(7), &account, NULL));
  assert_int_equal(account.cents, 6);
  assert_int_equal(account.visits, 2);
  account = account_of(8);
  assert_ok(bank_swap(bank, "ada", &account, &event, NULL));
  assert_int_equal(event, CMAP_UPDATED);
  assert_int_equal(account.cents, 7);
  assert_int_equal(cents_of(bank, "ada"), 8);
  bank_destroy(bank);
  checks_assert();
}

static void computing(void **state)
{
  struct bank bank = open_bank();
  struct call call = {.owner = "ada", .cents = 5, .action = CMAP_PUT};
  enum cmap_event event = NO_EVENT;
  struct account account = {-1, 0};

  (void)state;
  assert_ok(bank_compute(bank, "ada", &account, &event, compute, &call, NULL));
  assert_int_equal(event, CMAP_INSERTED);
  assert_int_equal(account.cents, 5);
  assert_ok(bank_compute(bank, "ada", &account, &event, compute, &call, NULL));
  assert_int_equal(event, CMAP_UPDATED);
  assert_int_equal(account.cents, 10);
  assert_ok(bank_alter(bank, "ada", deposit, &call, NULL));
  assert_int_equal(cents_of(bank, "ada"), 15);
  call.action = CMAP_REMOVE;
  assert_ok(bank_compute(bank, "ada", &account, &event, compute, &call, NULL));
  assert_int_equal(event, CMAP_REMOVED);
  assert_int_equal(account.cents, 15);
  assert_status(bank_alter(bank, "ada", deposit, &call, NULL), CMAP_NOT_FOUND);
  bank_destroy(bank);
  checks_assert();
}

static void the_whole_map(void **state)
{
  struct bank bank = open_bank();
  struct call call = {.owner = "eve", .cents = 200};
  struct cmap_options options = CMAP_INIT;
  size_t n = 0;
  uint64_t hash = 0;

  (void)state;
  options.size = sizeof options;
  assert_ok(bank_get_options(bank, &options));
  assert_int_equal(options.key_kind, CMAP_STRING);
  assert_int_equal(options.value_size, sizeof(struct account));
  assert_ok(bank_reserve(bank, 1000, NULL));
  assert_true(bank_capacity(bank) >= 1000);
  put(bank, "ada", 5);
  put(bank, "eve", 100);
  assert_int_equal(bank_len(bank), 2);
  assert_ok(bank_len_exact(bank, &n, NULL));
  assert_int_equal(n, 2);
  assert_ok(bank_hash(bank, "ada", &hash));
  assert_true(bank_shard_index(bank, hash) < bank_shard_count(bank));
  assert_ok(bank_retain(bank, is_rich, NULL, &n, NULL));
  assert_int_equal(n, 1);
  call.cents = 100;
  assert_ok(bank_alter_all(bank, deposit, &call, NULL));
  call.cents = 200;
  assert_ok(bank_view_all(bank, look, &call, NULL));
  assert_int_equal(call.calls, 2);
  assert_ok(bank_shrink_to_fit(bank, NULL));
  assert_int_equal(cents_of(bank, "eve"), 200);
  assert_ok(bank_clear(bank, NULL));
  assert_true(bank_is_empty(bank));
  bank_destroy(bank);
  checks_assert();
}

static void two_maps(void **state)
{
  struct bank bank = open_bank();
  struct bank copy = CMAP_INIT;
  struct call call = {.owner = "ada"};
  bool equal = false;

  (void)state;
  put(bank, "ada", 5);
  assert_ok(bank_clone(bank, &copy, NULL));
  assert_ok(bank_equal(bank, copy, &equal, NULL));
  assert_true(equal);
  assert_ok(bank_merge(bank, copy, add_up, &call, NULL));
  assert_int_equal(call.calls, 1);
  assert_int_equal(cents_of(bank, "ada"), 10);
  assert_ok(bank_equal(bank, copy, &equal, NULL));
  assert_false(equal);
  assert_ok(bank_merge(bank, copy, NULL, NULL, NULL));
  assert_int_equal(cents_of(bank, "ada"), 5);
  assert_status(bank_clone(bank, NULL, NULL), CMAP_EINVAL);
  bank_destroy(copy);
  bank_destroy(bank);
  checks_assert();
}

static void missing_callbacks(void **state)
{
  struct bank bank = open_bank();
  const struct account account = {1, 0};

  (void)state;
  put(bank, "ada", 5);
  assert_status(bank_view(bank, "ada", NULL, NULL, NULL), CMAP_EINVAL);
  assert_status(
      bank_get_or_insert_with(bank, "b", NULL, NULL, NULL, NULL, NULL),
      CMAP_EINVAL);
  assert_status(
      bank_get_or_insert_with_unlocked(bank, "b", NULL, NULL, NULL, NULL, NULL),
      CMAP_EINVAL);
  assert_status(bank_remove_if(bank, "ada", NULL, NULL, NULL, NULL),
                CMAP_EINVAL);
  assert_status(bank_replace_if(bank, "ada", NULL, NULL, account, NULL, NULL),
                CMAP_EINVAL);
  assert_status(bank_compute(bank, "ada", NULL, NULL, NULL, NULL, NULL),
                CMAP_EINVAL);
  assert_status(bank_alter(bank, "ada", NULL, NULL, NULL), CMAP_EINVAL);
  assert_status(bank_view_all(bank, NULL, NULL, NULL), CMAP_EINVAL);
  assert_status(bank_alter_all(bank, NULL, NULL, NULL), CMAP_EINVAL);
  assert_status(bank_retain(bank, NULL, NULL, NULL, NULL), CMAP_EINVAL);
  assert_int_equal(cents_of(bank, "ada"), 5);
  assert_int_equal(bank_len(bank), 1);
  bank_destroy(bank);
}

static void a_handle_without_a_map(void **state)
{
  struct bank bank = CMAP_INIT;
  struct account account = account_of(1);

  (void)state;
  assert_status(bank_create(NULL, NULL), CMAP_EINVAL);
  assert_status(bank_get(bank, "ada", &account, NULL), CMAP_EINVAL);
  assert_status(bank_insert(bank, "ada", account, NULL, NULL, NULL),
                CMAP_EINVAL);
  assert_status(bank_view_all(bank, look, NULL, NULL), CMAP_EINVAL);
  assert_status(bank_clear(bank, NULL), CMAP_EINVAL);
  assert_int_equal(bank_len(bank), 0);
  assert_true(bank_is_empty(bank));
  bank_destroy(bank);
}

static void how_is_passed_on(void **state)
{
  struct bank bank = open_bank();
  struct cmap_how bad = CMAP_INIT;
  struct account account = account_of(1);
  uint64_t hash;
  struct cmap_how how;

  (void)state;
  put(bank, "ada", 5);
  assert_ok(bank_hash(bank, "ada", &hash));
  how = cmap_how_hashed(hash);
  assert_ok(bank_get(bank, "ada", &account, &how));
  assert_status(bank_get(bank, "ada", &account, &bad), CMAP_EINVAL);
  assert_status(bank_insert(bank, "ada", account, NULL, NULL, &bad),
                CMAP_EINVAL);
  assert_status(bank_remove(bank, "ada", NULL, &bad), CMAP_EINVAL);
  assert_status(bank_alter(bank, "ada", deposit, NULL, &bad), CMAP_EINVAL);
  assert_status(bank_clear(bank, &bad), CMAP_EINVAL);
  assert_status(bank_fetch_add(bank, "ada", 1, NULL, &bad), CMAP_EINVAL);
  bank_destroy(bank);
}

static void two_units_and_two_names(void **state)
{
  struct bank bank = CMAP_INIT;
  struct vault vault = CMAP_INIT;

  (void)state;
  assert_ok(typed_unit_open(&bank));
  assert_ok(vault_create(NULL, &vault));
  put(bank, "ada", 5);
  put(bank, "bob", 6);
  assert_ok(typed_unit_deposit(bank, "ada", 100));
  assert_int_equal(cents_of(bank, "ada"), 105);
  assert_int_equal(typed_unit_total(bank), 111);
  assert_true(vault_is_empty(vault));
  vault_destroy(vault);
  bank_destroy(bank);
  checks_assert();
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(reading),
      cmocka_unit_test(inserting),
      cmocka_unit_test(making),
      cmocka_unit_test(removing),
      cmocka_unit_test(exchanging),
      cmocka_unit_test(computing),
      cmocka_unit_test(the_whole_map),
      cmocka_unit_test(two_maps),
      cmocka_unit_test(missing_callbacks),
      cmocka_unit_test(a_handle_without_a_map),
      cmocka_unit_test(how_is_passed_on),
      cmocka_unit_test(two_units_and_two_names),
  };

  return cmocka_run_group_tests_name("typed", tests, NULL, NULL);
}
