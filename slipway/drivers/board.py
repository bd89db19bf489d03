"""The job board on which those who ask for work and the workers meet: TaskFlow's, on Redis or etcd.

A job says no more than whose turn it is; what is to be done stands on record. So a board may lose all it has, hand a
job out twice or late: the record's generation keeps each step from being had twice, and what no board knows of is
posted again from the record.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

import msgspec
from msgspec import Struct

from slipway.errors import BoardUnavailable, InvalidBoard
from slipway.model.request import Shutdown
from slipway.texts import masked_url


class Job(Struct, frozen=True):
    """An `instance` or a `run` that is to be brought to rest, by whoever serves that host (None: by anybody)."""

    what: str
    id: str
    host: str | None = None
    shutdown: Shutdown | None = None
    """How the guest is to be ended that is to be stopped; None: as usual."""

    def __str__(self) -> str:
        """`instance ID for node-1`."""
        return f"{self.what} {self.id}" + (f" for {self.host}" if self.host else "")


class Posted(Struct, frozen=True):
    """A job as it hangs on the board. `handle` is the board's own."""

    job: Job
    handle: Any


class Board:
    """A board at a URL: `redis://`, `rediss://` (TLS), `etcd://` or `etcds://` (TLS).

    TLS takes the files `ca`, `cert` and `key` of the URL's query. Claims end by themselves `ttl` whole seconds after
    they were made or last renewed: TaskFlow's own conductors ask for no end, so that what a killed one had claimed is
    never taken again, and nothing of TaskFlow's renews a claim.
    """

    def __init__(self, url: str, installation: str, who: str, *, ttl: int) -> None:
        """`installation`: whose jobs they are, several may share a server; `who` claims them.

        Raises `InvalidBoard`, and `BoardUnavailable` where the server does not answer.
        """
        self.installation = installation
        self.who = who
        self._shown = masked_url(url)
        self._ttl = ttl
        self._conf = _configuration(_parsed(url), installation, ttl)
        self._lock = threading.RLock()
        self._open: Any = None
        self._redis: Any = None
        with self._asking():
            self._board()

    def post(self, job: Job) -> None:
        """Hang it up. Raises `BoardUnavailable`."""
        details = msgspec.to_builtins(job)
        with self._asking():
            self._board().post(str(job), details=details)

    def posted(self) -> Sequence[Posted]:
        """All that hang there, claimed or not, the oldest first: Redis has the newest first. Raises
        `BoardUnavailable`."""
        with self._asking():
            found = list(self._board().iterjobs(ensure_fresh=True))
        found.sort(key=lambda handle: handle.sequence)
        return [Posted(job, handle) for handle in found if (job := _job_of(handle)) is not None]

    def claim(self, posted: Posted) -> bool:
        """Whether it is ours from now on, until the claim ends. Raises `BoardUnavailable`."""
        from taskflow.exceptions import NotFound, UnclaimableJob

        try:
            with self._asking(UnclaimableJob, NotFound):
                self._board().claim(posted.handle, self.who, expiry=self._ttl)
        except (UnclaimableJob, NotFound):
            return False
        return True

    def owner(self, posted: Posted) -> str | None:
        """Who has claimed it. Raises `BoardUnavailable`."""
        # Redis' board raises a TypeError for a job that nobody has claimed.
        with self._asking(), suppress(TypeError):
            return self._board().find_owner(posted.handle) or None
        return None

    def renew(self, posted: Posted) -> bool:
        """Whether the claim goes on for another `ttl` seconds: not where it has ended, which Redis' board does not ask
        before it renews whoever's claim there is. Raises `BoardUnavailable`."""
        if self.owner(posted) != self.who:
            return False
        with self._asking():
            return bool(posted.handle.extend_expiry(self._ttl))

    def consume(self, posted: Posted) -> None:
        """Take it off the board; nothing where it is gone, or another one's by now. Raises `BoardUnavailable`."""
        self._let(posted, "consume")

    def abandon(self, posted: Posted) -> None:
        """Leave it to others, as `consume`."""
        self._let(posted, "abandon")

    def _let(self, posted: Posted, how: str) -> None:
        from taskflow.exceptions import JobFailure, NotFound

        gone = (NotFound, JobFailure)
        with suppress(*gone), self._asking(*gone):
            getattr(self._board(), how)(posted.handle, self.who)

    def close(self) -> None:
        """Let go of the connection; never raises."""
        with self._lock:
            board, self._open = self._open, None
            if board is not None:
                with suppress(Exception):
                    (board.session if self._conf["board"] == "etcd" else self._redis).close()

    def _board(self) -> Any:
        with self._lock:
            if self._conf["board"] == "etcd":
                return self._etcd()
            if self._open is None:
                self._open = self._of_redis()
            return self._open

    def _of_redis(self) -> Any:
        """On a client that asks twice at most: the board's own asks ten times, also where a password is wrong, and
        waits for each time-out. Jobs that another thread holds go on by it, though it was closed meanwhile."""
        import redis
        from redis.backoff import NoBackoff
        from redis.retry import Retry
        from taskflow.jobs.backends.impl_redis import RedisJobBoard

        given = {name: value for name, value in self._conf.items() if name not in ("board", "namespace")}
        self._redis = redis.Redis(**given, retry=Retry(NoBackoff(), 1))
        made = RedisJobBoard("slipway", self._conf, client=self._redis)
        made.connect()
        return made

    def _etcd(self) -> Any:
        """A new one each time, on one client: it keeps the jobs that it has seen by their place, and after a server has
        lost all it had there may be others in the same places. Its own client would be watched by a thread that
        outlives an error."""
        import etcd3gw
        from taskflow.jobs.backends.impl_etcd import EtcdJobBoard

        if self._open is None:
            self._open = etcd3gw.client(**{name: self._conf[name] for name in _OF_ETCD if name in self._conf})
            # Or an authority that the environment names counts more than that of the URL.
            self._open.session.trust_env = False
            self._open.status()
        return EtcdJobBoard("slipway", self._conf, client=self._open)

    @contextmanager
    def _asking(self, *meant: type[Exception]) -> Iterator[None]:
        """Foreign errors as `BoardUnavailable`, but those that are `meant`; the next call connects anew."""
        try:
            yield
        except meant:
            raise
        except (InvalidBoard, BoardUnavailable):
            raise
        except ModuleNotFoundError as error:
            raise InvalidBoard(f"{self._shown}: it needs the Python module {error.name}: {_EXTRA}") from error
        except Exception as error:
            self.close()
            raise BoardUnavailable(f"{self._shown}: {_why(error)}") from error


