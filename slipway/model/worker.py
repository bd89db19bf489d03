"""A worker as it stands on record."""

from datetime import datetime

from msgspec import Struct


class WorkerRecord(Struct, frozen=True):
    """A process that takes work from a job board: what is for its `hosts`, and what is for nobody's where it takes
    `anything`.

    `process` tells it from every other one; `at_work` has a line for each job in its hands. By the database's clock it
    is heard of `until` then.
    """

    process: str
    name: str
    hosts: tuple[str, ...]
    anything: bool
    concurrency: int
    draining: bool
    at_work: tuple[str, ...]
    since: datetime
    until: datetime

    def is_heard(self, at: datetime) -> bool:
        """Whether it is heard of at that time, by the database's clock."""
        return self.until >= at
