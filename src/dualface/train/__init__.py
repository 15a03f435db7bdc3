"""Training of the dual-level network, with the losses of `dualface.losses`."""
