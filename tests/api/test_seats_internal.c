/*
 * Guards and views whose hold is a seat (sync/bias.h): the same promises as of
 * those that are counted. All keys are in one shard.
 */
#include "seats_fixture.h"
#include "step.h"

static void write_it(unsigned index, void *map)
{
  (void)index;
  numbers_put(map, KEY, 3);
}

static void try_to_write(unsigned index, void *map)
{
  (void)index;
  CHECK_STATUS(write_at_once(map), CMAP_BUSY);
}

static void close_map(struct cmap *map)
{
  numbers_put(map, KEY, 4); /* nobody holds it */
  assert_int_equal(word_of(map), 0);
  cmap_destroy(map);
  checks_assert();
}

static void a_writer_counts_it(void **state)
{
  struct cmap *map = open_biased();
  struct cmap_read_guard guard = guard_of(map);

  (void)state;
  assert_true(has_seat(&guard));
  assert_int_equal(word_of(map), CMAP__LOCK_BIASED);
  on_another_thread(try_to_write, map);
  assert_int_equal(word_of(map), CMAP__LOCK_ONE_READER);
  assert_int_equal(*(const uint64_t *)guard.value, 1);
  release(&guard);
  assert_null(guard.value);
  assert_int_equal(word_of(map), 0);
  on_another_thread(write_it, map);
  assert_int_equal(numbers_get(map, KEY), 3);
  close_map(map);
}

static void more_than_there_are_seats(void **state)
{
  struct cmap *map = open_biased();
  struct cmap_read_guard guards[CMAP__SEATS + 2];

  (void)state;
  for (unsigned i = 0; i < CMAP__SEATS + 2; i++) {
    guards[i] = guard_of(map);
    assert_int_equal(has_seat(&guards[i]), i < CMAP__SEATS);
  }
  assert_int_equal(word_of(map), CMAP__LOCK_BIASED | 2 * CMAP__LOCK_ONE_READER);
  release(&guards[3]); /* and is taken again */
  guards[3] = guard_of(map);
  assert_true(has_seat(&guards[3]));
  on_another_thread(try_to_write, map);
  assert_int_equal(word_of(map), (CMAP__SEATS + 2) * CMAP__LOCK_ONE_READER);
  for (unsigned i = CMAP__SEATS + 2; i-- > 0;)
    release(&guards[i]);
  close_map(map);
}

static void it_is_known_to_its_thread(void **state)
{
  struct cmap *map = open_biased();
  struct cmap_read_guard guard = guard_of(map), again;
  uint64_t value = 0;

  (void)state;
  assert_status(cmap_insert(map, cmap_key_u64(&(uint64_t){KEY}), &value, NULL,
                            NULL, NULL),
                CMAP_EDEADLK);
  assert_status(write_at_once(map), CMAP_BUSY);
  again = guard_of(map);
  assert_true(has_seat(&again)); /* nothing was taken away for that */
  assert_int_equal(cmap_read_guard_shard_index(&guard),
                   cmap_read_guard_shard_index(&again));
  release(&guard);
  release(&again);
  close_map(map);
}

struct circle {
  struct cmap *maps[2];
  struct step step;
  _Atomic unsigned refused;
};

/* Each holds a key of its own map, and writes to the other one. */
static void go_round(unsigned index, void *ctx)
{
  struct circle *circle = ctx;
  struct cmap_read_guard guard;
  uint64_t value = 5;
  enum cmap_status status;

  bias(circle->maps[index]);
  guard = guard_of(circle->maps[index]);
  CHECK(has_seat(&guard));
  if (index == 0) {
    step_done(&circle->step, 1);
    step_wait(&circle->step, 2);
  } else {
    step_wait(&circle->step, 1);
    step_done(&circle->step, 2);
  }
  status = cmap_insert(circle->maps[1 - index], cmap_key_u64(&(uint64_t){KEY}),
                       &value, NULL, NULL, NULL);
  if (status == CMAP_EDEADLK)
    circle->refused++;
  else
    CHECK_OK(status);
  release(&guard);
}

static void a_circle_of_seats(void **state)
{
  struct circle circle = {.maps = {open_biased(), open_biased()}};

  (void)state;
  step_begin(&circle.step);
  threads_run(2, go_round, &circle);
  assert_int_equal(circle.refused, 1);
  step_end(&circle.step);
  close_map(circle.maps[0]);
  close_map(circle.maps[1]);
}

static void take_over(unsigned index, void *ctx)
{
  (void)index;
  CHECK_OK(cmap_read_guard_attach(ctx));
  release(ctx);
}

static void it_is_handed_over(void **state)
{
  struct cmap *map = open_biased();
  struct cmap_read_guard guard = guard_of(map);
  struct cmap_read_guard copy = guard;

  (void)state;
  assert_ok(cmap_read_guard_attach(&guard)); /* it is this thread's already */
  assert_ok(cmap_read_guard_detach(&guard));
  assert_false(has_seat(&guard));
  assert_ok(cmap_read_guard_release(&copy)); /* stale: nothing happens */
  assert_int_equal(word_of(map), CMAP__LOCK_BIASED | CMAP__LOCK_ONE_READER);
  on_another_thread(try_to_write, map);
  on_another_thread(take_over, &guard);
  on_another_thread(write_it, map);
  close_map(map);
}

