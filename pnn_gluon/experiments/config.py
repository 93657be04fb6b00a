"""The configuration of paper mode: one table of data, models with options of their own, checked once."""

import hashlib
import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError, field_validator, model_validator

from pnn_gluon.config import (
    ENGINE_NAMES,
    AnyField,
    FilePath,
    ModelConfig,
    ModelOptions,
    Share,
    Symbol,
    explain,
    read_toml,
)
from pnn_gluon.errors import ConfigError
from pnn_gluon.experiments.older_fields import present_fields
from pnn_gluon.experiments.search_space import SearchSpace
from pnn_gluon.experiments.training_table import Metric, OwnTraining, TrainingTable
from pnn_gluon.idle_options import idle_model_options
from pnn_gluon.models.declared import options_of
from pnn_gluon.option_types import Count, Name
from pnn_gluon.section import Section
from pnn_gluon.training.families import family_of
from pnn_gluon.training.options import Seed, TrainingOptions

FileName = Annotated[FilePath, Field(min_length=1)]
Index = Annotated[int, Field(ge=0)]
ColumnName = Annotated[str, Field(min_length=1), AfterValidator(lambda name: name.strip().lower())]
"""A column of a CSV file; names of columns are compared in lower case, without blanks around them."""

Folders = Annotated[
    tuple[FileName, ...], Field(min_length=1), BeforeValidator(lambda v: (v,) if isinstance(v, str) else v)
]
"""Some folders; a single one is a tuple of one."""


class DataConfig(Section):
    """Where labelled rows lie, their format, and how they are divided into train, validation and test.

    Either three files, or one `file` that is divided at random by `split` and `split_seed`. `folder` is one folder or
    several, of which the first that exists counts; relative to the configuration file, `$VARIABLE` is filled in.
    Fields are those of the daily pipeline; `indices` says for libsvm which indices are values of a field.
    """

    format: Literal["csv", "libsvm", "libffm"]
    folder: Folders = (".",)
    train: FileName | None = None
    valid: FileName | None = None
    test: FileName | None = None
    file: FileName | None = None
    split: tuple[Share, Share, Share] = (0.8, 0.1, 0.1)
    split_seed: Seed = 1
    label: ColumnName = "label"
    delimiter: Annotated[Symbol, Field(min_length=1, max_length=1)] = ","
    missing: tuple[str, ...] = ("",)
    fields: tuple[AnyField, ...] = ()
    indices: dict[Name, tuple[Index, Index]] = Field(default={})
    min_count: Count = 1

    @model_validator(mode="before")
    @classmethod
    def _fields_as_earlier_releases_had_them(cls, given: Any) -> Any:
        return present_fields(given) if isinstance(given, Mapping) else given

    @model_validator(mode="after")
    def _files_are_given(self) -> Self:
        three = [self.train, self.valid, self.test]
        if (self.file is None and None in three) or (self.file is not None and three != [None] * 3):
            raise ValueError("give `train`, `valid` and `test`, or one `file` to be divided by `split`")
        if self.file is None and self.model_fields_set & {"split", "split_seed"}:
            raise ValueError("`split` and `split_seed` have an effect with `file` only")
        if abs(sum(self.split) - 1) > 1e-9:
            raise ValueError(f"`split`: the shares must add up to 1, not {sum(self.split):g}")
        return self

    @model_validator(mode="after")
    def _options_fit_the_format(self) -> Self:
        if self.format != "csv" and self.model_fields_set & {"label", "delimiter", "missing"}:
            raise ValueError("`label`, `delimiter` and `missing` have an effect with format = 'csv' only")
        if self.format == "libffm" and self.fields:
            raise ValueError("a libffm file names its fields itself: leave `fields` out")
        names = [field.name for field in self.fields]
        if len(set(names)) < len(names):
            raise ValueError("`fields` names a field twice")
        for field in self.fields:
            if field.alternatives:
                raise ValueError(
                    f"field {field.name!r}: several columns to choose from have an effect in pipelines only"
                )
            if self.format == "csv" and field.column.lower() == self.label:
                raise ValueError(f"field {field.name!r} reads the label column {self.label!r}; remove it")
            if self.format == "libsvm" and (field.kind == "numeric" or field.column != field.name):
                raise ValueError(f"field {field.name!r}: numbers and `column` have an effect with csv only")
        if taken := sorted(ENGINE_NAMES & set(names)):
            raise ValueError(f"field name {taken[0]!r} is taken; choose another and set `column`")
        return self

    @model_validator(mode="after")
    def _indices_are_those_of_the_fields(self) -> Self:
        names = {field.name for field in self.fields} if self.format == "libsvm" else set()
        if odd := sorted(names ^ self.indices.keys()):
            raise ValueError(
                f"`indices`: {odd[0]!r}: each field of libsvm, and nothing else, has its first and last index: "
                f"indices = {{ {odd[0]} = [0, 9] }}"
            )
        for name, (first, last) in self.indices.items():
            if first > last:
                raise ValueError(f"`indices`: {name}: the first index {first} is above the last {last}")
        return self


