/*
 * What libFuzzer gives, read as numbers; behind its end all are 0. And what
 * each target begins and ends with: a check that fails ends the process, so
 * that libFuzzer keeps the input.
 */
#ifndef CMAP_FUZZ_INPUT_H
#define CMAP_FUZZ_INPUT_H

#include <stdlib.h>
#include <string.h>

#include "checks.h"

struct input {
  const uint8_t *at;
  const uint8_t *end;
};

static inline bool input_is_over(const struct input *input)
{
  return input->at == input->end;
}

static inline uint8_t input_byte(struct input *input)
{
  return input_is_over(input) ? 0 : *input->at++;
}

/* Below n, which is at most 256. */
static inline unsigned input_below(struct input *input, unsigned n)
{
  return input_byte(input) % n;
}

static inline bool input_once_in(struct input *input, unsigned n)
{
  return input_below(input, n) == 1 % n;
}

/* Small numbers, bounds of options, powers of two and their neighbours, the
   largest, and any. */
static inline uint64_t input_number(struct input *input)
{
  static const uint16_t bounds[] = {63,   64,   65,   256,  257,
                                    1024, 1025, 4096, 8192, 2048};
  uint64_t number = 0;

  switch (input_below(input, 8)) {
  case 0:
    return UINT64_C(1) << input_below(input, 64);
  case 1:
    return (UINT64_C(1) << input_below(input, 64)) - 1;
  case 2:
    return (UINT64_C(1) << input_below(input, 64)) + 1;
  case 3:
    return UINT64_MAX - input_byte(input);
  case 4:
    for (int i = 0; i < 8; i++)
      number = number << 8 | input_byte(input);
    return number;
  case 5:
    return bounds[input_below(input, 10)];
  default:
    return input_byte(input);
  }
}

/* The only function that libFuzzer needs, of each target. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

static inline void fuzz_end(void)
{
  if (checks_failed())
    abort();
}

#endif
