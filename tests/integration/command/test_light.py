"""The command answers before the heavy libraries are loaded."""

import subprocess
import sys

import pytest

HEAVY = ("prefect", "mlflow", "great_expectations", "evidently", "pandas", "sklearn", "deltalake", "shap", "fairlearn")
VERBS = (
    "ingest", "score", "nightly", "retrain", "approve", "reject", "freeze", "unfreeze", "evidence", "explain",
    "mitigate", "recalibrate", "ci", "replay", "status", "findings", "lineage", "report", "quarantine", "config",
    "version", "decisions", "estimates", "labels", "policies", "inference", "served",
)  # fmt: skip


def run(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


def test_importing_the_core_loads_nothing_heavy():
    done = run(f"import sys, tidegate, tidegate.errors; print([m for m in {HEAVY} if m in sys.modules])")
    assert done.stdout.strip() == "[]", done.stderr


def test_help_lists_the_verbs_and_loads_nothing_heavy():
    code = (
        "import sys\nfrom tidegate.cli.main import main\nsys.argv = ['tidegate', '--help']\n"
        f"try:\n    main()\nfinally:\n    print([m for m in {HEAVY} if m in sys.modules])"
    )
    done = run(code)
    assert done.returncode == 0, done.stderr
    *text, loaded = done.stdout.strip().splitlines()
    assert loaded == "[]"
    for verb in VERBS:
        assert any(line.split()[:1] == [verb] for line in text), verb


@pytest.mark.parametrize(
    "verb", ["evidence", "explain", "approve", "reject", "freeze", "unfreeze", "mitigate", "ci", "recalibrate"]
)
def test_the_help_of_a_verb_loads_nothing_heavy(verb):
    code = (
        f"import sys\nfrom tidegate.cli.main import main\nsys.argv = ['tidegate', {verb!r}, '--help']\n"
        f"try:\n    main()\nfinally:\n    print([m for m in {HEAVY} if m in sys.modules])"
    )
    done = run(code)
    assert done.returncode == 0, done.stderr
    *text, loaded = done.stdout.strip().splitlines()
    assert loaded == "[]"
    assert f"tidegate {verb}" in "\n".join(text)


def test_the_gate_itself_loads_neither_shap_nor_fairlearn_until_it_needs_them():
    """Both are imported inside the function that needs them."""
    rooms = ("tidegate.gate.fairness", "tidegate.gate.performance", "tidegate.explain.attribution")
    done = run(
        f"import sys\nfor room in {rooms}:\n    __import__(room)\n"
        "print([m for m in ('shap', 'fairlearn', 'sklearn', 'mlflow', 'prefect') if m in sys.modules])"
    )
    assert done.stdout.strip() == "[]", done.stdout + done.stderr
