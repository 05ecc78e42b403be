#!/bin/sh
# sanitize.sh [NAME]: the tests on builds that watch memory: gcc's ASan and UBSan, clang's MSan, valgrind, 32 bits, and with the
# flags that packagers harden programs with. With NAME only builds called so. Closes with "N passed, N failed, N skipped".
cd "$(dirname "$0")/.." || exit 2
only=${1:-} B=$PWD/test/build/sanitize passed=0 failed=0 skipped=0
rm -rf "$B"; mkdir -p "$B"
WORLD=$B/world CLI_DIR=test/build/sanitize/cli LAWS_DIR=test/build/sanitize/laws HARD_DIR=test/build/sanitize/hard.d; export WORLD CLI_DIR LAWS_DIR HARD_DIR
ASAN_OPTIONS=detect_leaks=1:abort_on_error=0 UBSAN_OPTIONS=print_stacktrace=1; export ASAN_OPTIONS UBSAN_OPTIONS
skip() { skipped=$((skipped + 1)); echo "skipped  $1: not on this machine"; }
ok() { passed=$((passed + 1)); echo "ok       $1"; }
bad() { failed=$((failed + 1)); echo "FAILED  $1"; grep -aE -A8 'FAILED|ERROR|runtime error|WARNING: MemorySanitizer' "$2" | head -n 15; }
limit() { if command -v timeout >/dev/null; then timeout "$@"; else shift; "$@"; fi; }
# checked NAME SECONDS COMMAND..: its closing line must say that nothing failed
checked() {
    name=$1 seconds=$2; shift 2
    limit "$seconds" "$@" >"$B/log" 2>&1
    if tail -n 1 "$B/log" | grep -qE '^[1-9][0-9]* passed, 0 failed'; then ok "$name: $(tail -n 1 "$B/log")"; else bad "$name: $(tail -n 1 "$B/log" | head -c 200)" "$B/log"; fi
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

if build 'ASan and UBSan' gcc -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=undefined; then
    checked 'ASan and UBSan: cli.sh' 600 sh test/cli.sh "$B/actinh"
    checked 'ASan and UBSan: laws.sh' 600 sh test/laws.sh "$B/actinh"
    checked 'ASan and UBSan: test.c' 600 "$B/test"
    checked 'ASan and UBSan: hard.c, bad files' 300 "$B/hard" bad
    checked 'ASan and UBSan: hard.c, faults' 600 "$B/hard" faults 97
fi
# MSan of clang 14 does not know stat() of glibc 2.33 and later, and takes what it fills in for nothing
for f in is_dir is_file is_special is_locked map_file walk make_scratch is_there refused; do echo "fun:$f"; done >"$B/ignore"
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
# 32 bits: this processor's own, or another's in qemu
if echo 'int main(void) { return 0; }' | gcc -m32 -x c -o "$B/empty" - 2>/dev/null && "$B/empty"; then build '32 bits' gcc -m32 -msse2 -mfpmath=sse -O2 && run=
elif command -v qemu-i386-static >/dev/null; then build '32 bits' i686-linux-gnu-gcc -static -msse2 -mfpmath=sse -O2 && run=qemu-i386-static
else skip '32 bits'; fi
if [ -n "${run+x}" ]; then
    checked '32 bits: hard.c, bad files' 300 $run "$B/hard" bad
    [ -z "$run" ] || { mv "$B/actinh" "$B/actinh32"; printf '#!/bin/sh\nexec %s %s "$@"\n' "$run" "$B/actinh32" >"$B/actinh"; chmod +x "$B/actinh"; }
    checked '32 bits: cli.sh' 900 sh test/cli.sh "$B/actinh"
fi
for level in 3 2; do
    if build "hardened, level $level" gcc -O2 -fopenmp -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=$level -fstack-protector-strong -fstack-clash-protection -fPIE -pie -Wl,-z,relro,-z,now; then
        checked "hardened, level $level: cli.sh" 600 sh test/cli.sh "$B/actinh"; [ $level = 3 ] && break; fi
done
echo "$passed passed, $failed failed, $skipped skipped"
[ $failed -eq 0 ]
