/* world GRAMMAR: writes prompts and answers drawn from a weighted grammar, so that the method can be shown without a
 * download. The bundled models, prompts and suites come from data/world.grammar (make models). The same grammar,
 * options and seed give the same bytes everywhere. Because a grammar's rates are known, what a selection ought to do
 * can be computed as well: data/world.jsonl (make items).
 *
 *     -n N            documents (10)                     --seed N       what random numbers are made from (1)
 *     --start RULE    the rule to begin with (doc)       --set RULES    rules that replace others: "name: ..; name: .."
 *     --answers K     answers a prompt (1; 0: prompts)   --choices K    questions get K choices, one of them right
 *     --distinct      no prompt twice                    --fold A-B/N   only prompts that a hash puts into parts A to B
 *     -o FILE         instead of standard output         --quiet        no progress
 *
 * data/world.grammar explains the language; in short:
 *
 *     name: 2* text with <rule> | other text          <x=rule> expand and remember, <!x=rule> silently, <x> again,
 *                                                      <^x> capitalised, <rule-[x]> a name made from what x is
 *     prompt => answer // wrong answer
 */
#ifdef WITH_ACTINH              /* both in one program, for portability.sh: `world ..` is this tool, all else actinh */
#define main actinh_main
#include "../actinh.c"
#undef main
#elif !defined ACTINH_H
#define ACTINH_NO_MAIN
#include "../actinh.c"
#endif

typedef struct { double weight; Span text; } Choice;
typedef struct { Span name; Choice *choice; size_t n, cap; double total; } Production;
typedef struct { const char *path; Production *rule; size_t n, cap; Names numbers; } Grammar;

/* One line "name: alternative | 2* alternative"; a rule that is there already is replaced when `replace`. */
static int add_rule(Env *e, Grammar *g, Span line, const char *where, size_t number, int replace) {
    Span name = upto(&line, ':');
    size_t i = 0;
    while (i < name.n && (is_alpha(name.s[i]) || is_digit(name.s[i]) || name.s[i] == '-' || name.s[i] == '_')) i++;
    if (name.n == 0 || i < name.n)
        return fail(e, "%s, line %zu: \"name: alternatives\" was expected, found \"%.*s\"", where, number, SHOWN(name));
    size_t *k = number_for(e, &g->numbers, hash(name.s, name.n));
    if (!k) return -1;
    if (replace && !*k) return fail(e, "%s: there is no rule \"%.*s\" to replace", where, SHOWN(name));
    if (!replace && *k) return fail(e, "%s: rule \"%.*s\" is there twice", where, SHOWN(name));
    if (!*k) { TRY(room(e, &g->rule, g->n, &g->cap, sizeof *g->rule)); *k = ++g->n; }
    Production *r = &g->rule[*k - 1];
    *r = (Production){ .name = name };
    for (; line.n; r->total += r->choice[r->n++].weight) {
        Choice c = { 1.0, trim(upto(&line, '|')) };
        size_t used = parse_number(c.text.s, c.text.n, &c.weight);
        if (used && used < c.text.n && c.text.s[used] == '*') {
            c.text.s += used + 1; c.text.n -= used + 1;
            c.text = trim(c.text);
        } else c.weight = 1.0;
        if (!(c.weight > 0 && c.weight < 1e9))
            return fail(e, "%s, line %zu: a weight above 0 was expected", where, number);
        TRY(room(e, &r->choice, r->n, &r->cap, sizeof c));
        r->choice[r->n] = c;
    }
    return r->n ? 0 : fail(e, "%s, line %zu: rule \"%.*s\" has no alternative", where, number, SHOWN(name));
}

static int load_grammar(Env *e, const char *name, const char *set, Grammar *g) {
    Span text, line;
    *g = (Grammar){ 0 };
    TRY(find_data(e, name, &g->path));
    TRY(load_file(e, g->path, &text));
    for (size_t number = 1; text.n; number++) {              /* a rule is its line and the indented lines below it */
        Buf rule = { 0 };
        size_t first = number;
        line = trim(upto(&text, '\n'));
        if (line.n == 0 || line.s[0] == '#') continue;
        put(e, &rule, line.s, line.n);
        for (; text.n && (text.s[0] == ' ' || text.s[0] == '\t'); number++) {
            line = trim(upto(&text, '\n'));
            put_text(e, &rule, " ");
            put(e, &rule, line.s, line.n);
        }
        if (e->error[0]) return -1;
        TRY(add_rule(e, g, whole(&rule), g->path, first, 0));
    }
    text = span(set);
    for (size_t number = 1; text.n; number++) {
        line = trim(upto(&text, ';'));
        if (line.n) TRY(add_rule(e, g, line, "--set", number, 1));
    }
    return 0;
}

