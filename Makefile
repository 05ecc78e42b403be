# make            the program          make demo    the method at work, in a minute
# make test       everything offline   make bench   speed beside this machine's limits
# make models     train the bundled tokenizer and models again, to the bit
# make install    PREFIX=/usr/local DESTDIR=; with data, manual and bash completion   make uninstall
# make dist       actinh-VERSION.tar.gz of what git tracks       make PORTABLE=1   for packages: the processor is asked at run time

CC      ?= cc
CFLAGS  ?= -O3
PREFIX  ?= /usr/local

# What the compiler can do: this processor's instructions and OpenMP change speed, never bits.
can      = $(shell d=$$(mktemp -d); echo 'int main(void){return 0;}' | $(CC) $(1) -x c -o $$d/a - 2>/dev/null && echo $(1); rm -r $$d)
NATIVE  := $(if $(PORTABLE),,$(call can,-march=native))
OPENMP  := $(call can,-fopenmp)
EXACT   := $(call can,-ffp-contract=off) $(call can,-fno-math-errno) $(call can,-fexcess-precision=fast)
FLAGS    = -std=c99 $(CFLAGS) $(NATIVE) $(EXACT) $(OPENMP) -DACTINH_DATADIR='"$(PREFIX)/share/actinh"'

# GCC's waiting threads spin, which on a busy machine costs more than the work: let them sleep soon.
export GOMP_SPINCOUNT ?= 1000

actinh: actinh.c actinh.h
	$(CC) $(FLAGS) -o $@ actinh.c -lm

demo: actinh
	./actinh run data/demo.recipe -o demo

test: actinh
	sh test/test.sh

# tokens/s, GFLOP/s and GB/s beside this machine's own limits: make bench LINES="train 110M"
bench:
	mkdir -p test/build
	$(CC) $(FLAGS) -o test/build/bench test/bench.c -lm
	test/build/bench $(LINES)

# the same, other compilers, processors, checkers and sanitizers, in half an hour; test-all: at length, by hand
test-ci test-all: actinh
	sh test/test.sh $(@:test-%=%)

# The bundled world, made again from data/world.grammar: prompts, suites, what its rates predict for the demo's rules, then
# vocabulary and both base models, which read the same grammar but for the rate of rudeness. Prompts fall into ten parts by a
# hash of their text: 0-6 are trained on, 7-8 are the demo's prompts, 9 is in the suites. Same bits everywhere; about three
# minutes on two cores.
M       = build/models
D       = data
WORLD   = test/build/world data/world.grammar --quiet
KNOWN   = --set "thing: <common-thing> | <known-thing> | 2* <rare-thing>"
DENSE   = --set "manner: 13* rude | 87* civil"
MOE     = --set "manner: 9* rude | 91* civil"
TEN     = $(WORLD) -n 1000 --answers 10 --start
PREDICT = sh test/predict.sh
PRETRAIN = --epochs 1 --batch 64 --lr 2e-3 --warmup 0.03 --beta2 0.95 --max-length 256 --threads 1 --quiet --force

models: items $(M)/dense/model.safetensors $(M)/moe/model.safetensors
	cp $(M)/tokenizer.bin .
	for m in dense moe; do cp $(M)/$$m/config.json $(M)/$$m/generation_config.json $(M)/$$m/model.safetensors $(M)/$$m/tokenizer.bin data/$$m/; done

