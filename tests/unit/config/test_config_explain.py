"""Defaults are inherited key by key, and every value says where it came from."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidegate.config.explain import Explained, explain, explain_dataset
from tidegate.config.home import Home
from tidegate.config.project import Project, load_project, merged
from tidegate.errors import ConfigError

Write = Callable[..., Project]
FILE, DEFAULTS = "configs/models/returns.yaml", "configs/tidegate.yaml defaults"
PLATFORM = (
    "namespace: shop\ndefaults: {owner: crew, gate: {alpha: 0.2, looks: 2}, metric: {must_hold: {brier: 0.02}}}\n"
)
OWN = "gate: {alpha: 0.05}\nmetric: {must_hold: {log_loss: 0.01}}\nestimator: {params: {depth: 3, weight: {0: 1}}}\n"


def by_key(explained: list[Explained]) -> dict[str, tuple[object, str]]:
    assert len({e.key for e in explained}) == len(explained)
    return {e.key: (e.value, e.origin) for e in explained}


def test_every_value_says_where_it_came_from(write: Write, good_model: str) -> None:
    said = by_key(explain(write(platform=PLATFORM, model=good_model + OWN), "returns"))
    assert said["gate.alpha"] == (0.05, FILE)
    assert said["gate.looks"] == (2, DEFAULTS)
    assert said["gate.min_blocks"] == (6, "built in")
    assert said["owner"] == ("crew", DEFAULTS)
    assert said["namespace"] == ("shop", "configs/tidegate.yaml")
    assert said["name"] == ("returns", FILE)
    assert said["label.delay"] == ("14d", FILE)
    assert said["label.source.sql"] == (None, "built in")
    assert said["metric.must_hold.brier"] == (0.02, DEFAULTS)
    assert said["metric.must_hold.log_loss"] == (0.01, FILE)
    assert said["metric.primary"] == ("roc_auc", "built in")
    assert said["estimator.params.weight.0"] == (1, FILE)
    assert said["features"] == (["price", "shop"], FILE)
    assert said["segments"] == ([], "built in")
    json.dumps(said)


def test_the_values_are_the_effective_ones(write: Write, good_model: str) -> None:
    project = write(platform=PLATFORM, model=good_model + OWN)
    model = project.model("returns")
    assert (model.gate.alpha, model.gate.looks, model.owner, model.namespace) == (0.05, 2, "crew", "shop")
    assert model.metric.must_hold == {"brier": 0.02, "log_loss": 0.01}


def test_a_dataset_is_explained_too(write: Write, good_dataset: str) -> None:
    dataset = good_dataset.replace('{files: "data/{date}.csv"}', '{sql: S, url: "postgresql://me:s3cret@db/x"}')
    said = by_key(explain_dataset(write(dataset=dataset), "sales"))
    assert said["columns.order.nullable"] == (False, "configs/datasets/sales.yaml")
    assert said["columns.order.required"] == (True, "built in")
    assert said["restate"] == ("7d", "built in")
    assert said["source.url"] == ("postgresql://me:***@db/x", "configs/datasets/sales.yaml")
    assert said["namespace"] == ("shop", "configs/tidegate.yaml")
    assert by_key(explain_dataset(write(platform="state: var\n"), "sales"))["namespace"] == ("default", "built in")


def test_what_is_wrong_is_not_explained(write: Write) -> None:
    with pytest.raises(ConfigError, match="kind: expected a value, found none"):
        explain(write(model="dataset: sales\n"), "returns")


values = st.recursive(
    st.integers() | st.text(max_size=3) | st.lists(st.integers(), max_size=2),
    lambda inner: st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)
mappings = st.dictionaries(st.sampled_from("abc"), values, max_size=3)


@settings(deadline=None)
@given(mappings, mappings, mappings)
def test_merging(a: dict[str, object], b: dict[str, object], c: dict[str, object]) -> None:
    before = json.dumps([a, b])
    both = merged(a, b)
    assert json.dumps([a, b]) == before
    assert merged(a, {}) == a
    assert merged({}, b) == b
    assert merged(b, b) == b
    assert set(both) == set(a) | set(b)
    for key, value in b.items():
        if not (isinstance(value, dict) and isinstance(a.get(key), dict)):
            assert both[key] == value
    for key in set(a) - set(b):
        assert both[key] == a[key]
    if all(isinstance(m.get(k), dict | None) for m in (a, b, c) for k in "abc") and not any(
        isinstance(v, dict) and any(isinstance(x, dict) for x in v.values()) for m in (a, b, c) for v in m.values()
    ):
        assert merged(merged(a, b), c) == merged(a, merged(b, c))


def test_a_project_is_loaded_once(write: Write, tmp_path: Path) -> None:
    write()
    assert load_project(Home.at(tmp_path)) is load_project(Home.at(tmp_path))
    calendar = load_project(Home.at(tmp_path)).calendar(load_project(Home.at(tmp_path)).dataset("sales"))
    assert calendar.window("2013-07-01").start.hour == 22


def test_a_replay_overrides_its_models_and_a_real_home_does_not(write: Write, tmp_path: Path) -> None:
    write()
    real = Home.at(tmp_path)
    replay = real.replay("r1", "never")
    for home in (real, replay):
        home.state.mkdir(parents=True, exist_ok=True)
        (home.state / "overrides.yaml").write_text("models: {returns: {retrain: {policy: never}, owner: replay}}\n")
    said = by_key(explain(Project(replay), "returns"))
    assert said["retrain.policy"] == ("never", "overrides.yaml")
    assert said["retrain.growth"] == (1.5, "built in")
    assert Project(real).model("returns").retrain.policy == "evidence"
    (replay.state / "overrides.yaml").write_text("models: [returns]\n")
    with pytest.raises(ConfigError, match=r"overrides\.yaml: expected models: "):
        Project(replay).model("returns")
    (replay.state / "overrides.yaml").write_text("models: {returns: {owner: 5}}\n")
    with pytest.raises(ConfigError, match=r"overrides\.yaml: owner: expected text, found 5"):
        Project(replay).model("returns")


def test_names_may_be_given_or_left_out(write: Write, good_model: str) -> None:
    assert write(model="name: returns\n" + good_model).model("returns") == write().model("returns")
