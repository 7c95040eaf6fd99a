"""A flag to wait for, for what there are thousands of."""

import asyncio


class Flag:
    """An `asyncio.Event` of a tenth of its size: that one keeps a queue of 760 bytes for those who wait."""

    __slots__ = ("_is_set", "_waiting")

    def __init__(self) -> None:
        self._is_set = False
        self._waiting: list[asyncio.Future[None]] = []

    def is_set(self) -> bool:
        """Whether nobody needs to wait."""
        return self._is_set

    def set(self) -> None:
        """Let go on who waits, and nobody wait from now on."""
        self._is_set = True
        for future in self._waiting:
            if not future.done():
                future.set_result(None)

    def clear(self) -> None:
        """Have wait who comes from now on."""
        self._is_set = False

    async def wait(self) -> None:
        """Until the flag is set, perhaps only for a moment."""
        if self._is_set:
            return
        future = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        try:
            await future
        finally:
            self._waiting.remove(future)
