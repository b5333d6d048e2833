"""OpenAI's protocol, for clients that know no other."""
