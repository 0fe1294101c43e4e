"""Two chat servers behind HAProxy or nginx, as deploy/serving has them, asked all the time by clients that stream their
answers, while one server after the other is ended with SIGTERM and started again. No answer may fail.

    python3 tests/serving/rolling_restart.py                         two rounds, about 20 s
    python3 tests/serving/rolling_restart.py --rounds 10 --json      the long form
    python3 tests/serving/rolling_restart.py --kill                  with SIGKILL: answers must fail, or it would not see

An answer is good if its stream ends with its last chunk and [DONE], and its text and boxes are those that both servers gave
to the same question before. A full queue (429) is waited for as Retry-After says, and counted. Besides the chats, a few
clients ask about an uploaded study: they keep the cookie, and upload again where the study is gone (404 no_such_study).

Needs Python 3.10, the proxy, and target/debug/chat-server (`cargo build --workspace`). Exit codes: 0 as it must be, 1 not.
"""

import argparse
import asyncio
import base64
import collections
import json
import os
import pathlib
import re
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import zlib

root = pathlib.Path(__file__).resolve().parents[2]
built = root / os.environ.get("CARGO_TARGET_DIR", "target") / "debug/chat-server"
parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--server", default=str(built))
parser.add_argument("--proxy", choices=["haproxy", "nginx"], default="haproxy")
parser.add_argument("--rounds", type=int, default=2, help="how often each server is restarted")
parser.add_argument("--chats", type=int, default=32, help="clients with a chat each, all the time")
parser.add_argument("--studies", type=int, default=4, help="clients with a study of their own")
parser.add_argument("--drain-delay-s", type=int, default=3)
parser.add_argument("--kill", action="store_true")
parser.add_argument("--json", action="store_true")
options = parser.parse_args()

PATIENCE = 300
QUESTIONS = [
    "[refer] where is the pancreas?",
    "[refer] give me the location of the pancreas",
    "is there a tumor?",
    "[refer] could you tell me the location for the spleen?",
]


class Failed(Exception):
    """An answer that is not as it must be."""


def free_ports(n):
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(n)]
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


