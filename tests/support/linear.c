#include "linear.h"

#include <string.h>

#include "checks.h"
#include "random.h"

static const char *const names[LINEAR_KINDS] = {
    "insert",
    "insert_new",
    "get_or_insert",
    "get",
    "contains",
    "remove",
    "compare_exchange",
    "fetch_add",
    "swap",
    "compute",
    "guard",
    "entry",
    "rename",
    "swap_values",
    "read_both",
    "hand_on",
    "snapshot",
    "get_many",
    "contains_many",
    "insert_many",
    "remove_many",
    "fetch_add_many",
};

/* ------------------------------------------------------------------------
 * What one thread alone gets
 * ------------------------------------------------------------------------ */

static enum cmap_status found_if(bool present)
{
  return present ? CMAP_OK : CMAP_NOT_FOUND;
}

/* Of one key with the value *state. */
static bool apply_to_one(const struct linear_call *call, uint64_t *state)
{
  const uint64_t was = *state;
  const bool present = was != LINEAR_NONE;
  enum cmap_status status = CMAP_OK;
  uint64_t out = was;

  switch (call->kind) {
  case LINEAR_INSERT:
  case LINEAR_SWAP:
    *state = call->value;
    break;
  case LINEAR_INSERT_MANY:
    *state = call->value;
    out = LINEAR_NONE;
    break;
  case LINEAR_INSERT_NEW:
    *state = present ? was : call->value;
    status = present ? CMAP_EXISTS : CMAP_OK;
    break;
  case LINEAR_GET_OR_INSERT:
    *state = out = present ? was : call->value;
    break;
  case LINEAR_GET:
  case LINEAR_GET_MANY:
  case LINEAR_GUARD:
    status = found_if(present);
    break;
  case LINEAR_CONTAINS:
  case LINEAR_CONTAINS_MANY:
    status = found_if(present);
    out = LINEAR_NONE;
    break;
  case LINEAR_REMOVE:
  case LINEAR_REMOVE_MANY:
    *state = LINEAR_NONE;
    status = found_if(present);
    break;
  case LINEAR_COMPARE_EXCHANGE:
    status = !present                ? CMAP_NOT_FOUND
             : was != call->expected ? CMAP_MISMATCH
                                     : CMAP_OK;
    out = LINEAR_NONE;
    *state = status == CMAP_OK ? call->value : was;
    break;
  case LINEAR_FETCH_ADD:
  case LINEAR_FETCH_ADD_MANY:
    out = present ? was : 0;
    *state = out + call->value;
    break;
  case LINEAR_COMPUTE:
    *state = present ? LINEAR_NONE : call->value;
    break;
  case LINEAR_ENTRY:
    *state = out = present ? was + 2 : call->value;
    break;
  default:
    return false;
  }
  return call->status == status && call->out == out;
}

/* Of two keys with the values *a and *b. */
static bool apply_to_both(const struct linear_call *call, uint64_t *a,
                          uint64_t *b)
{
  const uint64_t was_a = *a, was_b = *b;
  const bool both = was_a != LINEAR_NONE && was_b != LINEAR_NONE;
  enum cmap_status status = found_if(both);

  switch (call->kind) {
  case LINEAR_RENAME:
    status = was_a == LINEAR_NONE   ? CMAP_NOT_FOUND
             : was_b != LINEAR_NONE ? CMAP_EXISTS
                                    : CMAP_OK;
    if (status == CMAP_OK) {
      *b = was_a;
      *a = LINEAR_NONE;
    }
    return call->status == status;
  case LINEAR_SWAP_VALUES:
    *a = both ? was_b : was_a;
    *b = both ? was_a : was_b;
    return call->status == status;
  case LINEAR_HAND_ON:
    status = CMAP_OK;
    *b = was_a != LINEAR_NONE ? was_a : was_b;
    *a = was_a != LINEAR_NONE ? LINEAR_NONE : call->value;
    break;
  case LINEAR_SNAPSHOT:
    status = CMAP_OK;
    break;
  case LINEAR_READ_BOTH:
    if (!both) /* then it is only said which is there */
      return call->status == status &&
             (call->out == LINEAR_NONE) == (was_a == LINEAR_NONE) &&
             (call->other == LINEAR_NONE) == (was_b == LINEAR_NONE);
    break;
  default:
    return false;
  }
  return call->status == status && call->out == was_a && call->other == was_b;
}

