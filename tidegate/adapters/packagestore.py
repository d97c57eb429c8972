"""The folder of packages: one is moved into its place whole, what a killed process left in it is found."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path
from urllib.parse import quote, unquote
from uuid import uuid4

from tidegate.adapters.processes import dead, me
from tidegate.errors import StoreError
from tidegate.lineage.digest import folder_digest

STAGING = "staging-"
OLD = 86_400.0
"""Seconds after which a staging folder is left over whoever made it: nothing takes that long."""


def staging_name() -> str:
    """The beginning of a staging folder's name: it says whose it is."""
    return f"{STAGING}{quote(me(), safe='').replace('-', '%2D')}-"


def place(made: Path, folder: Path, digest: str) -> None:
    """Rename `made` to `folder`, on the disk before it is there under that name.

    One that is there with the same bytes stays; one with other bytes makes way.

    Raises
    ------
    StoreError
        If it cannot be written.
    """
    try:
        for file in [*made.rglob("*"), made]:
            _sync(file)
        for _ in range(3):
            try:
                os.rename(made, folder)
                _sync(folder.parent)
                return
            except OSError:
                if not folder.is_dir():
                    raise
            if folder_digest(folder.resolve()) == digest:
                return
            aside = folder.with_name(f"{staging_name()}{uuid4().hex[:8]}")
            os.rename(folder, aside)
            discard(aside)
        raise OSError(f"{folder.name[:12]} comes back with other bytes again and again")
    except OSError as fault:
        do = "check the folder's permissions and free space"
        raise StoreError(f"package folder {folder}", "a package to be written", str(fault), do) from None


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def discard(folder: Path) -> None:
    """Delete a package folder, or the link to one."""
    if folder.is_symlink():
        folder.unlink(missing_ok=True)
    else:
        shutil.rmtree(folder, ignore_errors=True)


def left_over(packages: Path) -> list[Path]:
    """The staging folders of processes that are gone, and those older than a day."""
    found = []
    for folder in sorted(packages.glob(f"{STAGING}*")) if packages.is_dir() else ():
        try:
            age = time.time() - folder.lstat().st_mtime
        except OSError:
            continue  # whose it was has just deleted it
        if age > OLD or dead(unquote(folder.name.removeprefix(STAGING).split("-")[0])):
            found.append(folder)
    return found


def size(folder: Path) -> int:
    """Bytes of the files below a folder."""
    return sum(p.stat().st_size for p in folder.rglob("*") if p.is_file())


__all__ = ["STAGING", "discard", "left_over", "place", "size", "staging_name"]
