/* bad.h: how files can lie, and what the refusal must say; for hard.c. The file's name must stand in it in any case. */

static const char *const bad_gguf[][2] = {
    { "magic", "" }, { "version 1", "version 2 or 3" }, { "version 2^31", "version 2 or 3" }, { "big-endian", "version 2 or 3" },
    { "2^60 tensors", "tensor" }, { "no tensors", "missing" }, { "a tensor more", "tensor" }, { "2^60 fields", "field" },
    { "a field more", "field" }, { "architecture is a number", "general.architecture" }, { "2^60 letters", "general.architecture" },
    { "gemma", "gemma" }, { "alignment 0", "general.alignment" }, { "alignment 2^31", "general.alignment" },
    { "width 7", "head_dim" }, { "width 2^31", "llama.embedding_length" }, { "llama.embedding_length", "hidden_size" },
    { "2^31 layers", "llama.block_count" }, { "no layer", "llama.block_count" }, { "another width", "ffn" },
    { "no head", "head_count" }, { "three heads", "attn_q.weight" }, { "epsilon", "epsilon" },
    { "theta is a text of no type", "llama.rope.freq_base" }, { "eos", "eos_token_id" }, { "eos just past the pieces", "eos_token_id" }, { "gpt2", "tokenizer.ggml.model" },
    { "array of arrays", "tokenizer.ggml.tokens" }, { "array of nothing", "tokenizer.ggml.tokens" }, { "2^60 pieces", "tokenizer.ggml.tokens" },
    { "no piece", "" }, { "bytes missing", "" }, { "tokenizer.ggml.scores", "tokenizer.ggml.scores" }, { "a score less", "267" },
    { "a score that is not a number", "piece 260" }, { "twice the same", "attn_norm" }, { "2^60 letters in a name", "tensors" },
    { "an unknown name", "attn_q.weight" }, { "2^31 sizes", "attn_q.weight" }, { "no sizes", "attn_q.weight" },
    { "a size of 0", "attn_q.weight" }, { "a size of 2^62", "attn_q.weight" }, { "sizes that overflow", "attn_q.weight" },
    { "a row more", "attn_q.weight" }, { "type 99", "attn_q.weight" }, { "a removed type", "attn_q.weight" }, { "Q4_K rows of 8", "attn_q.weight" },
    { "an offset beyond the end", "output_norm.weight" }, { "an offset of 2^63", "output_norm.weight" }, { "a header only", "tensor" },
    { "a byte less", "" }, { "a weight that is not a number", "" } };

/* llama2.c's seven numbers: dim, hidden, layers, heads, kv heads, vocabulary, length */
static const struct { int field, value; const char *says; } bad_header[] = {
    { 0, 0, "dim" }, { 0, -8, "dim" }, { 0, 7, "dim" }, { 0, 0x7fffffff, "dim" }, { 0, 4096, "" }, { 1, 0, "hidden_dim" }, { 1, -1, "hidden_dim" },
    { 1, 1 << 20, "" }, { 2, 0, "n_layers" }, { 2, -3, "n_layers" }, { 2, 0x7fffffff, "n_layers" }, { 2, 5, "" }, { 3, 0, "n_heads" },
    { 3, 3, "n_heads" }, { 3, -2, "n_heads" }, { 4, 0, "n_kv_heads" }, { 4, 3, "n_heads" }, { 4, -1, "n_kv_heads" }, { 5, 0, "vocab_size" },
    { 5, (int)0x80000000, "vocab_size" }, { 5, 2000000000, "vocab_size" }, { 5, 300, "" }, { 6, 0, "seq_len" }, { 6, -64, "seq_len" }, { 6, 0x7fffffff, "seq_len" } };

#define GEN "generate %/m a --max-tokens 2 -o %/f"
#define TOK "tokenize %/v/tokenizer.bin %/text -o %/f"
#define SPM "tokenize %/tokenizer.model %/text -o %/f"
#define JSN "tokenize %/m/tokenizer.json %/text -o %/f"
#define ADA "generate %/m+%/ad a --max-tokens 2 -o %/f"
#define SUI "profile %/m %/s.suite -o %/f"
#define REC "score %/r.jsonl -o %/f"
#define RUN "run %/x.recipe -o %/f"
#define WRD "score %/s.jsonl --words %/w.words -o %/f"
#define GRA "world %/g.grammar -n 3 -o %/f"
#define TPL "tune %/m %/one.jsonl --template %/t.template -o %/f"
#define HYP "score %/s.jsonl --measures syllables_per_token_mean --hyphenation %/h.dic -o %/f"
#define STE "score %/s.jsonl --measures stereotype --stereotypes %/p.pairs -o %/f"
#define IDX "generate %/i a --max-tokens 2 -o %/f"

