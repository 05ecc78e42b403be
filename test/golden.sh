#!/bin/sh
# golden.sh ACTINH [THREADS [world]]: the mini pipeline, from a grammar to chosen answers; prints one digest a stage. The
# grammar's texts come from test/build/world, or with a third word from ACTINH, then a build of world.c -DWITH_ACTINH.
# Two layers, grouped queries, dense and MoE, tied and untied head, sizes that are no multiples of a tile (hidden 40, feed
# forward 44), a shared prefix (sampling), micro-batches, LoRA beside every matrix. test/golden.txt holds the digests: they
# are the same for every compiler, processor and number of threads, and move only with `spec` in actinh.c.
set -e
A=${1:-./actinh} T=${2:-1} own=$3 D=$(mktemp -d)
trap 'rm -rf "$D"' EXIT
hash_of() { for f in "$@"; do { sha256sum "$f" 2>/dev/null || shasum -a 256 "$f"; } | cut -c1-64 | tr '\n' ' '; echo "${f##*/}"; done; }
q() { "$A" "$@" --threads "$T" --quiet; }
world() { if [ "$own" ]; then "$A" world "$@" --quiet; else test/build/world "$@" --quiet; fi; }
[ "$own" ] || make -s test/build/world >&2

world test/golden.grammar -n 400 --seed 5 >"$D/text.jsonl"
world test/golden.grammar --start talk -n 12 --answers 0 --distinct --seed 6 >"$D/prompts.jsonl"
world test/golden.grammar --start fact -n 12 --choices 4 --seed 7 >"$D/questions.jsonl"
printf '[q]\nkind = choice\nitems = questions.jsonl\nreport = accuracy, ece10, ece1\n[t]\nkind = sample\nitems = prompts.jsonl\nsamples = 3\nmax-tokens = 12\nreport = emt, words, mtld\n[l]\nkind = loss\nitems = questions.jsonl\nreport = loss\n' >"$D/mini.suite"
mkdir "$D/dense" "$D/moe"
cp test/golden.tokenizer "$D/tokenizer.bin"      # 360 pieces that test/vocabulary.c makes of text.jsonl: cli.sh checks it
cp "$D/tokenizer.bin" "$D/dense/"; cp "$D/tokenizer.bin" "$D/moe/"
common='"hidden_size":40,"num_hidden_layers":2,"num_attention_heads":4,"num_key_value_heads":2,"head_dim":10,"vocab_size":360,"max_position_embeddings":128,"rms_norm_eps":1e-5,"bos_token_id":1,"eos_token_id":2'
echo "{\"model_type\":\"llama\",\"intermediate_size\":44,\"tie_word_embeddings\":true,\"rope_theta\":10000,$common}" >"$D/dense/config.json"
echo "{\"model_type\":\"mixtral\",\"intermediate_size\":28,\"num_local_experts\":4,\"num_experts_per_tok\":2,\"router_aux_loss_coef\":0.02,\"tie_word_embeddings\":false,\"rope_theta\":1000000,$common}" >"$D/moe/config.json"
for m in dense moe; do
    q tune "$D/$m/config.json" "$D/text.jsonl" -o "$D/$m.tuned" --epochs 1 --batch 16 --micro 8 --steps 20 --lr 3e-3 --decay 0.1
    q sample "$D/$m.tuned" "$D/prompts.jsonl" -n 3 --max-tokens 16 --temperature 0.9 --top-k 50 --top-p 0.95 -o "$D/$m.sampled"
    q score "$D/$m.sampled" --measures all -o "$D/$m.scored"
    q select "$D/$m.scored" --by mtld:max,words:min -o "$D/$m.chosen"
    q profile "$D/$m.tuned" "$D/mini.suite" -o "$D/$m.figures"
    q tune "$D/$m.tuned" "$D/$m.chosen" -o "$D/$m.lora" --lora 3 --targets all-linear --batch 6 --micro 4 --lr 1e-2
    q sample "$D/$m.tuned+$D/$m.lora" "$D/prompts.jsonl" -n 2 --max-tokens 6 -o "$D/$m.adapted"
    mv "$D/$m.lora/adapter_model.safetensors" "$D/$m.adapter"
    mv "$D/$m.tuned/model.safetensors" "$D/$m.weights"; mv "$D/$m.tuned/steps.jsonl" "$D/$m.steps"
    hash_of "$D/$m.weights" "$D/$m.steps" "$D/$m.sampled" "$D/$m.scored" "$D/$m.chosen" "$D/$m.figures" "$D/$m.adapter" "$D/$m.adapted"
done
hash_of "$D/text.jsonl" "$D/tokenizer.bin"
# weights of other types, in place and in panels; LoRA beside attention, experts and router over an 8-bit base; merging
mv "$D/dense.weights" "$D/dense.tuned/model.safetensors"
q convert "$D/dense.tuned" --type bf16 -o "$D/dense.half"
q sample "$D/dense.half" "$D/prompts.jsonl" -n 2 --max-tokens 16 --memory 1e-9 -o "$D/bf16.sampled"
mkdir "$D/wide"; cp "$D/tokenizer.bin" "$D/wide/"
sed 's/"hidden_size":40/"hidden_size":64/; s/"head_dim":10/"head_dim":16/; s/"intermediate_size":28/"intermediate_size":96/' "$D/moe/config.json" >"$D/wide/config.json"
q convert "$D/wide/config.json" --to gguf --type q8_0 -o "$D/q8.gguf"
q sample "$D/q8.gguf" "$D/prompts.jsonl" -n 2 --max-tokens 16 -o "$D/q8.sampled"
q tune "$D/q8.gguf" "$D/text.jsonl" -o "$D/lora" --lora 4 --targets all-linear --rslora --epochs 1 --batch 8 --micro 3 --steps 4 --lr 1e-2 --recompute --memory 1e-9
q sample "$D/q8.gguf+$D/lora" "$D/prompts.jsonl" -n 2 --max-tokens 16 -o "$D/lora.sampled"
q convert "$D/q8.gguf+$D/lora" --type f16 -o "$D/merged"
mv "$D/lora/adapter_model.safetensors" "$D/lora.weights"; mv "$D/lora/steps.jsonl" "$D/lora.steps"; mv "$D/merged/model.safetensors" "$D/merged.f16"
# every way of storing numbers in one file, in panels and in place
printf '%b' "$(awk -f test/mixed.awk)" >"$D/mixed.gguf"
q sample "$D/mixed.gguf" "$D/prompts.jsonl" --tokenizer "$D/tokenizer.bin" -n 2 --max-tokens 12 -o "$D/mixed.sampled"
q profile "$D/mixed.gguf" "$D/mini.suite" --tokenizer "$D/tokenizer.bin" --memory 1e-9 -o "$D/mixed.figures"
hash_of "$D/bf16.sampled" "$D/q8.gguf" "$D/q8.sampled" "$D/lora.weights" "$D/lora.steps" "$D/lora.sampled" "$D/merged.f16" "$D/mixed.gguf" "$D/mixed.sampled" "$D/mixed.figures"
