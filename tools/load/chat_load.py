"""Load on the chat server: parallel chats, slow idle connections and malformed requests at once, while /healthz is
timed; then clients that go away and uploads that are bombs. Prints the figures as JSON and ends with 1 if one is not as
it must be.

    python tools/load/chat_load.py target/debug/chat-server -- --log warn
    python tools/load/chat_load.py target/debug/examples/scripted_server -- --token-ms 5

Needs nothing but Python 3.10 and enough file handles (`ulimit -n 4096`).
"""

import argparse
import asyncio
import base64
import collections
import io
import json
import random
import struct
import subprocess
import sys
import time
import zipfile
import zlib

parser = argparse.ArgumentParser()
parser.add_argument("server")
parser.add_argument("--chats", type=int, default=64)
parser.add_argument("--idle", type=int, default=1000)
parser.add_argument("--malformed", type=int, default=10_000)
parser.add_argument("--seed", type=int, default=1)
parser.add_argument("--leavers", type=int, default=20)
# What stands behind `--` is the server's.
own = sys.argv[1:]
cut_at = own.index("--") if "--" in own else len(own)
arguments, options = parser.parse_args(own[:cut_at]), own[cut_at + 1:]

process = subprocess.Popen([arguments.server, "--port", "0", *options], stdout=subprocess.PIPE, text=True)
host, port = process.stdout.readline().strip().removeprefix("http://").split(":")
statuses = {name: collections.Counter() for name in ("chats", "malformed", "healthz")}
health = []


def request(method, path, body=b"", headers=""):
    head = f"{method} {path} HTTP/1.1\r\nhost: {host}:{port}\r\nconnection: close\r\n{headers}content-length: {len(body)}\r\n\r\n"
    return head.encode() + body


async def ask(data, patience=120):
    """The status of the reply, or what came instead; and the reply."""
    reader, writer = await asyncio.open_connection(host, port)
    try:
        writer.write(data)
        reply = await asyncio.wait_for(reader.read(-1), patience)
    except (ConnectionError, asyncio.TimeoutError) as error:
        return type(error).__name__, b""
    finally:
        writer.close()
    return (int(reply[9:12]) if reply.startswith(b"HTTP/1.1 ") else "closed"), reply


