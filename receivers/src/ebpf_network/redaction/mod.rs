//! Keeps secrets out of records: blanks headers, query values, JSON fields and patterns before anything is written.
