# make            the program          make demo    the method at work, in a minute
# make test       everything offline   make models  train the bundled tokenizer and models again, to the bit
# make install    PREFIX=/usr/local DESTDIR=

CC      ?= cc
CFLAGS  ?= -O3
PREFIX  ?= /usr/local

# What the compiler can do: this processor's instructions and OpenMP change speed, never bits.
can      = $(shell echo 'int main(void){return 0;}' | $(CC) $(1) -x c -o /dev/null - 2>/dev/null && echo $(1))
NATIVE  := $(call can,-march=native)
OPENMP  := $(call can,-fopenmp)
EXACT   := $(call can,-ffp-contract=off) $(call can,-fno-math-errno)
FLAGS    = -std=c99 $(CFLAGS) $(NATIVE) $(EXACT) $(OPENMP) -DACTINH_DATADIR='"$(PREFIX)/share/actinh"'

actinh: actinh.c actinh.h
	$(CC) $(FLAGS) -o $@ actinh.c -lm

demo: actinh
	./actinh run data/demo.recipe -o demo

test: actinh
	sh test/test.sh

test-all: actinh
	sh test/test.sh all

models: actinh
	sh data/make-models.sh

install: actinh
	mkdir -p $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/share/actinh
	cp actinh $(DESTDIR)$(PREFIX)/bin/actinh
	cp -R data/. tokenizer.bin $(DESTDIR)$(PREFIX)/share/actinh/

uninstall:
	rm -f $(DESTDIR)$(PREFIX)/bin/actinh
	rm -rf $(DESTDIR)$(PREFIX)/share/actinh

clean:
	rm -rf actinh demo test/build

.PHONY: demo test test-all models install uninstall clean
