"""How the system's `ssh` and `scp` are called so that they reach a guest, and know it."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import click

from slipway.cli.options import Options
from slipway.cli.say import say, shown

if TYPE_CHECKING:
    from slipway.model.record import Instance
    from slipway.orchestrator import Orchestrator

F = TypeVar("F", bound=Callable[..., Any])

_USERS = {
    **{name: name for name in ("debian", "ubuntu", "fedora", "alpine", "rocky", "almalinux", "opensuse", "arch")},
    **{"cirros": "cirros", "freebsd": "freebsd", "centos": "cloud-user", "rhel": "cloud-user", "amazon": "ec2-user"},
}
"""Who has the request's keys in the publishers' cloud images, by a word in an image's name or file."""


class Asked(NamedTuple):
    """What was said on the command line."""

    project: str | None
    user: str | None
    identity: str | None
    port: int
    wait: float | None
    accept_new: bool


def ssh_options(command: F) -> F:
    """The options of whatever reaches a guest by SSH; they are given as `asked`, made with `Asked`."""
    from slipway.cli.options import Seconds

    for option in (
        click.option("--accept-new", is_flag=True, help="Take the guest's key as it is, where nothing tells it yet."),
        click.option("--wait", metavar="SECONDS", type=Seconds(), help="Wait for the guest's SSH server."),
        click.option(
            "-P", "--port", type=click.IntRange(1, 65535), default=22, help="The server's port. [default: 22]"
        ),
        click.option("-i", "--identity", metavar="FILE", help="The private key. [default: that of a key it was given]"),
        click.option("-l", "--user", metavar="USER", help="As whom. [default: that of the image's publisher]"),
        click.option("--project", metavar="PROJECT", help="The project in which NAME is looked up. [default: all]"),
    ):
        command = option(command)
    return command


def reach(slipway: Orchestrator, options: Options, program: str, name: str, asked: Asked) -> tuple[list[str], str]:
    """The program with its options, and `USER@ADDRESS`, once the guest answers.

    Raises `GuestUnreachable`, `HostKeyUnknown`, and `UsageError` where there is no such program.
    """
    path = shutil.which(program)
    if path is None:
        raise click.UsageError(f"{program} is not installed (Debian: package openssh-client)")
    guest = slipway.access.wait_for(name, asked.port, project=asked.project, within=asked.wait or 0.0)
    instance = guest.instance
    user = asked.user or _user_of(instance)
    identity = asked.identity or identity_for(instance.request.ssh_keys)
    words = [path, *_known(slipway, instance, asked), *_through(options, instance, asked.port)]
    words += ["-o", f"IdentityFile={_quoted(identity)}"] if identity else []
    host = f"[{guest.address}]" if ":" in guest.address and program == "scp" else guest.address
    return words, f"{user}@{host}"


def become(words: Sequence[str]) -> None:
    """Be that program from now on: its exit code is ours."""
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(words[0], list(words))


def _known(slipway: Orchestrator, instance: Instance, asked: Asked) -> list[str]:
    """Have it heed only what we know of the guest, by the instance's id: its address is another's one day."""
    from slipway.errors import HostKeyUnknown
    from slipway.operations.hostkeys import path_of

    known = bool(slipway.access.host_keys(instance))
    if not known:
        why = f"the key of {instance.name} is not known: its console has none from cloud-init, no agent tells it"
        if not asked.accept_new and not (sys.stdin.isatty() and sys.stderr.isatty()):
            raise HostKeyUnknown(f"{why}; --accept-new takes the one that it shows, once and for all")
        say(f"slipway: {shown(why)}, so anybody on its network could answer in its place", err=True)
    strict = "yes" if known else "accept-new" if asked.accept_new else "ask"
    return [
        *("-o", f"UserKnownHostsFile={_quoted(str(path_of(slipway.access.state)))}"),
        *("-o", "GlobalKnownHostsFile=/dev/null", "-o", f"StrictHostKeyChecking={strict}"),
        *("-o", f"HostKeyAlias={instance.id}", "-o", "UpdateHostKeys=no", "-o", "CheckHostIP=no"),
    ]


def _through(options: Options, instance: Instance, port: int) -> list[str]:
    """From where the guest is reached: we make the connection, and hand it over."""
    own = [sys.executable, "-c", "from slipway.cli.main import main; main()"]
    command = [*own, "forward", instance.id, "--pass", str(port)]
    # Not as words that anybody on this machine can read: a database's URL may have a password in it.
    for name, value in (("SLIPWAY_STATE", options.state), ("SLIPWAY_DB", options.db)):
        if value is not None:
            os.environ[name] = value
    return ["-o", f"ProxyCommand={shlex.join(command).replace('%', '%%')}", "-o", "ProxyUseFdpass=yes"]


def _quoted(path: str) -> str:
    return '"' + path.replace("%", "%%").replace('"', '\\"') + '"'


def _user_of(instance: Instance) -> str:
    image = instance.request.image
    words = " ".join(filter(None, (image.name, Path(image.path or "").name))).lower()
    return next((user for word, user in _USERS.items() if word in words), "root")


def identity_for(keys: Sequence[str]) -> str | None:
    """The user's private key whose public one is among those; None: ssh looks for keys as it always does."""
    # A line of `authorized_keys` may have options before the key.
    given = {word for line in keys for word in line.split()}
    for public in sorted(Path.home().glob(".ssh/*.pub")):
        try:
            _, key, *_ = public.read_text().split()
        except (OSError, ValueError):
            continue
        # ssh has an agent sign where only the public key is there.
        if key in given:
            private = public.with_suffix("")
            return str(private if private.exists() else public)
    return None
