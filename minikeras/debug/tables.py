"""Text tables with columns as wide as what stands in them."""

from __future__ import annotations

from collections.abc import Sequence

_GAP = "  "


def table(head: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[int] = ()) -> list[str]:
    """The lines of a table: its head, a rule, and a line for each row.

    Args:
        head: A title for each column.
        rows: As many texts each as there are titles.
        right: The columns that are aligned to the right.
    """
    widths = [max(len(row[i]) for row in (head, *rows)) for i in range(len(head))]
    lines = [
        _GAP.join(
            text.rjust(width) if i in right else text.ljust(width)
            for i, (text, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in (head, *rows)
    ]
    lines.insert(1, "─" * (sum(widths) + len(_GAP) * (len(widths) - 1)))
    return lines


def ends_of(count: int, most: int) -> tuple[int, int]:
    """How many of ``count`` rows are shown at the beginning and at the end, so that there are ``most`` at most."""
    if count <= most:
        return count, 0
    return most // 2, most - most // 2


def bytes_in_words(count: int) -> str:
    """A number of bytes as one reads it: 512 B, 1.5 kB, 20.0 MB."""
    size, unit = float(count), "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if size < 999.5:
            break
        size, unit = size / 1000, larger
    return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
