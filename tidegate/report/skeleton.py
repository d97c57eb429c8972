"""What every page is built on: the templates, the styles, plotly.js inside, and which scripts may run."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined

from tidegate.report.words import count, day_name


def environment() -> Environment:
    """Templates that escape everything and fail on a name they do not know."""
    env = Environment(
        loader=PackageLoader("tidegate.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    env.filters |= {"day": day_name, "count": count}
    return env


def template_text(name: str) -> str:
    """A file of ours that goes into a page as it is."""
    return files("tidegate.report").joinpath("templates", name).read_text(encoding="utf-8")


@cache
def plotly_js() -> str:
    from plotly.offline import get_plotlyjs

    return str(get_plotlyjs())


def allowed(*scripts: str) -> str:
    """The content security policy's sources that let these scripts run, and no other."""
    return " ".join(f"'sha256-{base64.b64encode(hashlib.sha256(s.encode()).digest()).decode()}'" for s in scripts)
