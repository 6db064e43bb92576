import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mscn_flax.modalities.grids import grid_coordinates
from mscn_flax.siren import LatentModulatedSiren, Siren

COORDS = jnp.asarray(grid_coordinates((8, 8)))


def reference(params, coords, modulations, w0):
    """Eq. 10 in float64 NumPy, a layer at a time."""
    h = np.asarray(coords, np.float64)
    layers = sorted(name for name in params if name.startswith("layer"))
    for name, shift in zip(layers, np.asarray(modulations, np.float64), strict=True):
        h = np.sin(w0 * (h @ np.asarray(params[name]["kernel"], np.float64) + np.asarray(params[name]["bias"]) + shift))
    return h @ np.asarray(params["output"]["kernel"], np.float64) + np.asarray(params["output"]["bias"]) + 0.5


@pytest.mark.parametrize("sine", ["fast", "plain"])
def test_values_agree_with_the_equation(sine):
    field = Siren(depth=5, width=16, w0=30.0, sine=sine)
    modulations = 0.1 * jax.random.normal(jax.random.key(1), field.code_shape)
    variables = field.init(jax.random.key(0), COORDS, modulations)
    values = field.apply(variables, COORDS, modulations)
    np.testing.assert_allclose(values, reference(variables["params"], COORDS, modulations, 30.0), atol=2e-5)


def test_the_papers_network_has_its_numbers():
    field = Siren(depth=15, width=512)
    assert field.code_shape == (14, 512)
    shapes = jax.eval_shape(field.init, jax.random.key(0), COORDS, jnp.zeros(field.code_shape))
    assert sum(leaf.size for leaf in jax.tree.leaves(shapes)) == 3_417_603


def test_initialisation_ranges():
    field = Siren(depth=4, width=256, w0=30.0)
    params = field.init(jax.random.key(0), COORDS, jnp.zeros(field.code_shape))["params"]
    for name, bound in (("layer_00", 1 / 2), ("layer_01", (6 / 256) ** 0.5 / 30), ("output", (6 / 256) ** 0.5 / 30)):
        largest = float(jnp.max(jnp.abs(params[name]["kernel"])))
        assert 0.9 * bound < largest <= bound
        assert not np.any(params[name]["bias"])


@pytest.mark.parametrize("uniform_bias", [False, True])
def test_units_without_coordinates_shift_all_units_of_the_next_layer(uniform_bias):
    options = {"depth": 3, "width": 16, "w0": 20.0, "uniform_bias": uniform_bias}
    field, plain = Siren(coordinate_free=5, **options), Siren(**options)
    params, other = (one.init(jax.random.key(0), COORDS)["params"] for one in (field, plain))
    assert not np.any(params["layer_00"]["kernel"][:, :5])
    for leaf, expected in zip(jax.tree.leaves(params), jax.tree.leaves(other), strict=True):
        start = 5 if expected is other["layer_00"]["kernel"] or expected is other["layer_00"]["bias"] else 0
        np.testing.assert_array_equal(leaf[..., start:], expected[..., start:])

    def values(code):
        return field.apply({"params": params}, COORDS, code)

    code = jnp.zeros(field.code_shape).at[0, 2].set(0.01)
    shift = jnp.sin(20.0 * 0.01) * params["layer_01"]["kernel"][2]
    np.testing.assert_allclose(values(code), values(jnp.zeros(field.code_shape).at[1].set(shift)), atol=1e-5)
    assert np.any(np.abs(values(code) - values(jnp.zeros(field.code_shape))) > 1e-3)


def test_a_path_without_coordinates_lets_a_modulation_shift_every_layer_by_a_constant():
    field = Siren(depth=5, width=16, w0=20.0, coordinate_free=5, coordinate_free_layers=3)
    params = field.init(jax.random.key(0), COORDS)["params"]
    plain = Siren(depth=5, width=16, w0=20.0).init(jax.random.key(0), COORDS)["params"]
    for layer in (1, 2):
        kernel, expected = (one[f"layer_{layer:02d}"]["kernel"] for one in (params, plain))
        assert not np.any(kernel[5:, :5])
        np.testing.assert_array_equal(kernel[:, 5:], expected[:, 5:])
        np.testing.assert_array_equal(kernel[:5], expected[:5])
    for name in ("layer_03", "output"):
        np.testing.assert_array_equal(params[name]["kernel"], plain[name]["kernel"])

    # The same modulation as shifts of the later layers: what the units of the path carry does not depend on the point.
    values = field.apply({"params": params}, COORDS, jnp.zeros(field.code_shape).at[0, 2].set(0.02))
    carried, shifts = jnp.zeros(5).at[2].set(jnp.sin(20.0 * 0.02)), jnp.zeros(field.code_shape)
    for layer in (1, 2, 3):
        shift = carried @ params[f"layer_{layer:02d}"]["kernel"][:5]
        # Units of the path carry on by themselves; the others get the shift.
        shifts = shifts.at[layer, 5:].set(shift[5:]) if layer < 3 else shifts.at[layer].set(shift)
        carried = jnp.sin(20.0 * shift[:5])
    np.testing.assert_allclose(field.apply({"params": params}, COORDS, shifts), values, atol=1e-5)


