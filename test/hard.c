/* hard.c: actinh.c in a hostile world. It includes the file and stands between it and the C library, so that memory, disk
 * and input can be made to fail wherever one likes.
 *
 *     hard bad            every file of the table below is refused: status 2, one message that names file and field, no
 *                         allocation beyond a small multiple of the file, nothing left behind
 *     hard faults [STEP]  each verb on small files, again and again: allocation k fails, then write k (no space, half a
 *                         write, an error on closing, on renaming), for k = 1, 1 + STEP, ...: an error and status 2, no
 *                         file under the final name, nothing leaked; then the same command ends with the plain run's bytes
 *     hard seeds DIR      the files of the table and good ones, a folder for each target of the fuzzer
 *
 * With -DFUZZ it is a libFuzzer target instead (see fuzz.sh): TARGET=gguf ./fuzz CORPUS. Whatever the bytes are, the verb
 * must return 0, 1 or 2 with everything freed.
 */
#define _POSIX_C_SOURCE 200809L
#define _FILE_OFFSET_BITS 64
#include <errno.h>
#include <dirent.h>
#include <fcntl.h>
#include <math.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* ------------------------------------------- between actinh and the C library ------------------------------------------ */
enum { NO_SPACE, SHORT, HOWS };
static struct {
    size_t limit, live, blocks, peak;              /* bytes: one run's limit, now, blocks now, most */
    size_t n_get, n_put, bad_get, bad_put;         /* calls so far; the one that fails (0: none) */
    int how;                                       /* how a write fails */
    FILE *out, *err;                               /* its standard streams */
} wrap;

static void *w_calloc(size_t n, size_t size) {
    size_t *p, bytes = n * size + 16;
    if (++wrap.n_get == wrap.bad_get) return NULL;
    if ((size && n > SIZE_MAX / 2 / size) || (wrap.limit && wrap.live + bytes > wrap.limit)) { if (wrap.peak < bytes) wrap.peak = bytes; return NULL; }
    p = calloc(1, bytes);
    if (!p) return NULL;
    p[0] = bytes;
    wrap.blocks++;
    if ((wrap.live += bytes) > wrap.peak) wrap.peak = wrap.live;
    return p + 2;
}
static void w_free(void *data) {
    size_t *p = data;
    if (!p) return;
    wrap.live -= p[-2]; wrap.blocks--;
    free(p - 2);
}
static int fails_now(void) {
    if (++wrap.n_put != wrap.bad_put) return 0;
    errno = wrap.how == SHORT ? EIO : ENOSPC;
    return 1;
}
static size_t w_fwrite(const void *data, size_t size, size_t n, FILE *f) {
    if (!fails_now()) return fwrite(data, size, n, f);
    if (wrap.how == SHORT && size * n > 1) (void)!fwrite(data, 1, size * n / 2, f);
    errno = ENOSPC;
    return 0;
}
static int w_fflush(FILE *f) { int r = fflush(f); return fails_now() ? EOF : r; }
static int w_fclose(FILE *f) { int r = fclose(f); return fails_now() ? EOF : r; }
static int w_fsync(int f) { (void)f; return fails_now() ? -1 : 0; }
static int w_ftruncate(int f, off_t n) { return fails_now() ? -1 : ftruncate(f, n); }
static int w_rename(const char *from, const char *to) { return fails_now() ? -1 : rename(from, to); }
static int w_mkdir(const char *path, mode_t mode) { return fails_now() ? -1 : mkdir(path, mode); }

#define calloc w_calloc
#define free w_free
#define fwrite w_fwrite
#define fflush w_fflush
#define fclose w_fclose
#define fsync w_fsync
#define ftruncate w_ftruncate
#define rename w_rename
#define mkdir w_mkdir
#undef stdout
#undef stderr
#define stdout wrap.out
#define stderr wrap.err
#define printf(...) fprintf(wrap.out, __VA_ARGS__)
#define main actinh_main
#include "../actinh.c"
#include "world.c"
#undef main
#undef printf
#undef calloc
#undef free
#undef fwrite
#undef fflush
#undef fclose
#undef fsync
#undef ftruncate
#undef rename
#undef mkdir

/* ---------------------------------------------------- running it ------------------------------------------------------- */
static char dir[200];                             /* where its files lie */
static char said[1000];                           /* what the last run said on its standard error */

