"""The command ``minikeras``, which is also ``python -m minikeras``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Any

from . import __version__, compat

_DESCRIPTION = "A small deep-learning framework on NumPy with Keras's manners."

_EXIT_CODES = """\
exit codes:
  0    done
  1    the script ended with an exception
  2    the command line is wrong, or a file can't be read
  130  interrupted
  A script that calls sys.exit decides for itself.
"""

_RUN_EXAMPLES = """\
examples:
  minikeras run mnist_cnn.py
  minikeras run train.py --epochs 3 data/
  python -m minikeras run train.py
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    Args:
        argv: The command line without the program's name; that of the process if None.

    Returns:
        The exit code.

    Raises:
        SystemExit: For a wrong command line, for help, and where a script raises it.
    """
    arguments = _parser().parse_args(argv)
    try:
        return arguments.command(arguments)
    except OSError as error:
        print(f"minikeras: {error}", file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "minikeras", description=_DESCRIPTION, epilog=_EXIT_CODES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--version", action="version", version=f"minikeras {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for add in (_add_run,):  # each adds one command, and with it the function that it runs
        add(commands)
    return parser


def _add_run(commands: Any) -> None:
    parser = commands.add_parser(
        "run",
        help="run a Keras 2 script as it is",
        description="Run a Keras 2 script as python SCRIPT would, with minikeras in the place of keras.",
        epilog=f"{_RUN_EXAMPLES}\n{_EXIT_CODES}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("script", metavar="SCRIPT", help="the script")
    parser.add_argument("arguments", metavar="ARGUMENT", nargs=argparse.REMAINDER, help="its own command line")
    parser.set_defaults(command=_run)


def _run(arguments: argparse.Namespace) -> int:
    return compat.run_script(arguments.script, arguments.arguments)


if __name__ == "__main__":
    sys.exit(main())
