/*
 * Sessions as a cache: who is idle for 30 minutes is logged out, and above so
 * many sessions somebody else is. Here a clock that stands makes the minutes;
 * without it the system's is taken.
 */
#include <cmap.h>
#include <stdio.h>
#include <stdlib.h>

struct session {
  char user[16];
};
CMAP_DEFINE_STORE(sessions, CMAP_STRING, struct session);

static const uint64_t minute = UINT64_C(60000000000);
static uint64_t now; /* of the clock */

static uint64_t show_clock(void *ctx)
{
  (void)ctx;
  return now;
}

static void must(enum cmap_status status)
{
  if (status == CMAP_OK)
    return;
  fprintf(stderr, "%s\n", cmap_status_text(status));
  exit(1);
}

/* Once for each login, whoever asks meanwhile. */
static enum cmap_status log_in(const char *user, struct session **object,
                               void *ctx)
{
  (void)ctx;
  *object = malloc(sizeof **object);
  if (*object == NULL)
    return CMAP_ENOMEM;
  snprintf((*object)->user, sizeof(*object)->user, "%s", user);
  printf("%s logs in\n", user);
  return CMAP_OK;
}

/* Once for each session, with no lock held; requests may still use it. */
static void logged_out(struct cmap_key key, void *object,
                       enum cmap_removal reason, void *ctx)
{
  const struct session *session = object;

  (void)key, (void)ctx;
  printf("%s logs out: %s\n", session->user,
         reason == CMAP_EXPIRED   ? "idle for too long"
         : reason == CMAP_EVICTED ? "too many"
                                  : "shutdown");
}

static void end_session(void *object, void *ctx)
{
  (void)ctx;
  free(object);
}

int main(void)
{
  struct cmap_store_options options;
  struct sessions sessions;

  cmap_store_options_init(&options, CMAP_STRING, end_session);
  options.max_objects = 10000;
  options.idle_ns = 30 * minute;
  options.on_remove = logged_out;
  options.clock = show_clock;
  must(sessions_create(&options, &sessions));
  for (int request = 0; request < 3; request++) {
    CMAP_AUTO(sessions_handle, session);
    must(sessions_get_or_create(sessions, "ada", &session, log_in, NULL, NULL));
    if (request == 2)
      printf("%s stays\n", session.object->user);
    now += 20 * minute; /* between requests */
  }
  for (int request = 0; request < 2; request++) {
    CMAP_AUTO(sessions_handle, session);
    now += 20 * minute * (uint64_t)(request == 0);
    must(sessions_get_or_create(sessions, "bob", &session, log_in, NULL, NULL));
    must(sessions_maintain(sessions, NULL)); /* by a timer, say */
    if (request == 1)
      printf("bob logs in again: %s\n",
             sessions_handle_origin(&session) == CMAP_HIT ? "no" : "yes");
  }
  must(sessions_destroy(sessions));
  return 0;
}
