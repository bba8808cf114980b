// Starts a deck of slides: the reader's light or dark, mathematics, figures, and reveal.js.
(() => {
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const theme = () => {
    const chosen = localStorage.getItem("mode"); // by the switch on the book's pages
    document.documentElement.dataset.theme = ["light", "dark"].includes(chosen) ? chosen : dark.matches ? "dark" : "light";
  };
  theme();
  dark.addEventListener("change", theme);

  window.MathJax = {
    loader: { load: ["core", "input/tex", "output/chtml", "a11y/assistive-mml"] },
    tex: { inlineMath: [["$", "$"]] },
  };

  document.addEventListener("DOMContentLoaded", async () => {
    await Reveal.initialize({ width: 1280, height: 720, margin: 0.03, hash: true, slideNumber: "c/t",
      transition: "none", viewDistance: Infinity, mobileViewDistance: Infinity });
    // A figure drawn before its slide was laid out has another width.
    const fit = () => {
      for (const figure of Reveal.getCurrentSlide().querySelectorAll(".js-plotly-plot")) Plotly.Plots.resize(figure);
    };
    Reveal.on("slidechanged", fit);
    fit();
    await MathJax.startup.promise;
    Reveal.layout();
  });
})();