def test_units_without_coordinates_can_shift_the_others_of_their_own_layer():
    options = {"depth": 3, "width": 16, "w0": 20.0, "coordinate_free": 5}
    field, plain = Siren(coordinate_free_shift=True, **options), Siren(**options)
    params = dict(field.init(jax.random.key(0), COORDS)["params"])
    code = jnp.zeros(field.code_shape).at[0, 2].set(0.02).at[1, 7].set(0.01)

    def values(siren, code):
        return siren.apply({"params": params}, COORDS, code)

    # The kernel starts at zero.
    np.testing.assert_array_equal(values(field, code), values(plain, code))
    kernel = jax.random.normal(jax.random.key(1), (5, 11))
    assert params["layer_00_free"]["kernel"].shape == kernel.shape
    params["layer_00_free"] = {"kernel": kernel}
    shifted = code.at[0, 5:].add(jnp.sin(20.0 * 0.02) * kernel[2])
    np.testing.assert_allclose(values(field, code), values(plain, shifted), atol=1e-4)
    assert np.any(np.abs(values(field, code) - values(plain, code)) > 1e-2)


def test_zero_latent_is_the_base_network():
    siren = Siren(depth=4, width=16)
    field = LatentModulatedSiren(siren=siren, latent_dim=5)
    variables = field.init(jax.random.key(0), COORDS, jnp.zeros(5))
    base = siren.apply({"params": variables["params"]["siren"]}, COORDS, jnp.zeros(siren.code_shape))
    np.testing.assert_array_equal(field.apply(variables, COORDS, jnp.zeros(5)), base)
    assert variables["params"]["latent_to_modulations"]["kernel"].shape == (5, 48)


def test_rounded_products_lose_a_little_and_can_be_differentiated():
    exact, rounded = Siren(depth=4, width=32, w0=20.0), Siren(depth=4, width=32, w0=20.0, matmul_dtype="bfloat16")
    variables = exact.init(jax.random.key(0), COORDS, jnp.zeros(exact.code_shape))

    def values(field, code):
        return field.apply(variables, COORDS, code)

    code = 0.01 * jax.random.normal(jax.random.key(1), exact.code_shape)
    found = [values(field, code) for field in (exact, rounded)]
    assert found[1].dtype == jnp.float32
    assert 1e-5 < float(jnp.max(jnp.abs(found[1] - found[0]))) < 0.05
    # Of any order, as the outer gradient needs it.
    second = [
        jax.grad(lambda c, f=field: jnp.sum(jax.grad(lambda c: jnp.sum(values(f, c) ** 2))(c) ** 2))(code)
        for field in (exact, rounded)
    ]
    close = jnp.sum(second[0] * second[1]) / (jnp.linalg.norm(second[0]) * jnp.linalg.norm(second[1]))
    assert float(close) > 0.99


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"sine": "fsat"}, "fast, plain"),
        ({"depth": 1}, "depth >= 2"),
        ({"width": 4, "coordinate_free": 5}, "coordinate_free must be from 0 to width 4, got 5"),
        ({"depth": 3, "coordinate_free_layers": 3}, "coordinate_free_layers must be from 1 to 2"),
        ({"coordinate_free_shift": True}, "coordinate_free_shift needs coordinate_free units and others, got 0 of 512"),
        ({"matmul_dtype": "float16"}, "float32, tf32, bfloat16"),
    ],
)
def test_wrong_values_are_named(wrong, says):
    with pytest.raises(ValueError, match=says):
        Siren(**wrong)


@pytest.mark.parametrize("uniform", [False, True])
def test_latent_map_starts_as_in_the_reference_codes(uniform):
    field = LatentModulatedSiren(siren=Siren(depth=4, width=64), latent_dim=16, uniform_map=uniform)
    params = field.init(jax.random.key(0), jnp.zeros((1, 2)), jnp.zeros(16))["params"]["latent_to_modulations"]
    kernel, bias, bound = np.asarray(params["kernel"]), np.asarray(params["bias"]), 16**-0.5
    if uniform:  # torch.nn.Linear: U(-1, 1) / sqrt(inputs), bias likewise.
        assert 0.98 * bound < np.abs(kernel).max() <= bound
        assert 0.9 * bound < np.abs(bias).max() <= bound
        assert np.std(kernel) == pytest.approx(bound / 3**0.5, rel=0.05)
    else:  # A normal truncated at two deviations has 0.88 of its deviation left.
        assert 1.8 * bound < np.abs(kernel).max() <= 2 * bound
        assert not bias.any()
        assert np.std(kernel) == pytest.approx(0.88 * bound, rel=0.05)
