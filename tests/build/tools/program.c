/*
 * Two threads that change boxes under guards and read what others have
 * inserted: right, unless a macro says what is to be wrong.
 *   LEAK      a value that goes lost
 *   DESTROYED a map that is used after its end
 *   RACE      a variable that is nobody's
 */
#include <cmap.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

struct box {
  long n;
};
typedef struct box *box_ref;
CMAP_DEFINE(boxes, CMAP_U64, box_ref);

enum { KEYS = 20, ROUNDS = 20000 };
static struct boxes boxes;
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

static void *work(void *ctx)
{
  for (uint64_t i = 0; i < ROUNDS; i++) {
    uint64_t key = i % KEYS;
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
#ifdef RACE
    unguarded++;
#endif
  }
  return ctx;
}

int main(void)
{
  pthread_t threads[2];
  box_ref box;

  must(boxes_create(NULL, &boxes));
  for (int i = 0; i < 2; i++)
    pthread_create(&threads[i], NULL, work, NULL);
  for (int i = 0; i < 2; i++)
    pthread_join(threads[i], NULL);
#ifdef LEAK
  must(boxes_insert(boxes, KEYS, new_box(), NULL, NULL, NULL));
#endif
  for (uint64_t key = 0; key < KEYS; key++) {
    must(boxes_remove(boxes, key, &box, NULL));
    free(box);
  }
  boxes_destroy(boxes);
#ifdef DESTROYED
  (void)!boxes_contains(boxes, 1, NULL);
#endif
  puts("done");
  return 0;
}
