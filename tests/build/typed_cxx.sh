#!/usr/bin/env bash
# The typed layer works in C++17, without a warning, also where much of it is
# unused, with every compiler that is installed.
. "$(dirname "$0")/common.sh"

flags=(-std=c++17 -O2 -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wunused
  -Wcast-qual -Werror -I "$source_dir/include")
compiled=0

for compiler in g++ clang++; do
  if ! have "$compiler"; then
    printf 'not installed: %s\n' "$compiler"
    continue
  fi
  "$compiler" "${flags[@]}" "$source_dir/tests/build/typed.cpp" \
    -o "$scratch/$compiler" "$build_dir/libcmap.so" -Wl,-rpath,"$build_dir" ||
    fail "$compiler does not take typed.cpp"
  output=$("$scratch/$compiler") || fail "$compiler: exit status $?"
  [ "$output" = "typed ok" ] || fail "$compiler: the program says '$output'"
  printf '%s: %s\n' "$compiler" "$output"
  compiled=$((compiled + 1))
done

[ "$compiled" -gt 0 ] || skip "no C++ compiler is installed"
