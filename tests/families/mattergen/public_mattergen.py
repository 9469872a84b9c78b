"""The network of MatterGen's public code as plain loops over a state dict with its names, from the formulas.

One crystal at a time, one edge at a time; nothing of our network is used. Species are numbers 1 .. 101, 101 the
mask. Formulas: Gasteiger et al., GemNet, 2021, Fig. 2 and appendix; Zeni et al., MatterGen, 2025, A.8 and B.3.
"""

import itertools
import math

import torch
from torch.nn import functional as F

from nucleate.families.mattergen.published_names import expected

ROOT_HALF = 1 / math.sqrt(2)


def state_dict(shape, seed=0, dtype=torch.float32):
    """A state dict with the public names; its numbers are random, save the constants."""
    generator = torch.Generator().manual_seed(seed)
    wanted = expected(shape)
    out = {}
    for name, size in wanted.items():
        if name in wanted.constants:
            out[name] = wanted.constants[name].to(dtype)
        elif name.endswith(("scale_factor", ".stds")):
            out[name] = 0.5 + torch.rand(size, generator=generator, dtype=torch.float64).to(dtype)
        else:
            fan = size[-1] if len(size) == 2 else math.prod(size[:-1]) if len(size) == 3 else 4
            drawn = torch.randn(size, generator=generator, dtype=torch.float64) / math.sqrt(fan)
            out[name] = drawn.to(dtype)
    for name in list(out):  # one module by two names
        if ".seq_energy." in name:
            out[name] = out[name.replace(".seq_energy.", ".layers.")]
    return out


def act(x):
    return F.silu(x) / 0.6


