// On paper a page is light, and what is folded lies open: but for code and the hints of exercises.
(() => {
  const page = document.documentElement;
  let theme, opened = [];
  addEventListener("beforeprint", () => {
    theme = page.dataset.theme;
    page.dataset.theme = "light";
    if (document.querySelector("form.exercise")) return;
    opened = [...document.querySelectorAll("article details:not([open], .hide)")];
    for (const fold of opened) fold.open = true;
  });
  addEventListener("afterprint", () => {
    page.dataset.theme = theme;
    for (const fold of opened) fold.open = false;
    opened = [];
  });
})();
