"""Real crashes, in processes of their own."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable


def crashed(action: Callable[[], object]) -> bool:
    """Do `action` in a forked process; whether it died by SIGKILL. Raises `RuntimeError` when it failed otherwise.

    The fork is from this process as it is: keep threads and open databases out of it.
    """
    child = os.fork()
    if child == 0:
        status = 1
        try:
            action()
            status = 0
        except BaseException:  # noqa: BLE001 - the parent is told by the status; nothing may leave the child
            import traceback

            traceback.print_exc()
        finally:
            os._exit(status)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        if os.WTERMSIG(status) == signal.SIGKILL:
            return True
        raise RuntimeError(f"the forked process died of {signal.Signals(os.WTERMSIG(status)).name}")
    if os.WEXITSTATUS(status):
        raise RuntimeError("the forked process failed, see its traceback above")
    return False
