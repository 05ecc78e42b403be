/* pairs.c: every layer's backward against finite differences of its forward; `make test` runs it.
 *
 * actinh.c is included with `float` meaning double, for binary32 is too coarse to divide differences by 1e-5.
 * So what is checked here are the very functions that train, only in more bits. System headers come first, as
 * they must not see the change; sqrtf is the one function on floats that actinh.c takes from the C library.
 *
 * A pair is a line of the table at the end: its inputs (blocks of numbers), its forward, which returns a
 * loss, and its backward, which leaves the loss's gradient for every input. The loss is sum_i seed[i] y[i]
 * with random seed, so that dy = seed. Central differences, (f(x + h) - f(x - h)) / 2h, are off by about
 * h^2 and 1e-16 / h. ACTINH_TEST_SHOW=1 prints every difference.
 */
#if !defined(_POSIX_C_SOURCE) && !defined(_WIN32)
#define _POSIX_C_SOURCE 200809L
#endif
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#ifdef _OPENMP
#include <omp.h>
#endif
#ifdef _WIN32
#include <direct.h>
#include <fcntl.h>
#include <io.h>
#else
#include <unistd.h>
#endif
#define ACTINH_NO_MAIN
#define ACTINH_PLAIN                     /* no vectors: their tricks with bits are for binary32 */
#define float double
#define sqrtf sqrt
#include "../actinh.c"

typedef double Number;                   /* what actinh.c here calls float */

static size_t passed, failed;
static uint64_t dice = 11;

static size_t any_of(size_t n) { return below(dice = stir(dice, 1), n); }
static Number any_number(void) { return (Number)((dice = stir(dice, 1)) >> 11) / 9007199254740992.0 * 2 - 1; }
static Number *numbers(Env *e, size_t n, Number width) {
    Number *x = get(e, n + 64, sizeof *x);
    size_t i;
    for (i = 0; i < n; i++) x[i] = width * any_number();
    return x;
}

/* One pair under test: up to five inputs that are changed, and their gradients as the backward finds them. */
enum { INPUTS = 5, R = 7, H = 10, N = 13 };
typedef struct Pair {
    Env e;
    const char *name;
    struct { const char *name; Number *x, *g; size_t n; } in[INPUTS + 200];
    size_t n_in;
    Number *seed;                        /* dy */
    size_t n_seed;
    Param p;                             /* where the layer has a weight: x[1] */
    Model m;
    Config *c;
    Batch b;
    Example x[8];
    const Example *px[8];
    size_t n_x;
    Rows rows;
    Cache kv;
    Number *scratch, *y, *low, balance;
    int lora, keep;
    int *pick;
} Pair;

static void input(Pair *t, const char *name, Number *x, Number *g, size_t n) {
    t->in[t->n_in].name = name; t->in[t->n_in].x = x; t->in[t->n_in].n = n;
    t->in[t->n_in++].g = g ? g : get(&t->e, n + 64, sizeof *g);
}

static Number seeded(const Pair *t) {
    Number sum = 0;
    size_t i;
    for (i = 0; i < t->n_seed; i++) sum += t->seed[i] * t->y[i];
    return sum;
}

/* The loss and all gradients are functions of the pair alone. */
typedef struct { const char *name; void (*set_up)(Pair *); Number (*forward)(Pair *);
    void (*backward)(Pair *); Number most; } Line;

