"""How tests compile."""

FAST = "--xla_backend_optimization_level=0"  # an XLA flag: tests spend far more time on compiling than on what is compiled
