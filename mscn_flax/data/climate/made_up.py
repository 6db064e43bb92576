"""Made-up maps of temperature."""

import numpy as np
from jaxtyping import Float

from mscn_flax.modalities.maps import latitudes, longitudes


def random_map(rng: np.random.Generator, shape: tuple[int, int], degree: int = 24) -> Float[np.ndarray, "H W"]:
    """A map in kelvin: a zonal mean and a Gaussian random field of known power spectrum on the sphere.

    The zonal mean is 301 K - 42 K sin(lat)^2, shifted by a random season; the field is a sum of real spherical
    harmonics up to `degree`, whose coefficients of degree l have the variance C_l = 60 K^2 / (2 l + 1) (l + 1)^-2.
    """
    import scipy.special  # Takes a third of a second.

    lat, lon = np.radians(latitudes(shape[0])), np.radians(longitudes(shape[1]))
    made = np.zeros(shape)
    for order in range(degree + 1):
        degrees = np.arange(order, degree + 1)
        # Without the sign of Condon and Shortley.
        harmonics = (-1) ** order * scipy.special.sph_harm_y(degrees[:, None], order, np.pi / 2 - lat, 0.0).real
        spread = np.sqrt(60 / (2 * degrees + 1)) / (degrees + 1)
        # For order 0 the sine vanishes; the others have sqrt(2) for a real basis.
        a, b = rng.normal(size=(2, len(degrees))) * spread * np.sqrt(4 * np.pi * (2 if order else 1))
        made += (a @ harmonics)[:, None] * np.cos(order * lon) + (b @ harmonics)[:, None] * np.sin(order * lon)
    season = np.radians(12) * np.sin(rng.uniform(0, 2 * np.pi))
    return 301 - 42 * np.sin(lat - season)[:, None] ** 2 + made
