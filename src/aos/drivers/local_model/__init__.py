"""A small model on an ordinary processor, behind a door that speaks the chat dialect of OpenAI; needs the extra `local`."""
