"""Keras 2 scripts as they are: `install` makes ``import keras`` and Keras 2.2.4's module paths mean minikeras.

`MODULES` says which path stands for what, `LEFT_OUT` what to use instead of the rest. A path gives a stand-in module
that looks its names up in minikeras, so that ``keras.layers.Conv2D is minikeras.layers.Conv2D``. Nothing is written to
the disk, and `uninstall` leaves no trace.
"""

from __future__ import annotations

import difflib
import importlib
import os
import signal
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import CodeType, ModuleType, TracebackType
from typing import Any

from .registry import get_custom_objects

__all__ = ["LEFT_OUT", "MODULES", "install", "installed", "run_script", "uninstall"]

KERAS_VERSION = "2.2.4"

# Keras's path, then the modules of minikeras whose names it has, first come first served; "." is minikeras itself.
MODULES = {
    path: tuple(targets)
    for path, *targets in map(
        str.split,
        """
        keras                                   .
        keras.activations                       activations
        keras.backend                           backend
        keras.backend.common                    backend
        keras.backend.tensorflow_backend        backend
        keras.callbacks                         callbacks
        keras.constraints                       constraints
        keras.datasets                          datasets
        keras.datasets.boston_housing           datasets.boston_housing
        keras.datasets.cifar                    datasets.cifar
        keras.datasets.cifar10                  datasets.cifar10
        keras.datasets.cifar100                 datasets.cifar100
        keras.datasets.fashion_mnist            datasets.fashion_mnist
        keras.datasets.imdb                     datasets.imdb
        keras.datasets.mnist                    datasets.mnist
        keras.datasets.reuters                  datasets.reuters
        keras.engine                            layers models utils
        keras.engine.base_layer                 layers
        keras.engine.input_layer                layers
        keras.engine.network                    models layers utils
        keras.engine.saving                     models
        keras.engine.sequential                 models
        keras.engine.topology                   layers models utils
        keras.engine.training                   models layers
        keras.initializers                      initializers
        keras.layers                            layers
        keras.layers.advanced_activations       layers
        keras.layers.convolutional              layers
        keras.layers.core                       layers
        keras.layers.embeddings                 layers
        keras.layers.local                      layers
        keras.layers.merge                      layers
        keras.layers.noise                      layers
        keras.layers.normalization              layers
        keras.layers.pooling                    layers
        keras.layers.wrappers                   layers
        keras.losses                            losses
        keras.metrics                           metrics losses
        keras.models                            models layers
        keras.objectives                        losses
        keras.optimizers                        optimizers
        keras.preprocessing                     preprocessing
        keras.preprocessing.image               preprocessing.image
        keras.preprocessing.sequence            preprocessing.sequence
        keras.preprocessing.text                preprocessing.text
        keras.regularizers                      regularizers
        keras.utils                             utils
        keras.utils.conv_utils                  utils.conv_utils utils
        keras.utils.data_utils                  utils.data_utils utils
        keras.utils.generic_utils               utils.generic_utils utils
        keras.utils.io_utils                    utils.io_utils utils
        keras.utils.layer_utils                 utils.layer_utils utils
        keras.utils.multi_gpu_utils             utils
        keras.utils.np_utils                    utils.np_utils utils
        keras.utils.training_utils              utils
        keras.utils.vis_utils                   utils.vis_utils utils
        keras.wrappers                          wrappers
        keras.wrappers.scikit_learn             wrappers.scikit_learn
        keras_preprocessing                     preprocessing
        keras_preprocessing.image               preprocessing.image
        keras_preprocessing.sequence            preprocessing.sequence
        keras_preprocessing.text                preprocessing.text
        """.strip().splitlines(),
    )
}

_RECURRENT = (
    "there are no recurrent layers; Conv1D with padding='causal' and dilation_rate does sequences, PyTorch LSTMs"
)
_PRETRAINED = "there are no pretrained networks; torchvision.models and keras.applications of Keras 3 have them"
_ONE_BACKEND = "there is one backend, minikeras.backend; import keras.backend"

LEFT_OUT = {
    "keras.applications": _PRETRAINED,
    "keras.backend.cntk_backend": _ONE_BACKEND,
    "keras.backend.theano_backend": _ONE_BACKEND,
    "keras.layers.convolutional_recurrent": _RECURRENT,
    "keras.layers.cudnn_recurrent": _RECURRENT,
    "keras.layers.recurrent": _RECURRENT,
    "keras.legacy": "the layers take the argument names of Keras 1 by themselves; delete the decorators legacy_...",
    "keras.utils.test_utils": "numpy.testing and pytest have what tests need",
    "keras_applications": _PRETRAINED,
}

