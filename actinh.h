/* actinh.h: active inheritance for a program that embeds it. Compile actinh.c with -DACTINH_NO_MAIN beside yours.
 *
 *     actinh *a = actinh_open("data/dense", NULL);              a model folder, or a .bin with its tokenizer
 *     if (actinh_sample(a, "What do you think of my sailor?", 10, 1.0, 200, 1) == 0) {
 *         size_t best = actinh_choose(a, "toxicity:min,words:max", 1);
 *         printf("%s\n", actinh_answer(a, best));
 *     }
 *     if (actinh_error(a)[0]) fprintf(stderr, "%s\n", actinh_error(a));
 *     actinh_close(a);
 *
 * Link with -lm. Nothing here prints, exits or keeps global state. Errors are return values (-1, SIZE_MAX or NULL) with a
 * message in the handle that stays until the next call; a handle whose model did not open refuses all. A handle serves one
 * thread at a time. Toxicity needs data/words.txt: ./data, $ACTINH_DATA or the folder that was compiled in.
 */
#ifndef ACTINH_H
#define ACTINH_H
#include <stddef.h>
#ifdef __cplusplus
extern "C" {
#endif

typedef struct actinh actinh;

/* The program's version, and the number that is raised whenever any result could change. */
const char *actinh_version(void);
int actinh_spec(void);

/* What keeps this build from giving the same bits as others ("" when nothing does). */
const char *actinh_fault(void);

/* A model, with its tokenizer (NULL: the one in its folder). Never NULL but without any memory: ask actinh_error. */
actinh *actinh_open(const char *model, const char *tokenizer);
const char *actinh_error(const actinh *a);
void actinh_close(actinh *a);

/* k answers to a prompt, at most max_tokens tokens each. temperature 0: greedy. Equal seeds give equal answers. They
 * live until the next call. */
int actinh_sample(actinh *a, const char *prompt, size_t k, double temperature, size_t max_tokens, size_t seed);
size_t actinh_answers(const actinh *a);                 /* how many there are */
const char *actinh_answer(const actinh *a, size_t i);   /* UTF-8 text; NULL when i is too large */

/* Measures answer i by name ("words", "mtld", "toxicity", ...: actinh score --list). 0, or -1, without a message where
 * the answer just has no such value. Only the word list of toxicity is looked for; what takes another list (stereotype,
 * exact syllables) is left to the verb `score`. */
int actinh_measure(actinh *a, size_t i, const char *measure, double *value);

/* The number of the answer that a rule chooses ("first", "random", "FIELD:max", "FIELD:min", "A,B"); SIZE_MAX: none. */
size_t actinh_choose(actinh *a, const char *rule, size_t seed);

#ifdef __cplusplus
}
#endif
#endif
