"""Every error that Slipway raises. The class decides what happens to a build, never the text.

* `AbortBuild`: another host could not help (the request is wrong, or something is used up).
* `RescheduleBuild`: this host's fault; the next recorded alternate may do.
* `TransientError`: the same step may succeed if it is tried again; after its retries it counts as a reschedule.

An error of none of these classes (a driver's bug, say) reschedules, as in Nova.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from slipway.texts import masked


class SlipwayError(Exception):
    """The root of all errors of Slipway; `str()` is one clear line for a person. They can be pickled and copied.

    Passwords in URLs are masked when it is made: whoever shows, logs or keeps the error has none.
    """

    def __init__(self, *args: object) -> None:
        super().__init__(*(masked(arg) if isinstance(arg, str) else arg for arg in args))

    def __reduce__(self) -> tuple[Any, ...]:
        """Without a second call of `__init__`, which in some classes is given other things than the text."""
        return _again, (type(self), self.args, self.__dict__)


def _again(kind: type[SlipwayError], args: tuple[Any, ...], attributes: dict[str, Any]) -> SlipwayError:
    """An error as it was before it was pickled or copied."""
    error = kind.__new__(kind, *args)
    error.__dict__.update(attributes)
    return error


class AbortBuild(SlipwayError):
    """The build cannot succeed on any host."""


class RescheduleBuild(SlipwayError):
    """The build cannot succeed on this host; another one may do."""


class TransientError(SlipwayError):
    """The call may succeed when it is repeated."""


class BuildInterrupted(BaseException):
    """The worker stops here and undoes nothing: what is on record lets `resume` go on.

    Not an `Exception`, so that TaskFlow reverts nothing when it passes through.
    """


class GoesOnElsewhere(BuildInterrupted):
    """What comes next is to be done on a `host` that is not here: its own worker goes on."""

    def __init__(self, host: str) -> None:
        """`host`: its name."""
        super().__init__(host)
        self.host = host

    def __str__(self) -> str:
        """The text names the host."""
        return f"it goes on at host {self.host}"


# --- the record ---------------------------------------------------------------------------------------------------


class StoreError(SlipwayError):
    """The database could not be used; nothing was written by the call that failed.

    `of_option`: it is one that was named on the command line, or by SLIPWAY_DB, and was not opened at all.
    """

    of_option = False


class DatabaseUnavailable(StoreError):
    """The database cannot be opened or reached."""


class DatabaseLocked(StoreError):
    """Another process held the database for longer than the busy time-out."""


class DatabaseConflict(DatabaseLocked):
    """The database has rolled the transaction back for another one; it may be tried again."""


class DatabaseReadOnly(StoreError):
    """The database may not be written."""


class DatabaseFull(StoreError):
    """No space is left for the database."""


class DatabaseTooNew(StoreError):
    """The database was written by a newer Slipway."""


class DatabaseDamaged(StoreError):
    """The database is cut off, changed by hand, or none of Slipway's."""


class DatabaseUnsafe(StoreError):
    """The database is another user's, or others may put another one in its place."""


class NothingToImport(SlipwayError):
    """Nothing that could be brought under a stack is called so."""


class ImportRefused(SlipwayError):
    """Something is another stack's, or comes and goes with something else. Nothing was done."""


class MoveRefused(SlipwayError):
    """An instance cannot go to that host, or cannot leave its own; nothing was done."""


class RecordDamaged(AbortBuild):
    """One row of the record cannot be read; the others can."""


class BackupRefused(SlipwayError):
    """The record was not backed up, or a backup not put back; nothing was changed."""


class UnexpectedState(SlipwayError):
    """A row was not in the state that the caller expected; names both."""


class UnknownState(SlipwayError):
    """An instance is in a state that this Slipway does not know: a newer one wrote it, or somebody by hand."""


class StaleWorker(SlipwayError):
    """Another worker has taken this build over; this one stops and touches nothing more."""


class InstanceDeleting(SlipwayError):
    """The instance is being deleted: the build stops, undoes what it did, and is not rescheduled."""


class InvalidBoard(SlipwayError):
    """A job board's URL is none, or what it needs is not installed."""


class BoardUnavailable(SlipwayError):
    """The job board does not answer. Nothing is lost: what is to be done stands on record, and is posted again."""


class WorkerExists(SlipwayError):
    """Another worker has that name, and is heard of."""


class RunNotFound(SlipwayError):
    """No such run."""


class RunExists(SlipwayError):
    """A run was begun before with this idempotency key."""


class RunBusy(SlipwayError):
    """Another worker is going on with the run and did not end in time."""


