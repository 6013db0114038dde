"""The product's one date format (ISO 8601), in every language."""

DATE_FORMAT = SHORT_DATE_FORMAT = "Y-m-d"
DATETIME_FORMAT = SHORT_DATETIME_FORMAT = "Y-m-d H:i:s"
TIME_FORMAT = "H:i"
MONTH_DAY_FORMAT = "m-d"
