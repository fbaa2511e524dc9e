/*
 * What runs in a cmap_store_get_many beside its constructor: whoever is told of
 * an object that has gone asks for a key of the very batch, and gets
 * CMAP_EDEADLK or the object; an error is a wait of a thread for itself, which
 * alarm() ends. Circles with other threads are found. And a cancellation
 * outside of the constructor waits until the call is over.
 */
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "asleep.h"
#include "settings.h"
#include "step.h"
#include "store_objects.h"
#include "threads.h"

enum { HANG_SECONDS = 20 };

static struct test_store t;
static uint64_t seconds; /* the store's clock */

/* What who is told of an object asks for; 0: nothing, or no more. */
static uint64_t wanted;
static enum cmap_status answer;

static uint64_t now(void *ctx)
{
  (void)ctx;
  return seconds;
}

static struct tracked *object_of(struct cmap_key key)
{
  return tracked_new(&t.lives, cmap_key_as_u64(key), 1);
}

static enum cmap_status build(struct cmap_key key, void **object, void *ctx)
{
  (void)ctx;
  *object = object_of(key);
  return CMAP_OK;
}

static enum cmap_status build_all(const struct cmap_key *keys, size_t n,
                                  void **objects, enum cmap_status *statuses,
                                  void *ctx)
{
  (void)statuses, (void)ctx;
  for (size_t i = 0; i < n; i++)
    objects[i] = object_of(keys[i]);
  return CMAP_OK;
}

static void ask(void)
{
  struct cmap_handle handle = CMAP_INIT;
  uint64_t id = wanted;

  if (id == 0)
    return;
  wanted = 0;
  answer = cmap_store_get_or_create(t.store, cmap_key_u64(&id), &handle, build,
                                    NULL, NULL);
  cmap_handle_release(&handle);
}

static void told(struct cmap_key key, void *object, enum cmap_removal reason,
                 void *ctx)
{
  (void)key, (void)object, (void)reason, (void)ctx;
  ask();
}

static void destroy_and_ask(void *object, void *ctx)
{
  (void)ctx;
  tracked_destroy(object);
  ask();
}

static void put(uint64_t id)
{
  CHECK_OK(cmap_store_put(t.store, cmap_key_u64(&id),
                          tracked_new(&t.lives, id, 0), NULL, NULL));
}

/* The store is prepared. */
static void begin(void)
{
  seconds = 0;
  wanted = 0;
  answer = CMAP_EXISTS; /* nothing was asked */
  t.options.clock = now;
  test_store_create(&t);
  alarm(HANG_SECONDS);
}

static void end(void)
{
  alarm(0);
  test_store_close(&t);
}

enum { N = 3 };

/* Of the keys 1 to 3. */
static enum cmap_status get_all(cmap_build_many_fn *fn, void *ctx)
{
  struct cmap_handle handles[N];
  enum cmap_status statuses[N], status;
  uint64_t ids[N];
  struct cmap_key keys[N];

  for (size_t i = 0; i < N; i++) {
    ids[i] = i + 1;
    keys[i] = cmap_key_u64(&ids[i]);
  }
  status =
      cmap_store_get_many(t.store, keys, N, handles, statuses, fn, ctx, NULL);
  for (size_t i = 0; i < N; i++) {
    if (statuses[i] == CMAP_OK)
      (void)store_object(&handles[i], ids[i]);
    cmap_handle_release(&handles[i]);
  }
  return status;
}

/* Key 2 has expired: its object goes while key 1 is this call's to build. */
static void before_the_constructor(void **state)
{
  (void)state;
  for (int destructor = 0; destructor < 2; destructor++) {
    test_store_prepare(&t, KEYS_U64);
    t.options.ttl_ns = 10;
    if (destructor)
      t.options.object_destroy = destroy_and_ask;
    else
      t.options.on_remove = told;
    begin();
    put(2);
    seconds = 11;
    wanted = 1;
    CHECK_OK(get_all(build_all, NULL));
    CHECK_STATUS(answer, CMAP_EDEADLK);
    end();
  }
}

/* Others are evicted as key 1 comes: 2 and 3 have not ended. */
static void behind_the_constructor(void **state)
{
  (void)state;
  for (uint64_t id = 1; id <= N; id++) {
    test_store_prepare(&t, KEYS_U64);
    t.options.max_objects = N;
    t.options.on_remove = told;
    begin();
    for (uint64_t other = 11; other < 11 + N; other++)
      put(other);
    wanted = id;
    CHECK_OK(get_all(build_all, NULL));
    CHECK_STATUS(answer, id == 1 ? CMAP_OK : CMAP_EDEADLK);
    end();
  }
}

static enum cmap_status expire_and_exit(const struct cmap_key *keys, size_t n,
                                        void **objects,
                                        enum cmap_status *statuses, void *ctx)
{
  (void)keys, (void)n, (void)objects, (void)statuses, (void)ctx;
  seconds = 11;
  wanted = 3;
  pthread_exit(NULL);
}

static void get_and_exit(unsigned index, void *ctx)
{
  (void)index, (void)ctx;
  cmap_ignore(get_all(expire_and_exit, NULL));
  CHECK_NEVER("the thread has ended");
}

