"""One positive in twenty: class weights, the same as sample weights, and both by hand."""

import numpy as np
from keras.layers import Dense
from keras.models import Sequential
from keras.optimizers import SGD

np.random.seed(7)
y = (np.arange(400) % 20 == 0).astype("float32")
x = np.random.randn(400, 2) + 1.2 * y[:, None]
class_weight = {0: 1.0, 1: 19.0}
sample_weight = np.where(y == 1, 19.0, 1.0)


def train(**weights):
    model = Sequential([Dense(1, activation="sigmoid", input_dim=2, kernel_initializer="zeros")])
    model.compile(SGD(lr=0.5), "binary_crossentropy", metrics=["accuracy"], weighted_metrics=["accuracy"])
    history = model.fit(x, y, epochs=60, batch_size=400, verbose=0, **weights)
    return model, history.history["loss"][0]


def train_by_hand(weight):
    kernel, bias = np.zeros(2), 0.0
    for _ in range(60):
        gradient = weight * (1 / (1 + np.exp(-(x @ kernel + bias))) - y) / len(x)
        kernel, bias = kernel - 0.5 * gradient @ x, bias - 0.5 * gradient.sum()
    return kernel, bias


def recall(model):
    return model.predict_classes(x)[y == 1].mean()


def error(model, weight):
    kernel, bias = train_by_hand(weight)
    return max(np.abs(model.get_weights()[0][:, 0] - kernel).max(), abs(model.get_weights()[1][0] - bias))


plain, _ = train()
by_class, first_loss = train(class_weight=class_weight)
by_sample, _ = train(sample_weight=sample_weight)
print("without weights differ by:", error(plain, 1.0))
print("class weights differ by:", error(by_class, sample_weight))
print("sample weights differ by:", error(by_sample, sample_weight))
print("recall without:", recall(plain))
print("recall with:", recall(by_class))
print("first loss:", first_loss)
print("first loss by hand:", np.log(2) * sample_weight.mean())

p = by_class.predict(x)[:, 0].astype("float64")
crossentropy = -(y * np.log(p) + (1 - y) * np.log(1 - p))
loss, accuracy, weighted = by_class.evaluate(x, y, batch_size=400, sample_weight=sample_weight, verbose=0)
print("names:", " ".join(by_class.metrics_names))
print("loss:", loss)
print("loss by hand:", (crossentropy * sample_weight).mean())
print("accuracy:", accuracy)
print("accuracy by hand:", ((p > 0.5) == y).mean())
print("weighted accuracy:", weighted)
print("weighted accuracy by hand:", (((p > 0.5) == y) * sample_weight).mean())
