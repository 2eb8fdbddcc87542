"""Statistics of an array [seeds, sizes] against figures worked out by hand, SciPy's tests, and what must hold at the edges."""

import numpy as np
import pytest
import scipy.stats

from seq2seq_jax.compare import statistics

NAN = float("nan")
VALUES = np.array([[0.30, 0.20, 0.25], [0.34, 0.22, 0.24], [0.32, 0.27, 0.29], [0.40, 0.26, 0.31]])


def test_interval_of_a_mean_by_hand():
    # 1, 2, 3: mean 2, s = 1, t(0.975; 2) = 4.302653, half width 4.302653 / sqrt(3)
    assert statistics.means(np.array([[1.0], [2.0], [3.0]]))[0] == 2.0
    assert statistics.half_widths(np.array([[1.0], [2.0], [3.0]]))[0] == pytest.approx(2.484138, rel=1e-6)


def test_intervals_and_p_values_are_students():
    pairs = statistics.paired_differences(VALUES)
    for column in range(3):
        interval = scipy.stats.ttest_1samp(VALUES[:, column], 0).confidence_interval()
        middle, half = statistics.means(VALUES)[column], statistics.half_widths(VALUES)[column]
        assert (middle - half, middle + half) == pytest.approx(tuple(interval), rel=1e-12)
    for i, j in ((0, 1), (1, 2), (2, 0)):
        test = scipy.stats.ttest_rel(VALUES[:, i], VALUES[:, j])
        assert pairs.p_values()[i, j] == pytest.approx(test.pvalue, rel=1e-9)
        assert pairs.mean[i, j] + pairs.half_widths()[i, j] == pytest.approx(test.confidence_interval().high, rel=1e-9)


def test_adjusted_means_by_hand():
    """Red if a size is judged by the seeds that it happens to have, or one that has them all is judged otherwise than by its own mean."""
    values = np.array([[0.1, 0.2, NAN, NAN], [0.4, 0.5, 0.3, NAN], [0.4, 0.2, NAN, NAN]])
    reference = np.array([True, True, False, False])
    # the first two lie at .15, .45, .3, mean .3; the third has .3 where they have .45
    assert statistics.adjusted_means(values, reference) == pytest.approx([0.3, 0.3, 0.15, NAN], nan_ok=True)
    assert statistics.adjusted_means(values, np.array([True, False, False, False])) == pytest.approx([0.3, 0.3, 0.2, NAN], nan_ok=True)


def test_holm_by_hand():
    # sorted .01 .03 .04, times 3, 2, 1: .03 .06 .04, made monotone: .03 .06 .06; a missing test does not count
    assert statistics.holm(np.array([0.01, NAN, 0.04, 0.03])) == pytest.approx([0.03, NAN, 0.06, 0.06], nan_ok=True)
    assert statistics.holm(np.array([0.6, 0.7])) == pytest.approx([1.0, 1.0])


def test_differences_to_one_size_are_corrected_for_the_others_alone():
    """Red if the size itself counts as a test, which would make every p value larger."""
    mean, half, p_values = statistics.differences_to(VALUES, 1)
    tests = [scipy.stats.ttest_rel(VALUES[:, column], VALUES[:, 1]) for column in (0, 2)]
    assert mean == pytest.approx(VALUES.mean(0) - VALUES[:, 1].mean())
    assert mean + half == pytest.approx([tests[0].confidence_interval().high, NAN, tests[1].confidence_interval().high], nan_ok=True)
    first, second = (test.pvalue for test in tests)
    assert p_values[[0, 2]] == pytest.approx(statistics.holm(np.array([first, second])), rel=1e-9)
    assert min(p_values[[0, 2]]) == pytest.approx(2 * min(first, second), rel=1e-9)
    assert np.isnan(p_values[1])


def test_several_deviations_are_pooled_as_variances():
    assert statistics.pooled_deviation(np.array([1.0, 7.0, NAN])) == pytest.approx(5.0)
    assert np.isnan(statistics.pooled_deviation(np.array([NAN])))


def test_excess_bound_by_hand():
    # differences first - second: .1, .2, .3: mean .2, s = .1, t(0.95; 2) = 2.919986, bound .2 + .1 t / sqrt(3)
    values = np.array([[1.1, 1.0], [1.2, 1.0], [1.3, 1.0]])
    bounds = statistics.excess_bounds(statistics.paired_differences(values))
    step = 0.1 * 2.919986 / np.sqrt(3)
    assert bounds == pytest.approx([0.2 + step, -0.2 + step], rel=1e-6)


def test_excess_bound_is_the_largest_over_other_sizes():
    pairs = statistics.paired_differences(VALUES)
    bounds = statistics.excess_bounds(pairs)
    for i in range(3):
        singles = [scipy.stats.ttest_rel(VALUES[:, i], VALUES[:, j]).confidence_interval(0.90).high for j in range(3) if j != i]
        assert bounds[i] == pytest.approx(max(singles), rel=1e-9)


def test_missing_runs_leave_only_common_seeds():
    values = VALUES.copy()
    values[0, 1] = values[3, 0] = NAN
    pairs = statistics.paired_differences(values)
    assert pairs.count[0, 1] == 2
    assert pairs.mean[0, 1] == pytest.approx(np.mean(VALUES[1:3, 0] - VALUES[1:3, 1]))
    assert statistics.means(values) == pytest.approx([VALUES[:3, 0].mean(), VALUES[1:, 1].mean(), VALUES[:, 2].mean()])


