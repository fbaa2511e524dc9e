/*
 * Files, read and parsed once, whoever asks: eight threads read all of them,
 * each file several times. Waiting for a slow disk has a limit.
 *
 *     11_file_cache [FILE ...]
 *
 * Without arguments it makes some files of its own below $TMPDIR, or /tmp.
 * "Parsing" is counting lines and words. Prints
 *     files=... loaded=... served=... missing_status=...
 *     slow timed_out=... then_served=...
 */
#include <cmap.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { THREADS = 8, ROUNDS = 50, OWN_FILES = 20 };

/* A file as its users want it. Never changes once it is in the store. */
struct document {
  size_t lines;
  size_t words;
};

/* What a thread does. */
struct job {
  char **paths;
  int files;
};

static struct cmap_store *documents; /* struct document by path */
static atomic_int loaded, served;

static void must(enum cmap_status status)
{
  if (status == CMAP_OK)
    return;
  fprintf(stderr, "%s\n", cmap_status_text(status));
  exit(1);
}

static void count(FILE *file, struct document *document)
{
  bool in_word = false;
  int c;

  while ((c = getc(file)) != EOF) {
    bool space = c == ' ' || c == '\n' || c == '\t';
    document->lines += c == '\n';
    document->words += !space && !in_word;
    in_word = !space;
  }
}

/*
 * The constructor: no lock is held. Its status, the errno, reaches everybody
 * who asked for the file.
 */
static enum cmap_status load(struct cmap_key key, void **object, void *ctx)
{
  struct document *document;
  enum cmap_status status = CMAP_OK;
  const char *path = ctx; /* the key need not end with 0 */
  FILE *file = fopen(path, "r");

  (void)key;
  if (file == NULL)
    return cmap_status_user(errno);
  document = calloc(1, sizeof *document);
  if (document == NULL) {
    status = cmap_status_user(ENOMEM);
  } else {
    count(file, document);
    if (ferror(file))
      status = cmap_status_user(EIO);
    atomic_fetch_add(&loaded, 1);
    *object = document;
  }
  fclose(file);
  if (status != CMAP_OK)
    free(document);
  return status;
}

static void destroy(void *object, void *ctx)
{
  (void)ctx;
  free(object);
}

/* Gets the document, or waits for it for a second at the most. */
static enum cmap_status get(char *path, struct cmap_handle *handle)
{
  struct cmap_how how = cmap_how_within(1000000000);

  return cmap_store_get_or_create(documents, cmap_key_string(path), handle,
                                  load, path, &how);
}

static void *read_all(void *arg)
{
  const struct job *job = arg;

  for (int i = 0; i < ROUNDS * job->files; i++) {
    CMAP_AUTO(cmap_handle, handle);
    must(get(job->paths[i % job->files], &handle));
    atomic_fetch_add(&served, 1);
  }
  return NULL;
}

/* ------------------------------------------------------- the time limit */

static pthread_mutex_t disk = PTHREAD_MUTEX_INITIALIZER; /* held: it hangs */

static enum cmap_status load_from_slow_disk(struct cmap_key key, void **object,
                                            void *ctx)
{
  pthread_mutex_lock(&disk);
  pthread_mutex_unlock(&disk);
  return load(key, object, ctx);
}

static void *read_slowly(void *path)
{
  CMAP_AUTO(cmap_handle, handle);

  must(cmap_store_get_or_create(documents, cmap_key_string(path), &handle,
                                load_from_slow_disk, path, NULL));
  return NULL;
}

/* One thread is stuck in the disk; another one does not wait for long. */
static bool limit_the_wait(char *path)
{
  struct cmap_store_stats stats = {.size = sizeof stats};
  struct cmap_handle handle = CMAP_INIT;
  enum cmap_status limited, later;
  struct cmap_how how;
  pthread_t thread;

  must(cmap_store_remove(documents, cmap_key_string(path), NULL));
  pthread_mutex_lock(&disk);
  if (pthread_create(&thread, NULL, read_slowly, path) != 0)
    exit(1);
  do
    must(cmap_store_get_stats(documents, &stats));
  while (stats.running == 0);
  how = cmap_how_within(20000000);
  limited = cmap_store_get_or_create(documents, cmap_key_string(path), &handle,
                                     load, path, &how);
  pthread_mutex_unlock(&disk);
  pthread_join(thread, NULL);
  later = get(path, &handle);
  cmap_handle_release(&handle);
  printf("slow timed_out=%s then_served=%s\n",
         limited == CMAP_TIMEDOUT ? "yes" : "no",
         later == CMAP_OK ? "yes" : "no");
  return limited == CMAP_TIMEDOUT && later == CMAP_OK;
}

/* ----------------------------------------------------------------------- */

static char *own_paths[OWN_FILES];
static char own_folder[4096];

static void make_own_files(void)
{
  const char *tmp = getenv("TMPDIR");

  snprintf(own_folder, sizeof own_folder, "%s/cmap_file_cache.XXXXXX",
           tmp != NULL ? tmp : "/tmp");
  if (mkdtemp(own_folder) == NULL)
    exit(1);
  for (int i = 0; i < OWN_FILES; i++) {
    size_t size = strlen(own_folder) + 16;
    FILE *file;
    own_paths[i] = malloc(size);
    if (own_paths[i] == NULL)
      exit(1);
    if (snprintf(own_paths[i], size, "%s/%d.txt", own_folder, i) < 0)
      exit(1);
    file = fopen(own_paths[i], "w");
    if (file == NULL)
      exit(1);
    for (int line = 0; line <= i; line++)
      fprintf(file, "line %d of file %d\n", line, i);
    fclose(file);
  }
}

static void remove_own_files(void)
{
  for (int i = 0; i < OWN_FILES; i++) {
    unlink(own_paths[i]);
    free(own_paths[i]);
  }
  rmdir(own_folder);
}

int main(int argc, char **argv)
{
  struct job job = {argv + 1, argc - 1};
  struct cmap_store_options options;
  struct cmap_handle none = CMAP_INIT;
  char no_file[] = "/no/such/file";
  pthread_t threads[THREADS];
  enum cmap_status missing;
  bool right;

  if (argc == 1) {
    make_own_files();
    job.paths = own_paths;
    job.files = OWN_FILES;
  }
  cmap_store_options_init(&options, CMAP_STRING, destroy);
  must(cmap_store_create(&options, &documents));
  for (int i = 0; i < THREADS; i++) {
    if (pthread_create(&threads[i], NULL, read_all, &job) != 0)
      exit(1);
  }
  for (int i = 0; i < THREADS; i++)
    pthread_join(threads[i], NULL);
  missing = get(no_file, &none);
  printf("files=%d loaded=%d served=%d missing_status=%s\n", job.files,
         atomic_load(&loaded), atomic_load(&served),
         missing == cmap_status_user(ENOENT) ? "ENOENT" : "?");
  right = loaded == job.files && served == THREADS * ROUNDS * job.files &&
          missing == cmap_status_user(ENOENT);
  right = limit_the_wait(job.paths[0]) && right;
  must(cmap_store_destroy(documents));
  if (argc == 1)
    remove_own_files();
  return right ? 0 : 1;
}
