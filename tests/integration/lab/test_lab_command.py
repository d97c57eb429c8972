"""`tidegate lab` where there is nothing to measure: one clear line, never a figure."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from tidegate.config.home import Home
from tidegate.errors import UsageError
from tidegate.steps.labprofile import Plot, run_profile

pytestmark = pytest.mark.slow


def plot(**other) -> Plot:
    return Plot(**{"model": "m", "first": "2024-01-01", "last": "2024-02-01", "orders": 4, "seed": 1, "budget": 1.0,
                   "delays": (2, 60)} | other)  # fmt: skip


def test_an_id_keeps_the_settings_that_it_began_with(tmp_path) -> None:
    (tmp_path / "settings.json").write_text(json.dumps(plot().__dict__))
    with pytest.raises(UsageError, match="budget 1"):
        run_profile(Home.at(tmp_path), plot(budget=2.0), tmp_path, 4, datetime(2024, 3, 1, tzinfo=UTC))


@pytest.mark.parametrize(("orders", "seeds"), [(3, 4), (0, 4), (4, 0)])
def test_odd_orders_and_no_seeds_are_refused(tmp_path, orders, seeds) -> None:
    with pytest.raises(UsageError, match="even"):
        run_profile(Home.at(tmp_path), plot(orders=orders), tmp_path, seeds, datetime(2024, 3, 1, tzinfo=UTC))