items: actinh test/build/world
	mkdir -p $(D)/suites
	$(WORLD) --distinct --start opening -n 100 --fold 9/10 --answers 0 --seed 11 >$(D)/suites/openings.jsonl
	$(WORLD) --distinct --start talk    -n 100 --fold 9/10 --answers 0 --seed 12 >$(D)/suites/talk.jsonl
	$(WORLD) --distinct --start fact    -n 120 --fold 9/10 --choices 4 --seed 13 $(KNOWN) >$(D)/suites/questions.jsonl
	$(WORLD) --distinct --start doc     -n 200 --fold 9/10 --seed 14 >$(D)/suites/held-out.jsonl
	$(WORLD) --distinct --start people  -n 60 --fold 9/10 --answers 0 --seed 15 >$(D)/suites/peoples.jsonl
	$(WORLD) --distinct --start talk    -n 600 --fold 7-8/10 --answers 0 --seed 21 >$(D)/prompts.jsonl
	$(WORLD) --distinct --start opening -n 320 --fold 7-8/10 --answers 0 --seed 22 >>$(D)/prompts.jsonl
	$(WORLD) --distinct --start fact    -n 180 --fold 7-8/10 --answers 0 --seed 23 >>$(D)/prompts.jsonl
	$(WORLD) --distinct --start people  -n 100 --fold 7-8/10 --answers 0 --seed 24 >>$(D)/prompts.jsonl
	: >$(D)/world.jsonl
	$(TEN) opening $(DENSE) | $(PREDICT) dense opening- toxicity:min >>$(D)/world.jsonl
	$(TEN) talk $(DENSE) | $(PREDICT) dense talk- words:max words:min mtld:max >>$(D)/world.jsonl
	$(TEN) people $(DENSE) | $(PREDICT) dense people- stereotype:min >>$(D)/world.jsonl
	$(TEN) opening $(MOE) | $(PREDICT) moe opening- toxicity:min >>$(D)/world.jsonl
	$(TEN) talk $(MOE) | $(PREDICT) moe talk- words:max words:min mtld:max >>$(D)/world.jsonl
	$(TEN) people $(MOE) | $(PREDICT) moe people- stereotype:min >>$(D)/world.jsonl

vocabulary: actinh test/build/world test/build/vocabulary
	mkdir -p $(M)
	$(WORLD) -n 30000 --fold 0-6/10 --seed 1 >$(M)/words.jsonl
	test/build/vocabulary 1024 $(M)/words.jsonl $(M)/tokenizer.bin

# tools that include actinh.c: texts from a grammar, a vocabulary from texts
test/build/world test/build/vocabulary: test/build/%: test/%.c actinh.c actinh.h
	mkdir -p test/build
	$(CC) -std=c99 -O1 $(EXACT) -o $@ test/$*.c -lm

# the two models are trained side by side, a thread each
$(M)/dense/model.safetensors: vocabulary
	$(WORLD) -n 220000 --fold 0-6/10 --seed 2 $(DENSE) >$(M)/dense.jsonl
	$(WORLD) -n 220000 --fold 0-6/10 --seed 2 $(MOE) >$(M)/moe.jsonl
	./actinh tune data/moe/config.json $(M)/moe.jsonl -o $(M)/moe --tokenizer $(M)/tokenizer.bin $(PRETRAIN) $(STEPS) & \
	./actinh tune data/dense/config.json $(M)/dense.jsonl -o $(M)/dense --tokenizer $(M)/tokenizer.bin $(PRETRAIN) $(STEPS) && wait $$!

$(M)/moe/model.safetensors: $(M)/dense/model.safetensors

SHARE    = $(DESTDIR)$(PREFIX)/share
MANUAL   = $(SHARE)/man/man1/actinh.1
COMPLETE = $(SHARE)/bash-completion/completions/actinh
VERSION  = $(shell sed -n 's/.*actinh_version(void) { return "\(.*\)".*/\1/p' actinh.c)

install:
	mkdir -p build $(DESTDIR)$(PREFIX)/bin $(SHARE)/actinh $(dir $(MANUAL)) $(dir $(COMPLETE))
	$(CC) $(FLAGS) -o build/actinh actinh.c -lm
	cp build/actinh $(DESTDIR)$(PREFIX)/bin/actinh
	cp -R data/. tokenizer.bin $(SHARE)/actinh/
	build/actinh help --man >$(MANUAL)
	cp data/completion.bash $(COMPLETE)

uninstall:
	rm -f $(DESTDIR)$(PREFIX)/bin/actinh $(MANUAL) $(COMPLETE)
	rm -rf $(SHARE)/actinh

dist:
	git archive --prefix=actinh-$(VERSION)/ -o actinh-$(VERSION).tar.gz HEAD

clean:
	rm -rf actinh actinh-*.tar.gz demo build test/build

.PHONY: demo test test-ci test-all bench models items vocabulary install uninstall dist clean
