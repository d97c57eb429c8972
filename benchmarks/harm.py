"""Estimated against realised harm: faults and shifts put into the flights' nights, with labels that tell the truth.

    OMP_NUM_THREADS=1 .venv/bin/python benchmarks/harm.py [--seeds 12] [--seed 17]

needs `examples/flights/prepare.py var/flights` to have run; about five CPU minutes the first time, two after that.
The year's nights are permuted within their weekdays, the first 26 weeks are the reference, and every night is scored
by a member that is blind to it. Into nights of the rest come a unit change, missing values, a default value, a remapped
code table, stale values, and rows drawn anew so that inputs move while outcomes given inputs stay. Estimated is what
the nightly watch says without labels; realised is the loss of the KPI with them. Prints a table and writes
var/harm/figures.json.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path
from shutil import copytree, rmtree

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from tidegate.alarms.aa import permuted  # noqa: E402
from tidegate.alarms.marginal import Marginal  # noqa: E402
from tidegate.alarms.series import Series, drift_series  # noqa: E402
from tidegate.config.home import Home  # noqa: E402
from tidegate.decision.harm import row_gain  # noqa: E402
from tidegate.performance.tally import total  # noqa: E402
from tidegate.profile.profile import profile_of  # noqa: E402
from tidegate.steps.covariates import ROWS, WINDOW_ROWS, effect_of_inputs, labelled_of  # noqa: E402
from tidegate.steps.effect import Night, worth  # noqa: E402
from tidegate.steps.outcomes import tally_table  # noqa: E402
from tidegate.steps.stores import open_stores  # noqa: E402
from tidegate.steps.trial import Split, Trial, scored_rows, take_in, trial, weekdays  # noqa: E402
from tidegate.verdicts import Effect  # noqa: E402

WEEK = 7
TOLD = 42
"""Nights on which what a fault does cost is measured: on a week chance alone is ± 2 % of the KPI."""
LOUD = 3.5
"""Standard scores from which on a night counts as signalled: nobody asks what a quiet column costs."""
LEARNED = 182
Change = Callable[[pa.Table, np.random.Generator], pa.Table]


@dataclass
class Cell:
    """One fault at one magnitude in one seed; harms are shares of the usual KPI."""

    fault: str
    magnitude: str
    column: str
    realised: float
    effect: Effect
    usual: float
    signalled: bool = True

    @property
    def estimated(self) -> float:
        return self.effect.value / abs(self.usual)

    @property
    def material(self) -> bool:
        return self.realised >= 0.02


def put(table: pa.Table, column: str, values: pa.Array) -> pa.Table:
    return table.set_column(table.column_names.index(column), column, pa.array(values).cast(table[column].type))


def numbers(table: pa.Table, column: str) -> np.ndarray:
    return np.array(table[column].cast(pa.float64(), safe=False).to_numpy(), dtype=np.float64)


def as_type(table: pa.Table, column: str, x: np.ndarray) -> pa.Array:
    made = pa.array(x, from_pandas=True)
    return pc.round(made) if pa.types.is_integer(table[column].type) else made


def faults(rng: np.random.Generator, stale: pa.Table) -> list[tuple[str, str, str, Change]]:
    """Fault, magnitude, column, change; columns are drawn."""
    number = str(rng.choice(["sched_dep_time", "sched_arr_time", "temp", "humid", "pressure"]))
    category = str(rng.choice(["carrier", "origin", "dest"]))
    either = str(rng.choice([number, category]))
    out: list[tuple[str, str, str, Change]] = []
    for factor in (1.2, 2.0, 100.0):
        out.append(("unit change", f"× {factor:g}", number, lambda t, r, f=factor: put(
            t, number, as_type(t, number, numbers(t, number) * f))))  # fmt: skip
    for share in (0.2, 0.5, 0.9):

        def nulls(t: pa.Table, r: np.random.Generator, share: float = share) -> pa.Table:
            kept = pa.array(r.random(t.num_rows) >= share)
            return put(t, either, pc.if_else(kept, t[either], pa.scalar(None, t[either].type)).combine_chunks())

        def default(t: pa.Table, r: np.random.Generator, share: float = share) -> pa.Table:
            hit = r.random(t.num_rows) < share
            if either == category:
                most = pc.mode(t[either].combine_chunks().dictionary_encode().indices)[0]["mode"].as_py()
                value = t[either].combine_chunks().dictionary_encode().dictionary[most].as_py()
                return put(t, either, pc.if_else(pa.array(hit), value, t[either].cast(pa.string())).combine_chunks())
            return put(t, either, as_type(t, either, np.where(hit, 0.0, numbers(t, either))))

        def old(t: pa.Table, r: np.random.Generator, share: float = share) -> pa.Table:
            hit = pa.array(r.random(t.num_rows) < share)
            drawn = stale[either].take(pa.array(r.integers(0, stale.num_rows, t.num_rows)))
            return put(t, either, pc.if_else(hit, drawn.combine_chunks(), t[either].combine_chunks()))

        out += [("null burst", f"{share:.0%}", either, nulls), ("default value", f"{share:.0%}", either, default)]
        out.append(("stale values", f"{share:.0%}", either, old))
    for part in (0.25, 0.5, 1.0):

        def remap(t: pa.Table, r: np.random.Generator, part: float = part) -> pa.Table:
            names = sorted(set(stale[category].to_pylist()) - {None})
            turned = names[: max(2, round(part * len(names)))]
            to = dict(zip(turned, turned[1:] + turned[:1], strict=True))
            return put(t, category, pa.array([to.get(v, v) for v in t[category].to_pylist()], pa.string()))

        out.append(("remapped codes", f"{part:.0%} of them", category, remap))
    return out


def fault_cell(tried: Trial, split: Split, nights: list[str], named: tuple[str, str, str, Change],
               rng: np.random.Generator) -> Cell:  # fmt: skip
    """A week under one fault: the mean of what each night says it costs, and what it did cost."""
    name, magnitude, column, change = named
    before, after, found, loud = [], [], [], 0
    cut = float(tried.package.spec["threshold"])
    for i, n in enumerate(nights):
        rows = change(tried.rows[n], rng)
        scores = tried.score(n, rows)
        before.append(tally_table(tried.model, tried.outcomes[n], cut))
        after.append(tally_table(tried.model, scored_rows(tried, n, rows, scores), cut))
        if i >= WEEK:
            continue
        loud += _loud(split, column, rows)
        night = Night(
            tried.model, cut, split.usual_worth, partial(tried.score, n), split.reference,
            split.own_reference["prediction"].columns["prediction"], rows, scores, None, seed=int(rng.integers(2**31)),
        )  # fmt: skip
        harm = night.harm(Series("feature", column, "shape"), 1.0, "upstream")
        found.append(harm.readings[0])
    usual = split.usual_worth
    realised = (worth(tried.model, total(before)) - worth(tried.model, total(after))) / abs(usual)
    middle = [float(np.mean([getattr(e, k) for e in found])) for k in ("value", "low", "high")]
    effect = Effect(middle[0], found[0].unit, "", False, "fault", middle[1], middle[2],
                    all(e.estimable for e in found))  # fmt: skip
    return Cell(name, magnitude, column, realised, effect, usual, loud >= WEEK / 2)


def _loud(split: Split, column: str, rows: pa.Table) -> bool:
    """Whether a night's column is farther from the reference than the learned nights ever allow for."""
    reference = split.reference.only([column])
    values = drift_series("feature", reference, profile_of(rows.select([column]), reference.grid), [column])
    for series, value in values.items():
        usual = Marginal.fit([split.history[d].get(series, np.nan) for d in split.learned], series.floor)
        z = float(usual.z(np.array([value]))[0]) if usual else 0.0
        if (abs(z) if series.signed else z) > LOUD:
            return True
    return False


