/*
 * When the locks of a table's shards are biased towards readers (sync/bias.h).
 *
 * Each bias that is given may have to be taken away, which costs a writer some
 * microseconds; and it is worth a few nanoseconds to each reader until then. So
 * it is given freely while it lasts, and else after pauses.
 */
#include "table/table.h"

/* The longest pause, and after how many reads the next look comes in it. In
 * tests: as long as a writer takes that has taken a bias away to announce
 * itself, and soon. */
#ifdef CMAP_EAGER_BIAS
#  define PAUSE_MOST_NS UINT64_C(100000)
#  define PAUSE_SAMPLE  32
#else
#  define PAUSE_MOST_NS UINT64_C(200000000)
#  define PAUSE_SAMPLE  2048
#endif

/* A pause is at least so many times what taking biases away has cost, which is
 * then no more than that part of the time. */
#define PAUSE_TIMES 32

CMAP__NOINLINE void cmap__table_bias(struct cmap__table *table,
                                     struct cmap__shard *shard)
{
  uint64_t from = cmap__load_relaxed(&table->bias_from_ns);

  cmap__self.reads_to_bias = CMAP__BIAS_SAMPLE - 1;
  if (from == 0 || cmap__now_ns() >= from)
    cmap__bias_give(&shard->lock);
  else
    cmap__self.reads_to_bias = PAUSE_SAMPLE - 1;
}

CMAP__NOINLINE void cmap__table_unbias(struct cmap__table *table,
                                       struct cmap__shard *shard)
{
  uint64_t begin = cmap__now_ns();
  uint64_t from = cmap__load_relaxed(&table->bias_from_ns);
  uint64_t pause = cmap__load_relaxed(&table->bias_pause_ns);
  bool is_first = begin >= from; /* after a pause */
  uint64_t now;

  if (is_first) /* none is given meanwhile */
    cmap__store_relaxed(&table->bias_from_ns, begin + PAUSE_MOST_NS);
  cmap__bias_revoke(&shard->lock);
  now = cmap__now_ns();
  if (is_first) /* was the pause long enough? */
    from = now + (begin - from < pause ? 2 * pause : pause / 2);
  else /* those who came before, and took as long, have added theirs */
    from = cmap__load_relaxed(&table->bias_from_ns);
  from += PAUSE_TIMES * (now - begin);
  if (from < now || from > now + PAUSE_MOST_NS)
    from = now + PAUSE_MOST_NS;
  cmap__store_relaxed(&table->bias_pause_ns, (uint32_t)(from - now));
  cmap__store_relaxed(&table->bias_from_ns, from);
}

bool cmap__table_try_write(struct cmap__table *table, struct cmap__shard *shard)
{
  struct cmap__shardlock *lock = &shard->lock;

  if (cmap__shardlock_try_any(lock, true))
    return true;
  if (!cmap__shardlock_is_biased(lock))
    return false;
  cmap__table_unbias(table, shard);
  return cmap__shardlock_try_any(lock, true);
}
