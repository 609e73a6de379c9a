"""Medians of the rounds as tables in Markdown, with ratios, settings and what isn't equal."""

import statistics

# Of what is offered, that counts as answered.
LOST_MAX = 0.025
KEY = ("system", "job", "connections", "in_flight", "fill", "offered")


def described(record):
    """The case of a measurement, in few words."""
    words = [record["job"]]
    if not (record["system"] == "kea"):
        words.append(f"{record['connections']} x {record['in_flight']}")
    if record["fill"] is not None:
        words.append(f"{record['fill']:.0%} full")
    if record["offered"] is not None:
        words.append(f"{record['offered']:,}/s offered")
    return ", ".join(words)


def medians(book):
    """One row a case: the median of its rounds, and how far they lie apart."""
    groups = {}
    for record in book["measurements"]:
        if "failed" not in record:
            groups.setdefault(tuple(record[name] for name in KEY), []).append(record)
    rows = []
    for key, records in groups.items():
        def median(name, records=records):
            values = [record[name] for record in records if record[name] is not None]
            return statistics.median(values) if values else None

        rates = [record["rate"] for record in records]
        loads = [record["load"] for record in records]
        rows.append({
            **dict(zip(KEY, key)), "rate": median("rate"), "least": min(rates), "most": max(rates),
            "p50_us": median("p50_us"), "p99_us": median("p99_us"), "lost": median("lost"),
            "load": f"{min(loads):.1f} to {max(loads):.1f}", "rounds": len(records),
            "notes": records[-1]["notes"],
        })
    return rows


def counts(row):
    """Whether the rate is one that the system held: an offered one must be answered."""
    return row["offered"] is None or (row["lost"] <= LOST_MAX
                                      and row["rate"] >= 0.9 * row["offered"])


def best(rows, system, jobs, **wanted):
    found = [row for row in rows if row["system"] == system and row["job"] in jobs and counts(row)
             and all(row[name] == value for name, value in wanted.items())]
    return max(found, key=lambda row: row["rate"], default=None)


def number(value):
    return "" if value is None else f"{value:,.0f}" if value >= 100 else f"{value:.1f}"


def ratio(base, row):
    if base is None or row is None:
        return ""
    value = base["rate"] / row["rate"]
    return f"{value:,.0f}" if value >= 20 else f"{value:.1f}" if value >= 0.2 else f"{value:.2f}"


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def summary(book, rows, absent):
    """Each system beside addrd. `times` is addrd's rate by the system's."""
    head = ["system", "one client, one at a time /s", "times", "64 clients, one at a time /s", "times",
            "most /s", "with", "times", "give and take at 1 %, 50 %, 90 % full /s", "times at 50 %"]
    def one(system, connections):
        return best(rows, system, {"allocate"}, connections=connections, in_flight=1)

    def full(system):
        return [best(rows, system, {"churn"}, fill=fill) for fill in (0.01, 0.5, 0.9)]

    lines = []
    for name, about in book.get("systems", {}).items():
        if name in absent:
            continue
        # Of Kea there are only offered rates.
        most = best(rows, name, {"allocate"}) or best(rows, name, {"offered"})
        fills = full(name)
        cells = [about["title"]]
        for connections in (1, 64):
            row = one(name, connections)
            cells += [number(row and row["rate"]), ratio(one("addrd", connections), row)]
        cells += [number(most and most["rate"]), most and described(most).split(", ", 1)[-1] or "",
                  ratio(best(rows, "addrd", {"allocate"}), most)]
        cells += [", ".join(number(row and row["rate"]) for row in fills) if any(fills) else "",
                  ratio(full("addrd")[1], fills[1])]
        lines.append(cells)
    return table(head, lines)


def details(book, rows):
    head = ["system", "job", "/s (least to most)", "p50", "p99", "lost", "load average", "rounds"]
    lines = []
    order = list(book.get("systems", {}))
    for row in sorted(rows, key=lambda row: (order.index(row["system"]), row["job"],
                                             row["fill"] or 0, row["offered"] or 0)):
        def ms(value):
            return "" if value is None else f"{value / 1000:,.2f} ms"

        mean = " (mean)" if "mean" in row["notes"] else ""
        lines.append([
            book["systems"][row["system"]]["title"], described(row),
            f"{number(row['rate'])} ({number(row['least'])} to {number(row['most'])})",
            ms(row["p50_us"]) + mean, ms(row["p99_us"]), f"{row['lost']:.1%}" if row["lost"] else "",
            row["load"], str(row["rounds"])])
    return table(head, lines)


def settings(book):
    lines = []
    for about in book.get("systems", {}).values():
        lines.append(f"- **{about['title']}.** " + "; ".join(
            f"{name}: `{value}`" if name in ("take", "give back") else f"{name}: {value}"
            for name, value in about["settings"].items()) + f". {about['unequal']}")
    return "\n".join(lines)


def text(book, absent):
    """The whole report."""
    rows = medians(book)
    at = sorted(record["at"] for record in book["measurements"])
    seconds = sorted({record["seconds"] for record in book["measurements"]})
    loads = [record["load"] for record in book["measurements"]]
    if not at:
        return "nothing was measured"
    parts = [
        f"{at[0][:16]} to {at[-1][:16]}, commit {book.get('commit', '')}, {book['machine']}. Measurements of "
        f"{' or '.join(map(str, seconds))} s, load average before them {min(loads):.1f} to {max(loads):.1f}. "
        "`times` is addrd's rate by the other's. The load generators run on the same cores.",
        summary(book, rows, absent), details(book, rows), settings(book),
    ]
    failed = [record for record in book["measurements"] if "failed" in record]
    parts += [f"FAILED: {record['system']}, {described(record)}: {record['failed']}" for record in failed]
    parts += [f"Not measured: {name}: {why}" for name, why in absent.items()]
    return "\n\n".join(parts)
