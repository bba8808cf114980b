// What the theme and Sphinx leave without a name, or with one that hides the words on the screen.
document.addEventListener("DOMContentLoaded", () => {
  for (const fold of document.querySelectorAll(".toctree-l1 summary")) {
    const chapter = fold.closest("li").querySelector("a");
    fold.setAttribute("aria-label", `Pages under ${chapter.textContent.trim()}`);
  }
  // The book's name at the head of the contents belongs to a part of the page that has a name.
  const contents = document.querySelector("#pst-primary-sidebar");
  contents?.setAttribute("role", "complementary");
  contents?.setAttribute("aria-label", "The book and its contents");
  // An empty head, as pandas leaves it above the names of rows, heads nothing.
  for (const head of document.querySelectorAll("th:not([data-words])")) {
    if (head.textContent.trim() || head.querySelector("img, svg, input, button")) continue;
    const cell = document.createElement("td");
    for (const { name, value } of head.attributes) if (name !== "scope") cell.setAttribute(name, value);
    head.replaceWith(cell);
  }
  // These have words of their own: the label says others.
  const own = ".search-button-field, details.hide > summary, .toggle-button";
  for (const named of document.querySelectorAll(own)) {
    if (named.textContent.trim()) named.removeAttribute("aria-label");
  }
  // Its children are entries of a bibliography, which no list may hold, and whose own role is old.
  for (const part of document.querySelectorAll(".citation-list, .citation")) part.removeAttribute("role");
  // Parameters of a signature: a list of descriptions without terms is no definition list.
  for (const parameters of document.querySelectorAll("dt.sig > dl")) {
    parameters.setAttribute("role", "presentation");
    for (const one of parameters.children) one.setAttribute("role", "presentation");
  }
});
// A formula wider than the page is scrolled by keys, too.
addEventListener("load", async () => {
  await window.MathJax?.startup?.promise;
  for (const formula of document.querySelectorAll('mjx-container[display="true"]')) {
    if (formula.scrollWidth > formula.clientWidth) formula.tabIndex = 0;
  }
});
