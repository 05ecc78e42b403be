#!/bin/sh
# lint.sh: what compilers and checkers say of actinh.c. Every warning is an error; cppcheck and clang-tidy may find only what
# is listed below with its reason. Closes with "N passed, N failed, N skipped"; a tool that is not there is skipped.
cd "$(dirname "$0")/.." || exit 2
B=test/build/lint passed=0 failed=0 skipped=0
rm -rf $B; mkdir -p $B
mkdir $B/tool; cp actinh.c actinh.h $B && cp test/world.c $B/tool || exit 2          # whoever goes on writing does not disturb
cd $B && B=.
have() { command -v "$1" >/dev/null 2>&1; }
skip() { skipped=$((skipped + 1)); echo "skipped  $1: not on this machine"; }
ok() { passed=$((passed + 1)); echo "ok       $1"; }
bad() { failed=$((failed + 1)); echo "FAILED  $1"; head -n 20 "$2"; }

# clang-tidy, which takes longest and runs beside the others: all of bugprone, cert and the analyzer, but for
tidy='bugprone-*,cert-*,clang-analyzer-*'
off() { tidy="$tidy,-$1"; }                # CHECK REASON
off bugprone-easily-swappable-parameters   'two sizes beside each other are what a matrix product has'
off cert-err33-c                           'of snprintf() and messages; what is written is checked where it is flushed, and test/hard.c lets each write fail'
off bugprone-suspicious-string-compare     'strcmp() as a condition reads "differs", as everywhere in C'
off bugprone-implicit-widening-of-multiplication-result 'products of small constants (lanes, panels, words of a hash)'
off bugprone-sizeof-expression             'arrays of pointers have elements that are pointers'
off bugprone-narrowing-conversions         'an int that came from a char goes back into one'
off bugprone-macro-parentheses             'parameters that are numbers or types: the macro stands beside its uses'
off bugprone-integer-division              'a middle of a list, a count of blocks: the floor is meant'
off cert-flp30-c                           'adds up weights while it counts: the sum is not the counter'
off bugprone-suspicious-memory-comparison  'the self-check compares bits'
off cert-exp42-c                           'its alias'
off cert-flp37-c                           'its alias'
off bugprone-reserved-identifier           '_POSIX_C_SOURCE and _FILE_OFFSET_BITS are defined for the C library to see'
off cert-dcl37-c                           'its alias'
off cert-dcl51-cpp                         'its alias'
off bugprone-assignment-in-if-condition    'if (!(p = get(..))) return -1: this book'"'"'s way with errors'
off bugprone-multi-level-implicit-pointer-conversion 'room() takes the address of a list of any type'
off clang-analyzer-security.insecureAPI.DeprecatedOrUnsafeBufferHandling 'wants memcpy_s(), which no C library has'
! have clang-tidy || clang-tidy --quiet -checks="-*,$tidy" actinh.c -- -std=c99 >$B/tidy.log 2>/dev/null &

# 1. compilers: with and without OpenMP and assertions; optimized, for only then some warnings have what they need to know
W="-std=c99 -pedantic -Wall -Wextra -Wconversion -Wsign-conversion -Wshadow -Wcast-qual -Wstrict-prototypes -Werror"
for cc in gcc clang; do
    have $cc || { skip $cc; continue; }
    for how in "-O0" "-O3 -march=native" "-O2 -fopenmp" "-O3 -DNDEBUG"; do
        echo 'int main(void) { return 0; }' >$B/empty.c
        $cc $how -o $B/empty $B/empty.c 2>/dev/null || { skip "$cc $how"; continue; }
        if $cc $W $how -c -o $B/o.o actinh.c >$B/log 2>&1; then ok "$cc $how"; else bad "$cc $how" $B/log; fi
    done
    if $cc $W -O1 -DWITH_ACTINH -c -o $B/o.o tool/world.c >$B/log 2>&1; then ok "$cc world.c"; else bad "$cc world.c" $B/log; fi
done