static void end_anothers(unsigned index, void *ctx)
{
  struct cmap_read_guard copy = *(struct cmap_read_guard *)ctx;

  (void)index;
  CHECK_STATUS(cmap_read_guard_release(&copy), CMAP_EINVAL);
  CHECK_STATUS(cmap_read_guard_detach(&copy), CMAP_EINVAL);
  CHECK_STATUS(cmap_read_guard_attach(&copy), CMAP_EINVAL);
}

static void copies(void **state)
{
  struct cmap *map = open_biased();
  struct cmap_read_guard guard = guard_of(map);
  struct cmap_read_guard copy = guard;

  (void)state;
  on_another_thread(end_anothers, &guard);
  release(&guard);
  guard = guard_of(map);
  assert_int_equal(guard.internal[0], copy.internal[0]); /* the same seat */
  release(&copy);
  on_another_thread(try_to_write, map); /* it is held still */
  release(&guard);
  close_map(map);
}

static void destroyed_with_a_guard(void **state)
{
  struct cmap *map = open_biased();
  struct cmap_read_guard guard = guard_of(map);

  (void)state;
  assert_true(has_seat(&guard));
  cmap_destroy(map);
  assert_int_equal(cmap__self.seats->used, 0);
  assert_ok(cmap_read_guard_release(&guard));
}

static void end_with_a_guard(unsigned index, void *map)
{
  struct cmap_read_guard guard;

  (void)index;
  bias(map);
  guard = guard_of(map);
  CHECK(has_seat(&guard));
}

static enum cmap_status end_here(struct cmap_key key, const void *value,
                                 void *ctx)
{
  (void)key, (void)value, (void)ctx;
  CHECK(cmap__self.seats->used != 0);
  pthread_exit(NULL);
}

static void end_in_a_view(unsigned index, void *map)
{
  (void)index;
  bias(map);
  (void)!cmap_view(map, cmap_key_u64(&(uint64_t){KEY}), end_here, NULL, NULL);
  CHECK_NEVER("the view returns");
}

static void a_thread_ends(thread_fn *run)
{
  struct cmap *map = open_biased();
  struct cmap_read_guard guard;
  uint64_t value = 9;

  on_another_thread(run, map);
  assert_status(cmap_insert(map, cmap_key_u64(&(uint64_t){KEY}), &value, NULL,
                            NULL, NULL),
                CMAP_EABANDONED);
  guard = guard_of(map); /* to read it is to be had */
  release(&guard);
  cmap_destroy(map);
  checks_assert();
}

static void threads_end(void **state)
{
  (void)state;
  a_thread_ends(end_with_a_guard);
  a_thread_ends(end_in_a_view);
}

static enum cmap_status write_inside(struct cmap_key key, const void *value,
                                     void *map)
{
  uint64_t other = 1;

  (void)key, (void)value;
  CHECK(cmap__self.seats->used != 0);
  CHECK_STATUS(cmap_insert(map, cmap_key_u64(&other), &other, NULL, NULL, NULL),
               CMAP_EDEADLK);
  return (enum cmap_status)USER_STATUS;
}

static void a_view_has_a_seat(void **state)
{
  struct cmap *map = open_biased();

  (void)state;
  assert_status(
      cmap_view(map, cmap_key_u64(&(uint64_t){KEY}), write_inside, map, NULL),
      (enum cmap_status)USER_STATUS);
  assert_int_equal(cmap__self.seats->used, 0);
  close_map(map);
}

/* Seats that threads leave are the next ones'; when all are taken, holds are
 * counted. */
static void seats_for_so_many_threads(void **state)
{
  enum { MOST = 1024 };
  static struct cmap__seats *all[MOST + 1];
  struct cmap *map = open_biased();
  struct cmap__seats *own = cmap__self.seats;
  struct cmap_read_guard guard;
  unsigned n = 0;

  (void)state;
  do {
    cmap__self.seats = NULL;
    cmap__self.expects_bias = false;
    cmap__seats_begin();
    all[n] = cmap__self.seats;
  } while (all[n] != NULL && ++n <= MOST);
  assert_in_range(n, 1, MOST - 1); /* one is `own` */
  guard = guard_of(map);
  assert_false(has_seat(&guard));
  release(&guard);
  for (unsigned i = n; i-- > 0;) {
    cmap__self.seats = all[i];
    cmap__seats_end(&cmap__self);
  }
  cmap__seats_begin();
  assert_true(cmap__self.seats->number <= n);
  cmap__seats_end(&cmap__self);
  cmap__self.seats = own;
  close_map(map);
}

static void without_the_barrier(void **state)
{
  struct cmap *map = numbers_open();

  (void)state;
  cmap__store_relaxed(&cmap__bias_works, false);
  numbers_put(map, KEY, 1);
  for (int i = 0; i < 1000; i++) {
    struct cmap_read_guard guard = guard_of(map);
    CHECK(!has_seat(&guard));
    release(&guard);
  }
  cmap__store_relaxed(&cmap__bias_works, works);
  close_map(map);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_writer_counts_it),
      cmocka_unit_test(more_than_there_are_seats),
      cmocka_unit_test(it_is_known_to_its_thread),
      cmocka_unit_test(a_circle_of_seats),
      cmocka_unit_test(it_is_handed_over),
      cmocka_unit_test(copies),
      cmocka_unit_test(destroyed_with_a_guard),
      cmocka_unit_test(threads_end),
      cmocka_unit_test(a_view_has_a_seat),
      cmocka_unit_test(seats_for_so_many_threads),
      cmocka_unit_test(without_the_barrier),
  };

  works = cmap__load_relaxed(&cmap__bias_works);
  return cmocka_run_group_tests_name("seats_internal", tests, NULL, NULL);
}
