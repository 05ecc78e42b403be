# cli.sh: actinh from the outside: every verb's good path, equal bits by other ways, and bad input of every kind.
# sh test/cli.sh ./actinh     from the repository's root; offline; temporary files under test/build/cli.
# See expect.sh for check, no, equal, file, say.
A=${1:-./actinh}
D=${CLI_DIR:-test/build/cli}
. test/expect.sh

# ---------------------------------------------------- good paths -----------------------------------------------------
cat > $D/g.grammar <<'END'
# a world of two lines
doc: <thing=noun> is <adj>? => yes, <thing> is <adj> and <adj>. // no, <thing> is <adj>.
talk: tell me of <thing=noun> and <thing2=noun>. => <say>
say: 3* <^adj> <thing>, so <adj>! | the <thing> and the <thing2> are <adj>, very <adj>, and more <adj>. | 0.5* stupid <thing>
noun: cat | dog | house | tree | ship | river | bird | stone
adj: red | green | blue | big | small | old | <adj> and <adj> | 4* new
END
ran "$A"; [ $s = 2 ] && ok || bad 'no verb' "status $s"
check 'help' 0 'actinh tokenize' "$A" help
check '--help' 0 'actinh tokenize' "$A" --help
check 'help tune' 0 '--epochs N .*default 3' "$A" help tune
check 'sample --help' 0 '--top-p P' "$A" sample --help
check 'help --man' 0 '^.SS actinh sample MODEL' "$A" help --man
check 'help --man, options' 0 '^.B --top-p P' "$A" help --man
check 'help of no verb' 2 'there is no verb' "$A" sampel --help
"$A" help --man >$D/actinh.1
if command -v groff >/dev/null; then check 'the manual is troff' 0 '' sh -c "! groff -man -ww -Tascii $D/actinh.1 2>&1 >/dev/null | grep ."; else skipped=$((skipped + 1)); fi
if command -v mandoc >/dev/null; then check 'the manual, mandoc' 0 '' mandoc -T lint -W error $D/actinh.1; else skipped=$((skipped + 1)); fi
if command -v bash >/dev/null; then
    completes() { check "bash completes $1" 0 "$2" bash -c '. data/completion.bash; COMP_WORDS=("${@:2}") COMP_CWORD=$(($# - 2)); _actinh "$1"; echo "-${COMPREPLY[*]}-"' - "$A" actinh $1; }
    completes 'sam' '^-sample-$'; completes 'help ver' '^-verify-$'; completes 'sample --top' '^---top-k --top-p-$'
    completes 'select --wh' '^---where-$'; completes 'sample data' '^--$'
else skipped=$((skipped + 5)); fi
mkdir $D/examples; ln -s "$PWD/data" $D/examples/data; ln -s "$(cd "$(dirname "$A")" && pwd)/${A##*/}" $D/examples/actinh
for v in verify run sample score select tune profile gather generate tokenize convert report info; do
    "$A" help $v | sed -n '4,/^$/p' >$D/examples/$v.sh
    check "help $v: examples first" 0 "^    .*\\./actinh $v" cat $D/examples/$v.sh
    case $v in run|report|tune|profile|gather) continue ;; esac                         # these take seconds, or a minute
    check "help $v: its examples work" 0 '' sh -c "cd $D/examples && . ./$v.sh"
done
check 'make install' 0 '' make -s install PREFIX=/opt DESTDIR="$PWD/$D/installed"
for f in bin/actinh share/man/man1/actinh.1 share/bash-completion/completions/actinh share/actinh/dense/config.json share/actinh/tokenizer.bin; do file "installed: $f" $D/installed/opt/$f; done
check 'make uninstall' 0 '' make -s uninstall PREFIX=/opt DESTDIR="$PWD/$D/installed"
[ -z "$(find $D/installed -type f)" ] && ok || bad 'make uninstall' "left: $(find $D/installed -type f | head -3)"
check '--version' 0 '^actinh [0-9.]+, spec [0-9]+$' "$A" --version
check 'world' 0 '' "$W" $D/g.grammar -n 150 -o $D/doc.jsonl
check 'world talk' 0 '' "$W" $D/g.grammar -n 60 --start talk --distinct -o $D/talk.jsonl
check 'world prompts' 0 '' "$W" $D/g.grammar -n 12 --seed 5 --distinct --answers 0 -o $D/p.jsonl
check 'world choices' 0 '' "$W" $D/g.grammar -n 8 --seed 5 --choices 3 -o $D/q.jsonl
check 'world k answers' 0 '"candidate":2' "$W" $D/g.grammar -n 3 --answers 3
check 'world --set' 0 'violet and violet' "$W" $D/g.grammar -n 3 --set 'adj: violet'
check 'world --fold' 0 '"prompt"' "$W" $D/g.grammar -n 3 --fold 0-1/4
V=test/build/vocabulary                                                                # SIZE RECORDS OUT: see vocabulary.c
check 'vocabulary.c' 0 '' make -s $V
check 'vocabulary' 0 '' $V 300 $D/doc.jsonl $D/tokenizer.bin
"$W" test/golden.grammar -n 400 --seed 5 --quiet > $D/golden.jsonl; $V 360 $D/golden.jsonl $D/golden.bin; equal 'golden.tokenizer' $D/golden.bin test/golden.tokenizer
file 'tokenizer.bin' $D/tokenizer.bin
shape='"vocab_size": 300, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 128, "eos_token_id": 2'
say $D/dense.json '{"model_type": "llama", %s}\n' "$shape"
say $D/moe.json '{"model_type": "mixtral", %s, "num_local_experts": 4, "num_experts_per_tok": 2}\n' "$shape"
for m in dense moe; do
    check "tune $m from random weights" 0 '' "$A" tune $D/$m.json $D/doc.jsonl -o $D/$m --epochs 1 --batch 16 --lr 1e-2
    for f in model.safetensors config.json generation_config.json tokenizer.bin steps.jsonl receipt.json; do file "tune $m: $f" $D/$m/$f; done
    check "sample $m" 0 '' "$A" sample $D/$m $D/p.jsonl -n 3 --max-tokens 20 -o $D/s-$m.jsonl
    file "sample $m: receipt" $D/s-$m.jsonl.receipt
    check "score $m" 0 '' "$A" score $D/s-$m.jsonl --measures all -o $D/sc-$m.jsonl
    check "score $m default" 0 '"scores":\{"words":[0-9.]+,"ttr":[0-9.]+,"mtld":[0-9.]+,"toxicity":[0-9.]+\}' "$A" score $D/s-$m.jsonl
    check "select $m" 0 '12 prompts, .*36 candidates' "$A" select $D/sc-$m.jsonl --by words:max -o $D/ch-$m.jsonl
    check "select $m --where" 0 'prompts, .*36 candidates' "$A" select $D/sc-$m.jsonl --by 'toxicity:min,words:max' --where 'words>=1,ttr<=1' --among 2
done
check 'info: answers' 0 '^    0  words ' "$A" info $D/sc-dense.jsonl
check 'info: the chosen' 0 '^\*   [0-9]  words ' "$A" info $D/sc-dense.jsonl $D/ch-dense.jsonl
[ "$("$A" info $D/sc-moe.jsonl $D/ch-moe.jsonl | grep -c '^\*')" = 12 ] && ok || bad 'info: one chosen a prompt' 'not 12'
say $D/esc.jsonl '{"prompt":"p","candidate":3,"completion":"a\\u001b[2Jb\\u007fc\\u009bd\\n*    9  fake"}\n'
check 'info: escape codes do nothing' 0 '^    3 .*001b.2Jb.u007fc[?][?]d.n.*fake"$' "$A" info $D/esc.jsonl
[ -z "$("$A" info $D/esc.jsonl | LC_ALL=C tr -d '\n\40-\176')" ] && ok || bad 'info: escape codes do nothing' 'control bytes'
IN=$D/sc-moe.jsonl; check 'info: standard input' 0 '^   35|^    2  words ' "$A" info -; IN=
no 'info: no records' 'esc.jsonl|no field' "$A" info $D/moe/steps.jsonl
no 'info: chosen of nothing' 'nosuch' "$A" info $D/sc-moe.jsonl $D/nosuch
# a service's own layout: requests and results of a batch, in another order, one of them an error, one without its question
say $D/asked '{"custom_id":"r1","body":{"messages":[{"role":"user","content":"One?"}]}}\n{"custom_id":"r2","body":{"messages":[{"role":"user","content":"Two?"}]}}\n'
say $D/told '%s\n' '{"custom_id":"r2","response":{"body":{"choices":[{"message":{"content":"b"},"finish_reason":"stop"},{"message":{"content":null},"finish_reason":"length"},{"message":{"content":"a"},"finish_reason":"length"}]}}}' \
    '{"custom_id":"r9","response":null,"error":{"code":"x"}}' '{"custom_id":"r1","response":{"body":{"choices":[{"message":{"content":"c"},"finish_reason":"stop"}]}}}' \
    '{"custom_id":"r3","response":{"body":{"choices":[{"message":{"content":"d"},"finish_reason":"stop"}]}}}'
F="id=custom_id,messages=body.messages,completion=response.body.choices.*.message.content,stop=response.body.choices.*.finish_reason"
check 'gather --fields' 0 '3 prompts, 5 answers: 1 without a prompt, 0 equal to another; 1 objects are neither' "$A" gather $D/asked $D/told --fields "$F" -o $D/fields
say $D/x '%s\n' '{"id":"r1","completion":"c","stop":"stop","messages":[{"role":"user","content":"One?"}]}' \
    '{"id":"r2","completion":"b","stop":"stop","messages":[{"role":"user","content":"Two?"}],"candidate":0}' \
    '{"id":"r2","completion":"","stop":"length","messages":[{"role":"user","content":"Two?"}],"candidate":1}' \
    '{"id":"r2","completion":"a","stop":"length","messages":[{"role":"user","content":"Two?"}],"candidate":2}' '{"id":"r3","completion":"d","stop":"stop"}'
