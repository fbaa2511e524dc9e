#!/bin/sh
# Writes the library as two files, cmap.c and cmap.h, into a folder:
#   sh src/package/amalgamate.sh <folder>
#
# cmap.c is every file of the source behind the other, each internal header
# where it is first needed. The headers of the system come first, because what
# follows is hidden from other parts of the process, which may have a libcmap of
# their own; those that only some builds include stay where they are. Nothing is
# renamed: no two files use the same name for different things.
set -eu
export LC_ALL=C

[ $# -eq 1 ] || { echo "usage: $0 <folder>" >&2; exit 2; }
root=$(cd "$(dirname "$0")/../.." && pwd)
mkdir -p "$1"
out=$(cd "$1" && pwd)
cd "$root"

cp include/cmap.h "$out/cmap.h"
awk '
  # Adds a file to part[]; `outer` is how many #if are open around it.
  function add(path, outer,   line, depth, name) {
    done[path] = 1
    part[++parts] = "\n/* ---- " path " ---- */\n\n"
    depth = 0
    while ((getline line < path) > 0) {
      if (line ~ /^# *if/)
        depth++
      else if (line ~ /^# *endif/)
        depth--
      if (line ~ /^# *include "/) {
        split(line, name, "\"")
        name[2] = "src/" name[2]
        if (name[2] != "src/cmap.h" && !(name[2] in done))
          add(name[2], depth > (path ~ /[.]h$/))
      } else if (line !~ /^# *include </) {
        part[++parts] = line "\n"
      } else if (depth > (path ~ /[.]h$/) || outer) {
        part[++parts] = "#pragma GCC visibility push(default)\n" line "\n" \
          "#pragma GCC visibility pop\n"
      } else if (!(line in done)) {
        done[line] = 1
        system_headers = system_headers line "\n"
      }
    }
    close(path)
  }
  BEGIN {
    print "/*\n * libcmap in one file; cmap.h says what it does. Written by" \
      "\n * src/package/amalgamate.sh: change it there.\n *\n" \
      " * Compile it as C11 or later and link with -pthread. Its functions are" \
      "\n * hidden, whatever the flags. CMAP_LOCK_PTHREAD takes locks of POSIX" \
      "\n * in place of futexes; CMAP_CHECK=1 or 2 turns assertions on.\n *"
    while ((getline line < "LICENSE") > 0)
      print line == "" ? " *" : " * " line
    print " */\n#ifndef _GNU_SOURCE\n#  define _GNU_SOURCE\n#endif"
    print "#ifndef CMAP_HIDDEN\n#  define CMAP_HIDDEN 1\n#endif\n"
    for (i = 1; i < ARGC; i++)
      if (!(ARGV[i] in done))
        add(ARGV[i], 0)
    printf "%s\n#include \"cmap.h\"\n\n", system_headers
    print "#pragma GCC diagnostic ignored \"-Wunused-function\""
    print "#pragma GCC visibility push(hidden)"
    for (i = 1; i <= parts; i++)
      printf "%s", part[i]
    print "\n#pragma GCC visibility pop"
  }
' src/base/*.c src/sync/*.c src/table/*.c src/map/*.c src/store/*.c \
  >"$out/cmap.c"
