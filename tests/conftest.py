"""Turns the shape annotations into checks, and gives every test eight virtual CPU devices and strict promotion."""

import os

os.environ["XLA_FLAGS"] = os.environ.get("XLA_FLAGS", "") + " --xla_force_host_platform_device_count=8"
os.environ.setdefault("JAX_PLATFORMS", "cpu")

from jaxtyping import install_import_hook

install_import_hook("seq2seq_jax", "beartype.beartype")