/* One command; words are parted by spaces, % stands for the folder, ~ for a space within a word. */
static int run_line(const char *command) {
    char text[2000], *argv[60], *p = text;
    int argc = 0, status;
    size_t i;
    for (i = 0; *command && p - text < (int)sizeof text - 220; command++)
        if (*command == '%') p += sprintf(p, "%s", dir); else *p++ = *command;
    *p = 0;
    argv[argc++] = (char *)(uintptr_t)"actinh";
    for (p = strtok(text, " "); p && argc < 59; p = strtok(NULL, " ")) {
        for (i = 0; p[i]; i++) if (p[i] == '~') p[i] = ' ';
        argv[argc++] = p;
    }
    argv[argc] = NULL;
    wrap.n_get = wrap.n_put = wrap.peak = 0;
    rewind(wrap.err);
    (void)!ftruncate(fileno(wrap.err), 0);
    status = strcmp(argv[1], "world") ? actinh_main(argc, argv) : world_main(argc - 1, argv + 1);
    fflush(wrap.out);
    fflush(wrap.err);
    rewind(wrap.err);
    said[fread(said, 1, sizeof said - 1, wrap.err)] = 0;
    return status;
}

static const char *at(const char *name) {         /* the path of a file in the folder; two at a time */
    static char path[2][500];
    static int turn;
    turn = !turn;
    snprintf(path[turn], sizeof path[0], "%s/%s", dir, name);
    return path[turn];
}

static void save(const char *name, const void *data, size_t n) {
    FILE *f = fopen(at(name), "wb");
    if (!f || fwrite(data, 1, n, f) != n || fclose(f) != 0) { perror(at(name)); exit(1); }
}

/* --------------------------------------------- bytes, and small good files --------------------------------------------- */
typedef struct { unsigned char b[1 << 16]; size_t n; } Bytes;

static void u(Bytes *x, uint64_t v, int bytes) { while (bytes--) { x->b[x->n++] = (unsigned char)v; v >>= 8; } }
static void raw(Bytes *x, const void *s, size_t n) { memcpy(x->b + x->n, s, n); x->n += n; }
static void text(Bytes *x, const char *s) { raw(x, s, strlen(s)); }
static void f32(Bytes *x, float v) { uint32_t bits; memcpy(&bits, &v, 4); u(x, bits, 4); }
static void noise(Bytes *x, size_t n) { while (n--) { f32(x, (float)((x->n * 2654435761u >> 9) % 2001) / 1000 - 1); } }
static void gs(Bytes *x, const char *s) { u(x, strlen(s), 8); text(x, s); }             /* GGUF's string */

enum { V = 268, H = 8, F = 8 };                   /* one layer, two heads of four */
static const char *const extra[] = { " ", "a", "b", "e", "l", " a", "el", "ab", "\xc3\xa4" };

static void piece(int id, char *s) {
    if (id < 3) strcpy(s, id == 0 ? "<unk>" : id == 1 ? "<s>" : "</s>");
    else if (id < 259) sprintf(s, "<0x%02X>", (unsigned)id - 3);
    else strcpy(s, extra[id - 259]);
}

static void make_vocabulary(Bytes *x) {            /* llama2.c's tokenizer.bin */
    char s[20];
    u(x, 8, 4);
    for (int i = 0; i < V; i++) { piece(i, s); f32(x, i < 259 ? 0 : (float)-i); u(x, strlen(s), 4); text(x, s); }
}

static void make_sentencepiece(Bytes *x, int model_type) {
    char s[20];
    for (int i = 0; i < V; i++) {
        piece(i, s);
        if (s[0] == ' ') { char t[30]; sprintf(t, "\xe2\x96\x81%s", s + 1); strcpy(s, t); }
        u(x, 0x0a, 1); u(x, strlen(s) + 9, 1);
        u(x, 0x0a, 1); u(x, strlen(s), 1); text(x, s);
        u(x, 0x15, 1); f32(x, i < 259 ? 0 : (float)-i);
        u(x, 0x18, 1); u(x, i == 0 ? 2 : i < 3 ? 3 : i < 259 ? 6 : 1, 1);
    }
    u(x, 0x12, 1); u(x, 2, 1); u(x, 0x18, 1); u(x, (uint64_t)model_type, 1);              /* trainer_spec.model_type: 2 is BPE */
}

