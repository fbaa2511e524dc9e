/*
 * Everything at once, for as long as is wished: reads, writes, counters,
 * several keys held at once, guards, batches, walks, the whole map, and a store
 * with a bound, on 2 to 64 threads, while single threads are stopped at
 * whatever instruction they are (a signal's handler keeps them there), and
 * others get another priority.
 *
 * Invariants, while it runs and at the end of each round: permanent keys are
 * there, each walk meets each once, values belong to their keys, money is
 * neither made nor lost, counters have what was added, the map is sound, and
 * its memory does not grow from round to round.
 *
 * While a thread is stopped, everybody else completes a call, or waits for what
 * the stopped one holds. Each thread says in advance which sixteenths of the
 * hash space its call may lock: a call is excused whose part meets that of the
 * stopped thread's call, or of another one that is excused, be it that one's
 * second call since; and all of them while one of the map's mutexes stays
 * locked. With CMAP_LOCK=pthread all that sleep or wake others may meet in the
 * mutex of a bucket. A stopped thread that is in no call excuses nobody.
 *
 * Reported by the minute: calls, percentiles of their times, memory.
 */
#include "latency.h"
#include "map/map.h"
#include "numbers.h"
#include "random.h"
#include "settings.h"
#include "soak_calls.h"
#include "step.h"
#include "threads.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define NS_PER_MS UINT64_C(1000000)
#define MINUTE_NS (60 * 1000 * NS_PER_MS)
#define ROUND_NS  (15 * 1000 * NS_PER_MS)
#define USUAL_NS  (3 * 1000 * NS_PER_MS)
#define EXCUSE_NS (250 * NS_PER_MS) /* before excuses are looked for */
#define READER_NS                                                              \
  (5000 * NS_PER_MS) /* the same for a stopped reader's: it is                 \
                        one in millions that has a lock */
#define ANY_BUCKET  UINT32_C(0x40000000) /* beside the parts of soak_calls.h */
#define PATIENCE_NS (STEP_SECONDS * 1000 * NS_PER_MS)

static struct soak_scene scene;
static struct soak_worker workers[THREADS_MAX];
static unsigned worker_count;
static atomic_bool over;
static _Thread_local struct soak_worker *self;

/* Of all stops: how many were in no call, and in a read; how long it took until
 * the last other thread had gone on; how many excused somebody, by a lock (of
 * those, readers') and by a mutex. */
static struct {
  uint64_t stops, idle, readers, locks, by_readers, mutexes, longest_ns;
  uint64_t renices;
} report;

static void pause_ms(void)
{
  const struct timespec ms = {.tv_nsec = (long)NS_PER_MS};

  (void)nanosleep(&ms, NULL); /* between two looks */
}

/* ------------------------------------------------------------------------
 * Threads that are stopped
 * ------------------------------------------------------------------------ */

/* SIGUSR1: until the controller writes a byte. */
static void stop_here(int number)
{
  int saved = errno;
  char byte;

  (void)number;
  atomic_store(&self->stopped, true);
  while (read(self->gate[0], &byte, 1) < 0 && errno == EINTR)
    ;
  atomic_store(&self->stopped, false);
  errno = saved;
}

static void work(unsigned index, void *ctx)
{
  (void)ctx;
  self = &workers[index];
  soak_call_each(&scene, self);
  atomic_store(&self->tid, gettid());
  while (!atomic_load_explicit(&over, memory_order_relaxed))
    soak_call(&scene, self);
}

static bool went_on(const struct soak_worker *w)
{
  return atomic_load(&w->calls) != w->calls_then;
}

/* Does it stand still since excuses were looked for the last time? */
static bool stands(const struct soak_worker *w)
{
  return atomic_load(&w->calls) == w->calls_seen;
}

static void note_calls(void)
{
  for (unsigned i = 0; i < worker_count; i++)
    workers[i].calls_seen = atomic_load(&workers[i].calls);
}

/* What a call may have locked, as bits; 0: it is none. */
static uint32_t locked_by(const struct soak_worker *w)
{
  uint32_t parts = atomic_load(&w->parts);

#ifdef CMAP_LOCK_PTHREAD
  if (parts != 0)
    parts |= ANY_BUCKET;
#endif
  return parts & ~SOAK_READS;
}

/* Who has not gone on and is excused, directly or by another one, is counted;
 * false: somebody is not. */
