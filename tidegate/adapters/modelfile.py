"""What the files of a model may hold: our own list of types and names, whatever the files themselves say.

The digest of a package says that nobody changed it. This says that even somebody who could
write a new digest as well gets no code run by a model's file.
"""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tidegate.errors import RegistryError
from tidegate.lineage.usercode import PACKAGE, load_copied, package_of

# Exact types that scikit-learn's own estimators are made of and skops asks about.
TRUSTED = (
    "functools.partial",
    "numpy.dtype",
    "sklearn._loss.link.Interval",
    "sklearn._loss.link.LogitLink",
    "sklearn._loss.link.MultinomialLogit",
    "sklearn._loss.link.IdentityLink",
    "sklearn._loss.loss.HalfBinomialLoss",
    "sklearn._loss.loss.HalfMultinomialLoss",
    "sklearn._loss.loss.HalfSquaredError",
    "sklearn.calibration._CalibratedClassifier",
    "sklearn.calibration._SigmoidCalibration",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.tree._tree.Tree",
    "sklearn.utils.validation.check_array",
)
MEMBERS = re.compile(r"schema\.json|[0-9a-f-]{1,40}\.(npy|npz|bin)")
RUNNABLE = (".pkl", ".pickle", ".joblib", ".dill", ".cloudpickle", ".pyc", ".so", ".pth", ".sh", ".zip", ".whl")
EXPANDED = 1 << 30
"""Bytes that the compressed arrays of a model may unpack to."""
REFUSE = "do not serve this model"


def refuse_strangers(thing: str, types: list[str], do: str = REFUSE) -> None:
    """Raise `RegistryError` if a type is neither on our list nor of the user's own code."""
    strangers = [t for t in types if t not in TRUSTED and not t.startswith(f"{PACKAGE}.")]
    if strangers:
        raise RegistryError(thing, "types on Tidegate's trusted list", ", ".join(strangers), do)


def check_files(folder: Path) -> None:
    """Refuse links, files that something might run, and an `MLmodel` that leads anywhere but to our skops file.

    Raises
    ------
    RegistryError
        For the first thing that is not as `save` writes it.
    """
    thing = f"model package {folder.name}"
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        if path.is_symlink():
            raise RegistryError(thing, "plain files", f"a link, {name}", REFUSE)
        # Caches are not in the digest, and nothing reads them.
        if "__pycache__" in name.parts or not path.is_file():
            continue
        if path.suffix.lower() in RUNNABLE or (path.suffix == ".py" and name.parts[:2] != ("tidegate", "user")):
            raise RegistryError(thing, "no file that could be run", str(name), REFUSE)
    _check_mlmodel(thing, folder / "MLmodel")


def _check_mlmodel(thing: str, path: Path) -> None:
    import yaml

    try:
        flavors = yaml.safe_load(path.read_text())["flavors"]
        python, sklearn = flavors["python_function"], flavors["sklearn"]
        found = {
            "loader_module": python["loader_module"],
            "model_path": python["model_path"],
            "pickled_model": sklearn["pickled_model"],
            "serialization_format": sklearn["serialization_format"],
            "code": sklearn.get("code") or python.get("code"),
        }
        types = [str(t) for t in sklearn.get("skops_trusted_types") or ()]
    except (OSError, UnicodeError, yaml.YAMLError, TypeError, KeyError, AttributeError, RecursionError) as fault:
        raise RegistryError(thing, "an MLmodel of scikit-learn's flavour", _said(fault), REFUSE) from None
    wanted = {
        "loader_module": "mlflow.sklearn",
        "model_path": "model.skops",
        "pickled_model": "model.skops",
        "serialization_format": "skops",
        "code": None,
    }
    for key, value in wanted.items():
        if found[key] != value:
            raise RegistryError(f"{thing}, MLmodel", f"{key} {value}", str(found[key]), REFUSE)
    if more := sorted(map(str, set(flavors) - {"python_function", "sklearn"})):
        raise RegistryError(f"{thing}, MLmodel", "no other flavour", ", ".join(more), REFUSE)
    refuse_strangers(f"{thing}, MLmodel", types)


