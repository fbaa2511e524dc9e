/*
 * Random calls of 2 to 16 threads on a few keys of two stores: get-or-create
 * with failures, deadlines, recursion and threads that end in a constructor;
 * put, remove, forget, clear, refresh, tickets; in stores without and with
 * bounds and times (cache_mix.h). What came of them is checked against
 * store_history.h; every object is destroyed once, and nobody hangs.
 */
#include <sched.h>
#include <stdio.h>
#include <string.h>

#include "cache_mix.h"
#include "settings.h"
#include "store_history.h"
#include "threads.h"

#define MOST_THREADS  16
#define KEYS          3 /* of each store */
#define ROOM          6000
#define DEPTH         3
#define KEPT          4
#define FIRST_FAILURE 1000
#define RUN_NS        (UINT64_C(10000) * 1000000)

struct slot {
  unsigned index;
  struct random random;
  unsigned depth; /* constructors that it is in */
  size_t left;    /* operations */
  struct cmap_handle kept[KEPT];
  struct cmap_ticket ticket;
  uint32_t ticket_key;
  uint64_t ticket_since;
  uint32_t ticket_asked; /* the begin of that call */
  bool ticket_bound;
  struct thread thread;
};

static struct slot slots[MOST_THREADS];
static struct test_store stores[2];
static atomic_ullong begun; /* constructors and tickets */
static struct history history;
/* In calm rounds most constructions fail, so that keys stay absent, and little
   else takes them out of the store: what overlaps does so by itself. */
static bool calm;
/* The round has calls of forget: a refresh may have replaced nothing. */
static bool forgets;
/* A constructor that runs does not say that the key was absent. */
static bool has_times;
static unsigned thread_count;

static struct cmap_store *store_of(uint32_t key)
{
  return stores[key / KEYS].store;
}

static struct tracked *new_object(uint32_t key)
{
  return tracked_new(&stores[0].lives, key,
                     atomic_fetch_add(&history.next_object, 1));
}

static uint32_t number_of(const struct cmap_handle *handle, uint32_t key)
{
  return (uint32_t)store_object(handle, key)->version;
}

static void keep(struct slot *s, struct cmap_handle *handle)
{
  struct cmap_handle *old = &s->kept[random_below(&s->random, KEPT)];

  if (old->object != NULL)
    CHECK(tracked_is_alive(old->object));
  cmap_handle_release(old);
  if (random_once_in(&s->random, 2))
    cmap_handle_release(handle);
  else
    *old = *handle;
}

#define KEY(key) cmap_key_u64(&(uint64_t){key})

/* ------------------------------------------------------------------------
 * Get or create
 * ------------------------------------------------------------------------ */

struct call {
  struct slot *slot;
  uint32_t key;
  uint64_t begin;
  bool share, refresh;
  bool ran;             /* the constructor has */
  struct tracked *made; /* NULL: it has failed: */
  uint32_t failure;     /* 0: with another's status */
  enum cmap_status status;
};

static void operate(struct slot *s);

static enum cmap_status build(struct cmap_key k, void **object, void *ctx)
{
  struct call *call = ctx;
  struct slot *s = call->slot;
  uint64_t start = history_now(&history);

  CHECK(!call->ran && k.size == sizeof(uint64_t) && *object == NULL);
  call->ran = true;
  atomic_fetch_add_explicit(&begun, 1, memory_order_relaxed);
  if (!call->refresh && !has_times)
    history_log(&history, s->index, EVENT_BREAKS, call->key, call->begin, 0);
  s->depth++;
  for (uint64_t n = random_below(&s->random, 4); n > 0; n--)
    sched_yield();
  if (s->depth < DEPTH && random_once_in(&s->random, 3))
    operate(s);
  if (random_once_in(&s->random, 100))
    pthread_exit(NULL);
  s->depth--;
  if (calm ? !random_once_in(&s->random, 8) : random_once_in(&s->random, 3)) {
    call->failure = atomic_fetch_add(&history.next_failure, 1);
    history.failures[call->failure].key = call->key;
    history.failures[call->failure].share = call->share;
    call->status = (enum cmap_status)(FIRST_FAILURE + call->failure);
  } else if (random_once_in(&s->random, 20)) {
    call->status = CMAP_EINVAL;
  } else {
    call->made = new_object(call->key);
    *object = call->made;
  }
  if (!call->refresh && !has_times)
    history_log(&history, s->index, EVENT_CONSTRUCTION, call->key, start,
                (uint32_t)call->begin);
  /* "No object" comes out as a status of the library's. */
  return call->status == CMAP_EINVAL ? CMAP_OK : call->status;
}

