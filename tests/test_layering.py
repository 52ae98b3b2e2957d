"""Imports go down only: a module imports only what stands before it in `HOUSE`.

One order for all modules, so there can be no cycle either. Imports under `if TYPE_CHECKING:` count as well, since what
a module knows by type it knows, but they may look ahead inside their own package: the tape holds Tensors. The one other
exception is `minikeras/__init__.py`, whose `__getattr__` loads namespaces late.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import minikeras

# A package's own name stands for its __init__.py.
HOUSE = """
    core.threads core.memory core.tiers core.config core.random core.hooks core.tape core.tensor core.primitive
    core.symbolic core
    kernels.geometry kernels.blocks kernels.product kernels.reduction kernels.activation kernels.epilogue
    kernels.depthwise kernels.winograd kernels.lowering kernels.shifted kernels.conv kernels.gradients
    kernels.resize kernels.pool kernels.normalization kernels.steps kernels.squashing kernels.entropy
    kernels.compiled.lazy kernels.compiled.kinds
    kernels.compiled.stored kernels.compiled.calls kernels.compiled.runtime kernels.compiled.jit
    kernels.compiled.vectors kernels.compiled.packing kernels.compiled.sharing
    kernels.compiled.exponential kernels.compiled.entropy kernels.compiled.axes
    kernels.compiled.product kernels.compiled.matmul kernels.compiled.wide kernels.compiled.edges kernels.compiled.plan
    kernels.compiled.indirect kernels.compiled.winograd kernels.compiled.prepared kernels.compiled.activation
    kernels.compiled.reduction kernels.compiled.conv
    kernels.compiled.runs kernels.compiled.pool kernels.compiled.steps
    kernels.compiled.normalization kernels.compiled.resize kernels.compiled.squashing kernels.compiled kernels

    ops.elementwise ops.shape ops.reduce ops.epilogue ops.linalg ops.windows ops.conv ops.pool ops.resize ops.nn
    ops.interop ops
    transforms

    checks registry
    activations initializers regularizers constraints losses metrics
    optimizers.clipping optimizers.hyperparameter optimizers.symbolic_steps optimizers.base optimizers.sgd
    optimizers.adagrad optimizers.adam optimizers.scipy_optimizer optimizers

    layers.naming layers.shapes layers.measures layers.context layers.observers layers.recording layers.absent
    layers.attached layers.base layers.spatial layers.input layers.core layers.conv layers.conv_transpose
    layers.separable layers.cropping layers.padding layers.upsampling layers.pooling layers.normalization
    layers.activation layers.merge
    layers.noise layers.masking layers.lambda_layer layers.local layers.embedding layers.catalog layers.wrappers
    layers.legacy
    layers
    backend.settings backend.recording backend.randomness backend.variables backend.session backend.control backend.math
    backend.shaping backend.nn backend.convolution backend.local backend.left_out backend

    debug.looking debug.finite debug.origin debug.anomaly debug.tables debug.tape debug.gradients debug.counting
    debug.profile_report debug.profiler debug
    saving.errors saving.atomic saving.archive saving.npy saving.npz saving.keras3_places saving.matching
    saving.hdf5_child saving.configurations saving.states saving.hdf5 saving.keras1 saving.keras2 saving.keras3_weights
    saving.safetensors saving.keras3_config saving.keras3_optimizers saving.keras3_compile
    saving.sharing saving.tf_keras saving.keras3
    saving.keras2_config saving.weights saving.model saving
    utils.left_out utils.conv_utils utils.np_utils utils.progress utils.progbar utils.generic_utils utils.io_utils
    utils.archives utils.download utils.sequence utils.attributes utils.passes utils.enqueuer utils.data_utils
    utils.flat_parameters utils.layer_utils utils.diagram utils.layered_layout utils.svg utils.vis_utils utils
    datasets.digits datasets.pickled datasets.npz datasets.cifar datasets.words datasets.boston_housing datasets.cifar10
    datasets.cifar100 datasets.fashion_mnist datasets.imdb datasets.mnist datasets.reuters datasets
    preprocessing.sequence preprocessing.text preprocessing.image.files preprocessing.image.affine
    preprocessing.image.iterators preprocessing.image.generator preprocessing.image preprocessing
    callbacks.base callbacks.loggers callbacks.monitor callbacks.learning_rate callbacks.nonfinite callbacks.tensorboard
    callbacks.backup callbacks

    onnx.values onnx.writer onnx.converters onnx.functions onnx.convolution onnx.space onnx.shapes onnx.merge
    onnx.operations onnx.models onnx.export onnx

    models.legacy models.data models.captures models.objective models.recorded models.compilation models.surface
    models.feeding models.streams models.run models.loops models.generators models.full_batch models.training
    models.graph models.receptive models.statistics models.summary models.persistence models.network
    models.graph_training models.configuration
    models.functional models.sequential models.cloning models.torch_order models.torch_layout models.torch_state
    models
    plot
    gradcheck.arrays gradcheck.subject gradcheck.differences gradcheck.prepared gradcheck.examine gradcheck.views
    gradcheck.wording gradcheck.patterns gradcheck.verdict gradcheck.drawing gradcheck.report gradcheck.compare
    gradcheck.orders gradcheck.check gradcheck
    wrappers wrappers.scikit_learn
    compat
    cli.advice cli.contents cli.comparing cli.checking cli.predicting cli

    minikeras
    __main__
