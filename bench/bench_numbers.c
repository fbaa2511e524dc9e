/*
 * Keys, chance, medians, memory: the arithmetic.
 */
#include "harness.h"

#include <math.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

/* Memory from this size on is mapped. */
#define MAPPED_MIN ((size_t)65536)

/*
 * Odd multipliers and shifts are bijections: no two keys are alike. Keys of
 * even and odd i are the present and the absent ones.
 */
uint64_t bench_key(uint64_t i)
{
  i *= UINT64_C(0x9e3779b97f4a7c15);
  i ^= i >> 32;
  i *= UINT64_C(0xd6e8feb86659fd93);
  return i ^ i >> 29;
}

uint64_t bench_random(uint64_t *state)
{
  uint64_t x = *state;

  x ^= x << 13;
  x ^= x >> 7;
  x ^= x << 17;
  return *state = x;
}

uint64_t bench_now_ns(void)
{
  struct timespec now;

  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static int compare(const void *a, const void *b)
{
  double x = *(const double *)a;
  double y = *(const double *)b;

  return (x > y) - (x < y);
}

double bench_median(double *numbers, size_t n)
{
  if (n == 0)
    return 0;
  qsort(numbers, n, sizeof *numbers, compare);
  if (n % 2 == 1)
    return numbers[n / 2];
  return (numbers[n / 2 - 1] + numbers[n / 2]) / 2;
}

/* In front of each part of memory. */
union head {
  size_t mapped; /* bytes with the head; 0: from malloc */
  char line[64]; /* keeps what follows aligned */
};

void *bench_alloc(size_t count, size_t size)
{
  union head *head = NULL;
  size_t bytes = count * size + sizeof *head;

  if (count > (SIZE_MAX - sizeof *head) / size)
    bytes = SIZE_MAX;
  if (bytes < MAPPED_MIN) {
    head = calloc(1, bytes);
  } else if (bytes < SIZE_MAX) {
    head = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    head = head == MAP_FAILED ? NULL : head;
  }
  if (head == NULL) {
    fputs("cmap_bench: out of memory\n", stderr);
    exit(1);
  }
  head->mapped = bytes < MAPPED_MIN ? 0 : bytes;
  return head + 1;
}

void bench_free(const void *memory)
{
  union head *head = (union head *)(uintptr_t)memory;

  if (head == NULL)
    return;
  head--;
  if (head->mapped > 0)
    munmap(head, head->mapped);
  else
    free(head);
}

/* Sums of the chances of all ranks up to each, of the last n and exponent. */
static struct {
  double *sums;
  size_t n;
  double exponent;
} zipf;

size_t bench_zipf(size_t n, double exponent, uint64_t *state)
{
  size_t low = 0;
  size_t high = n - 1;
  double want;

  if (zipf.n != n || zipf.exponent < exponent || zipf.exponent > exponent) {
    double sum = 0;
    bench_free(zipf.sums);
    zipf.sums = bench_alloc(n, sizeof *zipf.sums);
    for (size_t i = 0; i < n; i++)
      zipf.sums[i] = sum += 1 / pow((double)(i + 1), exponent);
    zipf.n = n;
    zipf.exponent = exponent;
  }
  /* The upper 53 bits: as many as a double holds. */
  want = (double)(bench_random(state) >> 11) * 0x1p-53 * zipf.sums[n - 1];
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    if (zipf.sums[middle] < want)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

size_t bench_resident(void)
{
  FILE *file = fopen("/proc/self/statm", "r");
  unsigned long pages = 0;

  if (file == NULL)
    return 0;
  if (fscanf(file, "%*u %lu", &pages) != 1)
    pages = 0;
  fclose(file);
  return pages * (size_t)sysconf(_SC_PAGESIZE);
}
