"""Callbacks together: what they did, against what the history says that they should have done."""

import csv
import os
import tempfile

import numpy as np
from keras import callbacks
from keras.layers import Dense
from keras.models import Sequential, load_model
from keras.optimizers import Adam

np.random.seed(5)
x, y = np.random.randn(60, 6), np.random.randn(60, 1)  # noise: it can only be overfitted
folder = tempfile.mkdtemp()
best, log = os.path.join(folder, "best.npz"), os.path.join(folder, "log.csv")
batches = []


def schedule(epoch, lr):
    return 0.05 if epoch < 2 else lr


model = Sequential([Dense(30, activation="relu", input_dim=6), Dense(1)])
model.compile(optimizer=Adam(lr=0.001), loss="mean_squared_error")
stopping = callbacks.EarlyStopping(monitor="val_loss", patience=6, restore_best_weights=True)
used = [
    callbacks.LearningRateScheduler(schedule),
    callbacks.ReduceLROnPlateau(monitor="val_loss", factor=0.5, patience=2, min_lr=1e-4, min_delta=0),
    callbacks.ModelCheckpoint(best, monitor="val_loss", save_best_only=True),
    stopping,
    callbacks.LambdaCallback(on_batch_end=lambda batch, logs: batches.append(logs["size"])),
    callbacks.CSVLogger(log),
]
history = model.fit(x, y, epochs=60, batch_size=8, validation_split=0.5, verbose=0, callbacks=used).history

losses = history["val_loss"]
print("epochs:", len(losses))
print("epochs by hand:", np.argmin(losses) + 1 + 6)
print("stopped_epoch:", stopping.stopped_epoch)
print("batch sizes:", batches[:4])
print("batches:", len(batches))
rates, rate, waited = [], 0.001, 0
for epoch, loss in enumerate(losses):
    rate = schedule(epoch, rate)
    rates.append(rate)
    waited = 0 if loss == min(losses[: epoch + 1]) else waited + 1
    if waited >= 2:
        rate, waited = max(rate * 0.5, 1e-4), 0
print("rates:", len(set(rates)))
print("rates differ by:", np.abs(np.array(history["lr"]) - rates).max())
rows = list(csv.DictReader(open(log)))
print("columns:", " ".join(rows[0]))
print("log differs by:", max(abs(float(row["val_loss"]) - loss) for row, loss in zip(rows, losses)))
print("lowest val_loss:", min(losses))
print("restored:", model.evaluate(x[30:], y[30:], verbose=0))
print("checkpoint:", load_model(best).evaluate(x[30:], y[30:], verbose=0))
