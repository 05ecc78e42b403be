/* vocabulary SIZE RECORDS OUT: makes a tokenizer.bin of SIZE pieces from the texts of a file of records. The bundled
 * vocabulary was made with it (make models); the same records give the same bytes everywhere.
 *
 * The text falls into words: a letter run, a digit, or another character, each with the one space before it.
 * Pieces never cross words. The most frequent pair of neighbours is merged, over all words at once, until the vocabulary
 * is full; the single characters come last, as in SentencePiece's files. */
#ifndef ACTINH_H
#define ACTINH_NO_MAIN
#include "../actinh.c"
#endif

typedef struct { size_t from, n, count; } Word;              /* symbols [from, from + n) of one pool; how often it occurs */
typedef struct { Word *word; size_t n, cap; int *symbol; size_t symbols, symbol_cap; Tokenizer words; Names pairs; } WordPool;

static size_t word_length(const char *s, size_t n) {
    size_t i = n > 1 && s[0] == ' ', k;
    uint32_t c;
    if (is_alpha((unsigned char)s[i])) { while (i < n && is_alpha((unsigned char)s[i])) i++; return i; }
    k = utf8(s + i, n - i, &c);
    return s[i] == ' ' ? 1 : i + k;
}

static int count_words(Env *e, WordPool *p, Span text) {
    while (text.n) {
        Span w = { text.s, word_length(text.s, text.n) };
        int id = find_piece(&p->words, w.s, w.n, 0);
        if (id < 0) {
            id = (int)p->words.n;
            w.s = copy(e, w.s, w.n);
            if (!w.s || add_piece(e, &p->words, w, 0, NORMAL) < 0 || room(e, &p->word, p->n, &p->cap, sizeof *p->word) < 0) return -1;
            memset(&p->word[p->n++], 0, sizeof *p->word);
        }
        p->word[id].count++;
        text.s += w.n; text.n -= w.n;
    }
    return 0;
}

/* The most frequent pair over all words, lowest ids first among equals; *count is 0 when none is left. */
static int best_pair(Env *e, WordPool *p, int *a, int *b, size_t *count) {
    size_t i, k;
    clear_names(&p->pairs);
    *count = 0;
    for (i = 0; i < p->n; i++) for (k = 0; k + 1 < p->word[i].n; k++) {
        int x = p->symbol[p->word[i].from + k], y = p->symbol[p->word[i].from + k + 1];
        size_t *times = number_for(e, &p->pairs, pair_key(x, y));
        if (!times) return -1;
        *times += p->word[i].count;
        if (*times > *count || (*times == *count && (x < *a || (x == *a && y < *b)))) { *count = *times; *a = x; *b = y; }
    }
    return 0;
}

static int read_words(Env *e, const char *path, WordPool *p) {
    Records rs;
    Record r;
    int any;
    memset(&r, 0, sizeof r);
    TRY(open_records(e, &rs, path));
    while ((any = next_record(e, &rs, &r)) > 0) {
        Buf line = { NULL, 0, 0 };
        put_text(e, &line, " ");
        put(e, &line, r.prompt.s, r.prompt.n);
        put(e, &line, r.completion.s, r.completion.n);
        TRY(count_words(e, p, whole(&line)));
        drop(e, line.s);
    }
    if (any < 0) return -1;
    return p->n ? 0 : fail(e, "%s: no records", rs.in.path);
}

/* Words into characters, as symbols -1, -2, ..: negative until merged. chars->score counts each character. */
static int words_to_characters(Env *e, WordPool *p, Tokenizer *chars) {
    size_t i, k;
    for (i = 0; i < p->n; i++) {
        Span w = p->words.piece[i].text;
        p->word[i].from = p->symbols;
        for (k = 0; k < w.n; p->word[i].n++) {
            uint32_t c;
            Span one = { w.s + k, utf8(w.s + k, w.n - k, &c) };
            int id = find_piece(chars, one.s, one.n, 0);
            if (id < 0) { id = (int)chars->n; TRY(add_piece(e, chars, one, 0, NORMAL)); }
            chars->piece[id].score += (float)p->word[i].count;
            TRY(room(e, &p->symbol, p->symbols, &p->symbol_cap, sizeof *p->symbol));
            p->symbol[p->symbols++] = -id - 1;
            k += one.n;
        }
    }
    return 0;
}

