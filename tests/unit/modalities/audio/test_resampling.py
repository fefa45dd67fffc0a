import pytest
import torch
from torchaudio.functional import resample as by_table

from onepeace_pl.modalities.audio import resampling


@pytest.mark.parametrize("rate", [8000, 22_050, 44_100, 48_000])
def test_sample_by_sample_is_the_same_as_by_table(rate: int, monkeypatch: pytest.MonkeyPatch) -> None:
    wave = torch.randn(rate // 3 + 7, generator=torch.Generator().manual_seed(0))
    monkeypatch.setattr(resampling, "_LARGEST_TABLE", 0)
    ours = resampling.resample(wave, rate, 16_000)
    torch.testing.assert_close(ours, by_table(wave, rate, 16_000), atol=1e-4, rtol=0)


@pytest.mark.parametrize("rate", [11_127, 44_101, 767_999])
def test_odd_rates(rate: int) -> None:
    time = torch.arange(rate // 4, dtype=torch.float64) / rate
    ours = resampling.resample(torch.sin(time * 2 * torch.pi * 440).float(), rate, 16_000)
    expected = torch.sin(torch.arange(len(ours)) / 16_000 * 2 * torch.pi * 440)
    assert abs(len(ours) - 4000) <= 1
    torch.testing.assert_close(ours[200:-200], expected[200:-200], atol=2e-3, rtol=0)
