"""The process's settings: pages of a step are used again by the next, and word vectors compute in one thread."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys
import tempfile

import pytest

from seq2seq_jax.files import cache_folder
from seq2seq_jax.train import runtime
from seq2seq_jax.train.runtime import cores, prepare

PROGRAM = """
import ctypes
ctypes.CDLL(None).prctl(41, 1, 0, 0, 0)  # PR_SET_THP_DISABLE: with huge pages there are hardly any faults to be spared
import resource
import numpy as np
from seq2seq_jax.train.runtime import keep_freed_memory

keep_freed_memory()
for call in range(3):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    np.ones(1 << 23)  # 64 MiB, 16384 pages; freed at once
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


# The command train, with a compilation in the place of the training.
SHARED_KERNELS = """
import sys
import jax, jax.numpy as jnp
import launch
from seq2seq_jax.train import loop

def compile_only(config, workdir):
    text = jax.jit(lambda x: jnp.tanh(x) + 1).lower(jnp.ones((32, 32, 100))).compile().as_text()
    return {"shared": "outer_dimension_partitions" in text}

loop.train = compile_only
sys.exit(launch.main(["launch.py", "train", "--workdir=W", *sys.argv[1:]]))
"""


# Two results of one array, which merged loops make in one kernel.
MERGED = """
import re
from seq2seq_jax.train.runtime import speed_up_cpu
speed_up_cpu()
import jax, jax.numpy as jnp
from seq2seq_jax.train.devices import MemberDevices

def two(x):
    return jnp.tanh(x) + 1, jnp.exp(x) * 2

x = jnp.ones((4, 100))
for compiled in (jax.jit(jax.vmap(two)), MemberDevices(1).compile(two, (0,))):
    print(bool(re.search(r"= [(]f32.* fusion[(]", compiled.lower(x).compile().as_text())))
"""


def test_programs_of_members_have_no_merged_loops():
    """Red if they have, since XLA aborts the process for some: of a translator with one small table for both sides, mapped over members."""
    environment = {name: value for name, value in os.environ.items() if name != "XLA_FLAGS"}
    root = pathlib.Path(__file__).parents[1]
    ran = subprocess.run([sys.executable, "-c", MERGED], cwd=root, env=environment, capture_output=True, text=True, check=True)
    assert ran.stdout.split() == ["True", "False"]


@pytest.mark.parametrize(
    ("experiment", "text", "fields"),
    [
        ("char_lm", "abcdeabcde", ("data.segment_length=9", "model.hidden_dim=8")),  # a table of 9 rows, read at 9 time steps
        ("pronunciation", "aaaa\tx\n", ("data.test_fraction=0", "model.hidden_dim=8", "model.encoder_hidden_dim=null")),  # of 5, at 5
    ],
)
@pytest.mark.parametrize("devices", [1, 2])
def test_one_row_for_each_device_is_trained(tmp_path, experiment, text, fields, devices):
    """Red if XLA is let merge loops there, and aborts the process. In one of its own, since the tests compile in another way."""
    (tmp_path / "data.txt").write_text(text)
    flags = [f"--config.{field}" for field in (*fields, "data.dev_fraction=0", f"train.batch_size={devices}", "train.steps=1")]
    place = [f"--config=experiments/{experiment}.py", f"--workdir={tmp_path / 'run'}", f"--config.data.train={tmp_path / 'data.txt'}"]
    environment = {**os.environ, "XLA_FLAGS": f"--xla_force_host_platform_device_count={devices}" if devices > 1 else ""}
    root = pathlib.Path(__file__).parents[1]
    ran = subprocess.run([sys.executable, "launch.py", "train", *place, *flags], cwd=root, env=environment, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs glibc")
def test_freed_memory_is_used_again_without_page_faults():
    # Red without the setting: each array faults in all of its pages. A process of its own, since the tests' own has it set.
    ran = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    assert int(ran.stdout) < 100


@pytest.mark.skipif(len(cores()) < 2, reason="needs two cores")
@pytest.mark.parametrize(
    ("experiment", "threads", "shared"),
    [("word2vec", None, "false"), ("word2vec", "2", "true")],  # NPROC of the user has its way
)
def test_kernels_of_word_vectors_are_not_shared_among_cores(tmp_path, experiment, threads, shared):
    # Red where train does not say what it trains, where the setting comes after JAX has started, and where it overrules the user.
    root = pathlib.Path(__file__).parents[1]
    environment = {name: value for name, value in os.environ.items() if name not in ("NPROC", "XLA_FLAGS")}
    environment |= {"SEQ2SEQ_JAX_CACHE": str(tmp_path)}  # a program found on disk keeps the threads that it was compiled for
    environment |= {"NPROC": threads} if threads else {}
    command = [sys.executable, "-c", SHARED_KERNELS, f"--config=experiments/{experiment}.py"]
    ran = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=True)
    assert f'"shared": {shared}' in ran.stdout
    assert list((tmp_path / "compiled").glob("jit_*"))  # red if the next start compiles everything again


@pytest.mark.parametrize(
    ("quota", "nproc", "expected"),
    [
        (None, None, 8),
        ("max 100000", None, 8),
        ("250000 100000", None, 3),
        ("250000 100000", "2", 2),
        ("10000 100000", None, 1),
    ],
)
def test_no_more_cores_are_kept_busy_than_are_allowed(tmp_path, monkeypatch, quota, nproc, expected):
    """Red if a container with a share of a large machine starts a thread or a process for each core that it sees."""
    monkeypatch.setattr(runtime, "cores", lambda: list(range(8)))
    monkeypatch.setenv("NPROC", nproc) if nproc else monkeypatch.delenv("NPROC", raising=False)
    if quota is not None:
        (tmp_path / "cpu.max").write_text(f"{quota}\n")
    monkeypatch.setattr(runtime, "CONTROL_GROUP", tmp_path)
    assert runtime.core_count() == expected


def test_kernels_of_other_models_are_shared(monkeypatch):
    monkeypatch.delenv("NPROC", raising=False)
    prepare("translator")
    assert "NPROC" not in os.environ


def test_a_user_without_a_home_has_a_cache(monkeypatch, tmp_path):
    """Red if every command ends in a traceback for one, as containers run them."""

    def no_home():
        raise RuntimeError("Could not determine home directory.")

    for name in ("SEQ2SEQ_JAX_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(pathlib.Path, "home", no_home)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    assert cache_folder() == tmp_path / "seq2seq_jax"