static const char config_llama[] = "{\"model_type\":\"llama\",\"hidden_size\":8,\"intermediate_size\":8,\"num_hidden_layers\":1,"
    "\"num_attention_heads\":2,\"num_key_value_heads\":2,\"vocab_size\":268,\"max_position_embeddings\":64,\"rms_norm_eps\":1e-5,"
    "\"rope_theta\":10000,\"bos_token_id\":1,\"eos_token_id\":2,\"tie_word_embeddings\":true}";

/* llama2.c's .bin, version 0 to 2; `lie` changes one number of the header. */
static void make_llama2c(Bytes *x, int version, int field, int lie) {
    int head[7] = { H, F, 1, 2, 2, V, 64 };
    size_t n = (size_t)V * H + H * 2 + 4 * H * H + 3 * H * F + H;
    if (field >= 0) head[field] = lie;
    if (version) { u(x, 0x616b3432, 4); u(x, (uint64_t)version, 4); }
    for (int i = 0; i < 7; i++) u(x, (uint64_t)(uint32_t)head[i], 4);
    if (version) { u(x, 1, 1); if (version == 2) u(x, 8, 4); while (x->n < 256) u(x, 0, 1); }
    if (version < 2) { noise(x, n + (version ? 0 : 64 * 4)); return; }
    noise(x, 3 * H);                                                                      /* norms, then int8 and a scale a group */
    for (size_t i = 0; i < ((size_t)V * H + 4 * H * H + 3 * H * F) / 8; i++) { u(x, i * 77, 8); f32(x, 0.01f); }
}

/* A GGUF file with one lie, the good one for "". Names of lies stand in the table of bad files below. */
static const char *lie;
static int lies(const char *name) { return strcmp(lie, name) == 0; }

static void gguf_number(Bytes *x, const char *key, uint32_t type, double v) {
    if (lies(key)) return;                                                                /* this field is missing */
    gs(x, key); u(x, type, 4);
    if (type == 6) f32(x, (float)v); else u(x, (uint64_t)v, 4);
}

