"""sys.fn_cdc_…: the numbers (LSNs) of commits that Change Data Capture has seen."""

from ..capture import LSN
from ..errors import not_supported
from ..types import SqlType
from ..values import Typed
from .registry import Call, function

_DATETIME = SqlType("datetime")
_NEAREST = {
    "largest less than": ("max", "<"), "largest less than or equal": ("max", "<="),
    "smallest greater than": ("min", ">"), "smallest greater than or equal": ("min", ">="),
}  # fmt: skip


@function("SYS.FN_CDC_GET_MAX_LSN")
def _max_lsn(it: Call) -> Typed:
    it.session.server.capture.check("cdc.lsn_time_mapping")
    return Typed("(SELECT lsn_bytes(max(lsn)) FROM meta.lsns)", LSN)


@function("SYS.FN_CDC_GET_MIN_LSN", arguments=(1, 1))
def _min_lsn(it: Call) -> Typed:
    """Ten bytes of zero where there is no such capture instance."""
    it.session.server.capture.check("cdc.change_tables")
    found = f"SELECT lsn_bytes(start_lsn) FROM meta.captures WHERE lower(capture_instance) = lower({it.text(0).sql})"
    return Typed(f"coalesce(({found}), unhex('{'00' * 10}'))", LSN)


@function("SYS.FN_CDC_INCREMENT_LSN", arguments=(1, 1))
def _increment(it: Call) -> Typed:
    """The next number, whether or not a commit has it."""
    digits = f"hex({it.converted(0, LSN)})"
    high, low = (f"('0x' || substr({digits}, {start}, 10))::BIGINT" for start in (1, 11))
    most = (1 << 40) - 1
    text = f"format('{{:010X}}{{:010X}}', {high} + ({low} = {most})::BIGINT, ({low} + 1) % {most + 1})"
    return Typed(f"CASE WHEN {digits} IS NOT NULL THEN unhex({text}) END", LSN)


@function("SYS.FN_CDC_MAP_LSN_TO_TIME", arguments=(1, 1))
def _to_time(it: Call) -> Typed:
    it.session.server.capture.check("cdc.lsn_time_mapping")
    return Typed(f"(SELECT ended FROM meta.lsns WHERE lsn_bytes(lsn) = {it.converted(0, LSN)})", _DATETIME)


@function("SYS.FN_CDC_MAP_TIME_TO_LSN", arguments=(2, 2))
def _from_time(it: Call) -> Typed:
    it.session.server.capture.check("cdc.lsn_time_mapping")
    named = (it.constant(0) or "").lower()
    if named not in _NEAREST:
        raise not_supported(f"sys.fn_cdc_map_time_to_lsn with '{named}'")
    word, sign = _NEAREST[named]
    found = f"SELECT lsn_bytes({word}(lsn)) FROM meta.lsns WHERE ended {sign} {it.converted(1, _DATETIME)}"
    return Typed(f"({found})", LSN)
