/*
 * C11 atomics with the memory order in the name.
 *
 * These are macros because C11's atomic functions are generic over the object.
 * An acquire or a release carries a tag ([S1] ... ) at the place of use that
 * names its partner; a relaxed access says there why that is enough.
 */
#ifndef CMAP__BASE_ATOMICS_H
#define CMAP__BASE_ATOMICS_H

#include <stdatomic.h>

#define cmap__load_relaxed(p) atomic_load_explicit((p), memory_order_relaxed)
#define cmap__load_acquire(p) atomic_load_explicit((p), memory_order_acquire)
#define cmap__load_seq_cst(p) atomic_load_explicit((p), memory_order_seq_cst)

#define cmap__store_relaxed(p, v)                                              \
  atomic_store_explicit((p), (v), memory_order_relaxed)
#define cmap__store_release(p, v)                                              \
  atomic_store_explicit((p), (v), memory_order_release)

#define cmap__add_relaxed(p, v)                                                \
  atomic_fetch_add_explicit((p), (v), memory_order_relaxed)
#define cmap__add_release(p, v)                                                \
  atomic_fetch_add_explicit((p), (v), memory_order_release)
#define cmap__add_acq_rel(p, v)                                                \
  atomic_fetch_add_explicit((p), (v), memory_order_acq_rel)
#define cmap__add_seq_cst(p, v)                                                \
  atomic_fetch_add_explicit((p), (v), memory_order_seq_cst)
#define cmap__sub_relaxed(p, v)                                                \
  atomic_fetch_sub_explicit((p), (v), memory_order_relaxed)
#define cmap__sub_release(p, v)                                                \
  atomic_fetch_sub_explicit((p), (v), memory_order_release)
#define cmap__sub_acq_rel(p, v)                                                \
  atomic_fetch_sub_explicit((p), (v), memory_order_acq_rel)
#define cmap__sub_seq_cst(p, v)                                                \
  atomic_fetch_sub_explicit((p), (v), memory_order_seq_cst)
#define cmap__or_acquire(p, v)                                                 \
  atomic_fetch_or_explicit((p), (v), memory_order_acquire)
#define cmap__or_relaxed(p, v)                                                 \
  atomic_fetch_or_explicit((p), (v), memory_order_relaxed)
#define cmap__and_release(p, v)                                                \
  atomic_fetch_and_explicit((p), (v), memory_order_release)

#define cmap__exchange_seq_cst(p, v)                                           \
  atomic_exchange_explicit((p), (v), memory_order_seq_cst)

/* Compare-and-swap; on failure *expected holds what was seen (relaxed). */
#define cmap__cas_weak_acquire(p, expected, desired)                           \
  atomic_compare_exchange_weak_explicit(                                       \
      (p), (expected), (desired), memory_order_acquire, memory_order_relaxed)
#define cmap__cas_strong_acquire(p, expected, desired)                         \
  atomic_compare_exchange_strong_explicit(                                     \
      (p), (expected), (desired), memory_order_acquire, memory_order_relaxed)
#define cmap__cas_weak_relaxed(p, expected, desired)                           \
  atomic_compare_exchange_weak_explicit(                                       \
      (p), (expected), (desired), memory_order_relaxed, memory_order_relaxed)
#define cmap__cas_strong_release(p, expected, desired)                         \
  atomic_compare_exchange_strong_explicit(                                     \
      (p), (expected), (desired), memory_order_release, memory_order_relaxed)
#define cmap__cas_strong_acq_rel(p, expected, desired)                         \
  atomic_compare_exchange_strong_explicit(                                     \
      (p), (expected), (desired), memory_order_acq_rel, memory_order_relaxed)
#define cmap__cas_strong_seq_cst(p, expected, desired)                         \
  atomic_compare_exchange_strong_explicit(                                     \
      (p), (expected), (desired), memory_order_seq_cst, memory_order_relaxed)

/*
 * Fences. gcc warns that ThreadSanitizer does not follow them; nothing that it
 * checks here relies on one (sync/seqcount.h).
 */
#if defined(__GNUC__) && !defined(__clang__)
#  pragma GCC diagnostic push
#  pragma GCC diagnostic ignored "-Wpragmas"
#  pragma GCC diagnostic ignored "-Wtsan"
#endif

static inline void cmap__fence_release(void)
{
  atomic_thread_fence(memory_order_release);
}

static inline void cmap__fence_acquire(void)
{
  atomic_thread_fence(memory_order_acquire);
}

static inline void cmap__fence_seq_cst(void)
{
  atomic_thread_fence(memory_order_seq_cst);
}

#if defined(__GNUC__) && !defined(__clang__)
#  pragma GCC diagnostic pop
#endif

#endif
