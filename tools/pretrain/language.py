#!/usr/bin/env python3
"""Phase 2 of the nano base in PyTorch: the language model learns to ask the tower of phase 1.

The same model and questions as `crates/nano-pretrain`. Questions come in tokens from
`cargo run --example export_questions`. The result holds every tensor under published names;
`run-cascade pretrain --start FILE` with no steps left makes a checkpoint folder of it.

    language.py SLICES/train questions.jsonl tower.safetensors base.safetensors --minutes 20 --processes 2
"""

import argparse
import json
import math
import os
import time

import torch
import torch.distributed as dist
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import nn

import tower

VOCAB, HIDDEN, INNER, LAYERS, HEADS, MERGE, BOS = 1024, 192, 512, 4, 6, 4, 1
PREFIX = "llama_model.base_model.model."


class RmsNorm(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(HIDDEN))

    def forward(self, x):
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-5) * self.weight


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        linear = lambda a, b: nn.Linear(a, b, bias=False)
        self.input_layernorm, self.post_attention_layernorm = RmsNorm(), RmsNorm()
        self.self_attn, self.mlp = nn.Module(), nn.Module()
        for name in ("q_proj", "k_proj", "v_proj", "o_proj"):
            setattr(self.self_attn, name, linear(HIDDEN, HIDDEN))
        self.mlp.gate_proj, self.mlp.up_proj = linear(HIDDEN, INNER), linear(HIDDEN, INNER)
        self.mlp.down_proj = linear(INNER, HIDDEN)

    def forward(self, x, cos, sin):
        b, n, _ = x.shape
        a = self.self_attn
        y = self.input_layernorm(x)
        heads = lambda m: m(y).view(b, n, HEADS, -1).transpose(1, 2)
        q, k, v = heads(a.q_proj), heads(a.k_proj), heads(a.v_proj)

        def turn(x):
            first, second = x.float().chunk(2, -1)
            return torch.cat([first * cos - second * sin, second * cos + first * sin], -1)

        with torch.autocast("cpu", enabled=False):  # as in the tower
            out = F.scaled_dot_product_attention(turn(q), turn(k), v.float(), is_causal=True)
        x = x + a.o_proj(out.transpose(1, 2).reshape(b, n, HIDDEN))
        y = self.post_attention_layernorm(x)
        return x + self.mlp.down_proj(F.silu(self.mlp.gate_proj(y)) * self.mlp.up_proj(y))


class Language(nn.Module):
    """The projector, the embeddings (tied to the head), the blocks and the last norm."""

    def __init__(self):
        super().__init__()
        self.llama_proj = nn.Linear(MERGE * tower.WIDTH, HIDDEN)
        self.model = nn.Module()
        self.model.embed_tokens = nn.Embedding(VOCAB, HIDDEN)
        self.model.layers = nn.ModuleList(Block() for _ in range(LAYERS))
        self.model.norm = RmsNorm()
        for name, p in self.named_parameters():
            if p.ndim == 2 and not name.startswith("llama_proj"):
                nn.init.normal_(p, std=0.02)

    def forward(self, features, ids, image_at, targets):
        """Mean cross-entropy of targets (-100: none); `ids` hold zeros where the image is."""
        b, n = ids.shape
        x = self.model.embed_tokens(ids)
        images = self.llama_proj(features).float()
        places = image_at[:, None] + torch.arange(images.shape[1])
        x = x.scatter(1, places[..., None].expand(-1, -1, HIDDEN), images)
        half = HIDDEN // HEADS // 2
        angles = torch.arange(n)[:, None] * 10000.0 ** (-torch.arange(half) / half)
        cos, sin = angles.cos(), angles.sin()
        for layer in self.model.layers:
            x = layer(x, cos, sin)
        here = targets[:, 1:] >= 0
        logits = F.linear(self.model.norm(x[:, :-1][here]), self.model.embed_tokens.weight)
        return F.cross_entropy(logits.float(), targets[:, 1:][here])

    def published(self):
        out = {}
        for name, value in self.state_dict().items():
            out[name if name.startswith("llama_proj") else PREFIX + name] = value.detach().clone().contiguous()
        return out


def collate(questions, n_image):
    rows = []
    for _, (before, after), answer in questions:
        ids = [BOS, *before, *[0] * n_image, *after]
        rows.append((ids + answer, [-100] * len(ids) + answer, 1 + len(before)))
    n = max(len(r[0]) for r in rows)
    pad = lambda x, v: x + [v] * (n - len(x))
    return (torch.tensor([pad(r[0], 0) for r in rows]), torch.tensor([r[2] for r in rows]),
            torch.tensor([pad(r[1], -100) for r in rows]))


