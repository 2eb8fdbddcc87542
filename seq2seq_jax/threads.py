"""How many threads NumPy takes, settled before it is imported."""

from __future__ import annotations

import os


def keep_numpy_to_one_thread() -> None:
    """Keeps NumPy to one thread, unless the user has said how many. To be called before it is first imported.

    For small matrices: on a busy machine OpenBLAS's threads wait for each other for seconds.
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
