"""The graph of a model in Keras 2 scripts: losses that read inner tensors, training by K.function, attention."""

import numpy as np
from keras import backend as K
from keras import initializers, optimizers
from keras.engine.topology import Layer
from keras.layers import Dense, Embedding, Input, Lambda
from keras.models import Model, Sequential, clone_model

np.random.seed(4)
x = np.random.normal(size=(32, 5)).astype("float32")

# A variational autoencoder as of Keras 2.0: its loss is a function that reads the mean and the spread.
inputs = Input(shape=(5,))
z_mean = Dense(2, name="mean")(inputs)
z_log_var = Dense(2, name="spread")(inputs)


def sampling(args):
    mean, log_var = args
    return mean + K.exp(log_var / 2) * K.random_normal(shape=(K.shape(mean)[0], 2), mean=0.0, stddev=1e-4)


outputs = Dense(5, name="decoded")(Lambda(sampling, output_shape=(2,))([z_mean, z_log_var]))
vae = Model(inputs, outputs)


def vae_loss(y_true, y_pred):
    kl = -0.5 * K.mean(1 + z_log_var - K.square(z_mean) - K.exp(z_log_var), axis=-1)
    return K.mean(K.square(y_true - y_pred), axis=-1) + kl


vae.compile("adam", loss=vae_loss)
m, s = Model(inputs, [z_mean, z_log_var]).predict(x)
decoded = vae.predict(x)
kl = -0.5 * (1 + s - m**2 - np.exp(s)).mean(axis=-1)
print("vae by hand:", float((((x - decoded) ** 2).mean(axis=-1) + kl).mean()))
before = vae.evaluate(x, x, verbose=0)
print("vae:", before)
vae.fit(x, x, epochs=40, batch_size=16, shuffle=True, verbose=0)
print("vae falls to:", vae.evaluate(x, x, verbose=0) / before)

# The gradients of training, and training itself, by K.function.
y = x[:, :1] * 2
model = Sequential([Dense(4, activation="tanh", input_dim=5), Dense(1)])
model.compile(optimizers.SGD(lr=0.1), "mse")
twin = clone_model(model)
twin.set_weights(model.get_weights())
twin.compile(optimizers.SGD(lr=0.1), "mse")
grads = model.optimizer.get_gradients(model.total_loss, model.trainable_weights)
symbols = [model.inputs[0], model.sample_weights[0], model.targets[0], K.learning_phase()]
get_gradients = K.function(inputs=symbols, outputs=grads)
weights = model.get_weights()
found = get_gradients([x, np.ones(32), y, 0])
updates = model.optimizer.get_updates(params=model.trainable_weights, loss=model.total_loss)
step = K.function(symbols, [model.total_loss], updates=updates + model.updates)
(loss,) = step([x, np.ones(32), y, 1])
print("loss of a step:", float(loss))
print("loss of train_on_batch:", float(twin.train_on_batch(x, y)))
differences = [np.abs(w - 0.1 * g - now).max() for w, g, now in zip(weights, found, model.get_weights())]
print("gradient step differs by:", float(max(differences)))
differences = [np.abs(a - b).max() for a, b in zip(twin.get_weights(), model.get_weights())]
print("train_on_batch differs by:", float(max(differences)))


# Attention over words, its weights made in the order of Keras 1.
class Attention(Layer):
    def __init__(self, **kwargs):
        self.supports_masking = True
        self.init = initializers.get("glorot_uniform")
        super(Attention, self).__init__(**kwargs)

    def build(self, input_shape):
        self.W = self.add_weight((input_shape[-1], 1), initializer=self.init, name=self.name + "_W")
        self.built = True

    def compute_mask(self, input, input_mask=None):
        return None

    def call(self, x, mask=None):
        a = K.exp(K.tanh(K.squeeze(K.dot(x, self.W), -1)))
        if mask is not None:
            a *= K.cast(mask, K.floatx())
        a /= K.sum(a, axis=1, keepdims=True)
        return K.sum(x * K.expand_dims(a), axis=1)

    def compute_output_shape(self, input_shape):
        return input_shape[0], input_shape[-1]


words = Input(shape=(6,), dtype="int32")
embedded = Embedding(20, 3, mask_zero=True)(words)
reader = Model(words, Attention()(embedded))
numbers = np.random.randint(0, 20, (8, 6))
numbers[:, 0] = 7
table, w = reader.get_weights()
vectors = table[numbers]
scores = np.exp(np.tanh((vectors @ w)[..., 0])) * (numbers != 0)
by_hand = (vectors * (scores / scores.sum(axis=1, keepdims=True))[..., None]).sum(axis=1)
print("attention differs by:", float(np.abs(reader.predict(numbers) - by_hand).max()))
print("axes of the embedding:", embedded._keras_shape[-1])

# A variable as an input of a model.
fixed, free = Input(tensor=K.variable(x)), Input(shape=(5,))
summed = Model([fixed, free], Lambda(lambda both: both[0] + 2 * both[1])([fixed, free]))
print("tensor as input differs by:", float(np.abs(summed.predict(x) - 3 * x).max()))
