"""The table `[training]` of paper mode: how a network is fitted, the batches, and what early stopping looks at."""

from typing import Literal

from pnn_gluon.section import Section
from pnn_gluon.training.options import BatchSize, FittingOptions, LossName, PretrainEpochs, UnseenShare

Metric = Literal["auc", "log_loss", "rmse"]


class OwnTraining(Section):
    """What training here takes besides the library's options: the batches, and what early stopping looks at."""

    batch_size: BatchSize = 1000
    metric: Metric | None = None
    pretrain_epochs: PretrainEpochs = 0
    unseen_share: UnseenShare = 0.0


class TrainingTable(FittingOptions, OwnTraining):
    """Options of training as written; the seed comes from the command line."""

    loss: LossName = "log"
