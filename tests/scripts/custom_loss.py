"""Losses and metrics of one's own, written with K; the figures again in plain NumPy."""

import os
import tempfile

import keras.backend as K
import numpy as np
from keras.layers import Dense
from keras.models import Sequential, load_model
from keras.optimizers import SGD


def huber(y_true, y_pred):
    error = K.abs(y_true - y_pred)
    quadratic = K.minimum(error, 1.0)
    return K.mean(0.5 * K.square(quadratic) + (error - quadratic), axis=-1)


def pinball(quantile):
    def loss(y_true, y_pred):
        error = y_true - y_pred
        return K.mean(K.switch(K.greater(error, 0), quantile * error, (quantile - 1) * error), axis=-1)

    return loss


def r2(y_true, y_pred):
    residual = K.sum(K.square(y_true - y_pred))
    total = K.sum(K.square(y_true - K.mean(y_true)))
    return 1 - residual / (total + K.epsilon())


def within(y_true, y_pred):
    return K.mean(K.cast(K.less(K.abs(y_true - y_pred), 0.5), K.floatx()))


np.random.seed(2)
x = np.random.randn(200, 3)
y = x @ [[1.0], [-2.0], [0.5]] + 0.3 * np.random.standard_t(2, (200, 1))
model = Sequential([Dense(1, input_dim=3)])
model.compile(optimizer=SGD(lr=0.1), loss=huber, metrics=[r2, within])
model.fit(x, y, epochs=10, batch_size=20, verbose=0)

error = y - model.predict(x)
print("names:", " ".join(model.metrics_names))
for name, value in zip(model.metrics_names, model.evaluate(x, y, batch_size=200, verbose=0)):
    print(name + ":", value)
print("loss by hand:", np.where(abs(error) < 1, error**2 / 2, abs(error) - 0.5).mean())
print("r2 by hand:", 1 - (error**2).sum() / ((y - y.mean()) ** 2).sum())
print("within by hand:", (abs(error) < 0.5).mean())

path = os.path.join(tempfile.mkdtemp(), "model.npz")
model.save(path)
loaded = load_model(path, custom_objects={"huber": huber, "r2": r2, "within": within})
print("r2 when loaded:", loaded.evaluate(x, y, batch_size=200, verbose=0)[1])

model.compile(SGD(lr=0.1, momentum=0.9), loss=pinball(0.9))
model.fit(x, y, epochs=100, batch_size=200, verbose=0)
print("below the 0.9 quantile:", (y < model.predict(x)).mean())
