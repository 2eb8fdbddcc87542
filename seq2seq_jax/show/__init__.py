"""How answers look: pictures as SVG, tables and progress for a terminal. Knows nothing of what is shown."""
