// Checks the forms of the exercises' page. `book/kit/exercises.py` writes them; both count and hash alike.
(() => {
  const hash = (salt, key) =>
    [0x811c9dc5, 0x1000193].map((start) => {
      let value = start;
      for (const byte of new TextEncoder().encode(`${salt}:${key}`)) value = Math.imul(value ^ byte, 0x01000193);
      return (value >>> 0).toString(16).padStart(8, "0");
    }).join("");
  const bytes = (hexadecimal) => hexadecimal.match(/../g).map((two) => parseInt(two, 16));

  // Why the answer is right: a text that only the right answer makes readable.
  const opened = (salt, key, cipher) => {
    const data = bytes(cipher);
    const stream = Array.from({ length: Math.ceil(data.length / 8) }, (_, block) => bytes(hash(salt, `${key}:${block}`))).flat();
    return new TextDecoder().decode(Uint8Array.from(data, (byte, i) => byte ^ stream[i]));
  };

  // What was typed, as a number; NaN if it is none.
  const number = (text) => {
    const plain = text.trim().replace("\u2212", "-").replace(",", ".").replace(/\s*%$/, "");
    return /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(plain) ? Number(plain) : NaN;
  };

  const verdict = (form) => {
    const { name, kind, step, right, because, mistakes, unit } = form.dataset;
    const typed = new FormData(form).get("answer") ?? "";
    if (kind === "choice" && !typed) return ["open", "Choose one of them first."];
    const value = number(typed);
    if (kind === "number" && Number.isNaN(value)) return ["open", "Type a number, such as 0.42."];
    const keyOf = (given) => String(Math.floor(given / Number(step) + 0.5));
    const accepted = right.split(" ");
    const place = (key) => accepted.indexOf(hash(name, key));
    const key = kind === "choice" ? typed : keyOf(value);
    if (place(key) >= 0) {
      // A number may be one step off; the one in the middle is the solution's.
      const own = accepted.length > 1 ? String(Number(key) + 1 - place(key)) : key;
      return ["right", `\u2713 Right. ${opened(name, own, because)}`];
    }
    const otherUnit = unit && [value / 100, value * 100].some((other) => place(keyOf(other)) >= 0);
    const says = JSON.parse(mistakes)[hash(name, key)] ?? (otherUnit ? unit : "");
    return ["wrong", `\u2717 Not yet. ${says}`.trim()];
  };

  for (const form of document.querySelectorAll("form.exercise"))
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const [state, says] = verdict(form);
      form.dataset.state = state;
      form.querySelector("[role=status]").textContent = says;
    });
})();
