/*
 * Compiler and processor helpers that every other file may use.
 *
 * Everything here has a portable fallback, so that no function elsewhere
 * contains a platform #if.
 */
#ifndef CMAP__BASE_COMPILER_H
#define CMAP__BASE_COMPILER_H

#include <stddef.h>
#include <stdint.h>

#ifdef CMAP_WITH_CK
#  include <ck_cc.h>
#  include <ck_pr.h>
#endif

#if defined(_WIN32) && !defined(__clang__)
#  error "On Windows it takes clang: gcc's thread-local storage ends too early"
#endif

/* One cache line of the processors we know; only a wrong guess of speed. */
#define CMAP__CACHE_LINE 64

#define cmap__likely(x)   __builtin_expect(!!(x), 1)
#define cmap__unlikely(x) __builtin_expect(!!(x), 0)

#define CMAP__ALWAYS_INLINE static inline __attribute__((always_inline))
/* Of a public function: worth inlining into programs linked with -flto, which
 * takes gcc (CMakeLists.txt); clang would warn of static functions in it. */
#ifdef __clang__
#  define CMAP__LTO_INLINE
#else
#  define CMAP__LTO_INLINE inline __attribute__((always_inline))
#endif
#define CMAP__NOINLINE __attribute__((noinline))
#define CMAP__COLD     __attribute__((cold, noinline))
/* Before a loop of a constant number of turns, at most 16: without a branch. */
#ifdef __clang__
#  define CMAP__UNROLL _Pragma("unroll")
#else
#  define CMAP__UNROLL _Pragma("GCC unroll 16")
#endif
#define CMAP__ALIGNED(n) __attribute__((aligned(n)))

/* Have we __builtin_thread_pointer()? Not where several threads are played on
 * one, as in tests/world. */
#if defined(__ELF__) && !defined(CMAP_TEST_WORLD) &&                           \
    (defined(__aarch64__) ||                                                   \
     (defined(__x86_64__) && (defined(__clang__) || __GNUC__ >= 11)))
#  define CMAP__HAVE_THREAD_POINTER 1
#endif

/* Is the first byte of a word in memory its lowest? For use in an `if`. */
#define CMAP__LITTLE_ENDIAN (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__)

/* The number whose lowest byte lies first, from a word of memory. */
static inline uint64_t cmap__from_le64(uint64_t word)
{
  return CMAP__LITTLE_ENDIAN ? word : __builtin_bswap64(word);
}

static inline uint32_t cmap__from_le32(uint32_t word)
{
  return CMAP__LITTLE_ENDIAN ? word : __builtin_bswap32(word);
}

#if defined(CMAP__TSAN)
/* Set by whoever compiles: tests/world has another runtime. */
#elif defined(__SANITIZE_THREAD__)
#  define CMAP__TSAN 1
#elif defined(__has_feature)
#  if __has_feature(thread_sanitizer)
#    define CMAP__TSAN 1
#  endif
#endif
#ifndef CMAP__TSAN
#  define CMAP__TSAN 0
#endif

/*
 * For the one function that copies payload words (seqcount.h says why): no
 * ThreadSanitizer instrumentation, not even of its atomic accesses. clang
 * keeps instrumenting atomics under no_sanitize, hence its own attribute.
 */
#if defined(CMAP__UNINSTRUMENTED)
/* Set by whoever compiles, too. */
#elif CMAP__TSAN && defined(__clang__)
#  define CMAP__UNINSTRUMENTED                                                 \
    __attribute__((noinline, unused, disable_sanitizer_instrumentation))
#elif CMAP__TSAN
#  define CMAP__UNINSTRUMENTED                                                 \
    __attribute__((noinline, unused, no_sanitize_thread))
#else
#  define CMAP__UNINSTRUMENTED __attribute__((always_inline)) inline
#endif

/* Tells the processor that this is a spin loop. */
static inline void cmap__pause(void)
{
#if defined(CMAP_WITH_CK)
  ck_pr_stall();
#elif defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield" ::: "memory");
#else
  __asm__ volatile("" ::: "memory");
#endif
}

/* gcc takes a function that does nothing but prefetch for one without effects,
 * and drops the call. This effect costs no instruction. */
#define cmap__keep_prefetch() __asm__ volatile("")

/* Asks for the cache line of p to be read; p need not be mapped. */
static inline void cmap__prefetch(const void *p)
{
  __builtin_prefetch(p, 0, 3);
  cmap__keep_prefetch();
}

/* The same into the second cache, where many are asked for at once or long
 * before: more than the first cache can await. */
static inline void cmap__prefetch_far(const void *p)
{
  __builtin_prefetch(p, 0, 2);
  cmap__keep_prefetch();
}

/* Asks for the cache line of p in order to write it. */
static inline void cmap__prefetch_write(const void *p)
{
  __builtin_prefetch(p, 1, 3);
  cmap__keep_prefetch();
}

/* Rounds n up to a multiple of align, a power of two. */
static inline size_t cmap__round_up(size_t n, size_t align)
{
  return (n + align - 1) & ~(align - 1);
}

#endif
