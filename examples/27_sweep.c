/*
 * One thread removes the jobs that are done, again and again, while two others
 * put new ones in.
 * Prints
 *     18000 jobs
 */
#include <cmap.h>
#include <pthread.h>
#include <stdio.h>

CMAP_DEFINE_SET(jobs, CMAP_U64);
static struct jobs jobs;

static void *work(void *first)
{
  for (uint64_t id = (uintptr_t)first; id < 20000; id += 2)
    cmap_ignore(jobs_put(jobs, id));
  return NULL;
}

static bool is_open(uint64_t id, void *done)
{
  return id % (uintptr_t)done != 0;
}

int main(void)
{
  pthread_t threads[2];
  bool good = jobs_create(NULL, &jobs) == CMAP_OK;

  for (uintptr_t i = 0; i < 2; i++)
    good = pthread_create(&threads[i], NULL, work, (void *)i) == 0 && good;
  for (int i = 0; i < 50; i++) /* every tenth is done */
    good = jobs_keep(jobs, is_open, (void *)10) == CMAP_OK && good;
  for (int i = 0; i < 2; i++)
    pthread_join(threads[i], NULL);
  good = jobs_keep(jobs, is_open, (void *)10) == CMAP_OK && good;
  printf("%zu jobs\n", jobs_len(jobs));
  jobs_destroy(jobs);
  return !good;
}
