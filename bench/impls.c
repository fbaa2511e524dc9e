/*
 * The maps under test, in the order of their rounds.
 */
#include "bench.h"

#ifdef CMAP_BENCH_PEERS
#  include "peers/peers.h"
#endif

extern const struct impl bench_impl_cmap;
extern const struct impl bench_impl_cmap_fast;
extern const struct impl bench_impl_cmap_store;
#if BENCH_WITH_EMBEDDED
extern const struct impl bench_impl_cmap_shared;
extern const struct impl bench_impl_cmap_fast_shared;
#endif
extern const struct impl bench_impl_raw;

const struct impl *const bench_impls[] = {
    &bench_impl_cmap,
    &bench_impl_cmap_fast,
    &bench_impl_cmap_store,
#if BENCH_WITH_EMBEDDED
    &bench_impl_cmap_shared,
    &bench_impl_cmap_fast_shared,
#endif
#ifdef CMAP_BENCH_PEERS
    &bench_impl_boost,
    &bench_impl_dashmap,
    &bench_impl_dashmap_64,
    &bench_impl_dashmap_fast,
    &bench_impl_dashmap_fast_64,
    &bench_impl_tbb,
    &bench_impl_libcuckoo,
    &bench_impl_urcu,
    &bench_impl_ck_ht,
    &bench_impl_glib,
    &bench_impl_lru,
    &bench_impl_lru_sharded,
    &bench_impl_stripes,
    &bench_impl_shared,
    &bench_impl_java,
#endif
    &bench_impl_raw,
    NULL,
};