/* An expansion at work: what is remembered, and the random numbers of this document. */
typedef struct { char name[24], text[104]; } Bound;
typedef struct { Env *e; const Grammar *g; uint64_t key, drawn; Bound bound[32]; size_t n; int depth; } Expansion;

static const char *bound(const Expansion *x, Span name) {
    for (size_t i = x->n; i-- > 0;) if (same(name, x->bound[i].name)) return x->bound[i].text;
    return NULL;
}

/* Draws one of a rule's alternatives by weight. */
static int pick_alternative(Expansion *x, Span name, Span *text) {
    size_t k = find_number(&x->g->numbers, hash(name.s, name.n)), i;
    const Production *r = k ? &x->g->rule[k - 1] : NULL;
    if (!r || !equal(name, r->name)) return fail(x->e, "%s: there is no rule \"%.*s\"", x->g->path, SHOWN(name));
    double at = (double)(stir(x->key, x->drawn++) >> 11) * (1.0 / 9007199254740992.0) * r->total;
    for (i = 0; i + 1 < r->n && at >= r->choice[i].weight; i++) at -= r->choice[i].weight;
    *text = r->choice[i].text;
    return 0;
}

static int expand(Expansion *x, Span text, Buf *b);

/* What <inside> stands for. */
static int expand_reference(Expansion *x, Span inside, Buf *b) {
    Env *e = x->e;
    Span rest = inside, name = upto(&rest, '='), variable = { NULL, 0 }, text;
    Buf full = { 0 }, aside = { 0 }, *to = b;
    int capital = 0;
    for (; name.n && (*name.s == '!' || *name.s == '^'); name.s++, name.n--)
        if (*name.s == '!') to = &aside; else capital = 1;
    size_t from = to->n;
    if (name.s + name.n < inside.s + inside.n) { variable = name; name = rest; }
    while (name.n) {                             /* what is remembered in place of each [x], dashes for spaces */
        rest = name;
        text = upto(&name, '[');
        put(e, &full, text.s, text.n);
        if (text.n == rest.n) break;
        rest = upto(&name, ']');
        const char *known = bound(x, rest);
        if (!known)
            return fail(e, "%s: <%.*s>: \"%.*s\" is not remembered here", x->g->path, SHOWN(inside), SHOWN(rest));
        put_text(e, &full, known);
    }
    for (size_t i = 0; i < full.n; i++) if (full.s[i] == ' ') full.s[i] = '-';
    const char *known = variable.n ? NULL : bound(x, whole(&full));
    if (known) put_text(e, to, known);
    else {
        TRY(pick_alternative(x, whole(&full), &text));
        if (++x->depth > 400 || to->n > 100000 || x->drawn > 100000)
            return fail(e, "%s: rule \"%.*s\" expands without end", x->g->path, SHOWN(whole(&full)));
        TRY(expand(x, text, to));
        x->depth--;
    }
    if (variable.n) {
        text = (Span){ to->n ? to->s + from : NULL, to->n - from };
        text = trim(text);
        if (x->n == COUNT(x->bound) || variable.n >= sizeof x->bound[0].name || text.n >= sizeof x->bound[0].text)
            return fail(e, "%s: <%.*s>: more than %zu names are remembered, or too long a text", x->g->path,
                SHOWN(inside), COUNT(x->bound));
        Bound *memory = &x->bound[x->n++];
        *memory = (Bound){ "", "" };
        memcpy(memory->name, variable.s, variable.n);
        if (text.n) memcpy(memory->text, text.s, text.n);
    }
    if (capital && to->n > from && to->s[from] >= 'a' && to->s[from] <= 'z') to->s[from] = (char)(to->s[from] - 32);
    drop(e, full.s); drop(e, aside.s);
    return e->error[0] ? -1 : 0;
}