static bool all_excused(const struct soak_worker *stopped, unsigned *excused)
{
  uint32_t parts = locked_by(stopped);
  bool more = true;
  bool all = true;

  for (unsigned i = 0; i < worker_count; i++)
    workers[i].excused = false;
  while (more) {
    more = false;
    for (unsigned i = 0; i < worker_count; i++) {
      struct soak_worker *w = &workers[i];
      uint32_t its = locked_by(w);
      if (w == stopped || w->excused || !stands(w) || (its & parts) == 0)
        continue;
      parts |= its;
      w->excused = more = true;
    }
  }
  *excused = 0;
  for (unsigned i = 0; i < worker_count; i++) {
    if (&workers[i] == stopped || went_on(&workers[i]))
      continue;
    all &= workers[i].excused;
    *excused += workers[i].excused;
  }
  return all;
}

static bool is_locked(pthread_mutex_t *mutex)
{
  if (pthread_mutex_trylock(mutex) != 0)
    return true;
  pthread_mutex_unlock(mutex);
  return false;
}

static bool a_mutex_is_locked(void)
{
  struct cmap__table *table = &scene.map->table;

  return is_locked(&table->pool.mutex) || is_locked(&table->directory.mutex);
}

/* The stopped thread stays so until everybody else has gone on, or is excused.
 */
static void watch_others(struct soak_worker *stopped)
{
  uint64_t begin = test_now(), time = 0;
  uint32_t parts = atomic_load(&stopped->parts);
  uint64_t next = (parts & SOAK_READS) != 0 ? READER_NS : EXCUSE_NS;
  unsigned excused = 0, locked = 0, looks = 0;

  note_calls();
  for (unsigned i = 0; i < worker_count; i++)
    workers[i].calls_then = workers[i].calls_seen;
  for (;;) {
    bool waits = false;
    pause_ms();
    time = test_now() - begin;
    for (unsigned i = 0; i < worker_count; i++)
      waits |= &workers[i] != stopped && !went_on(&workers[i]);
    if (!waits)
      break;
    if (time >= next) {
      if (all_excused(stopped, &excused))
        break;
      note_calls();
      next = time + EXCUSE_NS;
    } else if (looks == 0) {
      continue;
    }
    /* Others lock it for moments: it has to be locked at each look. */
    looks++;
    locked += a_mutex_is_locked();
    if (locked == looks && looks >= 200)
      break;
    if (time > PATIENCE_NS) {
      CHECK_NEVER("a thread waits for one that is stopped and holds nothing");
      for (unsigned i = 0; i < worker_count; i++)
        fprintf(stderr, "%u: %s, parts %#x\n", i,
                &workers[i] == stopped ? "stopped"
                : went_on(&workers[i]) ? "went on"
                                       : "waits",
                atomic_load(&workers[i].parts));
      break;
    }
  }
  report.stops++;
  report.idle += parts == 0;
  report.readers += (parts & SOAK_READS) != 0;
  report.locks += excused > 0;
  report.by_readers += excused > 0 && (parts & SOAK_READS) != 0;
  report.mutexes += looks >= 200 && locked == looks;
  if (excused == 0 && time > report.longest_ns)
    report.longest_ns = time;
}

static void stop_one(struct random *random)
{
  struct soak_worker *w = &workers[random_below(random, worker_count)];
  uint64_t end = test_now() + PATIENCE_NS;

  if (atomic_load(&w->tid) == 0 || pthread_kill(w->thread.id, SIGUSR1) != 0)
    return; /* it has not begun */
  while (!atomic_load(&w->stopped) && test_now() < end)
    pause_ms();
  CHECK(atomic_load(&w->stopped));
  watch_others(w);
  CHECK(write(w->gate[1], "", 1) == 1);
  while (atomic_load(&w->stopped) && test_now() < end + PATIENCE_NS)
    pause_ms();
}

/* Another priority for one; who may not give one goes on without. */
static void renice_one(struct random *random)
{
  static const int policies[] = {SCHED_OTHER, SCHED_BATCH, SCHED_IDLE};
  const struct sched_param none = {.sched_priority = 0};
  int tid = atomic_load(&workers[random_below(random, worker_count)].tid);

  if (tid == 0)
    return;
  report.renices +=
      sched_setscheduler(tid, policies[random_below(random, 3)], &none) == 0;
  (void)setpriority(PRIO_PROCESS, (id_t)tid, (int)random_below(random, 20));
}

/* ------------------------------------------------------------------------
 * The report
 * ------------------------------------------------------------------------ */

static size_t resident_bytes(void)
{
  unsigned long whole = 0, resident = 0;
  FILE *file = fopen("/proc/self/statm", "r");

  if (file == NULL)
    return 0;
  if (fscanf(file, "%lu %lu", &whole, &resident) != 2)
    resident = 0;
  (void)fclose(file);
  return resident * (size_t)sysconf(_SC_PAGESIZE);
}

