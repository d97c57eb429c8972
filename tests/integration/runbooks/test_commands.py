"""Every command of the runbooks, executed page by page on a copy of one home that is in trouble."""

from __future__ import annotations

import datetime as dt
import re
import shlex
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tidegate.adapters.inferencelog import Answered, InferenceLog, new_ids
from tidegate.adapters.packages import load
from tidegate.adapters.snapshot import moved
from tidegate.alarms.incidents import rules_of
from tidegate.clock import evening_of
from tidegate.config.home import Home
from tidegate.config.project import load_project
from tidegate.config.serving import LogSettings
from tidegate.steps.approval import approve
from tidegate.steps.candidate import look_at, train_and_register
from tidegate.steps.collect import collect
from tidegate.steps.estimate import estimate
from tidegate.steps.ingest import ingest
from tidegate.steps.labels import collect_labels
from tidegate.steps.measure import measure
from tidegate.steps.score import score
from tidegate.steps.service import measure_service
from tidegate.steps.skew import replay_served
from tidegate.steps.stores import open_stores, stores_of
from tidegate.steps.watch import watch
from tidegate.verdicts import Effect, Signal

PAGES = Path(__file__).parents[3] / "docs" / "runbooks"
NIGHTS, FIRST, ROWS = 20, 8, 300
LAST = dt.datetime.now(dt.UTC).date() - dt.timedelta(days=1)
FILES = {
    "configs/tidegate.yaml": """\
namespace: runbooks
defaults:
  gate: {block_nights: 1, min_blocks: 5, error_per_year: 0.49, alpha: 0.2, looks: 1, ece_margin: 0.3,
         fairness: {criteria: [demographic_parity], max_gap: 0.9},
         robustness: {strong: [distance, temp], anchor_margin: 1.0}}
  retrain: {policy: never}
""",
    "configs/datasets/flights.yaml": """\
source: {files: "flights/{date}.csv"}
event_time: departed
key: [flight]
quality: {max_quarantined_share: 0.1}
columns:
  flight: {type: integer, nullable: false}
  departed: {type: timestamp, nullable: false}
  origin: {type: category, values: [EWR, JFK]}
  distance: {type: number, min: -500, max: 2500}
  temp: {type: number, min: -15, max: 45}
  mail: {type: text, privacy: drop, required: false}
""",
    "configs/models/flights.yaml": """\
dataset: flights
owner: oncall
kind: binary
label: {column: late, source: {files: "late/{date}.csv"}, delay: 1d, classes: ["no", "yes"], positive: "yes"}
estimator: {build: "air:build", features: "air:features", seed: 3}
features: [distance, temp]
segments: [origin]
protected: [origin]
metric: {primary: log_loss}
kpi: {unit: EUR, true_positive: 2, false_positive: -2}
promotion: approve
""",
    "air.py": """\
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler


def build(params):
    return make_pipeline(SimpleImputer(), StandardScaler(), LogisticRegression(random_state=params["random_state"]))


def features(frame):
    return frame.assign(temp=0.0)
""",
}


def night(i: int) -> str:
    return (LAST - dt.timedelta(days=NIGHTS - 1 - i)).isoformat()


def write(root: Path) -> None:
    """Twenty nights to yesterday; three rows of the last one are refused."""
    for name, text in FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    for folder in ("flights", "late"):
        (root / folder).mkdir()
    rng = np.random.default_rng(21)
    for i in range(NIGHTS):
        ewr, warm = rng.random(ROWS) < 0.4, rng.normal(0, 1, ROWS)
        far = rng.normal(0, 1, ROWS) - 1.2 * ewr
        chance = 1 / (1 + np.exp(-(far + 0.4 * ewr + 1.5 * warm)))
        origin = np.where(ewr, "EWR", "JFK").astype(object)
        if i == NIGHTS - 1:
            origin[:3] = "BWI"
        keys = {"flight": np.arange(ROWS) + 1000 * (i + 1), "departed": f"{night(i)}T12:00:00+00:00"}
        pd.DataFrame(
            {**keys, "origin": origin, "distance": 1000 + 300 * far, "temp": (15 + 8 * warm).clip(-15, 45)}
        ).to_csv(root / f"flights/{night(i)}.csv", index=False)
        late = np.where(rng.random(ROWS) < chance, "yes", "no")
        pd.DataFrame({**keys, "late": late}).to_csv(root / f"late/{night(i)}.csv", index=False)


def served(stores, model, dataset, record) -> str:
    """Fifty requests of a row each, answered by the champion at noon of the last night; the id of the first."""
    noon = dt.datetime.combine(LAST, dt.time(12), dt.UTC)
    at = round(noon.timestamp()) * 10**9
    rows = stores.data.read("batches", "flights", [night(NIGHTS - 1)]).slice(0, 50)
    scores = stores.package("flights", 1, record["digest"]).scores(rows)
    log = InferenceLog(stores.home.state, "runbooks", dataset, model, LogSettings(), writer="w", clock_ns=lambda: at)
    about = Answered(at, 250_000, 1, record["digest"], "c" * 12, "e" * 12, "champion", "gateway", "billing", "t" * 32)
    ids, known = new_ids(50, at), rows.to_pylist()
    values = [tuple(r.get(c) for c in log.columns) for r in known]
    for one, value, found in zip(ids, values, scores, strict=True):
        assert log.append(about, [value], [one], [""], [float(found)], [0], [0.75])
    log.close()
    window = stores.project.calendar(dataset).window(LAST.isoformat())
    now = dt.datetime.now(dt.UTC)
    collect(stores, model, now)
    measure_service(stores, model, window, now)
    replay_served(stores, model, window, now)
    return ids[0]