# Packages that live without Keras: a real one is preferred.
_INDEPENDENT = ("keras_preprocessing", "keras_applications")

_TF_KERAS = (
    "minikeras runs scripts written for Keras 2 (import keras), not for TensorFlow. Where the script uses tf.keras "
    "alone, import keras in its place."
)


class StandIn(ModuleType):
    """A module under one of Keras's names: it has the names of the modules of minikeras that it stands for."""

    _targets: tuple[ModuleType, ...] = ()

    def __getattr__(self, name: str) -> Any:
        if name == "__all__":
            return sorted({public for target in self._targets for public in _public_names(target)})
        if name.startswith("__"):
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        path = f"{self.__name__}.{name}"
        if path in MODULES or path in LEFT_OUT:
            return importlib.import_module(path)
        for target in self._targets:
            try:
                return getattr(target, name)
            except AttributeError as error:
                # `from keras.x import name` would replace the message of an AttributeError by its own
                if str(error) != f"module {target.__name__!r} has no attribute {name!r}":
                    raise ImportError(str(error), name=self.__name__) from None
        raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")

    def __setattr__(self, name: str, value: Any) -> None:
        """Set it here and not in minikeras; ``keras.losses.mine = mine`` makes the name known, as in Keras 2."""
        super().__setattr__(name, value)
        if callable(value) and any(hasattr(target, "deserialize") for target in self._targets):
            _finder.custom_objects.add(name)
            get_custom_objects()[name] = value

    def __dir__(self) -> list[str]:
        children = {path.rpartition(".")[2] for path in MODULES if path.rpartition(".")[0] == self.__name__}
        return sorted({*vars(self), *self.__all__, *children})

    def __reduce__(self) -> tuple[Any, ...]:
        if self.__name__.startswith("minikeras."):
            return importlib.import_module, (self.__name__,)
        return _import_installed, (self.__name__,)  # functions that use `keras` go to other processes


