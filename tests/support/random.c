#include "random.h"

#include "settings.h"

/* The golden ratio: the step of splitmix64's counter. */
#define GOLDEN UINT64_C(0x9e3779b97f4a7c15)

uint64_t random_mix(uint64_t x)
{
  x += GOLDEN;
  x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
  x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
  return x ^ (x >> 31);
}

void random_begin(struct random *random, uint64_t stream)
{
  uint64_t counter = random_mix(test_seed()) ^ random_mix(~stream);

  for (int i = 0; i < 4; i++) {
    random->state[i] = random_mix(counter);
    counter += GOLDEN;
  }
}

static uint64_t rotate(uint64_t x, int bits)
{
  return (x << bits) | (x >> (64 - bits));
}

uint64_t random_next(struct random *random)
{
  uint64_t *s = random->state;
  uint64_t result = rotate(s[1] * 5, 7) * 9;
  uint64_t shifted = s[1] << 17;

  s[2] ^= s[0];
  s[3] ^= s[1];
  s[1] ^= s[2];
  s[0] ^= s[3];
  s[2] ^= shifted;
  s[3] = rotate(s[3], 45);
  return result;
}

uint64_t random_below(struct random *random, uint64_t n)
{
  /* The slight preference for small numbers does not matter to a test. */
  return random_next(random) % n;
}

bool random_in_scale(struct random *random)
{
  return random_below(random, 1000) < test_scale(1000);
}
