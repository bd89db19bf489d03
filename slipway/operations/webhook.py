"""Events sent on to a receiver, by whoever has that as its work: no build waits for one, or knows of any."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Callable, Sequence

import msgspec

from slipway.checks.urls import url_mistake
from slipway.errors import InvalidRequest, ServerUnavailable, StepTimeout, WebhookFailed
from slipway.flows.tasks.base import Tools
from slipway.flows.tasks.http import trust
from slipway.model.record import RecordedEvent
from slipway.states import outbox
from slipway.texts import masked_url, named

log = logging.getLogger(__name__)

TIMEOUT = 10.0
"""Seconds that a receiver has for its whole answer."""
_AT_ONCE = 100
"""Events in one request."""
_FIRST_WAIT, _LONGEST_WAIT = 1.0, 60.0
_LATER = (408, 425, 429)
"""What may be taken when it is sent later, besides all that is the server's own fault."""
_TRIES = 5
"""How often one request is tried where nothing is followed."""


def deliver(
    url: str, tools: Tools, *, after: int | None = None, follow: bool = False, stopping: Callable[[], bool]
) -> int:
    """Send what the receiver has not taken yet, oldest first; gives how many events it took.

    It has taken them when it answers 2xx: then that is on record, and who sends next goes on there. What is not on
    record is sent again, so that each event comes at least once, in order; its `seq` tells what came before. `after`:
    begin there. With `follow` it goes on until `stopping`, and waits as long as the receiver is away.

    Raises `InvalidRequest` for what is no URL, `WebhookFailed` for a receiver that refuses, and without `follow` for
    one that is away; a `StoreError`.
    """
    _check(url)
    receiver = f"webhook {hashlib.sha256(url.encode()).hexdigest()[:32]}"
    if after is None:
        with tools.store.read() as tx:
            after = outbox.delivered(tx, receiver)
    taken = 0
    while True:
        page = outbox.after(tools.store, after, limit=_AT_ONCE)
        if page:
            if not _sent(url, page, tools, follow=follow, stopping=stopping):
                return taken
            after, taken = page[-1].seq, taken + len(page)
            with tools.store.write() as tx:
                outbox.deliver(tx, receiver, after, tools.clock())
        elif not follow or stopping():
            return taken
        else:
            tools.sleep(tools.settings.poll_interval)


def _check(url: str) -> None:
    is_http = url.partition("://")[0].lower() in ("http", "https")
    if wrong := url_mistake(url) if is_http else "must be an http or https URL":
        raise InvalidRequest((f"webhook: the URL {wrong}",))


def _sent(url: str, page: Sequence[RecordedEvent], tools: Tools, *, follow: bool, stopping: Callable[[], bool]) -> bool:
    """Whether the receiver took the events; not where it was away until it was time to stop."""
    body = msgspec.json.encode({"installation": tools.store.installation, "events": page})
    wait, tries = _FIRST_WAIT, 0
    while not stopping():
        try:
            _post(url, body)
        except (ServerUnavailable, StepTimeout) as error:
            tries += 1
            if not follow and tries == _TRIES:
                raise WebhookFailed(f"{error}; events from {page[0].seq} on were not taken") from error
            log.warning("webhook: %s; again in %g s", error, wait)
            tools.sleep(wait)
            wait = min(wait * 2, _LONGEST_WAIT)
        else:
            return True
    return False


def _post(url: str, body: bytes) -> None:
    """Raises `ServerUnavailable` and `StepTimeout` where it may be taken later, `WebhookFailed` where it is refused."""
    import httpx

    what = f"POST {masked_url(url)}"
    try:
        status = asyncio.run(_status(url, body))
    except (httpx.UnsupportedProtocol, httpx.InvalidURL) as error:
        raise InvalidRequest((f"webhook: the URL is none that can be used: {error}",)) from error
    except (TimeoutError, httpx.TimeoutException) as error:
        raise StepTimeout(f"{what}: no answer within {TIMEOUT:g} s") from error
    except httpx.HTTPError as error:
        raise ServerUnavailable(f"{what}: {named(error)}") from error
    if status in range(200, 300):
        return
    text = f"{what} answered {status}"
    if status in _LATER or status >= 500:
        raise ServerUnavailable(text)
    raise WebhookFailed(f"{text}: it does not take events")


async def _status(url: str, body: bytes) -> int:
    """What the receiver answers; what else it says is not read. Whatever it does, it is over in time."""
    import httpx

    async with (
        asyncio.timeout(TIMEOUT),
        httpx.AsyncClient(timeout=TIMEOUT, verify=trust()) as client,
        client.stream("POST", url, content=body, headers={"Content-Type": "application/json"}) as response,
    ):
        status: int = response.status_code
        return status
