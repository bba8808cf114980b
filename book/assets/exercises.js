// Checks the forms of the exercises' page. `book/kit/exercises.py` writes them; both count and hash alike.
(() => {
  const hash = (salt, key) =>
    [0x811c9dc5, 0x1000193].map((start) => {
      let value = start;
      for (const byte of new TextEncoder().encode(`${salt}:${key}`)) value = Math.imul(value ^ byte, 0x01000193);
      return (value >>> 0).toString(16).padStart(8, "0");
    }).join("");

  // What was typed, as a number; NaN if it is none.
  const number = (text) => {
    const plain = text.trim().replace("\u2212", "-").replace(",", ".").replace(/\s*%$/, "");
    return /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(plain) ? Number(plain) : NaN;
  };

  const verdict = (form) => {
    const { name, kind, step, right, mistakes } = form.dataset;
    const typed = new FormData(form).get("answer") ?? "";
    if (kind === "choice" && !typed) return ["open", "Choose one of them first."];
    const value = number(typed);
    if (kind === "number" && Number.isNaN(value)) return ["open", "Type a number, such as 0.42."];
    const key = kind === "choice" ? typed : String(Math.floor(value / Number(step) + 0.5));
    const said = hash(name, key);
    if (right.split(" ").includes(said)) return ["right", "\u2713 Right."];
    return ["wrong", `\u2717 Not yet. ${JSON.parse(mistakes)[said] ?? ""}`.trim()];
  };

  for (const form of document.querySelectorAll("form.exercise"))
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const [state, says] = verdict(form);
      form.dataset.state = state;
      form.querySelector("[role=status]").textContent = says;
    });
})();
