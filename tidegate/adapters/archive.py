"""A backup's file: a plain tar whose last member, MANIFEST.json, names every other with its size and SHA-256.

Plain, so that any tool can open it, and not compressed, since what is in it is already. It may hold keys, so that only
its owner can read it.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

from tidegate.errors import IntegrityError, StoreError

MANIFEST = "MANIFEST.json"
BLOCK = 1 << 20


class Archive:
    """An archive that is being written."""

    def __init__(self, tar: tarfile.TarFile) -> None:
        self._tar = tar
        self.members: dict[str, dict[str, Any]] = {}

    def add(self, path: Path, name: str) -> str:
        """Add a file under a name; its SHA-256. One that grows meanwhile is added as long as it was."""
        with path.open("rb") as file:
            found = os.fstat(file.fileno())
            info = tarfile.TarInfo(name)
            info.size, info.mtime, info.mode = found.st_size, int(found.st_mtime), found.st_mode & 0o700
            reader = _Hashing(file, found.st_size)
            self._tar.addfile(info, reader)
        sha = reader.hash.hexdigest()
        self.members[name] = {"bytes": found.st_size, "sha256": sha}
        return sha

    def close(self, about: dict[str, Any]) -> None:
        """Write the manifest."""
        body = json.dumps({**about, "members": self.members}, indent=1).encode()
        info = tarfile.TarInfo(MANIFEST)
        info.size, info.mode = len(body), 0o600
        self._tar.addfile(info, io.BytesIO(body))


class _Hashing:
    """A reader that hashes what it reads, and pads a file that was cut short meanwhile."""

    def __init__(self, file: Any, size: int) -> None:
        self._file, self._left, self.hash = file, size, hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        wanted = self._left if size < 0 else min(size, self._left)
        data: bytes = self._file.read(wanted)
        data += b"\0" * (wanted - len(data))
        self._left -= wanted
        self.hash.update(data)
        return data


@contextmanager
def writing(file: Path) -> Iterator[Archive]:
    """An archive that is there wholly, on the disk, or not at all.

    Raises
    ------
    StoreError
        If it cannot be written, or is there already.
    """
    draft = file.with_name(f".{file.name}.draft-{os.getpid()}")
    do = "choose another file, or free some space"
    if file.exists():
        raise StoreError(f"backup {file}", "a new file", "one that is there", do)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as raw:
            with tarfile.open(fileobj=raw, mode="w", format=tarfile.PAX_FORMAT) as tar:
                yield Archive(tar)
            raw.flush()
            os.fsync(raw.fileno())
        os.rename(draft, file)
    except OSError as fault:
        found = fault.strerror or str(fault)
        raise StoreError(f"backup {file}", "a file that can be written", found, do) from None
    finally:
        draft.unlink(missing_ok=True)


def unpack(file: Path, into: Path | None) -> dict[str, Any]:
    """Check every byte of an archive, and unpack it; returns its manifest.

    Parameters
    ----------
    into : Path, optional
        An empty folder; without one the archive is checked only.

    Raises
    ------
    IntegrityError
        If a member is missing, was changed, or is not a plain file below the folder.
    StoreError
        If it cannot be read, or the folder not written.
    """
    thing, seen, manifest = f"backup {file}", dict[str, dict[str, Any]](), None
    try:
        with tarfile.open(file, "r:") as tar:
            for info in tar:
                source = tar.extractfile(info) if info.isreg() else None
                if source is None or not _below(info.name):
                    raise IntegrityError(thing, "plain files below one folder", repr(info.name), "do not use it")
                if info.name == MANIFEST:
                    manifest = json.loads(source.read())
                    continue
                seen[info.name] = _one(source, into / info.name if into else None, info.mode)
    except (tarfile.TarError, EOFError, ValueError) as fault:
        raise IntegrityError(thing, "a whole tar file", str(fault) or "a torn one", "use another backup") from None
    except OSError as fault:
        raise StoreError(thing, "a file to read and room to unpack it", fault.strerror or str(fault)) from None
    if not isinstance(manifest, dict) or not isinstance(manifest.get("members"), dict):
        raise IntegrityError(thing, f"a {MANIFEST} at its end", "none, so it is torn", "use another backup")
    wrong = sorted(n for n in {*seen, *manifest["members"]} if seen.get(n) != manifest["members"].get(n))
    if wrong:
        found = f"{len(wrong)} that differ, {wrong[0]} the first"
        raise IntegrityError(thing, "the files that were put into it", found, "use another backup")
    return manifest


def _below(name: str) -> bool:
    path = PurePosixPath(name)
    return not path.is_absolute() and ".." not in path.parts and "\\" not in name


def _one(source: Any, target: Path | None, mode: int) -> dict[str, Any]:
    sha, size = hashlib.sha256(), 0
    out = None
    if target is not None:
        target.parent.mkdir(parents=True, exist_ok=True)
        out = os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600 | (mode & 0o700)), "wb")
    try:
        while data := source.read(BLOCK):
            sha.update(data)
            size += len(data)
            if out is not None:
                out.write(data)
    finally:
        if out is not None:
            out.flush()
            os.fsync(out.fileno())
            out.close()
    return {"bytes": size, "sha256": sha.hexdigest()}


__all__ = ["MANIFEST", "Archive", "unpack", "writing"]
