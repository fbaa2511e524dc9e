/*
 * One object of each name, made when it is first asked for. Making one takes a
 * second, and who wants another one should not notice.
 *
 *   wrong    the constructor runs under a map's lock (get_or_insert_with):
 *            "bar" waits until "foo" is made, though nobody wants "foo" twice
 *   right    a store: "bar" is there in microseconds
 *   hand on  a constructor fails; one of those who wait goes on with its own
 *
 * Prints
 *     wrong foo_ms=... bar_ms=...
 *     right foo_ms=... bar_us=... constructions foo=1 bar=1 callers=8
 *     handed_on constructions=2 failed=1 got=7
 */
#include <cmap.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { CALLERS = 8, SLOW_MS = 1000 };

struct object {
  char name[8];
};

static atomic_int made_foo, made_bar;
static sem_t foo_begun; /* posted by the constructor of "foo" */

static void must(enum cmap_status status)
{
  if (status == CMAP_OK)
    return;
  fprintf(stderr, "%s\n", cmap_status_text(status));
  exit(1);
}

static long long now_us(void)
{
  struct timespec now;

  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000000LL + now.tv_nsec / 1000;
}

/* Makes the object; only "foo" is slow. */
static struct object *make(struct cmap_key key)
{
  const struct timespec slow = {SLOW_MS / 1000, SLOW_MS % 1000 * 1000000L};
  struct object *object = calloc(1, sizeof *object);

  if (object == NULL)
    exit(1);
  memcpy(object->name, key.data, key.size);
  if (strcmp(object->name, "foo") == 0) {
    atomic_fetch_add(&made_foo, 1);
    sem_post(&foo_begun);
    nanosleep(&slow, NULL);
  } else {
    atomic_fetch_add(&made_bar, 1);
  }
  return object;
}

/* ---------------------------------------------------------------- wrong */

static struct cmap *map; /* struct object * by name */

/* Runs under the write lock of the key's shard, which has other keys too. */
static enum cmap_status make_under_lock(struct cmap_key key, void *value,
                                        void *ctx)
{
  struct object *object = make(key);

  (void)ctx;
  memcpy(value, &object, sizeof object);
  return CMAP_OK;
}

static void get_from_map(const char *name)
{
  struct object *object;

  must(cmap_get_or_insert_with(map, cmap_key_string(name), &object, NULL,
                               make_under_lock, NULL, NULL));
}

static enum cmap_status free_object(struct cmap_key key, const void *value,
                                    void *ctx)
{
  struct object *object;

  (void)key, (void)ctx;
  memcpy(&object, value, sizeof object);
  free(object);
  return CMAP_OK;
}

/* ---------------------------------------------------------------- right */

static struct cmap_store *store; /* struct object by name */

/* Runs with no lock held. */
static enum cmap_status build(struct cmap_key key, void **object, void *ctx)
{
  (void)ctx;
  *object = make(key);
  return CMAP_OK;
}

static void destroy(void *object, void *ctx)
{
  (void)ctx;
  free(object);
}

static void get_from_store(const char *name)
{
  CMAP_AUTO(cmap_handle, handle);

  must(cmap_store_get_or_create(store, cmap_key_string(name), &handle, build,
                                NULL, NULL));
}

/* ------------------------------------------------- both, with the clock */

typedef void get_fn(const char *name);

struct caller {
  pthread_t thread;
  get_fn *get;
  long long us; /* how long it took */
};

static void *call_foo(void *arg)
{
  struct caller *caller = arg;
  long long begin = now_us();

  caller->get("foo");
  caller->us = now_us() - begin;
  return NULL;
}

/* Several threads want "foo"; once it is being made, this one wants "bar". */
static void measure(get_fn *get, int callers, long long *foo_us,
                    long long *bar_us)
{
  struct caller foo[CALLERS];
  long long begin;

  for (int i = 0; i < callers; i++) {
    foo[i].get = get;
    if (pthread_create(&foo[i].thread, NULL, call_foo, &foo[i]) != 0)
      exit(1);
  }
  sem_wait(&foo_begun);
  begin = now_us();
  get("bar");
  *bar_us = now_us() - begin;
  for (int i = 0; i < callers; i++)
    pthread_join(foo[i].thread, NULL);
  *foo_us = foo[0].us;
}

/* ------------------------------------------------------------- hand on */

static atomic_int attempts;

/* The first one fails, when all the others wait for it. */
static enum cmap_status build_second_time(struct cmap_key key, void **object,
                                          void *ctx)
{
  (void)ctx;
  if (atomic_fetch_add(&attempts, 1) > 0)
    return build(key, object, NULL);
  while (cmap_store_waiters(store, key) < CALLERS - 1)
    nanosleep(&(struct timespec){0, 1000000}, NULL);
  return cmap_status_user(1); /* "no connection", say */
}

static void *call_flaky(void *arg)
{
  CMAP_AUTO(cmap_handle, handle);
  enum cmap_status *status = arg;

  *status = cmap_store_get_or_create(store, cmap_key_string("flaky"), &handle,
                                     build_second_time, NULL, NULL);
  return NULL;
}

static int hand_on(void)
{
  enum cmap_status results[CALLERS];
  pthread_t threads[CALLERS];
  int failed = 0, got = 0;

  for (int i = 0; i < CALLERS; i++) {
    if (pthread_create(&threads[i], NULL, call_flaky, &results[i]) != 0)
      exit(1);
  }
  for (int i = 0; i < CALLERS; i++) {
    pthread_join(threads[i], NULL);
    failed += results[i] == cmap_status_user(1);
    got += results[i] == CMAP_OK;
  }
  printf("handed_on constructions=%d failed=%d got=%d\n",
         atomic_load(&attempts), failed, got);
  return attempts == 2 && failed == 1 && got == CALLERS - 1;
}

int main(void)
{
  struct cmap_options options;
  struct cmap_store_options store_options;
  long long foo_us, bar_us;
  int right;

  sem_init(&foo_begun, 0, 0);
  cmap_options_init(&options, CMAP_STRING, sizeof(struct object *));
  must(cmap_create(&options, &map));
  measure(get_from_map, 1, &foo_us, &bar_us);
  printf("wrong foo_ms=%lld bar_ms=%lld\n", foo_us / 1000, bar_us / 1000);
  must(cmap_view_all(map, free_object, NULL, NULL));
  cmap_destroy(map);

  made_foo = made_bar = 0;
  cmap_store_options_init(&store_options, CMAP_STRING, destroy);
  must(cmap_store_create(&store_options, &store));
  measure(get_from_store, CALLERS, &foo_us, &bar_us);
  printf(
      "right foo_ms=%lld bar_us=%lld constructions foo=%d bar=%d callers=%d\n",
      foo_us / 1000, bar_us, atomic_load(&made_foo), atomic_load(&made_bar),
      CALLERS);
  right = made_foo == 1 && made_bar == 1 && bar_us < SLOW_MS * 1000LL;
  right = hand_on() && right;
  must(cmap_store_destroy(store));
  sem_destroy(&foo_begun);
  return right ? 0 : 1;
}
