"""A TCP proxy for tests: it delays, closes, half-closes and cuts what runs through it."""

from __future__ import annotations

import asyncio
import struct
import threading
from collections.abc import Awaitable, Callable, Coroutine
from socket import SO_LINGER, SOL_SOCKET
from typing import Any

_CHUNK_BYTES = 1 << 16
_WAIT_S = 10.0
_RESET = struct.pack("ii", 1, 0)  # a close that tells the peer at once, and forgets what is unsent


class _Pair:
    """One connection from a worker, and the one to the daemon that it is joined with."""

    def __init__(self, worker: asyncio.StreamWriter, daemon: asyncio.StreamWriter) -> None:
        self.ends = (worker, daemon)
        self.cut_after_bytes: int | None = None

    def reset(self) -> None:
        for end in self.ends:
            socket = end.get_extra_info("socket")
            if socket is not None and not end.is_closing():
                socket.setsockopt(SOL_SOCKET, SO_LINGER, _RESET)
            end.transport.abort()


class Proxy:
    """Listens on a port of its own, and passes on to `port`; faults may be called from any thread.

    A fault returns how many connections it hit. A context manager: leaving it ends all of them.
    """

    def __init__(self, port: int) -> None:
        self._port = port
        self._pairs: set[_Pair] = set()
        self._delay_s = 0.0
        self._refuses = False
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._thread.start()
        self._server = self._call(asyncio.start_server(self._accept, "127.0.0.1", 0))
        self.address = f"tcp://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        self.connections = 0

    # Faults.

    def delay(self, seconds: float) -> None:
        """Hold each piece back for so long from now on; 0 passes on at once."""
        self._delay_s = seconds

    def refuse(self, refuses: bool) -> None:
        """Close every new connection at once, or take them again."""
        self._refuses = refuses

    def close_all(self) -> int:
        """Reset every connection."""
        return self._each(_Pair.reset)

    def half_close(self) -> int:
        """End what flows from the workers, while the other way stays open."""
        return self._each(lambda pair: pair.ends[1].write_eof())

    def cut_after(self, num_bytes: int) -> int:
        """Reset every connection once so many more bytes went through: in the middle of a message."""

        def arm(pair: _Pair) -> None:
            pair.cut_after_bytes = num_bytes

        return self._each(arm)

    def _each(self, fault: Callable[[_Pair], None]) -> int:
        async def hit() -> int:
            pairs = [pair for pair in self._pairs if not any(end.is_closing() for end in pair.ends)]
            for pair in pairs:
                fault(pair)
            return len(pairs)

        return int(self._call(hit()))

    # What runs through.

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._refuses:
            writer.transport.abort()
            return
        try:
            onward = await asyncio.open_connection("127.0.0.1", self._port)
        except OSError:
            writer.transport.abort()  # no daemon: as without a proxy
            return
        self.connections += 1
        pair = _Pair(writer, onward[1])
        self._pairs.add(pair)
        try:
            await asyncio.gather(self._pass(pair, reader, onward[1]), self._pass(pair, onward[0], writer))
        finally:
            self._pairs.discard(pair)
            for end in pair.ends:
                end.transport.abort()

    async def _pass(self, pair: _Pair, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(_CHUNK_BYTES):
                if self._delay_s:
                    await asyncio.sleep(self._delay_s)
                if pair.cut_after_bytes is not None:
                    data = data[: pair.cut_after_bytes]
                    pair.cut_after_bytes -= len(data)
                writer.write(data)
                await writer.drain()
                if pair.cut_after_bytes == 0:
                    pair.reset()
                    return
            writer.write_eof()
        except (OSError, RuntimeError):
            # The other way may be fine still, but neither side of ours goes on with half a connection reset.
            pair.reset()

    def _call(self, work: Coroutine[Any, Any, Any] | Awaitable[Any]) -> Any:
        async def run() -> Any:
            return await work

        return asyncio.run_coroutine_threadsafe(run(), self._loop).result(_WAIT_S)

    def __enter__(self) -> Proxy:
        return self

    def __exit__(self, *_: object) -> None:
        async def end() -> None:
            self._server.close()
            for pair in list(self._pairs):
                pair.reset()
            others = asyncio.all_tasks() - {asyncio.current_task()}
            await asyncio.wait(others, timeout=_WAIT_S) if others else None

        self._call(end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_WAIT_S)
        self._loop.close()
