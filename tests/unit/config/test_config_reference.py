"""docs/config.md is the reference made from the models, complete and up to date."""

from __future__ import annotations

import re
from pathlib import Path

from tidegate.config.dataset import Dataset
from tidegate.config.home import Home
from tidegate.config.model import METRICS, Model
from tidegate.config.platform import Platform
from tidegate.config.project import Project
from tidegate.config.reference import keys, reference

PAGE = Path(__file__).parents[3] / "docs" / "config.md"


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == reference(), "run: python -m tidegate.config.reference > docs/config.md"


def test_every_key_has_a_description_and_a_row() -> None:
    for kind in (Platform, Dataset, Model):
        for key, field in keys(kind):
            assert field.description, f"{kind.__name__}.{key} has no description"
            assert re.search(
                rf"^\| `{re.escape(key)}` \| .+ \| .* \| {re.escape(field.description)} \|$", reference(), re.M
            ), key


def test_rows_say_type_default_and_bounds() -> None:
    page = reference()
    for row in (
        "| `gate.alpha` | number | `0.05` | > 0, < 0.5 |",
        "| `label.delay` | time span | `0d` | >= 0d |",
        "| `metric.must_hold` | mapping to number | `{}` | >= 0 |",
        "| `columns.<name>.max_missing` | number | `1.0` | >= 0, <= 1 |",
        "| `columns.<name>.type` | `integer`, `number`, `category`, `text`, `boolean`, `timestamp` | required |",
        "| `features` | list of column name | required | at least 1 long |",
        "| `quality.row_count_band` | list of 2: number | `[0.5, 1.5]` |",
        "| `quality.suite` | path | none |",
        "| `lease` | time span | `15m` | > 0d |",
    ):
        assert row in page, row
    assert all(f"`{metric}`" in page for metrics in METRICS.values() for metric in metrics)


def test_the_examples_on_the_page_work_and_are_short(tmp_path: Path) -> None:
    files = re.findall(r"`(configs/\S+\.yaml)`, say:\n\n```yaml\n(.*?)```", reference(), re.S)
    assert len(files) == 2
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs/tidegate.yaml").write_text("state: var\n")
    for name, text in files:
        assert len(text.splitlines()) <= 40
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    model = Project(Home.at(tmp_path)).model("returns")
    assert model.metric.must_hold == {"log_loss": 0.01}


def test_the_models_have_a_json_schema_for_forms() -> None:
    for kind in (Platform, Dataset, Model):
        assert set(kind.model_json_schema()["properties"]) == set(kind.model_fields)
