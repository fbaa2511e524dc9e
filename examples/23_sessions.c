/*
 * Sessions that expire. Each has the time of its last use; a use renews it
 * under a guard, and a sweep removes what nobody has used for a while: one
 * shard after the other, so that nobody waits for more than that. The names
 * belong to the sessions, and are freed after the lock is released.
 * Prints
 *     at 100: 3 sessions
 *     ada is back at 130
 *     at 150: 2 expired, ada stays; freed=2
 *     freed=3
 */
#include <cmap.h>
#include <stdio.h>
#include <stdlib.h>

struct session {
  char *user;       /* owned */
  uint64_t used_at; /* seconds */
};
CMAP_DEFINE(sessions, CMAP_U64, struct session);

enum { LIFETIME = 40 };
static int freed;

static void must(enum cmap_status status)
{
  if (status == CMAP_OK)
    return;
  fprintf(stderr, "%s\n", cmap_status_text(status));
  exit(1);
}

static void session_end(void *value, void *ctx)
{
  (void)ctx;
  free(((struct session *)value)->user);
  freed++;
}

static void session_begin(struct sessions sessions, uint64_t id,
                          const char *user, uint64_t now)
{
  struct session session = {malloc(strlen(user) + 1), now};
  if (session.user == NULL)
    must(CMAP_ENOMEM);
  memcpy(session.user, user, strlen(user) + 1);
  must(sessions_insert(sessions, id, session, NULL, NULL, NULL));
}

/* Renews it. CMAP_NOT_FOUND: it has expired, or there was none. */
static enum cmap_status session_use(struct sessions sessions, uint64_t id,
                                    uint64_t now)
{
  CMAP_AUTO(sessions_write_guard, session);
  enum cmap_status status = sessions_get_mut(sessions, id, &session, NULL);

  if (status != CMAP_OK)
    return status;
  session.value->used_at = now;
  printf("%s is back at %d\n", session.value->user, (int)now);
  return CMAP_OK;
}

static bool is_fresh(uint64_t id, struct session *session, void *now)
{
  (void)id;
  return session->used_at + LIFETIME > *(const uint64_t *)now;
}

int main(void)
{
  struct cmap_options options = CMAP_INIT;
  struct sessions sessions;
  uint64_t now = 150;
  size_t expired;

  options.size = sizeof options;
  options.value_destroy = session_end;
  must(sessions_create(&options, &sessions));
  session_begin(sessions, 1, "ada", 100);
  session_begin(sessions, 2, "bob", 100);
  session_begin(sessions, 3, "eve", 100);
  printf("at 100: %zu sessions\n", sessions_len(sessions));
  must(session_use(sessions, 1, 130));

  must(sessions_retain(sessions, is_fresh, &now, &expired, NULL));
  printf("at %d: %zu expired, ada %s; freed=%d\n", (int)now, expired,
         sessions_contains(sessions, 1, NULL) == CMAP_OK ? "stays" : "too",
         freed);
  sessions_destroy(sessions);
  printf("freed=%d\n", freed);
  return 0;
}
