"""The Python API: bring a run file about, take it back, and everything between. No threads, signals or environment.

What a verb needs is loaded when it is first called: looking at the record needs neither drivers nor TaskFlow.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from functools import cached_property, partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeAlias, TypeVar

from msgspec.structs import replace

from slipway import errors
from slipway.drivers.registry import Drivers, driver_class
from slipway.model.deed import Deed, Pruned
from slipway.model.limits import Name
from slipway.model.machine import PowerState
from slipway.model.network import Context, DhcpOption
from slipway.model.record import Effect, Event, Fault, Instance, RecordedEvent, Stack
from slipway.model.request import GRACEFUL, Host, InstanceRequest, Shutdown
from slipway.model.run import RunRecord
from slipway.model.selection import BY_NAME, Order
from slipway.settings import Settings
from slipway.states import hosts, installation, instances, outbox, runs, stacks
from slipway.states.details import Details, details_of
from slipway.states.hosts import HostUsage
from slipway.states.machines import Move, VmState
from slipway.states.sqlitefile import make_state
from slipway.states.store import Store, Transaction
from slipway.states.urls import sqlite_url

if TYPE_CHECKING:
    from opentelemetry.trace import Tracer

    from slipway.drivers.board import Board
    from slipway.drivers.network.embedded.common.transactions import NetworkEvent
    from slipway.flows.engine.flow import Flow
    from slipway.flows.tasks.base import InstanceVerbs, Task, Tools
    from slipway.model.measured import Measured
    from slipway.model.metrics import Metric
    from slipway.networks import Networks
    from slipway.operations.access import Access
    from slipway.operations.addresses import SeenAddresses
    from slipway.operations.audit import Finding
    from slipway.operations.batch import Ended
    from slipway.operations.changes.verbs import InstanceChanges
    from slipway.operations.explain import Explanation
    from slipway.operations.hosts import HostChanges, HostDetails
    from slipway.operations.images import Images
    from slipway.operations.lifecycle import Builder
    from slipway.operations.mends import Mend
    from slipway.operations.quotas import InstanceQuotas
    from slipway.operations.repair import Mended, Repair, Selection
    from slipway.operations.runs import Runs
    from slipway.operations.several import Several
    from slipway.operations.usage import Meter
    from slipway.operations.work import Work
    from slipway.operations.workers import Workers
    from slipway.runfile import RunFile
    from slipway.stacks.changes import Changes, RunResult
    from slipway.stacks.importing import Imported
    from slipway.stacks.plan import Plan

T = TypeVar("T")
Listener: TypeAlias = Callable[[Event], None]
_CLAIMS_END = 3
"""Seconds after which others take over what a worker has in hand that is not heard of."""
_PAGE = 500
"""Events that are read in one transaction."""
NetworkListener: TypeAlias = "Callable[[NetworkEvent], None]"


class BuildFailed(errors.SlipwayError):
    """A build ended in ERROR: `cause` is its first error, `undone` and `stuck` what became of its effects."""

    def __init__(self, instance: Instance, undone: tuple[Effect, ...], stuck: tuple[Effect, ...]) -> None:
        """The text names the first cause."""
        self.instance = instance
        self.cause: Fault | None = instance.fault
        self.undone = undone
        self.stuck = stuck
        why = f"{instance.fault.type}: {instance.fault.message}" if instance.fault else "no fault is on record"
        super().__init__(f"building {instance.name} failed: {why}")


class _Once(cached_property[T]):
    """Made when it is first asked for, once, whichever thread asks; `cached_property` alone sees to that till 3.11."""

    _making = threading.RLock()

    def __get__(self, instance: object, owner: type[Any] | None = None) -> T:  # type: ignore[override]
        with self._making:
            made: T = super().__get__(instance, owner)
            return made


class Orchestrator:
    """Builds instances and takes back what it did. Several may live in one process, on different databases."""

    def __init__(
        self,
        state: str | Path,
        *,
        db: str | None = None,
        settings: Settings | None = None,
        drivers: Callable[[Store, Settings, Path], Drivers] | None = None,
        store: Callable[[str], Store] = Store,
        workflow: str = "build-instance",
        project: str = "default",
        on_network_event: NetworkListener | None = None,
        on_event: Listener = lambda _event: None,
        clock: Callable[[], datetime] = partial(datetime.now, UTC),  # noqa: B008 - it is called at its time
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        rng: random.Random | None = None,
        executor: Executor | None = None,
        allow_commands: bool = False,
        asked_by: str | Callable[[], str] = "",
        tracer: Tracer | None = None,
        board: str | None = None,
    ) -> None:
        """`state`: the directory that holds everything of this machine; `db`: an SQLAlchemy URL, default a file in it.

        `settings`: default those of the last run, so that a resume is as the run was. `drivers` makes the drivers,
        default those that are installed. With an `executor` the branches of a build run side by side in it.
        What `clock` says is only written down; deadlines, durations and leases go by `monotonic`, which must be the
        same for all processes of this machine.
        `project`: on whose behalf `network` is called by default. `on_network_event` is told of every change of
        networks, subnets and ports after its commit; drivers of your own tell it themselves. `on_event` is told where
        a host could not follow such a change (`host.behind`). `workflow`: a name that is known, or a path, by which is
        built what a run file says no other one for. `allow_commands`: workflows may run commands on this machine.
        `asked_by`: who is on record as having begun runs (a function is asked for it when it is needed).
        `tracer`: OpenTelemetry's, in whose spans builds, runs, their steps and the calls of drivers are to be.
        `board`: the URL of a job board; what is to be done to instances is posted there and waited for, and workers do
        it (`work`).
        Raises `InvalidRequest` for settings that make no sense or what is no project's name, and a `StoreError` when
        the database cannot be used.
        """
        if settings is not None or project != "default":
            from slipway.checks import check

            check(project, Name, "project")
            check(settings, Settings | None, "settings")
        if drivers is not None and on_network_event is not None:
            raise ValueError("drivers of your own are given on_event where you make them, not on_network_event here")
        state = Path(state)
        if db is None:
            make_state(state)
        self._executor = executor
        self._allow_commands = allow_commands
        self._asked_by = asked_by
        self._board_url = board
        self._tracer = tracer
        self._sleep = sleep
        self._store = store(db or sqlite_url(state / "slipway.db"))
        self._settings = settings or self._settings_on_record()
        self._make_drivers = drivers or partial(default_drivers, on_network_event=on_network_event)
        self._state = state
        self._project = project
        self._on_event = on_event
        self._clock = clock
        self._monotonic = monotonic
        self._workflow = workflow
        self._settings_to_keep = settings
        self._rng = rng or random.SystemRandom()

    @_Once
    def _drivers(self) -> Drivers:
        made = self._make_drivers(self._store, self._settings, self._state)
        if self._tracer is None:
            return made
        from slipway.looks.tracing import TracedDrivers

        return TracedDrivers(made, self._state, self._tracer)

    @_Once
    def network(self) -> Networks:
        """Networks, subnets, ports, security groups and quotas, as in Neutron."""
        from slipway.networks import Networks

        return Networks(
            self._drivers.network,
            Context(self._project, is_admin=True),
            check_dhcp_options=self._check_dhcp_options,
            changed=self._follow,
            guard=self._unwired,
        )

    def _check_dhcp_options(self, options: Sequence[DhcpOption]) -> None:
        from slipway.operations.follow import check_dhcp_options

        check_dhcp_options(options, self._store, self._drivers)

    def _follow(self, changed: object) -> None:
        from slipway.operations.follow import follow

        follow(changed, self._tools, self._on_event)

    def _unwired(self, *asked: Any) -> AbstractContextManager[Transaction | None]:
        from slipway.operations.wired import unwired

        return unwired(self._store, self._drivers.network, *asked)

    @_Once
    def _tools(self) -> Tools:
        from slipway.flows.tasks.base import Tools

        return Tools(
            self._store,
            self._drivers,
            self._settings,
            self._clock,
            self._monotonic,
            self._sleep,
            allow_commands=self._allow_commands,
            make_instances=lambda: self._verbs,
            **({} if self._tracer is None else {"traced": self._tracing(self._tracer)}),
        )

    def _tracing(self, tracer: Tracer) -> Any:
        from slipway.looks.tracing import Tracing

        return Tracing(tracer)

    @_Once
    def _verbs(self) -> InstanceVerbs:
        from slipway.flows.instance_workflow import users_workflow
        from slipway.flows.loader import absolute
        from slipway.operations.verbs import Verbs
        from slipway.runfile.inline import make_inline_request

        def workflow() -> str:
            found = absolute(self._workflow)
            users_workflow(found)
            return found

        return Verbs(self._builder, self._tools, make_inline_request, workflow)

    @_Once
    def _builder(self) -> Builder:
        from slipway.flows.conductor import Conductor
        from slipway.operations.lifecycle import Builder

        if self._board_url is not None:
            from slipway.operations.posting import Posting

            posting = Posting(self._tools, self._posts)
            return Builder(posting, self._tools, rng=self._rng, asked_by=self._asker, anywhere=True)
        conductor = Conductor(self._tools, _change_power, self._tasks, executor=self._executor)
        return Builder(conductor, self._tools, rng=self._rng, asked_by=self._asker)

    @_Once
    def _posts(self) -> Board:
        """Where it is posted what is to be done."""
        assert self._board_url is not None
        return self._board(self._board_url, "", _CLAIMS_END)

    def _board(self, url: str, who: str, ttl: int) -> Board:
        from slipway.drivers.board import Board

        return Board(url, self._store.installation, who, ttl=ttl)

    @_Once
    def changes(self) -> InstanceChanges:
        """What instances that were built can be made."""
        from slipway.operations.changes.verbs import InstanceChanges

        return InstanceChanges(self._builder, self._tools)

    @_Once
    def images(self) -> Images:
        """The images of this machine that have names, and those that can be pulled."""
        from slipway.operations.images import Images

        return Images(self._store, self._state, self._clock)

    @_Once
    def access(self) -> Access:
        """Ways into guests that run: consoles, connections, and by which keys their SSH servers are known."""
        from slipway.operations.access import Access

        return Access(self._tools, self._state)

    @_Once
    def quotas(self) -> InstanceQuotas:
        """How many instances projects may have; `network` has the quotas of networks, ports and so on."""
        from slipway.operations.quotas import InstanceQuotas

        return InstanceQuotas(self._store)

    @_Once
    def runs(self) -> Runs:
        """Runs of workflows: begun, gone on with, undone, and looked at."""
        from slipway.flows.runs.conductor import RunConductor
        from slipway.operations.posting import PostingRuns
        from slipway.operations.rebuild import Builds
        from slipway.operations.runs import Runs

        conductor: RunConductor | PostingRuns
        if self._board_url is not None:
            conductor = PostingRuns(self._tools, self._posts)
        else:
            conductor = RunConductor(self._tools, self._tasks, executor=self._executor)
        builds = Builds(self._builder, self._tools)
        return Runs(self._tools, conductor, builds, rng=self._rng, project=self._project, asked_by=self._asker)

    @property
    def _asker(self) -> str:
        """Who is on record as having begun what is begun here."""
        return self._asked_by if isinstance(self._asked_by, str) else self._asked_by()

    @property
    def _tasks(self) -> Mapping[str, Task]:
        """What the steps of runs may use."""
        from slipway.flows.tasks.catalog import CATALOG

        return CATALOG

    def unfinished_runs(self) -> Sequence[RunRecord]:
        """The runs of workflows that have not ended, oldest first."""
        with self._store.read() as tx:
            return runs.listed(tx, unfinished=True)

    def _check_world(self, file: RunFile) -> None:
        from slipway.operations.unrecorded import check_world

        check_world(file.hosts, self._tools)

    def _settings_on_record(self) -> Settings:
        with self._store.read() as tx:
            return installation.settings(tx) or Settings()

    def _keep_settings(self) -> None:
        """Have what another process goes on with go by these settings, where they were given."""
        if self._settings_to_keep is not None:
            with self._store.write() as tx:
                installation.keep_settings(tx, self._settings_to_keep)
            self._settings_to_keep = None

    def __enter__(self) -> Self:
        """Nothing to do; `close` at the end."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Close."""
        self.close()

    def backup(self, path: str | Path, *, force: bool = False) -> None:
        """Copy the whole record to a file, as it is at one moment, whoever works on it meanwhile; `slipway restore`
        puts it back.

        The file has mode 0600: of builds that are going on it has the user data. Raises `BackupRefused` where there is
        such a file already, unless `force` is given, and for another database than a file of SQLite's.
        """
        from slipway.operations.backup import back_up

        back_up(self._store, Path(path), force=force)

    @property
    def began_beside(self) -> tuple[str, ...]:
        """Where this began a new record: which directories with an earlier one's machines are in the state directory.

        Nothing is built there until they are on record or gone, see `run`.
        """
        from slipway.operations.unrecorded import left_in

        return left_in(self._state) if self._store.is_new else ()

    def close(self) -> None:
        """Close the database, and the board."""
        if "_posts" in self.__dict__:
            self._posts.close()
        self._store.close()

    # --- building -------------------------------------------------------------------------------------------------

    def plan(self, file: RunFile, *, prune: bool = False, replace_failed: bool = False, repair: bool = True) -> Plan:
        """What `run` would do with the file, and on what that was seen; nothing is changed.

        `prune`: what has left the file is taken away. `replace_failed`: what is in ERROR is built anew. `repair` false:
        what is real is not looked at. Raises as `run` does before anything is done.
        """
        from slipway.flows.instance_workflow import definition_now
        from slipway.stacks.plan import How, Wish
        from slipway.stacks.planning import make_plan

        self._check_file(file)
        workflow = self._workflow_of(file)
        wish = Wish(prune=prune, replace_failed=replace_failed, repair=repair)
        made = make_plan(file, wish, self._tools, lambda: definition_now(workflow))
        with self._store.read() as tx:
            for change in made.changes:
                if change.kind == "instance" and change.id and change.how in (How.REPLACE, How.PRUNE):
                    self._builder.check_here(tx, instances.get(tx, change.id))
        if any(change.kind == "instance" and change.how in (How.MAKE, How.REPLACE) for change in made.changes):
            self._check_world(file)
        return made

    def _check_file(self, file: RunFile) -> None:
        """See whether a file can be brought about here."""
        from slipway.flows.instance_workflow import users_workflow
        from slipway.operations.hosts import check_here
        from slipway.runfile.consistency import check_file

        check_file(file)
        if file.instances:
            users_workflow(self._workflow_of(file))
        for host in file.hosts:
            self._drivers.on(host)
        with self._store.read() as tx:
            check_here(tx, (host.name for host in file.hosts), self._drivers)

    def _workflow_of(self, file: RunFile) -> str:
        """By which its instances are built."""
        from slipway.flows.loader import absolute
        from slipway.runfile.entries import DEFAULT_WORKFLOW

        return absolute(self._workflow if file.workflow == DEFAULT_WORKFLOW else file.workflow)

    def run(
        self,
        file: RunFile,
        *,
        on_event: Listener = lambda _event: None,
        executor: Executor | None = None,
        stopping: Callable[[], bool] = lambda: False,
        replace_failed: bool = False,
        prune: bool = False,
        repair: bool = True,
        yes: bool = False,
    ) -> RunResult:
        """Do what `plan` says of the file; doing it again changes nothing.

        What would be stopped, replaced or pruned has to be agreed to (`yes`), else it is `NotConfirmed` and nothing is
        done.
        With an `executor` independent instances are built side by side in it. `stopping` true: no further instance or
        step is begun. A failed build is in the result, not raised.
        Raises `InvalidRequest`, `InvalidFile` for its workflow, `UnknownDriver`, and `HostElsewhere` for a host that
        belongs to another place, before anything is on record, and what the network service refuses; where a
        host cannot follow what the file adds `on_event` is told. Raises `WorldUnrecorded` where something is to be
        built and machines that are ours are there and not on record, as after an older database was put back.
        """

        from slipway.stacks.moved import check_agreed

        later = result = None
        while later is None or (later.finished and not stopping()):
            # What others had left unfinished may be otherwise than the file says once it is finished.
            made = self.plan(file, prune=prune, replace_failed=replace_failed, repair=repair)
            check_agreed(made, yes=yes, finished=later is not None)
            later = self.apply(made, on_event=on_event, executor=executor, stopping=stopping, yes=yes, checked=True)
            result = later if result is None else result.then(later)
        assert result is not None
        return result

    def apply(
        self,
        plan: Plan,
        *,
        on_event: Listener = lambda _event: None,
        executor: Executor | None = None,
        stopping: Callable[[], bool] = lambda: False,
        yes: bool = False,
        checked: bool = False,
    ) -> RunResult:
        """Carry out a plan that was made before, also by another process; otherwise as `run`.

        Raises `PlanUnusable` for another record's, and `PlanOutdated`, before anything is done, where the record or
        reality has moved since; it names what. `checked`: the plan was made just now, and is not compared.
        """
        from slipway.stacks.carrying import Carrier
        from slipway.stacks.moved import check_agreed, check_same

        if executor is not None and executor is self._executor:
            raise ValueError("builds and their branches need two executors: in one they wait for each other")
        if not checked:
            wish = plan.wish
            now = self.plan(plan.file, prune=wish.prune, replace_failed=wish.replace_failed, repair=wish.repair)
            check_same(plan, now)
            plan = now
        check_agreed(plan, yes=yes)
        with self._store.write() as tx:
            installation.keep_settings(tx, self._settings)
        workflow = self._workflow_of(plan.file)
        carrier = Carrier(self._builder, self._tools, lambda: self._repair, workflow, on_event, stopping, executor)
        return carrier.carry_out(plan)

    def save_plan(self, plan: Plan, path: str | Path) -> None:
        """Write a plan to a private file, sealed for this record: `load_plan` and `slipway run` take it.

        It bears the user data and files of the instances that it builds. Raises `PlanUnusable` where there is another
        file.
        """
        from slipway.stacks.saved import save

        save(plan, Path(path))

    def load_plan(self, path: str | Path) -> Plan:
        """A plan that was saved for this record. Raises `PlanUnusable` for one that was changed since, or another's."""
        from slipway.stacks.saved import load

        return load(Path(path), self._store.installation)

    def create(
        self,
        request: InstanceRequest,
        *,
        on_event: Listener = lambda _event: None,
        timeout: float | None = None,
    ) -> Instance:
        """Build one instance.

        The same request with the same idempotency key makes no second one: it is given the first one's instance, once
        that is built. It goes on with the build where its worker is gone, and waits for one that is alive, at most
        `timeout` seconds (None: until it has ended); then it raises `InstanceBusy`.
        Raises `InvalidRequest` with all that is wrong, `InvalidFile` for the workflow, and `QuotaExceeded`, before
        anything is on record; `InstanceExists`, `IdempotencyKeyReused` for another request under a key,
        `InstanceDeleted` for a key whose instance is gone; `BuildFailed` with the first cause, what was undone and what
        is stuck.
        """
        workflow = self._checked(request)
        built = self._builder.create(request, on_event, timeout, workflow=workflow)
        if built.vm_state == VmState.ERROR:
            from slipway.states.effects import undone_and_stuck

            with self._store.read() as tx:
                raise BuildFailed(built, *undone_and_stuck(tx, built.id))
        return built

    def _checked(self, request: InstanceRequest) -> str:
        """The workflow by which an instance is built. Raises `InvalidRequest`, and `InvalidFile` for the workflow."""
        from slipway.checks import check
        from slipway.flows.instance_workflow import users_workflow
        from slipway.flows.loader import absolute

        check(request, InstanceRequest, f"instance {request.name}" if isinstance(request, InstanceRequest) else "")
        workflow = absolute(self._workflow)
        users_workflow(workflow)
        return workflow

    def build_flow(
        self, request: InstanceRequest, *, provides: str = "instance_id", on_event: Listener = lambda _event: None
    ) -> Flow:
        """A build as a flow of TaskFlow's, for any engine of TaskFlow's and as a part of anybody's flow.

        Its one task creates the instance and provides its id under that name; reverted, it deletes it. One whose build
        failed is deleted as well: what failed is the flow's failure. Give the request an idempotency key, and a flow
        that is resumed after a crash goes on with the build that it began. Raises as `create` does, before anything is
        on record.
        """
        from slipway.flows.instance_flow import instance_flow

        self._checked(request)
        return instance_flow(
            request.name, provides, partial(self.create, request, on_event=on_event), partial(self.delete)
        )

    def resume(
        self,
        *,
        on_event: Listener = lambda _event: None,
        executor: Executor | None = None,
        stopping: Callable[[], bool] = lambda: False,
    ) -> tuple[Ended, ...]:
        """Finish, forward or back, whatever a crash left unfinished. What another worker is at is left to it."""
        from slipway.operations.batch import run_in_order

        with self._store.read() as tx:
            unfinished = {instance.id: instance for instance in instances.unfinished(tx)}

        def one(instance_id: str) -> Ended:
            return self._builder.go_on(unfinished[instance_id], on_event, stopping)

        # What is not begun any more is said by `go_on`, which knows its name.
        ended = run_in_order(dict.fromkeys(unfinished, ()), one, executor=executor, stopping=lambda: False)
        # Also what was killed between the end of a build and this.
        self._store.scrub()
        return ended

    def worker(
        self,
        board: str,
        *,
        name: str,
        hosts: Sequence[str] = (),
        anything: bool = False,
        concurrency: int = 4,
        ttl: int = _CLAIMS_END,
        tell: Callable[[str], None] = lambda _line: None,
        on_event: Listener = lambda _event: None,
    ) -> Work:
        """What takes work from the job board, as the worker of that name: what is for these `hosts`, and with
        `anything` what is for none. Within `with` it is on record, and `until` takes work in the thread that calls it.

        The hosts are measured and on record afterwards, those that were not by libvirt, qcow2 and linuxbridge.

        At most `concurrency` instances are in hand at once, each in a thread. Others take them over when this worker is
        not heard of for `ttl` seconds. `tell` is told what it does, in lines for people.
        Raises `InvalidBoard`, `BoardUnavailable`, `HostNotFound` for a host that is not on record and cannot be
        measured, and `HostElsewhere` for one that belongs to another place.
        """
        from slipway.operations.registering import register
        from slipway.operations.working import make_work, only

        for host in hosts:
            register(host, self._tools, tell)
        only(self._tools, hosts)
        # What workflows do to instances is posted as well.
        self._board_url = board
        return make_work(
            self._board(board, name, ttl),
            self._builder,
            self._tools,
            self._tasks,
            _change_power,
            name=name,
            hosts=tuple(hosts),
            anything=anything,
            concurrency=concurrency,
            ttl=ttl,
            tell=tell,
            notify=on_event,
            rng=self._rng,
            asked_by=self._asker,
        )

    def workers(self) -> Workers:
        """Who takes work from the job board, and what waits for somebody who does not."""
        from slipway.operations.workers import seen

        found = seen(self._tools)
        return found if self._board_url is None else replace(found, posted=len(self._posts.posted()))

    def silent_hosts(self) -> tuple[str, ...]:
        """The hosts whose workers are not heard of any more: what is on them is known as it was, and not as it is."""
        from slipway.states import workers

        with self._store.read() as tx:
            return workers.silent_hosts(tx, self._clock)

    # --- stopping and starting ------------------------------------------------------------------------------------

    def stop(
        self,
        name: str,
        *,
        project: str | None = None,
        force: bool = False,
        timeout: float | None = None,
        on_event: Listener = lambda _event: None,
    ) -> Instance:
        """Stop an instance, by name or id; gives it as it is then, and does nothing where it is STOPPED.

        The guest is asked to shut down (ACPI), and ended when it still runs after `timeout` seconds (default: the
        settings' `shutdown_timeout`), or at once with `force`. When that fails the instance is in the state in which
        its domain really is, with the failure as its `fault`; that is not raised.
        Raises `InstanceNotFound`, `UnexpectedState` where it is not ACTIVE, `InstanceBusy` while another worker is at
        it, `NotFinished` when it can be resumed; `ValueError` for a time-out beyond a step's.
        """
        return self._builder.change_power(Move.STOP, name, project, on_event, Shutdown(force, timeout))

    def start(self, name: str, *, project: str | None = None, on_event: Listener = lambda _event: None) -> Instance:
        """Start an instance that is STOPPED; as `stop`. ACTIVE already: nothing happens."""
        return self._builder.change_power(Move.START, name, project, on_event, GRACEFUL)

    def reboot(
        self,
        name: str,
        *,
        project: str | None = None,
        force: bool = False,
        timeout: float | None = None,
        on_event: Listener = lambda _event: None,
    ) -> Instance:
        """Stop an instance that is ACTIVE, as `stop` does, and start it; also one whose domain ended by itself."""
        return self._builder.change_power(Move.REBOOT, name, project, on_event, Shutdown(force, timeout))

    def pause(self, name: str, *, project: str | None = None, on_event: Listener = lambda _event: None) -> Instance:
        """Freeze the guest of an instance that is ACTIVE: it keeps its memory and what it holds; as `stop`.

        It is PAUSED then, and a repair leaves it so. PAUSED already: nothing happens.
        """
        return self._builder.change_power(Move.PAUSE, name, project, on_event, GRACEFUL)

    def unpause(self, name: str, *, project: str | None = None, on_event: Listener = lambda _event: None) -> Instance:
        """Let the guest of an instance that is PAUSED go on; as `stop`. ACTIVE already: nothing happens."""
        return self._builder.change_power(Move.UNPAUSE, name, project, on_event, GRACEFUL)

    def watch(self, on_event: Listener, *, stopping: Callable[[], bool] = lambda: False) -> None:
        """Tell what happens to the domains of all hosts, whoever does it, until `stopping` is true.

        An instance that is ACTIVE, at rest, and whose domain has ended is STOPPED then: at the beginning, whenever a
        host is heard again, and when it happens. libvirt's hosts have threads meanwhile. Raises a `StoreError`.
        """
        from slipway.operations.watch import Watch

        Watch(self._tools, on_event).run(stopping)

    # --- mending --------------------------------------------------------------------------------------------------

    def audit(self) -> tuple[Finding, ...]:
        """The record against what every driver holds, both ways; changes nothing and is safe at any time."""
        from slipway.operations import audit as auditing

        return auditing.audit(self._tools)

    def plan_repair(
        self,
        name: str | None = None,
        *,
        project: str | None = None,
        stack: str | None = None,
        host: str | None = None,
    ) -> tuple[Mend, ...]:
        """What `repair` would do about each difference that an audit finds; changes nothing."""
        return self._repair.plan(self._selected(name, project, stack, host))

    def repair(
        self,
        name: str | None = None,
        *,
        project: str | None = None,
        stack: str | None = None,
        host: str | None = None,
        losing: bool = True,
        on_event: Listener = lambda _event: None,
        stopping: Callable[[], bool] = lambda: False,
    ) -> tuple[Mended, ...]:
        """Mend what an audit finds of an instance, a stack or a host (all, where none is said), without a stop of a
        guest where that can be; gives what became of each difference.

        What should run (ACTIVE on record, and `autostart`) runs afterwards. What is ours and nobody's is taken away,
        and a disk that is gone made anew, unless `losing` is false: then nothing is done by which anything is lost.
        What cannot be mended is in the result, not raised. Raises `InstanceNotFound`, `HostNotFound`, and `ValueError`
        where more than one is said.
        """
        selection = self._selected(name, project, stack, host)
        return self._repair.mend(selection, losing=losing, notify=on_event, stopping=stopping)

    def up(
        self,
        *,
        on_event: Listener = lambda _event: None,
        stopping: Callable[[], bool] = lambda: False,
    ) -> tuple[Mended, ...]:
        """After a restart of hosts: have all run that should, on networks that are there. Nothing is lost by it."""
        return self.repair(losing=False, on_event=on_event, stopping=stopping)

    def keep_up(
        self,
        on_mended: Callable[[Mended], None],
        *,
        every: float = 10.0,
        on_event: Listener = lambda _event: None,
        stopping: Callable[[], bool] = lambda: False,
    ) -> None:
        """Do `up` again `every` so many seconds until `stopping` is true; what cannot be mended is tried ever less."""
        from slipway.operations.limits import check_seconds
        from slipway.operations.upkeep import keep_up

        check_seconds("every", every)
        keep_up(self._repair, self._tools, on_mended, every=every, notify=on_event, stopping=stopping)

    @_Once
    def _repair(self) -> Repair:
        from slipway.operations.repair import Repair

        return Repair(self._tools, self._builder)

    def _selected(self, name: str | None, project: str | None, stack: str | None, host: str | None) -> Selection:
        from slipway.operations.repair import Selection

        if sum(one is not None for one in (name, stack, host)) > 1:
            raise ValueError("an instance, a stack or a host: only one of them can be named")
        if name is not None:
            return Selection(instance_id=self.show(name, project=project).instance.id)
        if host is not None:
            with self._store.read() as tx:
                if not hosts.there(tx, host):
                    raise errors.HostNotFound(f"no host {host} is on record")
        return Selection(stack=stack, project=project if stack is not None else None, host=host)

    # --- taking back ----------------------------------------------------------------------------------------------

    def delete(
        self,
        name: str,
        *,
        project: str | None = None,
        on_event: Listener = lambda _event: None,
        timeout: float | None = None,
    ) -> Instance:
        """Delete an instance, by name or id, whatever is going on with it; gives it as it is then.

        A live worker is waited for, at most `timeout` seconds (default: a step's deadline and its grace); one that is
        gone is replaced. Called by a listener of the very build, it returns at once and the build undoes itself.
        What cannot be undone leaves it in ERROR, and delete can be repeated.
        Raises `InstanceNotFound`, `InstanceBusy`.
        """
        return self._builder.delete(name, project, on_event, timeout)

    def destroy(
        self,
        file: RunFile,
        *,
        on_event: Listener = lambda _event: None,
        stopping: Callable[[], bool] = lambda: False,
    ) -> tuple[tuple[Ended, ...], Changes]:
        """The inverse of `run`: delete the instances of the file's stack, dependants first, then what else it made.

        What the file names and its stack did not make stays, and is among the changes' `kept`; what is of the stack and
        has left the file goes.
        """
        from slipway.operations.batch import GONE, run_in_order
        from slipway.operations.hosts import check_here
        from slipway.runfile.consistency import check_file
        from slipway.stacks.changes import Changes
        from slipway.stacks.removal import remove_instance
        from slipway.stacks.takeback import take_back

        check_file(file)
        with self._store.read() as tx:
            found = instances.of_stack(tx, file.stack)
            for instance in found:
                self._builder.check_here(tx, instance)
            check_here(tx, stacks.members(tx, file.stack, stacks.Kind.HOST), self._drivers)
        built = [instance.name for instance in found]
        named = [entry.request.name for entry in reversed(file.instances)]
        left_the_file = [name for name in built if name not in named]
        dependants: dict[str, list[str]] = {name: [] for name in (*left_the_file, *named)}
        for entry in file.instances:
            for need in entry.depends_on:
                dependants[need].append(entry.request.name)
        ended = run_in_order(
            dependants,
            lambda name: remove_instance(self._builder, self._tools, name, file.stack, on_event, stopping),
            executor=None,
            stopping=stopping,
            good=GONE,
        )
        all_gone = all(one.status in GONE for one in ended)
        return ended, take_back(file, self._store, self._drivers) if all_gone else Changes()

    def import_into(self, stack: str, name: str, *, kind: str | None = None, project: str | None = None) -> Imported:
        """Have something of a project (default: its own) that no run of a file made bear that project's stack.

        By name or id an "instance", "network" with its subnets, "subnet", "port", "security group" or "host"; `kind`
        says which where several are called so. A run of the stack's file changes and prunes it from then on, and
        `destroy` takes it back; what is a network service's elsewhere, and Slipway has not made, is only given back
        then. Nothing is done to it now. Raises `NothingToImport`, `NoUniqueMatch`, `ImportRefused`, `InstanceBusy`.
        """
        from slipway.checks import check
        from slipway.stacks.importing import KINDS, bring_under

        check(stack, Name, "stack")
        if kind not in (None, *KINDS):
            raise errors.InvalidRequest((f"kind: must be one of {', '.join(KINDS)}, not {kind}",))
        whose = Stack(project or self._project, stack)
        return bring_under(self._store, self._drivers.network, whose, name, kind)

    def import_domain(
        self,
        stack: str,
        name: str,
        host: str,
        *,
        networks: Sequence[str] = (),
        project: str | None = None,
        on_event: Listener = lambda _event: None,
    ) -> Instance:
        """Have a domain that was made by hand be an instance of a stack: it is built anew, on its disks and with its
        MACs, and runs then. `networks`: one for each of its NICs, by name or id, in their order.

        Its disks become volumes, which a delete leaves. Raises `NothingToImport`, `HostNotFound`, `ImportRefused`
        with all that speaks against it, what `create` does: then nothing is left of it, and the domain is as it was.
        """
        from slipway.checks import check
        from slipway.operations.adopting import adopt

        check(stack, Name, "stack")
        whose = Stack(project or self._project, stack)
        return adopt(
            self._tools,
            whose,
            name,
            host,
            networks,
            lambda request: self.create(request, on_event=on_event),
            lambda instance_id: self.delete(instance_id, on_event=on_event),
        )

    # --- hosts ----------------------------------------------------------------------------------------------------

    def add_host(self, host: Host, *, exist_ok: bool = True, measured: Measured | None = None) -> None:
        """Put a host on record, or change what is known of it: what instances have claimed of it stays claimed.

        `measured`: what `measured_host` gave of it.
        Raises `InvalidRequest` with all that is wrong, `UnknownDriver`, `HostElsewhere` for another place's,
        `HostInUse` where more of it is claimed than it would have, and `HostExists` unless that is `exist_ok`.
        """
        from slipway.operations.hosts import add_host

        self._keep_settings()
        add_host(host, self._store, self._drivers, exist_ok=exist_ok)
        if measured is not None:
            from slipway.operations.registering import keep

            keep(host.name, measured, self._tools)

    def set_host(self, name: str, changes: HostChanges) -> HostUsage:
        """Change what is known of a host on record; gives it as it is then.

        Raises `HostNotFound`, `InvalidRequest`, `HostElsewhere`, and `HostInUse` where more of it is claimed than it
        would have, or an instance on it asked for what it would lose. A run file that made it says anew what it is.
        """
        from slipway.operations.hosts import set_host

        return set_host(name, changes, self._store, self._drivers)

    def measured_host(self, host: Host, *missing: str) -> tuple[Host, Measured]:
        """A host with what its entry is `missing` ("vcpus", "memory", "disk", "numa") as its own drivers measure it.

        Raises `InvalidRequest` where they do not measure that, and what they do.
        """
        from slipway.operations.registering import filled

        return filled(host, missing, self._tools)

    def disable_hosts(self, *names: str, reason: str = "") -> None:
        """Place no new instances on these hosts until they are enabled, whatever run files say; what is there stays.

        Raises `HostNotFound` before any is disabled.
        """
        from slipway.operations.hosts import disable_hosts

        disable_hosts(names, reason, self._store)

    def enable_hosts(self, *names: str) -> None:
        """Place new instances on these hosts again. Raises `HostNotFound` before any is enabled, `RecordDamaged`."""
        from slipway.operations.hosts import enable_hosts

        enable_hosts(names, self._store)

    def drain_host(
        self, name: str, *, reason: str = "drained", on_event: Listener = lambda _event: None
    ) -> tuple[Instance, ...]:
        """Disable a host and stop every instance on it that is ACTIVE; gives all that are on it, as they are then.

        One that could not be stopped has its `fault`; what is not ACTIVE is left as it is. Again after a crash it goes
        on. Raises `HostNotFound`, and as `stop` does.
        """
        self.disable_hosts(name, reason=reason)
        for instance in self.show_host(name).instances:
            if instance.vm_state == VmState.ACTIVE:
                self.stop(instance.id, on_event=on_event)
        return self.show_host(name).instances

    def forget_failures(self, *names: str) -> None:
        """Have failed builds not count against these hosts any more. Raises `HostNotFound` before any is changed."""
        from slipway.operations.hosts import forget_failures

        forget_failures(names, self._store)

    def remove_host(self, name: str) -> None:
        """Take a host off the record.

        Raises `HostNotFound`, `HostElsewhere`, and `HostInUse` while anything of ours is on it, which it names.
        """
        from slipway.operations.hosts import remove_host

        remove_host(name, self._tools)

    def take_hosts(self, *names: str) -> None:
        """Have these hosts belong to this machine and state directory from now on: nobody else may act on them then.

        The one to which they belonged must do nothing more: nothing is asked of it. Raises `HostNotFound` before any is
        taken.
        """
        from slipway.operations.hosts import take_hosts

        take_hosts(names, self._store, self._drivers)

    def hosts(self) -> Sequence[HostUsage]:
        """All hosts by name, each with what may be given out of it, what has been, and to whom it belongs."""
        with self._store.read() as tx:
            counted = hosts.counted(tx)
            return [
                replace(hosts.apart(usage), instances=counted.get(usage.host.name, 0)) for usage in hosts.usages(tx)
            ]

    def explain(self, name: str, *, project: str | None = None) -> Explanation:
        """Why an instance, by name or id, is on its host or on none: what was seen when it was scheduled, and what is
        true of each host now. Changes nothing. Raises `InstanceNotFound`."""
        from slipway.operations.explain import explain

        return explain(name, project, self._tools)

    def explain_file(self, file: RunFile) -> tuple[Explanation, ...]:
        """The same of each instance of a run file, in its order; one that is not on record as it would be built now,
        after those above it and with the hosts that the file would make. Changes nothing. Raises `InvalidRequest`."""
        from slipway.operations.explain import explain_stack
        from slipway.runfile.consistency import check_file

        check_file(file)
        requests = [entry.request for entry in file.instances]
        return explain_stack(file.stack, file.hosts, requests, self._tools)

    def show_host(self, name: str) -> HostDetails:
        """One host and what is on it, by the record. Raises `HostNotFound`, `RecordDamaged`."""
        from slipway.operations.hosts import host_details

        return host_details(name, self._store)

    # --- look-ups -------------------------------------------------------------------------------------------------

    def list(self, *, project: str | None = None) -> Sequence[Instance]:
        """All instances that are not deleted, by project and name."""
        with self._store.read() as tx:
            return instances.listed(tx, project=project)

    def select(
        self,
        *patterns: str,
        project: str | None = None,
        stack: str | None = None,
        host: str | None = None,
        states: Sequence[str] = (),
        labels: Mapping[str, str] | None = None,
        deleted: bool = False,
        order: Order = BY_NAME,
        after: str | None = None,
    ) -> Several:
        """The instances for which all that is said is true: to go through, or to be stopped, deleted and so on.

        `patterns` of names are a shell's (`web-*`), of which one has to fit; each of the `labels` has to be among an
        instance's metadata; `deleted`: those that are. It is read a page at a time whenever it is gone through, so that
        a hundred thousand need no more memory than a few hundred, beyond the one with the id `after` if wanted.
        Raises `InvalidRequest` for a state that there is none of.
        """
        from slipway.model.selection import Selection
        from slipway.operations.several import Several, read

        if unknown := sorted(set(states) - set(VmState)):
            raise errors.InvalidRequest((f"states: there is none called {unknown[0]}; there are {', '.join(VmState)}",))
        chosen = Selection(patterns, project, stack, host, tuple(states), tuple((labels or {}).items()), deleted)
        return Several(self, lambda: read(self._store, chosen, order, after=after))

    def get(self, instance_id: str) -> Instance:
        """One instance by id, also a deleted one. Raises `InstanceNotFound`."""
        with self._store.read() as tx:
            return instances.get(tx, instance_id)

    def show(self, name: str, *, project: str | None = None) -> Details:
        """One instance, by name or id, with everything on record about it. Raises `InstanceNotFound`."""
        with self._store.read() as tx:
            return details_of(tx, name, project)

    def metrics(self) -> tuple[Metric, ...]:
        """What monitoring asks for, by the record alone; `slipway metrics` has it as Prometheus text."""
        from slipway.operations.metrics import metrics

        return metrics(self._tools)

    def meter(self, *, project: str | None = None) -> Meter:
        """What guests use: each `look` says so since the one before, of a project or of all."""
        from slipway.operations.usage import Meter

        return Meter(self._tools, project)

    def history(
        self, name: str | None = None, *, project: str | None = None, limit: int | None = None
    ) -> Sequence[Deed]:
        """Who did what, when, and what became of it: the newest `limit`, oldest first.

        Of all, of a project, or of all instances of a name or id, deleted or not. Raises `InstanceNotFound`, and
        `ValueError` for a negative number.
        """
        from slipway.operations.limits import check_count
        from slipway.states.deeds import deeds

        check_count("limit", limit)
        with self._store.read() as tx:
            return deeds(tx, name=name, project=project, limit=limit)

    def prune(self, *, older_than: float, only_look: bool = False) -> Pruned:
        """Take off the record what was deleted more than so many seconds ago, with its runs, effects and events, and
        what runs ended then and left nothing that could be undone. `only_look` counts it and changes nothing.

        A request with the idempotency key of an instance that is pruned is a new one.
        """
        from slipway.operations.pruning import prune_all

        return prune_all(self._tools, older_than=older_than, only_look=only_look)

    def last_event(self) -> int:
        """The number of the newest event: while it is the same, nothing has changed on record."""
        return outbox.last_settled(self._store)

    def events(
        self,
        *,
        after: int = 0,
        instance_id: str | None = None,
        run_id: str | None = None,
        follow: bool = False,
        stopping: Callable[[], bool] = lambda: False,
    ) -> Iterator[RecordedEvent]:
        """What is on record of moves and steps beyond the event of the number `after`, oldest first.

        All, or those of an instance or a run. Who keeps the `seq` of the last one that was dealt with misses none and
        sees none twice. With `follow` it goes on with what comes until `stopping` is true. Raises a `StoreError`, and
        `ValueError` for a negative number.
        """
        from slipway.operations.limits import check_count

        check_count("after", after)
        while True:
            page = outbox.after(self._store, after, limit=_PAGE, instance_id=instance_id, run_id=run_id)
            yield from page
            after = page[-1].seq if page else after
            if len(page) == _PAGE:
                continue
            if not follow or stopping():
                return
            self._sleep(self._settings.poll_interval)

    def deliver(
        self,
        url: str | None = None,
        *,
        after: int | None = None,
        follow: bool = False,
        stopping: Callable[[], bool] = lambda: False,
    ) -> int:
        """Send events as JSON to `url` (None: the settings' `webhook`), each at least once; gives how many were taken.

        It goes on from what that receiver has taken by the record, or `after` an event. With `follow` it goes on with
        what comes until `stopping` is true, and tries again as long as the receiver is away. See
        `slipway.operations.webhook.deliver` for what is raised.
        """
        from slipway.operations.limits import check_count
        from slipway.operations.webhook import deliver

        check_count("after", after)
        if (url := url or self._settings.webhook) is None:
            raise errors.InvalidRequest(("webhook: name its URL, here or as the settings' webhook",))
        return deliver(url, self._tools, after=after, follow=follow, stopping=stopping)

    def stack_of(self, kind: str, id_: str) -> Stack | None:
        """The stack whose run made a "host" (by name), "network", "subnet", "port" or "security group" (by id).

        None: none did. An instance says it itself.
        """
        with self._store.read() as tx:
            return stacks.stack_of(tx, stacks.Kind(kind), id_)

    def addresses(self, name: str, *, project: str | None = None) -> SeenAddresses:
        """The addresses that an instance's guest really has: its leases, and what the agent in it tells.

        Asks its host, which takes some seconds where a guest or hypervisor does not answer; who cannot be asked is
        said in the result, not raised. Raises `InstanceNotFound`.
        """
        from slipway.operations.addresses import see_addresses

        return see_addresses(self.show(name, project=project), self._store, self._drivers)

    def console(
        self,
        name: str,
        *,
        project: str | None = None,
        lines: int | None = None,
        follow: bool = False,
        stopping: Callable[[], bool] = lambda: False,
    ) -> Iterator[bytes]:
        """What the guest of an instance wrote to its first serial port since its last start, piece by piece.

        From its last `lines` lines on (None: all), and with `follow` what it writes until its domain has ended or
        `stopping` is true. It is as the guest wrote it: not text to trust a terminal with.
        Raises `InstanceNotFound`, `ConsoleUnavailable`, `ComputeError` when the domain cannot be looked at, and
        `ValueError` for a negative number of lines.
        """
        from slipway.operations.console import find_log, read_log
        from slipway.operations.limits import check_count

        check_count("lines", lines)
        instance = self.show(name, project=project).instance
        if instance.host is None:
            raise errors.ConsoleUnavailable(f"instance {instance.name} is on no host: it has no console log")
        with self._store.read() as tx:
            compute = self._drivers.on(hosts.get(tx, instance.host)).compute

        def wait() -> bool:
            self._sleep(self._settings.poll_interval)
            return not stopping() and compute.power_state(instance.id) in (PowerState.RUNNING, PowerState.PAUSED)

        return read_log(find_log(instance, compute), lines, wait if follow else None)

    def misfits(self) -> tuple[str, ...]:
        """Values on record of types that Slipway never writes, each with its place: for who meets an error of Python's
        own, which somebody's hand in the database may be the cause of."""
        from slipway.states.inspection import misfits

        return tuple(misfits(self._store))


def _change_power(*given: Any, **more: Any) -> None:
    from slipway.operations.power import change_power

    change_power(*given, **more)


def default_drivers(
    store: Store, settings: Settings, state: Path, *, on_network_event: NetworkListener | None = None
) -> Drivers:
    """The network that the settings name, and each host's drivers by the names in its entry."""
    network = driver_class("network", settings.network)(store, settings, on_event=on_network_event)
    return Drivers(network, state, store.installation)
