"""How large should the embedding of a recurrent sequence model be, and what does it do?

The packages and what each may import are listed in ``docs/architecture.md``. This file imports nothing, so that
every verb of ``launch.py`` pays only for the package that it uses.
"""
