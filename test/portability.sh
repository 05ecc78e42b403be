#!/bin/sh
# portability.sh [NAME]: the golden pipeline (actinh and the grammar's tool in one program) on whatever compilers, C
# libraries and processors this machine can build for and run: other processors through qemu-user, Windows through wine,
# WebAssembly through node. Every one must give test/golden.txt. Builds whose arithmetic is not binary32 must say so. At the
# end a small recipe is run whole on other processors, one of them big-endian, from the same model files. With NAME
# only those that it is a part of the name of (=NAME: all of it); --list: the names. Closes with "N passed, N failed,
# N skipped"; what is missing is skipped by name.
cd "$(dirname "$0")/.." || exit 2
only=${1:-} passed=0 failed=0 skipped=0
B=$PWD/test/build/portability$(echo "$only" | tr -c 'a-zA-Z0-9\n' _)
P=$B/program.exe                         # Windows insists on the suffix, nobody else minds
rm -rf "$B"; mkdir -p "$B"
export WINEPREFIX="$B/wine" WINEDEBUG=-all TMPDIR="$B"
have() { command -v "$1" >/dev/null 2>&1; }
skip() { skipped=$((skipped + 1)); echo "skipped  $1: not on this machine"; }
ok() { passed=$((passed + 1)); echo "ok       $1"; }
bad() { failed=$((failed + 1)); echo "FAILED  $1: $2"; }
version() { { "$1" --version 2>/dev/null || "$1" -v 2>&1; } | head -n 1; }

# WASI programs see the folders that they are given
cat >"$B/wasi.mjs" <<'END'
import { WASI } from 'node:wasi';
import { readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
const [, , file, ...words] = process.argv;
const preopens = { '.': '.', [tmpdir()]: tmpdir() };
const wasi = new WASI({ version: 'preview1', args: [file, ...words], preopens, returnOnExit: true });
const { instance } = await WebAssembly.instantiate(readFileSync(file), { wasi_snapshot_preview1: wasi.wasiImport });
process.exitCode = wasi.start(instance);
END
node="node --no-warnings $B/wasi.mjs"
# a kernel of 64 bits need not run programs of 32
echo 'int main(void) { return 0; }' >"$B/empty.c"
i386=
! i686-linux-gnu-gcc -static -o "$P" "$B/empty.c" 2>/dev/null || "$P" 2>/dev/null || i386=qemu-i386-static

# build NAME RUNNER COMPILER...: leaves a program that runs as "$run"; 1: not wanted or not on this machine, 2: does not build
build() {
    case $only in
        --list) echo "$1"; return 1 ;;
        =*) [ "$1" = "${only#=}" ] || return 1 ;;
        *) case $1 in *"$only"*) ;; *) return 1 ;; esac ;;
    esac
    name=$1 runner=$2; shift 2
    have "$1" || { skip "$name ($1)"; return 1; }
    [ -z "$runner" ] || have "${runner%% *}" || { skip "$name ($runner)"; return 1; }
    rm -f "$P"; run=$P
    if ! "$@" -DWITH_ACTINH -o "$P" test/world.c -lm >"$B/log" 2>&1; then
        "$@" -o "$P" "$B/empty.c" >/dev/null 2>&1 && return 2
        skip "$name (its C library)"; return 1
    fi
    [ -z "$runner" ] || { run=$B/run; printf '#!/bin/sh\nexec %s "%s" "$@"\n' "$runner" "$P" >"$run"; chmod +x "$run"; }
}
# target NAME RUNNER COMPILER...: builds, runs the golden pipeline, compares
target() {
    build "$@"
    case $? in 1) return ;; 2) bad "$1" "does not build: $(head -n 1 "$B/log")"; return ;; esac
    sh test/golden.sh "$run" 1 world >"$B/digests" 2>"$B/log"
    if cmp -s "$B/digests" test/golden.txt; then ok "$1: $(version "$3")"
    else bad "$1" "other digests"; diff "$B/digests" test/golden.txt | head -n 3; tail -n 3 "$B/log"; fi
}
# refuses NAME RUNNER COMPILER...: a build with other arithmetic names what is wrong with it
refuses() {
    build "$@"
    case $? in
        1) return ;;
        2)
            if grep -q 'promises the same bits' "$B/log"; then ok "$1: does not compile, as it says"
            else bad "$1" "$(head -n 1 "$B/log")"; fi
            return ;;
    esac
    "$run" score --list 2>"$B/log" >/dev/null
    if grep -q 'bits are not portable' "$B/log"; then ok "$1: $(sed 's/.*bits are not portable: //' "$B/log")"
    else bad "$1" "does not notice"; fi
}
# dense and mixture as teachers and students, and every kind of measuring, with a few records of each
here() {
    mkdir -p "$B/mini"
    head -n 3 data/prompts.jsonl >"$B/mini/prompts.jsonl"; tail -n 3 data/prompts.jsonl >>"$B/mini/prompts.jsonl"
    for f in openings talk peoples questions held-out; do head -n 3 data/suites/$f.jsonl >"$B/mini/$f.jsonl"; done
    sed 's/^samples = .*/samples = 2/; s/^max-tokens = .*/max-tokens = 8/' data/suites/demo.suite >"$B/mini/mini.suite"
    cat >"$B/mini/recipe" <<END
teachers = dense: data/dense, moe: data/moe
students = dense, moe
prompts  = $B/mini/prompts.jsonl
choices  = base, words:max
sample   = -n 3 --max-tokens 8
tune     = --epochs 1 --batch 3 --max-length 24
profile  = $B/mini/mini.suite --stereotypes data/stereotypes.txt
END
    ./actinh run "$B/mini/recipe" -o "$B/here" --quiet >"$B/here.table" 2>"$B/log" || bad "a whole recipe" "$(tail -n 1 "$B/log")"
}
# whole NAME RUNNER COMPILER...: runs the small recipe; every file and the table must be those of ./actinh
whole() {
    build "$@"
    case $? in 1) return ;; 2) bad "$1" "does not build: $(head -n 1 "$B/log")"; return ;; esac
    here
    rm -rf "$B/there"
    "$run" run "$B/mini/recipe" -o "$B/there" --threads 1 --quiet >"$B/there.table" 2>"$B/log"
    if diff -r "$B/here" "$B/there" >"$B/log" && cmp "$B/here.table" "$B/there.table" >>"$B/log"; then
        ok "$1: a whole recipe, $(find "$B/there" -type f | wc -l) files"
    else bad "$1" "a whole recipe differs: $(head -n 1 "$B/log")"; fi
    [ ! -e ".$PWD" ] || bad "$1" "it made .$PWD"            # a sandbox may take an absolute path for one below itself
}

