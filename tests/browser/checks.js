// What test_pages.py asks of an open page. Each returns the offenders, so [] is good.

// Wide things that neither fit nor scroll: nobody could see their right-hand part.
const cutOff = () => {
  const scrolls = (thing) => {
    for (let box = thing; box && box.tagName !== "BODY"; box = box.parentElement)
      if (["auto", "scroll"].includes(getComputedStyle(box).overflowX)) return true;
    return false;
  };
  const wide = "table, pre, img, .plotly-drawing, .idea, mjx-container";
  return [...document.querySelectorAll(wide)]
    .filter((thing) => thing.getBoundingClientRect().width > 0)
    .filter((thing) => thing.getBoundingClientRect().right > innerWidth + 1 && !scrolls(thing))
    .map((thing) => thing.outerHTML.slice(0, 120));
};

// Pictures that cannot be read aloud. Sphinx writes a file's name where there are no words.
const withoutWords = () => {
  const named = (thing) => (thing.getAttribute("aria-labelledby") ?? "").split(" ")
    .map((id) => document.getElementById(id)?.textContent ?? "").join(" ");
  const words = (thing) =>
    (thing.getAttribute("aria-label") ?? thing.getAttribute("alt") ?? named(thing)).trim();
  return [...document.querySelectorAll("article img, article [role=img], article [role=figure]")]
    .filter((thing) => thing.ariaHidden !== "true")
    .filter((thing) => words(thing).length < 8 || /\.(png|jpe?g|svg|gif)$/.test(words(thing)))
    .map((thing) => thing.outerHTML.slice(0, 120));
};

// Text of drawings against the page behind it, by WCAG's contrast (4.5 for small text).
const hardToRead = () => {
  const luminance = (colour) => {
    const [r, g, b] = colour.match(/[\d.]+/g).slice(0, 3).map((value) => value / 255)
      .map((value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = luminance(getComputedStyle(document.body).backgroundColor);
  const contrast = (front) =>
    (Math.max(front, behind) + 0.05) / (Math.min(front, behind) + 0.05);
  const texts = ".xtick text, .ytick text, .xtitle, .ytitle, .legendtext, .gtitle, .idea text";
  return [...document.querySelectorAll(texts)]
    .filter((text) => contrast(luminance(getComputedStyle(text).fill)) < 4.5)
    .map((text) => text.textContent);
};
