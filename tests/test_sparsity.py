import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from outer_steps import encode, mesh, outer_steps

from mscn_flax import compact, meta, metrics
from mscn_flax.budget import BudgetController
from mscn_flax.delta import DeltaSiren
from mscn_flax.learner import MetaLearner
from mscn_flax.modalities.grids import grid_coordinates
from mscn_flax.outer import OuterOptimizer
from mscn_flax.siren import Siren
from mscn_flax.sparsity import (
    ActivationGates,
    CodeGates,
    GradientGates,
    GroupGates,
    StructuredGates,
    UnstructuredGates,
)

COORDS = jnp.asarray(grid_coordinates((8, 8)))
TARGETS = jax.random.uniform(jax.random.key(5), (4, 64, 3))
FIELD = DeltaSiren(Siren(depth=3, width=16, w0=20.0, centred=True, uniform_bias=True))
FORMS = {
    "unstructured": UnstructuredGates(),
    "structured": StructuredGates(),
    "group": GroupGates(units=4),
    "representational": ActivationGates(),
    "gradient": GradientGates(),
    "delta": CodeGates(),
}
MESH = mesh(2)


def learner(form, fraction=0.25, **kwargs):
    count = round(fraction * int(np.prod(form.gate_shape(FIELD))))
    controller = BudgetController(budget=count)
    return MetaLearner(field=FIELD, controller=controller, form=form, inner_steps=2, remat=False, **kwargs)


@functools.cache
def trained(name, steps=40):
    one = learner(FORMS[name])
    optimizer = OuterOptimizer(learning_rate=1e-3, gate_learning_rate=0.3, clip_norm=0.1)
    *_, (state, _) = outer_steps(one, optimizer, COORDS, TARGETS, planned=steps)
    codes = encode(one, state.theta, state.gates, COORDS, TARGETS)
    return one, state, np.asarray(codes)


def network(one, state, code):
    return jax.device_get(one.field.tree(one.field.flat(state.theta["field"]) + code))


@pytest.mark.parametrize("name", FORMS)
def test_each_forms_budget_is_exact(name):
    one, state, codes = trained(name)
    assert int(state.gates.mask.sum()) == one.controller.budget
    mask = state.gates.mask.astype(jnp.float32)
    expected = one.form.mask(one.field, mask) if hasattr(one.form, "mask") else mask
    for code in codes:
        values = np.asarray(one.form.counted(one.field, state.theta["field"], jnp.asarray(code)))
        np.testing.assert_array_equal(values != 0, np.asarray(expected) != 0)


@pytest.mark.parametrize("name", ["gradient", "delta"])
def test_delta_is_zero_wherever_the_mask_is(name):
    one, state, codes = trained(name)
    assert not codes[:, ~np.asarray(state.gates.mask)].any()
    assert np.count_nonzero(codes[0]) == one.controller.budget
    # theta0 itself is dense.
    assert np.all(np.asarray(one.field.flat(state.theta["field"])) != 0)


def test_gradient_gates_are_equation_9():
    one = learner(GradientGates(), inner_lr_range=(0.05, 0.2))
    theta, gates = one.init(jax.random.key(0), COORDS), one.init_gates()
    key = jax.random.key(3)
    code, _, _ = one.fit(theta, gates, key, COORDS, TARGETS[0])
    z = one.controller.hard_concrete.sample(key, theta["log_alpha"])
    assert np.any((np.asarray(z) > 0) & (np.asarray(z) < 1))

    def loss(delta):
        return metrics.mse(FIELD.apply({"params": theta["field"]}, COORDS, delta), TARGETS[0])

    delta = jnp.zeros(FIELD.code_shape)
    for _ in range(2):  # The same z at every step; weights and biases alike.
        delta -= theta["inner_lr"]["code"] * z * jax.grad(loss)(delta)
    np.testing.assert_allclose(code, delta, rtol=1e-4, atol=1e-7)


def test_a_closed_activation_is_a_closed_row():
    z = (jax.random.uniform(jax.random.key(1), ActivationGates().gate_shape(FIELD)) > 0.5).astype(jnp.float32)
    params = FIELD.init(jax.random.key(0), COORDS)["params"]
    code = ActivationGates().code(FIELD, params, jnp.zeros(FIELD.code_shape), z)
    h = 2 * COORDS - 1
    for layer in range(FIELD.siren.depth - 1):
        one = params[f"layer_{layer:02d}"]
        h = jnp.sin(20.0 * (h @ one["kernel"] + one["bias"][None, :])) * z[layer][None, :]
    expected = h @ params["output"]["kernel"] + params["output"]["bias"][None, :] + 0.5
    np.testing.assert_allclose(FIELD.apply({"params": params}, COORDS, code), expected, atol=1e-4)


@pytest.mark.parametrize("name", ["structured", "group", "representational", "unstructured"])
def test_the_compacted_network_equals_the_gated_one(name):
    one, state, codes = trained(name)
    params = network(one, state, codes[0])
    small = compact.compact(FIELD.siren, params)
    gated = one.render(state.theta, jnp.asarray(codes[0]), COORDS)
    np.testing.assert_allclose(compact.apply(FIELD.siren, small, COORDS), gated, atol=1e-4)
    dense = compact.weight_flops(params)
    assert compact.weight_flops(params, non_zero=True) < dense
    if name != "unstructured":
        assert compact.weight_flops(small) < 0.7 * dense


def test_constant_units_go_into_the_next_biases():
    params = jax.tree.map(np.array, FIELD.init(jax.random.key(0), COORDS)["params"])
    params["layer_01"]["kernel"][:, 3:9] = 0  # Constant, not zero: their biases are not.
    small = compact.compact(FIELD.siren, params)
    assert small["layer_01"]["kernel"].shape == (16, 10)
    expected = FIELD.siren.apply({"params": jax.device_put(params)}, COORDS)
    np.testing.assert_allclose(compact.apply(FIELD.siren, small, COORDS), expected, atol=1e-4)


def test_a_network_of_zeros_keeps_one_unit_per_layer():
    params = jax.tree.map(np.zeros_like, FIELD.init(jax.random.key(0), COORDS)["params"])
    small = compact.compact(FIELD.siren, params)
    assert small["layer_00"]["kernel"].shape == (2, 1)
    np.testing.assert_allclose(compact.apply(FIELD.siren, small, COORDS), 0.5)


def test_groups_must_divide_the_layer():
    with pytest.raises(ValueError, match="groups of 5 units"):
        learner(GroupGates(units=5))


def test_gates_that_the_loss_does_not_see_cannot_be_adapted():
    with pytest.raises(ValueError, match="gradient gates"):
        learner(GradientGates(), adapt_gates=True)
    with pytest.raises(ValueError, match="needs learned gates"):
        MetaLearner(field=FIELD, adapt_gates=True)


def test_a_fixed_rate_stays():
    one = learner(GradientGates(), meta_sgd=False, inner_lr_range=(0.1, 0.1))
    theta, gates = one.init(jax.random.key(0), COORDS), one.init_gates()
    keys = jax.random.split(jax.random.key(1), 4)
    gradient_of = jax.jit(functools.partial(meta.meta_gradient, one, mesh=MESH, chunk_size=2))
    _, gradient = gradient_of(theta, gates, keys, COORDS, TARGETS)
    assert not np.any(gradient["inner_lr"]["code"])
    assert np.any(gradient["field"]["layer_00"]["kernel"])