def sinusoid(value, width):
    out = torch.zeros(width, dtype=torch.float64)
    for k in range(width // 2):
        frequency = math.exp(-math.log(10000.0) * 2 * k / width)
        out[2 * k], out[2 * k + 1] = math.sin(value * frequency), math.cos(value * frequency)
    return out


def graph(frac, lattice, cutoff, most, images=5):
    """Directed edges (source, target, vector from source to target), each followed at once by its mirror image.

    The nearest ``most`` of each target; of these the edges from lower to higher sites, or from an earlier image.
    """
    position = frac @ lattice
    cells = list(itertools.product(range(-images, images + 1), repeat=3))
    edges = []
    for target in range(len(frac)):
        near = []
        for source, cell in itertools.product(range(len(frac)), cells):
            at = position[source] + torch.tensor(cell, dtype=torch.float64) @ lattice
            square = float(((at - position[target]) ** 2).sum())
            if 1e-4 < square <= cutoff**2:
                near.append((round(square, 9), source, cell, position[target] - at))
        near.sort(key=lambda entry: entry[:3])
        for _, source, cell, vector in near[:most]:
            if source < target or (source == target and cell < (0, 0, 0)):
                edges += [(source, target, vector), (target, source, -vector)]
    return edges


def forward(sd, shape, numbers, frac, lattice, t, network, told=None):
    """Displacements, cell scores and logits of one crystal in double precision.

    ``told`` holds labels by public name of the adapter; those left out are unconditional.
    """
    sd = {name: value.double() for name, value in sd.items()}
    n = len(numbers)

    def dense(name, x):
        return x @ sd[f"gemnet.{name}.linear.weight"].T

    def linear(name, x):
        return x @ sd[name + ".weight"].T + sd[name + ".bias"]

    def residual(name, x):
        return (x + act(dense(name + ".dense_mlp.1", act(dense(name + ".dense_mlp.0", x))))) * ROOT_HALF

    def stack(name, x):
        x = act(dense(f"{name}.0", x))
        for k in range(1, shape.site_layers + 1):
            x = residual(f"{name}.{k}", x)
        return x

    edges = graph(frac, lattice, network["cutoff"], network["max_neighbors"])
    counter = [i + 1 if i % 2 == 0 else i - 1 for i in range(len(edges))]
    length = torch.stack([vector.norm() for *_, vector in edges])
    unit = torch.stack([vector / vector.norm() for *_, vector in edges])
    d = length / network["cutoff"]
    centre = sd["gemnet.radial_basis.rbf.offset"]
    gaussians = torch.exp(-0.5 / (centre[1] - centre[0]) ** 2 * (d[:, None] - centre) ** 2)
    rbf = (1 - 21 * d**5 + 35 * d**6 - 15 * d**7)[:, None] * gaussians * (d < 1)[:, None]

    h = sd["gemnet.atom_emb.embeddings.weight"][torch.tensor(numbers) - 1]
    h = linear("gemnet.atom_latent_emb", torch.cat([h, sinusoid(t, shape.time).expand(n, -1)], 1))

    def edge_embedding(name, h, known):
        rows = [torch.cat([h[s], h[to], known[e]]) for e, (s, to, _) in enumerate(edges)]
        return act(dense(name, torch.stack(rows)))

    m = edge_embedding("edge_emb.dense", h, rbf)
    cosines = F.cosine_similarity(unit[:, None], lattice[None], dim=-1)
    m = linear("gemnet.angle_edge_emb.2", torch.relu(linear("gemnet.angle_edge_emb.0", torch.cat([m, cosines], 1))))
    rbf3, rbf_h, rbf_out, rbf_cell = (
        dense(name, rbf) for name in ("mlp_rbf3", "mlp_rbf_h", "mlp_rbf_out", "mlp_rbf_lattice")
    )
    # Of each edge: circular basis c and degree l.
    radial = torch.einsum("er,lrc->ecl", rbf, sd["gemnet.mlp_cbf3.weight"])

    def heads(k, m):
        out, cell = f"out_blocks.{k}", f"lattice_out_blocks.{k}"
        force = stack(out + ".seq_forces", m) * dense(out + ".dense_rbf_F", rbf_out)
        force = dense(out + ".out_forces", force * sd[f"gemnet.{out}.scale_rbf_F.scale_factor"])
        strain = dense(cell + ".mlp.1", act(dense(cell + ".mlp.0", m))) * dense(cell + ".dense_rbf_F", rbf_cell)
        return force[:, 0], dense(cell + ".out_forces", strain)[:, 0] / len(edges)

    force, strain = heads(0, m)
    for k in range(shape.blocks):
        h = h + adapted(sd, shape, h, k, told or {}, linear)
        at = f"int_blocks.{k}"
        trip = at + ".trip_interaction"
        x = act(dense(trip + ".dense_ba", m)) * dense(trip + ".mlp_rbf", rbf3)
        x = act(dense(trip + ".down_projection", x * sd[f"gemnet.{trip}.scale_rbf.scale_factor"]))
        summed = torch.zeros(len(edges), shape.bilinear, dtype=torch.float64)
        for ca, (_, a, _) in enumerate(edges):
            for ba, (_, other, _) in enumerate(edges):
                if other == a and ba != ca:
                    y = legendre(float(unit[ca] @ unit[ba]), shape.degrees)
                    basis = radial[ca] @ y
                    summed[ca] += torch.einsum("t,c,tcu->u", x[ba], basis, sd[f"gemnet.{trip}.mlp_cbf.weight"])
        summed = summed * sd[f"gemnet.{trip}.scale_cbf_sum.scale_factor"]
        there = act(dense(trip + ".up_projection_ca", summed))
        back = act(dense(trip + ".up_projection_ac", summed))
        x = (there + back[torch.tensor(counter)]) * ROOT_HALF
        x = (act(dense(at + ".dense_ca", m)) + x) * ROOT_HALF
        for i in range(shape.before_skip):
            x = residual(f"{at}.layers_before_skip.{i}", x)
        m = (m + x) * ROOT_HALF
        for i in range(shape.after_skip):
            m = residual(f"{at}.layers_after_skip.{i}", m)
        weighted = m * dense(at + ".atom_update.dense_rbf", rbf_h)
        total = torch.zeros(n, shape.edge, dtype=torch.float64)
        for e, (_, to, _) in enumerate(edges):
            total[to] += weighted[e]
        update = stack(at + ".atom_update.layers", total * sd[f"gemnet.{at}.atom_update.scale_sum.scale_factor"])
        h = (h + update) * ROOT_HALF
        x = edge_embedding(at + ".concat_layer.dense", h, m)
        for i in range(shape.concatenated):
            x = residual(f"{at}.residual_m.{i}", x)
        m = (m + x) * ROOT_HALF
        more, stretch = heads(k + 1, m)
        force, strain = force + more, strain + stretch
    pushed, score = torch.zeros(n, 3, dtype=torch.float64), torch.zeros(3, 3, dtype=torch.float64)
    for e, (_, to, _) in enumerate(edges):
        pushed[to] += force[e] * unit[e]
        score += strain[e] * torch.outer(unit[e], unit[e])
    return torch.linalg.solve(lattice.T, pushed.T).T, score, linear("fc_atom", h)


def legendre(cosine, degrees):
    p = [1.0, cosine]
    for k in range(2, degrees):
        p.append(((2 * k - 1) * cosine * p[-1] - (k - 1) * p[-2]) / k)
    return torch.tensor([math.sqrt((2 * k + 1) / (4 * math.pi)) * p[k] for k in range(degrees)], dtype=torch.float64)


def adapted(sd, shape, h, block, told, linear):
    """What the adapters of the labels that are told add to the sites before a block."""
    total = torch.zeros_like(h)
    for name, label in told.items():
        at = f"property_embeddings_adapt.{name}."
        table = at + "conditional_embedding_module.embedding"
        if shape.kind(name) == "scalar":
            value = math.log10(label) if name == "ml_bulk_modulus" else label
            embedding = sinusoid(float((value - sd[at + "scaler.means"]) / sd[at + "scaler.stds"]), shape.hidden)
        elif shape.kind(name) == "categorical":
            embedding = sd[table + ".weight"][label - 1]
        else:
            hot = torch.zeros(101, dtype=torch.float64)
            hot[list(label)] = 1.0
            embedding = linear(table, hot)
        layer = f"gemnet.cond_adapt_layers.{name}.{block}"
        x = torch.relu(linear(layer + ".0", torch.cat([h, embedding.expand(len(h), -1)], 1)))
        total = total + linear(layer + ".2", x) @ sd[f"gemnet.cond_mixin_layers.{name}.{block}.weight"].T
    return total