def png(n):
    """A gray picture, another one for each number."""
    side = 96 + 8 * n
    chunk = lambda kind, data: struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    rows = b"".join(b"\0" + bytes((7 * x + 3 * y + 31 * n) % 256 for x in range(side)) for y in range(side))
    head = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def question(case, url=None):
    """A question that has one right answer: greedy, or drawn with a seed."""
    url = url or "data:image/png;base64," + base64.b64encode(png(case)).decode()
    content = [{"type": "image_url", "image_url": {"url": url}}, {"type": "text", "text": QUESTIONS[case % len(QUESTIONS)]}]
    return {"messages": [{"role": "user", "content": content}], "temperature": [0.0, 0.8][case // 4 % 2], "seed": 7 + case}


class Client:
    """HTTP/1.1 on one connection, which is kept or not. With a jar of one cookie."""

    def __init__(self, port, name="client", keeps=False):
        self.port, self.name, self.keeps, self.cookie, self.line = port, name, keeps, None, None

    async def ask(self, method, path, body=b"", kind="application/json"):
        try:
            return await asyncio.wait_for(self.exchange(method, path, body, kind), PATIENCE)
        except (OSError, EOFError, ValueError, asyncio.TimeoutError) as error:
            self.close()
            raise Failed(f"{type(error).__name__}: {error}") from None

    async def exchange(self, method, path, body, kind):
        if self.line is None:
            self.line = await asyncio.open_connection("127.0.0.1", self.port, limit=1 << 22)
        reader, writer = self.line
        head = [f"{method} {path} HTTP/1.1", f"host: 127.0.0.1:{self.port}", f"content-length: {len(body)}", f"content-type: {kind}"]
        head += [f"x-client-id: {self.name}"] + ([f"cookie: {self.cookie}"] if self.cookie else [])
        head += [] if self.keeps else ["connection: close"]
        writer.write("\r\n".join(head).encode() + b"\r\n\r\n" + body)
        status, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().strip().split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        pieces = []
        if headers.get("transfer-encoding") == "chunked":
            while size := int(await reader.readuntil(b"\r\n"), 16):
                pieces.append(await reader.readexactly(size))
                await reader.readexactly(2)
            await reader.readexactly(2)
        else:
            pieces.append(await reader.readexactly(int(headers.get("content-length", 0))))
        if "set-cookie" in headers:
            self.cookie = headers["set-cookie"].split(";")[0]
        if not self.keeps or headers.get("connection") == "close":
            self.close()
        return int(status.split(" ")[1]), headers, b"".join(pieces)

    def close(self):
        if self.line:
            self.line[1].close()
        self.line = None


def answer_of(stream):
    """Text and boxes of a stream that ended as it must."""
    data = [line.removeprefix("data: ") for line in stream.decode().split("\n") if line.startswith("data:")]
    if not data or data[-1] != "[DONE]":
        raise Failed("the stream was cut")
    text, boxes, finish = "", None, None
    for chunk in map(json.loads, data[:-1]):
        if "error" in chunk:
            raise Failed(f"an error in the stream: {chunk['error']['code']}")
        text += chunk["choices"][0]["delta"].get("content") or ""
        finish = chunk["choices"][0].get("finish_reason") or finish
        boxes = chunk.get("grounding", boxes)
    if finish is None:
        raise Failed("the last chunk is missing")
    return text, json.dumps(boxes)


class Replica:
    """A chat server at a port of its own."""

    def __init__(self, name, port, folder):
        self.name, self.port, self.log, self.process = name, port, folder / f"{name}.log", None

    async def start(self):
        own = ["--port", str(self.port), "--replica-name", self.name, "--behind-proxy", "--log", "info"]
        drain = ["--drain-delay-s", str(options.drain_delay_s)]
        self.process = await asyncio.create_subprocess_exec(
            options.server, *own, *drain, stdout=subprocess.DEVNULL, stderr=open(self.log, "ab"))
        while True:
            assert self.process.returncode is None, f"server {self.name} ended: {self.log.read_text()[-2000:]}"
            try:
                if (await Client(self.port).ask("GET", "/readyz"))[0] == 200:
                    return
            except Failed:
                pass
            await asyncio.sleep(0.1)

    async def end(self):
        """Seconds until it had ended, and how many saw it not ready before that."""
        start = time.perf_counter()
        self.process.send_signal(signal.SIGKILL if options.kill else signal.SIGTERM)
        if not options.kill and options.drain_delay_s > 0:
            # The door is open while it says that it is not ready.
            await asyncio.sleep(0.5)
            status, headers, _ = await Client(self.port, keeps=True).ask("GET", "/readyz")
            assert (status, headers.get("connection")) == (503, "close"), (status, headers)
        code = await self.process.wait()
        assert options.kill or code == 0, f"server {self.name} ended with {code}"
        return time.perf_counter() - start


class Test:
    def __init__(self, folder):
        self.folder = folder
        self.ports = dict(zip(["a", "b", "proxy", "status"], free_ports(4)))
        self.replicas = [Replica(name, self.ports[name], folder) for name in "ab"]
        self.counts, self.failures = collections.Counter(), collections.Counter()
        self.seconds, self.restarts, self.expected, self.of_study = [], [], [], []
        self.done = asyncio.Event()

    async def learn(self):
        """What both servers answer, asked directly."""
        given = []
        for replica in self.replicas:
            client, of_picture, of_study = Client(replica.port, keeps=True), [], []
            for case in range(16):
                of_picture.append(await self.streamed(client, question(case)))
            for case in range(options.studies):
                path = await self.upload(client, case)
                assert client.cookie == f"chat-replica={replica.name}", client.cookie
                of_study.append(await self.streamed(client, question(case, path)))
            given.append((of_picture, of_study))
        assert given[0] == given[1], "the servers do not answer the same"
        assert len({text for text, _ in given[0][0]}) > 4, f"too few different answers: {given[0][0]}"
        self.expected, self.of_study = given[0]

    async def streamed(self, client, body):
        """An answer; a full queue is waited for."""
        while True:
            self.counts["asked"] += 1
            status, headers, reply = await client.ask("POST", "/v1/chat/completions", json.dumps(body | {"stream": True}).encode())
            if status == 200:
                self.counts["replied"] += 1
                return answer_of(reply)
            code = json.loads(reply)["error"]["code"] if reply.startswith(b"{") else reply[:80]
            if status != 429:
                raise Failed(f"{status} {code}")
            self.counts["429"] += 1
            await asyncio.sleep(int(headers["retry-after"]))

    async def upload(self, client, case):
        status, _, reply = await client.ask("POST", "/v1/studies", png(case), "application/octet-stream")
        if status != 201:
            raise Failed(f"{status} of an upload")
        return f"study:{json.loads(reply)['id']}/0"

    async def leave(self):
        """Clients that go away while they wait; the proxy must tell the servers, or the model works for nobody."""
        body = json.dumps(question(0)).encode()
        head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: {len(body)}\r\n\r\n"
        lines = [await asyncio.open_connection("127.0.0.1", self.ports["proxy"]) for _ in range(24)]
        for _, writer in lines:
            writer.write(head.encode() + body)
        await asyncio.sleep(0.1)
        for _, writer in lines:
            writer.close()
        while True:
            numbers = collections.Counter()
            for replica in self.replicas:
                _, _, text = await Client(replica.port).ask("GET", "/metrics")
                for line in text.decode().splitlines():
                    if line.startswith(("chat_cancelled_total", "chat_queue_depth", "chat_active_requests")):
                        numbers[line.split()[0]] += float(line.split()[1])
            if numbers["chat_queue_depth"] == numbers["chat_active_requests"] == 0:
                break
            await asyncio.sleep(0.05)
        self.counts["left"] = int(numbers["chat_cancelled_total"])
        # What was answered before its client left is none of the answers that are counted below.
        self.counts["replied"] += self.made() - self.counts["replied"]

    def made(self):
        """Answers that servers began: each has a line in a log."""
        lines = "".join(replica.log.read_text() for replica in self.replicas)
        return len(re.findall(r'route="/v1/chat/completions" status=200', lines))

    async def chat(self, n):
        """Asks until the end; half of the clients keep their connection."""
        client = Client(self.ports["proxy"], f"chat-{n}", keeps=n % 2 == 0)
        turn = n
        while not self.done.is_set():
            turn += 1
            case = turn % len(self.expected)
            await self.judged("answers", self.streamed(client, question(case)), self.expected[case])

    async def study(self, n):
        """Asks about a study of its own."""
        client, path = Client(self.ports["proxy"], f"study-{n}", keeps=n % 2 == 0), None
        while not self.done.is_set():
            try:
                path = path or await self.upload(client, n)
            except Failed as failure:
                self.failures[f"upload: {failure}"] += 1
                continue
            if not await self.judged("study answers", self.streamed(client, question(n, path)), self.of_study[n]):
                path = None

    async def judged(self, kind, asking, expected):
        start = time.perf_counter()
        try:
            if await asking != expected:
                raise Failed("another answer than before")
            self.counts[kind] += 1
            self.seconds.append(time.perf_counter() - start)
            return True
        except Failed as failure:
            if kind == "study answers" and str(failure) == "404 no_such_study":
                self.counts["uploaded again"] += 1
            else:
                self.failures[str(failure)] += 1
                # A proxy without servers refuses at once.
                await asyncio.sleep(0.05)
            return False

    async def proxy(self, folder):
        """The proxy's process."""
        ports = {"CHAT_A": "a", "CHAT_B": "b", "CHAT_BIND": "proxy", "CHAT_STATUS": "status"}
        addresses = {name: f"127.0.0.1:{self.ports[port]}" for name, port in ports.items()}
        if options.proxy == "haproxy":
            command = ["haproxy", "-q", "-db", "-f", str(root / "deploy/serving/haproxy.cfg")]
            return await asyncio.create_subprocess_exec(*command, env=os.environ | addresses)
        servers = (root / "deploy/serving/nginx.conf.template").read_text()
        for name, address in addresses.items():
            servers = servers.replace(f"${{{name}}}", address)
        places = "".join(f"{kind}_temp_path {folder}/{kind};\n" for kind in ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"])
        config = folder / "nginx.conf"
        config.write_text(f"daemon off;\npid {folder}/nginx.pid;\nevents {{}}\nhttp {{\n{places}{servers}}}\n")
        log = str(folder / "nginx.log")
        return await asyncio.create_subprocess_exec("nginx", "-e", log, "-c", str(config), "-g", f"error_log {log};")

    async def both_up(self):
        if options.proxy == "nginx":
            # It finds out when it asks.
            return
        while json.loads((await Client(self.ports["status"]).ask("GET", "/"))[2])["up"] < 2:
            await asyncio.sleep(0.1)

    async def roll(self):
        await asyncio.sleep(2)
        for _ in range(options.rounds):
            for replica in self.replicas:
                took = await replica.end()
                start = time.perf_counter()
                await replica.start()
                await self.both_up()
                self.restarts.append({"replica": replica.name, "end_s": round(took, 1), "start_s": round(time.perf_counter() - start, 1)})
        await asyncio.sleep(1)
        self.done.set()

    async def run(self):
        await asyncio.gather(*(replica.start() for replica in self.replicas))
        await self.learn()
        proxy = await self.proxy(self.folder)
        try:
            await asyncio.sleep(0.5)
            assert proxy.returncode is None, "the proxy ended"
            await self.both_up()
            for _ in range(10):
                # None was waiting if the servers were too quick or too slow.
                if not self.counts["left"]:
                    await self.leave()
            start = time.perf_counter()
            clients = [self.chat(n) for n in range(options.chats)] + [self.study(n) for n in range(options.studies)]
            await asyncio.gather(self.roll(), *clients)
            return time.perf_counter() - start
        finally:
            if proxy.returncode is None:
                proxy.terminate()
                await proxy.wait()
            for replica in self.replicas:
                if replica.process and replica.process.returncode is None:
                    replica.process.kill()
                    await replica.process.wait()

    def report(self, seconds):
        logs = "".join(replica.log.read_text() for replica in self.replicas)
        made = self.made()
        ordered = sorted(self.seconds)
        figures = {
            "proxy": options.proxy, "chats": options.chats, "restarts": len(self.restarts), "seconds": round(seconds, 1),
            "answers": self.counts["answers"], "study_answers": self.counts["study answers"],
            "uploaded_again": self.counts["uploaded again"], "full_queue_429": self.counts["429"],
            "left_and_given_up_of_24": self.counts["left"],
            "failed": sum(self.failures.values()), "failures": dict(self.failures),
            "made_by_servers": made, "taken_by_clients": self.counts["replied"],
            "median_s": round(ordered[len(ordered) // 2], 2), "slowest_s": round(ordered[-1], 2),
            "drain_s_max": max(r["end_s"] for r in self.restarts), "start_s_max": max(r["start_s"] for r in self.restarts),
            "panics_or_cut_off": len(re.findall("panicked|cut off", logs)),
        }
        for name, value in figures.items():
            print(f"{name.replace('_', ' '):24} {value}", file=sys.stderr if options.json else sys.stdout)
        if options.json:
            print(json.dumps(figures | {"each": self.restarts}, indent=2))
        if options.kill:
            return figures["failed"] > 0
        # A study is lost with its server and at no other time.
        return (
            figures["failed"] == 0
            and made == self.counts["replied"]
            and figures["left_and_given_up_of_24"] > 0
            and figures["panics_or_cut_off"] == 0
            and figures["answers"] > options.chats * len(self.restarts)
            and figures["uploaded_again"] <= options.studies * len(self.restarts)
        )


with tempfile.TemporaryDirectory() as temporary:
    test = Test(pathlib.Path(temporary))
    raise SystemExit(0 if test.report(asyncio.run(test.run())) else 1)
