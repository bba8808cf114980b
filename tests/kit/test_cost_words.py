"""What the page about costs says: the best, what it costs, and what took too long."""

from types import SimpleNamespace

from book.kit import figures
from book.kit.figures.costs import Cost
from book.kit.stats import Interval

NAN = float("nan")


def cost(title, gflop, auc, epoch=NAN):
    gains = {} if auc is None else {"AUC": Interval(auc, auc - 0.1, auc + 0.1)}
    return Cost(1, title, "rival", trainings=2, costs={"epoch": epoch, "gflop": gflop}, gains=gains)


def test_the_best_stands_with_its_interval_and_what_it_costs():
    rows = [cost("far", 0.5, 0.5), cost("near", 1, 0.75), cost("best", 2, 0.9), cost("no", 9, None)]
    first, second = figures.cost_in_words(rows, of=20).splitlines()
    assert first == "- 4 of 20 systems have been run here."
    assert "Highest AUC: best, 90.0 % [80.0, 100.0] at 2.00 GFLOP an image." in second


def test_an_epoch_is_told_where_processors_trained():
    told = figures.cost_in_words([cost("best", 1, 0.9, 5.0), cost("near", 2, 0.75, 9.0)], of=2)
    assert "An epoch takes 5 processor seconds with best and 9 with near." in told
    on_gpu = figures.cost_in_words([cost("best", 1, 0.9), cost("near", 2, 0.75)], of=2)
    assert "processor seconds" not in on_gpu


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
