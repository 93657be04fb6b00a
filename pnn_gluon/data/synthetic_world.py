"""A world of clicks with a known truth: long tails, planted interactions, drift; nothing large is stored.

A row has 13 numbers, 26 categories and an hour. Its logit on day d (d = 0, 1, ... since the first day) is

    z = bias + a sin(2 pi d / 30) + s_lin lin + s_num num + h cos(2 pi (hour - 20) / 24)
        + strength (s_pair pairs + s_deep deep)

    lin   = sum_f w_f(v_f)                                one weight a value
    num   = sum_j g_j(floor(2 log2(x_j + 3)))             one effect a bucket of each number, and one for missing
    pairs = sum_(a,b) <u_a, u_b>                          four field pairs; what a factorization machine can learn
    deep  = tanh(2 <u_1, u_2>) tanh(2 <u_3, u_4>)           an exclusive-or of the first two pairs; it needs a network

with every part centred and scaled to unit variance on a fixed draw from the first day, and the bias solved
on that draw so that the mean probability is ``click_rate``.

A value's weight and vector sit in a small table of its field at a place hashed from the value, so a field
of ten million values costs no more than one of ten.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from pnn_gluon.arrays import Floats
from pnn_gluon.data.synthetic_options import HOUR_FIELD, STABLE_SIZE, SyntheticOptions

Hours = npt.NDArray[np.int64]
Words = npt.NDArray[np.uint32]
Mask = npt.NDArray[np.bool_]

NUMBERS = 13
CATEGORIES = 26
# Share of empty cells in I1..I13 and C1..C26, close to those of the Criteo log.
NUMBER_MISSING = (0.45, 0.0, 0.21, 0.22, 0.03, 0.22, 0.04, 0.001, 0.04, 0.45, 0.04, 0.77, 0.22)
CATEGORY_MISSING = {2: 0.03, 3: 0.03, 5: 0.0, 11: 0.03, 15: 0.03, 18: 0.44, 19: 0.44, 20: 0.03, 21: 0.76,
                    23: 0.03, 24: 0.44, 25: 0.44}  # fmt: skip
NUMBER_LOCATION = (0.6, 2.0, 1.8, 1.6, 8.0, 3.5, 1.5, 2.0, 4.0, 0.2, 0.8, 0.2, 1.6)  # mean of ln x
NUMBER_SPREAD = (1.1, 1.9, 1.4, 0.9, 2.0, 1.6, 1.4, 1.0, 1.3, 0.5, 0.9, 0.7, 1.0)  # deviation of ln x
NEGATIVE_FIELD = 1  # I2 goes down to -2
LARGEST_NUMBER = 999_999

PAIRS = ((13, 16), (4, 22), (1, 24), (7, 21))  # indices of C; the first two also make `deep`
LATENT = 2  # length of a value's vector
CODES = 4096  # rows of a field's effect table; one more stands for missing
KNOTS = 4096  # points of a quantile function
TAIL_EXPONENT = 1.1  # chance of rank r falls as r ** -1.1
FADE_STEPS = 4  # a new value takes 1/4, 2/4, 3/4, 4/4 of its predecessor's rows on its first days

# Standard deviations of the parts of the logit.
LINEAR_SCALE, NUMERIC_SCALE, PAIR_SCALE, DEEP_SCALE = 0.65, 0.40, 0.85, 0.50
CALIBRATION_ROWS = 1 << 17
_TRAFFIC = 1 + 0.6 * np.cos(2 * np.pi * (np.arange(24) - 20) / 24)  # rows an hour, relative


class Stream(IntEnum):
    """Independent sources of randomness; the next parts of a key are the day number and the first row."""

    TOKENS = 0
    EFFECTS = 1
    CALIBRATION = 2
    LOG = 3
    REQUESTS = 4
    FAULTS = 5


@dataclass(frozen=True)
class Rows:
    """A block of n drawn rows.

    Attributes:
        numbers: places in the number tables, (13, n).
        tokens: 32-bit category tokens, (26, n).
        missing: per field with empty cells, the mask of these, each (n,).
        logit: true log odds of a click, (n,).
        chance: uniform draws in [0, 1), (n,); a row is clicked where chance < probability.
    """

    numbers: npt.NDArray[np.uint16]
    tokens: Words
    missing: dict[int, Mask]
    logit: Floats
    chance: Floats

    @property
    def probability(self) -> Floats:
        """True click probability, (n,)."""
        return sigmoid(self.logit)

    @property
    def label(self) -> npt.NDArray[np.uint8]:
        """Drawn clicks, 0 or 1, (n,)."""
        return (self.chance < self.probability).astype(np.uint8)


@dataclass(frozen=True)
class _Draws:
    """Random bits of n rows: 12 a number (13, n), 64 a category (26, n), a uniform number (n,)."""

    numbers: npt.NDArray[np.uint16]
    categories: npt.NDArray[np.uint64]
    chance: Floats


@dataclass(frozen=True)
class _Affine:
    """A part, centred and scaled: ``(x - mean) * factor``."""

    mean: float
    factor: float

    def __call__(self, part: Floats) -> Floats:
        return (part - self.mean) * self.factor


def sigmoid(logit: Floats) -> Floats:
    """Return 1 / (1 + exp(-z)), same shape."""
    return np.asarray(1.0 / (1.0 + np.exp(-logit)), dtype=np.float64)


def mix(words: Words) -> Words:
    """Scramble 32-bit words one to one (the lowbias32 finalizer of C. Wellons); equal inputs only collide."""
    words = words ^ (words >> np.uint32(16))
    words *= np.uint32(0x7FEB352D)
    words ^= words >> np.uint32(15)
    words *= np.uint32(0x846CA68B)
    words ^= words >> np.uint32(16)
    return words


def hours_of(start: int, stop: int, rows: int) -> Hours:
    """Hour of day of the rows start..stop of a day of ``rows`` rows, in time order, (stop - start,)."""
    share = (np.arange(start, stop) + 0.5) / rows
    return np.searchsorted(np.cumsum(_TRAFFIC / _TRAFFIC.sum())[:-1], share, side="right")


def _zipf_quantiles(size: int) -> Floats:
    """Knots of the quantile function of density x ** -1.1 on [0, size), (KNOTS + 1,)."""
    power = 1 - TAIL_EXPONENT
    share = np.arange(KNOTS + 1) / KNOTS
    return np.asarray((((size + 1) ** power - 1) * share + 1) ** (1 / power) - 1, dtype=np.float64)


def _weight_scale(size: int) -> float:
    """Relative size of a field's weights: a value of a large field says less, as it is rarer."""
    return float(1 / (1 + np.log10(max(size, STABLE_SIZE) / STABLE_SIZE)))


