"""GPUs, where there are any: asked of NVIDIA's own tool, at most every fifteen seconds."""

from __future__ import annotations

import shutil
import subprocess
import time
from dataclasses import dataclass

PAUSE = 15.0
QUERY = "--query-gpu=index,utilization.gpu,memory.used"


@dataclass(frozen=True, slots=True)
class Card:
    """One GPU: its number, the share of time it was busy, bytes in use."""

    name: str
    busy: float
    used: float


_kept: dict[str, tuple[float, tuple[Card, ...]]] = {}


def graphics() -> tuple[Card, ...]:
    """The GPUs of this machine; none where the tool is absent or does not answer within two seconds."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return ()
    at, cards = _kept.get(tool, (-PAUSE, ()))
    if time.monotonic() - at < PAUSE:
        return cards
    try:
        done = subprocess.run([tool, QUERY, "--format=csv,noheader,nounits"], capture_output=True, text=True, timeout=2,
                              check=False)  # fmt: skip
        cards = cards_of(done.stdout) if not done.returncode else ()
    except (OSError, subprocess.TimeoutExpired):
        cards = ()
    _kept[tool] = (time.monotonic(), cards)
    return cards


def cards_of(text: str) -> tuple[Card, ...]:
    """The lines of the tool, `index, percent, MiB`; a card that tells nothing of itself is left out.

    Examples
    --------
    >>> cards_of("0, 37, 1024\\n1, [N/A], 10")
    (Card(name='0', busy=0.37, used=1073741824.0),)
    """
    out = []
    for line in text.splitlines():
        parts = [p.strip() for p in line.split(",")]
        if len(parts) == 3 and parts[1].isdigit() and parts[2].isdigit():
            out.append(Card(parts[0], int(parts[1]) / 100, int(parts[2]) * 2.0**20))
    return tuple(out)


__all__ = ["Card", "graphics"]
