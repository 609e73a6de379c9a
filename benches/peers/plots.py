"""Two plots as SVG, without any library: rate by fill, and latency by offered rate."""

import html
import math

import report

WIDTH, HEIGHT = 720, 420
LEFT, RIGHT, TOP, BOTTOM = 70, 160, 40, 50
COLOURS = {"addrd": "#0b6e4f", "redis": "#c0392b", "postgres": "#2c5aa0", "kea": "#b9770e",
           "neutron": "#7d3c98"}


class Axis:
    """Values to places; logarithmic or not."""

    def __init__(self, values, is_log, start, end):
        low, high = min(values), max(values)
        self.is_log, self.start, self.end = is_log, start, end
        if is_log:
            self.low, self.high = math.floor(math.log10(low)), math.ceil(math.log10(high))
            self.high = max(self.high, self.low + 1)
            self.ticks = [10.0**n for n in range(self.low, self.high + 1)]
        else:
            self.low, self.high = 0.0, 1.0
            self.ticks = [0.0, 0.25, 0.5, 0.75, 1.0]

    def place(self, value):
        value = math.log10(value) if self.is_log else value
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)


def shown(value):
    if value >= 1_000_000:
        return f"{value / 1_000_000:g} M"
    return f"{value / 1000:g} k" if value >= 1000 else f"{value:g}"


def chart(title, x_title, y_title, lines, x_log, x_shown=shown):
    """`lines` is name to (colour, points)."""
    points = [point for _, line in lines.values() for point in line]
    x = Axis([point[0] for point in points], x_log, LEFT, WIDTH - RIGHT)
    y = Axis([point[1] for point in points], True, HEIGHT - BOTTOM, TOP)
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
           f'font-family="sans-serif" font-size="12">',
           f'<title>{html.escape(title)}</title><rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
           f'<text x="{LEFT}" y="20" font-size="14">{html.escape(title)}</text>']
    for tick in x.ticks:
        at = x.place(tick)
        out.append(f'<path d="M{at:.1f} {TOP}V{HEIGHT - BOTTOM}" stroke="#ddd"/><text x="{at:.1f}" '
                   f'y="{HEIGHT - BOTTOM + 16}" text-anchor="middle">{x_shown(tick)}</text>')
    for tick in y.ticks:
        at = y.place(tick)
        out.append(f'<path d="M{LEFT} {at:.1f}H{WIDTH - RIGHT}" stroke="#ddd"/><text x="{LEFT - 6}" '
                   f'y="{at + 4:.1f}" text-anchor="end">{shown(tick)}</text>')
    out.append(f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 12}" text-anchor="middle">{html.escape(x_title)}</text>')
    out.append(f'<text transform="translate(16 {HEIGHT / 2}) rotate(-90)" text-anchor="middle">{html.escape(y_title)}</text>')
    for at, (name, (colour, line)) in enumerate(lines.items()):
        places = [(x.place(a), y.place(b)) for a, b in sorted(line)]
        path = "L".join(f"{a:.1f} {b:.1f}" for a, b in places)
        out.append(f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        out += [f'<circle cx="{a:.1f}" cy="{b:.1f}" r="3" fill="{colour}"/>' for a, b in places]
        out.append(f'<text x="{WIDTH - RIGHT + 12}" y="{TOP + 14 + 18 * at}" fill="{colour}">{html.escape(name)}</text>')
    return "\n".join(out + ["</svg>"]) + "\n"


def write(book, folder):
    """The files written."""
    rows = report.medians(book)
    titles = {name: about["title"] for name, about in book["systems"].items()}
    by_fill, by_rate = {}, {}
    for name in COLOURS:
        of = [row for row in rows if row["system"] == name]
        fills = sorted({row["fill"] for row in of if row["job"] == "churn"})
        best = [report.best(of, name, {"churn"}, fill=fill) for fill in fills]
        line = [(row["fill"], row["rate"]) for row in best if row]
        if line:
            by_fill[titles[name]] = (COLOURS[name], line)
        offered = [row for row in of if row["job"] == "offered" and report.counts(row)]
        for part, style in (("p50_us", " (mean)" if name == "kea" else " p50"), ("p99_us", " p99")):
            line = [(row["offered"], row[part] / 1000) for row in offered if row[part]]
            if line and (part == "p99_us" or name == "kea"):
                by_rate[titles[name] + style] = (COLOURS[name], line)
    wanted = {
        "rate-by-fill.svg": (by_fill, lambda lines: chart(
            "Give and take, pool of 65,536 addresses", "part of the pool that is taken",
            "operations a second", lines, False, lambda value: f"{value:.0%}")),
        "latency-by-rate.svg": (by_rate, lambda lines: chart(
            "Latency of allocations by offered rate", "allocations a second that are offered",
            "ms", lines, True)),
    }
    written = []
    for name, (lines, draw) in wanted.items():
        if lines:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(draw(lines))
            written.append(folder / name)
    return written
