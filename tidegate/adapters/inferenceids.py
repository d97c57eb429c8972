"""Inference ids: UUIDv7 (RFC 9562), so that an id tells when it was made."""

from __future__ import annotations

import os
import threading
from datetime import UTC, datetime
from struct import unpack
from uuid import UUID

_turn = threading.Lock()
_pool: list[int] = []
BACK = 10_000
"""Milliseconds that the clock may go back while ids still rise; by more, it was set, and ids tell the new time."""
_last = [0, 0]  # milliseconds and counter of the newest id


def new_ids(n: int, now_ns: int) -> list[str]:
    """`n` ids of a moment, each above all that this process made before, even when the clock goes back a little.

    The 12 bits after the version count within a millisecond, from a random start (RFC 9562, 6.2, method 1); the other
    62 are random.
    """
    out = []
    with _turn:
        ms, count = _last
        if now_ns // 1_000_000 < ms - BACK:
            ms = 0
        for _ in range(n):
            if len(_pool) < 2:
                _pool.extend(unpack("<512Q", os.urandom(4096)))
            if now_ns // 1_000_000 > ms:
                ms, count = now_ns // 1_000_000, _pool.pop() & 0x3FF
            else:
                count += 1
                if count > 0xFFF:
                    ms, count = ms + 1, 0
            a, b = f"{ms:012x}", f"{_pool.pop() & 0x3FFFFFFFFFFFFFFF | 0x8000000000000000:016x}"
            out.append(f"{a[:8]}-{a[8:]}-7{count:03x}-{b[:4]}-{b[4:]}")
        _last[:] = ms, count
    return out


def moment_of(inference_id: str) -> datetime | None:
    """When an id was made, to the millisecond; None for what is no UUIDv7."""
    try:
        value = UUID(inference_id)
        if value.version == 7 and str(value) == inference_id.lower():
            return datetime.fromtimestamp((value.int >> 80) / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        pass
    return None


def drawn(inference_id: str, share: float) -> bool:
    """Whether an id belongs to a sample of that share: its last 32 random bits decide, so anybody can tell again."""
    return int(inference_id[-8:], 16) < share * 2**32


def _after_fork() -> None:
    _pool.clear()


os.register_at_fork(after_in_child=_after_fork)

__all__ = ["drawn", "moment_of", "new_ids"]
