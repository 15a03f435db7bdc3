"""Networks: a backbone per face, the dual-level model over a video."""
