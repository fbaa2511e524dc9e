# Sourced by the scripts of this folder, which ctest calls with
#   SCRIPT <source dir> <build dir> <C compiler> [options]
# Sets source_dir, build_dir, cc and scratch, a folder that is removed at the
# end. Exit status 77 means skipped.
# shellcheck shell=bash

set -euo pipefail
export LC_ALL=C

fail() {
  printf 'FAILED: %s\n' "$*" >&2
  exit 1
}

skip() {
  printf 'SKIPPED: %s\n' "$*"
  exit 77
}

have() {
  command -v "$1" >/dev/null 2>&1
}

if [ $# -lt 3 ]; then
  fail "usage: $0 <source dir> <build dir> <C compiler>"
fi
source_dir=$1
build_dir=$2
cc=$3
shift 3

export source_dir build_dir cc

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
