"""The text network of imdb_cnn.py on generated reviews."""

from __future__ import annotations

from tests.examples.running import number, run


def test_the_network_reads_negations_that_counting_words_cannot_tell(tmp_path):
    text = run("imdb_cnn.py", "--reviews", "2000", "--epochs", "4", cwd=tmp_path)
    assert number(r"Test accuracy of the counting model: ([\d.]+)%", text) < 60
    assert number(r"Test accuracy of the convolutional network: ([\d.]+)%", text) > 90