static void check_pair(const Line *line) {
    static Pair t;
    size_t i, k;
    memset(&t, 0, sizeof t);
    t.name = line->name; t.c = &t.m.c; t.e.quiet = 1;
    line->set_up(&t);
    line->forward(&t);
    line->backward(&t);
    if (t.e.error[0]) { failed++; printf("FAILED  pair %s: %s\n", line->name, t.e.error); return; }
    for (i = 0; i < t.n_in; i++) {
        Number *g = get(&t.e, t.in[i].n, sizeof *g), off = 0, top = 0;
        size_t worst = 0;
        memcpy(g, t.in[i].g, t.in[i].n * sizeof *g);
        for (k = 0; k < t.in[i].n; k++) {
            Number *x = &t.in[i].x[k], was = *x, step = 1e-5, up, down, d;
            *x = was + step; up = line->forward(&t);
            *x = was - step; down = line->forward(&t);
            *x = was;
            d = fabs((up - down) / (2 * step) - g[k]);
            if (!(d <= off)) { off = d; worst = k; }
            if (fabs(g[k]) > top) top = fabs(g[k]);
        }
        if (off <= line->most * (top > 1e-3 ? top : 1e-3) && top > 0) passed++;
        else { failed++; printf("FAILED  pair %s: gradient of %s[%zu] is off by %g, the greatest is %g\n",
            line->name, t.in[i].name, worst, off, top); }
        if (getenv("ACTINH_TEST_SHOW")) printf("%-34s %-50s %4zu numbers, off by %.2g of %.2g\n", line->name,
            t.in[i].name, t.in[i].n, off, top);
    }
    env_free(&t.e);
}

/* -------------------------------------------- single layers --------------------------------------------- */

static void weight(Pair *t, size_t rows, size_t cols) {
    t->p.rows = rows; t->p.cols = cols;
    t->p.w = numbers(&t->e, rows * cols, 1);
    t->p.g = get(&t->e, rows * cols, sizeof(Number));
}

static void output(Pair *t, size_t n) {
    t->n_seed = n;
    t->seed = numbers(&t->e, n, 1);
    t->y = get(&t->e, n + 64, sizeof(Number));
}

static void rmsnorm_set_up(Pair *t) {
    weight(t, H, 1);
    input(t, "x", numbers(&t->e, R * H, 2), NULL, R * H);
    input(t, "w", t->p.w, t->p.g, H);
    output(t, R * H);
}
static Number rmsnorm_loss(Pair *t) { rmsnorm(t->in[0].x, t->p.w, R, H, 0.1, t->y); return seeded(t); }
static void rmsnorm_gradient(Pair *t) { rmsnorm_back(t->in[0].x, &t->p, R, H, 0.1, t->seed, t->in[0].g); }

static void linear_set_up(Pair *t) {
    weight(t, N, H);
    input(t, "x", numbers(&t->e, R * H, 1), NULL, R * H);
    input(t, "W", t->p.w, t->p.g, N * H);
    output(t, R * N);
}
static void lora_set_up(Pair *t) {               /* a frozen W, in place, and a pair beside it */
    static const size_t rank = 3;
    weight(t, N, H);
    t->p.g = NULL;
    t->p.scale = 0.7;
    t->p.a = get(&t->e, 1, sizeof(Param)); t->p.b = get(&t->e, 1, sizeof(Param));
    t->p.a->rows = t->p.b->cols = rank; t->p.a->cols = H; t->p.b->rows = N;
    t->p.a->w = numbers(&t->e, rank * H, 1); t->p.a->g = get(&t->e, rank * H, sizeof(Number));
    t->p.b->w = numbers(&t->e, rank * N, 1); t->p.b->g = get(&t->e, rank * N, sizeof(Number));
    t->low = get(&t->e, R * 2 * rank, sizeof(Number));
    input(t, "x", numbers(&t->e, R * H, 1), NULL, R * H);
    input(t, "A", t->p.a->w, t->p.a->g, rank * H);
    input(t, "B", t->p.b->w, t->p.b->g, rank * N);
    output(t, R * N);
}
static Number linear_loss(Pair *t) {
    linear(&t->p, t->in[0].x, R, t->y, t->low);
    return seeded(t);
}
static void linear_gradient(Pair *t) {
    linear_back(&t->p, t->in[0].x, R, t->seed, t->in[0].g, 1, t->low);               /* added to the zeros there */
}

static void rope_set_up(Pair *t) {
    size_t i;
    t->c->D = 6; t->c->ctx = 40; t->c->theta = 100; t->c->Q = 3;
    fill_rope(&t->e, &t->m);
    t->rows.pos = get(&t->e, R, sizeof(int));
    for (i = 0; i < R; i++) t->rows.pos[i] = (int)any_of(40);
    input(t, "x", numbers(&t->e, R * 18, 1), NULL, R * 18);
    output(t, R * 18);
}
static Number rope_loss(Pair *t) {
    memcpy(t->y, t->in[0].x, R * 18 * sizeof(Number));
    rope(&t->m, t->rows.pos, R, 3, t->y, 1);
    return seeded(t);
}
static void rope_gradient(Pair *t) {
    memcpy(t->in[0].g, t->seed, R * 18 * sizeof(Number));
    rope(&t->m, t->rows.pos, R, 3, t->in[0].g, -1);
}

