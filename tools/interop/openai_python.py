"""OpenAI's own Python client, unchanged, against the chat server: chat, streams, pictures, JSON of a form, errors.

    python -m venv venv && venv/bin/pip install -r tools/interop/openai-requirements.txt
    chat-server --port 8080 &
    venv/bin/python tools/interop/openai_python.py http://127.0.0.1:8080

Of the scripted server (`cargo build --workspace --examples`) every word is known, and checked.
"""

import base64
import json
import struct
import sys
import urllib.request
import zlib

import jsonschema
import openai
import pydantic

address = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8080"
client = openai.OpenAI(base_url=f"{address}/v1", api_key="none", max_retries=0)
passed = 0


def check(name, condition, seen=None):
    global passed
    if not condition:
        sys.exit(f"FAILED {name}: {seen}")
    passed += 1
    print(f"ok {name}")


def png(side):
    chunk = lambda kind, data: struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    rows = b"".join(b"\0" + bytes((x + y) % 256 for x in range(side)) for y in range(side))
    head = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def about(words, n=1):
    url = "data:image/png;base64," + base64.b64encode(png(100)).decode()
    images = [{"type": "image_url", "image_url": {"url": url}}] * n
    return [{"role": "user", "content": [*images, {"type": "text", "text": words}]}]


models = client.models.list().data
model = models[0].id
check("models", len(models) == 1 and client.models.retrieve(model).id == model, models)

answer = client.chat.completions.create(model=model, messages=[{"role": "user", "content": "hello"}])
check("chat", answer.choices[0].message.content and answer.choices[0].finish_reason == "stop", answer)
check("usage", answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens, answer.usage)

scripted = model == "scripted"
where = about("[refer] where is the pancreas?")
answer = client.chat.completions.create(
    model=model, messages=about("[refer] where is the pancreas?", 2), temperature=0.6, top_p=0.9, seed=7, max_tokens=50
)
boxes = answer.model_extra["grounding"]["boxes"]
if scripted:
    check("pictures and boxes", boxes[0]["box_px"] == [38, 45, 62, 58], answer)
again = client.chat.completions.create(
    model=model, messages=about("[refer] where is the pancreas?", 2), temperature=0.6, top_p=0.9, seed=7, max_tokens=50
)
check("a seed", again.choices[0].message.content == answer.choices[0].message.content, again)
answer = client.chat.completions.create(model=model, messages=where)
text = answer.choices[0].message.content
x1, y1, x2, y2 = answer.model_extra["grounding"]["boxes"][0]["box_px"]
check("a box in the picture", 0 <= x1 < x2 <= 100 and 0 <= y1 < y2 <= 100 and text.startswith("{<"), answer)

answer = client.chat.completions.create(model=model, messages=where, stop=["><"])
check("stop", answer.choices[0].message.content == text.split("><")[0], answer)
answer = client.chat.completions.create(model=model, messages=where, max_completion_tokens=2)
check("max_completion_tokens", answer.choices[0].finish_reason == "length", answer)

stream = client.chat.completions.create(
    model=model, messages=where, stream=True, stream_options={"include_usage": True}
)
chunks = list(stream)
pieces = [c.choices[0].delta.content for c in chunks if c.choices and c.choices[0].delta.content]
check("stream", "".join(pieces) == text and len(pieces) > 2, pieces)
check("usage of a stream", chunks[-1].usage.completion_tokens > 3 and not chunks[-1].choices, chunks[-1])

with client.chat.completions.stream(model=model, messages=where) as events:
    final = events.get_final_completion()
check("stream helper", final.choices[0].message.content == text, final)


class Box(pydantic.BaseModel):
    label: str
    x1: int
    y1: int
    x2: int
    y2: int
    confidence: float | None


class Boxes(pydantic.BaseModel):
    boxes: list[Box]
    tumor: bool


parsed = client.chat.completions.parse(model=model, messages=about("where is the pancreas?"), response_format=Boxes)
box = parsed.choices[0].message.parsed.boxes[0]
check("json_schema of pydantic", (box.label, box.x1, box.y2) == ("pancreas", round(x1), round(y2)), parsed)

schema = {
    "type": "object",
    "properties": {
        "boxes": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "label": {"type": "string"},
                    "bbox": {"type": "array", "items": {"type": "number"}, "minItems": 4, "maxItems": 4},
                },
                "required": ["label", "bbox"],
                "additionalProperties": False,
            },
        },
        "answer": {"type": "string", "enum": ["yes", "no"]},
    },
    "required": ["boxes", "answer"],
    "additionalProperties": False,
}
form = {"type": "json_schema", "json_schema": {"name": "boxes", "strict": True, "schema": schema}}
for words in ("where is the pancreas?", "hello"):
    answer = client.chat.completions.create(model=model, messages=about(words), response_format=form)
    jsonschema.validate(json.loads(answer.choices[0].message.content), schema)
check("json_schema is met", True)

for name, error, call in [
    ("unknown model", openai.NotFoundError, lambda: client.chat.completions.create(model="x", messages=about("a"))),
    (
        "bad temperature",
        openai.BadRequestError,
        lambda: client.chat.completions.create(model=model, messages=about("a"), temperature=9),
    ),
    (
        "model failure",
        openai.InternalServerError,
        lambda: client.chat.completions.create(model=model, messages=about("please fail", 1)),
    )
    if scripted
    else (
        "what it was not trained for",
        openai.BadRequestError,
        lambda: client.chat.completions.create(model=model, messages=about("[refer] where is the heart?")),
    ),
]:
    try:
        call()
        check(name, False)
    except error as raised:
        check(f"{name} is {type(raised).__name__}", bool(raised.code), raised)
too_long = "please refuse" if scripted else "slice " * 3000
stream = client.chat.completions.create(model=model, messages=about(too_long), stream=True)
try:
    list(stream)
    check("refusal in a stream", False)
except openai.APIError as raised:
    check("refusal in a stream", raised.code == "context_length_exceeded", raised)

with urllib.request.urlopen(f"{address}/openapi.json") as reply:
    check("OpenAPI document", json.load(reply)["openapi"].startswith("3."))
print(f"openai {openai.__version__}: {passed} passed, 0 failed")
