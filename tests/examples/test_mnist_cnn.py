"""The network of mnist_cnn.py on enlarged digits."""

from __future__ import annotations

from tests.examples.running import number, run


def test_the_convolutional_network_reads_more_digits_than_the_linear_model(tmp_path):
    text = run("mnist_cnn.py", "--epochs", "4", "--digits", "800", cwd=tmp_path)
    linear = number(r"Test accuracy of the linear model +([\d.]+)%", text)
    network = number(r"Test accuracy of the CNN model +([\d.]+)%", text)
    assert network > max(linear, 85)
