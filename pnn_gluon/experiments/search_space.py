"""The table `[tune]` of paper mode: which options to search over, and between what."""

from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from pnn_gluon.config import MODEL_OPTIONS, Section


class Range(Section):
    """Numbers from low to high, both included; whole ones if all three are whole; `log` for steps by ratio."""

    low: int | float
    high: int | float
    step: Annotated[int | float, Field(gt=0)] | None = None
    log: bool = False

    @model_validator(mode="after")
    def _bounds_fit(self) -> Self:
        if self.low > self.high:
            raise ValueError(f"low {self.low} is above high {self.high}")
        if self.log and (self.low <= 0 or self.step is not None):
            raise ValueError("`log` needs low above 0 and no `step`")
        return self

    @property
    def whole(self) -> bool:
        """Whether the numbers are whole."""
        return all(isinstance(value, int) for value in (self.low, self.high, self.step) if value is not None)


class Choices(Section):
    """Any of some values."""

    choices: Annotated[tuple[Any, ...], Field(min_length=1)]


class SearchSpace(Section):
    """Options by `model.KEY` or `training.KEY`, each with its range or choices."""

    space: Annotated[
        dict[Annotated[str, Field(pattern=r"^(model|training)\.[a-z][a-z0-9_]*$")], Range | Choices],
        Field(min_length=1),
    ]

    def space_of(self, model: str) -> dict[str, Range | Choices]:
        """The options that a model takes: those of training, and those of `model` that are its own."""
        own = {f"model.{option}" for option in MODEL_OPTIONS[model]}
        return {key: each for key, each in self.space.items() if key.startswith("training.") or key in own}
