#!/bin/sh
# sanitize.sh [NAME]: the tests on builds that watch memory: clang's ASan and UBSan, its MSan, valgrind, 32 bits, and with the
# flags that packagers harden programs with. With NAME only builds called so; --list: the names. Closes with "N passed,
# N failed, N skipped".
cd "$(dirname "$0")/.." || exit 2
only=${1:-} passed=0 failed=0 skipped=0
R=test/build/sanitize$(echo "$only" | tr -c 'a-zA-Z0-9\n' _)
B=$PWD/$R
[ "$only" != --list ] || { printf '%s\n' 'ASan and UBSan' MSan '32 bits' valgrind hardened; exit; }
only=${only#=}
rm -rf "$B"; mkdir -p "$B"
WORLD=$B/world CLI_DIR=$R/cli LAWS_DIR=$R/laws HARD_DIR=$R/hard.d; export WORLD CLI_DIR LAWS_DIR HARD_DIR
ASAN_OPTIONS=detect_leaks=1:abort_on_error=0 UBSAN_OPTIONS=print_stacktrace=1; export ASAN_OPTIONS UBSAN_OPTIONS
skip() { skipped=$((skipped + 1)); echo "skipped  $1: not on this machine"; }
ok() { passed=$((passed + 1)); echo "ok       $1"; }
bad() { failed=$((failed + 1)); echo "FAILED  $1"; grep -aE -A8 'FAILED|ERROR|runtime error|WARNING: MemorySanitizer' "$2" | head -n 15; }
limit() { if command -v timeout >/dev/null; then timeout "$@"; else shift; "$@"; fi; }
# checked NAME SECONDS COMMAND..: its closing line must say that nothing failed
checked() {
    name=$1 seconds=$2 began=$(date +%s); shift 2
    limit "$seconds" "$@" >"$B/log" 2>&1
    if tail -n 1 "$B/log" | grep -qE '^[1-9][0-9]* passed, 0 failed'; then ok "$name: $(tail -n 1 "$B/log"), $(($(date +%s) - began)) s"; else bad "$name: $(tail -n 1 "$B/log" | head -c 200)" "$B/log"; fi
}
# build NAME COMPILER..: actinh with the grammar's tool, test and hard of this compiler, in $B; 1: not wanted or not on this machine
build() {
    case $1 in *"$only"*) ;; *) return 1 ;; esac
    name=$1; shift
    echo 'int main(void) { return 0; }' >"$B/empty.c"
    "$@" -o "$B/empty" "$B/empty.c" >"$B/log" 2>&1 || { skip "$name"; return 1; }
    for p in world test hard; do
        "$@" -std=c99 -ffp-contract=off $([ $p = world ] && echo -DWITH_ACTINH) -o "$B/$p" test/$p.c -lm >"$B/log" 2>&1 || { bad "$name: $p.c does not build" "$B/log"; return 1; }
    done
    mv "$B/world" "$B/actinh"; printf '#!/bin/sh\nexec %s world "$@"\n' "$B/actinh" >"$B/world"; chmod +x "$B/world"
}

if build 'ASan and UBSan' clang -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=undefined; then
    checked 'ASan and UBSan: cli.sh' 600 sh test/cli.sh "$B/actinh"
    checked 'ASan and UBSan: laws.sh' 600 sh test/laws.sh "$B/actinh"
    checked 'ASan and UBSan: test.c' 600 "$B/test"
    checked 'ASan and UBSan: hard.c, bad files' 300 "$B/hard" bad
    checked 'ASan and UBSan: hard.c, faults' 600 "$B/hard" faults 97
    # these builds have one thread; what two write while they draw, each in its own part of a list, gcc's ASan sees with OpenMP
    if gcc -std=c99 -O1 -g -fopenmp -fsanitize=address -ffp-contract=off -DWITH_ACTINH -o "$B/threads" test/world.c -lm >"$B/log" 2>&1; then
        for cut in '--top-p 0.9' '--top-k 20' '--top-k 20 --top-p 0.9'; do
            if "$B/threads" sample data/dense -p 'What do you think?' -n 200 --max-tokens 12 $cut --threads 2 >"$B/sampled" 2>"$B/log" && [ "$(wc -l <"$B/sampled")" -eq 200 ] && ! grep -q Sanitizer "$B/log"; then
                ok "ASan, two threads: sample $cut"; else bad "ASan, two threads: sample $cut" "$B/log"; fi
        done
    else skip 'ASan, two threads'; fi