static void make_gguf(Bytes *x) {
    static const struct { const char *name; int cols, rows; } list[] = { { "token_embd", H, V }, { "blk.0.attn_norm", H, 0 },
        { "blk.0.attn_q", H, H }, { "blk.0.attn_k", H, H }, { "blk.0.attn_v", H, H }, { "blk.0.attn_output", H, H }, { "blk.0.ffn_norm", H, 0 },
        { "blk.0.ffn_gate", H, F }, { "blk.0.ffn_up", H, F }, { "blk.0.ffn_down", F, H }, { "output_norm", H, 0 } };
    uint64_t offset = 0, big = (uint64_t)1 << 60;
    char s[40];
    size_t i;
    text(x, lies("magic") ? "GGUX" : "GGUF"); u(x, lies("version 1") ? 1 : lies("version 2^31") ? 0x80000000u : lies("big-endian") ? 0x03000000u : 3, 4);
    u(x, lies("2^60 tensors") ? big : lies("no tensors") ? 0 : lies("a tensor more") ? COUNT(list) + 1 : COUNT(list), 8);
    u(x, lies("2^60 fields") ? big : lies("a field more") ? 99 : 14 - (size_t)(lies("llama.embedding_length") || lies("tokenizer.ggml.scores")
        || lies("llama.context_length")), 8);
    gs(x, "general.architecture"); u(x, lies("architecture is a number") ? 4 : 8, 4); if (lies("architecture is a number")) u(x, 3, 4);
    else if (lies("2^60 letters")) { u(x, big, 8); text(x, "llama"); } else gs(x, lies("gemma") ? "gemma" : "llama");
    gs(x, "general.alignment"); u(x, 4, 4); u(x, lies("alignment 0") ? 0 : lies("alignment 2^31") ? 0x80000000u : 32, 4);
    gguf_number(x, "llama.context_length", 4, 64);
    gguf_number(x, "llama.embedding_length", 4, lies("width 7") ? 7 : lies("width 2^31") ? 2147483648. : H);
    gguf_number(x, "llama.block_count", 4, lies("2^31 layers") ? 2147483648. : lies("no layer") ? 0 : 1);
    gguf_number(x, "llama.feed_forward_length", 4, lies("another width") ? 9 : F);
    gguf_number(x, "llama.attention.head_count", 4, lies("no head") ? 0 : lies("three heads") ? 3 : 2);
    gguf_number(x, "llama.attention.layer_norm_rms_epsilon", 6, lies("epsilon") ? (double)NAN : 1e-5);
    gguf_number(x, "llama.rope.freq_base", lies("theta is a text of no type") ? 77 : 6, 1e4);
    gguf_number(x, "tokenizer.ggml.eos_token_id", 4, lies("eos") ? 4e9 : lies("eos just past the pieces") ? V : 2);
    gs(x, "tokenizer.ggml.model"); u(x, 8, 4); gs(x, lies("gpt2") ? "gpt2" : "llama");
    gs(x, "tokenizer.ggml.tokens"); u(x, 9, 4); u(x, lies("array of arrays") ? 9 : lies("array of nothing") ? 13 : 8, 4);
    u(x, lies("2^60 pieces") ? big : lies("no piece") ? 0 : V, 8);
    for (i = 0; i < V && !lies("no piece"); i++) { piece((int)i, s); if (lies("bytes missing") && i == 70) strcpy(s, "q"); gs(x, s); }
    if (!lies("tokenizer.ggml.scores")) { gs(x, "tokenizer.ggml.scores"); u(x, 9, 4); u(x, 6, 4); u(x, lies("a score less") ? V - 1 : V, 8);
        for (i = 0; i < V - (size_t)lies("a score less"); i++) f32(x, lies("a score that is not a number") && i == 260 ? NAN : i < 259 ? 0 : -(float)i); }
    gs(x, "tokenizer.ggml.token_type"); u(x, 9, 4); u(x, 5, 4); u(x, V, 8);
    for (i = 0; i < V; i++) u(x, i == 0 ? 2 : i < 3 ? 3 : i < 259 ? 6 : 1, 4);
    for (i = 0; i < COUNT(list); i++) {
        int last = i + 1 == COUNT(list), q = i == 2;
        uint64_t bytes = 4u * (uint64_t)list[i].cols * (uint64_t)(list[i].rows ? list[i].rows : 1);
        snprintf(s, sizeof s, "%s.weight", list[q && lies("twice the same") ? i - 1 : i].name);
        if (q && lies("2^60 letters in a name")) { u(x, big, 8); text(x, s); } else gs(x, q && lies("an unknown name") ? "blk.0.attn_qq.weight" : s);
        if (q && lies("2^31 sizes")) { u(x, 0x80000000u, 4); continue; }
        if (q && lies("no sizes")) { u(x, 0, 4); continue; }
        u(x, list[i].rows ? 2 : 1, 4);
        u(x, q && lies("a size of 0") ? 0 : q && lies("a size of 2^62") ? (uint64_t)1 << 62 : q && lies("sizes that overflow") ? (uint64_t)1 << 33 : (uint64_t)list[i].cols, 8);
        if (list[i].rows) u(x, q && lies("sizes that overflow") ? (uint64_t)1 << 33 : q && lies("a row more") ? (uint64_t)list[i].rows + 1 : (uint64_t)list[i].rows, 8);
        u(x, q && lies("type 99") ? 99 : q && lies("Q4_K rows of 8") ? 12 : q && lies("a removed type") ? 4 : 0, 4);
        u(x, last && lies("an offset beyond the end") ? 1u << 20 : last && lies("an offset of 2^63") ? (uint64_t)1 << 63 : offset, 8);
        offset += (bytes + 31) / 32 * 32;
    }
    if (lies("a header only")) return;
    while (x->n % 32) u(x, 0, 1);
    noise(x, offset / 4);
    if (lies("a byte less")) x->n -= 33;
    if (lies("a weight that is not a number")) { x->n -= 64; f32(x, NAN); noise(x, 15); }
}

static int copy_of(const char *from, const char *to) {
    static char b[1 << 20];
    FILE *f = fopen(at(from), "rb");
    size_t n = f ? fread(b, 1, sizeof b, f) : 0;
    if (f) { fclose(f); save(to, b, n); }
    return f != NULL;
}

static void made(const char *command) {
    if (run_line(command) != 0) { printf("FAILED  good files: %s: %s\n", command, said); exit(1); }
}

