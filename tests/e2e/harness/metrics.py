"""Prometheus text, read into samples."""

import re

LINE = re.compile(r"^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$")
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)",?')


class Metrics:
    def __init__(self, text):
        self.text = text
        self.samples = []
        for line in text.splitlines():
            if not line or line.startswith("#"):
                continue
            match = LINE.match(line)
            assert match, f"not a sample of Prometheus text: {line!r}"
            name, labels, value = match.groups()
            self.samples.append((name, dict(LABEL.findall(labels or "")), float(value)))

    def sum(self, name, **labels):
        """The sum of the samples of `name` that carry all these labels."""
        return sum(
            value
            for found, found_labels, value in self.samples
            if found == name and all(found_labels.get(key) == labels[key] for key in labels)
        )
