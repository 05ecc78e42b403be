#!/usr/bin/python3
"""Makes the test vectors in test/vectors/: tiny Llama and Mixtral models computed in
PyTorch in float64 with autograd (no transformers).

  python3 test/vectors.py          write config.json, model.safetensors, expected.json
  python3 test/vectors.py --full   the same, with after_step for every tensor (see SKIP)
  python3 test/vectors.py --check  read the files back; check their gradients by finite differences

A rerun on the same machine writes the same bytes (elsewhere a ninth digit may differ)."""
import json, os, re, struct, sys
import numpy as np, torch
import torch.nn.functional as F

torch.set_num_threads(1)
ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "vectors")
LR, BETAS, EPS, DECAY, CLIP = 0.01, (0.9, 0.95), 1e-8, 0.1, 1.0
SEQS = ((5, 1), (11, 3), (17, 4))   # tokens, and how many leading positions have target -1
# To keep each directory under 300 kB, after_step leaves out these (their grads are there).
SKIP = re.compile(r"\.experts\.[12]\.")

COMMON = dict(hidden_size=16, num_hidden_layers=2, num_attention_heads=4, vocab_size=37,
              rms_norm_eps=1e-5, max_position_embeddings=32, bos_token_id=1, eos_token_id=2,
              hidden_act="silu", torch_dtype="float32")
MODELS = {      # name: (seed, config); the seeds keep clear of routing ties and of gradients near 0
    "dense": (56, dict(COMMON, architectures=["LlamaForCausalLM"], model_type="llama", rope_theta=1e4,
                       intermediate_size=24, num_key_value_heads=2, tie_word_embeddings=True)),
    "mixtral": (781, dict(COMMON, architectures=["MixtralForCausalLM"], model_type="mixtral", rope_theta=1e6,
                        intermediate_size=20, num_key_value_heads=1, tie_word_embeddings=False,
                        num_local_experts=4, num_experts_per_tok=2, router_aux_loss_coef=0.02))}

def shapes(c):
    """Tensor name -> shape, in Hugging Face names and order."""
    H, I, V = c["hidden_size"], c["intermediate_size"], c["vocab_size"]
    KV = H // c["num_attention_heads"] * c["num_key_value_heads"]
    s = {"model.embed_tokens.weight": (V, H)}
    for i in range(c["num_hidden_layers"]):
        p = f"model.layers.{i}."
        s[p + "input_layernorm.weight"] = (H,)
        s.update({p + f"self_attn.{n}_proj.weight": (H if n in "qo" else KV, H) for n in "qkvo"})
        s[p + "post_attention_layernorm.weight"] = (H,)
        if c["model_type"] == "llama":
            s.update({p + f"mlp.{n}_proj.weight": (H, I) if n == "down" else (I, H) for n in ("gate", "up", "down")})
        else:
            s[p + "block_sparse_moe.gate.weight"] = (c["num_local_experts"], H)
            s.update({p + f"block_sparse_moe.experts.{e}.{n}.weight": (H, I) if n == "w2" else (I, H)
                      for e in range(c["num_local_experts"]) for n in ("w1", "w2", "w3")})
    s["model.norm.weight"] = (H,)
    if not c["tie_word_embeddings"]:
        s["lm_head.weight"] = (V, H)
    return s

def rmsnorm(x, w, eps):
    return x * torch.rsqrt((x * x).mean(-1, keepdim=True) + eps) * w

