#!/usr/bin/env bash
# transitions 0.9.3, AsyncMachine. While a trigger of a model awaits its `before` callback, another task calls another trigger of that model.
# Guess: the second waits for the first, or is refused; the first one's callback runs to its end.
# Behaviour: the second cancels the first: its callback ends with CancelledError in the middle of its work, the cancelled trigger returns
#   False as if a condition had said no, and nothing is raised to whoever called it. A second one that is refused itself cancels nothing.
# Seen: results [False, True], state 'stopped', the callback 'began', then 'CancelledError'; refused second: [True, False], began, ended.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work" && "$work/bin/pip" install --quiet --disable-pip-version-check transitions==0.9.3
"$work/bin/python" - <<'PY'
import asyncio

from transitions.extensions.asyncio import AsyncMachine


class Guest:
    def __init__(self):
        self.log, self.waiting = [], asyncio.Event()

    async def boot(self):
        self.log.append("began")
        self.waiting.set()
        try:
            await asyncio.sleep(0.2)
        except BaseException as error:
            self.log.append(type(error).__name__)
            raise
        self.log.append("ended")


async def two_triggers(allowed):
    guest = Guest()
    table = [
        {"trigger": "start", "source": "new", "dest": "running", "before": "boot"},
        {"trigger": "stop", "source": "new", "dest": "stopped", "conditions": lambda: allowed},
    ]
    AsyncMachine(guest, states=["new", "running", "stopped"], initial="new", transitions=table)

    async def second():
        await guest.waiting.wait()
        return await guest.stop()

    results = await asyncio.gather(guest.start(), second(), return_exceptions=True)
    print("second", "allowed:" if allowed else "refused:", results, guest.state, guest.log)
    return results, guest.state, guest.log


cancelled, kept = asyncio.run(two_triggers(True)), asyncio.run(two_triggers(False))
assert cancelled == ([False, True], "stopped", ["began", "CancelledError"]), "a second trigger does not cancel the first now"
assert kept == ([True, False], "running", ["began", "ended"])
PY
