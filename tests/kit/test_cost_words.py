"""What the page about costs says: the best, the cheapest beside it, and what took too long."""

from types import SimpleNamespace

from book.kit import figures
from book.kit.figures.costs import Cost
from book.kit.stats import Interval

NAN = float("nan")


def cost(title, gflop, auc, epoch=NAN):
    gains = {} if auc is None else {"AUC": Interval(auc, auc - 0.1, auc + 0.1)}
    return Cost(1, title, "rival", seeds=2, costs={"epoch": epoch, "gflop": gflop}, gains=gains)


def test_the_cheapest_is_of_those_whose_intervals_overlap_with_the_best():
    rows = [cost("far", 0.5, 0.5), cost("near", 1, 0.75), cost("best", 2, 0.9), cost("no", 9, None)]
    assert figures.cost_in_words(rows, of=20).splitlines() == [
        "- 4 of 20 systems have been run here.",
        "- Highest AUC: best, 90.0 % at 2.00 GFLOP an image; of 1 whose intervals overlap with it, "
        "the cheapest is near, 75.0 % at 1.00.",
    ]


def test_the_best_may_be_the_cheapest():
    told = figures.cost_in_words([cost("best", 1, 0.9, 5.0), cost("near", 2, 0.75, 9.0)], of=2)
    assert "An epoch takes 5 processor seconds with best and 9 with near." in told
    assert "best, 90.0 % at 1.00 GFLOP an image; it is also the cheapest" in told


def test_a_system_is_named_if_its_runs_took_more_than_12_minutes_on_average():
    systems = [SimpleNamespace(name=name, title=name.upper()) for name in ("a", "b", "c")]
    took = {"a": (600, 1200), "b": (600, 700), "c": (None, None)}
    records = [
        {"experiment": name, "seconds": {"processor": seconds}}
        for name, both in took.items()
        for seconds in both
    ]
    told = figures.overlong_in_words(records, systems)
    assert told.endswith("these took more than 12 minutes: A (15.0).")
