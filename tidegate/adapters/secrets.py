"""The keys of pseudonyms: one private file a home, read by its owner only."""

from __future__ import annotations

import fcntl
import json
import os
import secrets
from contextlib import suppress
from pathlib import Path

from tidegate.errors import StoreError

FILE = Path("private") / "pseudonyms.json"
_DO = "mend the file or its folder; without its keys old pseudonyms cannot be made again"


def pseudonym_key(state: Path) -> tuple[int, bytes]:
    """The newest version and its secret; made at first use, by one process only.

    Raises
    ------
    StoreError
        If the file cannot be made or read. No message has a secret in it.
    """
    return max(_keys(state).items())


def pseudonym_keys(state: Path) -> dict[int, bytes]:
    """Every version's secret, for finding what older pseudonyms stand for."""
    return _keys(state)


def rotate(state: Path) -> int:
    """A new secret for all pseudonyms from now on; the older ones stay. Returns its version."""
    keys = _keys(state)
    file = state / FILE
    try:
        with (file.parent / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            keys = _keys(state)
            version = max(keys) + 1
            draft = _draft(file, {**keys, version: secrets.token_bytes(32)})
            draft.rename(file)
    except OSError as fault:
        raise StoreError(f"pseudonym keys {file}", "a file that can be written", _why(fault), _DO) from None
    return version


def _keys(state: Path) -> dict[int, bytes]:
    file = state / FILE
    try:
        if not file.exists():
            _first(file)
        if file.stat().st_mode & 0o077:
            file.chmod(0o600)
        found = {int(v): bytes.fromhex(key) for v, key in json.loads(file.read_text())["keys"].items()}
    except OSError as fault:
        raise StoreError(f"pseudonym keys {file}", "a private file", _why(fault), _DO) from None
    except (ValueError, KeyError, TypeError, AttributeError):
        found = {}
    if not found or min(map(len, found.values())) < 32:
        raise StoreError(f"pseudonym keys {file}", "versions with 32 bytes each", "another content", _DO)
    return found


def _first(file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = _draft(file, {1: secrets.token_bytes(32)})
    try:
        # A link fails where somebody else was first; a rename would replace their key.
        with suppress(FileExistsError):
            os.link(draft, file)
    finally:
        draft.unlink()


def _draft(file: Path, keys: dict[int, bytes]) -> Path:
    draft = file.with_name(f".{secrets.token_hex(8)}")
    made = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(made, "w") as out:
            json.dump({"keys": {str(v): key.hex() for v, key in keys.items()}}, out)
            out.flush()
            os.fsync(out.fileno())
    except OSError:
        draft.unlink()
        raise
    return draft


def _why(fault: OSError) -> str:
    return fault.strerror or type(fault).__name__


__all__ = ["pseudonym_key", "pseudonym_keys", "rotate"]
