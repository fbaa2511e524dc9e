/*
 * All that threads can do with a store at once: batches, borrowed objects,
 * waits that others cancel, refreshes, put, remove, clear, maintain, reserve,
 * constructors that fail, that ask for more, and whose threads end; in stores
 * without and with bounds and times, by a clock of the test's (cache_mix.h).
 *
 * Every object is alive as long as somebody has it, destroyed once, and told of
 * once; no two constructors are at work for a key whose construction was not
 * taken out; nobody hangs.
 */
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

#include "cache_mix.h"
#include "settings.h"
#include "threads.h"

#define MOST_THREADS 16
#define KEYS         8
#define DEPTH        2
#define BATCH        5
#define OPERATIONS   800
#define RUN_NS       (UINT64_C(6000) * 1000000)

struct slot {
  unsigned index;
  struct random random;
  unsigned depth; /* constructors that it is in */
  size_t left;    /* operations */
  struct thread thread;
};

static struct slot slots[MOST_THREADS];
static unsigned thread_count;
static struct test_store t;
static atomic_uint versions;
static atomic_ullong begun;       /* constructions */
static atomic_uint at_work[KEYS]; /* constructors of the key */
/* In this round constructions are taken out, or begin while an object is there:
   two may be at work for a key. */
static bool takes_out;
static struct cmap_token *tokens[MOST_THREADS]; /* guarded by: */
static pthread_mutex_t tokens_mutex = PTHREAD_MUTEX_INITIALIZER;

#define KEY(key) cmap_key_u64(&(uint64_t){key})

static void operate(struct slot *s);

static struct tracked *new_object(uint64_t key)
{
  return tracked_new(&t.lives, key, atomic_fetch_add(&versions, 1));
}

static bool may_go_on(void)
{
  return atomic_load(&versions) < CACHE_MIX_OBJECTS - 1000 && !checks_failed();
}

static void check_object(void *object, uint64_t key)
{
  CHECK(tracked_is_alive(object) && ((struct tracked *)object)->id == key);
}

/* ------------------------------------------------------------------------
 * Constructors
 * ------------------------------------------------------------------------ */

/* What happens in one, before it has made anything. */
static void dawdle(struct slot *s)
{
  s->depth++;
  for (uint64_t n = random_below(&s->random, 4); n > 0; n--)
    sched_yield();
  if (s->depth <= DEPTH && random_once_in(&s->random, 3))
    operate(s);
  s->depth--;
}

struct work {
  const struct cmap_key *keys;
  size_t n;
};

static void begin_work(const struct work *work)
{
  atomic_fetch_add(&begun, work->n);
  for (size_t i = 0; i < work->n; i++) {
    unsigned others =
        atomic_fetch_add(&at_work[cmap_key_as_u64(work->keys[i])], 1);
    CHECK(others == 0 || takes_out);
  }
}

/* Also if the thread ends in a constructor inside. */
static void end_work(void *ctx)
{
  const struct work *work = ctx;

  for (size_t i = 0; i < work->n; i++)
    atomic_fetch_sub(&at_work[cmap_key_as_u64(work->keys[i])], 1);
}

static enum cmap_status build_many(const struct cmap_key *keys, size_t n,
                                   void **objects, enum cmap_status *statuses,
                                   void *ctx)
{
  struct work work = {keys, n};
  struct slot *s = ctx;
  uint64_t way = random_below(&s->random, 60);

  begin_work(&work);
  pthread_cleanup_push(end_work, &work);
  dawdle(s);
  pthread_cleanup_pop(1);
  if (way == 0)
    pthread_exit(NULL);
  if (way < 10)
    return cmap_status_user(1);
  for (size_t i = 0; i < n; i++) {
    if (random_once_in(&s->random, 5))
      statuses[i] = cmap_status_user(2);
    else
      objects[i] = new_object(cmap_key_as_u64(keys[i]));
  }
  return CMAP_OK;
}

static enum cmap_status build(struct cmap_key key, void **object, void *ctx)
{
  enum cmap_status own = CMAP_OK;
  enum cmap_status status = build_many(&key, 1, object, &own, ctx);

  return own != CMAP_OK ? own : status;
}

/* ------------------------------------------------------------------------
 * Waits, and what ends them
 * ------------------------------------------------------------------------ */

/* The thread's token; a new one if the last was cancelled. Not in a
 * constructor, whose outer call has it. */
static struct cmap_token *own_token(struct slot *s)
{
  struct cmap_token **own = &tokens[s->index];
  struct cmap_token *token;

