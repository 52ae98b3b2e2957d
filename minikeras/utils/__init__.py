"""Helpers around a model, by Keras's module paths.

Labels and arrays (`np_utils`), downloads and prepared batches (`data_utils`), custom objects and bars of progress
(`generic_utils`, `progress`), safe unpacking (`archives`), pictures (`vis_utils`) and tables (`layer_utils`) of models.
"""

from __future__ import annotations

from . import conv_utils, data_utils, generic_utils, io_utils, layer_utils, np_utils, progress, vis_utils
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
from .layer_utils import print_summary
from .left_out import left_out
from .np_utils import normalize, to_categorical
from .vis_utils import model_to_dot, plot_model

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
    "layer_utils",
    "model_to_dot",
    "normalize",
    "np_utils",
    "plot_model",
    "print_summary",
    "progress",
    "serialize_keras_object",
    "to_categorical",
    "vis_utils",
]

__getattr__ = left_out(
    __name__,
    {
        "HDF5Matrix": io_utils.HDF5_ADVICE,
        "h5dict": "open the file by h5py.File",
        "count_params": "it is minikeras.utils.layer_utils.count_params",
        "get_source_inputs": "it is minikeras.utils.layer_utils.get_source_inputs",
        "multi_gpu_model": "it computes on the CPU, with all its cores as it is; leave the call out",
        "convert_all_kernels_in_model": "it turned the kernels of Theano's models, which aren't read here",
    },
)
