"""What is run, in order, the most important first, each with a limit in seconds."""

from dataclasses import dataclass, field

CONFIGURATIONS = [(checkpointing, features) for checkpointing in ("on", "off") for features in ("off", "on")]
# All of the work within the least memory: what the targets of a step are judged by.
JUDGED = ("on", "off")
BF16_FOLDER = "weights-bf16"


@dataclass
class Piece:
    """One process of a side: `ours`, `fusion` (ours with kernel fusion) or `peer`."""

    side: str
    work: str
    limit: int
    options: list = field(default_factory=list)
    label: str = ""
    weights: str = "weights"

    @property
    def name(self):
        return f"{self.side} {self.work}{' ' + self.label if self.label else ''}"


def train_label(checkpointing, features):
    return f"checkpointing {checkpointing}, features {features}"


def train(side, configuration, limit, options):
    checkpointing, features = configuration
    options = [*options, "--checkpointing", checkpointing, "--features", features]
    return Piece(side, "train", limit, options, train_label(*configuration))


def full():
    """The published sizes on CUDA."""
    cuda = ["--device", "cuda:0"]
    steps = [*cuda, "--batch", "16", "--steps", "20", "--seconds", "15"]
    prompt = [*cuda, "--steps", "20", "--seconds", "8"]
    answer = [*cuda, "--steps", "5", "--seconds", "15", "--tokens", "128"]
    curve = ["--steps", "100"]
    yield Piece("ours", "write", 240, [*cuda, "--scale", "1"])
    yield Piece("ours", "matmul", 75, cuda)
    yield Piece("peer", "matmul", 45, cuda)
    yield Piece("ours", "load", 90, cuda)
    # The first step compiles and tunes every kernel; later processes read them from the cache.
    yield train("ours", JUDGED, 210, steps)
    yield train("peer", JUDGED, 90, steps)
    yield Piece("ours", "decode", 90, answer)
    yield Piece("peer", "load", 90, cuda)
    yield Piece("peer", "decode", 75, answer)
    yield Piece("ours", "curve", 60, [*curve, "--device", "cpu", "--precision", "f32"], "on the CPU, f32")
    yield Piece("ours", "curve", 75, [*curve, *cuda, "--precision", "bf16"])
    yield Piece("ours", "prefill", 60, prompt)
    yield Piece("peer", "prefill", 60, prompt)
    for configuration in CONFIGURATIONS[1:]:
        yield train("ours", configuration, 90, steps)
        yield train("peer", configuration, 75, steps)
    for configuration in CONFIGURATIONS:
        yield train("fusion", configuration, 150 if configuration == JUDGED else 90, steps)
    yield Piece("fusion", "decode", 90, answer)
    yield Piece("fusion", "prefill", 60, prompt)
    yield Piece("fusion", "curve", 75, [*curve, *cuda, "--precision", "bf16"])
    yield Piece("fusion", "matmul", 60, cuda)


def rehearsal():
    """All depths at 1/16 width on the CPU, f32; and a step and a prompt in the types of CUDA."""
    cpu = ["--device", "cpu"]
    steps = [*cpu, "--batch", "2", "--steps", "3", "--seconds", "1"]
    few = [*cpu, "--steps", "3", "--seconds", "1"]
    answer = [*few, "--tokens", "32"]
    bf16 = ["--precision", "bf16"]
    sides = ("ours", "peer")
    yield Piece("ours", "write", 120, [*cpu, "--scale", "16"])
    yield Piece("ours", "write", 120, [*cpu, "--scale", "16", *bf16], "bf16", BF16_FOLDER)
    yield from (Piece(side, "matmul", 120, cpu) for side in sides)
    yield from (Piece(side, "load", 120, cpu) for side in sides)
    for configuration in CONFIGURATIONS:
        yield from (train(side, configuration, 120, steps) for side in sides)
    yield from (Piece(side, "prefill", 120, few) for side in sides)
    yield from (Piece(side, "decode", 120, answer) for side in sides)
    yield Piece("ours", "curve", 120, [*cpu, "--steps", "100", "--precision", "f32"], "on the CPU, f32")
    yield Piece("ours", "curve", 120, [*cpu, "--steps", "100", *bf16])
    yield Piece("peer", "flops", 120, [*cpu, "--batch", "2"])
    for side in sides:
        yield Piece(side, "train", 120, [*steps[:-4], "--steps", "1", "--seconds", "1", *bf16], "bf16", BF16_FOLDER)
    yield from (Piece(side, "prefill", 120, [*few, *bf16], "bf16", BF16_FOLDER) for side in sides)