static void print_report(uint64_t begin)
{
  static struct latency_sum sums[SOAK_CLASSES];
  double minutes = (double)(test_now() - begin) / (double)MINUTE_NS;

  printf(
      "# %5.1f min, %2u threads: map %zu KB, store %zu KB, process %zu KB\n"
      "#   %llu stops, %llu in no call, %llu in a read; others went on in %.0f "
      "ms at most;\n#   %llu held somebody up, %llu of them in a read, %llu in "
      "a mutex; %llu priorities\n",
      minutes, worker_count, soak_map_bytes(&scene) / 1024,
      soak_store_bytes(&scene) / 1024, resident_bytes() / 1024,
      (unsigned long long)report.stops, (unsigned long long)report.idle,
      (unsigned long long)report.readers,
      (double)report.longest_ns / (double)NS_PER_MS,
      (unsigned long long)report.locks, (unsigned long long)report.by_readers,
      (unsigned long long)report.mutexes, (unsigned long long)report.renices);
  for (unsigned class = 0; class < SOAK_CLASSES; class ++) {
    struct latency_sum *sum = &sums[class];
    latency_sum_begin(sum);
    for (unsigned i = 0; i < THREADS_MAX; i++)
      latency_sum_add(sum, &workers[i].latency[class]);
    printf(
        "#   %-9s %11llu calls   us: %7.1f 50%%  %8.1f 99%%  %9.1f 99.9%%  "
        "%10.1f most\n",
        soak_class_names[class], (unsigned long long)latency_count(sum),
        (double)latency_at(sum, 0.5) / 1e3, (double)latency_at(sum, 0.99) / 1e3,
        (double)latency_at(sum, 0.999) / 1e3, (double)latency_at(sum, 1) / 1e3);
  }
  (void)fflush(stdout);
}

/* ------------------------------------------------------------------------
 * Rounds
 * ------------------------------------------------------------------------ */

static void run_round(struct random *random, uint64_t end)
{
  atomic_store(&over, false);
  for (unsigned i = 0; i < worker_count; i++) {
    atomic_store(&workers[i].tid, 0);
    thread_start(&workers[i].thread, work, i, NULL);
  }
  while ((test_now() < end || report.stops == 0) && !checks_failed()) {
    for (unsigned pauses = 1 + (unsigned)random_below(random, 20); pauses > 0;
         pauses--)
      pause_ms();
    if (report.stops == 0 || random_once_in(random, 2))
      stop_one(random);
    else
      renice_one(random);
  }
  atomic_store(&over, true);
  for (unsigned i = 0; i < worker_count; i++)
    thread_join(&workers[i].thread);
}

static void everything(void **state)
{
  uint64_t begin = test_now(), last_report = begin;
  uint64_t whole = test_soak_seconds() * 1000 * NS_PER_MS;
  uint64_t end = begin + (whole > 0 ? whole : test_scale_ns(USUAL_NS));
  struct sigaction action = {.sa_handler = stop_here, .sa_flags = SA_RESTART};
  struct random random;
  size_t bytes, first_bytes = 0;

  (void)state;
  random_begin(&random, 1);
  assert_int_equal(sigaction(SIGUSR1, &action, NULL), 0);
  for (unsigned i = 0; i < THREADS_MAX; i++) {
    assert_int_equal(pipe(workers[i].gate), 0);
    random_begin(&workers[i].random, 2 + i);
  }
  soak_begin_scene(&scene);
  do {
    uint64_t now = test_now();
    worker_count = 2u << random_below(&random, 6);
    run_round(&random, now + ROUND_NS < end ? now + ROUND_NS : end);
    bytes = soak_check(&scene, workers, THREADS_MAX);
    checks_assert();
    if (first_bytes == 0)
      first_bytes = bytes;
    assert_in_range(bytes, 1, first_bytes + first_bytes / 2 + (1 << 20));
    if (test_now() >= end || test_now() - last_report >= MINUTE_NS) {
      print_report(begin);
      last_report = test_now();
    }
  } while (test_now() < end);
  assert_true(report.stops > 0);
  soak_end_scene(&scene);
  for (unsigned i = 0; i < THREADS_MAX; i++) {
    (void)close(workers[i].gate[0]);
    (void)close(workers[i].gate[1]);
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(everything),
  };

  return cmocka_run_group_tests_name("soak", tests, NULL, NULL);
}
