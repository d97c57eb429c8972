"""Fetches one package from the registry into the local folder, in a process that may hang or fail by itself."""

from __future__ import annotations

import sys
from pathlib import Path


def main() -> None:
    """`python -m serving.fetch ROOT STATE MODEL DIGEST VERSION`."""
    from tidegate.adapters.registry import Registry
    from tidegate.errors import TidegateError

    _, _root, state, model, digest, version = sys.argv
    folder = Path(state) / "packages" / model / digest
    folder.parent.mkdir(parents=True, exist_ok=True)
    try:
        Registry(Path(state)).fetch(model, int(version), folder)
    except TidegateError as fault:
        sys.exit(str(fault))


if __name__ == "__main__":
    main()
