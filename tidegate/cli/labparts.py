"""The parts of `tidegate lab` that live through whole nights: the chain, and the right action."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tidegate.cli.lab import Asked
    from tidegate.steps.labbase import Ground

CHAIN_SEEDS = {"quick": 2, "full": 60}
ACTION_SEEDS = {"quick": 1, "full": 4}
ORDERS = {"quick": 1, "full": 4}
SPARE = 18
"""Nights of a quick run beyond what one scenario needs: a few evenings to begin on."""


def chain(asked: Asked) -> dict[str, Any]:
    """Every fault at its largest through the real steps."""
    from tidegate.lab.chainboard import chainboard
    from tidegate.steps.labchain import DELAYS, run_chain
    from tidegate.steps.stores import open_stores

    size = _size(asked)
    seeds = range(1, 1 + (asked.seeds or CHAIN_SEEDS[size]))
    delays = DELAYS if asked.full else DELAYS[:1]
    lines = run_chain(_ground(asked), seeds, delays, say=asked.say, orders=ORDERS[size])
    least = open_stores(asked.home).project.model(asked.model).alarms.min_effect
    told = {"seeds": len(seeds), "delays": list(delays), "orders": ORDERS[size]}
    return {"chain": chainboard(lines, least), "settings": {"chain": told}}


def actions(asked: Asked) -> dict[str, Any]:
    """Every action really carried out from one evening, in each scenario."""
    from tidegate.steps.labchain import FULL_SCENES, QUICK_SCENES, run_actions

    size = _size(asked)
    seeds = range(1, 1 + (asked.seeds or ACTION_SEEDS[size]))
    scenes = FULL_SCENES if asked.full else QUICK_SCENES
    found = run_actions(_ground(asked), seeds, scenes, asked.say, orders=ORDERS[size])
    return {"right_action": found, "settings": {"actions": {"seeds": len(seeds), "orders": ORDERS[size]}}}


def _size(asked: Asked) -> str:
    return "full" if asked.full else "quick"


def _ground(asked: Asked) -> Ground:
    """The whole history, or for a quick run as much of it as one scenario needs."""
    from tidegate.steps.labactions import WAIT
    from tidegate.steps.labbase import SETTLE, Ground
    from tidegate.steps.labchain import DELAYS
    from tidegate.steps.stores import open_stores

    ground = Ground(asked.home, asked.model, asked.id, asked.first.isoformat(), asked.last.isoformat())
    if asked.full:
        return ground
    horizon = open_stores(asked.home).project.model(asked.model).decision.horizon.days
    need = ground.history + DELAYS[0] + SETTLE + WAIT + horizon + SPARE
    last = min(asked.last, asked.first + timedelta(days=need))
    return Ground(asked.home, asked.model, asked.id, ground.first, last.isoformat())
