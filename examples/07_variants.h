/*
 * Callbacks for cmap_add_or_update_unlocked that do more than compute. They are
 * here to be seen failing: all but the last are WRONG, because they change
 * something that others see, and may run at the same time, or twice in a call.
 * The same callbacks would be right in cmap_add_or_update.
 */
#ifndef VARIANTS_H
#define VARIANTS_H

#include "07_step.h"

/* An object outside the map, to which the map holds a pointer. It is atomic
   only so that the races shown here are races of the program, not of C. */
struct number {
  atomic_long sum;
};

/* A number that is made when somebody first asks for it. */
struct lazy {
  struct number *_Atomic number; /* NULL: not yet */
  long start;
};

CMAP_DEFINE(sums, CMAP_STRING, long);
CMAP_DEFINE(numbers, CMAP_STRING, struct number *);
CMAP_DEFINE(lazies, CMAP_STRING, struct lazy *);

static struct sums sums;
static struct numbers numbers;
static struct lazies lazies;

/* Objects that live until the program ends: another thread may still look at
   one when the map no longer has it. */
static void *make(size_t size)
{
  static _Alignas(16) char memory[1 << 20];
  static atomic_size_t used;
  size_t at = atomic_fetch_add(&used, (size + 15) / 16 * 16);

  if (at + size > sizeof memory)
    exit(1);
  return memory + at;
}

/* ------------------------------------------------------------------------
 * mutable: the callback changes the object that the value points to
 * ------------------------------------------------------------------------ */

static struct number *number_make(long sum)
{
  struct number *number = make(sizeof *number);

  atomic_init(&number->sum, sum);
  return number;
}

/* WRONG in a callback without a lock: this is `sum += i`, in its two halves,
   and another thread may come between them. */
static void change_in_place(struct number *number, const struct add *add)
{
  long sum = atomic_load(&number->sum);

  stop_here(IN_UPDATE, add);
  atomic_store(&number->sum, sum + add->i);
}

static enum cmap_status number_add(const char *key, struct number **fresh,
                                   void *ctx)
{
  const struct add *add = ctx;

  (void)key;
  *fresh = number_make(add->i);
  return CMAP_OK;
}

static enum cmap_status number_update(const char *key,
                                      struct number *const *old,
                                      struct number **fresh, void *ctx)
{
  (void)key;
  atomic_fetch_add(&update_calls, 1);
  change_in_place(*old, ctx);
  *fresh = *old; /* the same pointer: no conflict is ever noticed */
  return CMAP_OK;
}

static void add_mutable(struct add *add)
{
  must(numbers_add_or_update_unlocked(numbers, "sum", NULL, NULL, number_add,
                                      number_update, add, NULL, NULL));
}

static long number_read(void)
{
  struct number *number = NULL;

  must(numbers_get(numbers, "sum", &number, NULL));
  return atomic_load(&number->sum);
}

/* ------------------------------------------------------------------------
 * shared_factory: there is one object, and both callbacks add to it
 * ------------------------------------------------------------------------ */

static struct number shared;

/* WRONG: if another thread inserts first, the update callback runs as well. */
static enum cmap_status shared_add(const char *key, struct number **fresh,
                                   void *ctx)
{
  const struct add *add = ctx;

  (void)key;
  atomic_fetch_add(&shared.sum, add->i);
  *fresh = &shared;
  stop_here(IN_ADD, add);
  return CMAP_OK;
}

static enum cmap_status shared_update(const char *key,
                                      struct number *const *old,
                                      struct number **fresh, void *ctx)
{
  const struct add *add = ctx;

  (void)key;
  atomic_fetch_add(&update_calls, 1);
  atomic_fetch_add(&(*old)->sum, add->i);
  *fresh = *old;
  return CMAP_OK;
}

static void add_shared_factory(struct add *add)
{
  must(numbers_add_or_update_unlocked(numbers, "sum", NULL, NULL, shared_add,
                                      shared_update, add, NULL, NULL));
}

/* ------------------------------------------------------------------------
 * lazy, lazy_equal: the value is a wrapper that makes the object only once
 * ------------------------------------------------------------------------ */

static struct number *lazy_number(struct lazy *lazy)
{
  struct number *number = atomic_load(&lazy->number);

  if (number == NULL) {
    struct number *mine = number_make(lazy->start);
    if (atomic_compare_exchange_strong(&lazy->number, &number, mine))
      number = mine;
  }
  return number;
}

