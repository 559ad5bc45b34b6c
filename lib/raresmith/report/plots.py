"""Plots as inline SVG: drawn with the page's own colours, so that they are readable in light and in dark.

Every plot has a title and a description for those who cannot see it. `kinds` says of each strategy of which kind it is,
and a kind has the CSS class `k-<kind>`: one colour throughout.
"""

import math
from collections.abc import Mapping, Sequence
from html import escape

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from raresmith.evaluation.verdict import Comparison
from raresmith.report.projection import Projection

Floats = NDArray[np.float64]

SERIES = ("class_weight", "random", "synthetic")
"""Kinds of strategies whose colours the lines have that are no strategy."""
WIDTH = 720
"""Width of every plot in SVG units; the page scales it."""


def svg(width: float, height: float, title: str, description: str, parts: Sequence[str]) -> Markup:
    """A drawing with its texts for screen readers; `parts` are SVG already."""
    return Markup(
        f'<svg viewBox="0 0 {width:g} {height:g}" role="img" aria-label="{escape(f"{title}. {description}", True)}" '
        f'xmlns="http://www.w3.org/2000/svg"><title>{escape(title)}</title><desc>{escape(description)}</desc>'
        f"{''.join(parts)}</svg>"
    )


def differences(comparisons: Sequence[Comparison], kinds: Mapping[str, str]) -> Markup:
    """A point and its interval for each strategy, and the line of no difference; a ring where there is no interval."""
    left, right, step, top = 130, WIDTH - 120, 34, 14
    found = {c.strategy: c.difference for c in comparisons}
    ends = [end for d in found.values() for end in ((d.low, d.value, d.high) if d.is_known else (d.value,))]
    reach = max(map(abs, ends)) * 1.08 or 1.0
    bottom = top + step * len(found)

    def x(value: float) -> float:
        return left + (value + reach) / (2 * reach) * (right - left)

    parts = []
    for tick in ticks(-reach, reach, 6):
        parts.append(_line(x(tick), top, x(tick), bottom, "grid"))
        parts.append(_text(x(tick), bottom + 18, f"{tick:+.2f}" if tick else "0", "middle", "tick"))
    parts.append(_line(x(0), top, x(0), bottom, "axis"))
    words = []
    for row, (name, d) in enumerate(found.items()):
        y = top + step * (row + 0.5)
        parts.append(_text(left - 12, y + 4, name, "end"))
        if d.is_known:
            ends_at = f'x1="{x(d.low):.1f}" y1="{y}" x2="{x(d.high):.1f}" y2="{y}"'
            parts.append(f'<line class="stroke k-{kinds[name]}" {ends_at}/>')
        css = "fill" if d.is_known else "open"
        parts += [
            f'<circle class="{css} k-{kinds[name]}" cx="{x(d.value):.1f}" cy="{y}" r="5.5"/>',
            _text(right + 14, y + 4, f"{d.value:+.3f}", "start"),
        ]
        interval = f"from {d.low:+.3f} to {d.high:+.3f}" if d.is_known else "too few rows for an interval"
        words.append(f"{name} {d.value:+.3f}, {interval}")
    return svg(WIDTH, bottom + 28, "Difference in average precision from the rows as they are", "; ".join(words), parts)


