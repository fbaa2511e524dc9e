/*
 * Two threads that change boxes under guards, values in the map by a function,
 * and read what others have inserted and built: right, unless a macro says what
 * is to be wrong.
 *   LEAK      a value that goes lost
 *   DESTROYED a map that is used after its end
 *   RACE      a variable that is nobody's
 *   RACE_READ a change under a guard that is for reading
 */
#include <cmap.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

struct box {
  long n;
};
typedef struct box *box_ref;
struct account {
  long given, taken;
};
CMAP_DEFINE(boxes, CMAP_U64, box_ref);
CMAP_DEFINE(accounts, CMAP_STRING, struct account);

#ifndef ROUNDS
#  define ROUNDS 5000
#endif
enum { KEYS = 2000, OBJECTS = 16 };
static struct boxes boxes;
static struct accounts accounts;
static struct cmap_store *store;
static pthread_barrier_t start;
#ifdef RACE
static long unguarded;
#endif

static void must(enum cmap_status status)
{
  if (status != CMAP_OK)
    abort();
}

static box_ref new_box(void)
{
  box_ref box = malloc(sizeof *box);
  if (box == NULL)
    abort();
  box->n = 1;
  return box;
}

static enum cmap_status build(struct cmap_key key, void **object, void *ctx)
{
  (void)key;
  (void)ctx;
  *object = new_box();
  return CMAP_OK;
}

static void end(void *object, void *ctx)
{
  (void)ctx;
  ((struct box *)object)->n = 0;
  free(object);
}

static enum cmap_status give(const char *name, struct account *account,
                             void *ctx)
{
  (void)name;
  (void)ctx;
  account->given++;
  account->taken++;
  return CMAP_OK;
}

static void use_boxes(uint64_t key)
{
  box_ref box = new_box();

  if (boxes_insert_new(boxes, key, box, NULL, NULL) != CMAP_OK)
    free(box);
  {
    CMAP_AUTO(boxes_write_guard, guard);
    must(boxes_get_mut(boxes, key, &guard, NULL));
    (*guard.value)->n++;
  }
  {
    CMAP_AUTO(boxes_read_guard, guard);
    must(boxes_get_ref(boxes, key, &guard, NULL));
    if ((*guard.value)->n < 2)
      abort();
  }
}

#ifdef RACE_READ
static void misuse_box(uint64_t key)
{
  CMAP_AUTO(boxes_read_guard, guard);
  if (boxes_get_ref(boxes, key, &guard, NULL) == CMAP_OK)
    (*guard.value)->n++;
}
#endif

static void use_accounts(uint64_t key)
{
  struct account account = {0, 0};
  char name[64];

  snprintf(name, sizeof name, "%s%d",
           key % 2 ? "" : "in a box of its own: ", (int)key);
  if (accounts_insert_new(accounts, name, account, NULL, NULL) == CMAP_ENOMEM)
    abort();
  must(accounts_alter(accounts, name, give, NULL, NULL));
  must(accounts_get(accounts, name, &account, NULL));
  if (account.given != account.taken)
    abort();
}

static void use_store(uint64_t i)
{
  uint64_t key = i % OBJECTS;
  struct cmap_handle handle = CMAP_INIT;

  must(cmap_store_get_or_create(store, cmap_key_u64(&key), &handle, build, NULL,
                                NULL));
  if (((const struct box *)handle.object)->n != 1)
    abort();
  cmap_handle_release(&handle);
  if (i % 40 == 0)
    (void)!cmap_store_remove(store, cmap_key_u64(&key), NULL);
}

static void *work(void *ctx)
{
  use_boxes(1);
  pthread_barrier_wait(&start); /* nobody ends before all are here */
  for (uint64_t i = 0; i < ROUNDS; i++) {
#ifdef RACE_READ
    misuse_box(0);
    continue;
#endif
    use_boxes(i % KEYS);
    use_accounts(i % 500);
    use_store(i);
#ifdef RACE
    unguarded++;
#endif
  }
  return ctx;
}

/* What takes locks by the way, in the plain library without waiting. */
static void use_whole(void)
{
  struct cmap *copy = NULL;
  size_t n = 0;

  must(cmap_clone(accounts.map, &copy, NULL));
  while (cmap_pop(copy, 0, 1, NULL, NULL, NULL) == CMAP_OK)
    n++;
  if (n != accounts_len(accounts) || cmap_len(copy) != 0)
    abort();
  cmap_destroy(copy);
}

static void ask_beside_guard(uint64_t key)
{
  CMAP_AUTO(boxes_read_guard, guard);
  box_ref box = new_box();

  must(boxes_get_ref(boxes, key, &guard, NULL));
  if (boxes_insert_new(boxes, key, box, NULL, NULL) != CMAP_EXISTS)
    abort();
  free(box);
}

int main(void)
{
  struct cmap_store_options options;
  pthread_t threads[2];
  box_ref box;

  cmap_store_options_init(&options, CMAP_U64, end);
  must(cmap_store_create(&options, &store));
  must(accounts_create(NULL, &accounts));
  must(boxes_create(NULL, &boxes));
  use_boxes(0);
  pthread_barrier_init(&start, NULL, 2);
  for (int i = 0; i < 2; i++)
    pthread_create(&threads[i], NULL, work, NULL);
  for (int i = 0; i < 2; i++)
    pthread_join(threads[i], NULL);
  use_whole();
  ask_beside_guard(0);
#ifdef LEAK
  must(boxes_insert(boxes, KEYS, new_box(), NULL, NULL, NULL));
#endif
  for (uint64_t key = 0; key < KEYS; key++) {
    if (boxes_remove(boxes, key, &box, NULL) == CMAP_OK)
      free(box);
  }
  boxes_destroy(boxes);
  accounts_destroy(accounts);
  must(cmap_store_destroy(store));
#ifdef DESTROYED
  (void)!boxes_contains(boxes, 1, NULL);
#endif
  puts("done");
  return 0;
}
