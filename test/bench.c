/* bench.c: how fast, beside what this machine can do. `make bench` builds and runs it; `test/build/bench WORD...` runs
 * the lines that all words fit: the name's beginning, a shape, a type ("train 110M"). Nothing is read or written: models
 * are random numbers in well-known shapes (15M, 110M: karpathy's stories; 1.1B: TinyLlama; moe: 8 experts, 2 a token), tokens are ids.
 *
 * The limits come first, on as many threads: GB/s that can be read from memory (each thread one long stream), and
 * GFLOP/s of multiply-then-add in registers, which is what the contract at the top of actinh.c leaves (no fusing).
 * A line's GB/s counts each weight and each key and value once a step; "of limit" is the better-used of the two.
 */
#define ACTINH_NO_MAIN
#include "../actinh.c"

#ifndef REPEATS
#define REPEATS 3
#endif
typedef struct { double read, flops; } Limits;
typedef struct { double seconds, tokens, flops, bytes; } Run;       /* of one measured part */

/* Seconds; with ACTINH_BENCH_CPU=1 the process's own processor time over its threads, for a busy machine. */
static double seconds(void) {
    return getenv("ACTINH_BENCH_CPU") ? (double)clock() / CLOCKS_PER_SEC / (double)THREADS : now();
}

#if defined(__AVX512F__)
typedef Vec64 Vec;
#elif defined(__AVX2__)
typedef Vec32 Vec;
#else
typedef Vec16 Vec;
#endif
#if defined(__AVX512F__) || defined(__aarch64__)
enum { SUMS = 16 };                   /* with what they are multiplied by they find room in 32 registers, */
#else
enum { SUMS = 12 };                   /* or in 16 */
#endif
enum { LANES = sizeof(Vec) / sizeof(float) };
static float sink[1024 * LANES];      /* [threads][LANES] results nobody needs, so that they are computed */

/* ------------------------------------------------------------ limits ------------------------------------------------ */
static double read_speed(const float *x, size_t n) {
    double t = seconds();
    long part, parts = (long)THREADS;
    PARALLEL(1000000) for (part = 0; part < parts; part++) {
        const float *from = x + n / (size_t)parts * (size_t)part;
        Vec acc[8], zero = { 0 };
        size_t i, j, each = n / (size_t)parts / (8 * LANES) * (8 * LANES);
        UNROLL for (j = 0; j < 8; j++) acc[j] = zero;
        for (i = 0; i < each; i += 8 * LANES) UNROLL for (j = 0; j < 8; j++) acc[j] += LOAD(Vec, from + i + j * LANES);
        UNROLL for (j = 1; j < 8; j++) acc[0] += acc[j];
        STORE(Vec, sink + (size_t)part * LANES, acc[0]);
    }
    return (double)n * sizeof(float) / (seconds() - t);
}

static double add_speed(void) {
    long part, parts = (long)THREADS;
    size_t rounds = 4000000;
    double t = seconds();
    PARALLEL(1000000) for (part = 0; part < parts; part++) {
        Vec acc[SUMS], x, zero = { 0 };
        size_t i, j;
        volatile float start = 0.999f;
        x = zero + start;
        UNROLL for (j = 0; j < SUMS; j++) acc[j] = zero + (float)j;
        for (i = 0; i < rounds; i++) UNROLL for (j = 0; j < SUMS; j++) acc[j] = acc[j] * x + x;
        for (j = 1; j < SUMS; j++) acc[0] += acc[j];
        STORE(Vec, sink + (size_t)part * LANES, acc[0]);
    }
    return 2.0 * SUMS * LANES * (double)rounds * (double)parts / (seconds() - t);
}

/* ------------------------------------------------------------ models ------------------------------------------------ */
typedef struct { const char *name; Config c; } Shape;
static const Shape shapes[] = {       /*        V     H     F   L   Q  K   D  E  top ctx tied */
    { "15M",  { 32000,  288,  768,  6,  6,  6, 48, 1, 1,  256, 1, { 2 }, 1, 0, 1e-5f, 1e4f, 0 } },
    { "110M", { 32000,  768, 2048, 12, 12, 12, 64, 1, 1, 1024, 1, { 2 }, 1, 0, 1e-5f, 1e4f, 0 } },
    { "1.1B", { 32000, 2048, 5632, 22, 32,  4, 64, 1, 1, 2048, 1, { 2 }, 1, 0, 1e-5f, 1e4f, 0 } },
    { "moe",  { 32000, 1024, 2816,  8, 16,  8, 64, 8, 2, 2048, 1, { 2 }, 1, 0, 1e-5f, 1e4f, 0.01f } },
    { "tiny", {  1024,   96,  256,  4,  6,  3, 16, 1, 1,  256, 1, { 2 }, 1, 0, 1e-5f, 1e4f, 0 } },
};

