"""The engine: configuration, random streams, tensors, the tape and the primitives. It knows no operation by name."""