def curves(found: Mapping[str, tuple[Floats, Floats]], share: float, kinds: Mapping[str, str]) -> Markup:
    """Precision over recall for each strategy; the dotted line is the share of positive rows, a guess's precision."""
    left, right, top, bottom = 56, WIDTH - 16, 12, 392

    def x(recall: float) -> float:
        return left + recall * (right - left)

    def y(precision: float) -> float:
        return bottom - precision * (bottom - top)

    parts = []
    for tick in np.linspace(0, 1, 6):
        parts += [
            _line(x(tick), top, x(tick), bottom, "grid"),
            _line(left, y(tick), right, y(tick), "grid"),
            _text(x(tick), bottom + 18, f"{tick:.1f}", "middle", "tick"),
            _text(left - 8, y(tick) + 4, f"{tick:.1f}", "end", "tick"),
        ]
    parts.append(f'<line class="guess" x1="{left}" y1="{y(share):.1f}" x2="{right}" y2="{y(share):.1f}"/>')
    # The baseline is drawn last, over the others.
    for name, (recall, precision) in reversed(list(found.items())):
        xs, ys = np.append(0.0, recall), np.append(precision[0], precision)
        path = " ".join(f"{x(a):.1f},{y(b):.1f}" for a, b in zip(xs, ys, strict=True))
        parts.append(f'<polyline class="line k-{kinds[name]}" points="{path}"/>')
    parts += [
        _text((left + right) / 2, bottom + 38, "recall: share of the positive rows that are found", "middle"),
        f'<text class="label" text-anchor="middle" transform="translate(14 {(top + bottom) / 2}) rotate(-90)">'
        "precision: share of the found rows that are positive</text>",
    ]
    words = "; ".join(
        f"{name}: precision {_precision_at(recall, precision, 0.5):.2f} at recall 0.5"
        for name, (recall, precision) in found.items()
    )
    return svg(WIDTH, bottom + 48, "Precision and recall on the test rows", words, parts)


def over_steps(found: Mapping[str, Floats], steps: Floats, kept: int, title: str) -> Markup:
    """A line for each series over the steps of a training, in the colours SERIES; a mark at the step that was kept."""
    left, right, top, bottom = 56, WIDTH - 16, 20, 232
    values = np.concatenate(list(found.values()))
    low, high = float(values.min()), float(values.max())
    low, high = (low, high) if high > low else (low - 0.5, high + 0.5)
    last = float(steps.max())

    def x(step: float) -> float:
        return left + step / last * (right - left)

    def y(value: float) -> float:
        return bottom - (value - low) / (high - low) * (bottom - top)

    parts = []
    for tick in ticks(low, high, 4):
        parts += [
            _line(left, y(tick), right, y(tick), "grid"),
            _text(left - 8, y(tick) + 4, f"{tick:g}", "end", "tick"),
        ]
    for tick in ticks(0, last, 5):
        parts.append(_text(x(tick), bottom + 18, f"{tick:,.0f}", "middle", "tick"))
    parts += [_line(x(kept), top, x(kept), bottom, "guess"), _text(x(kept), top - 6, "kept", "middle", "tick")]
    for color, series in zip(SERIES, found.values(), strict=False):
        path = " ".join(f"{x(a):.1f},{y(b):.1f}" for a, b in zip(steps, series, strict=True))
        parts.append(f'<polyline class="line k-{color}" points="{path}"/>')
    parts.append(_text((left + right) / 2, bottom + 38, "training step", "middle"))
    words = "; ".join(f"{name} from {series[0]:.3g} to {series[-1]:.3g}" for name, series in found.items())
    return svg(WIDTH, bottom + 48, title, words, parts)


def balance(rows: Mapping[str, Mapping[str, int]], judged: Sequence[str]) -> Markup:
    """Bars of the train rows of each strategy: the classes that are judged against all others."""
    left, right, step, top = 130, WIDTH - 12, 46, 4
    most = max(sum(classes.values()) for classes in rows.values())
    parts, words = [], []
    for row, (name, classes) in enumerate(rows.items()):
        y, total = top + step * row, sum(classes.values())
        positive = sum(classes[of] for of in judged)
        split = left + (right - left) * positive / most
        end = left + (right - left) * total / most
        note = f"{positive:,} of {total:,} rows ({100 * positive / total:.3g} %) are positive"
        if len(judged) > 1:
            note = f"of {total:,} rows " + ", ".join(f"{classes[of]:,} are {of!r}" for of in judged)
        parts += [
            _text(left - 12, y + 17, name, "end"),
            f'<rect class="fill rest" x="{split:.1f}" y="{y}" width="{end - split:.1f}" height="22" rx="2"/>',
            f'<rect class="fill hot" x="{left}" y="{y}" width="{max(split - left, 1):.1f}" height="22" rx="2"/>',
            _text(left, y + 36, note, "start", "tick"),
        ]
        words.append(f"{name}: {positive:,} of {total:,}")
    return svg(WIDTH, top + step * len(rows), "Positive rows among the train rows", "; ".join(words), parts)


