import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from dcasearch.training.average import MovingAverage


def model(seed: int) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4 * 36, 2))


def test_it_equals_torchs_average_to_the_last_bit_and_takes_over_its_state() -> None:
    trained = model(0)
    ours, theirs = (
        MovingAverage(trained, 0.9),
        AveragedModel(trained, multi_avg_fn=get_ema_multi_avg_fn(0.9), use_buffers=True),
    )
    for seed in range(1, 5):
        trained(torch.randn(2, 3, 8, 8))  # moves BatchNorm's buffers, its count too
        with torch.no_grad():
            for parameter in trained.parameters():
                parameter.add_(torch.randn_like(parameter))
        ours.update_parameters(trained)
        theirs.update_parameters(trained)
        assert ours.state_dict().keys() == theirs.state_dict().keys()
        for name, value in theirs.state_dict().items():
            assert torch.equal(ours.state_dict()[name], value), (seed, name)
    continued = MovingAverage(model(9), 0.9)
    continued.load_state_dict(theirs.state_dict())
    continued.update_parameters(trained)
    theirs.update_parameters(trained)
    assert all(torch.equal(continued.state_dict()[name], value) for name, value in theirs.state_dict().items())


def test_the_first_update_takes_over_the_values_and_the_number_of_updates_stays_on_the_cpu() -> None:
    average, other = MovingAverage(model(0), 0.99), model(1)
    average.update_parameters(other)
    assert torch.equal(average.module.get_parameter("3.weight"), other.get_parameter("3.weight"))
    assert average.n_averaged == 1
    assert average.n_averaged.device.type == "cpu"