class RunCancelled(SlipwayError):
    """The run is to be undone: no step of it is begun any more."""


class ChildFailed(AbortBuild):
    """Another workflow that a step uses has failed; it has undone what it did."""


class RunRejected(SlipwayError):
    """Somebody was asked whether a run may go on, and said no."""


class RunRefused(SlipwayError):
    """What is asked for cannot be done with this run as it stands."""


class SecretGone(SlipwayError):
    """What is to be undone needs a secret that is on record no longer, since its run has ended."""


class AttemptEnded(SlipwayError):
    """A step is not begun, since one of the other branch has failed: no error of its own."""


class InstanceBusy(SlipwayError):
    """Another worker is going on with the instance and did not end in time."""


class NotFinished(SlipwayError):
    """The worker had to stop before the instance came to rest; `resume` goes on with it."""


class UndoFailed(SlipwayError):
    """A delete could not undo everything; what is left is on record as stuck."""


# --- what was asked for -------------------------------------------------------------------------------------------


class InvalidFile(SlipwayError):
    """A YAML file is wrong; `problems` has one `file:line:column: what` a mistake.

    `excerpts`: for each of them the line of the file with the place marked below it, "" where there is none to show.
    """

    def __init__(self, problems: tuple[str, ...], excerpts: tuple[str, ...] = ()) -> None:
        """Keep all problems; the text is all of them, a line each."""
        super().__init__("\n".join(problems))
        self.problems = tuple(map(masked, problems))
        self.excerpts = tuple(map(masked, excerpts)) or ("",) * len(problems)


class InvalidRequest(SlipwayError):
    """What a program asked for is wrong; `problems` has one `attribute: what` a mistake. Nothing was done."""

    def __init__(self, problems: tuple[str, ...], what: str = "") -> None:
        """Keep all problems; the text is all of them, after the name of `what` has them."""
        super().__init__(f"{what}: {'; '.join(problems)}" if what else "; ".join(problems))
        self.problems = problems


class InstanceNotFound(SlipwayError):
    """No such instance."""


class SnapshotNotFound(SlipwayError):
    """An instance has no such snapshot."""


class SnapshotExists(SlipwayError):
    """An instance has a snapshot of that name already."""


class SnapshotRefused(SlipwayError):
    """No such snapshot can be made, or had again; the text says why."""


class FlavorNotFound(SlipwayError):
    """No instance on record has a flavor of that name, or several have different ones."""


class ImageNotFound(SlipwayError):
    """There is no image of that name: here, in the catalogue, or with an instance on record."""


class ImageExists(SlipwayError):
    """An image has that name already."""


class ImageInUse(SlipwayError):
    """Disks stand on the image."""


class StopNeeded(SlipwayError):
    """A change needs a guest to stop, and nobody has agreed to that. Nothing was done."""


class InterfaceNotFound(SlipwayError):
    """An instance has no such NIC, or several that are meant."""


class DiskNotFound(SlipwayError):
    """An instance has no such disk, or it is one that stays as long as the instance does."""


class WebhookFailed(SlipwayError):
    """A receiver of events does not take them, or is away. What it took is on record."""


class ConsoleUnavailable(SlipwayError):
    """There is no log of what the instance's guest wrote, or no console to type at, or somebody else has it."""


class HostKeyUnknown(SlipwayError):
    """Nothing tells by which key the guest's SSH server is known, so that anybody could answer in its place."""


class GuestUnreachable(SlipwayError):
    """The instance's guest cannot be reached: it does not run, has no address, or does not answer there.

    `asked_from`: the address from which it was asked in vain, so that a security group may be what kept it away.
    """

    asked_from: str | None = None


class InstanceExists(SlipwayError):
    """An instance of this name exists in the project."""


class IdempotencyKeyReused(SlipwayError):
    """The idempotency key is that of another request, which must keep it for good."""


class QuotaExceeded(SlipwayError):
    """The project may not have one more instance, or one so large; nothing is on record of it."""


class InstanceDeleted(SlipwayError):
    """The instance of this idempotency key has been deleted; the key makes no second one."""


class InvalidArguments(AbortBuild):
    """What a workflow passes to a task is not what the task takes; nothing was done."""


class ConditionFailed(AbortBuild):
    """What a workflow asserts does not hold; the text is the workflow's message."""


class UnexpectedAnswer(AbortBuild):
    """A server answered a request otherwise than the workflow expects."""


class ServerUnavailable(TransientError):
    """A server cannot be reached, or says that it cannot answer now."""


