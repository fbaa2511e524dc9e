#!/usr/bin/env bash
# Several copies of libcmap in one process: a program with the archive in it
# beside a library that uses the shared one, and plugins with the archive in
# them, loaded and unloaded, also where no static thread-local storage is left.
# No copy uses functions of another.
. "$(dirname "$0")/common.sh"

program=$source_dir/tests/build/copies
archive=$build_dir/libcmap.a
[ -e "$archive" ] || fail "no $archive"
flags=(-std=gnu11 -O2 -Wall -Wextra -I "$source_dir/include")
needs=(-pthread)
nm "$archive" 2>/dev/null >"$scratch/symbols"
if grep -q ' U sdallocx$' "$scratch/symbols"; then
  needs+=(-Wl,--no-as-needed -ljemalloc)
  jemalloc=1
fi

# make <name> <arguments of the compiler>
make() {
  "$cc" "${flags[@]}" "${@:2}" -o "$scratch/$1" "${needs[@]}" -ldl ||
    fail "$1 does not link"
}

echo "== the archive in a program, the shared library beside it"
make liblibrary.so -fPIC -shared "$program/library.c" \
  "$build_dir/libcmap.so" -Wl,-rpath,"$build_dir"
for export in -Wl,--no-export-dynamic -rdynamic; do
  make program "$program/program.c" "$archive" "$export" \
    "$scratch/liblibrary.so" -Wl,-rpath,"$scratch" -Wl,-rpath,"$build_dir"
  if nm -D --defined-only "$scratch/program" | grep libcmap_; then
    fail "the program exports these functions of its copy"
  fi
  output=$("$scratch/program") || fail "the program: exit status $?"
  [ "$output" = "program CMAP_OK, library CMAP_EDEADLK" ] ||
    fail "the program says '$output'"
done

echo "== the archive in plugins"
for plugin in a b; do
  make "$plugin.so" -fPIC -shared "$program/plugin.c" "$archive"
done
make host "$program/host.c"
output=$("$scratch/host" "$scratch/a.so" "$scratch/b.so") ||
  fail "the host: exit status $?, $output"
[ "$output" = "host ok" ] || fail "the host says '$output'"

# jemalloc takes some.
[ -z "${jemalloc:-}" ] || exit 0
echo "== by dlopen, with no static thread-local storage left"
takers=()
for size in 512 64 8 1; do # of the 1.6 KiB that glibc keeps for dlopen
  printf '%s\n' "__attribute__((tls_model(\"initial-exec\"))) _Thread_local" \
    "char taken[$size]; char *take(void); char *take(void) { return taken; }" |
    "$cc" -fPIC -shared -x c - -o "$scratch/take.so" || fail "take.so"
  for i in {1..10}; do
    cp "$scratch/take.so" "$scratch/take$size.$i"
    takers+=("$scratch/take$size.$i")
  done
done
make shared.so -fPIC -shared "$program/plugin.c" \
  "$build_dir/libcmap.so" -Wl,-rpath,"$build_dir"
make load "$program/load.c"
output=$("$scratch/load" "${takers[@]}" -- "$scratch/shared.so" \
  "$scratch/a.so") || fail "$output"
