#!/bin/sh
# test.sh [ci|all]: everything that can be checked offline. Closes with "N passed, N failed, N skipped". `make test` calls it
# from the repository's root. What it builds lies under test/build. ci: also the other compilers and processors, checkers,
# fuzzing and builds that watch memory, in half an hour; all: the same at length, and the demo.
cd "$(dirname "$0")/.." || exit 2
mode=$1 B=test/build CC=${CC:-cc} passed=0 failed=0 skipped=0
mkdir -p $B
FLAGS="-std=c99 -ffp-contract=off -fno-math-errno"
"$CC" $FLAGS -x c -o $B/flags - </dev/null 2>&1 | grep -q unrecognized && FLAGS=-std=c99      # not /dev/null: root's tcc would replace it

count() { # adds a line "N passed, N failed[, N skipped]"; a program that dies without one has failed
    case $1 in *passed,*failed*) ;; *) echo "FAILED  $2: ended without its closing line: $1"; failed=$((failed + 1)); return ;; esac
    passed=$((passed + $(expr "$1" : '\([0-9]*\) passed'))); failed=$((failed + $(expr "$1" : '.* \([0-9]*\) failed')))
    s=$(expr "$1" : '.* \([0-9]*\) skipped'); skipped=$((skipped + ${s:-0}))
}
run() { # NAME COMMAND...: its output is shown but for the closing line, which is counted
    name=$1 began=$(date +%s); shift
    "$@" >$B/out.txt 2>&1; sed '$d' $B/out.txt; count "$(tail -n 1 $B/out.txt)" "$name"
    echo "$name: $(tail -n 1 $B/out.txt), $(($(date +%s) - began)) s"
}
same() { # NAME FILE FILE
    if cmp -s "$2" "$3"; then passed=$((passed + 1)); else failed=$((failed + 1)); echo "FAILED  $1: other bits"; diff "$2" "$3" | head -5; fi
}
limit() { if command -v timeout >/dev/null; then timeout "$@"; else shift; "$@"; fi; }

# 1. from the inside: arithmetic, readers, layers against PyTorch's vectors, independence of batch and threads
"$CC" $FLAGS -O2 -fopenmp -o $B/test test/test.c -lm 2>$B/log.txt || "$CC" $FLAGS -O2 -o $B/test test/test.c -lm 2>$B/log.txt || cat $B/log.txt
run 'test.c' limit 300 $B/test
# 2. every backward against finite differences, in double
"$CC" $FLAGS -O2 -o $B/pairs test/pairs.c -lm 2>$B/log.txt || cat $B/log.txt
run 'pairs.c' limit 300 $B/pairs
# 2b. actinh.h from a program of C99 and from one of C++
"$CC" $FLAGS -O2 -DACTINH_NO_MAIN -c -o $B/actinh.o actinh.c 2>$B/log.txt || cat $B/log.txt
for build in "$CC -std=c99 -x c" "${CXX:-c++} -x c++"; do
    command -v "${build%% *}" >/dev/null || { skipped=$((skipped + 1)); continue; }
    $build -Wall -Wextra -pedantic -Werror -I. -o $B/embed test/embed.c -x none $B/actinh.o -lm 2>$B/log.txt || cat $B/log.txt
    limit 60 $B/embed data/dense >$B/embed.txt 2>&1; same "embed.c, $build" test/embed.txt $B/embed.txt; rm -f $B/embed
