"""Writes the small ONNX segmenters that the tests of `box-segmenter` run, and what onnxruntime makes of them.

    pip install onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6 "pillow<=11.3" safetensors
    python tools/onnx/make_pair.py crates/box-segmenter/tests/fixtures

Weights are random, shapes and names are those of published exports: an image encoder for 64 x 64 px
(convolutions, one attention over all tokens, channel norm), the decoder of SAM's official export (prompt
embedding, cross attention, transposed convolutions, its resizing to `orig_im_size`) with one or with four
masks, and a decoder that takes `boxes`, as MedSAM's users export it. Images are prepared as the published
predictors do it, with Pillow in place of torchvision and scikit-image; nothing of the Rust code is used.
"""

import pathlib
import sys

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from PIL import Image
from safetensors.numpy import save_file

SIDE, STRIDE, CHANNELS = 64, 8, 16
GRID = SIDE // STRIDE
LOW = 4 * GRID
TOKENS = GRID * GRID
SAM_MEAN, SAM_STD = np.float32([123.675, 116.28, 103.53]), np.float32([58.395, 57.12, 57.375])

# By name: rows, columns, and boxes with all edges inside. The second box of each touches edges.
SLICES = {
    "wide": ((30, 44), [[10, 8, 30, 20], [0, 0, 12, 29], [25, 3, 43, 11]]),
    "tall": ((68, 43), [[12, 30, 32, 52], [20, 40, 42, 67]]),
}


class Graph:
    """Nodes and weights, each named by its number."""

    def __init__(self, seed):
        self.random = np.random.default_rng(seed)
        self.nodes, self.weights = [], []

    def op(self, kind, *inputs, name=None, **attributes):
        name = name or f"v{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], **attributes))
        return name

    def constant(self, value, dtype=np.float32):
        name = f"w{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.asarray(value, dtype), name))
        return name

    def random_weight(self, *shape, scale=None):
        fan_in = np.prod(shape[1:]) if len(shape) > 1 else 1
        return self.constant(self.random.normal(size=shape) * (scale or fan_in**-0.5))

    def linear(self, value, d_in, d_out, scale=None):
        scale = scale or d_in**-0.5
        product = self.op("MatMul", value, self.random_weight(d_in, d_out, scale=scale))
        return self.op("Add", product, self.random_weight(d_out, scale=0.1))

    def gelu(self, value):
        erf = self.op("Erf", self.op("Mul", value, self.constant(2**-0.5)))
        half = self.op("Mul", value, self.constant(0.5))
        return self.op("Mul", half, self.op("Add", erf, self.constant(1.0)))

    def channel_norm(self, value, channels):
        axes = {"axes": [1], "keepdims": 1}
        centered = self.op("Sub", value, self.op("ReduceMean", value, **axes))
        variance = self.op("ReduceMean", self.op("Mul", centered, centered), **axes)
        deviation = self.op("Sqrt", self.op("Add", variance, self.constant(1e-6)))
        unit = self.op("Div", centered, deviation)
        scaled = self.op("Mul", unit, self.random_weight(channels, 1, 1, scale=1.0))
        return self.op("Add", scaled, self.random_weight(channels, 1, 1, scale=0.3))

    def attention(self, queries, keys):
        query, key, value = (
            self.linear(queries, CHANNELS, CHANNELS, 0.5),
            self.linear(keys, CHANNELS, CHANNELS, 0.5),
            self.linear(keys, CHANNELS, CHANNELS),
        )
        scores = self.op("MatMul", query, self.op("Transpose", key, perm=[0, 2, 1]))
        weights = self.op("Softmax", self.op("Mul", scores, self.constant(CHANNELS**-0.5)), axis=-1)
        return self.op("Add", queries, self.op("MatMul", weights, value))

    def tokens_of(self, image):
        flat = self.op("Reshape", image, self.constant([1, CHANNELS, TOKENS], np.int64))
        return self.op("Transpose", flat, perm=[0, 2, 1])

    def image_of(self, tokens):
        turned = self.op("Transpose", tokens, perm=[0, 2, 1])
        return self.op("Reshape", turned, self.constant([1, CHANNELS, GRID, GRID], np.int64))

    def resize(self, image, sizes, name=None):
        attributes = {"mode": "linear", "coordinate_transformation_mode": "half_pixel"}
        return self.op("Resize", image, "", "", sizes, name=name, **attributes)

    def save(self, path, inputs, outputs):
        def values(named):
            return [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in named.items()]

        graph = helper.make_graph(self.nodes, path.stem, values(inputs), values(outputs), self.weights)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        onnx.checker.check_model(model, full_check=True)
        onnx.save(model, path)