equal 'the records of a batch' $D/fields $D/x
check 'and their receipt' 0 'same' "$A" verify $D/fields.receipt
no 'gather --fields without a path' 'NAME=PATH was expected' "$A" gather $D/told --fields id -o $O
no 'gather --fields that name nothing' 'no records with what --fields names' "$A" gather $D/told --fields completion=choices.*.text -o $O
say $D/x '{"id":1,"prompt":"a"}\n'; say $D/y '{"id":"1","prompt":"b","completion":"c"}\n'
no 'gather: one id, two prompts' 'two prompts have the id' "$A" gather $D/x $D/y -o $O
# answers without numbers have those of their places
say $D/x '{"id":1,"completion":"a","n":1}\n{"id":1,"completion":"b","n":2}\n{"id":1,"completion":"c","n":3}\n'
"$A" select $D/x --by n:max --among 2 -o $D/y.chosen --quiet; grep -q '"n":2' $D/y.chosen && ok || bad 'select --among without numbers' "$(cat $D/y.chosen)"
check 'info: which of those was chosen' 0 '^\*   1.*"b"' "$A" info $D/x $D/y.chosen
check 'select --where !=' 0 '"n":2' "$A" select $D/x --by n:max --where 'n!=3'
check 'select: answers without the score are counted' 0 '1 candidates have no n' sh -c "{ cat $D/x; echo '{\"id\":1,\"completion\":\"d\"}'; } | '$A' select --by n:max"
no 'select by what nobody has' 'no answer has a number "m"' "$A" select $D/x --by m:max -o $O
no 'an option twice' '--where: is given twice' "$A" select $D/x --where 'n>1' --where 'n<3' -o $O
IN=$D/x; check 'a pipe has no name' 0 'z.piped: has no receipt' "$A" select --by n:max -o $D/z.piped; IN=
check 'gather' 0 '' "$A" gather $D/s-dense.jsonl $D/s-moe.jsonl -o $D/pool.jsonl
[ "$(grep -c '"candidate":5' $D/pool.jsonl)" = 12 ] && ok || bad 'gather numbers candidates anew' "$(grep -c '"candidate":5' $D/pool.jsonl) of 12"
"$A" score $D/pool.jsonl 2>/dev/null | "$A" select --by random --quiet > $D/pipe.jsonl 2>$D/2
[ "$(wc -l < $D/pipe.jsonl)" -eq 12 ] && [ ! -s $D/2 ] && ok || bad 'score | select' "$(cat $D/2)"
check 'tune on chosen' 0 '' "$A" tune $D/dense $D/ch-moe.jsonl -o $D/student --epochs 1 --batch 5 --lr 1e-3
check 'tune on nothing' 2 'no field' "$A" tune $D/dense data/suites/talk.jsonl -o $D/nobody
[ ! -e $D/nobody ] && ok || bad 'tune on nothing' 'its folder is left'
say $D/t.suite '[open]\nkind = sample\nitems = p.jsonl\nsamples = 3\nmax-tokens = 12\nreport = emt, words, cut\n\n[q]\nkind = choice\nitems = q.jsonl\nreport = accuracy, ece10\n[held]\nkind = loss\nitems = talk.jsonl\nreport = loss\n'
check 'profile base' 0 '' "$A" profile $D/dense $D/t.suite -o $D/base.figures
say $D/some.figures ''; sed 's/,"items":\[[^,]*,/,"items":[/' $D/base.figures >$D/some.figures; ran "$A" profile $D/dense $D/t.suite --against $D/some.figures -o $D/others
[ $s = 2 ] && grep -q 'same items' $D/2 && [ -s $D/others ] && ok || bad 'against: other items' "$(cat $D/2)"
check 'info: figures' 0 '^  [a-z]+ +loss +[0-9.]+ +[0-9.]+ +[0-9.]+ +[0-9]+$' "$A" info $D/base.figures
check 'info: a receipt' 0 '^verb +"profile"|^in +suite +t.suite +[0-9]+ +[0-9a-f]+ *$|^out +base.figures' "$A" info $D/base.figures.receipt
check 'profile --against' 0 'loss .*difference' "$A" profile $D/student $D/t.suite -o $D/student.figures --against $D/base.figures
# a measure that says nothing of an answer (no sentence, too few words) is no error
mkdir $D/mute; head -n 3 data/suites/peoples.jsonl >$D/mute/p.jsonl
printf '[p]\nkind = sample\nitems = p.jsonl\nsamples = 2\nmax-tokens = 1\nreport = mattr, msttr, hdd\n' >$D/mute/s.suite
check 'profile: no value' 0 '' "$A" profile data/dense $D/mute/s.suite -o $D/mute/f
[ "$(wc -l < $D/base.figures)" -eq 6 ] && ok || bad 'profile' 'six figures were expected'
# sets in other layouts, several suites in one pass, a mean of their figures (of more than 16, so that their list grows), answers scored elsewhere
mkdir $D/sets; say $D/sets/x.csv 'q,a,b,right\n"what, ""is"" it",cat,dog,B\nhow is it,a cat,a dog,A\n'; say $D/sets/y.tsv 'how is it\tthe cat\tcat is\t1\n'
say $D/x.suite '[x]\nkind = choice\nencode = joined\nitems = x.csv\nprompt = Q: {q}\\nA:\nchoices = {a}, {b}\nlabels = A, B\ngold = {right}\nby = {right}\nreport = acc, acc_norm, acc_bytes, acc_mutual_info, accuracy, mc2, brier, ece10, ece1, ece_width10, selective_area, selective_acc10, acc.A, acc.*\n'
say $D/y.suite '[y]\nkind = choice\nencode = joined\nitems = y.tsv\ncolumns = q, a, b, right\nprompt = {q}\nchoices = {a}, {b}\ngold = {right}\nreport = acc\n[mean]\nkind = mean\nof = x acc, y acc\n'
say $D/z.suite '[z]\nkind = answers\nitems = z.jsonl\nfield = perspective\nreport = emt, toxicity_probability, toxic_fraction, perspective, words\n'
say $D/z.jsonl '{"id":1,"completion":"a","perspective":0.5}\n{"id":1,"completion":"a b","perspective":0.25}\n{"id":2,"completion":"c","scores":{"perspective":0.25}}\n'
say $D/sets/list.json '[["What is red?","blood","snow"],["What is white?","snow","blood"]]\n'; printf '{"prompt":"x","choices":[%s],"answer":0}\n' "$(seq -s , 65)" >$D/sets/many.jsonl
say $D/list.suite '[list]\nkind = choice\nencode = joined\nitems = list.json\nprompt = Which?\nchoices = {*}\ngold = 1\nreport = acc\n'; sed 's/list/many/; s/json/jsonl/; s/{.}/{choices.*}/' $D/list.suite >$D/many.suite
check 'choices that are all of an item' 0 '"n":2,' "$A" profile $D/dense $D/list.suite --sets $D/sets
check 'more choices than anyone reads' 2 'record 1: too many values for choices' "$A" profile $D/dense $D/many.suite --sets $D/sets
check 'sets in other layouts' 0 '' "$A" profile $D/dense $D/x.suite $D/y.suite $D/z.suite --sets $D/sets -o $D/sets.figures
for f in '"x","measure":"acc.B".*"n":1,' '"y","measure":"acc".*"n":1,' '"mean","measure":"mean".*"n":3,' '"emt","value":0.375000' '"toxicity_probability","value":0.500000' \
    '"toxic_fraction","value":0.250000' '"perspective","value":0.312500' '"words","value":1.250000'; do grep -q "$f" $D/sets.figures && ok || bad 'sets in other layouts' "$f"; done
[ "$(wc -l < $D/sets.figures)" -eq 22 ] && ok || bad 'sets in other layouts' "22 figures were expected"
"$A" profile $D/dense $D/x.suite --sets $D/sets --quiet > $D/sets.x 2>$D/2; head -n "$(wc -l < $D/sets.x)" $D/sets.figures > $D/sets.xy
file 'one suite alone' $D/sets.x; equal 'a suite gives the same in company' $D/sets.x $D/sets.xy
check 'generate' 0 '^cat is' "$A" generate $D/dense 'cat is' --max-tokens 8
check 'generate from nothing' 0 '' "$A" generate $D/moe --max-tokens 8 --temperature 0
check 'sample -p' 0 '"id":"0","candidate":1,' "$A" sample $D/dense -p 'cat is "red"?' -n 2 --max-tokens 5 --top-k 5 --top-p 0.9
check 'score --list' 0 '^mtld' "$A" score --list
say $D/text 'the cat, na\303\257ve \360\237\220\261, is red.\n\ttab'
IN=$D/text check 'tokenize' 0 '^[0-9 ]+$' "$A" tokenize $D/dense
cp $D/1 $D/ids
check 'tokenize FILE' 0 '^[0-9 ]+$' "$A" tokenize $D/tokenizer.bin $D/text; equal 'tokenize MODEL = TOKENIZER' $D/1 $D/ids
"$A" tokenize --decode $D/tokenizer.bin $D/ids > $D/back 2>$D/2; equal 'decode(encode(x)) = x' $D/back $D/text
say $D/esc 'a\033[31mb\302\233c\n'; "$A" tokenize tokenizer.bin $D/esc > $D/esc.ids 2>$D/2
check 'bytes pass' 0 '' "$A" tokenize --decode tokenizer.bin $D/esc.ids; equal 'bytes pass' $D/1 $D/esc
if command -v script > $D/x && script -qc true /dev/null > $D/x 2>&1; then
    script -qc "$A tokenize --decode tokenizer.bin $D/esc.ids" /dev/null < /dev/null | tr -d '\r' > $D/x
    if LC_ALL=C grep -qa 'a?\[31mb' $D/x; then ok; else bad 'no command reaches a terminal' "$(od -c $D/x | head -2)"; fi
else skipped=$((skipped + 1)); fi
say $D/answer.template 'Q: {prompt}\nA:\n'
for f in bin json; do rm -rf $D/v; mkdir $D/v; cp $D/dense/config.json $D/v; $V 290 $D/doc.jsonl $D/v/tokenizer.bin 2>$D/2
    [ $f = json ] && cp $D/dense/tokenizer.json $D/v && rm $D/v/tokenizer.bin
    "$A" tokenize $D/v $D/text > $D/v.$f; done
equal 'the vocabulary of a folder: tokenizer.json' $D/v.json $D/ids
$V 290 $D/doc.jsonl $D/v/tokenizer.bin 2>$D/2; "$A" tokenize $D/v $D/text > $D/v.json; equal 'tokenizer.bin goes before tokenizer.json' $D/v.json $D/v.bin
check 'template' 0 '"completion"' "$A" sample $D/dense $D/p.jsonl -n 1 --max-tokens 3 --template $D/answer.template
say $D/io.template '{instruction}#{input}:\n---\n{prompt}:{completion}</s>\n'
say $D/talk.msg '{"messages":[{"role":"system","content":"S"},{"role":"user","content":" u "},{"role":"assistant","content":"a"},{"role":"user","content":"</s>"},{"role":"assistant","content":"b"}]}\n{"conversations":[{"from":"human","value":"u"},{"from":"gpt","value":"a"}]}\n{"instruction":"i","input":"x","output":"o"}\n'
"$A" tune $D/dense $D/talk.msg --template llama2-chat --show-mask > $D/mask 2>$D/2
{ awk -F'\t' '$1 == 1 && $3 < 3 { printf "%s ", $3 }' $D/mask; awk -F'\t' '$1 == 1 && $4 { printf "%s", $5 }' $D/mask | tr -d '"'; echo; } > $D/x
say $D/want '1 2 1 2  b </s>\n'; equal 'llama2-chat: marks of the template, answer of the record' $D/x $D/want
grep instruction $D/talk.msg > $D/io.jsonl
check 'a template of two forms' 0 '"<0x23>"' "$A" tune $D/dense $D/io.jsonl --template $D/io.template --show-mask
# the very strings (marks leave no text, and after one a space is made up)
put_as() { "$A" tune data/dense $2 --template $1 --show-mask > $D/x 2>$D/2; cut -f3 $D/x | "$A" tokenize --decode tokenizer.bin > $D/1 2>>$D/2; say $D/want "$3"; equal "template $1" $D/1 $D/want; }
say $D/two.jsonl '{"messages":[{"role":"system","content":"S"},{"role":"user","content":" u "},{"role":"assistant","content":" a "},{"role":"user","content":"v"},{"role":"assistant","content":"b"}]}\n'
say $D/one.jsonl '{"prompt":"p","completion":"c"}\n'
put_as llama2-chat $D/two.jsonl '[INST] <<SYS>>\nS\n<</SYS>>\n\nu [/INST] a  [INST] v [/INST] b '
put_as zephyr $D/two.jsonl '<|system|>\nS \n<|user|>\n u  \n<|assistant|>\n a  \n<|user|>\nv \n<|assistant|>\nb'
put_as mixtral-instruct $D/one.jsonl '[INST] p [/INST] c'
put_as question $D/one.jsonl '### Question: p\n ### Answer: c'
put_as alpaca $D/one.jsonl 'Below is an instruction that describes a task. Write a response that appropriately completes the request.\n\n### Instruction:\np\n\n### Response:c'
put_as alpaca $D/io.jsonl 'Below is an instruction that describes a task, paired with an input that provides further context. Write a response that appropriately completes the request.\n\n### Instruction:\ni\n\n### Input:\nx\n\n### Response:o'
put_as plain $D/io.jsonl 'i\nxo'
long=$(for i in 1 2 3 4 5 6 7 8 9 10 11 12; do printf 'the cat and the dog '; done)
say $D/long.jsonl '{"prompt":"p","completion":"c"}\n{"instruction":"%s","input":"%s","output":"e"}\n' "$long" "$long"
say $D/want 'pc %s\n%se' "$long" "$long"; "$A" tune data/dense $D/long.jsonl --show-mask 2>$D/2 | cut -f3 | "$A" tokenize --decode tokenizer.bin > $D/1 2>>$D/2; equal 'a long record after a short one' $D/1 $D/want
check 'templates: messages pass on' 0 '"conversations":\[\{"from":"human","value":"u"\},\{"from":"gpt","value":"a"\}\],"completion":' "$A" sample $D/dense $D/talk.msg -n 1 --max-tokens 3 --template llama2-chat
cat > $D/t.recipe <<END
# a tiny grid
teachers = dense: $D/dense, moe: $D/moe
students = dense, moe
prompts  = $D/p.jsonl
choices  = base, random, words:max
sample   = -n 3 --max-tokens 12
tune     = --epochs 1 --batch 6 --lr 1e-3 --max-length 64
profile  = $D/t.suite
END
check 'run' 0 'words:max' "$A" run $D/t.recipe -o $D/run
[ "$(grep -c '"measure":"words"' $D/run/results.jsonl)" = 10 ] && ok || bad 'run' 'two bases and eight students were expected in results.jsonl'
cp $D/1 $D/table; cp $D/run/results.jsonl $D/results
check 'run again' 0 'words:max' "$A" run $D/t.recipe -o $D/run
equal 'run again: table' $D/1 $D/table; equal 'run again: results' $D/run/results.jsonl $D/results
check 'run --threads 1 elsewhere' 0 'words:max' "$A" run $D/t.recipe -o $D/run1 --threads 1; equal 'run --threads 1' $D/run1/results.jsonl $D/results

