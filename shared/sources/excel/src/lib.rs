//! Workbooks of the object store as a source.
