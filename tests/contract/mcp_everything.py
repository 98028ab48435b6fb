"""The tools that the protocol's conformance kit asks of a server, written with the official package, over stdio."""

from __future__ import annotations

import base64

from mcp.server.mcpserver import MCPServer
from mcp_types import (
    AudioContent,
    CallToolResult,
    ContentBlock,
    EmbeddedResource,
    ImageContent,
    TextContent,
    TextResourceContents,
)

server = MCPServer("everything")
PNG = base64.b64encode(bytes.fromhex("89504e470d0a1a0a")).decode()
WAV = base64.b64encode(b"RIFF$\x00\x00\x00WAVEfmt ").decode()
PICTURE = ImageContent(type="image", data=PNG, mime_type="image/png")


def resource(uri: str, text: str, mime_type: str) -> EmbeddedResource:
    return EmbeddedResource(type="resource", resource=TextResourceContents(uri=uri, text=text, mime_type=mime_type))


@server.tool(structured_output=False)
def test_simple_text() -> str:
    """Return a text."""
    return "This is a simple text response for testing."


@server.tool(structured_output=False)
def test_image_content() -> ContentBlock:
    """Return a picture."""
    return PICTURE


@server.tool(structured_output=False)
def test_audio_content() -> ContentBlock:
    """Return a sound."""
    return AudioContent(type="audio", data=WAV, mime_type="audio/wav")


@server.tool(structured_output=False)
def test_embedded_resource() -> ContentBlock:
    """Return a resource."""
    return resource("test://embedded-resource", "This is an embedded resource content.", "text/plain")


@server.tool(structured_output=False)
def test_multiple_content_types() -> list[ContentBlock]:
    """Return a text, a picture and a resource."""
    text = TextContent(type="text", text="Multiple content types test:")
    return [text, PICTURE, resource("test://mixed-content-resource", '{"test":"data"}', "application/json")]


@server.tool(structured_output=False)
def test_error_handling() -> CallToolResult:
    """Fail."""
    said = TextContent(type="text", text="This tool intentionally returns an error for testing")
    return CallToolResult(content=[said], is_error=True)


if __name__ == "__main__":
    server.run("stdio")
