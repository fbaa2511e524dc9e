/*
 * Which files there are to read.
 *
 * A PATH that is a symbolic link is followed, as grep -r and du -D do: its user
 * named it. Links below a folder are not, so that nothing is read twice and no
 * loop is met; neither are devices, sockets and FIFOs opened.
 */
#include "wordcount.h"

#include <errno.h>
#include <fts.h>
#include <stdlib.h>
#include <string.h>

static bool push(struct files *files, const char *path)
{
  if (files->count == files->room) {
    size_t room = files->room ? 2 * files->room : 1024;
    char **paths = realloc(files->paths, room * sizeof *paths);
    if (paths == NULL)
      return false;
    files->paths = paths;
    files->room = room;
  }
  files->paths[files->count] = strdup(path);
  if (files->paths[files->count] == NULL)
    return false;
  files->count++;
  return true;
}

static void is_missing(struct job *job, const char *path, const char *why)
{
  report_error(path, why);
  atomic_store(&job->something_missing, true);
}

/* One step of the walk. */
static bool visit(struct job *job, const FTSENT *entry)
{
  switch (entry->fts_info) {
  case FTS_F:
    return push(&job->files, entry->fts_path);
  case FTS_DNR: /* a folder that cannot be read */
  case FTS_ERR:
  case FTS_NS: /* no such file, or a folder that may not be searched */
    is_missing(job, entry->fts_path, strerror(entry->fts_errno));
    return true;
  case FTS_DC: /* bind mounts can do that */
    is_missing(job, entry->fts_path, strerror(ELOOP));
    return true;
  case FTS_SLNONE: /* PATH is a symbolic link to nothing */
    is_missing(job, entry->fts_path, strerror(ENOENT));
    return true;
  case FTS_DEFAULT:
    if (entry->fts_level == FTS_ROOTLEVEL)
      is_missing(job, entry->fts_path, "Not a regular file or folder");
    return true;
  default: /* folders before and after their files, symbolic links */
    return true;
  }
}

bool files_add(struct job *job, char *path)
{
  char *const roots[] = {path, NULL};
  /* Without FTS_NOCHDIR the walk would change the folder of all threads. */
  FTS *walk = fts_open(roots, FTS_PHYSICAL | FTS_COMFOLLOW | FTS_NOCHDIR, NULL);
  bool ok = true;
  FTSENT *entry;

  if (walk == NULL) {
    if (errno == ENOMEM)
      return false;
    is_missing(job, path, strerror(errno));
    return true;
  }
  while (ok && (errno = 0, entry = fts_read(walk)) != NULL)
    ok = visit(job, entry);
  if (ok && errno == ENOMEM)
    ok = false;
  else if (ok && errno != 0)
    is_missing(job, path, strerror(errno));
  fts_close(walk);
  return ok;
}

void files_free(struct files *files)
{
  for (size_t i = 0; i < files->count; i++)
    free(files->paths[i]);
  free(files->paths);
}
