/*
 * What the compiler calls at every access to memory, in the place of
 * ThreadSanitizer's runtime (the names and types are its interface).
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "clock.h"
#include "history.h"
#include "recording.h"
#include "schedule.h"
#include "shadow.h"
#include "sites.h"

/* The functions marked CMAP__UNINSTRUMENTED, which CMakeLists.txt puts into a
 * section of their own. */
extern const char __start_world_loose[] __attribute__((weak));
extern const char __stop_world_loose[] __attribute__((weak));

static bool is_loose(uintptr_t site)
{
  return site - (uintptr_t)__start_world_loose <
         (uintptr_t)(__stop_world_loose - __start_world_loose);
}

/* -------------------------------------------------------------------------
 * Plain accesses: no step, but settled before the next one.
 * ------------------------------------------------------------------------- */

static void plain(const volatile void *at, size_t size, bool write,
                  uintptr_t site)
{
  if (!world_records(at))
    return;
  world_recording = false;
  shadow_access(at, size, write ? SHADOW_WRITE : SHADOW_READ, site);
  if (write)
    history_plain_write(at, size);
  world_recording = true;
}

/* Reads of words that others may be writing: as atomic loads, one by one. */
static void volatile_read(const volatile void *at, size_t size, uintptr_t site)
{
  if (!world_records(at))
    return;
  if (size < 8 || !is_loose(site)) {
    plain(at, size, false, site);
    return;
  }
  world_enter("volatile load", at, ORDER_RELAXED, site);
  shadow_access(at, size, SHADOW_LOOSE, site);
  history_lend(at, size);
  world_leave();
}

#define PLAIN(size)                                                            \
  void __tsan_read##size(void *at);                                            \
  void __tsan_read##size(void *at)                                             \
  {                                                                            \
    plain(at, size, false, WORLD_SITE);                                        \
  }                                                                            \
  void __tsan_write##size(void *at);                                           \
  void __tsan_write##size(void *at)                                            \
  {                                                                            \
    plain(at, size, true, WORLD_SITE);                                         \
  }                                                                            \
  void __tsan_unaligned_read##size(void *at);                                  \
  void __tsan_unaligned_read##size(void *at)                                   \
  {                                                                            \
    plain(at, size, false, WORLD_SITE);                                        \
  }                                                                            \
  void __tsan_unaligned_write##size(void *at);                                 \
  void __tsan_unaligned_write##size(void *at)                                  \
  {                                                                            \
    plain(at, size, true, WORLD_SITE);                                         \
  }                                                                            \
  void __tsan_volatile_read##size(void *at);                                   \
  void __tsan_volatile_read##size(void *at)                                    \
  {                                                                            \
    volatile_read(at, size, WORLD_SITE);                                       \
  }                                                                            \
  void __tsan_volatile_write##size(void *at);                                  \
  void __tsan_volatile_write##size(void *at)                                   \
  {                                                                            \
    plain(at, size, true, WORLD_SITE);                                         \
  }                                                                            \
  void __tsan_unaligned_volatile_read##size(void *at);                         \
  void __tsan_unaligned_volatile_read##size(void *at)                          \
  {                                                                            \
    volatile_read(at, size, WORLD_SITE);                                       \
  }                                                                            \
  void __tsan_unaligned_volatile_write##size(void *at);                        \
  void __tsan_unaligned_volatile_write##size(void *at)                         \
  {                                                                            \
    plain(at, size, true, WORLD_SITE);                                         \
  }

/* clang-format off */
PLAIN(1) PLAIN(2) PLAIN(4) PLAIN(8) PLAIN(16)
    /* clang-format on */

    void __tsan_read_range(void *at, size_t size);
void __tsan_read_range(void *at, size_t size)
{
  plain(at, size, false, WORLD_SITE);
}

void __tsan_write_range(void *at, size_t size);
void __tsan_write_range(void *at, size_t size)
{
  plain(at, size, true, WORLD_SITE);
}

