"""A trained base is frozen under a new head, then fine-tuned at a small learning rate."""

import numpy as np
from keras.layers import BatchNormalization, Conv2D, Dense, Flatten, MaxPooling2D
from keras.models import Sequential
from keras.optimizers import SGD
from keras.utils import to_categorical

np.random.seed(8)
angles = np.random.uniform(0, np.pi, 120)
rows, columns = np.mgrid[:8, :8]
waves = rows * np.sin(angles)[:, None, None] + columns * np.cos(angles)[:, None, None]
images = np.cos(1.5 * waves)[..., None] + 0.1 * np.random.randn(120, 8, 8, 1)
steep, quarter = to_categorical(angles > np.pi / 2, 2), to_categorical(angles * 4 // np.pi, 4)

base = Sequential(name="base")
base.add(Conv2D(8, (3, 3), activation="relu", input_shape=(8, 8, 1)))
base.add(BatchNormalization())
base.add(MaxPooling2D(pool_size=(2, 2)))
base.add(Flatten())
first = Sequential([base, Dense(2, activation="softmax")])
first.compile(loss="categorical_crossentropy", optimizer="adam", metrics=["accuracy"])
first.fit(images, steep, epochs=10, batch_size=20, verbose=0)

model = Sequential()
model.add(base)
model.add(Dense(4, activation="softmax", name="head"))
base.trainable = False
model.compile(loss="categorical_crossentropy", optimizer="adam", metrics=["accuracy"])
print("trainable when frozen:", len(model.trainable_weights))
print("not trainable when frozen:", len(model.non_trainable_weights))
weights, head = base.get_weights(), model.get_layer("head").get_weights()
frozen = model.fit(images, quarter, epochs=15, batch_size=20, verbose=0)
print("frozen moved:", max(np.abs(a - b).max() for a, b in zip(base.get_weights(), weights)))
print("frozen identical:", all(a.tobytes() == b.tobytes() for a, b in zip(base.get_weights(), weights)))
print("head moved:", np.abs(model.get_layer("head").get_weights()[0] - head[0]).max())

base.trainable = True
for layer in base.layers[:1]:
    layer.trainable = False  # the convolution stays as it is
model.compile(loss="categorical_crossentropy", optimizer=SGD(lr=1e-3, momentum=0.9), metrics=["accuracy"])
print("trainable when tuned:", len(model.trainable_weights))
before = model.evaluate(images, quarter, verbose=0)[0]
tuned = model.fit(images, quarter, epochs=10, batch_size=20, verbose=0)
changed = [a.tobytes() != b.tobytes() for a, b in zip(base.get_weights(), weights)]
print("changed:", " ".join(str(int(c)) for c in changed))
print("loss ratio:", model.evaluate(images, quarter, verbose=0)[0] / before)
print("accuracy:", model.evaluate(images, quarter, verbose=0)[1])
