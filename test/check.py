#!/usr/bin/env python3
"""check.py ACTINH: an independent checker, written from the section "Specification" of README.md, not from actinh.c:
where the two disagree, one of them is wrong. Plain Python, no packages. It makes a very small dense and a very small
MoE model, lets the program train and sample with them, does the same itself, every operation rounded to binary32, and
compares bytes: all weights after some steps of AdamW, the log of the steps, sampled records, a random choice. Closes
with "N passed, N failed".

Python's floats are binary64. + - * / and sqrt of binary32 numbers, done in binary64 and rounded to binary32, are
rounded correctly, for 53 >= 2 * 24 + 2 bits (Figueroa 1995): single() after each operation is all that is needed."""
import hashlib, json, math, os, struct, subprocess, sys, tempfile

# ------------------------------------------------------------- arithmetic
def singles(xs):
    form = '<%df' % len(xs)
    return list(struct.unpack(form, struct.pack(form, *xs)))

def single(x):
    return struct.unpack('<f', struct.pack('<f', x))[0]

def sums(start, terms):
    """Sums side by side: terms are lists of products, each rounded, then added one after the other."""
    for term in terms:
        start = singles([a + b for a, b in zip(start, singles(term))])
    return start

def total(terms, start=0.0):
    """One sum of terms that are rounded already."""
    for x in terms:
        start = single(start + x)
    return start

def wide(terms):
    """The same in double."""
    z = 0.0
    for x in terms: z += x
    return z

def mul(*xs):
    y = xs[0]
    for x in xs[1:]:
        y = single(y * x)
    return y

def div(a, b): return single(a / b)
def root(x): return single(math.sqrt(x))

S = single
EXP = [S(1 / n) for n in (5040, 720, 120, 24, 6)] + [0.5]
LOG2E, LN2A, LN2B = S(1.44269504), 0.693359375, S(-2.12194440e-4)

def exp32(x):
    if x < -87: return 0.0
    c = max(min(x, 88.0), -87.0)
    n = S(S(mul(c, LOG2E) + 12582912.0) - 12582912.0)
    r = S(S(c - mul(n, LN2A)) - mul(n, LN2B))
    p = EXP[0]
    for a in EXP[1:]: p = S(mul(p, r) + a)
    p = S(1 + S(r + mul(r, r, p)))
    return mul(p, 2.0 ** n)

MAGIC, H64, L64 = 6755399441055744.0, 6.93147180369123816490e-01, 1.90821492927058770002e-10

def exp64(x):
    if x < -708: return 0.0
    x = min(x, 709.0)
    n = (x * 1.4426950408889634 + MAGIC) - MAGIC
    r = (x - n * H64) - n * L64
    p = 1 / math.factorial(13)
    for k in range(12, 1, -1): p = p * r + 1 / math.factorial(k)
    return (1 + (r + r * r * p)) * 2.0 ** n

def log64(x):
    if x <= 0: return -745.0
    m, n = math.frexp(x)
    m, n = m * 2, n - 1
    if m > 1.4142135623730951: m, n = m * 0.5, n + 1
    f = m - 1
    s = f / (2 + f)
    z = s * s
    h = 0.5 * f * f
    r = 2 / 25
    for i in range(23, 2, -2): r = r * z + 2 / i
    return n * H64 - ((h - (s * (h + r * z) + n * L64)) - f)

def sincos(x):
    n = (x * 0.63661977236758134308 + MAGIC) - MAGIC
    r = ((x - n * 1.57079632673412561417e+00) - n * 6.07710050630396597660e-11) - n * 2.02226624879595063154e-21
    z = r * r
    f = math.factorial
    s = -1 / f(15)
    for a in (1 / f(13), -1 / f(11), 1 / f(9), -1 / f(7), 1 / f(5), -1 / f(3)): s = s * z + a
    s = r + r * z * s
    c = 1 / f(16)
    for a in (-1 / f(14), 1 / f(12), -1 / f(10), 1 / f(8), -1 / f(6), 1 / f(4), -0.5): c = c * z + a
    c = 1 + z * c
    return ((s, c), (c, -s), (-s, -c), (-c, s))[int(n) % 4]

def exps(s):
    top = max(s)
    e = [exp32(S(x - top)) for x in s]
    return e, wide(e)

def softmax(s):
    e, z = exps(s)
    return singles([x / S(z) for x in e])

# ------------------------------------------------------------- random numbers
MASK = (1 << 64) - 1
SAMPLE, PICK, SHUFFLE, INIT = 1, 2, 3, 4

def stir(h, w):
    h = ((h ^ w) + 0x9e3779b97f4a7c15) & MASK
    h = ((h ^ h >> 30) * 0xbf58476d1ce4e5b9) & MASK
    h = ((h ^ h >> 27) * 0x94d049bb133111eb) & MASK
    return h ^ h >> 31

