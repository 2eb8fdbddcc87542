"""The tests: a package, so that pytest puts the root on the path and not this folder, and ``tests.x`` is the only way to import one."""
