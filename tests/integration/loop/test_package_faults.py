"""Packages that somebody changed: a flipped byte, a swapped file, code where a model should be."""

import functools
import io
import json
import pickle
import shutil
import zipfile

import pytest

from tidegate.adapters.packages import load
from tidegate.errors import IntegrityError, TidegateError
from tidegate.lineage.digest import folder_digest


@pytest.fixture
def copy(diabetes, tmp_path):
    """The champion's package, copied, and its digest."""
    digest = diabetes.record(2)["digest"]
    folder = tmp_path / digest
    shutil.copytree(diabetes.stores.package_folder(diabetes.name, digest), folder)
    return folder, digest


def test_an_unchanged_copy_loads(copy):
    load(*copy)


@pytest.mark.fault(32)
def test_a_flipped_bit_in_any_file_is_refused(copy):
    folder, digest = copy
    files = sorted(p for p in folder.rglob("*") if p.is_file() and "__pycache__" not in p.parts)
    assert {"model.skops", "spec.json", "clinic.py", "outcomes.parquet", "MLmodel"} <= {p.name for p in files}
    for file in files:
        whole = file.read_bytes()
        for at in {0, len(whole) // 2, len(whole) - 1}:
            file.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
            with pytest.raises(IntegrityError, match="digest"):
                load(folder, digest)
        file.unlink()
        with pytest.raises(IntegrityError, match="digest"):
            load(folder, digest)
        file.write_bytes(whole)
    (folder / "more.py").write_text("")
    with pytest.raises(IntegrityError, match="digest"):
        load(folder, digest)


class Payload:
    def __init__(self, function, *args):
        self.call = function, args

    def __reduce__(self):
        return self.call


def payloads(canary):
    """Twenty ways to run code while a model is loaded; each leaves the canary behind."""
    import os
    import pathlib
    import runpy
    import subprocess

    code = f"open({str(canary)!r}, 'w').close()"
    script = canary.with_suffix(".py")
    script.write_text(code)
    touch = f"touch {canary}"
    calls = [
        (os.system, touch), (os.popen, touch), (subprocess.call, ["touch", str(canary)]), (subprocess.getoutput, touch),
        (subprocess.check_output, ["touch", str(canary)]), (exec, code), (eval, code), (open, str(canary), "w"),
        (pathlib.Path.touch, canary), (os.mkdir, str(canary)), (runpy.run_path, str(script)), (os.mkfifo, str(canary)),
    ]  # fmt: skip
    for function, *args in calls:
        yield f"pickle {function.__name__}", pickle.dumps(Payload(function, *args))
    for function, *args in calls[:4]:
        yield f"skops partial {function.__name__}", skops_of(functools.partial(function, *args))
    yield "skops transformer", skops_of(transformer(os.system, touch))
    for name in ("system", "popen"):
        yield f"skops schema {name}", schema_of("os", name, touch)
    yield "skops schema eval", schema_of("builtins", "eval", code)


def transformer(function, argument):
    from sklearn.preprocessing import FunctionTransformer

    return FunctionTransformer(function, kw_args={"command": argument})


def skops_of(thing):
    import skops.io

    return skops.io.dumps(thing)


def schema_of(module, name, argument):
    """A schema by hand, whose object is built by calling a function of our choice."""
    from skops.io import dumps

    whole = zipfile.ZipFile(io.BytesIO(dumps(functools.partial(print, argument))))
    schema = json.loads(whole.read("schema.json"))
    text = json.dumps(schema).replace('"print"', f'"{name}"').replace('"builtins"', f'"{module}"')
    schema = json.loads(text)
    schema["content"]["func"] = {**schema["content"]["func"], "__class__": name, "__module__": module}
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as made:
        made.writestr("schema.json", json.dumps(schema))
    return out.getvalue()


@pytest.mark.fault(31)
def test_code_in_a_model_file_is_never_run(copy, tmp_path):
    """The digest fits, as if the record had been forged too: our own list of types still holds."""
    folder, _ = copy
    canary = tmp_path / "canary"
    tried = dict(payloads(canary))
    assert len(tried) == 20
    for name, data in tried.items():
        (folder / "model.skops").write_bytes(data)
        with pytest.raises((TidegateError, zipfile.BadZipFile)) as caught:
            load(folder, folder_digest(folder))
        assert not canary.exists(), f"{name} was run: {caught.value}"
    # The payloads work: only the loader stops them.
    pickle.loads(tried["pickle system"])
    assert canary.exists()


@pytest.mark.fault(31)
def test_a_pickled_estimator_is_not_registered(diabetes, tmp_path):
    import pandas as pd
    from sklearn.preprocessing import FunctionTransformer

    from tidegate.adapters.packages import save
    from tidegate.errors import RegistryError

    with pytest.raises(RegistryError, match="trusted list") as caught:
        save(tmp_path / "new", FunctionTransformer(shutil.rmtree), pd.DataFrame({"a": [1.0]}), [1.0])
    assert "rmtree" in str(caught.value)
