"""`slipway`: the commands, each loaded when it is used, and how every error ends."""

from __future__ import annotations

import atexit
import gc
import io
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

import click

from slipway import __version__
from slipway.cli.options import Options, common_options, example
from slipway.errors import BuildInterrupted

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

COMMANDS = {
    "run": "Bring about what a run file says, or run a workflow.",
    "runs": "Runs of workflows: list, show, approve, retry, undo.",
    "plan": "Show what a run of a file would do; change nothing.",
    "validate": "Check a run file or a workflow and change nothing.",
    "schema": "Print the JSON Schema of the files, for editors.",
    "tasks": "What the steps of a workflow can use.",
    "list": "List the instances.",
    "show": "Show one instance with everything on record about it.",
    "explain": "Say why instances are where they are, or nowhere.",
    "stop": "Stop instances.",
    "start": "Start instances that are stopped.",
    "reboot": "Stop instances and start them again.",
    "attach-interface": "Give instances one more NIC.",
    "detach-interface": "Take a NIC away from instances.",
    "pause": "Freeze the guests of instances.",
    "unpause": "Let the guests of paused instances go on.",
    "attach-disk": "Give instances one more disk.",
    "detach-disk": "Take a disk away from instances.",
    "grow-disk": "Make a disk of instances larger.",
    "resize": "Give instances other vCPUs, memory or root disks.",
    "rebuild": "Make root disks anew from an image.",
    "rename": "Have an instance be called otherwise.",
    "set": "Set metadata, security groups, autostart and more.",
    "move": "Have instances on another host.",
    "evacuate": "Build again elsewhere what was on a dead host.",
    "clone": "Build another instance, its disks being copies.",
    "snapshot": "Snapshots: create, list, show, restore, delete.",
    "console": "Type at a guest's console, or show what it wrote.",
    "ssh": "Log in to a guest, or run a command in it.",
    "cp": "Copy files to a guest and from it.",
    "forward": "Have ports of this machine lead to a guest's.",
    "vnc": "See a guest's screen, by a password for a while.",
    "events": "Tell what has come to be on record, and what comes.",
    "graph": "Draw a workflow, what became of it, or the states.",
    "timeline": "Show how long each step took.",
    "top": "Show what guests use now.",
    "watch": "Tell what happens to instances by themselves.",
    "delete": "Delete instances.",
    "import": "Bring what is there under a stack.",
    "destroy": "Take back the stack that a run file brought about.",
    "resume": "Finish what a crash or Ctrl-C left behind.",
    "audit": "Compare the record with what is there.",
    "repair": "Mend what an audit finds.",
    "worker": "Take work from a job board.",
    "workers": "Show who takes work, and what waits for nobody.",
    "up": "Have everything run that should, after a restart.",
    "backup": "Copy the record to a file, while it is worked on.",
    "db": "The record's tables: upgrade, check, history.",
    "restore": "Put a backup of the record back.",
    "drill": "Fail every effect of a run file; see what leaks.",
    "host": "Hosts: list, show, add, set, drain.",
    "image": "Images: add, list, show, delete, prune, pull, create.",
    "network": "Networks: list, show, create, delete.",
    "subnet": "Subnets: list, show, create, update, delete.",
    "port": "Ports: list, show, create, update, delete.",
    "security-group": "Security groups and rules: list, show, create, delete.",
    "router": "Routers: list, show, create, set, delete and more.",
    "floating-ip": "Floating IPs and forwarded ports: list, show and more.",
    "history": "Tell who did what, and when.",
    "prune": "Take off the record what was deleted long ago.",
    "metrics": "Print what monitoring asks for, as Prometheus text.",
    "completion": "Have a shell complete what is typed.",
    "man": "Print or write the manual pages.",
    "quota": "What projects may have: list, show, set, delete.",
}
"""Every command and its short help; `slipway.cli.NAME` has the rest and is imported only when it is called."""


class LazyGroup(click.Group):
    """A group whose commands are modules, so that `slipway --help` loads none of them."""

    def list_commands(self, _ctx: click.Context) -> list[str]:
        """The names, in the order of the table."""
        return list(COMMANDS)

    def get_command(self, _ctx: click.Context, name: str) -> click.Command | None:
        """Import the command's module."""
        if name not in COMMANDS:
            return None
        command: click.Command = import_module(f"slipway.cli.{name.replace('-', '_')}").command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command of that name, or a usage error that says which one may have been meant."""
        if args[0] not in COMMANDS and not args[0].startswith("-"):
            from slipway.yamlfile.mistakes import did_you_mean

            ctx.fail(f"there is no command '{args[0]}'{did_you_mean(args[0], COMMANDS)}")
        return super().resolve_command(ctx, args)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """The commands that begin so, from the table, and the options."""
        from click.shell_completion import CompletionItem

        if incomplete.startswith("-"):
            return click.Command.shell_complete(self, ctx, incomplete)
        return [CompletionItem(name, help=text) for name, text in COMMANDS.items() if name.startswith(incomplete)]

    def format_commands(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The commands' short help, from the table."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def invoke(self, ctx: click.Context) -> Any:
        """Carry it out; an error that nobody has thought of is told as what it comes from, where that is known."""
        try:
            return super().invoke(ctx)
        except Exception as error:
            from slipway.cli.failures import explained

            found = explained(error, ctx.ensure_object(Options).misfits)
            if found is error:
                raise
            raise found from error

    def main(self, args: Sequence[str] | None = None, *more: Any, **extra: Any) -> Any:
        """Run a command and leave with its exit code; an error is one line, or JSON where that was asked for."""
        argv = list(sys.argv[1:] if args is None else args)
        extra["standalone_mode"] = False
        extra.setdefault("obj", Options(argv=argv))
        if args is None:
            _do_not_look_for_garbage()
        # Python has no standard output where the shell has closed it (>&-).
        sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: SIM115
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                # A terminal that knows less than Unicode shows an escape; nothing fails for a letter.
                stream.reconfigure(errors="backslashreplace")
        try:
            code = super().main(argv, *more, **extra)
            sys.stdout.flush()
        except (Exception, KeyboardInterrupt, BuildInterrupted) as error:  # noqa: BLE001 - each is reported
            from slipway.cli.failures import report

            code = report(error, argv)
        sys.exit(code)


def _do_not_look_for_garbage() -> None:
    """Imports make 200,000 objects that stay: to look among them takes an eighth of a short command, and another one
    while its process ends. `all_is_loaded` looks again, for what may take long."""
    gc.disable()
    atexit.register(gc.freeze)


@click.group(
    "slipway",
    cls=LazyGroup,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=example("slipway run demo.yaml", "slipway list", "slipway show web-1", "slipway COMMAND --help"),
)
@click.version_option(__version__, "--version", prog_name="slipway", message="%(prog)s %(version)s")
@common_options(environment=True)
@click.pass_context
def main(ctx: click.Context) -> int | None:
    """Build virtual machine instances, and take back what was done when a step fails."""
    ctx.ensure_object(Options)
    if ctx.invoked_subcommand is not None:
        return None
    click.echo(ctx.get_help(), err=True)
    return 2
