/* CMAP_DEFINE: the wrappers of guards, entries, several keys, add_or_update. */
#include "checks.h"
#include "threads.h"
#include "typed_unit.h"

#include <string.h>

#define USER ((enum cmap_status)USER_STATUS)

struct point {
  int32_t x, y;
};

CMAP_DEFINE(counts, CMAP_U32, uint32_t);
CMAP_DEFINE(squares, CMAP_U64, struct point);
CMAP_DEFINE(slices, CMAP_BYTES, double);
CMAP_DEFINE_FIXED(places, struct point, struct account);

static struct account account_of(int64_t cents)
{
  struct account account = {cents, 0};

  return account;
}

static struct bank open_bank(void)
{
  struct bank bank = CMAP_INIT;

  assert_ok(bank_create(NULL, &bank));
  CHECK_OK(bank_insert(bank, "ada", account_of(100), NULL, NULL, NULL));
  CHECK_OK(bank_insert(bank, "bob", account_of(200), NULL, NULL, NULL));
  return bank;
}

static int64_t cents_of(struct bank bank, const char *owner)
{
  struct account account = {-1, 0};

  CHECK_OK(bank_get(bank, owner, &account, NULL));
  return account.cents;
}

/* Is the guard or entry of that name one that holds nothing? */
#define IS_NONE(held, part) ((held).value == NULL && !(held).part.internal[0])

static void read_guards(void **state)
{
  struct bank bank = open_bank();
  struct bank_read_guard guard = CMAP_INIT, copy;
  enum cmap_event event = NO_EVENT;
  struct cmap_how how = cmap_how_try();
  uint64_t hash = 0;

  (void)state;
  bank_read_guard_release(&guard);
  bank_read_guard_release(NULL);
  CHECK_STATUS(bank_get_ref(bank, "eve", &guard, NULL), CMAP_NOT_FOUND);
  CHECK_STATUS(bank_get_ref(bank, "ada", NULL, NULL), CMAP_EINVAL);
  CHECK_STATUS(bank_get_ref(bank, NULL, &guard, NULL), CMAP_EINVAL);
  CHECK(IS_NONE(guard, guard) && guard.key == NULL);
  CHECK_OK(bank_get_ref(bank, "ada", &guard, &how));
  CHECK(strcmp(guard.key, "ada") == 0 && guard.value->cents == 100);
  CHECK((const void *)guard.key == guard.guard.key.data);
  CHECK_OK(bank_hash(bank, "ada", &hash));
  CHECK(bank_read_guard_shard_index(&guard) == bank_shard_index(bank, hash));
  CHECK(bank_read_guard_shard_index(NULL) == 0);
  copy = guard;
  bank_read_guard_release(&guard);
  CHECK(IS_NONE(guard, guard));
  bank_read_guard_release(&copy);
  CHECK(IS_NONE(copy, guard));
  CHECK_OK(
      bank_get_or_insert_ref(bank, "ada", account_of(1), &guard, &event, NULL));
  CHECK(event == CMAP_FOUND && guard.value->cents == 100);
  bank_read_guard_release(&guard);
  CHECK_OK(
      bank_get_or_insert_ref(bank, "eve", account_of(3), &guard, &event, &how));
  CHECK(event == CMAP_INSERTED && guard.value->cents == 3);
  CHECK(strcmp(guard.key, "eve") == 0);
  bank_read_guard_release(&guard);
  CHECK_STATUS(
      bank_get_or_insert_ref(bank, "eve", account_of(3), NULL, &event, NULL),
      CMAP_EINVAL);
  CHECK_OK(bank_insert(bank, "ada", account_of(5), NULL, NULL, &how));
  bank_destroy(bank);
  checks_assert();
}

