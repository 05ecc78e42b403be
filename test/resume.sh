#!/bin/sh
# resume.sh ACTINH [KILLS]: every verb that writes is killed (SIGKILL) at KILLS random moments, started again each time, and
# must end with the very bytes and the very receipt of a run that nobody disturbed. Also: two processes on one output, and
# shards. Closes with "N passed, N failed".
A=$1 kills=${2:-6} passed=0 failed=0 D=$(mktemp -d)
trap 'rm -rf "$D"' EXIT
ok() { passed=$((passed + 1)); }
bad() { failed=$((failed + 1)); echo "FAILED  $*"; }
equal() { if cmp -s "$2" "$3"; then ok; else bad "$1: other bytes"; fi; }
seed=12345
random() { seed=$(( (seed * 1103515245 + 12345) % 2147483648 )); echo $((seed / 65536 % $1)); }

# NAME RESULT COMMAND..: RESULT is the file or folder that -o names, in $D/whole and in $D/cut
clock() { date +%s%N | sed 's/N$/000000000/; s/......$//'; }                # milliseconds
disturbed() {
    name=$1 result=$2 n=0 runs=0; shift 2
    mkdir -p $D/whole $D/cut
    t=$(clock); "$A" "$@" -o $D/whole/$result --quiet || { bad "$name does not run"; return; }
    span=$(($(clock) - t)); [ $span -gt 2 ] || span=2
    while [ $n -lt "$kills" ] && [ $runs -lt $((kills * 6 + 20)) ]; do
        runs=$((runs + 1))
        "$A" "$@" -o $D/cut/$result --quiet 2>$D/err & pid=$!
        sleep "$(awk "BEGIN{print $(random $span) / 1000}")"
        kill -9 $pid 2>/dev/null
        wait $pid 2>/dev/null; s=$?
        case $s in
        0) whole "$name"; rm -rf $D/cut/*; span=$((span * 3 / 4 + 2));;        # was slower when it was measured
        137) n=$((n + 1));;
        *) bad "$name: status $s after $n kills: $(cat $D/err)"; rm -rf $D/cut/*;;
        esac
    done
    "$A" "$@" -o $D/cut/$result --quiet 2>$D/err || bad "$name: cannot go on: $(cat $D/err)"
    whole "$name"
    [ $n -ge "$kills" ] || bad "$name: only $n of $kills kills hit"
    rm -rf $D/whole $D/cut
}
whole() {
    if diff -r $D/whole $D/cut >$D/diff 2>&1; then ok; else bad "$1: not what an undisturbed run leaves: $(head -c 300 $D/diff)"; fi
}

head -n 30 data/prompts.jsonl >$D/p
"$A" sample data/dense $D/p -n 10 --max-tokens 60 --quiet -o $D/pool
i=0; while [ $i -lt 40 ]; do i=$((i + 1)); sed "s/\"id\":\"/&$i-/" $D/pool; done >$D/many
"$A" score $D/many --quiet -o $D/scored
"$A" select $D/scored --by words:max --quiet -o $D/chosen 2>/dev/null
head -n 200 $D/chosen >$D/lesson
disturbed sample pool sample data/moe $D/p -n 10 --max-tokens 60 --threads 1
disturbed score scored score $D/many
disturbed select chosen select $D/scored --by words:max
disturbed gather all gather $D/many $D/many $D/many $D/many
disturbed tune student tune data/dense $D/lesson --epochs 2 --batch 16 --lr 1e-3 --checkpoint 7 --threads 1
disturbed lora adapter tune data/moe $D/lesson --lora 4 --epochs 2 --batch 16 --lr 1e-3 --checkpoint 7 --threads 1
mkdir $D/s; cp data/suites/*.jsonl $D/s; sed 's/^samples = .*/samples = 3/; s/^max-tokens = .*/max-tokens = 100/' data/suites/demo.suite >$D/s/demo.suite
printf '\n[more]\nkind = sample\nitems = peoples.jsonl\nsamples = 3\nmax-tokens = 40\nreport = words\n' >>$D/s/demo.suite
disturbed profile figures profile data/moe $D/s/demo.suite --stereotypes data/stereotypes.txt --threads 1
echo "another's" >$D/figures             # what is there is not made again, and what --force overwrites is not taken for it
"$A" profile data/moe $D/s/demo.suite --stereotypes data/stereotypes.txt --threads 1 --quiet --force -o $D/figures & pid=$!
i=0; while [ ! -s $D/figures.1.part ] && [ $i -lt 500 ]; do sleep 0.02; i=$((i + 1)); done
kill -9 $pid; wait $pid 2>/dev/null
printf '\000\000\000\000\000\000\360\277' | dd of=$D/figures.0.part conv=notrunc 2>/dev/null          # log-probability -1
"$A" profile data/moe $D/s/demo.suite --stereotypes data/stereotypes.txt --threads 1 --quiet -o $D/figures
"$A" profile data/moe $D/s/demo.suite --stereotypes data/stereotypes.txt --quiet >$D/x
for f in figures x; do grep -v '"questions"' $D/$f >$D/$f.other; done
if [ -f $D/figures.0.part ] || [ -f $D/figures.1.part ] || cmp -s $D/figures $D/x || ! cmp -s $D/figures.other $D/x.other; then bad 'profile: what was there was not used, or stays'; else ok; fi

