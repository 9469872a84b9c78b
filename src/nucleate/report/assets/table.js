"use strict";
// Sorting, filtering and saving of the ranked table. The table itself is plain HTML.
const Table = (() => {
  const byId = (id) => document.getElementById(id);

  function save(name, type, content) {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([content], { type }));
    link.download = name;
    document.body.append(link);
    link.click();
    link.remove();
    setTimeout(() => URL.revokeObjectURL(link.href), 5000);
  }

  // Three significant digits, thousands in full, and a true minus sign.
  const compact = (value) => {
    const size = Math.abs(value);
    const shown = size >= 1000 && size < 1e6 ? Math.round(value).toLocaleString("en") : String(Number(value.toPrecision(3)));
    return shown.replace("-", "\u2212");
  };

  // Columns that are hidden at first travel as numbers and become cells here: as HTML they would be half of the page.
  function addColumns(table, columns) {
    const heads = [...table.tHead.rows[0].cells].filter((head) => head.dataset.column !== undefined);
    [...table.tBodies[0].rows].forEach((row, i) => {
      for (const head of heads) {
        const cell = document.createElement("td"), value = columns[head.dataset.column][i];
        cell.className = "num extra";
        cell.dataset.v = value ?? "";
        cell.textContent = value === null ? "\u2014" : compact(value);
        row.lastElementChild.before(cell);
      }
    });
  }

  function start(columns, cifOf, open) {
    const table = byId("ranked");
    if (!table) return;
    addColumns(table, columns);
    const body = table.tBodies[0];
    const rows = [...body.rows];
    const value = (row, column) => {
      const cell = row.cells[column];
      return cell.dataset.v ?? (cell.textContent === "\u2014" ? "" : cell.textContent);
    };

    // Rows without a value stay last in both directions.
    function sort(column, kind, direction) {
      const compare = (p, q) => {
        const a = value(p, column), b = value(q, column);
        if (a === "" || b === "") return (a === "") - (b === "");
        return direction * (kind === "number" ? Number(a) - Number(b) : a.localeCompare(b, "en", { numeric: true }));
      };
      rows.sort(compare);
      body.append(...rows);
    }
    [...table.tHead.rows[0].cells].forEach((head, column) => {
      head.querySelector("button")?.addEventListener("click", () => {
        const direction = head.getAttribute("aria-sort") === "ascending" ? -1 : 1;
        for (const other of table.tHead.rows[0].cells) if (other.hasAttribute("aria-sort")) other.setAttribute("aria-sort", "none");
        head.setAttribute("aria-sort", direction > 0 ? "ascending" : "descending");
        sort(column, head.dataset.kind, direction);
      });
    });

    const called = (name) => [...table.tHead.rows[0].cells].findIndex((head) => head.textContent.toLowerCase().startsWith(name));
    const energy = called("ehull"), formula = called("formula"), outcome = called("status");
    const flags = [...document.querySelectorAll("[data-flag]")];
    const columnOf = new Map(flags.map((box) => [box, called(box.dataset.flag)]));
    function filter() {
      const words = byId("find").value.toLowerCase().split(/\s+/).filter(Boolean);
      const status = byId("status").value, limit = byId("ehull").value;
      const wanted = flags.filter((box) => box.checked).map((box) => columnOf.get(box));
      let shown = 0;
      for (const row of rows) {
        const text = `${row.dataset.id} ${value(row, formula)} ${row.dataset.system}`.toLowerCase();
        const keep = words.every((word) => text.includes(word)) && (!status || value(row, outcome) === status) &&
          wanted.every((column) => value(row, column) === "yes") &&
          (limit === "" || (value(row, energy) !== "" && Number(value(row, energy)) <= Number(limit)));
        row.hidden = !keep;
        shown += keep;
      }
      byId("count").textContent = `${shown} of ${rows.length} shown`;
      byId("nomatch").hidden = shown > 0;
    }
    for (const id of ["find", "status", "ehull"]) byId(id).addEventListener("input", filter);
    for (const box of flags) box.addEventListener("change", filter);
    byId("more")?.addEventListener("change", (event) => table.classList.toggle("show-extra", event.target.checked));
    filter();

    const shown = () => rows.filter((row) => !row.hidden);
    byId("csv").addEventListener("click", () => {
      // A leading = + - @ would run as a formula in a spreadsheet, unless it starts a number.
      const quoted = (cell) => {
        const safe = /^[=+\-@]/.test(cell) && Number.isNaN(Number(cell)) ? `'${cell}` : cell;
        return /[",\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
      };
      const heads = [...table.tHead.rows[0].cells].slice(0, -1).map((head) => head.textContent.trim());
      const lines = shown().map((row) => [row.dataset.id, ...heads.map((_, k) => value(row, k))]);
      save("candidates.csv", "text/csv", [["id", ...heads], ...lines].map((line) => line.map(quoted).join(",")).join("\n") + "\n");
    });
    byId("cifs").addEventListener("click", () => {
      const texts = shown().map((row) => cifOf(row.dataset.id)).filter(Boolean);
      if (texts.length) save("candidates.cif", "chemical/x-cif", texts.join("\n"));
    });
    body.addEventListener("click", (event) => {
      const button = event.target.closest("button");
      if (!button) return;
      const id = button.closest("tr").dataset.id;
      if (button.classList.contains("view")) open(id, true);
      else save(`${id.replace(/[^\w.+-]/g, "-")}.cif`, "chemical/x-cif", cifOf(id));
    });
  }

  return { start, save };
})();
