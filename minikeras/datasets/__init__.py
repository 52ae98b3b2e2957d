"""Data to learn from.

`digits` comes with the package. The others are Keras's: taken from its cache, or downloaded at first use.
"""

from __future__ import annotations

from . import boston_housing, cifar10, cifar100, digits, fashion_mnist, imdb, mnist, reuters

__all__ = ["boston_housing", "cifar10", "cifar100", "digits", "fashion_mnist", "imdb", "mnist", "reuters"]
