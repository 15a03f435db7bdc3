"""Find the faces of a video's main person and cut them out."""
