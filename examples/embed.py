"""Slipway inside another program: build what a file says, be told what happens, ask, and take it all back."""

from __future__ import annotations

import tempfile
from pathlib import Path

from slipway import Event, Orchestrator, load


def told(event: Event) -> None:
    if event.type.startswith("instance."):
        print(f"{event.type:24} {event.name}  {event.message}")


def main(state: Path) -> None:
    file = load(Path(__file__).with_name("smallest.yaml"))
    with Orchestrator(state, settings=file.settings) as slipway:
        result = slipway.run(file, on_event=told)
        for ended in result.ended:
            print(f"{ended.name} was {ended.status}")
        for instance in slipway.list():
            print(f"{instance.name} is {instance.vm_state} on {instance.host} with {', '.join(instance.addresses)}")
        print(f"{len(slipway.audit())} differences between record and reality")
        slipway.destroy(file, on_event=told)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as directory:
        main(Path(directory))
