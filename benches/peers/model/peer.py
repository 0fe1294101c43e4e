"""The peer of `benches/examples/model_work`: the same work in PyTorch, the same protocol.

    peer.py WORK FOLDER [PROMPT]
"""

import json
import sys
import time

import numpy as np
import torch
import torch.nn.functional as F

from torch_model import Model

N_BEFORE, N_ANSWER, N_NEW, RATE = 5, 16, 32, 1e-4


def pixels(n, size):
    i = np.arange(n * 3 * size * size, dtype=np.uint64)
    hashed = (i * np.uint64(2654435761)) & np.uint64(0xFFFFFFFF)
    return torch.from_numpy((hashed / 2**31 - 1).astype(np.float32)).view(n, 3, size, size)


def n_positions(model):
    return 60 if model.n_image_tokens <= 16 else 310


def rows(model, n):
    """BOS and text without the image; the image comes after the first 1 + N_BEFORE ids."""
    vocab = model.config["llama"]["vocab_size"] - 3
    at = torch.arange(n_positions(model) - model.n_image_tokens)
    ids = 3 + (torch.arange(n)[:, None] * 7919 + at * 104729) % vocab
    ids[:, 0] = model.config["llama"]["bos_token"]
    return ids


def decayed(model):
    """The published groups: matrices whose names hold no `bias`, `ln` and `bn` decay."""
    groups = [], []
    for name, p in model.named_parameters():
        if p.requires_grad:
            groups[p.ndim < 2 or any(part in name for part in ("bias", "ln", "bn"))].append(p)
    return [{"params": groups[0], "weight_decay": 0.05}, {"params": groups[1], "weight_decay": 0.0}]


def train(folder):
    lora = json.load(open(f"{folder}/minigpt.json"))["config"].get("lora")
    model = Model(folder, plain=not lora)
    batch = 4 if lora else 16
    if lora:
        for name, p in model.named_parameters():
            p.requires_grad_("lora_" in name or name.startswith("llama_proj"))
    learning = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(decayed(model), lr=RATE, betas=(0.9, 0.999), eps=1e-8, fused=True)
    images, ids = pixels(batch, model.config["vision"]["image_size"]), rows(model, batch)
    n = n_positions(model)
    # The head runs where an answer is predicted, as ours does.
    at = torch.arange(n - N_ANSWER - 1, n - 1)
    labels = ids[:, -N_ANSWER:].reshape(-1)

    def step(_):
        optimizer.zero_grad(set_to_none=True)
        if lora:
            with torch.no_grad():
                features = model.features(images)
        else:
            features = model.features(images)
        x = model.assemble(ids, 1 + N_BEFORE, model.llama_proj(features))
        loss = F.cross_entropy(model.llama.logits(x, at).flatten(0, 1), labels)
        loss.backward()
        norm = torch.nn.utils.get_total_norm([p.grad for p in learning if p.grad is not None])
        optimizer.step()
        return [loss.item(), norm.item()]

    return timed(step)


def encode(folder, batch):
    model = Model(folder, merged=True).eval()
    images = pixels(batch, model.config["vision"]["image_size"])
    return timed(lambda _: first_values(model.encode(images)))


def asked(folder, batch):
    model = Model(folder, merged=True).eval()
    images = model.encode(pixels(batch, model.config["vision"]["image_size"]))
    return model, model.assemble(rows(model, batch), 1 + N_BEFORE, images)


def prefill(folder):
    model, x = asked(folder, 1)
    return timed(lambda _: first_values(model.llama.model(inputs_embeds=x, use_cache=True, logits_to_keep=1).logits))


def decode(folder, batch):
    model, x = asked(folder, batch)
    llama = model.llama.model
    out = llama(inputs_embeds=x, use_cache=True, logits_to_keep=1)
    cache, first = out.past_key_values, out.logits

    def run(_):
        if cache.get_seq_length() > x.shape[1]:
            cache.crop(x.shape[1] - cache.get_seq_length())
        logits, tokens = first, []
        start = time.perf_counter()
        for _ in range(N_NEW):
            best = logits[:, -1].argmax(1, keepdim=True)
            tokens.append(int(best[0]))
            logits = llama(input_ids=best, past_key_values=cache, use_cache=True, logits_to_keep=1).logits
        return time.perf_counter() - start, tokens

    return run


def answer(folder, prompt):
    """An image file to the answer's tokens, greedily; the question comes in ids."""
    from PIL import Image

    model = Model(folder, merged=True).eval()
    llama, size = model.llama.model, model.config["vision"]["image_size"]
    before, after = (torch.tensor([ids]) for ids in json.loads(prompt))
    ids = torch.cat([before, after], 1)
    mean = torch.tensor([0.48145466, 0.4578275, 0.40821073])[:, None, None]
    std = torch.tensor([0.26862954, 0.26130258, 0.27577711])[:, None, None]

    def run(path):
        image = Image.open(path).convert("RGB").resize((size, size), Image.BICUBIC)
        values = (torch.from_numpy(np.array(image)).permute(2, 0, 1).float() / 255 - mean) / std
        x = model.assemble(ids, before.shape[1], model.encode(values[None]))
        out = llama(inputs_embeds=x, use_cache=True, logits_to_keep=1)
        tokens = [int(out.logits[0, -1].argmax())]
        # A box is 14 tokens in the small vocabulary; a model that was not trained never stops by itself.
        while tokens[-1] != model.config["llama"]["eos_token"] and len(tokens) < 14:
            out = llama(input_ids=torch.tensor([tokens[-1:]]), past_key_values=out.past_key_values, use_cache=True)
            tokens.append(int(out.logits[0, -1].argmax()))
        return tokens

    return timed(run)


def load(folder):
    """Time to the first logits and peak memory, without the imports; one JSON object."""
    import peft  # noqa: F401
    import transformers  # noqa: F401

    imported = peak_mb()
    start = time.perf_counter()
    model = Model(folder, merged=False).eval()
    loaded = time.perf_counter() - start
    with torch.inference_mode():
        values = first_values(model.llama.model(input_ids=torch.tensor([[1, 5, 6, 7]]), use_cache=False).logits)
    ms = 1e3 * (time.perf_counter() - start)
    return {"loaded_ms": 1e3 * loaded, "ms": ms, "peak_mb": peak_mb(), "imports_mb": imported, "values": values}


def peak_mb():
    status = open("/proc/self/status").read()
    return int(status.split("VmHWM:")[1].split()[0]) // 1024


def first_values(x):
    return x.flatten()[:64].tolist()


def timed(work):
    def run(line):
        start = time.perf_counter()
        values = work(line)
        return time.perf_counter() - start, values

    return run


def main():
    name, folder, *rest = sys.argv[1:]
    if name == "load":
        print(json.dumps(load(folder)))
        return
    makers = {
        "train": lambda: train(folder), "encode": lambda: encode(folder, 1), "encode-16": lambda: encode(folder, 16),
        "prefill": lambda: prefill(folder), "decode": lambda: decode(folder, 1),
        "decode-16": lambda: decode(folder, 16), "answer": lambda: answer(folder, *rest),
    }
    with torch.inference_mode(name != "train"):
        work = makers[name]()
        print(json.dumps({"ready": True}), flush=True)
        for line in sys.stdin:
            seconds, values = work(line.strip())
            print(json.dumps({"ms": 1e3 * seconds, "values": values}), flush=True)


if __name__ == "__main__":
    main()
