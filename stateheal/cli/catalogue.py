"""``stateheal rules``, ``stateheal explain`` and ``stateheal schema``: what the tool knows, and how it decided."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

import click
from rich.text import Text

from stateheal.cli.options import Output, job_ids, no_empty_id, output_options, place_options, rule_names, rule_options
from stateheal.diagnosis.catalogue import RULES, rule_named
from stateheal.diagnosis.rule import Rule
from stateheal.evidence.schema import NAMES, schema_text
from stateheal.model.findings import Severity
from stateheal.model.report import Report
from stateheal.model.request import Request
from stateheal.report.text import print_lines


@click.command("rules")
@click.argument("rule", required=False, shell_complete=rule_names)
@output_options
def rules_command(rule: str | None, output: Output) -> int:
    """Show the catalogue of damage.

    What each rule means, and what its repair does.

    \b
    Example: stateheal rules dead-pid
    """
    chosen = RULES if rule is None else (rule_named(rule),)
    report = Report("rules")
    if output.is_text:
        lines = ([rule.name] if output.quiet else _rule_lines(rule, output.console.width) for rule in chosen)
        print_lines(output.console, [line for each in lines for line in each])
    else:
        output.print_json(report, "rules", rules=[_as_json(each) for each in chosen])
    return 0


def _rule_lines(rule: Rule, width: int) -> Iterator[str | Text]:
    yield Text(rule.name, style="bold").append("" if rule.severity is Severity.DAMAGE else "  a notice", style="dim")
    for label, text in (("means", rule.means), ("repair", rule.repair)):
        lead = f"  {label + ':':8}"
        yield textwrap.fill(text, min(width, 100), initial_indent=lead, subsequent_indent=" " * len(lead))


def _as_json(rule: Rule) -> dict[str, str]:
    return {"name": rule.name, "severity": rule.severity.value, "means": rule.means, "repair": rule.repair}


@click.command("explain")
@click.argument("job", shell_complete=job_ids, callback=no_empty_id)
@place_options
@rule_options
@output_options
def explain_command(job: str, request: Request, output: Output) -> int:
    """Show every fact about one job.

    What was gathered, and the rows of the liveness table that decided.

    JOB is a job id or its beginning; PATH as for audit.

    \b
    Example: stateheal explain task-mnyhf4jl-1mnkv1 samples/polluted
    """
    from stateheal.engine.explain import explain
    from stateheal.report.explanation import explanation_json, explanation_lines

    told = explain(job, request)
    if output.is_text:
        brief = output.quiet
        print_lines(output.console, [line for each in told.jobs for line in explanation_lines(each, brief=brief)])
    else:
        places = {each.place.directory: each.place.root for each in told.jobs}
        report = Report(
            "explain",
            roots=tuple(dict.fromkeys(places.values())),
            workspaces=len(places),
            jobs=len(told.jobs),
            findings=tuple(finding for each in told.jobs for finding in each.findings),
            errors=told.errors,
        )
        output.print_json(report, "jobs", jobs=[explanation_json(each) for each in told.jobs])
    return output.finish(Report("explain", errors=told.errors))  # findings are facts here, no verdict on the tree


@click.command("schema")
@click.argument("name", required=False, shell_complete=lambda ctx, param, incomplete: [*NAMES])
def schema_command(name: str | None) -> int:
    """Print a JSON Schema.

    NAME is state, job, broker, report or journal; without it, list them.

    \b
    Example: stateheal schema report
    """
    click.echo(schema_text(name) if name else "\n".join(NAMES), nl=not name)
    return 0
