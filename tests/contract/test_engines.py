"""What every engine must do; LiteRT and TensorFlow run this same suite on the real model and pictures."""

import threading
from pathlib import Path

import numpy as np
import pytest

from shared.classifier.classifier import Classification, Classifier
from shared.classifier.engine import ENGINES, LITERT, TENSORFLOW, Engine, open_engine
from shared.classifier.model import Model
from shared.errors import Code, ResourceError
from shared.images import Limits

_PICTURES = ("camera.png", "chelsea.png", "coffee.png", "grace_hopper.jpg", "rocket.jpg", "astronaut.png")
#: A class that belongs among the five best.
_RIGHT = {
    "camera.png": "tripod",
    "chelsea.png": "tiger cat",
    "coffee.png": "espresso",
    "grace_hopper.jpg": "military uniform",
    "rocket.jpg": "missile",
}


@pytest.fixture(scope="module")
def engines(lite0: Model) -> dict[str, Engine]:
    return {name: open_engine(lite0, name, threads=2) for name in (LITERT, TENSORFLOW)}


@pytest.fixture(params=[LITERT, TENSORFLOW])
def classifier(request: pytest.FixtureRequest, lite0: Model, engines: dict[str, Engine]) -> Classifier:
    return Classifier(lite0, engines[request.param], Limits())


def _classify(classifier: Classifier, picture: Path) -> Classification:
    return classifier.classify(picture.read_bytes(), top=5)


@pytest.mark.parametrize("name", _RIGHT)
def test_the_right_class_is_among_the_five_best(name: str, classifier: Classifier, samples: Path) -> None:
    found = _classify(classifier, samples / name)
    names = [prediction.label.name for prediction in found.predictions]
    assert len(names) == 5
    assert any(_RIGHT[name] in class_name for class_name in names)


def test_scores_are_probabilities_and_best_first(classifier: Classifier, samples: Path) -> None:
    scores = [prediction.score for prediction in _classify(classifier, samples / "coffee.png").predictions]
    assert scores == sorted(scores, reverse=True)
    assert 0 < sum(scores) <= 1.0001


def test_there_is_an_embedding(classifier: Classifier, samples: Path) -> None:
    embedding = _classify(classifier, samples / "coffee.png").embedding
    assert embedding is not None
    assert embedding.shape == (1280,)
    assert np.isfinite(embedding).all()


def test_a_batch_gives_what_each_picture_gives_alone(classifier: Classifier, lite0: Model) -> None:
    rng = np.random.default_rng(0)
    batch = rng.integers(0, 255, (3, 224, 224, 3), np.uint8)
    together = classifier._engine.predict(batch)
    assert together.scores.shape == (3, 1000)
    for picture, scores in zip(batch, together.scores, strict=True):
        alone = classifier._engine.predict(picture[None]).scores[0]
        assert np.abs(alone - scores).max() < 1e-5


def test_threads_may_share_a_classifier(classifier: Classifier, samples: Path) -> None:
    expected = {name: _classify(classifier, samples / name).predictions for name in _PICTURES}
    wrong: list[str] = []

    def classify(name: str) -> None:
        for _ in range(5):
            found = _classify(classifier, samples / name).predictions
            same = [p.class_id for p in found] == [p.class_id for p in expected[name]]
            close = all(abs(p.score - q.score) < 1e-5 for p, q in zip(found, expected[name], strict=True))
            if not (same and close):
                wrong.append(name)

    threads = [threading.Thread(target=classify, args=(name,)) for name in _PICTURES]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


@pytest.mark.parametrize("name", _PICTURES)
def test_both_engines_say_the_same(
    name: str, lite0: Model, engines: dict[str, Engine], samples: Path
) -> None:
    found = [
        _classify(Classifier(lite0, engine, Limits()), samples / name).predictions
        for engine in engines.values()
    ]
    for one, other in zip(*found, strict=True):
        assert one.class_id == other.class_id
        assert abs(one.score - other.score) < 1e-3


def test_a_damaged_network_is_not_run(lite0: Model, tmp_path: Path) -> None:
    broken = Model(tmp_path, lite0.description, lite0.labels)
    for name in ENGINES:
        with pytest.raises(ResourceError) as caught:
            open_engine(broken, name)
        assert caught.value.code is Code.MODEL_BROKEN
