"""The dashboards of a home: what they show is read here, and they are written as files."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from tidegate.errors import StoreError, TidegateError
from tidegate.report.board import Board, ModelPart
from tidegate.report.boardfacts import Facts
from tidegate.report.business import business
from tidegate.report.dashboard import render_board
from tidegate.report.engineering import engineering
from tidegate.report.runbooks import render_runbooks
from tidegate.steps.boardfacts import facts_of
from tidegate.steps.health import health_of
from tidegate.steps.stores import Stores

KINDS = {"engineering": engineering, "business": business}
FOLDER = "pages"
KEEP = "%Y-%m-%d"
"""One file a day is kept beside the newest; `compact` gives them up by `retention.files`."""


@dataclass(frozen=True, slots=True)
class Pages:
    """Where the pages are."""

    engineering: Path
    business: Path


def write_pages(stores: Stores, now: datetime) -> Pages:
    """Write both dashboards of the home, and the runbooks that they link to; the newest replaces the one before.

    A model whose file or records are wrong is there with its fault, and holds no other back.

    Raises
    ------
    StoreError
        If the folder cannot be written.
    """
    folder = stores.home.state / FOLDER
    names = sorted(p.stem for p in (stores.home.root / "configs" / "models").glob("*.yaml"))
    try:
        (folder / "runbooks").mkdir(parents=True, exist_ok=True)
        runbooks = _runbooks(folder)
        found = {name: _facts(stores, name, now, folder, runbooks) for name in names}
        paths = {}
        for kind in KINDS:
            board = _board(stores, kind, found, now)
            paths[kind] = _written(folder, kind, render_board(board), now)
    except OSError as fault:
        raise StoreError(f"pages {folder}", "a folder that can be written", fault.strerror or str(fault),
                         "free some space, or mend its permissions") from None  # fmt: skip
    return Pages(**paths)


def _facts(
    stores: Stores, name: str, now: datetime, folder: Path, runbooks: Mapping[str, str]
) -> Facts | ModelPart:  # fmt: skip
    try:
        return facts_of(stores, stores.project.model(name), now, folder, runbooks)
    except TidegateError:
        broken = health_of(stores, name, now)
        return ModelPart(name, "act", broken.words[0] if broken.words else "cannot be read", broken.next)


def _board(stores: Stores, kind: str, found: Mapping[str, Facts | ModelPart], now: datetime) -> Board:
    parts = tuple(f if isinstance(f, ModelPart) else KINDS[kind](f) for f in found.values())
    loudest = sorted(parts, key=lambda p: ("act", "look", "fine", "").index(p.tone))
    links = {"Engineering": "engineering.html", "Business": "business.html"}
    if (stores.home.state / FOLDER / "runbooks" / "README.html").exists():
        links["Runbooks"] = "runbooks/README.html"
    title = {"engineering": "Models in production", "business": "What the models are worth"}[kind]
    return Board(title, "engineering" if kind == "engineering" else "business", f"{now:%Y-%m-%d %H:%M} UTC",
                 tuple(loudest), links)  # fmt: skip


def _written(folder: Path, kind: str, page: str, now: datetime) -> Path:
    """The newest page, and a second name for that of the day: one file, two names, where the disk can."""
    path, dated = folder / f"{kind}.html", folder / f"{kind}-{now.strftime(KEEP)}.html"
    draft = folder / f".{kind}-{os.getpid()}"
    draft.write_text(page, encoding="utf-8")
    draft.replace(path)
    with suppress(OSError):
        dated.unlink(missing_ok=True)
        os.link(path, dated)
    return path


def _runbooks(folder: Path) -> dict[str, str]:
    """Render the runbooks where they are there (a checkout); name to where the page finds them."""
    source = Path(__file__).parents[2] / "docs" / "runbooks"
    if not source.is_dir():
        shutil.rmtree(folder / "runbooks", ignore_errors=True)
        return {}
    pages = render_runbooks({p.stem: p.read_text(encoding="utf-8") for p in sorted(source.glob("*.md"))})
    for name, page in pages.items():
        (folder / "runbooks" / f"{name}.html").write_text(page, encoding="utf-8")
    return {name: f"runbooks/{name}.html" for name in pages}


__all__ = ["FOLDER", "Pages", "write_pages"]