static enum cmap_status lazy_add(const char *key, struct lazy **fresh,
                                 void *ctx)
{
  const struct add *add = ctx;

  (void)key;
  *fresh = make(sizeof **fresh);
  atomic_init(&(*fresh)->number, NULL);
  (*fresh)->start = add->i;
  return CMAP_OK;
}

/* WRONG: the number is made once; but it is changed in place here, as often as
   this runs. */
static enum cmap_status lazy_update(const char *key, struct lazy *const *old,
                                    struct lazy **fresh, void *ctx)
{
  struct number *number = lazy_number(*old);

  (void)key;
  atomic_fetch_add(&update_calls, 1);
  change_in_place(number, ctx);
  *fresh = make(sizeof **fresh); /* a new wrapper of the same number */
  atomic_init(&(*fresh)->number, number);
  (*fresh)->start = 0;
  return CMAP_OK;
}

/* lazy_equal: equal are wrappers of equal numbers. Runs under the lock. */
static bool lazy_value_equal(const void *a, const void *b, void *ctx)
{
  struct lazy *const *one = a;
  struct lazy *const *other = b;

  (void)ctx;
  return atomic_load(&lazy_number(*one)->sum) ==
         atomic_load(&lazy_number(*other)->sum);
}

static void add_lazy(struct add *add)
{
  must(lazies_add_or_update_unlocked(lazies, "sum", NULL, NULL, lazy_add,
                                     lazy_update, add, NULL, NULL));
}

static long lazy_read(void)
{
  struct lazy *lazy = NULL;

  must(lazies_get(lazies, "sum", &lazy, NULL));
  return atomic_load(&lazy_number(lazy)->sum);
}

/* ------------------------------------------------------------------------
 * mutex_inside: the callback changes a total of the program's own
 * ------------------------------------------------------------------------ */

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static long total; /* under mutex */

/* WRONG: the mutex keeps two callbacks apart, but this one runs twice. */
static enum cmap_status total_update(const char *key, const long *old,
                                     long *fresh, void *ctx)
{
  const struct add *add = ctx;

  (void)key;
  (void)old;
  atomic_fetch_add(&update_calls, 1);
  pthread_mutex_lock(&mutex);
  total += add->i;
  *fresh = total;
  pthread_mutex_unlock(&mutex);
  stop_here(IN_UPDATE, add);
  return CMAP_OK;
}

static enum cmap_status total_add(const char *key, long *fresh, void *ctx)
{
  const struct add *add = ctx;

  (void)key;
  pthread_mutex_lock(&mutex);
  total += add->i;
  *fresh = total;
  pthread_mutex_unlock(&mutex);
  return CMAP_OK;
}

static void add_mutex_inside(struct add *add)
{
  must(sums_add_or_update_unlocked(sums, "sum", NULL, NULL, total_add,
                                   total_update, add, NULL, NULL));
}

/* ------------------------------------------------------------------------
 * idempotent: to do it twice is the same as to do it once
 * ------------------------------------------------------------------------ */

static atomic_bool marks[THREADS][ADDS]; /* which adds were made */

static enum cmap_status mark_add(const char *key, long *fresh, void *ctx)
{
  const struct add *add = ctx;

  (void)key;
  atomic_store(&marks[add->thread][add->i], true);
  *fresh = 1;
  return CMAP_OK;
}

/* RIGHT: it changes something outside, but a second run changes nothing. */
static enum cmap_status mark_update(const char *key, const long *old,
                                    long *fresh, void *ctx)
{
  const struct add *add = ctx;

  (void)key;
  atomic_fetch_add(&update_calls, 1);
  atomic_store(&marks[add->thread][add->i], true);
  *fresh = *old + 1; /* the value counts the calls that were made */
  stop_here(IN_UPDATE, add);
  return CMAP_OK;
}

static void add_idempotent(struct add *add)
{
  must(sums_add_or_update_unlocked(sums, "sum", NULL, NULL, mark_add,
                                   mark_update, add, NULL, NULL));
}

static long marks_read(void)
{
  long sum = 0;

  for (int thread = 0; thread < THREADS; thread++)
    for (long i = 0; i < ADDS; i++)
      sum += atomic_load(&marks[thread][i]) ? i : 0;
  return sum;
}

#endif