def png(side, claimed=None):
    """A gray PNG; its header may claim another size."""
    chunk = lambda kind, data: struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    rows = b"".join(b"\0" + bytes((7 * x + 3 * y) % 256 for x in range(side)) for y in range(side))
    head = struct.pack(">IIBBBBB", claimed or side, claimed or side, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def chat(words, stream, n=0):
    """A question about a picture of its own."""
    url = "data:image/png;base64," + base64.b64encode(png(64 + n)).decode()
    content = [{"type": "image_url", "image_url": {"url": url}}, {"type": "text", "text": words}]
    return json.dumps({"messages": [{"role": "user", "content": content}], "stream": stream}).encode()


chat_seconds = []


async def chats():
    async def one(n):
        data = chat("[refer] where is the pancreas?", n % 2 == 0, n)
        start = time.perf_counter()
        status, reply = await ask(request("POST", "/v1/chat/completions", data, f"x-client-id: c{n}\r\n"))
        chat_seconds.append(time.perf_counter() - start)
        statuses["chats"][status] += 1
        assert status != 200 or b"grounding" in reply and b"{<" in reply, reply

    await asyncio.gather(*(one(n) for n in range(arguments.chats)))


def figure(metrics, name):
    return float(next(line for line in metrics.decode().splitlines() if line.startswith(name + " ")).split()[1])


whole_answer = []


async def leavers():
    """Clients that go away in the middle of an answer; seconds until the model is free again, for each."""
    freed = []
    # A high temperature makes the small model talk on.
    words = "count 2000" if b"scripted" in (await ask(request("GET", "/v1/models")))[1] else "[identify] what is this {<40><40><60><60>}"
    body = json.loads(chat(words, True)) | {"temperature": 2.0, "seed": 1}
    data = request("POST", "/v1/chat/completions", json.dumps(body).encode())
    start = time.perf_counter()
    _, reply = await ask(data)
    whole_answer.append(time.perf_counter() - start)
    for _ in range(arguments.leavers):
        reader, writer = await asyncio.open_connection(host, port)
        writer.write(data)
        await reader.readuntil(b"\n\n")
        # The model is at it.
        await asyncio.sleep(0.005)
        writer.close()
        start = time.perf_counter()
        while True:
            _, metrics = await ask(request("GET", "/metrics"))
            if figure(metrics, "chat_active_requests") == 0 and figure(metrics, "chat_queue_depth") == 0:
                break
        freed.append(time.perf_counter() - start)
    return freed


async def bombs():
    """Small uploads that unpack to much."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        with archive.open("slice.dcm", "w", force_zip64=True) as member:
            member.write(b"\0" * 128 + b"DICM")
            for _ in range(2048):
                member.write(bytes(1 << 20))
    many = io.BytesIO()
    with zipfile.ZipFile(many, "w") as archive:
        for n in range(20_000):
            archive.writestr(f"{n}", b"")
    head = bytearray(352)
    struct.pack_into("<i8h", head, 0, 348, *[0] * 8)
    struct.pack_into("<8h", head, 40, 3, 32_000, 32_000, 32_000, 1, 1, 1, 1)
    struct.pack_into("<hh", head, 70, 16, 32)
    struct.pack_into("<8f", head, 76, *[1.0] * 8)
    struct.pack_into("<f", head, 108, 352.0)
    head[344:348] = b"n+1\0"
    gzip = zlib.compressobj(9, zlib.DEFLATED, 31)
    nifti = gzip.compress(bytes(head) + bytes(64 << 20)) + gzip.flush()
    found = {}
    for name, body in {"zip": packed.getvalue(), "zip of many": many.getvalue(), "nifti": nifti, "png": png(8, 60_000)}.items():
        start = time.perf_counter()
        status, _ = await ask(request("POST", "/v1/studies", body))
        found[name] = {"status": status, "bytes": len(body), "seconds": round(time.perf_counter() - start, 2)}
    return found


async def idle(started, done):
    """Connections that begin a request and never end it; each that is cut off is opened anew."""
    cut = 0

    async def one():
        nonlocal cut
        while not done.is_set():
            reader, writer = await asyncio.open_connection(host, port)
            writer.write(b"POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\nx-slow: ")
            started.release()
            waits = [asyncio.ensure_future(reader.read(1)), asyncio.ensure_future(done.wait())]
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            cut += not done.is_set()
            for wait in waits:
                wait.cancel()
            writer.close()

    await asyncio.gather(*(one() for _ in range(arguments.idle)))
    return cut


def damaged(rng, data):
    data = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(data))
        kind = rng.randrange(4)
        if kind == 0:
            data[at] = rng.randrange(256)
        elif kind == 1:
            del data[max(at, 1):]
        elif kind == 2:
            data[at:at] = rng.choice([b'"', b"[" * 300, b"{", b"\xff\xfe", b"9" * 40, b"\0"])
        else:
            del data[at:at + rng.randrange(1, 20)]
            data = data or bytearray(b"{")
    return bytes(data)


async def malformed():
    rng = random.Random(arguments.seed)
    body = json.dumps({
        "model": "scripted", "temperature": 0.5, "stop": ["a"], "max_tokens": 1,
        "messages": [{"role": "user", "content": [
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptV"}},
            {"type": "text", "text": "hello"},
        ]}],
    }).encode()
    gate = asyncio.Semaphore(128)

    async def one(n):
        kind = n % 5
        if kind == 0:
            data = damaged(rng, request("POST", "/v1/chat/completions", body))
            # What lacks bytes would be waited for; it is cut off instead.
            data += b"\r\n\r\n"
        elif kind == 1:
            data = request("POST", "/v1/studies", damaged(rng, b"PK\x03\x04" + rng.randbytes(200)))
        elif kind == 2:
            data = request(rng.choice(["GET", "PUT", "DELETE", "BREW"]), "/v1/studies/" + "%" * rng.randrange(9))
        else:
            data = request("POST", "/v1/chat/completions", damaged(rng, body))
        async with gate:
            status, _ = await ask(data, 15)
        statuses["malformed"][status] += 1

    await asyncio.gather(*(one(n) for n in range(arguments.malformed)))


async def healthz(done):
    while not done.is_set():
        start = time.perf_counter()
        status, _ = await ask(request("GET", "/healthz"), 30)
        health.append(time.perf_counter() - start)
        statuses["healthz"][status] += 1
        await asyncio.sleep(0.02)


async def main():
    done, started = asyncio.Event(), asyncio.Semaphore(0)
    slow = asyncio.create_task(idle(started, done))
    for _ in range(arguments.idle):
        await started.acquire()
    probe = asyncio.create_task(healthz(done))
    start = time.perf_counter()
    await asyncio.gather(chats(), malformed())
    took = time.perf_counter() - start
    # Every slow connection must be cut off at least once.
    await asyncio.sleep(max(0.0, 12 - took))
    done.set()
    cut = await slow
    await probe
    freed = await leavers()
    peak_of = lambda: int(next(line for line in open(f"/proc/{process.pid}/status") if line.startswith("VmHWM")).split()[1])
    peak = peak_of()
    refused = await bombs()
    _, metrics = await ask(request("GET", "/metrics"))
    health.sort()
    figures = {
        "chats": {str(k): v for k, v in statuses["chats"].items()},
        "malformed": {str(k): v for k, v in sorted(statuses["malformed"].items(), key=str)},
        "idle_connections": arguments.idle,
        "idle_cut_off": cut,
        "seconds": round(took, 1),
        "healthz": {str(k): v for k, v in statuses["healthz"].items()},
        "healthz_p50_ms": round(1000 * health[len(health) // 2], 2),
        "healthz_p99_ms": round(1000 * health[int(len(health) * 0.99)], 2),
        "chat_p50_s": round(sorted(chat_seconds)[len(chat_seconds) // 2], 2),
        "chat_max_s": round(max(chat_seconds), 2),
        "whole_answer_ms": round(1000 * whole_answer[0], 1),
        "left_then_free_max_ms": round(1000 * max(freed), 1),
        "cancelled": figure(metrics, "chat_cancelled_total"),
        "bombs": refused,
        "panics": figure(metrics, "chat_panics_total"),
        "waiting_at_end": figure(metrics, "chat_queue_depth"),
        "memory_held_at_end": figure(metrics, "chat_memory_bytes"),
        "peak_rss_mib": round(peak / 1024, 1),
        # An upload may unpack to 1 GiB by default.
        "peak_rss_with_bombs_mib": round(peak_of() / 1024, 1),
    }
    print(json.dumps(figures, indent=2))
    allowed = lambda status: status in (200, 201, 429, 503, "closed") or isinstance(status, int) and 400 <= status < 500
    good = (
        all(status in (200, 429, 503) for status in statuses["chats"])
        and all(allowed(status) for status in statuses["malformed"])
        and set(statuses["healthz"]) == {200}
        and figures["panics"] == 0
        and all(bomb["status"] in (400, 413, 503) for bomb in refused.values())
        and max(freed) < 0.5
        and figures["healthz_p99_ms"] < 50
        and figures["peak_rss_mib"] < 512
        and figures["peak_rss_with_bombs_mib"] < 512 + 1024
    )
    return 0 if good else 1


try:
    code = asyncio.run(main())
finally:
    process.terminate()
raise SystemExit(code)
