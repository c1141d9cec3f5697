"""Lines as Grbl 1.1h and grblHAL send them."""

import pytest

from anyzoom.capture.motor.messages import (
    ALARMS,
    ERRORS,
    POSITION_KEPT,
    Alarm,
    Banner,
    Note,
    Ok,
    Refusal,
    Setting,
    StartupLine,
    Status,
    parse,
)

ORIGIN = (0.0, 0.0, 0.0)
AT = (-20.0, 0.0, 0.0)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("ok", Ok()),
        ("error:9", Refusal(9)),
        ("ALARM:2", Alarm(2)),
        ("Grbl 1.1h ['$' for help]", Banner("Grbl", "1.1h")),
        ("GrblHAL 1.1f ['$' or '$HELP' for help]", Banner("GrblHAL", "1.1f")),
        ("[MSG:Caution: Unlocked]", Note("MSG", "Caution: Unlocked")),
        ("[MSG:'$H'|'$X' to unlock]", Note("MSG", "'$H'|'$X' to unlock")),
        ("[VER:1.1h.20190830:]", Note("VER", "1.1h.20190830:")),
        ("[OPT:V,15,128]", Note("OPT", "V,15,128")),
        ("[NVS STORAGE:*EEPROM]", Note("NVS STORAGE", "*EEPROM")),
        ("[GC:G0 G54 G17 G21 G90 G94 M5 M9 T0 F0 S0]", Note("GC", "G0 G54 G17 G21 G90 G94 M5 M9 T0 F0 S0")),
        ("[PRB:0.000,0.000,0.000:0]", Note("PRB", "0.000,0.000,0.000:0")),
        ("$22=0", Setting(22, "0")),
        ("$100=250.000", Setting(100, "250.000")),
        ("$100=250.000 (x, step/mm)", Setting(100, "250.000")),  # older builds explain
        ("$450=", Setting(450, "")),
        (">G54G20:ok", StartupLine("G54G20", "ok")),
        (">G28:error:7", StartupLine("G28", "error:7")),
        ("<Idle|MPos:-20.000,0.000,0.000|FS:0,0>", Status("Idle", None, AT, None, None)),
        (
            "<Idle|MPos:-20.000,0.000,0.000|FS:0,0|Pn:PRHS|WCO:0.000,0.000,0.000>",
            Status("Idle", None, AT, None, ORIGIN),
        ),
        ("<Hold:1|WPos:-20.000,0.000,0.000|Bf:15,128|FS:0,0>", Status("Hold", 1, None, AT, None)),
        ("<Run|WCO:0.000,0.000,0.000|MPos:-20.000,0.000,0.000>", Status("Run", None, AT, None, ORIGIN)),
        ("<Door:3|MPos:-20.000,0.000,0.000|FS:0,0|Ov:100,100,100|A:>", Status("Door", 3, AT, None, None)),
        (
            "<Alarm|MPos:-20.000,0.000,0.000|Bf:35,1023|FS:0,0|WCO:0.000,0.000,0.000|H:0|TLR:0|A:>",
            Status("Alarm", None, AT, None, ORIGIN),
        ),
        ("<Jog|MPos:-20.000|New:|Later>", Status("Jog", None, (-20.0,), None, None)),
        ("<Check>", Status("Check", None, None, None, None)),
    ],
)
def test_every_kind(line: str, message: object) -> None:
    found = parse(line + "\r")
    assert found == message
    assert type(found) is type(message)


@pytest.mark.parametrize(
    "line",
    [
        "",
        "<Idle|MPos:-20.0",
        "<Idle|MPos:-2x.000,0,0|FS:0,0>",
        "<>",
        "\ufffd\ufffd",
        "Marlin 2.0",
        "okok",
        "error:",
        "o",
    ],
)
def test_damaged_lines_are_noise(line: str) -> None:
    assert type(parse(line)).__name__ == "Noise"


def test_numbers_of_grbl_1_1_have_a_meaning() -> None:
    assert set(ERRORS) == {*range(1, 18), *range(20, 39)}
    assert set(range(1, 11)) <= set(ALARMS)
    assert not POSITION_KEPT & {1, 3, 6, 7, 8, 9}
    for meaning in [*ALARMS.values(), *ERRORS.values()]:
        assert meaning.what
        assert not meaning.remedy.endswith(".")
