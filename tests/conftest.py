"""Turns the shape annotations into checks, and gives every test eight virtual CPU devices."""

import importlib
import os
import pathlib

from tests import annotations
from tests.compilation import FAST

os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count=8 {FAST}"
os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ["SEQ2SEQ_JAX_CACHE"] = os.path.join(os.path.dirname(__file__), "../.cache/tests")

from jaxtyping import install_import_hook

for name in ("COLUMNS", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE", "NPROC"):
    os.environ.pop(name, None)  # of somebody's terminal, which decide how what is printed looks, and how many threads there are

# Before the hook, under which Python's own cache of compiled modules is not found: seconds for libraries as large as these.
for library in ("flax.nnx", "optax", "orbax.checkpoint", "tensorboardX"):
    importlib.import_module(library)
install_import_hook("seq2seq_jax", f"{annotations.__name__}.check")

from seq2seq_jax.interpreter import collect_garbage_rarely  # noqa: E402  after the hook, as all below

collect_garbage_rarely()

from seq2seq_jax.train import devices, programs, runtime  # noqa: E402  after the hook, which sees only what is imported later

runtime.CONTROL_GROUP = pathlib.Path(__file__).parent  # not the limits of the container that the tests run in
runtime.prepare()
# They would take back what compilation.py sets, and compile half as long again.
devices.WITHOUT_MERGED_LOOPS = programs.WITHOUT_MERGED_LOOPS = {}