class KerasFinder(MetaPathFinder, Loader):
    """Finds and makes the stand-ins of the paths in `MODULES`."""

    def __init__(self) -> None:
        self.custom_objects: set[str] = set()

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return the spec of a stand-in, or None for what doesn't belong to Keras.

        Args:
            fullname: Dotted name of the module.
            path: Where its package is looked for; not used.
            target: Not used.

        Raises:
            ModuleNotFoundError: If minikeras doesn't have that part of Keras; says what to use instead.
        """
        root = fullname.partition(".")[0]
        if root not in ("keras", *_INDEPENDENT):
            return None
        if root in _INDEPENDENT and PathFinder.find_spec(root) is not None:
            return None
        if fullname not in MODULES:
            raise ModuleNotFoundError(_advice(fullname), name=fullname)
        return _spec(fullname)

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """Return a stand-in, empty as yet.

        Args:
            spec: What `find_spec` gave.
        """
        return StandIn(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """Let a stand-in find its names.

        Args:
            module: What `create_module` gave.
        """
        names = [f"minikeras.{name}".rstrip(".") for name in MODULES[_as_keras(module.__name__)]]
        targets = tuple(importlib.import_module(name) for name in names)
        vars(module).update(__file__=targets[0].__file__, __doc__=targets[0].__doc__, _targets=targets)
        if module.__name__ == "keras":
            vars(module).update(__version__=KERAS_VERSION)


_finder = KerasFinder()


def find_under_minikeras(fullname: str) -> ModuleSpec | None:
    """Return the spec of a stand-in for one of Keras's paths that begins with minikeras, as ``minikeras.engine``.

    It is asked for modules that minikeras doesn't have itself.

    Args:
        fullname: Dotted name of the module.

    Raises:
        ModuleNotFoundError: If that part of Keras is left out; says what to use instead.
    """
    path = _as_keras(fullname)
    if path in LEFT_OUT:
        raise ModuleNotFoundError(_advice(path), name=fullname)
    return _spec(fullname) if path in MODULES else None


def _as_keras(fullname: str) -> str:
    return f"keras.{fullname[len('minikeras.') :]}" if fullname.startswith("minikeras.") else fullname


def _spec(fullname: str) -> ModuleSpec:
    below = f"{_as_keras(fullname)}."
    return ModuleSpec(fullname, _finder, is_package=any(path.startswith(below) for path in (*MODULES, *LEFT_OUT)))


def install() -> None:
    """Let ``import keras`` mean minikeras from now on, in this process; for notebooks.

    A Keras that is installed beside it stays as it is and comes back after `uninstall`. Installing again does nothing.

    Raises:
        RuntimeError: If another Keras is already imported.

    Example:
        >>> import minikeras
        >>> install()
        >>> from keras.layers import Conv2D
        >>> Conv2D is minikeras.layers.Conv2D
        True
        >>> uninstall()
    """
    if _finder in sys.meta_path:
        return
    if "keras" in sys.modules:
        where = getattr(sys.modules["keras"], "__file__", "an unknown place")
        raise RuntimeError(
            f"keras is already imported, from {where}: what has been imported can't be replaced. Call "
            "minikeras.compat.install() before the first import of keras (in a notebook: restart the kernel)"
        )
    sys.meta_path.insert(0, _finder)


def uninstall() -> None:
    """Undo `install`: the next ``import keras`` finds what is on the disk. Without `install` it does nothing."""
    if _finder not in sys.meta_path:
        return
    sys.meta_path.remove(_finder)
    ours = [name for name, module in sys.modules.items() if isinstance(module, StandIn)]
    for name in [name for name in ours if not name.startswith("minikeras.")]:
        del sys.modules[name]
    for name in _finder.custom_objects:
        get_custom_objects().pop(name, None)
    _finder.custom_objects.clear()


@contextmanager
def installed() -> Iterator[None]:
    """Context in which ``import keras`` means minikeras.

    Raises:
        RuntimeError: If another Keras is already imported.

    Example:
        >>> with installed():
        ...     import keras
        >>> keras.__version__
        '2.2.4'
    """
    outermost = _finder not in sys.meta_path
    install()
    try:
        yield
    finally:
        if outermost:
            uninstall()


def run_script(path: str | os.PathLike[str], arguments: Sequence[str] = ()) -> int:
    """Run a Keras 2 script as ``python path arguments...`` would, with minikeras for Keras; once in a process.

    ``sys.argv``, ``sys.path``, ``__main__`` and ``__file__`` are the script's, also after its end, for what it left to
    be called at exit. Tracebacks begin in the script.

    Args:
        path: The script.
        arguments: Its command line.

    Returns:
        0; 1 after an exception, 130 after an interrupt, whose traceback is printed.

    Raises:
        OSError: If the script can't be read.
        SystemExit: If the script raises it.
        RuntimeError: If another Keras is already imported.
    """
    file = os.path.abspath(path)
    with open(file, "rb") as stream:
        source = stream.read()
    install()
    sys.argv = [os.fspath(path), *arguments]
    if not getattr(sys.flags, "safe_path", False):
        sys.path[0] = os.path.dirname(os.path.realpath(file))
    main = ModuleType("__main__")
    main.__file__ = file
    main.__loader__ = SourceFileLoader("__main__", file)
    vars(main).update(__builtins__=__builtins__)
    sys.modules["__main__"] = main
    try:
        code: CodeType = compile(source, file, "exec", dont_inherit=True)
        exec(code, vars(main))
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 (the script's own, reported as Python does)
        _report(error, file)
        return 128 + signal.SIGINT if isinstance(error, KeyboardInterrupt) else 1
    return 0


def _report(error: BaseException, file: str) -> None:
    """Print what Python prints of an uncaught exception, without the frames that led to the script."""
    trace: TracebackType | None = error.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename != file:
        trace = trace.tb_next
    error.__traceback__ = trace
    try:
        sys.excepthook(type(error), error, trace)
    except Exception:  # noqa: BLE001 (the script's own hook; its failure must not hide the error)
        traceback.print_exc()
        sys.__excepthook__(type(error), error, trace)
    if isinstance(error, ModuleNotFoundError) and (error.name or "").partition(".")[0] == "tensorflow":
        print(_TF_KERAS, file=sys.stderr)


def _advice(fullname: str) -> str:
    """What to say of a module that isn't there."""
    for path, advice in LEFT_OUT.items():
        if f"{fullname}.".startswith(f"{path}."):
            return f"{fullname} isn't part of minikeras: {advice}"
    close = difflib.get_close_matches(fullname, MODULES)
    hint = f" Did you mean {' or '.join(close)}?" if close else ""
    return f"No module named {fullname!r}: Keras {KERAS_VERSION} as minikeras has it has no such module.{hint}"


def _public_names(module: ModuleType) -> list[str]:
    listed = getattr(module, "__all__", None)
    if listed is not None:
        return list(listed)
    return [name for name, value in vars(module).items() if name[0] != "_" and not isinstance(value, ModuleType)]


def _import_installed(name: str) -> ModuleType:
    """A stand-in, in a process to which it was sent."""
    install()
    return importlib.import_module(name)
