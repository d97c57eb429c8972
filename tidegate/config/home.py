"""The home: the folder with `configs/tidegate.yaml`, and where its state lives."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from tidegate.errors import ConfigError

MARKER = Path("configs") / "tidegate.yaml"


@dataclass(frozen=True, slots=True)
class Home:
    """Resolved once by an entry point and passed on.

    ``state`` holds what belongs to models, ``shared`` what belongs to datasets; they are
    the same folder except in a replay, where several policies share one ingest.
    """

    root: Path
    state: Path
    shared: Path

    @classmethod
    def at(cls, root: Path, state: str = "var") -> Home:
        return cls(root, root / state, root / state)

    def replay(self, replay_id: str, policy: str) -> Home:
        """The home of one policy of a replay; its ingest is shared with the other policies."""
        base = self.root / "var" / "replay" / replay_id
        return Home(self.root, base / policy, base / "shared")


def find_home(explicit: str | Path | None = None, *, start: Path | None = None) -> Path:
    """The home folder: `explicit`, else ``TIDEGATE_HOME``, else the nearest one upward.

    Raises
    ------
    ConfigError
        If no folder with `configs/tidegate.yaml` is found.
    """
    named = explicit or os.environ.get("TIDEGATE_HOME")
    if named:
        root = Path(named).expanduser().resolve()
        if (root / MARKER).is_file():
            return root
        raise ConfigError(f"home {root}", f"a folder with {MARKER}", "none", "pass --home FOLDER or set TIDEGATE_HOME")
    here = (start or Path.cwd()).resolve()
    for folder in (here, *here.parents):
        if (folder / MARKER).is_file():
            return folder
    raise ConfigError(f"home, searched upward from {here}", f"a folder with {MARKER}", "none", "pass --home FOLDER or set TIDEGATE_HOME")
