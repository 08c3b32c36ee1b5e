"""Vectors for texts, by the local static model or by OpenAI."""
