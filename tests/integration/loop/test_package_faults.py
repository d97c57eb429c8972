"""Packages that somebody changed: a flipped byte, a swapped file, code where a model should be."""

import functools
import io
import itertools
import json
import os
import pickle
import py_compile
import shutil
import zipfile

import pytest

from tidegate.adapters.freshload import fresh
from tidegate.adapters.packages import load
from tidegate.config.gating import Servability
from tidegate.errors import IntegrityError, RegistryError
from tidegate.gate.servability import servability
from tidegate.lineage.digest import folder_digest


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
    (folder / "more.py").unlink()
    # Any two files swapped, which keeps all names and all bytes.
    for one, other in itertools.combinations(files, 2):
        first, second = one.read_bytes(), other.read_bytes()
        if first == second:
            continue
        one.write_bytes(second)
        other.write_bytes(first)
        with pytest.raises(IntegrityError, match="digest"):
            load(folder, digest)
        one.write_bytes(first)
        other.write_bytes(second)
    load(folder, digest)


@pytest.mark.fault(32)
def test_a_fresh_process_refuses_a_version_that_was_changed_in_the_registry(copy):
    folder, digest = copy
    for name in ("model.skops", "tidegate/spec.json", "tidegate/user/clinic.py", "MLmodel"):
        whole = (folder / name).read_bytes()
        (folder / name).write_bytes(whole[:-2] + bytes([whole[-2] ^ 1]) + whole[-1:])
        check = fresh_check(folder, digest)
        assert [line.outcome for line in check.lines if line.name in ("package", "loads")] == ["fail", "fail"]
        (folder / name).write_bytes(whole)


def fresh_check(folder, digest):
    settings = Servability()
    report = fresh(lambda target: shutil.copytree(folder, target, symlinks=True), digest, columns={}, settings=settings)
    return servability(report, settings)


class Payload:
    def __init__(self, function, *args):
        self.call = function, args

    def __reduce__(self):
        return self.call


def payloads(canary):
    """Twenty ways to run code while a model is loaded; each leaves the canary behind."""
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


def in_schema(whole, content, *, members=(), compression=zipfile.ZIP_STORED, protocol=None):
    """The members of a skops file around another content; more members may be added."""
    packed = zipfile.ZipFile(io.BytesIO(whole))
    schema = json.loads(packed.read("schema.json"))
    schema = {**content, "protocol": schema["protocol"] if protocol is None else protocol}
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", compression) as made:
        for name, data in [*members, ("schema.json", json.dumps(schema))]:
            made.writestr(name, data)
    return out.getvalue()


def args_of(*texts):
    """A tuple of texts, as skops writes it."""
    items = [{"__class__": "str", "__module__": "builtins", "__loader__": "JsonNode", "content": json.dumps(t),
              "is_json": True, "__id__": i} for i, t in enumerate(texts)]  # fmt: skip
    return {"__class__": "tuple", "__module__": "builtins", "__loader__": "TupleNode", "content": items, "__id__": 90}


def node(module, name, loader, **more):
    return {"__class__": name, "__module__": module, "__loader__": loader, "__id__": 91, **more}


