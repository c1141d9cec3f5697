"""What a zoom lens does over the travel of its ring, measured with a printed target."""

from anyzoom.calibrate.lens import LensProfile, Shot, Wanted, lens_schema, read_lens, write_lens

__all__ = ["LensProfile", "Shot", "Wanted", "lens_schema", "read_lens", "write_lens"]
