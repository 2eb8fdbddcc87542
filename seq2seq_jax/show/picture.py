"""A picture: matplotlib axes whose parts show their name on hover, saved as SVG for a file or for a page.

Colours have roles. In a file they are those of a light page; inside a page they become CSS variables, so that one picture
serves in light and in dark mode. Knows nothing of what is drawn.
"""

from __future__ import annotations

import io
import re
import unicodedata
import warnings
import xml.etree.ElementTree as ET
from typing import Any

import matplotlib
import numpy as np
from jaxtyping import Float
from matplotlib.artist import Artist
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.text import Text

from seq2seq_jax.show.symbols import printable

INK, MUTED, GRID, ACCENT, BAND = "#24292e", "#6a737c", "#d9dee3", "#b3400b", "#e3a57e"
ROLES = {"ink": INK, "muted": MUTED, "grid": GRID, "accent": ACCENT, "band": BAND}
DARK_ROLES = {"ink": "#e6e8eb", "muted": "#9aa4ae", "grid": "#343b43", "accent": "#ff9d5c", "band": "#8a4b22"}
TEXT_POINTS = 10  # size of what is written beside marks, in points of 1/72 inch
STEPS = 12  # of the ramp that colours sizes from small to large
SVG, XLINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"
STYLE = {
    "svg.fonttype": "none",  # text stays text: it can be read aloud, found and copied, in any script
    "svg.hashsalt": "seq2seq_jax",
    "font.size": 11,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "text.color": INK,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "figure.constrained_layout.use": True,
}


def ramp(low: float, high: float) -> list[str]:
    """Returns STEPS colours from one end of a perceptually even scale to the other (viridis), as hexadecimal."""
    scale = matplotlib.colormaps["viridis"]
    return [to_hex(scale(low + (high - low) * step / (STEPS - 1))) for step in range(STEPS)]


LIGHT_RAMP, DARK_RAMP = ramp(0.7, 0.0), ramp(0.35, 1.0)  # away from the page's own lightness


def size_colour(index: int, sizes: int) -> str:
    """Returns the colour of the size at ``index``, of so many."""
    return LIGHT_RAMP[round(index * (STEPS - 1) / (sizes - 1)) if sizes > 1 else STEPS - 1]


def css_variables(dark: bool) -> str:
    """Returns the declarations of the colours that pictures on a page refer to."""
    roles, steps = (DARK_ROLES, DARK_RAMP) if dark else (ROLES, LIGHT_RAMP)
    named = {**roles, **{f"ramp{step}": colour for step, colour in enumerate(steps)}}
    return " ".join(f"--{name}: {colour};" for name, colour in named.items())


def svg_of(figure: Figure) -> str:
    """Returns a figure as SVG; its text stays text, so that every script is shown in the reader's own fonts."""
    buffer = io.StringIO()
    with matplotlib.rc_context(STYLE), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="(Matplotlib currently does not support|Glyph)")  # the reader's fonts will have it
        FigureCanvasSVG(figure).print_svg(buffer, metadata={"Date": None})  # savefig would draw everything twice
    return printable(buffer.getvalue())


def text_size(text: str) -> tuple[float, float]:
    """Returns about how wide and high ``Picture.write`` makes a text, in points of 1/72 inch: the reader's fonts are not known here."""
    shown = [character for character in text if not unicodedata.combining(character)]
    wide = sum(unicodedata.east_asian_width(character) in "WF" for character in shown)
    return TEXT_POINTS * (0.62 * (len(shown) - wide) + wide), 1.15 * TEXT_POINTS


def apart(places: Float[np.ndarray, "V 2"], sizes: Float[np.ndarray, "V 2"]) -> list[int]:
    """Returns which boxes, by their middles and sizes, meet none that is taken before them; the first is always taken."""
    taken: list[int] = []
    for index in range(len(places)):
        distance, room = np.abs(places[taken] - places[index]), (sizes[taken] + sizes[index]) / 2
        if not (distance < room).all(axis=1).any():
            taken.append(index)
    return taken


class Picture:
    """One pair of axes, and the names that its parts show on hover."""

    def __init__(self, title: str, height: float = 3.6):
        """Opens a picture; ``title`` says in words what is shown. Five inches, of 72 points each, wide and ``height`` high."""
        self.title = title
        self._names: dict[str, str] = {}
        with matplotlib.rc_context(STYLE):
            self._figure = Figure(figsize=(5.0, height))
            FigureCanvasSVG(self._figure)  # `places` asks where things lie before anything is saved
            self.axes = self._figure.add_subplot()
            self.axes.grid(True)
            self.axes.set_axisbelow(True)

    def name(self, artist: Artist, text: str) -> None:
        """Makes ``artist`` show ``text`` on hover."""
        key = f"named-{len(self._names)}"
        artist.set_gid(key)
        self._names[key] = text

    def write(self, text: str, at: tuple[float, float], colour: str = INK, **placing: Any) -> Text:
        """Writes ``text`` at a point of the data; ``placing`` goes to ``Axes.annotate``. A dollar sign is a dollar sign."""
        return self.axes.annotate(text, at, fontsize=TEXT_POINTS, color=colour, parse_math=False, **placing)

    def places(self, points: Float[np.ndarray, "V 2"]) -> Float[np.ndarray, "V 2"]:
        """Returns where points of the data lie in the picture, in points of 1/72 inch, with what the axes show now."""
        with matplotlib.rc_context(STYLE):
            self._figure.draw_without_rendering()  # which makes room for the labels of the axes
        return self.axes.transData.transform(points) * 72 / self._figure.dpi

    def legend(self, title: str | None = None, **placing: Any) -> None:
        """Adds a legend of what has a label, where there is most room; ``placing`` goes to ``Axes.legend``."""
        shown = self.axes.legend(title=title, fontsize=10, title_fontsize=10, labelcolor=INK, frameon=False, **placing)
        shown.get_title().set_color(MUTED)

    def svg(self) -> str:
        """Returns the picture as a file of its own."""
        root = ET.fromstring(svg_of(self._figure))
        for element in root.iter(f"{{{SVG}}}g"):
            if element.get("id") in self._names:
                title = ET.Element(f"{{{SVG}}}title")
                title.text = printable(self._names[element.get("id", "")])
                element.insert(0, title)
        ET.register_namespace("", SVG)
        ET.register_namespace("xlink", XLINK)
        return ET.tostring(root, encoding="unicode")


def for_page(svg: str, prefix: str, title: str) -> str:
    """Returns a picture to stand inside a page: colours as CSS variables, ids of its own, as wide as there is room."""
    root = ET.fromstring(svg)
    for metadata in root.findall(f"{{{SVG}}}metadata"):
        root.remove(metadata)
    for key in ("width", "height"):
        root.attrib.pop(key, None)
    root.set("role", "img")
    root.set("aria-label", title)
    for element in root.iter():
        if "id" in element.attrib:
            element.set("id", f"{prefix}-{element.get('id')}")
        for key, value in element.attrib.items():
            if key.endswith("href") and value.startswith("#"):
                element.set(key, f"#{prefix}-{value[1:]}")
            elif "url(#" in value:
                element.set(key, value.replace("url(#", f"url(#{prefix}-"))
    colours = {colour: f"var(--{name})" for name, colour in ROLES.items()}
    colours |= {colour: f"var(--ramp{step})" for step, colour in enumerate(LIGHT_RAMP)}
    text = ET.tostring(root, encoding="unicode")
    return re.sub("|".join(colours), lambda found: colours[found.group()], text)
