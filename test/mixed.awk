# mixed.awk: a GGUF of one layer, hidden size 256, in which every way of storing numbers stands once, blocks drawn at random;
# as octal escapes, for printf %b. It loads, and says nothing of sense: the golden pipeline wants its bits.
function byte(b) { printf "\\0%03o", b; at++ }
function le(x, n) { while (n--) { byte(x % 256); x = int(x / 256) } }
function text(s, i) { le(length(s), 8); for (i = 1; i <= length(s); i++) byte(index(ascii, substr(s, i, 1)) + 31) }
function random(n) { seed = seed * 16807 % 2147483647; return int(seed / 65536) % n }
function bytes(n) { while (n--) byte(random(256)) }
function half() { byte(random(256)); byte(20 + random(4)) }                     # F16 near 0.001
function number(key, x) { text("llama." key); le(4, 4); le(x, 4) }
# NAME ROWS COLS TYPE of ggml, numbers and bytes a block
function tensor(name, rows, cols, type, of, width) {
    if (!data) { text(name); le(2, 4); le(cols, 8); le(rows, 8); le(type, 4); le(offset, 8); offset += int((rows * cols / of * width + 31) / 32) * 32; return }
    start = at
    for (blocks = rows * cols / of; blocks; blocks--) {
        if (type == 1) { byte(random(256)); byte(36 + random(2) * 128) }
        else if (type == 30) { byte(random(256)); byte(60 + random(2) * 128) }
        else if (type == 8 || type == 2) { half(); bytes(width - 2) }
        else if (type == 14) { bytes(width - 2); half() }
        else { half(); half(); bytes(width - 4) }
    }
    while ((at - start) % 32) byte(0)
}
function norm(name, i) {
    if (!data) { text(name); le(1, 4); le(256, 8); le(0, 4); le(offset, 8); offset += 1024; return }
    for (i = 0; i < 256; i++) { byte(0); byte(random(256)); byte(128); byte(63) }
}
function tensors() {
    tensor("token_embd.weight", 360, 256, 14, 256, 210); tensor("output.weight", 360, 256, 13, 256, 176)
    tensor("blk.0.attn_q.weight", 256, 256, 12, 256, 144); tensor("blk.0.attn_k.weight", 64, 256, 13, 256, 176)
    tensor("blk.0.attn_v.weight", 64, 256, 2, 32, 18); tensor("blk.0.attn_output.weight", 256, 256, 1, 1, 2)
    tensor("blk.0.ffn_gate.weight", 256, 256, 8, 32, 34); tensor("blk.0.ffn_up.weight", 256, 256, 30, 1, 2)
    tensor("blk.0.ffn_down.weight", 256, 256, 14, 256, 210)
    norm("blk.0.attn_norm.weight"); norm("blk.0.ffn_norm.weight"); norm("output_norm.weight")
}
BEGIN {
    ascii = " !\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefghijklmnopqrstuvwxyz{|}~"; seed = 7
    byte(71); byte(71); byte(85); byte(70); le(3, 4); le(12, 8); le(9, 8)
    text("general.architecture"); le(8, 4); text("llama")
    number("context_length", 64); number("embedding_length", 256); number("block_count", 1); number("feed_forward_length", 256)
    number("attention.head_count", 4); number("attention.head_count_kv", 1); number("vocab_size", 360)
    text("llama.attention.layer_norm_rms_epsilon"); le(6, 4); byte(172); byte(197); byte(39); byte(55)        # 1e-5
    tensors(); while (at % 32) byte(0)
    data = 1; tensors()
}
