"""An autoencoder's encoder goes into other models: by shared layers, layer by layer by name, and through a file."""

import os
import tempfile

import numpy as np
from keras.layers import Dense, Input
from keras.models import Model, Sequential

np.random.seed(6)
x = np.random.rand(64, 10)
pixels = Input(shape=(10,))
code = Dense(3, activation="tanh", name="code")(Dense(6, activation="tanh", name="hidden")(pixels))
decoded = Dense(10, activation="sigmoid", name="decoded")(code)
autoencoder, encoder = Model(pixels, decoded), Model(pixels, code)
autoencoder.compile(optimizer="adadelta", loss="binary_crossentropy")
before = encoder.predict(x)
autoencoder.fit(x, x, epochs=5, batch_size=16, verbose=0)


def by_hand(x):
    (w1, b1), (w2, b2) = (autoencoder.get_layer(name).get_weights() for name in ("hidden", "code"))
    return np.tanh(np.tanh(x @ w1 + b1) @ w2 + b2)


print("encoder moved:", np.abs(encoder.predict(x) - before).max())
print("shared layers differ by:", np.abs(encoder.predict(x) - by_hand(x)).max())

classifier = Sequential()
classifier.add(Dense(6, activation="tanh", input_shape=(10,), name="hidden"))
classifier.add(Dense(3, activation="tanh", name="code"))
classifier.add(Dense(2, activation="softmax", name="classes"))
head = classifier.get_layer("classes").get_weights()[0]
for layer in autoencoder.layers:
    if layer.name in ("hidden", "code"):
        classifier.get_layer(layer.name).set_weights(layer.get_weights())
features = Model(inputs=classifier.input, outputs=classifier.get_layer("code").output)
print("by name differs by:", np.abs(features.predict(x) - by_hand(x)).max())
print("head moved:", np.abs(classifier.get_layer("classes").get_weights()[0] - head).max())

other = Sequential([Dense(6, activation="tanh", input_dim=10), Dense(3, activation="tanh")])
print("before load_weights:", np.abs(other.predict(x) - by_hand(x)).max())
path = os.path.join(tempfile.mkdtemp(), "encoder.npz")
encoder.save_weights(path)
other.load_weights(path)
print("after load_weights differs by:", np.abs(other.predict(x) - by_hand(x)).max())

twin = Model.from_config(encoder.get_config())
twin.set_weights(encoder.get_weights())
encoder.get_layer("code").set_weights([np.ones((6, 3)), np.ones(3)])
print("shared weights:", np.abs(autoencoder.get_layer("code").get_weights()[0] - 1).max())
print("copies moved:", np.abs(twin.predict(x) - other.predict(x)).max())
try:
    other.layers[0].set_weights([np.zeros((10, 5)), np.zeros(5)])
except ValueError:
    print("wrong shape: refused")
