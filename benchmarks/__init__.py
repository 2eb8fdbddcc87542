"""What the package costs in time, beside PyTorch where both can do the same work. Run it with ``make bench``."""
