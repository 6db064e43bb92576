import dataclasses
import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from outer_steps import mesh

from mscn_flax import codec, meta, metrics, model
from mscn_flax.budget import BudgetController
from mscn_flax.coder import Coder
from mscn_flax.curvature import FullCurvature, KroneckerCurvature, LayerCurvature, LowRankCurvature
from mscn_flax.delta import DeltaSiren
from mscn_flax.fitting import fit_model
from mscn_flax.learner import MetaLearner
from mscn_flax.modalities import IMAGES
from mscn_flax.modalities.grids import grid_coordinates
from mscn_flax.outer import OuterOptimizer
from mscn_flax.siren import LatentModulatedSiren, Siren
from mscn_flax.sparsity import GradientGates

COORDS = jnp.asarray(grid_coordinates((6, 6)))
TARGETS = jax.random.uniform(jax.random.key(5), (4, 36, 3))
KEYS = jax.random.split(jax.random.key(6), 4)
SIREN = Siren(depth=3, width=6)
CURVATURES = [FullCurvature(), LayerCurvature(), LowRankCurvature(rank=3), KroneckerCurvature(scale=0.3)]


def mscn(**options):
    return MetaLearner(field=SIREN, controller=BudgetController(budget=9), **options)


def functa(**options):
    return MetaLearner(field=LatentModulatedSiren(siren=SIREN, latent_dim=5), **options)


def gradient_gates(**options):
    return MetaLearner(field=DeltaSiren(SIREN), controller=BudgetController(budget=30), form=GradientGates(), **options)


def own_patterns(**options):
    return mscn(adapt_gates=True, gate_inner_lr=10.0, **options)


MAKERS = [mscn, functa, gradient_gates, own_patterns]


def curved(learner, size=0.2):
    """theta with a curvature drawn at random, which moves the code as much as the learning rates do."""
    theta = learner.init(jax.random.key(0), COORDS)
    leaves, structure = jax.tree.flatten(theta["curvature"])
    drawn = [size * jax.random.normal(jax.random.key(i), leaf.shape) for i, leaf in enumerate(leaves)]
    return theta | {"curvature": structure.unflatten(drawn)}


def dense(curvature, field, factors, lr):
    """B as a matrix over all entries of the code, spelled out form by form."""
    size = int(np.prod(field.code_shape))
    if isinstance(curvature, LowRankCurvature):
        return curvature.scale * factors["left"] @ factors["right"].T
    if isinstance(curvature, LayerCurvature):
        return curvature.scale * jax.scipy.linalg.block_diag(*factors)
    if isinstance(field, DeltaSiren):
        blocks = [factors[f"layer_{part.layer:02d}_{part.kind}"] for part in field.parts]
    else:
        blocks = [factors["code"]]
    sides = [[jnp.eye(len(block[k])) + curvature.scale * block[k] for k in ("left", "right")] for block in blocks]
    product = jax.scipy.linalg.block_diag(*(jnp.kron(left, right.T) for left, right in sides))
    return (product - jnp.eye(size)) @ jnp.diag(lr.ravel())


def unrolled_gradient(learner, theta, gates):
    """Gradient of the mean over signals of eq. 8's error, by Python loops over signals and inner steps."""

    def error(theta, key, target):
        z = 1.0 if gates is None else learner.controller.hard_concrete.sample(key, theta["log_alpha"])
        lr, shape = theta["inner_lr"]["code"], learner.field.code_shape
        matrix = dense(learner.curvature, learner.field, theta["curvature"], lr)
        of_code = 1.0 if isinstance(learner.form, GradientGates) else z

        def loss(adapted):
            return metrics.mse(learner.render(theta, of_code * adapted, COORDS), target)

        adapted = jnp.zeros(shape)
        for step in range(learner.inner_steps):
            if learner.truncate and step < learner.inner_steps - learner.truncate:
                # What earlier steps lead to is a constant.
                theta_seen = jax.lax.stop_gradient((theta, z, lr, matrix))
            else:
                theta_seen = (theta, z, lr, matrix)
            theta_now, z_now, lr_now, matrix_now = theta_seen
            of_now = 1.0 if isinstance(learner.form, GradientGates) else z_now

            def now(adapted, theta_now=theta_now, of_now=of_now):
                return metrics.mse(learner.render(theta_now, of_now * adapted, COORDS), target)

            gradient = jax.grad(now)(adapted)
            gate = z_now if isinstance(learner.form, GradientGates) else 1.0
            bent = (matrix_now @ (gate * gradient).ravel()).reshape(shape)
            adapted = adapted - gate * lr_now * gradient - gate * bent
        return loss(adapted)

    gradient = jax.jit(jax.grad(error))
    each = [gradient(theta, key, target) for key, target in zip(KEYS, TARGETS, strict=True)]
    return jax.tree.map(lambda *leaves: sum(leaves) / len(leaves), *each)


