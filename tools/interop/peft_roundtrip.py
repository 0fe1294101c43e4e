"""Python's half of peft_roundtrip.sh.

Opens what our library wrote with transformers and peft and compares logits, then saves another
adapter and the model merged with it for our library to open.
"""

import sys
from pathlib import Path

import peft
import torch
import transformers
from safetensors.torch import load_file, save_file

TOLERANCE = 1e-4


def load_llama(folder):
    model = transformers.LlamaForCausalLM.from_pretrained(
        folder, dtype=torch.float32, attn_implementation="eager"
    )
    return model.eval()


def logits(model, ids):
    with torch.no_grad():
        return model(input_ids=ids).logits


def compare(folder):
    ours = load_file(folder / "ours.safetensors")
    ids = ours["input_ids"]
    checkpoint = folder / "checkpoint"
    base = load_llama(checkpoint / "llama")
    pairs = [("logits_base", logits(base, ids))]
    adapted = peft.PeftModel.from_pretrained(base, checkpoint / "adapter").eval()
    found = adapted.peft_config["default"]
    assert (found.r, found.lora_alpha, found.lora_dropout) == (4, 6, 0.1), found
    pairs.append(("logits_adapted", logits(adapted, ids)))
    pairs.append(("logits_merged", logits(load_llama(folder / "merged"), ids)))
    effect = (pairs[0][1] - pairs[1][1]).abs().max().item()
    print(f"the adapter changes logits by up to {effect:.2f}")
    is_close = effect > 0.1
    for name, theirs in pairs:
        worst = (ours[name] - theirs).abs().max().item()
        largest = theirs.abs().max().item()
        print(f"rust -> python  {name:<15} worst difference {worst:.1e} (largest logit {largest:.1f})")
        is_close = is_close and worst <= TOLERANCE
    return is_close


def save(folder):
    ids = load_file(folder / "ours.safetensors")["input_ids"]
    base = load_llama(folder / "checkpoint" / "llama")
    settings = peft.LoraConfig(
        task_type="CAUSAL_LM",
        r=8,
        lora_alpha=12,
        lora_dropout=0.0,
        target_modules=["q_proj", "k_proj", "o_proj", "down_proj"],
    )
    model = peft.get_peft_model(base, settings).eval()
    generator = torch.Generator().manual_seed(5)
    for name, parameter in model.named_parameters():
        if "lora_" in name:
            parameter.data = torch.randn(parameter.shape, generator=generator) * 0.1
    model.save_pretrained(folder / "python_adapter")
    adapted = logits(model, ids)
    merged = model.merge_and_unload()
    merged.save_pretrained(folder / "python_merged")
    tensors = {"logits_adapted": adapted, "logits_merged": logits(merged, ids)}
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, folder / "python.safetensors")


def main():
    folder = Path(sys.argv[1])
    print(f"torch {torch.__version__}, transformers {transformers.__version__}, peft {peft.__version__}")
    is_close = compare(folder)
    save(folder)
    sys.exit(0 if is_close else 1)


if __name__ == "__main__":
    main()
