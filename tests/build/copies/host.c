/*
 * host A B: loads the plugins A and B, each with a copy of libcmap of its own.
 *
 * late       threads that used a plugin end after its dlclose
 * again      a plugin is loaded and unloaded more often than there are
 *            thread-specific keys; each time it is gone, and its memory too
 * apart      both copies at once: each finds its own deadlocks, and a circle
 *            over both ends by a deadline
 */
#include <dlfcn.h>
#include <limits.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define THREADS   4
#define LATE      20
#define AGAIN     (PTHREAD_KEYS_MAX + 100)
#define LEFT_KIB  2000 /* one thread's records are 4 KiB and more */
#define SECOND    UINT64_C(1000000000)
#define TIMED_OUT (-5)
#define DEADLOCK  (-6)

struct plugin {
  void *handle;
  int (*open)(void);
  int (*lock)(uint64_t timeout_ns);
  void (*unlock)(void);
  void (*close)(void);
};

static pthread_barrier_t barrier;
static struct plugin a, b;

static void fail(const char *what)
{
  printf("FAILED: %s\n", what);
  exit(1);
}

static void find(struct plugin *plugin, const char *name, void *function)
{
  void *symbol = dlsym(plugin->handle, name);

  if (symbol == NULL)
    fail(name);
  memcpy(function, &symbol, sizeof symbol);
}

static void load(struct plugin *plugin, const char *file)
{
  plugin->handle = dlopen(file, RTLD_NOW | RTLD_LOCAL);
  if (plugin->handle == NULL)
    fail(dlerror());
  find(plugin, "plugin_open", &plugin->open);
  find(plugin, "plugin_lock", &plugin->lock);
  find(plugin, "plugin_unlock", &plugin->unlock);
  find(plugin, "plugin_close", &plugin->close);
  if (plugin->open() != 0)
    fail("plugin_open");
}

static void unload(struct plugin *plugin)
{
  plugin->close();
  if (dlclose(plugin->handle) != 0)
    fail("dlclose");
}

static int is_loaded(const char *file)
{
  void *handle = dlopen(file, RTLD_NOW | RTLD_NOLOAD);

  return handle != NULL && dlclose(handle) == 0;
}

static long most_kib(void)
{
  struct rusage usage;

  if (getrusage(RUSAGE_SELF, &usage) != 0)
    fail("getrusage");
  return usage.ru_maxrss;
}

static void *use(void *plugin)
{
  struct plugin *p = plugin;

  if (p->lock(20 * SECOND) != 0)
    fail("plugin_lock");
  p->unlock();
  return NULL;
}

static void *use_late(void *plugin)
{
  use(plugin);
  pthread_barrier_wait(&barrier);
  pthread_barrier_wait(&barrier);
  return NULL;
}

static void late(const char *file)
{
  pthread_barrier_init(&barrier, NULL, THREADS + 1);
  for (int round = 0; round < LATE; round++) {
    pthread_t threads[THREADS];
    load(&a, file);
    for (int i = 0; i < THREADS; i++)
      if (pthread_create(&threads[i], NULL, use_late, &a) != 0)
        fail("pthread_create");
    pthread_barrier_wait(&barrier);
    unload(&a);
    if (!is_loaded(file))
      fail("the plugin is gone before the threads that have used it");
    pthread_barrier_wait(&barrier);
    for (int i = 0; i < THREADS; i++)
      pthread_join(threads[i], NULL);
  }
  pthread_barrier_destroy(&barrier);
}

static void again(const char *file)
{
  long kib = 0;

  for (int round = 0; round < AGAIN; round++) {
    pthread_t thread;
    if (round == AGAIN / 10)
      kib = most_kib();
    load(&a, file);
    if (pthread_create(&thread, NULL, use, &a) != 0)
      fail("pthread_create");
    pthread_join(thread, NULL);
    unload(&a);
    if (is_loaded(file))
      fail("the plugin is still there after its dlclose");
  }
  if (most_kib() - kib > LEFT_KIB)
    fail("memory stays");
}

static void lock_both(struct plugin *first, struct plugin *second,
                      uint64_t timeout_ns, int expected)
{
  int status;

  if (first->lock(20 * SECOND) != 0)
    fail("the first lock");
  if (first->lock(20 * SECOND) != DEADLOCK)
    fail("a thread waits for itself");
  pthread_barrier_wait(&barrier);
  status = second->lock(timeout_ns);
  if (status != expected)
    fail("the second lock");
  if (status == 0)
    second->unlock();
  first->unlock();
}

static void *other_way(void *unused)
{
  (void)unused;
  lock_both(&b, &a, 20 * SECOND, 0);
  return NULL;
}

static void apart(const char *file_a, const char *file_b)
{
  pthread_t thread;

  load(&a, file_a);
  load(&b, file_b);
  pthread_barrier_init(&barrier, NULL, 2);
  if (pthread_create(&thread, NULL, other_way, NULL) != 0)
    fail("pthread_create");
  lock_both(&a, &b, SECOND / 20, TIMED_OUT);
  pthread_join(thread, NULL);
  pthread_barrier_destroy(&barrier);
  unload(&b);
  unload(&a);
}

int main(int argc, char **argv)
{
  if (argc != 3)
    fail("usage: host A B");
  alarm(100);
  late(argv[1]);
  again(argv[1]);
  apart(argv[1], argv[2]);
  puts("host ok");
  return 0;
}
