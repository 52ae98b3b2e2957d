"""Boxes don't overlap, edges pass around them and lead where they should."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from minikeras.utils.layered_layout import RANKDIRS, lay_out

GRAPHS = {
    "a line": (4, [(0, 1), (1, 2), (2, 3)]),
    "a residual block": (6, [(0, 1), (1, 2), (2, 3), (3, 4), (1, 4), (4, 5)]),
    "a long way round": (7, [(0, 1), (1, 2), (2, 3), (3, 4), (0, 4), (1, 4), (0, 3), (4, 5), (5, 6), (0, 6)]),
    "inputs and outputs": (7, [(0, 3), (1, 3), (2, 4), (3, 5), (4, 5), (4, 6), (3, 6)]),
    "everything to everything": (6, [(i, j) for i in range(6) for j in range(i + 1, 6)]),
    "a cycle": (4, [(0, 1), (1, 2), (2, 1), (2, 3)]),
    "a loop": (3, [(0, 1), (1, 1), (1, 2)]),
    "two parts": (4, [(0, 1), (2, 3)]),
    "no edges": (2, []),
}


def sizes(count):
    return [(60.0 + 37 * (node * 5 % 4), 20.0 + 17 * (node % 2)) for node in range(count)]


def points(route, number=30):
    """Points on the way of an edge."""
    found, start = [route.start], np.array(route.start)
    for curve in route.curves:
        one, two, end = map(np.array, curve)
        for t in np.linspace(0, 1, number):
            u = 1 - t
            found.append(u**3 * start + 3 * u * u * t * one + 3 * u * t * t * two + t**3 * end)
        start = end
    return np.array([*found, route.tip])


def box(center, size):
    return np.array(center) - np.array(size) / 2, np.array(center) + np.array(size) / 2


@pytest.mark.parametrize("rankdir", RANKDIRS)
@pytest.mark.parametrize("name", GRAPHS)
def test_nothing_overlaps(name, rankdir):
    count, edges = GRAPHS[name]
    layout = lay_out(sizes(count), edges, rankdir)
    boxes = [box(*pair) for pair in zip(layout.centers, sizes(count), strict=True)]
    for (low, high), (other_low, other_high) in itertools.combinations(boxes, 2):
        assert (low >= other_high).any() or (other_low >= high).any()
    for route in layout.routes:
        way = points(route)
        for low, high in boxes:
            assert not ((way > low + 0.01) & (way < high - 0.01)).all(axis=1).any()
        assert (way >= -0.01).all()
        assert (way <= np.array([layout.width, layout.height]) + 0.01).all()


@pytest.mark.parametrize("rankdir", RANKDIRS)
@pytest.mark.parametrize("name", GRAPHS)
def test_edges_lead_from_one_box_to_the_other(name, rankdir):
    count, edges = GRAPHS[name]
    layout = lay_out(sizes(count), edges, rankdir)
    for (tail, head), route in zip(edges, layout.routes, strict=True):
        for node, point in ((tail, route.start), (head, route.tip)):
            low, high = box(layout.centers[node], sizes(count)[node])
            at = np.array(point)
            assert (at >= low - 0.01).all()
            assert (at <= high + 0.01).all()
            assert np.isclose(at, low).any() or np.isclose(at, high).any()


@pytest.mark.parametrize(("rankdir", "axis", "sign"), [("TB", 1, 1), ("BT", 1, -1), ("LR", 0, 1), ("RL", 0, -1)])
def test_rankdir_says_where_edges_lead(rankdir, axis, sign):
    count, edges = GRAPHS["inputs and outputs"]
    centers = lay_out(sizes(count), edges, rankdir).centers
    assert all(sign * (centers[head][axis] - centers[tail][axis]) > 0 for tail, head in edges)


def test_a_line_is_straight_beside_what_goes_around_it():
    count, edges = GRAPHS["a residual block"]
    centers = lay_out(sizes(count), edges).centers
    assert centers[2][0] == pytest.approx(centers[3][0], abs=0.5)


def test_crossings_are_avoided_where_they_can_be():
    # as listed the edges of both ranks cross; the other order has no crossing
    centers = lay_out([(40.0, 20.0)] * 6, [(0, 3), (1, 2), (3, 4), (2, 5)]).centers
    assert (centers[0][0] < centers[1][0]) == (centers[3][0] < centers[2][0]) == (centers[4][0] < centers[5][0])


def test_an_empty_graph_has_no_size():
    layout = lay_out([], [])
    assert (layout.width, layout.height, layout.centers) == (0.0, 0.0, ())
