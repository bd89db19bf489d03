"""The steps of the workflows that are measured, as tasks of Slipway's."""

from __future__ import annotations

import time

from slipway.flows.tasks.decorator import task
from slipway.states.intent import Durability


@task(durability=Durability.RECORDED)
def empty(number: int) -> int:
    """Nothing: its result is on record, as DBOS has it."""
    return number


@task()
def acting(number: int) -> int:
    """Nothing either, but the ledger takes it for an effect elsewhere: it is on record before and after."""
    return number


@task()
def nap(number: int) -> int:
    """What takes 50 ms."""
    time.sleep(0.05)
    return number
