//! The memory engine: state in this process, gone with it.
