"""Two inputs, two outputs: an image and a few numbers give a class and a price."""

import numpy as np
from keras import regularizers
from keras.layers import Conv2D, Dense, Flatten, Input, concatenate
from keras.models import Model
from keras.optimizers import Adam

np.random.seed(3)
images, numbers = np.random.rand(96, 6, 6, 1), np.random.randn(96, 4)
classes = np.eye(3)[np.random.randint(3, size=96)]
prices = images.mean(axis=(1, 2)) + numbers[:, :1]

image_input = Input(shape=(6, 6, 1), name="image")
number_input = Input(shape=(4,), name="numbers")
features = Flatten()(Conv2D(4, (3, 3), activation="relu")(image_input))
merged = concatenate([features, number_input])
kind = Dense(3, activation="softmax", name="kind")(merged)
price = Dense(1, name="price", kernel_regularizer=regularizers.l2(0.01))(merged)
model = Model(inputs=[image_input, number_input], outputs=[kind, price])
model.compile(
    optimizer=Adam(lr=0.01),
    loss={"kind": "categorical_crossentropy", "price": "mse"},
    loss_weights={"kind": 0.25, "price": 2.0},
    metrics={"kind": "accuracy", "price": "mae"},
)
history = model.fit(
    {"image": images, "numbers": numbers},
    {"kind": classes, "price": prices},
    epochs=15,
    batch_size=16,
    verbose=0,
    validation_data=({"numbers": numbers[:32], "image": images[:32]}, {"price": prices[:32], "kind": classes[:32]}),
)
print("history:", " ".join(sorted(history.history)))
print("improved:", history.history["price_loss"][0] / history.history["price_loss"][-1])

probabilities, estimate = model.predict([images, numbers])
crossentropy = -np.log(probabilities[classes == 1]).mean()
error = ((estimate - prices) ** 2).mean()
penalty = 0.01 * (model.get_layer("price").get_weights()[0] ** 2).sum()
print("names:", " ".join(model.metrics_names))
results = model.evaluate({"image": images, "numbers": numbers}, [classes, prices], verbose=0)
for name, value in zip(model.metrics_names, results):
    print(name + ":", value)
print("loss by hand:", 0.25 * crossentropy + 2.0 * error + penalty)
print("kind_loss by hand:", crossentropy)
print("price_loss by hand:", error)
print("kind_acc by hand:", (probabilities.argmax(axis=1) == classes.argmax(axis=1)).mean())
print("price_mean_absolute_error by hand:", abs(estimate - prices).mean())
print("last val_loss by hand:", history.history["val_loss"][-1])
first = [images[:32], numbers[:32]]
print("last val_loss:", model.evaluate(first, {"kind": classes[:32], "price": prices[:32]}, verbose=0)[0])
