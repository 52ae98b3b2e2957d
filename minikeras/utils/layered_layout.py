"""Where the boxes and edges of a directed graph go: in layers, as Sugiyama, Tagawa and Toda (1981) do it.

Ranks by the longest path, an order within each rank by barycentres, positions by least squares. An edge over several
ranks has a place of its own in each of them, so that it passes between the boxes.
"""

from __future__ import annotations

import bisect
import itertools
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

Point = tuple[float, float]
Edge = tuple[int, int]

RANK_GAP = 34.0
GAP = 26.0
_PORT_GAP = 16.0
_SWEEPS = 12
ARROW = 8.0
RANKDIRS = ("TB", "LR", "BT", "RL")


@dataclass(frozen=True)
class Route:
    """The way of an edge.

    Args:
        start: Where it begins.
        curves: Cubic Bézier curves that follow one another: two control points and the end of each.
        tip: Where the arrow's head ends, beyond the last curve.
    """

    start: Point
    curves: tuple[tuple[Point, Point, Point], ...]
    tip: Point


@dataclass(frozen=True)
class Layout:
    """The places of boxes and edges.

    Args:
        centers: The centre of each box.
        routes: The way of each edge.
        width, height: Of all.
    """

    centers: tuple[Point, ...]
    routes: tuple[Route, ...]
    width: float
    height: float


def lay_out(sizes: Sequence[tuple[float, float]], edges: Sequence[Edge], rankdir: str = "TB") -> Layout:
    """Lay out a directed graph.

    Args:
        sizes: (width, height) of each box.
        edges: (from, to) of each edge, by the indices of boxes; cycles are allowed.
        rankdir: Where edges lead: "TB" down, "BT" up, "LR" to the right, "RL" to the left.
    """
    sideways = rankdir in ("LR", "RL")
    turned = [(height, width) if sideways else (width, height) for width, height in sizes]
    centers, routes, width, height = _top_down(turned, edges)

    def place(point: Point) -> Point:
        across, along = point
        along = height - along if rankdir in ("BT", "RL") else along
        return (along, across) if sideways else (across, along)

    return Layout(
        tuple(place(center) for center in centers),
        tuple(
            Route(
                place(route.start),
                tuple((place(one), place(two), place(end)) for one, two, end in route.curves),
                place(route.tip),
            )
            for route in routes
        ),
        *((height, width) if sideways else (width, height)),
    )


def _top_down(
    sizes: Sequence[tuple[float, float]], edges: Sequence[Edge]
) -> tuple[list[Point], list[Route], float, float]:
    count = len(sizes)
    forward = _without_cycles(count, edges)
    ranks = _ranks(count, [edge for edge in forward if edge[0] != edge[1]])
    widths = [width for width, _ in sizes]
    chains: list[list[int]] = []
    for tail, head in forward:
        passed = range(ranks[tail] + 1, ranks[head])
        places = list(range(len(widths), len(widths) + len(passed)))
        widths += [0.0] * len(passed)
        ranks += passed
        chains.append([tail, *places, head])
    links = [link for chain in chains for link in itertools.pairwise(chain) if link[0] != link[1]]
    rows = _ordered(ranks, links)
    loops = {tail for tail, head in edges if tail == head}
    padded = [width + (2 * GAP if node in loops else 0.0) for node, width in enumerate(widths)]
    x = _positions(rows, padded, links)
    heights = [max((sizes[node][1] for node in row if node < count), default=0.0) for row in rows]
    tops = [sum(heights[:rank]) + RANK_GAP * rank for rank in range(len(rows))]
    left = min(x[node] - padded[node] / 2 for node in range(len(x))) if x else 0.0
    x = [at - left for at in x]
    centers = [(x[node], tops[ranks[node]] + heights[ranks[node]] / 2) for node in range(count)]
    bands = [(top, top + height) for top, height in zip(tops, heights, strict=True)]
    routes = _routes(sizes, centers, x, [bands[rank] for rank in ranks], chains, edges)
    width = max((x[node] + padded[node] / 2 for node in range(len(x))), default=0.0)
    return centers, routes, width, (bands[-1][1] if bands else 0.0)


# ---------------------------------------------------------------------- ranks and orders


