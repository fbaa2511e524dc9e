#!/usr/bin/env bash
# The public header compiles on its own, without a warning, as C11 and as
# C++17, with every compiler that is installed.
. "$(dirname "$0")/common.sh"

flags=(-Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror
  -I "$source_dir/include" -fsyntax-only)
# Included twice: the include guard is part of the matter.
printf '#include <cmap.h>\n#include <cmap.h>\n' >"$scratch/use.c"
cp "$scratch/use.c" "$scratch/use.cc"
compiled=0

# check <compiler> <standard> <file> [flags]
check() {
  if ! have "$1"; then
    printf 'not installed: %s\n' "$1"
    return 0
  fi
  printf '%s -std=%s\n' "$1" "$2"
  "$1" "-std=$2" "${flags[@]}" "${@:4}" "$scratch/$3" ||
    fail "$1 does not take the header as $2"
  compiled=$((compiled + 1))
}

check gcc c11 use.c -Wstrict-prototypes -Wcast-qual
check clang c11 use.c -Wstrict-prototypes -Wcast-qual
for compiler in g++ clang++; do
  check "$compiler" c++17 use.cc -Wcast-qual -Wold-style-cast \
    -Wzero-as-null-pointer-constant
done
if [ "$compiled" -eq 0 ]; then
  check "$cc" c11 use.c
fi
[ "$compiled" -gt 0 ] || fail "no compiler was found"
