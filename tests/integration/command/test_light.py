"""The command answers before the heavy libraries are loaded."""

import subprocess
import sys

HEAVY = ("prefect", "mlflow", "great_expectations", "evidently", "pandas", "sklearn", "deltalake")


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
    for verb in ("ingest", "score", "nightly", "retrain", "approve", "replay", "status", "findings", "lineage",
                 "report", "quarantine", "config", "version"):  # fmt: skip
        assert any(line.split()[:1] == [verb] for line in text), verb