  pthread_mutex_lock(&tokens_mutex);
  if (s->depth == 0 && *own != NULL && cmap_token_is_canceled(*own)) {
    CHECK_OK(cmap_token_destroy(*own));
    *own = NULL;
  }
  if (*own == NULL)
    CHECK_OK(cmap_token_create(own));
  token = *own;
  pthread_mutex_unlock(&tokens_mutex);
  return token;
}

static void cancel_another(struct slot *s)
{
  unsigned index = (unsigned)random_below(&s->random, thread_count);

  pthread_mutex_lock(&tokens_mutex);
  cmap_token_cancel(tokens[index]);
  pthread_mutex_unlock(&tokens_mutex);
}

static void choose_how(struct slot *s, struct cmap_how *how)
{
  how->size = sizeof *how;
  if (random_once_in(&s->random, 2)) {
    how->flags |= CMAP_TOKEN;
    how->token = own_token(s);
  }
  if (random_once_in(&s->random, 8)) {
    how->flags |= CMAP_DEADLINE;
    how->deadline_ns = test_now() + random_below(&s->random, 100000);
  }
  if (random_once_in(&s->random, 16))
    how->flags |= CMAP_TRY;
  if (random_once_in(&s->random, 4))
    how->flags |=
        random_once_in(&s->random, 2) ? CMAP_SHARE_FAILURE : CMAP_RETRY_FAILURE;
}

static void check_result(const struct slot *s, enum cmap_status status,
                         const struct cmap_how *how)
{
  switch (status) {
  case CMAP_BUSY:
    CHECK(how->flags & CMAP_TRY);
    break;
  case CMAP_TIMEDOUT:
    CHECK(how->flags & CMAP_DEADLINE);
    break;
  case CMAP_ECANCELED:
    CHECK((how->flags & CMAP_TOKEN) && cmap_token_is_canceled(how->token));
    break;
  case CMAP_EDEADLK:
    CHECK(s->depth > 0);
    break;
  default:
    CHECK(status == CMAP_OK || status == CMAP_EABANDONED || status == 1 ||
          status == 2);
  }
}

/* ------------------------------------------------------------------------
 * Calls
 * ------------------------------------------------------------------------ */

static void get_one(struct slot *s, uint64_t key, bool refresh)
{
  struct cmap_handle handle = CMAP_INIT;
  struct cmap_how how = CMAP_INIT;
  enum cmap_status status;

  choose_how(s, &how);
  status = (refresh ? cmap_store_refresh : cmap_store_get_or_create)(
      t.store, KEY(key), &handle, build, s, &how);
  check_result(s, status, &how);
  CHECK((status == CMAP_OK) == (handle.object != NULL));
  if (status == CMAP_OK)
    check_object(handle.object, key);
  cmap_handle_release(&handle);
}

static void get_many(struct slot *s)
{
  size_t n = (size_t)(1 + random_below(&s->random, BATCH));
  struct cmap_how how = CMAP_INIT;
  struct cmap_handle handles[BATCH];
  enum cmap_status statuses[BATCH], status;
  struct cmap_key keys[BATCH];
  uint64_t ids[BATCH];

  for (size_t i = 0; i < n; i++) {
    ids[i] = random_below(&s->random, KEYS);
    keys[i] = cmap_key_u64(&ids[i]);
  }
  choose_how(s, &how);
  status = cmap_store_get_many(t.store, keys, n, handles, statuses, build_many,
                               s, &how);
  check_result(s, status, &how);
  for (size_t i = 0; i < n; i++) {
    check_result(s, statuses[i], &how);
    CHECK((statuses[i] == CMAP_OK) == (handles[i].object != NULL));
    if (statuses[i] == CMAP_OK)
      check_object(handles[i].object, ids[i]);
    cmap_handle_release(&handles[i]);
  }
}

/* Borrows some, keeps them over another call, and gives them back; or ends
 * with them, now and then. */
static void borrow(struct slot *s, uint64_t key)
{
  struct cmap_borrowed borrowed[3];
  uint64_t n = 1 + random_below(&s->random, 3);

  for (uint64_t i = 0; i < n; i++) {
    enum cmap_status status =
        cmap_store_borrow(t.store, KEY((key + i) % KEYS), &borrowed[i], NULL);
    CHECK(status == CMAP_OK || status == CMAP_NOT_FOUND);
  }
  if (takes_out && random_once_in(&s->random, 4))
    CHECK_OK(cmap_store_put(t.store, KEY(key), new_object(key), NULL, NULL));
  for (uint64_t i = 0; i < n; i++) {
    if (borrowed[i].object != NULL)
      check_object(borrowed[i].object, (key + i) % KEYS);
    if (!random_once_in(&s->random, 200))
      cmap_borrowed_release(&borrowed[i]);
  }
}

