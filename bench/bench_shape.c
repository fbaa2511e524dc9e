/*
 * The keys of all shapes, made of numbers: no two of a shape are alike.
 */
#include "harness.h"

#include <stdio.h>
#include <string.h>

#define NAME_U64(key, value)     "u64:" #value
#define NAME_U32(key, value)     "u32:" #value
#define NAME_FIXED16(key, value) "fixed16:" #value
#define NAME_STRING(key, value)  "str" #key ":" #value
#define WHAT_U64                 "integer"
#define WHAT_U32                 "integer"
#define WHAT_FIXED16             "fixed-size"
#define WHAT_STRING              "string"
#define SHAPE(id, keys, key_size, value_size)                                  \
  {NAME_##keys(key_size, value_size), WHAT_##keys, KEYS_##keys, key_size,      \
   value_size},

const struct bench_shape bench_shapes[SHAPES] = {BENCH_SHAPES(SHAPE)};

/* As bench_key, in 32 bits. */
static uint32_t short_key(uint32_t i)
{
  i *= UINT32_C(0x9e3779b1);
  i ^= i >> 16;
  i *= UINT32_C(0x85ebca6b);
  return i ^ i >> 13;
}

/* The last 8 characters tell the strings apart. */
static void write_text(char *text, size_t size, uint64_t number)
{
  char digits[17];
  uint64_t key = bench_key(number);

  if (size == 36)
    snprintf(digits, sizeof digits, "%016llx", (unsigned long long)key);
  for (size_t i = 0; i < size - 8; i++)
    text[i] = size == 36 ? (i % 9 == 8 ? '-' : digits[i % 16])
                         : "https://example.org/articles/"[i % 29];
  if (size == 12)
    memcpy(text, "key-", 4);
  snprintf(digits, sizeof digits, "%08x", short_key((uint32_t)number));
  memcpy(text + size - 8, digits, 8);
}

char *bench_shape_text(const struct bench_shape *shape, size_t numbers)
{
  char *text;

  if (shape->keys != KEYS_STRING)
    return NULL;
  text = bench_alloc(numbers, shape->key_size);
  for (size_t i = 0; i < numbers; i++)
    write_text(text + i * shape->key_size, shape->key_size, i);
  return text;
}

void bench_shape_trace(const struct bench_shape *shape, const char *text,
                       struct trace *trace)
{
  const uint64_t *numbers = trace->keys;
  size_t n = trace->count;

  if (n == 0)
    return;
  if (shape->keys == KEYS_U64) {
    for (size_t i = 0; i < n; i++)
      trace->keys[i] = bench_key(numbers[i]);
    return;
  }
  if (shape->keys == KEYS_U32) {
    uint32_t *keys = bench_alloc(n, sizeof *keys);
    for (size_t i = 0; i < n; i++)
      keys[i] = short_key((uint32_t)numbers[i]);
    trace->keys = (uint64_t *)(void *)keys;
  } else if (shape->keys == KEYS_FIXED16) {
    struct bench_fixed16 *keys = bench_alloc(n, sizeof *keys);
    for (size_t i = 0; i < n; i++)
      keys[i] = (struct bench_fixed16){
          {bench_key(numbers[i]), bench_key(~numbers[i])}};
    trace->keys = (uint64_t *)(void *)keys;
  } else {
    struct bench_string *keys = bench_alloc(n, sizeof *keys);
    for (size_t i = 0; i < n; i++)
      keys[i] = (struct bench_string){text + numbers[i] * shape->key_size,
                                      shape->key_size};
    trace->keys = (uint64_t *)(void *)keys;
  }
  bench_free(numbers);
}