def scatter(projection: Projection, kinds: Mapping[str, str]) -> Markup:
    """A panel for each origin on the same axes; the real rows lie grey behind the made ones."""
    names = list(projection.points)
    gap, top = 14, 24
    size = (WIDTH - gap * (len(names) - 1)) / max(len(names), 2)
    low, high = np.percentile(projection.points["real"], [0.5, 99.5], axis=0)
    margin = np.maximum((high - low) * 0.25, 1e-9)
    low, high = low - margin, high + margin
    parts, words = [], []
    for column, name in enumerate(names):
        x0 = column * (size + gap)
        parts.append(f'<rect class="panel" x="{x0:.1f}" y="{top}" width="{size:.1f}" height="{size:.1f}" rx="4"/>')
        layers = [("real", "behind"), (name, f"k-{kinds[name]}")] if name != "real" else [("real", "k-none")]
        outside = 0
        for origin, css in layers:
            place = (projection.points[origin] - low) / (high - low)
            inside = ((place >= 0) & (place <= 1)).all(axis=1)
            outside = int((~inside).sum())
            dots = "".join(
                # A path of zero length with round ends is a dot, and a tenth of a circle's text.
                f"M{x0 + a * size:.1f} {top + (1 - b) * size:.1f}h0"
                for a, b in place[inside]
            )
            parts.append(f'<path class="dots {css}" d="{dots}"/>')
        rows = len(projection.points[name])
        note = f", {outside:,} outside" if outside else ""
        parts.append(_text(x0 + 2, 15, f"{name} ({rows:,} rows{note})", "start"))
        centre = projection.points[name].mean(axis=0) if rows else np.zeros(2)
        words.append(f"{name}: {rows} rows around ({centre[0]:.1f}, {centre[1]:.1f})")
    first, second = (100 * share for share in projection.explained)
    title = f"Positive rows on two axes that hold {first:.0f} % and {second:.0f} % of the real rows' variance"
    return svg(WIDTH, top + size + 2, title, "; ".join(words), parts)


def importance_bars(found: Mapping[str, Mapping[str, float]], kinds: Mapping[str, str], most: int = 15) -> Markup:
    """The greatest importances: a bar for the first strategy, a dot for each other one."""
    first, *others = found
    ranked = sorted(found[first], key=lambda name: -max(shares[name] for shares in found.values()))[:most]
    left, right, step, top = 250, WIDTH - 20, 26, 6
    reach = max(max(shares[name] for shares in found.values()) for name in ranked) or 1.0
    bottom = top + step * len(ranked)

    def x(value: float) -> float:
        return left + value / reach * (right - left)

    parts = []
    for tick in ticks(0, reach, 5):
        parts.append(_line(x(tick), top, x(tick), bottom, "grid"))
        parts.append(_text(x(tick), bottom + 16, f"{tick:.2f}", "middle", "tick"))
    for row, name in enumerate(ranked):
        y = top + step * row
        shown = name if len(name) <= 34 else f"{name[:33]}…"
        parts.append(_text(left - 10, y + 17, shown, "end"))
        width = x(found[first][name]) - left
        parts.append(f'<rect class="fill k-{kinds[first]}" x="{left}" y="{y + 5}" width="{width:.1f}" height="16"/>')
        parts += [
            f'<circle class="fill ring k-{kinds[other]}" cx="{x(found[other][name]):.1f}" cy="{y + 13}" r="5"/>'
            for other in others
        ]
    words = ", ".join(f"{name} {found[first][name]:.2f}" for name in ranked[:5])
    return svg(WIDTH, bottom + 24, f"Importance of the features under {first}", f"Greatest: {words}", parts)


def ticks(low: float, high: float, wished: int) -> list[float]:
    """About `wished` round numbers from `low` to `high`."""
    raw = (high - low) / wished
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= raw * 0.999)
    return [round(i * step, 10) for i in range(math.ceil(low / step), math.floor(high / step) + 1)]


def _precision_at(recall: Floats, precision: Floats, wished: float) -> float:
    return float(precision[min(int(np.searchsorted(recall, wished)), len(recall) - 1)])


def _line(x1: float, y1: float, x2: float, y2: float, css: str) -> str:
    return f'<line class="{css}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def _text(x: float, y: float, text: str, anchor: str, css: str = "label") -> str:
    return f'<text class="{css}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'