""".split()  # noqa: SIM905 (a floor reads better than fifty quoted names)


def faults(root: Path, house: list[str]) -> list[str]:
    """What is wrong with the imports of the package at root, one line each."""
    files = {_module(path, root): path for path in sorted(root.rglob("*.py"))}
    place = {f"{root.name}.{name}" if name != root.name else name: index for index, name in enumerate(house)}
    found = [f"{module} has no place in the house" for module in files if module not in place]
    for module, path in files.items():
        tree = ast.parse(path.read_text(encoding="utf-8"))
        types_only = set(_types_only(tree))
        for node, target in _imports(tree, module, path.name == "__init__.py", files.keys()):
            ahead = place.get(target, -1) >= place.get(module, len(house))
            if ahead and not (node in types_only and _package(target, root) == _package(module, root)):
                found.append(f"{module}:{node.lineno} imports {target}, which stands above it")
        if module != root.name:
            late = sorted(set(_late_imports(tree, root.name)))
            found += [f"{module}:{line} imports {root.name} late" for line in late]
    return found


def _module(path: Path, root: Path) -> str:
    parts = path.relative_to(root.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _package(module: str, root: Path) -> str:
    """The package that a module is in; a module right under the root is on its own."""
    package = module.rpartition(".")[0]
    return module if package == root.name else package


def _types_only(tree: ast.AST) -> Iterator[ast.AST]:
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            for statement in node.body:
                yield from ast.walk(statement)


def _imports(tree: ast.AST, module: str, is_package: bool, modules: set[str]) -> Iterator[tuple[ast.stmt, str]]:
    """The imports of modules of the package itself, with the module that each name comes from."""
    package = module if is_package else module.rpartition(".")[0]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node, alias.name) for alias in node.names if alias.name in modules)
        elif isinstance(node, ast.ImportFrom):
            source = _source(node, package)
            for alias in node.names:
                target = f"{source}.{alias.name}"
                if target in modules:
                    yield node, target
                elif source in modules:
                    yield node, source


def _source(node: ast.ImportFrom, package: str) -> str:
    if node.level == 0:
        return node.module or ""
    base = package.rsplit(".", node.level - 1)[0] if node.level > 1 else package
    return f"{base}.{node.module}" if node.module else base


def _late_imports(tree: ast.AST, package: str) -> Iterator[int]:
    """The lines where a function imports from the package, by a statement or by name."""
    functions = (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    for node in (inner for function in functions for inner in ast.walk(function)):
        match node:
            case ast.ImportFrom(level=level, module=name) if level > 0 or (name or "").split(".")[0] == package:
                yield node.lineno
            case ast.Import(names=aliases) if any(alias.name.split(".")[0] == package for alias in aliases):
                yield node.lineno
            case ast.Call(
                func=ast.Name(id="__import__" | "import_module") | ast.Attribute(attr="import_module"),
                args=[ast.Constant(value=str(name)), *_],
            ) if name.startswith(".") or name.split(".")[0] == package:
                yield node.lineno


def test_imports_go_down_only() -> None:
    assert faults(Path(minikeras.__file__).parent, HOUSE) == []


def test_the_house_lists_only_what_exists_and_each_once() -> None:
    root = Path(minikeras.__file__).parent
    modules = {_module(path, root).removeprefix("minikeras.") for path in root.rglob("*.py")}
    assert set(HOUSE) - modules == set()
    assert len(set(HOUSE)) == len(HOUSE)


def test_kernels_know_nothing_but_kernels_and_who_shares_their_work() -> None:
    shared = ("minikeras.core.memory", "minikeras.core.threads", "minikeras.core.tiers")
    root = Path(minikeras.__file__).parent
    files = {_module(path, root): path for path in root.rglob("*.py")}
    for module, path in files.items():
        if module.startswith("minikeras.kernels"):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            for _, target in _imports(tree, module, path.name == "__init__.py", files.keys()):
                known = target.startswith("minikeras.kernels.") or target in shared
                assert known, f"{module} imports {target}"


PLANTED_HOUSE = ["low.first", "low.second", "low", "high", "house"]


@pytest.mark.parametrize(
    ("file", "source", "fault"),
    [
        ("low/first.py", "from ..high import thing", "house.low.first:1 imports house.high, which stands above it"),
        ("low/first.py", "from house import high", "house.low.first:1 imports house.high, which stands above it"),
        ("low/first.py", "import house.high as h", "house.low.first:1 imports house.high, which stands above it"),
        ("low/first.py", "from . import second", "house.low.first:1 imports house.low.second, which stands above it"),
        (
            "low/first.py",
            "if TYPE_CHECKING:\n    from ..high import T",
            "house.low.first:2 imports house.high, which stands above it",
        ),
        (
            "low/first.py",
            "if fast:\n    from .second import f",
            "house.low.first:2 imports house.low.second, which stands above it",
        ),
        ("low/second.py", "from . import thing", "house.low.second:1 imports house.low, which stands above it"),
        ("high.py", "from . import thing", "house.high:1 imports house, which stands above it"),
        ("high.py", "def f():\n    from .low import first", "house.high:2 imports house late"),
        ("high.py", "class A:\n    def f(self):\n        import house.low", "house.high:3 imports house late"),
        ("high.py", "def f():\n    importlib.import_module('house.low')", "house.high:2 imports house late"),
        ("high.py", "def f():\n    import_module('.low', 'house')", "house.high:2 imports house late"),
        ("attic.py", "", "house.attic has no place in the house"),
    ],
)
def test_a_planted_fault_is_found(tmp_path: Path, file: str, source: str, fault: str) -> None:
    root = _planted(tmp_path, {file: source})
    assert faults(root, PLANTED_HOUSE) == [fault]


def test_two_modules_that_import_each_other_are_found(tmp_path: Path) -> None:
    root = _planted(tmp_path, {"low/first.py": "from . import second", "low/second.py": "from . import first"})
    assert len(faults(root, PLANTED_HOUSE)) == 1


def test_imports_downward_and_late_imports_of_other_packages_are_no_faults(tmp_path: Path) -> None:
    sources = {
        "low/second.py": "from . import first\nfrom .first import f\n\ndef g():\n    import scipy.special",
        "low/first.py": "if TYPE_CHECKING:\n    from .second import g",
        "low/__init__.py": "from .second import g",
        "high.py": "from .low import first, g\nimport house.low.first",
        "__init__.py": "from .high import f\n\ndef __getattr__(name):\n    return import_module('.low', 'house')",
    }
    assert faults(_planted(tmp_path, sources), PLANTED_HOUSE) == []


def _planted(folder: Path, sources: dict[str, str]) -> Path:
    root = folder / "house"
    (root / "low").mkdir(parents=True)
    empty = dict.fromkeys(["__init__.py", "high.py", "low/__init__.py", "low/first.py", "low/second.py"], "")
    for file, source in {**empty, **sources}.items():
        (root / file).write_text(source, encoding="utf-8")
    return root