def draw(*words):
    h = 0
    for w in words: h = stir(h, w)
    return h

def uniform(r): return (r >> 40) / 2.0 ** 24
def below(r, n): return ((r >> 32) * n) >> 32

def key(name):
    h = 0xcbf29ce484222325
    for b in name.encode(): h = ((h ^ b) * 0x100000001b3) & MASK
    return h

# ------------------------------------------------------------- texts
def characters(data):
    """(bytes, code point) of each character; a byte that is not UTF-8 stands alone as U+FFFD."""
    while data:
        for n in (1, 2, 3, 4):
            try: c = data[:n].decode('utf-8')
            except UnicodeDecodeError: continue
            break
        else: n, c = 1, '\ufffd'
        yield data[:n], c
        data = data[n:]

def quoted(data):
    named = {'"': '\\"', '\\': '\\\\', '\n': '\\n', '\t': '\\t', '\r': '\\r'}
    escaped = lambda c: named.get(c) or ('\\u%04x' % ord(c) if c < ' ' or c == '\x7f' else c)
    return '"' + ''.join(escaped(c) for _, c in characters(data)) + '"'

def fixed(x):
    u = int(abs(x) * 1e6 + 0.5)
    return '%s%d.%06d' % ('-' if x < 0 and u else '', u // 1000000, u % 1000000)

def hexadecimal(x):
    if x == 0: return '0x0p+0'
    head, exponent = float.hex(x).split('p')
    head = head.rstrip('0').rstrip('.') if '.' in head else head
    return head + 'p' + exponent

PIECES = [b' ', b'e', b't', b'a', b'o', b' t', b'th', b' th', b' the', b' a',
          b'an', b'er', b'in', b'on', b'at', b're', b' s', b'\xc3\xa4']
SCORES = [-18.0, -19.0, -20.0, -21.0, -22.0, -1.0, -2.0, -3.0, -4.0, -5.0,
          -6.0, -6.0, -7.0, -8.0, -9.0, -6.5, -10.0, -30.0]
VOCABULARY = 259 + len(PIECES)

def encode(text, space):
    part = [c for c, _ in characters((b' ' if space and text else b'') + text.encode())]
    score = dict(zip(PIECES, SCORES))
    while True:
        pairs = [(-score[a + b], i) for i, (a, b) in enumerate(zip(part, part[1:])) if a + b in score]
        if not pairs: break
        i = min(pairs)[1]
        part[i:i + 2] = [part[i] + part[i + 1]]
    ids = []
    for p in part: ids += [259 + PIECES.index(p)] if p in score else [3 + b for b in p]
    return ids

def token_bytes(i): return b'' if i < 3 else bytes([i - 3]) if i < 259 else PIECES[i - 259]

# ------------------------------------------------------------- the model
class Model:
    def __init__(m, config):
        m.c = c = config
        m.H, m.F, m.L = c['hidden_size'], c['intermediate_size'], c['num_hidden_layers']
        m.Q, m.K, m.D = c['num_attention_heads'], c['num_key_value_heads'], c['head_dim']
        m.E, m.top = c.get('num_local_experts', 1), c.get('num_experts_per_tok', 1)
        m.eps, m.theta, m.aux = S(c['rms_norm_eps']), S(c['rope_theta']), S(c.get('router_aux_loss_coef', 0))
        m.tied, m.context = c['tie_word_embeddings'], c['max_position_embeddings']
        m.shape = {'model.embed_tokens.weight': (VOCABULARY, m.H)}
        for l in range(m.L):
            at = 'model.layers.%d.' % l
            m.shape[at + 'input_layernorm.weight'] = (1, m.H)
            QD, KD = m.Q * m.D, m.K * m.D
            for name, shape in (('q', (QD, m.H)), ('k', (KD, m.H)), ('v', (KD, m.H)), ('o', (m.H, QD))):
                m.shape[at + 'self_attn.%s_proj.weight' % name] = shape
            m.shape[at + 'post_attention_layernorm.weight'] = (1, m.H)
            if m.E > 1: m.shape[at + 'block_sparse_moe.gate.weight'] = (m.E, m.H)
            for x in range(m.E):
                m.shape.update(zip(m.expert(l, x), ((m.F, m.H), (m.F, m.H), (m.H, m.F))))
        m.shape['model.norm.weight'] = (1, m.H)
        if not m.tied: m.shape['lm_head.weight'] = (VOCABULARY, m.H)
        m.w, m.pair, m.scale = {}, {}, 0.0
        f = [S(exp64(-(2 * i) / m.D * log64(m.theta))) for i in range(m.D // 2)]
        m.turn = [[tuple(map(S, sincos(mul(t, x)))) for x in f] for t in range(m.context)]

    def expert(m, l, x):
        names = ['mlp.gate_proj', 'mlp.up_proj', 'mlp.down_proj']
        if m.E > 1: names = ['block_sparse_moe.experts.%d.w%d' % (x, k) for k in (1, 3, 2)]
        return ['model.layers.%d.%s.weight' % (l, n) for n in names]

    def random(m, seed):
        for i, (name, (rows, cols)) in enumerate(m.shape.items()):
            narrow = any(n in name for n in ('o_proj', 'down_proj', '.w2.'))
            width = div(S(0.02), root(2 * m.L)) if narrow else S(0.02)
            normal = lambda k: S(total(uniform(draw(seed, INIT, i, k, j)) for j in range(12)) - 6)
            m.w[name] = [[1.0] * cols] if rows == 1 else [
                [mul(width, normal(r * cols + k)) for k in range(cols)] for r in range(rows)]

    def add_lora(m, rank, alpha, targets, seed):
        m.scale = S(alpha / rank)
        for name, (rows, cols) in m.shape.items():
            if rows == 1 or name.split('.')[-2] not in targets: continue
            a = lambda k: div(S(2 * uniform(draw(seed, INIT, key(name), k, 1)) - 1), root(cols))
            m.pair[name] = [[a(j * cols + k) for k in range(cols)] for j in range(rank)], zeros([[0.0] * rank] * rows)

    def learnt(m):
        """Name and matrix of all that learns, in the order of files."""
        if not m.pair: return m.w
        adapter = lambda name, x: 'base_model.model.%s.lora_%s.weight' % (name[:-len('.weight')], x)
        return {adapter(name, 'AB'[i]): pair[i] for name, pair in m.pair.items() for i in (0, 1)}

def product(w, xs, start=None):
    """W x for each x, going on from start."""
    columns = list(zip(*w))
    start = start or [[0.0] * len(w)] * len(xs)
    return [sums(s, ([a * b for a in column] for column, b in zip(columns, x))) for s, x in zip(start, xs)]

def product_back(w, dys, start=None):
    """W'dy for each dy, going on from start."""
    start = start or [[0.0] * len(w[0])] * len(dys)
    return [sums(s, ([a * b for a in row] for row, b in zip(w, dy))) for s, dy in zip(start, dys)]

def outer(g, dys, xs):
    """g += dy x', rows in order."""
    for dy, x in zip(dys, xs):
        for i, d in enumerate(dy): g[i] = sums(g[i], [[d * b for b in x]])

def scaled(m, xs): return [singles([a * m.scale for a in x]) for x in xs]

def matrix(m, name, xs):
    ys = product(m.w[name], xs)
    if name not in m.pair: return ys
    a, b = m.pair[name]
    return product(b, scaled(m, product(a, xs)), ys)

def back(m, name, dys, start=None):
    dxs = product_back(m.w[name], dys, start)
    if name not in m.pair: return dxs
    a, b = m.pair[name]
    return product_back(a, scaled(m, product_back(b, dys)), dxs)

def grow(m, g, name, dys, xs):
    """The gradients of a matrix, or of the pair beside it."""
    if name in m.pair:
        a, b = m.pair[name]
        outer(g[name][1], dys, scaled(m, product(a, xs)))
        outer(g[name][0], scaled(m, product_back(b, dys)), xs)
    elif not m.pair: outer(g[name], dys, xs)

def inverse(x, eps): return div(1.0, root(S(div(total(mul(a, a) for a in x), len(x)) + eps)))

def norm(m, xs, w):
    out = []
    for x in xs:
        inv = inverse(x, m.eps)
        out.append(singles([a * b for a, b in zip(singles([a * inv for a in x]), w[0])]))
    return out

def norm_back(m, xs, name, g, dys):
    """The terms norm' of each row; the weight's gradient grows."""
    out, w = [], m.w[name]
    for x, dy in zip(xs, dys):
        inv = inverse(x, m.eps)
        dw = singles([a * b for a, b in zip(dy, w[0])])
        b = div(mul(inv, inv, inv, total(mul(a, c) for a, c in zip(dw, x))), len(x))
        out.append(singles([p - q for p, q in zip(singles([inv * a for a in dw]), singles([a * b for a in x]))]))
        if not m.pair: g[name][0] = singles([a + mul(d, v, inv) for a, d, v in zip(g[name][0], dy, x)])
    return out

def add(xs, ys): return [singles([a + b for a, b in zip(x, y)]) for x, y in zip(xs, ys)]

def rotate(m, xs, sign):
    for t, x in enumerate(xs):
        for h in range(0, len(x), m.D):
            for i, (sin, cos) in enumerate(m.turn[t]):
                a, b, s = x[h + i], x[h + i + m.D // 2], sign * sin
                x[h + i], x[h + i + m.D // 2] = S(mul(a, cos) - mul(b, s)), S(mul(b, cos) + mul(a, s))

def heads(m, x, h): return x[h * m.D:(h + 1) * m.D]

def weights(m, q, k, h, t):
    """Attention weights of head h of row t."""
    scale = div(1.0, root(m.D))
    kh = h // (m.Q // m.K)
    dot = lambda a, b: total(mul(x, y) for x, y in zip(a, b))
    return softmax([mul(dot(heads(m, q[t], h), heads(m, k[u], kh)), scale) for u in range(t + 1)])

def forward(m, tokens):
    """One sequence. What the backward needs is kept, a dictionary a layer; last: the final rows and the logits."""
    x, kept = [m.w['model.embed_tokens.weight'][i] for i in tokens], []
    for l in range(m.L):
        name = lambda z: 'model.layers.%d.%s.weight' % (l, z)
        a = {'x': x, 'n': norm(m, x, m.w[name('input_layernorm')])}
        a['q'], a['k'], a['v'] = (matrix(m, name('self_attn.%s_proj' % z), a['n']) for z in 'qkv')
        rotate(m, a['q'], 1); rotate(m, a['k'], 1)
        a['a'] = []
        for t in range(len(x)):
            row = []
            for h in range(m.Q):
                p, kh = weights(m, a['q'], a['k'], h, t), h // (m.Q // m.K)
                row += sums([0.0] * m.D, ([c * b for b in heads(m, a['v'][u], kh)] for u, c in enumerate(p)))
            a['a'].append(row)
        a['mid'] = add(x, matrix(m, name('self_attn.o_proj'), a['a']))
        a['n2'] = norm(m, a['mid'], m.w[name('post_attention_layernorm')])
        a['P'] = [[1.0] for _ in x]
        if m.E > 1: a['P'] = [softmax(z) for z in matrix(m, name('block_sparse_moe.gate'), a['n2'])]
        a['w'], out = [], []
        a['gate'], a['up'], a['h'] = [{} for _ in x], [{} for _ in x], [{} for _ in x]
        for r, (n, p) in enumerate(zip(a['n2'], a['P'])):
            picked = sorted(sorted(range(m.E), key=lambda e: (-p[e], e))[:m.top])
            z = total(p[e] for e in picked)
            a['w'].append({e: div(p[e], z) if m.E > 1 else 1.0 for e in picked})
            y = [0.0] * m.H
            for e in picked:
                wgate, wup, wdown = m.expert(l, e)
                gate, up = matrix(m, wgate, [n])[0], matrix(m, wup, [n])[0]
                h = [mul(div(g, S(1 + exp32(-g))), u) for g, u in zip(gate, up)]
                a['gate'][r][e], a['up'][r][e], a['h'][r][e] = gate, up, h
                y = sums(y, [[a['w'][r][e] * o for o in matrix(m, wdown, [h])[0]]])
            out.append(y)
        x = add(a['mid'], out)
        kept.append(a)
    final = norm(m, x, m.w['model.norm.weight'])
    return kept, x, final

def head(m): return 'model.embed_tokens.weight' if m.tied else 'lm_head.weight'

def loss_of(x, target):
    e, z = exps(x)
    return log64(z) - S(x[target] - max(x)), e, z

def backward(m, g, tokens, first, N, n, aux):
    """Adds an example's gradients to g and its balance losses to aux; returns its losses."""
    rows, targets = tokens[:-1], range(first - 1, len(tokens) - 1)
    kept, x, final = forward(m, rows)
    wanted = [final[r] for r in targets]
    losses, dlogits = [], []
    for r, z in zip(targets, matrix(m, head(m), wanted)):
        loss, e, s = loss_of(z, tokens[r + 1])
        d = singles([v / S(s) for v in e])
        d[tokens[r + 1]] = S(d[tokens[r + 1]] - 1)
        losses.append(loss); dlogits.append(d)
    if m.tied and not m.pair: outer(g['head'], dlogits, wanted)
    else: grow(m, g, head(m), dlogits, wanted)
    dn = norm_back(m, [x[r] for r in targets], 'model.norm.weight', g, back(m, head(m), dlogits))
    dx = [[0.0] * m.H for _ in rows]
    for r, d in zip(targets, dn): dx[r] = singles([0.0 + v for v in d])
    for l in reversed(range(m.L)):
        layer_back(m, g, l, kept[l], dx, N, n, aux)
    z = 'model.embed_tokens.weight'
    for t, d in zip(rows, dx):
        if not m.pair: g[z][t] = singles([a + b for a, b in zip(g[z][t], d)])
    return losses

def expert_back(m, g, l, a, r, e, dy):
    """One row of one expert: its share of dn, and dw."""
    names = m.expert(l, e)
    gate, up, h, w = a['gate'][r][e], a['up'][r][e], a['h'][r][e], a['w'][r][e]
    u = back(m, names[2], [dy])[0]
    dw = total(mul(p, q) for p, q in zip(u, h))
    dh = singles([v * w for v in u])
    grow(m, g, names[2], [dy], [singles([v * w for v in h])])
    sg = [div(1.0, S(1 + exp32(-v))) for v in gate]
    dup = [mul(d, mul(v, s)) for d, v, s in zip(dh, gate, sg)]
    dgate = [mul(mul(d, v), mul(s, S(1 + mul(y, S(1 - s))))) for d, v, s, y in zip(dh, up, sg, gate)]
    grow(m, g, names[0], [dgate], [a['n2'][r]]); grow(m, g, names[1], [dup], [a['n2'][r]])
    return back(m, names[1], [dup], back(m, names[0], [dgate]))[0], dw

def router_back(m, a, dws, N, n, aux, l):
    """dz of each row."""
    T, b, out = len(dws), div(mul(m.aux, N), n * m.L), []
    f = [div(sum(e in w for w in a['w']), T) for e in range(m.E)]
    for e in range(m.E): aux[l] += mul(mul(m.E, f[e]), div(total(P[e] for P in a['P']), T))
    for P, w, dw in zip(a['P'], a['w'], dws):
        dP = [mul(b, div(mul(m.E, v), T)) for v in f]
        mean, c = total(mul(dw[e], w[e]) for e in sorted(w)), total(P[e] for e in sorted(w))
        for e in w: dP[e] = S(dP[e] + div(S(dw[e] - mean), c))
        s = total(mul(p, d) for p, d in zip(P, dP))
        out.append([mul(p, S(d - s)) for p, d in zip(P, dP)])
    return out

def layer_back(m, g, l, a, dx, N, n, aux):
    name = lambda z: 'model.layers.%d.%s.weight' % (l, z)
    R = range(len(dx))
    dn, dws = [], []
    for r in R:
        y, dw = [0.0] * m.H, {}
        for e in sorted(a['w'][r]):
            part, dw[e] = expert_back(m, g, l, a, r, e, dx[r])
            y = singles([p + q for p, q in zip(y, part)])
        dn.append(y); dws.append(dw)
    if m.E > 1:
        dz = router_back(m, a, dws, N, n, aux, l)
        grow(m, g, name('block_sparse_moe.gate'), dz, a['n2'])
        dn = back(m, name('block_sparse_moe.gate'), dz, dn)
    dx[:] = add(dx, norm_back(m, a['mid'], name('post_attention_layernorm'), g, dn))
    grow(m, g, name('self_attn.o_proj'), dx, a['a'])
    da = back(m, name('self_attn.o_proj'), dx)
    dq, dk, dv = [], [[0.0] * (m.K * m.D) for _ in R], [[0.0] * (m.K * m.D) for _ in R]
    scale = div(1.0, root(m.D))
    for r in R:
        row = []
        for h in range(m.Q):
            kh = h // (m.Q // m.K)
            p, d, q = weights(m, a['q'], a['k'], h, r), heads(m, da[r], h), heads(m, a['q'][r], h)
            dp = [total(mul(i, j) for i, j in zip(d, heads(m, a['v'][u], kh))) for u in range(r + 1)]
            s = total(mul(i, j) for i, j in zip(p, dp))
            ds = [mul(i, S(j - s), scale) for i, j in zip(p, dp)]
            row += sums([0.0] * m.D, ([ds[u] * k for k in heads(m, a['k'][u], kh)] for u in range(r + 1)))
            part = slice(kh * m.D, (kh + 1) * m.D)
            for u in range(r + 1):
                dk[u][part] = sums(dk[u][part], [[ds[u] * v for v in q]])
                dv[u][part] = sums(dv[u][part], [[p[u] * v for v in d]])
        dq.append(row)
    rotate(m, dq, -1); rotate(m, dk, -1)
    dn = None
    for z, d in zip('qkv', (dq, dk, dv)):
        grow(m, g, name('self_attn.%s_proj' % z), d, a['n'])
        dn = back(m, name('self_attn.%s_proj' % z), d, dn)
    dx[:] = add(dx, norm_back(m, a['x'], name('input_layernorm'), g, dn))

# ------------------------------------------------------------- learning
def example(m, record, longest):
    stop = [] if record.get('stop') == 'length' else [2]
    if 'text' in record: ids, first = [1] + encode(record['text'], True) + stop, 1
    else:
        ids = [1] + encode(record['prompt'], True)
        first = len(ids)
        ids += encode(record['completion'], False) + stop
    return ids[:min(longest, m.context) + 1], first

def learning_rate(o, s, steps):
    warm = int(math.floor(o['warmup'] * steps))
    if s < warm: return o['lr'] * s / warm
    if o['schedule'] == 'constant': return o['lr']
    if s >= steps: return o['min-lr']
    cos = sincos(3.14159265358979323846 * (s - warm) / (steps - warm))[1]
    return o['min-lr'] + 0.5 * (1 + cos) * (o['lr'] - o['min-lr'])

def adamw(m, gradient, moment, o, factor, lr, powers):
    b1, b2, decay, eps = S(o['beta1']), S(o['beta2']), S(o['decay']), S(1e-8)
    c1, c2, step, denominator = S(1 - b1), S(1 - b2), S(lr / (1 - powers[0])), S(math.sqrt(1 - powers[1]))
    for name, rows in m.learnt().items():
        shrink = 1.0 if name.endswith('norm.weight') else S(1 - lr * decay)
        for w, g, m1, m2 in zip(rows, gradient[name], *moment[name]):
            d = singles([x * factor for x in g])
            m1[:] = sums(singles([x * b1 for x in m1]), [[c1 * x for x in d]])
            m2[:] = sums(singles([x * b2 for x in m2]), [[c2 * x for x in singles([x * x for x in d])]])
            for i in range(len(w)):
                w[i] = S(mul(w[i], shrink) - mul(step, div(m1[i], S(div(root(m2[i]), denominator) + eps))))

def zeros(rows): return [[0.0] * len(row) for row in rows]

def gradients(m):
    """A zero for every weight that learns; of a matrix with a pair [of A, of B]."""
    if m.pair: return {name: [zeros(x) for x in pair] for name, pair in m.pair.items()}
    return dict({name: zeros(w) for name, w in m.w.items()}, head=zeros(m.w['model.embed_tokens.weight']))

def tune(m, records, o):
    examples = [x for x in (example(m, r, o['max-length']) for r in records) if x[1] < len(x[0])]
    steps = o['epochs'] * ((len(examples) + o['batch'] - 1) // o['batch'])
    powers, log, order, epoch = [1.0, 1.0], '', [], 0
    moment = {name: (zeros(w), zeros(w)) for name, w in m.learnt().items()}
    for s in range(1, min(steps, o['steps'] or steps) + 1):
        if not order:
            order = sorted(range(len(examples)), key=lambda i: draw(o['seed'], SHUFFLE, epoch, i, 0))
            epoch += 1
        batch, order = [examples[i] for i in order[:o['batch']]], order[o['batch']:]
        N, n, lr = sum(len(x) - first for x, first in batch), len(batch), learning_rate(o, s, steps)
        g = gradients(m)
        aux, loss = [0.0] * m.L, 0.0
        for ids, first in batch:
            for x in backward(m, g, ids, first, N, n, aux): loss += x
        embed = 'model.embed_tokens.weight'
        if m.pair: g = dict(zip(m.learnt(), (x for pair in g.values() for x in pair)))
        elif m.tied: g[embed] = add(g['head'], g[embed])
        squares = 0.0
        for name in m.learnt():
            for row in g[name]:
                part = 0.0
                for x in row: part += x * x
                squares += part
        length, clip, balance = math.sqrt(squares) / N, S(o['clip']), 0.0
        for x in aux: balance += x
        factor = S((clip / length if clip > 0 and length > clip else 1.0) / N)
        powers = [powers[0] * S(o['beta1']), powers[1] * S(o['beta2'])]
        adamw(m, g, moment, o, factor, lr, powers)
        log += '{"step":%d,"targets":%d,"loss":"%s","norm":"%s","lr":"%s","balance":"%s"' % (
            s, N, hexadecimal(loss / N), hexadecimal(length), hexadecimal(lr), hexadecimal(balance / (n * m.L)))
        if s % o['checkpoint'] == 0:
            state = [x for name, w in m.learnt().items() for part in (w, *moment[name]) for row in part for x in row]
            log += ',"state":"%s"' % hashlib.sha256(struct.pack('<%df' % len(state), *state)).hexdigest()
        log += '}\n'
    return log

# ------------------------------------------------------------- sampling
def next_token(x, o, u):
    top = max(x)
    temperature, top_p = S(o['temperature']), S(o['top-p'])
    if temperature == 0: return x.index(top)
    p = [exp32(div(S(v - top), temperature)) for v in x]
    order, z = list(range(len(p))), wide(p)
    if 0 < o['top-k'] < len(p) or top_p < 1:
        order.sort(key=lambda i: (-p[i], i))
        if 0 < o['top-k'] < len(p):
            order = order[:o['top-k']]
            z = wide(p[i] for i in order)
        if top_p < 1:
            n, acc = 0, 0.0
            while n < len(order) and acc < top_p * z:
                acc += p[order[n]]
                n += 1
            order = order[:max(n, 1)]
    z, acc = wide(p[i] for i in order), 0.0
    for i in order:
        acc += p[i]
        if acc > u * z: return i
    return [i for i in order if p[i] > 0][-1]

def sample(m, prompts, o):
    out = ''
    for record in prompts:
        prompt = [1] + encode(record['prompt'], True)
        for candidate in range(o['n']):
            answer, logprob, stop = [], 0.0, 'length'
            while len(answer) < min(o['max-tokens'], m.context - len(prompt)):
                x = matrix(m, head(m), [forward(m, prompt + answer)[2][-1]])[0]
                token = next_token(x, o, uniform(draw(o['seed'], SAMPLE, key(record['id']), candidate, len(answer))))
                logprob -= loss_of(x, token)[0]
                if token == 2: stop = 'eos'; break
                answer.append(token)
            out += '{"id":%s,"candidate":%d,"prompt":%s,"completion":%s,' % (quoted(record['id'].encode()), candidate,
                quoted(record['prompt'].encode()), quoted(b''.join(map(token_bytes, answer))))
            out += '"teacher":"%s","stop":"%s","tokens":%d,"logprob":%s}\n' % (o['teacher'], stop, len(answer),
                fixed(logprob / (len(answer) + (stop == 'eos'))))
    return out

# ------------------------------------------------------------- files
STORED = {'F32': (4, lambda x: struct.pack('<f', x), lambda b: struct.unpack('<f', b)[0]),
          'F16': (2, lambda x: struct.pack('<e', x), lambda b: struct.unpack('<e', b)[0]),
          'BF16': (2, lambda x: struct.pack('<f', x)[2:], lambda b: struct.unpack('<f', b'\0\0' + b)[0])}

def file_of(m, kind='F32'):
    size, put, _ = STORED[kind]
    at, entries, data = 0, [], []
    for name, rows in m.learnt().items():
        flat = [x for row in rows for x in row]
        shape = '%d' % len(flat) if name.endswith('norm.weight') else '%d,%d' % (len(rows), len(rows[0]))
        to = at + size * len(flat)
        entries.append('"%s":{"dtype":"%s","shape":[%s],"data_offsets":[%d,%d]}' % (name, kind, shape, at, to))
        at = to
        data.append(b''.join(map(put, flat)))
    header = ('{"__metadata__":{"format":"pt"},' + ','.join(entries) + '}').encode()
    header += b' ' * (-len(header) % 8)
    return struct.pack('<Q', len(header)) + header + b''.join(data)

def write(path, data):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, 'wb') as f: f.write(data if isinstance(data, bytes) else data.encode())

def lines(records): return ''.join(json.dumps(r) + '\n' for r in records)

def coarse(m, kind):
    """Weights that are far from 0, so that every order of a sum shows, as a file of that kind holds them."""
    _, put, get = STORED[kind]
    for i, (name, (rows, cols)) in enumerate(m.shape.items()):
        low, high = (0.5, 1.5) if rows == 1 else (-1 / cols ** 0.5, 1 / cols ** 0.5)
        value = lambda k: low + (high - low) * uniform(draw(9, 9, i, k, 0))
        flat = [get(put(value(k))) for k in range(rows * cols)]
        m.w[name] = [flat[r * cols:(r + 1) * cols] for r in range(rows)]
        if name.endswith('block_sparse_moe.gate.weight'): m.w[name][3] = list(m.w[name][1])    # a tie: the lower number

passed = failed = 0
def compare(what, ours, path):
    global passed, failed
    with open(path, 'rb') as f: theirs = f.read()
    ours = ours if isinstance(ours, bytes) else ours.encode()
    if ours == theirs: passed += 1; return
    failed += 1
    at = next((i for i, (a, b) in enumerate(zip(ours, theirs)) if a != b), min(len(ours), len(theirs)))
    print('FAILED  %s: differs from byte %d on (%d against %d bytes)' % (what, at, len(ours), len(theirs)))
    if not path.endswith('.safetensors'):
        part = slice(max(0, at - 60), at + 40)
        print('  specification: %s\n  program:       %s' % (ours[part], theirs[part]))

def check_samples(m, model, prompts, sampling, actinh, d):
    for i, change in enumerate(({'n': 3}, {'temperature': 0.7, 'top-k': 40, 'top-p': 0.9}, {'temperature': 0, 'n': 1})):
        o, out = {**sampling, **change}, 'sampled-%s-%d' % (model, i)
        actinh('sample', model, 'prompts-%d.jsonl' % len(prompts), '-o', out, **o)
        o['teacher'] = model.split('+')[0]
        compare('%s, sampled with %s' % (model, change), sample(m, prompts, o), d + '/' + out)

LORA = 'q_proj k_proj v_proj o_proj gate_proj up_proj down_proj w1 w2 w3 gate lm_head'.split()

def main():
    program = os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else 'actinh')
    common = {'hidden_size': 20, 'num_hidden_layers': 2, 'num_attention_heads': 4, 'num_key_value_heads': 2,
              'head_dim': 6, 'vocab_size': VOCABULARY, 'max_position_embeddings': 48, 'rms_norm_eps': 1e-5,
              'bos_token_id': 1, 'eos_token_id': 2}
    dense = dict(common, model_type='llama', intermediate_size=18, tie_word_embeddings=True, rope_theta=10000.0)
    moe = dict(common, model_type='mixtral', intermediate_size=10, tie_word_embeddings=False, rope_theta=1000000.0,
               num_local_experts=4, num_experts_per_tok=3, router_aux_loss_coef=0.02)
    records = [{'id': 'a', 'prompt': 'the heat?', 'completion': ' on the sea'},
               {'id': 'b', 'prompt': 'sand', 'completion': ' tea'},
               {'text': 'that ant'},
               {'id': 'd', 'prompt': '', 'completion': 'No, thin tea \u00e4\u00f6\u2202.', 'stop': 'length'},
               {'id': 'e', 'prompt': 'a rather long one that is cut off here', 'completion': 'at some place in it'}]
    prompts = [{'id': 'a', 'prompt': 'the sand'}, {'id': 'p-2', 'prompt': 'on'}]
    tuning = {'epochs': 2, 'batch': 3, 'lr': 3e-2, 'min-lr': 1e-4, 'schedule': 'cosine', 'warmup': 0.5,
              'max-length': 30, 'decay': 0.1, 'clip': 0.7, 'beta1': 0.9, 'beta2': 0.95, 'steps': 3, 'seed': 5,
              'checkpoint': 2}
    sampling = {'n': 2, 'temperature': 1, 'top-k': 0, 'top-p': 1, 'max-tokens': 5, 'seed': 7}
    with tempfile.TemporaryDirectory() as d:
        def actinh(*words, **options):
            extra = [x for k, v in options.items() for x in ('--' + k.replace('_', '-'), str(v))]
            subprocess.run([program, *words, *extra, '--threads', '1', '--quiet'], cwd=d, check=True)
        vocabulary = [(0.0, b'<unk>'), (0.0, b'<s>'), (0.0, b'</s>')] + [(0.0, b'<0x%02X>' % b) for b in range(256)]
        vocabulary += zip(SCORES, PIECES)
        pieces = struct.pack('<i', 6) + b''.join(struct.pack('<fi', s, len(p)) + p for s, p in vocabulary)
        write(d + '/records.jsonl', lines(records))
        for n in (1, 2): write(d + '/prompts-%d.jsonl' % n, lines(prompts[:n]))
        for name, config, kind in (('dense', dense, 'BF16'), ('moe', moe, 'F16'), ('lone', moe, None)):
            m, o = Model(config), dict(tuning, steps=3 if kind else 1)
            write('%s/%s/tokenizer.bin' % (d, name), pieces)
            write('%s/%s/config.json' % (d, name), json.dumps(config))
            if kind: coarse(m, kind); write('%s/%s/model.safetensors' % (d, name), file_of(m, kind))
            else: m.random(o['seed'])
            model, out = name if kind else name + '/config.json', 'tuned-' + name
            actinh('tune', model, 'records.jsonl', '-o', out, '--micro', '2', **o)
            compare(name + ', log of the steps', tune(m, records, o), '%s/%s/steps.jsonl' % (d, out))
            compare(name + ', weights after the steps', file_of(m), '%s/%s/model.safetensors' % (d, out))
            if not kind: continue
            check_samples(m, out, prompts, sampling, actinh, d)
            lora = {'lora': 2, 'alpha': 5, 'targets': ','.join(LORA)}
            actinh('tune', out, 'records.jsonl', '-o', 'lora-' + name, **o, **lora)
            m.add_lora(lora['lora'], lora['alpha'], LORA, o['seed'])
            compare(name + ', log of the steps of LoRA', tune(m, records, o), '%s/lora-%s/steps.jsonl' % (d, name))
            compare(name + ', what LoRA learnt', file_of(m), '%s/lora-%s/adapter_model.safetensors' % (d, name))
            check_samples(m, '%s+lora-%s' % (out, name), prompts[:1], sampling, actinh, d)
        actinh('select', 'sampled-tuned-dense-0', '-o', 'chosen', by='random', seed=3)
        with open(d + '/sampled-tuned-dense-0') as f: pool = f.readlines()
        group = {}
        for line in pool: group.setdefault(json.loads(line)['id'], []).append(line)
        filled = lambda g: [x for x in g if json.loads(x)['completion'].strip()] or g
        chosen = [filled(g)[below(draw(3, PICK, key(i), 0, 0), len(filled(g)))] for i, g in group.items()]
        compare('select --by random', ''.join(chosen), d + '/chosen')
    print('%d passed, %d failed' % (passed, failed))
    return failed != 0

if __name__ == '__main__': sys.exit(main())
