/*
 * add_or_update runs its callback once, under the lock. The unlocked form runs
 * it outside every lock, and again whenever another thread came between: right
 * for callbacks that only compute, wrong for all that change something.
 *
 * Ten threads each add 999, 998 ... 0 to one key. Prints the sum and how often
 * the update callback ran, for one thread, for both forms, and for six
 * callbacks of the unlocked form that are more than a computation:
 *     sequential value=4995000 updates=9999
 *     add_or_update value=4995000 updates=9999
 *     unlocked value=4995000 calls=...          (more than 9999)
 *     mutable wrong value=... calls=... (why)
 *     ...
 *
 * No conflict is left to luck: the first thread stops in the middle of one
 * callback until others have added (stop_here).
 */
#include "07_step.h"
#include "07_variants.h"

/* ------------------------------------------------------------------------
 * Right: values that are replaced whole
 * ------------------------------------------------------------------------ */

static enum cmap_status sum_add(const char *key, long *sum, void *ctx)
{
  const struct add *add = ctx;

  (void)key;
  *sum = add->i;
  return CMAP_OK;
}

/* Computes the new value from the old one, and does nothing else. */
static enum cmap_status sum_update(const char *key, const long *old,
                                   long *fresh, void *ctx)
{
  const struct add *add = ctx;

  (void)key;
  atomic_fetch_add(&update_calls, 1); /* only to count, for this program */
  *fresh = *old + add->i;
  stop_here(IN_UPDATE, add);
  return CMAP_OK;
}

/* The write lock is held while a callback runs. */
static void add_locked(struct add *add)
{
  must(sums_add_or_update(sums, "sum", NULL, NULL, sum_add, sum_update, add,
                          NULL));
}

/* No lock is held while a callback runs. */
static void add_unlocked(struct add *add)
{
  must(sums_add_or_update_unlocked(sums, "sum", NULL, NULL, sum_add, sum_update,
                                   add, NULL, NULL));
}

static long sum_read(void)
{
  long sum = 0;

  must(sums_get(sums, "sum", &sum, NULL));
  return sum;
}

/* ------------------------------------------------------------------------
 * The experiments
 * ------------------------------------------------------------------------ */

struct experiment {
  const char *name;
  void (*add)(struct add *add);
  long (*read)(void); /* the sum, when all is done */
  enum place stop_at; /* where the first thread waits for the others */
  bool together;      /* the others run at the same time, not in turn */
  bool right;         /* what must come out */
  bool (*lazy_equal)(const void *, const void *, void *); /* NULL: by bytes */
  const char *why;
};

static const struct experiment locked = {
    .add = add_locked, .read = sum_read, .together = true};

static const struct experiment unlocked = {.add = add_unlocked,
                                           .read = sum_read,
                                           .stop_at = IN_UPDATE,
                                           .together = true};

static const struct experiment variants[] = {
    {.name = "mutable",
     .add = add_mutable,
     .read = number_read,
     .stop_at = IN_UPDATE,
     .why = "two callbacks changed one object at once: adds were overwritten"},
    {.name = "shared_factory",
     .add = add_shared_factory,
     .read = number_read,
     .stop_at = IN_ADD,
     .why = "one call ran both callbacks: added twice"},
    {.name = "lazy",
     .add = add_lazy,
     .read = lazy_read,
     .stop_at = IN_UPDATE,
     .why = "made once, but changed in place: overwritten, and added twice"},
    {.name = "lazy_equal",
     .add = add_lazy,
     .read = lazy_read,
     .stop_at = IN_UPDATE,
     .lazy_equal = lazy_value_equal,
     .why = "an object equals itself: the conflict was not even noticed"},
    {.name = "mutex_inside",
     .add = add_mutex_inside,
     .read = sum_read,
     .stop_at = IN_UPDATE,
     .why = "the mutex parts two callbacks, not two runs of one: added twice"},
    {.name = "idempotent",
     .add = add_idempotent,
     .read = marks_read,
     .stop_at = IN_UPDATE,
     .right = true,
     .why = "one callback ran twice, and the second run changed nothing"},
};

static void add_all(const struct experiment *e, int thread)
{
  for (long i = ADDS - 1; i >= 0; i--)
    e->add(&(struct add){thread, i});
}

struct adder {
  pthread_t thread;
  const struct experiment *experiment;
  int number;
};

static void *adder_run(void *arg)
{
  const struct adder *adder = arg;

  add_all(adder->experiment, adder->number);
  return NULL;
}

/* Ten threads. If the first one is to stop, the others make their adds while it
   stands in its callback. */
static void run_threads(const struct experiment *e)
{
  struct adder adders[THREADS];

  stop_at = e->stop_at;
  has_stopped = false;
  for (int i = 0; i < THREADS; i++) {
    adders[i] = (struct adder){.experiment = e, .number = i};
    if (pthread_create(&adders[i].thread, NULL, adder_run, &adders[i]) != 0)
      exit(1);
    if (i == 0 && e->stop_at != NOWHERE)
      step_wait(&stopped);
    if (i > 0 && !e->together)
      pthread_join(adders[i].thread, NULL);
  }
  for (int i = 1; i < THREADS && e->together; i++)
    pthread_join(adders[i].thread, NULL);
  if (e->stop_at != NOWHERE)
    sem_post(&go_on);
  pthread_join(adders[0].thread, NULL);
}

/* New maps, and all adds: by ten threads, or by this one. The sum, and in
 *calls how often the update callback ran. */
static long sum_of(const struct experiment *e, bool threads, int *calls)
{
  struct cmap_options options = CMAP_INIT;
  long sum;

  options.size = sizeof options;
  must(sums_create(NULL, &sums));
  must(numbers_create(NULL, &numbers));
  options.value_equal = e->lazy_equal;
  must(lazies_create(&options, &lazies));
  atomic_store(&update_calls, 0);
  if (threads)
    run_threads(e);
  for (int i = 0; i < THREADS && !threads; i++)
    add_all(e, i);
  *calls = atomic_load(&update_calls);
  sum = e->read();
  sums_destroy(sums);
  numbers_destroy(numbers);
  lazies_destroy(lazies);
  return sum;
}

int main(void)
{
  const int updates = THREADS * ADDS - 1; /* all adds but the first */
  int calls;
  long sum;
  bool as_expected = true;

  if (sem_init(&stopped, 0, 0) != 0 || sem_init(&go_on, 0, 0) != 0)
    return 1;
  sum = sum_of(&locked, false, &calls);
  printf("sequential value=%ld updates=%d\n", sum, calls);
  as_expected &= sum == SUM && calls == updates;

  sum = sum_of(&locked, true, &calls);
  printf("add_or_update value=%ld updates=%d\n", sum, calls);
  as_expected &= sum == SUM && calls == updates;

  sum = sum_of(&unlocked, true, &calls);
  printf("unlocked value=%ld calls=%d\n", sum, calls);
  as_expected &= sum == SUM && calls > updates;

  for (size_t i = 0; i < sizeof variants / sizeof *variants; i++) {
    const struct experiment *e = &variants[i];
    sum = sum_of(e, true, &calls);
    printf("%s %s value=%ld calls=%d (%s)\n", e->name,
           sum == SUM ? "right" : "wrong", sum, calls, e->why);
    as_expected &= (sum == SUM) == e->right;
  }
  return as_expected ? 0 : 1;
}
