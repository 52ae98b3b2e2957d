"""``python -m tests.saving.fuzz FORMAT COUNT SEED``: how many mutated files reached which stage, and what went wrong.

Every file must give a model with weights of the right shapes, or a `ModelFileError` that names the file, within 2
seconds of computing and 256 MiB; it must open, start, import and ask the network for nothing. A case is the same for
the same format, number and seed. Needs Linux.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path

from .campaign import run
from .formats import FORMATS


def main() -> int:
    """Run a campaign; 1 if something went wrong."""
    parser = argparse.ArgumentParser(description=__doc__, prog="python -m tests.saving.fuzz")
    parser.add_argument("format", choices=FORMATS)
    parser.add_argument("count", type=int)
    parser.add_argument("seed", type=int)
    parser.add_argument("--first", type=int, default=0, help="the first case")
    parser.add_argument("--seconds", type=float, default=math.inf, help="begin no more cases after these")
    parser.add_argument("--keep", type=Path, help="folder for the files that went wrong")
    options = parser.parse_args()
    report = run(options.format, options.count, options.seed, options.first, options.seconds, options.keep)
    print(f"{options.format}, seed {options.seed}:", *report.lines(), sep="\n", flush=True)
    return 1 if report.failures else 0


if __name__ == "__main__":
    raise SystemExit(main())
