/*
 * What the pieces of programs in docs/ take for granted: each is the body of a
 * function in a file that begins with this (doc_snippets.sh).
 */
#include <cmap.h>
#include <sys/types.h>
#include <unistd.h>

struct account {
  int64_t cents;
  int64_t fees;
};
CMAP_DEFINE(bank, CMAP_STRING, struct account);
CMAP_DEFINE(visits, CMAP_U64, uint64_t);

static enum cmap_status status;

/* guide.md */
static struct bank bank;
static const char *from, *to, *line;
static struct bank_write_guard payer, payee, guard;
static struct visits visits;
static uint64_t page, count;
struct person {
  char *name;
};
CMAP_DEFINE(people, CMAP_STRING, struct person);
static struct people people;
void free_person(void *value, void *ctx);
enum cmap_status add_one(uint64_t key, uint64_t *value, void *ctx);

/* embedding.md, store.md */
static struct cmap *map;
static struct cmap_store *store;
static struct cmap_key key;
static void *object;
static pid_t child;
void write_down(struct cmap *map);
void *object_of(struct cmap_key key);
void page_destroy(void *object, void *ctx);
void apply(const void *config);
void log_it(struct cmap_key key, void *object, enum cmap_removal reason,
            void *ctx);
enum cmap_status make_slowly(struct cmap_key key, void *value, void *ctx);
enum cmap_status build_slowly(struct cmap_key key, void **object, void *ctx);
