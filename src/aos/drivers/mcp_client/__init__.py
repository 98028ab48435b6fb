"""MCP servers that AOS asks, over the official client: the implementation of `McpUpstream`."""
