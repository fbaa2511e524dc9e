/* What wordcount prints: the sorted list, errors, the progress line. */
#include "wordcount.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Back to the first column, and wipe the line. */
#define WIPE "\r\033[K"

/* Is there a progress line to wipe away before anything else is written? */
static atomic_bool progress_shown;

/* A word of the map, copied out. */
struct entry {
  uint64_t count;
  const char *word;
};

/* The entries, and room for their words. */
struct list {
  struct entry *entries;
  char *text;
  size_t count;
  size_t text_size;
};

static enum cmap_status measure(struct cmap_key word, const uint64_t *count,
                                void *ctx)
{
  struct list *list = ctx;

  (void)count;
  list->count++;
  list->text_size += word.size + 1;
  return CMAP_OK;
}

static enum cmap_status copy(struct cmap_key word, const uint64_t *count,
                             void *ctx)
{
  struct list *list = ctx;
  struct entry *entry = &list->entries[list->count++];

  entry->count = *count;
  entry->word = memcpy(list->text + list->text_size, word.data, word.size + 1);
  list->text_size += word.size + 1;
  return CMAP_OK;
}

static int compare(const void *a, const void *b)
{
  const struct entry *x = a;
  const struct entry *y = b;

  if (x->count != y->count)
    return x->count > y->count ? -1 : 1;
  return strcmp(x->word, y->word);
}

/* Measured, then copied: nobody writes to the map any more. */
static bool fill(struct list *list, struct tally tally)
{
  enum cmap_status status = tally_view_all(tally, measure, list, NULL);

  if (status == CMAP_OK) {
    list->entries = calloc(list->count + 1, sizeof *list->entries);
    list->text = malloc(list->text_size + 1);
    if (list->entries == NULL || list->text == NULL)
      status = CMAP_ENOMEM;
  }
  list->count = 0;
  list->text_size = 0;
  if (status == CMAP_OK)
    status = tally_view_all(tally, copy, list, NULL);
  if (status != CMAP_OK)
    report_error("sorting", cmap_status_text(status));
  return status == CMAP_OK;
}

bool report_words(struct tally tally, size_t top)
{
  struct list list = {NULL, NULL, 0, 0};
  bool ok = fill(&list, tally);

  if (ok) {
    qsort(list.entries, list.count, sizeof *list.entries, compare);
    for (size_t i = 0; i < list.count && i < top && !ferror(stdout); i++)
      printf("%" PRIu64 "\t%s\n", list.entries[i].count, list.entries[i].word);
    ok = fflush(stdout) == 0 && !ferror(stdout);
    if (!ok)
      report_error("standard output", strerror(errno));
  }
  free(list.text);
  free(list.entries);
  return ok;
}

void report_error(const char *what, const char *why)
{
  const char *wipe = atomic_load(&progress_shown) ? WIPE : "";

  fprintf(stderr, "%swordcount: %s: %s\n", wipe, what, why);
}

void report_progress(struct job *job)
{
  size_t taken = atomic_load_explicit(&job->next_file, memory_order_relaxed);
  uint_fast64_t words = atomic_load_explicit(&job->words, memory_order_relaxed);

  if (taken > job->files.count)
    taken = job->files.count;
  atomic_store(&progress_shown, true);
  fprintf(stderr, WIPE "%zu of %zu files, %" PRIuFAST64 " words", taken,
          job->files.count, words);
  fflush(stderr);
}

void report_progress_end(void)
{
  if (atomic_exchange(&progress_shown, false))
    fputs(WIPE, stderr);
}
