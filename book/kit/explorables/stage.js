// The square on which masks are moved, resized and painted: by mouse, finger, pen or keyboard.
import { make } from "./controls.js";
import { brush, decodeMask, ellipseText, encodeMask, readEllipse, SIZE } from "./masks.js";

const BRUSH = 5; // radius in pixels
const SCALE = 2; // the canvas has so many points for one pixel of a mask, for thin outlines
const within = (value, low, high) => Math.min(high, Math.max(low, value));

// Moves or resizes an ellipse by (dx, dy) pixels; what is left of it stays on the square.
const changeEllipse = (text, how, dx, dy) => {
  const shape = readEllipse(text);
  if (!shape) return text;
  if (how === "move") {
    shape.x = within(shape.x + dx, 0, SIZE);
    shape.y = within(shape.y + dy, 0, SIZE);
  } else {
    shape.a = within(shape.a + dx, 1, SIZE / 2);
    shape.b = within(shape.b + dy, 1, SIZE / 2);
  }
  return ellipseText(shape);
};

const arrow = (event) => {
  const far = event.shiftKey ? 8 : 1;
  return {
    ArrowLeft: [-far, 0], ArrowRight: [far, 0], ArrowUp: [0, -far], ArrowDown: [0, far],
  }[event.key];
};

// `masks`: for each mask the field that holds it, its name and mark, and on which side its handles
// lie (-1 left and top, 1 right and bottom), so that those of equal masks stay apart. `editing` and
// `tool` give the field under edit, and "move", "paint" or "erase". `paint` colours the square.
export const makeStage = ({ store, label, masks, editing, tool, visible = () => true, paint }) => {
  const canvas = make("canvas", {
    width: SIZE * SCALE, height: SIZE * SCALE, tabindex: "0", role: "application", "aria-label": label,
  });
  const element = make("div", { class: "stage" }, canvas);
  const context = canvas.getContext("2d");
  const cursor = { x: SIZE / 2, y: SIZE / 2 };
  const change = (field, how, dx, dy) =>
    store.set({ [field]: changeEllipse(store.state[field], how, dx, dy) });
  const stroke = (from, to) => {
    const field = editing();
    const mask = decodeMask(store.state[field]);
    brush(mask, from, to, BRUSH, tool() === "paint" ? 1 : 0);
    store.set({ [field]: encodeMask(mask) });
  };

  // Follows one pointer from press to release and reports each step, in pixels of the masks.
  const follow = (target, press, step) => {
    const place = (event) => {
      const box = canvas.getBoundingClientRect();
      const scale = SIZE / box.width;
      return { x: (event.clientX - box.left) * scale, y: (event.clientY - box.top) * scale };
    };
    let last = null;
    target.addEventListener("pointerdown", (event) => {
      if (event.button) return;
      target.setPointerCapture(event.pointerId);
      last = place(event);
      press(last);
    });
    target.addEventListener("pointermove", (event) => {
      if (!last) return;
      const here = place(event);
      step(last, here);
      last = here;
    });
    for (const end of ["pointerup", "pointercancel"])
      target.addEventListener(end, () => (last = null));
  };

  follow(canvas, (here) => tool() !== "move" && stroke(here, here), (from, to) => {
    if (tool() === "move") change(editing(), "move", to.x - from.x, to.y - from.y);
    else stroke(from, to);
  });
  canvas.addEventListener("keydown", (event) => {
    const by = arrow(event);
    const paints = tool() !== "move";
    if (!by && !(paints && event.key === " ")) return;
    event.preventDefault();
    if (!paints) change(editing(), "move", ...by);
    else if (by) {
      cursor.x = within(cursor.x + by[0], 0, SIZE);
      cursor.y = within(cursor.y + by[1], 0, SIZE);
      store.redraw();
    } else stroke(cursor, cursor);
  });
  for (const when of ["focus", "blur"]) canvas.addEventListener(when, () => store.redraw());

  const handles = masks.flatMap(({ field, name, mark, side }) =>
    ["move", "resize"].map((how) => {
      const words = how === "move" ? "arrow keys move it" : "arrow keys make it wider or higher";
      const handle = make("button", {
        type: "button", class: `handle ${how}`, "data-handle": `${field}-${how}`,
        "aria-label": `${how === "move" ? "Move" : "Resize"} ${name}: ${words}, with Shift faster`,
        onkeydown: (event) => {
          const by = arrow(event);
          if (!by) return;
          event.preventDefault();
          change(field, how, by[0], how === "move" ? by[1] : -by[1]);
        },
      }, how === "move" ? mark : "");
      const sides = how === "move" ? [1, 1] : [side, side];
      follow(handle, () => {}, (from, to) =>
        change(field, how, (to.x - from.x) * sides[0], (to.y - from.y) * sides[1]));
      element.append(handle);
      return { handle, field, how, side };
    }));

  const draw = (state) => {
    paint(context, SCALE);
    if (document.activeElement === canvas && tool() !== "move") {
      context.strokeStyle = "#fff";
      context.lineWidth = 3;
      for (const colour of ["#fff", "#000"]) {
        context.strokeStyle = colour;
        context.beginPath();
        context.arc(cursor.x * SCALE, cursor.y * SCALE, BRUSH * SCALE, 0, 7);
        context.stroke();
        context.lineWidth = 1;
      }
    }
    for (const { handle, field, how, side } of handles) {
      const shape = readEllipse(state[field]);
      handle.hidden = !shape || tool() !== "move" || !visible(field);
      if (handle.hidden) continue;
      const corner = how === "move" ? [0, side] : [side * 0.71, side * 0.71];
      const at = [shape.x + corner[0] * shape.a, shape.y + corner[1] * shape.b];
      handle.style.left = `${(100 * within(at[0], 0, SIZE)) / SIZE}%`;
      handle.style.top = `${(100 * within(at[1], 0, SIZE)) / SIZE}%`;
    }
  };
  return { element, draw };
};
