import pytest

from benchmarks.ids import choices
from mscn_flax.outer import OuterOptimizer
from mscn_flax.rendering import Camera
from mscn_flax.siren import Siren
from mscn_flax.train import Training


def test_resolution_grows_when_it_is_said_to():
    training = Training(outer_steps=10, stride=2, coarse_stride=4, coarse_until=0.6)
    assert [training.sampling(3, step).stride for step in range(10)] == [4] * 6 + [2] * 4
    assert training.sampling(3).stride == 2
    assert [Training(outer_steps=2, stride=2).sampling(3, step).stride for step in range(2)] == [2, 2]


@pytest.mark.parametrize(
    "wrong", [{"coarse_until": 1.5}, {"coarse_until": 0.5}, {"coarse_until": 0.5, "coarse_stride": 2, "stride": 2}]
)
def test_a_wrong_stage_is_refused(wrong):
    with pytest.raises(ValueError, match="coarse_"):
        Training(**wrong)


def test_renamed_options_leave_the_ids_of_runs_as_they_were():
    assert choices(OuterOptimizer(optimizer="muon")) == "OuterOptimizer(rule='muon')"
    assert choices(Camera(samples_per_ray=24)) == "Camera(samples=24)"
    assert choices(Siren(matmul_dtype="bfloat16")) == "Siren(products='bfloat16')"
    assert choices((OuterOptimizer(), Camera(), Siren())) == "(OuterOptimizer(), Camera(), Siren())"
