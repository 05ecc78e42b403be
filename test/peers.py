#!/usr/bin/env python3
"""A training step of the shapes of bench.c in PyTorch, for peers.sh: the same model written plainly, AdamW, random tokens.

    peers.py 15M|110M|moe [STEPS]        prints tokens/s, the median of STEPS; 4 sequences of 256 tokens, two threads

The mixture is the plain loop over experts: each takes the rows that chose it.
"""
import statistics
import sys
import time

import torch
import torch.nn.functional as F
from torch import nn

#           V      H    F    L   Q   K  E  top
SHAPES = {"15M": (32000, 288, 768, 6, 6, 6, 1, 1), "110M": (32000, 768, 2048, 12, 12, 12, 1, 1),
          "moe": (32000, 1024, 2816, 8, 16, 8, 8, 2)}
V, H, FF, L, Q, K, E, TOP = SHAPES[sys.argv[1]]
STEPS = int(sys.argv[2]) if len(sys.argv) > 2 else 5
B, T, D = 4, 256, H // Q
torch.set_num_threads(2)
torch.manual_seed(1)


class Norm(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(H))

    def forward(self, x):
        return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + 1e-5) * self.weight


class Expert(nn.Module):
    def __init__(self):
        super().__init__()
        self.gate, self.up, self.down = (nn.Linear(*s, bias=False) for s in ((H, FF), (H, FF), (FF, H)))

    def forward(self, x):
        return self.down(F.silu(self.gate(x)) * self.up(x))


class Mixture(nn.Module):
    def __init__(self):
        super().__init__()
        self.router = nn.Linear(H, E, bias=False)
        self.experts = nn.ModuleList(Expert() for _ in range(E))

    def forward(self, x):
        rows = x.reshape(-1, H)
        weight, pick = self.router(rows).softmax(-1).topk(TOP)
        weight = weight / weight.sum(-1, keepdim=True)
        y = torch.zeros_like(rows)
        for e, expert in enumerate(self.experts):
            row, slot = (pick == e).nonzero(as_tuple=True)
            y = y.index_add(0, row, expert(rows[row]) * weight[row, slot, None])
        return y.view_as(x)


class Layer(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm1, self.norm2 = Norm(), Norm()
        self.q, self.k, self.v, self.o = (nn.Linear(*s, bias=False) for s in ((H, H), (H, K * D), (H, K * D), (H, H)))
        self.mixture = Mixture() if E > 1 else Expert()

    def forward(self, x, cos, sin, mask):
        n = self.norm1(x)
        q, k, v = (w(n).view(B, T, -1, D).transpose(1, 2) for w in (self.q, self.k, self.v))
        turn = lambda z: z * cos + torch.cat((-z[..., D // 2:], z[..., :D // 2]), -1) * sin
        q, k = turn(q), turn(k)
        if K < Q:
            k, v = (z.repeat_interleave(Q // K, 1) for z in (k, v))
        p = (q @ k.transpose(-1, -2) * D ** -0.5 + mask).softmax(-1)
        x = x + self.o((p @ v).transpose(1, 2).reshape(B, T, H))
        return x + self.mixture(self.norm2(x))


embed, layers, norm = nn.Embedding(V, H), nn.ModuleList(Layer() for _ in range(L)), Norm()
model = nn.ModuleList([embed, layers, norm])
for p in model.parameters():
    if p.dim() > 1:
        nn.init.normal_(p, 0, 0.02)
adam = torch.optim.AdamW(model.parameters(), 1e-6)
angle = torch.outer(torch.arange(T).float(), 10000.0 ** (-torch.arange(0, D, 2).float() / D)).repeat(1, 2)
mask = torch.full((T, T), float("-inf")).triu(1)
tokens = torch.randint(3, V, (B, T + 1))
times = []
for step in range(STEPS + 1):
    start = time.perf_counter()
    x = embed(tokens[:, :-1])
    for layer in layers:
        x = layer(x, angle.cos(), angle.sin(), mask)
    loss = F.cross_entropy((norm(x) @ embed.weight.t()).view(-1, V), tokens[:, 1:].reshape(-1))
    adam.zero_grad(set_to_none=True)
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    adam.step()
    if step:
        times.append(time.perf_counter() - start)
print(f"{B * T / statistics.median(times):.1f}")
