"""What networks and boosted trees each say about themselves: a family of models behind one protocol.

`pnn_gluon.training.families` finds a model's family. Of a day's training and of that of paper mode each family has a
module of its own, `jobs/steps/train_*.py` and `pnn_gluon/experiments/fit_*.py`.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from pnn_gluon.blocks.layout import FieldLayout
from pnn_gluon.section import Section
from pnn_gluon.training.options import PrecisionName

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Scorer(Protocol):
    """A fitted model of any family."""

    def logits(self, ids: "NDArray[np.int32]", batch_rows: int | None = None) -> "NDArray[np.float32]":
        """Logits (rows,) of ids int32 (rows, S); a row's bits do not depend on the rows beside it.

        Args:
            ids: Of the rows.
            batch_rows: Rows that are computed together, of which the last bits may depend; by default as many as in
                every job. A model that computes each row by itself does not care.
        """


class Family(Protocol):
    """Models that are trained, kept and scored in one way.

    The configuration asks for the attributes, `idle_training` and `pipeline_faults`: these load nothing heavy.

    Attributes:
        in_batches: Whether training takes batches, whose time `bench` measures.
        counted_untrained: Whether the number of parameters is known before training.
        paper_options: Options of `[training]` of paper mode that these models take; None for all.
        paper_defaults: Their defaults there where they are not those of networks.
        unpruned_epochs: Epochs (trees) before a trial of a search can be pruned.
    """

    in_batches: bool
    counted_untrained: bool
    paper_options: frozenset[str] | None
    paper_defaults: Mapping[str, Any]
    unpruned_epochs: int

    def parameters_file(self) -> str:
        """The file of a model's folder whose hash names all its parameters."""

    def idle_training(self, model: str, given: Mapping[str, Any]) -> Mapping[str, str]:
        """Options of training that have no effect on a model with these options, each with the reason."""

    def pipeline_faults(self, model: str, given: Mapping[str, Any], training: Section) -> Iterator[str]:
        """What is given in `[training]` of a pipeline without an effect on a model with these options, in words."""

    def numbers_an_id(self, model: str, options: Mapping[str, Any], layout: FieldLayout, *, cut: bool = False) -> int:
        """Numbers that the widest table of a model has for each id; 1 where it has no table.

        Args:
            model: Its name.
            options: Its options that differ from their defaults.
            layout: The fields of a row.
            cut: Whether a table that is cut into several tensors when it is large does not count.

        Raises:
            ConfigError: this program has no such model, or not here, or the model no such option.
        """

    def take_rows(
        self,
        source: Path,
        folder: Path,
        model: Mapping[str, Any],
        layout: FieldLayout,
        kept: "NDArray[np.int64]",
    ) -> None:
        """Write the model in a folder with some of its ids only.

        Args:
            source: What `save` wrote.
            folder: Where to.
            model: Its name, options and size.
            layout: The fields of its rows.
            kept: The id of each new id (V,).

        Raises:
            ConfigError: models of the family have no rows of ids.
        """

    def save(self, trained: Any, folder: Path, slots: int) -> Sequence[Path]:
        """Write a trained model of the family into an existing folder, to be loaded by `load`; the files written.

        Args:
            trained: What training of the family makes.
            folder: Where to.
            slots: Ids of a row.
        """

    def load(
        self, folder: Path, model: Mapping[str, Any], layout: FieldLayout, precision: PrecisionName = "auto"
    ) -> Scorer:
        """The trained model in a folder.

        Args:
            folder: What `save` wrote.
            model: Its name, options and size, as the manifest of a model and the card of a bundle have them.
            layout: The fields of its rows.
            precision: How dense layers multiply, see `pnn_gluon.ops.PRECISIONS`.

        Raises:
            InputError: a file is missing, damaged or of another model.
            ConfigError: this version of the program has no such model or option, or the model no such precision here.
        """

    def last_bits(self, model: str, precision: PrecisionName = "auto") -> dict[str, str]:
        """What the last bits of logits of a model that was loaded depend on besides inputs and options.

        With a precision below float32 these are not only the last bits.
        """
