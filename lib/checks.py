"""What the method's functions may be given, checked at the door, so that the maths stands bare.

Type and shape are always checked: that costs nothing. To look at values is to wait for a GPU, so it
is done for what a user hands in, once, and not within `trusted()`: a training step trusts its own
softmax, and watches its one loss (`lib.callbacks.StopOnNonFinite`).
"""

import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from itertools import combinations
from typing import Any, Literal, NamedTuple, TypeVar, get_args, get_origin, get_type_hints

import torch
from torch import Tensor

from .names import near

Function = TypeVar("Function", bound=Callable[..., Any])

TOLERANCE = 1e-3  # a softmax in bfloat16 misses 1 by less than this


class Kind(NamedTuple):
    """Shape of an answer: (N, channels, H, W) or (N, channels); `or_more`: at least so many.

    >>> Kind(maps=False, channels=2, or_more=True).layout()
    '(N, 2 or more)'
    """

    maps: bool
    channels: int
    or_more: bool

    def layout(self) -> str:
        """In words."""
        return f"(N, {self.channels}{' or more' * self.or_more}{', H, W' * self.maps})"


CLASSES = Kind(maps=False, channels=2, or_more=True)
KINDS = {
    "cls": CLASSES,
    "seg2": Kind(maps=True, channels=2, or_more=False),
    "seg3": Kind(maps=True, channels=3, or_more=True),
    **dict.fromkeys(("seg", "target", "prediction", "one", "other"), CLASSES),
}

_trusted: ContextVar[bool] = ContextVar("trusted", default=False)


@contextmanager
def trusted(yes: bool = True) -> Iterator[None]:
    """Within this, values are not looked at, as gradients are not kept within `torch.no_grad`.

    >>> with trusted():
    ...     probabilities(cls=torch.full((1, 2), 7.0))
    {'cls': tensor([[7., 7.]])}
    """
    before = _trusted.set(yes or _trusted.get())
    try:
        yield
    finally:
        _trusted.reset(before)


# --------------------------------------------------------------------------- what a network answers


def takes_probabilities(function: Function) -> Function:
    """Decorator: check the arguments that `KINDS` names, and the options; then compute, trusted.

    The arguments are handed on in full precision, as `probabilities` gives them. An option that is
    annotated with a `Literal` or as `bool` takes only the values of that.

    >>> @takes_probabilities
    ... def certainty(cls: Tensor, of: Literal["best", "worst"] = "best") -> Tensor:
    ...     return cls.amax(1) if of == "best" else cls.amin(1)
    >>> certainty(torch.tensor([[0.25, 0.75]]))
    tensor([0.7500])
    >>> certainty(torch.tensor([[0.25, 1.75]]))
    Traceback (most recent call last):
        ...
    ValueError: cls[0, 1] is 1.75, outside [0, 1] (1 of 2 values are bad); pass probabilities: \
logits need .softmax(1) first
    """
    signature, allowed = inspect.signature(function), _choices(function)
    names = [name for name in signature.parameters if name in KINDS]

    @wraps(function)
    def checked(*given: Any, **options: Any) -> Any:
        bound = signature.bind(*given, **options)
        for name in allowed.keys() & bound.arguments.keys():
            one_of(name, bound.arguments[name], allowed[name])
        bound.arguments |= probabilities(**{name: bound.arguments[name] for name in names})
        with trusted():
            return function(*bound.args, **bound.kwargs)

    return checked


def probabilities(**given: Tensor | None) -> dict[str, Tensor]:
    """Check that these are probabilities of one batch; None is left out.

    Args:
        given: by names of `KINDS`, e.g. cls (N, K), seg2 (N, 2, H, W), seg3 (N, K+1, H, W).

    Returns:
        The same as plain contiguous tensors in float32, or in float64 where they were.

    Raises:
        TypeError: something is no tensor.
        ValueError: a wrong shape, whole numbers, a value outside [0, 1] by more than .001, a NaN,
            or answers that do not belong together.

    >>> probabilities(cls=torch.tensor([[0.25, 0.75]], dtype=torch.bfloat16), seg2=None)
    {'cls': tensor([[0.2500, 0.7500]])}
    """
    given = {name: values for name, values in given.items() if values is not None}
    check_scores(**given)
    # channels_last maps would make each later pass over them slower
    given = {name: full_precision(values).contiguous() for name, values in given.items()}
    if not _trusted.get():
        for name, values in given.items():
            _within_0_and_1(name, values.detach())
    return given


