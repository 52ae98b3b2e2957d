"""Counts the planted mistakes that are found, by kind: ``python -m tests.gradcheck.found [--seeds 20]``.

A mistake counts as found if the check fails for every seed, at the default settings.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence

from tests.gradcheck import fresh, mutations
from tests.gradcheck.planting import Mutation
from tests.gradcheck.seeds import ALL

MISTAKES = [*mutations.MUTATIONS, *(m for name, part in fresh.PARTS.items() if name != "right" for m in part)]


def found(mutation: Mutation, seeds: Iterable[int]) -> bool:
    """Whether the wrong gradient fails the check for each of these seeds."""
    return all(not mutation.result(mutation.report(seed)).ok for seed in seeds)


def by_kind(cases: Sequence[Mutation], seeds: Sequence[int]) -> dict[str, tuple[int, int]]:
    """How many are found and how many there are, of every kind; the most frequent kind first."""
    outcomes: dict[str, list[bool]] = {}
    for case in cases:
        if "agrees" not in case.truths:
            outcomes.setdefault(case.kind, []).append(found(case, seeds))
    frequent = sorted(outcomes.items(), key=lambda item: (-len(item[1]), item[0]))
    return {kind: (sum(each), len(each)) for kind, each in frequent}


def table(counts: dict[str, tuple[int, int]], columns: int = 3) -> str:
    """The counts in Markdown, several kinds beside each other."""
    cells = [f"{kind} | {some} of {of_all}" for kind, (some, of_all) in counts.items()]
    some, of_all = (sum(numbers) for numbers in zip(*counts.values(), strict=True))
    cells.append(f"**all** | **{some} of {of_all}**")
    cells += [" | "] * (-len(cells) % columns)
    rows = [cells[i : i + columns] for i in range(0, len(cells), columns)]
    lines = [f"| {' | '.join(row)} |" for row in [["mistake | found"] * columns, *rows]]
    return "\n".join([lines[0], f"|{'---|' * 2 * columns}", *lines[1:]])


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=ALL, help="how many for each mistake")
    print(table(by_kind(MISTAKES, range(parser.parse_args().seeds))))


if __name__ == "__main__":
    main()
