#!/usr/bin/env bash
# The programs that docs/coming-from.md compares with other maps' have as many
# lines as it says, comments and blank lines left out, and no more than this.
. "$(dirname "$0")/common.sh"

have awk || skip "awk is not installed"
bad=0
while read -r name most; do
  file=$source_dir/examples/$name
  lines=$(awk '
    { line = $0 }
    inside { if (!sub(/.*\*\//, "", line)) next; inside = 0 }
    { while (match(line, /\/\*[^*]*(\*[^\/][^*]*)*\*\//))
        line = substr(line, 1, RSTART - 1) substr(line, RSTART + RLENGTH)
      if (sub(/\/\*.*/, "", line)) inside = 1 }
    line ~ /[^ \t]/ { n++ }
    END { print n + 0 }' "$file")
  said=$(awk -F '|' -v name="/$name)" \
    'index($2, name) { gsub(/ /, "", $6); print $6 }' \
    "$source_dir/docs/coming-from.md")
  printf '%s: %s lines of %s\n' "$name" "$lines" "$most"
  [ "$lines" -gt 10 ] && [ "$lines" -le "$most" ] && [ "$lines" = "$said" ] ||
    { echo "$name: $lines lines, $said in the document"; bad=$((bad + 1)); }
done <<'END'
24_words.c 28
23_sessions.c 50
25_connections.c 36
26_move_money.c 36
27_sweep.c 30
END
[ "$bad" -eq 0 ] || fail "$bad"
