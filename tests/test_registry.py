"""The registry: names, configurations, custom objects, and configurations declared once."""

from __future__ import annotations

import json

import numpy as np
import pytest

from minikeras.registry import (
    Configurable,
    CustomObjectScope,
    Registry,
    custom_object_scope,
    get_custom_objects,
    serialize_object,
)


class Shape(Configurable):
    """Base of the registry under test."""

    def __init__(self, name: str = "shape") -> None:
        self.name = name


class Circle(Shape):
    def __init__(self, radius: float = 1.0, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.radius = radius


def unit_circle(name: str = "unit") -> Circle:
    return Circle(1.0, name=name)


@pytest.fixture
def shapes() -> Registry:
    registry = Registry("shape", base=Shape)
    registry.register("round_thing")(Circle)
    registry.register(unit_circle)
    return registry


@pytest.fixture
def functions() -> Registry:
    registry = Registry("function")

    @registry.register("twice")
    def double(x):
        return 2 * x

    return registry


# ---------------------------------------------------------------------- get


@pytest.mark.parametrize("name", ["Circle", "circle", "CIRCLE", "round_thing", "RoundThing"])
def test_a_class_is_found_by_name_alias_and_other_spellings(shapes, name):
    assert type(shapes.get(name)) is Circle


def test_a_function_without_required_arguments_is_a_factory_where_there_is_a_base(shapes):
    assert shapes.get("unit_circle").get_config() == {"name": "unit", "radius": 1.0}
    assert shapes.deserialize({"class_name": "UnitCircle", "config": {"name": "u"}}).name == "u"


def test_a_function_is_given_as_it_is_where_there_is_no_base(functions):
    assert functions.get("double")(3) == 6
    assert functions.get("twice") is functions.get("double")


def test_instances_callables_classes_and_none_are_understood(shapes):
    circle = Circle(2.0)
    assert shapes.get(circle) is circle
    assert shapes.get(len) is len
    assert type(shapes.get(Circle)) is Circle
    assert shapes.get(None) is shapes.serialize(None) is None


def test_a_registry_lists_names_as_they_were_registered(shapes):
    assert "Circle" in shapes
    assert "circle" not in shapes
    assert list(shapes) == ["Circle", "round_thing", "unit_circle"]


def test_an_ambiguous_spelling_is_refused_but_the_exact_ones_are_found():
    registry = Registry("function")

    @registry.register
    def l1_l2():
        return "function"

    @registry.register
    class L1L2:
        pass

    assert registry.get("l1_l2") is l1_l2
    assert type(registry.get("L1L2")) is L1L2
    with pytest.raises(ValueError, match="Unknown function: 'L1_l2'"):
        registry.get("L1_l2")


# ---------------------------------------------------------------------- wrong calls


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda r: r.get("Cirkle"), "Unknown shape: 'Cirkle'. Did you mean 'Circle'"),
        (lambda r: r.get("zzz"), "Unknown shape: 'zzz'. Your own classes"),
        (lambda r: r.get(3), "Cannot interpret the shape: expected a name, .* or a callable. Received: 3"),
        (lambda r: r.get({"class_name": "Circle"}), "Improper shape configuration: .*'class_name' and 'config'"),
        (lambda r: r.deserialize(["Circle"]), r"Improper shape configuration: .*Received: \['Circle'\]"),
        (lambda r: r.get({"class_name": 5, "config": {}}), "The shape name must be a string. Received: 5"),
        (lambda r: r.get({"class_name": "Circle", "config": 5}), "The 'config' of shape 'Circle' must be a dict"),
        (lambda r: r.register("Circle")(unit_circle), "The shape name 'Circle' is already registered"),
        (lambda r: r.serialize(lambda x: x), "Cannot serialize .*a lambda"),
        (lambda r: r.deserialize("os.getcwd"), "Unknown shape: 'os.getcwd'"),
    ],
)
def test_a_wrong_call_says_what_was_expected(shapes, call, message):
    with pytest.raises(ValueError, match=message):
        call(shapes)


def test_a_function_takes_no_configuration_where_there_is_no_base(functions):
    assert functions.get({"class_name": "twice", "config": {}})(1) == 2
    with pytest.raises(ValueError, match=r"'twice' is a function and takes no configuration. Received: {'a': 1}"):
        functions.get({"class_name": "twice", "config": {"a": 1}})


def test_callables_and_none_are_refused_where_the_registry_says_so():
    registry = Registry("shape", base=Shape, callables=False, optional=False)
    for wrong in (len, None):
        with pytest.raises(ValueError, match=r"or an instance of Shape\. Received"):
            registry.get(wrong)


