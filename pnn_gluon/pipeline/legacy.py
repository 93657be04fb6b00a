"""How release 0.1 knew the options of a day: by one hash over whole sections, with defaults.

Days made by it stand as long as that hash is the one that 0.1 would compute from the present configuration. Options
that came later are left out of it.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from pnn_gluon.config import PATTERNS, Config
from pnn_gluon.pipeline.options import pattern_parts

_CALIBRATE = ("source", "fields", "sampling", "feature_map", "model", "training", "calibration")

SECTIONS: Mapping[str, tuple[str, ...]] = {
    "ingest": ("source", "fields"),
    "sample": ("sampling",),
    "count": ("fields",),
    "feature_map": ("first_day", "fields", "feature_map", "model.embedding_size"),
    "mature": ("source", "fields", "sampling", "calibration.maturity_days"),
    "encode": ("training.window_days",),
    "evaluate": (),
    "train": ("model", "training"),
    "calibrate": _CALIBRATE,
    "gate": ("gate",),
    "promote": (),
    "score": ("source", "fields"),
    "publish": ("publish",),
    "reevaluate": ("calibration.maturity_days",),
    "recalibrate": ("calibration",),
    "export": ("source", "fields"),
    "rollback": (),
    "skip_day": (),
}
"""The sections, or single options, that each step of 0.1 depended on."""

OPTIONS: Mapping[str, str] = {
    "source": "preset kind logs clicks requests delimiter quote header columns label id_column time_column "
    "time_format missing max_reject_share on_repeat max_conflict_share",
    "source.label": "column positive negative at_least",
    "fields.categorical": "name column kind",
    "fields.numeric": "name column kind bucketing buckets edges",
    "fields.multi": "name column kind separator max_values",
    "sampling": "negative_rate salt train calibrate gate",
    "feature_map": "min_impressions window_days",
    "model": "name embedding_size embedding_init init_scale hidden activation dropout normalization attention_size "
    "temperature pooling_dropout kernel embedding_sizes adaptive_c subnet_hidden subnet_outputs subnet_normalization "
    "kernel_width filters pooled_values crosses cross_buckets residual_units pieces cross_layers feature_maps "
    "attention_layers heads head_size candidate history attention_hidden attention_activation trees depth shrinkage "
    "min_child_weight subsample bins",
    "training": "window_days warm_start warm_start_from pretrain_epochs unseen_share epochs batch_size optimizer "
    "learning_rate schedule final_rate_share plateau_factor warmup_steps lazy_update epsilon l1 embedding_l2 "
    "weight_decay attention_l2 decoupled catch_up_decay average_decay clip_norm validation patience checkpoint_every "
    "devices device kvstore precision seed",
    "calibration": "method min_clicks window_days maturity_days",
    "gate": "metric max_regression min_auc pcoc_low pcoc_high min_rows min_clicks window_days slices "
    "slice_max_regression slice_min_rows bootstrap_repeats",
    "publish": "server table folder port",
}
"""The options that the sections of 0.1 had."""


def legacy_fingerprint(config: Config, step: str) -> str:
    """The hash that 0.1 wrote into a manifest of this step for this configuration."""
    whole = _as_it_was(config)
    chosen: dict[str, Any] = {}
    for section in SECTIONS.get(step, ()):
        head, _, option = section.partition(".")
        chosen[section] = whole[head][option] if option else whole[head]
    return hashlib.sha256(json.dumps(chosen, sort_keys=True).encode()).hexdigest()


def _as_it_was(config: Config) -> dict[str, Any]:
    """The sections with the options of 0.1, None for those that are not given."""
    now = config.model_dump(mode="json")
    sections = {name for name in OPTIONS if "." not in name}
    whole: dict[str, Any] = {name: _only(name, now[name]) for name in sections}
    whole["source"]["label"] = _only("source.label", now["source"]["label"])
    for key in PATTERNS:
        whole["source"][key] = whole["source"][key] and pattern_parts(config, key)
    whole["fields"] = [_only(f"fields.{field['kind']}", field) for field in now["fields"]]
    whole["first_day"] = now["first_day"]
    return whole


def _only(section: str, values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: values.get(name) for name in OPTIONS[section].split()}