/* What the linker's --wrap brings here of the code that is compiled for the
 * world: blocks of memory that are copied, filled and compared. */
void *__real_memcpy(void *to, const void *from, size_t size);
void *__wrap_memcpy(void *to, const void *from, size_t size);
void *__wrap_memcpy(void *to, const void *from, size_t size)
{
  plain(from, size, false, WORLD_SITE);
  plain(to, size, true, WORLD_SITE);
  return __real_memcpy(to, from, size);
}

void *__real_memmove(void *to, const void *from, size_t size);
void *__wrap_memmove(void *to, const void *from, size_t size);
void *__wrap_memmove(void *to, const void *from, size_t size)
{
  plain(from, size, false, WORLD_SITE);
  plain(to, size, true, WORLD_SITE);
  return __real_memmove(to, from, size);
}

void *__real_memset(void *to, int byte, size_t size);
void *__wrap_memset(void *to, int byte, size_t size);
void *__wrap_memset(void *to, int byte, size_t size)
{
  plain(to, size, true, WORLD_SITE);
  return __real_memset(to, byte, size);
}

int __real_memcmp(const void *a, const void *b, size_t size);
int __wrap_memcmp(const void *a, const void *b, size_t size);
int __wrap_memcmp(const void *a, const void *b, size_t size)
{
  plain(a, size, false, WORLD_SITE);
  plain(b, size, false, WORLD_SITE);
  return __real_memcmp(a, b, size);
}

/* -------------------------------------------------------------------------
 * Atomic accesses
 * ------------------------------------------------------------------------- */

static uint64_t add(uint64_t before, uint64_t operand)
{
  return before + operand;
}

static uint64_t subtract(uint64_t before, uint64_t operand)
{
  return before - operand;
}

static uint64_t and_bits(uint64_t before, uint64_t operand)
{
  return before & operand;
}

static uint64_t or_bits(uint64_t before, uint64_t operand)
{
  return before | operand;
}

static uint64_t xor_bits(uint64_t before, uint64_t operand)
{
  return before ^ operand;
}

static uint64_t second(uint64_t before, uint64_t operand)
{
  (void)before;
  return operand;
}

static uint64_t load(const volatile void *at, unsigned size, int order,
                     uintptr_t site)
{
  enum order weaker = sites_order(site, (enum order)order);
  uint64_t value;

  world_enter("load", at, (int)weaker, site);
  shadow_access(at, size, is_loose(site) ? SHADOW_LOOSE : SHADOW_ATOMIC_READ,
                site);
  value = history_load(at, size, weaker);
  world_leave();
  return value;
}

static void store(volatile void *at, unsigned size, uint64_t value, int order,
                  uintptr_t site)
{
  enum order weaker = sites_order(site, (enum order)order);

  world_enter("store", at, (int)weaker, site);
  shadow_access(at, size, SHADOW_ATOMIC_WRITE, site);
  history_store(at, size, value, weaker);
  world_leave();
}

static uint64_t change(const char *what, volatile void *at, unsigned size,
                       uint64_t (*how)(uint64_t before, uint64_t operand),
                       uint64_t operand, int order, uintptr_t site)
{
  enum order weaker = sites_order(site, (enum order)order);
  uint64_t value;

  world_enter(what, at, (int)weaker, site);
  shadow_access(at, size, SHADOW_ATOMIC_WRITE, site);
  value = history_change(at, size, how, operand, weaker);
  world_leave();
  return value;
}

static uint64_t compare_exchange(volatile void *at, unsigned size,
                                 uint64_t expected, uint64_t desired, int order,
                                 int failure, uintptr_t site)
{
  enum order weaker = sites_order(site, (enum order)order);
  uint64_t value;

  world_enter("compare and exchange", at, (int)weaker, site);
  shadow_access(at, size, SHADOW_ATOMIC_READ, site);
  value = history_compare_exchange(at, size, expected, desired, weaker,
                                   (enum order)failure);
  if (value == expected)
    shadow_access(at, size, SHADOW_ATOMIC_WRITE, site);
  world_leave();
  return value;
}

