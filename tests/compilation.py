"""How tests compile."""

# XLA flags: tests spend far more time on compiling than on what is compiled, and the older emitters need half of it.
FAST = "--xla_backend_optimization_level=0 --xla_backend_extra_options=xla_cpu_disable_new_fusion_emitters"
