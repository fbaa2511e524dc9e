#!/usr/bin/env bash
# The typed layer works in C++17, without a warning, also where much of it is
# unused, with every compiler that is installed; its callbacks may throw.
. "$(dirname "$0")/common.sh"

flags=(-std=c++17 -O2 -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wunused
  -Wcast-qual -Werror -I "$source_dir/include")
compiled=0

for compiler in g++ clang++; do
  if ! have "$compiler"; then
    printf 'not installed: %s\n' "$compiler"
    continue
  fi
  for program in typed throws; do
    "$compiler" "${flags[@]}" "$source_dir/tests/build/$program.cpp" -pthread \
      -o "$scratch/$program" "$build_dir/libcmap.so" \
      -Wl,-rpath,"$build_dir" || fail "$compiler does not take $program.cpp"
    output=$("$scratch/$program") || fail "$compiler: $program: $output"
    [ "$output" = "$program ok" ] ||
      fail "$compiler: the program says '$output'"
    printf '%s: %s\n' "$compiler" "$output"
  done
  "$compiler" "${flags[@]}" -fno-exceptions -fsyntax-only \
    "$source_dir/tests/build/typed.cpp" ||
    fail "$compiler does not take typed.cpp without exceptions"
  compiled=$((compiled + 1))
done

[ "$compiled" -gt 0 ] || skip "no C++ compiler is installed"
