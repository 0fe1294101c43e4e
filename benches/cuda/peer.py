"""The peer of `benches/examples/cuda_work`: the same work in PyTorch, the same arguments and lines.

Tower, projector and inputs are those of `benches/peers/model`; the language model is transformers'
LlamaForCausalLM with sdpa and peft's adapters. Frozen weights are bf16 on CUDA, adapters, projector
and norms f32 under autocast, as the published code trains; on the CPU everything is f32 unless told.
"""

import argparse
import json
import sys
import time
from pathlib import Path

import numpy  # noqa: F401
import peft
import torch
import torch.nn.functional as F
import transformers
from safetensors.torch import load_file
from torch import nn

# Before this folder, whose `peer` is this file.
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "peers" / "model"))
from peer import N_ANSWER, N_BEFORE, RATE, decayed, first_values, n_positions, pixels, rows  # noqa: E402
from torch_model import HfLlama, Model, Tower  # noqa: E402


class FullModel(Model):
    """Read straight onto the device, in the types of the files; without its tower if told."""

    def __init__(self, args, merged):
        nn.Module.__init__(self)
        start = time.perf_counter()
        folder = Path(args.weights)
        manifest = json.loads((folder / "minigpt.json").read_text())
        self.config, files = manifest["config"], manifest["files"]
        vision, self.merge = self.config["vision"], self.config["merge"]
        read = lambda path: load_file(folder / path, device=args.device)
        adapter = Path(files["adapter"])
        seen = read(adapter / "llama_proj.safetensors")
        if not args.features:
            seen |= read(files["vision_tower"])
        with torch.device("meta"):
            self.tower = Tower(vision)
            self.ln_vision = nn.LayerNorm(vision["width"], vision["ln_vision_eps"])
            self.llama_proj = nn.Linear(vision["width"] * self.merge, self.config["llama"]["hidden_size"])
        take = lambda name: {k: seen.pop(name + k) for k in ("weight", "bias")}
        self.llama_proj.load_state_dict(take("llama_proj."), assign=True)
        if not args.features:
            self.ln_vision.load_state_dict(take("ln_vision."), assign=True)
            self.tower.load_state_dict(seen, assign=True)
        else:
            self.tower = self.ln_vision = None
        llama = transformers.LlamaForCausalLM.from_pretrained(
            folder / files["language_model"], dtype=args.dtype, attn_implementation="sdpa", device_map=args.device_map)
        llama = peft.PeftModel.from_pretrained(llama.to(args.device), folder / adapter, is_trainable=not merged)
        if merged:
            llama = llama.merge_and_unload()
        self.llama = HfLlama(llama)
        sync(args)
        say(loaded_s=time.perf_counter() - start)


def say(**line):
    print(json.dumps(line), flush=True)


def sync(args):
    if args.is_cuda:
        torch.cuda.synchronize()


def autocast(args):
    return torch.autocast(args.device.split(":")[0], torch.bfloat16, enabled=args.dtype == torch.bfloat16)


def repetitions(args, warm):
    """As `Repetitions` of the other side."""
    yield from ((i, True) for i in range(warm))
    since = time.perf_counter()
    for i in range(args.steps):
        if i >= 3 and time.perf_counter() - since >= args.seconds:
            return
        yield warm + i, False


def matmul(args):
    for size in (4096, 8192, 16384) if args.is_cuda else (512, 1024):
        first = torch.randn(size, size, device=args.device).to(args.dtype)
        factor = (torch.randn(size, size, device=args.device) / size**0.5).to(args.dtype)
        best = 0
        for round_ in range(4):
            sync(args)
            start, x = time.perf_counter(), first
            for _ in range(10):
                x = x @ factor
            sync(args)
            if round_:
                best = max(best, 2 * size**3 * 10 / (time.perf_counter() - start) / 1e12)
        say(size=size, tflops=best)


def load(args):
    start = time.perf_counter()
    model = FullModel(args, merged=False).eval()
    with torch.inference_mode(), autocast(args):
        ids = torch.tensor([[1, 5, 6, 7]], device=args.device)
        values = first_values(model.llama.model(input_ids=ids, use_cache=False).logits.float())
    say(load_s=time.perf_counter() - start, values=values)