static void write_guards(void **state)
{
  struct bank bank = open_bank();
  struct bank_write_guard guard = CMAP_INIT;
  struct bank_read_guard read = CMAP_INIT;
  struct cmap_how how = cmap_how_try();
  struct account old = {0, 0};

  (void)state;
  bank_write_guard_release(&guard);
  bank_write_guard_release(NULL);
  CHECK_STATUS(bank_get_mut(bank, "eve", &guard, NULL), CMAP_NOT_FOUND);
  CHECK_STATUS(bank_get_mut(bank, "ada", NULL, NULL), CMAP_EINVAL);
  CHECK_STATUS(bank_write_guard_downgrade(NULL, &read), CMAP_EINVAL);
  CHECK_STATUS(bank_write_guard_downgrade(&guard, &read), CMAP_EINVAL);
  CHECK_STATUS(bank_write_guard_remove(NULL, &old), CMAP_EINVAL);
  CHECK_STATUS(bank_write_guard_remove(&guard, &old), CMAP_EINVAL);
  CHECK(bank_write_guard_shard_index(NULL) == 0);
  {
    CMAP_AUTO(bank_write_guard, ada);
    CHECK_OK(bank_get_mut(bank, "ada", &ada, NULL));
    CHECK(strcmp(ada.key, "ada") == 0);
    ada.value->cents += 5;
    CHECK_STATUS(bank_get_mut(bank, "ada", &guard, &how), CMAP_BUSY);
    CHECK_STATUS(bank_get_mut(bank, "ada", &guard, NULL), CMAP_EDEADLK);
  }
  CHECK(cents_of(bank, "ada") == 105);
  CHECK_OK(bank_get_mut(bank, "ada", &guard, &how));
  guard.value->cents = 7;
  CHECK_STATUS(bank_write_guard_downgrade(&guard, NULL), CMAP_EINVAL);
  CHECK_OK(bank_write_guard_downgrade(&guard, &read));
  CHECK(IS_NONE(guard, guard));
  CHECK(read.value->cents == 7 && strcmp(read.key, "ada") == 0);
  bank_write_guard_release(&guard);
  CHECK_STATUS(bank_get_mut(bank, "ada", &guard, &how), CMAP_BUSY);
  bank_read_guard_release(&read);
  CHECK_OK(bank_get_mut(bank, "ada", &guard, &how));
  CHECK_OK(bank_write_guard_remove(&guard, &old));
  CHECK(IS_NONE(guard, guard) && old.cents == 7);
  CHECK_OK(bank_get_mut(bank, "bob", &guard, &how));
  CHECK_OK(bank_write_guard_remove(&guard, NULL));
  CHECK(bank_is_empty(bank));
  bank_destroy(bank);
  checks_assert();
}

/* ------------------------------------------------------------------------
 * Entries
 * ------------------------------------------------------------------------ */

struct call {
  const char *owner; /* expected key */
  int64_t cents;
  unsigned calls;
  enum cmap_status status;
};

static enum cmap_status add_cents(const char *owner, struct account *account,
                                  void *ctx)
{
  struct call *call = ctx;

  CHECK(strcmp(owner, call->owner) == 0);
  account->cents += call->cents;
  call->calls++;
  return call->status;
}

static enum cmap_status add_to_copy(const char *owner,
                                    const struct account *old,
                                    struct account *fresh, void *ctx)
{
  CHECK(old->cents == fresh->cents);
  return add_cents(owner, fresh, ctx);
}