done
# 3. from the outside: every verb, every refusal
run 'cli.sh' limit 600 sh test/cli.sh ./actinh
run 'laws.sh' limit 900 sh test/laws.sh ./actinh $mode
# 3b. killed, sharded, in one piece: the same bytes
run 'resume.sh' limit 600 sh test/resume.sh ./actinh ${KILLS:-$([ "$mode" = all ] && echo 20 || echo 3)}
run 'verify.sh' limit 600 sh test/verify.sh ./actinh
[ -z "$mode" ] || run 'shards.sh' limit 600 sh test/shards.sh ./actinh
# 3c. malformed files; memory and disk that fail, at a few places or at many
"$CC" $FLAGS -O1 -o $B/hard test/hard.c -lm 2>$B/log.txt || cat $B/log.txt
run 'hard.c, bad files' limit 300 $B/hard bad
run 'hard.c, faults' limit 600 $B/hard faults $([ "$mode" = all ] && echo 29 || echo 397)
# 3d. compilers' and checkers' warnings, a short fuzzing, builds that watch memory
if [ -n "$mode" ]; then
    run 'lint.sh' sh test/lint.sh
    run 'fuzz.sh' sh test/fuzz.sh ${FUZZ_SECONDS:-$([ "$mode" = all ] && echo 60 || echo 5)}
    run 'sanitize.sh' sh test/sanitize.sh
fi
# 4. the golden pipeline: this build with 1, 2 and 3 threads, and what other compilers make of it
for t in 1 2 3; do sh test/golden.sh ./actinh $t >$B/golden.$t 2>&1; same "golden pipeline, $t threads" test/golden.txt $B/golden.$t; done
OMP_NUM_THREADS=2,8 sh test/golden.sh ./actinh 2 >$B/golden.list 2>&1; same "golden pipeline, a list of threads" test/golden.txt $B/golden.list
for build in "gcc -O0" "gcc -O3 -march=native" "clang -O0" "clang -O3 -march=native" "tcc"; do
    set -- $build
    if ! command -v "$1" >/dev/null; then skipped=$((skipped + 1)); continue; fi
    if "$@" -std=c99 -DWITH_ACTINH -o $B/other test/world.c -lm 2>$B/log.txt; then
        sh test/golden.sh $B/other 1 world >$B/golden.other 2>&1
        same "golden pipeline, $build" test/golden.txt $B/golden.other
    else failed=$((failed + 1)); echo "FAILED  $build: does not build"; head -3 $B/log.txt; fi
done
# the README's specification, followed by another hand in another language
if command -v python3 >/dev/null; then run 'check.py' limit 300 python3 test/check.py ./actinh; else skipped=$((skipped + 1)); echo "skipped  check.py: no python3"; fi
# the likelihoods that profile compares, from the model's files by PyTorch, where Debian's is there
if command -v /usr/bin/python3 >/dev/null; then run 'likelihoods.py' limit 300 /usr/bin/python3 test/likelihoods.py ./actinh; fi
# all other compilers, C libraries and processors that this machine has: in CI and by hand
[ -z "$mode" ] || run 'portability.sh' sh test/portability.sh
# 5. the bundled models: items and the first steps of their training are made again to the bit
rm -rf $B/data $B/models
make -s items D=$B/data >$B/log.txt 2>&1 || cat $B/log.txt
for f in world.jsonl prompts.jsonl suites/openings.jsonl suites/talk.jsonl suites/peoples.jsonl suites/questions.jsonl suites/held-out.jsonl; do same "make items, $f" data/$f $B/data/$f; done
make -s $B/models/moe/model.safetensors M=$B/models STEPS='--steps 200' >$B/log.txt 2>&1 || cat $B/log.txt
same 'tokenizer.bin' tokenizer.bin $B/models/tokenizer.bin
for m in dense moe; do same "the first 200 steps of data/$m" test/trail/$m.jsonl $B/models/$m/steps.jsonl; done
rm -rf $B/models
# 6. the whole demo, twice: the second time nothing is left to do, and says the same
if [ "$mode" = all ]; then
    rm -rf $B/demo; ./actinh run data/demo.recipe -o $B/demo >$B/demo.1; ./actinh run data/demo.recipe -o $B/demo >$B/demo.2
    same 'demo, resumed' $B/demo.1 $B/demo.2
fi
[ $skipped -eq 0 ] || echo "skipped: what needs ../shared (public test data that is not part of the project), another compiler, or a user who is not root"
echo "$passed passed, $failed failed, $skipped skipped"
[ $failed -eq 0 ]
