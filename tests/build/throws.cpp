// What typed callbacks throw goes on behind the call, which has let go of its
// locks by then and done nothing, or what it says; typed_cxx.sh runs this.
#include <cmap.h>

#include <pthread.h>

#include <cstdio>
#include <stdexcept>

namespace
{

CMAP_DEFINE(ages, CMAP_STRING, std::uint64_t);
CMAP_DEFINE_SET(names, CMAP_STRING);

ages map = CMAP_INIT, other = CMAP_INIT;
names set = CMAP_INIT;
int calls, wrong;

void check(bool good, int line)
{
  if (!good) {
    std::printf("throws.cpp:%d\n", line);
    wrong++;
  }
}
#define CHECK(condition) check(condition, __LINE__)

enum cmap_status view(const char *, const std::uint64_t *, void *)
{
  calls++;
  throw std::runtime_error("view");
}

enum cmap_status change(const char *, std::uint64_t *age, void *)
{
  calls++;
  *age = 99;
  throw std::runtime_error("change");
}

bool test(const char *, std::uint64_t *, void *)
{
  calls++;
  throw std::runtime_error("test");
}

enum cmap_status compute(const char *, const std::uint64_t *,
                         std::uint64_t *fresh, enum cmap_action *action, void *)
{
  calls++;
  *fresh = 98;
  *action = CMAP_PUT;
  throw std::runtime_error("compute");
}

enum cmap_status update(const char *, const std::uint64_t *,
                        std::uint64_t *fresh, void *)
{
  calls++;
  *fresh = 97;
  throw std::runtime_error("update");
}

enum cmap_status merge(const char *, std::uint64_t *, const std::uint64_t *,
                       void *)
{
  calls++;
  throw std::runtime_error("merge");
}

enum cmap_status view_name(const char *, void *)
{
  calls++;
  throw std::runtime_error("view_name");
}

bool test_name(const char *, void *)
{
  calls++;
  throw std::runtime_error("test_name");
}

// No shard is locked, and the maps are sound.
bool all_is_free()
{
  const struct cmap_how now = cmap_how_try();
  std::uint64_t age = 1;

  return ages_insert(map, "cy", 3, nullptr, nullptr, &now) == CMAP_OK &&
         ages_remove(map, "cy", nullptr, &now) == CMAP_OK &&
         ages_swap(map, "bob", &age, nullptr, &now) == CMAP_OK &&
         ages_swap(map, "bob", &age, nullptr, &now) == CMAP_OK &&
         names_add(set, "cy", &now) == CMAP_OK &&
         names_remove(set, "cy", &now) == CMAP_OK &&
         cmap_clear(other.map, &now) == CMAP_OK &&
         ages_check(map, nullptr, &now) == CMAP_OK;
}

bool is(const char *key, std::uint64_t expected)
{
  std::uint64_t age = 0;

  return ages_get(map, key, &age, nullptr) == CMAP_OK && age == expected;
}

void fill()
{
  CHECK(ages_clear(map, nullptr) == CMAP_OK &&
        ages_insert(map, "ada", 36, nullptr, nullptr, nullptr) == CMAP_OK &&
        ages_insert(map, "bob", 40, nullptr, nullptr, nullptr) == CMAP_OK &&
        ages_insert(other, "ada", 1, nullptr, nullptr, nullptr) == CMAP_OK &&
        names_clear(set, nullptr) == CMAP_OK &&
        names_add(set, "ada", nullptr) == CMAP_OK &&
        names_add(set, "bob", nullptr) == CMAP_OK);
  calls = 0;
}

// Runs the call, which throws after so many callbacks and lets go of all;
// `holds` is true after it.
#define THROWS(call, callbacks, holds)                                         \
  do {                                                                         \
    bool thrown = false;                                                       \
    fill();                                                                    \
    try {                                                                      \
      (void)!(call);                                                           \
    } catch (const std::runtime_error &) {                                     \
      thrown = true;                                                           \
    }                                                                          \
    CHECK(thrown);                                                             \
    CHECK(calls == (callbacks));                                               \
    CHECK(holds);                                                              \
    CHECK(all_is_free());                                                      \
  } while (0)

void calls_on_one_key()
{
  std::uint64_t age = 0;
  struct cmap_attempts attempts = CMAP_INIT;

  THROWS(ages_view(map, "ada", view, nullptr, nullptr), 1, is("ada", 36));
  THROWS(ages_alter(map, "ada", change, nullptr, nullptr), 1, is("ada", 99));
  THROWS(ages_get_or_insert_with(map, "new", &age, nullptr, change, nullptr,
                                 nullptr),
         1, ages_len(map) == 2);
  THROWS(ages_get_or_insert_with_unlocked(map, "new", &age, nullptr, change,
                                          nullptr, nullptr),
         1, ages_len(map) == 2);
  THROWS(ages_remove_if(map, "ada", test, nullptr, nullptr, nullptr), 1,
         is("ada", 36));
  THROWS(ages_replace_if(map, "ada", test, nullptr, 5, nullptr, nullptr), 1,
         is("ada", 36));
  THROWS(ages_compute(map, "ada", &age, nullptr, compute, nullptr, nullptr), 1,
         is("ada", 36));
  THROWS(ages_add_or_update(map, "ada", &age, nullptr, change, update, nullptr,
                            nullptr),
         1, is("ada", 36));
  THROWS(ages_add_or_update(map, "new", &age, nullptr, change, update, nullptr,
                            nullptr),
         1, ages_len(map) == 2);
  THROWS(ages_add_or_update_unlocked(map, "ada", &age, nullptr, change, update,
                                     nullptr, &attempts, nullptr),
         1, is("ada", 36) && attempts.updates == 1);
}

void whole_maps()
{
  std::size_t removed = 7;

  THROWS(ages_view_all(map, view, nullptr, nullptr), 1, ages_len(map) == 2);
  THROWS(ages_alter_all(map, change, nullptr, nullptr), 1, ages_len(map) == 2);
  THROWS(ages_for_each(map, 0, 1, view, nullptr, nullptr), 1,
         ages_len(map) == 2);
  THROWS(ages_retain(map, test, nullptr, &removed, nullptr), 1,
         ages_len(map) == 2 && removed == 0);
  THROWS(ages_drain(map, change, nullptr, nullptr), 2,
         ages_is_empty(map) &&
             ages_insert(map, "bob", 1, nullptr, nullptr, nullptr) == CMAP_OK);
  THROWS(ages_pop(map, 0, 1, change, nullptr, nullptr), 1,
         ages_len(map) == 1 &&
             ages_insert(map, "bob", 1, nullptr, nullptr, nullptr) == CMAP_OK);
  THROWS(ages_merge(map, other, merge, nullptr, nullptr), 1, is("ada", 36));
  THROWS(names_view_all(set, view_name, nullptr, nullptr), 1, true);
  THROWS(names_for_each(set, 0, 1, view_name, nullptr, nullptr), 1, true);
  THROWS(names_retain(set, test_name, nullptr, &removed, nullptr), 1,
         names_len(set) == 2);
  THROWS(names_drain(set, view_name, nullptr, nullptr), 2, names_is_empty(set));
  THROWS(names_pop(set, 0, 1, view_name, nullptr, nullptr), 1,
         names_len(set) == 1);
}

// An exception leaves the block of a guard, an entry, an iterator.
int under_a_guard()
{
  CMAP_AUTO(ages_write_guard, guard);

  CHECK(ages_get_mut(map, "ada", &guard, nullptr) == CMAP_OK);
  calls = 1;
  throw std::runtime_error("under a guard");
}

int under_an_entry(bool vacant)
{
  CMAP_AUTO(ages_entry, entry);

  CHECK(ages_entry_begin(map, vacant ? "new" : "ada", &entry, nullptr) ==
        CMAP_OK);
  try {
    if (vacant)
      (void)!ages_entry_or_insert_with(&entry, change, nullptr);
    else
      (void)ages_entry_and_modify(&entry, change, nullptr);
  } catch (const std::runtime_error &) {
    /* It is still good, and no status is left to be told. */
    CHECK(ages_entry_status(&entry) == CMAP_OK);
    CHECK((entry.value == nullptr) == vacant);
    throw;
  }
  return 0;
}

int under_an_iterator()
{
  CMAP_AUTO(ages_iter, iter);

  CHECK(ages_iter_begin(map, CMAP_WRITE, 0, 1, &iter) == CMAP_OK);
  CHECK(ages_iter_next(&iter, nullptr) == CMAP_OK);
  return (int)change(nullptr, iter.value, nullptr);
}

void holds()
{
  THROWS(under_a_guard(), 1, true);
  THROWS(under_an_entry(false), 1, is("ada", 99));
  THROWS(under_an_entry(true), 1, ages_len(map) == 2);
  THROWS(under_an_iterator(), 1, true);
}

// The end of a thread is no exception that is kept.
enum cmap_status end_thread(const char *, std::uint64_t *, void *)
{
  pthread_exit(nullptr);
}

void *alter_to_the_end(void *)
{
  (void)!ages_alter(map, "ada", end_thread, nullptr, nullptr);
  CHECK(false);
  return nullptr;
}

void ended_threads()
{
  pthread_t thread;

  fill();
  CHECK(pthread_create(&thread, nullptr, alter_to_the_end, nullptr) == 0);
  CHECK(pthread_join(thread, nullptr) == 0);
  CHECK(ages_insert(map, "ada", 1, nullptr, nullptr, nullptr) ==
        CMAP_EABANDONED);
}

} // namespace

int main()
{
  CHECK(ages_create(nullptr, &map) == CMAP_OK &&
        ages_create(nullptr, &other) == CMAP_OK &&
        names_create(nullptr, &set) == CMAP_OK);
  calls_on_one_key();
  whole_maps();
  holds();
  ended_threads();
  names_destroy(set);
  ages_destroy(other);
  ages_destroy(map);
  if (wrong == 0)
    std::puts("throws ok");
  return wrong != 0;
}
