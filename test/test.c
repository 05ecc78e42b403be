/* test.c: actinh.c from the inside. It includes the file, so that every static function can be reached.
 * Run from the repository's root; `make test` does. Prints only what fails; the last line counts.
 *
 *     ACTINH_TEST_SHOW=1    prints what was measured: greatest errors, shares
 *     ACTINH_TEST_LONG=10   ten times as many random cases
 *
 * What is promised to the bit is compared with memcmp; what only has to be close says why it may differ.
 * Files of ../shared belong to the workshop, not to a clone: tests that need one are skipped where it is
 * absent.
 */
#define ACTINH_NO_MAIN
#include "../actinh.c"
#define main vocabulary_main
#include "vocabulary.c"
#undef main
#include <float.h>

static size_t passed, failed, skipped, times = 1;
static int show;

static void check(int ok, const char *format, ...) {
    va_list args;
    if (ok) { passed++; return; }
    failed++;
    va_start(args, format);
    printf("FAILED  ");
    vprintf(format, args);
    printf("\n");
    va_end(args);
}

/* For loops of a million: counts one check for all of them, and shows the first case that is wrong. */
typedef struct { const char *what; size_t wrong; char first[600]; } Many;

static void one_of(Many *m, int ok, const char *format, ...) {
    va_list args;
    if (ok || m->wrong++) return;
    va_start(args, format);
    vsnprintf(m->first, sizeof m->first, format, args);
    va_end(args);
}

static void check_many(const Many *m) {
    check(m->wrong == 0, "%s: %zu wrong, the first: %s", m->what, m->wrong, m->first);
}

/* Random test cases: the same in every run, for a failure that comes and goes is no help. */
static uint64_t dice;
static uint64_t roll(void) { return dice = stir(dice, 1); }
static size_t any_of(size_t n) { return below(roll(), n); }
static double any_from(double low, double high) {
    return low + (high - low) * 0x1p-53 * (double)(roll() >> 11);
}

/* A float of any kind that sums can meet: usual ones, tiny ones, denormals, zeros of both signs. */
static float any_float(void) {
    size_t kind = any_of(16);
    double x = any_from(-1, 1);
    return kind == 0 ? -0.0f : kind == 1 ? 0.0f : kind == 2 ? (float)(x * 1e-41) : kind == 3
        ? (float)(x * 1e-20)
         : kind == 4 ? (float)(x * 1e6) : (float)x;
}

static void fill_floats(float *x, size_t n) {
    size_t i;
    for (i = 0; i < n; i++) x[i] = any_float();
}

/* How many threads, where there are any. */
static void set_threads(int n) {
#ifdef _OPENMP
    omp_set_num_threads(n);
#else
    (void)n;
#endif
}

/* Exact arithmetic is measured against long double; where that is no more than double (macOS
 * on ARM, Microsoft's compilers), these tests are skipped. */
static int has_long_double(void) {
    if (LDBL_MANT_DIG >= 64) return 1;
    skipped++;
    return 0;
}

/* Is there this file of ../shared? If not, the test is skipped. */
static int shared_file(const char *path) {
    if (is_file(path)) return 1;
    skipped++;
    return 0;
}

/* A temporary file with this text. */
static const char *temporary(Env *e, const char *name, Span text) {
    const char *path = join(e, "test/build/", name, "");
    make_dir(e, "test/build");
    save_file(e, path, text);
    return path;
}

static Span load_json(Env *e, const char *path) {
    Span text = { NULL, 0 };
    if (load_file(e, path, &text) == 0) json_check(e, text, path, 0);
    check(!e->error[0], "%s", e->error);
    return e->error[0] ? span("") : trim(text);
}

static double number_of(Span json, const char *key) {
    double x = 0;
    json_number(json_get(json, key), &x);
    return x;
}

static Span text_of(Env *e, Span json, const char *key) {
    Buf b = { NULL, 0, 0 };
    Span v = json_get(json, key);
    put(e, &b, "", 0);
    if (v.n && v.s[0] == '"') put_unquoted(e, &b, v);
    return whole(&b);
}

static size_t numbers(Span list, double *x, size_t most) {
    Member m;
    size_t at = 0, n = 0;
    while (json_next(list, &at, &m) && n < most) if (!json_number(m.value, &x[n++])) return 0;
    return n;
}

/* =========================================== Exact arithmetic =========================================== */

/* |got - want| in units of the last place that a number with `bits` bits of mantissa has at `want`. */
static double ulps(double got, long double want, int bits) {
    int exponent;
    if (want == 0) return got == 0 ? 0 : 1e9;
    frexpl(want, &exponent);
    return (double)(fabsl((long double)got - want) / ldexpl(1.0L, exponent - bits));
}

static void greatest(const char *name, double found, double claimed, const char *unit) {
    if (show) printf("%-34s %.6g %s (claimed: %g)\n", name, found, unit, claimed);
    check(found <= claimed, "%s: greatest error %.17g %s, claimed is %g", name, found, unit, claimed);
}

static void test_exp_log(void) {
    double e32 = 0, e64 = 0, l64 = 0, near1 = 0, p64 = 0, u;
    size_t i, n = 1000000 * times;
    if (!has_long_double()) return;
    for (i = 0; i < 2 * n; i++) {
        float x = (float)(i & 1 ? any_from(-87, 88) : any_from(-2, 2));
        if ((u = ulps((double)exp32(x), expl((long double)x), 24)) > e32) e32 = u;
    }
    for (i = 0; i < n; i++) {
        double x = i & 1 ? any_from(-708, 709) : any_from(-1, 1),
            y = from_bits64(((roll() % 2046 + 1) << 52) | roll() >> 12);
        double z = 1 + ldexp(any_from(-1, 1), -(int)any_of(52)) / 4, theta = any_from(1, 1e7),
            power = -any_from(0, 1);
        if ((u = ulps(exp64(x), expl((long double)x), 53)) > e64) e64 = u;
        if ((u = ulps(log64(y), logl((long double)y), 53)) > l64) l64 = u;
        if ((u = ulps(log64(z), logl((long double)z), 53)) > near1) near1 = u;
        if (i < n / 4 && (u = ulps(pow64(theta, power), powl((long double)theta, (long double)power),
            53)) > p64) p64 = u;
    }
    greatest("exp32 on [-87, 88]", e32, 1.1, "ulp");
    greatest("exp64 on [-708, 709]", e64, 1, "ulp");
    greatest("log64, all normal numbers", l64, 1, "ulp");
    greatest("log64 near 1", near1, 1, "ulp");
    /* the error of the logarithm times y log x: no claim */
    greatest("pow64, rope's arguments", p64, 32, "ulp");
    check(exp32(-88.0f) == 0 && exp32(-1e30f) == 0 && exp32(0.0f) == 1 && exp32(1e30f) == exp32(88.0f),
        "exp32: ends");
    check(exp64(-709) == 0 && exp64(0) == 1 && exp64(1e300) == exp64(709) && exp64(709) < HUGE_VAL,
        "exp64: ends");
    check(log64(1) == 0 && log64(0) == -745 && log64(-1) == -745, "log64: ends");
    check(exp64(NAN) != exp64(NAN), "exp64: NaN stays");
}

/* Compilers turn the first loop into vector instructions, and can't the second. */
static void test_exp_lanes(void) {
    enum { N = 40003 };
    static float x[N], y[N];
    volatile float one;
    Many m = { "exp32 in lanes and alone", 0, "" };
    size_t i;
    for (i = 0; i < N; i++) x[i] = (float)any_from(-95, 95);
    for (i = 0; i < N; i++) y[i] = exp32(x[i]);
    for (i = 0; i < N; i++) {
        one = x[i];
        one_of(&m, bits32(exp32(one)) == bits32(y[i]), "exp32(%a)", (double)x[i]);
    }
    check_many(&m);
}

static void test_sincos(void) {
    static const double ranges[] = { 1, 100, 1e4, 1048576, 4194304 };
    size_t r, i;
    if (!has_long_double()) return;
    for (r = 0; r < COUNT(ranges); r++) {
        double worst = 0, s, c, d;
        char name[64];
        for (i = 0; i < 200000 * times; i++) {
            double x = any_from(0, ranges[r]);
            if (i & 1) x = (double)(float)x;                 /* as rope asks: angles are floats */
            sincos64(x, &s, &c);
            if ((d = (double)fabsl((long double)s - sinl((long double)x))) > worst) worst = d;
            if ((d = (double)fabsl((long double)c - cosl((long double)x))) > worst) worst = d;
        }
        snprintf(name, sizeof name, "sincos64 below %.0f", ranges[r]);
        greatest(name, worst, ldexp(1, -52), "(absolute)");
    }
}

static void test_random_numbers(void) {
    double sum = 0, squares = 0, low = 1, high = 0;
    size_t i, n = 400000, place[7] = { 0 }, bad = 0;
    /* stir() from 0 is SplitMix64 with seed 0; these are its published first numbers */
    check(stir(0, 0) == 0xe220a8397b1dcdafu, "stir: first number of SplitMix64");
    check(stir(0x9e3779b97f4a7c15u, 0) == 0x6e789e6aa1b965f4u, "stir: second number of SplitMix64");
    check(stir(2 * (uint64_t)0x9e3779b97f4a7c15u, 0) == 0x06c45d188009454fu,
        "stir: third number of SplitMix64");
    check(draw(1, DRAW_SAMPLE, 2, 3, 4) == stir(stir(stir(stir(stir(0, 1), 1), 2), 3), 4),
        "draw: the words' order");
    check(draw(1, 2, 3, 4, 5) == 0x90bb69b7166551deu, "draw: golden value, found %llx",
        (unsigned long long)draw(1, 2, 3, 4, 5));
    check(uniform(0) == 0 && uniform(UINT64_MAX) == 1 - 1.0f / 16777216 && uniform((uint64_t)1 << 63) == 0.5f,
        "uniform: ends");
    check(below(UINT64_MAX, 10) == 9 && below(0, 10) == 0 && below((uint64_t)1 << 63, 10) == 5,
        "below: ends");
    check(hash("", 0) == 0xcbf29ce484222325u && hash("a", 1) == 0xaf63dc4c8601ec8cu
        && hash("foobar", 6) == 0x85944171f73967e8u, "FNV-1a");
    for (i = 0; i < n; i++) {
        double u = (double)uniform(draw(7, 0, i, 0, 0));
        size_t b = below(draw(8, 0, i, 0, 0), 7);
        if (u < low) low = u;
        if (u > high) high = u;
        sum += u;
        if (b < 7) place[b]++; else bad++;
    }
    check(low >= 0 && high < 1 && fabs(sum / (double)n - 0.5) < 0.002, "uniform: %g to %g, mean %g", low,
        high, sum / (double)n);
    for (i = 0; i < 7; i++) check(fabs((double)place[i] * 7 / (double)n - 1) < 0.02,
        "below(7): %zu came %zu times", i, place[i]);
    check(bad == 0, "below(7): 7 or more");
    for (sum = 0, i = 0; i < n / 2; i++) {
        double x = (double)normal(3, i & 1, i);
        sum += x; squares += x * x;
    }
    check(fabs(sum / (double)(n / 2)) < 0.01 && fabs(squares / (double)(n / 2) - 1) < 0.01,
          "normal: mean %g, variance %g", sum / (double)(n / 2), squares / (double)(n / 2));
}

