#!/bin/sh
# test.sh [ci|all]: everything that can be checked offline, JOBS (2) parts at a time. Closes with "N passed, N failed, N skipped".
# `make test` calls it from the repository's root. What it builds lies under test/build. ci: also the other compilers and
# processors, checkers, fuzzing and builds that watch memory, in half an hour; all: the same at length, and the demo.
# test.sh part NAME [ci|all]: one part alone.
cd "$(dirname "$0")/.." || exit 2
B=test/build CC=${CC:-cc} passed=0 failed=0 skipped=0
sum() { awk '/^[0-9]+ passed, [0-9]+ failed/ { p += $1; f += $3; s += $5 } END { print p + 0 " passed, " f + 0 " failed, " s + 0 " skipped"; exit f > 0 }' "$@"; }

if [ "$1" != part ]; then
    mode=$1
    rm -rf $B/parts; mkdir -p $B/parts
    make -s $B/world $B/vocabulary || exit                # parts use them, and must not build them at once
    each() { sh test/$1 --list | awk -v s=$1 '!seen[$0]++ { print s, $0 }'; }
    quick='cli.sh models resume.sh hard.c test.c verify.sh check.py pairs.c golden embed.c laws.sh likelihoods.py'
    {   # what takes long begins first: above all s390x, whose floats qemu computes one by one
        if [ "$mode" ]; then
            each portability.sh | awk '{ print /s390x/ ? 0 : /riscv64|ppc64le/ ? 1 : 2, NR, $0 }' >$B/targets
            sort -n -k 1,1 -k 2,2 $B/targets | awk '$1 < 2' | cut -d ' ' -f 3-
            each sanitize.sh
            printf '%s\n' lint.sh fuzz.sh shards.sh $quick
            awk '$1 == 2' $B/targets | cut -d ' ' -f 3-
        else printf '%s\n' $quick 'golden tcc' 'golden clang -O3 -march=native' 'golden gcc -O3 -march=native' 'golden gcc -O0' 'golden clang -O0'
        fi
    } | xargs -P "${JOBS:-2}" -I{} sh test/test.sh part {} $mode
    # these keep more than one processor busy by themselves
    for p in $([ "$mode" != all ] || echo demo readme.sh); do sh test/test.sh part $p $mode; done
    ! grep -q '^skipped' $B/parts/* || echo 'skipped: what needs ../shared (public test data that is not part of the project), another compiler, or a user who is not root'
    sum $B/parts/*
    exit
fi
part=$2 mode=$3

FLAGS="-std=c99 -ffp-contract=off -fno-math-errno"
"$CC" $FLAGS -x c -o "$B/flags $part" - </dev/null 2>&1 | grep -q unrecognized && FLAGS=-std=c99     # not /dev/null: root's tcc would replace it
rm -f "$B/flags $part"
limit() { if command -v timeout >/dev/null; then timeout "$@"; else shift; "$@"; fi; }
build() { "$CC" $FLAGS -O2 -o $B/$1 test/$1.c -lm; }
same() { # NAME FILE FILE
    if cmp -s "$2" "$3"; then passed=$((passed + 1)); else failed=$((failed + 1)); echo "FAILED  $1: other bits"; diff "$2" "$3" | head -5; fi
}
skip() { skipped=$((skipped + 1)); echo "skipped  $1"; }
closing() { echo "$passed passed, $failed failed, $skipped skipped"; }

# What a part prints ends with its closing line; it may hold others.
run() { case $part in
test.c) # from the inside: arithmetic, readers, layers against PyTorch's vectors, independence of batch and threads
    { "$CC" $FLAGS -O2 -fopenmp -o $B/test test/test.c -lm || build test; } && limit 300 $B/test ;;
pairs.c) # every backward against finite differences, in double
    build pairs && limit 300 $B/pairs ;;
embed.c) # actinh.h from a program of C99 and from one of C++
    "$CC" $FLAGS -O2 -DACTINH_NO_MAIN -c -o $B/actinh.o actinh.c
    for how in "$CC -std=c99 -x c" "${CXX:-c++} -x c++"; do
        command -v "${how%% *}" >/dev/null || { skip "${how%% *}"; continue; }
        $how -Wall -Wextra -pedantic -Werror -I. -o $B/embed test/embed.c -x none $B/actinh.o -lm
        limit 60 $B/embed data/dense >$B/embed.txt 2>&1; same "embed.c, $how" test/embed.txt $B/embed.txt; rm -f $B/embed
    done
    closing ;;
# from the outside: every verb, every refusal; killed, sharded, in one piece: the same bytes
cli.sh | verify.sh) limit 600 sh test/$part ./actinh ;;
laws.sh) limit 900 sh test/laws.sh ./actinh $mode ;;
resume.sh) limit 600 sh test/resume.sh ./actinh ${KILLS:-$([ "$mode" = all ] && echo 20 || echo 3)} ;;
shards.sh) limit 600 sh test/shards.sh ./actinh ;;
hard.c) # malformed files; memory and disk that fail, at a few places or at many
    build hard && limit 300 $B/hard bad && limit 600 $B/hard faults $([ "$mode" = all ] && echo 29 || echo 397) ;;
golden) # this build with 1, 2 and 3 threads
    for t in 1 2 3; do sh test/golden.sh ./actinh $t >$B/golden.$t 2>&1; same "golden pipeline, $t threads" test/golden.txt $B/golden.$t; done
    OMP_NUM_THREADS=2,8 sh test/golden.sh ./actinh 2 >$B/golden.list 2>&1; same "golden pipeline, a list of threads" test/golden.txt $B/golden.list
    closing ;;
golden\ *) # what other compilers make of it
    other=$B/$(echo "$part" | tr -c 'a-zA-Z0-9\n' _)
    set -- ${part#golden }
    if ! command -v "$1" >/dev/null; then skip "$1"
    elif "$@" -std=c99 -DWITH_ACTINH -o $other test/world.c -lm 2>$other.log; then
        sh test/golden.sh $other 1 world >$other.txt 2>&1; same "golden pipeline, $*" test/golden.txt $other.txt
    else failed=1; echo "FAILED  $*: does not build"; head -n 3 $other.log; fi
    closing ;;
check.py) # the README's specification, followed by another hand in another language
    if command -v python3 >/dev/null; then limit 300 python3 test/check.py ./actinh; else skip 'check.py: no python3'; closing; fi ;;
likelihoods.py) # the likelihoods that profile compares, from the model's files by PyTorch, where Debian's is there
    if [ -x /usr/bin/python3 ]; then limit 300 /usr/bin/python3 test/likelihoods.py ./actinh; else closing; fi ;;
models) # the bundled models: items and the first steps of their training are made again to the bit
    rm -rf $B/data $B/models
    make -s items D=$B/data
    for f in world prompts suites/openings suites/talk suites/peoples suites/questions suites/held-out; do same "make items, $f" data/$f.jsonl $B/data/$f.jsonl; done
    make -s $B/models/moe/model.safetensors M=$B/models STEPS='--steps 200'
    same 'tokenizer.bin' tokenizer.bin $B/models/tokenizer.bin
    for m in dense moe; do same "the first 200 steps of data/$m" test/trail/$m.jsonl $B/models/$m/steps.jsonl; done
    rm -rf $B/models
    closing ;;
# what compilers and checkers say, a short fuzzing, builds that watch memory, all other compilers, C libraries and
# processors; every command of the README
lint.sh | readme.sh) sh test/$part ;;
sanitize.sh\ * | portability.sh\ *) MODE=$mode sh test/${part%% *} "=${part#* }" ;;
fuzz.sh) JOBS=1 sh test/fuzz.sh ${FUZZ_SECONDS:-$([ "$mode" = all ] && echo 60 || echo 5)} ;;
demo) # whole, twice: the second time nothing is left to do, and says the same
    rm -rf $B/demo; ./actinh run data/demo.recipe -o $B/demo >$B/demo.1; ./actinh run data/demo.recipe -o $B/demo >$B/demo.2
    same 'demo, resumed' $B/demo.1 $B/demo.2
    closing ;;
*) echo "there is no part $part" ;;
esac; }

out="$B/parts/$part" began=$(date +%s)
mkdir -p $B/parts
run >"$out" 2>&1
case $(tail -n 1 "$out") in *passed,*failed*) ;; *) echo '  it ended without its closing line' >>"$out"; echo '0 passed, 1 failed, 0 skipped' >>"$out" ;; esac
{ grep -v '^[0-9]* passed, [0-9]* failed' "$out"; echo "$part: $(sum "$out"), $(($(date +%s) - began)) s"; } >"$out.shown"
cat "$out.shown"; rm "$out.shown"