/* Numbers up to about 0.03, from a table that is walked with another stride for each matrix; other types than F32 as they
 * would stand in a file: bytes of the table, made small numbers. */
static int random_model(Env *e, const char *name, int type, Model *m) {
    static float table[1 << 16];
    size_t i, k, n, of = storage[type].of, bytes = storage[type].bytes;
    memset(m, 0, sizeof *m);
    for (i = 0; i < COUNT(shapes); i++) if (strcmp(shapes[i].name, name) == 0) m->c = shapes[i].c;
    for (i = 0; i < COUNT(table); i++) table[i] = 0.06f * uniform(draw(1, DRAW_INIT, i, 0, 0)) - 0.03f;
    TRY(shape_model(e, m));
    for (i = 0; i < m->n_all; i++) {
        Param *p = m->all[i];
        n = p->rows * p->cols;
        if (p->norm || type == F32) {
            if (!(p->w = get_large(e, n, sizeof(float)))) return -1;
            for (k = 0; k < n; k++) p->w[k] = p->norm ? 1.0f : table[(k * (2 * i + 1) + k / COUNT(table)) % COUNT(table)];
        } else {
            unsigned char *data = get(e, n / of, bytes);
            if (!data) return -1;
            for (k = 0; k < n / of * bytes; k++) data[k] = (unsigned char)(bits32(table[(k * (2 * i + 1) + k / COUNT(table)) % COUNT(table)]) >> 11);
            for (k = 0; k < n / of; k++) data[k * bytes + 1] = type == BF16 ? 0x3c | (data[k * bytes + 1] & 0x80) : 0x0a;
            p->t.type = type; p->t.rows = p->rows; p->t.cols = p->cols; p->t.data = data;
        }
    }
    if (m->c.tied) { m->head.w = m->embed.w; m->head.t = m->embed.t; }
    return fill_rope(e, m);
}

/* Weights that a token takes part in with a product: all but the embedding, the head once. */
static double used_weights(const Model *m) {
    size_t active;
    count_parameters(m, &active);
    return (double)active - (m->c.tied ? 0 : (double)(m->c.V * m->c.H));
}

/* ------------------------------------------------------------- lines ------------------------------------------------ */
/* `prompts` prompts of `length` tokens, k answers each, `new` tokens an answer: the first part is the steps that read
 * prompts, the second those that only answer. All steps where prompts > 1. */
typedef struct { const char *name, *shape; int type; size_t prompts, length, k, new; int part; } Line;
enum { DECODE, PREFILL, TRAIN };
static const Line lines[] = {
    { "decode, 1 answer", "15M", F32, 1, 8, 1, 200, DECODE },
    { "decode, 1 answer", "110M", F32, 1, 8, 1, 64, DECODE },
    { "decode, 1 answer", "1.1B", F32, 1, 8, 1, 16, DECODE },
    { "decode, 1 answer", "1.1B", Q8_0, 1, 8, 1, 16, DECODE },
    { "10 answers", "110M", F32, 1, 256, 10, 24, DECODE },
    { "10 answers", "110M", BF16, 1, 256, 10, 24, DECODE },
    { "10 answers", "110M", Q8_0, 1, 256, 10, 24, DECODE },
    { "10 answers", "1.1B", F32, 1, 256, 10, 24, DECODE },
    { "10 answers", "1.1B", BF16, 1, 256, 10, 24, DECODE },
    { "10 answers", "1.1B", Q8_0, 1, 256, 10, 24, DECODE },
    { "10 answers", "moe", F32, 1, 256, 10, 24, DECODE },
    { "64 x 10 answers", "110M", F32, 64, 64, 10, 64, DECODE },
    { "prefill 512", "1.1B", F32, 1, 512, 1, 1, PREFILL },
    { "training step 4 x 256", "15M", F32, 4, 256, 0, 0, TRAIN },
    { "training step 4 x 256", "110M", F32, 4, 256, 0, 0, TRAIN },
    { "training step 4 x 256", "moe", F32, 4, 256, 0, 0, TRAIN },
    { "8 answers", "tiny", F32, 1, 8, 8, 200, DECODE },
    { "training step 32 x 32", "tiny", F32, 32, 32, 0, 0, TRAIN },
};

