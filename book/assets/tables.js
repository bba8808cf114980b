// Makes the tables of `book/kit/figures/sortable.py` sortable and narrow, shows one panel of a choice
// at a time, marks where a table goes on, and keeps columns that a cell prints. Without this script
// everything is there, below each other.
(() => {
  const make = (tag, attributes = {}, ...children) => {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    element.append(...children);
    return element;
  };
  let count = 0;
  const list = (label, names) => {
    const id = `table-choice-${(count += 1)}`;
    const select = make("select", { id }, ...names.map((name) => make("option", { value: name }, name)));
    return [make("p", { class: "table-choice" }, make("label", { for: id }, label), " ", select), select];
  };
  // What a change did, for who cannot see it.
  const spoken = () => make("p", { class: "table-spoken", role: "status" });

  // ---- sorting: highest first for numbers, then lowest first, then the order of the page
  const DIRECTIONS = ["descending", "ascending"];

  // A column of numbers goes by the number that a cell begins with: "1,234.5", "−78.1", "66.2 [61, 71]".
  const numberIn = (cell) => parseFloat(cell.firstChild?.textContent.replaceAll(",", "").replace("−", "-"));

  const sortBy = (table, head, place, say) => {
    const body = table.tBodies[0];
    const rows = [...body.rows];
    rows.forEach((row, index) => { row.dataset.order ??= index; });
    const cell = (row) => row.cells[place];
    const numbers = "numbers" in head.dataset;
    const directions = numbers ? DIRECTIONS : [...DIRECTIONS].reverse();
    const now = directions.indexOf(head.getAttribute("aria-sort"));
    const direction = directions[now + 1] ?? "none";
    const key = (row) => (numbers ? numberIn(cell(row)) : cell(row).textContent.trim());
    const missing = (row) => (numbers ? Number.isNaN(key(row)) : ["", "–"].includes(key(row)));
    const sign = direction === "descending" ? -1 : 1;
    rows.sort((one, two) => {
      const inOrder = one.dataset.order - two.dataset.order;
      if (direction === "none") return inOrder;
      if (missing(one) || missing(two)) return missing(one) - missing(two) || inOrder;
      const [a, b] = [key(one), key(two)];
      const difference = numbers ? a - b : a.localeCompare(b, "en", { numeric: true });
      return sign * difference || inOrder;
    });
    for (const other of table.tHead.querySelectorAll("[aria-sort]")) other.setAttribute("aria-sort", "none");
    head.setAttribute("aria-sort", direction);
    body.append(...rows);
    say.textContent = direction === "none" ? "In the order of the page"
      : `Sorted by ${head.dataset.words}, ${direction}`;
  };

  // A head's place among the cells of a row: heads of columns stand in one line or in two.
  const columnHeads = (table) => {
    const [first, second] = table.tHead.rows;
    const below = second ? [...second.cells] : [];
    return [...first.cells].flatMap((head) => (head.colSpan > 1 || head.scope === "colgroup" ? below.splice(0, head.colSpan) : [head]));
  };

  const sorting = (box) => {
    const table = box.querySelector("table");
    const say = spoken();
    box.append(say);
    columnHeads(table).forEach((head, place) => {
      const button = make("button", { type: "button", "aria-label": `Sort by ${head.dataset.words}` });
      button.append(...head.childNodes, make("span", { class: "sortable-sign", "aria-hidden": "true" }));
      head.append(button);
      head.setAttribute("aria-sort", "none");
      button.addEventListener("click", () => sortBy(table, head, place, say));
    });
  };

  // ---- columns: one band of them at a time
  const bands = (box) => {
    const table = box.querySelector("table");
    // Of each head its cells; a head that several share has its band, too.
    const banded = [...table.tHead.querySelectorAll("[data-band]")].map((head) => [head, head.dataset.band]);
    const names = [...new Set(banded.map(([, band]) => band))];
    if (names.length < 2) return;
    const [choice, select] = list("Columns", [...names, "all"]);
    columnHeads(table).forEach((head, place) => {
      for (const row of head.dataset.band ? table.tBodies[0].rows : []) banded.push([row.cells[place], head.dataset.band]);
    });
    const show = () => banded.forEach(([cell, band]) => { cell.hidden = select.value !== "all" && band !== select.value; });
    select.addEventListener("change", show);
    box.querySelector(".sortable-scroll").before(choice);
    show();
  };

  // ---- panels: one at a time, the same all over the page and on the next one, for each label
  const key = (label) => `table-${label.toLowerCase()}`;
  const remembered = (label) => { try { return sessionStorage.getItem(key(label)); } catch { return null; } };
  const remember = (label, title) => { try { sessionStorage.setItem(key(label), title); } catch { /* then not */ } };

  // A switch is a group of radio buttons: arrow keys move in it, and a finger finds each.
  const radios = (label, titles) => {
    const name = `table-switch-${(count += 1)}`;
    const buttons = titles.map((title) => make("input", { type: "radio", name, value: title }));
    const group = make("fieldset", { class: "table-switch" }, make("legend", {}, label),
      ...buttons.map((button) => make("label", {}, button, ` ${button.value}`)));
    return [group, { get value() { return buttons.find((b) => b.checked)?.value; },
      set value(title) { for (const b of buttons) b.checked = b.value === title; },
      addEventListener: (...given) => group.addEventListener(...given) }];
  };

  const choosing = (boxes) => {
    const shows = boxes.map((box) => {
      const label = box.dataset.label;
      const panels = [...box.querySelectorAll(":scope > .choice-panel")];
      const titles = panels.map((panel) => panel.dataset.title);
      const [choice, select] = ("switch" in box.dataset ? radios : list)(label, titles);
      const say = spoken();
      box.prepend(choice, say);
      const show = (wanted, title) => {
        if (wanted !== label || !titles.includes(title)) return;
        select.value = title;
        panels.forEach((panel) => {
          panel.hidden = panel.dataset.title !== title;
          panel.querySelector(":scope > .choice-title").hidden = true;
        });
      };
      select.addEventListener("change", () => {
        const title = select.value;
        remember(label, title);
        shows.forEach((other) => other(label, title));
        say.textContent = `Showing ${title}`;
      });
      show(label, titles[0]);
      return show;
    });
    for (const label of new Set(boxes.map((box) => box.dataset.label)))
      shows.forEach((show) => show(label, remembered(label)));
  };

  // ---- a table that goes on to the right fades there, until its end is in view
  const mark = (box) =>
    box.classList.toggle("goes-on", box.scrollWidth - box.clientWidth - box.scrollLeft > 1);
  const marking = (box) => {
    const sizes = new ResizeObserver(() => mark(box));
    sizes.observe(box);
    const table = box.querySelector("table");
    if (table) sizes.observe(table);
    box.addEventListener("scroll", () => mark(box), { passive: true });
  };

  document.querySelectorAll(".sortable").forEach((box) => { sorting(box); bands(box); });
  const scrolls = ":is(.sortable-scroll, .table-scroll, .pst-scrollable-table-container, .cell_output):has(table)";
  document.querySelectorAll(scrolls).forEach(marking);
  document.querySelectorAll(".picker-shown").forEach((shown) =>  // drawn anew with each choice
    new MutationObserver(() => shown.querySelectorAll(scrolls).forEach(marking)).observe(shown, { childList: true }));

  // ---- what a cell prints in columns, two or more to a line, keeps them on a phone and scrolls
  for (const printed of document.querySelectorAll(".cell_output .output pre")) {
    const lines = printed.textContent.split("\n").filter((line) => /\S {2,}\S.* {2,}\S/.test(line));
    if (lines.length < 2) continue;
    printed.classList.add("in-columns");
    marking(printed);
  }
  choosing([...document.querySelectorAll(".choice")]);
})();
