"""The entry point, and which module knows which command. A module is imported when its command is used."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any, Final

import click

from kwe.cli.failures import exit_code_of, report

COMMANDS: Final = {
    "up": ("kwe.cli.up:up", "Start everything on this machine and keep serving."),
    "demo": ("kwe.cli.up:demo", "Start everything, answer one question from the example, stop."),
    "run": ("kwe.cli.run:run", "Run a workflow and show its output."),
    "workflows": ("kwe.cli.workflows:workflows", "Register, validate and look at workflows."),
    "executions": ("kwe.cli.executions:executions", "Look at executions and control them."),
    "events": ("kwe.cli.events:events", "Send events to workflows that listen."),
    "collections": ("kwe.cli.collections:collections", "Fill collections and search them."),
    "dead-letters": ("kwe.cli.dead_letters:dead_letters", "Messages that were set aside."),
    "init": ("kwe.cli.init:init", "Make a folder with a workflow, a function and a test."),
    "worker": ("kwe.cli.worker:worker", "Serve your own functions."),
    "migrate": ("kwe.cli.migrate:migrate", "Bring the database to this version."),
    "admin": ("kwe.cli.admin:admin", "Organisations and keys, straight in the database."),
    "backup": ("kwe.cli.backup:backup", "Back up the database to a folder or to S3."),
    "restore": ("kwe.cli.backup:restore", "Put a backup back."),
    "secrets": (
        "kwe.cli.secrets:secrets",
        "Keep the secrets of workflows; make those of a deployment.",
    ),
    "doctor": ("kwe.cli.doctor:doctor", "Find out what is wrong, or that nothing is."),
    "health": ("kwe.cli.health:health", "Is the service in this container alive? For HEALTHCHECK."),
}
"""Where each command is, and its line in `kwe --help`, which must not import them all."""


class LazyCommands(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        del ctx
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(import_module(module), name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.command(
    cls=LazyCommands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit codes: 0 done, 1 the execution or the command failed, 2 wrong usage or settings, "
    "3 not found, 4 not allowed, 5 timed out.",
)
@click.version_option(package_name="kwe-sdk", prog_name="kwe")
def kwe() -> None:
    """Durable workflows that know your documents.

    \b
    Start here:
      kwe up --example               everything on this machine, with an example
      kwe init my-project            a workflow, a function and a test of your own
      kwe run support/refund-policy --input '{"question": "Can I return shoes?"}'

    The server and the key come from KWE_URL and KWE_API_KEY, or from the nearest .kwe/credentials, which
    `kwe up` writes.
    """


def main(arguments: list[str] | None = None) -> None:
    """Run a command and end the process with its exit code; never with a traceback."""
    sys.exit(run(arguments))


def run(arguments: list[str] | None = None) -> int:
    try:
        result: Any = kwe.main(args=arguments, prog_name="kwe", standalone_mode=False)
    except BaseException as error:
        report(error)
        return exit_code_of(error)
    return result if isinstance(result, int) else 0
