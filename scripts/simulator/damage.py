"""Faults of the connection: what a broken network or a hostile server does to an answer."""

import asyncio
import socket
import struct
from collections.abc import Mapping

from aiohttp import web

from scripts.simulator.routes import REDIRECTED

HUGE_BYTES = 200 * 2**20
_DRIP_SECONDS = 1.0
_CHUNK = b"a" * 2**20


async def damaged(fault: str, request: web.BaseRequest, body: bytes, headers: Mapping[str, str]) -> web.StreamResponse:
    """Answers with the fault. Some never return: they end when the client goes, by cancellation."""
    match fault:
        case "hang":
            return await _for_ever()
        case "reset":
            return await _reset(request)
        case "redirect":
            target = f"http://{request.host}{REDIRECTED}{request.rel_url}"
            return web.Response(status=307, headers={**headers, "location": target})
        case "truncated":
            response = await _begin(request, headers, len(body))
            await response.write(body[: len(body) // 2])
            if request.transport is not None:
                request.transport.close()
            return await _for_ever()
        case "slow-loris":
            response = await _begin(request, headers, len(body))
            for byte in body:
                await response.write(bytes([byte]))
                await asyncio.sleep(_DRIP_SECONDS)
            return response
        case _:
            return await _huge(request, body, headers)


async def _begin(request: web.BaseRequest, headers: Mapping[str, str], length: int) -> web.StreamResponse:
    response = web.StreamResponse(headers=headers)
    response.content_type = "application/json"
    response.content_length = length
    await response.prepare(request)
    return response


async def _huge(request: web.BaseRequest, body: bytes, headers: Mapping[str, str]) -> web.StreamResponse:
    """A right answer with a wrong size: whoever reads all of it has no excuse of its form."""
    head, tail = body.rstrip()[:-1] + b',"padding":"', b'"}'
    left = HUGE_BYTES - len(head) - len(tail)
    response = await _begin(request, headers, HUGE_BYTES)
    await response.write(head)
    while left > 0:
        await response.write(_CHUNK[:left])
        left -= min(left, len(_CHUNK))
    await response.write(tail)
    return response


async def _reset(request: web.BaseRequest) -> web.StreamResponse:
    transport = request.transport
    if transport is not None:
        connection = transport.get_extra_info("socket")
        # Without lingering the kernel sends RST in place of FIN.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()
    return await _for_ever()


async def _for_ever() -> web.StreamResponse:
    never: asyncio.Future[web.StreamResponse] = asyncio.get_running_loop().create_future()
    return await never
