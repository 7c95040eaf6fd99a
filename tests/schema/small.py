"""A small schema with one field of every kind of behaviour that execution has to deal with."""

import asyncio
from dataclasses import dataclass, field
from enum import Enum
from typing import TypeAlias

import strawberry
from strawberry.dataloader import DataLoader

from domain.errors import FileTooLarge, InvalidInput, NotSignedIn, Refusals


@dataclass
class Around:
    """The context of these tests."""

    loads: list[list[int]] = field(default_factory=list)
    loader: DataLoader[int, "Person"] = field(init=False)

    def __post_init__(self) -> None:
        self.loader = DataLoader(self._load)

    async def _load(self, keys: list[int]) -> "list[Person]":
        self.loads.append(keys)
        return [Person(name=f"person {key}") for key in keys]


Info: TypeAlias = strawberry.Info[Around, None]


@strawberry.enum
class Colour(Enum):
    RED = "red"
    GREEN = "green"


@strawberry.type
class Person:
    name: str


@strawberry.type
class Thing:
    number: int
    name: str | None = None
    colour: Colour = Colour.RED
    tags: list[str] = strawberry.field(default_factory=list)
    huge: int = 1

    @strawberry.field
    def doubled(self) -> int:
        return self.number * 2

    @strawberry.field
    def late(self) -> str:
        return self.missing  # type: ignore[attr-defined, no-any-return]

    @strawberry.field
    def path(self, info: Info) -> str:
        return ".".join(map(str, info.path.as_list()))

    @strawberry.field
    async def owner(self, info: Info) -> Person:
        return await info.context.loader.load(self.number % 3)


@strawberry.type
class Things:
    nodes: list[Thing]


@strawberry.input
class Wish:
    colour: Colour
    count: int = 1


@strawberry.type
class Query:
    @strawberry.field
    def things(self, first: int | None = None) -> Things | None:
        return Things(nodes=[Thing(number=number, tags=["a", "b"]) for number in range(first or 2)])

    @strawberry.field
    async def hello(self, name: str = "you") -> str:
        await asyncio.sleep(0)
        return f"hello {name}"

    @strawberry.field
    def wished(self, wish: Wish) -> str:
        return f"{wish.count} {wish.colour.value}"

    @strawberry.field
    def odd(self) -> Thing | None:
        return Thing(number=1, huge=2**40)

    @strawberry.field
    def broken(self) -> str | None:
        raise RuntimeError("the password is hunter2")

    @strawberry.field
    def unspeakable(self) -> str:
        return "\ud800"

    @strawberry.field
    def nothing(self) -> str | None:
        return None

    @strawberry.field
    def secret(self) -> str | None:
        raise NotSignedIn

    @strawberry.field
    def page(self) -> str | None:
        raise InvalidInput(message="Pages have 1 to 100 entries.", path=("first",))

    @strawberry.field
    def large(self) -> str | None:
        raise FileTooLarge(message="Too large.", limit=5)

    @strawberry.field
    def several(self) -> str | None:
        raise Refusals([NotSignedIn(), FileTooLarge(message="Too large.", limit=5)])


@strawberry.type
class Mutation:
    @strawberry.mutation
    async def touch(self, number: int) -> int:
        await asyncio.sleep(0)
        return number

    @strawberry.mutation
    def login(self) -> str:
        return "a token"

    @strawberry.mutation
    def signup(self) -> str:
        return "a token"


SCHEMA = strawberry.Schema(Query, Mutation)
