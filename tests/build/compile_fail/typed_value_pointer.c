/* Values go in by value: a pointer to one is refused. */
/* expect: incompatible type */
#include <cmap.h>

struct account {
  int64_t cents;
};

CMAP_DEFINE(bank, CMAP_STRING, struct account);

enum cmap_status put(struct bank bank, const struct account *value);

enum cmap_status put(struct bank bank, const struct account *value)
{
#ifdef CMAP_TEST_GOOD
  return bank_insert(bank, "key", *value, NULL, NULL, NULL);
#else
  return bank_insert(bank, "key", value, NULL, NULL, NULL);
#endif
}