/* Could a map in this state have answered so? Goes on to the state after. */
static bool apply(const struct linear_call *call, struct linear_state *state)
{
  uint64_t *first = &state->value[call->key];

  return call->kind >= LINEAR_RENAME && call->kind <= LINEAR_SNAPSHOT
             ? apply_to_both(call, first, &state->value[!call->key])
             : apply_to_one(call, first);
}

/* ------------------------------------------------------------------------
 * The search
 * ------------------------------------------------------------------------ */

/* Places of the memory, a power of two. */
#define PLACES 16384

struct place {
  uint64_t search; /* that has filled it; else it is free */
  struct linear_state state;
  uint32_t done;
};

struct search {
  const struct linear_history *history;
  struct linear_state to;
  uint64_t number;
  size_t used;
};

static struct place places[PLACES];

/* False if the search was there. */
static bool remember(struct search *search, uint32_t done,
                     struct linear_state state)
{
  uint64_t mixed = random_mix(random_mix(random_mix(done) + state.value[0]) +
                              state.value[1]);

  for (size_t i = mixed % PLACES;; i = (i + 1) % PLACES) {
    struct place *place = &places[i];
    if (place->search != search->number) {
      *place = (struct place){search->number, state, done};
      search->used++;
      return true;
    }
    if (place->done == done && memcmp(&place->state, &state, sizeof state) == 0)
      return false;
  }
}

static bool full(const struct search *search)
{
  return search->used > PLACES / 4 * 3;
}

/* The end of the call that is the first of those left to end. */
static uint64_t first_end(const struct linear_history *history, uint32_t done)
{
  uint64_t first = UINT64_MAX;

  for (unsigned i = 0; i < history->count; i++) {
    if (!(done >> i & 1) && history->calls[i]->end < first)
      first = history->calls[i]->end;
  }
  return first;
}

/* Is there an order of the calls that are not in `done`, from this state? */
static bool find(struct search *search, uint32_t done,
                 struct linear_state state)
{
  const struct linear_history *history = search->history;
  uint64_t end = first_end(history, done);

  if (full(search) || !remember(search, done, state))
    return full(search);
  if (done == ((uint64_t)1 << history->count) - 1)
    return memcmp(&state, &search->to, sizeof state) == 0;
  for (unsigned i = 0; i < history->count; i++) {
    const struct linear_call *call = history->calls[i];
    struct linear_state next = state;
    /* Only what began before every other call ended can be the next. */
    if (!(done >> i & 1) && call->begin <= end &&
        (!call->follows || (done >> (i - 1) & 1)) && apply(call, &next) &&
        find(search, done | (uint32_t)1 << i, next))
      return true;
  }
  return false;
}

bool linear_has_order(const struct linear_history *history,
                      struct linear_state from, struct linear_state to,
                      size_t *given_up)
{
  static uint64_t searches;
  struct search search = {.history = history, .to = to, .number = ++searches};
  bool found = find(&search, 0, from);

  *given_up += full(&search);
  return found;
}

void linear_print(const struct linear_history *history,
                  struct linear_state from, struct linear_state to)
{
  print_error("no order from values %lld and %lld to %lld and %lld:\n",
              (long long)from.value[0], (long long)from.value[1],
              (long long)to.value[0], (long long)to.value[1]);
  for (unsigned i = 0; i < history->count; i++) {
    const struct linear_call *call = history->calls[i];
    print_error("  %llu-%llu key %u %s(%llu, %llu) -> %s, %lld, %lld\n",
                (unsigned long long)call->begin, (unsigned long long)call->end,
                call->key, names[call->kind], (unsigned long long)call->value,
                (unsigned long long)call->expected,
                cmap_status_name(call->status), (long long)call->out,
                (long long)call->other);
  }
}