class CommandFailed(AbortBuild):
    """A command could not be started, or ended otherwise than with 0; the text has the end of what it said."""


class CommandsNotAllowed(AbortBuild):
    """A workflow runs a command, and whoever runs the workflow has not allowed that."""


class InstanceFailed(AbortBuild):
    """What a workflow asked for of an instance ended with a fault; the text is the fault."""


class RunFailed(AbortBuild):
    """A run that a workflow waited for did not succeed."""


class UnknownTask(SlipwayError):
    """No task of this name, or of this kind of effect, is installed."""


class UnknownDriver(SlipwayError):
    """No driver of this name is installed."""


class HostNotFound(SlipwayError):
    """No such host is on record."""


class HostExists(SlipwayError):
    """A host of this name is on record."""


class HostInUse(SlipwayError):
    """Instances are on the host, or something else of ours; or more is claimed of it than it would have."""


class WorldUnrecorded(SlipwayError):
    """Machines that are ours are there and not on record, so that nothing is built beside them."""


class NotConfirmed(SlipwayError):
    """Something would be stopped, replaced or pruned, and nobody has said that it may be; nothing was done."""


class PlanOutdated(SlipwayError):
    """The record or reality has moved since the plan was made; the text names what."""


class PlanUnusable(SlipwayError):
    """What is to be a saved plan was changed, cut off, or made by another Slipway or for another record."""


class HostElsewhere(SlipwayError):
    """The host belongs to another machine or state directory, and nothing was done on it."""

    def __init__(self, text: str, host: str = "") -> None:
        """`host`: its name."""
        super().__init__(text, host)
        self.host = host

    def __str__(self) -> str:
        """The text."""
        return str(self.args[0])


# --- scheduling, claims, images -----------------------------------------------------------------------------------


class NoValidHost(AbortBuild):
    """No host passes all filters; the text says why each was refused."""


class MaxRetriesExceeded(AbortBuild):
    """No attempt or no alternate host is left; the text bears the last error."""


class ComputeResourcesUnavailable(RescheduleBuild):
    """The host has not enough left for the claim."""


class GroupAffinityViolation(RescheduleBuild):
    """The claimed host breaks the server group's policy."""


class ImageNotActive(AbortBuild):
    """The image is not in the status `active`."""


class ImageUnacceptable(AbortBuild):
    """The image, or the volume that was brought along, cannot be used."""


class VolumeInUse(AbortBuild):
    """Another instance has the volume."""


class FlavorDiskTooSmall(AbortBuild):
    """The flavor's disk is smaller than the image or its min_disk."""


class FlavorMemoryTooSmall(AbortBuild):
    """The flavor's memory is below the image's min_memory."""


class InvalidDiskInfo(AbortBuild):
    """The disks that were asked for make no sense."""


# --- hypervisors --------------------------------------------------------------------------------------------------


class ComputeError(RescheduleBuild):
    """The hypervisor refused or failed."""


class StartImpossible(ComputeError):
    """Something that the domain needs to be started is gone; the text says what."""


class RepairImpossible(SlipwayError):
    """Something that is gone cannot be made again, or not now; the text says why and what else can be done."""


class DomainNotFound(ComputeError):
    """The hypervisor has no such domain."""


class HypervisorUnavailable(ComputeError):
    """The hypervisor cannot be reached."""


class UnsupportedHardware(RescheduleBuild):
    """The host cannot give the hardware that was asked for."""


class InvalidDomainXml(AbortBuild):
    """What was asked for cannot be said in a domain's XML."""


class WorldTooNew(SlipwayError):
    """The simulator's world was written by a newer Slipway."""


class RunWaits(SlipwayError):
    """A step waits for a time or for somebody, and is done again when the run goes on; nothing holds it meanwhile."""

    def __init__(self, message: str, until: datetime | None = None) -> None:
        """`message` says what for, to a person. `until`: when the run goes on by itself, None: when it is told to."""
        super().__init__(message)
        self.until = until


class ExpressionFailed(AbortBuild):
    """An expression of a workflow stands for nothing: what it names is not there, or does not fit."""


class StepTimeout(RescheduleBuild):
    """A step was over its deadline."""


class VirtualInterfaceCreateException(AbortBuild):
    """A VIF could not be created or plugged in time. Nova: not rescheduled."""


class VirtualInterfaceMacAddressException(AbortBuild):
    """No MAC address could be had for a VIF."""


class WiringError(RescheduleBuild):
    """A bridge, tap or VLAN could not be made on this host."""


class DiskError(RescheduleBuild):
    """A disk could not be made on this host."""