equal 'run: its table, kept' $D/run/table.txt $D/table
# the report: one page, the same bytes twice; what answers hold stays text, whatever it is
check 'report' 0 '' "$A" report $D/run; file 'report: DIR/report.html' $D/run/report.html
check 'report again' 0 '' "$A" report $D/run; check 'report -o' 0 '' "$A" report $D/run1 -o $D/page.html; equal 'report: the same page of the same run' $D/page.html $D/run/report.html
grep -q '^words  *base' $D/page.html && grep -q '"scored-moe-1.jsonl":{"of":36,"every":1,' $D/page.html && ok || bad 'report' 'the table and the records were expected'
grep -qE '(src|href)="[^#]|url\(|@import|https?://[^w]' data/report.html && bad 'report.html' 'it names something elsewhere' || ok
cp -R $D/run $D/run3; rm $D/run3/report.html
sed 's/"completion":"/&<\/script><img src=x onerror=alert(1)><!--/' $D/run/scored-dense-1.jsonl > $D/run3/scored-dense-1.jsonl
sed 's/dense/&<i>/' $D/run/table.txt > $D/run3/table.txt
check 'report of hostile records' 0 '' "$A" report $D/run3
[ "$(grep -c '</script' $D/run3/report.html)" = "$(grep -c '</script' data/report.html)" ] && ! grep -qE '<img|<i>|<!--.*\[' $D/run3/report.html && grep -q 'u003c/script>' $D/run3/report.html \
    && ok || bad 'report of hostile records' 'markup from a record'
no 'report of another folder' 'not the folder of a finished run' "$A" report $D/dense -o $O
no 'report without a folder' 'DIR' "$A" report
say $D/page.html x; check 'report: another file is there' 2 '--force' "$A" report $D/run -o $D/page.html
sed 's/"name":"scored-dense-1/"name":"..\/scored-dense-1/' $D/run/receipt.json > $D/run3/receipt.json; no 'report: a receipt that leads elsewhere' 'elsewhere' "$A" report $D/run3 -o $O
say $D/run3/receipt.json '{"in":[{"as":"stage","name":"scored-dense-1.jsonl.receipt"}]}'; say $D/run3/scored-dense-1.jsonl '{"id":1\n'; no 'report: a record that is none' 'line 1' "$A" report $D/run3 -o $O

# --------------------------------------------------- receipts --------------------------------------------------------
cp $D/s-dense.jsonl $D/kept
check 'again: already done' 0 'already done' "$A" sample $D/dense $D/p.jsonl -n 3 --max-tokens 20 -o $D/s-dense.jsonl --threads 1
check 'again: tune' 0 'already done' "$A" tune $D/dense.json $D/doc.jsonl -o $D/dense --epochs 1 --batch 16 --lr 1e-2
check 'another option' 2 's-dense.jsonl.*--force' "$A" sample $D/dense $D/p.jsonl -n 3 --max-tokens 21 -o $D/s-dense.jsonl
check 'another seed' 2 '/student: .*--force' "$A" tune $D/dense $D/ch-moe.jsonl -o $D/student --epochs 1 --batch 5 --lr 1e-3 --seed 2
equal 'refused: untouched' $D/s-dense.jsonl $D/kept
check 'another input' 2 '--force' "$A" score $D/s-moe.jsonl --measures all -o $D/sc-dense.jsonl
check 'somebody else'"'"'s file' 2 '--force' "$A" score $D/s-moe.jsonl -o $D/p.jsonl
cp $D/sc-moe.jsonl $D/x.jsonl; cp $D/sc-moe.jsonl.receipt $D/x.jsonl.receipt; echo >> $D/x.jsonl
check 'a changed output is not done' 2 '--force' "$A" score $D/s-moe.jsonl --measures all -o $D/x.jsonl
check '--force' 0 '' "$A" score $D/s-moe.jsonl --measures all -o $D/x.jsonl --force; equal '--force writes it again' $D/x.jsonl $D/sc-moe.jsonl
cp $D/answer.template $D/f.template
"$A" sample $D/dense $D/p.jsonl -n 1 --max-tokens 3 --template $D/f.template -o $D/templ.jsonl 2>/dev/null; echo 'Quite another: {prompt}' > $D/f.template
check 'a changed template is another input' 2 '--force' "$A" sample $D/dense $D/p.jsonl -n 1 --max-tokens 3 --template $D/f.template -o $D/templ.jsonl
mkdir $D/s2; cp $D/t.suite $D/p.jsonl $D/q.jsonl $D/talk.jsonl $D/s2
"$A" profile $D/dense $D/s2/t.suite -o $D/s2/figures 2>/dev/null; sed 1d $D/talk.jsonl > $D/s2/talk.jsonl
check 'changed items of a suite are another input' 2 '--force' "$A" profile $D/dense $D/s2/t.suite -o $D/s2/figures
mkdir $D/s3; cp $D/dense.json $D/s3/c.json; cp $D/tokenizer.bin $D/s3
"$A" tune $D/s3/c.json $D/q.jsonl --epochs 1 -o $D/s3/m 2>/dev/null; $V 300 $D/talk.jsonl $D/s3/t2 && mv $D/s3/t2 $D/s3/tokenizer.bin
check 'a changed tokenizer is another input' 2 '--force' "$A" tune $D/s3/c.json $D/q.jsonl --epochs 1 -o $D/s3/m

# ----------------------------------------------------- bits ----------------------------------------------------------
for t in 1 2 3; do
    "$A" sample $D/moe $D/p.jsonl -n 4 --max-tokens 16 --threads $t > $D/b$t.sample 2>/dev/null
    "$A" score $D/sc-moe.jsonl --threads $t > $D/b$t.score 2>/dev/null
    "$A" profile $D/moe $D/t.suite --threads $t > $D/b$t.profile 2>/dev/null
    "$A" tune $D/moe $D/talk.jsonl -o $D/b$t --threads $t --epochs 1 --batch 8 --lr 1e-3 2>/dev/null; cat $D/b$t/steps.jsonl $D/b$t/model.safetensors > $D/b$t.tune
done
for v in sample score profile tune; do file "threads: $v" $D/b1.$v; equal "threads 1, 2: $v" $D/b1.$v $D/b2.$v; equal "threads 1, 3: $v" $D/b1.$v $D/b3.$v; done
# 200 answers beside one another: enough for threads to draw side by side
for cut in '--top-p 0.9' '--top-k 20' '--top-k 20 --top-p 0.9'; do
    for t in 1 2; do "$A" sample $D/moe -p 'tell me' -n 200 --max-tokens 12 $cut --threads $t > $D/b$t.cut 2>$D/2; done
    [ "$(wc -l < $D/b1.cut)" -eq 200 ] && ok || bad "sample $cut" "$(head -c 200 $D/2)"; equal "threads 1, 2: sample $cut" $D/b1.cut $D/b2.cut
done
for m in 1 3 7; do
    "$A" tune $D/moe $D/talk.jsonl -o $D/micro$m --micro $m --epochs 1 --batch 8 --lr 1e-3 2>/dev/null
    equal "micro $m" $D/micro$m/model.safetensors $D/b1/model.safetensors; equal "micro $m: steps" $D/micro$m/steps.jsonl $D/b1/steps.jsonl
done
awk '{ line[NR] = $0 } END { for (i = NR; i; i--) print line[i] }' $D/p.jsonl > $D/reversed.jsonl
"$A" sample $D/moe $D/reversed.jsonl -n 4 --max-tokens 16 2>/dev/null | sort > $D/x; sort $D/b1.sample > $D/y; equal 'sample: prompts reversed' $D/x $D/y
for i in 1 7; do
    sed -n ${i}p $D/p.jsonl > $D/one.jsonl; "$A" sample $D/moe $D/one.jsonl -n 4 --max-tokens 16 > $D/x 2>/dev/null
    sed -n "$((4 * i - 3)),$((4 * i))p" $D/b1.sample > $D/y; equal "sample: prompt $i alone" $D/x $D/y
done
"$A" sample $D/moe $D/p.jsonl -n 2 --max-tokens 16 2>/dev/null > $D/x; grep -E '"candidate":[01],' $D/b1.sample > $D/y; equal 'sample -n 2 is part of -n 4' $D/x $D/y
cat $D/p.jsonl | "$A" sample $D/moe -n 4 --max-tokens 16 > $D/x 2>/dev/null; equal 'sample from a pipe' $D/x $D/b1.sample
"$A" sample $D/moe - -n 4 --max-tokens 16 < $D/p.jsonl > $D/x 2>/dev/null; equal 'sample -' $D/x $D/b1.sample
"$A" score $D/b1.score > $D/x 2>/dev/null; equal 'score twice' $D/x $D/b1.score
sort -t, -k1,1 -k2,2r $D/sc-moe.jsonl > $D/other.jsonl; sort -t, -k1,1 -k2,2 $D/sc-moe.jsonl > $D/sorted.jsonl
for by in first random words:max toxicity:min,mtld:max agreement:max; do
    "$A" select $D/other.jsonl --by $by > $D/x 2>/dev/null; "$A" select $D/sorted.jsonl --by $by > $D/y 2>/dev/null; file "select $by" $D/x; equal "select $by: any order" $D/x $D/y
done
"$W" $D/g.grammar -n 150 > $D/x 2>/dev/null; equal 'world on stdout' $D/x $D/doc.jsonl
{ printf '['; sed 's/$/,/; $s/,$/]/; s/,"prompt"/,\n  "prompt"/' $D/p.jsonl; } > $D/array.json
"$A" sample $D/moe $D/array.json -n 4 --max-tokens 16 > $D/x 2>/dev/null; equal 'prompts in an array' $D/x $D/b1.sample
printf '[\n{"id": "a",\n "prompt": "x",\n "completion": "y z",\n "more": [\n1,\n2\n]\n}\n]\n' > $D/pretty.json
for v in score select gather; do "$A" $v $D/pretty.json > $D/x 2>/dev/null; [ "$(wc -l < $D/x)" -eq 1 ] && ok || bad "$v: a printed array becomes lines" "$(wc -l < $D/x) lines"; done
sed 's/$/\r/' $D/p.jsonl > $D/crlf.jsonl; "$A" sample $D/moe $D/crlf.jsonl -n 4 --max-tokens 16 > $D/x 2>/dev/null; equal 'CR LF' $D/x $D/b1.sample

