from __future__ import annotations

import math

import numpy as np
import pytest

from dcasearch.interpretation.intervals import Floats
from dcasearch.interpretation.similarity import CHANCE, cka, focus, gram, hsic, is_constant, overlap

RANDOM = np.random.default_rng(0)


def maps(*rows: list[float]) -> Floats:
    return np.array(rows, dtype=float).reshape(len(rows), 2, -1)


def features(images: int, width: int, seed: int = 0) -> Floats:
    return np.random.default_rng(seed).standard_normal((images, width))


def of(first: Floats, second: Floats) -> float:
    return cka(gram(first), gram(second))


def test_the_focus_is_the_fifth_of_the_pixels_with_the_largest_values() -> None:
    chosen = focus(maps([0, 1, 2, 3, 4, 9, 6, 7, 8, 5]))
    assert chosen[0].ravel().tolist() == [False] * 5 + [True] + [False] * 2 + [True] + [False]


def test_values_that_are_equal_to_the_last_of_the_fifth_are_in_it_too() -> None:
    assert focus(maps([0, 0, 5, 5, 5, 9, 0, 0, 0, 0])).sum() == 4


def test_a_map_with_less_than_a_fifth_above_its_least_value_has_a_smaller_focus() -> None:
    assert focus(maps([0, 0, 0, 7, 0, 0, 0, 0, 0, 0])).ravel().tolist().index(True) == 3
    assert focus(maps([0, 0, 0, 7, 0, 0, 0, 0, 0, 0])).sum() == 1


@pytest.mark.parametrize("value", [0.0, 0.7])
def test_a_map_of_one_value_has_no_focus_and_no_overlap(value: float) -> None:
    flat, other = focus(maps([value] * 10)), focus(maps([*range(10)]))
    assert not flat.any()
    assert np.isnan(overlap(flat, other)).all()
    assert np.isnan(overlap(flat, flat)).all()


def test_a_map_that_varies_by_rounding_alone_has_no_focus() -> None:
    assert not focus(maps([0.7] * 9 + [0.7 + 1e-8])).any()


def test_overlap_is_intersection_over_union_image_by_image() -> None:
    first = np.array([[[1, 1, 0, 0]], [[1, 0, 0, 0]], [[1, 1, 1, 1]]], dtype=bool)
    second = np.array([[[0, 1, 1, 0]], [[0, 0, 0, 1]], [[1, 1, 1, 1]]], dtype=bool)
    assert overlap(first, second).tolist() == [1 / 3, 0.0, 1.0]


def test_unrelated_maps_overlap_by_chance() -> None:
    first, second = (focus(RANDOM.random((50, 40, 40))) for _ in range(2))
    assert overlap(first, second).mean() == pytest.approx(CHANCE, abs=0.01)


def test_equal_features_have_cka_one() -> None:
    x = features(40, 7)
    assert of(x, x) == pytest.approx(1.0)


def test_cka_does_not_see_rotation_scale_and_shift() -> None:
    x = features(40, 7)
    rotation = np.linalg.qr(features(7, 7, seed=1))[0]
    assert of(x, -3 * x @ rotation + 5) == pytest.approx(1.0)


def test_cka_sees_a_change_that_is_no_rotation() -> None:
    x = features(60, 4)
    assert of(x, x * np.array([10.0, 1.0, 1.0, 1.0])) < 0.9


def test_features_may_differ_in_width() -> None:
    x = features(60, 3)
    assert of(x, np.concatenate([x, np.zeros((60, 5))], 1)) == pytest.approx(1.0)


def test_the_cka_of_unrelated_features_is_around_zero_even_where_there_are_more_features_than_images() -> None:
    values = [of(features(64, 1024, seed=n), features(64, 512, seed=n + 100)) for n in range(8)]
    assert abs(np.mean(values)) < 0.02

    def plain(first: Floats, second: Floats) -> float:
        a, b = gram(first), gram(second)
        return float((a * b).sum() / math.sqrt((a * a).sum() * (b * b).sum()))

    assert plain(features(64, 1024, seed=0), features(64, 512, seed=100)) > 0.8


def test_features_of_orthogonal_patterns_have_cka_near_zero() -> None:
    # A balanced design: two factors that vary over all combinations, so neither tells of the other.
    first = np.repeat([-1.0, 1.0], 32)[:, None]
    second = np.tile([-1.0, 1.0], 32)[:, None]
    assert abs(of(first, second)) < 0.02


def test_hsic_is_the_mean_over_quadruples_of_different_images() -> None:
    # The definition (Song et al., section 3.2): E[k_ij l_ij] + E[k_ij l_qr] - 2 E[k_ij l_iq] over different images.
    k, m = gram(features(6, 2)), gram(features(6, 3, seed=1))
    images = range(6)
    pairs = [(i, j) for i in images for j in images if i != j]
    same = np.mean([k[i, j] * m[i, j] for i, j in pairs])
    shared = np.mean([k[i, j] * m[i, q] for i, j in pairs for q in images if q not in (i, j)])
    apart = np.mean([k[i, j] * m[q, r] for i, j in pairs for q, r in pairs if len({i, j, q, r}) == 4])
    assert hsic(k, m) == pytest.approx(same + apart - 2 * shared)


def test_features_without_variation_have_no_cka() -> None:
    flat = np.full((40, 3), 0.3)
    assert is_constant(flat)
    assert is_constant(flat + 1e-9 * features(40, 3))
    assert not is_constant(flat + 1e-3 * features(40, 3))
    assert math.isnan(of(flat, features(40, 3)))
