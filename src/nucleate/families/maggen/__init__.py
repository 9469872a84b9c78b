"""MagGen (Mal, Seal & Sen, 2023): a property-ordered latent space of crystals, and new ones near known magnets."""

from nucleate.families.base import FamilySpec
from nucleate.families.maggen.config import PAPER_SAMPLER, MagGenConfig
from nucleate.families.maggen.model import MagGen
from nucleate.training.model import TrainConfig

SPEC = FamilySpec(
    name="maggen",
    config=MagGenConfig,
    model=MagGen,
    presets={"maggen": MagGenConfig, "maggen-paper": MagGenConfig.paper},
    training=TrainConfig(learning_rate=2e-3, batch=(128, 128), mixed_sizes=True, ema=0.995),
    citations=("maggen", "materials_project"),
    fewest_labels=100,
    paper_sampler=PAPER_SAMPLER,
    exact=(),
)