def tilted(tried: Trial, split: Split, nights: list[str], strength: float, rng: np.random.Generator, name: str) -> Cell:
    """Rows of these nights drawn anew by one of their features: harm as told, and as labels tell it."""
    t = tried
    rows = pa.concat_tables([t.rows[n] for n in nights])
    scores = np.concatenate([t.outcomes[n]["score"].to_numpy() for n in nights])
    labels = np.concatenate([t.outcomes[n]["label"].to_numpy() for n in nights]).astype(float)
    column = str(rng.choice(["sched_dep_time", "distance", "carrier", "dest", "temp", "wind_speed"]))
    if column in ("carrier", "dest"):
        code = rows[column].combine_chunks().dictionary_encode()
        level = rng.normal(size=len(code.dictionary))[code.indices.fill_null(0).to_numpy(zero_copy_only=False)]
    else:
        x = numbers(rows, column)
        level = np.nan_to_num((x - np.nanmean(x)) / np.nanstd(x)) * rng.choice([-1.0, 1.0])
    p = np.exp(strength * np.clip(level, -3, 3))
    p /= p.sum()
    drawn = rng.choice(len(p), WINDOW_ROWS, p=p)
    cut = float(t.package.spec["threshold"])
    gain = row_gain(t.model, scores, labels, cut)
    usual = split.usual_worth
    realised = (usual - float(p @ gain)) / abs(usual)
    known, mine = reference_of(t, split, rng), rows.take(pa.array(drawn))
    effect = effect_of_inputs(t.model, known, mine, lambda: scores[drawn], usual, rng)
    return Cell(name, f"tilt {strength:g}", column, realised, effect, usual)


def reference_of(tried: Trial, split: Split, rng: np.random.Generator):  # type: ignore[no-untyped-def]
    """A sample of the learned nights, as `tidegate.steps.covariates.reference_rows` has it."""
    whole = split.outcomes
    mine = whole.take(pa.array(np.sort(rng.permutation(whole.num_rows)[:ROWS])))
    stored = pa.concat_tables([tried.rows[split.order[d]] for d in split.learned])
    at = pc.index_in(mine["row_id"], stored["row_id"].combine_chunks())
    return stored.select(list(tried.model.features)).take(at), labelled_of(tried.model, tried.package, mine)


