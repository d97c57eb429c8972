"""What every peer's script shares: its arguments, and the form of its answer.

A script gives `answer` the function that does the work. It is called with the two files and the
options, and returns for each column whether it drifted: True, False, or text that says why the
peer could not tell. With `--import-only` only the imports are done, so that they can be
measured apart; the CPU seconds of the work after them are printed beside the verdicts.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Mapping

Verdicts = Mapping[str, "bool | str"]


def answer(imports: Callable[[], object], judge: Callable[[argparse.Namespace], Verdicts]) -> None:
    """Import, judge unless told not to, and print the verdicts as one line of JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("reference", nargs="?")
    parser.add_argument("current", nargs="?")
    parser.add_argument("--import-only", action="store_true")
    parser.add_argument("--sample", type=int, default=0, help="judge this many rows of each file only")
    parser.add_argument("--method", default="default")
    asked = parser.parse_args()
    imports()
    began = time.process_time()
    verdicts = {} if asked.import_only else judge(asked)
    print(json.dumps({"work_s": round(time.process_time() - began, 4), "verdicts": verdicts}))
