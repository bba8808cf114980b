// The picker: two systems compared in the page. `book/kit/figures/picker.py` packs their runs.
// What the rule says of every pair is in the packed file; curves and counts are made here, from answers.
(() => {
  const MISSING = 4095;
  const DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  const MEASURES = {
    ACC: "Accuracy", F1: "F1", AUC: "AUC", dice_nodule: "Dice, nodule",
    dice_class_mean: "Dice, images of the class", dice_paper_mean: "Dice, all images",
    inconsis_cls: "Contradictions, T1 and T3", inconsis_seg2: "Contradictions, T2 and T3",
    inconsis_seg3_benign: "Contradictions, benign maps",
    inconsis_seg3_malignant: "Contradictions, malignant maps",
  };

  // ---------------------------------------------------------------------------------- the numbers

  const unpacked = (text) => Int32Array.from({ length: text.length / 2 },
    (_, i) => 64 * DIGITS.indexOf(text[2 * i]) + DIGITS.indexOf(text[2 * i + 1]));

  // A training's answers to its test images.
  const opened = (packed, run) => {
    const label = [...packed.tests[run.test]].map((c) => (c === "-" ? -1 : +c));
    const rank = run.rank ? unpacked(run.rank) : null;
    const guess = rank && Array.from(rank, (r) => (r === MISSING ? -1 : +(r >= run.benign)));
    const known = rank && label.map((l, i) => l >= 0 && guess[i] >= 0);
    const images = known ? label.map((_, i) => i).filter((i) => known[i]) : [];
    const malignant = images.filter((i) => label[i] === 1).length;
    return { run, label, guess, known, rank,
      curve: malignant > 0 && malignant < images.length ? images : null };
  };

  const sorted = (one, value) => one.curve
    .map((image) => ({ image, value: value(image), truth: one.label[image] === 1 }))
    .sort((a, b) => a.value - b.value);

  // A training by its seed, and its fold if it has one.
  const keyOf = ({ seed, fold }) => (fold ? `${seed}.${fold}` : `${seed}`);
  const calledBy = (key) => { const [seed, fold] = `${key}`.split("."); return `seed ${seed}${fold ? `, fold ${fold}` : ""}`; };

  // Every measure that both systems have, in per cent and points: what the rule says of the pair.
  const compare = (packed, a, b, training) => {
    const sides = [packed.systems[a], packed.systems[b]], turned = a > b;
    const pair = packed.pairs[turned ? `${b},${a}` : `${a},${b}`] ?? { of: [], rows: [] };
    const rows = {};
    for (const name of Object.keys(MEASURES)) {
      const same = a === b && sides[0].levels[name] && [0, 0, 0, 1, 0];
      const found = same || pair.rows[packed.measures.indexOf(name)];
      if (!found) continue;
      const [difference, low, high, p, clear] = found;
      const less = (v) => (v === null ? null : 0 - v);
      rows[name] = {
        a: sides[0].levels[name], b: sides[1].levels[name], p, clear: clear === 1,
        difference: turned ? less(difference) : difference,
        interval: turned ? [less(high), less(low)] : [low, high],
      };
    }
    const [trainings, images, patients] = pair.of;
    return { rows, trainings, images, patients, runs: sides.map((system) => {
      const one = opened(packed, system.runs.find((run) => keyOf(run) === `${training}`) ?? system.runs[0]);
      return { roc: roc(one), contradictions: contradictions(one), cost: system.cost };
    }) };
  };

  const roc = (one) => {
    if (!one.curve) return null;
    const entries = sorted(one, (i) => -one.rank[i]);
    const all = entries.filter((e) => e.truth).length, points = [[0, 0]];
    let x = 0, y = 0;
    entries.forEach(({ value, truth }, k) => {
      if (truth) y++; else x++;
      if (entries[k + 1]?.value !== value) points.push([x / (entries.length - all), y / all]);
    });
    return points;
  };

  const contradictions = (one) => {
    if (!one.known || !one.run.seg) return null;
    const counts = { images: 0, agree: 0, T1: 0, T3: 0, none: 0 };
    one.label.forEach((label, i) => {
      if (!one.known[i] || one.run.seg[i] === "x") return;
      counts.images++;
      if (one.run.seg[i] === "-") counts.none++;
      else if (+one.run.seg[i] === one.guess[i]) counts.agree++;
      else counts[one.guess[i] === label ? "T1" : "T3"]++;
    });
    return counts;
  };

  if (typeof module !== "undefined") { module.exports = { compare }; return; }

  // ------------------------------------------------------------------------------------- the page

  const box = document.querySelector(".picker");
  if (!box) return;
  const folder = new URL("pick/", document.currentScript.src);
  const { sets, start } = JSON.parse(box.dataset.given);
  const [form, said, shown] = ["form", ".picker-said", ".picker-shown"].map((s) => box.querySelector(s));
  const loaded = () => (globalThis.pickerSets ??= {});

  const escaped = (text) => String(text).replace(/[&<>"]/g, (c) => `&#${c.charCodeAt(0)};`);
  const number = (value, signed = false) => (value === null || value === undefined ? "–"
    : (signed && value > 0 ? "+" : "") + value.toFixed(1)).replace("-", "−");
  const range = ([low, high], signed) => `[${number(low, signed)}, ${number(high, signed)}]`;
  const level = ([value, low, high]) => `<b>${number(value)}</b> <small>${range([low, high])}</small>`;
  const chance = (p) => (p === null ? "–" : p < 0.001 ? "< .001" : p.toFixed(3).replace(/^0/, ""));

  const load = (key) => new Promise((done, failed) => {
    if (loaded()[key]) return done(loaded()[key]);
    const script = document.createElement("script");
    script.src = new URL(`${key.replaceAll("/", "-")}.js`, folder).href;
    script.onload = () => done(loaded()[key]);
    script.onerror = () => failed(new Error(`The data of ${sets[key]} could not be read.`));
    document.head.append(script);
  });

  const table = (head, rows, caption) => `<p class="picker-caption">${caption}</p>
    <div class="table-scroll" tabindex="0"><table class="dataframe" aria-label="${caption}"><thead><tr>${head.map((h) => `<th scope="col">${h}</th>`).join("")}</tr></thead>
    <tbody>${rows.map(([name, ...cells]) => `<tr><th scope="row">${name}</th>${
    cells.map((c) => `<td>${c}</td>`).join("")}</tr>`).join("")}</tbody></table></div>`;

  // Differences as dots with bars about a line at 0, in points.
  const forest = (rows) => {
    const names = Object.keys(rows), step = 34, left = 8, width = 320, height = names.length * step + 34;
    const ends = names.flatMap((m) => rows[m].interval.map(Math.abs));
    const most = Math.max(1, ...ends) * 1.08, x = (v) => left + (width - 2 * left) * (0.5 + v / most / 2);
    const tick = [1, 2, 5, 10, 20, 50].find((t) => t * 2.5 >= most) ?? 50;
    const ticks = [-2, -1, 0, 1, 2].map((k) => k * tick).filter((t) => Math.abs(t) < most);
    return `<svg viewBox="0 0 ${width} ${height}" role="img" aria-label="Differences in points with 95 % intervals; the table below has the numbers.">
      ${ticks.map((t) => `<line class="${t ? "picker-grid" : "picker-zero"}" x1="${x(t)}" x2="${x(t)}" y1="4" y2="${height - 26}"/>
        <text class="picker-tick" x="${x(t)}" y="${height - 8}">${t > 0 ? "+" : ""}${String(t).replace("-", "−")}</text>`).join("")}
      ${names.map((m, k) => {
    const { difference, interval: [low, high], clear } = rows[m], y = k * step + 26;
    return `<text x="${left}" y="${y - 9}">${escaped(MEASURES[m])}</text>
      <line class="picker-bar" x1="${x(low ?? difference)}" x2="${x(high ?? difference)}" y1="${y}" y2="${y}"/>
      <circle class="${clear ? "picker-clear" : "picker-open"}" cx="${x(difference)}" cy="${y}" r="5"/>`;
  }).join("")}</svg>`;
  };

  const curves = (compared, titles) => {
    const lines = compared.runs.map((one, k) => one.roc && `<polyline class="picker-line picker-${"ab"[k]}" points="${
      one.roc.map(([x, y]) => `${(30 + 260 * x).toFixed(1)},${(270 - 260 * y).toFixed(1)}`).join(" ")}"/>`).filter(Boolean);
    if (!lines.length) return "<p>Neither system gives a class, so there is no ROC curve.</p>";
    const told = compared.runs.map((one, k) => (one.roc ? titles[k] : `${titles[k]} (gives no class)`)).join("; ");
    return `<svg viewBox="0 0 320 310" role="img" aria-label="ROC curves of ${escaped(told)}; the areas are in the table.">
      <rect class="picker-frame" x="30" y="10" width="260" height="260"/><line class="picker-grid" x1="30" y1="270" x2="290" y2="10"/>
      ${lines.join("")}<text class="picker-tick" x="160" y="300">1 − specificity</text>
      <text class="picker-tick" transform="translate(12 140) rotate(-90)">sensitivity</text>
      ${[0, 1].map((t) => `<text class="picker-tick" x="${30 + 260 * t}" y="284">${t}</text><text class="picker-tick" x="22" y="${275 - 260 * t}">${t}</text>`).join("")}</svg>`;
  };

  const show = (packed, choice) => {
    const [ka, kb] = ["a", "b"].map((side) => packed.systems.findIndex((one) => one.name === choice[side]));
    const runs = [packed.systems[ka], packed.systems[kb]], titles = runs.map((run) => run.title);
    const compared = compare(packed, ka, kb, choice.seed);
    const names = Object.keys(compared.rows), [a, b] = titles.map(escaped);
    const clear = names.filter((m) => compared.rows[m].clear);
    said.textContent = ka === kb ? "The same system twice: choose another to compare it with."
      : !names.length ? `${titles[0]} and ${titles[1]} have no measure in common.`
        : `${titles[0]} compared with ${titles[1]}, ${compared.images} test images of ${compared.patients} patients, ${
          compared.trainings} training${compared.trainings === 1 ? "" : "s"} of each: ${
          clear.length ? "told apart by " + clear.map((m) => `${MEASURES[m]} ${number(compared.rows[m].difference, true)} points ${range(compared.rows[m].interval, true)}`).join("; ")
            : "not told apart"}.`;
    const cost = (key, unit, digits) => runs.map((run) => (run.cost[key] == null ? "–" : (run.cost[key] / unit).toFixed(digits)));
    const counted = compared.runs.map((one) => one.contradictions);
    shown.innerHTML = `
      <div class="picker-charts">${names.length ? `<figure><figcaption>${a} minus ${b}, points</figcaption>${forest(compared.rows)}
        <p><small>Filled: told apart, the corrected interval leaves out 0. Hollow: not told apart.</small></p></figure>` : ""}
      <figure><figcaption>ROC: <span class="picker-key picker-a">${a}</span> solid, <span class="picker-key picker-b">${b}</span> dashed</figcaption>${
  curves(compared, titles)}</figure></div>
      ${table(["in % and points", a, b, "difference", "p"], names.map((m) => {
    const r = compared.rows[m];
    return [MEASURES[m], level(r.a), level(r.b),
      `<b>${number(r.difference, true)}</b> <small>${range(r.interval, true)}</small>`, chance(r.p)];
  }), "Measures, with 95 % intervals over patients and trainings; differences and p are corrected for the measures of the pair. Each column rests on all trainings of a system, the difference on those that both have")}
      ${table(["test images", "all", "T1 and T3 agree", "differ: only T1 right", "differ: only T3 right", "T3 sees no nodule"],
    [a, b].map((title, k) => (counted[k] ? [title, counted[k].images, counted[k].agree, counted[k].T1, counted[k].T3, counted[k].none]
      : [title, "–", "–", "–", "–", "–"])), `Contradictions, counted in one training alone (${calledBy(choice.seed)}); a dash: the system lacks one of the tasks`)}
      ${table(["cost of the run", a, b], [["parameters, million", ...cost("parameters", 1e6, 1)], ["forward, GFLOP an image", ...cost("flops", 1e9, 2)],
    ["minutes", ...cost("seconds", 60, 1)], ["memory, MiB", ...cost("memory", 1, 0)]], "What the first training of each cost")}`;
  };

  const options = (select, entries, chosen) => {
    select.innerHTML = entries.map(([value, text]) => `<option value="${escaped(value)}">${escaped(text)}</option>`).join("");
    const values = entries.map(([value]) => String(value));
    select.value = values.includes(String(chosen)) ? chosen : values[0];
    return select.value;
  };

  form.innerHTML = [["data", "Images"], ["a", "System"], ["b", "compared with"], ["seed", "Curves of"]]
    .map(([name, text]) => `<label>${text} <select name="${name}"></select></label>`).join("")
    + '<button type="button">Swap</button>';
  const fields = Object.fromEntries(["data", "a", "b", "seed"].map((name) => [name, form.elements[name]]));

  const wanted = () => ({ ...start, ...Object.fromEntries(new URLSearchParams(location.hash.slice(1))) });

  const update = async (choice) => {
    const key = options(fields.data, Object.entries(sets), choice.data);
    try {
      const packed = await load(key);
      if (fields.data.value !== key) return; // another was chosen in the meantime
      const systems = packed.systems.map((one) => [one.name, one.title]);
      const a = options(fields.a, systems, choice.a);
      const b = options(fields.b, systems, systems.some(([name]) => name === choice.b) ? choice.b : systems.at(-1)[0]);
      const seeds = (name) => packed.systems.find((one) => one.name === name).runs.map(keyOf);
      const shared = seeds(a).filter((seed) => seeds(b).includes(seed));
      const seed = shared.length ? options(fields.seed, shared.map((key) => [key, calledBy(key)]), choice.seed) : options(fields.seed, [["", "–"]], "");
      history.replaceState(null, "", `#${new URLSearchParams({ data: key, a, b, seed })}`);
      if (shared.length) show(packed, { a, b, seed });
      else { said.textContent = "These two systems have no training in common here."; shown.innerHTML = ""; }
    } catch (error) { said.textContent = error.message; shown.innerHTML = ""; }
    box.dataset.ready = `${Number(box.dataset.ready ?? 0) + 1}`;
  };

  const current = () => Object.fromEntries(Object.entries(fields).map(([name, field]) => [name, field.value]));
  form.addEventListener("change", () => update(current()));
  form.addEventListener("submit", (event) => event.preventDefault());
  form.querySelector("button").addEventListener("click", () => {
    const { a, b, ...rest } = current();
    update({ ...rest, a: b, b: a });
  });
  addEventListener("hashchange", () => update(wanted()));
  update(wanted());
})();