static const struct { const char *file, *command, *is, *says; size_t n; } bad_text[] = {
    { "v/tokenizer.bin", TOK, "", "0 bytes", 0 }, { "v/tokenizer.bin", TOK, "\10\0\0\0\0\0\0\0\373\377\377\377", "piece 0: its length", 12 },
    { "v/tokenizer.bin", TOK, "\10\0\0\0\0\0\0\0\377\377\377\177", "piece 0: its length", 12 }, { "v/tokenizer.bin", TOK, "\10\0\0\0", "", 4 },
    { "tokenizer.model", SPM, "\n\377\377\377\377\377\377\377\377\377\1", "piece 0", 11 }, { "tokenizer.model", SPM, "\n\5\n\3abc", "piece 1", 8 },
    { "tokenizer.model", SPM, "\12\7\12\5\12\3", "piece", 6 }, { "tokenizer.model", SPM, "\200\200\200\200\200\200\200\200\200\200\200\200", "piece 0", 12 },
    { "m/tokenizer.json", JSN, "{}", "2 bytes", 0 }, { "m/tokenizer.json", JSN, "{\"model\":{\"vocab\":{\"a\":99999999999},\"byte_fallback\":true,\"merges\":[]}}", "99999999999", 0 },
    { "m/tokenizer.json", JSN, "{\"model\":{\"vocab\":{\"a\":-1},\"byte_fallback\":true,\"merges\":[]}}", "-1", 0 },
    { "m/tokenizer.json", JSN, "{\"model\":{\"vocab\":[],\"byte_fallback\":true}}", "model", 0 }, { "m/tokenizer.json", JSN, "{\"model\":", "JSON", 0 },
    { "m/config.json", GEN, "{}", "field", 0 }, { "m/config.json", GEN, "[]", "config.json", 0 }, { "m/config.json", GEN, "{\"model_type\":\"llama\",\"hidden_size\":1e308}", "hidden_size", 0 },
    { "m/model.safetensors", GEN, "\377\377\377\377\377\377\377\377{}", "header", 10 }, { "m/model.safetensors", GEN, "\2\0\0\0\0\0\0\0{}", "embed_tokens", 10 },
    { "m/model.safetensors", GEN, "\2\0\0\0\0\0\0\0[]", "", 10 }, { "m/model.safetensors", GEN, "\0\0\0\0\0\0\0\0", "", 8 },
    { "i/model.safetensors.index.json", IDX, "{\"weight_map\":{\"a\":\"../m/model.safetensors\"}}", "beside it", 0 },
    { "i/model.safetensors.index.json", IDX, "{\"weight_map\":{\"a\":\"/etc/passwd\"}}", "beside it", 0 },
    { "i/model.safetensors.index.json", IDX, "{\"weight_map\":{\"a\":\"..\"}}", "beside it", 0 }, { "i/model.safetensors.index.json", IDX, "{\"weight_map\":{}}", "weight_map", 0 },
    { "i/model.safetensors.index.json", IDX, "{\"weight_map\":{\"a\":7}}", "tensor a", 0 }, { "i/model.safetensors.index.json", IDX, "{\"weight_map\":{\"a\":\"\"}}", "beside it", 0 },
    { "ad/adapter_config.json", ADA, "{}", "peft_type", 0 }, { "ad/adapter_config.json", ADA, "{\"peft_type\":\"LORA\",\"r\":0,\"lora_alpha\":1}", "\"r\"", 0 },
    { "ad/adapter_config.json", ADA, "{\"peft_type\":\"LORA\",\"r\":1e9,\"lora_alpha\":1}", "\"r\"", 0 }, { "ad/adapter_config.json", ADA, "{\"peft_type\":\"LORA\",\"r\":2,\"lora_alpha\":\"x\"}", "lora_alpha", 0 },
    { "ad/adapter_config.json", ADA, "{\"peft_type\":\"LORA\",\"r\":2,\"lora_alpha\":2,\"init_lora_weights\":\"pissa\"}", "\"init_lora_weights\"", 0 },
    { "ad/adapter_config.json", ADA, "{\"peft_type\":\"LORA\",\"r\":2,\"lora_alpha\":2,\"init_lora_weights\":\"olora\"}", "\"init_lora_weights\"", 0 },
    { "ad/adapter_config.json", ADA, "{\"peft_type\":\"LORA\",\"r\":2,\"lora_alpha\":2,\"init_lora_weights\":[]}", "\"init_lora_weights\"", 0 },
    { "ad/adapter_config.json", ADA, "{\"peft_type\":\"LORA\",\"r\":2,\"lora_alpha\":2,\"modules_to_save\":[\"lm_head\"]}", "\"modules_to_save\"", 0 },
    { "ad/adapter_config.json", ADA, "{\"peft_type\":\"LORA\",\"r\":2,\"lora_alpha\":2,\"target_parameters\":[\"w1\"]}", "\"target_parameters\"", 0 },
    { "ad/adapter_model.safetensors", ADA, "\2\0\0\0\0\0\0\0{}", "", 10 },
    { "s.suite", SUI, "", "no section", 0 }, { "s.suite", SUI, "[a\n", "line 1", 0 }, { "s.suite", SUI, "kind = sample\n", "items", 0 },
    { "s.suite", SUI, "[a]\nkind = nothing\nitems = one.jsonl\n", "kind", 0 }, { "s.suite", SUI, "[a]\nkind = sample\nreport = emt\n", "items", 0 },
    { "s.suite", SUI, "[a]\nkind = sample\nitems = one.jsonl\nsamples = -1\nreport = emt\n", "samples", 0 }, { "s.suite", SUI, "[a]\nkind = sample\nitems = one.jsonl\nsamples = 1e99\nreport = emt\n", "samples", 0 },
    { "s.suite", SUI, "[a]\nkind = sample\nitems = one.jsonl\nreport = nonsense\n", "nonsense", 0 },
    { "s.suite", SUI, "[a]\nkindness = 1\n", "kindness", 0 },
    { "r.jsonl", REC, "", "no records", 0 }, { "r.jsonl", REC, "{\"prompt\":\"a\",\"completion\":\"b\"\n", "line 1", 0 }, { "r.jsonl", REC, "{\"completion\":7}\n", "completion", 0 },
    { "r.jsonl", REC, "{\"completion\":\"\\ud800x\"}\n7\n", "", 0 }, { "r.jsonl", REC, "{\"prompt\":\"a\"}\n", "completion", 0 }, { "r.jsonl", REC, "{\"completion\":\"a\0b\"}\n", "line 1", 20 },
    { "r.jsonl", REC, "{\"completion\":\"a\"}\n{\"completion\":\"a\\q\"}\n", "line 2", 0 }, { "r.jsonl", REC, "{\"completion\":\"a\",\"scores\":[}\n", "line 1", 0 },
    { "r.jsonl", REC, "{\"messages\":[{\"role\":\"user\"}]}\n", "", 0 }, { "r.jsonl", REC, "{\"messages\":[{\"role\":\"assistant\",\"content\":\"a\"}]}\n", "", 0 },
    { "x.recipe", RUN, "", "", 0 }, { "x.recipe", RUN, "nonsense = 1\n", "nonsense", 0 },
    { "x.recipe", RUN, "teachers = ../a: b\n", "", 0 }, { "x.recipe", RUN, "teachers a\n", "line 1", 0 },
    { "w.words", WRD, "", "no words", 0 }, { "w.words", WRD, "2\tx\n", "line 1", 0 }, { "w.words", WRD, "0.5 x\n", "line 1", 0 }, { "w.words", WRD, "nan\tx\n", "line 1", 0 }, { "w.words", WRD, "-0.1\tx\n", "line 1", 0 },
    { "g.grammar", GRA, "", "doc", 0 }, { "g.grammar", GRA, "doc: <x> => y\n", "\"x\"", 0 }, { "g.grammar", GRA, "doc: <doc> => y\n", "doc", 0 }, { "g.grammar", GRA, "doc: 0* a => b\n", "line 1", 0 },
    { "t.template", TPL, "", "", 0 }, { "t.template", TPL, "no place", "{prompt}", 0 },
    { "h.dic", HYP, "", "", 0 }, { "h.dic", HYP, "KOI8-R\na1b\n", "KOI8-R", 0 }, { "h.dic", HYP, "UTF-8\n", "no hyphenation patterns", 0 },
    { "p.pairs", STE, "", "no pairs", 0 }, { "p.pairs", STE, "one\n", "line 1", 0 } };
