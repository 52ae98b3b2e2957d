"""Scores the checker's verdicts on what was set aside: ``python -m tests.gradcheck.confusion [--fresh] [--seeds 20]``.

Rows are true kinds, columns what the checker says; where several are true of one case and it says one of them, the case
stands on the diagonal of that one. A verdict that isn't certain says "perhaps".
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from tests.gradcheck import fresh, mutations, phenomena
from tests.gradcheck.planting import Mutation
from tests.gradcheck.seeds import ALL

KINDS = [
    "agrees", "factor", "sign", "transposed", "missing-term", "zero", "wrong", "kink", "precision",
    "non-deterministic", "independent", "not-finite",
]  # fmt: skip
# These name nothing in particular: "wrong" says of a special mistake only that it is one.
UNNAMED = {"wrong"}


@dataclass
class Score:
    """What came of a scoring.

    Attributes:
        counts: How often (true kind, verdict).
        perhaps: How often a verdict that is right or wrong was not certain.
        plainest: How often it was the plainest of several that are true.
        wrong: A line per verdict that isn't true, with its case.
        falsely_named: Those of them that name a kind without saying "perhaps".
        missed: Mistakes that are said to agree.
    """

    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    perhaps: Counter[bool] = field(default_factory=Counter)
    plainest: int = 0
    wrong: list[str] = field(default_factory=list)
    falsely_named: list[str] = field(default_factory=list)
    missed: list[str] = field(default_factory=list)

    @property
    def total(self) -> int:
        return sum(self.counts.values())

    @property
    def accuracy(self) -> float:
        """The share of verdicts that are true."""
        return 1 - len(self.wrong) / self.total

    def add(self, case: Mutation, seed: int) -> None:
        """Check one case and write down what is said of it."""
        result = case.result(case.report(seed))
        kind, certain = result.verdict.kind, result.verdict.certain
        right = kind in case.truths
        self.counts[kind if right else case.truths[0], kind] += 1
        self.perhaps[right] += not certain
        self.plainest += kind == case.truths[0]
        if right:
            return
        line = f"{case.name}, seed {seed}: {kind}{'' if certain else ', perhaps'}; is {' or '.join(case.truths)}"
        self.wrong.append(line)
        if certain and kind not in UNNAMED:
            self.falsely_named.append(line)
        if result.ok:
            self.missed.append(line)

    def __str__(self) -> str:
        lines = [self.table(), ""]
        lines.append(f"{self.total} verdicts, {self.accuracy:.1%} of them true.")
        lines.append(f"The plainest of what is true was said in {self.plainest / self.total:.1%}.")
        lines.append(f'Not certain ("perhaps"): {self.perhaps[True]} of the true, {self.perhaps[False]} of the others.')
        lines.append(f'A kind that isn\'t the true one, named without "perhaps": {len(self.falsely_named)}.')
        lines.append(f"Mistakes that pass: {len(self.missed)}.")
        return "\n".join(lines)

    def table(self) -> str:
        """The confusion matrix in Markdown."""
        rows = [kind for kind in KINDS if any(true == kind for true, _ in self.counts)]
        columns = [kind for kind in KINDS if any(said == kind for _, said in self.counts)]
        lines = ["| true \\ said | " + " | ".join(columns) + " |", "|---" * (len(columns) + 1) + "|"]
        for true in rows:
            cells = [str(self.counts[true, said] or "") for said in columns]
            lines.append(f"| {true} | " + " | ".join(cells) + " |")
        return "\n".join(lines)


def score(seeds: Callable[[Mutation], Iterable[int]], cases: Sequence[Mutation] | None = None) -> Score:
    """Score the checker.

    Args:
        seeds: Which ones to take for a case.
        cases: Those that were set aside if None.
    """
    result = Score()
    for case in [*mutations.HELD_OUT, *phenomena.HELD_OUT] if cases is None else cases:
        for seed in seeds(case):
            result.add(case, seed)
    return result


def main() -> None:
    """Print the matrix, the figures, and every verdict that isn't true."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=ALL, help="how many for each case")
    parser.add_argument("--development", action="store_true", help="score the development set instead")
    parser.add_argument(
        "--fresh", action="store_true", help="score the set that was made last, tests/gradcheck/fresh.py"
    )
    parser.add_argument("--verbose", action="store_true", help="list the verdicts that aren't true")
    arguments = parser.parse_args()
    cases = [*mutations.DEVELOPMENT, *phenomena.DEVELOPMENT] if arguments.development else None
    if arguments.fresh:
        cases = fresh.MUTATIONS
    found = score(lambda _: range(arguments.seeds), cases)
    if arguments.verbose:
        print("\n".join(found.wrong), end="\n\n")
    print(found)


if __name__ == "__main__":
    main()
