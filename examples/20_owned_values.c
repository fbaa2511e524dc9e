/*
 * Values that own something, three ways out of the map: a copy of one's own
 * (value_clone duplicates), a reference (value_clone counts), and a look at the
 * value where it is (view, a guard), which also works without value_clone.
 * Prints
 *     a copy: ada is 36, and 37 in the map
 *     a reference: still ada, though removed; objects=0 at the end
 *     without value_clone: get says CMAP_ENOTSUP, view sees bob
 */
#include <cmap.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

/* A value is a pointer to one of these. */
struct person {
  atomic_int references; /* of the shared ones */
  int age;
  char name[8];
};
typedef struct person *person_ref;
CMAP_DEFINE(people, CMAP_U32, person_ref);

static atomic_int objects; /* that exist */

static void must(enum cmap_status status)
{
  if (status == CMAP_OK)
    return;
  fprintf(stderr, "%s\n", cmap_status_text(status));
  exit(1);
}

static person_ref person_make(const char *name, int age)
{
  person_ref person = calloc(1, sizeof *person);
  if (person == NULL)
    must(CMAP_ENOMEM);
  person->references = 1;
  person->age = age;
  snprintf(person->name, sizeof person->name, "%s", name);
  objects++;
  return person;
}

/* Gives up one reference; value_destroy of all three maps. */
static void person_release(void *value, void *ctx)
{
  person_ref person = *(person_ref *)value;
  (void)ctx;
  if (--person->references == 0) {
    free(person);
    objects--;
  }
}

static enum cmap_status duplicate(const void *value, void *copy, void *ctx)
{
  const struct person *person = *(const person_ref *)value;
  (void)ctx;
  *(person_ref *)copy = person_make(person->name, person->age);
  return CMAP_OK;
}

static enum cmap_status reference(const void *value, void *copy, void *ctx)
{
  person_ref person = *(const person_ref *)value;
  (void)ctx;
  person->references++;
  *(person_ref *)copy = person;
  return CMAP_OK;
}

static enum cmap_status print_name(uint32_t id, const person_ref *person,
                                   void *ctx)
{
  (void)id;
  (void)ctx;
  printf("%s\n", (*person)->name);
  return CMAP_OK;
}

static struct people people_with(enum cmap_status (*clone)(const void *value,
                                                           void *copy,
                                                           void *ctx))
{
  struct cmap_options options = CMAP_INIT;
  struct people people;

  options.size = sizeof options;
  options.value_destroy = person_release;
  options.value_clone = clone;
  must(people_create(&options, &people));
  must(people_put(people, 1, person_make(clone ? "ada" : "bob", 36)));
  return people;
}

int main(void)
{
  struct people copied = people_with(duplicate);
  struct people shared = people_with(reference);
  struct people plain = people_with(NULL);
  person_ref mine;

  must(people_find(copied, 1, &mine)); /* now there are two */
  {
    CMAP_AUTO(people_write_guard, guard);
    must(people_get_mut(copied, 1, &guard, NULL));
    (*guard.value)->age++;
    printf("a copy: %s is %d, and %d in the map\n", mine->name, mine->age,
           (*guard.value)->age);
  }
  person_release(&mine, NULL);

  must(people_find(shared, 1, &mine)); /* one, with two references */
  must(people_drop(shared, 1));
  printf("a reference: still %s, though removed; ", mine->name);
  person_release(&mine, NULL);
  people_destroy(copied);
  people_destroy(shared);
  printf("objects=%d at the end\n", objects - 1);

  printf("without value_clone: get says %s, view sees ",
         cmap_status_name(people_find(plain, 1, &mine)));
  must(people_view(plain, 1, print_name, NULL, NULL));
  people_destroy(plain);
  return objects;
}
