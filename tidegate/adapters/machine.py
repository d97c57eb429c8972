"""What this machine and this environment are like: versions, clock, time zones, private files."""

from __future__ import annotations

import os
import stat
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from packaging.requirements import Requirement

ACCURATE = 2.0
"""Seconds by which the clock may run beside the monotonic one, since the machine started or since it was set."""


def wrong_versions(package: str = "tidegate") -> list[str]:
    """Installed packages that are not as a package requires them; empty if all are.

    Examples
    --------
    >>> wrong_versions("a package that is not there")
    ['a package that is not there is not installed']
    """
    try:
        required = metadata.requires(package) or []
    except metadata.PackageNotFoundError:
        return [f"{package} is not installed"]
    return [words for text in required for words in _wrong(Requirement(text))]


def _wrong(wanted: Requirement) -> Iterator[str]:
    if wanted.marker is not None and not wanted.marker.evaluate({"extra": ""}):
        return
    try:
        found = metadata.version(wanted.name)
    except metadata.PackageNotFoundError:
        yield f"{wanted.name} is not installed"
        return
    if found not in wanted.specifier:
        yield f"{wanted.name} {found}, expected {wanted.specifier}"


def clock_faults(newest: datetime | None, now: datetime, zones: tuple[str, ...]) -> list[str]:
    """What is wrong with the clock: behind what was recorded before, out of step, or without a time zone."""
    found = []
    if now.year < 2024:
        found.append(f"the clock says {now:%Y-%m-%d}")
    if newest is not None and (newest - now).total_seconds() > ACCURATE:
        found.append(
            f"the clock is {(newest - now).total_seconds():.0f} s behind the newest record ({newest:%F %T} UTC)"
        )
    before = time.time() - time.monotonic()
    time.sleep(0.05)
    step = abs(time.time() - time.monotonic() - before)
    if step > 0.02:
        found.append(f"the clock was set by {step:.3f} s within .05 s: something moves it in steps")
    for zone in dict.fromkeys(zones):
        try:
            datetime(2024, 7, 1, tzinfo=UTC).astimezone(ZoneInfo(zone))
        except (ZoneInfoNotFoundError, ValueError):
            found.append(f"time zone {zone} is not known here")
    return found


def unwritable(folder: Path) -> str:
    """Why no file can be made below a folder; empty if one can. Leaves nothing behind."""
    where = folder
    while not where.exists():
        where = where.parent
    try:
        with tempfile.NamedTemporaryFile(dir=where, prefix=".doctor-") as file:
            file.write(b"x" * 4096)
            file.flush()
            os.fsync(file.fileno())
    except OSError as fault:
        return f"{where}: {fault.strerror or fault}"
    return ""


def open_to_others(folder: Path) -> list[Path]:
    """Files below a private folder, itself included, that others than the owner can read or write."""
    if not folder.exists():
        return []
    found = [folder, *folder.rglob("*")]
    return [p for p in found if not p.is_symlink() and stat.S_IMODE(p.stat().st_mode) & 0o077]


__all__ = ["clock_faults", "open_to_others", "unwritable", "wrong_versions"]
