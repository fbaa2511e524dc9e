#include "reference.h"

static enum cmap_status print(struct cmap_key key, const void *value, void *out)
{
  fprintf(out, "%d %s\n", (int)cmap_key_as_u64(key), (const char *)value);
  return CMAP_OK;
}

/* Integer keys by their value, or from where they are. */
static void numbers(void)
{
  const uint64_t id = 7;
  struct cmap_options options;
  struct cmap *map;

  cmap_options_init(&options, CMAP_U64, 4);
  is(cmap_create(&options, &map), CMAP_OK);
  is(cmap_insert(map, cmap_key_u64(&id), "ada", NULL, NULL, NULL), CMAP_OK);
  is(cmap_view(map, CMAP_KEY_U64(7), print, stdout, NULL), CMAP_OK);
  cmap_destroy(map);
  options.key_kind = CMAP_U32;
  is(cmap_create(&options, &map), CMAP_OK);
  is(cmap_contains(map, CMAP_KEY_U32(7), NULL), CMAP_NOT_FOUND);
  so(cmap_key_as_u32(CMAP_KEY_U32(7)) == 7);
  cmap_destroy(map);
}

int main(void)
{
  struct cmap *map = ages();
  struct cmap_how try = cmap_how_try();
  struct cmap_how within = cmap_how_within(50000000); /* 50 ms from now */
  struct cmap_how until = cmap_how_until(cmap_deadline(50000000));
  const char line[] = "bob says hello";
  uint64_t hash, value;

  /* Not to wait, not for longer, and not later than. */
  is(cmap_get(map, KEY("ada"), &value, &try), CMAP_OK);
  is(cmap_get(map, KEY("ada"), &value, &within), CMAP_OK);
  is(cmap_get(map, KEY("ada"), &value, &until), CMAP_OK);

  /* Not longer than until another thread has enough. */
  struct cmap_token *token;
  is(cmap_token_create(&token), CMAP_OK);
  struct cmap_how with = cmap_how_with(token);
  int fd;
  is(cmap_token_fd(token, &fd), CMAP_OK); /* for poll */
  cmap_token_cancel(token);
  so(cmap_token_is_canceled(token));
  is(cmap_get(map, KEY("ada"), &value, &with), CMAP_OK); /* did not wait */
  is(cmap_token_destroy(token), CMAP_OK);

  /* A key is any part of a text; its hash serves for several calls. */
  struct cmap_key bob = cmap_key_bytes(line, 3);
  is(cmap_hash(map, bob, &hash), CMAP_OK);
  struct cmap_how hashed = cmap_how_hashed(hash);
  is(cmap_get(map, bob, &value, &hashed), CMAP_OK);
  so(value == 41);
  cmap_destroy(map);

  numbers();
  return 0;
}
