//! A change of the wish changes exactly what it must, in the safe order.
