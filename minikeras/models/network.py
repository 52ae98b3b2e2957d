"""Network: what all models are, whatever the graph of their layers."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NoReturn

from .. import checks, saving
from ..layers.absent import Absent
from ..layers.base import Layer
from ..layers.shapes import Shape
from ..onnx import export_onnx
from .graph import Graph
from .persistence import save_model
from .statistics import ModelStatistics, model_statistics
from .summary import print_summary
from .training import Trainer

_ORDER = "model.layers are in the order of computation, and layer.get_input_at(index) says what one is called on"
_STEPS = "there is no compiled graph: model.train_on_batch(x, y) and test_on_batch(x, y) take its place"


class LayerList(list[Layer]):
    """What ``model.layers`` gives: a list to read.

    ``pop()`` takes the last layer off the model itself, as scripts for Keras 2 do before they put others in its place;
    there, it changed the list and left the output as it was.

    Args:
        layers: Of the model.
        model: The model.
    """

    def __init__(self, layers: Iterable[Layer], model: Network) -> None:
        super().__init__(layers)
        self._model = model

    def __reduce__(self) -> tuple[type, tuple[list[Layer]]]:
        return list, (list(self),)

    def pop(self, index: Any = -1) -> Layer:
        """Take the last layer off the model, which then ends with what that layer was called on; return it.

        Raises:
            ValueError: If it isn't the last one, or alone doesn't make the model's output.
        """
        if not self or index not in (-1, len(self) - 1):
            raise ValueError(
                f"{self._model}: layers.pop() takes the last layer off a model; a part of a model is "
                f"Model(model.inputs, model.layers[i].output). Received: index={index!r} for {len(self)} layers"
            )
        self._model._take_off(self[-1])
        return super().pop()

    def _read_only(self, *arguments: Any, **keywords: Any) -> NoReturn:
        raise TypeError(
            f"{self._model}: model.layers follows from the graph and is only read, but for layers.pop(). "
            "list(model.layers) is a copy to change; other models are made by Model(inputs, outputs)"
        )

    append = extend = insert = remove = clear = reverse = sort = _read_only
    __setitem__ = __delitem__ = __iadd__ = __imul__ = _read_only


class Network(Trainer):
    """A layer made of named layers."""

    _masks_inside = True
    train_function = Absent(_STEPS)
    test_function = Absent(_STEPS)
    run_internal_graph = Absent("call the model on tensors: model(x)")
    to_yaml = Absent("YAML is not written here; model.to_json() holds the same, and model_from_json reads it")
    layers_by_depth = Absent(_ORDER)
    nodes_by_depth = Absent(_ORDER)
    _layers_by_depth = Absent(_ORDER)
    _nodes_by_depth = Absent(_ORDER)
    loss_functions = Absent("model.loss is what compile was given, and model.total_loss the whole loss as a tensor")
    input_layers = Absent("model.inputs are what they give")
    _input_layers = Absent("model.inputs are what they give")

    def _sublayers(self) -> Iterator[Layer]:
        return iter(self.layers)

    @property
    def layers(self) -> list[Layer]:
        """The layers, in order."""
        raise NotImplementedError

    @property
    def layer_shapes(self) -> list[Shape | None]:
        """The shape of each layer's output, with the batch axis; None where it isn't known yet."""
        raise NotImplementedError

    @property
    def stateful(self) -> bool:  # type: ignore[override]  # of a layer it is a constant
        """Whether a layer in it keeps a state from batch to batch."""
        return any(layer.stateful for layer in self.layers)

    @property
    def state_updates(self) -> list[Any]:
        """The updates of the layers that keep a state."""
        return [update for layer in self.layers if layer.stateful for update in layer.updates]

    def _connected(self) -> Graph | None:
        """How the layers are connected; None if nobody knows."""
        return None

    def _take_off(self, layer: Layer) -> None:
        """End with what the last layer was called on."""
        raise ValueError(f"{self}: it is a program, which no layer can be taken off. Received: {layer!r}")

    def _layer_sources(self) -> list[list[str]] | None:
        """What each layer is connected to; None if they just follow one another, or nobody knows."""
        return None

    def get_layer(self, name: str | None = None, index: int | None = None) -> Layer:
        """Find a layer by its name, or by its index in ``layers``.

        Raises:
            ValueError: If there is none, or neither is given.
        """
        if index is not None:
            if not isinstance(index, int) or not -len(self.layers) <= index < len(self.layers):
                raise ValueError(f"{self}: it has {len(self.layers)} layers. Received: index={index!r}")
            return self.layers[index]
        if name is None:
            raise ValueError(f"{self}: get_layer takes the name of a layer or an index. Received: neither")
        for layer in self.layers:
            if layer.name == name:
                return layer
        raise ValueError(
            f"{self}: there is no layer of that name, only {[layer.name for layer in self.layers]}. "
            f"Received: name={name!r}"
        )

    def summary(
        self,
        line_length: int | None = None,
        positions: Sequence[float] | None = None,
        print_fn: Callable[[str], object] | None = None,
        *,
        flops: bool = False,
        memory: bool = False,
        receptive_field: bool = False,
    ) -> None:
        """Print a table of the layers with their output shapes and numbers of parameters; for more, ask.

        Args:
            line_length: Width of the table; as wide as its content if None.
            positions: Where the columns end: shares of the width, or characters if the last is larger than 1. There
                are three, one more for what each layer is connected to unless the layers just follow one another, and
                one for each further column.
            print_fn: Called with each line instead of ``print``.
            flops: Whether there is a column of the floating-point operations for one sample.
            memory: Whether there is a column of the memory that the outputs take for one sample.
            receptive_field: Whether there are columns of the receptive field, that is how many places of the input
                along each axis of space an output depends on, and of the jump, how many places of the input lie
                between neighbours.

        What isn't known, such as the operations of a Lambda layer, is shown as "?". `statistics` gives the numbers.
        """
        rows = zip(self.layers, self.layer_shapes, strict=True)
        columns = {"flops": flops, "memory": memory, "receptive_field": receptive_field}
        shown = [name for name, wanted in columns.items() if checks.flag(f"{self}: summary", name, wanted)]
        further = (shown, self.statistics()) if shown else None
        print_summary(str(self), rows, self, line_length, positions, print_fn, self._layer_sources(), further)

    def statistics(self, input_shape: Any = None) -> ModelStatistics:
        """Count for each layer the operations, the memory of its outputs and its receptive field, for one sample.

        Args:
            input_shape: Shape of the input with the batch axis, a list for several inputs, in place of one with free
                sizes; the model's own if None.

        Returns:
            `ModelStatistics`: ``flops`` and ``activation_bytes`` of the model, and by the name of a layer its
            `LayerStatistics`. What isn't known is None.

        Raises:
            ValueError: If the shape doesn't fit the model.

        Example:
            >>> from minikeras.layers import Conv2D
            >>> from minikeras.models import Sequential
            >>> model = Sequential([Conv2D(8, 3, strides=2, name="a", input_shape=(9, 9, 1)), Conv2D(8, 3, name="b")])
            >>> found = model.statistics()["b"]
            >>> found.flops, found.activation_bytes
            (4640, 128)
            >>> str(found.receptive_fields["a_input"])
            '7×7'
        """
        return model_statistics(self.layers, self._connected(), input_shape)

    def flops(self, input_shape: Any, output_shape: Any) -> int | None:
        """Those of all layers."""
        return self.statistics(input_shape).flops

    def save(self, filepath: str | os.PathLike[str], overwrite: bool = True, include_optimizer: bool = True) -> None:
        """Write the whole model to one file for `load_model`; see `models.save_model`.

        Args:
            filepath: Path that ends in ``.npz``; or in ``.keras`` for Keras 3, in ``.h5`` or ``.hdf5`` for Keras 2.
            overwrite: Whether to replace a file that is there.
            include_optimizer: Whether to write what belongs to training.

        Raises:
            RuntimeError: If the model isn't built.
            FileExistsError: If a file is there that must not be replaced.
            ValueError: If the path has another suffix, or the configuration can't be written.
        """
        save_model(self, filepath, overwrite, include_optimizer)

    def save_weights(self, filepath: str | os.PathLike[str], overwrite: bool = True) -> None:
        """Write all weights to one file, ``.npz``, ``.safetensors``, Keras 3's ``.weights.h5`` or Keras 2's ``.h5``.

        The file is written beside its place and moved there when complete, so that a crash leaves the old one whole.

        Args:
            filepath: Path that ends in ``.npz`` or ``.safetensors``; in ``.weights.h5`` for Keras 3; otherwise in
                ``.h5`` or ``.hdf5`` for Keras 2.
            overwrite: Whether to replace a file that is there.

        Raises:
            RuntimeError: If the model isn't built.
            FileExistsError: If a file is there that must not be replaced.
            ValueError: If the path has another suffix.
        """
        self._require_built("save_weights")
        saving.save_weights(filepath, saving.describe_weights(self.layers), overwrite)

    def load_weights(
        self,
        filepath: str | os.PathLike[str],
        by_name: bool = False,
        skip_mismatch: bool = False,
        reshape: bool = False,
    ) -> None:
        """Read the weights that `save_weights`, or Keras 2 or 3, has written.

        Layers with weights are matched in order, whatever their names (in Keras 3's files by their names if all are the
        same, else in the order of those of one class, as Keras 3 does); the names of weights and the shapes must agree.
        If anything doesn't, or the file is damaged, no weight is changed.

        Args:
            filepath: The file; also one of a whole model.
            by_name: Load the layers that have the same name in the file, and leave the others as they are.
            skip_mismatch: With ``by_name``, leave also weights as they are that have another shape in the file, and
                layers that have another number of weights; a warning lists them.
            reshape: Take an array of another shape if it has the right number of elements.

        Raises:
            RuntimeError: If the model isn't built.
            FileNotFoundError: If there is no such file.
            ModelFileError: If the file is damaged or belongs to another architecture; a ValueError.
        """
        self._require_built("load_weights")
        checks.path(f"{self}: load_weights", "filepath", filepath)
        for name, value in (("by_name", by_name), ("skip_mismatch", skip_mismatch), ("reshape", reshape)):
            checks.flag(f"{self}: load_weights", name, value)
        arrays = saving.load_weights(filepath, saving.describe_weights(self.layers), by_name, skip_mismatch, reshape)
        for weight, array in zip((weight for layer in self.layers for weight in layer.weights), arrays, strict=True):
            if array is not None:
                weight.assign(array)

    def export(self, filepath: str | os.PathLike[str], format: str = "onnx", opset_version: int = 17) -> None:
        """Write what the model predicts as an ONNX graph, which ONNX Runtime and others run without minikeras.

        The size of the batch is free where the model's is, and so are sizes of space. Inputs and outputs have the
        names and shapes that they have here; in between, "channels_last" images are transposed once, not in each layer.
        What acts in training only, such as Dropout, is left out. The file can't be read back: `save` is for that.

        Args:
            filepath: Path that ends in ``.onnx``; written whole or not at all, as by `save`.
            format: "onnx", as Keras 3 names it.
            opset_version: The version of ONNX's operations: 17, or newer as far as the installed onnx knows them.

        Raises:
            ImportError: If onnx isn't installed: the extra ``minikeras[onnx]``.
            RuntimeError: If the model isn't built.
            ValueError: For another suffix, format or version; if a layer is code (`Lambda`, a class or an activation
                of your own) or the weights take 2 GiB and more.
        """
        checks.choice(f"{self}: export", "format", format, ("onnx",))
        if not checks.path(f"{self}: export", "filepath", filepath).endswith(".onnx"):
            raise ValueError(f"{self}: export: filepath must end in '.onnx'. Received: {os.fspath(filepath)!r}")
        export_onnx(self, filepath, opset_version)

    def _require_built(self, use: str) -> None:
        if not self.built:
            raise RuntimeError(
                f"{self}: {use} needs a built model, as the weights are made when the input's shape is known. "
                "Give the first layer an input_shape, or call model.build((None, ...))"
            )