@pytest.fixture(scope="module")
def troubled(tmp_path_factory):
    """A champion that is blind to the weather, a version that sees it and waits, an incident, refused rows, answers."""
    root = tmp_path_factory.mktemp("runbooks")
    write(root)
    stores = stores_of(Home.at(root))
    model = stores.project.model("flights")
    dataset = stores.project.dataset("flights")
    calendar = stores.project.calendar(dataset)

    def candidate(window) -> int:
        version = train_and_register(stores, model, window, evening_of(window), reason="test")
        look = look_at(stores, model, version, window, evening_of(window))
        assert look.passed, look
        return version

    def trouble(window) -> None:
        rules = rules_of(model, dataset, stores.project.platform)
        effect = Effect(0.1, "EUR/row", "about 40 EUR a day", True)
        one = Signal(
            window.id,
            "feature",
            "distance",
            "ks",
            "gradual",
            0.3,
            0.2,
            0.4,
            6.0,
            night(NIGHTS - 2),
            True,
            True,
            effect,
            True,
        )
        stores.incidents.night([one], rules, window.id, owner="oncall", known_at=dt.datetime.now(dt.UTC))

    for i in range(NIGHTS):
        window = calendar.window(night(i))
        now = evening_of(window)
        ingest(stores, dataset, window, now)
        if i >= FIRST:
            score(stores, model, window, now)
        collect_labels(stores, model, window, now)
        measure(stores, model, window, now)
        estimate(stores, model, window, now)
        if i == NIGHTS - 1:
            trouble(window)
        if i > NIGHTS - 4:
            watch(stores, model, window, now)
        if i == FIRST - 1:
            approve(stores, model, candidate(window), window.end - dt.timedelta(minutes=1), by="ann")
    code = root / "air.py"
    code.write_text(code.read_text().replace("frame.assign(temp=0.0)", "frame"))
    waits = candidate(window)
    raised = stores.incidents.listed()
    assert raised, stores.records.alarms("flights")
    number = raised[0].number
    first = served(stores, model, dataset, next(v for v in stores.records.versions("flights") if v["version"] == 1))
    return root, {"12": str(number), "7": str(waits), "0192f0c1-7b1e-7000-8000-000000000000": first}


def commands(page: Path) -> list[str]:
    blocks = re.findall(r"^ *```sh\n(.*?)^ *```", page.read_text(encoding="utf-8"), re.M | re.S)
    return [line.strip() for block in blocks for line in block.splitlines() if line.strip().startswith("tidegate ")]


def words_of(line: str, known: dict[str, str]) -> list[str]:
    """The words of a command, with what stands for something in the documents replaced by what is in the home."""
    soon = (LAST + dt.timedelta(days=14)).isoformat()
    stands = {"2013-06-14": LAST.isoformat(), "2013-07-01": soon, "2013-07-31": soon} | known
    return [stands.get(w, w) for w in shlex.split(line, comments=True)[1:]]


@pytest.mark.parametrize("page", sorted(PAGES.glob("*.md")), ids=lambda p: p.stem)
def test_every_command_of_a_runbook_does_what_it_says(page, troubled, tidegate, prefect, tmp_path, monkeypatch):
    """Exit code 0, or 3 where a page says that an answer may be no; never a usage error or a fault."""
    origin, known = troubled
    root = tmp_path / "home"
    shutil.copytree(origin, root)
    assert moved(root / "var" / "mlflow.db", origin / "var", root / "var")
    for cached in (load_project, open_stores, load):
        cached.cache_clear()
    if page.stem == "fairness":
        file = root / "configs" / "models" / "flights.yaml"
        file.write_text(file.read_text() + "gate: {fairness: {criteria: [demographic_parity], max_gap: 0.12}}\n")
    if page.stem == "privacy":
        assert tidegate("--home", root, "keys", "add", "billing").code == 0
    monkeypatch.chdir(root)
    if page.stem in GOES_BACK:
        assert tidegate("--home", root, "approve", "flights", known["7"], "--by", "ann").code == 0
    wrong = []
    for line in commands(page):
        said = tidegate("--home", root, *words_of(line, known))
        allowed = {0, 3} if may_say_no(line) else {0}
        if said.code not in allowed or not (said.out + said.err).strip():
            wrong.append(f"{line}: exit code {said.code}: {said.err or said.out}")
    for cached in (load_project, open_stores, load):
        cached.cache_clear()
    assert not wrong, "\n".join(wrong)


GOES_BACK = ("fairness", "latency", "rollback", "service")
"""Pages that roll back: what waits was approved before."""
NO = ("status", "skew", "doctor")
"""Verbs whose answer is no here: an incident is open, the log names another environment, the machine is any."""


def may_say_no(line: str) -> bool:
    return line.split()[1] in NO


def test_every_page_has_commands():
    assert [p.stem for p in PAGES.glob("*.md") if not commands(p)] == []
    assert sum(len(commands(p)) for p in PAGES.glob("*.md")) > 80
