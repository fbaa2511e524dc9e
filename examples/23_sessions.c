/*
 * Sessions that expire. Each has the time of its last use; a use renews it, and
 * a sweep removes what nobody has used for a while: one shard after the other,
 * so that nobody waits for more than that. The names belong to the sessions,
 * and are freed after the lock is released.
 * Prints
 *     1 left, ada stays
 */
#include <cmap.h>
#include <stdio.h>
#include <stdlib.h>

struct session {
  char *user;       /* owned */
  uint64_t used_at; /* seconds */
};
CMAP_DEFINE(sessions, CMAP_U64, struct session);
static struct sessions sessions;

static void end(void *session, void *ctx)
{
  (void)ctx;
  free(((struct session *)session)->user);
}

static bool begin(uint64_t id, const char *user, uint64_t now)
{
  struct session session = {strdup(user), now};

  if (session.user && sessions_put(sessions, id, session) == CMAP_OK)
    return true;
  free(session.user); /* what was not stored is the caller's still */
  return false;
}

static enum cmap_status renew(uint64_t id, struct session *session, void *now)
{
  (void)id;
  session->used_at = *(const uint64_t *)now;
  return CMAP_OK;
}

static bool is_fresh(uint64_t id, struct session *session, void *oldest)
{
  (void)id;
  return session->used_at >= *(const uint64_t *)oldest;
}

int main(void)
{
  struct cmap_options options = {.size = sizeof options, .value_destroy = end};
  uint64_t now = 130, oldest = 110;
  bool good = sessions_create(&options, &sessions) == CMAP_OK &&
              begin(1, "ada", 100) && begin(2, "bob", 105) &&
              sessions_change(sessions, 1, renew, &now) == CMAP_OK &&
              sessions_keep(sessions, is_fresh, &oldest) == CMAP_OK;

  if (good)
    printf("%zu left, ada %s\n", sessions_len(sessions),
           sessions_has(sessions, 1) ? "stays" : "goes");
  sessions_destroy(sessions);
  return !good;
}
