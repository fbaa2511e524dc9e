#!/usr/bin/env bash
# `cpack -G DEB` makes two packages whose names are nobody else's; unpacked into
# a folder, they have all that it takes to build and run a program.
. "$(dirname "$0")/common.sh"

have dpkg-deb || skip "dpkg-deb is not installed"
have pkg-config || skip "pkg-config is not installed"

cd "$scratch"
cpack -G DEB --config "$build_dir/CPackConfig.cmake" -B "$scratch/packages" \
  >"$scratch/log" 2>&1 || { cat "$scratch/log"; fail "cpack -G DEB"; }
root=$scratch/root
for package in "$scratch"/packages/*.deb; do
  dpkg-deb -x "$package" "$root"
  dpkg-deb -f "$package" Package Depends Conflicts
done >"$scratch/fields"
cat "$scratch/fields"
for line in 'Package: libcmap-map0' 'Package: libcmap-map-dev' \
  'Conflicts: libcmap-dev' 'Depends: libcmap-map0 (= '; do
  grep -q "^$line" "$scratch/fields" || fail "no '$line'"
done

dpkg-deb -c "$scratch"/packages/libcmap-map0_*.deb | grep -v '/$' |
  awk '{ print $6 }' >"$scratch/runtime"
if grep -v 'libcmap\.so\.0' "$scratch/runtime"; then
  fail "the runtime package has these files"
fi

pc=$(find "$root" -name cmap.pc)
export PKG_CONFIG_PATH=${pc%/*}
lib=${PKG_CONFIG_PATH%/pkgconfig}
read -r -a flags <<<"$(pkg-config --cflags --libs cmap)"
"$cc" -std=c11 "$source_dir/tests/build/consumer/main.c" "${flags[@]}" \
  -o "$scratch/consumer" || fail "a program does not build"
output=$(LD_LIBRARY_PATH=$lib "$scratch/consumer") || fail "it does not run"
[ "$output" = "consumer ok" ] || fail "it says '$output'"
