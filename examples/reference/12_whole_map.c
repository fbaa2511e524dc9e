#define _GNU_SOURCE
#include "reference.h"

#include <sys/wait.h>
#include <unistd.h>

static enum cmap_status add_up(struct cmap_key key, const void *value,
                               void *sum)
{
  (void)key;
  *(uint64_t *)sum += *(const uint64_t *)value;
  return CMAP_OK;
}

static enum cmap_status birthday(struct cmap_key key, void *value, void *ctx)
{
  (void)key;
  (void)ctx;
  ++*(uint64_t *)value;
  return CMAP_OK;
}

static enum cmap_status take(struct cmap_key key, void *value, void *ctx)
{
  printf("%s %s\n", (const char *)ctx, (const char *)key.data);
  (void)value; /* it is ours now */
  return CMAP_OK;
}

static bool adult(struct cmap_key key, void *value, void *ctx)
{
  (void)key;
  (void)ctx;
  return *(uint64_t *)value >= 18;
}

static enum cmap_status larger(struct cmap_key key, void *value,
                               const void *from_value, void *ctx)
{
  (void)key;
  (void)ctx;
  if (*(const uint64_t *)from_value > *(uint64_t *)value)
    *(uint64_t *)value = *(const uint64_t *)from_value;
  return CMAP_OK;
}

/* The sizes, with and without locks. */
static void sizes(struct cmap *map)
{
  size_t len;
  uint64_t hash;

  is(cmap_reserve(map, 1000, NULL), CMAP_OK);
  so(cmap_capacity(map) >= 1000);
  so(cmap_len(map) == 3 && !cmap_is_empty(map));
  is(cmap_len_exact(map, &len, NULL), CMAP_OK);
  so(len == 3);
  is(cmap_hash(map, KEY("ada"), &hash), CMAP_OK);
  so(cmap_shard_index(map, hash) < cmap_shard_count(map));
  is(cmap_shrink_to_fit(map, NULL), CMAP_OK);
}

/* All entries at one moment. */
static void moment(struct cmap *map)
{
  struct cmap_snapshot *snapshot;

  is(cmap_snapshot_create(map, CMAP_KEYS_AND_VALUES, &snapshot, NULL), CMAP_OK);
  for (size_t i = 0; i < cmap_snapshot_count(snapshot); i++)
    printf("%s %d\n", (const char *)cmap_snapshot_key(snapshot, i).data,
           (int)*(const uint64_t *)cmap_snapshot_value(snapshot, i));
  cmap_snapshot_destroy(snapshot);
}

/* Read-only for a while; and a child process that has the map. */
static void still(struct cmap *map)
{
  int status = 1;
  pid_t child;

  is(cmap_freeze(map, NULL), CMAP_OK);
  is(cmap_remove(map, KEY("ada"), NULL, NULL), CMAP_FROZEN);
  is(cmap_thaw(map), CMAP_OK);

  is(cmap_fork_begin(map, NULL), CMAP_OK);
  child = fork();
  is(cmap_fork_end(map), CMAP_OK); /* in both */
  if (child == 0)
    _exit(cmap_contains(map, KEY("ada"), NULL) == CMAP_OK ? 0 : 1);
  so(waitpid(child, &status, 0) == child && status == 0);
}

int main(void)
{
  struct cmap *map = ages(), *copy;
  uint64_t sum = 0;
  size_t removed;
  bool equal;

  sizes(map);
  moment(map);
  still(map);
  is(cmap_clone(map, &copy, NULL), CMAP_OK);
  is(cmap_alter_all(map, birthday, NULL, NULL), CMAP_OK);
  is(cmap_view_all(map, add_up, &sum, NULL), CMAP_OK);
  so(sum == 37 + 42 + 8);
  is(cmap_retain(map, adult, NULL, &removed, NULL), CMAP_OK);
  so(removed == 1);
  is(cmap_merge(map, copy, larger, NULL, NULL), CMAP_OK);
  is(cmap_equal(map, copy, &equal, NULL), CMAP_OK);
  so(!equal); /* 37 and 36 */

  is(cmap_pop(map, 0, 1, take, "popped", NULL), CMAP_OK);
  is(cmap_drain(map, take, "drained", NULL), CMAP_OK);
  is(cmap_pop(map, 0, 1, take, "popped", NULL), CMAP_NOT_FOUND);
  is(cmap_clear(copy, NULL), CMAP_OK);
  cmap_destroy(copy);
  cmap_destroy(map);
  return 0;
}