@pytest.mark.parametrize(
    ("make", "curvature", "options"),
    [
        (mscn, FullCurvature(), {}),
        (mscn, LayerCurvature(), {"truncate": 1}),
        (mscn, LowRankCurvature(rank=3), {"remat": False}),
        (mscn, KroneckerCurvature(scale=0.3), {}),
        (functa, LayerCurvature(), {}),
        (functa, FullCurvature(), {"tile": 9, "truncate": 2}),
        (gradient_gates, KroneckerCurvature(scale=0.3), {}),
        (gradient_gates, LowRankCurvature(rank=3), {"tile": 9}),
    ],
)
def test_the_meta_gradient_is_that_of_the_unrolled_steps(make, curvature, options):
    learner = make(curvature=curvature, **options)
    theta, gates = curved(learner), learner.init_gates()
    gates = None if gates is None else gates.replace(log_lambda=jnp.float32(-100.0))  # Without the penalty of eq. 8.
    expected = unrolled_gradient(learner, theta, gates)
    ours = functools.partial(meta.meta_gradient, learner, mesh=mesh(2), chunk_size=2)
    _, found = jax.jit(ours)(theta, gates, KEYS, COORDS, TARGETS)
    for name in theta:
        for mine, theirs in zip(jax.tree.leaves(found[name]), jax.tree.leaves(expected[name]), strict=True):
            largest = float(np.max(np.abs(theirs)))
            assert largest > 0
            np.testing.assert_allclose(mine, theirs, rtol=2e-3, atol=1e-4 * largest)


@pytest.mark.parametrize("curvature", CURVATURES)
@pytest.mark.parametrize("make", MAKERS)
def test_a_curvature_of_zero_is_meta_sgd_and_has_a_gradient(make, curvature):
    plain, learner = make(), make(curvature=curvature)
    theta, gates = learner.init(jax.random.key(0), COORDS), learner.init_gates()
    without = plain.init(jax.random.key(0), COORDS)
    assert jax.tree.all(jax.tree.map(lambda a, b: bool(jnp.all(a == b)), {k: theta[k] for k in without}, without))

    def code(theta, learner):
        return learner.fit(theta, gates, KEYS[0], COORDS, TARGETS[0])[0]

    expected = code(without, plain)
    assert np.any(expected)
    np.testing.assert_allclose(code(theta, learner), expected, rtol=1e-5, atol=1e-7)
    gradient = jax.grad(lambda theta: jnp.sum(code(theta, learner) ** 2))(theta)["curvature"]
    if isinstance(curvature, LowRankCurvature):
        gradient = gradient["left"]  # That of V is zero where U is.
    assert all(np.any(leaf) for leaf in jax.tree.leaves(gradient))


class Linear(nn.Module):
    """A field that is linear in its code, so that the inner loss is a quadratic."""

    code_shape = (4,)

    def __call__(self, coords, code):
        return (coords @ code)[:, None]


@pytest.mark.parametrize("curvature", [FullCurvature(), LayerCurvature(scale=0.5)])
def test_the_ideal_matrix_solves_a_quadratic_in_one_step(curvature):
    learner = MetaLearner(field=Linear(), curvature=curvature)
    points, target = jax.random.normal(jax.random.key(1), (20, 4)), jax.random.normal(jax.random.key(2), (20, 1))
    theta = {"field": {}, "inner_lr": {"code": jnp.full(4, 0.05)}}
    hessian = 2 * points.T @ points / len(points)
    ideal = (jnp.linalg.inv(hessian) - jnp.diag(theta["inner_lr"]["code"])) / curvature.scale
    theta["curvature"] = ideal[None]
    code, _, losses = learner.fit(theta, None, jax.random.key(0), points, target, steps=2)
    solution, (residual,), *_ = np.linalg.lstsq(np.asarray(points), np.asarray(target)[:, 0], rcond=None)
    np.testing.assert_allclose(code, solution, rtol=1e-3, atol=1e-5)
    assert losses[1] == pytest.approx(residual / 20, rel=1e-4)
    assert losses[1] < 0.99 * losses[0]


