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
  places_destroy(somewhere);
  bank_destroy(accounts);
  return good && map + key + value + how == 0;
}

} // namespace

int main()
{
  if (!all_is_well()) {
    std::puts("wrong");
    return 1;
  }
  std::puts("typed ok");
  return 0;
}
