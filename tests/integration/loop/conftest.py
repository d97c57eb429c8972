"""A registered candidate that no gate has looked at, and packages that somebody edited."""

import json
import shutil

import pytest

from tidegate.adapters.packages import load
from tidegate.clock import evening_of
from tidegate.lineage.digest import folder_digest
from tidegate.steps.candidate import train_and_register

NIGHTS = 9


@pytest.fixture(scope="session")
def registered(make_diabetes, loop_of, tmp_path_factory):
    """Nine nights of patients, and version 1 trained on them."""
    loop = loop_of(make_diabetes(tmp_path_factory.mktemp("registered"), NIGHTS, 99), "progression")
    for i in range(NIGHTS):
        loop.ingest(i)
        loop.labels(i)
    window = loop.calendar.window(f"2024-01-{NIGHTS:02}")
    train_and_register(loop.stores, loop.model, window, evening_of(window), reason="test")
    return loop


@pytest.fixture
def copy(registered, tmp_path):
    """The version's package, copied, and its digest."""
    digest = registered.record(1)["digest"]
    folder = tmp_path / digest
    shutil.copytree(registered.stores.package_folder(registered.name, digest), folder)
    yield folder, digest
    load.cache_clear()


@pytest.fixture
def forge():
    """Edits a package's user code or spec, and gives all its digests anew: whoever does so can write records too."""

    def edit(folder, *, code=None, model=None, **spec):
        user = folder / "tidegate" / "user"
        if code is not None:
            (user / "clinic.py").write_text(code)
        if model is not None:
            (folder / "model.skops").write_bytes(model)
        path = folder / "tidegate" / "spec.json"
        body = json.loads(path.read_text()) | spec
        body["user"]["digest"] = folder_digest(user)
        path.write_text(json.dumps(body, indent=1))
        return folder_digest(folder)

    return edit
