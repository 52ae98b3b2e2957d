"""What a layer knows of its calls on symbolic tensors: Keras's inbound nodes."""

from __future__ import annotations

from typing import Any

from ..core.symbolic import Call
from .shapes import as_list, masks_of, shapes_of, single


class Recorded:
    """Mixin: the calls of a layer on symbolic tensors, in order, and the properties that show them.

    A layer that was called once has `input`, `output`, `input_shape`, `output_shape`, `input_mask` and `output_mask`;
    one that was called several times has one of each for every call, by ``get_input_at(index)`` and its like.
    """

    _nodes: list[Call]

    # ------------------------------------------------------------------ one of several calls

    def get_input_at(self, node_index: int) -> Any:
        """Return the symbolic input, or the list of them, of the call with this index.

        Raises:
            RuntimeError: If the layer was never called on symbolic tensors.
            ValueError: If there were fewer calls.
        """
        return _inputs(self._node_at(node_index, "input"))

    def get_output_at(self, node_index: int) -> Any:
        """Return the symbolic output, or the list of them, of the call with this index; see `get_input_at`."""
        return _outputs(self._node_at(node_index, "output"))

    def get_input_shape_at(self, node_index: int) -> Any:
        """Return the shape of the input, or the list of several, of the call with this index; see `get_input_at`."""
        return shapes_of(_inputs(self._node_at(node_index, "input shape")))

    def get_output_shape_at(self, node_index: int) -> Any:
        """Return the shape of the output, or the list of several, of the call with this index; see `get_input_at`."""
        return shapes_of(_outputs(self._node_at(node_index, "output shape")))

    def get_input_mask_at(self, node_index: int) -> Any:
        """Return the mask of the input, or the list of several, of the call with this index; see `get_input_at`."""
        return masks_of(_inputs(self._node_at(node_index, "input mask")))

    def get_output_mask_at(self, node_index: int) -> Any:
        """Return the mask of the output, or the list of several, of the call with this index; see `get_input_at`."""
        return masks_of(_outputs(self._node_at(node_index, "output mask")))

    # ------------------------------------------------------------------ the only call

    @property
    def input(self) -> Any:
        """The symbolic input of the layer's only call on symbolic tensors, or the list of them.

        Raises:
            AttributeError: If it was called several times or never.
        """
        return _inputs(self._only_node("input"))

    @property
    def output(self) -> Any:
        """The symbolic output of the layer's only call on symbolic tensors, or the list of them; see `input`."""
        return _outputs(self._only_node("output"))

    @property
    def input_mask(self) -> Any:
        """The mask of the input of the layer's only call; see `input`."""
        return masks_of(_inputs(self._only_node("input mask")))

    @property
    def output_mask(self) -> Any:
        """The mask of the output of the layer's only call; see `input`."""
        return masks_of(_outputs(self._only_node("output mask")))

    @property
    def input_shape(self) -> Any:
        """The shape of the input, or the list of several, batch axis included.

        Raises:
            AttributeError: If the layer was never called on symbolic tensors, or on different shapes.
        """
        return self._only_shape("input", [shapes_of(_inputs(node)) for node in self._nodes])

    @property
    def output_shape(self) -> Any:
        """The shape of the output, or the list of several, batch axis included; see `input_shape`."""
        return self._only_shape("output", [shapes_of(_outputs(node)) for node in self._nodes])

    # ------------------------------------------------------------------ helpers

    def _node_at(self, index: int, what: str) -> Call:
        if not self._nodes:
            raise RuntimeError(
                f"{self} has never been called on symbolic tensors, so it has no {what}: call it on an Input"
            )
        if isinstance(index, bool) or not isinstance(index, int) or not 0 <= index < len(self._nodes):
            raise ValueError(
                f"{self}: there is no {what} at node {index!r}: the layer has {len(self._nodes)} inbound nodes, one "
                f"for each call on symbolic tensors. Received: node_index={index!r}"
            )
        return self._nodes[index]

    def _only_node(self, what: str) -> Call:
        if not self._nodes:
            raise AttributeError(f"{self} is not connected: it has no {what} before it is called on an Input")
        if len(self._nodes) > 1:
            raise AttributeError(
                f"{self} has {len(self._nodes)} inbound nodes, so which {what} is meant isn't clear: use "
                f"get_{what.replace(' ', '_')}_at(node_index)"
            )
        return self._nodes[0]

    def _only_shape(self, what: str, shapes: list[Any]) -> Any:
        if not shapes:
            raise AttributeError(
                f"{self} has never been called on symbolic tensors, so its {what} shape is not defined: call it on an "
                "Input"
            )
        if any(shape != shapes[0] for shape in shapes):
            raise AttributeError(
                f"{self} has {len(shapes)} inbound nodes with different {what} shapes {shapes}: use "
                f"get_{what}_shape_at(node_index)"
            )
        return shapes[0]


def _inputs(node: Call) -> Any:
    """What the layer was called on: a tensor, or a list of several; an input of a model stands for itself."""
    return single(as_list(node.inputs[0])) if node.inputs else _outputs(node)


def _outputs(node: Call) -> Any:
    return single(node.outputs)