# two processes, one output: the second is refused and leaves the first alone
"$A" sample data/moe data/prompts.jsonl -n 10 --max-tokens 200 --quiet -o $D/busy & pid=$!
i=0; while [ ! -f $D/busy.part ] && [ $i -lt 100 ]; do sleep 0.02; i=$((i + 1)); done
"$A" sample data/moe data/prompts.jsonl -n 10 --max-tokens 200 --quiet -o $D/busy 2>$D/err; s=$?
if [ $s = 2 ] && grep -q 'busy: is being written by another process' $D/err && kill -0 $pid && [ -f $D/busy.part ]; then ok; else bad "two processes: status $s, $(cat $D/err)"; fi
kill -9 $pid; wait $pid 2>/dev/null; rm -f $D/busy*

# and two runs in one folder: the second is refused before it has touched anything, the first ends
mkdir $D/two; head -n 4 $D/p >$D/two/p.jsonl
printf '[a]\nkind = sample\nitems = p.jsonl\nsamples = 2\nmax-tokens = 8\nreport = words\n' >$D/two/s.suite
printf 'teachers = dense: data/dense\nstudents = dense\nprompts = %s\nchoices = base, first, words:max\nsample = -n 4 --max-tokens 40\ntune = --epochs 40 --batch 4\nprofile = %s\n' $D/two/p.jsonl $D/two/s.suite >$D/two/recipe
"$A" run $D/two/recipe --quiet -o $D/both >$D/x 2>$D/err.1 & pid=$!
i=0; while [ ! -f $D/both/run.part ] && [ $i -lt 100 ]; do sleep 0.02; i=$((i + 1)); done
"$A" run $D/two/recipe --quiet -o $D/both >$D/x.2 2>$D/err; s=$?
if [ $s = 2 ] && grep -q 'both/run: is being written by another process' $D/err; then ok; else bad "two runs: status $s, $(cat $D/err)"; fi
if wait $pid && [ -f $D/both/receipt.json ] && [ ! -f $D/both/run.part ]; then ok; else bad "the first of two runs: $(cat $D/err.1)"; fi

# a part that is torn or not ours is not trusted further than its last whole prompt
"$A" sample data/dense $D/p -n 10 --max-tokens 60 --quiet -o $D/torn & pid=$!
i=0; while [ ! -s $D/torn.part ] && kill -0 $pid 2>/dev/null; do sleep 0.01; i=$((i + 1)); done
kill -9 $pid 2>/dev/null; wait $pid 2>/dev/null
[ -f $D/torn.part ] && printf '{"id":"0","candidate":7,"prom' >>$D/torn.part
"$A" sample data/dense $D/p -n 10 --max-tokens 60 --quiet -o $D/torn; equal 'a torn line' $D/pool $D/torn
cp $D/pool $D/other.part; "$A" sample data/dense $D/p -n 10 --max-tokens 60 --seed 2 --quiet -o $D/other
"$A" sample data/dense $D/p -n 10 --max-tokens 60 --seed 2 --quiet >$D/x; equal 'a part without a draft' $D/x $D/other

