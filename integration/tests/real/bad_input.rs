//! Input that can't be served is told to the one who can fix it, and disturbs nobody else.
