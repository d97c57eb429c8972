"""What a gateway logged, measured and replayed by the night: requests, errors, latency, skew."""

import json
import shutil
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import skops.io
from sklearn.ensemble import HistGradientBoostingClassifier
from typer.testing import CliRunner

from tidegate.adapters.environment import environment_digest
from tidegate.adapters.fastscorer import prepare
from tidegate.adapters.inferencelog import Answered, InferenceLog, new_ids
from tidegate.cli.main import furnish
from tidegate.config.home import Home
from tidegate.config.project import Project
from tidegate.contract.admit import row_ids
from tidegate.lineage.digest import folder_digest
from tidegate.lineage.usercode import copy_code
from tidegate.performance.service import LastMinute
from tidegate.profile.profile import grid_of, profile_of
from tidegate.profile.table import to_table
from tidegate.rollout.plan import ServingPlan
from tidegate.steps.collect import collect
from tidegate.steps.service import measure_service, service_alarm, service_signals
from tidegate.steps.skew import replay_served, skew_signals
from tidegate.steps.stores import stores_of
from tidegate.steps.watch import watch
from tidegate.training.members import mean_of
from tidegate.training.scoring import design

DAY = datetime(2024, 3, 1, tzinfo=UTC)
FILES = {
    "configs/tidegate.yaml": "namespace: shop\n",
    "configs/datasets/visits.yaml": """\
source: {files: "visits/{date}.csv"}
event_time: at
key: [visit]
columns:
  visit: {type: integer, nullable: false}
  at: {type: timestamp, nullable: false}
  channel: {type: category}
  price: {type: number}
  pages: {type: integer}
""",
    "configs/models/bought.yaml": """\
dataset: visits
kind: binary
label: {column: bought, classes: ["no", "yes"], positive: "yes", delay: 1d, source: {files: "orders/{date}.csv"}}
estimator: {build: "shop:build"}
features: [channel, price, pages]
segments: [channel]
serving: {max_p99: 0.05s, skew_rows: 10000}
""",
    "shop.py": "def build(params):\n    raise NotImplementedError\n",
}