/* The good files that everything below starts from; a tiny model in each format, answers, lists. */
static void good_files(void) {
    static Bytes x;
    static const char *const files[][2] = {
        { "c.json", config_llama },
        { "r.jsonl", "{\"id\":\"1\",\"candidate\":0,\"prompt\":\"a b\",\"completion\":\" ab el.\",\"stop\":\"eos\",\"scores\":{\"x\":1}}\n"
                     "{\"id\":\"1\",\"candidate\":1,\"prompt\":\"a b\",\"completion\":\" stupid \\u00e4 ab, a b.\",\"stop\":\"eos\",\"scores\":{\"x\":2}}\n"
                     "{\"instruction\":\"b\",\"input\":\"a\",\"output\":\"el\"}\n{\"messages\":[{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"assistant\",\"content\":\"b\"}]}\n" },
        { "one.jsonl", "{\"id\":\"1\",\"prompt\":\"a b\",\"completion\":\" ab el\"}\n" },
        { "q.jsonl", "{\"prompt\":\"a\",\"choices\":[\"b\",\"el\"],\"answer\":1,\"kind\":\"x\"}\n" },
        { "q.csv", "prompt,answer\n\"a, b\",1\n" },
        { "s.suite", "# a\n[t]\nkind = sample\nitems = one.jsonl\nsamples = 2\nmax-tokens = 3\nreport = emt, words, cut\n[q]\nkind = choice\n"
                     "items = q.jsonl\nby = {kind}\nreport = acc, ece10, acc.*\n" },
        { "csv.suite", "[q]\nkind = choice\nitems = q.csv\nprompt = {prompt}\nchoices = a, b\ngold = {answer}\nreport = acc\n" },
        { "t.template", "### {prompt}\n=> " },
        { "x.recipe", "teachers = a: %/m\nstudents = a\nseeds = 1\nprompts = %/one.jsonl\nchoices = base, first, words:max\nsample = -n 2 --max-tokens 3\n"
                      "score = --measures words\ntune = --epochs 1 --steps 1 --batch 2\nprofile = %/s.suite\n" },
        { "w.words", "0.5\tstupid\n0.2\tget lost\n0.9\tfrak*\n" },
        { "g.grammar", "# a\ndoc: 2* <x=n> <a>? => <^x> <!y=n> <y>. // yes.\nn: a | b\na: red | blue\n" },
        { "h.dic", "UTF-8\nLEFTHYPHENMIN 2\n.a1b\na1b2c\n" },
        { "p.pairs", "stupid\tab\n" },
        { "by.txt", "words:max,toxicity:min" },
        { "text", "a b \xc3\xa4 el\n" } };
    for (size_t i = 0; i < COUNT(files); i++) {           /* % in a recipe is the folder */
        x.n = 0;
        for (const char *s = files[i][1]; *s; s++) if (*s == '%') text(&x, dir); else u(&x, (unsigned char)*s, 1);
        save(files[i][0], x.b, x.n);
    }
    x.n = 0; make_vocabulary(&x); save("tokenizer.bin", x.b, x.n); (void)mkdir(at("v"), 0777); save("v/tokenizer.bin", x.b, x.n);
    x.n = 0; make_sentencepiece(&x, 2); save("tokenizer.model", x.b, x.n);
    x.n = 0; lie = ""; make_gguf(&x); save("g.gguf", x.b, x.n);
    for (int v = 0; v < 3; v++) { char name[20]; sprintf(name, "v%d.bin", v); x.n = 0; make_llama2c(&x, v, -1, 0); save(name, x.b, x.n); }
    made("convert %/g.gguf -o %/m --force --quiet");
    made("tune %/m %/one.jsonl --lora 2 --steps 1 --epochs 1 --batch 1 -o %/ad --force --quiet");
    made("sample %/m %/one.jsonl -n 2 --max-tokens 3 -o %/s.jsonl --force --quiet");
    made("score %/s.jsonl --measures words -o %/sc.jsonl --force --quiet");
    (void)mkdir(at("i"), 0777);
    if (!(copy_of("m/config.json", "i/config.json") && copy_of("tokenizer.bin", "i/tokenizer.bin") && copy_of("m/model.safetensors", "i/one.safetensors"))) exit(1);
    save("i/model.safetensors.index.json", "{\"weight_map\":{\"lm_head.weight\":\"one.safetensors\"}}", 51);
}

