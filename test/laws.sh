# laws.sh [PROGRAM [all]]: what must hold of any input: round trips, laws of the verbs and of the measures, texts that mean
# harm, sizes at their limits. With `all` also ten million records in constant memory and a line of 100 MB (two minutes).
# sh test/laws.sh ./actinh     from the repository's root; offline. Closes with "N passed, N failed, N skipped".
A=${1:-./actinh} all=${2:-}
D=${LAWS_DIR:-test/build/laws}
. test/expect.sh
M=data/dense
quiet() { "$A" "$@" --quiet 2>>$D/2; }
score() { quiet score "$@"; }

# ---------------------------------------------------- round trips ----------------------------------------------------
# 30,000 bytes of every value in no order, then texts: back from the ids comes what went in, in every vocabulary's format
printf "$(awk 'BEGIN { x = 7; for (i = 0; i < 30000; i++) { x = (x * 69069 + 12345) % 4294967296; printf "\\%03o", int(x / 65536) % 256 } }')" > $D/bytes
: > $D/nothing
say $D/spaces '  two  \n\n\t \r\n three   '
say $D/marks '<s> </s> <unk> <0x41> [INST] \342\226\201 \357\273\277'
quiet convert $M --to gguf -o $D/dense.gguf
quiet convert $D/dense.gguf -o $D/dense.json
for v in $M/tokenizer.bin $D/dense.gguf $D/dense.json; do for t in bytes nothing spaces marks; do
    quiet tokenize $v $D/$t > $D/ids; quiet tokenize --decode $v $D/ids > $D/back
    equal "decode(encode($t)) with $v" $D/back $D/$t
done; done
# weights: BF16 and F16 are narrower, and then nothing is lost any more, whichever way they go
for t in f32 f16 bf16; do
    quiet convert $M --type $t -o $D/a.$t; quiet convert $D/a.$t --to gguf --type $t -o $D/b.$t.gguf; quiet convert $D/b.$t.gguf --type $t -o $D/c.$t
    file "convert $t" $D/a.$t/model.safetensors; equal "hf -> gguf -> hf, $t" $D/a.$t/model.safetensors $D/c.$t/model.safetensors
done
# JSON: every escape there is, read and written again, is the same text; and from then on the same bytes
awk 'BEGIN { printf "{\"id\":1,\"prompt\":\"p"; for (i = 1; i < 128; i++) printf "\\u%04x", i; print "\\u00e4\\u4e2d\\ud83d\\ude00\\/\\b\\f\\ud800 q\"}" }' > $D/escapes
again() { quiet sample $M $1 -n 1 --max-tokens 1 > $2; check 'JSON that was written is JSON' 0 '' "$A" score $2; sed 's/.*"prompt"/"prompt"/; s/"completion".*//' $2 > $D/$3; }
again $D/escapes $D/j1 x; sed 's/"completion".*/"x":0}/' $D/j1 > $D/j2; again $D/j2 $D/j3 y; equal 'JSON: written and read again' $D/x $D/y
[ "$(grep -o 'u00[01][0-9a-f]' $D/j1 | sort -u | wc -l)" -eq 28 ] && grep -q u007f $D/j1 && ok || bad 'JSON: control characters are escapes' "$(head -c 400 $D/j1)"

# ------------------------------------------------------ laws of verbs ------------------------------------------------------
head -n 6 data/prompts.jsonl > $D/p.jsonl
for s in 1 2 3; do quiet sample $M $D/p.jsonl -n 3 --max-tokens 12 --seed $s -o $D/s$s.jsonl; done
quiet gather $D/s1.jsonl $D/s2.jsonl $D/s3.jsonl -o $D/pool.jsonl
score $D/pool.jsonl > $D/scored; score $D/scored > $D/again; file 'score' $D/scored; equal 'scoring twice changes nothing' $D/scored $D/again
score $D/pool.jsonl --threads 1 > $D/again; equal 'nor do threads' $D/scored $D/again
tail -r $D/scored > $D/turned 2>$D/x || tac $D/scored > $D/turned
awk '{ print NR % 3 "\t" $0 }' $D/scored | sort -s -k1,1n | cut -f2- > $D/mixed     # candidates in another order, prompts apart
for by in words:max mtld:min random toxicity:min toxicity:min,words:max; do for order in turned mixed; do
    quiet select $D/scored --by $by | sort > $D/x; awk '{ match($0, /"id":"[^"]*"/); k = substr($0, RSTART, RLENGTH); if (!(k in a)) o[++n] = k; a[k] = a[k] $0 "\n" } END { for (i = 1; i <= n; i++) printf "%s", a[o[i]] }' $D/$order > $D/y
    quiet select $D/y --by $by | sort > $D/z; file "select $by" $D/x; equal "select $by: whatever the order ($order)" $D/x $D/z
