"""OpenAI's Responses API, which Open Responses has made everybody's."""
