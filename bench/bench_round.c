/*
 * One round: a fresh map, threads, the clock, in a child process.
 *
 * Threads wait for each other before every turn. Each takes its own time, and
 * a turn lasts from the first thread's begin to the last one's end, so that
 * waking the threads is not in it. A turn of small maps goes over several of
 * them, for the same reason.
 */
#include "harness.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

/* A turn has as many maps as hold about this many keys together. */
#define TURN_KEYS   ((size_t)32768)
#define TURN_MAX    32
/* Maps with fewer entries are too small to see in the program's memory. */
#define BYTES_MIN   ((size_t)100000)
/* A page of memory, where a store to two of them is slow. */
#define STACK_PAGE  ((uintptr_t)4096)
/* Seconds after which a round is given up. */
#define ROUND_LIMIT 300

/* What the threads of a round share. */
struct round {
  const struct impl *impl;
  const struct bench_job *job;
  void *maps[TURN_MAX]; /* written before the barrier */
  size_t map_count;     /* the same; 0: no more turns */
  pthread_barrier_t barrier;
  atomic_uint arrived; /* threads at the start of all turns so far */
  bool spin;           /* const: each thread has a processor */
};

struct worker {
  struct round *round;
  const struct trace *trace;
  const struct string_trace *strings;
  uint64_t checksum;
  uint64_t begin_ns;
  uint64_t end_ns;
  pthread_t thread;
};

static uint64_t run_integers(const struct impl_u64 *map, enum loop loop,
                             void *at, const struct trace *trace)
{
  switch (loop) {
  case LOOP_INSERT:
    return map->insert(at, trace);
  case LOOP_REMOVE:
    return map->remove(at, trace);
  case LOOP_MIXED:
    return map->mixed(at, trace);
  case LOOP_COUNT:
    return map->count(at, trace);
  case LOOP_GET_BATCH:
    return (map->get_batch ? map->get_batch : map->get)(at, trace);
  case LOOP_INSERT_BATCH:
    return (map->insert_batch ? map->insert_batch : map->insert)(at, trace);
  case LOOP_ITERATE:
    return map->iterate(at);
  case LOOP_READ_GUARD:
    return map->read_guard(at, trace);
  case LOOP_WRITE_GUARD:
    return map->write_guard(at, trace);
  case LOOP_SHARE:
    return map->share(at, trace);
  case LOOP_CACHE:
    return map->cache(at, trace);
  case LOOP_BORROW:
    return map->borrow(at, trace);
  default:
    return map->get(at, trace);
  }
}

static uint64_t run_strings(const struct impl_string *map, enum loop loop,
                            void *at, const struct string_trace *trace)
{
  switch (loop) {
  case LOOP_STRING_COUNT:
    return map->count(at, trace);
  case LOOP_STRING_ENTRY:
    return map->entry(at, trace);
  case LOOP_STRING_CHECK_INSERT:
    return map->check_insert(at, trace);
  default:
    return map->get(at, trace);
  }
}

static bool is_string_job(const struct bench_job *job)
{
  return job->loop >= LOOP_STRING_GET;
}

/* Ends when all threads of the turn have come. Futexes wake one thread after
 * the other; threads that have a processor each start closer together if they
 * have spun. */
static void start_together(struct round *round, unsigned turn)
{
  unsigned want = round->job->threads * turn;

  atomic_fetch_add(&round->arrived, 1);
  while (round->spin && atomic_load(&round->arrived) < want)
    sched_yield();
}

static void run_passes(struct worker *worker)
{
  struct round *round = worker->round;
  const struct bench_job *job = round->job;

  for (size_t m = 0; m < round->map_count; m++) {
    for (size_t p = 0; p < job->passes; p++) {
      if (is_string_job(job))
        worker->checksum += run_strings(round->impl->string, job->loop,
                                        round->maps[m], worker->strings);
      else
        worker->checksum +=
            run_integers(bench_operations(round->impl, job->shape), job->loop,
                         round->maps[m], worker->trace);
    }
  }
}

/*
 * A thread's stack begins where its thread-local variables end, so what a map
 * has on it may lie on two pages by accident, and a store to both costs more
 * than most of what is measured (25 ns were seen). So the frames begin in the
 * middle of a page.
 */
static void *work(void *arg)
{
  struct worker *worker = arg;
  struct round *round = worker->round;
  uintptr_t here = (uintptr_t)__builtin_frame_address(0);
  char room[(here + STACK_PAGE / 2) % STACK_PAGE + 1];

  __asm__ volatile("" : : "r"(room)); /* is not left out */
  for (unsigned turn = 1;; turn++) {
    pthread_barrier_wait(&round->barrier);
    if (round->map_count == 0)
      return NULL;
    start_together(round, turn);
    worker->begin_ns = bench_now_ns();
    run_passes(worker);
    worker->end_ns = bench_now_ns();
    pthread_barrier_wait(&round->barrier);
  }
}

/* Makes and fills a map; NULL if there is no memory for it. */
static void *make_map(const struct impl *impl, const struct bench_job *job)
{
  void *map;

  if (is_string_job(job)) {
    map = impl->string->create(job->keys);
    if (map != NULL && job->string_fill.count > 0)
      impl->string->count(map, &job->string_fill);
  } else {
    map = job->bound != 0
              ? bench_operations(impl, job->shape)->create_cache(job->bound)
              : bench_operations(impl, job->shape)->create(job->keys);
    if (map != NULL && job->fill.count > 0)
      bench_operations(impl, job->shape)->insert(map, &job->fill);
  }
  return map;
}