/* ----------------------------------------------------- the fuzzer ------------------------------------------------------ */
/* A target: the file that the bytes become, and the commands that read it. */
static const struct { const char *name, *file, *command[5]; } targets[] = {
    { "gguf", "g.gguf", { "info %/g.gguf", "generate %/g.gguf a --max-tokens 2 --quiet" } },
    { "safetensors", "m/model.safetensors", { "generate %/m a --max-tokens 2 --quiet" } },
    { "config", "m/config.json", { "info %/m", "generate %/m a --max-tokens 2 --quiet" } },
    { "llama2c", "v0.bin", { "generate %/v0.bin a --tokenizer %/tokenizer.bin --max-tokens 2 --quiet" } },
    { "index", "i/model.safetensors.index.json", { "generate %/i a --max-tokens 2 --quiet" } },
    { "tokenizer.bin", "v/tokenizer.bin", { "tokenize %/v/tokenizer.bin %/text" } },
    { "tokenizer.model", "tokenizer.model", { "tokenize %/tokenizer.model %/text" } },
    { "tokenizer.json", "m/tokenizer.json", { "tokenize %/m/tokenizer.json %/text" } },
    { "adapter", "ad/adapter_model.safetensors", { "generate %/m+%/ad a --max-tokens 2 --quiet" } },
    { "adapter_config", "ad/adapter_config.json", { "generate %/m+%/ad a --max-tokens 2 --quiet" } },
    { "records", "r.jsonl", { "gather %/r.jsonl --force --quiet -o %/c1", "score %/c1 --measures all --force --quiet -o %/c2",
        "select %/c2 --by mtld:max,words:min,x:min --where words>=1 --force --quiet -o %/c3", "tune %/m %/r.jsonl --show-mask --quiet",
        "gather %/r.jsonl --fields id=id,prompt=prompt,completion=messages.*.content,x=*.role=user.content --force --quiet -o %/c4" } },
    { "text", "text", { "tokenize %/m %/text", "tokenize --decode %/m %/text" } },
    { "suite", "s.suite", { "profile %/m %/s.suite --quiet" } },
    { "csv", "q.csv", { "profile %/m %/csv.suite --quiet" } },
    { "template", "t.template", { "tune %/m %/r.jsonl --show-mask --template %/t.template --quiet" } },
    { "recipe", "x.recipe", { "run %/x.recipe -o %/run --quiet --force" } },
    { "receipt", "s.jsonl.receipt", { "verify %/s.jsonl.receipt --in % --quiet" } },
    { "words", "w.words", { "score %/r.jsonl --words %/w.words --quiet" } },
    { "grammar", "g.grammar", { "world %/g.grammar -n 3 --quiet", "world %/g.grammar -n 2 --choices 2 --distinct --quiet" } },
    { "hyphenation", "h.dic", { "score %/r.jsonl --measures syllables_per_token_mean --hyphenation %/h.dic --quiet" } },
    { "stereotypes", "p.pairs", { "score %/r.jsonl --measures stereotype --stereotypes %/p.pairs --quiet" } } };

static void begin(const char *where) {
    snprintf(dir, sizeof dir, "%s", where);
    if (mkdir(dir, 0777) != 0 && errno != EEXIST) { perror(dir); exit(1); }
    wrap.out = fopen("/dev/null", "w");
    wrap.err = tmpfile();
    if (!wrap.out || !wrap.err) { perror("hard"); exit(1); }
    good_files();
}

#ifdef FUZZ
static size_t target;

int LLVMFuzzerInitialize(int *argc, char ***argv) {
    char where[100];
    const char *name = getenv("TARGET"), *base = getenv("FUZZ_DIR");
    (void)argc; (void)argv;
    for (target = 0; target < COUNT(targets) && (!name || strcmp(targets[target].name, name)); target++) ;
    if (target == COUNT(targets)) { fprintf((stdout), "TARGET?\n"); exit(1); }
    snprintf(where, sizeof where, "%s/hard-%ld", base ? base : "/tmp", (long)getpid());
    begin(where);
    wrap.limit = (size_t)256 << 20;
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    save(targets[target].file, data, n);
    for (size_t i = 0; i < 5 && targets[target].command[i]; i++) {
        int status = run_line(targets[target].command[i]);
        if (status < 0 || status > 2 || (status == 2 && !said[0] && strncmp(targets[target].command[i], "verify", 6)) || wrap.blocks) {
            printf("%s: status %d, %zu blocks left, said: %s\n", targets[target].command[i], status, wrap.blocks, said);
            abort();
        }
    }
    return 0;
}
#else
/* ------------------------------------------------------ checks -------------------------------------------------------- */
static FILE *out;
static size_t passed, failed;

static void result(int ok, const char *format, ...) {
    va_list args;
    if (ok) { passed++; return; }
    failed++;
    va_start(args, format);
    fputs("FAILED  ", out);
    vfprintf(out, format, args);
    fputs("\n", out);
    va_end(args);
}