def check_scores(**given: Tensor) -> None:
    """Check type and shape of scores or probabilities of one batch; values are not looked at.

    Names and errors are those of `probabilities`.

    >>> check_scores(cls=torch.zeros(4, 2), seg3=torch.zeros(4, 3, 8, 8))
    >>> check_scores(cls=torch.zeros(4, 2), seg3=torch.zeros(4, 4, 8, 8))
    Traceback (most recent call last):
        ...
    ValueError: cls has 2 classes but seg3 has 4 channels, not 3; pass the answers of one network \
to one batch
    """
    for name, values in given.items():
        kind = KINDS[name]
        shape = _shape(name, values, kind.layout())
        fits = len(shape) == (4 if kind.maps else 2) and (
            shape[1] >= kind.channels if kind.or_more else shape[1] == kind.channels
        )
        if not fits:
            raise ValueError(f"{name} has shape {shape}; expected {kind.layout()}")
        if not values.numel():
            raise ValueError(f"{name} has shape {shape}, which is empty; pass at least one image")
        if not values.is_floating_point():
            raise ValueError(f"{name} holds {values.dtype}; pass floating-point values")
    for (name, one), (other_name, other) in combinations(given.items(), 2):
        _belong_together(name, one, other_name, other)


def _belong_together(name: str, one: Tensor, other_name: str, other: Tensor) -> None:
    """Same images, and same pixels or classes where both have them."""
    if one.shape[0] != other.shape[0]:
        unequal = f"{one.shape[0]} images", str(other.shape[0])
    elif one.ndim == other.ndim == 4 and one.shape[2:] != other.shape[2:]:
        unequal = tuple(f"{h} x {w} pixels" for h, w in (one.shape[2:], other.shape[2:]))
    elif (name, other_name) == ("cls", "seg3") and one.shape[1] + 1 != other.shape[1]:
        unequal = f"{one.shape[1]} classes", f"{other.shape[1]} channels, not {one.shape[1] + 1}"
    elif one.ndim == other.ndim == 2 and one.shape[1] != other.shape[1]:
        unequal = f"{one.shape[1]} classes", str(other.shape[1])
    else:
        return
    raise ValueError(
        f"{name} has {unequal[0]} but {other_name} has {unequal[1]}; "
        "pass the answers of one network to one batch"
    )


def _within_0_and_1(name: str, values: Tensor) -> None:
    low, high = torch.aminmax(values)  # one pass, and a NaN comes through as itself
    if bool((low >= -TOLERANCE) & (high <= 1 + TOLERANCE)):
        return
    bad = ~((values >= -TOLERANCE) & (values <= 1 + TOLERANCE))
    where = tuple(bad.nonzero()[0].tolist())
    value = values[where].item()
    what = "not a number" if value != value else "outside [0, 1]"
    advice = (
        "look for a division by zero or an overflow before it"
        if value != value
        else "pass probabilities: logits need .softmax(1) first"
    )
    raise ValueError(
        f"{name}[{', '.join(map(str, where))}] is {value:.6g}, {what} "
        f"({int(bad.sum())} of {bad.numel()} values are bad); {advice}"
    )


def full_precision(values: Tensor) -> Tensor:
    """A plain tensor in float32, or float64 if it was: no copy unless the type changes.

    >>> full_precision(torch.ones(1, dtype=torch.bfloat16))
    tensor([1.])
    """
    values = values.as_subclass(Tensor)  # fastai's subclasses refuse to be mixed
    return values if values.dtype in (torch.float32, torch.float64) else values.float()


# ------------------------------------------------------------------- images, masks and their labels


def fit(name: str, scores: Tensor, of: str, images: Tensor) -> None:
    """Check that scores belong to these images or masks, (N, H, W) or (N, C, H, W).

    `name` is cls, (N, K), or a map, (N, C, H, W); `of` is what `images` are called. Raises
    TypeError for anything but a tensor and ValueError for another number of images or pixels.

    >>> fit("seg3", torch.zeros(4, 3, 2, 2), "mask", torch.zeros(4, 8, 8))
    Traceback (most recent call last):
        ...
    ValueError: seg3 has 2 x 2 pixels but mask has 8 x 8; add \
torch.nn.functional.interpolate(seg3, size=(8, 8), mode="bilinear")
    """
    count, (height, width) = images.shape[0], images.shape[-2:]
    layout = f"({count}, " + ("classes)" if name == "cls" else f"channels, {height}, {width})")
    shape = _shape(name, scores, layout)
    if len(shape) != (2 if name == "cls" else 4) or shape[0] != count:
        raise ValueError(
            f"{name} has shape {shape} but {of} has {count} images of {height} x {width} pixels; "
            f"expected {layout}{': add .mean((2, 3)) to maps' * (name == 'cls')}"
        )
    if name != "cls" and shape[2:] != (height, width):
        raise ValueError(
            f"{name} has {shape[2]} x {shape[3]} pixels but {of} has {height} x {width}; add "
            f'torch.nn.functional.interpolate({name}, size=({height}, {width}), mode="bilinear")'
        )


