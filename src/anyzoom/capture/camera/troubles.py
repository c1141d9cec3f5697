"""What goes wrong with cameras, each as one sentence with its remedy."""

from __future__ import annotations

from anyzoom.errors import CameraError


class Lost(CameraError):
    """The process that talks to the camera has hung or died."""

    def __init__(self, found: str) -> None:
        super().__init__(f"{found}. Switch the camera off and on, and check its cable.", again=True)


class Refused(CameraError):
    """The camera's library has refused, with one of its error numbers."""

    def __init__(self, code: int, text: str) -> None:
        sentence, again = REFUSALS.get(code, UNKNOWN)
        super().__init__(sentence.format(code=code, text=text.strip() or "no words"), again=again)
        self.code = code


def given_up(last: CameraError, restarts: int) -> CameraError:
    """The end of the tries after a process was lost."""
    return CameraError(f"{last} {restarts} restarts did not help.")


FULL, ABSENT_CAMERA, ABSENT_FILE, BUSY = -3, -105, -108, -110
UNKNOWN = (
    "the camera's library gives error {code} ({text}). Switch the camera off and on, and try again.",
    False,
)
# libgphoto2's number -> the sentence, and whether the same once more, in a new session, may help
REFUSALS = {
    -1: (
        "the camera took no picture and did not say why. Set it to manual focus or let it find focus, take a lens cap "
        "off, wake it, and try again.",
        True,
    ),
    -2: ("the camera does not know what it was asked for. Look with `capture doctor` at what it has.", False),
    FULL: ("the camera's card or memory is full. Empty or change it, then go on.", False),
    -5: ("the camera's port is gone. Plug it in again, and look with `capture doctor` at where it is now.", True),
    -6: (
        "the camera cannot be released over USB. Look in libgphoto2's list of cameras whether yours can, set it to PTP "
        "or PC remote, or use the folder camera.",
        False,
    ),
    -7: ("the cable to the camera lost data. Push its plugs in, use a shorter one without a hub, and try again.", True),
    -10: ("the camera did not answer in time. Let it finish writing, and switch automatic power-off off.", True),
    -52: ("the camera is not at its port. Switch it on and plug it in.", True),
    -53: (
        "another program holds the camera. Stop it: a desktop that shows photographs (on GNOME run "
        "`systemctl --user stop gvfs-gphoto2-volume-monitor` and eject the camera), or a second anyzoom.",
        True,
    ),
    ABSENT_CAMERA: (
        "there is no camera. Switch it on, plug it in, set its USB mode to PTP or PC remote, and wake it.",
        True,
    ),
    ABSENT_FILE: (
        "the picture is no longer in the camera. Take it again, and leave the camera's own menu alone.",
        True,
    ),
    BUSY: ("the camera is busy. Leave its menu and playback, let it finish writing, and try again.", True),
    -113: (
        "the camera reports a fault of its own. Read its screen, switch it off and on, and try again.",
        True,
    ),
    -115: ("there is no space for the picture in the camera. Empty or change its card, then go on.", False),
}