static void test_sha(void) {
    /* FIPS 180-4's examples */
    static const struct { const char *text; size_t repeat; const char *want; } cases[] = {
        { "", 1, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" },
        { "abc", 1, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" },
        { "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 1,
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1" },
        { "a", 1000000, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0" } };
    size_t i, k;
    char hex[65];
    for (i = 0; i < COUNT(cases); i++) {
        Sha c = sha_start;
        for (k = 0; k < cases[i].repeat; k++) sha_add(&c, cases[i].text, strlen(cases[i].text));
        sha_end(&c, hex);
        check(strcmp(hex, cases[i].want) == 0, "sha256 of %zu times \"%s\": %s", cases[i].repeat,
            cases[i].text, hex);
    }
}

/* ============================================ Text and JSON ============================================= */

/* A number as text, of one of several kinds; returns its length. */
static int any_number(char *s, size_t room_n) {
    size_t kind = any_of(8), i, n = 0, digits;
    double x = from_bits64(roll());
    if (kind < 2) return snprintf(s, room_n, kind ? "%.17g" : "%.6e", x - x == 0 ? x : 1.5);
    if (kind == 2) return snprintf(s, room_n, "%.*f", (int)any_of(20), any_from(-1e9, 1e9));
    /* below 2^-1022 */
    if (kind == 3) return snprintf(s, room_n, "%.17g", from_bits64(roll() >> (12 + any_of(50))));
    digits = 1 + any_of(kind == 4 && any_of(50) == 0 ? 1500 : 25);
    if (any_of(2)) s[n++] = any_of(4) ? '-' : '+';
    for (i = any_of(8) ? 0 : any_of(400); i > 0; i--) s[n++] = '0';
    for (i = 0; i < digits; i++) {
        if (any_of(digits) == 0 && !memchr(s, '.', n)) s[n++] = '.';
        s[n++] = (char)('0' + (any_of(3) ? any_of(10) : 0));
    }
    s[n] = 0;
    if (any_of(3)) n += (size_t)snprintf(s + n, room_n - n, "%c%+d", any_of(2) ? 'e' : 'E',
        (int)any_of(any_of(4) ? 40 : 700) - (any_of(4) ? 20 : 350));
    return (int)n;
}

static void compare_number(Many *m, const char *s, size_t n) {
    double want, got = 7;
    char *end;
    size_t used;
    want = strtod(s, &end);
    used = parse_number(s, n, &got);
    one_of(m, used == (size_t)(end - s) && bits64(got) == bits64(want),
        "%.400s: %zu characters, %a; strtod: %zu, %a", s, used, got, (size_t)(end - s), want);
}

static void test_parse_number(void) {
    static const char *const cases[] = { "0", "-0", "-0.0e5", "1", "1e", "1e+", "1.e5", ".5", "-.5e-3",
        "1e400", "-1e400", "1e-400", "0e999999999",
        "1e999999999999999999999", "1e-999999999999999999999", "4.9406564584124654e-324",
            "2.4703282292062327e-324", "2.4703282292062328e-324",
        "1.7976931348623157e308", "1.7976931348623158e308", "1.7976931348623159e308",
            "2.2250738585072011e-308", "2.2250738585072014e-308",
        "9007199254740993", "9007199254740992.9999999999999999", "9007199254740993.00000000000000000000001",
            "1.2.3", "5e-324", "1e23", "8.5e22",
        "123456789012345678901234567890e-20", "0.000000000000000000000000000000000000000000000001e48",
            "6.9294956446009195e15" };
    static const struct { const char *text; size_t n; } none[] = { { "", 0 }, { "-", 1 }, { ".", 1 },
        { "-.", 2 }, { "e5", 2 }, { "+", 1 }, { "x", 1 }, { "- 1", 3 }, { " 1", 2 } };
    Many fixed = { "parse_number, known traps", 0, "" }, some = { "parse_number against strtod", 0, "" },
        half = { "parse_number at halves", 0, "" };
    char s[4096];
    size_t i, n;
    double x;
    for (i = 0; i < COUNT(cases); i++) compare_number(&fixed, cases[i], strlen(cases[i]));
    for (i = 0; i < COUNT(none); i++) one_of(&fixed, parse_number(none[i].text, none[i].n, &x) == 0,
        "\"%s\" is no number", none[i].text);
    check_many(&fixed);
    for (i = 0; i < 250000 * times; i++) {
        n = (size_t)any_number(s, sizeof s);
        compare_number(&some, s, n);
    }
    check_many(&some);
    if (!has_long_double()) return;
    /* halfway between two doubles, and a hair beside it; long double holds it exactly */
    for (i = 0; i < 6000 * times; i++) {
        double below_it = from_bits64(i % 3
            ? (roll() % 2045) << 52 | roll() >> 12 : roll() >> (12 + any_of(50)));
        double above = from_bits64(bits64(below_it) + 1);
        long double middle = ((long double)below_it + (long double)above) / 2;
        n = (size_t)snprintf(s, sizeof s, "%.1100Le", middle);
        compare_number(&half, s, n);
        s[strchr(s, 'e') - s - 1] = '1';     /* 1,101 digits: the last one breaks the tie */
        compare_number(&half, s, n);
        n = (size_t)snprintf(s, sizeof s, "%.*Le", 15 + (int)any_of(25), middle);
        compare_number(&half, s, n);
    }
    check_many(&half);
}

static void test_print_number(void) {
    static const struct { double x; const char *fixed; } cases[] = { { 0, "0.000000" }, { -0.0, "0.000000" },
        { -1e-9, "0.000000" }, { 0.5e-6, "0.000001" },
        { -0.5e-6, "-0.000001" }, { 1.5, "1.500000" }, { -123.456789, "-123.456789" },
            { 0.9999999, "1.000000" }, { 1e12, "1000000000000.000000" } };
    static const struct { float x; const char *name; } names[] = { { 1e-5f, "1e-05" }, { 1e-6f, "1e-06" }, { 0.1f, "0.1" }, { 16, "16" },
        { 128256, "128256" }, { 1048576, "1048576" }, { 1.0f / 3, "0.33333334" }, { 1e-5f + 1e-12f, "1.0000001e-05" }, { -0.02f, "-0.02" } };
    Env e;
    Buf b = { NULL, 0, 0 };
    Many fixed = { "put_fixed against printf", 0, "" }, hex = { "put_hex against printf", 0, "" },
        sixth = { "six() keeps what is printed", 0, "" }, shortest = { "put_short names a binary32 number", 0, "" };
    char want[400];
    size_t i;
    memset(&e, 0, sizeof e);
    for (i = 0; i < COUNT(cases); i++) {
        b.n = 0;
        put_fixed(&e, &b, cases[i].x);
        check(strcmp(b.s, cases[i].fixed) == 0, "put_fixed(%a): %s", cases[i].x, b.s);
    }
    for (i = 0; i < 100000 * times; i++) {
        double x = any_from(-1, 1) * pow(10, (double)any_of(15) - 6),
            part = fabs(x) * 1e6 - floor(fabs(x) * 1e6), back = 0;
        b.n = 0;
        put_fixed(&e, &b, x);
        snprintf(want, sizeof want, "%.6f", x);
        /* at a tie the last bit of x 10^6 decides, which printf knows better */
        if (fabs(part - 0.5) > 1e-3)
            one_of(&fixed, strcmp(b.s, strcmp(want, "-0.000000") == 0 ? "0.000000" : want) == 0,
                "%a: %s, printf: %s", x, b.s, want);
        parse_number(b.s, b.n, &back);
        one_of(&sixth, six(x) == back, "%a: six %a, printed %s", x, six(x), b.s);
        x = from_bits64(((roll() % 2046 + 1) << 52) | (roll() >> 12 & UINT64_MAX << any_of(52)));
        if (any_of(2)) x = -x;
        b.n = 0;
        put_hex(&e, &b, x);
        snprintf(want, sizeof want, "%a", x);
        one_of(&hex, strcmp(b.s, want) == 0, "%s, printf: %s", b.s, want);
        x = any_of(2) ? (double)any_float() : (double)(float)(any_from(0, 1) * pow(10, (double)any_of(20) - 10));
        b.n = 0;
        put_short(&e, &b, x);
        one_of(&shortest, parse_number(b.s, b.n, &back) == b.n && (float)back == (float)x && b.n < 17, "%.9g: %s", x, b.s);
    }
    check_many(&fixed); check_many(&hex); check_many(&sixth); check_many(&shortest);
    for (i = 0; i < COUNT(names); i++) {
        b.n = 0;
        put_short(&e, &b, (double)names[i].x);
        check(strcmp(b.s, names[i].name) == 0, "put_short(%a): %s", (double)names[i].x, b.s);
    }
    b.n = 0;
    put_hex(&e, &b, 0); put_text(&e, &b, " "); put_hex(&e, &b, -0.0); put_text(&e, &b, " ");
        put_hex(&e, &b, 1);
    check(strcmp(b.s, "0x0p+0 -0x0p+0 0x1p+0") == 0, "put_hex of zeros and 1: %s", b.s);
    env_free(&e);
}

static void test_json_syntax(void) {
    static const char *const valid[] = { "0", "-0", "1.5e-3", "1E+2", "\"\"", "true", "false", "null", "[]",
        "{}", " [ 1 , 2 ]\r\n\t", "{\"a\":{\"b\":[null,{}]}}",
        "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\"", "\"\\uD83D\\uDE00\"", "\"\\uD800\"", "{\"\":0,\"\":1}",
            "[[[[]]]]", "-1.0", "[1,[2,[3]],{\"x\":4}]", "\"\x7f\"",
        "\"\xc3\xa9\xff\"" };
    static const char *const invalid[] = { "", " ", "[", "]", "{", "}", "[1,]", "[,1]", "[1 2]", "{\"a\"}",
        "{\"a\":}", "{\"a\":1,}", "{a:1}", "{'a':1}",
        "{\"a\" 1}", "{1:2}", "01", "-01", "+1", "1.", ".5", "-", "1e", "1e+", "0x10", "NaN", "Infinity",
            "-Infinity", "nul", "truee", "True", "\"", "\"\\\"",
        "\"\\x\"", "\"\\u12\"", "\"\\u12g4\"", "\"\\u\"", "\"\t\"", "\"\n\"", "1 2", "[1]]", "{}{}", "[1}",
            "{\"a\":1]", "// 1", "[1/**/]", "\xef\xbb\xbf[]", "[1,,2]",
        "[\"a\",\n4\n,1,", "{\"a\":\"b\"}#", "[-]", "[2.e3]", "[0e]", "[1eE2]", "[\"\\\xe5\"]", "*", "[\xff]",
            "tru", "\"\\" };
    Env e;
    char deep[500];
    size_t i, n;
    for (i = 0; i < COUNT(valid); i++) {
        memset(&e, 0, sizeof e);
        check(json_check(&e, span(valid[i]), "x", 1) == 0, "JSON refused: %s: %s", valid[i], e.error);
    }
    for (i = 0; i < COUNT(invalid); i++) {
        memset(&e, 0, sizeof e);
        check(json_check(&e, span(invalid[i]), "x", 1) < 0, "not JSON, but accepted: %s", invalid[i]);
    }
    {   /* a byte 0 is not white space, not a value, and no escape */
        static const Span nul[] = { { "[1,\0]", 5 }, { "\"\0\"", 3 }, { "\"\\\0\"", 4 }, { "1\0", 2 } };
        for (i = 0; i < COUNT(nul); i++) {
            memset(&e, 0, sizeof e);
            check(json_check(&e, nul[i], "x", 1) < 0, "not JSON, but accepted: a byte 0, case %zu", i);
        }
    }
    for (n = 100; n <= 240; n += 140) {
        memset(&e, 0, sizeof e);
        memset(deep, '[', n); memset(deep + n, ']', n);
        deep[2 * n] = 0;
        check((json_check(&e, span(deep), "x", 1) == 0) == (n == 100), "JSON nested %zu deep: %s", n,
            e.error);
    }
    memset(&e, 0, sizeof e);
    json_check(&e, span("{\"a\": 1 \"b\"}"), "f.jsonl", 7);
    check(strcmp(e.error, "f.jsonl, line 7, column 9: not JSON: ',' or '}' was expected") == 0,
        "JSON message: %s", e.error);
}

static void test_json_values(void) {
    static const struct { const char *json, *text; } cases[] = {
        { "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\b\f\n\r\t" },
            { "\"\\u0041\\u00e9\\u20AC\"", "A\xc3\xa9\xe2\x82\xac" },
        { "\"\\ud83d\\ude00\"", "\xf0\x9f\x98\x80" }, { "\"\\udbff\\udfff\"", "\xf4\x8f\xbf\xbf" },
        { "\"\\ud83d\"", "\xef\xbf\xbd" }, { "\"\\ude00\\ud83d\"", "\xef\xbf\xbd\xef\xbf\xbd" },
            { "\"\\ud83dx\"", "\xef\xbf\xbdx" },
        { "\"\\ud83d\\u0041\"", "\xef\xbf\xbd" "A" }, { "\"\\ud83d\\ud83d\\ude00\"",
            "\xef\xbf\xbd\xf0\x9f\x98\x80" }, { "\"\\ud83d\\n\"", "\xef\xbf\xbd\n" },
        { "\"a\xff" "b\"", "a\xef\xbf\xbd" "b" }, { "\"\xc0\x80\"", "\xef\xbf\xbd\xef\xbf\xbd" },
            { "\"\xed\xa0\x80\"", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" },
        { "\"\xf4\x90\x80\x80\"", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" },
            { "\"\xe2\x82\"", "\xef\xbf\xbd\xef\xbf\xbd" }, { "\"\xc3\xa9\"", "\xc3\xa9" } };
    Env e;
    Member m;
    size_t i, at = 0, n = 0;
    double x;
    Span object = span("{ \"a\" : 1 , \"b\":[1,{\"c\":\"}\"},[]], \"a\":\"last\", \"z\" : null}");
    memset(&e, 0, sizeof e);
    for (i = 0; i < COUNT(cases); i++) {
        Buf b = { NULL, 0, 0 };
        put_unquoted(&e, &b, span(cases[i].json));
        check(same(whole(&b), cases[i].text), "JSON text %s became %s", cases[i].json, b.s);
    }
    while (json_next(object, &at, &m)) n++;
    check(n == 4 && same(json_get(object, "a"), "\"last\"") && same(json_get(object, "z"), "null")
        && json_get(object, "c").n == 0, "JSON fields");
    for (at = n = 0; json_next(json_get(object, "b"), &at, &m); n++) ;
    check(n == 3 && same(m.value, "[]"), "JSON elements");
    check(json_number(span("-1.5e2"), &x) && x == -150 && !json_number(span("\"1\""), &x)
        && !json_number(span("1e999"), &x) && !json_number(span("null"), &x), "JSON numbers");
    env_free(&e);
}

/* Any bytes, quoted and unquoted: what is UTF-8 comes back, each other byte as U+FFFD. */
static void test_json_round_trip(void) {
    Env e;
    Buf quoted = { NULL, 0, 0 }, back = { NULL, 0, 0 }, want = { NULL, 0, 0 };
    Many m = { "JSON quoting, there and back", 0, "" };
    size_t round, i;
    memset(&e, 0, sizeof e);
    put_quoted(&e, &quoted, span("\x7f\x01\"\\/\n\r\t\b\xc3\xa9\xff"));
    check(strcmp(quoted.s, "\"\\u007f\\u0001\\\"\\\\/\\n\\r\\t\\u0008\xc3\xa9\xef\xbf\xbd\"") == 0,
        "quoted: %s",
          quoted.s);
    for (round = 0; round < 20000 * times; round++) {
        char s[64];
        Span text = { s, any_of(sizeof s) };
        uint32_t c;
        for (i = 0; i < text.n; i++) s[i] = (char)(any_of(3) ? any_of(128) : any_of(256));
        quoted.n = back.n = want.n = 0;
        put_quoted(&e, &quoted, text);
        put(&e, &back, "", 0); put(&e, &want, "", 0);
        for (i = 0; i < text.n;) { i += utf8(s + i, text.n - i, &c); put_utf8(&e, &want, c); }
        one_of(&m, json_check(&e, whole(&quoted), "x", 1) == 0, "%s: %s", quoted.s, e.error);
        e.error[0] = 0;
        put_unquoted(&e, &back, whole(&quoted));
        one_of(&m, back.n == want.n && memcmp(back.s, want.s, want.n) == 0, "%s", quoted.s);
    }
    check_many(&m);
    env_free(&e);
}

static void test_records(void) {
    static const struct { const char *line, *id, *prompt, *completion; } cases[] = {
        { "{\"id\":\"x\",\"prompt\":\"p\",\"completion\":\"c\"}", "x", "p", "c" },
            { "{\"id\":7,\"prompt\":\"p\"}", "7", "p", "" },
        { "{\"prompt\":\"p\"}", "2", "p", "" },
            { "{\"instruction\":\"do\",\"input\":\"this\",\"output\":\"done\"}", "3", "do\nthis", "done" },
        { "{\"instruction\":\"do\",\"input\":\"\",\"output\":\"done\"}", "4", "do", "done" },
            { "{\"instruction\":\"do\",\"input\":null}", "5", "do", "" },
        { "{\"prompt\":\"p\",\"response\":\"r\"}", "6", "p", "r" },
            { "{\"prompt\":\"p\",\"answer\":\"a\"}", "7", "p", "a" },
        { "{\"text\":\"t\\u00e9\"}", "8", "", "t\xc3\xa9" },
            { "{\"completion\":\"c\",\"response\":\"r\",\"prompt\":\"p\",\"instruction\":\"i\"}", "9", "p",
            "c" },
        { "{\"id\":null,\"prompt\":\"\\ud83d\\ude00\"}", "10", "\xf0\x9f\x98\x80", "" } };
    static const char *const bad[] = { "{\"x\":1}\n", "[1]\n", "{\"prompt\":\"a\"\n",
        "{\"prompt\":\"a\",\"candidate\":-1}\n", "{\"prompt\":\"a\",\"candidate\":1.5}\n", "5\n" };
    Env e;
    size_t shape, i;
    memset(&e, 0, sizeof e);
    /* a line each, a line each without the last end of line and \r, one array */
    for (shape = 0; shape < 3; shape++) {
        Buf b = { NULL, 0, 0 };
        Records rs;
        Record r;
        memset(&r, 0, sizeof r);
        if (shape == 2) put_text(&e, &b, " \n[");
        for (i = 0; i < COUNT(cases); i++) put_format(&e, &b, "%s%s", i ? shape == 2 ? " ,\n" : shape
            ? "\r\n" : "\n\n" : "", cases[i].line);
        put_text(&e, &b, shape == 2 ? "]\n" : shape ? "" : "\n");
        check(open_records(&e, &rs, temporary(&e, "records.jsonl", whole(&b))) == 0, "%s", e.error);
        for (i = 0; next_record(&e, &rs, &r) > 0; i++) {
            check(i < COUNT(cases) && same(r.id, cases[i].id) && same(r.prompt, cases[i].prompt)
                && same(r.completion, cases[i].completion) && r.number == i,
                  "record %zu: id %.*s, prompt %.*s, completion %.*s", i, SHOWN(r.id), SHOWN(r.prompt),
                      SHOWN(r.completion));
        }
        check(i == COUNT(cases) && !e.error[0], "%zu records of shape %zu: %s", i, shape, e.error);
    }
    for (i = 0; i < COUNT(bad); i++) {
        Records rs;
        Record r;
        Env e2;
        memset(&r, 0, sizeof r); memset(&e2, 0, sizeof e2);
        if (open_records(&e2, &rs, temporary(&e2, "bad.jsonl", span(bad[i]))) == 0) next_record(&e2, &rs, &r);
        check(e2.error[0] != 0, "a bad record was accepted: %s", bad[i]);
        env_free(&e2);
    }
    env_free(&e);
}

/* A file far larger than one reading (256 KiB), so that groups and lines cross its edges. */
static void test_groups(void) {
    Env e;
    Buf b = { NULL, 0, 0 };
    Records rs;
    Group g;
    Many m = { "groups of candidates", 0, "" };
    size_t prompts = 500, i, k, any = 0, of[500];
    int r;
    memset(&e, 0, sizeof e); memset(&g, 0, sizeof g);
    for (i = 0; i < prompts; i++) for (of[i] = 1 + any_of(9), k = 0; k < of[i]; k++) {
        size_t n;
        put_format(&e, &b, "{\"id\":\"p%zu\",\"candidate\":%zu,\"prompt\":\"P%zu\",\"completion\":\"", i, k,
            i);
        for (n = any_of(600); n > 0; n--) put_text(&e, &b, any_of(9) ? "x" : "\\n");
        put_format(&e, &b, "C%zu\"}\n", k);
    }
    check(open_records(&e, &rs, temporary(&e, "groups.jsonl", whole(&b))) == 0, "%s", e.error);
    for (i = 0; (r = next_group(&e, &rs, &g)) > 0; i++) {
        char id[32], prompt[32], tail[32];
        one_of(&m, i < prompts && g.n == of[i], "group %zu has %zu", i, g.n);
        snprintf(id, sizeof id, "p%zu", i); snprintf(prompt, sizeof prompt, "P%zu", i);
        for (k = 0; k < g.n; k++, any++) {
            Record *x = &g.r[k];
            snprintf(tail, sizeof tail, "C%zu", k);
            one_of(&m, same(x->id, id) && same(x->prompt, prompt) && x->candidate == k
                && x->completion.n >= strlen(tail)
                   && memcmp(x->completion.s + x->completion.n - strlen(tail), tail, strlen(tail)) == 0
                   && json_check(&e, x->raw, "raw", 1) == 0, "prompt %zu, candidate %zu: %.*s", i, k,
                       SHOWN(x->raw));
        }
    }
    check(r == 0 && i == prompts && !e.error[0], "%zu groups of %zu: %s", i, prompts, e.error);
    check_many(&m);
    env_free(&e);
}

static void test_lines(void) {
    static const char *const want[] = { "a", "", "b\rc", "d" };
    Env e;
    In in;
    Span line;
    size_t n = 0;
    memset(&e, 0, sizeof e);
    open_in(&e, &in, temporary(&e, "lines.txt", span("a\r\n\nb\rc\nd")));
    for (; next_line(&e, &in, &line) > 0; n++)
        check(n < COUNT(want) && same(line, want[n]) && in.line == n + 1, "line %zu: %.*s", n + 1,
            SHOWN(line));
    check(n == COUNT(want), "%zu lines", n);
    env_free(&e);
}

static void test_settings(void) {
    Env e;
    Setting *list;
    size_t n;
    Names seen = { NULL, 0, 0, 0 };
    size_t i, again = 0;
    memset(&e, 0, sizeof e);
    check(load_settings(&e,
        temporary(&e, "x.suite", span("a = 1\n# b = 2\n\n[one]\r\n  a=x = y  \r\n[two]\na =\n")), &list,
        &n) == 0 && n == 3, "settings: %s", e.error);
    check(strcmp(setting(list, n, "", "a", "?"), "1") == 0
        && strcmp(setting(list, n, "one", "a", "?"), "x = y") == 0
          && strcmp(setting(list, n, "two", "a", "?"), "") == 0
              && strcmp(setting(list, n, "one", "b", "?"), "?") == 0, "settings: values");
    check(load_settings(&e, temporary(&e, "x.suite", span("nonsense\n")), &list, &n) < 0,
        "settings: a line without = was accepted");
    memset(&e.error, 0, sizeof e.error);
    for (i = 0; i < 5000; i++) {
        char name[32];
        snprintf(name, sizeof name, "%zu", i % 4000);
        again += (size_t)(seen_before(&e, &seen, span(name)) == (i >= 4000));
    }
    check(again == 5000, "seen_before: %zu of 5000 right", again);
    env_free(&e);
}

/* ============================================== Tokenizer =============================================== */

/* The ids of a text. */
static int ids_of(Env *e, const Tokenizer *t, Span text, int prefix, int **ids, size_t *n) {
    Ids x = { NULL, 0, 0, { NULL, 0, 0 }, 0, 0, { NULL, 0 } };
    put(e, &x.text, text.s, text.n);
    TRY(encode(e, t, prefix, &x));
    drop(e, x.text.s);
    *ids = x.id; *n = x.n;
    return 0;
}

/* What encode() means: merge the best-scored neighbours, the leftmost of equals, until none is left. */
static size_t encode_slowly(const Tokenizer *t, Span text, int prefix, int *ids) {
    static char s[4096];
    static size_t from[4097];
    size_t bytes = 0, n = 0, i, k, out = 0;
    if (prefix && text.n) s[bytes++] = ' ';
    for (i = 0; i < text.n; i++) s[bytes++] = text.s[i];
    for (i = 0; i < bytes;) { uint32_t c; from[n++] = i; i += utf8(s + i, bytes - i, &c); }
    from[n] = bytes;
    for (;;) {
        size_t best = SIZE_MAX;
        float score = 0;
        for (i = 0; i + 1 < n; i++) {
            int id = find_piece(t, s + from[i], from[i + 2] - from[i], 0);
            if (id >= 0 && (best == SIZE_MAX || t->piece[id].score > score)) { best = i; score = t->piece[id].score; }
        }
        if (best == SIZE_MAX) break;
        for (i = best + 1; i < n; i++) from[i] = from[i + 1];
        n--;
    }
    for (i = 0; i < n; i++) {
        int id = find_piece(t, s + from[i], from[i + 1] - from[i], 0);
        if (id >= 0) ids[out++] = id;
        else for (k = from[i]; k < from[i + 1]; k++) ids[out++] = BYTES + (unsigned char)s[k];
    }
    return out;
}

static int load_any_tokenizer(Env *e, const char *path, Tokenizer *t) {
    if (!is_file(path)) { skipped++; return 0; }
    check(load_tokenizer(e, path, t) == 0, "%s", e->error);
    return !e->error[0];
}

static void test_tokenizer(const char *path) {
    Env e;
    Tokenizer t, again;
    Many slow = { path, 0, "" }, trip = { path, 0, "" }, found = { path, 0, "" };
    size_t round, i, k, n;
    memset(&e, 0, sizeof e);
    if (!load_any_tokenizer(&e, path, &t)) return;
    /* find_piece() finds the first piece of this text from 259 on */
    for (i = 0; i < t.n; i += 1 + t.n / 1500) {
        for (k = PIECES; k < t.n && (t.piece[k].text.n != t.piece[i].text.n
            || memcmp(t.piece[k].text.s, t.piece[i].text.s, t.piece[i].text.n)); k++) ;
        one_of(&found, find_piece(&t, t.piece[i].text.s, t.piece[i].text.n, 0) == (k < t.n ? (int)k : -1),
            "piece %zu is found as %d", i, find_piece(&t, t.piece[i].text.s, t.piece[i].text.n, 0));
    }
    check_many(&found);
    for (round = 0; round < 4000 * times; round++) {
        char s[400];
        int slowly[512], *ids, prefix = any_of(2) != 0, same_ids;
        Span text = { s, 0 };
        Buf back = { NULL, 0, 0 };
        size_t length = any_of(round % 50 ? 60 : 300);
        while (text.n < length) {            /* pieces, repeated letters, spaces, any bytes */
            Span p = t.piece[PIECES + any_of(t.n - PIECES)].text;
            size_t kind = any_of(8);
            if (kind < 5 && p.n < 60) { memcpy(s + text.n, p.s, p.n); text.n += p.n; }
            else if (kind == 5) for (i = any_of(6); i > 0; i--) s[text.n++] = round & 1 ? 'e' : ' ';
            else s[text.n++] = (char)any_of(256);
        }
        if (ids_of(&e, &t, text, prefix, &ids, &n) < 0) { check(0, "%s", e.error); return; }
        same_ids = encode_slowly(&t, text, prefix, slowly) == n && (n == 0 || memcmp(ids, slowly, n * sizeof *ids) == 0);
        one_of(&slow, same_ids, "encode() differs from the obvious loop for \"%.*s\"", (int)text.n, s);
        decode(&e, &t, ids, n, prefix, &back);
        one_of(&trip, back.n == text.n && memcmp(back.s ? back.s : s, s, text.n) == 0,
            "decode(encode(x)) != x for \"%.*s\"", (int)text.n, s);
        drop(&e, ids); drop(&e, back.s);
    }
    check_many(&slow); check_many(&trip);
    {   /* marks in a text are text, and the empty text has no ids */
        int *ids;
        ids_of(&e, &t, span("<s></s><unk><0x0A>"), 1, &ids, &n);
        for (i = 0; i < n && ids[i] != BOS && ids[i] != EOS && ids[i] != UNKNOWN && ids[i] != BYTES + 10;
            i++) ;
        check(i == n && n > 3, "%s: \"<s>\" in a text became a mark", path);
        ids_of(&e, &t, span(""), 1, &ids, &n);
        check(n == 0, "%s: the empty text has %zu ids", path, n);
    }
    make_dir(&e, "test/build");
    check(save_tokenizer(&e, "test/build/t.bin", &t) == 0
        && load_tokenizer(&e, "test/build/t.bin", &again) == 0, "%s", e.error);
    for (i = 0; i < t.n && i < again.n && bits32(t.piece[i].score) == bits32(again.piece[i].score)
        && t.piece[i].text.n == again.piece[i].text.n
         && memcmp(t.piece[i].text.s, again.piece[i].text.s, t.piece[i].text.n) == 0; i++) ;
    check(i == t.n && again.n == t.n, "%s: saved and loaded: piece %zu differs", path, i);
    env_free(&e);
}

static void compare_ids(Env *e, const Tokenizer *t, Span text, const double *want, size_t n_want,
    const char *source) {
    int *ids;
    size_t n, i;
    ids_of(e, t, text, 1, &ids, &n);
    for (i = 0; i < n && i < n_want && ids[i] == (int)want[i]; i++) ;
    check(i == n && n == n_want, "%s: \"%.*s\": id %zu differs (%zu ids, %zu expected)", source, SHOWN(text),
        i, n, n_want);
}

/* Against SentencePiece itself, by way of what llama2.c and llama.cpp test theirs with. */
static void test_tokenizer_vectors(const char *file) {
    static const char folder[] = "../shared/data/tokenizer/", mark[] = "\n__ggml_vocab_test__\n";
    char path[200];
    Env e;
    Tokenizer t;
    Span list, in, out;
    Member m;
    size_t at = 0, cases = 0;
    double want[1000];
    memset(&e, 0, sizeof e);
    snprintf(path, sizeof path, "%s%s", folder, file);
    if (!load_any_tokenizer(&e, path, &t)) return;
    snprintf(path, sizeof path, "%sllama2/llama2c_encode_cases.json", folder);
    for (list = load_json(&e, path); json_next(list, &at, &m); cases++) {
        size_t n = numbers(json_get(m.value, "ids"), want, COUNT(want));
        /* the first is the begin mark */
        compare_ids(&e, &t, text_of(&e, m.value, "text"), want + 1, n - 1, "llama2.c");
    }
    check(cases == 5, "llama2.c: %zu cases", cases);
    snprintf(path, sizeof path, "%sllamacpp/ggml-vocab-llama-spm.gguf.inp", folder);
    load_file(&e, path, &in);
    snprintf(path, sizeof path, "%sllamacpp/ggml-vocab-llama-spm.gguf.out", folder);
    load_file(&e, path, &out);
    for (cases = 0; in.n && out.n && !e.error[0]; cases++) {
        Span text = in, line = upto(&out, '\n');
        size_t n = 0, k;
        for (k = 0; k + strlen(mark) <= in.n && memcmp(in.s + k, mark, strlen(mark)) != 0; k++) ;
        if (k + strlen(mark) > in.n) k = in.n;
        text.n = k;
        k = k + strlen(mark) < in.n ? k + strlen(mark) : in.n;
        in.s += k; in.n -= k;
        for (line = trim(line); line.n; n++) { Span word = upto(&line, ' ');
            parse_number(word.s, word.n, &want[n]); }
        compare_ids(&e, &t, text, want, n, "llama.cpp");
    }
    check(cases > 40 && !e.error[0], "llama.cpp: %zu cases %s", cases, e.error);
    env_free(&e);
}

/* SentencePiece's own file and the one that llama2.c made of it hold the same vocabulary. */
static void test_same_tokenizer(const char *name) {
    char path[200];
    Env e;
    Tokenizer a, b;
    size_t i;
    memset(&e, 0, sizeof e);
    snprintf(path, sizeof path, "../shared/data/tokenizer/%s.bin", name);
    if (!load_any_tokenizer(&e, path, &a)) return;
    snprintf(path, sizeof path, "../shared/data/tokenizer/%s.model", name);
    if (!load_any_tokenizer(&e, path, &b)) return;
    for (i = 0; i < a.n && i < b.n && equal(a.piece[i].text, b.piece[i].text) && a.piece[i].score == b.piece[i].score
        && a.piece[i].kind == b.piece[i].kind; i++) ;
    check(i == a.n && i == b.n, "%s: piece %zu of .bin and .model differs", name, i);
    env_free(&e);
}

static void test_tokenizer_training(void) {
    static const char text[] = "{\"text\":\"low low low low lower lower newest newest newest "
        "newest newest newest widest widest widest\"}\n";
    static const char *const wanted[] = { "st", "est" };     /* 9 times each; "est" when "st" is one */
    Env e;
    Tokenizer t;
    size_t i, k;
    int *ids;
    memset(&e, 0, sizeof e);
    check(train_tokenizer(&e, temporary(&e, "words.jsonl", span(text)), PIECES + 26, &t) == 0, "%s",
        e.error);
    for (i = 0; i < COUNT(wanted); i++) check(find_piece(&t, wanted[i], strlen(wanted[i]), 0) == (int)(PIECES + i),
        "training: \"%s\" is not piece %zu", wanted[i], i);
    ids_of(&e, &t, span("newest widest"), 1, &ids, &k);
    check(k == 2, "training: \"newest widest\" takes %zu tokens", k);
    check(same(t.piece[3 + 10].text, "<0x0A>") && t.n == PIECES + 26, "training: %zu pieces", t.n);
    for (i = PIECES; i < t.n; i++) check(t.piece[i].score == -(float)(i - PIECES), "training: score of piece %zu",
        i);
    env_free(&e);
}

/* ================================================ Speed ================================================= */

static void test_product(void) {
    Env e;
    Many m = { "multiply() against its three loops", 0, "" };
    size_t round, i;
    memset(&e, 0, sizeof e);
    for (round = 0; round < 1500 * times; round++) {
        size_t big = round % 100 == 0, M = 1 + any_of(big ? 700 : 70), N = 1 + any_of(big ? 200 : 70),
            K = any_of(big ? 600 : 71);
        size_t across = any_of(2) != 0, row = across ? 1 : K + any_of(3), col = across ? M + any_of(3) : 1,
            ldc = N + any_of(4);
        size_t a_size = (M + 3) * (K + 3) + 64, b_size = (N + 1) * (K + 1);
        int add = any_of(2) != 0, turned = any_of(2) != 0;
        Param p;
        float *a = get(&e, a_size, sizeof *a), *b = get(&e, b_size, sizeof *b),
            *w = get(&e, b_size, sizeof *w);
        float *panels = get(&e, panel_size(N, K) + 1, sizeof *panels), *c = get(&e, M * ldc, sizeof *c),
            *d = get(&e, M * ldc, sizeof *d);
        memset(&p, 0, sizeof p);
        fill_floats(a, a_size); fill_floats(b, b_size); fill_floats(c, M * ldc);
        memcpy(d, c, M * ldc * sizeof *c);
        if (turned) {                        /* B given as W' */
            size_t n, k;
            for (n = 0; n < N; n++) for (k = 0; k < K; k++) w[n * K + k] = b[k * N + n];
            p.w = w; p.rows = N; p.cols = K; p.panel = panels;
            pack_weights(&p);
        } else {
            p.w = b; p.rows = K; p.cols = N;
        }
        const Product one = { a, row, col, turned && any_of(2) ? panels : NULL, &p, !turned, c, ldc, M, N, K, add };
        multiply(&one, 1);
        product_textbook(a, row, col, b, N, d, ldc, M, N, K, add);
        one_of(&m, memcmp(c, d, M * ldc * sizeof *c) == 0,
            "M %zu, N %zu, K %zu, row %zu, col %zu, ldc %zu, add %d", M, N, K, row, col, ldc, add);
        for (i = 0; i < 6; i++) drop(&e, i == 0 ? a : i == 1 ? b : i == 2 ? w : i == 3 ? panels : i == 4
            ? c : d);
    }
    check_many(&m);
    env_free(&e);
}

/* Every tile that this processor can run, of every width, height and type of weight, against the three loops. */
static void test_tiles(void) {
    enum { K = 96, N = PANEL };
    static float a[MOST_ROWS * K], w[K * N], d[K / 32 * 32], c[MOST_ROWS * N], t[MOST_ROWS * N];
    static uint32_t half_of[(K + 1) * APART], byte_of[(K / 2 + 1) * APART];       /* one step more is read */
    const void *b[] = { w, half_of, byte_of };
    Many m = { "tiles against the three loops", 0, "" };
    for (const Tiles *set = tile_sets; set <= best_tiles(); set++)
        for (int type = AS_F32; type <= AS_INT8; type++) for (size_t rows = 1; rows <= set->high; rows++)
            for (int add = 0; add < 2; add++) {
                size_t k = type == AS_INT8 ? 96 - 32 * any_of(2) : 64 + any_of(33);
                fill_floats(a, COUNT(a)); fill_floats(d, COUNT(d)); fill_floats(w, COUNT(w)); fill_floats(c, COUNT(c));
                memcpy(t, c, sizeof t);
                memset(half_of, 0, sizeof half_of); memset(byte_of, 0, sizeof byte_of);
                for (size_t i = 0; i < K; i++) for (size_t j = 0; j < N; j++) {
                    uint32_t u = bits32(w[i * N + j]) & 0xffff0000u, q = (uint32_t)any_of(256);
                    half_of[i * APART + j % APART] |= u >> (j < APART ? 16 : 0);
                    byte_of[i / 2 * APART + j % APART] |= q << (i % 2 * 2 + j / APART) * 8;
                    if (type == AS_BF16) memcpy(&w[i * N + j], &u, 4);
                    if (type == AS_INT8) w[i * N + j] = d[i / 32 * 32 + j] * (float)(signed char)q;
                }
                const size_t across = rows == 1 ? set->half_of_one : set->half;
                for (size_t j = 0; j < APART; j += across)
                    set->tile[type][rows](a, K, 1, (const char *)b[type] + 4 * j,
                        type == AS_F32 ? 4 * N : type == AS_BF16 ? 64 : 32, b[type], 0, d + j, c + j, N, k, add);
                product_textbook(a, K, 1, w, N, t, N, rows, N, k, add);
                one_of(&m, memcmp(c, t, rows * N * sizeof *c) == 0, "2 x %zu columns, %zu rows, type %d, K %zu", across, rows,
                    type, k);
            }
    check_many(&m);
}

/* sums() and largest() against loops; and attention against the formula, one query and one head at a time, for prompts
 * with answers of different lengths, rows in runs of any length. */
static void test_vector_loops(void) {
    enum { T = 200 };
    static float x[9 * T], y[9 * T];
    Many add = { "sums", 0, "" }, top = { "largest", 0, "" };
    size_t round, t, r;
    for (round = 0; round < 3000 * times; round++) {
        size_t rows = 1 + any_of(8), n[8], apart = T + any_of(T / 8), len = 1 + any_of(T);
        double sum[8];
        float best;
        fill_floats(x, COUNT(x)); fill_floats(y, COUNT(y));
        for (r = 0; r < 8; r++) n[r] = any_of(T);
        sums(x, round % 2 ? y : NULL, apart, rows, n, sum);
        for (r = 0; r < rows; r++) {
            float acc = 0.0f;
            double wide = 0.0;
            for (t = 0; t < n[r]; t++) if (round % 2) acc += x[r * apart + t] * y[r * apart + t]; else wide += (double)x[r * apart + t];
            if (round % 2) wide = (double)acc;
            one_of(&add, memcmp(&wide, &sum[r], sizeof wide) == 0, "%zu rows, row %zu of %zu", rows, r, n[r]);
        }
        if (round & 1) for (t = 0; t < len; t++) x[t] -= 3;    /* all negative: a forgotten start would win */
        for (best = x[0], t = 1; t < len; t++) if (x[t] > best) best = x[t];
        one_of(&top, largest(x, len) == best, "%zu numbers: %a, not %a", len, (double)largest(x, len),
            (double)best);
    }
    check_many(&add); check_many(&top);
}

/* One query by the formula: p [pos + 1] and y [D]. */
static void attention_textbook(const Config *c, const Seq *seq, const Cache *kv, size_t s, size_t pos, size_t head, const float *q,
    float *p, float *y) {
    size_t t, d, n = pos + 1;
    double sum = 0.0;
    float best, scale = 1.0f / sqrtf((float)c->D);
    for (d = 0; d < c->D; d++) y[d] = 0.0f;
    for (t = 0; t < n; t++) {
        size_t from = t < seq[s].shared ? seq[s].parent : s, slot = seq[from].slot + t - (from == s ? seq[s].shared : 0);
        float acc = 0.0f;
        for (d = 0; d < c->D; d++) acc += q[d] * key_block(c, kv, 0, slot, head)[d * PANEL + slot % PANEL];
        p[t] = acc * scale;
    }
    for (best = p[0], t = 0; t < n; t++) best = p[t] > best ? p[t] : best;
    for (t = 0; t < n; t++) { p[t] = exp32(p[t] - best); sum += (double)p[t]; }
    for (t = 0; t < n; t++) {
        size_t from = t < seq[s].shared ? seq[s].parent : s, slot = seq[from].slot + t - (from == s ? seq[s].shared : 0);
        p[t] /= (float)sum;
        for (d = 0; d < c->D; d++) y[d] += p[t] * value_row(c, kv, 0, slot, head)[d];
    }
}

static void test_attention(void) {
    Many m = { "attention against the formula", 0, "" };
    size_t round, i, s, slot, most = 0;
    for (round = 0; round < 60 * times; round++) {
        Env e;
        Config c;
        Rows rows;
        Cache kv;
        Seq *seq;
        float *q, *k, *v, *y, *scratch, p[200], one[80];
        size_t first_answer, answers = any_of(14), n_seq = 1 + any_of(4), step;
        memset(&e, 0, sizeof e); memset(&c, 0, sizeof c);
        c.K = 1 + any_of(3); c.Q = c.K * (1 + any_of(round % 9 ? 4 : 40)); c.D = 2 + any_of(70); c.ctx = 150; c.L = 1;
        new_cache(&e, &c, 24 * 192, 1, &kv);
        if (new_rows(&e, 2000, 24, &rows) < 0) { check(0, "%s", e.error); return; }
        seq = rows.sequence;
        for (slot = s = 0; s < 24; s++, slot += 160) seq[s].slot = slot;
        q = get(&e, 2000 * c.Q * c.D, 4); k = get(&e, 2000 * c.K * c.D, 4); v = get(&e, 2000 * c.K * c.D, 4);
        y = get(&e, 2000 * c.Q * c.D, 4); scratch = get(&e, THREADS * attention_room(&c, 0), 4);
        if (e.error[0]) { check(0, "%s", e.error); return; }
        for (s = 0; s < n_seq; s++) { size_t n = 1 + any_of(100); for (i = 0; i < n; i++) add_row(&rows, 0, i, s, 1); most = n; }
        first_answer = n_seq;                /* they share the last prompt, and take one to three steps together */
        for (i = 0; i < answers; i++) { s = n_seq + i; seq[s].shared = most; seq[s].parent = n_seq - 1; }
        for (step = 0; step < 2; step++) {
            size_t rounds = step ? 1 + any_of(40) : 1, again;
            for (again = 0; again < rounds; again++) {
                if (step) for (rows.n = 0, i = 0; i < answers; i++) add_row(&rows, 0, most + again, first_answer + i, 1);
                for (i = 0; i < rows.n * c.Q * c.D; i++) q[i] = (float)any_from(-2, 2);
                for (i = 0; i < rows.n * c.K * c.D; i++) { k[i] = (float)any_from(-2, 2); v[i] = (float)any_from(-1, 1); }
                store_keys(&c, &rows, &kv, 0, k, v);
                if (step && again + 1 < rounds && again % 8) continue;
                find_runs(&c, &rows);
                attention(&c, &rows, &kv, 0, q, y, scratch);
                for (i = 0; i < rows.n * c.Q; i += 1 + any_of(5)) {
                    size_t r = i / c.Q, h = i % c.Q;
                    attention_textbook(&c, seq, &kv, (size_t)rows.seq[r], (size_t)rows.pos[r], h / (c.Q / c.K), q + i * c.D, p, one);
                    one_of(&m, memcmp(one, y + i * c.D, c.D * sizeof *one) == 0, "Q %zu, K %zu, D %zu, row %zu of %zu, pos %d, head %zu",
                        c.Q, c.K, c.D, r, rows.n, rows.pos[r], h);
                }
            }
        }
        env_free(&e);
    }
    check_many(&m);
}

/* ========================= Models: against PyTorch (test/vectors), independence ========================= */

static void load_vectors(Env *e, const char *name, Model *m) {
    Table table;
    char path[200];
    size_t i;
    memset(m, 0, sizeof *m); memset(&table, 0, sizeof table);
    snprintf(path, sizeof path, "test/vectors/%s/config.json", name);
    read_config(e, path, &m->c);
    snprintf(path, sizeof path, "test/vectors/%s/model.safetensors", name);
    if (!e->error[0]) read_safetensors(e, path, &table);
    if (!e->error[0]) shape_model(e, m);
    for (i = 0; i < m->n_all && !e->error[0]; i++)
        if (bind_param(e, &table, &m->c, m->all[i]) == 0) own_weights(e, m->all[i]);
    if (m->c.tied) m->head.w = m->embed.w;
    if (!e->error[0]) fill_rope(e, m);
    check(!e->error[0], "%s: %s", name, e->error);
}

/* The greatest |a - b| relative to the largest |b| of the tensor: PyTorch adds in another order. */
static double worst(const float *a, const double *b, size_t n) {
    double top = 0, d = 0;
    size_t i;
    for (i = 0; i < n; i++) {
        double x = fabs((double)a[i] - b[i]);
        if (!(x <= d)) d = x;
        if (fabs(b[i]) > top) top = fabs(b[i]);
    }
    return top > 0 ? d / top : d;
}

static Param *named_param(const Model *m, Span name) {
    size_t k;
    for (k = 0; k < m->n_all; k++) if (same(name, m->all[k]->name)) return m->all[k];
    return NULL;
}

static size_t read_sequences(Env *e, Span text, Example *x, size_t most) {
    Span list = json_get(text, "sequences");
    Member one;
    size_t n, at = 0, k;
    for (n = 0; n < most && json_next(list, &at, &one); n++) {
        double token[64], target[64];
        size_t T = numbers(json_get(one.value, "tokens"), token, 64);
        numbers(json_get(one.value, "targets"), target, 64);
        x[n].id = get(e, T + 1, sizeof(int));
        for (k = 0; k < T; k++) x[n].id[k] = (int)token[k];
        x[n].id[T] = (int)target[T - 1];
        for (k = 0; k < T && target[k] < 0; k++) ;
        x[n].from = k + 1;
        x[n].n = T + 1;
    }
    return n;
}

/* Logits, losses, gradients, and the weights after a step of AdamW, as transformers and PyTorch have them. */
static void test_vectors(const char *name) {
    Env e;
    Model m;
    Batch b;
    Tuning t;
    Step s;
    Span text, list;
    Member one;
    Example x[8];
    const Example *px[8];
    double number[4096], loss = 0, total[8], aux = 0, sum = 0;
    size_t at = 0, n, i, k, line = 0;
    char path[200];
    memset(&e, 0, sizeof e); memset(&t, 0, sizeof t); memset(&s, 0, sizeof s);
    load_vectors(&e, name, &m);
    if (e.error[0]) return;
    make_trainable(&e, &m);
    new_batch(&e, &m, 64, 1, &b);
    snprintf(path, sizeof path, "test/vectors/%s/expected.json", name);
    text = load_json(&e, path);
    n = read_sequences(&e, text, x, COUNT(x));
    for (i = 0; i < n; i++) { px[i] = &x[i]; sum += (double)targets_of(&x[i]); }
    pack(&b, px, n);
    for (i = 0; i < b.rows.n; i++) b.rows.want[i] = 1;
    forward(&b);
    for (list = json_get(text, "logits"), i = 0; json_next(list, &at, &one); i++, line += k) {
        k = numbers(one.value, number, COUNT(number));
        check(worst(b.logits + line, number, k) < 2e-6, "%s: logits of sequence %zu differ by %g", name, i,
            worst(b.logits + line, number, k));
    }
    check(line == b.rows.n * m.c.V && i == n, "%s: %zu logits compared, %zu expected", name, line,
        b.rows.n * m.c.V);
    score_batch(&b, px, n, total);
    for (i = 0; i < n; i++) {                /* one by one: the same */
        double one_total = 0;
        score_batch(&b, px + i, 1, &one_total);
        check(bits64(one_total) == bits64(total[i]), "%s: example %zu scores %a alone, %a among others", name,
            i,
              one_total, total[i]);
        loss -= total[i];
    }
    check(fabs(loss / sum - number_of(text, "loss")) < 2e-6, "%s: loss %.8f", name, loss / sum);
    /* the step leaves gradients divided and cleared, so take them from a forward and backward of our own */
    pack(&b, px, n);
    forward(&b);
    losses(&b, 1);
    backward(&b, m.c.aux * (float)sum / (float)(n * m.c.L));
    for (i = 0; i < m.c.L; i++) aux += b.aux[i] / (double)(n * m.c.L);
    check(fabs(aux - number_of(text, "aux")) < 6e-6, "%s: balance loss %.8f", name, aux);
    for (i = 0; i < m.n_all; i++) {
        Param *p = m.all[i];
        float *g = get(&e, p->rows * p->cols, sizeof(float));
        int tied = p == &m.embed && m.c.tied;
        for (k = 0; k < p->rows * p->cols; k++) {
            g[k] = (float)((double)(p->g[k] + (tied ? m.head.g[k] : 0)) / sum);
            p->g[k] = 0;
            if (tied) m.head.g[k] = 0;
        }
        k = numbers(json_get(json_get(text, "grads"), p->name), number, COUNT(number));
        check(k == p->rows * p->cols && worst(g, number, k) < 1e-5, "%s: gradient of %s differs by %g", name,
            p->name, worst(g, number, k));
    }
    t.lr = 0.01; t.beta1 = 0.9f; t.beta2 = 0.95f; t.eps = 1e-8f; t.decay = 0.1f; t.clip = 1.0f;
    s.step = 1; s.lr = 0.01; s.power1 = s.power2 = 1.0;
    check(train_step(&e, &m, &b, &t, px, n, &s) == 0, "%s: %s", name, e.error);
    check(fabs(s.aux - number_of(text, "aux")) < 6e-6 && fabs(s.loss - number_of(text, "loss")) < 2e-6,
          "%s: a step reports loss %.8f, balance loss %.8f", name, s.loss, s.aux);
    check(fabs(s.norm / number_of(text, "grad_norm") - 1) < 1e-5, "%s: gradient norm %.8f", name, s.norm);
    for (at = 0, list = json_get(text, "after_step"), i = 0; json_next(list, &at, &one); i++) {
        Param *p = named_param(&m, one.key);
        k = numbers(one.value, number, COUNT(number));
        check(p && k == p->rows * p->cols && worst(p->w, number, k) < 2e-4,
            "%s: %.*s after a step differs by %g", name, SHOWN(one.key), p ? worst(p->w, number, k) : 9.9);
    }
    check(i > 10, "%s: weights after a step: only %zu tensors compared", name, i);
    env_free(&e);
}

static void want_all(Rows *rows) { size_t i; for (i = 0; i < rows->n; i++) rows->want[i] = 1; }

/* Weight i of the tensor NAME is a function of NAME and i, of 16 bits, so exact: "about" in transformers.json. */
static void fill_hashed(Param *p) {
    uint32_t h = (uint32_t)2166136261u, u;
    const char *s;
    size_t i;
    for (s = p->name; *s; s++) h = (h ^ (unsigned char)*s) * 16777619u;
    for (i = 0; i < p->rows * p->cols; i++) {
        u = (uint32_t)i * 2654435761u + h;
        u ^= u >> 15; u *= 2246822519u; u ^= u >> 13; u *= 3266489917u; u ^= u >> 16;
        p->w[i] = ((float)(u >> 16) - 32768.0f) / 65536.0f;
        if (p->norm) p->w[i] = 1.0f + p->w[i] / 4.0f;
    }
}

/* A model of this config with such weights, and such pairs where `lora` is no null. */
static int make_hashed(Env *e, Span config, Span lora, Model *m) {
    Buf targets = { NULL, 0, 0 };
    Member one;
    size_t i, at = 0;
    memset(m, 0, sizeof *m);
    TRY(read_config(e, temporary(e, "hashed.json", config), &m->c));
    TRY(shape_model(e, m));
    for (i = 0; i < m->n_all; i++) {
        if (!(m->all[i]->w = get(e, m->all[i]->rows * m->all[i]->cols, sizeof(float)))) return -1;
        fill_hashed(m->all[i]);
    }
    if (m->c.tied) m->head.w = m->embed.w;
    TRY(fill_rope(e, m));
    if (!same(lora, "null")) {
        for (; json_next(json_get(lora, "target_modules"), &at, &one); put_text(e, &targets, ",")) put_unquoted(e, &targets, one.value);
        targets.s[targets.n - 1] = 0;
        TRY(add_lora(e, m, targets.s, (size_t)number_of(lora, "r"), (float)number_of(lora, "lora_alpha"),
            same(json_get(lora, "use_rslora"), "true"), 1));
        for (i = 0; i < m->n_train; i++) fill_hashed(m->train[i]);
    }
    return make_trainable(e, m);
}

/* |found - expected| / scale; the greatest so far is kept. */
static double apart(double found, double expected, double scale, double *most) {
    double d = fabs(found - expected) / scale;
    if (!(d <= *most)) *most = d;
    return d;
}

/* One model of test/vectors/transformers.json: logits, losses and gradients as transformers and peft have them. The
 * bounds are three times the greatest of what is measured, which ACTINH_TEST_SHOW shows. */
static void test_transformers_case(Env *e, Span file, Span one) {
    Model m;
    Batch b;
    Member next;
    Example x[4];
    const Example *px[4];
    const char *name = text_of(e, one, "name").s;
    Span grads = json_get(one, "grads");
    double number[64], sum = 0, loss = 0, aux = 0, norm, at_logits = 0, at_losses = 0, at_norms = 0, at_greatest = 0;
    size_t n = 0, i, k, at = 0, seen = 0;
    if (make_hashed(e, json_get(one, "config"), json_get(one, "lora"), &m) || new_batch(e, &m, 64, KEEP_ALL, &b)) {
        check(0, "%s: %s", name, e->error);
        return;
    }
    for (; n < COUNT(x) && json_next(json_get(file, "sequences"), &at, &next); n++) {
        x[n].n = numbers(json_get(next.value, "tokens"), number, COUNT(number));
        x[n].from = (size_t)number_of(next.value, "from");
        if (!(x[n].id = get(e, x[n].n, sizeof(int)))) return;
        for (k = 0; k < x[n].n; k++) x[n].id[k] = (int)number[k];
        px[n] = &x[n]; sum += (double)targets_of(&x[n]);
    }
    check(pack(&b, px, n) == n && n == 2, "%s: %zu sequences", name, n);
    want_all(&b.rows);
    forward(&b);
    for (at = i = 0; json_next(json_get(one, "logits"), &at, &next); i++) {              /* sequence, row, token, value */
        if (!(numbers(next.value, number, 4) == 4 && number[0] < (double)n && number[2] < (double)m.c.V)) break;
        k = (b.rows.first[(size_t)number[0]] + (size_t)number[1]) * m.c.V + (size_t)number[2];
        check(apart((double)b.logits[k], number[3], 5, &at_logits) < 3e-6, "%s: logit %zu is %.9g, expected %.9g", name, i,
            (double)b.logits[k], number[3]);
    }
    check(i == 12, "%s: %zu logits compared", name, i);
    pack(&b, px, n);
    forward(&b);
    losses(&b, 1);
    for (k = 0; k < b.n_wanted; k++) loss += b.loss[k] / sum;
    backward(&b, m.c.E > 1 ? m.c.aux * (float)sum / (float)(n * m.c.L) : 0.0f);
    for (k = 0; k < m.c.L; k++) aux += b.aux[k] / (double)(n * m.c.L);
    check(apart(loss, number_of(one, "loss"), 1, &at_losses) < 1.5e-6, "%s: loss %.9g", name, loss);
    if (m.c.E > 1) check(apart(aux, number_of(one, "balance"), 1, &at_losses) < 1.5e-6, "%s: balance loss %.9g", name, aux);
    for (k = 0; m.head.g && m.c.tied && k < m.head.rows * m.head.cols; k++) m.embed.g[k] += m.head.g[k];
    norm = sqrt(squared_norm(&m)) / sum;
    check(apart(norm, number_of(one, "norm"), norm, &at_norms) < 1.2e-5, "%s: gradient norm %.9g", name, norm);
    for (i = 0; i < m.n_train; i++) {                                                    /* norm, place of the greatest, that */
        const Param *p = m.train[i];
        double own = 0;
        size_t all = p->rows * p->cols;
        if (numbers(json_get(grads, p->name), number, 3) != 3 || !(number[1] < (double)all)) { check(0, "%s: no gradient of %s", name, p->name); continue; }
        for (k = 0; k < all; k++) own += (double)p->g[k] * (double)p->g[k];
        own = sqrt(own) / sum;
        check(apart(own, number[0], number[0], &at_norms) < 1.2e-5, "%s: norm of %s's gradient is %.9g, expected %.9g", name, p->name, own, number[0]);
        own = (double)p->g[(size_t)number[1]] / sum;
        check(apart(own, number[2], number[0], &at_greatest) < 4.5e-6, "%s: greatest gradient of %s is %.9g, expected %.9g", name, p->name, own, number[2]);
    }
    for (at = 0; json_next(grads, &at, &next); seen++) ;
    check(seen == m.n_train, "%s: %zu gradients are there, %zu expected", name, m.n_train, seen);
    if (show) printf("transformers, %s: logits %.2g, losses %.2g, norms %.2g, greatest gradients %.2g apart\n", name, at_logits, at_losses, at_norms, at_greatest);
}

static void test_transformers(void) {
    Env e;
    Span file;
    Member one;
    size_t at = 0, cases = 0;
    memset(&e, 0, sizeof e);
    file = load_json(&e, "test/vectors/transformers.json");
    for (; !e.error[0] && json_next(json_get(file, "cases"), &at, &one); cases++) test_transformers_case(&e, file, one.value);
    check(cases == 4, "transformers: %zu models", cases);
    env_free(&e);
}

/* test/vectors/blocks.bin: 2 x 256 numbers as ggml's quantiser stores them and as ggml widens them, to the bit; for the
 * types that convert writes, the numbers before too. (llama.cpp 3f545becc: ggml_quantize_chunk, to_float.) */
static void test_blocks(void) {
    Env e;
    Span file;
    size_t at = 0, seen = 0, i, k;
    memset(&e, 0, sizeof e);
    check(load_file(&e, "test/vectors/blocks.bin", &file) == 0, "%s", e.error);
    for (; !e.error[0] && at + 8 <= file.n; seen++) {
        uint32_t type = le32(file.s + at), bytes = le32(file.s + at + 4);
        const char *floats = file.s + at + 8 + bytes;
        Tensor t;
        float x[32];
        size_t wrong = 0, other = 0;
        Buf b = { NULL, 0, 0 };
        memset(&t, 0, sizeof t);
        for (t.type = 0; t.type < N_TYPES && storage[t.type].ggml != type; t.type++) ;
        check(t.type < N_TYPES && bytes == 512 / storage[t.type].of * storage[t.type].bytes, "blocks: type %u", (unsigned)type);
        t.rows = 2; t.cols = 256; t.data = (const unsigned char *)file.s + at + 8;
        for (i = 0; i < 512; i += 32) {
            widen(&t, i / 256, i % 256, 32, x);
            for (k = 0; k < 32; k++) wrong += bits32(x[k]) != le32(floats + 4 * (i + k));
        }
        check(wrong == 0, "%s: %zu of 512 numbers differ from ggml's", storage[t.type].name, wrong);
        at += 8 + bytes + 2048;
        if (t.type > Q8_0) continue;
        for (i = 0; i < 512; i += 32) {
            for (k = 0; k < 32; k++) x[k] = le_float(file.s + at + 4 * (i + k));
            put_as(&e, &b, t.type, x, 32);
        }
        for (i = 0; i < bytes; i++) other += b.s[i] != (floats - bytes)[i];
        check(b.n == bytes && other == 0, "%s: %zu of %u bytes written differ from ggml's", storage[t.type].name, other,
            (unsigned)bytes);
        at += 2048;
    }
    check(seen == 7 && at == file.n, "blocks: %zu types", seen);
    env_free(&e);
}

/* Narrow panels give the bits of the weights as they stand, for every type that has them. */
static void test_narrow(void) {
    static const int types[] = { F16, BF16, Q8_0, Q4_0, GROUPS };
    Many m = { "narrow panels", 0, "" };
    size_t round, i;
    for (round = 0; round < 60 * times; round++) {
        Env e;
        Param p;
        unsigned char *data;
        float *x, *y, *z, *scales;
        size_t M = 1 + any_of(60), bytes;
        memset(&e, 0, sizeof e); memset(&p, 0, sizeof p);
        p.t.type = types[round % COUNT(types)];
        p.rows = p.t.rows = 1 + any_of(100);
        p.cols = p.t.cols = p.t.type < Q8_0 ? 1 + any_of(600) : 32 * (1 + any_of(18));
        if (any_of(2)) { p.t.neighbours = 10; p.rows = p.t.rows = (p.rows + 9) / 10 * 10; }
        p.t.group = 32;
        bytes = p.rows * p.cols / storage[p.t.type].of * storage[p.t.type].bytes;
        data = get(&e, bytes, 1); scales = get(&e, p.rows * p.cols, sizeof(float));
        x = get(&e, M * p.cols, sizeof(float)); y = get(&e, M * p.rows, sizeof(float)); z = get(&e, M * p.rows, sizeof(float));
        p.narrow = get(&e, panel_size(p.rows, (p.cols + 31) / 32 * 32) / 32, 64);
        if (e.error[0]) { check(0, "%s", e.error); return; }
        for (i = 0; i < bytes; i++) data[i] = (unsigned char)any_of(256);
        for (i = 0; i < bytes / 2; i++) if (p.t.type == F16 || p.t.type == BF16) data[2 * i + 1] &= 0xbb;      /* finite */
        for (i = 0; i < bytes; i += storage[p.t.type].bytes) if (storage[p.t.type].of == 32) data[i + 1] &= 0xbb;
        fill_floats(x, M * p.cols); fill_floats(scales, p.rows * p.cols);
        p.t.data = data; p.t.scales = (const unsigned char *)scales;
        pack_narrow(&p);
        linear(&p, x, M, y, NULL);
        p.narrow = NULL;
        linear(&p, x, M, z, NULL);
        one_of(&m, memcmp(y, z, M * p.rows * sizeof *y) == 0, "%s, %zu x %zu, %zu rows", storage[p.t.type].name, p.rows, p.cols, M);
        env_free(&e);
    }
    check_many(&m);
}

/* Every F16 number widened and written again. */
static void test_half(void) {
    uint32_t h, wrong = 0;
    for (h = 0; h < 65536; h++) if ((h & 0x7c00) != 0x7c00 && to_half(half(h)) != h) wrong++;
    check(wrong == 0 && half(1) == 5.9604644775390625e-8f && half(0x3c00) == 1 && half(0xc000) == -2 && half(0x7bff) == 65504
        && to_half(65520.0f) == 0x7c00 && to_half(1.00048828125f) == 0x3c00 && to_half(1.00146484375f) == 0x3c02,
        "F16: %u of 63488 come back as others", (unsigned)wrong);
}

/* Other people's models: foundation-model-stack's seeded Llama 2 and Mixtral (a signature published by them, logits
 * derived in float64 from the same weights). Panels and weights in place give the same bits. */
static void test_golden_models(const char *folder, const char *file, const char *expected) {
    char path[200];
    Env e;
    Model m;
    Batch b;
    Example x;
    const Example *px[1] = { &x };
    Span text, logits;
    Member one;
    double number[512], signature[16], range[16], least = 1e9, off = 0, far = 0;
    float *first;
    size_t at = 0, n, i, k, V;
    memset(&e, 0, sizeof e); memset(&x, 0, sizeof x);
    snprintf(path, sizeof path, "%s%s", folder, expected);
    if (!shared_file(path)) return;
    snprintf(path, sizeof path, "%s%s", folder, file);
    if (load_model(&e, path, "tokenizer.bin", 1, &m) < 0 && !strstr(e.error, "pieces")) {
        check(0, "%s: %s", path, e.error); env_free(&e); return; }
    e.error[0] = 0;                              /* these models have no vocabulary */
    m.c.ctx = 64;                                /* of 4096: to save memory */
    pack_model(&e, &m); new_batch(&e, &m, 16, 0, &b);
    snprintf(path, sizeof path, "%s%s", folder, expected);
    text = load_json(&e, path);
    V = m.c.V;
    x.id = get(&e, 17, sizeof(int)); x.n = 17; x.from = 1;
    n = numbers(json_get(text, "tokens"), number, 17);
    for (i = 0; i < n; i++) x.id[i] = (int)number[i];
    numbers(json_get(text, "published_signature"), signature, 16);
    pack(&b, px, 1);
    forward(&b);
    logits = json_get(json_get(text, "derived"), "logits_float64");
    for (i = 0; json_next(logits, &at, &one) && i < 16; i++) {
        float low = b.logits[i * V], high = low;
        check(numbers(one.value, number, 512) == V, "%s: logits of position %zu", path, i);
        for (k = 0; k < V; k++) {
            float y = b.logits[i * V + k];
            if (y < low) low = y;
            if (y > high) high = y;
            if (!(fabs((double)y - number[k]) <= far)) far = fabs((double)y - number[k]);
        }
        range[i] = (double)high - (double)low;
        if (range[i] < least) least = range[i];
    }
    for (i = 0; i < 16; i++)
        if (!(fabs(range[i] - least - signature[i]) <= off)) off = fabs(range[i] - least - signature[i]);
    check(i == 16 && n == 16 && off < 2e-6 && far < 2e-6, "%s%s: published signature off by %g, logits by %g", folder, file,
        off, far);
    first = get(&e, 16 * V, sizeof *first);
    memcpy(first, b.logits, 16 * V * sizeof *first);
    for (i = 0; i < m.n_all; i++) m.all[i]->panel = NULL, m.all[i]->narrow = NULL;
    forward(&b);
    check(memcmp(first, b.logits, 16 * V * sizeof *first) == 0, "%s%s: in place: other bits", folder, file);
    env_free(&e);
}

/* One set of weights in four files: all the same floats, but for 8-bit groups, which are within half a step of them. */
static void test_stories(const char *file, double most) {
    Env e;
    Model m, other;
    char path[200];
    size_t i, k;
    double off = 0;
    memset(&e, 0, sizeof e);
    snprintf(path, sizeof path, "../shared/data/models/stories260K/%s", file);
    if (!shared_file(path)) return;
    load_model(&e, "../shared/data/models/stories260K/stories260K.bin", "../shared/data/tokenizer/tok512/tok512.bin", 1, &m);
    load_model(&e, path, "../shared/data/tokenizer/tok512/tok512.bin", 1, &other);
    for (i = 0; i < m.n_all && !e.error[0]; i++) {
        const Param *p = m.all[i], *q = other.all[i];
        own_weights(&e, m.all[i]); own_weights(&e, other.all[i]);
        for (k = 0; k < p->rows * p->cols && !e.error[0]; k++)
            if (!(fabs((double)(p->w[k] - q->w[k])) <= off)) off = fabs((double)(p->w[k] - q->w[k]));
    }
    check(!e.error[0] && off <= most && (most == 0 || off > 0), "%s: %s: off by %g", file, e.error, off);
    env_free(&e);
}

/* Sequences of random tokens; from: targets are the second half. */
static void any_examples(Env *e, const Model *m, Example *x, const Example **px, size_t n) {
    size_t i, k;
    for (i = 0; i < n; i++) {
        x[i].n = 3 + any_of(m->c.ctx - 2);
        x[i].from = 1 + any_of(x[i].n - 1);
        x[i].id = get(e, x[i].n, sizeof(int));
        for (k = 0; k < x[i].n; k++) x[i].id[k] = k ? (int)(PIECES > m->c.V
            ? any_of(m->c.V) : PIECES + any_of(m->c.V - PIECES)) : BOS;
        px[i] = &x[i];
    }
}

/* The logits of a row are the same bits whether it stands alone or among strangers; with all its past in the
 * same batch, or in the cache and one row at a time; behind a prefix of its own or one that it shares. */
static void test_row_independence(const char *name) {
    enum { N = 6 };
    Env e;
    Model m;
    Batch train, alone, b;
    Example x[N];
    const Example *px[N];
    Many one = { "a row alone and among strangers", 0, "" },
        step = { "decoding row by row and training's forward", 0, "" },
        shared = { "a shared prefix and an own copy", 0, "" };
    size_t round, i, t, V, start[N + 1], P;
    memset(&e, 0, sizeof e);
    load_vectors(&e, name, &m);
    if (e.error[0]) return;
    make_trainable(&e, &m);
    V = m.c.V;
    new_batch(&e, &m, N * m.c.ctx, 1, &train);
    new_batch(&e, &m, N * m.c.ctx, 1, &alone);
    new_batch(&e, &m, N * m.c.ctx, 0, &b);
    for (round = 0; round < 20 * times; round++) {
        any_examples(&e, &m, x, px, N);
        check(pack(&train, px, N) == N, "%s: packing", name);
        want_all(&train.rows);
        forward(&train);
        for (i = 0; i <= N; i++) start[i] = train.rows.first[i];
        for (i = 0; i < N; i++) {
            size_t T = rows_of(&x[i]), bytes = V * sizeof(float);
            float *want = train.logits + start[i] * V;
            pack(&alone, px + i, 1);
            want_all(&alone.rows);
            forward(&alone);
            one_of(&one, memcmp(want, alone.logits, T * bytes) == 0, "%s: sequence %zu of %zu rows", name, i,
                T);
            b.rows.sequence[0].slot = 32 * any_of(4); b.rows.sequence[0].shared = 0;
            for (t = 0; t < T; t++) {
                b.rows.n = 0;
                add_row(&b.rows, x[i].id[t], t, 0, 1);
                forward(&b);
                one_of(&step, memcmp(want + t * V, b.logits, bytes) == 0, "%s: sequence %zu, row %zu", name,
                    i, t);
            }
            if (T < 2) continue;
            P = 1 + any_of(T - 1);           /* P rows in sequence 5; sequences 0 and 1 go on from there */
            b.rows.sequence[5].slot = 96; b.rows.sequence[5].shared = 0;
            b.rows.sequence[0].slot = 32; b.rows.sequence[1].slot = 0; b.rows.sequence[0].shared = b.rows.sequence[1].shared = P;
                b.rows.sequence[0].parent = b.rows.sequence[1].parent = 5;
            for (b.rows.n = t = 0; t < P; t++) add_row(&b.rows, x[i].id[t], t, 5, 0);
            forward(&b);
            for (b.rows.n = 0; t < T; t++) {
                /* another answer to the same prompt */
                add_row(&b.rows, (x[i].id[t] + 1) % (int)V, t, 1, 0);
                add_row(&b.rows, x[i].id[t], t, 0, 1);
            }
            forward(&b);
            one_of(&shared, b.n_wanted == T - P && memcmp(want + P * V, b.logits, (T - P) * bytes) == 0,
                "%s: %zu of %zu rows shared", name, P, T);
        }
    }
    check_many(&one); check_many(&step); check_many(&shared);
    env_free(&e);
}

/* All answers of `n` questions by one engine of this width. */
static void sample_with(Env *e, const Model *m, const Sampling *s, Question *const *q, size_t n,
    size_t width) {
    Sampler engine = { .m = m, .s = *s, .places = width < s->k ? s->k : width };
    Progress bar = { NULL, 0, 0 };
    sample_all(e, &engine, q, n, &bar, 0, n);
    check(!e->error[0], "sampling: %s", e->error);
}

static void test_sampling_independence(const char *name) {
    enum { N = 9, K = 4 };
    static const struct { float temperature, top_p; size_t top_k, max_tokens; int ignore_eos; } settings[] = {
        { 1.0f, 1.0f, 0, 100, 0 }, { 0.7f, 0.9f, 20, 12, 0 }, { 0.0f, 1.0f, 0, 9, 1 },
            { 1.3f, 1.0f, 5, 3, 1 } };
    static const size_t widths[] = { 1, 7, 8, 100 };
    Env e;
    Model m;
    Many alone = { "answers one question at a time and all together", 0, "" };
    size_t c, i, w, k, n_set = 0, eos = 0;
    memset(&e, 0, sizeof e);
    e.quiet = 1;
    load_vectors(&e, name, &m);
    if (e.error[0]) return;
    pack_model(&e, &m);
    for (c = 0; c < COUNT(settings); c++, n_set++) {
        Sampling s;
        Question q[N], other[N];
        Question *one[N], *two[N];
        memset(&s, 0, sizeof s); memset(q, 0, sizeof q);
        s.k = K; s.seed = 5 + c; s.temperature = settings[c].temperature; s.top_p = settings[c].top_p;
            s.top_k = settings[c].top_k;
        s.max_tokens = settings[c].max_tokens; s.ignore_eos = settings[c].ignore_eos;
        for (i = 0; i < N; i++) {
            q[i].n = 1 + any_of(m.c.ctx - 2);
            q[i].id = get(&e, q[i].n, sizeof(int));
            for (k = 0; k < q[i].n; k++) q[i].id[k] = k ? (int)any_of(m.c.V) : BOS;
            q[i].key = roll();
            other[i] = q[i];
            q[i].answer = get(&e, K, sizeof(Answer)); other[i].answer = get(&e, K, sizeof(Answer));
            one[i] = &q[i]; two[i] = &other[i];
        }
        for (i = 0; i < N; i++) sample_with(&e, &m, &s, one + i, 1, K);
        for (w = 0; w < COUNT(widths); w++) {
            sample_with(&e, &m, &s, two, N, widths[w]);
            for (i = 0; i < N; i++) for (k = 0; k < K; k++) {
                const Answer *a = &q[i].answer[k], *b = &other[i].answer[k];
                size_t most = m.c.ctx - q[i].n < s.max_tokens ? m.c.ctx - q[i].n : s.max_tokens;
                one_of(&alone, a->n == b->n && memcmp(a->id, b->id, a->n * sizeof(int)) == 0
                    && bits64(a->logprob) == bits64(b->logprob) && strcmp(a->stop, b->stop) == 0,
                       "%s: settings %zu, width %zu, question %zu, answer %zu", name, c, widths[w], i, k);
                one_of(&alone, a->n <= most && (strcmp(a->stop, "eos") == 0 || a->n == most),
                    "%s: an answer of %zu tokens, %s", name, a->n, a->stop);
                eos += strcmp(a->stop, "eos") == 0;
                if (s.temperature == 0) one_of(&alone, a->n == q[i].answer[0].n
                    && memcmp(a->id, q[i].answer[0].id, a->n * sizeof(int)) == 0,
                    "temperature 0: answers differ");
            }
        }
        /* the log-probability is the one that scoring finds for prompt + answer + end mark */
        for (i = 0; i < N; i++) for (k = 0; k < K; k++) {
            const Answer *a = &q[i].answer[k];
            Example x;
            const Example *px = &x;
            Batch b;
            double total = 0;
            const Block *mark = e.blocks;
            if (strcmp(a->stop, "eos") || q[i].n + a->n > m.c.ctx) continue;
            x.id = get(&e, q[i].n + a->n + 1, sizeof(int));
            memcpy(x.id, q[i].id, q[i].n * sizeof(int)); memcpy(x.id + q[i].n, a->id, a->n * sizeof(int));
            x.id[q[i].n + a->n] = EOS;
            x.from = q[i].n; x.n = q[i].n + a->n + 1;
            new_batch(&e, &m, m.c.ctx, 0, &b);
            score_batch(&b, &px, 1, &total);
            check(bits64(total) == bits64(a->logprob), "%s: sampled with log-probability %a, scored %a", name,
                a->logprob, total);
            release(&e, mark);
        }
    }
    check(eos > 0 && n_set == COUNT(settings), "sampling: no answer ended by itself");
    check_many(&alone);
    env_free(&e);
}

/* Three steps: the weights after them, and with them what the steps reported, as SHA-256. */
static void train_three(const char *name, size_t micro, size_t rows, char weights[65], char hex[65]) {
    enum { N = 7 };
    Env e;
    Model m;
    Batch b;
    Tuning t;
    Step s;
    Sha c, w;
    size_t i;
    Example x[N];
    const Example *px[N];
    memset(&e, 0, sizeof e); memset(&t, 0, sizeof t); memset(&s, 0, sizeof s);
    hex[0] = weights[0] = 0;
    load_vectors(&e, name, &m);
    if (e.error[0]) return;
    make_trainable(&e, &m);
    new_batch(&e, &m, rows, 1, &b);
    dice = 99;
    t.beta1 = 0.9f; t.beta2 = 0.999f; t.eps = 1e-8f; t.decay = 0.1f; t.clip = 1.0f; t.micro = micro;
    s.power1 = s.power2 = 1.0; s.lr = 0.01;
    c = w = sha_start;
    for (s.step = 1; s.step <= 3; s.step++) {
        any_examples(&e, &m, x, px, N);
        check(train_step(&e, &m, &b, &t, px, N, &s) == 0, "%s: %s", name, e.error);
        sha_add(&c, &s.loss, sizeof s.loss); sha_add(&c, &s.norm, sizeof s.norm);
            sha_add(&c, &s.aux, sizeof s.aux);
    }
    for (i = 0; i < m.n_all; i++) {
        Buf b32 = { NULL, 0, 0 };
        size_t k;
        for (k = 0; k < m.all[i]->rows * m.all[i]->cols; k++) put_le(&e, &b32, bits32(m.all[i]->w[k]), 4);
        sha_add(&w, b32.s, b32.n);
    }
    sha_end(&w, weights);
    sha_add(&c, weights, 64);
    sha_end(&c, hex);
    env_free(&e);
}

/* `golden`: the SHA-256 of the weights, the same from every compiler and processor. It changes when an
 * order of summing or a function of Exact arithmetic does, and with it whatever was trained before. */
static void test_training_independence(const char *name, const char *golden) {
    static const struct { size_t micro, rows; int threads; } cuts[] = { { 0, 300, 1 }, { 1, 300, 1 },
        { 2, 300, 1 }, { 3, 64, 1 }, { 0, 33, 1 }, { 0, 100, 1 }, { 0, 1000, 2 }, { 0, 1000, 3 } };
    char want[65], found[65], weights[65];
    size_t i;
    train_three(name, 0, 1000, weights, want);
    check(strcmp(weights, golden) == 0, "%s: three steps: the weights' sha256 is %s", name, weights);
    for (i = 0; i < COUNT(cuts); i++) {
        set_threads(cuts[i].threads);
        train_three(name, cuts[i].micro, cuts[i].rows, weights, found);
        check(strcmp(want, found) == 0, "%s: micro-batches of %zu, %zu rows, %d threads: other bits", name,
              cuts[i].micro, cuts[i].rows, cuts[i].threads);
    }
    set_threads(1);
}

/* Of equally likely experts the lower numbers are picked; a pick's weight is its share among the picked. */
static void test_route_ties(void) {
    Env e;
    Config c;
    Param p;
    float x[2] = { 1, 1 }, prob[4], weights[2];
    int pick[2];
    memset(&e, 0, sizeof e); memset(&c, 0, sizeof c); memset(&p, 0, sizeof p);
    c.E = 4; c.top = 2;
    p.rows = 4; p.cols = 2;
    p.w = get(&e, 8, sizeof(float)); p.panel = get(&e, panel_size(4, 2), sizeof(float));
    pack_weights(&p);
    route(&c, &p, x, 1, prob, pick, weights, NULL);
    check(pick[0] == 0 && pick[1] == 1 && weights[0] == 0.5f && weights[1] == 0.5f,
        "four equal experts: %d and %d",
          pick[0], pick[1]);
    p.w[2] = p.w[6] = -1; p.w[4] = 1;        /* experts 1 and 3 behind 0, expert 2 before it */
    pack_weights(&p);
    route(&c, &p, x, 1, prob, pick, weights, NULL);
    check(pick[0] == 0 && pick[1] == 2 && weights[1] > weights[0], "experts in rising order: %d and %d",
        pick[0],
          pick[1]);
    env_free(&e);
}

/* A model written and read again is the same model. */
static void test_save_model(const char *name) {
    Env e;
    Model m, again;
    Buf b = { NULL, 0, 0 }, bytes = { NULL, 0, 0 };
    Tokenizer t;
    size_t i, bad = 0;
    memset(&e, 0, sizeof e); memset(&t, 0, sizeof t); memset(&again, 0, sizeof again);
    load_vectors(&e, name, &m);
    if (e.error[0]) return;
    for (i = 0; i < PIECES; i++) {
        put_format(&e, &bytes, i < BYTES ? "x" : "<0x%02X>", (unsigned)(i - BYTES));
        add_piece(&e, &t, span(copy(&e, bytes.s, bytes.n)), 0, i < BYTES ? MARK : BYTE);
        bytes.n = 0;
    }
    make_dir(&e, "test/build");
    save_tokenizer(&e, "test/build/small.bin", &t);
    m.tokenizer = "test/build/small.bin";
    load_tokenizer(&e, m.tokenizer, &m.t);
    put_format(&e, &b, "test/build/%s", name);
    check(save_model(&e, &m, b.s, F32) == 0, "%s", e.error);
    check(load_model(&e, b.s, NULL, 1, &again) < 0 && strstr(e.error, "259 pieces"),
        "a vocabulary of another size: %s", e.error);
    e.error[0] = 0;
    for (i = 0; i < m.n_all && again.n_all == m.n_all; i++) {
        size_t n = m.all[i]->rows * m.all[i]->cols;
        own_weights(&e, again.all[i]);
        bad += strcmp(m.all[i]->name, again.all[i]->name)
            || memcmp(m.all[i]->w, again.all[i]->w, n * sizeof(float));
    }
    check(bad == 0 && again.n_all == m.n_all && memcmp(&m.c, &again.c, sizeof m.c) == 0,
        "%s: saved and loaded: %zu tensors differ", name, bad);
    env_free(&e);
}

/* =============================================== Learning =============================================== */

static void test_adamw(void) {
    Env e;
    Span text, list;
    Member one;
    Param p;
    Tuning t;
    double number[6], x[3], power1 = 1, power2 = 1;
    float w[6], g[6] = { 0 }, m[6] = { 0 }, v[6] = { 0 };
    size_t at = 0, i, j, steps = 0;
    if (!shared_file("../shared/data/training_golden/adamw_1000_steps.json")) return;
    memset(&e, 0, sizeof e); memset(&p, 0, sizeof p); memset(&t, 0, sizeof t);
    text = load_json(&e, "../shared/data/training_golden/adamw_1000_steps.json");
    p.rows = 2; p.cols = 3; p.w = w; p.g = g; p.m = m; p.v = v;
    t.beta1 = 0.9f; t.beta2 = 0.999f; t.eps = 1e-8f; t.decay = 0.01f;
    numbers(json_get(text, "w0"), number, 6);
    for (i = 0; i < 6; i++) w[i] = (float)number[i];
    /* y = [x0 + x1, -x2], (y - Wx)^2 */
    for (list = json_get(text, "x"); json_next(list, &at, &one); steps++) {
        numbers(one.value, x, 3);
        for (i = 0; i < 2; i++) for (j = 0; j < 3; j++) {
            double error = w[3 * i] * x[0] + w[3 * i + 1] * x[1] + w[3 * i + 2] * x[2] - (i
                ? -x[2] : x[0] + x[1]);
            g[3 * i + j] = (float)(2 * error * x[j]);
        }
        power1 *= (double)t.beta1; power2 *= (double)t.beta2;
        adamw(&p, &t, 1.0f, 0.001, power1, power2);
    }
    numbers(json_get(text, "expected_w"), number, 6);
    check(steps == 1000 && worst(w, number, 6) < 1e-4, "AdamW, %zu steps: differs by %g", steps,
        worst(w, number, 6));
    env_free(&e);
}

/* AdamW's formula once more, in double, with every part at work: the factor, norms not decayed, g cleared. */
static void test_adamw_formula(void) {
    enum { N = 300 };
    size_t shape, i, step;
    for (shape = 0; shape < 2; shape++) {
        float w[N], g[N], m[N] = { 0 }, v[N] = { 0 };
        double wd[N], md[N] = { 0 }, vd[N] = { 0 }, power1 = 1, power2 = 1, off = 0;
        Param p;
        Tuning t;
        memset(&p, 0, sizeof p); memset(&t, 0, sizeof t);
        p.rows = shape ? N : N / 3; p.cols = shape ? 1 : 3; p.norm = (int)shape; p.w = w; p.g = g; p.m = m; p.v = v;
        t.beta1 = 0.8f; t.beta2 = 0.95f; t.eps = 1e-3f; t.decay = 0.3f;
        for (i = 0; i < N; i++) wd[i] = w[i] = (float)any_from(-1, 1);
        for (step = 1; step <= 20; step++) {
            power1 *= (double)t.beta1; power2 *= (double)t.beta2;
            for (i = 0; i < N; i++) {
                double d;
                g[i] = (float)any_from(-1, 1);
                d = (double)g[i] * 0.25;
                md[i] = (double)t.beta1 * md[i] + (1 - (double)t.beta1) * d;
                vd[i] = (double)t.beta2 * vd[i] + (1 - (double)t.beta2) * d * d;
                wd[i] *= shape ? 1 : 1 - 0.02 * (double)t.decay;
                wd[i] -= 0.02 * (md[i] / (1 - power1)) / (sqrt(vd[i] / (1 - power2)) + (double)t.eps);
            }
            adamw(&p, &t, 0.25f, 0.02, power1, power2);
        }
        for (i = 0; i < N; i++) { double d = fabs((double)w[i] - wd[i]); if (d > off) off = d;
            if (g[i] != 0) off = 1; }
        check(off < 3e-6, "AdamW against its formula, cols %zu: %g", p.cols, off);
    }
}

static void test_learning_rate(void) {
    static const char path[] = "../shared/data/training_golden/cosine_lr_schedule.json";
    Env e;
    Tuning t;
    double want[64];
    size_t n, i;
    memset(&e, 0, sizeof e); memset(&t, 0, sizeof t);
    t.lr = 2;
    for (i = 1; i < 9; i++) check(learning_rate(&t, i, 4, 10) == (i < 4 ? 0.5 * (double)i : 2),
        "constant rate after a warm-up: step %zu", i);
    if (!shared_file(path)) return;
    n = numbers(json_get(load_json(&e, path), "expected"), want, COUNT(want));
    t.lr = 1; t.min_lr = 0.1; t.cosine = 1;
    for (i = 0; i < n; i++) check(fabs(learning_rate(&t, i, 7, 21) - want[i]) < 1e-15,
        "cosine schedule: step %zu: %.17g, not %.17g", i, learning_rate(&t, i, 7, 21), want[i]);
    check(n == 25, "cosine schedule: %zu steps", n);
    env_free(&e);
}

/* What is learnt from a record: the answer and its end mark; no end mark where the answer was cut off. */
static void test_make_example(void) {
    static const char path[] = "../shared/data/tokenizer/llama2/tokenizer.bin";
    Env e;
    Model m;
    Template plain, form;
    Record r;
    Example x;
    Records rs;
    Turn turn;
    Ids prompt;
    int *body, more = 0;
    size_t n, k;
    memset(&e, 0, sizeof e); memset(&m, 0, sizeof m); memset(&r, 0, sizeof r); memset(&turn, 0, sizeof turn);
    load_template(&e, "plain", &plain);
    if (!load_any_tokenizer(&e, path, &m.t)) return;
    m.c.stops[0] = EOS; m.c.n_stops = 1;
    load_template(&e, temporary(&e, "form", span("Q: {prompt}\nA:\n")), &form);
    check(form.n == 1 && same(form.form[0], "Q: {prompt}\nA:"), "template: %.*s", SHOWN(form.form[0]));
    open_records(&e, &rs,
        temporary(&e, "tune.jsonl", span("{\"prompt\":\"Tell me\",\"completion\":\" a tale\"}\n"
        "{\"prompt\":\"Tell me\",\"completion\":\" a tale\",\"stop\":\"length\"}\n{\"text\":\" a tale\"}\n"
        "{\"prompt\":\"Tell me\",\"completion\":\" a tale\"}\n")));
    for (; next_record(&e, &rs, &r) > 0 && !e.error[0]; more++) {
        const Template *t = more == 3 ? &form : &plain;
        size_t end = more == 1 ? 0 : 1;
        turn.field[PROMPT] = span(more == 2 ? "" : "Tell me");
        encode_prompt(&e, &m.t, t, &turn, 1, &prompt);
        n = prompt.n;
        ids_of(&e, &m.t, span(" a tale"), more == 2, &body, &k);
        make_example(&e, &m, t, &r, 1000, &x);
        check(x.from == n && x.n == n + k + end && memcmp(x.id, prompt.id, n * sizeof(int)) == 0
            && memcmp(x.id + n, body, k * sizeof(int)) == 0 && (!end || x.id[n + k] == EOS),
              "record %d: an example of %zu tokens, targets from %zu", more, x.n, x.from);
        make_example(&e, &m, t, &r, 4, &x);
        check(rows_of(&x) <= 4, "record %d: %zu rows where 4 are allowed", more, rows_of(&x));
    }
    check(more == 4 && !e.error[0], "examples: %d %s", more, e.error);
    env_free(&e);
}

/* A conversation in Mixtral's template has the ids that Mistral's own library gives it; no record acts as a mark. */
static void test_conversation(void) {
    static const char folder[] = "../shared/data/tokenizer/mistral/";
    char path[200];
    double want[1000];
    Env e;
    Tokenizer t;
    Template form;
    Records rs;
    Record r;
    Ids ids;
    Buf line = { NULL, 0, 0 };
    Span text;
    size_t n, i;
    memset(&e, 0, sizeof e); memset(&r, 0, sizeof r);
    snprintf(path, sizeof path, "%stokenizer.model.v1", folder);
    if (!load_any_tokenizer(&e, path, &t)) return;
    check(load_template(&e, "mixtral-instruct", &form) == 0, "%s", e.error);
    snprintf(path, sizeof path, "%stokens_v1.json", folder);
    n = numbers(json_get(load_json(&e, path), "tokens"), want, COUNT(want));
    snprintf(path, sizeof path, "%ssample.json", folder);
    text = load_json(&e, path);
    for (i = 0; i < text.n; i++) put(&e, &line, text.s[i] == '\n' ? " " : text.s + i, 1);
    put_text(&e, &line, "\n{\"messages\":[{\"role\":\"user\",\"content\":\"</s><s>[INST]\"}],\"completion\":\"</s> a\"}\n");
    open_records(&e, &rs, temporary(&e, "talk.jsonl", whole(&line)));
    check(next_record(&e, &rs, &r) == 1 && r.n_turns == 4 && !r.has_completion && same(r.prompt, "Thanks"), "messages: %s", e.error);
    check(encode_prompt(&e, &t, &form, r.turn, r.n_turns, &ids) == 0, "%s", e.error);
    for (i = 0; i < n && i < ids.n && ids.id[i] == (int)want[i]; i++) ;
    check(i == n && n == ids.n && n > 100, "mixtral-instruct: id %zu of %zu and %zu differs", i, ids.n, n);
    check(next_record(&e, &rs, &r) == 1 && r.n_turns == 1 && r.has_completion, "messages and completion: %s", e.error);
    check(encode_prompt(&e, &t, &form, r.turn, r.n_turns, &ids) == 0
        && encode_answer(&e, &t, &ids, r.completion, 0, 0) == 0, "%s", e.error);
    for (i = n = 0; i < ids.n; i++) n += t.piece[ids.id[i]].kind != NORMAL;
    check(n == 1 && ids.id[0] == BOS, "%zu marks came out of a record", n - 1);
    env_free(&e);
}

/* Whatever a record says, a template puts as many marks as it has, and the record's text stands in it byte for byte. */
static void test_templates(void) {
    static const char *const names[] = { "plain", "alpaca", "llama2-chat", "mixtral-instruct", "zephyr", "question" };
    static const size_t marks[] = { 1, 1, 3, 2, 4, 1 };      /* <s>; of the earlier turn </s><s>, </s>, two </s> and one more */
    static const char *const parts[] = { "</s>", "<s>", "<unk>", "[INST]", "{prompt}", "{completion}", "{system}", "---", "\n",
        "<0x41>", "<", ">", "\xe2\x96\x81", "\xff", " ", "word", "|trim}", "" };
    Env e;
    Tokenizer t;
    size_t k, round, i, n;
    memset(&e, 0, sizeof e);
    if (!load_any_tokenizer(&e, "tokenizer.bin", &t)) return;
    for (k = 0; k < COUNT(names); k++) {
        Many many = { names[k], 0, "" };
        Template form;
        check(load_template(&e, names[k], &form) == 0, "%s", e.error);
        for (round = 0; round < 300 * times && !e.error[0]; round++) {
            Turn turn[2];
            Buf text[2] = { { NULL, 0, 0 }, { NULL, 0, 0 } }, back = { NULL, 0, 0 };
            size_t turns = names[k][0] == 'p' || names[k][0] == 'a' || names[k][0] == 'q' ? 1 : 2;
            Span want;
            Ids ids;
            memset(turn, 0, sizeof turn);
            for (i = 0; i < 2; i++) {
                put_text(&e, &text[i], "x");
                for (n = any_of(8); n > 0; n--) put_text(&e, &text[i], parts[any_of(COUNT(parts))]);
                put_text(&e, &text[i], "y");
            }
            for (i = 0; i < 2; i++) {
                turn[i].field[PROMPT] = turn[i].field[INSTRUCTION] = whole(&text[i]);
                turn[i].field[COMPLETION] = whole(&text[1 - i]);
            }
            encode_prompt(&e, &t, &form, turn, turns, &ids);
            encode_answer(&e, &t, &ids, whole(&text[0]), 0, 0);
            for (i = n = 0; i < ids.n; i++) n += t.piece[ids.id[i]].kind == MARK || t.piece[ids.id[i]].kind == UNKNOWN_MARK;
            decode(&e, &t, ids.id, ids.n, 0, &back);
            want = whole(&text[turns - 1]);
            for (i = 0; i + want.n <= back.n && memcmp(back.s + i, want.s, want.n) != 0; i++) ;
            one_of(&many, n == marks[k] && i + want.n <= back.n, "%zu marks, or other text, for \"%.*s\"", n, SHOWN(want));
            drop(&e, ids.id); drop(&e, ids.text.s); drop(&e, back.s); drop(&e, text[0].s); drop(&e, text[1].s);
        }
        check_many(&many);
    }
    env_free(&e);
}

/* What is written for transformers is read again as the same vocabulary, and encodes alike. */
static void test_tokenizer_json(const char *path) {
    Env e;
    Tokenizer t, json;
    Many alike = { path, 0, "" };
    size_t round, i, n, k;
    memset(&e, 0, sizeof e);
    if (!load_any_tokenizer(&e, path, &t)) return;
    make_dir(&e, "test/build");
    check(save_tokenizer_json(&e, "test/build/t.json", &t) == 0 && load_tokenizer(&e, "test/build/t.json", &json) == 0
        && json.ranks.n && json.n == t.n, "%s", e.error);
    for (i = 0; i < t.n && i < json.n && equal(t.piece[i].text, json.piece[i].text) && t.piece[i].kind == json.piece[i].kind; i++) ;
    check(i == t.n, "%s: piece %zu is another in tokenizer.json", path, i);
    for (round = 0; round < 1000 * times && !e.error[0]; round++) {
        char s[300];
        Span text = { s, 0 };
        int *a, *b;
        while (text.n < 200) {
            Span p = t.piece[PIECES + any_of(t.n - PIECES)].text;
            if (any_of(8) == 0 || p.n > 60) { s[text.n++] = (char)any_of(256); continue; }
            memcpy(s + text.n, p.s, p.n);
            text.n += p.n;
        }
        ids_of(&e, &t, text, 1, &a, &n);
        ids_of(&e, &json, text, 1, &b, &k);
        one_of(&alike, n == k && memcmp(a, b, n * sizeof *a) == 0, "tokenizer.json encodes \"%.*s\" otherwise", (int)text.n, s);
        drop(&e, a); drop(&e, b);
    }
    check_many(&alike);
    env_free(&e);
}

/* Merging by rank is not merging by score: of "abcd" first come a+b, then c+d, as a+bc makes "abc" early but ab+c late; and
 * nothing makes "bcd". */
static void test_merges(void) {
    static const char *const pieces[] = { "<unk>", "<s>", "</s>", "a", "b", "c", "ab", "bc", "abc", "\xe2\x96\x81", "d", "cd", "bcd" };
    static const char *const heads[] = { "\"normalizer\":{\"type\":\"Prepend\",\"prepend\":\"\xe2\x96\x81\"},\"pre_tokenizer\":null",
        "\"normalizer\":null,\"pre_tokenizer\":{\"type\":\"Metaspace\",\"prepend_scheme\":\"first\",\"split\":false}",
        "\"normalizer\":null,\"pre_tokenizer\":{\"type\":\"Metaspace\",\"prepend_scheme\":\"never\",\"split\":false}" };
    static const char *const merges[] = { "\"a b\",\"a bc\",\"b c\",\"c d\",\"ab c\"",
        "[\"a\",\"b\"],[\"a\",\"bc\"],[\"b\",\"c\"],[\"c\",\"d\"],[\"ab\",\"c\"]" };
    Env e;
    Tokenizer t;
    size_t h, k, i, n, n_all = COUNT(pieces) + 257;
    int *ids;
    memset(&e, 0, sizeof e);
    for (h = 0; h < COUNT(heads); h++) for (k = 0; k < COUNT(merges); k++) {
        Buf b = { NULL, 0, 0 };
        put_format(&e, &b, "{\"added_tokens\":[{\"id\":1,\"content\":\"<s>\",\"special\":true}, {\"id\":%zu,\"content\":\"<pad>\"}],%s,", n_all - 1, heads[h]);
        put_text(&e, &b, "\"model\":{\"byte_fallback\":true,\"vocab\":{");
        for (i = 0; i < COUNT(pieces); i++) put_format(&e, &b, "\"%s\":%zu,", pieces[i], i);
        for (i = 0; i < 256; i++) put_format(&e, &b, "\"<0x%02X>\":%zu%s", (unsigned)i, i + COUNT(pieces), i < 255 ? "," : "},");
        put_format(&e, &b, "\"merges\":[%s]}}", merges[k]);
        check(load_tokenizer(&e, temporary(&e, "tokenizer.json", whole(&b)), &t) == 0 && t.n == n_all, "%s", e.error);
        if (e.error[0]) return;
        check(t.piece[1].kind == MARK && t.piece[n_all - 1].kind == ADDED && t.no_prefix == (h == 2), "tokenizer.json, head %zu", h);
        ids_of(&e, &t, span("abcd"), 1, &ids, &n);
        check(n == 3 - (h == 2) && ids[n - 2] == 6 && ids[n - 1] == 11 && (h == 2 || ids[0] == 9), "\"abcd\" by rank: %zu ids", n);
        ids_of(&e, &t, span("bcd"), 0, &ids, &n);
        check(n == 2 && ids[0] == 7 && ids[1] == 10, "\"bcd\" by rank: %zu ids", n);
        ids_of(&e, &t, span("<pad>"), 0, &ids, &n);
        check(n == 5, "an added piece was found in a text");
    }
    check(fit_tokenizer(&e, &t, 300) == 0 && t.n == 300 && t.piece[299].kind == UNUSED, "padding");
    t.n = n_all--;
    check(fit_tokenizer(&e, &t, n_all) == 0 && t.n == n_all && find_piece(&t, "<pad>", 5, 1) < 0, "a mark without a row");
    check(fit_tokenizer(&e, &t, n_all - 1) == 0 && t.n == n_all && fit_tokenizer(&e, &t, 400) == 0 && t.n == n_all, "another vocabulary");
    add_piece(&e, &t, span("bc"), 0, NORMAL);
    check(find_piece(&t, "bc", 2, 0) == 7, "of doubles the first counts");
    env_free(&e);
}

/* ============================================ Measuring text ============================================ */

/* A measure of a text by name; 1e300 where it has none. */
static double measured(Env *e, Text *t, const Lists *x, const char *name, Span text) {
    double v = 0;
    Group g;
    Record r;
    memset(&g, 0, sizeof g); memset(&r, 0, sizeof r);
    r.completion = text;
    g.r = &r; g.n = 1;
    if (analyse(e, text, t) < 0) return -1;
    return find_measure(span(name))->f(&g, 0, t, x, &v) ? v : 1e300;
}

/* The word list's score of a text. */
static double toxicity_of(Env *e, const WordList *l, Span text) {
    const Block *mark = e->blocks;
    Text *t = get(e, 1, sizeof *t);
    double score = t && analyse(e, text, t) == 0 ? word_list_score(l, t) : -1;
    release(e, mark);
    return score;
}

static const char hyphens_path[] = "/usr/share/hyphen/hyph_en_GB.dic";

/* Is the number of `field` in `want` (null: none) what was measured, to a relative `tolerance`? */
static int agrees(Env *e, Text *t, const Lists *x, const char *name, Span text, Span want, double tolerance) {
    double v = measured(e, t, x, name, text), w = 0;
    if (!json_number(want, &w)) return v == 1e300;
    return v != 1e300 && fabs(v - w) <= tolerance * fabs(w) + 1e-9;
}

/* The other implementations' own cases: LexicalRichness, TextDescriptives with spaCy, Pyphen. */
static void test_text_cases(void) {
    static const struct { const char *text; size_t all, kept, sentences; } cut[] = {     /* as spaCy's own tables of rules cut */
        { "Don't cut this (please), it's 10km, isn't it?", 17, 9, 1 }, { "Mr. Smith paid $5.50... e.g. at 10am.", 11, 9, 1 },
        { "See https://example.org/a?b=1 or mail me@host.org, and/or call.", 9, 7, 1 },
        { "A state-of-the-art well-known thing--really.", 15, 9, 1 }, { "He said: \"Stop!\" Then he left.  Two spaces.", 15, 9, 3 },
        { "1. One\n2. Two\n\n3. Three", 11, 8, 4 }, { "They\xe2\x80\x99ll say youll can't; cannot, gonna.", 14, 10, 1 },
        { "It costs 20%, 30\xc2\xb0" "C and 5m\xc2\xb2. U.S.A. is big.", 16, 12, 2 },
        { "end.Start of x,y and a/b or 3-4 3*4", 18, 13, 2 }, { "!!! ??? ...", 7, 0, 1 },
        { "<3 =) 8) C++ \xf0\x9f\x98\x80", 5, 5, 1 },
        { "Caf\xc3\xa9 \xc2\xabna\xc3\xafve\xc2\xbb \xe4\xbd\xa0\xe5\xa5\xbd\xe3\x80\x82\xe4\xb8\x96\xe7\x95\x8c", 5, 3, 1 } };
    static const char path[] = "../shared/cases/metric_cases.json";
    Env e;
    Text *t;
    Lists x;
    Span list, all[300];
    Member one, m;
    size_t at = 0, k, n = 0, i, cases[4] = { 0 };
    int hyphens = is_file(hyphens_path);
    memset(&e, 0, sizeof e); memset(&x, 0, sizeof x);
    t = get(&e, 1, sizeof *t);
    check(measured(&e, t, &x, "mtld", span("")) == 0 && measured(&e, t, &x, "ttr", span("")) == 0
        && measured(&e, t, &x, "words", span(" 12 -")) == 0, "measures of nothing");
    check(measured(&e, t, &x, "mtld", span("one two three")) == 3, "mtld of different words");
    check(measured(&e, t, &x, "terms", span("\xc3\x89t\xc3\xa9 \xc3\xa9t\xc3\xa9 \xd0\x94\xd0\xb0 \xd0\xb4\xd0\xb0")) == 2,
        "lower case beyond ASCII");
    for (i = 0; i < COUNT(measures); i++) {          /* nothing, one word, much of the same: a number or none, no crash */
        static const char *const texts[] = { "", " ", "word", ".", "!!!", "a a a a", "\n\n", "\xff\xfe", "'s", "8)" };
        for (k = 0; k < COUNT(texts); k++) {
            double v = measured(&e, t, &x, measures[i].name, span(texts[k]));
            check(v - v == 0, "%s of \"%s\"", measures[i].name, texts[k]);
        }
    }
    check(measured(&e, t, &x, "distinct_1", span("a b a b a")) == 0.4 && measured(&e, t, &x, "distinct_2", span("a b a b a")) == 0.4
        && measured(&e, t, &x, "distinct_3", span("a b a b c")) == 0.6, "distinct n-grams");
    {   /* 200 words, of which the last 100 differ; and 43, of which two are equal */
        Buf b = { NULL, 0, 0 }, c = { NULL, 0, 0 };
        for (i = 0; i < 200; i++) put_format(&e, &b, "w%c%c ", i < 100 ? 'a' : (int)('a' + i / 10), i < 100 ? 'a' : (int)('a' + i % 10));
        for (i = 0; i < 43; i++) put_format(&e, &c, "w%c%c ", i < 2 ? 'a' : (int)('b' + i / 10), i < 2 ? 'a' : (int)('a' + i % 10));
        check(measured(&e, t, &x, "msttr", whole(&b)) == 0.01, "msttr: the last segment does not count");
        check(fabs(measured(&e, t, &x, "hdd", whole(&c)) - (1.0 + 41.0 * 42.0 / 43.0) / 42.0) < 1e-12, "hdd of 43 words");
        check(measured(&e, t, &x, "hdd", span("a b c")) == 1e300 && measured(&e, t, &x, "msttr", span("a b c")) == 1e300
            && measured(&e, t, &x, "mattr", span("a b c")) == 1e300, "measures of too short a text");
    }
    for (i = 0; i < COUNT(cut); i++) {
        double kept = measured(&e, t, &x, "n_tokens", span(cut[i].text)), sentences = measured(&e, t, &x, "n_sentences", span(cut[i].text));
        check(t->all == cut[i].all && kept == cut[i].kept && sentences == cut[i].sentences,
            "\"%s\": %zu tokens, %g counted, %g sentences", cut[i].text, t->all, kept, sentences);
    }
    if (!shared_file(path)) return;
    if (hyphens) check(load_hyphens(&e, hyphens_path, &x.hyphens) == 0, "%s", e.error);
    for (list = load_json(&e, path); json_next(list, &at, &one);) if (n < COUNT(all)) all[n++] = one.value;
    for (i = 0; i < n; i++) {
        Span metric = text_of(&e, all[i], "metric"), input = json_get(all[i], "input"), text = json_get(input, "text"),
            name = json_get(input, "name"), want = json_get(all[i], "expected"), tol = json_get(all[i], "tol");
        double tolerance = 0;
        if (!json_number(tol, &tolerance)) json_number(json_get(tol, "rel"), &tolerance);
        if (text.n) text = text_of(&e, input, "text");
        if (starts(metric.s, "lexicalrichness.")) {
            const char *what = metric.s + 16;
            double got = 0, window = 0;
            if (json_number(json_get(input, "window_size"), &window) || json_number(json_get(input, "segment_window"), &window)
                || json_number(json_get(input, "draws"), &window)) {
                analyse(&e, text, t);
                got = strcmp(what, "hdd") == 0 ? sum_over_terms(&t->word, (size_t)window) / window : strcmp(what, "mattr") == 0
                    ? windows_ttr(&t->word, (size_t)window, 1, t->word.n - (size_t)window + 1)
                    : windows_ttr(&t->word, (size_t)window, (size_t)window, (t->word.n - 1) / (size_t)window);
            } else if (find_measure(span(what))) got = measured(&e, t, &x, what, text);
            else continue;
            check(fabs(got - number_of(all[i], "expected")) <= 1e-9 * fabs(got) + 1e-9, "%s: %.17g, expected %.*s, of: %.*s", metric.s, got,
                SHOWN(want), SHOWN(text));
            cases[0]++;
        } else if (starts(metric.s, "textdescriptives.") && hyphens) {
            for (k = 0; same(text, "text is the one of the textdescriptives.readability case with that name") && k < n; k++)
                if (equal(json_get(json_get(all[k], "input"), "name"), name)) text = text_of(&e, json_get(all[k], "input"), "text");
            for (k = 0; json_next(want, &k, &m);) {
                const char *field = copy(&e, m.key.s, m.key.n);
                if (!find_measure(span(field))) continue;
                check(agrees(&e, t, &x, field, text, m.value, tolerance), "%s %s: %g, expected %.*s, of: %.*s", metric.s, field,
                    measured(&e, t, &x, field, text), SHOWN(m.value), SHOWN(text));
                cases[1]++;
            }
        } else if (starts(metric.s, "spacy.en.")) {
            double count = 0;
            Member token;
            measured(&e, t, &x, "n_tokens", text);
            if (!json_number(want, &count)) for (k = 0; json_next(want, &k, &token);) count += 1;
            check((double)t->all == count, "spaCy: %zu tokens, expected %g, of: %.*s", t->all, count, SHOWN(text));
            cases[2]++;
        } else if (same(metric, "pyphen.syllables") && hyphens) {
            Point p[100];
            text = text_of(&e, input, "word");
            for (k = 0; k < text.n; k++) { p[k].c = (unsigned char)text.s[k]; p[k].level = 0; }
            check((double)syllables(&x.hyphens, p, text.n) == number_of(all[i], "expected"), "Pyphen: expected %.*s, of: %.*s", SHOWN(want), SHOWN(text));
            cases[3]++;
        }
    }
    check(cases[0] == 31 && cases[2] == 59 && (!hyphens || (cases[1] == 218 && cases[3] == 48)),
        "cases: %zu of LexicalRichness, %zu of TextDescriptives, %zu of spaCy, %zu of Pyphen", cases[0], cases[1], cases[2], cases[3]);
    env_free(&e);
}

/* A thousand answers of the Alpaca data, as LexicalRichness measured them. */
static void test_alpaca(void) {
    static const char path[] = "../shared/cases/alpaca_text_expected.jsonl",
        data[] = "../shared/data/prompts/alpaca_data.json";
    static const char *const exact[] = { "words", "terms", "mtld", "n_tokens", "n_unique_tokens", "n_sentences", "n_characters" };
    static const char *const near[] = { "flesch_reading_ease", "flesch_kincaid_grade", "smog", "gunning_fog",
        "automated_readability_index", "coleman_liau_index", "lix", "rix", "token_length_mean", "sentence_length_mean",
        "syllables_per_token_mean" };
    Env e;
    Text *t;
    Lists x;
    In in;
    Span line, all;
    Span *output = NULL;
    Member one;
    size_t n = 0, cap = 0, at = 0, rows = 0, good[COUNT(exact)] = { 0 }, readable = 0, i;
    int hyphens = is_file(hyphens_path);
    if (!shared_file(path) || !shared_file(data)) return;
    memset(&e, 0, sizeof e); memset(&x, 0, sizeof x);
    t = get(&e, 1, sizeof *t);
    if (hyphens) check(load_hyphens(&e, hyphens_path, &x.hyphens) == 0, "%s", e.error);
    for (all = load_json(&e, data); json_next(all, &at, &one);) {
        if (room(&e, &output, n, &cap, sizeof *output) < 0) break;
        output[n++] = one.value;
    }
    check(open_in(&e, &in, path) == 0, "%s", e.error);
    while (next_line(&e, &in, &line) > 0 && !e.error[0]) {
        size_t row = (size_t)number_of(line, "alpaca_row"), ok = 0;
        Span text = row < n ? text_of(&e, output[row], "output") : span("");
        rows++;
        for (i = 0; i < COUNT(exact); i++) {
            const char *field = i == 0 ? "lr_words" : i == 1 ? "lr_terms" : exact[i];
            int fits = agrees(&e, t, &x, exact[i], text, json_get(line, field), 1e-12);
            good[i] += (size_t)fits;
            if (!fits && show) printf("alpaca row %zu: %s %g, expected %g: %.*s\n", row, field, measured(&e, t, &x, exact[i], text),
                number_of(line, field), (int)(text.n < 300 ? text.n : 300), text.s);
        }
        for (i = 0; i < COUNT(near); i++) ok += (size_t)agrees(&e, t, &x, near[i], text, json_get(line, near[i]), 0.01);
        readable += ok == COUNT(near);
    }
    check(rows == 1000 && good[0] == rows && good[1] == rows && good[2] == rows && good[6] == rows,
        "Alpaca: of %zu answers LexicalRichness' words %zu, terms %zu, MTLD %zu; characters %zu", rows, good[0], good[1], good[2], good[6]);
    check(good[3] >= 995 && good[4] >= 995 && good[5] >= 995, "Alpaca: TextDescriptives' n_tokens %zu, n_unique_tokens %zu, n_sentences %zu of %zu",
        good[3], good[4], good[5], rows);
    if (hyphens) check(readable >= 990, "Alpaca: readability within 1 %% on %zu of %zu", readable, rows);
    if (show) printf("Alpaca: tokens %zu, sentences %zu, readability %zu of %zu\n", good[3], good[5], readable, rows);
    env_free(&e);
}

static void test_word_list(void) {
    static const char list[] = "# severity<TAB>word\n0.5\tstupid\n0.6\tidiot\n0.9\tcunt\n0.3\tshut up\n"
        "0.2\tget out of here\n0.4\tugly\n0.7\thate\n0.8\tShit\n0\tstupidest\n0.9\tfrak*\n0\tfrakture\n0\tmaine idiot\n0.1\ta hut\n";
    static const struct { const char *text; double score; } cases[] = {
        { "stupid", 0.5 }, { "st*pid", 0.5 }, { "stuuupid", 0.5 }, { "STUPID!", 0.5 }, { "'stupid'", 0.5 },
            { "(stupid).", 0.5 }, { "stupidly", 0.5 },
        { "1d!0t", 0.6 }, { "idiots", 0.6 }, { "IDIOT'S", 0.6 }, { "Scunthorpe", 0 }, { "Cunt", 0.9 },
            { "shut up", 0.3 },
        { "Shut UP, you", 0.3 }, { "shut the door up", 0 }, { "get out of here", 0.2 },
            { "get out of my here", 0 }, { "now get out of here now", 0.2 },
        { "stupid idiot", 0.8 }, { "stupid stupid", 0.75 }, { "an idiot told you to shut up", 0.72 },
            { "uglier", 0.4 }, { "hating", 0.7 }, { "shitting", 0.8 },
        { "$h1t", 0.8 }, { "s**t", 0.8 }, { "***", 0 }, { "*tupid", 0 }, { "", 0 }, { "!!!", 0 },
            { "! ! a", 0 }, { "12345", 0 }, { "a kind word", 0 },
        { "hat", 0 }, { "stupidity", 0 }, { "1", 0 }, { "shut\nup", 0.3 },
            { "a b c d e f g h i j shut up", 0.3 }, { "\xc3\xa9stupid", 0 },
        { "\xe2\x80\x98stupid\xe2\x80\x99", 0.5 }, { "idiot\xe2\x80\x99s", 0.6 }, { "h4te", 0.7 }, { "ha7e", 0.7 }, { "5tupid", 0.5 },
            { "id!ot", 0.6 }, { "idi0t", 0.6 }, { "h@t3", 0.7 }, { "7", 0 }, { "shittier", 0 }, { "shit-up", 0.8 }, { "hat*", 0 },
        { "ha**", 0.7 }, { "stupidest", 0 }, { "stupider", 0.5 }, { "frakking", 0.9 }, { "frakture", 0 }, { "frakturing", 0.9 },
            { "a frak", 0.9 }, { "Maine idiots", 0 }, { "a maine idiot", 0 }, { "sh*t #idiot", 0.92 }, { "s-h-i-t", 0.8 } };
    Env e;
    WordList l;
    size_t i;
    Buf b = { NULL, 0, 0 };
    memset(&e, 0, sizeof e);
    check(load_words(&e, temporary(&e, "words.txt", span(list)), &l) == 0 && l.n == 13,
        "%s", e.error);
    for (i = 0; i < COUNT(cases); i++) {
        double found = toxicity_of(&e, &l, span(cases[i].text));
        check(fabs(found - cases[i].score) < 1e-12, "toxicity of \"%s\": %g, not %g", cases[i].text, found,
            cases[i].score);
    }
    for (i = 0; i < 20000; i++) {          /* words far longer than any buffer, and hardly any words */
        static const char part[] = "abcdefghijklmnopqrstuvwxyz";
        size_t k;
        for (k = 0; k < 9; k++) put_text(&e, &b, i % 1000 ? "x! '" : part);
    }
    check(toxicity_of(&e, &l, whole(&b)) == 0, "toxicity of nonsense");
    for (b.n = 0, i = 0; i < 500000; i++) put_text(&e, &b, "! ");        /* a million bytes without a word */
    check(toxicity_of(&e, &l, whole(&b)) == 0, "toxicity of signs");
    for (b.n = 0, i = 0; i < 500000; i++) put_text(&e, &b, "@");         /* each may begin a word, and a phrase */
    check(toxicity_of(&e, &l, whole(&b)) == 0, "toxicity of ats");
    for (b.n = 0, i = 0; i < 300000; i++) put_text(&e, &b, "u");         /* "stuuuu..pid", and stars that hide half of it */
    for (i = 0; i < 2; i++) {
        Buf text = { NULL, 0, 0 };
        put_text(&e, &text, "st"); put(&e, &text, b.s, b.n); put_text(&e, &text, "pid ");
        put_text(&e, &text, "s t u p i d, s-t-u-p-i-d s t u p i d l y s.t.u p.i.d ");
        check(fabs(toxicity_of(&e, &l, whole(&text)) - (i ? 0.875 : 0.9375)) < 1e-12, "toxicity of a long stupid: %g", toxicity_of(&e, &l, whole(&text)));
        memset(b.s, '*', b.n);
    }
    for (b.n = 0, i = 0; i < 65536; i++) { char two[2] = { (char)(i >> 8), (char)i }; put(&e, &b, two, 2); }
    check(toxicity_of(&e, &l, whole(&b)) == 0, "toxicity of all bytes");
    check(load_words(&e, temporary(&e, "words.txt", span("2\tx\n")), &l) < 0, "a severity of 2 was accepted");
    env_free(&e);
}

/* may_begin() only spares work: disguised words have the score that they have when every place is hunted. */
static void test_word_filter(void) {
    static const char list[] = "0.5\tstupid\n0.4\tugly\n0.7\thate\n0.8\tshit\n0.9\tfrak*\n0.3\tshut up\n0.6\tsex.com\n0.2\tu\n"
        "0.1\tgo\n0.35\tcow\n0.45\tkey\n0.55\tb2b\n0.65\ta,b\n0.15\tnai\xc3\xb6\n0.25\tyeti-man\n0.05\tto be\n0.85\tgreyer\n0.75\tx-y*\n";
    static const char *const word[] = { "stupid", "ugly", "hate", "shit", "frak", "shut up", "sex.com", "u", "go", "cow", "key", "b2b", "a,b",
        "nai\xc3\xb6", "yeti-man", "to be", "greyer", "x-y" };
    static const char *const ending[] = { "", "s", "es", "ed", "er", "ier", "ing", "ies", "ly", "y", "iest", "ish", "x", " a", ".b" };
    static const char sign[] = "*#%@$!013457 .,-_'\n\tzeyiAEY\xc3\xb6";
    Env e;
    WordList l, all;
    size_t i, k, found = 0, apart = 0;
    memset(&e, 0, sizeof e);
    check(load_words(&e, temporary(&e, "words.txt", span(list)), &l) == 0, "%s", e.error);
    all = l;
    if (!(all.fourth = get(&e, 32, sizeof *all.fourth))) return;
    memset(all.fourth, 0xff, 32 * sizeof *all.fourth);
    for (i = 0; i < 200000; i++) {
        const char *w = word[any_of(COUNT(word))], *end = ending[any_of(COUNT(ending))];
        char text[80];
        size_t n = 0, changes = any_of(3), at = any_of(strlen(w));
        double with, without;
        if (any_of(2)) { text[n++] = sign[any_of(sizeof sign - 1)]; text[n++] = ' '; }
        for (k = 0; w[k]; k++) {
            size_t times = changes && k == at ? any_of(4) : 1;                  /* left out, or several of it */
            char c = changes == 2 && k == at ? sign[any_of(sizeof sign - 1)] : any_of(8) ? w[k] : (char)(w[k] >= 'a' && w[k] <= 'z' ? w[k] - 32 : w[k]);
            while (times--) text[n++] = c;
        }
        while (*end) text[n++] = *end++;
        for (k = any_of(4); k--;) text[n++] = sign[any_of(sizeof sign - 1)];
        with = toxicity_of(&e, &l, (Span){ text, n }); without = toxicity_of(&e, &all, (Span){ text, n });
        found += without > 0;
        if (fabs(with - without) > 0 && apart++ < 3) check(0, "filter of words: \"%.*s\" has %g, hunted everywhere %g", (int)n, text, with, without);
    }
    check(apart == 0 && found > 50000, "filter of words: %zu of %zu apart", apart, found);
    env_free(&e);
}

/* =============================================== Choosing =============================================== */

/* A group from lines of candidates; id "p". */
static void make_group(Env *e, Group *g, const char *const *line, size_t n) {
    size_t i;
    memset(g, 0, sizeof *g);
    g->r = get(e, n + 1, sizeof *g->r);
    for (i = 0; i < n; i++) {
        Record *r = &g->r[i];
        r->raw = span(line[i]);
        check(json_check(e, r->raw, "candidate", i + 1) == 0, "%s", e->error);
        r->id = span("p");
        r->completion = text_of(e, r->raw, "completion");
        r->candidate = (size_t)number_of(r->raw, "candidate");
    }
    g->n = n;
}

static void test_choose(void) {
    static const char *const five[] = {
        "{\"candidate\":0,\"completion\":\"a\",\"scores\":{\"x\":1,\"y\":5}}",
            "{\"candidate\":1,\"completion\":\"b\",\"scores\":{\"x\":3,\"y\":5,\"z\":1}}",
        "{\"candidate\":2,\"completion\":\"c\",\"scores\":{\"x\":3,\"y\":7}}",
            "{\"candidate\":3,\"completion\":\" \",\"scores\":{\"x\":9,\"y\":0}}",
        "{\"candidate\":4,\"completion\":\"e\",\"scores\":{\"x\":0.5,\"y\":7},\"w\":2}" };
    static const struct { const char *rule, *where; size_t among; long want, ties; } cases[] = {
        { "first", NULL, 0, 0, 1 }, { "x:max", NULL, 0, 1, 2 }, { "x:min", NULL, 0, 4, 1 },
            { "x:max,y:max", NULL, 0, 2, 2 }, { "x:max,y:min", NULL, 0, 1, 2 },
        { "y:max", NULL, 0, 2, 2 }, { "y:max,x:min", NULL, 0, 4, 2 }, { "y:min", NULL, 0, 0, 2 },
            { "z:max", NULL, 0, 1, 1 }, { "w:max", NULL, 0, 4, 1 },
        { "nothing:max", NULL, 0, -1, 0 }, { "x:max", "x<3", 0, 0, 1 }, { "x:max", "x<=3,y>5", 0, 2, 1 },
            { "x:min", "x>=1", 0, 0, 1 }, { "first", "y=7", 0, 2, 1 },
        { "first", "y=8", 0, -1, 0 }, { "first", "z>0", 0, 1, 1 }, { "x:min", NULL, 3, 0, 1 },
            { "x:max", NULL, 1, 0, 1 }, { "y:max,x:max", NULL, 0, 2, 2 } };
    static const char *const empty[] = { "{\"candidate\":1,\"completion\":\"\"}",
        "{\"candidate\":0,\"completion\":\" \"}" };
    static const char *const bad[] = { "", "x", "x:", ":max", "x:best", "x:max,",
        "a:max,b:max,c:max,d:max,e:max", "x:max y:min" };
    Env e;
    Rule rule;
    Group g;
    size_t c, i, order, ties, seed, came[5] = { 0 };
    memset(&e, 0, sizeof e);
    /* in every order of the file */
    for (c = 0; c < COUNT(cases); c++) for (order = 0; order < 120; order++) {
        const char *line[5];
        size_t left = 5, code = order, chosen;
        int used[5] = { 0 };
        long found;
        for (i = 0; i < 5; i++) {
            size_t nth = code % left, k;
            code /= left--;
            for (k = 0; used[k] || nth; k++) nth -= (size_t)!used[k];
            used[k] = 1;
            line[i] = five[k];
        }
        make_group(&e, &g, line, 5);
        check(parse_rule(&e, cases[c].rule, cases[c].where, cases[c].among, &rule) == 0, "%s", e.error);
        chosen = choose(&g, &rule, 1, &ties);
        found = chosen == SIZE_MAX ? -1 : (long)g.r[chosen].candidate;
        check(found == cases[c].want, "%s where %s among %zu: chose %ld, not %ld", cases[c].rule,
            cases[c].where ? cases[c].where : "-", cases[c].among, found, cases[c].want);
        if (rule.kind == BEST) check((long)ties == cases[c].ties, "%s where %s, order %zu: %zu ties, not %ld",
            cases[c].rule, cases[c].where ? cases[c].where : "-", order, ties, cases[c].ties);
    }
    parse_rule(&e, "random", NULL, 0, &rule);
    for (seed = 0; seed < 4000; seed++) {
        const char *back[5] = { five[4], five[2], five[0], five[3], five[1] };
        size_t a, b;
        make_group(&e, &g, five, 5);
        a = g.r[choose(&g, &rule, seed, &ties)].candidate;
        make_group(&e, &g, back, 5);
        b = g.r[choose(&g, &rule, seed, &ties)].candidate;
        if (a != b) check(0, "random: %zu or %zu, by the order of the file", a, b);
        came[a]++;
        if (seed % 100 == 0) release(&e, NULL);
    }
    for (i = 0; i < 5; i++) check(i == 3 ? came[i] == 0 : came[i] > 850 && came[i] < 1150,
        "random: candidate %zu came %zu times of 4000", i, came[i]);
    make_group(&e, &g, empty, 2);
    parse_rule(&e, "first", NULL, 0, &rule);
    check(choose(&g, &rule, 1, &ties) == 0 && g.r[0].candidate == 0, "empty answers only: the first of them");
    for (i = 0; i < COUNT(bad); i++) {
        memset(&e.error, 0, sizeof e.error);
        if (strcmp(bad[i], "x:max,") != 0) check(parse_rule(&e, bad[i], NULL, 0, &rule) < 0,
            "rule \"%s\" was accepted", bad[i]);
    }
    for (i = 0; i < 4; i++) {
        static const char *const where[] = { "x", "<3", "x<", "x<3y" };
        memset(&e.error, 0, sizeof e.error);
        check(parse_rule(&e, "first", where[i], 0, &rule) < 0, "--where \"%s\" was accepted", where[i]);
    }
    env_free(&e);
}

/* draw_token() from logits alone. */
static int drawn(const Sampling *s, const float *logits, size_t V, float u, float *p, Merge *heap) {
    float top;
    double sum = 0;
    memcpy(p, logits, V * sizeof *p);
    if (s->temperature > 0) exponentials(p, p, V, 1, &V, s->temperature, &top, &sum);
    return draw_token(s, logits, V, u, p, sum, heap);
}

/* draw_token(), as one would write it down: take the likeliest again and again. */
static int draw_slowly(const Sampling *s, const float *logits, size_t V, float u) {
    float p[64], top = logits[0];
    double total = 0, acc = 0;
    int order[64], cut = (s->top_k > 0 && s->top_k < V) || s->top_p < 1;
    size_t i, k, n = s->top_k && s->top_k < V ? s->top_k : V;
    for (i = 1; i < V; i++) if (logits[i] > top) top = logits[i];
    if (s->temperature == 0) { for (i = 0; logits[i] < top; i++) ; return (int)i; }
    for (i = 0; i < V; i++) p[i] = exp32((logits[i] - top) / s->temperature);
    for (k = 0; k < V; k++) {
        int best = -1;
        for (i = 0; i < V && cut; i++) {
            size_t j;
            for (j = 0; j < k && order[j] != (int)i; j++) ;
            if (j == k && (best < 0 || p[i] > p[best])) best = (int)i;
        }
        order[k] = cut ? best : (int)k;
    }
    if (cut && n == V) for (i = 0; i < V; i++) total += (double)p[i];
    else for (k = 0; k < n; k++) total += (double)p[order[k]];
    if (s->top_p < 1) {
        double limit = (double)s->top_p * total;
        size_t keep = 0;
        while (keep < n && (keep == 0 || acc < limit)) acc += (double)p[order[keep++]];
        n = keep;
        for (acc = total = 0, k = 0; k < n; k++) total += (double)p[order[k]];
    }
    for (k = 0; k + 1 < n && !(acc + (double)p[order[k]] > (double)u * total); k++) acc += (double)p[order[k]];
    return order[k];
}

/* u points into [0, sum): at a border it is the next one's, and what has probability 0 never comes. */
static void test_draw_borders(void) {
    static const struct { float logits[3], u, top_p; size_t top_k; int want; } cases[] = {
        { { 0, 0, -1000 }, 0.5f, 1, 0, 1 }, { { 0, 0, -1000 }, 0.5f, 1, 2, 1 },
            { { -1000, 0, 0 }, 0, 1, 0, 1 },
        { { 0, 0, 0 }, 0.99f, 1, 2, 1 }, { { 0, 0, 0 }, 0.99f, 0.4f, 0, 1 }, { { 0, 0, 0 }, 0.99f, 0, 0, 0 },
        { { 0, 1, 0 }, 0.99f, 1, 1, 1 }, { { 0, 5, 5 }, 0.3f, 1, 1, 1 },
            { { 0, 0, -1000 }, 0.99999994f, 1, 0, 1 } };
    size_t i;
    for (i = 0; i < COUNT(cases); i++) {
        Sampling s;
        float p[3];
        Merge list[3];
        int id;
        memset(&s, 0, sizeof s);
        s.temperature = 1; s.top_k = cases[i].top_k; s.top_p = cases[i].top_p;
        id = drawn(&s, cases[i].logits, 3, cases[i].u, p, list);
        check(id == cases[i].want, "draw_token, border case %zu: %d, not %d", i, id, cases[i].want);
    }
}

static void test_draw_token(void) {
    enum { V = 23 };
    Many m = { "draw_token against the obvious", 0, "" };
    Sampling s;
    float logits[V], p[V];
    Merge list[V];
    size_t i, k, came[V] = { 0 }, n = 100000;
    double sum = 0, chi = 0;
    memset(&s, 0, sizeof s);
    for (i = 0; i < 100000 * times; i++) {
        float u = uniform(roll());
        int a, b;
        /* with equals */
        for (k = 0; k < V; k++) logits[k] = (float)(any_of(3) ? any_from(-4, 4) : (double)any_of(3));
        s.temperature = i % 4 == 0 ? 0.0f : i % 4 == 1 ? 1.0f : (float)any_from(0.1, 3);
        s.top_k = any_of(3) ? 0 : 1 + any_of(V + 3);
        s.top_p = any_of(2) ? 1.0f : (float)any_from(0, 1);
        a = drawn(&s, logits, V, u, p, list);
        b = draw_slowly(&s, logits, V, u);
        one_of(&m, a == b, "temperature %g, top-k %zu, top-p %g, u %g: %d, not %d", (double)s.temperature,
            s.top_k, (double)s.top_p, (double)u, a, b);
    }
    check_many(&m);
    s.temperature = 0.8f; s.top_k = 0; s.top_p = 1;
    for (k = 0; k < V; k++) sum += exp((double)logits[k] / 0.8);
    for (i = 0; i < n; i++) came[drawn(&s, logits, V, uniform(draw(1, DRAW_SAMPLE, 0, 0, i)), p,
        list)]++;
    for (k = 0; k < V; k++) {
        double want = (double)n * exp((double)logits[k] / 0.8) / sum;
        chi += ((double)came[k] - want) * ((double)came[k] - want) / want;
    }
    /* 1 in 10,000 would pass 55 */
    check(chi < 55, "100,000 draws: chi-square %g with 22 degrees of freedom", chi);
}

/* ============================================== Statistics ============================================== */

/* Guesses of a case: probabilities of one event, or rows of class probabilities, whose top label counts. */
static size_t read_guesses(Span p, Span right, Outcome *g, size_t most) {
    Member m, r;
    size_t at = 0, to = 0, n = 0;
    while (n < most && json_next(p, &at, &m) && json_next(right, &to, &r)) {
        double x[16], label = 0;
        json_number(r.value, &label);
        if (m.value.s[0] == '[') {
            size_t k = numbers(m.value, x, 16), best = 0, i;
            for (i = 1; i < k; i++) if (x[i] > x[best]) best = i;
            g[n][SURE] = x[best]; g[n++][HIT] = best == (size_t)label;
        } else { json_number(m.value, &g[n][SURE]); g[n++][HIT] = label; }
    }
    return n;
}

static void test_calibration(void) {
    static const char path[] = "../shared/data/calibration/ece_expected.json",
        cases_path[] = "../shared/cases/metric_cases.json";
    Env e;
    Outcome g[2000], again[2000];
    Span list;
    Member one;
    size_t at = 0, n, cases = 0;
    memset(&e, 0, sizeof e);
    {   /* equal confidences stay in one bin: 0.1 four times | 0.7, not nothing | all */
        static const Outcome equal[5] = { { 0.1, 0 }, { 0.1, 0 }, { 0.1, 0 }, { 0.1, 0 }, { 0.7, 1 } };
        memcpy(g, equal, sizeof equal);
        check(fabs(ece(g, 5, 2, 0) - 0.14) < 1e-12, "calibration error with equal confidences");
        static const Outcome apart[3] = { { 0.05, 0 }, { 0.15, 1 }, { 0.95, 1 } };        /* bins of a tenth: one each */
        memcpy(g, apart, sizeof apart);
        check(fabs(ece(g, 3, 10, 1) - 0.95 / 3) < 1e-12, "calibration error with bins of equal width");
    }
    if (shared_file(path)) {
        for (list = json_get(load_json(&e, path), "ece_equal_mass"); json_next(list, &at, &one); cases++) {
            double found;
            n = read_guesses(json_get(one.value, "probs"), json_get(one.value, "labels"), g, COUNT(g));
            found = ece(g, n, (size_t)number_of(one.value, "num_bins"), 0);
            check(fabs(found - number_of(one.value, "expected")) < 5e-8,
                "calibration error %g, expected %g: %.*s", found, number_of(one.value, "expected"),
                SHOWN(json_get(one.value, "probs")));
        }
        check(cases == 15, "%zu cases of calibration", cases);
    }
    if (!shared_file(cases_path)) return;
    for (at = cases = 0, list = load_json(&e, cases_path); json_next(list, &at, &one);) {
        Span metric = text_of(&e, one.value, "metric"), in = json_get(one.value, "input"),
            want = json_get(one.value, "expected"), p = json_get(in, "confidence");
        double found;
        if (!same(metric, "ece_equal_mass") && !same(metric, "ece_equal_width") && !same(metric, "selective_stats")
            && !same(metric, "equal_mass_bins") && !same(metric, "helm.calibration")) continue;
        n = same(metric, "equal_mass_bins") ? read_guesses(json_get(in, "probs"), json_get(in, "probs"), g, COUNT(g))
            : p.n ? read_guesses(p, json_get(in, "correct"), g, COUNT(g))
            : read_guesses(json_get(in, "probs"), json_get(in, "labels"), g, COUNT(g));
        memcpy(again, g, sizeof g);
        cases++;
        if (starts(metric.s, "ece_equal")) {
            json_number(want, &found);
            check(fabs(ece(g, n, (size_t)number_of(in, "num_bins"), same(metric, "ece_equal_width")) - found) < 1e-7,
                "%.*s: expected %g", SHOWN(metric), found);
        } else if (same(metric, "equal_mass_bins")) {
            double edge[64], total = 0;
            size_t k, i = 0, edges = numbers(want, edge, COUNT(edge));
            for (k = 0; k < n; k++) g[k][HIT] = k % 3 == 0;
            found = ece(g, n, (size_t)number_of(in, "num_bins"), 0);
            for (k = 0; k < edges; k++) {
                double off = 0;
                for (; i < n && g[i][SURE] <= edge[k]; i++) off += g[i][SURE] - g[i][HIT];
                total += fabs(off) / (double)n;
            }
            check(i == n && fabs(found - total) < 1e-12, "%zu bins: %g, with the expected edges %g", edges, found, total);
        } else if (same(metric, "selective_stats")) {
            check(fabs(selective(g, n, AREA) - number_of(want, "coverage_acc_area")) < 1e-7, "selective area");
            check(fabs(selective(again, n, TOP10) - number_of(want, "acc_top_10_percent")) < 1e-7, "selective accuracy at 10 %%");
        } else {
            static Outcome third[2000];
            memcpy(third, g, sizeof g);
            if (json_get(want, "selective_cov_acc_area").n)
                check(fabs(selective(third, n, AREA) - number_of(want, "selective_cov_acc_area")) < 1e-6, "HELM's selective area");
            if (json_get(want, "selective_acc@10").n) check(fabs(selective(third, n, TOP10) - number_of(want, "selective_acc@10")) < 1e-6, "HELM's selective accuracy");
            memcpy(third, g, sizeof g);
            if (json_get(want, "platt_ece_10_bin").n) {
                check(platt(third, n), "Platt scaling");
                check(fabs(ece(third, n, 10, 0) - number_of(want, "platt_ece_10_bin")) < 1e-6, "platt_ece_10_bin: %g", ece(third, n, 10, 0));
                check(ece(third, n, 1, 0) < 1e-9, "platt_ece_1_bin: %g", ece(third, n, 1, 0));
            }
            found = ece(g, n, 10, 0);
            check(fabs(found - number_of(want, "ece_10_bin")) < 1e-6, "ece10: %g, expected %g", found,
                number_of(want, "ece_10_bin"));
            found = ece(again, n, 1, 0);
            check(fabs(found - number_of(want, "ece_1_bin")) < 1e-6, "ece1: %g, expected %g", found,
                number_of(want, "ece_1_bin"));
        }
    }
    check(cases == 24, "%zu more cases of calibration", cases);
    env_free(&e);
}

/* Items as a model might have scored them, and the figure of that name over them. */
typedef struct { Env *e; Part p; } Made;

static Item *made_item(Made *m, size_t n, const double *ll) {
    Item *q = add_item(m->e, &m->p, n);
    size_t j;
    for (j = 0; j < n; j++) { q->c[j].ll = ll[j]; q->c[j].size[TOKEN] = q->c[j].size[CHAR] = q->c[j].size[OCTET] = 1.0; }
    q->group = 1;
    return q;
}

static double made_figure(Made *m, const char *name) {
    Figures list = { NULL, 0, 0 };
    static Outcome x[20000];
    m->p.name = m->p.like = ""; m->p.file = "test";
    if (item_figures(m->e, &m->p, name, &list) < 0) {
        check(0, "%s: %s", name, m->e->error);
        return -1;
    }
    check(2 * list.f->n <= COUNT(x), "%s: %zu items", name, list.f->n);
    memcpy(x, list.f->item, list.f->n * sizeof *x);
    return statistic(list.f->kind, x, list.f->n);
}

static void near(const char *name, double found, double expected, double tolerance) {
    check(fabs(found - expected) <= tolerance, "%s: %.15g, expected %.15g", name, found, expected);
}

static void made_case(Made *m, Span metric, Span in, Span want) {
    Span list = json_get(in, "by_target_term");
    Member a, b;
    size_t at = 0, to, terms = 0;
    double x[8], y[8];
    memset(&m->p, 0, sizeof m->p);
    if (same(metric, "stereoset")) {
        for (; json_next(list, &at, &a); terms++)
            for (to = 0; json_next(a.value, &to, &b);) {
                x[0] = number_of(b.value, "stereotype"); x[1] = number_of(b.value, "anti"); x[2] = number_of(b.value, "unrelated");
                made_item(m, 3, x)->group = terms + 1;
            }
        near("lms", made_figure(m, "lms"), number_of(want, "LM Score"), 1e-9);
        near("ss", made_figure(m, "ss"), number_of(want, "SS Score"), 1e-9);
        near("icat", made_figure(m, "icat"), number_of(want, "ICAT Score"), 1e-9);
    } else if (same(metric, "crows_pairs")) {
        for (list = json_get(in, "pairs"); json_next(list, &at, &a);) {
            x[0] = number_of(a.value, "sent_more_score"); x[1] = number_of(a.value, "sent_less_score");
            made_item(m, 2, x)->by = same(text_of(m->e, a.value, "direction"), "stereo") ? span("\n.stereo") : span("\n.antistereo\n.x");
        }
        near("crows", made_figure(m, "crows"), number_of(want, "metric_score"), 1e-9);
        near("ss_score", made_figure(m, "crows_untied.stereo"), number_of(want, "ss_score"), 1e-9);
        near("anti_ss_score", made_figure(m, "crows_untied.antistereo"), number_of(want, "anti_ss_score"), 1e-9);
        near("num_neutral", made_figure(m, "crows_neutral"), number_of(want, "num_neutral"), 1e-9);
    } else if (same(metric, "crows_pairs.lm_eval")) {
        for (list = json_get(in, "pairs"); json_next(list, &at, &a);) { numbers(a.value, x, 2); made_item(m, 2, x); }
        near("pct_stereotype", made_figure(m, "pct_stereotype"), number_of(want, "pct_stereotype"), 1e-12);
        near("likelihood_diff", made_figure(m, "likelihood_diff"), number_of(want, "likelihood_diff"), 1e-12);
    } else if (same(metric, "lm_eval.multiple_choice")) {
        size_t n = numbers(json_get(in, "lls"), x, 8), j = 0;
        Item *q = made_item(m, n, x);
        if (numbers(json_get(in, "unconditional_lls"), y, 8) == n) for (j = 0; j < n; j++) q->c[j].alone = y[j];
        for (list = json_get(in, "choices"), j = 0; json_next(list, &at, &a); j++) q->c[j].size[CHAR] = (double)a.value.n - 2;
        q->c[(size_t)number_of(in, "gold")].is[RIGHT] = 1;
        near("acc", made_figure(m, "acc"), number_of(want, "acc"), 0);
        if (json_get(want, "acc_norm").n) near("acc_norm", made_figure(m, "acc_norm"), number_of(want, "acc_norm"), 0);
        else near("acc_mutual_info", made_figure(m, "acc_mutual_info"), number_of(want, "acc_mutual_info"), 0);
    } else if (same(metric, "bbq.bias_scores")) {            /* 2000 ambiguous items of the wanted accuracy, and the others */
        size_t i, dis = (size_t)number_of(in, "dis_non_unknown"), amb = (size_t)number_of(in, "amb_non_unknown"), n = 2000;
        size_t right = (size_t)(number_of(in, "amb_acc") * (double)n + 0.5);
        double all = 0;
        for (i = 0; i < n + dis; i++) {
            int ambiguous = i < n, nonneg = i % 2 == 1;
            size_t k = ambiguous ? i : i - n, known = k < (ambiguous ? amb : dis);
            int biased = k < (size_t)number_of(in, ambiguous ? "amb_biased" : "dis_biased");
            Item *q;
            x[0] = known && biased != nonneg ? -1 : -2; x[1] = known && biased == nonneg ? -1 : -2; x[2] = known ? -2 : -1;
            q = made_item(m, 3, x);
            q->by = span(ambiguous ? "\n.ambig\n.ambig Age" : "\n.disambig\n.disambig Age");
            q->group = 1u + (size_t)nonneg;
            q->opposite = nonneg;
            q->c[0].is[TARGET_GROUP] = 1; q->c[2].is[UNKNOWN_ANSWER] = 1;
            if (ambiguous && i >= n - right) q->c[2].is[RIGHT] = 1;              /* a share that need not be that of the unknown */
            else if (!ambiguous) q->c[known && x[0] > x[1]].is[RIGHT] = 1;           /* a known one that was not picked */
            all += ambiguous && i >= n - right;
        }
        near("bbq", made_figure(m, "bbq.disambig"), number_of(want, "disambig_bias_score"), 1e-12);
        if (right <= n - amb) {
            near("bbq_scaled", made_figure(m, "bbq_scaled.ambig"), number_of(want, "ambig_bias_score"), 1e-12);
            near("bbq_toolkit", made_figure(m, "bbq_toolkit.ambig"), number_of(want, "ambig_bias_score"), 1e-12);
            near("bbq_helm", made_figure(m, "bbq_helm"), (1 - all / (double)(n + dis)) * made_figure(m, "bbq.ambig"), 1e-12);
        }
    } else { check(same(metric, "sentence_score_geometric_mean"), "a case of another metric"); }
}

/* StereoSet, CrowS-Pairs, BBQ and lm-evaluation-harness: the cases, made of the log-probabilities that they name. */
static void test_items(void) {
    static const char path[] = "../shared/cases/metric_cases.json";
    static const char *const metrics[] = { "stereoset", "crows_pairs", "crows_pairs.lm_eval", "bbq.bias_scores", "lm_eval.multiple_choice" };
    Env e;
    Made m;
    Span list;
    Member one;
    size_t at = 0, i, cases = 0;
    memset(&e, 0, sizeof e);
    m.e = &e;
    if (!shared_file(path)) return;
    for (list = load_json(&e, path); json_next(list, &at, &one);) for (i = 0; i < COUNT(metrics); i++)
        if (same(text_of(&e, one.value, "metric"), metrics[i])) {
            made_case(&m, span(metrics[i]), json_get(one.value, "input"), json_get(one.value, "expected"));
            cases++;
        }
    check(cases == 8, "%zu cases of suites", cases);
    env_free(&e);
}

/* StereoSet as published: two domains' clusters, GPT-2's score of each sentence, and the figures made of them. */
static void test_stereoset(void) {
    static const char folder[] = "../shared/data/bias/stereoset_golden/";
    static const struct { const char *file; double lms, ss, icat; } domains[] = {
        { "race_intrasentence.json", 89.7567072075023, 60.35000089116578, 71.1770672157872 },
        { "religion_intrasentence.json", 88.45977011494251, 58.02298850574713, 74.26553573787817 } };
    Env e;
    Made m;
    Names id = { NULL, 0, 0 }, term = { NULL, 0, 0 };
    Span scores, set;
    Member one, part;
    double *score;
    size_t at = 0, i, to;
    memset(&e, 0, sizeof e); memset(&m, 0, sizeof m);
    m.e = &e;
    if (!shared_file(join(&e, folder, domains[0].file, ""))) return;
    scores = json_get(load_json(&e, join(&e, folder, "predictions_gpt2.json", "")), "intrasentence");
    score = get(&e, 10000, sizeof *score);
    while (json_next(scores, &at, &one)) {
        Span name = text_of(&e, one.value, "id");
        score[*number_for(&e, &id, hash(name.s, name.n)) = id.n] = number_of(one.value, "score");
    }
    for (i = 0; i < COUNT(domains); i++) {
        memset(&m.p, 0, sizeof m.p);
        for (at = 0, set = load_json(&e, join(&e, folder, domains[i].file, "")); json_next(set, &at, &one);) {
            Span name = text_of(&e, one.value, "target");
            size_t *number = number_for(&e, &term, hash(name.s, name.n));
            double x[3] = { 0, 0, 0 };
            Span all = json_get(one.value, "sentences");
            if (!*number) *number = term.n;
            for (to = 0; json_next(all, &to, &part);) {
                Span label = text_of(&e, part.value, "gold_label"), sentence = text_of(&e, part.value, "id");
                x[same(label, "stereotype") ? 0 : same(label, "anti-stereotype") ? 1 : 2] = score[find_number(&id, hash(sentence.s, sentence.n))];
            }
            made_item(&m, 3, x)->group = *number;
        }
        near(domains[i].file, made_figure(&m, "lms"), domains[i].lms, 1e-10);
        near(domains[i].file, made_figure(&m, "ss"), domains[i].ss, 1e-10);
        near(domains[i].file, made_figure(&m, "icat"), domains[i].icat, 1e-10);
    }
    env_free(&e);
}

/* Templates: {"key", template, expected texts} over one item. */
static void test_set_templates(void) {
    static const char json[] = "{\"q\":{\"stem\":\"Why?\",\"list\":[{\"t\":\"a b\",\"l\":\"A\"},{\"t\":\"c\",\"l\":\"B\"}]},\"n\":7,\"no\":null,"
        "\"set\":{\"x, y\":1,\"z\":0},\"s\":\" so _ it is. \",\"words\":[\"u\",\"v\"],\"accent\":\"\\u00e9\"}";
    static const struct { const char *form, *want[4]; } cases[] = {
        { "{q.stem}", { "Why?" } }, { "x{nothing|n}", { "x7" } }, { "{no}, {nothing}, yes", { "yes" } },
        { "{q.list.*.t}", { "a b", "c" } }, { "{q.list.*.l}: {q.list.*.t}!", { "A: a b!", "B: c!" } },
        { "{q.list.l=B.t}", { "c" } }, { "{set.#}", { "x, y", "z" } }, { "{set.*}", { "1", "0" } },
        { "{s/before _/trim}, {s/after _/trim/capitalize}", { "so", "It is." } }, { "{s/swap _>we/trim}", { "so we it is." } },
        { "{s/after #}, {n}", { "7" } }, { "{s/swap _*t>/swap i>}, {s/swap i*!>}", { " so  s. ", " so _ it is. " } }, { "{words}", { "u|v" } }, { "{accent}", { "\xc3\xa9" } }, { "{file} {beside}", { "set 1" } } };
    Setting s = { (char *)(uintptr_t)"a", (char *)(uintptr_t)"choices", NULL, 1 };
    Part p = { .file = "test", .name = "a", .s = &s, .settings = 1, .path = "test", .json = span(json) };
    size_t i, k;
    p.besides = span("{\"file\":\"set\",\"beside\":\"1\"}");
    for (i = 0; i < COUNT(cases); i++) {
        s.value = (char *)(uintptr_t)cases[i].form;
        Spans t = texts_of(&p, "choices", "");
        check(!p.own.error[0], "%s: %s", cases[i].form, p.own.error);
        for (k = 0; k < 4 && cases[i].want[k]; k++)
            check(k < t.n && same(t.v[k], cases[i].want[k]), "%s: text %zu: \"%.*s\", expected \"%s\"", cases[i].form, k,
                k < t.n ? (int)t.v[k].n : 0, k < t.n ? t.v[k].s : "", cases[i].want[k]);
        check(k == t.n, "%s: %zu texts, expected %zu", cases[i].form, t.n, k);
    }
    s.value = (char *)(uintptr_t)"{s/upside down}";
    texts_of(&p, "choices", "");
    check(strstr(p.own.error, "upside") != NULL, "an unknown filter");
    env_free(&p.own);
}

/* lm-evaluation-harness's cleaning of HellaSwag, as data/suites/hellaswag.suite writes it. */
static void test_hellaswag(void) {
    static const char path[] = "../shared/cases/metric_cases.json";
    Env e;
    Setting *s;
    Part p = { .file = "data/suites/hellaswag.suite", .name = "hellaswag", .path = "test" };
    Span list;
    Member one;
    size_t at = 0, cases = 0;
    memset(&e, 0, sizeof e);
    check(load_suite(&e, p.file, &s, &p.settings) == 0, "%s", e.error);
    p.s = s;
    if (!shared_file(path)) return;
    for (list = load_json(&e, path); json_next(list, &at, &one);) {
        Span want = text_of(&e, one.value, "expected");
        if (!same(text_of(&e, one.value, "metric"), "lm_eval.hellaswag_preprocess")) continue;
        Span found = filter_text(&p, span(key_of(&p, "clean")), text_of(&e, json_get(one.value, "input"), "text"));
        check(!p.own.error[0] && equal(found, want), "HellaSwag: \"%.*s\"", SHOWN(found));
        cases++;
    }
    check(cases == 1, "%zu cases of HellaSwag", cases);
    env_free(&p.own); env_free(&e);
}

/* Tables: quotes, commas and line ends in cells, names in the file or given. */
static void test_tables(void) {
    static const struct { const char *text, *names; char comma; const char *want[3]; } cases[] = {
        { "a,b\n1,\"x, \"\"y\"\"\nz\"\r\n\n,\"\"\n", NULL, ',', { "{\"a\":\"1\",\"b\":\"x, \\\"y\\\"\\nz\"}", "{\"a\":\"\",\"b\":\"\"}" } },
        { "1,2\n3,4", "a, b", ',', { "{\"a\":\"1\",\"b\":\"2\"}", "{\"a\":\"3\",\"b\":\"4\"}" } },
        { "a,x\n3,4", "a, b", ',', { "{\"a\":\"3\",\"b\":\"4\"}" } }, { "a\tb\n\"1\t,\n", NULL, '\t', { "{\"a\":\"\\\"1\",\"b\":\",\"}" } } };
    static const char *const wrong[] = { "a,b\n1\n", "a,b\n1,2,3\n", "a,b\n1,\"2\n" };
    Env e;
    size_t i, k;
    memset(&e, 0, sizeof e);
    for (i = 0; i < COUNT(cases); i++) {
        Records rows;
        Span list;
        check(open_table(&e, &rows, temporary(&e, "t.csv", span(cases[i].text)), cases[i].comma, cases[i].names) == 0, "%s", e.error);
        list.s = rows.in.s; list.n = rows.in.n;
        for (k = 0; k < 3 && cases[i].want[k]; k++) {
            Span row = upto(&list, '\n');
            check(same(row, cases[i].want[k]), "table %zu, row %zu: %.*s", i, k, SHOWN(row));
        }
        check(!list.n, "table %zu: more rows", i);
    }
    for (i = 0; i < COUNT(wrong); i++) {
        Records rows;
        e.error[0] = 0;
        check(open_table(&e, &rows, temporary(&e, "t.csv", span(wrong[i])), ',', NULL) < 0 && strstr(e.error, "row 2"), "%s: %s", wrong[i], e.error);
    }
    env_free(&e);
}

/* The share of sentences that hold a pair. */
static void test_stereotype(void) {
    static const struct { const char *text; double share; } cases[] = {
        { "", 0 }, { "The Velomi are lazy.", 1 }, { "Lazy are the VELOMI! No?", 0.5 }, { "The Velomi rest. They are lazy.", 0 },
        { "Velomis are lazy", 0 }, { "lazy Velomi... brave Ulvane. Nothing. (kind) Gremmo's", 0.75 }, { "?!", 0 } };
    Env e;
    Pairs x = { NULL, 0, 0 }, none = x;
    Text *t;
    size_t i;
    memset(&e, 0, sizeof e);
    t = get(&e, 1, sizeof *t);
    check(stereotyped(&none, t) == HUGE_VAL, "without a list there is no value");
    check(load_pairs(&e, "data/stereotypes.txt", &x) == 0 && x.n == 6, "%s", e.error);
    for (i = 0; i < COUNT(cases); i++) {
        double v = analyse(&e, span(cases[i].text), t) < 0 ? -1 : stereotyped(&x, t);
        check(v == cases[i].share, "stereotype of \"%s\": %g", cases[i].text, v);
    }
    check(load_pairs(&e, temporary(&e, "pairs.txt", span("# x\na\tb\nc d\te\n")), &x) < 0 && strstr(e.error, "line 3"), "%s", e.error);
    env_free(&e);
}

/* Of 95 % intervals for a known mean, about 95 % hold it (a little fewer: 30 items are few). */
static void test_bootstrap(void) {
    enum { N = 30, TRIALS = 300 };
    Env e;
    Figure f, other;
    Outcome a[N], b[N];
    double value, lo, hi, exact = 0;
    size_t i, trial, holds = 0, apart = 0;
    memset(&e, 0, sizeof e); memset(&f, 0, sizeof f); memset(&other, 0, sizeof other);
    memset(a, 0, sizeof a); memset(b, 0, sizeof b);
    f.n = other.n = N; f.item = a; other.item = b; f.name = other.name = "mean";
    f.kind = other.kind = MEAN;
    for (trial = 0; trial < TRIALS; trial++) {
        for (i = 0; i < N; i++) { a[i][0] = any_from(0, 1); b[i][0] = a[i][0] - 0.1 + any_from(-0.01, 0.01); }
        bootstrap(&e, &f, NULL, &value, &lo, &hi);
        for (exact = 0, i = 0; i < N; i++) exact += a[i][0] / N;
        if (!(fabs(value - exact) < 1e-12 && lo <= value && value <= hi && hi - lo > 0.1
            && hi - lo < 0.35)) check(0, "bootstrap: %g in [%g, %g]", value, lo, hi);
        holds += lo <= 0.5 && 0.5 <= hi;
        bootstrap(&e, &f, &other, &value, &lo, &hi);         /* the same items: what they share cancels */
        apart += lo > 0.09 && hi < 0.11;
    }
    if (show) printf("bootstrap: %zu of %d intervals hold the mean\n", holds, TRIALS);
    check(holds > TRIALS * 89 / 100 && holds < TRIALS * 99 / 100,
        "bootstrap: %zu of %d intervals hold the mean", holds, TRIALS);
    check(apart == TRIALS, "bootstrap: %zu of %d paired differences are narrow", apart, TRIALS);
    f.kind = RATIO;
    for (i = 0; i < N; i++) { a[i][0] = (double)i; a[i][1] = 2; }
    bootstrap(&e, &f, NULL, &value, &lo, &hi);
    check(value == (double)(N * (N - 1) / 2) / (2 * N) && lo < value && value < hi,
        "bootstrap of a ratio: %g", value);
    other.n = N - 1;
    check(bootstrap(&e, &f, &other, &value, &lo, &hi) < 0, "bootstrap: models compared on different items");
    env_free(&e);
}

/* The library of actinh.h, as a program that embeds it uses it; and what it refuses. */
static void test_library(void) {
    actinh *a = actinh_open("data/dense", NULL), *none = actinh_open("data/nothing", NULL);
    double x = 0, most = -1;
    size_t i, best = 0;
    check(a && !actinh_error(a)[0], "library: %s", a ? actinh_error(a) : "no memory");
    check(none && strstr(actinh_error(none), "data/nothing"), "library: a model that is not there");
    check(actinh_sample(none, "a", 1, 1.0, 5, 1) < 0 && actinh_answers(none) == 0 && actinh_answer(none, 0) == NULL
        && actinh_measure(none, 0, "words", &x) < 0 && actinh_choose(none, "first", 1) == SIZE_MAX, "library: a handle without a model refuses all");
    check(actinh_sample(NULL, "a", 1, 1.0, 5, 1) < 0 && actinh_answers(NULL) == 0 && actinh_choose(NULL, "first", 1) == SIZE_MAX, "library: no handle");
    actinh_close(none); actinh_close(NULL);
    check(actinh_measure(a, 0, "words", &x) < 0 && strstr(actinh_error(a), "there are 0"), "library: measured before sampled: %s", actinh_error(a));
    check(actinh_sample(a, "a", 0, 1.0, 5, 1) < 0 && actinh_sample(a, "a", 1, -1.0, 5, 1) < 0 && actinh_sample(a, "a", 1, 1.0, 0, 1) < 0
        && strstr(actinh_error(a), "at least"), "library: no answers, no tokens, a temperature below 0");
    check(actinh_sample(a, "What do you think of my sailor?", 5, 1.0, 20, 1) == 0 && actinh_answers(a) == 5, "library: five answers: %s", actinh_error(a));
    for (i = 0; i < 5; i++) {
        check(actinh_answer(a, i) != NULL && actinh_measure(a, i, "words", &x) == 0, "library: answer %zu: %s", i, actinh_error(a));
        if (x > most) { most = x; best = i; }
    }
    check(actinh_choose(a, "words:max", 1) == best && actinh_choose(a, "first", 1) == 0, "library: the longest answer is number %zu", best);
    check(actinh_choose(a, "random", 1) < 5 && actinh_choose(a, "toxicity:min,words:max", 1) < 5, "library: %s", actinh_error(a));
    check(actinh_choose(a, "tokens:max", 1) < 5, "library: chosen by what the sampler says: %s", actinh_error(a));
    check(actinh_choose(a, "smog:max", 1) < 5 || strstr(actinh_error(a), "smog"), "library: chosen by what not all have");
    check(actinh_choose(a, "nothing:max", 1) == SIZE_MAX && strstr(actinh_error(a), "nothing"), "library: chosen by no measure");
    check(actinh_choose(a, "words", 1) == SIZE_MAX && actinh_error(a)[0], "library: a rule without a direction");
    check(actinh_measure(a, 0, "nothing", &x) < 0 && strstr(actinh_error(a), "there is no such measure"), "library: no such measure");
    check(actinh_measure(a, 5, "words", &x) < 0 && actinh_answer(a, 5) == NULL, "library: answer 5 of 5");
    check(actinh_version()[0] && actinh_spec() > 0 && actinh_fault()[0] == 0, "library: version, spec, fault");
    actinh_close(a);
}

int main(void) {
    static const char golden[] = "../shared/data/models/fms_golden/";
    static const struct { const char *name, *weights; } models[] = {
        { "dense", "23a5b374646209efde9a8ac1ac5c3c3fcd0aa9a99808c2b6b467c67520da893b" },
        { "mixtral", "1053c72de7df5bd8e1f49e54231300a7d4ef9900bf7f7705dc77ea030de7d548" } };
    size_t i;
    set_threads(1);                          /* models this small wait for threads longer than they compute */
    show = getenv("ACTINH_TEST_SHOW") != NULL;
    if (getenv("ACTINH_TEST_LONG")) times = (size_t)atoi(getenv("ACTINH_TEST_LONG"));
    test_exp_log(); test_exp_lanes(); test_sincos(); test_random_numbers(); test_sha();
    test_parse_number(); test_print_number();
    test_json_syntax(); test_json_values(); test_json_round_trip();
    test_records(); test_groups(); test_lines(); test_settings();
    test_tokenizer("data/dense/tokenizer.bin"); test_tokenizer("tokenizer.bin");
    test_tokenizer("../shared/data/tokenizer/tok512/tok512.bin");
        test_tokenizer("../shared/data/tokenizer/llama2/tokenizer.bin");
        test_tokenizer("../shared/data/tokenizer/mistral/tokenizer.model.v1");
    test_tokenizer_vectors("llama2/tokenizer.bin"); test_tokenizer_vectors("llama2/tokenizer.model");
        test_tokenizer_vectors("llamacpp/ggml-vocab-llama-spm.gguf");
        test_same_tokenizer("llama2/tokenizer"); test_same_tokenizer("tok512/tok512");
    test_tokenizer_json("tokenizer.bin"); test_tokenizer_json("../shared/data/tokenizer/tok512/tok512.bin");
        test_tokenizer_json("../shared/data/tokenizer/llama2/tokenizer.model");
        test_tokenizer_json("../shared/data/tokenizer/mistral/tokenizer.model.v1");
    test_tokenizer_training(); test_merges();
    set_threads(3); test_product(); test_tiles(); set_threads(1); test_vector_loops(); test_attention();
    for (i = 0; i < COUNT(models); i++) {
        test_vectors(models[i].name);
        test_row_independence(models[i].name);
        test_sampling_independence(models[i].name);
        test_training_independence(models[i].name, models[i].weights);
        test_save_model(models[i].name);
    }
    test_transformers(); test_half(); test_blocks(); test_narrow();
    test_golden_models(golden, "llama2", "llama2/expected.json");
    test_golden_models(golden, "llama2/model_v0.bin", "llama2/expected.json");
    test_golden_models(golden, "mixtral", "mixtral/expected.json");
    test_stories("stories260K_v1.bin", 0); test_stories("stories260K.gguf", 0);
    test_stories("stories260K_q80_v2.bin", 0.0071);
    test_adamw(); test_adamw_formula(); test_learning_rate(); test_make_example(); test_conversation(); test_templates();
    test_text_cases(); test_alpaca(); test_word_list(); test_word_filter();
    test_choose(); test_draw_token(); test_draw_borders(); test_route_ties();
    test_library();
    test_calibration(); test_items(); test_stereoset(); test_set_templates(); test_hellaswag(); test_tables(); test_stereotype(); test_bootstrap();
    printf("%zu passed, %zu failed", passed, failed);
    if (skipped) printf(", %zu skipped", skipped);
    printf("\n");
    return failed != 0;
}
