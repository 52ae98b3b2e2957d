"""Examples as a person runs them: in a process of their own, judged by what they print."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def run(script: str, *arguments: str, cwd: Path) -> str:
    """Run an example in the folder cwd, return what it prints."""
    home = cwd / "keras"
    home.mkdir()
    result = subprocess.run(
        [sys.executable, str(ROOT / "examples" / script), *arguments],
        cwd=cwd,
        env={**os.environ, "KERAS_HOME": str(home), "MPLBACKEND": "Agg", "PYTHONPATH": str(ROOT), "PYTHONUTF8": "1"},
        capture_output=True,
        encoding="utf-8",
        timeout=900,  # far more than they need, but machines can be busy
    )
    assert result.returncode == 0, result.stderr
    assert "Warning" not in result.stderr
    return result.stdout


def number(pattern: str, text: str) -> float:
    """Return the number that the group of the pattern matches."""
    match = re.search(pattern, text)
    assert match, text
    return float(match[1])
