/*
 * wordcount: how often does each word occur in files and folders?
 *
 *   wordcount [-t THREADS] [-n TOP] [--all] PATH...
 *
 * A word is a run of ASCII letters, as long as it goes, in lower case. Below a
 * folder every regular file is read, and symbolic links are not followed; a
 * PATH that is one is. Prints COUNT<TAB>WORD, the highest count first, equal
 * counts in the order of their bytes; and at the end on stderr how many words
 * there were, and how fast they were counted (finding the files included,
 * sorting not).
 *
 * The exit status is 0; 1 if anything could not be read (the rest is counted)
 * or went wrong; 2 for wrong arguments.
 *
 * One map is shared by all threads; each word is one tally_fetch_add. The main
 * thread finds the files and waits for the others, which take one file after
 * the other. A file is read by one thread.
 */
#include "wordcount.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define THREADS_MAX 1024

/* How often the progress line is written. */
#define PROGRESS_NS 200000000L

/* Exit statuses. */
enum { DONE = 0, TROUBLE = 1, USAGE = 2 };

struct settings {
  size_t threads;
  size_t top;
};

static double now(void)
{
  struct timespec t;

  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* ------------------------------------------------------------------------
 * The command line
 * ------------------------------------------------------------------------ */

static void print_usage(FILE *stream)
{
  fputs("Usage: wordcount [-t THREADS] [-n TOP] [--all] PATH...\n"
        "Counts the words in files, and in all files below folders.\n"
        "  -t THREADS  threads that count (1 to 1024; one per processor)\n"
        "  -n TOP      print the TOP most frequent words (20)\n"
        "  --all       print all words\n"
        "  --help      print this\n",
        stream);
}

/* A decimal number, and nothing else. */
static bool read_number(const char *text, size_t min, size_t max,
                        size_t *number)
{
  unsigned long long value;
  char *end;

  if (*text < '0' || *text > '9')
    return false;
  errno = 0;
  value = strtoull(text, &end, 10);
  if (*end != '\0' || errno != 0 || value < min || value > max)
    return false;
  *number = (size_t)value;
  return true;
}

static size_t processors(void)
{
  long n = sysconf(_SC_NPROCESSORS_ONLN);

  if (n < 1)
    return 1;
  return n < THREADS_MAX ? (size_t)n : THREADS_MAX;
}

/* false: the program ends with *exit_status. PATHs begin at argv[optind]. */
static bool read_arguments(int argc, char **argv, struct settings *settings,
                           int *exit_status)
{
  static const struct option long_options[] = {
      {"all", no_argument, NULL, 'a'},
      {"help", no_argument, NULL, 'h'},
      {NULL, 0, NULL, 0},
  };
  bool all = false;
  bool ok = true;
  int option;

  *exit_status = USAGE;
  while (ok &&
         (option = getopt_long(argc, argv, "t:n:", long_options, NULL)) != -1) {
    if (option == 't')
      ok = read_number(optarg, 1, THREADS_MAX, &settings->threads);
    else if (option == 'n')
      ok = read_number(optarg, 0, SIZE_MAX, &settings->top);
    else if (option == 'a')
      all = true;
    else if (option == 'h')
      *exit_status = DONE;
    ok = ok && option != '?' && option != 'h';
  }
  if (all)
    settings->top = SIZE_MAX;
  if (ok && optind < argc)
    return true;
  print_usage(*exit_status == DONE ? stdout : stderr);
  return false;
}

/* ------------------------------------------------------------------------
 * The threads
 * ------------------------------------------------------------------------ */

static void *worker(void *ctx)
{
  worker_run(ctx);
  return NULL;
}

/* Joins, and meanwhile writes the progress line. */
static void join(pthread_t thread, struct job *job, bool progress)
{
  struct timespec t;

  if (!progress) {
    pthread_join(thread, NULL);
    return;
  }
  do {
    report_progress(job);
    clock_gettime(CLOCK_REALTIME, &t);
    t.tv_nsec += PROGRESS_NS;
    t.tv_sec += t.tv_nsec / 1000000000L;
    t.tv_nsec %= 1000000000L;
  } while (pthread_timedjoin_np(thread, NULL, &t) == ETIMEDOUT);
}

/* Counts the words of all files. No thread is left when it returns. */
static bool count(struct job *job, size_t threads)
{
  bool progress = isatty(STDERR_FILENO) == 1;
  pthread_t *ids = calloc(threads, sizeof *ids);
  size_t started = 0;
  int error = ids == NULL ? ENOMEM : 0;

  while (error == 0 && started < threads) {
    error = pthread_create(&ids[started], NULL, worker, job);
    if (error == 0)
      started++;
  }
  if (error != 0) {
    report_error("starting the threads", strerror(error));
    atomic_store(&job->end_early, true);
  }
  for (size_t i = 0; i < started; i++)
    join(ids[i], job, progress);
  report_progress_end();
  free(ids);
  return !atomic_load(&job->end_early);
}

/* ------------------------------------------------------------------------
 * All together
 * ------------------------------------------------------------------------ */

static bool find_files(struct job *job, char **paths)
{
  for (; *paths != NULL; paths++) {
    if (!files_add(job, *paths)) {
      report_error(*paths, strerror(ENOMEM));
      return false;
    }
  }
  return true;
}

/* Finds, counts, prints. */
static int run(struct job *job, const struct settings *settings, char **paths)
{
  double begin = now();
  double seconds;
  uint_fast64_t words;

  if (!find_files(job, paths) || !count(job, settings->threads))
    return TROUBLE;
  seconds = now() - begin;
  if (!report_words(job->tally, settings->top))
    return TROUBLE;
  words = atomic_load(&job->words);
  fprintf(stderr,
          "%" PRIuFAST64 " words, %zu distinct, %.3f seconds, "
          "%.0f words per second\n",
          words, tally_len(job->tally), seconds,
          seconds > 0 ? (double)words / seconds : 0);
  return atomic_load(&job->something_missing) ? TROUBLE : DONE;
}

int main(int argc, char **argv)
{
  static struct job job; /* zero */
  struct settings settings = {.threads = processors(), .top = 20};
  int exit_status;
  enum cmap_status status;

  if (!read_arguments(argc, argv, &settings, &exit_status))
    return exit_status;
  status = tally_create(NULL, &job.tally);
  if (status != CMAP_OK) {
    report_error("creating the map", cmap_status_text(status));
    return TROUBLE;
  }
  worker_init();
  exit_status = run(&job, &settings, argv + optind);
  files_free(&job.files);
  tally_destroy(job.tally);
  return exit_status;
}
