"""The dashboard in deploy/grafana with a real Prometheus, but without Grafana: what each panel's
queries answer, and a picture of it."""

import html
import json
import math
import pathlib
import urllib.parse
import urllib.request

from . import wait

FILE = pathlib.Path(__file__).parents[3] / "deploy" / "grafana" / "gateway.json"
SCRAPE_MS = 200
COLOURS = ["#1f6fb4", "#d9700f", "#2a8f3c", "#c22f3a", "#7f5bb5", "#8a564a", "#c65aa4", "#666"]


def panels():
    return json.loads(FILE.read_text(encoding="utf-8"))["panels"]


def query_of(target, rate_s):
    """As Grafana fills it in; rates look so far back, which is several scrapes."""
    return target["expr"].replace("$job", ".*").replace("$__rate_interval", f"{rate_s}s")


class Prometheus:
    """One that scrapes one admin port; start(name, command) runs it."""

    def __init__(self, start, binary, folder, port, admin_port):
        self.port = port
        config = folder / "prometheus.yml"
        config.write_text(
            f"global: {{scrape_interval: {SCRAPE_MS}ms}}\n"
            "scrape_configs: [{job_name: gateway, metrics_path: /stats/prometheus, "
            f"static_configs: [{{targets: ['127.0.0.1:{admin_port}']}}]}}]\n"
        )
        self.program = start("prometheus", [
            binary, f"--config.file={config}", f"--web.listen-address=127.0.0.1:{port}",
            f"--storage.tsdb.path={folder / 'tsdb'}", "--log.level=warn",
        ])  # fmt: skip
        wait.until(self.has_scraped, "a first scrape", 30)

    def ask(self, path, **parameters):
        url = f"http://127.0.0.1:{self.port}{path}?{urllib.parse.urlencode(parameters)}"
        with urllib.request.urlopen(url, timeout=10) as reply:
            answer = json.load(reply)
        assert answer["status"] == "success", answer
        return answer["data"]

    def has_scraped(self):
        try:
            return self.values("envoy_server_live") == {"": 1.0}
        except OSError:
            return False

    def values(self, query, at_s=None):
        """At that time, or now: by the label that the query keeps, numbers alone."""
        when = {} if at_s is None else {"time": at_s}
        result = self.ask("/api/v1/query", query=query, **when)["result"]
        found = {name_of(one["metric"]): float(one["value"][1]) for one in result}
        return {name: value for name, value in found.items() if math.isfinite(value)}

    def series(self, query, begin_s, end_s, step_s=0.2):
        """(name, [(seconds since the beginning, value)]) of each."""
        result = self.ask("/api/v1/query_range", query=query, start=begin_s, end=end_s, step=step_s)
        return [
            (
                name_of(one["metric"]),
                [(at - begin_s, float(text)) for at, text in one["values"]
                 if math.isfinite(float(text))],
            )
            for one in result["result"]
        ]  # fmt: skip


def name_of(metric):
    return ", ".join(
        value
        for label, value in sorted(metric.items())
        if label not in ("__name__", "job", "instance")
    )


# ---- a picture ----

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 620, 250, 58, 12, 34, 46


def label(value, unit):
    if unit == "s":
        return f"{value * 1e3:g} ms"
    return f"{value / 1e3:g}k" if value >= 1e4 else f"{value:g}"


def round_up(value):
    if value <= 0:
        return 1.0
    power = 10 ** math.floor(math.log10(value))
    return next(step * power for step in (1, 2, 4, 5, 10) if step * power >= value)


def draw_panel(panel, lines, seconds):
    """SVG: `lines` are (name, points) with x up to `seconds`."""
    unit = panel["fieldConfig"]["defaults"]["unit"]
    top = round_up(max((value for _, points in lines for _, value in points), default=1.0))
    wide, high = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
    text = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}">']
    text.append(f'<text class="title" x="{LEFT - 46}" y="20">{html.escape(panel["title"])}</text>')
    for part in range(5):
        y = TOP + high * (1 - part / 4)
        text.append(f'<line x1="{LEFT}" x2="{LEFT + wide}" y1="{y}" y2="{y}"/>')
        mark = label(top * part / 4, unit)
        text.append(f'<text class="y" x="{LEFT - 6}" y="{y + 4}">{mark}</text>')
    for second in range(0, int(seconds) + 1, max(1, int(seconds) // 6)):
        x = LEFT + wide * second / seconds
        text.append(f'<text class="x" x="{x}" y="{TOP + high + 15}">{second} s</text>')
    legend_x = LEFT
    for index, (name, points) in enumerate(lines):
        colour = COLOURS[index % len(COLOURS)]
        path = " ".join(
            f"{LEFT + wide * at / seconds:.1f},{TOP + high * (1 - value / top):.1f}"
            for at, value in points
        )
        text.append(f'<polyline points="{path}" stroke="{colour}"/>')
        box = f'x="{legend_x}" y="{HEIGHT - 16}" width="10" height="4"'
        text.append(f'<rect {box} fill="{colour}"/>')
        text.append(f'<text x="{legend_x + 14}" y="{HEIGHT - 10}">{html.escape(name)}</text>')
        legend_x += 26 + 6.2 * len(name)
    return "".join([*text, "</svg>"])


def draw(prometheus, begin_s, end_s):
    """A page with all panels."""
    drawn = []
    for panel in panels():
        lines = []
        for target in panel["targets"]:
            for name, points in prometheus.series(query_of(target, 2), begin_s, end_s):
                legend = target["legendFormat"]
                lines.append((name or "gateway" if "{{" in legend else legend, points))
        drawn.append(draw_panel(panel, lines, end_s - begin_s))
    style = (
        "body{margin:8px;background:#fff;width:1264px}svg{border:1px solid #ddd;margin:2px}"
        "text{font:11px sans-serif;fill:#333}.title{font-weight:bold;font-size:13px}"
        ".y{text-anchor:end}.x{text-anchor:middle}line{stroke:#e4e4e4}"
        "polyline{fill:none;stroke-width:1.8}"
    )
    return f"<!doctype html><meta charset=utf-8><style>{style}</style>{''.join(drawn)}"