def encoder(path, seed, input_name, output_name):
    g = Graph(seed)
    image = g.op("Conv", input_name, g.random_weight(8, 3, 3, 3), strides=[2, 2], pads=[1, 1, 1, 1])
    image = g.op("Conv", g.gelu(image), g.random_weight(CHANNELS, 8, 3, 3), strides=[2, 2], pads=[1, 1, 1, 1])
    image = g.op("Conv", g.gelu(image), g.random_weight(CHANNELS, CHANNELS, 2, 2), strides=[2, 2])
    tokens = g.op("Add", g.tokens_of(image), g.random_weight(1, TOKENS, CHANNELS, scale=0.5))
    image = g.image_of(g.attention(tokens, tokens))
    image = g.op("Conv", image, g.random_weight(CHANNELS, CHANNELS, 1, 1))
    norm = g.channel_norm(image, CHANNELS)
    g.op("Identity", norm, name=output_name)
    g.save(path, {input_name: [1, 3, SIDE, SIDE]}, {output_name: [1, CHANNELS, GRID, GRID]})


def position_code(g, points):
    """Random Fourier features of points in px of the encoder's image, [1, n, 2] to [1, n, CHANNELS]."""
    shifted = g.op("Div", g.op("Add", points, g.constant(0.5)), g.constant(SIDE))
    signed = g.op("Sub", g.op("Mul", shifted, g.constant(2.0)), g.constant(1.0))
    angles = g.op("MatMul", signed, g.random_weight(2, CHANNELS // 2, scale=1.0))
    angles = g.op("Mul", angles, g.constant(2 * np.pi))
    return g.op("Concat", g.op("Sin", angles), g.op("Cos", angles), axis=-1)


def masks_of(g, source, prompts, n_masks):
    """Tokens look at each other and at the image, and the image at them; low-resolution logits and their quality."""
    own = g.random_weight(1, 1 + n_masks, CHANNELS, scale=1.0)
    tokens = g.op("Concat", own, prompts, axis=1)
    tokens = g.attention(tokens, tokens)
    image = g.op("Add", g.tokens_of(source), g.random_weight(1, TOKENS, CHANNELS, scale=0.5))
    tokens = g.attention(tokens, image)
    image = g.image_of(g.attention(image, tokens))
    image = g.op("ConvTranspose", image, g.random_weight(CHANNELS, 8, 2, 2, scale=0.4), strides=[2, 2])
    image = g.gelu(g.channel_norm(image, 8))
    image = g.op("ConvTranspose", image, g.random_weight(8, 4, 2, 2, scale=0.6), strides=[2, 2])
    flat = g.op("Reshape", g.gelu(image), g.constant([1, 4, LOW * LOW], np.int64))

    def rows(first, end):
        bounds = [g.constant([value], np.int64) for value in (first, end, 1)]
        return g.op("Slice", tokens, *bounds)

    hyper = g.linear(g.op("Relu", g.linear(rows(1, 1 + n_masks), CHANNELS, CHANNELS)), CHANNELS, 4, 1.0)
    masks = g.op("MatMul", hyper, flat)
    low = g.op("Reshape", masks, g.constant([1, n_masks, LOW, LOW], np.int64))
    quality = g.op("Sigmoid", g.linear(rows(0, 1), CHANNELS, n_masks))
    return low, g.op("Reshape", quality, g.constant([1, n_masks], np.int64))


def sam_decoder(path, seed, single):
    """The inputs, outputs and resizing of `SamOnnxModel`, with or without `return_single_mask`."""
    g = Graph(seed)
    labels = g.op("Unsqueeze", "point_labels", g.constant([2], np.int64))

    def is_label(value):
        return g.op("Cast", g.op("Equal", labels, g.constant(value)), to=TensorProto.FLOAT)

    padding = is_label(-1.0)
    code = g.op("Mul", position_code(g, "point_coords"), g.op("Sub", g.constant(1.0), padding))
    code = g.op("Add", code, g.op("Mul", padding, g.random_weight(CHANNELS, scale=1.0)))
    for label in range(4):
        code = g.op("Add", code, g.op("Mul", is_label(float(label)), g.random_weight(CHANNELS, scale=1.0)))
    mask = g.op("Conv", "mask_input", g.random_weight(CHANNELS, 1, 4, 4), strides=[4, 4])
    without = g.op("Sub", g.constant(1.0), "has_mask_input")
    absent = g.op("Mul", without, g.random_weight(1, CHANNELS, 1, 1, scale=0.5))
    dense = g.op("Add", g.op("Mul", "has_mask_input", mask), absent)
    low, quality = masks_of(g, g.op("Add", "image_embeddings", dense), code, 4)
    if single:
        # As `select_masks`: the first mask for several points, the best of the others for a few.
        bounds = [g.constant([value], np.int64) for value in (1, 2)]
        n_points = g.op("Cast", g.op("Slice", g.op("Shape", "point_coords"), *bounds), to=TensorProto.FLOAT)
        weight = g.op("Mul", g.op("Sub", n_points, g.constant(2.5)), g.constant([[1000.0, 0.0, 0.0, 0.0]]))
        best = g.op("ArgMax", g.op("Add", quality, weight), axis=1, keepdims=0)
        low, quality = g.op("Gather", low, best, axis=1), g.op("Gather", quality, best, axis=1)
    n = 1 if single else 4
    g.op("Identity", low, name="low_res_masks")
    g.op("Identity", quality, name="iou_predictions")
    # As `mask_postprocessing`: to the encoder's size, without the padding, to the size of the image.
    large = g.resize("low_res_masks", g.constant([1, n, SIDE, SIDE], np.int64))
    scale = g.op("Div", g.constant(float(SIDE)), g.op("ReduceMax", "orig_im_size", keepdims=0))
    inside = g.op("Floor", g.op("Add", g.op("Mul", scale, "orig_im_size"), g.constant(0.5)))
    inside = g.op("Cast", inside, to=TensorProto.INT64)
    cut = g.op("Slice", large, g.constant([0, 0], np.int64), inside, g.constant([2, 3], np.int64))
    size = g.op("Cast", "orig_im_size", to=TensorProto.INT64)
    g.resize(cut, g.op("Concat", g.constant([1, n], np.int64), size, axis=0), name="masks")
    inputs = {
        "image_embeddings": [1, CHANNELS, GRID, GRID],
        "point_coords": [1, "num_points", 2],
        "point_labels": [1, "num_points"],
        "mask_input": [1, 1, LOW, LOW],
        "has_mask_input": [1],
        "orig_im_size": [2],
    }
    outputs = {"masks": [1, n, "height", "width"], "iou_predictions": [1, n], "low_res_masks": [1, n, LOW, LOW]}
    g.save(path, inputs, outputs)


def medsam_decoder(path, seed, box_shape, with_quality):
    g = Graph(seed)
    corners = g.op("Reshape", "boxes", g.constant([1, 2, 2], np.int64))
    code = g.op("Add", position_code(g, corners), g.random_weight(1, 2, CHANNELS, scale=1.0))
    source = g.op("Add", "image_embeddings", g.random_weight(1, CHANNELS, 1, 1, scale=0.5))
    low, quality = masks_of(g, source, code, 1)
    g.op("Identity", low, name="low_res_masks")
    outputs = {"low_res_masks": [1, 1, LOW, LOW]}
    if with_quality:
        g.op("Identity", quality, name="iou_predictions")
        outputs["iou_predictions"] = [1, 1]
    g.save(path, {"image_embeddings": [1, CHANNELS, GRID, GRID], "boxes": box_shape}, outputs)


def gray_slice(rows, columns, seed):
    """Blobs and noise, 8-bit."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[0:rows, 0:columns].astype(np.float64)
    image = 30 + 20 * random.random((rows, columns))
    for _ in range(4):
        center_y, center_x, radius = random.uniform(0, rows), random.uniform(0, columns), random.uniform(4, 14)
        image += random.uniform(40, 90) * np.exp(-((y - center_y) ** 2 + (x - center_x) ** 2) / radius**2)
    return np.clip(image, 0, 255).astype(np.uint8)


def session(path):
    return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])


def sam_image(gray):
    """`ResizeLongestSide`, then `Sam.preprocess`: normalized first, padded with zeros after."""
    rows, columns = gray.shape
    scale = SIDE / max(rows, columns)
    new_rows, new_columns = int(rows * scale + 0.5), int(columns * scale + 0.5)
    small = np.asarray(Image.fromarray(gray).resize((new_columns, new_rows), Image.Resampling.BILINEAR))
    image = np.zeros((1, 3, SIDE, SIDE), np.float32)
    normalized = (small.astype(np.float32)[..., None] - SAM_MEAN) / SAM_STD
    image[0, :, :new_rows, :new_columns] = normalized.transpose(2, 0, 1)
    return image, (new_rows, new_columns)


def medsam_image(gray):
    """`MedSAM_Inference.py`: stretched, then smallest to 0 and largest to 1."""
    small = np.asarray(Image.fromarray(gray).resize((SIDE, SIDE), Image.Resampling.BICUBIC)).astype(np.float32)
    unit = (small - small.min()) / np.clip(small.max() - small.min(), 1e-8, None)
    return np.ascontiguousarray(np.broadcast_to(unit, (1, 3, SIDE, SIDE)))


def resized(low, rows, columns):
    """Bilinear as `F.interpolate(..., align_corners=False)`, computed by onnxruntime."""
    g = Graph(0)
    g.resize("low", g.constant([1, 1, rows, columns], np.int64), name="high")
    inputs = [helper.make_tensor_value_info("low", TensorProto.FLOAT, [1, 1, LOW, LOW])]
    outputs = [helper.make_tensor_value_info("high", TensorProto.FLOAT, [1, 1, rows, columns])]
    graph = helper.make_graph(g.nodes, "resize", inputs, outputs, g.weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"low": low})[0]


def main(folder):
    folder.mkdir(parents=True, exist_ok=True)
    encoder(folder / "sam-encoder.onnx", 1, "image", "embeddings")
    sam_decoder(folder / "sam-decoder.onnx", 21, single=True)
    sam_decoder(folder / "sam-decoder-four.onnx", 3, single=False)
    encoder(folder / "medsam-encoder.onnx", 4, "input_image", "image_embeddings")
    medsam_decoder(folder / "medsam-decoder.onnx", 5, [1, 1, 4], with_quality=True)
    medsam_decoder(folder / "medsam-decoder-flat.onnx", 6, [1, 4], with_quality=False)

    expected = {}
    for number, (name, ((rows, columns), boxes)) in enumerate(SLICES.items()):
        gray = gray_slice(rows, columns, 10 + number)
        expected[f"{name}.slice"] = gray
        expected[f"{name}.boxes"] = np.uint32(boxes)
        image, (new_rows, new_columns) = sam_image(gray)
        embedding = session(folder / "sam-encoder.onnx").run(None, {"image": image})[0]
        for model in ("sam-decoder", "sam-decoder-four"):
            for place, box in enumerate(boxes):
                corners = np.float32(box).reshape(1, 2, 2) * np.float32([new_columns / columns, new_rows / rows])
                masks, quality, _ = session(folder / f"{model}.onnx").run(None, {
                    "image_embeddings": embedding,
                    "point_coords": corners.astype(np.float32),
                    "point_labels": np.float32([[2, 3]]),
                    "mask_input": np.zeros((1, 1, LOW, LOW), np.float32),
                    "has_mask_input": np.zeros(1, np.float32),
                    "orig_im_size": np.float32([rows, columns]),
                })
                best = int(quality[0].argmax())
                report(f"{model} {name} {place}", masks[0, best], quality[0, best])
                expected[f"{model}.{name}.{place}.logits"] = masks[0, best]
                expected[f"{model}.{name}.{place}.iou"] = quality[0, best : best + 1]
        image = medsam_image(gray)
        embedding = session(folder / "medsam-encoder.onnx").run(None, {"input_image": image})[0]
        for model, shape in (("medsam-decoder", (1, 1, 4)), ("medsam-decoder-flat", (1, 4))):
            for place, box in enumerate(boxes):
                scaled = np.float32(box) / np.float32([columns, rows, columns, rows]) * SIDE
                inputs = {"image_embeddings": embedding, "boxes": scaled.reshape(shape).astype(np.float32)}
                low, *quality = session(folder / f"{model}.onnx").run(None, inputs)
                logits = resized(low, rows, columns)[0, 0]
                report(f"{model} {name} {place}", logits, *(q[0, 0] for q in quality))
                expected[f"{model}.{name}.{place}.logits"] = logits
                for value in quality:
                    expected[f"{model}.{name}.{place}.iou"] = value[0]
    expected = {name: np.ascontiguousarray(value) for name, value in expected.items()}
    file = folder / "expected.safetensors"
    save_file(expected, file)
    file.chmod(0o644)


def report(name, logits, quality=None):
    share = (logits > 0).mean()
    nearest = np.abs(logits).min()
    span = f"logits {logits.min():.2f}..{logits.max():.2f}, nearest to 0 {nearest:.1e}"
    print(f"{name}: {span}, {share:.0%} inside, quality {quality}")


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