def home() -> Home:
    """A home of its own, whose lake is kept for the next run."""
    root = ROOT / "var" / "harm" / "home"
    for name in ("configs", "examples"):
        rmtree(root / name, ignore_errors=True)
        copytree(ROOT / name, root / name)
    (root / "var").mkdir(exist_ok=True)
    if not (root / "var" / "flights").exists():
        (root / "var" / "flights").symlink_to((ROOT / "var" / "flights").resolve())
    return Home.at(root)


def measured(seeds: int, seed: int) -> list[Cell]:
    stores = open_stores(home())
    model = stores.project.model("flights")
    now = datetime(2014, 3, 1, tzinfo=UTC)
    nights = take_in(stores, model, date(2013, 1, 1), date(2013, 12, 30), now)
    calendar = stores.project.calendar(stores.project.dataset(model.dataset))
    out = []
    with trial(stores, model, nights, calendar.window("2014-02-15"), now) as tried:
        for k in range(seeds):
            rng = np.random.default_rng([seed, k])
            dates = list(tried.nights)
            order = permuted(dates, weekdays(dates).tolist(), rng)
            split = tried.split(order, dates[:LEARNED])
            some = [split.order[d] for d in rng.choice(np.array(split.rest), TOLD, replace=False)]
            week = some[:WEEK]
            stale = tried.rows[split.order[str(rng.choice(np.array(split.rest)))]]
            out += [fault_cell(tried, split, some, named, rng) for named in faults(rng, stale)]
            for strength in (0.3, 0.7, 1.2):
                every = [split.order[d] for d in split.rest]
                out.append(tilted(tried, split, every, strength, rng, "inputs, half a year's"))
                out.append(tilted(tried, split, week, strength, rng, "inputs, a week's"))
            print(f"seed {k + 1} of {seeds}", file=sys.stderr, flush=True)
    return out


def table(cells: list[Cell]) -> list[dict[str, object]]:
    rows = []
    for name, magnitude in dict.fromkeys((c.fault, c.magnitude) for c in cells):
        mine = [c for c in cells if (c.fault, c.magnitude) == (name, magnitude)]
        rows.append({"fault": name, "magnitude": magnitude, **summary(mine)})
    for name in dict.fromkeys(c.fault for c in cells):
        rows.append({"fault": name, "magnitude": "all", **summary([c for c in cells if c.fault == name])})
    rows.append({"fault": "all", "magnitude": "all", **summary(cells)})
    return rows


def summary(cells: list[Cell]) -> dict[str, object]:
    asked = [c for c in cells if c.signalled]
    known = [c for c in asked if c.effect.estimable]
    telling = [c for c in known if c.material]
    ratios = [c.estimated / c.realised for c in telling]
    mild = [c for c in known if not c.material]
    return {
        "cells": len(cells), "signalled": len(asked), "estimable": len(known), "material": len(telling),
        "realised": float(np.median([c.realised for c in known])) if known else None,
        "estimated": float(np.median([c.estimated for c in known])) if known else None,
        "ratio": float(np.median(ratios)) if ratios else None,
        "within_two": float(np.mean([0.5 <= r <= 2 for r in ratios])) if ratios else None,
        "covered": float(np.mean([c.effect.low <= c.realised * abs(c.usual) <= c.effect.high for c in known]))
        if known else None,
        "false_material": float(np.mean([c.estimated >= 0.02 and c.effect.low > 0 for c in mild])) if mild else None,
    }  # fmt: skip


def show(rows: list[dict[str, object]]) -> None:
    print(
        f"{'fault':22} {'magnitude':13} cells signal. estim. mater. realised estimated ratio within 2 called material"
    )
    for r in rows:

        def cell(key: str, form: str, r: dict[str, object] = r) -> str:
            return "–" if r[key] is None else format(r[key], form)

        print(
            f"{r['fault']:22} {r['magnitude']:13} {r['cells']:5} {r['signalled']:7} "
            f"{r['estimable']:6} {r['material']:6} "
            f"{cell('realised', '.1%'):>8} {cell('estimated', '.1%'):>9} {cell('ratio', '.2f'):>5} "
            f"{cell('within_two', '.0%'):>8} {cell('covered', '.0%'):>7} {cell('false_material', '.0%'):>6}"
        )


if __name__ == "__main__":
    asked = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    asked.add_argument("--seeds", type=int, default=12)
    asked.add_argument("--seed", type=int, default=17)
    options = asked.parse_args()
    found = measured(options.seeds, options.seed)
    rows = table(found)
    show(rows)
    cells = [{"fault": c.fault, "magnitude": c.magnitude, "column": c.column, "realised": c.realised,
              "estimated": c.estimated if c.effect.estimable else None, "estimable": c.effect.estimable,
              "signalled": c.signalled,
              "words": c.effect.words} for c in found]  # fmt: skip
    (ROOT / "var" / "harm" / "figures.json").write_text(json.dumps({"rows": rows, "cells": cells}, indent=1))
