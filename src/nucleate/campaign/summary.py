"""The rates of a run, under the protocol that its record states."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from nucleate.campaign.comparing import read_comparison
from nucleate.campaign.filtering import run_funnel
from nucleate.campaign.protocol import run_outcome
from nucleate.evaluation.summary import Protocol, Summary, summarise

if TYPE_CHECKING:
    from nucleate.campaign.run_store import Run


def run_summary(run: Run) -> Summary:
    """Averages over the candidates of a run."""
    stated = run.record["protocol"]
    protocol = Protocol(
        potential=stated["potential"],
        reference=stated["reference"],
        relaxation=stated["relaxation"],
        threshold=stated["stability_threshold"],
        matcher=stated["matcher"],
        n_requested=run.record["n"],
        draw_below=run.record.get("settings", {}).get("draw_below"),
        n_drawn=max(run.record.get("drawn", {}).values(), default=None),
    )
    candidates = run.candidates()
    if stated["relaxation"].startswith("none"):  # as given: there is nothing before and after
        candidates = candidates.drop(columns=["relaxed_space_group", "rmsd_to_relaxed", "rmsd_matched"])
    return replace(
        summarise(candidates, protocol),
        funnel=run_funnel(run),
        published=run_outcome(run),
        comparison=read_comparison(run),
    )
