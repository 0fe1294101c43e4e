"""The model in PyTorch, read from the same checkpoint folders.

The tower and the language model of `train-nano` are plain modules; elsewhere the language model is
transformers' LlamaForCausalLM with peft's adapters, as the published code has it.
"""

import json
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import nn


class Attention(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.qkv, self.proj = nn.Linear(width, 3 * width, bias=False), nn.Linear(width, width)
        self.q_bias, self.v_bias = nn.Parameter(torch.zeros(width)), nn.Parameter(torch.zeros(width))

    def forward(self, x):
        b, n, w = x.shape
        bias = torch.cat([self.q_bias, torch.zeros_like(self.q_bias), self.v_bias])
        qkv = F.linear(x, self.qkv.weight, bias).view(b, n, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        out = F.scaled_dot_product_attention(qkv[0], qkv[1], qkv[2])
        return self.proj(out.transpose(1, 2).reshape(b, n, w))


class Mlp(nn.Module):
    def __init__(self, width, inner):
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(width, inner), nn.Linear(inner, width)

    def forward(self, x):
        return self.fc2(F.gelu(self.fc1(x)))


class VisionBlock(nn.Module):
    def __init__(self, c):
        super().__init__()
        width = c["width"]
        self.norm1, self.norm2 = nn.LayerNorm(width, c["norm_eps"]), nn.LayerNorm(width, c["norm_eps"])
        self.attn, self.mlp = Attention(width, c["n_heads"]), Mlp(width, c["mlp_hidden"])

    def forward(self, x):
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class Tower(nn.Module):
    def __init__(self, c):
        super().__init__()
        stem, width = c.get("stem_channels", []), c["width"]
        sizes = [3, *stem]
        self.stem = nn.ModuleList(nn.Conv2d(a, b, 3, stride=2, padding=1) for a, b in zip(sizes, stem))
        edge = c["patch_size"] >> len(stem)
        self.patch_embed = nn.Module()
        self.patch_embed.proj = nn.Conv2d(sizes[-1], width, edge, stride=edge)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        n_patches = (c["image_size"] // c["patch_size"]) ** 2
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + n_patches, width))
        self.blocks = nn.ModuleList(VisionBlock(c) for _ in range(c["depth"]))

    def forward(self, x):
        for conv in self.stem:
            x = F.relu(conv(x))
        x = self.patch_embed.proj(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.cls_token.expand(len(x), -1, -1), x], 1) + self.pos_embed
        for block in self.blocks:
            x = block(x)
        return x


class RmsNorm(nn.Module):
    def __init__(self, width, eps):
        super().__init__()
        self.weight, self.eps = nn.Parameter(torch.ones(width)), eps

    def forward(self, x):
        return F.rms_norm(x, x.shape[-1:], self.weight, self.eps)


class LlamaBlock(nn.Module):
    def __init__(self, c):
        super().__init__()
        linear = lambda a, b: nn.Linear(a, b, bias=False)
        hidden, inner = c["hidden_size"], c["intermediate_size"]
        self.heads = c["n_heads"]
        self.input_layernorm = RmsNorm(hidden, c["rms_norm_eps"])
        self.post_attention_layernorm = RmsNorm(hidden, c["rms_norm_eps"])
        self.self_attn, self.mlp = nn.Module(), nn.Module()
        for name in ("q_proj", "k_proj", "v_proj", "o_proj"):
            setattr(self.self_attn, name, linear(hidden, hidden))
        self.mlp.gate_proj, self.mlp.up_proj = linear(hidden, inner), linear(hidden, inner)
        self.mlp.down_proj = linear(inner, hidden)

    def forward(self, x, cos, sin):
        b, n, hidden = x.shape
        a = self.self_attn
        y = self.input_layernorm(x)
        split = lambda m: m(y).view(b, n, self.heads, -1).transpose(1, 2)

        def turn(x):
            first, second = x.chunk(2, -1)
            return torch.cat([first * cos - second * sin, second * cos + first * sin], -1)

        q, k, v = split(a.q_proj), split(a.k_proj), split(a.v_proj)
        out = F.scaled_dot_product_attention(turn(q), turn(k), v, is_causal=True)
        x = x + a.o_proj(out.transpose(1, 2).reshape(b, n, hidden))
        y = self.post_attention_layernorm(x)
        return x + self.mlp.down_proj(F.silu(self.mlp.gate_proj(y)) * self.mlp.up_proj(y))


