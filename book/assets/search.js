// Below each page that the search finds: the passage that has the words. From a file, Sphinx's own search cannot fetch
// the pages that it would quote; `book/_extensions/excerpts.py` has written their text into one script, EXCERPTS.
(() => {
  const AROUND = 90; // characters on either side
  const asked = (new URLSearchParams(location.search).get("q") ?? "").toLowerCase().split(/[^\p{L}\p{N}_]+/u).filter(Boolean);
  const longer = asked.filter((word) => word.length > 1); // a letter by itself stands in every word
  const words = longer.length ? longer : asked;

  // The words lie closest together where the most of them begin within one passage.
  const passage = (text) => {
    const low = text.toLowerCase();
    let best = -1, most = 0;
    for (const word of words)
      for (let at = low.indexOf(word); at >= 0; at = low.indexOf(word, at + 1)) {
        const near = low.slice(Math.max(at - AROUND, 0), at + AROUND);
        const count = words.filter((other) => near.includes(other)).length;
        if (count > most) [best, most] = [at, count];
      }
    if (best < 0) return "";
    const from = Math.max(text.lastIndexOf(" ", Math.max(best - AROUND, 0)) + 1, 0);
    const to = text.indexOf(" ", best + AROUND);
    return `${from ? "… " : ""}${text.slice(from, to < 0 ? text.length : to)}${to < 0 ? "" : " …"}`;
  };

  const quote = (item) => {
    const link = item.querySelector("a");
    if (!link || item.querySelector(".search-excerpt")) return;
    const page = new URL(link.href).pathname.replace(/\.html$/, "");
    const name = Object.keys(window.EXCERPTS).filter((key) => page.endsWith(`/${key}`)).sort((a, b) => b.length - a.length)[0];
    const text = passage(window.EXCERPTS[name] ?? "");
    if (!text) return;
    const line = document.createElement("p");
    line.className = "search-excerpt";
    const parts = text.split(new RegExp(`(${words.map((w) => w.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")).join("|")})`, "giu"));
    parts.forEach((part, at) => line.append(at % 2 ? Object.assign(document.createElement("mark"), { textContent: part }) : part));
    item.append(line);
  };

  document.addEventListener("DOMContentLoaded", () => {
    const results = document.getElementById("search-results");
    if (!results || !words.length) return;
    const once = () => { // a page that is found by its title and by a word of it is one page
      const seen = new Set();
      for (const item of results.querySelectorAll("ul.search > li")) {
        const link = item.querySelector("a");
        const name = link && `${link.textContent} ${new URL(link.href).pathname}`;
        if (seen.has(name)) item.hidden = true;
        else if (name) seen.add(name);
      }
    };
    const look = () => { results.querySelectorAll("ul.search > li").forEach(quote); once(); };
    new MutationObserver(look).observe(results, { childList: true, subtree: true });
    look();
  });
})();
