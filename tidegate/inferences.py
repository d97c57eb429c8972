"""Logs what somebody else's server or batch job answered, so that Tidegate can watch it.

>>> from tidegate.inferences import InferenceLogger    # doctest: +SKIP
>>> with InferenceLogger("/srv/ml", "flights") as log:  # doctest: +SKIP
...     ids = log.log(rows, scores)
"""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from tidegate.adapters.counterpage import Counts


class InferenceLogger:
    """Writes to a model's log, under its privacy policy; safe to share among threads.

    What was logged is in the lake after the next night. Sealing by age needs calls: of `log`, or of `tick` while
    there is nothing to log. A full disk raises nothing here; `counts` says what was dropped.

    Parameters
    ----------
    home : str or Path
        The folder with ``configs/tidegate.yaml``.
    model : str
        Name of a file in ``configs/models``.
    writer : str
        Who writes, for people; by default this machine and process.

    Raises
    ------
    UsageError
        If home or model are not what they should be.
    """

    def __init__(self, home: str | Path, model: str, *, writer: str | None = None) -> None:
        import time

        from tidegate.adapters.inferencelog import InferenceLog
        from tidegate.config.home import Home, find_home
        from tidegate.config.project import load_project

        self._clock = time.time_ns
        root = find_home(home)
        project = load_project(Home.at(root))
        project = load_project(Home.at(root, project.platform.state))
        self.model = project.model(model)
        self.dataset = project.dataset(self.model.dataset)
        platform = project.platform
        self._durable = platform.serving.log.durability == "sync"
        self._log = InferenceLog(
            project.home.state, platform.namespace, self.dataset, self.model, platform.serving.log,
            writer=writer or f"{socket.gethostname()}-{os.getpid()}",
        )  # fmt: skip

    def log(
        self, rows: Sequence[dict[str, Any]] | pa.Table | pd.DataFrame, scores: Any, predictions: Any = None, *,
        version: int = 0, package: str = "", code: str = "", ids: Sequence[str] | None = None,
        latency: float | None = None, caller: str = "", trace: str = "", route: str = "champion",
    ) -> list[str]:  # fmt: skip
        """Log rows and what was answered; returns the inference id of each.

        Parameters
        ----------
        rows : list of dict, pyarrow.Table or pandas.DataFrame, n rows
            With every feature of the model; key, event time, segments where they are known. Other columns are left
            out.
        scores : array-like, shape (n,) or (n, classes)
            Probability of the positive class, of each class, or the predicted number; finite.
        predictions : array-like, shape (n,), optional
            What was decided, as values of the label. Left out, the likeliest of several classes and the number of a
            regression; of two classes nothing, since only who answered knows the threshold.
        version : int
            Of the model; 0 for one that Tidegate does not know.
        package, code : str
            Digests of the model's package and of the code of its features, where they are known.
        ids : sequence of str, optional
            The caller's own ids; kept beside ours.
        latency : float, optional
            Seconds that the answer took.

        Raises
        ------
        UsageError
            For rows that break the contract, or lengths that differ. Nothing is logged then.
        """
        from tidegate.adapters.environment import environment_digest
        from tidegate.adapters.inferencelog import Answered, new_ids
        from tidegate.contract.answered import answers, contract_rows

        tuples = contract_rows(rows, self.dataset, self.model.features, self._log.columns)
        values, decided, sure = answers(self.model, scores, predictions, len(tuples))
        own = _own_ids(ids, len(tuples))
        now = self._clock()
        about = Answered(
            now, -1 if latency is None else round(latency * 1e9), version, package, code, environment_digest(), route,
            "logger", caller, trace,
        )  # fmt: skip
        given = new_ids(len(tuples), now)
        for at in range(0, len(tuples), 10_000):
            part = slice(at, at + 10_000)
            self._log.append(about, tuples[part], given[part], own[part], values[part], decided[part], sure[part])
        if self._durable:
            self._log.sync()
        self._log.tick()
        return given

    def counts(self) -> Counts:
        """Rows admitted to the log, stored, and dropped, by this logger."""
        return self._log.counts()

    def tick(self) -> None:
        """Seal what is old enough; for servers that have nothing to log for a while."""
        self._log.tick()

    def close(self) -> None:
        """Seal, so that the next night finds everything."""
        self._log.close()

    def __enter__(self) -> InferenceLogger:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _own_ids(ids: Sequence[str] | None, n: int) -> list[str | None]:
    from tidegate.errors import UsageError

    if ids is None:
        return [None] * n
    own: list[str | None] = [str(i) for i in ids]
    if len(own) != n:
        raise UsageError("ids of inferences", f"one a row, {n}", str(len(own)), "give an id for each row, or none")
    return own


__all__ = ["InferenceLogger"]
