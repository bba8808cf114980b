"""Student's t over seeds, on Student's own data."""

import pytest
import scipy.stats
from statsmodels.stats.weightstats import DescrStatsW

from book.kit.stats import Interval, over_seeds, paired_over_seeds, paired_t_test

# Hours of sleep gained under two drugs, ten patients (Student 1908; the data set `sleep` of R)
FIRST = dict(enumerate([0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0]))
SECOND = dict(enumerate([1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4]))


def test_student_1908():
    found = paired_over_seeds(SECOND, FIRST)
    assert found == pytest.approx((1.58, 0.7001142, 2.4598858), abs=1e-7)
    assert paired_t_test(SECOND, FIRST) == pytest.approx(0.002833, abs=1e-6)


@pytest.mark.parametrize("level", [0.5, 0.95])
def test_against_statsmodels(level):
    values = list(FIRST.values())
    theirs = DescrStatsW(values).tconfint_mean(alpha=1 - level)
    found = over_seeds(values, level)
    assert isinstance(found, Interval)
    assert found == pytest.approx((0.75, *theirs))


def test_pairs_are_found_by_seed_not_by_order():
    backwards = dict(reversed(FIRST.items()))
    assert paired_over_seeds(SECOND, backwards) == pytest.approx(paired_over_seeds(SECOND, FIRST))
    theirs = scipy.stats.ttest_rel(list(SECOND.values()), list(FIRST.values())).pvalue
    assert paired_t_test(SECOND, backwards) == pytest.approx(theirs)


def test_p_agrees_with_the_interval():
    p = paired_t_test(SECOND, FIRST)
    assert paired_over_seeds(SECOND, FIRST, level=1 - p).low == pytest.approx(0, abs=1e-12)


def test_seeds_without_spread():
    same = {0: 0.5, 1: 0.75}
    assert paired_over_seeds(same, same) == (0, 0, 0)
    assert paired_t_test(same, same) == 1
    assert paired_t_test({0: 0.75, 1: 1.0}, same) == 0


def test_what_is_refused():
    with pytest.raises(ValueError, match=r"1 seed\(s\) given; .* at least two runs"):
        over_seeds([0.8])
    with pytest.raises(ValueError, match=r"0 seed\(s\)"):
        over_seeds([])
    with pytest.raises(ValueError, match="the value of run 1 is not finite"):
        over_seeds([0.8, float("nan")])
    with pytest.raises(ValueError, match="level is 95"):
        over_seeds([0.8, 0.9], level=95)
    for paired in (paired_over_seeds, paired_t_test):
        with pytest.raises(ValueError, match=r"a has the seeds \[0, 1\] but b has \[0, 2\]"):
            paired({0: 0.8, 1: 0.9}, {2: 0.8, 0: 0.9})
