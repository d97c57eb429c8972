"""The lab's comparators against the libraries themselves, on real nights of the flights.

    python benchmarks/lab_rules.py --base var/lab/quick/base [--nights 12]

Evidently is asked in this process for each column's distance on some nights against the first nights; NannyML in an
environment of its own (benchmarks/peers/nannyml.txt) for distances and thresholds, each night a chunk. Prints the
largest difference from `tidegate/lab/rules`, column by column, and exits 1 if one is above a millionth.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

sys.path.insert(0, str(Path(__file__).parent / "peers"))

from envs import interpreter

from tidegate.lab.rules import Evidently, ThreeSigma, column_of, merged
from tidegate.lab.rules.threesigma import distance_from

ROOT = Path(__file__).resolve().parents[1]
LEARNED = 60
CLOSE = 1e-6

NANNYML = """
import json, logging, sys, warnings
warnings.filterwarnings("ignore"); logging.disable(logging.ERROR)
import nannyml as nml, pandas as pd
reference, current = pd.read_parquet(sys.argv[1]), pd.read_parquet(sys.argv[2])
names = [c for c in reference.columns if c not in ("night", "at")]
calc = nml.UnivariateDriftCalculator(column_names=names, timestamp_column_name="at", chunk_period="D")
frame = calc.fit(reference).calculate(current).filter(period="analysis").to_df()
print(json.dumps({n: {k: frame[n, "jensen_shannon"][k].astype(float).tolist()
                      for k in ("value", "upper_threshold")} for n in names}))
"""


def tables(base: Path, nights: int) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, str]]:
    """Reference and later nights, and the types of the columns that both libraries take."""
    body = json.loads((base / "base.json").read_text())
    types = {k: v for k, v in json.loads((base / "package" / "tidegate" / "spec.json").read_text())["features"].items()
             if v in ("integer", "number", "category")}  # fmt: skip
    frame = pq.read_table(base / "rows.parquet", columns=[*types, "night"]).to_pandas()
    first, later = body["nights"][:LEARNED], body["nights"][LEARNED : LEARNED + nights]
    return frame[frame["night"].isin(first)], frame[frame["night"].isin(later)], types


def by_evidently(reference: pd.DataFrame, current: pd.DataFrame, types: dict[str, str]) -> dict[str, float]:
    """Distances of one night, from Evidently itself; a column without values would make it raise for all."""
    from evidently import DataDefinition, Dataset, Report
    from evidently.presets import DataDriftPreset

    able = [c for c in types if current[c].notna().any()]
    codes = [c for c in able if types[c] == "category"]
    told = DataDefinition(numerical_columns=[c for c in able if c not in codes], categorical_columns=codes)
    sides = [Dataset.from_pandas(x[able], data_definition=told) for x in (current, reference)]
    found = Report([DataDriftPreset()]).run(*sides).dict()["metrics"]
    return {m["config"]["column"]: float(m["value"]) for m in found if "column" in m.get("config", {})}


def by_nannyml(reference: pd.DataFrame, current: pd.DataFrame, envs: Path) -> dict[str, dict[str, list[float]]]:
    python = interpreter("nannyml", envs)
    if isinstance(python, str):
        raise SystemExit(f"NannyML does not install: {python}")
    with tempfile.TemporaryDirectory() as folder:
        files = []
        for name, frame in (("reference", reference), ("current", current)):
            files.append(Path(folder) / f"{name}.parquet")
            frame.assign(at=pd.to_datetime(frame["night"])).to_parquet(files[-1])
        done = subprocess.run([python, "-c", NANNYML, *files], capture_output=True, text=True, check=False,
                              env=os.environ | {"NML_DISABLE_USAGE_LOGGING": "1"})  # fmt: skip
    if done.returncode:
        raise SystemExit(done.stderr[-2000:])
    return json.loads(done.stdout.splitlines()[-1])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", type=Path, default=ROOT / "var/lab/quick/base")
    parser.add_argument("--envs", type=Path, default=ROOT / "var/bench/envs")
    parser.add_argument("--nights", type=int, default=12)
    asked = parser.parse_args()
    warnings.simplefilter("ignore")
    os.environ["DO_NOT_TRACK"] = "true"
    reference, current, types = tables(asked.base, asked.nights)
    import pyarrow as pa

    def columns(frame: pd.DataFrame) -> dict[str, object]:
        return {c: column_of(pa.chunked_array([pa.array(frame[c], from_pandas=True)]), t) for c, t in types.items()}

    past = [columns(f) for _, f in reference.groupby("night")]
    nights = [(n, f, columns(f)) for n, f in current.groupby("night")]
    worst = {"evidently": 0.0, "nannyml": 0.0, "nannyml threshold": 0.0}
    for _, frame, mine in nights:
        for name, value in by_evidently(reference, frame, types).items():
            own = Evidently().fit([night[name] for night in past])(mine[name]) * 0.1
            worst["evidently"] = max(worst["evidently"], abs(own - value))
    theirs = by_nannyml(reference, current, asked.envs)
    for name, told in theirs.items():
        distance = distance_from(merged([night[name] for night in past]))
        rule = ThreeSigma().fit([night[name] for night in past])
        usual = np.array([distance(night[name]) for night in past])
        limit = float(np.nanmean(usual) + 3 * np.nanstd(usual))
        for (_, _, mine), value, upper in zip(nights, told["value"], told["upper_threshold"], strict=True):
            own = distance(mine[name])
            worst["nannyml"] = max(worst["nannyml"], abs(own - value))
            worst["nannyml threshold"] = max(worst["nannyml threshold"], abs(limit - upper))
            assert (rule(mine[name]) > 3) == (own > limit or own < 2 * np.nanmean(usual) - limit)
    for name, difference in worst.items():
        print(f"{name:20} largest difference {difference:.2e} over {len(nights)} nights and {len(types)} columns")
    return int(max(worst.values()) > CLOSE)


if __name__ == "__main__":
    sys.exit(main())
