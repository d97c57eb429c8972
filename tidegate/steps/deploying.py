"""The deployment files of a home, made from its model files; a model that is wrong holds no other back."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tidegate.clock import now
from tidegate.config.dataset import Dataset
from tidegate.config.home import Home
from tidegate.config.model import Model
from tidegate.config.project import Project
from tidegate.deploy.automations import automations
from tidegate.deploy.documents import HOME, deployments
from tidegate.deploy.fires import last_fire
from tidegate.errors import ConfigError, TidegateError

FOLDER = "deployments"
_HEAD = (
    "# Made from the model files by `tidegate deployments --write`; `tidegate deployments --check` says if it is old.\n"
)


@dataclass(frozen=True)
class Planned:
    """What is to be deployed, and what is wrong with the models that cannot be."""

    deployments: list[dict[str, Any]]
    automations: list[dict[str, Any]]
    models: tuple[str, ...]
    datasets: tuple[str, ...]
    wrong: dict[str, TidegateError]

    def files(self) -> dict[str, str]:
        """The two files by name."""
        # Without a step of our own `prefect deploy` writes down the folder that it happens to be called from.
        step = {"prefect.deployments.steps.set_working_directory": {"directory": HOME}}
        prefect = {"name": "tidegate", "pull": [step], "deployments": self.deployments}
        return {"prefect.yaml": _text(prefect), "automations.yaml": _text({"automations": self.automations})}


def planned(home: Home, *, at: str | None = None) -> Planned:
    """What the configuration says; `at` is the home as the deployments name it, by default a variable."""
    project = Project(home)  # not the one of this process: files may have been edited since
    good: list[tuple[Model, Dataset]] = []
    wrong: dict[str, TidegateError] = {}
    for path in sorted((home.root / "configs" / "models").glob("*.yaml")):
        try:
            model = project.model(path.stem)
            dataset = project.dataset(model.dataset)
            last_fire(model.schedule, dataset.calendar.time_zone, now())
        except ConfigError as fault:
            wrong[path.stem] = fault
        else:
            good.append((model, dataset))
    made = deployments(good, project.platform.schedule, _flows(), at or HOME)
    datasets = tuple(sorted({model.dataset for model, _ in good}))
    return Planned(made, automations(made), tuple(m.name for m, _ in good), datasets, wrong)


def old(home: Home, plan: Planned) -> list[str]:
    """Names of the files in the home that are not what the plan says."""
    folder = home.root / FOLDER
    return [n for n, text in plan.files().items() if not (folder / n).is_file() or (folder / n).read_text() != text]


def write(home: Home, plan: Planned) -> list[Path]:
    """Write the files into the home."""
    folder = home.root / FOLDER
    folder.mkdir(exist_ok=True)
    for name, text in plan.files().items():
        (folder / name).write_text(text)
    return [folder / name for name in plan.files()]


def _flows() -> list[str]:
    """The flows that this version has: modules of `flows`, by their files and without importing them."""
    folder = Path(__file__).parents[2] / "flows"
    return sorted(path.stem for path in folder.glob("*.py"))


class _Plain(yaml.SafeDumper):
    """Writes everything out: an anchor in a file is a riddle."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(body: dict[str, Any]) -> str:
    return _HEAD + yaml.dump(body, Dumper=_Plain, sort_keys=False, width=110, allow_unicode=True)
