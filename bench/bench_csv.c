/*
 * The CSV file, and progress on stderr.
 */
#include "harness.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LINE_MAX_BYTES 512

/* Is `header` the last header line of the file? */
static bool is_last_header(const char *path, const char *header)
{
  FILE *file = fopen(path, "r");
  char line[LINE_MAX_BYTES];
  bool is_last = false;

  if (file == NULL)
    return false;
  while (fgets(line, sizeof line, file) != NULL) {
    if (strncmp(line, "workload,", 9) == 0) {
      line[strcspn(line, "\r\n")] = '\0';
      is_last = strcmp(line, header) == 0;
    }
  }
  fclose(file);
  return is_last;
}

FILE *bench_csv(const char *path, const char *header)
{
  bool has_header = is_last_header(path, header);
  FILE *file = fopen(path, "a");

  if (file == NULL) {
    perror(path);
    exit(1);
  }
  if (!has_header)
    fprintf(file, "%s\n", header);
  return file;
}

void bench_progress(const char *format, ...)
{
  static bool shown;
  va_list args;

  if (!isatty(STDERR_FILENO))
    return;
  if (shown || format != NULL)
    fputs("\r\033[K", stderr);
  shown = format != NULL;
  if (format == NULL)
    return;
  va_start(args, format);
  vfprintf(stderr, format, args);
  va_end(args);
}