/* Statuses of a caller whose constructor has not run. */
static void check_others(const struct call *call, enum cmap_status status,
                         const struct cmap_how *how, bool any_share)
{
  struct slot *s = call->slot;
  unsigned flags = how ? how->flags : 0;

  switch (status) {
  case CMAP_BUSY:
    CHECK(flags & CMAP_TRY);
    break;
  case CMAP_TIMEDOUT:
    CHECK((flags & CMAP_DEADLINE) && !(flags & CMAP_TRY));
    CHECK(test_now() >= how->deadline_ns);
    break;
  case CMAP_EDEADLK:
    CHECK(s->depth > 0 || s->ticket_bound ||
          (s->ticket.internal[0] != 0 && s->ticket_key == call->key));
    break;
  case CMAP_EABANDONED:
  case CMAP_EINVAL:
    CHECK(any_share);
    break;
  default:
    CHECK((int)status > FIRST_FAILURE &&
          (uint32_t)status - FIRST_FAILURE < history.objects);
    history_log(&history, s->index, EVENT_SHARED, call->key, call->begin,
                (uint32_t)status - FIRST_FAILURE);
  }
}

/* A constructor's answer is its caller's, unless a put came first. */
static void check_own(const struct call *call, enum cmap_status status,
                      const struct cmap_handle *handle)
{
  if (status != CMAP_OK) {
    CHECK_STATUS(status, call->status);
    CHECK(call->made == NULL);
  } else if (cmap_handle_origin(handle) == CMAP_BUILT) {
    CHECK(handle->object == call->made);
  } else if (call->made != NULL && handle->object != call->made) {
    CHECK(!tracked_is_alive(call->made));
  }
}

static void choose_how(struct slot *s, struct cmap_how *how, bool *share)
{
  how->size = sizeof *how;
  if (random_once_in(&s->random, 4)) {
    how->flags |= CMAP_DEADLINE;
    how->deadline_ns = test_now() + random_below(&s->random, 100000);
  }
  if (random_once_in(&s->random, 8))
    how->flags |= CMAP_TRY;
  *share = false; /* the stores' own policy */
  if (random_once_in(&s->random, 3)) {
    *share = random_once_in(&s->random, 2);
    how->flags |= *share ? CMAP_SHARE_FAILURE : CMAP_RETRY_FAILURE;
  }
  /* A ticket is ours and nobody sees it: no wait may last. */
  if (s->ticket.internal[0] != 0 && !(how->flags & CMAP_DEADLINE)) {
    how->flags |= CMAP_DEADLINE;
    how->deadline_ns = test_now() + 50000;
  }
}

/* get_or_create or, if it says so, refresh, which has replaced what was there
 * unless it was forgotten;
 * but what it has built may have been taken out meanwhile. */
static void create(struct slot *s, uint32_t key, bool refresh)
{
  struct call call = {.slot = s, .key = key, .refresh = refresh};
  struct cmap_handle handle = CMAP_INIT;
  struct cmap_how how = CMAP_INIT;
  enum cmap_status status;
  uint64_t now;

  choose_how(s, &how, &call.share);
  call.begin = history_now(&history);
  status = (refresh ? cmap_store_refresh : cmap_store_get_or_create)(
      store_of(key), KEY(key), &handle, build, &call, &how);
  CHECK((status == CMAP_OK) == (handle.object != NULL));
  if (status == CMAP_OK)
    history_log(&history, s->index,
                EVENT_RETURNED | (refresh ? EVENT_TAKES : 0) |
                    (refresh && !forgets ? EVENT_BREAKS : 0),
                key, call.begin, number_of(&handle, key));
  if (call.ran)
    check_own(&call, status, &handle);
  else if (status != CMAP_OK)
    check_others(&call, status, &how, true);
  now = history_now(&history);
  if (call.failure != 0)
    history.failures[call.failure].over = now;
  keep(s, &handle);
}

