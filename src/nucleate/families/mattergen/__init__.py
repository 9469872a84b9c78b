"""MatterGen (Zeni et al., Nature 2025)."""

from nucleate.families.base import FamilySpec
from nucleate.families.mattergen.model import PAPER_SAMPLER, MatterGen, MatterGenConfig
from nucleate.training.model import TrainConfig

SPEC = FamilySpec(
    name="mattergen",
    config=MatterGenConfig,
    model=MatterGen,
    presets={
        "mattergen": MatterGenConfig,
        "mattergen-conditioned": MatterGenConfig.conditioned,
        "mattergen-paper": MatterGenConfig.paper,
    },
    training=TrainConfig(pairs=3200, batch=(16, 64)),  # a batch of triplets takes more memory than one of pairs
    citations=("mattergen", "gemnet", "d3pm", "diffcsp_pp", "classifier_free_guidance", "materials_project"),
    paper_sampler=PAPER_SAMPLER,
)
