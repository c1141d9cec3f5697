"""The "phone": a page on the local network from which a run is started, watched, paused and stopped."""

from anyzoom.capture.phone.director import Director, Status

__all__ = ["Director", "Status"]
