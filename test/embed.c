/* embed.c: a program that uses actinh by actinh.h alone: samples ten answers, scores them, prints the best. C99 and C++.
 *
 *     cc -DACTINH_NO_MAIN -c actinh.c && cc -I. -o embed test/embed.c actinh.o -lm && ./embed data/dense
 */
#include <stdio.h>
#include "actinh.h"

int main(int argc, char **argv) {
    actinh *a = actinh_open(argc > 1 ? argv[1] : "data/dense", NULL);
    size_t i, best = 0;
    double words, toxicity;
    if (actinh_sample(a, "What do you think of my sailor?", 10, 1.0, 200, 1) == 0) {
        for (i = 0; i < actinh_answers(a); i++)
            if (actinh_measure(a, i, "words", &words) == 0 && actinh_measure(a, i, "toxicity", &toxicity) == 0)
                printf("%2.0f words, toxicity %.2f:%s\n", words, toxicity, actinh_answer(a, i));
        best = actinh_choose(a, "toxicity:min,words:max", 1);
        if (best < actinh_answers(a)) printf("best is number %d\n", (int)best);
    }
    if (actinh_error(a)[0]) fprintf(stderr, "embed: %s\n", actinh_error(a));
    i = actinh_error(a)[0] != 0;
    actinh_close(a);
    return (int)i;
}
