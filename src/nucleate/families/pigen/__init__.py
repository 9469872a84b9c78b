"""PIGEN (Vasylenko et al., 2025), and DiffCSP (Jiao et al., NeurIPS 2023) that it rests on."""

from nucleate.families.base import FamilySpec
from nucleate.families.pigen.model import PAPER_SAMPLER, Pigen, PigenConfig

SPEC = FamilySpec(
    name="pigen",
    config=PigenConfig,
    model=Pigen,
    presets={
        "pigen": PigenConfig.pigen,
        "pigen-paper": PigenConfig.pigen_paper,
        "diffcsp": PigenConfig,
        "diffcsp-paper": PigenConfig.diffcsp_paper,
    },
    citations=("pigen", "diffcsp", "diffcsp_pp", "classifier_free_guidance", "materials_project"),
    paper_sampler=PAPER_SAMPLER,
)