#define CHANGE(bits, name, how)                                                \
  uint##bits##_t __tsan_atomic##bits##_##name(                                 \
      volatile uint##bits##_t *at, uint##bits##_t operand, int order);         \
  uint##bits##_t __tsan_atomic##bits##_##name(                                 \
      volatile uint##bits##_t *at, uint##bits##_t operand, int order)          \
  {                                                                            \
    if (!world_records(at)) {                                                  \
      uint##bits##_t before = *at;                                             \
      *at = (uint##bits##_t)how(before, operand);                              \
      return before;                                                           \
    }                                                                          \
    return (uint##bits##_t)change(#name, at, bits / 8, how, operand, order,    \
                                  WORLD_SITE);                                 \
  }

#define ATOMIC(bits)                                                           \
  uint##bits##_t __tsan_atomic##bits##_load(const volatile uint##bits##_t *at, \
                                            int order);                        \
  uint##bits##_t __tsan_atomic##bits##_load(const volatile uint##bits##_t *at, \
                                            int order)                         \
  {                                                                            \
    if (!world_records(at))                                                    \
      return *at;                                                              \
    return (uint##bits##_t)load(at, bits / 8, order, WORLD_SITE);              \
  }                                                                            \
  void __tsan_atomic##bits##_store(volatile uint##bits##_t *at,                \
                                   uint##bits##_t value, int order);           \
  void __tsan_atomic##bits##_store(volatile uint##bits##_t *at,                \
                                   uint##bits##_t value, int order)            \
  {                                                                            \
    if (!world_records(at))                                                    \
      *at = value;                                                             \
    else                                                                       \
      store(at, bits / 8, value, order, WORLD_SITE);                           \
  }                                                                            \
  uint##bits##_t __tsan_atomic##bits##_compare_exchange_val(                   \
      volatile uint##bits##_t *at, uint##bits##_t expected,                    \
      uint##bits##_t desired, int order, int failure);                         \
  uint##bits##_t __tsan_atomic##bits##_compare_exchange_val(                   \
      volatile uint##bits##_t *at, uint##bits##_t expected,                    \
      uint##bits##_t desired, int order, int failure)                          \
  {                                                                            \
    if (!world_records(at)) {                                                  \
      uint##bits##_t before = *at;                                             \
      if (before == expected)                                                  \
        *at = desired;                                                         \
      return before;                                                           \
    }                                                                          \
    return (uint##bits##_t)compare_exchange(at, bits / 8, expected, desired,   \
                                            order, failure, WORLD_SITE);       \
  }                                                                            \
  CHANGE(bits, exchange, second)                                               \
  CHANGE(bits, fetch_add, add)                                                 \
  CHANGE(bits, fetch_sub, subtract)                                            \
  CHANGE(bits, fetch_and, and_bits)                                            \
  CHANGE(bits, fetch_or, or_bits)                                              \
  CHANGE(bits, fetch_xor, xor_bits)

/* clang-format off */
ATOMIC(8) ATOMIC(16) ATOMIC(32) ATOMIC(64)
    /* clang-format on */

    void __tsan_atomic_thread_fence(int order);
void __tsan_atomic_thread_fence(int order)
{
  enum order weaker;

  if (!world_recording)
    return;
  weaker = sites_order(WORLD_SITE, (enum order)order);
  world_enter("fence", NULL, (int)weaker, WORLD_SITE);
  clock_fence(weaker);
  world_leave();
}

/* -------------------------------------------------------------------------
 * Nothing to do
 * ------------------------------------------------------------------------- */

void __tsan_atomic_signal_fence(int order);
void __tsan_atomic_signal_fence(int order)
{
  (void)order;
}

void __tsan_init(void);
void __tsan_init(void)
{
}

void __tsan_func_entry(void *site);
void __tsan_func_entry(void *site)
{
  (void)site;
}

void __tsan_func_exit(void);
void __tsan_func_exit(void)
{
}
