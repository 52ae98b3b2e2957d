"""Cross-validation by hand and by scikit-learn's wrapper, against linear least squares on the same folds."""

import numpy as np
from keras import backend as K
from keras.layers import Dense
from keras.models import Sequential
from keras.optimizers import SGD, Adam
from keras.wrappers.scikit_learn import KerasClassifier, KerasRegressor
from sklearn.model_selection import GridSearchCV, KFold, StratifiedKFold, cross_val_score
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

seed = 7
np.random.seed(seed)
X = np.random.randn(60, 3)
Y = np.dot(X, [1.0, -2.0, 3.0]) + 0.5 + 0.2 * np.random.randn(60)


def linear():
    model = Sequential()
    model.add(Dense(1, input_dim=3, kernel_initializer="normal"))
    model.compile(loss="mean_squared_error", optimizer=SGD(lr=0.2))
    return model


def classifier(units=8):
    model = Sequential()
    model.add(Dense(units, input_dim=3, activation="relu"))
    model.add(Dense(1, activation="sigmoid"))
    model.compile(loss="binary_crossentropy", optimizer=Adam(lr=0.05), metrics=["accuracy"])
    return model


kfold = KFold(n_splits=4, shuffle=True, random_state=seed)
regressor = KerasRegressor(build_fn=linear, epochs=80, batch_size=45, verbose=0)
scores = cross_val_score(regressor, X, Y, cv=kfold, scoring="neg_mean_squared_error")
for fold, (train, test) in enumerate(kfold.split(X, Y)):
    K.clear_session()
    model = linear()
    model.fit(X[train], Y[train], epochs=80, batch_size=45, verbose=0)
    extended = np.c_[X, np.ones(60)]
    solution = np.linalg.lstsq(extended[train], Y[train], rcond=None)[0]
    print("fold %d by hand:" % fold, model.evaluate(X[test], Y[test], verbose=0))
    print("fold %d wrapped:" % fold, -scores[fold])
    print("fold %d least squares:" % fold, np.mean((np.dot(extended[test], solution) - Y[test]) ** 2))
print("name after clear_session:", model.layers[0].name)

labels = np.where(Y > 0.5, "high", "low")
wrapped = KerasClassifier(build_fn=classifier, epochs=40, batch_size=20, verbose=0)
pipeline = Pipeline([("standardize", StandardScaler()), ("mlp", wrapped)])
folds = StratifiedKFold(n_splits=3, shuffle=True, random_state=seed)
accuracies = cross_val_score(pipeline, X, labels, cv=folds)
print("folds: %d" % len(accuracies))
print("accuracy: %.4f" % accuracies.mean())
grid = GridSearchCV(estimator=wrapped, param_grid={"epochs": [1, 40], "units": [8]}, cv=folds).fit(X, labels)
print("best epochs: %(epochs)d" % grid.best_params_)
print("classes: %s" % " ".join(grid.best_estimator_.classes_))