def _number_values(column: int) -> tuple[npt.NDArray[np.int64], int]:
    """Values of a number column by place, (KNOTS,), and how many of the first places are empty instead."""
    empty = round(NUMBER_MISSING[column] * KNOTS)
    normal = NormalDist(NUMBER_LOCATION[column], NUMBER_SPREAD[column])
    logs = [normal.inv_cdf((place + 0.5) / (KNOTS - empty)) for place in range(KNOTS - empty)]
    value = np.minimum(np.floor(np.exp(logs)), LARGEST_NUMBER) - (2 if column == NEGATIVE_FIELD else 0)
    return np.concatenate([np.zeros(empty), value]).astype(np.int64), empty


def _number_text(values: npt.NDArray[np.int64], empty: int) -> npt.NDArray[np.uint64]:
    """Text of each place with its tab, up to 8 bytes padded with NUL, seen as one word, (KNOTS,)."""
    text = [b"\t" if place < empty else b"%d\t" % value for place, value in enumerate(values)]
    return np.array(text, dtype="S8").view(np.uint64)


def _number_effect(values: npt.NDArray[np.int64], empty: int, phase: float) -> Floats:
    """Effect of each place: a wave over the buckets of the number, or one constant for missing, (KNOTS,)."""
    bucket = np.floor(2 * np.log2(values + 3.0))
    effect = np.cos(0.7 * bucket + phase)
    effect[:empty] = np.sin(phase)
    return np.asarray(effect, dtype=np.float64)