def _without_cycles(count: int, edges: Sequence[Edge]) -> list[Edge]:
    """The edges, those turned around that lead back to where a walk along them came from."""
    following = _by_first(edges)
    state = [0] * count  # 1 while the walk is beyond a node, 2 when it has left
    backward: set[Edge] = set()
    for root in range(count):
        stack = [root] if state[root] == 0 else []
        while stack:
            node = stack[-1]
            if state[node] == 0:
                state[node] = 1
                backward.update((node, other) for other in following[node] if state[other] == 1 and other != node)
                stack += [other for other in reversed(following[node]) if state[other] == 0]
            else:
                state[node] = 2 if state[node] == 1 else state[node]
                stack.pop()
    return [(head, tail) if (tail, head) in backward else (tail, head) for tail, head in edges]


def _ranks(count: int, edges: Sequence[Edge]) -> list[int]:
    """The longest path to each node; a node that nothing leads to stands right before what follows it."""
    following, missing = _by_first(edges), [0] * count
    for _, head in edges:
        missing[head] += 1
    ranks = [0] * count
    first = [node for node in range(count) if missing[node] == 0]
    ready = list(first)
    while ready:
        node = ready.pop()
        for other in following[node]:
            ranks[other] = max(ranks[other], ranks[node] + 1)
            missing[other] -= 1
            if missing[other] == 0:
                ready.append(other)
    for node in first:
        ranks[node] = min((ranks[other] for other in following[node]), default=1) - 1
    return ranks


def _ordered(ranks: Sequence[int], links: Sequence[Edge]) -> list[list[int]]:
    """The nodes of each rank, in the order of the sweep with the fewest crossings."""
    rows: list[list[int]] = [[] for _ in range(max(ranks, default=-1) + 1)]
    for node, rank in enumerate(ranks):
        rows[rank].append(node)
    after, before = _by_first(links), _by_first((head, tail) for tail, head in links)
    best, fewest = rows, _crossings(rows, after)
    for sweep in range(_SWEEPS):
        if fewest == 0:
            break
        rows = [list(row) for row in rows]
        near, order = (before, rows) if sweep % 2 == 0 else (after, rows[::-1])
        for reference, row in itertools.pairwise(order):
            place = {node: float(index) for index, node in enumerate(reference)}
            middle = {
                node: _mean([place[other] for other in near[node]], float(index)) for index, node in enumerate(row)
            }
            row.sort(key=middle.__getitem__)
        found = _crossings(rows, after)
        if found < fewest:
            best, fewest = rows, found
    return best


def _crossings(rows: Sequence[Sequence[int]], after: Mapping[int, Sequence[int]]) -> int:
    total = 0
    for row, following in itertools.pairwise(rows):
        place = {node: index for index, node in enumerate(following)}
        ends = [sorted(place[other] for other in after[node]) for node in row]
        met: list[int] = []  # in order: those beyond a new one are crossed by it
        for end in itertools.chain.from_iterable(ends):
            at = bisect.bisect(met, end)
            total += len(met) - at
            met.insert(at, end)
    return total


# ---------------------------------------------------------------------- positions


def _positions(rows: Sequence[Sequence[int]], widths: Sequence[float], links: Sequence[Edge]) -> list[float]:
    """The place of each node across the ranks: near its neighbours, without overlaps, lines as straight as can be."""
    x = [0.0] * len(widths)
    after, before = _by_first(links), _by_first((head, tail) for tail, head in links)

    def settle(row: Sequence[int], wanted: Sequence[float]) -> None:
        for node, at in zip(row, _spread(wanted, [widths[node] for node in row]), strict=True):
            x[node] = at

    for row in rows:
        settle(row, [0.0] * len(row))
    for sweep in range(_SWEEPS):
        near = before if sweep % 2 == 0 else after
        for row in rows if sweep % 2 == 0 else rows[::-1]:
            settle(row, [_mean([x[other] for other in near[node]], x[node]) for node in row])
    lines = _lines(len(widths), after, before)
    for sweep in range(4 * _SWEEPS):
        wanted = list(x)
        for line in lines:
            ends = [x[other] for other in (*before[line[0]], *after[line[-1]])] if sweep < 2 * _SWEEPS else []
            middle = _mean([_mean([x[node] for node in line], 0.0), *ends], 0.0)
            for node in line:
                wanted[node] = middle
        for row in rows:
            settle(row, [wanted[node] for node in row])
    return x


