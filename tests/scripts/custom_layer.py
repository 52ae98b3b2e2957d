"""A dense layer of one's own with a running mean, saved in a model and loaded again."""

import os
import tempfile

import numpy as np
from keras import backend as K
from keras import initializers
from keras.layers import Dense, Layer
from keras.models import Sequential, load_model


class CentredDense(Layer):
    """Subtracts a stored mean, then a matrix product."""

    def __init__(self, units, kernel_initializer="glorot_uniform", **kwargs):
        super(CentredDense, self).__init__(**kwargs)
        self.units = units
        self.kernel_initializer = initializers.get(kernel_initializer)

    def build(self, input_shape):
        self.kernel = self.add_weight(
            name="kernel", shape=(input_shape[-1], self.units), initializer=self.kernel_initializer
        )
        self.mean = self.add_weight(name="mean", shape=(input_shape[-1],), initializer="ones", trainable=False)
        super(CentredDense, self).build(input_shape)

    def call(self, inputs):
        return K.dot(inputs - self.mean, self.kernel)

    def compute_output_shape(self, input_shape):
        return input_shape[0], self.units

    def get_config(self):
        config = {"units": self.units, "kernel_initializer": initializers.serialize(self.kernel_initializer)}
        base_config = super(CentredDense, self).get_config()
        return dict(list(base_config.items()) + list(config.items()))


np.random.seed(1)
x, y = np.random.randn(32, 5), np.random.randn(32, 1)
model = Sequential([CentredDense(4, input_shape=(5,), name="centred"), Dense(1, use_bias=False)])
model.compile("sgd", "mse")
kernel, mean, last = model.get_weights()[0], model.get_layer("centred").get_weights()[1], model.get_weights()[2]
print("parameters:", model.count_params())
print("trainable:", sum(K.count_params(w) for w in model.trainable_weights))
print("prediction:", model.predict(x).sum())
print("prediction by hand:", ((x - mean) @ kernel @ last).sum())

model.train_on_batch(x, y)
by_hand = kernel - 0.01 * (x - mean).T @ (2 * ((x - mean) @ kernel @ last - y) / len(x) @ last.T)
print("error after a step:", np.abs(model.get_layer("centred").get_weights()[0] - by_hand).max())
print("step:", np.abs(kernel - by_hand).max())

path = os.path.join(tempfile.mkdtemp(), "model.npz")
model.save(path)
loaded = load_model(path, custom_objects={"CentredDense": CentredDense})
print("units when loaded:", loaded.get_layer("centred").get_config()["units"])
print("loaded differs by:", np.abs(loaded.predict(x) - model.predict(x)).max())