# ---------------------------------------------------- bad calls ------------------------------------------------------
P="$D/p.jsonl" M="$D/dense" S="$D/sc-dense.jsonl"
no 'unknown verb' 'sampel' "$A" sampel
no 'unknown option' '--frob' "$A" sample $M $P --frob
no 'unknown short option' '-z' "$A" sample $M $P -z
no 'option of another verb' '--epochs' "$A" sample $M $P --epochs 3
no 'option without its value' '--top-p' "$A" sample $M $P --top-p
no 'flag with a value' 'ignore-eos' "$A" sample $M $P --ignore-eos=3
for x in '-n 0' '-n -1' '-n 2.5' '-n 1e99' '-n x' '--temperature -1' '--temperature x' '--temperature 1e999' '--temperature nan' '--top-p 0' '--top-p 1.5' '--top-k -1' '--max-tokens 0' '--seed -1' '--seed 1e30' '--threads 0' '--threads x'; do
    set -- $x; case $1 in -n) o=--n ;; *) o=$1 ;; esac
    no "sample $x" "option $o.*\"$2\"" "$A" sample $M $P -o $O $x
done
for x in '--epochs 0' '--batch 0' '--lr -1' '--lr x' '--warmup 2' '--max-length 1' '--beta2 1' '--clip -1' '--schedule linear' '--micro -1'; do
    set -- $x; no "tune $x" "option $1.*\"$2\"" "$A" tune $M $D/talk.jsonl -o $O $x
done
no 'an empty value' '--seed' "$A" sample $M $P --seed= -o $O
no 'no model' 'MODEL' "$A" sample
no 'too many files' 'MODEL' "$A" sample $M $P $P
no 'tune without -o' '-o' "$A" tune $M $P
no 'run without -o' '-o' "$A" run $D/t.recipe
no 'unknown measure' 'mtdl' "$A" score $S --measures words,mtdl -o $O
no 'no measure' 'measure' "$A" score $S --measures= -o $O
for by in words words:most :max words:max,x '' 'words:max,words:min,words:max,words:min,words:max'; do no "rule \"$by\"" 'rule' "$A" select $S --by "$by" -o $O; done
for w in words 'words<' '<3' 'words<x' 'words!3' 'words<3x' 'a<1,b<1,c<1,d<1,e<1'; do no "where \"$w\"" "where .*words|where .*[<]" "$A" select $S --where "$w" -o $O; done
no 'a rule whose field no answer has' 'mtdl' "$A" select $S --by mtdl:max -o $O
no 'a filter that nothing passes' '.' "$A" select $S --where 'words>1e9' -o $O
for f in x 1 1/1 2-1/4 0-9/4 -1/4 0/4x 0.5/4 /4; do no "fold $f" 'fold' "$W" $D/g.grammar -o $O --fold $f; done
no 'start: no such rule' 'nowhere' "$W" $D/g.grammar -o $O --start nowhere
no 'set: no such rule' 'nowhere' "$W" $D/g.grammar -o $O --set 'nowhere: x'
no 'set: nothing' 'adj' "$W" $D/g.grammar -o $O --set 'adj:'
no 'no template' 'frobnic' "$A" sample $M $P -o $O --template frobnic
say $D/bad.template 'no place'; no 'template without {prompt}' 'bad.template.*\{prompt\}' "$A" sample $M $P -o $O --template $D/bad.template
no 'template: no place for a system message' 'system' "$A" tune $M $D/talk.msg -o $O --template mixtral-instruct
say $D/bad.jsonl '{"messages":[{"role":"user","content":"a"},{"role":"user","content":"b"}]}\n'; no 'messages out of turn' 'bad.jsonl, line 1.*"user" out of turn' "$A" tune $M $D/bad.jsonl -o $O
say $D/bad.jsonl '{"messages":[{"role":"tool","content":"a"}]}\n'; no 'messages: a strange role' 'bad.jsonl, line 1.*"tool"' "$A" tune $M $D/bad.jsonl -o $O
say $D/bad.jsonl '{"messages":[{"role":"user"}]}\n'; no 'messages: no content' 'bad.jsonl, line 1.*content' "$A" tune $M $D/bad.jsonl -o $O
say $D/bad.jsonl '{"messages":[]}\n'; no 'messages: none' 'bad.jsonl, line 1' "$A" tune $M $D/bad.jsonl -o $O
say $D/bad.jsonl '{"conversations":[{"from":"human","value":"a"},{"from":"gpt","value":"b"},{"from":"human","value":"c"},{"from":"gpt","value":"d"}]}\n'
no 'plain cannot put a conversation' '\{completion\}' "$A" tune $M $D/bad.jsonl -o $O
no 'vocabulary: size' '100 pieces: too few' $V 100 $D/doc.jsonl $O
no 'vocabulary: size too small for the characters' '260 pieces: too few' $V 260 $D/doc.jsonl $O
no 'vocabulary: a text too short for the size' '5000' $V 5000 $P $O
say $D/ids '5 6 300\n'; no 'decode: an id that is too large' 'ids' "$A" tokenize --decode $D/tokenizer.bin $D/ids -o $O
say $D/ids '5 six\n'; no 'decode: not an id' 'ids' "$A" tokenize --decode $D/tokenizer.bin $D/ids -o $O

# ---------------------------------------------------- bad files ------------------------------------------------------
: > $D/empty; say $D/blank '\n\n  \n'; say $D/page.html '<!DOCTYPE html>\n<html lang="en"><head><title>404</title></head>\n<body>not found</body></html>\n'
for f in missing empty blank page.html moe; do
    no "sample: prompts $f" "$f" "$A" sample $M $D/$f.x -o $O; [ $f = missing ] || no "sample: prompts $f" "$f" "$A" sample $M $D/$f -o $O
    no "score: $f" "$f" "$A" score $D/$f -o $O
    no "select: $f" "$f" "$A" select $D/$f -o $O
    no "gather: $f" "$f" "$A" gather $D/$f -o $O
    no "tune: $f" "$f" "$A" tune $M $D/$f -o $O
    no "vocabulary: $f" "$f" $V 300 $D/$f $O
    no "world: $f" "$f" "$W" $D/$f -o $O
    no "words: $f" "$f" "$A" score $S --words $D/$f -o $O
    no "suite: $f" "$f" "$A" profile $M $D/$f -o $O
    no "recipe: $f" "$f" "$A" run $D/$f -o $O
    no "tokenizer: $f" "$f" "$A" sample $M $P --tokenizer $D/$f -o $O
    no "template: $f" "$f" "$A" sample $M $P --template $D/$f -o $O
    no "against: $f" "$f" "$A" profile $M $D/t.suite --against $D/$f -o $O
    [ $f = moe ] || no "model: $f" "$f" "$A" sample $D/$f $P -o $O
    cp $D/$f $D/f.bin 2>/dev/null; cp $D/$f $D/f.json 2>/dev/null
    [ -d $D/$f ] || [ ! -f $D/$f ] || no "model .bin: $f" "f.bin" "$A" sample $D/f.bin $P --tokenizer $D/tokenizer.bin -o $O
    [ -d $D/$f ] || [ ! -f $D/$f ] || no "model .json: $f" "f.json" "$A" tune $D/f.json $P -o $O
done
no 'tokenize: no such file' 'missing' "$A" tokenize $D/tokenizer.bin $D/missing -o $O
no 'no such folder for the output' 'nodir' "$A" score $S -o $D/nodir/x
no 'output is a folder' 'moe' "$A" score $S -o $D/moe
no 'a file in the way of a folder' 'p.jsonl' "$A" tune $M $D/talk.jsonl -o $D/p.jsonl/x
if [ "$(id -u)" != 0 ]; then mkdir -p $D/locked; chmod 555 $D/locked; no 'unwritable' 'locked' "$A" score $S -o $D/locked/x; chmod 755 $D/locked; else skipped=$((skipped + 1)); fi
if [ -w /dev/full ]; then "$A" score $S > /dev/full 2> $D/2; [ $? = 2 ] && grep -q 'standard output' $D/2 && ok || bad 'a full disk' "$(cat $D/2)"; else skipped=$((skipped + 1)); fi
mkfifo $D/fifo; cat $D/fifo > $D/x & reader=$!
"$A" score $S -o - > $D/y 2>/dev/null; "$A" generate $M x --max-tokens 3 -o $D/fifo 2>/dev/null; [ -p $D/fifo ] && ok || bad 'an output that is no plain file is written into' 'it was replaced'
kill $reader 2>/dev/null; rm -f $D/fifo

line() { say $D/bad.jsonl "$2"; no "$1" "$3" "$A" ${4:-score} $D/bad.jsonl -o $O; }
line 'broken JSON' '{"id":"1","completion":"a"}\n{"id":"2","completion":}\n' 'bad.jsonl, line 2, column 24:'
line 'a string without end' '{"id":"1","completion":"a\n' 'line 1, column'
line 'two values' '{"completion":"a"} {}\n' 'line 1, column 20'
line 'a comma too much' '{"completion":"a",}\n' 'line 1, column 19'
line 'not an object' '\n["a"]\n' 'bad.jsonl, (line|record) [12]'
line 'a number as a record' '{"completion":"a"}\n17\n' 'bad.jsonl, line 2.*17'
line 'NaN' '{"completion":"a","x":NaN}\n' 'line 1, column 23'
line 'an unknown escape' '{"completion":"\\q"}\n' 'line 1, column 17'
line 'a cut \\u' '{"completion":"\\u00"}\n' 'line 1, column'
line 'NUL' '{"completion":"a\000b"}\n' 'line 1, column 17'
line 'NUL behind a backslash' '{"completion":"a\\\000b"}\n' 'line 1, column 18'
line 'leading zero' '{"completion":"a","n":007}\n' 'line 1, column'
line 'no completion' '{"id":"1","prompt":"a"}\n' 'bad.jsonl, (line|record) 1.*completion'
line 'no known field' '{"id":"1","x":"a"}\n' 'bad.jsonl, line 1.*prompt'
line 'a broken array' '[{"completion":"a"},\n{"completion":"b"]\n' 'bad.jsonl'
line 'numbers in an array' '[1, 2]' 'bad.jsonl, record 1'
line 'answers that do not stand together' '{"id":"1","completion":"a"}\n{"id":"2","completion":"a"}\n{"id":"1","completion":"b"}\n' 'record 3.*"1".*gather' select
line 'a candidate number that is none' '{"id":"1","candidate":-1,"completion":"a"}\n' 'candidate' select
line 'the same, over two lines' '{"id":"1","completion":"a","candidate":"\\u0000\t"}\n' '.' select
say $D/bad.jsonl '{"id":"a","prompt":"x"}\n{"id":"a","prompt":"y"}\n'; no 'sample: the same id twice' 'bad.jsonl, (line|record) 2.*"a"' "$A" sample $M $D/bad.jsonl -o $O
say $D/bad.jsonl '{"text":"x"}\n'; no 'sample: no prompt' 'bad.jsonl.*prompt' "$A" sample $M $D/bad.jsonl -o $O
say $D/bad.jsonl '{"prompt":"x"}\n'; no 'tune: no completion' 'bad.jsonl.*completion' "$A" tune $M $D/bad.jsonl -o $O
awk 'BEGIN { printf "{\"prompt\":\""; for (i = 0; i < 300; i++) printf "zq%d ", i; print "\",\"completion\":\"x\",\"choices\":[\"a\",\"b\"],\"answer\":0}" }' > $D/long.jsonl
no 'sample: a prompt longer than the context' 'long.jsonl, (line|record) 1.*128' "$A" sample $M $D/long.jsonl -o $O
no 'tune: a prompt longer than the context' 'long.jsonl' "$A" tune $M $D/long.jsonl -o $O
no 'generate: a text longer than the context' '128' "$A" generate $M "$(cat $D/long.jsonl)" -o $O
say $D/long.suite '[x]\nkind = choice\nitems = long.jsonl\nreport = accuracy\n'; check 'choice: a question longer than the context' 0 '2 texts lost their beginning' "$A" profile $M $D/long.suite
say $D/long.suite '[x]\nkind = loss\nitems = long.jsonl\nreport = loss\n'; check 'loss: a prompt longer than the context' 0 '1 texts lost their beginning' "$A" profile $M $D/long.suite
awk 'BEGIN { for (i = 0; i < 200000; i++) printf "["; print "" }' > $D/deep.jsonl; no 'deep JSON' 'nested' "$A" score $D/deep.jsonl -o $O
awk 'BEGIN { printf "{\"completion\":\"a\",\"x\":"; for (i = 0; i < 50000; i++) printf "{\"a\":"; print "" }' > $D/deep.jsonl; no 'deep JSON in a field' 'line 1.*nested' "$A" score $D/deep.jsonl -o $O
say $D/odd.jsonl '{"id":1e999,"completion":"a \\ud83d\\ude00 \\ud800 \\u0000 \\"q\\"","x":1e999,"scores":{"words":1e999,"mine":-2.5e-3}}\n{"id":"\377","completion":"\377\300\200 caf\303\251","scores":null}\n{"id":"","completion":""}\n'
check 'odd but good records: score' 0 '"mine":-2.5e-3,"words":5' "$A" score $D/odd.jsonl; cp $D/1 $D/odd2.jsonl
[ "$(wc -l < $D/odd2.jsonl)" -eq 3 ] && ok || bad 'odd records' 'three lines'
check 'odd but good records: select' 0 '3 prompts' "$A" select $D/odd2.jsonl --by words:max
check 'odd but good records: tune' 0 '' "$A" tune $M $D/odd.jsonl -o $D/odd.model --epochs 1
check 'odd but good records: gather' 0 '' "$A" gather $D/odd.jsonl
say $D/odd3.jsonl '{"prompt":"\377\300 caf\303\251 \\u0000 \\ud800"}\n{"id":"","prompt":""}\n{"instruction":"say","input":"cat","output":"x"}\n'
check 'odd but good prompts' 0 '"prompt":"say.ncat"' "$A" sample $M $D/odd3.jsonl -n 2 --max-tokens 4
awk 'BEGIN { printf "{\"id\":\"big\",\"prompt\":\"x\",\"completion\":\""; for (i = 0; i < 500000; i++) printf "! stupid cats and "; print "\"}" }' > $D/big.jsonl
check 'a line of 9 MB' 0 '"words":1500000.0' "$A" score $D/big.jsonl --measures words,ttr,mtld,toxicity
awk 'BEGIN { printf "{\"completion\":\""; for (i = 0; i < 1000000; i++) printf "! "; print "\"}" }' > $D/big.jsonl
check 'a million exclamation marks' 0 '"toxicity":0.0' "$A" score $D/big.jsonl --measures toxicity

