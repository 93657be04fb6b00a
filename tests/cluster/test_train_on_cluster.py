import numpy as np
import pytest
from cluster_cases import by_cluster, by_one_process, difference, job_of, net_of, shard, values_of

from pnn_gluon.cluster.launcher import Hosts
from pnn_gluon.cluster.training import prepared, train_on_cluster
from pnn_gluon.errors import ConfigError, PnnError
from pnn_gluon.runtime import mx
from pnn_gluon.training.devices import initialize
from pnn_gluon.training.loop import train
from pnn_gluon.training.parameters import put_values, take_values
from tests.training.cut_cases import as_cut_now, tensors_of, whole_values

NETWORKS = ["lr", "fm", "ffm", "deepfm", "ipnn", "kpnn", "pin"]
OPTIMIZERS = ["adam", "adagrad", "groupadagrad", "ftrl", "sgd"]


def test_two_workers_and_a_server_train_what_two_devices_train(tmp_path):
    job = job_of(shard(tmp_path), "deepfm", validate=False)
    ours, cluster = by_cluster(job, tmp_path / "job")
    theirs, one = by_one_process(job, 2)
    assert difference(cluster, one) < 1e-5
    assert [(each.steps, each.examples) for each in ours.history] == [
        (each.steps, each.examples) for each in theirs.history
    ]
    np.testing.assert_allclose([each.loss for each in ours.history], [each.loss for each in theirs.history], rtol=1e-6)
    again = train_on_cluster(net_of(job), job, tmp_path / "job")
    assert again == ours


@pytest.mark.long
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("name", NETWORKS)
def test_every_network_with_every_optimizer(tmp_path, name, optimizer):
    job = job_of(shard(tmp_path), name, workers=2, servers=2, validate=False, optimizer=optimizer)
    _, cluster = by_cluster(job, tmp_path / "job")
    _, one = by_one_process(job, 2)
    assert difference(cluster, one) < 1e-5


@pytest.mark.long
@pytest.mark.parametrize(
    ("workers", "servers", "devices"), [(1, 1, 1), (1, 3, 1), (3, 1, 1), (3, 2, 1), (2, 1, 2), (4, 2, 1)]
)
def test_any_number_of_workers_and_servers(tmp_path, workers, servers, devices):
    shape = {"workers": workers, "servers": servers, "devices": devices}
    # the last of 1,000 rows is alone in its batch, of which most workers have no row
    job = job_of(shard(tmp_path, weighted=True), "ipnn", **shape, batch_size=111, validate=False)
    first, second = (by_cluster(job, tmp_path / name)[1] for name in ("first", "second"))
    assert all(np.array_equal(first[name], second[name]) for name in first), "the order of arrival decides"
    assert difference(first, by_one_process(job, workers * devices)[1]) < 1e-5


@pytest.mark.long
def test_the_norm_of_the_whole_gradient_is_limited(tmp_path):
    path, plain = shard(tmp_path, weighted=True), {"optimizer": "sgd", "learning_rate": 0.5, "validate": False}
    job = job_of(path, "deepfm", servers=2, **plain, clip_norm=0.05)
    _, cluster = by_cluster(job, tmp_path / "job")
    assert difference(cluster, by_one_process(job, 2)[1]) < 1e-5
    _, unlimited = by_one_process(job_of(path, "deepfm", **plain), 2)
    assert difference(cluster, unlimited) > 0.01


@pytest.mark.long
def test_validation_stops_training_and_the_best_epoch_is_kept(tmp_path):
    job = job_of(shard(tmp_path), "fm", epochs=30, learning_rate=0.3, embedding_l2=0.0, patience=2)
    result, values = by_cluster(job, tmp_path / "job")
    told = [each.validation for each in result.history]
    assert len(told) < 30
    assert result.best_epoch == int(np.argmin(told)) == len(told) - 3
    short = job.model_copy(update={"training": job.training.replaced(epochs=result.best_epoch + 1)})
    _, until_best = by_cluster(short, tmp_path / "short")
    assert all(np.array_equal(values[name], until_best[name]) for name in values)


@pytest.mark.long
def test_training_goes_on_from_given_values(tmp_path):
    job = job_of(shard(tmp_path), "fm", validate=False)
    _, first = by_one_process(job, 1)
    nets = [net_of(job), net_of(job)]
    for net in nets:
        initialize(net, [mx.cpu()], 1)
        for name, parameter in net._collect_params_with_prefix().items():
            parameter.set_data(mx.nd.array(first[name]))
    train_on_cluster(nets[0], job, tmp_path / "job")
    train(nets[1], job.feeder(), job.training.replaced(kvstore="device", devices=2))
    assert difference(values_of(nets[0]), values_of(nets[1])) < 1e-5


@pytest.mark.long
def test_on_hosts_the_same_bytes_come_out(tmp_path):
    job = job_of(shard(tmp_path), "fm", validate=False)
    shell = ("sh", "-c", 'test "$0" = localhost && exec sh -c "$1"')  # stands for ssh HOST COMMAND
    nets = [net_of(job), net_of(job)]
    hosts = Hosts(("localhost",), ("localhost",), "127.0.0.1", command=shell)
    train_on_cluster(nets[0], job, tmp_path / "hosts", hosts)
    train_on_cluster(nets[1], job, tmp_path / "here")
    one, other = map(values_of, nets)
    assert all(np.array_equal(one[name], other[name]) for name in one)


def test_a_table_that_is_cut_in_one_process_too_is_trained_by_a_cluster(tmp_path):
    """400 ids of four numbers are two tensors here; the ids of a worker's part of a batch are one."""
    job = job_of(shard(tmp_path), "fm", validate=False)
    whole = net_of(job)
    initialize(whole, [mx.cpu()], 1)
    with tensors_of(1300):
        cut = net_of(job)
        cut.initialize()
        put_values(cut, as_cut_now(take_values(whole)))
        train_on_cluster(cut, job, tmp_path / "cut")
        assert [part.shape for part in cut.embedding.parts] == [(325, 4), (75, 4)]
    train_on_cluster(whole, job, tmp_path / "whole")
    found, expected = whole_values(take_values(cut)), values_of(whole)
    assert all(np.array_equal(found[name], value) for name, value in expected.items())


def test_batches_of_more_ids_than_a_tensor_has_room_for_are_refused(tmp_path):
    job = job_of(shard(tmp_path), "fm")
    with tensors_of(300), pytest.raises(ConfigError, match=r"too many for one tensor of embedding.embedding_weight"):
        prepared(net_of(job), job, tmp_path)


def test_a_network_that_hashes_ids_is_refused(tmp_path):
    job = job_of(shard(tmp_path), "wdl")
    model = job.model.model_copy(update={"options": job.model.options | {"crosses": [["a", "b"]]}})
    with pytest.raises(ConfigError, match="rows are no ids: leave `crosses` out"):
        prepared(net_of(job), job.model_copy(update={"model": model}), tmp_path)


def test_what_a_worker_says_of_its_end_is_what_is_raised(tmp_path):
    job = job_of(shard(tmp_path), "fm", learning_rate=1e30, optimizer="sgd")
    with pytest.raises(PnnError, match=r"worker \d+ on .*training diverged in epoch 0 at batch"):
        by_cluster(job, tmp_path / "job")
