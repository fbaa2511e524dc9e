/*
 * Two threads move money in opposite directions: nobody sees it in both
 * accounts or in neither, and they never wait in a circle.
 * Prints
 *     ada 1000, bob 1000
 */
#include <cmap.h>
#include <pthread.h>
#include <stdio.h>

CMAP_DEFINE(bank, CMAP_STRING, int);
static struct bank bank;

/* false: one of them has no account. */
static bool transfer(const char *from, const char *to, int cents)
{
  const char *const keys[] = {from, to};
  CMAP_AUTO(cmap_multi, held);

  if (bank_lock_keys(bank, keys, 2, CMAP_WRITE, &held, NULL) != CMAP_OK)
    return false;
  *bank_multi_value(&held, 0) -= cents;
  *bank_multi_value(&held, 1) += cents;
  return true;
}

static void *run(void *from)
{
  for (int i = 0; i < 1000; i++)
    transfer(from, strcmp(from, "ada") == 0 ? "bob" : "ada", 1);
  return NULL;
}

int main(void)
{
  int ada = 0, bob = 0;
  pthread_t thread;
  bool good = bank_create(NULL, &bank) == CMAP_OK &&
              bank_put(bank, "ada", 1000) == CMAP_OK &&
              bank_put(bank, "bob", 1000) == CMAP_OK &&
              pthread_create(&thread, NULL, run, "ada") == 0;

  if (good && run("bob") == NULL && pthread_join(thread, NULL) == 0 &&
      bank_find(bank, "ada", &ada) + bank_find(bank, "bob", &bob) == 0)
    printf("ada %d, bob %d\n", ada, bob);
  bank_destroy(bank);
  return !good;
}
