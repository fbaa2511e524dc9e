/*
 * What a thread does: it takes file after file, reads it through a buffer of
 * its own, and counts each word with one call on the shared map.
 *
 * A word is lower-cased where it lies in the buffer, and its slice of the
 * buffer is the key: nothing is copied, and the map copies a key only when it
 * is new. A word at the end of the buffer may go on in the next part of the
 * file, so it is moved to the front before that is read behind it; if it fills
 * half the buffer, the buffer grows.
 */
#include "wordcount.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Enough to make read() cheap, and little enough to stay in the L2 cache. */
#define BUFFER_SIZE ((size_t)256 << 10)

/* A letter's lower case; 0 for what is no ASCII letter. Const after init. */
static unsigned char lower[256];

/* A thread's buffer: bytes, and one behind them that ends the last word. */
struct buffer {
  unsigned char *bytes;
  size_t size;
  size_t used; /* bytes that are there */
};

void worker_init(void)
{
  for (unsigned c = 'a'; c <= 'z'; c++)
    lower[c] = lower[c - 'a' + 'A'] = (unsigned char)c;
}

/* Ends all threads; the first one says why. */
static void fail(struct job *job, enum cmap_status status)
{
  if (!atomic_exchange(&job->end_early, true))
    report_error("counting", cmap_status_text(status));
}

static bool has_failed(struct job *job)
{
  /* Nothing else is read because of it. */
  return atomic_load_explicit(&job->end_early, memory_order_relaxed);
}

/*
 * Counts the words in the buffer. What may be the first part of a word at the
 * end of the buffer is counted only if it is `last`; else it is moved to the
 * front, and is all that remains.
 */
static void count_words(struct job *job, struct buffer *buffer, bool last)
{
  unsigned char *at = buffer->bytes;
  unsigned char *end = at + buffer->used;
  unsigned char *word;
  uint_fast64_t words = 0;
  enum cmap_status status = CMAP_OK;

  *end = 0;
  for (;;) {
    while (at < end && lower[*at] == 0)
      at++;
    word = at;
    while (lower[*at] != 0) {
      *at = lower[*at];
      at++;
    }
    if (at == word || (at == end && !last))
      break;
    status = tally_fetch_add(
        job->tally, cmap_key_bytes(word, (size_t)(at - word)), 1, NULL, NULL);
    if (status != CMAP_OK)
      break;
    words++;
  }
  if (status != CMAP_OK)
    fail(job, status);
  atomic_fetch_add_explicit(&job->words, words, memory_order_relaxed);
  buffer->used = (size_t)(end - word);
  memmove(buffer->bytes, word, buffer->used);
}

/* Makes room to read into. */
static bool make_room(struct buffer *buffer)
{
  size_t size = buffer->size ? 2 * buffer->size : BUFFER_SIZE;
  unsigned char *bytes;

  if (buffer->used < buffer->size - buffer->size / 2)
    return true;
  bytes = realloc(buffer->bytes, size + 1);
  if (bytes == NULL)
    return false;
  buffer->bytes = bytes;
  buffer->size = size;
  return true;
}

/* Counts the words of an open file, as far as it can be read. An errno, or 0.
 */
static int count_file(struct job *job, struct buffer *buffer, int file)
{
  ssize_t got = 1;
  int error = 0;

  buffer->used = 0;
  while (got > 0 && !has_failed(job)) {
    if (!make_room(buffer)) {
      fail(job, CMAP_ENOMEM);
      return 0;
    }
    do
      got =
          read(file, buffer->bytes + buffer->used, buffer->size - buffer->used);
    while (got < 0 && errno == EINTR);
    if (got > 0)
      buffer->used += (size_t)got;
    else if (got < 0)
      error = errno;
    count_words(job, buffer, got <= 0);
  }
  return error;
}

static void count_path(struct job *job, struct buffer *buffer, const char *path)
{
  int file = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
  int error = file < 0 ? errno : count_file(job, buffer, file);

  if (file >= 0)
    close(file);
  if (error == 0)
    return;
  report_error(path, strerror(error));
  atomic_store(&job->something_missing, true);
}

void worker_run(struct job *job)
{
  struct buffer buffer = {NULL, 0, 0};

  while (!has_failed(job)) {
    /* Threads take different files, and read nothing of each other's. */
    size_t i =
        atomic_fetch_add_explicit(&job->next_file, 1, memory_order_relaxed);
    if (i >= job->files.count)
      break;
    count_path(job, &buffer, job->files.paths[i]);
  }
  free(buffer.bytes);
}
