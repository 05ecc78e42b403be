#!/usr/bin/env python3
"""Random weights at the full shapes, to try what the real ones take. By hand only: the files are large.

    shapes.py llama-2-7b DIR [LAYERS]          a Hugging Face folder, bf16, two shards: 13.5 GB at 32 layers
    shapes.py mixtral-8x7b FILE.gguf [LAYERS]  a GGUF file, Q4_K with a Q6_K head, fused experts: 26.4 GB at 32 layers

Both need a vocabulary of 32000: --tokenizer FILE. No quantiser is at work: nibbles and scales are random, d and dmin such
that weights are about 0.02 wide.
"""
import json, os, random, struct, sys

random.seed(1)
H, V = 4096, 32000


def pool_bf16(n=1 << 22):                       # +- 0.008 .. 0.03
    raw = bytearray(random.randbytes(2 * n))
    for i in range(1, 2 * n, 2):
        raw[i] = (raw[i] & 0x80) | 0x3c
    return bytes(raw)


def pool_k(bytes_a_block, f16_at, n=1 << 15):    # blocks of 256 weights
    raw = bytearray(random.randbytes(bytes_a_block * n))
    for b in range(0, len(raw), bytes_a_block):
        for at, half in f16_at:
            struct.pack_into("<e", raw, b + at, half)
    return bytes(raw)


def write_from(f, pool, unit, size):
    while size:
        start = random.randrange(len(pool) // unit // 2) * unit
        part = min(size, len(pool) - start)
        f.write(pool[start:start + part])
        size -= part


def llama(folder, layers):
    F, config = 11008, dict(model_type="llama", architectures=["LlamaForCausalLM"], hidden_size=H, intermediate_size=11008,
        num_hidden_layers=layers, num_attention_heads=32, vocab_size=V, max_position_embeddings=4096, rms_norm_eps=1e-5,
        bos_token_id=1, eos_token_id=2, hidden_act="silu", tie_word_embeddings=False, torch_dtype="bfloat16")
    os.makedirs(folder, exist_ok=True)
    json.dump(config, open(folder + "/config.json", "w"), indent=1)
    names = [("model.embed_tokens.weight", (V, H))]
    for l in range(layers):
        p = "model.layers.%d." % l
        names += [(p + "self_attn.%s_proj.weight" % x, (H, H)) for x in "qkvo"]
        names += [(p + "mlp.gate_proj.weight", (F, H)), (p + "mlp.up_proj.weight", (F, H)), (p + "mlp.down_proj.weight", (H, F))]
        names += [(p + "input_layernorm.weight", (H,)), (p + "post_attention_layernorm.weight", (H,))]
    names += [("model.norm.weight", (H,)), ("lm_head.weight", (V, H))]
    pool, half, where = pool_bf16(), len(names) // 2, {}
    for shard, part in enumerate((names[:half], names[half:])):
        name = "model-%05d-of-00002.safetensors" % (shard + 1)
        header, at = {}, 0
        for tensor, shape in part:
            size = 2 * shape[0] * (shape[1] if len(shape) > 1 else 1)
            header[tensor] = dict(dtype="BF16", shape=shape, data_offsets=[at, at + size])
            at, where[tensor] = at + size, name
        text = json.dumps(header).encode()
        with open(folder + "/" + name, "wb") as f:
            f.write(struct.pack("<Q", len(text)) + text)
            for tensor, shape in part:
                if len(shape) == 1:
                    f.write(b"\x80\x3f" * shape[0])
                else:
                    write_from(f, pool, 2, 2 * shape[0] * shape[1])
    json.dump(dict(metadata={}, weight_map=where), open(folder + "/model.safetensors.index.json", "w"))


def mixtral(path, layers):
    F, E, KD = 14336, 8, 1024
    kinds = {"F32": (0, 1, 4), "Q4_K": (12, 256, 144), "Q6_K": (14, 256, 210)}
    tensors = [("token_embd", "Q4_K", (H, V))]
    for l in range(layers):
        p = "blk.%d." % l
        tensors += [(p + "attn_norm", "F32", (H,)), (p + "ffn_norm", "F32", (H,)), (p + "ffn_gate_inp", "F32", (H, E)),
            (p + "attn_q", "Q4_K", (H, H)), (p + "attn_k", "Q4_K", (H, KD)), (p + "attn_v", "Q6_K", (H, KD)),
            (p + "attn_output", "Q4_K", (H, H)), (p + "ffn_gate_exps", "Q4_K", (H, F, E)), (p + "ffn_up_exps", "Q4_K", (H, F, E)),
            (p + "ffn_down_exps", "Q4_K", (F, H, E))]
    tensors += [("output_norm", "F32", (H,)), ("output", "Q6_K", (H, V))]
    fields = [("general.architecture", 8, b"llama")] + [("llama." + k, 4, v) for k, v in (("block_count", layers),
        ("context_length", 32768), ("embedding_length", H), ("feed_forward_length", F), ("attention.head_count", 32),
        ("attention.head_count_kv", 8), ("expert_count", E), ("expert_used_count", 2), ("rope.dimension_count", 128))]
    fields += [("llama.attention.layer_norm_rms_epsilon", 6, 1e-5), ("llama.rope.freq_base", 6, 1e6)]
    text = lambda s: struct.pack("<Q", len(s)) + s
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(fields))
    for key, kind, value in fields:
        head += text(key.encode()) + struct.pack("<I", kind)
        head += text(value) if kind == 8 else struct.pack("<I" if kind == 4 else "<f", value)
    at, sizes = 0, []
    for name, kind, shape in tensors:
        number, of, per = kinds[kind]
        size = per
        for d in shape:
            size *= d
        sizes.append(size // of)
        head += text(name.encode() + b".weight") + struct.pack("<I%dQIQ" % len(shape), len(shape), *shape, number, at)
        at += (sizes[-1] + 31) // 32 * 32
    pools = {"Q4_K": (144, pool_k(144, [(0, 1.2e-4), (2, 9e-4)])), "Q6_K": (210, pool_k(210, [(208, 1.5e-5)]))}
    with open(path, "wb") as f:
        f.write(head + bytes(-len(head) % 32))
        for (name, kind, shape), size in zip(tensors, sizes):
            if kind != "F32":
                write_from(f, pools[kind][1], pools[kind][0], size)
            elif len(shape) == 1:
                f.write(struct.pack("<f", 1) * shape[0])
            else:
                f.write(b"".join(struct.pack("<f", random.gauss(0, 0.02)) for i in range(size // 4)))
            f.write(bytes(-size % 32))


if len(sys.argv) < 3 or sys.argv[1] not in ("llama-2-7b", "mixtral-8x7b"):
    sys.exit(__doc__)
(llama if sys.argv[1] == "llama-2-7b" else mixtral)(sys.argv[2], int(sys.argv[3]) if len(sys.argv) > 3 else 32)