def test_fewer_than_two_common_seeds_give_no_figure():
    values = np.array([[1.0, 2.0, NAN], [NAN, 2.0, 3.0]])
    pairs = statistics.paired_differences(values)
    assert np.isnan(pairs.p_values()[0, 1])
    assert np.isnan(pairs.half_widths()[0, 1])
    assert np.isnan(statistics.excess_bounds(pairs)).all()
    assert np.isnan(statistics.seeds_needed(pairs, np.array(0), np.array(9.0)))


def test_one_size_has_no_excess_bound():
    assert np.isnan(statistics.excess_bounds(statistics.paired_differences(VALUES[:, :1]))).all()


def test_equal_values_give_certainty_and_no_warning():
    pairs = statistics.paired_differences(np.full((3, 2), 0.25))
    assert pairs.p_values()[0, 1] == 1.0
    assert statistics.excess_bounds(pairs).tolist() == [0.0, 0.0]
    apart = statistics.paired_differences(np.array([[0.5, 0.25]] * 3))
    assert apart.p_values()[0, 1] == 0.0
    assert np.isnan(statistics.seed_correlation(np.full((3, 2), 0.25)))
    assert np.isnan(statistics.seed_correlation(np.full((3, 2), 0.1)))  # whose mean is not to the last bit
    assert np.isnan(statistics.seed_correlation(np.array([[0.1, 50.0], [0.1, 10.0], [0.1, 90.0]])))
    assert statistics.paired_differences(np.array([[0.3, 0.1 + 0.2], [0.3, 0.3]])).p_values()[0, 1] == 1.0


def test_seeds_needed_matches_the_bound_at_that_number():
    pairs = statistics.paired_differences(VALUES)
    tolerance = 0.02
    needed = int(statistics.seeds_needed(pairs, np.array(1), np.array(tolerance)))

    def bound(n):
        return max(pairs.mean[1, j] + scipy.stats.t.ppf(0.95, n - 1) * pairs.deviation[1, j] / np.sqrt(n) for j in (0, 2))

    assert bound(needed) <= tolerance < bound(needed - 1)
    assert statistics.seeds_needed(pairs, np.array(1), np.array(1.0)) == 2
    assert np.isnan(statistics.seeds_needed(pairs, np.array(0), np.array(tolerance)))  # it is worse by more than that


@pytest.mark.parametrize(("ratio", "seeds"), [(1.0, 5), (2.0, 3), (0.5, 13)])
def test_seeds_needed_for_two_equal_sizes(ratio, seeds):
    # two sizes without difference: the smallest n with t(0.95; n - 1) / sqrt(n) <= tolerance / s, from a table of t
    noise = np.array([[1.0, 0.0], [0.0, 0.0], [-1.0, 0.0]])
    pairs = statistics.paired_differences(noise)
    assert statistics.seeds_needed(pairs, np.array(0), np.array(ratio)) == seeds


def test_seed_correlation_against_numpy():
    rng = np.random.default_rng(0)
    values = rng.normal(size=(4000, 1)) * np.sqrt(0.8) + rng.normal(size=(4000, 5)) * np.sqrt(0.2)
    assert statistics.seed_correlation(values) == pytest.approx(0.8, abs=0.02)
    two = VALUES[:, :2]
    assert statistics.seed_correlation(two) == pytest.approx(np.corrcoef(two.T)[0, 1], rel=1e-9)
    alike = np.random.default_rng(3).normal(size=(200, 2, 1)) + np.array([0.0, 0.1])
    assert (statistics.seed_correlation(alike) <= 1).all()  # rounding gives 1.0000000000000002
    lacking = np.array([[NAN, 0.9], *two[1:]])  # of seeds that not all sizes have, nothing counts
    assert statistics.seed_correlation(lacking) == pytest.approx(np.corrcoef(two[1:].T)[0, 1], rel=1e-9)


def test_equal_means_differ_by_nothing():
    """Red if the dust of rounding stands in the figures, where a script takes a size for better than the best one."""
    assert statistics.differences_to(np.array([[0.1 + 0.2, 0.3], [0.3, 0.3]]), 1)[0].tolist() == [0.0, 0.0]


def test_detectable_difference_is_detected_four_times_in_five():
    rng = np.random.default_rng(1)
    difference = statistics.detectable_difference(2.0, 5)
    found = scipy.stats.ttest_1samp(rng.normal(difference, 2.0, size=(40_000, 5)), 0, axis=1).pvalue < 0.05
    assert found.mean() == pytest.approx(0.8, abs=0.01)
    assert np.isnan(statistics.detectable_difference(2.0, 1))
    assert statistics.detectable_difference(float(np.std([0.1 + 0.2 - 0.2, 0.1, 0.1], ddof=1)), 3) == 0  # not the dust of rounding


def test_ties_go_to_the_first_and_only_eligible_sizes_count():
    losses = np.array([0.1 + 0.2, 0.3, 0.2])  # 0.30000000000000004 is 0.3
    assert statistics.best_size(losses, np.array([True, True, False])) == 0
    assert statistics.smallest_sufficient(losses, np.array([True, True, True]), np.array(0.1)) == 0
    assert statistics.smallest_sufficient(losses, np.array([False, True, True]), np.array(0.09)) == 2


def test_leading_dimensions_are_sweeps():
    rng = np.random.default_rng(2)
    values = rng.normal(size=(3, 4, 5))
    values[1, 2, 3] = NAN
    together = statistics.paired_differences(values)
    for sweep in range(3):
        alone = statistics.paired_differences(values[sweep])
        np.testing.assert_array_equal(together.p_values()[sweep], alone.p_values())
        np.testing.assert_array_equal(statistics.excess_bounds(together)[sweep], statistics.excess_bounds(alone))
        assert statistics.seed_correlation(values)[sweep] == pytest.approx(float(statistics.seed_correlation(values[sweep])))
