"""How annotations are checked in tests: by beartype, with an int accepted where a float is meant (PEP 484)."""

from beartype import BeartypeConf, beartype

check = beartype(conf=BeartypeConf(is_pep484_tower=True))
