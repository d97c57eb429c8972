import pandas as pd
import pytest

from tidegate.config.dataset import Dataset
from tidegate.windows import Calendar, Window


@pytest.fixture(scope="session")
def trips() -> Dataset:
    return Dataset.model_validate(
        {
            "name": "trips",
            "source": {"files": "{date}.csv"},
            "event_time": "at",
            "key": ["carrier", "number"],
            "columns": {
                "carrier": {"type": "category"},
                "number": {"type": "integer"},
                "at": {"type": "timestamp"},
                "km": {"type": "number", "min": 0, "max": 6000},
                "note": {"type": "text", "required": False},
                "cheap": {"type": "boolean", "required": False},
            },
        }
    )


@pytest.fixture(scope="session")
def window() -> Window:
    return Calendar().window("2013-01-05")


@pytest.fixture
def frame() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "carrier": ["AA", "UA", "AA", "B6"],
            "number": ["1", "1", "2", "7"],
            "at": [f"2013-01-05T{h:02}:00:00Z" for h in (0, 9, 17, 23)],
            "km": ["100", "2500.5", None, "17"],
            "note": ["", "late", None, "x"],
            "cheap": ["true", "False", "", None],
        },
        dtype="object",
    )
