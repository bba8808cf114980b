"""What the page about speed says of things that are not in every measurement."""

import pytest

from book.kit import figures
from book.kit.bench import measured

SPREAD = {"median": 1.25, "low": 1.0, "high": 2.0}


def test_what_was_tried_is_a_row_each_and_nothing_is_an_error():
    made = {"step_seconds": {"compiled": SPREAD, "plain": SPREAD}, "plain_over_compiled": 1.5}
    shown = figures.tried_table(
        {"compile": made | {"clock": "by the clock", "whole_seconds": 30.0}}
    )
    assert "1.50 times as fast (best steps; by the clock)" in shown
    assert "its steps 1.25 (1.00 to 2.00) s, uncompiled 1.25 (1.00 to 2.00) s" in shown
    with pytest.raises(ValueError, match="bench_profile"):
        figures.tried_table({"step": {}})


def test_without_bfloat16_it_is_said_why():
    told = figures.step_in_words({"plain_over_laptop": SPREAD, "precision": "float32"})
    assert "This processor has no bfloat16 arithmetic" in told


@pytest.mark.parametrize(
    ("page", "said"), [(11.54, "11.5 ms of a processor, which 60"), (20, "60 are out of reach")]
)
def test_slow_frames_are_explained_by_the_page_s_own_thread(page, said):
    frames = {"frame_ms": {"median": 16.7, "p95": 33.3}, "drags": 7, "moves": 180, "commit": "0a"}
    frames |= {"processor_ms": {"all of the page's thread": page}, "load_before": 1.0}
    told = figures.frames_in_words(frames | {"machine": {"threads": 2}, "browser": "A browser"})
    assert said in told


def test_a_run_with_two_threads_that_differs_is_measured_against_the_first():
    metrics = {"one thread": {"AUC": 0.5}, "two threads": {"AUC": 0.75, "ACC": 1.0}}
    threads = {
        "run": {"experiment": "mtl", "profile": "quick"},
        "epochs": 8,
        "images": 80,
        "versions": {"torch": "2.0"},
        "values_compared": 9,
        "repeat_differs_in": ["AUC"],
        "two_threads": {
            "equal": False, "largest_step_of_p_malignant": 0.5, "images_of_another_class": 0,
        },
        "metrics": metrics | {"one thread, another seed": {"AUC": 0.4}},
    }  # fmt: skip
    told = figures.threads_in_words(threads)
    assert "differs** in AUC." in told and "none of the images get another class" in told
    assert "one by up to 25.0 points, another seed by up to 10.0." in told


def test_a_measurement_is_read_from_the_folder_of_results(tmp_path):
    (tmp_path / "bench").mkdir()
    (tmp_path / "bench" / "one.json").write_text('{"rounds": 3}')
    assert measured("one", tmp_path) == {"rounds": 3}
    assert measured("two", tmp_path) == {}
