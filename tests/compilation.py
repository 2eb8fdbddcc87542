"""How tests compile."""

# XLA flags: tests spend far more time on compiling than on what is compiled, and the older emitters need half of it.
FAST = "--xla_backend_optimization_level=0 --xla_cpu_use_fusion_emitters=false"
