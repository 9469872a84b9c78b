"""WyckoffDiff (Kelvinius et al., 2025) with the conditions of WyckoffDiff-Adaptor (Ishii et al., 2025)."""

from nucleate.families.base import FamilySpec
from nucleate.families.wyckoffdiff.config import PAPER_SAMPLER, WyckoffDiffConfig
from nucleate.families.wyckoffdiff.model import WyckoffDiff
from nucleate.training.model import TrainConfig

SPEC = FamilySpec(
    name="wyckoffdiff",
    config=WyckoffDiffConfig,
    model=WyckoffDiff,
    presets={"wyckoffdiff": WyckoffDiffConfig.small, "wyckoffdiff-paper": WyckoffDiffConfig.paper},
    training=TrainConfig(batch=(64, 64), pairs=1_000_000),  # a crystal's cost does not follow its number of sites
    citations=("wyckoffdiff_adaptor", "wyckoffdiff", "d3pm", "classifier_free_guidance", "materials_project"),
    paper_sampler=PAPER_SAMPLER,
)
