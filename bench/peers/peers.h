/*
 * The peers' impls. One whose package was not found when CMake ran is a stub
 * that says so in `missing`.
 */
#ifndef CMAP_BENCH_PEERS_H
#define CMAP_BENCH_PEERS_H

#ifdef __cplusplus
extern "C" {
#endif

#include "bench.h"

extern const struct impl bench_impl_dashmap;
extern const struct impl bench_impl_dashmap_64;
extern const struct impl bench_impl_dashmap_fast;
extern const struct impl bench_impl_dashmap_fast_64;
extern const struct impl bench_impl_tbb;
extern const struct impl bench_impl_libcuckoo;
extern const struct impl bench_impl_urcu;
extern const struct impl bench_impl_ck_ht;
extern const struct impl bench_impl_glib;
extern const struct impl bench_impl_lru;
extern const struct impl bench_impl_lru_sharded;
extern const struct impl bench_impl_stripes;
extern const struct impl bench_impl_shared;
extern const struct impl bench_impl_boost;
extern const struct impl bench_impl_java; /* has `round` */

#ifdef __cplusplus
}
#endif

#endif
