// SPDX-License-Identifier: GPL-2.0-only
// What the page can do beside being read: sort tables, show values under the pointer, copy commands.
"use strict";
(() => {
  const keyOf = (row, column) => {
    const cell = row.cells[column];
    return cell.dataset.v === undefined ? cell.textContent.trim().toLowerCase() : Number(cell.dataset.v);
  };
  const compare = (a, b) => {
    if (typeof a !== typeof b) return typeof a === "number" ? -1 : 1;
    return typeof a === "number" ? a - b : a.localeCompare(b, "en", {numeric: true});
  };
  const sort = (table, column) => {
    const heads = [...table.tHead.rows[0].cells];
    const number = heads[column].classList.contains("n");
    const was = heads[column].getAttribute("aria-sort");
    // Large numbers and early names come first; once more turns it round.
    const order = was ? (was === "ascending" ? "descending" : "ascending") : number ? "descending" : "ascending";
    for (const head of heads) head.removeAttribute("aria-sort");
    heads[column].setAttribute("aria-sort", order);
    const rows = [...table.tBodies[0].rows];
    const sign = order === "ascending" ? 1 : -1;
    rows.sort((a, b) => sign * compare(keyOf(a, column), keyOf(b, column)));
    table.tBodies[0].append(...rows);
  };
  for (const table of document.querySelectorAll("table.sortable"))
    [...table.tHead.rows[0].cells].forEach((head, column) => {
      if (!head.textContent) return;
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      button.addEventListener("click", () => sort(table, column));
      head.append(button);
    });

  const duration = (ns) => {
    for (const [unit, size] of [["s", 1e9], ["ms", 1e6], ["µs", 1e3]])
      if (ns >= size * 0.9995) return `${(ns / size).toPrecision(3).replace(/e\+?\d+$/, "")} ${unit}`;
    return `${Math.round(ns)} ns`;
  };
  // "M52.0 12.0H60.1V14.2..." as [[x, y] where it begins to fall, ...]
  const cornersOf = (path) => {
    let x = 0, y = 0;
    const corners = [];
    for (const [, what, first, second] of path.getAttribute("d").matchAll(/([MHV])([\d.]+)(?: ([\d.]+))?/g)) {
      if (what === "M") x = Number(first), y = Number(second);
      if (what === "H") x = Number(first);
      if (what === "V") corners.push([x, y]), y = Number(first);
    }
    corners.push([x, Infinity]);
    return corners;
  };
  const shareText = (share) => share >= 0.995 ? "all" : `p${Number((100 * (1 - share)).toPrecision(share > 0.1 ? 2 : 7))}`;
  for (const figure of document.querySelectorAll(".chart")) {
    const svg = figure.querySelector("svg"), cursor = svg.querySelector(".cursor");
    const [left, top, right, bottom] = svg.dataset.box.split(" ").map(Number);
    const low = Number(svg.dataset.low), high = Number(svg.dataset.high), depth = Number(svg.dataset.depth);
    const lines = [...svg.querySelectorAll(".line")].map((path) => [path.dataset.name, cornersOf(path)]);
    let tip = null;
    const hide = () => {
      if (tip) tip.remove();
      tip = null;
      cursor.setAttribute("d", "");
    };
    svg.addEventListener("pointermove", (event) => {
      const box = svg.getBoundingClientRect(), scale = svg.viewBox.baseVal.width / box.width;
      const y = (event.clientY - box.top) * scale;
      if (y < top || y > bottom) return hide();
      if (!tip) {
        tip = document.createElement("div");
        tip.className = "tip";
        figure.append(tip);
      }
      cursor.setAttribute("d", `M${left} ${y.toFixed(1)}H${right}`);
      const head = document.createElement("b");
      head.textContent = shareText(10 ** (-(y - top) / (bottom - top) * depth));
      const rows = lines.map(([name, corners]) => {
        const at = corners.find(([, until]) => until >= y) ?? corners[corners.length - 1];
        const row = document.createElement("div");
        row.textContent = `${name}: ${duration(10 ** (low + (at[0] - left) / (right - left) * (high - low)))}`;
        return row;
      });
      tip.replaceChildren(head, ...rows);
      const host = figure.getBoundingClientRect();
      const x = Math.min(Math.max(event.clientX - host.left + 14, 4), host.width - tip.offsetWidth - 4);
      tip.style.left = `${x}px`;
      tip.style.top = `${event.clientY - host.top + 14}px`;
    });
    svg.addEventListener("pointerleave", hide);
  }

  if (navigator.clipboard)
    for (const block of document.querySelectorAll(".code")) {
      const command = block.textContent;
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = "Copy";
      button.addEventListener("click", () => navigator.clipboard.writeText(command).then(() => {
        button.textContent = "Copied";
      }, () => {
        button.textContent = "Select and copy";
      }));
      block.prepend(button);
    }
})();
