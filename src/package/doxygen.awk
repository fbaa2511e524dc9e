# A filter for Doxygen, in POSIX awk: cmap.h with comments as Doxygen wants
# them, its numbered sections as groups, without the macros behind the contract.

/The rest of the header is how that is made/ {
  done = 1
}
done { next }

# Text of a comment: lists of statuses become lists, programs and tables stay.
function text(line,    frame, rest, indent) {
  frame = match(line, /^ \* ?/) ? substr(line, 1, RLENGTH) : ""
  rest = substr(line, length(frame) + 1)
  match(rest, /^ */)
  indent = RLENGTH
  if (rest ~ /^ *$/) {
    listed = 0
    shown = 0
    return line
  }
  gsub(/`/, "'", rest)
  if (indent >= 2 && rest ~ /^ +(CMAP_[A-Z_]+(,|  |$)|> 0)/) {
    listed = 1
    shown = 0
    sub(/^ +/, "", rest)
    if (match(rest, /  +/))
      rest = substr(rest, 1, RSTART - 1) ": " substr(rest, RSTART + RLENGTH)
    return frame "- " plain(rest)
  }
  if (!listed && (shown || (indent >= 4 && rest !~ /^ *- /) ||
      (indent >= 2 && rest ~ /   [^ ]*/ && substr(rest, indent + 1) ~ /   /))) {
    if (!shown) {
      shown = 1
      return frame "\n" frame "    " rest
    }
    if (indent >= 4 || (indent >= 1 && rest ~ /   |\|/) ||
        split(rest, words, " ") <= 3)
      return frame "    " rest
    shown = 0
    return frame "\n" frame plain(rest)
  }
  if (indent == 0 && listed) {
    listed = 0
    return frame "\n" frame plain(rest)
  }
  return frame plain(rest)
}

# Without signs that mean something to Doxygen. (A backslash in a replacement is
# not the same to every awk, but for this one.)
function plain(rest) {
  gsub(/#/, "\\&#35;", rest)
  gsub(/@/, "\\&#64;", rest)
  gsub(/</, "\\&lt;", rest)
  gsub(/>/, "\\&gt;", rest)
  return rest
}

function close_group() {
  if (section > 1)
    print "/** @} */"
}

NR == 1 {
  print "/** @file\n * @brief The whole API of libcmap. */"
  print "/** @mainpage The contract of libcmap\n *"
  in_comment = 1
  section = 1
  next
}

/^\/\* ----/ {
  heading = 1
  in_comment = 1
  next
}

heading && /^ \* [0-9]+\. / {
  close_group()
  section = $2 + 0
  printf "/** @defgroup section%d %s\n", section, substr($0, 4)
  next
}

/^ \* -----/ {
  if (/\*\//) {
    print heading ? " * @{ */" : " */"
    heading = 0
    in_comment = 0
  }
  next
}

in_comment {
  if (/\*\//) {
    in_comment = 0
    sub(/ *\*\//, " */")
    if (heading) {
      sub(/\*\//, "\n * @{ */")
      heading = 0
    }
    if ($0 ~ /^ \*\//) {
      print
      next
    }
  }
  printf "%s", opened
  opened = ""
  print text($0)
  next
}

/^\/\*$/ { # the next line says whether it is part of the contract
  opened = "/**\n"
  ended = 0
  in_comment = 1
  listed = 0
  shown = 0
  next
}

# A comment before what it is about.
/^ *\/\*/ {
  sub(/\/\*/, "/**")
  ended = 0
  in_comment = !/\*\//
  listed = 0
  shown = 0
  print
  next
}

# A comment behind it.
/[^ ].*\/\* / {
  at = index($0, "/*")
  in_comment = !/\*\//
  listed = 1
  print substr($0, 1, at - 1) "/**<" plain(substr($0, at + 2))
  next
}

# Of several declarations under one comment all but the first.
{
  if (/^CMAP_(MUST_CHECK|API) / && ended)
    print "/** As the one above. */"
  ended = /;$/
  print
}

END {
  close_group()
}
