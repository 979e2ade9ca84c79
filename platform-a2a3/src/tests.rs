//! The chip's figures.
