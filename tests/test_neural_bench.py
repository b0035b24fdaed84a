"""The bench of the neural lane runs here, over a real lane, and its tables say what was seen."""

from pathlib import Path

import pytest

from tests.asset_frames import with_golden
from tests.bench import device_speed, neural_bench
from tests.bench.neural_bench import Row, Tally


@with_golden
def test_it_measures_a_lane_of_three_callers(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Narrow and short: every caller gets pictures back, all of them swapped; two wait while one is served."""
    monkeypatch.setattr(neural_bench, "WARM_UP_S", 0.1)
    assert neural_bench.main(["--seconds", "0.4", "--callers", "3", "--cache", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in said.splitlines() if line.startswith("| 3")]
    (callers, alone, batched, *_, together), (_, each, *_, unswapped) = rows
    assert (callers, unswapped) == ("3", "0")
    assert min(float(alone), float(batched), float(each)) > 0
    assert float(together) > 1
    assert "swap " in said


def test_a_table_is_of_what_was_tallied() -> None:
    """Gain, milliseconds and the share that was dropped."""
    alone = Row(callers=4, fps=20.0, tally=Tally(took_ms=[10.0]))
    many = Row(callers=4, fps=50.0, tally=Tally(took_ms=[float(ms) for ms in range(101)], batches=[4, 2], dropped=25))
    assert "| 4 | 20.0 | 50.0 | 2.50 | 20.0 | 50.0 | 95.0 | 3.0 |" in neural_bench.saturated([alone], [many])
    assert "| 4 | 12.5 | 50.0 | 95.0 | 20% | 0 |" in neural_bench.paced([many])


def test_the_speed_of_matrices_is_measured() -> None:
    """A CPU does between a thousandth of a TFLOP/s and a hundred."""
    assert 1e-3 < device_speed.teraflops(None, half=False, side=256) < 100
