/*
 * Statistics, and the description of a map.
 */
#include <stdarg.h>
#include <stdio.h>

#include "base/alloc.h"
#include "map/frozen.h"
#include "map/shards.h"

/* Shards that are looked at in detail. */
#define SAMPLED_SHARDS 64

/* What they tell. */
struct sample {
  uint64_t entries;
  size_t longest_probe;
};

static void sample_shard(const struct cmap__layout *layout,
                         const struct cmap__shard *shard, struct sample *sample)
{
  struct cmap__cursor cursor = cmap__cursor_begin(shard->block);
  struct cmap__place place;

  while (cmap__cursor_next(layout, &cursor, &place)) {
    size_t probe = cmap__shard_probe(shard, cmap__slot_hash(layout, place.slot),
                                     place.group);
    if (probe > sample->longest_probe)
      sample->longest_probe = probe;
    sample->entries++;
  }
}

/* Looks at shards that are spread evenly over the hashes; passes over those
 * that are in use. */
static void take_sample(struct cmap *map, uint64_t shards,
                        struct sample *sample)
{
  const struct cmap__patience patience = {.try_only = true};
  uint64_t step = shards <= SAMPLED_SHARDS ? 0 : UINT64_MAX / SAMPLED_SHARDS;
  uint64_t hash = 0;

  for (unsigned i = 0; i < SAMPLED_SHARDS; i++) {
    struct cmap__locked locked;
    uint64_t next = hash + step;
    if (cmap__table_lock(&map->table, hash, CMAP__READ, &patience, &locked) ==
        CMAP_OK) {
      sample_shard(&map->table.layout, locked.shard, sample);
      if (step == 0)
        next = cmap__shard_next_hash(locked.shard);
      cmap__table_unlock(&locked);
    } else if (step == 0) {
      next = hash + UINT64_MAX / SAMPLED_SHARDS;
    }
    if (next <= hash)
      break;
    hash = next;
  }
}

static void read_counts(const struct cmap__table *table,
                        struct cmap_stats *stats)
{
  const struct cmap__table_counts *counts = &table->counts;
  const struct cmap__grown *grown = cmap__pool_grown(&table->pool);

  /* Acquire, all of them [N2]. */
  if (grown != NULL) {
    stats->growths = cmap__load_acquire(&grown->counts.growths);
    stats->splits = cmap__load_acquire(&grown->counts.splits);
    stats->merges = cmap__load_acquire(&grown->counts.merges);
    stats->rebuilds = cmap__load_acquire(&grown->counts.rebuilds);
  }
  stats->lock_waits = cmap__load_acquire(&counts->lock_waits);
  stats->lock_parks = cmap__load_acquire(&counts->lock_parks);
  stats->whole_locks = cmap__load_acquire(&counts->whole_locks);
  stats->read_retries = cmap__load_acquire(&counts->read_retries);
  stats->read_locks = cmap__load_acquire(&counts->read_locks);
}

enum cmap_status cmap_get_stats(struct cmap *map, struct cmap_stats *stats)
{
  struct cmap_stats now = {.size = sizeof now};
  struct cmap__shard_walk walk;
  struct sample sample = {0, 0};
  size_t pool, idle;

  if (CMAP__MISSING(map) || CMAP__MISSING(stats))
    return CMAP_EINVAL;
  walk = cmap__shard_walk_begin(map);
  now.directory_entries = walk.end;
  while (cmap__shard_walk_next(&walk)) {
    now.entries += cmap__shard_count_near(&walk);
    now.slots += cmap__block_slot_count(walk.block);
    now.shards++;
  }
  take_sample(map, now.shards, &sample);
  cmap__table_bytes(&map->table, &pool, &idle);
  now.bytes = cmap__map_bytes(&map->table.layout) + pool +
              cmap__directory_bytes(&map->table.directory);
  /* Relaxed: is it there? */
  if (cmap__load_relaxed(&map->frozen) != NULL)
    now.bytes += sizeof(struct cmap__frozen);
  now.free_bytes = idle;
  now.longest_probe = sample.longest_probe;
  read_counts(&map->table, &now);
  return CMAP__WRONG(!cmap__struct_write(&now,
                                         offsetof(struct cmap_stats, shards),
                                         sizeof now, stats),
                     "stats->size is wrong")
             ? CMAP_EINVAL
             : CMAP_OK;
}

