//! Answers of AWS that aren't what they should be.
