//! Codecs: one chunk in, one chunk out.
