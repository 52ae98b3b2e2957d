from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc's malloc is what is told")

SCRIPT = """
import resource
import numpy as np
from minikeras import Parameter, gradients
from minikeras.core.memory import keep_freed_memory
x = Parameter(np.ones(2))
gradients((x * x).sum(), [x])
told = keep_freed_memory.cache_info().currsize and keep_freed_memory()
def step():
    arrays = [np.ones(3_000_000, np.float32) for _ in range(6)]
step(); step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5):
    step()
print(told, resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(**environment):
    names = ("MINIKERAS_KEEP_MEMORY", "MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "GLIBC_TUNABLES")
    clean = {name: value for name, value in os.environ.items() if name not in names}
    run = subprocess.run(
        [sys.executable, "-c", SCRIPT], env={**clean, **environment}, capture_output=True, text=True, check=True
    )
    told, count = run.stdout.split()
    return told == "True", int(count)


def test_who_has_asked_for_a_gradient_finds_the_memory_that_the_last_step_freed():
    told, count = faults()
    assert told
    assert count < 100


@pytest.mark.parametrize("name", ["MINIKERAS_KEEP_MEMORY", "MALLOC_TRIM_THRESHOLD_"])
def test_malloc_is_left_alone_where_the_environment_says_so(name):
    told, count = faults(**{name: "0"})
    assert not told
    assert count > 1000
