"""The program that reads an HDF5 file for `hdf5.Hdf5Reader`, in a process of its own that can do nothing else.

libhdf5 is C code and may crash, hang or eat the memory on a malformed file. Here that is the end of this process and an
error message in the other one. After the imports the process may open no file, start no other and write to no disk; it
has little time and memory, and gets the open file as an object of Python, so that libhdf5 opens nothing by name.

It runs as a script, isolated, with the folders of NumPy and h5py as its only extra ones: ``hdf5_child.py FILE FOLDER
...``, and imports nothing of minikeras. If FILE is empty, a length (8 bytes) and the content of the file come from the
standard input. To the standard output go a length (8 bytes) and a description in JSON. Then,
for each path that comes as a line of JSON, either ``b"+"`` and the array's bytes, or ``b"-"``, a length and a message.
"""

from __future__ import annotations

import io
import json
import math
import os
import signal
import sys
from typing import Any, BinaryIO

WANTED = (
    "layer_names",
    "weight_names",
    "model_config",
    "training_config",
    "keras_version",
    "backend",
    "minikeras",
    "name",
)
MOST_OBJECTS = 50_000
MOST_NAMES = 100_000
DEEPEST = 32
LONGEST_TEXT = 2**24
BOMB = 200  # zeros, as in a new optimizer's state, compress by about as much in h5py's default chunks
MEMORY = 2**26
SECONDS = 1.0
BYTES_PER_SECOND = 2e6  # many small arrays in a small file take the longest


class Refused(Exception):
    """The file holds what no file of Keras holds."""


def describe(h5py: Any, file: Any, size: int) -> dict[str, Any]:
    """What is in an open file.

    Args:
        h5py: The module.
        file: An ``h5py.File``.
        size: Its length in bytes.

    Returns:
        ``{"attributes": {path of a group: {name: text or list of texts}}, "datasets": {path: [shape, dtype]}}``; the
        path of the root is empty.

    Raises:
        Refused: If there is something in it that isn't groups and arrays of numbers.
    """
    attributes: dict[str, Any] = {}
    datasets: dict[str, Any] = {}
    stored = count = 0
    pending = [("", file.id, 0)]
    while pending:
        path, group, depth = pending.pop()
        attributes[path] = _attributes(h5py, path, group)
        if depth == DEEPEST:
            raise Refused(f"its groups are nested deeper than {DEEPEST}")
        inside = []
        for name in group:
            count += 1
            if count > MOST_OBJECTS:
                raise Refused(f"it holds more than {MOST_OBJECTS} objects")
            place = f"{path}/{name.decode('utf-8')}".lstrip("/")
            _check_link(h5py, group, name, place)
            found = h5py.h5o.open(group, name)
            if isinstance(found, h5py.h5g.GroupID):
                inside.append((place, found, depth + 1))
            elif isinstance(found, h5py.h5d.DatasetID):
                shape, dtype, taken = _dataset(h5py, place, found)
                stored += taken
                datasets[place] = [shape, dtype.str]
            else:
                raise Refused(f"{place!r} is neither a group nor an array")
        pending += reversed(inside)
    if stored > size:
        raise Refused(f"its arrays take {stored} bytes, more than the {size} of the file: they overlap")
    return {"attributes": attributes, "datasets": datasets}


def _check_link(h5py: Any, group: Any, name: bytes, place: str) -> None:
    kind = group.links.get_info(name).type
    if kind != h5py.h5l.TYPE_HARD:
        words = {h5py.h5l.TYPE_SOFT: "a soft link", h5py.h5l.TYPE_EXTERNAL: "an external link to another file"}
        raise Refused(f"{place!r} is {words.get(kind, 'a link of an unknown kind')}")


def _dataset(h5py: Any, place: str, dataset: Any) -> tuple[list[int], Any, int]:
    """The shape and dtype of an array, and how many bytes it takes in the file."""
    dtype = _number_type(h5py, place, dataset.get_type())
    if dataset.get_space().get_simple_extent_type() == h5py.h5s.NULL:
        raise Refused(f"{place!r} is an array without a shape")
    shape = [int(n) for n in dataset.shape]
    size, taken = math.prod(shape) * dtype.itemsize, int(dataset.get_storage_size())
    plan = dataset.get_create_plist()
    layout = plan.get_layout()
    if layout == h5py.h5d.VIRTUAL:
        raise Refused(f"{place!r} is a virtual dataset, put together from other files")
    if plan.get_external_count():
        raise Refused(f"{place!r} has its data in another file (external storage)")
    known = {h5py.h5z.FILTER_DEFLATE, h5py.h5z.FILTER_SHUFFLE, h5py.h5z.FILTER_FLETCHER32}
    for index in range(plan.get_nfilters()):
        if (code := plan.get_filter(index)[0]) not in known:
            raise Refused(f"{place!r} is compressed by the filter {code}, which Keras doesn't use")
    if layout == h5py.h5d.CHUNKED:
        chunk = math.prod(int(n) for n in plan.get_chunk()) * dtype.itemsize
        if max(size, chunk) > BOMB * taken + 2**20:
            raise Refused(f"{place!r} has the shape {tuple(shape)}, out of {taken} bytes: a compression bomb")
    elif size != taken:
        raise Refused(f"{place!r} has the shape {tuple(shape)}, and {taken} bytes of data instead of {size}")
    return shape, dtype, taken


