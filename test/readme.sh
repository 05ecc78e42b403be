#!/bin/sh
# readme.sh: every command of README.md, run in its order in a copy of what is built from, and what the exercises promise
# looked for. By hand and in test-all: some fifteen minutes. Closes with "N passed, N failed, N skipped".
cd "$(dirname "$0")/.." || exit 2
B=$PWD/test/build/readme passed=0 failed=0 skipped=0
rm -rf "$B"; mkdir -p "$B/blocks" "$B/here/test"
cp -R actinh.c actinh.h Makefile README.md tokenizer.bin data "$B/here/"; cp test/*.* "$B/here/test/"
awk -v d="$B/blocks" '/^```sh$/ { n++; on = 1; next } /^```$/ { on = 0 } on { print > sprintf("%s/%02d", d, n) }' README.md
cd "$B/here" || exit 2
ok() { passed=$((passed + 1)); }
bad() { failed=$((failed + 1)); echo "FAILED  $1"; tail -n 3 "$B/said"; }
# what is promised of a block that holds a word: a pattern that its output must have
promised() {
    case $1 in
    *'longest-$k'*) echo 'chosen 17.03.*chosen 24.37.*chosen 27.20.*chosen 32.78.*chosen 38.76' ;;
    *per_sentence*) echo 'all 8.39.*chosen 9.06\|all 8.3[89].*chosen 9.0[56]' ;;
    *broken*) echo 'the fast product differs.*line 2,.*"logprob".*claimed -1.616765, here -1.616764' ;;
    *rude-answers*) echo 'all 0.3[56]' ;;
    *gladder*) echo 'all 0.57.*all 0.86' ;;
    *'verify demo'*) echo 'the same bits as everywhere.* results have the same bits; 0 other bits, 0 could not be told.*5 of .* prompts checked' ;;
    esac
}
for block in "$B"/blocks/*; do
    text=$(cat "$block") what=$(head -n 1 "$block" | cut -c1-60) stop='set -e'
    case $text in
    *'--sets ~/sets'*) skipped=$((skipped + 1)); echo "skipped  $what: the published sets"; continue ;;
    *parallel*) command -v parallel >/dev/null || { skipped=$((skipped + 1)); echo "skipped  $what: GNU parallel"; continue; } ;;
    *per_sentence*)          # exercise 2 asks for this line, and the measure goes again for exercise 3
        cp actinh.c as-it-was.c
        LINE=$(sed -n 's/.*`\(X(per_sentence[^`]*\)`.*/    \1/p' README.md); export LINE
        awk '/^    X\(words,/ && !done { print ENVIRON["LINE"]; done = 1 } { print }' as-it-was.c >actinh.c && make -s || bad "exercise 2 does not build" ;;
    *broken*) mv as-it-was.c actinh.c; make -s; stop= ;;
    esac
    { echo "$stop"; grep -v '^make test \|^make install ' "$block"; } >block.sh
    sh block.sh >"$B/said" 2>&1 </dev/null; s=$?
    pattern=$(promised "$text")
    if [ "$stop" ] && [ $s -ne 0 ]; then bad "$what: status $s"
    elif [ "$pattern" ] && ! tr '\n' ' ' <"$B/said" | grep -q -e "$pattern"; then bad "$what: \"$pattern\" was promised"
    else ok; fi
done
echo "$passed passed, $failed failed, $skipped skipped"
[ $failed -eq 0 ]