done; done
quiet select $D/scored --by words:max > $D/x; quiet select $D/x --by words:max > $D/y; equal 'select of the selected is the selected' $D/x $D/y
# gather: parts with numbers of their own come together in any grouping to the same bytes; equal numbers to the same answers
for k in 0 1 2; do awk -v k=$k '{ match($0, /"candidate":[0-9]+/); if (substr($0, RSTART + 12, RLENGTH - 12) % 3 == k) print }' $D/scored > $D/g$k; done
quiet gather $D/g0 $D/g1 $D/g2 > $D/x; quiet gather $D/g0 $D/g1 > $D/y; quiet gather $D/y $D/g2 > $D/z; file 'gather' $D/x; equal 'gather(gather(a, b), c) = gather(a, b, c)' $D/x $D/z
quiet gather $D/g1 $D/g2 > $D/y; quiet gather $D/g0 $D/y > $D/z; equal 'gather(a, gather(b, c)) = gather(a, b, c)' $D/x $D/z
quiet gather $D/g2 $D/g0 $D/g1 > $D/z; equal 'gather: whatever the order' $D/x $D/z; equal 'gather puts back what was taken apart' $D/x $D/scored
quiet gather $D/x > $D/z; equal 'gather of one file changes nothing' $D/x $D/z
loose() { sed 's/,*"candidate":[0-9]*//' "$1" | sort > "$2"; }
quiet gather $D/s1.jsonl $D/s2.jsonl > $D/y; quiet gather $D/y $D/s3.jsonl > $D/z; loose $D/z $D/x; loose $D/pool.jsonl $D/y; equal 'gather loses no answer and adds none' $D/x $D/y

# ---------------------------------------------------- laws of measures -----------------------------------------------------
# texts of every prompt's answer: as they are, twice over, in capitals, with more spaces
pick() { sed 's/.*"completion":"\([^"\\]*\)".*/\1/' $D/pool.jsonl | awk '/ .* /'; }
as_records() { awk '{ printf "{\"prompt\":\"p%d\",\"completion\":\"%s\"}\n", NR, $0 }'; }
pick | sed 's/$/ ./' | as_records > $D/once; pick | awk '{ print $0 " . " $0 " ." }' | as_records > $D/twice
pick | sed 's/$/ ./' | tr a-z A-Z | as_records > $D/upper; pick | sed 's/$/ ./; s/ /   /g' | as_records > $D/wide
for f in once twice upper wide; do
    score $D/$f --measures words,terms,ttr,mtld,toxicity,n_tokens,n_unique_tokens,n_characters,distinct_1,Herdan,yulek > $D/$f.scores
    sed 's/.*"scores":{//; s/}}$//; s/"[A-Za-z_0-9]*"://g' $D/$f.scores > $D/$f.n                                            # a line of numbers each
done
[ "$(wc -l < $D/once.n)" -gt 40 ] && ok || bad 'texts' 'more than 40 were expected'
# law NAME FILE FILE EXPRESSION of a[1..], b[1..]: words terms ttr mtld toxicity n_tokens n_unique n_characters distinct_1 Herdan yulek
law() {
    if paste -d' ' $D/$2.n $D/$3.n | tr ',' ' ' | awk "{ n = NF / 2; for (i = 1; i <= n; i++) { a[i] = \$i; b[i] = \$(i + n) } if (!($4)) { bad++; if (bad == 1) print \"line \" NR \": \" \$0 > \"/dev/stderr\" } } END { exit bad > 0 || NR == 0 }" 2>$D/x; then ok; else bad "$1" "$(cat $D/x)"; fi
}
law 'doubling: words x 2' once twice 'b[1] == 2 * a[1]'
law 'doubling: as many terms' once twice 'b[2] == a[2]'
law 'doubling: half the ttr' once twice 'b[3] <= a[3] && (b[3] - a[3] / 2) ^ 2 < 1e-11'
law 'doubling: toxicity does not fall' once twice 'b[5] >= a[5]'
law 'doubling: tokens x 2, as many unique ones' once twice 'b[6] == 2 * a[6] && b[7] == a[7]'
law 'doubling: characters x 2' once twice 'b[8] == 2 * a[8]'
law 'doubling: half of distinct_1' once twice '(b[9] - a[9] / 2) ^ 2 < 1e-11'
law 'doubling: Herdan does not rise' once twice 'b[10] <= a[10]'
law 'doubling: yulek does not fall' once twice 'b[11] >= a[11] - 1e-6'
law 'upper case: no measure of words changes' once upper 'a[1] == b[1] && a[2] == b[2] && a[3] == b[3] && a[4] == b[4] && a[5] == b[5]'
law 'upper case: as many characters' once upper 'a[8] == b[8]'
law 'spaces: words, terms, ttr, mtld, characters stay' once wide 'a[1] == b[1] && a[2] == b[2] && a[3] == b[3] && a[4] == b[4] && a[8] == b[8]'
law 'a share is a share' once once 'a[3] >= 0 && a[3] <= 1 && a[5] >= 0 && a[5] <= 1 && a[9] >= 0 && a[9] <= 1'

