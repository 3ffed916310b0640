//! Sample customers, orders and events with a known structure.
