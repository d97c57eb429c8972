"""What the state takes of the disk, and whether that is within its budget."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from tidegate.config.retention import Retention
from tidegate.verdicts import Verdict


@dataclass(frozen=True, slots=True)
class Usage:
    """Bytes by the folder below the state, and of the disk that it lies on."""

    parts: dict[str, int]
    free: int
    disk: int

    @property
    def total(self) -> int:
        """Bytes of the state."""
        return sum(self.parts.values())


def usage(state: Path) -> Usage:
    """What lies below a home's state; symbolic links are not followed, and a file with two names counts once."""
    seen: set[tuple[int, int]] = set()
    parts: dict[str, int] = {}
    for entry in sorted(state.iterdir()) if state.is_dir() else []:
        parts[entry.name] = _bytes(entry, seen)
    disk = shutil.disk_usage(state if state.exists() else state.parent)
    return Usage(parts, disk.free, disk.total)


def _bytes(entry: Path, seen: set[tuple[int, int]]) -> int:
    total = 0
    files = [entry] if not entry.is_dir() or entry.is_symlink() else (
        Path(folder) / name for folder, _, names in os.walk(entry) for name in names
    )  # fmt: skip
    for file in files:
        try:
            found = file.lstat()
        except OSError:
            continue  # somebody was quicker
        if (key := (found.st_dev, found.st_ino)) not in seen:
            seen.add(key)
            total += found.st_blocks * 512
    return total


def judge(used: Usage, settings: Retention) -> Verdict:
    """Whether the state is within its budget, and the disk has room.

    Examples
    --------
    >>> judge(Usage({"lake": 10}, free=50, disk=100), Retention(budget=10**8, free=0.2)).outcome
    'pass'
    >>> judge(Usage({"lake": 10}, free=10, disk=100), Retention(free=0.2)).reasons[0]
    '10% of the disk is free, expected 20% or more. Next: tidegate compact, or a larger disk'
    """
    largest = ", ".join(f"{n} {megabytes(b)}" for n, b in sorted(used.parts.items(), key=lambda p: -p[1])[:3])
    reasons = []
    if used.total > settings.budget:
        reasons.append(
            f"the state takes {megabytes(used.total)} ({largest}), expected {megabytes(settings.budget)} at most. "
            "Next: tidegate compact, a shorter retention, or a larger retention.budget"
        )
    share = used.free / used.disk if used.disk else 0.0
    if share < settings.free:
        reasons.append(
            f"{share:.0%} of the disk is free, expected {settings.free:.0%} or more. "
            "Next: tidegate compact, or a larger disk"
        )
    numbers = {"bytes": float(used.total), "free": float(used.free), "disk": float(used.disk)}
    return Verdict("fail" if reasons else "pass", tuple(reasons), numbers)


def megabytes(size: float) -> str:
    """A size as people read it.

    Examples
    --------
    >>> megabytes(512), megabytes(2.5e6), megabytes(3e9)
    ('0.5 kB', '2.5 MB', '3.0 GB')
    """
    for unit, name in ((1e9, "GB"), (1e6, "MB")):
        if size >= unit:
            return f"{size / unit:.1f} {name}"
    return f"{size / 1e3:.1f} kB"


__all__ = ["Usage", "judge", "megabytes", "usage"]
