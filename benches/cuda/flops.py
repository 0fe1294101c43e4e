"""Operations of a training step, by formula."""


def step_flops(config, batch, positions, answer, features):
    """Floating-point operations of one step's matrix products: a multiplication and an addition are two.

    A linear map of P weights takes, for each position that it is applied to,

    - 2 P forward,
    - 2 P for the gradient of its input, where something before it learns,
    - 2 P for the gradient of its weight, where it learns itself.

    So a frozen map of the language model takes 4 P (the projector before it learns), an adapter 6 P,
    the projector 4 P (what is before it is frozen), a map of the frozen tower 2 P. The head runs at
    the positions that predict the `answer` tokens of a row, 4 P each.

    Attention of n positions over width w is two products forward and four backward, each of
    2 n^2 w: 4 n^2 w in the tower and 12 n^2 w in the language model. As is usual, and as PyTorch
    counts, the half that causal attention hides is included.

    What checkpointing computes again does not count, nor do norms, softmax, rotation, AdamW.
    With `features` the tower does not run.
    """
    vision, llama, lora = config["vision"], config["llama"], config["lora"]
    width, hidden = vision["width"], llama["hidden_size"]
    patches = (vision["image_size"] // vision["patch_size"]) ** 2
    tokens, image_tokens = 1 + patches, patches // config["merge"]

    patch_embed = 2 * patches * 3 * vision["patch_size"] ** 2 * width
    block = 4 * width**2 + 2 * width * vision["mlp_hidden"]
    tower = patch_embed + vision["depth"] * (2 * tokens * block + 4 * tokens**2 * width)
    projector = 4 * image_tokens * config["merge"] * width * hidden

    queries, keys = llama["n_heads"] * llama["head_dim"], llama["n_kv_heads"] * llama["head_dim"]
    inner = llama["intermediate_size"]
    maps = {
        "q_proj": (hidden, queries), "k_proj": (hidden, keys), "v_proj": (hidden, keys), "o_proj": (queries, hidden),
        "gate_proj": (hidden, inner), "up_proj": (hidden, inner), "down_proj": (inner, hidden),
    }
    frozen = sum(a * b for a, b in maps.values())
    adapters = lora["rank"] * sum(sum(maps[name]) for name in lora["targets"])
    layer = positions * (4 * frozen + 6 * adapters) + 12 * positions**2 * queries
    head = 4 * answer * hidden * llama["vocab_size"]

    row = projector + llama["n_layers"] * layer + head
    return batch * (row if features else row + tower)
