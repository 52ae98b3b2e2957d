"""Pictures in files; everything here needs Pillow."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minikeras import config
from minikeras.preprocessing import image
from minikeras.preprocessing.image import ImageDataGenerator

PIL = pytest.importorskip("PIL.Image")
ImageEnhance = pytest.importorskip("PIL.ImageEnhance")

LEVELS = np.random.default_rng(0).integers(0, 256, (4, 6, 3), dtype=np.uint8)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Five cats in two folders and three dogs, each of one grey level, and files that are no pictures."""
    for number in range(8):
        name = (
            f"cats/c{number}.png" if number < 3 else f"cats/more/c{number}.PNG" if number < 5 else f"dogs/d{number}.bmp"
        )
        path = tmp_path / "pictures" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        PIL.fromarray(np.full((5, 7, 3), 10 * number, np.uint8)).save(path)
    (tmp_path / "pictures/cats/notes.txt").write_text("no picture")
    (tmp_path / "pictures/readme.md").write_text("no class")
    return tmp_path / "pictures"


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_arrays_and_pictures_turn_into_each_other(data_format: str) -> None:
    x = LEVELS if data_format == "channels_last" else LEVELS.transpose(2, 0, 1)
    picture = image.array_to_img(x, data_format, scale=False)
    assert (picture.size, picture.mode) == ((6, 4), "RGB")
    back = image.img_to_array(picture, data_format)
    np.testing.assert_array_equal(back, x)
    assert back.dtype == np.float32
    with config.scope(image_data_format=data_format, floatx="float64"):
        default = image.img_to_array(image.array_to_img(x, scale=False))
    np.testing.assert_array_equal(default, x)
    assert default.dtype == np.float64


@pytest.mark.parametrize(("channels", "mode"), [(1, "L"), (3, "RGB"), (4, "RGBA")])
def test_the_number_of_channels_says_the_mode(channels: int, mode: str) -> None:
    assert image.array_to_img(np.zeros((2, 2, channels))).mode == mode


def test_grey_pictures_get_a_channel() -> None:
    assert image.img_to_array(PIL.new("L", (3, 2))).shape == (2, 3, 1)
    assert image.img_to_array(PIL.new("L", (3, 2)), "channels_first").shape == (1, 2, 3)


def test_scaling_stretches_to_the_whole_range() -> None:
    picture = image.array_to_img([[[-1.0], [0.0], [1.0]]])
    assert np.asarray(picture).tolist() == [[0, 127, 255]]


def test_saving_and_loading_keeps_the_picture(tmp_path: Path) -> None:
    image.save_img(tmp_path / "x.png", LEVELS, scale=False)
    np.testing.assert_array_equal(image.img_to_array(image.load_img(tmp_path / "x.png")), LEVELS)
    grey = image.load_img(tmp_path / "x.png", color_mode="grayscale", target_size=(2, 3), interpolation="bilinear")
    assert (grey.mode, grey.size) == ("L", (3, 2))
    assert image.load_img(tmp_path / "x.png", color_mode="rgba").mode == "RGBA"
    with pytest.warns(UserWarning, match="grayscale=True is color_mode='grayscale'"):
        assert image.load_img(tmp_path / "x.png", grayscale=True).mode == "L"


@pytest.mark.parametrize("keywords", [{"file_format": "jpg"}, {"file_format": "jpeg"}, {}])
def test_transparency_is_dropped_for_jpeg_with_a_warning(tmp_path: Path, keywords: dict[str, str]) -> None:
    with pytest.warns(UserWarning, match="JPEG has no transparency"):
        image.save_img(tmp_path / "x.jpg", np.ones((2, 2, 4)), **keywords)
    with PIL.open(tmp_path / "x.jpg") as picture:
        assert picture.mode == "RGB"


@pytest.mark.parametrize("factor", [0.0, 0.3, 0.77, 1.0, 1.4, 3.0])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_brightness_is_what_pillow_computes(factor: float, channels: int) -> None:
    x = np.random.default_rng(1).random((8, 9, channels)) - 0.2
    expected = image.img_to_array(ImageEnhance.Brightness(image.array_to_img(x)).enhance(factor))
    np.testing.assert_array_equal(image.apply_brightness_shift(x, factor), expected)