/* The thread ends in it; as key 1 fails what is out of date goes. */
static void when_the_thread_ends(void **state)
{
  struct thread thread;

  (void)state;
  test_store_prepare(&t, KEYS_U64);
  t.options.ttl_ns = 10;
  t.options.on_remove = told;
  begin();
  put(11);
  thread_start(&thread, get_and_exit, 0, NULL);
  thread_join(&thread);
  CHECK_STATUS(answer, CMAP_EDEADLK);
  CHECK(store_stats(t.store).running == 0);
  CHECK(store_stats(t.store).abandoned == N);
  CHECK_OK(get_all(build_all, NULL));
  end();
}

/* ------------------------------------------------------------------------
 * Circles
 * ------------------------------------------------------------------------ */

enum { STEP_BUILDS = 1, STEP_WAITS };

static struct step steps;
static struct asleep other_waits;

/* Builds key 11, and asks for one of the batch of who waits for that. */
static enum cmap_status build_and_ask(struct cmap_key key, void **object,
                                      void *ctx)
{
  struct cmap_handle handle = CMAP_INIT;

  step_done(&steps, STEP_BUILDS);
  step_wait(&steps, STEP_WAITS);
  *(enum cmap_status *)ctx = cmap_store_get_or_create(
      t.store, CMAP_KEY_U64(1), &handle, build, NULL, NULL);
  cmap_handle_release(&handle);
  return build(key, object, NULL);
}

static void get_other(unsigned index, void *ctx)
{
  struct cmap_handle handle = CMAP_INIT;

  (void)index;
  CHECK_OK(cmap_store_get_or_create(t.store, CMAP_KEY_U64(11), &handle,
                                    build_and_ask, ctx, NULL));
  cmap_handle_release(&handle);
}

static void get_batch(unsigned index, void *ctx)
{
  (void)index, (void)ctx;
  asleep_here(&other_waits);
  CHECK_OK(get_all(build_all, NULL));
}

/* In the first step the call's thread waits for another one, and that for the
 * batch. */
static void circles_are_found(void **state)
{
  struct thread builder, batch;
  enum cmap_status got = CMAP_EXISTS;

  (void)state;
  test_store_prepare(&t, KEYS_U64);
  t.options.ttl_ns = 10;
  t.options.on_remove = told;
  begin();
  put(2);
  seconds = 11;
  step_begin(&steps);
  asleep_begin(&other_waits);
  thread_start(&builder, get_other, 0, &got);
  step_wait(&steps, STEP_BUILDS);
  wanted = 11;
  thread_start(&batch, get_batch, 0, NULL);
  asleep_wait(&other_waits);
  step_done(&steps, STEP_WAITS);
  thread_join(&builder);
  thread_join(&batch);
  step_end(&steps);
  CHECK_STATUS(got, CMAP_EDEADLK);
  CHECK_STATUS(answer, CMAP_OK);
  end();
}

/* ------------------------------------------------------------------------
 * Cancellation
 * ------------------------------------------------------------------------ */

static unsigned hashed;    /* so many keys were */
static unsigned cancel_at; /* 0: never */

static bool same_key(struct cmap_key stored, struct cmap_key key, void *ctx)
{
  (void)ctx;
  return memcmp(stored.data, key.data, key.size) == 0;
}

static uint64_t hash_key(struct cmap_key key, void *ctx)
{
  uint64_t id;

  (void)ctx;
  memcpy(&id, key.data, sizeof id);
  hashed++;
  if (cancel_at != 0 && hashed == cancel_at)
    CHECK(pthread_cancel(pthread_self()) == 0);
  pthread_testcancel();
  return id * UINT64_C(0x9e3779b97f4a7c15);
}

static enum cmap_status build_uncancelled(const struct cmap_key *keys, size_t n,
                                          void **objects,
                                          enum cmap_status *statuses, void *ctx)
{
  int before;

  CHECK(pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before) == 0);
  CHECK(before == PTHREAD_CANCEL_ENABLE);
  *(unsigned *)ctx = hashed;
  return build_all(keys, n, objects, statuses, NULL);
}

static void be_cancelled(unsigned index, void *ctx)
{
  unsigned in_constructor = 0;
  int before;

  hashed = 0;
  cancel_at = index;
  CHECK_OK(get_all(build_uncancelled, &in_constructor));
  CHECK(in_constructor == N);
  /* It may be cancelled as before; AddressSanitizer does not see that a
     cancelled stack unwinds. */
  CHECK(pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before) == 0);
  CHECK(before == PTHREAD_CANCEL_ENABLE);
  *(bool *)ctx = true;
}

/* With CMAP_CHECK a hash that the library knows is compared with another look.
 */
static void a_cancellation_waits(void **state)
{
  (void)state;
  for (unsigned at = 1; at <= 2 * N; at++) {
    struct thread thread;
    bool is_over = false;

    test_store_prepare(&t, KEYS_U64);
    t.options.keys.key_kind = CMAP_CUSTOM;
    t.options.keys.key_size = sizeof(uint64_t);
    t.options.keys.key_hash = hash_key;
    t.options.keys.key_equal = same_key;
    cancel_at = 0;
    begin();
    thread_start(&thread, be_cancelled, at, &is_over);
    thread_join(&thread);
    CHECK(is_over);
    CHECK(store_stats(t.store).running == 0);
    cancel_at = 0;
    CHECK_OK(get_all(build_all, NULL));
    end();
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(before_the_constructor),
      cmocka_unit_test(behind_the_constructor),
      cmocka_unit_test(when_the_thread_ends),
      cmocka_unit_test(circles_are_found),
      cmocka_unit_test(a_cancellation_waits),
  };

  return cmocka_run_group_tests_name("store_many_callbacks", tests, NULL, NULL);
}
