"""Shards: tar files of face tracks, one sample per video, in the form of WebDataset."""
