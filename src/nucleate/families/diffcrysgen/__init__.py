"""DiffCrysGen (Mal, Mishra & Sen, 2025): one score model over the invertible real-space matrix."""

from nucleate.families.base import FamilySpec
from nucleate.families.diffcrysgen.model import PAPER_SAMPLER, DiffCrysGen, DiffCrysGenConfig
from nucleate.training.model import TrainConfig

SPEC = FamilySpec(
    name="diffcrysgen",
    config=DiffCrysGenConfig,
    model=DiffCrysGen,
    presets={"diffcrysgen": DiffCrysGenConfig, "diffcrysgen-paper": DiffCrysGenConfig.paper},
    training=TrainConfig(learning_rate=5e-4, batch=(64, 64), mixed_sizes=True),  # both of the public code
    citations=("diffcrysgen", "maggen", "edm", "classifier_free_guidance", "materials_project"),
    fewest_labels=100,
    paper_sampler=PAPER_SAMPLER,
    exact=("composition",),
)
