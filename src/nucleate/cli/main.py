"""The command line as a whole, and the one place where failures become exit codes."""

from __future__ import annotations

import os
import sys
import warnings
from typing import Annotated, Any

import typer

from nucleate.cli import data, models
from nucleate.cli.commands import app
from nucleate.cli.outcome import INTERRUPTED, note
from nucleate.errors import RequestWarning, SkippedWarning, UserError

USER_ERROR, INTERNAL_FAILURE = 2, 1
_shown_by_python = warnings.showwarning

app.add_typer(models.app, name="models")
app.add_typer(data.app, name="data")


def _print_version(wanted: bool) -> None:
    if wanted:
        from nucleate import __version__

        typer.echo(f"nucleate {__version__}")
        raise typer.Exit


@app.callback()
def top(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version and end.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of a failure; stands anywhere.")] = False,
) -> None:
    """Inverse design of inorganic crystals: generate, relax, place on the hull, rank and report."""


def run(arguments: list[str] | None = None) -> None:
    """Entry point: exit code 0, 2 for what the user gave, 1 for a failure of ours, 130 when stopped."""
    # Threads that spin while they wait stall a generation beside any other busy process (4x the processor time).
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    warnings.showwarning = _show_warning  # type: ignore[assignment]
    debug = "--debug" in arguments
    try:
        code = app([a for a in arguments if a != "--debug"], standalone_mode=False)
    except (KeyboardInterrupt, typer.Abort):
        note("stopped")
        sys.exit(INTERRUPTED)
    except BrokenPipeError:  # the reader of our output went away, as `| head` does
        sys.stderr.close()
        sys.exit(0)
    except Exception as error:
        if debug:
            raise
        sys.exit(_explained(error))
    sys.exit(code if isinstance(code, int) else 0)


def _show_warning(message: Warning | str, category: type[Warning], *rest: Any) -> None:
    """Ours as one line; those of libraries as Python shows them."""
    if issubclass(category, RequestWarning | SkippedWarning):
        note(f"nucleate: warning: {message}")
    else:
        _shown_by_python(message, category, *rest)


def _explained(error: Exception) -> int:
    """One line on standard error, and the exit code."""
    if isinstance(error, UserError):
        note(f"nucleate: {error}")
        return USER_ERROR
    if hasattr(error, "format_message"):  # an option or argument that the parser refused
        note(f"nucleate: {' '.join(error.format_message().split())}; see --help")
        return int(getattr(error, "exit_code", USER_ERROR))
    detail = " ".join(str(error).split())[:300]
    note(f"nucleate: internal failure: {type(error).__name__}: {detail}; --debug shows where")
    return INTERNAL_FAILURE