/* Every "a b" in every word becomes `id`. */
static void merge_everywhere(WordPool *p, int a, int b, int id) {
    size_t i, k, to;
    for (i = 0; i < p->n; i++) {
        Word *w = &p->word[i];
        int *s = p->symbol + w->from;
        for (k = to = 0; k < w->n; k++, to++) {
            int here = k + 1 < w->n && s[k] == a && s[k + 1] == b;
            s[to] = here ? id : s[k];
            k += (size_t)here;
        }
        w->n = to;
    }
}

static int train_tokenizer(Env *e, const char *path, size_t size, Tokenizer *t) {
    WordPool p;
    Tokenizer chars;
    size_t i, k, count = 0;
    int a = 0, b = 0;
    memset(&p, 0, sizeof p); memset(&chars, 0, sizeof chars); memset(t, 0, sizeof *t);
    TRY(read_words(e, path, &p));
    TRY(words_to_characters(e, &p, &chars));
    if (size < PIECES + chars.n)
        return fail(e, "%zu pieces: too few: 3 marks, 256 bytes and the %zu characters of %s need %zu", size, chars.n,
            path, PIECES + chars.n);
    TRY(add_piece(e, t, span("<unk>"), 0, UNKNOWN_MARK));
    TRY(add_piece(e, t, span("<s>"), 0, MARK));
    TRY(add_piece(e, t, span("</s>"), 0, MARK));
    for (i = 0; i < 256; i++) {
        char name[8];
        snprintf(name, sizeof name, "<0x%02X>", (unsigned)i);
        TRY(add_piece(e, t, span(copy(e, name, 6)), 0, BYTE));
    }
    while (t->n + chars.n < size) {
        Span x, y, both;
        Buf pair;
        int id;
        TRY(best_pair(e, &p, &a, &b, &count));
        if (count < 2) break;
        x = a < 0 ? chars.piece[-a - 1].text : t->piece[a].text;
        y = b < 0 ? chars.piece[-b - 1].text : t->piece[b].text;
        pair.s = NULL; pair.n = pair.cap = 0;
        put(e, &pair, x.s, x.n);
        put(e, &pair, y.s, y.n);
        if (e->error[0]) return -1;
        both = whole(&pair);
        id = find_piece(t, both.s, both.n, 0);                      /* "ab"+"c" may already be there as "a"+"bc" */
        if (id < 0) { id = (int)t->n; TRY(add_piece(e, t, both, -(float)(t->n - PIECES), NORMAL)); }
        merge_everywhere(&p, a, b, id);
    }
    for (k = 0; k < chars.n; k++) {                          /* most frequent first, then in order of appearance */
        size_t best = 0;
        for (i = 0; i < chars.n; i++) if (chars.piece[i].score > chars.piece[best].score) best = i;
        chars.piece[best].score = -1;
        TRY(add_piece(e, t, chars.piece[best].text, -(float)(t->n - PIECES), NORMAL));
    }
    if (t->n < size) return fail(e, "%zu pieces: too many: %s has no more than %zu pieces in it", size, path, t->n);
    return 0;
}

static int save_tokenizer(Env *e, const char *path, const Tokenizer *t) {
    Buf b = { NULL, 0, 0 };
    size_t i, longest = 0;
    for (i = 0; i < t->n; i++) if (t->piece[i].text.n > longest) longest = t->piece[i].text.n;
    put_le(e, &b, (uint32_t)longest, 4);
    for (i = 0; i < t->n; i++) {
        const char *end = t->piece[i].kind == MARK ? "\n" : "";      /* "\n<s>\n": so llama2.c has it */
        put_le(e, &b, bits32(t->piece[i].score), 4);
        put_le(e, &b, (uint32_t)(t->piece[i].text.n + 2 * strlen(end)), 4);
        put_text(e, &b, end); put(e, &b, t->piece[i].text.s, t->piece[i].text.n); put_text(e, &b, end);
    }
    TRY(save_file(e, path, whole(&b)));
    drop(e, b.s);
    return 0;
}

int main(int argc, char **argv) {
    Env e;
    Tokenizer t;
    memset(&e, 0, sizeof e);
    if (argc != 4) fail(&e, "usage: vocabulary SIZE RECORDS OUT");
    else if (train_tokenizer(&e, argv[2], strtoul(argv[1], NULL, 10), &t) == 0) save_tokenizer(&e, argv[3], &t);
    if (e.error[0]) fprintf(stderr, "actinh: %s\n", e.error);
    argc = e.error[0] ? 2 : 0;
    env_free(&e);
    return argc;
}
