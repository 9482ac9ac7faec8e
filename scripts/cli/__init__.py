"""The commands. Each parses, calls one function and renders its answer; heavy imports wait inside the functions."""
