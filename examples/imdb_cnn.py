"""Tell good reviews from bad ones with the one-dimensional convolutions of Keras's imdb_cnn.py.

The reviews are generated: numbers of words, as `imdb.load_data` gives them, of which a few are praise, blame or a
negation. "Not bad" is praise and "not good" is blame, and there are as many negations where they negate nothing. So the
words alone say nothing, only what stands next to what: a model that counts words guesses, the network is right in more
than 99 of 100 reviews (with each of three seeds).
"""

from __future__ import annotations

import argparse

import numpy as np

import minikeras as keras
from minikeras.layers import Activation, Conv1D, Dense, Dropout, Embedding, GlobalMaxPooling1D
from minikeras.models import Sequential
from minikeras.preprocessing.sequence import pad_sequences

VOCABULARY = 1000  # words are numbered by how common they are; 0 fills up short reviews
LENGTH = 100
NEGATIONS = np.arange(10, 13)
PRAISE = np.arange(20, 40)
BLAME = np.arange(40, 60)
COMMON = np.setdiff1d(np.arange(1, VOCABULARY), np.concatenate([NEGATIONS, PRAISE, BLAME]))


def make_review(label: int, rng: np.random.Generator) -> list[int]:
    """Return the words of a review: 40 to 120 common ones, by Zipf's law, and among them two to four opinions."""
    frequencies = 1 / np.arange(1, len(COMMON) + 1)
    words = rng.choice(COMMON, size=rng.integers(40, 121), p=frequencies / frequencies.sum()).tolist()
    opinions = rng.integers(2, 5)
    places = rng.choice(len(words) // 2, 2 * opinions, replace=False) * 2  # no opinion touches another
    for place, other in places.reshape(-1, 2):
        praise = rng.integers(2)
        words[place] = int(rng.choice(PRAISE if praise else BLAME))
        words[place - 1 if praise != label else other] = int(rng.choice(NEGATIONS))
    return words


def make_reviews(count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return reviews (count, LENGTH) of word numbers, and whether each is good, 1, or bad, 0 (count,)."""
    labels = rng.integers(2, size=count)
    return pad_sequences([make_review(label, rng) for label in labels], maxlen=LENGTH), labels


def build_cnn() -> Sequential:
    """Return the network, from word numbers (N, LENGTH) to the probability (N, 1) that a review is good."""
    model = Sequential()
    model.add(Embedding(VOCABULARY, 50, input_length=LENGTH))
    model.add(Dropout(0.2))
    model.add(Conv1D(250, 3, padding="valid", activation="relu", strides=1))
    model.add(GlobalMaxPooling1D())
    model.add(Dense(250))
    model.add(Dropout(0.2))
    model.add(Activation("relu"))
    model.add(Dense(1))
    model.add(Activation("sigmoid"))
    return model


def build_counting() -> Sequential:
    """Return the model to compare with: it sees how often each word occurs (N, VOCABULARY)."""
    return Sequential(
        [
            Dense(250, activation="relu", input_dim=VOCABULARY),
            Dropout(0.2),
            Dense(1, activation="sigmoid"),
        ]
    )


def count_words(reviews: np.ndarray) -> np.ndarray:
    """Return how often each word occurs in each review, (N, VOCABULARY)."""
    return np.stack([np.bincount(review, minlength=VOCABULARY) for review in reviews]).astype("float32")


def main() -> None:
    """Write reviews, train both models, compare."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--reviews", type=int, default=3000, help="how many to learn from (default: %(default)s)")
    parser.add_argument("--epochs", type=int, default=4, help="default: %(default)s")
    parser.add_argument("--seed", type=int, default=0, help="default: %(default)s")
    arguments = parser.parse_args()
    keras.set_seed(arguments.seed)
    rng = np.random.default_rng(arguments.seed)

    x_train, y_train = make_reviews(arguments.reviews, rng)
    x_test, y_test = make_reviews(1000, rng)
    accuracies = {}
    for name, model, view in (
        ("counting model", build_counting(), count_words),
        ("convolutional network", build_cnn(), np.asarray),
    ):
        model.compile(loss="binary_crossentropy", optimizer="adam", metrics=["accuracy"])
        model.fit(
            view(x_train),
            y_train,
            batch_size=32,
            epochs=arguments.epochs,
            verbose=2,
            validation_split=0.1,
        )
        _, accuracies[name] = model.evaluate(view(x_test), y_test, verbose=0)

    for name, accuracy in accuracies.items():
        print(f"Test accuracy of the {name}: {accuracy:.1%} of {len(y_test)} new reviews")


if __name__ == "__main__":
    main()
