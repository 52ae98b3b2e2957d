"""Writes numerics.json: values and two derivatives of functions of one number, with 60 digits by mpmath.

Run ``python tests/reference/generate_numerics.py``; mpmath is needed here only. Derivatives are formulas, which this
script compares with mpmath's own numerical ones.
"""

from __future__ import annotations

import json
from pathlib import Path

import mpmath as mp
import numpy as np

mp.mp.dps = 60


def sech2(x):
    return mp.sech(x) ** 2


def sigmoid(x):
    return 1 / (1 + mp.exp(-x))


def sigmoid1(x):
    return 1 / (2 + mp.exp(x) + mp.exp(-x))


def softplus(x):
    return mp.log1p(mp.exp(x)) if x < 100 else x + mp.log1p(mp.exp(-x))


def log_cosh(x):
    return mp.log1p(2 * mp.sinh(x / 2) ** 2) if abs(x) < 1000 else abs(x) - mp.log(2)


def elu(x):
    return x if x > 0 else mp.expm1(x)


ALPHA, SCALE = mp.mpf("1.6732632423543772848170429916717"), mp.mpf("1.0507009873554804934193349852946")

# name: value, first and second derivative, and where they are finite
FUNCTIONS = {
    "sqrt": (mp.sqrt, lambda x: 1 / (2 * mp.sqrt(x)), lambda x: -1 / (4 * x * mp.sqrt(x)), "x > 0"),
    "log": (mp.log, lambda x: 1 / x, lambda x: -1 / x**2, "x > 0"),
    "log1p": (mp.log1p, lambda x: 1 / (1 + x), lambda x: -1 / (1 + x) ** 2, "x > -1"),
    "exp": (mp.exp, mp.exp, mp.exp, "x < 1e4"),
    "expm1": (mp.expm1, mp.exp, mp.exp, "x < 1e4"),
    "reciprocal": (lambda x: 1 / x, lambda x: -1 / x**2, lambda x: 2 / x**3, "x != 0"),
    "square": (lambda x: x**2, lambda x: 2 * x, lambda x: mp.mpf(2), "True"),
    "arctan": (mp.atan, lambda x: 1 / (1 + x**2), lambda x: -2 * x / (1 + x**2) ** 2, "True"),
    "arcsin": (mp.asin, lambda x: 1 / mp.sqrt(1 - x**2), lambda x: x / mp.sqrt(1 - x**2) ** 3, "abs(x) < 1"),
    "arccos": (mp.acos, lambda x: -1 / mp.sqrt(1 - x**2), lambda x: -x / mp.sqrt(1 - x**2) ** 3, "abs(x) < 1"),
    "sinh": (mp.sinh, mp.cosh, mp.sinh, "abs(x) < 1e4"),
    "cosh": (mp.cosh, mp.sinh, mp.cosh, "abs(x) < 1e4"),
    "tanh": (mp.tanh, sech2, lambda x: -2 * mp.tanh(x) * sech2(x), "True"),
    "sigmoid": (sigmoid, sigmoid1, lambda x: -mp.tanh(x / 2) * sigmoid1(x), "True"),
    "softplus": (softplus, sigmoid, sigmoid1, "True"),
    "softsign": (
        lambda x: x / (1 + abs(x)),
        lambda x: 1 / (1 + abs(x)) ** 2,
        lambda x: -2 * mp.sign(x) / (1 + abs(x)) ** 3,
        "True",
    ),
    "log_cosh": (log_cosh, mp.tanh, sech2, "True"),
    "erf": (
        mp.erf,
        lambda x: 2 / mp.sqrt(mp.pi) * mp.exp(-(x**2)),
        lambda x: -4 * x / mp.sqrt(mp.pi) * mp.exp(-(x**2)),
        "True",
    ),
    "elu": (elu, lambda x: mp.mpf(1) if x > 0 else mp.exp(x), lambda x: mp.mpf(0) if x > 0 else mp.exp(x), "True"),
    "selu": (
        lambda x: SCALE * (x if x > 0 else ALPHA * mp.expm1(x)),
        lambda x: SCALE if x > 0 else SCALE * ALPHA * mp.exp(x),
        lambda x: mp.mpf(0) if x > 0 else SCALE * ALPHA * mp.exp(x),
        "True",
    ),
    "hard_sigmoid": (
        lambda x: min(max(x / 5 + mp.mpf(1) / 2, mp.mpf(0)), mp.mpf(1)),
        lambda x: mp.mpf(1) / 5 if abs(x) <= 2.5 else mp.mpf(0),
        lambda x: mp.mpf(0),
        "True",
    ),
    "binary_crossentropy_of_logits_1": (lambda x: softplus(-x), lambda x: -sigmoid(-x), sigmoid1, "True"),
    "binary_crossentropy_of_logits_0": (softplus, sigmoid, sigmoid1, "True"),
    "log_softmax_of_two": (lambda x: -softplus(-x), lambda x: sigmoid(-x), lambda x: -sigmoid1(x), "True"),
    "logsumexp_of_two": (softplus, sigmoid, sigmoid1, "True"),
}


def points(dtype):
    info = np.finfo(dtype)
    sizes = [info.smallest_subnormal, info.tiny, 1e-30, 1e-10, 1e-4, 0.01, 0.3, 0.9, 0.9999, 1.0, 2.0, 5.0, 10.0, 20.0]
    sizes += [50.0, 80.0, 1e2, 5e2, 1e4, 1e10, 1e18, 1e30, float(info.max) / 2]
    sizes = [float(np.asarray(s, dtype)) for s in sizes]
    return [-s for s in reversed(sizes)] + [0.0] + sizes


def written(x):
    return mp.nstr(x, 20)


def main():
    found = {}
    for name, (value, first, second, where) in FUNCTIONS.items():
        for x in (mp.mpf("0.4"), mp.mpf("-0.7"), mp.mpf("3.3")):
            if eval(where, {"x": x, "abs": abs}):
                assert mp.almosteq(mp.diff(value, x), first(x), 1e-20), (name, x)
                assert mp.almosteq(mp.diff(first, x), second(x), 1e-20), (name, x)
        found[name] = {
            dtype: [
                [x, *(written(f(mp.mpf(x))) for f in (value, first, second))]
                for x in points(dtype)
                if eval(where, {"x": x, "abs": abs})
            ]
            for dtype in ("float32", "float64")
        }
    path = Path(__file__).with_name("numerics.json")
    lines = [f'"{name}": {json.dumps(entry)}' for name, entry in found.items()]
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
    print(path, path.stat().st_size)


if __name__ == "__main__":
    main()
