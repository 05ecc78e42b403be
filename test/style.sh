#!/bin/sh
# style.sh [FILE]: figures of a C file as a text to be read: lines by chapter, lengths of functions, share of comments, long
# lines, warnings. A function begins with a name and "(" at the left margin, and ends with a "}" there or on that very line.
cd "$(dirname "$0")/.." || exit 2
F=${1:-actinh.c} B=test/build CC=${CC:-cc}
mkdir -p $B

echo "lines by chapter"
awk 'function close_chapter() { if (name) printf "  %6d  %s\n", NR - from, name; from = NR }
    /^\/\* =====.*=====/ { close_chapter(); name = $0; gsub(/^\/\* =+ | =+( \*\/)?$/, "", name) }
    NR == 1 { name = "(head)"; from = 0 }
    END { NR++; close_chapter(); printf "  %6d  all\n", NR - 1 }' "$F"

# NAME LENGTH of each function, the longest last
awk '/^[A-Za-z][^=]*\(/ && !/^[A-Z_]+\(/ && !start { start = NR; name = $0; sub(/\(.*/, "", name); sub(/.*[ *]/, "", name) }
    /^[^ ].*;( \/\*.*)?$/ { start = 0 }
    start && (/^\}/ || /^[A-Za-z].*\}( \\| *\/\*.*)?$/) { print name, NR - start + 1; start = 0 }' "$F" | sort -k 2n >$B/functions.txt
awk '{ n[NR] = $2; over50 += $2 > 50; over100 += $2 > 100; if ($2 > 50) last = last "\n  " $2 "  " $1 }
    END { printf "functions %d: median %d lines, 90th percentile %d, longest %d; over 50 lines %d, over 100 lines %d%s\n", NR,
        n[int((NR + 1) / 2)], n[int(NR * 0.9 + 0.5)], n[NR], over50, over100, last }' $B/functions.txt

awk '{ code = $0; any = 0
      while (code != "") {
          if (inside) { any = 1; if (i = index(code, "*/")) { code = substr(code, i + 2); inside = 0 } else code = "" }
          else if (i = index(code, "/*")) { code = substr(code, i + 2); inside = 1 } else code = "" }
      comment += any; blank += /^[ \t]*$/; if (length($0) > 100) long++; if (length($0) > 120) longer++ }
    END { printf "lines with a comment %.1f %%, blank %.1f %%; over 100 columns %d, over 120 %d\n", 100 * comment / NR, 100 * blank / NR, long, longer }' "$F"

"$CC" -std=c99 -O1 -ffp-contract=off -Wall -Wextra -Wconversion -Wsign-conversion -Wshadow -c -o $B/style.o "$F" 2>$B/style.log
echo "warnings under -Wall -Wextra -Wconversion -Wsign-conversion -Wshadow: $(grep -c 'warning:' $B/style.log)"
