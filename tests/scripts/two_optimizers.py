"""Adam first, then SGD with Nesterov's momentum and decay: every step again in plain NumPy."""

import numpy as np
from keras import backend as K
from keras.layers import Dense
from keras.models import Sequential
from keras.optimizers import SGD, Adam

np.random.seed(9)
x, y = np.random.randn(40, 3), np.random.randn(40, 1)
model = Sequential([Dense(1, use_bias=False, input_shape=(3,))])
w = model.get_weights()[0].astype("float64")


def gradient(w):
    return 2 * x.T @ (x @ w - y) / len(x)


def differ():
    return np.abs(model.get_weights()[0] - w).max()


adam = Adam(lr=0.05, beta_1=0.8)
model.compile(optimizer=adam, loss="mse")
model.fit(x, y, epochs=8, batch_size=40, verbose=0)
start, m, v = w, 0.0, 0.0
for t in range(1, 9):
    m, v = 0.8 * m + 0.2 * gradient(w), 0.999 * v + 0.001 * gradient(w) ** 2
    w = w - 0.05 * np.sqrt(1 - 0.999**t) / (1 - 0.8**t) * m / (np.sqrt(v) + 1e-7)
print("adam moved:", np.abs(w - start).max())
print("adam differs by:", differ())
print("adam iterations:", K.get_value(adam.iterations))

model.compile(optimizer=SGD(lr=0.1, momentum=0.9, decay=0.02, nesterov=True), loss="mse")
print("recompiling moved:", differ())
print("sgd iterations at first:", K.get_value(model.optimizer.iterations))
start, velocity = w, 0.0
for step in range(12):
    if step == 6:
        print("learning rate:", K.get_value(model.optimizer.lr))
        K.set_value(model.optimizer.lr, 0.02)
    model.train_on_batch(x, y)
    lr = (0.1 if step < 6 else 0.02) / (1 + 0.02 * step)
    velocity = 0.9 * velocity - lr * gradient(w)
    w = w + 0.9 * velocity - lr * gradient(w)
print("sgd moved:", np.abs(w - start).max())
print("sgd differs by:", differ())
print("sgd iterations:", K.get_value(model.optimizer.iterations))
print("momentum in the configuration:", model.optimizer.get_config()["momentum"])

model.compile(optimizer="adam", loss="mse")
print("default rate:", K.get_value(model.optimizer.lr))
print("rebuilt rate:", K.get_value(Adam.from_config(adam.get_config()).lr))
