"""The command line's groups: an unknown command or option is answered with the one that was meant, or with none."""

from __future__ import annotations

from typing import Any

import typer
from typer.core import TyperGroup

from dcasearch.typos import meant, question


class Commands(TyperGroup):
    """Commands whose slips are told from other words (`dcasearch.typos`); typer's own guesses are wild."""

    def resolve_command(self, ctx: typer.Context, args: list[str]) -> Any:  # type: ignore[override]  # click's own context
        """Return the command that is asked for; typer raises where there is none."""
        self.suggest_commands = False
        try:
            return super().resolve_command(ctx, args)
        except typer.TyperException as error:
            if args and hasattr(error, "message") and (asked := question(args[0], self.commands)):
                error.message = f"{str(error.message).rstrip('.')}; {asked.strip()}"
            raise

    def invoke(self, ctx: typer.Context) -> Any:  # type: ignore[override]  # click's own context
        """Run the command; of an unknown option the message has the options that may have been meant."""
        try:
            return super().invoke(ctx)
        except typer.TyperException as error:
            if getattr(error, "possibilities", None):
                known = [name for option in _options(error) for name in option]
                vars(error)["possibilities"] = list(meant(str(vars(error)["option_name"]), known))
            raise


def _options(error: typer.TyperException) -> list[list[str]]:
    """Return the names of the options of the command whose line was wrong."""
    context = vars(error).get("ctx")
    return [] if context is None else [parameter.opts for parameter in context.command.params]