static void softmax_set_up(Pair *t) { input(t, "s", numbers(&t->e, 37, 3), NULL, 37); output(t, 37); }
static Number softmax_loss(Pair *t) { memcpy(t->y, t->in[0].x, 37 * sizeof(Number)); softmax(t->y, 0, 1, &(size_t){ 37 });
    return seeded(t); }
static void softmax_gradient(Pair *t) { memcpy(t->in[0].g, t->seed, 37 * sizeof(Number));
    softmax_back(t->y, t->in[0].g, 0, 1, &(size_t){ 37 }); }

static void swiglu_set_up(Pair *t) {
    input(t, "gate", numbers(&t->e, 50, 5), NULL, 50);
    input(t, "up", numbers(&t->e, 50, 2), NULL, 50);
    output(t, 50);
}
static Number swiglu_loss(Pair *t) { swiglu(t->in[0].x, t->in[1].x, 50, t->y); return seeded(t); }
static void swiglu_gradient(Pair *t) { swiglu_back(t->in[0].x, t->in[1].x, 50, t->seed, t->in[0].g,
    t->in[1].g); }

static void cross_entropy_set_up(Pair *t) { input(t, "logits", numbers(&t->e, 45, 4), NULL, 45); }
static Number cross_entropy_at(Pair *t, int back) {
    static const int target[1] = { 17 };
    double loss;
    memcpy(t->in[0].g, t->in[0].x, 45 * sizeof(Number));
    cross_entropy(t->in[0].g, 45, 1, target, back, &loss);
    return (Number)loss;
}
static Number cross_entropy_loss(Pair *t) { return cross_entropy_at(t, 0); }
static void cross_entropy_gradient(Pair *t) { cross_entropy_at(t, 1); }

/* ---------------------------------------------- attention ----------------------------------------------- */

/* Three sequences of 20, 1 and 7 rows, Q heads on K: rows of the first cross a block of 16. */
static void attention_shape(Pair *t, size_t Q, size_t K) {
    static const size_t length[3] = { 20, 1, 7 };
    size_t i, k, slot = 0, n = 28;
    t->c->Q = Q; t->c->K = K; t->c->D = 6; t->c->L = 2; t->c->ctx = 20;
    new_rows(&t->e, n, 3, &t->rows);
    t->rows.n_seq = 3;
    for (i = 0; i < 3; i++) {
        t->rows.first[i] = t->rows.n;
        t->rows.sequence[i].slot = slot;
        slot += 32;
        for (k = 0; k < length[i]; k++) add_row(&t->rows, 0, k, i, 1);
    }
    t->rows.first[3] = t->rows.n;
    new_cache(&t->e, t->c, slot, t->c->L, &t->kv);
    t->scratch = get(&t->e, THREADS * attention_room(t->c, 1), sizeof(Number));
    find_runs(t->c, &t->rows);
    input(t, "q", numbers(&t->e, n * Q * 6, 2), NULL, n * Q * 6);
    input(t, "k", numbers(&t->e, n * K * 6, 2), NULL, n * K * 6);
    input(t, "v", numbers(&t->e, n * K * 6, 1), NULL, n * K * 6);
    output(t, n * Q * 6);
}
static void attention_set_up(Pair *t) { attention_shape(t, 4, 2); }
static void attention_one_set_up(Pair *t) { attention_shape(t, 3, 1); }
static void attention_all_set_up(Pair *t) { attention_shape(t, 2, 2); }
static Number attention_loss(Pair *t) {
    store_keys(t->c, &t->rows, &t->kv, 1, t->in[1].x, t->in[2].x);
    attention(t->c, &t->rows, &t->kv, 1, t->in[0].x, t->y, t->scratch);
    return seeded(t);
}
static void attention_gradient(Pair *t) {        /* dq in the place of dy, as the model's backward has it */
    memcpy(t->in[0].g, t->seed, t->n_seed * sizeof(Number));
    attention_back(t->c, &t->rows, &t->kv, 1, t->in[0].x, t->in[0].g, t->in[0].g, t->in[1].g, t->in[2].g, t->scratch);
}

