/*
 * What is measured on single calls and single maps: pauses and memory.
 */
#include "harness.h"

#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmap.h>

/* Percentiles of one round of inserts, in ns. */
struct pauses {
  uint32_t p50, p999, p99999, max;
  bool ok;
};

static int compare(const void *a, const void *b)
{
  uint32_t x = *(const uint32_t *)a;
  uint32_t y = *(const uint32_t *)b;

  return (x > y) - (x < y);
}

static struct pauses pause_round(size_t keys)
{
  struct pauses pauses = {.ok = false};
  uint32_t *ns = malloc(keys * sizeof *ns);
  struct cmap_options options;
  struct cmap *map;
  size_t len;

  if (ns == NULL)
    return pauses;
  memset(ns, 0, keys * sizeof *ns); /* no page faults while measuring */
  cmap_options_init(&options, CMAP_U64, sizeof(uint64_t));
  if (cmap_create(&options, &map) != CMAP_OK)
    return pauses;
  for (size_t i = 0; i < keys; i++) {
    uint64_t key = bench_key(i);
    uint64_t begin = bench_now_ns();
    uint64_t took;
    if (cmap_insert(map, cmap_key_u64(&key), &key, NULL, NULL, NULL) != CMAP_OK)
      return pauses;
    took = bench_now_ns() - begin;
    ns[i] = took > UINT32_MAX ? UINT32_MAX : (uint32_t)took;
  }
  pauses.ok = cmap_len_exact(map, &len, NULL) == CMAP_OK && len == keys;
  qsort(ns, keys, sizeof *ns, compare);
  pauses.p50 = ns[keys / 2];
  pauses.p999 = ns[keys - 1 - keys / 1000];
  pauses.p99999 = ns[keys - 1 - keys / 100000];
  pauses.max = ns[keys - 1];
  cmap_destroy(map);
  free(ns);
  return pauses;
}

/* One round in a child process: a fresh heap every time. */
static struct pauses pause_child(size_t keys)
{
  struct pauses pauses = {.ok = false};
  int ends[2];
  pid_t child;

  if (pipe(ends) != 0)
    return pauses;
  child = fork();
  if (child == 0) {
    pauses = pause_round(keys);
    _exit(write(ends[1], &pauses, sizeof pauses) != sizeof pauses);
  }
  close(ends[1]);
  if (child < 0 || read(ends[0], &pauses, sizeof pauses) != sizeof pauses)
    pauses.ok = false;
  close(ends[0]);
  if (child > 0)
    waitpid(child, NULL, 0);
  return pauses;
}

bool bench_pause(size_t keys, unsigned rounds, const char *csv)
{
  double *columns[4];
  double median[4];

  for (int c = 0; c < 4; c++) {
    columns[c] = malloc(rounds * sizeof *columns[c]);
    if (columns[c] == NULL)
      return false;
  }
  for (unsigned r = 0; r < rounds; r++) {
    struct pauses pauses = pause_child(keys);
    if (!pauses.ok)
      return false;
    columns[0][r] = pauses.p50;
    columns[1][r] = pauses.p999;
    columns[2][r] = pauses.p99999;
    columns[3][r] = pauses.max;
  }
  for (int c = 0; c < 4; c++) {
    median[c] = bench_median(columns[c], rounds);
    free(columns[c]);
  }
  printf("pause: %zu single inserts, ns (medians of %u rounds)\n"
         "  p50 %.0f   p99.9 %.0f   p99.999 %.0f   slowest %.0f\n\n",
         keys, rounds, median[0], median[1], median[2], median[3]);
  if (csv != NULL) {
    FILE *file =
        bench_csv(csv, "workload,keys,impl,p50_ns,p999_ns,p99999_ns,max_ns");
    fprintf(file, "pause,%zu,cmap,%.0f,%.0f,%.0f,%.0f\n", keys, median[0],
            median[1], median[2], median[3]);
    fclose(file);
  }
  return true;
}

/* Bytes that the map has from its allocator. */
static atomic_size_t live_bytes;

static void *counted_alloc(size_t size, size_t align, void *ctx)
{
  size_t unit = align < sizeof(void *) ? sizeof(void *) : align;
  void *memory = aligned_alloc(unit, (size + unit - 1) / unit * unit);

  (void)ctx;
  if (memory != NULL)
    live_bytes += size;
  return memory;
}

static void counted_free(void *memory, size_t size, size_t align, void *ctx)
{
  (void)align;
  (void)ctx;
  live_bytes -= size;
  free(memory);
}

/* Sizes in steps of equal ratio from 1 M to 10 M, both included. */
#define SIZES 16

static size_t size_at(unsigned i)
{
  return (size_t)llround(1e6 * pow(10, (double)i / (SIZES - 1)));
}

bool bench_memory(const char *csv)
{
  struct cmap_options options;
  struct cmap *map;
  double sum = 0;
  double worst = 0;
  size_t i = 0;

  cmap_options_init(&options, CMAP_U64, sizeof(uint64_t));
  options.allocator.alloc = counted_alloc;
  options.allocator.free = counted_free;
  if (cmap_create(&options, &map) != CMAP_OK)
    return false;
  printf("memory: u64 -> u64, one by one from empty\n"
         "  empty map %zu bytes\n",
         (size_t)live_bytes);
  for (unsigned s = 0; s <= SIZES; s++) {
    size_t size = s == 0 ? 1000 : size_at(s - 1);
    double each;
    for (; i < size; i++) {
      uint64_t key = bench_key(i);
      if (cmap_insert(map, cmap_key_u64(&key), &key, NULL, NULL, NULL) !=
          CMAP_OK)
        return false;
    }
    each = (double)live_bytes / (double)size;
    printf("  %9zu entries %6.2f bytes each\n", size, each);
    if (s > 0) {
      sum += each;
      worst = each > worst ? each : worst;
    }
    if (csv != NULL) {
      FILE *file = bench_csv(csv, "workload,keys,threads,impl,rounds,median_"
                                  "mops,min_mops,max_mops,bytes_per_entry");
      fprintf(file, "memory,%zu,1,cmap,1,,,,%.2f\n", size, each);
      fclose(file);
    }
  }
  printf("  1 M to 10 M: average %.2f, worst %.2f bytes an entry\n\n",
         sum / SIZES, worst);
  cmap_destroy(map);
  return live_bytes == 0;
}
