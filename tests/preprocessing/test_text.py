from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from minikeras.preprocessing import text
from minikeras.preprocessing.text import Tokenizer, hashing_trick, text_to_word_sequence

TEXTS = ["The cat sat, on the mat!", "the dog; the dog.", "A mat"]


def fitted(**arguments: Any) -> Tokenizer:
    tokenizer = Tokenizer(**arguments)
    tokenizer.fit_on_texts(TEXTS)
    return tokenizer


def test_texts_are_split_into_words() -> None:
    assert text_to_word_sequence("Don't  stop, (please)\tnow\n") == ["don't", "stop", "please", "now"]
    assert text_to_word_sequence("A-b,C", filters=",", lower=False, split="-") == ["A", "b", "C"]


def test_hashing_gives_equal_words_equal_numbers() -> None:
    numbers = hashing_trick("one two One", 50, "md5")
    assert numbers[0] == numbers[2] != numbers[1]
    assert hashing_trick("a bb ccc", 10, len) == [2, 3, 4]
    assert text.one_hot("a b a", 20) == [hash(word) % 19 + 1 for word in "aba"]


def test_frequent_words_get_low_numbers_and_equals_keep_their_order() -> None:
    tokenizer = fitted()
    assert tokenizer.word_index == {"the": 1, "mat": 2, "dog": 3, "cat": 4, "sat": 5, "on": 6, "a": 7}
    assert tokenizer.word_counts["the"] == 4
    assert (tokenizer.word_docs["the"], tokenizer.index_docs[1], tokenizer.document_count) == (2, 2, 3)
    assert tokenizer.texts_to_sequences(["The mat is A dog"]) == [[1, 2, 7, 3]]
    assert tokenizer.sequences_to_texts([[1, 3, 99]]) == ["the dog"]


def test_rare_and_unknown_words_become_the_word_for_them() -> None:
    tokenizer = fitted(num_words=4, oov_token="<?>")
    assert tokenizer.word_index["<?>"] == 1
    assert tokenizer.texts_to_sequences(["the mat is a dog"]) == [[2, 3, 1, 1, 1]]
    assert tokenizer.sequences_to_texts([[2, 4, 99]]) == ["the <?> <?>"]
    assert fitted(num_words=3).texts_to_sequences(["the mat is a dog"]) == [[1, 2]]


def test_characters_and_lists_of_words_are_words() -> None:
    assert fitted(char_level=True).texts_to_sequences(["TA"])[0] == [
        fitted(char_level=True).word_index[letter] for letter in "ta"
    ]
    tokenizer = Tokenizer()
    tokenizer.fit_on_texts([["New York", "is"], ["is"]])
    assert tokenizer.word_index == {"is": 1, "new york": 2}


def test_matrices_count_words() -> None:
    tokenizer = fitted()
    counts = np.array([[0, 2, 0, 1, 0, 0, 0, 0]])
    sentence = ["the dog the"]
    np.testing.assert_array_equal(tokenizer.texts_to_matrix(sentence, "count"), counts)
    np.testing.assert_array_equal(tokenizer.texts_to_matrix(sentence), counts > 0)
    np.testing.assert_allclose(tokenizer.texts_to_matrix(sentence, "freq"), counts / 3)
    tfidf = tokenizer.texts_to_matrix(sentence, "tfidf")
    np.testing.assert_allclose(tfidf[0, [1, 3]], [(1 + np.log(2)) * np.log(1 + 3 / 3), np.log(1 + 3 / 2)])
    assert fitted(num_words=2).sequences_to_matrix([[1, 3], []]).tolist() == [[0, 1], [0, 0]]


def test_numbers_can_be_learnt_from_sequences() -> None:
    tokenizer = Tokenizer(num_words=3)
    tokenizer.fit_on_sequences([[1, 1], [1, 2]])
    np.testing.assert_allclose(tokenizer.sequences_to_matrix([[2]], "tfidf"), [[0, 0, np.log(1 + 2 / 2)]])


def test_a_tokenizer_comes_back_from_its_json() -> None:
    tokenizer = fitted(num_words=5, oov_token="?")
    again = text.tokenizer_from_json(tokenizer.to_json())
    assert again.get_config() == tokenizer.get_config()
    np.testing.assert_array_equal(again.texts_to_matrix(TEXTS, "tfidf"), tokenizer.texts_to_matrix(TEXTS, "tfidf"))
    assert json.loads(tokenizer.to_json())["class_name"] == "Tokenizer"


def test_keras_1s_name_of_num_words_warns() -> None:
    with pytest.warns(UserWarning, match="nb_words is called num_words"):
        assert Tokenizer(nb_words=3).num_words == 3


WRONG = {
    "no text": (lambda: text_to_word_sequence(5), TypeError, "text must be a string. Received: 5"),
    "a space of one": (lambda: hashing_trick("a", 1), ValueError, "n must be an integer of at least 2. Received: 1"),
    "a hash": (lambda: hashing_trick("a", 9, "sha"), ValueError, "hash_function must be 'md5', None or .*'sha'"),
    "a keyword": (lambda: Tokenizer(num_word=3), TypeError, "Tokenizer: unexpected arguments num_word"),
    "no words": (lambda: Tokenizer(num_words=0), ValueError, "num_words must be a positive integer. Received: 0"),
    "one text": (lambda: Tokenizer().fit_on_texts("the cat"), ValueError, "a list of strings, not one string"),
    "a mode": (lambda: fitted().texts_to_matrix(TEXTS, "idf"), ValueError, "mode must be one of 'binary', 'count'"),
    "unknown columns": (
        lambda: Tokenizer().sequences_to_matrix([[1]]),
        ValueError,
        "set num_words or call fit_on_texts",
    ),
    "unknown texts": (lambda: Tokenizer(3).sequences_to_matrix([[1]], "tfidf"), ValueError, "mode='tfidf' needs texts"),
}


@pytest.mark.parametrize(("call", "error", "message"), WRONG.values(), ids=WRONG.keys())
def test_wrong_calls_are_refused(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()
