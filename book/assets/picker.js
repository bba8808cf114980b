// The picker: two runs of one test set, compared in the page. `book/kit/figures/picker.py` packs the runs.
// First the numbers (the same as `book.kit.stats`; tests/kit/test_picker.py checks that), then the page.
(() => {
  const MISSING = 4095, STEPS = 4094, DRAWS = 2000;
  const DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  const MEASURES = {
    ACC: "Accuracy", F1: "F1", AUC: "AUC", dice_nodule: "Dice, nodule",
    dice_class_mean: "Dice, images of the class", dice_paper_mean: "Dice, all images",
    inconsis_cls: "Contradictions, T1 and T3", inconsis_seg2: "Contradictions, T2 and T3",
    inconsis_seg3_benign: "Contradictions, benign maps",
    inconsis_seg3_malignant: "Contradictions, malignant maps",
  };
  const MEANS = {
    dice_paper_mean: ["dice_paper_benign", "dice_paper_malignant"],
    dice_class_mean: ["dice_class_benign", "dice_class_malignant"],
  };

  // ---------------------------------------------------------------------------------- the numbers

  const unpacked = (text) => Int32Array.from({ length: text.length / 2 },
    (_, i) => 64 * DIGITS.indexOf(text[2 * i]) + DIGITS.indexOf(text[2 * i + 1]));

  // A generator of numbers in [0, 1) from a seed (mulberry32), so that a link shows the same again.
  const generator = (seed) => () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };

  // A run as numerator and denominator per image for each ratio, and its ranks.
  const opened = (set, run) => {
    const label = [...set.label].map((c) => (c === "-" ? -1 : +c));
    const n = label.length, ratios = {};
    const ratio = (name, num, den) => {
      const all = { num: Float64Array.from({ length: n }, (_, i) => (den(i) ? num(i) : 0)),
        den: Float64Array.from({ length: n }, (_, i) => den(i)) };
      if (all.den.some((d) => d > 0)) ratios[name] = all;
    };
    const rank = run.rank ? unpacked(run.rank) : null;
    const guess = rank && Array.from(rank, (r) => (r === MISSING ? -1 : +(r >= run.benign)));
    const known = rank && label.map((l, i) => l >= 0 && guess[i] >= 0);
    if (rank) {
      ratio("ACC", (i) => +(guess[i] === label[i]), (i) => +known[i]);
      ratio("F1", (i) => +(label[i] === 1 && guess[i] === 1),
        (i) => (known[i] ? ((label[i] === 1) + (guess[i] === 1)) / 2 : 0));
    }
    if (rank && run.seg)
      ratio("inconsis_cls", (i) => +(run.seg[i] !== String(guess[i])),
        (i) => +(guess[i] >= 0 && run.seg[i] !== "x"));
    for (const [name, text] of Object.entries(run.columns)) {
      const steps = unpacked(text);
      ratio(name, (i) => steps[i] / STEPS, (i) => +(steps[i] !== MISSING));
      const truth = name.startsWith("dice_paper_") && set.truth[name.slice(11)];
      if (truth)
        ratio(name.replace("paper", "class"), (i) => steps[i] / STEPS,
          (i) => +(steps[i] !== MISSING && truth[i] === "1"));
    }
    const images = known ? label.map((_, i) => i).filter((i) => known[i]) : [];
    const malignant = images.filter((i) => label[i] === 1).length;
    const curve = malignant > 0 && malignant < images.length ? { rank, images } : null;
    return { run, label, ratios, guess, known, curve, n };
  };

  const measures = (one) => Object.keys(MEASURES).filter((name) => (name === "AUC" ? one.curve
    : (MEANS[name] ?? [name]).every((part) => one.ratios[part])));

  // Weighted share of malignant-benign pairs in order, ties half; entries sorted, with tie groups.
  const area = (entries, weight) => {
    let below = 0, pairs = 0, malignant = 0, benign = 0, m = 0, b = 0;
    for (let k = 0; k < entries.length; k++) {
      const { value, truth } = entries[k], w = weight(entries[k]);
      if (truth) m += w; else b += w;
      if (k + 1 === entries.length || entries[k + 1].value !== value) {
        pairs += m * (below + b / 2);
        below += b; malignant += m; benign += b; m = 0; b = 0;
      }
    }
    return pairs / (malignant * benign);
  };

  const sorted = (one, value) => one.curve.images
    .map((image) => ({ image, value: value(image), truth: one.label[image] === 1 }))
    .sort((a, b) => a.value - b.value);

  // Average ranks from 1, as a table's rank() gives them: a scale that both runs share.
  const averaged = (one) => {
    const entries = sorted(one, (i) => one.curve.rank[i]), result = {};
    for (let k = 0; k < entries.length;) {
      let end = k;
      while (end < entries.length && entries[end].value === entries[k].value) end++;
      for (let j = k; j < end; j++) result[entries[j].image] = (k + 1 + end) / 2;
      k = end;
    }
    return result;
  };

  const perPatient = (set, one, name) => (MEANS[name] ?? [name]).map((part) => {
    const num = new Float64Array(set.patients), den = new Float64Array(set.patients);
    const { num: n, den: d } = one.ratios[part];
    for (let i = 0; i < one.n; i++) { num[set.patient[i]] += n[i]; den[set.patient[i]] += d[i]; }
    return { num, den };
  });

  const mean = (values) => values.reduce((a, b) => a + b, 0) / values.length;
  const weighted = (parts, weights) => mean(parts.map(({ num, den }) => {
    let a = 0, b = 0;
    for (let p = 0; p < num.length; p++) { a += weights[p] * num[p]; b += weights[p] * den[p]; }
    return a / b;
  }));

  // numpy's quantile: linear between the order statistics.
  const quantile = (values, q) => {
    const at = q * (values.length - 1), low = Math.floor(at);
    return values[low] + (at - low) * ((values[low + 1] ?? values[low]) - values[low]);
  };
  const interval = (drawn, shift) => {
    const there = Float64Array.from(drawn.filter((v) => !Number.isNaN(v))).sort();
    return there.length ? [quantile(there, 0.025) + shift, quantile(there, 0.975) + shift]
      : [NaN, NaN];
  };

  // Every measure that both runs have: values, difference a less b, intervals over patients, p.
  const compare = (packed, nameA, nameB, { draws = DRAWS, permutations = DRAWS, seed = 1 } = {}) => {
    const patient = unpacked(packed.patient);
    const set = { ...packed, patient, patients: Math.max(-1, ...patient) + 1 };
    const [a, b] = [nameA, nameB].map((k) => opened(set, packed.runs[k]));
    const inBoth = measures(a).filter((name) => measures(b).includes(name));
    const random = generator(seed);
    const weights = Array.from({ length: draws }, () => {
      const counts = new Float64Array(set.patients);
      for (let p = 0; p < set.patients; p++) counts[Math.floor(random() * set.patients)]++;
      return counts;
    });
    const swaps = Array.from({ length: permutations },
      () => Float64Array.from({ length: set.patients }, () => +(random() < 0.5)));
    const ones = new Float64Array(set.patients).fill(1);
    const rows = {};
    for (const name of inBoth) {
      const exact = [a, b].map((one) => one.run.exact[name]);
      let under, swapped;
      if (name === "AUC") {
        const entries = [a, b].map((one) => sorted(one, (i) => one.curve.rank[i]));
        under = (w) => entries.map((each) => area(each, ({ image }) => w[patient[image]]));
        const ranks = [a, b].map(averaged);
        const both = [a, b].flatMap((one, side) => sorted(one, (i) => ranks[side][i])
          .map((entry) => ({ ...entry, side }))).sort((x, y) => x.value - y.value);
        swapped = (s) => [0, 1].map((other) =>
          area(both, ({ image, side }) => +((side ^ s[patient[image]]) === other)));
      } else {
        const parts = [a, b].map((one) => perPatient(set, one, name));
        under = (w) => parts.map((each) => weighted(each, w));
        swapped = (s) => [0, 1].map((other) => mean(parts[0].map((_, k) => {
          let num = 0, den = 0;
          for (let p = 0; p < set.patients; p++) {
            const from = parts[other ^ s[p]][k];
            num += from.num[p]; den += from.den[p];
          }
          return num / den;
        })));
      }
      const here = under(ones), drawn = weights.map(under);
      const shift = here.map((value, side) => exact[side] - value); // what the steps rounded off
      const difference = here[0] - here[1];
      const large = swaps.filter((s) => {
        const [one, two] = swapped(s);
        return !(Math.abs(one - two) < Math.abs(difference) - 1e-10);
      }).length;
      rows[name] = {
        a: exact[0], b: exact[1], difference: exact[0] - exact[1], computed: here,
        a_interval: interval(drawn.map((d) => d[0]), shift[0]),
        b_interval: interval(drawn.map((d) => d[1]), shift[1]),
        interval: interval(drawn.map((d) => d[0] - d[1]), shift[0] - shift[1]),
        p: (large + 1) / (permutations + 1),
      };
    }
    return { rows, patients: set.patients, images: a.n, runs: [a, b].map((one) => ({
      roc: roc(one), contradictions: contradictions(one), cost: one.run.cost })) };
  };

  const roc = (one) => {
    if (!one.curve) return null;
    const entries = sorted(one, (i) => -one.curve.rank[i]);
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
  const number = (value, signed = false) => (value === undefined || Number.isNaN(value) ? "–"
    : (signed && value >= 0 ? "+" : "") + (100 * value).toFixed(1)).replace("-", "−");
  const range = ([low, high], signed) => `[${number(low, signed)}, ${number(high, signed)}]`;
  const chance = (p) => (p < 0.0005 ? "< .001" : p.toFixed(3).replace(/^0/, ""));

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
    const ends = names.flatMap((m) => rows[m].interval.map((v) => Math.abs(100 * v)).filter((v) => !Number.isNaN(v)));
    const most = Math.max(1, ...ends) * 1.08, x = (v) => left + (width - 2 * left) * (0.5 + (100 * v) / most / 2);
    const tick = [1, 2, 5, 10, 20, 50].find((t) => t * 2.5 >= most) ?? 50;
    const ticks = [-2, -1, 0, 1, 2].map((k) => k * tick).filter((t) => Math.abs(t) < most);
    return `<svg viewBox="0 0 ${width} ${height}" role="img" aria-label="Differences in points with 95 % intervals; the table below has the numbers.">
      ${ticks.map((t) => `<line class="${t ? "picker-grid" : "picker-zero"}" x1="${x(t / 100)}" x2="${x(t / 100)}" y1="4" y2="${height - 26}"/>
        <text class="picker-tick" x="${x(t / 100)}" y="${height - 8}">${t > 0 ? "+" : ""}${String(t).replace("-", "−")}</text>`).join("")}
      ${names.map((m, k) => {
    const { difference, interval: [low, high] } = rows[m], y = k * step + 26;
    const clear = low > 0 || high < 0;
    return `<text x="${left}" y="${y - 9}">${escaped(MEASURES[m])}</text>
      <line class="picker-bar" x1="${x(low)}" x2="${x(high)}" y1="${y}" y2="${y}"/>
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
    const [ka, kb] = ["a", "b"].map((side) => packed.runs.findIndex(
      (run) => run.name === choice[side] && run.seed === +choice.seed));
    const runs = [packed.runs[ka], packed.runs[kb]], titles = runs.map((run) => run.title);
    const compared = compare(packed, ka, kb);
    const names = Object.keys(compared.rows), [a, b] = titles.map(escaped);
    const clear = names.filter((m) => compared.rows[m].interval[0] > 0 || compared.rows[m].interval[1] < 0);
    said.textContent = ka === kb ? "The same run twice: choose another system to compare it with."
      : !names.length ? `${titles[0]} and ${titles[1]} have no measure in common.`
        : `${titles[0]} less ${titles[1]}, ${compared.images} test images of ${compared.patients} patients, seed ${choice.seed}: ${
          clear.length ? "intervals without 0: " + clear.map((m) => `${MEASURES[m]} ${number(compared.rows[m].difference, true)}`).join("; ")
            : "no interval leaves out 0"}.`;
    const cost = (key, unit, digits) => runs.map((run) => (run.cost[key] == null ? "–" : (run.cost[key] / unit).toFixed(digits)));
    const counted = compared.runs.map((one) => one.contradictions);
    shown.innerHTML = `
      <div class="picker-charts">${names.length ? `<figure><figcaption>${a} less ${b}, points</figcaption>${forest(compared.rows)}
        <p><small>Filled: the 95 % interval leaves out 0. Hollow: it does not.</small></p></figure>` : ""}
      <figure><figcaption>ROC: <span class="picker-key picker-a">${a}</span> solid, <span class="picker-key picker-b">${b}</span> dashed</figcaption>${
  curves(compared, titles)}</figure></div>
      ${table(["in % and points", a, b, "difference", "p"], names.map((m) => {
    const r = compared.rows[m];
    return [MEASURES[m], `<b>${number(r.a)}</b> <small>${range(r.a_interval)}</small>`, `<b>${number(r.b)}</b> <small>${range(r.b_interval)}</small>`,
      `<b>${number(r.difference, true)}</b> <small>${range(r.interval, true)}</small>`, chance(r.p)];
  }), "Measures, with 95 % intervals over patients; p of a permutation test, not corrected")}
      ${table(["test images", "all", "T1 and T3 agree", "differ: only T1 right", "differ: only T3 right", "T3 sees no nodule"],
    [a, b].map((title, k) => (counted[k] ? [title, counted[k].images, counted[k].agree, counted[k].T1, counted[k].T3, counted[k].none]
      : [title, "–", "–", "–", "–", "–"])), "Contradictions, counted; a dash: the system lacks one of the tasks")}
      ${table(["cost of the run", a, b], [["parameters, million", ...cost("parameters", 1e6, 1)], ["forward, GFLOP an image", ...cost("flops", 1e9, 2)],
    ["minutes", ...cost("seconds", 60, 1)], ["memory, MB", ...cost("memory", 1, 0)]], "What each cost")}`;
  };

  const options = (select, entries, chosen) => {
    select.innerHTML = entries.map(([value, text]) => `<option value="${escaped(value)}">${escaped(text)}</option>`).join("");
    const values = entries.map(([value]) => String(value));
    select.value = values.includes(String(chosen)) ? chosen : values[0];
    return select.value;
  };

  form.innerHTML = [["data", "Images"], ["a", "System"], ["b", "compared with"], ["seed", "Seed"]]
    .map(([name, text]) => `<label>${text} <select name="${name}"></select></label>`).join("")
    + '<button type="button">Swap</button>';
  const fields = Object.fromEntries(["data", "a", "b", "seed"].map((name) => [name, form.elements[name]]));

  const wanted = () => ({ ...start, ...Object.fromEntries(new URLSearchParams(location.hash.slice(1))) });

  const update = async (choice) => {
    const key = options(fields.data, Object.entries(sets), choice.data);
    try {
      const packed = await load(key);
      if (fields.data.value !== key) return; // another was chosen in the meantime
      const systems = [...new Map(packed.runs.map((run) => [run.name, run.title]))];
      const a = options(fields.a, systems, choice.a);
      const b = options(fields.b, systems, systems.some(([name]) => name === choice.b) ? choice.b : systems.at(-1)[0]);
      const seeds = (name) => packed.runs.filter((run) => run.name === name).map((run) => run.seed);
      const shared = seeds(a).filter((seed) => seeds(b).includes(seed));
      const seed = shared.length ? options(fields.seed, shared.map((s) => [s, s]), choice.seed) : options(fields.seed, [["", "–"]], "");
      history.replaceState(null, "", `#${new URLSearchParams({ data: key, a, b, seed })}`);
      if (shared.length) show(packed, { a, b, seed });
      else { said.textContent = "These two systems have no seed in common here."; shown.innerHTML = ""; }
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
