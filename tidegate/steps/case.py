"""A candidate's case: what a look at it is about."""

from __future__ import annotations

from dataclasses import dataclass

from tidegate.adapters.packages import Loaded
from tidegate.config.dataset import Dataset
from tidegate.config.model import Model
from tidegate.steps.stores import Stores
from tidegate.windows import Window


@dataclass(frozen=True)
class Case:
    """A version, its package, who it is judged against (None for a first model), on which evening, at which look."""

    stores: Stores
    model: Model
    version: int
    package: Loaded
    champion: tuple[int, Loaded] | None
    window: Window
    look: int

    @property
    def dataset(self) -> Dataset:
        return self.stores.project.dataset(self.model.dataset)
