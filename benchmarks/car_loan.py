"""CBPE on NannyML's car-loan data: our estimates beside its own, and where they alarm.

    python benchmarks/car_loan.py            (make car-loan)

The data is in NannyML's wheel, which is installed without what it needs into var/bench/car_loan, by its hash; none of
its code runs. 50,000 reference rows with outcomes calibrate the scores, then ten chunks of 5,000 rows are estimated
without theirs. A chunk alarms beyond mean ± 3 standard deviations of the realised ROC AUC of the reference's ten chunks
(NannyML's `StandardDeviationThreshold`, its default). NannyML's figures are what its CBPE 0.13.1 gave on these chunks
when it was run in an environment of its own; the first six are in its documentation too. Ends with an error when an
estimate is more than .002 from NannyML's or the alarms are not on chunks 5 to 9.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from tidegate.config.model import Model
from tidegate.performance.chances import Chances, fit_chances
from tidegate.performance.expected import expected_outcomes
from tidegate.performance.metrics import roc_auc
from tidegate.performance.tally import tally_of

PINS = Path(__file__).with_name("car_loan.txt")
ROOT = Path(__file__).parents[1]
CHUNK, WITHIN = 5_000, 0.002
NANNYML = (0.970744, 0.971011, 0.971407, 0.971091, 0.971123, 0.961090, 0.961825, 0.961073, 0.962533, 0.961316)
ALARMS = [5, 6, 7, 8, 9]
MODEL = Model.model_validate(
    {"name": "car_loan", "dataset": "loans", "kind": "binary", "features": ["car_value"],
     "label": {"column": "repaid", "classes": [0, 1], "positive": 1, "source": {"files": "{date}.csv"}}}
)  # fmt: skip


@dataclass(frozen=True)
class Chunk:
    """One chunk: our estimate, NannyML's, what came true, the estimate without calibration."""

    number: int
    estimated: float
    nannyml: float
    realised: float
    uncalibrated: float
    alarm: bool


def data(folder: Path) -> dict[str, pd.DataFrame]:
    """Reference, analysis and the analysis' targets, installed when they are not there."""
    stamp = folder / "pins.txt"
    if not stamp.is_file() or stamp.read_bytes() != PINS.read_bytes():
        uv = Path(sys.executable).with_name("uv")
        command = [uv, "pip", "install", "--quiet", "--no-deps", "--require-hashes", "--target", folder, "-r", PINS]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            why = (done.stderr.strip() or "uv gave no reason").splitlines()[-1]
            raise SystemExit(f"car_loan: expected NannyML's wheel, found: {why}. Next: look at your package index")
        stamp.write_bytes(PINS.read_bytes())
    found = folder / "nannyml" / "datasets" / "data"
    return {n: pd.read_csv(found / f"synthetic_car_loan_{n}.csv") for n in ("reference", "analysis", "analysis_target")}


def chunks(tables: dict[str, pd.DataFrame]) -> tuple[list[Chunk], float, float]:
    """The chunks of the analysis, and the limits from the reference."""
    reference, analysis = tables["reference"], tables["analysis"].merge(tables["analysis_target"], on="id")
    scores, labels = _columns(reference)
    curves = fit_chances(scores, labels, np.arange(len(labels)) // CHUNK)
    usual = [roc_auc(tally_of(MODEL, scores[at], labels[at])) for at in _parts(len(labels))]
    low, high = (float(np.mean(usual) + side * np.std(usual)) for side in (-3, 3))
    scores, labels = _columns(analysis)
    out = []
    for number, at in enumerate(_parts(len(labels))):
        guess, plain = (roc_auc(expected_outcomes(MODEL, scores[at], c.of(scores[at]))) for c in (curves, Chances()))
        came = roc_auc(tally_of(MODEL, scores[at], labels[at]))
        out.append(Chunk(number, guess, NANNYML[number], came, plain, not low <= guess <= high))
    return out, low, high


def _columns(table: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    return table["y_pred_proba"].to_numpy(dtype=float), table["repaid"].to_numpy(dtype=int)


def _parts(rows: int) -> list[slice]:
    return [slice(i, i + CHUNK) for i in range(0, rows, CHUNK)]


def main() -> int:
    folder = ROOT / "var" / "bench" / "car_loan"
    folder.mkdir(parents=True, exist_ok=True)
    found, low, high = chunks(data(folder))
    print("chunk  estimated    NannyML  difference  realised  uncalibrated  alarm")
    for c in found:
        print(f"{c.number:5}  {c.estimated:9.6f}  {c.nannyml:9.6f}  {c.estimated - c.nannyml:+10.6f}  "
              f"{c.realised:8.6f}  {c.uncalibrated:12.6f}  {'yes' if c.alarm else ''}")  # fmt: skip
    worst, alarms = max(abs(c.estimated - c.nannyml) for c in found), [c.number for c in found if c.alarm]
    good = worst <= WITHIN and alarms == ALARMS
    print(f"limits {low:.6f} to {high:.6f}; at most {worst:.6f} from NannyML's (allowed {WITHIN}); "
          f"alarms on {alarms}: {'as NannyML' if good else 'NOT as NannyML'}")  # fmt: skip
    body = {"chunks": [vars(c) for c in found], "low": low, "high": high, "worst": worst, "good": good}
    (folder.parent / "car_loan.json").write_text(json.dumps(body, indent=1))
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
