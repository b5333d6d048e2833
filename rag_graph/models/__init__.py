"""The models: chat, embeddings, and the embedded ones."""
