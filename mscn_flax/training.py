"""Models for the codec: meta-learning, quantiser and tables, and how a model does on what was held out."""

import dataclasses
import hashlib
import pathlib
from collections.abc import Iterable, Sequence

import gin
import jax
import numpy as np

from mscn_flax import codec, configuration, description, stream
from mscn_flax.budget import BudgetController
from mscn_flax.coder import Coder
from mscn_flax.data.reading import fingerprint
from mscn_flax.fitting import fit_model, lattices_of
from mscn_flax.learner import MetaLearner
from mscn_flax.modalities.images import PATCHES
from mscn_flax.model import Model
from mscn_flax.outer import OuterOptimizer
from mscn_flax.quantize import check_bits
from mscn_flax.siren import Siren
from mscn_flax.text import first_line
from mscn_flax.train import Setup, Training, train
from mscn_flax.training_signals import Signals
from mscn_flax.transform import Transform

_JUDGED = 32
"""Larger crops by which it is decided whether borders are blended."""


def judged(model: Model, signals: Iterable) -> str:
    """Rate and error of held-out signals, each coded as a file of its own and decoded, for people."""
    modality, lengths, points, errors = model.coder.modality, 0, 0, []
    try:
        for signal in signals:
            data = codec.encode(model, signal)
            coded = stream.parse(data)
            errors.append(modality.errors(signal, codec.decode(model, data, modality.cameras(signal))))
            lengths += len(data)
            points += modality.points(coded.height, coded.width, coded.parts)
    except ValueError as error:  # Such as a data set whose signals no file holds.
        return f"not judged: {first_line(error)}"
    if not errors:
        return "nothing"
    mean = {name: float(np.mean([each[name] for each in errors])) for name in errors[0]}
    files = f"{len(errors)} file{'s' if len(errors) > 1 else ''}"
    return f"{files}: {8 * lengths / points:.4g} {modality.rate}, {modality.described(mean)}"


@gin.configurable("codec")
def train_codec(
    found: Signals,
    *,
    seed: int,
    checkpoints: pathlib.Path | None = None,
    modulations: int = gin.REQUIRED,
    bits: int = gin.REQUIRED,
    encoding_steps: int = gin.REQUIRED,
    refined: int = gin.REQUIRED,
    half: bool = False,
    fit_signals: int = gin.REQUIRED,
    network: Model | None = None,
) -> Model:
    """The codec's MSCN, configured by gin/codec.gin in the scope `codec/<modality>`; see `train_model`.

    Args:
      found: training signals.
      seed: random seed of the run.
      checkpoints: folder of the run's checkpoints; None to keep none.
      modulations: n, kept per patch or signal.
      bits: bits per quantised modulation.
      encoding_steps: K of the model when it codes a signal.
      refined: further steps with momentum, see `refine.py`.
      half: whether codes are fitted to every second point, see `Coder`.
      fit_signals: number of signals to whose codes quantiser and tables are fitted.
      network: whose network and mask are taken as they are, for another rate; None to train them.

    Raises:
      ValueError: where gin describes another network than that which is given.
    """
    signals, trained_on, modality, _, larger = found
    first = signals[0]
    channels = modality.values(first).shape[-1] + modality.extra_channels
    learner = MetaLearner(
        field=modality.field(Siren(out_dim=channels)), controller=BudgetController(budget=modulations)
    )
    setup = Setup(learner, OuterOptimizer(), Training(), modality, modality.extent(first)[0], seed)
    if checkpoints is not None:
        seen = (setup, trained_on, len(signals), fingerprint(signals), *([fingerprint(larger)] if larger else []))
        decides = hashlib.sha256(repr(seen).encode()).hexdigest()[:8]
        checkpoints = checkpoints / decides
    configuration.check()
    trained_on = f"{trained_on}, {setup.training.outer_steps} outer steps, seed {seed}"
    if network is not None and (_network(network) != (learner.field, modulations, setup.resolution, trained_on)):
        raise ValueError(
            f"model {network.id[:8]} was trained otherwise; name the signals, the seed and the options that it was "
            "trained with"
        )
    return train_model(
        setup,
        signals,
        network=network,
        bits=bits,
        encoding_steps=encoding_steps,
        refined=refined,
        half=half,
        overlap=None,
        fit_signals=fit_signals,
        transform=True,
        larger=larger,
        trained_on=trained_on,
        gin_text=configuration.operative("/".join(gin.current_scope())),
        checkpoints=checkpoints,
    )


