"use strict";
// Ball-and-stick drawing of periodic structures on a plain canvas: works without a GPU and prints.
const Viewer = (() => {
  const dot = (a, b) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
  const cross = (a, b) => [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];
  const scaled = (a, s) => [a[0] * s, a[1] * s, a[2] * s];
  const unit = (a) => scaled(a, 1 / (Math.hypot(...a) || 1));
  const rows = (flat) => [flat.slice(0, 3), flat.slice(3, 6), flat.slice(6, 9)];
  const cartesian = (f, m) => [0, 1, 2].map((k) => f[0] * m[0][k] + f[1] * m[1][k] + f[2] * m[2][k]);
  const turned = (r, p) => [dot(r[0], p), dot(r[1], p), dot(r[2], p)];
  const product = (a, b) => a.map((row) => [0, 1, 2].map((k) => row[0] * b[0][k] + row[1] * b[1][k] + row[2] * b[2][k]));

  // Atoms inside the cell and on its boundary (each face, edge and corner is completed), bonds and cell edges.
  function build(structure, which, elements, repeat) {
    const cell = structure[which];
    const m = rows(cell.lattice);
    const atoms = [];
    const edge = 0.02;
    structure.numbers.forEach((z, i) => {
      const f = cell.frac.slice(3 * i, 3 * i + 3);
      const images = f.map((x) => {
        const found = [];
        for (let n = -1; n <= repeat; n++) if (x + n > -edge && x + n < repeat + edge) found.push(x + n);
        return found;
      });
      for (const a of images[0]) for (const b of images[1]) for (const c of images[2])
        atoms.push({ z: String(z), at: cartesian([a, b, c], m) });
    });
    completeGroups(atoms, structure, cell, m, elements, repeat);
    const mixed = structure.numbers.some((z) => elements[z].metal) && structure.numbers.some((z) => !elements[z].metal);
    const bonds = [];
    for (let i = 0; i < atoms.length; i++) for (let j = 0; j < i; j++) {
      const p = elements[atoms[i].z], q = elements[atoms[j].z];
      if (mixed && p.metal && q.metal) continue;
      const d = Math.hypot(...atoms[i].at.map((x, k) => x - atoms[j].at[k]));
      if (d > 0.4 && d < 1.15 * (p.radius + q.radius)) bonds.push([i, j]);
    }
    const edges = [];
    const corner = (a, b, c) => cartesian([a, b, c], m);
    for (let a = 0; a <= repeat; a++) for (let b = 0; b <= repeat; b++) for (let n = 0; n < repeat; n++) {
      edges.push([corner(n, a, b), corner(n + 1, a, b)], [corner(a, n, b), corner(a, n + 1, b)], [corner(a, b, n), corner(a, b, n + 1)]);
    }
    const centre = scaled(corner(1, 1, 1), repeat / 2);
    let reach = 1;
    for (const p of [...atoms.map((a) => a.at), ...edges.flat()]) reach = Math.max(reach, Math.hypot(...p.map((x, k) => x - centre[k])));
    return { atoms, bonds, edges, centre, reach: reach + 0.6, axes: m, elements };
  }

  // Molecules and polyanions cut by the boundary get the neighbours that belong to them, one bond out.
  function completeGroups(atoms, structure, cell, m, elements, repeat) {
    const light = structure.numbers.map((z, i) => i).filter((i) => !elements[structure.numbers[i]].metal);
    if (light.length < 2 || light.length > 80) return;
    const images = light.flatMap((i) => {
      const found = [];
      for (let a = -1; a <= repeat; a++) for (let b = -1; b <= repeat; b++) for (let c = -1; c <= repeat; c++)
        found.push({ z: String(structure.numbers[i]), at: cartesian([a, b, c].map((n, k) => cell.frac[3 * i + k] + n), m) });
      return found;
    });
    const apart = (p, q) => Math.hypot(p.at[0] - q.at[0], p.at[1] - q.at[1], p.at[2] - q.at[2]);
    const centres = atoms.filter((atom) => !elements[atom.z].metal);
    for (const image of images) {
      const bonded = centres.some((p) => {
        const d = apart(p, image);
        return d > 0.4 && d < 1.15 * (elements[p.z].radius + elements[image.z].radius);
      });
      if (bonded && !centres.some((p) => apart(p, image) < 0.1)) atoms.push(image);
    }
  }

  // Looking along b with c up, tilted so that depth shows.
  function standardView(m) {
    return product(tilt(-0.3, 0.42), along(m, 1));
  }

  // Looking down one lattice vector, with another one up.
  function along(m, axis) {
    const out = unit(scaled(m[axis], axis === 1 ? -1 : 1));
    const guide = m[axis === 2 ? 1 : 2];
    const up = unit(guide.map((x, k) => x - dot(guide, out) * out[k]));
    return [cross(up, out), up, out];
  }

  function tilt(x, y) {
    const [cx, sx, cy, sy] = [Math.cos(x), Math.sin(x), Math.cos(y), Math.sin(y)];
    return product([[1, 0, 0], [0, cx, sx], [0, -sx, cx]], [[cy, 0, -sy], [0, 1, 0], [sy, 0, cy]]);
  }

  const channels = (hex) => [1, 3, 5].map((k) => parseInt(hex.slice(k, k + 2), 16));
  const mixedWith = (hex, other, share) => {
    const a = channels(hex), b = channels(other);
    return `rgb(${a.map((x, k) => Math.round(x * (1 - share) + b[k] * share)).join(",")})`;
  };

  // A shaded ball, drawn once for each element and then copied at any size.
  const sprites = new Map();
  function sprite(colour) {
    if (!sprites.has(colour)) {
      const size = 128, canvas = document.createElement("canvas");
      canvas.width = canvas.height = size;
      const g = canvas.getContext("2d");
      const shade = g.createRadialGradient(size * 0.36, size * 0.32, size * 0.03, size * 0.5, size * 0.5, size * 0.5);
      shade.addColorStop(0, mixedWith(colour, "#ffffff", 0.82));
      shade.addColorStop(0.28, mixedWith(colour, "#ffffff", 0.2));
      shade.addColorStop(0.7, mixedWith(colour, "#000000", 0.12));
      shade.addColorStop(1, mixedWith(colour, "#000000", 0.55));
      g.fillStyle = shade;
      g.beginPath();
      g.arc(size / 2, size / 2, size / 2 - 1, 0, 7);
      g.fill();
      sprites.set(colour, canvas);
    }
    return sprites.get(colour);
  }

  // In Å: part of the covalent radius as ball and stick, nearly all of it at full size.
  const ballRadius = (look, large) => (large ? 0.92 * look.radius : 0.36 * look.radius + 0.1);

  function draw(canvas, scene, state) {
    const ratio = window.devicePixelRatio || 1;
    const width = canvas.clientWidth, height = canvas.clientHeight;
    if (!width || !height) return;
    if (canvas.width !== Math.round(width * ratio)) canvas.width = Math.round(width * ratio);
    if (canvas.height !== Math.round(height * ratio)) canvas.height = Math.round(height * ratio);
    const g = canvas.getContext("2d");
    g.setTransform(ratio, 0, 0, ratio, 0, 0);
    g.clearRect(0, 0, width, height);
    const style = getComputedStyle(document.documentElement);
    const paper = style.getPropertyValue("--panel").trim(), ink = style.getPropertyValue("--soft").trim();
    const zoom = (state.zoom * Math.min(width, height)) / (2 * scene.reach);
    const far = scene.reach * 6.5;
    const place = (p) => {
      const [x, y, z] = turned(state.view, p.map((v, k) => v - scene.centre[k]));
      const near = far / (far - z);
      return { x: width / 2 + x * zoom * near, y: height / 2 - y * zoom * near, z, s: zoom * near };
    };
    const fog = (z) => Math.max(0, Math.min(0.55, 0.3 - (0.33 * z) / scene.reach));
    const items = [];
    const spots = scene.atoms.map((atom) => {
      const spot = place(atom.at), look = scene.elements[atom.z];
      spot.r = spot.s * ballRadius(look, state.large);
      spot.look = look;
      items.push({ z: spot.z, kind: 0, spot });
      return spot;
    });
    for (const [a, b] of scene.edges) {
      // Short pieces, so that atoms cover exactly what lies behind them.
      for (let k = 0; k < 6; k++) {
        const p = a.map((v, i) => v + ((b[i] - v) * k) / 6), q = a.map((v, i) => v + ((b[i] - v) * (k + 1)) / 6);
        const from = place(p), to = place(q);
        items.push({ z: (from.z + to.z) / 2, kind: 1, from, to });
      }
    }
    if (state.bonds && !state.large) for (const [i, j] of scene.bonds) {
      const a = scene.atoms[i], b = scene.atoms[j];
      const middle = place(a.at.map((v, k) => (v + b.at[k]) / 2));
      for (const [p, q] of [[a, b], [b, a]]) {
        // From the surface of the ball, so that a bond towards the reader does not seem to start at its centre.
        const out = unit(q.at.map((v, k) => v - p.at[k])), r = 0.93 * ballRadius(scene.elements[p.z], false);
        const from = place(p.at.map((v, k) => v + out[k] * r));
        items.push({ z: (from.z + middle.z) / 2, kind: 2, from, to: middle, colour: p.z });
      }
    }
    items.sort((p, q) => p.z - q.z);
    g.lineCap = "butt";
    for (const item of items) {
      if (item.kind === 0) {
        const { x, y, r, look, z } = item.spot;
        g.drawImage(sprite(look.colour), x - r, y - r, 2 * r, 2 * r);
        const veil = fog(z);
        if (veil > 0.02) {
          g.globalAlpha = veil;
          g.fillStyle = paper;
          g.beginPath();
          g.arc(x, y, r + 0.3, 0, 7);
          g.fill();
          g.globalAlpha = 1;
        }
        if (state.labels && r > 5) {
          g.font = `600 ${Math.max(9, Math.min(16, r * 0.9))}px system-ui, sans-serif`;
          g.textAlign = "center";
          g.textBaseline = "middle";
          const [red, green, blue] = channels(look.colour);
          g.fillStyle = red * 0.3 + green * 0.59 + blue * 0.11 > 135 ? "#10151c" : "#ffffff";
          g.fillText(look.symbol, x, y + 0.5);
        }
      } else if (item.kind === 1) {
        g.globalAlpha = 1 - fog(item.z);
        g.strokeStyle = ink;
        g.lineWidth = 1.1;
        segment(g, item.from, item.to);
        g.globalAlpha = 1;
      } else {
        const broad = Math.max(1.5, item.from.s * 0.17), colour = scene.elements[item.colour].colour;
        for (const [share, tone, amount] of [[1, "#000000", 0.45], [0.72, "#000000", 0.12], [0.3, "#ffffff", 0.35]]) {
          g.strokeStyle = mixedWith(colour, tone, amount);
          g.lineWidth = broad * share;
          segment(g, item.from, item.to);
        }
        g.globalAlpha = fog(item.z);
        g.strokeStyle = paper;
        g.lineWidth = broad + 0.5;
        segment(g, item.from, item.to);
        g.globalAlpha = 1;
      }
    }
    if (!state.small) compass(g, scene.axes, state.view, width - 52, height - 48, ink);
  }

  function segment(g, from, to) {
    g.beginPath();
    g.moveTo(from.x, from.y);
    g.lineTo(to.x, to.y);
    g.stroke();
  }

  function compass(g, axes, view, x, y, ink) {
    const arrows = axes.map((v, k) => ({ name: "abc"[k], p: turned(view, unit(v)) })).sort((a, b) => a.p[2] - b.p[2]);
    g.font = "italic 13px Georgia, serif";
    g.textAlign = "center";
    g.textBaseline = "middle";
    g.lineWidth = 1.8;
    for (const { name, p } of arrows) {
      g.strokeStyle = g.fillStyle = ink;
      segment(g, { x, y }, { x: x + p[0] * 26, y: y - p[1] * 26 });
      g.fillText(name, x + p[0] * 37, y - p[1] * 37);
    }
  }

  // Two elements of one crystal must not look alike: the heavier one gets darker until they differ.
  function distinct(elements, structures) {
    const beside = new Map();
    for (const { numbers } of structures) for (const p of numbers) for (const q of numbers) if (q < p) beside.set(`${p} ${q}`, [p, q]);
    const pairs = [...beside.values()].sort((a, b) => a[0] - b[0]);
    for (const [p, q] of pairs) {
      for (let k = 0; k < 3; k++) {
        const a = channels(elements[p].colour), b = channels(elements[q].colour);
        if (Math.hypot(...a.map((v, i) => v - b[i])) >= 90) break;
        const light = a[0] + a[1] + a[2] < 170;
        elements[p].colour = `#${a.map((v) => Math.round(light ? v * 0.5 + 120 : v * 0.68).toString(16).padStart(2, "0")).join("")}`;
      }
    }
  }

  return { build, draw, standardView, along, tilt, product, distinct };
})();
