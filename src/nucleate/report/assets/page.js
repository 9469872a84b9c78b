"use strict";
// Ties the page together: theme, tooltips, the 3-D view and its controls.
(() => {
  const root = document.documentElement;
  const byId = (id) => document.getElementById(id);
  const payload = JSON.parse(byId("payload").textContent);
  const { structures, elements, cifs } = payload;
  const index = new Map(structures.map((structure, i) => [structure.id, i]));
  root.classList.add("scripted");
  Viewer.distinct(elements, structures);

  // A CIF in P1 for a crystal that came without a file of its own.
  function plainCif(structure) {
    const cell = structure.relaxed || structure.generated;
    const m = [0, 3, 6].map((k) => cell.lattice.slice(k, k + 3));
    const length = m.map((v) => Math.hypot(...v));
    const angle = (i, j) => (Math.acos(m[i].reduce((s, x, k) => s + x * m[j][k], 0) / (length[i] * length[j])) * 180) / Math.PI;
    const lines = [
      `data_${structure.id.replace(/[^\w.+-]/g, "_")}`, "# symmetry was not searched: all atoms of the cell are listed",
      "_symmetry_space_group_name_H-M 'P 1'", "_symmetry_Int_Tables_number 1",
      ...["a", "b", "c"].map((n, k) => `_cell_length_${n} ${length[k].toFixed(5)}`),
      `_cell_angle_alpha ${angle(1, 2).toFixed(4)}`, `_cell_angle_beta ${angle(0, 2).toFixed(4)}`, `_cell_angle_gamma ${angle(0, 1).toFixed(4)}`,
      "loop_", "_symmetry_equiv_pos_as_xyz", "'x, y, z'", "loop_", "_atom_site_label", "_atom_site_type_symbol",
      "_atom_site_fract_x", "_atom_site_fract_y", "_atom_site_fract_z", "_atom_site_occupancy",
      ...structure.numbers.map((z, i) => {
        const s = elements[z].symbol;
        return `${s}${i} ${s} ${cell.frac.slice(3 * i, 3 * i + 3).map((x) => x.toFixed(5)).join(" ")} 1`;
      }),
    ];
    return lines.join("\n") + "\n";
  }
  const cifOf = (id) => (Object.hasOwn(cifs, id) ? cifs[id] : index.has(id) ? plainCif(structures[index.get(id)]) : "");

  let current = 0, scene = null;
  const state = { view: null, zoom: 1.08, bonds: true, labels: false, large: false };
  const canvas = byId("view");
  let pending = false;
  function redraw() {
    if (pending || !scene) return;
    pending = true;
    requestAnimationFrame(() => {
      pending = false;
      Viewer.draw(canvas, scene, state);
    });
  }

  function load(keepView) {
    const structure = structures[current];
    const asked = document.querySelector('[name="which"]:checked').value;
    for (const input of document.querySelectorAll('[name="which"]')) input.disabled = !structure[input.value];
    const which = structure[asked] ? asked : asked === "relaxed" ? "generated" : "relaxed";
    scene = Viewer.build(structure, which, elements, byId("super").checked ? 2 : 1);
    if (!keepView || !state.view) {
      state.view = Viewer.standardView(scene.axes);
      state.zoom = 1.08;
    }
    const lengths = scene.axes.map((v) => Math.hypot(...v));
    const legend = [...new Set(structure.numbers)].map((z) => {
      const entry = document.createElement("span"), ball = document.createElement("span");
      ball.className = "ball";
      ball.style.background = elements[z].colour;
      entry.append(ball, elements[z].symbol);
      return entry;
    });
    byId("elements").replaceChildren(...legend);
    const row = rowOf(structure.id);
    const cell = (name) => {
      const heads = [...document.querySelectorAll("#ranked thead th")];
      const k = heads.findIndex((head) => head.textContent.trim().startsWith(name));
      return row && k >= 0 ? row.cells[k] : null;
    };
    const volume = Math.abs(scene.axes[0][0] * (scene.axes[1][1] * scene.axes[2][2] - scene.axes[1][2] * scene.axes[2][1]) -
      scene.axes[0][1] * (scene.axes[1][0] * scene.axes[2][2] - scene.axes[1][2] * scene.axes[2][0]) +
      scene.axes[0][2] * (scene.axes[1][0] * scene.axes[2][1] - scene.axes[1][1] * scene.axes[2][0]));
    const group = cell(which === "relaxed" ? "Space group relaxed" : "Space group generated");
    const facts = [
      ["id", structure.id], ["shown", which], ["above hull", cell("Ehull")?.textContent, "eV/atom"], ["space group", group],
      ["a, b, c", lengths.map((v) => v.toFixed(2)).join(", "), "Å"], ["volume", volume.toFixed(1), "Å³"],
      ["status", cell("Status")?.textContent], ["novel", cell("Novel")?.textContent],
    ];
    byId("facts").replaceChildren(...facts.filter(([, v]) => v).flatMap(([name, v, unit]) => {
      const term = document.createElement("dt"), detail = document.createElement("dd");
      term.textContent = name;
      if (typeof v === "string") detail.textContent = unit && v.trim() !== "—" ? `${v} ${unit}` : v;
      else detail.append(...[...v.childNodes].map((node) => node.cloneNode(true)));
      return [term, detail];
    }));
    canvas.setAttribute("aria-label", `3-D view of ${structure.id}, ${which} structure, ${structure.numbers.length} atoms in the cell`);
    redraw();
  }
  const rowOf = (id) => [...document.querySelectorAll("#ranked tbody tr")].find((row) => row.dataset.id === id);

  // A cell of a few atoms says little by itself.
  const repeats = (structure) => (structure.numbers.length <= 4 ? 2 : 1);

  function choose(i) {
    current = (i + structures.length) % structures.length;
    byId("super").checked = repeats(structures[current]) > 1;
    byId("choose").value = String(current);
    for (const button of document.querySelectorAll("#thumbs button")) button.setAttribute("aria-pressed", String(Number(button.dataset.i) === current));
    document.querySelector("tr.chosen")?.classList.remove("chosen");
    rowOf(structures[current].id)?.classList.add("chosen");
    load(false);
  }
  function open(id, scroll) {
    if (!index.has(id)) return;
    choose(index.get(id));
    if (scroll) byId("structures").scrollIntoView({ block: "start" });
  }

  if (structures.length) {
    const list = byId("choose");
    structures.forEach((structure, i) => {
      const option = new Option("", String(i));
      const plain = document.createElement("span");
      plain.innerHTML = structure.formula; // markup made and escaped when the page was written
      option.textContent = `${i + 1}. ${plain.textContent} (${structure.id})`;
      list.append(option);
    });
    list.addEventListener("change", () => choose(Number(list.value)));
    byId("previous").addEventListener("click", () => choose(current - 1));
    byId("next").addEventListener("click", () => choose(current + 1));
    for (const input of document.querySelectorAll('[name="which"]')) input.addEventListener("change", () => load(true));
    for (const key of ["bonds", "labels", "large"]) byId(key).addEventListener("change", (event) => {
      state[key] = event.target.checked;
      redraw();
    });
    byId("super").addEventListener("change", () => load(true));
    for (const button of document.querySelectorAll("[data-along]")) button.addEventListener("click", () => {
      state.view = Viewer.along(scene.axes, Number(button.dataset.along));
      redraw();
    });
    byId("reset").addEventListener("click", () => load(false));
    byId("download").addEventListener("click", () => {
      const id = structures[current].id;
      Table.save(`${id.replace(/[^\w.+-]/g, "-")}.cif`, "chemical/x-cif", cifOf(id));
    });
    for (const shape of document.querySelectorAll("[data-open]")) shape.addEventListener("click", () => open(shape.dataset.open, true));

    const turn = (x, y) => {
      state.view = Viewer.product(Viewer.tilt(x, y), state.view);
      redraw();
    };
    const zoom = (factor) => {
      state.zoom = Math.max(0.3, Math.min(6, state.zoom * factor));
      redraw();
    };
    const pointers = new Map();
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      pointers.set(event.pointerId, [event.clientX, event.clientY]);
    });
    canvas.addEventListener("pointermove", (event) => {
      const last = pointers.get(event.pointerId);
      if (!last) return;
      const now = [event.clientX, event.clientY];
      if (pointers.size === 1) turn((last[1] - now[1]) * 0.009, (now[0] - last[0]) * -0.009);
      else {
        const [other] = [...pointers].filter(([id]) => id !== event.pointerId).map(([, p]) => p);
        const gap = (p) => Math.hypot(p[0] - other[0], p[1] - other[1]) || 1;
        zoom(gap(now) / gap(last));
      }
      pointers.set(event.pointerId, now);
    });
    for (const kind of ["pointerup", "pointercancel"]) canvas.addEventListener(kind, (event) => pointers.delete(event.pointerId));
    // The wheel scrolls the page until the view has been clicked.
    canvas.addEventListener("wheel", (event) => {
      if (document.activeElement !== canvas && !event.ctrlKey) return;
      event.preventDefault();
      zoom(Math.exp(-event.deltaY * 0.0014));
    }, { passive: false });
    canvas.addEventListener("keydown", (event) => {
      const moves = { ArrowLeft: [0, 0.12], ArrowRight: [0, -0.12], ArrowUp: [0.12, 0], ArrowDown: [-0.12, 0] };
      if (event.key in moves) turn(...moves[event.key]);
      else if (event.key === "+" || event.key === "=") zoom(1.15);
      else if (event.key === "-") zoom(1 / 1.15);
      else return;
      event.preventDefault();
    });
    new ResizeObserver(redraw).observe(canvas);

    const thumbs = structures.slice(0, 9).map((structure, i) => {
      const button = document.createElement("button"), picture = document.createElement("canvas");
      const name = document.createElement("b"), energy = document.createElement("span");
      button.type = "button";
      button.dataset.i = String(i);
      name.innerHTML = structure.formula; // markup made and escaped when the page was written
      const cells = rowOf(structure.id)?.querySelectorAll("td.num");
      energy.className = "faint";
      energy.textContent = cells ? `${cells[2].textContent} eV/atom` : structure.id;
      button.append(picture, name, energy);
      button.addEventListener("click", () => choose(i));
      return button;
    });
    byId("thumbs").append(...thumbs);
    const drawThumbs = () => thumbs.forEach((button, i) => {
      const small = Viewer.build(structures[i], structures[i].relaxed ? "relaxed" : "generated", elements, repeats(structures[i]));
      Viewer.draw(button.firstChild, small, { view: Viewer.standardView(small.axes), zoom: 1, bonds: true, small: true });
    });
    choose(0);
    drawThumbs();
    window.addEventListener("themechange", () => {
      redraw();
      drawThumbs();
    });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => window.dispatchEvent(new Event("themechange")));
  }
  Table.start(payload.columns, cifOf, open);

  byId("theme").addEventListener("click", () => {
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
    window.dispatchEvent(new Event("themechange"));
  });

  for (const button of document.querySelectorAll("[data-copy]")) button.addEventListener("click", async () => {
    const block = byId(button.dataset.copy);
    try {
      await navigator.clipboard.writeText(block.textContent);
      button.textContent = "Copied";
    } catch {
      getSelection().selectAllChildren(block); // a page from a file may not write to the clipboard
      button.textContent = "Selected";
    }
  });

  // Titles of plot marks become quick tooltips; they stay as labels for screen readers.
  const tip = byId("tip");
  for (const title of document.querySelectorAll("svg title")) {
    const shape = title.parentNode;
    shape.dataset.tip = title.textContent;
    shape.setAttribute("aria-label", title.textContent);
    title.remove();
  }
  document.addEventListener("pointermove", (event) => {
    const shape = event.target.closest?.("[data-tip]");
    tip.hidden = !shape;
    if (!shape) return;
    tip.textContent = shape.dataset.tip;
    tip.style.left = `${Math.min(event.clientX + 14, innerWidth - tip.offsetWidth - 8)}px`;
    tip.style.top = `${event.clientY + 18 + tip.offsetHeight > innerHeight ? event.clientY - tip.offsetHeight - 10 : event.clientY + 18}px`;
  });
})();