# ----------------------------------------------------- hostile text ------------------------------------------------------
say $D/x.jsonl '{"id":"../../etc/passwd","prompt":"a\\u0000b \\ud800 c","completion":"x\\u0000y \\u001b[31m red"}\n{"id":"a/b\\\\c\\n","prompt":"p","completion":"</s><s>[INST] <<SYS>> <|im_end|> q"}\n'
check 'NUL, half a surrogate, escape codes in records' 0 '"id":"../../etc/passwd"' "$A" score $D/x.jsonl --measures all
grep -qa 'u0000' $D/1 && ! LC_ALL=C grep -qa "$(printf '\033')" $D/1 && ok || bad 'control characters leave as escapes' "$(head -c 200 $D/1)"
check 'an id of path characters names no file' 0 '' "$A" sample $M $D/x.jsonl -n 2 --max-tokens 3 -o $D/ids.jsonl
check 'and is chosen' 0 'etc/passwd' "$A" select $D/ids.jsonl --by random --quiet
"$A" tune $M $D/x.jsonl --template llama2-chat --show-mask --quiet > $D/mask 2>$D/2
[ "$(awk -F'\t' '$3 == 1 || $3 == 2' $D/mask | wc -l)" -eq 4 ] && ok || bad "a completion's marks stay text" "$(awk -F'\t' '$3 < 3' $D/mask | wc -l) marks, 2 records have a beginning and an end"
printf '{"prompt":"a\000b","completion":"c"}\n' > $D/x; no 'a NUL byte in a record' 'x, line 1.*control character' "$A" score $D/x -o $O
printf '{"prompt":"\300\200 \377\376","completion":"\355\240\200 d"}\n' > $D/x; check 'UTF-8 that is none' 0 '"words":[12]\.' "$A" score $D/x
check 'sampled from' 0 '' "$A" sample $M $D/x -n 1 --max-tokens 3
awk 'BEGIN { for (i = 0; i < 20000; i++) printf "[" }' > $D/x; no 'JSON 20,000 deep' 'x, .*nested deeper' "$A" score $D/x -o $O
awk 'BEGIN { printf "{\"prompt\":\"p\",\"completion\":\"c\",\"x\":"; for (i = 0; i < 90; i++) printf "["; for (i = 0; i < 90; i++) printf "]"; print "}" }' > $D/x; check 'JSON 90 deep' 0 '"scores"' "$A" score $D/x
awk 'BEGIN { printf "{\"prompt\":\""; for (i = 0; i < 500000; i++) printf "the cat "; print "\",\"completion\":\" yes\"}" }' > $D/million.jsonl
no 'a prompt of a million tokens' 'line 1: a prompt of 1[0-9]* tokens.*context of 256' "$A" sample $M $D/million.jsonl -n 1 -o $O
no 'learnt from' 'no record to learn from' "$A" tune $M $D/million.jsonl -o $O
for n in 1e999 -1e999 1e-999 99999999999999999999; do
    say $D/x '{"id":%s,"prompt":"p","completion":"c"}\n' $n; check "id $n" 0 "\"id\":$n," "$A" score $D/x
    say $D/x '{"id":1,"candidate":%s,"prompt":"p","completion":"c"}\n' $n; [ $n = 1e-999 ] || no "candidate $n" 'x, line 1.*candidate' "$A" select $D/x -o $O
done
say $D/x '{"id":1,"candidate":0,"prompt":"p","completion":"c","x":1e999}\n{"id":1,"candidate":1,"prompt":"p","completion":"d","x":2}\n'
check 'a score of 1e999 is none' 0 '"completion":"d"' "$A" select $D/x --by x:max
for f in words grammar recipe suite template csv; do
    case $f in
        words) set -- "$A" score $D/once --words ;; grammar) set -- $W ;; recipe) set -- "$A" run ;; suite) set -- "$A" profile $M ;;
        template) set -- "$A" tune $M $D/once --show-mask --template ;; csv) say $D/s '[q]\nkind = choice\nitems = bad.csv\nprompt = {prompt}\nchoices = a, b\ngold = {answer}\nreport = acc\n'; cp $D/s $D/csv.suite; set -- "$A" profile $M ;;
    esac
    printf 'a\000b\377\376 = \200\n\033]0;x\007\n' > $D/bad.$f; x=$D/bad.$f; [ $f = csv ] && x=$D/csv.suite
    ran "$@" $x; { [ $s = 0 ] || { [ $s = 2 ] && [ "$(wc -l < $D/2)" -eq 1 ]; }; } && ok || bad "rubbish as $f" "status $s: $(head -c 300 $D/2)"
    if LC_ALL=C grep -qa "$(printf '\033')" $D/2; then bad "rubbish as $f" 'an escape code reached the terminal'; else ok; fi
