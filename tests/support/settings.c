#include "settings.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_SECOND UINT64_C(1000000000)

static pthread_once_t once = PTHREAD_ONCE_INIT;
static uint64_t seed;
static uint64_t scale;
static uint64_t soak_seconds;

static uint64_t number_from(const char *name, uint64_t otherwise)
{
  const char *text = getenv(name);

  return text && *text ? strtoull(text, NULL, 0) : otherwise;
}

static void read_environment(void)
{
  uint64_t fresh = test_now() * 2 + (uint64_t)getpid();

  seed = number_from("CMAP_TEST_SEED", fresh % 1000000007);
  scale = number_from("CMAP_TEST_SCALE", 100);
  soak_seconds = number_from("CMAP_TEST_SOAK_SECONDS", 0);
  fprintf(stderr, "CMAP_TEST_SEED=%llu\n", (unsigned long long)seed);
}

uint64_t test_scale_ns(uint64_t ns)
{
  uint64_t scaled;

  pthread_once(&once, read_environment);
  scaled = ns * scale / 100;
  return scaled ? scaled : 1;
}

size_t test_scale(size_t n)
{
  return (size_t)test_scale_ns(n);
}

uint64_t test_seed(void)
{
  pthread_once(&once, read_environment);
  return seed;
}

uint64_t test_now(void)
{
  struct timespec now;

  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * NS_PER_SECOND + (uint64_t)now.tv_nsec;
}

bool test_emulated(void)
{
  return number_from("CMAP_TEST_EMULATED", 0) != 0;
}

bool test_under_valgrind(void)
{
  const char *preloaded = getenv("LD_PRELOAD"); /* valgrind puts it there */

  return preloaded != NULL && strstr(preloaded, "/vgpreload_") != NULL;
}

uint64_t test_soak_seconds(void)
{
  pthread_once(&once, read_environment);
  return soak_seconds;
}

void soak_begin(struct soak *soak, unsigned tests)
{
  soak->end = test_now() + test_soak_seconds() * NS_PER_SECOND / tests;
}

bool soak_again(const struct soak *soak)
{
  return test_now() < soak->end;
}
