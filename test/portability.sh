#!/bin/sh
# portability.sh: the golden pipeline on whatever compilers, C libraries and processors this machine can build for and run
# (other processors through qemu-user). Every one must give test/golden.txt, from the same model files; builds whose arithmetic
# is not binary32 must say so. Closes with "N passed, N failed, N skipped"; what is missing is skipped by name.
cd "$(dirname "$0")/.." || exit 2
B=test/build/portability passed=0 failed=0 skipped=0
rm -rf $B; mkdir -p $B
have() { command -v "$1" >/dev/null 2>&1; }
skip() { skipped=$((skipped + 1)); echo "skipped  $1: not on this machine"; }
ok() { passed=$((passed + 1)); }
bad() { failed=$((failed + 1)); echo "FAILED  $1: $2"; }

# target NAME RUNNER COMPILER...: builds, runs the golden pipeline, compares
target() {
    name=$1 runner=$2; shift 2
    have "$1" || { skip "$name ($1)"; return; }
    [ -z "$runner" ] || have "$runner" || { skip "$name ($runner)"; return; }
    "$@" -o $B/program actinh.c -lm >$B/log 2>&1 || { bad "$name" "does not build: $(head -n 1 $B/log)"; return; }
    program=$B/program
    if [ -n "$runner" ]; then printf '#!/bin/sh\nexec %s %s/program "$@"\n' "$runner" "$PWD/$B" >$B/run; chmod +x $B/run; program=$B/run; fi
    sh test/golden.sh $program 1 >$B/digests 2>&1
    if cmp -s $B/digests test/golden.txt; then ok; else bad "$name" "other digests"; diff $B/digests test/golden.txt | head -n 3; fi
}
# refuses NAME RUNNER COMPILER...: a build with other arithmetic names what is wrong with it
refuses() {
    name=$1 runner=$2; shift 2
    have "$1" || { skip "$name ($1)"; return; }
    [ -z "$runner" ] || have "$runner" || { skip "$name ($runner)"; return; }
    "$@" -o $B/program actinh.c -lm >$B/log 2>&1 || { if grep -q 'promises the same bits' $B/log; then ok; else bad "$name" "$(head -n 1 $B/log)"; fi; return; }
    $runner $B/program corpus test/golden.grammar -n 1 2>$B/log >/dev/null
    if grep -q 'bits are not portable' $B/log; then ok; else bad "$name" "does not notice"; fi
}

for o in -O0 -O1 -O2 -O3 -Os "-O3 -march=native" "-O3 -march=native -fopenmp" "-O2 -march=x86-64-v3" "-O2 -march=x86-64-v4" "-O2 -DACTINH_PLAIN"; do
    case $o in *x86-64*) [ "$(uname -m)" = x86_64 ] || continue; grep -q avx512f /proc/cpuinfo 2>/dev/null || continue ;; esac
    target "gcc $o" "" gcc -std=c99 $o
    target "clang $o" "" clang -std=c99 $o
done
target "tcc" "" tcc -std=c99
target "musl" "" musl-gcc -std=c99 -O2 -static
target "i386, SSE2" "" i686-linux-gnu-gcc -std=c99 -O2 -msse2 -mfpmath=sse -static
target "aarch64" qemu-aarch64-static aarch64-linux-gnu-gcc -std=c99 -O2 -static
target "armhf" qemu-arm-static arm-linux-gnueabihf-gcc -std=c99 -O2 -static
target "riscv64" qemu-riscv64-static riscv64-linux-gnu-gcc -std=c99 -O2 -static
target "ppc64le" qemu-ppc64le-static powerpc64le-linux-gnu-gcc -std=c99 -O2 -static
target "s390x, big-endian" qemu-s390x-static s390x-linux-gnu-gcc -std=gnu99 -O2 -static
refuses "x87" "" i686-linux-gnu-gcc -std=c99 -O2 -static
refuses "s390x with floats computed in double" qemu-s390x-static s390x-linux-gnu-gcc -std=c99 -O2 -static
refuses "clang, fused" "" clang -O2 -march=native -ffp-contract=fast
refuses "gcc -Ofast" "" gcc -Ofast
echo "$passed passed, $failed failed, $skipped skipped"
[ $failed -eq 0 ]
