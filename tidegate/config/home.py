"""The home: the folder with `configs/tidegate.yaml`, and where its state lives."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from tidegate.config.base import show
from tidegate.config.values import NAME, NAME_WORDS
from tidegate.errors import ConfigError

MARKER = Path("configs") / "tidegate.yaml"
_DO = "pass --home FOLDER or set TIDEGATE_HOME"


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
        """The home at `root`; `state` is `Platform.state`.

        Examples
        --------
        >>> Home.at(Path("/srv/ml")).state.as_posix()
        '/srv/ml/var'
        """
        return cls(root, root / state, root / state)

    def replay(self, replay_id: str, policy: str) -> Home:
        """The home of one policy of a replay; its ingest is shared with the other policies.

        Raises
        ------
        ConfigError
            If either is not a name: it becomes a folder's.
        """
        for thing, name in (("replay id", replay_id), ("policy", policy)):
            if not NAME.fullmatch(name):
                raise ConfigError(thing, NAME_WORDS, show(name), "choose another name")
        base = self.state / "replay" / replay_id
        return Home(self.root, base / policy, base / "shared")


def find_home(explicit: str | Path | None = None, *, start: Path | None = None) -> Path:
    """The home folder: `explicit`, else ``TIDEGATE_HOME``, else the nearest one upward.

    Raises
    ------
    ConfigError
        If no folder with `configs/tidegate.yaml` is found.
    """
    # An empty --home is a slip, often an unset variable; an empty environment variable is unset.
    named = explicit if explicit is not None else os.environ.get("TIDEGATE_HOME") or None
    if named is not None:
        try:
            root = Path(named).expanduser().resolve()
            found = str(named) != "" and (root / MARKER).is_file()
        except (OSError, RuntimeError, ValueError):
            found = False
        if not found:
            raise ConfigError(f"home {show(str(named))}", f"a folder with {MARKER}", "none", _DO)
        return root
    here = (start or Path.cwd()).resolve()
    for folder in (here, *here.parents):
        if (folder / MARKER).is_file():
            return folder
    raise ConfigError(f"home, searched upward from {here}", f"a folder with {MARKER}", "none", _DO)
