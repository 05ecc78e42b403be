#!/bin/sh
# fuzz.sh [SECONDS [TARGET...]]: each parser of actinh.c, and the record pipeline, under libFuzzer with ASan and UBSan for SECONDS
# (5), from the seeds of hard.c. What is found stays in test/build/fuzz/TARGET. Closes with "N passed, N failed, N skipped".
# A target grows its corpus in test/build/fuzz/TARGET/corpus: a long run goes on where the last one ended.
cd "$(dirname "$0")/.." || exit 2
B=$PWD/test/build/fuzz seconds=${1:-5} passed=0 failed=0 n=0
[ $# -gt 0 ] && shift
mkdir -p "$B"
if ! clang -std=c99 -g -O1 -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=undefined -ffp-contract=off -DFUZZ -o "$B/fuzz" test/hard.c -lm 2>"$B/log"; then
    if command -v clang >/dev/null && ! grep -q 'libclang_rt\|unsupported' "$B/log"; then echo "FAILED  hard.c does not build"; head -n 5 "$B/log"; echo "0 passed, 1 failed, 0 skipped"; exit 1; fi
    echo "skipped  fuzz.sh: clang and its libraries are not on this machine"; echo "0 passed, 0 failed, 1 skipped"; exit 0
fi
cc -std=c99 -O1 -o "$B/hard" test/hard.c -lm && HARD_DIR=$B/work "$B/hard" seeds "$B/seeds" >"$B/log" || exit 2
[ $# -gt 0 ] || set -- $(ls "$B/seeds")
one() { # TARGET
    mkdir -p "$B/$1/corpus" "$B/$1/work"
    TARGET=$1 FUZZ_DIR=$B/$1/work "$B/fuzz" "$B/$1/corpus" "$B/seeds/$1" -max_total_time="$seconds" -timeout=20 -rss_limit_mb=2048 -max_len=65536 \
        -artifact_prefix="$B/$1/" -print_final_stats=1 >"$B/$1/log" 2>&1 && s=ok || s=FAILED
    printf '%-8s %-16s %8s executions, %6s features\n' $s "$1" "$(sed -n 's/^stat::number_of_executed_units: *//p' "$B/$1/log")" "$(sed -n 's/^#.* ft: \([0-9]*\).*/\1/p' "$B/$1/log" | tail -n 1)"
    [ $s = ok ] || { grep -aE 'ERROR|runtime error|SUMMARY|blocks left|Test unit written' "$B/$1/log" | head -n 5; }
    rm -rf "$B/$1/work"
}
for t; do
    one "$t" >"$B/$t.out" &
    n=$((n + 1)); [ $((n % ${JOBS:-2})) -ne 0 ] || wait
done
wait
for t; do cat "$B/$t.out"; if grep -q '^ok' "$B/$t.out"; then passed=$((passed + 1)); else failed=$((failed + 1)); fi; done
echo "$passed passed, $failed failed, 0 skipped"
[ $failed -eq 0 ]
