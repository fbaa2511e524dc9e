// A typed map in C++: the same macro, the same calls; typed_cxx.sh compiles,
// links and runs this.
#include <cmap.h>

#include <cstdint>
#include <cstdio>
#include <cstring>

namespace
{

// The wrappers' parameters must not shadow these.
int map, key, value, how;

struct account {
  std::int64_t cents;
  std::uint64_t visits;
};

struct point {
  std::int32_t x;
  std::int32_t y;
};

CMAP_DEFINE(bank, CMAP_STRING, account);
CMAP_DEFINE(numbers, CMAP_U64, std::uint32_t);
CMAP_DEFINE(small, CMAP_U32, const char *);
CMAP_DEFINE(slices, CMAP_BYTES, bool);
CMAP_DEFINE_FIXED(places, point, double);
CMAP_DEFINE_STORE(accounts_by_name, CMAP_STRING, account);
CMAP_DEFINE_STORE_FIXED(accounts_by_place, point, account);

enum cmap_status open_account(const char *, account **object, void *ctx)
{
  *object = static_cast<account *>(ctx);
  return CMAP_OK;
}

#ifdef __cpp_exceptions
enum cmap_status throw_it(const char *, account **, void *)
{
  throw 7;
}
#endif

bool stores_work()
{
  accounts_by_name store = CMAP_INIT;
  accounts_by_name_handle handle = CMAP_INIT;
  account ada = {100, 0};
  bool good;

  good = accounts_by_name_create(nullptr, &store) == CMAP_OK &&
         accounts_by_name_get_or_create(store, "ada", &handle, open_account,
                                        &ada, nullptr) == CMAP_OK &&
         handle.object == &ada && handle.object->cents == 100 &&
         accounts_by_name_handle_origin(&handle) == CMAP_BUILT;
  accounts_by_name_handle_release(&handle);
#ifdef __cpp_exceptions
  try {
    (void)!accounts_by_name_get_or_create(store, "bob", &handle, throw_it,
                                          nullptr, nullptr);
    good = false;
  } catch (int thrown) {
    good = good && thrown == 7 && handle.object == nullptr;
  }
#endif
  return good && accounts_by_name_destroy(store) == CMAP_OK;
}

struct deposit {
  std::int64_t cents;
  unsigned calls;
};

enum cmap_status add(const char *owner, account *to, void *ctx)
{
  deposit *from = static_cast<deposit *>(ctx);

  if (std::strcmp(owner, "ada") != 0)
    return CMAP_EINVAL;
  to->cents += from->cents;
  from->calls++;
  return CMAP_OK;
}

// The short forms, several keys, and what is released by itself.
bool short_forms(bank accounts)
{
  const char *const names[] = {"ada", "bob"};
  CMAP_AUTO(bank_write_guard, guard);
  account found = {0, 0};

  if (bank_put(accounts, "bob", account{7, 0}) != CMAP_OK ||
      bank_put_new(accounts, "bob", account{8, 0}) != CMAP_EXISTS ||
      bank_find(accounts, "bob", &found) != CMAP_OK || found.cents != 7)
    return false;
  {
    CMAP_AUTO(cmap_multi, held);
    if (bank_lock_keys(accounts, names, 2, CMAP_WRITE, &held, nullptr) !=
        CMAP_OK)
      return false;
    bank_multi_value(&held, 0)->cents -= 5;
    bank_multi_value(&held, 1)->cents += 5;
  }
  if (bank_write(accounts, "bob", &guard) != CMAP_OK ||
      guard.value->cents != 12 || bank_drop(accounts, "ada") != CMAP_EDEADLK)
    return false;
  bank_write_guard_release(&guard);
  guard.value = nullptr;
  bank_drop(accounts, "bob");
  return !bank_has(accounts, "bob");
}

// Keys by value; a callback of an untyped call, which must not throw.
bool untyped(bank accounts)
{
  std::uint64_t seven = 7, total = 0;
  struct cmap_options options;
  struct cmap *numbered;
  bool good;

  cmap_options_init(&options, CMAP_U64, sizeof seven);
  if (cmap_create(&options, &numbered) != CMAP_OK)
    return false;
  good = cmap_insert(numbered, CMAP_KEY_U64(7), &seven, nullptr, nullptr,
                     nullptr) == CMAP_OK &&
         cmap_contains(numbered, CMAP_KEY_U64(8), nullptr) == CMAP_NOT_FOUND &&
         cmap_view_all(
             numbered,
             [](struct cmap_key id, const void *, void *ctx) noexcept {
               *static_cast<std::uint64_t *>(ctx) += cmap_key_as_u64(id);
               return CMAP_OK;
             },
             &total, nullptr) == CMAP_OK &&
         total == 7;
  cmap_remove(numbered, CMAP_KEY_U64(7), nullptr, nullptr);
  cmap_ignore(bank_clear(accounts, nullptr));
  cmap_destroy(numbered);
  return good;
}

bool all_is_well()
{
  bank accounts = CMAP_INIT;
  places somewhere = CMAP_INIT;
  account found = {0, 0};
  deposit five = {5, 0};
  double height = 0;
  bool good;

  good =
      bank_create(nullptr, &accounts) == CMAP_OK &&
      places_create(nullptr, &somewhere) == CMAP_OK &&
      bank_insert(accounts, "ada", account{100, 0}, nullptr, nullptr,
                  nullptr) == CMAP_OK &&
      bank_alter(accounts, "ada", add, &five, nullptr) == CMAP_OK &&
      bank_alter(
          accounts, "ada",
          [](const char *, account *to, void *) {
            to->visits++;
            return CMAP_OK;
          },
          nullptr, nullptr) == CMAP_OK &&
      bank_alter(accounts, "ada", nullptr, nullptr, nullptr) == CMAP_EINVAL &&
      bank_get(accounts, "ada", &found, nullptr) == CMAP_OK &&
      found.cents == 105 && found.visits == 1 && five.calls == 1 &&
      places_insert(somewhere, point{1, 2}, 8.5, nullptr, nullptr, nullptr) ==
          CMAP_OK &&
      places_get(somewhere, point{1, 2}, &height, nullptr) == CMAP_OK &&
      height > 8 && bank_len(accounts) + places_len(somewhere) == 2;
  good = good && short_forms(accounts) && untyped(accounts);
  places_destroy(somewhere);
  bank_destroy(accounts);
  return good && map + key + value + how == 0;
}

} // namespace

int main()
{
  if (!all_is_well() || !stores_work()) {
    std::puts("wrong");
    return 1;
  }
  std::puts("typed ok");
  return 0;
}
