#!/usr/bin/env python3
"""Phase 1 of the nano base in PyTorch: the vision tower learns to draw and place organs.

The same tower and heads as `crates/nano-pretrain`, for machines where PyTorch's training step is
the faster one. Beyond it: slices are turned too, slices with a tumor are drawn more often, pancreas
and tumor weigh double, and the mean of the weights over steps is kept. Slices come from `cargo run --example export_slices`; the result is
one safetensors file under published names that `language.py` and `run-cascade pretrain --start FILE` go on from.
Data-parallel over processes: each takes its share of every batch, gradients are averaged.

    tower.py SLICES/train SLICES/held_out tower.safetensors --minutes 36 --processes 2
"""

import argparse
import json
import math
import os
import time

import numpy as np
import torch
import torch.distributed as dist
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import nn

SIZE, PATCH, WIDTH, HEADS, MLP = 128, 16, 192, 6, 576
MEAN = torch.tensor([0.48145466, 0.4578275, 0.40821073])
STD = torch.tensor([0.26862954, 0.26130258, 0.27577711])
N_TISSUES = 24
# name, labels, fewest pixels: `Structure::ALL` of nano-pretrain
STRUCTURES = [
    ("liver", [1], 60), ("right kidney", [2], 40), ("spleen", [4], 40), ("pancreas", [5, 6], 40),
    ("pancreatic tumor", [6], 12), ("left kidney", [3], 40), ("stomach", [7], 40), ("aorta", [12], 12),
    ("gallbladder", [11], 20), ("spine", [16], 40),
]
N = len(STRUCTURES)
PANCREAS, TUMOR = 3, 4
TISSUE_GRID, MASK_GRID = 4, 8


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.qkv = nn.Linear(WIDTH, 3 * WIDTH, bias=False)
        self.q_bias = nn.Parameter(torch.zeros(WIDTH))
        self.v_bias = nn.Parameter(torch.zeros(WIDTH))
        self.proj = nn.Linear(WIDTH, WIDTH)

    def forward(self, x):
        b, n, w = x.shape
        bias = torch.cat([self.q_bias, torch.zeros_like(self.q_bias), self.v_bias])
        qkv = F.linear(x, self.qkv.weight, bias).view(b, n, 3, HEADS, w // HEADS).permute(2, 0, 3, 1, 4)
        with torch.autocast("cpu", enabled=False):  # its gradient is slow in bfloat16
            out = F.scaled_dot_product_attention(*qkv.float().unbind())
        return self.proj(out.transpose(1, 2).reshape(b, n, w))


class Mlp(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(WIDTH, MLP), nn.Linear(MLP, WIDTH)

    def forward(self, x):
        return self.fc2(F.gelu(self.fc1(x)))


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(WIDTH, eps=1e-6), nn.LayerNorm(WIDTH, eps=1e-6)
        self.attn, self.mlp = Attention(), Mlp()

    def forward(self, x):
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class Residual(nn.Module):
    """x + conv(relu(conv(x)))"""

    def __init__(self, c):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(c, c, 3, padding=1), nn.Conv2d(c, c, 3, padding=1)

    def forward(self, x):
        return F.relu(x + self.conv2(F.relu(self.conv1(x))))


class Tower(nn.Module):
    def __init__(self, stem, residual, depth):
        super().__init__()
        sizes = [3, *stem]
        self.stem = nn.ModuleList(nn.Conv2d(a, b, 3, stride=2, padding=1) for a, b in zip(sizes, stem))
        self.residual = nn.ModuleList(
            nn.Sequential(*[Residual(c) for _ in range(k)]) for c, k in zip(stem, residual))
        edge = PATCH >> len(stem)
        self.patch_embed = nn.Module()
        self.patch_embed.proj = nn.Conv2d(stem[-1], WIDTH, edge, stride=edge)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, WIDTH))
        self.pos_embed = nn.Parameter(torch.randn(1, 1 + (SIZE // PATCH) ** 2, WIDTH) * 0.02)
        self.blocks = nn.ModuleList(Block() for _ in range(depth))
        for m in self.modules():
            if isinstance(m, nn.Linear):
                nn.init.normal_(m.weight, std=0.02)
                if m.bias is not None:
                    nn.init.zeros_(m.bias)

    def forward(self, x):
        for conv, residual in zip(self.stem, self.residual):
            x = residual(F.relu(conv(x)))
        x = self.patch_embed.proj(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.cls_token.expand(len(x), -1, -1), x], 1) + self.pos_embed
        for block in self.blocks:
            x = block(x)
        return x


class Dense(nn.Module):
    """The tower with heads: tissues and masks of every patch, boxes, and which structures are shown."""

    def __init__(self, args):
        super().__init__()
        self.visual_encoder = Tower(args.stem, args.residual, args.depth)
        self.ln_vision = nn.LayerNorm(WIDTH)
        self.tissue = nn.Linear(WIDTH, N_TISSUES * TISSUE_GRID**2)
        self.masks = nn.Linear(WIDTH, N * MASK_GRID**2)
        self.boxes = nn.Linear(WIDTH, N * 4)
        self.shown = nn.Linear(WIDTH, N)

    def forward(self, pixels):
        x = self.ln_vision(self.visual_encoder(pixels))[:, 1:]
        b, n, _ = x.shape
        mean = x.mean(1)
        return (self.tissue(x).view(b, n, TISSUE_GRID**2, N_TISSUES),
                self.masks(x).view(b, n, N, MASK_GRID**2),
                torch.sigmoid(self.boxes(mean)).view(b, N, 4), self.shown(mean))


FEWEST = torch.tensor([fewest for _, _, fewest in STRUCTURES])


def patches(x, grid):
    """[b, c, SIZE·k, SIZE·k] at `grid` points a patch edge to [b, n_patches, c, grid²]"""
    b, c, s, _ = x.shape
    g = s // grid
    return x.view(b, c, g, grid, g, grid).permute(0, 2, 4, 1, 3, 5).reshape(b, g * g, c, grid * grid)


def targets(labels):
    b = len(labels)
    step = PATCH // TISSUE_GRID
    tissue = patches(labels[:, None, step // 2::step, step // 2::step], TISSUE_GRID)[:, :, 0]
    masks = torch.stack([sum((labels == v).to(torch.uint8) for v in values) for _, values, _ in STRUCTURES], 1)
    k = PATCH // MASK_GRID
    covered = sum(masks[:, :, r::k, c::k] for r in range(k) for c in range(k)).float() / k**2
    share = patches(covered, MASK_GRID)
    shown = covered.flatten(2).sum(2) * k**2 >= FEWEST
    rows, cols = masks.amax(3), masks.amax(2)
    first = lambda x: x.argmax(2).float()
    last = lambda x: SIZE - x.flip(2).argmax(2).float()
    boxes = torch.stack([first(cols), first(rows), last(cols), last(rows)], 2) / SIZE
    return tissue.long(), share, boxes, shown.float()


def iou(a, b):
    low, high = torch.maximum(a[..., :2], b[..., :2]), torch.minimum(a[..., 2:], b[..., 2:])
    both = (high - low).clamp_min(0).prod(-1)
    area = lambda x: (x[..., 2:] - x[..., :2]).clamp_min(0).prod(-1)
    return both / (area(a) + area(b) - both + 1e-6)


def loss_of(out, target, weight):
    tissue, masks, boxes, seen = out
    t_tissue, share, t_boxes, shown = target
    l_tissue = F.cross_entropy(tissue.flatten(0, 2), t_tissue.flatten())
    l_masks = F.binary_cross_entropy_with_logits(masks, share)
    drawn = torch.sigmoid(masks)
    covered = lambda x: x.sum((1, 3))
    dice = (2 * covered(drawn * share) + 1) / (covered(drawn) + covered(share) + 1)
    w = shown * weight
    l_dice = ((1 - dice) * w).sum() / w.sum().clamp_min(1)
    l_boxes = ((2 * (boxes - t_boxes).abs().sum(2) + 0.5 * (1 - iou(boxes, t_boxes))) * w).sum() / w.sum().clamp_min(1)
    l_shown = F.binary_cross_entropy_with_logits(seen, shown, weight=weight)
    return l_tissue + 2 * l_masks + 0.5 * l_dice + 2 * l_boxes + 0.5 * l_shown, l_tissue, l_boxes


def augment(images, labels, gen, strength=1.0, paired=0, zoom_share=0.0):
    """Moves, scales, turns, brightens; one in four stays. From a strength above 1 on, slices are bent and made noisy too.

    The first `paired` slices lie two by two and change two by two alike; some are enlarged around the first's tumor.
    """
    b = len(images)

    def tied(x):
        x[1:paired:2] = x[0:paired:2]
        return x

    r = lambda lo, hi: tied(torch.empty(b).uniform_(lo, hi, generator=gen))
    still = tied(torch.rand(b, generator=gen) < (0.25 if strength <= 1 else 0.1))
    angle = r(-0.1 * strength, 0.1 * strength).masked_fill(still, 0)
    low, high = 1 / (1 + 0.14 * strength), 1 + 0.14 * strength
    sx, sy = r(low, high).masked_fill(still, 1), r(low, high).masked_fill(still, 1)
    tx, ty = r(-0.2, 0.2).masked_fill(still, 0), r(-0.2, 0.2).masked_fill(still, 0)
    if zoom_share and paired:
        zoom = torch.where(r(0, 1)[:paired] < zoom_share, r(0.5, 1)[:paired], torch.ones(paired))
        aside = torch.stack([r(-0.6, 0.6), r(-0.6, 0.6)], 1)[:paired] * zoom[:, None]
        seen = (labels[:paired:2] == 6).float()
        at = torch.arange(SIZE) / (SIZE / 2) - 1
        middle = torch.stack([seen.sum(1) @ at, seen.sum(2) @ at], 1) / seen.sum((1, 2)).clamp_min(1)[:, None]
        room = (1 - zoom)[:, None]
        middle = (middle.repeat_interleave(2, 0) + aside).clamp(-room, room)
        sx[:paired], sy[:paired] = sx[:paired] * zoom, sy[:paired] * zoom
        tx[:paired] = torch.where(zoom < 1, middle[:, 0], tx[:paired])
        ty[:paired] = torch.where(zoom < 1, middle[:, 1], ty[:paired])
        still[:paired] &= zoom == 1
    gain = r(1 - 0.08 * strength, 1 + 0.08 * strength).masked_fill(still, 1)
    offset = r(-10 * strength, 10 * strength).masked_fill(still, 0)
    cos, sin = angle.cos(), angle.sin()
    theta = torch.stack([torch.stack([cos * sx, -sin * sy, tx], 1), torch.stack([sin * sx, cos * sy, ty], 1)], 1)
    grid = F.affine_grid(theta, [b, 1, SIZE, SIZE], align_corners=False)
    if strength > 1:
        bend = tied(torch.empty(b, 2, 7, 7).normal_(generator=gen)) * (r(0, 0.03).masked_fill(still, 0))[:, None, None, None]
        grid = grid + F.interpolate(bend, SIZE, mode="bicubic", align_corners=True).permute(0, 2, 3, 1)
    gray = F.grid_sample(images[:, None].float(), grid, align_corners=False)[:, 0]
    gray = torch.where(still[:, None, None], images.float(), gray)
    gray = gray * gain[:, None, None] + offset[:, None, None]
    if strength > 1:
        noise = tied(torch.empty(b, SIZE, SIZE).normal_(generator=gen))
        gray = gray + noise * r(0, 3 * strength).masked_fill(still, 0)[:, None, None]
    moved = F.grid_sample(labels[:, None].float(), grid, mode="nearest", align_corners=False)[:, 0].to(torch.uint8)
    return gray.clamp(0, 255), torch.where(still[:, None, None], labels, moved)


def normalized(gray):
    return (gray[:, None] / 255 - MEAN[:, None, None]) / STD[:, None, None]


class Slices:
    def __init__(self, folder):
        load = lambda name: torch.from_numpy(
            np.memmap(f"{folder}/{name}", np.uint8, "c").reshape(-1, SIZE, SIZE))
        self.images, self.labels = load("images.u8"), load("labels.u8")
        count = lambda values: torch.cat([sum((x == v) for v in values).flatten(1).sum(1) for x in self.labels.split(4096)])
        tumor = count([6]) >= 12
        self.tumor = torch.nonzero(tumor).flatten()
        # what a tumor is looked for in, and found not to be
        self.clear = torch.nonzero(~tumor & (count([5]) >= 40)).flatten()
        # the same slice with a tumor and without
        pairs = f"{folder}/pairs.u32"
        self.pairs = torch.from_numpy(np.fromfile(pairs, "<u4").astype(np.int64).reshape(-1, 2)) if os.path.exists(pairs) else []


def auroc(score, is_yes):
    rank = score.argsort().argsort().double() + 1
    yes = is_yes.sum()
    return float((rank[is_yes].sum() - yes * (yes + 1) / 2) / (yes * (~is_yes).sum()))


@torch.no_grad()
def scores(model, held):
    sums = torch.zeros(4, N)
    every = torch.cat([torch.arange(0, len(held.images), 4), held.tumor]).unique()
    seen = []
    for at in range(0, len(every), 64):
        i = every[at:at + 64]
        _, share, boxes, shown = targets(held.labels[i])
        _, masks, guess, logits = model(normalized(held.images[i].float()))
        seen.append(torch.stack([logits[:, TUMOR], masks[:, :, TUMOR].flatten(1).topk(8, 1).values.mean(1), shown[:, TUMOR], shown[:, PANCREAS]], 1))
        drawn = masks > 0
        b = len(i)
        g = SIZE // PATCH
        mask = drawn.view(b, g, g, N, MASK_GRID, MASK_GRID).permute(0, 3, 1, 4, 2, 5).reshape(b, N, 64, 64)
        rows, cols = mask.any(3).float(), mask.any(2).float()
        first = lambda x: x.argmax(2).float()
        last = lambda x: 64 - x.flip(2).argmax(2).float()
        traced = torch.stack([first(cols), first(rows), last(cols), last(rows)], 2) / 64
        hit = (drawn & (share > 0.5)).sum((1, 3)).float()
        dice = 2 * hit / (drawn.sum((1, 3)) + (share > 0.5).sum((1, 3))).clamp_min(1)
        for row, value in enumerate((iou(guess, boxes), iou(traced, boxes), dice)):
            sums[row] += (value * shown).sum(0)
        sums[3] += shown.sum(0)
    seen = torch.cat(seen)
    seen = seen[seen[:, 3] > 0]
    areas = [auroc(seen[:, k], seen[:, 2] > 0) for k in (0, 1)]
    return sums[:3] / sums[3], areas


def main():
    p = argparse.ArgumentParser()
    p.add_argument("slices"), p.add_argument("held_out"), p.add_argument("out")
    p.add_argument("--steps", type=int, default=9000)
    p.add_argument("--batch", type=int, default=32)
    p.add_argument("--rate", type=float, default=1.5e-3)
    p.add_argument("--warmup", type=int, default=200)
    p.add_argument("--seed", type=int, default=12)
    p.add_argument("--tumor-share", type=float, default=0.35)
    p.add_argument("--clear-share", type=float, default=0.25)
    p.add_argument("--pair-share", type=float, default=0.0, help="of a batch: slices with a tumor, each beside itself without it")
    p.add_argument("--zoom-share", type=float, default=0.0, help="of the pairs: enlarged, to twice the size at most")
    p.add_argument("--bf16", action="store_true", help="products in bfloat16: faster where the processor has them (AMX)")
    p.add_argument("--strength", type=float, default=1.0, help="of the changes of the slices")
    p.add_argument("--start", help="safetensors file with a tower to go on from, and its heads beside it")
    p.add_argument("--processes", type=int, default=1)
    p.add_argument("--score-every", type=int, default=500)
    p.add_argument("--stem", type=int, nargs="+", default=[24, 48, 96])
    p.add_argument("--residual", type=int, nargs="+", default=[0, 0, 0])
    p.add_argument("--depth", type=int, default=4)
    p.add_argument("--minutes", type=float, help="stop the clock of the schedule here instead of at --steps")
    args = p.parse_args()
    if args.processes > 1:
        os.environ.setdefault("MASTER_ADDR", "127.0.0.1")
        os.environ.setdefault("MASTER_PORT", "29517")
        torch.multiprocessing.spawn(train, (args,), nprocs=args.processes)
    else:
        train(0, args)


def optimizer(params, rate):
    """AdamW that leaves norms and biases undecayed."""
    groups = [{"params": [x for x in params if x.ndim > 1], "weight_decay": 0.05},
              {"params": [x for x in params if x.ndim <= 1], "weight_decay": 0}]
    return torch.optim.AdamW(groups, lr=rate, betas=(0.9, 0.98), fused=True)


def update(loss, params, opt, n):
    """One step on the mean gradient of `n` processes, its norm at most 1."""
    opt.zero_grad()
    loss.backward()
    if n > 1:
        flat = torch.cat([x.grad.flatten() for x in params])
        dist.all_reduce(flat)
        flat /= n
        for x, g in zip(params, flat.split([x.numel() for x in params])):
            x.grad.copy_(g.view_as(x))
    nn.utils.clip_grad_norm_(params, 1.0)
    opt.step()


def train(rank, args):
    torch.set_num_threads(1)
    n = args.processes
    if n > 1:
        dist.init_process_group("gloo", rank=rank, world_size=n)
    torch.manual_seed(args.seed)
    model = Dense(args).to(memory_format=torch.channels_last)
    if args.start:
        heads = args.start + ".heads.pt"
        kept = torch.load(heads) if os.path.exists(heads) else {}
        model.load_state_dict({**read(args.start), **kept}, strict=False)
    gen = torch.Generator().manual_seed(args.seed * 1000 + rank)
    data, held = Slices(args.slices), Slices(args.held_out)
    weight = torch.ones(N)
    weight[[PANCREAS, TUMOR]] = 2
    params = list(model.parameters())
    opt = optimizer(params, args.rate)
    average = [x.detach().clone() for x in params]
    start, b = time.time(), args.batch // n
    if rank == 0:
        print(json.dumps({"parameters": sum(x.numel() for x in params), "slices": len(data.images),
                          "tumor_slices": len(data.tumor), "held_out": len(held.images),
                          "held_out_tumor": len(held.tumor)}), flush=True)
    step, done = 0, 0.0
    while done < 1:
        share = (torch.tensor([time.time() - start]) / 60 / args.minutes) if args.minutes else torch.tensor([(step + 1) / args.steps])
        if n > 1 and args.minutes:
            dist.broadcast(share, 0)
        done = float(share)
        ramp = min((step + 1) / args.warmup, 1)
        for group in opt.param_groups:
            group["lr"] = args.rate * ramp * 0.5 * (1 + math.cos(math.pi * min(done, 1)))
        paired = 2 * int(b * args.pair_share / 2)
        part = torch.rand(b - paired, generator=gen)
        of = lambda places, n: places[torch.randint(len(places), (n,), generator=gen)]
        i = torch.where(part < args.tumor_share, of(data.tumor, len(part)), torch.where(
            part < args.tumor_share + args.clear_share, of(data.clear, len(part)),
            torch.randint(len(data.images), (len(part),), generator=gen)))
        if paired:
            i = torch.cat([of(data.pairs, paired // 2).flatten(), i])
        gray, labels = augment(data.images[i], data.labels[i], gen, args.strength, paired, args.zoom_share)
        with torch.autocast("cpu", torch.bfloat16, enabled=args.bf16):
            out = model(normalized(gray))
        total, l_tissue, l_boxes = loss_of([x.float() for x in out], targets(labels), weight)
        update(total, params, opt, n)
        keep = min(0.998, (step + 1) / (step + 10))
        with torch.no_grad():
            torch._foreach_mul_(average, keep)
            torch._foreach_add_(average, [x.detach() for x in params], alpha=1 - keep)
        step += 1
        if rank == 0 and step % 50 == 0:
            print(f"step {step} {time.time() - start:.0f}s {done:.3f} loss {total:.4f} tissue {l_tissue:.4f} boxes {l_boxes:.4f}", flush=True)
        if rank == 0 and (step % args.score_every == 0 or done >= 1):
            now = [x.detach().clone() for x in params]
            with torch.no_grad():
                for x, a in zip(params, average):
                    x.copy_(a)
                result, areas = scores(model, held)
                save(model, args.out)
                for x, a in zip(params, now):
                    x.copy_(a)
            print(f"score {step} tumor AUROC where pancreas is shown: head {areas[0]:.3f}, masks {areas[1]:.3f}", flush=True)
            for name, row in zip(("box head", "traced", "dice"), result):
                print(f"score {step} {step * args.batch} {name:8} " + " ".join(f"{s[0]} {v:.3f}" for s, v in zip(STRUCTURES, row)), flush=True)


def read(path):
    """A tower under published names, with or without their prefix."""
    tensors = load_file(path)
    if not any(k.startswith("visual_encoder.") for k in tensors):
        tensors = {k if k.startswith("ln_vision.") else "visual_encoder." + k: v for k, v in tensors.items()}
    return {k: v.float() for k, v in tensors.items()}


def save(model, path):
    state = {k: v.detach().clone().contiguous() for k, v in model.state_dict().items()
             if k.startswith(("visual_encoder.", "ln_vision."))}
    save_file(state, path + ".tmp")
    os.replace(path + ".tmp", path)
    heads = {k: v for k, v in model.state_dict().items() if not k.startswith(("visual_encoder.", "ln_vision."))}
    torch.save(heads, path + ".heads.pt")


if __name__ == "__main__":
    main()
