"""Processes killed while they save, and disks that are full: the old file stays, and nothing is left behind.

The long form: ``python -m tests.saving.kills 200``.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from minikeras import Sequential, layers
from minikeras.models import load_model
from minikeras.saving.atomic import atomic_write
from tests.saving.kills import kills_while_saving, kills_while_training

ROOT = Path(__file__).parents[2]
needs_kill = pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")


@needs_kill
@pytest.mark.parametrize(("kind", "count"), [("npz", 2), ("h5", 1)])
def test_a_process_killed_while_saving_leaves_a_whole_file(kind, count):
    if kind == "h5":
        pytest.importorskip("h5py")
    assert kills_while_saving(kind, count, random.Random(0))[1] == []


@needs_kill
def test_a_training_that_is_killed_again_and_again_ends_with_the_same_numbers():
    assert kills_while_training(1, random.Random(2))[1] == []


@pytest.mark.skipif(os.name != "posix", reason="locks of POSIX")
def test_what_a_killed_process_left_is_removed_by_the_next_save_but_not_what_another_is_writing(tmp_path):
    script = f"""
import os, signal
from minikeras.saving.atomic import atomic_write
with atomic_write({str(tmp_path / "other")!r}) as file:
    file.write(b"half")
    file.flush()
    os.kill(os.getpid(), signal.SIGKILL)
"""
    subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=False, timeout=60)
    (left,) = tmp_path.iterdir()
    assert left.read_bytes() == b"half"
    mine = tmp_path / ".mine.tmp"
    mine.write_bytes(b"a file of somebody else")
    with atomic_write(tmp_path / "slow") as slow:
        with atomic_write(tmp_path / "quick") as quick:
            quick.write(b"new")
        assert not left.exists()
        slow.write(b"new too")
    assert sorted(path.name for path in tmp_path.iterdir()) == [".mine.tmp", "quick", "slow"]
    assert (tmp_path / "slow").read_bytes() == b"new too"


FULL = """
import resource, signal, sys
import numpy as np
from minikeras import Sequential, layers
from minikeras.callbacks import BackupAndRestore, ModelCheckpoint
model = Sequential([layers.Dense(100, input_dim=100)])
model.compile("adam", "mse")
x = np.zeros((4, 100))
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000))
for path in sys.argv[1:]:
    try:
        if path == "training.npz":
            model.fit(x, x, verbose=0, callbacks=[BackupAndRestore(".")])
        else:
            model.fit(x, x, verbose=0, callbacks=[ModelCheckpoint(path)])
    except OSError as error:
        print(error)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="limits of file size as Linux has them")
def test_a_full_disk_leaves_the_old_files_and_is_told_with_their_names(tmp_path):
    names = ["m.npz", "training.npz"]
    try:
        import h5py  # noqa: F401
    except ImportError:
        pass
    else:
        names += ["m.h5", "m.keras"]
    old = Sequential([layers.Dense(1, input_dim=1)])
    for name in names:
        if name != "training.npz":
            old.save(tmp_path / name)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "MINIKERAS_KERNELS": "numpy"}  # numba tells of compiling
    command = [sys.executable, "-W", "error", "-c", FULL, *names]
    result = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "")
    told = "[Errno 27] File too large: it could not be written, and is as it was before: "
    assert result.stdout.splitlines() == [f"{told}{name!r}".replace("'training", "'./training") for name in names]
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    for name in before:
        kernel, bias = load_model(tmp_path / name).get_weights()
        assert (kernel.item(), bias.item()) == (old.get_weights()[0].item(), old.get_weights()[1].item())
