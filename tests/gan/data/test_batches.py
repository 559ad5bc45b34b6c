import numpy as np
import pytest
import torch

from raresmith.errors import ConfigError, DataError
from raresmith.gan.data.batches import RowIndex, StratifiedBatchSampler, parted

CPU = torch.device("cpu")


def batches(
    real: dict[int, int], synthetic: dict[int, int], *, rank: int = 0, world_size: int = 1, batch_size: int = 64
) -> StratifiedBatchSampler:
    return StratifiedBatchSampler(
        real, synthetic, batch_size=batch_size, seed=1, rank=rank, world_size=world_size, device=CPU
    )


@pytest.mark.parametrize("world_size", [1, 2, 3, 7])
@pytest.mark.parametrize(
    ("real", "synthetic"),
    [({1: 367}, {1: 24_000}), ({1: 2}, {1: 5}), ({0: 40, 2: 7}, {0: 100, 2: 900}), ({1: 1}, {1: 1})],
)
def test_the_batch_of_a_step_is_the_same_for_any_number_of_ranks(
    real: dict[int, int], synthetic: dict[int, int], world_size: int
) -> None:
    alone = batches(real, synthetic)
    ranks = [batches(real, synthetic, rank=rank, world_size=world_size) for rank in range(world_size)]
    for step in (0, 1, 999):
        of_real = torch.cat([rank.real(step) + rank.real_range[0] for rank in ranks])
        of_smote = torch.cat([rank.smote(step) + rank.smote_range[0] for rank in ranks])
        assert torch.equal(of_real, alone.real(step))
        assert torch.equal(of_smote, alone.smote(step))


@pytest.mark.parametrize("world_size", [1, 2, 3, 7])
def test_a_rank_draws_only_from_its_share_and_shares_hardly_overlap(world_size: int) -> None:
    real, synthetic = {0: 300, 1: 50}, {0: 1000, 1: 3000}
    held_real = held_smote = 0
    for rank in range(world_size):
        share = batches(real, synthetic, rank=rank, world_size=world_size)
        for step in range(50):
            for drawn, (low, high) in ((share.real(step), share.real_range), (share.smote(step), share.smote_range)):
                assert drawn.min() >= 0 and drawn.max() < high - low
        held_real += share.real_range[1] - share.real_range[0]
        held_smote += share.smote_range[1] - share.smote_range[0]
    assert held_real <= 350 + world_size
    assert held_smote <= 4000 + world_size


def test_every_row_of_a_class_is_as_likely_and_classes_come_as_often_as_they_are_made() -> None:
    share = batches({0: 5, 1: 20}, {0: 30, 1: 10})
    real = torch.bincount(torch.cat([share.real(step) for step in range(4000)]), minlength=25) / 4000
    # 32 real rows a step: 24 of class 0 over 5 rows, 8 of class 1 over 20.
    assert torch.allclose(real[:5], torch.full((5,), 24 / 5), rtol=0.05)
    assert torch.allclose(real[5:], torch.full((20,), 8 / 20), rtol=0.1)
    smote = torch.bincount(torch.cat([share.smote(step) for step in range(4000)]), minlength=40) / 4000
    assert torch.allclose(smote, torch.full((40,), 64 / 40), rtol=0.1)


def test_two_steps_draw_different_rows() -> None:
    share = batches({1: 1000}, {1: 1000})
    assert not torch.equal(share.real(0), share.real(1))


def test_more_ranks_than_real_rows_in_a_batch_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"refine.batch_size = 4 has 2 real rows for 3 processes.* at least 6"):
        batches({1: 5}, {1: 5}, batch_size=4, world_size=3)


def test_rows_are_ordered_by_class_then_id() -> None:
    order = RowIndex.of(np.array([1, 0, 1], np.int32), np.array([5, 9, -3]), "t")
    assert order.labels.tolist() == [0, 1, 1]
    assert order.row_ids.tolist() == [9, -3, 5]
    assert order.counts() == {0: 1, 1: 2}
    assert order.condition(0, 2) == (
        "(label = 0 AND row_id BETWEEN 9 AND 9) OR (label = 1 AND row_id BETWEEN -3 AND -3)"
    )


def test_a_row_id_that_two_rows_have_is_refused() -> None:
    with pytest.raises(DataError, match="t has 1 rows whose row_id another row has"):
        RowIndex.of(np.array([1, 1], np.int32), np.array([5, 5]), "t")


def test_parts_cover_the_whole_once() -> None:
    for total, parts in ((10, 3), (2, 5), (0, 2)):
        bounds = [parted(total, parts, part) for part in range(parts)]
        assert [low for low, _ in bounds][1:] == [high for _, high in bounds][:-1]
        assert bounds[0][0] == 0 and bounds[-1][1] == total
