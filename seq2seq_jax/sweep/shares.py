"""What each process of a sweep gets of the machine: cores, and a graphics processor where there are any."""

from __future__ import annotations

import dataclasses
import importlib.util
import itertools
import math
import os
import pathlib

from seq2seq_jax.train.runtime import confine, core_count, cores

_CUDA_PLUGINS = ("jax_cuda12_plugin", "jax_cuda13_plugin")
_DEVICE_FILES = pathlib.Path("/dev")
_OF_A_DEVICE = 0.75  # of its memory, JAX's own default; the rest is for what processes keep there outside JAX


@dataclasses.dataclass(frozen=True)
class Share:
    """A part of the machine.

    Attributes:
      cores: numbers of the cores.
      threads: how many of them it may keep busy at a time; a container may allow less than it shows.
      gpu: the graphics processor, as ``CUDA_VISIBLE_DEVICES`` names it; None where there is none.
      memory: share of that processor's memory, 0 to 1; None where no other process is on it, and JAX takes its default.
    """

    cores: frozenset[int]
    threads: int
    gpu: str | None = None
    memory: float | None = None

    def take(self) -> None:
        """Confines this process to the share; before JAX counts cores and devices."""
        confine(self.cores)
        if self.threads < len(self.cores) or os.environ.get("NPROC"):  # which this process has from the sweep's, for all of them
            os.environ["NPROC"] = str(min(self.threads, len(self.cores)))
        if self.gpu is not None:
            os.environ["CUDA_VISIBLE_DEVICES"] = self.gpu
        if self.memory is not None:
            os.environ.pop("XLA_PYTHON_CLIENT_MEM_FRACTION", None)  # its former name, refused beside the one of now
            os.environ["XLA_CLIENT_MEM_FRACTION"] = f"{self.memory:.3f}"


def most_at_a_time() -> int:
    """Returns how many processes work side by side by default: one for each graphics processor, or else for each core that may be busy."""
    return len(gpus()) or core_count()


def shares(jobs: int) -> list[Share]:
    """Deals out the machine to so many processes. Where there are fewer cores or devices than processes, several share one.

    All get equally many cores, even if some are left over: the number of threads decides the last bits of a sum, and which process
    trains a member is chance.
    """
    own, devices = cores(), gpus()
    each = max(1, len(own) // jobs)
    sharers = math.ceil(jobs / len(devices)) if devices else 1
    return [
        Share(
            cores=frozenset(own[(i * each + j) % len(own)] for j in range(each)),
            threads=max(1, core_count() // jobs),
            gpu=devices[i % len(devices)] if devices else None,
            memory=_OF_A_DEVICE / sharers if sharers > 1 else None,
        )
        for i in range(jobs)
    ]


def gpus() -> list[str]:
    """Returns the graphics processors that JAX would use here, as CUDA counts them.

    JAX is not asked, since it would take their memory. CUDA counts from 0 what there is, whatever the numbers of the files in /dev: a
    container that was given the fourth has nvidia3 alone. Windows shows its graphics processors to Linux as one file.
    """
    platforms = os.environ.get("JAX_PLATFORMS", "")
    if not any(map(importlib.util.find_spec, _CUDA_PLUGINS)) or (platforms and "cuda" not in platforms and "gpu" not in platforms):
        return []
    there = len(list(_DEVICE_FILES.glob("nvidia[0-9]*"))) or len(list(_DEVICE_FILES.glob("dxg")))
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if there and visible is not None:
        names = [name.strip() for name in visible.split(",")]
        return list(itertools.takewhile(lambda name: name not in ("", "-1"), names))  # CUDA reads no further than these
    return [str(i) for i in range(there)]
