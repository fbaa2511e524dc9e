/*
 * A cache of names, as a resolver has it: an answer lives as long as it says
 * itself; a little before, the first who asks fetches a new one while all
 * others get the old; and that a name does not exist is remembered, too. The
 * name server and the clock are of this program.
 */
#include <cmap.h>
#include <stdio.h>
#include <stdlib.h>
struct answer {
  char address[32];
  uint64_t ttl_ns;
};
CMAP_DEFINE_STORE(names, CMAP_STRING, struct answer);

enum { NO_SUCH_NAME = 1, SECOND = 1000000000 };
static uint64_t now;
static int asked, fetched;
static struct names names;

static uint64_t show_clock(void *ctx)
{
  (void)ctx;
  return now;
}

static enum cmap_status fetch(const char *name, struct answer **object,
                              void *ctx);

static void look_up(const char *name)
{
  static const char *const origins[] = {"hit", "built", "waited",
                                        "stale, while it is fetched"};
  CMAP_AUTO(names_handle, answer);
  enum cmap_status status =
      names_get_or_create(names, name, &answer, fetch, NULL, NULL);

  if (status == CMAP_OK)
    printf("%s %s %s\n", name, answer.object->address,
           origins[names_handle_origin(&answer)]);
  else
    printf("%s does not exist, asked %d times\n", name, asked);
}

/* The name server. */
static enum cmap_status fetch(const char *name, struct answer **object,
                              void *ctx)
{
  (void)ctx;
  if (strcmp(name, "a.example") != 0)
    return asked++, cmap_status_user(NO_SUCH_NAME);
  if (fetched == 1)
    look_up(name); /* as another thread would meanwhile */
  *object = malloc(sizeof **object);
  if (*object == NULL)
    return CMAP_ENOMEM;
  **object = (struct answer){.ttl_ns = 100 * (uint64_t)SECOND};
  snprintf((*object)->address, 32, "192.0.2.%d", ++fetched);
  return CMAP_OK;
}

static void end_answer(void *object, void *ctx)
{
  (void)ctx;
  free(object);
}

/* Called once for each answer. */
static void as_it_says(struct cmap_key key, const void *object,
                       struct cmap_lifetime *lifetime, void *ctx)
{
  const struct answer *answer = object;

  (void)key, (void)ctx;
  lifetime->ttl_ns = answer->ttl_ns;
  lifetime->refresh_ns = answer->ttl_ns / 10 * 9;
}

int main(void)
{
  struct cmap_store_options options;

  cmap_store_options_init(&options, CMAP_STRING, end_answer);
  options.max_objects = 100000;
  options.negative_ns = 30 * (uint64_t)SECOND;
  options.lifetime = as_it_says;
  options.clock = show_clock;
  if (names_create(&options, &names) != CMAP_OK)
    return 1;
  look_up("a.example");
  look_up("a.example");
  look_up("nowhere.example");
  look_up("nowhere.example");
  now += 95 * (uint64_t)SECOND; /* stale, and not expired */
  look_up("a.example");
  now += 200 * (uint64_t)SECOND;
  look_up("a.example");
  return names_destroy(names) != CMAP_OK;
}
