"""What to cite: each work once, so that a run can name exactly those it rests on."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Citation:
    """A published work, and what it contributed."""

    authors: str
    title: str
    venue: str
    year: int
    doi: str
    used_for: str


CITATIONS: dict[str, Citation] = {
    "ase": Citation(
        "A. H. Larsen et al.",
        "The atomic simulation environment: a Python library for working with atoms",
        "J. Phys.: Condens. Matter 29, 273002",
        2017,
        "10.1088/1361-648X/aa680e",
        "relaxation",
    ),
    "chgnet": Citation(
        "B. Deng et al.",
        "CHGNet as a pretrained universal neural network potential for charge-informed atomistic modelling",
        "Nat. Mach. Intell. 5, 1031",
        2023,
        "10.1038/s42256-023-00716-3",
        "energies, forces, stresses and magnetic moments",
    ),
    "covalent_radii": Citation(
        "B. Cordero et al.",
        "Covalent radii revisited",
        "Dalton Trans. 2832",
        2008,
        "10.1039/b801115j",
        "distances below which a crystal is invalid",
    ),
    "diffcsp": Citation(
        "R. Jiao et al.",
        "Crystal structure prediction by joint equivariant diffusion",
        "Advances in Neural Information Processing Systems 36",
        2023,
        "10.48550/arXiv.2309.04475",
        "generation",
    ),
    "materials_project": Citation(
        "A. Jain et al.",
        "The Materials Project: a materials genome approach to accelerating materials innovation",
        "APL Mater. 1, 011002",
        2013,
        "10.1063/1.4812323",
        "training structures and the fit of the energy references",
    ),
    "mattergen": Citation(
        "C. Zeni et al.",
        "A generative model for inorganic materials design",
        "Nature 639, 624",
        2025,
        "10.1038/s41586-025-08628-5",
        "the definitions of S.U.N. and of the RMSD to the relaxed structure",
    ),
    "pymatgen": Citation(
        "S. P. Ong et al.",
        "Python Materials Genomics (pymatgen): a robust, open-source Python library for materials analysis",
        "Comput. Mater. Sci. 68, 314",
        2013,
        "10.1016/j.commatsci.2012.10.028",
        "structure matching and file formats",
    ),
    "pyxtal": Citation(
        "S. Fredericks et al.",
        "PyXtal: a Python library for crystal structure generation and symmetry analysis",
        "Comput. Phys. Commun. 261, 107810",
        2021,
        "10.1016/j.cpc.2020.107810",
        "symmetric random crystals",
    ),
    "spglib": Citation(
        "A. Togo, K. Shinohara and I. Tanaka",
        "Spglib: a software library for crystal symmetry search",
        "Sci. Technol. Adv. Mater. Methods 4, 2384822",
        2024,
        "10.1080/27660400.2024.2384822",
        "the symmetry search that moyo follows",
    ),
}


def citations(keys: Iterable[str]) -> list[dict[str, str | int]]:
    """The works behind the given keys, each once and in alphabetical order of key."""
    return [asdict(CITATIONS[key]) for key in sorted(set(keys))]