static void entries(void **state)
{
  struct bank bank = open_bank();
  struct bank_entry entry = CMAP_INIT;
  struct bank_write_guard guard = CMAP_INIT;
  struct call call = {"ada", 5, 0, CMAP_OK};
  struct account old = {0, 0};
  struct cmap_how how = cmap_how_try();

  (void)state;
  CHECK_OK(bank_entry_begin(bank, "ada", &entry, &how));
  CHECK(strcmp(entry.key, "ada") == 0 && entry.value->cents == 100);
  CHECK_OK(bank_entry_or_insert(bank_entry_and_modify(&entry, add_cents, &call),
                                account_of(1)));
  CHECK(entry.value->cents == 105 && call.calls == 1);
  call.status = USER;
  CHECK_STATUS(
      bank_entry_insert(bank_entry_and_modify(&entry, add_cents, &call),
                        account_of(1), NULL),
      USER);
  CHECK(entry.value->cents == 110 && call.calls == 2);
  CHECK_OK(bank_entry_insert(&entry, account_of(50), &old));
  CHECK(old.cents == 110 && entry.value->cents == 50);
  CHECK_OK(bank_entry_remove(&entry, &old));
  CHECK(old.cents == 50 && entry.value == NULL);
  CHECK(strcmp(entry.key, "ada") == 0);
  CHECK_STATUS(bank_entry_remove(&entry, &old), CMAP_NOT_FOUND);
  CHECK_STATUS(bank_entry_into_guard(&entry, &guard), CMAP_NOT_FOUND);
  CHECK_STATUS(bank_entry_or_insert_with(&entry, add_cents, &call), USER);
  CHECK(entry.value == NULL);
  call.status = CMAP_OK;
  CHECK_OK(bank_entry_or_insert_with(&entry, add_cents, &call));
  CHECK(entry.value->cents == 5);
  CHECK_OK(bank_entry_remove(&entry, NULL));
  CHECK_OK(bank_entry_or_default(&entry));
  CHECK(entry.value->cents == 0 && entry.value->visits == 0);
  CHECK_OK(bank_entry_into_guard(&entry, &guard));
  CHECK(entry.value == NULL && strcmp(guard.key, "ada") == 0);
  guard.value->cents = 9;
  bank_entry_release(&entry);
  CHECK_STATUS(bank_entry_begin(bank, "ada", &entry, &how), CMAP_BUSY);
  bank_write_guard_release(&guard);
  CHECK(cents_of(bank, "ada") == 9);
  {
    CMAP_AUTO(bank_entry, eve);
    uint64_t hash = 0;
    CHECK_OK(bank_entry_begin(bank, "eve", &eve, NULL));
    CHECK(eve.value == NULL && strcmp(eve.key, "eve") == 0);
    CHECK_OK(bank_hash(bank, "eve", &hash));
    CHECK(bank_entry_shard_index(&eve) == bank_shard_index(bank, hash));
    CHECK_OK(bank_entry_or_insert(&eve, account_of(4)));
  }
  CHECK(cents_of(bank, "eve") == 4);
  bank_destroy(bank);
  checks_assert();
}

static void entries_that_hold_nothing(void **state)
{
  struct bank bank = open_bank();
  struct bank_entry none = CMAP_INIT, released = CMAP_INIT;
  struct bank_entry *const all[] = {NULL, &none, &released};
  struct bank_write_guard guard = CMAP_INIT;
  struct call call = {"ada", 5, 0, CMAP_OK};
  struct account old = {3, 0};

  (void)state;
  CHECK_OK(bank_entry_begin(bank, "ada", &released, NULL));
  bank_entry_release(&released);
  for (size_t i = 0; i < 3; i++) {
    struct bank_entry *entry = all[i];
    CHECK(bank_entry_and_modify(entry, add_cents, &call) == entry);
    CHECK_STATUS(bank_entry_or_insert(entry, old), CMAP_EINVAL);
    CHECK_STATUS(bank_entry_or_insert_with(entry, add_cents, &call),
                 CMAP_EINVAL);
    CHECK_STATUS(bank_entry_or_default(entry), CMAP_EINVAL);
    CHECK_STATUS(bank_entry_insert(entry, old, &old), CMAP_EINVAL);
    CHECK_STATUS(bank_entry_remove(entry, &old), CMAP_EINVAL);
    CHECK_STATUS(bank_entry_into_guard(entry, &guard), CMAP_EINVAL);
    CHECK(bank_entry_shard_index(entry) == 0);
    bank_entry_release(entry);
  }
  CHECK_STATUS(bank_entry_begin(bank, "ada", NULL, NULL), CMAP_EINVAL);
  CHECK_OK(bank_entry_begin(bank, "ada", &none, NULL));
  CHECK_STATUS(bank_entry_or_insert_with(&none, NULL, NULL), CMAP_EINVAL);
  CHECK_STATUS(bank_entry_or_default(bank_entry_and_modify(&none, NULL, NULL)),
               CMAP_EINVAL);
  CHECK_STATUS(bank_entry_into_guard(&none, NULL), CMAP_EINVAL);
  CHECK(none.value->cents == 100);
  bank_entry_release(&none);
  CHECK(call.calls == 0 && old.cents == 3 && guard.value == NULL);
  bank_destroy(bank);
  checks_assert();
}

