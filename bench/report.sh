#!/usr/bin/env bash
# A report of what cmap_bench has written.
#
#   bench/report.sh FOLDER CSV BENCH
#
# Makes FOLDER/report.html, one file with plots and tables, and FOLDER/speed.svg,
# one chart of the rows with most keys. BENCH is the cmap_bench that wrote CSV:
# it says which maps are peers, and what they are called.
set -euo pipefail

if [ $# -ne 3 ]; then
  sed -n '2,8s/^# \{0,1\}//p' "$0" >&2
  exit 2
fi
here=$(dirname "${BASH_SOURCE[0]}")
folder=$1
csv=$2
bench=$3

mkdir -p "$folder"
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# --------------------------------------------------------------------------
# The machine
# --------------------------------------------------------------------------

# A line of the description; nothing if there is no value.
describe() {
  [ -z "$2" ] || printf '%s\t%s\n' "$1" "$2"
}

{
  describe processor \
    "$(sed -n 's/^model name[[:space:]]*: //p' /proc/cpuinfo | head -n 1)"
  describe processors "$(getconf _NPROCESSORS_ONLN)"
  describe memory \
    "$(awk '/^MemTotal/ { printf "%.1f GiB", $2 / 1048576 }' /proc/meminfo)"
  describe system \
    "$(. /etc/os-release 2>/dev/null && echo "${PRETTY_NAME:-}"), $(uname -sr)"
  describe compiler "$(gcc --version 2>/dev/null | head -n 1)"
  describe "load when written" "$(cut -d ' ' -f 1-3 /proc/loadavg)"
  describe date "$(date -u '+%Y-%m-%d %H:%M UTC')"
} >"$scratch/machine"

"$bench" --list >"$scratch/list"
"$bench" --maps >"$scratch/maps"
common=(-v list="$scratch/list" -v maps="$scratch/maps"
  -f "$here/report_common.awk")

awk -v machine="$scratch/machine" "${common[@]}" -f "$here/report_plot.awk" \
  -f "$here/report_html.awk" "$csv" >"$folder/report.html"
awk "${common[@]}" -f "$here/report_chart.awk" "$csv" >"$folder/speed.svg"
printf 'report: %s/report.html\n' "$folder"
