#!/usr/bin/env python3
"""likelihoods.py ACTINH: log-likelihoods of the first 20 questions' choices, computed from the bundled models' files by
PyTorch in float64, are those that profile used (within 1e-5 a token: profile computes in float32), and its picks are the
same. Only the ids are actinh's. Closes with "N passed, N failed"; without torch it skips."""
import json, math, os, struct, subprocess, sys, tempfile

try:
    import torch
except ImportError:
    print("0 passed, 0 failed, 1 skipped")
    sys.exit()


def load(folder):
    with open(folder + "/model.safetensors", "rb") as f:
        head = json.loads(f.read(struct.unpack("<Q", f.read(8))[0]))
        raw = f.read()
    types = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}
    return json.load(open(folder + "/config.json")), {
        name: torch.frombuffer(bytearray(raw[t["data_offsets"][0]:t["data_offsets"][1]]), dtype=types[t["dtype"]])
        .reshape(t["shape"]).double() for name, t in head.items() if name != "__metadata__"}


def log_probabilities(c, w, ids):
    """[tokens][vocabulary], as Llama and Mixtral are defined (rotation by halves, as transformers stores them)."""
    n, heads, groups, D, eps = len(ids), c["num_attention_heads"], c["num_key_value_heads"], c["head_dim"], c["rms_norm_eps"]
    norm = lambda x, g: x * torch.rsqrt((x * x).mean(-1, keepdim=True) + eps) * w[g + ".weight"]
    mlp = lambda x, p, gate, up, down: (torch.nn.functional.silu(x @ w[p + gate].T) * (x @ w[p + up].T)) @ w[p + down].T
    angle = torch.outer(torch.arange(n).double(), c["rope_theta"] ** (-torch.arange(0, D, 2).double() / D)).repeat(1, 2)
    turn = lambda x: x * angle.cos() + torch.cat((-x[..., D // 2:], x[..., :D // 2]), -1) * angle.sin()
    future = torch.full((n, n), -math.inf, dtype=torch.float64).triu(1)
    x = w["model.embed_tokens.weight"][ids]
    for l in range(c["num_hidden_layers"]):
        p = "model.layers.%d." % l
        h = norm(x, p + "input_layernorm")
        q, k, v = ((h @ w[p + "self_attn.%s_proj.weight" % s].T).reshape(n, -1, D).transpose(0, 1) for s in "qkv")
        k, v = (turn(k).repeat_interleave(heads // groups, 0), v.repeat_interleave(heads // groups, 0))
        a = torch.softmax(turn(q) @ k.transpose(1, 2) / math.sqrt(D) + future, -1) @ v
        x = x + a.transpose(0, 1).reshape(n, -1) @ w[p + "self_attn.o_proj.weight"].T
        h = norm(x, p + "post_attention_layernorm")
        if "num_local_experts" not in c:
            x = x + mlp(h, p + "mlp.", "gate_proj.weight", "up_proj.weight", "down_proj.weight")
            continue
        p += "block_sparse_moe."
        best = torch.softmax(h @ w[p + "gate.weight"].T, -1).topk(c["num_experts_per_tok"], -1)
        share = torch.zeros(n, c["num_local_experts"], dtype=torch.float64).scatter(1, best.indices, best.values)
        share /= share.sum(-1, keepdim=True)
        x = x + sum(share[:, i:i + 1] * mlp(h, p + "experts.%d." % i, "w1.weight", "w3.weight", "w2.weight")
                    for i in range(c["num_local_experts"]))
    head = "model.embed_tokens.weight" if c.get("tie_word_embeddings") else "lm_head.weight"
    return torch.log_softmax(norm(x, "model.norm") @ w[head].T, -1)


actinh, passed, failed = sys.argv[1], 0, 0
with tempfile.TemporaryDirectory() as d:
    questions = [json.loads(line) for line in open("data/suites/questions.jsonl")][:20]
    choices = [dict(prompt=q["prompt"], completion=c, stop="length") for q in questions for c in q["choices"]]
    for name, list_ in (("questions", questions), ("choices", choices)):
        open("%s/%s.jsonl" % (d, name), "w").writelines(json.dumps(x) + "\n" for x in list_)
    open(d + "/x.suite", "w").write("[questions]\nkind = choice\nitems = questions.jsonl\nreport = accuracy, acc, ece1\n"
                                    "[choices]\nkind = loss\nitems = choices.jsonl\nreport = loss\n")
    for model in ("data/dense", "data/moe"):
        run = lambda *args: subprocess.run((actinh,) + args, check=True, stdout=subprocess.PIPE).stdout.decode()
        figures = {f["measure"]: f for f in map(json.loads, run("profile", model, d + "/x.suite", "--quiet").splitlines())}
        rows = [line.split("\t", 4) for line in run("tune", model, d + "/choices.jsonl", "--show-mask").splitlines()]
        c, w = load(model)
        ll, tokens = [], []
        for i in range(len(choices)):
            row = [r for r in rows if int(r[0]) == i + 1]
            ids, learnt = [int(r[2]) for r in row], [int(r[3]) for r in row]
            p = log_probabilities(c, w, ids)
            ll.append(sum(float(p[t - 1][ids[t]]) for t in range(1, len(ids)) if learnt[t]))
            tokens.append(sum(learnt))
        worst = max(abs(a + b) / n for a, b, n in zip(ll, figures["loss"]["items"], tokens))
        at, picks = 0, {"accuracy": [], "acc": []}
        sure = []
        for q in questions:
            k = range(at, at + len(q["choices"]))
            by = {"accuracy": [ll[j] / tokens[j] for j in k], "acc": [ll[j] for j in k]}
            for measure, x in by.items():
                picks[measure].append(float(x.index(max(x)) == q["answer"]))
            x = by["accuracy"]
            sure.append(1 / sum(math.exp(y - max(x)) for y in x))
            at += len(k)
        doubt = max(abs(a - b) for a, b in zip(sure, figures["ece1"]["items"]))
        for ok, what in ((worst < 1e-5 and tokens == figures["loss"]["weights"], "log-likelihoods"),
                         (picks["accuracy"] == figures["accuracy"]["items"], "picks a token"),
                         (picks["acc"] == figures["acc"]["items"], "picks"), (doubt < 1e-5, "confidences")):
            passed, failed = passed + ok, failed + (not ok)
            if not ok:
                print("FAILED  %s: %s are others (apart by %g, confidences by %g)" % (model, what, worst, doubt))
        print("%s: %d choices, apart by at most %.1e a token" % (model, len(choices), worst))
print("%d passed, %d failed" % (passed, failed))
sys.exit(failed > 0)
