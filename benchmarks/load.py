"""A client that keeps a number of connections busy with varied rows, and says how long each answer took.

`python benchmarks/load.py HOST PORT PATH CONNECTIONS SECONDS < BODIES` (a JSON list of bodies): prints JSON.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time

import uvloop


class Caller(asyncio.Protocol):
    """One connection: sends the next body as soon as the last is answered."""

    def __init__(self, requests: list[bytes], first: int, until: float, done: asyncio.Future[None]) -> None:
        self.requests, self.at, self.until, self.done = requests, first, until, done
        self.took: list[float] = []
        self.statuses: dict[str, int] = {}
        self.buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self.transport = transport
        self.send()

    def send(self) -> None:
        """The next request, or the end."""
        now = time.perf_counter()
        if now > self.until:
            self.transport.close()
            if not self.done.done():
                self.done.set_result(None)
            return
        self.sent = now
        self.at = (self.at + 1) % len(self.requests)
        self.transport.write(self.requests[self.at])

    def data_received(self, data: bytes) -> None:
        """An answer, or part of one."""
        self.buffer += data
        head, _, body = self.buffer.partition(b"\r\n\r\n")
        at = head.lower().find(b"content-length:")
        if at < 0 or len(body) < int(head[at + 15 :].split(b"\r\n", 1)[0]):
            return
        self.took.append(time.perf_counter() - self.sent)
        status = head[9:12].decode()
        self.statuses[status] = self.statuses.get(status, 0) + 1
        self.buffer = b""
        self.send()

    def connection_lost(self, exc: Exception | None) -> None:
        """The server hung up."""
        if not self.done.done():
            self.statuses["lost"] = self.statuses.get("lost", 0) + 1
            self.done.set_result(None)


async def load(
    host: str, port: int, path: str, connections: int, seconds: float, bodies: list[bytes]
) -> dict[str, object]:
    """Latencies in seconds, and answers by status."""
    head = f"POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nContent-Length: "
    requests = [f"{head}{len(b)}\r\n\r\n".encode() + b for b in bodies]
    loop, until = asyncio.get_running_loop(), time.perf_counter() + seconds
    callers = []
    began = time.perf_counter()
    for k in range(connections):
        done: asyncio.Future[None] = loop.create_future()
        first = k * len(requests) // connections
        _, caller = await loop.create_connection(lambda f=first, d=done: Caller(requests, f, until, d), host, port)
        callers.append((caller, done))
    await asyncio.gather(*(done for _, done in callers))
    took = sorted(t for caller, _ in callers for t in caller.took)
    statuses: dict[str, int] = {}
    for caller, _ in callers:
        for status, n in caller.statuses.items():
            statuses[status] = statuses.get(status, 0) + n
    return {"seconds": time.perf_counter() - began, "statuses": statuses, "took": took}


if __name__ == "__main__":
    host, port, path, connections, seconds = sys.argv[1:]
    bodies = [b.encode() for b in json.load(sys.stdin)]
    print(json.dumps(uvloop.run(load(host, int(port), path, int(connections), float(seconds), bodies))))
