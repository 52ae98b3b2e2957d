"""The command ``minikeras``, which is also ``python -m minikeras``."""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from typing import Any

from . import __version__, cli, compat
from .models import load_model
from .saving import check_path, is_for_weights

_DESCRIPTION = "A small deep-learning framework on NumPy with Keras's manners."

_EXIT_CODES = """\
exit codes:
  0    done
  1    the script ended with an exception; diff: the files differ; check: the file isn't sound
  2    the command line is wrong, or a file can't be read or written
  130  interrupted
  141  whoever reads the output, such as head, has stopped reading
  A script that calls sys.exit decides for itself.
"""

_RUN_EXAMPLES = """\
examples:
  minikeras run mnist_cnn.py
  minikeras run train.py --epochs 3 data/
  python -m minikeras run train.py
"""


_FILE_EXAMPLES = """\
examples:
  minikeras summary model.h5
  minikeras convert model.h5 model.keras
  minikeras convert model.h5 weights.safetensors
  minikeras diff before.npz after.h5
  minikeras predict model.npz images.npy probabilities.npy
  minikeras check model.h5 && echo sound
  minikeras convert model.h5 model.onnx
"""


_WRITTEN = (".npz", ".keras", ".h5", ".hdf5", ".safetensors", ".onnx")


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
        code = arguments.command(arguments)
        sys.stdout.flush()
        return code
    except BrokenPipeError:  # whoever reads, such as head, has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for what Python writes when it ends
        return 128 + 13
    except OSError as error:
        print(f"minikeras: {error}", file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "minikeras", description=_DESCRIPTION, epilog=_EXIT_CODES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--version", action="version", version=f"minikeras {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for add in _COMMANDS:
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
    rest = parser.add_argument("arguments", metavar="ARGUMENT", nargs=argparse.REMAINDER, help="its own command line")
    rest.required = False  # which the message of a missing script would say otherwise
    parser.set_defaults(command=_run)


def _run(arguments: argparse.Namespace) -> int:
    return compat.run_script(arguments.script, arguments.arguments)


def _add_summary(commands: Any) -> None:
    parser = _file_command(commands, "summary", "show the layers of a model in a file")
    parser.add_argument("file", metavar="FILE", help=".npz, .keras, .h5 or .hdf5")
    parser.set_defaults(command=_summary)


def _summary(arguments: argparse.Namespace) -> int:
    return _told(lambda: load_model(arguments.file, compile=False).summary())


def _add_convert(commands: Any) -> None:
    parser = _file_command(commands, "convert", "write the model of a file to another one, in the format of its suffix")
    parser.add_argument("source", metavar="IN", help=".npz, .keras, .h5 or .hdf5")
    parser.add_argument(
        "target",
        metavar="OUT",
        help=".npz, .keras, .h5, .hdf5; .safetensors, .weights.h5 for the weights only; .onnx for what it "
        "predicts; an old file is replaced",
    )
    parser.add_argument(
        "--no-training", action="store_true", help="leave out what belongs to training: loss, optimizer and its state"
    )
    parser.set_defaults(command=_convert)


def _convert(arguments: argparse.Namespace) -> int:
    def convert() -> None:
        if not arguments.target.endswith(_WRITTEN):
            raise ValueError(f"convert writes {', '.join(_WRITTEN)} files. Received: {arguments.target!r}")
        if arguments.target.endswith(".onnx"):
            load_model(arguments.source, compile=False).export(arguments.target)
            return
        check_path(arguments.target, "convert", weights=True)
        if is_for_weights(arguments.target):
            load_model(arguments.source, compile=False).save_weights(arguments.target)
        else:
            load_model(arguments.source, compile=not arguments.no_training).save(arguments.target)

    return _told(convert)


def _add_diff(commands: Any) -> None:
    parser = _file_command(commands, "diff", "compare two files layer by layer: shapes and weights")
    parser.add_argument("first", metavar="A", help="a file of a model or of weights, of any format")
    parser.add_argument("second", metavar="B", help="another one; the formats may be different")
    parser.set_defaults(command=lambda arguments: _told(lambda: cli.compare_files(arguments.first, arguments.second)))


def _add_predict(commands: Any) -> None:
    parser = _file_command(commands, "predict", "compute the outputs of a model for the arrays of a file")
    parser.add_argument("file", metavar="FILE", help="the model: .npz, .keras, .h5 or .hdf5")
    parser.add_argument("source", metavar="IN", help="the input: .npy; for several inputs .npz")
    parser.add_argument("target", metavar="OUT", help="the output: .npy or .npz; an old file is replaced")
    parser.add_argument("--batch-size", type=int, default=32, metavar="N", help="samples computed at a time (32)")
    parser.set_defaults(command=_predict)


def _predict(arguments: argparse.Namespace) -> int:
    return _told(lambda: cli.predict_file(arguments.file, arguments.source, arguments.target, arguments.batch_size))


def _add_check(commands: Any) -> None:
    parser = _file_command(commands, "check", "say what a file is, and whether it is whole and its weights are finite")
    parser.add_argument("file", metavar="FILE", help="a file of a model or of weights, of any format")
    parser.set_defaults(command=lambda arguments: _told(lambda: not cli.check_file(arguments.file)))


def _told(work: Callable[[], bool | None]) -> int:
    """Do something with files, and give the exit code: 1 where it found something.

    What is wrong with them, or the lack of h5py, is a message, and so are warnings: without lines of code.
    """
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _warn
            return int(bool(work()))
    except (ValueError, ImportError) as error:
        print(f"minikeras: {cli.advised(error)}", file=sys.stderr)
        return 2


def _warn(message: Warning | str, *_: Any, **__: Any) -> None:
    print(f"minikeras: warning: {message}", file=sys.stderr)


def _file_command(commands: Any, name: str, what: str) -> argparse.ArgumentParser:
    return commands.add_parser(
        name,
        help=what,
        description=f"{what[0].upper()}{what[1:]}. No code of the file is run.",
        epilog=f"{_FILE_EXAMPLES}\n{_EXIT_CODES}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


# each adds one command, and with it the function that it runs
_COMMANDS = (_add_run, _add_summary, _add_convert, _add_diff, _add_predict, _add_check)

if __name__ == "__main__":
    sys.exit(main())