def step_of(args):
    """A training step, as a function."""
    model = FullModel(args, merged=False).train()
    if args.checkpointing:
        llama = model.llama.model
        # The older name is on its way out.
        enable = getattr(llama, "activation_checkpointing_enable", None) or llama.gradient_checkpointing_enable
        enable({"use_reentrant": False})
    for name, p in model.named_parameters():
        p.requires_grad_("lora_" in name or name.startswith("llama_proj"))
    learning = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(decayed(model), lr=RATE, betas=(0.9, 0.999), eps=1e-8, fused=True)
    size, n = model.config["vision"]["image_size"], n_positions(model)
    if args.features:
        shape = args.batch, model.n_image_tokens, model.llama_proj.in_features
        count = shape[0] * shape[1] * shape[2]
        images = pixels(-(-count // (3 * size * size)), size).flatten()[:count].view(shape)
    else:
        images = pixels(args.batch, size)
    images, ids = images.to(args.device), rows(model, args.batch).to(args.device)
    # The head runs where an answer is predicted, as ours does.
    at = torch.arange(n - N_ANSWER - 1, n - 1, device=args.device)
    labels = ids[:, -N_ANSWER:].reshape(-1)
    say(positions=n, batch=args.batch)

    def step():
        optimizer.zero_grad(set_to_none=True)
        with autocast(args):
            if args.features:
                features = images
            else:
                with torch.no_grad():
                    features = model.features(images)
            x = model.assemble(ids, 1 + N_BEFORE, model.llama_proj(features))
            loss = F.cross_entropy(model.llama.logits(x, at).flatten(0, 1), labels)
        loss.backward()
        norm = torch.nn.utils.get_total_norm([p.grad for p in learning if p.grad is not None])
        optimizer.step()
        return {"loss": loss.item(), "grad_norm": norm.item()}

    return step


def train(args):
    step = step_of(args)
    for index, warm in repetitions(args, 2):
        start = time.perf_counter()
        values = step()
        sync(args)
        say(step=index, warm=warm, ms=1e3 * (time.perf_counter() - start), **values)
    say_memory(args)


def flops(args):
    """A step's operations as PyTorch counts them, which sees the matrix products alone."""
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    step = step_of(args)
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        step()
    say(flops=counter.get_total_flops())


def asked(args):
    """One row as the language model reads it; adapters are merged."""
    model = FullModel(args, merged=True).eval()
    with autocast(args):
        images = model.encode(pixels(1, model.config["vision"]["image_size"]).to(args.device))
    x = model.assemble(rows(model, 1).to(args.device), 1 + N_BEFORE, images.to(args.dtype))
    return model.llama.model, x


@torch.inference_mode()
def prefill(args):
    llama, x = asked(args)
    run = lambda: llama(inputs_embeds=x, use_cache=True, logits_to_keep=1).logits
    say(positions=x.shape[1], logits=first_values(run().float()))
    for index, warm in repetitions(args, 2):
        start = time.perf_counter()
        int(run()[0, -1].argmax())
        say(step=index, warm=warm, ms=1e3 * (time.perf_counter() - start))


@torch.inference_mode()
def decode(args):
    llama, x = asked(args)
    for index, warm in repetitions(args, 1):
        out = llama(inputs_embeds=x, use_cache=True, logits_to_keep=1)
        best = out.logits[:, -1].argmax(1, keepdim=True)
        tokens, start = [int(best)], time.perf_counter()
        while len(tokens) < args.tokens:
            logits = llama(input_ids=best, past_key_values=out.past_key_values, use_cache=True).logits
            best = logits[:, -1].argmax(1, keepdim=True)
            tokens.append(int(best))
        ms = 1e3 * (time.perf_counter() - start)
        say(step=index, warm=warm, ms=ms, n=len(tokens) - 1, tokens=tokens)
    say_memory(args)


def say_memory(args):
    if args.is_cuda:
        mib = lambda n: n >> 20
        say(allocated_mib=mib(torch.cuda.max_memory_allocated()), reserved_mib=mib(torch.cuda.max_memory_reserved()))


def main():
    works = {f.__name__: f for f in (matmul, load, train, flops, prefill, decode)}
    is_on = lambda text: {"on": True, "off": False}[text]
    p = argparse.ArgumentParser()
    p.add_argument("work", choices=works)
    p.add_argument("--device", default="cpu")
    p.add_argument("--precision", choices=("f32", "bf16"))
    p.add_argument("--weights")
    p.add_argument("--batch", type=int, default=16)
    p.add_argument("--checkpointing", type=is_on, default=False)
    p.add_argument("--features", type=is_on, default=False)
    p.add_argument("--tokens", type=int, default=128)
    p.add_argument("--steps", type=int, default=10)
    p.add_argument("--seconds", type=float, default=30)
    args = p.parse_args()
    args.is_cuda = args.device != "cpu"
    precision = args.precision or ("bf16" if args.is_cuda else "f32")
    args.dtype = {"bf16": torch.bfloat16, "f32": torch.float32}[precision]
    # `device_map` reads straight onto the device, where accelerate is installed.
    args.device_map = args.device if transformers.utils.is_accelerate_available() else None
    works[args.work](args)


if __name__ == "__main__":
    main()
