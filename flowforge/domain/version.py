"""Which release this is: functions tell it with each answer of the API, so that the command line can compare."""

VERSION = "0.1.0"
HEADER = "x-flowforge-version"
