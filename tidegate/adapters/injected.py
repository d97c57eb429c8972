"""Frames that stand in for what a source gives: a lab's home delivers its nights from files of its own.

    <shared>/injected/frames/<of>/<date>.parquet

`of` is a dataset, `rows/<name>`, or a model's labels, `labels/<name>`. Where the folder of an `of` exists, nothing
else is read for it: a night without a file did not come, and the real source is never asked.
"""

from __future__ import annotations

import os
from pathlib import Path

import pandas as pd

from tidegate.config.home import Home
from tidegate.errors import Unreadable
from tidegate.windows import Window


def frames_folder(home: Home, of: str) -> Path:
    """Where a home keeps the frames that stand in for a source."""
    return home.shared / "injected" / "frames" / of


def injected_frame(home: Home, of: str, window: Window) -> pd.DataFrame | None:
    """The frame that stands in for a source's window; None in a home that has none for this source.

    Raises
    ------
    Unreadable
        If the home has frames, but none of this window.
    """
    folder = frames_folder(home, of)
    if not of or not folder.is_dir():
        return None
    path = folder / f"{window.id}.parquet"
    if not path.is_file():
        raise Unreadable(f"frame of {of} in window {window.id}", "a file", "no such file", "start the lab anew")
    return pd.read_parquet(path)


def inject_frame(home: Home, of: str, night: str, frame: pd.DataFrame) -> None:
    """Let a home's source give this frame on a night."""
    folder = frames_folder(home, of)
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / f"{night}.{os.getpid()}.part"
    frame.to_parquet(part, index=False)
    part.replace(folder / f"{night}.parquet")
