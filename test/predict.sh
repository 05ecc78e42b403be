#!/bin/sh
# predict.sh TEACHER LIKE RULE..: lines of data/world.jsonl (make items). Standard input holds a teacher's grammar's own answers
# to its own prompts, whose ids begin with LIKE. Of each prompt's answers a rule keeps the best: the mean of its measure is
# what a perfect teacher of that grammar would be learnt from.
teacher=$1 like=$2 scored=$(mktemp); shift 2
trap 'rm -f "$scored"' EXIT
./actinh score --measures words,mtld,toxicity,stereotype --stereotypes data/stereotypes.txt --quiet >"$scored" || exit 2
for rule; do
    ./actinh select "$scored" --by "$rule" --quiet | sed -n 's/.*"'"${rule%%:*}"'":\([0-9.]*\).*/\1/p' |
        awk -v teacher="$teacher" -v like="$like" -v rule="$rule" '{ sum += $1 }
            END { printf "{\"teacher\":\"%s\",\"like\":\"%s\",\"choice\":\"%s\",\"answers\":10,\"value\":%.6f}\n", teacher, like, rule, sum / NR }'
done