def schemas(whole, canary, user):
    """Files whose schema asks for a call: each names another way to one."""
    import joblib
    import numpy as np
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import StandardScaler

    touch, code, name = f"touch {canary}", f"open({str(canary)!r}, 'w')", "ConstructorFromReduceNode"
    calls = {
        "reduce os.system": node("os", "system", name, content=args_of(touch)),
        "reduce subprocess": node("subprocess", "getoutput", name, content=args_of(touch)),
        "reduce eval": node("builtins", "eval", name, content=args_of(code)),
        "reduce exec": node("builtins", "exec", name, content=args_of(code)),
        "reduce importlib": node("importlib", "import_module", name, content=args_of("antigravity")),
        "reduce open": node("builtins", "open", name, content=args_of(str(canary), "w")),
        "reduce joblib": node("joblib", "load", name, content=args_of(str(canary.with_suffix(".joblib")))),
        "reduce numpy": node("numpy", "save", name, content=args_of(str(canary), "x")),
        "user's import": node(f"{user}.clinic", "run", name, content=args_of(str(canary))),
        "user's function": node(f"{user}.clinic", "tidy", name, content=args_of(str(canary))),
        "another version's module": node("tidegate_user.other_123.clinic", "Own", name, content=args_of("x")),
        "operator methodcaller": node("operator", "methodcaller", "OperatorFuncNode", attrs=args_of("touch")),
        "operator attrgetter": node("operator", "attrgetter", "OperatorFuncNode", attrs=args_of("__class__.__mro__")),
        "object Popen": node("subprocess", "Popen", "ObjectNode"),
        "function system": node("os", "system", "FunctionNode"),
        "type loader": node("importlib.machinery", "SourceFileLoader", "TypeNode"),
        "deep": functools.reduce(lambda inner, _: node("builtins", "list", "ListNode", content=[inner]), range(400),
                                 node("os", "system", "FunctionNode")),
        "unknown loader": node("os", "system", "ReduceNode", content=args_of(touch)),
        "no content": {"__class__": "list"},
    }  # fmt: skip
    for what, content in calls.items():
        yield what, in_schema(whole, content)
    yield "old protocol", in_schema(whole, calls["function system"], protocol=0)
    yield "future protocol", in_schema(whole, calls["function system"], protocol=99)
    honest = json.loads(zipfile.ZipFile(io.BytesIO(whole)).read("schema.json"))
    packed = zipfile.ZipFile(io.BytesIO(whole))
    arrays = [(n, packed.read(n)) for n in packed.namelist() if n != "schema.json"]
    evil = pickle.dumps(Payload(os.system, touch))
    yield "with a pickle", in_schema(whole, honest, members=[*arrays, ("more.pkl", evil)])
    yield "traversal", in_schema(whole, honest, members=[*arrays, ("../../clinic.py", code)])
    yield "absolute name", in_schema(whole, honest, members=[*arrays, ("/etc/cron.d/job", code)])
    yield (
        "bomb",
        in_schema(whole, honest, members=[*arrays, ("1.bin", bytes(1 << 26))], compression=zipfile.ZIP_DEFLATED),
    )
    objects = io.BytesIO()
    np.save(objects, np.array([Payload(os.system, touch)], dtype=object), allow_pickle=True)
    yield "pickle in each array", in_schema(whole, honest, members=[(n, objects.getvalue()) for n, _ in arrays])
    giant = (
        b"\x93NUMPY\x01\x00\x76\x00"
        + f"{{'descr': '<f8', 'fortran_order': False, 'shape': ({10**12},), }}".ljust(117).encode()
        + b"\n"
    )
    yield "array of 8 TB", in_schema(whole, honest, members=[(n, giant) for n, _ in arrays])
    dumped = io.BytesIO()
    joblib.dump(Payload(os.system, touch), dumped)
    yield "joblib", dumped.getvalue()
    inner = skops_of(Pipeline([("s", StandardScaler())])).replace(b'"StandardScaler"', b'"StandardScalar"')
    yield "no such class", inner
    yield "half a file", whole[: len(whole) // 2]
    yield "nothing", b""


USER = """\
import functools
from subprocess import run

from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline


def tidy(path):
    open(path, "w").close()


def build(params):
    return make_pipeline(Ridge())


def features(frame):
    return frame.assign(sex=(frame["sex"] == "f").astype(float))
"""


@pytest.mark.fault(31)
def test_code_in_a_model_file_is_never_run(copy, forge, tmp_path):
    """The digests fit, as if the records had been forged too: our own list of types still holds."""
    from tidegate.lineage.usercode import PACKAGE

    folder, digest = copy
    canary = tmp_path / "canary"
    whole = (folder / "model.skops").read_bytes()
    forge(folder, code=USER)
    spec = json.loads((folder / "tidegate/spec.json").read_text())
    user = f"{PACKAGE}.{spec['model']}_{spec['user']['digest'][:12]}"
    tried = dict(payloads(canary)) | dict(schemas(whole, canary, user))
    assert len(tried) >= 45
    for name, data in tried.items():
        (folder / "model.skops").write_bytes(data)
        with pytest.raises(IntegrityError, match="digest"):
            load(folder, digest)
        with pytest.raises(RegistryError) as caught:
            load(folder, folder_digest(folder))
        assert not canary.exists(), f"{name} was run: {caught.value}"
    # The payloads work: only the loader stops them.
    pickle.loads(tried["pickle system"])
    assert canary.exists()


@pytest.mark.fault(31)
def test_a_fresh_process_runs_no_code_of_a_model_file(copy, forge, tmp_path):
    folder, _ = copy
    canary = tmp_path / "canary"
    tried = dict(payloads(canary)) | dict(schemas((folder / "model.skops").read_bytes(), canary, "tidegate_user.x"))
    for name in ("pickle system", "skops transformer", "reduce exec", "pickle in each array", "joblib"):
        check = fresh_check(folder, forge(folder, model=tried[name]))
        assert check.verdict.outcome == "fail", name
        assert [line.outcome for line in check.lines if line.name == "loads"] == ["fail"], name
        assert not canary.exists(), f"{name} was run"


@pytest.mark.fault(31)
def test_what_lies_beside_the_model_is_refused_too(copy, tmp_path):
    """A cached module is in no digest; other files lead MLflow, or whoever looks, to code."""
    folder, _ = copy
    mlmodel, canary = folder / "MLmodel", tmp_path / "canary"
    text = mlmodel.read_text()
    code = f"open({str(canary)!r}, 'w').close()\n"
    for old, new in (
        ("loader_module: mlflow.sklearn", "loader_module: evil"),
        ("pickled_model: model.skops", "pickled_model: model.pkl"),
        ("model_path: model.skops", "model_path: ../../evil.pkl"),
        ("serialization_format: skops", "serialization_format: cloudpickle"),
        ("    code: null", "    code: code"),
        ("    skops_trusted_types:\n", "    skops_trusted_types:\n    - os.system\n"),
        ("flavors:\n", "flavors:\n  pytorch:\n    pickle_module_name: pickle\n"),
        ("flavors:\n", "flavors: !!python/object/apply:os.system ['true']\n#"),
        ("flavors:\n", "flavours:\n"),
    ):
        assert old in text
        mlmodel.write_text(text.replace(old, new))
        with pytest.raises(RegistryError, match=r"MLmodel|trusted list"):
            load(folder, folder_digest(folder))
    mlmodel.write_text(text)
    for name in (
        "model.pkl",
        "tidegate/reference/more.joblib",
        "code/evil.py",
        "sitecustomize.py",
        "tidegate/user/clinic.so",
    ):
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(pickle.dumps(Payload(os.system, f"touch {canary}")))
        with pytest.raises(RegistryError, match="no file that could be run"):
            load(folder, folder_digest(folder))
        path.unlink()
    (folder / "link").symlink_to("/etc")
    with pytest.raises(RegistryError, match="a link"):
        load(folder, folder_digest(folder))
    (folder / "link").unlink()
    # Another user's code under a digest of the whole package that was made to fit.
    clinic = folder / "tidegate/user/clinic.py"
    source = clinic.read_text()
    clinic.write_text(code + source)
    with pytest.raises(IntegrityError, match="user code"):
        load(folder, folder_digest(folder))
    clinic.write_text(source)
    for spec in ("[]", "{}", "[" * 100_000, json.dumps({"user": 1})):
        whole = (folder / "tidegate/spec.json").read_text()
        (folder / "tidegate/spec.json").write_text(spec)
        with pytest.raises(RegistryError, match=r"spec\.json"):
            load(folder, folder_digest(folder))
        (folder / "tidegate/spec.json").write_text(whole)
    assert not canary.exists()


@pytest.mark.fault(31)
def test_a_cached_module_of_the_users_code_is_not_read(copy, tmp_path):
    """Python would take an unchecked cache before the source; a cache is in no digest."""
    import importlib.util
    import sys

    folder, digest = copy
    canary, evil = tmp_path / "canary", tmp_path / "evil.py"
    user = folder / "tidegate/user"
    evil.write_text(f"open({str(canary)!r}, 'w').close()\n" + (user / "clinic.py").read_text())
    cache = importlib.util.cache_from_source(str(user / "clinic.py"))
    py_compile.compile(str(evil), cache, invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)
    assert folder_digest(folder) == digest
    for name in [m for m in sys.modules if m.startswith("tidegate_user.")]:
        del sys.modules[name]
    load(folder, digest)
    assert not canary.exists()
    check = fresh_check(folder, digest)
    assert not canary.exists()
    assert [line.outcome for line in check.lines if line.name == "loads"] == ["pass"]


@pytest.mark.fault(31)
def test_a_pickled_estimator_is_not_registered(tmp_path):
    import pandas as pd
    from sklearn.preprocessing import FunctionTransformer

    from tidegate.adapters.packages import save

    with pytest.raises(RegistryError, match="trusted list") as caught:
        save(tmp_path / "new", FunctionTransformer(shutil.rmtree), pd.DataFrame({"a": [1.0]}), [1.0])
    assert "rmtree" in str(caught.value)