static int run_sampling(Env *e, const Model *m, const Line *line, Run *run) {
    Sampling s = { 0, 0, 0, 1, 1.0f, 1.0f, 1 };
    Sampler x;
    Block *mark = e->blocks;
    Question *q = get(e, line->prompts, sizeof *q), **list = get(e, line->prompts, sizeof *list);
    size_t i, t, next = 0, free_places, open = line->prompts, step = 0;
    double used = used_weights(m), kv = (double)(2 * m->c.K * m->c.D * m->c.L * sizeof(float)),
        weight = (double)storage[line->type].bytes / (double)storage[line->type].of;
    s.k = line->k; s.max_tokens = line->new;
    if (!q || !list) return -1;
    for (i = 0; i < line->prompts; i++) {
        list[i] = &q[i];
        q[i].n = line->length; q[i].key = i; q[i].left = s.k;
        q[i].id = get(e, line->length, sizeof(int)); q[i].answer = get(e, s.k, sizeof(Answer));
        if (!q[i].id || !q[i].answer) return -1;
        for (t = 0; t < line->length; t++) q[i].id[t] = 3 + (int)below(draw(1, DRAW_SAMPLE, i, t, 0), m->c.V - 3);
    }
    x = (Sampler){ .m = m, .s = s, .places = line->prompts > 1 ? 160 : s.k };
    TRY(size_sampler(e, &x, line->length));
    free_places = x.places;
    for (; open; step++) {
        double t0 = seconds(), wanted;
        TRY(step_all(e, &x, list, line->prompts, &next, &free_places));
        t0 = seconds() - t0;
        for (wanted = 0, i = 0; i < x.places; i++) {
            Question *at = x.place[i].q;
            if (!at) continue;
            wanted++;
            if (line->part == DECODE && (step || line->prompts > 1)) {
                run->bytes += (double)at->answer[x.place[i].answer].n * kv;      /* its own; the prompt's are read once */
                run->flops += (double)(4 * m->c.Q * m->c.D * m->c.L) * (double)x.place[i].pos;
            }
            if (!at->answer[x.place[i].answer].stop) continue;
            x.place[i].q = NULL;
            free_places++;
            if (--at->left == 0) { x.room[x.place[i].room] = NULL; open--; }
        }
        if (line->part == PREFILL ? step > 0 : step == 0 && line->prompts == 1) continue;
        run->seconds += t0;
        run->tokens += line->part == PREFILL ? (double)line->length : wanted;
        run->bytes += used * weight;
        run->flops += 2 * used * (double)x.b.rows.n;
        if (line->part == PREFILL) run->flops -= 2.0 * (double)(m->c.V * m->c.H * (x.b.rows.n - 1));
        if (m->c.E > 1 && x.b.rows.n * m->c.top >= m->c.E)     /* nearly every expert is read */
            run->bytes += (double)((m->c.E - m->c.top) * 3 * m->c.F * m->c.H * m->c.L) * weight;
    }
    release(e, mark);
    return 0;
}

