/*
 * Keys of one's own: names of headers, equal whatever their case. A stored key
 * is a pointer to a copy that the map owns; a key that is looked for is a
 * pointer to any string. The map has an allocator of its own, too, which counts
 * what it gives.
 * Prints
 *     content-length: 42, stored as Content-Length
 *     in use: some bytes; at the end: 0
 */
#include <cmap.h>
#include <ctype.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

static const char *text_of(struct cmap_key key)
{
  const char *text;
  memcpy(&text, key.data, sizeof text);
  return text;
}

/* FNV-1a; the map mixes what comes out, as it does not claim to be good. */
static uint64_t hash(struct cmap_key key, void *ctx)
{
  uint64_t sum = 14695981039346656037u;
  (void)ctx;
  for (const char *c = text_of(key); *c != '\0'; c++)
    sum = (sum ^ (uint64_t)tolower((unsigned char)*c)) * 1099511628211u;
  return sum;
}

static bool equal(struct cmap_key stored, struct cmap_key key, void *ctx)
{
  const char *a = text_of(stored), *b = text_of(key);
  (void)ctx;
  while (*a != '\0' && tolower((unsigned char)*a) == tolower((unsigned char)*b))
    a++, b++;
  return *a == *b;
}

static enum cmap_status copy(struct cmap_key key, void *stored, void *ctx)
{
  size_t size = strlen(text_of(key)) + 1;
  char *text = malloc(size);
  (void)ctx;
  if (text == NULL)
    return CMAP_ENOMEM;
  memcpy(text, text_of(key), size);
  memcpy(stored, &text, sizeof text);
  return CMAP_OK;
}

static void destroy(void *stored, void *ctx)
{
  (void)ctx;
  free(*(char **)stored);
}

static void *count_alloc(size_t size, size_t align, void *ctx)
{
  void *memory = aligned_alloc(align, (size + align - 1) / align * align);
  if (memory != NULL)
    atomic_fetch_add((atomic_size_t *)ctx, size);
  return memory;
}

static void count_free(void *memory, size_t size, size_t align, void *ctx)
{
  (void)align;
  free(memory);
  atomic_fetch_sub((atomic_size_t *)ctx, size);
}

int main(void)
{
  atomic_size_t used = 0;
  const char *name = "Content-Length", *asked = "content-length";
  struct cmap_key key = cmap_key_bytes(&name, sizeof name);
  struct cmap_options options;
  struct cmap *headers = NULL;
  int value = 42;

  cmap_options_init(&options, CMAP_CUSTOM, sizeof value);
  options.key_size = sizeof name;
  options.key_hash = hash;
  options.key_equal = equal;
  options.key_copy = copy;
  options.key_destroy = destroy;
  options.allocator = (struct cmap_allocator){count_alloc, count_free, &used};
  if (cmap_create(&options, &headers) != CMAP_OK ||
      cmap_insert(headers, key, &value, NULL, NULL, NULL) != CMAP_OK)
    return 1;
  {
    CMAP_AUTO(cmap_read_guard, guard);
    key = cmap_key_bytes(&asked, sizeof asked);
    if (cmap_get_ref(headers, key, &guard, NULL) != CMAP_OK)
      return 1;
    printf("%s: %d, stored as %s\n", asked, *(const int *)guard.value,
           text_of(guard.key));
  }
  printf("in use: %s bytes; ", used > 0 ? "some" : "no");
  cmap_destroy(headers);
  printf("at the end: %zu\n", used);
  return used == 0 ? 0 : 1;
}