@torch.no_grad()
def features(vision, norm, data, which):
    out = []
    for at in range(0, len(which), 64):
        x = norm(vision(tower.normalized(data.images[which[at:at + 64]].float())))[:, 1:]
        out.append(x.reshape(len(x), -1, MERGE * tower.WIDTH).half())
    return torch.cat(out)


def main():
    p = argparse.ArgumentParser()
    for name in ("slices", "questions", "tower", "out"):
        p.add_argument(name)
    p.add_argument("--steps", type=int, default=3000)
    p.add_argument("--minutes", type=float, help="stop the clock of the schedule here instead of at --steps")
    p.add_argument("--rate", type=float, default=1.5e-3)
    p.add_argument("--warmup", type=int, default=150)
    p.add_argument("--batch", type=int, default=32)
    p.add_argument("--seed", type=int, default=13)
    p.add_argument("--start", help="base.safetensors of before, whose language model goes on")
    p.add_argument("--bf16", action="store_true", help="products in bfloat16: faster where the processor has them (AMX)")
    p.add_argument("--processes", type=int, default=1)
    p.add_argument("--stem", type=int, nargs="+", default=[24, 48, 96])
    p.add_argument("--residual", type=int, nargs="+", default=[0, 0, 0])
    p.add_argument("--depth", type=int, default=4)
    args = p.parse_args()
    os.environ.setdefault("MASTER_ADDR", "127.0.0.1")
    os.environ.setdefault("MASTER_PORT", "29518")
    torch.multiprocessing.spawn(train, (args,), nprocs=args.processes)


def train(rank, args):
    torch.set_num_threads(1)
    n = args.processes
    dist.init_process_group("gloo", rank=rank, world_size=n)
    questions = [json.loads(line) for line in open(args.questions)]
    data = tower.Slices(args.slices)
    vision, norm = tower.Tower(args.stem, args.residual, args.depth), nn.LayerNorm(tower.WIDTH)
    seen = tower.read(args.tower)
    vision.load_state_dict({k.removeprefix("visual_encoder."): v for k, v in seen.items() if k.startswith("visual")})
    norm.load_state_dict({k.removeprefix("ln_vision."): v for k, v in seen.items() if k.startswith("ln_vision")})
    start = time.time()
    # Every process computes its share of the features and gets the others' through a file.
    used = sorted({q[0] for q in questions})
    place = {s: i for i, s in enumerate(used)}
    mine = torch.tensor(used[rank::n])
    torch.save(features(vision.eval(), norm, data, mine), f"{args.out}.features.{rank}")
    dist.barrier()
    parts = [torch.load(f"{args.out}.features.{r}", mmap=True) for r in range(n)]
    del data
    if rank == 0:
        print(f"features of {len(used)} slices: {time.time() - start:.0f} s; {len(questions)} questions", flush=True)
    torch.manual_seed(args.seed)
    model = Language()
    if args.start:
        kept = {k.removeprefix(PREFIX): v.float() for k, v in load_file(args.start).items()}
        model.load_state_dict({k: kept[k] for k in model.state_dict()})
    params = list(model.parameters())
    opt = tower.optimizer(params, args.rate)
    start, step, done, b, mean = time.time(), 0, 0.0, args.batch // n, 0.0
    n_image = (tower.SIZE // tower.PATCH) ** 2 // MERGE
    while done < 1:
        share = (torch.tensor([(time.time() - start) / 60 / args.minutes]) if args.minutes
                 else torch.tensor([(step + 1) / args.steps]))
        dist.broadcast(share, 0)
        done = float(share)
        for group in opt.param_groups:
            ramp = min((step + 1) / args.warmup, 1)
            group["lr"] = args.rate * ramp * max(0.5 * (1 + math.cos(math.pi * min(done, 1))), 0.01)
        at = (step * args.batch + rank * b) % (len(questions) - args.batch)
        batch = questions[at:at + b]
        rows = [place[q[0]] for q in batch]
        shown = torch.stack([parts[r % n][r // n] for r in rows]).float()
        with torch.autocast("cpu", torch.bfloat16, enabled=args.bf16):
            loss = model(shown, *collate(batch, n_image))
        tower.update(loss, params, opt, n)
        step += 1
        mean = 0.98 * mean + 0.02 * float(loss.detach())
        if rank == 0 and step % 100 == 0:
            print(f"step {step} {time.time() - start:.0f}s {done:.3f} loss {mean / (1 - 0.98**step):.4f}", flush=True)
        if rank == 0 and (step % 500 == 0 or done >= 1):
            save_file({**seen, **model.published()}, args.out + ".tmp")
            os.replace(args.out + ".tmp", args.out)
    os.remove(f"{args.out}.features.{rank}")


if __name__ == "__main__":
    main()
