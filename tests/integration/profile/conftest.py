from __future__ import annotations

import os
import sys
from dataclasses import dataclass

import pytest


@dataclass(frozen=True)
class Said:
    """What a call of the command came to."""

    code: int
    out: str
    err: str

    def one_line(self) -> str:
        """The fault on stderr: one line of the form that all have."""
        assert self.err.startswith("tidegate: "), self.err
        assert self.err.count("\n") == 1, self.err
        for word in ("Traceback", 'File "'):
            assert word not in self.err + self.out
        return self.err.removeprefix("tidegate: ").rstrip("\n")


@pytest.fixture
def tidegate(monkeypatch, capsys):
    """Calls the command's entry point in this process, where the libraries are loaded already."""
    from tidegate.cli.main import main

    environment = dict(os.environ)

    def call(*words: object) -> Said:
        capsys.readouterr()
        monkeypatch.setattr(sys, "argv", ["tidegate", *map(str, words)])
        with pytest.raises(SystemExit) as caught:
            main()
        said = capsys.readouterr()
        return Said(int(caught.value.code or 0), said.out, said.err)

    yield call
    os.environ.clear()
    os.environ.update(environment)
