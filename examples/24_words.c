/*
 * Counts the words of the standard input with four threads, and prints how
 * often each comes, in no particular order.
 */
#include <cmap.h>
#include <pthread.h>
#include <stdio.h>

CMAP_DEFINE(tally, CMAP_STRING, uint64_t);
static struct tally tally;

/* Whatever fails, it ends before the end of the input. */
static void *count(void *unused)
{
  char word[100];

  while (scanf("%99s", word) == 1 && tally_increase(tally, word, 1) == CMAP_OK)
    continue;
  return unused;
}

static enum cmap_status print(const char *word, const uint64_t *n, void *out)
{
  return cmap_status_user(fprintf(out, "%ju %s\n", (uintmax_t)*n, word) < 0);
}

int main(void)
{
  pthread_t threads[4];
  bool good = tally_create(NULL, &tally) == CMAP_OK;

  for (int i = 0; i < 4; i++)
    good = pthread_create(&threads[i], NULL, count, NULL) == 0 && good;
  for (int i = 0; i < 4; i++)
    pthread_join(threads[i], NULL);
  good = good && feof(stdin) && tally_each(tally, print, stdout) == CMAP_OK;
  tally_destroy(tally);
  return !good;
}
