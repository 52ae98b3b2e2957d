"""The pages of the documentation as programs: their Python blocks run in order, each with what it prints below it.

``python -m tests.pages docs/gradcheck.md`` runs a page, puts what is printed into the text blocks right below the
code, and the pictures that it writes into docs/images.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

BLOCK = re.compile(r"^```python\n(?P<code>.*?)^```\n(?:\n```text\n(?P<output>.*?)^```$)?", re.DOTALL | re.MULTILINE)


def run(page: Path) -> Iterator[tuple[re.Match[str], str | None]]:
    """Run a page's blocks in the current folder.

    Yields:
        (the block, what it printed): None where the block needs an extra that isn't installed.
    """
    text = page.read_text(encoding="utf-8")
    namespace = {"__name__": "__main__"}
    for block in BLOCK.finditer(text):
        line = text[: block.start()].count("\n") + 1
        program = compile("\n" * line + block["code"], str(page), "exec")
        printed = io.StringIO()
        try:
            with contextlib.redirect_stdout(printed):
                exec(program, namespace)
        except ImportError as error:
            if "pip install 'minikeras[" not in str(error):
                raise
            yield block, None
        else:
            yield block, printed.getvalue().replace(f"{page.parent}{os.sep}", "")


def words(output: str) -> str:
    """Output without what differs from machine to machine: rounding errors, and the line breaks that depend on them."""
    return " ".join(re.sub(r"\d+(\.\d+)?e[-+]\d+", "<error>", output).split())


def _rewrite(page: Path) -> None:
    images = page.parent / "images"
    text, shift = page.read_text(encoding="utf-8"), 0
    for block, printed in run(page):
        if block["output"] is not None and printed is not None:
            start, stop = block.span("output")
            text = text[: start + shift] + printed + text[stop + shift :]
            shift += len(printed) - (stop - start)
    page.write_text(text, encoding="utf-8")
    for picture in Path().glob("*.png"):
        if f"(images/{picture.name})" in text:
            images.mkdir(exist_ok=True)
            shutil.copy(picture, images / picture.name)


if __name__ == "__main__":
    pages = [Path(name).resolve() for name in sys.argv[1:]]
    for page in pages:
        with tempfile.TemporaryDirectory() as folder:
            os.chdir(folder)
            _rewrite(page)
