# expect.sh: what cli.sh and laws.sh share; sourced with $A, the program, and $D, a folder for their files.
#
# check NAME STATUS PATTERN COMMAND..   runs a command. Its exit status must be STATUS; PATTERN (grep -E) must stand in
# what it prints, on either stream. Where trouble (2) is expected: one line on stderr that begins "actinh: ", and neither
# $O nor $O.part nor $O.receipt may hold a file afterwards.
case $A in */*) ;; *) A=./$A ;; esac
W=${WORLD:-test/build/world}               # the grammar's tool: see world.c
[ "$WORLD" ] || make -s $W || exit 2
O=$D/out
passed=0 failed=0 skipped=0
rm -rf "$D"; mkdir -p "$D" || exit 2
LC_ALL=C OMP_WAIT_POLICY=passive; export LC_ALL OMP_WAIT_POLICY

ok() { passed=$((passed + 1)); }
bad() { failed=$((failed + 1)); echo "FAILED  $1: $2"; }
ran() {                                    # ran COMMAND..: what it did is in $s, $D/1 and $D/2
    "$@" > "$D/1" 2> "$D/2" < "${IN:-/dev/null}"; s=$?
}
check() {
    name=$1 want=$2 pattern=$3; shift 3
    [ "$want" = 2 ] && rm -rf "$O" "$O".*
    ran "$@"
    if grep -qE 'Sanitizer|runtime error' "$D/2"; then bad "$name" "$(grep -E -m1 'Sanitizer|runtime error' "$D/2")"
    elif [ $s != "$want" ]; then bad "$name" "status $s, expected $want: $(head -c 200 "$D/2")"
    elif [ "$pattern" ] && ! cat "$D/1" "$D/2" | grep -qaE -e "$pattern"; then bad "$name" "\"$pattern\" is not in: $(head -c 300 "$D/2")"
    elif [ "$want" = 2 ] && { [ "$(wc -l < "$D/2")" -ne 1 ] || ! grep -qa '^actinh: ' "$D/2"; }; then bad "$name" "one line was expected: $(head -c 300 "$D/2")"
    elif [ "$want" = 2 ] && [ -n "$(find "$D" -path "$O*" -type f)" ]; then bad "$name" "left over: $(find "$D" -path "$O*" -type f | tr '\n' ' ')"
    else ok; fi
}
no() { n_=$1 p_=$2; shift 2; check "$n_" 2 "$p_" "$@"; }                                # no NAME PATTERN COMMAND..
equal() { if cmp -s "$2" "$3"; then ok; else bad "$1" "$2 and $3 differ"; fi; }         # equal NAME FILE FILE
file() { if [ -s "$2" ]; then ok; else bad "$1" "$2 is not there, or empty"; fi; }
say() { f_=$1; shift; printf "$@" > "$f_"; }                                           # say FILE FORMAT..
cut_to() { dd if="$1" of="$3" bs="$2" count=1 2>/dev/null; }                            # cut_to FILE BYTES TO
