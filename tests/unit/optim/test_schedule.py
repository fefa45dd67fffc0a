import pickle

import pytest
import torch

from onepeace_pl.optim import Schedule, WarmupCosine, WarmupPolynomial, WarmupSteps


def optimizer(*groups: dict[str, float]) -> torch.optim.Optimizer:
    return torch.optim.SGD(
        [{"params": [torch.nn.Parameter(torch.ones(1))], **group} for group in groups], lr=0.1
    )


def rates(schedule: Schedule, total: int, steps: int, **group: float) -> list[float]:
    optim = optimizer(group)
    scheduler = schedule(optim, total)
    found = []
    for _ in range(steps):
        found.append(optim.param_groups[0]["lr"])
        optim.step()
        scheduler.step()
    return found


def test_cosine_passes_through_floor_peak_middle_and_floor() -> None:
    found = rates(WarmupCosine(warmup=10, lr_min=0.01), total=110, steps=130, lr=0.11)
    assert found[0] == pytest.approx(0.01)
    assert found[5] == pytest.approx(0.06)
    assert found[10] == pytest.approx(0.11)
    assert found[60] == pytest.approx(0.06)
    assert found[110:] == pytest.approx([0.01] * 20)
    assert max(found) == found[10]


def test_a_share_of_the_run_warms_up() -> None:
    assert WarmupCosine(0.1).warmup_steps(1005) == 100
    assert WarmupCosine(7).warmup_steps(1005) == 7
    assert rates(WarmupCosine(0.1), 50, 50) == rates(WarmupCosine(5), 50, 50)


def test_no_warmup_starts_at_the_peak_and_only_warmup_ends_at_it() -> None:
    assert rates(WarmupCosine(0, lr_min=0.0), 10, 1) == [0.1]
    assert rates(WarmupCosine(1.0, lr_min=0.0), 10, 10)[9] == pytest.approx(0.09)


def test_scaled_groups_follow_the_whole_curve() -> None:
    optim = optimizer({"lr": 0.1, "lr_scale": 1.0}, {"lr": 0.025, "lr_scale": 0.25})
    scheduler = WarmupCosine(5, lr_min=0.01)(optim, 20)
    for _ in range(20):
        whole, quarter = (group["lr"] for group in optim.param_groups)
        assert quarter == pytest.approx(whole / 4, rel=1e-12)
        optim.step()
        scheduler.step()


def test_polynomial() -> None:
    found = rates(WarmupPolynomial(5, lr_min=0.02, power=2), 25, 30)
    assert found[0] == 0
    assert found[5] == pytest.approx(0.1)
    assert found[15] == pytest.approx(0.02 + 0.08 / 4)
    assert found[25:] == pytest.approx([0.02] * 5)


def test_a_scheduler_resumes_from_its_state() -> None:
    first = optimizer({})
    scheduler = WarmupCosine(3)(first, 20)
    for _ in range(7):
        first.step()
        scheduler.step()
    second = optimizer({})
    resumed = WarmupCosine(3)(second, 20)
    resumed.load_state_dict(pickle.loads(pickle.dumps(scheduler.state_dict())))
    second.load_state_dict(first.state_dict())
    first.step()
    second.step()
    scheduler.step()
    resumed.step()
    assert second.param_groups[0]["lr"] == first.param_groups[0]["lr"]


@pytest.mark.parametrize("options", [{"warmup": 1.5}, {"warmup": -1}, {"warmup": True}, {"lr_min": -1.0}])
def test_options_out_of_range(options: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=str(next(iter(options.values())))):
        WarmupCosine(**options)


def test_runs_that_cannot_be_scheduled() -> None:
    with pytest.raises(ValueError, match="at least one update, not 0"):
        WarmupCosine()(optimizer({}), 0)


def test_a_warmup_longer_than_the_run_is_warned_of() -> None:
    with pytest.warns(UserWarning, match="3000 updates is longer than the run of 200"):
        found = rates(WarmupCosine(3000, lr_min=0.0), 200, 100)
    assert found[99] == pytest.approx(0.1 * 99 / 3000)


@pytest.mark.parametrize("milestones", [(10, 15), (0.5, 0.75)])
def test_steps(milestones) -> None:
    found = [WarmupSteps(5, milestones).lr(step, 20, 1.0) for step in range(20)]
    assert found[:5] == pytest.approx([0, 0.2, 0.4, 0.6, 0.8])
    assert found[5:] == pytest.approx([1.0] * 5 + [0.1] * 5 + [0.01] * 5)
    with pytest.raises(ValueError, match="must ascend"):
        WarmupSteps(5, (3, 2))