def integers(name: str, values: Tensor, low: int, high: int | None, layout: str = "") -> Tensor:
    """Check whole numbers from `low` to `high` (None: or more), and return them as a plain tensor.

    `layout`, such as "(N, H, W)", also asks for a shape. Raises TypeError for anything but a
    tensor, ValueError for another type, shape or value.

    >>> integers("label", torch.tensor([-1, 2]), -1, 1, "(N,)")
    Traceback (most recent call last):
        ...
    ValueError: label holds the values -1 to 2; expected -1 to 1
    """
    span = f"{low} or more" if high is None else f"{low} to {high}"
    shape = _shape(name, values, layout or "of whole numbers")
    if layout and (len(shape) != len(layout.strip("(),").split(",")) or not values.numel()):
        raise ValueError(f"{name} has shape {shape}; expected {layout}, not empty")
    if values.is_floating_point() or values.is_complex() or values.dtype == torch.bool:
        raise ValueError(f"{name} holds {values.dtype}; pass integers {span}")
    values = values.as_subclass(Tensor)
    if values.numel() and not _trusted.get():
        least, most = torch.stack(torch.aminmax(values)).tolist()
        if least < low or (high is not None and most > high):
            raise ValueError(f"{name} holds the values {least} to {most}; expected {span}")
    return values


def _shape(name: str, values: Tensor, expected: str) -> tuple[int, ...]:
    if not isinstance(values, Tensor):
        raise TypeError(f"{name} is a {type(values).__name__}; pass a torch.Tensor {expected}")
    return tuple(values.shape)


# ------------------------------------------------------------------------------------------ options


def options(function: Callable[..., Any], given: Mapping[str, Any], whose: str) -> None:
    """Check options before the function is called: their names, and values if its hints list them.

    ValueError, with the near names, for one that `function` does not have or allow; `whose` says
    whose option it is.

    >>> def draw(mask: Tensor, colour: Literal["red", "green"] = "red") -> None: ...
    >>> options(draw, {"colour": "green"}, "Outline")
    >>> options(draw, {"color": "green"}, "Outline")
    Traceback (most recent call last):
        ...
    ValueError: Outline has no option 'color'; it has colour (did you mean colour?)
    """
    parameters = inspect.signature(function).parameters.values()
    known = [p.name for p in parameters if p.default is not p.empty]
    if not any(p.kind is p.VAR_KEYWORD for p in parameters):
        for name in given:
            if name not in known:
                there = f"it has {', '.join(known)}" if known else "it has none"
                raise ValueError(f"{whose} has no option {name!r}; {there}{_meant(name, known)}")
    allowed = _choices(function)
    for name in allowed.keys() & given.keys():
        one_of(name, given[name], allowed[name])


def one_of(name: str, value: Any, allowed: tuple[Any, ...]) -> None:
    """ValueError, with the near ones, unless the value is one of those allowed.

    >>> one_of("order", "cross", ("both", "sc", "cs"))
    Traceback (most recent call last):
        ...
    ValueError: order='cross' is not an option; use one of both, sc, cs (did you mean cs?)
    """
    if value not in allowed:
        words = f"use one of {', '.join(map(str, allowed))}{_meant(value, allowed)}"
        raise ValueError(f"{name}={value!r} is not an option; {words}")


def _meant(value: Any, known: tuple[Any, ...] | list[str]) -> str:
    found = near(str(value), [str(one) for one in known])
    return f" (did you mean {' or '.join(found)}?)" if found else ""


def _choices(function: Callable[..., Any]) -> dict[str, tuple[Any, ...]]:
    """The values that a `Literal` or a `bool` allows, by parameter."""
    try:
        hints = get_type_hints(inspect.unwrap(function))
    except NameError:  # of somebody's own function: hints that only a type checker can read
        return {}
    literal = {name: get_args(hint) for name, hint in hints.items() if get_origin(hint) is Literal}
    return literal | {name: (True, False) for name, hint in hints.items() if hint is bool}
