#include "counting_alloc.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "checks.h"

#define MAGIC_LIVE UINT64_C(0x6c69766562000001)
#define MAGIC_DEAD UINT64_C(0x6465616462000001)
#define FRESH      0xa5
#define POISON     0xdb
#define HEAD_ALIGN _Alignof(struct head)
#define TAIL_BYTES 8
#define TAIL       0x7e

/* What lies before each block, at the next aligned address. */
struct head {
  uint64_t magic;
  size_t size;
  size_t align;
  struct counting_alloc *owner;
  void *base; /* of malloc */
};

static size_t count_up(atomic_size_t *counter, size_t n)
{
  return atomic_fetch_add_explicit(counter, n, memory_order_relaxed) + n;
}

static size_t look(const atomic_size_t *counter)
{
  return atomic_load_explicit(counter, memory_order_relaxed);
}

static void set(atomic_size_t *counter, size_t n)
{
  atomic_store_explicit(counter, n, memory_order_relaxed);
}

/* The distance from the base, aligned to twice `align`, to the block: an odd
   multiple of align, so that the block is not aligned to more than that. */
static size_t block_offset(size_t align)
{
  size_t offset = align;

  while (offset < sizeof(struct head) + HEAD_ALIGN) {
    offset += 2 * align;
  }
  return offset;
}

static struct head *head_of(unsigned char *block)
{
  size_t gap = (uintptr_t)block % HEAD_ALIGN;

  return (struct head *)(void *)(block - gap - sizeof(struct head));
}

static bool must_fail(struct counting_alloc *counting)
{
  size_t request = count_up(&counting->requests, 1);
  size_t nth = look(&counting->fail_nth);
  size_t from = look(&counting->fail_from);
  size_t every = look(&counting->fail_every);

  return (nth && request == nth) || (from && request >= from) ||
         (every && request % every == 0);
}

static void *counting_allocate(size_t size, size_t align, void *ctx)
{
  struct counting_alloc *counting = ctx;
  size_t unit = 2 * align < 64 ? 64 : 2 * align;
  size_t offset = block_offset(align);
  unsigned char *base;
  unsigned char *block;
  struct head *head;

  CHECK(align != 0 && (align & (align - 1)) == 0);
  if (must_fail(counting) || size > SIZE_MAX / 2) {
    count_up(&counting->failures, 1);
    return NULL;
  }
  /* malloc only: a test may put in its own function for aligned memory. */
  base = malloc(unit + offset + size + TAIL_BYTES);
  if (base == NULL) {
    return NULL;
  }
  block = base + (unit - (uintptr_t)base % unit) + offset;
  head = head_of(block);
  head->magic = MAGIC_LIVE;
  head->size = size;
  head->align = align;
  head->owner = counting;
  head->base = base;
  memset(block, FRESH, size);
  memset(block + size, TAIL, TAIL_BYTES);
  count_up(&counting->live_blocks, 1);
  count_up(&counting->live_bytes, size);
  return block;
}

static void counting_free(void *memory, size_t size, size_t align, void *ctx)
{
  struct counting_alloc *counting = ctx;
  unsigned char *block = memory;
  struct head *head;
  unsigned char tail[TAIL_BYTES];

  if (!memory) {
    CHECK_NEVER("NULL is freed");
    return;
  }
  head = head_of(block);
  if (head->magic != MAGIC_LIVE || head->owner != counting) {
    CHECK_NEVER("what is freed is not a live block of this allocator");
    return;
  }
  CHECK(head->size == size);
  CHECK(head->align == align);
  memset(tail, TAIL, sizeof tail);
  CHECK(memcmp(block + head->size, tail, sizeof tail) == 0);
  count_up(&counting->live_blocks, (size_t)0 - 1);
  count_up(&counting->live_bytes, (size_t)0 - head->size);
  memset(block, POISON, head->size);
  head->magic = MAGIC_DEAD;
  free(head->base);
}

void counting_alloc_begin(struct counting_alloc *counting)
{
  atomic_init(&counting->live_blocks, 0);
  atomic_init(&counting->live_bytes, 0);
  counting_alloc_fail_none(counting);
}

struct cmap_allocator counting_alloc_hook(struct counting_alloc *counting)
{
  struct cmap_allocator hook = {counting_allocate, counting_free, counting};

  return hook;
}

static void plan(struct counting_alloc *counting, size_t nth, size_t from,
                 size_t every)
{
  set(&counting->fail_nth, nth);
  set(&counting->fail_from, from);
  set(&counting->fail_every, every);
  set(&counting->requests, 0);
  set(&counting->failures, 0);
}

void counting_alloc_fail_none(struct counting_alloc *counting)
{
  plan(counting, 0, 0, 0);
}

void counting_alloc_fail_nth(struct counting_alloc *counting, size_t n)
{
  plan(counting, n, 0, 0);
}

void counting_alloc_fail_from(struct counting_alloc *counting, size_t n)
{
  plan(counting, 0, n, 0);
}

void counting_alloc_fail_every(struct counting_alloc *counting, size_t n)
{
  plan(counting, 0, 0, n);
}

size_t counting_alloc_failures(struct counting_alloc *counting)
{
  return look(&counting->failures);
}

size_t counting_alloc_live_bytes(struct counting_alloc *counting)
{
  return look(&counting->live_bytes);
}

bool counting_alloc_is_empty(struct counting_alloc *counting)
{
  return look(&counting->live_blocks) == 0 && look(&counting->live_bytes) == 0;
}
