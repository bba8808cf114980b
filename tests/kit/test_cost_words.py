"""What the page about costs says: the best, what it costs, and what took too long."""

from types import SimpleNamespace

from book.kit import figures
from book.kit.figures.costs import Cost
from book.kit.stats import Interval

NAN = float("nan")


def cost(title, gflop, auc):
    gains = {} if auc is None else {"AUC": Interval(auc, auc - 0.1, auc + 0.1)}
    return Cost(1, title, "rival", trainings=2, costs={"epoch": NAN, "gflop": gflop}, gains=gains)


def test_the_best_stands_with_its_interval_and_what_it_costs():
    rows = [cost("far", 0.5, 0.5), cost("near", 1, 0.75), cost("best", 2, 0.9), cost("no", 9, None)]
    first, second, third = figures.cost_in_words(rows, of=20).splitlines()
    assert first == "- 4 of 20 systems have been run here."
    assert second == "- An image takes 0.50 GFLOP with far and 9.00 with no."
    assert "Highest AUC: best, 90.0 % [80.0, 100.0] at 2.00 GFLOP an image." in third


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