def rope(x, theta):
    """x [T, heads, D]: rotate the pairs (i, i + D/2) by t * theta^(-2i/D)."""
    T, _, D = x.shape
    inv = theta ** (-torch.arange(0, D, 2, dtype=torch.float64) / D)
    a = torch.arange(T, dtype=torch.float64)[:, None, None] * inv      # [T, 1, D/2]
    x1, x2 = x.split(D // 2, -1)
    return torch.cat((x1 * a.cos() - x2 * a.sin(), x2 * a.cos() + x1 * a.sin()), -1)

def attention(x, W, p, c):
    T, H = x.shape
    nh, nkv = c["num_attention_heads"], c["num_key_value_heads"]
    D = H // nh
    q, k, v = ((x @ W[p + n + "_proj.weight"].T).view(T, -1, D) for n in "qkv")
    q, k = rope(q, c["rope_theta"]), rope(k, c["rope_theta"])
    k, v = (t.repeat_interleave(nh // nkv, dim=1) for t in (k, v))     # head h uses h/(nh/nkv)
    s = torch.einsum("thd,uhd->htu", q, k) / D ** 0.5
    s = s.masked_fill(torch.ones(T, T, dtype=torch.bool).triu(1), float("-inf"))
    return torch.einsum("htu,uhd->thd", s.softmax(-1), v).reshape(T, H) @ W[p + "o_proj.weight"].T

def swiglu(x, gate, up, down):
    return (F.silu(x @ gate.T) * (x @ up.T)) @ down.T

def moe(x, W, p, c, picks):
    """Returns (output, E * sum_e f_e P_e); appends to picks (chosen experts, smallest gap to a tie)."""
    T, E, K = len(x), c["num_local_experts"], c["num_experts_per_tok"]
    prob = (x @ W[p + "gate.weight"].T).softmax(-1)                    # [T, E]
    top, idx = prob.topk(K + 1, -1)
    picks.append((idx[:, :K].tolist(), (top[:, K - 1] - top[:, K]).min().item()))
    chosen = torch.zeros_like(prob).scatter(1, idx[:, :K], 1.0)        # 0/1, a constant
    w = prob * chosen / (prob * chosen).sum(-1, keepdim=True)
    y = 0
    for e in range(E):      # all experts on all tokens: the unchosen have weight exactly 0
        n = p + f"experts.{e}."
        y = y + w[:, e:e + 1] * swiglu(x, W[n + "w1.weight"], W[n + "w3.weight"], W[n + "w2.weight"])
    return y, E * (chosen.mean(0) * prob.mean(0)).sum()

def forward(tokens, W, c, picks):
    """Logits [T, V] of one sequence, and its aux loss (mean over layers; 0 for llama)."""
    x, aux, eps = W["model.embed_tokens.weight"][tokens], torch.tensor(0.0).double(), c["rms_norm_eps"]
    for i in range(c["num_hidden_layers"]):
        p = f"model.layers.{i}."
        x = x + attention(rmsnorm(x, W[p + "input_layernorm.weight"], eps), W, p + "self_attn.", c)
        h = rmsnorm(x, W[p + "post_attention_layernorm.weight"], eps)
        if c["model_type"] == "llama":
            x = x + swiglu(h, *(W[p + f"mlp.{n}_proj.weight"] for n in ("gate", "up", "down")))
        else:
            y, a = moe(h, W, p + "block_sparse_moe.", c, picks)
            x, aux = x + y, aux + a / c["num_hidden_layers"]
    head = W["model.embed_tokens.weight" if c["tie_word_embeddings"] else "lm_head.weight"]
    return rmsnorm(x, W["model.norm.weight"], eps) @ head.T, aux

def step_loss(W, c, seqs):
    """Returns (CE + coef * AUX, CE, AUX, logits per sequence, routing picks)."""
    picks, logits, aux, ce = [], [], 0, 0
    for s in seqs:
        lg, a = forward(torch.tensor(s["tokens"]), W, c, picks)
        ce = ce + F.cross_entropy(lg, torch.tensor(s["targets"]), ignore_index=-1, reduction="sum")
        aux = aux + a / len(seqs)
        logits.append(lg)
    ce = ce / sum(t >= 0 for s in seqs for t in s["targets"])
    return ce + c.get("router_aux_loss_coef", 0.0) * aux, ce, aux, logits, picks

def save_safetensors(path, W):
    header, data = {}, b""
    for name, t in W.items():
        raw = t.detach().numpy().astype("<f4").tobytes()
        header[name] = dict(dtype="F32", shape=list(t.shape), data_offsets=[len(data), len(data) + len(raw)])
        data += raw
    h = json.dumps(header, separators=(",", ":")).encode()
    h += b" " * (-len(h) % 8)       # align the data
    open(path, "wb").write(struct.pack("<Q", len(h)) + h + data)

def load_safetensors(path):
    raw = open(path, "rb").read()
    n = 8 + struct.unpack("<Q", raw[:8])[0]
    get = lambda a, b: np.frombuffer(raw[n + a:n + b], "<f4").astype("f8")
    return {k: torch.tensor(get(*v["data_offsets"]).reshape(v["shape"])) for k, v in json.loads(raw[8:n]).items()}

def make(name, seed, c, full):
    rng = np.random.RandomState(seed)
    draw = lambda d: 1 + 0.1 * rng.randn(*d) if len(d) == 1 else 0.25 * rng.randn(*d)
    W = {k: torch.tensor(draw(d).astype("f4").astype("f8")).requires_grad_()  # float32-rounded
         for k, d in shapes(c).items()}
    seqs = []
    for T, skip in SEQS:
        t = [1] + rng.randint(3, c["vocab_size"], T).tolist()          # T tokens and one more
        seqs.append(dict(tokens=t[:T], targets=[-1] * skip + t[skip + 1:]))

    d = os.path.join(ROOT, name)
    os.makedirs(d, exist_ok=True)
    open(os.path.join(d, "config.json"), "w").write(json.dumps(c, indent=2, sort_keys=True) + "\n")
    save_safetensors(os.path.join(d, "model.safetensors"), W)
    loss, ce, aux, logits, picks = step_loss(W, c, seqs)
    gap = min([g for _, g in picks], default=1.0)   # between the last expert chosen and the next
    assert gap > 5e-3, f"{name}: routing too close to a tie ({gap:g}): change the seed"
    loss.backward()
    grads = {k: w.grad.clone() for k, w in W.items()}
    norm = sum((g * g).sum() for g in grads.values()).sqrt().item()

    for w in W.values():
        w.grad.mul_(min(1.0, CLIP / norm))                             # clip by hand
    small = min(x for w in W.values() for x in w.grad.abs().flatten().tolist() if x > 0)
    groups = [dict(params=[w], weight_decay=DECAY if w.dim() == 2 else 0.0) for w in W.values()]
    torch.optim.AdamW(groups, lr=LR, betas=BETAS, eps=EPS).step()

    num = lambda x: "%.9g" % x
    flat = lambda t: "[" + ",".join(map(num, t.detach().flatten().tolist())) + "]"
    table = lambda m: "{\n" + ",\n".join(f'"{k}":{flat(t)}' for k, t in m.items()) + "}"
    after = {k: w for k, w in W.items() if full or not SKIP.search(k)}
    with open(os.path.join(d, "expected.json"), "w") as f:
        f.write('{"sequences":[\n' + ",\n".join(json.dumps(s, separators=(",", ":")) for s in seqs) + "],\n"
                + '"logits":[\n' + ",\n".join(map(flat, logits)) + "],\n"
                + f'"loss":{num(ce.item())},\n"aux":{num(aux.item())},\n"grad_norm":{num(norm)},\n'
                + '"grads":' + table(grads) + ',\n"after_step":' + table(after) + "}\n")
    print(f"{name}: {sum(w.numel() for w in W.values())} weights in {len(W)} tensors, after_step for {len(after)};"
          f" loss {ce.item():.9g} aux {aux.item():.9g} grad_norm {norm:.9g}; "
          f"routing gap {gap:.2g}, smallest nonzero clipped gradient {small:.2g}")

def check(name, c, n=20, h=2e-4):
    """The written files: 5-point differences of the loss at n random weights (nonzero gradient)."""
    d, rng, worst = os.path.join(ROOT, name), np.random.RandomState(99), 0.0
    W, want = load_safetensors(os.path.join(d, "model.safetensors")), json.load(open(os.path.join(d, "expected.json")))
    routes = lambda picks: [[sorted(q) for q in p] for p, _ in picks]
    _, ce, aux, _, picks = step_loss(W, c, want["sequences"])
    assert abs(ce.item() - want["loss"]) < 1e-8 and abs(aux.item() - want["aux"]) < 1e-8
    for k in [list(W)[i] for i in rng.permutation(len(W))[:n]]:         # n different tensors
        i = rng.choice(np.flatnonzero(want["grads"][k]))
        w, w0, f = W[k].view(-1), W[k].view(-1)[i].item(), {}
        for m in (-2, -1, 1, 2):
            w[i] = w0 + m * h
            loss, _, _, _, p = step_loss(W, c, want["sequences"])
            assert routes(p) == routes(picks), "a step changed the routing"
            f[m] = loss.item()
        w[i] = w0
        num, g = (f[-2] - 8 * f[-1] + 8 * f[1] - f[2]) / (12 * h), want["grads"][k][i]
        worst = max(worst, rel := abs(num - g) / abs(g))
        print(f"  {'ok  ' if rel < 1e-6 else 'FAIL'} {rel:.1e}  {g:+.9g}  {k}[{i}]")
    print(f"{name}: worst relative error {worst:.1e}")
    return worst < 1e-6

if __name__ == "__main__":
    if "--check" in sys.argv:
        sys.exit(0 if all([check(k, c) for k, (_, c) in MODELS.items()]) else 1)
    for k, (seed, c) in MODELS.items():
        make(k, seed, c, "--full" in sys.argv)
