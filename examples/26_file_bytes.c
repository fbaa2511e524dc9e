/*
 * Files in memory, 64 KiB of them in all: the bound counts bytes. What is read
 * again and again stays, though others are walked over; a file that is larger
 * than the bound is read and not kept.
 */
#include <cmap.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct file {
  size_t size;
  char bytes[];
};
CMAP_DEFINE_STORE(files, CMAP_STRING, struct file);

enum { BOUND = 65536, FILES = 100 };

/* Its status, the errno, reaches everybody who waits for this file. */
static enum cmap_status load(const char *path, struct file **object, void *ctx)
{
  FILE *from = fopen(path, "rb");
  struct stat about;

  if (from == NULL || fstat(fileno(from), &about) != 0)
    return cmap_status_user(1);
  *object = malloc(sizeof **object + (size_t)about.st_size);
  if (*object != NULL)
    (*object)->size = fread((*object)->bytes, 1, (size_t)about.st_size, from);
  (void)fclose(from);
  *(int *)ctx += 1;
  return *object == NULL ? CMAP_ENOMEM : CMAP_OK;
}

static void end_file(void *object, void *ctx)
{
  (void)ctx;
  free(object);
}

static uint64_t bytes_of(struct cmap_key key, const void *object, void *ctx)
{
  const struct file *file = object;

  (void)key, (void)ctx;
  return sizeof *file + file->size;
}

static void make(const char *path, int size)
{
  FILE *file = fopen(path, "wb");

  if (file == NULL || ftruncate(fileno(file), size) != 0 || fclose(file) != 0)
    exit(1);
}

static int read_file(struct files files, const char *path)
{
  CMAP_AUTO(files_handle, file);
  int reads = 0;

  if (files_get_or_create(files, path, &file, load, &reads, NULL) != CMAP_OK)
    exit(1);
  return reads;
}

int main(void)
{
  struct cmap_store_options options;
  struct cmap_store_stats stats = {.size = sizeof stats};
  char folder[] = "/tmp/26_file_bytes.XXXXXX", path[FILES + 2][64];
  struct files files;
  int hot = 0;

  cmap_store_options_init(&options, CMAP_STRING, end_file);
  options.max_cost = BOUND;
  options.cost = bytes_of;
  if (files_create(&options, &files) != CMAP_OK || mkdtemp(folder) == NULL)
    return 1;
  for (int i = 0; i < FILES + 2; i++) {
    snprintf(path[i], sizeof path[i], "%s/%d", folder, i);
    make(path[i], i == FILES + 1 ? 2 * BOUND : 1000 + i);
  }
  hot += read_file(files, path[0]) + read_file(files, path[0]);
  for (int i = 1; i <= FILES; i++)
    read_file(files, path[i]), hot += read_file(files, path[0]);
  if (files_get_stats(files, &stats) == CMAP_OK)
    printf("kept 64 KiB at most: %s\n", stats.cost <= BOUND ? "yes" : "no");
  printf("the hot file was read %d times\n", hot);
  (void)read_file(files, path[FILES + 1]);
  printf("the large file was kept: %s\n",
         read_file(files, path[FILES + 1]) ? "no" : "yes");
  for (int i = 0; i < FILES + 2; i++)
    (void)unlink(path[i]);
  (void)rmdir(folder);
  return files_destroy(files) != CMAP_OK;
}