static void no_map(void **state)
{
  struct bank none = CMAP_INIT;
  struct bank_read_guard read = CMAP_INIT;
  struct bank_write_guard write = CMAP_INIT;
  struct bank_entry entry = CMAP_INIT;
  struct account a = {1, 0};
  const char *ada = "ada";
  struct cmap_want want = bank_want(none, &ada, CMAP_READ);
  struct cmap_multi held = CMAP_INIT;

  (void)state;
  CHECK_STATUS(bank_get_ref(none, "ada", &read, NULL), CMAP_EINVAL);
  CHECK_STATUS(bank_get_mut(none, "ada", &write, NULL), CMAP_EINVAL);
  CHECK_STATUS(bank_get_or_insert_ref(none, "ada", a, &read, NULL, NULL),
               CMAP_EINVAL);
  CHECK_STATUS(bank_entry_begin(none, "ada", &entry, NULL), CMAP_EINVAL);
  CHECK_STATUS(bank_rename(none, "ada", "bob", NULL), CMAP_EINVAL);
  CHECK_STATUS(bank_swap_values(none, "ada", "bob", NULL), CMAP_EINVAL);
  CHECK_STATUS(bank_add_or_update(none, "ada", NULL, NULL, add_cents,
                                  add_to_copy, NULL, NULL),
               CMAP_EINVAL);
  CHECK_STATUS(cmap_lock_many(&want, 1, &held, NULL), CMAP_EINVAL);
  checks_assert();
}

/* ------------------------------------------------------------------------
 * Several keys, add_or_update
 * ------------------------------------------------------------------------ */

static void several_maps_of_several_types(void **state)
{
  struct bank bank = open_bank();
  struct counts counts = CMAP_INIT;
  const char *ada = "ada", *eve = "eve";
  uint32_t five = 5;
  struct cmap_want wants[3];
  struct cmap_multi held = CMAP_INIT;

  (void)state;
  assert_ok(counts_create(NULL, &counts));
  CHECK_OK(counts_insert(counts, 5, 50, NULL, NULL, NULL));
  wants[0] = bank_want(bank, &ada, CMAP_WRITE);
  wants[1] = counts_want(counts, &five, CMAP_READ);
  wants[2] = bank_want(bank, &eve, CMAP_ENTRY);
  CHECK(wants[0].map == bank.map && wants[0].mode == CMAP_WRITE);
  CHECK(wants[1].key.size == 4 && wants[1].key.data == &five);
  CHECK(bank_want(bank, NULL, CMAP_READ).key.data == NULL);
  CHECK_OK(cmap_lock_many(wants, 3, &held, NULL));
  bank_multi_value(&held, 0)->cents += *counts_multi_value(&held, 1);
  CHECK(bank_multi_value(&held, 2) == NULL);
  CHECK_OK(cmap_entry_or_default(cmap_multi_entry(&held, 2)));
  bank_multi_value(&held, 2)->cents = 8;
  cmap_multi_release(&held);
  CHECK(cents_of(bank, "ada") == 150 && cents_of(bank, "eve") == 8);
  CHECK_OK(bank_swap_values(bank, "ada", "eve", NULL));
  CHECK(cents_of(bank, "ada") == 8 && cents_of(bank, "eve") == 150);
  CHECK_STATUS(bank_rename(bank, "ada", "bob", NULL), CMAP_EXISTS);
  CHECK_OK(bank_rename(bank, "ada", "zoe", NULL));
  CHECK(cents_of(bank, "zoe") == 8 && bank_len(bank) == 3);
  CHECK_STATUS(bank_swap_values(bank, "ada", "eve", NULL), CMAP_NOT_FOUND);
  bank_destroy(bank);
  counts_destroy(counts);
  checks_assert();
}

static void add_or_update(void **state)
{
  struct bank bank = open_bank();
  struct cmap_attempts attempts = {0, 9, 9};
  enum cmap_event event = NO_EVENT;
  struct account out = {0, 0};
  struct call call = {"eve", 5, 0, CMAP_OK};

  (void)state;
  CHECK_OK(bank_add_or_update(bank, "eve", &out, &event, add_cents, add_to_copy,
                              &call, NULL));
  CHECK(event == CMAP_INSERTED && out.cents == 5);
  CHECK_OK(bank_add_or_update_unlocked(bank, "eve", &out, &event, add_cents,
                                       add_to_copy, &call, &attempts, NULL));
  CHECK(event == CMAP_UPDATED && out.cents == 10);
  CHECK(attempts.adds == 0 && attempts.updates == 1);
  call.status = USER;
  CHECK_STATUS(bank_add_or_update(bank, "eve", &out, NULL, add_cents,
                                  add_to_copy, &call, NULL),
               USER);
  CHECK_STATUS(bank_add_or_update_unlocked(bank, "eve", NULL, NULL, add_cents,
                                           add_to_copy, &call, NULL, NULL),
               USER);
  CHECK(call.calls == 4 && cents_of(bank, "eve") == 10);
  CHECK_STATUS(bank_add_or_update(bank, "eve", NULL, NULL, NULL, add_to_copy,
                                  &call, NULL),
               CMAP_EINVAL);
  CHECK_STATUS(
      bank_add_or_update(bank, "eve", NULL, NULL, add_cents, NULL, &call, NULL),
      CMAP_EINVAL);
  CHECK_STATUS(bank_add_or_update_unlocked(bank, "eve", NULL, NULL, NULL,
                                           add_to_copy, &call, NULL, NULL),
               CMAP_EINVAL);
  CHECK_STATUS(bank_add_or_update_unlocked(bank, "eve", NULL, NULL, add_cents,
                                           NULL, &call, NULL, NULL),
               CMAP_EINVAL);
  CHECK(call.calls == 4);
  bank_destroy(bank);
  checks_assert();
}

