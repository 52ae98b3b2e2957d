"""minikeras: a small deep-learning framework on NumPy with Keras's manners."""

__version__ = "0.1.0"