class PlainLlama(nn.Module):
    """Embeddings to the logits of some positions; without adapters or grouped keys."""

    def __init__(self, c):
        super().__init__()
        self.model = nn.Module()
        self.model.embed_tokens = nn.Embedding(c["vocab_size"], c["hidden_size"])
        self.model.layers = nn.ModuleList(LlamaBlock(c) for _ in range(c["n_layers"]))
        self.model.norm = RmsNorm(c["hidden_size"], c["rms_norm_eps"])
        self.lm_head = nn.Linear(c["hidden_size"], c["vocab_size"], bias=False)
        self.half, self.theta = c["head_dim"] // 2, c["rope_theta"]

    def logits(self, x, at):
        angles = torch.arange(x.shape[1])[:, None] * self.theta ** (-torch.arange(self.half) / self.half)
        cos, sin = angles.cos(), angles.sin()
        for layer in self.model.layers:
            x = layer(x, cos, sin)
        return self.lm_head(self.model.norm(x[:, at]))

    def embed(self, ids):
        return self.model.embed_tokens(ids)


class HfLlama(nn.Module):
    """transformers' model behind the same two calls."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def logits(self, x, at):
        return self.model(inputs_embeds=x, logits_to_keep=at, use_cache=False).logits

    def embed(self, ids):
        return self.model.get_input_embeddings()(ids)


class Model(nn.Module):
    """Tower, norm, projector and language model of a checkpoint folder, in f32."""

    def __init__(self, folder, plain=False, merged=False):
        super().__init__()
        folder = Path(folder)
        manifest = json.loads((folder / "minigpt.json").read_text())
        self.config, files = manifest["config"], manifest["files"]
        vision, self.merge = self.config["vision"], self.config["merge"]
        with torch.device("meta"):
            self.tower = Tower(vision)
            self.ln_vision = nn.LayerNorm(vision["width"], vision["ln_vision_eps"])
            hidden = self.config["llama"]["hidden_size"]
            self.llama_proj = nn.Linear(vision["width"] * self.merge, hidden)
        read = lambda path: {k: v.float() for k, v in load_file(folder / path).items()}
        seen = read(files["vision_tower"])
        if files.get("ln_vision"):
            seen |= read(files["ln_vision"])
        adapter = Path(files["adapter"])
        seen |= read(adapter / "llama_proj.safetensors")
        for module, name in ((self.ln_vision, "ln_vision."), (self.llama_proj, "llama_proj.")):
            module.load_state_dict({k: seen.pop(name + k) for k in ("weight", "bias")}, assign=True)
        self.tower.load_state_dict(seen, assign=True)
        llama = folder / files["language_model"]
        if plain:
            self.llama = PlainLlama(self.config["llama"])
            self.llama.load_state_dict(
                {k: v.float() for f in sorted(llama.glob("*.safetensors")) for k, v in load_file(f).items()})
            return
        import transformers

        model = transformers.LlamaForCausalLM.from_pretrained(llama, dtype=torch.float32, attn_implementation="sdpa")
        if self.config.get("lora"):
            import peft

            model = peft.PeftModel.from_pretrained(model, folder / adapter, is_trainable=not merged)
            if merged:
                model = model.merge_and_unload()
        self.llama = HfLlama(model)

    def features(self, pixels):
        x = self.ln_vision(self.tower(pixels))[:, 1:]
        b, n, w = x.shape
        return x.reshape(b, n // self.merge, w * self.merge)

    def encode(self, pixels):
        return self.llama_proj(self.features(pixels))

    def assemble(self, ids, n_before, images):
        """Embeddings of the text with each row's image after its first `n_before` ids."""
        text = self.llama.embed(ids)
        return torch.cat([text[:, :n_before], images, text[:, n_before:]], 1)

    @property
    def n_image_tokens(self):
        vision = self.config["vision"]
        return (vision["image_size"] // vision["patch_size"]) ** 2 // self.merge