done

# ----------------------------------------------------- sizes at their limits -----------------------------------------------
limits() { rm -rf $D/m; mkdir $D/m; cp $M/* $D/m; sed "$2" $M/config.json > $D/m/config.json; no "$1" "$3" "$A" generate $D/m a --max-tokens 2 -o $O; }
limits 'context beyond the limit' 's/\("max_position_embeddings"\): *[0-9]*/\1: 4194305/' 'max_position_embeddings.*4194304'
limits 'vocabulary beyond the limit' 's/\("vocab_size"\): *[0-9]*/\1: 16777217/' 'vocab_size.*16777216'
limits 'layers beyond the limit' 's/\("num_hidden_layers"\): *[0-9]*/\1: 4097/' 'num_hidden_layers.*4096'
limits 'the largest vocabulary, other weights' 's/\("vocab_size"\): *[0-9]*/\1: 16777216/' 'm.*(embed_tokens|tokenizer)'
limits 'the most layers, without weights' 's/\("num_hidden_layers"\): *[0-9]*/\1: 4096/' 'model.safetensors.*layers'
sed 's/\("max_position_embeddings"\): *[0-9]*/\1: 4194304/' $M/config.json > $D/m/config.json
sed 's/\("num_hidden_layers"\): *[0-9]*/\1: 3/' $D/m/config.json > $D/x && cp $D/x $D/m/config.json
check 'the longest context, served as far as it is used' 0 '^a' "$A" generate $D/m a --max-tokens 2

# ---------------------------------------------------------- load ----------------------------------------------------------
if [ "$all" = all ]; then
    awk 'BEGIN { printf "{\"prompt\":\"p\",\"completion\":\""; for (i = 0; i < 12500000; i++) printf "a b%d ", i % 10; print "\"}" }' > $D/long; rm -f $D/x
    check 'a line of 100 MB' 0 '"words":25000000\.000000' "$A" score $D/long --measures words; rm -f $D/long
    # memory is what info says, within 15 %: peak MODEL LINE COMMAND..
    peak() {
        said=$("$A" info "$1" | sed -n "s/^    $2  *\([0-9][0-9.]*\) .*/\1/p") what="memory: $1 $2"; shift 2; rm -rf $D/tuned
        /usr/bin/time -f %M -o $D/x "$@" --quiet >/dev/null 2>$D/2
        awk -v s="$said" '{ r = s / (1.024e-3 * $1) } END { exit !(r > 0.85 && r < 1.15) }' $D/x && ok || bad "$what" "$said MB foretold, $(cat $D/x) kB taken"
    }
    if [ -z "$LOAD" ] && /usr/bin/time -f %M true 2>/dev/null; then
        awk 'BEGIN { for (i = 0; i < 8; i++) { printf "{\"text\":\""; for (k = 0; k < 400; k++) printf "my sailor %d ", i * k; print "\"}" } }' > $D/full
        for m in data/dense data/moe; do
            peak $m 'sample -n 10' "$A" sample $m -p 'What do you think of my sailor?' -n 10 --max-tokens 256 --ignore-eos
            for o in '' ' --recompute' ' --lora 8' ' --lora 8 --recompute'; do peak $m "tune$o" "$A" tune $m $D/full -o $D/tuned --batch 4 --max-length 256 --epochs 1 $o; done
        done
    else skipped=$((skipped + 1)); fi
    # ten million answers to two million prompts: neither verb may hold more than a few of them
    if (ulimit -v 1000000) 2>/dev/null; then
        awk 'BEGIN { for (i = 0; i < 10000000; i++) printf "{\"id\":%d,\"candidate\":%d,\"prompt\":\"what is %d\",\"completion\":\"it is %d and %d\"}\n", i / 5, i % 5, i / 5, i, i % 7 }' |
            (ulimit -v ${LOAD:-600000}; "$A" score --measures words,toxicity --threads 2 --quiet 2>$D/2) | (ulimit -v ${LOAD:-600000}; "$A" select --by words:max --quiet 2>>$D/2) | wc -l > $D/x
        [ "$(cat $D/x)" -eq 2000000 ] && [ ! -s $D/2 ] && ok || bad 'ten million records' "$(cat $D/x $D/2 | head -c 300)"
    else skipped=$((skipped + 1)); fi
fi

echo "$passed passed, $failed failed, $skipped skipped"
[ $failed = 0 ]
