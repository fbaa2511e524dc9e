#!/usr/bin/env bash
# What docs/debugging.md says of tools: memcheck and AddressSanitizer name a
# lost value where it was allocated, and memcheck a map that is used after its
# end; ThreadSanitizer, helgrind and DRD are quiet about a program that is right
# and report the races of one that is not: all of it with an ordinary library.
. "$(dirname "$0")/common.sh"

library=$build_dir/libcmap.so
if readelf -d "$library" | grep -q 'NEEDED.*jemalloc'; then
  skip "jemalloc hides from tools what it has given"
fi

# make <name> <arguments of the compiler>
make() {
  "$cc" -std=gnu11 -g -O1 -I "$source_dir/include" \
    "$source_dir/tests/build/tools/program.c" "${@:2}" -pthread \
    -o "$scratch/$1" || fail "$1 does not build"
}
ordinary=("$library" -Wl,-rpath,"$build_dir")

# run <command>: its output is in $scratch/out, and it need not end well.
run() {
  "$@" >"$scratch/out" 2>&1 || true
}

# said <extended regular expression>
said() {
  grep -qE -- "$1" "$scratch/out" || { cat "$scratch/out"; fail "no line '$1'"; }
}

# quiet: nothing but what the program prints.
quiet() {
  [ "$(cat "$scratch/out")" = done ] || { cat "$scratch/out"; fail "not quiet"; }
}

if have valgrind; then
  echo "== memcheck"
  memcheck=(valgrind -q --leak-check=full --fair-sched=try)
  make right "${ordinary[@]}"
  run "${memcheck[@]}" "$scratch/right"
  quiet
  make leak -DLEAK "${ordinary[@]}"
  run "${memcheck[@]}" "$scratch/leak"
  said 'definitely lost'
  said 'by .*: new_box \(program\.c'
  make destroyed -DDESTROYED "${ordinary[@]}"
  run "${memcheck[@]}" "$scratch/destroyed"
  said 'Invalid read of size'
  said 'boxes_destroy \(program\.c'
fi

echo "== AddressSanitizer"
printf 'int main(void) { return 0; }\n' >"$scratch/empty.c"
if "$cc" -fsanitize=address "$scratch/empty.c" -o "$scratch/empty" \
    2>"$scratch/log"; then
  make right -fsanitize=address "${ordinary[@]}"
  run "$scratch/right"
  quiet
  make leak -fsanitize=address -DLEAK "${ordinary[@]}"
  run "$scratch/leak"
  said 'in new_box .*program\.c'
fi

# tsan <compiler> <library ...>: with that, the right program is quiet and each
# race is reported.
tsan() {
  local cc=$1
  shift
  make right -fsanitize=thread "$@"
  run "${as_it_is[@]}" "$scratch/right"
  quiet
  make race -fsanitize=thread -DRACE "$@"
  run "${as_it_is[@]}" "$scratch/race"
  said 'SUMMARY: ThreadSanitizer: data race .*program\.c:[0-9:]* in work'
  make race -fsanitize=thread -DRACE_READ "$@"
  run "${as_it_is[@]}" "$scratch/race"
  said 'SUMMARY: ThreadSanitizer: data race .*program\.c:[0-9:]* in misuse_box'
}

as_it_is=()
if setarch "$(uname -m)" -R true 2>"$scratch/log"; then
  as_it_is=(setarch "$(uname -m)" -R)
fi
for compiler in "$cc" gcc clang; do
  [ "$compiler" != "${compiler_before:-}" ] && have "$compiler" &&
    "$compiler" -fsanitize=thread "$scratch/empty.c" -o "$scratch/empty" \
      2>"$scratch/log" || continue
  compiler_before=$compiler
  echo "== ThreadSanitizer of $compiler, an ordinary library"
  tsan "$compiler" "${ordinary[@]}"
  tsan "$compiler" "$build_dir/libcmap.a"
done
if "$cc" -fsanitize=thread "$scratch/empty.c" -o "$scratch/empty" \
    2>"$scratch/log"; then
  echo "== ThreadSanitizer, cmap.c compiled with it"
  sh "$source_dir/src/package/amalgamate.sh" "$scratch/one" >"$scratch/log"
  "$cc" -O0 -fsanitize=thread -c "$scratch/one/cmap.c" -o "$scratch/cmap.o" ||
    fail "cmap.c does not compile"
  tsan "$cc" "$scratch/cmap.o"
fi

if have valgrind && grep -q '^CMAP_HAVE_VALGRIND:INTERNAL=1' \
    "$build_dir/CMakeCache.txt"; then
  for tool in helgrind drd; do
    echo "== $tool"
    checked=(valgrind -q --tool=$tool --fair-sched=try
      --suppressions="$source_dir/src/package/valgrind.supp")
    make right -DROUNDS=2500 "${ordinary[@]}"
    run "${checked[@]}" "$scratch/right"
    quiet
    make race -DROUNDS=300 -DRACE "${ordinary[@]}"
    run "${checked[@]}" "$scratch/race"
    said ' at .*: work \(program\.c'
    make race -DROUNDS=300 -DRACE_READ "${ordinary[@]}"
    run "${checked[@]}" "$scratch/race"
    said ' at .*: misuse_box \(program\.c'
  done
fi
