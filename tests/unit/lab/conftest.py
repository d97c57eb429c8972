from __future__ import annotations

import pytest

from tidegate.config.model import Model


@pytest.fixture
def binary_model() -> Model:
    return Model.model_validate(
        {
            "name": "churn", "dataset": "customers", "kind": "binary", "features": ["age"],
            "label": {"column": "gone", "classes": [0, 1], "positive": 1, "source": {"files": "labels/{date}.csv"}},
            "kpi": {"unit": "EUR", "false_negative": -40.0, "false_positive": -3.0},
        }
    )  # fmt: skip
