"""An environment of its own for every peer, from the pins in PEER.txt, under var/bench/envs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PINS = Path(__file__).parent
UV = Path(sys.executable).with_name("uv")


def interpreter(peer: str, folder: Path) -> Path | str:
    """The peer's Python, installed when its pins have changed; text says why it does not install."""
    pins, env = PINS / f"{peer}.txt", folder / peer
    python, stamp = env / "bin" / "python", env / "pins.txt"
    if stamp.is_file() and stamp.read_bytes() == pins.read_bytes():
        return python
    print(f"installing {peer} ...", flush=True)
    install = [UV, "pip", "install", "--quiet", "--compile-bytecode", "--python", python, "-r", pins]
    for command in ([UV, "venv", "--quiet", "--clear", "--no-python-downloads", "-p", "3.11", env], install):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            return (done.stderr.strip() or f"uv left with {done.returncode}").splitlines()[-1][:200]
    stamp.write_bytes(pins.read_bytes())
    return python


def pinned(peer: str, names: tuple[str, ...]) -> dict[str, str]:
    """The versions of some packages in a peer's pins."""
    lines = (line.split("==") for line in (PINS / f"{peer}.txt").read_text().splitlines() if "==" in line)
    return {name: version for name, version in lines if name in names}
