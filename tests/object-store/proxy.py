"""A connection that fails on demand, before a server on this machine. Writes its port to FILE and forwards.

    python proxy.py FILE SERVER_PORT [--cut-after BYTES --for SECONDS] [--flip-after BYTES] [--tls CERTIFICATE KEY]

Bytes from the server are counted. `--cut-after` drops all connections and refuses new ones for a while;
`--flip-after` changes one bit of a body. Each happens once. With `--tls` it speaks TLS to the client.
"""

import argparse
import asyncio
import os
import ssl
import sys
import time

arguments = argparse.ArgumentParser()
arguments.add_argument("file")
arguments.add_argument("server", type=int)
arguments.add_argument("--cut-after", type=int)
arguments.add_argument("--for", type=float, default=0, dest="seconds")
arguments.add_argument("--flip-after", type=int)
arguments.add_argument("--tls", nargs=2)
arguments = arguments.parse_args()

n_bytes = 0
cut_until = None
flipped = False
writers = set()


async def copy(reader, writer, counted):
    global n_bytes, cut_until, flipped
    try:
        while chunk := await reader.read(1 << 16):
            if counted:
                n_bytes += len(chunk)
                if arguments.cut_after is not None and cut_until is None and n_bytes > arguments.cut_after:
                    cut_until = time.monotonic() + arguments.seconds
                    print("cut", file=sys.stderr, flush=True)
                    for other in list(writers):
                        other.transport.abort()
                    return
                # A long chunk is body from its first byte on, but for a header at its start.
                if arguments.flip_after is not None and not flipped and n_bytes > arguments.flip_after and len(chunk) > 4096:
                    flipped = True
                    print("flipped", file=sys.stderr, flush=True)
                    at = len(chunk) - 1024
                    chunk = chunk[:at] + bytes([chunk[at] ^ 1]) + chunk[at + 1 :]
            writer.write(chunk)
            await writer.drain()
    except OSError:
        pass
    finally:
        writer.close()


async def serve(reader, writer):
    if cut_until is not None and time.monotonic() < cut_until:
        writer.transport.abort()
        return
    try:
        from_server, to_server = await asyncio.open_connection("127.0.0.1", arguments.server)
    except OSError:
        writer.transport.abort()
        return
    writers.update((writer, to_server))
    await asyncio.gather(copy(reader, to_server, False), copy(from_server, writer, True))
    writers.difference_update((writer, to_server))


async def main():
    tls = None
    if arguments.tls:
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(*arguments.tls)
    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    with open(arguments.file + ".part", "w") as out:
        out.write(str(server.sockets[0].getsockname()[1]))
    os.rename(arguments.file + ".part", arguments.file)
    await server.serve_forever()


asyncio.run(main())
