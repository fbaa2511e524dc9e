#!/usr/bin/env bash
# Inside another project, through add_subdirectory(), libcmap is only its
# library: no tests, no -Werror, nothing installed, the parent's flags as they
# were. By default the parent links the shared library, and with
# BUILD_SHARED_LIBS=OFF the static one. The same where CMake fetches it
# (FetchContent) and where meson does (a wrap). Without optimisation: that is
# not what is tested.
. "$(dirname "$0")/common.sh"

# The outer project in $scratch/<name>, configured with more options.
configure_outer() {
  local name=$1
  shift
  cmake -S "$source_dir/tests/build/outer" -B "$scratch/$name" \
    -DCMAP_SOURCE_DIR_UNDER_TEST="$source_dir" \
    -DCMAKE_C_COMPILER="$cc" -DCMAKE_C_FLAGS=-O0 \
    -DCMAKE_EXPORT_COMPILE_COMMANDS=ON "$@" \
    >"$scratch/log" 2>&1 ||
    { cat "$scratch/log"; fail "$name does not configure"; }
}

# The same, built, by many files at a time, which is without libcmap_lto.a.
build_outer() {
  local name=$1
  configure_outer "$@" -DCMAP_LTO=OFF -DCMAKE_UNITY_BUILD=ON \
    -DCMAKE_UNITY_BUILD_BATCH_SIZE=24
  cmake --build "$scratch/$name" --target outer --parallel 2 \
    >"$scratch/log" 2>&1 ||
    { cat "$scratch/log"; fail "$name does not build"; }
  output=$("$scratch/$name/outer") || fail "$name does not run"
  [ "$output" = "consumer ok" ] || fail "$name says '$output'"
}

configure_outer default
commands=$scratch/default/compile_commands.json
grep -q 'src/base/' "$commands" || fail "no compile commands of the library"
if grep -e '-Werror' "$commands"; then
  fail "-Werror in the parent's build"
fi
if grep -F -e "$source_dir/tests/unit/" -e "$source_dir/tests/support/" \
    -e "$source_dir/bench/" -e "$source_dir/examples/" "$commands"; then
  fail "tests, examples or benchmark in the parent's build"
fi
build_outer shared
readelf -d "$scratch/shared/outer" | grep -q 'NEEDED.*\[libcmap\.so\.0\]' ||
  fail "the default is not the shared library"

(cd "$scratch/default" && ctest -N) >"$scratch/log"
grep -q 'Total Tests: 0$' "$scratch/log" ||
  { cat "$scratch/log"; fail "tests in the parent's build"; }

cmake --install "$scratch/shared" --prefix "$scratch/prefix" >"$scratch/log"
if [ -d "$scratch/prefix" ] && find "$scratch/prefix" -type f | grep .; then
  fail "these files were installed"
fi

mkdir "$scratch/libcmap"
cp -r "$source_dir"/{CMakeLists.txt,LICENSE,include,src} "$scratch/libcmap"
tar -C "$scratch" -czf "$scratch/libcmap.tar.gz" libcmap
build_outer static -DBUILD_SHARED_LIBS=OFF \
  -DCMAP_ARCHIVE_UNDER_TEST="$scratch/libcmap.tar.gz"
if readelf -d "$scratch/static/outer" | grep 'NEEDED.*libcmap'; then
  fail "BUILD_SHARED_LIBS=OFF still links the shared library"
fi

have meson && have ninja || { echo "meson is not installed"; exit 0; }
project=$scratch/meson
mkdir -p "$project/subprojects/packagefiles/cmap"
cp "$source_dir/src/package/meson/meson.build" \
  "$project/subprojects/packagefiles/cmap"
cp "$scratch/libcmap.tar.gz" "$project/subprojects/packagefiles"
sed 's/^\[wrap-git\]$/[wrap-file]/; /^revision/d
  s/^url = .*/directory = libcmap\nsource_filename = libcmap.tar.gz/' \
  "$source_dir/src/package/meson/cmap.wrap" >"$project/subprojects/cmap.wrap"
cp "$source_dir/tests/build/consumer/main.c" "$project"
cat >"$project/meson.build" <<'TEXT'
project('outer', 'c')
executable('outer', 'main.c', dependencies: dependency('cmap'))
TEXT
{ CC=$cc meson setup -Dcmap:buildtype=plain -Dunity=on -Dunity_size=24 \
    "$project/build" "$project" &&
  ninja -C "$project/build"; } >"$scratch/log" 2>&1 ||
  { cat "$scratch/log"; fail "meson"; }
if grep -q 'warning:' "$scratch/log"; then
  cat "$scratch/log"
  fail "meson: warnings"
fi
[ "$("$project/build/outer")" = "consumer ok" ] || fail "meson's program"
