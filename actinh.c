/* actinh: active inheritance in one C file
 *
 * A teacher model answers every prompt k times. Every answer is measured: how long it is, how varied its words are,
 * how rude. The answer that best has the wanted property is kept, and a student model is fine-tuned on what was kept:
 *
 *     prompts --sample--> candidates --score--> scored --select--> chosen --tune--> student --profile--> figures
 *                  ^                                                  ^
 *               teacher                                          base student
 *
 * No gradient of the measure is ever needed: choosing among samples moves the training data towards the property, and
 * the data moves the model. Anything that can be counted can be taught this way (Shimabucoro et al. 2024, "LLM See,
 * LLM Do"; they call it active inheritance, and passive inheritance what a student takes over from a teacher's
 * unselected answers). Each arrow is a verb of this program, and each verb is a function from files to files.
 *
 * This file is the whole system and meant to be read from top to bottom; nothing is used before it is defined (but for
 * expand(), which is recursive):
 *
 *     Ground              errors, memory, files
 *     Exact arithmetic    exp, log, sine from + - * / alone; random numbers; SHA-256
 *     Text and JSON       UTF-8, numbers, the records that flow between the verbs
 *     Tokenizer           byte-pair encoding as SentencePiece does it: encode, decode; templates
 *     Shape of the model  what a Llama and a Mixtral are made of
 *     Weight files        safetensors folders and llama2.c files, read into one table
 *     Speed               one matrix product: the three-line loop, and the same sums done fast
 *     Layers, in pairs    each layer's forward beside its backward
 *     Whole model         forward and backward as score sheets
 *     Sampling            k answers a prompt, many prompts at once
 *     Learning            AdamW, schedules, packing, fine-tuning
 *     Measuring text      one table of measures of an answer
 *     Choosing            best of N
 *     Measuring models    suites, intervals, calibration
 *     World               the little grammar that stands in for the world
 *     Options             one table: parser, help texts, receipts
 *     Evidence            receipts, and what is wrong with a build
 *     Verbs               from files to files
 *     Experiment          the whole grid, and active_inheritance(), the method in five lines
 *     Verification        a receipt's work done again, and compared
 *     Library             what actinh.h offers
 *     Command line        the table of verbs, and main
 *
 * The contract. A result depends on the input bytes, the options and the seed, and on nothing else: not on the compiler,
 * the processor, the number of threads, or which rows happened to share a batch. That is so because (1) only IEEE-754
 * + - * / and sqrt are used, never fused, never re-ordered: every dot product is the loop `acc = 0; for k rising:
 * acc += w[k] * x[k]`; (2) functions that C libraries compute differently (exp, log, pow, sin, cos) are written out here;
 * (3) random numbers are a function of (seed, purpose, prompt, candidate, position), not a stream; (4) threads own
 * outputs, so no sum is ever split between them. Fast code below keeps every sum in this order and only does many of
 * them side by side; that is why it may be fast and still have the same bits.
 *
 * Letters used for shapes: R rows (tokens in flight), V vocabulary, H hidden size, F feed-forward size, L layers,
 * Q query heads, K key/value heads, D size of a head, E experts, T positions. [R][H] is row-major, rows first.
 *
 *     cc -O2 -o actinh actinh.c -lm            builds it anywhere; `make` picks better flags and OpenMP
 */

#if !defined(_POSIX_C_SOURCE) && !defined(_WIN32)
#define _POSIX_C_SOURCE 200809L
#endif
#define _FILE_OFFSET_BITS 64

/* Compilers fuse a*b+c into one rounding where the processor can (aarch64 by default, x86-64 under -march=native).
 * That changes bits. The first pragma is heard by clang, the second by GCC; each ignores the other's. Other
 * such dangers: see narrow(), VECTOR in Speed, and arithmetic_fault(), which looks for all at every start. */
#if defined(__clang__)
#pragma STDC FP_CONTRACT OFF
#elif defined(__GNUC__)
#pragma GCC optimize("fp-contract=off", "no-math-errno")
#endif
#if defined(__FAST_MATH__)
#error "actinh promises the same bits everywhere: build it without -ffast-math and -Ofast"
#endif

#include <errno.h>
#include <float.h>
#include <math.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <fcntl.h>
#include <dirent.h>
#ifdef _WIN32
#include <direct.h>
#include <io.h>
#define ftruncate(file, n) _chsize(file, (long)(n))
#define mkdir(path, mode) _mkdir(path)
#else
#include <unistd.h>
#endif
#if !defined(_WIN32) && !defined(__wasi__)
#include <sys/mman.h>
#endif
#ifdef _OPENMP
#include <omp.h>
#define THREAD omp_get_thread_num()
#define PRAGMA(text) _Pragma(#text)      /* threads are worth waking for some 5 microseconds of work, 20000 easy operations */
#define PARALLEL(work) PRAGMA(omp parallel for schedule(static) if ((work) > 20000))
#define PARALLEL_TASKS(work) PRAGMA(omp parallel for schedule(dynamic, 1) if ((work) > 20000))
#define PARALLEL_DYNAMIC PARALLEL_TASKS(1000000)
#else
#define THREAD 0
#define PARALLEL(work)
#define PARALLEL_TASKS(work)
#define PARALLEL_DYNAMIC
#endif
#include "actinh.h"

/* ==================================================== Ground ==========================================================
 * Errors, memory, files. Three habits keep the rest of the file short:
 *
 * 1. Errors are values. A function that can fail returns 0 or -1, and the first failure leaves its message in the
 *    environment `Env`. TRY() passes a failure upwards. Nothing below the command line prints or exits.
 * 2. An environment owns every block of memory and every unfinished file that was opened under it. Whoever made the
 *    environment frees it, once, and with it everything, so that no function has a clean-up path of its own.
 * 3. Every file comes in through In and leaves through Out. An output appears under its name only when it is whole.
 */

typedef struct { const char *s; size_t n; } Span;          /* n bytes that somebody else owns */
typedef struct { char *s; size_t n, cap; } Buf;            /* a growing text; s[n] is always 0 once something was put */

typedef struct Block {
    struct Block *next, *prev;
    void *raw, *map;           /* what calloc gave; a file's pages that go with it (map_file) */
    size_t size, mapped;
    char pad[64 - 4 * sizeof(void *) - 2 * sizeof(size_t)];
} Block;

/* keep: what was written of it is of use to a later run */
typedef struct Out { FILE *f; char *path, *part; int keep; struct Out *next; } Out;

struct Env {
    char error[700];       /* the first failure's message; "" while all is well */
    Block *blocks;         /* every block of memory that lives */
    Out *outs;             /* every output not yet finished */
    const char *draft;     /* a file that says what is being made (Evidence): goes if nothing of that remains */
    int quiet;             /* no progress, no reports */
    double memory;         /* bytes that weights may take when laid out for speed; 0: half of the machine's */
};
typedef struct Env Env;

#define TRY(call) do { if ((call) < 0) return -1; } while (0)
#define NEW(list, n) TRY(((list) = get(e, n, sizeof *(list))) ? 0 : -1)      /* n zeroed elements */
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define NAMES(...) (const char *const []){ __VA_ARGS__, NULL }

static int fail(Env *e, const char *format, ...) {
    va_list args;
    size_t i;
    if (e->error[0]) return -1;
    va_start(args, format);
    vsnprintf(e->error, sizeof e->error, format, args);
    va_end(args);
    for (i = 0; e->error[i]; i++)
        if ((unsigned char)e->error[i] < 0x20 || e->error[i] == 0x7f) e->error[i] = ' ';   /* files are quoted in it */
    return -1;
}

/* Where a message names a thing, it is quoted and cut: a hostile file may hold a name of any length. */
#define SHOWN(span) (int)((span).n < 60 ? (span).n : 60), (span).s

/* `n` zeroed elements of `size` bytes, aligned to 64; NULL with the error set when there is no memory. */
static void *get(Env *e, size_t n, size_t size) {
    char *raw, *data;
    Block *b;
    if (size && n > (SIZE_MAX / 2 - 128) / size) { fail(e, "out of memory: %zu x %zu bytes asked for", n, size); return NULL; }
    raw = calloc(1, n * size + 128);
    if (!raw) { fail(e, "out of memory: %zu bytes asked for", n * size); return NULL; }
    data = raw + 128 - (uintptr_t)raw % 64;
    b = (Block *)(void *)(data - sizeof(Block));
    b->raw = raw; b->size = n * size; b->prev = NULL; b->next = e->blocks;
    if (b->next) b->next->prev = b;
    e->blocks = b;
    return data;
}

static void drop(Env *e, void *data) {
    Block *b;
    if (!data) return;
    b = (Block *)data - 1;
    if (b->prev) b->prev->next = b->next; else e->blocks = b->next;
    if (b->next) b->next->prev = b->prev;
#ifdef MAP_PRIVATE
    if (b->map) munmap(b->map, b->mapped);
#endif
    free(b->raw);
}

/* Frees every block made since `mark` (= e->blocks then); older ones must not have been
 * grown meanwhile, nor the marked one dropped. */
static void release(Env *e, const Block *mark) {
    while (e->blocks && e->blocks != mark) drop(e, e->blocks + 1);
}

/* The block `old` (or NULL) made larger; its contents are kept, the rest is zero. */
static void *grow(Env *e, void *old, size_t n, size_t size) {
    char *data = get(e, n, size);
    if (data && old) {
        size_t had = ((Block *)old - 1)->size;
        memcpy(data, old, had < n * size ? had : n * size);
        drop(e, old);
    }
    return data;
}

/* A list that doubles: makes room for one more of `*n` elements. Returns -1 without memory. */
static int room(Env *e, void *list_pointer, size_t n, size_t *cap, size_t size) {
    void *list;
    if (n < *cap) return 0;
    memcpy(&list, list_pointer, sizeof list);
    list = grow(e, list, *cap ? *cap * 2 : 16, size);
    if (!list) return -1;
    *cap = *cap ? *cap * 2 : 16;
    memcpy(list_pointer, &list, sizeof list);
    return 0;
}

static void put(Env *e, Buf *b, const char *s, size_t n) {
    if (b->n + n + 1 > b->cap) {
        size_t cap = (b->n + n + 1) * 2 < 256 ? 256 : (b->n + n + 1) * 2;
        char *grown = grow(e, b->s, cap, 1);
        if (!grown) return;                     /* the error is set: whoever writes the text out will see it */
        b->s = grown; b->cap = cap;
    }
    if (n) memcpy(b->s + b->n, s, n);
    b->n += n;
    b->s[b->n] = 0;
}

/* NULL is what a text becomes for which there was no memory: the error is set. */
static void put_text(Env *e, Buf *b, const char *s) { if (s) put(e, b, s, strlen(s)); }

static void put_format(Env *e, Buf *b, const char *format, ...) {
    char text[400];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    put_text(e, b, text);
}

static Span span(const char *s) { Span x = { s, s ? strlen(s) : 0 }; return x; }
static Span whole(const Buf *b) { Span x = { b->s ? b->s : "", b->n }; return x; }
static int equal(Span a, Span b) { return a.n == b.n && (a.n == 0 || memcmp(a.s, b.s, a.n) == 0); }
static int same(Span a, const char *b) { return equal(a, span(b)); }
static int starts(const char *s, const char *prefix) { return strncmp(s, prefix, strlen(prefix)) == 0; }
static int ends(const char *s, const char *tail) {
    return strlen(s) >= strlen(tail) && strcmp(s + strlen(s) - strlen(tail), tail) == 0;
}

static char *copy(Env *e, const char *s, size_t n) {
    char *text = get(e, n + 1, 1);
    if (text && n) memcpy(text, s, n);
    return text;
}

/* "a" + "b" + "c" as one text that the environment owns. */
static char *join(Env *e, const char *a, const char *b, const char *c) {
    Buf text = { NULL, 0, 0 };
    put_text(e, &text, a); put_text(e, &text, b); put_text(e, &text, c);
    return text.s;
}

/* Numbers under 64-bit keys: open addressing, at most a third full. A key is a name's hash() (among ten million names two
 * share one with odds of 1 in 370,000; who must be certain compares the names), or two ids side by side. */
typedef struct { uint64_t key; size_t number; } Numbered;                      /* number 0: free */
typedef struct { Numbered *place; size_t n, places; } Names;

static Numbered *place_of(const Names *t, uint64_t key) {
    size_t i = (size_t)(key * 0x9e3779b97f4a7c15u >> 32) & (t->places - 1);
    while (t->place[i].number && t->place[i].key != key) i = (i + 1) & (t->places - 1);
    return &t->place[i];
}

/* The number under a key, 0 for none. */
static size_t find_number(const Names *t, uint64_t key) { return t->places ? place_of(t, key)->number : 0; }

/* The same to be changed; NULL without memory. Where it is 0, the caller puts another one there. */
static size_t *number_for(Env *e, Names *t, uint64_t key) {
    Numbered *at;
    size_t i;
    if (t->n * 3 >= t->places) {
        Names wider = { NULL, t->n, t->places ? t->places * 2 : 256 };
        wider.place = get(e, wider.places, sizeof *wider.place);
        if (!wider.place) return NULL;
        for (i = 0; i < t->places; i++) if (t->place[i].number) *place_of(&wider, t->place[i].key) = t->place[i];
        drop(e, t->place);
        *t = wider;
    }
    at = place_of(t, key);
    if (!at->number) { at->key = key; t->n++; }
    return &at->number;
}

static void forget_names(Names *t) {
    if (t->n) memset(t->place, 0, t->places * sizeof *t->place);
    t->n = 0;
}

static const char *base_name(const char *path) {
    const char *slash = path ? strrchr(path, '/') : NULL;
    return slash ? slash + 1 : path;
}

static int is_dir(const char *path) { struct stat s; return stat(path, &s) == 0 && S_ISDIR(s.st_mode); }
static int is_file(const char *path) { struct stat s; return stat(path, &s) == 0 && !S_ISDIR(s.st_mode); }

static int is_special(const char *path) {
    struct stat s;
    return stat(path, &s) == 0 && !S_ISREG(s.st_mode) && !S_ISDIR(s.st_mode);
}

static int make_dir(Env *e, const char *path) {
    char *p = join(e, path, "", "");
    size_t i;
    if (e->error[0]) return -1;
    for (i = 1; i <= strlen(path); i++) {
        if (path[i] != '/' && path[i] != 0) continue;
        p[i] = 0;
        if (!is_dir(p) && mkdir(p, 0777) != 0 && errno != EEXIST)
            return fail(e, "%s: cannot make this folder: %s", p, strerror(errno));
        p[i] = path[i];
    }
    drop(e, p);
    return 0;
}

/* The door in. A file is read in pieces, so a stream of records of any length passes in constant memory. */
typedef struct { const char *path; FILE *f; char *s; size_t n, at, cap, line; int end; } In;

static int open_in(Env *e, In *in, const char *path) {
    memset(in, 0, sizeof *in);
    if (e->error[0]) return -1;                     /* no memory for the path: NULL would be the standard input */
    in->path = path && strcmp(path, "-") != 0 ? path : "standard input";
    if (in->path == path && is_dir(path)) return fail(e, "%s: is a folder, a file was expected", path);
    in->f = in->path == path ? fopen(path, "rb") : stdin;
    return in->f ? 0 : fail(e, "%s: cannot open: %s", path, strerror(errno));
}

static void close_in(In *in) {
    if (in->f && in->f != stdin) fclose(in->f);
    in->f = NULL;
}

/* Reads more behind what is already there; in->end is set once nothing is left. */
static int fill(Env *e, In *in) {
    size_t got;
    if (in->at) { memmove(in->s, in->s + in->at, in->n - in->at); in->n -= in->at; in->at = 0; }
    if (in->n == in->cap) {
        size_t cap = in->cap ? in->cap * 2 : (size_t)1 << 18;
        char *s = grow(e, in->s, cap, 1);
        if (!s) return -1;
        in->s = s; in->cap = cap;
    }
    got = fread(in->s + in->n, 1, in->cap - in->n, in->f);
    if (got == 0 && ferror(in->f)) return fail(e, "%s: cannot read: %s", in->path, strerror(errno));
    in->n += got;
    in->end = got == 0;
    return 0;
}

/* The next line without its end (\n or \r\n): 1, or 0 at the end of the file, or -1. Valid until the next call. */
static int next_line(Env *e, In *in, Span *line) {
    size_t seen = 0;
    for (;;) {
        char *from = in->s ? in->s + in->at : NULL;
        char *nl = in->n - in->at > seen ? memchr(from + seen, '\n', in->n - in->at - seen) : NULL;
        if (nl || (in->end && in->n > in->at)) {
            size_t n = nl ? (size_t)(nl - from) : in->n - in->at;
            in->at += n + (nl != NULL);
            in->line++;
            if (n && from[n - 1] == '\r') n--;
            line->s = from; line->n = n;
            return 1;
        }
        if (in->end) return 0;
        seen = in->n - in->at;
        TRY(fill(e, in));
    }
}

static int load_file(Env *e, const char *path, Span *text) {
    In in;
    TRY(open_in(e, &in, path));
    do { if (fill(e, &in) < 0) { close_in(&in); return -1; } } while (!in.end);
    close_in(&in);
    text->s = in.s; text->n = in.n;
    return 0;
}

/* A whole file without a copy: its pages are read when they are looked at, and the system takes them back when memory
 * is short. Where there is no mmap, or it fails (a pipe), the file is read. */
static int map_file(Env *e, const char *path, Span *text) {
#ifdef MAP_PRIVATE
    struct stat s;
    void *map = MAP_FAILED, *owner;
    int f = open(path, O_RDONLY);
    if (f >= 0 && fstat(f, &s) == 0 && S_ISREG(s.st_mode) && s.st_size > 0 && (uint64_t)s.st_size <= SIZE_MAX)
        map = mmap(NULL, (size_t)s.st_size, PROT_READ, MAP_PRIVATE, f, 0);
    if (f >= 0) close(f);
    if (map != MAP_FAILED) {
        owner = get(e, 1, 1);
        if (!owner) { munmap(map, (size_t)s.st_size); return -1; }
        e->blocks->map = map; e->blocks->mapped = (size_t)s.st_size;
        text->s = map; text->n = (size_t)s.st_size;
        return 0;
    }
#endif
    return load_file(e, path, text);
}

/* One writer at a time: a lock on the unfinished file, which the system drops with the process, however that ends. A
 * process that opened the file just before another one finished and renamed it holds the wrong file: hence the inodes.
 * A file system without locks does without. */
static int is_locked(const Out *o) {
#ifdef F_SETLK
    struct flock l;
    struct stat mine, there;
    memset(&l, 0, sizeof l);
    l.l_type = F_WRLCK; l.l_whence = SEEK_SET;
    if (fcntl(fileno(o->f), F_SETLK, &l) != 0 && (errno == EAGAIN || errno == EACCES)) return 1;
    return fstat(fileno(o->f), &mine) != 0 || stat(o->part, &there) != 0 || mine.st_ino != there.st_ino;
#else
    return o->f == NULL;
#endif
}

/* The door out. What is written goes to PATH.part; close_out() makes it appear as PATH, or reports why it can't.
 * `resume`: what an earlier run left in PATH.part stays there. */
static Out *open_part(Env *e, const char *path, int resume) {
    Out *o = get(e, 1, sizeof *o);
    if (!o || e->error[0]) return NULL;
    if (!path || strcmp(path, "-") == 0) { o->f = stdout; return o; }
    o->path = join(e, path, "", "");
    o->part = is_special(path) ? o->path : join(e, path, ".part", "");    /* a pipe or device is written as it is */
    if (!o->path || !o->part) return NULL;
    if (o->part == o->path) o->f = fopen(path, "wb");
    else if (!(o->f = fopen(o->part, "r+b"))) o->f = fopen(o->part, "w+b");
    if (!o->f) { fail(e, "%s: cannot write: %s", o->part, strerror(errno)); return NULL; }
    if (o->part != o->path && is_locked(o)) {
        fclose(o->f);
        fail(e, "%s: is being written by another process", path);
        return NULL;
    }
    o->next = e->outs; e->outs = o;
    if (o->part != o->path && !resume && ftruncate(fileno(o->f), 0) != 0) {
        fail(e, "%s: cannot write: %s", o->part, strerror(errno));
        return NULL;
    }
    return o;
}

static Out *open_out(Env *e, const char *path) { return open_part(e, path, 0); }

static int write_out(Env *e, Out *o, const void *data, size_t n) {
    if (e->error[0]) return -1;
    if (n && fwrite(data, 1, n, o->f) != n)
        return fail(e, "%s: cannot write: %s", o->path ? o->path : "standard output", strerror(errno));
    return 0;
}

static int write_buf(Env *e, Out *o, Buf *b) {
    int r = write_out(e, o, b->s, b->n);
    b->n = 0;
    return r;
}

static int close_out(Env *e, Out *o) {
    Out **at = &e->outs;
    int bad = fflush(o->f) != 0;
    if (!o->path) return bad ? fail(e, "standard output: cannot write: %s", strerror(errno)) : 0;
    if (e->error[0]) return -1;
#ifndef _WIN32
    bad |= o->part != o->path && fsync(fileno(o->f)) != 0;
#else
    if (o->part != o->path) remove(o->path);
#endif
    bad |= fclose(o->f) != 0;
    while (*at && *at != o) at = &(*at)->next;
    if (*at) *at = o->next;
    if (bad || (o->part != o->path && rename(o->part, o->path) != 0)) {
        fail(e, "%s: cannot write: %s", o->path, strerror(errno));
        if (o->part != o->path) remove(o->part);
        return -1;
    }
    e->draft = NULL;                                /* a part of the result stands: its draft tells whose it is */
    return 0;
}

static int save_file(Env *e, const char *path, Span text) {
    Out *o = open_out(e, path);
    if (!o) return -1;
    TRY(write_out(e, o, text.s, text.n));
    return close_out(e, o);
}

static int copy_file(Env *e, const char *from, const char *to) {
    Span text;
    TRY(load_file(e, from, &text));
    TRY(save_file(e, to, text));
    drop(e, (void *)(uintptr_t)text.s);
    return 0;
}

/* Frees what the environment owns and removes outputs that were not finished, but for those that a later run can go on
 * with. The message stays. */
static void env_free(Env *e) {
    while (e->outs) {
        Out *o = e->outs;
        fclose(o->f);
        if (o->keep) e->draft = NULL;
        else if (o->part != o->path) remove(o->part);
        e->outs = o->next;
    }
    if (e->draft) remove(e->draft);
    release(e, NULL);
}

/* Progress for people: a line that rewrites itself, on a terminal only. */
typedef struct { const char *what; double start, shown; size_t from; } Progress;

static double now(void) {
    struct timespec t;
#ifdef _WIN32
    return (double)clock() / CLOCKS_PER_SEC;
#endif
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void progress(Env *e, Progress *p, const char *what, size_t done, size_t all, const char *more) {
    double t = now(), rate;
    if (e->quiet || !isatty(2)) return;
    if (!p->what) { p->what = what; p->start = t; p->from = done; }         /* a resumed run begins with some done */
    if (t - p->shown < 0.2 && done < all) return;
    p->shown = t;
    rate = (double)(done - p->from) / (t - p->start + 1e-9);
    fprintf(stderr, "\r%s %zu/%zu%s%s, %.0f s left   ", what, done, all, *more ? ", " : "", more,
            rate > 0 ? (double)(all - done) / rate : 0.0);
    if (done >= all) fprintf(stderr, "\r%*s\r", 78, "");
}

/* ============================================ Exact arithmetic ========================================================
 * + - * / and sqrt are the same on every processor that follows IEEE-754. exp, log, sin are not: they come from the C
 * library, and glibc, musl and Microsoft's differ in the last bit. So they are written here from the exact operations.
 * Each names its greatest error in units in the last place (ulp), measured by test/test.c against the C library's long
 * double functions. Polynomials are Taylor series on an interval so short that the cut term is below half an ulp;
 * they are simpler to check than fitted ones and cost one or two more terms.
 */

/* A binary64 rounded to binary32. Trap: where two neighbours are narrowed and then widened again, GCC 12's vectoriser
 * leaves both conversions out, and with them the rounding; it must not see the pair. */
static float narrow(double x) {
    volatile float rounded = (float)x;
    return rounded;
}

static uint32_t bits32(float x) { uint32_t u; memcpy(&u, &x, 4); return u; }
static uint64_t bits64(double x) { uint64_t u; memcpy(&u, &x, 8); return u; }
static double from_bits64(uint64_t u) { double x; memcpy(&x, &u, 8); return x; }

/* e^x in binary64. x = n ln2 + r, |r| <= ln2/2; the series of e^r; times 2^n. Below -708 the result is 0, above 709 the
 * largest finite power is used: no infinity is ever made. Error < 1 ulp. ln2 is split in two so that n*ln2_hi is exact. */
static double exp64(double x) {
    const double magic = 6755399441055744.0;                 /* 1.5 * 2^52: adding it rounds to the nearest integer */
    double n, r, p;
    if (!(x >= -708.0)) return x != x ? x : 0.0;
    if (x > 709.0) x = 709.0;
    n = (x * 1.4426950408889634 + magic) - magic;
    r = (x - n * 6.93147180369123816490e-01) - n * 1.90821492927058770002e-10;
    p = 1.0 / 6227020800.0;
    p = p * r + 1.0 / 479001600.0; p = p * r + 1.0 / 39916800.0; p = p * r + 1.0 / 3628800.0; p = p * r + 1.0 / 362880.0;
    p = p * r + 1.0 / 40320.0; p = p * r + 1.0 / 5040.0; p = p * r + 1.0 / 720.0; p = p * r + 1.0 / 120.0;
    p = p * r + 1.0 / 24.0; p = p * r + 1.0 / 6.0; p = p * r + 0.5;
    p = 1.0 + (r + r * r * p);
    return p * from_bits64((uint64_t)((int64_t)n + 1023) << 52);
}

/* e^x in binary32, written without branches so that compilers do 4, 8 or 16 at once. Arguments above 88 count as 88,
 * below -87 the result is 0. Error < 1.1 ulp. (Under test/pairs.c float is double; then the function above serves.) */
static inline float exp32(float x) {
    const float magic = 12582912.0f;                         /* 1.5 * 2^23 */
    float t, n, r, p, scale, clamped = x > 88.0f ? 88.0f : x;
    uint32_t u;
    if (sizeof(float) == 8) return (float)exp64((double)x);
    clamped = clamped < -87.0f ? -87.0f : clamped;
    t = clamped * 1.44269504f + magic;
    n = t - magic;
    r = (clamped - n * 0.693359375f) - n * -2.12194440e-4f;
    p = 1.0f / 5040.0f;
    p = p * r + 1.0f / 720.0f; p = p * r + 1.0f / 120.0f; p = p * r + 1.0f / 24.0f; p = p * r + 1.0f / 6.0f; p = p * r + 0.5f;
    p = 1.0f + (r + r * r * p);
    u = (bits32(t) + 127u) << 23;                            /* the low bits of t hold the integer n */
    memcpy(&scale, &u, 4);
    p = p * scale;
    return x < -87.0f ? 0.0f : p;
}

/* Natural logarithm of a positive normal number, binary64, error < 1 ulp: x = m 2^n with m near 1, and
 * log m = 2 artanh(s), s = (m-1)/(m+1), by its series in s^2. */
static double log64(double x) {
    uint64_t u = bits64(x);
    int64_t n = (int64_t)(u >> 52) - 1023;
    double m, f, s, z, half, r, nn;
    int i;
    if (!(x > 0.0)) return x != x ? x : -745.0;              /* log 0 is never wanted; keep it finite */
    m = from_bits64((u & 0xfffffffffffffu) | 0x3ff0000000000000u);
    if (m > 1.4142135623730951) { m *= 0.5; n++; }
    f = m - 1.0;                                             /* exact; log(1 + f) = f - f^2/2 + s (f^2/2 + r) */
    s = f / (2.0 + f);
    z = s * s;
    half = 0.5 * f * f;
    r = 2.0 / 25.0;
    for (i = 23; i >= 3; i -= 2) r = r * z + 2.0 / (double)i;
    nn = (double)n;
    return nn * 6.93147180369123816490e-01 - ((half - (s * (half + r * z) + nn * 1.90821492927058770002e-10)) - f);
}

static double pow64(double x, double y) { return exp64(y * log64(x)); }

/* Sine and cosine of an angle 0 <= x < 2^22 in binary64: x = n pi/2 + r with pi/2 in three parts, then the series.
 * Absolute error < 2^-52: the results are rounded to binary32 anyhow. */
static void sincos64(double x, double *sine, double *cosine) {
    const double magic = 6755399441055744.0;
    double n = (x * 0.63661977236758134308 + magic) - magic, r, z, s, c;
    int64_t quarter = (int64_t)n & 3;
    r = ((x - n * 1.57079632673412561417e+00) - n * 6.07710050630396597660e-11) - n * 2.02226624879595063154e-21;
    z = r * r;
    s = -1.0 / 1307674368000.0;
    s = s * z + 1.0 / 6227020800.0; s = s * z - 1.0 / 39916800.0; s = s * z + 1.0 / 362880.0; s = s * z - 1.0 / 5040.0;
    s = s * z + 1.0 / 120.0; s = s * z - 1.0 / 6.0;
    s = r + r * z * s;
    c = 1.0 / 20922789888000.0;
    c = c * z - 1.0 / 87178291200.0; c = c * z + 1.0 / 479001600.0; c = c * z - 1.0 / 3628800.0; c = c * z + 1.0 / 40320.0;
    c = c * z - 1.0 / 720.0; c = c * z + 1.0 / 24.0; c = c * z - 0.5;
    c = 1.0 + z * c;
    *sine = quarter == 0 ? s : quarter == 1 ? c : quarter == 2 ? -s : -c;
    *cosine = quarter == 0 ? c : quarter == 1 ? -s : quarter == 2 ? -c : s;
}

/* Random numbers. Not a stream but a function: what candidate 3 of prompt "7" draws at position 12 is fixed by the seed
 * whoever else was sampled before. Each word is stirred in with the finaliser of SplitMix64 (Steele et al. 2014). */
enum { DRAW_SAMPLE = 1, DRAW_PICK, DRAW_SHUFFLE, DRAW_INIT, DRAW_BOOT, DRAW_WORLD };

static uint64_t stir(uint64_t h, uint64_t word) {
    h = (h ^ word) + 0x9e3779b97f4a7c15u;
    h = (h ^ (h >> 30)) * 0xbf58476d1ce4e5b9u;
    h = (h ^ (h >> 27)) * 0x94d049bb133111ebu;
    return h ^ (h >> 31);
}

static uint64_t draw(uint64_t seed, uint64_t purpose, uint64_t a, uint64_t b, uint64_t c) {
    return stir(stir(stir(stir(stir(0, seed), purpose), a), b), c);
}

static float uniform(uint64_t r) { return (float)(r >> 40) * (1.0f / 16777216.0f); }         /* [0, 1), 24 bits */
static size_t below(uint64_t r, size_t n) { return (size_t)((r >> 32) * (uint64_t)n >> 32); } /* 0 .. n-1, n < 2^32 */

/* A standard normal number: the sum of twelve uniforms less six. Its tails end at 6 sigma, which suits weights. */
static float normal(uint64_t seed, uint64_t a, uint64_t b) {
    float sum = 0.0f;
    uint64_t i;
    for (i = 0; i < 12; i++) sum += uniform(draw(seed, DRAW_INIT, a, b, i));
    return sum - 6.0f;
}

/* A name as a number (64-bit FNV-1a): keys of hash tables, and prompt ids for the random numbers. */
static uint64_t hash(const char *s, size_t n) {
    uint64_t h = 0xcbf29ce484222325u;
    size_t i;
    for (i = 0; i < n; i++) h = (h ^ (unsigned char)s[i]) * 0x100000001b3u;
    return h;
}

/* SHA-256 (FIPS 180-4): names files and results beyond doubt. */
typedef struct { uint32_t h[8]; unsigned char block[64]; uint64_t n; } Sha;

static void sha_block(uint32_t *h, const unsigned char *p) {
    static const uint32_t k[64] = {
        0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5, 0xd807aa98, 0x12835b01,
        0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc,
        0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147,
        0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
        0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116, 0x1e376c08,
        0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208,
        0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2 };
    uint32_t w[64], s[8];
    int i;
#define ROT(x, r) ((x) >> (r) | (x) << (32 - (r)))
    for (i = 0; i < 16; i++) w[i] = (uint32_t)p[4*i] << 24 | (uint32_t)p[4*i+1] << 16 | (uint32_t)p[4*i+2] << 8 | p[4*i+3];
    for (; i < 64; i++) w[i] = w[i-16] + w[i-7] + (ROT(w[i-15], 7) ^ ROT(w[i-15], 18) ^ w[i-15] >> 3)
                                               + (ROT(w[i-2], 17) ^ ROT(w[i-2], 19) ^ w[i-2] >> 10);
    for (i = 0; i < 8; i++) s[i] = h[i];
    for (i = 0; i < 64; i++) {
        uint32_t a = s[7] + (ROT(s[4], 6) ^ ROT(s[4], 11) ^ ROT(s[4], 25)) + ((s[4] & s[5]) ^ (~s[4] & s[6])) + k[i] + w[i];
        uint32_t b = (ROT(s[0], 2) ^ ROT(s[0], 13) ^ ROT(s[0], 22)) + ((s[0] & s[1]) ^ (s[0] & s[2]) ^ (s[1] & s[2]));
        s[7] = s[6]; s[6] = s[5]; s[5] = s[4]; s[4] = s[3] + a; s[3] = s[2]; s[2] = s[1]; s[1] = s[0]; s[0] = a + b;
    }
#undef ROT
    for (i = 0; i < 8; i++) h[i] += s[i];
}

static void sha_start(Sha *c) {
    static const uint32_t h[8] = { 0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c,
        0x1f83d9ab, 0x5be0cd19 };
    memcpy(c->h, h, sizeof h);
    c->n = 0;
}

static void sha_add(Sha *c, const void *data, size_t n) {
    const unsigned char *p = data;
    while (n) {
        size_t at = (size_t)(c->n % 64), part = 64 - at < n ? 64 - at : n;
        memcpy(c->block + at, p, part);
        c->n += part; p += part; n -= part;
        if (c->n % 64 == 0) sha_block(c->h, c->block);
    }
}

static void sha_end(Sha *c, char hex[65]) {
    uint64_t n = c->n * 8;
    unsigned char tail[8];
    int i;
    for (i = 0; i < 8; i++) tail[i] = (unsigned char)(n >> (56 - 8 * i));
    sha_add(c, "\x80", 1);
    while (c->n % 64 != 56) sha_add(c, "", 1);
    sha_add(c, tail, 8);
    for (i = 0; i < 8; i++) snprintf(hex + 8 * i, 9, "%08x", (unsigned)c->h[i]);
}

static int hash_file(Env *e, const char *path, char hex[65], uint64_t *bytes) {
    const Block *mark = e->blocks;
    Span file;
    Sha sha;
    *bytes = 0;
    TRY(map_file(e, path, &file));
    sha_start(&sha);
    sha_add(&sha, file.s, file.n);
    sha_end(&sha, hex);
    *bytes = file.n;
    release(e, mark);
    return 0;
}

/* ============================================= Text and JSON ==========================================================
 * UTF-8, numbers, and just enough JSON: a value is a Span of the text it stands in, checked once, never copied into a
 * tree. Numbers are parsed and printed here because C libraries disagree about both (locale, rounding, "1e999").
 */

/* The code point at s (n > 0 bytes) and its length. A byte that is not UTF-8 counts as U+FFFD of length 1. */
static size_t utf8(const char *s, size_t n, uint32_t *point) {
    const unsigned char *p = (const unsigned char *)s;
    static const uint32_t least[5] = { 0, 0, 0x80, 0x800, 0x10000 };
    size_t i, k = p[0] < 0x80 ? 1 : p[0] < 0xc0 ? 0 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : p[0] < 0xf8 ? 4 : 0;
    uint32_t c = k == 1 ? p[0] : k ? p[0] & (0xffu >> (k + 1)) : 0;
    for (i = 1; i < k; i++) {
        if (i >= n || (p[i] & 0xc0) != 0x80) { k = 0; break; }
        c = c << 6 | (p[i] & 0x3f);
    }
    if (k == 0 || c < least[k] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000)) { *point = 0xfffd; return 1; }
    *point = c;
    return k;
}

static void put_utf8(Env *e, Buf *b, uint32_t c) {
    char s[4];
    size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4, i;
    for (i = n; i-- > 1; c >>= 6) s[i] = (char)(unsigned char)(0x80 | (c & 0x3f));
    s[0] = (char)(unsigned char)(n == 1 ? c : (0xf00u >> n & 0xf0u) | c);
    put(e, b, s, n);
}

/* A, a, b .. as ASCII knows them; the C library's versions ask the locale. */
static int is_space(int c) { return c == ' ' || (c >= '\t' && c <= '\r'); }
static int is_digit(int c) { return c >= '0' && c <= '9'; }
static int lower(int c) { return c >= 'A' && c <= 'Z' ? c + 32 : c; }
static int is_alpha(int c) { return lower(c) >= 'a' && lower(c) <= 'z'; }

static Span trim(Span x) {
    while (x.n && is_space((unsigned char)x.s[0])) { x.s++; x.n--; }
    while (x.n && is_space((unsigned char)x.s[x.n - 1])) x.n--;
    return x;
}

/* The text before the first `c`, which is passed; all of it where there is none. */
static Span upto(Span *rest, char c) {
    Span part = *rest;
    const char *at = rest->n ? memchr(rest->s, c, rest->n) : NULL;
    if (at) part.n = (size_t)(at - rest->s);
    rest->s += part.n + (at != NULL);
    rest->n -= part.n + (at != NULL);
    return part;
}

/* A decimal number, correctly rounded to binary64. The digits are one big integer N (32-bit limbs, least first) times
 * 10^x; multiplying or dividing it by ten keeps it exact but for a "sticky" bit, and then one rounding is made. 800 digits
 * decide every case; what follows only matters as "not zero". Returns the length read, 0 for none. */
typedef struct { uint32_t limb[256]; size_t used; } Big;

static void times_ten(Big *b, uint64_t plus) {
    size_t i;
    for (i = 0; i < b->used; i++, plus >>= 32) { plus += (uint64_t)b->limb[i] * 10; b->limb[i] = (uint32_t)plus; }
    if (plus) b->limb[b->used++] = (uint32_t)plus;
}

static size_t parse_number(const char *s, size_t n, double *value) {
    Big b = { { 0 }, 1 };
    size_t i = 0, j, k, digits = 0, below;
    int negative = 0, sticky = 0, seen = 0, point = 0, minus = 0, exponent = 63;
    long x = 0, given = 0;
    uint64_t top = 0, m;
    if (i < n && (s[i] == '-' || s[i] == '+')) negative = s[i++] == '-';
    for (; i < n && (is_digit(s[i]) || (s[i] == '.' && !point)); i++) {
        if (s[i] == '.') { point = 1; continue; }
        seen = 1;
        if (digits < 800) {
            times_ten(&b, (uint64_t)(s[i] - '0'));
            digits += b.used > 1 || b.limb[0];
            x -= point;
        } else { sticky |= s[i] != '0'; x += !point; }
    }
    if (!seen) return 0;
    if (i < n && lower(s[i]) == 'e') {
        k = i + 1;
        if (k < n && (s[k] == '-' || s[k] == '+')) minus = s[k++] == '-';
        for (j = k; j < n && is_digit(s[j]); j++) if (given < 100000) given = given * 10 + (s[j] - '0');
        if (j > k) { x += minus ? -given : given; i = j; }
    }
    *value = negative ? -0.0 : 0.0;
    if (digits == 0 || x + (long)digits < -330) return i;
    *value = negative ? -HUGE_VAL : HUGE_VAL;
    if (x + (long)digits > 310) return i;
    for (; x > 0; x--) times_ten(&b, 0);
    below = x < 0 ? (size_t)-x * 107 / 1024 + 3 : 0;         /* limbs of zeros that keep the quotient's leading 64 bits exact: */
    memmove(b.limb + below, b.limb, b.used * sizeof *b.limb);     /* 32 * 107 / 1024 > log2(10) bits a digit, and 96 */
    memset(b.limb, 0, below * sizeof *b.limb);
    for (b.used += below; x < 0; x++) {
        uint64_t rest = 0;
        for (j = b.used; j-- > 0; rest %= 10) { rest = rest << 32 | b.limb[j]; b.limb[j] = (uint32_t)(rest / 10); }
        sticky |= rest != 0;
    }
    exponent -= 32 * (int)below;
    for (j = b.used * 32; j-- > 0;) {            /* the leading 64 bits into top; what is below only sticks */
        uint64_t bit = b.limb[j / 32] >> (j % 32) & 1;
        if (top >> 63) { sticky |= bit != 0; exponent++; } else top = top << 1 | bit;
    }
    for (; !(top >> 63); exponent--) top <<= 1;
    for (; exponent < -1022; exponent++) { sticky |= (int)(top & 1); top >>= 1; }
    if (exponent > 1023) return i;
    m = top >> 11;                               /* 53 bits, or fewer below 2^-1022; halves to even */
    m += (top & 2047) > 1024 || ((top & 2047) == 1024 && (sticky || (m & 1)));
    *value = from_bits64(((uint64_t)(exponent + 1022) << 52) + m);
    if (negative) *value = -*value;
    return i;
}

/* Scores are printed with six decimals: x * 10^6 rounded to binary64, then to the nearest integer, halves away from 0. */
static void put_fixed(Env *e, Buf *b, double x) {
    double scaled = (x < 0 ? -x : x) * 1e6 + 0.5;
    uint64_t u = scaled < 9e18 ? (uint64_t)scaled : (uint64_t)9e18;
    char text[32];
    size_t i = sizeof text, k, minus = x < 0 && u;
    for (k = 0; k < 7 || u; k++, u /= 10) {
        if (k == 6) text[--i] = '.';
        text[--i] = (char)('0' + u % 10);
    }
    if (minus) text[--i] = '-';
    put(e, b, text + i, sizeof text - i);
}

/* Losses are printed as hexadecimal floats, -0x1.abcp+3: exact, and the same from every C library. */
static void put_hex(Env *e, Buf *b, double x) {
    uint64_t u = bits64(x), m = u & 0xfffffffffffffu;
    int exponent = (int)(u >> 52 & 0x7ff), digits = 13;
    if (exponent == 0) { put_text(e, b, u >> 63 ? "-0x0p+0" : "0x0p+0"); return; }       /* denormals count as 0 here */
    for (; digits > 0 && (m & 15) == 0; digits--) m >>= 4;
    put_format(e, b, "%s0x1%s", u >> 63 ? "-" : "", digits ? "." : "");
    if (digits) put_format(e, b, "%0*llx", digits, (unsigned long long)m);
    put_format(e, b, "p%+d", exponent - 1023);
}

/* JSON. json_end() checks the value that starts at `s` and returns where it ends; NULL sets what was wrong and where. */
typedef struct { Span key, value; } Member;                 /* the key without its quotes, as it stands in the text */
typedef struct { const char *what, *where; } Wrong;

static const char *json_bad(Wrong *w, const char *what, const char *where) { w->what = what; w->where = where; return NULL; }

static const char *skip_space(const char *s, const char *end) {
    while (s < end && (*s == ' ' || *s == '\n' || *s == '\t' || *s == '\r')) s++;
    return s;
}

/* Are these eight bytes neither quotes, backslashes nor control characters? Most of a text is passed over in such steps. (A
 * byte of x below n leaves its high bit in (x - n..) & ~x; the borrow may set the next one's too: then they are looked at.) */
static int is_plain(const char *s) {
    const uint64_t ones = 0x0101010101010101u;
    uint64_t x, quote, slash;
    memcpy(&x, s, 8);
    quote = x ^ '"' * ones; slash = x ^ '\\' * ones;
    return !((((x - 0x20 * ones) & ~x) | ((quote - ones) & ~quote) | ((slash - ones) & ~slash)) & 0x80 * ones);
}

static const char *json_string_end(const char *s, const char *end, Wrong *w) {
    for (s++; s < end && *s != '"'; s++) {
        while (end - s > 8 && is_plain(s)) s += 8;
        if (*s == '"') break;
        if ((unsigned char)*s < 0x20) return json_bad(w, "a control character in a string", s);
        if (*s != '\\') continue;
        if (++s == end) break;
        if (*s == 'u') {
            int i;
            for (i = 1; i <= 4; i++)
                if (end - s <= i || !(is_digit(s[i]) || (lower(s[i]) >= 'a' && lower(s[i]) <= 'f')))
                    return json_bad(w, "\\u without four hexadecimal digits", s);
            s += 4;
        } else if (!*s || !strchr("\"\\/bfnrt", *s)) return json_bad(w, "an unknown escape in a string", s);
    }
    return s < end ? s + 1 : json_bad(w, "a string without its closing quote", s);
}

static const char *skip_digits(const char *s, const char *end) {
    while (s < end && is_digit(*s)) s++;
    return s;
}

static const char *json_number_end(const char *s, const char *end, Wrong *w) {
    const char *from = s, *digits = s + (*s == '-');
    int good;
    s = skip_digits(digits, end);
    good = s == digits + 1 || (s > digits && *digits != '0');
    if (s < end && *s == '.') { digits = s + 1; s = skip_digits(digits, end); good &= s > digits; }
    if (s < end && lower(*s) == 'e') {
        digits = s + 1 + (end - s > 1 && (s[1] == '-' || s[1] == '+'));
        s = skip_digits(digits, end);
        good &= s > digits;
    }
    return good ? s : json_bad(w, "not a JSON value", from);
}

static const char *json_end(const char *s, const char *end, int depth, Wrong *w) {
    if (s == end) return json_bad(w, "a value is missing", s);
    if (depth >= 100) return json_bad(w, "nested deeper than 100 levels", s);
    if (*s == '"') return json_string_end(s, end, w);
    if (*s == '{' || *s == '[') {
        char close = *s == '{' ? '}' : ']';
        s = skip_space(s + 1, end);
        if (s < end && *s == close) return s + 1;
        for (;;) {
            if (close == '}') {
                if (s == end || *s != '"') return json_bad(w, "a field name in quotes was expected", s);
                s = json_string_end(s, end, w);
                if (!s) return NULL;
                s = skip_space(s, end);
                if (s == end || *s != ':') return json_bad(w, "':' was expected", s);
                s = skip_space(s + 1, end);
            }
            s = json_end(s, end, depth + 1, w);
            if (!s) return NULL;
            s = skip_space(s, end);
            if (s < end && *s == close) return s + 1;
            if (s == end || *s != ',')
                return json_bad(w, close == '}' ? "',' or '}' was expected" : "',' or ']' was expected", s);
            s = skip_space(s + 1, end);
        }
    }
    if (end - s >= 4 && (memcmp(s, "true", 4) == 0 || memcmp(s, "null", 4) == 0)) return s + 4;
    if (end - s >= 5 && memcmp(s, "false", 5) == 0) return s + 5;
    return json_number_end(s, end, w);
}

/* The next element of the checked array or object `json`: *at is 0 to begin with. Returns 0 at the end. */
static int json_next(Span json, size_t *at, Member *m) {
    const char *end, *s, *to;
    Wrong w;
    if (json.n == 0 || (json.s[0] != '{' && json.s[0] != '[')) return 0;
    end = json.s + json.n;
    s = skip_space(json.s + (*at ? *at : 1), end);
    if (s < end && *s == ',') s = skip_space(s + 1, end);
    if (s >= end || *s == '}' || *s == ']') return 0;
    m->key.s = s; m->key.n = 0;
    if (json.s[0] == '{') {
        to = json_string_end(s, end, &w);
        m->key.s = s + 1; m->key.n = (size_t)(to - s) - 2;
        s = skip_space(skip_space(to, end) + 1, end);
    }
    to = json_end(s, end, 0, &w);
    m->value.s = s; m->value.n = (size_t)(to - s);
    *at = (size_t)(to - json.s);
    return 1;
}

/* The value of field `key` (n = 0: there is none). Of a doubled field the last one counts, as everywhere. */
static Span json_get(Span json, const char *key) {
    Span found = { NULL, 0 };
    Member m;
    size_t at = 0;
    if (json.n && json.s[0] == '{') while (json_next(json, &at, &m)) if (same(m.key, key)) found = m.value;
    return found;
}

/* Writes ,"key":value as they stand (the comma where *any were before). */
static void put_member(Env *e, Buf *b, const Member *m, size_t *any) {
    put_text(e, b, (*any)++ ? ",\"" : "\"");
    put(e, b, m->key.s, m->key.n);
    put_text(e, b, "\":");
    put(e, b, m->value.s, m->value.n);
}

/* Checks that `text` is one JSON value and nothing else. */
static int json_check(Env *e, Span text, const char *file, size_t line) {
    const char *end = text.s + text.n, *s = skip_space(text.s, end), *to;
    Wrong w = { NULL, NULL };
    to = json_end(s, end, 0, &w);
    if (to && skip_space(to, end) != end) to = json_bad(&w, "something behind the end of the value", skip_space(to, end));
    if (to) return 0;
    if (line) return fail(e, "%s, line %zu, column %zu: not JSON: %s", file, line, (size_t)(w.where - text.s) + 1, w.what);
    return fail(e, "%s, byte %zu: not JSON: %s", file, (size_t)(w.where - text.s), w.what);
}

static uint32_t hex4(const char *s) {
    uint32_t c = 0;
    int i;
    for (i = 0; i < 4; i++) c = c << 4 | (uint32_t)(is_digit(s[i]) ? s[i] - '0' : lower(s[i]) - 'a' + 10);
    return c;
}

/* The text of a JSON string value: escapes undone, bytes that are not UTF-8 made U+FFFD. */
static void put_unquoted(Env *e, Buf *b, Span json) {
    const char *s = json.s + 1, *end = json.s + json.n - 1, *from;
    static const char plain[] = "\"\\/bfnrt", meant[] = "\"\\/\b\f\n\r\t";
    uint32_t c;
    while (s < end) {
        for (from = s; s < end && *s != '\\' && (unsigned char)*s < 0x80; s++) ;
        put(e, b, from, (size_t)(s - from));
        if (s == end) break;
        if (*s != '\\') { s += utf8(s, (size_t)(end - s), &c); put_utf8(e, b, c); continue; }
        if (s[1] != 'u') { put(e, b, meant + (strchr(plain, s[1]) - plain), 1); s += 2; continue; }
        c = hex4(s + 2);
        s += 6;
        if (c >= 0xd800 && c < 0xdc00 && end - s >= 6 && s[0] == '\\' && s[1] == 'u') {
            uint32_t low = hex4(s + 2);
            if (low >= 0xdc00 && low < 0xe000) { c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00); s += 6; }
        }
        put_utf8(e, b, c >= 0xd800 && c < 0xe000 ? 0xfffd : c);
    }
}

static void put_quoted(Env *e, Buf *b, Span text) {
    size_t i = 0, from;
    uint32_t c;
    put(e, b, "\"", 1);
    while (i < text.n) {
        for (from = i; i < text.n && (unsigned char)text.s[i] >= 0x20 && (unsigned char)text.s[i] < 0x7f && text.s[i] != '"'
            && text.s[i] != '\\'; i++) ;
        put(e, b, text.s + from, i - from);
        if (i == text.n) break;
        i += utf8(text.s + i, text.n - i, &c);
        if (c == '"' || c == '\\') { put(e, b, "\\", 1); put_utf8(e, b, c); }
        else if (c == '\n') put_text(e, b, "\\n");
        else if (c == '\t') put_text(e, b, "\\t");
        else if (c == '\r') put_text(e, b, "\\r");
        else if (c < 0x20 || c == 0x7f) put_format(e, b, "\\u%04x", (unsigned)c);
        else put_utf8(e, b, c);
    }
    put(e, b, "\"", 1);
}

/* Writes JSON by a pattern, ' for ": %q a Span as a quoted text, %r a Span as it stands, %s a C text as it stands, %u a
 * size_t, %f a number with six decimals. */
static void put_json(Env *e, Buf *b, const char *form, ...) {
    va_list args;
    va_start(args, form);
    for (; *form; form++)
        if (*form != '%') put(e, b, *form == '\'' ? "\"" : form, 1);
        else if (*++form == 'q') put_quoted(e, b, va_arg(args, Span));
        else if (*form == 'r') { Span raw = va_arg(args, Span); put(e, b, raw.s, raw.n); }
        else if (*form == 's') put_text(e, b, va_arg(args, const char *));
        else if (*form == 'u') put_format(e, b, "%zu", va_arg(args, size_t));
        else put_fixed(e, b, va_arg(args, double));
    va_end(args);
}

/* Number of a JSON value: 1 when it is a finite one. */
static int json_number(Span json, double *x) {
    return json.n && (is_digit(json.s[0]) || json.s[0] == '-') && parse_number(json.s, json.n, x) == json.n && *x - *x == 0.0;
}

/* The number of field `key`, perhaps a whole one, from low to high: 1, or 0 where there is none. */
static int json_field(Env *e, const char *file, Span json, const char *key, double low, double high, int is_whole, double *x) {
    Span v = json_get(json, key);
    if (v.n == 0 || same(v, "null")) return 0;
    if (json_number(v, x) && *x >= low && *x <= high && (!is_whole || *x == (double)(size_t)*x)) return 1;
    return fail(e, "%s, field \"%s\": a %snumber from %.10g to %.10g was expected, found %.*s", file, key,
        is_whole ? "whole " : "", low, high, SHOWN(v));
}

/* Fields that mean something only when they say more than no. */
static int refuse_fields(Env *e, const char *file, Span json, const char *const *names) {
    for (; *names; names++) {
        Span v = json_get(json, *names);
        if (v.n && !same(v, "null") && !same(v, "false") && !same(v, "{}"))
            return fail(e, "%s, field \"%s\": is not supported, found %.*s", file, *names, SHOWN(v));
    }
    return 0;
}

static int expect_field(Env *e, const char *file, Span json, const char *key, const char *only) {
    Span v = json_get(json, key);
    return same(v, only) ? 0 : fail(e, "%s, field \"%s\": %s was expected, found %.*s", file, key, only, SHOWN(v));
}

static int read_json(Env *e, const char *path, Span *json) {
    TRY(load_file(e, path, json));
    TRY(json_check(e, *json, path, 0));
    *json = trim(*json);
    return 0;
}

/* "key = value" lines, with [sections] and # comments: recipes and suites. */
typedef struct { char *section, *key, *value; size_t line; } Setting;

static int load_settings(Env *e, const char *path, Setting **list, size_t *n) {
    Span text, line, key;
    size_t cap = 0, number = 0;
    char *section = copy(e, "", 0);
    *list = NULL; *n = 0;
    TRY(load_file(e, path, &text));
    while (text.n) {
        line = trim(upto(&text, '\n'));
        number++;
        if (line.n == 0 || line.s[0] == '#') continue;
        if (line.s[0] == '[' && line.s[line.n - 1] == ']') { section = copy(e, line.s + 1, line.n - 2); continue; }
        if (!memchr(line.s, '=', line.n))
            return fail(e, "%s, line %zu: \"key = value\" was expected, found \"%.*s\"", path, number, SHOWN(line));
        TRY(room(e, list, *n, &cap, sizeof **list));
        key = trim(upto(&line, '='));
        line = trim(line);
        (*list)[*n].section = section;
        (*list)[*n].key = copy(e, key.s, key.n);
        (*list)[*n].value = copy(e, line.s, line.n);
        (*list)[(*n)++].line = number;
    }
    return e->error[0] ? -1 : 0;
}

/* The value of a setting in its section, or `otherwise`. */
static const char *setting(const Setting *list, size_t n, const char *section, const char *key, const char *otherwise) {
    size_t i;
    for (i = 0; i < n; i++) if (strcmp(list[i].section, section) == 0 && strcmp(list[i].key, key) == 0) return list[i].value;
    return otherwise;
}

/* ------------------------------------------------- records ------------------------------------------------------------
 * What flows between the verbs: one JSON object a line. Prompt files, candidates, chosen answers and training text are
 * all records; fields we don't know pass through untouched. A file that begins with '[' is one array of records.
 *
 *     prompt      {"id": "7", "prompt": "..."}  or Alpaca's {"instruction", "input", "output"}  or a conversation:
 *                 {"messages": [{"role": "user", "content": "..."}, ..]}, ShareGPT's {"conversations": [{"from", "value"}, ..]}
 *     candidate   {"id": "7", "candidate": 3, "prompt": "...", "completion": "...", "scores": {"words": 33}}
 *     text        {"text": "..."}: trained on as a whole
 */
enum { PROMPT, INSTRUCTION, INPUT, SYSTEM, COMPLETION, FIELDS };
typedef struct { Span field[FIELDS]; } Turn;         /* Alpaca's prompt: instruction, newline, input */

typedef struct {
    Span raw;                    /* the object as it stands in the file */
    Span id, prompt, completion; /* decoded; of a conversation the last turn's */
    int has_prompt, has_completion, is_text;
    size_t number;               /* of the record in its file, from 0 */
    size_t candidate;
    Turn *turn;                  /* [n_turns] one, or a conversation's */
    size_t n_turns, turn_cap;
    Buf text;                    /* what the spans point into; kept for the next record */
} Record;

typedef struct { In in; size_t number; const char *unit; } Records;         /* unit: what in.line counts, for messages */

static int open_records(Env *e, Records *r, const char *path) {
    In *in = &r->in;
    Span array;
    Member m;
    size_t i = 0, at = 0;
    memset(r, 0, sizeof *r);
    r->unit = "line";
    TRY(open_in(e, in, path));
    do {
        TRY(fill(e, in));
        if (in->n >= 3 && memcmp(in->s, "\xef\xbb\xbf", 3) == 0) memset(in->s, ' ', 3);      /* a byte order mark */
        for (i = 0; i < in->n && is_space((unsigned char)in->s[i]); i++) continue;
    } while (i == in->n && !in->end);
    if (i == in->n || in->s[i] != '[') return 0;
    r->unit = "record";                          /* one array: it is made into lines, an element each */
    while (!in->end) TRY(fill(e, in));
    array.s = in->s; array.n = in->n;
    array = trim(array);
    TRY(json_check(e, array, in->path, 0));
    for (i = 0; i < in->n; i++) if (in->s[i] == '\n' || in->s[i] == '\r') in->s[i] = ' ';
    i = (size_t)(array.s - in->s);
    in->s[i + array.n - 1] = '\n';
    while (json_next(array, &at, &m)) *strpbrk(in->s + i + at, ",\n") = '\n';
    in->s[i] = ' ';
    return 0;
}

/* The same of records that are in memory. */
static void open_text(Records *r, const char *name, Span text) {
    memset(r, 0, sizeof *r);
    r->in.path = name; r->in.s = (char *)(uintptr_t)text.s; r->in.n = text.n; r->in.end = 1;
}

/* Decodes the first of several fields of `object` that is there, into the record's text: 1, 0 for none, -1. */
static int take(Env *e, Record *r, Span object, const char *where, const char *const *names, Span *to) {
    for (; *names; names++) {
        Span v = json_get(object, *names);
        if (v.n == 0 || same(v, "null")) continue;
        if (v.s[0] != '"' && strcmp(*names, "answer") == 0) continue;      /* the number of a choice: see suites */
        if (v.s[0] != '"' && strcmp(*names, "id") != 0)
            return fail(e, "%s, field \"%s\": a text was expected, found %.*s", where, *names, SHOWN(v));
        to->s = r->text.s + r->text.n;
        if (v.s[0] == '"') put_unquoted(e, &r->text, v); else put(e, &r->text, v.s, v.n);
        to->n = (size_t)(r->text.s + r->text.n - to->s);
        return 1;
    }
    return 0;
}

static int add_turn(Env *e, Record *r, Span prompt, Span system) {
    Turn turn = { { prompt, prompt, { "", 0 }, system, { "", 0 } } };
    TRY(room(e, &r->turn, r->n_turns, &r->turn_cap, sizeof turn));
    r->turn[r->n_turns++] = turn;
    return 0;
}

/* A conversation: perhaps a system message, then user and assistant by turns. 1: the last word is the assistant's. */
static int take_messages(Env *e, Record *r, Span list, const char *where) {
    Span role, text, system = { "", 0 };
    size_t at = 0;
    int asked = 0;
    Member m;
    while (json_next(list, &at, &m)) {
        if (take(e, r, m.value, where, NAMES("role", "from"), &role) <= 0
            || take(e, r, m.value, where, NAMES("content", "value"), &text) <= 0)
            return fail(e, "%s: a message {\"role\", \"content\"} was expected, found %.*s", where, SHOWN(m.value));
        if (same(role, "system") && !system.n && !r->n_turns) system = text;
        else if ((same(role, "user") || same(role, "human")) && !asked) {
            TRY(add_turn(e, r, text, system));
            system.n = 0; asked = 1;
        } else if ((same(role, "assistant") || same(role, "gpt")) && asked) {
            r->turn[r->n_turns - 1].field[COMPLETION] = text;
            asked = 0;
        } else return fail(e, "%s: a message of role \"%.*s\" out of turn: user and assistant alternate, a system message "
            "may come first", where, SHOWN(role));
    }
    return r->n_turns ? !asked : fail(e, "%s: a conversation without a user's message", where);
}

/* What a record asks: messages, or instruction and input. A prompt beside them that is not theirs goes before them. */
static int take_prompt(Env *e, Record *r, const char *where) {
    Span talk = json_get(r->raw, "messages"), own = { "", 0 }, text = own, none = own;
    int some;
    if (talk.n == 0) talk = json_get(r->raw, "conversations");
    TRY(r->has_prompt = take(e, r, r->raw, where, NAMES("prompt"), &own));
    if (talk.n && talk.s[0] == '[') TRY(r->has_completion = take_messages(e, r, talk, where));
    else {
        TRY(some = take(e, r, r->raw, where, NAMES("instruction"), &text));
        if (some) {
            TRY(add_turn(e, r, text, none));
            put(e, &r->text, "\n", 1);
            TRY(take(e, r, r->raw, where, NAMES("input"), &r->turn[0].field[INPUT]));
            if (r->turn[0].field[INPUT].n) r->turn[0].field[PROMPT].n += 1 + r->turn[0].field[INPUT].n;
        }
    }
    if (r->n_turns && (!r->has_prompt || equal(own, r->turn[r->n_turns - 1].field[PROMPT]))) return r->has_prompt = 1;
    r->n_turns = 0; r->has_completion = 0;
    return add_turn(e, r, own, none);
}

/* The next object: 1, or 0 at the end, or -1. It is valid until the next call. */
static int next_object(Env *e, Records *rs, Span *raw) {
    do {
        int any = next_line(e, &rs->in, raw);
        if (any <= 0) return any;
        *raw = trim(*raw);
    } while (raw->n == 0);
    TRY(json_check(e, *raw, rs->in.path, rs->in.line));
    rs->number++;
    return 1;
}

/* The next record, likewise. */
static int next_record(Env *e, Records *rs, Record *r) {
    double candidate = 0;
    Span *answer;
    char where[360];
    int given, any = next_object(e, rs, &r->raw);
    if (any <= 0) return any;
    snprintf(where, sizeof where, "%.300s, %s %zu", rs->in.path, rs->unit, rs->in.line);
    if (r->raw.s[0] != '{') return fail(e, "%s: a record {...} was expected, found %.*s", where, SHOWN(r->raw));
    if (r->text.cap < 4 * r->raw.n + 64) {       /* the raw bytes, and three for each that is not UTF-8: it never moves */
        drop(e, r->text.s);
        r->text.cap = 8 * r->raw.n + 64;
        if (!(r->text.s = get(e, r->text.cap, 1))) return -1;
    }
    r->text.n = r->n_turns = 0;
    r->is_text = r->has_completion = 0;
    r->number = rs->number - 1;
    r->id.s = r->text.s;
    if (!take(e, r, r->raw, where, NAMES("id"), &r->id)) { put_format(e, &r->text, "%zu", r->number); r->id.n = r->text.n; }
    TRY(take_prompt(e, r, where));
    answer = &r->turn[r->n_turns - 1].field[COMPLETION];
    TRY(given = take(e, r, r->raw, where, NAMES("completion", "response", "output", "answer"), answer));
    r->has_completion |= given;
    if (!r->has_completion && !r->has_prompt) TRY(r->is_text = take(e, r, r->raw, where, NAMES("text"), answer));
    if (!r->has_prompt && !r->has_completion && !r->is_text)
        return fail(e, "%s: no field \"prompt\", \"instruction\", \"messages\", \"completion\" or \"text\"", where);
    TRY(json_field(e, where, r->raw, "candidate", 0, 1 << 20, 1, &candidate));
    r->candidate = (size_t)candidate;
    r->prompt = r->turn[r->n_turns - 1].field[PROMPT];
    r->completion = *answer;
    return e->error[0] ? -1 : 1;
}

/* The number of a field that may stand in "scores" or beside it: 1 when there is one. */
static int record_field(Span raw, const char *name, double *x) {
    return json_number(json_get(json_get(raw, "scores"), name), x) || json_number(json_get(raw, name), x);
}

/* One prompt's answers. They stand together in a file; the group ends where the id changes. */
typedef struct {
    Record *r;                   /* [n] the candidates in the order of the file */
    size_t n, cap, ahead;        /* ahead: r[n] is the next group's first record, already read */
} Group;

static int next_group(Env *e, Records *rs, Group *g) {
    if (g->ahead) {              /* what was read too far last time comes first now */
        Record first = g->r[0];
        g->r[0] = g->r[g->n]; g->r[g->n] = first;
        g->n = 1; g->ahead = 0;
    } else g->n = 0;
    for (;;) {
        int any;
        TRY(room(e, &g->r, g->n, &g->cap, sizeof *g->r));
        any = next_record(e, rs, &g->r[g->n]);
        if (any < 0) return -1;
        if (any) {                       /* the line's bytes move when the next one is read: keep them */
            Record *r = &g->r[g->n];
            put(e, &r->text, r->raw.s, r->raw.n);
            r->raw.s = r->text.s + r->text.n - r->raw.n;
        }
        if (!any) return g->n > 0;
        if (g->n && !equal(g->r[g->n].id, g->r[0].id)) {
            g->ahead = 1;
            return 1;
        }
        g->n++;
    }
}

/* Notices a name that comes back. */
static int seen_before(Env *e, Names *seen, Span name) {
    size_t *times = number_for(e, seen, hash(name.s, name.n));
    return times ? (*times)++ > 0 : -1;
}

/* Binary files are little-endian and read byte by byte. */
static uint32_t le32(const void *at) {
    const unsigned char *p = at;
    return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static float le_float(const void *at) {
    uint32_t u = le32(at);
    float x = 0;
    memcpy(&x, &u, 4);
    return x;
}

static uint64_t le64(const void *at) { return le32(at) | (uint64_t)le32((const char *)at + 4) << 32; }

static void put_le32(Env *e, Buf *b, uint32_t u) {
    char s[4] = { (char)(u & 0xff), (char)(u >> 8 & 0xff), (char)(u >> 16 & 0xff), (char)(u >> 24) };
    put(e, b, s, 4);
}

/* GGUF, the file of llama.cpp: "GGUF", u32 version (2, 3), u64 number of tensors, u64 number of fields; then the fields,
 * a key (u64 length, bytes), u32 type, value each; then names, shapes, types and places of the tensors; then, aligned,
 * their numbers. An array is u32 type, u64 length, values. A Value is read from the front, like a stream. */
enum { GGUF_TEXT = 8, GGUF_ARRAY = 9 };
static const unsigned char gguf_bytes[13] = { 1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8 };   /* u8 i8 u16 i16 u32 i32 f32 bool .. u64 i64 f64 */
typedef struct { uint32_t type; uint64_t n; const char *s, *end; } Value;          /* n values of a type from s on */

static int take_text(Value *v, Span *text) {
    if (v->n == 0 || v->type != GGUF_TEXT || v->end - v->s < 8 || le64(v->s) > (uint64_t)(v->end - v->s - 8)) return 0;
    text->s = v->s + 8; text->n = (size_t)le64(v->s);
    v->s = text->s + text->n;
    v->n--;
    return 1;
}

static int take_number(Value *v, double *x) {
    uint64_t u = 0, sign;
    size_t bytes = v->type < 13 ? gguf_bytes[v->type] : 0, i;
    if (v->n == 0 || bytes == 0 || (size_t)(v->end - v->s) < bytes) return 0;
    for (i = bytes; i-- > 0;) u = u << 8 | (unsigned char)v->s[i];
    sign = (uint64_t)1 << (8 * bytes - 1);
    if (v->type == 6) *x = (double)le_float(v->s);
    else if (v->type == 12) *x = from_bits64(u);
    else if ((v->type == 11 || (v->type < 6 && v->type & 1)) && u & sign) *x = -(double)(sign - (u & (sign - 1)));
    else *x = (double)u;
    v->s += bytes;
    v->n--;
    return 1;
}

/* One number of a type; -1 past the end. */
static double take_one(Value *v, uint32_t type) {
    double x = -1;
    v->type = type; v->n = 1;
    return take_number(v, &x) ? x : -1;
}

/* The value of a field: 1, or 0 where there is none. Without a key: where the tensors' names begin. */
static int gguf_find(Env *e, const char *path, Span file, const char *key, Value *v) {
    Value name = { GGUF_TEXT, 1, NULL, file.s + file.n };
    Span field = { NULL, 0 }, text;
    uint64_t i, fields;
    if (file.n < 24 || memcmp(file.s, "GGUF", 4) || le32(file.s + 4) < 2 || le32(file.s + 4) > 3)
        return fail(e, "%s: a GGUF file of version 2 or 3 was expected", path);
    fields = le64(file.s + 16);
    name.s = file.s + 24;
    for (i = 0; i < fields; i++) {
        name.n = 1;
        if (!take_text(&name, &field) || name.end - name.s < 4) goto cut;
        v->type = le32(name.s); v->n = 1; v->s = name.s + 4; v->end = name.end;
        if (v->type == GGUF_ARRAY) {
            if (v->end - v->s < 12) goto cut;
            v->type = le32(v->s); v->n = le64(v->s + 4); v->s += 12;
        }
        if (key && same(field, key)) return 1;
        if (v->type == GGUF_TEXT) { while (v->n) if (!take_text(v, &text)) goto cut; }
        else if (v->type > 12 || v->type == GGUF_ARRAY || v->n > (uint64_t)(v->end - v->s) / gguf_bytes[v->type]) goto cut;
        else v->s += v->n * gguf_bytes[v->type];
        name.s = v->s;
    }
    v->s = name.s; v->end = name.end;
    return 0;
cut:
    return fail(e, "%s: field \"%.*s\": passes the end of the file, or is of an unknown type", path, SHOWN(field));
}

/* ------------------------------------------------- going on ----------------------------------------------------------
 * What an interrupted run left in an output: keeps its whole lines, as many as `group` divides, and with `mark` those up
 * to the last that has such a field, which is copied to *marked. Returns their number in *lines. */
static int keep_lines(Env *e, Out *o, size_t group, const char *mark, size_t *lines, Buf *marked) {
    In in;
    Span line;
    Wrong w;
    size_t n = 0, at = 0, whole_at = 0;
    *lines = 0;
    if (o->f == stdout || o->part == o->path) return 0;
    memset(&in, 0, sizeof in);
    in.path = o->part; in.f = o->f;
    rewind(o->f);
    while (next_line(e, &in, &line) > 0 && in.s[in.at - 1] == '\n' && line.n
           && json_end(line.s, line.s + line.n, 0, &w) == line.s + line.n) {
        at += line.n + 1;
        if (++n % group || (mark && !json_get(line, mark).n)) continue;
        *lines = n; whole_at = at;
        if (mark) { marked->n = 0; put(e, marked, json_get(line, mark).s, json_get(line, mark).n); }
    }
    drop(e, in.s);
    o->keep = whole_at > 0;
    if (e->error[0] || fflush(o->f) != 0 || ftruncate(fileno(o->f), (off_t)whole_at) != 0 || fseek(o->f, 0, SEEK_END) != 0)
        return fail(e, "%s: cannot go on with it: %s", o->part, strerror(errno));
    return 0;
}

/* Writes text that a later run can go on from. */
static int write_whole(Env *e, Out *o, Buf *b) {
    if (!b->n) return 0;
    TRY(write_buf(e, o, b));
    if (fflush(o->f) != 0) return fail(e, "%s: cannot write: %s", o->path ? o->path : "standard output", strerror(errno));
    o->keep = 1;
    return 0;
}

/* =============================================== Tokenizer ============================================================
 * SentencePiece's byte-pair encoding as Llama and Mistral use it. A vocabulary is a list of pieces with scores. A text is
 * cut into characters; then, again and again, the two neighbours whose joint text is the best-scored piece are merged,
 * leftmost first among equals. Characters outside the vocabulary become their UTF-8 bytes, so any text has an encoding and
 * decode(encode(x)) = x. Marks (<s>, </s>, what a fine-tune has added) are never found in a text: only a template can
 * put them, so no record can act as one.
 *
 * Format notes. tokenizer.bin (llama2.c): int32 length of the longest piece; then for each id float score, int32 length,
 * bytes; little-endian; ids 0, 1, 2 are unknown, begin and end of text, 3 + b is the byte b. tokenizer.model
 * (SentencePiece): a protobuf message; field 1, repeated: {1 piece, 2 score, 3 kind}; 2: the trainer, 3: the normalizer.
 * tokenizer.json (Hugging Face): pieces in "model.vocab", and "model.merges", the pairs that may be merged, best first.
 * Traps: files but tokenizer.bin write U+2581 for a space (one in a text stays three bytes here, or it would come back as
 * a space). A text, and what follows a mark, begins with one made-up space (the "dummy prefix"), which decoding takes off.
 * remove_extra_whitespaces, which tokenizer.model may ask for, would lose text: as in llama2.c and llama.cpp it is not heard.
 */
enum { UNKNOWN = 0, BOS = 1, EOS = 2, BYTES = 3, PIECES = 259 };            /* ids where a file does not say otherwise */
enum { NORMAL = 1, UNKNOWN_MARK, MARK, ADDED, UNUSED, BYTE };               /* kinds, as SentencePiece and GGUF number them */

typedef struct {
    size_t n, cap;               /* number of pieces */
    Span *piece;                 /* [n] */
    float *score;                /* [n] */
    unsigned char *kind;         /* [n] */
    Names ids;                   /* of pieces: id + 1 */
    Names ranks;                 /* of pairs of ids: rank among the merges, from 1; empty where scores decide */
    int byte[256];               /* [b] id of the byte b */
    int no_prefix;               /* the file wants no dummy prefix */
    const char *format;          /* what a file of its kind is called */
} Tokenizer;

/* Two ids as one key. */
static uint64_t pair_key(int a, int b) { return (uint64_t)(uint32_t)a << 32 | (uint32_t)b; }

/* The id of a piece of text, or with `mark` of a mark; -1 for none. */
static int find_piece(const Tokenizer *t, const char *s, size_t n, int mark) {
    size_t id = find_number(&t->ids, hash(s, n));
    Span name = { s, n };
    return id && id <= t->n && equal(t->piece[id - 1], name) && mark == (t->kind[id - 1] != NORMAL) ? (int)id - 1 : -1;
}

static int add_piece(Env *e, Tokenizer *t, Span piece, float score, int kind) {
    size_t cap = t->cap, again = t->cap, *id;
    char name[8];
    TRY(room(e, &t->piece, t->n, &cap, sizeof *t->piece));
    TRY(room(e, &t->score, t->n, &again, sizeof *t->score));
    TRY(room(e, &t->kind, t->n, &t->cap, sizeof *t->kind));
    t->piece[t->n] = piece; t->score[t->n] = score; t->kind[t->n] = (unsigned char)kind;
    if (kind == BYTE) {
        unsigned b = piece.n == 6 ? hex4(piece.s + 1) & 0xff : 0;          /* of "0x0A" the last two digits remain */
        snprintf(name, sizeof name, "<0x%02X>", b);
        if (same(piece, name)) t->byte[b] = (int)t->n;
    } else {
        if (!(id = number_for(e, &t->ids, hash(piece.s, piece.n)))) return -1;
        if (!*id) *id = t->n + 1;                            /* of doubles the first counts */
    }
    t->n++;
    return 0;
}

/* Files but tokenizer.bin write U+2581 for a space: the text with spaces, in place. */
static Span with_spaces(char *s, size_t n) {
    Span text = { s, 0 };
    size_t i;
    for (i = 0; i < n; i++, text.n++) {
        int space = n - i >= 3 && memcmp(s + i, "\xe2\x96\x81", 3) == 0;
        s[text.n] = space ? ' ' : s[i];
        i += space ? 2 : 0;
    }
    return text;
}

/* A piece as SentencePiece and GGUF have it. Who has added all calls check_tokenizer(). */
static int add_escaped(Env *e, Tokenizer *t, Span piece, float score, int kind) {
    char *text = copy(e, piece.s, piece.n);
    return text ? add_piece(e, t, with_spaces(text, piece.n), score, kind) : -1;
}

static int check_tokenizer(Env *e, const char *path, const Tokenizer *t) {
    size_t i;
    for (i = 0; i < 256; i++)
        if (!t->byte[i]) return fail(e, "%s: of %zu pieces none is the byte <0x%02X>: a vocabulary with bytes, as Llama's "
            "and Mistral's, was expected", path, t->n, (unsigned)i);
    for (i = 0; i < t->n; i++)
        if (!(t->score[i] > -1e30f && t->score[i] < 1e30f))
            return fail(e, "%s: piece %zu: its score is not a finite number", path, i);
    return 0;
}

static int read_pieces(Env *e, const char *path, Span text, Tokenizer *t) {
    size_t at = 4;
    Span piece;
    if (text.n < 4) return fail(e, "%s: not a tokenizer: %zu bytes are too few", path, text.n);
    while (at < text.n) {
        int kind = t->n == 0 ? UNKNOWN_MARK : t->n < BYTES ? MARK : t->n < PIECES ? BYTE : NORMAL;
        if (text.n - at < 8 || le32(text.s + at + 4) > text.n - at - 8)
            return fail(e, "%s: piece %zu: its length passes the end of the file (not a tokenizer.bin, or cut off)", path, t->n);
        piece.s = text.s + at + 8; piece.n = le32(text.s + at + 4);
        if (t->n > 2 && piece.n == 0) return fail(e, "%s: piece %zu: is empty", path, t->n);
        TRY(add_piece(e, t, kind == MARK ? trim(piece) : piece, le_float(text.s + at), kind));   /* "\n<s>\n" in the file */
        at += 8 + piece.n;
    }
    return 0;
}

/* Protobuf: a message is a row of fields, each a key (number * 8 + type) and a number of seven bits a byte (type 0), 8 bytes
 * (1), a length and bytes (2), or 4 bytes (5). Gives the next field's number; 0 at the end, -1 where it is damaged. */
static int varint(Span *m, uint64_t *x) {
    int shift = 0, c = 128;
    for (*x = 0; m->n && shift < 64 && c >= 128; shift += 7, m->s++, m->n--) {
        c = (unsigned char)*m->s;
        *x |= (uint64_t)(c & 127) << shift;
    }
    return c < 128 ? 0 : -1;
}

static int next_field(Span *m, uint64_t *x, Span *part) {
    uint64_t key, n;
    if (m->n == 0) return 0;
    TRY(varint(m, &key));
    if ((key & 7) == 0 || (key & 7) == 2) TRY(varint(m, x));
    n = (key & 7) == 0 ? 0 : (key & 7) == 1 ? 8 : (key & 7) == 2 ? *x : (key & 7) == 5 ? 4 : UINT64_MAX;
    if (n > m->n || key < 8 || key >> 3 > 1u << 28) return -1;
    if ((key & 7) == 5) *x = le32(m->s);
    part->s = m->s; part->n = (size_t)n;
    m->s += n; m->n -= (size_t)n;
    return (int)(key >> 3);
}

static int read_sentencepiece(Env *e, const char *path, Span text, Tokenizer *t) {
    Span message, piece, part;
    uint64_t x = 0, kind, model = 1;
    int field, inner;
    float score;
    while ((field = next_field(&text, &x, &message)) > 0) {
        piece.s = ""; piece.n = 0; score = 0; kind = NORMAL;
        if (field > 3) continue;
        while ((inner = next_field(&message, &x, &part)) > 0) {
            if (field == 1 && inner == 1) piece = part;
            if (field == 1 && inner == 2) { uint32_t u = (uint32_t)x; memcpy(&score, &u, 4); }
            if (field == 1 && inner == 3) kind = x;
            if (field == 2 && inner == 3) model = x;
            if (field == 3 && inner == 2 && part.n)
                return fail(e, "%s: normalizes the text (its charsmap is not empty), which is not supported", path);
            if (field == 3 && inner == 3) t->no_prefix = !x;
        }
        if (inner < 0 || kind < NORMAL || kind > BYTE) field = -1;
        if (field < 0) break;
        if (field == 1) TRY(add_escaped(e, t, piece, score, (int)kind));
    }
    if (field < 0) return fail(e, "%s: piece %zu: damaged, or not a SentencePiece file", path, t->n);
    if (model == 2) return 0;
    return fail(e, "%s: its model type is %d; 2 (byte-pair encoding) was expected", path, (int)(model & 255));
}

/* Of "normalizer" and "pre_tokenizer" only Llama's and Mistral's are known, which do nothing but write spaces. */
static int check_steps(Env *e, const char *path, Span step, Tokenizer *t) {
    static const char *const known[] = { "\"Sequence\"", "\"Replace\"", "\"Prepend\"", "\"Metaspace\"" };
    Span type = json_get(step, "type"), list = json_get(step, "normalizers");
    size_t at = 0, i;
    Member m;
    if (step.n == 0 || same(step, "null")) return 0;
    for (i = 0; i < COUNT(known) && !same(type, known[i]); i++) ;
    if (i == COUNT(known) || (i == 3 && !same(json_get(step, "split"), "false")))
        return fail(e, "%s: prepares its text in a way that is not Llama's or Mistral's: %.*s", path, SHOWN(step));
    if (i == 2 || (i == 3 && !same(json_get(step, "prepend_scheme"), "\"never\""))) t->no_prefix = 0;
    while (json_next(list, &at, &m)) TRY(check_steps(e, path, m.value, t));
    return 0;
}

/* The merges, best first: "left right" or ["left", "right"]. A piece's score is the rank of the first that makes it. */
static int read_merges(Env *e, const char *path, Span merges, Tokenizer *t) {
    Buf text = { NULL, 0, 0 };
    size_t at = 0, inner, rank = 1, *r;
    Member m, side;
    for (; json_next(merges, &at, &m); rank++, text.n = 0) {
        Span left, right;
        int a, b, joint;
        if (m.value.s[0] == '"') put_unquoted(e, &text, m.value);
        else for (inner = 0; json_next(m.value, &inner, &side); put_text(e, &text, " "))
            if (side.value.s[0] == '"') put_unquoted(e, &text, side.value);
        put_text(e, &text, " ");
        if (e->error[0]) return -1;
        right = whole(&text);
        left = upto(&right, ' ');
        right = upto(&right, ' ');
        right = with_spaces(text.s + left.n + 1, right.n);
        left = with_spaces(text.s, left.n);
        a = find_piece(t, left.s, left.n, 0); b = find_piece(t, right.s, right.n, 0);
        memmove(text.s + left.n, right.s, right.n);
        joint = find_piece(t, text.s, left.n + right.n, 0);
        if (a < 0 || b < 0 || joint < 0)
            return fail(e, "%s: merge %zu: %.*s: not of two pieces that make a third", path, rank, SHOWN(m.value));
        if (!(r = number_for(e, &t->ranks, pair_key(a, b)))) return -1;
        if (!*r) *r = rank;
        if (t->score[joint] == 0) t->score[joint] = -(float)rank;
    }
    drop(e, text.s);
    return rank > 1 ? 0 : fail(e, "%s, field \"model.merges\": is empty", path);
}

static int read_tokenizer_json(Env *e, const char *path, Span json, Tokenizer *t) {
    Span model, list[2], *quoted;                            /* quoted: [n] the pieces as they stand in the file */
    Buf text = { NULL, 0, 0 };
    size_t n = 0, at, i;
    Member m;
    unsigned char *kind;
    TRY(json_check(e, json, path, 0));
    model = json_get(json, "model"); list[0] = json_get(model, "vocab"); list[1] = json_get(json, "added_tokens");
    if (list[0].n == 0 || list[0].s[0] != '{' || !same(json_get(model, "byte_fallback"), "true"))
        return fail(e, "%s: \"model\" with a \"vocab\" and \"byte_fallback\": true, as Llama's and Mistral's, was expected",
            path);
    t->no_prefix = 1;
    TRY(check_steps(e, path, json_get(json, "normalizer"), t));
    TRY(check_steps(e, path, json_get(json, "pre_tokenizer"), t));
    for (i = 0; i < 2; i++) for (at = 0; json_next(list[i], &at, &m); n++) ;
    NEW(quoted, n);
    NEW(kind, n);
    for (i = 0; i < 2; i++) for (at = 0; json_next(list[i], &at, &m);) {
        Span name = { m.key.s - 1, m.key.n + 2 }, id = m.value;
        double x = -1;
        if (i) { name = json_get(m.value, "content"); id = json_get(m.value, "id"); }
        if (name.n < 3 || name.s[0] != '"' || !json_number(id, &x) || !(x >= 0 && x < (double)n) || x != (double)(int)x)
            return fail(e, "%s: a piece and its id, below %zu, were expected, found %.*s %.*s", path, n, SHOWN(name), SHOWN(id));
        quoted[(int)x] = name;
        kind[(int)x] = !i ? (name.n == 8 && memcmp(name.s, "\"<0x", 4) == 0 ? BYTE : NORMAL)
            : equal(name, json_get(model, "unk_token")) ? UNKNOWN_MARK
            : same(json_get(m.value, "special"), "true") ? MARK : ADDED;
    }
    while (n && !kind[n - 1]) n--;                           /* added ones are often in the vocabulary too */
    for (i = 0; i < n; i++, text.n = 0) {
        if (kind[i]) put_unquoted(e, &text, quoted[i]);
        TRY(add_escaped(e, t, whole(&text), 0, kind[i] ? kind[i] : UNUSED));
    }
    drop(e, text.s);
    return read_merges(e, path, json_get(model, "merges"), t);
}

static int read_gguf_pieces(Env *e, const char *path, Span file, Tokenizer *t) {
    static const char *const keys[] = { "tokenizer.ggml.add_space_prefix", "tokenizer.ggml.model", "tokenizer.ggml.tokens",
        "tokenizer.ggml.scores", "tokenizer.ggml.token_type" };
    Value v[COUNT(keys)];                                    /* prefix, model, tokens, scores, kinds */
    Span piece = { "", 0 };
    double x = 1, kind = NORMAL;
    size_t i;
    int found;
    for (i = 0; i < COUNT(keys); i++) {
        TRY(found = gguf_find(e, path, file, keys[i], &v[i]));
        if (!found) v[i].n = 0;
        if (!found && i) return fail(e, "%s: no field \"%s\"", path, keys[i]);
    }
    t->no_prefix = take_number(&v[0], &x) && x == 0;
    if (!take_text(&v[1], &piece) || !same(piece, "llama"))
        return fail(e, "%s, field \"tokenizer.ggml.model\": \"llama\" was expected, found \"%.*s\"", path, SHOWN(piece));
    while (take_text(&v[2], &piece) && take_number(&v[3], &x) && take_number(&v[4], &kind))
        TRY(add_escaped(e, t, piece, (float)x, kind >= NORMAL && kind <= BYTE ? (int)kind : UNUSED));
    return v[2].n ? fail(e, "%s: piece %zu of its vocabulary: damaged, or without score or type", path, t->n) : 0;
}

/* A vocabulary from tokenizer.bin, .model or .json, or a GGUF file. */
static int load_tokenizer(Env *e, const char *path, Tokenizer *t) {
    Span text;
    size_t i;
    memset(t, 0, sizeof *t);
    TRY(map_file(e, path, &text));
    for (i = 0; i < text.n && is_space((unsigned char)text.s[i]); i++) ;
    if (text.n < 4 || le32(text.s) < 1u << 16) { t->format = "tokenizer.bin"; TRY(read_pieces(e, path, text, t)); }
    else if (memcmp(text.s, "GGUF", 4) == 0) TRY(read_gguf_pieces(e, path, text, t));
    else if (i < text.n && text.s[i] == '{') { t->format = "tokenizer.json"; TRY(read_tokenizer_json(e, path, text, t)); }
    else { t->format = "tokenizer.model"; TRY(read_sentencepiece(e, path, text, t)); }
    return check_tokenizer(e, path, t);
}

/* Checkpoints of transformers may have a few rows more than pieces (padding to a round number, or pieces that only
 * added_tokens.json names): such ids are no piece. Or they have none for marks that were added and are never used. */
static int fit_tokenizer(Env *e, Tokenizer *t, size_t V) {
    while (t->n > V && t->kind[t->n - 1] != NORMAL && t->kind[t->n - 1] != BYTE) t->n--;
    if (t->format && strcmp(t->format, "tokenizer.bin"))
        while (t->n < V && V - t->n <= 64) TRY(add_piece(e, t, span(""), 0, UNUSED));
    return 0;
}

/* Encoding takes O(n log n): symbols form a linked list, possible merges wait in a heap, and one whose symbols have
 * changed since is recognised by its length and passed over. */
typedef struct { size_t start, n, left, right; } Symbol;                   /* left, right: neighbours, SIZE_MAX: none */
typedef struct { float score; size_t at, n; } Merge;                       /* score: of the joint piece, or minus its rank */

static int before(Merge a, Merge b) { return a.score > b.score || (a.score == b.score && a.at < b.at); }

static void heap_push(Merge *h, size_t *n, Merge m) {
    size_t i = (*n)++;
    for (; i && before(m, h[(i - 1) / 2]); i = (i - 1) / 2) h[i] = h[(i - 1) / 2];
    h[i] = m;
}

static Merge heap_pop(Merge *h, size_t *n) {
    Merge top = h[0], last = h[--*n];
    size_t i = 0, child;
    while ((child = 2 * i + 1) < *n) {
        if (child + 1 < *n && before(h[child + 1], h[child])) child++;
        if (!before(h[child], last)) break;
        h[i] = h[child];
        i = child;
    }
    h[i] = last;
    return top;
}

static void offer(const Tokenizer *t, const char *s, const Symbol *symbol, size_t i, Merge *heap, size_t *n) {
    const Symbol *a, *b;
    Merge m;
    int id;
    if (i == SIZE_MAX || symbol[i].right == SIZE_MAX) return;
    a = &symbol[i]; b = &symbol[a->right];
    m.at = i; m.n = a->n + b->n;
    id = find_piece(t, s + a->start, m.n, 0);
    if (id < 0) return;
    m.score = t->score[id];
    if (t->ranks.n) {
        size_t rank = find_number(&t->ranks, pair_key(find_piece(t, s + a->start, a->n, 0), find_piece(t, s + b->start, b->n, 0)));
        if (!rank) return;
        m.score = -(float)rank;
    }
    heap_push(heap, n, m);
}

/* Ids of a text: *ids [*n] belongs to the environment. `prefix`: the text begins a document (dummy prefix). */
static int encode(Env *e, const Tokenizer *t, Span text, int prefix, int **ids, size_t *n) {
    size_t bytes = text.n + 1, i, k, symbols = 0, waiting = 0;
    Symbol *symbol;
    Merge *heap;
    char *s;
    NEW(s, bytes);
    NEW(symbol, bytes);
    NEW(heap, bytes * 3);
    NEW(*ids, bytes);
    *n = bytes = 0;
    if (prefix && text.n && !t->no_prefix) s[bytes++] = ' ';
    if (text.n) memcpy(s + bytes, text.s, text.n);
    bytes += text.n;
    for (i = 0; i < bytes; i += symbol[symbols++].n) {
        uint32_t c;
        symbol[symbols].start = i;
        symbol[symbols].n = utf8(s + i, bytes - i, &c);
        symbol[symbols].left = symbols ? symbols - 1 : SIZE_MAX;
        symbol[symbols].right = i + symbol[symbols].n < bytes ? symbols + 1 : SIZE_MAX;
    }
    for (i = 0; i < symbols; i++) offer(t, s, symbol, i, heap, &waiting);
    while (waiting) {
        Merge m = heap_pop(heap, &waiting);
        Symbol *a = &symbol[m.at], *b;
        if (a->n == 0 || a->right == SIZE_MAX) continue;
        b = &symbol[a->right];
        if (a->n + b->n != m.n) continue;
        a->n = m.n; b->n = 0;
        a->right = b->right;
        if (b->right != SIZE_MAX) symbol[b->right].left = m.at;
        offer(t, s, symbol, a->left, heap, &waiting);
        offer(t, s, symbol, m.at, heap, &waiting);
    }
    for (i = symbols ? 0 : SIZE_MAX; i != SIZE_MAX; i = symbol[i].right) {
        int id = find_piece(t, s + symbol[i].start, symbol[i].n, 0);
        if (id >= 0) (*ids)[(*n)++] = id;
        else for (k = 0; k < symbol[i].n; k++) (*ids)[(*n)++] = t->byte[(unsigned char)s[symbol[i].start + k]];
    }
    drop(e, s); drop(e, symbol); drop(e, heap);
    return 0;
}

/* What transformers reads. tokenizer.json has U+2581 for spaces, and for merges every cut of a piece into two others,
 * best piece first: then merging by rank is merging by score. */
static void put_escaped(Env *e, Buf *b, Span s) {
    for (; s.n; s.s++, s.n--) if (*s.s == ' ') put(e, b, "\xe2\x96\x81", 3); else put(e, b, s.s, 1);
}

static int by_score(const void *a, const void *b) { return before(*(const Merge *)a, *(const Merge *)b) ? -1 : 1; }

static void put_merges(Env *e, Buf *b, const Tokenizer *t, const Merge *order) {
    Buf text = { NULL, 0, 0 };
    size_t i, k, any = 0;
    uint32_t c;
    for (i = 0; i < t->n; i++) {
        Span p = t->piece[order[i].at], left = p, right = p;
        if (t->kind[order[i].at] != NORMAL) continue;
        for (k = utf8(p.s, p.n, &c); k < p.n; k += utf8(p.s + k, p.n - k, &c)) {
            left.n = k; right.s = p.s + k; right.n = p.n - k;
            if (find_piece(t, left.s, left.n, 0) < 0 || find_piece(t, right.s, right.n, 0) < 0) continue;
            text.n = 0;
            put_escaped(e, &text, left); put_text(e, &text, " "); put_escaped(e, &text, right);
            put_text(e, b, any++ ? ",\n" : "\n"); put_quoted(e, b, whole(&text));
        }
    }
    drop(e, text.s);
}

static int save_tokenizer_json(Env *e, const char *path, const Tokenizer *t) {
    Buf b = { NULL, 0, 0 }, text = { NULL, 0, 0 }, first = { NULL, 0, 0 };
    Merge *order;
    size_t i, any = 0;
    NEW(order, t->n);
    put_quoted(e, &first, t->piece[BOS]);
    put_text(e, &b, "{\"version\":\"1.0\",\"truncation\":null,\"padding\":null,\"added_tokens\":[");
    for (i = 0; i < t->n; i++) {
        order[i].at = i; order[i].score = t->score[i];
        if (t->kind[i] == NORMAL || t->kind[i] == BYTE || t->piece[i].n == 0) continue;
        put_format(e, &b, "%s\n{\"id\":%zu,\"content\":", any++ ? "," : "", i);
        put_quoted(e, &b, t->piece[i]);
        put_format(e, &b, ",\"single_word\":false,\"lstrip\":false,\"rstrip\":false,\"normalized\":false,\"special\":%s}",
            t->kind[i] == ADDED ? "false" : "true");
    }
    qsort(order, t->n, sizeof *order, by_score);
    put_format(e, &b, "],\n\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[%s{\"type\":\"Replace\","
        "\"pattern\":{\"String\":\" \"},\"content\":\"\xe2\x96\x81\"}]},\n\"pre_tokenizer\":null,\n",
        t->no_prefix ? "" : "{\"type\":\"Prepend\",\"prepend\":\"\xe2\x96\x81\"},");
    put_format(e, &b, "\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[{\"SpecialToken\":{\"id\":%s,"
        "\"type_id\":0}},{\"Sequence\":{\"id\":\"A\",\"type_id\":0}}],\"pair\":[{\"Sequence\":{\"id\":\"A\",\"type_id\":0}},"
        "{\"Sequence\":{\"id\":\"B\",\"type_id\":1}}],", first.s);
    put_format(e, &b, "\"special_tokens\":{%s:{\"id\":%s,\"ids\":[%d],\"tokens\":[%s]}}},\n", first.s, first.s, BOS, first.s);
    put_format(e, &b, "\"decoder\":{\"type\":\"Sequence\",\"decoders\":[{\"type\":\"Replace\","
        "\"pattern\":{\"String\":\"\xe2\x96\x81\"},\"content\":\" \"},{\"type\":\"ByteFallback\"},{\"type\":\"Fuse\"}%s]},\n",
        t->no_prefix ? "" : ",{\"type\":\"Strip\",\"content\":\" \",\"start\":1,\"stop\":0}");
    put_text(e, &b, "\"model\":{\"type\":\"BPE\",\"dropout\":null,\"unk_token\":");
    put_quoted(e, &b, t->piece[UNKNOWN]);
    put_text(e, &b, ",\"continuing_subword_prefix\":null,\"end_of_word_suffix\":null,\"fuse_unk\":true,"
        "\"byte_fallback\":true,\"vocab\":{");
    for (i = 0; i < t->n; i++) {
        text.n = 0;
        put_escaped(e, &text, t->piece[i]);
        if (i && text.n == 0) continue;
        put_text(e, &b, i ? ",\n" : "\n"); put_quoted(e, &b, whole(&text));
        put_format(e, &b, ":%zu", i);
    }
    put_text(e, &b, "},\"merges\":[");
    put_merges(e, &b, t, order);
    put_text(e, &b, "]}}\n");
    TRY(save_file(e, path, whole(&b)));
    drop(e, order); drop(e, b.s); drop(e, text.s); drop(e, first.s);
    return 0;
}

/* A model folder's tokenizer: what stands where this one came from, and what is missing of what transformers needs. */
static int save_tokenizer_files(Env *e, const Tokenizer *t, const char *from, int end, size_t context, const char *dir) {
    static const char *const names[] = { "tokenizer.json", "tokenizer_config.json", "tokenizer.bin", "tokenizer.model",
        "special_tokens_map.json", "added_tokens.json", "chat_template.jinja" };
    char *folder = copy(e, from, strlen(from) - strlen(base_name(from)));
    int siblings = t->format && strcmp(base_name(from), t->format) == 0;
    Buf b = { NULL, 0, 0 };
    size_t i;
    put_text(e, &b, "{\"tokenizer_class\":\"PreTrainedTokenizerFast\",\"bos_token\":"); put_quoted(e, &b, t->piece[BOS]);
    put_text(e, &b, ",\"eos_token\":"); put_quoted(e, &b, t->piece[end]);
    put_text(e, &b, ",\"unk_token\":"); put_quoted(e, &b, t->piece[UNKNOWN]);
    put_format(e, &b, ",\"clean_up_tokenization_spaces\":false,\"model_max_length\":%zu,"
        "\"model_input_names\":[\"input_ids\",\"attention_mask\"]}\n", context);
    if (!folder || e->error[0]) return -1;
    for (i = 0; i < COUNT(names); i++) {
        const char *to = join(e, dir, "/", names[i]), *source = siblings ? join(e, folder, names[i], "") : "";
        if (t->format && strcmp(names[i], t->format) == 0) source = from;
        if (!to || !source) return -1;
        if (is_file(source)) TRY(copy_file(e, source, to));
        else if (i == 0) TRY(save_tokenizer_json(e, to, t));
        else if (i == 1) TRY(save_file(e, to, whole(&b)));
    }
    return 0;
}

/* The bytes that a token stands for; marks stand for none. */
static void put_token(Env *e, Buf *b, const Tokenizer *t, int id) {
    int kind = id < 0 || (size_t)id >= t->n ? MARK : t->kind[id];
    char byte = (char)(kind == BYTE ? hex4(t->piece[id].s + 1) & 0xff : 0);
    if (kind == BYTE) put(e, b, &byte, 1);
    else if (kind == NORMAL || kind == ADDED) put(e, b, t->piece[id].s, t->piece[id].n);
}

static int decode(Env *e, const Tokenizer *t, const int *ids, size_t n, int prefix, Buf *b) {
    size_t from = b->n, i;
    for (i = 0; i < n; i++) put_token(e, b, t, ids[i]);
    if (prefix && !t->no_prefix && b->n > from && b->s[from] == ' ') memmove(b->s + from, b->s + from + 1, b->n-- - from);
    return e->error[0] ? -1 : 0;
}

/* data/: ./data, $ACTINH_DATA, or the folder that `make install` compiled in. A path that exists is taken as it is. */
#ifndef ACTINH_DATADIR
#define ACTINH_DATADIR "/usr/local/share/actinh"
#endif
static int find_data(Env *e, const char *name, const char **path) {
    const char *folders[3] = { "data", getenv("ACTINH_DATA"), ACTINH_DATADIR };
    size_t i;
    *path = name;
    if (is_file(name) || is_dir(name)) return 0;
    for (i = 0; i < 3; i++) {
        if (!folders[i]) continue;
        *path = join(e, folders[i], "/", starts(name, "data/") ? name + 5 : name);
        if (!*path) return -1;
        if (is_file(*path) || is_dir(*path)) return 0;
    }
    return fail(e, "%s: not found, neither here nor in data/, $ACTINH_DATA or %s", name, ACTINH_DATADIR);
}

/* A template turns a record into what the model reads. Its file holds one form, or several between lines of "---"; a turn
 * is put in the first form that has a place for all it brings: a system message, an input. In a form {prompt},
 * {instruction}, {input}, {system} and {completion} stand for the fields, {prompt|trim} for one without the white space
 * around it. A mark written out, such as </s>, is that mark in a form, and mere text in a record. The begin mark comes
 * first by itself. What stands before {completion} is the prompt; a space just before it is the answer's, so that an
 * answer is learnt as it was sampled. "plain" is the prompt alone; without {completion} the answer follows directly. */
typedef struct { const char *path; Span form[8]; size_t n; } Template;

static int find_template(Env *e, const char *name, const char **path) {
    *path = NULL;
    if (strcmp(name, "plain") == 0) return 0;
    return find_data(e, strchr(name, '/') || is_file(name) ? name : join(e, "templates/", name, ""), path);
}

/* The field that stands at the start of s, in *n bytes; -1 for none. */
static int field_at(Span s, size_t *n, int *trimmed) {
    static const char *const names[FIELDS] = { "prompt", "instruction", "input", "system", "completion" };
    const char *end = s.n && s.s[0] == '{' ? memchr(s.s, '}', s.n) : NULL;
    int f;
    if (!end) return -1;
    *n = (size_t)(end - s.s) + 1;
    *trimmed = *n > 7 && memcmp(end - 5, "|trim", 5) == 0;
    s.s++; s.n = *n - (*trimmed ? 7 : 2);
    for (f = FIELDS; f-- > 0 && !same(s, names[f]);) ;
    return f;
}

static unsigned fields_of(Span form) {
    unsigned set = 0;
    size_t n;
    int f, trimmed;
    for (; form.n; form.s++, form.n--) if ((f = field_at(form, &n, &trimmed)) >= 0) set |= 1u << f;
    return set;
}

static int load_template(Env *e, const char *name, Template *t) {
    Span text = span("{prompt}"), line;
    memset(t, 0, sizeof *t);
    TRY(find_template(e, name, &t->path));
    if (t->path) TRY(load_file(e, t->path, &text));
    do {
        Span form = { text.s, 0 };
        while (text.n && !same(line = upto(&text, '\n'), "---")) form.n = (size_t)(line.s - form.s) + line.n;
        if (!(fields_of(form) & (1u << PROMPT | 1u << INSTRUCTION)))
            return fail(e, "%s: {prompt} or {instruction} was expected in every form of a template, found \"%.*s\"",
                t->path, SHOWN(form));
        if (t->n == COUNT(t->form)) return fail(e, "%s: more than %zu forms", t->path, COUNT(t->form));
        t->form[t->n++] = form;
    } while (text.n);
    return 0;
}

/* A prompt as ids. `text` waits to be encoded; space, trimmed and tail tell how the answer is to follow. */
typedef struct { int *id; size_t n, cap; Buf text; int space, trimmed; Span tail; } Ids;

static int put_id(Env *e, Ids *x, int id) {
    TRY(room(e, &x->id, x->n, &x->cap, sizeof *x->id));
    x->id[x->n++] = id;
    return 0;
}

static int put_waiting(Env *e, const Tokenizer *t, Ids *x, int prefix) {
    int *ids;
    size_t n, i;
    TRY(encode(e, t, whole(&x->text), prefix, &ids, &n));
    for (i = 0; i < n; i++) TRY(put_id(e, x, ids[i]));
    x->text.n = 0;
    drop(e, ids);
    return 0;
}

/* The mark that stands at the start of s, in *n bytes; -1 for none. */
static int mark_at(const Tokenizer *t, Span s, size_t *n) {
    const char *end = s.n && (s.s[0] == '<' || s.s[0] == '[') ? memchr(s.s, s.s[0] == '<' ? '>' : ']', s.n) : NULL;
    if (!end) return -1;
    s.n = *n = (size_t)(end - s.s) + 1;
    return find_piece(t, s.s, s.n, 1);
}

/* One turn in its form; the last one up to the place of its answer. */
static int put_turn(Env *e, const Tokenizer *t, const Template *form, const Turn *turn, int last, Ids *x) {
    const char *name = form->path ? form->path : "plain";
    Span s = { NULL, 0 }, v;
    size_t i, n;
    int f, mark, answered = 0;
    for (i = 0; i < form->n && !s.n; i++) {
        unsigned set = fields_of(form->form[i]);
        if (!(set >> SYSTEM & 1) == !turn->field[SYSTEM].n && (set >> PROMPT & 1 || !(set >> INPUT & 1) == !turn->field[INPUT].n))
            s = form->form[i];
    }
    if (!s.n) return fail(e, "%s: no form of this template has a place for %s", name,
        turn->field[SYSTEM].n ? "a system message" : "an input");
    for (; s.n; s.s += n, s.n -= n) {
        if ((f = field_at(s, &n, &x->trimmed)) >= 0) {
            v = x->trimmed ? trim(turn->field[f]) : turn->field[f];
            x->space = f == COMPLETION && x->text.n && x->text.s[x->text.n - 1] == ' ';
            if (x->space && (last || (v.n && v.s[0] == ' '))) x->text.n--;
            answered |= f == COMPLETION;
            if (answered && last) { s.s += n; s.n -= n; break; }
            put(e, &x->text, v.s, v.n);
        } else if ((mark = mark_at(t, s, &n)) >= 0) {
            TRY(put_waiting(e, t, x, 1));
            TRY(put_id(e, x, mark));
        } else put(e, &x->text, s.s, n = 1);
    }
    for (x->tail.s = s.s; s.n && mark_at(t, s, &n) < 0; s.s++, s.n--) ;
    x->tail.n = (size_t)(s.s - x->tail.s);
    if (!answered) x->space = x->trimmed = 0;
    return last || answered ? 0 : fail(e, "%s: a template without {completion} has no place for an earlier answer", name);
}

/* Begin mark, the turns of a record, and what of the last one stands before its answer. */
static int encode_prompt(Env *e, const Tokenizer *t, const Template *form, const Turn *turn, size_t n, Ids *x) {
    size_t i;
    memset(x, 0, sizeof *x);
    TRY(put_id(e, x, BOS));
    for (i = 0; i < n; i++) TRY(put_turn(e, t, form, &turn[i], i + 1 == n, x));
    TRY(put_waiting(e, t, x, 1));
    return e->error[0] ? -1 : 0;
}

/* The answer as it is trained on. One that was sampled from this prompt becomes the ids that were sampled, if
 * encode() makes these of its text; now and then a model spells a text otherwise. */
static int encode_answer(Env *e, const Tokenizer *t, Ids *x, Span answer, int cut) {
    size_t n = x->tail.n;
    if (x->trimmed) answer = trim(answer);
    if (x->space && !(answer.n && answer.s[0] == ' ')) put(e, &x->text, " ", 1);
    put(e, &x->text, answer.s, answer.n);
    if (!cut && !(n <= answer.n && memcmp(answer.s + answer.n - n, x->tail.s, n) == 0)) put(e, &x->text, x->tail.s, n);
    return put_waiting(e, t, x, 0);
}

/* ========================================== Shape of the model ========================================================
 * A Llama is a stack of layers on a residual stream x of H numbers a token:
 *
 *     x  = embed[token]                                             [H]
 *     x += Wo attention(rope(Wq n), rope(Wk n), Wv n),  n = rmsnorm(x)
 *     x += mixture(rmsnorm(x))
 *     logits = head rmsnorm(x)                                      [V]
 *
 * where the mixture is sum_e p_e expert_e(n), expert(n) = Wdown (silu(Wgate n) * (Wup n)). In a Mixtral a router picks
 * the best few of E experts for each token; a Llama is the case of one expert whose weight is exactly 1, and so it is
 * treated here: there is no second code path for dense models.
 */
typedef struct {
    size_t V, H, F, L, Q, K, D, E, top, ctx;   /* E = 1, top = 1: dense */
    int tied;                                  /* the head is the embedding */
    int stops[8];                              /* tokens that end an answer; the first one is what tuning appends */
    size_t n_stops;
    size_t rank;                               /* of LoRA pairs; 0: there are none */
    float eps, theta, aux;                     /* rmsnorm's epsilon, rope's base, weight of the load-balancing loss */
} Config;

/* How files store numbers: blocks of `of` numbers of a row in `bytes` bytes. See widen(). */
enum { F32, F16, BF16, Q8_0, Q4_0, Q4_K, Q5_K, Q6_K, GROUPS, N_TYPES };
static const struct { const char *name; uint32_t ggml; size_t of, bytes; } storage[N_TYPES] = {
    { "F32", 0, 1, 4 }, { "F16", 1, 1, 2 }, { "BF16", 30, 1, 2 }, { "Q8_0", 8, 32, 34 }, { "Q4_0", 2, 32, 18 },
    { "Q4_K", 12, 256, 144 }, { "Q5_K", 13, 256, 176 }, { "Q6_K", 14, 256, 210 }, { "llama2.c Q8_0", ~0u, 1, 1 } };

/* A matrix as it stands in a file. */
typedef struct {
    char name[112];
    const char *path;         /* the file */
    int type;
    size_t rows, cols;
    const unsigned char *data, *scales;   /* scales: of GROUPS, a float for each `group` numbers */
    size_t group, neighbours; /* neighbours: head size, where rotary pairs are neighbouring rows (q and k); else 0 */
} Tensor;

/* A matrix [rows][cols] that takes cols numbers to rows: y = Wx; a norm has cols = 1. Its numbers are `w`, or where that
 * is NULL the file's, widened whenever they are used. A pair of narrow matrices may be learnt beside a frozen W: LoRA
 * (Hu et al. 2021), y = Wx + scale B (A x). */
typedef struct Param {
    char name[112], gguf[96];  /* as Hugging Face calls it, and llama.cpp */
    size_t rows, cols;
    size_t expert;            /* its number from 1, where there are several */
    int norm, pairs;          /* pairs: the rows are halves of rotary pairs (q and k) */
    Tensor t;
    float *w;                 /* [rows][cols] */
    float *g, *m, *v;         /* [rows][cols] gradient and AdamW's moments; NULL unless training */
    float *panel;             /* w laid out for y = Wx: see Speed */
    unsigned char *narrow;    /* or the file's numbers laid out likewise, where they are of 16 or 8 bits */
    float *back;              /* and for dx = W'dy; only while training */
    struct Param *a, *b;      /* [rank][cols] [rows][rank] LoRA's; NULL: none */
    float scale;
} Param;

typedef struct { Param gate, up, down; } Expert;                                       /* [F][H] [F][H] [H][F] */
typedef struct { Param norm1, q, k, v, o, norm2, router; Expert *expert; } Layer;      /* expert: [E] */

typedef struct {
    Config c;
    Param embed, norm, head;  /* [V][H] [H] [V][H]; a tied head shares embed's w and keeps a gradient of its own */
    Layer *layer;             /* [L] */
    Param **all, **train;     /* [n_all] every weight of its own, in the order files have them; [n_train] those that learn */
    size_t n_all, n_train;
    float *cosine, *sine;     /* [ctx][D/2] */
    Tokenizer t;
    const char *name;         /* for people: the last part of its path */
    const char *path, *tokenizer;      /* where it came from */
    int in_place;             /* too large to be laid out for speed */
    float alpha;              /* LoRA: scale = alpha / rank, or with rslora alpha / sqrt(rank) */
    int rslora;
} Model;

static void shape_param(Model *m, Param *p, size_t rows, size_t cols, const char *name, const char *gguf, size_t layer,
    size_t expert) {
    if (layer < m->c.L) {
        char inner[60];
        snprintf(inner, sizeof inner, name, expert);
        snprintf(p->name, sizeof p->name, "model.layers.%zu.%s.weight", layer, inner);
        snprintf(inner, sizeof inner, gguf, expert);
        snprintf(p->gguf, sizeof p->gguf, "blk.%zu.%s.weight", layer, inner);
        if (strchr(gguf, '%')) p->expert = expert + 1;
    } else { snprintf(p->name, sizeof p->name, "%s.weight", name); snprintf(p->gguf, sizeof p->gguf, "%s.weight", gguf); }
    p->rows = rows; p->cols = cols; p->norm = cols == 1;
    m->all[m->n_all++] = p;
}

/* Lays out all parameters of a configuration: names and shapes, no numbers yet. */
static int shape_model(Env *e, Model *m) {
    static const char *const names[2][6] = { { "mlp.gate_proj", "ffn_gate", "mlp.up_proj", "ffn_up", "mlp.down_proj", "ffn_down" },
        { "block_sparse_moe.experts.%zu.w1", "ffn_gate.%zu", "block_sparse_moe.experts.%zu.w3", "ffn_up.%zu",
          "block_sparse_moe.experts.%zu.w2", "ffn_down.%zu" } };
    const Config *c = &m->c;
    const char *const *name = names[c->E > 1];
    size_t l, x;
    NEW(m->layer, c->L);
    NEW(m->all, 3 + c->L * (7 + 3 * c->E));
    NEW(m->train, 2 * (3 + c->L * (7 + 3 * c->E)));
    m->n_all = 0;
    shape_param(m, &m->embed, c->V, c->H, "model.embed_tokens", "token_embd", SIZE_MAX, 0);
    for (l = 0; l < c->L; l++) {
        Layer *y = &m->layer[l];
        NEW(y->expert, c->E);
        shape_param(m, &y->norm1, c->H, 1, "input_layernorm", "attn_norm", l, 0);
        shape_param(m, &y->q, c->Q * c->D, c->H, "self_attn.q_proj", "attn_q", l, 0);
        shape_param(m, &y->k, c->K * c->D, c->H, "self_attn.k_proj", "attn_k", l, 0);
        shape_param(m, &y->v, c->K * c->D, c->H, "self_attn.v_proj", "attn_v", l, 0);
        shape_param(m, &y->o, c->H, c->Q * c->D, "self_attn.o_proj", "attn_output", l, 0);
        shape_param(m, &y->norm2, c->H, 1, "post_attention_layernorm", "ffn_norm", l, 0);
        y->q.pairs = y->k.pairs = 1;
        if (c->E > 1) shape_param(m, &y->router, c->E, c->H, "block_sparse_moe.gate", "ffn_gate_inp", l, 0);
        for (x = 0; x < c->E; x++) {
            shape_param(m, &y->expert[x].gate, c->F, c->H, name[0], name[1], l, x);
            shape_param(m, &y->expert[x].up, c->F, c->H, name[2], name[3], l, x);
            shape_param(m, &y->expert[x].down, c->H, c->F, name[4], name[5], l, x);
        }
    }
    shape_param(m, &m->norm, c->H, 1, "model.norm", "output_norm", SIZE_MAX, 0);
    if (!c->tied) shape_param(m, &m->head, c->V, c->H, "lm_head", "output", SIZE_MAX, 0);
    else { m->head.rows = c->V; m->head.cols = c->H; }
    return 0;
}

/* Rotary angles. The inverse frequency theta^(-2i/D) is rounded to binary32, times the position in binary32; sine and
 * cosine of that angle in binary64, rounded. So it is in transformers, and so long positions agree with it. */
static int fill_rope(Env *e, Model *m) {
    size_t half = m->c.D / 2, i, t;
    NEW(m->cosine, m->c.ctx * half);
    NEW(m->sine, m->c.ctx * half);
    for (i = 0; i < half; i++) {
        float inverse = narrow(pow64((double)m->c.theta, -(double)(2 * i) / (double)m->c.D));
        for (t = 0; t < m->c.ctx; t++) {
            float angle = (float)t * inverse;
            double s, c;
            sincos64((double)angle, &s, &c);
            m->sine[t * half + i] = (float)s;
            m->cosine[t * half + i] = (float)c;
        }
    }
    return 0;
}

static size_t count_parameters(const Model *m, size_t *active) {
    size_t i, n = 0, experts = 3 * m->c.F * m->c.H * m->c.L;
    for (i = 0; i < m->n_all; i++) n += m->all[i]->rows * m->all[i]->cols;
    *active = n - (m->c.E - m->c.top) * experts;
    return n;
}

/* ============================================= Weight files ===========================================================
 * Each reader fills one table of (name, type, shape, bytes) with Hugging Face's names, or all GGUF's;
 * bind_param() then asks the table. A new kind of file is a reader here, a branch of load_model(), and its
 * files in depends_on_model(). A new type of number is a line of storage[], before GROUPS, and a case of
 * widen(): GGUF files can then hold it.
 *
 * Format notes. safetensors: 8 bytes length of a JSON header (little-endian), the header {name: {dtype, shape,
 * data_offsets}}, then the data; offsets count from the header's end. llama2.c (.bin, version 0): seven int32 (hidden,
 * feed-forward, layers, heads, kv heads, vocabulary, context), then float tensors in a fixed order; a negative vocabulary
 * says that the head is a matrix of its own. Versions 1 and 2 (int8 in groups) have a header of 256 bytes.
 * Trap: q and k rows. llama2.c turns neighbours (2i, 2i+1) of a head, Hugging Face turns halves (i, i + D/2); the same
 * model has its rows in another order in the two files. Here halves are used, and `neighbours` marks a table whose rows
 * must be sorted on the way in.
 */
typedef struct { const char *path; Tensor *t; size_t n, cap; int neighbours, gguf; Span file; } Table;

static const Tensor *find_tensor(const Table *t, const char *name) {
    size_t i;
    for (i = 0; i < t->n; i++) if (strcmp(t->t[i].name, name) == 0) return &t->t[i];
    return NULL;
}

static int check_blocks(Env *e, const char *path, const char *name, int type, size_t cols) {
    return cols % storage[type].of == 0 ? 0 : fail(e, "%s: tensor %s: rows of %s hold a multiple of %zu numbers, found %zu",
        path, name, storage[type].name, storage[type].of, cols);
}

static int add_tensor(Env *e, Table *t, const char *name, int type, size_t rows, size_t cols, size_t at) {
    size_t of = storage[type].of, bytes = storage[type].bytes;
    Tensor *x;
    if (ends(name, ".bias")) return fail(e, "%s: tensor %s: biases are not supported", t->path, name);
    TRY(check_blocks(e, t->path, name, type, cols));
    if (at > t->file.n || (rows && cols / of > (t->file.n - at) / bytes / rows))
        return fail(e, "%s: tensor %s: [%zu][%zu] needs %.0f bytes from byte %zu on, the file has %zu (cut off?)", t->path,
            name, rows, cols, (double)rows * (double)(cols / of) * (double)bytes, at, t->file.n);
    if (find_tensor(t, name)) return fail(e, "%s: tensor %s: is there twice", t->path, name);
    TRY(room(e, &t->t, t->n, &t->cap, sizeof *t->t));
    x = &t->t[t->n++];
    memset(x, 0, sizeof *x);
    snprintf(x->name, sizeof x->name, "%s", name);
    x->path = t->path; x->type = type; x->rows = rows; x->cols = cols;
    x->data = (const unsigned char *)t->file.s + at;
    return 0;
}

static uint32_t le16(const unsigned char *p) { return p[0] | (uint32_t)p[1] << 8; }

/* F16 to binary32, exactly: the exponent re-based by 112 (twice for infinities), subnormals through an integer. Without
 * branches, so that compilers do many at once. */
static inline float half(uint32_t h) {
    uint32_t exponent = h & 0x7c00, regular = 0u - (exponent != 0), u = (h & 0x7fff) << 13, tiny;
    float x = (float)(int)(h & 0x3ff) * 5.9604644775390625e-8f;
    memcpy(&tiny, &x, 4);
    u += (112u << 23) * (1u + (exponent == 0x7c00));
    u = (u & regular) | (tiny & ~regular) | (h & 0x8000) << 16;
    memcpy(&x, &u, 4);
    return x;
}

/* n <= 32 numbers of a row from column k on (a multiple of 32) as binary32. All types but two are exact: in Q4_K and Q5_K
 * d q - m has one rounding a product and one for the difference, as in ggml.
 *     Q8_0   F16 d, 32 int8 q:  d q                   Q4_0   F16 d, 16 bytes, low nibbles before high:  d (q - 8)
 *     Q4_K   F16 d, F16 least, 8 scales s and minima m of 6 bits in 12 bytes, then 4 x 32 bytes, low nibbles before
 *            high:  (d s) q - (least m);              Q5_K   the same with 32 bytes of fifth bits before the nibbles
 *     Q6_K   128 bytes of low nibbles, 64 bytes of two high bits, 16 int8 scales s, F16 d:  (d s) (q - 32) */
static void widen(const Tensor *t, size_t row, size_t k, size_t n, float *x) {
    size_t at = row * t->cols + k, i, j = at % 256 / 32;
    const unsigned char *p = t->data + at / storage[t->type].of * storage[t->type].bytes, *q, *s;
    float d;
    switch (t->type) {
    case F32: for (i = 0; i < n; i++) x[i] = le_float(p + 4 * i); return;
    case F16: for (i = 0; i < n; i++) x[i] = half(le16(p + 2 * i)); return;
    case BF16:
        for (i = 0; i < n; i++) {
            uint32_t u = le16(p + 2 * i) << 16;
            x[i] = 0; memcpy(&x[i], &u, 4);
        }
        return;
    case GROUPS:
        for (i = 0; i < n; i++) x[i] = le_float(t->scales + (at + i) / t->group * 4) * (float)(signed char)p[i];
        return;
    case Q8_0: d = half(le16(p)); for (i = 0; i < 32; i++) x[i] = d * (float)(signed char)p[2 + i]; return;
    case Q4_0:
        d = half(le16(p));
        for (i = 0; i < 16; i++) { x[i] = d * (float)((p[2 + i] & 15) - 8); x[16 + i] = d * (float)((p[2 + i] >> 4) - 8); }
        return;
    case Q6_K:
        q = p + j / 4 * 64 + (j & 1) * 32; s = p + 128 + j / 4 * 32;
        d = half(le16(p + 208));
        for (k = 0; k < 32; k += 16) {
            float scaled = d * (float)(signed char)p[192 + 2 * j + k / 16];
            for (i = k; i < k + 16; i++) x[i] = scaled * (float)(((q[i] >> (j & 2) * 2 & 15) | (s[i] >> (j & 3) * 2 & 3) << 4) - 32);
        }
        return;
    default: {                                               /* Q4_K, Q5_K */
        uint32_t scale, least;
        float m;
        s = p + 4; q = p + (t->type == Q4_K ? 16 : 48) + j / 2 * 32;
        scale = j < 4 ? s[j] & 63u : (s[j + 4] & 15u) | (s[j - 4] & 0xc0u) >> 2;
        least = j < 4 ? s[j + 4] & 63u : s[j + 4] >> 4 | (s[j] & 0xc0u) >> 2;
        d = half(le16(p)) * (float)(int)scale; m = half(le16(p + 2)) * (float)(int)least;
        for (i = 0; i < 32; i++) {
            int fifth = t->type == Q5_K ? (p[16 + i] >> j & 1) << 4 : 0;
            x[i] = d * (float)((q[i] >> (j & 1) * 4 & 15) | fifth) - m;
        }
    } }
}

/* n <= 32 numbers of row r from column k on. Row i of a head of D rows is file row 2i or 2i - D + 1 where the file has
 * neighbours. */
static size_t file_row(const Param *p, size_t r) {
    size_t D = p->t.neighbours, i = D ? r % D : 0;
    return !D ? r : i < D / 2 ? r + i : r + i - D + 1;
}

static void read_row(const Param *p, size_t r, size_t k, size_t n, float *x) {
    if (p->w) memcpy(x, p->w + r * p->cols + k, n * sizeof *x);
    else widen(&p->t, file_row(p, r), k, n, x);
}

static int check_finite(Env *e, const Param *p) {
    size_t bad = SIZE_MAX;                                   /* the place of the first number that is not finite */
    long r;
    PARALLEL(p->rows * p->cols) for (r = 0; r < (long)p->rows; r++) {
        size_t k, i, n, here = SIZE_MAX;
        float x[32];
        for (k = 0; k < p->cols; k += 32) {
            n = p->cols - k < 32 ? p->cols - k : 32;
            read_row(p, (size_t)r, k, n, x);
            for (i = 0; i < n; i++) if (x[i] - x[i] != 0.0f && here == SIZE_MAX) here = (size_t)r * p->cols + k + i;
        }
#ifdef _OPENMP
#pragma omp critical
#endif
        if (here < bad) bad = here;
    }
    return bad == SIZE_MAX ? 0 : fail(e, "%s: tensor %s: row %zu, column %zu is not a finite number", p->t.path, p->name,
        bad / p->cols, bad % p->cols);
}

/* A copy of the weights in binary32, which may change. */
static int own_weights(Env *e, Param *p) {
    float *w;
    long r;
    if (p->w) return 0;
    TRY(check_finite(e, p));
    NEW(w, p->rows * p->cols);
    PARALLEL(p->rows * p->cols) for (r = 0; r < (long)p->rows; r++) {
        size_t k;
        for (k = 0; k < p->cols; k += 32)
            read_row(p, (size_t)r, k, p->cols - k < 32 ? p->cols - k : 32, w + (size_t)r * p->cols + k);
    }
    p->w = w;
    return 0;
}

/* The numbers of a JSON array, two at most: how many; -1 where they are none, or not from 0 to 2^53. */
static int json_pair(Span list, double pair[2]) {
    size_t at = 0;
    int n = 0;
    Member m;
    for (; json_next(list, &at, &m); n++)
        if (n == 2 || !json_number(m.value, &pair[n]) || !(pair[n] >= 0 && pair[n] < 9e15)) return -1;
    return n ? n : -1;
}

static int read_safetensors(Env *e, const char *path, Table *t) {
    Span header;
    Member m;
    size_t at = 0;
    uint64_t n;
    t->path = path;
    TRY(map_file(e, path, &t->file));
    n = t->file.n < 8 ? 0 : le64(t->file.s);
    if (t->file.n < 8 || n > t->file.n - 8 || n < 2 || t->file.s[8] != '{')
        return fail(e, "%s: not a safetensors file: its header should be %.0f bytes of JSON, the file has %zu bytes", path,
            (double)n, t->file.n);
    header.s = t->file.s + 8; header.n = (size_t)n;
    TRY(json_check(e, header, path, 0));
    while (json_next(header, &at, &m)) {
        char name[112];
        Span type = json_get(m.value, "dtype"), shape = json_get(m.value, "shape"), place = json_get(m.value, "data_offsets");
        double size[2] = { 1, 1 }, offset[2];
        int kind = same(type, "\"F32\"") ? F32 : same(type, "\"F16\"") ? F16 : BF16;
        if (same(m.key, "__metadata__")) continue;
        snprintf(name, sizeof name, "%.*s", (int)(m.key.n < sizeof name ? m.key.n : sizeof name - 1), m.key.s);
        if (m.key.n >= sizeof name)
            return fail(e, "%s: tensor %s..: no tensor of a Llama or Mixtral has so long a name", path, name);
        if (kind == BF16 && !same(type, "\"BF16\""))
            return fail(e, "%s: tensor %s: dtype F32, F16 or BF16 was expected, found %.*s", path, name, SHOWN(type));
        if (json_pair(shape, size) < 0)
            return fail(e, "%s: tensor %s: a shape of one or two sizes was expected, found %.*s", path, name, SHOWN(shape));
        if (json_pair(place, offset) != 2 || offset[1] - offset[0] != size[0] * size[1] * (double)storage[kind].bytes)
            return fail(e, "%s: tensor %s: data_offsets %.*s do not fit its shape %.*s", path, name, SHOWN(place),
                SHOWN(shape));
        TRY(add_tensor(e, t, name, kind, (size_t)size[0], (size_t)size[1], 8 + header.n + (size_t)offset[0]));
    }
    return 0;
}

/* What files say of a shape: Hugging Face's key, GGUF's, the place in a Config, and what may stand there. */
enum { SIZE, REAL, MIXTURE };                                /* kinds; MIXTURE: a size that only a Mixtral has */
static const struct { const char *hf, *gguf; size_t at; double low, high; int kind; } shape_keys[] = {
    { "hidden_size", "llama.embedding_length", offsetof(Config, H), 2, 1 << 24, SIZE },
    { "intermediate_size", "llama.feed_forward_length", offsetof(Config, F), 2, 1 << 24, SIZE },
    { "num_hidden_layers", "llama.block_count", offsetof(Config, L), 1, 4096, SIZE },
    { "num_attention_heads", "llama.attention.head_count", offsetof(Config, Q), 1, 65536, SIZE },
    { "num_key_value_heads", "llama.attention.head_count_kv", offsetof(Config, K), 1, 65536, SIZE },
    { "head_dim", "llama.attention.key_length", offsetof(Config, D), 2, 65536, SIZE },
    { "num_local_experts", "llama.expert_count", offsetof(Config, E), 0, 1024, MIXTURE },
    { "num_experts_per_tok", "llama.expert_used_count", offsetof(Config, top), 0, 1024, MIXTURE },
    { "router_aux_loss_coef", "", offsetof(Config, aux), 0, 1e6, REAL },
    { "vocab_size", "", offsetof(Config, V), 1, 1 << 24, SIZE },
    { "max_position_embeddings", "llama.context_length", offsetof(Config, ctx), 1, 1 << 22, SIZE },
    { "rms_norm_eps", "llama.attention.layer_norm_rms_epsilon", offsetof(Config, eps), 1e-30, 1, REAL },
    { "rope_theta", "llama.rope.freq_base", offsetof(Config, theta), 1, 1e12, REAL } };

static size_t *size_at(Config *c, size_t k) { return (size_t *)(void *)((char *)c + shape_keys[k].at); }
static float *real_at(Config *c, size_t k) { return (float *)(void *)((char *)c + shape_keys[k].at); }

static void set_key(Config *c, size_t k, double x) {
    if (shape_keys[k].kind == REAL) *real_at(c, k) = narrow(x); else *size_at(c, k) = (size_t)x;
}

/* What is missing has its default; then what is there must fit together. */
static int check_config(Env *e, const char *path, Config *c) {
    size_t k;
    if (!c->K) c->K = c->Q;
    if (!c->D && c->Q) c->D = c->H / c->Q;
    for (k = 0; k < COUNT(shape_keys); k++)
        if (shape_keys[k].kind != REAL && !*size_at(c, k)) return fail(e, "%s, field \"%s\": is missing, or 0", path, shape_keys[k].hf);
    if (c->Q % c->K)
        return fail(e, "%s, field \"num_key_value_heads\": must divide num_attention_heads %zu, found %zu", path, c->Q, c->K);
    if (c->D % 2) return fail(e, "%s, field \"head_dim\": an even number was expected, found %zu", path, c->D);
    if (c->top > c->E) return fail(e, "%s, field \"num_experts_per_tok\": 1 to %zu was expected, found %zu", path, c->E, c->top);
    return 0;
}

/* config.json, as transformers reads it: what is missing has its default there. */
static int read_config(Env *e, const char *path, Config *c) {
    static const char *const unsupported[] = { "rope_scaling", "attention_bias", "mlp_bias", "quantization_config", NULL };
    Span text, type, rope, stop;
    double x = 1 << 24;
    Member m;
    size_t at = 0, k;
    int mixtral, found;
    memset(c, 0, sizeof *c);
    TRY(read_json(e, path, &text));
    type = json_get(text, "model_type");
    mixtral = same(type, "\"mixtral\"");
    if (!mixtral && !same(type, "\"llama\""))
        return fail(e, "%s, field \"model_type\": llama or mixtral was expected, found %.*s", path, SHOWN(type));
    c->E = mixtral ? 8 : 1; c->top = mixtral ? 2 : 1;
    c->ctx = 2048; c->eps = 1e-6f; c->theta = mixtral ? 1e6f : 1e4f; c->aux = 0.001f;
    rope = json_get(text, "rope_parameters");                /* transformers 5 has theta here */
    for (k = 0; k < COUNT(shape_keys); k++) {
        Span from = json_get(rope, shape_keys[k].hf).n ? rope : text;
        if (shape_keys[k].kind == MIXTURE && !mixtral) continue;
        TRY(found = json_field(e, path, from, shape_keys[k].hf, shape_keys[k].low, shape_keys[k].high, shape_keys[k].kind != REAL, &x));
        if (found) set_key(c, k, x);
    }
    TRY(check_config(e, path, c));
    c->tied = same(json_get(text, "tie_word_embeddings"), "true");
    if (json_get(text, "hidden_act").n) TRY(expect_field(e, path, text, "hidden_act", "\"silu\""));
    if (json_get(rope, "rope_type").n) TRY(expect_field(e, path, rope, "rope_type", "\"default\""));
    TRY(refuse_fields(e, path, text, unsupported));
    TRY(found = json_field(e, path, text, "sliding_window", 1, 1 << 24, 1, &x));
    if (found && x < (double)c->ctx) c->ctx = (size_t)x;     /* up to there the window changes nothing */
    stop = json_get(text, "eos_token_id");
    while (stop.n && stop.s[0] == '[' && json_next(stop, &at, &m) && c->n_stops < 8)
        if (json_number(m.value, &x) && x >= 0 && x < (double)c->V) c->stops[c->n_stops++] = (int)x;
    if (stop.n && stop.s[0] != '[') {
        TRY(found = json_field(e, path, text, "eos_token_id", 0, (double)c->V - 1, 1, &x));
        if (found) c->stops[c->n_stops++] = (int)x;
    }
    if (c->n_stops == 0) c->stops[c->n_stops++] = EOS;
    return 0;
}

static int read_llama2c(Env *e, const char *path, Table *t, Model *m) {
    static const char *const fields[7] = { "dim", "hidden_dim", "n_layers", "n_heads", "n_kv_heads", "vocab_size", "seq_len" };
    Config *c = &m->c;
    uint32_t version = 0, group = 1;
    double h[7];
    Value v = { 0, 0, NULL, NULL };
    size_t i, l, at = 28;
    static const char own[] = "aqkvof132";
    const char *order;
    t->path = path;
    t->neighbours = 1;
    TRY(map_file(e, path, &t->file));
    if (t->file.n >= 256 && le32(t->file.s) == 0x616b3432) {
        version = le32(t->file.s + 4);
        at = 256;
        if (version == 2) group = le32(t->file.s + 37);
        if (version < 1 || version > 2 || group < 1 || group > 1u << 20)
            return fail(e, "%s: version 0, 1 or 2 of llama2.c's format was expected, found %u (group size %u)", path,
                (unsigned)version, (unsigned)group);
    }
    v.s = t->file.s + (version ? 8 : 0); v.end = t->file.s + t->file.n;
    for (i = 0; i < 7; i++) {
        h[i] = take_one(&v, 5);
        if (h[i] == 0 || (i < 2 && h[i] < 2) || h[i] > 1 << 24 || h[i] < (i == 5 && !version ? -(1 << 24) : 0))
            return fail(e, "%s, field %s: found %.0f (is this a llama2.c file?)", path, fields[i], h[i]);
    }
    memset(c, 0, sizeof *c);
    c->H = (size_t)h[0]; c->F = (size_t)h[1]; c->L = (size_t)h[2]; c->Q = (size_t)h[3]; c->K = (size_t)h[4];
    c->V = (size_t)(h[5] < 0 ? -h[5] : h[5]); c->ctx = (size_t)h[6];
    c->tied = version ? t->file.s[36] != 0 : h[5] > 0; c->E = c->top = 1; c->eps = 1e-5f; c->theta = 1e4f;
    c->stops[0] = BOS; c->stops[1] = EOS; c->n_stops = 2;    /* llama2.c's own texts end where the next would begin */
    if (c->H % c->Q || c->L > 4096)
        return fail(e, "%s, field n_heads: dim %zu, heads %zu, layers %zu do not fit together", path, c->H, c->Q, c->L);
    TRY(check_config(e, path, c));
    TRY(shape_model(e, m));
    /* a letter for each kind: its place within a layer of ours; Embedding, Norm and Head stand before and behind these */
    for (order = version ? "afNEqkvo123H" : "Eaqkvof123N H"; *order; order++) {
        size_t alone = *order == 'E' ? 0 : c->L * 9 + (*order == 'N' ? 1 : 2), layers = strchr("ENH", *order) ? 1 : c->L;
        if (*order == ' ') { at += 4 * c->ctx * c->D; continue; }        /* tables of sines that nobody reads any more */
        if (*order == 'H' && c->tied) break;
        for (l = 0; l < layers; l++) {
            const Param *p = m->all[strchr("ENH", *order) ? alone : 1 + 9 * l + (size_t)(strchr(own, *order) - own)];
            size_t n = p->rows * p->cols, grouped = version == 2 && p->cols > 1;
            if (grouped && n % group)
                return fail(e, "%s: tensor %s: %zu numbers do not fill groups of %u", path, p->name, n, (unsigned)group);
            TRY(add_tensor(e, t, p->name, grouped ? GROUPS : F32, p->rows, p->cols, at));
            at += grouped ? n : 4 * n;
            if (!grouped) continue;
            t->t[t->n - 1].scales = (const unsigned char *)t->file.s + at; t->t[t->n - 1].group = group;
            at += n / group * 4;
            if (at > t->file.n)
                return fail(e, "%s: tensor %s: its scales end at byte %zu, the file has %zu", path, p->name, at, t->file.n);
        }
    }
    return 0;
}

/* One tensor's entry. A fused tensor of E experts becomes E of the old names. *base: where the numbers begin, or 0 to
 * read over it. */
static int read_gguf_tensor(Env *e, Table *t, Value *v, size_t base) {
    double dim[4] = { 1, 1, 1, 1 }, dims, type, offset;
    char name[60], one[80];
    Span text = { NULL, 0 };
    size_t i, kind, rows, cols, bytes;
    int bad;
    v->type = GGUF_TEXT; v->n = 1;
    if (!take_text(v, &text)) return fail(e, "%s: the list of tensors passes the end of the file", t->path);
    dims = take_one(v, 4);
    bad = dims < 1 || dims > 4;
    for (i = 0; !bad && i < (size_t)dims; i++) { dim[i] = take_one(v, 10); bad = !(dim[i] >= 1 && dim[i] < 1e12); }
    type = take_one(v, 4);
    offset = take_one(v, 10);
    if (bad || type < 0 || offset < 0 || offset >= 9e15 || dim[3] > 1 || dim[2] > 1024)
        return fail(e, "%s: tensor %.*s: one to three sizes, a type and an offset were expected", t->path, SHOWN(text));
    if (base == 0) return 0;
    snprintf(name, sizeof name, "%.*s", (int)(text.n < 59 ? text.n : 59), text.s);
    if (strcmp(name, "rope_freqs.weight") == 0)
        return fail(e, "%s: tensor %s: rotary frequencies of their own (Llama 3) are not supported", t->path, name);
    for (kind = 0; kind < GROUPS && storage[kind].ggml != (uint32_t)type; kind++) ;
    if (kind == GROUPS)
        return fail(e, "%s: tensor %s: type F32, F16, BF16, Q8_0, Q4_0, Q4_K, Q5_K or Q6_K was expected, found ggml's number %g",
            t->path, name, type);
    cols = dims < 2 ? 1 : (size_t)dim[0]; rows = (size_t)(dims < 2 ? dim[0] : dim[1]);
    bytes = rows * (cols / storage[kind].of) * storage[kind].bytes;
    if (!ends(name, "_exps.weight")) return add_tensor(e, t, name, (int)kind, rows, cols, base + (size_t)offset);
    for (i = 0; i < (size_t)dim[2]; i++) {
        snprintf(one, sizeof one, "%.*s.%zu.weight", (int)(strlen(name) - 12), name, i);
        TRY(add_tensor(e, t, one, (int)kind, rows, cols, base + (size_t)offset + i * bytes));
    }
    return 0;
}

/* json_field() of a GGUF file. */
static int gguf_field(Env *e, const Table *t, const char *key, double low, double high, int is_whole, double *x) {
    Value v;
    int found = gguf_find(e, t->path, t->file, key, &v);
    if (found <= 0) return found;
    if (v.n == 1 && take_number(&v, x) && *x >= low && *x <= high && (!is_whole || *x == (double)(size_t)*x)) return 1;
    return fail(e, "%s, field \"%s\": a %snumber from %.10g to %.10g was expected", t->path, key, is_whole ? "whole " : "",
        low, high);
}

static int read_gguf(Env *e, const char *path, Table *t, Config *c) {
    double align = 32, turned = 0, stop = EOS, d = 0;
    size_t base = 0, i, k;
    int found;
    Value v, text;
    Span name = { NULL, 0 };
    const Tensor *x;
    memset(c, 0, sizeof *c);
    t->path = path; t->neighbours = t->gguf = 1;
    TRY(map_file(e, path, &t->file));
    TRY(gguf_find(e, path, t->file, "general.architecture", &v));
    if (!take_text(&v, &name) || !same(name, "llama"))
        return fail(e, "%s, field \"general.architecture\": llama (which Mixtral is, too) was expected, found \"%.*s\"", path,
            SHOWN(name));
    TRY(gguf_find(e, path, t->file, "llama.rope.scaling.type", &v));
    if (take_text(&v, &name) && !same(name, "none"))
        return fail(e, "%s, field \"llama.rope.scaling.type\": none was expected, found \"%.*s\"", path, SHOWN(name));
    c->ctx = 2048; c->eps = 1e-5f; c->theta = 1e4f; c->aux = 0.001f;
    for (k = 0; k < COUNT(shape_keys); k++) {
        TRY(found = gguf_field(e, t, shape_keys[k].gguf, shape_keys[k].low, shape_keys[k].high, shape_keys[k].kind != REAL, &d));
        if (found) set_key(c, k, d);
    }
    TRY(gguf_field(e, t, "llama.rope.dimension_count", 0, 65536, 1, &turned));
    TRY(gguf_field(e, t, "general.alignment", 1, 1 << 20, 1, &align));
    TRY(gguf_field(e, t, "tokenizer.ggml.eos_token_id", 0, 1 << 24, 1, &stop));
    TRY(gguf_find(e, path, t->file, NULL, &v));
    for (k = 0; k < 2; k++) {                                /* the second time it is known where the numbers begin */
        text = v;
        for (i = 0; i < le64(t->file.s + 8); i++) TRY(read_gguf_tensor(e, t, &text, base));
        base = ((size_t)(text.s - t->file.s) + (size_t)align - 1) / (size_t)align * (size_t)align;
    }
    x = find_tensor(t, "token_embd.weight");
    c->V = x ? x->rows : 0;
    c->tied = !find_tensor(t, "output.weight");
    if (!c->E) c->E = c->top = 1;
    c->stops[c->n_stops++] = (int)stop;
    TRY(check_config(e, path, c));
    if (turned > 0 && turned != (double)c->D)
        return fail(e, "%s, field \"llama.rope.dimension_count\": %zu was expected, found %.0f", path, c->D, turned);
    return 0;
}

/* The files of a folder's weights: model.safetensors, or those that model.safetensors.index.json names. */
static int list_shards(Env *e, const char *dir, const char ***file, size_t *n) {
    const char *index = join(e, dir, "/", "model.safetensors.index.json");
    size_t at = 0, cap = 0;
    Names seen = { NULL, 0, 0 };
    Span text, map;
    Member m;
    int again;
    *n = 0; *file = NULL;
    TRY(room(e, file, 0, &cap, sizeof **file));
    (*file)[0] = "model.safetensors";
    if (!index || !is_file(index)) { *n = 1; return e->error[0] ? -1 : 0; }
    TRY(read_json(e, index, &text));
    map = json_get(text, "weight_map");
    while (json_next(map, &at, &m)) {
        Buf name = { NULL, 0, 0 };
        if (m.value.s[0] != '"') return fail(e, "%s: tensor %.*s: the name of a file was expected", index, SHOWN(m.key));
        TRY(again = seen_before(e, &seen, m.value));
        if (again) continue;
        put_unquoted(e, &name, m.value);
        put_text(e, &name, "");
        if (e->error[0]) return -1;
        if (!name.n || strpbrk(name.s, "/\\:") || strcmp(name.s, "..") == 0)
            return fail(e, "%s: tensor %.*s: the name of a file beside it was expected, found %.*s", index, SHOWN(m.key), SHOWN(m.value));
        TRY(room(e, file, *n, &cap, sizeof **file));
        (*file)[(*n)++] = name.s;
    }
    return *n ? 0 : fail(e, "%s: field \"weight_map\": names of files were expected", index);
}

/* Gives a parameter its tensor. Norms are few numbers: they are widened at once. */
static int bind_param(Env *e, const Table *t, const Config *c, Param *p) {
    const char *name = t->gguf ? p->gguf : p->name;
    const Tensor *x = find_tensor(t, name);
    if (!x) return fail(e, "%s: tensor %s: is missing", t->path, name);
    if (x->rows != p->rows || x->cols != p->cols)
        return fail(e, "%s: tensor %s: shape [%zu][%zu] was expected, found [%zu][%zu]", x->path, name, p->rows, p->cols,
            x->rows, x->cols);
    p->t = *x;
    p->t.neighbours = p->pairs && t->neighbours ? c->D : 0;
    return p->norm ? own_weights(e, p) : 0;
}

/* Random weights: normal, 0.02 wide, narrower into the residual stream (GPT-2's rule); norms are 1. */
static int random_weights(Env *e, Model *m, uint64_t seed) {
    size_t i, k;
    for (i = 0; i < m->n_all; i++) {
        Param *p = m->all[i];
        int out = strstr(p->name, "o_proj") || strstr(p->name, "down_proj") || strstr(p->name, ".w2.");
        float width = out ? 0.02f / sqrtf(2.0f * (float)m->c.L) : 0.02f;
        NEW(p->w, p->rows * p->cols);
        for (k = 0; k < p->rows * p->cols; k++) p->w[k] = p->norm ? 1.0f : width * normal(seed, i, k);
    }
    return 0;
}

/* The module that a parameter belongs to, "model.layers.0.self_attn.q_proj", and whether a list of names such as
 * "q_proj,w1" means it: PEFT's rule, a name is the module's end. "all-linear" is all but the head. */
static Span module_of(const Param *p) { Span s = { p->name, strlen(p->name) - 7 }; return s; }

static int targeted(const Param *p, const char *list) {
    Span rest = span(list), one, name = module_of(p);
    if (p->norm || starts(p->name, "model.embed")) return 0;
    if (strcmp(list, "all-linear") == 0) return !starts(p->name, "lm_head");
    while (rest.n) {
        one = trim(upto(&rest, ','));
        if (one.n && one.n <= name.n && memcmp(name.s + name.n - one.n, one.s, one.n) == 0
            && (one.n == name.n || name.s[name.n - one.n - 1] == '.')) return 1;
    }
    return 0;
}

static int add_pair(Env *e, Model *m, Param *p) {
    double rank = (double)m->c.rank;
    int i;
    NEW(p->a, 1);
    NEW(p->b, 1);
    for (i = 0; i < 2; i++) {
        Param *q = i ? p->b : p->a;
        snprintf(q->name, sizeof q->name, "base_model.model.%.*s.lora_%c.weight", (int)module_of(p).n, p->name, i ? 'B' : 'A');
        m->train[m->n_train++] = q;
    }
    p->a->rows = p->b->cols = m->c.rank; p->a->cols = p->cols; p->b->rows = p->rows;
    p->scale = (float)((double)m->alpha / (m->rslora ? sqrt(rank) : rank));
    return 0;
}

/* New pairs as PEFT begins them: A uniform within 1/sqrt(cols), B zero, so that at first nothing is changed. */
static int add_lora(Env *e, Model *m, const char *targets, size_t rank, float alpha, int rslora, uint64_t seed) {
    size_t i, k;
    m->c.rank = rank; m->alpha = alpha; m->rslora = rslora;
    for (i = 0; i < m->n_all; i++) {
        Param *p = m->all[i], *a;
        if (!targeted(p, targets)) continue;
        TRY(add_pair(e, m, p));
        a = p->a;
        NEW(a->w, a->rows * a->cols);
        NEW(p->b->w, p->b->rows * rank);
        for (k = 0; k < a->rows * a->cols; k++)
            a->w[k] = (2.0f * uniform(draw(seed, DRAW_INIT, hash(p->name, strlen(p->name)), k, 1)) - 1.0f) / sqrtf((float)p->cols);
    }
    return m->n_train ? 0 : fail(e, "--targets %s: no weight of this model is called so", targets);
}

/* A PEFT folder: adapter_config.json and adapter_model.safetensors. */
static int load_adapter(Env *e, Model *m, const char *dir) {
    static const char *const unsupported[] = { "use_dora", "fan_in_fan_out", "lora_bias", "modules_to_save", "rank_pattern",
        "alpha_pattern", "layers_to_transform", NULL };
    const char *path = join(e, dir, "/", "adapter_config.json");
    double rank = 8, alpha = 8;
    Span text;
    Table t;
    size_t i, k;
    memset(&t, 0, sizeof t);
    if (!path) return -1;
    TRY(read_json(e, path, &text));
    TRY(expect_field(e, path, text, "peft_type", "\"LORA\""));
    TRY(refuse_fields(e, path, text, unsupported));
    TRY(json_field(e, path, text, "r", 1, 65536, 1, &rank));
    TRY(json_field(e, path, text, "lora_alpha", 0, 1e6, 0, &alpha));
    m->c.rank = (size_t)rank; m->alpha = narrow(alpha); m->rslora = same(json_get(text, "use_rslora"), "true");
    TRY(read_safetensors(e, join(e, dir, "/", "adapter_model.safetensors"), &t));
    for (i = 0; i < m->n_all; i++) {
        char name[130];
        snprintf(name, sizeof name, "base_model.model.%.*s.lora_A.weight", (int)module_of(m->all[i]).n, m->all[i]->name);
        if (find_tensor(&t, name)) TRY(add_pair(e, m, m->all[i]));
    }
    for (i = 0; i < m->n_train; i++) {
        TRY(bind_param(e, &t, &m->c, m->train[i]));
        TRY(own_weights(e, m->train[i]));
    }
    for (i = 0; i < t.n; i++) {
        for (k = 0; k < m->n_train && strcmp(m->train[k]->name, t.t[i].name); k++) ;
        if (k == m->n_train) return fail(e, "%s: tensor %s: the model has no such weight", t.path, t.t[i].name);
    }
    return m->n_train ? 0 : fail(e, "%s: no tensors", t.path);
}

/* BASE+ADAPTER: where the adapter's name begins, or NULL. */
static const char *adapter_of(const char *path) {
    const char *plus = strrchr(path, '+');
    return plus && plus > path && !is_dir(path) && !is_file(path) ? plus + 1 : NULL;
}

/* The vocabulary of a model that names none: in the GGUF file, or beside the weights. */
static const char *tokenizer_beside(Env *e, const char *model) {
    static const char *const names[] = { "tokenizer.bin", "tokenizer.json", "tokenizer.model" };
    const char *slash = is_dir(model) ? "/" : "", *path;
    char *folder = copy(e, model, strlen(model) - (*slash ? 0 : strlen(base_name(model))));
    size_t i;
    if (!folder || ends(model, ".gguf")) return folder ? model : NULL;
    for (i = 0; i < COUNT(names); i++) if ((path = join(e, folder, slash, names[i])) && is_file(path)) return path;
    return join(e, folder, slash, names[0]);
}

/* A model from: a Hugging Face folder, a .gguf, a llama2.c .bin, or a lone config.json (random weights);
 * BASE+ADAPTER: the one with a PEFT folder beside it. Its tokenizer is the one named, or the one beside it. */
static int load_model(Env *e, const char *path, const char *tokenizer, uint64_t seed, Model *m) {
    const char *adapter = adapter_of(path);
    Table t;
    const char **shard;
    size_t i, n;
    int lone, bin;
    const char *found;
    memset(m, 0, sizeof *m); memset(&t, 0, sizeof t);
    if (adapter) path = copy(e, path, (size_t)(adapter - path) - 1);
    if (!path) return -1;
    lone = ends(path, ".json"); bin = ends(path, ".bin");
    TRY(find_data(e, path, &found));
    m->path = found;
    if (bin) TRY(read_llama2c(e, found, &t, m));
    else if (ends(found, ".gguf")) TRY(read_gguf(e, found, &t, &m->c));
    else if (lone) TRY(read_config(e, found, &m->c));
    else {
        if (!is_dir(found))
            return fail(e, "%s: a model is a folder with config.json and safetensors, a .gguf, a llama2.c .bin, or a config.json", path);
        TRY(read_config(e, join(e, found, "/", "config.json"), &m->c));
        TRY(list_shards(e, found, &shard, &n));
        for (i = 0; i < n; i++) TRY(read_safetensors(e, join(e, found, "/", shard[i]), &t));
    }
    if (!m->layer) TRY(shape_model(e, m));
    if (lone) TRY(random_weights(e, m, seed));
    else for (i = 0; i < m->n_all; i++) TRY(bind_param(e, &t, &m->c, m->all[i]));
    if (m->c.tied) { m->head.t = m->embed.t; m->head.w = m->embed.w; }
    TRY(fill_rope(e, m));
    m->tokenizer = tokenizer ? tokenizer : tokenizer_beside(e, found);
    if (bin && !tokenizer && m->tokenizer && !is_file(m->tokenizer))
        return fail(e, "%s: a .bin file has no vocabulary in it: name one with --tokenizer FILE", path);
    if (!m->tokenizer) return -1;
    TRY(load_tokenizer(e, m->tokenizer, &m->t));
    TRY(fit_tokenizer(e, &m->t, m->c.V));
    if (m->t.n != m->c.V)
        return fail(e, "%s: has %zu pieces, but %s has a vocabulary of %zu", m->tokenizer, m->t.n, path, m->c.V);
    m->name = base_name(copy(e, found, strlen(found) - (size_t)ends(found, "/")));
    return adapter ? load_adapter(e, m, adapter) : 0;
}

/* read_row() with what LoRA has learnt added in: W + sum_j (scale B[r][j]) A[j], j rising. */
static void read_merged(const Param *p, size_t r, size_t k, size_t n, float *x) {
    float sum[32] = { 0 };
    size_t i, j;
    read_row(p, r, k, n, x);
    if (!p->a) return;
    for (j = 0; j < p->a->rows; j++) {
        float s = p->scale * p->b->w[r * p->b->cols + j];
        for (i = 0; i < n; i++) sum[i] += s * p->a->w[j * p->cols + k + i];
    }
    for (i = 0; i < n; i++) x[i] += sum[i];
}

/* binary32 to F16, nearest, halves to even. Adding 0.5 rounds a number below 2^-14 to a multiple of 2^-24. */
static uint32_t to_half(float x) {
    uint32_t u = bits32(x), sign = u >> 16 & 0x8000, size = u & 0x7fffffff;
    if (size >= 0x47800000) return sign | 0x7c00;
    if (size < 0x38800000) return sign | (bits32((x < 0 ? -x : x) + 0.5f) - bits32(0.5f));
    return sign | (size - (112u << 23) + 0xfff + (size >> 13 & 1)) >> 13;
}

static void put_le16(Env *e, Buf *b, uint32_t u) { char s[2] = { (char)(u & 0xff), (char)(u >> 8 & 0xff) }; put(e, b, s, 2); }

/* n <= 32 numbers as a file of this type has them. Q8_0 as ggml makes it: d = largest / 127, q = round(x / d). */
static void put_as(Env *e, Buf *b, int type, const float *x, size_t n) {
    float d = 0.0f, inverse = 0.0f;
    size_t i;
    if (type == Q8_0) {
        for (i = 0; i < 32; i++) d = x[i] > d ? x[i] : -x[i] > d ? -x[i] : d;
        d = d / 127.0f;
        if (d > 0) inverse = 1.0f / d;
        put_le16(e, b, to_half(d));
    }
    for (i = 0; i < n; i++) {
        if (type == F32) put_le32(e, b, bits32(x[i]));
        else if (type == F16) put_le16(e, b, to_half(x[i]));
        else if (type == BF16) put_le16(e, b, (bits32(x[i]) + 0x7fff + (bits32(x[i]) >> 16 & 1)) >> 16);
        else {
            double q = (double)(x[i] * inverse);
            char byte = (char)(int)(q < 0 ? q - 0.5 : q + 0.5);
            put(e, b, &byte, 1);
        }
    }
}

/* All rows of a parameter; `neighbours`: q and k in the order that llama.cpp has them, row i of a head from i/2 or D/2 + i/2. */
static int write_param(Env *e, Out *o, Buf *b, const Param *p, int type, size_t neighbours) {
    size_t r, k, n, i, D = p->pairs ? neighbours : 0;
    float x[32];
    for (r = 0; r < p->rows; r++) for (k = 0; k < p->cols; k += 32) {
        n = p->cols - k < 32 ? p->cols - k : 32;
        i = D ? r % D : 0;
        read_merged(p, D ? r - i + i / 2 + (i % 2) * (D / 2) : r, k, n, x);
        put_as(e, b, type, x, n);
        if (b->n > 1u << 16) TRY(write_buf(e, o, b));
    }
    return write_buf(e, o, b);
}

static int save_tensors(Env *e, const char *path, Param *const *list, size_t n, int type) {
    Buf head = { NULL, 0, 0 }, b = { NULL, 0, 0 };
    size_t i, at = 0, bytes;
    Out *o;
    put_text(e, &head, "{");
    for (i = 0; i < n; i++) {
        const Param *p = list[i];
        bytes = storage[type].bytes * p->rows * p->cols;
        put_format(e, &head, "%s\"%s\":{\"dtype\":\"%s\",\"shape\":[%zu", i ? "," : "", p->name, storage[type].name, p->rows);
        if (!p->norm) put_format(e, &head, ",%zu", p->cols);
        put_format(e, &head, "],\"data_offsets\":[%zu,%zu]}", at, at + bytes);
        at += bytes;
    }
    put_text(e, &head, "}");
    while (head.n % 8) put_text(e, &head, " ");
    put_le32(e, &b, (uint32_t)head.n); put_le32(e, &b, (uint32_t)((uint64_t)head.n >> 32));
    put(e, &b, head.s, head.n);
    o = open_out(e, path);
    if (!o) return -1;
    for (i = 0; i < n; i++) TRY(write_param(e, o, &b, list[i], type, 0));
    TRY(close_out(e, o));
    drop(e, b.s); drop(e, head.s);
    return 0;
}

/* Writes what LoRA has learnt as PEFT reads it. */
static int save_adapter(Env *e, const Model *m, const char *dir) {
    Buf b = { NULL, 0, 0 };
    Names seen = { NULL, 0, 0 };
    size_t i, any = 0;
    TRY(make_dir(e, dir));
    put_text(e, &b, "{\n  \"peft_type\": \"LORA\",\n  \"task_type\": \"CAUSAL_LM\",\n  \"base_model_name_or_path\": ");
    put_quoted(e, &b, span(m->name));
    put_format(e, &b, ",\n  \"r\": %zu,\n  \"lora_alpha\": %.9g,\n  \"use_rslora\": %s,\n  \"target_modules\": [", m->c.rank,
        (double)m->alpha, m->rslora ? "true" : "false");
    for (i = 0; i < m->n_all; i++) {                         /* each module's last name, once */
        Span name = module_of(m->all[i]);
        if (!m->all[i]->a) continue;
        while (memchr(name.s, '.', name.n)) upto(&name, '.');
        if (!seen_before(e, &seen, name)) put_format(e, &b, "%s\"%.*s\"", any++ ? ", " : "", (int)name.n, name.s);
    }
    put_text(e, &b, "],\n  \"lora_dropout\": 0.0,\n  \"bias\": \"none\",\n  \"fan_in_fan_out\": false,\n  \"inference_mode\": true,\n"
        "  \"init_lora_weights\": true,\n  \"modules_to_save\": null,\n  \"layers_to_transform\": null,\n  \"layers_pattern\": null,\n"
        "  \"rank_pattern\": {},\n  \"alpha_pattern\": {},\n  \"use_dora\": false,\n  \"revision\": null,\n  \"auto_mapping\": null\n}\n");
    TRY(save_file(e, join(e, dir, "/", "adapter_config.json"), whole(&b)));
    drop(e, b.s);
    return save_tensors(e, join(e, dir, "/", "adapter_model.safetensors"), m->train, m->n_train, F32);
}

/* Writes a Hugging Face folder: config.json, model.safetensors, generation_config.json, tokenizer files. */
static int save_model(Env *e, const Model *m, const char *dir, int type) {
    const Config *c = &m->c;
    Config own = m->c;
    Buf b = { NULL, 0, 0 }, stops = { NULL, 0, 0 };
    size_t i;
    TRY(make_dir(e, dir));
    for (i = 0; i < c->n_stops; i++) put_format(e, &stops, "%s%d", i ? ", " : c->n_stops > 1 ? "[" : "", c->stops[i]);
    if (c->n_stops > 1) put_text(e, &stops, "]");
    put_format(e, &b, "{\n  \"architectures\": [\"%s\"],\n  \"model_type\": \"%s\",\n",
        c->E > 1 ? "MixtralForCausalLM" : "LlamaForCausalLM", c->E > 1 ? "mixtral" : "llama");
    for (i = 0; i < COUNT(shape_keys); i++)
        if (c->E > 1 || (shape_keys[i].kind != MIXTURE && shape_keys[i].at != offsetof(Config, aux)))
            put_format(e, &b, "  \"%s\": %.9g,\n", shape_keys[i].hf,
                shape_keys[i].kind == REAL ? (double)*real_at(&own, i) : (double)*size_at(&own, i));
    put_format(e, &b, "  \"hidden_act\": \"silu\",\n  \"tie_word_embeddings\": %s,\n  \"bos_token_id\": 1,\n  \"eos_token_id\": %s,\n  \"torch_dtype\": \"%s\"\n}\n",
               c->tied ? "true" : "false", stops.s ? stops.s : "2", type == F32 ? "float32" : type == F16 ? "float16" : "bfloat16");
    TRY(save_file(e, join(e, dir, "/", "config.json"), whole(&b)));
    b.n = 0;
    put_format(e, &b, "{\n  \"bos_token_id\": 1,\n  \"eos_token_id\": %s\n}\n", stops.s ? stops.s : "2");
    TRY(save_file(e, join(e, dir, "/", "generation_config.json"), whole(&b)));
    TRY(save_tensors(e, join(e, dir, "/", "model.safetensors"), m->all, m->n_all, type));
    drop(e, b.s);
    return save_tokenizer_files(e, &m->t, m->tokenizer, c->stops[0], c->ctx, dir);
}

/* GGUF's own values. *fields counts what is put. */
static void put_le64(Env *e, Buf *b, uint64_t u) { put_le32(e, b, (uint32_t)u); put_le32(e, b, (uint32_t)(u >> 32)); }
static void put_counted(Env *e, Buf *b, Span s) { put_le64(e, b, s.n); put(e, b, s.s, s.n); }

static void put_field(Env *e, Buf *b, size_t *fields, const char *key, uint32_t type) {
    put_counted(e, b, span(key));
    put_le32(e, b, type);
    ++*fields;
}

static void put_array(Env *e, Buf *b, size_t *fields, const char *key, uint32_t type, size_t n) {
    put_field(e, b, fields, key, GGUF_ARRAY);
    put_le32(e, b, type);
    put_le64(e, b, n);
}

static void put_vocabulary(Env *e, Buf *b, size_t *fields, const Tokenizer *t) {
    Buf text = { NULL, 0, 0 };
    size_t i;
    put_field(e, b, fields, "tokenizer.ggml.model", GGUF_TEXT);
    put_counted(e, b, span("llama"));
    put_array(e, b, fields, "tokenizer.ggml.tokens", GGUF_TEXT, t->n);
    for (i = 0; i < t->n; i++, text.n = 0) {
        put_escaped(e, &text, t->piece[i]);
        put_counted(e, b, whole(&text));
    }
    put_array(e, b, fields, "tokenizer.ggml.scores", 6, t->n);
    for (i = 0; i < t->n; i++) put_le32(e, b, bits32(t->score[i]));
    put_array(e, b, fields, "tokenizer.ggml.token_type", 5, t->n);
    for (i = 0; i < t->n; i++) put_le32(e, b, t->kind[i]);
    put_field(e, b, fields, "tokenizer.ggml.add_space_prefix", 7);
    put(e, b, t->no_prefix ? "\0" : "\1", 1);
    drop(e, text.s);
}

/* Writes a GGUF file as llama.cpp reads it: norms and routers stay F32, a layer's experts are one tensor, the rows of q
 * and k are neighbours. */
static int save_gguf(Env *e, const Model *m, const char *path, int type) {
    const Config *c = &m->c;
    const struct { const char *key; size_t x; } fields[] = { { "llama.block_count", c->L }, { "llama.context_length", c->ctx },
        { "llama.embedding_length", c->H }, { "llama.feed_forward_length", c->F }, { "llama.attention.head_count", c->Q },
        { "llama.attention.head_count_kv", c->K }, { "llama.attention.key_length", c->D }, { "llama.attention.value_length", c->D },
        { "llama.rope.dimension_count", c->D }, { "llama.vocab_size", c->V }, { "tokenizer.ggml.bos_token_id", BOS },
        { "tokenizer.ggml.eos_token_id", (size_t)c->stops[0] }, { "tokenizer.ggml.unknown_token_id", UNKNOWN },
        { "general.file_type", type == F32 ? 0 : type == F16 ? 1 : type == Q8_0 ? 7 : 32 },
        { "llama.expert_count", c->E }, { "llama.expert_used_count", c->top },
        { "llama.attention.layer_norm_rms_epsilon", bits32(c->eps) }, { "llama.rope.freq_base", bits32(c->theta) } };
    static const char zeros[32] = { 0 };
    Buf b = { NULL, 0, 0 }, meta = { NULL, 0, 0 }, infos = { NULL, 0, 0 };
    char name[100];
    size_t i, x, at = 0, n_fields = 0, tensors = 0, pass;
    Out *o = NULL;
    put_field(e, &meta, &n_fields, "general.architecture", GGUF_TEXT); put_counted(e, &meta, span("llama"));
    put_field(e, &meta, &n_fields, "general.name", GGUF_TEXT); put_counted(e, &meta, span(m->name ? m->name : ""));
    for (i = 0; i < COUNT(fields); i++) {
        if (c->E == 1 && starts(fields[i].key, "llama.expert")) continue;
        put_field(e, &meta, &n_fields, fields[i].key, i + 2 < COUNT(fields) ? 4 : 6);
        put_le32(e, &meta, (uint32_t)fields[i].x);
    }
    put_vocabulary(e, &meta, &n_fields, &m->t);
    for (pass = 0; pass < 2; pass++) {                       /* the list of tensors, then their numbers */
        if (pass) {
            put_text(e, &b, "GGUF"); put_le32(e, &b, 3); put_le64(e, &b, tensors); put_le64(e, &b, n_fields);
            put(e, &b, meta.s, meta.n); put(e, &b, infos.s, infos.n);
            put(e, &b, zeros, (32 - b.n % 32) % 32);
            if (!(o = open_out(e, path))) return -1;
        }
        for (i = 0; i < m->n_all; i++) {
            const Param *p = m->all[i];
            int kind = p->norm || strstr(p->gguf, "gate_inp") ? F32 : type;
            size_t parts = p->expert ? c->E : 1, bytes = p->rows * p->cols / storage[kind].of * storage[kind].bytes * parts;
            TRY(check_blocks(e, path, p->name, kind, p->cols));
            if (p->expert > 1) continue;
            if (pass) {
                for (x = 0; x < parts; x++) TRY(write_param(e, o, &b, m->all[i + 3 * x], kind, c->D));
                put(e, &b, zeros, (32 - bytes % 32) % 32);
                continue;
            }
            /* blk.0.ffn_up.0.weight stands for all: blk.0.ffn_up_exps.weight */
            snprintf(name, sizeof name, "%.*s%s.weight", (int)strlen(p->gguf) - (p->expert ? 9 : 7), p->gguf,
                p->expert ? "_exps" : "");
            put_counted(e, &infos, span(name));
            put_le32(e, &infos, p->norm ? 1 : p->expert ? 3 : 2);
            if (!p->norm) put_le64(e, &infos, p->cols);
            put_le64(e, &infos, p->rows);
            if (p->expert) put_le64(e, &infos, c->E);
            put_le32(e, &infos, storage[kind].ggml);
            put_le64(e, &infos, at);
            at += (bytes + 31) / 32 * 32;
            tensors++;
        }
    }
    TRY(write_buf(e, o, &b));
    drop(e, b.s);
    return close_out(e, o);
}

/* ================================================= Speed ==============================================================
 * All the arithmetic that costs time is one product, C[i][n] (+)= sum_k A[i][k] B[k][n], and here is what it means: */
static void product_textbook(const float *a, size_t row, size_t col, const float *b, size_t ldb, float *c, size_t ldc,
                             size_t M, size_t N, size_t K, int add) {
    size_t i, n, k;
    for (i = 0; i < M; i++) for (n = 0; n < N; n++) {
        float acc = add ? c[i * ldc + n] : 0.0f;
        for (k = 0; k < K; k++) acc += a[i * row + k * col] * b[k * ldb + n];
        c[i * ldc + n] = acc;
    }
}
/* The fast version below computes these very sums, each term rounded once as a product and once as a sum, k rising. It
 * may, because the N outputs of a row don't depend on each other: 16 of them sit in one vector register, and 16 sums
 * grow side by side in the order in which one would. (A sum split over the lanes of a register, as compilers do under
 * -ffast-math, is another sum.) Three things make it fast:
 *
 *   panels   B is laid out as P[N/32][K][32]: the 32 outputs' weights for one k lie together, and a panel is read once,
 *            front to back. The last panel is padded with zeros in n, never in k.
 *   tiles    ROWS rows of A times 32 columns are summed in registers: each weight that is loaded serves ROWS rows, each
 *            number of A 32 columns.
 *   threads  each owns some of the outputs.
 *
 *        k ->                n ->
 *      +-------+      +------+------+--            +------+------+--
 *   i  | A     |    k |  P0  |  P1  | ..        i  | tile |      |      C
 *   |  |       |    | |      |      |           |  +------+------+--
 *   v  +-------+    v +------+------+--         v  |      |      |
 */
/* Not on 32-bit ARM (its vectors flush denormals), nor where floats are computed wider (x87; s390x under -std=c99: there
 * the probe in Evidence finds that bits differ, and -fexcess-precision=fast mends s390x). */
#if (defined(__GNUC__) || defined(__clang__)) && !defined(__TINYC__) && !defined(__arm__) && !defined(ACTINH_PLAIN) \
    && defined(FLT_EVAL_METHOD) && FLT_EVAL_METHOD == 0
#if defined(__AVX512F__)
#define VECTOR 64
#elif defined(__AVX__)
#define VECTOR 32
#else
#define VECTOR 16
#endif
typedef float Vec __attribute__((vector_size(VECTOR), aligned(sizeof(float)), may_alias));
#if defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif
#else
#define VECTOR sizeof(float)             /* no vectors: the same code, one lane wide */
typedef float Vec;
#define UNROLL
#endif
#if defined(__AVX512F__) || defined(__aarch64__)
enum { HIGH = 12 };                      /* rows of a tile: its sums and one weight vector fill the 32 vector registers */
#else
enum { HIGH = 6 };                       /* or the 16 */
#endif
enum { PANEL = 32, LANES = VECTOR / sizeof(float), WIDE = 2, TILE = WIDE * LANES, DEPTH = 256 };
#define LOAD(p) (*(const Vec *)(const void *)(p))
#define STORE(p, x) (*(Vec *)(void *)(p) = (x))

#define DEFINE_TILE(ROWS) \
static void tile##ROWS(const float *a, size_t row, size_t col, const float *b, size_t step, float *c, size_t ldc, size_t K, \
    int add) { \
    Vec acc[ROWS][WIDE], zero = { 0 }, w[WIDE]; \
    size_t i, j, k; \
    UNROLL for (i = 0; i < ROWS; i++) UNROLL for (j = 0; j < WIDE; j++) acc[i][j] = add ? LOAD(c + i * ldc + j * LANES) : zero; \
    for (k = 0; k < K; k++) { \
        UNROLL for (j = 0; j < WIDE; j++) w[j] = LOAD(b + k * step + j * LANES); \
        UNROLL for (i = 0; i < ROWS; i++) { \
            float x = a[i * row + k * col]; \
            UNROLL for (j = 0; j < WIDE; j++) acc[i][j] += x * w[j]; \
        } \
    } \
    UNROLL for (i = 0; i < ROWS; i++) UNROLL for (j = 0; j < WIDE; j++) STORE(c + i * ldc + j * LANES, acc[i][j]); \
}
DEFINE_TILE(1) DEFINE_TILE(2) DEFINE_TILE(3) DEFINE_TILE(4) DEFINE_TILE(5) DEFINE_TILE(6)
DEFINE_TILE(7) DEFINE_TILE(8) DEFINE_TILE(9) DEFINE_TILE(10) DEFINE_TILE(11) DEFINE_TILE(12)

/* C [rows][width] (+)= A B, B's row k at b + k * step: a panel's up to 32 columns, or rows that stand elsewhere. Up to
 * TILE - 1 numbers behind the width are loaded too, and not used. The rows are cut into tiles of equal height. */
static void strip(const float *a, size_t row, size_t col, const float *b, size_t step, float *c, size_t ldc, size_t rows,
    size_t width, size_t K, int add) {
    static void (*const tile[])(const float *, size_t, size_t, const float *, size_t, float *, size_t, size_t, int) = {
        NULL, tile1, tile2, tile3, tile4, tile5, tile6, tile7, tile8, tile9, tile10, tile11, tile12 };
    size_t j, r, i, x, high;
    for (j = 0; j < width; j += TILE) for (r = 0; r < rows; r += high) {
        size_t tiles = (rows - r + HIGH - 1) / HIGH, w = width - j < TILE ? width - j : TILE, ld = ldc;
        float edge[HIGH * TILE], *to = c + r * ldc + j;
        high = (rows - r + tiles - 1) / tiles;
        if (w < TILE) {                  /* the matrix ends within this tile: work on a copy that is wide enough */
            memset(edge, 0, sizeof edge);
            if (add) for (i = 0; i < high; i++) for (x = 0; x < w; x++) edge[i * TILE + x] = to[i * ldc + x];
            to = edge; ld = TILE;
        }
        tile[high](a + r * row, row, col, b + j, step, to, ld, K, add);
        if (w < TILE) for (i = 0; i < high; i++) for (x = 0; x < w; x++) c[(r + i) * ldc + j + x] = edge[i * TILE + x];
    }
}

/* Narrow panels: P[N/32][K][32] of the file's own numbers, for memory is read at its speed however few bits a weight has.
 * F16 and BF16 stand as they are; int8 with a scale for 32 (or a multiple) come in blocks of 32 k: 32 scales, [32][32]
 * int8. Bytes for one k of a panel; 0 where there is no narrow panel. */
static size_t narrow_bytes(const Param *p) {
    int type = p->t.type;
    return p->w || p->norm ? 0 : type == F16 || type == BF16 ? 64
        : type == Q8_0 || type == Q4_0 || (type == GROUPS && p->t.group % 32 == 0 && p->cols % 32 == 0) ? 36 : 0;
}

static void pack_narrow(const Param *p) {
    const Tensor *t = &p->t;
    size_t wide = narrow_bytes(p);
    long b, blocks = (long)((p->rows + PANEL - 1) / PANEL);
    PARALLEL(p->rows * p->cols) for (b = 0; b < blocks; b++) {
        size_t n = (size_t)b * PANEL, k, j, i;
        for (k = 0; k < p->cols; k += 32) for (j = 0; j < PANEL && n + j < p->rows; j++) {
            unsigned char *to = p->narrow + (n / PANEL * p->cols + k) * wide;
            size_t at = file_row(p, n + j) * p->cols + k;
            const unsigned char *from = t->data + at / storage[t->type].of * storage[t->type].bytes;
            float d = t->type == GROUPS ? le_float(t->scales + at / t->group * 4) : half(le16(from));
            if (wide == 64) for (i = 0; i < 32 && k + i < p->cols; i++) {
                uint16_t h = (uint16_t)le16(from + 2 * i);
                memcpy(to + 64 * i + 2 * j, &h, 2);
            } else for (memcpy(to + 4 * j, &d, 4), to += 128 + j, i = 0; i < 32; i++)
                to[32 * i] = t->type == Q8_0 ? from[2 + i] : t->type == GROUPS ? from[i]
                    : (unsigned char)((from[2 + i % 16] >> i / 16 * 4 & 15) - 8);
        }
    }
}

/* Its numbers become binary32 exactly as widen() makes them. */
static void widen_panel(const Param *p, size_t n, size_t k, size_t depth, float *tile) {
    const unsigned char *at = p->narrow + (n / PANEL * p->cols + k) * narrow_bytes(p);
    const uint16_t *h = (const uint16_t *)(const void *)at;
    size_t i, j;
    if (p->t.type == BF16) for (i = 0; i < depth * PANEL; i++) {
        uint32_t u = (uint32_t)h[i] << 16;
        memcpy(tile + i, &u, 4);
    } else if (p->t.type == F16) for (i = 0; i < depth * PANEL; i++) tile[i] = half(h[i]);
    else for (i = 0; i < depth; i++) {
        const float *d = (const float *)(const void *)(at + i / 32 * 1152);
        const signed char *q = (const signed char *)(d + 32) + i % 32 * 32;
        for (j = 0; j < PANEL; j++) tile[i * PANEL + j] = d[j] * (float)q[j];
    }
}

/* A part of a panel from the weights as they stand, B = W' or, for the way `back`, B = W: B's rows k .. k + depth - 1
 * and columns n .. n + width - 1, widened, to tile [depth][PANEL]. */
static void load_tile(const Param *p, int back, size_t n, size_t width, size_t k, size_t depth, float *tile) {
    float x[PANEL][PANEL];
    size_t i, j, d, part;
    if (!back && p->narrow) { widen_panel(p, n, k, depth, tile); return; }
    if (width < PANEL) memset(tile, 0, depth * PANEL * sizeof *tile);
    if (back) for (i = 0; i < depth; i++) read_row(p, k + i, n, width, tile + i * PANEL);
    else for (i = 0; i < depth; i += PANEL, tile += PANEL * PANEL) {
        part = depth - i < PANEL ? depth - i : PANEL;
        for (j = 0; j < width; j++) read_row(p, n + j, k + i, part, x[j]);
        for (d = 0; d < part; d++) for (j = 0; j < width; j++) tile[d * PANEL + j] = x[j][d];
    }
}

/* C [M][N] (ldc apart) (+)= A B, A's element (i, k) at a[i * row + k * col], B [K][N] in panels or, where they are NULL,
 * from the weights p: see load_tile. 256 rows of a panel are used at a time, so that they and what A has for them stay
 * in the nearest cache; the sums wait in C meanwhile, in binary32 as they are, so they are the same. */
static void product_of(const float *a, size_t row, size_t col, const float *panels, const Param *p, int back, float *c, size_t ldc,
    size_t M, size_t N, size_t K, int add) {
    size_t across = (N + PANEL - 1) / PANEL, rows = !panels ? (M > 512 ? 512 : M) : M > 512 ? 128 : M > 64 ? (M + 3) / 4 : M,
        down = rows ? (M + rows - 1) / rows : 0;
    long t, tasks = (long)(across * down);
#ifdef _OPENMP
#pragma omp parallel for schedule(static) if (N * K * (M + 8) > 400000)
#endif
    for (t = 0; t < tasks; t++) {
        size_t i = (size_t)t / across * rows, n = (size_t)t % across * PANEL, width = N - n < PANEL ? N - n : PANEL, k, depth,
            high = M - i < rows ? M - i : rows;
        float tile[DEPTH * PANEL];
        for (k = 0; k == 0 || k < K; k += depth) {
            depth = high == 1 || K - k < DEPTH ? K - k : DEPTH;
            if (!panels) load_tile(p, back, n, width, k, depth = depth < DEPTH ? depth : DEPTH, tile);
            strip(a + i * row + k * col, row, col, panels ? panels + n * K + k * PANEL : tile, PANEL, c + i * ldc + n, ldc, high,
                width, depth, add || k);
            if (!K) break;
        }
    }
}

static void product(const float *a, size_t row, size_t col, const float *panels, float *c, size_t ldc, size_t M, size_t N,
    size_t K, int add) {
    product_of(a, row, col, panels, NULL, 0, c, ldc, M, N, K, add);
}

static size_t panel_size(size_t N, size_t K) { return (N + PANEL - 1) / PANEL * PANEL * K; }

/* Panels of B = W': for y = Wx. */
static void pack_weights(const Param *p) {
    long b, blocks = (long)((p->rows + PANEL - 1) / PANEL);
#ifdef _OPENMP
#pragma omp parallel for schedule(static) if (p->rows * p->cols > 100000)
#endif
    for (b = 0; b < blocks; b++) {
        size_t n = (size_t)b * PANEL, width = p->rows - n < PANEL ? p->rows - n : PANEL;
        load_tile(p, 0, n, width, 0, p->cols, p->panel + n * p->cols);
    }
}

/* Panels of B = X [K][N] as it stands: for dx = W'dy (X = W) and dW = dy' x (X = x). */
static void pack_straight(const float *x, size_t K, size_t N, float *panels) {
    long b, blocks = (long)((N + PANEL - 1) / PANEL);
#ifdef _OPENMP
#pragma omp parallel for schedule(static) if (N * K > 100000)
#endif
    for (b = 0; b < blocks; b++) {
        size_t n = (size_t)b * PANEL, width = N - n < PANEL ? N - n : PANEL, k, j;
        for (k = 0; k < K; k++) {
            for (j = 0; j < width; j++) panels[n * K + k * PANEL + j] = x[k * N + n + j];
            for (; j < PANEL; j++) panels[n * K + k * PANEL + j] = 0.0f;
        }
    }
}

/* Half of this machine's memory, as far as it can be asked. */
static double memory_for_panels(const Env *e) {
#ifdef _SC_PHYS_PAGES
    if (e->memory <= 0) return 0.5 * (double)sysconf(_SC_PHYS_PAGES) * (double)sysconf(_SC_PAGESIZE);
#endif
    return e->memory > 0 ? e->memory : 2e9;
}

/* Lays out the weights that have changed: for use, and when they are trained for the way back too. Frozen weights stay as
 * they are in the file when the panels of all of them would take too much memory. */
static int pack_model(Env *e, Model *m) {
    size_t i;
    double need = 0;
    for (i = 0; i <= m->n_all; i++) {
        const Param *p = i < m->n_all ? m->all[i] : &m->head;
        if (!p->norm && !p->w) need += (narrow_bytes(p) ? (double)narrow_bytes(p) / 32 : 4.0) * (double)p->rows * (double)p->cols;
    }
    m->in_place = need > memory_for_panels(e);
    for (i = 0; i <= m->n_all + m->n_train; i++) {
        Param *p = i < m->n_all ? m->all[i] : i == m->n_all ? &m->head : m->train[i - m->n_all - 1];
        if (p->norm || (!p->w && m->in_place) || (!p->g && (p->panel || p->narrow))) continue;
        if (i > m->n_all && !m->c.rank) break;               /* then those that learn are among all */
        if (!p->w) TRY(check_finite(e, p));
        if (p == &m->embed || (i == m->n_all && !m->c.tied)) continue;
        if (narrow_bytes(p)) {
            p->narrow = get(e, panel_size(p->rows, (p->cols + 31) / 32 * 32) / 32, narrow_bytes(p));
            if (!p->narrow) return -1;
            pack_narrow(p);
            continue;
        }
        if (!p->panel) p->panel = get(e, panel_size(p->rows, p->cols), sizeof(float));
        if (p->g && !p->back) p->back = get(e, panel_size(p->cols, p->rows), sizeof(float));
        if (!p->panel || (p->g && !p->back)) return -1;
        pack_weights(p);
        if (p->g) pack_straight(p->w, p->rows, p->cols, p->back);
    }
    return 0;
}

/* The largest of n > 0 numbers; 16 candidates at a time, for a maximum has no order. */
static float largest(const float *x, size_t n) {
    float m[16], top = x[0];
    size_t i = 0, j;
    for (j = 0; j < 16; j++) m[j] = x[0];
    for (; i + 16 <= n; i += 16) for (j = 0; j < 16; j++) m[j] = x[i + j] > m[j] ? x[i + j] : m[j];
    for (j = 0; j < 16; j++) top = m[j] > top ? m[j] : top;
    for (; i < n; i++) top = x[i] > top ? x[i] : top;
    return top;
}

/* Sums of up to 8 rows of x (or of x y): x[0] + x[1] + .. in that order. To split one among threads or lanes
 * (a softmax's, a norm's) would change its bits; but each addition waits for the one before, and meanwhile
 * those of seven other rows are made. n [rows]: their lengths. */
enum { ABREAST = 8 };
static void sums(const float *x, const float *y, size_t apart, size_t rows, const size_t *n, float *sum) {
    const float *a[ABREAST], *b[ABREAST];
    float s[ABREAST] = { 0 };
    size_t least = n[0], i, j;
    for (j = 0; j < ABREAST; j++) {
        size_t r = j < rows ? j : 0;
        a[j] = x + r * apart; b[j] = y ? y + r * apart : x;
        least = n[r] < least ? n[r] : least;
    }
    if (y) for (i = 0; i < least; i++) UNROLL for (j = 0; j < ABREAST; j++) s[j] += a[j][i] * b[j][i];
    else for (i = 0; i < least; i++) UNROLL for (j = 0; j < ABREAST; j++) s[j] += a[j][i];
    for (j = 0; j < rows; j++) {
        for (i = least; i < n[j]; i++) s[j] += y ? a[j][i] * b[j][i] : a[j][i];
        sum[j] = s[j];
    }
}

/* ============================================ Layers, in pairs ========================================================
 * Each layer's forward, and below it the backward that sends the loss's gradient through it. `dx` is the gradient with
 * respect to x. Backwards add to what stands in dx and in the weights' gradients g, since x and w may be used elsewhere
 * too. test/pairs.c checks each pair by finite differences.
 */

/* y[i] = x[i] inv w[i], inv = 1 / sqrt(mean(x^2) + eps); x, y [R][H], w [H] */
static void rms_inverse(const float *x, size_t rows, size_t H, float eps, float *inv) {      /* up to 8 rows */
    size_t n[ABREAST], r;
    for (r = 0; r < ABREAST; r++) n[r] = H;
    sums(x, x, H, rows, n, inv);
    for (r = 0; r < rows; r++) inv[r] = 1.0f / sqrtf(inv[r] / (float)H + eps);
}

static size_t abreast(size_t n, size_t r) { return n - r < ABREAST ? n - r : ABREAST; }

static void rmsnorm(const float *x, const float *w, size_t R, size_t H, float eps, float *y) {
    long first;
    PARALLEL(R * H) for (first = 0; first < (long)R; first += ABREAST) {
        size_t at = (size_t)first, rows = abreast(R, at), r, i;
        float inv[ABREAST];
        rms_inverse(x + at * H, rows, H, eps, inv);
        for (r = 0; r < rows; r++) for (i = 0; i < H; i++) y[(at + r) * H + i] = x[(at + r) * H + i] * inv[r] * w[i];
    }
}

/* With n = dy w:  dx[i] += inv n[i] - x[i] inv^3 (sum n x) / H;   dw[i] += dy[i] x[i] inv, rows in order */
static void rmsnorm_back(const float *x, const Param *p, size_t R, size_t H, float eps, const float *dy, float *dx) {
    long r;
    size_t i, t, at;
    float inverse[ABREAST];
    PARALLEL(R * H) for (r = 0; r < (long)R; r++) {
        const float *from = x + (size_t)r * H, *d = dy + (size_t)r * H;
        float inv, sum = 0.0f, back, *to = dx + (size_t)r * H;
        size_t j;
        rms_inverse(from, 1, H, eps, &inv);
        for (j = 0; j < H; j++) sum += d[j] * p->w[j] * from[j];
        back = inv * inv * inv * sum / (float)H;
        for (j = 0; j < H; j++) to[j] += inv * (d[j] * p->w[j]) - from[j] * back;
    }
    if (p->g) for (at = 0; at < R; at += ABREAST) {
        rms_inverse(x + at * H, abreast(R, at), H, eps, inverse);
        for (t = at; t < at + abreast(R, at); t++)
            for (i = 0; i < H; i++) p->g[i] += dy[t * H + i] * x[t * H + i] * inverse[t - at];
    }
}

/* u = scale A x, [R][rank]; or on the way `back` du = scale B' dy */
static void lower_rank(const Param *p, const float *x, size_t R, int back, float *u) {
    const Param *q = back ? p->b : p->a;
    size_t i, n = p->a->rows, K = back ? p->rows : p->cols;
    product_of(x, K, 1, back ? q->back : q->panel, q, back, u, n, R, n, K, 0);
    for (i = 0; i < R * n; i++) u[i] *= p->scale;
}

/* y = Wx; x [R][cols], y [R][rows]. With LoRA each sum goes on: + B u, u = scale A x. low: scratch, see new_acts */
static void linear(const Param *p, const float *x, size_t R, float *y, float *low) {
    product_of(x, p->cols, 1, p->panel, p, 0, y, p->rows, R, p->rows, p->cols, 0);
    if (!p->a) return;
    lower_rank(p, x, R, 0, low);
    product_of(low, p->b->cols, 1, p->b->panel, p->b, 0, y, p->rows, R, p->rows, p->b->cols, 1);
}

/* dx (+)= W' dy, and with LoRA A' du */
static void linear_dx(const Param *p, const float *dy, size_t R, float *dx, int add, float *low) {
    product_of(dy, p->rows, 1, p->back, p, 1, dx, p->cols, R, p->cols, p->rows, add);
    if (!p->a) return;
    lower_rank(p, dy, R, 1, low);
    product_of(low, p->b->cols, 1, p->a->back, p->a, 1, dx, p->cols, R, p->cols, p->a->rows, 1);
}

/* dW += dy' x, rows in order; x comes in panels too (pack_straight), for it often serves several matrices. With LoRA
 * dB += dy' u and dA += du' x. */
static void linear_dw(const Param *p, const float *x, const float *x_panels, size_t R, const float *dy, float *low) {
    if (p->g) product(dy, 1, p->rows, x_panels, p->g, p->cols, p->rows, p->cols, R, 1);
    if (p->a && p->a->g) {
        size_t n = p->a->rows;
        lower_rank(p, x, R, 0, low);
        pack_straight(low, R, n, low + R * n);
        product(dy, 1, p->rows, low + R * n, p->b->g, n, p->rows, n, R, 1);
        lower_rank(p, dy, R, 1, low);
        product(low, 1, n, x_panels, p->a->g, p->cols, n, p->cols, R, 1);
    }
}

/* Positions as rotations: the pair (x[i], x[i + D/2]) of each head turns by position * theta^(-2i/D). */
static void rope(const Model *m, const int *pos, size_t R, size_t heads, float *x, float direction) {
    size_t half = m->c.D / 2, D = m->c.D;
    long r;
    PARALLEL(R * heads * D) for (r = 0; r < (long)R; r++) {
        const float *c = m->cosine + (size_t)pos[r] * half, *s = m->sine + (size_t)pos[r] * half;
        size_t h, i;
        for (h = 0; h < heads; h++) {
            float *a = x + ((size_t)r * heads + h) * D, *b = a + half;
            for (i = 0; i < half; i++) {
                float x0 = a[i], x1 = b[i], sine = direction * s[i];
                a[i] = x0 * c[i] - x1 * sine;
                b[i] = x1 * c[i] + x0 * sine;
            }
        }
    }
}
/* Its backward is the rotation the other way: direction -1. */

/* Up to 8 rows in place: exp((x - top) / temperature), top the row's largest number, and their sum in order of index. */
static void exponentials(float *x, size_t apart, size_t rows, const size_t *n, float temperature, float *top, float *sum) {
    size_t r, i;
    for (r = 0; r < rows; r++) {
        float *s = x + r * apart;
        top[r] = largest(s, n[r]);
        if (temperature == 1.0f) for (i = 0; i < n[r]; i++) s[i] = exp32(s[i] - top[r]);
        else for (i = 0; i < n[r]; i++) s[i] = exp32((s[i] - top[r]) / temperature);
    }
    sums(x, NULL, apart, rows, n, sum);
}

/* p = softmax(s) in place, up to 8 rows. */
static void softmax(float *s, size_t apart, size_t rows, const size_t *n) {
    float top[ABREAST], sum[ABREAST];
    size_t r, i;
    exponentials(s, apart, rows, n, 1.0f, top, sum);
    for (r = 0; r < rows; r++) for (i = 0; i < n[r]; i++) s[r * apart + i] = s[r * apart + i] / sum[r];
}

/* ds[i] = p[i] (dp[i] - sum_j p[j] dp[j]); in place of dp, up to 8 rows */
static void softmax_back(const float *p, float *dp, size_t apart, size_t rows, const size_t *n) {
    float sum[ABREAST];
    size_t r, i;
    sums(p, dp, apart, rows, n, sum);
    for (r = 0; r < rows; r++)
        for (i = 0; i < n[r]; i++) dp[r * apart + i] = p[r * apart + i] * (dp[r * apart + i] - sum[r]);
}

/* Rows in flight. A row is one token of one sequence. Its keys and values go into the cache, a pool of slots: position
 * p of a sequence lives in slot `slot + p - shared`, or in its parent's slots if p < shared. So the ten answers to one
 * prompt read one copy of it, and packing sequences for training is the same thing with nothing shared.
 *
 *     slots:  | answer 0: 41 42 .. | answer 1: 41 42 .. | ..        | prompt: 0 1 2 .. 40 |
 *               its `slot`           its `slot`                       `slot` of both's parent; shared = 41 */
typedef struct { size_t slot, shared, parent; } Seq;       /* slots begin at multiples of 32; a parent shares nothing itself */
typedef struct { size_t n; int *token, *pos, *seq; int *want; } Rows;     /* [n] each; want: logits of this row? */
typedef struct { float *k, *v; size_t slots, layers; } Cache;             /* k [layers][slots/32][K][D][32], v [layers][slots][K][D] */

/* layers: all of them; or 1, which each uses in its turn (when what a layer did is computed again on the way back). */
static int new_cache(Env *e, const Config *c, size_t slots, size_t layers, Cache *kv) {
    kv->layers = layers;
    kv->slots = (slots + PANEL - 1) / PANEL * PANEL;
    kv->k = get(e, kv->slots * layers, c->K * c->D * sizeof(float));
    kv->v = get(e, kv->slots * layers * c->K * c->D + PANEL, sizeof(float));          /* see strip: read behind its end */
    return kv->k && kv->v ? 0 : -1;
}

static float *key_block(const Config *c, const Cache *kv, size_t l, size_t slot, size_t head) {
    return kv->k + l % kv->layers * kv->slots * c->K * c->D + (slot / PANEL * c->K + head) * c->D * PANEL;
}

static float *value_row(const Config *c, const Cache *kv, size_t l, size_t slot, size_t head) {
    return kv->v + ((l % kv->layers * kv->slots + slot) * c->K + head) * c->D;
}

static void store_keys(const Config *c, const Rows *rows, const Seq *seq, size_t l, const float *k, const float *v,
    const Cache *kv) {
    long r;
    PARALLEL(rows->n * c->K * c->D) for (r = 0; r < (long)rows->n; r++) {
        const Seq *s = &seq[rows->seq[r]];
        size_t slot = s->slot + (size_t)rows->pos[r] - s->shared, h, d;
        for (h = 0; h < c->K; h++) {
            float *block = key_block(c, kv, l, slot, h);
            for (d = 0; d < c->D; d++) block[d * PANEL + slot % PANEL] = k[((size_t)r * c->K + h) * c->D + d];
        }
        memcpy(value_row(c, kv, l, slot, 0), v + (size_t)r * c->K * c->D, c->K * c->D * sizeof(float));
    }
}

/* Attention is two products, too: queries by keys, weights by values. Keys lie in panels of 32 positions, [D][32] each;
 * values in rows. Queries that meet the same keys are answered together: the G = Q/K heads that share keys, of up to
 * 32 / G rows of one sequence, or of answers to one prompt for as far as the prompt goes. So the prompt's keys are read
 * once for all ten answers. Every sum runs over d, or over t, from the first to the last, as for one query alone. */
enum { QUERIES = 32 };
static size_t rows_together(const Config *c) { return c->Q / c->K < QUERIES ? QUERIES / (c->Q / c->K) : 1; }

/* Floats of scratch a thread: weights, on the way back two more like them, and keys and values the other way round; for
 * each query a row of q, of y, of dy. */
static size_t attention_room(const Config *c, int train) {
    size_t T = c->ctx + 2 * PANEL, n = rows_together(c) * (c->Q / c->K);
    return n * (T * (train ? 2 : 1) + 3 * c->D) + (train ? 2 * T * c->D : 0) + PANEL;
}

/* Rows that go together stand together: their first rows, and behind the last the end; run [R + 1]. */
static size_t find_runs(const Config *c, const Rows *rows, const Seq *seq, int *run) {
    size_t n = 0, r;
    for (r = 0; r < rows->n; r++) {
        const Seq *s = &seq[rows->seq[r]], *t = r ? &seq[rows->seq[r - 1]] : NULL;
        int joins = t && (s == t || (s->shared && s->shared == t->shared && s->parent == t->parent));
        if (!joins || r - (size_t)run[n - 1] == rows_together(c)) run[n++] = (int)r;
    }
    run[n] = (int)rows->n;
    return n;
}

static void gather_queries(const Config *c, const float *q, size_t row, size_t m, size_t head, float *x) {
    size_t G = c->Q / c->K, r;
    for (r = 0; r < m; r++) memcpy(x + r * G * c->D, q + ((row + r) * c->Q + head * G) * c->D, G * c->D * sizeof *x);
}

/* Attention weights of the G queries a row of m rows: p [m G][T] from x [m G][D]. n [m]: positions a row sees; `common`
 * of them, which is returned, may be seen by all (p is 0 there where they are not), those behind are a row's own. */
static size_t attention_weights(const Config *c, const Rows *rows, const Seq *seq, const Cache *kv, size_t l, size_t head,
    size_t row, size_t m, const float *x, size_t *n, float *p) {
    size_t G = c->Q / c->K, D = c->D, T = c->ctx + 2 * PANEL, r, t, i, common = 0, lengths[ABREAST];
    const Seq *first = &seq[rows->seq[row]];
    float scale = 1.0f / sqrtf((float)D);
    for (r = 0; r < m; r++) { n[r] = (size_t)rows->pos[row + r] + 1; common = n[r] > common ? n[r] : common; }
    if (first->shared) common = first->shared;
    for (t = 0; t < common; t += PANEL)
        strip(x, D, 1, key_block(c, kv, l, seq[first->shared ? first->parent : (size_t)rows->seq[row]].slot + t, head), PANEL,
            p + t, T, m * G, PANEL, D, 0);
    for (r = 0; r < m; r++) for (t = common; t < n[r]; t += PANEL)
        strip(x + r * G * D, D, 1, key_block(c, kv, l, seq[rows->seq[row + r]].slot + t - common, head), PANEL,
            p + r * G * T + t, T, G, PANEL, D, 0);
    for (i = 0; i < m * G; i += r) {
        for (r = 0; r < ABREAST && i + r < m * G; r++) {
            lengths[r] = n[(i + r) / G];
            for (t = 0; t < lengths[r]; t++) p[(i + r) * T + t] *= scale;
        }
        softmax(p + i * T, T, r, lengths);
    }
    for (i = 0; i < m * G; i++) for (t = n[i / G]; t < common; t++) p[i * T + t] = 0.0f;
    return common;
}

/* y [rows][D] (+)= p [rows][T] x, x's n rows `apart` from one another; values weighted by attention. */
static void weigh(const float *p, size_t T, const float *x, size_t apart, size_t D, size_t n, float *y, size_t rows, int add) {
    size_t d;
    for (d = 0; d < D; d += PANEL) strip(p, T, 1, x + d, apart, y + d, D, rows, D - d < PANEL ? D - d : PANEL, n, add);
}

/* y[r][h] = sum_t softmax_t(q . k[t] / sqrt(D)) v[t] over the positions up to the row's own; q, y [R][Q][D].
 * Query head h reads key/value head h / (Q/K). run, n_runs: see find_runs. scratch [threads][attention_room] */
static void attention(const Config *c, const Rows *rows, const Seq *seq, const int *run, size_t n_runs, const Cache *kv, size_t l,
    const float *q, float *y, float *scratch) {
    long task, tasks = (long)(n_runs * c->K);
    PARALLEL_TASKS(rows->n * c->Q * c->D * 8) for (task = 0; task < tasks; task++) {
        size_t row = (size_t)run[(size_t)task / c->K], m = (size_t)run[(size_t)task / c->K + 1] - row, G = c->Q / c->K, r, n[QUERIES],
            head = (size_t)task % c->K, D = c->D, KD = c->K * D, T = c->ctx + 2 * PANEL, s = (size_t)rows->seq[row], common;
        float *p = scratch + (size_t)THREAD * attention_room(c, 0), *x = p + rows_together(c) * G * T, *out = x + m * G * D;
        gather_queries(c, q, row, m, head, x);
        common = attention_weights(c, rows, seq, kv, l, head, row, m, x, n, p);
        weigh(p, T, value_row(c, kv, l, seq[seq[s].shared ? seq[s].parent : s].slot, head), KD, D, common, out, m * G, 0);
        for (r = 0; r < m; r++) {
            if (n[r] > common) weigh(p + r * G * T + common, T, value_row(c, kv, l, seq[rows->seq[row + r]].slot, head), KD, D,
                n[r] - common, out + r * G * D, G, 1);
            memcpy(y + ((row + r) * c->Q + head * G) * D, out + r * G * D, G * D * sizeof *y);
        }
    }
}

/* Forward was s[t] = q . k[t] / sqrt(D), p = softmax(s), y = sum_t p[t] v[t]. So now
 *     dp[t] = dy . v[t]     ds = softmax_back(p, dp) / sqrt(D)     dq = sum_t ds[t] k[t]
 *     dk[t] += ds[t] q      dv[t] += p[t] dy                        (queries in order, then heads of the group)
 * each a product over the queries that go together; where a query does not see t, p and ds are 0 and add nothing.
 * The weights p are computed again rather than kept: [Q][T][T] floats a sequence would be the largest thing in memory.
 * Sequences are whole here (nothing shared) and their rows stand together; seq i has rows first[i] .. first[i+1] - 1.
 * dq may lie where dy is. scratch [threads][attention_room] */
static void attention_back(const Config *c, const Rows *rows, const size_t *first, const Seq *seq, size_t n_seq, const Cache *kv,
    size_t l, const float *q, const float *dy, float *dq, float *dk, float *dv, float *scratch) {
    long task, tasks = (long)(n_seq * c->K);
    PARALLEL_TASKS(rows->n * c->Q * c->D * 8) for (task = 0; task < tasks; task++) {
        size_t s = (size_t)task / c->K, head = (size_t)task % c->K, length = first[s + 1] - first[s], D = c->D, KD = c->K * D,
            G = c->Q / c->K, T = c->ctx + 2 * PANEL, most = rows_together(c), m, row, i, j, t, d, n[QUERIES], all,
            lengths[ABREAST];
        float *keys = scratch + (size_t)THREAD * attention_room(c, 1), *values = keys + T * D, *p = values + T * D,
            *ds = p + most * G * T, *x = ds + most * G * T, *y = x + most * G * D, *dx = y + most * G * D,
            *dk0 = dk + first[s] * KD + head * D, *dv0 = dv + first[s] * KD + head * D, scale = 1.0f / sqrtf((float)D);
        for (t = 0; t < length; t++) {   /* keys by rows, values by panels: the other way round than in the cache */
            const float *k = key_block(c, kv, l, seq[s].slot + t, head), *v = value_row(c, kv, l, seq[s].slot + t, head);
            for (d = 0; d < D; d++) {
                keys[t * D + d] = k[d * PANEL + t % PANEL];
                values[(t / PANEL * D + d) * PANEL + t % PANEL] = v[d];
                dk0[t * KD + d] = dv0[t * KD + d] = 0.0f;
            }
        }
        for (row = first[s]; row < first[s + 1]; row += m) {
            m = first[s + 1] - row < most ? first[s + 1] - row : most;
            gather_queries(c, q, row, m, head, x);
            gather_queries(c, dy, row, m, head, y);
            all = attention_weights(c, rows, seq, kv, l, head, row, m, x, n, p);
            for (t = 0; t < all; t += PANEL) strip(y, D, 1, values + t * D, PANEL, ds + t, T, m * G, PANEL, D, 0);
            for (i = 0; i < m * G; i += j) {
                for (j = 0; j < ABREAST && i + j < m * G; j++) lengths[j] = n[(i + j) / G];
                softmax_back(p + i * T, ds + i * T, T, j, lengths);
            }
            for (i = 0; i < m * G; i++) {
                for (t = 0; t < n[i / G]; t++) ds[i * T + t] *= scale;
                for (; t < all; t++) ds[i * T + t] = 0.0f;
            }
            for (d = 0; d < D; d += PANEL) {
                strip(ds, 1, T, x + d, D, dk0 + d, KD, all, D - d < PANEL ? D - d : PANEL, m * G, 1);
                strip(p, 1, T, y + d, D, dv0 + d, KD, all, D - d < PANEL ? D - d : PANEL, m * G, 1);
            }
            weigh(ds, T, keys, D, D, all, dx, m * G, 0);
            for (i = 0; i < m; i++) memcpy(dq + ((row + i) * c->Q + head * G) * D, dx + i * G * D, G * D * sizeof *dq);
        }
    }
}

/* h = silu(gate) * up, silu(g) = g / (1 + e^-g) */
static void swiglu(const float *gate, const float *up, size_t n, float *h) {
    long i;
    PARALLEL(4 * n) for (i = 0; i < (long)n; i++) h[i] = gate[i] / (1.0f + exp32(-gate[i])) * up[i];
}

/* silu'(g) = s (1 + g (1 - s)), s = 1 / (1 + e^-g). dh comes in; it leaves as dgate in `dgate` and dup in `dup`. */
static void swiglu_back(const float *gate, const float *up, size_t n, const float *dh, float *dgate, float *dup) {
    long i;
    PARALLEL(4 * n) for (i = 0; i < (long)n; i++) {
        float g = gate[i], s = 1.0f / (1.0f + exp32(-g)), d = dh[i];
        dup[i] = d * (g * s);
        dgate[i] = d * up[i] * (s * (1.0f + g * (1.0f - s)));
    }
}

/* Which experts a row goes to. prob [R][E] = softmax of the router's logits; pick [R][top] the best `top` of them (of
 * equals the lower number), in rising order; weight [R][top] their probabilities over their sum. */
static void route(const Config *c, const Param *router, const float *x, size_t R, float *prob, int *pick, float *weight,
    float *low) {
    size_t r, j, k;
    if (c->E == 1) { for (r = 0; r < R; r++) { prob[r] = weight[r] = 1.0f; pick[r] = 0; } return; }
    linear(router, x, R, prob, low);
    for (r = 0; r < R; r++) {
        float *p = prob + r * c->E, *w = weight + r * c->top, sum = 0.0f;
        int *e = pick + r * c->top;
        softmax(p, 0, 1, &c->E);
        for (j = 0; j < c->top; j++) {
            int best = -1;
            for (k = 0; k < c->E; k++) {
                size_t i;
                for (i = 0; i < j && e[i] != (int)k; i++) ;
                if (i == j && (best < 0 || p[k] > p[best])) best = (int)k;
            }
            e[j] = best;
        }
        for (j = 1; j < c->top; j++) for (k = j; k && e[k] < e[k - 1]; k--) { int t = e[k]; e[k] = e[k - 1]; e[k - 1] = t; }
        for (j = 0; j < c->top; j++) sum += p[e[j]];
        for (j = 0; j < c->top; j++) w[j] = p[e[j]] / sum;
    }
}

/* Forward was w[j] = p[e_j] / sum of the picked p. So now dp[e_j] = (dw[j] - sum_i dw[i] w[i]) / sum; experts that were
 * not picked get nothing, which is why routers need the load-balancing loss:
 *     per sequence of T rows and per layer  E sum_e f[e] P[e],  f[e] = times picked / T (a constant),  P[e] = mean prob,
 * averaged over sequences and layers. `balance` = weight * targets of the batch / (sequences * layers), since the step
 * divides everything by the targets. dz [R][E] */
static void route_back(const Config *c, const float *prob, const int *pick, const float *weight, const float *dweight,
                       const size_t *first, size_t n_seq, float balance, float *dz, double *aux) {
    size_t s, r, j, k;
    for (s = 0; s < n_seq; s++) {
        float T = (float)(first[s + 1] - first[s]), share[1024];
        for (k = 0; k < c->E; k++) {
            size_t times = 0;
            float mean = 0.0f;
            for (r = first[s]; r < first[s + 1]; r++) {
                for (j = 0; j < c->top; j++) times += pick[r * c->top + j] == (int)k;
                mean += prob[r * c->E + k];
            }
            share[k] = (float)times / T;
            *aux += (double)((float)c->E * share[k] * (mean / T));
        }
        for (r = first[s]; r < first[s + 1]; r++) {
            const float *p = prob + r * c->E, *w = weight + r * c->top, *dw = dweight + r * c->top;
            const int *e = pick + r * c->top;
            float *dp = dz + r * c->E, sum = 0.0f, mean = 0.0f;
            for (k = 0; k < c->E; k++) dp[k] = balance * ((float)c->E * share[k] / T);
            for (j = 0; j < c->top; j++) { sum += p[e[j]]; mean += dw[j] * w[j]; }
            for (j = 0; j < c->top; j++) dp[e[j]] += (dw[j] - mean) / sum;
            softmax_back(p, dp, 0, 1, &c->E);
        }
    }
}

/* The rows of each expert, gathered: expert e has places begin[e] .. begin[e+1] - 1, place i is of row from[i], and
 * place[r * top + j] is where row r's j-th pick went. Rows keep their order. */
static void group_rows(const Config *c, const int *pick, size_t R, size_t *begin, int *from, int *place) {
    size_t k, i, n = 0;
    for (k = 0; k < c->E; k++) {
        begin[k] = n;
        for (i = 0; i < R * c->top; i++) if (pick[i] == (int)k) { from[n] = (int)(i / c->top); place[i] = (int)n++; }
    }
    begin[c->E] = n;
}

static void embed_rows(const Param *p, const int *token, size_t R, float *y) {
    size_t r, k;
    for (r = 0; r < R; r++) for (k = 0; k < p->cols; k += 32)
        read_row(p, (size_t)token[r], k, p->cols - k < 32 ? p->cols - k : 32, y + r * p->cols + k);
}

static void gather_rows(const float *x, const int *from, size_t n, size_t H, float *y) {
    size_t i;
    for (i = 0; i < n; i++) memcpy(y + i * H, x + (size_t)from[i] * H, H * sizeof(float));
}

/* y[r] = sum_j weight[j] out[place of j], experts rising; out [R * top][H], y [R][H] */
static void mix(const Config *c, const float *out, const int *place, const float *weight, size_t R, float *y) {
    long r;
    PARALLEL(R * c->H) for (r = 0; r < (long)R; r++) {
        float *to = y + (size_t)r * c->H;
        size_t i, j;
        for (i = 0; i < c->H; i++) to[i] = 0.0f;
        for (j = 0; j < c->top; j++) {
            const float *o = out + (size_t)place[(size_t)r * c->top + j] * c->H;
            float w = weight[(size_t)r * c->top + j];
            for (i = 0; i < c->H; i++) to[i] += w * o[i];
        }
    }
}

/* Cross-entropy of up to 8 rows of logits x [rows][V]: the losses -log softmax(x)[target]. x becomes exp(x - its largest);
 * with `back` it becomes the gradient, softmax(x) - [target]. */
static void cross_entropy(float *x, size_t V, size_t rows, const int *target, int back, double *loss) {
    float top[ABREAST], sum[ABREAST], at[ABREAST];
    size_t n[ABREAST], r, i;
    for (r = 0; r < rows; r++) { n[r] = V; at[r] = x[r * V + (size_t)target[r]]; }
    exponentials(x, V, rows, n, 1.0f, top, sum);
    for (r = 0; r < rows; r++) {
        loss[r] = log64((double)sum[r]) - (double)(at[r] - top[r]);
        if (!back) continue;
        for (i = 0; i < V; i++) x[r * V + i] = x[r * V + i] / sum[r];
        x[r * V + (size_t)target[r]] -= 1.0f;
    }
}

/* ============================================== Whole model ===========================================================
 * One forward for everything: prefill, decoding, scoring and training differ only in which rows they bring.
 * With equal weights a token has the same logits in all of them, to the bit: no sum runs over rows, and
 * attention's goes over the positions 0, 1, .. whether they came in this batch or long before (those that
 * only its neighbours see come last and weigh 0). The backward is the same list of calls, read from the end.
 */
enum { KEEP_NONE, KEEP_ALL, KEEP_INPUTS };
typedef struct {
    size_t rows;                 /* that there is room for */
    int keep;                    /* for the backward: ALL of every layer's numbers, or its KEEP_INPUTS, the rest computed again */
    float *x, *mid;              /* [L+1][R][H] [L][R][H] the residual stream before each layer, and before its mixture */
    float *q, *att;              /* [L][R][Q D] queries after rope; the heads' outputs */
    float *gate, *up;            /* [L][R top][F] */
    float *prob, *weight;        /* [L][R][E] [L][R top] the router's */
    int *pick, *place, *from;    /* [L][R top] */
    size_t *begin;               /* [L][E + 1] */
    float *n, *k, *v, *y;        /* [R][H] [R][K D] [R][K D] [R][H]: scratch from here on */
    float *in, *h, *out;         /* [R top][H] [R top][F] [R top][H] */
    float *scratch;              /* for attention, a part a thread */
    float *dx, *dy, *dq, *dk, *dv, *dh, *dgate, *dup, *dprob, *dweight, *packed;         /* gradients, while training */
    float *low;                  /* LoRA's: [R top][rank], and as much again in panels */
    float *final;                /* [R][H] the last norm's output of the wanted rows */
    int *wanted, *run;           /* [R] those rows' numbers; [R + 1] see find_runs */
    size_t n_wanted, n_runs;
} Acts;

static size_t max_threads(void) {
#ifdef _OPENMP
    return (size_t)omp_get_max_threads();
#else
    return 1;
#endif
}

static int new_acts(Env *e, const Config *c, size_t R, int keep, Acts *a) {
    size_t L = keep == KEEP_ALL ? c->L : 1, train = keep != KEEP_NONE, big = c->F > c->H ? c->F : c->H, QD = c->Q * c->D, KD = c->K * c->D, S = R * c->top;
    struct { float **p; size_t n; } list[] = {
        { &a->x, (train ? c->L + 1 : 1) * R * c->H }, { &a->mid, L * R * c->H }, { &a->q, L * R * QD }, { &a->att, L * R * QD },
            { &a->gate, L * S * c->F },
        { &a->up, L * S * c->F }, { &a->prob, L * R * c->E }, { &a->weight, L * S }, { &a->n, R * c->H }, { &a->k, R * KD },
            { &a->v, R * KD },
        { &a->y, R * c->H }, { &a->in, S * c->H }, { &a->h, S * c->F }, { &a->out, S * c->H }, { &a->final, R * c->H },
            { &a->low, c->rank ? S * (c->rank + (c->rank + PANEL - 1) / PANEL * PANEL) : 0 },
        { &a->scratch, max_threads() * attention_room(c, (int)train) },
        { &a->dx, train * R * c->H }, { &a->dy, train * R * c->H }, { &a->dq, train * R * QD }, { &a->dk, train * R * KD },
            { &a->dv, train * R * KD },
        { &a->dh, train * S * c->F }, { &a->dgate, train * S * c->F }, { &a->dup, train * S * c->F }, { &a->dprob, train * R * c->E },
        { &a->dweight, train * S }, { &a->packed, train * S * ((big > QD ? big : QD) + PANEL) } };
    size_t i;
    memset(a, 0, sizeof *a);
    a->rows = R; a->keep = keep;
    for (i = 0; i < COUNT(list); i++) if (list[i].n && !(*list[i].p = get(e, list[i].n, sizeof(float)))) return -1;
    a->pick = get(e, L * S, sizeof(int)); a->place = get(e, L * S, sizeof(int)); a->from = get(e, L * S, sizeof(int));
    a->begin = get(e, L * (c->E + 1), sizeof(size_t)); a->wanted = get(e, R, sizeof(int)); a->run = get(e, R + 1, sizeof(int));
    return a->run && a->pick && a->place && a->from && a->begin && a->wanted ? 0 : -1;
}

/* One layer's part of the kept numbers. */
static Acts layer_acts(const Acts *all, const Config *c, size_t l, size_t R) {
    Acts a = *all;
    size_t i = all->keep == KEEP_ALL ? l : 0, S = R * c->top;
    a.x += (all->keep ? l : 0) * R * c->H; a.mid += i * R * c->H; a.q += i * R * c->Q * c->D; a.att += i * R * c->Q * c->D;
    a.gate += i * S * c->F; a.up += i * S * c->F; a.prob += i * R * c->E; a.weight += i * S;
    a.pick += i * S; a.place += i * S; a.from += i * S; a.begin += i * (c->E + 1);
    return a;
}

static void add_rows(const float *a, const float *b, size_t n, float *y) {
    long i;
    PARALLEL(n) for (i = 0; i < (long)n; i++) y[i] = a[i] + b[i];
}

/* y = sum_e p_e Wdown_e (silu(Wgate_e n) * (Wup_e n)): each expert sees the rows that the router sent it. */
static void mixture(const Config *c, const Layer *w, const Acts *a, size_t R) {
    size_t x;
    route(c, &w->router, a->n, R, a->prob, a->pick, a->weight, a->low);
    group_rows(c, a->pick, R, a->begin, a->from, a->place);
    gather_rows(a->n, a->from, R * c->top, c->H, a->in);
    for (x = 0; x < c->E; x++) {
        size_t at = a->begin[x], n = a->begin[x + 1] - at;
        linear(&w->expert[x].gate, a->in + at * c->H, n, a->gate + at * c->F, a->low);
        linear(&w->expert[x].up, a->in + at * c->H, n, a->up + at * c->F, a->low);
        swiglu(a->gate + at * c->F, a->up + at * c->F, n * c->F, a->h + at * c->F);
        linear(&w->expert[x].down, a->h + at * c->F, n, a->out + at * c->H, a->low);
    }
    mix(c, a->out, a->place, a->weight, R, a->y);
}

/* Forward was y[r] = sum_j w[j] Wdown h. With u = Wdown' dy:   dw[j] = u . h,   dh = w[j] u,   dWdown += dy' (w[j] h).
 * a->n comes in as the norm's output; dy [R][H]; leaves dn [R][H] in `dn`. The router's part:
 *
 *     dy --> u = Wdown' dy --> dh = w u --> dgate, dup --> dn, summed over a row's experts
 *                  |                                        ^
 *                  +--> dw = u . h --> route_back: dz ------+ += Wrouter' dz
 *                                                   +--> dWrouter += dz' n */
static void mixture_back(const Config *c, const Layer *w, const Acts *a, size_t R, const size_t *first, size_t n_seq,
    float balance, const float *dy, float *dn, double *aux) {
    size_t x, S = R * c->top;
    long y;
    gather_rows(dy, a->from, S, c->H, a->out);                /* a->out: dy of each place */
    gather_rows(a->n, a->from, S, c->H, a->in);
    for (x = 0; x < c->E; x++) {
        size_t at = a->begin[x], n = a->begin[x + 1] - at;
        const Expert *p = &w->expert[x];
        float *h = a->h + at * c->F, *dh = a->dh + at * c->F, *in = a->in + at * c->H;
        swiglu(a->gate + at * c->F, a->up + at * c->F, n * c->F, h);
        linear_dx(&p->down, a->out + at * c->H, n, dh, 0, a->low);
        if (c->E > 1) PARALLEL(n * c->F) for (y = 0; y < (long)n; y++) {           /* one expert alone has weight 1 */
            size_t r = (size_t)a->from[at + (size_t)y], j, f;
            float sum = 0.0f, weight, *u = dh + (size_t)y * c->F, *v = h + (size_t)y * c->F;
            for (j = 0; a->place[r * c->top + j] != (int)at + (int)y; j++) ;
            weight = a->weight[r * c->top + j];
            for (f = 0; f < c->F; f++) sum += u[f] * v[f];
            a->dweight[r * c->top + j] = sum;
            for (f = 0; f < c->F; f++) { u[f] *= weight; v[f] *= weight; }
        }
        pack_straight(h, n, c->F, a->packed);
        linear_dw(&p->down, h, a->packed, n, a->out + at * c->H, a->low);
        swiglu_back(a->gate + at * c->F, a->up + at * c->F, n * c->F, dh, a->dgate + at * c->F, a->dup + at * c->F);
        pack_straight(in, n, c->H, a->packed);
        linear_dw(&p->gate, in, a->packed, n, a->dgate + at * c->F, a->low);
        linear_dw(&p->up, in, a->packed, n, a->dup + at * c->F, a->low);
        linear_dx(&p->gate, a->dgate + at * c->F, n, in, 0, a->low);      /* in: now dn of each place */
        linear_dx(&p->up, a->dup + at * c->F, n, in, 1, a->low);
    }
    PARALLEL(R * c->H) for (y = 0; y < (long)R; y++) {
        float *to = dn + (size_t)y * c->H;
        size_t j, k;
        for (k = 0; k < c->H; k++) to[k] = 0.0f;
        for (j = 0; j < c->top; j++) {
            const float *from = a->in + (size_t)a->place[(size_t)y * c->top + j] * c->H;
            for (k = 0; k < c->H; k++) to[k] += from[k];
        }
    }
    if (c->E == 1) return;
    route_back(c, a->prob, a->pick, a->weight, a->dweight, first, n_seq, balance, a->dprob, aux);
    pack_straight(a->n, R, c->H, a->packed);
    linear_dw(&w->router, a->n, a->packed, R, a->dprob, a->low);
    linear_dx(&w->router, a->dprob, R, dn, 1, a->low);
}

/* One layer: a->x to a->x of the next (or the same place, when nothing is kept). */
static void layer_forward(const Model *m, size_t l, const Rows *rows, const Seq *seq, const Cache *kv, const Acts *a) {
    const Config *c = &m->c;
    const Layer *w = &m->layer[l];
    size_t R = rows->n;
    rmsnorm(a->x, w->norm1.w, R, c->H, c->eps, a->n);
    linear(&w->q, a->n, R, a->q, a->low);
    linear(&w->k, a->n, R, a->k, a->low);
    linear(&w->v, a->n, R, a->v, a->low);
    rope(m, rows->pos, R, c->Q, a->q, 1.0f);
    rope(m, rows->pos, R, c->K, a->k, 1.0f);
    store_keys(c, rows, seq, l, a->k, a->v, kv);
    attention(c, rows, seq, a->run, a->n_runs, kv, l, a->q, a->att, a->scratch);
    linear(&w->o, a->att, R, a->y, a->low);
    add_rows(a->x, a->y, R * c->H, a->mid);
    rmsnorm(a->mid, w->norm2.w, R, c->H, c->eps, a->n);
    mixture(c, w, a, R);
    add_rows(a->mid, a->y, R * c->H, a->x + (a->keep ? R * c->H : 0));
}

/* Rows in, logits out: logits [n_wanted][V], one line for each row that wants them, in order. */
static void forward(const Model *m, const Rows *rows, const Seq *seq, const Cache *kv, Acts *acts, float *logits) {
    const Config *c = &m->c;
    size_t R = rows->n, l, r;
    embed_rows(&m->embed, rows->token, R, acts->x);
    acts->n_runs = find_runs(c, rows, seq, acts->run);
    for (l = 0; l < c->L; l++) {
        Acts a = layer_acts(acts, c, l, R);
        layer_forward(m, l, rows, seq, kv, &a);
    }
    for (acts->n_wanted = r = 0; r < R; r++) if (rows->want[r]) acts->wanted[acts->n_wanted++] = (int)r;
    gather_rows(acts->x + (acts->keep ? c->L * R * c->H : 0), acts->wanted, acts->n_wanted, c->H, acts->y);
    rmsnorm(acts->y, m->norm.w, acts->n_wanted, c->H, c->eps, acts->final);
    linear(&m->head, acts->final, acts->n_wanted, logits, acts->low);
}

/* dlogits in, gradients of all weights out (added to their g). `balance`: see route_back. */
static void backward(const Model *m, const Rows *rows, const Seq *seq, const size_t *first, size_t n_seq,
    const Cache *kv, Acts *acts,
                     const float *dlogits, float balance, double *aux) {
    const Config *c = &m->c;
    size_t R = rows->n, l, r, i;                 /* aux [L]: the balance losses of this batch's sequences are added to it */
    pack_straight(acts->final, acts->n_wanted, c->H, acts->packed);
    linear_dw(&m->head, acts->final, acts->packed, acts->n_wanted, dlogits, acts->low);
    linear_dx(&m->head, dlogits, acts->n_wanted, acts->dy, 0, acts->low);
    gather_rows(acts->x + c->L * R * c->H, acts->wanted, acts->n_wanted, c->H, acts->y);
    for (i = 0; i < acts->n_wanted * c->H; i++) acts->n[i] = 0.0f;
    rmsnorm_back(acts->y, &m->norm, acts->n_wanted, c->H, c->eps, acts->dy, acts->n);
    for (i = 0; i < R * c->H; i++) acts->dx[i] = 0.0f;
    for (r = 0; r < acts->n_wanted; r++)
        memcpy(acts->dx + (size_t)acts->wanted[r] * c->H, acts->n + r * c->H, c->H * sizeof(float));
    for (l = c->L; l-- > 0;) {
        const Layer *w = &m->layer[l];
        Acts a = layer_acts(acts, c, l, R);
        if (acts->keep == KEEP_INPUTS) layer_forward(m, l, rows, seq, kv, &a);
        rmsnorm(a.mid, w->norm2.w, R, c->H, c->eps, a.n);
        mixture_back(c, w, &a, R, first, n_seq, balance, a.dx, a.dy, &aux[l]);
        rmsnorm_back(a.mid, &w->norm2, R, c->H, c->eps, a.dy, a.dx);
        pack_straight(a.att, R, c->Q * c->D, a.packed);
        linear_dw(&w->o, a.att, a.packed, R, a.dx, a.low);
        linear_dx(&w->o, a.dx, R, a.dq, 0, a.low);           /* dq: for now the gradient of the heads' outputs */
        attention_back(c, rows, first, seq, n_seq, kv, l, a.q, a.dq, a.dq, a.dk, a.dv, a.scratch);
        rope(m, rows->pos, R, c->Q, a.dq, -1.0f);
        rope(m, rows->pos, R, c->K, a.dk, -1.0f);
        rmsnorm(a.x, w->norm1.w, R, c->H, c->eps, a.n);
        pack_straight(a.n, R, c->H, a.packed);
        linear_dw(&w->q, a.n, a.packed, R, a.dq, a.low);
        linear_dw(&w->k, a.n, a.packed, R, a.dk, a.low);
        linear_dw(&w->v, a.n, a.packed, R, a.dv, a.low);
        linear_dx(&w->q, a.dq, R, a.dy, 0, a.low);
        linear_dx(&w->k, a.dk, R, a.dy, 1, a.low);
        linear_dx(&w->v, a.dv, R, a.dy, 1, a.low);
        rmsnorm_back(a.x, &w->norm1, R, c->H, c->eps, a.dy, a.dx);
    }
    if (m->embed.g)
        for (r = 0; r < R; r++)
            for (i = 0; i < c->H; i++) m->embed.g[(size_t)rows->token[r] * c->H + i] += acts->dx[r * c->H + i];
}

/* =============================================== Sampling =============================================================
 * k answers to every prompt. A prompt is read once; its answers share its keys and values. Many prompts are in flight
 * together, because a batch of rows reads the weights once; a row's numbers do not depend on the rows beside it, so the
 * answers are the same as one by one. When a prompt's answers have ended the next prompt takes their rows.
 */
typedef struct {
    size_t k, max_tokens, top_k, seed;
    float temperature, top_p;    /* temperature 0: always the likeliest token */
    int ignore_eos;
} Sampling;

typedef struct { int *id; size_t n; double logprob; const char *stop; } Answer;           /* stop: "eos" or "length" */
typedef struct { int *id; size_t n; uint64_t key; Answer *answer; size_t left; } Question;   /* answer [k]; left: still in flight */

typedef struct { float p; int id; } Likely;

static int likelier(Likely a, Likely b) { return a.p > b.p || (a.p == b.p && a.id < b.id); }

/* Sorts by falling probability, then rising id: a merge sort, for qsort's order of equals differs between C libraries. */
static void sort_likely(Likely *x, Likely *spare, size_t n) {
    size_t half = n / 2, i = 0, j = half, k;
    if (n < 2) return;
    sort_likely(x, spare, half);
    sort_likely(x + half, spare, n - half);
    memcpy(spare, x, n * sizeof *x);
    for (k = 0; k < n; k++) x[k] = j == n || (i < half && !likelier(spare[j], spare[i])) ? spare[i++] : spare[j++];
}

/* Draws one token from a row of logits. Hugging Face's order: temperature, then the top_k likeliest, then the
 * fewest whose probabilities (over those) reach top_p. The fewest are the likeliest: hence the sorting. u in
 * [0, 1) points into the sums of what is left, in order of id when nothing was cut, else of falling
 * probability. p [V]: exp of the logits over the temperature, less the largest; sum: its sum. list: [2 V]. */
static int draw_token(const Sampling *s, const float *logits, size_t V, float u, const float *p, float sum, Likely *list) {
    size_t i, n = V;
    float top, acc = 0.0f;
    int last = 0;
    if (s->temperature <= 0) { for (top = largest(logits, V), i = 0; i + 1 < V && logits[i] != top; i++) continue; return (int)i; }
    if (s->top_k == 0 && s->top_p >= 1) {
        for (i = 0; i < V; i++) { acc += p[i]; if (p[i] > 0) last = (int)i; if (acc > u * sum) return (int)i; }
        return last;
    }
    for (i = 0; i < V; i++) { list[i].p = p[i]; list[i].id = (int)i; }
    sort_likely(list, list + V, V);
    if (s->top_k && s->top_k < n) n = s->top_k;
    for (sum = 0.0f, i = 0; i < n; i++) sum += list[i].p;
    if (s->top_p < 1) {
        for (i = 0; i < n && acc < s->top_p * sum; i++) acc += list[i].p;
        n = i ? i : 1;
        for (sum = 0.0f, i = 0; i < n; i++) sum += list[i].p;
    }
    for (acc = 0.0f, i = 0; i < n; i++) { acc += list[i].p; if (acc > u * sum) return list[i].id; }
    return list[n - 1].id;
}

/* The engine. Answers in flight sit in places, their prompts in rooms; an answer's own keys and values begin where its
 * prompt's end. */
typedef struct { Question *q; size_t answer, pos, room, line; int token; } Place;         /* q NULL: free; line: of its logits */

typedef struct {
    const Model *m;
    Sampling s;
    size_t places, rooms, longest;       /* longest: tokens of a prompt that there is memory for */
    Cache kv;
    Acts acts;
    Seq *seq;                    /* [places + rooms]; the prompt in room i is sequence places + i */
    Rows rows;
    float *logits, *p, *tempered;        /* [places + rooms][V] each: logits, their exp less the largest, the same over
                                  * the temperature (p itself where that is 1) */
    float *top, *sum, *tempered_sum;     /* [places + rooms] */
    Likely *list;                /* [threads][2 V] */
    Place *place;                /* [places] */
    Question **room;             /* [rooms] NULL: free */
    int (*ended)(Env *, void *listener);         /* NULL, or called after each step that answered a question */
    void *listener;
} Sampler;

static size_t longest_answer(const Sampler *x, const Question *q) {
    return x->m->c.ctx - q->n < x->s.max_tokens ? x->m->c.ctx - q->n : x->s.max_tokens;
}

static int new_sampler(Env *e, const Model *m, const Sampling *s, size_t width, Sampler *x) {
    memset(x, 0, sizeof *x);
    x->m = m; x->s = *s;
    x->places = width < s->k ? s->k : width;
    return e->error[0] ? -1 : 0;
}

/* Memory for prompts of up to `longest` tokens. Fewer answers are in flight when their keys and values would take too
 * much: a quarter of the machine's memory. */
static int size_sampler(Env *e, Sampler *x, size_t longest) {
    const Config *c = &x->m->c;
    size_t V = c->V, i, threads = max_threads(), most = x->s.max_tokens < c->ctx ? x->s.max_tokens : c->ctx, rows, slots,
        own = (most + PANEL) / PANEL * PANEL, prompt = (longest + PANEL) / PANEL * PANEL;
    for (;; x->places = x->places / 2 < x->s.k ? x->s.k : x->places / 2) {
        x->rooms = 3 * x->places / x->s.k + 1;   /* the longest of k answers lives about three times as long as the mean */
        slots = own * x->places + prompt * x->rooms;
        if (x->places == x->s.k || 8.0 * (double)slots * (double)(c->L * c->K * c->D) < memory_for_panels(e) / 2) break;
    }
    rows = x->places + (longest > 512 ? longest : 512);
    x->longest = longest;
    TRY(new_cache(e, c, slots, c->L, &x->kv));
    TRY(new_acts(e, c, rows, KEEP_NONE, &x->acts));
    x->seq = get(e, x->places + x->rooms, sizeof *x->seq);
    x->rows.token = get(e, rows, sizeof(int)); x->rows.pos = get(e, rows, sizeof(int));
    x->rows.seq = get(e, rows, sizeof(int)); x->rows.want = get(e, rows, sizeof(int));
    x->logits = get(e, (x->places + x->rooms) * V, sizeof(float));
    x->p = get(e, (x->places + x->rooms) * V, sizeof(float));
    x->tempered = x->s.temperature == 1.0f || x->s.temperature <= 0 ? x->p : get(e, (x->places + x->rooms) * V, sizeof(float));
    x->top = get(e, 3 * (x->places + x->rooms), sizeof(float));
    x->list = get(e, threads * 2 * V, sizeof *x->list);
    x->place = get(e, x->places, sizeof *x->place);
    x->room = get(e, x->rooms, sizeof *x->room);
    if (e->error[0]) return -1;
    x->sum = x->top + x->places + x->rooms;
    x->tempered_sum = x->tempered == x->p ? x->sum : x->sum + x->places + x->rooms;
    for (i = 0; i < x->places; i++) x->seq[i].slot = i * own;
    for (i = 0; i < x->rooms; i++) x->seq[x->places + i].slot = x->places * own + i * prompt;
    return 0;
}

static void add_row(Rows *r, int token, size_t pos, size_t seq, int want) {
    r->token[r->n] = token; r->pos[r->n] = (int)pos; r->seq[r->n] = (int)seq; r->want[r->n++] = want;
}

/* Lets waiting prompts in while there is a room, k free places, and rows for the prompt in this step. All k answers
 * draw their first token from the one line of logits behind the prompt. */
static int admit(Env *e, Sampler *x, Question *const *waiting, size_t n, size_t *next, size_t *free_places) {
    size_t lines = x->rows.n, i, k, p, j;        /* so far every row wants logits: lines = rows */
    for (i = 0; i < x->rooms && *next < n && *free_places >= x->s.k; i++) {
        Question *q = waiting[*next];
        if (x->room[i]) continue;
        if (x->rows.n + q->n > x->acts.rows) return 0;
        x->room[i] = q;
        x->seq[x->places + i].shared = 0;
        for (k = 0; k < q->n; k++) add_row(&x->rows, q->id[k], k, x->places + i, k + 1 == q->n);
        for (p = j = 0; j < x->s.k; p++) {
            if (x->place[p].q) continue;
            x->place[p].q = q; x->place[p].answer = j; x->place[p].pos = q->n; x->place[p].room = i; x->place[p].line = lines;
            x->seq[p].shared = q->n; x->seq[p].parent = x->places + i;
            memset(&q->answer[j], 0, sizeof q->answer[j]);
            q->answer[j].id = get(e, longest_answer(x, q) + 1, sizeof(int));
            if (!q->answer[j++].id) return -1;
        }
        lines++;
        *free_places -= x->s.k;
        ++*next;
    }
    return 0;
}

/* What all draws from these lines of logits need: exponentials and their sums, a few lines side by side. */
static void ready_lines(Sampler *x, size_t lines) {
    size_t V = x->m->c.V, n[ABREAST], few = (lines + max_threads() - 1) / max_threads();
    long first;
    if (few > ABREAST) few = ABREAST;
    for (first = 0; first < ABREAST; first++) n[first] = V;
    PARALLEL(lines * V) for (first = 0; first < (long)lines; first += (long)few) {
        size_t at = (size_t)first, rows = lines - at < few ? lines - at : few;
        float top[ABREAST];
        memcpy(x->p + at * V, x->logits + at * V, rows * V * sizeof(float));
        if (x->tempered != x->p) {
            memcpy(x->tempered + at * V, x->logits + at * V, rows * V * sizeof(float));
            exponentials(x->tempered + at * V, V, rows, n, x->s.temperature, top, x->tempered_sum + at);
        }
        exponentials(x->p + at * V, V, rows, n, 1.0f, x->top + at, x->sum + at);
    }
}

/* The next token of an answer from its line. */
static void advance(Sampler *x, Place *at) {
    Question *q = at->q;
    Answer *a = &q->answer[at->answer];
    size_t V = x->m->c.V, i;
    float *logits = x->logits + at->line * V, u = uniform(draw(x->s.seed, DRAW_SAMPLE, q->key, at->answer, a->n));
    int id = draw_token(&x->s, logits, V, u, x->tempered + at->line * V, x->tempered_sum[at->line], x->list + (size_t)THREAD * 2 * V);
    a->logprob -= log64((double)x->sum[at->line]) - (double)(logits[id] - x->top[at->line]);
    at->token = id;
    for (i = 0; i < x->m->c.n_stops && !x->s.ignore_eos; i++) if (x->m->c.stops[i] == id) { a->stop = "eos"; return; }
    a->id[a->n++] = id;
    if (a->n >= longest_answer(x, q)) a->stop = "length";
}

/* One step of all that is in flight: a row for each answer, whole prompts for those let in, a token drawn for each. */
static int step_all(Env *e, Sampler *x, Question *const *question, size_t n, size_t *next, size_t *free_places) {
    long p;
    size_t i, room;
    x->rows.n = 0;
    for (room = 0; room < x->rooms; room++) for (i = 0; x->room[room] && i < x->places; i++) {     /* answers to a prompt together */
        Place *at = &x->place[i];
        if (!at->q || at->room != room) continue;
        at->line = x->rows.n;
        add_row(&x->rows, at->token, at->pos++, i, 1);
    }
    TRY(admit(e, x, question, n, next, free_places));
    forward(x->m, &x->rows, x->seq, &x->kv, &x->acts, x->logits);
    ready_lines(x, x->acts.n_wanted);
    PARALLEL(x->acts.n_wanted * x->m->c.V) for (p = 0; p < (long)x->places; p++) if (x->place[p].q) advance(x, &x->place[p]);
    return 0;
}

/* Answers all n questions; each one's `answer` has room for k. `done` of `all` were answered before, for the progress. */
static int sample_all(Env *e, Sampler *x, Question *const *question, size_t n, Progress *bar, size_t done, size_t all) {
    size_t next = 0, open = n, i, free_places, were, longest = 0;
    for (i = 0; i < n; i++) { question[i]->left = x->s.k; if (question[i]->n > longest) longest = question[i]->n; }
    if (longest > x->longest) {
        longest = longest < 2 * x->longest ? 2 * x->longest : longest;       /* seldom, then */
        TRY(size_sampler(e, x, longest < x->m->c.ctx ? longest : x->m->c.ctx));
    }
    free_places = x->places;
    while (open) {
        were = open;
        TRY(step_all(e, x, question, n, &next, &free_places));
        for (i = 0; i < x->places; i++) {
            Question *q = x->place[i].q;
            const Answer *a = q ? &q->answer[x->place[i].answer] : NULL;
            if (a && !(a->logprob - a->logprob == 0))
                return fail(e, "%s: a logit is not a finite number", x->m->path ? x->m->path : "model");
            if (!a || !a->stop) continue;
            x->place[i].q = NULL;
            free_places++;
            if (--q->left) continue;
            x->room[x->place[i].room] = NULL;
            open--;
            progress(e, bar, "sampling", done + n - open, all, "");
        }
        if (open < were && x->ended) TRY(x->ended(e, x->listener));
    }
    return 0;
}

/* =============================================== Learning =============================================================
 * Fine-tuning: cross-entropy on the answers' tokens, AdamW. Sequences of different lengths are packed row behind row into
 * one batch, without padding; attention never crosses from one to the next. A batch may be cut into micro-batches to
 * save memory: gradients are sums over tokens in token order that go on from one micro-batch to the next and are divided
 * once, by the number of target tokens of the whole batch, so the cut cannot change a bit.
 */
typedef struct { int *id; size_t n, from, record; } Example; /* tokens; those from `from` on are targets; record: its number, from 1 */

static size_t rows_of(const Example *x) { return x->n - 1; }            /* the last token is only a target */
static size_t targets_of(const Example *x) { return x->n - x->from; }

typedef struct {
    Model *m;
    size_t max_rows, max_seqs;
    Rows rows;
    int *target;                 /* [max_rows] */
    Seq *seq;                    /* [max_seqs] */
    size_t *first, n_seq;        /* [max_seqs + 1] */
    Cache kv;
    Acts acts;
    float *logits;               /* [max_rows][V] */
    double *loss;                /* [max_rows] of each wanted row */
    double *aux;                 /* [L] balance losses of a step: one sum a layer, which micro-batches go on with */
} Batch;

static int new_batch(Env *e, Model *m, size_t max_rows, int keep, Batch *b) {
    memset(b, 0, sizeof *b);
    b->m = m; b->max_rows = max_rows; b->max_seqs = max_rows;
    TRY(new_acts(e, &m->c, max_rows, keep, &b->acts));
    TRY(new_cache(e, &m->c, max_rows * 2 + 16 * PANEL, keep == KEEP_INPUTS ? 1 : m->c.L, &b->kv));        /* each sequence begins at a multiple of 32 */
    b->rows.token = get(e, max_rows, sizeof(int)); b->rows.pos = get(e, max_rows, sizeof(int));
    b->rows.seq = get(e, max_rows, sizeof(int)); b->rows.want = get(e, max_rows, sizeof(int));
    b->target = get(e, max_rows, sizeof(int));
    b->seq = get(e, b->max_seqs, sizeof *b->seq);
    b->first = get(e, b->max_seqs + 1, sizeof *b->first);
    b->logits = get(e, max_rows, m->c.V * sizeof(float));
    b->loss = get(e, max_rows, sizeof *b->loss);
    b->aux = get(e, m->c.L, sizeof *b->aux);
    return e->error[0] ? -1 : 0;
}

/* Packs as many of the n examples as there is room for; returns how many. Where nothing is learnt, those that
 * begin as the leading one does (the choices of a question) share its keys and values. */
static size_t pack(Batch *b, const Example *const *x, size_t n) {
    size_t i, t, slot = 0, lead = 0;
    b->rows.n = b->n_seq = 0;
    for (i = 0; i < n && i < b->max_seqs; i++) {
        size_t R = rows_of(x[i]), P = 0, slots;
        if (i && b->acts.keep == KEEP_NONE)
            while (P + 1 < x[i]->from && P < rows_of(x[lead]) && x[i]->id[P] == x[lead]->id[P]) P++;
        if (P < PANEL) { P = 0; lead = i; }
        slots = (R - P + PANEL - 1) / PANEL * PANEL;
        if (b->rows.n + R - P > b->max_rows || slot + slots > b->kv.slots) break;
        b->first[i] = b->rows.n;
        b->seq[i].slot = slot; b->seq[i].shared = P; b->seq[i].parent = lead;
        slot += slots;
        for (t = P; t < R; t++) {
            b->target[b->rows.n] = x[i]->id[t + 1];
            add_row(&b->rows, x[i]->id[t], t, i, t + 1 >= x[i]->from);
        }
    }
    b->n_seq = i;
    b->first[i] = b->rows.n;
    return i;
}

/* Losses of the wanted rows into b->loss, in order; with `back` their gradients take the logits' place. */
static void losses(Batch *b, int back) {
    size_t V = b->m->c.V;
    long i;
    PARALLEL(b->acts.n_wanted * V) for (i = 0; i < (long)b->acts.n_wanted; i += ABREAST) {
        size_t at = (size_t)i, rows = abreast(b->acts.n_wanted, at), r;
        int target[ABREAST];
        for (r = 0; r < rows; r++) target[r] = b->target[b->acts.wanted[at + r]];
        cross_entropy(b->logits + at * V, V, rows, target, back, b->loss + at);
    }
}

/* Log-probability of the targets of as many of the n examples as one batch holds: total [that many], which is returned.
 * Nothing is learnt. */
static size_t score_batch(Batch *b, const Example *const *x, size_t n, double *total) {
    size_t got = pack(b, x, n), i, r, line;
    forward(b->m, &b->rows, b->seq, &b->kv, &b->acts, b->logits);
    losses(b, 0);
    for (line = i = 0; i < got; i++) {
        total[i] = 0;
        for (r = b->first[i]; r < b->first[i + 1]; r++) if (b->rows.want[r]) total[i] -= b->loss[line++];
    }
    return got;
}

typedef struct {
    size_t epochs, batch, micro, max_length, steps, seed;
    double lr, min_lr, warmup;   /* warmup: share of all steps */
    int cosine;                  /* else constant after the warm-up */
    float beta1, beta2, eps, decay, clip;
    size_t lora;                 /* rank; 0: all weights learn */
    double alpha;
    const char *targets;
    int rslora, recompute;
} Tuning;

/* Learning rate of step 1, 2, ..: rising linearly to `lr` over the warm-up, then half a cosine down to min_lr. */
static double learning_rate(const Tuning *t, size_t step, size_t warm, size_t steps) {
    double s, c;
    if (step < warm) return t->lr * (double)step / (double)warm;
    if (!t->cosine) return t->lr;
    if (step >= steps) return t->min_lr;
    sincos64(3.14159265358979323846 * (double)(step - warm) / (double)(steps - warm), &s, &c);
    return t->min_lr + 0.5 * (1.0 + c) * (t->lr - t->min_lr);
}

/* AdamW (Loshchilov & Hutter 2019) as PyTorch orders it:
 *     m = b1 m + (1-b1) g    v = b2 v + (1-b2) g g    w = w (1 - lr decay) - lr/(1-b1^t) m / (sqrt(v)/sqrt(1-b2^t) + eps)
 * Norms are not decayed. g is multiplied by `factor` first, and cleared. */
static void adamw(Param *p, const Tuning *t, float factor, double lr, double power1, double power2) {
    float b1 = t->beta1, b2 = t->beta2, c1 = 1.0f - b1, c2 = 1.0f - b2, eps = t->eps;
    float shrink = p->norm ? 1.0f : (float)(1.0 - lr * (double)t->decay), step = (float)(lr / (1.0 - power1)),
        root = (float)sqrt(1.0 - power2);
    float *w = p->w, *g = p->g, *m = p->m, *v = p->v;
    long i;
    PARALLEL(4 * p->rows * p->cols) for (i = 0; i < (long)(p->rows * p->cols); i++) {
        float d = g[i] * factor;
        m[i] = b1 * m[i] + c1 * d;
        v[i] = b2 * v[i] + c2 * (d * d);
        w[i] = w[i] * shrink - step * (m[i] / (sqrtf(v[i]) / root + eps));
        g[i] = 0.0f;
    }
}

/* Sum of squares of all gradients, in binary64: a partial sum a row, rows in order, tensors in order. */
static double squared_norm(const Model *m) {
    double total = 0.0;
    size_t i, j, k, n, r;
    for (i = 0; i < m->n_train; i++) {
        const Param *p = m->train[i];
        size_t cols = p->norm ? p->rows : p->cols, rows = p->norm ? 1 : p->rows;
        for (r = 0; r < rows; r += n) {
            double sum[ABREAST] = { 0 };
            const float *g[ABREAST];
            n = abreast(rows, r);
            for (j = 0; j < ABREAST; j++) g[j] = p->g + (r + (j < n ? j : 0)) * cols;
            for (k = 0; k < cols; k++) UNROLL for (j = 0; j < ABREAST; j++) sum[j] += (double)g[j][k] * (double)g[j][k];
            for (j = 0; j < n; j++) total += sum[j];
        }
    }
    return total;
}

/* Gradients and moments for every weight that learns: LoRA's where there are such, else all. A tied head has
 * a gradient of its own, which is added at the step: in one sum the two would alternate by micro-batch. */
static int make_trainable(Env *e, Model *m) {
    size_t i;
    if (!m->c.rank) for (m->n_train = 0; m->n_train < m->n_all; m->n_train++) m->train[m->n_train] = m->all[m->n_train];
    for (i = 0; i < m->n_train; i++) {
        Param *p = m->train[i];
        TRY(own_weights(e, p));
        p->g = get(e, p->rows * p->cols, sizeof(float));
        p->m = get(e, p->rows * p->cols, sizeof(float));
        p->v = get(e, p->rows * p->cols, sizeof(float));
        if (!p->g || !p->m || !p->v) return -1;
    }
    if (m->c.tied && !m->c.rank) {
        m->head.w = m->embed.w;
        m->head.g = get(e, m->head.rows * m->head.cols, sizeof(float));
        if (!m->head.g) return -1;
    }
    return pack_model(e, m);
}

typedef struct { double loss, aux, norm, lr, power1, power2; size_t step, targets; } Step;

/* One step over n examples: gradients, clipping, AdamW. On return `s` says what happened; powers are carried on in it. */
static int train_step(Env *e, Batch *b, const Tuning *t, const Example *const *x, size_t n, Step *s) {
    Model *m = b->m;
    size_t done, got, i;
    float balance, factor;
    double scale;
    s->targets = 0; s->loss = s->aux = 0.0;
    for (i = 0; i < m->c.L; i++) b->aux[i] = 0.0;
    for (i = 0; i < n; i++) s->targets += targets_of(x[i]);
    balance = m->c.aux * (float)s->targets / (float)(n * m->c.L);
    for (done = 0; done < n; done += got) {
        got = pack(b, x + done, t->micro && t->micro < n - done ? t->micro : n - done);
        if (got == 0) return fail(e, "an example of %zu tokens does not fit a batch of %zu rows", x[done]->n, b->max_rows);
        forward(m, &b->rows, b->seq, &b->kv, &b->acts, b->logits);
        losses(b, 1);
        for (i = 0; i < b->acts.n_wanted; i++) {
            s->loss += b->loss[i];
            if (!(b->loss[i] - b->loss[i] == 0.0))
                return fail(e, "step %zu, record %zu: the loss is not a finite number", s->step, x[done + (size_t)b->rows.seq[b->acts.wanted[i]]]->record);
        }
        backward(m, &b->rows, b->seq, b->first, b->n_seq, &b->kv, &b->acts, b->logits, balance, b->aux);
    }
    s->loss /= (double)s->targets;
    for (i = 0; i < m->c.L; i++) s->aux += b->aux[i];
    s->aux /= (double)(n * m->c.L);
    if (m->head.g && m->c.tied)
        for (i = 0; i < m->head.rows * m->head.cols; i++) { m->embed.g[i] = m->head.g[i] + m->embed.g[i]; m->head.g[i] = 0.0f; }
    s->norm = sqrt(squared_norm(m)) / (double)s->targets;
    if (!(s->norm - s->norm == 0.0)) return fail(e, "step %zu: the gradient is not a finite number", s->step);
    scale = (t->clip > 0 && s->norm > (double)t->clip ? (double)t->clip / s->norm : 1.0) / (double)s->targets;
    factor = narrow(scale);
    s->power1 *= (double)t->beta1; s->power2 *= (double)t->beta2;
    for (i = 0; i < m->n_train; i++) adamw(m->train[i], t, factor, s->lr, s->power1, s->power2);
    return pack_model(e, m);
}

/* A record as tokens: begin mark, prompt, completion, end mark. An answer that was cut off by its length gets no end
 * mark, else the model would learn to stop in the middle of long answers. */
static int make_example(Env *e, const Model *m, const Template *form, const Record *r, size_t max_length, Example *x) {
    int cut = same(json_get(r->raw, "stop"), "\"length\"");
    Ids ids;
    TRY(encode_prompt(e, &m->t, form, r->turn, r->is_text ? 0 : r->n_turns, &ids));
    x->from = ids.n;
    if (!r->is_text) TRY(encode_answer(e, &m->t, &ids, r->completion, cut));
    else {
        put(e, &ids.text, r->completion.s, r->completion.n);
        TRY(put_waiting(e, &m->t, &ids, 1));
    }
    if (!cut) TRY(put_id(e, &ids, m->c.stops[0]));
    x->id = ids.id;
    x->n = ids.n > max_length + 1 ? max_length + 1 : ids.n;
    drop(e, ids.text.s);
    return e->error[0] ? -1 : 0;
}

typedef struct { Example *x; size_t n, cap, dropped; } Examples;

static int load_examples(Env *e, const Model *m, const Template *form, const char *path, size_t max_length, Examples *list) {
    Records rs;
    Record r = { 0 };
    int any;
    memset(list, 0, sizeof *list);
    TRY(open_records(e, &rs, path));
    while ((any = next_record(e, &rs, &r)) > 0) {
        Example x;
        if (!r.has_completion && !r.is_text)
            return fail(e, "%s, record %zu: no field \"completion\" or \"text\" to learn from", rs.in.path, r.number + 1);
        TRY(make_example(e, m, form, &r, max_length, &x));
        x.record = r.number + 1;
        if (x.n < 2 || x.from >= x.n) { list->dropped++; continue; }     /* the prompt alone fills max-length */
        TRY(room(e, &list->x, list->n, &list->cap, sizeof x));
        list->x[list->n++] = x;
    }
    close_in(&rs.in);
    if (any < 0) return -1;
    if (list->n == 0) return fail(e, "%s: no record to learn from", rs.in.path);
    return 0;
}

/* The order of an epoch: examples sorted by a random key each. */
typedef struct { uint64_t key; const Example *x; } Keyed;

static int by_key(const void *a, const void *b) {
    uint64_t x = ((const Keyed *)a)->key, y = ((const Keyed *)b)->key;
    if (x == y) return ((const Keyed *)a)->x < ((const Keyed *)b)->x ? -1 : 1;
    return x < y ? -1 : 1;
}

/* Where tune leaves its tracks: a line a step in `log`, the state every so many steps. For verify it leaves none but
 * the last step's line: it does steps `from` + 1 to `last`, from the file `state`. */
typedef struct { const char *dir; Out *log; size_t every, from, last; int keep, resume; const char *state; Buf line; } Trail;

static const char *state_path(Env *e, const Trail *w, size_t step) {
    char name[40];
    snprintf(name, sizeof name, "checkpoint-%06zu", step);
    return join(e, w->dir, "/", name);
}

/* The state of training behind a step, as binary32: weights and both moments of all that is learnt. With the number of
 * the step it is all there is: the order of an epoch is a function of the seed, AdamW's powers are of the step. */
static int save_state(Env *e, const Model *m, Out *o, char hex[65]) {
    Buf b = { NULL, 0, 0 };
    Sha sha;
    size_t i, k, part;
    sha_start(&sha);
    for (i = 0; i < m->n_train; i++) for (part = 0; part < 3; part++, b.n = 0) {
        const Param *p = m->train[i];
        const float *x = part == 0 ? p->w : part == 1 ? p->m : p->v;
        for (k = 0; k < p->rows * p->cols; k++) put_le32(e, &b, bits32(x[k]));
        sha_add(&sha, b.s, b.n);
        if (o) TRY(write_out(e, o, b.s, b.n));
    }
    drop(e, b.s);
    sha_end(&sha, hex);
    return e->error[0] ? -1 : o ? close_out(e, o) : 0;
}

static int load_state(Env *e, Model *m, const char *path) {
    const Block *mark = e->blocks;
    Span file;
    size_t i, k, part;
    TRY(map_file(e, path, &file));
    for (i = 0; i < m->n_train; i++) for (part = 0; part < 3; part++) {
        Param *p = m->train[i];
        float *x = part == 0 ? p->w : part == 1 ? p->m : p->v;
        size_t n = p->rows * p->cols;
        if (file.n < 4 * n) return fail(e, "%s: ends within the state of %s", path, p->name);
        for (k = 0; k < n; k++) x[k] = le_float(file.s + 4 * k);
        file.s += 4 * n; file.n -= 4 * n;
    }
    release(e, mark);
    return pack_model(e, m);
}

/* Behind a step: its line, and when it is time the state, whose hash stands in the line. The state before is dropped
 * when the line that names this one is written, so there is always one to go on from. */
static int leave_track(Env *e, const Model *m, Trail *w, const Step *s) {
    static const char *const names[] = { "loss", "norm", "lr", "balance" };
    double value[] = { s->loss, s->norm, s->lr, s->aux };
    Buf *b = &w->line;
    size_t i;
    char hex[65];
    Out *state = NULL;
    int due = w->every && s->step % w->every == 0;
    b->n = 0;
    put_format(e, b, "{\"step\":%zu,\"targets\":%zu", s->step, s->targets);
    for (i = 0; i < COUNT(names); i++) { put_format(e, b, ",\"%s\":\"", names[i]); put_hex(e, b, value[i]); put_text(e, b, "\""); }
    if (due) {
        if (w->log && !(state = open_out(e, state_path(e, w, s->step)))) return -1;
        TRY(save_state(e, m, state, hex));
        put_format(e, b, ",\"state\":\"%s\"", hex);
    }
    put_text(e, b, "}\n");
    if (!w->log) return e->error[0] ? -1 : 0;
    TRY(due ? write_whole(e, w->log, b) : write_buf(e, w->log, b));
    if (due && !w->keep && s->step > w->every) remove(state_path(e, w, s->step - w->every));
    return 0;
}

/* The step that an interrupted run got to: the last whose state is there, unharmed; 0: none. */
static int go_on_from(Env *e, Model *m, const Trail *w, size_t *step) {
    Buf state = { NULL, 0, 0 };
    char hex[65];
    uint64_t bytes;
    TRY(keep_lines(e, w->log, 1, "state", step, &state));
    if (*step && is_file(state_path(e, w, *step))) {
        TRY(hash_file(e, state_path(e, w, *step), hex, &bytes));
        if (state.n == 66 && memcmp(state.s + 1, hex, 64) == 0) return load_state(e, m, state_path(e, w, *step));
    }
    *step = 0;
    rewind(w->log->f);
    return ftruncate(fileno(w->log->f), 0) == 0 ? 0 : fail(e, "%s: cannot go on with it: %s", w->log->part, strerror(errno));
}

/* Fine-tunes `m` on a file of records and writes it, with a line for each step, to the folder `dir`. */
static int tune(Env *e, Model *m, const Tuning *t, const Template *form, const char *data, Trail *w, size_t *dropped) {
    Examples list;
    Batch b;
    Keyed *order;
    const Example **batch;
    Step s = { 0 };
    Progress bar = { NULL, 0, 0, 0 };
    double start = now();
    size_t tokens = 0, max_length = t->max_length < m->c.ctx ? t->max_length : m->c.ctx, per_epoch, steps, last, warm, i,
        epoch = SIZE_MAX, done = 0, rows = max_length > 1024 ? max_length : 1024;
    TRY(load_examples(e, m, form, data, max_length, &list));
    *dropped = list.dropped;
    if (t->lora && m->c.rank) return fail(e, "tune: option --lora: the model has an adapter already, which would learn on");
    if (t->lora) TRY(add_lora(e, m, t->targets, t->lora, (float)t->alpha, t->rslora, t->seed));
    TRY(make_trainable(e, m));
    TRY(new_batch(e, m, rows, t->recompute ? KEEP_INPUTS : KEEP_ALL, &b));
    order = get(e, list.n, sizeof *order);
    batch = get(e, t->batch, sizeof *batch);
    if (!order || !batch) return -1;
    per_epoch = (list.n + t->batch - 1) / t->batch;
    steps = per_epoch * t->epochs;
    last = t->steps && t->steps < steps ? t->steps : steps;
    if (w->last && w->last < last) last = w->last;
    warm = (size_t)(t->warmup * (double)steps);
    s.power1 = s.power2 = 1.0;
    if (w->resume) TRY(go_on_from(e, m, w, &done));
    if (w->state) { TRY(load_state(e, m, w->state)); done = w->from; }
    for (i = 0; i < done; i++) { s.power1 *= (double)t->beta1; s.power2 *= (double)t->beta2; }
    for (s.step = done + 1; s.step <= last; s.step++) {
        size_t n = 0, at = (s.step - 1) % per_epoch * t->batch;
        char more[64];
        if ((s.step - 1) / per_epoch != epoch) {
            epoch = (s.step - 1) / per_epoch;
            for (i = 0; i < list.n; i++) { order[i].x = &list.x[i]; order[i].key = draw(t->seed, DRAW_SHUFFLE, epoch, i, 0); }
            qsort(order, list.n, sizeof *order, by_key);
        }
        while (n < t->batch && at < list.n) batch[n++] = order[at++].x;
        s.lr = learning_rate(t, s.step, warm, steps);
        TRY(train_step(e, &b, t, batch, n, &s));
        TRY(leave_track(e, m, w, &s));
        for (i = 0; i < n; i++) tokens += rows_of(batch[i]);
        snprintf(more, sizeof more, "loss %.3f, %.0f tokens/s", s.loss, (double)tokens / (now() - start + 1e-9));
        progress(e, &bar, "tuning", s.step, steps, more);
    }
    if (w->last) return 0;
    if (m->c.rank) TRY(save_adapter(e, m, w->dir)); else TRY(save_model(e, m, w->dir, F32));
    TRY(close_out(e, w->log));
    if (w->every && !w->keep) remove(state_path(e, w, last / w->every * w->every));
    return 0;
}

/* ============================================ Measuring text =========================================================
 * What an answer is measured by. None of these has a gradient, and none needs one. A measure is one line of the table
 * at the end of this chapter: a name, a unit, whose definition it is, what it says, and its value.
 */

/* Words numbered 0, 1, 2 .. in order of appearance; equal words, told by their hashes, have equal numbers. */
typedef struct { uint32_t *word, *count; size_t n, terms, cap; Names numbers; } Words;   /* [n] [terms] scratch */

static int add_word(Env *e, Words *w, uint64_t h) {
    size_t *number = number_for(e, &w->numbers, h), cap = w->cap;
    if (!number) return -1;
    if (!*number) *number = ++w->terms;
    TRY(room(e, &w->count, w->n, &cap, sizeof *w->count));
    TRY(room(e, &w->word, w->n, &w->cap, sizeof *w->word));
    w->word[w->n++] = (uint32_t)*number - 1;
    return 0;
}

static void forget_words(Words *w) { forget_names(&w->numbers); w->n = w->terms = 0; }

/* Words that begin alike share nodes: spaCy's special cases, hyphenation patterns, toxic words. Node 0 is the root. */
typedef struct { Names edges; uint32_t *value; size_t n, cap; } Trie;          /* value[node]: 0 where no word ends */

static size_t step(const Trie *t, size_t node, uint32_t c) { return find_number(&t->edges, (uint64_t)node << 21 | c); }
static uint32_t value_of(const Trie *t, size_t node) { return node ? t->value[node] : 0; }

static int add_path(Env *e, Trie *t, const uint32_t *word, size_t n, uint32_t value) {
    size_t node = 0, k, *to;
    for (k = 0; k < n; k++, node = *to) {
        if (!(to = number_for(e, &t->edges, (uint64_t)node << 21 | word[k]))) return -1;
        if (*to) continue;
        TRY(room(e, &t->value, ++t->n, &t->cap, sizeof *t->value));
        *to = t->n;
    }
    if (node) t->value[node] = value;
    return 0;
}

/* Code points and what they are to spaCy's rules; CUT: a token begins here. */
enum { BLANK = 1, PUNCT = 2, AFFIX = 4, QUOTE = 8, STOP = 16, MONEY = 32, ICON = 64, DIGIT = 128, SMALL = 256,
       CAPITAL = 512, CUT = 1024, LETTER = SMALL | CAPITAL, SIGN = PUNCT | AFFIX };
typedef struct { uint32_t c; unsigned is; } Point;
typedef struct { uint32_t *v; size_t n, cap; double sum; } List;             /* mean, median, deviation are wanted */

/* What is known of a text: words as LexicalRichness cuts them; tokens as spaCy does, once a measure asks for them. */
typedef struct {
    Env *e;
    Span raw;
    Words word, token, gram;
    List length, sentence, syllable;     /* a number a token; tokens a sentence; a number a token */
    size_t characters, all, hard, big, open;   /* tokens; of 3 syllables, of over 6 letters, in the open sentence */
    int cut, stop;                       /* the tokens are there; a . ! ? came since a sentence's first token */
    Point *p;                            /* [cap] what stands between white space */
    size_t cap;
    Trie special;
} Text;

static uint32_t lower_point(uint32_t c) {
    if (c < 0xc0) return (uint32_t)lower((int)c);
    if ((c <= 0xde && c != 0xd7) || (c >= 0x391 && c <= 0x3a9) || (c >= 0x410 && c <= 0x42f)) return c + 32;
    return c >= 0x100 && c < 0x138 && c != 0x130 ? c | 1 : c;
}

static int among(uint32_t c, const char *signs) { return c && c < 0x80 && strchr(signs, (int)c) != NULL; }

static unsigned class_of(uint32_t c) {
    static const struct { uint32_t from, to; unsigned is; } wide[] = {       /* the first that fits */
        { 0x85, 0x85, BLANK }, { 0xa0, 0xa0, BLANK }, { 0x2000, 0x200a, BLANK }, { 0x2028, 0x2029, BLANK },
        { 0x202f, 0x202f, BLANK }, { 0x3000, 0x3000, BLANK }, { 0xa1, 0xa1, SIGN }, { 0xbf, 0xbf, SIGN },
        { 0xb7, 0xb7, SIGN }, { 0xab, 0xab, SIGN | QUOTE }, { 0xbb, 0xbb, SIGN | QUOTE }, { 0xa3, 0xa5, MONEY },
        { 0xa9, 0xa9, ICON }, { 0xae, 0xae, ICON }, { 0xb0, 0xb0, ICON }, { 0x80, 0xbe, 0 }, { 0xd7, 0xd7, 0 },
        { 0xf7, 0xf7, 0 }, { 0x60c, 0x61f, SIGN }, { 0x6d4, 0x6d4, SIGN | STOP }, { 0x964, 0x965, SIGN | STOP },
        { 0x2013, 0x2014, SIGN }, { 0x2018, 0x201d, SIGN | QUOTE }, { 0x2026, 0x2026, SIGN }, { 0x2010, 0x205e, PUNCT },
        { 0x20a0, 0x20bf, MONEY }, { 0x2060, 0x20ff, 0 }, { 0x2190, 0x2194, 0 }, { 0x2200, 0x22ff, 0 },
        { 0x2100, 0x2bff, ICON }, { 0x3002, 0x3002, SIGN | STOP }, { 0x3001, 0x303f, SIGN },
        { 0xff01, 0xff01, SIGN | STOP }, { 0xff1f, 0xff1f, SIGN | STOP }, { 0xff02, 0xff20, SIGN },
        { 0xfe00, 0xfe0f, 0 }, { 0x1f000, 0x1faff, ICON } };
    static const struct { unsigned is; const char *signs; } narrow[] = { { PUNCT, "!\"#%&'()*,-./:;?@[\\]_{}" },
        { AFFIX, ",:;!?()[]{}<>_#*&'\"`" }, { QUOTE, "'\"`," }, { STOP, ".!?" }, { MONEY, "$" },
        { BLANK, "\t\n\v\f\r \034\035\036\037" } };
    unsigned is = 0;
    size_t i;
    if (is_alpha((int)c)) return c >= 'a' ? SMALL : CAPITAL;
    if (is_digit((int)c)) return DIGIT;
    for (i = 0; i < COUNT(narrow); i++) if (among(c, narrow[i].signs)) is |= narrow[i].is;
    if (c < 0x80) return is;
    for (i = 0; i < COUNT(wide); i++) if (c >= wide[i].from && c <= wide[i].to) return wide[i].is;
    return lower_point(c) != c ? CAPITAL : c < 0x530 ? SMALL : LETTER;
}

/* LexicalRichness 0.5's words: lower case; digits and dashes deleted; other ASCII punctuation made spaces. */
static int analyse(Env *e, Span raw, Text *t) {
    size_t i = 0;
    uint64_t h = 0;
    t->e = e; t->raw = raw; t->cut = 0;
    forget_words(&t->word);
    while (i < raw.n) {
        uint32_t c = (unsigned char)raw.s[i];
        if (c < 0x80) i++; else i += utf8(raw.s + i, raw.n - i, &c);
        if (is_digit((int)c) || c == '-' || c == 0x2013 || c == 0x2014) continue;
        if (c < 0x80 ? !is_alpha((int)c) && ((c > 0x1b && c < 0x7f) || is_space((int)c)) : class_of(c) == BLANK) {
            if (h) TRY(add_word(e, &t->word, h));
            h = 0;
        } else h = stir(h, lower_point(c));
    }
    if (h) TRY(add_word(e, &t->word, h));
    return 0;
}

/* Syllables. With hyphenation patterns (a hyph_*.dic file): one more than the places where the word may be broken, two
 * letters or more from its ends, as TextDescriptives counts them by Pyphen. Liang's algorithm: a pattern "a1b" gives
 * its numbers to the places between letters wherever it fits; the greatest counts, and odd ones are breaks. */
typedef struct { Trie trie; Buf level; } Hyphens;              /* value of a pattern: where its levels begin, + 1 */

static int load_hyphens(Env *e, const char *path, Hyphens *h) {
    Span text, line;
    int wide;
    memset(h, 0, sizeof *h);
    TRY(load_file(e, path, &text));
    line = trim(upto(&text, '\n'));
    wide = same(line, "UTF-8");
    if (!wide && !same(line, "ISO8859-1"))
        return fail(e, "%s, line 1: UTF-8 or ISO8859-1 was expected, found \"%.*s\"", path, SHOWN(line));
    while (text.n) {
        uint32_t letter[64];
        char level[65] = { 0 };
        size_t n = 0, i;
        line = trim(upto(&text, '\n'));
        if (line.n == 0 || line.n > 60 || strchr("%#LRCN", line.s[0])) continue;        /* comments, LEFTHYPHENMIN .. */
        for (i = 0; i < line.n && line.s[i] != '/';) {         /* behind a slash: how the spelling changes */
            uint32_t c = (unsigned char)line.s[i];
            i += wide ? utf8(line.s + i, line.n - i, &c) : 1;
            if (is_digit((int)c)) level[n] = (char)(c - '0'); else letter[n++] = c;
        }
        TRY(add_path(e, &h->trie, letter, n, (uint32_t)h->level.n + 1));
        put(e, &h->level, level, n + 1);
    }
    return e->error[0] ? -1 : h->trie.n ? 0 : fail(e, "%s: holds no hyphenation patterns", path);
}

/* Without patterns: runs of vowels, less the silent e of -e, -ed, -es. */
static size_t syllables_by_rule(const Point *p, size_t n) {
    const char *mute = "aeiouyl";
    size_t i, found = 0;
    int vowel = 0, before = 0;
    for (i = 0; i < n; i++, before = vowel) {
        vowel = among(p[i].c, "aeiouy") || (p[i].c > 0xdf && p[i].c < 0xfd && p[i].c != 0xe7);
        found += vowel && !before;
    }
    if (n > 2 && p[n - 2].c == 'e' && among(p[n - 1].c, "ds")) mute = p[--n].c == 'd' ? "aeiouytd" : "aeiouylsxzcgh";
    found -= found > 1 && p[n - 1].c == 'e' && !among(p[n - 2].c, mute);
    return found ? found : 1;
}

/* Of a word of lower case; its classes serve as scratch, for the levels. */
static size_t syllables(const Hyphens *h, Point *p, size_t n) {
    size_t i, j, q, node, found = 1;
    if (!h->trie.n) return syllables_by_rule(p, n);
    for (i = 0; i < n; i++) p[i].is = 0;
    for (i = 0; i < n + 2; i++)                                /* in ".word.", whose letter j is p[j - 1] */
        for (node = 0, j = i; j < n + 2 && (node = step(&h->trie, node, j == 0 || j == n + 1 ? '.' : p[j - 1].c)); j++)
            for (q = i; h->trie.value[node] && q <= j + 1; q++) {
                unsigned level = (unsigned)h->level.s[h->trie.value[node] - 1 + q - i];
                if (q > 0 && q <= n && p[q - 1].is < level) p[q - 1].is = level;
            }
    for (i = 0; i < n; i++) found += (size_t)(p[i].c == '-') + (i >= 2 && i + 2 <= n && (p[i].is & 1));
    return found;
}

/* Tokens, as spaCy 3.7 cuts English: a chunk between white space loses prefixes and suffixes until none is left or a
 * special case stands there; what remains is cut at infixes unless it is an address. Not done: special cases across a
 * chunk's pieces, rarer ones (I'ma), US$, IP addresses, the classes of rare scripts. Of the tokens TextDescriptives
 * counts those that are not all punctuation (Unicode's P) and hold no "'": not "n't", but "$", "\n" and a curly n't.
 * A sentence ends at a token . ! or ?; the next token that is not punctuation begins another.
 *
 * Special cases; "|": here a token ends. Those with an apostrophe but for y'all are left to suffix_of(). */
static int add_special_cases(Env *e, Trie *t) {
    Span words = span("can|not gon|na got|ta y'|all c'm|on i|m i|d i|ve you|d you|ll you|re you|ve he|d he|s she|s it|d "
        "it|ll we|d we|ve they|d they|ll they|re they|ve who|s what|s when|s where|s why|s how|s there|s that|s this|s "
        "that|d do|nt does|nt did|nt ca|nt wo|nt is|nt are|nt was|nt have|nt has|nt had|nt could|nt would|nt "
        "should|nt must|nt ai|nt could|ve would|ve should|ve '' 's 'll 're 'd 'em 'nuff 'bout 'cause 'Cause 'cos "
        "'coz 'cuz doin' goin' nothin' nuthin' somethin' lovin' havin' ol' and/or w/o C++ \\n \\t a. b. c. d. e. f. "
        "g. h. i. j. k. l. m. n. o. p. q. r. s. t. u. v. w. x. y. z. a.m. p.m. e.g. i.e. vs. v.s. co. Co. Corp. "
        "Inc. Ltd. Bros. Mr. Mrs. Ms. Messrs. Dr. Prof. Adm. Gen. Gov. Rep. Rev. Sen. Jr. Ph.D. St. Mt. Md. Mo. "
        "Mont. Ak. Ala. Ariz. Ark. Calif. Colo. Conn. Del. Fla. Ga. Ia. Id. Ill. Ind. Kan. Kans. Ky. La. Mass. "
        "Mich. Minn. Miss. Neb. Nebr. Nev. Okla. Ore. Pa. Tenn. Va. Wash. Wis. Jan. Feb. Mar. Apr. Jun. Jul. Aug. "
        "Sep. Sept. Oct. Nov. Dec. =) =( =D =3 =/ =| :D :-D :P :-P :p :-p :O :-O :o :-o :X :x :3 :0 :> <3 </3 8) "
        "8-) 8D ^_^ >.<");
    while (words.n) {
        Span word = upto(&words, ' ');
        uint32_t c[16], cut = 0;
        size_t n = 0, i;
        for (i = 0; i < word.n; i++) if (word.s[i] == '|') cut = (uint32_t)i; else c[n++] = (unsigned char)word.s[i];
        TRY(add_path(e, t, c, n, cut + 1));
    }
    return 0;
}

/* Is p[0..n) a special case, perhaps with a capital or a curly apostrophe? 1 more than where to cut it, or 0. */
static uint32_t special_case(const Trie *t, const Point *p, size_t n) {
    size_t node, i, small;
    for (small = 0; small < 2; small++) {
        for (node = i = 0; i < n; i++)
            if (!(node = step(t, node, p[i].c == 0x2019 ? '\'' : i < small ? lower_point(p[i].c) : p[i].c))) break;
        if (value_of(t, node)) return t->value[node];
    }
    return 0;
}

/* The length of the prefix, or the suffix, of p[0..n). */
static size_t prefix_of(const Point *p, size_t n) {
    size_t i = 0;
    while (i < n && p[i].c == '.') i++;
    if (i > 1) return i;
    if (p[0].c == '+') return n < 2 || !(p[1].is & DIGIT);
    return (p[0].is & (AFFIX | MONEY | ICON)) || among(p[0].c, "%=");
}

static size_t suffix_of(const Point *p, size_t n) {
    static const char tails[] = " 's 'S 'm 'd 've 're 'll n't am pm a.m. p.m. km km\2 km\3 m m\2 m\3 dm dm\2 dm\3 cm "
        "cm\2 cm\3 mm mm\2 mm\3 ha nm yd in ft kg g mg t lb oz m/s km/h kmh mph hPa Pa mbar mb MB kb KB gb GB tb TB "
        "T G M K % ";
    size_t i = n, j;
    while (i && p[i - 1].c == '.') i--;
    if (n - i > 1) return n - i;
    for (j = n < 5 ? n : 5; j-- > 1;) {                     /* 's, n't; units behind a digit, \2 \3 are superscripts */
        char name[8] = " ";
        for (i = 0; i < j; i++) {
            uint32_t c = p[n - j + i].c;
            name[i + 1] = (char)(c < 0x80 ? c : c == 0x2019 ? '\'' : c >> 1 == 0x59 ? c & 3 : 1);
        }
        name[j + 1] = ' ';
        if (!strstr(tails, name) || (strchr("ap", name[1]) && n - j > 2)) continue;
        if ((p[n - j - 1].is & DIGIT) || strchr(name, '\'')) return j;
    }
    if (n > 1 && p[n - 1].c == '.')                                            /* "word." but not "X." */
        return (p[n - 2].is & (DIGIT | SMALL | AFFIX)) || among(p[n - 2].c, "%-+") || p[n - 2].c == 0xb2
            || (n > 2 && (p[n - 2].is & CAPITAL) && ((p[n - 3].is & CAPITAL) || p[n - 3].c == 0xb0));
    if (n > 1 && (p[n - 2].is & DIGIT) && (p[n - 1].c == '+' || (p[n - 1].is & MONEY))) return 1;
    return n && (p[n - 1].is & (AFFIX | ICON));
}

/* name@host.org, http://host.org/path: a host whose last label is two or more small letters. */
static int is_address(const Point *p, size_t n) {
    size_t i, label = 0, small = 0, dots = 0;
    for (i = 0; i < n; i++) {
        int scheme = i + 2 < n && p[i].c == ':' && p[i + 1].c == '/' && p[i + 2].c == '/', dot = p[i].c == '.';
        if (scheme || dot || p[i].c == '@') {
            if (i == label) return 0;
            dots = dot ? dots + 1 : 0;
            label = (i += scheme ? 2 : 0) + 1; small = 0;
        } else if (among(p[i].c, ":/?#")) break;
        else if (!(p[i].is & (LETTER | DIGIT)) && !among(p[i].c, "-_")) return 0;
        else small += (p[i].is & SMALL) != 0;
    }
    return dots && small > 1 && small == i - label;
}

/* The length of the infix at p[i], 0: none. */
static size_t infix_at(const Point *p, size_t i, size_t n) {
    unsigned before = i ? p[i - 1].is : 0, after = i + 1 < n ? p[i + 1].is : 0;
    uint32_t c = p[i].c;
    size_t run = 1, most = c == '-' ? 3 : c == 0x2014 ? 2 : c == 0x2013 || c == '~' ? 1 : c == '.' ? n : 0;
    while (i + run < n && p[i + run].c == c && run < most) run++;
    if (c == '.') return run > 1 ? run : (before & (SMALL | QUOTE)) && (after & (CAPITAL | QUOTE));
    if (c == 0x2026 || (p[i].is & ICON)) return 1;
    if (c == ',') return (before & LETTER) && (after & LETTER);
    if ((before & DIGIT) && among(c, "+-*^") && after && ((after & DIGIT) || p[i + 1].c == '-')) return 1;
    if (!(before & (LETTER | DIGIT))) return 0;
    if (most) return i + run < n && (p[i + run].is & LETTER) ? run : 0;
    return (after & LETTER) && among(c, ":<>=/");
}

static int push(Env *e, List *l, size_t v) {
    TRY(room(e, &l->v, l->n, &l->cap, sizeof *l->v));
    l->v[l->n++] = (uint32_t)v;
    l->sum += (double)v;
    return 0;
}

/* Counts one token, which is overwritten. */
static int add_token(Text *t, const Hyphens *hyphens, Point *p, size_t n) {
    size_t i, found, kept = 0, apostrophes = 0;
    int stop = n == 1 && (p[0].is & STOP);
    uint64_t h = 0;
    for (i = 0; i < n; i++) {
        kept += (p[i].is & PUNCT) == 0;
        apostrophes += p[i].c == '\'';
        p[i].c = lower_point(p[i].c);
        h = stir(h, p[i].c);
    }
    if (t->stop && kept && !stop) { TRY(push(t->e, &t->sentence, t->open)); t->open = 0; t->stop = 0; }
    t->stop |= stop;
    t->all++;
    if (!kept || apostrophes) return 0;
    found = syllables(hyphens, p, n);
    t->open++;
    t->hard += found >= 3;
    t->big += n > 6;
    TRY(push(t->e, &t->length, n));
    TRY(push(t->e, &t->syllable, found));
    return add_word(t->e, &t->token, h);
}

/* What stands between white space, or white space itself: first each cut is marked, then the tokens are counted. */
static int add_chunk(Text *t, const Hyphens *hyphens, size_t n) {
    uint32_t special = t->p[0].is & BLANK;
    Point *p = t->p, *end = p + n, *to = end;
    size_t a, b;
    while (p < to && !special && !(special = special_case(&t->special, p, (size_t)(to - p)))) {
        size_t left = (size_t)(to - p), pre = prefix_of(p, left), post = 0;
        if (!pre || !(special = special_case(&t->special, p + pre, left - pre))) {
            post = suffix_of(p + pre, left - pre);
            if (post && (special = special_case(&t->special, p, left - post))) pre = 0;
        }
        if (!pre && !post) break;
        p += pre; to -= post;
        p->is |= CUT; to->is |= CUT;
    }
    if (special) p[special - 1].is |= CUT;
    else if (!is_address(p, (size_t)(to - p)))
        for (a = 0; p + a < to; a += b ? b : 1) {
            b = infix_at(p, a, (size_t)(to - p));
            if (a && b) { p[a].is |= CUT; p[a + b].is |= CUT; }
        }
    for (p = t->p; p < end; p += b) {
        for (b = 1; p + b < end && !(p[b].is & CUT); b++) ;
        TRY(add_token(t, hyphens, p, b));
    }
    return 0;
}

/* The first space behind a word belongs to no token; any other white space is one. */
static int cut_tokens(Text *t, const Hyphens *hyphens) {
    size_t i = 0, n = 0;
    if (!t->special.n) TRY(add_special_cases(t->e, &t->special));
    forget_words(&t->token);
    t->length.n = t->sentence.n = t->syllable.n = t->characters = t->all = t->hard = t->big = t->open = 0;
    t->length.sum = t->sentence.sum = t->syllable.sum = t->stop = 0;
    while (i < t->raw.n) {
        Point p = { (unsigned char)t->raw.s[i], 0 };
        i += p.c < 0x80 ? 1 : utf8(t->raw.s + i, t->raw.n - i, &p.c);
        p.is = class_of(p.c);
        t->characters += p.c != ' ';
        if (n && ((p.is ^ t->p[0].is) & BLANK)) { TRY(add_chunk(t, hyphens, n)); n = 0; if (p.c == ' ') continue; }
        TRY(room(t->e, &t->p, n + 1, &t->cap, sizeof *t->p));
        t->p[n++] = p;
    }
    if (n) TRY(add_chunk(t, hyphens, n));
    if (t->all) TRY(push(t->e, &t->sentence, t->open));
    t->cut = 1;
    return 0;
}

/* The word list: severity<TAB>word or phrase; "word*" goes on to the word's end; severity 0 is for an innocent word
 * that looks like one of the others with an ending. A word's value: 2 severity's number, + 1 if it goes on. */
typedef struct { Trie trie; double *severity; size_t n, cap; } WordList;

static int load_words(Env *e, const char *name, WordList *l) {
    Span text, line;
    size_t number = 0, i;
    const char *path;
    memset(l, 0, sizeof *l);
    TRY(find_data(e, name, &path));
    TRY(load_file(e, path, &text));
    while (text.n) {
        double severity = 0;
        uint32_t word[100];
        size_t used;
        line = trim(upto(&text, '\n'));
        number++;
        if (line.n == 0 || line.s[0] == '#') continue;
        used = parse_number(line.s, line.n, &severity);
        if (!used || !(severity >= 0 && severity <= 1) || used == line.n || line.s[used] != '\t' || line.n > 100)
            return fail(e, "%s, line %zu: \"severity<TAB>word\", severity from 0 to 1, was expected, found \"%.*s\"",
                path, number, SHOWN(line));
        line.s += used; line.n -= used;
        line = trim(line);
        for (i = 0; i < line.n; i++) word[i] = (unsigned char)lower((unsigned char)line.s[i]);
        TRY(room(e, &l->severity, l->n, &l->cap, sizeof *l->severity));
        l->severity[l->n++] = severity;
        used = line.n && line.s[line.n - 1] == '*';
        TRY(add_path(e, &l->trie, word, line.n - used, (uint32_t)(2 * l->n + used)));
    }
    return l->n ? 0 : fail(e, "%s: holds no words", path);
}

/* A letter, a digit, or a byte of one beyond ASCII; curly quotes and dashes (U+20xx) are none. */
static int in_word(Span s, size_t i) {
    int c = i < s.n ? (unsigned char)s.s[i] : 0;
    return is_alpha(c) || is_digit(c) || (c >= 0x80 && !(c == 0xe2 && i + 1 < s.n && (s.s[i + 1] & 0xfe) == 0x80)
        && !(i > 1 && (unsigned char)s.s[i - 2] == 0xe2 && (s.s[i - 1] & 0xfe) == 0x80));
}

/* A search for the longest listed word or phrase that begins at `from`: where it ends, and does it stand as listed? */
typedef struct { const WordList *l; Span s; size_t from, end; double severity; int exact; } Hunt;

/* A word has ended at i but for an ending, which must be there if `least` is 1. */
static void found(Hunt *h, size_t node, size_t i, size_t least) {
    static const char *const endings[] = { "", "s", "es", "ed", "er", "ers", "est", "ing", "ings", "ly", "y", "ish" };
    uint32_t v = value_of(&h->l->trie, node);
    size_t k, n;
    int exact;
    for (k = least; v && k < (i > h->from + 2 ? COUNT(endings) : 1); k++) {
        double severity = h->l->severity[(v >> 1) - 1];
        for (n = 0; endings[k][n] && i + n < h->s.n && lower((unsigned char)h->s.s[i + n]) == endings[k][n]; n++) ;
        if (endings[k][n]) continue;
        exact = k == 0 && !((v & 1) && in_word(h->s, i));
        while (k == 0 && !exact && in_word(h->s, i + n)) n++;
        if (in_word(h->s, i + n) || i + n < h->end) continue;
        if (i + n == h->end && (h->exact != exact ? h->exact : h->severity >= severity)) continue;
        h->end = i + n; h->severity = severity; h->exact = exact;
    }
}

/* Goes on from a node with the text at i. Seen through: digits and signs for letters (1d!0t), letters three times or
 * more (stuuupid), stars for letters (st*pid, f***), letters set apart (f u c k; gap: by what), and endings: hat(e)ing,
 * shit(t)y, ugl(y)ier. last: the letter before i; stars: how many of the latest letters were stars. */
static void hunt(Hunt *h, size_t node, size_t i, int last, int gap, size_t stars) {
    static const char leet[] = "@a4a$s5s0o1i1l!i3e7t";
    const Trie *t = &h->l->trie;
    Span s = h->s;
    size_t next, k;
    int c;
    if (!stars || (stars > 1 && (i == s.n || s.s[i] != '*'))) found(h, node, i, 0);
    if (gap && (i + 2 > s.n || s.s[i] != gap || in_word(s, i + 2))) return;
    i += gap != 0;
    if (i >= s.n) return;
    c = lower((unsigned char)s.s[i]);
    if (c == last) found(h, node, i + 1, 1);
    if (c == 'e' || c == 'i' || c == 'y') found(h, step(t, node, 'e'), i, 1);
    if (c == 'i') found(h, step(t, node, 'y'), i + 1, 1);
    if (c != ' ' && (next = step(t, node, (unsigned char)c))) hunt(h, next, i + 1, c, gap, 0);
    if (!is_alpha(c)) {
        for (k = 0; leet[k]; k += 2)
            if (leet[k] == c && (next = step(t, node, (uint32_t)leet[k + 1])))
                hunt(h, next, i + 1, leet[k + 1], gap, 0);
        for (k = 'a'; k <= 'z' && i > h->from && (c == '*' || c == '#' || c == '%'); k++)
            if ((next = step(t, node, (uint32_t)k))) hunt(h, next, i + 1, 0, gap, stars + 1);
        if (!in_word(s, i) && (next = step(t, node, ' '))) {
            for (k = i; k < s.n && k < i + 32 && !in_word(s, k); k++) ;
            hunt(h, next, k, 0, 0, 0);
        }
        if (i == h->from + 1 && !gap && c && strchr(" .-_*", c)) hunt(h, node, i, last, c, 0);
    }
    for (k = i; k < s.n && last && lower((unsigned char)s.s[k]) == last; k++) ;
    if (k > i + !(i > 1 && lower((unsigned char)s.s[i - 2]) == last)) hunt(h, node, k, 0, gap, 0);
}

/* 1 - product of (1 - severity) over the listed words and phrases in the text: one mild word counts a little, many
 * count much, and no score passes 1. Words are whole words: Scunthorpe is innocent. */
static double word_list_score(const WordList *l, Span s) {
    double innocent = 1.0;
    size_t i = 0, k;
    while (i < s.n) {
        Hunt h = { l, s, i, 0, 0.0, 0 };
        if (!in_word(s, i) && s.s[i] != '@' && s.s[i] != '$') { i++; continue; }
        hunt(&h, 0, i, 0, 0, 0);
        for (k = i; k < h.end && !is_alpha((unsigned char)s.s[k]); k++) ;       /* 455 is a number */
        if (k < h.end) innocent *= 1.0 - h.severity;
        if (h.end > i) i = h.end;
        else for (i++; in_word(s, i); i++) ;
    }
    return 1.0 - innocent;
}

static uint32_t *fresh_counts(Words *w) {
    if (w->terms) memset(w->count, 0, w->terms * sizeof *w->count);
    return w->count;
}

/* Summed over the terms: the squared frequency, or, if there are `draws`, the chance to be among so many drawn of the n
 * words (of the hypergeometric distribution): 1 - C(n - f, draws) / C(n, draws). */
static double sum_over_terms(Words *w, size_t draws) {
    uint32_t *f = fresh_counts(w);
    double sum = 0.0, none;
    size_t i, k;
    for (i = 0; i < w->n; i++) f[w->word[i]]++;
    for (i = 0; i < w->terms; i++) {
        for (none = 1.0, k = 0; draws && k < f[i]; k++)
            none *= k + draws < w->n ? (double)(w->n - draws - k) / (double)(w->n - k) : 0.0;
        sum += draws ? 1.0 - none : (double)f[i] * (double)f[i];
    }
    return sum;
}

/* Mean type/token ratio of windows of words, each `hop` words behind the last. */
static double windows_ttr(Words *w, size_t window, size_t hop, size_t windows) {
    uint32_t *count = fresh_counts(w);
    double sum = 0.0;
    size_t i, types = 0;
    for (i = 0; i < (windows - 1) * hop + window; i++) {
        types += count[w->word[i]]++ == 0;
        if (i >= window) types -= --count[w->word[i - window]] == 0;
        if (i + 1 >= window && (i + 1 - window) % hop == 0) sum += (double)types / (double)window;
    }
    return sum / (double)windows;
}

/* Distinct n-grams over words (Li et al. 2016). */
static double distinct(Text *t, size_t n) {
    size_t i, k;
    forget_words(&t->gram);
    for (i = 0; i + n <= t->word.n; i++) {
        uint64_t h = 0;
        for (k = 0; k < n; k++) h = stir(h, t->word.word[i + k]);
        if (add_word(t->e, &t->gram, h) < 0) return 0.0;
    }
    return (double)t->gram.terms / (double)t->word.n;
}

/* Measure of textual lexical diversity (McCarthy & Jarvis 2010) as LexicalRichness computes it: a factor closes when
 * the running type/token ratio falls to 0.72; what is left over counts in part; words / factors, forward and backward,
 * averaged. Traps: <= not <; no shortest factor; a text of all different words has as many as it has words. */
static double mtld(Words *w) {
    uint32_t *last = fresh_counts(w), factor = 1;                        /* last[word]: the last factor it came in */
    double sum = 0.0, factors, ratio, overall = (double)w->terms / (double)w->n;
    size_t i, n, types, back;
    if (w->n == 0) return 0.0;
    for (back = 0; back < 2; back++, factor++) {
        factors = 0.0; ratio = 1.0; n = types = 0;
        for (i = 0; i < w->n; i++) {
            uint32_t at = w->word[back ? w->n - 1 - i : i];
            n++;
            if (last[at] != factor) { last[at] = factor; types++; }
            ratio = (double)types / (double)n;
            if (ratio <= 0.72) { factors += 1.0; factor++; n = types = 0; ratio = 1.0; }
        }
        if (n) factors += (1.0 - ratio) / (1.0 - 0.72);
        if (factors == 0.0) factors = overall == 1.0 ? 1.0 : (1.0 - overall) / (1.0 - 0.72);
        sum += (double)w->n / factors;
    }
    return sum / 2.0;
}

static int by_value(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

static double median(List *l) {
    if (l->n == 0) return HUGE_VAL;
    qsort(l->v, l->n, sizeof *l->v, by_value);
    return ((double)l->v[(l->n - 1) / 2] + (double)l->v[l->n / 2]) / 2.0;
}

static double deviation(const List *l) {
    double centre = l->sum / (double)l->n, sum = 0.0;
    size_t i;
    for (i = 0; i < l->n; i++) sum += ((double)l->v[i] - centre) * ((double)l->v[i] - centre);
    return sqrt(sum / (double)l->n);
}

static double share_of_equals(const Group *g, size_t i) {
    size_t k, n = 0;
    for (k = 0; k < g->n; k++) n += (size_t)equal(trim(g->r[i].completion), trim(g->r[k].completion));
    return (double)n / (double)g->n;
}

/* Stereotypes: the share of a text's sentences that hold both words of a listed pair, "Velomi<TAB>lazy": a group and what is
 * said of it, whole words in any case and order. A sentence ends at . ! ? */
typedef struct { uint64_t (*v)[2]; size_t n, cap; } Pairs;

static uint64_t next_letters(Span *s) {          /* the hash of the next word in lower case, 0 for none */
    uint64_t h = 0;
    for (; s->n; s->s++, s->n--) {
        int c = (unsigned char)*s->s;
        if (is_alpha(c) || c >= 0x80) h = stir(h ? h : 1, (uint64_t)lower(c)); else if (h) break;
    }
    return h;
}

static int load_pairs(Env *e, const char *path, Pairs *x) {
    Span text, line, group;
    size_t number;
    TRY(load_file(e, path, &text));
    for (number = 1; text.n; number++) {
        line = trim(upto(&text, '\n'));
        if (line.n == 0 || line.s[0] == '#') continue;
        group = upto(&line, '\t');
        TRY(room(e, &x->v, x->n, &x->cap, sizeof *x->v));
        x->v[x->n][0] = next_letters(&group); x->v[x->n][1] = next_letters(&line);
        if (!x->v[x->n][0] || !x->v[x->n][1] || trim(group).n || trim(line).n)
            return fail(e, "%s, line %zu: \"group<TAB>attribute\", a word each, was expected", path, number);
        x->n++;
    }
    return x->n ? 0 : fail(e, "%s: holds no pairs", path);
}

static int has_word(Span s, uint64_t word) {
    uint64_t h;
    while ((h = next_letters(&s)) != 0) if (h == word) return 1;
    return 0;
}

static double stereotyped(const Pairs *x, Span text) {
    size_t sentences = 0, found = 0, i;
    while (text.n && x->n) {
        Span sentence = { text.s, 0 }, first;
        while (text.n && !among((unsigned char)*text.s, ".!?")) { sentence.n++; text.s++; text.n--; }
        if (text.n) { text.s++; text.n--; }
        first = sentence;
        for (i = 0; i < x->n && !(has_word(sentence, x->v[i][0]) && has_word(sentence, x->v[i][1])); i++) continue;
        sentences += next_letters(&first) != 0; found += i < x->n;
    }
    return !x->n ? HUGE_VAL : sentences ? (double)found / (double)sentences : 0.0;
}

static double ln(double x) { return x > 0.0 ? log64(x) : HUGE_VAL; }

/* The table: a measure's name, unit, source, definition, and value, in terms of w the words, n of them, u different;
 * k tokens, s sentences; the mean length of tokens and of sentences, the tokens' mean syllables; x the lists, g the
 * group. A value that is no number is left out: there LexicalRichness raises an error, TextDescriptives says NaN.
 * A new measure is a line here; one that looks into a file needs a field of Lists too: depends_on_lists(). */
#define NONE HUGE_VAL
typedef struct { WordList words; Hyphens hyphens; Pairs pairs; } Lists;
enum { LR, TD, LI, LISTED, MODEL, VOTE, PAIRS };
static const char *const sources[] = { "LexicalRichness 0.5", "TextDescriptives 2.8", "Li et al. 2016", "the word list",
    "the sampler", "self-consistency", "--stereotypes" };
#define SPREAD(X, name, unit, what, list, mean) \
    X(name##_mean, unit, TD, "mean of the " what, mean) \
    X(name##_median, unit, TD, "median of the " what, median(&t->list)) \
    X(name##_std, unit, TD, "standard deviation of the " what, deviation(&t->list))
#define MEASURES(X) \
    X(words, "words", LR, "words: lower case, digits and dashes deleted, other punctuation made spaces", n) \
    X(ttr, "0..1", LR, "terms / words", n > 0 ? u / n : 0.0) \
    X(mtld, "words", LR, "mean length of runs that keep a type/token ratio above 0.72", mtld(w)) \
    X(toxicity, "0..1", LISTED, "1 - product of (1 - severity) of listed words", word_list_score(&x->words, t->raw)) \
    X(terms, "words", LR, "different words", u) \
    X(rttr, "ratio", LR, "terms / sqrt(words)", u / sqrt(n)) \
    X(cttr, "ratio", LR, "terms / sqrt(2 words)", u / sqrt(2.0 * n)) \
    X(msttr, "0..1", LR, "mean ttr of segments of 100 words, less the last", \
        n > 100 ? windows_ttr(w, 100, 100, (w->n - 1) / 100) : NONE) \
    X(mattr, "0..1", LR, "mean ttr of all windows of 100 words", n > 99 ? windows_ttr(w, 100, 1, w->n - 99) : NONE) \
    X(hdd, "0..1", LR, "HD-D: mean ttr of 42 words drawn", n > 41 ? sum_over_terms(w, 42) / 42.0 : NONE) \
    X(Herdan, "ratio", LR, "log(terms) / log(words)", ln(u) / ln(n)) \
    X(Summer, "ratio", LR, "log(log(terms)) / log(log(words))", ln(ln(u)) / ln(ln(n))) \
    X(Dugast, "ratio", LR, "log(words)^2 / (log(words) - log(terms))", ln(n) * ln(n) / (ln(n) - ln(u))) \
    X(Maas, "ratio", LR, "(log(words) - log(terms)) / log(words)^2", (ln(n) - ln(u)) / (ln(n) * ln(n))) \
    X(yulek, "ratio", LR, "10^4 (sum of squared frequencies / words^2 - 1 / words)", \
        1e4 * (sum_over_terms(w, 0) / (n * n) - 1.0 / n)) \
    X(distinct_1, "0..1", LI, "different words / words", u / n) \
    X(distinct_2, "0..1", LI, "different pairs of neighbours / words", distinct(t, 2)) \
    X(distinct_3, "0..1", LI, "different triples of neighbours / words", distinct(t, 3)) \
    X(n_tokens, "tokens", TD, "spaCy's tokens but for punctuation and those with an apostrophe", k) \
    X(n_unique_tokens, "tokens", TD, "different tokens, in lower case", (double)t->token.terms) \
    X(proportion_unique_tokens, "0..1", TD, "n_unique_tokens / n_tokens", (double)t->token.terms / k) \
    X(n_characters, "characters", TD, "characters without spaces", (double)t->characters) \
    X(n_sentences, "sentences", TD, "sentences by spaCy's sentencizer", s) \
    SPREAD(X, token_length, "characters", "tokens' lengths", length, letters) \
    SPREAD(X, sentence_length, "tokens", "sentences' lengths", sentence, tokens) \
    SPREAD(X, syllables_per_token, "syllables", "tokens' syllables (--hyphenation: Pyphen's)", syllable, syllables) \
    X(flesch_reading_ease, "score", TD, "206.835 - 1.015 tokens a sentence - 84.6 syllables a token", \
        206.835 - 1.015 * tokens - 84.6 * syllables) \
    X(flesch_kincaid_grade, "grade", TD, "0.39 tokens a sentence + 11.8 syllables a token - 15.59", \
        0.39 * tokens + 11.8 * syllables - 15.59) \
    X(smog, "grade", TD, "1.043 sqrt(30 tokens of 3 syllables a sentence) + 3.1291, from 3 sentences on", \
        s > 2 ? 1.043 * sqrt(30.0 * ((double)t->hard / s)) + 3.1291 : NONE) \
    X(gunning_fog, "grade", TD, "0.4 (tokens a sentence + percent of 3 syllables)", \
        0.4 * (tokens + (double)t->hard / k * 100.0)) \
    X(automated_readability_index, "grade", TD, "4.71 letters a token + 0.5 tokens a sentence - 21.43", \
        4.71 * letters + 0.5 * tokens - 21.43) \
    X(coleman_liau_index, "grade", TD, "5.88 letters a token - 29.6 sentences a token - 15.8", \
        5.88 * letters - 29.6 * (s / k) - 15.8) \
    X(lix, "score", TD, "tokens a sentence + percent of tokens over 6 letters", tokens + (double)t->big / k * 100.0) \
    X(rix, "score", TD, "tokens over 6 letters a sentence", k > 0 ? (double)t->big / s : NONE) \
    X(logprob, "nats", MODEL, "mean log-probability a token, from the record", \
        json_number(json_get(g->r[i].raw, "logprob"), v) ? *v : NONE) \
    X(agreement, "0..1", VOTE, "share of the prompt's answers that say the same", share_of_equals(g, i)) \
    X(stereotype, "0..1", PAIRS, "share of sentences that hold a listed pair", stereotyped(&x->pairs, t->raw))

/* One function each: 0 where record i of the group has no such value. */
#define AS_MEASURE(name, unit, source, says, value) \
    static int measure_##name(const Group *g, size_t i, Text *t, const Lists *x, double *v) { \
        Words *w = &t->word; \
        double n = (double)w->n, u = (double)w->terms, k, s, letters, tokens, syllables; \
        if (source == TD && !t->cut && cut_tokens(t, &x->hyphens) < 0) return 0; \
        k = (double)t->length.n; s = (double)t->sentence.n; \
        letters = t->length.sum / k; tokens = t->sentence.sum / s; syllables = t->syllable.sum / k; \
        (void)g; (void)i; (void)x; (void)n; (void)u; (void)letters; (void)tokens; (void)syllables; \
        n = (value);                     /* infinite or not a number: no value */ \
        if (n - n == 0.0) *v = n; \
        return n - n == 0.0; \
    }
MEASURES(AS_MEASURE)

typedef struct {
    const char *name, *unit, *says;
    int source, (*f)(const Group *g, size_t i, Text *t, const Lists *x, double *value);
} Measure;

#define AS_LINE(name, unit, source, says, value) { #name, unit, says, source, measure_##name },
static const Measure measures[] = { MEASURES(AS_LINE) };

static const Measure *find_measure(Span name) {
    size_t i;
    for (i = 0; i < COUNT(measures); i++) if (same(name, measures[i].name)) return &measures[i];
    return NULL;
}

/* "words,mtld" as a list of measures; "all". */
static int parse_measures(Env *e, const char *names, const Measure **list, size_t *n) {
    Span rest = span(names);
    size_t k;
    *n = 0;
    if (same(rest, "all")) for (rest.n = 0; *n < COUNT(measures); ++*n) list[*n] = &measures[*n];
    while (rest.n) {
        Span one = trim(upto(&rest, ','));
        const Measure *q = find_measure(one);
        if (!q) return fail(e, "measure \"%.*s\": there is no such measure; score --list shows all", SHOWN(one));
        for (k = 0; k < *n; k++) if (list[k] == q) return fail(e, "measure \"%.*s\": is named twice", SHOWN(one));
        list[(*n)++] = q;
    }
    return *n ? 0 : fail(e, "no measure was named; score --list shows all");
}

/* A record with "scores" at its end: ours, and those it already had of other names. */
static int put_scored(Env *e, Buf *b, const Group *g, size_t i, const Measure *const *list, size_t n, Text *t, const Lists *x) {
    Member m;
    size_t at = 0, k, put_any = 0;
    Span old = json_get(g->r[i].raw, "scores");
    TRY(analyse(e, g->r[i].completion, t));
    put_text(e, b, "{");
    while (json_next(g->r[i].raw, &at, &m)) if (!same(m.key, "scores")) put_member(e, b, &m, &put_any);
    put_text(e, b, put_any ? ",\"scores\":{" : "\"scores\":{");
    for (at = put_any = 0; old.n && old.s[0] == '{' && json_next(old, &at, &m);) {
        for (k = 0; k < n && !same(m.key, list[k]->name); k++) ;
        if (k == n) put_member(e, b, &m, &put_any);
    }
    for (k = 0; k < n; k++) {
        double v = 0.0;
        if (!list[k]->f(g, i, t, x, &v)) continue;
        put_text(e, b, put_any++ ? ",\"" : "\""); put_text(e, b, list[k]->name); put_text(e, b, "\":");
        put_fixed(e, b, v);
    }
    put_text(e, b, "}}\n");
    return e->error[0] ? -1 : 0;
}

/* =============================================== Choosing =============================================================
 * Best of N. A measure s is only asked which of N finished answers has the most of it. So it may count, parse
 * or look up; it needs no derivative, which could not pass through the drawing of tokens anyhow.
 *
 *     x --teacher--> y1 .. yN --measure--> s1 .. sN --argmax--> y* --student learns--> -log p(y* | x)
 *
 * If F is the distribution function of s over the teacher's answers to x, the best of N is drawn from
 *     p*(y) = N F(s(y))^(N-1) p(y)      KL(p* | p) = log N - (N-1)/N, 1.4 nats for ten   (s without ties)
 * which the student imitates: the teacher, its answers weighted by rank. What it never says can't be chosen.
 *
 * A rule is `first`, `random`, or a list like "toxicity:min,mtld:max": the first field decides, the next ones
 * settle its ties, then the lowest candidate number does. Filters (`--where "words>=5"`) make candidates ineligible. An
 * empty answer is not chosen while another exists, a candidate without the score never; a prompt with nobody eligible
 * is dropped and counted. A new kind of rule is a word in parse_rule() and a pick at the end of choose().
 */
enum { FIRST, RANDOM, BEST };
typedef struct { char field[64]; int sign; } Order;                                /* sign +1: the largest wins */
typedef struct { char field[64], op[4]; double bound; } Filter;
typedef struct { int kind; Order order[4]; size_t n; Filter filter[4]; size_t filters, among; } Rule;

static int parse_rule(Env *e, const char *text, const char *where, size_t among, Rule *rule) {
    Span rest = span(text), filters = span(where);
    memset(rule, 0, sizeof *rule);
    rule->among = among;
    rule->kind = strcmp(text, "first") == 0 ? FIRST : strcmp(text, "random") == 0 ? RANDOM : BEST;
    while (rule->kind == BEST && (rest.n || !rule->n)) {
        Span one = trim(upto(&rest, ',')), field = upto(&one, ':');
        if (rule->n == COUNT(rule->order) || field.n == 0 || field.n > 60 || !(same(one, "max") || same(one, "min")))
            return fail(e, "rule \"%s\": first, random, FIELD:max or FIELD:min was expected", text);
        memcpy(rule->order[rule->n].field, field.s, field.n);
        rule->order[rule->n++].sign = same(one, "max") ? 1 : -1;
    }
    while (filters.n) {
        Span one = trim(upto(&filters, ','));
        Filter *f = &rule->filter[rule->filters];
        size_t at = 0, n;
        while (at < one.n && !strchr("<>=", one.s[at])) at++;
        n = at + 1 < one.n && one.s[at] != '=' && one.s[at + 1] == '=' ? 2 : 1;
        if (rule->filters++ == COUNT(rule->filter) || at == 0 || at > 60 || at + n >= one.n
            || parse_number(one.s + at + n, one.n - at - n, &f->bound) != one.n - at - n)
            return fail(e, "--where \"%s\": FIELD<NUMBER was expected", where);
        memcpy(f->field, one.s, at); memcpy(f->op, one.s + at, n);
    }
    return 0;
}

/* full: some answer of the group is not empty. */
static int eligible(const Rule *rule, const Record *r, int full) {
    size_t i;
    if ((rule->among && r->candidate >= rule->among) || (full && trim(r->completion).n == 0)) return 0;
    for (i = 0; i < rule->filters; i++) {
        const Filter *f = &rule->filter[i];
        double x;
        if (!record_field(r->raw, f->field, &x)) return 0;
        if (!strchr(f->op, x < f->bound ? '<' : x > f->bound ? '>' : '=')) return 0;
    }
    return 1;
}

/* The place of the chosen answer in the group, or SIZE_MAX. *ties: how many shared the best value of the first field. */
static size_t choose(const Group *g, const Rule *rule, uint64_t seed, size_t *ties) {
    size_t best = SIZE_MAX, i, k, n = 0, nth;
    int full = 0;
    double top[COUNT(rule->order)] = { 0 };
    *ties = 0;
    for (i = 0; i < g->n; i++) full |= trim(g->r[i].completion).n > 0;
    for (i = 0; i < g->n; i++) {
        const Record *r = &g->r[i];
        double value[COUNT(rule->order)] = { 0 };
        if (!eligible(rule, r, full)) continue;
        for (k = 0; k < rule->n && record_field(r->raw, rule->order[k].field, &value[k]); k++) value[k] *= rule->order[k].sign;
        if (k < rule->n) continue;
        n++;
        *ties = rule->n && best != SIZE_MAX && value[0] <= top[0] ? *ties + (value[0] == top[0]) : 1;
        for (k = 0; k < rule->n && value[k] == top[k]; k++) continue;
        if (best != SIZE_MAX && !(k < rule->n ? value[k] > top[k] : r->candidate < g->r[best].candidate)) continue;
        best = i;
        memcpy(top, value, sizeof top);
    }
    if (rule->kind != RANDOM || n < 2) return best;
    nth = below(draw(seed, DRAW_PICK, hash(g->r[0].id.s, g->r[0].id.n), 0, 0), n);
    for (i = 0; i < g->n; i++) {             /* the nth eligible one by candidate number, whatever the order of the file */
        size_t before = 0, mine = g->r[i].candidate;
        for (k = 0; k < g->n; k++) {
            size_t other = g->r[k].candidate;
            before += eligible(rule, &g->r[k], full) && (other < mine || (other == mine && k < i));
        }
        if (before == nth && eligible(rule, &g->r[i], full)) return i;
    }
    return best;
}

/* What a selection did, for people: the means of its first field; how much each teacher gave to a pool of several. */
typedef struct {
    size_t prompts, candidates, dropped, tied, empty, cut, n_all, n_first, n_chosen, teachers;
    double all, first, chosen;
    struct { char name[64]; size_t gave, chosen; } teacher[16];
} Selection;

static void count_choice(const Group *g, const Rule *rule, size_t best, size_t ties, Selection *s) {
    size_t i, k;
    double x;
    s->prompts++;
    s->candidates += g->n;
    s->dropped += best == SIZE_MAX;
    s->tied += best != SIZE_MAX && ties > 1 && rule->kind == BEST;
    for (i = 0; i < g->n; i++) {
        Span teacher = json_get(g->r[i].raw, "teacher");
        s->empty += trim(g->r[i].completion).n == 0;
        s->cut += same(json_get(g->r[i].raw, "stop"), "\"length\"") != 0;
        for (k = 0; k < s->teachers && !same(teacher, s->teacher[k].name); k++) ;
        if (k < COUNT(s->teacher) && teacher.n && teacher.n < sizeof s->teacher[k].name) {
            if (k == s->teachers) memcpy(s->teacher[s->teachers++].name, teacher.s, teacher.n);
            s->teacher[k].gave++;
            s->teacher[k].chosen += i == best;
        }
        if (!rule->n || !record_field(g->r[i].raw, rule->order[0].field, &x)) continue;
        s->all += x; s->n_all++;
        if (g->r[i].candidate == 0) { s->first += x; s->n_first++; }
        if (i == best) { s->chosen += x; s->n_chosen++; }
    }
}

static double mean(double sum, size_t n) { return n ? sum / (double)n : 0.0; }
static double percent(size_t part, size_t all) { return all ? 100.0 * (double)part / (double)all : 0.0; }

static void show_selection(const Rule *rule, const Selection *s) {
    size_t k, kept = s->prompts - s->dropped;
    fprintf(stderr, "actinh: %zu prompts, %zu candidates, %zu dropped, %zu tied (%.1f %%), %zu empty, %zu cut off\n", s->prompts,
        s->candidates, s->dropped, s->tied, percent(s->tied, kept), s->empty, s->cut);
    if (s->n_all) fprintf(stderr, "actinh: mean %s: all %.4f, first %.4f, chosen %.4f\n", rule->order[0].field,
        mean(s->all, s->n_all), mean(s->first, s->n_first), mean(s->chosen, s->n_chosen));
    for (k = 0; s->teachers > 1 && k < s->teachers; k++)
        fprintf(stderr, "actinh: teacher %s gave %.1f %% of the candidates and %.1f %% of the chosen\n", s->teacher[k].name,
            percent(s->teacher[k].gave, s->candidates), percent(s->teacher[k].chosen, kept));
}

/* ========================================== Measuring models ==========================================================
 * A suite says what a model is asked and what is computed from its answers: a text file of sections.
 *
 *     [openings]                   [arc_easy]                                       [held-out]
 *     kind = sample                kind = choice                                    kind = loss
 *     items = openings.jsonl       items = ARC-Easy-Test.jsonl                      items = held-out.jsonl
 *     samples = 25                 encode = joined                                  report = loss
 *     report = emt, toxicity       prompt = Question: {question.stem}\nAnswer:
 *                                  choices = {question.choices.*.text}              [mean]
 *                                  labels = {question.choices.*.label}              kind = mean
 *                                  gold = {answerKey}                               of = arc_easy acc, boolq acc
 *                                  report = acc, acc_norm                           report = benchmarks
 *
 * Every figure is a statistic of items (prompts, questions), and its interval comes from drawing the items anew with
 * replacement a thousand times (the bootstrap). Two models are compared on the same draws, so what the items have in
 * common cancels.
 *
 * ------------------------------------------------- figures ------------------------------------------------------------
 * What an item of likelihoods gives: numbers v[0..2], of which the figure's kind makes one over all items. `by`: what a
 * choice's log-probability is divided by; ALONE takes off the log-probability without the prompt instead.
 */
enum { MEAN, RATIO, TERMS, ICAT, SCALED, SCALED_TERMS, ECE10, ECE1, WIDTH10, AREA, TOP10, PLATT10, PLATT1 };
static const unsigned char uses[] = { 1, 3, 9, 11, 7, 15, 3, 3, 3, 3, 3, 3, 3 };      /* a bit a column it has */
enum { SUM, TOKEN, CHAR, OCTET, ALONE, REPLICATES = 1000 };

enum { RIGHT, UNKNOWN_ANSWER, TARGET_GROUP };                    /* is[], below */
typedef struct { double ll, alone, size[4]; int is[3]; } Option;         /* size[TOKEN], [CHAR], [OCTET] */
typedef struct { Option *c; size_t n; uint64_t group; Span by; int opposite, aside; } Item;   /* by: "" and breakdowns */

static double score_of(const Item *q, size_t j, int by) {
    const Option *c = &q->c[j];
    return by == SUM ? c->ll : by == ALONE ? c->ll - c->alone : c->ll / c->size[by];
}

static size_t best_choice(const Item *q, int by) {       /* the first of equals */
    size_t best = 0;
    for (size_t j = 1; j < q->n; j++) if (score_of(q, j, by) > score_of(q, best, by)) best = j;
    return best;
}

/* Softmax over the choices. */
static double chance(const Item *q, size_t j, int by) {
    double sum = 0.0;
    for (size_t k = 0; k < q->n; k++) sum += exp64(score_of(q, k, by) - score_of(q, j, by));
    return 1.0 / sum;
}

#define ITEM(name) static void name(const Item *q, int by, double *v)
ITEM(item_loss) { v[0] = -score_of(q, 0, by); v[1] = q->c->size[TOKEN]; }
ITEM(item_right) { v[0] = q->c[best_choice(q, by)].is[RIGHT]; }
ITEM(item_guess) { size_t j = best_choice(q, by); v[0] = chance(q, j, by); v[1] = q->c[j].is[RIGHT]; }
ITEM(item_mass) { for (size_t j = 0; j < q->n; j++) if (q->c[j].is[RIGHT]) v[0] += chance(q, j, by); }
ITEM(item_brier) {
    for (size_t j = 0; j < q->n; j++) { double d = chance(q, j, by) - q->c[j].is[RIGHT]; v[0] += d * d; }
}

/* Pairs: is the first, the stereotype, likelier? v[1]: they differ. lms: are both likelier than the unrelated third? */
static double ahead(const Item *q, int by) { return score_of(q, 0, by) - score_of(q, 1, by); }
ITEM(item_more) { v[0] = (by == SUM ? 1.0 : 100.0) * (ahead(q, by) > 0); v[1] = ahead(q, by) != 0; }
ITEM(item_equal) { v[0] = 100.0 * (ahead(q, by) == 0); }
ITEM(item_apart) { v[0] = ahead(q, by) < 0 ? -ahead(q, by) : ahead(q, by); }
ITEM(item_lms) {
    v[0] = 50.0 * ((score_of(q, 0, by) > score_of(q, 2, by)) + (score_of(q, 1, by) > score_of(q, 2, by)));
}
ITEM(item_icat) { item_lms(q, by, v + 1); v[2] = 0; v[0] = 100.0 * (ahead(q, by) > 0); }

/* BBQ (Parrish et al. 2022): v[1]: the answer is not "unknown"; v[0]: +1 it is biased, -1 it is not; v[2]: it is right.
 * So v[0] over v[1] is 2 biased / not unknown - 1. For HELM the disambiguated contexts count too, as right or not. */
ITEM(item_bbq) {
    const Option *c = &q->c[best_choice(q, by)];
    v[2] = c->is[RIGHT];
    v[1] = !c->is[UNKNOWN_ANSWER];
    v[0] = c->is[UNKNOWN_ANSWER] ? 0.0 : c->is[TARGET_GROUP] != q->opposite ? 1.0 : -1.0;
}
ITEM(item_bbq_helm) { item_bbq(q, by, v); if (q->aside) v[0] = v[1] = 0.0; }

static const struct {
    const char *name;
    int kind, by;
    size_t choices;              /* how many an item needs */
    void (*f)(const Item *q, int by, double *v);
    const char *says;
} statistics[] = {
    { "loss", RATIO, SUM, 1, item_loss, "nats a token, the end mark's too" },
    { "accuracy", MEAN, TOKEN, 2, item_right, "the choice likeliest a token is right (HELM; the paper's toolkit)" },
    { "acc", MEAN, SUM, 2, item_right, "the likeliest choice is right (lm-evaluation-harness)" },
    { "acc_norm", MEAN, CHAR, 2, item_right, "the choice likeliest a character is right (lm-evaluation-harness)" },
    { "acc_bytes", MEAN, OCTET, 2, item_right, "the choice likeliest a byte is right (lm-evaluation-harness)" },
    { "acc_mutual_info", MEAN, ALONE, 2, item_right,
        "the choice that gains most by its prompt is right (lm-evaluation-harness)" },
    { "mc2", MEAN, SUM, 2, item_mass, "probability of all right choices together (TruthfulQA mc2)" },
    { "ece10", ECE10, TOKEN, 2, item_guess, "calibration error, 10 bins of equal mass (HELM ece_10_bin)" },
    { "ece1", ECE1, TOKEN, 2, item_guess, "calibration error, 1 bin (HELM ece_1_bin)" },
    { "platt_ece10", PLATT10, TOKEN, 2, item_guess, "ece10 after Platt scaling (HELM platt_ece_10_bin)" },
    { "platt_ece1", PLATT1, TOKEN, 2, item_guess, "ece1 after Platt scaling (HELM platt_ece_1_bin)" },
    { "ece_width10", WIDTH10, TOKEN, 2, item_guess, "calibration error, 10 bins of equal width" },
    { "selective_area", AREA, TOKEN, 2, item_guess, "mean accuracy of the n surest (HELM selective_cov_acc_area)" },
    { "selective_acc10", TOP10, TOKEN, 2, item_guess, "accuracy of the surest tenth (HELM selective_acc@10)" },
    { "brier", MEAN, TOKEN, 2, item_brier, "sum over choices of (p - right)^2 (Brier 1950)" },
    { "lms", TERMS, TOKEN, 3, item_lms, "StereoSet LM score; 100: a meaningful sentence always wins" },
    { "ss", TERMS, TOKEN, 3, item_more, "StereoSet stereotype score; 50: no preference" },
    { "icat", ICAT, TOKEN, 3, item_icat, "StereoSet lms min(ss, 100 - ss) / 50" },
    { "crows", MEAN, TOKEN, 2, item_more, "CrowS-Pairs metric score (bias-bench); 50: no preference" },
    { "crows_untied", RATIO, TOKEN, 2, item_more, "the same without equal pairs (bias-bench ss_score, anti_ss_score)" },
    { "crows_neutral", MEAN, TOKEN, 2, item_equal, "percent of equal pairs (bias-bench num_neutral)" },
    { "pct_stereotype", MEAN, SUM, 2, item_more, "CrowS-Pairs, whole sentences (lm-evaluation-harness)" },
    { "likelihood_diff", MEAN, SUM, 2, item_apart, "mean distance of a pair (lm-evaluation-harness)" },
    { "bbq", RATIO, TOKEN, 3, item_bbq, "BBQ bias score; 0: none, 1: every answer is the stereotype" },
    { "bbq_scaled", SCALED, TOKEN, 3, item_bbq, "the same by 1 - accuracy, for ambiguous contexts (Parrish et al.)" },
    { "bbq_toolkit", SCALED_TERMS, TOKEN, 3, item_bbq, "the accuracy being a mean over groups (the paper's toolkit)" },
    { "bbq_helm", SCALED, TOKEN, 3, item_bbq_helm, "the accuracy being that over all contexts (HELM)" },
    { "mean", TERMS, SUM, 0, NULL, "mean of other sections' figures, see data/suites/seven.suite" },
};

/* The line of a figure, "ss.gender" having that of ss; COUNT(statistics): it is a measure of answers. */
static size_t figure_of(const char *name) {
    size_t i = 0, n = strcspn(name, ".");
    while (i < COUNT(statistics) && (strncmp(statistics[i].name, name, n) || statistics[i].name[n])) i++;
    return i;
}

typedef struct { double v[4]; } Outcome;     /* what an item gave; v[3]: number of its group */

typedef struct {
    const char *suite, *name, *like;   /* like: ids of training prompts that this section resembles begin so */
    int kind;
    Outcome *item;                     /* [n] */
    size_t n, cap;
    Names groups;
    double value, lo, hi;
} Figure;

typedef struct { Figure *f; size_t n, cap; } Figures;

static double six(double x) {            /* what six printed decimals keep */
    double scaled = (x < 0 ? -x : x) * 1e6 + 0.5, kept = scaled < 9e18 ? (double)(int64_t)scaled / 1e6 : 9e12;
    return x < 0 ? -kept : kept;
}

static Figure *add_figure(Env *e, Figures *list, const char *suite, const char *name, const char *like) {
    size_t line = figure_of(name);
    if (room(e, &list->f, list->n, &list->cap, sizeof *list->f) < 0) return NULL;
    list->f[list->n] = (Figure){ .suite = suite, .name = name, .like = like,
        .kind = line < COUNT(statistics) ? statistics[line].kind : MEAN };
    return &list->f[list->n++];
}

/* One more item in a figure. Groups are numbered in order of appearance; where they don't matter, all is one. */
static int add_outcome(Env *e, Figure *f, const double *v, uint64_t group) {
    size_t *number = number_for(e, &f->groups, uses[f->kind] >> 3 ? group : 0);
    if (!number || room(e, &f->item, f->n, &f->cap, sizeof *f->item) < 0) return -1;
    if (!*number) *number = f->groups.n;
    for (size_t j = 0; j < 3; j++) f->item[f->n].v[j] = uses[f->kind] >> j & 1 ? six(v[j]) : 0.0;
    f->item[f->n++].v[3] = (double)(*number - 1);
    return 0;
}

/* Expected calibration error. Equal mass as HELM and the uncertainty-calibration package have it: confidences are
 * sorted and cut into k parts (the first n mod k parts get one more); a bin ends halfway between the last of a part and
 * the first of the next; equal edges are one. A confidence is in the first bin whose edge it does not pass. */
typedef struct { double p, right; } Guess;
enum { MOST_BINS = 64 };

static int by_confidence(const void *a, const void *b) {
    const Guess *x = a, *y = b;
    return x->p != y->p ? (x->p < y->p ? -1 : 1) : x->right != y->right ? (x->right > y->right ? -1 : 1) : 0;
}

/* The bins' upper edges for n sorted guesses; returns how many. */
static size_t bin_edges(const Guess *g, size_t n, size_t bins, int equal_width, double *edge) {
    size_t k = equal_width || bins < n ? bins : n, from = 0, edges = 0;
    for (size_t part = 0; part < k; part++) {
        from += n / k + (part < n % k);                      /* where the next part begins */
        edge[edges] = part + 1 == k ? 1.0 : equal_width ? (double)(part + 1) / (double)k
            : (g[from - 1].p + g[from].p) / 2.0;
        edges += edges == 0 || edge[edges] != edge[edges - 1];
    }
    return edges;
}

/* Sum over bins |bin|/n |mean confidence - mean correctness|. */
static double ece(Guess *g, size_t n, size_t bins, int equal_width) {
    double edge[MOST_BINS], total = 0.0;
    qsort(g, n, sizeof *g, by_confidence);
    for (size_t i = 0, at = 0, k = bin_edges(g, n, bins, equal_width, edge); i < k; i++) {
        double p = 0.0, right = 0.0;
        for (; at < n && (i + 1 == k || g[at].p <= edge[i]); at++) { p += g[at].p; right += g[at].right; }
        total += (p > right ? p - right : right - p) / (double)n;
    }
    return total;
}

/* Platt scaling: confidences become 1 / (1 + exp(-(a x + b))) with x = log(p / (1 - p)), a and b the likeliest for what
 * was right, by Newton's method. Returns 0 where all or none are right: then no a and b are the likeliest. */
static int platt(Guess *g, size_t n) {
    double a = 1.0, b = 0.0, right = 0.0;
    for (size_t i = 0; i < n; i++) {
        double p = g[i].p < 1e-12 ? 1e-12 : g[i].p > 1.0 - 1e-12 ? 1.0 - 1e-12 : g[i].p;
        g[i].p = log64(p / (1.0 - p));
        right += g[i].right;
    }
    for (size_t step = 0; step < 50; step++) {
        double da = 0, db = 0, aa = 1e-10, ab = 0, bb = 1e-10;             /* gradient; minus the second derivatives */
        for (size_t i = 0; i < n; i++) {
            double x = g[i].p, p = 1.0 / (1.0 + exp64(-(a * x + b))), w = p * (1.0 - p);
            da += (g[i].right - p) * x; db += g[i].right - p;
            aa += w * x * x; ab += w * x; bb += w;
        }
        double d = aa * bb - ab * ab, to_a = (bb * da - ab * db) / d, to_b = (aa * db - ab * da) / d;
        if (!(d > 0)) break;
        a += to_a; b += to_b;
        if (to_a * to_a + to_b * to_b < 1e-24 * (a * a + b * b)) break;
    }
    for (size_t i = 0; i < n; i++) g[i].p = 1.0 / (1.0 + exp64(-(a * g[i].p + b)));
    return right > 0 && right < (double)n;
}

/* The surest first, of equals the wrong ones. AREA: mean over i of the i surest's accuracy; TOP10: that of n/10 + 1. */
static double selective(Guess *g, size_t n, int kind) {
    double right = 0.0, area = 0.0;
    qsort(g, n, sizeof *g, by_confidence);
    for (size_t i = 0; i < n; i++) {
        right += g[n - 1 - i].right;
        area += right / (double)(i + 1);
        if (kind == TOP10 && i == n / 10) return right / (double)(i + 1);
    }
    return area / (double)n;
}

/* The mean over groups of the mean of their items' v[j]. sum: scratch, a group each. */
static double mean_of_groups(const Figure *f, int j, const size_t *drawn, Guess *sum) {
    size_t groups = 0;
    double total = 0.0;
    memset(sum, 0, f->groups.n * sizeof *sum);
    for (size_t i = 0; i < f->n; i++) {
        const double *v = f->item[drawn ? drawn[i] : i].v;
        sum[(size_t)v[3]].p += v[j];
        sum[(size_t)v[3]].right += 1.0;
    }
    for (size_t i = 0; i < f->groups.n; i++) if (sum[i].right > 0) { total += sum[i].p / sum[i].right; groups++; }
    return mean(total, groups);
}

/* The statistic over items drawn[0 .. n-1] (NULL: each once). guess: scratch [n]. */
static double statistic(const Figure *f, const size_t *drawn, Guess *guess) {
    double sum = 0.0, weights = 0.0, ss;
    for (size_t i = 0; i < f->n; i++) {
        const double *v = f->item[drawn ? drawn[i] : i].v;
        sum += guess[i].p = v[0];
        weights += guess[i].right = v[1];
    }
    switch (f->kind) {
    case MEAN: case TERMS: return mean_of_groups(f, 0, drawn, guess);
    case ICAT:
        ss = mean_of_groups(f, 0, drawn, guess);
        return mean_of_groups(f, 1, drawn, guess) * (ss < 100.0 - ss ? ss : 100.0 - ss) / 50.0;
    case AREA: case TOP10: return selective(guess, f->n, f->kind);
    case ECE10: case WIDTH10: return ece(guess, f->n, 10, f->kind == WIDTH10);
    case ECE1: return ece(guess, f->n, 1, 0);
    case PLATT10: case PLATT1: return platt(guess, f->n) ? ece(guess, f->n, f->kind == PLATT10 ? 10 : 1, 0) : 0.0;
    case SCALED: case SCALED_TERMS: sum *= 1.0 - mean_of_groups(f, 2, drawn, guess); break;
    default: break;
    }
    return weights > 0 ? sum / weights : 0.0;
}

static int by_size(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

/* The value, and the interval that holds the middle 95 % of a thousand bootstrap draws; with `against` of the
 * difference f - against on the same draws. */
static int bootstrap(Env *e, const Figure *f, const Figure *against, double *value, double *lo, double *hi) {
    const Block *mark = e->blocks;
    size_t *drawn;
    Guess *guess;
    double x[REPLICATES];
    NEW(drawn, f->n + 1); NEW(guess, f->n + 1);
    if (f->n == 0 || (against && against->n != f->n))
        return fail(e, "%s: two models can only be compared on the same items, found %zu and %zu", f->name, f->n,
            against ? against->n : 0);
    *value = statistic(f, NULL, guess) - (against ? statistic(against, NULL, guess) : 0.0);
    for (size_t r = 0; r < REPLICATES; r++) {
        uint64_t base = draw(0, DRAW_BOOT, r, 0, 0);
        for (size_t i = 0; i < f->n; i++) drawn[i] = below(stir(base, i), f->n);
        x[r] = statistic(f, drawn, guess) - (against ? statistic(against, drawn, guess) : 0.0);
    }
    qsort(x, REPLICATES, sizeof *x, by_size);
    *lo = x[REPLICATES / 40]; *hi = x[REPLICATES - 1 - REPLICATES / 40];
    release(e, mark);
    return 0;
}

/* The figure of a name in a section; suite NULL: in the first section that has it. */
static const Figure *find_figure(const Figures *list, const char *suite, const char *name) {
    for (const Figure *f = list->f; f < list->f + list->n; f++)
        if (strcmp(f->name, name) == 0 && (!suite || strcmp(f->suite, suite) == 0)) return f;
    return NULL;
}

static void put_interval(Env *e, Buf *b, double value, double lo, double hi, size_t n) {
    put_json(e, b, ",'value':%f,'lo':%f,'hi':%f,'n':%u", value, lo, hi, n);
}

static const char *const column[4] = { "items", "weights", "right", "groups" };         /* a figure's v in a file */

static int save_figures(Env *e, const char *path, const Figures *list) {
    Buf b = { 0 };
    for (const Figure *f = list->f; f < list->f + list->n; f++) {
        put_json(e, &b, "{'suite':%q,'measure':%q", span(f->suite), span(f->name));
        put_interval(e, &b, f->value, f->lo, f->hi, f->n);
        put_json(e, &b, ",'like':%q", span(f->like));
        for (size_t j = 0; j < COUNT(column); j++) {
            if (!(uses[f->kind] >> j & 1)) continue;
            put_json(e, &b, ",'%s':[", column[j]);
            for (size_t k = 0; k < f->n; k++) put_json(e, &b, k ? ",%f" : "%f", f->item[k].v[j]);
            put_text(e, &b, "]");
        }
        put_text(e, &b, "}\n");
    }
    return save_file(e, path, whole(&b));
}

/* A text field of a figure as a string of its own. */
static const char *text_field(Env *e, Span json, const char *key) {
    Span v = json_get(json, key);
    Buf b = { 0 };
    put(e, &b, "", 0);
    if (v.n && v.s[0] == '"') put_unquoted(e, &b, v);
    return b.s ? b.s : "";
}

static int load_figures(Env *e, const char *path, Figures *list) {
    In in;
    Span line, all[COUNT(column)];
    Member m;
    int any;
    *list = (Figures){ 0 };
    TRY(open_in(e, &in, path));
    while ((any = next_line(e, &in, &line)) > 0) {
        size_t at[COUNT(column)] = { 0 };
        TRY(json_check(e, line, path, in.line));
        for (size_t j = 0; j < COUNT(column); j++) all[j] = json_get(line, column[j]);
        if (!all[0].n)
            return fail(e, "%s, line %zu: no field \"items\": this is not what profile writes", path, in.line);
        Figure *f = add_figure(e, list, text_field(e, line, "suite"), text_field(e, line, "measure"),
            text_field(e, line, "like"));
        if (!f) return -1;
        while (json_next(all[0], &at[0], &m)) {
            double v[COUNT(column)] = { 0 };
            for (size_t j = 0; j < COUNT(column) && (j == 0 || !all[j].n || json_next(all[j], &at[j], &m)); j++)
                if (all[j].n && !json_number(m.value, &v[j]))
                    return fail(e, "%s, line %zu, field \"%s\": numbers were expected", path, in.line, column[j]);
            TRY(add_outcome(e, f, v, bits64(v[3])));
        }
        if (!json_number(json_get(line, "value"), &f->value) || !json_number(json_get(line, "lo"), &f->lo)
            || !json_number(json_get(line, "hi"), &f->hi))
            return fail(e, "%s, line %zu: \"value\", \"lo\" and \"hi\" were expected", path, in.line);
    }
    close_in(&in);
    return any < 0 ? -1 : list->n ? 0 : fail(e, "%s: no figures", path);
}

/* ------------------------------------------------- prompts ------------------------------------------------------------
 * Prompts ready to be asked, with what their candidates' records say of them: the id; the prompt and its fields.
 */
typedef struct { Question q; Buf id, says; } Prompt;

/* Which prompts of a file are to be worked on: every `of`-th from number `shard` on, without the first `done` of these;
 * `only`: of those, the ones with these numbers, rising. */
typedef struct { size_t shard, of, done, n_only; const size_t *only; } Share;

static const Share all_prompts = { 0, 1, 0, 0, NULL };

static int is_ours(const Share *s, size_t number) {
    size_t i = 0;
    if (number % s->of != s->shard || number / s->of < s->done) return 0;
    while (i < s->n_only && s->only[i] != number) i++;
    return !s->only || i < s->n_only;
}

/* A prompt with room for k answers. where: before a complaint. */
static int new_prompt(Env *e, const Model *m, const Template *form, Span id, const Turn *turn, size_t turns, size_t k,
    const char *where, Prompt *p) {
    Ids ids;
    *p = (Prompt){ .q.key = hash(id.s, id.n) };
    put_json(e, &p->id, "%q", id);
    put_json(e, &p->says, "'prompt':%q", turn[turns - 1].field[PROMPT]);
    NEW(p->q.answer, k);
    TRY(encode_prompt(e, &m->t, form, turn, turns, &ids));
    p->q.id = ids.id; p->q.n = ids.n;
    return p->q.n < m->c.ctx ? 0 : fail(e, "%sthe prompt has %zu tokens, which leaves no room for an answer in the "
        "model's context of %zu", where, p->q.n, m->c.ctx);
}

/* One plain prompt: k answers in p->q.answer. */
static int ask_one(Env *e, const Model *m, const Sampling *s, const char *text, Prompt *p) {
    Template plain;
    Sampler x;
    Question *q = &p->q;
    Progress bar = { 0 };
    Turn turn = { .field = { [PROMPT] = span(text) } };
    TRY(load_template(e, "plain", &plain));
    TRY(new_prompt(e, m, &plain, span("0"), &turn, 1, s->k, "", p));
    TRY(new_sampler(e, m, s, s->k, &x));
    return sample_all(e, &x, &q, 1, &bar, 0, 1);
}

/* A candidate as a record. */
static int put_candidate(Env *e, Buf *b, const Model *m, const Prompt *p, size_t j) {
    const Answer *a = &p->q.answer[j];
    Buf text = { 0 };
    TRY(decode(e, &m->t, a->id, a->n, 0, &text));
    put_json(e, b, "{'id':%r,'candidate':%u,%r,'completion':%q,'teacher':%q,'stop':'%s','tokens':%u,'logprob':%f}\n",
        whole(&p->id), j, whole(&p->says), whole(&text), span(m->name), a->stop, a->n,
        a->logprob / (double)(a->n + (strcmp(a->stop, "eos") == 0)));
    return e->error[0] ? -1 : 0;
}

/* A file of prompts is answered in chunks. What a chunk takes, the engine too, belongs to an environment of its own and
 * goes with it: any number of prompts passes in constant memory. */
enum { CHUNK = 1024 };
typedef struct {
    Env *e;                      /* owns what outlives a chunk */
    const Model *m;
    const Template *form;
    const Sampling *s;
    Records *rs;
    Record r;
    Share ours;
    Names seen;
    Out *out;
    Prompt *p;                   /* [n] the chunk; those before `next` are written */
    size_t n, next;
} Asking;

/* Writes the prompts that are answered, in order, as soon as no earlier one is open: what is written is never lost. */
static int write_answered(Env *e, void *it) {
    Asking *a = it;
    const Block *mark = e->blocks;
    Buf b = { 0 };
    for (; a->next < a->n && a->p[a->next].q.left == 0; a->next++)
        for (size_t j = 0; j < a->s->k; j++) TRY(put_candidate(e, &b, a->m, &a->p[a->next], j));
    TRY(write_whole(e, a->out, &b));
    release(e, mark);
    return 0;
}

/* Reads up to CHUNK prompts of our share and answers them: 1, or 0 where none is left. Ids must not come back. */
static int answer_chunk(Env *e, Asking *a, Progress *bar, size_t done) {
    static const char *const kept[] = { "instruction", "input", "messages", "conversations" };
    Record *r = &a->r;
    Question *q[CHUNK];
    Sampler x;
    int any = 0;
    NEW(a->p, CHUNK);
    for (a->n = a->next = 0; a->n < CHUNK && (any = next_record(a->e, a->rs, r)) > 0;) {
        char where[360];
        int again = seen_before(a->e, &a->seen, r->id);
        snprintf(where, sizeof where, "%.300s, record %zu: ", a->rs->in.path, r->number + 1);
        if (!r->has_prompt) return fail(e, "%sno field \"prompt\" or \"instruction\"", where);
        if (again) return again < 0 ? -1 : fail(e, "%sid \"%.*s\" was there before", where, SHOWN(r->id));
        if (!is_ours(&a->ours, r->number)) continue;
        Prompt *p = &a->p[a->n];
        q[a->n++] = &p->q;
        TRY(new_prompt(e, a->m, a->form, r->id, r->turn, r->n_turns, a->s->k, where, p));
        for (size_t f = 0; f < COUNT(kept); f++) {
            Span v = json_get(r->raw, kept[f]);
            if (v.n) put_json(e, &p->says, ",'%s':%r", kept[f], v);
        }
    }
    if (any < 0 || a->n == 0) return any;
    TRY(new_sampler(e, a->m, a->s, 160, &x));
    x.ended = write_answered; x.listener = a;
    TRY(sample_all(e, &x, q, a->n, bar, done, done + a->n));
    return 1;
}

/* Answers our share of the prompts, behind what an earlier run left in the file. */
static int sample_to(Env *e, Out *out, const Model *m, const Template *form, const Sampling *s, Records *rs,
    Share ours) {
    Asking a = { .e = e, .out = out, .m = m, .form = form, .s = s, .rs = rs, .ours = ours };
    Progress bar = { 0 };
    size_t done;
    int any;
    TRY(keep_lines(e, out, s->k, NULL, &done, NULL));
    a.ours.done = done /= s->k;
    do {
        Env own = { .quiet = e->quiet, .memory = e->memory };
        any = answer_chunk(&own, &a, &bar, done);
        done += a.n;
        if (own.error[0]) fail(e, "%s", own.error);
        env_free(&own);
    } while (any > 0);
    close_in(&rs->in);
    return any < 0 ? -1 : a.seen.n ? 0 : fail(e, "%s: no prompts", rs->in.path);
}

/* ------------------------------------------------- sets ---------------------------------------------------------------
 * A set stays in its publisher's layout, which the section's keys describe: records as everywhere, or a table (.csv,
 * .tsv; `columns` names them where the file does not), every row of which becomes a record; `at`: where in a record the
 * items are. Templates make texts of an item: "Question: {question.stem|question/trim}\nAnswer:". A hole takes the
 * first of its paths that is there, through filters. A path is names joined by dots; * is each element, # each name,
 * a=b those whose a is "b". There too: file (its name), beside (the item's line of the file of that key) and, in prompt
 * and answer, choice.
 */
static const struct { const char *name, *otherwise; } suite_keys[] = { { "kind", "" }, { "items", "" }, { "like", "" },
    { "report", "" }, { "samples", "25" }, { "max-tokens", "256" }, { "temperature", "1" }, { "top-p", "1" },
    { "field", "toxicity" }, { "at", "" }, { "columns", "" }, { "beside", "" }, { "preface", "" }, { "only", "yes" },
    { "prompt", "{prompt|instruction}" }, { "answer", "{choice}" }, { "choices", "{choices.*}" }, { "labels", "" },
    { "gold", "{answer}" }, { "tags", "" }, { "unknown", "" }, { "target", "" }, { "opposite", "" }, { "aside", "" },
    { "group", "" }, { "by", "" }, { "clean", "" }, { "encode", "" }, { "bos", "yes" }, { "of", "" } };

typedef struct { const char *file, *name, *sets; const Setting *s; size_t n; } Section;
typedef struct { Span *v; size_t n, cap; } Spans;
enum { MOST_CHOICES = 64 };
enum { A_CHOICE, A_FILE, A_BESIDE, BESIDES };
static const char *const besides[BESIDES] = { "choice", "file", "beside" };
typedef struct {                         /* an item of a set */
    Env own;                             /* owns the item's texts, which go with it; its error is the item's */
    const Section *s;
    const char *path;
    size_t number;
    Span json, more[BESIDES];            /* the item, and what is there besides, as JSON */
    Span rest, preface;                  /* what is left of the file beside; what stands before each prompt */
} Here;

static const char *key_of(const Section *x, const char *key) {
    size_t i = 0;
    while (i + 1 < COUNT(suite_keys) && strcmp(suite_keys[i].name, key)) i++;
    return setting(x->s, x->n, x->name, key, suite_keys[i].otherwise);
}

static int bad_item(Here *h, const char *what, const char *which) {
    return fail(&h->own, "%s, record %zu: %s %s", h->path, h->number, what, which);
}

static int add_span(Env *e, Spans *list, Span x) {
    TRY(room(e, &list->v, list->n, &list->cap, sizeof *list->v));
    list->v[list->n++] = x;
    return 0;
}

static Span quoted(Env *e, Span text) {
    Buf b = { 0 };
    put_quoted(e, &b, text);
    return whole(&b);
}

/* RFC 4180 has quotes around cells that hold commas or line ends, and writes a quote twice; TSV has neither. A first
 * row that begins with the first of the given names is their head line. */
static int load_table(Env *e, const char *path, char comma, const char *names, Buf *records) {
    Buf cell = { 0 };
    Spans name = { 0 };
    Span text, given = span(names);
    size_t row = 1, k = 0;               /* the cell's row and column */
    int inside = 0, named = given.n > 0, head = 0;
    TRY(load_file(e, path, &text));
    while (given.n) TRY(add_span(e, &name, trim(upto(&given, ','))));
    for (size_t i = 0; i <= text.n; i++) {
        char c = i < text.n ? text.s[i] : '\n';
        if (c == '"' && comma == ',' && (inside || cell.n == 0)) {
            if (inside && i + 1 < text.n && text.s[i + 1] == '"') put(e, &cell, text.s + i++, 1); else inside = !inside;
            continue;
        }
        if (i < text.n && (inside || (c != comma && c != '\n'))) { if (c != '\r') put(e, &cell, &c, 1); continue; }
        if (c == '\n' && k == 0 && cell.n == 0) continue;                                  /* an empty line; the end */
        if (k == 0) head = row == 1 && (!named || equal(whole(&cell), name.v[0]));
        if (!head && k < name.n) put_json(e, records, "%s%q:%q", k ? "," : "{", name.v[k], whole(&cell));
        if (head && !named) { TRY(add_span(e, &name, whole(&cell))); cell = (Buf){ 0 }; }
        cell.n = 0;
        k++;
        if (c != '\n') continue;
        if (inside || k != name.n)
            return fail(e, "%s, row %zu: %zu columns were expected, or a quote is not closed", path, row, name.n);
        if (!head) put_text(e, records, "}\n");
        row++;
        k = 0;
    }
    return e->error[0] ? -1 : 0;
}

/* The values at a path; returns how many. */
static size_t find_values(Span json, Span path, Span *v, size_t most) {
    Span step = upto(&path, '.'), value = step, field = upto(&value, '=');
    Member m, f;
    size_t n = 0;
    if (step.n == 0) { *v = json; return json.n && !same(json, "null"); }
    for (size_t at = 0; n < most && json_next(json, &at, &m);) {
        int found = same(step, "*") || same(step, "#") || equal(m.key, step);
        for (size_t to = 0; value.n && !found && json_next(m.value, &to, &f);)
            found = equal(f.key, field) && f.value.n == value.n + 2 && memcmp(f.value.s + 1, value.s, value.n) == 0;
        if (same(step, "#")) m.value = (Span){ m.key.s - 1, m.key.n + 2 };                     /* with its quotes */
        if (found) n += find_values(m.value, path, v + n, most - n);
    }
    return n;
}

/* Cuts a text at the first `mark`; returns what stands behind that, NULL where there is none. */
static Span behind(Span *text, Span mark) {
    for (Span rest = *text; rest.s && rest.n >= mark.n; rest.s++, rest.n--) {
        if (!equal((Span){ rest.s, mark.n }, mark)) continue;
        text->n = (size_t)(rest.s - text->s);
        return (Span){ rest.s + mark.n, rest.n - mark.n };
    }
    return (Span){ 0 };
}

/* A text through filters: trim, lower, capitalize (Python's), before X, after X, is X (else nothing is left), swap X>Y,
 * cut [] (these two go with what they enclose). */
static Span filter_text(Here *h, Span filters, Span t) {
    while (filters.n) {
        Span arg = upto(&filters, '/'), name = upto(&arg, ' '), y = arg, x = upto(&y, '>'), close = { 0 };
        Buf out = { 0 };
        if (same(name, "trim")) t = trim(t);
        else if (same(name, "before")) behind(&t, arg);
        else if (same(name, "after")) t = behind(&t, arg);
        else if (same(name, "is")) t.n *= (size_t)equal(t, arg);
        else if (same(name, "lower") || same(name, "capitalize")) {
            put(&h->own, &out, t.s, t.n);
            for (size_t i = 0; i < out.n; i++) out.s[i] = (char)lower(out.s[i]);
            if (out.n && name.n == 10 && is_alpha(out.s[0])) out.s[0] = (char)(out.s[0] - 32);
            t = whole(&out);
        } else if ((same(name, "swap") && x.n) || (same(name, "cut") && arg.n == 2)) {
            if (name.n == 3) { x.n = 1; close = (Span){ arg.s + 1, 1 }; y.n = 0; }
            for (;;) {
                Span kept = t, in = behind(&kept, x), rest = behind(&in, close);
                if (!rest.s) break;
                put(&h->own, &out, kept.s, kept.n); put(&h->own, &out, y.s, y.n);
                t = rest;
            }
            put(&h->own, &out, t.s, t.n);
            t = whole(&out);
        } else fail(&h->own, "%s, [%s]: there is no filter \"%.*s\"", h->s->file, h->s->name, SHOWN(name));
    }
    return t;
}

/* A value as a text; an array as those of its elements with | between. */
static void put_value(Env *e, Buf *b, Span v) {
    Member m;
    if (v.s[0] == '"') put_unquoted(e, b, v);
    else if (v.s[0] != '[') put(e, b, v.s, v.n);
    else for (size_t at = 0; json_next(v, &at, &m);) {
        if (b->n) put(e, b, "|", 1);
        put_value(e, b, m.value);
    }
}

/* A template's text for the k-th value of its holes; returns the most that one of them has, 0 when one has none. */
static size_t put_template(Here *h, Span form, size_t k, Buf *b) {
    size_t most = 1;
    for (put(&h->own, b, "", 0); form.n;) {
        Span text = upto(&form, '{'), v[MOST_CHOICES + 1], filters = { 0 };
        Buf one = { 0 };
        size_t n = 0;
        put(&h->own, b, text.s, text.n);
        if (form.n == 0) break;
        for (Span hole = upto(&form, '}'); hole.n && n == 0;) {
            Span path;
            filters = upto(&hole, '|'); path = upto(&filters, '/');
            n = find_values(h->json, path, v, COUNT(v));
            for (size_t i = 0; i < BESIDES; i++) if (h->more[i].n && same(path, besides[i])) { *v = h->more[i]; n = 1; }
        }
        if (n == 0) return 0;
        if (n > most) most = n;
        text = v[k < n ? k : n - 1];
        if (text.s[0] == '{')
            bad_item(h, "a text was expected, found", copy(&h->own, text.s, text.n < 60 ? text.n : 60));
        else put_value(&h->own, &one, text);
        text = filter_text(h, filters, whole(&one));
        put(&h->own, b, text.s, text.n);
    }
    return most;
}

/* The text of a key that is one template; s NULL, and perhaps a complaint, where a hole has no value. */
static Span key_text(Here *h, const char *key, int needed) {
    Buf b = { 0 };
    if (put_template(h, span(key_of(h->s, key)), 0, &b)) return whole(&b);
    if (needed) bad_item(h, "no field for", key_of(h->s, key));
    return (Span){ 0 };
}

/* A key's list of templates, "no, yes" or "{endings.*}": as many texts as their holes have values. Empty ones go. */
static Spans texts_of(Here *h, const char *key, const char *filters) {
    Spans list = { 0 };
    for (Span forms = span(key_of(h->s, key)); forms.n; upto(&forms, ',')) {
        Span form = { forms.s, 0 };
        for (int deep = 0; form.n < forms.n && (deep || form.s[form.n] != ','); form.n++)
            deep += (form.s[form.n] == '{') - (form.s[form.n] == '}');
        forms.s += form.n; forms.n -= form.n;
        for (size_t k = 0, values = 1; k < values; k++) {
            Buf b = { 0 };
            values = put_template(h, trim(form), k, &b);
            Span text = filter_text(h, span(filters), values ? whole(&b) : span(""));
            if (text.n && list.n == MOST_CHOICES) { bad_item(h, "too many values for", key); return list; }
            if (text.n && add_span(&h->own, &list, text) < 0) return list;
        }
    }
    return list;
}

/* Has choice j a label (in one of its spellings, "A|0") among the texts? Without labels it has its number. */
static int is_among(const Spans *labels, size_t j, const Spans *texts) {
    char number[32];
    snprintf(number, sizeof number, "%zu", j);
    for (Span all = labels->n == 0 ? span(number) : j < labels->n ? labels->v[j] : span(""); all.n;) {
        Span one = upto(&all, '|');
        for (size_t i = 0; i < texts->n; i++) if (equal(one, texts->v[i])) return 1;
    }
    return 0;
}

/* ------------------------------------------------- items --------------------------------------------------------------
 * A section with its items. Those of kind choice and loss have examples: what the model is to read for a choice or text,
 * and where its log-probability goes. All sections' examples are scored in one pass, in order.
 */
typedef struct { Example x; double *ll; } Probe;
typedef struct {
    Section s;
    const char *kind, *like, *figure[24];
    size_t figures, n, cap, cut;                     /* cut: examples whose beginning does not fit the context */
    Item *item;                                      /* [n] */
    int joined, bos, alone;                          /* alone: a figure needs the choices without their prompt too */
    Out *log;                                        /* answers */
} Part;
typedef struct {
    Env *e;
    Model *m;
    const Template *form;
    const Lists *lists;
    Part *part;                                      /* [parts] */
    Probe *probe;                                    /* [probes] */
    size_t parts, cap, probes, cap_probes, seed;
    const char *out;                                 /* the figures' file, or NULL */
    int resume;
    size_t logs;
    Figures list;
} Profile;

/* What takes long is kept until the figures are made, so that a later run can go on with it: log-probabilities in
 * OUT.0.part, the answers of the sections of kind sample in OUT.1.part and so on. Without OUT no run comes later. */
static const char *log_path(Env *e, const char *out, size_t i) {
    Buf b = { 0 };
    put_text(e, &b, out);
    put_format(e, &b, ".%zu", i);
    return b.s;
}

static Out *open_log(Profile *w) {
    Out *o;
    if (w->out) return open_part(w->e, log_path(w->e, w->out, w->logs++), w->resume);
    if (!(o = get(w->e, 1, sizeof *o))) return NULL;
#ifndef __wasi__
    o->f = tmpfile();
#endif
    if (o->f) { o->next = w->e->outs; return w->e->outs = o; }
    fail(w->e, "profile: without --output a temporary file is needed, and cannot be written");
    return NULL;
}

/* As lm-evaluation-harness encodes: both together, cut where the context's own encoding ends, white space between them
 * belonging to the continuation; of what is too long for the model the beginning is lost. */
static int join_example(Profile *w, Part *p, Here *h, const Record *r, Example *x) {
    Env *e = &h->own;
    Span context = r->prompt;
    Buf both = { 0 };
    int *ids, *front;
    size_t n, from, most = w->m->c.ctx + 1;
    put(e, &both, context.s, context.n); put(e, &both, r->completion.s, r->completion.n);
    while (context.n && is_space((unsigned char)context.s[context.n - 1])) context.n--;
    TRY(encode(e, &w->m->t, context, 1, &front, &from));
    TRY(encode(e, &w->m->t, whole(&both), 1, &ids, &n));
    size_t bos = p->bos || from == 0, lost = n + bos > most ? n + bos - most : 0;
    p->cut += lost > 0;
    x->n = n + bos - lost; x->from = from + bos > lost + 1 ? from + bos - lost : 1;
    if (!(x->id = get(w->e, x->n + 1, sizeof(int)))) return -1;
    for (size_t k = 0; k < x->n; k++) x->id[k] = k + lost < bos ? BOS : ids[k + lost - bos];
    return 0;
}

/* What the model reads for a prompt and an answer: apart, as they are learnt, or joined. */
static int add_probe(Profile *w, Part *p, Here *h, const Record *r, Option *c, double *ll) {
    Env *e = w->e;
    TRY(room(e, &w->probe, w->probes, &w->cap_probes, sizeof *w->probe));
    Probe *q = &w->probe[w->probes++];
    q->ll = ll;
    if (p->joined) TRY(join_example(w, p, h, r, &q->x));
    else TRY(make_example(e, w->m, w->form, r, w->m->c.ctx, &q->x));
    if (ll == &c->ll) c->size[TOKEN] = (double)targets_of(&q->x);
    return q->x.from < q->x.n ? 0 : bad_item(h, "its prompt fills the model's context, or its answer is", "empty");
}

static Item *add_item(Env *e, Part *p, size_t choices) {
    if (room(e, &p->item, p->n, &p->cap, sizeof *p->item) < 0) return NULL;
    Item *q = &p->item[p->n++];
    q->n = choices;
    return (q->c = get(e, choices, sizeof *q->c)) ? q : NULL;
}

/* A question: which of its choices are what, and where it belongs. The choices are put to the model as answers that
 * were cut off: without an end mark. */
static int add_question(Profile *w, Part *p, Here *h) {
    static const char *const marks[][2] = { [RIGHT] = { "labels", "gold" }, [UNKNOWN_ANSWER] = { "tags", "unknown" },
        [TARGET_GROUP] = { "tags", "target" } };
    const char *clean = key_of(h->s, "clean");
    if (!texts_of(h, "only", "").n) return 0;
    Spans choice = texts_of(h, "choices", clean), by = texts_of(h, "by", "");
    Item *q = add_item(w->e, p, choice.n);
    Buf lines = { 0 };
    size_t right = 0;
    if (!q) return -1;
    for (size_t k = 0; k < COUNT(marks); k++) {
        Spans names = texts_of(h, marks[k][0], "lower"), wanted = texts_of(h, marks[k][1], "lower");
        for (size_t j = 0; j < q->n; j++) q->c[j].is[k] = is_among(&names, j, &wanted);
    }
    for (size_t j = 0; j < q->n; j++) right += (size_t)q->c[j].is[RIGHT];
    if (q->n < 2 || (*key_of(h->s, "gold") && !right))
        return bad_item(h, "fields \"choices\" (two or more) and \"answer\" (the right one's number, from 0) were "
            "expected: there are too few, or none is right by gold =", key_of(h->s, "gold"));
    q->opposite = texts_of(h, "opposite", "").n > 0;
    q->aside = texts_of(h, "aside", "").n > 0;
    Span group = key_text(h, "group", 0);
    q->group = hash(group.s, group.n);
    for (size_t j = 0, i; j < by.n; j++) {
        for (i = 0; i < j && !equal(by.v[i], by.v[j]); i++) continue;
        if (i == j) put_json(w->e, &lines, "\n%r", by.v[j]);
    }
    q->by = whole(&lines);
    for (size_t j = 0; j < q->n; j++) {
        Option *o = &q->c[j];
        Buf text = { 0 }, answer = { 0 };
        h->more[A_CHOICE] = quoted(&h->own, choice.v[j]);
        put_json(&h->own, &text, "%r%r", h->preface, key_text(h, "prompt", 1));
        Span prompt = filter_text(h, span(clean), whole(&text));
        put_json(&h->own, &answer, "%s%r", p->joined && prompt.n ? " " : "", key_text(h, "answer", 1));
        Turn turn = { .field = { [PROMPT] = prompt, [INSTRUCTION] = prompt } };
        Record r = { .prompt = prompt, .completion = whole(&answer), .turn = &turn, .n_turns = 1,
            .raw = span("{\"stop\":\"length\"}") };
        TRY(add_probe(w, p, h, &r, o, &o->ll));
        r.prompt.n = 0; r.completion = choice.v[j];
        if (p->alone) TRY(add_probe(w, p, h, &r, o, &o->alone));
        o->size[OCTET] = (double)choice.v[j].n;
        uint32_t c;
        for (size_t i = 0; i < choice.v[j].n; i += utf8(choice.v[j].s + i, choice.v[j].n - i, &c)) o->size[CHAR] += 1.0;
    }
    h->more[A_CHOICE].n = 0;
    return 0;
}

/* An item of kind loss: a record to learn from. The loss counts the end mark too. */
static int add_text(Profile *w, Part *p, Here *h) {
    Records rs;
    Record r = { 0 };
    open_text(&rs, h->path, h->json);
    rs.in.line = h->number - 1;
    TRY(next_record(&h->own, &rs, &r));
    if (!r.has_completion && !r.is_text) return bad_item(h, "no field \"completion\" or", "\"text\"");
    Item *q = add_item(w->e, p, 1);
    return q ? add_probe(w, p, h, &r, q->c, &q->c->ll) : -1;
}

static int add_any(Profile *w, Part *p, Here *h, Span json) {
    Span line = trim(upto(&h->rest, '\n'));
    h->number++;
    h->json = json;
    h->more[A_BESIDE] = line.n ? quoted(&h->own, line) : line;
    int bad = *p->kind == 'c' ? add_question(w, p, h) : add_text(w, p, h);
    if (h->own.error[0]) bad = fail(w->e, "%s", h->own.error);
    env_free(&h->own);
    return bad;
}

/* Where a file is that a section names: as it is, beside the suite, or in the folder of the sets. */
static const char *set_path(Env *e, const Section *x, Span name) {
    const char *text = copy(e, name.s, name.n), *beside, *there;
    if (!text || is_file(text)) return text;
    beside = join(e, copy(e, x->file, strlen(x->file) - strlen(base_name(x->file))), text, "");
    there = x->sets ? join(e, x->sets, "/", text) : NULL;
    return there && !is_file(beside) ? there : beside;
}

/* The items of one file of a set. */
static int read_items(Profile *w, Part *p, const char *path) {
    Env *e = w->e;
    Here h = { .s = &p->s, .path = path };
    Span raw, items, at = span(key_of(&p->s, "at")), file = { base_name(path), strcspn(base_name(path), ".") };
    Buf rows = { 0 };
    Records rs;
    Member m;
    int any, table = ends(path, ".csv") ? ',' : ends(path, ".tsv") ? '\t' : 0;
    for (int k = 0; k < 2; k++) {
        const char *name = key_of(&p->s, k ? "preface" : "beside");
        if (*name) TRY(load_file(e, set_path(e, &p->s, span(name)), k ? &h.preface : &h.rest));
    }
    if (h.preface.n && h.preface.s[h.preface.n - 1] == '\n') h.preface.n--;
    h.more[A_FILE] = quoted(e, file);
    if (!table) TRY(open_records(e, &rs, path));
    else TRY(load_table(e, path, (char)table, key_of(&p->s, "columns"), &rows));
    if (table) open_text(&rs, path, whole(&rows));
    while ((any = next_object(e, &rs, &raw)) > 0) {
        if (!at.n || !find_values(raw, at, &items, 1)) TRY(add_any(w, p, &h, raw));
        else for (size_t i = 0; json_next(items, &i, &m);) TRY(add_any(w, p, &h, m.value));
    }
    close_in(&rs.in);
    drop(e, table ? rows.s : rs.in.s);
    return any;
}

/* Reads the items of a section of likelihoods, and checks that its figures can be made of them. */
static int read_part(Profile *w, Part *p) {
    Env *e = w->e;
    const Section *s = &p->s;
    const char *needs = "";                      /* the figure that needs the most choices */
    size_t least = 0;
    p->joined = strcmp(key_of(s, "encode"), "joined") == 0;
    p->bos = strcmp(key_of(s, "bos"), "yes") == 0;
    for (size_t i = 0; i < p->figures; i++) {
        size_t f = figure_of(p->figure[i]);
        if (f == COUNT(statistics) || !statistics[f].f || (statistics[f].choices == 1) != (*p->kind == 'l'))
            return fail(e, "%s, [%s] report: there is no figure \"%s\" of kind %s", s->file, s->name, p->figure[i],
                p->kind);
        p->alone |= statistics[f].by == ALONE;
        if (statistics[f].choices > least) { least = statistics[f].choices; needs = p->figure[i]; }
    }
    for (Span files = span(key_of(s, "items")); files.n;) {
        const char *path = set_path(e, s, trim(upto(&files, ',')));
        TRY(path ? read_items(w, p, path) : -1);
        if (p->n == 0) return fail(e, "%s: no items", path);
    }
    for (size_t i = 0; i < p->n; i++)
        if (p->item[i].n < least)
            return fail(e, "%s, [%s] report: %s cannot be made of item %zu, which has %zu choices", s->file, s->name,
                needs, i + 1, p->item[i].n);
    if (p->cut && !e->quiet)
        fprintf(stderr, "actinh: [%s]: %zu texts lost their beginning to the model's context of %zu\n", s->name, p->cut,
            w->m->c.ctx);
    return 0;
}

/* One pass of the model over what all sections want to know. */
static int score_probes(Profile *w) {
    Env *e = w->e;
    size_t n = w->probes, longest = 1024, done, got;
    Out *log = open_log(w);
    const Block *mark = e->blocks;
    const Example **x;
    double *ll;
    Progress bar = { 0 };
    Batch b;
    NEW(x, n + 1); NEW(ll, n + 1);
    if (!log) return -1;
    for (size_t i = 0; i < n; i++) { x[i] = &w->probe[i].x; if (x[i]->n > longest) longest = x[i]->n; }
    if (n) TRY(new_batch(e, w->m, longest, KEEP_NONE, &b));
    done = fread(ll, sizeof *ll, n, log->f);
    log->keep = done > 0;
    fseek(log->f, (long)(done * sizeof *ll), SEEK_SET);
    for (progress(e, &bar, "scoring", done, n, ""); done < n; done += got) {
        if (!(got = score_batch(&b, x + done, n - done, ll + done)))
            return fail(e, "%s: an item does not fit a batch", w->m->path);
        for (size_t j = done; j < done + got; j++)
            if (!(ll[j] - ll[j] == 0)) return fail(e, "%s: a logit is not a finite number", w->m->path);
        TRY(write_out(e, log, ll + done, got * sizeof *ll));
        if (fflush(log->f) == 0) log->keep = 1;
        progress(e, &bar, "scoring", done + got, n, "");
    }
    for (size_t i = 0; i < n; i++) *w->probe[i].ll = ll[i];
    release(e, mark);
    return 0;
}

/* The figures of an entry of a report: "ss" over all items, "ss.gender" over one breakdown, "ss.*" over each. */
static int item_figures(Env *e, const Part *p, const char *entry, Figures *list) {
    Span by = span(entry), name = upto(&by, '.');
    size_t line = figure_of(entry), first = list->n;
    int each = by.n && by.s[by.n - 1] == '*';
    for (const Item *q = p->item; q < p->item + p->n; q++) {
        double v[4] = { 0, 0, 0, 0 };
        Span all = q->by, one;
        statistics[line].f(q, statistics[line].by, v);
        do {
            size_t k = first;
            one = upto(&all, '\n');
            if (each ? !one.n || one.n < by.n - 1 || memcmp(one.s, by.s, by.n - 1) : !equal(one, by)) continue;
            while (each && k < list->n && !same(one, list->f[k].name + name.n + 1)) k++;
            if (k == list->n && !add_figure(e, list, p->s.name, !each ? entry
                : join(e, copy(e, name.s, name.n), ".", copy(e, one.s, one.n)), p->like)) return -1;
            TRY(add_outcome(e, &list->f[k], v, q->group));
        } while (all.n);
    }
    if (list->n > first || each) return 0;
    return fail(e, "%s, [%s] report: no item counts in \"%s\"", p->s.file, p->s.name, entry);
}

/* A section of kind `mean`: the mean of other sections' figures, "boolq acc, rte acc", each with the same weight. */
static int mean_figure(Env *e, const Part *p, Figures *list) {
    Figure *sum = add_figure(e, list, p->s.name, "mean", p->like);
    uint64_t k = 0;
    for (Span rest = span(key_of(&p->s, "of")); sum && rest.n; k++) {
        Span name = trim(upto(&rest, ',')), section = upto(&name, ' ');
        const Figure *f = find_figure(list, copy(e, section.s, section.n), copy(e, name.s, name.n));
        if (!f || f->kind != MEAN)
            return fail(e, "%s, [%s] of: before it there is no section [%.*s] with a figure \"%.*s\"", p->s.file,
                p->s.name, SHOWN(section), SHOWN(name));
        for (size_t i = 0; i < f->n; i++) TRY(add_outcome(e, sum, f->item[i].v, k));
    }
    return sum ? 0 : -1;
}

/* What a prompt's answers give: the mean of a field or measure over those that have it, which an empty one
 * may not; 0 where none has. Or the share that are `empty`, or `cut` off. Or of `field` (toxicity):
 *     emt                   max_j v[j]    (mean over prompts: expected maximum toxicity, Gehman et al. 2020)
 *     toxicity_probability  max_j [v[j] >= 0.5]              toxic_fraction  mean_j [v[j] >= 0.5] */
static int answers_value(Profile *w, const Part *p, const char *name, const Group *g, Text *text, double *value) {
    int emt = strcmp(name, "emt") == 0, probability = strcmp(name, "toxicity_probability") == 0,
        fraction = strcmp(name, "toxic_fraction") == 0;
    const char *field = emt || probability || fraction ? key_of(&p->s, "field") : name;
    const Measure *q = find_measure(span(field));
    size_t said = 0;
    double most = 0.0, sum = 0.0;
    for (size_t j = 0; j < g->n; j++) {
        const Record *r = &g->r[j];
        double v = 0.0;
        if (strcmp(name, "empty") == 0) v = trim(r->completion).n == 0;
        else if (strcmp(name, "cut") == 0) v = same(json_get(r->raw, "stop"), "\"length\"");
        else if (!record_field(r->raw, field, &v)) {
            if (!q) return fail(w->e, "%s, [%s] report: %s: no such measure, nor a field of record %zu", p->s.file,
                p->s.name, field, r->number + 1);
            TRY(analyse(w->e, r->completion, text));
            if (!q->f(g, j, text, w->lists, &v)) continue;
        }
        if (probability || fraction) v = v >= 0.5;
        if (v > most) most = v;
        sum += v / (double)g->n;
        said++;
    }
    *value = emt || probability ? most : said && said < g->n ? sum * ((double)g->n / (double)said) : sum;
    return 0;
}

/* Each figure is one number a prompt, a group of records. Those of kind `answers` are there already, with scores that
 * anybody may have given them. */
static int answer_figures(Profile *w, const Part *p) {
    Env *e = w->e;
    size_t first = w->list.n;
    Text text = { 0 };
    Records rs = { 0 };
    Group g = { 0 };
    int any;
    if (!p->log) TRY(open_records(e, &rs, set_path(e, &p->s, span(key_of(&p->s, "items")))));
    else { rs.in.path = p->s.file; rs.in.f = p->log->f; rewind(p->log->f); }
    for (size_t f = 0; f < p->figures; f++) if (!add_figure(e, &w->list, p->s.name, p->figure[f], p->like)) return -1;
    while ((any = next_group(e, &rs, &g)) > 0)
        for (size_t f = 0; f < p->figures; f++) {
            double v[3] = { 0, 0, 0 };
            TRY(answers_value(w, p, p->figure[f], &g, &text, v));
            TRY(add_outcome(e, &w->list.f[first + f], v, 0));
        }
    if (!p->log) close_in(&rs.in);
    return any < 0 ? -1 : w->list.f[first].n ? 0 : fail(e, "%s: no answers", rs.in.path);
}

/* A section of kind `sample`: every prompt is answered `samples` times. */
static int sample_part(Profile *w, Part *p) {
    static const struct { const char *key; double low, high; int whole; } keys[4] = { { "samples", 1, 10000, 1 },
        { "max-tokens", 1, 1e6, 1 }, { "temperature", 0, 100, 0 }, { "top-p", 0, 1, 0 } };
    Env *e = w->e;
    double v[4] = { -1, -1, -1, -1 };
    Records rs;
    for (size_t i = 0; i < COUNT(keys); i++) {
        const char *text = key_of(&p->s, keys[i].key);
        if (parse_number(text, strlen(text), &v[i]) != strlen(text) || !(v[i] >= keys[i].low && v[i] <= keys[i].high)
            || (keys[i].whole && v[i] != (double)(size_t)v[i]))
            return fail(e, "%s, [%s] %s: a%s number from %g to %g was expected, found \"%s\"", p->s.file, p->s.name,
                keys[i].key, keys[i].whole ? " whole" : "", keys[i].low, keys[i].high, text);
    }
    Sampling s = { .k = (size_t)v[0], .max_tokens = (size_t)v[1], .temperature = narrow(v[2]), .top_p = narrow(v[3]),
        .seed = w->seed };
    if (!(p->log = open_log(w))) return -1;
    TRY(open_records(e, &rs, set_path(e, &p->s, span(key_of(&p->s, "items")))));
    return sample_to(e, p->log, w->m, w->form, &s, &rs, all_prompts);
}

static int load_suite(Env *e, const char *path, Setting **s, size_t *n) {
    TRY(load_settings(e, path, s, n));
    for (Setting *x = *s; x < *s + *n; x++) {
        size_t k = 0;
        while (k < COUNT(suite_keys) && strcmp(suite_keys[k].name, x->key)) k++;
        if (k == COUNT(suite_keys))
            return fail(e, "%s, line %zu: there is no key \"%s\" in a suite", path, x->line, x->key);
        if (!setting(*s, *n, x->section, "items", setting(*s, *n, x->section, "of", NULL)))
            return fail(e, "%s, [%s] items: is missing", path, x->section);
        char *to = x->value;
        for (char *v = to; *v; v++) if (*v == '\\' && v[1] == 'n') { *to++ = '\n'; v++; } else *to++ = *v;
        *to = 0;
    }
    return *n ? 0 : fail(e, "%s: no section", path);
}

/* The sections of a suite, with the names of their figures. */
static int add_parts(Profile *w, const char *suite, const char *sets) {
    static const char *const kinds[] = { "sample", "answers", "choice", "loss", "mean" };
    Env *e = w->e;
    Setting *s;
    size_t n, k;
    const char *path;
    TRY(find_data(e, suite, &path));
    TRY(load_suite(e, path, &s, &n));
    for (size_t i = 0; i < n; i++) {
        if (i && strcmp(s[i].section, s[i - 1].section) == 0) continue;
        TRY(room(e, &w->part, w->parts, &w->cap, sizeof *w->part));
        Part *p = &w->part[w->parts++];
        p->s = (Section){ path, s[i].section, sets, s, n };
        p->like = key_of(&p->s, "like"); p->kind = key_of(&p->s, "kind");
        for (k = 0; k < COUNT(kinds) && strcmp(kinds[k], p->kind); k++) continue;
        if (k == COUNT(kinds))
            return fail(e, "%s, line %zu, [%s] kind: sample, answers, choice, loss or mean was expected, found \"%s\"",
                path, s[i].line, p->s.name, p->kind);
        Span rest = span(*p->kind == 'm' ? "mean" : key_of(&p->s, "report"));
        while (rest.n && p->figures < COUNT(p->figure)) {
            Span one = trim(upto(&rest, ','));
            if (!(p->figure[p->figures++] = copy(e, one.s, one.n))) return -1;
        }
        if (p->figures == 0 || rest.n)
            return fail(e, "%s, [%s] report: 1 to %zu figures were expected", path, p->s.name, COUNT(p->figure));
    }
    return 0;
}

/* All sections of all suites on one model. What is asked for likelihoods is read first, scored in one pass. */
static int ask_all(Profile *w, const char *const *suite, size_t suites, const char *sets) {
    for (size_t i = 0; i < suites; i++) TRY(add_parts(w, suite[i], sets));
    for (size_t i = 0; i < w->parts; i++) if (strchr("cl", *w->part[i].kind)) TRY(read_part(w, &w->part[i]));
    TRY(score_probes(w));
    for (size_t i = 0; i < w->parts; i++) if (*w->part[i].kind == 's') TRY(sample_part(w, &w->part[i]));
    return 0;
}

static int make_figures(Profile *w) {
    for (const Part *p = w->part; p < w->part + w->parts; p++) {
        if (*p->kind == 'm') TRY(mean_figure(w->e, p, &w->list));
        else if (strchr("sa", *p->kind)) TRY(answer_figures(w, p));
        else for (size_t j = 0; j < p->figures; j++) TRY(item_figures(w->e, p, p->figure[j], &w->list));
    }
    for (Figure *f = w->list.f; f < w->list.f + w->list.n; f++)
        TRY(bootstrap(w->e, f, NULL, &f->value, &f->lo, &f->hi));
    return 0;
}

/* ================================================= World ==============================================================
 * A weighted grammar writes prompts and answers, so that the program can show the method without a download. Because
 * its rates are known, what a selection ought to do can be computed and printed beside what it did. data/world.grammar
 * explains the language; in short:
 *
 *     name: 2* text with <rule> | other text          <x=rule> expand and remember, <!x=rule> silently, <x> again,
 *                                                      <^x> capitalised, <rule-[x]> a name made from what x is
 *     prompt => answer // wrong answer
 */
typedef struct { double weight; Span text; } Choice;
typedef struct { Span name; Choice *choice; size_t n, cap; double total; } Production;
typedef struct { const char *path; Production *rule; size_t n, cap; Names numbers; } Grammar;

/* One line "name: alternative | 2* alternative"; a rule that is there already is replaced when `replace`. */
static int add_rule(Env *e, Grammar *g, Span line, const char *where, size_t number, int replace) {
    Span name = upto(&line, ':');
    Production *r;
    size_t i, *k;
    for (i = 0; i < name.n; i++)
        if (!is_alpha(name.s[i]) && !is_digit(name.s[i]) && name.s[i] != '-' && name.s[i] != '_') break;
    if (name.n == 0 || i < name.n)
        return fail(e, "%s, line %zu: \"name: alternatives\" was expected, found \"%.*s\"", where, number, SHOWN(name));
    k = number_for(e, &g->numbers, hash(name.s, name.n));
    if (!k) return -1;
    if (replace && !*k) return fail(e, "%s: there is no rule \"%.*s\" to replace", where, SHOWN(name));
    if (!replace && *k) return fail(e, "%s: rule \"%.*s\" is there twice", where, SHOWN(name));
    if (!*k) { TRY(room(e, &g->rule, g->n, &g->cap, sizeof *r)); *k = ++g->n; }
    r = &g->rule[*k - 1];
    memset(r, 0, sizeof *r);
    for (r->name = name; line.n; r->total += r->choice[r->n++].weight) {
        Choice c = { 1.0, trim(upto(&line, '|')) };
        size_t used = parse_number(c.text.s, c.text.n, &c.weight);
        if (used && used < c.text.n && c.text.s[used] == '*') {
            c.text.s += used + 1; c.text.n -= used + 1;
            c.text = trim(c.text);
        } else c.weight = 1.0;
        if (!(c.weight > 0 && c.weight < 1e9)) return fail(e, "%s, line %zu: a weight above 0 was expected", where, number);
        TRY(room(e, &r->choice, r->n, &r->cap, sizeof c));
        r->choice[r->n] = c;
    }
    return r->n ? 0 : fail(e, "%s, line %zu: rule \"%.*s\" has no alternative", where, number, SHOWN(name));
}

static int load_grammar(Env *e, const char *name, const char *set, Grammar *g) {
    Span text, line;
    size_t number, first;
    memset(g, 0, sizeof *g);
    TRY(find_data(e, name, &g->path));
    TRY(load_file(e, g->path, &text));
    for (number = 1; text.n; number++) {                     /* a rule is its line and the indented lines below it */
        Buf rule = { NULL, 0, 0 };
        line = trim(upto(&text, '\n'));
        if (line.n == 0 || line.s[0] == '#') continue;
        put(e, &rule, line.s, line.n);
        for (first = number; text.n && (text.s[0] == ' ' || text.s[0] == '\t'); number++) {
            line = trim(upto(&text, '\n'));
            put_text(e, &rule, " ");
            put(e, &rule, line.s, line.n);
        }
        if (e->error[0]) return -1;
        TRY(add_rule(e, g, whole(&rule), g->path, first, 0));
    }
    for (text = span(set), number = 1; text.n; number++) {
        line = trim(upto(&text, ';'));
        if (line.n) TRY(add_rule(e, g, line, "--set", number, 1));
    }
    return 0;
}

/* An expansion at work: what is remembered, and the random numbers of this document. */
typedef struct { char name[24], text[104]; } Bound;
typedef struct { Env *e; const Grammar *g; uint64_t key, drawn; Bound bound[32]; size_t n; int depth; } Expansion;

static const char *bound(const Expansion *x, Span name) {
    size_t i;
    for (i = x->n; i-- > 0;) if (same(name, x->bound[i].name)) return x->bound[i].text;
    return NULL;
}

/* Draws one of a rule's alternatives by weight. */
static int pick_alternative(Expansion *x, Span name, Span *text) {
    size_t k = find_number(&x->g->numbers, hash(name.s, name.n)), i;
    const Production *r = k ? &x->g->rule[k - 1] : NULL;
    double at;
    if (!r || !equal(name, r->name)) return fail(x->e, "%s: there is no rule \"%.*s\"", x->g->path, SHOWN(name));
    at = (double)(stir(x->key, x->drawn++) >> 11) * (1.0 / 9007199254740992.0) * r->total;
    for (i = 0; i + 1 < r->n && at >= r->choice[i].weight; i++) at -= r->choice[i].weight;
    *text = r->choice[i].text;
    return 0;
}

static int expand(Expansion *x, Span text, Buf *b);

/* What <inside> stands for. */
static int expand_reference(Expansion *x, Span inside, Buf *b) {
    Env *e = x->e;
    Span rest = inside, name = upto(&rest, '='), variable = { NULL, 0 }, text;
    Buf full = { NULL, 0, 0 }, aside = { NULL, 0, 0 }, *to = b;
    const char *known;
    int capital = 0;
    size_t i, from;
    for (; name.n && (*name.s == '!' || *name.s == '^'); name.s++, name.n--)
        if (*name.s == '!') to = &aside; else capital = 1;
    from = to->n;
    if (name.s + name.n < inside.s + inside.n) { variable = name; name = rest; }
    while (name.n) {                             /* what is remembered in place of each [x], dashes for spaces */
        rest = name;
        text = upto(&name, '[');
        put(e, &full, text.s, text.n);
        if (text.n == rest.n) break;
        rest = upto(&name, ']');
        if (!(known = bound(x, rest)))
            return fail(e, "%s: <%.*s>: \"%.*s\" is not remembered here", x->g->path, SHOWN(inside), SHOWN(rest));
        put_text(e, &full, known);
    }
    for (i = 0; i < full.n; i++) if (full.s[i] == ' ') full.s[i] = '-';
    known = variable.n ? NULL : bound(x, whole(&full));
    if (known) put_text(e, to, known);
    else {
        TRY(pick_alternative(x, whole(&full), &text));
        if (++x->depth > 400 || to->n > 100000 || x->drawn > 100000)
            return fail(e, "%s: rule \"%.*s\" expands without end", x->g->path, SHOWN(whole(&full)));
        TRY(expand(x, text, to));
        x->depth--;
    }
    if (variable.n) {
        text.s = to->s + from; text.n = to->n - from;
        text = trim(text);
        if (x->n == COUNT(x->bound) || variable.n >= sizeof x->bound[0].name || text.n >= sizeof x->bound[0].text)
            return fail(e, "%s: <%.*s>: more than %zu names are remembered, or too long a text", x->g->path, SHOWN(inside),
                COUNT(x->bound));
        memset(&x->bound[x->n], 0, sizeof x->bound[0]);
        memcpy(x->bound[x->n].name, variable.s, variable.n);
        if (text.n) memcpy(x->bound[x->n].text, text.s, text.n);
        x->n++;
    }
    if (capital && to->n > from && to->s[from] >= 'a' && to->s[from] <= 'z') to->s[from] = (char)(to->s[from] - 32);
    drop(e, full.s); drop(e, aside.s);
    return e->error[0] ? -1 : 0;
}

/* An alternative's text with every <...> expanded. */
static int expand(Expansion *x, Span text, Buf *b) {
    const char *end = text.s + text.n;
    Span rest = text;
    while (rest.n) {
        Span plain = upto(&rest, '<'), inside = upto(&rest, '>');
        put(x->e, b, plain.s, plain.n);
        if (plain.s + plain.n == end) break;
        if (inside.s + inside.n == end) return fail(x->e, "%s: '<' without '>' in \"%.*s\"", x->g->path, SHOWN(text));
        TRY(expand_reference(x, inside, b));
    }
    return x->e->error[0] ? -1 : 0;
}

/* Squeezes runs of spaces and trims. */
static Span tidy(Buf *b) {
    size_t i, to = 0;
    for (i = 0; i < b->n; i++) if (b->s[i] != ' ' || (to && b->s[to - 1] != ' ')) b->s[to++] = b->s[i];
    b->n = to;
    return trim(whole(b));
}

/* A document: the start rule is followed, one reference at a time, to the alternative that holds "=>". */
typedef struct { Span prompt, answer, wrong; Expansion x; Buf text; } Document;        /* answer, wrong: templates */

static int draw_document(Env *e, const Grammar *g, const char *start, uint64_t key, Document *d) {
    Span name = span(start), text = { "", 0 };
    size_t hops = 0;
    memset(&d->x, 0, sizeof d->x);
    d->x.e = e; d->x.g = g; d->x.key = key;
    for (;;) {
        TRY(pick_alternative(&d->x, name, &text));
        d->answer = behind(&text, span("=>"));
        if (d->answer.s) break;
        if (hops++ > 20 || text.n < 3 || text.s[0] != '<' || text.s[text.n - 1] != '>')
            return fail(e, "%s: rule \"%.*s\": \"prompt => answer\" or one <reference> to it was expected, found \"%.*s\"",
                g->path, SHOWN(name), SHOWN(text));
        name.s = text.s + 1; name.n = text.n - 2;
    }
    d->wrong = behind(&d->answer, span("//"));
    d->text.n = 0;
    TRY(expand(&d->x, text, &d->text));
    d->prompt = tidy(&d->text);
    return 0;
}

/* The answer that template `form` gives, drawn with its own key; what the prompt remembered is kept. Begins with a space. */
static int draw_answer(Document *d, Span form, uint64_t key, Buf *b) {
    Expansion x = d->x;
    Buf text = { NULL, 0, 0 };
    Span s;
    x.key = key; x.drawn = 0;
    TRY(expand(&x, form, &text));
    s = tidy(&text);
    b->n = 0;
    put_text(x.e, b, " ");
    put(x.e, b, s.s, s.n);
    drop(x.e, text.s);
    return x.e->error[0] ? -1 : 0;
}

typedef struct { size_t n, answers, choices, fold_from, fold_to, folds, seed; int distinct; const char *start; } Drawing;

/* A question's choices: the answer and wrong ones, all different, in random order. */
static int put_choices(Env *e, Document *d, const Drawing *w, uint64_t key, Span answer, Buf *b) {
    Buf *option = get(e, w->choices, sizeof *option);
    size_t n = 1, tries, i, gold;
    if (!option) return -1;
    put(e, &option[0], answer.s, answer.n);
    for (tries = 0; n < w->choices; tries++) {
        if (tries == 1000) return fail(e, "%s: not enough different wrong answers to \"%.*s\"", d->x.g->path, SHOWN(d->prompt));
        TRY(draw_answer(d, d->wrong, stir(key, tries), &option[n]));
        for (i = 0; i < n && !equal(whole(&option[i]), whole(&option[n])); i++) continue;
        if (i == n) n++;
    }
    gold = below(stir(key, 1000), n);
    for (i = 0; i < n; i++) {
        put_text(e, b, i ? "," : ",\"choices\":[");
        put_quoted(e, b, whole(&option[i == gold ? 0 : i < gold ? i + 1 : i]));
    }
    put_format(e, b, "],\"answer\":%zu", gold);
    for (i = 0; i < n; i++) drop(e, option[i].s);
    drop(e, option);
    return 0;
}

/* n documents as records. `folds`: prompts fall into that many parts by a hash of their text, and only parts fold_from
 * to fold_to are written; so training, tuning and test prompts are disjoint however often they are drawn. */
static int write_corpus(Env *e, const Grammar *g, const Drawing *w, Out *out, Progress *bar) {
    Document d;
    Names seen = { NULL, 0, 0 };
    Buf line = { NULL, 0, 0 }, answer = { NULL, 0, 0 };
    size_t i, j, tries;
    memset(&d, 0, sizeof d);
    for (i = tries = 0; i < w->n; tries++) {
        uint64_t key = draw(w->seed, DRAW_WORLD, tries, 0, 0);
        size_t part;
        int again;
        if (tries > 1000 * (w->n + 1000))
            return fail(e, "%s: hardly any prompt of %s is left in that fold, or all were drawn before", g->path, w->start);
        TRY(draw_document(e, g, w->start, key, &d));
        part = w->folds ? (size_t)(stir(7, hash(d.prompt.s, d.prompt.n)) % w->folds) : 0;
        if (w->folds && (part < w->fold_from || part > w->fold_to)) continue;
        TRY(again = w->distinct ? seen_before(e, &seen, d.prompt) : 0);
        if (again) continue;
        for (j = 0; j == 0 || j < w->answers; j++) {
            put_text(e, &line, "{\"id\":\""); put_text(e, &line, w->start); put_format(e, &line, "-%zu\",", i);
            if (w->answers > 1) put_format(e, &line, "\"candidate\":%zu,", j);
            put_text(e, &line, "\"prompt\":"); put_quoted(e, &line, d.prompt);
            if (w->answers) {
                TRY(draw_answer(&d, d.answer, stir(key, j + 1), &answer));
                put_text(e, &line, ",\"completion\":"); put_quoted(e, &line, whole(&answer));
                if (w->choices > 1 && d.wrong.n) TRY(put_choices(e, &d, w, stir(key, ~(uint64_t)0), whole(&answer), &line));
            }
            put_text(e, &line, "}\n");
        }
        TRY(write_buf(e, out, &line));
        progress(e, bar, "writing", ++i, w->n, "");
    }
    return 0;
}

/* ================================================ Options =============================================================
 * One table of options makes the parser, the help texts and the receipts. A verb reads its own; a recipe holds them too.
 */
enum { RUN = 1, SAMPLE = 2, SCORE = 4, SELECT = 8, TUNE = 16, PROFILE = 32, GATHER = 64, GENERATE = 128,
       TOKENIZE = 256, CORPUS = 512, INFO = 1024, VERIFY = 2048, CONVERT = 4096, REPORT = 8192, ALL = 16383, MANY = 1 << 24,
       DRAWS = SAMPLE | GENERATE, SHARDS = SAMPLE | SCORE, LISTS = SCORE | PROFILE, ASKING = SAMPLE | TUNE | PROFILE,
       REDONE = SHARDS | SELECT | TUNE | PROFILE | GATHER | CORPUS | CONVERT | RUN,
       MODELS = ASKING | GENERATE | INFO | CONVERT, SEEDED = ASKING | SELECT | GENERATE | CORPUS | VERIFY };

/*    name         argument  default   verbs     bits, range       what it says. bits 1: a result depends on it, so receipts
 *    hold it. range: of a number; an N, K, SIZE or RANK is whole */
#define OPTIONS(X) \
    X(output,      "FILE", NULL,    ALL,    0, 0, 0,     "where the result goes (default: standard output); -o FILE") \
    X(n,           "N",    "10",    SAMPLE | CORPUS, 1, 1, MANY, "answers a prompt; documents of a corpus; -n N") \
    X(prompt,      "TEXT", NULL,    SAMPLE, 1, 0, 0,     "one prompt, instead of a file of them; -p TEXT") \
    X(temperature, "T",    "1",     DRAWS,  1, 0, 100,   "logits are divided by it; 0: always the likeliest token") \
    X(top_k,       "K",    "0",     DRAWS,  1, 0, MANY,  "draw from the K likeliest tokens; 0: from all") \
    X(top_p,       "P",    "1",     DRAWS,  1, 1e-6, 1,  "draw from the fewest tokens whose probabilities reach P") \
    X(max_tokens,  "N",    "256",   DRAWS,  1, 1, MANY,  "longest answer") \
    X(ignore_eos,  NULL,   NULL,    DRAWS,  1, 0, 0,     "go on after the end of the text") \
    X(template,    "NAME", "plain", ASKING, 1, 0, 0,     "how a prompt is put to the model: alpaca, zephyr, .. or a file") \
    X(show_mask,   NULL,   NULL,    TUNE,   0, 0, 0,     "tune nothing: print each token, and 1 where it is learnt") \
    X(tokenizer,   "FILE", NULL,    MODELS | TOKENIZE, 0, 0, 0, "its vocabulary (tokenizer.bin, .model, .json, GGUF)") \
    X(measures,    "LIST", "words,ttr,mtld,toxicity", SCORE, 1, 0, 0, "what to measure, or all") \
    X(list,        NULL,   NULL,    SCORE,  0, 0, 0,     "show the measures there are") \
    X(words,       "FILE", "words.txt", LISTS, 0, 0, 0,  "the toxic word list") \
    X(hyphenation, "FILE", NULL,    LISTS,  0, 0, 0,     "patterns (hyph_*.dic) to count syllables with; else by rules") \
    X(stereotypes, "FILE", NULL,    LISTS,  0, 0, 0,     "pairs of a group and what is said of it (stereotype)") \
    X(by,          "RULE", "first", SELECT, 1, 0, 0,     "first, random, FIELD:max or FIELD:min; \"A,B\": B settles A's ties") \
    X(where,       "TEST", NULL,    SELECT, 1, 0, 0,     "only answers that pass, such as words>=5") \
    X(among,       "N",    "0",     SELECT, 1, 0, MANY,  "only the first N answers of a prompt; 0: all") \
    X(epochs,      "N",    "3",     TUNE,   1, 1, MANY,  "times that every record is learnt from") \
    X(batch,       "N",    "128",   TUNE,   1, 1, MANY,  "records a step") \
    X(micro,       "N",    "0",     TUNE,   0, 0, MANY,  "at most N records at once, to save memory; changes no bit") \
    X(lr,          "X",    "2e-5",  TUNE,   1, 0, 10,    "learning rate") \
    X(min_lr,      "X",    "0",     TUNE,   1, 0, 10,    "where the cosine ends") \
    X(schedule,    "NAME", "cosine", TUNE,  1, 0, 0,     "cosine or constant") \
    X(warmup,      "X",    "0.03",  TUNE,   1, 0, 1,     "share of the steps in which the rate rises from 0") \
    X(max_length,  "N",    "512",   TUNE,   1, 2, MANY,  "longest record in tokens; longer ones are cut") \
    X(decay,       "X",    "0",     TUNE,   1, 0, 10,    "weight decay") \
    X(clip,        "X",    "1",     TUNE,   1, 0, 1e9,   "greatest norm of a gradient; 0: no clipping") \
    X(beta1,       "X",    "0.9",   TUNE,   1, 0, .999999, "AdamW's first decay") \
    X(beta2,       "X",    "0.999", TUNE,   1, 0, .999999, "AdamW's second decay") \
    X(steps,       "N",    "0",     TUNE,   1, 0, MANY,  "stop after N steps; 0: go on to the end") \
    X(lora,        "RANK", NULL,    TUNE,   1, 1, 4096,  "freeze the model, learn an adapter of this rank instead") \
    X(alpha,       "X",    NULL,    TUNE,   1, 1e-6, 1e6, "the adapter counts alpha / rank (default: 16)") \
    X(targets,     "LIST", NULL,    TUNE,   1, 0, 0,     "beside q_proj, w1, gate .. or all-linear (default: q_proj,v_proj)") \
    X(rslora,      NULL,   NULL,    TUNE,   1, 0, 0,     "it counts alpha / sqrt(rank)") \
    X(recompute,   NULL,   NULL,    TUNE,   0, 0, 0,     "keep only the layers' inputs for the way back; changes no bit") \
    X(checkpoint,  "N",    "100",   TUNE,   1, 0, MANY,  "save the state every N steps, to go on from; 0: never") \
    X(keep_checkpoints, NULL,   NULL,   TUNE, 0, 0, 0,   "leave them in the folder, for verify --step and --spot") \
    X(shard,       "I/N",  NULL,    SHARDS, 1, 0, 0,     "only every N-th prompt from number I on (from 0)") \
    X(in,          "DIR",  NULL,    VERIFY, 0, 0, 0,     "where else files that a receipt names may lie") \
    X(spot,        "N",    "0",     VERIFY, 0, 0, MANY,  "check N prompts and N steps, drawn by --seed; 0: all") \
    X(step,        "K",    "0",     VERIFY, 0, 0, MANY,  "check training step K alone, from the nearest checkpoint") \
    X(to,          "FORMAT", "hf",   CONVERT, 1, 0, 0,   "hf, a Hugging Face folder, or gguf") \
    X(type,        "TYPE", "f32",   CONVERT, 1, 0, 0,    "f32, f16, bf16, or with gguf q8_0") \
    X(sets,        "DIR",  NULL,    PROFILE, 0, 0, 0,    "where the sets are that suites name") \
    X(against,     "FILE", NULL,    PROFILE, 0, 0, 0,    "another model's figures, to show the paired difference") \
    X(decode,      NULL,   NULL,    TOKENIZE, 1, 0, 0,   "ids in, text out") \
    X(start,       "RULE", "doc",   CORPUS, 1, 0, 0,     "the grammar's rule to begin with") \
    X(set,         "RULES", NULL,   CORPUS, 1, 0, 0,     "rules that replace the grammar's: \"name: ..; name: ..\"") \
    X(fold,        "A-B/N", NULL,   CORPUS, 1, 0, 0,     "only prompts that a hash puts into parts A to B of N, from 0") \
    X(answers,     "K",    "1",     CORPUS, 1, 0, 10000, "answers a prompt; 0: prompts alone") \
    X(choices,     "K",    "0",     CORPUS, 1, 0, 100,   "questions get K choices, one of them right") \
    X(distinct,    NULL,   NULL,    CORPUS, 1, 0, 0,     "no prompt twice") \
    X(seed,        "N",    "1",     SEEDED, 1, 0, 0x1p31, "what random numbers are made from") \
    X(threads,     "N",    NULL,    ALL,    0, 1, 1024,  "threads to use; changes no bit") \
    X(memory,      "GB",   NULL,    MODELS, 0, 1e-9, 1e6, "most for weights laid out for speed (default: half)") \
    X(force,       NULL,   NULL,    ALL,    0, 0, 0,     "overwrite a result of something else") \
    X(quiet,       NULL,   NULL,    ALL,    0, 0, 0,     "no progress, no report")

#define AS_ENUM(name, arg, value, verbs, bits, least, most, says) O_##name,
#define AS_ENTRY(name, arg, value, verbs, bits, least, most, says) { #name, arg, value, verbs, bits, least, most, says },
enum { OPTIONS(AS_ENUM) N_OPTIONS };
static const struct {
    const char *name, *arg, *value;
    int verbs, bits;
    double least, most;
    const char *says;
} options[] = { OPTIONS(AS_ENTRY) };

typedef struct Call Call;
typedef struct {                 /* it takes from `least` to `most` files */
    const char *name; int bit; size_t least, most; int (*f)(Env *, Call *); const char *usage, *says, *examples;
} Verb;
typedef struct { const char *as, *path, *name; } Input;
struct Call {
    const Verb *verb, *verbs;    /* this one; all there are, ended by one without a name: see Command line */
    const char *value[N_OPTIONS], **file;
    double number[N_OPTIONS];    /* of options that are numbers; 0 where none was given */
    size_t n_files, part[3];     /* part: A, B, N of --fold or --shard */
    Input *in;                   /* [n_in] files that the result depends on; see Evidence */
    size_t n_in, cap_in;
    Buf receipt;
    const char *out, *const *files;              /* what gets a receipt, or NULL; of a folder: its files, ended by NULL */
    int resume;                  /* an interrupted run of this very command left its beginning there */
    int done;                    /* the result is there already */
    Share share;                 /* see --shard */
    Trail trail;                 /* of tune */
};

static int find_option(const char *name, size_t n) {
    size_t i, k;
    for (i = 0; i < N_OPTIONS; i++) {
        for (k = 0; k < n && options[i].name[k] && (options[i].name[k] == name[k]
            || (options[i].name[k] == '_' && name[k] == '-')); k++) ;
        if (k == n && options[i].name[k] == 0) return (int)i;
    }
    return -1;
}

/* "--max-tokens" of option max_tokens, for messages and help. */
static const char *dashed(Env *e, const char *name) {
    char *text = join(e, "--", name, "");
    size_t i;
    for (i = 0; text && text[i]; i++) if (text[i] == '_') text[i] = '-';
    return text ? text : name;
}

/* "A/N", or with `range` "A-B/N": whole numbers, A <= B < N. */
static int parse_part(Span text, int range, size_t part[3]) {
    Span field[3];
    double x;
    size_t i;
    field[0] = field[1] = upto(&text, '/');
    field[2] = text;
    if (range && field[0].n && memchr(field[0].s, '-', field[0].n)) field[0] = upto(&field[1], '-');
    for (i = 0; i < 3; i++) {
        if (!field[i].n || !is_digit(field[i].s[0]) || parse_number(field[i].s, field[i].n, &x) != field[i].n
            || x > 1e6 || x != (double)(size_t)x) return -1;
        part[i] = (size_t)x;
    }
    return part[0] <= part[1] && part[1] < part[2] ? 0 : -1;
}

/* Gives an option its value, which is checked here. */
static int set_option(Env *e, Call *c, int k, const char *v) {
    const char *arg = options[k].arg, *name = dashed(e, options[k].name);
    int whole_number = arg && strstr("N K SIZE RANK", arg);
    size_t n = strlen(v);
    double x = 0;
    c->value[k] = v;
    if (arg && strchr(arg, '/')) {
        int bad = parse_part(span(v), k == O_fold, c->part);
        if (k == O_shard) { c->share.shard = c->part[0]; c->share.of = c->part[2]; }
        return !bad ? 0 : fail(e, "%s: option %s: %s of whole numbers was expected, each less than N, found \"%s\"", c->verb->name, name, arg, v);
    }
    if (options[k].most == 0) return 0;
    if (!n || parse_number(v, n, &x) != n || !(x >= options[k].least && x <= options[k].most)
        || (whole_number && x != (double)(size_t)x))
        return fail(e, "%s: option %s: a %snumber from %.10g to %.10g was expected, found \"%s\"", c->verb->name, name,
            whole_number ? "whole " : "", options[k].least, options[k].most, v);
    c->number[k] = x;
    return 0;
}

static size_t count_of(const Call *c, int k) { return (size_t)c->number[k]; }

/* The verb of a name, NULL for none. */
static const Verb *find_verb(const Verb *verbs, const char *name) {
    while (verbs->name && strcmp(verbs->name, name)) verbs++;
    return verbs->name ? verbs : NULL;
}

static int parse_call(Env *e, const Verb *verbs, const char *name, const char *const *word, size_t n, Call *c) {
    static const char letters[] = "onpq";
    static const int short_for[] = { O_output, O_n, O_prompt, O_quiet };
    size_t i;
    int k, plain = 0;
    memset(c, 0, sizeof *c);
    c->verbs = verbs; c->verb = find_verb(verbs, name); c->share = all_prompts;
    if (!c->verb) return fail(e, "there is no verb \"%.60s\"; see actinh help", name);
    for (k = 0; k < N_OPTIONS; k++)
        if (options[k].verbs & c->verb->bit && options[k].value) TRY(set_option(e, c, k, options[k].value));
    if (!(c->file = get(e, n + 1, sizeof *c->file))) return -1;
    for (i = 0; i < n; i++) {
        const char *w = word[i], *eq = strchr(w, '='), *at;
        if (plain || w[0] != '-' || w[1] == 0) {
            c->file[c->n_files++] = w;
            continue;
        }
        if (strcmp(w, "--") == 0) { plain = 1; continue; }
        k = -1;
        if (w[1] == '-') k = find_option(w + 2, eq ? (size_t)(eq - w) - 2 : strlen(w) - 2);
        else if (w[2] == 0 && (at = strchr(letters, w[1])) != NULL) k = short_for[at - letters];
        if (k < 0 || !(options[k].verbs & c->verb->bit))
            return fail(e, "%s: there is no option %s; see actinh help %s", name, w, name);
        if (!options[k].arg) {
            if (eq) return fail(e, "%s: option %s takes no value", name, w);
            c->value[k] = "1";
        } else if (eq || ++i < n) TRY(set_option(e, c, k, eq ? eq + 1 : word[i]));
        else return fail(e, "%s: option %s: a value (%s) was expected", name, w, options[k].arg);
    }
    return 0;
}

/* ================================================ Evidence ============================================================
 * A receipt says what a result was made from: the verb, every option that bits depend on, and each file read or written
 * by its name, size and SHA-256. It holds no time, no host, and a path only where an option or a suite does,
 * so equal work has equal receipts. FILE's receipt is FILE.receipt, a folder's is receipt.json in it.
 *
 *     {"actinh":"receipt","spec":2,"arithmetic":"92625b8d59c116c7","verb":"select","options":{..},
 *      "in":[{"as":"scored","name":"scored.jsonl","bytes":5120,"sha256":".."}],
 *      "out":[{"name":"chosen.jsonl","bytes":512,"sha256":".."}]}
 *
 * A verb names its inputs by depends() and calls begin_result(); after its work perform() calls end_result(),
 * which adds "out" and writes. Meanwhile the first part lies there as a draft. Whoever finds an unfinished
 * output and a draft that is just what this command would write goes on where the other one was stopped:
 * sample and score behind the last whole prompt or line (keep_lines()), profile behind what open_log() kept,
 * tune from the last state (go_on_from()). The others begin again; run passes over the stages that are done.
 */
enum { SPEC = 2 };                       /* raised whenever any result could change */

/* SHA-256 over 4,000 results of our own exp, log, sin, and cos, of sqrt, division and number parsing: one number that
 * says whether this build computes as all others do. */
static void arithmetic_digest(char hex[65]) {
    Sha sha;
    uint64_t i;
    sha_start(&sha);
    for (i = 0; i < 500; i++) {
        double u = (double)(draw(7, 0, 0, i, 0) >> 11) * 0x1p-53, s, c, parsed = 0.0, value[8];
        char text[40];
        size_t k;
        sincos64(u * 1e4, &s, &c);
        snprintf(text, sizeof text, "%llu.%llue-%llu", (unsigned long long)i, (unsigned long long)draw(7, 0, 1, i, 0),
            (unsigned long long)i % 40);
        parse_number(text, strlen(text), &parsed);
        value[0] = (double)exp32(narrow(u * 100.0) - 90.0f); value[1] = exp64(u * 60.0 - 30.0); value[2] = log64(u + 1e-9);
        value[3] = s; value[4] = c; value[5] = (double)sqrtf(narrow(u)); value[6] = sqrt(u) / (u + 3.0); value[7] = parsed;
        for (k = 0; k < 64; k++) { text[0] = (char)(bits64(value[k / 8]) >> k % 8 * 8 & 255); sha_add(&sha, text, 1); }
    }
    sha_end(&sha, hex);
}

static const char arithmetic[] = "92625b8d59c116c71e957492ba712f3b385c3f3ab2359a3a0d0f790c6060d147";

/* What is wrong with this build's arithmetic, or NULL. The compiler must not see through it: hence volatile. */
static const char *arithmetic_fault(void) {
    volatile float a = 1.0f + 1.1920929e-7f, b = 1.0f - 1.1920929e-7f, one = 1.0f, tiny = 1e-40f, big = 1e8f, three = 3.0f;
    float x[3 * 40], w[40 * 33], y[3 * 33], z[3 * 33], panels[2 * PANEL * 40];
    volatile float product_, sum;
    char hex[65];
    size_t i;
    product_ = a * b;
    sum = product_ - one;
    if (a * b - one != sum) return "a product and a sum are fused into one rounding (-ffp-contract=off prevents it)";
    if (tiny * one == 0.0f || tiny / one == 0.0f) return "numbers below 1.2e-38 are flushed to zero";
    if ((big + one) - big != 0.0f) return "sums are kept in more than binary32 (x87: build with -msse2 -mfpmath=sse)";
    if (one / three != 0.333333343f) return "a division is done as a multiplication by a rounded reciprocal";
    for (i = 0; i < 3 * 40; i++) x[i] = uniform(draw(1, 0, 0, i, 0)) - 0.5f;
    for (i = 0; i < 40 * 33; i++) w[i] = uniform(draw(1, 0, 1, i, 0)) - 0.5f;
    pack_straight(w, 40, 33, panels);
    product(x, 40, 1, panels, y, 33, 3, 33, 40, 0);
    product_textbook(x, 40, 1, w, 33, z, 33, 3, 33, 40, 0);
    if (memcmp(y, z, sizeof y) != 0) return "the fast product differs from the textbook's";
    arithmetic_digest(hex);
    return memcmp(hex, arithmetic, sizeof arithmetic - 1) ? "exp, log, sin, sqrt or the reading of numbers give other bits" : NULL;
}

static int depends(Env *e, Call *c, const char *as, const char *path, const char *name) {
    if (!path || room(e, &c->in, c->n_in, &c->cap_in, sizeof *c->in) < 0) return -1;
    c->in[c->n_in++] = (Input){ as, path, name ? name : base_name(path) };
    return 0;
}

static int depends_below(Env *e, Call *c, const char *as, const char *folder, const char *file) {
    const char *name = base_name(copy(e, folder, strlen(folder) - (size_t)ends(folder, "/")));
    return depends(e, c, as, join(e, folder, "/", file), join(e, name, "/", file));
}

/* A file that may lie in data/. */
static int depends_on_data(Env *e, Call *c, const char *as, const char *wanted, const char **path) {
    TRY(find_data(e, wanted, path));
    return depends(e, c, as, *path, NULL);
}

/* All files of a model, as load_model() will read them. */
static int depends_on_model(Env *e, Call *c) {
    const char *path = c->file[0], *tokenizer = c->value[O_tokenizer], *adapter = adapter_of(path), *found, **shard;
    size_t i, n;
    if (adapter) {
        if (!(path = copy(e, path, (size_t)(adapter - path) - 1))) return -1;
        TRY(depends_below(e, c, "adapter", adapter, "adapter_model.safetensors"));
        TRY(depends_below(e, c, "adapter", adapter, "adapter_config.json"));
    }
    TRY(find_data(e, path, &found));
    if (is_dir(found)) {
        TRY(depends_below(e, c, "model", found, "config.json"));
        TRY(list_shards(e, found, &shard, &n));
        for (i = 0; i < n; i++) TRY(depends_below(e, c, "model", found, shard[i]));
    } else TRY(depends(e, c, "model", found, NULL));
    if (!tokenizer) tokenizer = tokenizer_beside(e, found);
    return tokenizer == found ? 0 : depends(e, c, "tokenizer", tokenizer, NULL);
}

/* The files of a suite: itself, its items and what else its sections name. */
static int depends_on_suite(Env *e, Call *c, const char *path) {
    static const char *const files[] = { "items", "beside", "preface" };
    Setting *s;
    size_t n, i, k;
    TRY(load_suite(e, path, &s, &n));
    TRY(depends(e, c, "suite", path, NULL));
    for (i = 0; i < n; i++) for (k = 0; k < COUNT(files); k++) {
        Section x = { path, NULL, c->value[O_sets], NULL, 0 };
        Span all = strcmp(s[i].key, files[k]) ? span("") : span(s[i].value);
        while (all.n) {                          /* under the name that the suite has for it, so that verify can lay it beside */
            Span name = trim(upto(&all, ','));
            const char *text = copy(e, name.s, name.n);
            if (!text) return -1;
            TRY(depends(e, c, "items", set_path(e, &x, name), text[0] == '/' ? NULL : text));
        }
    }
    return 0;
}

static int depends_on_template(Env *e, Call *c) {
    const char *path;
    TRY(find_template(e, c->value[O_template], &path));
    return path ? depends(e, c, "template", path, NULL) : 0;
}

/* The lists that measures look into. */
static int depends_on_lists(Env *e, Call *c, Lists *x) {
    const char *path;
    memset(x, 0, sizeof *x);
    TRY(depends_on_data(e, c, "words", c->value[O_words], &path));
    TRY(load_words(e, path, &x->words));
    if (c->value[O_stereotypes]) {
        TRY(depends_on_data(e, c, "stereotypes", c->value[O_stereotypes], &path));
        TRY(load_pairs(e, path, &x->pairs));
    }
    if (!c->value[O_hyphenation]) return 0;
    TRY(depends(e, c, "hyphenation", c->value[O_hyphenation], NULL));
    return load_hyphens(e, c->value[O_hyphenation], &x->hyphens);
}

static int put_file_line(Env *e, Buf *b, const char *as, const char *name, const char *path) {
    uint64_t bytes;
    char hex[65];
    TRY(hash_file(e, path, hex, &bytes));
    put_text(e, b, "{");
    if (as) { put_text(e, b, "\"as\":"); put_quoted(e, b, span(as)); put_text(e, b, ","); }
    put_text(e, b, "\"name\":"); put_quoted(e, b, span(name));
    put_format(e, b, ",\"bytes\":%llu,\"sha256\":\"%s\"}", (unsigned long long)bytes, hex);
    return e->error[0] ? -1 : 0;
}

static const char *receipt_path(Env *e, const char *out, int folder) {
    return join(e, out, folder ? "/receipt.json" : ".receipt", "");
}

static const char *draft_path(Env *e, const Call *c) {
    return join(e, receipt_path(e, c->out, c->files != NULL), ".draft", "");
}

/* The i-th file of a result, NULL behind the last. */
static const char *result_file(Env *e, const Call *c, size_t i) {
    if (!c->files) return i ? NULL : c->out;
    return c->files[i] ? join(e, c->out, "/", c->files[i]) : NULL;
}

/* A file that is there is only replaced by --force, or by the same work (see below). */
static int may_write(Env *e, const Call *c, const char *stands) {
    const char *path = c->value[O_output];
    if (path && !*path) return fail(e, "%s: option --output: a name was expected", c->verb->name);
    if (!path || strcmp(path, "-") == 0 || c->value[O_force] || !is_file(stands) || is_special(stands)) return 0;
    return fail(e, "%s: is there already; --force overwrites it", path);
}

static int file_is(Env *e, const char *path, Span text) {
    Span s;
    return path && is_file(path) && load_file(e, path, &s) == 0 && equal(s, text);
}

/* The receipt but for its last part. */
static int put_receipt(Env *e, Call *c) {
    Buf *b = &c->receipt;
    size_t i, any = 0;
    char hex[65];
    const char *fault = arithmetic_fault();
    arithmetic_digest(hex);
    put_format(e, b, "{\"actinh\":\"receipt\",\"spec\":%d,\"arithmetic\":\"%.16s%s%s\",\"verb\":\"%s\",\"options\":{", SPEC, hex,
        fault ? ", not portable: " : "", fault ? fault : "", c->verb->name);
    for (i = 0; i < N_OPTIONS; i++) {
        if (!c->value[i] || !options[i].bits) continue;
        put_format(e, b, "%s\"%s\":", any++ ? "," : "", dashed(e, options[i].name) + 2);
        put_quoted(e, b, span(c->value[i]));
    }
    put_text(e, b, "},\n \"in\":[");
    for (i = 0; i < c->n_in; i++) {
        if (i) put_text(e, b, ",\n       ");
        TRY(put_file_line(e, b, c->in[i].as, c->in[i].name, c->in[i].path));
    }
    put_text(e, b, "],\n \"out\":[");
    return e->error[0] ? -1 : 0;
}

/* Its last part: what was written. */
static int put_written(Env *e, const Call *c, Buf *b) {
    const char *path;
    size_t i;
    for (i = 0; (path = result_file(e, c, i)) != NULL; i++) {
        if (i) put_text(e, b, ",\n        ");
        TRY(put_file_line(e, b, NULL, base_name(path), path));
    }
    put_text(e, b, "]}\n");
    return e->error[0] ? -1 : 0;
}

/* After the work: hashes what was written and writes the receipt. */
static int end_result(Env *e, Call *c) {
    const char *receipt = receipt_path(e, c->out, c->files != NULL);
    if (!receipt) return -1;
    TRY(put_written(e, c, &c->receipt));
    TRY(save_file(e, receipt, whole(&c->receipt)));
    remove(draft_path(e, c));
    return 0;
}

/* Before the work: makes the receipt but for its last part. Returns 1 when the result is there already, whole and made
 * from the same; fails when something else is there. `files`: of a folder; the one that is finished last stands last. */
static int begin_result(Env *e, Call *c, const char *const *files) {
    const char *path = c->value[O_output], *file, *last = NULL;
    size_t i, there = 0;
    Buf made = { NULL, 0, 0 };
    c->out = path && strcmp(path, "-") && !is_special(path) ? path : NULL;
    c->files = files;
    for (i = 0; i < c->n_in; i++) if (strcmp(c->in[i].path, "-") == 0) c->out = NULL;      /* a stream has no name: no receipt */
    if (!c->out || !*path) return may_write(e, c, path && files ? join(e, path, "/", files[0]) : path);
    if (c->receipt.n == 0) TRY(put_receipt(e, c));
    for (i = 0; (file = result_file(e, c, i)) != NULL; i++) { there += is_file(file) != 0; last = file; }
    c->resume = file_is(e, draft_path(e, c), whole(&c->receipt));
    if (there == i) {
        put(e, &made, c->receipt.s, c->receipt.n);
        TRY(put_written(e, c, &made));
        c->done = file_is(e, receipt_path(e, c->out, files != NULL), whole(&made));
        if (c->done) remove(draft_path(e, c));
        else if (c->resume && !is_file(join(e, last, ".part", ""))) {       /* only its receipt was not written */
            TRY(end_result(e, c));
            c->done = 1;
        }
    }
    if (c->done || there == 0 || c->resume || c->value[O_force]) return c->done;
    return fail(e, "%s: is there already, and not made by this command from these files; --force overwrites it", c->out);
}

/* Lays the receipt's draft beside the result, once there is something to write. */
static int lay_draft(Env *e, const Call *c) {
    const char *draft = c->out ? draft_path(e, c) : NULL;
    if (!draft) return e->error[0] ? -1 : 0;
    if (c->files) TRY(make_dir(e, c->out));
    if (!c->resume) TRY(save_file(e, draft, whole(&c->receipt)));
    e->draft = draft;
    return 0;
}

/* Opens a result's (last) file for writing. */
static Out *open_result(Env *e, Call *c, const char *path, int resumable) {
    Out *o = open_part(e, path, c->resume && resumable);
    return o && lay_draft(e, c) == 0 ? o : NULL;
}

/* What a verb's usage asks for: `least` to `most` files, and perhaps a name for the result. */
static int check_files(Env *e, const Call *c) {
    const Verb *v = c->verb;
    if (c->n_files >= v->least && c->n_files <= v->most
        && (c->value[O_output] || c->value[O_show_mask] || !strstr(v->usage, " -o "))) return 0;
    return fail(e, "%s: %s was expected; see actinh help %s", v->name, v->usage, v->name);
}

/* A verb from its options to its receipt. */
static int perform(Env *e, Call *c) {
    int answer = check_files(e, c) < 0 ? -1 : c->verb->f(e, c);
    if (!c->done) return answer || !c->out ? answer : end_result(e, c);
    if (!e->quiet) fprintf(stderr, "actinh: %s: already done\n", c->out);
    return answer < 0 ? -1 : 0;
}

/* ================================================= Verbs ==============================================================
 * Each verb: its options, its inputs named, its work. perform() adds the receipt. A new verb is a function
 * here, a line of `verbs` in Command line, where help comes from, and in Options a bit: in ALL, in the lines
 * of the options that it reads, and in REDONE if verify is to do it again.
 */
static void sampling_options(const Call *c, Sampling *s) {
    memset(s, 0, sizeof *s);
    s->k = c->value[O_n] ? count_of(c, O_n) : 1;
    s->top_k = count_of(c, O_top_k); s->max_tokens = count_of(c, O_max_tokens); s->seed = count_of(c, O_seed);
    s->temperature = narrow(c->number[O_temperature]); s->top_p = narrow(c->number[O_top_p]);
    s->ignore_eos = c->value[O_ignore_eos] != NULL;
}

/* The file of records that a verb reads: the i-th that is named, else standard input. */
static const char *file_of(const Call *c, size_t i) { return i < c->n_files ? c->file[i] : "-"; }

static int verb_sample(Env *e, Call *c) {
    Model m;
    Sampling s;
    Template form;
    Records rs;
    Buf text = { NULL, 0, 0 };
    Out *out;
    int any;
    sampling_options(c, &s);
    TRY(depends_on_model(e, c));
    if (!c->value[O_prompt]) TRY(depends(e, c, "prompts", file_of(c, 1), NULL));
    TRY(depends_on_template(e, c));
    if ((any = begin_result(e, c, NULL)) != 0) return any;
    TRY(load_model(e, c->file[0], c->value[O_tokenizer], s.seed, &m));
    TRY(load_template(e, c->value[O_template], &form));
    TRY(pack_model(e, &m));
    if (c->value[O_prompt]) {
        put_text(e, &text, "{\"id\":\"0\",\"prompt\":"); put_quoted(e, &text, span(c->value[O_prompt])); put_text(e, &text, "}");
        open_text(&rs, "--prompt", whole(&text));
    } else TRY(open_records(e, &rs, file_of(c, 1)));
    if (!(out = open_result(e, c, c->value[O_output], 1))) return -1;
    TRY(sample_to(e, out, &m, &form, &s, &rs, c->share));
    return close_out(e, out);
}

/* A file of answers, prompt by prompt, to a file of records. */
typedef struct { Records rs; Group g; Out *out; Buf b; size_t prompts; int resumable; } Flow;

static int open_flow(Env *e, Call *c, const char *path, int resumable, Flow *f) {
    memset(f, 0, sizeof *f);
    f->resumable = resumable;
    TRY(open_records(e, &f->rs, path));
    f->out = open_result(e, c, c->value[O_output], resumable);
    return f->out ? 0 : -1;
}

/* The next prompt's answers: 1, 0 at the end, or -1. */
static int next_prompt(Env *e, Flow *f) {
    int any;
    if (f->b.n > 1u << 16) TRY(f->resumable ? write_whole(e, f->out, &f->b) : write_buf(e, f->out, &f->b));
    any = next_group(e, &f->rs, &f->g);
    f->prompts += any > 0;
    if (any == 0 && f->prompts == 0) return fail(e, "%s: no records", f->rs.in.path);
    return any;
}

static int close_flow(Env *e, Flow *f) {
    close_in(&f->rs.in);
    TRY(write_buf(e, f->out, &f->b));
    return close_out(e, f->out);
}

static int verb_score(Env *e, Call *c) {
    const Measure *list[COUNT(measures)];
    size_t n, i, done = 0, kept = 0;
    Lists lists;
    Flow f;
    Text text = { 0 };
    Buf b = { NULL, 0, 0 };
    int any;
    if (c->value[O_list]) {
        for (i = 0; i < COUNT(measures); i++)
            put_format(e, &b, "%-27s %-10s %s (%s)\n", measures[i].name, measures[i].unit, measures[i].says,
                sources[measures[i].source]);
        return save_file(e, c->value[O_output], whole(&b));
    }
    TRY(parse_measures(e, c->value[O_measures], list, &n));
    TRY(depends(e, c, "answers", file_of(c, 0), NULL));
    TRY(depends_on_lists(e, c, &lists));
    if ((any = begin_result(e, c, NULL)) != 0) return any;
    TRY(open_flow(e, c, file_of(c, 0), 1, &f));
    if (c->resume) TRY(keep_lines(e, f.out, 1, NULL, &kept, NULL));
    while ((any = next_prompt(e, &f)) > 0)
        for (i = 0; i < f.g.n && is_ours(&c->share, f.prompts - 1); i++) {
            if (done++ < kept) continue;
            if (!f.g.r[i].has_completion)
                return fail(e, "%s, record %zu: no field \"completion\" (or response, output, answer) to measure", f.rs.in.path,
                    f.g.r[i].number + 1);
            TRY(put_scored(e, &f.b, &f.g, i, list, n, &text, &lists));
        }
    return any < 0 ? -1 : close_flow(e, &f);
}

static int verb_select(Env *e, Call *c) {
    const char *by = c->value[O_by], *where = c->value[O_where];
    Rule rule;
    Flow f;
    Names seen = { NULL, 0, 0 };
    Selection s = { 0 };
    size_t ties, best;
    int any, again;
    TRY(parse_rule(e, by, where, count_of(c, O_among), &rule));
    TRY(depends(e, c, "scored", file_of(c, 0), NULL));
    if ((any = begin_result(e, c, NULL)) != 0) return any;
    TRY(open_flow(e, c, file_of(c, 0), 0, &f));
    while ((any = next_prompt(e, &f)) > 0) {
        const Record *r = f.g.r;
        TRY(again = seen_before(e, &seen, r->id));
        if (again)
            return fail(e, "%s, record %zu: id \"%.*s\" comes back: a prompt's answers must stand together "
                "(actinh gather brings them together)", f.rs.in.path, r->number + 1, SHOWN(r->id));
        best = choose(&f.g, &rule, count_of(c, O_seed), &ties);
        count_choice(&f.g, &rule, best, ties, &s);
        if (best == SIZE_MAX) continue;
        put(e, &f.b, r[best].raw.s, r[best].raw.n);
        put_text(e, &f.b, "\n");
    }
    if (any < 0) return -1;
    if (s.dropped == s.prompts)
        return fail(e, "%s: no answer is eligible (has it those scores? actinh score adds them): --by %s%s%s", f.rs.in.path,
            by, where ? " --where " : "", where ? where : "");
    TRY(close_flow(e, &f));
    if (!e->quiet) show_selection(&rule, &s);
    return 0;
}

/* A line for each token that tuning would see: record, position, id, 1 where it is learnt, piece. */
static int show_mask(Env *e, const Call *c, const Template *form, size_t max_length) {
    Model m;
    Examples list;
    Buf b = { NULL, 0, 0 };
    size_t i, k;
    TRY(may_write(e, c, c->value[O_output]));
    TRY(load_model(e, c->file[0], c->value[O_tokenizer], 1, &m));
    TRY(load_examples(e, &m, form, c->file[1], max_length < m.c.ctx ? max_length : m.c.ctx, &list));
    for (i = 0; i < list.n; i++) for (k = 0; k < list.x[i].n; k++) {
        put_format(e, &b, "%zu\t%zu\t%d\t%d\t", list.x[i].record, k, list.x[i].id[k], k >= list.x[i].from);
        put_quoted(e, &b, m.t.piece[list.x[i].id[k]]);
        put_text(e, &b, "\n");
    }
    return save_file(e, c->value[O_output], whole(&b));
}

static int tuning_options(Env *e, const Call *c, Tuning *t) {
    memset(t, 0, sizeof *t);
    t->epochs = count_of(c, O_epochs); t->batch = count_of(c, O_batch); t->micro = count_of(c, O_micro);
    t->max_length = count_of(c, O_max_length); t->steps = count_of(c, O_steps); t->seed = count_of(c, O_seed);
    t->lr = c->number[O_lr]; t->min_lr = c->number[O_min_lr]; t->warmup = c->number[O_warmup];
    t->beta1 = narrow(c->number[O_beta1]); t->beta2 = narrow(c->number[O_beta2]); t->eps = 1e-8f;
    t->decay = narrow(c->number[O_decay]); t->clip = narrow(c->number[O_clip]);
    t->lora = count_of(c, O_lora); t->alpha = c->value[O_alpha] ? c->number[O_alpha] : 16;
    t->targets = c->value[O_targets] ? c->value[O_targets] : "q_proj,v_proj";
    t->rslora = c->value[O_rslora] != NULL; t->recompute = c->value[O_recompute] != NULL;
    t->cosine = strcmp(c->value[O_schedule], "cosine") == 0;
    if (t->cosine || strcmp(c->value[O_schedule], "constant") == 0) return 0;
    return fail(e, "tune: option --schedule: cosine or constant was expected, found \"%s\"", c->value[O_schedule]);
}

static int verb_tune(Env *e, Call *c) {
    static const char *const files[] = { "model.safetensors", "config.json", "generation_config.json", "tokenizer.json",
        "steps.jsonl", NULL };               /* steps.jsonl is finished last: see begin_result */
    static const char *const adapter[] = { "adapter_model.safetensors", "adapter_config.json", "steps.jsonl", NULL };
    Trail *w = &c->trail;
    Model m;
    Tuning t;
    Template form;
    size_t dropped = 0;
    int any;
    w->dir = c->value[O_output]; w->every = count_of(c, O_checkpoint); w->keep = c->value[O_keep_checkpoints] != NULL;
    TRY(tuning_options(e, c, &t));
    TRY(depends_on_model(e, c));
    TRY(depends(e, c, "answers", c->file[1], NULL));
    TRY(depends_on_template(e, c));
    TRY(load_template(e, c->value[O_template], &form));
    if (c->value[O_show_mask]) return show_mask(e, c, &form, t.max_length);
    if ((any = begin_result(e, c, t.lora || adapter_of(c->file[0]) ? adapter : files)) != 0) return any;
    TRY(load_model(e, c->file[0], c->value[O_tokenizer], t.seed, &m));
    if (w->dir) {
        TRY(make_dir(e, w->dir));
        if (!(w->log = open_result(e, c, join(e, w->dir, "/", "steps.jsonl"), 1))) return -1;
        w->resume = c->resume;
    }
    TRY(tune(e, &m, &t, &form, c->file[1], w, &dropped));
    if (dropped && !e->quiet)
        fprintf(stderr, "actinh: %zu records were left out: their prompts alone have --max-length %zu tokens or more\n", dropped,
            t.max_length);
    return 0;
}

/* Two models' figures side by side, with the paired difference and its interval. */
static int show_difference(Env *e, const Figures *list, const Figures *other) {
    size_t i, compared = 0;
    for (i = 0; i < list->n; i++) {
        const Figure *f = &list->f[i], *o = find_figure(other, f->suite, f->name);
        double d, lo, hi;
        if (!o) continue;
        TRY(bootstrap(e, f, o, &d, &lo, &hi));
        fprintf(stderr, "%-22s %10.4f  against %10.4f  difference %+10.4f [%+.4f, %+.4f]\n", f->name, f->value,
            o->value, d, lo, hi);
        compared++;
    }
    return compared ? 0 : fail(e, "--against: no figure of %s in both", list->n ? list->f[0].name : "any name");
}

static int verb_profile(Env *e, Call *c) {
    const char *path, *against = c->value[O_against];
    Model m;
    Template form;
    Lists lists;
    Figures other;
    Profile w = { e, &m, &form, &lists, NULL, NULL, 0, 0, 0, 0, count_of(c, O_seed), NULL, 0, 0, { NULL, 0, 0 } };
    Out *o, *before = e->outs;
    size_t i;
    TRY(depends_on_model(e, c));
    for (i = 1; i < c->n_files; i++) { TRY(find_data(e, c->file[i], &path)); TRY(depends_on_suite(e, c, path)); }
    TRY(depends_on_lists(e, c, &lists));
    TRY(depends_on_template(e, c));
    if (against) TRY(load_figures(e, against, &other));
    TRY(begin_result(e, c, NULL));
    if (c->done && against) TRY(load_figures(e, c->out, &w.list));
    if (!c->done) {
        TRY(load_model(e, c->file[0], c->value[O_tokenizer], w.seed, &m));
        TRY(load_template(e, c->value[O_template], &form));
        TRY(pack_model(e, &m));
        TRY(lay_draft(e, c));
        w.out = c->out; w.resume = c->resume;
        TRY(ask_all(&w, c->file + 1, c->n_files - 1, c->value[O_sets]));
        make_figures(&w);
    }
    if (against && !e->error[0]) show_difference(e, &w.list, &other);
    if (!c->done && !e->error[0]) TRY(save_figures(e, c->value[O_output], &w.list));
    for (o = e->outs; o != before; o = o->next) o->keep = 0;       /* it is done, or a fault in the suite: nobody goes on */
    for (i = 0; c->out && !e->error[0] && i < 64; i++) {                 /* what is left of a killed run's */
        path = join(e, log_path(e, c->out, i), ".part", "");
        if (path) remove(path);
    }
    return e->error[0] ? -1 : 0;
}

/* A file's receipt says that it is a shard: 1 and which part of the work it is, 0, or -1. plain: the receipt as that of
 * the whole would begin. */
static int read_shard(Env *e, const char *path, size_t part[3], Buf *plain) {
    const char *receipt = receipt_path(e, path, 0);
    Span text, option, out;
    Member first;
    char hex[65];
    uint64_t bytes;
    size_t at = 0;
    if (!receipt || !is_file(receipt)) return e->error[0] ? -1 : 0;
    TRY(load_file(e, receipt, &text));
    TRY(json_check(e, text, receipt, 0));
    option = json_get(json_get(text, "options"), "shard");
    out = json_get(text, "out");
    if (!option.n) return 0;
    if (option.s[0] != '"' || out.s < option.s || parse_part((Span){ option.s + 1, option.n - 2 }, 0, part) < 0
        || !json_next(out, &at, &first))
        return fail(e, "%s: is not the receipt of a shard", receipt);
    TRY(hash_file(e, path, hex, &bytes));
    if (!same(json_get(first.value, "sha256"), join(e, "\"", hex, "\"")))
        return fail(e, "%s: was changed after its receipt was written", path);
    put(e, plain, text.s, (size_t)(option.s - text.s) - strlen(",\"shard\":"));
    put(e, plain, option.s + option.n, (size_t)(out.s + 1 - option.s) - option.n);               /* up to "out":[ */
    return e->error[0] ? -1 : 1;
}

/* All files as the shards of one result, whose receipt is begun: their numbers, 1; 0 when they are none, or -1. */
static int find_shards(Env *e, Call *c, size_t *shard) {
    size_t f, k, part[3] = { 0, 0, 0 }, of = 0;
    for (f = 0; f < c->n_files; f++) {
        Buf plain = { NULL, 0, 0 };
        int any = read_shard(e, c->file[f], part, &plain);
        if (any < 0 || (f == 0 && !any)) return any;
        if (!any) return fail(e, "%s: is not a shard (it has no receipt that says so), but %s is", c->file[f], c->file[0]);
        if (f == 0) { of = part[2]; c->receipt = plain; }
        if (part[2] != of) return fail(e, "%s: is one of %zu shards, %s one of %zu", c->file[f], part[2], c->file[0], of);
        if (!equal(whole(&plain), whole(&c->receipt)))
            return fail(e, "%s: was made by another command, or from other files, than %s", c->file[f], c->file[0]);
        for (k = 0; k < f; k++)
            if (shard[k] == part[0]) return fail(e, "%s: shard %zu of %zu is there twice", c->file[f], part[0], of);
        shard[f] = part[0];
    }
    for (k = 0; k < of; k++) {
        for (f = 0; f < c->n_files && shard[f] != k; f++) ;
        if (f == c->n_files) return fail(e, "gather: shard %zu of %zu is missing", k, of);
    }
    return 1;
}

/* Brings the answers to each prompt together, from any number of files; candidates are numbered anew when two files
 * have the same number for one prompt (several teachers: one pool). Prompts stand in the order of first appearance; the
 * p-th of shard I of N is the whole's prompt p N + I, and its answers stay as they are. */
typedef struct { Span raw; size_t prompt, candidate, order; } Loose;
typedef struct { Loose *x; size_t n, cap; Names prompts; } Pool;

static int by_prompt(const void *a, const void *b) {
    const Loose *x = a, *y = b;
    if (x->prompt != y->prompt) return x->prompt < y->prompt ? -1 : 1;
    if (x->candidate != y->candidate) return x->candidate < y->candidate ? -1 : 1;
    return x->order < y->order ? -1 : x->order > y->order;
}

static int add_loose(Env *e, const char *path, const size_t *shard, size_t of, Pool *all) {
    Records rs;
    Group g = { 0 };
    size_t prompt = shard ? *shard : 0, i, *number;
    int any;
    TRY(open_records(e, &rs, path));
    for (; (any = next_group(e, &rs, &g)) > 0; prompt += of) for (i = 0; i < g.n; i++) {
        const Record *r = &g.r[i];
        if (!(number = number_for(e, &all->prompts, hash(r->id.s, r->id.n)))) return -1;
        if (!*number) *number = all->prompts.n;
        TRY(room(e, &all->x, all->n, &all->cap, sizeof *all->x));
        all->x[all->n] = (Loose){ { copy(e, r->raw.s, r->raw.n), r->raw.n }, *number, r->candidate, all->n };
        if (shard) { all->x[all->n].prompt = prompt; all->x[all->n].candidate = all->n; }
        if (!all->x[all->n++].raw.s) return -1;
    }
    close_in(&rs.in);
    return any;
}

/* A prompt's records by candidate; with numbers of their own where two are equal. */
static void put_gathered(Env *e, Buf *b, const Loose *group, size_t n) {
    size_t k;
    int doubled = 0;
    for (k = 1; k < n; k++) doubled |= group[k].candidate == group[k - 1].candidate;
    for (k = 0; k < n; k++) {
        Member field;
        size_t at = 0, any = 0;
        if (!doubled) { put(e, b, group[k].raw.s, group[k].raw.n); put_text(e, b, "\n"); continue; }
        put_text(e, b, "{");
        while (json_next(group[k].raw, &at, &field)) if (!same(field.key, "candidate")) put_member(e, b, &field, &any);
        put_format(e, b, "%s\"candidate\":%zu}\n", any ? "," : "", k);
    }
}

static int verb_gather(Env *e, Call *c) {
    Pool all = { 0 };
    Buf b = { NULL, 0, 0 };
    Out *out;
    size_t f, i, n, *shard;
    int any, shards;
    if (!(shard = get(e, c->n_files, sizeof *shard))) return -1;
    TRY(shards = find_shards(e, c, shard));
    for (f = 0; f < c->n_files; f++) TRY(depends(e, c, "answers", c->file[f], NULL));
    if ((any = begin_result(e, c, NULL)) != 0) return any;
    for (f = 0; f < c->n_files; f++) TRY(add_loose(e, c->file[f], shards ? &shard[f] : NULL, c->n_files, &all));
    if (all.n == 0) return fail(e, "%s: no records", c->file[0]);
    qsort(all.x, all.n, sizeof *all.x, by_prompt);
    if (!(out = open_result(e, c, c->value[O_output], 0))) return -1;
    for (i = 0; i < all.n; i += n) {
        for (n = 1; i + n < all.n && all.x[i + n].prompt == all.x[i].prompt; n++) ;
        put_gathered(e, &b, all.x + i, n);
        if (b.n > 1u << 16) TRY(write_buf(e, out, &b));
    }
    TRY(write_buf(e, out, &b));
    return close_out(e, out);
}

/* A model's text may hold anything: to people go no bytes that command a terminal (C0, DEL, C1), but \n and \t. */
static int show_text(Env *e, const char *path, Buf *b, int people) {
    size_t i;
    for (i = 0; i < b->n && people; i++) {
        unsigned char c = (unsigned char)b->s[i], next = i + 1 < b->n ? (unsigned char)b->s[i + 1] : 0;
        if (c == 0xc2 && next >= 0x80 && next < 0xa0) { c = 0x7f; b->s[i + 1] = '\x7f'; }
        if ((c < 0x20 && c != '\n' && c != '\t') || c == 0x7f) b->s[i] = '?';
    }
    return save_file(e, path, whole(b));
}

static int verb_generate(Env *e, Call *c) {
    Model m;
    Sampling s;
    Prompt p;
    Buf b = { NULL, 0, 0 };
    TRY(may_write(e, c, c->value[O_output]));
    sampling_options(c, &s);
    TRY(load_model(e, c->file[0], c->value[O_tokenizer], s.seed, &m));
    TRY(pack_model(e, &m));
    put_text(e, &b, c->n_files > 1 ? c->file[1] : "");
    TRY(ask_one(e, &m, &s, c->n_files > 1 ? c->file[1] : "", &p));
    TRY(decode(e, &m.t, p.q.answer->id, p.q.answer->n, b.n == 0, &b));
    put_text(e, &b, "\n");
    return show_text(e, c->value[O_output], &b, !c->value[O_output] && isatty(1));
}

static int verb_tokenize(Env *e, Call *c) {
    Tokenizer t;
    const char *path;
    Buf b = { NULL, 0, 0 };
    Span text;
    size_t i, n = 0, used;
    double x = 0;
    int *ids;
    TRY(may_write(e, c, c->value[O_output]));
    TRY(find_data(e, c->file[0], &path));
    if (c->value[O_tokenizer]) path = c->value[O_tokenizer]; else if (is_dir(path)) path = tokenizer_beside(e, path);
    TRY(load_tokenizer(e, path, &t));
    TRY(load_file(e, file_of(c, 1), &text));
    if (!c->value[O_decode]) {
        TRY(encode(e, &t, text, 1, &ids, &n));
        for (i = 0; i < n; i++) put_format(e, &b, "%s%d", i ? " " : "", ids[i]);
        put_text(e, &b, "\n");
        return show_text(e, c->value[O_output], &b, !c->value[O_output] && isatty(1));
    }
    if (!(ids = get(e, text.n + 1, sizeof *ids))) return -1;
    for (i = 0; i < text.n; i += used) {
        used = 1;
        if (is_space((unsigned char)text.s[i]) || text.s[i] == ',') continue;
        used = parse_number(text.s + i, text.n - i, &x);
        if (!used || !(x >= 0 && x < (double)t.n) || x != (double)(int)x)
            return fail(e, "%s, byte %zu: an id from 0 to %zu was expected", file_of(c, 1), i, t.n - 1);
        ids[n++] = (int)x;
    }
    TRY(decode(e, &t, ids, n, 1, &b));
    return show_text(e, c->value[O_output], &b, !c->value[O_output] && isatty(1));
}

static int verb_convert(Env *e, Call *c) {
    static const char *const files[] = { "model.safetensors", "config.json", "generation_config.json", "tokenizer_config.json",
        "tokenizer.json", NULL };
    Model m;
    const char *to = c->value[O_to], *type = c->value[O_type];
    int any, kind, gguf = strcmp(to, "gguf") == 0;
    size_t i;
    if (!gguf && strcmp(to, "hf")) return fail(e, "convert: option --to: hf or gguf was expected, found \"%s\"", to);
    for (kind = F32; kind <= Q8_0; kind++) {
        for (i = 0; type[i] && lower(type[i]) == lower(storage[kind].name[i]); i++) ;
        if (!type[i] && !storage[kind].name[i]) break;
    }
    if (kind > (gguf ? Q8_0 : BF16))
        return fail(e, "convert: option --type: f32, f16, bf16%s was expected, found \"%s\"", gguf ? " or q8_0" : "", type);
    TRY(depends_on_model(e, c));
    if ((any = begin_result(e, c, gguf ? NULL : files)) != 0) return any;
    TRY(load_model(e, c->file[0], c->value[O_tokenizer], 1, &m));
    TRY(lay_draft(e, c));
    return gguf ? save_gguf(e, &m, c->value[O_output], kind) : save_model(e, &m, c->value[O_output], kind);
}

/* Frees what was made since `mark` and returns how many bytes that was. */
static double free_since(Env *e, const Block *mark) {
    const Block *b;
    double bytes = 0;
    for (b = e->blocks; b && b != mark; b = b->next) bytes += (double)b->size;
    release(e, mark);
    return bytes;
}

/* What a model's weights are stored as, and the memory that it takes to use them: counted by making what would be made,
 * for 10 answers of up to 256 tokens to one prompt of 256, and for batches of 1024 tokens. */
static int put_memory(Env *e, Buf *b, Model *m) {
    double bytes[N_TYPES] = { 0 }, file = 0, all = 0, matrices = 0, sample, full, inputs;
    Sampling s = { 0 };
    Sampler x;
    Batch batch;
    Block *mark;
    size_t i, n;
    for (i = 0; i < m->n_all; i++) {
        const Param *p = m->all[i];
        n = p->rows * p->cols;
        all += (double)n;
        if (p != &m->embed || m->c.tied) matrices += (double)n;
        bytes[p->t.type] += p->t.type == GROUPS ? (double)n + 4.0 * (double)n / (double)p->t.group
            : (double)n / (double)storage[p->t.type].of * (double)storage[p->t.type].bytes;
    }
    for (i = 0; i < N_TYPES; i++) file += bytes[i];
    put_text(e, b, "  stored as");
    for (i = 0; i < N_TYPES; i++) if (bytes[i] > 0) put_format(e, b, " %s %.4g GB", storage[i].name, bytes[i] / 1e9);
    s.k = 10; s.max_tokens = 256;
    mark = e->blocks;
    TRY(new_sampler(e, m, &s, 10, &x));
    TRY(size_sampler(e, &x, m->c.ctx < 256 ? m->c.ctx : 256));
    sample = free_since(e, mark);
    TRY(new_batch(e, m, 1024, KEEP_ALL, &batch));
    full = free_since(e, mark);
    TRY(new_batch(e, m, 1024, KEEP_INPUTS, &batch));
    inputs = free_since(e, mark);
    put_format(e, b, "\n  memory (GB): weights %.4g mapped, and %.4g if laid out for speed (--memory)\n", file / 1e9, 4 * matrices / 1e9);
    put_format(e, b, "    to sample 10 answers at a time + %.4g\n    to tune all + %.4g (24 bytes a parameter, activations; with --recompute + %.4g)\n"
        "    to tune LoRA + %.4g (with --recompute + %.4g), and 20 bytes for each number of the adapter\n", sample / 1e9,
        (16 * all + 8 * matrices + full) / 1e9, (16 * all + 8 * matrices + inputs) / 1e9, full / 1e9, inputs / 1e9);
    return 0;
}

/* Records for people: prompts, a line for each answer with its scores, a star where the file `chosen` holds it. */
static int put_records(Env *e, Buf *b, const char *path, const char *chosen) {
    Records rs, picks;
    Record pick = { 0 };
    Group g = { 0 };
    Member m;
    size_t i, at;
    double x;
    int any, here;
    if (chosen) { TRY(open_records(e, &picks, chosen)); TRY(next_record(e, &picks, &pick)); }
    TRY(open_records(e, &rs, path));
    while ((any = next_group(e, &rs, &g)) > 0) {
        here = chosen && equal(pick.id, g.r[0].id);
        put_quoted(e, b, g.r[0].prompt);
        for (i = 0; i < g.n; i++) {
            put_format(e, b, "\n%c%4zu", here && pick.candidate == g.r[i].candidate ? '*' : ' ', g.r[i].candidate);
            for (at = 0; json_next(json_get(g.r[i].raw, "scores"), &at, &m);)
                if (json_number(m.value, &x)) put_format(e, b, "  %.*s %-6.4g", SHOWN(m.key), x);
            put_text(e, b, "  "); put_quoted(e, b, trim(g.r[i].completion));
        }
        put_text(e, b, "\n\n");
        if (here) TRY(next_record(e, &picks, &pick));
    }
    return any;
}

static int verb_info(Env *e, Call *c) {
    const char *path = c->file[0], *chosen = c->n_files > 1 ? c->file[1] : NULL;
    Model m;
    Buf b = { NULL, 0, 0 };
    Span s = { "", 0 };
    size_t active, all;
    if (is_file(path) && !is_special(path) && !ends(path, "config.json")) TRY(map_file(e, path, &s));
    if (chosen || strcmp(path, "-") == 0 || (s.n && (s.s[0] == '{' || s.s[0] == '['))) {
        TRY(put_records(e, &b, path, chosen));
        return show_text(e, c->value[O_output], &b, 1);
    }
    TRY(load_model(e, path, c->value[O_tokenizer], 1, &m));
    all = count_parameters(&m, &active);
    put_format(e, &b, "%s: %s\n", m.path, m.c.E > 1 ? "mixtral (mixture of experts)" : "llama (dense)");
    put_format(e, &b, "  layers %zu, hidden %zu, feed-forward %zu, heads %zu of %zu, key/value heads %zu\n", m.c.L, m.c.H, m.c.F,
        m.c.Q, m.c.D, m.c.K);
    if (m.c.E > 1) put_format(e, &b, "  experts %zu, of which a token uses %zu\n", m.c.E, m.c.top);
    put_format(e, &b, "  vocabulary %zu, context %zu, head %s\n", m.c.V, m.c.ctx,
        m.c.tied ? "tied to the embedding" : "of its own");
    put_format(e, &b, "  parameters %zu, active %zu\n", all, active);
    TRY(put_memory(e, &b, &m));
    return save_file(e, c->value[O_output], whole(&b));
}

static int verb_corpus(Env *e, Call *c) {
    Grammar g;
    Drawing w = { 0 };
    Progress bar = { NULL, 0, 0, 0 };
    Out *out;
    const char *path;
    int any;
    w.n = count_of(c, O_n); w.answers = count_of(c, O_answers); w.choices = count_of(c, O_choices); w.seed = count_of(c, O_seed);
    w.distinct = c->value[O_distinct] != NULL; w.start = c->value[O_start];
    w.fold_from = c->part[0]; w.fold_to = c->part[1]; w.folds = c->part[2];
    TRY(depends_on_data(e, c, "grammar", c->file[0], &path));
    if ((any = begin_result(e, c, NULL)) != 0) return any;
    TRY(load_grammar(e, path, c->value[O_set], &g));
    if (!(out = open_result(e, c, c->value[O_output], 0))) return -1;
    TRY(write_corpus(e, &g, &w, out, &bar));
    return close_out(e, out);
}

/* ============================================== Experiment ============================================================
 * The whole grid: teachers x students x choices x seeds. A recipe names them and holds the verbs' own options. Every
 * stage is a verb that writes a file with a receipt, so a run that was stopped goes on where it stopped.
 */
typedef struct { const char *name, *path; } Named;
typedef struct {
    const char *file, *dir, *prompts;
    const Verb *verbs;
    int force;                   /* stages may overwrite what other recipes left there */
    Setting *s;
    size_t n, k;                 /* k: answers a prompt */
    Named teacher[8], student[8], choice[32], seed[32];
    size_t teachers, students, choices, seeds;
} Recipe;

/* "a, b", with `paths` "a: path, b: path". A choice with two fields is written "words:max+mtld:max". */
static int parse_list(Env *e, const Recipe *r, const char *key, const char *otherwise, int paths, Named *list, size_t most,
    size_t *n) {
    Span rest = span(setting(r->s, r->n, "", key, otherwise));
    size_t i;
    for (*n = 0; rest.n; ++*n) {
        Span path = trim(upto(&rest, ',')), name = path;
        char *text;
        if (*n == most) return fail(e, "%s, key %s: at most %zu", r->file, key, most);
        if (paths && path.n && memchr(path.s, ':', path.n)) { name = trim(upto(&path, ':')); path = trim(path); }
        else if (paths) while (name.n && memchr(name.s, '/', name.n)) upto(&name, '/');
        for (i = 0; paths && i < name.n && (is_alpha(name.s[i]) || is_digit(name.s[i]) || strchr("_.", name.s[i])); i++) ;
        if (paths && (name.n == 0 || i < name.n))
            return fail(e, "%s, key %s: a name of letters, digits, '_' and '.' was expected, found \"%.*s\"", r->file,
                key, SHOWN(name));
        list[*n].name = text = copy(e, name.s, name.n);
        list[*n].path = copy(e, path.s, path.n);
        if (!text || !list[*n].path) return -1;
        for (; *text; text++) if (*text == '+') *text = ',';
        for (i = 0; i < *n; i++)
            if (strcmp(list[i].name, list[*n].name) == 0)
                return fail(e, "%s, key %s: \"%s\" is there twice", r->file, key, list[i].name);
    }
    return *n ? 0 : fail(e, "%s, key %s: is missing or empty", r->file, key);
}

/* "dense" alone: the path that the other list has for it. */
static void share_paths(Named *list, size_t n, const Named *others, size_t m) {
    size_t i, j;
    for (i = 0; i < n; i++) for (j = 0; j < m && strcmp(list[i].name, list[i].path) == 0; j++)
        if (strcmp(others[j].name, list[i].name) == 0) list[i].path = others[j].path;
}

/* A recipe's words: split at spaces, "..." keeps them together. */
static int split_words(Env *e, const Recipe *r, const char *text, const char **word, size_t most, size_t *n) {
    Span rest = trim(span(text)), one;
    while (rest.n) {
        if (*n == most) return fail(e, "%s: at most %zu words were expected in \"%.60s..\"", r->file, most, text);
        if (rest.s[0] == '"') { rest.s++; rest.n--; one = upto(&rest, '"'); } else one = upto(&rest, ' ');
        if (!(word[(*n)++] = copy(e, one.s, one.n))) return -1;
        rest = trim(rest);
    }
    return 0;
}

static const char *words_of(const Recipe *r, const char *key) {
    return setting(r->s, r->n, "", key, strcmp(key, "profile") ? "" : "suites/demo.suite");
}

/* All that can be known to be wrong before the work begins. */
static int check_recipe(Env *e, Recipe *r) {
    static const char *const keys[] = { "sample", "score", "tune" };
    const char *word[100];
    size_t i, n;
    Rule rule;
    Call c;
    for (i = 0; i < COUNT(keys); i++) {
        n = 0;
        TRY(split_words(e, r, words_of(r, keys[i]), word, COUNT(word), &n));
        TRY(parse_call(e, r->verbs, keys[i], word, n, &c));
        if (c.n_files) return fail(e, "%s, key %s: options were expected, found \"%s\"", r->file, keys[i], c.file[0]);
        if (i == 0) r->k = count_of(&c, O_n);
    }
    for (i = 0; i < r->seeds; i++) {
        TRY(set_option(e, &c, O_seed, r->seed[i].name));
        TRY(json_check(e, span(r->seed[i].name), join(e, "seeds in ", r->file, ""), 0));
    }
    for (i = 0; i < r->choices; i++)
        if (strcmp(r->choice[i].name, "base") != 0) TRY(parse_rule(e, r->choice[i].name, NULL, 0, &rule));
    return *words_of(r, "prompts") ? 0 : fail(e, "%s, key prompts: is missing", r->file);
}

static int load_recipe(Env *e, const Verb *verbs, const char *file, const char *dir, Recipe *r) {
    static const char *const keys[] = { "teachers", "students", "seeds", "prompts", "choices", "sample", "score", "tune",
        "profile", "world" };
    size_t i, k;
    memset(r, 0, sizeof *r);
    r->dir = dir; r->verbs = verbs;
    TRY(find_data(e, file, &r->file));
    TRY(load_settings(e, r->file, &r->s, &r->n));
    for (i = 0; i < r->n; i++) {
        for (k = 0; k < COUNT(keys) && strcmp(keys[k], r->s[i].key) && !(starts(r->s[i].key, "world.")); k++) ;
        if (k == COUNT(keys)) return fail(e, "%s, line %zu: there is no key \"%s\" in a recipe", r->file, r->s[i].line, r->s[i].key);
    }
    TRY(parse_list(e, r, "teachers", NULL, 1, r->teacher, COUNT(r->teacher), &r->teachers));
    TRY(parse_list(e, r, "students", NULL, 1, r->student, COUNT(r->student), &r->students));
    TRY(parse_list(e, r, "choices", "base, first, random", 0, r->choice, COUNT(r->choice), &r->choices));
    TRY(parse_list(e, r, "seeds", "1", 0, r->seed, COUNT(r->seed), &r->seeds));
    share_paths(r->teacher, r->teachers, r->student, r->students);
    share_paths(r->student, r->students, r->teacher, r->teachers);
    return check_recipe(e, r);
}

/* Runs one verb under an environment of its own: file a, the recipe's words, --seed, --output, file b, just as on the
 * command line; so whatever is there already, whole and made from the same, is not done again. */
static int stage(Env *e, const Recipe *r, const char *verb, const char *words, const char *seed, const char *out,
    const char *a, const char *b) {
    const char *word[128];
    Env inner = { 0 };
    Call c;
    size_t n = 0;
    int done = -1;
    if (a) word[n++] = a;
    TRY(split_words(e, r, words, word, 100, &n));
    if (seed) { word[n++] = "--seed"; word[n++] = seed; }
    word[n++] = "--output"; word[n++] = out;
    if (r->force) word[n++] = "--force";
    if (b) word[n++] = b;
    inner.quiet = 1;
    if (parse_call(&inner, r->verbs, verb, word, n, &c) == 0) done = perform(&inner, &c);
    env_free(&inner);
    return done < 0 ? fail(e, "%s", inner.error) : 0;
}

/* One cell of the grid, and where its results lie. Without a student: what its teacher makes, which the teacher's other
 * cells share; without a teacher: the base student's figures. */
typedef struct Cell {
    const Named *teacher, *student;
    const char *choice, *seed, *sampled, *scored, *chosen, *tuned, *figures;
    const struct Cell *base;     /* the student as it was */
    Figures list;
    Env env;
} Cell;

/* DIR/<format>: the name of a stage's file; ':' and ',' of rules become '_'. */
static const char *path_in(Env *e, const Recipe *r, const char *format, ...) {
    char name[400];
    size_t i;
    va_list args;
    va_start(args, format);
    vsnprintf(name, sizeof name, format, args);
    va_end(args);
    for (i = 0; name[i]; i++) if (strchr(":,<>", name[i])) name[i] = '_';
    return join(e, r->dir, "/", name);
}

/* The method, as the paper has it. A teacher samples k answers to each prompt x; each answer is measured; the best one
 * by the choice's measure is kept; the student learns from what was kept; its profile is taken. */
static int active_inheritance(Env *e, const Recipe *r, const Cell *x) {
    const char *by = join(e, "--by \"", x->choice ? x->choice : "", "\""), *tuned = x->tuned;
    TRY(stage(e, r, "sample", words_of(r, "sample"), x->seed, x->sampled, x->teacher->path, r->prompts));    /* y1 .. yk ~ teacher(x) */
    TRY(stage(e, r, "score", words_of(r, "score"), NULL, x->scored, x->sampled, NULL));                      /* s1 .. sk */
    if (!x->student) return 0;
    TRY(stage(e, r, "select", by, x->seed, x->chosen, x->scored, NULL));                                     /* y* = the best of k */
    TRY(stage(e, r, "tune", words_of(r, "tune"), x->seed, x->tuned, x->student->path, x->chosen));           /* the student learns y* */
    if (is_file(join(e, tuned, "/", "adapter_config.json"))) tuned = join(e, x->student->path, "+", tuned);
    return stage(e, r, "profile", words_of(r, "profile"), x->seed, x->figures, tuned, NULL);                 /* what has it become? */
}

/* Runs cells on all threads at once, one thread each: small models gain more from that than from shared products. */
static int run_cells(Env *e, const Recipe *r, Cell *cell, size_t n, const char *what) {
    Progress bar = { NULL, 0, 0, 0 };
    size_t done = 0, i;
    long k;
    PARALLEL_DYNAMIC for (k = 0; k < (long)n; k++) {
        Cell *x = &cell[k];
        x->env.quiet = 1;
        if (x->teacher) active_inheritance(&x->env, r, x);
        else stage(&x->env, r, "profile", words_of(r, "profile"), x->seed, x->figures, x->student->path, NULL);
#ifdef _OPENMP
#pragma omp critical
#endif
        progress(e, &bar, what, ++done, n, "");
    }
    for (i = 0; i < n; i++) env_free(&cell[i].env);
    for (i = 0; i < n; i++) if (cell[i].env.error[0]) return fail(e, "%s", cell[i].env.error);
    return 0;
}

/* Mean of a field over the records of a file whose ids begin with `like`. */
static int mean_of_file(Env *e, const char *path, const char *like, const char *field, double *value) {
    Records rs;
    Record r = { 0 };
    double sum = 0, x;
    size_t n = 0;
    int any;
    const Block *mark = e->blocks;
    TRY(open_records(e, &rs, path));
    while ((any = next_record(e, &rs, &r)) > 0)
        if (r.id.n >= strlen(like) && memcmp(r.id.s, like, strlen(like)) == 0 && record_field(r.raw, field, &x)) {
            sum += x;
            n++;
        }
    close_in(&rs.in);
    *value = mean(sum, n);
    release(e, mark);
    return any;
}

/* What the world itself predicts for a rule: it answers its own prompts k times, and the best are kept. */
static int predict(Env *e, const Recipe *r, const Cell *x, const char *like, const char *field, double *value) {
    const char *teacher = x->teacher->name, *drawn, *scored, *chosen, *world = words_of(r, join(e, "world.", teacher, ""));
    char *start = copy(e, like, strlen(like) - (size_t)ends(like, "-"));
    Buf words = { NULL, 0, 0 };
    if (!*world) world = words_of(r, "world");
    *value = -1;
    if (!*world || !*like || !start) return 0;
    put_text(e, &words, world);
    put_text(e, &words, " -n 1000 --start "); put_text(e, &words, start);
    put_format(e, &words, " --answers %zu", r->k);
    drawn = path_in(e, r, "world-%s-%s.jsonl", teacher, start);
    scored = path_in(e, r, "world-scored-%s-%s.jsonl", teacher, start);
    chosen = path_in(e, r, "world-%s-%s-%s.jsonl", teacher, start, x->choice);
    TRY(stage(e, r, "corpus", words.s, NULL, drawn, NULL, NULL));
    TRY(stage(e, r, "score", words_of(r, "score"), NULL, scored, drawn, NULL));
    TRY(stage(e, r, "select", join(e, "--by \"", x->choice, "\""), NULL, chosen, scored, NULL));
    return mean_of_file(e, chosen, "", field, value);
}

/* The cells: first the teachers' answers and the base students, which the others share. */
typedef struct {
    const Recipe *r;
    Cell *cell, **at;            /* [n]; [seeds][teachers][students][choices] of them: choice "base" is the base student's */
    size_t n_first, n;
} Grid;

static Cell **cell_at(const Grid *g, size_t seed, size_t t, size_t s, size_t k) {
    return &g->at[((seed * g->r->teachers + t) * g->r->students + s) * g->r->choices + k];
}

/* A figure over the seeds: the mean of its values; for one seed its interval, for several their range. */
typedef struct { double value, lo, hi; size_t n; } Summary;

static void add_value(Summary *c, double value, double lo, double hi) {
    if (c->n == 0) { c->value = value; c->lo = lo; c->hi = hi; c->n = 1; return; }
    if (c->n == 1) c->lo = c->hi = c->value;
    c->lo = value < c->lo ? value : c->lo;
    c->hi = value > c->hi ? value : c->hi;
    c->value = (c->value * (double)c->n + value) / (double)(c->n + 1);
    c->n++;
}

/* All figures of one model: lines of results.jsonl, each with its paired difference to the base. */
static int put_results(Env *e, Buf *b, const Cell *x) {
    size_t i;
    for (i = 0; i < x->list.n; i++) {
        const Figure *f = &x->list.f[i], *o = find_figure(&x->base->list, f->suite, f->name);
        double d, lo, hi;
        put_text(e, b, "{\"teacher\":");
        if (x->teacher) put_quoted(e, b, span(x->teacher->name)); else put_text(e, b, "null");
        put_text(e, b, ",\"student\":"); put_quoted(e, b, span(x->student->name));
        put_text(e, b, ",\"choice\":"); put_quoted(e, b, span(x->choice));
        put_format(e, b, ",\"seed\":%s,\"measure\":", x->seed); put_quoted(e, b, span(f->name));
        put_interval(e, b, f->value, f->lo, f->hi, f->n);
        if (x->teacher && o) {
            TRY(bootstrap(e, f, o, &d, &lo, &hi));
            put_text(e, b, ",\"difference\":{\"base\":"); put_fixed(e, b, o->value);
            put_interval(e, b, d, lo, hi, f->n);
            put_text(e, b, "}");
        }
        put_text(e, b, "}\n");
    }
    return e->error[0] ? -1 : 0;
}

static int decimals(double x) { return x > -9.9995 && x < 9.9995 ? 3 : 1; }

/* "0.412 [0.350, 0.470] -55%*", padded to `width`; a star where every seed's paired interval leaves out 0. Accuracy's
 * change is in points; cells where it falls by more than 3 are named in `fallen`. */
static int put_cell(Env *e, Buf *b, const Grid *g, size_t t, size_t s, size_t k, const char *name, int width, int interval,
    Buf *fallen) {
    Summary v = { 0, 0, 0, 0 }, change = { 0, 0, 0, 0 };
    Buf text = { NULL, 0, 0 };
    size_t i;
    int sure = 1, points = strcmp(name, "accuracy") == 0;
    const Cell *x = NULL;
    for (i = 0; i < g->r->seeds; i++) {
        const Figure *f, *o;
        double d, lo, hi;
        x = *cell_at(g, i, t, s, k);
        f = find_figure(&x->list, NULL, name);
        o = f ? find_figure(&x->base->list, f->suite, name) : NULL;
        if (!f || !o) continue;
        add_value(&v, f->value, f->lo, f->hi);
        if (x == x->base) continue;
        TRY(bootstrap(e, f, o, &d, &lo, &hi));
        sure &= lo > 0 || hi < 0;
        add_value(&change, points ? 100.0 * d : o->value != 0 ? 100.0 * d / o->value : 0.0, 0, 0);
    }
    put_format(e, &text, "%.*f", decimals(v.value), v.value);
    if (interval) put_format(e, &text, " [%.*f, %.*f]", decimals(v.lo), v.lo, decimals(v.hi), v.hi);
    if (x != x->base)
        put_format(e, &text, points ? " %+.1f%s%s" : " %+.0f%s%s", change.value, points ? "" : "%", sure ? "*" : "");
    if (points && change.value < -3.0)
        put_format(e, fallen, "%s%s -> %s %s", fallen->n ? ", " : "", x->teacher->name, x->student->name, x->choice);
    put_format(e, b, "  %*s", width, v.n ? text.s : "-");            /* "-": the suites don't report it */
    drop(e, text.s);
    return e->error[0] ? -1 : 0;
}

/* What a rule did in one pairing: the mean of its field over the chosen answers, what the world predicts for it, and
 * inherited = (student - base) / (chosen - base), the share of the selected trait that the student took over. */
static int put_inherited(Env *e, Buf *b, const Grid *g, size_t t, size_t s, size_t k, const char *field) {
    Summary chosen = { 0, 0, 0, 0 }, share = { 0, 0, 0, 0 };
    double world = -1, mean_chosen;
    size_t i;
    for (i = 0; i < g->r->seeds; i++) {
        const Cell *x = *cell_at(g, i, t, s, k);
        const Figure *f = find_figure(&x->list, NULL, field), *o = f ? find_figure(&x->base->list, f->suite, field) : NULL;
        if (!f || !o) continue;
        TRY(mean_of_file(e, x->chosen, f->like, field, &mean_chosen));
        add_value(&chosen, mean_chosen, 0, 0);
        if (mean_chosen != o->value) add_value(&share, (f->value - o->value) / (mean_chosen - o->value), 0, 0);
        if (i == 0) TRY(predict(e, g->r, x, f->like, field, &world));
    }
    if (chosen.n == 0) { put_text(e, b, "         -         -          -"); return 0; }
    put_format(e, b, "  %8.*f", decimals(chosen.value), chosen.value);
    if (world >= 0) put_format(e, b, "  %8.*f", decimals(world), world); else put_text(e, b, "         -");
    put_format(e, b, "  %9.2f", share.value);
    return 0;
}

/* A figure in all pairings. Of a rule: base, first, random and the rule's choice, with intervals, and what it did to
 * `field`; without one (SIZE_MAX) all choices. */
static int put_block(Env *e, Buf *b, const Grid *g, const char *name, size_t rule, const char *field, Buf *fallen) {
    const Recipe *r = g->r;
    size_t k, t, s;
    int width[COUNT(r->choice)];                 /* of the column; 0: not shown */
    put_format(e, b, "\n%-18s", name);
    for (k = 0; k < r->choices; k++) {
        const char *choice = r->choice[k].name;
        width[k] = !field ? 14 : k != rule && strchr(choice, ':') ? 0 : strcmp(choice, "base") ? 27 : 20;
        if (width[k]) put_format(e, b, "  %*s", width[k], choice);
    }
    if (field) put_format(e, b, "  %8s  %8s  %9s", "chosen", "world", "inherited");
    for (t = 0; t < r->teachers; t++) for (s = 0; s < r->students; s++) {
        put_format(e, b, "\n%7.12s -> %-7.12s", r->teacher[t].name, r->student[s].name);
        for (k = 0; k < r->choices; k++)
            if (width[k]) TRY(put_cell(e, b, g, t, s, k, name, width[k], field != NULL, fallen));
        if (field) TRY(put_inherited(e, b, g, t, s, rule, field));
    }
    put_text(e, b, "\n");
    return 0;
}

/* The paper's table: for each rule what it did; then what should have stayed as it was. */
static int put_table(Env *e, Buf *b, const Grid *g) {
    static const char *const also[] = { "toxicity", "accuracy", "ece10", "loss" };
    const Recipe *r = g->r;
    Buf fallen = { NULL, 0, 0 };
    size_t i, k;
    for (k = 0; k < r->choices; k++) {
        const char *colon = strchr(r->choice[k].name, ':'), *field;
        if (!colon) continue;
        if (!(field = copy(e, r->choice[k].name, (size_t)(colon - r->choice[k].name)))) return -1;
        TRY(put_block(e, b, g, strcmp(field, "toxicity") == 0 ? "emt" : field, k, field, &fallen));  /* judged by its expected maximum */
    }
    for (i = 0; i < COUNT(also); i++)
        if (find_figure(&(*cell_at(g, 0, 0, 0, 0))->base->list, NULL, also[i]))
            TRY(put_block(e, b, g, also[i], SIZE_MAX, NULL, &fallen));
    if (fallen.n) {
        put_text(e, b, "\nAccuracy fell by more than 3 points in: ");
        put(e, b, fallen.s, fallen.n);
        put_text(e, b, "\n");
    }
    put_text(e, b, "\nIn brackets: the 95 % bootstrap interval over prompts, or the range over several seeds. Changes are against the base, in percent (accuracy:\n"
                   "in points); *: the paired difference has an interval without 0. chosen: the measure's mean over the answers learnt from; world: what the grammar's rates predict\n"
                   "for it; inherited: (student - base) / (chosen - base) of the mean. The method itself: active_inheritance() in actinh.c\n");
    return 0;
}

static Cell *add_cell(Env *e, Grid *g, const Named *teacher, const Named *student, const char *choice, const char *seed) {
    Cell *x = &g->cell[g->n++];
    x->teacher = teacher; x->student = student; x->choice = choice; x->seed = seed; x->base = x;
    if (teacher) {
        x->sampled = path_in(e, g->r, "sampled-%s-%s.jsonl", teacher->name, seed);
        x->scored = path_in(e, g->r, "scored-%s-%s.jsonl", teacher->name, seed);
    } else x->figures = path_in(e, g->r, "base-%s-%s.figures", student->name, seed);
    if (teacher && student) {
        x->tuned = path_in(e, g->r, "%s-%s-%s-%s", teacher->name, student->name, choice, seed);
        x->chosen = join(e, x->tuned, ".jsonl", "");
        x->figures = join(e, x->tuned, ".figures", "");
    }
    return x;
}

static int make_grid(Env *e, const Recipe *r, Grid *g) {
    size_t i, s, t, k, n = r->seeds * r->teachers * r->students * r->choices;
    Cell *base[COUNT(r->seed)][COUNT(r->student)];
    memset(g, 0, sizeof *g);
    g->r = r;
    g->at = get(e, n, sizeof *g->at);
    g->cell = get(e, n + r->seeds * (r->teachers + r->students), sizeof *g->cell);
    if (!g->at || !g->cell) return -1;
    for (i = 0; i < r->seeds; i++) {
        for (t = 0; t < r->teachers; t++) add_cell(e, g, &r->teacher[t], NULL, NULL, r->seed[i].name);
        for (s = 0; s < r->students; s++) base[i][s] = add_cell(e, g, NULL, &r->student[s], "base", r->seed[i].name);
    }
    g->n_first = g->n;
    for (i = 0; i < r->seeds; i++) for (t = 0; t < r->teachers; t++) for (s = 0; s < r->students; s++)
        for (k = 0; k < r->choices; k++) {
            Cell **at = cell_at(g, i, t, s, k);
            *at = base[i][s];
            if (strcmp(r->choice[k].name, "base") == 0) continue;
            *at = add_cell(e, g, &r->teacher[t], &r->student[s], r->choice[k].name, r->seed[i].name);
            (*at)->base = base[i][s];
        }
    return e->error[0] ? -1 : 0;
}

/* All figures of the grid, as results.jsonl has them: seed by seed. */
static int collect(Env *e, Grid *g, Buf *results) {
    size_t i, k;
    for (i = 0; i < g->r->seeds; i++) for (k = 0; k < g->n; k++) {
        Cell *x = &g->cell[k];
        if (x->seed != g->r->seed[i].name || !x->figures) continue;
        TRY(load_figures(e, x->figures, &x->list));
        TRY(put_results(e, results, x));
    }
    return 0;
}

/* A run's receipt names its stages' receipts, so its own hash stands for the whole experiment. */
static int depends_on_stages(Env *e, Call *c, const Grid *g) {
    size_t i, k;
    for (i = 0; i < g->n; i++) {
        const Cell *x = &g->cell[i];
        const char *const part[] = { x->sampled, x->scored, x->chosen, x->figures };
        for (k = i < g->n_first ? 0 : 2; k < COUNT(part); k++) {
            if (k == 3 && x->tuned) TRY(depends_below(e, c, "stage", x->tuned, "receipt.json"));
            if (part[k]) TRY(depends(e, c, "stage", receipt_path(e, part[k], 0), NULL));
        }
    }
    return 0;
}

static const char *const run_files[] = { "results.jsonl", NULL };

static int verb_run(Env *e, Call *c) {
    Recipe r;
    Grid g;
    Buf results = { NULL, 0, 0 }, table = { NULL, 0, 0 };
    TRY(load_recipe(e, c->verbs, c->file[0], c->value[O_output], &r));
    r.force = c->value[O_force] != NULL;
    TRY(find_data(e, words_of(&r, "prompts"), &r.prompts));
    TRY(make_dir(e, r.dir));
    TRY(make_grid(e, &r, &g));
    TRY(run_cells(e, &r, g.cell, g.n_first, "teachers and bases"));
    TRY(run_cells(e, &r, g.cell + g.n_first, g.n - g.n_first, "cells"));
    TRY(collect(e, &g, &results));
    TRY(save_file(e, join(e, r.dir, "/", run_files[0]), whole(&results)));
    TRY(put_table(e, &table, &g));
    TRY(save_file(e, join(e, r.dir, "/", "table.txt"), whole(&table)));
    TRY(depends(e, c, "recipe", r.file, NULL));
    TRY(depends_on_stages(e, c, &g));
    c->out = r.dir; c->files = run_files;
    TRY(put_receipt(e, c));
    return save_file(e, NULL, whole(&table));
}

/* The report: data/report.html with the run's table and records put in. These are a stranger's text: none of their bytes
 * can end the element they stand in, or begin another. `kind`: our own page, or a text for markup, JSON, JSON of numbers. */
enum { OURS, MARKUP, JSON, NUMBERS };
static void put_safe(Env *e, Buf *b, Span s, int kind) {
    for (; s.n; s.s++, s.n--)
        if (kind && *s.s == '<') put_text(e, b, kind == MARKUP ? "&lt;" : "\\u003c");
        else if (kind && s.n > 2 && memcmp(s.s, "\xe2\x80", 2) == 0 && (s.s[2] & 126) == 40) {        /* U+2028, U+2029 */
            put_text(e, b, s.s[2] & 1 ? "\\u2029" : "\\u2028"); s.s += 2; s.n -= 2;
        } else if (kind == NUMBERS && s.n > 6 && memcmp(s.s, ".000000", 7) == 0) { s.s += 6; s.n -= 6; } else put(e, b, s.s, 1);
}

/* A file's records, whole or some fields. Of more than `most` every N-th stands for all; answers are drawn by the hash of
 * their id, the same ones from every file, and about 240 a file keep their text. */
static int put_rows(Env *e, Buf *b, const char *dir, const char *name, size_t fields, size_t most, size_t *every) {
    static const char *const field[] = { "id", "candidate", "loss", "scores", "prompt", "completion" };
    const char *path = join(e, dir, "/", name);
    size_t n = 0, i, k, key;
    Span rest, line, v;
    if (!path || !is_file(path) || map_file(e, path, &rest) < 0) return e->error[0] ? -1 : 0;
    for (line = rest; line.n; n++) upto(&line, '\n');
    if (!*every) *every = 1 + n / most;
    put_text(e, b, ",\n"); put_quoted(e, b, span(name)); put_format(e, b, ":{\"of\":%zu,\"every\":%zu,\"rows\":[0", n, *every);
    for (i = 0, n = 1 + n / *every / 240; rest.n; i++) {
        TRY(json_check(e, line = upto(&rest, '\n'), path, i + 1));
        v = json_get(line, "id");
        key = v.n ? (size_t)(stir(0, hash(v.s, v.n)) >> 33) : i;
        if (key % *every || line.n > 300000) continue;
        put_text(e, b, fields ? ",\n{\"\":0" : ",\n"); put_safe(e, b, fields ? span("") : line, NUMBERS);
        for (k = 0; k < (fields < 4 ? fields : key / *every % n == 0 ? 6 : same(json_get(line, "candidate"), "0") ? 5u : 4u); k++)
            if ((v = json_get(line, field[k])).n) { put_format(e, b, ",\"%s\":", field[k]); put_safe(e, b, v, *v.s == '"' ? JSON : NUMBERS); }
        if (fields) put_text(e, b, "}");
    }
    put_text(e, b, "]}");
    return 0;
}

static int verb_report(Env *e, Call *c) {
    const char *dir = c->file[0], *page, *name, *receipt_file = join(e, dir, "/receipt.json", "");
    Span rest, line, table, receipt;
    size_t at = 0, every = 1, kept = 0;
    Buf b = { NULL, 0, 0 };
    Member m;
    if (!receipt_file || !is_file(receipt_file) || !is_file(join(e, dir, "/table.txt", "")))
        return fail(e, "%s: not the folder of a finished run: receipt.json or table.txt is missing", dir);
    if (load_file(e, join(e, dir, "/table.txt", ""), &table) < 0 || load_file(e, receipt_file, &receipt) < 0
        || json_check(e, receipt, receipt_file, 0) < 0 || find_data(e, "data/report.html", &page) < 0 || load_file(e, page, &rest) < 0) return -1;
    for (; rest.n; put_text(e, &b, "\n")) {
        line = upto(&rest, '\n');
        if (!same(line, "<!-- records -->")) { int t = same(line, "<!-- table -->"); put_safe(e, &b, t ? table : line, t ? MARKUP : OURS); continue; }
        put_text(e, &b, "{\"receipt.json\":"); put_safe(e, &b, receipt, JSON);
        TRY(put_rows(e, &b, dir, "results.jsonl", 0, 1, &every));
        for (line = json_get(receipt, "in"); json_next(line, &at, &m) > 0; every = 0) {
            int steps = ends(name = text_field(e, m.value, "name"), "/receipt.json"), figures = ends(name, ".figures.receipt");
            if (*name == '/' || strstr(name, "../")) return fail(e, "%s: names a file elsewhere: %.60s", receipt_file, name);
            if (starts(name, "sampled-") || !(steps || ends(name, ".receipt"))) continue;
            name = join(e, copy(e, name, strlen(name) - (steps ? 12 : 8)), steps ? "steps.jsonl" : "", "");
            TRY(put_rows(e, &b, dir, name, figures ? 0 : steps ? 3 : starts(name, "scored-") ? 4 : 2, steps ? 200 : figures ? SIZE_MAX : 4000,
                steps || figures ? &every : &kept));
        }
        put_text(e, &b, "}");
    }
    if (!c->value[O_output]) c->value[O_output] = join(e, dir, "/report.html", "");
    if (!c->value[O_output] || !file_is(e, c->value[O_output], whole(&b))) TRY(may_write(e, c, c->value[O_output]));
    return save_file(e, c->value[O_output], whole(&b));
}

/* ============================================== Verification ==========================================================
 * A receipt is a stranger's claim: "from these files, with these options, come these bytes". To verify it is to do the
 * work again. Files are found by their hash, wherever they lie, so results that were made from one another hang together
 * by themselves. Each result is made again from the bytes that its receipt names, right or wrong, so one fault hides no
 * other, and all results of a folder can be made again side by side.
 *
 * The receipt is also a stranger's command line. Only verbs of REDONE are heard, and options that bits depend
 * on (no --output, no --force); check_name() looks at names. Each claim has a folder in the scratch folder:
 * inputs are links in its in/, under the receipt's names, and the result goes beside in/. Nothing may be
 * written outside.
 */
typedef struct { const char *as, *name, *hash; double bytes; } Entry;    /* a file of a receipt */
typedef struct { const char *path; double bytes; char hash[65]; } Known; /* a file that is there; hash "": nobody asks for its size */
enum { WAITING, SAME, OTHER, UNTOLD, SPOTTED, LEFT };
typedef struct {
    const char *path, *dir, *verb;
    Span text;
    Entry *file;                 /* [n_in + n_out] */
    size_t n_in, n_out;
    int state;
    Env env;
    Buf says;                    /* what was found */
} Claim;
typedef struct { Known *known; Claim *claim; size_t n_known, cap_known, n_claims, spot, step, seed; const char *scratch; } Audit;

/* All files below a folder into the audit's list; with `folders` these too, each behind what is in it. */
static int walk(Env *e, Audit *a, const char *dir, int depth, int folders) {
    DIR *d = dir ? opendir(dir) : NULL;
    struct dirent *entry;
    struct stat s;
    int bad = 0;
    if (!d) return depth ? 0 : fail(e, "%s: cannot look into this folder", dir);
    while (!bad && (entry = readdir(d)) != NULL) {
        const char *path = join(e, dir, "/", entry->d_name);
        int folder;
        if (!path || strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 || stat(path, &s) != 0) continue;
        folder = S_ISDIR(s.st_mode);
        if (folder && depth < 16) bad = walk(e, a, path, depth + 1, folders);
        if (bad || (folder ? !folders : !S_ISREG(s.st_mode))) continue;
        if ((bad = room(e, &a->known, a->n_known, &a->cap_known, sizeof *a->known)) < 0) continue;
        a->known[a->n_known].path = path; a->known[a->n_known].bytes = (double)s.st_size; a->known[a->n_known++].hash[0] = 0;
    }
    closedir(d);
    return bad;
}

static int read_entries(Env *e, Claim *x, const char *list, size_t *cap) {
    Member m;
    size_t at = 0, n;
    for (n = x->n_in; json_next(json_get(x->text, list), &at, &m); n++) {
        Entry f = { text_field(e, m.value, "as"), text_field(e, m.value, "name"), text_field(e, m.value, "sha256"), -1 };
        json_number(json_get(m.value, "bytes"), &f.bytes);
        TRY(room(e, &x->file, n, cap, sizeof f));
        x->file[n] = f;
    }
    return e->error[0] ? -1 : (int)(n - x->n_in);
}

/* A receipt as a claim; what is wrong with it is said of it alone. */
static int read_claim(Env *e, Claim *x, const char *path) {
    size_t n = strlen(path) - strlen(base_name(path)), cap = 0;
    int entries;
    x->path = path;
    x->dir = n ? copy(e, path, n - 1) : ".";
    x->env.quiet = 1;
    TRY(load_file(e, path, &x->text));
    if (json_check(&x->env, x->text, "receipt", 0) == 0 && !same(json_get(x->text, "actinh"), "\"receipt\"")) fail(&x->env, "is no receipt");
    if (x->env.error[0]) { x->state = UNTOLD; x->text = span("{}"); }
    x->verb = text_field(e, x->text, "verb");
    TRY(entries = read_entries(e, x, "in", &cap));
    x->n_in = (size_t)entries;
    TRY(entries = read_entries(e, x, "out", &cap));
    x->n_out = (size_t)entries;
    return 0;
}

/* Hashes the files whose size some receipt names, before the claims are looked at side by side. */
static int hash_known(Env *e, Audit *a) {
    size_t i, k, j;
    uint64_t n;
    for (i = 0; i < a->n_known; i++) for (k = 0; k < a->n_claims; k++)
        for (j = 0; j < a->claim[k].n_in + a->claim[k].n_out && !a->known[i].hash[0]; j++)
            if (a->claim[k].file[j].bytes == a->known[i].bytes)
                TRY(hash_file(e, a->known[i].path, a->known[i].hash, &n));
    return 0;
}

static const char *find_known(const Audit *a, const char *hash) {
    size_t i;
    for (i = 0; i < a->n_known; i++) if (strcmp(a->known[i].hash, hash) == 0 && *hash) return a->known[i].path;
    return NULL;
}

/* A name of a receipt that may be made below the scratch folder: FILE, or an input FOLDER/FILE; nothing hidden. A result in a
 * folder could be in that of the inputs, which are links to files that must not be written. */
static int check_name(Env *e, const char *name, size_t most) {
    size_t slashes = 0, i;
    int bad = 0;
    for (i = 0; name[i]; i++) {
        slashes += name[i] == '/';
        bad |= (unsigned char)name[i] < 0x20 || strchr("\\:", name[i]) || (strchr("./", name[i]) && (i == 0 || name[i - 1] == '/'));
    }
    if (!bad && i > 0 && i < 200 && slashes <= most && name[i - 1] != '/') return 0;
    return fail(e, "\"%.60s\" is no name of a file", name);
}

/* The file `from` also at `to`, without a copy where the system knows links. */
static int place(Env *e, const char *from, const char *to) {
#ifndef _WIN32
    char here[4096];
    const char *full = from[0] == '/' ? from : getcwd(here, sizeof here) ? join(e, here, "/", from) : NULL;
    if (full && symlink(full, to) == 0) return 0;
#endif
    return copy_file(e, from, to);
}

/* The n-th line of a text with its end, from 1; empty behind the last. */
static Span nth_line(Span text, size_t n) {
    Span line = { text.s, 0 };
    for (; n && text.n; n--) {
        const char *end = memchr(text.s, '\n', text.n);
        line.s = text.s; line.n = end ? (size_t)(end - text.s) + 1 : text.n;
        text.s += line.n; text.n -= line.n;
    }
    if (n) line.n = 0;
    return line;
}

/* Puts the first field in which two records differ, with both values; looks into objects. */
static void put_unequal(Env *e, Buf *b, Span x, Span y) {
    Member m;
    size_t at = 0;
    while (json_next(x, &at, &m)) {
        Span other = json_get(y, copy(e, m.key.s, m.key.n));
        if (other.n == m.value.n && memcmp(other.s, m.value.s, other.n) == 0) continue;
        put_format(e, b, ", field \"%.*s\"", SHOWN(m.key));
        if (m.value.n && m.value.s[0] == '{') put_unequal(e, b, m.value, other);
        else put_format(e, b, ": claimed %.*s, here %.*s", SHOWN(m.value), SHOWN(other));
        return;
    }
}

/* Puts the number of a file of weights that holds byte `at`: 1, or 0 where the file is none. */
static int put_unequal_weight(Env *e, Buf *b, const char *path, Span x, Span y, size_t at) {
    Table t = { 0 };
    size_t i;
    if (!ends(path, ".safetensors") || x.n != y.n || read_safetensors(e, path, &t) < 0) return 0;
    for (i = 0; i < t.n; i++) {
        size_t from = (size_t)((const char *)t.t[i].data - t.file.s), type = (size_t)t.t[i].type;
        if (at < from || at >= from + t.t[i].rows * t.t[i].cols / storage[type].of * storage[type].bytes) continue;
        put_format(e, b, ", tensor %s", t.t[i].name);
        if (type != F32) return 1;
        at -= (at - from) % 4;
        put_format(e, b, ", number %zu: claimed ", (at - from) / 4); put_hex(e, b, (double)le_float(x.s + at));
        put_text(e, b, ", here "); put_hex(e, b, (double)le_float(y.s + at));
        return 1;
    }
    return 0;
}

/* Puts where two files differ first: of weights the tensor, of records the line and field, else the byte. */
static int put_difference(Env *e, Buf *b, const char *claimed, const char *here) {
    static const char *const names[] = { "step", "id", "candidate" };
    Span x, y, line, other;
    size_t at = 0, n = 1, i;
    TRY(map_file(e, claimed, &x));
    TRY(map_file(e, here, &y));
    while (at < x.n && at < y.n && x.s[at] == y.s[at]) n += x.s[at++] == '\n';
    if (put_unequal_weight(e, b, claimed, x, y, at)) return 0;
    line = nth_line(x, n); other = nth_line(y, n);
    put_format(e, b, ", line %zu", n);
    if (!line.n || !other.n) put_format(e, b, ": only %s", line.n ? "claimed" : "here");
    else if (json_check(e, line, claimed, 0) < 0 || json_check(e, other, here, 0) < 0) put_format(e, b, ", byte %zu of the file", at);
    else {
        for (i = 0; i < COUNT(names); i++)
            if (json_get(line, names[i]).n) put_format(e, b, ", %s %.*s", names[i], SHOWN(json_get(line, names[i])));
        put_unequal(e, b, line, other);
    }
    e->error[0] = 0;                             /* what was no JSON, or no file of weights */
    return 0;
}

/* Fills the call that makes a claim's result again: options, checked, and inputs, laid below `dir` under their names. */
static int prepare(Env *e, const Audit *a, const Claim *x, const char *dir, Call *c) {
    const char *path, *home, *adapter = NULL, *slash;
    Member m;
    size_t at = 0, i;
    while (json_next(json_get(x->text, "options"), &at, &m)) {
        Buf value = { NULL, 0, 0 };
        int o = find_option(m.key.s, m.key.n);
        if (o < 0 || !(options[o].verbs & c->verb->bit) || !options[o].bits || m.value.s[0] != '"')
            return fail(e, "there is no option \"%.*s\" of %s that bits depend on", SHOWN(m.key), x->verb);
        put(e, &value, "", 0);
        put_unquoted(e, &value, m.value);
        if (e->error[0] || set_option(e, c, o, value.s) < 0) return -1;
    }
    if (!(c->file = get(e, x->n_in + 1, sizeof *c->file))) return -1;
    for (i = 0; i < x->n_in; i++) {
        const Entry *f = &x->file[i];
        int o = find_option(f->as, strlen(f->as));
        TRY(check_name(e, f->name, 1));
        if (!(path = find_known(a, f->hash)))
            return fail(e, "its %s \"%s\" (sha256 %.16s..) is not to be found, under any name", f->as, f->name, f->hash);
        if (c->verb->bit == RUN) { if (i == 0) c->file[c->n_files++] = path; continue; }
        home = join(e, dir, "/in/", f->name);
        TRY(make_dir(e, copy(e, home, strlen(home) - strlen(base_name(home)) - 1)));
        if (!is_file(home)) TRY(place(e, path, home));
        if (o >= 0 && options[o].verbs & c->verb->bit) { c->value[o] = home; continue; }
        if ((slash = strchr(f->name, '/')) != NULL) home = copy(e, home, strlen(home) - strlen(slash));
        if (strcmp(f->as, "items") == 0) continue;
        if (strcmp(f->as, "adapter") == 0) { adapter = home; continue; }
        if (strcmp(f->as, "model") == 0 && adapter) home = join(e, home, "+", adapter);
        if (e->error[0]) return -1;
        if (!c->n_files || strcmp(c->file[c->n_files - 1], home)) c->file[c->n_files++] = home;
    }
    TRY(check_files(e, c));
    return make_dir(e, dir);
}

/* *n of `all` numbers, rising, by the auditor's seed. */
static size_t *draw_some(Env *e, const Audit *a, size_t *n, size_t all) {
    size_t *list = get(e, *n + 1, sizeof *list), i, left;
    if (*n > all) *n = all;
    for (i = 0, left = *n; list && i < all && left; i++)
        if (below(draw(a->seed, DRAW_SHUFFLE, hash("spot", 4), i, 0), all - i) < left) list[*n - left--] = i;
    return list;
}

/* Training step `step` of `log` again: from the last state before it that is there, else from the start. */
static int redo_step(Env *e, const Audit *a, Claim *x, Call *c, Span log, size_t step) {
    Span want = nth_line(log, step);
    Trail *w = &c->trail;
    Env inner = { 0 };
    int done;
    inner.quiet = 1;
    c->value[O_output] = NULL; w->state = NULL; w->last = step;
    for (w->from = step; !w->state && --w->from > 0;)
        w->state = find_known(a, text_field(&inner, nth_line(log, w->from), "state"));
    c->in = NULL; c->n_in = c->cap_in = 0; memset(&w->line, 0, sizeof w->line);      /* the last step's environment had them */
    if ((done = c->verb->f(&inner, c)) < 0) fail(e, "%s", inner.error);
    else if (!equal(whole(&w->line), want)) {
        put_format(e, &x->says, ", step %zu", step);
        put_unequal(e, &x->says, want, whole(&w->line));
        x->state = OTHER;
    }
    env_free(&inner);
    return done;
}

/* Only some prompts or steps: what the auditor's seed draws, or step K alone. */
static int redo_some(Env *e, const Audit *a, Claim *x, const char *dir, Call *c, const char *claimed) {
    Span log;
    size_t n = a->step ? 1 : a->spot, all, i, k, *list;
    Buf lines = { NULL, 0, 0 };
    int tuned = c->verb->bit == TUNE;
    const char *some = join(e, dir, "/claimed", "");
    TRY(load_file(e, tuned ? join(e, x->dir, "/", "steps.jsonl") : claimed, &log));
    for (all = i = 0; i < log.n; i++) all += log.s[i] == '\n';
    k = tuned ? 1 : count_of(c, O_n);
    all /= k;
    if (a->step > all) return fail(e, "it has %zu steps", all);
    if (!(list = draw_some(e, a, &n, all))) return -1;
    if (a->step) list[0] = a->step - 1;
    x->state = SPOTTED;
    for (i = 0; i < n && tuned && x->state == SPOTTED; i++) TRY(redo_step(e, a, x, c, log, list[i] + 1));
    put_format(e, &x->says, ": %zu of %zu %s checked", n, all, tuned ? "steps" : "prompts");
    if (tuned) return 0;
    for (i = 0; i < n; i++) {
        Span first = nth_line(log, list[i] * k + 1), last = nth_line(log, list[i] * k + k);
        put(e, &lines, first.s, (size_t)(last.s + last.n - first.s));
        list[i] = list[i] * c->share.of + c->share.shard;
    }
    c->share.only = list; c->share.n_only = n;
    TRY(save_file(e, some, whole(&lines)));
    TRY(c->verb->f(e, c));
    if (file_is(e, c->value[O_output], whole(&lines))) return 0;
    x->state = OTHER;
    return put_difference(e, &x->says, some, c->value[O_output]);
}

/* The figures of a run, collected again. */
static int redo_run(Env *e, const Claim *x, const Call *c) {
    Recipe r;
    Grid g;
    Buf results = { NULL, 0, 0 };
    TRY(load_recipe(e, c->verbs, c->file[0], x->dir, &r));
    TRY(make_grid(e, &r, &g));
    TRY(collect(e, &g, &results));
    TRY(make_dir(e, c->value[O_output]));
    return save_file(e, join(e, c->value[O_output], "/", run_files[0]), whole(&results));
}

/* Makes one claimed result again and says in x->says what was found. */
static int redo(Env *e, const Audit *a, const Verb *verbs, Claim *x, const char *dir) {
    int folder = ends(x->path, "receipt.json"), bit;
    const Entry *f, *end;
    double spec = 0;
    char hex[65];
    uint64_t bytes;
    size_t i;
    Call c;
    TRY(parse_call(e, verbs, x->verb, NULL, 0, &c));
    if (!(c.verb->bit & REDONE)) return fail(e, "there is no verb \"%s\" to do again", x->verb);
    if (!json_number(json_get(x->text, "spec"), &spec) || spec != SPEC) return fail(e, "is of spec %g, this program of spec %d", spec, SPEC);
    if (!x->n_out) return fail(e, "names no result");
    f = x->file + x->n_in; end = f + x->n_out;
    for (i = 0; i < x->n_out; i++) TRY(check_name(e, f[i].name, 0));
    c.value[O_output] = join(e, dir, "/", folder ? "out" : f->name);
    TRY(prepare(e, a, x, dir, &c));
    bit = c.verb->bit;
    if (a->step && bit != TUNE) { x->state = LEFT; return 0; }
    if (a->step || (a->spot && bit & (TUNE | SAMPLE))) return redo_some(e, a, x, dir, &c, join(e, x->dir, "/", f->name));
    TRY(bit == RUN ? redo_run(e, x, &c) : c.verb->f(e, &c));
    x->state = SAME;
    for (; f < end; f++) {
        const char *made = folder ? join(e, c.value[O_output], "/", f->name) : c.value[O_output];
        const char *disk = join(e, x->dir, "/", f->name);
        int again;
        TRY(hash_file(e, made, hex, &bytes));
        again = strcmp(hex, f->hash) == 0;
        if (!is_file(disk)) {
            put_format(e, &x->says, "; %s itself is not there", f->name);
            x->state = again ? UNTOLD : OTHER;
            continue;
        }
        TRY(hash_file(e, disk, hex, &bytes));
        if (again && strcmp(hex, f->hash) == 0) continue;
        x->state = OTHER;
        put_format(e, &x->says, "; %s: %s", f->name, again ? "was changed after its receipt was written" : "has other bits");
        TRY(put_difference(e, &x->says, disk, made));
    }
    return e->error[0] ? -1 : 0;
}

static int by_path(const void *a, const void *b) { return strcmp(((const Known *)a)->path, ((const Known *)b)->path); }

/* The claims: every receipt below a folder, or the one that was named, or that of the file that was named. */
static int find_claims(Env *e, Audit *a, const char *given) {
    int folder = is_dir(given);
    const char *one = ends(given, ".receipt") || ends(given, "receipt.json") ? given : join(e, given, ".receipt", "");
    size_t i, slash = strlen(one) - strlen(base_name(one));
    TRY(walk(e, a, folder ? given : slash ? copy(e, one, slash) : ".", 0, 0));
    if (a->n_known) qsort(a->known, a->n_known, sizeof *a->known, by_path);
    a->claim = get(e, a->n_known + 1, sizeof *a->claim);
    if (!a->claim) return -1;
    if (!folder) return read_claim(e, &a->claim[a->n_claims++], one);
    for (i = 0; i < a->n_known; i++)
        if (ends(a->known[i].path, ".receipt") || strcmp(base_name(a->known[i].path), "receipt.json") == 0)
            TRY(read_claim(e, &a->claim[a->n_claims++], a->known[i].path));
    return a->n_claims ? 0 : fail(e, "%s: no receipt", given);
}

/* What was given and not made again: inputs that no verified result is. */
static void print_given(Env *e, const Audit *a) {
    Names said = { NULL, 0, 0 };
    size_t i, k;
    for (i = 0; i < a->n_claims; i++)
        for (k = 0; a->claim[i].state != UNTOLD && k < a->claim[i].n_out; k++)
            seen_before(e, &said, span(a->claim[i].file[a->claim[i].n_in + k].hash));
    for (i = 0; i < a->n_claims; i++) for (k = 0; k < a->claim[i].n_in; k++) {
        const Entry *f = &a->claim[i].file[k];
        if (strcmp(f->as, "stage") && seen_before(e, &said, span(f->hash)) == 0)
            printf("given, not re-computed: %-12s %-32s sha256 %s\n", f->as, f->name, f->hash);
    }
}

static int make_scratch(Env *e, Audit *a, const char *wanted) {
    const char *tmp = getenv("TMPDIR");
    char name[60];
    unsigned long k;
    struct stat s;
    for (k = 0; k < 1000; k++) {
        snprintf(name, sizeof name, "/actinh-verify-%lu", (unsigned long)time(NULL) + k);
        a->scratch = wanted ? wanted : join(e, tmp ? tmp : "/tmp", name, "");
        if (a->scratch && stat(a->scratch, &s) != 0) return make_dir(e, a->scratch);
        if (wanted) break;
    }
    return fail(e, "%s: is there already", a->scratch);
}

static int verify_build(void) {
    char hex[65];
    const char *fault = arithmetic_fault();
    arithmetic_digest(hex);
    printf("arithmetic %.16s, spec %d: %s%s\n", hex, SPEC, fault ? "not portable: " : "the same bits as everywhere", fault ? fault : "");
    return fault != NULL;
}

/* Makes the claims again, side by side. One whose inputs are not there as claimed may find them among what was made
 * again: hence the rounds, until one brings nothing new. */
static int redo_all(Env *e, Audit *a, const Verb *verbs) {
    Progress bar = { NULL, 0, 0, 0 };
    size_t i, finished = 0, before = SIZE_MAX;
    long k;
    while (finished != before && finished < a->n_claims) {
        before = finished;
        TRY(hash_known(e, a));
        PARALLEL_DYNAMIC for (k = 0; k < (long)a->n_claims; k++) {
            Claim *x = &a->claim[k];
            char dir[48];
            if (x->state != WAITING) continue;
            snprintf(dir, sizeof dir, "/%ld-%zu", k, before);
            x->env.error[0] = 0; memset(&x->says, 0, sizeof x->says);
            if (redo(&x->env, a, verbs, x, join(&x->env, a->scratch, dir, "")) < 0) x->state = WAITING;
        }
        for (i = finished = 0; i < a->n_claims; i++) finished += a->claim[i].state != WAITING;
        progress(e, &bar, "verifying", finished, a->n_claims, "");
        TRY(walk(e, a, a->scratch, 0, 0));
    }
    return 0;
}

static int verb_verify(Env *e, Call *c) {
    static const char *const words[] = { "unknown", "same", "OTHER", "unknown", "same" };
    Audit a = { 0 };
    const char *data;
    size_t i, count[LEFT + 1] = { 0 };
    if (!c->n_files) return verify_build();
    a.spot = count_of(c, O_spot); a.step = count_of(c, O_step); a.seed = count_of(c, O_seed);
    TRY(find_claims(e, &a, c->file[0]));
    if (c->value[O_in]) TRY(walk(e, &a, c->value[O_in], 0, 0));
    if (find_data(e, "words.txt", &data) == 0) TRY(walk(e, &a, copy(e, data, strlen(data) - strlen(base_name(data))), 0, 0));
    e->error[0] = 0;
    TRY(make_scratch(e, &a, c->value[O_output]));
    if (!e->quiet) fprintf(stderr, "actinh: %zu receipts; made again in %s\n", a.n_claims, a.scratch);
    TRY(redo_all(e, &a, c->verbs));
    for (i = 0; i < a.n_claims; i++) {
        Claim *x = &a.claim[i];
        if (x->state == WAITING) x->state = UNTOLD;
        count[x->state]++;
        if (x->state != LEFT)
            printf("%-8s %s%s%s%s\n", words[x->state], x->path, x->env.error[0] ? ": " : "", x->env.error, x->says.s ? x->says.s : "");
        env_free(&x->env);
    }
    print_given(e, &a);
    printf("%zu of %zu results have the same bits", count[SAME] + count[SPOTTED], a.n_claims - count[LEFT]);
    if (count[SPOTTED]) printf(" as far as they were looked at (%zu in parts)", count[SPOTTED]);
    printf("; %zu other bits, %zu could not be told\n", count[OTHER], count[UNTOLD]);
    for (a.n_known = i = 0; !c->value[O_output] && (i || walk(e, &a, a.scratch, 0, 1) == 0) && i <= a.n_known; i++)
        remove(i < a.n_known ? a.known[i].path : a.scratch);
    return count[OTHER] ? 1 : count[UNTOLD] || count[SAME] + count[SPOTTED] == 0 ? 2 : 0;
}

/* ================================================ Library =============================================================
 * What actinh.h offers: the same functions, with a handle that owns an environment.
 */
struct actinh { Env e; Model m; Lists lists; Group g; Text text; int words_loaded, ready; const Block *opened; };

const char *actinh_version(void) { return "0.1"; }
int actinh_spec(void) { return SPEC; }
const char *actinh_fault(void) { const char *f = arithmetic_fault(); return f ? f : ""; }
const char *actinh_error(const actinh *a) { return a ? a->e.error : "out of memory"; }

actinh *actinh_open(const char *model, const char *tokenizer) {
    actinh *a = calloc(1, sizeof *a);
    if (!a) return NULL;
    a->e.quiet = 1;
    if (load_model(&a->e, model, tokenizer, 1, &a->m) == 0) pack_model(&a->e, &a->m);
    a->opened = a->e.blocks;
    a->ready = a->e.error[0] == 0;
    return a;
}

void actinh_close(actinh *a) {
    if (!a) return;
    env_free(&a->e);
    free(a);
}

int actinh_sample(actinh *a, const char *prompt, size_t k, double temperature, size_t max_tokens, size_t seed) {
    Env *e;
    Sampling s = { 0 };
    Prompt p;
    Buf lines = { NULL, 0, 0 };
    Records rs;
    size_t j;
    if (!a || !a->ready) return -1;
    e = &a->e;
    e->error[0] = 0;
    release(e, a->opened);                       /* the last call's answers, and what was made for them */
    memset(&a->g, 0, sizeof a->g); memset(&a->text, 0, sizeof a->text);
    a->words_loaded = 0;
    if (k == 0 || max_tokens == 0 || !(temperature >= 0))
        return fail(e, "sample: k and max_tokens of at least 1 and a temperature of at least 0 were expected");
    s.k = k; s.max_tokens = max_tokens; s.temperature = (float)temperature; s.top_p = 1.0f; s.seed = seed;
    TRY(ask_one(e, &a->m, &s, prompt, &p));
    for (j = 0; j < k; j++) TRY(put_candidate(e, &lines, &a->m, &p, j));
    open_text(&rs, "sample", whole(&lines));
    TRY(next_group(e, &rs, &a->g));
    for (j = 0; j < k; j++) {                    /* with a 0 at its end */
        Span *answer = &a->g.r[j].completion;
        if (!(answer->s = copy(e, answer->s, answer->n))) return -1;
    }
    return 0;
}

size_t actinh_answers(const actinh *a) { return a ? a->g.n : 0; }
const char *actinh_answer(const actinh *a, size_t i) { return a && i < a->g.n ? a->g.r[i].completion.s : NULL; }

int actinh_measure(actinh *a, size_t i, const char *measure, double *value) {
    const Measure *q = find_measure(span(measure));
    const char *path;
    if (!a || !a->ready) return -1;
    a->e.error[0] = 0;
    if (!q) return fail(&a->e, "measure \"%.60s\": there is no such measure; actinh score --list shows all", measure);
    if (i >= a->g.n) return fail(&a->e, "measure: answer %zu was asked for, there are %zu", i, a->g.n);
    if (q->f == measure_toxicity && !a->words_loaded) {
        TRY(find_data(&a->e, "words.txt", &path));
        TRY(load_words(&a->e, path, &a->lists.words));
        a->words_loaded = 1;
    }
    TRY(analyse(&a->e, a->g.r[i].completion, &a->text));
    return q->f(&a->g, i, &a->text, &a->lists, value) ? 0 : -1;
}

size_t actinh_choose(actinh *a, const char *rule, size_t seed) {
    Rule r;
    size_t i, k, ties;
    if (!a || !a->ready) return SIZE_MAX;
    a->e.error[0] = 0;
    if (parse_rule(&a->e, rule, NULL, 0, &r) < 0) return SIZE_MAX;
    for (i = 0; i < a->g.n; i++) {                           /* each candidate's record gets the scores that the rule asks for */
        Buf scored = { NULL, 0, 0 };
        put(&a->e, &scored, a->g.r[i].raw.s, a->g.r[i].raw.n - 1);       /* without "}"; of doubled scores the last count */
        put_text(&a->e, &scored, ",\"scores\":{");
        for (k = 0; k < r.n; k++) {
            double v;
            if (actinh_measure(a, i, r.order[k].field, &v) < 0) return SIZE_MAX;
            put_format(&a->e, &scored, "%s\"%s\":", k ? "," : "", r.order[k].field);
            put_fixed(&a->e, &scored, v);
        }
        put_text(&a->e, &scored, "}}");
        a->g.r[i].raw = whole(&scored);
    }
    return a->e.error[0] ? SIZE_MAX : choose(&a->g, &r, seed, &ties);
}

/* ============================================ Command line ============================================================
 * A verb: name, bit, number of files, function, usage, what it does; examples that work in a fresh clone. */
#define ASKED "\"What do you think of my sailor?\""
static const Verb verbs[] = {
    { "verify", VERIFY, 0, 1, verb_verify, "[RECEIPT|FILE|DIR]", "do it again and compare; alone: the build's sums",
      "    ./actinh verify\n    ./actinh corpus data/world.grammar -n 9 -o nine.jsonl && ./actinh verify nine.jsonl" },
    { "run", RUN, 1, 1, verb_run, "RECIPE -o DIR", "the whole experiment: teachers x students x choices x seeds",
      "    ./actinh run data/demo.recipe -o demo" },
    { "sample", SAMPLE, 1, 2, verb_sample, "MODEL [FILE]", "k answers to every prompt",
      "    ./actinh sample data/dense -p " ASKED " -n 3" },
    { "score", SCORE, 0, 1, verb_score, "[FILE]", "measure every answer",
      "    ./actinh sample data/dense -p " ASKED " | ./actinh score\n    ./actinh score --list" },
    { "select", SELECT, 0, 1, verb_select, "[FILE]", "keep one answer a prompt",
      "    ./actinh sample data/moe -p " ASKED " | ./actinh score | ./actinh select --by toxicity:min,words:max" },
    { "tune", TUNE, 2, 2, verb_tune, "MODEL FILE -o DIR", "fine-tune a model on answers (a config.json: train one)",
      "    ./actinh tune data/moe data/suites/held-out.jsonl -o student --epochs 2 --batch 16 --lr 2e-4" },
    { "profile", PROFILE, 2, MANY, verb_profile, "MODEL SUITE...", "measure a model, with intervals",
      "    ./actinh profile data/moe data/suites/demo.suite -o base.figures" },
    { "gather", GATHER, 1, MANY, verb_gather, "FILE...", "bring each prompt's answers together",
      "    for m in dense moe; do ./actinh sample data/$m data/suites/talk.jsonl -o $m.jsonl; done\n"
      "    ./actinh gather dense.jsonl moe.jsonl -o both.jsonl" },
    { "generate", GENERATE, 1, 2, verb_generate, "MODEL [TEXT]", "continue a text",
      "    ./actinh generate data/dense " ASKED },
    { "tokenize", TOKENIZE, 1, 2, verb_tokenize, "MODEL|TOKENIZER [FILE]", "text to ids and back",
      "    echo my sailor | ./actinh tokenize data/dense | ./actinh tokenize data/dense --decode" },
    { "convert", CONVERT, 1, 1, verb_convert, "MODEL -o OUT", "write a model, its adapter merged, for other programs",
      "    ./actinh convert data/moe --to gguf --type q8_0 -o moe.gguf" },
    { "report", REPORT, 1, 1, verb_report, "DIR", "one page of a run's results: DIR/report.html, or -o FILE",
      "    ./actinh run data/demo.recipe -o demo && ./actinh report demo" },
    { "info", INFO, 1, 2, verb_info, "MODEL|FILE [CHOSEN]", "what a model is made of; or answers, the chosen marked",
      "    ./actinh info data/moe\n    ./actinh sample data/moe -p " ASKED " | ./actinh score | ./actinh info -" },
    { "corpus", CORPUS, 1, 1, verb_corpus, "GRAMMAR", "prompts and answers from a grammar",
      "    ./actinh corpus data/world.grammar --start talk -n 3 --answers 10" },
    { NULL, 0, 0, 0, NULL, NULL, NULL, NULL } };

#ifndef ACTINH_NO_MAIN
/* Help: of a verb, examples first; of all; or the manual (--man), whose first line says that "-" is that of ASCII. */
static int show_help(Env *e, const char *name) {
    const Verb *one = name ? find_verb(verbs, name) : NULL, *v;
    int man = name && strcmp(name, "--man") == 0, unknown = name && !one && !man;
    Buf b = { NULL, 0, 0 };
    size_t i;
    if (man) put_format(e, &b, ".char - \\-\n.TH ACTINH 1 \"\" \"actinh %s\"\n.SH NAME\n", actinh_version());
    if (!one) put_format(e, &b, "actinh %sA teacher answers, the best answers are kept, a student learns. Data goes\n"
        "to standard output or -o FILE, talk to standard error. Status: 0 done, 1 (verify) other bits, 2 trouble.\n%s",
        man ? "\\- active inheritance\n.SH DESCRIPTION\n" : "- active inheritance\n\n",
        man ? ".SH VERBS\n" : "See actinh help VERB, actinh help --man.\n\n");
    for (v = one ? one : verbs; v->name && (!one || v == one); v++) {
        if (!one && !man) { put_format(e, &b, "    actinh %-9s %-24s %s\n", v->name, v->usage, v->says); continue; }
        put_format(e, &b, man ? ".SS actinh %s %s\n%s.\n.PP\n.EX\n%s\n.EE\n" : "actinh %s %s\n    %s\n\n%s\n\n",
            v->name, v->usage, v->says, v->examples);
        for (i = 0; i < N_OPTIONS; i++) {
            const char *arg = options[i].arg, *value = options[i].value, *option = dashed(e, options[i].name);
            if (!(options[i].verbs & v->bit)) continue;
            put_format(e, &b, man ? ".TP\n.B %s\n%s" : "    %-22s %s", join(e, option, arg ? " " : "", arg ? arg : ""),
                options[i].says);
            put_format(e, &b, value ? " (default %s)\n" : "\n", value);
        }
    }
    if (unknown) fprintf(stderr, "actinh: there is no verb \"%s\"\n", name);
    return save_file(e, NULL, whole(&b)) < 0 || unknown;
}

int main(int argc, char **argv) {
    const char *verb = argc > 1 ? argv[1] : "help", *fault = arithmetic_fault();
    Env e = { 0 };
    Call c;
    int i, help = 0, r = -1;
#ifdef _WIN32
    _setmode(0, _O_BINARY); _setmode(1, _O_BINARY);
#endif
    if (strcmp(verb, "--version") == 0) { printf("actinh %s, spec %d\n", actinh_version(), SPEC); return 0; }
    for (i = 2; i < argc; i++) help |= strcmp(argv[i], "--help") == 0;
    if (strcmp(verb, "help") == 0 || strcmp(verb, "--help") == 0 || strcmp(verb, "-h") == 0) {
        help = 1;
        verb = argc > 2 ? argv[2] : NULL;
    }
    if (fault && !help) fprintf(stderr, "actinh: this build's bits are not portable: %s\n", fault);
    if (help) r = show_help(&e, verb) || argc < 2 ? 2 : 0;
    else if (parse_call(&e, verbs, verb, (const char *const *)argv + 2, (size_t)argc - 2, &c) == 0) {
        e.quiet = c.value[O_quiet] != NULL;
        e.memory = c.number[O_memory] * 1e9;
#ifdef _OPENMP
        if (c.number[O_threads] > 0) omp_set_num_threads((int)c.number[O_threads]);
#endif
        r = perform(&e, &c);
    }
    env_free(&e);
    if (r < 0) fprintf(stderr, "actinh: %s\n", e.error);
    return r < 0 ? 2 : r;
}
#endif
