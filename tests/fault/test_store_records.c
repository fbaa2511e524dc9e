/*
 * Without memory for the records of threads: borrowing beyond what there is
 * room for, building many at once, and becoming the builder of a ticket say so,
 * and leave nothing behind.
 *
 * The library gets these records from aligned_alloc, which the program replaces
 * here.
 */
#include "next_alloc.h"
#include "store_objects.h"
#include "threads.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

#define MOST 2000

static struct test_store t;
static atomic_bool refuse_records;

void *aligned_alloc(size_t align, size_t size)
{
  if (atomic_load(&refuse_records)) {
    errno = ENOMEM;
    return NULL;
  }
  return next_aligned_alloc(align, size);
}

static enum cmap_status build_not(const struct cmap_key *keys, size_t n,
                                  void **objects, enum cmap_status *statuses,
                                  void *ctx)
{
  (void)keys, (void)n, (void)objects, (void)statuses, (void)ctx;
  CHECK_NEVER("a constructor without a record");
  return CMAP_ENOTSUP;
}

static enum cmap_status build_none(struct cmap_key key, void **object,
                                   void *ctx)
{
  (void)key, (void)object, (void)ctx;
  CHECK_NEVER("a constructor without a record");
  return CMAP_ENOTSUP;
}

/* The first calls of this thread that need a record. */
static void build_many(unsigned index, void *ctx)
{
  const uint64_t id = 2;
  struct cmap_key key = cmap_key_u64(&id);
  struct cmap_handle handle;
  enum cmap_status status;

  (void)index, (void)ctx;
  atomic_store(&refuse_records, true);
  CHECK_STATUS(cmap_store_get_many(t.store, &key, 1, &handle, &status,
                                   build_not, NULL, NULL),
               CMAP_ENOMEM);
  CHECK_STATUS(status, CMAP_ENOMEM);
  CHECK(handle.object == NULL);
  CHECK_STATUS(
      cmap_store_get_or_create(t.store, key, &handle, build_none, NULL, NULL),
      CMAP_ENOMEM);
  CHECK_STATUS(
      cmap_store_refresh(t.store, key, &handle, build_none, NULL, NULL),
      CMAP_ENOMEM);
  CHECK(handle.object == NULL);
  atomic_store(&refuse_records, false);
}

static void borrow_many(unsigned index, void *ctx)
{
  static struct cmap_borrowed borrowed[MOST];
  const uint64_t id = 1;
  struct cmap_key key = cmap_key_u64(&id);
  enum cmap_status status = CMAP_OK;
  size_t n = 0;

  (void)index, (void)ctx;
  atomic_store(&refuse_records, true);
  while (status == CMAP_OK && n < MOST)
    status = cmap_store_borrow(t.store, key, &borrowed[n++], NULL);
  CHECK_STATUS(status, CMAP_ENOMEM);
  CHECK(n >= 3); /* two need no record */
  n--;
  CHECK(borrowed[n].object == NULL && borrowed[n].internal[0] == 0);
  atomic_store(&refuse_records, false);
  CHECK_OK(cmap_store_borrow(t.store, key, &borrowed[n++], NULL));
  while (n > 0)
    cmap_borrowed_release(&borrowed[--n]);
}

/* The builder of a ticket is a hold of the thread. */
static void bind_many(unsigned index, void *ctx)
{
  static struct cmap_ticket tickets[MOST];
  enum cmap_status status = CMAP_OK;
  uint64_t n = 0;

  (void)index, (void)ctx;
  while (status == CMAP_OK && n < MOST) {
    struct cmap_handle handle = CMAP_INIT;
    enum cmap_begin outcome;
    uint64_t id = 10 + n;
    CHECK_OK(cmap_store_begin(t.store, cmap_key_u64(&id), &handle, &tickets[n],
                              &outcome, NULL, NULL, NULL));
    CHECK(outcome == CMAP_YOURS);
    atomic_store(&refuse_records, true);
    status = cmap_ticket_bind(&tickets[n++]);
    atomic_store(&refuse_records, false);
  }
  CHECK_STATUS(status, CMAP_ENOMEM);
  CHECK_OK(cmap_ticket_bind(&tickets[n - 1]));
  while (n > 0)
    cmap_ticket_abandon(&tickets[--n]);
}

/* Is our aligned_alloc the one that is called? Valgrind puts in its own. */
static bool records_can_be_refused(void)
{
  void *(*volatile take)(size_t, size_t) = aligned_alloc;
  void *memory;

  atomic_store(&refuse_records, true);
  memory = take(64, 64);
  atomic_store(&refuse_records, false);
  free(memory);
  return memory == NULL;
}

static void no_memory_for_records(void **state)
{
  static thread_fn *const all[] = {build_many, borrow_many, bind_many};

  (void)state;
  if (!records_can_be_refused())
    skip();
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
    struct thread thread;
    uint64_t id = 1;

    test_store_open(&t, KEYS_U64);
    CHECK_OK(cmap_store_put(t.store, cmap_key_u64(&id),
                            tracked_new(&t.lives, id, 1), NULL, NULL));
    thread_start(&thread, all[i], 0, NULL);
    thread_join(&thread);
    CHECK(cmap_store_len(t.store) == 1);
    test_store_close(&t);
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(no_memory_for_records),
  };

  return cmocka_run_group_tests_name("store_records", tests, NULL, NULL);
}
