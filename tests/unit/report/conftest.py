"""A summary of a replay as `summarise` returns it."""

import json
from pathlib import Path

import pytest


@pytest.fixture
def summary():
    return json.loads((Path(__file__).parent / "summary.json").read_text())