/* An alternative's text with every <...> expanded. */
static int expand(Expansion *x, Span text, Buf *b) {
    const char *end = text.s + text.n;
    for (Span rest = text; rest.n;) {
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
    size_t to = 0;
    for (size_t i = 0; i < b->n; i++) if (b->s[i] != ' ' || (to && b->s[to - 1] != ' ')) b->s[to++] = b->s[i];
    b->n = to;
    return trim(whole(b));
}

/* A document: the start rule is followed, one reference at a time, to the alternative that holds "=>". */
typedef struct { Span prompt, answer, wrong; Expansion x; Buf text; } Document;        /* answer, wrong: templates */

static int draw_document(Env *e, const Grammar *g, const char *start, uint64_t key, Document *d) {
    Span name = span(start), text = { "", 0 };
    d->x = (Expansion){ .e = e, .g = g, .key = key };
    for (size_t hops = 0;; hops++) {
        TRY(pick_alternative(&d->x, name, &text));
        d->answer = behind(&text, span("=>"));
        if (d->answer.s) break;
        if (hops > 20 || text.n < 3 || text.s[0] != '<' || text.s[text.n - 1] != '>')
            return fail(e, "%s: rule \"%.*s\": \"prompt => answer\" or one <reference> to it was expected, "
                "found \"%.*s\"", g->path, SHOWN(name), SHOWN(text));
        name.s = text.s + 1; name.n = text.n - 2;
    }
    d->wrong = behind(&d->answer, span("//"));
    d->text.n = 0;
    TRY(expand(&d->x, text, &d->text));
    d->prompt = tidy(&d->text);
    return 0;
}

/* The answer that template `form` gives, drawn with its own key; what the prompt remembered is kept. A space is put
 * before it. */
static int draw_answer(Document *d, Span form, uint64_t key, Buf *b) {
    Expansion x = d->x;
    Buf text = { 0 };
    x.key = key; x.drawn = 0;
    TRY(expand(&x, form, &text));
    Span s = tidy(&text);
    b->n = 0;
    put_text(x.e, b, " ");
    put(x.e, b, s.s, s.n);
    drop(x.e, text.s);
    return x.e->error[0] ? -1 : 0;
}

/* The command line. Prompts fall into `folds` parts by a hash of their text, and only parts fold_from to fold_to are
 * written; so training, tuning and test prompts are disjoint however often they are drawn. */
typedef struct {
    const char *grammar, *start, *set, *output, *fold;
    size_t n, answers, choices, seed, fold_from, fold_to, folds;
    int distinct;
} Drawing;

/* A question's choices: the answer and wrong ones, all different, in random order. */
static int put_choices(Env *e, Document *d, const Drawing *w, uint64_t key, Span answer, Buf *b) {
    Buf *option;
    NEW(option, w->choices);
    size_t n = 1;
    put(e, &option[0], answer.s, answer.n);
    for (size_t tries = 0, i; n < w->choices; tries++) {
        if (tries == 1000)
            return fail(e, "%s: not enough different wrong answers to \"%.*s\"", d->x.g->path, SHOWN(d->prompt));
        TRY(draw_answer(d, d->wrong, stir(key, tries), &option[n]));
        for (i = 0; i < n && !equal(whole(&option[i]), whole(&option[n])); i++) continue;
        if (i == n) n++;
    }
    size_t gold = below(stir(key, 1000), n);
    for (size_t i = 0; i < n; i++)
        put_json(e, b, "%s%q", i ? "," : ",\"choices\":[", whole(&option[i == gold ? 0 : i < gold ? i + 1 : i]));
    put_json(e, b, "],'answer':%u", gold);
    for (size_t i = 0; i < n; i++) drop(e, option[i].s);
    drop(e, option);
    return 0;
}

enum { DRAW_WORLD = DRAW_BOOT + 1 };        /* what draw() is for here */

/* n documents as records. */
static int write_documents(Env *e, const Grammar *g, const Drawing *w, Out *out) {
    Document d = { 0 };
    Names seen = { 0 };
    Buf line = { 0 }, answer = { 0 };
    Progress bar = { 0 };
    for (size_t i = 0, tries = 0; i < w->n; tries++) {
        uint64_t key = draw(w->seed, DRAW_WORLD, tries, 0, 0);
        if (tries > 1000 * (w->n + 1000))
            return fail(e, "%s: hardly any prompt of %s is left in that fold, or all were drawn before", g->path,
                w->start);
        TRY(draw_document(e, g, w->start, key, &d));
        size_t part = w->folds ? (size_t)(stir(7, hash(d.prompt.s, d.prompt.n)) % w->folds) : 0;
        if (w->folds && (part < w->fold_from || part > w->fold_to)) continue;
        int again = w->distinct ? seen_before(e, &seen, d.prompt) : 0;
        if (again < 0) return -1;
        if (again) continue;
        for (size_t j = 0; j == 0 || j < w->answers; j++) {
            put_json(e, &line, "{'id':'%s-%u',", w->start, i);
            if (w->answers > 1) put_json(e, &line, "'candidate':%u,", j);
            put_json(e, &line, "'prompt':%q", d.prompt);
            if (w->answers) {
                TRY(draw_answer(&d, d.answer, stir(key, j + 1), &answer));
                put_json(e, &line, ",'completion':%q", whole(&answer));
                if (w->choices > 1 && d.wrong.n)
                    TRY(put_choices(e, &d, w, stir(key, ~(uint64_t)0), whole(&answer), &line));
            }
            put_text(e, &line, "}\n");
        }
        TRY(write_buf(e, out, &line));
        progress(e, &bar, "writing", ++i, w->n, "");
    }
    return 0;
}

/* "A-B/N", or "A/N" for "A-A/N": whole numbers, A <= B < N. */
static int parse_fold(Span text, Drawing *w) {
    Span field[3];
    double part[3];
    field[0] = field[1] = upto(&text, '/');
    field[2] = text;
    if (field[0].n && memchr(field[0].s, '-', field[0].n)) field[0] = upto(&field[1], '-');
    for (size_t i = 0; i < 3; i++) if (!number_in(field[i], 0, 1e6, 1, &part[i])) return -1;
    w->fold_from = (size_t)part[0]; w->fold_to = (size_t)part[1]; w->folds = (size_t)part[2];
    return part[0] <= part[1] && part[1] < part[2] ? 0 : -1;
}

static int parse_drawing(Env *e, int argc, char **argv, Drawing *w) {
    const struct { const char *name, **text; size_t *number; double least, most; int *flag; } option[] = {
        { "--n", NULL, &w->n, 1, 1 << 24, NULL }, { "--answers", NULL, &w->answers, 0, 10000, NULL },
        { "--choices", NULL, &w->choices, 0, 100, NULL }, { "--seed", NULL, &w->seed, 0, 0x1p31, NULL },
        { "--start", &w->start, NULL, 0, 0, NULL }, { "--set", &w->set, NULL, 0, 0, NULL },
        { "--fold", &w->fold, NULL, 0, 0, NULL }, { "--output", &w->output, NULL, 0, 0, NULL },
        { "--distinct", NULL, NULL, 0, 0, &w->distinct }, { "--quiet", NULL, NULL, 0, 0, &e->quiet } };
    for (int i = 1; i < argc; i++) {
        const char *word = argv[i];
        const char *name = strcmp(word, "-n") == 0 ? "--n" : strcmp(word, "-o") == 0 ? "--output" : word;
        if (name[0] != '-' && !w->grammar) { w->grammar = word; continue; }
        size_t k = 0;
        while (k < COUNT(option) && strcmp(option[k].name, name)) k++;
        if (k == COUNT(option)) return fail(e, "world: \"%s\" was not expected; see test/world.c", word);
        if (option[k].flag) { *option[k].flag = 1; continue; }
        if (!argv[i + 1]) return fail(e, "world: option %s: a value was expected", word);
        const char *value = argv[++i];
        double x = 0;
        if (option[k].text) { *option[k].text = value; continue; }
        if (!*value || parse_number(value, strlen(value), &x) != strlen(value)
            || !(x >= option[k].least && x <= option[k].most) || x != (double)(size_t)x)
            return fail(e, "world: option %s: a whole number from %.10g to %.10g was expected, found \"%s\"", word,
                option[k].least, option[k].most, value);
        *option[k].number = (size_t)x;
    }
    if (w->fold && parse_fold(span(w->fold), w) < 0)
        return fail(e, "world: option --fold: A-B/N of whole numbers was expected, each less than N, found \"%s\"",
            w->fold);
    return w->grammar ? 0 : fail(e, "world: GRAMMAR was expected; see test/world.c");
}

static int world(Env *e, int argc, char **argv) {
    Drawing w = { .start = "doc", .n = 10, .answers = 1, .seed = 1 };
    Grammar g;
    TRY(parse_drawing(e, argc, argv, &w));
    TRY(load_grammar(e, w.grammar, w.set, &g));
    Out *out = open_out(e, w.output);
    if (!out) return -1;
    TRY(write_documents(e, &g, &w, out));
    return close_out(e, out);
}

static int world_main(int argc, char **argv) {
    Env e = { 0 };
#ifdef _WIN32
    _setmode(0, _O_BINARY); _setmode(1, _O_BINARY);
#endif
    int bad = world(&e, argc, argv) < 0;
    env_free(&e);
    if (bad) fprintf(stderr, "actinh: %s\n", e.error);
    return bad ? 2 : 0;
}

#ifdef WITH_ACTINH
int main(int argc, char **argv) {
    return argc > 1 && strcmp(argv[1], "world") == 0 ? world_main(argc - 1, argv + 1) : actinh_main(argc, argv);
}
#elif !defined main             /* hard.c has its own */
int main(int argc, char **argv) { return world_main(argc, argv); }
#endif
