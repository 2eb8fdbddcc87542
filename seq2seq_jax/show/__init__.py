"""How answers look: pictures as SVG and tables for a terminal. Knows nothing of what is shown."""