def test_list_pictures_finds_pictures_at_any_depth(folder: Path) -> None:
    names = [os.path.relpath(path, folder) for path in image.list_pictures(folder)]
    assert names == [f"cats/c{n}.png" for n in range(3)] + [f"cats/more/c{n}.PNG" for n in (3, 4)] + [
        f"dogs/d{n}.bmp" for n in (5, 6, 7)
    ]
    assert len(image.list_pictures(folder, "bmp")) == 3


def flow(folder: Path, **keywords: Any) -> Any:
    options = {"target_size": (2, 3), "shuffle": False, "batch_size": 8, **keywords}
    return ImageDataGenerator(rescale=0.1, validation_split=0.4).flow_from_directory(folder, **options)


def test_pictures_of_a_folder_come_with_their_classes(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    batches = flow(folder)
    assert capsys.readouterr().out == "Found 8 images belonging to 2 classes.\n"
    assert (batches.samples, batches.num_classes, batches.class_indices) == (8, 2, {"cats": 0, "dogs": 1})
    assert batches.filenames[0] == os.path.join("cats", "c0.png")
    assert batches.classes.tolist() == [0] * 5 + [1] * 3
    x, y = batches[0]
    assert x.shape == (8, *batches.image_shape) == (8, 2, 3, 3)
    np.testing.assert_allclose(x[:, 0, 0, 0], np.arange(8))
    np.testing.assert_array_equal(y, np.eye(2)[batches.classes])


def test_batches_from_files_come_one_after_the_other_and_begin_anew(folder: Path) -> None:
    batches = flow(folder, batch_size=3, class_mode=None)
    levels = [batches.next()[:, 0, 0, 0].round().astype(int).tolist() for _ in range(4)]
    assert levels == [[0, 1, 2], [3, 4, 5], [6, 7], [0, 1, 2]]
    batches.reset()
    assert batches.next()[:, 0, 0, 0].round().tolist() == [0, 1, 2]
    shuffled = flow(folder, shuffle=True, seed=3)
    first = shuffled[0][0][:, 0, 0, 0].round().tolist()
    shuffled.on_epoch_end()
    second = shuffled[0][0][:, 0, 0, 0].round().tolist()
    assert sorted(first) == sorted(second) == [*range(8)]
    assert first != second


def test_the_class_mode_says_the_targets(folder: Path) -> None:
    assert flow(folder, class_mode="sparse")[0][1].tolist() == [0, 0, 0, 0, 0, 1, 1, 1]
    binary = flow(folder, class_mode="binary")[0][1]
    assert (binary.tolist(), binary.dtype) == ([0, 0, 0, 0, 0, 1, 1, 1], np.float32)
    x, y = flow(folder, class_mode="input")[0]
    np.testing.assert_array_equal(x, y)
    np.testing.assert_array_equal(flow(folder, class_mode=None)[0], x)


def test_classes_can_be_chosen_and_ordered(folder: Path) -> None:
    assert flow(folder, classes=["dogs", "cats"], class_mode="sparse")[0][1].tolist() == [0, 0, 0, 1, 1, 1, 1, 1]
    assert flow(folder, classes=["dogs"]).samples == 3


@pytest.mark.parametrize(("color_mode", "channels"), [("grayscale", 1), ("rgb", 3), ("rgba", 4)])
@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_colours_and_data_format_say_the_shape(folder: Path, color_mode: str, channels: int, data_format: str) -> None:
    with config.scope(image_data_format=data_format):
        batches = flow(folder, color_mode=color_mode, class_mode=None)
    shape = (2, 3, channels) if data_format == "channels_last" else (channels, 2, 3)
    assert batches[0].shape == (8, *shape) == (8, *batches.image_shape)


def test_subsets_take_their_share_of_each_class(folder: Path) -> None:
    files = {subset: flow(folder, subset=subset).filenames for subset in ("validation", "training")}
    assert [os.path.basename(name) for name in files["validation"]] == ["c0.png", "c1.png", "d5.bmp"]
    assert [os.path.basename(name) for name in files["training"]] == ["c2.png", "c3.PNG", "c4.PNG", "d6.bmp", "d7.bmp"]


def test_folders_that_are_links_are_followed_on_request(folder: Path) -> None:
    other = folder.parent / "other"
    other.mkdir()
    PIL.new("RGB", (2, 2)).save(other / "x.png")
    (folder / "dogs/link").symlink_to(other)
    assert flow(folder).samples == 8
    assert flow(folder, follow_links=True).samples == 9


@pytest.mark.parametrize("from_files", [False, True])
def test_changed_images_can_be_looked_at(folder: Path, tmp_path: Path, from_files: bool) -> None:
    (tmp_path / "saved").mkdir()
    options = {"save_to_dir": tmp_path / "saved", "save_prefix": "new", "save_format": "png"}
    if from_files:
        flow(folder, **options)[0]
    else:
        ImageDataGenerator().flow(np.ones((8, 2, 3, 1)), **options)[0]
    assert sorted(os.listdir(tmp_path / "saved")) == [f"new_{number}_1.png" for number in range(8)]
    with PIL.open(tmp_path / "saved/new_0_1.png") as picture:
        assert picture.size == (3, 2)


def test_without_pillow_the_extra_is_named() -> None:
    code = (
        "import sys; sys.modules['PIL'] = None\n"
        "from minikeras.preprocessing.image import load_img, ImageDataGenerator, random_brightness\n"
        "import numpy as np\n"
        "ImageDataGenerator(brightness_range=(1, 2), rotation_range=9).random_transform(np.ones((4, 4, 3)))\n"
        "try:\n    load_img('x.png')\nexcept ImportError as error:\n    print(error)"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == "Pictures in files need Pillow: pip install 'minikeras[image]'\n"


WRONG = {
    "no picture": (lambda f: image.img_to_array(np.zeros((2, 2, 2, 2))), ValueError, r"2 or 3 axes.*\(2, 2, 2, 2\)"),
    "a data format": (lambda f: image.img_to_array(LEVELS, "NHWC"), ValueError, "data_format must be one of.*'NHWC'"),
    "a matrix": (lambda f: image.array_to_img(LEVELS[..., 0]), ValueError, r"must have 3 axes.*\(4, 6\)"),
    "two channels": (lambda f: image.array_to_img(LEVELS[..., :2]), ValueError, "1, 3 or 4 channels. Received: 2"),
    "a colour mode": (
        lambda f: image.load_img("x", color_mode="cmyk"),
        ValueError,
        "color_mode must be one of.*'cmyk'",
    ),
    "an interpolation": (lambda f: image.load_img("x", interpolation="linear"), ValueError, "interpolation must be .*"),
    "a size": (lambda f: flow(f, target_size=9), ValueError, r"target_size must be \(rows, columns\). Received: 9"),
    "a float size": (
        lambda f: flow(f, target_size=(9, 1.5)),
        ValueError,
        "each part of target_size must be a positive",
    ),
    "a class mode": (lambda f: flow(f, class_mode="other"), ValueError, "class_mode must be one of.*'other'"),
    "a class without folder": (lambda f: flow(f, classes=["cow"]), FileNotFoundError, "no folder 'cow' for a class"),
    "no folder": (lambda f: flow(f / "none"), FileNotFoundError, "none"),
    "a folder without pictures": (lambda f: flow(f / "dogs"), ValueError, "there are no pictures .* of classes"),
    "no picture file": (lambda f: image.load_img(f / "readme.md"), OSError, "cannot identify image file"),
}


@pytest.mark.parametrize(("call", "error", "message"), WRONG.values(), ids=WRONG.keys())
def test_wrong_calls_are_refused(call: Any, error: type[Exception], message: str, folder: Path) -> None:
    with pytest.raises(error, match=message):
        call(folder)