/* ----------------------------------------------- mixture ------------------------------------------------ */

static void model_shape(Pair *t, size_t E, size_t top, int tied, size_t Q, size_t K) {
    Config *c = t->c;
    size_t i, k;
    c->V = 19; c->H = 12; c->F = 9; c->L = 2; c->Q = Q; c->K = K; c->D = 4; c->E = E; c->top = top;
        c->ctx = 24; c->tied = tied;
    c->eps = 1e-2; c->theta = 50; c->aux = 0.3;
    shape_model(&t->e, &t->m);
    for (i = 0; i < t->m.n_all; i++) {
        Param *p = t->m.all[i];
        p->w = numbers(&t->e, p->rows * p->cols, p->cols == 1 ? 0.3 : 0.7);
        for (k = 0; k < p->rows && p->cols == 1; k++) p->w[k] += 1;
    }
    if (tied) t->m.head.w = t->m.embed.w;
    fill_rope(&t->e, &t->m);
    if (t->lora) {                               /* beside every matrix, router and head too */
        add_lora(&t->e, &t->m, "q_proj,k_proj,v_proj,o_proj,gate,gate_proj,up_proj,down_proj,w1,w2,w3,lm_head", 2, 3, 1, 5);
        for (i = 0; i < t->m.n_train; i++) {
            Param *p = t->m.train[i];
            p->w = numbers(&t->e, p->rows * p->cols, 0.5);
        }
    }
    make_trainable(&t->e, &t->m);
    new_batch(&t->e, &t->m, 60, t->keep ? t->keep : KEEP_ALL, &t->b);
}

static void two_sequences(Pair *t, size_t first) {       /* of `first` rows and the rest */
    new_rows(&t->e, R, 2, &t->rows);
    t->rows.n = R; t->rows.n_seq = 2;
    t->rows.first[1] = first; t->rows.first[2] = R;
}

/* The load-balancing loss once more, from the router's probabilities and picks of one layer. */
static Number balance_loss(const Config *c, const Number *prob, const int *pick, const size_t *first,
    size_t n_seq) {
    Number sum = 0;
    size_t s, k, r, j;
    for (s = 0; s < n_seq; s++) for (k = 0; k < c->E; k++) {
        Number times = 0, mean = 0, T = (Number)(first[s + 1] - first[s]);
        for (r = first[s]; r < first[s + 1]; r++) {
            mean += prob[r * c->E + k] / T;
            for (j = 0; j < c->top; j++) times += pick[r * c->top + j] == (int)k;
        }
        sum += (Number)c->E * times / T * mean;
    }
    return sum;
}

/* One layer's mixture: its input n is block 0, all its weights follow. */
static void mixture_shape(Pair *t, size_t E, size_t top, Number balance) {
    Layer *w;
    size_t x;
    model_shape(t, E, top, 1, 2, 1);
    w = &t->m.layer[0];
    t->balance = balance;
    two_sequences(t, 5);
    input(t, "n", numbers(&t->e, R * 12, 1.5), NULL, R * 12);
    if (E > 1) input(t, "router", w->router.w, w->router.g, E * 12);
    for (x = 0; x < E; x++) {
        input(t, "gate", w->expert[x].gate.w, w->expert[x].gate.g, 9 * 12);
        input(t, "up", w->expert[x].up.w, w->expert[x].up.g, 9 * 12);
        input(t, "down", w->expert[x].down.w, w->expert[x].down.g, 9 * 12);
    }
    output(t, R * 12);
}
static void mixture_set_up(Pair *t) { mixture_shape(t, 3, 2, 0.5); }
static void mixture_one_set_up(Pair *t) { mixture_shape(t, 4, 1, 0.7); }
static void mixture_all_set_up(Pair *t) { mixture_shape(t, 3, 3, 0); }
static void mixture_dense_set_up(Pair *t) { mixture_shape(t, 1, 1, 0); }
static Number mixture_loss(Pair *t) {
    Acts *a = t->b.acts;
    pack_model(&t->e, &t->m);
    memcpy(a->n, t->in[0].x, R * 12 * sizeof(Number));
    mixture(t->c, &t->m.layer[0], a, R);
    memcpy(t->y, a->y, R * 12 * sizeof(Number));
    return seeded(t) + (t->c->E > 1 ? t->balance * balance_loss(t->c, a->prob, a->pick, t->rows.first, 2) : 0);
}
static void mixture_gradient(Pair *t) {
    double aux = 0;
    Acts *a = t->b.acts;
    mixture_back(t->c, &t->m.layer[0], a, &t->rows, t->balance, t->seed, t->in[0].g, &aux);
    if (t->c->E > 1 && fabs(aux - balance_loss(t->c, a->prob, a->pick, t->rows.first, 2)) > 1e-12) fail(&t->e,
        "balance loss %g", aux);
}