def ns(at):
    return round((at - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(microseconds=1)) * 1000


def visits(count, seed, at=DAY, mean=20.0):
    rng = np.random.default_rng(seed)
    price = rng.normal(mean, 5, count)
    price[::17] = np.nan
    return pa.table({
        "visit": pa.array(np.arange(count), pa.int64()),
        "at": pa.array([at + timedelta(seconds=i % 80_000) for i in range(count)], pa.timestamp("us", "UTC")),
        "channel": rng.choice(["web", "app", "mail"], count).tolist(),
        "price": pa.array(price, from_pandas=True),
        "pages": pa.array(rng.poisson(4, count), pa.int64()),
    })  # fmt: skip


MLMODEL = """\
flavors:
  python_function: {loader_module: mlflow.sklearn, model_path: model.skops}
  sklearn: {pickled_model: model.skops, serialization_format: skops}
"""


class Booth:
    """A home with one registered package, and a gateway's log."""

    def __init__(self, root: Path) -> None:
        for name, text in FILES.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text)
        self.root, self.stores = root, stores_of(Home.at(root))
        self.model, self.dataset = self.stores.project.model("bought"), self.stores.project.dataset("visits")
        table = visits(600, 1)
        spec = {"model": "bought", "kind": "binary", "classes": ["no", "yes"], "threshold": 0.5, "design_effect": 2.0,
                "features": {"channel": "category", "price": "number", "pages": "integer"}}  # fmt: skip
        made = root / "made"
        spec["user"] = {"build": "shop:build", "features": None}
        frame = design(table, spec, None)
        target = (np.nan_to_num(frame["price"], nan=20) + np.random.default_rng(2).normal(0, 3, 600) > 20).astype(int)
        members = [
            HistGradientBoostingClassifier(max_iter=20, random_state=k, early_stopping=False).fit(
                frame[k::2], target[k::2]
            )
            for k in (0, 1)
        ]
        made.mkdir()
        # As MLflow writes it, without the seconds that its import takes.
        skops.io.dump(mean_of(members, "binary"), made / "model.skops")
        (made / "MLmodel").write_text(MLMODEL)
        spec["user"]["digest"] = copy_code("shop:build", root, made / "tidegate" / "user")
        grid = grid_of(table)
        nights = [(DAY - timedelta(days=30 - i // 50)).date().isoformat() for i in range(600)]
        spec["trained"] = sorted(set(nights))
        scores = np.random.default_rng(5).uniform(0.05, 0.95, 600)
        outcomes = pa.table({"row_id": [str(i) for i in range(600)], "event_window": nights,
                             "label": target.astype(float),
                             "score": scores, "prediction": pa.array(scores >= 0.5).cast(pa.int32()),
                             "segment_channel": table["channel"]})  # fmt: skip
        reference = {"profile": to_table(profile_of(table, grid)), "probe": table.slice(0, 40), "outcomes": outcomes}
        (made / "tidegate" / "reference").mkdir()
        for name, part in reference.items():
            pq.write_table(part, made / "tidegate" / "reference" / f"{name}.parquet")
        (made / "tidegate" / "spec.json").write_text(json.dumps(spec))
        self.digest = folder_digest(made)
        shutil.move(made, self.stores.package_folder("bought", self.digest))
        self.stores.data_records.put_grid("visits", grid.as_dict(), grid.digest, DAY)
        self.stores.records.put_version(
            "bought", 1, owner="o", digest=self.digest, status="champion", body={}, known_at=DAY
        )
        plan = ServingPlan("bought", champion=1, champion_digest=self.digest)
        self.stores.plans.swap(ServingPlan("bought"), plan, owner="o", window=None, at=DAY, why={})
        self.package = self.stores.package("bought", 1, self.digest)
        self.prepared = prepare(self.package, self.dataset)

    def serve(self, day, rows, *, took=lambda i: 0.002, failed=0, change=None, **about):
        """Answer each row in a request of its own by the fast path, log it; returns the window's verdicts."""
        at = DAY + timedelta(days=day)
        settings = self.stores.project.platform.serving.log
        log = InferenceLog(self.root / "var", "shop", self.dataset, self.model, settings, writer="w",
                           clock_ns=lambda: ns(at))  # fmt: skip
        where = [log.columns.index(c) for c in self.prepared.columns]
        known = {"code": self.package.spec["user"]["digest"], "environment": environment_digest(), **about}
        for i, row in enumerate(rows.select(list(log.columns)).to_pylist()):
            values = tuple(row.values())
            score = float(self.prepared.scores([tuple(values[k] for k in where)])[0])
            received = ns(at + timedelta(seconds=i * 86_000 / rows.num_rows))
            answered = Answered(
                received, round(took(i) * 1e9), 1, self.digest, route="champion", source="gateway", **known
            )
            score = score if change is None else change(i, score)
            assert log.append(
                answered, [values], new_ids(1, received), [None], [score], [int(score >= 0.5)], [max(score, 1 - score)]
            )
        for _ in range(failed):
            log.refused(ns(at), 1_000_000, 500, "the estimator failed", "till")
        log.close()
        collect(self.stores, self.model, at)
        return self.window(day)

    def window(self, day):
        return self.stores.project.calendar(self.dataset).window((DAY + timedelta(days=day)).date())

    def now(self, day):
        return DAY + timedelta(days=day + 1, hours=6)

    def measured(self, day):
        return measure_service(self.stores, self.model, self.window(day), self.now(day))

    def replayed(self, day):
        return replay_served(self.stores, self.model, self.window(day), self.now(day))


@pytest.fixture(scope="module")
def booth(tmp_path_factory):
    return Booth(tmp_path_factory.mktemp("booth"))


def lines_of(verdict):
    return {
        (line["what"], line.get("column", line.get("against", ""))): line["outcome"]
        for line in verdict.numbers["lines"]
    }


def test_nothing_served_is_no_verdict(booth):
    assert booth.measured(-30) is None
    assert booth.replayed(-30) is None


@pytest.mark.fault(24)
def test_ten_thousand_rows_answered_by_the_fast_path_score_the_same_when_replayed(booth):
    assert booth.prepared.fast
    rows = visits(10_000, 3)
    booth.serve(0, rows)
    verdict = booth.replayed(0)
    assert verdict.outcome == "pass"
    (code, environment) = verdict.numbers["lines"][:2]
    assert (code["of"], code["rows"], environment["rows"]) == (10_000, 0, 0)
    assert verdict.numbers["drifted"] == []
    # A rerun answers from what is stored.
    assert booth.replayed(0).numbers["of"] == verdict.numbers["of"]
    assert skew_signals(booth.stores, booth.model, booth.window(0)) == []


def test_a_quiet_night_is_told_in_numbers(booth):
    booth.serve(1, visits(300, 4), took=lambda i: 0.02 if i % 50 == 0 else 0.002, failed=1, caller="till")
    verdict = booth.measured(1)
    assert verdict.outcome == "pass"
    seen = verdict.numbers["service"]
    assert (seen["answered"], seen["failed"], seen["rows"]) == (300, 1, 300)
    assert verdict.numbers["by"] == {"version": {"1": 300}, "source": {"gateway": 300}, "caller": {"till": 300}}
    assert verdict.numbers["refusals"] == {"500 the estimator failed": 1}
    shares = verdict.numbers["prediction"]
    assert shares["no"] + shares["yes"] == pytest.approx(1)
    said = CliRunner().invoke(
        furnish(), ["--home", str(booth.root), "service", "bought", "--window", "2024-03-02", "--json"]
    )
    assert said.exit_code == 0, said.output
    body = json.loads(said.output)
    assert body["latency"]["p50"]["value"] == pytest.approx(0.002, rel=0.01)
    assert body["latency"]["p99"]["value"] == pytest.approx(0.02, rel=0.01)
    plain = CliRunner().invoke(furnish(), ["--home", str(booth.root), "service", "bought", "--window", "2024-03-02"])
    assert "300 requests answered" in plain.output


def test_late_segments_are_measured_with_the_night_after(booth):
    booth.serve(2, visits(40, 5))
    booth.measured(2)
    booth.serve(2, visits(30, 6))
    booth.serve(3, visits(30, 7))
    booth.measured(3)
    verdict = booth.stores.records.verdict("bought", "service", booth.window(2).id)
    assert verdict.numbers["service"]["answered"] == 70


def test_errors_and_a_broken_limit_page_once(booth):
    booth.serve(10, visits(200, 8), took=lambda i: 0.2 if i % 4 == 0 else 0.002, failed=60)
    verdict = booth.measured(10)
    assert verdict.outcome == "fail"
    assert lines_of(verdict)[("errors", "declared")] == lines_of(verdict)[("p99", "declared")] == "fail"
    alarms = watch(booth.stores, booth.model, booth.window(10), booth.now(10))
    assert [(a.severity, a.cause) for a in alarms] == [("page", "service")]
    assert alarms[0].runbook == "docs/runbooks/service.md"
    assert alarms[0].next_command == "tidegate service bought --window 2024-03-11"
    again = watch(booth.stores, booth.model, booth.window(10), booth.now(10))
    assert len(booth.stores.incidents.listed()) == 1
    assert again == alarms


def test_a_burst_is_an_incident_within_the_minute_and_the_night_joins_it(booth, tmp_path):
    own = Booth(tmp_path)
    at = DAY + timedelta(days=20, hours=3)
    burst = LastMinute(requests=60, failed=30, throttled=5, p99=0.004)
    assert service_alarm(own.stores, own.model, LastMinute(60, 1), at) == []
    (alarm,) = service_alarm(own.stores, own.model, burst, at)
    assert (alarm.severity, alarm.cause, alarm.window) == ("page", "service", "2024-03-21")
    (incident,) = own.stores.incidents.listed()
    for seconds in (5, 10):
        assert service_alarm(own.stores, own.model, burst, at + timedelta(seconds=seconds)) == []
    assert own.stores.incidents.listed() == [incident]
    # Something else breaks too: told within the minute, as one incident.
    slow = LastMinute(requests=100, failed=50, p99=0.9, slow=40)
    service_alarm(own.stores, own.model, slow, at + timedelta(minutes=1))
    assert len(own.stores.incidents.listed()) == 1
    own.serve(20, visits(60, 9), failed=30)
    own.measured(20)
    assert watch(own.stores, own.model, own.window(20), own.now(20)) == []
    (after,) = own.stores.incidents.listed()
    assert after.number == incident.number
    assert own.stores.records.verdict("bought", "alarms", "2024-03-21") is not None


def test_other_code_and_other_scores_are_code_skew(booth):
    booth.serve(40, visits(50, 10), code="f" * 12)
    verdict = booth.replayed(40)
    assert lines_of(verdict)[("code", "")] == "fail"
    assert "other code" in verdict.reasons[0]
    booth.serve(41, visits(50, 11), change=lambda i, s: s + 1e-6 if i == 7 else s)
    verdict = booth.replayed(41)
    assert (verdict.numbers["lines"][0]["rows"], verdict.numbers["lines"][1]["outcome"]) == (1, "pass")
    (signal,) = skew_signals(booth.stores, booth.model, booth.window(41))
    assert (signal.monitor, signal.subject, signal.kind) == ("service", "skew", "harm")
    said = CliRunner().invoke(furnish(), ["--home", str(booth.root), "skew", "bought", "--window", "2024-04-11"])
    assert said.exit_code == 3
    assert "code skew: 1 of 50 rows scored otherwise" in said.output


def test_other_scores_in_another_environment_are_environment_skew(booth):
    booth.serve(42, visits(50, 12), change=lambda i, s: s + 1e-4, environment="old-numpy")
    verdict = booth.replayed(42)
    assert lines_of(verdict) == {("code", ""): "pass", ("environment", ""): "fail"}
    booth.serve(43, visits(50, 13), environment="old-numpy")
    verdict = booth.replayed(43)
    assert verdict.outcome == "pass"
    assert "score alike" in verdict.numbers["lines"][1]["words"]


def land(booth, day, rows, **changed):
    ids = row_ids([pd.Series(rows["visit"].to_pylist())])
    table = rows.append_column("row_id", pa.array(ids))
    for name, values in changed.items():
        table = table.set_column(table.column_names.index(name), name, values)
    booth.stores.data.put("batches", "visits", booth.window(day).id, table, booth.now(day))


def test_inputs_that_are_not_the_warehouses_are_input_skew(booth):
    rows = visits(200, 14, DAY + timedelta(days=44))
    doubled = pa.array([p if p is None or i % 5 else p * 100 for i, p in enumerate(rows["price"].to_pylist())])
    land(booth, 44, rows, price=doubled)
    booth.serve(44, rows)
    verdict = booth.replayed(44)
    found = lines_of(verdict)
    assert (found[("input", "price")], found[("input", "pages")], found[("input", "channel")]) == (
        "fail",
        "pass",
        "pass",
    )
    (signal,) = skew_signals(booth.stores, booth.model, booth.window(44))
    assert (signal.kind, signal.persistent) == ("sudden", False)


def test_other_cases_than_in_training_are_data_drift_and_no_skew(booth):
    rows = visits(400, 15, DAY + timedelta(days=45), mean=40)
    land(booth, 45, rows)
    booth.serve(45, rows)
    verdict = booth.replayed(45)
    assert verdict.outcome == "pass"
    assert verdict.reasons == ("no skew, but data drift: price",)


def test_a_pseudonym_is_not_replayed_and_says_so(booth):
    booth.serve(46, visits(20, 16))
    file = booth.root / "configs/datasets/visits.yaml"
    file.write_text(file.read_text().replace("{type: category}", "{type: category, privacy: pseudonym}"))
    try:
        stores = replace(booth.stores, project=Project(booth.stores.home))
        verdict = replay_served(stores, stores.project.model("bought"), booth.window(46), booth.now(46))
    finally:
        file.write_text(FILES["configs/datasets/visits.yaml"])
    assert verdict.outcome == "inconclusive"
    assert verdict.reasons == ("not replayable: column channel is pseudonymised (20 of 20 rows)",)


def test_a_slower_night_is_told_when_it_lasts_and_wakes_nobody(booth):
    for day in range(60, 68):
        booth.serve(day, visits(210, day), took=lambda i: 0.001 + (i % 10) * 1e-4)
        assert booth.measured(day).outcome == "pass"
    for day, lasts in ((68, False), (69, True)):
        booth.serve(day, visits(210, day), took=lambda i: 0.004 + (i % 10) * 1e-4)
        assert lines_of(booth.measured(day))[("p99", "before")] == "fail"
        (p95, p99) = service_signals(booth.stores, booth.model, booth.window(day))
        assert (p95.persistent, p99.persistent, p99.kind, p99.certified) == (lasts, lasts, "sudden", False)


def test_a_window_without_a_measure_is_one_clear_line(booth):
    said = CliRunner().invoke(furnish(), ["--home", str(booth.root), "skew", "bought", "--window", "2020-01-01"])
    assert said.exit_code != 0
    assert "2020-01-01" in str(said.exception)


def test_what_the_workers_took_is_there_for_each_window(shop) -> None:
    log = shop.log()
    shop.answer(log, range(3))
    for k, (worker, cpu, memory) in enumerate([("a", 30.0, 200e6), ("b", 60.0, 300e6), ("a", 0.0, 250e6)]):
        at = shop.now + timedelta(seconds=300 * (k // 2))
        assert log.resources(int(at.timestamp() * 1e9), worker, 300.0, cpu, int(memory), 2, None, None)
    log.close()
    collect(shop.stores, shop.model, shop.now)
    window = shop.stores.project.calendar(shop.dataset).window("2024-01-01")
    taken = measure_service(shop.stores, shop.model, window, shop.now).numbers["resources"]
    assert taken["cpu_s"] == 90
    assert taken["cores"] == pytest.approx(90 / 600)
    assert taken["memory"] == 500e6
    assert (taken["models"], taken["gpu"]) == (2, None)


def test_a_window_that_nobody_measured_says_none_of_its_resources(shop) -> None:
    log = shop.log()
    shop.answer(log, range(3))
    log.close()
    collect(shop.stores, shop.model, shop.now)
    window = shop.stores.project.calendar(shop.dataset).window("2024-01-01")
    taken = measure_service(shop.stores, shop.model, window, shop.now).numbers["resources"]
    assert set(taken.values()) == {None}