# 2. exp32() in a loop is computed for several numbers at once, without AVX-512 too (where GCC forgives no branch)
if have gcc && [ "$(uname -m)" = x86_64 ]; then
    gcc -std=c99 -O3 -mavx2 -ffp-contract=off -fno-math-errno -fopt-info-vec -c -o $B/o.o actinh.c 2>$B/log
    grep -nE '= exp32\(to|exp32\(-g' actinh.c | while IFS=: read -r l text; do
        grep -qE "^actinh.c:($l|$((l - 1))):.*loop vectorized using 32" $B/log || echo "line $l: $text"
    done >$B/left
    if [ -s $B/left ]; then bad 'gcc: one number at a time' $B/left; else ok 'gcc: exp32 in vectors'; fi
else skip 'gcc on x86-64'; fi

# 3. checkers. KNOWN: the text of a line, and why what is said of it is not so.
cat >$B/known <<'KNOWN'
"base", student->name	a cell without a teacher has a student: make_grid() makes no other
    free(b->raw);	the list of blocks ends at its mark: drop() takes a block out of the list before it is freed
if (n) memcpy(b->s + b->n, s, n);	b->s is NULL only while cap is 0, and then n + 1 > cap
snprintf(p->name, sizeof p->name, name, layer	the format is a weight's name with as many places as it needs
snprintf(p->gguf, sizeof p->gguf, gguf, layer	likewise
static int equal(Span a, Span b) { return a.n	only a text without bytes has no address
int as_is = !x->panels && !x->straight && p->narrow	panels are NULL only where p is given
i < y->M * p->a->rows; i++) low[i]	low is NULL only where nothing has a pair
i < n; i++) u[i] *= p->scale	u is low
return x->M && x->N ? tasks_across(x)	multiply() is given as many products as it is told of, all set by linear_of()
memmove(text.s + left, rest.s, more);	the text has its 0 at least, since "" was put
while (x->student != student || x->seed != seed	the grid has a cell for all names of the recipe: make_grid
if (strcmp(x->name, y->name)) continue;	a list of names ends by one that is NULL
QUERIES / (c->Q / c->K) : 1	a model has key/value heads, and no more of them than query heads: read_shape
const Acts *a = b->acts, *last = a + c->L	a batch has its model: new_batch
question[i]->left = x->s.k	the list holds n questions
TRY(find_model(e, c->file[0]	the verb takes a file at least: check_files
c->n_files >= v->least	parse_call found the verb
c->n_files + 1 == v->most	likewise
return strncmp(s, prefix, strlen(prefix)) == 0	a call has as many names as n_files says: parse_call, check_files
size_t least = n[0], i, j	sums() is given a row at least, and its length
put_interval(e, b, d, lo, hi, f->n)	bootstrap sets them wherever it returns 0
float *x = w ? w + at : part;	part is filled by the line below before anything reads it
against %10.4f  difference	its arguments are set wherever bootstrap() returns 0
KNOWN
judged() { # NAME FILE: findings are "FILE:LINE:COLUMN: TEXT"; those whose line holds a known text are left out
    awk -F: -v known=$B/known '
        BEGIN { while ((getline s < known) > 0) { split(s, part, "\t"); reason[part[1]] = part[2] }
                while ((getline s < "actinh.c") > 0) source[++n] = s }
        { for (k in reason) if (index(source[$2], k)) next; print; print "    " source[$2] }' "$2" >$B/left
    if [ -s $B/left ]; then bad "$1" $B/left; else ok "$1"; fi
}
if have cppcheck; then
    cppcheck --std=c99 --enable=warning,portability,performance --quiet --template='{file}:{line}:{column}: {severity}: {message} [{id}]' \
        --template-location='' --suppress=toomanyconfigs --suppress=normalCheckLevelMaxBranches actinh.c 2>&1 | grep -E '(error|warning|portability|performance): ' >$B/cppcheck
    judged cppcheck $B/cppcheck
else skip cppcheck; fi
if have clang-tidy; then
    wait
    grep -E 'actinh.c:[0-9]+:[0-9]+: (warning|error)' $B/tidy.log | sed 's/^.*actinh\.c:/actinh.c:/' >$B/tidy
    judged clang-tidy $B/tidy
else skip clang-tidy; fi

# 4. the page: no line is over 120 columns
awk 'length($0) > 120 { print "line " NR ", " length($0) " columns: " $0; exit }' actinh.c >$B/left
if [ -s $B/left ]; then bad 'a line over 120 columns' $B/left; else ok '120 columns'; fi

echo "$passed passed, $failed failed, $skipped skipped"
[ $failed -eq 0 ]