def _network(model: Model) -> tuple:
    """What two models that share a network have in common."""
    coder = model.coder
    return coder.learner.field, len(model.groups), coder.side, model.trained_on


def train_model(
    setup: Setup,
    signals: Sequence | np.ndarray,
    *,
    network: Model | None = None,
    bits: int = 5,
    encoding_steps: int | None = None,
    refined: int = 0,
    half: bool = False,
    overlap: bool | None = False,
    fit_signals: int = 2000,
    transform: bool = False,
    larger: Sequence | None = None,
    trained_on: str = "",
    gin_text: str = "",
    checkpoints: pathlib.Path | None = None,
) -> Model:
    """Meta-learns on signals, and fits quantiser and tables to the codes of some of them.

    Args:
      setup: what is trained, and how; the codes of its learner are modulations or latents. Where they are updates
        of the weights, the model codes but cannot be saved.
      signals: training signals, `signals[i]` as the modality of the setup has them.
      network: a model that was trained so, in which case nothing is; None to train.
      bits: bits per quantised number.
      encoding_steps: inner steps of the model when it codes a signal; None for as many as in training.
      refined: further steps with momentum, see `refine.py`.
      half: whether codes are fitted to every second point, see `Coder`.
      overlap: whether borders of patches are blended, see `Coder`; None for what suits `larger` better.
      fit_signals: number of signals to whose codes quantiser and tables are fitted.
      transform: whether coefficients are quantised in place of the numbers of a code.
      larger: signals of several parts, to whose codes contexts are fitted; none for contexts within a part alone, and
        None for no contexts.
      trained_on: name of the signals, for people.
      gin_text: configuration, for people.
      checkpoints: folder of the run's checkpoints, from which it goes on; None to keep none.

    Raises:
      FloatingPointError: where the loss is not finite.
      ValueError: for a number of bits that there cannot be, signals too large to be coded, or too few of them, before
        anything is trained.
    """
    check_bits(bits)
    description.check_field(setup.learner.field, setup.modality, setup.resolution)
    steps = setup.learner.inner_steps if encoding_steps is None else encoding_steps
    if network is None:
        state = train(setup, signals, checkpoints=checkpoints).state
        coder = Coder.of(setup.learner, state, setup.resolution, steps, setup.modality)
    else:
        coder = network.coder
    coder = dataclasses.replace(coder, steps=steps, refined=refined, half=half, overlap=bool(overlap))
    rng = np.random.default_rng([setup.seed, setup.training.outer_steps])
    chosen = [signals[i] for i in rng.permutation(len(signals))[:fit_signals]]
    codes = coder.adapt(jax.tree.map(lambda *each: np.stack(each), *chosen))
    if larger:
        count = max(1, fit_signals // PATCHES**2)
        chosen = [larger[i] for i in rng.permutation(len(larger))[:count]]
        larger = lattices_of(coder, chosen)
        if overlap is None:
            coder = dataclasses.replace(coder, overlap=blends(coder, chosen[:_JUDGED], larger))
    change = Transform.of(coder, codes) if transform else None
    return fit_model(coder, codes, bits, transform=change, fields=larger, gin=gin_text, trained_on=trained_on)


def blends(coder: Coder, signals: Sequence, fields: Sequence[np.ndarray]) -> bool:
    """Whether blended borders bring training signals of several parts closer to what they are.

    A network says something of points beyond its part, which it has never seen: after a short training nearly what the
    next one says, after a long one of small patches anything.

    Args:
      coder: with or without overlap.
      signals: of several parts.
      fields: codes of each, see `lattices_of`.
    """
    modality = coder.modality
    if modality.wider_coordinates(coder.side) is None:
        return False

    def error(overlap: bool) -> float:
        other, errors = dataclasses.replace(coder, overlap=overlap), []
        for signal, field in zip(signals, fields, strict=False):
            extent = modality.extent(signal)
            values, _ = other.values(field.reshape(-1, *field.shape[2:]), *extent, finish=modality.stored)
            decoded = modality.join(values, *extent, coder.side)
            errors.append(np.square(decoded.astype(np.float32) - modality.values(signal)).mean())
        return float(np.mean(errors))

    return error(True) < error(False)
