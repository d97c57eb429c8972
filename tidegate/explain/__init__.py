"""Why a model answers as it does, asked from outside: declared columns in, score out."""