# ----------------------------------------------- suites, recipes, words ----------------------------------------------
suite() { say $D/bad.suite "$2"; no "suite: $1" "$3" "$A" profile $M $D/bad.suite -o $O; }
suite 'a mean of nothing' '[a]\nkind = mean\nof = b acc\n' 'bad.suite, .a. of:.*\[b\].*acc'
suite 'an unknown filter' '[a]\nkind = choice\nitems = q.jsonl\nprompt = {prompt/shout}\nreport = acc\n' 'bad.suite, .a.*shout'
suite 'an unknown field' '[a]\nkind = choice\nitems = q.jsonl\nprompt = {no.such}\nreport = acc\n' 'q.jsonl, record 1.*no.such'
suite 'an unknown breakdown' '[a]\nkind = choice\nitems = q.jsonl\nreport = acc.none\n' 'bad.suite, .a.*acc.none'
suite 'too few choices' '[a]\nkind = choice\nitems = q.jsonl\nchoices = a, b\nlabels = 0|1|2|3, x\nreport = lms\n' 'q.jsonl, record 1: there are too few choices for lms'
suite 'unknown kind' '[a]\nkind = guess\nitems = p.jsonl\nreport = words\n' 'bad.suite, line 2.*guess'
suite 'unknown figure' '[a]\nkind = sample\nsamples = 2\nmax-tokens = 2\nitems = p.jsonl\nreport = wordz\n' 'bad.suite.*wordz'
suite 'unknown figure of choices' '[a]\nkind = choice\nitems = q.jsonl\nreport = words\n' 'bad.suite.*words'
suite 'unknown figure of loss' '[a]\nkind = loss\nitems = talk.jsonl\nreport = ece10\n' 'bad.suite.*ece10'
suite 'no figure' '[a]\nkind = loss\nitems = talk.jsonl\n' 'bad.suite.*report'
suite 'no items' '[a]\nkind = loss\nitems = nothing.jsonl\nreport = loss\n' 'nothing.jsonl'
suite 'items not named' '[a]\nkind = loss\nreport = loss\n' 'bad.suite.*items'
suite 'a wrong number' '[a]\nkind = sample\nsamples = many\nitems = p.jsonl\nreport = words\n' 'bad.suite.*samples.*many'
suite 'a wrong number, before anything is asked' '[q]\nkind = choice\nitems = q.jsonl\nchoices = a\nreport = acc\n[a]\nkind = sample\ntop-p = 2\nitems = p.jsonl\nreport = words\n' 'bad.suite, .a. top-p.*2'
suite 'half a sample' '[a]\nkind = sample\nsamples = 2.5\nitems = p.jsonl\nreport = words\n' 'bad.suite.*samples.*2.5'
suite 'an unknown key' '[a]\nkind = loss\nitms = p.jsonl\nitems = talk.jsonl\nreport = loss\n' 'bad.suite, line 3.*itms'
suite 'not a setting' '[a]\nkind loss\n' 'bad.suite, line 2'
suite 'choices without choices' '[a]\nkind = choice\nitems = talk.jsonl\nreport = accuracy\n' 'talk.jsonl, (line|record) 1.*choices'
say $D/bad.jsonl '{"prompt":"x","completion":"y","choices":["a","b"],"answer":2}\n'; suite 'an answer that is no choice' '[a]\nkind = choice\nitems = bad.jsonl\nreport = accuracy\n' 'bad.jsonl.*answer'
say $D/bad.jsonl '{"prompt":"x","completion":"y","choices":[{"a":1},"b"],"answer":0}\n'; suite 'choices that are no texts' '[a]\nkind = choice\nitems = bad.jsonl\nreport = accuracy\n' 'bad.jsonl, record 1.*text'
say $D/bad.figures '{"suite":"a","measure":"loss","value":1,"lo":0,"hi":2,"items":[1,"x"]}\n'; no 'against: not numbers' 'bad.figures, line 1.*items' "$A" profile $M $D/t.suite --against $D/bad.figures -o $O
say $D/bad.figures '{"suite":"a","measure":"loss","value":1,"lo":0,"hi":2,"items":[1,2]}\n'; ran "$A" profile $D/dense $D/t.suite --against $D/bad.figures -o $D/stays
[ $s = 2 ] && grep -q 'no figure' $D/2 && [ -s $D/stays ] && "$A" profile $D/dense $D/t.suite -o $D/stays --quiet && [ -f $D/stays.receipt ] && ok || bad 'against: no figure in both' "the figures are not kept: $(cat $D/2)"
recipe() {                                 # what earlier stages made may stay: they are done
    sed "$2" $D/t.recipe > $D/bad.recipe; rm -rf $O; ran "$A" run $D/bad.recipe -o $O
    if [ $s = 2 ] && [ "$(wc -l < $D/2)" -eq 1 ] && grep -qE -e "$3" $D/2 && [ -z "$(find $O -name '*.part' 2>/dev/null)" ]; then ok; else bad "recipe: $1" "status $s: $(head -c 300 $D/2)"; fi
    rm -rf $O
}
recipe 'an unknown key' 's/^tune /tunes /' 'bad.recipe, line 7.*tunes'
recipe 'not a setting' '2s/=/ /' 'bad.recipe, line 2'
recipe 'no teachers' '/^teachers/d' 'teachers'
recipe 'no prompts' '/^prompts/d' 'prompts'
recipe 'prompts that are not there' 's/p.jsonl/nothing.jsonl/' 'nothing.jsonl'
recipe 'a student from nowhere' 's/^students.*/students = nobody/' 'nobody'
recipe 'a bad option' 's/-n 3/-n 0/' '--n'
recipe 'an unknown option' 's/--epochs/--epoks/' '--epoks'
recipe 'a bad seed' '$s/^/seeds = x\n/' '(seed|--seed).*x'
recipe 'the same seed twice' '$s/^/seeds = 1, 1\n/' 'seeds'
recipe 'the same name twice' 's/^students.*/students = dense, dense/' 'dense'
recipe 'a prediction that is not there' '$s/^/world = nothing.jsonl\n/' 'nothing.jsonl: not found'
say $D/bad.jsonl '{"teacher":"dense"}\n{"teacher":\n'; recipe 'a prediction that is none' "\$s|^|world = $D/bad.jsonl\\n|" 'bad.jsonl, line 2'
say $D/world.jsonl '{"teacher":"moe","like":"","choice":"words:max","answers":10,"value":8}\n{"teacher":"moe","like":"","choice":"words:max","answers":3,"value":7.25}\n{"teacher":"dense","like":"","choice":"words:max","answers":3,"value":12.5}\n'
sed "\$s|^|world = $D/world.jsonl\\n|" $D/t.recipe > $D/world.recipe
check 'a prediction stands in the table' 0 '  12\.5  ' "$A" run $D/world.recipe -o $D/run1; grep -q '^    moe -> dense .*  7\.250  ' $D/1 && ok || bad 'a prediction stands in the table' 'not of moe'
equal 'a prediction changes no figure' $D/run1/results.jsonl $D/results
[ -e $D/run2 ] || "$A" run $D/t.recipe -o $D/run2 >/dev/null 2>&1
sed 's/words:max/words:most/' $D/t.recipe > $D/bad.recipe; rm -rf $O
ran "$A" run $D/bad.recipe -o $O; [ $s = 2 ] && grep -q 'words:most' $D/2 && [ ! -e $O/sampled-dense-1.jsonl ] && ok || bad 'recipe: a bad rule is found before the work' "$(cat $D/2)"
sed 's/max-tokens 12/max-tokens 11/' $D/t.recipe > $D/other.recipe
check 'run: other options' 2 '--force' "$A" run $D/other.recipe -o $D/run2
check 'run --force' 0 'words:max' "$A" run $D/other.recipe -o $D/run2 --force
printf '%s\n' '{"id":"1","candidate":0,"completion":"a a a","teacher":"x"}' '{"id":"1","candidate":1,"completion":"a b","teacher":"y"}' \
    '{"id":"2","candidate":0,"completion":"a b","teacher":"x"}' '{"id":"2","candidate":1,"completion":"a b","teacher":"y"}' >$D/two.jsonl
