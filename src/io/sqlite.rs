//! The embedded list: one SQLite file that several processes of one host share.