/* Where the lines of a description go. */
struct dump {
  cmap_line_fn *line;
  void *ctx;
};

#define LINE_BYTES 81

static __attribute__((format(printf, 2, 3))) void print(const struct dump *dump,
                                                        const char *format, ...)
{
  char line[LINE_BYTES];
  va_list arguments;

  va_start(arguments, format);
  (void)vsnprintf(line, sizeof line, format, arguments);
  va_end(arguments);
  dump->line(line, dump->ctx);
}

static const char *kind_name(unsigned kind)
{
  static const char *const names[] = {"",       "u32",   "u64",   "fixed",
                                      "string", "bytes", "custom"};

  return kind < sizeof names / sizeof *names ? names[kind] : "";
}

static void dump_layout(const struct dump *dump, const struct cmap__layout *o)
{
  print(dump, "map of %s keys to values of %zu bytes%s%s%s%s",
        kind_name(o->kind), o->value_size,
        o->flags & CMAP_HASH_FAST ? ", fast hash" : "",
        o->flags & CMAP_FIXED_SEED ? ", fixed seed" : "",
        o->flags & CMAP_HUGE_PAGES ? ", huge pages" : "",
        o->flags & CMAP_AUTO_SHRINK ? ", shrinks by itself" : "");
  print(dump, "  a shard has up to %u groups of %d entries",
        (unsigned)o->shard_groups, CMAP__GROUP_SLOTS);
}

static double ratio(uint64_t a, uint64_t b)
{
  return b == 0 ? 0 : (double)a / (double)b;
}

static void dump_stats(const struct dump *dump, const struct cmap_stats *s)
{
  print(dump, "  entries      %12llu in %llu shards, load %.2f",
        (unsigned long long)s->entries, (unsigned long long)s->shards,
        ratio(s->entries, s->slots));
  print(dump, "  memory       %12llu bytes, %.1f for an entry, %llu not in use",
        (unsigned long long)s->bytes, ratio(s->bytes, s->entries),
        (unsigned long long)s->free_bytes);
  print(dump, "  directory    %12llu entries",
        (unsigned long long)s->directory_entries);
  print(dump, "  searches     up to %llu groups",
        (unsigned long long)s->longest_probe);
  print(dump,
        "  shards       %12llu grown, %llu split, %llu merged, %llu rebuilt",
        (unsigned long long)s->growths, (unsigned long long)s->splits,
        (unsigned long long)s->merges, (unsigned long long)s->rebuilds);
  print(dump, "  locks        %12llu waited for, %llu slept, %llu times all",
        (unsigned long long)s->lock_waits, (unsigned long long)s->lock_parks,
        (unsigned long long)s->whole_locks);
  print(dump, "  reads        %12llu met a writer, %llu took the lock",
        (unsigned long long)s->read_retries, (unsigned long long)s->read_locks);
}

/* Tenths of their slots that shards may hold. */
#define TENTHS 11

static void dump_loads(const struct dump *dump, const struct cmap *map)
{
  struct cmap__shard_walk walk = cmap__shard_walk_begin(map);
  static const char bar[] = "########################################";
  uint64_t shards[TENTHS] = {0}, most = 1;

  while (cmap__shard_walk_next(&walk)) {
    size_t slots = cmap__block_slot_count(walk.block);
    size_t count = cmap__shard_count_near(&walk);
    size_t tenth = slots == 0 ? 0 : count * 10 / slots;
    if (++shards[tenth] > most)
      most = shards[tenth];
  }
  print(dump, "  shards by load");
  for (size_t i = 0; i < TENTHS; i++)
    print(dump, "  %3zu %% %10llu  %.*s", i * 10, (unsigned long long)shards[i],
          (int)(shards[i] * (sizeof bar - 1) / most), bar);
}

enum cmap_status cmap_dump(struct cmap *map, cmap_line_fn *line, void *ctx)
{
  struct cmap_stats stats = {.size = sizeof stats};
  const struct dump dump = {line, ctx};
  enum cmap_status status;

  if (CMAP__MISSING(line))
    return CMAP_EINVAL;
  status = cmap_get_stats(map, &stats);
  if (status != CMAP_OK)
    return status;
  dump_layout(&dump, &map->table.layout);
  dump_stats(&dump, &stats);
  dump_loads(&dump, map);
  return CMAP_OK;
}