static int run_training(Env *e, Model *m, const Line *line, Batch *b, Run *run) {
    Tuning t;
    Example *x = get(e, line->prompts, sizeof *x);
    const Example **list = get(e, line->prompts, sizeof *list);
    Step s;
    size_t i, k, rows = line->prompts * line->length, active;
    double t0;
    if (!x || !list) return -1;
    for (i = 0; i < line->prompts; i++) {
        list[i] = &x[i];
        x[i].n = line->length + 1; x[i].from = 1; x[i].id = get(e, x[i].n, sizeof(int));
        if (!x[i].id) return -1;
        for (k = 0; k < x[i].n; k++) x[i].id[k] = 3 + (int)below(draw(1, DRAW_SAMPLE, i, k, 0), m->c.V - 3);
    }
    if (!b->m) {
        TRY(make_trainable(e, m));
        TRY(new_batch(e, m, rows, 1, b));
    }
    memset(&t, 0, sizeof t); memset(&s, 0, sizeof s);
    t.beta1 = 0.9f; t.beta2 = 0.999f; t.eps = 1e-8f; t.clip = 1.0f;
    s.step = 1; s.lr = 1e-6; s.power1 = s.power2 = 1;
    t0 = seconds();
    TRY(train_step(e, m, b, &t, list, line->prompts, &s));
    run->seconds += seconds() - t0;
    run->tokens += (double)rows;
    run->flops += 6 * used_weights(m) * (double)rows
        + 12.0 * (double)(m->c.L * m->c.Q * m->c.D) * (double)rows * (double)(line->length + 1) / 2;
    run->bytes += 4.0 * sizeof(float) * 2 * (double)count_parameters(m, &active);       /* AdamW alone: w, g, m, v, in and out */
    return 0;
}

static int by_seconds(const void *a, const void *b) {
    double x = ((const Run *)a)->seconds, y = ((const Run *)b)->seconds;
    return x < y ? -1 : x > y;
}

/* All words must fit: "train 15M". */
static int chosen(const Line *line, int n, char **word) {
    int i;
    for (i = 0; i < n; i++) if (strncmp(line->name, word[i], strlen(word[i])) != 0 && strcmp(line->shape, word[i]) != 0
        && strcmp(storage[line->type].name, word[i]) != 0) return 0;
    return 1;
}

static int bench_line(Env *e, const Limits *limit, const Line *line, Model *m) {
    Run run[REPEATS];
    Batch b;
    size_t i;
    double flops, bytes;
    memset(&b, 0, sizeof b);
    memset(run, 0, sizeof run);
    for (i = 0; i < REPEATS; i++) TRY(line->part == TRAIN ? run_training(e, m, line, &b, &run[i]) : run_sampling(e, m, line, &run[i]));
    qsort(run, REPEATS, sizeof *run, by_seconds);
    flops = run[REPEATS / 2].flops / run[REPEATS / 2].seconds; bytes = run[REPEATS / 2].bytes / run[REPEATS / 2].seconds;
    printf("%-24s %-5s %-5s %10.1f (%.1f-%.1f) %8.1f %8.1f %7.0f %%\n", line->name, line->shape, storage[line->type].name,
        run[REPEATS / 2].tokens / run[REPEATS / 2].seconds,
        run[REPEATS - 1].tokens / run[REPEATS - 1].seconds, run[0].tokens / run[0].seconds, flops * 1e-9, bytes * 1e-9,
        100 * (flops / limit->flops > bytes / limit->read ? flops / limit->flops : bytes / limit->read));
    fflush(stdout);
    return 0;
}

int main(int argc, char **argv) {
    Env e;
    Limits limit;
    size_t i, n = (size_t)1 << 28;
    float *x;
    memset(&e, 0, sizeof e);
    e.quiet = 1;
    x = get(&e, n, sizeof(float));
    if (!x) return 2;
    for (i = 0; i < n; i += 1024) x[i] = 1.0f;
    limit.read = limit.flops = 0;
    for (i = 0; i < REPEATS; i++) {
        double r = read_speed(x, n), f = add_speed();
        if (r > limit.read) limit.read = r;
        if (f > limit.flops) limit.flops = f;
    }
    drop(&e, x);
    printf("%zu threads: memory is read at %.1f GB/s, multiply-then-add runs at %.0f GFLOP/s\n\n", THREADS,
        limit.read * 1e-9, limit.flops * 1e-9);
    printf("%-36s %10s (slowest-fastest) %s\n", "", "tokens/s", "GFLOP/s     GB/s  of limit");
    for (i = 0; i < COUNT(lines); i++) {
        Model m;
        if (!chosen(&lines[i], argc - 1, argv + 1)) continue;
        if (random_model(&e, lines[i].shape, lines[i].type, &m) < 0 || (lines[i].part != TRAIN && pack_model(&e, &m) < 0)
            || bench_line(&e, &limit, &lines[i], &m) < 0) {
            printf("%-24s %-5s %-5s %s\n", lines[i].name, lines[i].shape, storage[lines[i].type].name, e.error);
            e.error[0] = 0;
        }
        release(&e, NULL);
    }
    return 0;
}
