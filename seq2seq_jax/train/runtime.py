"""Settings of JAX and of the memory allocator that every training process shares."""

from __future__ import annotations

import contextlib
import ctypes
import math
import os
import pathlib
from collections.abc import Collection

import jax

from seq2seq_jax.config import Kind
from seq2seq_jax.files import CACHE, cache_folder

# Of glibc's mallopt(3), by name: what is set, and to how much.
_KEEP_FREED_MEMORY = {
    "M_MMAP_MAX": (-4, 0),  # no allocation is given back to the kernel on its own ...
    "M_TRIM_THRESHOLD": (-1, 2**31 - 1),  # ... nor is the end of the heap
    "M_TOP_PAD": (-2, 2**26),  # the heap grows by 64 MiB at a time, bytes
}


CONTROL_GROUP = pathlib.Path("/sys/fs/cgroup")  # limits of a container, version 2
# Elementwise operations that read the same arrays become one kernel: fewer to compile, and a step on CPU is up to a tenth faster.
_XLA_FLAGS = "--xla_backend_extra_options=xla_cpu_use_multi_output_fusion"
# Takes that back for one program, where this option of XLA can only be emptied, whatever else stands in it.
WITHOUT_MERGED_LOOPS = {"xla_backend_extra_options": ""}


def prepare(kind: Kind | None = None) -> None:
    """Keeps compiled programs on disk, so that the second start of the same run compiles nothing, and makes steps fast on CPU.

    To be called before JAX's first computation. ``kind`` is the model of the one run that this process trains, else None. Programs are
    kept where the user has told JAX to, unless this package's own cache is named.
    """
    if kind == "skip_gram":
        use_one_thread()
    if os.environ.get(CACHE) or jax.config.values["jax_compilation_cache_dir"] is None:
        jax.config.update("jax_compilation_cache_dir", str(cache_folder() / "compiled"))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", 0)
    speed_up_cpu()


def prepare_to_use() -> None:
    """Prepares for a finished run or a forecast, which may stand beside a training on the same GPU: memory is taken as it is needed."""
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    prepare()


def speed_up_cpu() -> None:
    """Sets how programs are compiled and run on CPU, before JAX's first computation. docs/performance.md has what each setting gives."""
    flags = os.environ.get("XLA_FLAGS", "")
    virtual_devices = "xla_force_host_platform_device_count" in flags or jax.config.values["jax_num_cpu_devices"] > 1
    # Of some programs XLA cannot merge the loops and aborts the process, and jax.pmap takes no WITHOUT_MERGED_LOOPS.
    if not virtual_devices and _XLA_FLAGS not in flags:  # as in those of the process that has started this one
        os.environ["XLA_FLAGS"] = f"{_XLA_FLAGS} {flags}"
    if core_count() < len(cores()):  # XLA would start a thread for each core that a container sees, and all would wait for their turn
        os.environ.setdefault("NPROC", str(core_count()))
    # A program runs in the thread that calls it, so that its temporary arrays come from the main thread's heap, which can hold large ones.
    jax.config.update("jax_cpu_enable_async_dispatch", False)
    keep_freed_memory()


def cores() -> list[int]:
    """Returns the numbers of the cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(int(os.environ.get("NPROC") or os.cpu_count() or 1)))  # macOS binds no process to cores


def core_count() -> int:
    """Returns how many cores this process may keep busy: those it may use, or as many as the user (``NPROC``) or a container allows."""
    counts = [len(cores())]
    with contextlib.suppress(OSError, ValueError):  # no container, or one without a limit: "max"
        quota, period = (CONTROL_GROUP / "cpu.max").read_text().split()
        counts.append(math.ceil(int(quota) / int(period)))
    with contextlib.suppress(ValueError):
        counts.append(int(os.environ.get("NPROC", "")))
    return max(1, min(counts))


def confine(share: Collection[int]) -> None:
    """Gives this process no more than a share of the cores, before JAX counts them; where none can be bound, so many threads."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, share)
    else:
        os.environ["NPROC"] = str(len(share))


def use_one_thread() -> None:
    """Has XLA share no kernel among cores, unless the user has said how many (``NPROC``, which its CPU client reads as it starts).

    A step of word vectors is some thirty kernels of thirty microseconds. To wake a second thread for each costs more than it does.
    """
    os.environ.setdefault("NPROC", "1")


def keep_freed_memory() -> None:
    """Lets a step use the pages of the step before. Where the C library is not glibc, nothing is changed.

    A compiled program allocates its temporary arrays, some 100 MB, at every call and frees them. By default glibc gives them back to the
    kernel, which hands them out again one by one and fills them with zeros: a quarter of a step's time on CPU (docs/performance.md).
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:  # musl has none
        for parameter, value in _KEEP_FREED_MEMORY.values():
            mallopt(parameter, value)