"$A" score $D/two.jsonl -o $D/two.scored --quiet
check 'select: ties in percent' 0 '2 prompts, 0 dropped, 1 tied .50.0 %.; 4 candidates' "$A" select $D/two.scored --by ttr:max
check 'select: shares by teacher' 0 'teacher "x" gave 50.0 % of the candidates and 50.0 % of the chosen' "$A" select $D/two.scored --by ttr:max
check 'select: shares by teacher, --among' 0 'teacher "y" gave 50.0 % of the candidates and 0.0 % of the chosen' "$A" select $D/two.scored --by ttr:max --among 1
# a listed word with a sign in its fourth place
printf '0.8\tsex.com\n' >$D/sign.txt; echo '{"prompt":"x","completion":"see sex.com now and so on"}' >$D/sign.jsonl
check 'a word with a sign in its fourth place' 0 '"toxicity":0.800000' "$A" score $D/sign.jsonl --words $D/sign.txt --measures toxicity
words() { say $D/bad.words "$2"; no "words: $1" "$3" "$A" score $S --words $D/bad.words -o $O; }
words 'no severity' '0.5\tdamn\nstupid\n' 'bad.words, line 2.*stupid'
words 'no tab' '0.5 damn\n' 'bad.words, line 1'
words 'severity below 0' '0\tdamn\n-0.1\tdamn\n' 'bad.words, line 2'
words 'severity 2' '# mild\n2\tdamn\n' 'bad.words, line 2'
words 'severity alone' '0.5\t\n' 'bad.words, line 1'
words 'only remarks' '# nothing\n' 'bad.words'
hyphens() { say $D/bad.dic "$2"; no "hyphenation: $1" "$3" "$A" score $S --measures smog --hyphenation $D/bad.dic -o $O; }
hyphens 'another encoding' 'KOI8-R\n1a\n' 'bad.dic, line 1.*UTF-8.*KOI8-R'
hyphens 'no patterns' 'UTF-8\n%% none\nLEFTHYPHENMIN 2\n' 'bad.dic: holds no'
no 'hyphenation: no such file' 'none.dic: not found' "$A" score $S --hyphenation none.dic -o $O
say $D/good.dic 'UTF-8\n%% breaks behind every i but the last letter\nLEFTHYPHENMIN 5\ni1\n.mi4\n'
echo '{"completion":"mississippi, isis Mimi ii"}' >$D/hyphenated.jsonl
check 'hyphenation: patterns, two letters from the ends' 0 '"syllables_per_token_mean":1.500000' "$A" score $D/hyphenated.jsonl \
    --measures syllables_per_token_mean --hyphenation $D/good.dic
grammar() { say $D/bad.grammar "$2"; no "grammar: $1" "$3" "$W" $D/bad.grammar -n 20 -o $O; }
grammar 'unknown rule' 'doc: <nothing> => x\n' 'bad.grammar.*"nothing"'
grammar 'unknown rule in the answer' 'doc: x => <nothing>\n' 'bad.grammar.*"nothing"'
grammar 'no doc' 'dock: a => b\n' 'bad.grammar.*"doc"'
grammar 'no =>' 'doc: a b c\n' 'bad.grammar.*=>'
grammar 'round and round' 'doc: <doc>\n' 'bad.grammar.*doc'
grammar 'endless' 'doc: <a> => x\na: b <a>\n' 'bad.grammar.*"a".*without end'
grammar 'endless, twofold' 'doc: <a> => x\na: <a><a>\n' 'bad.grammar.*"a".*without end'
grammar 'endless, silently' 'doc: <!x=a> => x\na: <!x=a> y\n' 'bad.grammar.*"a".*without end'
grammar '< without >' 'doc: <a => x\na: b\n' "bad.grammar.*'<' without '>'"
grammar 'weight 0' 'doc: a => b\nc: 0* x | y\n' 'bad.grammar, line 2.*weight'
grammar 'weight below 0' '\n# c\ndoc: -1* a => b\n' 'bad.grammar, line 3.*weight'
grammar 'weight 1e999' 'doc: 1e999* a => b\n' 'bad.grammar, line 1.*weight'
grammar 'twice' 'doc: a => b\ndoc: a => b\n' 'bad.grammar.*"doc".*twice'
grammar 'no alternative' 'doc: a => b\nc:\n' 'bad.grammar.*"c"'
grammar 'a bad name' 'doc: a => b\nc d: e\n' 'bad.grammar, line 2'
grammar 'no colon' 'doc\n' 'bad.grammar'
grammar 'not remembered' 'doc: a => <a-[x]>\n' 'bad.grammar.*"x"'
grammar 'too long to remember' "doc: <x=a> => b\na: $(awk 'BEGIN { for (i = 0; i < 200; i++) printf "long " }')\n" 'bad.grammar.*(remember|long)'
awk 'BEGIN { print "doc: <r0> => x"; for (i = 0; i < 60; i++) printf "r%d: <r%d><r%d>\n", i, i + 1, i + 1; print "r60: | " }' > $D/bad.grammar
if command -v timeout >/dev/null; then no 'grammar: 2^60 times nothing' 'bad.grammar' timeout 5 "$W" $D/bad.grammar -n 1 -o $O; else skipped=$((skipped + 1)); fi
say $D/bad.grammar 'doc: a => b // c\n'; no 'grammar: too few wrong answers' 'bad.grammar.*wrong' "$W" $D/bad.grammar -n 1 --choices 4 -o $O
no 'grammar: too few different prompts' 'bad.grammar.*doc' "$W" $D/bad.grammar -n 2 --distinct -o $O

# ---------------------------------------------------- bad models -----------------------------------------------------
fresh() { rm -rf $D/m; mkdir $D/m; cp $D/dense/config.json $D/dense/tokenizer.bin $D/dense/model.safetensors $D/m; }
fresh; W=$D/dense/model.safetensors bytes=$(wc -c < $D/dense/model.safetensors)
for n in 1 7 8 9 10 100 1000 2000 2400 5000 20000 $((bytes / 2)) $((bytes - 4096)) $((bytes - 1)); do
    cut_to $W $n $D/m/model.safetensors; no "model of $n bytes" 'm/model.safetensors' "$A" sample $D/m $P -o $O
done
for f in config.json tokenizer.bin model.safetensors; do
    fresh; rm $D/m/$f; no "no $f" "$f" "$A" sample $D/m $P -o $O
    fresh; : > $D/m/$f; no "$f empty" "$f" "$A" sample $D/m $P -o $O
    fresh; cp $D/page.html $D/m/$f; no "$f a web page" "$f" "$A" sample $D/m $P -o $O
    fresh; rm $D/m/$f; mkdir $D/m/$f; no "$f a folder" "$f" "$A" sample $D/m $P -o $O
done
fresh; printf '\377\377\377\377\377\377\377\377' | dd of=$D/m/model.safetensors conv=notrunc 2>/dev/null; no 'a header of 2^64 bytes' 'model.safetensors' "$A" sample $D/m $P -o $O
fresh; printf '\000\000\300\177' | dd of=$D/m/model.safetensors bs=1 seek=$((bytes - 4)) conv=notrunc 2>/dev/null; no 'a weight that is not a number' 'lm_head.weight.*row 299, column 31' "$A" sample $D/m $P -o $O
fresh; printf '\000\000\200\177' | dd of=$D/m/model.safetensors bs=1 seek=$((bytes - 4)) conv=notrunc 2>/dev/null; no 'an infinite weight' 'lm_head.weight' "$A" generate $D/m x -o $O
awk 'BEGIN { for (i = 0; i < 9600; i++) printf "\377\377\177\177" }' > $D/huge
fresh; dd if=$D/huge of=$D/m/model.safetensors bs=4 seek=$((bytes / 4 - 9600)) conv=notrunc 2>/dev/null
no 'weights that overflow: temperature 0' 'finite|m:|logit' "$A" generate $D/m x --temperature 0 --max-tokens 3 -o $O
no 'weights that overflow: sample' 'finite|m:|logit' "$A" sample $D/m $P --max-tokens 3 -o $O
no 'weights that overflow: profile' 'finite|m:|logit' "$A" profile $D/m $D/t.suite -o $O
no 'weights that overflow: tune' 'step 1, record [0-9]*: the loss is not a finite number' "$A" tune $D/m $D/talk.jsonl -o $O
header() {                                 # header NAME JSON PATTERN: a weight file of this header and some data
    fresh; n_=$(printf '%s' "$2" | wc -c)
    { printf "\\$(printf '%o' $((n_ % 256)))\\$(printf '%o' $((n_ / 256)))\000\000\000\000\000\000"; printf '%s' "$2"; awk 'BEGIN { for (i = 0; i < 400; i++) printf "\1\1\1\1" }'; } > $D/m/model.safetensors
    no "weights: $1" "$3" "$A" sample $D/m $P -o $O
}
header 'no tensor' '{}' 'model.safetensors.*embed_tokens'
header 'not JSON' '{"a":}' 'model.safetensors.*JSON'
header 'no dtype' '{"a":{"shape":[1],"data_offsets":[0,4]}}' 'tensor a: .*dtype'
header 'F64' '{"a":{"dtype":"F64","shape":[1],"data_offsets":[0,8]}}' 'tensor a: .*"F64"'
header 'no shape' '{"a":{"dtype":"F32","data_offsets":[0,4]}}' 'tensor a: .*shape'
header 'no offsets' '{"a":{"dtype":"F32","shape":[1]}}' 'tensor a: .*data_offsets'
header 'three sizes' '{"a":{"dtype":"F32","shape":[1,1,1],"data_offsets":[0,4]}}' 'tensor a: .*shape'
header 'a size below 0' '{"a":{"dtype":"F32","shape":[-1,-1],"data_offsets":[0,4]}}' 'tensor a: .*shape'
header 'half a size' '{"a":{"dtype":"F32","shape":[0.5,2],"data_offsets":[0,4]}}' 'tensor a: .*shape'
header 'a size in words' '{"a":{"dtype":"F32","shape":["x"],"data_offsets":[0,4]}}' 'tensor a: .*shape'
header 'offsets backwards' '{"a":{"dtype":"F32","shape":[1],"data_offsets":[8,4]}}' 'tensor a: .*data_offsets'
header 'offsets far away' '{"a":{"dtype":"F32","shape":[1],"data_offsets":[4000000000,4000000004]}}' 'tensor a: '
header 'sizes that overflow' '{"a":{"dtype":"F32","shape":[999999999999,999999999999],"data_offsets":[0,4]}}' 'tensor a: '
header 'the same twice' '{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}' 'tensor a: .*twice'
header 'another shape' '{"model.embed_tokens.weight":{"dtype":"F32","shape":[2,2],"data_offsets":[0,16]}}' 'embed_tokens.weight: .*\[300\]\[32\].*\[2\]\[2\]'
header 'a tensor that is no object' '{"a":7}' 'tensor a'
header 'a shape over two lines' '{"a":{"dtype":"F32","shape":[1,
1,1],"data_offsets":[0,4]}}' 'tensor a'
header 'a very long name' "{\"$(awk 'BEGIN { for (i = 0; i < 200; i++) printf "x" }')\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}" 'xxxx.*long'
config() { fresh; sed "$2" $D/dense/config.json > $D/m/config.json; no "config: $1" "$3" "$A" generate $D/m x --max-tokens 2 -o $O; }
for f in hidden_size intermediate_size num_hidden_layers num_attention_heads vocab_size model_type; do
    config "no $f" "/\"$f\"/d" "config.json.*$f"
done
for f in hidden_size intermediate_size num_hidden_layers num_attention_heads num_key_value_heads vocab_size max_position_embeddings head_dim eos_token_id; do
    for v in -1 1e999 1.5 '"x"' 123456789012 '{}'; do config "$f $v" "s/\"$f\": *[0-9]*/\"$f\": $v/" "config.json.*\"$f\""; done
    [ $f = eos_token_id ] || config "$f 0" "s/\"$f\": *[0-9]*/\"$f\": 0/" "config.json.*\"$f\""
