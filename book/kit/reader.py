"""One image, read by a kept network: three answers, their contradiction, and the one answer.

In JupyterLab `Reader` is a small desk with a place for a file, the weights of the three experts and
Grad-CAM. A page of the book, which has no kernel, shows one picture as `panels` draws it.
"""

from __future__ import annotations

import base64
import io
import tempfile
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from lib import cam, decode, pictures
from lib.inference import Answer, Predictor, to_own_size
from lib.predictions import overlay
from lib.square import fit_image

if TYPE_CHECKING:
    import ipywidgets

SIDE = 320  # px of a panel
EXPERTS = {
    "cls": "T1, on the class",
    "maps": "T2 and T3, on the class",
    "seg2": "T2, on the outline",
    "seg3": "T3, on the outline",
}
DROP = Path(__file__).with_name("drop.js")


def panels(picture: pictures.Picture, answer: Answer, heat: np.ndarray | None = None) -> str:
    """The picture and what each task says of it, side by side, as HTML.

    `heat`: Grad-CAM, (S, S), 0..1, shown as a panel of its own.

    >>> from lib.pictures import Picture
    >>> tasks = {"cls": np.array([0.9, 0.1]), "seg2": np.eye(2)[np.zeros((4, 4), int)].T}
    >>> one = Answer(("benign", "malignant"), 0, tasks["cls"], np.zeros((8, 8), np.uint8), tasks)
    >>> panels(Picture("a.png", np.zeros((8, 8), np.uint8)), one).count("<figure")
    3
    """
    grey, drawn = picture.shown, []
    if "cls" in answer.tasks:
        own = _said(answer.classes, answer.tasks["cls"])
        drawn.append((grey, None, "The picture", f"T1 says {own}"))
    else:
        drawn.append((grey, None, "The picture", "this network has no T1"))
    for task, what in (("seg2", "T2, the outline"), ("seg3", "T3, the outline with a class")):
        if task in answer.tasks:
            small = answer.tasks[task].argmax(0)
            values = [value for value in np.unique(small) if value]
            layer = np.zeros(grey.shape, np.uint8)
            for value in values:
                mine = np.where(small == value, np.uint8(value), np.uint8(0))
                layer = np.maximum(layer, to_own_size(mine, grey.shape))
            names = [answer.classes[value - 1] for value in values] if task == "seg3" else []
            told = " and ".join(names) if names else ("a nodule" if values else "no nodule")
            drawn.append((grey, layer * (3 if task == "seg2" else 1), what, told))
    x0, y0, x1, y1 = picture.crop or (0, 0, *picture.grey.shape[::-1])
    told = answer.name
    if answer.probability is not None:
        sure = _said(answer.classes, answer.probability)
        told = sure if answer.label >= 0 else f"{told}; if there is one, {sure}"
    drawn.append((grey, answer.mask[y0:y1, x0:x1], "The one answer", told))
    if heat is not None:
        side = Image.fromarray((heat * 255).astype(np.uint8)).resize((max(grey.shape),) * 2)
        top, left = ((max(grey.shape) - edge) // 2 for edge in grey.shape)
        warm = np.asarray(side)[top : top + grey.shape[0], left : left + grey.shape[1]]
        drawn.append((warm, None, "Grad-CAM", "bright is where T1 looks for its class"))
    figures = "".join(_panel(*one) for one in drawn)
    return f'<div class="panels" style="display:flex;flex-wrap:wrap;gap:.8rem">{figures}</div>'


def sentences(answer: Answer) -> str:
    """Contradictions and warnings, as HTML."""

    def listed(title: str, lines: tuple[str, ...], none: str) -> str:
        inner = "; ".join(map(escape, lines)) or none
        return f"<p><strong>{title}</strong> {inner}.</p>"

    return listed(
        "Before they were decided together:", answer.contradictions, "the tasks agreed"
    ) + listed("Unlike the training images:", answer.warnings, "nothing that we measure")


def heat_of(predictor: Predictor, picture: pictures.Picture) -> np.ndarray:
    """Grad-CAM of T1's class, (S, S), 0..1. ValueError for a network without one."""
    import torch

    fitted = torch.tensor(fit_image(picture.shown, predictor.size))[None]
    return cam.grad_cam(predictor.network, fitted)[0].numpy()


def read_one(model: str | Path | Predictor, image: str | Path | np.ndarray) -> Any:
    """A desk to read images at, where there is a kernel to answer; else the image, read once.

    `model`: a kept network; `image`: what is shown first, a file or grey uint8 (H, W).
    """
    from IPython import get_ipython
    from IPython.display import HTML

    if not isinstance(model, Predictor) and not Path(model).exists():
        return HTML(f"<p>{escape(Path(model).name)} is not here yet: make book trains it.</p>")
    predictor = model if isinstance(model, Predictor) else Predictor(Path(model))
    first = _first(image)
    if type(get_ipython()).__name__ == "ZMQInteractiveShell":
        return Reader(predictor, first).desk
    answer = predictor.answer(first)
    return HTML(panels(first, answer, _heat_or_none(predictor, first)) + sentences(answer))


class Reader:
    """The desk in JupyterLab: a file, three answers, the experts' weights, Grad-CAM on demand.

    `desk` is the widget; `sliders`, by name, hold the weights that it decides with.

    >>> Reader.__name__
    'Reader'
    """

    def __init__(self, predictor: Predictor, first: pictures.Picture):
        import ipywidgets as w

        self.predictor, self.pictures = predictor, [first]
        self.drop = _drop()
        own = predictor.weights
        self.sliders = {
            name: w.FloatSlider(
                value=getattr(own, name), min=0, max=max(2.0, 2 * getattr(own, name)), step=0.05,
                description=words, style={"description_width": "11rem"},
                layout=w.Layout(width="26rem"),
            )
            for name, words in EXPERTS.items()
        }  # fmt: skip
        self.back = w.Button(description="Weights of the file", tooltip="As the run fitted them")
        self.frame = w.IntSlider(value=1, min=1, max=1, description="Frame")
        self.look = w.ToggleButton(description="Grad-CAM", tooltip="Where T1 looks")
        self.shown, self.message = w.HTML(), w.HTML()
        self.desk = w.VBox(
            [self.drop, self.message, self.frame, self.shown,
             *self.sliders.values(), w.HBox([self.back, self.look])]
        )  # fmt: skip
        self.drop.observe(self._take, "count")
        self.back.on_click(lambda _: self._set(own))
        for control in (*self.sliders.values(), self.frame, self.look):
            control.observe(lambda _: self.draw(), "value")
        self._open([first])

    def _set(self, weights: decode.Weights) -> None:
        for name, slider in self.sliders.items():
            slider.value = getattr(weights, name)

    def _take(self, _: Any) -> None:
        name = Path(self.drop.name).name or "picture"
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, f"dropped{Path(name).suffix}")
            file.write_bytes(bytes(self.drop.data))
            try:
                found = list(pictures.read(file, name))
            except pictures.PictureError as error:
                self.message.value = f"<p>{escape(str(error))}</p>"
                return
        self._open(found)

    def _open(self, found: list[pictures.Picture]) -> None:
        self.pictures = found
        self.message.value = f"<p><strong>{escape(found[0].name)}</strong></p>"
        self.frame.max = len(found)
        self.frame.layout.display = "" if len(found) > 1 else "none"
        self.draw()

    def draw(self) -> None:
        """Answer again and show it."""
        picture = self.pictures[min(self.frame.value, len(self.pictures)) - 1]
        given = {name: slider.value for name, slider in self.sliders.items()}
        weights = decode.Weights(**given, bias=self.predictor.weights.bias)
        answer = self.predictor.answer(picture, weights)
        heat = _heat_or_none(self.predictor, picture) if self.look.value else None
        self.shown.value = panels(picture, answer, heat) + sentences(answer)