def _number_type(h5py: Any, place: str, kind: Any) -> Any:
    words = {
        h5py.h5t.STRING: "text",
        h5py.h5t.REFERENCE: "object references",
        h5py.h5t.VLEN: "arrays of variable length",
        h5py.h5t.COMPOUND: "compound values",
        h5py.h5t.OPAQUE: "opaque data",
    }
    if (number := kind.get_class()) not in (h5py.h5t.INTEGER, h5py.h5t.FLOAT):
        raise Refused(f"{place!r} holds {words.get(number, 'values of an unexpected kind')} instead of numbers")
    dtype = kind.dtype
    if dtype.kind not in "fiu" or dtype.itemsize > 8:
        raise Refused(f"{place!r} holds {dtype}, which is no weight's type")
    return dtype.newbyteorder("<")


def _attributes(h5py: Any, path: str, group: Any) -> dict[str, Any]:
    """The attributes of a group that Keras writes; others are not read."""
    if h5py.h5a.get_num_attrs(group) > MOST_NAMES:
        raise Refused(f"{path or 'its root'!r} has more than {MOST_NAMES} attributes")
    names: list[bytes] = []
    h5py.h5a.iterate(group, names.append)
    wanted = [name.decode("utf-8") for name in names if name.decode("utf-8", "replace").rstrip("0123456789") in WANTED]
    return {name: _text(h5py, f"{path}@{name}", h5py.h5a.open(group, name.encode())) for name in wanted}


def _text(h5py: Any, place: str, attribute: Any) -> Any:
    """Text, or a list of texts."""
    space = attribute.get_space()
    shape = tuple(attribute.shape)
    if space.get_simple_extent_type() == h5py.h5s.NULL or shape == (0,):  # what NumPy makes of no names
        return []
    kind = attribute.get_type()
    if kind.get_class() != h5py.h5t.STRING:
        words = {h5py.h5t.REFERENCE: "object references", h5py.h5t.VLEN: "arrays of variable length"}
        raise Refused(f"the attribute {place!r} holds {words.get(kind.get_class(), 'numbers')} instead of text")
    if len(shape) > 1 or math.prod(shape) > MOST_NAMES or attribute.get_storage_size() > LONGEST_TEXT:
        raise Refused(f"the attribute {place!r} has the shape {shape}, which is too large")
    import numpy as np

    values = np.empty(shape, attribute.dtype)
    attribute.read(values)
    texts = [value if isinstance(value, str) else bytes(value).decode("utf-8") for value in values.ravel().tolist()]
    return texts if shape else texts[0]


def serve(h5py: Any, file: Any, datasets: dict[str, Any], requests: BinaryIO, answers: BinaryIO) -> None:
    """Send each array that is asked for."""
    import numpy as np

    for line in requests:
        try:
            path = json.loads(line)
            shape, dtype = datasets[path]
            array = np.empty(shape, dtype)
            if array.size:
                h5py.h5d.open(file.id, path.encode()).read(h5py.h5s.ALL, h5py.h5s.ALL, array)
        except Exception as error:  # noqa: BLE001 (whatever h5py raises is a message of this file)
            message = _message(error)
            answers.write(b"-" + len(message).to_bytes(8, "little") + message)
        else:
            answers.write(b"+")
            answers.write(memoryview(array.reshape(-1)).cast("B") if array.size else b"")
        answers.flush()


def limit(size: int) -> None:
    """Give up what reading a file of this size doesn't need."""
    try:
        import resource
    except ImportError:  # Windows has none of this; a crash is still the end of this process only
        return
    for name in ("RLIMIT_NOFILE", "RLIMIT_NPROC", "RLIMIT_FSIZE", "RLIMIT_CORE"):
        if hasattr(resource, name):
            resource.setrlimit(getattr(resource, name), (0, 0))
    signal.setitimer(signal.ITIMER_PROF, SECONDS + size / BYTES_PER_SECOND)


def limit_memory(size: int) -> None:
    """Let the process grow by so much as a file of this size needs; must come before `limit`."""
    try:
        import resource

        with open("/proc/self/statm", encoding="ascii") as file:
            own = int(file.read().split()[0]) * resource.getpagesize()
    except (ImportError, OSError):
        return  # only Linux says how large the process is, and keeps to the limit
    most = own + MEMORY + 4 * size
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


def _message(error: Exception) -> bytes:
    text = str(error) if isinstance(error, Refused) else f"{type(error).__name__}: {error}"
    return " ".join(text.split())[:500].encode("utf-8", "replace")


def main() -> None:
    """Describe the file that the command line names, then serve its arrays."""
    path, *folders = sys.argv[1:]
    sys.path += folders
    import h5py

    requests, answers = sys.stdin.buffer, sys.stdout.buffer
    size = os.path.getsize(path) if path else int.from_bytes(requests.read(8), "little")
    with open(path, "rb", buffering=0) if path else io.BytesIO(requests.read(size)) as data:
        limit_memory(size)
        limit(size)
        try:
            file = h5py.File(data, "r")
            found = describe(h5py, file, size)
        except Exception as error:  # noqa: BLE001
            found, file = {"error": _message(error).decode()}, None
        text = json.dumps(found).encode()
        answers.write(len(text).to_bytes(8, "little") + text)
        answers.flush()
        if file is not None:
            serve(h5py, file, found["datasets"], requests, answers)
        os._exit(0)  # nothing is to be saved, and closing a damaged file is one more thing that can crash


if __name__ == "__main__":
    main()