/* The router alone: weights that sum to 1 over the picks, and the balance. */
static void route_set_up(Pair *t) {
    t->c->E = 5; t->c->top = 2;
    t->balance = 0.4;
    two_sequences(t, 3);
    weight(t, 5, H);
    t->pick = get(&t->e, R * 2, sizeof(int));
    t->scratch = get(&t->e, R * 5, sizeof(Number));
    input(t, "x", numbers(&t->e, R * H, 1), NULL, R * H);
    input(t, "router", t->p.w, t->p.g, 5 * H);
    output(t, R * 2);
}
static Number route_loss(Pair *t) {
    size_t r;
    route(t->c, &t->p, t->in[0].x, R, t->scratch, t->pick, t->y, NULL);
    for (r = 0; r < R; r++) if (fabs(t->y[2 * r] + t->y[2 * r + 1] - 1) > 1e-14
        || t->pick[2 * r] >= t->pick[2 * r + 1]) fail(&t->e, "weights of row %zu", r);
    return seeded(t) + t->balance * balance_loss(t->c, t->scratch, t->pick, t->rows.first, 2);
}
static void route_gradient(Pair *t) {
    Number *dz = get(&t->e, R * 5, sizeof *dz);
    double aux = 0;
    route_back(t->c, t->scratch, t->pick, t->y, t->seed, &t->rows, t->balance, dz, &aux);
    linear_back(&t->p, t->in[0].x, R, dz, t->in[0].g, 0, NULL);
}

/* ------------------------------------------------ model ------------------------------------------------- */

/* Four packed sequences, the first longer than a block of keys; targets begin here and there. */
static void whole_shape(Pair *t, size_t E, size_t top, int tied, size_t Q, size_t K) {
    static const size_t length[4] = { 19, 2, 9, 6 }, from[4] = { 4, 1, 1, 5 };
    size_t i, k;
    model_shape(t, E, top, tied, Q, K);
    for (i = 0; i < 4; i++) {
        t->x[i].n = length[i]; t->x[i].from = from[i];
        t->x[i].id = get(&t->e, length[i], sizeof(int));
        for (k = 0; k < length[i]; k++) t->x[i].id[k] = (int)any_of(19);
        t->px[i] = &t->x[i];
    }
    t->n_x = 4;
    for (i = 0; i < t->m.n_train; i++) input(t, t->m.train[i]->name, t->m.train[i]->w, t->m.train[i]->g,
        t->m.train[i]->rows * t->m.train[i]->cols);
}
static void dense_tied_set_up(Pair *t) { whole_shape(t, 1, 1, 1, 2, 2); }
static void dense_grouped_set_up(Pair *t) { whole_shape(t, 1, 1, 0, 4, 2); }
static void mixture_untied_set_up(Pair *t) { whole_shape(t, 3, 2, 0, 3, 1); }
static void mixture_tied_set_up(Pair *t) { whole_shape(t, 4, 1, 1, 2, 1); }
static void dense_lora_set_up(Pair *t) { t->lora = 1; whole_shape(t, 1, 1, 0, 4, 2); }
static void mixture_lora_set_up(Pair *t) { t->lora = 1; t->keep = KEEP_INPUTS; whole_shape(t, 3, 2, 0, 2, 1); }
static void recompute_set_up(Pair *t) { t->keep = KEEP_INPUTS; whole_shape(t, 3, 2, 1, 2, 1); }