class ModelTables(Section):
    """Options of one model, over the defaults of `[model]` and `[training]`.

    `training` takes what has an effect on the model's family.
    """

    model: ModelOptions
    training: TrainingTable = TrainingTable()


@dataclass(frozen=True)
class Plan:
    """One model to fit: all that decides the result, except the data and the seed.

    Attributes:
        model: Name and given options.
        training: The library's options; the seed is put in for each run.
        batch_size: Rows of a batch.
        metric: What early stopping judges the validation rows by.
        pretrain_epochs: Epochs of the factorization machine whose embeddings the network starts from; 0 for none.
        unseen_share: Share of the train rows in which fields are hidden; see `pnn_gluon.data.unseen`.
    """

    model: ModelConfig
    training: TrainingOptions
    batch_size: int
    metric: Metric
    pretrain_epochs: int
    unseen_share: float = 0.0

    def summary(self) -> dict[str, Any]:
        """All options by table, fit for JSON."""
        training = self.training.model_dump(exclude={"seed"})
        own: dict[str, Any] = {
            "batch_size": self.batch_size,
            "metric": self.metric,
            "pretrain_epochs": self.pretrain_epochs,
        }
        own |= {"unseen_share": self.unseen_share} if self.unseen_share else {}
        whole = training | own
        takes = family_of(self.model.name).paper_options
        if takes is not None:
            whole = {name: whole[name] for name in sorted(takes)}
        return {"model": self.model.model_dump(mode="json", exclude_none=True), "training": whole}

    def differences(self) -> dict[str, Any]:
        """Given options of the model, and those of training that differ from their defaults; fit for JSON."""
        usual = TrainingOptions().model_dump() | OwnTraining().model_dump()
        usual["metric"] = _usual_metric(self.training)
        usual |= family_of(self.model.name).paper_defaults
        whole = self.summary()
        changed = {option: value for option, value in whole["training"].items() if value != usual[option]}
        return {"model": whole["model"], "training": changed}


