/*
 * The hash of integer keys that every peer gets which takes one.
 *
 * One 64 x 64 -> 128 bit multiplication, its halves folded: about as cheap as
 * a hash can be that fills both the low bits (bucket numbers of TBB, liburcu)
 * and the high bits (tags, shards). It is keyed; the keys are constants here,
 * which is in the peers' favour, as libcmap loads those of the map. String
 * keys are hashed by what the peer's language gives.
 */
#ifndef CMAP_BENCH_PEERS_HASH_H
#define CMAP_BENCH_PEERS_HASH_H

#include <stdint.h>

/* For `.hash`. */
#define PEER_HASH_NAME "128-bit multiply-fold"

/* Two random numbers, the multiplier odd. */
#define PEER_HASH_K0 UINT64_C(0x71c3b2a4f0e9586d)
#define PEER_HASH_K1 UINT64_C(0xa0761d6478bd642f)

__extension__ typedef unsigned __int128 peer_wide;

static inline uint64_t peer_hash(uint64_t key)
{
  peer_wide product = (peer_wide)(key ^ PEER_HASH_K0) * PEER_HASH_K1;

  return (uint64_t)product ^ (uint64_t)(product >> 64);
}

#endif
