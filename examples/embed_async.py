"""Slipway in a program of asyncio: runs are awaited in threads, go on beside the loop, and are cancelled from it.

Slipway's calls block and may be made from any thread, so `asyncio.to_thread` is all that one needs: the loop goes on
meanwhile. A task of asyncio that is cancelled does not end its thread; a run is cancelled by its handle.
"""

from __future__ import annotations

import asyncio
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from slipway import Event, Orchestrator

FLOW = """
schema: 1
name: greet
inputs:
  who: {type: string, required: true}
  rest: {type: duration, default: 0s}
steps:
  - {id: rest, uses: sleep, with: {for: "${{ inputs.rest }}"}}
  - {id: hello, uses: set, with: {value: "hello, ${{ inputs.who }}"}}
outputs: {said: "${{ steps.hello.outputs }}"}
"""


async def main(directory: Path) -> None:
    flow = directory / "greet.yaml"
    flow.write_text(FLOW)
    loop = asyncio.get_running_loop()
    told: asyncio.Queue[Event] = asyncio.Queue()

    def hear(event: Event) -> None:
        # Called in the run's thread: what belongs to the loop is handed over.
        loop.call_soon_threadsafe(told.put_nowait, event)

    with Orchestrator(directory / "state") as slipway, ThreadPoolExecutor(4) as pool:
        # One run, awaited.
        ann = await asyncio.to_thread(slipway.runs.run, str(flow), {"who": "Ann"}, on_event=hear)
        print(f"Ann's run: {ann.state}")
        while not told.empty():
            event = told.get_nowait()
            print(f"  {event.type} {event.step}".rstrip())

        # Several side by side, each of which takes a thread of the pool.
        names = ("Bob", "Cleo", "Dan")
        handles = [slipway.runs.start(str(flow), {"who": name}, executor=pool) for name in names]
        done = await asyncio.gather(*(asyncio.to_thread(handle.wait) for handle in handles))
        print(f"three more: {', '.join(run.state for run in done)}")

        # One that takes too long for us: what it did is undone, and it ends as CANCELLED.
        slow = slipway.runs.start(str(flow), {"who": "Eve", "rest": "1h"}, executor=pool)
        try:
            async with asyncio.timeout(0.5):
                while slow.status.state in ("RUNNING", "PAUSED"):
                    await asyncio.sleep(0.1)
        except TimeoutError:
            await asyncio.to_thread(slow.cancel)
        print(f"Eve's run: {(await asyncio.to_thread(slow.wait)).state}")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as directory:
        asyncio.run(main(Path(directory)))
