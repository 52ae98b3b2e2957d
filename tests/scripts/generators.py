"""Training from a Sequence and from a plain generator, against the same batches as arrays."""

import numpy as np
from keras.layers import Dense
from keras.models import Sequential, clone_model
from keras.utils import Sequence

np.random.seed(4)
x, y, x_val, y_val = (np.random.randn(*shape) for shape in ((50, 4), (50, 2), (24, 4), (24, 2)))


class Batches(Sequence):
    def __init__(self, x, y, batch_size):
        self.x, self.y, self.batch_size = x, y, batch_size
        self.epochs = 0

    def __len__(self):
        return int(np.ceil(len(self.x) / float(self.batch_size)))

    def __getitem__(self, idx):
        batch = slice(idx * self.batch_size, (idx + 1) * self.batch_size)
        return self.x[batch], self.y[batch]

    def on_epoch_end(self):
        self.epochs += 1


def batches(x, y, batch_size):
    while True:
        for start in range(0, len(x), batch_size):
            yield x[start : start + batch_size], y[start : start + batch_size]


base = Sequential([Dense(8, activation="tanh", input_shape=(4,)), Dense(2)])
models = [clone_model(base) for _ in range(3)]
for model in models:
    model.set_weights(base.get_weights())
    model.compile("adam", "mse")
arrays, sequence, generator = models
train, validation = Batches(x, y, 16), batches(x_val, y_val, 8)
h1 = arrays.fit(x, y, batch_size=16, epochs=3, shuffle=False, verbose=0, validation_data=(x_val, y_val))
h2 = sequence.fit_generator(
    train, epochs=3, shuffle=False, workers=2, verbose=0, validation_data=Batches(x_val, y_val, 8)
)
h3 = generator.fit_generator(
    batches(x, y, 16), steps_per_epoch=4, epochs=3, verbose=0, validation_data=validation, validation_steps=2
)
print("steps:", len(train))
print("epochs seen:", train.epochs)
print("moved:", np.abs(arrays.get_weights()[0] - base.get_weights()[0]).max())
print("Sequence differs by:", max(np.abs(a - b).max() for a, b in zip(arrays.get_weights(), sequence.get_weights())))
print("generator differs by:", max(np.abs(a - b).max() for a, b in zip(arrays.get_weights(), generator.get_weights())))
for name, history in zip(("arrays", "Sequence", "generator"), (h1, h2, h3)):
    print("loss of %s:" % name, history.history["loss"][-1])
    print("val_loss of %s:" % name, history.history["val_loss"][-1])
squares = ((arrays.predict_generator(batches(x_val, y_val, 8), steps=3) - y_val) ** 2).mean(axis=1)
print("val_loss by hand:", squares.mean())
print("val_loss of the last two batches by hand:", squares[8:].mean())
print("evaluate_generator:", arrays.evaluate_generator(Batches(x_val, y_val, 8)))
