"""Every kind of fault in a configuration file is one line: thing, expected, found, what to do."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tidegate.config.project import Project
from tidegate.errors import ConfigError

Write = Callable[..., Project]
MODEL_FILE = "configs/models/returns.yaml: "
DATASET_FILE = "configs/datasets/sales.yaml: "


def fault(load: Callable[[], object]) -> str:
    with pytest.raises(ConfigError) as caught:
        load()
    text = str(caught.value)
    assert text.isprintable(), "one line"
    assert len(text) < 400
    assert caught.value.expected
    assert caught.value.found
    assert caught.value.do
    return text


MODEL_FAULTS = {
    "unknown key": (
        "gaet: {alpha: 0.1}",
        "gaet: expected a known key, found 'gaet'. Next: did you mean 'gate'?",
    ),
    "unknown key below": (
        "gate: {alhpa: 0.1}",
        "gate.alhpa: expected a known key, found 'alhpa'. Next: did you mean 'alpha'?",
    ),
    "unknown key, nothing near": (
        "metric: {zzz: 1}",
        "metric.zzz: expected a known key, found 'zzz'. Next: remove it; known are primary, useful_gain, must_hold",
    ),
    "text for a number": (
        "gate: {alpha: '0.1'}",
        "gate.alpha: expected a number, found '0.1'. Next: write 0.1 without quotes",
    ),
    "exponent without a point": (
        "gate: {alpha: 1e-2}",
        "gate.alpha: expected a number, found '1e-2'. Next: write 0.01 without quotes",
    ),
    "boolean for a number": ("gate: {alpha: true}", "gate.alpha: expected a number, found True"),
    "boolean for a whole number": ("gate: {looks: yes}", "gate.looks: expected a whole number, found True"),
    "text for a whole number": ("gate: {looks: '3'}", "gate.looks: expected a whole number, found '3'"),
    "point in a whole number": ("gate: {looks: 3.0}", "gate.looks: expected a whole number, found 3.0"),
    "number for text": ("owner: 7", "owner: expected text, found 7. Next: put it in quotes"),
    "boolean for text": ("owner: no", "owner: expected text, found False. Next: YAML reads yes, no, on and off as"),
    "not finite": ("gate: {alpha: .inf}", "gate.alpha: expected a finite number, found inf"),
    "not a number": ("kpi: {true_positive: .nan}", "kpi.true_positive: expected a finite number, found nan"),
    "not finite in a mapping": (
        "metric: {must_hold: {brier: .inf}}",
        "metric.must_hold.brier: expected a finite number, found inf",
    ),
    "too large": ("gate: {alpha: 0.5}", "gate.alpha: expected less than 0.5, found 0.5"),
    "too small": ("gate: {min_blocks: 2}", "gate.min_blocks: expected at least 3, found 2"),
    "negative guardrail": (
        "metric: {must_hold: {brier: -0.1}}",
        "metric.must_hold.brier: expected at least 0, found -0.1",
    ),
    "persistence beyond within": (
        "alarms: {persistence: 6}",
        "alarms.persistence: expected at most within, 3, found 6",
    ),
    "persistence among the monitors": (
        "monitors: {persistence: 3}",
        "monitors.persistence: expected a key of monitors, found 'persistence'. Next: move it to alarms.persistence",
    ),
    "no materiality": ("alarms: {materiality: 0}", "alarms.materiality: expected more than 0, found 0"),
    "less error than the looks need": (
        "gate: {error_per_year: 0.0001}",
        "gate.error_per_year: expected at least 0.0001 a look, found 0.0001",
    ),
    "wrong unit": (
        "retrain: {cooldown: 2 dayz}",
        "retrain.cooldown: expected a time span such as 30m, 36h, 2d or 1w, found '2 dayz'. Next: did you mean '2d'?",
    ),
    "no unit": ("retrain: {cooldown: 2}", "found 2. Next: add the unit: 2d is 2 days"),
    "months are not minutes": (
        "retrain: {cooldown: 2 months}",
        "found '2 months'. Next: use one of the units w, d, h, m, s",
    ),
    "negative time": ("retrain: {cooldown: -2d}", "retrain.cooldown: expected a time span"),
    "endless time": ("retrain: {cooldown: 999999999w}", "retrain.cooldown: expected a time span"),
    "true is no time": ("retrain: {cooldown: true}", "retrain.cooldown: expected a time span"),
    "not one of": (
        "promotion: automatik",
        "promotion: expected one of 'automatic' or 'approve', found 'automatik'. Next: did you mean 'automatic'?",
    ),
    "list for a mapping": ("gate: [1]", "gate: expected a mapping of keys to values, found [1]"),
    "nothing for a mapping": (
        "gate:",
        "gate: expected a mapping of keys to values, found nothing. Next: give a value or remove the key",
    ),
    "text for a list": ("segments: shop", "segments: expected a list, found 'shop'"),
    "twice in a list": ("segments: [shop, shop]", "segments: expected every entry once, found 'shop' twice"),
    "column name": ("segments: ['sh`op']", "segments.0: expected a column name"),
    "code path": ("estimator: {build: returns.model}", "estimator.build: expected user code as module:function"),
    "code path in folders": ("estimator: {build: ../x:build}", "estimator.build: expected user code"),
    "schedule": ("schedule: every night", "schedule: expected a cron line of five fields"),
    "name of a dataset": ("dataset: ../sales", "dataset: expected 1 to 64 lower-case letters, digits, '_' or '-'"),
    "no such dataset": (
        "dataset: sails",
        "dataset: expected one of sales, found no configs/datasets/sails.yaml. Next: did you mean 'sales'?",
    ),
    "name unlike the file": (
        "name: return",
        "name: expected 'returns', as the file is called, found 'return'. Next: rename the file or remove the key",
    ),
    "metric of another kind": (
        "metric: {primary: r2}",
        "metric.primary: expected one of roc_auc, pr_auc, log_loss, brier, accuracy, precision, recall, kpi (binary), "
        "found 'r2'",
    ),
    "metric misspelt": ("metric: {primary: roc_ac}", "found 'roc_ac'. Next: did you mean 'roc_auc'?"),
    "guardrail misspelt": (
        "metric: {must_hold: {logloss: 0.1}}",
        "metric.must_hold.logloss: expected one of roc_auc",
    ),
    "feature not in the dataset": (
        "features: [prize]",
        "features: expected a column of dataset sales, found 'prize'. Next: did you mean 'price'?",
    ),
    "segment not in the dataset": ("segments: [town]", "segments: expected a column of dataset sales, found 'town'"),
    "leaking feature": ("features: [price, later]", "features: expected columns known at the event, found 'later'"),
    "label among the features": (
        "features: [price, returned]",
        "features: expected no label among them, found 'returned'. Next: remove it",
    ),
}


@pytest.mark.parametrize("case", MODEL_FAULTS)
def test_a_fault_in_a_model_file(case: str, write: Write, good_model: str, good_dataset: str) -> None:
    line, message = MODEL_FAULTS[case]
    key = line.split(":")[0]
    model = "\n".join([*(k for k in good_model.splitlines() if not k.startswith(f"{key}:")), line, ""])
    dataset = good_dataset + "  later: {type: number, known: later}\n"
    text = fault(lambda: write(model=model, dataset=dataset).model("returns"))
    assert text.startswith(MODEL_FILE)
    assert message in text


LABEL_FAULTS = {
    "three classes": ("classes: [a, b, c]\n  positive: a", "label.classes: expected the two classes of a binary"),
    "no classes": ("delay: 1d", "label.classes: expected the two classes of a binary model, found nothing"),
    "same class twice": ("classes: [1, true]\n  positive: 1", "label.classes: expected every entry once"),
    "a class with a point": ("classes: [0.5, 1]\n  positive: 1", "label.classes.0: expected text, a whole number"),
    "positive not a class": ("classes: [a, b]\n  positive: c", "label.positive: expected one of ('a', 'b'), found 'c'"),
    "positive of another type": (
        "classes: [0, 1]\n  positive: true",
        "label.positive: expected one of (0, 1), found True",
    ),
    "no positive": ("classes: [a, b]", "label.positive: expected one of ('a', 'b'), found nothing"),
}


@pytest.mark.parametrize("case", LABEL_FAULTS)
def test_a_fault_in_a_label(case: str, write: Write) -> None:
    lines, message = LABEL_FAULTS[case]
    model = "dataset: sales\nkind: binary\nfeatures: [price]\nlabel:\n  column: returned\n"
    model += f"  source: {{files: x.csv}}\n  {lines}\n"
    assert f"{MODEL_FILE}{message}" in fault(lambda: write(model=model).model("returns"))


def test_a_regression_needs_a_metric_of_its_own_and_no_classes(write: Write) -> None:
    model = "dataset: sales\nkind: regression\nfeatures: [price]\nlabel: {column: y, source: {files: x.csv}}\n"
    text = fault(lambda: write(model=model).model("returns"))
    assert "metric.primary: expected one of r2, mae, rmse, kpi (regression), found the default 'roc_auc'" in text
    classes = model.replace("column: y", "column: y, classes: [1, 2]")
    assert "label.classes: expected none for a regression" in fault(lambda: write(model=classes).model("returns"))
    assert write(model=model + "metric: {primary: mae}\n").model("returns").metric.primary == "mae"


DATASET_FAULTS = {
    "unknown key in a column": (
        ("price: {type: number, min: 0}", "price: {type: number, minn: 0}"),
        "columns.price.minn: expected a known key, found 'minn'. Next: did you mean 'min'?",
    ),
    "misspelt required key": (
        ("columns:", "colums:"),
        "colums: expected a known key, found 'colums'. Next: did you mean 'c",
    ),
    "missing key": (("event_time: sold_at\n", ""), "event_time: expected a value, found none. Next: add it"),
    "missing key in a column": (
        ("price: {type: number,", "price: {"),
        "columns.price.type: expected a value, found none",
    ),
    "column type": (("{type: number, min", "{type: numer, min"), "found 'numer'. Next: did you mean 'number'?"),
    "yes as a column": (("  shop:", "  yes:"), "found True. Next: YAML reads yes, no, on and off"),
    "flag": (("nullable: false", "nullable: 0"), "columns.order.nullable: expected true or false, found 0"),
    "NO as a category": (
        ("{type: category}", "{type: category, values: [NO, SE]}"),
        "columns.shop.values.0: expected text, found False. Next: YAML reads yes, no, on and off as true and false",
    ),
    "no categories": (("{type: category}", "{type: category, values: []}"), "columns.shop.values: expected at least 1"),
    "pattern": (("{type: category}", "{type: category, pattern: '['}"), "columns.shop.pattern: expected a regular"),
    "rule of another type": (
        ("{type: category}", "{type: category, min: 3}"),
        "columns.shop.min: expected no min on a column of type category, found 3.0. Next: remove it",
    ),
    "max below min": (("min: 0}", "min: 0, max: -1}"), "columns.price.max: expected at least min, 0, found -1"),
    "reserved column": (("  shop:", "  row_id:"), "columns: expected a name other than row_id, position, window"),
    "event time not declared": (
        ("event_time: sold_at", "event_time: sold"),
        "event_time: expected a declared column, found 'sold'. Next: did you mean 'sold_at'?",
    ),
    "event time of another type": (
        ("event_time: sold_at", "event_time: order"),
        "event_time: expected a column of type timestamp, found 'order', text",
    ),
    "key not declared": (("key: [order]", "key: [ordr]"), "key: expected a declared column, found 'ordr'"),
    "no key": (("key: [order]", "key: []"), "key: expected at least 1, found 0"),
    "time zone": (
        ("Europe/Berlin", "Europe/Berlim"),
        "calendar.time_zone: expected an IANA time zone such as Europe/Berlin, found 'Europe/Berlim'. "
        "Next: did you mean 'Europe/Berlin'?",
    ),
    "time zone as a path": (("Europe/Berlin", "../../etc/passwd"), "calendar.time_zone: expected an IANA time zone"),
    "time zone as a folder": (("Europe/Berlin", "America"), "calendar.time_zone: expected an IANA time zone"),
    "no time zone": (("Europe/Berlin", "''"), "calendar.time_zone: expected an IANA time zone"),
    "date as a number": (
        ("Europe/Berlin", "UTC, holidays: [20130101]"),
        "calendar.holidays.0: expected a date as YYYY-MM-DD, found 20130101",
    ),
    "date with a time": (
        ("Europe/Berlin", "UTC, holidays: [2013-01-01 10:00:00]"),
        "calendar.holidays.0: expected a date",
    ),
    "empty source": (('{files: "data/{date}.csv"}', "{}"), "source: expected one of files, sql, python, found none"),
    "sql without url": (('{files: "data/{date}.csv"}', "{sql: SELECT 1}"), "source.url: expected a value beside sql"),
    "files and sql": (
        ('{date}.csv"}', '{date}.csv", sql: SELECT 1, url: "sqlite://"}'),
        "source.sql: expected either sql",
    ),
    "absolute path": (("data/{date}", "/data/{date}"), "source.files: expected a relative path below the home"),
    "path upward": (("data/{date}", "data/../../{date}"), "source.files: expected a relative path below the home"),
    "other placeholder": (
        ("{date}.csv", "{dat}.csv"),
        "source.files: expected a path with no placeholder but {date}, found 'data/{dat}.csv'. Next: did you mean",
    ),
    "attribute placeholder": (
        ("{date}.csv", "{date.__class__}.csv"),
        "source.files: expected a path with no placeholder",
    ),
    "placeholder with a form": (("{date}.csv", "{date:%Y}.csv"), "source.files: expected a path with no placeholder"),
    "open brace": (
        ("{date}.csv", "{date.csv"),
        "source.files: expected a relative path below the home with every brace",
    ),
    "suite upward": (
        ("event_time:", "quality: {suite: ../s.json}\nevent_time:"),
        "quality.suite: expected a relative path",
    ),
    "suite with a date": (
        ("event_time:", "quality: {suite: '{date}.json'}\nevent_time:"),
        "quality.suite: expected a path",
    ),
    "band": (
        ("event_time:", "quality: {row_count_band: [1.5, 0.5]}\nevent_time:"),
        "quality.row_count_band: expected [low, high] with 0 <= low < high, found [1.5, 0.5]",
    ),
    "half a band": (
        ("event_time:", "quality: {row_count_band: [1]}\nevent_time:"),
        "quality.row_count_band.1: expected",
    ),
    "triple band": (
        ("event_time:", "quality: {row_count_band: [1, 2, 3]}\nevent_time:"),
        "row_count_band: expected at most 2",
    ),
    "history": (
        ("event_time:", "quality: {row_count_history: 2}\nevent_time:"),
        "quality.row_count_min_history: expected at most row_count_history, 2, found 3",
    ),
}


@pytest.mark.parametrize("case", DATASET_FAULTS)
def test_a_fault_in_a_dataset_file(case: str, write: Write, good_dataset: str) -> None:
    (old, new), message = DATASET_FAULTS[case]
    assert old in good_dataset
    text = fault(lambda: write(dataset=good_dataset.replace(old, new, 1)).dataset("sales"))
    assert text.startswith(DATASET_FILE)
    assert message in text


PLATFORM_FAULTS = {
    "unknown key": (
        "stat: var",
        "configs/tidegate.yaml: stat: expected a known key, found 'stat'. Next: did you mean 'state'",
    ),
    "state elsewhere": ("state: /var/lib", "configs/tidegate.yaml: state: expected a relative path below the home"),
    "no lease": ("lease: 0d", "configs/tidegate.yaml: lease: expected more than 0 seconds, found '0d'"),
    "budget below nothing": (
        "on_call: {night: {budget: -1}}",
        "configs/tidegate.yaml: on_call.night.budget: expected at least 0, found -1",
    ),
    "freeze without an end": (
        "freezes: [{from: 2013-12-20, reason: x}]",
        "configs/tidegate.yaml: freezes.0.to: expected a value",
    ),
    "freeze that ends before it begins": (
        "freezes: [{from: 2013-12-20, to: 2013-12-19, reason: x}]",
        "configs/tidegate.yaml: freezes.0.to: expected a date from 2013-12-20 on, found '2013-12-19'",
    ),
    "unknown key of a freeze": (
        "freezes: [{form: 2013-12-20, to: 2013-12-29, reason: x}]",
        "configs/tidegate.yaml: freezes.0.form: expected a known key, found 'form'. Next: did you mean 'from'?",
    ),
    "type of a count in defaults": (
        "defaults: {alarms: {persistence: none}}",
        "configs/tidegate.yaml defaults: alarms.persistence: expected a whole number",
    ),
    "unknown key in defaults": (
        "defaults: {gaet: {}}",
        "configs/tidegate.yaml defaults: gaet: expected a known key, found 'gaet'. Next: did you mean 'gate'?",
    ),
    "unknown key below": (
        "defaults: {alarms: {cooldwn: 1d}}",
        "configs/tidegate.yaml defaults: alarms.cooldwn: expected a known key, found 'cooldwn'. Next: did you",
    ),
    "bounds in defaults": (
        "defaults: {gate: {alpha: 2}}",
        "configs/tidegate.yaml defaults: gate.alpha: expected less than 0.5",
    ),
    "type in defaults": (
        "defaults: {gate: 5}",
        "configs/tidegate.yaml defaults: gate: expected a mapping of keys to values",
    ),
    "rule in defaults": (
        "defaults: {retrain: {cooldown: 5}}",
        "configs/tidegate.yaml defaults: retrain.cooldown: expected a",
    ),
    "name in defaults": (
        "defaults: {name: x}",
        "configs/tidegate.yaml defaults: name: expected keys that models share",
    ),
    "nothing": ("defaults:", "configs/tidegate.yaml: defaults: expected a mapping of keys to values, found nothing"),
}


@pytest.mark.parametrize("case", PLATFORM_FAULTS)
def test_a_fault_in_the_platform_file_shows_before_any_model_is_loaded(case: str, write: Write) -> None:
    line, message = PLATFORM_FAULTS[case]
    assert message in fault(lambda: write(platform=f"{line}\n"))


def test_a_part_of_a_group_is_a_good_default(write: Write, good_model: str) -> None:
    platform = "defaults: {label: {source: {url: 'sqlite://'}}, gate: {min_blocks: 9}}\n"
    model = good_model.replace('files: "labels/{date}.csv"', "sql: SELECT 1") + "gate: {looks: 2}\n"
    loaded = write(platform=platform, model=model).model("returns")
    assert (loaded.gate.min_blocks, loaded.gate.looks, loaded.label.source.url) == (9, 2, "sqlite://")


def test_a_fault_that_shows_only_in_the_whole_names_the_file_it_comes_from(write: Write) -> None:
    project = write(platform="defaults: {metric: {must_hold: {r2: 0.1}}}\n")
    assert fault(lambda: project.model("returns")).startswith("configs/tidegate.yaml defaults: metric.must_hold.r2: ")
    project = write(platform="defaults: {segments: [town]}\n")
    assert fault(lambda: project.model("returns")).startswith("configs/tidegate.yaml defaults: segments: ")


def test_a_huge_value_is_shown_short(write: Write, good_model: str) -> None:
    huge = "[" + ", ".join(["1234567"] * 5000) + "]"
    text = fault(lambda: write(model=good_model + f"owner: {huge}\n").model("returns"))
    assert "owner: expected text, found [1234567, 1234567" in text


def test_an_unknown_model_is_named_with_the_known_ones(write: Write) -> None:
    text = fault(lambda: write().model("retruns"))
    assert text == (
        "model 'retruns': expected one of returns, found no configs/models/retruns.yaml. Next: did you mean 'returns'?"
    )
