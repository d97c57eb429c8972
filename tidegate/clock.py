"""The clock comes in as an argument, so that a replay can bring its own."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from tidegate.windows import Window


def now() -> datetime:
    """Wall time, UTC."""
    return datetime.now(UTC)


def evening_of(window: Window) -> datetime:
    """When the nightly run of a window happens in a replay: an hour after the window's end."""
    return window.end + timedelta(hours=1)