/* ------------------------------------------------------------------------
 * Every kind of key
 * ------------------------------------------------------------------------ */

/* On a map of the given name: the key comes out of guard and entry as it went
   in, by the comparison `same`. */
#define EACH_KIND(name, first, second, stored, same)                           \
  do {                                                                         \
    struct name map = CMAP_INIT;                                               \
    struct name##_entry entry = CMAP_INIT;                                     \
    struct name##_write_guard write = CMAP_INIT;                               \
    struct name##_read_guard read = CMAP_INIT;                                 \
    name##__key key = (first), other = (second);                               \
    name##__value value = stored;                                              \
    assert_ok(name##_create(NULL, &map));                                      \
    CHECK_OK(name##_entry_begin(map, key, &entry, NULL));                      \
    CHECK(same(entry.key, key) && entry.value == NULL);                        \
    CHECK_OK(name##_entry_or_insert(&entry, value));                           \
    CHECK(same(entry.key, key));                                               \
    CHECK(memcmp(entry.value, &value, sizeof value) == 0);                     \
    name##_entry_release(&entry);                                              \
    CHECK_OK(name##_get_mut(map, key, &write, NULL));                          \
    CHECK(same(write.key, key));                                               \
    CHECK_OK(name##_write_guard_downgrade(&write, &read));                     \
    CHECK(same(read.key, key));                                                \
    CHECK(memcmp(read.value, &value, sizeof value) == 0);                      \
    name##_read_guard_release(&read);                                          \
    CHECK_OK(name##_rename(map, key, other, NULL));                            \
    CHECK_OK(name##_get_ref(map, other, &read, NULL));                         \
    CHECK(same(read.key, other));                                              \
    name##_read_guard_release(&read);                                          \
    name##_destroy(map);                                                       \
  } while (0)

#define SAME_NUMBER(a, b) ((a) == (b))
#define SAME_POINT(a, b)  ((a).x == (b).x && (a).y == (b).y)
#define SAME_BYTES(a, b)                                                       \
  ((a).size == (b).size && memcmp((a).data, (b).data, (a).size) == 0)
#define SAME_STRING(a, b) (strcmp((a), (b)) == 0)

static void keys_of_every_kind(void **state)
{
  const struct point here = {1, -2}, there = {3, 4};
  static const char long_key[] = "a key that is too long to lie in the slot";

  (void)state;
  EACH_KIND(counts, 5, 6, 77, SAME_NUMBER);
  EACH_KIND(squares, UINT64_MAX, 0, here, SAME_NUMBER);
  EACH_KIND(slices, cmap_key_bytes("a\0b", 3), cmap_key_bytes(long_key, 40),
            2.5, SAME_BYTES);
  EACH_KIND(places, here, there, account_of(6), SAME_POINT);
  EACH_KIND(bank, long_key, "", account_of(7), SAME_STRING);
  checks_assert();
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(read_guards),
      cmocka_unit_test(write_guards),
      cmocka_unit_test(entries),
      cmocka_unit_test(entries_that_hold_nothing),
      cmocka_unit_test(no_map),
      cmocka_unit_test(several_maps_of_several_types),
      cmocka_unit_test(add_or_update),
      cmocka_unit_test(keys_of_every_kind),
  };

  return cmocka_run_group_tests_name("typed_guards", tests, NULL, NULL);
}