/* ------------------------------------------------------------------------
 * The others
 * ------------------------------------------------------------------------ */

static void get(struct slot *s, uint32_t key)
{
  struct cmap_handle handle = CMAP_INIT;
  uint64_t begin = history_now(&history);
  enum cmap_status status =
      cmap_store_get(store_of(key), KEY(key), &handle, NULL);

  if (status == CMAP_OK) {
    history_log(&history, s->index, EVENT_SEEN, key, begin,
                number_of(&handle, key));
  } else {
    CHECK_STATUS(status, CMAP_NOT_FOUND);
    history_log(&history, s->index, EVENT_BREAKS, key, begin, 0);
  }
  keep(s, &handle);
}

static void put(struct slot *s, uint32_t key)
{
  struct tracked *object = new_object(key);
  struct cmap_handle handle = CMAP_INIT;
  uint64_t begin = history_now(&history);

  CHECK_OK(cmap_store_put(store_of(key), KEY(key), object, &handle, NULL));
  CHECK(handle.object == object);
  history_log(&history, s->index, EVENT_BREAKS | EVENT_TAKES | EVENT_SEEN, key,
              begin, number_of(&handle, key));
  keep(s, &handle);
}

static void take_away(struct slot *s, uint32_t key)
{
  uint64_t begin = history_now(&history);
  enum cmap_status status;

  if (forgets && random_once_in(&s->random, 4)) {
    status = cmap_store_forget(store_of(key), KEY(key), NULL);
    history_log(&history, s->index, EVENT_TAKES, key, begin, 0);
  } else {
    status = cmap_store_remove(store_of(key), KEY(key), NULL);
    history_log(&history, s->index, EVENT_BREAKS | EVENT_TAKES, key, begin, 0);
  }
  CHECK(status == CMAP_OK || status == CMAP_NOT_FOUND);
}

static void clear(struct slot *s)
{
  uint64_t begin = history_now(&history);

  CHECK_OK(cmap_store_clear(stores[0].store));
  CHECK_OK(cmap_store_clear(stores[1].store));
  history_log(&history, s->index, EVENT_BREAKS | EVENT_TAKES, EVERY_KEY, begin,
              0);
}

static void told(enum cmap_status status, struct cmap_handle *handle, void *ctx)
{
  uint32_t key = (uint32_t)(uintptr_t)ctx;

  if (status == CMAP_OK)
    number_of(handle, key);
  cmap_handle_release(handle);
}

static void end_ticket(struct slot *s)
{
  struct cmap_handle handle = CMAP_INIT;
  enum cmap_status status = CMAP_OK;
  uint32_t key = s->ticket_key;

  /* If its thread may have ended, so may the construction. */
  if (!s->ticket_bound && !has_times)
    history_log(&history, s->index, EVENT_CONSTRUCTION, key, s->ticket_since,
                s->ticket_asked);
  if (random_once_in(&s->random, 2)) {
    struct tracked *object = new_object(key);
    status = cmap_ticket_complete(&s->ticket, object, &handle);
    /* It may be one that was put, and removed, since the ticket began. */
    if (status == CMAP_OK)
      history_log(&history, s->index, EVENT_RETURNED, key, s->ticket_asked,
                  number_of(&handle, key));
    else
      tracked_destroy(object);
  } else if (random_once_in(&s->random, 2)) {
    status = cmap_ticket_fail(&s->ticket, CMAP_EINVAL);
  } else {
    cmap_ticket_abandon(&s->ticket);
  }
  CHECK(s->ticket.internal[0] == 0);
  CHECK(status == CMAP_OK || status == CMAP_EABANDONED);
  s->ticket_bound = false;
  keep(s, &handle);
}

