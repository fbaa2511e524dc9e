/*
 * The parts of wordcount, a parallel word counter.
 *
 *   wordcount.c          the command line, the threads, the last line
 *   wordcount_files.c    which files there are to read
 *   wordcount_worker.c   what a thread does: reads files, counts words
 *   wordcount_report.c   the sorted list, messages
 */
#ifndef WORDCOUNT_H
#define WORDCOUNT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmap.h>

/* How often each word occurs. The keys are slices of the readers' buffers. */
CMAP_DEFINE(tally, CMAP_BYTES, uint64_t);

/* The files to read: a growing array. */
struct files {
  char **paths;
  size_t count;
  size_t room;
};

/* What all threads share. */
struct job {
  struct tally tally;
  struct files files;            /* const while threads run */
  atomic_size_t next_file;       /* the first one that no thread has taken */
  atomic_uint_fast64_t words;    /* counted so far */
  atomic_bool end_early;         /* something went wrong: all threads end */
  atomic_bool something_missing; /* a file or a folder was not readable */
};

/*
 * Adds the file `path`, or every regular file below the folder `path`. What
 * cannot be read is named on stderr and noted in job->something_missing.
 * false: out of memory.
 */
bool files_add(struct job *job, char *path);
void files_free(struct files *files);

/* Once, before any worker runs. */
void worker_init(void);

/* Takes files from the job until there are no more, and counts their words. */
void worker_run(struct job *job);

/*
 * Prints the `top` most frequent words, the highest count first, equal counts
 * in the order of their bytes. No thread may count any more. false: out of
 * memory, or stdout is not writable; stderr says which.
 */
bool report_words(struct tally tally, size_t top);

/* "wordcount: what: why" on stderr. Any thread. */
void report_error(const char *what, const char *why);

/* Writes the progress line over the last one; wipes it away. */
void report_progress(struct job *job);
void report_progress_end(void);

#endif
