"""The network of cifar10_cnn.py on drawn pictures, augmented."""

from __future__ import annotations

from tests.examples.running import number, run


def test_kinds_of_pictures_are_learned_from_augmented_batches(tmp_path):
    text = run("cifar10_cnn.py", "--pictures", "400", "--epochs", "8", "--batch-size", "16", cwd=tmp_path)
    network = number(r"Test accuracy of the network: ([\d.]+)%", text)  # three seeds gave 78 to 85, guessing gives 10
    assert network > 65
    assert network > number(r"Test accuracy of the nearest neighbour: ([\d.]+)%", text) > 30
