//! One code path on SQL databases: transactions, values, schema steps.