static void destroy_map(const struct impl *impl, const struct bench_job *job,
                        void *map)
{
  if (is_string_job(job))
    impl->string->destroy(map);
  else
    bench_operations(impl, job->shape)->destroy(map);
}

/* What is in the map after its run. */
static void look(const struct impl *impl, const struct bench_job *job,
                 void *map, struct sample *sample)
{
  if (is_string_job(job)) {
    sample->len = impl->string->len(map);
    sample->content = impl->string->get(map, &job->string_check);
  } else {
    sample->len = bench_operations(impl, job->shape)->len(map);
    sample->content = bench_operations(impl, job->shape)->get(map, &job->check);
  }
}

/* Nanoseconds of one turn on so many fresh maps; 0 on failure. */
static uint64_t run_turn(struct round *round, struct worker *workers,
                         size_t count, struct sample *sample)
{
  const struct bench_job *job = round->job;
  size_t before = bench_resident();
  uint64_t begin_ns = UINT64_MAX;
  uint64_t end_ns = 0;

  for (size_t m = 0; m < count; m++) {
    round->maps[m] = make_map(round->impl, job);
    if (round->maps[m] == NULL)
      return 0;
  }
  round->map_count = count;
  pthread_barrier_wait(&round->barrier); /* off they go */
  pthread_barrier_wait(&round->barrier); /* all are done */
  for (unsigned t = 0; t < job->threads; t++) {
    if (workers[t].begin_ns < begin_ns)
      begin_ns = workers[t].begin_ns;
    if (workers[t].end_ns > end_ns)
      end_ns = workers[t].end_ns;
  }
  look(round->impl, job, round->maps[count - 1], sample);
  if (sample->bytes <= 0 && count == 1 && sample->len >= BYTES_MIN)
    sample->bytes =
        ((double)bench_resident() - (double)before) / (double)sample->len;
  for (size_t m = 0; m < count; m++)
    destroy_map(round->impl, job, round->maps[m]);
  return end_ns - begin_ns;
}

void bench_run(const struct impl *impl, const struct bench_job *job,
               struct sample *sample)
{
  struct round round = {.impl = impl, .job = job};
  struct worker *workers = bench_alloc(job->threads, sizeof *workers);
  size_t turn_maps = TURN_KEYS / job->keys;
  uint64_t ns = 0;

  turn_maps = turn_maps < 1 ? 1 : turn_maps > TURN_MAX ? TURN_MAX : turn_maps;
  round.spin = (long)job->threads <= sysconf(_SC_NPROCESSORS_ONLN);
  pthread_barrier_init(&round.barrier, NULL, job->threads + 1);
  for (unsigned t = 0; t < job->threads; t++) {
    workers[t].round = &round;
    workers[t].trace = job->traces ? &job->traces[t] : NULL;
    workers[t].strings = job->string_traces ? &job->string_traces[t] : NULL;
    if (pthread_create(&workers[t].thread, NULL, work, &workers[t]) != 0)
      exit(1);
  }
  sample->ok = true;
  for (size_t left = job->maps; left > 0 && sample->ok;) {
    size_t count = left < turn_maps ? left : turn_maps;
    uint64_t turn_ns = run_turn(&round, workers, count, sample);
    sample->ok = turn_ns > 0;
    ns += turn_ns;
    left -= count;
  }
  round.map_count = 0;
  pthread_barrier_wait(&round.barrier);
  for (unsigned t = 0; t < job->threads; t++) {
    pthread_join(workers[t].thread, NULL);
    sample->checksum += workers[t].checksum;
  }
  pthread_barrier_destroy(&round.barrier);
  bench_free(workers);
  sample->seconds = (double)ns * 1e-9;
}

bool bench_child(void (*work_of_child)(const void *input, void *result),
                 const void *input, void *result, size_t size)
{
  char *bytes = result;
  size_t got = 0;
  int status = 1;
  int ends[2];
  pid_t child;

  fflush(NULL);
  if (pipe(ends) != 0)
    return false;
  child = fork();
  if (child == 0) {
    close(ends[0]);
    alarm(ROUND_LIMIT);
    work_of_child(input, result);
    /* Less than a pipe holds: one write. */
    _exit(write(ends[1], result, size) != (ssize_t)size);
  }
  close(ends[1]);
  while (child > 0 && got < size) {
    ssize_t n = read(ends[0], bytes + got, size - got);
    if (n <= 0)
      break;
    got += (size_t)n;
  }
  close(ends[0]);
  if (child > 0)
    waitpid(child, &status, 0);
  return got == size && status == 0;
}

struct round_input {
  const struct impl *impl;
  const struct plan_job *plan;
};

static void round_in_child(const void *arg, void *result)
{
  const struct round_input *input = arg;
  struct sample *sample = result;

  if (input->impl->round != NULL)
    input->impl->round(&input->plan->job, sample);
  else
    bench_run(input->impl, &input->plan->job, sample);
}

struct sample bench_round(const struct impl *impl, const struct plan_job *plan)
{
  struct round_input input = {impl, plan};
  struct sample sample = {.ops = plan->ops};

  if (!bench_child(round_in_child, &input, &sample, sizeof sample) ||
      sample.seconds <= 0)
    sample.ok = false;
  return sample;
}
