/*
 * A reader that is stopped at any instruction of a get, while the key's object
 * is removed and its place is used for another key's, gets the right object,
 * or none.
 *
 * A signal stops the reader; its handler waits until the change is made. The
 * reader may hold a lock that the change needs, so that the handler does not
 * wait for ever.
 */
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "settings.h"
#include "store_objects.h"
#include "threads.h"

#define MOST_MS     20                         /* that the handler waits */
#define MOST_RUN_NS (UINT64_C(8000) * 1000000) /* of 6000 rounds */
#define SETTLE      20                         /* gets before the next signal */
#define KEY(key)    cmap_key_u64(&(uint64_t){key})

static struct test_store t;
static int stop[2], resume[2]; /* pipes, of a byte for each round */
static atomic_bool late;       /* the handler has not waited */
static atomic_uint gets;
static atomic_bool over;
static atomic_uint_fast64_t newest; /* the version that was put last */

/* Only write, poll and read: safe in a handler. */
static void stop_here(int signal)
{
  struct pollfd change = {.fd = resume[0], .events = POLLIN};
  int before = errno;
  char byte = 0;

  (void)signal;
  (void)!write(stop[1], &byte, 1);
  if (poll(&change, 1, MOST_MS) == 1)
    (void)!read(resume[0], &byte, 1);
  else
    atomic_store(&late, true); /* its byte must not resume the next round */
  errno = before;
}

static void get_all_along(unsigned index, void *ctx)
{
  uint64_t last = 0;

  (void)index, (void)ctx;
  while (!atomic_load_explicit(&over, memory_order_relaxed)) {
    struct cmap_handle handle = CMAP_INIT;
    enum cmap_status status = cmap_store_get(t.store, KEY(0), &handle, NULL);
    if (status == CMAP_OK) {
      const struct tracked *object = store_object(&handle, 0);
      CHECK(object->version >= last);
      last = object->version;
      CHECK(last <= atomic_load(&newest));
    } else {
      CHECK_STATUS(status, CMAP_NOT_FOUND);
    }
    cmap_handle_release(&handle);
    atomic_fetch_add_explicit(&gets, 1, memory_order_relaxed);
  }
}

static void put(uint64_t id, uint64_t version)
{
  CHECK_OK(cmap_store_put(t.store, KEY(id), tracked_new(&t.lives, id, version),
                          NULL, NULL));
}

/* Several ways to end an object, after which a header is used again. */
static void change(size_t round)
{
  if (round % 4 < 2)
    CHECK_OK(cmap_store_remove(t.store, KEY(0), NULL));
  else
    put(0, atomic_fetch_add(&newest, 1) + 1);
  if (round % 4 != 1)
    put(1, round);
}

static void restore(size_t round)
{
  if (round % 4 != 1)
    CHECK_OK(cmap_store_remove(t.store, KEY(1), NULL));
  if (round % 4 < 2)
    put(0, atomic_fetch_add(&newest, 1) + 1);
}

/* Lets the reader get on with some gets. */
static void let_run(void)
{
  unsigned before = atomic_load(&gets);

  /* Ends: the reader goes on. */
  while (atomic_load(&gets) - before < SETTLE)
    sched_yield();
}

static void stopped_at_any_instruction(void **state)
{
  struct sigaction action;
  struct thread reader;
  struct soak soak;
  size_t round = 0;
  char byte = 0;

  (void)state;
  memset(&action, 0, sizeof action);
  action.sa_handler = stop_here;
  assert_int_equal(sigaction(SIGUSR1, &action, NULL), 0);
  assert_int_equal(pipe(stop) | pipe(resume), 0);
  test_store_open(&t, KEYS_U64);
  put(0, atomic_fetch_add(&newest, 1) + 1);
  thread_start(&reader, get_all_along, 0, NULL);
  soak_begin(&soak, 1);
  do {
    uint64_t end = test_now() + test_scale_ns(MOST_RUN_NS);
    for (size_t n = test_scale(6000);
         n > 0 && test_now() < end && !checks_failed(); n--) {
      let_run();
      CHECK(pthread_kill(reader.id, SIGUSR1) == 0);
      CHECK(read(stop[0], &byte, 1) == 1);
      change(round);
      CHECK(write(resume[1], &byte, 1) == 1);
      let_run(); /* or it would find what comes after */
      restore(round++);
      if (atomic_exchange(&late, false))
        CHECK(read(resume[0], &byte, 1) == 1);
    }
  } while (soak_again(&soak) && !checks_failed());
  atomic_store(&over, true);
  thread_join(&reader);
  test_store_close(&t);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(stopped_at_any_instruction),
  };

  return cmocka_run_group_tests_name("store_preempted", tests, NULL, NULL);
}