# shards: the same bytes and the same receipt as in one piece
sed 's/"id":"/&a/' $D/pool | cat $D/pool - >$D/double
cp $D/pool $D/pool.one; cp $D/pool.receipt $D/pool.one.receipt
"$A" score $D/double --measures words,mtld --quiet -o $D/marks; cp $D/marks $D/marks.one; cp $D/marks.receipt $D/marks.one.receipt
for n in 1 2 3 7; do
    i=0; list=; marks=
    while [ $i -lt $n ]; do
        "$A" sample data/dense $D/p -n 10 --max-tokens 60 --shard $i/$n --quiet -o $D/s$i || bad "shard $i/$n"
        "$A" score $D/double --measures words,mtld --shard $i/$n --quiet -o $D/m$i || bad "score shard $i/$n"
        list="$list $D/s$i"; marks="$D/m$i $marks"; i=$((i + 1))
    done
    rm -f $D/pool $D/pool.receipt $D/marks $D/marks.receipt
    "$A" gather $list -o $D/pool --quiet || bad "gather of $n shards"
    "$A" gather $marks -o $D/marks --quiet || bad "gather of $n score shards"         # in any order
    equal "$n shards: sampled" $D/pool $D/pool.one; equal "$n shards: receipt" $D/pool.receipt $D/pool.one.receipt
    equal "$n shards: scored" $D/marks $D/marks.one; equal "$n shards: receipt of scores" $D/marks.receipt $D/marks.one.receipt
    if [ $n = 3 ]; then
        "$A" sample data/dense $D/p -n 10 --max-tokens 60 --shard 0/2 --quiet -o $D/half
        "$A" sample data/dense $D/p -n 10 --max-tokens 60 --shard 1/3 --seed 2 --quiet -o $D/seed
        "$A" sample data/moe $D/p -n 10 --max-tokens 60 --shard 1/3 --quiet -o $D/model
        sed 's/candidate":1/candidate":2/' $D/s1 >$D/changed; sed 's/"name":"s1"/"name":"changed"/' $D/s1.receipt >$D/changed.receipt
        refused() { "$A" gather "$@" -o $D/refused --quiet 2>$D/err; s=$?; if [ $s = 2 ] && [ ! -f $D/refused ] && grep -q "$why" $D/err; then ok; else bad "gather $*: status $s, $(cat $D/err)"; fi; }
        why='shard 2 of 3 is missing' refused $D/s0 $D/s1
        why='twice' refused $D/s0 $D/s1 $D/s1
        why='one of 2 shards' refused $D/s0 $D/s1 $D/half
        why='another command' refused $D/s0 $D/seed $D/s2
        why='another command' refused $D/s0 $D/model $D/s2
        why='changed after' refused $D/s0 $D/changed $D/s2
        why='not a shard' refused $D/s0 $D/pool $D/s2
    fi
    rm -f $D/s? $D/s?.receipt $D/m? $D/m?.receipt
done
# a disk that is full, a real one of 20 kilobytes where we may mount one: refused, and gone on with once there is room
mkdir $D/disk
if mount -t tmpfs -o size=20k tmpfs $D/disk 2>/dev/null; then
    "$A" sample data/dense $D/p -n 10 --max-tokens 60 --quiet -o $D/disk/pool 2>$D/err; s=$?
    if [ $s = 2 ] && [ ! -f $D/disk/pool ] && grep -q 'disk/pool: cannot write: No space' $D/err; then ok; else bad "a full disk: status $s, $(cat $D/err)"; fi
    mount -o remount,size=8m $D/disk
    "$A" sample data/dense $D/p -n 10 --max-tokens 60 --quiet -o $D/disk/pool || bad 'room again'
    equal 'after a full disk' $D/disk/pool $D/pool.one; equal 'after a full disk: receipt' $D/disk/pool.receipt $D/pool.one.receipt
    umount $D/disk
fi
echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
