"""`millpond curate explain`: what each rule cost, with examples, and where the time went."""

from __future__ import annotations

from dataclasses import asdict

from millpond.cli import output
from millpond.curate.explain import Cost, Explanation, explain
from millpond.lake import Lake

_COLUMNS = ("stage", "rule", "threshold", "dropped", "share", "fails", "alone", "words", "~tokens", "source")


def show(lake: Lake, examples: int) -> None:
    """Show the explanation of the newest corpus.

    Raises:
        LakeError: there is none.
    """
    found = explain(lake, examples)
    if output.is_json():
        times = vars(found.times) if found.times else None
        output.value(asdict(found) | {"times": times})
        return
    gone = found.candidates - found.documents
    output.line(
        f"release {found.release}: {found.candidates:,} candidates, {found.documents:,} documents, {gone:,} went; "
        f"a token is taken as {found.token_bytes:.2f} bytes"
    )
    output.table(_COLUMNS, [_row(cost) for cost in found.costs])
    for cost in found.costs:
        if cost.examples:
            output.line(f"\n{cost.stage}: {cost.rule}")
            for example in cost.examples:
                value = "" if example.value is None else f"{example.value:.4g}  "
                output.line(f"  {value}{example.url}\n    {example.text}")
    _show_times(found)


def _row(cost: Cost) -> tuple[object, ...]:
    bound = None if cost.threshold is None else f"{cost.threshold:,.6g}"
    return (
        *(cost.stage, cost.rule, bound, cost.documents, f"{cost.share:.1%}"),
        *(cost.fails, cost.alone, cost.words, cost.tokens, cost.source),
    )


def _show_times(found: Explanation) -> None:
    if found.stages:
        output.line("\ntime of the run that decided, by stage")
        whole = sum(found.stages.values())
        output.table(
            ("stage", "seconds", "share"), [(name, f"{s:.2f}", f"{s / whole:.1%}") for name, s in found.stages.items()]
        )
    times = found.times
    if times is None or not times.pages:
        output.line("\nno times were kept of the run that made these candidates")
        return
    output.line(f"\ntime of {times.pages:,} pages, by step of extract: seconds of tasks, which run beside each other")
    total = sum(times.seconds.values())
    ordered = sorted(times.seconds.items(), key=lambda item: -item[1])
    output.table(
        ("step", "seconds", "share", "ms a page"),
        [(name, f"{s:.2f}", f"{s / total:.1%}", f"{s / times.pages * 1000:.3f}") for name, s in ordered],
    )
    output.line("\nslowest pages")
    output.table(("seconds", "page"), [(f"{seconds:.3f}", url) for seconds, url in times.slowest])