class FitConfig(Section):
    """One data set and the models fitted to it; `tune` declares what a search may vary."""

    name: Name
    data: DataConfig
    model: ModelOptions
    training: TrainingTable = TrainingTable()
    models: dict[str, ModelTables] = Field(default_factory=dict)
    tune: SearchSpace | None = None

    path: Path = Field(default=Path("fit.toml"), exclude=True)

    @field_validator("models", mode="before")
    @classmethod
    def _tables_know_their_model(cls, models: Any) -> Any:
        if not isinstance(models, Mapping):
            return models
        return {name: _named(name, tables) for name, tables in models.items()}

    def plan(self, name: str, options: Mapping[str, Any] = MappingProxyType({})) -> Plan:
        """The options of one model: its own over those of `[model]` and `[training]`.

        For the model that `[model]` names, these two tables are its own as well. Another model leaves out what it
        does not take of `[model]`, and what has no effect on it; one of a family with own options, such as boosted
        trees, leaves out all of `[training]`.

        Args:
            name: The model.
            options: More of its own, `model.KEY` or `training.KEY` to value, over the file's.

        Raises:
            ConfigError: there is no such model, or options of its own that do not go together or have no effect.
        """
        model = self._model(name, _of_table(options, "model"))
        try:
            return _plan(model, self._training(model, _of_table(options, "training")))
        except ConfigError as error:
            raise ConfigError(f"{self.path}: training of {name}: {error}") from None

    def _model(self, name: str, options: Mapping[str, Any]) -> ModelConfig:
        shared = {key: value for key, value in self.model.given.items() if key in options_of(name)}
        own = (self.models[name].model.given if name in self.models else {}) | dict(options)
        if name == self.model.name:
            shared, own = {}, self.model.given | own
        for option in idle_model_options(name, shared | own).keys() - own.keys():
            del shared[option]
        whole = {"name": name, **shared, **own}
        try:
            return ModelConfig.model_validate(whole)
        except ValidationError as error:
            raise ConfigError(explain(self.path, error, ModelConfig, whole, f"model of {name}")) from None

    def _training(self, model: ModelConfig, options: Mapping[str, Any]) -> dict[str, Any]:
        shared = self.training.model_dump(exclude_unset=True)
        own = self.models[model.name].training.model_dump(exclude_unset=True) if model.name in self.models else {}
        try:
            own |= TrainingTable.model_validate(options).model_dump(exclude_unset=True)
        except ValidationError as error:
            raise ConfigError(explain(self.path, error, TrainingTable, options, f"training of {model.name}")) from None
        if model.name == self.model.name:
            shared, own = {}, shared | own
        return _in_effect(model, shared, own)

    def fingerprint(self, name: str) -> str:
        """SHA-256 of all that decides a model's result, except the bytes of the data and the seed.

        Options count where they differ from their defaults, so that a release with more options changes nothing.
        """
        data = self.data.model_dump(mode="json", exclude={"folder"}, exclude_defaults=True)
        content = json.dumps({"data": data, **self.plan(name).differences()}, sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()


def _named(name: str, tables: Any) -> Any:
    """The tables of a model with its name in `model`, where ModelConfig looks for it."""
    if not isinstance(tables, Mapping) or not isinstance(tables.get("model", {}), Mapping):
        return tables
    if "name" in tables.get("model", {}):
        raise ValueError(f"{name}.model has its name from the table [models.{name}]: leave `name` out")
    return {**tables, "model": {"name": name, **tables.get("model", {})}}


def _of_table(options: Mapping[str, Any], table: str) -> dict[str, Any]:
    """The options of one table, by key alone."""
    return {key.removeprefix(f"{table}."): value for key, value in options.items() if key.startswith(f"{table}.")}


def _plan(model: ModelConfig, training: dict[str, Any]) -> Plan:
    own = OwnTraining(**{key: training.pop(key) for key in OwnTraining.model_fields if key in training})
    options = TrainingOptions(**training)
    return Plan(model, options, own.batch_size, _metric(own.metric, options), own.pretrain_epochs, own.unseen_share)


def _in_effect(model: ModelConfig, shared: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    """The training options of a model: what has no effect on it is refused as its own, and left out of the shared ones.

    The shared ones and their defaults are made for networks: for a family with options of its own they do not count.
    """
    family = family_of(model.name)
    takes = family.paper_options
    if takes is not None and (odd := sorted(own.keys() - takes)):
        raise ConfigError(f"{odd[0]} has no effect on {model.name}; these have: {', '.join(sorted(takes))}")
    idle = family.idle_training(model.name, model.given)
    for option in idle.keys() & own.keys():
        if own[option] != TrainingTable.model_fields[option].default:
            raise ConfigError(f"{option} {idle[option]}")
    left = shared if takes is None else {}
    return {**family.paper_defaults, **{option: left[option] for option in left.keys() - idle.keys()}, **own}


def _metric(metric: Metric | None, options: TrainingOptions) -> Metric:
    if metric == ("log_loss" if options.loss == "squared" else "rmse"):
        raise ConfigError(f"metric = {metric!r} does not go with loss = {options.loss!r}")
    return metric or _usual_metric(options)


def _usual_metric(options: TrainingOptions) -> Metric:
    """What early stopping looks at if not told: AUC, or RMSE for squared loss, whose outputs are no logits."""
    return "rmse" if options.loss == "squared" else "auc"


def load_fit_config(path: str | Path, model: str | None = None, overrides: Sequence[str] = ()) -> FitConfig:
    """Read and check a TOML file of paper mode; the options of every model in it are checked.

    Args:
        path: The file.
        model: The model to which overrides of `model.` and `training.` apply; the file's `model.name` if None.
        overrides: `table.key=value` with a TOML value, over what the file says.

    Raises:
        ConfigError: naming the file, the key, the value and what is allowed.
    """
    path = Path(path).resolve()
    raw = read_toml(path)
    for override in overrides:
        _override(raw, model, override)
    try:
        config = FitConfig.model_validate({**raw, "path": path})
    except ValidationError as error:
        raise ConfigError(explain(path, error, FitConfig, raw)) from None
    for name in dict.fromkeys((config.model.name, *config.models)):
        config.plan(name)
    return config


def _override(raw: dict[str, Any], model: str | None, override: str) -> None:
    """Put one `table.key=value` into the tables of a file."""
    key, equals, text = override.partition("=")
    table, *rest = key.strip().split(".")
    if (
        not equals
        or len(rest) != 1
        or table not in {"data", "model", "training"}
        or (table, *rest) == ("model", "name")
    ):
        raise ConfigError(
            f"--set {override}: expected data.KEY=VALUE, training.KEY=VALUE or model.KEY=VALUE "
            "(the model's name is --model)"
        )
    parents = ("data",) if table == "data" else ("models", _model_of(raw, model), table)
    inner = raw
    for parent in parents:
        inner = inner.setdefault(parent, {})
        if not isinstance(inner, dict):
            raise ConfigError(f"--set {override}: expected a table {parent} in the file, received {inner!r}")
    inner[rest[0]] = _toml_value(text.strip())


def _model_of(raw: Mapping[str, Any], model: str | None) -> str:
    """The model whose options are overridden."""
    table = raw.get("model")
    name = model or (table.get("name") if isinstance(table, Mapping) else None)
    if not isinstance(name, str):
        raise ConfigError("--set: expected a model, and the file has no model.name: say --model")
    return name


def _toml_value(text: str) -> Any:
    """A TOML value; what is none is a string."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text
