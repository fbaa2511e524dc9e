/* A struct is no value of a map with values of another struct. */
/* expect: incompatible type */
#include <cmap.h>

struct account {
  int64_t cents;
};

struct person {
  int64_t age;
};

CMAP_DEFINE(bank, CMAP_STRING, struct account);

enum cmap_status put(struct bank bank);

enum cmap_status put(struct bank bank)
{
#ifdef CMAP_TEST_GOOD
  struct account value = {1};
#else
  struct person value = {1};
#endif
  return bank_insert(bank, "key", value, NULL, NULL, NULL);
}
