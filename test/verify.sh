#!/bin/sh
# verify.sh ACTINH: a small run is verified whole, then one bit, digit or word of it is changed at a time, and verify must
# name just that. Closes with "N passed, N failed".
A=${1:-./actinh} passed=0 failed=0 D=$(mktemp -d)
case $A in /*) ;; *) A=$PWD/$A ;; esac
trap 'rm -rf "$D"' EXIT
export TMPDIR=$D
ok() { passed=$((passed + 1)); }
bad() { failed=$((failed + 1)); echo "FAILED  $*"; }
head -n 24 data/prompts.jsonl >$D/p
cat >$D/mini.recipe <<END
teachers = dense: data/dense
students = moe: data/moe
prompts = $D/p
choices = base, words:max
sample = -n 3 --max-tokens 30
tune = --epochs 2 --batch 4 --lr 2e-4 --max-length 128 --checkpoint 3 --keep-checkpoints
profile = $D/mini.suite
world = $D/world.jsonl
END
grep '"dense"' data/world.jsonl >$D/world.jsonl
head -n 6 data/suites/talk.jsonl >$D/talk.jsonl
printf '[talk]\nkind = sample\nitems = talk.jsonl\nsamples = 2\nmax-tokens = 20\nreport = words\n' >$D/mini.suite
"$A" run $D/mini.recipe -o $D/run --quiet >/dev/null || bad "the run"
pool=sampled-dense-1.jsonl scored=scored-dense-1.jsonl chosen=dense-moe-words_max-1.jsonl student=dense-moe-words_max-1 figures=dense-moe-words_max-1.figures

options=
mkdir $D/in $D/v; mv $D/p $D/mini.recipe $D/mini.suite $D/talk.jsonl $D/world.jsonl $D/in/
# WHAT STATUS PATTERN..: verify of $D/v/x ends with STATUS and says every PATTERN; "!P" must not be said
says() {
    what=$1 status=$2; shift 2
    "$A" verify $D/v/x --in $D/in $options --quiet >$D/said 2>$D/err; s=$?
    [ $s = "$status" ] || { bad "$what: status $s, expected $status: $(tail -n 3 $D/said) $(cat $D/err)"; return; }
    for p in "$@"; do
        case $p in
        !*) if grep -q -e "${p#!}" $D/said; then bad "$what: \"$p\" was said: $(grep -e "${p#!}" $D/said | head -n 2)"; return; fi;;
        *) grep -q -e "$p" $D/said || { bad "$what: \"$p\" was not said: $(grep -v '^same\|^given' $D/said | head -n 4)"; return; };;
        esac
    done
    ok
    [ -z "$(find $D -name 'actinh-verify*')" ] || bad "$what: scratch is left"
}
tampered() { # WHAT STATUS SED-SCRIPT FILE PATTERN...
    what=$1 status=$2 script=$3 file=$4; shift 4
    cp -R $D/run $D/v/x
    sed "$script" $D/v/x/$file >$D/y; cmp -s $D/y $D/v/x/$file && bad "$what: nothing was changed"
    mv $D/y $D/v/x/$file
    says "$what" "$status" "$@"
    rm -rf $D/v/x
}
cp -R $D/run $D/v/x; says 'untouched' 0 '7 of 7 results have the same bits; 0 other' 'given, not re-computed: model  *dense/model.safetensors' '!OTHER'; rm -rf $D/v/x
tampered 'a candidate' 1 '5s/"completion":" [A-Z]/"completion":" x/' $pool "^OTHER .*$pool.receipt; $pool: was changed after.*line 5, id .talk-1., candidate 1, field \"completion\": claimed" 'same .*scored' '1 other bits, 0 could'
tampered 'a score' 1 '7s/"words":[0-9]*/"words":999/' $scored "^OTHER .*$scored.receipt; $scored: was changed.*line 7, id .*field \"scores\", field \"words\": claimed 999.*, here [0-9]" '1 other bits, 0 could'
tampered 'a chosen answer' 1 '2s/"candidate":[0-9]/"candidate":9/' $chosen "^OTHER .*$chosen.receipt.*line 2.*field \"candidate\": claimed 9" '1 other bits, 0 could'
tampered 'a figure' 1 's/"items":\[[0-9]*/"items":[77/' $figures "^OTHER .*$figures.receipt.*field \"items\"" '2 other bits'
tampered 'a result' 1 '2s/"value":[0-9]*/"value":5/' results.jsonl '^OTHER .*run\|^OTHER .*x/receipt.json.*line 2, field "value": claimed 5'
tampered 'an option in a receipt' 1 's/"max-tokens":"30"/"max-tokens":"29"/' $pool.receipt "^OTHER .*$pool.receipt.*has other bits.*candidate" 'unknown .*x/receipt.json: its stage'
tampered 'a seed in a receipt' 1 's/"seed":"1"/"seed":"2"/' $pool.receipt "^OTHER .*$pool.receipt"
tampered 'a hash in a receipt' 1 's/\("out":\[{"name":"scored[^}]*sha256":"\)[0-9a-f]/\1x/' $scored.receipt "^OTHER .*$scored.receipt"
tampered 'an input hash in a receipt' 2 's/\("as":"answers"[^}]*sha256":"\)[0-9a-f]/\1x/' $scored.receipt "^unknown .*$scored.receipt: its answers \"$pool\" .*is not to be found"
tampered 'a training step' 1 '4s/"loss":"0x1.\(.\)/"loss":"0x1.7\1/' $student/steps.jsonl "^OTHER .*$student/receipt.json; steps.jsonl.*line 4, step 4, field \"loss\": claimed 0x1.7\|^OTHER .*steps.jsonl.*step 4.*loss"
tampered 'a receipt that is none' 2 's/{/[/' $pool.receipt "^unknown .*$pool.receipt: not JSON\|^unknown .*$pool.receipt"
tampered 'a name that leaves the folder' 2 's/"name":"scored-dense/"name":"..\/..\/scored-dense/' $scored.receipt '^unknown .*no name of a'
tampered 'a result among what it is made from' 2 '/"out":/s|"name":"|"name":"in/|' $scored.receipt '^unknown .*no name of a'
tampered 'an absolute name' 2 's/"name":"sampled-dense/"name":"\/tmp\/sampled-dense/' $scored.receipt '^unknown .*no name of a'
tampered 'an option that is none' 2 's/"measures"/"output":"\/tmp\/evil","measures"/' $scored.receipt '^unknown .*there is no option "output"'
tampered 'an input where it writes' 2 '/"in":/s/"as":"answers"/"as":"output"/' $scored.receipt '^unknown .*receipt'
tampered 'a verb that is none' 2 's/"verb":"score"/"verb":"rm"/' $scored.receipt '^unknown .*there is no verb "rm"'
tampered 'another spec' 2 's/"spec":[0-9]*/"spec":99/' $scored.receipt '^unknown .*of spec 99'
# one bit of a model, in the middle of the file
cp -R $D/run $D/v/x
f=$D/v/x/$student/model.safetensors; n=$(($(wc -c <$f) / 2))
{ head -c $n $f; printf '\001'; tail -c +$((n + 2)) $f; } >$D/y; mv $D/y $f
says 'a bit of a model' 1 "^OTHER .*$student/receipt.json; model.safetensors: was changed.*tensor model.layers.[0-9].*number [0-9]*: claimed -*0x1[.0-9a-fp+-]*, here -*0x1" "same .*$figures" '1 other bits, 0 could'
rm -rf $D/v/x
# a base model: what was given has other bytes
cp -R $D/run $D/v/x; cp -R data $D/in/data; f=$D/in/data/dense/model.safetensors
{ head -c 5000 $f; printf '\001'; tail -c +5002 $f; } >$D/y; mv $D/y $f
( cd $D/v && ACTINH_DATA=$D/in/data; export ACTINH_DATA; "$A" verify x --in ../in --quiet >../said 2>../err ); s=$?
if [ $s = 2 ] && grep -q "^unknown .*$pool.receipt: its model \"dense/model.safetensors\".*not to be found" $D/said; then ok; else bad "a bit of a base model: status $s: $(grep -v ^same $D/said | head -n 3)"; fi
rm -rf $D/in/data
# a LoRA adapter, and a model that is BASE+ADAPTER
mkdir $D/lora; options=
"$A" tune data/moe $D/run/$chosen --lora 4 --epochs 1 --batch 8 --lr 1e-3 -o $D/lora/adapter --quiet
"$A" sample data/moe+$D/lora/adapter $D/in/p -n 2 --max-tokens 20 -o $D/lora/pool --quiet
mv $D/v/x $D/v/x.run; cp -R $D/lora $D/v/x; cp $D/run/$chosen $D/in/
says 'LoRA' 0 '2 of 2 results have the same bits'
rm -rf $D/v/x $D/in/$chosen; mv $D/v/x.run $D/v/x
# in parts
options='--spot 3 --seed 5'; says 'spot' 0 "$pool.receipt: 3 of 24 prompts checked" "$student/receipt.json: 3 of 12 steps checked" 'as far as they were looked at (2 in parts)'
options='--step 8'; says 'step' 0 "$student/receipt.json: 1 of 12 steps checked" '1 of 1 results'
options='--step 12'; says 'the last step, which ends with the model' 0 "$student/receipt.json: 1 of 12 steps checked" '1 of 1 results'
mv $D/v/x $D/whole
# a cheat who knows what a receipt holds: after FILE was changed RECEIPT has its size and hash
rehash() { # RECEIPT FILE
    name=${2##*/}
    sed "/\"out\":/,\$s/\(\"name\":\"$name\",\"bytes\":\)[0-9]*\(,\"sha256\":\"\)[0-9a-f]*/\1$(($(wc -c <$2)))\2$(sha256sum <$2 | cut -c1-64)/" $1 >$D/y
    cmp -s $D/y $1 && bad "rehash $2: nothing was changed"; mv $D/y $1
}
fresh() { rm -rf $D/v/x; cp -R $D/whole $D/v/x; }
fresh; sed '8s/"norm":"0x1./"norm":"0x1.3/' $D/whole/$student/steps.jsonl >$D/v/x/$student/steps.jsonl
options='--spot 2'; says 'spot: a result that was changed' 1 "^OTHER .*$student/receipt.json; steps.jsonl: was changed after"
rehash $D/v/x/$student/receipt.json $D/v/x/$student/steps.jsonl
options='--step 8'; says 'a wrong step' 1 '^OTHER .*step 8, field "norm": claimed .0x1.3'
printf x >>$D/v/x/$student/checkpoint-000006
options='--step 7'; says 'the step before, and a state that was changed' 0 '1 of 12 steps checked; the weights were not'
options='--step 13'; says 'no such step' 2 'it has 12 steps'
head -n 9 $D/whole/$student/steps.jsonl >$D/v/x/$student/steps.jsonl; rehash $D/v/x/$student/receipt.json $D/v/x/$student/steps.jsonl
options='--step 7'; says 'fewer steps than were taken' 1 '^OTHER .*9 steps are claimed, its options and records make 12'
fresh; rm $D/v/x/$student/model.safetensors
options='--spot 2'; says 'spot: a model that is gone' 2 '^unknown .*model.safetensors itself is not there'
cp data/moe/model.safetensors $D/v/x/$student/; says 'spot: another model' 1 '^OTHER .*model.safetensors: was changed'
rehash $D/v/x/$student/receipt.json $D/v/x/$student/model.safetensors
options='--step 12'; says 'the last step ends with another model' 1 '^OTHER .*model.safetensors: has other bits, tensor'
fresh; sed '/"name":"model.safetensors"/d; s/^ *{"name":"config.json"/"out":[{"name":"config.json"/' $D/whole/$student/receipt.json >$D/v/x/$student/receipt.json
cp data/moe/model.safetensors $D/v/x/$student/
options=; says 'a model that its receipt leaves out' 1 '^OTHER .*model.safetensors: has other bits'
fresh; printf x >>$D/v/x/$student/tokenizer.bin
says 'a copied tokenizer' 1 '^OTHER .*tokenizer.bin: has other bits'
fresh; sed 's/+[0-9]*%/+99%/' $D/whole/table.txt >$D/v/x/table.txt; cmp -s $D/v/x/table.txt $D/whole/table.txt && bad 'the table was not changed'
says 'the table' 1 '^OTHER .*x/receipt.json; table.txt: was changed'
options='--spot 2'
for how in '$d' '2{h;d};5{p;x}' '$p'; do
    fresh; sed "$how" $D/whole/$pool >$D/v/x/$pool; rehash $D/v/x/$pool.receipt $D/v/x/$pool
    says "spot: answers by $how" 1 "^OTHER .*$pool.receipt, at prompt [0-9]*: the answers are not those"
done
for f in $pool $student/steps.jsonl; do
    fresh; sed '5s/}$//' $D/whole/$f >$D/v/x/$f
    case $f in */*) rehash $D/v/x/$student/receipt.json $D/v/x/$f;; *) rehash $D/v/x/$f.receipt $D/v/x/$f;; esac
    says "spot: a line of $f that is no JSON" 2 "^unknown .*$f, line 5.*not JSON"
done
# what a cheat leaves out: a stage with its receipt, the run's receipt; or puts elsewhere
options=
fresh; sed '2s/"value":[0-9]*/"value":5/' $D/whole/results.jsonl >$D/v/x/results.jsonl; rehash $D/v/x/receipt.json $D/v/x/results.jsonl
says 'a result that its receipt knows' 1 '^OTHER .*x/receipt.json; results.jsonl: has other bits, line 2, field "value": claimed 5'
fresh; tr -d '\n' <$D/whole/receipt.json | sed "s/, *{\"as\":\"stage\",\"name\":\"$figures.receipt\"[^}]*}//" >$D/v/x/receipt.json; rm $D/v/x/$figures.receipt
says 'a stage left out' 1 "^OTHER .*x/receipt.json; stage $figures.receipt, which its recipe makes, is not named" "^no receipt speaks of it: .*$figures\$"
fresh; rm $D/v/x/receipt.json
says 'no receipt of the run' 2 '^no receipt speaks of it: .*x/results.jsonl' '^no receipt speaks of it: .*table.txt'
fresh; mv $D/v/x/$figures.receipt $D/y; mv $D/v/x/$chosen.receipt $D/v/x/$figures.receipt; mv $D/y $D/v/x/$chosen.receipt
says 'two receipts changed places' 1 "stage $figures.receipt, which its recipe makes, is not where it belongs"
"$A" verify $D/v/x/$chosen --in $D/in --quiet >$D/said 2>$D/err; s=$?
[ $s = 2 ] && grep -q "$chosen.receipt: is the receipt of another file, not of" $D/err && ok || bad "a receipt of another file: status $s $(cat $D/err)"
fresh; sed '7s/"words":[0-9]*/"words":99/' $D/whole/$scored >$D/v/x/$scored; rehash $D/v/x/$scored.receipt $D/v/x/$scored
sed "/\"in\":/s/\(\"sha256\":\"\)[0-9a-f]*/\1$(sha256sum <$D/v/x/$scored | cut -c1-64)/; /\"in\":/s/\"bytes\":[0-9]*/\"bytes\":$(($(wc -c <$D/v/x/$scored)))/" $D/whole/$chosen.receipt >$D/v/x/$chosen.receipt
says 'a score and the receipts of two stages' 1 "^OTHER .*$scored.receipt.*line 7" "^OTHER .*$chosen.receipt.*(made from $scored, which has other bits itself)" 'x/receipt.json: its stage.*not to be found.*has other bits: .*receipt'
fresh; sed '/"out":/s/"bytes":/"bytes":1/' $D/whole/$scored.receipt >$D/v/x/$scored.receipt
says 'a size in a receipt' 1 "^OTHER .*$scored.receipt; $scored: was changed after"
fresh; sed '20s/"completion":" [A-Z]/"completion":" x/' $D/whole/$pool >$D/v/x/$pool; rehash $D/v/x/$pool.receipt $D/v/x/$pool
options='--spot 24'; says 'spot: the line of the file' 1 "^OTHER .*$pool.receipt.*line 20, id"
fresh; printf '{"teacher":"dense' >$D/in/world.jsonl
sed "s/\(\"world.jsonl\",\"bytes\":\)[0-9]*\(,\"sha256\":\"\)[0-9a-f]*/\117\2$(sha256sum <$D/in/world.jsonl | cut -c1-64)/" $D/whole/receipt.json >$D/v/x/receipt.json
options=; says 'a world that is no JSON' 2 '^unknown .*x/receipt.json: .*world.jsonl, line 1.*not JSON'
fresh; "$A" verify $D/v/x/$pool --in $D/in --step 1 --quiet >$D/said 2>$D/err; grep -q 'no receipt of tune' $D/err && ok || bad "--step of answers: $(cat $D/err)"
sed '4s/"completion":"\(.*\)","teacher"/"completion":"\1!","teacher"/' $D/whole/$pool >$D/v/x/$pool
options=; says 'the end of a long answer' 1 '^OTHER .*field "completion": claimed \.\..*!", here \.\.'
options=; fresh
"$A" verify >$D/said && grep -q 'the same bits as everywhere' $D/said && ok || bad 'the build'
"$A" verify $D/v/x/$pool --in $D/in --quiet >$D/said && grep -q '1 of 1 results' $D/said && ok || bad "one file: $(cat $D/said)"
"$A" verify $D/nothing --quiet 2>$D/err; [ $? = 2 ] && grep -q nothing $D/err && ok || bad "nothing to verify"
echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
