"""Helpers around a model, by Keras's module paths.

Labels and arrays (`np_utils`), downloads and prepared batches (`data_utils`), custom objects and bars of progress
(`generic_utils`, `progress`), and safe unpacking (`archives`).
"""

from __future__ import annotations

from . import conv_utils, data_utils, generic_utils, io_utils, np_utils, progress
from .data_utils import GeneratorEnqueuer, OrderedEnqueuer, Sequence, get_file
from .flat_parameters import FlatParameters
from .generic_utils import (
    CustomObjectScope,
    Progbar,
    custom_object_scope,
    deserialize_keras_object,
    get_custom_objects,
    serialize_keras_object,
)
from .left_out import left_out
from .np_utils import normalize, to_categorical

__all__ = [
    "CustomObjectScope",
    "FlatParameters",
    "GeneratorEnqueuer",
    "OrderedEnqueuer",
    "Progbar",
    "Sequence",
    "conv_utils",
    "custom_object_scope",
    "data_utils",
    "deserialize_keras_object",
    "generic_utils",
    "get_custom_objects",
    "get_file",
    "io_utils",
    "normalize",
    "np_utils",
    "progress",
    "serialize_keras_object",
    "to_categorical",
]

__getattr__ = left_out(
    __name__,
    {
        "HDF5Matrix": io_utils.HDF5_ADVICE,
        "h5dict": "open the file by h5py.File",
        "plot_model": "pictures of graphs aren't built yet; model.summary() shows what is connected to what",
        "model_to_dot": "pictures of graphs aren't built yet; model.summary() shows what is connected to what",
        "print_summary": "call model.summary()",
        "count_params": "model.count_params() and layer.count_params() count",
        "get_source_inputs": "it isn't built yet; model.inputs are the inputs of a model",
        "multi_gpu_model": "it computes on the CPU, with all its cores as it is; leave the call out",
        "convert_all_kernels_in_model": "it turned the kernels of Theano's models, which aren't read here",
    },
)
