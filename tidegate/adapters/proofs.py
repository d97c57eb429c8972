"""What was proven of a package's fast path, kept beside the gateway's state so that one worker proves it for all.

A proof holds for one package, one contract and one environment: another version of a library, or another range in the
contract, is another file. A file that cannot be read is as none: the proof is made again.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from tidegate.adapters.environment import environment_digest
from tidegate.config.dataset import Dataset
from tidegate.lineage.digest import json_digest

RULE = 1
"""Number of the rule that proofs are made by; a new one is a new proof."""


@dataclass(frozen=True, slots=True)
class Proof:
    """The largest difference seen, relative above 1, and why the fast path is not taken; empty where it is."""

    apart: float
    why: str = ""


class Proofs:
    """The proofs under one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def _file(self, package: str, dataset: Dataset) -> Path:
        columns = {n: c.model_dump(mode="json") for n, c in dataset.columns.items()}
        key = json_digest({"package": package, "columns": columns, "on": environment_digest(), "rule": RULE})
        return self.folder / f"{key[:32]}.json"

    def get(self, package: str, dataset: Dataset) -> Proof | None:
        """What was proven of a package with this digest, here and under this contract; None if nothing was."""
        try:
            return Proof(**json.loads(self._file(package, dataset).read_text()))
        except (OSError, ValueError, TypeError):
            return None

    def keep(self, package: str, dataset: Dataset, proof: Proof) -> None:
        """Keep a proof; a disk that is full or read-only costs the next worker a second, and nothing else."""
        file = self._file(package, dataset)
        new = file.with_suffix(f".{os.getpid()}")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            new.write_text(json.dumps(asdict(proof)))
            os.replace(new, file)
        except OSError:
            with suppress(OSError):
                new.unlink()


__all__ = ["Proof", "Proofs"]
