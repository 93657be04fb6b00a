"""The numbers that texts are known by."""

import numpy as np

from pnn_gluon.evaluation.identity import text_identities


def test_identities_are_the_same_everywhere_and_differ_with_the_text():
    found = text_identities(["user 1", "user 2", "user 1", "", "é\n'\"", "\ud800"])
    assert found.dtype == np.uint64
    assert found[0] == found[2] == 0xAB02BC23DF4A7382
    assert len(set(found.tolist())) == 5
    assert text_identities([]).shape == (0,)