def _drop() -> ipywidgets.DOMWidget:
    import anywidget
    import traitlets

    class Drop(anywidget.AnyWidget):
        _esm = DROP.read_text(encoding="utf8")
        name = traitlets.Unicode().tag(sync=True)
        data = traitlets.Bytes().tag(sync=True, from_json=lambda data, _: bytes(data))
        count = traitlets.Int().tag(sync=True)

    return Drop()


def _first(image: str | Path | np.ndarray) -> pictures.Picture:
    if isinstance(image, np.ndarray):
        return pictures.Picture("a picture", image)
    return next(iter(pictures.read(image)))


def _heat_or_none(predictor: Predictor, picture: pictures.Picture) -> np.ndarray | None:
    try:
        return heat_of(predictor, picture)
    except ValueError:  # the network has no class, or none from a map
        return None


def _said(classes: tuple[str, ...], probability: np.ndarray) -> str:
    best = int(np.argmax(probability))
    return f"{classes[best]} ({probability[best]:.2f})"


def _panel(grey: np.ndarray, mask: np.ndarray | None, title: str, told: str) -> str:
    factor = SIDE / max(grey.shape)
    size = tuple(max(1, round(edge * factor)) for edge in grey.shape[::-1])
    large = np.asarray(Image.fromarray(np.ascontiguousarray(grey)).resize(size))
    layer = np.zeros(large.shape, np.uint8)
    if mask is not None:
        layer = np.asarray(Image.fromarray(mask).resize(size, Image.Resampling.NEAREST))
    source = _webp(np.asarray(overlay(large, layer)))
    return (
        f'<figure style="flex:1 1 9rem;min-width:8rem;max-width:16rem;margin:0">'
        f'<img src="{source}" alt="{escape(title)}: {escape(told)}." style="width:100%">'
        f"<figcaption><strong>{escape(title)}.</strong> {escape(told)}</figcaption></figure>"
    )


def _webp(picture: np.ndarray) -> str:
    """A picture inside the page, in a fifth of what a PNG of a speckled picture takes."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "WEBP", quality=85)
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode()


__all__ = ["Reader", "heat_of", "panels", "read_one", "sentences"]