for o in -O0 -O2 -O3 -Os "-O3 -march=native" "-O3 -march=native -fopenmp" "-O2 -march=x86-64-v3" "-O2 -march=x86-64-v4" \
    "-O2 -DACTINH_PLAIN"; do
    case $o in *x86-64*) [ "$(uname -m)" = x86_64 ] || continue; grep -q avx512f /proc/cpuinfo 2>/dev/null || continue ;; esac
    target "gcc $o" "" gcc -std=c99 $o
    target "clang $o" "" clang -std=c99 $o
done
target "tcc" "" tcc -std=c99
target "musl" "" musl-gcc -std=c99 -O2 -static
target "i386, SSE2" "$i386" i686-linux-gnu-gcc -std=c99 -O2 -msse2 -mfpmath=sse -static
target "aarch64" qemu-aarch64-static aarch64-linux-gnu-gcc -std=c99 -O2 -static
target "armhf" qemu-arm-static arm-linux-gnueabihf-gcc -std=c99 -O2 -static
target "riscv64" qemu-riscv64-static riscv64-linux-gnu-gcc -std=c99 -O2 -static
target "ppc64le" qemu-ppc64le-static powerpc64le-linux-gnu-gcc -std=c99 -O2 -static
target "s390x, big-endian" qemu-s390x-static s390x-linux-gnu-gcc -std=gnu99 -O2 -static
target "Windows, 64 bits" wine x86_64-w64-mingw32-gcc -std=c99 -O2
wasm="clang --target=wasm32-wasi -std=c99 -O2 -Wl,-z,stack-size=1048576 -Wl,--stack-first"
target "WebAssembly" "$node" $wasm
target "WebAssembly, its vectors" "$node" $wasm -msimd128
refuses "x87" "$i386" i686-linux-gnu-gcc -std=c99 -O2 -static
refuses "s390x with floats computed in double" qemu-s390x-static s390x-linux-gnu-gcc -std=c99 -O2 -static
refuses "clang, fused" "" clang -O2 -march=native -ffp-contract=fast
refuses "gcc -Ofast" "" gcc -Ofast

whole "aarch64" qemu-aarch64-static aarch64-linux-gnu-gcc -std=c99 -O2 -static
whole "Windows, 64 bits" wine x86_64-w64-mingw32-gcc -std=c99 -O2
whole "WebAssembly" "$node" $wasm
whole "s390x, big-endian" qemu-s390x-static s390x-linux-gnu-gcc -std=gnu99 -O2 -static
[ "$only" = --list ] || echo "$passed passed, $failed failed, $skipped skipped"
[ $failed -eq 0 ]
