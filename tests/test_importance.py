"""What was planted matters, copies dealt out anew do not, and nothing matters where outcomes are shuffled."""

import pickle
from dataclasses import replace

import numpy as np
import pytest
import spectral
from scipy import stats

from lyapsweep.analysis.settings import importance
from lyapsweep.analysis.shared.selection import HuntTableError, TooFew
from lyapsweep.registry import UnknownName
from lyapsweep.results.description import SweepDescription
from lyapsweep.results.table import Table

RATE, GAIN, KIND = "training/lr", "init/gain", "cell/kind"
SETTINGS, STATISTICS = (GAIN, KIND, RATE), ("maximum", "minimum")


def planted(seed: int = 0, trials: int = 80, noise: float = 0.3) -> Table:
    """Loss follows the learning rate and, by a half of that, the last exponent; gain, kind and lambda_1 are idle."""
    rng = np.random.default_rng((seed, 2))
    made = spectral.table(seed, trials, lost=3, bare=2)
    rate = np.exp(rng.uniform(-7, -3, trials))
    last = made.spectra[spectral.MAP][:, -1]
    effect = stats.zscore(np.log(rate)) + 0.5 * np.nan_to_num(stats.zscore(last, nan_policy="omit"))
    frame = made.frame.assign(
        **{
            RATE: rate,
            GAIN: rng.uniform(size=trials),
            KIND: rng.choice(["lstm", "gru", "vanilla"], trials),
            spectral.COLUMN: np.exp(effect + noise * rng.normal(size=trials)),
        }
    )
    return replace(made, frame=frame)


def find(table: Table, evaluator="ped_anova", **changes):
    asked = {"settings": SETTINGS, "statistics": STATISTICS, "resamples": 10, "permutations": 39}
    return importance.find(table, spectral.COLUMN, evaluator=evaluator, **{**asked, **changes})


@pytest.fixture(scope="module")
def found():
    return find(planted(), "fanova")


@pytest.mark.parametrize("evaluator", ["ped_anova", "impurity"])
def test_what_was_planted_matters_and_leads(evaluator):
    found = find(planted(trials=150), evaluator)
    assert [found.names[0], found.names[3]] == [RATE, "minimum"]
    assert importance.significant(found)[0]
    assert found.p[np.isin(found.names, [GAIN, KIND, "maximum"])].min() > 0.05


def test_fanova_gives_each_effect_its_share(found):
    """Of settings, the rate alone says 1 / (1 + 0.25 + 0.09) = 0.75 of the variance of ln loss; ranks bend that little,
    and a forest of 80 trials makes others out of noise."""
    share = dict(zip(found.names, found.importance))
    assert 0.5 < share[RATE] < 1
    assert share[GAIN] < 0.15 > share[KIND]
    assert found.names[int(importance.significant(found).argmax())] == RATE
    assert found.spectral.tolist() == [False] * 3 + [True] * 2
    assert (found.count.runs, found.lost, found.without) == (78, 3, 2)
    lead = found.names.index(RATE)
    assert found.chance[lead] < found.low[lead] < found.importance[lead]
    assert f"of the settings, {RATE} 0." in importance.sentence(found)


def test_scale_and_direction_do_not_matter():
    """Ranks enter: the logarithm of a setting, or the negative of a loss that is maximised, change nothing."""
    table = planted()
    frame = table.frame.assign(**{RATE: np.log(table.frame[RATE])})
    np.testing.assert_array_equal(find(table).importance, find(replace(table, frame=frame)).importance)
    turned = table.frame.assign(**{"measures/accuracy": -table.frame[spectral.COLUMN]})
    other = importance.find(
        replace(table, frame=turned),
        "measures/accuracy",
        evaluator="ped_anova",
        settings=SETTINGS,
        resamples=2,
        permutations=19,
    )
    assert dict(zip(other.names, other.importance))[RATE] == pytest.approx(find(table).importance[0])


def test_what_was_varied_is_judged_seeds_aside_and_what_some_lack_is_named():
    table = planted()
    sizes = np.where(table.frame[KIND] == "lstm", np.arange(80.0), np.nan)
    found = importance.find(
        replace(table, frame=table.frame.assign(**{"cell/units": sizes})),
        spectral.COLUMN,
        evaluator="ped_anova",
        resamples=2,
        permutations=19,
    )
    assert set(np.array(found.names)[~found.spectral]) == {RATE, GAIN, KIND}
    assert found.absent == ("cell/units",)
    assert "because some trials lack them: cell/units" in importance.sentence(found)


def refused(tables: int, evaluator: str, **changes) -> int:
    """In how many tables with shuffled outcomes any setting is said to matter."""
    made = (spectral.shuffled(planted(seed, trials=50), seed) for seed in range(tables))
    return sum(
        bool(
            importance.significant(
                find(t, evaluator, statistics=(), resamples=1, permutations=19, seed=s, **changes)
            ).any()
        )
        for s, t in enumerate(made)
    )


def test_shuffled_outcomes_have_no_importance():
    """p is below 0.05 for any of the settings in one of 20 tables: in more than 7 of 40 once in a thousand times."""
    assert refused(40, "ped_anova", settings=(GAIN, RATE)) <= stats.binom.ppf(0.999, 40, 0.05)


@pytest.mark.slow
def test_p_is_below_five_per_cent_in_five_per_cent_of_tables():
    assert refused(200, "ped_anova", settings=(GAIN, RATE)) <= stats.binom.ppf(0.999, 200, 0.05)


def test_a_forest_makes_nothing_of_shuffled_outcomes_either():
    assert refused(10, "impurity") <= stats.binom.ppf(0.999, 10, 0.05)


def test_nothing_beyond_chance_is_said_in_words():
    found = find(spectral.shuffled(planted(), 3))
    assert "of the settings, none is significant (largest: " in importance.sentence(found)


def test_a_stored_finding_draws_the_same_figure(found):
    stored = pickle.loads(pickle.dumps(found))
    assert importance.draw(stored).to_json() == importance.draw(found).to_json()
    assert importance.sentence(stored) == importance.sentence(found)
    assert len(importance.draw(found).data) == 2


def test_a_seed_decides_everything():
    one, same, other = (find(planted(), "impurity", resamples=3, permutations=19, seed=s) for s in (0, 0, 1))
    for a, b in zip(one, same, strict=True):
        np.testing.assert_array_equal(a, b)
    assert (one.importance != other.importance).any()


def test_what_cannot_be_asked_is_said():
    table = planted()
    with pytest.raises(UnknownName, match="Did you mean 'fanova'"):
        find(table, "fanva")
    with pytest.raises(UnknownName, match="Did you mean 'maximum'"):
        find(table, statistics=("maximun",))
    with pytest.raises(UnknownName, match=f"Did you mean '{GAIN}'"):
        find(table, settings=("init/gian",))
    with pytest.raises(TooFew, match="Too few settings or statistics that vary: there are 0"):
        find(table, settings=(), statistics=())
    with pytest.raises(HuntTableError):
        find(replace(table, description=SweepDescription(intent="hunt")))