static void change(struct slot *s, uint64_t key)
{
  enum cmap_status status = CMAP_OK;

  switch (random_below(&s->random, takes_out ? 8 : 4)) {
  case 0:
    status = cmap_store_reserve(t.store, (size_t)random_below(&s->random, 100));
    break;
  case 1:
    status = cmap_store_shrink_to_fit(t.store);
    break;
  case 2:
  case 3:
    cancel_another(s);
    break;
  case 4:
    status = cmap_store_put(t.store, KEY(key), new_object(key), NULL, NULL);
    break;
  case 5:
    status = cmap_store_forget(t.store, KEY(key), NULL);
    break;
  case 6:
    status = cmap_store_remove(t.store, KEY(key), NULL);
    break;
  default:
    if (random_once_in(&s->random, 8))
      status = cmap_store_clear(t.store);
  }
  CHECK(status == CMAP_OK || status == CMAP_NOT_FOUND);
}

static void operate(struct slot *s)
{
  uint64_t key = random_below(&s->random, KEYS);

  switch (random_below(&s->random, 8)) {
  case 0:
  case 1:
    get_many(s);
    break;
  case 2:
    borrow(s, key);
    break;
  case 3:
    change(s, key);
    break;
  case 4:
    get_one(s, key, takes_out);
    break;
  default:
    get_one(s, key, false);
  }
}

/* ------------------------------------------------------------------------
 * Rounds
 * ------------------------------------------------------------------------ */

static void work(unsigned index, void *ctx)
{
  struct slot *s = &slots[index];

  (void)ctx;
  s->depth = 0;
  while (s->left > 0 && may_go_on()) {
    s->left--;
    operate(s);
    cache_mix_step(&t, &s->random, thread_count);
  }
  s->left = 0;
}

/* Threads that end in a constructor are followed by others. */
static void supervise(unsigned index, void *ctx)
{
  do {
    thread_start(&slots[index].thread, work, index, ctx);
    thread_join(&slots[index].thread);
  } while (slots[index].left > 0);
}

static void play_round(unsigned threads, uint64_t number)
{
  struct cmap_store_stats stats;
  uint64_t ended;

  takes_out = number % 2 == 1 || cache_mix_has_times(number / 2);
  thread_count = threads;
  atomic_store(&versions, 1);
  atomic_store(&begun, 0);
  memset(slots, 0, sizeof slots);
  test_store_prepare(&t, KEYS_U64);
  cache_mix_choose(&t, number / 2, true);
  test_store_create(&t);
  for (unsigned i = 0; i < threads; i++) {
    slots[i].index = i;
    slots[i].left = OPERATIONS;
    random_begin(&slots[i].random, number * MOST_THREADS + i);
  }
  threads_run(threads, supervise, NULL);
  for (unsigned i = 0; i < threads; i++) {
    CHECK_OK(cmap_token_destroy(tokens[i]));
    tokens[i] = NULL;
  }
  CHECK_OK(cmap_store_clear(t.store));
  cache_mix_check(&t, 1);
  stats = store_stats(t.store);
  CHECK(stats.running == 0 && stats.waiters == 0 && stats.objects == 0);
  ended = stats.done + stats.failed + stats.abandoned + stats.overtaken;
  /* A construction may be given up by who was to go on with it, unbegun. */
  CHECK(ended >= atomic_load(&begun));
  for (unsigned key = 0; key < KEYS; key++)
    CHECK(atomic_load(&at_work[key]) == 0);
  test_store_close(&t);
  checks_assert();
}

static void random_calls(void **state)
{
  uint64_t end = test_now() + test_scale_ns(RUN_NS), number = 0;
  struct random random;
  struct soak soak;

  (void)state;
  random_begin(&random, UINT64_MAX);
  soak_begin(&soak, 1);
  do {
    play_round(2 + (unsigned)random_below(&random, MOST_THREADS - 1), number++);
  } while (soak_again(&soak) || test_now() < end);
  fprintf(stderr, "%llu rounds\n", (unsigned long long)number);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(random_calls),
  };

  return cmocka_run_group_tests_name("store_mix", tests, NULL, NULL);
}
