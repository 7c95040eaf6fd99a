"""What scalars take where they are written into a document."""

import pytest
from graphql import GraphQLError, IntValueNode, StringValueNode, ValueNode

from schema.scalars import SCALARS, ByteCount

LARGEST = 2**63 - 1


def literal(node: ValueNode) -> object:
    return SCALARS[ByteCount].parse_literal(node, None)  # type: ignore[misc]


def test_a_byte_count_is_read_up_to_the_largest() -> None:
    assert literal(IntValueNode(value=str(LARGEST))) == LARGEST


@pytest.mark.parametrize("value", [str(LARGEST + 1), "-1", "9" * 5000, "-" + "9" * 5000])
def test_another_number_is_refused_in_words_of_the_scalar(value: str) -> None:
    with pytest.raises(GraphQLError, match="A ByteCount is a whole number from 0 to"):
        literal(IntValueNode(value=value))


def test_a_text_is_no_byte_count() -> None:
    with pytest.raises(GraphQLError, match="A ByteCount is a whole number from 0 to"):
        literal(StringValueNode(value="1"))
