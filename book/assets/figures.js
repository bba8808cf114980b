// Draws the Plotly figures of a page: `book/_extensions/plotly_page.py` leaves each as a div with its JSON.
// Plotly itself (1.5 MB) is loaded once, from the book, and only by a page that has a figure.
(() => {
  const plotly = new URL("vendor/plotly.js", document.currentScript.src);
  const figures = document.querySelectorAll(".plotly-figure");
  if (figures.length === 0) return;

  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  // Text, grid and legend in the colours of the page, so that a figure reads on light and dark.
  const themed = (layout) => {
    const text = colour("--pst-color-text-base");
    const faint = colour("--pst-color-border");
    const page = colour("--pst-color-background");
    const clear = "rgba(0,0,0,0)";
    const result = {
      ...layout,
      paper_bgcolor: clear,
      plot_bgcolor: clear,
      font: { family: getComputedStyle(document.body).fontFamily, ...layout.font, color: text },
      legend: { ...layout.legend, bgcolor: clear },
      hoverlabel: { ...layout.hoverlabel, bgcolor: page, bordercolor: faint, font: { color: text } },
      modebar: { bgcolor: clear, color: faint, activecolor: text },
    };
    for (const axis of Object.keys({ xaxis: 0, yaxis: 0, ...layout }).filter((key) => /^[xy]axis\d*$/.test(key)))
      result[axis] = { ...layout[axis], gridcolor: faint, linecolor: faint, zerolinecolor: faint };
    for (const menu of ["sliders", "updatemenus"])
      if (layout[menu]) result[menu] = layout[menu].map((m) => ({ ...m, bgcolor: page, bordercolor: faint, font: { ...m.font, color: text } }));
    return result;
  };

  // A sheet of paper is narrower than the screen, and no figure goes on overleaf.
  const PAPER = { width: 640, height: 860 };
  let printing = false;
  const sized = (layout) => printing
    ? { ...layout, width: PAPER.width, height: Math.min(layout.height ?? 450, PAPER.height) }
    : { ...layout, autosize: true, width: undefined };

  const draw = (div) => {
    const { data, layout = {}, config = {}, frames } = JSON.parse(div.querySelector("script").textContent);
    const target = div.querySelector(".plotly-drawing");
    const show = () => Plotly.react(target, { data, layout: themed(sized(layout)), frames,
      config: { ...config, responsive: true, displaylogo: false } });
    show();
    // The theme's switch, and the system's.
    new MutationObserver(show).observe(document.documentElement, { attributeFilter: ["data-theme"] });
    for (const when of ["beforeprint", "afterprint"])
      addEventListener(when, () => {
        printing = when === "beforeprint";
        show();
      });
  };

  const script = document.createElement("script");
  script.src = plotly.href;
  script.onload = async () => {
    // The first screen at once; then one figure after the other, with the page usable between them.
    const [first, later] = [true, false].map((near) =>
      [...figures].filter((div) => (div.getBoundingClientRect().top < innerHeight) === near));
    first.forEach(draw);
    for (const div of later) {
      await new Promise((done) => setTimeout(done));
      draw(div);
    }
  };
  document.head.append(script);
})();