static int is_there(const char *name) { struct stat s; return stat(at(name), &s) == 0; }
static void clear(void) { char line[900]; snprintf(line, sizeof line, "rm -rf '%s'/f '%s'/f.* '%s'/f.part*", dir, dir, dir); if (system(line)) exit(1); }
static int same_tree(const char *a, const char *b) {
    char line[1200];
    snprintf(line, sizeof line, "diff -r -x run.log -x '*.log' '%s' '%s' >/dev/null 2>&1", at(a), at(b));
    return system(line) == 0;
}

/* A bad file is refused by all that is promised. */
static void refused(const char *what, const char *file, const char *command, const char *pattern) {
    struct stat s;
    const char *base = strrchr(file, '/') ? strrchr(file, '/') + 1 : file;
    char *end;
    int status, ok;
    size_t bound;
    clear();
    status = run_line(command);
    bound = ((size_t)6 << 20) + (stat(at(file), &s) == 0 ? 40 * (size_t)s.st_size : 0);
    end = strchr(said, '\n');
    ok = status == 2 && strncmp(said, "actinh: ", 8) == 0 && end && !end[1] && strstr(said, base) && strstr(said, pattern);
    result(ok, "%s: %s: status %d, \"%s\" and \"%s\" were expected in one line: %s", base, what, status, base, pattern, said);
    result(wrap.blocks == 0 && wrap.peak < bound, "%s: %s: %zu blocks left, %zu bytes at most", base, what, wrap.blocks, wrap.peak);
    result(!is_there("f") && !is_there("f.part") && !is_there("f.receipt"), "%s: %s: something is left behind", base, what);
}

#include "bad.h"

static void bad_files(void) {
    static Bytes x;
    static char keep[1 << 16], page[] = "<!DOCTYPE html>\n<html><head><title>404: Not Found</title></head>\n<body>Log in to download.</body></html>\n";
    size_t i, k, n;
    for (i = 0; i < COUNT(bad_gguf); i++) {
        lie = bad_gguf[i][0]; x.n = 0; make_gguf(&x); save("bad.gguf", x.b, x.n);
        refused(lie, "bad.gguf", "generate %/bad.gguf a --max-tokens 2 -o %/f", bad_gguf[i][1]);
    }
    for (i = 0; i < COUNT(bad_header) * 3; i++) {
        char what[60];
        x.n = 0; make_llama2c(&x, (int)(i % 3), bad_header[i / 3].field, bad_header[i / 3].value); save("bad.bin", x.b, x.n);
        snprintf(what, sizeof what, "version %d, number %d is %d", (int)(i % 3), bad_header[i / 3].field, bad_header[i / 3].value);
        refused(what, "bad.bin", "generate %/bad.bin a --tokenizer %/tokenizer.bin -o %/f", bad_header[i / 3].says);
    }
    for (i = 0; i < COUNT(bad_text); i++) {
        FILE *f = fopen(at(bad_text[i].file), "rb");
        n = f ? fread(keep, 1, sizeof keep, f) : 0;
        if (f) fclose(f);
        save(bad_text[i].file, bad_text[i].is, bad_text[i].n ? bad_text[i].n : strlen(bad_text[i].is));
        refused(bad_text[i].is, bad_text[i].file, bad_text[i].command, bad_text[i].says);
        if (f) save(bad_text[i].file, keep, n);
    }
    for (i = 0; i < COUNT(targets); i++) {            /* a web page in place of each; then each cut off at many places */
        FILE *f = fopen(at(targets[i].file), "rb");
        char command[300];
        n = f ? fread(keep, 1, sizeof keep, f) : 0;
        if (f) fclose(f);
        snprintf(command, sizeof command, "%s%s", targets[i].command[0], strstr(targets[i].command[0], "-o %") || strstr(targets[i].command[0], "verify ") || strstr(targets[i].command[0], "info ") ? "" : " -o %/f");
        if (strcmp(targets[i].name, "text") && strcmp(targets[i].name, "receipt")) {      /* verify says it in its table */
            save(targets[i].file, page, sizeof page - 1);
            refused("a web page", targets[i].file, command, "");
        }
        for (k = 0; f && k < n; k += 1 + n / 100) {
            int status;
            clear();
            save(targets[i].file, keep, k);
            status = run_line(command);
            result(status >= 0 && status <= 2 && wrap.blocks == 0 && (status != 2 || said[0] || strstr(command, "verify ")), "%s of %zu bytes: status %d, %zu blocks left, said %s", targets[i].file, k, status, wrap.blocks, said);
        }
        if (f) save(targets[i].file, keep, n);
    }
}