class World:
    """Draws rows of any day, with their true logits; depends on nothing but its options.

    Use `world_of` rather than the constructor: it keeps the last worlds made.
    """

    def __init__(self, options: SyntheticOptions) -> None:
        self._options = options
        self._drift = round(options.drift * 2**32)  # in units of 2^-32, so that ages are exact
        self._keys = self._generator(Stream.TOKENS).integers(0, 2**32, (3, CATEGORIES), dtype=np.uint32)
        self._knots = [_zipf_quantiles(size) for size in options.sizes]
        self._steps = [np.diff(knots) for knots in self._knots]
        self._make_effects(self._generator(Stream.EFFECTS))
        self._calibrate()

    def draw(self, stream: Stream, day_number: int, start: int, hours: Hours) -> Rows:
        """Draw one row for each of ``hours``; the result depends on the options and the arguments alone.

        Args:
            stream: ``Stream.LOG`` or ``Stream.REQUESTS``.
            day_number: days since the first day.
            start: place of the first row in its day; it names the block.
            hours: hour of day of each row, (n,).
        """
        draws = self._draws(len(hours), stream, day_number, start)
        tokens, missing = self._tokens(draws.categories, day_number, hours)
        parts = self._parts(draws.numbers, tokens, missing)
        logit = self._logit(parts, day_number, hours)
        return Rows(draws.numbers, tokens, missing, logit, draws.chance)

    def values(self, field: int, slots: Words, day_number: int, patience: Words | None = None) -> Words:
        """Values that hold the popularity places ``slots`` of a field on a day, (n,), as numbers.

        Place s is held by the values s, s + size, s + 2 size, ... in turn. Each lives 1 / drift days, and
        hands over in its successor's first days to rows with ``patience`` (0..3) above these days' number.
        """
        if self._options.sizes[field] <= STABLE_SIZE or self._drift == 0:
            return slots
        age = mix(slots ^ self._keys[1, field]).astype(np.uint64)  # in lives, times 2^32
        age += np.uint64(day_number * self._drift)
        generation = (age >> np.uint64(32)).astype(np.uint32)
        if patience is not None:
            late = age.astype(np.uint32) < patience * np.uint64(self._drift)
            generation -= late & (generation > 0)
        return slots + generation * np.uint32(self._options.sizes[field])

    def token(self, field: int, values: Words) -> Words:
        """32-bit tokens of the values of a field, (n,); distinct values have distinct tokens."""
        return mix(values ^ self._keys[0, field])

    def _generator(self, stream: Stream) -> np.random.Generator:
        return np.random.Generator(np.random.SFC64([self._options.seed, stream]))

    def _draws(self, rows: int, *key: int) -> _Draws:
        bits = np.random.SFC64([self._options.seed, *key])
        numbers = bits.random_raw(-(-NUMBERS * rows // 4)).view(np.uint16)[: NUMBERS * rows]
        categories = bits.random_raw(CATEGORIES * rows)
        chance = (bits.random_raw(rows) >> np.uint64(11)) * 2.0**-53
        return _Draws(numbers.reshape(NUMBERS, rows) >> np.uint16(4), categories.reshape(CATEGORIES, rows), chance)

    def _tokens(self, draws: npt.NDArray[np.uint64], day_number: int, hours: Hours) -> tuple[Words, dict[int, Mask]]:
        """Tokens of a block, (26, n), and its missing cells. Of a draw's bits 32 choose the place."""
        tokens = np.empty(draws.shape, dtype=np.uint32)
        for field, draw in enumerate(draws):
            slots = self._slots(field, draw) if field != HOUR_FIELD else hours.astype(np.uint32)
            patience = (draw >> np.uint64(16)).astype(np.uint32) & np.uint32(FADE_STEPS - 1)
            tokens[field] = self.token(field, self.values(field, slots, day_number, patience))
        missing = {
            field: draws[field].astype(np.uint16) < round(share * 2**16) for field, share in CATEGORY_MISSING.items()
        }
        return tokens, missing

    def _slots(self, field: int, draw: npt.NDArray[np.uint64]) -> Words:
        """Popularity places, most popular first, by the inverse of the long-tailed distribution, (n,)."""
        knot = (draw >> np.uint64(52)).astype(np.intp)
        rest = ((draw >> np.uint64(32)).astype(np.uint32) & np.uint32(0xFFFFF)) * 2.0**-20
        place = self._knots[field].take(knot) + rest * self._steps[field].take(knot)
        last = np.uint32(self._options.sizes[field] - 1)
        return np.asarray(np.minimum(place.astype(np.uint32), last), dtype=np.uint32)

    def _make_effects(self, generator: np.random.Generator) -> None:
        self._weights = generator.standard_normal((CATEGORIES, CODES + 1))
        self._weights *= np.array([_weight_scale(size) for size in self._options.sizes])[:, None]
        self._weights[HOUR_FIELD] = 0.0  # the hour has its own wave
        self._vectors = generator.standard_normal((CATEGORIES, CODES + 1, LATENT)) / LATENT**0.25
        phases = generator.uniform(0, 2 * np.pi, NUMBERS)
        tables = [_number_values(column) for column in range(NUMBERS)]
        self.number_text = np.stack([_number_text(*table) for table in tables])  # (13, KNOTS)
        self._number_effects = np.stack(
            [_number_effect(*table, phase) for table, phase in zip(tables, phases, strict=True)]
        )

    def _parts(self, numbers: npt.NDArray[np.uint16], tokens: Words, missing: dict[int, Mask]) -> tuple[Floats, ...]:
        """Unscaled linear, numeric, pair and deep parts of the logit, each (n,)."""
        codes = self._codes(tokens, missing)
        linear = sum_of(self._weights[field].take(codes[field]) for field in range(CATEGORIES))
        numeric = sum_of(self._number_effects[column].take(numbers[column]) for column in range(NUMBERS))
        products = [
            np.einsum(
                "nk,nk->n",
                self._vectors[one].take(codes[one], axis=0),
                self._vectors[other].take(codes[other], axis=0),
            )
            for one, other in PAIRS
        ]
        return linear, numeric, sum_of(products), np.tanh(2 * products[0]) * np.tanh(2 * products[1])

    def _codes(self, tokens: Words, missing: dict[int, Mask]) -> npt.NDArray[np.intp]:
        """Places in the effect tables, hashed from the tokens; the last for missing, (26, n)."""
        codes = (mix(tokens ^ self._keys[2][:, None]) >> np.uint32(20)).astype(np.intp)
        for field, mask in missing.items():
            codes[field][mask] = CODES
        return codes

    def _logit(self, parts: tuple[Floats, ...], day_number: int, hours: Hours) -> Floats:
        wave = self._options.hour_effect * np.cos(2 * np.pi * (np.arange(24) - 20) / 24)
        season = min(0.3, 4 * self._options.drift) * np.sin(2 * np.pi * day_number / 30)
        scaled = sum_of(affine(part) for affine, part in zip(self._affine, parts, strict=True))
        return np.asarray(scaled + wave[hours] + (self._bias + season), dtype=np.float64)

    def _calibrate(self) -> None:
        """Fix the scale of each part and the bias on a draw from the first day."""
        hours = hours_of(0, CALIBRATION_ROWS, CALIBRATION_ROWS)
        draws = self._draws(CALIBRATION_ROWS, Stream.CALIBRATION)
        parts = self._parts(draws.numbers, *self._tokens(draws.categories, 0, hours))
        strength = self._options.interaction_strength
        scales = (LINEAR_SCALE, NUMERIC_SCALE, strength * PAIR_SCALE, strength * DEEP_SCALE)
        self._affine = [
            _Affine(float(part.mean()), float(scale / part.std())) for part, scale in zip(parts, scales, strict=True)
        ]
        self._bias = 0.0
        self._bias = _solve_bias(self._logit(parts, 0, hours), self._options.click_rate)


def sum_of(terms: Iterable[Floats]) -> Floats:
    """Sum arrays of one shape, in order."""
    total, *rest = terms
    total = total.copy()
    for term in rest:
        total += term
    return total


def _solve_bias(logit: Floats, click_rate: float) -> float:
    """Find b with mean(sigmoid(logit + b)) = click_rate by bisection."""
    low, high = -60.0, 60.0
    for _ in range(50):
        middle = (low + high) / 2
        below = sigmoid(logit + middle).mean() < click_rate
        low, high = (middle, high) if below else (low, middle)
    return (low + high) / 2


@lru_cache(maxsize=4)
def world_of(options: SyntheticOptions) -> World:
    """The world of these options; pass ``options.world()`` so that options of files do not matter."""
    return World(options)
