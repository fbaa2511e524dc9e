/*
 * A set of what has been visited: two threads walk over one graph from both
 * ends, and each node is worked on by exactly one of them, because only one
 * of two threads can add a key that is not there.
 */
#include <cmap.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

enum { NODES = 20000, THREADS = 2 };

CMAP_DEFINE_SET(visited, CMAP_U32);

static struct visited visited;

struct walker {
  pthread_t thread;
  uint32_t start;
  size_t count; /* nodes that it was the first to come to */
};

static void must(enum cmap_status status)
{
  if (status == CMAP_OK)
    return;
  fprintf(stderr, "%s\n", cmap_status_text(status));
  exit(1);
}

/* A node leads to its neighbours in a ring, and to one far away. */
static void *walk(void *arg)
{
  struct walker *walker = arg;
  uint32_t *waiting = malloc(3 * NODES * sizeof *waiting);
  size_t n = 0;

  if (waiting == NULL)
    exit(1);
  waiting[n++] = walker->start;
  while (n > 0) {
    uint32_t node = waiting[--n];
    enum cmap_status status = visited_add(visited, node, NULL);
    if (status == CMAP_EXISTS)
      continue; /* the other one was here, or we were */
    must(status);
    walker->count++;
    waiting[n++] = (node + 1) % NODES;
    waiting[n++] = (node + NODES - 1) % NODES;
    if (n < 3 * NODES)
      waiting[n++] = node * 7919 % NODES;
  }
  free(waiting);
  return NULL;
}

int main(void)
{
  struct walker walkers[THREADS] = {{.start = 0}, {.start = NODES / 2}};
  size_t count = 0;

  must(visited_create(NULL, &visited));
  for (int i = 0; i < THREADS; i++)
    if (pthread_create(&walkers[i].thread, NULL, walk, &walkers[i]) != 0)
      return 1;
  for (int i = 0; i < THREADS; i++) {
    pthread_join(walkers[i].thread, NULL);
    count += walkers[i].count;
  }
  printf("nodes=%d visited=%zu worked_on=%zu\n", NODES, visited_len(visited),
         count);
  visited_destroy(visited);
  return 0;
}
