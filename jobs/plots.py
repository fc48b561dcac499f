"""Plots for the report: data in, inline SVG out.

Text and axes take the colour of the surrounding text, so that one picture
serves light and dark pages. Same data, same bytes.
"""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any

from markupsafe import Markup

BLUE, ORANGE, GREEN, RED, GREY = "#3f83d9", "#d98a2b", "#2f9e74", "#d1494b", "#8b929c"
PALETTE = (BLUE, ORANGE, GREEN, RED, GREY)
# Stands for the text's colour until the SVG is written.
_INK = "#010203"
# Inches: narrow, so that text stays readable where three pictures share a row or a phone shows one.
_WIDTH = 4.4
# Points that a legend may take: of lines, and of bars, whose labels stand beside them. Pages set it wider
# than it is laid out here.
_OF_LINES, _OF_BARS = 270, 200


def stacked(labels: Sequence[str], series: Mapping[str, Sequence[float]], colours: Sequence[str]) -> Markup:
    """Horizontal bars, one a label, made of the series in their order."""
    figure, (axes,) = _figure(0.6 + 0.24 * len(labels))
    left = [0.0] * len(labels)
    for (name, values), colour in zip(series.items(), colours, strict=False):
        axes.barh(labels, values, left=left, color=colour, label=name, height=0.62)
        left = [a + b for a, b in zip(left, values, strict=True)]
    axes.invert_yaxis()
    _thousands(axes.xaxis)
    if len(series) > 1:
        _legend(axes, _OF_BARS)
    return _svg(figure)


def lines(
    series: Mapping[str, Sequence[tuple[date, float]]],
    percent: bool = False,
    bad: Sequence[tuple[date, float]] = (),
) -> Markup:
    """Values over days; `bad` points are ringed in red."""
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
    from matplotlib.ticker import PercentFormatter

    figure, (axes,) = _figure(1.9)
    for (name, points), colour in zip(series.items(), PALETTE, strict=False):
        days, values = [p[0] for p in points], [p[1] for p in points]
        marker = "o" if len(points) < 20 else None
        axes.plot(days, values, color=colour, label=name, marker=marker, markersize=3.5, linewidth=1.6)
    if bad:
        axes.scatter(
            [p[0] for p in bad], [p[1] for p in bad], s=70, facecolors="none", edgecolors=RED, linewidths=1.6
        )
    axes.set_ylim(bottom=0)
    if len(seen := {day for points in series.values() for day, _ in points}) == 1:
        # Around one day matplotlib would show years.
        (day,) = seen
        axes.set_xlim(day - timedelta(days=3), day + timedelta(days=3))
    locator = AutoDateLocator(minticks=2, maxticks=6)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))
    if percent:
        axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    else:
        _thousands(axes.yaxis)
    if len(series) > 1:
        _legend(axes, _OF_LINES)
    return _svg(figure)


def compared(measures: Mapping[str, Mapping[str, float]]) -> Markup:
    """One small panel a measure, one bar a contender: measure → contender → value."""
    names = list(dict.fromkeys(c for values in measures.values() for c in values))
    figure, panels = _figure(0.55 + 0.27 * len(names), columns=len(measures))
    for number, (measure, values) in enumerate(measures.items()):
        axes = panels[number]
        shown = [values.get(n, 0.0) for n in names]
        bars = axes.barh(
            names, shown, color=[PALETTE[i % len(PALETTE)] for i in range(len(names))], height=0.62
        )
        texts = [f"{values[n]:.3g}" if n in values else "–" for n in names]
        axes.bar_label(bars, labels=texts, padding=3, color=_INK, fontsize=8)
        axes.set_title(measure, fontsize=9, color=_INK, loc="left")
        axes.set_xlim(0, max([abs(v) for v in shown] + [1e-9]) * 1.45)
        axes.set_xticks([])
        axes.spines["bottom"].set_visible(False)
        axes.invert_yaxis()
        if number:
            axes.set_yticks([])
    return _svg(figure)


