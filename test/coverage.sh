#!/bin/sh
# coverage.sh: lines and branches of actinh.c that test.c, cli.sh, laws.sh, verify.sh, golden.sh and hard.c reach, by gcov. Prints the figures, then
# the messages (fail() and its kind) that nothing reaches; every line and branch not reached is listed in
# test/build/coverage/open.txt. Needs gcc and python3; about ten minutes on two cores.
cd "$(dirname "$0")/.." || exit 2
B=$PWD/test/build/coverage
rm -rf "$B"; mkdir -p "$B"
FLAGS="-std=c99 -O0 -g --coverage -ffp-contract=off"
for p in actinh.c test/test.c test/hard.c; do
    mkdir -p "$B/$(basename $p .c)"
    gcc $FLAGS -c -o "$B/$(basename $p .c)/o.o" $p && gcc --coverage -o "$B/$(basename $p .c)/program" "$B/$(basename $p .c)/o.o" -lm || exit 2
done
export CLI_DIR=test/build/coverage/cli LAWS_DIR=test/build/coverage/laws HARD_DIR=test/build/coverage/hard.d
(sh test/cli.sh "$B/actinh/program"; sh test/laws.sh "$B/actinh/program"; sh test/verify.sh "$B/actinh/program"; sh test/golden.sh "$B/actinh/program" 1) >"$B/cli.txt" 2>&1 &
"$B/test/program" >"$B/test.txt" 2>&1
"$B/hard/program" bad >"$B/bad.txt" 2>&1
"$B/hard/program" faults "${STEP:-7}" >"$B/faults.txt" 2>&1
wait
for f in test bad faults; do echo "$f: $(tail -n 1 "$B/$f.txt")"; done; echo "cli: $(grep -c FAILED "$B/cli.txt") failed"
for p in actinh test hard; do (cd "$B/$p" && gcov -t -j -b o.o >../$p.json 2>/dev/null); done
python3 - "$B" <<'PY'
import json, re, sys
folder = sys.argv[1]
lines, branches, functions = {}, {}, {}
for name in ("actinh", "test", "hard"):
    for file in json.load(open(f"{folder}/{name}.json"))["files"]:
        if not file["file"].endswith("actinh.c"): continue
        for x in file["lines"]:
            n = x["line_number"]
            lines[n] = lines.get(n, 0) + x["count"]
            ways = [b["count"] for b in x["branches"]]
            if len(ways) == len(branches.get(n, ways)): branches[n] = [a + b for a, b in zip(branches.get(n, [0] * len(ways)), ways)]
        for f in file["functions"]: functions[f["name"]] = functions.get(f["name"], 0) + f["execution_count"]
text = [""] + open("actinh.c").read().split("\n")
taken, all_ways = sum(c > 0 for w in branches.values() for c in w), sum(map(len, branches.values()))
print(f"lines     {sum(c > 0 for c in lines.values())} of {len(lines)}, {100 * sum(c > 0 for c in lines.values()) / len(lines):.1f} %")
print(f"branches  {taken} of {all_ways}, {100 * taken / all_ways:.1f} %")
print(f"functions {sum(c > 0 for c in functions.values())} of {len(functions)}")
memory = re.compile(r"TRY\(|get\(|NEW\(|room\(|copy\(|path_in\(|join\(|put|e->failed|return -1|return NULL")
with open(f"{folder}/open.txt", "w") as out:
    kinds = {"line": 0, "an error that comes up from below": 0, "other": 0}
    for n in sorted(lines):
        if not lines[n]: kinds["line"] += 1; print(f"{n}: not reached: {text[n].strip()}", file=out)
        elif n in branches and not all(branches[n]):
            kind = "an error that comes up from below" if memory.search(text[n]) else "other"
            kinds[kind] += sum(c == 0 for c in branches[n])
            print(f"{n}: {sum(c == 0 for c in branches[n])} of {len(branches[n])} ways not taken, {kind}: {text[n].strip()}", file=out)
print("open branches on lines that were reached:", ", ".join(f"{v} {k}" for k, v in kinds.items() if k != "line"))
# a message is reached when the line that its call begins on is
print("messages that nothing reaches:")
count = found = 0
for n, line in enumerate(text):
    if re.search(r"\bfail(_at)?\(|\bbad_\w+\(|refuse\w*\(", line) and n in lines:
        count += 1
        # a line of several statements: its last way is the message's
        if lines[n] == 0: found += 1; print(f"  {n}: {line.strip()[:150]}")
        elif re.search(r"\bif \(.*\breturn fail\(", line) and branches.get(n) and text[n].strip().startswith("if") and min(branches[n]) == 0:
            print(f"  {n}: (some way of it) {line.strip()[:150]}")
print(f"{count - found} of {count} lines with a message were reached")
PY
