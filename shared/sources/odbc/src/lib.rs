//! DB2, and whatever else has an ODBC driver, as a source.