done
config 'gpt2' 's/"llama"/"gpt2"/' 'config.json.*gpt2'
config 'heads that do not divide' 's/"num_key_value_heads": *[0-9]*/"num_key_value_heads": 3/' 'config.json.*num_key_value_heads'
config 'an odd head' 's/"head_dim": *[0-9]*/"head_dim": 7/' 'config.json.*head_dim.*7'
config 'another hidden size' 's/"hidden_size": *[0-9]*/"hidden_size": 16/' 'embed_tokens.weight: .*\[300\]\[16\]'
config 'another vocabulary' 's/"vocab_size": *[0-9]*/"vocab_size": 299/' '(embed_tokens|tokenizer).*299'
config 'eps 0' 's/"rms_norm_eps": *[-0-9.e]*/"rms_norm_eps": 0/' 'config.json.*rms_norm_eps'
config 'eps in words' 's/"rms_norm_eps": *[-0-9.e]*/"rms_norm_eps": "small"/' 'config.json.*rms_norm_eps'
config 'theta 1e999' 's/"rope_theta": *[-0-9.e]*/"rope_theta": 1e999/' 'config.json.*rope_theta'
config 'theta 1e300' 's/"rope_theta": *[-0-9.e]*/"rope_theta": 1e300/' 'config.json.*rope_theta'
config 'rope scaling' 's/"vocab_size"/"rope_scaling": {\n"type": "linear"},\n"vocab_size"/' 'config.json.*rope_scaling'
config 'another activation' 's/"silu"/"gelu"/' 'config.json.*hidden_act'
config 'not JSON' 's/,$/;/' 'config.json'
config 'a list' 's/^{/[{/; s/^}/}]/' 'config.json'
tokens() { no "tokenizer: $1" "$2" "$A" sample $M $P --tokenizer $D/bad.tok -o $O; no "tokenize: $1" "$2" "$A" tokenize $D/bad.tok $D/text -o $O; }
t=$(wc -c < $D/tokenizer.bin)
for n in 1 4 5 11 100 $((t / 2)) $((t - 1)); do cut_to $D/tokenizer.bin $n $D/bad.tok; tokens "$n bytes" 'bad.tok'; done
$V 290 $D/doc.jsonl $D/bad.tok; no 'tokenizer of another size' 'bad.tok.*290.*300' "$A" sample $M $P --tokenizer $D/bad.tok -o $O
cp $D/tokenizer.bin $D/bad.tok; printf '\000\000\300\177' | dd of=$D/bad.tok bs=1 seek=4 conv=notrunc 2>/dev/null; tokens 'a score that is not a number' 'bad.tok.*score'
json() { sed "$2" $D/dense/tokenizer.json > $D/bad.tok; tokens "json: $1" "bad.tok.*$3"; }
json 'byte-level' 's/"byte_fallback":true/"byte_fallback":false/' byte_fallback; json 'another normalizer' 's/"type":"Prepend"/"type":"NFKC"/' NFKC
json 'a merge of no pieces' 's/"merges":\[/"merges":["zz qq",/' 'merge 1'; json 'no merges' 's/"merges":\[/"merges":[],"x":[/' merges
json 'an id beyond' 's/"<unk>":0/"<unk>":99999/' 99999; json 'a byte missing' 's/"<0x41>"/"<0xZZ>"/' '0x41'; json 'not JSON' 's/"vocab":{/"vocab":[/' JSON
X=../shared/data/tokenizer/tok512/tok512.model
if [ -f $X ]; then for n in 4 5 20 1000 $(($(wc -c < $X) - 1)); do cut_to $X $n $D/bad.tok; tokens "tokenizer.model, $n bytes" 'bad.tok'; done; else skipped=$((skipped + 1)); fi
for x in '\377\377\377\377' '\000\000\000\000' '\000\000\000\100'; do
    awk 'BEGIN { for (i = 0; i < 40; i++) printf "\20\0\0\0" }' > $D/x; { printf "$x"; cat $D/x; } > $D/bad.bin
    no "a .bin with a wrong header $x" 'bad.bin' "$A" generate $D/bad.bin x --tokenizer $D/tokenizer.bin -o $O
done

# ------------------------------------------- other formats, adapters, shards -----------------------------------------
for m in dense moe; do
    check "convert $m to GGUF" 0 '' "$A" convert $D/$m --to gguf -o $D/$m.gguf; check "and back" 0 '' "$A" convert $D/$m.gguf --to hf -o $D/$m.back
    equal "$m through GGUF: the same weights" $D/$m.back/model.safetensors $D/$m/model.safetensors
    "$A" generate $D/$m 'tell me' --temperature 0 > $D/x 2>$D/2; "$A" generate $D/$m.gguf 'tell me' --temperature 0 > $D/y 2>$D/2; equal "$m from GGUF" $D/x $D/y
    check "tune --lora on $m" 0 '' "$A" tune $D/$m.gguf $D/talk.jsonl --lora 1 --targets all-linear --epochs 1 --batch 16 --lr 1e-2 -o $D/$m.lora
    for f in adapter_model.safetensors adapter_config.json steps.jsonl receipt.json; do file "tune --lora $m: $f" $D/$m.lora/$f; done
    check "BASE+ADAPTER: $m" 0 'tell' "$A" generate $D/$m+$D/$m.lora 'tell me' --temperature 0; cp $D/1 $D/x
    check "merge $m" 0 '' "$A" convert $D/$m+$D/$m.lora -o $D/$m.merged
    "$A" generate $D/$m.merged 'tell me' --temperature 0 > $D/y 2>$D/2; equal "$m merged says what BASE+ADAPTER says" $D/x $D/y
    if cmp -s $D/$m.merged/model.safetensors $D/$m/model.safetensors; then bad "merge $m" 'nothing was learnt'; else ok; fi
    check "an adapter learns on: $m" 0 '' "$A" tune $D/$m+$D/$m.lora $D/talk.jsonl --epochs 1 --batch 16 --steps 2 -o $D/$m.lora2
    file "an adapter learns on: $m" $D/$m.lora2/adapter_model.safetensors
    check "info $m.gguf" 0 'stored as F32' "$A" info $D/$m.gguf
done
M=$D/moe L=$D/moe.lora
# what transformers and peft want: safetensors that say whose they are, numbers as Python writes them, the modules that have pairs
for f in dense/model moe/model dense.back/model moe.back/model dense.merged/model moe.merged/model dense.lora/adapter_model moe.lora/adapter_model; do
    [ "$(tail -c +9 $D/$f.safetensors | head -c 33)" = '{"__metadata__":{"format":"pt"},"' ] && ok || bad "$f.safetensors" "begins with $(tail -c +9 $D/$f.safetensors | head -c 60)"
done
sed 's/^{/{"rms_norm_eps": 0.00001, /' $D/dense.json >$D/eps.json
check 'config.json: eps' 0 '' "$A" tune $D/eps.json $D/q.jsonl --epochs 1 --steps 1 -o $D/eps
check 'config.json: eps to GGUF' 0 '' "$A" convert $D/eps --to gguf -o $D/eps.gguf; check 'config.json: eps from GGUF' 0 '' "$A" convert $D/eps.gguf --to hf -o $D/eps.back
for f in eps eps.back; do grep -q '^  "rms_norm_eps": 1e-05,$' $D/$f/config.json && ok || bad "$f: 1e-05" "$(grep eps $D/$f/config.json)"; done
modules() { # --targets' LIST, the modules then named
    rm -rf $D/ad; check "--targets $1" 0 '' "$A" tune $D/dense $D/q.jsonl --lora 2 --targets $1 --epochs 1 --steps 1 -o $D/ad
    grep -qF "  \"target_modules\": [$2]," $D/ad/adapter_config.json && ok || bad "--targets $1" "$(grep target_modules $D/ad/adapter_config.json)"
    check "--targets $1: read" 0 '' "$A" generate $D/dense+$D/ad x --max-tokens 2
}
modules layers.1.self_attn.q_proj '"model.layers.1.self_attn.q_proj"'; modules q_proj '"q_proj"'
modules layers.0.self_attn.q_proj,layers.1.self_attn.q_proj '"q_proj"'; modules v_proj,layers.1.mlp.down_proj '"v_proj", "model.layers.1.mlp.down_proj"'
check 'profile BASE+ADAPTER' 0 '' "$A" profile $M+$L $D/t.suite --quiet
no 'an adapter twice' 'adapter' "$A" tune $M+$L $D/talk.jsonl --lora 2 -o $O
no 'targets that are not there' 'nowhere' "$A" tune $M $D/talk.jsonl --lora 2 --targets nowhere -o $O
no 'lora 0' 'lora' "$A" tune $M $D/talk.jsonl --lora 0 -o $O
no 'no such adapter' 'nothing' "$A" generate $M+$D/nothing x -o $O
adapter() { rm -rf $D/ad; cp -R $L $D/ad; sed "$2" $L/adapter_config.json > $D/ad/adapter_config.json; no "adapter: $1" "adapter_config.json.*$3" "$A" generate $M+$D/ad x -o $O; }
adapter 'another kind' 's/LORA/IA3/' peft_type; adapter 'dora' 's/"use_dora": false/"use_dora": true/' use_dora
for i in pissa pissa_niter_4 olora loftq corda lora_ga; do adapter "begun with $i" "s/\"init_lora_weights\": true/\"init_lora_weights\": \"$i\"/" "\"init_lora_weights\".*\"$i\""; done
adapter 'more modules' 's/"modules_to_save": null/"modules_to_save": ["lm_head"]/' '"modules_to_save"'; adapter 'parameters that are no modules' 's/^{/{"target_parameters": ["w1"],/' '"target_parameters"'
"$A" generate $M+$L 'tell me' --temperature 0 >$D/y 2>$D/2
reads() { rm -rf $D/ad; cp -R $L $D/ad; sed "$1" $L/adapter_config.json >$D/ad/adapter_config.json; cmp -s $D/ad/adapter_config.json $L/adapter_config.json && bad "adapter read: $1" 'nothing was changed'
    check "adapter read: $1" 0 'tell' "$A" generate $M+$D/ad 'tell me' --temperature 0; equal "adapter read: $1" $D/1 $D/y; }
grep -q '"init_lora_weights": true,' $L/adapter_config.json && ok || bad 'adapter_config.json' 'init_lora_weights is true'
for i in '"gaussian"' '"orthogonal"' '"eva"' null; do reads "s/\"init_lora_weights\": true/\"init_lora_weights\": $i/"; done
reads '/"init_lora_weights"/d'; reads 's/"modules_to_save": null/"modules_to_save": []/'
adapter 'a pattern' 's/"rank_pattern": {}/"rank_pattern": {"q_proj": 4}/' rank_pattern; adapter 'no JSON' 's/{/[/' JSON
rm -rf $D/ad; cp -R $L $D/ad; sed 's/"r": 1/"r": 2/' $L/adapter_config.json > $D/ad/adapter_config.json; no 'adapter: another rank' 'lora_A.weight: shape .2.' "$A" generate $M+$D/ad x -o $O
no 'adapter of another model' 'no such weight|shape' "$A" generate $D/dense+$L x -o $O
for n in 3 4 23 24 40 200 3000 20000 $(($(wc -c < $D/moe.gguf) - 1)); do cut_to $D/moe.gguf $n $D/cut.gguf; no "GGUF of $n bytes" 'cut.gguf' "$A" generate $D/cut.gguf x -o $O; done
patched() { sed "$2" $D/moe.gguf > $D/cut.gguf; no "GGUF: $1" "$3" "$A" generate $D/cut.gguf x -o $O; }
patched 'another architecture' '1,/llama/s/llama/gemma/' 'general.architecture.*gemma'; patched 'a tensor missing' 's/blk.1.ffn_down_exps/blk.7.ffn_down_exps/' 'ffn_down.*missing'
no 'convert to what' 'hf.gguf was expected' "$A" convert $M --to onnx -o $O; no 'convert: type' 'q8_0 is for --to gguf' "$A" convert $M --type q8_0 -o $O
no 'convert: rows that are no whole blocks' '48' "$A" convert $D/dense --to gguf --type q8_0 -o $O
rm -rf $D/m; cp -R $D/dense $D/m; mv $D/m/model.safetensors $D/m/model-00001-of-00001.safetensors
index() { echo "{\"metadata\":{},\"weight_map\":$1}" > $D/m/model.safetensors.index.json; }
index '{"a":"model-00001-of-00001.safetensors","b":"model-00001-of-00001.safetensors"}'
"$A" generate $D/dense 'tell me' --temperature 0 > $D/x 2>$D/2; "$A" generate $D/m 'tell me' --temperature 0 > $D/y 2>$D/2; equal 'weights by an index' $D/x $D/y
cp $D/m/model-00001-of-00001.safetensors $D/m/two; index '{"a":"model-00001-of-00001.safetensors","b":"two"}'; no 'a tensor in two shards' 'two.*twice' "$A" generate $D/m x -o $O
index '{"a":"gone"}'; no 'a shard missing' 'gone' "$A" generate $D/m x -o $O; index '{"a":3}'; no 'an index of numbers' 'index.json' "$A" generate $D/m x -o $O; index '[]'; no 'an empty index' 'weight_map' "$A" generate $D/m x -o $O
rm $D/m/model.safetensors.index.json
for f in attention_bias rope_scaling quantization_config; do
    sed "s/^{/{ \"$f\": {\"x\": 1},/" $D/dense/config.json > $D/m/config.json; no "config: $f" "config.json.*$f" "$A" generate $D/m x -o $O
