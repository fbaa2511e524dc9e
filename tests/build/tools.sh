#!/usr/bin/env bash
# What docs/debugging.md says of tools: memcheck and AddressSanitizer name a
# lost value where it was allocated, and memcheck a map that is used after its
# end, with an ordinary library; ThreadSanitizer is quiet about a program that
# is right and reports the race of one that is not, if cmap.c was compiled by it.
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

echo "== ThreadSanitizer"
if "$cc" -fsanitize=thread "$scratch/empty.c" -o "$scratch/empty" \
    2>"$scratch/log"; then
  as_it_is=()
  if setarch "$(uname -m)" -R true 2>"$scratch/log"; then
    as_it_is=(setarch "$(uname -m)" -R)
  fi
  sh "$source_dir/src/package/amalgamate.sh" "$scratch/one" >"$scratch/log"
  "$cc" -O0 -fsanitize=thread -c "$scratch/one/cmap.c" -o "$scratch/cmap.o" ||
    fail "cmap.c does not compile"
  make right -fsanitize=thread "$scratch/cmap.o"
  run "${as_it_is[@]}" "$scratch/right"
  quiet
  make race -fsanitize=thread -DRACE "$scratch/cmap.o"
  run "${as_it_is[@]}" "$scratch/race"
  said 'SUMMARY: ThreadSanitizer: data race .*program\.c:[0-9]* in work'
fi