fi
# MSan of clang 14 does not know stat() of glibc 2.33 and later, and takes what it fills in for nothing: not where it is called
awk '/^[a-z].*\(/ { name = $0; sub(/\(.*/, "", name); sub(/.*[ *]/, "", name) } /stat\(/ { print "fun:" name }' actinh.c test/hard.c >"$B/ignore"
if build 'MSan' clang -O1 -g -fsanitize=memory -fsanitize-ignorelist="$B/ignore" -fno-omit-frame-pointer; then
    checked 'MSan: hard.c, bad files' 300 "$B/hard" bad
    checked 'MSan: cli.sh' 900 sh test/cli.sh "$B/actinh"
fi
if command -v valgrind >/dev/null && build 'valgrind' gcc -O1 -g; then
    # a subset: valgrind is some thirty times slower
    v="valgrind -q --error-exitcode=99 --leak-check=full $B/actinh" m=data/dense D=$B/v
    mkdir "$D"; head -n 2 data/prompts.jsonl >"$D/p.jsonl"; head -n 2 data/suites/held-out.jsonl >"$D/t.jsonl"
    printf '[a]\nkind = sample\nitems = p.jsonl\nsamples = 2\nmax-tokens = 4\nreport = emt, words\n[b]\nkind = loss\nitems = t.jsonl\nreport = loss\n' >"$D/s.suite"
    for command in "world data/world.grammar -n 4" "tokenize $m README.md" "sample $m $D/p.jsonl -n 2 --max-tokens 6 -o $D/s.jsonl" \
        "score $D/s.jsonl --measures all -o $D/sc.jsonl" "select $D/sc.jsonl --by words:max -o $D/ch.jsonl" "tune $m $D/ch.jsonl --lora 2 --epochs 1 --batch 2 -o $D/ad" \
        "generate $m+$D/ad x --max-tokens 3" "convert $m --to gguf --type q8_0 -o $D/g.gguf" "info $D/g.gguf" "profile $m $D/s.suite" "verify $D/s.jsonl.receipt" "info README.md"; do
        $v $command --quiet >"$D/out" 2>"$B/log"; s=$?
        if [ $s -eq 99 ] || grep -q '^==' "$B/log"; then bad "valgrind: $command" "$B/log"; head -n 5 "$B/log"; else ok "valgrind: $command"; fi
    done
fi
# this processor's own 32 bits, or another's in qemu
if echo 'int main(void) { return 0; }' | gcc -m32 -x c -o "$B/empty" - 2>/dev/null && "$B/empty"; then b32="gcc -m32" run=
else b32="i686-linux-gnu-gcc -static" run=qemu-i386-static; fi
if build '32 bits' $b32 -msse2 -mfpmath=sse -O2; then
    [ -z "$run" ] || for p in actinh hard; do
        mv "$B/$p" "$B/$p.32"; printf '#!/bin/sh\nexec %s %s "$@"\n' "$run" "$B/$p.32" >"$B/$p"; chmod +x "$B/$p"
    done
    checked '32 bits: hard.c, bad files' 300 "$B/hard" bad
    if [ -z "$run" ] || [ "$MODE" = all ]; then checked '32 bits: cli.sh' 1800 sh test/cli.sh "$B/actinh"
    else skipped=$((skipped + 1)); echo "skipped  32 bits: cli.sh: a quarter of an hour in qemu, which is test-all's"; fi
fi
for level in 3 2; do
    if build "hardened, level $level" gcc -O2 -fopenmp -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=$level -fstack-protector-strong -fstack-clash-protection -fPIE -pie -Wl,-z,relro,-z,now; then
        checked "hardened, level $level: cli.sh" 600 sh test/cli.sh "$B/actinh"; [ $level = 3 ] && break; fi
done
echo "$passed passed, $failed failed, $skipped skipped"
[ $failed -eq 0 ]
