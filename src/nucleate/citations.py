"""Citations: every paper, program and data set that a run can rest on, by a short key."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from nucleate.errors import UserError


@dataclass(frozen=True)
class Citation:
    """One work to cite.

    Attributes:
        key: Short name used in ``run.json``, cards and BibTeX.
        used_for: What it contributes to a run, a few words.
        text: The reference as one line of text.
        bibtex: The same as a BibTeX entry under ``key``.
        url: Where it is found; empty where we know no lasting address.
    """

    key: str
    used_for: str
    text: str
    bibtex: str
    url: str


def _work(
    key: str,
    used_for: str,
    kind: str,
    authors: str,
    title: str,
    year: str = "",
    doi: str = "",
    arxiv: str = "",
    **more: str,
) -> Citation:
    """A citation from its parts; ``authors`` are 'Given Surname' joined by '; ', ``more`` are BibTeX fields."""
    names = authors.split("; ")
    known = [name for name in names if name != "others"]
    shown = ", ".join(known[:6]) + (" et al." if len(known) > 6 or known != names else "")
    venue = " ".join(more[part] for part in ("journal", "booktitle", "howpublished", "volume") if part in more)
    venue += f", {more['pages']}" if "pages" in more else ""
    found = f"doi:{doi}" if doi else f"arXiv:{arxiv}" if arxiv else more.get("url", "")
    parts = [shown, title, venue + (f" ({year})" if year else ""), found]
    text = ". ".join(part.strip().rstrip(".") for part in parts if part.strip())
    fields = {"author": " and ".join(names), "title": f"{{{title}}}", "year": year, "doi": doi, **more}
    if arxiv:
        fields |= {"eprint": arxiv, "archivePrefix": "arXiv"}
    body = "".join(f"  {name} = {{{value}}},\n" for name, value in fields.items() if value)
    url = f"https://doi.org/{doi}" if doi else f"https://arxiv.org/abs/{arxiv}" if arxiv else more.get("url", "")
    return Citation(key, used_for, text, f"@{kind}{{{key},\n{body}}}", url)  # fmt: skip


_WORKS = (
    # The five systems.
    _work(
        "mattergen", "MatterGen; the definitions of S.U.N. and of the RMSD to the relaxed structure", "article",
        "Claudio Zeni; Robert Pinsler; Daniel Zügner; Andrew Fowler; Matthew Horton; Xiang Fu; Zilong Wang; "
        "Aliaksandra Shysheya; Jonathan Crabbé; others",
        "A generative model for inorganic materials design",
        "2025", doi="10.1038/s41586-025-08628-5", journal="Nature", volume="639", pages="624-632",
    ),
    _work(
        "pigen", "PIGEN; compactness and local-environment diversity", "misc",
        "A. Vasylenko; F. Ottomano; C. M. Collins; R. Savani; M. S. Dyer; M. J. Rosseinsky",
        "Physics-informed diffusion models for extrapolating crystal structures beyond known motifs",
        "2025", doi="10.5281/zenodo.17357919", howpublished="Preprint with code",
    ),
    _work(
        "wyckoffdiff_adaptor", "WyckoffDiff-Adaptor", "misc",
        "Takanori Ishii; Kaoru Hisama; Kohei Shinohara",
        "Symmetry-aware Conditional Generation of Crystal Structures Using Diffusion Models",
        howpublished="Preprint",
    ),
    _work(
        "diffcrysgen", "DiffCrysGen", "misc",
        "Sourav Mal; Subhankar Mishra; Prasenjit Sen",
        "DiffCrysGen: A Score-Based Diffusion Model for Design of Diverse Inorganic Crystalline Materials",
        "2025", arxiv="2505.07442",
    ),
    _work(
        "maggen", "MagGen", "article",
        "Sourav Mal; Gaurav Seal; Prasenjit Sen",
        "MagGen: A graph aided deep generative model for inverse design of stable, permanent magnets",
        "2024", journal="The Journal of Physical Chemistry Letters", volume="15", pages="3221",
    ),
    # The systems that these build on.
    _work(
        "diffcsp", "DiffCSP: network and joint diffusion", "inproceedings",
        "Rui Jiao; Wenbing Huang; Peijia Lin; Jiaqi Han; Pin Chen; Yutong Lu; Yang Liu",
        "Crystal Structure Prediction by Joint Equivariant Diffusion",
        "2023", arxiv="2309.04475", booktitle="Advances in Neural Information Processing Systems", volume="36",
    ),
    _work(
        "diffcsp_pp", "walks that keep to a space group", "inproceedings",
        "Rui Jiao; Wenbing Huang; Yu Liu; Deli Zhao; Yang Liu",
        "Space Group Constrained Crystal Generation",
        "2024", arxiv="2402.03992", booktitle="International Conference on Learning Representations",
    ),
    _work(
        "classifier_free_guidance", "steering by conditions", "misc",
        "Jonathan Ho; Tim Salimans",
        "Classifier-Free Diffusion Guidance",
        "2022", arxiv="2207.12598",
    ),
    _work(
        "edm", "preconditioned diffusion and its stochastic sampler", "inproceedings",
        "Tero Karras; Miika Aittala; Timo Aila; Samuli Laine",
        "Elucidating the Design Space of Diffusion-Based Generative Models",
        "2022", arxiv="2206.00364", booktitle="Advances in Neural Information Processing Systems", volume="35",
    ),
    _work(
        "wyckoffdiff", "WyckoffDiff", "inproceedings",
        "Filip Ekström Kelvinius; Oskar B. Andersson; Abhijith S. Parackal; Dong Qian; Rickard Armiento; "
        "Fredrik Lindsten",
        "WyckoffDiff: A Generative Diffusion Model for Crystal Symmetry",
        "2025", arxiv="2502.06485", booktitle="International Conference on Machine Learning",
    ),
    _work(
        "gemnet", "a directional network on edges and triplets", "inproceedings",
        "Johannes Gasteiger; Florian Becker; Stephan Günnemann",
        "GemNet: Universal Directional Graph Neural Networks for Molecules",
        "2021", arxiv="2106.08903", booktitle="Advances in Neural Information Processing Systems", volume="34",
    ),
    _work(
        "d3pm", "diffusion of elements and of occupations", "inproceedings",
        "Jacob Austin; Daniel D. Johnson; Jonathan Ho; Daniel Tarlow; Rianne van den Berg",
        "Structured Denoising Diffusion Models in Discrete State-Spaces",
        "2021", arxiv="2107.03006", booktitle="Advances in Neural Information Processing Systems", volume="34",
    ),
    # Energies.
    _work(
        "chgnet", "energies, forces, stresses and magnetic moments", "article",
        "Bowen Deng; Peichen Zhong; KyuJung Jun; Janosh Riebesell; Kevin Han; Christopher J. Bartel; Gerbrand Ceder",
        "CHGNet as a pretrained universal neural network potential for charge-informed atomistic modelling",
        "2023", doi="10.1038/s42256-023-00716-3", journal="Nature Machine Intelligence", volume="5", pages="1031-1041",
    ),
    _work(
        "mace", "energies, forces and stresses", "misc",
        "Ilyes Batatia; Philipp Benner; Yuan Chiang; Alin M. Elena; Dávid P. Kovács; Janosh Riebesell; others",
        "A foundation model for atomistic materials chemistry",
        "2023", arxiv="2401.00096",
    ),
    _work(
        "mattersim", "energies, forces and stresses", "misc",
        "Han Yang; Chenxi Hu; Yichi Zhou; Xixian Liu; others",
        "MatterSim: A Deep Learning Atomistic Model Across Elements, Temperatures and Pressures",
        "2024", arxiv="2405.04967",
    ),
    _work(
        "orb", "energies, forces and stresses", "misc",
        "Benjamin Rhodes; Sander Vandenhaute; Vaidotas Šimkus; James Gin; Jonathan Godwin; Tim Duignan; Mark Neumann",
        "Orb-v3: atomistic simulation at scale",
        "2025", arxiv="2504.06231",
    ),
    _work(
        "sevenn", "energies, forces and stresses", "article",
        "Yutack Park; Jaesun Kim; Seungwoo Hwang; Seungwu Han",
        "Scalable Parallel Algorithm for Graph Neural Network Interatomic Potentials in Molecular Dynamics Simulations",
        "2024", doi="10.1021/acs.jctc.4c00190", journal="Journal of Chemical Theory and Computation", volume="20",
        pages="4857-4868",
    ),
    _work(
        "ase", "relaxation", "article",
        "Ask Hjorth Larsen; Jens Jørgen Mortensen; Jakob Blomqvist; Ivano E. Castelli; Rune Christensen; others",
        "The atomic simulation environment: a Python library for working with atoms",
        "2017", doi="10.1088/1361-648X/aa680e", journal="Journal of Physics: Condensed Matter", volume="29",
        pages="273002",
    ),
    # Structures and symmetry.
    _work(
        "pymatgen", "structure matching and file formats", "article",
        "Shyue Ping Ong; William Davidson Richards; Anubhav Jain; Geoffroy Hautier; Michael Kocher; Shreyas Cholia; "
        "Dan Gunter; Vincent L. Chevrier; Kristin A. Persson; Gerbrand Ceder",
        "Python Materials Genomics (pymatgen): A robust, open-source python library for materials analysis",
        "2013", doi="10.1016/j.commatsci.2012.10.028", journal="Computational Materials Science", volume="68",
        pages="314-319",
    ),
    _work(
        "covalent_radii", "distances below which a crystal is invalid", "article",
        "Beatriz Cordero; Verónica Gómez; Ana E. Platero-Prats; Marc Revés; Jorge Echeverría; Eduard Cremades; "
        "Flavia Barragán; Santiago Alvarez",
        "Covalent radii revisited",
        "2008", doi="10.1039/b801115j", journal="Dalton Transactions", pages="2832-2838",
    ),
    _work(
        "moyopy", "space groups", "misc",
        "Kohei Shinohara", "moyo: a library for crystal symmetry in Rust", url="https://github.com/spglib/moyo",
        howpublished="Software",
    ),
    _work(
        "spglib", "the symmetry search that moyo follows", "article",
        "Atsushi Togo; Kohei Shinohara; Isao Tanaka", "Spglib: a software library for crystal symmetry search",
        "2024", doi="10.1080/27660400.2024.2384822",
        journal="Science and Technology of Advanced Materials: Methods", volume="4", pages="2384822",
    ),
    _work(
        "pyxtal", "symmetric random crystals", "article",
        "Scott Fredericks; Kevin Parrish; Dean Sayre; Qiang Zhu",
        "PyXtal: A Python library for crystal structure generation and symmetry analysis",
        "2021", doi="10.1016/j.cpc.2020.107810", journal="Computer Physics Communications", volume="261",
        pages="107810",
    ),
    _work(
        "smact", "charge balance", "article",
        "Daniel W. Davies; Keith T. Butler; Adam J. Jackson; Jonathan M. Skelton; Kazuki Morita; Aron Walsh",
        "SMACT: Semiconducting Materials by Analogy and Chemical Theory",
        "2019", doi="10.21105/joss.01361", journal="Journal of Open Source Software", volume="4", pages="1361",
    ),
    # Descriptors.
    _work(
        "proxy_potentials", "statistical proxy potentials", "article",
        "Dmytro Antypov; Christopher M. Collins; Andrij Vasylenko; Vladimir V. Gusev; Michael W. Gaultois; "
        "George R. Darling; Matthew S. Dyer; Matthew J. Rosseinsky",
        "Statistically Derived Proxy Potentials Accelerate Geometry Optimization of Crystal Structures",
        "2024", doi="10.1002/cphc.202400254", journal="ChemPhysChem", volume="25", pages="e202400254",
    ),
    _work(
        "complexity", "crystallographic complexity", "article",
        "Sergey V. Krivovichev; Vladimir G. Krivovichev",
        "The Fedorov-Groth law revisited: complexity analysis using mineralogical data",
        "2020", journal="Acta Crystallographica Section A", volume="76", pages="429-431",
    ),
    _work(
        "hhi", "concentration of the supply of elements", "article",
        "Michael W. Gaultois; Taylor D. Sparks; Christopher K. H. Borg; Ram Seshadri; William D. Bonificio; "
        "David R. Clarke",
        "Data-Driven Review of Thermoelectric Materials: Performance and Resource Considerations",
        "2013", doi="10.1021/cm400893e", journal="Chemistry of Materials", volume="25", pages="2911-2920",
    ),
    _work(
        "dimensionality", "dimensionality of bonded networks", "article",
        "Peter Mahler Larsen; Mohnish Pandey; Mikkel Strange; Karsten Wedel Jacobsen",
        "Definition of a scoring parameter to identify low-dimensional materials components",
        "2019", doi="10.1103/PhysRevMaterials.3.034003", journal="Physical Review Materials", volume="3",
        pages="034003",
    ),
    # Data and learning.
    _work(
        "lemat_genbench", "a protocol of evaluation", "misc",
        "Siddharth Betala; Samuel P. Gleason; Ali Ramlaoui; Andy Xu; Georgia Channing; Daniel Levy; others",
        "LeMat-GenBench: A Unified Evaluation Framework for Crystal Generative Models",
        "2025", arxiv="2512.04562",
    ),
    _work(
        "wyformer", "a protocol of evaluation", "misc",
        "Nikita Kazeev; Wei Nong; Ignat Romanov; Ruiming Zhu; Andrey Ustyuzhanin; Shuya Yamazaki; Kedar Hippalgaonkar",
        "Wyckoff Transformer: Generation of Symmetric Crystals",
        "2025", arxiv="2503.02407",
    ),
    _work(
        "cdvae", "coverage and distances of distributions", "inproceedings",
        "Tian Xie; Xiang Fu; Octavian-Eugen Ganea; Regina Barzilay; Tommi Jaakkola",
        "Crystal Diffusion Variational Autoencoder for Periodic Material Generation",
        "2022", arxiv="2110.06197", booktitle="International Conference on Learning Representations",
    ),
    _work(
        "materials_project", "training structures, known structures and energies (CC BY 4.0)", "article",
        "Anubhav Jain; Shyue Ping Ong; Geoffroy Hautier; Wei Chen; William Davidson Richards; Stephen Dacek; "
        "Shreyas Cholia; Dan Gunter; David Skinner; Gerbrand Ceder; Kristin A. Persson",
        "Commentary: The Materials Project: A materials genome approach to accelerating materials innovation",
        "2013", doi="10.1063/1.4812323", journal="APL Materials", volume="1", pages="011002",
    ),
    _work(
        "pytorch", "tensors and networks", "inproceedings",
        "Adam Paszke; Sam Gross; Francisco Massa; Adam Lerer; James Bradbury; Gregory Chanan; others",
        "PyTorch: An Imperative Style, High-Performance Deep Learning Library",
        "2019", arxiv="1912.01703", booktitle="Advances in Neural Information Processing Systems", volume="32",
    ),
)  # fmt: skip

CITATIONS: dict[str, Citation] = {work.key: work for work in _WORKS}
"""All works by key."""


def citations(keys: Iterable[str]) -> list[Citation]:
    """The works of the keys, each once, in the order first named.

    Raises:
        UserError: A key is not in the table.
    """
    found = []
    for key in dict.fromkeys(keys):
        if key not in CITATIONS:
            raise UserError("citation", repr(key), f"one of {', '.join(sorted(CITATIONS))}")
        found.append(CITATIONS[key])
    return found
