/*
 * load FILE ... -- PLUGIN ...: can plugins be loaded, and used by threads, in a
 * program that has no static thread-local storage to spare? Each FILE takes
 * some, the last ones a byte; that there is none left is seen where one fails.
 */
#include <dlfcn.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define THREADS 4
#define TURNS   1000
#define SECOND  UINT64_C(1000000000)

struct plugin {
  int (*open)(void);
  int (*lock)(uint64_t timeout_ns);
  void (*unlock)(void);
  void (*close)(void);
};

static void fail(const char *what)
{
  printf("FAILED: %s\n", what);
  exit(1);
}

static void find(void *handle, const char *name, void *function)
{
  void *symbol = dlsym(handle, name);

  if (symbol == NULL)
    fail(name);
  memcpy(function, &symbol, sizeof symbol);
}

static void *use(void *ctx)
{
  const struct plugin *plugin = ctx;

  for (int i = 0; i < TURNS; i++) {
    if (plugin->lock(20 * SECOND) != 0)
      fail("plugin_lock");
    plugin->unlock();
  }
  return NULL;
}

static void load(const char *file)
{
  void *handle = dlopen(file, RTLD_NOW | RTLD_LOCAL);
  pthread_t threads[THREADS];
  struct plugin plugin;

  if (handle == NULL)
    fail(dlerror());
  find(handle, "plugin_open", &plugin.open);
  find(handle, "plugin_lock", &plugin.lock);
  find(handle, "plugin_unlock", &plugin.unlock);
  find(handle, "plugin_close", &plugin.close);
  if (plugin.open() != 0)
    fail("plugin_open");
  for (int i = 0; i < THREADS; i++)
    if (pthread_create(&threads[i], NULL, use, &plugin) != 0)
      fail("pthread_create");
  use(&plugin);
  for (int i = 0; i < THREADS; i++)
    pthread_join(threads[i], NULL);
  plugin.close();
}

int main(int argc, char **argv)
{
  int failed = 0;
  int i = 1;

  alarm(100);
  for (; i < argc && strcmp(argv[i], "--") != 0; i++)
    failed = dlopen(argv[i], RTLD_NOW | RTLD_LOCAL) == NULL;
  if (!failed)
    fail("there is static thread-local storage left");
  while (++i < argc)
    load(argv[i]);
  puts("loaded");
  return 0;
}
