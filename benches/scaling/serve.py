"""The chat server against parallel chats.

Each chat is a client of its own and asks again as soon as it is answered: about a picture that nobody
asked about before (`new_pictures`), or always about the same picture of its own (`own_pictures`). The
model keeps what it saw in the latest pictures, so these differ. The server is started anew for each
number of chats; the load runs on the same cores. Beside the answers, `/metrics` is read to see how many
requests the model has at hand and how many wait.
"""

import asyncio
import base64
import collections
import json
import pathlib
import random
import struct
import subprocess
import sys
import time
import zlib

CHATS = (1, 2, 4, 8, 16, 32, 64)
SIDE_PX = 512
# Many more than the pictures that the model keeps in mind.
N_PICTURES = 256
QUESTION = "[refer] where is the pancreas?"


def png(n: int) -> bytes:
    """A gray PNG of noise, which takes about as many bytes as a slice."""
    chunk = lambda kind, data: struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    few_levels = bytes(96 + value % 5 for value in range(256))
    rows = b"".join(b"\0" + row.translate(few_levels) for row in map(random.Random(n).randbytes, [SIDE_PX] * SIDE_PX))
    head = struct.pack(">IIBBBBB", SIDE_PX, SIDE_PX, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows, 1)) + chunk(b"IEND", b"")


class Server:
    def __init__(self, binary: pathlib.Path):
        words = [binary, "--port", "0", "--log", "error"]
        self.process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.host, self.port = self.process.stdout.readline().strip().removeprefix("http://").split(":")

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait()

    async def ask(self, method: str, path: str, body: bytes = b"", headers: str = "") -> tuple[int, bytes]:
        reader, writer = await asyncio.open_connection(self.host, self.port)
        headers += f"host: {self.host}:{self.port}\r\nconnection: close\r\ncontent-length: {len(body)}\r\n"
        writer.write(f"{method} {path} HTTP/1.1\r\n{headers}\r\n".encode() + body)
        reply = await reader.read(-1)
        writer.close()
        return int(reply[9:12]), reply

    async def chat(self, n: int, body: bytes) -> int:
        status, reply = await self.ask("POST", "/v1/chat/completions", body, f"x-client-id: c{n}\r\n")
        assert status != 200 or b"grounding" in reply, reply
        return status

    def memory_mb(self, name: str) -> float:
        lines = pathlib.Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return round(next(int(line.split()[1]) for line in lines if line.startswith(name)) * 1024 / 1e6, 1)

    def processor_s(self) -> float:
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / 100


def questions(n_pictures: int) -> list[bytes]:
    bodies = []
    for n in range(n_pictures):
        url = "data:image/png;base64," + base64.b64encode(png(n)).decode()
        content = [{"type": "image_url", "image_url": {"url": url}}, {"type": "text", "text": QUESTION}]
        bodies.append(json.dumps({"messages": [{"role": "user", "content": content}]}).encode())
    return bodies


async def watch(server: Server, done: asyncio.Event, most: dict) -> None:
    """The largest gauges seen."""
    while not done.is_set():
        _, text = await server.ask("GET", "/metrics")
        for line in text.decode().splitlines():
            for name in ("chat_active_requests", "chat_queue_depth"):
                if line.startswith(name + " "):
                    most[name] = max(most.get(name, 0), float(line.split()[1]))
        await asyncio.sleep(0.1)


async def closed_loop(server: Server, bodies: list[bytes], n_chats: int, n_answers: int, is_new: bool) -> dict:
    for body in bodies[-4:]:
        await server.chat(0, body)
    latencies, n_asked, most = [], 0, {}
    done = asyncio.Event()
    watcher = asyncio.create_task(watch(server, done, most))
    before = server.processor_s()
    start = time.perf_counter()

    async def one(n: int) -> None:
        nonlocal n_asked
        while n_asked < n_answers:
            body = bodies[n_asked % len(bodies) if is_new else n]
            n_asked += 1
            asked = time.perf_counter()
            status = await server.chat(n, body)
            assert status == 200, status
            latencies.append(time.perf_counter() - asked)

    await asyncio.gather(*(one(n) for n in range(n_chats)))
    seconds = time.perf_counter() - start
    used = server.processor_s() - before
    done.set()
    await watcher
    # The first round begins with an empty line and the last ends with one: both are left out.
    whole = latencies[n_chats:-n_chats] if len(latencies) > 3 * n_chats else latencies
    whole = sorted(1e3 * latency for latency in whole)
    at = lambda share: round(whole[min(int(len(whole) * share), len(whole) - 1)], 2)
    return {
        "answers": len(latencies), "seconds": round(seconds, 3),
        "answers_per_s": round(len(latencies) / seconds, 2),
        "processor_ms_an_answer": round(1e3 * used / len(latencies), 2),
        "p50_ms": at(0.5), "p99_ms": at(0.99), "max_ms": round(whole[-1], 2),
        "most_active": most.get("chat_active_requests"), "most_waiting": most.get("chat_queue_depth"),
        "rss_mb": server.memory_mb("VmRSS"), "peak_mb": server.memory_mb("VmHWM"),
    }


async def burst(server: Server, bodies: list[bytes]) -> dict:
    """All ask once at the same time; how many are answered and refused."""
    await server.chat(0, bodies[0])
    statuses = collections.Counter(await asyncio.gather(*(server.chat(n, body) for n, body in enumerate(bodies))))
    counts = {str(status): count for status, count in sorted(statuses.items())}
    return {"chats": len(bodies), "statuses": counts, "peak_mb": server.memory_mb("VmHWM")}


def measure(bins, data, scratch, threads, quick):
    def with_server(work):
        server = Server(bins / "chat-server")
        try:
            found = asyncio.run(work(server))
        finally:
            server.stop()
        return found

    counts = CHATS[:5:2] if quick else CHATS
    bodies = questions(64 if quick else N_PICTURES)
    rounds, n_answers = (1, 60) if quick else (3, 240)
    found = {kind: [{"chats": n, "runs": []} for n in counts] for kind in ("new_pictures", "own_pictures")}
    # All numbers of chats in turn, and that several times: a busy hour then falls on all of them.
    for n_round in range(rounds):
        for kind, points in found.items():
            if kind == "own_pictures" and n_round > 0:
                continue
            for point in points:
                n = point["chats"]
                is_new = kind == "new_pictures"
                run = with_server(lambda server: closed_loop(server, bodies, n, max(n_answers, 6 * n), is_new))
                times = f"p50 {run['p50_ms']} ms, p99 {run['p99_ms']} ms"
                print(f"  {kind}, {n} chats: {run['answers_per_s']} answers/s, {times}", file=sys.stderr)
                point["runs"].append(run)
    settings = {
        "question": QUESTION, "picture_px": SIDE_PX, "picture_bytes": len(png(0)),
        "checkpoints": "carried by the program", "threads": "the program's own",
    }
    n = 32 if quick else 128
    return {"settings": settings, **found, "burst": with_server(lambda server: burst(server, bodies[:n]))}