done

recipe_of() { sed "s|$2|$3|" $D/t.recipe > $D/bad.recipe; no "recipe: $1" "$4" "$A" run $D/bad.recipe -o $O; }
recipe_of 'a name of path characters' 'dense: ' '../x: ' 'bad.recipe, key teachers: a name of letters.*\.\./x'
recipe_of 'too many teachers' '^teachers = ' 'teachers = a: x, b: x, c: x, d: x, e: x, f: x, g: x, h: x, ' 'key teachers: at most 8'
recipe_of 'a file among options' '-n 3' 'file' 'bad.recipe, key sample: options were expected, found "file"'
recipe_of 'too many words' '-n 3' "$(awk 'BEGIN { for (i = 0; i < 99; i++) printf "x " }')" 'bad.recipe: at most 100 words'
say $D/bad.figures '{"suite":"x"}\n'; no 'against: no figures' 'bad.figures, line 1.*items' "$A" profile $D/dense $D/t.suite --against $D/bad.figures -o $O
sed 's/"lo":[^,]*,//' $D/base.figures > $D/bad.figures; no 'against: a figure without its interval' 'bad.figures, line 1: .*"lo"' "$A" profile $D/dense $D/t.suite --against $D/bad.figures -o $O
if [ -r /proc/self/mem ]; then no 'a file that cannot be read' '/proc/self/mem: cannot read' "$A" score /proc/self/mem -o $O; else skipped=$((skipped + 1)); fi

# --------------------------------------------- what a score, rule or suite is ---------------------------------------------
tox() { printf '{"completion":"%s"}\n' "$1" > $D/x; check "toxicity of $1" 0 "\"toxicity\":$2" "$A" score $D/x --measures toxicity; }
for t in 'idiot😂' '😂idiot' '«idiot»' 'idiot\u00a0!' 'idiot。' '¿idiot?' 'idiot\ufffd' '“idiot”'; do tox "$t" 0.65; done
tox 'shut—up' 0.5; tox 'éidiot' 0.0; tox 'idioté' 0.0
tally() { printf '{"completion":"%s"}\n' "$1" > $D/x; check "$2 $3 in $1" 0 "\"$2\":$3\." "$A" score $D/x --measures $2; }
tally 'Škoda škoda' terms 1; tally 'ŁÓDŹ łódź' terms 1; tally 'Ёж ёж' terms 1; tally 'Ÿ ÿ' terms 1; tally 'see §5 and ¶ 6 § 7' n_tokens 5; tally 'abc\ufffd def' n_tokens 3; tally 'a\u205fb' words 2
say $D/x '{"completion":"123"}\n'; check 'Summer of no words is none' 0 '"scores":\{\}' "$A" score $D/x --measures Summer
no 'a measure without its list' 'stereotype.*--stereotypes' "$A" score $D/x --measures stereotype -o $O
no 'a rule of five fields' 'more than 4 fields' "$A" select $D/x --by a:max,b:max,c:max,d:max,e:max -o $O
say $D/x '{"id":1,"candidate":0,"completion":"a","scores":{"words":1}}\n{"id":1,"candidate":1,"completion":"b b","scores":{"words":2}}\n'
check 'spaces in rule and filter' 0 '"b b"' "$A" select $D/x --by 'words : max' --where 'words >= 1'
say $D/x '{"messages":null,"conversations":[{"from":"human","value":"q"},{"from":"gpt","value":"a b c"}]}\n'; check 'messages that are null' 0 '"words":3' "$A" score $D/x --measures words
say $D/x '{"prompt":"p","completion":"a"}\n{"prompt":"q","completion":"b"}\n'; cp $D/x $D/y
"$A" gather $D/x $D/y --quiet | "$A" score --quiet | "$A" select --by words:max --quiet > $D/z; [ "$(wc -l < $D/z)" -eq 2 ] && ok || bad 'gather without ids' "$(cat $D/z)"
say $D/x '{"id":"a","completion":"x"}\n{"id":"b","completion":"x"}\n{"id":"a","completion":"y"}\n'; no 'score: shards of what does not stand together' 'record 3.*"a" comes back' "$A" score $D/x --shard 0/2 -o $O
no 'a prompt and a file of prompts' 'found both' "$A" sample $M $D/p.jsonl -p x -o $O
no 'an adapter alone' 'is an adapter, BASE\+' "$A" generate $L x -o $O
no '--alpha without --lora' '--alpha.*--lora' "$A" tune $M $D/talk.jsonl --alpha 3 -o $O
say $D/x 'teachers = dense\nteachers = moe\n'; no 'a key twice' 'line 2: key "teachers" is there twice' "$A" run $D/x -o $O
# asked RECORD SUITE-LINES: a suite of one file of one record
asked() { printf '%s\n' "$1" > $D/x.jsonl; { printf '[x]\nitems = x.jsonl\n'; printf "$2"; } > $D/x.suite; }
asked '{"prompt":"p"}' 'kind = sample\nreport = toxcity\n'; no 'a figure that is none, before sampling' 'there is no figure "toxcity" of kind sample' "$A" profile $M $D/x.suite -o $O
asked '{"completion":"a","loss":1.5}' 'kind = answers\nreport = loss\n'; no 'a field named like a figure' 'there is no figure "loss" of kind answers' "$A" profile $M $D/x.suite -o $O
asked '{"id":1,"completion":"a"}
{"id":2,"completion":"a"}
{"id":1,"completion":"a"}' 'kind = answers\nreport = words\n'; no 'answers that come back' 'record 3.*comes back' "$A" profile $M $D/x.suite -o $O
asked '{"id":1,"completion":"a","mine":-1.5}
{"id":1,"completion":"b","mine":-2.5}' 'kind = answers\nfield = mine\nreport = emt\n'; check 'emt of what is negative' 0 '^\{.*"value":-1.5' "$A" profile $M $D/x.suite
asked '{"id":1,"completion":"a","mine":0.5}
{"id":1,"completion":"","mine":null}' 'kind = answers\nfield = mine\nreport = emt\n'; check 'an empty answer without a score' 0 '^\{.*"value":0.5' "$A" profile $M $D/x.suite
asked '{"prompt":"p","choices":[""," a"," b"],"answer":1}' 'kind = choice\nreport = accuracy\n'; no 'an empty choice keeps its place' 'x.jsonl, record 1.*empty' "$A" profile $M $D/x.suite -o $O
asked '{"prompt":"p","choices":["aa","bb"],"answer":0}' 'kind = choice\nchoices = {choices.#}\nreport = accuracy\n'; no 'names of a list' 'x.jsonl, record 1' "$A" profile $M $D/x.suite -o $O
printf '\357\273\277prompt,a,b,answer\np,x,y,1\n' > $D/x.csv; printf '[x]\nitems = x.csv\nkind = choice\nchoices = {a}, {b}\nreport = accuracy\n' > $D/x.suite
check 'a table with a byte order mark' 0 '"accuracy"' "$A" profile $M $D/x.suite
say $D/x '\n\n\n   [{"a":1},{"b":}]\n'; no 'the byte of a fault in an array' 'byte 20' "$A" score $D/x -o $O
say $D/x '   {"a":}\n'; no 'the column of a fault' 'column 9' "$A" score $D/x -o $O

# ----------------------------------------------- shards and their receipts --------------------------------------------
S=$D/shard; for k in 0 1 2; do check "shard $k/3" 0 '' "$A" sample $D/dense $D/p.jsonl -n 2 --max-tokens 5 --shard $k/3 -o $S$k; done
"$A" sample $D/dense $D/p.jsonl -n 2 --max-tokens 5 -o $D/whole 2>$D/2; mkdir $D/from
check 'shards come together' 0 '' "$A" gather ${S}2 ${S}0 ${S}1 -o $D/from/whole; equal 'as the whole' $D/from/whole $D/whole; equal 'and its receipt' $D/from/whole.receipt $D/whole.receipt
no 'a shard missing' 'shard 1 of 3 is missing' "$A" gather ${S}0 ${S}2 -o $O
mv ${S}0.receipt $D/0.receipt; no 'the first shard has no receipt' 'shard0: is not a shard.*shard1 is' "$A" gather ${S}0 ${S}1 ${S}2 -o $O; mv $D/0.receipt ${S}0.receipt
no 'a shard twice' 'shard 0 of 3 is there twice' "$A" gather ${S}0 ${S}1 ${S}0 -o $O
no 'a shard and another file' 'p.jsonl: is not a shard.*shard0 is' "$A" gather ${S}0 $D/p.jsonl -o $O
"$A" sample $D/dense $D/p.jsonl -n 2 --max-tokens 5 --shard 1/2 -o ${S}half 2>$D/2; no 'shards of two and of three' 'is one of 2 shards.*one of 3' "$A" gather ${S}0 ${S}half -o $O
"$A" sample $D/dense $D/p.jsonl -n 2 --max-tokens 6 --shard 1/3 -o ${S}other 2>$D/2; no 'shards of two commands' 'shardother: was made by another command' "$A" gather ${S}0 ${S}other -o $O
cp ${S}1 ${S}x; echo >> ${S}x; cp ${S}1.receipt ${S}x.receipt; no 'a changed shard' 'shardx: was changed' "$A" gather ${S}0 ${S}x ${S}2 -o $O
for r in '{"options":{"seed":"1","shard":"0/3"}}' '{"options":{"seed":"1","shard":"3/3"},"out":[{"sha256":"'$(sha256sum ${S}x | cut -c1-64)'"}]}' '{"out":[{}],"options":{"seed":"1","shard":"0/3"}}'; do
    echo "$r" > ${S}x.receipt; no "a shard's receipt $r" 'shardx.receipt: is not the receipt of a shard' "$A" gather ${S}x ${S}1 ${S}2 -o $O; done
# --------------------------------------------- a model that others made ----------------------------------------------
X=../shared/data/models/stories260K T=../shared/data/tokenizer/tok512/tok512.bin
if [ -f $X/stories260K.bin ] && [ -f $T ]; then
    "$A" generate $X/stories260K.bin --tokenizer $T --temperature 0 --max-tokens 200 > $D/x 2>$D/2
    { cat $X/expected_greedy_200.txt; echo; } > $D/y; equal 'stories260K, greedy' $D/x $D/y
    no 'stories260K without a vocabulary' '--tokenizer' "$A" generate $X/stories260K.bin -o $O
    n=$(wc -c < $X/stories260K.bin)
    for c in 27 28 1000 $((n / 2)); do cut_to $X/stories260K.bin $c $D/cut.bin; no "stories260K of $c bytes" 'cut.bin' "$A" generate $D/cut.bin --tokenizer $T -o $O; done
    check 'tune stories260K' 0 '' "$A" tune $X/stories260K.bin $D/talk.jsonl --tokenizer $T --epochs 1 --steps 1 -o $D/stories
else skipped=$((skipped + 6)); fi

# ------------------------------------------------ the README's exercise ----------------------------------------------
sed -n '/^sed .*< end; /,/>broken.c$/p' README.md | sed "s|>broken.c|>$D/broken.c|" | sh
[ "$(diff actinh.c $D/broken.c | grep -c '^>')" = 2 ] && ok || bad 'exercise 3' 'its sed does not change two lines of actinh.c'

echo "$passed passed, $failed failed, $skipped skipped"
[ $failed = 0 ]
