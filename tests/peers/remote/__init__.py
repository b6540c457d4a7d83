"""The battery's clients through `thoth run --url` to real servers over HTTP."""
