"""A build as a part of a program's own TaskFlow flow: a ticket is opened, an instance built, and somebody looks at it.
What fails takes all of it back, the instance too."""

from __future__ import annotations

import tempfile
from pathlib import Path

from msgspec.structs import replace
from taskflow import engines, task
from taskflow.patterns import linear_flow

from slipway import Orchestrator, load


class OpenTicket(task.Task):
    default_provides = "ticket"

    def execute(self) -> int:
        print("ticket 1 is open")
        return 1

    def revert(self, result: object, **_given: object) -> None:
        print(f"ticket {result} is closed again")


class Approve(task.Task):
    def __init__(self, slipway: Orchestrator, answer: bool) -> None:
        super().__init__()
        self._slipway = slipway
        self._answer = answer

    def execute(self, ticket: int, instance_id: str) -> None:
        instance = self._slipway.show(instance_id).instance
        print(f"ticket {ticket}: {instance.name} is {instance.vm_state}; approved: {self._answer}")
        if not self._answer:
            raise PermissionError("not approved")


def main(state: Path) -> None:
    file = load(Path(__file__).with_name("smallest.yaml"))
    with Orchestrator(state, settings=file.settings) as slipway:
        slipway.run(file)
        for name, answer in (("approved", True), ("refused", False)):
            build = slipway.build_flow(replace(file.instances[0].request, name=name))
            flow = linear_flow.Flow("with a ticket").add(OpenTicket(), build, Approve(slipway, answer))
            try:
                engines.run(flow, engine="slipway")
            except PermissionError as error:
                print(f"the flow failed: {error}")
            print(", ".join(instance.name for instance in slipway.list()), "are there")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as directory:
        main(Path(directory))
