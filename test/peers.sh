#!/bin/bash
# peers.sh [ROUNDS] [BEGINNING OF A NAME]: bench.c's lines beside llama.cpp, llama2.c and PyTorch on this machine, alternating, two threads each;
# medians, their ratio, the median of the rounds' ratios (memory's speed may change by the minute), the slowest and
# fastest of each. By hand, on a machine with nothing else to do. It needs
#     LLAMA=DIR     llama.cpp's programs llama-bench and llama-batched-bench
#     MODELS=DIR    SHAPE.TYPE.gguf (SHAPE 15M, 110M, 1.1B, moe: bench.c's; TYPE f32, bf16, q8_0) and SHAPE.bin for llama2.c
#     RUN=FILE      llama2.c's run, built as its `make runomp` builds it, beside its tokenizer.bin
#     PYTHON=FILE   a python3 with torch
# What is missing is left out. llama-batched-bench takes the likeliest token; ours draws one at temperature 1, which costs more.
cd "$(dirname "$0")/.." || exit 2
rounds=${1:-3}; shift
words=$*
B=test/build
export GOMP_SPINCOUNT=${GOMP_SPINCOUNT:-100000} OMP_NUM_THREADS=2
make -s bench LINES="no such line" >/dev/null || exit 2

ours() { "$B/bench" "$@" | tail -n 1 | awk '{ for (i = 1; i <= NF; i++) if ($i ~ /^\(/) print $(i - 1) }'; }
bench() { "$LLAMA/llama-bench" -m "$MODELS/$1.gguf" -t 2 -r 3 -o csv "${@:2}" 2>/dev/null | tail -n 1 | tr -d '"' | awk -F, '{ print $(NF - 1) + 0 }'; }
batched() { "$LLAMA/llama-batched-bench" -m "$MODELS/$1.gguf" -t 2 "${@:2}" 2>/dev/null | awk -F'|' '$2 + 0 > 0 && $9 + 0 > best { best = $9 + 0 } END { print best + 0 }'; }
# of answers to many prompts, each of which ten read: the time to read them is counted, as it is in ours
pool() { "$LLAMA/llama-batched-bench" -m "$MODELS/$1.gguf" -t 2 "${@:2}" 2>/dev/null | awk -F'|' '$2 + 0 > 0 { x = $3 * $4 / ($8 + $6 / 10); if (x > best) best = x } END { print best + 0 }'; }
run() { "$RUN" "$MODELS/$1.bin" -z "${RUN%/*}/tokenizer.bin" -t 0 -n "$2" 2>&1 >/dev/null | awk '/tok\/s/ { print $NF }'; }
train() { "$PYTHON" test/peers.py "$1" 3; }
median() { sort -n | awk '{ x[NR] = $1 } END { printf "%.1f %.1f %.1f\n", x[int((NR + 1) / 2)], x[1], x[NR] }'; }

line() { # NAME, words of bench.c (| between), then one peer a string: "NAME command.."
    case $1 in "$words"*) ;; *) return ;; esac
    local name=$1 mine=$2 i p; shift 2
    rm -f "$B"/peer.*
    for i in $(seq "$rounds"); do
        (IFS='|'; ours $mine) >>"$B/peer.ours"
        for p in "$@"; do ${p#* } >>"$B/peer.${p%% *}"; done
    done
    read -r m lo hi < <(median <"$B/peer.ours")
    printf '%-26s ours %8s (%s-%s)' "$name" "$m" "$lo" "$hi"
    for p in "$@"; do
        read -r pm plo phi < <(median <"$B/peer.${p%% *}")
        [ "${pm%.*}" = 0 ] && continue                 # it is not there, or this processor has not its instructions
        read -r turn _ < <(paste "$B/peer.ours" "$B/peer.${p%% *}" | awk '{ print 100 * $1 / ($2 + 1e-9) }' | median)
        printf '   %s %s (%s-%s) %s x, by turns %s %%' "${p%% *}" "$pm" "$plo" "$phi" "$(awk "BEGIN { printf \"%.2f\", $m / ($pm + 1e-9) }")" "$turn"
    done
    echo
}

for s in 15M:128 110M:64 1.1B:24; do
    line "decode ${s%:*} f32" "decode|${s%:*}|F32" "llama.cpp bench ${s%:*}.f32 -p 0 -n ${s#*:}" "llama2.c run ${s%:*} ${s#*:}"
done
for t in f32 bf16 q8_0; do for s in 110M 1.1B; do
    line "10 answers $s $t" "10 answers|$s|${t^^}" "llama.cpp batched $s.$t -c 4096 -npp 256 -ntg 24 -npl 10 -pps"
done; done
line "10 answers moe f32" "10 answers|moe|F32" "llama.cpp batched moe.f32 -c 4096 -npp 256 -ntg 24 -npl 10 -pps"
line "64 x 10 answers 110M f32" "64 x 10 answers|110M" "llama.cpp pool 110M.f32 -c 20480 -npp 64 -ntg 64 -npl 32,64,128"
line "prefill 512 1.1B f32" "prefill 512|1.1B" "llama.cpp bench 1.1B.f32 -p 512 -n 0"
for s in 15M 110M moe; do
    line "train $s" "training step 4 x 256|$s" "torch train $s" "torch-avx512 env OPENBLAS_CORETYPE=SkylakeX $PYTHON test/peers.py $s 3"
done