def test_a_configuration_that_does_not_fit_names_the_class(shapes):
    with pytest.raises(TypeError, match=r"Shape: the configuration does not fit: got an unexpected .*'edge'"):
        Shape.from_config({"edge": 1})


# ---------------------------------------------------------------------- custom objects


def test_custom_objects_are_known_inside_their_scope_only(shapes):
    class Square(Shape):
        pass

    with custom_object_scope({"Square": Square}, {"Box": Square}):
        assert type(shapes.get("Square")) is type(shapes.get("Box")) is Square
        assert get_custom_objects() == {"Square": Square, "Box": Square}
    with pytest.raises(ValueError, match="Unknown shape"):
        shapes.get("Square")


def test_scopes_nest_and_end_with_an_error_inside(shapes):
    with CustomObjectScope({"a": Circle}):
        with pytest.raises(KeyError), CustomObjectScope({"a": Shape, "b": Shape}):
            raise KeyError
        assert get_custom_objects() == {"a": Circle}
    assert get_custom_objects() == {}


def test_custom_objects_are_dicts():
    with pytest.raises(TypeError, match=r"custom_objects must be a dict from name to class or function. Received: \["):
        CustomObjectScope([Shape])


def test_custom_objects_given_to_deserialize_come_first(shapes):
    class Other(Circle):
        pass

    config = {"class_name": "Circle", "config": {"radius": 3.0}}
    assert type(shapes.deserialize(config, {"Circle": Other})) is Other
    assert type(shapes.deserialize(config)) is Circle


def test_a_custom_function_that_needs_arguments_is_the_object_itself(shapes):
    def own_shape(x):
        return x

    assert shapes.deserialize("own_shape", {"own_shape": own_shape}) is own_shape
    assert shapes.deserialize({"class_name": "own_shape", "config": {}}, {"own_shape": own_shape}) is own_shape


def test_a_lambda_with_a_name_by_scope_round_trips(functions):
    negate = lambda x: -x  # noqa: E731
    with custom_object_scope({"negate": negate}):
        assert functions.serialize(negate) == "negate"
        assert functions.get("negate") is negate


# ---------------------------------------------------------------------- configurations


def test_the_configuration_is_the_signature_of_the_class_and_its_bases():
    circle = Circle(2.0, name="c")
    assert circle.get_config() == {"name": "c", "radius": 2.0}
    again = Circle.from_config(circle.get_config())
    assert (again.radius, again.name) == (2.0, "c")
    assert serialize_object(circle) == {"class_name": "Circle", "config": {"name": "c", "radius": 2.0}}


def test_values_become_plain_and_tuples_stay_tuples():
    class Holder(Configurable):
        def __init__(self, a, b, c, d, e, f) -> None:
            self.a, self.b, self.c, self.d, self.e, self.f = a, b, c, d, e, f

    holder = Holder((1, np.int64(2)), [np.float32(0.5)], np.dtype("float32"), np.arange(2), {"k": Circle()}, max)
    config = holder.get_config()
    assert config == {
        "a": (1, 2),
        "b": [0.5],
        "c": "float32",
        "d": [0, 1],
        "e": {"k": {"class_name": "Circle", "config": {"name": "shape", "radius": 1.0}}},
        "f": "max",
    }
    assert type(config["a"][1]) is int
    json.dumps(config)


def test_a_missing_attribute_says_what_to_write():
    class Forgetful(Shape):
        def __init__(self, size, **kwargs) -> None:
            super().__init__(**kwargs)

    with pytest.raises(AttributeError, match=r"Forgetful.get_config\(\).*'size'.*Write self.size = size"):
        Forgetful(3).get_config()


def test_a_get_config_written_by_hand_may_keep_its_arguments_elsewhere():
    class ByHand(Circle):
        def __init__(self, size, **kwargs) -> None:
            super().__init__(**kwargs)
            self.stored = size

        def get_config(self):
            return {**super().get_config(), "size": self.stored}

    config = ByHand(3, radius=2.0).get_config()
    assert config == {"name": "shape", "radius": 2.0, "size": 3}
    assert ByHand.from_config(config).stored == 3


def test_excluded_arguments_are_left_out():
    class Quiet(Circle):
        _config_excludes = ("radius",)

    assert Quiet(2.0).get_config() == {"name": "shape"}


def test_what_is_no_plain_value_is_refused_with_its_argument():
    with pytest.raises(TypeError, match=r"Circle: the argument 'radius' cannot be part .* of type complex"):
        Circle(1j).get_config()