def reliability(points: Sequence[tuple[float, float]]) -> Markup:
    """(predicted, observed) shares of bins: on the diagonal, what is promised happens. Both axes are
    logarithmic, for most chances are small; a bin in which nothing happened stands at the lower edge.
    """
    figure, (axes,) = _figure(3.0)
    seen = [v for point in points for v in point if v > 0]
    high = min(1.0, max(seen) * 2) if seen else 1.0
    # Three powers of ten below the greatest are enough: what is rarer stands at the edge.
    low = max(min(seen) / 2, high / 1e3) if seen else 1e-3
    axes.plot([low, high], [low, high], color=GREY, linewidth=1, linestyle="--")
    predicted, observed = zip(*points, strict=True) if points else ((), ())
    axes.plot(
        [max(v, low) for v in predicted], [max(v, low) for v in observed], "o-", color=BLUE, markersize=4
    )
    for axis, scale in ((axes.xaxis, axes.set_xscale), (axes.yaxis, axes.set_yscale)):
        scale("log")
        axis.set_major_formatter(lambda share, _: f"{100 * share:g}%")
        axis.set_minor_formatter("")
    axes.set_xlim(low, high)
    axes.set_ylim(low, high)
    axes.set_xlabel("predicted", color=_INK)
    axes.set_ylabel("bought", color=_INK)
    return _svg(figure)


def timeline(steps: Sequence[tuple[str, float, float, bool]]) -> Markup:
    """(step, start, length, failed), both in seconds: when each step ran."""
    figure, (axes,) = _figure(0.6 + 0.24 * len(steps))
    for name, start, length, failed in steps:
        axes.barh(name, max(length, 0.05), left=start, color=RED if failed else BLUE, height=0.6)
        axes.text(start + length, name, f" {length:,.0f} s", va="center", fontsize=8, color=_INK)
    axes.invert_yaxis()
    axes.set_xlim(0, max((s + n for _, s, n, _ in steps), default=1.0) * 1.15 + 0.1)
    axes.set_xlabel("seconds since the first step began", color=_INK)
    return _svg(figure)


def _figure(height: float, columns: int = 1) -> tuple[Any, list[Any]]:
    """A figure `_WIDTH` inches wide, and its panels from left to right."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    style = {
        "svg.fonttype": "none",
        "font.size": 9,
        "font.family": "sans-serif",
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.edgecolor": _INK,
        "xtick.color": _INK,
        "ytick.color": _INK,
        "axes.linewidth": 0.6,
    }
    with matplotlib.rc_context(style):
        figure, axes = pyplot.subplots(
            1, columns, figsize=(_WIDTH, height), layout="constrained", squeeze=False
        )
    return figure, list(axes[0])


def _legend(axes: Any, width: int) -> None:
    """Above the axes, in as many columns as so many points hold: a mark is 30 wide, a letter 5."""
    names = axes.get_legend_handles_labels()[1]
    columns = next((n for n in (3, 2) if n * (30 + 5 * max(map(len, names))) <= width), 1)
    axes.legend(
        loc="lower left",
        bbox_to_anchor=(0, 1),
        ncols=columns,
        frameon=False,
        labelcolor=_INK,
        fontsize=8,
        borderpad=0,
    )


def _thousands(axis: Any) -> None:
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    axis.set_major_locator(MaxNLocator(nbins=4))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))


def _svg(figure: Any) -> Markup:
    """The figure as inline SVG: transparent, inheriting the ink, and without ids that could clash."""
    import matplotlib
    from matplotlib import pyplot

    sink = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "nightshelf"}):
        figure.savefig(sink, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    pyplot.close(figure)
    text = sink.getvalue()
    text = text[text.index("<svg") :].replace(_INK, "currentColor")
    # A style sheet inside the picture would hold for the whole page.
    text = re.sub(r"<style.*?</style>", "", text, flags=re.DOTALL)
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    # The page sets the width; the viewBox keeps the proportions.
    text = re.sub(r'^<svg ([^>]*?)height="[^"]*"', r"<svg \1", text)
    text = re.sub(r'^<svg ([^>]*?)width="[^"]*"', r'<svg \1role="img"', text)
    text = re.sub(r"font: ([0-9.]+)px [^;\"]*", r"font: \1px system-ui, sans-serif", text)
    mark = hashlib.sha256(text.encode()).hexdigest()[:8]
    text = re.sub(r'(id="|url\(#|href="#)', rf"\g<1>p{mark}-", text)
    # matplotlib escaped every label.
    return Markup(text)  # nosec B704