def test_what_is_closed_neither_moves_nor_moves_others():
    learner = gradient_gates(curvature=KroneckerCurvature())
    theta, gates = curved(learner), learner.init_gates()
    mask = jax.random.uniform(jax.random.key(3), gates.mask.shape) > 0.5
    gates = gates.replace(mask=mask, frozen=jnp.ones((), bool))

    def code(lr):
        changed = theta | {"inner_lr": {"code": lr}}
        return learner.fit(changed, gates, KEYS[0], COORDS, TARGETS[0])[0]

    lr = theta["inner_lr"]["code"]
    assert not np.any(code(lr)[~mask])
    np.testing.assert_array_equal(code(lr), code(jnp.where(mask, lr, 100.0)))
    assert not np.allclose(code(lr), code(jnp.where(mask, 2 * lr, lr)))


@pytest.mark.parametrize("curvature", CURVATURES)
def test_the_decoder_does_not_need_it(curvature, tmp_path):
    learner = mscn(curvature=curvature, inner_lr_range=(1.0, 3.0), lr_per_step=True, train_steps=2)
    theta = jax.device_get(curved(learner))
    mask = np.zeros(SIREN.code_shape, bool)
    mask[:, 1:4] = True
    coder = Coder(learner, theta, mask, 6, 3, IMAGES)
    images = np.random.default_rng(0).integers(0, 256, (40, 6, 6, 3)).astype(np.uint8)
    trained = fit_model(coder, coder.adapt(images), 5)
    trained.save(tmp_path / "m.safetensors")
    shared = model.load_model(tmp_path / "m.safetensors")
    found = shared.coder.learner
    assert (found.curvature, found.lr_per_step, found.train_steps) == (curvature, True, 2)
    stream = codec.encode(shared, images[0])
    assert stream == codec.encode(trained, images[0])
    expected = codec.decode(shared, stream)
    spoilt = theta | {"curvature": jax.tree.map(lambda leaf: leaf * np.nan, theta["curvature"])}
    for other in (spoilt, {name: each for name, each in theta.items() if name != "curvature"}):
        values = coder.render(codec.unpack(shared, codec.parse(stream)))
        np.testing.assert_array_equal(
            dataclasses.replace(coder, theta=other).render(codec.unpack(shared, codec.parse(stream))), values
        )
        np.testing.assert_array_equal(IMAGES.join(IMAGES.stored(values), 6, 6, 6, None), expected)


def test_it_has_a_learning_rate_and_a_clipping_of_its_own():
    theta = {"field": {"w": jnp.ones(3)}, "inner_lr": {"code": jnp.ones(2)}, "curvature": jnp.ones((1, 2, 2))}
    gradient = theta | {"curvature": jnp.full((1, 2, 2), 1e6)}

    def update(theta, **options):
        transformation = OuterOptimizer(learning_rate=1e-2, clip_norm=0.1, **options).build(10)
        return transformation.update({name: gradient[name] for name in theta}, transformation.init(theta), theta)[0]

    found = update(theta, curvature_lr_factor=0.5)
    without = update({name: theta[name] for name in ("field", "inner_lr")})
    np.testing.assert_array_equal(found["field"]["w"], without["field"]["w"])
    np.testing.assert_allclose(found["curvature"], -0.5e-2, rtol=1e-4)
    assert not np.any(update(theta, curvature_lr_factor=0.0)["curvature"])


def test_matrices_without_bounds_and_wrong_ranks_are_refused():
    large = MetaLearner(field=DeltaSiren(Siren(depth=5, width=256)), curvature=FullCurvature())
    with pytest.raises(ValueError, match=r"FullCurvature of a code of shape \(\d+,\) .* use LowRankCurvature"):
        jax.eval_shape(large.init, jax.random.key(0), COORDS)
    with pytest.raises(ValueError, match="rank must be at least 1 and whole, got 0"):
        LowRankCurvature(rank=0)


def test_gin_gives_it_to_one_method(build):
    jobs = build(
        "table1_modulations", "table1/mscn/MetaLearner.curvature=@LayerCurvature()", "LayerCurvature.scale=0.3"
    )
    chosen = {(job.method, job.setup.learner.curvature) for job in jobs if job.method != "pca"}
    assert chosen == {("mscn", LayerCurvature(scale=0.3)), ("functa", None)}
