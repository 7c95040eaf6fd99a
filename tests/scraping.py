"""Metrics as Prometheus reads them."""

import subprocess
from collections.abc import Mapping

from prometheus_client.parser import text_string_to_metric_families

from tests.machine import program

TOKEN = "a token for tests of metrics"
BEARER = {"Authorization": f"Bearer {TOKEN}"}

Series = Mapping[tuple[str, frozenset[tuple[str, str]]], float]


class Scraped:
    """The series of one answer."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.families = list(text_string_to_metric_families(text))
        self.series: Series = {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in self.families
            for sample in family.samples
        }

    @property
    def names(self) -> set[str]:
        """What series are called."""
        return {name for name, _ in self.series}

    def of(self, name: str, /, **labels: str) -> float | None:
        """The value of the one series with exactly these labels."""
        return self.series.get((name, frozenset(labels.items())))

    def total(self, name: str, /, **labels: str) -> float:
        """The sum over all series that have these labels."""
        wanted = labels.items()
        return sum(value for (own, given), value in self.series.items() if own == name and wanted <= given)

    def labels(self) -> set[tuple[str, str]]:
        """Every label with every value that it has."""
        return {label for _, labels in self.series for label in labels}


def promtool(*arguments: str, given: str | None = None) -> subprocess.CompletedProcess[str]:
    """What promtool says."""
    command = [program("promtool"), *arguments]
    return subprocess.run(command, input=given, capture_output=True, text=True, check=False)
