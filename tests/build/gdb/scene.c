/*
 * Two threads that hold guards, one that builds an object and one that waits
 * for it: what gdb is shown. Ends by abort() once all is so, for the core.
 */
#include <cmap.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

struct account {
  long cents;
  int number;
};
CMAP_DEFINE(bank, CMAP_STRING, struct account);

static struct bank bank;
static struct cmap *numbers;
static struct cmap_store *store;
static pthread_barrier_t ready;

static void must(enum cmap_status status)
{
  if (status != CMAP_OK)
    exit(1);
}

static enum cmap_status build(struct cmap_key key, void **object, void *ctx)
{
  (void)key;
  (void)object;
  (void)ctx;
  pthread_barrier_wait(&ready);
  for (;;)
    pause();
}

static void *builder(void *ctx)
{
  struct cmap_handle handle;
  (void)ctx;
  must(cmap_store_get_or_create(store, cmap_key_string("slow"), &handle, build,
                                NULL, NULL));
  return NULL;
}

static void *reader(void *ctx)
{
  struct bank_read_guard guard;
  (void)ctx;
  must(bank_get_ref(bank, "ada", &guard, NULL));
  pthread_barrier_wait(&ready);
  for (;;)
    pause();
}

static void stop(void)
{
  abort();
}

int main(void)
{
  struct cmap_store_options options;
  struct cmap_options plain;
  struct account account = {100, 7};
  struct cmap_write_guard guard;
  pthread_t threads[2];

  pthread_barrier_init(&ready, NULL, 3);
  must(bank_create(NULL, &bank));
  must(bank_insert(bank, "ada", account, NULL, NULL, NULL));
  account.cents = -5;
  must(bank_insert(bank, "a name that is too long for the slot it is in",
                   account, NULL, NULL, NULL));
  cmap_options_init(&plain, CMAP_U32, 8);
  must(cmap_create(&plain, &numbers));
  for (uint32_t i = 0; i < 3000; i++) {
    uint64_t value = 2 * (uint64_t)i;
    must(cmap_insert(numbers, cmap_key_u32(&i), &value, NULL, NULL, NULL));
  }
  cmap_store_options_init(&options, CMAP_STRING, NULL);
  must(cmap_store_create(&options, &store));
  must(cmap_store_put(store, cmap_key_string("fast"), &account, NULL, NULL));
  pthread_create(&threads[0], NULL, builder, NULL);
  pthread_create(&threads[1], NULL, reader, NULL);
  pthread_barrier_wait(&ready);
  must(cmap_get_mut(numbers, cmap_key_u32(&(uint32_t){5}), &guard, NULL));
  stop();
}
