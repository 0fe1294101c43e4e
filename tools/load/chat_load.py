"""Load on the chat server: parallel chats, slow idle connections and malformed requests at once, while /healthz is
timed. Prints the figures as JSON and ends with 1 if one is not as it must be.

    cargo build -p chat-api --example scripted_server
    python tools/load/chat_load.py target/debug/examples/scripted_server

Needs nothing but Python 3.10 and enough file handles (`ulimit -n 4096`).
"""

import argparse
import asyncio
import collections
import json
import random
import subprocess
import time

parser = argparse.ArgumentParser()
parser.add_argument("server")
parser.add_argument("--chats", type=int, default=64)
parser.add_argument("--idle", type=int, default=1000)
parser.add_argument("--malformed", type=int, default=10_000)
parser.add_argument("--seed", type=int, default=1)
arguments = parser.parse_args()

process = subprocess.Popen([arguments.server, "--port", "0", "--token-ms", "5"], stdout=subprocess.PIPE, text=True)
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


def chat(words, stream):
    return json.dumps({"messages": [{"role": "user", "content": words}], "stream": stream}).encode()


async def chats():
    async def one(n):
        data = request("POST", "/v1/chat/completions", chat("count 20", n % 2 == 0), f"x-client-id: c{n}\r\n")
        status, reply = await ask(data)
        statuses["chats"][status] += 1
        assert status != 200 or b"20 " in reply, reply

    await asyncio.gather(*(one(n) for n in range(arguments.chats)))


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
    _, metrics = await ask(request("GET", "/metrics"))
    figure = lambda name: float(next(line for line in metrics.decode().splitlines() if line.startswith(name + " ")).split()[1])
    peak = next(line for line in open(f"/proc/{process.pid}/status") if line.startswith("VmHWM")).split()[1]
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
        "panics": figure("chat_panics_total"),
        "waiting_at_end": figure("chat_queue_depth"),
        "memory_held_at_end": figure("chat_memory_bytes"),
        "peak_rss_mib": round(int(peak) / 1024, 1),
    }
    print(json.dumps(figures, indent=2))
    allowed = lambda status: status in (200, 201, 429, 503, "closed") or isinstance(status, int) and 400 <= status < 500
    good = (
        all(status in (200, 429, 503) for status in statuses["chats"])
        and all(allowed(status) for status in statuses["malformed"])
        and set(statuses["healthz"]) == {200}
        and figures["panics"] == 0
        and figures["healthz_p99_ms"] < 50
        and figures["peak_rss_mib"] < 512
    )
    return 0 if good else 1


try:
    code = asyncio.run(main())
finally:
    process.terminate()
raise SystemExit(code)
