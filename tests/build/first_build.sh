#!/usr/bin/env bash
# The README's lines work on a machine with a compiler, CMake, make and nothing
# else: the library is built, installed, and used by the README's program. The
# same source, built again elsewhere, gives the same bytes. Built without
# optimisation, which makes no difference here.
. "$(dirname "$0")/common.sh"

have make || skip "make is not installed"
export CMAKE_BUILD_PARALLEL_LEVEL=2
export PKG_CONFIG_LIBDIR=$scratch # CMake looks beyond PATH, and finds nothing
unset CMAKE_GENERATOR CMAKE_C_COMPILER_LAUNCHER CFLAGS CPATH

tools=$scratch/tools
mkdir "$tools"
for tool in cmake make sh uname; do
  ln -s "$(command -v "$tool")" "$tools/$tool"
done
printf '#!/bin/sh\nPATH=%q exec %q "$@" -O0\n' "$PATH" "$(command -v "$cc")" \
  >"$tools/cc"
for tool in ar ranlib nm objcopy objdump; do
  printf '#!/bin/sh\nexec %q "$@"\n' "$(command -v "$tool")" >"$tools/$tool"
done
printf '#!/bin/sh\n' >"$tools/ldconfig"
chmod +x "$tools"/*

# lines <which>: of the README's block of that name, without sudo.
lines() {
  awk -v mark="<!-- $1 -->" '
    $0 == mark { on = 1; next }
    on && /^```/ { if (++fences == 2) exit; next }
    on && fences { sub(/ *#.*/, ""); gsub(/sudo /, ""); print }
  ' "$source_dir/README.md"
}

echo "== the README's lines"
mkdir "$scratch/first"
cp -r "$source_dir"/{CMakeLists.txt,LICENSE,README.md,include,src} \
  "$scratch/first"
mkdir "$scratch/first/tests" "$scratch/first/examples"
cp -r "$source_dir"/tests/CMakeLists.txt "$scratch/first/tests"
cp -r "$source_dir"/examples/{CMakeLists.txt,01_*.c,wordcount*,reference} \
  "$scratch/first/examples"
rm "$scratch"/first/examples/reference/*[!3]_*.c # the others are as good
lines install >"$scratch/install"
[ "$(wc -l <"$scratch/install")" -eq 3 ] || fail "not three lines to install"
(cd "$scratch/first" && PATH=$tools DESTDIR=$scratch/root \
  "$tools/sh" -ex "$scratch/install") >"$scratch/log" 2>&1 ||
  { tail -n 30 "$scratch/log"; fail "the README's lines"; }
grep 'left out' "$scratch/log" || fail "no word about the tests"

lib=$(dirname "$(find "$scratch/root" -name libcmap.so)")
root=$(dirname "$(find "$scratch/root" -name include -type d)")
cp "$source_dir/examples/01_hello.c" "$scratch/hello.c"
lines compile >"$scratch/compile"
(cd "$scratch" && CPATH=$root/include LIBRARY_PATH=$lib LD_LIBRARY_PATH=$lib \
  PATH=$tools "$tools/sh" -ex "$scratch/compile") >"$scratch/out" ||
  fail "the README's program"
[ "$(cat "$scratch/out")" = "4 words, be: 2" ] ||
  fail "the README's program says '$(cat "$scratch/out")'"
if readelf -d "$lib/libcmap.so" | grep NEEDED | grep -v 'libc\.\|ld-linux'; then
  fail "the library needs more than libc"
fi

cp -r "$lib" "$scratch/lib"
(cd "$scratch/first" && DESTDIR=$scratch/root PATH=$tools \
  cmake --build build --target uninstall) >"$scratch/log" 2>&1 ||
  { tail -n 30 "$scratch/log"; fail "uninstall"; }
if find "$root" -type f -o -type l -o -name cmap | grep .; then
  fail "uninstall leaves these"
fi
lib=$scratch/lib

echo "== no bytecode but in libcmap_lto.a; the same source, the same bytes"
if grep -q 'gnu\.lto' "$lib/libcmap.a"; then
  fail "libcmap.a has a compiler's bytecode in it"
fi
targets=(cmap_shared cmap_static)
if [ -e "$lib/libcmap_lto.a" ]; then
  grep -q 'gnu\.lto' "$lib/libcmap_lto.a" || fail "libcmap_lto.a is as others"
  targets+=(cmap_lto)
fi
# Elsewhere some files are compiled again, for each library; where they are, the
# libraries are put together again.
PATH=$tools cmake -S "$scratch/first" -B "$scratch/other build" \
  >"$scratch/log" 2>&1 &&
  PATH=$tools make -C "$scratch/other build" src/map/insert.o src/map/read.o \
    src/store/get.o src/sync/shardlock.o src/table/hash.o src/table/replace.o \
    >>"$scratch/log" 2>&1 || { tail -n 30 "$scratch/log"; fail "the second build"; }
cd "$scratch/other build"
objects=0
while read -r file; do
  cmp "$file" "$scratch/first/build/$file" || fail "$file differs"
  objects=$((objects + 1))
done < <(find . -path '*_objects.dir/*' -name '*.o')
[ "$objects" -ge 12 ] || fail "only $objects files were compiled again"
cd "$scratch/first/build"
mkdir ../before
mv libcmap*.a libcmap.so.0.* ../before
PATH=$tools cmake --build . --target "${targets[@]}" >"$scratch/log" 2>&1 ||
  { tail -n 30 "$scratch/log"; fail "linking again"; }
for file in ../before/*; do
  cmp "$file" "${file##*/}" || fail "${file##*/} differs"
done