static void ticket(struct slot *s, uint32_t key)
{
  struct cmap_handle handle = CMAP_INIT;
  enum cmap_begin outcome = (enum cmap_begin)99;
  uint64_t begin = history_now(&history);
  enum cmap_status status;

  if (s->ticket.internal[0] != 0) {
    end_ticket(s);
    return;
  }
  status = cmap_store_begin(store_of(key), KEY(key), &handle, &s->ticket,
                            &outcome, told, (void *)(uintptr_t)key, NULL);
  if (status != CMAP_OK)
    return; /* of a construction that has just failed */
  if (outcome == CMAP_PRESENT) {
    history_log(&history, s->index, EVENT_RETURNED, key, begin,
                number_of(&handle, key));
  } else if (outcome == CMAP_YOURS) {
    if (!has_times)
      history_log(&history, s->index, EVENT_BREAKS, key, begin, 0);
    atomic_fetch_add_explicit(&begun, 1, memory_order_relaxed);
    s->ticket_key = key;
    s->ticket_asked = (uint32_t)begin;
    s->ticket_since = history_now(&history);
    if (random_once_in(&s->random, 2)) {
      CHECK_OK(cmap_ticket_bind(&s->ticket));
      s->ticket_bound = true;
    }
  }
  keep(s, &handle);
}

static void operate(struct slot *s)
{
  uint32_t key = (uint32_t)random_below(&s->random, 2 * KEYS);
  uint64_t what = random_below(&s->random, 16);

  if (calm && what < 5 && !random_once_in(&s->random, 30))
    what = 15;
  switch (what) {
  case 0:
    put(s, key);
    break;
  case 1:
  case 2:
    take_away(s, key);
    break;
  case 3:
    if (random_once_in(&s->random, 8))
      clear(s);
    break;
  case 4:
    if (s->depth < DEPTH)
      create(s, key, true);
    break;
  case 5:
  case 6:
    ticket(s, key);
    break;
  case 7:
  case 8:
  case 9:
    get(s, key);
    break;
  default:
    create(s, key, false);
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
  while (s->left > 0 && history_has_room(&history, index) && !checks_failed()) {
    s->left--;
    operate(s);
    cache_mix_step(&stores[s->left % 2], &s->random, thread_count);
  }
  if (s->ticket.internal[0] != 0)
    end_ticket(s);
  s->left = 0;
}

/* Threads that end in a constructor are followed by others. */
static void supervise(unsigned index, void *ctx)
{
  struct slot *s = &slots[index];

  do {
    thread_start(&s->thread, work, index, ctx);
    thread_join(&s->thread);
  } while (s->left > 0 || s->ticket.internal[0] != 0);
}

static void play_round(unsigned threads, uint64_t number)
{
  uint64_t ended = 0;

  calm = number % 2 == 1;
  forgets = number % 3 == 0;
  has_times = cache_mix_has_times(number / 2);
  thread_count = threads;
  atomic_store(&begun, 0);
  memset(slots, 0, sizeof slots);
  history_begin(&history, 2 * KEYS, threads, ROOM);
  for (int i = 0; i < 2; i++) {
    test_store_prepare(&stores[i], KEYS_U64);
    stores[i].options.object_ctx = &stores[0].lives;
    cache_mix_choose(&stores[i], number / 2, i == 0);
    test_store_create(&stores[i]);
  }
  for (unsigned i = 0; i < threads; i++) {
    slots[i].index = i;
    slots[i].left = ROOM / 4;
    random_begin(&slots[i].random, number * MOST_THREADS + i);
  }
  threads_run(threads, supervise, NULL);
  for (unsigned i = 0; i < threads; i++)
    for (int j = 0; j < KEPT; j++)
      cmap_handle_release(&slots[i].kept[j]);
  history_check(&history);
  for (int i = 0; i < 2; i++)
    CHECK_OK(cmap_store_clear(stores[i].store));
  cache_mix_check(stores, 2);
  history_end(&history);
  for (int i = 1; i >= 0; i--) {
    struct cmap_store_stats stats = store_stats(stores[i].store);
    CHECK(stats.running == 0 && stats.waiters == 0);
    ended += stats.done + stats.failed + stats.abandoned + stats.overtaken;
    CHECK(stats.objects == cmap_store_len(stores[i].store));
    test_store_close(&stores[i]);
  }
  CHECK(ended == atomic_load(&begun));
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
    unsigned threads = 2 + (unsigned)random_below(&random, MOST_THREADS - 1);
    play_round(threads, number++);
  } while (soak_again(&soak) || test_now() < end);
  fprintf(stderr, "%llu rounds\n", (unsigned long long)number);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(random_calls),
  };

  return cmocka_run_group_tests_name("store_random", tests, NULL, NULL);
}
