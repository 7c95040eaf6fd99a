"""What operators look at, and are woken by: valid, and about metrics that exist."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from graphql import build_schema, parse, validate

from api.metrics import Metrics
from api.samples import Sample
from db.engine import Pool
from domain.figures import Figures
from storage.room import Disk
from tests.documents import ROOT
from tests.scraping import Scraped, promtool

ALERTS = ROOT / "deploy/prometheus/alerts.yaml"
ALERT_TESTS = ROOT / "deploy/prometheus/alerts.test.yaml"
DASHBOARD = ROOT / "deploy/grafana/cairn.json"
PAGE = ROOT / "docs/dashboards.md"
VARIABLES = {"$__rate_interval": "1m", "$job": "cairn", "$instance": "a"}
LABELS_OF_PROMETHEUS = {"job", "instance", "le"}


def everything() -> Scraped:
    """Every metric that there is, with all its labels."""
    metrics = Metrics()
    metrics.answered("GET", "/graphql", 200, 0.1)
    metrics.received("/graphql", 1)
    metrics.sent("/graphql", 1)
    metrics.operation_ended("Q", "query", "ok", 0.1)
    metrics.upload_ended("TUS", "COMMITTED")
    metrics.job_ended("mail.send", "done", 0.1)
    metrics.cache_asked("q", "hit")
    figures = Figures(5, 6, 7, [("mail.send", "DEAD", 3)], 1.5, [("TUS", "OPEN", 4)])
    sample = Sample({"all": Pool(2, 20)}, is_redis_up=True, disk=Disk(1000, 400), figures=figures, as_of=1.0)
    return Scraped(metrics.text(sample).decode())


def expressions(found: Any) -> Iterator[str]:
    """Every PromQL expression of a dashboard, with Grafana's variables replaced."""
    if isinstance(found, dict):
        if isinstance(expression := found.get("expr"), str):
            for name, value in VARIABLES.items():
                expression = expression.replace(name, value)
            yield expression
        for below in found.values():
            yield from expressions(below)
    elif isinstance(found, list):
        for below in found:
            yield from expressions(below)


@pytest.fixture
def dashboard() -> Any:
    return json.loads(DASHBOARD.read_text())


def named(text: str) -> set[str]:
    return set(re.findall(r"\b(?:cairn|process)_[a-z_]+\b", text))


def test_every_metric_of_the_dashboard_exists(dashboard: Any) -> None:
    assert named("\n".join(expressions(dashboard))) <= everything().names


def test_every_metric_of_the_alerts_exists() -> None:
    expected = named(re.sub(r"(action|summary): .*", "", ALERTS.read_text()))
    assert expected
    assert expected <= everything().names


def test_every_metric_is_on_the_dashboard(dashboard: Any) -> None:
    shown = named("\n".join(expressions(dashboard)))
    families = {family.name for family in everything().families if family.name.startswith("cairn_")}
    assert {name for name in families if not any(each.startswith(name) for each in shown)} == set()


def test_every_label_that_is_named_belongs_to_its_metrics(dashboard: Any) -> None:
    of: dict[str, set[str]] = {}
    for name, labels in everything().series:
        of.setdefault(name, set()).update(label for label, _ in labels)
    for expression in expressions(dashboard):
        for name, matchers in re.findall(r"\b(cairn_[a-z_]+)\{([^}]*)\}", expression):
            asked = set(re.findall(r"([a-z_]+)\s*(?:=~|!~|!=|=)", matchers))
            assert asked - LABELS_OF_PROMETHEUS <= of[name], expression
        metrics = named(expression)
        for grouped in re.findall(r"\bby \(([^)]*)\)", expression):
            known = LABELS_OF_PROMETHEUS.union(*(of[name] for name in metrics & of.keys()))
            assert set(re.split(r",\s*", grouped)) <= known, expression


def test_every_expression_of_the_dashboard_can_be_parsed(dashboard: Any, tmp_path: Path) -> None:
    rules = [{"record": f"panel:{number}", "expr": each} for number, each in enumerate(expressions(dashboard))]
    path = tmp_path / "rules.yaml"
    path.write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))  # JSON is YAML
    said = promtool("check", "rules", "--lint=none", str(path))
    assert said.returncode == 0, said.stdout + said.stderr
    assert f"{len(rules)} rules found" in said.stdout


def test_panels_have_ids_of_their_own_and_stand_beside_each_other(dashboard: Any) -> None:
    panels = dashboard["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    places = [
        (panel["gridPos"]["x"] + x, panel["gridPos"]["y"] + y)
        for panel in panels
        for x in range(panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["h"])
    ]
    assert len(set(places)) == len(places)
    assert max(x for x, _ in places) < 24


def test_alerts_are_valid_and_come_when_they_should() -> None:
    said = promtool("check", "rules", str(ALERTS))
    assert said.returncode == 0, said.stdout + said.stderr
    said = promtool("test", "rules", str(ALERT_TESTS))
    assert said.returncode == 0, said.stdout + said.stderr


def test_every_alert_is_tested_to_come_and_to_stay_away() -> None:
    alerts = set(re.findall(r"- alert: (\w+)", ALERTS.read_text()))
    tests = ALERT_TESTS.read_text()
    assert set(re.findall(r"alertname: (\w+)\n\s+exp_alerts", tests)) == alerts
    assert set(re.findall(r"alertname: (\w+) }", tests)) == alerts


def test_the_configuration_of_prometheus_is_valid() -> None:
    said = promtool("check", "config", "--syntax-only", str(ROOT / "deploy/prometheus/prometheus.yaml"))
    assert said.returncode == 0, said.stdout + said.stderr


def test_every_metric_is_documented_and_no_other() -> None:
    rows = re.findall(r"^\| `(cairn_[a-z_]+)`", PAGE.read_text(), re.MULTILINE)
    assert sorted(rows) == sorted(_written(everything()))


def test_every_query_for_an_admin_page_is_valid() -> None:
    queries = re.findall(r"```graphql\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert len(queries) == 3
    schema = build_schema((ROOT / "schema/schema.graphql").read_text())
    known = schema.query_type.fields if schema.query_type else {}
    for query in queries:
        # The field is being made; once it is there, the page is held to it.
        if "analytics" in known or "analytics" not in query:
            assert validate(schema, parse(query)) == []


def _written(found: Scraped) -> Iterator[str]:
    for family in found.families:
        if family.name.startswith("cairn_"):
            yield f"{family.name}_total" if family.type == "counter" else family.name
