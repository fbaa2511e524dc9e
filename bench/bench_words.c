/*
 * The words of a folder: runs of letters, digits and underscores.
 *
 * Files are read in the order of their names, so that two runs on one machine
 * see the same text. What is read is limited; a folder that has less is gone
 * through again.
 */
#include "harness.h"

#include <ctype.h>
#include <ftw.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* Words of a run: two rounds a second for a map with a slow hash. */
#define WORDS_MAX   ((size_t)3000000)
/* Fewer would be over too soon for the clock. */
#define WORDS_MIN   ((size_t)1000000)
/* Open folders of nftw(). */
#define FOLDERS_MAX 16

/* Names of the files, gathered by a callback that has no argument of ours. */
static struct {
  char **names;
  size_t count;
  size_t room;
} files;

static int add_file(const char *path, const struct stat *status, int type,
                    struct FTW *place)
{
  (void)place;
  if (type != FTW_F || !S_ISREG(status->st_mode))
    return 0;
  if (files.count == files.room) {
    char **names = bench_alloc(2 * files.room + 64, sizeof *names);
    if (files.count > 0)
      memcpy(names, files.names, files.count * sizeof *names);
    bench_free(files.names);
    files.names = names;
    files.room = 2 * files.room + 64;
  }
  files.names[files.count] = strdup(path);
  if (files.names[files.count] == NULL)
    return 1;
  files.count++;
  return 0;
}

static int compare(const void *a, const void *b)
{
  return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The whole file, NULL if it cannot be read. Words go on pointing into it. */
static char *read_file(const char *path, size_t *size)
{
  FILE *file = fopen(path, "rb");
  char *text = NULL;
  long end;

  if (file == NULL)
    return NULL;
  if (fseek(file, 0, SEEK_END) == 0 && (end = ftell(file)) > 0) {
    rewind(file);
    text = bench_alloc((size_t)end, 1);
    *size = fread(text, 1, (size_t)end, file);
  }
  fclose(file);
  return text;
}

static bool is_word(char c)
{
  return isalnum((unsigned char)c) || c == '_';
}

static void add_words(struct bench_words *words, const char *text, size_t size)
{
  size_t i = 0;

  while (i < size && words->count < WORDS_MAX) {
    size_t first;
    while (i < size && !is_word(text[i]))
      i++;
    first = i;
    while (i < size && is_word(text[i]))
      i++;
    if (i > first) {
      words->all[words->count].data = text + first;
      words->all[words->count++].size = i - first;
    }
  }
}

static uint64_t hash(const struct bench_string *word)
{
  uint64_t sum = word->size;

  for (size_t i = 0; i < word->size; i++)
    sum = bench_key(sum + (unsigned char)word->data[i]);
  return sum;
}

/* A table of twice as many places as there are words, searched linearly. */
static void find_distinct(struct bench_words *words)
{
  size_t places = 2 * words->count + 1;
  uint32_t *table = bench_alloc(places, sizeof *table); /* index + 1 */

  words->distinct = bench_alloc(words->count, sizeof *words->distinct);
  for (size_t i = 0; i < words->count; i++) {
    const struct bench_string *word = &words->all[i];
    size_t at = hash(word) % places;
    while (table[at] != 0) {
      const struct bench_string *other = &words->distinct[table[at] - 1];
      if (other->size == word->size &&
          memcmp(other->data, word->data, word->size) == 0)
        break;
      at = (at + 1) % places;
    }
    if (table[at] == 0) {
      words->distinct[words->distinct_count++] = *word;
      table[at] = (uint32_t)words->distinct_count;
    }
  }
  bench_free(table);
}

static void read_words(struct bench_words *words)
{
  nftw(words->folder, add_file, FOLDERS_MAX, FTW_PHYS);
  qsort(files.names, files.count, sizeof *files.names, compare);
  words->all = bench_alloc(WORDS_MAX, sizeof *words->all);
  for (size_t i = 0; i < files.count && words->count < WORDS_MAX; i++) {
    size_t size = 0;
    char *text = read_file(files.names[i], &size);
    if (text != NULL)
      add_words(words, text, size);
  }
  if (words->count == 0) {
    fprintf(stderr, "cmap_bench: found no words below %s\n", words->folder);
    exit(1);
  }
  find_distinct(words);
  for (size_t n = words->count; words->count < WORDS_MIN; words->count += n)
    memcpy(words->all + words->count, words->all, n * sizeof *words->all);
}

const struct bench_words *bench_words(void)
{
  static struct bench_words words;

  if (words.folder == NULL) {
    words.folder = getenv("CMAP_BENCH_TREE");
    if (words.folder == NULL)
      words.folder = "/usr/include";
    read_words(&words);
  }
  return &words;
}