def _lines(count: int, after: Mapping[int, Sequence[int]], before: Mapping[int, Sequence[int]]) -> list[list[int]]:
    """The nodes in runs along which nothing branches off or joins."""

    def continues(node: int) -> bool:
        return len(before[node]) == 1 and len(after[before[node][0]]) == 1

    lines = []
    for node in range(count):
        if not continues(node):
            line = [node]
            while len(after[line[-1]]) == 1 and continues(after[line[-1]][0]):
                line.append(after[line[-1]][0])
            lines.append(line)
    return lines


def _spread(wanted: Sequence[float], widths: Sequence[float]) -> list[float]:
    """The places closest to those wanted, by least squares, for boxes side by side with a gap between."""
    offsets = [0.0]
    for one, other in itertools.pairwise(widths):
        offsets.append(offsets[-1] + (one + other) / 2 + GAP)
    blocks: list[tuple[float, int]] = []  # the mean of each block of boxes that touch, and their number
    for place, offset in zip(wanted, offsets, strict=False):
        mean, number = place - offset, 1
        while blocks and blocks[-1][0] > mean:
            previous, others = blocks.pop()
            mean = (mean * number + previous * others) / (number + others)
            number += others
        blocks.append((mean, number))
    means = [mean for mean, number in blocks for _ in range(number)]
    return [mean + offset for mean, offset in zip(means, offsets, strict=False)]


# ---------------------------------------------------------------------- edges


def _routes(
    sizes: Sequence[tuple[float, float]],
    centers: Sequence[Point],
    x: Sequence[float],
    bands: Sequence[tuple[float, float]],
    chains: Sequence[Sequence[int]],
    edges: Sequence[Edge],
) -> list[Route]:
    leaving = _ports(sizes, x, [(chain[0], chain[1]) for chain in chains])
    arriving = _ports(sizes, x, [(chain[-1], chain[-2]) for chain in chains])
    routes = []
    for index, (chain, edge) in enumerate(zip(chains, edges, strict=True)):
        tail, head = chain[0], chain[-1]
        if tail == head:
            routes.append(_loop(centers[tail], sizes[tail]))
            continue
        start = (leaving[index], centers[tail][1] + sizes[tail][1] / 2)
        end = (arriving[index], centers[head][1] - sizes[head][1] / 2)
        points = [start, (start[0], bands[tail][1])]
        for node in chain[1:-1]:
            points += [(x[node], bands[node][0]), (x[node], bands[node][1])]
        points += [(end[0], bands[head][0]), end]
        backward = edge[0] != tail
        routes.append(_route(points[::-1] if backward else points))
    return routes


def _ports(sizes: Sequence[tuple[float, float]], x: Sequence[float], ends: Sequence[Edge]) -> list[float]:
    """Where each edge touches its box: side by side, in the order of where the edges come from."""
    places = [0.0] * len(ends)
    groups: dict[int, list[int]] = defaultdict(list)
    for index, (node, other) in enumerate(ends):
        if node != other:
            groups[node].append(index)
    for node, indices in groups.items():
        step = min(_PORT_GAP, 0.7 * sizes[node][0] / len(indices))
        for number, index in enumerate(sorted(indices, key=lambda i: x[ends[i][1]])):
            places[index] = x[node] + (number - (len(indices) - 1) / 2) * step
    return places


def _route(points: Sequence[Point]) -> Route:
    """Straight within the ranks, curved between them, with an arrow's head at the end."""
    (across, along), before = points[-1], points[-2]
    sign = 1.0 if along >= (before[1] if before != points[-1] else points[-3][1]) else -1.0
    joints = [*points[:-1], (across, along - sign * ARROW)]
    if joints[-2][1] * sign > joints[-1][1] * sign:  # the curve before ends where the head begins
        joints[-2] = joints[-1]
    curves = []
    for one, other in itertools.pairwise(joints):
        if one != other:
            middle = (one[1] + other[1]) / 2
            curves.append(((one[0], middle), (other[0], middle), other))
    return Route(points[0], tuple(curves), points[-1])


def _loop(center: Point, size: tuple[float, float]) -> Route:
    right, reach = center[0] + size[0] / 2, center[0] + size[0] / 2 + GAP
    low, high = center[1] + size[1] / 4, center[1] - size[1] / 4
    return Route((right, low), (((reach, low), (reach, high), (right + ARROW, high)),), (right, high))


def _by_first(pairs: Iterable[Edge]) -> dict[int, list[int]]:
    found: dict[int, list[int]] = defaultdict(list)
    for one, other in pairs:
        found[one].append(other)
    return found


def _mean(values: Sequence[float], otherwise: float) -> float:
    return sum(values) / len(values) if values else otherwise
