#include "reference.h"

static int destroyed;

static void destroy(void *object, void *ctx)
{
  (void)ctx;
  free(object);
  destroyed++;
}

/* Takes long, in earnest. */
static enum cmap_status upper(struct cmap_key key, void **object, void *ctx)
{
  char *text = malloc(key.size + 1);
  (void)ctx;
  if (text == NULL)
    return CMAP_ENOMEM;
  for (size_t i = 0; i < key.size; i++)
    text[i] = (char)(((const char *)key.data)[i] & ~32);
  text[key.size] = '\0';
  *object = text;
  return CMAP_OK;
}

/* As one question to a server. */
static enum cmap_status upper_all(const struct cmap_key *keys, size_t n,
                                  void **objects, enum cmap_status *statuses,
                                  void *ctx)
{
  for (size_t i = 0; i < n; i++)
    statuses[i] = upper(keys[i], &objects[i], ctx);
  return CMAP_OK;
}

static void many(struct cmap_store *store)
{
  struct cmap_key keys[] = {KEY("b"), KEY("x"), KEY("y"), KEY("x")};
  struct cmap_handle handles[4];
  enum cmap_status statuses[4];

  is(cmap_store_get_many(store, keys, 4, handles, statuses, upper_all, NULL,
                         NULL),
     CMAP_OK);
  so(cmap_handle_origin(&handles[0]) == CMAP_HIT);
  so(cmap_handle_origin(&handles[1]) == CMAP_BUILT);
  so(handles[1].object == handles[3].object);
  for (int i = 0; i < 4; i++)
    cmap_handle_release(&handles[i]);
  is(cmap_store_remove(store, KEY("x"), NULL), CMAP_OK);
  is(cmap_store_remove(store, KEY("y"), NULL), CMAP_OK);
}

/* For a moment, and for objects that all threads want at once. */
static void borrow(struct cmap_store *store)
{
  struct cmap_borrowed borrowed = CMAP_INIT;

  is(cmap_store_borrow(store, KEY("b"), &borrowed, NULL), CMAP_OK);
  so(strcmp(borrowed.object, "B") == 0);
  cmap_borrowed_release(&borrowed);
}

static enum cmap_status print(struct cmap_key key, void *object, void *ctx)
{
  (void)ctx;
  printf("%s: %s\n", (const char *)key.data, (const char *)object);
  return CMAP_OK;
}

/* Of whoever finds that somebody else is just making it. */
static void told(enum cmap_status status, struct cmap_handle *handle, void *ctx)
{
  *(enum cmap_status *)ctx = status;
  cmap_handle_release(handle);
}

/* An event loop: nobody waits. */
static void tickets(struct cmap_store *store)
{
  struct cmap_ticket ticket = CMAP_INIT, none = CMAP_INIT;
  CMAP_AUTO(cmap_handle, handle);
  enum cmap_begin outcome;
  enum cmap_status news = CMAP_OK;
  void *object;

  is(cmap_store_begin(store, KEY("d"), &handle, &ticket, &outcome, told, &news,
                      NULL),
     CMAP_OK);
  so(outcome == CMAP_YOURS);
  is(cmap_store_begin(store, KEY("d"), &handle, &none, &outcome, told, &news,
                      NULL),
     CMAP_OK);
  so(outcome == CMAP_PENDING);
  so(cmap_store_waiters(store, KEY("d")) == 0); /* no thread waits */
  is(cmap_ticket_unbind(&ticket), CMAP_OK);     /* any thread may end it */
  is(cmap_ticket_bind(&ticket), CMAP_OK);       /* this one will */
  is(cmap_ticket_fail(&ticket, cmap_status_user(3)), CMAP_OK);
  so(news == cmap_status_user(3));

  is(cmap_store_begin(store, KEY("d"), &handle, &ticket, &outcome, NULL, NULL,
                      NULL),
     CMAP_OK);
  is(cmap_store_forget(store, KEY("d"), NULL), CMAP_OK);
  cmap_ticket_abandon(&ticket);

  is(cmap_store_begin(store, KEY("d"), &handle, &ticket, &outcome, NULL, NULL,
                      NULL),
     CMAP_OK);
  is(upper(KEY("d"), &object, NULL), CMAP_OK);
  is(cmap_ticket_complete(&ticket, object, &handle), CMAP_OK);
}

int main(void)
{
  struct cmap_store_options options;
  struct cmap_store_stats stats = CMAP_INIT;
  struct cmap_store *store;
  struct cmap_handle first = CMAP_INIT, second = CMAP_INIT;
  uint64_t hash;
  void *object;

  cmap_store_options_init(&options, CMAP_STRING, destroy);
  is(cmap_store_create(&options, &store), CMAP_OK);
  is(cmap_store_get(store, KEY("a"), &first, NULL), CMAP_NOT_FOUND);
  is(cmap_store_get_or_create(store, KEY("a"), &first, upper, NULL, NULL),
     CMAP_OK);
  so(cmap_handle_origin(&first) == CMAP_BUILT);
  is(cmap_handle_copy(&first, &second), CMAP_OK);
  is(cmap_store_remove(store, KEY("a"), NULL), CMAP_OK);
  cmap_handle_release(&first);
  so(destroyed == 0); /* the second handle keeps it */
  cmap_handle_release(&second);
  so(destroyed == 1);

  is(upper(KEY("b"), &object, NULL), CMAP_OK);
  is(cmap_store_put(store, KEY("b"), object, NULL, NULL), CMAP_OK);
  is(cmap_store_refresh(store, KEY("b"), NULL, upper, NULL, NULL), CMAP_OK);
  so(destroyed == 2 && cmap_store_len(store) == 1);
  many(store);
  borrow(store);
  tickets(store);
  is(cmap_store_for_each(store, print, NULL), CMAP_OK);
  is(cmap_store_hash(store, KEY("b"), &hash), CMAP_OK); /* for CMAP_HASHED */
  cmap_store_stats_init(&stats);
  is(cmap_store_get_stats(store, &stats), CMAP_OK);
  so(stats.objects == 2 && stats.running == 0);
  is(cmap_store_maintain(store, NULL), CMAP_OK); /* nothing has a time */
  is(cmap_store_clear(store), CMAP_OK);
  is(cmap_store_reserve(store, 1000), CMAP_OK); /* before many come */
  is(cmap_store_shrink_to_fit(store), CMAP_OK);
  is(cmap_store_destroy(store), CMAP_OK);
  so(destroyed == 6);
  return 0;
}