/* Every allocation and every write of a command fails once. */
static void faults(size_t step) {
    static const char *const commands[] = {
        "info %/m", "tokenize %/m %/text -o %/f", "generate %/m a --max-tokens 3 -o %/f", "world %/g.grammar -n 3 -o %/f",
        "sample %/m %/one.jsonl -n 2 --max-tokens 3 -o %/f", "gather %/r.jsonl -o %/f", "score %/s.jsonl --measures all -o %/f",
        "select %/sc.jsonl --by words:max,words:min -o %/f", "profile %/m %/s.suite -o %/f", "convert %/m --to gguf -o %/f",
        "convert %/m+%/ad --type bf16 -o %/f", "tune %/m %/one.jsonl --epochs 2 --batch 1 --checkpoint 1 --keep-checkpoints -o %/f",
        "tune %/m %/one.jsonl --epochs 1 --batch 1 --lora 2 --recompute -o %/f", "verify %/s.jsonl.receipt --in %", "run %/x.recipe -o %/f" };
    for (size_t c = 0; c < COUNT(commands); c++) {
        size_t gets, puts, k, refusals = 0, of[2];
        char line[300], again[320], move[900];
        clear();
        snprintf(line, sizeof line, "%s --quiet", commands[c]);
        snprintf(again, sizeof again, "%s%s", line, c < 3 ? " --force" : "");             /* these three leave no receipt */
        result(run_line(line) == 0, "%s: %s", line, said);
        gets = wrap.n_get; puts = wrap.n_put;
        snprintf(move, sizeof move, "rm -rf '%s/good'; mv '%s/f' '%s/good' 2>/dev/null", dir, dir, dir);
        (void)!system(move);
        of[0] = gets; of[1] = puts * HOWS;
        for (int kind = 0; kind < 2; kind++) for (k = 1; k <= of[kind]; k += 1 + (step - 1) * (of[kind] > 40)) {
            int status, has = strstr(line, "-o ") != NULL;
            clear();
            wrap.bad_get = kind == 0 ? k : 0;
            wrap.bad_put = kind == 1 ? 1 + (k - 1) / HOWS : 0; wrap.how = (int)((k - 1) % HOWS);
            status = run_line(line);
            wrap.bad_get = wrap.bad_put = 0;
            refusals += status == 2;
            result((status == 2 || status == 0) && wrap.blocks == 0 && (status == 0 || said[0] || strstr(line, "verify")),
                "%s: %s %zu fails: status %d, %zu blocks left, said %s", line, kind ? "write" : "allocation", k, status, wrap.blocks, said);
            if (!has) continue;
            if (is_there("f") && !is_dir(at("f"))) result(same_tree("f", "good"), "%s: %s %zu fails: half a file under its name", line, kind ? "write" : "allocation", k);
            status = run_line(again);
            result(status == 0 && same_tree("f", "good"), "%s: %s %zu failed; then the command does not end as it should: status %d, %s", line, kind ? "write" : "allocation", k, status, said);
        }
        if (step == 1 || getenv("SHOW")) fprintf(out, "%-90s %6zu allocations %5zu writes, %zu refusals\n", line, gets, puts, refusals);
    }
}

int main(int argc, char **argv) {
    out = fdopen(dup(1), "w");
    begin(getenv("HARD_DIR") ? getenv("HARD_DIR") : "test/build/hard.d");
    if (argc < 2) return 2;
    if (strcmp(argv[1], "bad") == 0) bad_files();
    if (strcmp(argv[1], "faults") == 0) faults(argc > 2 ? (size_t)atoi(argv[2]) : 1);
    if (strcmp(argv[1], "seeds") == 0 && argc > 2) for (size_t t = 0; t < COUNT(targets); t++) {
        char path[400], data[1 << 16];
        FILE *f = fopen(at(targets[t].file), "rb"), *o;
        size_t n;
        if (!f) continue;
        n = fread(data, 1, sizeof data, f); fclose(f);
        snprintf(path, sizeof path, "%s/%s", argv[2], targets[t].name); mkdir(argv[2], 0777); mkdir(path, 0777);
        strcat(path, "/good"); o = fopen(path, "wb"); fwrite(data, 1, n, o); fclose(o);
    }
    fprintf(out, "%zu passed, %zu failed\n", passed, failed);
    return failed != 0;
}
#endif