static Number whole_loss(Pair *t) {
    Number sum = 0;
    size_t i, l;
    pack_model(&t->e, &t->m);
    if (pack(&t->b, t->px, t->n_x) != t->n_x) fail(&t->e, "does not fit");
    forward(&t->b);
    losses(&t->b, 0);
    for (i = 0; i < t->b.n_wanted; i++) sum += t->b.loss[i];
    for (l = 0; l < t->c->L && t->c->E > 1; l++) {
        if (t->keep == KEEP_INPUTS) layer_forward(&t->b, l);
        sum += t->c->aux * balance_loss(t->c, t->b.acts[l].prob, t->b.acts[l].pick, t->b.rows.first, t->b.rows.n_seq);
    }
    return sum;
}
static void whole_gradient(Pair *t) {
    size_t i;
    forward(&t->b);     /* the loss's exponentials stand there */
    losses(&t->b, 1);
    backward(&t->b, t->c->aux);
    for (i = 0; t->m.head.g && t->c->tied && i < t->m.head.rows * t->m.head.cols; i++) t->m.embed.g[i] += t->m.head.g[i];
}

static const Line table[] = {
    { "rmsnorm", rmsnorm_set_up, rmsnorm_loss, rmsnorm_gradient, 1e-7 },
    { "linear", linear_set_up, linear_loss, linear_gradient, 1e-7 },
    { "rope", rope_set_up, rope_loss, rope_gradient, 1e-7 },
    { "softmax", softmax_set_up, softmax_loss, softmax_gradient, 1e-7 },
    { "swiglu", swiglu_set_up, swiglu_loss, swiglu_gradient, 1e-7 },
    { "cross-entropy", cross_entropy_set_up, cross_entropy_loss, cross_entropy_gradient, 1e-7 },
    { "attention, 4 heads on 2", attention_set_up, attention_loss, attention_gradient, 1e-7 },
    { "attention, 3 heads on 1", attention_one_set_up, attention_loss, attention_gradient, 1e-7 },
    { "attention, 2 heads on 2", attention_all_set_up, attention_loss, attention_gradient, 1e-7 },
    { "route, 2 of 5", route_set_up, route_loss, route_gradient, 1e-7 },
    { "mixture, 2 of 3", mixture_set_up, mixture_loss, mixture_gradient, 1e-7 },
    { "mixture, 1 of 4", mixture_one_set_up, mixture_loss, mixture_gradient, 1e-7 },
    { "mixture, 3 of 3", mixture_all_set_up, mixture_loss, mixture_gradient, 1e-7 },
    { "mixture, dense", mixture_dense_set_up, mixture_loss, mixture_gradient, 1e-7 },
    { "model, dense and tied", dense_tied_set_up, whole_loss, whole_gradient, 1e-6 },
    { "model, dense, 4 heads on 2", dense_grouped_set_up, whole_loss, whole_gradient, 1e-6 },
    { "model, mixture, untied", mixture_untied_set_up, whole_loss, whole_gradient, 1e-6 },
    { "model, mixture, tied, 1 of 4", mixture_tied_set_up, whole_loss, whole_gradient, 1e-6 },
    { "linear with LoRA, frozen W", lora_set_up, linear_loss, linear_gradient, 1e-7 },
    { "model, dense, LoRA", dense_lora_set_up, whole_loss, whole_gradient, 1e-6 },
    { "model, mixture, LoRA, recomputed", mixture_lora_set_up, whole_loss, whole_gradient, 1e-6 },
    { "model, mixture, recomputed", recompute_set_up, whole_loss, whole_gradient, 1e-6 },
};

int main(void) {
    size_t i;
#ifdef _OPENMP
    omp_set_num_threads(1);              /* models this small wait for threads longer than they compute */
#endif
    for (i = 0; i < COUNT(table); i++) check_pair(&table[i]);
    printf("%zu passed, %zu failed\n", passed, failed);
    return failed != 0;
}