def types_in(thing: str, file: Path) -> list[str]:
    """The types in a skops file that skops does not trust by itself; nothing of it is built.

    Raises
    ------
    RegistryError
        If it is not a skops file, unpacks to more than it should, or names a type that is not on our list.
    """
    import skops.io

    try:
        _check_zip(thing, file)
        types = list(skops.io.get_untrusted_types(file=file))
    except RegistryError:
        raise
    except Exception as fault:  # whatever a file that somebody made may provoke in zipfile, json, NumPy or skops
        raise RegistryError(thing, "a skops file", _said(fault), REFUSE) from None
    refuse_strangers(thing, types)
    return types


def build(thing: str, file: Path, types: list[str], user: Path, model: str, digest: str) -> Any:
    """Build the estimator of a checked skops file; types of the user's own are imported from the copied code.

    Raises
    ------
    RegistryError
        If it names something in the user's module that was not defined there, or cannot be built.
    """
    import skops.io

    try:
        own = [t for t in types if t.startswith(f"{PACKAGE}.")]
        if own:
            _check_own(thing, file, own, user, model, digest)
        return skops.io.load(file, trusted=types)
    except RegistryError:
        raise
    except Exception as fault:  # as above
        raise RegistryError(thing, "an estimator that can be built", _said(fault), REFUSE) from None


def _check_zip(thing: str, file: Path) -> None:
    """Nothing compressed, nothing twice, no name but skops's own: so it is no larger than the file."""
    with zipfile.ZipFile(file) as packed:
        members = packed.infolist()
        names = [m.filename for m in members]
        odd = [n for n in names if not MEMBERS.fullmatch(n)]
        if odd or len(set(names)) < len(names):
            raise RegistryError(thing, "the members of a skops file", repr(odd[0]) if odd else "one twice", REFUSE)
        squeezed = any(m.compress_type != zipfile.ZIP_STORED for m in members)
        size = sum(m.file_size for m in members)
        if squeezed or size > file.stat().st_size:
            raise RegistryError(thing, "members that are stored as they are", f"{size} bytes packed", REFUSE)
        for name in names:
            if name.endswith(".npz"):
                with packed.open(name) as inner, zipfile.ZipFile(inner) as arrays:
                    size += sum(m.file_size for m in arrays.infolist())
        if size > EXPANDED + file.stat().st_size:
            raise RegistryError(thing, f"arrays of at most {EXPANDED} bytes", f"{size} bytes", REFUSE)


def _check_own(thing: str, file: Path, types: list[str], user: Path, model: str, digest: str) -> None:
    """The user's module may import `run` from anywhere: only what it defines may be named, only classes be called."""
    package = package_of(model, digest)
    for name in types:
        module, _, rest = name.removeprefix(f"{package}.").partition(".")
        ours = name.startswith(f"{package}.") and rest
        found = load_copied(f"{module}:{rest.partition('.')[0]}", user, model, digest) if ours else None
        home = getattr(found, "__module__", None)
        if not callable(found) or home != f"{package}.{module}":
            raise RegistryError(thing, "types that the user's code defines", f"{name}, of {home}", REFUSE)
    with zipfile.ZipFile(file) as packed:
        schema = json.loads(packed.read("schema.json"))
    for node in _nodes(schema):
        module, name = str(node.get("__module__")), str(node.get("__class__"))
        if not module.startswith(f"{PACKAGE}.") or node.get("__loader__") in ("FunctionNode", "TypeNode", "MethodNode"):
            continue
        if not isinstance(load_copied(f"{module.rpartition('.')[2]}:{name}", user, model, digest), type):
            raise RegistryError(thing, "objects of the user's classes", f"a call of {module}.{name}", REFUSE)


def _nodes(value: Any) -> Iterator[dict[str, Any]]:
    waiting = [value]
    while waiting:
        at = waiting.pop()
        if isinstance(at, dict):
            yield at
            waiting.extend(at.values())
        elif isinstance(at, list):
            waiting.extend(at)


def _said(fault: BaseException) -> str:
    return f"{type(fault).__name__}: {str(fault)[:200]}"