_OF_ETCD = ("host", "port", "protocol", "ca_cert", "cert_key", "cert_cert", "timeout", "api_path")
"""What its client takes."""
_EXTRA = "pip install 'slipway[redis]' or 'slipway[etcd]'"
_PORTS = {"redis": 6379, "rediss": 6379, "etcd": 2379, "etcds": 2379}
_FILES = {"ca": ("ssl_ca_certs", "ca_cert"), "cert": ("ssl_certfile", "cert_cert"), "key": ("ssl_keyfile", "cert_key")}
_TIMEOUT = 5.0
"""Seconds after which a server that says nothing is taken for one that does not answer."""


def _parsed(url: str) -> SplitResult:
    """Raises `InvalidBoard` for what is no board's URL; the text names no password."""
    how = "redis://HOST:PORT/NUMBER, rediss://..., etcd://HOST:PORT or etcds://..."
    shown = masked_url(url)
    try:
        found = urlsplit(url)
        port = found.port
    except ValueError as error:
        raise InvalidBoard(f"{shown}: that is no URL of a job board: {how}") from error
    if found.scheme not in _PORTS:
        raise InvalidBoard(f"{shown}: no job board is known by '{found.scheme}': {how}")
    if not found.hostname or port == 0:
        raise InvalidBoard(f"{shown}: it names no server: {how}")
    if unknown := sorted({word for word, _ in parse_qsl(found.query, keep_blank_values=True)} - {*_FILES}):
        raise InvalidBoard(f"{shown}: unknown '{unknown[0]}', it takes {', '.join(_FILES)}")
    number = found.path.strip("/")
    if number and not (found.scheme.startswith("redis") and number.isdigit() and number.isascii()):
        raise InvalidBoard(f"{shown}: '{number}' is no number of a database: {how}")
    return found


def _configuration(url: SplitResult, installation: str, ttl: int) -> dict[str, Any]:
    """What TaskFlow takes for a board."""
    redis, secure = url.scheme.startswith("redis"), url.scheme in ("rediss", "etcds")
    conf: dict[str, Any] = {"host": url.hostname, "port": url.port or _PORTS[url.scheme]}
    conf |= {_FILES[word][0 if redis else 1]: value for word, value in parse_qsl(url.query)}
    if not redis:
        conf |= {"board": "etcd", "path": installation, "ttl": ttl, "timeout": _TIMEOUT, "api_path": "/v3/"}
        return conf | ({"protocol": "https"} if secure else {})
    conf |= {"board": "redis", "namespace": f"slipway-{installation}", "ssl": secure}
    conf |= {"socket_timeout": _TIMEOUT, "socket_connect_timeout": _TIMEOUT, "db": int(url.path.strip("/") or 0)}
    return conf | {name: unquote(value) for name in ("username", "password") if (value := getattr(url, name))}


def _job_of(handle: Any) -> Job | None:
    """What is asked for; None for what nobody of ours has posted."""
    try:
        job = msgspec.convert(handle.details, Job)
    except msgspec.ValidationError:
        return None
    return job if job.what in ("instance", "run") else None


def _why(error: BaseException) -> str:
    """What the server or its library said first: TaskFlow's own errors say no more than that it did."""
    while type(error).__module__.startswith("taskflow") and error.__cause__ is not None:
        error = error.__cause__
    text = (str(error) or type(error).__name__).splitlines()[0]
    refused = type(error).__name__ in _REFUSALS
    return f"the board lets nobody in by this user and password: {text}" if refused else _UNANSWERED + text


_REFUSALS = ("AuthenticationError", "AuthenticationWrongNumberOfArgsError", "NoPermissionError")
"""Of the client of Redis."""
_UNANSWERED = "the board does not answer: "


class Beat:
    """A thread that calls something again and again, so often that a claim of `ttl` seconds never ends under it."""

    def __init__(self, call: Callable[[], None], seconds: float) -> None:
        """`call` handles its own errors."""
        self._call = call
        self._seconds = seconds
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="slipway-beat", daemon=True)

    def __enter__(self) -> Beat:
        """Begin."""
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        """End it, once a call that is under way has come back."""
        self._ended.set()
        self._thread.join()

    def _beat(self) -> None:
        while not self._ended.wait(self._seconds):
            self._call()
